//! A process that comes after another: after a restart, a takeover, the 2018 version. One test per rule.

use super::super::super::*;
use super::world::{SIMPLE, World, ZONE, position};

#[test]
fn a_restart_in_the_middle_of_a_drain_starts_the_drain_anew() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com"), ("ttl", "30")]);
    world.settle();
    world.annotate(&key, "selector", Some("odd=0"));
    world.round();
    world.wait(80);
    world.restart();
    world.round();
    assert_eq!(world.service(&key).external_ips.len(), 2);
    world.wait(89);
    assert_eq!(world.round(), Vec::<String>::new());
    world.wait(1);
    world.round();
    assert_eq!(world.service(&key).external_ips, ["10.0.0.2"]);
}

#[test]
fn the_list_of_the_2018_version_is_taken_over_when_all_of_it_is_nodes() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, SIMPLE);
    world.service(&key).external_ips = vec!["10.0.0.2".into()];
    world.service(&key).external_ips_owner = FieldOwner::Legacy;
    world.settle();
    assert_eq!(world.service(&key).external_ips, ["10.0.0.2"]);
    assert_eq!(world.service(&key).external_ips_owner, FieldOwner::Us);
}

#[test]
fn a_record_of_the_2018_version_is_taken_over_with_the_ownership_record_that_its_owner_is_told_of() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    world.service(&key).external_ips = vec!["10.0.0.2".into()];
    world.service(&key).external_ips_owner = FieldOwner::Legacy;
    // With its own kind of ownership record, at the very name.
    let old = Record { ttl: Some(300), values: ["203.0.113.2".into()].into() };
    let text = "\"heritage=external-dns,external-dns/owner=default\"".to_owned();
    let its = RecordKey { kind: RecordType::Txt, ..dns::address_key("a.example.com") };
    let records = world.observed.records.get_mut(&ZoneId(ZONE.into())).unwrap();
    records.insert(dns::address_key("a.example.com"), old);
    records.insert(its.clone(), Record { ttl: Some(300), values: [text].into() });
    assert_eq!(world.settle(), [""; 0], "it is somebody else's as yet");
    let told = world.condition(&key).unwrap().message;
    let value = dns::twin_value("test", &key);
    assert!(told.contains(&format!("TXT record `a-a.example.com` with the value {value}")), "{told}");
    let records = world.observed.records.get_mut(&ZoneId(ZONE.into())).unwrap();
    records.insert(dns::twin_key("a.example.com"), Record { ttl: Some(300), values: [value].into() });
    world.settle();
    assert_eq!(world.listed("a.example.com"), ["203.0.113.1".to_string(), "203.0.113.2".into()].into());
    assert_eq!(world.service(&key).external_ips_owner, FieldOwner::Us);
    assert!(world.observed.records[&ZoneId(ZONE.into())].contains_key(&its), "theirs stays");
}

#[test]
fn a_take_over_of_a_list_that_was_cut_short_is_finished() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, SIMPLE);
    world.settle();
    world.service(&key).half_taken_over = true;
    let taken = world.plan().steps;
    let [Step { action: Action::Publish(publication), .. }] = taken.as_slice() else { panic!("{taken:?}") };
    assert!(publication.take_over, "only by force, as the two have it");
    world.settle();
    assert!(!world.service(&key).half_taken_over);
}

#[test]
fn groups_of_the_2018_version_go_once_the_new_ones_serve() {
    let mut world = World::new(1);
    let old = GroupId("old".into());
    // What it lets in is not to be missed for a moment.
    let rule = Rule { protocol: Protocol::Udp, from: 6315, to: 6315, source: Cidr::ANY_V4 };
    let group = Group {
        id: old.clone(),
        name: "a.games.test".into(),
        vpc: "vpc-1".into(),
        rules: BTreeMap::from([(rule, String::new())]),
        foreign_rules: Default::default(),
    };
    world.observed.groups.insert(old.clone(), group);
    world.instance(1).groups.push(old.clone());
    world.add_service("a", 6315, SIMPLE);
    let steps = world.settle();
    assert!(position(&steps, "attach i-00000001") < position(&steps, "detach i-00000001"), "{steps:?}");
    assert!(!world.observed.groups.contains_key(&old));
}

#[test]
fn what_a_process_finds_attached_when_it_takes_over_is_attached_again_before_it_is_relied_on() {
    let mut world = World::new(2);
    world.add_service("a", 6315, &[("hostname", "a.example.com"), ("selector", "odd=1")]);
    world.settle();
    // Of the first node it is known that it serves; a group of the second one may have been taken off by now.
    let second = InstanceId("i-00000002".into());
    let name = firewall::group_name(&world.settings.cluster, &second, 1);
    let id = GroupId("sg-2".into());
    let vpc = world.instance(2).vpc.clone();
    let rules = BTreeMap::new();
    world
        .observed
        .groups
        .insert(id.clone(), Group { id: id.clone(), name, vpc, rules, foreign_rules: Default::default() });
    world.instance(2).groups.push(id);
    world.observed.unproven.extend([InstanceId("i-00000001".into()), second.clone()]);
    world.add_service("b", 6316, &[("hostname", "b.example.com")]);
    let attaching = |step: &Step| matches!(&step.action, Action::Attach { instance, .. } if *instance == second);
    world.plan().steps.iter().filter(|step| matches!(step.action, Action::TryPublication(_))).for_each(|step| {
        world.take(step);
    });
    for _ in 0..5 {
        let steps = world.plan().steps;
        assert!(!steps.iter().any(|step| matches!(step.action, Action::ChangeRecords(_))), "{steps:?}");
        match steps.iter().find(|step| attaching(step)) {
            Some(_) => break,
            None => steps.iter().for_each(|step| world.take(step)),
        }
    }
    let steps = world.plan().steps;
    assert!(steps.iter().any(attaching), "{steps:?}");
    assert!(!steps.iter().any(|step| matches!(&step.action, Action::Attach { instance, .. } if *instance != second)));
    // Once it is done, or a later read shows it, all goes on.
    world.observed.unproven.clear();
    world.settle();
    assert_eq!(world.listed("b.example.com").len(), 2);
}

