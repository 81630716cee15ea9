//! The wish: who is exposed where, who is rejected and why, and what of it is in use already.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::dns::{self, Hostname, NameKey, OwnedName};
use super::super::nodes::{self, Alive, Joined};
use super::super::publication::{ADDRESSES, ASSIGNED};
use super::super::{
    Drain, Exposure, FieldOwner, InstanceId, Lowered, Memory, Moment, Observed, Placement, PrivateIp, PublicIp, Reason,
    Rejection, Rule, Service, ServiceKey, Settings, Snapshot, ZoneId, annotations, firewall, placement,
};
use super::Publication;
use super::proof::Proof;
use super::settling::{Ground, Settled};
use super::usage::Usage;

/// Everything that is asked for, seen against what is there.
#[derive(Clone, Debug)]
pub struct Desired<'a> {
    /// Services that ask and can be served.
    pub exposures: BTreeMap<ServiceKey, Exposure>,
    /// Services that ask and can't be served. What they already have stays as it is.
    pub rejections: BTreeMap<ServiceKey, Rejection>,
    /// Services that exist but could never be read. What they have stays as it is, too.
    pub unreadable: &'a BTreeSet<ServiceKey>,
    /// There is a zone whose records could never be read, or only as they may have been before another process wrote to
    /// it: nobody knows what it lists.
    pub(super) zone_unread: bool,
    /// Who is served where.
    pub placement: Placement,
    /// The nodes.
    pub joined: Joined<'a>,
    /// The names that are ours.
    pub names: BTreeMap<NameKey, OwnedName>,
    /// Which of them are whose, and what they list.
    usage: Usage,
    /// Every rule that is open and attached, by instance.
    open: BTreeMap<InstanceId, BTreeSet<Rule>>,
    /// What of the firewall is sure.
    proof: Proof<'a>,
    /// The room in the groups of each.
    rooms: BTreeMap<InstanceId, firewall::Room>,
}

/// Works out the wish at `now`.
pub fn desire<'a>(
    snapshot: &'a Snapshot,
    observed: &'a Observed,
    settings: &Settings,
    memory: &Memory,
    now: Moment,
) -> Desired<'a> {
    let joined = nodes::join(snapshot, observed);
    let names = dns::owned_names(observed, settings);

    let groups = firewall::groups_by_instance(observed, settings);
    let none = BTreeMap::new();
    let room = |id, alive: &Alive<'_>| firewall::room_of(alive.instance, groups.get(id).unwrap_or(&none), settings);
    let rooms = joined.alive.iter().map(|(id, alive)| (id.clone(), room(id, alive))).collect();

    let mut wishes = Vec::new();
    let mut rejections = Vec::new();
    for service in snapshot.services.values() {
        let Some(wish) = annotations::read(service, settings) else { continue };
        let wish = wish.and_then(|exposure| {
            let refused =
                refused_list(service, &joined).or_else(|| dns::refusal(&exposure, &names, observed, settings));
            refused.map_or(Ok(exposure), Err)
        });
        match wish {
            Ok(exposure) => wishes.push(exposure),
            Err(rejection) => rejections.push(rejection),
        }
    }

    let wanted: BTreeSet<(&ServiceKey, &str)> = wishes
        .iter()
        .flat_map(|wish: &Exposure| wish.hostnames.iter().map(|name| (&wish.service, name.as_str())))
        .collect();
    let mut published: BTreeMap<ServiceKey, BTreeSet<PublicIp>> = BTreeMap::new();
    let mut asked: BTreeMap<ServiceKey, BTreeSet<PublicIp>> = BTreeMap::new();
    for name in names.values() {
        published.entry(name.service.clone()).or_default().extend(name.public_ips());
        if wanted.contains(&(&name.service, name.name.as_str())) {
            asked.entry(name.service.clone()).or_default().extend(name.public_ips());
        }
    }
    let serving = placement::serving(snapshot, &joined, &published, &asked);
    let ground = Ground { snapshot, observed, settings, joined: &joined, names: &names, serving: &serving };
    let Settled { placement, rejections } = ground.decide(&wishes, rejections, memory, now);

    let served = wishes.into_iter().filter(|wish| placement.nodes.contains_key(&wish.service));
    let exposures = served.map(|wish| (wish.service.clone(), wish)).collect();
    let proof = Proof::new(snapshot, &exposures, &joined, observed);
    let open = joined.alive.iter().map(|(id, alive)| (id.clone(), proof.open_rules(alive.instance))).collect();
    Desired {
        usage: Usage::new(&exposures, &names, snapshot, observed),
        exposures,
        rejections: rejections.into_iter().map(|r| (r.service.clone(), r)).collect(),
        unreadable: &snapshot.unreadable,
        zone_unread: observed
            .zones
            .keys()
            .any(|zone| !observed.records.contains_key(zone) || observed.behind_zones.contains(zone)),
        placement,
        joined,
        names,
        open,
        proof,
        rooms,
    }
}

