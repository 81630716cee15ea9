//! What both recording proxies share: the list of calls in their order, gates that hold a call, and canned answers.
//!
//! It knows nothing of HTTP's transport nor of what a call means.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::{Error, Result};

/// On which side of a call's effect something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Before the server sees the call.
    Before,
    /// After the server answered and before the caller sees the answer.
    After,
}

/// An answer that the proxy gives in the server's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Canned {
    /// The service's own form of an error, with an HTTP status, a code and a message.
    Error(u16, &'static str, &'static str),
    /// The service's own way to say "too fast".
    Throttled,
    /// An HTTP status with an empty body, as a broken load balancer gives it.
    Status(u16),
    /// 200 and nothing.
    Empty,
    /// 200 and a page in HTML, as a captive portal gives it.
    Html,
    /// 200 and so many bytes that begin like an answer.
    Huge(usize),
    /// The first half of the answer (of a made-up one before the effect), then the end of the connection.
    Truncated,
    /// The end of the connection without an answer.
    Reset,
    /// An HTTP status with a body of the test's own.
    Body(u16, &'static str, Bytes),
}

type Matcher<C> = Arc<dyn Fn(&C) -> bool + Send + Sync>;

/// The calls seen so far and the rules for those to come.
pub struct Intercept<C> {
    state: Mutex<State<C>>,
    /// The number of calls seen, to wait for more.
    count: watch::Sender<usize>,
    started: Instant,
}

struct State<C> {
    calls: Vec<C>,
    gates: Vec<GateState<C>>,
    canned: Vec<CannedState<C>>,
}

struct GateState<C> {
    matches: Matcher<C>,
    when: When,
    /// Only the nth matching call (from 1) is held; `None`: every one.
    nth: Option<usize>,
    seen: usize,
    held: watch::Sender<usize>,
    open: watch::Receiver<bool>,
}

struct CannedState<C> {
    matches: Matcher<C>,
    when: When,
    answer: Canned,
    left: usize,
}

/// Holds calls until it is released or dropped.
#[derive(Debug)]
pub struct Gate {
    held: watch::Receiver<usize>,
    open: watch::Sender<bool>,
}

impl Gate {
    /// Waits (at most 30 s) until a call is held.
    pub async fn holds_one(&mut self) -> Result<()> {
        self.holds(1).await
    }

    /// Waits (at most 30 s) until so many calls have been held.
    pub async fn holds(&mut self, count: usize) -> Result<()> {
        let waited = tokio::time::timeout(crate::eventually::PATIENCE, self.held.wait_for(|held| *held >= count)).await;
        match waited {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(Error::new("the proxy of this gate has ended")),
            Err(_) => Err(Error::new(format!("the gate did not see {count} calls to hold"))),
        }
    }

    /// How many calls it has held so far.
    pub fn held(&self) -> usize {
        *self.held.borrow()
    }

    /// Lets the held calls and all later ones through.
    pub fn release(self) {}
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open.send_replace(true);
    }
}

impl<C> fmt::Debug for Intercept<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intercept").field("calls", &*self.count.borrow()).finish_non_exhaustive()
    }
}

impl<C: Clone> Default for Intercept<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Clone> Intercept<C> {
    /// Nothing seen, no rules.
    pub fn new() -> Self {
        let state = State { calls: Vec::new(), gates: Vec::new(), canned: Vec::new() };
        Self { state: Mutex::new(state), count: watch::channel(0).0, started: Instant::now() }
    }

    /// The time since the proxy's start.
    pub fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// All calls in the order in which they came.
    pub fn calls(&self) -> Vec<C> {
        self.lock().calls.clone()
    }

    /// The calls that came after `mark`.
    pub fn calls_since(&self, mark: usize) -> Vec<C> {
        self.lock().calls.get(mark..).unwrap_or_default().to_vec()
    }

    /// How many calls came so far: a mark for [`Self::calls_since`].
    pub fn mark(&self) -> usize {
        *self.count.borrow()
    }

