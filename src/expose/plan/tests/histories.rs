//! Random histories: people, nodes and failures at any moment; what must always hold is checked at every step,
//! what must hold in the end when nothing changes any more.

use proptest::prelude::*;

use super::super::super::*;
use super::world::{World, ZONE};

/// Something that happens.
#[derive(Clone, Debug)]
enum Happening {
    Add(u8),
    Remove(u8),
    Hostname(u8, u8),
    Selector(u8, u8),
    MaxIps(u8, u8),
    Port(u8, u16),
    Ready(u8, bool),
    Gone(u8),
    Back(u8),
    NewAddress(u8, u8),
    /// Takes the steps of one plan, those with these indices left out, in this rotation.
    Steps(u8, u8),
    /// Takes all steps there are.
    Round,
    Restart,
    Wait(u8),
    Ttl(u8, u8),
    /// A Service goes and another one asks for its port.
    HandOver(u8, u8),
    /// A group of the 2018 version, with rules, on a node.
    Legacy(u8, u8),
    /// Something fails for a while.
    Fails(u8, u8),
    /// The API server refuses the addresses of a Service.
    Refuses(u8),
    /// A zone below the first one.
    Zone,
    /// Something can't be seen.
    HideService(u8),
    HideNode(u8),
    HideInstance(u8),
    HideZone(bool),
    /// All of it can be seen again, and nothing fails.
    ClearUp,
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening::*;
    prop_oneof![
        2 => (0..4u8).prop_map(Add),
        1 => (0..4u8).prop_map(Remove),
        2 => (0..4u8, 0..8u8).prop_map(|(s, h)| Hostname(s, h)),
        2 => (0..4u8, 0..4u8).prop_map(|(s, l)| Selector(s, l)),
        2 => (0..4u8, 0..4u8).prop_map(|(s, n)| MaxIps(s, n)),
        2 => (0..4u8, 5000..5003u16).prop_map(|(s, p)| Port(s, p)),
        2 => (1..5u8, any::<bool>()).prop_map(|(n, r)| Ready(n, r)),
        1 => (1..5u8).prop_map(Gone),
        1 => (1..5u8).prop_map(Back),
        1 => (1..5u8, 100..110u8).prop_map(|(n, ip)| NewAddress(n, ip)),
        12 => (any::<u8>(), any::<u8>()).prop_map(|(skip, turn)| Steps(skip, turn)),
        4 => Just(Round),
        1 => Just(Restart),
        1 => any::<u8>().prop_map(Wait),
        1 => (0..4u8, 0..3u8).prop_map(|(s, t)| Ttl(s, t)),
        1 => (0..4u8, 0..4u8).prop_map(|(from, to)| HandOver(from, to)),
        1 => (0..4u8, 1..5u8).prop_map(|(s, n)| Legacy(s, n)),
        2 => (0..5u8, 0..5u8).prop_map(|(kind, n)| Fails(kind, n)),
        1 => (0..4u8).prop_map(Refuses),
        1 => Just(Zone),
        1 => (0..4u8).prop_map(HideService),
        1 => (1..5u8).prop_map(HideNode),
        1 => (1..5u8).prop_map(HideInstance),
        1 => any::<bool>().prop_map(HideZone),
        2 => Just(ClearUp),
    ]
}

/// Names of the zone below.
const SUB: &str = "z.sub.example.com";
const BOTH: &str = "x.example.com,z.sub.example.com";

