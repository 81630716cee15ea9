//! What people are told: conditions where they differ, Events on transitions only.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use slog::{debug, info, warn};

use super::round::{CONCURRENT_PATCHES, patience_asked};
use super::{Next, Reconciler, round};
use crate::cluster::{Class, EventKind, Unreadable};
use crate::expose::annotations;
use crate::expose::firewall::described_service;
use crate::expose::plan::{Desired, desire, terms};
use crate::expose::{
    Action, Condition, Failure, Plan, Reason, Rejection, Rule, ServiceKey, Snapshot, Step, Target, report,
};

/// What happened in a round, by Service, to be told when it is over.
#[derive(Debug, Default)]
pub(super) struct News {
    events: Vec<(ServiceKey, Event)>,
}

/// Where EC2 has refused room lately, it is looked so often whether there is some.
const ROOM_AGAIN: Duration = Duration::from_secs(60);

/// A condition that differs from the one that is wanted.
struct Change {
    service: ServiceKey,
    uid: String,
    before: Option<Condition>,
    after: Option<Condition>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Event {
    /// Of the Service, where the snapshot may not tell.
    uid: Option<String>,
    kind: EventKind,
    reason: String,
    action: &'static str,
    message: String,
}

impl News {
    /// A step was taken and confirmed.
    pub(super) fn step(&mut self, step: &Step) {
        let (reason, action) = match &step.action {
            Action::Authorize { .. } => ("FirewallOpened", "Authorize"),
            Action::Revoke { .. } => ("FirewallClosed", "Revoke"),
            Action::ChangeRecords(change) if change.withdraws() => ("RecordDeleted", "DeleteRecord"),
            Action::ChangeRecords(_) => ("RecordSynced", "ChangeRecord"),
            Action::Publish(_) => ("NodesAssigned", "Publish"),
            Action::Release { .. } => ("NodesReleased", "Release"),
            // Groups are plumbing: nothing that a Service's owner asked for.
            Action::TryPublication(_)
            | Action::CreateGroup { .. }
            | Action::Attach { .. }
            | Action::Detach { .. }
            | Action::DeleteGroup { .. } => return,
        };
        for service in &step.services {
            let message = match &step.action {
                Action::Authorize { instance, rules, .. } => format!("{} opened for {instance}", own(rules, service)),
                Action::Revoke { instance, group, rules } => {
                    let place = instance.as_ref().map_or(group.to_string(), ToString::to_string);
                    format!("{} closed for {place}", own(rules, service))
                }
                _ => step.reason.clone(),
            };
            let event = Event { uid: None, kind: EventKind::Normal, reason: reason.to_owned(), action, message };
            self.events.push((service.clone(), event));
        }
    }

    /// A Service exists in a version that can't be read.
    fn unreadable(&mut self, one: &Unreadable) {
        let message = match one.never_read {
            true => format!("nothing is done for it: {}", one.message),
            false => format!("kept as it was last read: {}", one.message),
        };
        let (uid, reason) = (Some(one.uid.clone()), "Unreadable".to_owned());
        self.events.push((one.key.clone(), Event { uid, kind: EventKind::Warning, reason, action: "Read", message }));
    }

