//! S4: an address and its twin go together. S11: a name isn't emptied while somebody who is served under it asks.

use integration::sim::event::Actor;

use crate::town::{Town, US, history};

#[test]
fn no_address_is_left_without_its_twin_but_another_s_that_has_just_come() {
    let left_bare = |town: &Town| {
        town.world.aws.delete_record(US, &town.world.zone, "a-quake.example.com", "TXT").unwrap();
        let found = town.world.checker.violations();
        found.iter().any(|one| one.rule == "S4" && one.what == "quake.example.com has no twin now")
    };
    history(async |town| {
        town.list("quake", &["n1"]);
        assert!(left_bare(town));
    });
    for (seconds, breaks) in [(1, false), (1000, true)] {
        history(async |town| {
            let (aws, zone) = (&town.world.aws, town.world.zone.clone());
            town.list("quake", &["n1"]);
            aws.delete_record(Actor::Person, &zone, "quake.example.com", "A").unwrap();
            aws.put_record(Actor::Person, &zone, "quake.example.com", "A", 300, &["192.0.2.7"]).unwrap();
            town.pass(seconds).await;
            assert_eq!(left_bare(town), breaks, "after {seconds} s");
        });
    }
}

#[test]
fn a_name_may_not_go_that_lists_a_node_of_whoever_still_asks() {
    for (listed, breaks) in [(["n1", "n2"].as_slice(), true), (&["n1"], false)] {
        history(async |town| {
            town.asks("quake", 6315, &[]);
            town.serve("quake", 6315, listed);
            town.asks("doom", 6316, &[("hostname", "quake.example.com")]);
            town.open("n2", 6316);
            town.publish("doom", &["n2"]);
            town.pass(20).await;
            town.world.annotate("quake", &[("hostname", Some("doom.example.com"))]).unwrap();
            town.pass(20).await;
            town.unlist("quake");
            assert_eq!(town.breaks("S11"), breaks, "{:?}", town.world.checker.violations());
        });
    }
}

#[test]
fn a_name_may_not_go_while_its_owner_asks_and_a_node_of_it_lives() {
    history(async |town| {
        town.asks("quake", 6315, &[]);
        town.serve("quake", 6315, &["n1"]);
        town.pass(20).await;
        town.unlist("quake");
        assert!(town.breaks("S11"));
    });
}
