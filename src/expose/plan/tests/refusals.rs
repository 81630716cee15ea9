//! What holds now goes before what the API server refused a while ago, and what is refused stands in nobody's way.

use super::super::super::*;
use super::world::{World, ZONE};

/// The API server refuses the addresses that the Service is about to get.
fn refuse(world: &mut World, key: &ServiceKey) {
    let addresses = {
        let tried = world.plan().steps.into_iter().find_map(|step| match step.action {
            Action::TryPublication(tried) if tried.service == *key => Some(tried.private_ips),
            _ => None,
        });
        tried.expect("a dry run")
    };
    let uid = world.service(key).uid.clone();
    let trial = Trial { uid, addresses, at: world.now, refused: Some("Deny".into()), refusals: 6 };
    world.memory.trials.insert(key.clone(), trial);
}

fn reason(world: &World, key: &ServiceKey) -> String {
    world.condition(key).unwrap().reason
}

/// The Service is one of another namespace.
fn moved(world: &mut World, key: &ServiceKey, namespace: &str) -> ServiceKey {
    let mut service = world.snapshot.services.remove(key).unwrap();
    service.key.namespace = namespace.into();
    let key = service.key.clone();
    world.snapshot.services.insert(key.clone(), service);
    key
}

#[test]
fn a_refusal_is_believed_for_longer_each_time_and_for_five_minutes_at_most() {
    let believed = |refusals| {
        let at = Moment(std::time::Duration::from_secs(1));
        Trial { uid: "u".into(), addresses: vec![], at, refused: Some("no".into()), refusals }.believed_until().0
    };
    let seconds: Vec<u64> = [1, 2, 3, 4, 5, 6, 7, u32::MAX].map(|refusals| believed(refusals).as_secs() - 1).into();
    assert_eq!(seconds, [10, 20, 40, 80, 160, 300, 300, 300]);
}

#[test]
fn who_was_refused_reads_at_once_that_there_is_no_node_for_it_any_more() {
    let mut world = World::new(2);
    let a = world.add_service("a", 6315, &[("hostname", "a.example.com"), ("selector", "pool=general")]);
    refuse(&mut world, &a);
    assert_eq!(reason(&world, &a), "ExternalIPsForbidden");
    world.annotate(&a, "selector", Some("pool=none"));
    let condition = world.condition(&a).unwrap();
    assert_eq!(condition.reason, "NoEligibleNodes");
    assert!(condition.message.contains("no node matches the selector"), "{condition:?}");
    assert_eq!(world.plan(), Plan::default(), "nothing is to be tried, now or later");

    world.annotate(&a, "selector", None);
    assert_eq!(reason(&world, &a), "ExternalIPsForbidden", "it is believed for as long as ever");
    world.snapshot.nodes.clear();
    let condition = world.condition(&a).unwrap();
    assert_eq!((condition.reason.as_str(), condition.message.as_str()), ("NoEligibleNodes", "there is no node"));
    assert_eq!(world.plan(), Plan::default());
}

#[test]
fn who_was_refused_reads_at_once_that_its_name_or_port_is_taken() {
    let mut world = World::new(1);
    let b = world.add_service("b", 7000, &[("hostname", "b.example.com")]);
    let b = moved(&mut world, &b, "other");
    world.settle();
    let a = world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    refuse(&mut world, &a);
    world.annotate(&a, "hostname", Some("b.example.com"));
    assert_eq!(reason(&world, &a), "HostnameTaken", "by a Service of another namespace");
    assert_eq!(world.plan(), Plan::default());

    let record = Record { ttl: Some(60), values: ["192.0.2.1".to_owned()].into() };
    let records = world.observed.records.get_mut(&ZoneId(ZONE.into())).unwrap();
    records.insert(dns::address_key("c.example.com"), record);
    world.annotate(&a, "hostname", Some("c.example.com"));
    assert_eq!(reason(&world, &a), "HostnameTaken", "by a record of somebody else");
    assert_eq!(world.plan(), Plan::default());

    world.annotate(&a, "hostname", Some("a.example.com"));
    assert_eq!(reason(&world, &a), "ExternalIPsForbidden");
    world.service(&a).ports = world.service(&b).ports.clone();
    assert_eq!(reason(&world, &a), "PortConflict");
    assert_eq!(world.plan(), Plan::default());
}

