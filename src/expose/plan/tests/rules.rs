//! One test per rule.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::super::*;
use super::world::{SIMPLE, World, ZONE, position};

#[test]
fn exposing_tries_then_opens_then_attaches_then_lists_then_publishes() {
    let mut world = World::new(1);
    let key = world.add_service("a", 6315, SIMPLE);
    let steps = world.round();
    assert_eq!(
        steps,
        [
            "try a",
            "create-group i-00000001",
            "authorize i-00000001",
            "attach i-00000001",
            "change-name a.example.com",
            "publish a"
        ]
    );
    assert_eq!(world.service(&key).external_ips, ["10.0.0.1"]);
    assert_eq!(world.listed("a.example.com"), ["203.0.113.1".to_string()].into());
    let condition = world.condition(&key).unwrap();
    assert!(condition.ready && condition.reason == "Synced" && condition.message.contains("203.0.113.1"));
}

#[test]
fn a_second_round_with_nothing_changed_has_no_steps() {
    let mut world = World::new(3);
    world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    world.add_service("b", 6316, &[("hostname", "b.example.com,*.b.example.com")]);
    world.settle();
    assert_eq!(world.plan().steps, []);
    world.restart();
    assert_eq!(world.plan().steps, [], "nor after a restart");
}

#[test]
fn removing_the_annotation_withdraws_names_and_addresses_at_once_and_closes_right_after() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, SIMPLE);
    world.settle();
    world.annotate(&key, "hostname", None);
    let first: Vec<String> = world.plan().steps.iter().map(|s| super::world::describe(&s.action)).collect();
    assert_eq!(first, ["delete-name a.example.com", "release a"]);
    let steps = world.round();
    assert!(
        position(&steps, "delete-name a.example.com") < steps.iter().position(|s| s.starts_with("revoke")).unwrap()
    );
    assert!(world.is_clean(), "{:?}", world.observed);
    assert_eq!(world.condition(&key), None);
}

#[test]
fn deleting_the_service_while_nobody_watches_leaves_nothing() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, SIMPLE);
    world.settle();
    world.snapshot.services.remove(&key);
    world.restart();
    world.round();
    assert!(world.is_clean(), "{:?}", world.observed);
}

#[test]
fn a_node_that_was_closed_and_has_no_room_to_be_opened_again_drains_though_it_stays_wanted() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    world.settle();
    world.instance(1).groups.clear();
    let id = InstanceId("i-00000001".into());
    world.observed.full.insert(id.clone(), world.now);
    let refused = Failure {
        reason: Reason::SecurityGroupLimit,
        message: "no room".into(),
        attempts: 1,
        retry_at: world.now.after(Duration::from_secs(1000)),
        tried_for: [ServiceKey::new("games", "a")].into(),
        refused_for: [].into(),
    };
    world.memory.failures.insert(Target::Firewall(id), refused);
    for _ in 0..3 {
        world.round();
        world.wait(200);
    }

    assert_eq!(world.listed("a.example.com"), ["203.0.113.2".to_owned()].into());
    assert_eq!(world.service(&key).external_ips, ["10.0.0.2"]);
    // Whoever makes room has it served there again.
    world.memory.failures.clear();
    world.settle();

    assert_eq!(world.service(&key).external_ips.len(), 2);
}

#[test]
fn a_changed_port_is_opened_before_the_old_one_is_closed() {
    let mut world = World::new(1);
    let key = world.add_service("a", 6315, SIMPLE);
    world.settle();
    world.service(&key).ports = vec![Port { protocol: Protocol::Udp, number: 7000 }];
    let steps = world.settle();
    assert_eq!(steps, ["authorize i-00000001", "revoke external-ips/test/i-00000001"]);
}

#[test]
fn contiguous_ports_are_one_rule_and_others_are_their_own() {
    let mut world = World::new(1);
    let key = world.add_service("a", 7000, SIMPLE);
    let port = |number, protocol| Port { protocol, number };
    world.service(&key).ports = vec![
        port(7001, Protocol::Udp),
        port(7000, Protocol::Udp),
        port(7002, Protocol::Tcp),
        port(7003, Protocol::Udp),
    ];
    world.settle();
    let group = world.observed.groups.values().next().unwrap();
    let rules: Vec<String> = group.rules.keys().map(ToString::to_string).collect();
    assert_eq!(rules, ["7002/TCP from 0.0.0.0/0", "7000-7001/UDP from 0.0.0.0/0", "7003/UDP from 0.0.0.0/0"]);
    assert!(group.rules.values().all(|description| description == "external-ips: games/a"));
}

