//! The loop: snapshot -> desired -> observed -> plan -> apply -> report.
//!
//! Owns *when* a round runs and nothing of what it decides. A change in the cluster starts one after a short
//! quiet time; everything is read anew from AWS on a slow, jittered timer, when leadership was gained and after
//! a read that failed; a plan that waits for a drain or for the next try wakes it at that moment. Only a leader
//! runs rounds; a candidate keeps the cluster's caches warm and waits.

mod calls;
mod once;
mod report;
mod round;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use slog::{Logger, info, warn};
use tokio::sync::watch;

use crate::clock::{SharedClock, SharedRandom, jittered};
use crate::cloud::Cloud;
use crate::cluster::{Cluster, Unreadable};
use crate::expose::brake::Held;
use crate::expose::{Memory, Moment, Node, Reason, Settings, Target};
use crate::leader::Fence;
use crate::metrics::Metrics;
use crate::serve::Progress;

pub use calls::CallsAreProgress;
pub use once::Outcome;

/// When things happen.
#[derive(Clone, Debug)]
pub struct Timing {
    /// A round starts when nothing has changed for this long ...
    pub quiet: Duration,
    /// ... but at the latest this long after the first change.
    pub at_most: Duration,
    /// Everything is read anew from AWS this often (jittered).
    pub full_sync: Duration,
    /// A round that read or wrote nothing successfully is repeated after this, doubled each time ...
    pub retry: Duration,
    /// ... up to this.
    pub retry_at_most: Duration,
    /// Route 53 is asked this often whether a change has reached its servers.
    pub confirm: Duration,
    /// When the loop is told to stop, the answers to writes that are under way are awaited for so long.
    pub last_answers: Duration,
    /// With `--once`, leadership and complete caches are awaited for so long.
    pub ready: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            quiet: Duration::from_millis(100),
            at_most: Duration::from_secs(1),
            full_sync: Duration::from_secs(600),
            retry: Duration::from_secs(1),
            retry_at_most: Duration::from_secs(60),
            confirm: Duration::from_secs(2),
            last_answers: Duration::from_secs(10),
            ready: Duration::from_secs(60),
        }
    }
}

/// What the loop works with.
pub struct Parts {
    /// Kubernetes.
    pub cluster: Arc<Cluster>,
    /// AWS.
    pub cloud: Cloud,
    /// Who leads.
    pub fence: Fence,
    /// The core's configuration.
    pub settings: Settings,
    /// When things happen.
    pub timing: Timing,
    /// Plan and log, but change nothing.
    pub dry_run: bool,
    /// Both clocks.
    pub clock: SharedClock,
    /// Randomness, for jitter.
    pub random: SharedRandom,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where the loop says that it moves.
    pub progress: Progress,
    /// Where it logs.
    pub log: Logger,
}

/// The loop with all that it remembers between rounds.
pub struct Reconciler {
    parts: Parts,
    memory: Memory,
    /// The nodes as of the last round: one that changed has its instance read anew.
    nodes: BTreeMap<String, Node>,
    /// Steps that met a changed world in this round, by target: a few times that is nobody's fault.
    conflicts: BTreeMap<Target, u32>,
    /// In this round something was not begun, since there was so much to do.
    later: bool,
    /// The steps that succeeded lately.
    taken: BTreeMap<Target, round::Taken>,
    /// Rounds in a row that failed as a whole.
    failed_rounds: u32,
    /// Why nothing could be decided after the last read from AWS, for the owners of Services.
    unread_because: Option<(Reason, String)>,
    /// Full reads in a row that missed something.
    unread: u32,
    /// The term of leadership that all this belongs to.
    term: Option<u64>,
    /// When everything is read anew; `None`: at the next round.
    full_at: Option<Moment>,
    /// Withdrawals that wait for a person, as told.
    held: Option<Held>,
    /// Objects that can't be read, as told.
    unreadable: Vec<Unreadable>,
    /// What is to be told when the round is over.
    news: report::News,
    /// Who asks and can't be served, as of the last round, in words for people.
    rejected: Vec<String>,
    /// Rounds in a row in which some condition could not be written.
    failed_conditions: u32,
    /// When those conditions are tried again.
    conditions_at: Option<Moment>,
    /// The last plan of a dry run, so that it is told once.
    told: Option<Vec<String>>,
    /// Nothing new is to be begun.
    stop: watch::Sender<bool>,
}

/// What comes after a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Nothing to do before the cluster or the timer says so, or this moment comes.
    Wait(Option<Moment>),
    /// The round could not be done: try the whole of it again at this moment.
    Again(Moment),
    /// Not the leader any more.
    Lost,
}

impl Reconciler {
    /// The loop, knowing nothing yet.
    pub fn new(parts: Parts) -> Reconciler {
        Reconciler {
            parts,
            memory: Memory::default(),
            nodes: BTreeMap::new(),
            conflicts: BTreeMap::new(),
            taken: BTreeMap::new(),
            later: false,
            failed_rounds: 0,
            unread_because: None,
            unread: 0,
            term: None,
            full_at: None,
            held: None,
            unreadable: Vec::new(),
            news: report::News::default(),
            rejected: Vec::new(),
            failed_conditions: 0,
            conditions_at: None,
            told: None,
            stop: watch::Sender::new(false),
        }
    }

