//! S6: when most Services stop asking at once, nothing of theirs is taken unless a person has said that it is meant.

use crate::town::{Town, history};

const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

fn port(name: &str) -> u16 {
    7000 + u16::from(name.as_bytes()[0])
}

/// Eight Services are served for a while.
async fn all_are_served(town: &mut Town) {
    for name in NAMES {
        town.asks(name, port(name), &[("maxips", "1")]);
        town.serve(name, port(name), &["n1"]);
    }
    town.pass(20).await;
}

/// Eight Services are served, and so many of them have stopped asking a good while ago.
async fn stopped(town: &mut Town, leave: usize, deleted: bool) {
    all_are_served(town).await;
    for name in &NAMES[..leave] {
        match deleted {
            true => town.world.delete_service(name).unwrap(),
            false => town.world.annotate(name, &[("hostname", None)]).unwrap(),
        }
    }
    town.pass(60).await;
    assert!(!town.breaks("S6"), "{:?}", town.world.checker.violations());
}

#[test]
fn no_name_of_most_services_may_go_without_consent() {
    for deleted in [false, true] {
        history(async |town| {
            stopped(town, 6, deleted).await;
            town.unlist("a");
            assert!(town.breaks("S6"));
        });
    }
}

#[test]
fn no_address_of_most_services_may_go_without_consent() {
    history(async |town| {
        stopped(town, 6, false).await;
        town.publish("a", &[]);
        assert!(town.breaks("S6"));
    });
}

#[test]
fn no_rule_of_most_services_may_go_without_consent() {
    history(async |town| {
        stopped(town, 6, true).await;
        town.close("n1", port("a"));
        assert!(town.breaks("S6"));
    });
}

#[test]
fn without_faults_most_services_may_not_go_at_once_either() {
    history(async |town| {
        all_are_served(town).await;
        NAMES[1..].iter().for_each(|name| town.world.delete_service(name).unwrap());
        town.pass(1).await;
        town.unlist("b");
        assert!(town.breaks("S6"));
    });
}

#[test]
fn one_that_stopped_before_the_others_may_go() {
    history(async |town| {
        all_are_served(town).await;
        for name in &NAMES[1..] {
            town.world.delete_service(name).unwrap();
            town.pass(1).await;
        }
        NAMES[1..6].iter().for_each(|name| town.unlist(name));
        assert!(!town.breaks("S6"), "{:?}", town.world.checker.violations());
    });
}

#[test]
fn what_was_closed_before_and_opened_for_another_since_is_not_theirs() {
    history(async |town| {
        stopped(town, 5, true).await;
        town.close("n1", port("a"));
        town.world.delete_service("f").unwrap();
        town.pass(100).await;
        town.open("n1", port("a"));
        town.close("n1", port("a"));
        assert!(!town.breaks("S6"), "{:?}", town.world.checker.violations());
        town.close("n1", port("b"));
        assert!(town.breaks("S6"));
    });
}

#[test]
fn nobody_needs_consent_to_close_a_port_that_its_owner_has_given_up() {
    history(async |town| {
        stopped(town, 6, false).await;
        town.world.set_ports("a", &[("UDP", 9000)]).unwrap();
        town.close("n1", port("a"));
        assert!(!town.breaks("S6"), "{:?}", town.world.checker.violations());
        town.close("n1", port("b"));
        assert!(town.breaks("S6"));
    });
}

#[test]
fn with_consent_all_may_go() {
    history(async |town| {
        stopped(town, 8, false).await;
        town.world.checker.consents_to_mass_deletion(9);
        for name in NAMES {
            town.unlist(name);
            town.publish(name, &[]);
            town.close("n1", port(name));
        }
        assert!(!town.breaks("S6"), "{:?}", town.world.checker.violations());
    });
}

#[test]
fn a_handful_and_no_more_than_half_may_always_go() {
    history(async |town| {
        stopped(town, 5, false).await;
        for name in &NAMES[..5] {
            town.unlist(name);
            town.publish(name, &[]);
        }
        assert!(!town.breaks("S6"), "{:?}", town.world.checker.violations());
    });
}
