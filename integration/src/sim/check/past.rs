//! What was so until lately: nobody need know yet that it isn't any more.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::sim::aws::State;
use crate::sim::kube::{NodeView, ServiceView};

use super::aws::changed;
use super::wish::{self, Wish};
use super::{Checker, Known};

/// What somebody else did to an instance may be unknown for so long: what we have written ourselves is believed for some
/// minutes against reads that don't show it.
pub(super) const DISTURBED: Duration = Duration::from_secs(400);

/// Namespace and name.
pub(super) type Key = (String, String);

/// What was so until lately, since it may not be known yet that it isn't any more.
#[derive(Default)]
pub(super) struct Past {
    /// Services as they were, and until when.
    pub(super) services: Vec<(Duration, ServiceView)>,
    /// Nodes as they are.
    pub(super) nodes: BTreeMap<String, NodeView>,
    /// Nodes as they were, and until when.
    pub(super) former: Vec<(Duration, NodeView)>,
    /// Since when there has been a node all the time.
    pub(super) peopled: Option<Duration>,
    /// When somebody else last changed an instance, its interface or its groups.
    pub(super) disturbed: BTreeMap<String, Duration>,
    /// Services that don't ask any more.
    pub(super) stopped: BTreeMap<Key, Stopped>,
    /// When a process last met with a fault: until long after it may not know what is so.
    pub(super) fault: Option<Duration>,
    /// When a read of the API server last met with one, or a process went on that had stood still.
    pub(super) blind: Option<Duration>,
    /// Addresses that left a name of a Service while it had enough others, and haven't come back.
    pub(super) replaced: BTreeSet<(Key, Ipv4Addr)>,
    /// Processes that were told that mass deletion is meant.
    pub(super) consents: BTreeSet<u32>,
}

/// A Service that doesn't ask any more.
pub(super) struct Stopped {
    pub(super) since: Duration,
    /// What it asked for last.
    pub(super) last: Option<Wish>,
    /// Instances that its names list, and where that wasn't open at some time since: whatever is opened there later
    /// is another's.
    pub(super) closed: BTreeSet<String>,
}

impl Checker {
    /// This process runs with `--allow-mass-delete`.
    pub fn consents_to_mass_deletion(&self, replica: u32) {
        self.memory().past.consents.insert(replica);
    }

    pub(super) fn note_nodes(&self, at: Duration) {
        self.kube.look(|look| {
            let mut memory = self.memory();
            let patience = memory.terms.patience.wish;
            let past = &mut memory.past;
            past.forget(at, patience);
            let mut before = std::mem::take(&mut past.nodes);
            for node in look.nodes() {
                let old = before.remove(&node.name);
                match old {
                    Some(old) if old.version == node.version => past.nodes.insert(node.name.clone(), old),
                    old => {
                        past.former.extend(old.map(|old| (at, old)));
                        past.nodes.insert(node.name.clone(), node.clone())
                    }
                };
            }
            past.former.extend(before.into_values().map(|old| (at, old)));
            past.peopled = (!past.nodes.is_empty()).then(|| past.peopled.unwrap_or(at));
        });
    }
}

impl Past {
    /// What was so longer ago is known to everybody.
    pub(super) fn forget(&mut self, at: Duration, patience: Duration) {
        self.services.retain(|(until, _)| at <= *until + patience);
        self.former.retain(|(until, _)| at <= *until + patience);
    }

    /// There is a new Service.
    pub(super) fn service_made(&mut self, new: &Known) {
        if new.wish.is_some() {
            self.stopped.remove(&(new.view.namespace.clone(), new.view.name.clone()));
        }
    }

    /// A Service isn't any more what it was.
    pub(super) fn service_changed(&mut self, at: Duration, old: Known, new: Option<&Known>) {
        let key = (old.view.namespace.clone(), old.view.name.clone());
        match new {
            Some(Known { wish: Some(_), .. }) => {
                self.stopped.remove(&key);
            }
            _ => {
                let stopped = self.stopped.entry(key);
                let stopped = stopped.or_insert(Stopped { since: at, last: None, closed: BTreeSet::new() });
                // While it couldn't be understood it kept what it had by what it asked for before.
                let same = |view: &&ServiceView| view.uid == old.view.uid;
                let former = self.services.iter().rev().map(|(_, view)| view).filter(same).filter_map(wish::wish);
                let mut asked = old.wish.into_iter().chain(former);
                stopped.last = stopped.last.take().or_else(|| asked.find(|wish| wish.valid));
            }
        }
        self.services.push((at, old.view));
    }

    /// Somebody else has changed the account.
    pub(super) fn account_changed(&mut self, at: Duration, before: &State, after: &State) {
        let groups: BTreeSet<String> = changed(&before.groups, &after.groups).into_iter().collect();
        let interfaces: BTreeSet<String> = changed(&before.interfaces, &after.interfaces).into_iter().collect();
        let touched = before.interfaces.values().filter(|interface| {
            interfaces.contains(&interface.id) || interface.groups.keys().any(|group| groups.contains(group))
        });
        let mut instances: BTreeSet<String> = touched.filter_map(|interface| interface.instance.clone()).collect();
        instances.extend(changed(&before.instances, &after.instances));
        // One that is new was nobody's before.
        instances.retain(|instance| before.instances.contains_key(instance));
        self.disturbed.extend(instances.into_iter().map(|instance| (instance, at)));
    }

    /// The nodes of an instance, as they are and as they were.
    pub(super) fn nodes_of<'a>(&'a self, instance: &'a str) -> impl Iterator<Item = &'a NodeView> {
        self.all_nodes().filter(move |node| wish::instance_of(node) == Some(instance))
    }

    fn all_nodes(&self) -> impl Iterator<Item = &NodeView> {
        self.nodes.values().chain(self.former.iter().map(|(_, node)| node))
    }

    /// Whether somebody else has lately changed the instance.
    fn is_disturbed(&self, at: Duration, instance: &str) -> bool {
        self.disturbed.get(instance).is_some_and(|since| at <= *since + DISTURBED)
    }

    /// Whether the address was lately that of a node whose instance has changed since: it may still be taken for that.
    pub(super) fn was_a_nodes(&self, at: Duration, address: Ipv4Addr) -> bool {
        let address = address.to_string();
        self.all_nodes().any(|node| {
            node.addresses.iter().any(|(_, own)| *own == address)
                && wish::instance_of(node).is_some_and(|id| self.is_disturbed(at, id))
        })
    }

    /// Whether the instance is that of one node, and nobody has changed it lately.
    pub(super) fn is_calm(&self, at: Duration, instance: &str) -> bool {
        let named = self.nodes.values().filter(|node| wish::instance_of(node) == Some(instance)).count() == 1;
        let names: BTreeSet<&str> = self.nodes_of(instance).map(|node| node.name.as_str()).collect();
        !self.is_disturbed(at, instance) && named && names.len() == 1
    }
}
