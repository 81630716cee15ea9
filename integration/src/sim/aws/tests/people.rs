//! What is done by hand.

use super::super::state::{RuleKey, Source};
use super::kit::Kit;
use crate::sim::event::{Actor, Creator, Event, Seam};

fn rule(port: i32) -> RuleKey {
    RuleKey { protocol: "tcp".into(), from: port, to: port, source: Source::V4("10.0.0.0/8".into()) }
}

#[tokio::test(start_paused = true)]
async fn each_change_by_hand_is_told_with_who_did_it() {
    let kit = Kit::new();
    let before = kit.stage.journal.events().len();
    let id = kit.aws.create_group(Actor::Controller, &kit.vpc, "theirs", &[("a", "b")]).unwrap();
    kit.aws.tag_group(Actor::Person, &id, "c", Some("d")).unwrap();
    kit.aws.tag_group(Actor::Person, &id, "a", None).unwrap();
    kit.aws.add_rule(Actor::Person, &id, rule(1), "by hand").unwrap();
    kit.aws.attach_group(Actor::Controller, &kit.instance, &id).unwrap();
    let eni = kit.aws.add_interface(Actor::Controller, &kit.instance).unwrap();
    kit.aws.look(|state| {
        let group = &state.groups[&id];
        assert_eq!((group.creator, group.rules[&rule(1)].creator), (Creator::Other, Creator::Person));
        assert!(group.tags.keys().eq(["c"]));
        assert_eq!(state.instances[&kit.instance].interfaces.len(), 2);
        assert!(state.interfaces[&eni].groups.contains_key(&id), "it has the groups of the primary one");
    });
    kit.aws.set_delegated(Actor::Person, &kit.zone, false).unwrap();
    assert!(!kit.aws.look(|state| state.zones[&kit.zone].delegated));
    kit.aws.delete_group(Actor::Person, &id).unwrap();
    assert!(kit.aws.look(|state| state.interfaces.values().all(|interface| !interface.groups.contains_key(&id))));
    let told: Vec<Actor> = kit.stage.journal.events()[before..]
        .iter()
        .map(|(_, event)| match event {
            Event::Changed { call: None, actor, seam: Seam::Aws, .. } => *actor,
            other => panic!("{other:?}"),
        })
        .collect();
    let (p, c) = (Actor::Person, Actor::Controller);
    assert_eq!(told, [c, p, p, p, c, c, p, p]);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_cannot_be_changed_by_hand() {
    let kit = Kit::new();
    let (aws, person) = (&kit.aws, Actor::Person);
    let default = aws.look(|state| state.vpcs[&kit.vpc].default_group.clone());
    let errors = [
        aws.create_group(person, "vpc-1", "g", &[]).map(drop),
        aws.delete_group(person, "sg-1"),
        aws.delete_group(person, &default),
        aws.detach_group(person, &kit.instance, &default),
        aws.attach_group(person, "i-1", &default),
        aws.add_rule(person, "sg-1", rule(1), ""),
        aws.remove_rule(person, &default, &rule(1)),
        aws.tag_group(person, "sg-1", "a", None),
        aws.stop_instance(person, "i-1"),
        aws.terminate_instance(person, "i-1"),
        aws.forget_instance("i-1"),
        aws.associate_address(person, "192.0.2.1".parse().unwrap(), &kit.instance),
        aws.delete_zone(person, "Z1"),
        aws.put_record(person, "Z1", "a.example.com", "A", 60, &["192.0.2.1"]),
        aws.put_record(person, &kit.zone, "a.example.com", "A", 60, &["192.0.2"]),
        aws.delete_record(person, &kit.zone, "a.example.com", "A"),
        aws.create_zone(person, "a..b", false).map(drop),
    ];
    let before = kit.stage.journal.events().len();
    for (number, error) in errors.into_iter().enumerate() {
        assert!(error.is_err(), "{number}");
    }
    assert_eq!(kit.stage.journal.events().len(), before);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_told_of_a_change_can_look_and_finds_it_done() {
    let kit = Kit::new();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let (aws, kept) = (kit.aws.clone(), seen.clone());
    kit.stage.journal.set_witness(move |_, event| {
        let groups = aws.look(|state| state.groups.values().filter(|group| group.name == "g1").count());
        let name = match event {
            Event::Called(_) => "called",
            Event::Changed { .. } => "changed",
            Event::Answered { .. } => "answered",
            _ => "other",
        };
        kept.lock().unwrap().push((name, groups));
    });
    kit.group("g1").await;
    assert_eq!(*seen.lock().unwrap(), [("called", 0), ("changed", 1), ("answered", 1)]);
}

#[test]
fn a_range_covers_what_lies_within_it() {
    let range = |text| Source::range(text).unwrap();
    for (wide, narrow) in [("0.0.0.0/0", "10.0.0.0/8"), ("10.0.0.0/8", "10.1.2.3/32"), ("::/0", "2001:db8::/32")] {
        assert!(range(wide).covers(&range(narrow)), "{wide} {narrow}");
        assert!(!range(narrow).covers(&range(wide)), "{wide} {narrow}");
    }
    assert!(!range("0.0.0.0/0").covers(&range("::/0")));
    assert!(!range("10.0.0.0/8").covers(&range("11.0.0.0/8")));
    assert_eq!(range("10.1.2.3/8"), range("10.0.0.0/8"));
    for bad in ["10.0.0.0", "10.0.0.0/33", "a/8", "::/129"] {
        assert_eq!(Source::range(bad), None, "{bad}");
    }
}
