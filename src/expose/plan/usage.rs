//! What is in use already, indexed once per plan: the names of each Service, what they list, and where the names that
//! are asked for belong. A look-up must not cost a walk over all names: there are as many as there are Services.

use std::collections::{BTreeMap, BTreeSet};

use super::super::dns::{self, Hostname, NameKey, OwnedName};
use super::super::{Exposure, Observed, PublicIp, ServiceKey, Snapshot, Unsettled, annotations};

const NONE: &BTreeSet<PublicIp> = &BTreeSet::new();
const NO_MAYBE: &BTreeMap<PublicIp, u32> = &BTreeMap::new();

/// The names that are ours, by the Services that use them.
#[derive(Clone, Debug, Default)]
pub(super) struct Usage {
    /// The names that are in use for a Service.
    names: BTreeMap<ServiceKey, BTreeSet<NameKey>>,
    /// The addresses that they list.
    listed: BTreeMap<ServiceKey, BTreeSet<PublicIp>>,
    /// The addresses that they may list though nothing of ours shows it, and with which TTL.
    maybe: BTreeMap<ServiceKey, BTreeMap<PublicIp, u32>>,
    /// Of names with changes whose outcome isn't known: the addresses that they list in any case.
    kept: BTreeMap<NameKey, BTreeSet<PublicIp>>,
    /// Of names that may not be as they are known (another process's last change may not have shown yet, Route 53 said
    /// that somebody has changed it): what is sure all the same.
    proven: BTreeMap<NameKey, BTreeSet<PublicIp>>,
    /// Where the names that somebody asks for belong.
    homes: BTreeMap<Hostname, NameKey>,
    /// Where else they are, though they don't belong there any more.
    elsewhere: BTreeMap<Hostname, Vec<NameKey>>,
}

impl Usage {
    pub(super) fn new(
        exposures: &BTreeMap<ServiceKey, Exposure>,
        names: &BTreeMap<NameKey, OwnedName>,
        snapshot: &Snapshot,
        observed: &Observed,
    ) -> Usage {
        let mut usage = Usage::default();
        let mut by_hostname: BTreeMap<&str, Vec<(&NameKey, &OwnedName)>> = BTreeMap::new();
        for (key, name) in names {
            usage.add(&name.service, key, name);
            by_hostname.entry(&name.name).or_default().push((key, name));
            if observed.contradicted.contains(key) {
                usage.proven.insert(key.clone(), BTreeSet::new());
            } else if observed.behind_zones.contains(&name.zone) {
                usage.proven.insert(key.clone(), observed.rewritten.get(key).cloned().unwrap_or_default());
            }
        }
        let mut unsettled: BTreeMap<&str, Vec<&Unsettled>> = BTreeMap::new();
        for (key @ (_, name), change) in &observed.unsettled {
            usage.kept.insert(key.clone(), change.kept.clone());
            usage.add_unsettled(&change.service, change);
            unsettled.entry(name).or_default().push(change);
        }
        for exposure in exposures.values() {
            for hostname in &exposure.hostnames {
                for change in unsettled.get(hostname.as_str()).into_iter().flatten() {
                    usage.add_unsettled(&exposure.service, change);
                }
                let found = by_hostname.get(hostname.as_str()).map(Vec::as_slice).unwrap_or_default();
                for (key, name) in found {
                    usage.add(&exposure.service, key, name);
                }
                if usage.homes.contains_key(hostname) {
                    continue;
                }
                let Ok(zone) = dns::zone_of(hostname.as_str(), &observed.zones) else { continue };
                let elsewhere = found.iter().filter(|(_, name)| name.zone != zone.id).map(|(key, _)| (*key).clone());
                usage.elsewhere.insert(hostname.clone(), elsewhere.collect());
                usage.homes.insert(hostname.clone(), (zone.id.clone(), hostname.as_str().to_owned()));
            }
        }
        for service in snapshot.services.values().filter(|service| !service.external_ips.is_empty()) {
            for hostname in annotations::names(service) {
                usage.add_asked(&service.key, &hostname, observed);
            }
        }
        usage
    }

