//! Opening and closing: grant before revoke, attach when there is something to attach, delete what is empty.

use std::collections::{BTreeMap, BTreeSet};

use super::super::firewall::{self, Group, GroupId, Rule};
use super::super::nodes::Alive;
use super::super::{Instance, InstanceId, Lookup, Policy, ServiceKey};
use super::rule_users::Users;
use super::{Action, Plan, Step, View};

/// What an instance's groups ought to hold.
#[derive(Default)]
struct Needed {
    /// Every rule that is wanted or still in use, with its description.
    rules: BTreeMap<Rule, ServiceKey>,
    /// Those of them that must not be opened yet, since the API server hasn't said that it would take the address.
    withheld: BTreeSet<Rule>,
    /// Those through which somebody is reached already.
    in_use: BTreeSet<Rule>,
}

impl Needed {
    /// Those that may be opened now.
    fn grantable(&self) -> impl Iterator<Item = (&Rule, &ServiceKey)> {
        self.rules.iter().filter(|(rule, _)| !self.withheld.contains(rule))
    }
}

pub(super) fn add(view: &View<'_>, plan: &mut Plan) {
    let needed = needed(view);
    let nothing = Needed::default();
    let groups_of = firewall::groups_by_instance(view.observed, view.settings);
    let instances: BTreeSet<&InstanceId> = groups_of.keys().chain(needed.keys()).collect();
    let no_groups = BTreeMap::new();
    let users = Users::new(view);
    for id in instances {
        let groups = groups_of.get(id).unwrap_or(&no_groups);
        let needed = needed.get(id).unwrap_or(&nothing);
        let mut unopened = Unopened::default();
        if let Some(alive) = view.desired.joined.alive.get(id) {
            unopened = open(view, plan, alive.instance, groups, needed);
        }
        if view.observed.instances.get(id).is_some_and(|lookup| *lookup != Lookup::Unknown) {
            let lookup = view.observed.instances.get(id);
            let attached =
                |group: &&&Group| matches!(lookup, Some(Lookup::Known(one)) if one.groups.contains(&group.id));
            let rules = groups.values().filter(attached).flat_map(|group| &group.rules);
            let ours = rules.filter(|(_, description)| firewall::described_service(description).is_some());
            let held = ours.map(|(rule, _)| *rule).collect();
            let closing = Closing { view, id, groups, needed, unopened, held: &held, users: &users };
            closing.close_all(plan);
        }
    }
    remove_legacy(view, plan, &groups_of, &needed, &users);
}

fn needed(view: &View<'_>) -> BTreeMap<InstanceId, Needed> {
    let mut needed: BTreeMap<InstanceId, Needed> = BTreeMap::new();
    for (key, exposure) in &view.desired.exposures {
        let Some(service) = view.snapshot.services.get(key) else { continue };
        let admitted = view.desired.is_admitted(exposure, service, view.memory);
        let used = view.desired.used_nodes(service);
        let published: BTreeSet<&InstanceId> = view.desired.published_nodes(service).collect();
        let placed: BTreeSet<&InstanceId> = view.desired.placed(key).map(|node| &node.instance.id).collect();
        let rules = firewall::rules(exposure);
        for id in used.union(&placed).copied() {
            let of_node = needed.entry(id.clone()).or_default();
            for rule in &rules {
                of_node.rules.insert(*rule, key.clone());
                if used.contains(id) {
                    of_node.in_use.insert(*rule);
                }
                if !admitted && !published.contains(id) {
                    of_node.withheld.insert(*rule);
                }
            }
        }
    }
    needed
}

/// What is missing and isn't opened by the same plan.
#[derive(Default)]
struct Unopened {
    /// There is no room for it: nothing waits for it, since only closing makes room.
    hopeless: BTreeSet<Rule>,
    /// It waits for a group that is still to be made.
    homeless: BTreeSet<Rule>,
}

