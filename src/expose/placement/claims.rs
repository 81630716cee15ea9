//! Who uses which port of which node. A claim that stands is never replaced.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{InstanceId, Port, ServiceKey};

/// Claims on (node, protocol, port).
#[derive(Default)]
pub(super) struct Claims<'a> {
    holders: BTreeMap<&'a InstanceId, BTreeMap<Port, &'a ServiceKey>>,
    services: BTreeMap<&'a InstanceId, BTreeSet<&'a ServiceKey>>,
}

impl<'a> Claims<'a> {
    /// Claims a port of a node, unless somebody has it.
    pub(super) fn claim(&mut self, node: &'a InstanceId, port: Port, service: &'a ServiceKey) {
        self.holders.entry(node).or_default().entry(port).or_insert(service);
        self.services.entry(node).or_default().insert(service);
    }

    /// The ports of the node that somebody has, and who.
    pub(super) fn holders(&self, node: &InstanceId) -> Option<&BTreeMap<Port, &'a ServiceKey>> {
        self.holders.get(node)
    }

    /// How many Services use the node.
    pub(super) fn load(&self, node: &InstanceId) -> usize {
        self.services.get(node).map_or(0, BTreeSet::len)
    }
}
