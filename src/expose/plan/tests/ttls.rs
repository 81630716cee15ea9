//! Rules of what resolvers may remember, one test per rule: nobody is withdrawn while an answer may lead there.

use super::super::super::*;
use super::world::{World, ZONE};

/// TTLs of the records of `a.example.com`: the address record's, the twin's.
fn ttls(world: &World) -> [Option<u32>; 2] {
    let records = &world.observed.records[&ZoneId(ZONE.into())];
    [dns::address_key("a.example.com"), dns::twin_key("a.example.com")]
        .map(|key| records.get(&key).and_then(|record| record.ttl))
}

#[test]
fn a_drain_lasts_as_long_as_answers_with_an_earlier_higher_ttl_may_be_remembered() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com"), ("ttl", "3600"), ("selector", "odd=1")]);
    world.settle();
    world.annotate(&key, "ttl", Some("60"));
    world.round();
    world.wait(600);
    world.annotate(&key, "selector", Some("odd=0"));
    world.round();
    world.wait(3000 + 60 - 1);
    world.round();
    assert_eq!(world.service(&key).external_ips.len(), 2);
    world.wait(1);
    world.round();
    assert_eq!(world.service(&key).external_ips, ["10.0.0.2"]);
}

#[test]
fn a_name_that_is_made_anew_tells_of_the_ttl_that_it_had_before_it_was_withdrawn() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com"), ("ttl", "3600"), ("selector", "odd=1")]);
    world.settle();
    world.snapshot.services.remove(&key);
    world.settle();
    assert_eq!(ttls(&world), [None, None]);
    world.wait(600);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com"), ("ttl", "60"), ("selector", "odd=1")]);
    world.round();
    assert_eq!(ttls(&world), [Some(60), Some(3600)]);
    world.annotate(&key, "selector", Some("odd=0"));
    world.round();
    world.wait(3000 - 1);
    world.round();
    assert_eq!(world.service(&key).external_ips.len(), 2, "the answer of before may lead to the first");
    world.settle();
    assert_eq!(world.service(&key).external_ips, ["10.0.0.2"]);
    assert_eq!(ttls(&world), [Some(60), Some(60)]);

    // Long after that nobody need know.
    world.snapshot.services.remove(&key);
    world.settle();
    world.wait(4000);
    world.add_service("a", 6315, &[("hostname", "a.example.com"), ("ttl", "10")]);
    world.round();
    assert_eq!(ttls(&world), [Some(10), Some(10)]);
}

#[test]
fn the_twin_tells_a_successor_of_a_higher_ttl_until_it_is_forgotten() {
    for first_lowered in [false, true] {
        let mut world = World::new(2);
        let key = world.add_service("a", 6315, &[("hostname", "a.example.com"), ("ttl", "100"), ("selector", "")]);
        world.settle();
        world.annotate(&key, "ttl", Some("10"));
        if first_lowered {
            world.round();
            assert_eq!(ttls(&world), [Some(10), Some(100)]);
        }
        world.annotate(&key, "selector", Some("odd=0"));
        world.round();
        assert_eq!((ttls(&world), world.listed("a.example.com").len()), ([Some(10), Some(100)], 1));
        world.restart();
        world.round();
        world.wait(100 + 60 - 1);
        world.round();
        assert_eq!((ttls(&world), world.service(&key).external_ips.len()), ([Some(10), Some(100)], 2));
        world.wait(1);
        world.settle();
        assert_eq!((ttls(&world), world.service(&key).external_ips.len()), ([Some(10), Some(10)], 1));
    }
}

#[test]
fn the_twin_outlasts_the_answers_with_a_ttl_that_was_lowered_twice() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com"), ("ttl", "3600"), ("selector", "odd=1")]);
    world.settle();
    world.annotate(&key, "ttl", Some("1800"));
    world.round();
    world.wait(3500);
    world.annotate(&key, "ttl", Some("60"));
    world.round();
    // Those with the first are forgotten, those with the second not yet.
    world.wait(200);
    world.round();
    assert_eq!(ttls(&world), [Some(60), Some(3600)]);
    world.restart();
    world.annotate(&key, "selector", Some("odd=0"));
    world.round();
    world.wait(1800 - 200 + 60 - 1);
    world.round();
    assert_eq!(world.service(&key).external_ips.len(), 2, "a resolver may send people to the first");
    world.settle();
    assert_eq!((ttls(&world), world.service(&key).external_ips.len()), ([Some(60), Some(60)], 1));
}

