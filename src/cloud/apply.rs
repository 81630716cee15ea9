//! Takes the steps of a plan: different targets at the same time within bounds, the steps of one target and of
//! one interface one after another, all changes of a zone in batches. What the answers confirm is taken over into
//! what is known; what they leave open is put in doubt.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt;
use slog::info;

use super::dns::Unit;
use super::doubts::{Doubt, touched};
use super::error::{Next, StepError, casts_doubt};
use super::{Cloud, LAG};
use crate::expose::dns::{address_key, parse_twin, twin_key};
use crate::expose::firewall::parse_group_name;
use crate::expose::plan::RecordChange;
use crate::expose::{
    Action, Group, GroupId, Instance, InstanceId, Lookup, Moment, PublicIp, Reason, Record, Rule, Step, Target,
    Unsettled, ZoneId,
};

/// What the answers to a step's calls prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// `made`: by us; else a read showed it, and somebody made it before.
    GroupThere {
        group: Group,
        made: bool,
    },
    GroupDeleted(GroupId),
    RulesOpened(GroupId, BTreeMap<Rule, String>),
    RulesClosed(GroupId, BTreeMap<Rule, String>),
    /// A read showed the instance so.
    Seen(Instance, Moment),
    /// The instance as it is now; `shown`: by a read, too; `written`: not by a read alone.
    Interface {
        instance: Instance,
        group: GroupId,
        attached: bool,
        shown: bool,
        written: bool,
    },
    /// With the id of the change, while it is on its way to the servers.
    Records(RecordChange, Option<String>),
    /// To be read again all the same.
    Doubted(Doubt),
}

/// A step that failed, and what is in doubt since.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub error: StepError,
    pub doubts: Vec<Doubt>,
    /// AWS said that things aren't as we thought.
    pub contradicted: bool,
    /// A group that AWS doesn't find: reads that don't show it need no proof.
    pub gone: Option<GroupId>,
    /// So many groups are more than AWS lets an interface have.
    pub too_many_groups: Option<u8>,
    /// What had been confirmed before it failed.
    pub done: Vec<Effect>,
}

pub(super) type Taken = Result<Vec<Effect>, Failure>;

impl Failure {
    /// Nothing is in doubt.
    pub fn plain(error: StepError) -> Failure {
        Failure { error, doubts: Vec::new(), contradicted: false, gone: None, too_many_groups: None, done: Vec::new() }
    }

    /// Everything that the step touches must be read again.
    pub fn doubtful(step: &Step, error: StepError) -> Failure {
        Failure { doubts: touched(&step.action), ..Failure::plain(error) }
    }

    /// AWS's answer to a call of `step`.
    pub fn of(step: &Step, error: &aws_api::Error) -> Failure {
        let failure = Failure::plain(StepError::of(step, error));
        if failure.error.next == Next::Replan && casts_doubt(error) {
            let contradicted = error.class != aws_api::Class::UnknownOutcome;
            return Failure { doubts: touched(&step.action), contradicted, ..failure };
        }
        failure
    }
}

/// After so long no other step on groups and interfaces is begun: what was decided is old by then, and addresses that must
/// leave DNS don't wait for a thousand rules.
const PLAN_TIME: Duration = Duration::from_secs(10);

/// How far the steps of a plan are taken.
struct Bounds {
    until: Moment,
    /// Leadership was lost on the way.
    lost: AtomicBool,
}

impl Bounds {
    fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    fn note(&self, result: &Taken) {
        if result.as_ref().is_err_and(|failure| failure.error.next == Next::NotLeader) {
            self.lost.store(true, Ordering::Relaxed);
        }
    }

    fn not_begun(&self, step: &Step) -> Failure {
        let (next, why) = match self.is_lost() {
            true => (Next::NotLeader, "this process is not the leader"),
            false => (Next::Later, "the steps before took so long that it is decided anew"),
        };
        let error = StepError::new(Reason::Progressing, next, format!("did not {}: {why}", step.action));
        Failure::plain(StepError { tried: false, ..error })
    }
}