    /// The condition of a Service changes.
    fn transition(&mut self, service: &ServiceKey, before: Option<&Condition>, after: &Condition) {
        let same = |before: &Condition| before.ready == after.ready && before.reason == after.reason;
        let on_the_way = after.reason == Reason::Progressing.to_string();
        if on_the_way || before.is_some_and(same) {
            return;
        }
        let all_well = after.reason == Reason::Synced.to_string();
        let kind = if all_well { EventKind::Normal } else { EventKind::Warning };
        let (reason, message) = (after.reason.clone(), after.message.clone());
        self.events.push((service.clone(), Event { uid: None, kind, reason, action: "Reconcile", message }));
    }
}

/// Who asks and can't be served, in words for people.
pub(super) fn rejected(desired: &Desired<'_>) -> Vec<String> {
    let told = |rejection: &Rejection| format!("{}: {}", rejection.service, rejection.message);
    desired.rejections.values().map(told).collect()
}

/// Those of the rules that are the Service's.
fn own(rules: &BTreeMap<Rule, String>, service: &ServiceKey) -> String {
    let own = rules.iter().filter(|(_, description)| described_service(description).as_ref() == Some(service));
    own.map(|(rule, _)| rule.to_string()).collect::<Vec<_>>().join(", ")
}

impl Reconciler {
    /// The end of a round with nothing left to do: conditions, Events, metrics, and when to wake.
    pub(super) async fn finish(&mut self, snapshot: &Snapshot, plan: &Plan) -> Next {
        self.parts.cloud.poll_changes().await;
        self.memory.unsynced = self.parts.cloud.unsynced();
        let now = self.now();
        self.taken.retain(|_, last| now < last.forgotten_at());
        // What nobody wants any more can't fail any more; but what is undone each time only looks well for a moment.
        let undone = |target: &Target, failure: &Failure| {
            now < failure.retry_at && self.taken.get(target).is_some_and(round::Taken::is_undone)
        };
        self.memory.failures.retain(|target, failure| plan.waiting.contains(target) || undone(target, failure));
        let looks = self.memory.failures.values().filter(|failure| now < failure.retry_at);
        let look = looks.map(|failure| failure.retry_at).min();
        self.note_unreadable();
        let confirm = (!self.memory.unsynced.is_empty()).then(|| self.now().after(self.parts.timing.confirm));
        // Full reads are far apart: what is only unsure needn't wait for the next of them.
        if let Some(sure_at) = self.parts.cloud.sure_at().filter(|at| self.now() < *at) {
            self.full_at = self.full_at.map(|at| at.min(sure_at));
        }
        // Whoever makes room where there was none does so at any time.
        if !self.parts.cloud.observed().full.is_empty() {
            let again = self.now().after(ROOM_AGAIN);
            self.full_at = self.full_at.map(|at| at.min(again));
        }
        let wake = [plan.wake_at, look, confirm, self.parts.cloud.due_at()].into_iter().flatten().min();
        let mut changes: Vec<Change> = Vec::new();
        let mut states: BTreeMap<String, u64> = BTreeMap::new();
        {
            let observed = self.parts.cloud.observed();
            let (settings, _) = terms(snapshot, observed, &self.parts.settings);
            let desired = desire(snapshot, observed, &settings, &self.memory, self.now());
            for (key, service) in &snapshot.services {
                let condition = report::condition(service, &desired, &self.memory);
                if let Some(condition) = &condition {
                    *states.entry(condition.reason.clone()).or_default() += 1;
                }
                if condition == service.ready || !self.parts.settings.in_scope(key) {
                    continue;
                }
                let (service, uid, before) = (key.clone(), service.uid.clone(), service.ready.clone());
                changes.push(Change { service, uid, before, after: condition });
            }
            self.rejected = rejected(&desired);
            self.parts.metrics.observed(&states, &desired, observed, &self.parts.settings);
        }
        let leading = self.write_conditions(&changes).await;
        self.tell(snapshot).await;
        let wake = [wake, self.conditions_at].into_iter().flatten().min();
        if leading { Next::Wait(wake) } else { Next::Lost }
    }

    /// Tells the owners of Services of which nothing was told yet that AWS can't be read. False when leadership is lost.
    pub(super) async fn tell_unread(&mut self, snapshot: &Snapshot, reason: Reason, message: &str) -> bool {
        let settings = &self.parts.settings;
        let changes: Vec<Change> = snapshot
            .services
            .iter()
            .filter(|(_, service)| service.ready.is_none())
            .filter_map(|(key, service)| {
                let condition = match annotations::read(service, settings)? {
                    Ok(_) => Condition::new(false, reason, message),
                    Err(rejection) => Condition::new(false, rejection.reason, rejection.message),
                };
                Some(Change { service: key.clone(), uid: service.uid.clone(), before: None, after: Some(condition) })
            })
            .collect();
        let leading = self.write_conditions(&changes).await;
        self.tell(snapshot).await;
        leading
    }

