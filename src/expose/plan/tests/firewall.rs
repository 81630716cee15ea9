//! Rules of opening and closing, one test per rule.

use super::super::super::*;
use super::world::{World, ZONE};

fn id(n: u8) -> InstanceId {
    InstanceId(format!("i-{n:08x}"))
}

/// Every rule in groups of ours.
fn open_ports(world: &World) -> Vec<u16> {
    let mut ports: Vec<u16> =
        world.observed.groups.values().flat_map(|group| group.rules.keys()).map(|rule| rule.from).collect();
    ports.sort();
    ports
}

fn failure() -> Failure {
    Failure {
        reason: Reason::Failed,
        message: "no".into(),
        attempts: 5,
        retry_at: Moment(std::time::Duration::from_secs(1_000_000)),
        tried_for: ["a", "b"].map(|name| ServiceKey::new("games", name)).into(),
        refused_for: [].into(),
    }
}

/// A world where `b` uses the rule that was made for `a`, which is gone.
fn inherited() -> (World, ServiceKey) {
    let mut world = World::new(1);
    let a = world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    world.settle();
    world.snapshot.services.remove(&a);
    let b = world.add_service("b", 6315, &[("hostname", "b.example.com")]);
    world.settle();
    assert_eq!(world.service(&b).external_ips, ["10.0.0.1"]);
    (world, b)
}

#[test]
fn a_rule_that_was_inherited_stays_while_its_user_is_frozen() {
    let (mut world, b) = inherited();
    world.annotate(&b, "ttl", Some("nonsense"));
    assert_eq!(world.settle(), [""; 0]);
    world.annotate(&b, "ttl", None);

    let records = world.observed.records.remove(&ZoneId(ZONE.into())).unwrap();
    assert_eq!(world.settle(), [""; 0], "its zone can't be read");
    world.observed.records.insert(ZoneId(ZONE.into()), records);

    let service = world.snapshot.services.remove(&b).unwrap();
    world.snapshot.unreadable.insert(b.clone());
    assert_eq!(world.settle(), [""; 0], "it can't be read itself");
    world.snapshot.unreadable.clear();
    world.snapshot.services.insert(b, service);
    assert_eq!(world.settle(), [""; 0]);
}

#[test]
fn what_somebody_else_put_into_a_group_takes_the_place_of_our_rules() {
    let mut world = World::new(1);
    world.settings.rules_per_group = 2;
    world.add_service("a", 5000, &[("hostname", "a.example.com")]);
    world.settle();
    world.observed.groups.values_mut().for_each(|group| group.foreign_rules = ForeignRules { v4: 1, v6: 1 });
    let b = world.add_service("b", 6000, &[("hostname", "b.example.com")]);
    world.settle();
    assert_eq!(world.service(&b).external_ips, ["10.0.0.1"]);
    let of_groups: Vec<usize> = world.observed.groups.values().map(|group| group.rules.len()).collect();
    assert_eq!(of_groups, [1, 1]);
}

#[test]
fn what_lets_somebody_in_is_not_closed_to_make_room_while_anything_else_can_be() {
    let mut world = World::new(1);
    world.settings.rules_per_group = 3;
    let a = world.add_service("a", 5000, &[("hostname", "a.example.com")]);
    let more = [5010, 5020, 5030].map(|number| Port { protocol: Protocol::Udp, number });
    world.service(&a).ports.extend(more);
    world.settle();
    assert_eq!(open_ports(&world), [5000, 5010, 5020, 5030]);
    // Two of the four fit in beside the old ones.
    world.annotate(&a, "source-ranges", Some("198.51.100.0/24"));
    for _ in 0..20 {
        let steps = world.plan().steps;
        steps.iter().for_each(|step| world.take(step));
        let mut open = open_ports(&world);
        open.dedup();
        assert_eq!(open, [5000, 5010, 5020, 5030]);
    }
    assert_eq!(open_ports(&world).len(), 4);
}

