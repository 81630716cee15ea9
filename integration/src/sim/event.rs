//! What happens in a simulated world, in order: the trace of a history, what the checker sees, and what a person reads
//! when it fails.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::sim::clock::Clock;
use crate::sim::fault::Fault;

/// Who does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Actor {
    /// A process of the daemon, numbered in the order of their starts.
    Replica(u32),
    /// Another controller in the cluster or the account.
    Controller,
    /// Somebody with kubectl or the console; also what prepares the world.
    Person,
    /// AWS or Kubernetes itself: an instance ends, a change becomes INSYNC.
    Nature,
}

/// Who made an object. Kept privately by the simulators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Creator {
    /// The daemon, in whatever process.
    Us,
    /// Another controller.
    Other,
    /// A person, or whatever made the world.
    Person,
}

impl Actor {
    /// Whose an object is that this actor makes.
    pub fn creator(self) -> Creator {
        match self {
            Actor::Replica(_) => Creator::Us,
            Actor::Controller => Creator::Other,
            Actor::Person | Actor::Nature => Creator::Person,
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actor::Replica(number) => write!(f, "replica {number}"),
            Actor::Controller => f.write_str("another controller"),
            Actor::Person => f.write_str("a person"),
            Actor::Nature => f.write_str("nature"),
        }
    }
}

/// Which simulator a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Seam {
    /// EC2, Route 53, STS, IMDS.
    Aws,
    /// The API server.
    Kube,
}

/// A request that reached a simulator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Counts all calls of the history, from 1.
    pub number: u64,
    /// Who sent it.
    pub actor: Actor,
    /// To whom.
    pub seam: Seam,
    /// What: `ec2:CreateSecurityGroup`, `route53:ChangeResourceRecordSets`, `kube:apply services`.
    pub operation: String,
    /// What about, for people: a group's id, `namespace/name`.
    pub target: String,
    /// Whether it may change something. Dry runs don't.
    pub mutates: bool,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A request arrived.
    Called(Call),
    /// It was decided that something goes wrong with it.
    Fault {
        /// Its number.
        call: u64,
        /// What.
        fault: Fault,
    },
    /// A simulator's state has changed; it is readable in its new form already.
    Changed {
        /// The request that did it; `None`: it wasn't one.
        call: Option<u64>,
        /// Who.
        actor: Actor,
        /// Which simulator.
        seam: Seam,
        /// What, for people.
        what: String,
    },
    /// The answer was handed to the network.
    Answered {
        /// The request.
        call: u64,
        /// HTTP status; `None` when the answer is lost or none was given.
        status: Option<u16>,
        /// What it said when it was an error: AWS's code, Kubernetes's reason.
        code: Option<String>,
    },
    /// Something about a process of the daemon: started, killed, paused, ended.
    Process {
        /// Which.
        replica: u32,
        /// What, for people.
        what: String,
    },
    /// What the story's author does next.
    Note(String),
}

type Witness = Box<dyn FnMut(Duration, &Event) + Send>;

/// The record of a history. Clones are the same record.
#[derive(Clone)]
pub struct Journal {
    clock: Clock,
    kept: Arc<Mutex<Kept>>,
    witness: Arc<Mutex<Option<Witness>>>,
}

struct Kept {
    calls: u64,
    events: Vec<(Duration, Event)>,
    most: usize,
}

impl Default for Kept {
    fn default() -> Kept {
        Kept { calls: 0, events: Vec::new(), most: usize::MAX }
    }
}

impl Journal {
    /// An empty record.
    pub fn new(clock: Clock) -> Journal {
        Journal { clock, kept: Arc::default(), witness: Arc::default() }
    }

    /// `witness` is shown each event from now on, right when it happens. A simulator holds none of its locks then: the
    /// witness may look at both of them. It must not change them.
    pub fn set_witness(&self, witness: impl FnMut(Duration, &Event) + Send + 'static) {
        *self.witness.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(witness));
    }

    /// Nobody is shown events any more.
    pub fn dismiss_witness(&self) {
        *self.witness.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Something happened.
    pub fn record(&self, event: Event) {
        let at = self.clock.now();
        if let Some(witness) = self.witness.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            witness(at, &event);
        }
        let mut kept = self.kept();
        if kept.events.len() >= kept.most {
            let half = kept.most / 2;
            kept.events.drain(..half);
        }
        kept.events.push((at, event));
    }

    /// Keeps the last events only, at least half of so many: for a world that goes on without an end.
    pub fn keep(&self, most: usize) {
        self.kept().most = most.max(2);
    }

    pub(super) fn call(&self, actor: Actor, seam: Seam, operation: String, target: String, mutates: bool) -> Call {
        let number = {
            let mut kept = self.kept();
            kept.calls += 1;
            kept.calls
        };
        let call = Call { number, actor, seam, operation, target, mutates };
        self.record(Event::Called(call.clone()));
        call
    }

    /// How many calls there were so far.
    pub fn calls(&self) -> u64 {
        self.kept().calls
    }

    /// All events so far.
    pub fn events(&self) -> Vec<(Duration, Event)> {
        self.read(<[_]>::to_vec)
    }

    /// Reads all events so far where they are: nothing may be recorded meanwhile.
    pub fn read<R>(&self, read: impl FnOnce(&[(Duration, Event)]) -> R) -> R {
        read(&self.kept().events)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_without_an_end_keeps_its_last_events_only_and_goes_on_counting_calls() {
        let journal = Journal::new(Clock::real());
        journal.keep(10);
        for number in 1..=95 {
            let call = journal.call(Actor::Person, Seam::Kube, "kube:get services".to_owned(), String::new(), false);
            assert_eq!(call.number, number);
        }
        let kept: Vec<u64> = journal.read(|events| {
            let number = |(_, event): &(Duration, Event)| match event {
                Event::Called(call) => Some(call.number),
                _ => None,
            };
            events.iter().filter_map(number).collect()
        });
        assert!(kept.len() <= 10 && kept.iter().copied().eq(96 - kept.len() as u64..=95), "{kept:?}");
    }
}
