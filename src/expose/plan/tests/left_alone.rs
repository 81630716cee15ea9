//! What is left as it is, whoever asks: others' things, and what can't be judged. One test per rule.

use super::super::super::*;
use super::world::{SIMPLE, World, ZONE};

#[test]
fn an_annotation_that_turns_bad_leaves_everything_as_it_was() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, SIMPLE);
    world.settle();
    for (name, value) in [("maxips", "two"), ("selector", "a in ("), ("hostname", "..")] {
        let before = world.service(&key).annotations.get(name).cloned();
        world.annotate(&key, name, Some(value));
        assert_eq!(world.settle(), Vec::<String>::new(), "{name}={value}");
        let condition = world.condition(&key).unwrap();
        assert!(!condition.ready && condition.reason == "InvalidAnnotation", "{condition:?}");
        world.annotate(&key, name, before.as_deref());
        assert_eq!(world.settle(), Vec::<String>::new());
    }
}

#[test]
fn a_frozen_service_still_loses_the_addresses_of_nodes_that_are_gone() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    world.settle();
    world.annotate(&key, "ttl", Some("soon"));
    world.snapshot.nodes.remove("n1");
    world.observed.instances.insert(InstanceId("i-00000001".into()), Lookup::Gone);
    world.settle();
    assert_eq!(world.listed("a.example.com"), ["203.0.113.2".to_string()].into());
    assert_eq!(world.service(&key).external_ips, ["10.0.0.2"]);
}

#[test]
fn a_record_that_exists_and_is_not_ours_is_left_and_nothing_is_opened() {
    for (key, record) in [
        (dns::address_key("a.example.com"), Record { ttl: Some(60), values: ["198.51.100.1".into()].into() }),
        (
            RecordKey { name: "a.example.com".into(), kind: RecordType::Other("CNAME".into()), set: String::new() },
            Record { ttl: Some(60), values: [].into() },
        ),
        (
            RecordKey { name: "a-a.example.com".into(), kind: RecordType::Other("CNAME".into()), set: String::new() },
            Record { ttl: Some(60), values: [].into() },
        ),
        (
            dns::twin_key("a.example.com"),
            Record { ttl: Some(60), values: [dns::twin_value("someone-else", &ServiceKey::new("games", "a"))].into() },
        ),
    ] {
        let mut world = World::new(1);
        world.observed.records.get_mut(&ZoneId(ZONE.into())).unwrap().insert(key.clone(), record);
        let service = world.add_service("a", 6315, SIMPLE);
        assert_eq!(world.settle(), Vec::<String>::new(), "{key:?}");
        assert_eq!(world.condition(&service).unwrap().reason, "HostnameTaken");
    }
}

#[test]
fn what_is_open_for_a_service_stays_where_somebody_else_has_it_published() {
    for with_name in [true, false] {
        let mut world = World::new(2);
        let key = world.add_service("a", 6315, &[("hostname", "a.example.com")]);
        world.settle();
        world.service(&key).external_ips = vec!["10.0.0.1".into()];
        world.service(&key).external_ips_owner = FieldOwner::Other("kubectl".into());
        if !with_name {
            world.observed.records.values_mut().for_each(BTreeMap::clear);
        }
        world.settle();
        let open: Vec<&str> =
            world.observed.groups.values().filter(|group| !group.rules.is_empty()).map(|g| g.name.as_str()).collect();
        let expected = ["external-ips/test/i-00000001", "external-ips/test/i-00000002"];
        // The name goes on listing both.
        assert_eq!(open, expected[..if with_name { 2 } else { 1 }]);
        world.service(&key).external_ips.clear();
        world.service(&key).external_ips_owner = FieldOwner::Nobody;
        world.annotate(&key, "hostname", None);
        world.settle();
        assert!(world.is_clean());
    }
}

#[test]
fn a_list_that_a_person_set_is_reported_and_never_touched() {
    let mut world = World::new(1);
    let key = world.add_service("a", 6315, SIMPLE);
    world.service(&key).external_ips = vec!["192.0.2.1".into()];
    world.service(&key).external_ips_owner = FieldOwner::Other("kubectl".into());
    assert_eq!(world.settle(), Vec::<String>::new());
    let condition = world.condition(&key).unwrap();
    assert_eq!(condition.reason, "ExternalIPsTaken");
    assert!(condition.message.contains("kubectl"));
}

#[test]
fn a_rule_that_a_person_put_into_our_group_is_left_and_so_is_the_group() {
    let mut world = World::new(1);
    let key = world.add_service("a", 6315, SIMPLE);
    world.settle();
    let rule = Rule { protocol: Protocol::Tcp, from: 8080, to: 8080, source: "198.51.100.0/24".parse().unwrap() };
    let group = world.observed.groups.values_mut().next().unwrap();
    group.rules.insert(rule, "put here by hand".into());
    world.annotate(&key, "hostname", None);
    world.settle();
    let group = world.observed.groups.values().next().unwrap();
    assert_eq!(group.rules.keys().collect::<Vec<_>>(), [&rule]);
}

#[test]
fn with_upsert_only_nothing_is_removed_but_addresses_of_strangers() {
    let mut world = World::new(2);
    world.settings.policy = Policy::UpsertOnly;
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    world.settle();
    world.annotate(&key, "hostname", None);
    assert_eq!(world.settle(), Vec::<String>::new());
    world.snapshot.nodes.remove("n1");
    world.observed.instances.insert(InstanceId("i-00000001".into()), Lookup::Gone);
    world.settle();
    assert_eq!(world.listed("a.example.com"), ["203.0.113.2".to_string()].into());
}

#[test]
fn what_belongs_to_other_namespaces_is_left_when_one_is_served() {
    let mut world = World::new(1);
    world.add_service("a", 6315, SIMPLE);
    world.settle();
    world.snapshot.services.clear();
    world.settings.namespace = Some("another".into());
    assert_eq!(world.settle(), Vec::<String>::new());
}

#[test]
fn a_service_that_exists_but_cannot_be_read_keeps_all_it_has() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    world.settle();
    world.snapshot.services.remove(&key);
    world.snapshot.unreadable.insert(key.clone());
    assert_eq!(world.settle(), [""; 0]);
    world.snapshot.unreadable.clear();
    world.settle();
    assert!(world.is_clean());
}

#[test]
fn a_node_that_exists_but_cannot_be_read_is_not_gone() {
    let mut world = World::new(1);
    world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    world.settle();
    let node = world.snapshot.nodes.pop_first().unwrap();
    world.snapshot.unreadable_nodes = true;
    assert_eq!(world.settle(), [""; 0]);
    world.snapshot.nodes.insert(node.0, node.1);
    world.snapshot.unreadable_nodes = false;
    assert_eq!(world.settle(), [""; 0]);
}