/// A list that is someone else's is never touched; one that the 2018 version left is taken over when all of it is nodes.
fn refused_list(service: &Service, joined: &Joined<'_>) -> Option<Rejection> {
    let whose = match &service.external_ips_owner {
        FieldOwner::Nobody | FieldOwner::Us => return None,
        FieldOwner::Legacy => {
            let foreign = service
                .external_ips
                .iter()
                .find(|ip| !ip.parse().is_ok_and(|ip| joined.by_private.contains_key(&PrivateIp(ip))))?;
            format!("holds {foreign}, which is no node's address")
        }
        FieldOwner::Other(manager) => format!("was set by `{manager}`"),
    };
    Some(Rejection {
        service: service.key.clone(),
        uid: service.uid.clone(),
        reason: Reason::ExternalIPsTaken,
        message: format!(
            "spec.externalIPs ({}) {whose}: remove the list to have this Service exposed, or the hostname annotation to keep it",
            service.external_ips.join(", ")
        ),
    })
}

/// The addresses on a Service that are ours to change, in order; those that are no IPv4 addresses are left out.
pub(super) fn own_addresses(service: &Service) -> Vec<PrivateIp> {
    match service.external_ips_owner {
        FieldOwner::Us | FieldOwner::Legacy => all_addresses(service).collect(),
        FieldOwner::Nobody | FieldOwner::Other(_) => Vec::new(),
    }
}

/// The addresses under which a Service that asks is reached as things are: those on it, whoever has set them.
pub(super) fn all_addresses(service: &Service) -> impl Iterator<Item = PrivateIp> {
    service.external_ips.iter().filter_map(|ip| ip.parse().ok()).map(PrivateIp)
}

/// The public twins of published addresses as our annotations tell them: of a node that EC2 is silent about, nothing
/// else tells.
fn told_twins(service: &Service) -> BTreeMap<PrivateIp, PublicIp> {
    let list = |name: &str| service.annotations.get(name).map(String::as_str).unwrap_or_default().split(',');
    let pairs = list(ASSIGNED).zip(list(ADDRESSES));
    pairs
        .filter_map(|(private, public)| Some((PrivateIp(private.parse().ok()?), PublicIp(public.parse().ok()?))))
        .collect()
}

