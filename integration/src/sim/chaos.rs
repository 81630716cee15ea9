//! Who decides about faults in histories: one fault at one call, a crash before or after one write, or any fault at
//! any call, drawn from the seed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sim::event::{Actor, Call};
use crate::sim::fault::{Chaos, Fault};

/// Ends a process, not one step more.
pub type Doom = Box<dyn Fn() + Send>;

/// What shall happen.
pub type Plan = Box<dyn FnMut(&Call) -> Fate + Send>;

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing.
    Well,
    /// A fault.
    Meets(Fault),
    /// Its sender is killed before it leaves.
    DiesBefore,
    /// Its sender is killed when it has taken effect.
    DiesAfter,
}

/// Decides about each call of the daemon's processes. Clones are the same.
#[derive(Clone, Default)]
pub struct Fates(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    plan: Option<Plan>,
    dooms: BTreeMap<u32, Doom>,
    dead: BTreeSet<u32>,
    /// Calls with higher numbers are never answered.
    most: Option<u64>,
}

impl Fates {
    /// Only so many calls are answered: whoever goes round in circles without letting time pass comes to a halt.
    pub fn bound(&self, most: u64) {
        self.kept().most = Some(most);
    }

    /// From now on `plan` decides.
    pub fn set(&self, plan: impl FnMut(&Call) -> Fate + Send + 'static) {
        self.kept().plan = Some(Box::new(plan));
    }

    /// From now on nothing goes wrong.
    pub fn calm(&self) {
        self.kept().plan = None;
    }

    /// A process has begun.
    pub fn born(&self, number: u32, doom: Doom) {
        self.kept().dooms.insert(number, doom);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Chaos for Fates {
    fn on_call(&mut self, call: &Call) -> Option<Fault> {
        let Actor::Replica(number) = call.actor else { return None };
        let mut kept = self.kept();
        if kept.dead.contains(&number) || kept.most.is_some_and(|most| call.number > most) {
            return Some(Fault::Hang { effect: false });
        }
        let fate = kept.plan.as_mut().map_or(Fate::Well, |plan| plan(call));
        let effect = match fate {
            Fate::Well => return None,
            Fate::Meets(fault) => return Some(fault),
            Fate::DiesBefore => false,
            Fate::DiesAfter => true,
        };
        kept.dead.insert(number);
        if let Some(doom) = kept.dooms.remove(&number) {
            doom();
        }
        Some(Fault::Hang { effect })
    }
}