#[test]
fn a_rule_that_was_inherited_from_who_gave_the_port_up_stays_while_its_user_cannot_be_read() {
    let mut world = World::new(1);
    let a = world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    world.settle();
    world.service(&a).ports = vec![Port { protocol: Protocol::Udp, number: 6316 }];
    let b = world.add_service("b", 6315, &[("hostname", "b.example.com")]);
    world.settle();
    assert_eq!(world.service(&b).external_ips, ["10.0.0.1"]);
    world.memory = Memory::default();
    let service = world.snapshot.services.remove(&b).unwrap();
    world.snapshot.unreadable.insert(b.clone());
    assert_eq!(world.settle(), [""; 0]);
    // What its first user was seen to need all the time is nobody else's.
    world.service(&a).ports = vec![Port { protocol: Protocol::Udp, number: 6317 }];
    world.settle();
    assert_eq!(open_ports(&world), [6315, 6317]);
    let records = world.observed.records.remove(&ZoneId(ZONE.into())).unwrap();
    assert_eq!(world.settle(), [""; 0], "nor can its zone");
    world.observed.records.insert(ZoneId(ZONE.into()), records);
    world.snapshot.unreadable.clear();
    world.snapshot.services.insert(b, service);
    assert_eq!(world.settle(), [""; 0]);
}

#[test]
fn a_rule_that_was_inherited_is_closed_only_when_its_users_record_is_gone() {
    let (mut world, b) = inherited();
    world.annotate(&b, "hostname", None);
    let steps = world.settle();
    let position = |verb: &str| steps.iter().position(|step| step.starts_with(verb)).unwrap();
    assert!(position("delete-name") < position("revoke") && position("release") < position("revoke"), "{steps:?}");
    assert!(world.is_clean());
}

#[test]
fn a_frozen_service_holds_no_rule_where_it_is_not_in_use() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com"), ("selector", "odd=1")]);
    world.settle();
    // Left by a crash on a node where it is neither listed nor published.
    let group = Group {
        id: GroupId("external-ips/test/i-00000002".into()),
        name: "external-ips/test/i-00000002".into(),
        vpc: "vpc-1".into(),
        rules: world.observed.groups.values().next().unwrap().rules.clone(),
        foreign_rules: Default::default(),
    };
    world.observed.groups.insert(group.id.clone(), group);
    world.annotate(&key, "ttl", Some("nonsense"));
    world.settle();
    assert_eq!(world.observed.groups.len(), 1);
    assert_eq!(open_ports(&world), [6315]);
}

#[test]
fn a_group_that_is_read_as_empty_stays_while_a_frozen_service_is_published_behind_it() {
    for group_name in ["external-ips/test/i-00000001", "b.games.test"] {
        let mut world = World::new(1);
        let key = world.add_service("a", 6315, &[("hostname", "a.example.com")]);
        world.settle();
        world.annotate(&key, "selector", Some("pool=none"));
        let group = world.observed.groups.values_mut().next().unwrap();
        group.name = group_name.into();
        // Under a new leader a read may be older than the rules.
        world.observed.behind = true;
        let rules = std::mem::take(&mut group.rules);
        assert_eq!(world.settle(), [""; 0]);
        world.observed.groups.values_mut().next().unwrap().rules = rules;
        assert_eq!(world.settle(), [""; 0]);
        world.observed.behind = false;
        assert_eq!(world.settle(), [""; 0]);
        world.annotate(&key, "hostname", None);
        world.settle();
        assert!(world.is_clean(), "{:?}", world.observed.groups);
    }
}

#[test]
fn an_empty_group_goes_though_a_frozen_service_is_published_behind_another_one() {
    let mut world = World::new(1);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    world.settle();
    world.annotate(&key, "selector", Some("pool=none"));
    let id = GroupId("external-ips/test/i-00000001/2".into());
    world.observed.behind = true;
    let mut second = world.observed.groups.values().next().unwrap().clone();
    (second.id, second.name) = (id.clone(), id.0.clone());
    second.rules.clear();
    world.observed.groups.insert(id.clone(), second);
    world.instance(1).groups.push(id.clone());
    let deleted = format!("delete-group {id}");
    assert_eq!(world.settle().last(), Some(&deleted));
    assert_eq!(open_ports(&world), [6315]);
}