impl<'a> Desired<'a> {
    /// The node that has this private address and could be reached.
    pub fn node_of_private(&self, ip: PrivateIp) -> Option<&Alive<'a>> {
        self.joined.alive.get(self.joined.by_private.get(&ip)?)
    }

    /// The node that has this public address and could be reached.
    pub fn node_of_public(&self, ip: PublicIp) -> Option<&Alive<'a>> {
        self.joined.alive.get(self.joined.by_public.get(&ip)?)
    }

    /// The chosen nodes of an exposure that could be reached, in order of preference.
    pub fn placed(&self, service: &ServiceKey) -> impl Iterator<Item = &Alive<'a>> {
        self.placement.nodes.get(service).into_iter().flatten().filter_map(|id| self.joined.alive.get(id))
    }

    /// Whether the instance is among the chosen ones.
    pub fn is_placed(&self, service: &ServiceKey, instance: &InstanceId) -> bool {
        self.placement.nodes.get(service).is_some_and(|nodes| nodes.contains(instance))
    }

    /// Whether everything that the exposure needs is open on the node, through groups that are attached.
    pub fn is_open(&self, exposure: &Exposure, instance: &InstanceId) -> bool {
        self.open.get(instance).is_some_and(|open| firewall::rules(exposure).is_subset(open))
    }

    /// Whether all of it is open as far as reads show, be it sure or not.
    pub(super) fn is_shown_open(&self, exposure: &Exposure, node: &Alive<'_>) -> bool {
        firewall::rules(exposure).is_subset(&self.proof.shown_rules(node.instance))
    }

    /// Whether something that the exposure needs isn't open on the node and has no room in its groups.
    pub fn lacks_room(&self, exposure: &Exposure, instance: &InstanceId) -> bool {
        let (Some(open), Some(room)) = (self.open.get(instance), self.rooms.get(instance)) else { return false };
        let missing =
            firewall::rules(exposure).into_iter().filter(|rule| !open.contains(rule) && !room.held.contains(rule));
        let (missing_v6, missing): (Vec<Rule>, Vec<Rule>) = missing.partition(|rule| rule.source.is_v6());
        missing.len() > room.free.0 || missing_v6.len() > room.free.1
    }

    /// The names that are in use for a Service: those it asks for and those that its twins tell of.
    pub fn names_of(&self, service: &ServiceKey) -> impl Iterator<Item = &OwnedName> {
        self.usage.names_of(service).filter_map(|key| self.names.get(key))
    }

    /// The name that somebody asks for, in the zone where it belongs; `None` while it isn't there.
    pub(super) fn at_home(&self, hostname: &Hostname) -> Option<&OwnedName> {
        self.home(hostname).map(|(_, name)| name)
    }

    fn home(&self, hostname: &Hostname) -> Option<(&NameKey, &OwnedName)> {
        let key = self.usage.home_of(hostname)?;
        Some((key, self.names.get(key)?))
    }

    /// Whether the name surely lists somebody where it belongs.
    pub(super) fn leads_home(&self, hostname: &Hostname) -> bool {
        let lists = |(key, name): (&NameKey, &OwnedName)| {
            name.public_ips().iter().any(|ip| self.usage.surely_lists(key, name, *ip))
        };
        self.home(hostname).is_some_and(lists)
    }

    /// The same name in zones where it doesn't belong any more.
    pub(super) fn elsewhere(&self, hostname: &Hostname) -> impl Iterator<Item = &OwnedName> {
        self.usage.elsewhere(hostname).iter().filter_map(|key| self.names.get(key))
    }

    /// The zone that a name which somebody asks for belongs in.
    pub(super) fn zone_of(&self, hostname: &Hostname) -> Option<&ZoneId> {
        self.usage.home_of(hostname).map(|(zone, _)| zone)
    }

    /// Whether some record of the Service lists the address.
    pub fn is_listed(&self, service: &ServiceKey, ip: PublicIp) -> bool {
        self.usage.listed(service).contains(&ip)
    }

    /// Whether some record of the Service lists the address, and nothing may have taken it out: no change whose answer
    /// was lost, none that the read of a zone doesn't show yet.
    pub(super) fn is_surely_listed(&self, service: &ServiceKey, ip: PublicIp) -> bool {
        let mut names = self.usage.names_of(service).filter_map(|key| Some((key, self.names.get(key)?)));
        names.any(|(key, name)| self.usage.surely_lists(key, name, ip))
    }

    /// Whether it would be if the name were known to be as it was read.
    pub(super) fn is_listed_as_read(&self, hostname: &Hostname, ip: PublicIp) -> bool {
        self.home(hostname).is_some_and(|(key, name)| self.usage.lists_as_read(key, name, ip))
    }

    /// Whether some record of the Service lists the address, or may: a change that would have it so was sent, and its
    /// answer lost.
    pub(super) fn may_be_listed(&self, service: &ServiceKey, ip: PublicIp) -> bool {
        self.is_listed(service, ip) || self.usage.maybe_listed(service).contains_key(&ip)
    }

    /// All addresses that records list, or may list, with the Services that the records are for.
    pub(super) fn all_listed(&self) -> impl Iterator<Item = (&ServiceKey, PublicIp)> {
        self.usage.all_listed()
    }

    /// Whether all names that the exposure asks for list the address.
    pub fn is_listed_everywhere(&self, exposure: &Exposure, ip: PublicIp) -> bool {
        exposure
            .hostnames
            .iter()
            .all(|hostname| self.at_home(hostname).is_some_and(|name| name.public_ips().contains(&ip)))
    }

    /// The nodes that are in use for the Service: a record lists them, or may, or they are published.
    pub(super) fn used_nodes(&self, service: &Service) -> BTreeSet<&InstanceId> {
        let listed = self.usage.listed(&service.key).iter().chain(self.usage.maybe_listed(&service.key).keys());
        let listed = listed.filter_map(|ip| self.joined.by_public.get(ip));
        self.published_nodes(service).chain(listed).collect()
    }

    /// Those of them whose addresses stand on the Service: that the API server takes these is known. What a record
    /// lists may have been another's, one of the same name among them.
    pub(super) fn published_nodes(&self, service: &Service) -> impl Iterator<Item = &InstanceId> {
        own_addresses(service).into_iter().filter_map(|ip| self.joined.by_private.get(&ip))
    }

    /// Whether there are Services that may be in use, though they can't be seen.
    fn some_are_unseen(&self, snapshot: &Snapshot) -> bool {
        !self.unreadable.is_empty() || self.all_listed().any(|(key, _)| !snapshot.services.contains_key(key))
    }

    /// The rules that Services need where they are published.
    fn claims(&self, snapshot: &Snapshot) -> impl Iterator<Item = (InstanceId, Rule)> {
        self.exposures.iter().flat_map(|(key, exposure)| {
            let nodes = snapshot.services.get(key).into_iter().flat_map(|service| self.published_nodes(service));
            let rules = firewall::rules(exposure);
            nodes.flat_map(move |id| rules.clone().into_iter().map(|rule| (id.clone(), rule)))
        })
    }

    /// What of the firewall is sure.
    pub(super) fn proof(&self) -> &Proof<'a> {
        &self.proof
    }

    /// Every rule that is open and attached on a node.
    pub(super) fn open_on(&self, instance: &InstanceId) -> Option<&BTreeSet<Rule>> {
        self.open.get(instance)
    }

    /// Whether what the Service has is kept though it can't be served: it asks, or may ask.
    pub fn is_frozen(&self, service: &ServiceKey) -> bool {
        self.rejections.contains_key(service) || self.unreadable.contains(service)
    }

    /// The publication that would hold the chosen nodes and those that are published already: what a dry run tries.
    pub fn full_publication(&self, exposure: &Exposure, service: &Service) -> Publication {
        self.publication(service, self.full_list(exposure, service))
    }

    fn full_list(&self, exposure: &Exposure, service: &Service) -> Vec<PrivateIp> {
        let mut private_ips = own_addresses(service);
        let mut seen: BTreeSet<PrivateIp> = private_ips.iter().copied().collect();
        private_ips.extend(self.placed(&exposure.service).map(|node| node.private_ip).filter(|ip| seen.insert(*ip)));
        private_ips
    }

    /// A publication of these addresses, with their public twins.
    pub fn publication(&self, service: &Service, private_ips: Vec<PrivateIp>) -> Publication {
        let told = told_twins(service);
        let twin = |ip: &PrivateIp| match self.node_of_private(*ip) {
            Some(node) => Some(node.public_ip),
            None => told.get(ip).copied(),
        };
        let public_ips = private_ips.iter().filter_map(twin).collect();
        Publication {
            service: service.key.clone(),
            uid: service.uid.clone(),
            private_ips,
            public_ips,
            take_over: service.external_ips_owner == FieldOwner::Legacy || service.half_taken_over,
        }
    }

    /// Whether the API server is known to accept every address that the exposure would add; nothing is opened before.
    pub fn is_admitted(&self, exposure: &Exposure, service: &Service, memory: &Memory) -> bool {
        let wanted = self.full_list(exposure, service);
        let present = own_addresses(service);
        wanted.iter().all(|ip| present.contains(ip))
            || memory.trials.get(&exposure.service).is_some_and(|trial| {
                trial.uid == service.uid
                    && trial.refused.is_none()
                    && wanted.iter().all(|ip| trial.addresses.contains(ip))
            })
    }
}