/// Steps that are taken one after another.
enum Lane<'a> {
    Zone(ZoneId, Vec<Unit<'a>>),
    Other(Vec<(usize, &'a Step)>),
}

/// What two steps have in common when they must not be taken at the same time.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Shared {
    Target(Target),
    /// The list of groups of an interface is read and written as a whole.
    Instance(InstanceId),
}

fn shared(action: &Action) -> Vec<Shared> {
    let target = Shared::Target(action.target());
    match action {
        Action::Attach { instance, .. } | Action::Detach { instance, .. } => {
            vec![target, Shared::Instance(instance.clone())]
        }
        _ => vec![target],
    }
}

/// The lanes to Route 53 and those to EC2, each in the order of their first steps.
fn lanes(steps: &[Step]) -> (Vec<Lane<'_>>, Vec<Lane<'_>>) {
    let mut zones: BTreeMap<&ZoneId, Vec<Unit<'_>>> = BTreeMap::new();
    let mut lanes: BTreeMap<usize, Vec<(usize, &Step)>> = BTreeMap::new();
    let mut lane_of: BTreeMap<Shared, usize> = BTreeMap::new();
    for (index, step) in steps.iter().enumerate() {
        if let Action::ChangeRecords(change) = &step.action {
            zones.entry(&change.zone).or_default().push(Unit { index, step, change });
            continue;
        }
        // The step joins all lanes that it has something in common with into one.
        let shared = shared(&step.action);
        let joined: BTreeSet<usize> = shared.iter().filter_map(|one| lane_of.get(one).copied()).collect();
        let lane = joined.first().copied().unwrap_or(index);
        for other in joined.into_iter().skip(1) {
            let moved = lanes.remove(&other).unwrap_or_default();
            lanes.entry(lane).or_default().extend(moved);
            lane_of.values_mut().filter(|of| **of == other).for_each(|of| *of = lane);
        }
        lane_of.extend(shared.into_iter().map(|one| (one, lane)));
        lanes.entry(lane).or_default().push((index, step));
    }
    let zones = zones.into_iter().map(|(zone, units)| Lane::Zone(zone.clone(), units)).collect();
    let others = lanes.into_values().map(|mut steps| {
        steps.sort_by_key(|(index, _)| *index);
        Lane::Other(steps)
    });
    (zones, others.collect())
}

impl Cloud {
    /// Takes the steps and tells for each, in the given order, what became of it. What is confirmed shows in
    /// [`Cloud::observed`] at once.
    pub async fn apply(&mut self, steps: &[Step]) -> Vec<Result<(), StepError>> {
        let bounds = Bounds { until: self.now().after(PLAN_TIME), lost: AtomicBool::new(false) };
        let mut taken: BTreeMap<usize, Taken> = {
            let (zones, others) = lanes(steps);
            let (zones, others) = futures::join!(self.take_all(zones, &bounds), self.take_all(others, &bounds));
            zones.into_iter().chain(others).collect()
        };
        let mut results = Vec::with_capacity(steps.len());
        for (index, step) in steps.iter().enumerate() {
            let result = taken.remove(&index).unwrap_or_else(|| {
                let message = format!("could not {}: no answer was taken down", step.action);
                Err(Failure::doubtful(step, StepError::new(Reason::Failed, Next::Replan, message)))
            });
            results.push(self.absorb(step, result));
        }
        results
    }

    async fn take_all(&self, lanes: Vec<Lane<'_>>, bounds: &Bounds) -> Vec<(usize, Taken)> {
        // Collected first: a stream that holds the closure could not move between threads.
        let lanes: Vec<_> = lanes.into_iter().map(|lane| self.take(lane, bounds)).collect();
        let lanes = futures::stream::iter(lanes).buffer_unordered(self.settings.concurrency.max(1));
        lanes.collect::<Vec<_>>().await.into_iter().flatten().collect()
    }

    async fn take(&self, lane: Lane<'_>, bounds: &Bounds) -> Vec<(usize, Taken)> {
        match lane {
            Lane::Zone(_, units) if bounds.is_lost() => {
                units.iter().map(|unit| (unit.index, Err(bounds.not_begun(unit.step)))).collect()
            }
            Lane::Zone(zone, units) => {
                let mut taken: Vec<(usize, Taken)> = Vec::new();
                let mut clear: Vec<Unit<'_>> = Vec::new();
                for unit in units {
                    match self.not_now(unit.step) {
                        Some(failure) => taken.push((unit.index, Err(failure))),
                        None => clear.push(unit),
                    }
                }
                taken.extend(self.change_zone(&zone, clear).await);
                taken.iter().for_each(|(_, result)| bounds.note(result));
                taken
            }
            Lane::Other(steps) => {
                let mut taken: Vec<(usize, Taken)> = Vec::new();
                let mut stopped: Option<Next> = None;
                let mut earlier: Vec<Effect> = Vec::new();
                for (index, step) in steps {
                    let began = self.now();
                    let result = match (stopped, self.not_now(step)) {
                        _ if bounds.is_lost() || bounds.until <= began => Err(bounds.not_begun(step)),
                        (Some(next), _) => Err(Failure::plain(StepError::new(
                            Reason::Progressing,
                            next,
                            format!("did not {}: an earlier step on the same target has to be looked at", step.action),
                        ))),
                        (None, Some(failure)) => Err(failure),
                        (None, None) => self.take_one(step, &earlier).await,
                    };
                    bounds.note(&result);
                    match &result {
                        Ok(effects) => {
                            self.tell(step, began);
                            earlier.extend(effects.iter().cloned());
                        }
                        Err(failure) => {
                            earlier.extend(failure.done.iter().cloned());
                            if failure.error.next == Next::NotLeader || !failure.doubts.is_empty() {
                                stopped = Some(failure.error.next);
                            }
                        }
                    }
                    taken.push((index, result));
                }
                taken
            }
        }
    }

    /// Why the step isn't even tried.
    fn not_now(&self, step: &Step) -> Option<Failure> {
        let mut failure = self.in_the_way(step)?;
        failure.error.tried = false;
        Some(failure)
    }

    fn in_the_way(&self, step: &Step) -> Option<Failure> {
        if let Some((reason, why)) = self.groups_unread.as_ref().filter(|_| rests_on_groups(&step.action)) {
            let message = format!("did not {} yet: {why}", step.action);
            return Some(Failure::plain(StepError::new(*reason, Next::BackOff, message)));
        }
        if self.doubts.concern(&step.action) {
            return Some(unread(step));
        }
        match &step.action {
            Action::Attach { instance, .. } | Action::Detach { instance, .. } if self.doubts.is_missed(instance) => {
                Some(missed(step))
            }
            _ => None,
        }
    }

    /// `earlier`: what earlier steps of the same lane came to. It is taken over into what is known only after all lanes.
    async fn take_one(&self, step: &Step, earlier: &[Effect]) -> Taken {
        match &step.action {
            Action::CreateGroup { vpc, name, .. } => self.create_group(step, name, vpc).await,
            Action::Authorize { group, rules, .. } => self.authorize(step, group, rules).await,
            Action::Revoke { group, rules, .. } => self.revoke(step, group, rules).await,
            Action::Attach { instance, group, .. } => self.set_attached(step, instance, group, true, earlier).await,
            Action::Detach { instance, group } => self.set_attached(step, instance, group, false, earlier).await,
            Action::DeleteGroup { group } => self.delete_group(step, group).await,
            Action::ChangeRecords(_) | Action::TryPublication(_) | Action::Publish(_) | Action::Release { .. } => {
                let message = format!("could not {}: that is nothing that AWS does", step.action);
                Err(Failure::plain(StepError::new(Reason::Failed, Next::BackOff, message)))
            }
        }
    }

    /// One line for each confirmed step.
    pub(super) fn tell(&self, step: &Step, began: Moment) {
        let took: Duration = self.now().0.saturating_sub(began.0);
        let services = step.services.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        info!(self.log, "{}", step.action; "reason" => &step.reason, "service" => services,
            "took_ms" => u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    }

    fn absorb(&mut self, step: &Step, taken: Taken) -> Result<(), StepError> {
        let now = self.now();
        let mut failure = match taken {
            Ok(effects) => {
                effects.into_iter().for_each(|effect| self.take_over(effect, now));
                return Ok(());
            }
            Err(failure) => failure,
        };
        if failure.contradicted {
            self.contradicted(&step.action);
        } else if !failure.doubts.is_empty() {
            self.unknown(&step.action, now);
        }
        if let Some(group) = failure.gone {
            self.journal.forget_group(&group);
            self.observed.groups.remove(&group);
        }
        if let Some(groups) = failure.too_many_groups {
            // By what was refused something else may be right, and that at once.
            if self.observed.refused_groups(groups.into(), now) {
                failure.error.next = Next::Replan;
            }
            // It was read right before it was written: what was known of it may be older.
            failure.doubts.extend(touched(&step.action));
        }
        failure.done.into_iter().for_each(|effect| self.take_over(effect, now));
        failure.doubts.into_iter().for_each(|doubt| self.doubts.add(doubt));
        if failure.error.next == Next::Wait
            && let Action::DeleteGroup { group } = &step.action
            && let Some(group) = self.observed.groups.get(group)
            && let Some((instance, _)) = parse_group_name(&self.settings.cluster, &group.name)
        {
            // Something still has it: perhaps what was read of the instance was of the past.
            self.doubts.add(Doubt::Instance(instance));
        }
        if failure.error.reason == Reason::SecurityGroupLimit
            && let Action::CreateGroup { instance, .. }
            | Action::Authorize { instance, .. }
            | Action::Attach { instance, .. } = &step.action
        {
            self.observed.full.insert(instance.clone(), now);
        }
        Err(failure.error)
    }

    /// AWS said that things aren't as they were taken to be: what is believed of them against reads is less from now on.
    fn contradicted(&mut self, action: &Action) {
        match action {
            Action::Authorize { group, rules, .. } | Action::Revoke { group, rules, .. } => {
                self.journal.doubt_rules(group, rules);
                self.read_too_early(group).into_iter().for_each(|doubt| self.doubts.add(doubt));
            }
            Action::Attach { instance, .. } => self.journal.doubt_attachments(instance),
            Action::Detach { instance, .. } => {
                self.journal.doubt_attachments(instance);
                // It may have taken effect all the same, and a read of the past would not show that.
                self.observed.detachments.insert(instance.clone(), self.now().after(LAG));
            }
            Action::DeleteGroup { group } => self.journal.forget_group(group),
            Action::ChangeRecords(change) => {
                self.journal.doubt_records(&change.zone, &change.name);
                self.observed.contradicted.insert((change.zone.clone(), change.name.clone()));
            }
            _ => {}
        }
    }

    /// Nobody knows whether the action took effect: what it may have taken away isn't sure, whatever a read shows, nor is
    /// what it may have put back that we took away before.
    fn unknown(&mut self, action: &Action, now: Moment) {
        match action {
            Action::ChangeRecords(change) => {
                self.unsettle(change, now);
                self.journal.unsure_records(&change.zone, &change.name);
                if self.journal.doubts(&change.zone, &change.name) {
                    self.observed.contradicted.insert((change.zone.clone(), change.name.clone()));
                }
            }
            Action::Revoke { group, rules, .. } => {
                self.journal.doubt_rules(group, rules);
                let rules = rules.keys().map(|rule| ((group.clone(), *rule), now.after(LAG)));
                self.observed.closings.extend(rules);
            }
            Action::Authorize { group, rules, .. } => {
                self.observed.closings.extend(self.journal.perhaps_opened(group, rules));
            }
            Action::Attach { instance, group, .. } => {
                if let Some(until) = self.journal.perhaps_attached(instance, group) {
                    self.observed.detachments.insert(instance.clone(), until);
                }
            }
            Action::Detach { instance, group } => {
                self.journal.doubt_attachment(instance, group);
                self.observed.detachments.insert(instance.clone(), now.after(LAG));
            }
            // That it was made lately doesn't explain any more that it isn't found.
            Action::DeleteGroup { group } => self.journal.forget_group(group),
            _ => {}
        }
    }

    /// Nobody knows whether the change took effect.
    fn unsettle(&mut self, change: &RecordChange, now: Moment) {
        let twin = twin_key(&change.name);
        let twin = change.create.get(&twin).or_else(|| change.delete.get(&twin)).and_then(|twin| twin.values.first());
        let Some(service) = twin.and_then(|value| parse_twin(value)).and_then(|twin| twin.service) else { return };
        let place = (change.zone.clone(), change.name.clone());
        let address = address_key(&change.name);
        let (address, before) = (change.create.get(&address), change.delete.get(&address));
        let listed = |record: Option<&Record>| -> BTreeSet<PublicIp> {
            record.into_iter().flat_map(Record::public_ips).collect()
        };
        let ips = listed(address);
        let records = change.create.values().chain(change.delete.values());
        let ttl = records.filter_map(|record| record.ttl).max().unwrap_or(0);
        let unsettled = self.observed.unsettled.entry(place).or_insert_with(|| Unsettled {
            service: service.clone(),
            public_ips: BTreeSet::new(),
            kept: ips.clone(),
            before: BTreeSet::new(),
            ttl,
            at: now,
        });
        unsettled.kept.retain(|ip| ips.contains(ip));
        unsettled.public_ips.extend(ips);
        // A name that is deleted is known to be so when no read shows it.
        unsettled.before.extend(address.map(|_| listed(before)).unwrap_or_default());
        (unsettled.service, unsettled.ttl, unsettled.at) = (service, unsettled.ttl.max(ttl), now);
    }

    fn take_over(&mut self, effect: Effect, now: Moment) {
        match effect {
            Effect::GroupThere { group, made } => {
                if made {
                    self.journal.created(&group, now);
                } else {
                    self.journal.found(&group, now);
                }
                self.observed.groups.insert(group.id.clone(), group);
            }
            Effect::GroupDeleted(id) => {
                self.journal.deleted(&id, now);
                self.observed.groups.remove(&id);
            }
            Effect::RulesOpened(id, rules) => {
                self.journal.rules(&id, &rules, true, now);
                self.observed.open(&id, rules);
            }
            Effect::RulesClosed(id, rules) => {
                self.journal.rules(&id, &rules, false, now);
                self.observed.close(&id, &rules);
            }
            Effect::Seen(instance, asked) => {
                self.journal.saw(&instance, asked, |group| self.observed.groups.contains_key(group));
            }
            Effect::Interface { instance, group, attached, shown, written } => {
                if shown {
                    self.journal.saw(&instance, now, |group| self.observed.groups.contains_key(group));
                }
                if written {
                    self.journal.attachment(&instance.id, &group, attached, shown, now);
                    self.written.insert(instance.id.clone());
                }
                self.observed.wrote_to(&instance.id);
                self.observed.set_instance(instance.id.clone(), Lookup::Known(instance), now);
            }
            Effect::Records(change, pending) => {
                self.journal.records(&change, now);
                self.changes.accepted(&change, pending, now);
                self.observed.rewrote(change);
            }
            Effect::Doubted(doubt) => self.doubts.add(doubt),
        }
    }
}

/// Whether the step is right only if the groups are as they are known to be. An address that is to go from DNS
/// goes in any case, with whatever takes its place there.
fn rests_on_groups(action: &Action) -> bool {
    let Action::ChangeRecords(change) = action else { return true };
    let address = address_key(&change.name);
    let kept = change.create.get(&address).map(|record| &record.values);
    let takes_away = |record: &Record| record.values.iter().any(|value| kept.is_none_or(|kept| !kept.contains(value)));
    !change.delete.get(&address).is_some_and(takes_away)
}

/// EC2 left the instance out of an answer: that its interface can't be written to shows by itself soon.
fn missed(step: &Step) -> Failure {
    let message = format!(
        "did not {} yet: EC2 doesn't show the instance at the moment, it is asked again in a few seconds",
        step.action
    );
    Failure::plain(StepError::new(Reason::Progressing, Next::Wait, message))
}

/// What the step rests on must be read again before it is taken.
fn unread(step: &Step) -> Failure {
    let message = format!("did not {} yet: what it changes has to be read again first", step.action);
    Failure::plain(StepError::new(Reason::Progressing, Next::Replan, message))
}
