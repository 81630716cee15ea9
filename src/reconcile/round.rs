//! One round: read what is needed, then plan and take steps until none is left.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use slog::{debug, error, info, warn};

use super::{Next, Reconciler, report};
use crate::cloud::{Error as CloudError, Kind, Next as After, StepError};
use crate::cluster::{Class, Cluster, Error as ClusterError};
use crate::expose::plan::{Target, desire, effect, plan, remember, terms};
use crate::expose::{Action, Failure, GroupId, Moment, Plan, Reason, Snapshot, Step, Trial};

/// A round never takes more plans than this: the longest honest way is about ten (try, create, open, attach,
/// list, publish, and as many to close), and some more when others interfere.
const PLANS_PER_ROUND: usize = 40;

/// How often a target may meet a changed world in one round, before that counts as a failure.
const CONFLICTS_PER_ROUND: u32 = 3;

/// So often in a row the same step may succeed without a pause in between. When it is needed more often, somebody undoes it.
const SAME_STEP: u32 = 5;

/// The step that succeeded last on a target.
#[derive(Debug)]
pub(super) struct Taken {
    action: Action,
    /// How often in a row.
    times: u32,
    at: Moment,
}

impl Taken {
    /// Whether somebody undoes it each time.
    pub(super) fn is_undone(&self) -> bool {
        self.times > SAME_STEP
    }

    /// When it counts no more; later than the longest pause between two tries.
    pub(super) fn forgotten_at(&self) -> Moment {
        self.at.after(Duration::from_secs(180))
    }
}

/// What has to wait so many times in a row hardly passes by itself.
const LONG_WAIT: u32 = 10;

/// After so many rounds in a row that failed as a whole, the owners of new Services are told.
const PASSING: u32 = 3;

/// How many writes to the API server are under way at once.
pub(super) const CONCURRENT_PATCHES: usize = 16;

impl Reconciler {
    pub(super) async fn round(&mut self) -> Next {
        let began = self.now();
        let next = self.try_round().await;
        if next == Next::Lost {
            // It ended for a reason that isn't its own: neither a success nor a failure.
            return next;
        }
        if matches!(next, Next::Wait(_)) {
            self.failed_rounds = 0;
        }
        let took = self.now().0.saturating_sub(began.0);
        let wall = self.parts.clock.wall();
        self.parts.metrics.reconciled(self.failed_rounds, took, wall);
        next
    }

    async fn try_round(&mut self) -> Next {
        let Some(snapshot) = self.snapshot().await else {
            debug!(self.parts.log, "the view of the cluster is incomplete or too old to decide on");
            return self.again();
        };
        if let Err(end) = self.look(&snapshot).await {
            return end;
        }
        if self.parts.dry_run {
            return self.dry_run(snapshot);
        }
        self.conflicts.clear();
        self.later = false;
        for _ in 0..PLANS_PER_ROUND {
            self.parts.progress.tick();
            let Some(snapshot) = self.snapshot().await else { return self.again() };
            // What a step left open is read before anything else is decided.
            if self.parts.cloud.due()
                && let Err(end) = self.look(&snapshot).await
            {
                return end;
            }
            if *self.stop.borrow() {
                return Next::Lost;
            }
            let plan = self.plan(&snapshot);
            self.parts.metrics.planned(&plan);
            if plan.steps.is_empty() {
                return self.finish(&snapshot, &plan).await;
            }
            if !self.announce(&plan.steps).await || !self.take(&snapshot, &plan.steps).await {
                return Next::Lost;
            }
        }
        // What is so by now is told nevertheless.
        let Some(snapshot) = self.snapshot().await else { return self.again() };
        let mut plan = self.plan(&snapshot);
        plan.waiting.extend(plan.steps.iter().map(|step| step.action.target()));
        if self.finish(&snapshot, &plan).await == Next::Lost {
            return Next::Lost;
        }
        if self.later {
            // There is very much to do: it goes on at once.
            return Next::Again(self.now());
        }
        error!(self.parts.log, "a round found no end: something changes as fast as it is put right");
        self.again()
    }

    /// The cluster as it is known; what a write that was lost has left open is read before.
    async fn snapshot(&self) -> Option<Snapshot> {
        if let Some(snapshot) = self.parts.cluster.snapshot() {
            return Some(snapshot);
        }
        self.parts.cluster.make_sure().await;
        self.parts.cluster.snapshot()
    }

    /// Reads what has to be known; the error is how the round ends without it.
    async fn look(&mut self, snapshot: &Snapshot) -> Result<(), Next> {
        let mut stop = self.stop.subscribe();
        let usable = tokio::select! {
            biased;
            // The sender is in `self`. Nobody needs what is read when the loop is to stop.
            _ = stop.wait_for(|stop| *stop) => return Err(Next::Lost),
            usable = self.read(snapshot) => usable,
        };
        if usable { Ok(()) } else { Err(self.unread(snapshot).await) }
    }