#[test]
fn a_group_of_a_terminated_instance_is_removed_though_its_services_are_frozen() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    world.settle();
    world.annotate(&key, "ttl", Some("nonsense"));
    world.snapshot.nodes.remove("n1");
    world.observed.instances.insert(id(1), Lookup::Gone);
    world.settle();
    assert_eq!(
        world.observed.groups.keys().map(|id| id.0.as_str()).collect::<Vec<_>>(),
        ["external-ips/test/i-00000002"]
    );
}

#[test]
fn what_a_service_left_is_closed_though_the_rule_of_another_can_not_be_opened() {
    let mut world = World::new(1);
    let a = world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    world.settle();
    world.add_service("b", 6400, &[("hostname", "b.example.com")]);
    let steps = world.plan().steps;
    steps.iter().for_each(|step| world.take(step));
    world.memory.failures.insert(Target::Firewall(id(1)), failure());
    world.snapshot.services.remove(&a);
    world.round();
    assert_eq!(open_ports(&world), [0_u16; 0]);
}

#[test]
fn what_replaces_a_rule_of_the_same_ports_is_open_before_it_goes_whoever_it_was_made_for() {
    let (mut world, b) = inherited();
    world.annotate(&b, "source-ranges", Some("198.51.100.0/24"));
    world.memory.failures.insert(Target::Firewall(id(1)), failure());
    world.round();
    assert_eq!(open_ports(&world), [6315], "the rule that it inherited, as long as its own isn't open");
    world.memory.failures.clear();
    let steps = world.round();
    assert_eq!(steps, ["authorize i-00000001", "revoke external-ips/test/i-00000001"]);
}

#[test]
fn with_full_groups_a_changed_port_takes_the_place_of_the_old_one() {
    let mut world = World::new(1);
    world.settings.rules_per_group = 2;
    let mut keys = Vec::new();
    for n in 0..4u16 {
        keys.push(world.add_service(&format!("s{n}"), 5000 + 2 * n, &[("hostname", &format!("s{n}.example.com"))]));
    }
    world.settle();
    assert_eq!(open_ports(&world), [5000, 5002, 5004, 5006]);
    world.service(&keys[0]).ports = vec![Port { protocol: Protocol::Udp, number: 7000 }];
    world.settle();
    assert_eq!(open_ports(&world), [5002, 5004, 5006, 7000]);
    assert_eq!(world.condition(&keys[0]).unwrap().reason, "Synced");
}

#[test]
fn who_finds_no_room_reads_that_there_is_none() {
    let mut world = World::new(1);
    world.settings.rules_per_group = 1;
    let a = world.add_service("a", 5000, &[("hostname", "a.example.com")]);
    world.add_service("b", 5002, &[("hostname", "b.example.com")]);
    world.settle();
    // A second port on full groups: the node stays chosen, as there is no other.
    world.service(&a).ports.push(Port { protocol: Protocol::Udp, number: 7000 });
    world.settle();
    let condition = world.condition(&a).unwrap();
    assert!(!condition.ready && condition.reason == "SecurityGroupLimit", "{condition:?}");
    assert_eq!(open_ports(&world), [5000, 5002], "what it has stays");
}

#[test]
fn a_second_group_that_has_become_empty_is_removed() {
    let mut world = World::new(1);
    world.settings.rules_per_group = 2;
    for n in 0..3u16 {
        world.add_service(&format!("s{n}"), 5000 + 2 * n, &[("hostname", &format!("s{n}.example.com"))]);
    }
    world.settle();
    assert_eq!(world.observed.groups.len(), 2);
    let second = &world.observed.groups[&GroupId("external-ips/test/i-00000001/2".into())];
    let key = firewall::described_service(second.rules.values().next().unwrap()).unwrap();
    world.snapshot.services.remove(&key);
    world.settle();
    assert_eq!(world.observed.groups.len(), 1);
    assert_eq!(world.instance(1).groups.len(), 2, "the nodes' own and the first of ours");
}