#[test]
fn a_changed_selector_makes_the_new_nodes_before_it_breaks_the_old_ones_and_drains_them() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com"), ("selector", "odd=1"), ("ttl", "30")]);
    world.settle();
    assert_eq!(world.service(&key).external_ips, ["10.0.0.1"]);
    world.annotate(&key, "selector", Some("odd=0"));
    let steps = world.round();
    assert!(position(&steps, "attach i-00000002") < position(&steps, "change-name a.example.com"));
    assert_eq!(world.listed("a.example.com"), ["203.0.113.2".to_string()].into());
    assert_eq!(world.service(&key).external_ips, ["10.0.0.1", "10.0.0.2"], "the old path stays open while it drains");
    world.wait(30 + 60 - 1);
    assert_eq!(world.round(), Vec::<String>::new());
    world.wait(1);
    let steps = world.round();
    assert_eq!(
        steps,
        [
            "publish a",
            "revoke external-ips/test/i-00000001",
            "detach i-00000001",
            "delete-group external-ips/test/i-00000001"
        ]
    );
    assert_eq!(world.service(&key).external_ips, ["10.0.0.2"]);
}

#[test]
fn fewer_nodes_withdraw_the_surplus_and_keep_the_rest_where_it_is() {
    let mut world = World::new(3);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com"), ("maxips", "3")]);
    world.settle();
    world.annotate(&key, "maxips", Some("1"));
    let steps = world.settle();
    assert_eq!(world.listed("a.example.com").len(), 1);
    assert_eq!(world.service(&key).external_ips.len(), 1);
    assert_eq!(world.observed.groups.len(), 1);
    assert!(!steps.iter().any(|s| s.starts_with("attach") || s.starts_with("authorize")), "{steps:?}");
}

#[test]
fn a_changed_hostname_is_listed_before_the_old_one_is_withdrawn() {
    let mut world = World::new(1);
    let key = world.add_service("a", 6315, SIMPLE);
    world.settle();
    world.annotate(&key, "hostname", Some("b.example.com"));
    assert_eq!(world.settle(), ["change-name b.example.com", "delete-name a.example.com"]);
    assert_eq!(world.listed("a.example.com"), [].into());
}

#[test]
fn a_node_that_is_gone_leaves_the_names_at_once_and_is_replaced() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, SIMPLE);
    world.settle();
    world.snapshot.nodes.remove("n1");
    world.observed.instances.insert(InstanceId("i-00000001".into()), Lookup::Gone);
    world.settle();
    assert_eq!(world.listed("a.example.com"), ["203.0.113.2".to_string()].into());
    assert_eq!(world.service(&key).external_ips, ["10.0.0.2"]);
    assert_eq!(world.observed.groups.len(), 1);
}

#[test]
fn the_last_node_that_is_gone_takes_the_name_with_it_even_if_the_service_asks() {
    let mut world = World::new(1);
    let key = world.add_service("a", 6315, SIMPLE);
    world.settle();
    world.snapshot.nodes.remove("n1");
    world.observed.instances.insert(InstanceId("i-00000001".into()), Lookup::Gone);
    world.settle();
    assert_eq!(world.listed("a.example.com"), [].into());
    assert_eq!(world.condition(&key).unwrap().reason, "NoEligibleNodes");
}

#[test]
fn a_frozen_service_leaves_nothing_open_on_an_instance_whose_node_is_gone() {
    for ttl in [None, Some("soon")] {
        let mut world = World::new(1);
        let key = world.add_service("a", 6315, SIMPLE);
        world.settle();
        world.annotate(&key, "ttl", ttl);
        world.snapshot.nodes.remove("n1");
        world.settle();
        assert!(!world.condition(&key).unwrap().ready);
        assert!(world.is_clean(), "{:?}", world.observed.groups);
        assert_eq!(world.instance(1).groups, [GroupId("sg-nodes".into())]);
    }
}

#[test]
fn a_changed_public_address_replaces_the_old_one_in_one_change() {
    let mut world = World::new(1);
    world.add_service("a", 6315, SIMPLE);
    world.settle();
    world.instance(1).public_ip = Some(PublicIp([198, 51, 100, 7].into()));
    assert_eq!(world.round(), ["change-name a.example.com", "publish a"]);
    assert_eq!(world.listed("a.example.com"), ["198.51.100.7".to_string()].into());
}

