//! What Services share, and what one keeps from another: ports, nodes, hostnames. One test per rule.

use super::super::super::*;
use super::world::{SIMPLE, World};

#[test]
fn two_services_that_want_one_port_do_not_share_a_node_and_the_second_reads_whose_it_is() {
    let mut world = World::new(1);
    let first = world.add_service("a", 53, SIMPLE);
    world.settle();
    let second = world.add_service("b", 53, &[("hostname", "b.example.com")]);
    assert_eq!(world.settle(), Vec::<String>::new());
    let condition = world.condition(&second).unwrap();
    assert_eq!(condition.reason, "PortConflict");
    assert!(condition.message.contains("games/a"), "{condition:?}");
    world.snapshot.services.remove(&first);
    world.settle();
    assert_eq!(world.service(&second).external_ips, ["10.0.0.1"]);
}

#[test]
fn services_that_share_a_hostname_share_nodes_and_the_name_waits_for_both() {
    let mut world = World::new(3);
    let tcp = world.add_service("tcp", 5349, &[("hostname", "turn.example.com"), ("maxips", "1")]);
    let udp = world.add_service("udp", 3478, &[("hostname", "turn.example.com"), ("maxips", "1")]);
    world.settle();
    let of_tcp = world.service(&tcp).external_ips.clone();
    assert_eq!(of_tcp, world.service(&udp).external_ips);
    assert_eq!(world.listed("turn.example.com").len(), 1);
    world.snapshot.services.remove(&tcp);
    let steps = world.settle();
    assert_eq!(world.listed("turn.example.com").len(), 1, "{steps:?}");
    assert_eq!(world.plan().steps, []);
}

#[test]
fn a_hostname_of_another_namespace_is_refused_and_who_has_it_keeps_it() {
    let mut world = World::new(2);
    let first = world.add_service("a", 6315, SIMPLE);
    world.settle();
    // Even an elder one, which begins to ask later.
    let other = ServiceKey::new("elsewhere", "b");
    let mut service = world.service(&first).clone();
    service = Service {
        key: other.clone(),
        uid: "uid-b".into(),
        created: 1,
        ports: vec![Port { protocol: Protocol::Udp, number: 7000 }],
        external_ips: Vec::new(),
        external_ips_owner: FieldOwner::Nobody,
        owns_fields: false,
        ..service
    };
    world.snapshot.services.insert(other.clone(), service);
    assert_eq!(world.settle(), Vec::<String>::new());
    let condition = world.condition(&other).unwrap();
    assert!(condition.reason == "HostnameTaken" && condition.message.contains("games/a"), "{condition:?}");
    assert_eq!(world.condition(&first).unwrap().reason, "Synced");

    // With an annotation that turned bad it still has what it has.
    world.annotate(&first, "ttl", Some("soon"));
    assert_eq!(world.settle(), Vec::<String>::new());
    assert_eq!(world.condition(&other).unwrap().reason, "HostnameTaken");

    world.annotate(&first, "hostname", None);
    world.settle();
    assert_eq!(world.condition(&other).unwrap().reason, "Synced");
}

#[test]
fn of_two_namespaces_that_ask_for_a_new_hostname_the_elder_gets_it() {
    let mut world = World::new(2);
    let younger = world.add_service("a", 6315, SIMPLE);
    let elder = ServiceKey::new("zoo", "b");
    let service = Service { key: elder.clone(), uid: "uid-b".into(), created: 1, ..world.service(&younger).clone() };
    world.snapshot.services.insert(elder.clone(), service);
    world.settle();
    assert_eq!(world.condition(&elder).unwrap().reason, "Synced");
    assert_eq!(world.condition(&younger).unwrap().reason, "HostnameTaken");
}

#[test]
fn a_hostname_of_a_namespace_that_is_not_served_is_refused() {
    let mut world = World::new(1);
    world.add_service("a", 6315, SIMPLE);
    world.settle();
    let before = world.observed.records.clone();
    let key = ServiceKey::new("elsewhere", "b");
    let service = Service { key: key.clone(), ..world.service(&ServiceKey::new("games", "a")).clone() };
    world.snapshot.services = BTreeMap::from([(
        key.clone(),
        Service { external_ips: Vec::new(), external_ips_owner: FieldOwner::Nobody, owns_fields: false, ..service },
    )]);
    world.settings.namespace = Some("elsewhere".into());
    world.settle();
    assert_eq!(world.observed.records, before);
    assert_eq!(world.condition(&key).unwrap().reason, "HostnameTaken");
}