    /// Writes conditions; those that could not be written are tried again soon, since no change may tell of them.
    async fn write_conditions(&mut self, changes: &[Change]) -> bool {
        let cluster = self.parts.cluster.clone();
        let cluster = cluster.as_ref();
        let writes = changes.iter().map(|change| async move {
            (change, cluster.set_condition(&change.service, &change.uid, change.after.as_ref()).await)
        });
        let mut results = futures::stream::iter(writes).buffer_unordered(CONCURRENT_PATCHES);
        let mut leading = true;
        let mut patience = None;
        let mut problem = None;
        while let Some((change, result)) = results.next().await {
            self.parts.progress.tick();
            match (result, &change.after) {
                (Ok(()), Some(condition)) => {
                    info!(self.parts.log, "{}", condition.message; "service" => change.service.to_string(),
                        "ready" => condition.ready, "reason" => &condition.reason);
                    // Only what is written is told: else it would be told again with the next try.
                    self.news.transition(&change.service, change.before.as_ref(), condition);
                }
                (Ok(()), None) => {}
                (Err(error), _) => {
                    leading &= error.class != Class::NotLeader;
                    patience = patience.max(Some(patience_asked(&error)));
                    debug!(self.parts.log, "the condition was not written: {}", error;
                        "service" => change.service.to_string());
                    // The Service may be gone by now, or another one.
                    if !matches!(error.class, Class::NotLeader | Class::NotFound | Class::Changed) {
                        problem = Some(error);
                    }
                }
            }
        }
        // One line a round: all of them tend to fail for the same reason.
        if let Some(error) = problem {
            warn!(self.parts.log, "conditions were not written: {}", error);
        }
        self.failed_conditions = patience.map_or(0, |_| self.failed_conditions.saturating_add(1));
        self.conditions_at =
            patience.map(|patience| self.now().after(self.backoff(self.failed_conditions).max(patience)));
        leading
    }

    /// Tells once of each version of an object that can't be read.
    fn note_unreadable(&mut self) {
        let found = self.parts.cluster.unreadable();
        for one in &found {
            if self.unreadable.contains(one) {
                continue;
            }
            warn!(self.parts.log, "can't read {} {}: {}", one.resource, one.key, one.message);
            if one.resource == "services" {
                self.news.unreadable(one);
            }
        }
        self.unreadable = found;
    }

    /// Sends the Events of this round. One that is lost is not missed: the condition says what is so.
    async fn tell(&mut self, snapshot: &Snapshot) {
        let cluster = self.parts.cluster.as_ref();
        let events = std::mem::take(&mut self.news).events;
        let sends = events.iter().filter_map(|(key, event)| {
            let uid = event.uid.as_ref().or_else(|| Some(&snapshot.services.get(key)?.uid))?;
            Some(cluster.event(key, uid, event.kind, &event.reason, event.action, &event.message))
        });
        let mut results = futures::stream::iter(sends).buffer_unordered(CONCURRENT_PATCHES);
        let mut denied = None;
        while let Some(result) = results.next().await {
            self.parts.progress.tick();
            if let Err(error) = result {
                debug!(self.parts.log, "an Event was not written: {}", error);
                if error.class == Class::Denied {
                    denied = Some(error);
                }
            }
        }
        // Nobody would ever hear of a permission that is missing; one line a round.
        if let Some(error) = denied {
            warn!(self.parts.log, "Events were not written: {}", error);
        }
    }

    /// What of all that is asked for is not so, as of the last round, in words for people.
    pub(super) fn failing(&self) -> Vec<String> {
        // What merely takes its time (a group that is in use for a while) is nobody's failure.
        let failures = self.memory.failures.values().filter(|failure| failure.reason != Reason::Progressing);
        let failed = failures.map(|failure| failure.message.clone());
        let held = self.held.iter().map(|held| format!("nothing is withdrawn: {held}"));
        failed.chain(self.rejected.iter().cloned()).chain(held).collect()
    }
}
