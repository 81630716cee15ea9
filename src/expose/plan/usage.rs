//! What is in use already, indexed once per plan: the names of each Service, what they list, and where the names that
//! are asked for belong. A look-up must not cost a walk over all names: there are as many as there are Services.

use std::collections::{BTreeMap, BTreeSet};

use super::super::dns::{self, Hostname, NameKey, OwnedName, Zone, ZoneId};
use super::super::{Exposure, PublicIp, ServiceKey};

const NONE: &BTreeSet<PublicIp> = &BTreeSet::new();

/// The names that are ours, by the Services that use them.
#[derive(Clone, Debug, Default)]
pub(super) struct Usage {
    /// The names that are in use for a Service.
    names: BTreeMap<ServiceKey, BTreeSet<NameKey>>,
    /// The addresses that they list.
    listed: BTreeMap<ServiceKey, BTreeSet<PublicIp>>,
    /// Where the names that somebody asks for belong.
    homes: BTreeMap<Hostname, NameKey>,
    /// Where else they are, though they don't belong there any more.
    elsewhere: BTreeMap<Hostname, Vec<NameKey>>,
}

impl Usage {
    pub(super) fn new(
        exposures: &BTreeMap<ServiceKey, Exposure>,
        names: &BTreeMap<NameKey, OwnedName>,
        zones: &BTreeMap<ZoneId, Zone>,
    ) -> Usage {
        let mut usage = Usage::default();
        let mut by_hostname: BTreeMap<&str, Vec<(&NameKey, &OwnedName)>> = BTreeMap::new();
        for (key, name) in names {
            usage.add(&name.service, key, name);
            by_hostname.entry(&name.name).or_default().push((key, name));
        }
        for exposure in exposures.values() {
            for hostname in &exposure.hostnames {
                let found = by_hostname.get(hostname.as_str()).map(Vec::as_slice).unwrap_or_default();
                for (key, name) in found {
                    usage.add(&exposure.service, key, name);
                }
                if usage.homes.contains_key(hostname) {
                    continue;
                }
                let Ok(zone) = dns::zone_of(hostname.as_str(), zones) else { continue };
                let elsewhere = found.iter().filter(|(_, name)| name.zone != zone.id).map(|(key, _)| (*key).clone());
                usage.elsewhere.insert(hostname.clone(), elsewhere.collect());
                usage.homes.insert(hostname.clone(), (zone.id.clone(), hostname.as_str().to_owned()));
            }
        }
        usage
    }

    fn add(&mut self, service: &ServiceKey, key: &NameKey, name: &OwnedName) {
        self.names.entry(service.clone()).or_default().insert(key.clone());
        self.listed.entry(service.clone()).or_default().extend(name.public_ips());
    }

    /// The names that are in use for a Service: those it asks for and those that its twins tell of.
    pub(super) fn names_of(&self, service: &ServiceKey) -> impl Iterator<Item = &NameKey> {
        self.names.get(service).into_iter().flatten()
    }

    /// The addresses that those list.
    pub(super) fn listed(&self, service: &ServiceKey) -> &BTreeSet<PublicIp> {
        self.listed.get(service).unwrap_or(NONE)
    }

    /// [`Usage::listed`] of all Services.
    pub(super) fn all_listed(&self) -> impl Iterator<Item = (&ServiceKey, &BTreeSet<PublicIp>)> {
        self.listed.iter()
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