    /// Reads from AWS what is missing or may have changed. False when there is nothing to decide on.
    async fn read(&mut self, snapshot: &Snapshot) -> bool {
        let full = self.full_at.is_none_or(|at| at <= self.now());
        let (mut ids, mut ready) = (BTreeSet::new(), BTreeSet::new());
        for (name, node) in &snapshot.nodes {
            let Ok(id) = node.instance_id() else { continue };
            // What stops, starts or is replaced shows on its node first.
            if self.nodes.get(name).is_some_and(|before| before != node) {
                self.parts.cloud.distrust(&id);
            }
            if node.ready && !node.deleting {
                ready.insert(id.clone());
            }
            ids.insert(id);
        }
        self.nodes.clone_from(&snapshot.nodes);
        self.parts.cloud.nodes_are_unreadable(snapshot.unreadable_nodes);
        self.parts.cloud.nodes_report(ready);
        let result = self.parts.cloud.refresh(&ids, full).await;
        if full {
            self.schedule_full_sync();
        }
        let Err(error) = result else {
            if full {
                self.unread = 0;
            }
            return true;
        };
        // One zone that can't be read keeps nobody else from being served.
        let usable = error.is_usable();
        warn!(self.parts.log, "{}", error; "others" => if usable { "go on" } else { "wait for it" });
        if full {
            self.unread = self.unread.saturating_add(1);
            self.full_at = usable.then(|| self.now().after(self.backoff(self.unread)));
        }
        self.unread_because = (!usable).then(|| said(&error)).flatten();
        usable
    }

    /// The end of a round that could read nothing to decide on.
    async fn unread(&mut self, snapshot: &Snapshot) -> Next {
        let next = self.again();
        match self.unread_because.take() {
            // What passes by itself is nothing that an owner has to know of at once.
            Some((reason, _)) if reason != Reason::AccessDenied && self.failed_rounds < PASSING => next,
            Some((reason, message)) if !self.parts.dry_run => {
                match self.tell_unread(snapshot, reason, &message).await {
                    true => next,
                    false => Next::Lost,
                }
            }
            _ => next,
        }
    }

    fn plan(&mut self, snapshot: &Snapshot) -> Plan {
        let now = self.now();
        let observed = self.parts.cloud.observed();
        let (settings, held) = terms(snapshot, observed, &self.parts.settings);
        if held != self.held {
            match &held {
                Some(held) => warn!(self.parts.log, "nothing is withdrawn: {}", held),
                None => info!(self.parts.log, "withdrawals go on"),
            }
        }
        self.parts.metrics.held(held.as_ref());
        self.held = held;
        let desired = desire(snapshot, observed, &settings, &self.memory, now);
        remember(&desired, snapshot, &settings, &mut self.memory, now);
        plan(&desired, snapshot, observed, &settings, &self.memory, now)
    }

    /// Before anything is closed, the Lease tells so. False when leadership is lost, or the loop is to stop.
    async fn announce(&self, steps: &[Step]) -> bool {
        let closed: BTreeSet<GroupId> = steps.iter().filter_map(|step| step.action.closes()).cloned().collect();
        if closed.is_empty() {
            return true;
        }
        let mut stop = self.stop.subscribe();
        tokio::select! {
            biased;
            // The sender is in `self`.
            _ = stop.wait_for(|stop| *stop) => false,
            announced = self.parts.fence.announce_closings(&closed) => announced.is_ok(),
        }
    }

    /// Takes the steps that were decided on by `snapshot`, all at the same time within bounds. False when leadership is lost.
    async fn take(&mut self, snapshot: &Snapshot, steps: &[Step]) -> bool {
        let (cluster_steps, cloud_steps): (Vec<Step>, Vec<Step>) = steps.iter().cloned().partition(|step| {
            matches!(step.action, Action::TryPublication(_) | Action::Publish(_) | Action::Release { .. })
        });
        let cluster = self.parts.cluster.as_ref();
        let progress = &self.parts.progress;
        let publish = futures::stream::iter(cluster_steps.iter().map(|step| publish(cluster, snapshot, step)))
            .buffered(CONCURRENT_PATCHES)
            .inspect(|_| progress.tick())
            .collect::<Vec<_>>();
        let (published, applied) = tokio::join!(publish, self.parts.cloud.apply(&cloud_steps));
        let mut leading = true;
        for (step, result) in cluster_steps.iter().zip(published) {
            leading &= self.published(step, result);
        }
        for (step, result) in cloud_steps.iter().zip(applied) {
            leading &= self.settle(step, result, Duration::ZERO);
        }
        leading
    }

