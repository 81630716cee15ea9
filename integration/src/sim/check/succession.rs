//! L4: while the API server can be reached and somebody stands for the Lease, there is a leader soon, and the same one
//! for as long as it lives.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::sim::event::{Actor, Event};
use crate::sim::kube::LeaseWrite;
use crate::sim::world::{LEASE, World};

use super::settled::Flaw;

/// How fast leadership must pass on.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long the Lease lasts.
    pub lease: Duration,
    /// How often it is looked at, at least.
    pub poll: Duration,
    /// One write's time: a successor by expiry may wait so long.
    pub write: Duration,
    /// After a release there is a leader within this time.
    pub release: Duration,
    /// What faults have begun (a call without an answer, a watch that says nothing) lasts so long beyond their end.
    pub recovery: Duration,
}

impl Pace {
    /// Of a Lease of that duration.
    pub fn of(lease: Duration) -> Pace {
        Pace {
            lease,
            // Two fifteenths of the duration, and a fifth of that more, by chance.
            poll: lease / 5,
            write: Duration::from_secs(5),
            release: Duration::from_secs(1),
            recovery: Duration::from_secs(10),
        }
    }
}

/// A process, as far as it can lead.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    /// Since when nothing keeps it from it.
    since: Duration,
    /// Until when.
    until: Option<Duration>,
}

/// When which process could lead, in the order of their starts. One that stood still is a new candidate afterwards.
fn candidates(events: &[(Duration, Event)]) -> Vec<(u32, Candidate)> {
    let mut open: BTreeMap<u32, Duration> = BTreeMap::new();
    let mut all = Vec::new();
    for (at, event) in events {
        let Event::Process { replica, what } = event else { continue };
        match what.as_str() {
            "starts" | "goes on" => {
                open.entry(*replica).or_insert(*at);
            }
            _ => {
                let ended = open.remove(replica);
                all.extend(ended.map(|since| (*replica, Candidate { since, until: Some(*at) })));
            }
        }
    }
    all.extend(open.into_iter().map(|(replica, since)| (replica, Candidate { since, until: None })));
    all
}

/// What isn't so, judged of what happened between `from`, when faults ended, and `now`. `writes`: all that were
/// accepted for Leases; the Lease is called `name`.
pub fn flaws(
    events: &[(Duration, Event)],
    writes: &[LeaseWrite],
    name: &(String, String),
    pace: Pace,
    from: Duration,
    now: Duration,
) -> Vec<Flaw> {
    let candidates = candidates(events);
    let writes: Vec<&LeaseWrite> =
        writes.iter().filter(|write| write.lease == *name && write.accepted <= now).collect();
    let mut flaws = gaps(&candidates, &writes, pace, from, now);
    flaws.extend(changes(&candidates, &writes, pace, from));
    flaws
}

impl World {
    /// L4, of what has happened since `from`: nothing has kept anybody from the API server since then.
    pub fn succession(&self, from: Duration) -> Vec<Flaw> {
        let writes = self.kube.look(|look| look.lease_writes().to_vec());
        let name = (LEASE.0.to_owned(), LEASE.1.to_owned());
        let (pace, now) = (Pace::of(self.lease), self.stage.clock.now());
        self.stage.journal.read(|events| flaws(events, &writes, &name, pace, from, now))
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}

/// How it stood with the Lease after a write.
#[derive(Clone, Copy)]
enum Stood {
    /// Nobody has ever had it.
    Never,
    /// This process gave it up.
    Released(u32, Duration),
    /// Somebody took or renewed it, or wrote something else into it.
    Written(Duration),
}

impl Stood {
    fn after(write: &LeaseWrite) -> Stood {
        match write.actor {
            Actor::Replica(replica) if write.holder.is_empty() && !write.deleted => {
                Stood::Released(replica, write.accepted)
            }
            _ => Stood::Written(write.accepted),
        }
    }

    /// When the candidate should have it at the latest; `None`: it need not.
    fn due(self, (one, candidate): &(u32, Candidate), pace: Pace, from: Duration) -> Option<Duration> {
        let ready = (candidate.since + pace.poll).max(from + pace.recovery);
        match self {
            Stood::Never => Some(ready),
            Stood::Released(by, _) if by == *one => None,
            Stood::Released(_, at) => Some(ready.max(at + pace.release)),
            // It sees for itself for how long nothing changes.
            Stood::Written(at) => Some(at.max(candidate.since).max(from) + pace.lease + pace.poll + pace.write),
        }
    }
}

impl fmt::Display for Stood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stood::Never => f.write_str("nobody had ever had the Lease"),
            Stood::Released(by, at) => write!(f, "replica {by} gave the Lease up at {}", seconds(*at)),
            Stood::Written(at) => write!(f, "the Lease was last written at {}", seconds(*at)),
        }
    }
}

/// Times without a leader that are longer than they may be.
fn gaps(
    candidates: &[(u32, Candidate)],
    writes: &[&LeaseWrite],
    pace: Pace,
    from: Duration,
    now: Duration,
) -> Vec<Flaw> {
    let starts = std::iter::once(Stood::Never).chain(writes.iter().map(|write| Stood::after(write)));
    let ends = writes.iter().map(|write| write.accepted).chain([now]);
    let gap = |(stood, end): (Stood, Duration)| {
        let overdue = |one: &(u32, Candidate)| {
            let due = stood.due(one, pace, from)?;
            (due < end && one.1.until.is_none_or(|until| due < until)).then_some((one.0, due))
        };
        let (one, due) = candidates.iter().find_map(overdue)?;
        let what = format!(
            "{stood}, and nobody wrote it until {}, though replica {one} should have had it by {}",
            seconds(end),
            seconds(due)
        );
        Some(("L4", what))
    };
    starts.zip(ends).filter_map(gap).collect()
}

/// Leaders that were replaced though they lived, more than one in the time of a Lease.
fn changes(candidates: &[(u32, Candidate)], writes: &[&LeaseWrite], pace: Pace, from: Duration) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    // Who led last, and since when it didn't renew.
    let mut leader: Option<(u32, Duration)> = None;
    let mut unforced: Option<Duration> = None;
    for write in writes {
        let Actor::Replica(replica) = write.actor else { continue };
        if write.holder.is_empty() {
            continue;
        }
        if let Some((before, renewed)) = leader.filter(|(before, _)| *before != replica) {
            let lived = candidates.iter().any(|(one, candidate)| {
                *one == before
                    && candidate.since <= renewed
                    && candidate.until.is_none_or(|until| write.accepted < until)
            });
            if lived && write.accepted >= from + pace.lease {
                if let Some(last) = unforced.filter(|last| write.accepted < *last + pace.lease) {
                    let what = format!(
                        "at {} replica {replica} took the Lease from replica {before}, which lived, as it was taken \
                         from one that lived at {}",
                        seconds(write.accepted),
                        seconds(last)
                    );
                    flaws.push(("L4", what));
                }
                unforced = Some(write.accepted);
            }
        }
        leader = Some((replica, write.accepted));
    }
    flaws
}
