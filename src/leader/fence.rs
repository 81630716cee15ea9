//! Who may write, and until when. Owns the deadline, the wait before a new leader's first write, and the count of
//! writes in flight. Asks nobody: the elector tells it what the API server has confirmed.

use crate::clock::SharedClock;
use crate::expose::{Closed, GroupId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::{Notify, watch};

/// When the wall clock gains so much on the monotonic one, the machine was suspended (the monotonic clock stands
/// still then) or somebody set the clock; either way our deadline can't be trusted.
const RUNAWAY: Duration = Duration::from_secs(2);

/// So long a Lease tells of what was closed: for longer than reads are believed to lag.
const TOLD_FOR: Duration = Duration::from_secs(300);

/// It names so many groups at most; of more it tells that they are many.
const MOST_TOLD: usize = 200;

/// Whether this process leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// It waits.
    Candidate,
    /// It leads; writes may have to wait a little still, see [`Fence::writable`].
    Leader {
        /// Counts the terms of this process, from 1.
        term: u64,
    },
}

/// Why a write may not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotLeader(&'static str);

impl fmt::Display for NotLeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not the leader: {}", self.0)
    }
}

impl std::error::Error for NotLeader {}

const NOT_HELD: NotLeader = NotLeader("this process doesn't hold the Lease");
const STOPPED: NotLeader = NotLeader("this process is giving the Lease up");
const LEFT: NotLeader = NotLeader("the term that this was decided in is over");
const TOO_EARLY: NotLeader = NotLeader("writes of a former leader may still be on their way");
const TOO_LATE: NotLeader = NotLeader("the Lease may end before the write does");
const TOO_LONG: NotLeader = NotLeader("the write may take longer than the Lease lasts");

/// A moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub monotonic: Duration,
    pub wall: SystemTime,
}

/// What a confirmed write of the Lease gives.
#[derive(Clone, Debug)]
pub(super) struct Confirmed {
    /// Just before the request was sent.
    pub sent: Moment,
    /// No write before this (monotonic).
    pub first_write: Duration,
    /// What whoever led before may have closed lately.
    pub closed_before: Closed,
    /// Which closings the Lease tells of now.
    pub tells: Closed,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    term: u64,
    deadline: Duration,
    first_write: Duration,
    renewed: Moment,
}

#[derive(Debug, Default)]
struct State {
    term: u64,
    held: Option<Held>,
    /// The term that decisions are made in; `None`: nobody has decided anything yet.
    entered: Option<u64>,
    stopped: bool,
    in_flight: usize,
    /// Who else holds the Lease, as far as known.
    other: Option<String>,
    /// Until when a write that was given up without an answer may still take effect.
    unanswered_until: Duration,
    /// What whoever led before this term may have closed lately.
    closed_before: Closed,
    /// Which closings the Lease tells whoever comes next of, while it is held.
    tells: Closed,
    /// Until when it must tell of which.
    closed: BTreeMap<GroupId, Duration>,
    /// The same, where nobody knows of which.
    closed_any: Duration,
}

struct Inner {
    clock: SharedClock,
    usable: Duration,
    state: Mutex<State>,
    leadership: watch::Sender<Leadership>,
    /// Tells of every change of the state. Those who wait go on in the order they came: of a `watch` that would be drawn
    /// anew each time.
    changes: Notify,
    /// Somebody needs a fresh renewal or a fresh look.
    wanted: Notify,
}

/// The fence: every write asks it, at the last moment before it is sent, for each attempt.
#[derive(Clone)]
pub struct Fence {
    inner: Arc<Inner>,
}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fence").field("state", &*self.state()).finish_non_exhaustive()
    }
}

