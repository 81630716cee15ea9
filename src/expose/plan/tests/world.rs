//! A cluster and an AWS account as values, and the loop over them; every single step is checked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use super::super::super::*;
use super::super::{desire, effect, plan, remember, terms};

pub const ZONE: &str = "ZPUBLIC";
/// Annotations of a Service that wants one node.
pub const SIMPLE: &[(&str, &str)] = &[("hostname", "a.example.com"), ("maxips", "1")];

/// Everything there is.
#[derive(Clone)]
pub struct World {
    pub snapshot: Snapshot,
    pub observed: Observed,
    pub memory: Memory,
    pub settings: Settings,
    pub now: Moment,
    /// Every step that was taken, as `verb target`.
    pub taken: Vec<String>,
    /// What exists but can't be seen at the moment.
    pub hidden: Hidden,
    /// What a record that could be read was seen to list for a Service, since the process began.
    seen: BTreeSet<(ServiceKey, PublicIp)>,
}

/// What can't be seen at the moment.
#[derive(Clone, Default)]
pub struct Hidden {
    pub services: BTreeMap<ServiceKey, Service>,
    pub nodes: BTreeMap<String, Node>,
    pub instances: BTreeMap<InstanceId, Lookup>,
    pub records: BTreeMap<ZoneId, BTreeMap<RecordKey, Record>>,
}

impl World {
    /// One zone, `nodes` nodes named `n1`, `n2`, ...
    pub fn new(nodes: u8) -> World {
        let zone = Zone { id: ZoneId(ZONE.into()), name: "example.com".parse().unwrap() };
        let observed = Observed {
            zones: BTreeMap::from([(zone.id.clone(), zone.clone())]),
            records: BTreeMap::from([(zone.id, BTreeMap::new())]),
            ..Observed::default()
        };
        let settings = Settings { cluster: "test".into(), owner: "test".into(), ..Settings::default() };
        let (snapshot, memory) = (Snapshot::default(), Memory::default());
        let mut world = World {
            snapshot,
            observed,
            memory,
            settings,
            now: Moment::default(),
            taken: Vec::new(),
            hidden: Hidden::default(),
            seen: BTreeSet::new(),
        };
        for n in 1..=nodes {
            world.add_node(n);
        }
        world
    }

    pub fn add_node(&mut self, n: u8) {
        let id = InstanceId(format!("i-{n:08x}"));
        let zone = format!("eu-west-1{}", ["a", "b", "c"][usize::from(n % 3)]);
        let node = Node {
            name: format!("n{n}"),
            created: i64::from(n),
            labels: BTreeMap::from([("pool".into(), "general".into()), ("odd".into(), (n % 2).to_string())]),
            provider_id: format!("aws:///{zone}/{}", id.0),
            ready: true,
            ..Node::default()
        };
        let instance = Instance {
            id: id.clone(),
            running: true,
            zone,
            vpc: "vpc-1".into(),
            interface: format!("eni-{n}"),
            interfaces: 1,
            private_ip: Some(PrivateIp(Ipv4Addr::new(10, 0, 0, n))),
            public_ip: Some(PublicIp(Ipv4Addr::new(203, 0, 113, n))),
            groups: vec![GroupId("sg-nodes".into())],
        };
        self.snapshot.nodes.insert(node.name.clone(), node);
        self.observed.instances.insert(id, Lookup::Known(instance));
    }

    pub fn node(&mut self, n: u8) -> &mut Node {
        self.snapshot.nodes.get_mut(&format!("n{n}")).unwrap()
    }

    pub fn instance(&mut self, n: u8) -> &mut Instance {
        match self.observed.instances.get_mut(&InstanceId(format!("i-{n:08x}"))).unwrap() {
            Lookup::Known(instance) => instance,
            other => panic!("{other:?}"),
        }
    }

    pub fn add_service(&mut self, name: &str, port: u16, annotations: &[(&str, &str)]) -> ServiceKey {
        let key = ServiceKey::new("games", name);
        let service = Service {
            key: key.clone(),
            uid: format!("uid-{name}-{}", self.taken.len()),
            created: 100 + self.snapshot.services.len() as i64,
            kind: ServiceKind::ClusterIp,
            headless: false,
            ipv6_only: false,
            half_taken_over: false,
            ports: vec![Port { protocol: Protocol::Udp, number: port }],
            annotations: annotations.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            source_ranges: Vec::new(),
            external_ips: Vec::new(),
            external_ips_owner: FieldOwner::Nobody,
            owns_fields: false,
            local_nodes: None,
            unread_endpoints: None,
            deleting: false,
            ready: None,
        };
        self.snapshot.services.insert(key.clone(), service);
        key
    }

