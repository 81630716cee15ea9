//! What people are told: conditions where they differ, Events on transitions only.

use std::collections::BTreeMap;

use futures::StreamExt;
use slog::{debug, info, warn};

use super::round::CONCURRENT_PATCHES;
use super::{Next, Reconciler};
use crate::cluster::{Class, EventKind};
use crate::expose::firewall::described_service;
use crate::expose::plan::desire;
use crate::expose::{Action, Condition, Plan, Reason, Rule, ServiceKey, Snapshot, Step, report};

/// What happened in a round, by Service, to be told when it is over.
#[derive(Debug, Default)]
pub(super) struct News {
    events: Vec<(ServiceKey, Event)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Event {
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
            Action::ChangeRecords(change) if change.create.is_empty() => ("RecordDeleted", "DeleteRecord"),
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
            let event = Event { kind: EventKind::Normal, reason: reason.to_owned(), action, message };
            self.events.push((service.clone(), event));
        }
    }

    /// An object of the Service exists in a version that can't be read.
    fn unreadable(&mut self, service: &ServiceKey, message: &str) {
        let (reason, message) = ("Unreadable".to_owned(), format!("kept as it was last read: {message}"));
        let event = Event { kind: EventKind::Warning, reason, action: "Read", message };
        self.events.push((service.clone(), event));
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
        self.events.push((service.clone(), Event { kind, reason, action: "Reconcile", message }));
    }
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
        // What nobody wants any more can't fail any more.
        self.memory.failures.retain(|target, _| plan.waiting.contains(target));
        self.note_unreadable();
        let confirm = (!self.memory.unsynced.is_empty()).then(|| self.now().after(self.parts.timing.confirm));
        let mut changes: Vec<(ServiceKey, String, Option<Condition>)> = Vec::new();
        let mut states: BTreeMap<String, u64> = BTreeMap::new();
        self.unmet.clear();
        {
            let observed = self.parts.cloud.observed();
            let desired = desire(snapshot, observed, &self.parts.settings, &self.memory, self.now());
            for (key, service) in &snapshot.services {
                let condition = report::condition(service, &desired, &self.memory);
                if let Some(condition) = &condition {
                    *states.entry(condition.reason.clone()).or_default() += 1;
                    self.unmet.extend(unmet(key, condition));
                }
                if condition == service.ready || !self.parts.settings.in_scope(key) {
                    continue;
                }
                if let Some(condition) = &condition {
                    self.news.transition(key, service.ready.as_ref(), condition);
                }
                changes.push((key.clone(), service.uid.clone(), condition));
            }
            self.parts.metrics.observed(&states, &desired, observed, &self.parts.settings);
        }
        self.parts.metrics.planned(plan);
        let written = self.write_conditions(&changes).await;
        self.tell(snapshot).await;
        // What wasn't told is told soon, and not when something else changes.
        let retell = match written {
            Written::All => {
                self.untold = 0;
                None
            }
            Written::Partly => {
                self.untold = self.untold.saturating_add(1);
                Some(self.now().after(self.backoff(self.untold)))
            }
            Written::NotLeader => return Next::Lost,
        };
        Next::Wait([plan.wake_at, confirm, self.parts.cloud.due_at(), retell].into_iter().flatten().min())
    }

    async fn write_conditions(&self, changes: &[(ServiceKey, String, Option<Condition>)]) -> Written {
        let cluster = self.parts.cluster.as_ref();
        let writes = changes.iter().map(|(key, uid, condition)| async move {
            (key, condition, cluster.set_condition(key, uid, condition.as_ref()).await)
        });
        let mut results = futures::stream::iter(writes).buffer_unordered(CONCURRENT_PATCHES);
        let mut written = Written::All;
        while let Some((key, condition, result)) = results.next().await {
            let error = match (result, condition) {
                (Ok(()), Some(condition)) => {
                    info!(self.parts.log, "{}", condition.message;
                        "service" => key.to_string(), "ready" => condition.ready, "reason" => &condition.reason);
                    continue;
                }
                (Ok(()), None) => continue,
                (Err(error), _) => error,
            };
            match error.class {
                Class::NotLeader => written = Written::NotLeader,
                // The Service changed or is gone: the watch will say so.
                Class::Changed | Class::NotFound => {}
                _ if written == Written::All => written = Written::Partly,
                _ => {}
            }
            // Without the condition nobody else would ever hear of a permission that is missing.
            if error.class == Class::Denied {
                warn!(self.parts.log, "the condition was not written: {}", error; "service" => key.to_string());
            } else {
                debug!(self.parts.log, "the condition was not written: {}", error; "service" => key.to_string());
            }
        }
        written
    }

    /// Tells once of each version of an object that can't be read.
    fn note_unreadable(&mut self) {
        let found = self.parts.cluster.unreadable();
        for one in &found {
            if self.unreadable.contains(one) {
                continue;
            }
            warn!(self.parts.log, "can't read {} {}: {}", one.resource, one.key, one.message);
            // The namespace of a node is empty.
            if !one.key.namespace.is_empty() {
                self.news.unreadable(&one.key, &one.message);
            }
        }
        self.unreadable = found;
    }

    /// Sends the Events of this round. One that is lost is not missed: the condition says what is so.
    async fn tell(&mut self, snapshot: &Snapshot) {
        let cluster = self.parts.cluster.as_ref();
        let events = std::mem::take(&mut self.news).events;
        let sends = events.iter().filter_map(|(key, event)| {
            let uid = &snapshot.services.get(key)?.uid;
            Some(cluster.event(key, uid, event.kind, &event.reason, event.action, &event.message))
        });
        let mut results = futures::stream::iter(sends).buffer_unordered(CONCURRENT_PATCHES);
        while let Some(result) = results.next().await {
            match result {
                Ok(()) => {}
                // Nobody else would ever hear of a permission that is missing.
                Err(error) if error.class == Class::Denied => {
                    warn!(self.parts.log, "an Event was not written: {}", error);
                }
                Err(error) => debug!(self.parts.log, "an Event was not written: {}", error),
            }
        }
    }

    /// What of all that is asked for is not so as of the last round, in words for people.
    pub(super) fn failing(&self) -> Vec<String> {
        let told = |message: &str| self.unmet.iter().any(|unmet| unmet.contains(message));
        let failures = self.memory.failures.values().map(|failure| failure.message.clone());
        failures.filter(|message| !told(message)).chain(self.unmet.iter().cloned()).collect()
    }
}

/// What became of the conditions of a round.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    All,
    Partly,
    NotLeader,
}

/// What a condition says that is not as asked for, and that time alone won't mend.
fn unmet(service: &ServiceKey, condition: &Condition) -> Option<String> {
    let fine = [Reason::Synced, Reason::Progressing].iter().any(|reason| condition.reason == reason.to_string());
    (!fine).then(|| format!("{service}: {} ({})", condition.message, condition.reason))
}
