//! S1c: what resolvers know by an earlier answer counts like what is listed.

use crate::town::{Town, US, history};

fn lists(town: &Town, nodes: &[&str], ttl: u32) {
    let addresses: Vec<String> = nodes.iter().map(|node| town.world.addresses(node).unwrap().1.to_string()).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    town.world.aws.put_record(US, &town.world.zone, "a.example.com", "A", ttl, &addresses).unwrap();
}

/// A Service leaves the second node so many seconds after its name did; the TTL was lowered right before that.
async fn leaves(town: &mut Town, after: u64) {
    town.asks("a", 7000, &[("maxips", "1"), ("ttl", "10")]);
    town.serve("a", 7000, &["n1", "n2"]);
    lists(town, &["n1", "n2"], 60);
    town.pass(20).await;
    lists(town, &["n1", "n2"], 10);
    town.pass(2).await;
    lists(town, &["n1"], 10);
    town.pass(after).await;
    assert!(!town.breaks("S1c"), "{:?}", town.world.checker.violations());
    town.publish("a", &["n1"]);
}

#[test]
fn an_answer_with_a_higher_ttl_is_known_for_as_long_as_that_though_it_was_lowered() {
    history(async |town| {
        leaves(town, 50).await;
        assert!(town.breaks("S1c"), "{:?}", town.world.checker.violations());
    });
    history(async |town| {
        leaves(town, 65).await;
        assert!(!town.breaks("S1c"), "{:?}", town.world.checker.violations());
    });
}