#[test]
fn a_plan_changes_the_groups_of_an_interface_at_most_once() {
    let mut world = World::new(1);
    world.settings.rules_per_group = 1;
    for n in 0..2u16 {
        world.add_service(&format!("s{n}"), 5000 + 2 * n, &[("hostname", &format!("s{n}.example.com"))]);
    }
    world.settle();
    let changes = |world: &mut World| -> Vec<String> {
        let steps = world.plan().steps;
        let changes = steps
            .iter()
            .filter(|s| matches!(s.action, Action::Attach { .. } | Action::Detach { .. }))
            .collect::<Vec<_>>();
        changes.iter().map(|step| super::world::describe(&step.action)).collect()
    };
    // Both groups were taken off, and a group of the 2018 version is on.
    let old = GroupId("old".into());
    let group = Group {
        id: old.clone(),
        name: "a.games.test".into(),
        vpc: "vpc-1".into(),
        rules: Default::default(),
        foreign_rules: Default::default(),
    };
    world.observed.groups.insert(old.clone(), group);
    world.instance(1).groups = vec![GroupId("sg-nodes".into()), old];
    assert_eq!(changes(&mut world), ["attach i-00000001"]);
    let following = |step: &Step| match &step.action {
        Action::Attach { next, .. } => Some(next.len()),
        _ => None,
    };
    assert_eq!(world.plan().steps.iter().find_map(following), Some(1), "the other one's turn comes next");
    world.settle();
    assert_eq!(world.instance(1).groups.len(), 3);
    world.snapshot.services.clear();
    for _ in 0..3 {
        assert!(changes(&mut world).len() <= 1);
        let steps = world.plan().steps;
        steps.iter().for_each(|step| world.take(step));
    }
    world.settle();
    assert!(world.is_clean());
}

#[test]
fn a_service_moves_away_from_a_node_whose_slots_others_have_taken() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com"), ("maxips", "1")]);
    world.settle();
    let n = if world.service(&key).external_ips == ["10.0.0.1"] { 1 } else { 2 };
    world.instance(n).groups = (0..5).map(|k| GroupId(format!("sg-{k}"))).collect();
    world.memory.failures.insert(Target::Firewall(id(n)), failure());
    world.settle();
    assert_eq!(world.service(&key).external_ips, [format!("10.0.0.{}", 3 - n)]);
    assert_eq!(world.condition(&key).unwrap().reason, "Synced");
}

#[test]
fn a_rule_stays_while_the_zone_that_may_list_its_node_can_not_be_read() {
    let mut world = World::new(1);
    world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    while world.listed("a.example.com").is_empty() {
        let steps = world.plan().steps;
        steps.iter().for_each(|step| world.take(step));
    }
    // Listed, and not yet published: nothing that can be seen tells that it is in use.
    let records = world.observed.records.remove(&ZoneId(ZONE.into())).unwrap();
    assert_eq!(world.settle(), [""; 0]);
    assert_eq!(open_ports(&world), [6315]);
    world.observed.records.insert(ZoneId(ZONE.into()), records);
    assert_eq!(world.settle(), ["try a", "publish a"]);
}

#[test]
fn a_group_of_the_2018_version_stays_while_a_frozen_service_is_reached_through_it_alone() {
    let mut world = World::new(1);
    let key = world.add_service("b", 6315, &[("hostname", "b.example.com")]);
    world.settle();
    let mut group = world.observed.groups.pop_first().unwrap().1;
    group.id = GroupId("old".into());
    group.name = "a.games.test".into();
    world.observed.groups.insert(group.id.clone(), group);
    world.instance(1).groups = vec![GroupId("sg-nodes".into()), GroupId("old".into())];
    world.annotate(&key, "ttl", Some("soon"));
    assert_eq!(world.settle(), [""; 0]);
    world.annotate(&key, "ttl", None);
    world.settle();
    assert_eq!(
        world.observed.groups.keys().map(|id| id.0.as_str()).collect::<Vec<_>>(),
        ["external-ips/test/i-00000001"]
    );
}

#[test]
fn a_service_that_can_not_be_read_keeps_its_rule_where_only_its_publication_tells_that_it_is_in_use() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    world.settle();
    world.snapshot.services.remove(&key);
    world.snapshot.unreadable.insert(key);
    world.instance(1).public_ip = Some(PublicIp([198, 51, 100, 7].into()));
    assert_eq!(world.settle(), ["change-name a.example.com"]);
    assert_eq!(open_ports(&world), [6315, 6315]);
}

