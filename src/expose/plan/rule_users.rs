//! Which rules stay though no exposure needs them: those through which somebody may still be reached.
//!
//! A rule's description names the Service that it was made for. Another one may have inherited it since, so who uses
//! a rule is told by ports, and by the description only where the ports are unknown.

use std::collections::{BTreeMap, BTreeSet};

use super::super::firewall::described_service;
use super::super::{Instance, InstanceId, Lookup, Policy, Port, PrivateIp, PublicIp, Rule, ServiceKey};
use super::View;
use super::desired::own_addresses;

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
        if view.observed.zones.keys().any(|zone| !view.observed.records.contains_key(zone)) {
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
            own_addresses(service).iter().for_each(|ip| add(key, by_private.get(ip)));
        }
        for (key, listed) in view.desired.all_listed() {
            listed.iter().for_each(|ip| add(key, by_public.get(ip)));
        }
        users
    }

    /// Whether somebody may be reached through a rule of an instance.
    pub(super) fn rely_on(&self, view: &View<'_>, id: &InstanceId, rule: &Rule) -> bool {
        let unknown = |user: &ServiceKey| !view.snapshot.services.contains_key(user);
        self.on(id).any(|user| unknown(user) || has_port_in(view, user, rule))
            || self.unseen_on(view, id).any(|user| has_port_in(view, user, rule))
    }

    fn on(&self, id: &InstanceId) -> impl Iterator<Item = &&'a ServiceKey> {
        self.by_instance.get(id).into_iter().flatten()
    }

    fn unseen_on(&self, view: &View<'_>, id: &InstanceId) -> impl Iterator<Item = &&'a ServiceKey> {
        let alive = view.desired.joined.alive.contains_key(id);
        self.unseen.iter().filter(move |_| alive)
    }

    /// Whether a rule that no exposure needs must stay all the same.
    pub(super) fn hold(&self, view: &View<'_>, id: &InstanceId, rule: &Rule, description: &str) -> bool {
        // A rule without our description is a person's, in whatever group it stands.
        let Some(made_for) = described_service(description) else { return true };
        if !view.settings.in_scope(&made_for) {
            return true;
        }
        if view.settings.policy == Policy::UpsertOnly && !view.desired.exposures.contains_key(&made_for) {
            return true;
        }
        if view.observed.instances.get(id) == Some(&Lookup::Gone) {
            return false;
        }
        let exists = view.snapshot.services.contains_key(&made_for) || view.desired.unreadable.contains(&made_for);
        let is_seen = |user: &ServiceKey| view.snapshot.services.contains_key(user);
        // The ports of a Service that can't be seen are unknown: it has the rules that were made for it, and may have
        // inherited any whose first user is no more.
        let needs = |user: &ServiceKey| match is_seen(user) {
            true => has_port_in(view, user, rule),
            false => *user == made_for || !exists,
        };
        let may_need = |user: &ServiceKey| has_port_in(view, user, rule) || (*user == made_for && !is_seen(user));
        self.on(id).any(|user| needs(user)) || self.unseen_on(view, id).any(|user| may_need(user))
    }
}

/// Whether the Service is known to have a port that the rule lets in.
fn has_port_in(view: &View<'_>, service: &ServiceKey, rule: &Rule) -> bool {
    let within = |number| (rule.from..=rule.to).contains(&number);
    let lets_in = |port: &Port| port.protocol == rule.protocol && within(port.number);
    view.snapshot.services.get(service).is_some_and(|service| service.ports.iter().any(lets_in))
}