#[test]
fn when_all_matching_nodes_are_merely_not_ready_nothing_is_withdrawn() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    world.settle();
    world.node(1).ready = false;
    world.node(2).ready = false;
    assert_eq!(world.settle(), Vec::<String>::new());
    let condition = world.condition(&key).unwrap();
    assert!(condition.ready && condition.reason == "Degraded", "{condition:?}");
}

#[test]
fn a_node_that_is_not_ready_is_replaced_while_others_are() {
    let mut world = World::new(3);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com"), ("maxips", "2")]);
    world.settle();
    let first: u8 = world.service(&key).external_ips[0].rsplit('.').next().unwrap().parse().unwrap();
    world.node(first).ready = false;
    world.settle();
    assert_eq!(world.service(&key).external_ips.len(), 2);
    assert!(!world.service(&key).external_ips.contains(&format!("10.0.0.{first}")));
}

#[test]
fn an_instance_that_ec2_kept_silent_about_is_not_gone() {
    let mut world = World::new(2);
    world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    world.settle();
    world.observed.instances.insert(InstanceId("i-00000001".into()), Lookup::Unknown);
    world.restart();
    assert_eq!(world.settle(), Vec::<String>::new());
    assert_eq!(world.listed("a.example.com").len(), 2);
}

#[test]
fn half_a_pair_is_completed() {
    let mut world = World::new(1);
    world.add_service("a", 6315, SIMPLE);
    world.settle();
    world.observed.records.get_mut(&ZoneId(ZONE.into())).unwrap().remove(&dns::address_key("a.example.com"));
    assert_eq!(world.round(), ["change-name a.example.com"]);
    assert_eq!(world.listed("a.example.com").len(), 1);
}

#[test]
fn a_refused_dry_run_opens_nothing() {
    let mut world = World::new(1);
    let key = world.add_service("a", 6315, SIMPLE);
    let steps = world.plan().steps;
    assert!(matches!(&steps[..], [Step { action: Action::TryPublication(_), .. }]), "{steps:?}");
    let uid = world.service(&key).uid.clone();
    let trial =
        Trial { uid, addresses: vec![], at: world.now, refused: Some("DenyServiceExternalIPs".into()), refusals: 6 };
    world.memory.trials.insert(key.clone(), trial);
    assert_eq!(world.plan().steps, []);
    assert_eq!(world.condition(&key).unwrap().reason, "ExternalIPsForbidden");
    world.wait(301);
    assert_eq!(world.plan().steps.len(), 1, "it is tried again after a while");
}

#[test]
fn a_step_that_failed_is_not_planned_before_it_is_due() {
    let mut world = World::new(1);
    let key = world.add_service("a", 6315, SIMPLE);
    let failure = Failure {
        reason: Reason::AccessDenied,
        message: "ec2:CreateSecurityGroup is not allowed".into(),
        attempts: 1,
        retry_at: Moment(Duration::from_secs(5)),
        tried_for: [ServiceKey::new("games", "a")].into(),
        refused_for: [].into(),
    };
    world.memory.failures.insert(Target::NewGroup(InstanceId("i-00000001".into())), failure);
    world.round();
    assert_eq!(world.taken, ["try a"]);
    let condition = world.condition(&key).unwrap();
    assert!(!condition.ready && condition.reason == "AccessDenied");
    assert_eq!(world.plan().wake_at, Some(Moment(Duration::from_secs(5))));
    world.wait(5);
    world.round();
    assert_eq!(world.service(&key).external_ips, ["10.0.0.1"]);
}

#[test]
fn a_name_waits_a_moment_for_a_node_on_which_something_failed_for_the_first_time() {
    let failure = |attempts, retry_at| Failure {
        reason: Reason::Failed,
        message: "busy".into(),
        attempts,
        retry_at: Moment(Duration::from_secs(retry_at)),
        tried_for: [ServiceKey::new("games", "a")].into(),
        refused_for: [].into(),
    };
    let target = Target::Firewall(InstanceId("i-00000001".into()));
    for then in [None, Some(failure(2, 3))] {
        let mut world = World::new(2);
        world.add_service("a", 6315, &[("hostname", "a.example.com"), ("selector", "")]);
        world.memory.failures.insert(target.clone(), failure(1, 1));
        world.round();
        assert!(world.listed("a.example.com").is_empty());
        assert_eq!(world.plan().wake_at, Some(Moment(Duration::from_secs(1))));
        match then {
            // Tried again, and failed again.
            Some(then) => _ = world.memory.failures.insert(target.clone(), then),
            // Nothing of the kind for three seconds.
            None => world.wait(1 + 3),
        }
        let steps = world.plan().steps;
        let records = steps.iter().filter(|step| matches!(step.action, Action::ChangeRecords(_)));
        assert_eq!(records.count(), 1);
    }
}