    /// What became of a step on the API server.
    fn published(&mut self, step: &Step, result: Result<(), ClusterError>) -> bool {
        if let Action::TryPublication(publication) = &step.action {
            let refused = match &result {
                Ok(()) => None,
                Err(error) if error.class == Class::Refused => Some(error.to_string()),
                Err(error) => return self.settle(step, Err(explain(error)), patience_asked(error)),
            };
            if let Some(why) = &refused {
                info!(self.parts.log, "the API server refuses the addresses: {}", why;
                    "service" => publication.service.to_string());
            }
            let (uid, addresses) = (publication.uid.clone(), publication.private_ips.clone());
            let before = self.memory.trials.get(&publication.service).filter(|trial| trial.uid == uid);
            let refusals = match &refused {
                Some(_) => before.map_or(0, |trial| trial.refusals).saturating_add(1),
                None => 0,
            };
            let trial = Trial { uid, addresses, at: self.now(), refused, refusals };
            self.memory.trials.insert(publication.service.clone(), trial);
            self.memory.failures.remove(&step.action.target());
            return true;
        }
        if result.is_ok() {
            info!(self.parts.log, "{}", step.action; "reason" => &step.reason);
        }
        let patience = result.as_ref().err().map_or(Duration::ZERO, patience_asked);
        self.settle(step, result.map_err(|error| explain(&error)), patience)
    }

    /// Takes down what became of a step. One that failed is not tried again for as long as `patience`, at least. False
    /// when it was refused because this process doesn't lead any more.
    fn settle(&mut self, step: &Step, result: Result<(), StepError>, patience: Duration) -> bool {
        if result.as_ref().is_err_and(|error| error.next == After::Later) {
            self.later = true;
            return true;
        }
        let target = step.action.target();
        let ok = result.is_ok();
        self.memory.tried(&step.action, self.now());
        self.parts.metrics.changed(&step.action, ok);
        let Err(error) = result else {
            self.news.step(step);
            self.confirmed(step, target);
            return true;
        };
        match error.next {
            After::NotLeader => return false,
            // Nothing has come of it.
            After::Later => return true,
            After::Replan => {
                let conflicts = self.conflicts.entry(target.clone()).or_default();
                *conflicts += 1;
                if *conflicts <= CONFLICTS_PER_ROUND {
                    debug!(self.parts.log, "planning again: {}", error; "step" => &step.reason);
                    return true;
                }
            }
            // Nobody's fault, at first.
            After::Wait => {
                if self.memory.failures.get(&target).is_some_and(|before| before.attempts == LONG_WAIT - 1) {
                    warn!(self.parts.log, "{} (for the {}th time in a row: look what is in the way)", error, LONG_WAIT;
                        "step" => &step.reason);
                }
            }
            After::BackOff => warn!(self.parts.log, "{}", error; "step" => &step.reason),
        }
        let before = self.memory.failures.get(&target);
        let attempts = before.map_or(0, |failure| failure.attempts).saturating_add(1);
        let mut tried_for = before.map(|failure| failure.tried_for.clone()).unwrap_or_default();
        if !error.refused_for.is_empty() {
            // Everybody else's was taken.
            tried_for.clone_from(&error.refused_for);
        } else if error.tried {
            tried_for.extend(step.services.iter().cloned());
        }
        let reason = if error.next == After::Replan { Reason::Failed } else { error.reason };
        let retry_at = self.now().after(self.backoff(attempts).max(patience));
        let (message, refused_for) = (error.message, *error.refused_for);
        let failure = Failure { reason, message, attempts, retry_at, tried_for, refused_for };
        self.memory.failures.insert(target, failure);
        true
    }

    /// A step has succeeded. The same one many times in a row gets a pause nevertheless: what somebody undoes as fast as
    /// it is done keeps nobody else waiting.
    fn confirmed(&mut self, step: &Step, target: Target) {
        let now = self.now();
        // What is opened again after a closing of ours, or closed again after an opening, isn't undone by others.
        match &step.action {
            Action::CreateGroup { .. } | Action::Authorize { .. } | Action::Attach { .. } => {
                self.taken.retain(|target, _| !matches!(target, Target::Group(_)));
            }
            Action::Revoke { .. } | Action::Detach { .. } | Action::DeleteGroup { .. } => {
                self.taken.retain(|target, _| !matches!(target, Target::Firewall(_) | Target::NewGroup(_)));
            }
            _ => {}
        }
        let again = self.taken.remove(&target).filter(|last| last.action == step.action && now < last.forgotten_at());
        let taken = again.map_or(0, |last| last.times).saturating_add(1);
        self.taken.insert(target.clone(), Taken { action: step.action.clone(), times: taken, at: now });
        let Some(attempts) = taken.checked_sub(SAME_STEP).filter(|more| *more > 0) else {
            // What is refused to some Services is so, whatever else succeeds.
            let failure = self.memory.failures.get(&target);
            if !failure.is_some_and(|failure| failure.is_of_others(&step.services)) {
                self.memory.failures.remove(&target);
            }
            return;
        };
        let message = format!(
            "{}: it was done {taken} times, and is undone each time: something else changes it back, and has to be \
             found and stopped by hand",
            step.action
        );
        warn!(self.parts.log, "{}", message; "step" => &step.reason);
        let retry_at = self.now().after(self.backoff(attempts));
        let tried_for = step.services.iter().cloned().collect();
        // What is opened for others is another step.
        let own = matches!(step.action, Action::Authorize { .. });
        let refused_for = if own { step.services.iter().cloned().collect() } else { BTreeSet::new() };
        let reason = Reason::Failed;
        let failure = Failure { reason, message, attempts, retry_at, tried_for, refused_for };
        self.memory.failures.insert(target, failure);
    }

