//! Records: an address is listed only while its node is open, and a replacement is listed before the old one goes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::dns::{self, OwnedName};
use super::super::{
    Exposure, Failure, Hostname, InstanceId, Policy, PublicIp, Record, RecordKey, ServiceKey, Target, annotations,
};
use super::desired::{all_addresses, own_addresses};
use super::firewall_steps::list;
use super::{Action, Plan, RecordChange, Step, View};

/// What is tried again within this time is worth waiting for.
const AGAIN_SOON: Duration = Duration::from_secs(3);

pub(super) fn add(view: &View<'_>, plan: &mut Plan) {
    let mut wanted: BTreeMap<&Hostname, Vec<&Exposure>> = BTreeMap::new();
    for exposure in view.desired.exposures.values() {
        for hostname in &exposure.hostnames {
            wanted.entry(hostname).or_default().push(exposure);
        }
    }
    let busy = busy(view, plan);
    let asked: BTreeSet<&str> = wanted.keys().map(|hostname| hostname.as_str()).collect();
    for (hostname, exposures) in &mut wanted {
        exposures.sort_by(|one, other| (one.created, &one.service).cmp(&(other.created, &other.service)));
        ask(view, plan, &busy, hostname, exposures);
    }
    for owned in view.desired.names.values() {
        if !asked.contains(owned.name.as_str()) {
            leave(view, plan, owned);
        }
    }
    for hostname in wanted.keys() {
        let elsewhere = view.desired.elsewhere(hostname);
        elsewhere.for_each(|owned| move_out(view, plan, hostname, owned));
    }
}

/// The nodes on whose firewall this very plan works, and not in vain: they are listed when that is done, together
/// with the others.
fn busy(view: &View<'_>, plan: &Plan) -> BTreeSet<InstanceId> {
    let targets = plan.steps.iter().map(|step| step.action.target());
    let due = targets.filter(|target| !view.memory.failures.contains_key(target));
    let instance = |target| match target {
        Target::Firewall(id) | Target::NewGroup(id) => Some(id),
        Target::Group(_) | Target::Name(..) | Target::Service(_) => None,
    };
    due.filter_map(instance).collect()
}

/// A name that `exposures` (the eldest first, at least one) ask for.
fn ask(view: &View<'_>, plan: &mut Plan, busy: &BTreeSet<InstanceId>, hostname: &Hostname, exposures: &[&Exposure]) {
    let Some(zone) = view.desired.zone_of(hostname) else { return };
    let owned = view.desired.at_home(hostname);
    // Whose dry run fails without an answer to go by keeps no other from the name.
    let stuck = |exposure: &&&Exposure| {
        let failing = view.memory.failures.contains_key(&Target::Service(exposure.service.clone()));
        failing && !is_admitted(view, exposure)
    };
    let able: Vec<&Exposure> = exposures.iter().filter(|exposure| !stuck(exposure)).copied().collect();
    let exposures = if able.is_empty() { exposures } else { &able };
    let Some(eldest) = exposures.first() else { return };
    if !exposures.iter().all(|exposure| is_admitted(view, exposure)) {
        // A refusal must find the name as it was: only strangers' addresses leave it.
        owned.into_iter().for_each(|owned| shrink(view, plan, owned));
        return;
    }
    // What another zone lists so far comes along: a zone was made below the one where the name was.
    let before = owned.or_else(|| view.desired.elsewhere(hostname).next());
    let current = before.map(|owned| owned.public_ips().clone()).unwrap_or_default();
    let wait = must_wait(view, plan, busy, eldest, exposures);
    let mut addresses = addresses(view, wait, eldest, exposures, &current);
    if owned.is_none() {
        // Where the name begins, it lists nobody who isn't open, whatever another zone lists: that one stays so long.
        let is_open = |id: &InstanceId| is_open_for_all(view, exposures, id);
        addresses.retain(|ip| view.desired.node_of_public(*ip).is_some_and(|node| is_open(&node.instance.id)));
    }
    if addresses.is_empty() {
        if let Some(owned) = owned.filter(|owned| owned.address.is_some()) {
            delete(view, plan, owned, "none of its nodes is there any more".into());
        }
        return;
    }
    let ttl = exposures.iter().map(|exposure| exposure.ttl).min().unwrap_or(eldest.ttl);
    let withdrawn = || view.memory.withdrawn.get(hostname.as_str()).map_or(0, |before| before.ttl);
    let known_for = ttl.max(owned.map_or_else(withdrawn, |owned| known_for(view, plan, owned)));
    let twin = dns::twin_value(&view.settings.owner, &eldest.service);
    let address = Record { ttl: Some(ttl), values: addresses.iter().map(ToString::to_string).collect() };
    let twin = Record { ttl: Some(known_for), values: BTreeSet::from([twin]) };
    let create =
        BTreeMap::from([(dns::address_key(hostname.as_str()), address), (dns::twin_key(hostname.as_str()), twin)]);
    let delete = owned.map(OwnedName::records).unwrap_or_default();
    let reason = if delete != create {
        describe(hostname.as_str(), &current, &addresses)
    } else if exposures.iter().any(|exposure| waits_for_proof(view, hostname, exposure)) {
        format!("{hostname} lists {}: made sure of, as others may have written it last", list(addresses.iter()))
    } else {
        return;
    };
    let name = hostname.as_str().to_owned();
    plan.steps.push(Step {
        reason,
        services: exposures.iter().map(|exposure| exposure.service.clone()).collect(),
        action: Action::ChangeRecords(RecordChange { zone: zone.clone(), name, delete, create }),
    });
}