    pub fn service(&mut self, key: &ServiceKey) -> &mut Service {
        self.snapshot.services.get_mut(key).unwrap()
    }

    pub fn annotate(&mut self, key: &ServiceKey, name: &str, value: Option<&str>) {
        let annotations = &mut self.service(key).annotations;
        match value {
            Some(value) => annotations.insert(name.into(), value.into()),
            None => annotations.remove(name),
        };
    }

    /// The plan as of now.
    pub fn plan(&mut self) -> Plan {
        let World { snapshot, observed, settings, memory, now, seen, .. } = self;
        let (settings, _) = terms(snapshot, observed, settings);
        let desired = desire(snapshot, observed, &settings, memory, *now);
        remember(&desired, snapshot, &settings, memory, *now);
        for key in snapshot.services.keys() {
            let listed = desired.names_of(key).flat_map(|name| name.public_ips());
            seen.extend(listed.map(|ip| (key.clone(), *ip)));
        }
        plan(&desired, snapshot, observed, &settings, memory, *now)
    }

    pub fn condition(&self, key: &ServiceKey) -> Option<Condition> {
        let (settings, _) = terms(&self.snapshot, &self.observed, &self.settings);
        let desired = desire(&self.snapshot, &self.observed, &settings, &self.memory, self.now);
        report::condition(self.snapshot.services.get(key)?, &desired, &self.memory)
    }

    pub fn rejected(&self) -> BTreeSet<ServiceKey> {
        let (settings, _) = terms(&self.snapshot, &self.observed, &self.settings);
        let desired = desire(&self.snapshot, &self.observed, &settings, &self.memory, self.now);
        desired.rejections.into_keys().collect()
    }

    /// Takes one step and checks what must always hold.
    pub fn take(&mut self, step: &Step) {
        let before = self.clone();
        self.taken.push(describe(&step.action));
        let World { snapshot, observed, memory, now, .. } = self;
        effect(step, snapshot, observed, memory, *now);
        memory.failures.remove(&step.action.target());
        check(&before, self, step);
    }

    /// Takes all steps until there is none left at this moment; gives the verbs in order.
    pub fn round(&mut self) -> Vec<String> {
        let from = self.taken.len();
        for _ in 0..40 {
            let steps = self.plan().steps;
            if steps.is_empty() {
                return self.taken[from..].to_vec();
            }
            for step in &steps {
                self.take(step);
            }
        }
        panic!("never settles: {:#?}", self.plan().steps);
    }

    /// The same, with time passing as far as the plan waits for it.
    pub fn settle(&mut self) -> Vec<String> {
        let from = self.taken.len();
        self.round();
        for _ in 0..40 {
            let Some(at) = self.plan().wake_at else { return self.taken[from..].to_vec() };
            self.now = self.now.max(at);
            self.round();
        }
        panic!("waits for ever");
    }

    /// The public addresses that a name lists, in whatever zone.
    pub fn listed(&self, name: &str) -> BTreeSet<String> {
        let records = self.observed.records.values().filter_map(|records| records.get(&dns::address_key(name)));
        records.flat_map(|record| record.values.clone()).collect()
    }

    /// Another zone comes or is seen for the first time.
    pub fn add_zone(&mut self, id: &str, name: &str) {
        let zone = Zone { id: ZoneId(id.into()), name: name.parse().unwrap() };
        self.observed.records.entry(zone.id.clone()).or_default();
        self.observed.zones.insert(zone.id.clone(), zone);
    }

    /// Whether nothing of ours is left anywhere.
    pub fn is_clean(&self) -> bool {
        self.observed.groups.is_empty()
            && dns::owned_names(&self.observed, &self.settings).is_empty()
            && self.snapshot.services.values().all(|service| !service.owns_fields)
    }

    /// Everything can be seen and nothing fails any more.
    pub fn clear_up(&mut self) {
        let Hidden { services, nodes, instances, records } = std::mem::take(&mut self.hidden);
        self.snapshot.services.extend(services);
        self.snapshot.nodes.extend(nodes);
        self.observed.instances.extend(instances);
        self.observed.records.extend(records);
        self.snapshot.unreadable.clear();
        self.snapshot.unreadable_nodes = false;
        self.memory.failures.clear();
        self.memory.trials.retain(|_, trial| trial.refused.is_none());
    }