/// Opens what is missing. Gives back what can't be opened yet.
fn open(
    view: &View<'_>,
    plan: &mut Plan,
    instance: &Instance,
    groups: &BTreeMap<usize, &Group>,
    needed: &Needed,
) -> Unopened {
    let usable = || groups.values().filter(|group| view.observed.may_have(instance, group));
    let present: BTreeSet<Rule> = usable().flat_map(|group| group.rules.keys().copied()).collect();
    let missing = needed.grantable().filter(|(rule, _)| !present.contains(rule));
    let mut missing: BTreeMap<Rule, ServiceKey> = missing.map(|(rule, key)| (*rule, key.clone())).collect();
    for group in usable() {
        let (mut v4, mut v6) = firewall::room(group, view.settings);
        let unsure =
            |rule: &Rule| group.rules.contains_key(rule) && !view.desired.proof().is_there(&instance.id, group, rule);
        let again = needed.grantable().filter(|(rule, _)| unsure(rule));
        let mut fits: BTreeMap<Rule, ServiceKey> = again.map(|(rule, key)| (*rule, key.clone())).collect();
        missing.retain(|rule, key| {
            let room = if rule.source.is_v6() { &mut v6 } else { &mut v4 };
            if *room == 0 {
                return true;
            }
            *room -= 1;
            fits.insert(*rule, key.clone());
            false
        });
        if !fits.is_empty() {
            plan.steps.push(opening(&instance.id, &group.id, fits));
        }
        let useful = group.rules.keys().any(|rule| needed.rules.contains_key(rule) && !needed.withheld.contains(rule));
        if useful && (!instance.groups.contains(&group.id) || !view.desired.proof().is_attached(&instance.id, group)) {
            let wanted = needed.rules.iter().filter(|(rule, _)| group.rules.contains_key(rule));
            let wanted = wanted.map(|(rule, key)| (*rule, key.clone())).collect();
            plan.steps.push(Step {
                reason: format!("let traffic for {} in", list(services(&wanted).iter())),
                services: services(&wanted),
                action: Action::Attach {
                    instance: instance.id.clone(),
                    group: group.id.clone(),
                    next: BTreeSet::new(),
                },
            });
        }
    }
    if missing.is_empty() {
        return Unopened::default();
    }
    if let Some(shard) = firewall::free_shard(instance, groups, view.settings) {
        plan.steps.push(Step {
            reason: format!("a place for the rules of {}", list(services(&missing).iter())),
            services: services(&missing),
            action: Action::CreateGroup {
                instance: instance.id.clone(),
                vpc: instance.vpc.clone(),
                name: firewall::group_name(&view.settings.cluster, &instance.id, shard),
            },
        });
        return Unopened { homeless: missing.into_keys().collect(), ..Unopened::default() };
    }
    Unopened { hopeless: missing.into_keys().collect(), ..Unopened::default() }
}

/// What closing the groups of one instance goes by.
struct Closing<'a> {
    view: &'a View<'a>,
    id: &'a InstanceId,
    groups: &'a BTreeMap<usize, &'a Group>,
    needed: &'a Needed,
    unopened: Unopened,
    /// The rules of ours that are open on the instance.
    held: &'a BTreeSet<Rule>,
    users: &'a Users<'a>,
}