/// Whether the exposure could be published on another node if it were sure that the name lists it: another process may
/// have taken it out, which reads don't show yet. A name that is written as it is proves that it is so.
fn waits_for_proof(view: &View<'_>, hostname: &Hostname, exposure: &Exposure) -> bool {
    let Some(service) = view.snapshot.services.get(&exposure.service) else { return false };
    let published = own_addresses(service);
    view.desired.placed(&exposure.service).any(|node| {
        view.desired.is_listed_as_read(hostname, node.public_ip)
            && !published.contains(&node.private_ip)
            && !view.desired.is_surely_listed(&exposure.service, node.public_ip)
            && view.desired.is_open(exposure, &node.instance.id)
    })
}

/// For how many seconds resolvers may know what the name listed until now; its twin says so until they have forgotten.
fn known_for(view: &View<'_>, plan: &mut Plan, owned: &OwnedName) -> u32 {
    let Some(lowered) = view.memory.lowered(owned) else { return owned.ttl() };
    let forgotten_at = lowered.remembered_until().after(view.settings.propagation);
    if forgotten_at <= view.now {
        return owned.ttl();
    }
    plan.wake(forgotten_at);
    lowered.ttl
}

/// Whether the API server would take the addresses of the exposure.
fn is_admitted(view: &View<'_>, exposure: &Exposure) -> bool {
    let service = view.snapshot.services.get(&exposure.service);
    service.is_some_and(|service| view.desired.is_admitted(exposure, service, view.memory))
}

/// What the record may list now. `wait`: nobody is added yet whom others can stand in for.
fn addresses(
    view: &View<'_>,
    wait: bool,
    eldest: &Exposure,
    exposures: &[&Exposure],
    current: &BTreeSet<PublicIp>,
) -> BTreeSet<PublicIp> {
    let desired = view.desired;
    let open_for_all = |id: &InstanceId| is_open_for_all(view, exposures, id);
    // That others' ports can't be opened on a node says nothing of these.
    let concerns = |failure: &Failure| exposures.iter().any(|exposure| failure.tried_for.contains(&exposure.service));
    let failing = |id: &InstanceId| failures(view, id).any(concerns);

    let mut list = BTreeSet::new();
    let mut complete = true;
    for node in desired.placed(&eldest.service) {
        let id = &node.instance.id;
        let listed = current.contains(&node.public_ip);
        if open_for_all(id) && (listed || !wait) {
            list.insert(node.public_ip);
        } else if !failing(id) {
            complete = false;
        }
    }
    if list.is_empty() && !current.is_empty() {
        // Perhaps nothing of what is listed stays; who is open needn't wait for others then.
        let open = desired.placed(&eldest.service).filter(|node| open_for_all(&node.instance.id));
        list.extend(open.map(|node| node.public_ip));
    }
    // Make before break: old nodes stay until the new ones are open, and as long as there is no other.
    let keep_old = !complete || list.is_empty();
    let serving = !list.is_empty();
    for ip in current {
        let kept = match desired.node_of_public(*ip) {
            Some(node) if desired.is_placed(&eldest.service, &node.instance.id) => {
                // Listed, but not open: someone closed it. It is opened again in this very round, so it
                // leaves only if that fails, and never as the last one. One that only may be closed stays: before
                // anything is closed, it leaves the name.
                let full = view.observed.full.contains_key(&node.instance.id);
                let is_shown = || !full && exposures.iter().all(|exposure| desired.is_shown_open(exposure, node));
                !failing(&node.instance.id) || !serving || is_shown()
            }
            Some(_) => keep_old,
            // Nobody's address: gone, unless it may be that of a node which EC2 kept silent about.
            None => desired.joined.may_have_public(*ip),
        };
        if kept && list.len() < dns::MAX_VALUES {
            list.insert(*ip);
        }
    }
    list
}

