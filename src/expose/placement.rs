//! Which nodes serve which exposure: a small scheduler with claims on (node, protocol, port).
//!
//! Decides by values alone and remembers nothing: what serves now is read from the Services and the records, so
//! that a restart changes nothing. `claims` knows who uses a port of a node, `room` what still fits into a node's
//! security groups, `survey` what stands between a unit and each node, `choose` which of several good nodes are
//! taken.

mod choose;
mod claims;
mod room;
mod survey;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use super::dns::MAX_VALUES;
use super::nodes::{self, Joined};
use super::{
    Exposure, FieldOwner, Hostname, InstanceId, Observed, Policy, PrivateIp, PublicIp, Reason, Rejection, Service,
    ServiceKey, Settings, Snapshot,
};
use claims::Claims;
use room::Rooms;
use survey::{Quality, Survey, Unit};

/// Which nodes serve which exposure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Chosen nodes of every exposure that is served, in order of preference; never an empty list.
    pub nodes: BTreeMap<ServiceKey, Vec<InstanceId>>,
    /// Exposures that are served, but only by nodes that would not be chosen anew: why, in words for people.
    pub degraded: BTreeMap<ServiceKey, String>,
    /// Exposures that no node can serve.
    pub rejections: Vec<Rejection>,
}

/// What already serves whom, before anything is chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Serving {
    /// Nodes that an exposure is published on now (its addresses on the Service, or in our records).
    pub nodes: BTreeMap<ServiceKey, BTreeSet<InstanceId>>,
    /// Those of them that our records list: the others are draining, or not yet listed.
    pub listed: BTreeMap<ServiceKey, BTreeSet<InstanceId>>,
    /// Those of them that names list which the exposure asks for: the others are about to go.
    pub asked: BTreeMap<ServiceKey, BTreeSet<InstanceId>>,
    /// Those of them whose addresses stand on the Service: kube-proxy serves it there.
    pub published: BTreeMap<ServiceKey, BTreeSet<InstanceId>>,
}

impl Serving {
    /// Whether the Service is published on the node.
    fn has(&self, service: &ServiceKey, node: &InstanceId) -> bool {
        self.nodes.get(service).is_some_and(|nodes| nodes.contains(node))
    }

    /// Whether the node's address stands on the Service.
    fn publishes(&self, service: &ServiceKey, node: &InstanceId) -> bool {
        self.published.get(service).is_some_and(|nodes| nodes.contains(node))
    }

    /// Whether a record of the Service lists the node.
    fn lists(&self, service: &ServiceKey, node: &InstanceId) -> bool {
        self.listed.get(service).is_some_and(|nodes| nodes.contains(node))
    }

    /// Whether that is the record of a name which it asks for.
    fn lists_as_asked(&self, service: &ServiceKey, node: &InstanceId) -> bool {
        self.asked.get(service).is_some_and(|nodes| nodes.contains(node))
    }
}

/// The nodes that every Service is published on now: by the addresses on it that are ours, and by `published`, the
/// public addresses in our records; `asked` are those in records of names that it asks for.
pub fn serving(
    snapshot: &Snapshot,
    joined: &Joined<'_>,
    published: &BTreeMap<ServiceKey, BTreeSet<PublicIp>>,
    asked: &BTreeMap<ServiceKey, BTreeSet<PublicIp>>,
) -> Serving {
    let nodes = |(key, ips): (&ServiceKey, &BTreeSet<PublicIp>)| {
        (key.clone(), ips.iter().filter_map(|ip| joined.by_public.get(ip)).cloned().collect::<BTreeSet<_>>())
    };
    let listed: BTreeMap<ServiceKey, BTreeSet<InstanceId>> = published.iter().map(nodes).collect();
    let asked = asked.iter().map(nodes).collect();
    let mut serving = Serving { nodes: listed.clone(), listed, asked, ..Serving::default() };
    for (key, service) in &snapshot.services {
        if matches!(service.external_ips_owner, FieldOwner::Us | FieldOwner::Legacy) {
            let nodes: BTreeSet<InstanceId> = published_on(service, joined).cloned().collect();
            serving.nodes.entry(key.clone()).or_default().extend(nodes.iter().cloned());
            serving.published.insert(key.clone(), nodes);
        }
    }
    serving
}

