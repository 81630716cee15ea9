//! Who of those that ask is served, and where: what stands in the way of the others, in the order in which it holds.
//!
//! A name that is someone else's and a lack of nodes hold whatever the API server says, so they are found out first.
//! That it refused the addresses a while ago counts only where there is an address to write all the same.

use std::collections::{BTreeMap, BTreeSet};

use super::super::dns::{NameKey, OwnedName};
use super::super::nodes::Joined;
use super::super::placement::Serving;
use super::super::{
    Exposure, Memory, Moment, Observed, Placement, Reason, Rejection, Service, ServiceKey, Settings, Snapshot,
    placement,
};
use super::desired::own_addresses;
use super::name_claims;

/// What all of it is decided on.
pub(super) struct Ground<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) observed: &'a Observed,
    pub(super) settings: &'a Settings,
    pub(super) joined: &'a Joined<'a>,
    pub(super) names: &'a BTreeMap<NameKey, OwnedName>,
    pub(super) serving: &'a Serving,
}

/// What came of it.
pub(super) struct Settled {
    /// Where those are served that can be.
    pub(super) placement: Placement,
    /// All others.
    pub(super) rejections: Vec<Rejection>,
}

impl Ground<'_> {
    /// Decides on all `wishes`; `rejections` are those that were found bad before.
    pub(super) fn decide(
        &self,
        wishes: &[Exposure],
        mut rejections: Vec<Rejection>,
        memory: &Memory,
        now: Moment,
    ) -> Settled {
        let mut wishes: Vec<&Exposure> = wishes.iter().collect();
        let mut refusals: BTreeMap<ServiceKey, Rejection> = BTreeMap::new();
        for wish in &wishes {
            let service = self.snapshot.services.get(&wish.service);
            let refused = service.and_then(|service| refused_trial(service, memory, now));
            refusals.extend(refused.map(|refused| (wish.service.clone(), refused)));
        }
        if refusals.is_empty() {
            return self.settle(&wishes, &rejections);
        }
        // As it would be if the API server refused nothing. Who needs no address besides those that it has isn't
        // refused any: it stays as it is served, or is told what else stands in its way.
        let mut placement = self.settle(&wishes, &rejections).placement;
        loop {
            let (needy, content): (BTreeMap<_, _>, BTreeMap<_, _>) =
                refusals.into_iter().partition(|(key, _)| self.adds_addresses(key, &placement));
            wishes.retain(|wish| !needy.contains_key(&wish.service));
            rejections.extend(needy.into_values());
            let settled = self.settle(&wishes, &rejections);
            if !content.keys().any(|key| self.adds_addresses(key, &settled.placement)) {
                return settled;
            }
            (refusals, placement) = (content, settled.placement);
        }
    }

    /// Whether the placement would put addresses on the Service that it hasn't got.
    fn adds_addresses(&self, key: &ServiceKey, placement: &Placement) -> bool {
        let present = self.snapshot.services.get(key).map(own_addresses).unwrap_or_default();
        let nodes = placement.nodes.get(key).into_iter().flatten();
        let mut wanted = nodes.filter_map(|id| self.joined.alive.get(id)).map(|node| node.private_ip);
        wanted.any(|ip| !present.contains(&ip))
    }

    /// Gives names and nodes to `wishes`. Who is rejected keeps the names that it has, so others can't have them:
    /// they are given out again without those, until nobody is in the way of anybody.
    fn settle(&self, wishes: &[&Exposure], rejections: &[Rejection]) -> Settled {
        let mut rejected: BTreeSet<ServiceKey> = rejections.iter().map(|one| one.service.clone()).collect();
        loop {
            let settled = self.settle_once(wishes, rejections, &rejected);
            let keepers: BTreeSet<ServiceKey> = settled
                .rejections
                .iter()
                .map(|one| &one.service)
                .filter(|key| !rejected.contains(*key))
                .cloned()
                .collect();
            if !self.is_in_the_way(&keepers, wishes, &settled.placement) {
                return settled;
            }
            rejected.extend(keepers);
        }
    }

    fn settle_once(&self, wishes: &[&Exposure], rejections: &[Rejection], rejected: &BTreeSet<ServiceKey>) -> Settled {
        let mut rejections = rejections.to_vec();
        rejections.extend(name_claims::taken(wishes, rejected, &self.snapshot.unreadable, self.names, self.settings));
        let frozen: BTreeSet<ServiceKey> = rejections.iter().map(|rejection| rejection.service.clone()).collect();
        let wishes = wishes.iter().copied().filter(|wish| !frozen.contains(&wish.service));
        let mut placement =
            placement::place(wishes, &frozen, self.serving, self.joined, self.snapshot, self.observed, self.settings);
        rejections.append(&mut placement.rejections);
        Settled { placement, rejections }
    }

    /// Whether one of `keepers` has a name that was given to a Service of another namespace.
    fn is_in_the_way(&self, keepers: &BTreeSet<ServiceKey>, wishes: &[&Exposure], placement: &Placement) -> bool {
        let kept = self.names.values().filter(|name| keepers.contains(&name.service));
        let kept: BTreeMap<&str, &ServiceKey> = kept.map(|name| (name.name.as_str(), &name.service)).collect();
        let served = wishes.iter().filter(|wish| placement.nodes.contains_key(&wish.service));
        !kept.is_empty()
            && served.flat_map(|wish| wish.hostnames.iter().map(move |name| (wish, name))).any(|(wish, name)| {
                kept.get(name.as_str()).is_some_and(|keeper| keeper.namespace != wish.service.namespace)
            })
    }
}

fn refused_trial(service: &Service, memory: &Memory, now: Moment) -> Option<Rejection> {
    let trial = memory.trials.get(&service.key).filter(|trial| trial.uid == service.uid)?;
    let why = trial.refused.as_ref().filter(|_| now < trial.believed_until())?;
    Some(Rejection {
        service: service.key.clone(),
        uid: service.uid.clone(),
        reason: Reason::ExternalIPsForbidden,
        message: format!("the API server refuses spec.externalIPs, so nothing is opened: {why}"),
    })
}