#[test]
fn who_waits_for_a_full_group_to_be_attached_does_not_read_that_there_is_no_room() {
    let mut world = World::new(1);
    world.settings.rules_per_group = 1;
    world.settings.groups_per_interface = 2;
    let key = world.add_service("a", 5000, &[("hostname", "a.example.com")]);
    while open_ports(&world).is_empty() {
        let steps = world.plan().steps;
        steps.iter().for_each(|step| world.take(step));
    }
    assert_eq!(world.instance(1).groups.len(), 1, "not attached yet");
    assert_eq!(world.condition(&key).unwrap().reason, "Progressing");
}

#[test]
fn narrowing_does_not_wait_for_a_group_that_can_not_be_made() {
    let mut world = World::new(1);
    world.settings.rules_per_group = 2;
    let a = world.add_service("a", 5000, &[("hostname", "a.example.com")]);
    world.settle();
    world.service(&a).ports.push(Port { protocol: Protocol::Udp, number: 7000 });
    world.annotate(&a, "source-ranges", Some("198.51.100.0/24"));
    world.memory.failures.insert(Target::NewGroup(id(1)), failure());
    assert_eq!(world.round(), ["authorize i-00000001", "revoke external-ips/test/i-00000001", "authorize i-00000001"]);
    let rules: Vec<Rule> = world.observed.groups.values().flat_map(|group| group.rules.keys().copied()).collect();
    let narrow =
        |port| Rule { protocol: Protocol::Udp, from: port, to: port, source: "198.51.100.0/24".parse().unwrap() };
    assert_eq!(rules, [narrow(5000), narrow(7000)]);
    assert_eq!(world.condition(&a).unwrap().reason, "Synced");
}

#[test]
fn who_is_reached_through_a_rule_keeps_it_while_the_group_of_what_replaces_it_can_not_be_made() {
    let mut world = World::new(1);
    world.settings.rules_per_group = 1;
    let a = world.add_service("a", 5000, &[("hostname", "a.example.com")]);
    world.settle();
    world.annotate(&a, "source-ranges", Some("198.51.100.0/24"));
    world.memory.failures.insert(Target::NewGroup(id(1)), failure());
    assert_eq!(world.round(), [""; 0]);
    assert_eq!(world.condition(&a).unwrap().reason, "Failed");
    world.memory.failures.clear();
    world.settle();
    assert_eq!(world.condition(&a).unwrap().reason, "Synced");
    assert_eq!(world.observed.groups.len(), 1);
}

#[test]
fn a_group_that_can_not_be_made_keeps_nothing_out_of_the_one_that_is_there() {
    let mut world = World::new(1);
    world.settings.rules_per_group = 2;
    let a = world.add_service("a", 5000, &[("hostname", "a.example.com")]);
    world.memory.failures.insert(Target::NewGroup(id(1)), failure());
    world.round();
    assert_eq!(world.condition(&a).unwrap().reason, "Failed");
    world.memory.failures.clear();
    world.settle();
    let b = world.add_service("b", 6000, &[("hostname", "b.example.com")]);
    world.service(&b).ports.push(Port { protocol: Protocol::Udp, number: 6002 });
    world.memory.failures.insert(Target::NewGroup(id(1)), failure());
    world.round();
    assert_eq!(open_ports(&world), [5000, 6000]);
    assert_eq!(world.condition(&a).unwrap().reason, "Synced", "it has all that it needs");
    assert_eq!(world.condition(&b).unwrap().reason, "Failed");
}

