//! Kubernetes in and out: three watches become a [`Snapshot`](crate::expose::Snapshot); publications, conditions
//! and Events become requests.
//!
//! Owns what of the cluster is known and how sure that is. Decides nothing about exposures. Every request goes
//! through the one client that is handed in: time-outs of calls and the write fence are layers of that client.
//! Such a time-out must end with the head of the answer: watches stay open for 50 s.

mod apply;
mod call;
mod error;
mod events;
mod objects;
mod snapshot;
mod store;
mod watch;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use call::LARGEST_ANSWER;
pub use error::{Class, Error};
pub use events::EventKind;
pub use snapshot::Unreadable;

use crate::clock::{SharedClock, SharedRandom};
use crate::expose::{Node, ServiceKey};
use objects::{Slice, StoredService};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::Store;

/// What is known.
#[derive(Default)]
struct State {
    services: Store<StoredService>,
    nodes: Store<Node>,
    slices: Store<Slice>,
    /// Services that a write of ours may or may not have changed, since when.
    uncertain: BTreeMap<ServiceKey, Duration>,
}

/// What went wrong while listing and watching, counted by resource and kind of error.
#[derive(Debug, Default)]
pub struct Counters(Mutex<BTreeMap<(&'static str, &'static str), u64>>);

impl Counters {
    fn add(&self, resource: &'static str, kind: &'static str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((resource, kind)).or_default() += 1;
    }

    /// All that are not zero: resource, kind of error, count.
    pub fn read(&self) -> Vec<(&'static str, &'static str, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|((r, k), n)| (*r, *k, *n)).collect()
    }
}

/// The cluster, as seen and as written by this process.
pub struct Cluster {
    client: kube::Client,
    namespace: Option<String>,
    instance: String,
    list_every: Duration,
    clock: SharedClock,
    random: SharedRandom,
    log: slog::Logger,
    state: Mutex<State>,
    changes: tokio::sync::watch::Sender<u64>,
    /// Moves on when all is to be listed anew.
    terms: tokio::sync::watch::Sender<u64>,
    counters: Counters,
}

impl Cluster {
    /// The cluster behind `client`; Services of one `namespace` only, if given. `instance` names this process in
    /// Events (its holder id). All is listed anew when the last lists are `list_every` old: a watch doesn't tell what
    /// its list has left out. Nothing is asked before [`Cluster::run`].
    pub fn new(
        client: kube::Client,
        namespace: Option<String>,
        instance: impl Into<String>,
        list_every: Duration,
        clock: SharedClock,
        random: SharedRandom,
        log: slog::Logger,
    ) -> Arc<Cluster> {
        Arc::new(Cluster {
            client,
            namespace,
            instance: instance.into(),
            list_every,
            clock,
            random,
            log,
            state: Mutex::default(),
            changes: tokio::sync::watch::Sender::new(0),
            terms: tokio::sync::watch::Sender::new(0),
            counters: Counters::default(),
        })
    }

    /// Keeps the view current. Never returns; dropping it ends all of it.
    pub async fn run(self: Arc<Self>) {
        tokio::join!(self.follow::<StoredService>(), self.follow::<Node>(), self.follow::<Slice>());
    }

    /// This process leads from now on: what it saw before may be older than what the one before it did last, so
    /// there is no [`Cluster::snapshot`] until all has been listed anew.
    pub fn begin(&self) {
        self.with(|s| {
            s.services.distrust();
            s.nodes.distrust();
            s.slices.distrust();
        });
        self.terms.send_modify(|term| *term = term.wrapping_add(1));
    }

    /// Moves on at each change that the core could see.
    pub fn changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What went wrong so far while listing and watching.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn bump(&self) {
        self.changes.send_modify(|n| *n = n.wrapping_add(1));
    }

    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