impl Fence {
    /// `usable`: how long a confirmed renewal counts, from the moment before it was sent: duration - margin.
    pub(super) fn new(clock: SharedClock, usable: Duration) -> Fence {
        let inner = Inner {
            clock,
            usable,
            state: Mutex::default(),
            leadership: watch::Sender::new(Leadership::Candidate),
            changes: Notify::new(),
            wanted: Notify::new(),
        };
        Fence { inner: Arc::new(inner) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.inner.clock.monotonic()
    }

    /// This instant on both clocks.
    pub(super) fn moment(&self) -> Moment {
        Moment { monotonic: self.inner.clock.monotonic(), wall: self.inner.clock.wall() }
    }

    /// What is held at this instant; lets go for good of what isn't any more.
    fn held(&self, state: &mut State) -> Option<Held> {
        let held = state.held?;
        let now = self.moment();
        let elapsed = now.monotonic.saturating_sub(held.renewed.monotonic);
        let by_wall = now.wall.duration_since(held.renewed.wall).unwrap_or_default();
        let runaway = by_wall > elapsed + RUNAWAY;
        if now.monotonic < held.deadline && !runaway {
            return Some(held);
        }
        state.held = None;
        self.tell(Leadership::Candidate);
        if runaway {
            self.inner.wanted.notify_one();
        }
        None
    }

    fn tell(&self, leadership: Leadership) {
        self.inner.leadership.send_if_modified(|known| {
            let news = *known != leadership;
            *known = leadership;
            news
        });
        self.inner.changes.notify_waiters();
    }

    fn leads(&self, state: &mut State) -> Option<Held> {
        if state.stopped { None } else { self.held(state) }
    }

    /// Whether this process leads at this instant.
    pub fn is_leader(&self) -> bool {
        self.leads(&mut self.state()).is_some()
    }

    fn question(&self, state: &mut State, attempt: Duration) -> Result<(), NotLeader> {
        if state.stopped {
            return Err(STOPPED);
        }
        let held = self.held(state).ok_or(NOT_HELD)?;
        let now = self.now();
        match () {
            // Whoever led in between may have changed all that was read before.
            () if state.entered.is_some_and(|entered| entered != held.term) => Err(LEFT),
            () if attempt > self.inner.usable => Err(TOO_LONG),
            () if now < held.first_write => Err(TOO_EARLY),
            () if now + attempt > held.deadline => Err(TOO_LATE),
            () => Ok(()),
        }
    }

    /// From now on it is decided on what is read in this term: writes are refused in any other, also in a later one
    /// of this same process, until that is entered.
    pub fn enter(&self, term: u64) {
        self.state().entered = Some(term);
    }

    /// Whether a write that takes at most `attempt` may start at this instant.
    pub fn permits(&self, attempt: Duration) -> Result<(), NotLeader> {
        self.question(&mut self.state(), attempt)
    }

    /// Starts a write that takes at most `attempt`, if it is permitted at this instant; counted until the answer is
    /// reported or it is given up.
    pub fn begin(&self, attempt: Duration) -> Result<Flight, NotLeader> {
        let mut state = self.state();
        self.question(&mut state, attempt)?;
        state.in_flight += 1;
        drop(state);
        Ok(Flight { fence: self.clone(), until: self.now() + attempt, answered: false })
    }

    /// Like [`Fence::begin`], but a leader whose renewal is merely not fresh enough for the attempt waits for the
    /// next one instead of being refused.
    pub async fn begin_when_fresh(&self, attempt: Duration) -> Result<Flight, NotLeader> {
        loop {
            let change = self.inner.changes.notified();
            match self.begin(attempt) {
                Err(why) if why == TOO_LATE => {}
                other => return other,
            }
            self.inner.wanted.notify_one();
            let left = self.deadline().unwrap_or_default().saturating_sub(self.now());
            let _ = tokio::time::timeout(left.max(Duration::from_millis(1)), change).await;
        }
    }

    /// Tells of changes of leadership, late if the process was busy: what counts is [`Fence::permits`].
    pub fn subscribe(&self) -> watch::Receiver<Leadership> {
        self.inner.leadership.subscribe()
    }

    /// Resolves with the term as soon as this process leads and its writes may start.
    pub async fn writable(&self) -> u64 {
        loop {
            let change = self.inner.changes.notified();
            let held = self.leads(&mut self.state());
            match held {
                Some(held) => {
                    let wait = held.first_write.saturating_sub(self.now());
                    if wait.is_zero() {
                        return held.term;
                    }
                    let _ = tokio::time::timeout(wait, change).await;
                }
                None => change.await,
            }
        }
    }

    /// Resolves as soon as the present term is over; at once when this process doesn't lead.
    pub async fn lost(&self) {
        let term = self.leads(&mut self.state()).map(|held| held.term);
        if let Some(term) = term {
            self.over(term).await;
        }
    }

    /// Resolves as soon as `term` is over; at once when this process doesn't lead, or leads in another one by now.
    pub async fn over(&self, term: u64) {
        loop {
            let change = self.inner.changes.notified();
            let held = self.leads(&mut self.state());
            let Some(held) = held.filter(|held| held.term == term) else { return };
            let left = held.deadline.saturating_sub(self.now());
            let _ = tokio::time::timeout(left.max(Duration::from_millis(1)), change).await;
        }
    }

    /// Who else held the Lease when it was last looked at.
    pub fn other_holder(&self) -> Option<String> {
        self.state().other.clone()
    }

    /// Somebody else holds the Lease. Returns whether that is news.
    pub(super) fn held_by(&self, holder: String) -> bool {
        let mut state = self.state();
        let news = state.other.as_ref() != Some(&holder);
        state.other = Some(holder);
        news
    }

    /// Until when the Lease counts as held.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.held(&mut self.state()).map(|held| held.deadline)
    }

    /// Whether the Lease is held and no former leader's writes are waited for any more, writes stopped or not.
    pub(super) fn holds_undisputed(&self) -> bool {
        let now = self.now();
        self.held(&mut self.state()).is_some_and(|held| held.first_write <= now)
    }

    /// What whoever led before this term may have closed so lately that reads don't show it yet.
    pub fn closed_before(&self) -> Closed {
        self.state().closed_before.clone()
    }

