//! Publications: an address is published as soon as a name lists it, and withdrawn when resolvers have forgotten it.

use std::time::Duration;

use super::super::{Exposure, FieldOwner, Policy, PrivateIp, Reason, Service};
use super::desired::own_addresses;
use super::firewall_steps::list;
use super::{Action, Plan, Step, View};

pub(super) fn add(view: &View<'_>, plan: &mut Plan) {
    for (key, trial) in &view.memory.trials {
        let refused = view.desired.rejections.get(key).is_some_and(|r| r.reason == Reason::ExternalIPsForbidden);
        if refused && trial.refused.is_some() {
            plan.wake(trial.believed_until());
        }
    }
    for (key, service) in &view.snapshot.services {
        if !view.settings.in_scope(key) {
            continue;
        }
        if let Some(exposure) = view.desired.exposures.get(key) {
            ask(view, plan, service, exposure);
        } else if view.desired.is_frozen(key) || view.settings.policy == Policy::UpsertOnly {
            shrink(view, plan, service);
        } else if service.owns_fields {
            plan.steps.push(release(service, "it doesn't ask any more"));
        }
    }
}

fn ask(view: &View<'_>, plan: &mut Plan, service: &Service, exposure: &Exposure) {
    if !view.desired.is_admitted(exposure, service, view.memory) {
        plan.steps.push(Step {
            reason: "would the API server take the addresses?".into(),
            services: vec![service.key.clone()],
            action: Action::TryPublication(view.desired.full_publication(exposure, service)),
        });
        return;
    }
    let current = own_addresses(service);
    let mut next: Vec<PrivateIp> = Vec::new();
    for ip in &current {
        if !next.contains(ip) && stays(view, plan, exposure, *ip) {
            next.push(*ip);
        }
    }
    for node in view.desired.placed(&service.key) {
        // One name is enough: whoever follows it comes, though others can't be written.
        if !next.contains(&node.private_ip)
            && view.desired.is_surely_listed(&service.key, node.public_ip)
            && view.desired.is_open(exposure, &node.instance.id)
        {
            next.push(node.private_ip);
        }
    }
    if next.is_empty() {
        // Make before break: where nothing else is published yet, what was stays, though no name leads there.
        next.extend(current.iter().filter(|ip| view.desired.node_of_private(**ip).is_some()));
    }
    publish(view, plan, service, next);
}

/// Whether an address that is published stays so.
fn stays(view: &View<'_>, plan: &mut Plan, exposure: &Exposure, ip: PrivateIp) -> bool {
    let Some(node) = view.desired.node_of_private(ip) else { return view.desired.joined.may_have_private(ip) };
    let (key, id) = (&exposure.service, &node.instance.id);
    // A node that somebody closed, and that AWS has no room to open again, is as good as none.
    let is_lost = view.observed.full.contains_key(id) && !view.desired.is_open(exposure, id);
    if (view.desired.is_placed(key, id) && !is_lost) || view.desired.may_be_listed(key, node.public_ip) {
        return true;
    }

    // Draining: resolvers may hold the old answer for its TTL, after the last of Route 53's servers gave it.
    let drain = view.memory.drains.get(&(key.clone(), ip));
    let Some((drain, since)) = drain.and_then(|drain| Some((drain, drain.since?))) else { return true };
    let forgotten = since.after(Duration::from_secs(drain.ttl.into())).max(drain.remembered_until);
    let end = forgotten.after(view.settings.propagation);
    if view.now < end {
        plan.wake(end);
    }
    view.now < end
}

/// Takes out the addresses that belong to no node any more, of a Service that can't be served as it asks.
fn shrink(view: &View<'_>, plan: &mut Plan, service: &Service) {
    let current = own_addresses(service);
    let present =
        |ip: &&PrivateIp| view.desired.node_of_private(**ip).is_some() || view.desired.joined.may_have_private(**ip);
    let left: Vec<PrivateIp> = current.iter().filter(present).copied().collect();
    if left.len() == current.len() || service.external_ips_owner != FieldOwner::Us {
        return;
    }
    if left.is_empty() {
        plan.steps.push(release(service, "none of its nodes is there any more"));
    } else {
        publish(view, plan, service, left);
    }
}

fn publish(view: &View<'_>, plan: &mut Plan, service: &Service, next: Vec<PrivateIp>) {
    if next.is_empty() {
        if service.owns_fields {
            plan.steps.push(release(service, "none of its nodes is there any more"));
        }
        return;
    }
    let publication = view.desired.publication(service, next);
    let unchanged =
        publication.is_in(service) && service.external_ips_owner == FieldOwner::Us && !service.half_taken_over;
    if !unchanged {
        plan.steps.push(Step {
            reason: format!("it is served on {}", list(publication.private_ips.iter())),
            services: vec![service.key.clone()],
            action: Action::Publish(publication),
        });
    }
}

fn release(service: &Service, why: &str) -> Step {
    Step {
        reason: why.to_owned(),
        services: vec![service.key.clone()],
        action: Action::Release { service: service.key.clone(), uid: service.uid.clone() },
    }
}