impl Closing<'_> {
    /// Closes what is not needed. Where that is to make room for what replaces it, first what makes room and lets nobody
    /// in: the rest can wait until its replacement is open. It waits for ever where there is no room for all that is
    /// needed, whatever is closed.
    fn close_all(&self, plan: &mut Plan) {
        let surplus: Vec<_> = self.groups.values().map(|group| (*group, self.surplus(group))).collect();
        let rules = surplus.iter().flat_map(|(_, rules)| rules.keys());
        let makes_room: BTreeSet<bool> =
            rules.filter(|rule| !self.stands_in(rule)).map(|rule| rule.source.is_v6()).collect();
        for (group, mut rules) in surplus {
            rules.retain(|rule, _| {
                let is_v6 = rule.source.is_v6();
                !self.stands_in(rule) || !makes_room.contains(&is_v6) && self.fits(is_v6)
            });
            self.close(plan, group, rules);
        }
    }

    /// Whether there can be room on the instance for all the rules of one family that are needed.
    fn fits(&self, v6: bool) -> bool {
        let Some(alive) = self.view.desired.joined.alive.get(self.id) else { return true };
        let room = firewall::room_of(alive.instance, self.groups, self.view.settings);
        let of_family = |rule: &&Rule| rule.source.is_v6() == v6;
        let free = if v6 { room.free.1 } else { room.free.0 };
        self.needed.rules.keys().filter(of_family).count() <= free + room.held.iter().filter(of_family).count()
    }

    /// Whether somebody is let in by the rule while there is no room for the one that he needs.
    fn stands_in(&self, rule: &Rule) -> bool {
        self.unopened.hopeless.iter().any(|new| self.needed.in_use.contains(new) && new.overlaps(rule))
    }

    /// What may be closed in a group.
    fn surplus(&self, group: &Group) -> BTreeMap<Rule, String> {
        group
            .rules
            .iter()
            .filter(|(rule, _)| !self.needed.rules.contains_key(rule) || self.is_idle(group, rule))
            .filter(|(rule, description)| !self.users.hold(self.view, self.id, rule, description, self.held))
            .filter(|(rule, description)| !self.waits(rule, description))
            .map(|(rule, description)| (*rule, description.clone()))
            .collect()
    }

    /// Whether the instance can't have the group, and lets in by another one what the rule would.
    fn is_idle(&self, group: &Group, rule: &Rule) -> bool {
        let alive = self.view.desired.joined.alive.get(self.id);
        alive.is_some_and(|alive| !self.view.observed.may_have(alive.instance, group)) && self.held.contains(rule)
    }

    /// Closes this in a group, or takes a group that has become empty off its instance and deletes it.
    fn close(&self, plan: &mut Plan, group: &Group, surplus: BTreeMap<Rule, String>) {
        if !surplus.is_empty() {
            let services: BTreeSet<ServiceKey> =
                surplus.values().filter_map(|description| firewall::described_service(description)).collect();
            plan.steps.push(Step {
                reason: format!("nothing asks for {} on {} any more", list(surplus.keys()), self.id),
                services: services.into_iter().collect(),
                action: Action::Revoke { instance: Some(self.id.clone()), group: group.id.clone(), rules: surplus },
            });
        } else if group.rules.is_empty() && !group.foreign_rules.any() && self.is_dispensable(group) {
            let why = match self.needed.rules.is_empty() {
                true => format!("{} serves nothing any more", self.id),
                false => format!("the other group of {} holds all that it serves", self.id),
            };
            remove(self.view, plan, group, &why);
        }
    }

    /// Grant before revoke: what replaces a rule is open first. That is what its Service needs here, and what those
    /// need who may be reached through this rule until theirs is open. What others lack is no reason to wait, nor is
    /// what has no group yet, unless somebody is reached this way: a group that can't be made keeps no other one open.
    fn waits(&self, rule: &Rule, description: &str) -> bool {
        let Some(open) = self.view.desired.open_on(self.id) else { return false };
        let made_for = firewall::described_service(description);
        let replaces = |new: &Rule, key: &ServiceKey| {
            let may_come_soon = !self.unopened.homeless.contains(new);
            (Some(key) == made_for.as_ref() && may_come_soon)
                || (self.needed.in_use.contains(new) && new.overlaps(rule))
        };
        self.needed
            .grantable()
            .any(|(new, key)| !open.contains(new) && !self.unopened.hopeless.contains(new) && replaces(new, key))
    }

    /// Whether the other groups hold everything that is needed or in use, of those that the instance can have.
    fn is_dispensable(&self, group: &Group) -> bool {
        let alive = self.view.desired.joined.alive.get(self.id);
        let usable = |other: &&&Group| alive.is_none_or(|one| self.view.observed.may_have(one.instance, other));
        let others = || self.groups.values().filter(|other| other.id != group.id).filter(usable);
        self.needed.rules.keys().all(|rule| others().any(|other| other.rules.contains_key(rule)))
            && !self.users.lack(self.view, self.id, self.held)
    }
}

