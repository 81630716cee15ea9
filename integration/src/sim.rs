//! Simulators of AWS and of Kubernetes: the daemon's whole world in one process, on tokio's time, decided by a seed.
//!
//! [`aws`] and [`kube`] answer real requests with real answers (`tower` services), and are as strict as the real ones
//! are documented to be. They share four things: a [`Clock`], a [`Journal`] of all that happens, a [`Chaos`] that is
//! asked before each call what shall go wrong with it, and who does what ([`Actor`]). Each object carries privately
//! who made it: checks judge ownership by that alone, never by a name or a tag that the daemon reads.

pub mod anew;
pub mod aws;
pub mod chaos;
pub mod check;
pub mod clock;
pub mod event;
pub mod fault;
pub mod kube;
pub mod points;
pub mod random;
pub mod replica;
pub mod rest;
pub mod served;
pub mod stories;
pub mod storm;
pub mod world;

use std::sync::{Arc, Mutex, PoisonError};

pub use clock::Clock;
pub use event::{Actor, Call, Creator, Event, Journal, Seam};
pub use fault::{Chaos, Fault};
pub use random::Random;
pub use replica::Replica;
pub use world::{Setting, World, simulate};

/// What both simulators share. Clones are the same.
#[derive(Clone)]
pub struct Stage {
    /// What time it is.
    pub clock: Clock,
    /// All that happens.
    pub journal: Journal,
    chaos: Arc<Mutex<Box<dyn Chaos>>>,
}

impl Stage {
    /// A stage on which nothing goes wrong.
    pub fn new(clock: Clock) -> Stage {
        Stage { journal: Journal::new(clock.clone()), clock, chaos: Arc::new(Mutex::new(Box::new(fault::Calm))) }
    }

    /// From now on `chaos` decides what goes wrong.
    pub fn set_chaos(&self, chaos: impl Chaos + 'static) {
        *self.chaos.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(chaos);
    }

    /// A call begins: it is recorded, and gets its number and its fate. Both simulators begin each call with this,
    /// watches included, before they look at anything.
    pub fn begin(
        &self,
        actor: Actor,
        seam: Seam,
        operation: impl Into<String>,
        target: impl Into<String>,
        mutates: bool,
    ) -> (Call, Option<Fault>) {
        let call = self.journal.call(actor, seam, operation.into(), target.into(), mutates);
        let fault = self.chaos.lock().unwrap_or_else(PoisonError::into_inner).on_call(&call);
        if let Some(fault) = &fault {
            self.journal.record(Event::Fault { call: call.number, fault: fault.clone() });
        }
        (call, fault)
    }
}