#[test]
fn who_needs_no_address_any_more_that_was_refused_is_served() {
    let mut world = World::new(2);
    let a = world.add_service("a", 6315, &[("hostname", "a.example.com"), ("selector", "odd=1")]);
    world.settle();
    world.annotate(&a, "selector", None);
    refuse(&mut world, &a);
    assert_eq!(reason(&world, &a), "ExternalIPsForbidden");
    world.annotate(&a, "selector", Some("odd=1"));
    assert_eq!(reason(&world, &a), "Synced");
    assert_eq!(world.plan(), Plan::default());
}

#[test]
fn who_is_refused_takes_no_port_and_no_name_from_others() {
    let mut world = World::new(1);
    let a = world.add_service("a", 6315, &[("hostname", "h.example.com")]);
    refuse(&mut world, &a);
    let b = world.add_service("b", 6315, &[("hostname", "h.example.com")]);
    let b = moved(&mut world, &b, "other");
    world.round();
    assert_eq!(reason(&world, &b), "Synced");
    assert_eq!(reason(&world, &a), "HostnameTaken");
}

#[test]
fn nothing_is_opened_for_a_service_that_was_made_anew_before_its_own_dry_run() {
    let mut world = World::new(1);
    let a = world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    world.settle();
    world.snapshot.services.remove(&a);
    world.add_service("a", 7000, &[("hostname", "a.example.com")]);
    let opened = |world: &World| world.observed.groups.values().any(|group| group.rules.keys().any(|r| r.from == 7000));
    refuse(&mut world, &a);
    world.round();
    assert!(!opened(&world), "{:?}", world.taken);
    assert_eq!(reason(&world, &a), "ExternalIPsForbidden");
    world.memory.trials.clear();
    let plan = world.plan().steps;
    let plan: Vec<String> = plan.iter().map(|step| super::world::describe(&step.action)).collect();
    assert_eq!(plan, ["try a"]);
    world.settle();
    assert!(opened(&world));
    assert_eq!(reason(&world, &a), "Synced");
}

#[test]
fn who_asks_in_vain_for_another_name_keeps_the_one_that_it_has() {
    // Either the other name is taken, or there is no node.
    for (hostname, selector) in [("y.example.com", "pool=general"), ("w.example.com", "pool=none")] {
        let mut world = World::new(2);
        let a = world.add_service("a", 5000, &[("hostname", "x.example.com")]);
        let b = world.add_service("b", 5001, &[("hostname", "y.example.com")]);
        moved(&mut world, &b, "other");
        world.settle();
        let listed = world.listed("x.example.com");
        world.annotate(&a, "hostname", Some(hostname));
        world.annotate(&a, "selector", Some(selector));
        let c = world.add_service("c", 5002, &[("hostname", "x.example.com")]);
        let c = moved(&mut world, &c, "third");
        assert_eq!(world.settle(), [""; 0]);
        assert!(["HostnameTaken", "NoEligibleNodes"].contains(&reason(&world, &a).as_str()));
        assert_eq!(reason(&world, &c), "HostnameTaken");
        assert_eq!(world.listed("x.example.com"), listed);
        // It is free when it isn't asked for any more.
        world.annotate(&a, "hostname", None);
        world.settle();
        assert_eq!(reason(&world, &c), "Synced");
    }
}

#[test]
fn a_move_between_zones_waits_where_it_is_while_its_service_is_rejected() {
    let mut world = World::new(1);
    let a = world.add_service("a", 5000, &[("hostname", "z.sub.example.com")]);
    world.settle();
    world.add_zone("ZSUB", "sub.example.com");
    let steps = world.plan().steps;
    steps.iter().for_each(|step| world.take(step));
    assert_eq!(dns::owned_names(&world.observed, &world.settings).len(), 2);
    world.annotate(&a, "maxips", Some("0"));
    assert_eq!(world.settle(), [""; 0]);
    world.annotate(&a, "maxips", None);
    assert_eq!(world.settle(), ["delete-name z.sub.example.com"]);
    assert_eq!(world.listed("z.sub.example.com").len(), 1);
}

#[test]
fn an_ownership_record_that_route_53_would_not_take_is_refused_before_anything_is_opened() {
    let mut world = World::new(1);
    world.settings.owner = "o".repeat(176);
    let fits = world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    let key = world.add_service("ab", 6316, &[("hostname", "b.example.com")]);
    world.settle();
    assert_eq!(world.service(&fits).external_ips.len(), 1);
    let condition = world.condition(&key).unwrap();
    assert!(condition.reason == "HostnameForbidden" && condition.message.contains("by 1"), "{condition:?}");
    assert!(world.taken.iter().all(|step| !step.contains("6316")), "{:?}", world.taken);
}