#[test]
fn a_node_whose_firewall_is_ready_is_not_given_up_for_another_that_would_do_as_well() {
    let mut world = World::new(3);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com"), ("maxips", "1")]);
    world.node(1).ready = false;
    world.node(2).ready = false;
    let steps = world.plan().steps;
    steps.iter().for_each(|step| world.take(step));
    let steps = world.plan().steps;
    steps.iter().for_each(|step| world.take(step));
    let steps = world.plan().steps;
    steps.iter().filter(|step| matches!(step.action, Action::Authorize { .. })).for_each(|step| world.take(step));
    world.node(1).ready = true;
    world.node(2).ready = true;
    world.settle();
    assert_eq!(world.service(&key).external_ips, ["10.0.0.3"]);
}

#[test]
fn an_address_leaves_a_name_when_its_node_can_not_be_opened_for_it_and_not_when_that_was_not_tried() {
    for (tried_for, leaves) in [(None, false), (Some("b"), false), (Some("a"), true)] {
        let mut world = World::new(2);
        world.add_service("a", 6315, &[("hostname", "a.example.com"), ("selector", "")]);
        world.settle();
        world.instance(1).groups.retain(|group| !group.0.starts_with("external-ips"));
        let failure = Failure {
            reason: Reason::Failed,
            message: "no".into(),
            attempts: 2,
            retry_at: world.now.after(Duration::from_secs(3600)),
            tried_for: tried_for.map(|name| ServiceKey::new("games", name)).into_iter().collect(),
            refused_for: [].into(),
        };
        world.memory.failures.insert(Target::Firewall(InstanceId("i-00000001".into())), failure);
        let steps = world.plan().steps;
        let records = steps.iter().filter(|step| matches!(step.action, Action::ChangeRecords(_)));
        assert_eq!(records.count(), usize::from(leaves), "{steps:?}");
    }
}

#[test]
fn one_node_whose_firewall_fails_does_not_keep_the_others_from_serving() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    let failure = Failure {
        reason: Reason::SecurityGroupLimit,
        message: "five groups".into(),
        attempts: 1,
        retry_at: Moment(Duration::from_secs(5)),
        tried_for: [ServiceKey::new("games", "a")].into(),
        refused_for: [].into(),
    };
    world.memory.failures.insert(Target::Firewall(InstanceId("i-00000001".into())), failure);
    world.round();
    assert_eq!(world.listed("a.example.com"), ["203.0.113.2".to_string()].into());
    let condition = world.condition(&key).unwrap();
    assert!(condition.ready && condition.reason == "Degraded", "{condition:?}");
}

#[test]
fn a_thousand_services_on_a_hundred_nodes_are_planned_within_the_patience_of_a_test() {
    let mut world = World::new(100);
    for n in 0..1000u16 {
        let hostname = format!("s{n:04}.example.com");
        world.add_service(&format!("s{n:04}"), 20_000 + 2 * n, &[("hostname", &hostname), ("maxips", "2")]);
    }
    for _ in 0..8 {
        let World { snapshot, observed, settings, memory, now, .. } = &mut world;
        let desired = super::super::desire(snapshot, observed, settings, memory, *now);
        super::super::remember(&desired, snapshot, settings, memory, *now);
        let steps = super::super::plan(&desired, snapshot, observed, settings, memory, *now).steps;
        if steps.is_empty() {
            break;
        }
        for step in &steps {
            super::super::effect(step, snapshot, observed, memory, *now);
        }
    }
    assert_eq!(world.plan().steps, []);
    assert!(world.snapshot.services.values().all(|service| service.external_ips.len() == 2));
}

#[test]
fn the_last_addresses_of_a_service_stay_until_others_are_published() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com"), ("selector", "odd=1")]);
    world.settle();
    // Somebody deletes the records, and the selector changes before they are written again.
    world.observed.records.values_mut().for_each(BTreeMap::clear);
    world.annotate(&key, "selector", Some("odd=0"));
    world.plan();
    world.wait(1000);
    let steps = world.plan().steps;
    assert!(!steps.iter().any(|step| matches!(step.action, Action::Publish(_) | Action::Release { .. })), "{steps:?}");
    world.settle();
    assert_eq!(world.service(&key).external_ips, ["10.0.0.2"]);
}
