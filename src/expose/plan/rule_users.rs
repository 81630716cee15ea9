//! Which rules stay though no exposure needs them: those through which somebody may still be reached.
//!
//! A rule's description names the Service that it was made for. Another one may have inherited it since, so who uses
//! a rule is told by ports, and by the description only where the ports are unknown.

use std::collections::{BTreeMap, BTreeSet};

use super::super::firewall::described_service;
use super::super::{Instance, InstanceId, Lookup, Policy, Port, PrivateIp, PublicIp, Rule, ServiceKey};
use super::View;
use super::desired::{all_addresses, own_addresses};

/// The Services that are in use on each instance, other than those whose rules are worked out from their exposures.
pub(super) struct Users<'a> {
    by_instance: BTreeMap<&'a InstanceId, BTreeSet<&'a ServiceKey>>,
    /// Frozen Services that may be in use anywhere: they can't be read, or there is a zone whose records can't.
    unseen: BTreeSet<&'a ServiceKey>,
}

impl<'a> Users<'a> {
    pub(super) fn new(view: &View<'a>) -> Users<'a> {
        let known = |(id, lookup): (&'a InstanceId, &'a Lookup)| match lookup {
            Lookup::Known(instance) => Some((id, instance)),
            Lookup::Unknown | Lookup::Gone => None,
        };
        let known: Vec<(&InstanceId, &Instance)> = view.observed.instances.iter().filter_map(known).collect();
        let private = known.iter().filter_map(|(id, instance)| Some((instance.private_ip?, *id)));
        let by_private: BTreeMap<PrivateIp, &InstanceId> = private.collect();
        let public = known.iter().filter_map(|(id, instance)| Some((instance.public_ip?, *id)));
        let by_public: BTreeMap<PublicIp, &InstanceId> = public.collect();

        let mut users = Users { by_instance: BTreeMap::new(), unseen: BTreeSet::new() };
        if view.desired.zone_unread {
            users.unseen.extend(view.desired.rejections.keys());
        }
        users.unseen.extend(view.desired.unreadable);
        let mut add = |key: &'a ServiceKey, id: Option<&&'a InstanceId>| {
            let in_scope = view.settings.in_scope(key);
            if in_scope
                && let Some(id) = id
                && !(view.desired.exposures.contains_key(key) && view.desired.joined.alive.contains_key(*id))
            {
                users.by_instance.entry(id).or_default().insert(key);
            }
        };
        for (key, service) in &view.snapshot.services {
            // It goes on being reached where somebody else has set its list, too: that it is rejected for that closes
            // nothing that it had.
            let frozen = view.desired.is_frozen(key);
            let addresses = if frozen { all_addresses(service).collect() } else { own_addresses(service) };
            addresses.iter().for_each(|ip| add(key, by_private.get(ip)));
        }
        for (key, ip) in view.desired.all_listed() {
            add(key, by_public.get(&ip));
        }
        users
    }

    /// Whether somebody may be reached through a rule of an instance.
    pub(super) fn rely_on(&self, view: &View<'_>, id: &InstanceId, rule: &Rule) -> bool {
        let unknown = |user: &ServiceKey| !view.snapshot.services.contains_key(user);
        self.on(id).any(|user| unknown(user) || has_port_in(view, user, rule))
            || self.unseen_on(view, id).any(|user| has_port_in(view, user, rule))
    }

    /// Whether somebody is in use on an instance whom no rule of `open` lets in, though reads may be older than the rule
    /// that does: nothing is known to be empty there.
    pub(super) fn lack(&self, view: &View<'_>, id: &InstanceId, open: &BTreeSet<Rule>) -> bool {
        let is_let_in = |port: &Port| open.iter().any(|rule| rule.lets_in(port));
        let lacks = |user: &&ServiceKey| match view.snapshot.services.get(*user) {
            Some(service) => !service.ports.iter().all(is_let_in),
            // The ports of a Service that can't be seen are unknown.
            None => true,
        };
        view.observed.behind && view.observed.instances.get(id) != Some(&Lookup::Gone) && self.on(id).any(lacks)
    }

    fn on(&self, id: &InstanceId) -> impl Iterator<Item = &&'a ServiceKey> {
        self.by_instance.get(id).into_iter().flatten()
    }

    fn unseen_on(&self, view: &View<'_>, id: &InstanceId) -> impl Iterator<Item = &&'a ServiceKey> {
        let alive = view.desired.joined.alive.contains_key(id);
        self.unseen.iter().filter(move |_| alive)
    }

    /// Whether a rule that no exposure needs must stay all the same; `open` are the rules of ours through which traffic
    /// reaches the instance.
    pub(super) fn hold(
        &self,
        view: &View<'_>,
        id: &InstanceId,
        rule: &Rule,
        description: &str,
        open: &BTreeSet<Rule>,
    ) -> bool {
        // A rule without our description is a person's, in whatever group it stands.
        let Some(made_for) = described_service(description) else { return true };
        if !view.settings.in_scope(&made_for) {
            return true;
        }
        if view.settings.policy == Policy::UpsertOnly && !view.desired.exposures.contains_key(&made_for) {
            return true;
        }
        // What lets in more than anybody asked for stays for nobody.
        if view.observed.instances.get(id) == Some(&Lookup::Gone) || rule.is_unbounded() {
            return false;
        }
        // The ports of a Service that can't be seen are unknown: it has the rules that were made for it, and may have
        // inherited any that its first user gave up before that could be seen.
        let is_seen = |user: &ServiceKey| view.snapshot.services.contains_key(user);
        let may_be_inherited = !view.memory.claimed.contains(&(id.clone(), *rule));
        let needs = |user: &ServiceKey| match is_seen(user) {
            true => relies_on(view, user, rule, open),
            false => *user == made_for || may_be_inherited,
        };
        // Nobody comes through a rule that isn't open.
        let may_need = |user: &ServiceKey| match open.contains(rule) {
            true => needs(user),
            false => *user == made_for && !is_seen(user),
        };
        self.on(id).any(|user| needs(user)) || self.unseen_on(view, id).any(|user| may_need(user))
    }
}

/// Whether the Service is known to have a port that the rule lets in, and that no narrower one of `open` does.
fn relies_on(view: &View<'_>, service: &ServiceKey, rule: &Rule, open: &BTreeSet<Rule>) -> bool {
    let width = |rule: &Rule| rule.to.saturating_sub(rule.from);
    let narrower = |other: &&Rule| width(other) < width(rule) && other.source.covers(&rule.source);
    let others: Vec<&Rule> = open.iter().filter(narrower).collect();
    let ports = view.snapshot.services.get(service).into_iter().flat_map(|service| &service.ports);
    ports.filter(|port| rule.lets_in(port)).any(|port| !others.iter().any(|other| other.lets_in(port)))
}

/// Whether the Service is known to have a port that the rule lets in.
fn has_port_in(view: &View<'_>, service: &ServiceKey, rule: &Rule) -> bool {
    view.snapshot.services.get(service).is_some_and(|service| service.ports.iter().any(|port| rule.lets_in(port)))
}