/// Brings the memory up to date with what is seen at `now`: since when a published address is in no record any
/// more, and forgets what no longer matters.
pub fn remember(desired: &Desired<'_>, snapshot: &Snapshot, settings: &Settings, memory: &mut Memory, now: Moment) {
    let before = std::mem::take(&mut memory.lowered);
    let lowered = desired.names.iter().filter(|(_, name)| name.ttl() < name.known_for()).map(|(key, name)| {
        let (ttl, to) = (name.known_for(), name.ttl());
        let known = before.get(key).filter(|known| known.ttl == ttl);
        let lowered = known.map(|known| known.lowered_to(to, now));
        (key.clone(), lowered.unwrap_or(Lowered { ttl, to, since: now }))
    });
    memory.lowered = lowered.collect();

    let mut drains = BTreeMap::new();
    for (key, service) in &snapshot.services {
        for ip in own_addresses(service) {
            let Some(node) = desired.node_of_private(ip) else { continue };
            let before = memory.drains.get(&(key.clone(), ip));
            let listed = desired.names_of(key).filter(|name| name.public_ips().contains(&node.public_ip));
            let listed: Vec<&OwnedName> = listed.collect();
            let ttls = listed.iter().map(|name| name.ttl());
            let lowered = listed.iter().filter_map(|name| memory.lowered(name));
            let remembered_until = lowered.map(Lowered::remembered_until).max().map_or(now, |until| until.max(now));
            let maybe = desired.usage.maybe_listed(key).get(&node.public_ip).copied();
            let wished = desired.exposures.get(key).map(|exposure| exposure.ttl);
            let drain = match (ttls.chain(maybe).max(), before) {
                (Some(ttl), None) => Drain { ttl, since: None, seen: true, remembered_until },
                (Some(ttl), Some(before)) => {
                    // With a lower TTL now, answers with the higher one are still about.
                    let until = match before.since {
                        None if before.ttl > ttl => now.after(Duration::from_secs(before.ttl.into())),
                        None => before.remembered_until,
                        Some(since) => since.after(Duration::from_secs(before.ttl.into())),
                    };
                    let remembered_until = remembered_until.max(before.remembered_until).max(until);
                    Drain { ttl, since: None, seen: true, remembered_until }
                }
                // Nothing is published before a record lists it. Where none was ever seen, it is in a zone that can't
                // be read, if there is one: nobody can tell whether it is gone from there.
                (None, Some(before)) if !before.seen && desired.zone_unread => *before,
                (None, Some(before)) => {
                    // What was never seen listed had the TTL that is asked for, which may not have been known so far.
                    let ttl = if before.seen { before.ttl } else { before.ttl.max(wished.unwrap_or_default()) };
                    Drain { ttl, since: before.since.or(Some(now)), ..*before }
                }
                (None, None) => {
                    let names = desired.names_of(key).map(OwnedName::known_for).max();
                    let ttl = wished.unwrap_or(settings.default_ttl).max(names.unwrap_or_default());
                    let since = (!desired.zone_unread).then_some(now);
                    Drain { ttl, since, seen: false, remembered_until: now }
                }
            };
            drains.insert((key.clone(), ip), drain);
        }
    }
    memory.drains = drains;
    match desired.some_are_unseen(snapshot) {
        true => memory.claimed.extend(desired.claims(snapshot)),
        false => memory.claimed.clear(),
    }
    memory.withdrawn.retain(|_, name| now < name.remembered_until().after(settings.propagation));
    memory.trials.retain(|key, trial| snapshot.services.get(key).is_some_and(|service| service.uid == trial.uid));
    for (key, trial) in memory.trials.iter_mut().filter(|(_, trial)| trial.refused.is_none()) {
        // What was taken once may be refused when it comes back: policies change.
        let present = snapshot.services.get(key).map(own_addresses).unwrap_or_default();
        let placed: BTreeSet<PrivateIp> = desired.placed(key).map(|node| node.private_ip).collect();
        trial.addresses.retain(|ip| present.contains(ip) || placed.contains(ip));
    }
}
