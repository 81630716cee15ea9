//! L1 and L2: what must be so when faults have stopped, wishes stand still and enough time has passed.
//!
//! Who can't be served must have a reason that the checker finds by itself; whoever can, must be served in full.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use crate::sim::aws::state::Source;
use crate::sim::aws::{Aws, RecordKey, State};
use crate::sim::event::Creator;
use crate::sim::kube::{Kube, NodeView, ServiceView};

use super::aws::{addresses, instance_in, twin, twin_of};
use super::kube::CONDITION;
use super::wish::{self, Wish, ports};

/// What isn't as it should be: rule and words.
pub type Flaw = (&'static str, String);

/// At most so many groups are made for a node (design.md section 4), with so many rules each (AWS's quota).
const GROUPS: usize = 2;
const RULES: usize = 60;

/// Ports that are refused.
const RESERVED: [u16; 8] = [22, 179, 2379, 2380, 6443, 10250, 10255, 10256];

struct World {
    state: State,
    services: Vec<ServiceView>,
    nodes: Vec<NodeView>,
    /// The instances of all nodes.
    instances: BTreeSet<String>,
    owner: String,
    cluster: String,
    groups_per_interface: usize,
    /// How many rules all wishes together need on a node that serves all of them, at most.
    rules: usize,
}

/// What nobody can serve, or be served on, in whatever form: all else is as if it weren't there (L5).
#[derive(Clone, Debug, Default)]
pub struct Poisoned {
    /// Services: namespace and name.
    pub services: BTreeSet<(String, String)>,
    /// Nodes.
    pub nodes: BTreeSet<String>,
}

/// Looks at a world at rest.
pub fn flaws(aws: &Aws, kube: &Kube, owner: &str, cluster: &str) -> Vec<Flaw> {
    flaws_but(aws, kube, owner, cluster, &Poisoned::default())
}

/// The same of a world in which something is poisoned: that is excepted, and nothing else.
pub fn flaws_but(aws: &Aws, kube: &Kube, owner: &str, cluster: &str, poisoned: &Poisoned) -> Vec<Flaw> {
    let mut world = World::new(aws, kube, owner, cluster);
    world.nodes.retain(|node| !poisoned.nodes.contains(&node.name));
    let mut flaws = Vec::new();
    let others =
        |service: &&ServiceView| !poisoned.services.contains(&(service.namespace.clone(), service.name.clone()));
    for service in world.services.iter().filter(others) {
        match wish::wish(service) {
            Some(wish) => world.served(service, &wish, &mut flaws),
            None => world.released(service, &mut flaws),
        }
    }
    world.leaks(&mut flaws);
    flaws
}

fn named(service: &ServiceView) -> String {
    format!("{}/{}", service.namespace, service.name)
}

/// Whether it asks and can't be served: it keeps what it has.
fn is_kept(service: &ServiceView) -> bool {
    wish::wish(service).is_some() && condition(service).is_none_or(|(status, _)| status != "True")
}

/// Whether somebody else has set its list of addresses: all of it is his, be it one that we have put there before.
fn is_others(service: &ServiceView) -> bool {
    let by_others = service.external_ips_managers.iter().any(|manager| manager != wish::MANAGER);
    service.external_ips.iter().any(|(_, creator)| by_others || *creator != Creator::Us)
}

/// Whether it is told to be served as it asks.
fn is_ready(service: &&ServiceView) -> bool {
    condition(service).is_some_and(|(status, _)| status == "True")
}

fn condition(service: &ServiceView) -> Option<(&str, &str)> {
    let condition = service.conditions.iter().find(|condition| condition.kind == CONDITION)?;
    Some((&condition.status, &condition.reason))
}

impl World {
    fn new(aws: &Aws, kube: &Kube, owner: &str, cluster: &str) -> World {
        let (services, nodes): (Vec<ServiceView>, Vec<NodeView>) =
            kube.look(|look| (look.services().map(Cow::into_owned).collect(), look.nodes().cloned().collect()));
        let rules = services.iter().filter_map(wish::wish).map(|wish| wish.ports.len() * wish.sources.len()).sum();
        World {
            state: aws.look(State::clone),
            services,
            rules,
            instances: nodes.iter().filter_map(wish::instance_of).map(str::to_owned).collect(),
            nodes,
            owner: owner.to_owned(),
            cluster: cluster.to_owned(),
            groups_per_interface: aws.limits().groups_per_interface,
        }
    }

    /// What our records list under a name.
    fn addresses(&self, hostname: &str) -> BTreeSet<Ipv4Addr> {
        let ours = |zone: &str| {
            let zone = self.state.zones.get(zone)?;
            twin_of(zone, hostname).filter(|twin| twin.owner == self.owner)
        };
        let listed = wish::listed(&self.state, hostname).into_iter();
        listed.filter(|(zone, _)| ours(zone).is_some()).flat_map(|(_, addresses)| addresses).collect()
    }

    /// The TTLs of the address records of a name.
    fn ttls(&self, hostname: &str) -> BTreeSet<u32> {
        let Some(key) = RecordKey::new(hostname, "A", None) else { return BTreeSet::new() };
        let records = self.state.zones.values().filter_map(|zone| zone.records.get(&key));
        records.filter_map(|record| record.ttl).collect()
    }

    /// Whether an address is that of a running instance that is a node.
    fn is_a_nodes(&self, address: Ipv4Addr) -> bool {
        let instance = self.state.instance_of(address).map(|instance| &instance.id);
        instance.is_some_and(|id| self.instances.contains(id) && wish::addresses(&self.state, id).is_some())
    }

    /// L1 for a Service that asks.
    fn served(&self, service: &ServiceView, wish: &Wish, flaws: &mut Vec<Flaw>) {
        let name = named(service);
        let mut flaw = |what: String| flaws.push(("L1", format!("{name}: {what}")));
        let Some((status, reason)) = condition(service) else {
            return flaw("asks, and has no condition".to_owned());
        };
        if status != "True" {
            // Faults have ended, and nothing else refuses them here.
            if reason == "ExternalIPsForbidden" {
                return flaw("is told that the API server refuses its addresses, which it doesn't".to_owned());
            }
            match self.excuse(service, wish, &BTreeSet::new()) {
                Some(_) => return,
                None => return flaw(format!("isn't served ({reason}), and nothing stands in its way")),
            }
        }
        if !wish.valid {
            return flaw("is served though its wish can't be understood".to_owned());
        }
        let published: BTreeSet<Ipv4Addr> =
            service.external_ips.iter().filter_map(|(address, _)| address.parse().ok()).collect();
        let mut public = BTreeSet::new();
        let mut serving = BTreeSet::new();
        for private in &published {
            let node = self.nodes.iter().find_map(|node| {
                let id = wish::instance_of(node)?;
                let (own, public) = wish::addresses(&self.state, id)?;
                (own == *private).then_some((id, node, public))
            });
            match node {
                None => flaw(format!("publishes {private}, which is no node's")),
                Some((id, node, address)) => {
                    public.insert(address);
                    serving.insert(id.to_owned());
                    if !wish::open(&self.state, id, wish) {
                        flaw(format!("isn't open on {id} ({})", node.name));
                    }
                    if !wish.labels.iter().all(|(key, value)| node.labels.get(key) == Some(value)) {
                        flaw(format!("is served on {}, which its selector doesn't match", node.name));
                    }
                }
            }
        }
        if published.is_empty() {
            flaw("is Ready without an address".to_owned());
        }
        if let Some((_, port)) = wish.ports.iter().find(|(_, port)| RESERVED.contains(port)) {
            flaw(format!("is served, though port {port} is reserved"));
        }
        let others = || self.services.iter().filter(|other| other.uid != service.uid && is_ready(other));
        for other in others().filter(|other| !ports(other).is_disjoint(&ports(service))) {
            let shared = |(address, _): &&(String, Creator)| service.external_ips.iter().any(|(own, _)| own == address);
            if let Some((address, _)) = other.external_ips.iter().find(shared) {
                flaw(format!("and {} have a port in common, both on {address}", named(other)));
            }
        }
        for hostname in &wish.hostnames {
            let asks = |other: &&ServiceView| {
                other.uid != service.uid && wish::wish(other).is_some_and(|other| other.hostnames.contains(hostname))
            };
            if let Some(other) = others().filter(asks).find(|other| other.namespace != service.namespace) {
                flaw(format!("is served under {hostname}, and so is {}", named(other)));
            }
            // Who is rejected keeps what he has, be it a name's TTL.
            if !self.services.iter().filter(asks).any(is_kept) {
                let others = self.services.iter().filter(asks).filter_map(wish::wish).map(|wish| wish.ttl);
                let asked: Vec<Option<u32>> = others.chain([wish.ttl]).collect();
                let (least, by_all) = (asked.iter().flatten().min(), asked.iter().all(Option::is_some));
                let wrong = |ttl: &u32| least.is_some_and(|least| ttl > least || by_all && ttl < least);
                if let Some(ttl) = self.ttls(hostname).into_iter().find(wrong) {
                    flaw(format!("{hostname} has the TTL {ttl}, asked for is {least:?}"));
                }
            }
            let listed = self.addresses(hostname);
            if listed != public {
                flaw(format!("{hostname} lists {listed:?}, published are the nodes of {public:?}"));
            }
        }
        // Those that share a name are where all of them can be, and on no more nodes than each of them asks for.
        let family = self.family(service, wish);
        let shared: Vec<Wish> =
            self.services.iter().filter(|other| family.contains(&other.uid)).filter_map(wish::wish).collect();
        let eligible = self
            .nodes
            .iter()
            .filter(|node| shared.iter().all(|wish| wish::eligible(&self.state, node, wish)) && !self.is_full(node));
        let free = eligible.filter(|node| {
            wish::instance_of(node).is_some_and(|id| serving.contains(id) || !self.occupied(service, wish, id))
        });
        let most = shared.iter().filter_map(|wish| wish.max).min().unwrap_or(usize::MAX);
        let free: Vec<_> = free.collect();
        // Where nothing is any better, it stays where it was.
        let lost = serving.iter().filter(|id| !free.is_empty() && !self.has_endpoint(wish, id));
        lost.for_each(|id| flaw(format!("is served on {id}, where it has no ready endpoint")));
        let wanted = most.min(free.len());
        if published.len() < wanted {
            flaw(format!("is served on {} nodes, could be on {wanted}", published.len()));
        }
        if let Some(max) = wish.max.filter(|max| published.len() > *max) {
            flaw(format!("is served on {} nodes, asks for {max}", published.len()));
        }
    }

    fn has_endpoint(&self, wish: &Wish, instance: &str) -> bool {
        let mut nodes = self.nodes.iter().filter(|node| wish::instance_of(node) == Some(instance));
        wish.endpoints.as_ref().is_none_or(|endpoints| nodes.any(|node| endpoints.contains(&node.name)))
    }

    /// Whether the groups of ours that fit on a node's interface don't hold what everybody asks for: others have taken
    /// their places, or it is too much.
    fn is_full(&self, node: &NodeView) -> bool {
        let Some(id) = wish::instance_of(node) else { return false };
        let Some(interface) = self.state.primary(id) else { return false };
        let groups = interface.groups.keys().filter_map(|id| self.state.groups.get(id));
        let ours: Vec<_> = groups.filter(|group| group.creator == Creator::Us).collect();
        let others = interface.groups.len() - ours.len();
        let rules = ours.iter().flat_map(|group| group.rules.values());
        let foreign = rules.filter(|rule| rule.creator != Creator::Us).count();
        self.rules + foreign > GROUPS.min(self.groups_per_interface.saturating_sub(others)) * RULES
    }

    /// Whether a Service may be placed on a node whose interface has no place for all of its rules: those that are open
    /// are wished for, though nobody is served by them.
    fn waits(&self, service: &ServiceView, wish: &Wish, node: &NodeView) -> bool {
        let served = service.external_ips.iter().filter(|(_, creator)| *creator == Creator::Us).count();
        wish.valid && wish.max.is_none_or(|max| served < max) && wish::eligible(&self.state, node, wish)
    }

    /// Whether another Service uses one of the wish's ports on the instance, or the name's other Services can't be
    /// there.
    fn occupied(&self, service: &ServiceView, wish: &Wish, id: &str) -> bool {
        let Some((private, public)) = wish::addresses(&self.state, id) else { return true };
        let private = private.to_string();
        let family = self.family(service, wish);
        // One that asks and can't be served keeps its places, and isn't placed with those that share a name with it.
        let others = self.services.iter().filter(|other| other.uid != service.uid);
        others.filter(|other| is_kept(other) || !family.contains(&other.uid)).any(|other| {
            let published = other.external_ips.iter().any(|(address, _)| *address == private);
            let takes = published || is_kept(other) && self.listed_for(other).contains(&public);
            takes && family_ports(&self.services, &family).iter().any(|port| ports(other).contains(port))
        })
    }

    /// What the names list whose twins name the Service.
    fn listed_for(&self, service: &ServiceView) -> BTreeSet<Ipv4Addr> {
        let mut listed = BTreeSet::new();
        for zone in self.state.zones.values() {
            for (key, record) in zone.records.iter().filter(|(key, _)| key.kind() == "TXT") {
                let its = twin(record).filter(|twin| twin.owner == self.owner).and_then(|twin| twin.service);
                let name = key.plain_name();
                if its.is_some_and(|its| its == (service.namespace.clone(), service.name.clone()))
                    && let Some(key) = name.strip_prefix("a-").and_then(|name| RecordKey::new(name, "A", None))
                {
                    listed.extend(addresses(zone.records.get(&key)));
                }
            }
        }
        listed
    }

    /// The Services of one namespace that share a name with this one, itself included, and those that share one with
    /// them and are served: they are placed together.
    fn family(&self, service: &ServiceView, wish: &Wish) -> BTreeSet<String> {
        let neighbours = self.services.iter().filter(|other| other.namespace == service.namespace);
        let asking: Vec<(&ServiceView, Wish)> =
            neighbours.filter_map(|other| Some((other, wish::wish(other)?))).collect();
        let served = asking.iter().filter(|(other, _)| is_ready(other)).map(|(_, wish)| &wish.hostnames);
        let names = wish::tied(&wish.hostnames, served);
        let sharing = asking.iter().filter(|(_, wish)| !wish.hostnames.is_disjoint(&names));
        sharing.map(|(other, _)| other.uid.clone()).collect()
    }

    /// Whether a Service that wants the same as another one gets it, or keeps it, or can't be served for a reason that is
    /// its own: two that can't are no reasons for each other. `waiting` are those that were found to wait for it.
    fn is_ahead(&self, other: &ServiceView, hostnames: &BTreeSet<String>, waiting: &BTreeSet<&str>) -> bool {
        let its = (other.namespace.clone(), other.name.clone());
        let holds = |zone| {
            let mut twins = hostnames.iter().filter_map(|hostname| twin_of(zone, hostname));
            twins.any(|twin| twin.owner == self.owner && twin.service.as_ref() == Some(&its))
        };
        let has_its_own = || {
            let wish = wish::wish(other).filter(|wish| wish.valid);
            !waiting.contains(other.uid.as_str())
                && wish.is_some_and(|wish| self.excuse(other, &wish, waiting).is_some())
        };
        is_ready(&other) || self.state.zones.values().any(|zone| holds(zone)) || has_its_own()
    }

    /// Why a Service that asks can't be served, other than for those that are `waiting` for it.
    fn excuse(&self, service: &ServiceView, wish: &Wish, waiting: &BTreeSet<&str>) -> Option<String> {
        if !wish.valid {
            return Some("its wish can't be understood".to_owned());
        }
        if let Some((_, port)) = wish.ports.iter().find(|(_, port)| RESERVED.contains(port)) {
            return Some(format!("port {port} is reserved"));
        }
        if is_others(service) {
            return Some("its list is somebody else's".to_owned());
        }
        let mut waiting = waiting.clone();
        waiting.insert(&service.uid);
        for hostname in &wish.hostnames {
            let other = self.services.iter().find(|other| {
                other.namespace != service.namespace
                    && wish::wish(other).is_some_and(|other| other.hostnames.contains(hostname))
                    && self.is_ahead(other, &BTreeSet::from([hostname.clone()]), &waiting)
            });
            if let Some(other) = other {
                return Some(format!("{hostname} is asked for by {}", named(other)));
            }
            let zones: Vec<_> = self
                .state
                .zones
                .values()
                .filter(|zone| !zone.private && format!("{hostname}.").ends_with(&format!(".{}", zone.name)))
                .collect();
            if zones.is_empty() {
                return Some(format!("{hostname} has no zone"));
            }
            for zone in zones {
                let there = zone.records.iter().filter(|(key, _)| key.plain_name().trim_end_matches('.') == *hostname);
                let kinds: Vec<_> = there.map(|(key, record)| (key.kind(), record.ttl.is_none())).collect();
                let taken = kinds.iter().any(|(kind, _)| !matches!(*kind, "TXT" | "MX" | "CAA"));
                // Beside these there can be nothing of ours, nor is one of them ours.
                let replaced = kinds.iter().any(|(kind, is_alias)| *kind == "CNAME" || *kind == "A" && *is_alias);
                let twin = twin_of(zone, hostname);
                let holder = twin.as_ref().and_then(|twin| twin.service.as_ref()).and_then(|(namespace, name)| {
                    self.services.iter().find(|other| other.namespace == *namespace && other.name == *name)
                });
                if let Some(other) = holder.filter(|other| other.uid != service.uid && is_kept(other)) {
                    return Some(format!("{hostname} is kept for {}", named(other)));
                }
                if twin.as_ref().is_some_and(|twin| twin.owner != self.owner) || replaced || taken && twin.is_none() {
                    return Some(format!("{hostname} is somebody else's"));
                }
            }
        }
        // Those that share a name share its nodes: one port can serve one of them only.
        let family = self.family(service, wish);
        let others = self.services.iter().filter(|other| other.uid != service.uid && family.contains(&other.uid));
        let mut rivals = others.filter(|other| !ports(other).is_disjoint(&wish.ports));
        if let Some(other) = rivals.find(|other| self.is_ahead(other, &wish.hostnames, &waiting)) {
            return Some(format!("{} shares its name and has its port", named(other)));
        }
        // Those that it would tie to each other can't be together.
        let served = || self.services.iter().filter(|other| family.contains(&other.uid) && is_ready(other));
        let clashes =
            |one: &&ServiceView| served().any(|other| other.uid != one.uid && !ports(other).is_disjoint(&ports(one)));
        if let Some(one) = served().find(clashes) {
            return Some(format!("it would tie {} to one that has its port", named(one)));
        }
        let shared: Vec<Wish> =
            self.services.iter().filter(|other| family.contains(&other.uid)).filter_map(wish::wish).collect();
        let free = self
            .nodes
            .iter()
            .filter(|node| shared.iter().all(|wish| wish::eligible(&self.state, node, wish)) && !self.is_full(node))
            .filter_map(wish::instance_of)
            .any(|id| !self.occupied(service, wish, id));
        (!free).then(|| "no node is free".to_owned())
    }

    /// L2 for a Service that doesn't ask.
    fn released(&self, service: &ServiceView, flaws: &mut Vec<Flaw>) {
        let name = named(service);
        if service.external_ips.iter().any(|(_, creator)| *creator == Creator::Us) && !is_others(service) {
            flaws.push(("L2", format!("{name} doesn't ask, and has addresses of ours")));
        }
        if condition(service).is_some() {
            flaws.push(("L2", format!("{name} doesn't ask, and has our condition")));
        }
        let ours = ["assigned", "addresses"].map(|name| format!("{}{name}", wish::PREFIX));
        if ours.iter().any(|name| service.annotations.contains_key(name)) {
            flaws.push(("L2", format!("{name} doesn't ask, and has annotations of ours")));
        }
    }

    /// L2: nothing of ours is left that nobody asks for.
    fn leaks(&self, flaws: &mut Vec<Flaw>) {
        let asked: BTreeSet<String> =
            self.services.iter().filter_map(wish::wish).flat_map(|wish| wish.hostnames).collect();
        let key = |service: &ServiceView| (service.namespace.clone(), service.name.clone());
        let kept = || self.services.iter().filter(|service| is_kept(service));
        let keeping: BTreeSet<(String, String)> = kept().map(key).collect();
        for zone in self.state.zones.values() {
            for (key, record) in zone.records.iter().filter(|(_, record)| record.creator == Creator::Us) {
                let name = key.plain_name();
                let name = name.trim_end_matches('.');
                let hostname = if key.kind() == "TXT" { name.strip_prefix("a-").unwrap_or(name) } else { name };
                // Without a twin it isn't ours to touch, whoever took that away. We leave none so: S4, at each change.
                if key.kind() == "A" && twin_of(zone, hostname).is_none_or(|twin| twin.owner != self.owner) {
                    continue;
                }
                if key.kind() == "A"
                    && let Some(address) = addresses(Some(record)).iter().find(|address| !self.is_a_nodes(**address))
                {
                    flaws.push(("S1b", format!("{name} lists {address}, which is no node's")));
                }
                let service = twin_of(zone, hostname).and_then(|twin| twin.service);
                if service.is_some_and(|service| keeping.contains(&service)) {
                    continue;
                }
                if !asked.contains(hostname) {
                    flaws.push(("L2", format!("{name} {} is left: nobody asks for it", key.kind())));
                }
                let address = || RecordKey::new(hostname, "A", None).and_then(|key| zone.records.get(&key));
                if key.kind() == "TXT" && address().is_some_and(|address| address.ttl != record.ttl) {
                    flaws.push(("L2", format!("{name} still has the TTL of before")));
                }
                if key.kind() == "TXT" && twin(record).is_some() && wish::listed(&self.state, hostname).is_empty() {
                    flaws.push(("L2", format!("{name} is a twin alone")));
                }
            }
        }
        let keeps: BTreeSet<(String, u16)> = kept().flat_map(ports).collect();
        for group in self.state.groups.values().filter(|group| group.creator == Creator::Us) {
            let instance = instance_in(&group.name).filter(|_| group.name.contains(&self.cluster));
            let attached = instance
                .and_then(|id| self.state.primary(id))
                .is_some_and(|interface| interface.groups.contains_key(&group.id));
            let full_node = || {
                let node = self.nodes.iter().find(|node| wish::instance_of(node) == instance);
                node.filter(|node| self.is_full(node))
            };
            let foreign = group.rules.values().any(|rule| rule.creator != Creator::Us);
            let ours = group.rules.values().any(|rule| rule.creator == Creator::Us);
            let kept = || {
                let ports =
                    group.rules.keys().flat_map(|rule| (rule.from..=rule.to).map(|port| (&rule.protocol, port)));
                ports
                    .filter_map(|(protocol, port)| Some((protocol.clone(), u16::try_from(port).ok()?)))
                    .any(|port| keeps.contains(&port))
            };
            if !attached && (full_node().is_some() || kept()) || foreign && !ours {
                // It waits for a place, or for its Service; or somebody works in it, and it stays as long as his rules.
                continue;
            }
            let (Some(instance), true) = (instance, attached) else {
                flaws.push(("L2", format!("the group {} is left", group.name)));
                continue;
            };
            if group.rules.is_empty() {
                flaws.push(("L2", format!("the group {} is empty", group.name)));
            }
            let private = wish::addresses(&self.state, instance).map(|(private, _)| private.to_string());
            let full = full_node();
            let served: Vec<Wish> = self
                .services
                .iter()
                .filter_map(|service| Some((service, wish::wish(service)?)))
                .filter(|(service, wish)| {
                    service.external_ips.iter().any(|(address, _)| Some(address) == private.as_ref())
                        || full.is_some_and(|node| self.waits(service, wish, node))
                })
                .map(|(_, wish)| wish)
                .collect();
            let is_kept = |description: &str| {
                keeping.iter().any(|(namespace, name)| description.ends_with(&format!("{namespace}/{name}")))
            };
            let ours = group.rules.iter().filter(|(_, rule)| rule.creator == Creator::Us);
            for (rule, made) in ours.filter(|(_, rule)| !is_kept(&rule.description)) {
                // Where there is no room for narrower rules, a wider one stays.
                let stands_in = |source: &Source| full.is_some() && rule.source.covers(source);
                let is_asked_for =
                    |wish: &Wish| wish.sources.contains(&rule.source) || wish.sources.iter().any(stands_in);
                let needed = |protocol: &str, port: i32| {
                    u16::try_from(port).is_ok_and(|port| {
                        let port = (protocol.to_owned(), port);
                        keeps.contains(&port)
                            || served.iter().any(|wish| wish.ports.contains(&port) && is_asked_for(wish))
                    })
                };
                // What a rejected Service has stays as it is: a rule that lets it in isn't made narrower for others.
                let is_whole =
                    |port: i32| u16::try_from(port).is_ok_and(|port| keeps.contains(&(rule.protocol.clone(), port)));
                if (rule.from..=rule.to).any(is_whole) {
                    continue;
                }
                if let Some(port) = (rule.from..=rule.to).find(|port| !needed(&rule.protocol, *port)) {
                    let what = format!("{}/{port} from {:?} ({})", rule.protocol, rule.source, made.description);
                    flaws.push(("L2", format!("{what} is left open on {instance}")));
                }
            }
        }
    }
}

fn family_ports(services: &[ServiceView], family: &BTreeSet<String>) -> BTreeSet<(String, u16)> {
    services.iter().filter(|service| family.contains(&service.uid)).flat_map(ports).collect()
}
