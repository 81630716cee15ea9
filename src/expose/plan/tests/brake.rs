//! The brake on mass deletion.

use super::super::super::*;
use super::world::{World, ZONE};
use crate::expose::brake::brake;

/// `count` Services, each on a name and a port of its own, all of them served.
fn serving(count: u16) -> (World, Vec<ServiceKey>) {
    let mut world = World::new(2);
    let keys = (0..count).map(|n| {
        let hostname = format!("s{n}.example.com");
        world.add_service(&format!("s{n:02}"), 7000 + 2 * n, &[("hostname", &hostname)])
    });
    let keys: Vec<ServiceKey> = keys.collect();
    world.settle();
    (world, keys)
}

fn remove(world: &mut World, keys: &[ServiceKey]) {
    for key in keys {
        world.snapshot.services.remove(key);
    }
}

fn listed(world: &World, count: u16) -> usize {
    (0..count).filter(|n| !world.listed(&format!("s{n}.example.com")).is_empty()).count()
}

#[test]
fn more_than_half_and_more_than_a_handful_are_not_withdrawn_at_once() {
    let (mut world, keys) = serving(11);
    let before = world.observed.clone();
    remove(&mut world, &keys[..6]);
    world.settle();
    assert_eq!(world.observed, before, "nothing is closed, no name is gone");
    let (_, held) = brake(&world.snapshot, &world.observed, &world.settings);
    let told = held.unwrap().to_string();
    assert!(told.starts_with("6 of 11 exposed Services don't ask any more (games/s00,"), "{told}");
    assert!(told.contains("and 3 more") && told.contains("--allow-mass-delete"), "{told}");
}

#[test]
fn annotations_that_are_lost_count_like_services_that_are_gone() {
    let (mut world, keys) = serving(8);
    keys[..6].iter().for_each(|key| world.annotate(key, "hostname", None));
    world.settle();
    assert_eq!(listed(&world, 8), 8);
    assert!(keys.iter().all(|key| !world.service(key).external_ips.is_empty()));
}

#[test]
fn a_restart_is_no_consent() {
    let (mut world, keys) = serving(8);
    remove(&mut world, &keys[..6]);
    world.settle();
    world.restart();
    world.settle();
    assert_eq!(listed(&world, 8), 8);
}

#[test]
fn half_of_them_or_a_handful_are_withdrawn() {
    for (all, gone) in [(12, 6), (5, 5), (1, 1)] {
        let (mut world, keys) = serving(all);
        remove(&mut world, &keys[..gone]);
        world.settle();
        assert_eq!(listed(&world, all), usize::from(all) - gone, "{gone} of {all}");
    }
}

#[test]
fn with_consent_all_is_withdrawn() {
    let (mut world, keys) = serving(8);
    world.settings.allow_mass_delete = true;
    remove(&mut world, &keys);
    world.settle();
    assert!(world.is_clean());
}

#[test]
fn those_who_still_ask_are_served_on_while_withdrawals_are_held() {
    let (mut world, keys) = serving(8);
    remove(&mut world, &keys[..6]);
    let new = world.add_service("new", 9000, &[("hostname", "new.example.com")]);
    world.settle();
    assert_eq!(world.listed("new.example.com").len(), 2);
    world.snapshot.services.remove(&new);
    world.annotate(&keys[7], "maxips", Some("1"));
    world.settle();
    assert_eq!(world.listed("s7.example.com").len(), 1);
    assert_eq!(listed(&world, 8), 8);
}

#[test]
fn names_that_can_not_be_read_are_no_consent() {
    let (mut world, keys) = serving(8);
    let zone = ZoneId(ZONE.into());
    let records = world.observed.records.remove(&zone).unwrap();
    remove(&mut world, &keys[..6]);
    let before = world.observed.groups.clone();
    world.settle();
    assert_eq!(world.observed.groups, before);
    world.observed.records.insert(zone, records);
    world.settle();
    assert_eq!(world.observed.groups, before);
}

#[test]
fn what_may_be_inherited_by_who_is_withheld_stays_open() {
    let (mut world, keys) = serving(8);
    let first = InstanceId("i-00000001".into());
    world.annotate(&keys[7], "selector", Some("odd=0"));
    world.settle();
    for _ in 0..2 {
        world.wait(1000);
        world.settle();
    }
    let rule = |port| Rule { protocol: Protocol::Udp, from: port, to: port, source: Cidr::ANY_V4 };
    let open = |world: &World| -> Vec<u16> {
        let group = world.observed.groups.values().find(|group| group.name.contains(&first.0)).unwrap();
        group.rules.keys().map(|rule| rule.from).filter(|port| [7012, 7014].contains(port)).collect()
    };
    assert_eq!(open(&world), [7012]);
    // Another has taken over its port, and the rule with it, before most are withheld.
    let group = world.observed.groups.values_mut().find(|group| group.name.contains(&first.0)).unwrap();
    group.rules.insert(rule(7014), firewall::description(&keys[7]));
    remove(&mut world, &keys[..6]);
    world.settle();
    assert_eq!(open(&world), [7012, 7014]);
    // What one who is served there needed until now is nobody else's, and is closed.
    world.service(&keys[6]).ports = vec![Port { protocol: Protocol::Udp, number: 9000 }];
    world.settle();
    assert_eq!(open(&world), [7014]);
    world.settings.allow_mass_delete = true;
    for _ in 0..3 {
        world.settle();
        world.wait(1000);
    }
    assert_eq!(open(&world), [0_u16; 0]);
}

#[test]
fn the_address_of_a_machine_that_is_gone_leaves_the_names_all_the_same() {
    let (mut world, keys) = serving(8);
    remove(&mut world, &keys[..6]);
    *world.observed.instances.get_mut(&InstanceId("i-00000001".into())).unwrap() = Lookup::Gone;
    world.snapshot.nodes.remove("n1");
    world.settle();
    assert_eq!(world.listed("s0.example.com"), ["203.0.113.2".to_string()].into());
}

#[test]
fn when_they_come_back_nothing_has_happened() {
    let (mut world, keys) = serving(8);
    let services = world.snapshot.services.clone();
    remove(&mut world, &keys);
    world.settle();
    world.snapshot.services = services;
    assert_eq!(world.settle(), Vec::<String>::new());
}