fn happen(world: &mut World, what: &Happening) {
    let names = ["s0", "s1", "s2", "s3"];
    let key = |s: u8| ServiceKey::new("games", names[usize::from(s)]);
    let id = |n: u8| InstanceId(format!("i-{n:08x}"));
    match *what {
        Happening::Add(s) => {
            if !world.snapshot.services.contains_key(&key(s)) && !world.hidden.services.contains_key(&key(s)) {
                let hostname = format!("h{s}.example.com");
                let port = 5000 + u16::from(s % 2);
                world.add_service(names[usize::from(s)], port, &[("hostname", &hostname), ("ttl", "10")]);
            }
        }
        Happening::Remove(s) => {
            world.snapshot.services.remove(&key(s));
        }
        Happening::Hostname(s, h) => {
            if let Some(service) = world.snapshot.services.get_mut(&key(s)) {
                let hostname = [
                    "h0.example.com",
                    "h1.example.com",
                    "h0.example.com,x.example.com",
                    "..",
                    "y.example.com",
                    SUB,
                    BOTH,
                ]
                .get(usize::from(h));
                match hostname {
                    Some(hostname) => service.annotations.insert("hostname".into(), (*hostname).into()),
                    None => service.annotations.remove("hostname"),
                };
            }
        }
        Happening::Selector(s, l) => {
            if let Some(service) = world.snapshot.services.get_mut(&key(s)) {
                let selector = ["odd=1", "odd=0", "pool=general", "nonsense in ("][usize::from(l)];
                service.annotations.insert("selector".into(), selector.into());
            }
        }
        Happening::MaxIps(s, n) => {
            if let Some(service) = world.snapshot.services.get_mut(&key(s)) {
                service.annotations.insert("maxips".into(), n.to_string());
            }
        }
        Happening::Port(s, number) => {
            if let Some(service) = world.snapshot.services.get_mut(&key(s)) {
                service.ports = vec![Port { protocol: Protocol::Udp, number }];
            }
        }
        Happening::Ready(n, ready) => {
            if let Some(node) = world.snapshot.nodes.get_mut(&format!("n{n}")) {
                node.ready = ready;
            }
        }
        Happening::Gone(n) => {
            world.snapshot.nodes.remove(&format!("n{n}"));
            world.observed.instances.insert(id(n), Lookup::Gone);
            world.hidden.nodes.remove(&format!("n{n}"));
            world.hidden.instances.remove(&id(n));
        }
        Happening::Back(n) => {
            let name = format!("n{n}");
            if !world.snapshot.nodes.contains_key(&name) && !world.hidden.nodes.contains_key(&name) {
                world.add_node(n);
            }
        }
        Happening::NewAddress(n, ip) => {
            let taken = |lookup: &Lookup| matches!(lookup, Lookup::Known(i) if i.public_ip == Some(PublicIp([198, 51, 100, ip].into())));
            if !world.observed.instances.values().chain(world.hidden.instances.values()).any(taken)
                && let Some(Lookup::Known(instance)) = world.observed.instances.get_mut(&id(n))
            {
                instance.public_ip = Some(PublicIp([198, 51, 100, ip].into()));
            }
        }
        Happening::Steps(skip, turn) => {
            let mut steps = world.plan().steps;
            let len = steps.len();
            if len > 0 {
                steps.rotate_left(usize::from(turn) % len);
            }
            for (index, step) in steps.iter().enumerate() {
                // A step that is left out is one that failed.
                if index >= 8 || skip & (1 << index) == 0 || skip == 255 {
                    world.take(step);
                }
            }
        }
        Happening::Round => {
            world.round();
        }
        Happening::Restart => world.restart(),
        Happening::Wait(seconds) => world.wait(u64::from(seconds)),
        Happening::Ttl(s, t) => {
            if let Some(service) = world.snapshot.services.get_mut(&key(s)) {
                service.annotations.insert("ttl".into(), ["10", "60", "soon"][usize::from(t)].into());
            }
        }
        Happening::HandOver(from, to) => {
            if let Some(service) = world.snapshot.services.remove(&key(from)) {
                happen(world, &Happening::Add(to));
                if let Some(heir) = world.snapshot.services.get_mut(&key(to)) {
                    heir.ports = service.ports;
                }
            }
        }
        Happening::Legacy(s, n) => {
            let group = GroupId(format!("old-{s}"));
            if let Some(Lookup::Known(instance)) = world.observed.instances.get_mut(&id(n))
                && !instance.groups.contains(&group)
            {
                instance.groups.push(group.clone());
                let port = 5000 + u16::from(s % 2);
                let rule = Rule { protocol: Protocol::Udp, from: port, to: port, source: Cidr::ANY_V4 };
                let group = Group {
                    id: group,
                    name: format!("{}.games.test", names[usize::from(s)]),
                    vpc: "vpc-1".into(),
                    rules: [(rule, String::new())].into(),
                    foreign_rules: Default::default(),
                };
                world.observed.groups.insert(group.id.clone(), group);
            }
        }
        Happening::Fails(kind, n) => {
            let name = ["h0.example.com", "h1.example.com", "x.example.com", "y.example.com", SUB][usize::from(n)];
            let zone = if name == SUB { "ZSUB" } else { ZONE };
            let target = match kind {
                0 => Target::Firewall(id(n)),
                1 => Target::Group(GroupId(format!("external-ips/test/{}", id(n)))),
                2 => Target::Name(ZoneId(zone.into()), name.into()),
                3 => Target::NewGroup(id(n)),
                _ => Target::Service(key(n.min(3))),
            };
            let retry_at = world.now.after(std::time::Duration::from_secs(1000));
            let message = "refused".to_owned();
            let tried_for = world.snapshot.services.keys().cloned().collect();
            let failure =
                Failure { reason: Reason::Failed, message, attempts: 1, retry_at, tried_for, refused_for: [].into() };
            world.memory.failures.insert(target, failure);
        }
        Happening::Refuses(s) => {
            if let Some(service) = world.snapshot.services.get(&key(s)) {
                let (uid, at, refused) = (service.uid.clone(), world.now, Some("no".to_owned()));
                world.memory.trials.insert(key(s), Trial { uid, addresses: Vec::new(), at, refused, refusals: 6 });
            }
        }
        Happening::Zone => {
            if !world.observed.zones.contains_key(&ZoneId("ZSUB".into())) {
                world.add_zone("ZSUB", "sub.example.com");
            }
        }
        Happening::HideService(s) => {
            if let Some(service) = world.snapshot.services.remove(&key(s)) {
                world.snapshot.unreadable.insert(key(s));
                world.hidden.services.insert(key(s), service);
            }
        }
        Happening::HideNode(n) => {
            if let Some((name, node)) = world.snapshot.nodes.remove_entry(&format!("n{n}")) {
                world.snapshot.unreadable_nodes = true;
                world.hidden.nodes.insert(name, node);
            }
        }
        Happening::HideInstance(n) => {
            if let Some(lookup @ Lookup::Known(_)) = world.observed.instances.get(&id(n)).cloned() {
                world.observed.instances.insert(id(n), Lookup::Unknown);
                world.hidden.instances.insert(id(n), lookup);
            }
        }
        Happening::HideZone(below) => {
            let zone = ZoneId(if below { "ZSUB" } else { ZONE }.into());
            if let Some(records) = world.observed.records.remove(&zone) {
                world.hidden.records.insert(zone, records);
                // What was read once is known from then on: it takes a new process not to know it.
                world.restart();
            }
        }
        Happening::ClearUp => world.clear_up(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_keeps_the_never_list_and_ends_where_it_should(
        happenings in prop::collection::vec(happening(), 1..40),
        rules_per_group in prop::sample::select(vec![1, 2, 60]),
    ) {
        let mut world = World::new(4);
        world.settings.rules_per_group = rules_per_group;
        for what in &happenings {
            happen(&mut world, what);
        }
        world.settle();
        world.clear_up();
        world.settle();
        prop_assert_eq!(world.plan().steps, vec![]);
        let again = { world.restart(); world.settle(); world.plan().steps };
        prop_assert_eq!(again, vec![]);

        // Every Service that can be served is served in full; nothing is open that nobody asks for.
        let services: Vec<ServiceKey> = world.snapshot.services.keys().cloned().collect();
        for key in services {
            let Some(condition) = world.condition(&key) else { continue };
            prop_assert!(condition.reason != "Progressing" && condition.reason != "Failed", "{:?}", condition);
        }
        // No name is in two zones, but of a Service that was rejected while it moved: what that one has stays.
        let rejected = world.rejected();
        let names: Vec<String> = dns::owned_names(&world.observed, &world.settings)
            .into_values()
            .filter(|name| !rejected.contains(&name.service))
            .map(|name| name.name)
            .collect();
        let distinct: std::collections::BTreeSet<&String> = names.iter().collect();
        prop_assert_eq!(distinct.len(), names.len(), "{:?}", names);
        prop_assert_eq!(world.surplus(), Vec::<String>::new());
        // When nobody asks any more, nothing of ours is left.
        let keys: Vec<ServiceKey> = world.snapshot.services.keys().cloned().collect();
        for key in keys {
            world.annotate(&key, "hostname", None);
        }
        world.settle();
        prop_assert!(world.is_clean(), "left: {:?} {:?}", world.observed.groups, world.observed.records);
    }
}