    /// Whoever follows a name is led to what it lists, whosever record it is: one without our twin, which somebody may
    /// have taken away, or that of a Service with which this one, rejected, can't share it at the moment.
    fn add_asked(&mut self, service: &ServiceKey, hostname: &Hostname, observed: &Observed) {
        let Ok(zone) = dns::zone_of(hostname.as_str(), &observed.zones) else { return };
        let records = observed.records.get(&zone.id);
        let Some(record) = records.and_then(|records| records.get(&dns::address_key(hostname.as_str()))) else {
            return;
        };
        self.add_maybe(service, record.public_ips(), record.ttl.unwrap_or_default());
    }

    fn add(&mut self, service: &ServiceKey, key: &NameKey, name: &OwnedName) {
        self.names.entry(service.clone()).or_default().insert(key.clone());
        self.listed.entry(service.clone()).or_default().extend(name.public_ips());
    }

    fn add_unsettled(&mut self, service: &ServiceKey, change: &Unsettled) {
        self.add_maybe(service, change.public_ips.union(&change.before).copied(), change.ttl);
    }

    fn add_maybe(&mut self, service: &ServiceKey, public_ips: impl Iterator<Item = PublicIp>, ttl: u32) {
        let maybe = self.maybe.entry(service.clone()).or_default();
        for ip in public_ips {
            let highest = maybe.entry(ip).or_default();
            *highest = ttl.max(*highest);
        }
    }

    /// The names that are in use for a Service: those it asks for and those that its twins tell of.
    pub(super) fn names_of(&self, service: &ServiceKey) -> impl Iterator<Item = &NameKey> {
        self.names.get(service).into_iter().flatten()
    }

    /// Whether the name lists the address, whatever became of changes whose outcome isn't known, and though the read
    /// that shows it may be older than what another process did last.
    pub(super) fn surely_lists(&self, key: &NameKey, name: &OwnedName, ip: PublicIp) -> bool {
        self.lists_as_read(key, name, ip) && self.proven.get(key).is_none_or(|proven| proven.contains(&ip))
    }

    /// The same, if the name is as it was read.
    pub(super) fn lists_as_read(&self, key: &NameKey, name: &OwnedName, ip: PublicIp) -> bool {
        name.public_ips().contains(&ip) && self.kept.get(key).is_none_or(|kept| kept.contains(&ip))
    }

    /// The addresses that those list.
    pub(super) fn listed(&self, service: &ServiceKey) -> &BTreeSet<PublicIp> {
        self.listed.get(service).unwrap_or(NONE)
    }

    /// The addresses that those may list though no read shows it, with the highest TTL.
    pub(super) fn maybe_listed(&self, service: &ServiceKey) -> &BTreeMap<PublicIp, u32> {
        self.maybe.get(service).unwrap_or(NO_MAYBE)
    }

    /// [`Usage::listed`] and [`Usage::maybe_listed`] of all Services.
    pub(super) fn all_listed(&self) -> impl Iterator<Item = (&ServiceKey, PublicIp)> {
        let listed = self.listed.iter().flat_map(|(key, ips)| ips.iter().map(move |ip| (key, *ip)));
        listed.chain(self.maybe.iter().flat_map(|(key, ips)| ips.keys().map(move |ip| (key, *ip))))
    }

    /// The zone that a name which is asked for belongs in, and the name.
    pub(super) fn home_of(&self, hostname: &Hostname) -> Option<&NameKey> {
        self.homes.get(hostname)
    }

    /// Where else that name is.
    pub(super) fn elsewhere(&self, hostname: &Hostname) -> &[NameKey] {
        self.elsewhere.get(hostname).map(Vec::as_slice).unwrap_or_default()
    }
}
