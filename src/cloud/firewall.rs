//! Takes the steps on security groups and interfaces. Every write is guarded by what the groups are known to be,
//! and nothing is written to an interface whose list of groups wasn't read just before: `Groups` replaces the
//! whole list and EC2 offers no compare-and-swap.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use aws_api::{Client, ec2};
use slog::warn;

use super::apply::{Effect, Failure, Taken};
use super::doubts::Doubt;
use super::error::{Next, StepError, is_about_content, is_about_memberships};
use super::inventory::{self, permissions};
use super::{Cloud, LAG};
use crate::expose::firewall::{OWNED, described_service, parse_group_name, tag_key};
use crate::expose::{Action, Group, GroupId, Instance, InstanceId, Lookup, Reason, Rule, ServiceKey, Step};

/// No interface can have more groups, however far its limit is raised (EC2).
const GROUPS_PER_INTERFACE_AT_MOST: usize = 16;

/// The rules of each Service, and those of none.
fn by_service(rules: &BTreeMap<Rule, String>) -> BTreeMap<Option<ServiceKey>, BTreeMap<Rule, String>> {
    let mut of: BTreeMap<_, BTreeMap<Rule, String>> = BTreeMap::new();
    for (rule, description) in rules {
        of.entry(described_service(description)).or_default().insert(*rule, description.clone());
    }
    of
}

/// An answer that isn't whole proves nothing: EC2 says `true`, or an error.
fn said_to_be_done(step: &Step, answer: Option<bool>) -> Result<(), Failure> {
    if answer == Some(true) {
        return Ok(());
    }
    let message =
        format!("could not {}: EC2's answer doesn't say that it was done; it is looked at again", step.action);
    Err(Failure::doubtful(step, StepError::new(Reason::Failed, Next::Replan, message)))
}

/// What EC2 answers where a rule that is to be added is there. It knows better than any read, and then adds none.
const IS_THERE: &str = "InvalidPermission.Duplicate";
/// What it answers, outside of default VPCs, where one that is to be removed isn't; it removes none then.
const IS_NOT_THERE: &str = "InvalidPermission.NotFound";

impl Effect {
    /// The group that was attached to the instance, or (false) detached from it.
    fn attachment(&self, id: &InstanceId) -> Option<(GroupId, bool)> {
        match self {
            Effect::Interface { instance, group, attached, .. } if instance.id == *id => {
                Some((group.clone(), *attached))
            }
            _ => None,
        }
    }

    /// The groups that a read showed on the instance.
    fn seen(&self, id: &InstanceId) -> &[GroupId] {
        match self {
            Effect::Seen(instance, _) if instance.id == *id => &instance.groups,
            _ => &[],
        }
    }
}

impl Cloud {
    /// Creates a group with its tags in the same call, or adopts the one of that name that is ours already.
    pub(super) async fn create_group(&self, step: &Step, name: &str, vpc: &str) -> Taken {
        let tag = |key: String, value: &str| ec2::Tag { key: Some(key), value: Some(value.to_owned()) };
        let request = ec2::CreateSecurityGroup {
            group_name: name.to_owned(),
            description: format!("Ports that external-ips opens for Services of {}", self.settings.cluster),
            vpc_id: Some(vpc.to_owned()),
            tag_specifications: vec![ec2::TagSpecification {
                resource_type: Some(ec2::ResourceType::SecurityGroup),
                tags: vec![tag(tag_key(&self.settings.cluster), OWNED), tag("Name".into(), name)],
            }],
            ..Default::default()
        };
        match self.ec2.send(&request).await {
            Ok(answer) => {
                let Some(id) = answer.group_id.filter(|id| !id.is_empty()).map(GroupId) else {
                    let error = StepError::new(
                        Reason::Failed,
                        Next::Replan,
                        format!(
                            "could not {}: EC2's answer doesn't tell the id of the group; it is looked for again",
                            step.action
                        ),
                    );
                    return Err(Failure::doubtful(step, error));
                };
                let (name, vpc) = (name.to_owned(), vpc.to_owned());
                let group = Group { id, name, vpc, rules: BTreeMap::new(), foreign_rules: Default::default() };
                Ok(vec![Effect::GroupThere { group, made: true }])
            }
            Err(error) if error.is("InvalidGroup.Duplicate") => self.adopt(step, name, vpc).await,
            Err(error) => Err(Failure::of(step, &error)),
        }
    }