/// Whether all that the exposures need is open on the instance.
fn is_open_for_all(view: &View<'_>, exposures: &[&Exposure], id: &InstanceId) -> bool {
    exposures.iter().all(|exposure| view.desired.is_open(exposure, id))
}

/// What failed lately on the firewall of an instance.
fn failures<'a>(view: &View<'a>, id: &InstanceId) -> impl Iterator<Item = &'a Failure> {
    let memory = view.memory;
    [Target::Firewall(id.clone()), Target::NewGroup(id.clone())]
        .into_iter()
        .filter_map(move |target| memory.failures.get(&target))
}

/// Whether a node that is to be listed is being worked on. One on which a step failed for the first time, to be tried
/// again in a moment, is waited for as well, so that names and Services aren't written twice for a passing failure.
fn must_wait(
    view: &View<'_>,
    plan: &mut Plan,
    busy: &BTreeSet<InstanceId>,
    eldest: &Exposure,
    exposures: &[&Exposure],
) -> bool {
    let placed: Vec<&InstanceId> = view.desired.placed(&eldest.service).map(|node| &node.instance.id).collect();
    let closed = placed.iter().filter(|id| !is_open_for_all(view, exposures, id));
    let passing = closed.flat_map(|id| failures(view, id)).filter(|failure| failure.attempts == 1);
    let given_up_at = passing.map(|failure| failure.retry_at.after(AGAIN_SOON));
    let soon = given_up_at.filter(|at| view.now < *at && *at <= view.now.after(AGAIN_SOON * 2)).max();
    soon.into_iter().for_each(|at| plan.wake(at));
    soon.is_some() || placed.iter().any(|id| busy.contains(*id))
}

/// A name that is ours and that nobody who can be served asks for.
fn leave(view: &View<'_>, plan: &mut Plan, owned: &OwnedName) {
    let key = &owned.service;
    if !view.settings.in_scope(key) {
        return;
    }
    let asks = view.desired.exposures.get(key);
    if view.desired.is_frozen(key) || (asks.is_none() && view.settings.policy == Policy::UpsertOnly) {
        return shrink(view, plan, owned);
    }
    if let Some((heir, addresses)) = heir(view, owned) {
        let mut create = owned.records();
        if let Some(record) = create.get_mut(&dns::address_key(&owned.name)) {
            record.values = addresses.iter().map(ToString::to_string).collect();
        }
        if let Some(record) = create.get_mut(&dns::twin_key(&owned.name)) {
            record.values = BTreeSet::from([dns::twin_value(&view.settings.owner, heir)]);
        }
        return replace(plan, owned, create, format!("{} goes over to {heir}, which asks for it too", owned.name));
    }
    if let Some(exposure) = asks {
        let others_serve = exposure.hostnames.iter().all(|hostname| view.desired.leads_home(hostname));
        if !others_serve || view.settings.policy == Policy::UpsertOnly {
            return shrink(view, plan, owned);
        }
        delete(view, plan, owned, format!("{key} asks for other names now"));
    } else {
        delete(view, plan, owned, format!("{key} doesn't ask for it any more"));
    }
}

/// The Service that keeps a name which its owner gives up, with the addresses of its nodes: it shared the name, is
/// still published there, and is rejected now, so that it keeps what it has.
fn heir<'a>(view: &View<'a>, owned: &OwnedName) -> Option<(&'a ServiceKey, BTreeSet<PublicIp>)> {
    let shares = view.desired.rejections.keys().filter_map(|key| view.snapshot.services.get(key)).filter(|service| {
        service.key != owned.service
            && service.key.namespace == owned.service.namespace
            && annotations::names(service).any(|name| name.as_str() == owned.name)
    });
    let with_addresses = shares.filter_map(|service| {
        // Rejected, it goes on being reached where somebody else has set its list, too.
        let nodes = all_addresses(service).filter_map(|ip| view.desired.node_of_private(ip));
        let addresses: BTreeSet<PublicIp> =
            nodes.map(|node| node.public_ip).filter(|ip| owned.public_ips().contains(ip)).collect();
        (!addresses.is_empty()).then_some((service, addresses))
    });
    let eldest =
        with_addresses.min_by(|(one, _), (other, _)| (one.created, &one.key).cmp(&(other.created, &other.key)));
    eldest.map(|(service, addresses)| (&service.key, addresses))
}

