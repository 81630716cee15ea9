//! Faults for a time: which calls meet them, and how often.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::sim::chaos::Fate;
use crate::sim::event::{Actor, Call, Event, Seam};
use crate::sim::fault::Fault;
use crate::sim::rest::is_write;
use crate::sim::{Clock, Random};

use super::catalogue::{Kinds, faults_of};

/// Faults for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    /// What can go wrong.
    pub kinds: Kinds,
    /// With whom; `None`: with both.
    pub seam: Option<Seam>,
    /// Only the calls of this process.
    pub only: Option<u32>,
    /// Whether calls about the Lease meet them too.
    pub lease: bool,
    /// Of a hundred calls so many.
    pub percent: u32,
    /// For how long.
    pub lasts: Duration,
}

/// Decides about all calls of a history. Clones are the same.
#[derive(Clone)]
pub struct Sky(Arc<Mutex<Kept>>);

struct Kept {
    clock: Clock,
    random: Random,
    weathers: Vec<(Weather, Duration)>,
    /// Who was told the last thing of this kind wrongly. No two reads in a row lie: what is read twice is believed, and
    /// nobody could do better.
    deceived: BTreeSet<(Actor, String)>,
    /// Processes that die at one of their writes: who, writes left, whether it takes effect.
    dying: Vec<(u32, u32, bool)>,
}

impl Sky {
    /// Fair weather.
    pub fn new(clock: Clock, random: Random) -> Sky {
        Sky(Arc::new(Mutex::new(Kept {
            clock,
            random,
            weathers: Vec::new(),
            deceived: BTreeSet::new(),
            dying: Vec::new(),
        })))
    }

    /// Begins to decide.
    pub fn plan(&self) -> impl FnMut(&Call) -> Fate + Send + 'static {
        let kept = Arc::clone(&self.0);
        move |call| kept.lock().unwrap_or_else(PoisonError::into_inner).fate(call)
    }

    /// These faults are about from now on, for as long as they last.
    pub fn comes(&self, weather: Weather) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let until = kept.clock.now() + weather.lasts;
        kept.weathers.push((weather, until));
    }

    /// A process dies when it has sent so many more writes, before or after the next takes effect.
    pub fn dies_at_write(&self, replica: u32, writes: u32, after: bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).dying.push((replica, writes, after));
    }
}

impl Kept {
    fn fate(&mut self, call: &Call) -> Fate {
        if let Some(fate) = self.death(call) {
            return fate;
        }
        let now = self.clock.now();
        self.weathers.retain(|(_, until)| now < *until);
        let lease = call.operation.contains(" leases");
        // Lists, watches and reads of single objects are about the same.
        let subject = call.operation.rsplit(' ').next().unwrap_or_default().to_owned();
        let about = (call.actor, subject);
        let deceived = !call.mutates && self.deceived.contains(&about);
        for (weather, _) in &self.weathers {
            let elsewhere = weather.seam.is_some_and(|seam| seam != call.seam)
                || weather.only.is_some_and(|only| call.actor != Actor::Replica(only));
            if elsewhere || lease && !weather.lease {
                continue;
            }
            if !self.random.percent(weather.percent) {
                continue;
            }
            let kinds = Kinds { lies: weather.kinds.lies && !deceived, ..weather.kinds };
            let faults = faults_of(call, kinds);
            if let Some(fault) = self.random.pick(&faults) {
                if is_lie(fault) {
                    self.deceived.insert(about);
                }
                return Fate::Meets(varied(fault, &self.random));
            }
        }
        if deceived {
            self.deceived.remove(&about);
        }
        Fate::Well
    }

    fn death(&mut self, call: &Call) -> Option<Fate> {
        let Actor::Replica(number) = call.actor else { return None };
        if self.dying.is_empty() || !is_write(&Event::Called(call.clone())) {
            return None;
        }
        let at = self.dying.iter().position(|(replica, ..)| *replica == number)?;
        let (_, writes, after) = self.dying.get_mut(at)?;
        if *writes > 0 {
            *writes -= 1;
            return None;
        }
        let fate = if *after { Fate::DiesAfter } else { Fate::DiesBefore };
        self.dying.remove(at);
        Some(fate)
    }
}

/// Whether what is read is wrong, and nothing tells so.
fn is_lie(fault: &Fault) -> bool {
    matches!(fault, Fault::Stale(_) | Fault::Omits | Fault::Empty | Fault::Shrunken)
}

/// The same fault with times that are drawn.
fn varied(fault: &Fault, random: &Random) -> Fault {
    let part = |time: Duration| time.mul_f64(0.1 + random.below(1000) as f64 / 500.0);
    match fault {
        Fault::Slow(time) => Fault::Slow(part(*time)),
        Fault::Stale(time) => Fault::Stale(part(*time)),
        Fault::Late(time) => Fault::Late(part(*time).min(Duration::from_secs(60))),
        other => other.clone(),
    }
}