#[test]
fn a_higher_ttl_that_is_forgotten_holds_up_nobody() {
    let mut world = World::new(2);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com"), ("ttl", "3600"), ("selector", "")]);
    world.settle();
    world.annotate(&key, "ttl", Some("10"));
    world.round();
    assert_eq!(world.plan().wake_at, Some(Moment(world.now.0 + std::time::Duration::from_secs(3600 + 60))));
    world.wait(3600 + 60);
    assert_eq!(world.round(), ["change-name a.example.com"]);
    assert_eq!(world.round(), [""; 0]);
    world.annotate(&key, "selector", Some("odd=0"));
    world.round();
    world.wait(10 + 60 - 1);
    world.round();
    assert_eq!(world.service(&key).external_ips.len(), 2);
    world.wait(1);
    world.round();
    assert_eq!(world.service(&key).external_ips, ["10.0.0.2"]);
}

#[test]
fn a_rejected_service_drains_from_when_the_name_that_it_shares_lists_the_node_no_more() {
    let mut world = World::new(2);
    let a = world.add_service("a", 6315, &[("hostname", "a.example.com"), ("ttl", "30")]);
    let b = world.add_service("b", 6316, &[("hostname", "a.example.com"), ("ttl", "30")]);
    world.settle();
    world.service(&a).ports = vec![Port { protocol: Protocol::Udp, number: 6316 }];
    world.round();
    assert_eq!(world.rejected(), [b.clone()].into());
    world.wait(1000);
    // The name leaves the first node, and the Service can be served again.
    world.annotate(&a, "selector", Some("odd=0"));
    world.round();
    world.annotate(&b, "selector", Some("odd=0"));
    world.service(&a).ports = vec![Port { protocol: Protocol::Udp, number: 6315 }];
    world.round();
    assert_eq!(world.rejected(), [].into());
    world.wait(30 + 60 - 1);
    world.round();
    assert_eq!(world.service(&b).external_ips, ["10.0.0.1", "10.0.0.2"]);
    world.wait(1);
    world.round();
    assert_eq!(world.service(&b).external_ips, ["10.0.0.2"]);
}

#[test]
fn the_twin_of_a_withdrawn_name_tells_a_successor_of_a_ttl_that_it_could_not_guess() {
    for lowered_before in [false, true] {
        let mut world = World::new(2);
        let key = world.add_service("a", 6315, &[("hostname", "a.example.com"), ("ttl", "100"), ("selector", "")]);
        world.settle();
        world.annotate(&key, "ttl", Some("10"));
        if lowered_before {
            world.round();
        }
        world.annotate(&key, "hostname", Some("b.example.com"));
        world.annotate(&key, "selector", Some("odd=0"));
        world.round();
        assert_eq!(ttls(&world), [None, Some(100)]);
        world.restart();
        assert_eq!(world.round(), [""; 0]);
        world.wait(100 + 60 - 1);
        world.round();
        assert_eq!(world.service(&key).external_ips, ["10.0.0.1", "10.0.0.2"]);
        world.wait(1);
        world.settle();
        assert_eq!((world.service(&key).external_ips.len(), ttls(&world)), (1, [None, None]));
    }
}

#[test]
fn the_twin_of_a_name_goes_with_it_where_a_successor_would_wait_as_long_without_it() {
    let mut world = World::new(1);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com"), ("ttl", "100")]);
    world.settle();
    world.annotate(&key, "hostname", Some("b.example.com"));
    world.round();
    assert_eq!(ttls(&world), [None, None]);
}

#[test]
fn a_name_asked_for_again_while_its_twin_still_tells_of_the_past_is_written_at_once() {
    let mut world = World::new(1);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com"), ("ttl", "100")]);
    world.settle();
    world.annotate(&key, "hostname", Some("b.example.com"));
    world.annotate(&key, "ttl", Some("10"));
    world.round();
    assert_eq!(ttls(&world), [None, Some(100)]);
    world.annotate(&key, "hostname", Some("a.example.com"));
    world.round();
    assert_eq!(ttls(&world), [Some(10), Some(100)]);
}

#[test]
fn an_address_is_never_listed_with_the_ttl_that_somebody_else_wrote() {
    let mut world = World::new(1);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com"), ("ttl", "10")]);
    world.settle();
    world.add_node(2);
    world.annotate(&key, "maxips", Some("2"));
    let failure = Failure {
        reason: Reason::Failed,
        message: "no".into(),
        attempts: 1,
        retry_at: world.now.after(std::time::Duration::from_secs(3600)),
        tried_for: [].into(),
        refused_for: [].into(),
    };
    world.memory.failures.insert(Target::Service(key), failure);
    let records = world.observed.records.get_mut(&ZoneId(ZONE.into())).unwrap();
    let strangers = Record { ttl: Some(300), values: ["192.0.2.7".into()].into() };
    records.insert(dns::address_key("a.example.com"), strangers);
    world.round();
    assert_eq!(world.listed("a.example.com"), ["203.0.113.1".to_string()].into());
    assert_eq!(ttls(&world)[0], Some(10));
}
