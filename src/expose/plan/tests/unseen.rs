//! What can't be seen: what is kept for its sake, and what isn't.

use super::super::super::publication::{ADDRESSES, ASSIGNED};
use super::super::super::*;
use super::world::{World, ZONE};

fn id(n: u8) -> InstanceId {
    InstanceId(format!("i-{n:08x}"))
}

/// The process begins anew and can't read the records of a zone.
fn hide(world: &mut World, zone: &str) -> BTreeMap<RecordKey, Record> {
    world.restart();
    world.observed.records.remove(&ZoneId(zone.into())).unwrap()
}

fn rule(from: u16, to: u16) -> Rule {
    Rule { protocol: Protocol::Udp, from, to, source: Cidr::ANY_V4 }
}

/// Every rule in groups of ours.
fn rules(world: &World) -> Vec<Rule> {
    world.observed.groups.values().flat_map(|group| group.rules.keys().copied()).collect()
}

/// The group of a node, with these rules of a Service.
fn add_group(world: &mut World, n: u8, service: &ServiceKey, rules: &[Rule]) -> GroupId {
    let name = firewall::group_name("test", &id(n), 1);
    let rules = rules.iter().map(|rule| (*rule, firewall::description(service))).collect();
    let group =
        Group { id: GroupId(name.clone()), name, vpc: "vpc-1".into(), rules, foreign_rules: Default::default() };
    world.observed.groups.insert(group.id.clone(), group.clone());
    group.id
}

#[test]
fn an_address_stays_published_and_open_while_a_zone_that_may_list_it_can_not_be_read() {
    let mut world = World::new(2);
    let a = world.add_service("a", 5000, &[("hostname", "a.example.com")]);
    world.settle();
    let records = hide(&mut world, ZONE);
    world.annotate(&a, "hostname", Some("z.sub.example.com"));
    world.node(1).ready = false;
    world.add_zone("ZSUB", "sub.example.com");
    assert_eq!(world.settle(), ["change-name z.sub.example.com"]);
    assert_eq!(world.listed("z.sub.example.com"), ["203.0.113.2".to_owned()].into());
    assert_eq!(world.service(&a).external_ips, ["10.0.0.1", "10.0.0.2"]);
    assert_eq!(rules(&world), [rule(5000, 5000); 2]);

    world.observed.records.insert(ZoneId(ZONE.into()), records);
    let steps = world.settle();
    let position = |what: &str| steps.iter().position(|step| step.starts_with(what)).unwrap();
    assert!(position("delete-name a.example.com") < position("publish a"), "{steps:?}");
    assert!(position("publish a") < position("revoke"), "{steps:?}");
    assert_eq!(world.service(&a).external_ips, ["10.0.0.2"]);
    assert_eq!(rules(&world), [rule(5000, 5000)]);
}

#[test]
fn an_address_stays_published_while_what_its_zone_lists_may_be_older_than_the_last_write() {
    let mut world = World::new(2);
    let a = world.add_service("a", 5000, &[("hostname", "a.example.com")]);
    world.settle();
    // A new leader reads what was there before the name was.
    hide(&mut world, ZONE);
    world.observed.records.insert(ZoneId(ZONE.into()), BTreeMap::new());
    world.observed.behind_zones.insert(ZoneId(ZONE.into()));
    world.node(1).ready = false;
    let takes_off = |world: &mut World| {
        world.plan();
        world.wait(1000);
        world.plan().steps.iter().any(|step| matches!(step.action, Action::Publish(_)))
    };
    assert!(!takes_off(&mut world));
    assert_eq!(world.service(&a).external_ips, ["10.0.0.1", "10.0.0.2"]);
    world.observed.behind_zones.clear();
    assert!(takes_off(&mut world));
}

/// One Service on two nodes, of which only the first is published: the process before ended in the middle, and what its
/// zone lists may be older than what that one wrote last.
fn half_published() -> (World, ServiceKey) {
    let mut world = World::new(2);
    let a = world.add_service("a", 5000, &[("hostname", "a.example.com")]);
    world.settle();
    world.restart();
    world.service(&a).external_ips = vec!["10.0.0.1".into()];
    world.annotate(&a, ASSIGNED, Some("10.0.0.1"));
    world.annotate(&a, ADDRESSES, Some("203.0.113.1"));
    world.observed.behind_zones.insert(ZoneId(ZONE.into()));
    (world, a)
}

#[test]
fn before_an_address_is_published_by_what_a_read_of_the_past_may_list_the_name_is_made_sure_of() {
    let (mut world, a) = half_published();
    world.plan().steps.iter().filter(|step| matches!(step.action, Action::TryPublication(_))).for_each(|step| {
        world.take(step);
    });
    let steps = world.plan().steps;
    let [Step { action: Action::ChangeRecords(change), .. }] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!(change.delete, change.create);
    assert_eq!(change.delete.len(), 2, "the record and its twin");
    assert_eq!(world.settle(), ["change-name a.example.com", "publish a"]);
    assert_eq!(world.service(&a).external_ips, ["10.0.0.1", "10.0.0.2"]);
}

#[test]
fn a_name_that_reads_have_caught_up_with_is_not_written_to_be_made_sure_of() {
    let (mut world, a) = half_published();
    world.observed.behind_zones.clear();
    assert_eq!(world.settle(), ["try a", "publish a"]);
    assert_eq!(world.service(&a).external_ips, ["10.0.0.1", "10.0.0.2"]);
}