    /// The Services that ask or may ask, with the nodes that can be reached on which they are listed or published. What
    /// is listed where nobody can read it counts for those that are kept as they are. One that is served under all the
    /// names that it asks for goes on without that zone, as far as its own addresses don't tell of more.
    fn in_use(&self, desired: &super::super::Desired<'_>) -> Vec<(Service, BTreeSet<InstanceId>)> {
        let hidden = self.hidden_names();
        let names = dns::owned_names(&self.observed, &self.settings);
        let services = self.snapshot.services.values().chain(self.hidden.services.values());
        let asking = services.filter(|s| desired.exposures.contains_key(&s.key) || desired.is_frozen(&s.key));
        let nodes = |service: &Service| {
            let hidden = hidden.values().filter(|name| desired.is_frozen(&name.service));
            let own = names.values().chain(hidden).filter(|name| name.service == service.key);
            let listed = own.flat_map(|name| name.public_ips()).filter_map(|ip| desired.node_of_public(*ip));
            let ips = super::super::desired::own_addresses(service).into_iter();
            let published = ips.filter_map(|ip| desired.node_of_private(ip));
            listed.chain(published).map(|node| node.instance.id.clone()).collect()
        };
        asking.map(|service| (service.clone(), nodes(service))).collect()
    }

    /// The names that are ours in zones that can't be read.
    fn hidden_names(&self) -> BTreeMap<dns::NameKey, dns::OwnedName> {
        let observed = Observed { records: self.hidden.records.clone(), ..Observed::default() };
        dns::owned_names(&observed, &self.settings)
    }

    /// Groups of ours, and rules in them, that nobody needs who is in use there.
    pub fn surplus(&self) -> Vec<String> {
        let desired = desire(&self.snapshot, &self.observed, &self.settings, &self.memory, self.now);
        let in_use = self.in_use(&desired);
        let mut surplus = Vec::new();
        for group in self.observed.groups.values() {
            let Some((id, _)) = firewall::parse_group_name(&self.settings.cluster, &group.name) else { continue };
            if group.rules.is_empty() {
                surplus.push(format!("{} is empty", group.name));
            }
            for rule in group.rules.keys() {
                let wants =
                    |port: &Port| port.protocol == rule.protocol && (rule.from..=rule.to).contains(&port.number);
                if !in_use.iter().any(|(service, ids)| ids.contains(&id) && service.ports.iter().any(wants)) {
                    surplus.push(format!("{rule} in {}", group.name));
                }
            }
        }
        surplus
    }

    /// Whether a port of the Service is open on an instance by a rule that it can be known to use.
    fn lets_in(&self, service: &Service, port: Port, id: &InstanceId) -> bool {
        let Some(Lookup::Known(instance)) = self.observed.instances.get(id) else { return true };
        let rules = instance.groups.iter().filter_map(|id| self.observed.groups.get(id)).flat_map(|group| &group.rules);
        let known = |description: &str| {
            self.snapshot.services.contains_key(&service.key)
                || firewall::described_service(description).as_ref() == Some(&service.key)
        };
        rules.into_iter().any(|(rule, description)| {
            rule.protocol == port.protocol && (rule.from..=rule.to).contains(&port.number) && known(description)
        })
    }

    /// Forgets what a restarted process doesn't know.
    pub fn restart(&mut self) {
        self.memory = Memory::default();
        self.seen.clear();
    }

    pub fn wait(&mut self, seconds: u64) {
        self.now = self.now.after(Duration::from_secs(seconds));
    }
}

/// Where a step, in two words, is among others.
pub fn position(steps: &[String], wanted: &str) -> usize {
    steps.iter().position(|step| step == wanted).unwrap_or_else(|| panic!("{wanted} is not in {steps:?}"))
}

/// The step in two words.
pub fn describe(action: &Action) -> String {
    match action {
        Action::TryPublication(p) => format!("try {}", p.service.name),
        Action::CreateGroup { instance, .. } => format!("create-group {instance}"),
        Action::Authorize { instance, .. } => format!("authorize {instance}"),
        Action::Attach { instance, .. } => format!("attach {instance}"),
        Action::ChangeRecords(change) if change.withdraws() => format!("delete-name {}", change.name),
        Action::ChangeRecords(change) => format!("change-name {}", change.name),
        Action::Publish(p) => format!("publish {}", p.service.name),
        Action::Release { service, .. } => format!("release {}", service.name),
        Action::Revoke { group, .. } => format!("revoke {group}"),
        Action::Detach { instance, .. } => format!("detach {instance}"),
        Action::DeleteGroup { group } => format!("delete-group {group}"),
    }
}

