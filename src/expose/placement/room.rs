//! What still fits into the security groups of each node: EC2 limits the groups of an interface and the rules of a
//! group.

use std::collections::{BTreeMap, BTreeSet};

use super::super::firewall;
use super::super::nodes::Joined;
use super::super::{Group, Instance, InstanceId, Observed, Rule, Settings};

/// The room on every node.
pub(super) struct Rooms {
    nodes: BTreeMap<InstanceId, Room>,
}

#[derive(Default)]
struct Room {
    /// Rules that our groups hold already.
    present: BTreeSet<Rule>,
    /// Rules that are chosen to go there and aren't there yet.
    coming: BTreeSet<Rule>,
    /// How many more IPv4 and IPv6 rules fit.
    free: (usize, usize),
}

impl Rooms {
    pub(super) fn new(joined: &Joined<'_>, observed: &Observed, settings: &Settings) -> Rooms {
        let groups = firewall::groups_by_instance(observed, settings);
        let none = BTreeMap::new();
        let room = |id, instance| Room::new(instance, groups.get(id).unwrap_or(&none), settings);
        Rooms { nodes: joined.alive.iter().map(|(id, alive)| (id.clone(), room(id, alive.instance))).collect() }
    }

    /// Whether the node's groups can hold all of `rules` besides what was chosen before.
    pub(super) fn fits(&self, node: &InstanceId, rules: &BTreeSet<Rule>) -> bool {
        let Some(room) = self.nodes.get(node) else { return false };
        // Nearly always there is plenty of room, and no need to count exactly.
        if room.coming.len() + rules.len() <= room.free.0.min(room.free.1) {
            return true;
        }
        let added = rules.iter().filter(|rule| !room.present.contains(rule) && !room.coming.contains(rule));
        let v6 = |rule: &&Rule| rule.source.is_v6();
        let (new_v6, new): (Vec<&Rule>, Vec<&Rule>) = added.partition(v6);
        if new.is_empty() && new_v6.is_empty() {
            return true;
        }
        let coming_v6 = room.coming.iter().filter(v6).count();
        let coming_v4 = room.coming.len() - coming_v6;
        coming_v4 + new.len() <= room.free.0 && coming_v6 + new_v6.len() <= room.free.1
    }

    /// Whether the node's groups hold all of `rules` already.
    pub(super) fn holds(&self, node: &InstanceId, rules: &BTreeSet<Rule>) -> bool {
        self.nodes.get(node).is_some_and(|room| rules.is_subset(&room.present))
    }

    /// Counts `rules` as being on the node.
    pub(super) fn take(&mut self, node: &InstanceId, rules: &BTreeSet<Rule>) {
        if let Some(room) = self.nodes.get_mut(node) {
            let new = rules.iter().filter(|rule| !room.present.contains(rule)).copied();
            room.coming.extend(new);
        }
    }
}

impl Room {
    fn new(instance: &Instance, groups: &BTreeMap<usize, &Group>, settings: &Settings) -> Room {
        let firewall::Room { held, free } = firewall::room_of(instance, groups, settings);
        Room { present: held, coming: BTreeSet::new(), free }
    }
}
