//! Random histories: people, nature, other controllers, processes that die and faults of all kinds, at any moment, in
//! clusters of all sizes. A seed gives one history; a history is plain data, so that a failing one can be made shorter
//! and told again.

mod act;
mod catalogue;
mod draw;
mod happening;
mod shrink;
mod tell;
mod weather;

use std::time::Duration;

use crate::sim::aws;
use crate::sim::world::Vigil;

pub use catalogue::{Kinds, faults_of};
pub use happening::{Happening, What, Wish};
pub use shrink::shrink;
pub use tell::{SEED, Telling, tell, tell_twice};
pub use weather::{Sky, Weather};

/// A history, as data.
#[derive(Clone, Debug)]
pub struct History {
    /// What it was drawn from; also decides what the simulators and processes draw.
    pub seed: u64,
    /// Nodes in the beginning.
    pub nodes: u32,
    /// Services that may be there, at most.
    pub services: u8,
    /// Processes in the beginning.
    pub replicas: usize,
    /// How long the Lease lasts, in seconds.
    pub lease: u64,
    /// The account: lag, quotas, pages.
    pub aws: aws::Options,
    /// What happens, in order. `None`: left out when the history was made shorter, so that the rest keeps its numbers.
    pub happenings: Vec<Option<Happening>>,
    /// Whether a process of former times gave the Lease up: else the first one makes it, and has to wait.
    pub given_up: bool,
    /// How often processes read everything anew, in seconds.
    pub full_sync: u64,
    /// When the world is taken for one at rest.
    pub vigil: Vigil,
    /// Whether all Services are deleted in the end, when everything has come to rest: then nothing of ours may be left.
    pub all_go: bool,
}

impl History {
    /// The history of a seed.
    pub fn of(seed: u64) -> History {
        draw::history(seed)
    }

    /// The same with only these of its happenings, by number.
    #[must_use]
    pub fn keeping(mut self, kept: &[usize]) -> History {
        for (number, happening) in self.happenings.iter_mut().enumerate() {
            if !kept.contains(&number) {
                *happening = None;
            }
        }
        self
    }

    /// Numbers of what happens.
    pub fn kept(&self) -> Vec<usize> {
        let kept = |(number, one): (usize, &Option<Happening>)| one.as_ref().map(|_| number);
        self.happenings.iter().enumerate().filter_map(kept).collect()
    }

    /// Whether requests may be delivered when their sender doesn't lead any more: nobody can prevent that, so who
    /// writes when isn't judged then.
    pub fn delivers_late(&self) -> bool {
        self.happenings.iter().flatten().any(|happening| match &happening.what {
            What::Weather(weather) => weather.kinds.late,
            _ => false,
        })
    }

    /// Whether so many Services may stop asking at once that the daemon takes it for an accident.
    pub fn withdraws_many(&self) -> bool {
        let leaves = self.happenings.iter().flatten().filter(|happening| {
            matches!(
                happening.what,
                What::Delete(_)
                    | What::Recreate(..)
                    | What::Annotate(_, "hostname", None)
                    | What::DeleteMany
                    | What::LoseAnnotations
            )
        });
        let many = |what: &What| matches!(what, What::DeleteMany | What::LoseAnnotations);
        leaves.map(|happening| if many(&happening.what) { 6 } else { 1 }).sum::<usize>() > 5
    }

    /// How it is begun, for people.
    pub fn title(&self) -> String {
        format!(
            "seed {}: {} nodes, {} processes, Lease of {} s, {} happenings over {:.0} s",
            self.seed,
            self.nodes,
            self.replicas,
            self.lease,
            self.kept().len(),
            self.happenings.iter().flatten().map(|one| one.after).sum::<Duration>().as_secs_f64()
        )
    }
}