#[test]
fn a_service_with_an_sctp_port_is_refused_and_no_rule_for_it_stays() {
    let mut world = World::new(1);
    let sctp = |number| Port { protocol: Protocol::Sctp, number };
    let a = world.add_service("a", 5060, &[("hostname", "a.example.com")]);
    world.service(&a).ports = vec![sctp(5060)];
    assert_eq!(world.settle(), [""; 0]);
    let condition = world.condition(&a).unwrap();
    assert_eq!(condition.reason, "UnsupportedService");
    assert!(condition.message.contains("5060/SCTP") && condition.message.contains("take the SCTP ports off"));

    // As an earlier version left it: served, with a rule that lets in all SCTP ports.
    world.service(&a).ports = vec![Port { protocol: Protocol::Udp, number: 5060 }];
    world.settle();
    let group = world.observed.groups.values_mut().next().unwrap();
    let rule = Rule { protocol: Protocol::Sctp, from: 5060, to: 5060, source: Cidr::ANY_V4 };
    group.rules.insert(rule, firewall::description(&a));
    world.service(&a).ports.push(sctp(5060));
    world.restart();
    assert_eq!(world.settle(), ["revoke external-ips/test/i-00000001"]);
    let rules: Vec<&Rule> = world.observed.groups.values().flat_map(|group| group.rules.keys()).collect();
    assert_eq!(rules.iter().map(|rule| rule.protocol).collect::<Vec<_>>(), [Protocol::Udp]);
}

#[test]
fn a_group_that_ec2_refuses_to_attach_keeps_no_room_from_what_replaces_its_rules() {
    let mut world = World::new(1);
    world.settings.rules_per_group = 2;
    let a = world.add_service("a", 5000, &[("hostname", "a.example.com")]);
    world.service(&a).ports = [5000, 5002, 5004].map(|number| Port { protocol: Protocol::Udp, number }).to_vec();
    for _ in 0..20 {
        for step in world.plan().steps {
            match &step.action {
                Action::Attach { group, .. } if world.observed.groups[group].name.ends_with("/2") => {
                    world.observed.refused_groups(3, world.now);
                }
                _ => world.take(&step),
            }
        }
    }
    assert!(world.observed.groups_refused.is_some());
    world.settle();
    let condition = world.condition(&a).unwrap();
    assert!(condition.reason == "SecurityGroupLimit" && condition.message.contains("give up others"), "{condition:?}");
    assert_eq!(open_ports(&world), [0u16; 0], "nobody is served by what is open");
    world.service(&a).ports = vec![Port { protocol: Protocol::Udp, number: 6001 }];
    world.settle();
    assert_eq!(world.condition(&a).unwrap().reason, "Synced");
    assert_eq!((open_ports(&world), world.observed.groups.len()), (vec![6001], 1));
}

#[test]
fn what_a_group_that_can_not_be_attached_holds_dispenses_with_no_other() {
    let mut world = World::new(1);
    world.settings.rules_per_group = 1;
    let elder = world.add_service("a", 5000, &[("hostname", "a.example.com")]);
    world.add_service("b", 5002, &[("hostname", "b.example.com")]);
    world.settle();
    // Somebody puts a group of his in the place of the second, and the first has nothing to do any more.
    let second = world.instance(1).groups.pop().unwrap();
    world.instance(1).groups.push(GroupId("other".into()));
    world.observed.refused_groups(4, world.now);
    world.snapshot.services.remove(&elder);
    let steps = world.settle();
    assert!(!steps.iter().any(|step| step.starts_with("detach")), "{steps:?}");
    assert!(!world.observed.groups.contains_key(&second), "its rule is open in the first one");
    assert_eq!(open_ports(&world), [5002]);
}

#[test]
fn what_can_never_be_replaced_for_want_of_room_stays_open() {
    let mut world = World::new(1);
    world.settings.rules_per_group = 2;
    let a = world.add_service("a", 5000, &[("hostname", "a.example.com")]);
    world.service(&a).ports = [5000, 5002, 5004].map(|number| Port { protocol: Protocol::Udp, number }).to_vec();
    world.settle();
    assert_eq!(open_ports(&world), [5000, 5002, 5004]);
    // Twice as many rules as before are more than two groups hold.
    world.annotate(&a, "source-ranges", Some("198.51.100.0/24,203.0.113.0/24"));
    world.settle();
    let condition = world.condition(&a).unwrap();
    assert_eq!(condition.reason, "SecurityGroupLimit", "{condition:?}");
    let mut open = open_ports(&world);
    open.dedup();
    assert_eq!(open, [5000, 5002, 5004]);
}