    /// Tells what would be done, once, and does nothing.
    fn dry_run(&mut self, mut snapshot: Snapshot) -> Next {
        let now = self.now();
        let mut observed = self.parts.cloud.observed().clone();
        let mut memory = self.memory.clone();
        let mut told = Vec::new();
        let mut all = Plan::default();
        let (settings, held) = terms(&snapshot, &observed, &self.parts.settings);
        let settings = settings.into_owned();
        told.extend(held.map(|held| format!("nothing would be withdrawn: {held}")));
        for _ in 0..PLANS_PER_ROUND {
            let desired = desire(&snapshot, &observed, &settings, &memory, now);
            remember(&desired, &snapshot, &settings, &mut memory, now);
            let plan = plan(&desired, &snapshot, &observed, &settings, &memory, now);
            if plan.steps.is_empty() {
                self.rejected = report::rejected(&desired);
                for rejection in desired.rejections.values() {
                    told.push(format!("{}: {} ({})", rejection.service, rejection.message, rejection.reason));
                }
                break;
            }
            for step in &plan.steps {
                told.push(format!("would {}: {}", step.action, step.reason));
                effect(step, &mut snapshot, &mut observed, &mut memory, now);
            }
            all.steps.extend(plan.steps);
        }
        self.parts.metrics.planned(&all);
        if self.told.as_ref() != Some(&told) {
            for line in &told {
                info!(self.parts.log, "{}", line; "dry-run" => true);
            }
            if told.is_empty() {
                info!(self.parts.log, "nothing would be done"; "dry-run" => true);
            }
            self.told = Some(told);
        }
        Next::Wait(None)
    }
}

async fn publish(cluster: &Cluster, snapshot: &Snapshot, step: &Step) -> Result<(), ClusterError> {
    match &step.action {
        Action::TryPublication(publication) => cluster.try_publication(publication).await,
        Action::Publish(publication) => {
            cluster.is_as_seen_in(snapshot, &publication.service)?;
            cluster.publish(publication).await
        }
        Action::Release { service, uid } => {
            cluster.is_as_seen_in(snapshot, service)?;
            cluster.release(service, uid).await
        }
        // The caller's partition sends every other action to AWS.
        _ => Ok(()),
    }
}

/// Why AWS could not be read, in words for owners.
fn said(error: &CloudError) -> Option<(Reason, String)> {
    let (kind, error) = error.failures.iter().find(|(kind, _)| !matches!(kind, Kind::Records(_)))?;
    let reason = match error.class {
        aws_api::Class::Denied => Reason::AccessDenied,
        aws_api::Class::Throttled => Reason::Throttled,
        _ => Reason::Failed,
    };
    Some((reason, format!("nothing is done before AWS can be read: could not read {kind}: {}", error.summary())))
}

/// How long the API server asks to wait.
pub(super) fn patience_asked(error: &ClusterError) -> Duration {
    match error.class {
        Class::Throttled { retry_after } => retry_after,
        _ => Duration::ZERO,
    }
}

/// An error of the API server as the failure of a step.
fn explain(error: &ClusterError) -> StepError {
    let (reason, next) = match error.class {
        Class::NotLeader => (Reason::Progressing, After::NotLeader),
        Class::Changed | Class::NotFound | Class::UnknownOutcome => (Reason::Progressing, After::Replan),
        Class::FieldConflict { .. } => (Reason::ExternalIPsTaken, After::BackOff),
        Class::Refused => (Reason::ExternalIPsForbidden, After::BackOff),
        Class::Denied => (Reason::AccessDenied, After::BackOff),
        Class::Throttled { .. } => (Reason::Throttled, After::BackOff),
        Class::Transient => (Reason::Failed, After::BackOff),
    };
    StepError { reason, message: error.to_string(), next, tried: true, refused_for: Box::default() }
}