    /// Waits (at most 30 s) until a call that came after `mark` matches, answered or not.
    pub async fn saw(&self, mark: usize, matches: impl Fn(&C) -> bool) -> Result<C> {
        let mut count = self.count.subscribe();
        let found = async {
            loop {
                count.borrow_and_update();
                if let Some(call) = self.calls_since(mark).into_iter().find(|call| matches(call)) {
                    return Ok(call);
                }
                if count.changed().await.is_err() {
                    return Err(Error::new("the proxy has ended"));
                }
            }
        };
        tokio::time::timeout(crate::eventually::PATIENCE, found)
            .await
            .unwrap_or_else(|_| Err(Error::new("no such call came")))
    }

    /// Holds the nth (from 1) of the matching calls from now on.
    pub fn hold_nth(&self, nth: usize, when: When, matches: impl Fn(&C) -> bool + Send + Sync + 'static) -> Gate {
        self.gate(Some(nth), when, Arc::new(matches))
    }

    /// Holds every matching call from now on.
    pub fn hold_all(&self, when: When, matches: impl Fn(&C) -> bool + Send + Sync + 'static) -> Gate {
        self.gate(None, when, Arc::new(matches))
    }

    fn gate(&self, nth: Option<usize>, when: When, matches: Matcher<C>) -> Gate {
        let (held, held_seen) = watch::channel(0);
        let (open, open_seen) = watch::channel(false);
        self.lock().gates.push(GateState { matches, when, nth, seen: 0, held, open: open_seen });
        Gate { held: held_seen, open }
    }

    /// Gives `answer` to the next `times` matching calls. [`When::After`]: the call takes effect all the same.
    pub fn answer(
        &self,
        times: usize,
        when: When,
        answer: Canned,
        matches: impl Fn(&C) -> bool + Send + Sync + 'static,
    ) {
        self.lock().canned.push(CannedState { matches: Arc::new(matches), when, answer, left: times });
    }

    /// Takes all canned answers back.
    pub fn answer_no_more(&self) {
        self.lock().canned.clear();
    }

    /// Adds a call, made from its number; returns the number and the call.
    pub(crate) fn came(&self, call: impl FnOnce(usize) -> C) -> (usize, C) {
        let mut state = self.lock();
        let number = state.calls.len();
        let call = call(number);
        state.calls.push(call.clone());
        drop(state);
        self.count.send_replace(number + 1);
        (number, call)
    }

    /// Changes what is known of a call, and tells who waits.
    pub(crate) fn update(&self, number: usize, change: impl FnOnce(&mut C)) {
        if let Some(call) = self.lock().calls.get_mut(number) {
            change(call);
        }
        self.count.send_modify(|_| {});
    }

    /// Waits until no gate holds `call` on this side of its effect.
    pub(crate) async fn pass(&self, when: When, call: &C) {
        let mut holding = Vec::new();
        {
            let mut state = self.lock();
            state.gates.retain(|gate| !*gate.open.borrow());
            for gate in &mut state.gates {
                if gate.when != when || !(gate.matches)(call) {
                    continue;
                }
                gate.seen += 1;
                if gate.nth.is_none_or(|nth| nth == gate.seen) {
                    gate.held.send_modify(|held| *held += 1);
                    holding.push(gate.open.clone());
                }
            }
        }
        for mut open in holding {
            // An error means that the gate is gone, which opens it.
            let _ = open.wait_for(|open| *open).await;
        }
    }

    /// The canned answer for `call` on this side of its effect, used up by this.
    pub(crate) fn canned_for(&self, when: When, call: &C) -> Option<Canned> {
        let mut state = self.lock();
        state.canned.retain(|canned| canned.left > 0);
        let canned = state.canned.iter_mut().find(|canned| canned.when == when && (canned.matches)(call))?;
        canned.left -= 1;
        Some(canned.answer.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