#[test]
fn what_a_name_listed_before_this_process_wrote_it_is_as_unsure_as_any_read_of_the_past() {
    let (mut world, a) = half_published();
    let key = (ZoneId(ZONE.into()), "a.example.com".to_owned());
    world.observed.rewritten.insert(key, [PublicIp([203, 0, 113, 1].into())].into());
    assert_eq!(world.settle(), ["try a", "change-name a.example.com", "publish a"]);
    assert_eq!(world.service(&a).external_ips, ["10.0.0.1", "10.0.0.2"]);
}

#[test]
fn nobody_is_published_by_a_name_that_is_known_not_to_be_as_it_is_known() {
    let (mut world, a) = half_published();
    world.observed.behind_zones.clear();
    world.observed.contradicted.insert((ZoneId(ZONE.into()), "a.example.com".to_owned()));
    assert_eq!(world.settle(), ["try a", "change-name a.example.com", "publish a"]);
    assert_eq!(world.service(&a).external_ips, ["10.0.0.1", "10.0.0.2"]);
}

#[test]
fn a_name_is_not_given_up_for_one_that_only_a_read_of_the_past_may_show() {
    let mut world = World::new(1);
    let a = world.add_service("a", 5000, &[("hostname", "a.example.com,b.example.com")]);
    world.settle();
    world.annotate(&a, "hostname", Some("b.example.com"));
    world.restart();
    world.observed.behind_zones.insert(ZoneId(ZONE.into()));
    assert_eq!(world.settle(), Vec::<String>::new());
    world.observed.behind_zones.clear();
    assert_eq!(world.settle(), ["delete-name a.example.com"]);
}

#[test]
fn a_zone_that_can_not_be_read_keeps_no_node_on_a_service_whose_names_tell_where_it_is_served() {
    let mut world = World::new(2);
    world.add_zone("ZOTHER", "example.org");
    let a = world.add_service("a", 5000, &[("hostname", "a.example.com")]);
    world.settle();
    hide(&mut world, "ZOTHER");
    world.plan();
    world.node(1).ready = false;
    world.settle();
    assert_eq!(world.service(&a).external_ips, ["10.0.0.2"]);
    assert_eq!(rules(&world), [rule(5000, 5000)]);
}

#[test]
fn a_drain_that_has_begun_goes_on_though_a_zone_comes_that_can_not_be_read() {
    let mut world = World::new(2);
    let a = world.add_service("a", 5000, &[("hostname", "a.example.com")]);
    world.settle();
    world.node(1).ready = false;
    world.round();
    world.restart();
    world.round();
    assert_eq!(world.service(&a).external_ips, ["10.0.0.1", "10.0.0.2"], "draining");
    world.add_zone("ZOTHER", "example.org");
    world.observed.records.remove(&ZoneId("ZOTHER".into()));
    world.settle();
    assert_eq!(world.service(&a).external_ips, ["10.0.0.2"]);
}

#[test]
fn a_rule_that_is_not_open_is_kept_for_nobody_who_may_be_listed() {
    let mut world = World::new(3);
    let a = world.add_service("a", 5000, &[("hostname", "a.example.com"), ("maxips", "1")]);
    world.settle();
    let served: u8 = world.service(&a).external_ips[0].rsplit('.').next().unwrap().parse().unwrap();
    let mut others = (1..=3).filter(|n| *n != served);
    let (open, left) = (others.next().unwrap(), others.next().unwrap());
    let attached = add_group(&mut world, open, &a, &[rule(5000, 5000)]);
    world.instance(open).groups.push(attached.clone());
    let detached = add_group(&mut world, left, &a, &[rule(5000, 5000)]);
    hide(&mut world, ZONE);
    world.annotate(&a, "ttl", Some("soon"));
    world.settle();
    assert!(world.observed.groups.contains_key(&attached), "a record that can't be read may list it");
    assert!(!world.observed.groups.contains_key(&detached));
}

#[test]
fn a_range_is_closed_when_a_narrower_rule_lets_in_all_that_a_frozen_service_has_of_it() {
    for unreadable in [false, true] {
        let mut world = World::new(1);
        let a = world.add_service("a", 6000, &[("hostname", "a.example.com")]);
        world.settle();
        let group = world.observed.groups.values_mut().next().unwrap();
        group.rules.insert(rule(6000, 6001), firewall::description(&a));
        if unreadable {
            hide(&mut world, ZONE);
        }
        world.annotate(&a, "ttl", Some("soon"));
        world.settle();
        assert_eq!(rules(&world), [rule(6000, 6000)]);
    }
}

#[test]
fn a_range_stays_when_a_narrower_rule_lets_in_only_a_part_of_what_a_frozen_service_has_of_it() {
    let mut world = World::new(1);
    let a = world.add_service("a", 6000, &[("hostname", "a.example.com")]);
    world.service(&a).ports.push(Port { protocol: Protocol::Udp, number: 6001 });
    world.settle();
    assert_eq!(rules(&world), [rule(6000, 6001)]);
    let group = world.observed.groups.values_mut().next().unwrap();
    let narrow = Rule { source: "198.51.100.0/24".parse().unwrap(), ..rule(6001, 6001) };
    group.rules.insert(rule(6000, 6000), firewall::description(&a));
    group.rules.insert(narrow, firewall::description(&a));
    world.annotate(&a, "ttl", Some("soon"));
    world.settle();
    assert!(rules(&world).contains(&rule(6000, 6001)), "6001 is let in from everywhere by it alone");
}