    /// Runs rounds while this process leads, until `shutdown` resolves. A round that is under way then begins
    /// nothing new; the answers to its last writes are awaited, for a bounded time. What it leaves undone is found
    /// by the next leader.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        tokio::pin!(shutdown);
        let mut changes = self.parts.cluster.changes();
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => return,
                () = self.until_ready(&mut changes) => {}
            }
            changes.borrow_and_update();
            let Some(next) = self.round_until(shutdown.as_mut()).await else { return };
            let (until, only_time) = match next {
                Next::Lost => {
                    warn!(self.parts.log, "no longer the leader: writing has stopped");
                    continue;
                }
                Next::Again(at) => (at, true),
                Next::Wait(at) => ([at, self.full_at].into_iter().flatten().min().unwrap_or_default(), false),
            };
            tokio::select! {
                biased;
                () = &mut shutdown => return,
                () = self.pause(until, only_time, &mut changes) => {}
            }
        }
    }

    /// Runs a round; `None` when `shutdown` resolved before its end.
    async fn round_until(&mut self, shutdown: Pin<&mut impl Future<Output = ()>>) -> Option<Next> {
        let (stop, patience) = (self.stop.clone(), self.parts.timing.last_answers);
        let mut round = pin!(self.round());
        tokio::select! {
            biased;
            () = shutdown => {}
            next = &mut round => return Some(next),
        }
        stop.send_replace(true);
        // A write that is dropped is cut off half-way; so it is told to end instead. The elector lets no other start.
        let _ = tokio::time::timeout(patience, round).await;
        None
    }

    /// Waits until this process leads and may write (a dry run need not), and the caches are complete.
    async fn until_ready(&mut self, changes: &mut watch::Receiver<u64>) {
        loop {
            self.parts.progress.tick();
            if !self.parts.dry_run {
                tokio::select! {
                    biased;
                    term = self.parts.fence.writable() => self.enter(term),
                    () = tokio::time::sleep(HEARTBEAT) => continue,
                }
            }
            if self.parts.cluster.synced() && self.parts.cluster.is_trusted() {
                return;
            }
            tokio::select! {
                biased;
                _ = changes.changed() => {}
                () = tokio::time::sleep(HEARTBEAT) => {}
            }
        }
    }

    /// Waits for the next reason to run a round.
    async fn pause(&self, until: Moment, only_time: bool, changes: &mut watch::Receiver<u64>) {
        loop {
            let left = until.0.saturating_sub(self.now().0);
            if left.is_zero() {
                return;
            }
            tokio::select! {
                biased;
                () = self.term_over() => return,
                _ = changes.changed(), if !only_time => break,
                () = tokio::time::sleep(left.min(HEARTBEAT)) => self.parts.progress.tick(),
            }
        }
        // Quiet time: a Deployment's roll-out or a node's start is many changes and one round.
        let latest = tokio::time::Instant::now() + self.parts.timing.at_most;
        loop {
            let quiet = tokio::time::Instant::now() + self.parts.timing.quiet;
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(quiet.min(latest)) => return,
                changed = changes.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Resolves when the term that was entered is over; never in a dry run, which has none.
    async fn term_over(&self) {
        match self.term {
            Some(term) => self.parts.fence.over(term).await,
            None => std::future::pending().await,
        }
    }

    /// A new term of leadership remembers nothing that a leader decides on: its first act is to read everything.
    fn enter(&mut self, term: u64) {
        if self.term == Some(term) {
            return;
        }
        self.term = Some(term);
        self.parts.fence.enter(term);
        self.parts.cluster.begin();
        self.parts.cloud.start_over(self.parts.fence.closed_before());
        self.full_at = None;
        self.memory = Memory::default();
        self.taken.clear();
        self.nodes.clear();
        self.failed_rounds = 0;
        // What happened in a former term is old by now.
        self.news = report::News::default();
    }

    fn now(&self) -> Moment {
        Moment(self.parts.clock.monotonic())
    }

    /// When a round that failed as a whole is repeated.
    fn again(&mut self) -> Next {
        self.failed_rounds = self.failed_rounds.saturating_add(1);
        Next::Again(self.now().after(self.backoff(self.failed_rounds)))
    }

    /// The pause after the `attempts`th failure in a row, jittered.
    fn backoff(&self, attempts: u32) -> Duration {
        let timing = &self.parts.timing;
        let doubled = timing.retry.saturating_mul(1 << attempts.saturating_sub(1).min(16));
        jittered(doubled.min(timing.retry_at_most), self.parts.random.as_ref())
    }

    fn schedule_full_sync(&mut self) {
        let period = jittered(self.parts.timing.full_sync, self.parts.random.as_ref());
        self.full_at = Some(self.now().after(period));
        info!(self.parts.log, "read everything from AWS"; "next" => format!("in {} s", period.as_secs()));
    }
}

/// The loop shows that it moves at least this often, whatever it waits for.
const HEARTBEAT: Duration = Duration::from_secs(5);
