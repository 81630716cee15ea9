//! What of the firewall is sure where reads may be older than what was done last.
//!
//! Right after another process was in charge, the rules of a Service are open where it is published: its addresses are
//! taken off before anything is closed, and Kubernetes' reads don't lag. (Should it have asked for something else in
//! between, its rules may be closed all the same: the read that is made as soon as none can be behind any more tells, see
//! `Cloud::sure_at`. Opening all of them once more at each takeover would cost more than it is worth.) All
//! else is sure only once this process has written it, and so is what it may have closed itself, where the answer was lost.

use std::collections::{BTreeMap, BTreeSet};

use super::super::nodes::Joined;
use super::super::{Exposure, Group, Instance, InstanceId, Observed, Rule, ServiceKey, Snapshot, firewall};
use super::desired::own_addresses;

/// What is sure, of the groups and of what they are attached to.
#[derive(Clone, Debug)]
pub(super) struct Proof<'a> {
    observed: &'a Observed,
    /// The rules of the Services that are published on each instance.
    served: BTreeMap<InstanceId, BTreeSet<Rule>>,
}

impl<'a> Proof<'a> {
    pub(super) fn new(
        snapshot: &Snapshot,
        exposures: &BTreeMap<ServiceKey, Exposure>,
        joined: &Joined<'_>,
        observed: &'a Observed,
    ) -> Proof<'a> {
        let mut served: BTreeMap<InstanceId, BTreeSet<Rule>> = BTreeMap::new();
        if observed.opened.is_none() && observed.unproven.is_empty() {
            return Proof { observed, served };
        }
        for (key, service) in &snapshot.services {
            let rules = exposures.get(key).map(firewall::rules).unwrap_or_default();
            for id in own_addresses(service).iter().filter_map(|ip| joined.by_private.get(ip)) {
                served.entry(id.clone()).or_default().extend(&rules);
            }
        }
        Proof { observed, served }
    }

    /// Whether a group that is read as attached to the instance surely is.
    pub(super) fn is_attached(&self, id: &InstanceId, group: &Group) -> bool {
        let serves = || {
            let served = self.served.get(id);
            served.is_some_and(|served| group.rules.keys().any(|rule| served.contains(rule)))
        };
        !self.observed.detachments.contains_key(id) && (!self.observed.unproven.contains(id) || serves())
    }

    /// Whether a rule that is read in a group of the instance surely is there.
    pub(super) fn is_there(&self, id: &InstanceId, group: &Group, rule: &Rule) -> bool {
        let place = (group.id.clone(), *rule);
        if self.observed.closings.contains_key(&place) {
            return false;
        }
        let Some(opened) = self.observed.opened.as_ref().filter(|_| self.observed.closed.concerns(&group.id)) else {
            return true;
        };
        opened.contains(&place) || self.served.get(id).is_some_and(|rules| rules.contains(rule))
    }

    /// Every rule that lets traffic reach the instance as far as reads show, and that this process hasn't tried to close.
    pub(super) fn shown_rules(&self, instance: &Instance) -> BTreeSet<Rule> {
        if self.observed.detachments.contains_key(&instance.id) {
            return BTreeSet::new();
        }
        let closing = |group: &Group, rule: &Rule| self.observed.closings.contains_key(&(group.id.clone(), *rule));
        self.rules(instance).filter(|(group, rule)| !closing(group, rule)).map(|(_, rule)| *rule).collect()
    }

    /// The rules of the groups of ours that the instance has.
    fn rules<'b>(&'b self, instance: &'b Instance) -> impl Iterator<Item = (&'b Group, &'b Rule)> {
        let groups = instance.groups.iter().filter_map(|id| self.observed.groups.get(id));
        groups.flat_map(|group| group.rules.keys().map(move |rule| (group, rule)))
    }

    /// Every rule that surely lets traffic reach the instance through a group of ours: open and attached.
    pub(super) fn open_rules(&self, instance: &Instance) -> BTreeSet<Rule> {
        let id = &instance.id;
        let is_there = |(group, rule): &(&Group, &Rule)| self.is_attached(id, group) && self.is_there(id, group, rule);
        self.rules(instance).filter(is_there).map(|(_, rule)| *rule).collect()
    }
}