    /// There is a group of that name. It is ours only if it carries our tag.
    async fn adopt(&self, step: &Step, name: &str, vpc: &str) -> Taken {
        let found = inventory::group_named(&self.ec2, &self.settings.cluster, name, vpc).await;
        // That read may show the past: one of the same name that is no more.
        let found = found.map_err(|error| Failure::of(step, &error))?;
        match found.filter(|(group, _)| !self.journal.is_deleted(&group.id, self.now())) {
            Some((group, true)) => Ok(vec![Effect::GroupThere { group, made: false }]),
            Some((group, false)) => Err(Failure::plain(StepError::new(
                Reason::Failed,
                Next::BackOff,
                format!(
                    "could not {}: {} in {vpc} has that name but not the tag {}; delete it, or tag it if it is meant \
                     for this daemon",
                    step.action,
                    group.id,
                    tag_key(&self.settings.cluster)
                ),
            ))),
            None => Err(Failure::plain(StepError::new(
                Reason::Progressing,
                Next::Wait,
                format!(
                    "could not {}: EC2 says that there is one, but doesn't show it yet; it is tried again by itself",
                    step.action
                ),
            ))),
        }
    }

    /// Opens ports: all of them, or those of the Services whose rules EC2 takes.
    pub(super) async fn authorize(&self, step: &Step, group: &GroupId, rules: &BTreeMap<Rule, String>) -> Taken {
        let owned = self.owned(step, group)?;
        let all = rules.iter().map(|(rule, description)| (*rule, description.clone()));
        let (shown, new): (BTreeMap<_, _>, BTreeMap<_, _>) = all.partition(|(rule, _)| owned.rules.contains_key(rule));
        let singly = |rules: BTreeMap<Rule, String>| rules.into_iter().map(|one| BTreeMap::from([one]));
        let mut requests: VecDeque<BTreeMap<Rule, String>> = VecDeque::new();
        requests.extend(Some(new).filter(|new| !new.is_empty()));
        // What is shown already is to be made sure of; that one is there says nothing of the others.
        requests.extend(singly(shown));
        let (mut opened, mut behind, mut refused) = (BTreeMap::new(), false, None::<Failure>);
        while let Some(rules) = requests.pop_front() {
            let answer = self.add_rules(group, &rules).await;
            match &answer {
                // Reads are behind.
                Err(error) if error.is(IS_THERE) && rules.len() > 1 => {
                    requests.extend(singly(rules));
                    continue;
                }
                // It stays what it was made for. Where no read shows that, it counts as a person's until one does.
                Err(error) if error.is(IS_THERE) => {
                    for rule in rules.into_keys() {
                        let made_for = owned.rules.get(&rule).cloned();
                        behind |= made_for.is_none();
                        opened.insert(rule, made_for.unwrap_or_default());
                    }
                    continue;
                }
                Err(error) if is_about_content(error) => {
                    let by_service = by_service(&rules);
                    if by_service.len() > 1 {
                        requests.extend(by_service.into_values());
                        continue;
                    }
                    let failure = self.group_failure(step, group, error);
                    let known = refused.get_or_insert_with(|| failure.clone());
                    // That there is no room counts for where they are placed next.
                    if failure.error.reason == Reason::SecurityGroupLimit {
                        (known.error.reason, known.error.message) = (failure.error.reason, failure.error.message);
                    }
                    known.error.refused_for.extend(by_service.into_keys().flatten());
                    continue;
                }
                _ => {}
            }
            match self.confirmed(step, group, answer) {
                Ok(()) => opened.extend(rules),
                Err(failure) => {
                    return Err(Failure { done: vec![Effect::RulesOpened(group.clone(), opened)], ..failure });
                }
            }
        }
        let mut effects = vec![Effect::RulesOpened(group.clone(), opened)];
        if behind {
            effects.extend(self.read_too_early(group).into_iter().map(Effect::Doubted));
        }
        match refused {
            Some(failure) => Err(Failure { done: effects, ..failure }),
            None => Ok(effects),
        }
    }