/// N1, N2 and N6 over one step, whatever the order of steps within a plan.
fn check(before: &World, after: &World, step: &Step) {
    let desired = desire(&after.snapshot, &after.observed, &after.settings, &after.memory, after.now);
    for name in desired.names.values() {
        let Some(exposure) = desired.exposures.get(&name.service) else { continue };
        for ip in name.public_ips().iter().copied() {
            let was_listed = before.listed(&name.name).contains(&ip.to_string());
            let node = desired.node_of_public(ip);
            assert!(
                was_listed || node.is_some_and(|node| desired.is_open(exposure, &node.instance.id)),
                "N1: {} begins to list {ip}, which isn't open, by {step:?}",
                name.name
            );
            if let (Some(node), Action::Revoke { .. } | Action::Detach { .. }) = (node, &step.action) {
                let was_open = desire(&before.snapshot, &before.observed, &before.settings, &before.memory, before.now)
                    .is_open(exposure, &node.instance.id);
                assert!(
                    !was_open || desired.is_open(exposure, &node.instance.id),
                    "N1: {ip} is closed while {} lists it, by {step:?}",
                    name.name
                );
            }
        }
    }
    if matches!(step.action, Action::Revoke { .. } | Action::Detach { .. } | Action::DeleteGroup { .. }) {
        for (service, ids) in after.in_use(&desired) {
            // No SCTP port is served: a rule for one lets in all of them.
            let ports = service.ports.iter().filter(|port| port.protocol != Protocol::Sctp);
            for (id, port) in ids.iter().flat_map(|id| ports.clone().map(move |port| (id, *port))) {
                assert!(
                    !before.lets_in(&service, port, id) || after.lets_in(&service, port, id),
                    "S1c: {port} of {} is closed on {id} while it is in use, by {step:?}",
                    service.key
                );
            }
        }
    }
    let published = |world: &World, key: &ServiceKey, node: &nodes::Alive<'_>| {
        let service = world.snapshot.services.get(key);
        service.is_some_and(|service| service.external_ips.contains(&node.private_ip.to_string()))
    };
    for name in before.hidden_names().values().filter(|name| desired.exposures.contains_key(&name.service)) {
        for node in name.public_ips().iter().filter_map(|ip| desired.node_of_public(*ip)) {
            let key = &name.service;
            let told = before.seen.contains(&(key.clone(), node.public_ip));
            assert!(
                told || !published(before, key, node) || published(after, key, node),
                "S5: {} leaves {key} though {} may list it, which can't be read, by {step:?}",
                node.private_ip,
                name.name
            );
        }
    }
    for (key, exposure) in &desired.exposures {
        for hostname in &exposure.hostnames {
            let (was, is) = (before.listed(hostname.as_str()), after.listed(hostname.as_str()));
            let alive = |ips: &BTreeSet<String>| {
                ips.iter().any(|ip| desired.node_of_public(PublicIp(ip.parse().unwrap())).is_some())
            };
            assert!(!alive(&was) || !is.is_empty(), "N6: {hostname} goes to none by {step:?}");
        }
        for ip in &after.snapshot.services[key].external_ips {
            let new = !before.snapshot.services[key].external_ips.contains(ip);
            let node = desired.node_of_private(PrivateIp(ip.parse().unwrap()));
            assert!(
                !new || node.is_some_and(|node| desired.is_listed(key, node.public_ip)),
                "order: {ip} is published before it is listed, by {step:?}"
            );
        }
    }
    let foreign = |world: &World| -> Vec<(RecordKey, Record)> {
        let ours = dns::owned_names(&world.observed, &world.settings);
        let ours: BTreeSet<RecordKey> = ours.values().flat_map(|owned| owned.records().into_keys()).collect();
        let all = world.observed.records.values().flatten();
        all.filter(|(key, _)| !ours.contains(key)).map(|(key, record)| (key.clone(), record.clone())).collect()
    };
    assert_eq!(foreign(before), foreign(after), "N2: records of others change by {step:?}");
    for (id, lookup) in &after.observed.instances {
        if let (Lookup::Known(is), Some(Lookup::Known(was))) = (lookup, before.observed.instances.get(id)) {
            let others = |i: &Instance| i.groups.iter().filter(|g| g.0.starts_with("sg-")).cloned().collect::<Vec<_>>();
            assert_eq!(others(was), others(is), "N2: groups of others change by {step:?}");
        }
    }
}
