//! S11: a name isn't emptied while somebody who is served under it asks.

use crate::town::history;

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