#[test]
fn rules_found_when_taking_over_count_as_open_only_where_their_service_is_published() {
    let mut world = World::new(1);
    let a = world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    world.settle();
    let id = InstanceId("i-00000001".into());
    let rule = Rule { protocol: Protocol::Udp, from: 6316, to: 6316, source: Cidr::ANY_V4 };
    let b = world.add_service("b", 6316, &[("hostname", "b.example.com")]);
    for group in world.observed.groups.values_mut() {
        group.rules.insert(rule, firewall::description(&b));
    }
    world.observed.closed = Closed::Any;
    world.observed.opened = Some(Default::default());
    world.observed.unproven.insert(id);
    let steps = world.round();
    assert_eq!(steps, ["try b", "authorize i-00000001", "change-name b.example.com", "publish b"]);
    assert_eq!(world.service(&a).external_ips, ["10.0.0.1"]);
}

#[test]
fn a_group_that_is_found_attached_is_so_only_where_it_holds_a_rule_of_who_is_published() {
    let mut world = World::new(1);
    world.settings.rules_per_group = 1;
    world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    let b = world.add_service("b", 6316, &[("hostname", "b.example.com")]);
    world.settle();
    assert_eq!(world.observed.groups.len(), 2);
    // Another process has taken b's away, group and all, and that isn't seen yet.
    world.restart();
    world.service(&b).external_ips.clear();
    world.service(&b).external_ips_owner = FieldOwner::Nobody;
    world.service(&b).owns_fields = false;
    world.observed.records.values_mut().for_each(|records| records.retain(|key, _| !key.name.contains("b.")));
    world.observed.closed = Closed::Any;
    world.observed.opened = Some(Default::default());
    world.observed.unproven.insert(InstanceId("i-00000001".into()));
    let steps = world.round();
    assert!(position(&steps, "attach i-00000001") < position(&steps, "change-name b.example.com"), "{steps:?}");
}

#[test]
fn an_address_that_was_taken_once_is_tried_again_when_it_comes_back() {
    let mut world = World::new(2);
    let a = world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    world.settle();
    world.node(2).ready = false;
    world.settle();
    assert_eq!(world.service(&a).external_ips, ["10.0.0.1"]);
    world.node(2).ready = true;
    assert_eq!(world.round()[0], "try a");
}

#[test]
fn what_may_have_been_closed_is_opened_again_before_it_is_relied_on() {
    for detached in [false, true] {
        let mut world = World::new(1);
        let key = world.add_service("a", 6315, SIMPLE);
        world.settle();
        let (id, group) = world.observed.groups.iter().next().unwrap();
        let closings = group.rules.keys().map(|rule| ((id.clone(), *rule), world.now));
        match detached {
            true => _ = world.observed.detachments.insert(InstanceId("i-00000001".into()), world.now),
            false => world.observed.closings.extend(closings),
        }
        let steps = world.round();
        assert_eq!(steps, [if detached { "attach i-00000001" } else { "authorize i-00000001" }]);
        assert_eq!(world.service(&key).external_ips, ["10.0.0.1"]);
    }
}

#[test]
fn a_node_that_can_not_be_made_sure_of_stays_in_its_name_unless_it_was_to_be_closed() {
    for to_be_closed in [false, true] {
        let mut world = World::new(2);
        let key = world.add_service("a", 6315, &[("hostname", "a.example.com")]);
        world.settle();
        // Somebody takes the addresses off: what they told of the firewall is told no more.
        world.snapshot.services.get_mut(&key).unwrap().external_ips.retain(|ip| ip != "10.0.0.2");
        let second = InstanceId("i-00000002".into());
        world.observed.unproven.insert(second.clone());
        if to_be_closed {
            world.observed.detachments.insert(second.clone(), world.now);
        }
        let failure = Failure {
            reason: Reason::Failed,
            message: "no".into(),
            attempts: 2,
            retry_at: world.now.after(std::time::Duration::from_secs(3600)),
            tried_for: [key].into(),
            refused_for: [].into(),
        };
        world.memory.failures.insert(Target::Firewall(second), failure);
        let steps = world.plan().steps;
        let leaves = steps.iter().any(|step| matches!(step.action, Action::ChangeRecords(_)));
        assert_eq!(leaves, to_be_closed, "{steps:?}");
    }
}