    /// Waits until the Lease tells that this process closes something of these groups. To be asked before anything is
    /// closed: should this process end, whoever comes next knows by it not to trust what is read as open there. It goes on
    /// telling so for some minutes.
    ///
    /// # Errors
    /// When this process doesn't lead.
    pub async fn announce_closings(&self, groups: &BTreeSet<GroupId>) -> Result<(), NotLeader> {
        loop {
            let change = self.inner.changes.notified();
            let left = {
                let mut state = self.state();
                let now = self.now();
                state.closed.extend(groups.iter().map(|group| (group.clone(), now + TOLD_FOR)));
                let held = self.leads(&mut state).ok_or(NOT_HELD)?;
                if state.tells.covers(groups) {
                    return Ok(());
                }
                held.deadline.saturating_sub(now)
            };
            self.inner.wanted.notify_one();
            let _ = tokio::time::timeout(left.max(Duration::from_millis(1)), change).await;
        }
    }

    /// Which closings the next renewal is to tell of; `None` when this process doesn't lead. It is sent at once: what it
    /// doesn't tell of may not begin on the strength of the one before.
    pub(super) fn closings(&self) -> Option<Closed> {
        let mut state = self.state();
        self.leads(&mut state)?;
        let now = self.now();
        state.closed.retain(|_, until| now < *until);
        let any = now < state.closed_any || state.closed.len() > MOST_TOLD;
        let tells = if any { Closed::Any } else { Closed::Of(state.closed.keys().cloned().collect()) };
        if tells != state.tells {
            // Until the new note is confirmed: what is in both.
            let told = state.closed.keys().filter(|group| state.tells.concerns(group)).cloned().collect();
            state.tells = Closed::Of(told);
        }
        Some(tells)
    }

    /// The API server has confirmed a write of the Lease. Returns the term if it begins with this.
    pub(super) fn confirm(&self, confirmed: Confirmed) -> Option<u64> {
        let mut state = self.state();
        let before = self.held(&mut state);
        let term = before.map_or(state.term + 1, |held| held.term);
        state.held = Some(Held {
            term,
            deadline: confirmed.sent.monotonic + self.inner.usable,
            first_write: confirmed.first_write,
            renewed: confirmed.sent,
        });
        if before.is_none() {
            state.closed_before = confirmed.closed_before;
            // Reads may not show to a third one, either, what is told of.
            let until = self.now() + TOLD_FOR;
            match &confirmed.tells {
                Closed::Of(groups) => state.closed.extend(groups.iter().map(|group| (group.clone(), until))),
                Closed::Any => state.closed_any = until,
            }
        }
        state.tells = confirmed.tells;
        // An answer that took too long gives nothing.
        self.held(&mut state)?;
        let began = before.is_none().then_some(term);
        state.term = term;
        state.other = None;
        if state.stopped {
            return None;
        }
        self.tell(Leadership::Leader { term });
        began
    }

    /// The Lease isn't ours (any more). Returns whether it was.
    pub(super) fn drop_leadership(&self) -> bool {
        let mut state = self.state();
        let was = self.held(&mut state).is_some();
        state.held = None;
        self.tell(Leadership::Candidate);
        was
    }

    /// No write starts any more.
    pub(super) fn stop_writes(&self) {
        self.state().stopped = true;
        self.tell(Leadership::Candidate);
    }

    /// Writes may start again, once the Lease is acquired anew.
    pub(super) fn resume_as_candidate(&self) {
        let mut state = self.state();
        state.stopped = false;
        state.held = None;
        drop(state);
        self.tell(Leadership::Candidate);
    }

    /// Waits until no write of this process can take effect any more: each is answered, or its time is over.
    pub(super) async fn settled(&self) {
        loop {
            let change = self.inner.changes.notified();
            let (in_flight, until) = {
                let state = self.state();
                (state.in_flight, state.unanswered_until)
            };
            let wait = until.saturating_sub(self.now());
            if in_flight > 0 {
                change.await;
            } else if !wait.is_zero() {
                let _ = tokio::time::timeout(wait, change).await;
            } else {
                return;
            }
        }
    }

    /// Resolves when a renewal or a look at the Lease is wanted before its time.
    pub(super) async fn wanted(&self) {
        self.inner.wanted.notified().await;
    }
}

/// A write in flight.
#[derive(Debug)]
#[must_use = "a write that isn't answered counts as given up when this is dropped"]
pub struct Flight {
    fence: Fence,
    until: Duration,
    answered: bool,
}

impl Flight {
    /// The answer is there: the write has taken effect or never will.
    pub fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut state = self.fence.state();
        state.in_flight = state.in_flight.saturating_sub(1);
        if !self.answered {
            state.unanswered_until = state.unanswered_until.max(self.until);
        }
        drop(state);
        self.fence.inner.changes.notify_waiters();
    }
}