/// A name that somebody asks for, in a zone where it belongs no more.
fn move_out(view: &View<'_>, plan: &mut Plan, hostname: &Hostname, owned: &OwnedName) {
    if !view.settings.in_scope(&owned.service) {
        return;
    }
    if view.desired.leads_home(hostname) && view.settings.policy == Policy::Sync {
        return delete(view, plan, owned, "it is in the zone where it belongs now".into());
    }
    shrink(view, plan, owned);
}

/// Takes out the addresses that belong to no node any more: AWS gives them to strangers.
fn shrink(view: &View<'_>, plan: &mut Plan, owned: &OwnedName) {
    let current = owned.public_ips();
    let present =
        |ip: &&PublicIp| view.desired.node_of_public(**ip).is_some() || view.desired.joined.may_have_public(**ip);
    let left: BTreeSet<PublicIp> = current.iter().filter(present).copied().collect();
    if left == *current {
        return;
    }
    let anew = left.is_empty();
    let left = if anew { published(view, &owned.service) } else { left };
    if left.is_empty() {
        return delete(view, plan, owned, "none of its nodes is there any more".into());
    }
    let mut create = owned.records();
    if let Some(record) = create.get_mut(&dns::address_key(&owned.name)) {
        record.values = left.iter().map(ToString::to_string).collect();
        // Nobody need know the new ones for as long as somebody else wrote that the old ones may be known.
        let asked = view.desired.exposures.get(&owned.service).map(|exposure| exposure.ttl).filter(|_| anew);
        record.ttl = record.ttl.map(|ttl| asked.map_or(ttl, |asked| ttl.min(asked)));
    }
    let reason = describe(&owned.name, current, &left);
    replace(plan, owned, create, reason);
}

/// The public addresses of the nodes that serve an exposure: it is published there, and all that it needs is open.
fn published(view: &View<'_>, key: &ServiceKey) -> BTreeSet<PublicIp> {
    let Some((exposure, service)) = view.desired.exposures.get(key).zip(view.snapshot.services.get(key)) else {
        return BTreeSet::new();
    };
    let open = view.desired.published_nodes(service).filter(|id| view.desired.is_open(exposure, id));
    open.filter_map(|id| view.desired.joined.alive.get(id)).map(|node| node.public_ip).collect()
}

fn delete(view: &View<'_>, plan: &mut Plan, owned: &OwnedName, why: String) {
    let mut create = BTreeMap::new();
    // A process that starts without it would go by the TTL that is asked for.
    let guessed = view.desired.exposures.get(&owned.service).map(|exposure| exposure.ttl);
    if guessed.is_some_and(|guessed| owned.known_for() > guessed) {
        let known_for = known_for(view, plan, owned);
        if known_for > 0 {
            let twin = Record { ttl: Some(known_for), values: owned.twin.values.clone() };
            create.insert(dns::twin_key(&owned.name), twin);
        }
    }
    replace(plan, owned, create, format!("{} is withdrawn: {why}", owned.name));
}

/// Puts `create` in the place of the name's records, where there is a difference. The twin goes with it though it stays as
/// it is: taken out and put back in the same batch, it proves that the name is still ours.
fn replace(plan: &mut Plan, owned: &OwnedName, create: BTreeMap<RecordKey, Record>, reason: String) {
    let (zone, name) = (owned.zone.clone(), owned.name.clone());
    let change = RecordChange { zone, name, delete: owned.records(), create };
    if change.changes() {
        plan.steps.push(Step { action: Action::ChangeRecords(change), reason, services: vec![owned.service.clone()] });
    }
}

fn describe(name: &str, current: &BTreeSet<PublicIp>, next: &BTreeSet<PublicIp>) -> String {
    let added = list(next.difference(current));
    let removed = list(current.difference(next));
    match (added.is_empty(), removed.is_empty()) {
        (false, true) => format!("{name} lists {added}"),
        (true, false) => format!("{name} no longer lists {removed}"),
        (false, false) => format!("{name} lists {added} instead of {removed}"),
        (true, true) => format!("{name} is put right"),
    }
}
