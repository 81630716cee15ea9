//! Rules of names and publications, one test per rule.

use super::super::super::*;
use super::world::{World, ZONE};

fn refused(world: &mut World, key: &ServiceKey) {
    let uid = world.service(key).uid.clone();
    let trial = Trial { uid, addresses: vec![], at: world.now, refused: Some("Deny".into()) };
    world.memory.trials.insert(key.clone(), trial);
}

#[test]
fn a_name_that_moves_to_a_service_which_is_refused_is_withdrawn_with_the_service_that_had_it() {
    let mut world = World::new(2);
    let a = world.add_service("a", 6315, &[("hostname", "h.example.com"), ("selector", "odd=1")]);
    world.settle();
    world.annotate(&a, "hostname", None);
    let b = world.add_service("b", 6316, &[("hostname", "h.example.com"), ("selector", "odd=0")]);
    let steps = world.plan().steps;
    let verbs: Vec<String> = steps.iter().map(|step| super::world::describe(&step.action)).collect();
    assert_eq!(verbs, ["release a", "try b"], "neither the name nor the firewall before the dry run");
    world.take(&steps[0]);
    refused(&mut world, &b);
    world.round();
    assert_eq!(world.condition(&b).unwrap().reason, "ExternalIPsForbidden");
    assert!(world.is_clean(), "{:?} {:?}", world.observed.groups, world.observed.records);
}

#[test]
fn a_name_that_moves_to_another_service_is_never_without_an_address() {
    let mut world = World::new(2);
    let a = world.add_service("a", 6315, &[("hostname", "h.example.com"), ("selector", "odd=1")]);
    world.settle();
    world.annotate(&a, "hostname", None);
    let b = world.add_service("b", 6316, &[("hostname", "h.example.com"), ("selector", "odd=0")]);
    world.settle();
    assert_eq!(world.listed("h.example.com"), ["203.0.113.2".to_string()].into());
    assert_eq!(world.condition(&b).unwrap().reason, "Synced");
    assert_eq!(world.observed.groups.len(), 1);
}

#[test]
fn an_address_is_published_though_only_one_of_the_names_could_be_written() {
    let mut world = World::new(1);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com,b.example.com")]);
    let failure = Failure {
        reason: Reason::AccessDenied,
        message: "no".into(),
        attempts: 1,
        retry_at: Moment(std::time::Duration::from_secs(1_000_000)),
    };
    world.memory.failures.insert(Target::Name(ZoneId(ZONE.into()), "b.example.com".into()), failure);
    world.round();
    assert_eq!(world.listed("a.example.com").len(), 1);
    assert_eq!(world.service(&key).external_ips, ["10.0.0.1"]);
    let condition = world.condition(&key).unwrap();
    assert!(!condition.ready && condition.reason == "AccessDenied", "{condition:?}");
}

#[test]
fn a_refused_dry_run_is_tried_again_without_anything_else_happening() {
    let mut world = World::new(1);
    let key = world.add_service("a", 6315, &[("hostname", "a.example.com")]);
    world.wait(7);
    refused(&mut world, &key);
    assert_eq!(world.plan().wake_at, Some(Moment(std::time::Duration::from_secs(307))));
    world.settle();
    assert_eq!(world.service(&key).external_ips, ["10.0.0.1"]);
}