/// Takes a group off every interface that is known to have it, then deletes it.
fn remove(view: &View<'_>, plan: &mut Plan, group: &Group, why: &str) {
    let attached: Vec<&InstanceId> = view
        .observed
        .instances
        .iter()
        .filter(|(_, lookup)| matches!(lookup, Lookup::Known(instance) if instance.groups.contains(&group.id)))
        .map(|(id, _)| id)
        .collect();
    for instance in &attached {
        plan.steps.push(Step {
            reason: why.to_owned(),
            services: Vec::new(),
            action: Action::Detach { instance: (*instance).clone(), group: group.id.clone() },
        });
    }
    if attached.is_empty() {
        plan.steps.push(Step {
            reason: why.to_owned(),
            services: Vec::new(),
            action: Action::DeleteGroup { group: group.id.clone() },
        });
    }
}

/// Removes the groups that the 2018 version left, each once everything that should be open on its instances is open
/// without it.
fn remove_legacy(
    view: &View<'_>,
    plan: &mut Plan,
    groups_of: &BTreeMap<InstanceId, BTreeMap<usize, &Group>>,
    needed: &BTreeMap<InstanceId, Needed>,
    users: &Users<'_>,
) {
    // Whose groups they are can't be told when only one namespace is seen.
    if view.settings.policy == Policy::UpsertOnly || view.settings.namespace.is_some() {
        return;
    }
    for group in view.observed.groups.values().filter(|group| !group.foreign_rules.any()) {
        let Some(owner) = firewall::legacy_owner(group, view.settings) else { continue };
        let is_of = |key: &ServiceKey| owner == key.name || owner == format!("{}.{}", key.name, key.namespace);
        if view.desired.rejections.keys().chain(view.desired.unreadable).any(is_of) {
            continue;
        }
        let is_replaced = |alive: &Alive<'_>| {
            let id = &alive.instance.id;
            let ours = groups_of.get(id).into_iter().flat_map(BTreeMap::values);
            let attached = ours.filter(|ours| alive.instance.groups.contains(&ours.id));
            let open: BTreeSet<Rule> = attached.flat_map(|ours| ours.rules.keys().copied()).collect();
            needed.get(id).is_none_or(|needed| needed.rules.keys().all(|rule| open.contains(rule)))
                && group.rules.keys().all(|rule| open.contains(rule) || !users.rely_on(view, id, rule))
                && !users.lack(view, id, &open)
        };
        let mut attached = view.desired.joined.alive.values().filter(|alive| alive.instance.groups.contains(&group.id));
        if attached.all(is_replaced) {
            remove(view, plan, group, &format!("the group {} of an earlier version is replaced", group.name));
        }
    }
}

fn opening(instance: &InstanceId, group: &GroupId, rules: BTreeMap<Rule, ServiceKey>) -> Step {
    let services = services(&rules);
    Step {
        reason: format!("open {} for {}", list(rules.keys()), list(services.iter())),
        services,
        action: Action::Authorize {
            instance: instance.clone(),
            group: group.clone(),
            rules: rules.into_iter().map(|(rule, key)| (rule, firewall::description(&key))).collect(),
        },
    }
}

/// The step, with what is opened for these Services in one of its own.
pub(super) fn apart(step: Step, these: &BTreeSet<ServiceKey>) -> Vec<Step> {
    let Action::Authorize { instance, group, rules } = &step.action else { return vec![step] };
    let keyed = rules.iter().filter_map(|(rule, text)| Some((*rule, firewall::described_service(text)?)));
    let (theirs, others): (BTreeMap<_, _>, BTreeMap<_, _>) = keyed.partition(|(_, key)| these.contains(key));
    if theirs.is_empty() || others.is_empty() {
        return vec![step];
    }
    [theirs, others].into_iter().map(|rules| opening(instance, group, rules)).collect()
}

fn services(rules: &BTreeMap<Rule, ServiceKey>) -> Vec<ServiceKey> {
    rules.values().cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

/// A short list for people: the first few, and how many more.
pub(super) fn list<T: ToString>(items: impl Iterator<Item = T>) -> String {
    const SHOWN: usize = 4;
    let all: Vec<String> = items.map(|item| item.to_string()).collect();
    let shown = all.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match all.len().checked_sub(SHOWN) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}
