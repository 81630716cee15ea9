//! How often each thing was made and taken away, and how many writes there were: what a history with a crash or a fault
//! may do more than the same history without. End states don't show a group that was made twice, or a record that went
//! and came back; counts do.
//!
//! A thing is known by its name, since ids differ from history to history. What is there once for each node (groups,
//! rules, attachments) is counted over all nodes: which of several good nodes is chosen is nobody's promise.

use std::collections::{BTreeMap, BTreeSet};

use crate::sim::aws::Aws;
use crate::sim::aws::state::Count;
use crate::sim::event::{Creator, Event, Journal};
use crate::sim::kube::ServiceView;
use crate::sim::rest::is_write;
use crate::sim::world::World;

use super::{Checker, Memory};

/// So many more writes each fault may cost (L7).
const WRITES_PER_FAULT: usize = 3;
/// And so much more people may be told: that it went wrong and that it is well again, by a condition and up to two
/// Events, for each of two Services.
const TOLD_PER_FAULT: usize = 12;

/// What a history did, as far as the daemon did it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// By thing: times it was made and taken away. The addresses on a Service are one thing.
    pub things: BTreeMap<String, Count>,
    /// Calls that may change something, but for the Lease's and those that only tell people.
    pub writes: usize,
    /// Conditions and Events: what people are told.
    pub told: usize,
}

impl Counts {
    /// What has been done so far.
    pub fn so_far(aws: &Aws, checker: &Checker, journal: &Journal) -> Counts {
        let mut things = checker.publications();
        for ((_, what), count) in aws.counts().into_iter().filter(|((creator, _), _)| *creator == Creator::Us) {
            let sum = things.entry(without_ids(&what)).or_default();
            sum.creates += count.creates;
            sum.deletes += count.deletes;
        }
        let (told, writes) = journal.read(|events| {
            let writes = events.iter().filter(|(_, event)| is_write(event));
            let (told, writes): (Vec<_>, Vec<_>) = writes.partition(|(_, event)| is_telling(event));
            (told.len(), writes.len())
        });
        Counts { things, writes, told }
    }

    /// What has been done since `before`.
    pub fn since(&self, before: &Counts) -> Counts {
        let less = |(what, count): (&String, &Count)| {
            let then = before.things.get(what).copied().unwrap_or_default();
            let count = Count { creates: count.creates - then.creates, deletes: count.deletes - then.deletes };
            (what.clone(), count)
        };
        Counts {
            things: self.things.iter().map(less).collect(),
            writes: self.writes - before.writes,
            told: self.told - before.told,
        }
    }
}

/// The words without the ids of instances, interfaces and groups.
fn without_ids(what: &str) -> String {
    let is_id = |word: &str| {
        let rest = ["i-", "eni-", "sg-"].iter().find_map(|kind| word.strip_prefix(kind));
        rest.is_some_and(|rest| rest.len() >= 8 && rest.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    let parts = what.split_inclusive([' ', '/']);
    let parts = parts.map(|part| {
        let word = part.trim_end_matches([' ', '/']);
        if is_id(word) { part.replace(word, "*") } else { part.to_owned() }
    });
    parts.collect()
}

/// What was made or taken away more than once more often than in the `reference`, as words.
pub fn exceeds(reference: &Counts, run: &Counts) -> Vec<String> {
    let mut broken = Vec::new();
    for (what, count) in &run.things {
        let usual = reference.things.get(what).copied().unwrap_or_default();
        for (done, count, usual) in
            [("made", count.creates, usual.creates), ("taken away", count.deletes, usual.deletes)]
        {
            if count > usual + 1 {
                broken.push(format!("{what} was {done} {count} times, without faults {usual} times"));
            }
        }
    }
    broken
}

/// L7 after a crash: whether there were more writes of all kinds than in the `reference` and three more.
pub fn outlasts_a_crash(reference: &Counts, run: &Counts) -> Option<String> {
    let (usual, count) = (reference.writes + reference.told, run.writes + run.told);
    (count > usual + WRITES_PER_FAULT).then(|| format!("{count} writes after a crash, without it {usual}"))
}

/// L7 with faults: whether there were more writes than in the `reference` and three for each of so many `faults`, or
/// people were told much more: an answer that says no is told, and that it is well again as well.
pub fn storms(reference: &Counts, run: &Counts, faults: usize) -> Vec<String> {
    let both = [
        ("writes", run.writes, reference.writes, WRITES_PER_FAULT),
        ("conditions and Events", run.told, reference.told, TOLD_PER_FAULT),
    ];
    let too_many = both.into_iter().filter(|(_, count, usual, more)| *count > usual + more * faults);
    too_many
        .map(|(what, count, usual, _)| format!("{count} {what}, without faults {usual}, and {faults} went wrong"))
        .collect()
}

fn is_telling(event: &Event) -> bool {
    let Event::Called(call) = event else { return false };
    call.operation.ends_with(" services/status") || call.operation.ends_with(" events")
}

impl World {
    /// What the daemon has done so far.
    pub fn counts(&self) -> Counts {
        Counts::so_far(&self.aws, &self.checker, &self.stage.journal)
    }
}

impl Checker {
    /// By Service: how often an address came to its list by us, and left it.
    fn publications(&self) -> BTreeMap<String, Count> {
        self.memory().publications.clone()
    }
}

impl Memory {
    /// We have changed a Service.
    pub(super) fn count_publication(&mut self, old: &ServiceView, new: &ServiceView) {
        let set = |view: &ServiceView| -> BTreeSet<String> {
            view.external_ips.iter().map(|(address, _)| address.clone()).collect()
        };
        let (was, is) = (set(old), set(new));
        if was == is {
            return;
        }
        let count = self.publications.entry(format!("addresses of {}/{}", new.namespace, new.name)).or_default();
        let many = |addresses: usize| u32::try_from(addresses).unwrap_or(u32::MAX);
        count.creates += many(is.difference(&was).count());
        count.deletes += many(was.difference(&is).count());
    }
}
