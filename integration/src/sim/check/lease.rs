//! Who may write when: S8, S9, S10.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::sim::event::{Actor, Call, Seam};
use crate::sim::kube::LeaseWrite;

use super::Memory;

/// What must have been read before the first write of a term.
const FULL_READ: [&str; 3] = [INSTANCES, "ec2:DescribeSecurityGroups", "route53:ListHostedZones"];

/// Lists instances.
const INSTANCES: &str = "ec2:DescribeInstances";

/// Lists the records of a zone.
const RECORDS: &str = "route53:ListResourceRecordSets";

/// Changes some of them.
const CHANGE: &str = ":ChangeResourceRecordSets";

/// The terms of leadership so far.
#[derive(Default)]
pub(super) struct Terms {
    /// How many writes to Leases were looked at.
    seen: usize,
    /// Who holds it: the process, and the name it holds it under.
    holder: Option<(u32, String)>,
    /// By process: until when it may write, by writes that were answered.
    until: BTreeMap<u32, Duration>,
    /// Lease writes whose answer isn't there yet: process, and until when it would lead.
    open: BTreeMap<u64, (u32, Duration)>,
    /// Lease writes without an answer, by process: they count once a read has shown them.
    unproven: BTreeMap<u32, Duration>,
    /// Reads of the Lease under way.
    reads: BTreeMap<u64, u32>,
    /// Reads of AWS under way that were sent in the present term: by whom, of what.
    asked: BTreeMap<u64, (u32, String)>,
    /// What each process has read in its present term: the operation, for records with the zone.
    read: BTreeMap<u32, BTreeSet<String>>,
    /// When each process was last shown a group on an interface in its present term: process, interface and group.
    shown: BTreeMap<(u32, String, String), Duration>,
    /// Processes that have written to AWS in their present term.
    wrote: BTreeSet<u32>,
    /// Processes that have written anything in their present term: until then a term hinders nobody. Whoever takes a
    /// Lease that wasn't given up (deleted, edited by hand) waits until its last holder must have noticed.
    begun: BTreeSet<u32>,
}

impl Terms {
    pub(super) fn seen(&self) -> usize {
        self.seen
    }

    /// When the process was last shown the group on the interface, in its present term.
    pub(super) fn last_shown(&self, replica: u32, interface: &str, group: &str) -> Option<Duration> {
        self.shown.get(&(replica, interface.to_owned(), group.to_owned())).copied()
    }

    /// A call is answered; a listing of instances shows these `groups` on interfaces.
    pub(super) fn answered(
        &mut self,
        at: Duration,
        call: u64,
        status: Option<u16>,
        groups: impl FnOnce() -> Vec<(String, String)>,
    ) {
        let well = status.is_some_and(|status| status < 300);
        if let Some((replica, what)) = self.asked.remove(&call)
            && well
        {
            if what == INSTANCES {
                let groups = groups().into_iter();
                self.shown.extend(groups.map(|(interface, group)| ((replica, interface, group), at)));
            }
            self.read.entry(replica).or_default().insert(what);
        }
        if let Some((replica, until)) = self.open.remove(&call) {
            let granted = if well { &mut self.until } else { &mut self.unproven };
            let entry = granted.entry(replica).or_default();
            *entry = until.max(*entry);
        }
        if let Some(replica) = self.reads.remove(&call)
            && well
            && self.holder.as_ref().is_some_and(|(holder, _)| *holder == replica)
            && let Some(until) = self.unproven.remove(&replica)
        {
            let entry = self.until.entry(replica).or_default();
            *entry = until.max(*entry);
        }
    }
}

impl Memory {
    /// `nodes`: whether the cluster is known to have any.
    pub(super) fn called(&mut self, at: Duration, call: &Call, nodes: bool) {
        let Actor::Replica(replica) = call.actor else { return };
        let lease = call.operation.starts_with("kube:") && call.operation.contains(" leases");
        if lease {
            if call.operation.starts_with("kube:get") {
                self.lease.reads.insert(call.number, replica);
            }
            return;
        }
        if call.seam == Seam::Aws && !call.mutates {
            let zone = call.target.split_whitespace().next().filter(|_| call.operation == RECORDS);
            let what = zone.map_or_else(|| call.operation.clone(), |zone| format!("{RECORDS} of {zone}"));
            self.lease.asked.insert(call.number, (replica, what));
        }
        // Access reviews change nothing, whatever the API calls them.
        if !call.mutates || !self.terms.leadership || call.operation.contains("selfsubjectaccessreviews") {
            return;
        }
        let what = format!("replica {replica} sent {} {}", call.operation, call.target);
        match self.lease.until.get(&replica) {
            Some(until) if at + self.terms.write <= *until => {}
            Some(until) if at <= *until => {
                self.broken("S9", at, format!("{what} with less than a write's time left of its term"));
            }
            _ => self.broken("S9", at, format!("{what} without leading")),
        }
        // Should it begin later after all, that is judged then.
        let waits = |one: &u32| !self.lease.begun.contains(one);
        let other = self.lease.until.iter().find(|(one, until)| **one != replica && at < **until && !waits(one));
        if let Some((other, until)) = other {
            let (other, left) = (*other, (*until - at).as_secs_f64());
            self.broken("S9", at, format!("{what}, {left:.3} s before the term of replica {other} ends"));
        }
        self.lease.begun.insert(replica);
        if let Some((zone, _)) = call.target.split_once(':').filter(|_| call.operation.ends_with(CHANGE)) {
            let needed = format!("{RECORDS} of {zone}");
            if !self.lease.read.get(&replica).is_some_and(|read| read.contains(&needed)) {
                self.broken("S8", at, format!("{what} in a zone that it hasn't read in its term"));
            }
        }
        if call.seam == Seam::Aws && self.lease.wrote.insert(replica) {
            let read = self.lease.read.get(&replica).cloned().unwrap_or_default();
            // Without nodes there are no instances to read.
            let needed = FULL_READ.iter().filter(|operation| nodes || **operation != INSTANCES);
            for operation in needed.filter(|operation| !read.contains(**operation)) {
                self.broken("S8", at, format!("{what} as the first write of its term, without {operation} before"));
            }
        }
    }

    pub(super) fn lease_written(&mut self, write: &LeaseWrite) {
        self.lease.seen += 1;
        if write.lease != self.terms.lease_name {
            return;
        }
        let replica = match write.actor {
            Actor::Replica(replica) => Some(replica),
            _ => None,
        };
        let mine = replica.is_some_and(|replica| {
            self.lease.holder.as_ref().is_some_and(|(holder, name)| *holder == replica && *name == write.holder)
        });
        let Some(replica) = replica.filter(|_| !write.holder.is_empty()) else {
            // Given up, deleted, or written by somebody else: whoever held it holds it no more when it knows.
            if let Some(replica) = replica {
                self.lease.until.remove(&replica);
                self.lease.unproven.remove(&replica);
            }
            self.lease.holder = None;
            return;
        };
        if !mine {
            self.lease.wrote.remove(&replica);
            self.lease.begun.remove(&replica);
            self.lease.read.remove(&replica);
            self.lease.shown.retain(|(by, ..), _| *by != replica);
            self.lease.asked.retain(|_, (by, _)| *by != replica);
            self.lease.holder = Some((replica, write.holder.clone()));
        }
        let until = write.sent + self.terms.lease;
        match write.call {
            Some(call) => {
                self.lease.open.insert(call, (replica, until));
            }
            None => {
                self.lease.until.insert(replica, until);
            }
        }
    }
}
