//! Whether what Route 53 accepted has reached its servers, where it may be asked for that.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_api::{Class, route53};
use slog::{debug, info};

use super::Cloud;
use super::error::lacks_permission;
use crate::expose::dns::address_key;
use crate::expose::plan::RecordChange;
use crate::expose::{Hostname, Moment};

/// A change that isn't confirmed after this long counts as one: it takes about 60 s, and nobody's readiness hangs
/// on an answer that never comes.
const CONFIRMED_AFTER: Duration = Duration::from_secs(600);

/// All questions of one round together take no longer: every Service waits for them.
const POLL_AT_MOST: Duration = Duration::from_secs(5);

/// No more questions in one round; which ones goes in turn.
const QUESTIONS_PER_POLL: usize = 5;

/// A Route 53 that just didn't answer isn't asked again for this long.
const PAUSE: Duration = Duration::from_secs(30);

/// Changes that Route 53 has accepted and not yet confirmed.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// The id of the last change of each name, and when it was made.
    pending: BTreeMap<Hostname, (String, Moment)>,
    /// GetChange is not permitted: what was accepted counts as done.
    silent: bool,
    /// The change that was asked for last: the next ones are those behind it.
    last: String,
    /// Nothing is asked before.
    not_before: Moment,
}

impl Changes {
    /// A change was accepted; `pending` is its id unless it is everywhere already. Where the address doesn't change
    /// there is nothing new to wait for.
    pub fn accepted(&mut self, change: &RecordChange, pending: Option<String>, now: Moment) {
        let Ok(name) = change.name.parse::<Hostname>() else { return };
        let address = address_key(&change.name);
        let made = change.create.contains_key(&address);
        if !made && !change.delete.contains_key(&address) {
            return;
        }
        match pending.filter(|_| !self.silent && made) {
            Some(id) => self.pending.insert(name, (id, now)),
            None => self.pending.remove(&name),
        };
    }

    /// The changes to ask for now, in turn.
    pub fn next(&self) -> Vec<String> {
        let ids: BTreeSet<&String> = self.pending.values().map(|(id, _)| id).collect();
        let (before, behind): (Vec<&String>, Vec<&String>) = ids.into_iter().partition(|id| **id <= self.last);
        behind.into_iter().chain(before).take(QUESTIONS_PER_POLL).cloned().collect()
    }

    /// Forgets what was accepted in a former term of leadership.
    pub fn start_over(&mut self) {
        *self = Changes { silent: self.silent, ..Changes::default() };
    }

    fn confirmed(&mut self, id: &str) {
        self.pending.retain(|_, (pending, _)| pending != id);
    }
}

impl Cloud {
    /// Asks Route 53 which of the accepted changes have reached its servers: a few of them, for a short time. Errors
    /// leave them pending.
    pub async fn poll_changes(&mut self) {
        let now = self.now();
        self.changes.pending.retain(|_, (_, at)| now.0.saturating_sub(at.0) < CONFIRMED_AFTER);
        if now < self.changes.not_before {
            return;
        }
        // Only reads are cut off here.
        let answers = tokio::time::timeout(POLL_AT_MOST, self.ask_for_changes()).await;
        if !matches!(answers, Ok(true)) {
            self.changes.not_before = self.now().after(PAUSE);
        }
    }

    /// False when Route 53 is better left alone for a while.
    async fn ask_for_changes(&mut self) -> bool {
        for id in self.changes.next() {
            self.changes.last.clone_from(&id);
            match self.dns.send(&route53::GetChange { id: id.clone() }).await {
                Ok(answer) if answer.change_info.status == route53::ChangeStatus::Insync => self.changes.confirmed(&id),
                Ok(_) => {}
                // Route 53 forgets changes after a while, long after they are done.
                Err(error) if error.is("NoSuchChange") => self.changes.confirmed(&id),
                Err(error) if lacks_permission(&error) => {
                    info!(self.log, "records count as done once they are accepted: route53:GetChange is not permitted");
                    self.changes = Changes { silent: true, ..Changes::default() };
                    return true;
                }
                Err(error) => {
                    debug!(self.log, "a change is not confirmed yet: {}", error; "change" => id);
                    // What is wrong with one question says nothing of the others; all else meets them, too.
                    if error.refused || error.class != Class::Invalid {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// The names whose last change has not yet been confirmed to be on Route 53's servers.
    pub fn unsynced(&self) -> BTreeSet<Hostname> {
        self.changes.pending.keys().cloned().collect()
    }
}
