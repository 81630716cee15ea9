//! From the stores to what the core sees. Says nothing at all rather than something old or incomplete.

use super::objects::{Resource, Slice, StoredService};
use super::store::{Entry, Store};
use super::watch::Watched;
use super::{Cluster, State};
use crate::expose::{Node, Service, ServiceKey, Snapshot};
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

/// The Services that are served only where they have endpoints, while it can't be told where they have all of them; why.
fn placeless(state: &State) -> BTreeMap<&ServiceKey, String> {
    let mut found = BTreeMap::new();
    for (slice, entry) in state.slices.iter().filter(|(_, entry)| entry.good.is_none()) {
        let Some(broken) = &entry.broken else { continue };
        let is_its = |key: &ServiceKey| {
            key.namespace == slice.namespace && broken.service.as_ref().is_none_or(|service| *service == key.name)
        };
        let local = |entry: &Entry<StoredService>| entry.good.as_ref().is_some_and(|service| service.local);
        let its = state.services.iter().filter(|(key, entry)| is_its(key) && local(entry));
        found.extend(
            its.map(|(key, _)| (key, format!("its EndpointSlice {} can't be read: {}", slice.name, broken.why))),
        );
    }
    found
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

    /// Objects that exist but whose last version couldn't be decoded, and Services that can't be served without them;
    /// their owners are to be told.
    pub fn unreadable(&self) -> Vec<Unreadable> {
        self.with(|s| {
            let placeless = placeless(s).into_iter().map(|(key, message)| Unreadable {
                resource: StoredService::NAME,
                key: key.clone(),
                uid: s.services.entry(key).map(|entry| entry.uid.clone()).unwrap_or_default(),
                message,
                never_read: true,
            });
            let objects = unreadable(&s.services).chain(unreadable(&s.nodes)).chain(unreadable(&s.slices));
            objects.chain(placeless).collect()
        })
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
    let placeless = placeless(state);
    let services = state.services.iter().filter(|(key, _)| !placeless.contains_key(key)).filter_map(|(key, entry)| {
        let stored = entry.good.as_ref()?;
        let mut service = stored.service.clone();
        if stored.local {
            service.local_nodes = Some(local.remove(key).unwrap_or_default());
        }
        Some((key.clone(), service))
    });
    let nodes = state.nodes.iter().filter_map(|(key, entry)| {
        let node = entry.good.as_ref()?;
        Some((key.name.clone(), node.clone()))
    });
    let services: BTreeMap<ServiceKey, Service> = services.collect();
    let unread = unreadable(&state.services).filter(|one| one.never_read).map(|one| one.key);
    Snapshot {
        services,
        nodes: nodes.collect(),
        unreadable: unread.chain(placeless.into_keys().cloned()).collect(),
        unreadable_nodes: unreadable(&state.nodes).any(|one| one.never_read),
    }
}
