//! From the stores to what the core sees. Says nothing at all rather than something old or incomplete.

use super::objects::{Resource, Slice, StoredService};
use super::store::Store;
use super::watch::Watched;
use super::{Cluster, State};
use crate::expose::{Node, ServiceKey, Snapshot};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A view that wasn't confirmed for so long is no ground for decisions.
const STALE: Duration = Duration::from_secs(120);

/// A write whose outcome is unknown holds decisions back for at most so long: had it happened, a watch that is
/// alive would have told by then.
const UNCERTAIN: Duration = Duration::from_secs(60);

/// An object whose last version couldn't be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Plural name of its kind.
    pub resource: &'static str,
    /// Namespace (empty for nodes) and name.
    pub key: ServiceKey,
    /// Its uid.
    pub uid: String,
    /// What is wrong with it.
    pub message: String,
    /// There is no earlier version that could be read: the snapshot doesn't hold it, though it exists.
    pub never_read: bool,
}

impl Watched for StoredService {
    fn store(state: &mut State) -> &mut Store<StoredService> {
        &mut state.services
    }
}

impl Watched for Node {
    fn store(state: &mut State) -> &mut Store<Node> {
        &mut state.nodes
    }
}

impl Watched for Slice {
    fn store(state: &mut State) -> &mut Store<Slice> {
        &mut state.slices
    }

    /// Only Services with `externalTrafficPolicy: Local` look at endpoints.
    fn relevant(&self, state: &State, namespace: &str) -> bool {
        let key = ServiceKey::new(namespace, self.service.as_str());
        state.services.get(&key).is_some_and(|s| s.local)
    }
}

fn unreadable<T: Resource>(store: &Store<T>) -> impl Iterator<Item = Unreadable> {
    store.iter().filter_map(|(key, entry)| {
        Some(Unreadable {
            resource: T::NAME,
            key: key.clone(),
            uid: entry.uid.clone(),
            message: entry.broken.clone()?.why,
            never_read: entry.good.is_none(),
        })
    })
}

/// The EndpointSlices that were never readable, each with the Service that it is of (empty: of none; `None`: not even that
/// can be read), and why it isn't known where that one's endpoints are.
fn unread_endpoints(state: &State) -> Vec<(&ServiceKey, Option<&str>, String)> {
    let never_read = state.slices.iter().filter(|(_, entry)| entry.good.is_none());
    never_read
        .filter_map(|(key, entry)| {
            let broken = entry.broken.as_ref()?;
            let why = format!("its EndpointSlice {} can't be read, so it stays where it is: {}", key.name, broken.why);
            Some((key, broken.service.as_deref(), why))
        })
        .collect()
}

impl State {
    fn is_trusted(&self) -> bool {
        !self.services.is_distrusted() && !self.nodes.is_distrusted() && !self.slices.is_distrusted()
    }

    fn is_current(&self, now: Duration) -> bool {
        let fresh = |complete: bool, alive: Option<Duration>| {
            complete && alive.is_some_and(|at| now.saturating_sub(at) <= STALE)
        };
        fresh(self.services.complete(), self.services.alive_at())
            && fresh(self.nodes.complete(), self.nodes.alive_at())
            && fresh(self.slices.complete(), self.slices.alive_at())
    }
}

impl Cluster {
    /// Whether all three lists were read completely at least once.
    pub fn synced(&self) -> bool {
        self.missing().is_empty()
    }

    /// What was never listed completely: plural names of kinds.
    pub fn missing(&self) -> Vec<&'static str> {
        let complete = self.with(|s| {
            [
                (StoredService::NAME, s.services.complete()),
                (Node::NAME, s.nodes.complete()),
                (Slice::NAME, s.slices.complete()),
            ]
        });
        complete.into_iter().filter(|(_, complete)| !complete).map(|(name, _)| name).collect()
    }

    /// Whether the view is complete and each part of it has had a sign of life in the last two minutes.
    pub fn is_current(&self) -> bool {
        let now = self.clock.monotonic();
        self.with(|s| s.is_current(now))
    }

    /// Whether all has been listed anew since [`Cluster::begin`].
    pub fn is_trusted(&self) -> bool {
        self.with(|s| s.is_trusted())
    }

    /// Objects that exist but whose last version couldn't be decoded; their owners are to be told.
    pub fn unreadable(&self) -> Vec<Unreadable> {
        self.with(|s| unreadable(&s.services).chain(unreadable(&s.nodes)).chain(unreadable(&s.slices)).collect())
    }

    /// The cluster as known now. `None` until all lists are complete, also after [`Cluster::begin`]; while one of the
    /// views has had no sign of life (list, event, bookmark, orderly reopening) for two minutes; and for a minute at
    /// most while the outcome of a write of ours is unknown.
    pub fn snapshot(&self) -> Option<Snapshot> {
        let now = self.clock.monotonic();
        self.with(|s| {
            let usable = s.is_current(now) && s.is_trusted();
            let services = &s.services;
            s.uncertain.retain(|key, since| now.saturating_sub(*since) <= UNCERTAIN && services.entry(key).is_some());
            if !usable || !s.uncertain.is_empty() {
                return None;
            }
            Some(take(s))
        })
    }
}

fn take(state: &State) -> Snapshot {
    let mut local: BTreeMap<ServiceKey, BTreeSet<String>> = BTreeMap::new();
    let slices = state.slices.iter();
    for (key, slice) in slices.filter_map(|(k, e)| e.good.as_ref().map(|s| (k, s))) {
        let service = ServiceKey::new(key.namespace.as_str(), slice.service.as_str());
        if state.services.get(&service).is_some_and(|s| s.local) {
            local.entry(service).or_default().extend(slice.nodes.iter().cloned());
        }
    }
    let unread = unread_endpoints(state);
    let services = state.services.iter().filter_map(|(key, entry)| {
        let stored = entry.good.as_ref()?;
        let mut service = stored.service.clone();
        if stored.local {
            service.local_nodes = Some(local.remove(key).unwrap_or_default());
            let its = unread.iter().find(|(slice, of, _)| {
                slice.namespace == key.namespace && of.is_none_or(|service| service == key.name)
            });
            service.unread_endpoints = its.map(|(.., why)| why.clone());
        }
        Some((key.clone(), service))
    });
    let nodes = state.nodes.iter().filter_map(|(key, entry)| {
        let node = entry.good.as_ref()?;
        Some((key.name.clone(), node.clone()))
    });
    Snapshot {
        services: services.collect(),
        nodes: nodes.collect(),
        unreadable: unreadable(&state.services).filter(|one| one.never_read).map(|one| one.key).collect(),
        unreadable_nodes: unreadable(&state.nodes).any(|one| one.never_read),
    }
}
