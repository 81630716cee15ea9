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
        foreign_rules: false,
    };
    world.observed.groups.insert(group.id.clone(), group);
    world.annotate(&key, "ttl", Some("nonsense"));
    world.settle();
    assert_eq!(world.observed.groups.len(), 1);
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
