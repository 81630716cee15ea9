//! AWS in and out: what is known of instances, security groups, hosted zones and records, and the steps of a plan
//! turned into calls.
//!
//! Owns what is known of AWS and how sure that is. Decides nothing about exposures: it takes the steps that the
//! core names and says what became of them. Retries, time-outs, rate limits and the write fence are the client's
//! and its transport's. Nothing that AWS answers ends anything here: an error is a value with what to do next.

mod apply;
mod dns;
mod doubts;
mod error;
mod firewall;
mod inventory;
mod journal;
mod refresh;
mod sync;
#[cfg(test)]
pub(crate) mod tests;
mod zones;

use std::collections::BTreeSet;
use std::time::Duration;

use aws_api::Client;
use slog::Logger;

use crate::clock::SharedClock;
use crate::expose::{Closed, Hostname, InstanceId, Moment, Observed, Reason, Unsettled};
use doubts::{Doubt, Doubts};
use journal::Journal;

pub use error::{Error, Kind, Next, StepError};

/// Which hosted zones are considered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ZoneType {
    /// Those that the internet sees.
    #[default]
    Public,
    /// Those that VPCs see.
    Private,
    /// Both.
    Any,
}

/// What the module is configured with.
#[derive(Clone, Debug)]
pub struct CloudSettings {
    /// Name of the cluster, part of the names and tags of security groups.
    pub cluster: String,
    /// Zones must hold names under one of these; empty: any.
    pub domains: Vec<Hostname>,
    /// Zones must have one of these ids (with or without `/hostedzone/`); empty: any.
    pub zone_ids: Vec<String>,
    /// Zones must be of this type.
    pub zone_type: ZoneType,
    /// How many targets are worked on, and how many calls read, at the same time; for each service by itself. At
    /// least 1.
    pub concurrency: usize,
}

/// How far behind reads are taken to be at most: those of EC2 have been seen to be two minutes behind.
const LAG: Duration = Duration::from_secs(120);

/// AWS, as read and as written by this process.
pub struct Cloud {
    ec2: Client,
    dns: Client,
    settings: CloudSettings,
    clock: SharedClock,
    log: Logger,
    observed: Observed,
    complete: refresh::Complete,
    /// What is read before this may be older than what another process did last.
    behind_until: Moment,
    /// See [`Cloud::nodes_are_unreadable`].
    unreadable_nodes: bool,
    /// See [`Cloud::nodes_report`].
    reporting: BTreeSet<InstanceId>,
    /// The instances that it wrote to.
    written: BTreeSet<InstanceId>,
    doubts: Doubts,
    /// Why the groups that are known are older than they ought to be: nothing that rests on them is done.
    groups_unread: Option<(Reason, String)>,
    journal: Journal,
    changes: sync::Changes,
}

impl Cloud {
    /// AWS behind a client for EC2 and one for Route 53 (which may be the same). Nothing is asked before
    /// [`Cloud::refresh`].
    pub fn new(ec2: Client, dns: Client, settings: CloudSettings, clock: SharedClock, log: Logger) -> Cloud {
        Cloud {
            ec2,
            dns,
            settings,
            behind_until: Moment::default(),
            clock,
            log,
            observed: Observed::default(),
            complete: refresh::Complete::default(),
            unreadable_nodes: false,
            reporting: BTreeSet::new(),
            written: BTreeSet::new(),
            doubts: Doubts::default(),
            groups_unread: None,
            journal: Journal::default(),
            changes: sync::Changes::default(),
        }
    }

    /// What is known.
    pub fn observed(&self) -> &Observed {
        &self.observed
    }

    /// Everything has been read at least once; records of single zones may be missing.
    pub fn is_complete(&self) -> bool {
        self.complete.all()
    }

    /// Something is in doubt and wants to be read before anything is decided on it.
    pub fn due(&self) -> bool {
        self.due_at().is_some_and(|at| at <= self.now())
    }

    /// When [`Cloud::due`] turns true: at once for what is in doubt, a few seconds later for what a read just
    /// failed on or didn't mention. `None`: time alone won't.
    pub fn due_at(&self) -> Option<Moment> {
        self.doubts.due_at()
    }

    /// The instance may have changed: it is read again at the next refresh, and not written to before.
    pub fn distrust(&mut self, id: &InstanceId) {
        self.doubts.add(Doubt::Instance(id.clone()));
    }

    /// Whether there are nodes that can't be read: of an instance that none of the others is, nobody knows then that it
    /// has no node.
    pub fn nodes_are_unreadable(&mut self, some: bool) {
        self.unreadable_nodes = some;
    }

    /// The instances of nodes that are Ready: they are there, however long EC2 leaves them out (the region that it is
    /// asked for may be another one).
    pub fn nodes_report(&mut self, ready: BTreeSet<InstanceId>) {
        self.reporting = ready;
    }

    /// When a full read makes sure of what is unsure only because reads may be behind; may have passed, if none has
    /// succeeded since. `None`: there is nothing of the kind.
    pub fn sure_at(&self) -> Option<Moment> {
        let known = &self.observed;
        let behind = known.behind || !known.behind_zones.is_empty() || !known.unproven.is_empty();
        let unsettled = known.unsettled.values().map(Unsettled::until);
        let taken = known.closings.values().chain(known.detachments.values()).copied();
        unsettled.chain(taken).chain(behind.then_some(self.behind_until)).min()
    }

    /// Another process may have written since: nothing that was read or written before counts any more, and the
    /// next refresh is a full one. What is read for the next two minutes may be older than what that one did: nothing
    /// that looks empty is taken for empty where somebody may be reached; and where something was `closed` lately, what
    /// looks open is made sure of before it is relied on.
    pub fn start_over(&mut self, closed: Closed) {
        self.behind_until = self.now().after(LAG);
        self.written = BTreeSet::new();
        // A quota is the account's, whoever writes.
        let groups_refused = self.observed.groups_refused;
        self.observed = Observed { closed, groups_refused, ..Observed::default() };
        self.complete = refresh::Complete::default();
        self.doubts = Doubts::default();
        self.groups_unread = None;
        self.journal = Journal::default();
        self.changes.start_over();
    }

    fn now(&self) -> Moment {
        Moment(self.clock.monotonic())
    }
}
