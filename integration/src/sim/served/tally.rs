//! What has happened, counted as it happens.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::sim::event::{Actor, Call, Event, Seam};
use crate::sim::fault::{Fault, Garble};
use crate::sim::rest::is_write;

/// Faults of the last minutes that are kept.
const KEPT: usize = 5000;
/// Calls whose answer isn't there yet.
const OPEN: usize = 1000;

/// What has happened so far. Clones are the same.
#[derive(Clone, Default)]
pub struct Tally(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    calls: u64,
    changes: u64,
    faults: u64,
    writes: u64,
    last_write: Duration,
    open: BTreeMap<u64, Seam>,
    met: VecDeque<(Duration, Seam, &'static str)>,
}

/// Faults of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Met {
    /// With whom.
    pub seam: Seam,
    /// What, for people.
    pub what: &'static str,
    /// How often.
    pub count: usize,
}

impl Tally {
    /// Something happened.
    pub fn see(&self, at: Duration, event: &Event) {
        let mut counts = self.counts();
        if is_write(event) {
            counts.writes += 1;
            counts.last_write = at;
        }
        match event {
            Event::Called(Call { actor: Actor::Replica(_), number, seam, .. }) => {
                counts.calls += 1;
                counts.open.insert(*number, *seam);
                if counts.open.len() > OPEN {
                    counts.open.pop_first();
                }
            }
            Event::Answered { call, .. } => {
                counts.open.remove(call);
            }
            Event::Fault { call, fault } => {
                counts.faults += 1;
                let seam = counts.open.get(call).copied().unwrap_or(Seam::Aws);
                counts.met.push_back((at, seam, kind(fault)));
                if counts.met.len() > KEPT {
                    counts.met.pop_front();
                }
            }
            Event::Changed { .. } => counts.changes += 1,
            Event::Called(_) | Event::Process { .. } | Event::Note(_) => {}
        }
    }

    /// Requests of daemons.
    pub fn calls(&self) -> u64 {
        self.counts().calls
    }

    /// Changes of the account and of the cluster, whoever made them. The checker judges each.
    pub fn changes(&self) -> u64 {
        self.counts().changes
    }

    /// Faults that daemons met.
    pub fn faults(&self) -> u64 {
        self.counts().faults
    }

    /// When a daemon last sent a write, but for the Lease's: time since the world's beginning.
    pub fn last_write(&self) -> Duration {
        self.counts().last_write
    }

    /// The faults since `from`, the most frequent first.
    pub fn met_since(&self, from: Duration) -> Vec<Met> {
        let mut counts: BTreeMap<(Seam, &'static str), usize> = BTreeMap::new();
        for (_, seam, what) in self.counts().met.iter().filter(|(at, ..)| *at >= from) {
            *counts.entry((*seam, what)).or_default() += 1;
        }
        let mut met: Vec<Met> = counts.into_iter().map(|((seam, what), count)| Met { seam, what, count }).collect();
        met.sort_by_key(|one| std::cmp::Reverse(one.count));
        met
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A fault in a few words.
fn kind(fault: &Fault) -> &'static str {
    match fault {
        Fault::Refuse { code: "RequestLimitExceeded" | "Throttling" | "TooManyRequests", .. } => "throttled",
        Fault::Refuse { status: 403, .. } => "access denied",
        Fault::Refuse { status: 409, .. } => "conflict",
        Fault::Refuse { status: 410, .. } => "history gone",
        Fault::Refuse { status: 400..500, .. } => "refused",
        Fault::Refuse { .. } => "server error",
        Fault::Unreachable => "no connection",
        Fault::LostBefore => "request lost",
        Fault::LostAfter => "answer lost, done",
        Fault::Hang { effect: true } => "no answer, done",
        Fault::Hang { effect: false } => "no answer",
        Fault::Late(_) => "done much later",
        Fault::Slow(_) => "slow",
        Fault::Garbled(Garble::Html) => "HTML for an answer",
        Fault::Garbled(_) => "garbled answer",
        Fault::Stale(_) => "the past shown",
        Fault::Omits => "one thing left out",
        Fault::Empty => "empty list",
        Fault::Shrunken => "shrunken list",
        Fault::PageExpired => "page expired",
        Fault::PageRepeats => "page repeated",
        Fault::WatchEnds(_) | Fault::WatchGone => "watch dropped",
        Fault::WatchSilent | Fault::WatchStalls(_) => "silent watch",
        Fault::NoBookmarks => "no bookmarks",
        Fault::Undecodable => "undecodable object",
    }
}