/// Chooses nodes for all `exposures`.
///
/// `frozen` are Services that ask but were rejected: they keep the nodes in `serving`, and their ports
/// stay claimed there, as do the `externalIPs` that people set by hand.
///
/// What serves goes first, so that nobody is driven off a node; for the rest, the older Service chooses first.
pub fn place<'e>(
    exposures: impl IntoIterator<Item = &'e Exposure>,
    frozen: &BTreeSet<ServiceKey>,
    serving: &Serving,
    joined: &Joined<'_>,
    snapshot: &Snapshot,
    observed: &Observed,
    settings: &Settings,
) -> Placement {
    let mut sorted: Vec<&Exposure> = exposures.into_iter().collect();
    sorted.sort_by_key(|exposure| age(exposure));
    let unfit = joined
        .alive
        .iter()
        .filter_map(|(id, alive)| Some((id, nodes::ineligible(alive.node, settings.keep_cordoned)?)))
        .collect();
    let mut scheduler = Scheduler {
        joined,
        snapshot,
        observed,
        serving,
        unfit,
        claims: Claims::default(),
        rooms: Rooms::new(joined, observed, settings),
        placement: Placement::default(),
    };
    scheduler.claim_what_stands(&sorted, frozen, settings);
    for unit in scheduler.tie(&sorted) {
        scheduler.place_together(&unit);
    }
    scheduler.placement
}

/// The work in hand while nodes are chosen.
struct Scheduler<'a> {
    joined: &'a Joined<'a>,
    snapshot: &'a Snapshot,
    observed: &'a Observed,
    serving: &'a Serving,
    /// Nodes that must not be chosen anew, and why.
    unfit: BTreeMap<&'a InstanceId, String>,
    claims: Claims<'a>,
    rooms: Rooms,
    placement: Placement,
}