    /// The group was read before it was changed, and so may be what was read of the instances that have it.
    pub(super) fn read_too_early(&self, group: &GroupId) -> Vec<Doubt> {
        let has = |lookup: &Lookup| matches!(lookup, Lookup::Known(instance) if instance.groups.contains(group));
        let having = self.observed.instances.iter().filter(|(_, lookup)| has(lookup)).map(|(id, _)| id);
        having.map(|id| Doubt::Instance(id.clone())).chain([Doubt::Group(group.clone())]).collect()
    }

    async fn add_rules(&self, group: &GroupId, rules: &BTreeMap<Rule, String>) -> Result<Option<bool>, aws_api::Error> {
        let request = ec2::AuthorizeSecurityGroupIngress {
            group_id: Some(group.0.clone()),
            ip_permissions: permissions(rules, true),
            ..Default::default()
        };
        Ok(self.ec2.send(&request).await?.r#return)
    }

    /// Closes ports, by their values: whoever made the rule anew in the meantime has it closed all the same, as
    /// asked.
    pub(super) async fn revoke(&self, step: &Step, group: &GroupId, rules: &BTreeMap<Rule, String>) -> Taken {
        self.owned(step, group)?;
        // Rules that weren't there are told in the default VPC and an error elsewhere, where the others stay.
        match self.remove_rules(group, rules).await {
            Err(error) if error.is(IS_NOT_THERE) => self.revoke_one_by_one(step, group, rules).await,
            answer => {
                self.confirmed(step, group, answer)?;
                Ok(vec![Effect::RulesClosed(group.clone(), rules.clone())])
            }
        }
    }

    /// One of the rules isn't there, at least.
    async fn revoke_one_by_one(&self, step: &Step, group: &GroupId, rules: &BTreeMap<Rule, String>) -> Taken {
        let effects = |closed| {
            let doubts = self.read_too_early(group).into_iter().map(Effect::Doubted);
            [Effect::RulesClosed(group.clone(), closed)].into_iter().chain(doubts).collect()
        };
        if rules.len() == 1 {
            return Ok(effects(rules.clone()));
        }
        let mut closed = BTreeMap::new();
        for (rule, description) in rules {
            let one = BTreeMap::from([(*rule, description.clone())]);
            match self.remove_rules(group, &one).await {
                Err(error) if error.is(IS_NOT_THERE) => {}
                answer => {
                    if let Err(failure) = self.confirmed(step, group, answer) {
                        return Err(Failure { done: effects(closed), ..failure });
                    }
                }
            }
            closed.extend(one);
        }
        Ok(effects(closed))
    }

    /// Whether EC2's answer says that a group was changed as asked.
    fn confirmed(
        &self,
        step: &Step,
        group: &GroupId,
        answer: Result<Option<bool>, aws_api::Error>,
    ) -> Result<(), Failure> {
        match answer {
            Ok(answer) => said_to_be_done(step, answer),
            Err(error) => Err(self.group_failure(step, group, &error)),
        }
    }

    async fn remove_rules(
        &self,
        group: &GroupId,
        rules: &BTreeMap<Rule, String>,
    ) -> Result<Option<bool>, aws_api::Error> {
        let request = ec2::RevokeSecurityGroupIngress {
            group_id: Some(group.0.clone()),
            ip_permissions: permissions(rules, false),
            ..Default::default()
        };
        Ok(self.ec2.send(&request).await?.r#return)
    }

    /// Deletes a group. That EC2 doesn't find it proves nothing: a reader that is behind doesn't know it yet. What the
    /// next listing shows counts.
    pub(super) async fn delete_group(&self, step: &Step, group: &GroupId) -> Taken {
        self.nobody_works_in(step, self.owned(step, group)?).await?;
        let request = ec2::DeleteSecurityGroup { group_id: Some(group.0.clone()), ..Default::default() };
        match self.ec2.send(&request).await {
            Ok(_) => Ok(vec![Effect::GroupDeleted(group.clone())]),
            // However new it was: where it is there after all, a read shows it.
            Err(error) if is_group_not_found(&error) => {
                Err(Failure { gone: Some(group.clone()), ..Failure::of(step, &error) })
            }
            Err(error) => Err(self.group_failure(step, group, &error)),
        }
    }

    /// Puts a group on the primary interface of an instance, or takes it off, and leaves every other one there.
    /// `earlier` is what earlier steps of this plan came to, in order: the read may not show it.
    pub(super) async fn set_attached(
        &self,
        step: &Step,
        id: &InstanceId,
        group: &GroupId,
        attach: bool,
        earlier: &[Effect],
    ) -> Taken {
        let mut seen = Vec::new();
        let taken = self.rewrite_groups(step, id, (group, attach), earlier, &mut seen).await;
        // What was read counts for the next who writes, whatever became of this step.
        match taken {
            Ok(effects) => Ok(seen.into_iter().chain(effects).collect()),
            Err(failure) => {
                let done = seen.into_iter().chain(failure.done).collect();
                Err(Failure { done, ..failure })
            }
        }
    }

    /// The same; what is read meanwhile is added to `seen`.
    async fn rewrite_groups(
        &self,
        step: &Step,
        id: &InstanceId,
        (group, attach): (&GroupId, bool),
        earlier: &[Effect],
        seen: &mut Vec<Effect>,
    ) -> Taken {
        let owned = self.owned(step, group)?;
        let made_for = parse_group_name(&self.settings.cluster, &owned.name).map(|(instance, _)| instance);
        if attach && made_for.as_ref() != Some(id) {
            return Err(self.refuse(step, Reason::Failed, format!("{group} ({}) was not made for {id}", owned.name)));
        }
        if !attach {
            self.nobody_works_in(step, owned).await?;
        }
        let read = self.read_interface(step, id, seen).await?;
        let mut ours = self.journal.unseen(id, self.now());
        let written: BTreeMap<GroupId, bool> = earlier.iter().filter_map(|effect| effect.attachment(id)).collect();
        ours.extend(written.clone());
        let mut before = read.clone();
        for (group, attached) in &ours {
            set(&mut before.groups, group, *attached);
        }
        let mut wanted = before.clone();
        self.keep_what_was_seen(step, &mut wanted, earlier, |lost| lost == group || ours.contains_key(lost))?;
        set(&mut wanted.groups, group, attach);
        if let Action::Attach { next, .. } = &step.action
            && self.now() < self.behind_until
        {
            let known = next.iter().filter(|other| self.may_be_attached(other, &wanted.vpc));
            known.for_each(|other| set(&mut wanted.groups, other, true));
        }
        // What this very read shows may be of the past, whatever one before showed.
        let may_be_behind =
            self.now() < self.behind_until && self.observed.closed.concerns(group) && !self.written.contains(id);
        let unsure = may_be_behind || self.observed.unproven.contains(id) || self.observed.detachments.contains_key(id);
        let is_proven = !unsure || !written.is_empty();
        if wanted.groups == before.groups && is_proven {
            return Ok(vec![Effect::Interface {
                instance: before,
                group: group.clone(),
                attached: attach,
                shown: true,
                written: false,
            }]);
        }
        if attach && wanted.vpc != owned.vpc {
            let why = format!(
                "{group} is in {}, {id} in {}; delete the group, another one is made then",
                owned.vpc, wanted.vpc
            );
            return Err(self.refuse(step, Reason::Failed, why));
        }
        if attach && wanted.groups.len() > GROUPS_PER_INTERFACE_AT_MOST {
            let why = format!(
                "{id} has {GROUPS_PER_INTERFACE_AT_MOST} security groups, more is impossible; take off one that isn't \
                 needed"
            );
            return Err(self.refuse(step, Reason::SecurityGroupLimit, why));
        }
        if wanted.groups.is_empty() {
            let why = format!("it is the only security group of {id}; give the instance another one");
            return Err(self.refuse(step, Reason::Failed, why));
        }
        if let Err(error) = self.write_groups(&wanted).await {
            let too_many_groups = u8::try_from(wanted.groups.len()).ok().filter(|_| is_about_memberships(&error));
            return Err(Failure { too_many_groups, ..self.group_failure(step, group, &error) });
        }
        self.verify(step, &wanted, (group, attach), seen).await
    }

    /// Whether nothing speaks against attaching a group of ours in this VPC.
    fn may_be_attached(&self, group: &GroupId, vpc: &str) -> bool {
        self.observed.groups.get(group).is_some_and(|group| group.vpc == vpc)
            && !self.journal.is_young(group, self.now())
    }

    /// All groups of an interface are written at once, and a read may be older than one before: a group of ours that it
    /// doesn't show any more stays on the list, which does no harm where somebody has taken it off. With anybody else's
    /// neither is right before reads agree, nor with one that isn't there any more, unless reads can't be so old.
    fn keep_what_was_seen(
        &self,
        step: &Step,
        wanted: &mut Instance,
        earlier: &[Effect],
        but: impl Fn(&GroupId) -> bool,
    ) -> Result<(), Failure> {
        let now = self.now();
        let shown: BTreeSet<GroupId> = wanted.groups.iter().cloned().collect();
        let id = wanted.id.clone();
        let before = self.journal.seen_on(&id, now).map(|(group, seen)| {
            let may_be_there = now < seen.last.after(LAG) && !seen.is_conclusive(now);
            (group, may_be_there)
        });
        let just_now = earlier.iter().flat_map(|effect| effect.seen(&id)).map(|group| (group, true));
        let lost = before.chain(just_now).filter(|(group, _)| !but(group) && !shown.contains(*group));
        for (group, may_be_there) in lost {
            if self.observed.groups.contains_key(group) {
                set(&mut wanted.groups, group, true);
            } else if may_be_there {
                let message = format!(
                    "did not {} yet: EC2 showed {group} on {} a moment ago, and doesn't any more; it is asked again by \
                     itself",
                    step.action, wanted.id
                );
                return Err(Failure::plain(StepError::new(Reason::Progressing, Next::Wait, message)));
            }
        }
        Ok(())
    }

    /// An instance with one interface is changed by itself, which needs no permission beyond the documented ones;
    /// for one with several EC2 wants the interface named.
    async fn write_groups(&self, wanted: &Instance) -> Result<(), aws_api::Error> {
        let groups = wanted.groups.iter().map(|group| group.0.clone()).collect();
        if wanted.interfaces > 1 {
            let network_interface_id = wanted.interface.clone();
            let request = ec2::ModifyNetworkInterfaceAttribute { network_interface_id, groups, ..Default::default() };
            self.ec2.send(&request).await
        } else {
            let instance_id = wanted.id.0.clone();
            self.ec2.send(&ec2::ModifyInstanceAttribute { instance_id, groups, ..Default::default() }).await
        }
    }

    /// Looks at once whether somebody else wrote to the interface at the same time.
    async fn verify(
        &self,
        step: &Step,
        wanted: &Instance,
        (group, attach): (&GroupId, bool),
        seen: &mut Vec<Effect>,
    ) -> Taken {
        let effect = |instance: Instance, shown| Effect::Interface {
            instance,
            group: group.clone(),
            attached: attach,
            shown,
            written: true,
        };
        let Ok(after) = self.read_interface(step, &wanted.id, seen).await else {
            // The write was answered; only the look afterwards failed.
            return Ok(vec![effect(wanted.clone(), false), Effect::Doubted(Doubt::Instance(wanted.id.clone()))]);
        };
        // EC2 lists them in whatever order it likes.
        let all = |groups: &[GroupId]| -> BTreeSet<GroupId> { groups.iter().cloned().collect() };
        if all(&after.groups) == all(&wanted.groups) {
            return Ok(vec![effect(after, true)]);
        }
        let foreign = |groups: &[GroupId]| -> BTreeSet<GroupId> {
            groups.iter().filter(|group| !self.observed.groups.contains_key(group)).cloned().collect()
        };
        if foreign(&after.groups) == foreign(&wanted.groups) {
            // What was answered counts more than a read that may show the past.
            return Ok(vec![effect(Instance { groups: wanted.groups.clone(), ..after }, false)]);
        }
        warn!(self.log, "someone else changed the security groups of {} at the same time", wanted.id;
            "written" => list(&wanted.groups), "found" => list(&after.groups));
        let error = StepError::new(
            Reason::Failed,
            Next::Replan,
            format!(
                "could not {}: someone else changed the interface's groups at the same time; if that goes on, look who \
                 else sets the security groups of {}",
                step.action, wanted.id
            ),
        );
        Err(Failure { contradicted: true, ..Failure::doubtful(step, error) })
    }

    /// The instance as EC2 shows it now, which is added to what was `seen`.
    async fn read_interface(&self, step: &Step, id: &InstanceId, seen: &mut Vec<Effect>) -> Result<Instance, Failure> {
        let asked = self.now();
        let read = read_one(&self.ec2, id).await.map_err(|error| Failure::of(step, &error))?;
        match read {
            Some(Lookup::Known(instance)) => {
                seen.push(Effect::Seen(instance.clone(), asked));
                Ok(instance)
            }
            _ => {
                let message =
                    format!("could not {}: EC2 doesn't show the instance; it is asked again by itself", step.action);
                Err(Failure::doubtful(step, StepError::new(Reason::Failed, Next::Replan, message)))
            }
        }
    }

    /// Whether somebody put rules of his own into a group of ours since it was read: it must not be taken away then.
    async fn nobody_works_in(&self, step: &Step, known: &Group) -> Result<(), Failure> {
        let read = inventory::group_named(&self.ec2, &self.settings.cluster, &known.name, &known.vpc).await;
        let Some((found, _)) = read.map_err(|error| Failure::of(step, &error))? else { return Ok(()) };
        // A rule with our description may be one of the past that the read still shows.
        let is_new = |rule: &Rule, description: &str| {
            !known.rules.contains_key(rule) && described_service(description).is_none()
        };
        if found.id == known.id
            && (found.foreign_rules.any() && !known.foreign_rules.any()
                || found.rules.iter().any(|(r, d)| is_new(r, d)))
        {
            let message = format!(
                "could not {}: somebody put rules into {}, it stays until they are taken out again",
                step.action, known.id
            );
            return Err(Failure::doubtful(step, StepError::new(Reason::Progressing, Next::Replan, message)));
        }
        Ok(())
    }

    /// The group, if it is known to be ours: nothing else is ever written to.
    fn owned(&self, step: &Step, group: &GroupId) -> Result<&Group, Failure> {
        self.observed.groups.get(group).ok_or_else(|| {
            let message = format!(
                "could not {}: {group} is not known to be ours, the security groups are read again",
                step.action
            );
            Failure::doubtful(step, StepError::new(Reason::Failed, Next::Replan, message))
        })
    }

    fn refuse(&self, step: &Step, reason: Reason, why: String) -> Failure {
        Failure::plain(StepError::new(reason, Next::BackOff, format!("could not {}: {why}", step.action)))
    }

    fn group_failure(&self, step: &Step, group: &GroupId, error: &aws_api::Error) -> Failure {
        // On an interface there may be one that somebody else has just made: that says nothing of ours.
        let other = group_named(error).filter(|named| *named != group.0);
        if is_group_not_found(error) && (other.is_some() || self.journal.is_young(group, self.now())) {
            let which = other.map_or_else(|| "the new group".to_owned(), |other| format!("the group {other}"));
            let message = format!(
                "could not {} yet: EC2 doesn't find {which} everywhere; it is tried again by itself",
                step.action
            );
            return Failure::plain(StepError::new(Reason::Progressing, Next::Wait, message));
        }
        if error.message.contains("multiple interfaces") {
            // A second interface came between the read and the write.
            let message =
                format!("could not {}: {}; it is looked at and tried again by itself", step.action, error.summary());
            return Failure::doubtful(step, StepError::new(Reason::Progressing, Next::Replan, message));
        }
        Failure { gone: is_group_not_found(error).then(|| group.clone()), ..Failure::of(step, error) }
    }
}

async fn read_one(client: &Client, id: &InstanceId) -> Result<Option<Lookup>, aws_api::Error> {
    let mut read = inventory::instances(client, &[id.clone()].into(), 1).await;
    match read.errors.pop() {
        Some(error) => Err(error),
        None => Ok(read.answered.remove(id).flatten()),
    }
}

fn is_group_not_found(error: &aws_api::Error) -> bool {
    error.is("InvalidGroup.NotFound") || error.is("InvalidSecurityGroupID.NotFound")
}

/// The group that an error is about, by its message.
fn group_named(error: &aws_api::Error) -> Option<&str> {
    let mut words = error.message.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words.find(|word| word.starts_with("sg-"))
}

fn set(groups: &mut Vec<GroupId>, group: &GroupId, attached: bool) {
    if !attached {
        groups.retain(|other| other != group);
    } else if !groups.contains(group) {
        groups.push(group.clone());
    }
}

fn list(groups: &[GroupId]) -> String {
    groups.iter().map(|group| group.0.as_str()).collect::<Vec<_>>().join(" ")
}