impl<'a> Scheduler<'a> {
    /// Claims for what is there. First for Services that aren't placed but keep what they have: frozen ones, lists that
    /// people set or that the 2018 version left, and everything when nothing may be removed; then for what serves.
    fn claim_what_stands(&mut self, sorted: &[&'a Exposure], frozen: &BTreeSet<ServiceKey>, settings: &Settings) {
        let placed: BTreeSet<&ServiceKey> = sorted.iter().map(|exposure| &exposure.service).collect();
        let stays = |(key, service): &(&'a ServiceKey, &'a Service)| {
            let released = matches!(service.external_ips_owner, FieldOwner::Us | FieldOwner::Nobody)
                && settings.policy == Policy::Sync
                && settings.in_scope(key);
            !placed.contains(*key) && (!released || frozen.contains(*key))
        };
        let staying: Vec<(&ServiceKey, &Service)> = self.snapshot.services.iter().filter(stays).collect();
        for (key, service) in &staying {
            for node in published_on(service, self.joined) {
                service.ports.iter().for_each(|port| self.claims.claim(node, *port, key));
            }
        }
        self.claim_what_serves(sorted);
        // What a record lists, and isn't published, nobody serves: nobody is driven off by it.
        for (key, service) in &staying {
            for node in self.serving.nodes.get(*key).into_iter().flatten() {
                service.ports.iter().for_each(|port| self.claims.claim(node, *port, key));
            }
        }
    }

    /// Claims for what serves now: first where it is published and is to stay, then where it is about to leave, since
    /// an address that is draining is still served; last where only a record lists it, which may be another's that
    /// gave the name up.
    fn claim_what_serves(&mut self, sorted: &[&'a Exposure]) {
        for (published, staying) in [(true, true), (true, false), (false, true), (false, false)] {
            for exposure in sorted {
                for node in self.serving.nodes.get(&exposure.service).into_iter().flatten() {
                    let Some(alive) = self.joined.alive.get(node) else { continue };
                    let unit = Unit::default().with(exposure);
                    let stays = unit.matches(&alive.node.labels) && self.unfit_for(&unit, alive, true).is_none();
                    if stays == staying && self.serving.publishes(&exposure.service, node) == published {
                        for port in &exposure.ports {
                            self.claims.claim(node, *port, &exposure.service);
                        }
                    }
                }
            }
        }
    }

    /// Exposures that have to be on the same nodes because they share a hostname within a namespace, directly or through
    /// others, the eldest first; all others are alone. `sorted` from the eldest on, and so is the result.
    ///
    /// Who can't ever be where its elders are, be it that they can't be together themselves, is rejected, and ties
    /// nobody to anybody. Where anybody is placed doesn't matter here, or those that are tied would depend on where they
    /// are, and turn about.
    fn tie(&mut self, sorted: &[&'a Exposure]) -> Vec<Unit<'a>> {
        let mut units: BTreeMap<usize, Unit<'a>> = BTreeMap::new();
        let mut unit_of: BTreeMap<(&'a str, &'a Hostname), usize> = BTreeMap::new();
        for (position, exposure) in sorted.iter().copied().enumerate() {
            let ids: BTreeSet<usize> = names(exposure).filter_map(|name| unit_of.get(&name).copied()).collect();
            let tied: Vec<&Unit<'a>> = ids.iter().filter_map(|id| units.get(id)).collect();
            let larger = tied.iter().fold(Unit::default(), |larger, unit| larger.and(unit)).with(exposure);
            if let Some((reason, message)) = survey::clash(&tied, exposure) {
                self.reject(exposure, reason, message);
            } else if !self.joined.alive.values().any(|alive| larger.matches(&alive.node.labels)) {
                let (reason, message) = self.survey(&larger).refusal(&larger, self.joined, self.snapshot);
                self.reject(exposure, reason, message);
            } else {
                ids.iter().for_each(|id| drop(units.remove(id)));
                let id = ids.first().copied().unwrap_or(position);
                unit_of.extend(larger.members.iter().flat_map(|member| names(member)).map(|name| (name, id)));
                units.insert(id, larger);
            }
        }
        units.into_values().collect()
    }

    /// Places exposures that are tied on the same nodes. Who finds no node together with its elders is rejected alone.
    fn place_together(&mut self, tied: &Unit<'a>) {
        let mut unit = Unit::default();
        let mut found = Survey::default();
        for exposure in tied.members.iter().copied() {
            let larger = unit.with(exposure);
            let survey = self.survey(&larger);
            // A younger one must not drag its elders from good nodes to worse ones.
            if survey.quality() > Quality::None && survey.quality() >= found.quality() {
                (unit, found) = (larger, survey);
            } else {
                let (reason, message) = survey.refusal(&larger, self.joined, self.snapshot);
                self.reject(exposure, reason, message);
            }
        }
        if !unit.members.is_empty() {
            self.settle(&unit, found);
        }
    }

    fn reject(&mut self, exposure: &Exposure, reason: Reason, message: String) {
        let service = exposure.service.clone();
        self.placement.rejections.push(Rejection { service, uid: exposure.uid.clone(), reason, message });
    }

    /// Chooses among what was found, and claims it.
    fn settle(&mut self, unit: &Unit<'a>, found: Survey<'a>) {
        let max = unit.max_nodes();
        let mut degraded = found.degradation().or_else(|| unit.unread_endpoints());
        let candidates = if found.fit.is_empty() { found.unfit_serving } else { found.fit };
        let matching = candidates.len();
        let (serving, others): (Vec<_>, Vec<_>) =
            candidates.into_iter().partition(|alive| unit.any(|key| self.serving.has(key, &alive.instance.id)));
        let (listed, leaving): (Vec<_>, Vec<_>) =
            serving.into_iter().partition(|alive| unit.any(|key| self.serving.lists(key, &alive.instance.id)));
        let max = match max.min(matching) > MAX_VALUES {
            true => {
                degraded.get_or_insert_with(|| {
                    format!(
                        "a DNS record holds at most {MAX_VALUES} addresses, so of {} nodes only as many serve: set \
                         `maxips` or a narrower selector",
                        max.min(matching)
                    )
                });
                MAX_VALUES
            }
            false => max,
        };
        let (asked, listed): (Vec<_>, Vec<_>) =
            listed.into_iter().partition(|alive| unit.any(|key| self.serving.lists_as_asked(key, &alive.instance.id)));
        let mut chosen = Vec::new();
        // Among those that serve already only what doesn't change counts, so that the choice doesn't either.
        for serving in [asked, listed, leaving] {
            choose::spread(&mut chosen, serving, max, |_| 0);
        }
        let (full, roomy): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|alive| self.observed.full.contains_key(&alive.instance.id));
        // A change of course would undo what was done so far, and hold up those who wait for it.
        let (begun, roomy): (Vec<_>, Vec<_>) =
            roomy.into_iter().partition(|alive| self.rooms.holds(&alive.instance.id, &unit.rules));
        for others in [begun, roomy, full] {
            choose::spread(&mut chosen, others, max, |alive| self.claims.load(&alive.instance.id));
        }
        for alive in &chosen {
            let node = &alive.instance.id;
            for exposure in &unit.members {
                for port in &exposure.ports {
                    self.claims.claim(node, *port, &exposure.service);
                }
            }
            self.rooms.take(node, &unit.rules);
        }
        let ids: Vec<InstanceId> = chosen.iter().map(|alive| alive.instance.id.clone()).collect();
        for exposure in &unit.members {
            self.placement.nodes.insert(exposure.service.clone(), ids.clone());
            if let Some(why) = &degraded {
                self.placement.degraded.insert(exposure.service.clone(), why.clone());
            }
        }
    }
}

/// The nodes whose private addresses stand on the Service.
fn published_on<'a>(service: &Service, joined: &'a Joined<'_>) -> impl Iterator<Item = &'a InstanceId> {
    let ips = service.external_ips.iter().filter_map(|ip| ip.parse().ok());
    ips.filter_map(|ip| joined.by_private.get(&PrivateIp(ip)))
}

/// Sorts the eldest first.
fn age(exposure: &Exposure) -> (i64, &ServiceKey) {
    (exposure.created, &exposure.service)
}

/// What ties it to others.
fn names(exposure: &Exposure) -> impl Iterator<Item = (&str, &Hostname)> {
    exposure.hostnames.iter().map(|hostname| (exposure.service.namespace.as_str(), hostname))
}
