//! L1 and S1b of a world at rest.

use integration::sim::check::settled;
use integration::sim::event::Actor;
use integration::sim::kube::Resource;
use integration::sim::world::{CLUSTER, NAMESPACE};

use crate::town::{Town, US, history};

/// What is wrong in the world as it is, in words.
fn flaws(town: &Town) -> String {
    let flaws = settled::flaws(&town.world.aws, &town.world.kube, CLUSTER, CLUSTER);
    flaws.into_iter().map(|(rule, what)| format!("{rule}: {what}\n")).collect()
}

/// A Service that is served, in full, on all nodes.
fn served(town: &Town, name: &str, port: u16, annotations: &[(&str, &str)]) {
    town.asks(name, port, annotations);
    town.serve(name, port, &["n1", "n2", "n3"]);
    town.tell(NAMESPACE, name, true, "Synced");
}

#[test]
fn what_is_as_it_should_be_is_no_flaw() {
    history(async |town| {
        served(town, "a", 5000, &[]);
        served(town, "b", 5001, &[("ttl", "10")]);
        assert_eq!(flaws(town), "");
    });
}

#[test]
fn who_is_not_served_is_no_reason_for_that_himself() {
    history(async |town| {
        town.asks("a", 5000, &[]);
        town.tell(NAMESPACE, "a", false, "NoEligibleNodes");
        assert_eq!(flaws(town), "L1: games/a: isn't served (NoEligibleNodes), and nothing stands in its way\n");
        // Another one that has his port everywhere is.
        served(town, "b", 5000, &[]);
        assert_eq!(flaws(town), "");
    });
}

#[test]
fn two_that_want_the_same_name_are_no_reasons_for_each_other() {
    for namespace in ["other", NAMESPACE] {
        history(async |town| {
            town.asks("a", 5000, &[]);
            town.world
                .add_service_in(namespace, "b", false, &[("UDP", 5000)], &[("hostname", "a.example.com")])
                .unwrap();
            town.tell(NAMESPACE, "a", false, "HostnameTaken");
            town.tell(namespace, "b", false, "HostnameTaken");
            let waits =
                |name: &str| format!("L1: {name}: isn't served (HostnameTaken), and nothing stands in its way\n");
            let found = flaws(town);
            assert!(found.contains(&waits("games/a")), "{found}");
            assert!(found.contains(&waits(&format!("{namespace}/b"))), "{found}");
            // One of them is enough.
            town.serve("a", 5000, &["n1", "n2", "n3"]);
            town.tell(NAMESPACE, "a", true, "Synced");
            assert_eq!(flaws(town), "");
        });
    }
}

#[test]
fn what_must_be_refused_may_not_be_served() {
    history(async |town| {
        served(town, "a", 22, &[]);
        assert!(flaws(town).contains("L1: games/a: is served, though port 22 is reserved"), "{}", flaws(town));
    });
    history(async |town| {
        served(town, "a", 5000, &[]);
        town.asks("b", 5000, &[]);
        town.list("b", &["n1"]);
        town.publish("b", &["n1"]);
        town.tell(NAMESPACE, "b", true, "Synced");
        assert!(flaws(town).contains("L1: games/a: and games/b have a port in common, both on 10."), "{}", flaws(town));
    });
    history(async |town| {
        served(town, "a", 5000, &[]);
        town.world.add_service_in("other", "b", false, &[("UDP", 5001)], &[("hostname", "a.example.com")]).unwrap();
        town.tell("other", "b", true, "Synced");
        assert!(flaws(town).contains("games/a: is served under a.example.com, and so is other/b"), "{}", flaws(town));
    });
}

#[test]
fn a_record_has_the_ttl_that_is_asked_for() {
    history(async |town| {
        served(town, "a", 5000, &[("ttl", "20")]);
        assert_eq!(flaws(town), "L1: games/a: a.example.com has the TTL 10, asked for is Some(20)\n");
    });
}

#[test]
fn no_record_lists_an_address_that_is_not_a_nodes_wish_or_not() {
    history(async |town| {
        town.asks("a", 5000, &[("maxips", "many")]);
        town.list("a", &["n1"]);
        town.tell(NAMESPACE, "a", false, "InvalidAnnotation");
        assert_eq!(flaws(town), "");
        town.world.aws.put_record(US, &town.world.zone, "a.example.com", "A", 10, &["198.51.100.9"]).unwrap();
        assert_eq!(flaws(town), "S1b: a.example.com lists 198.51.100.9, which is no node's\n");
        // Nor one of a machine that is no node any more.
        town.list("a", &["n1"]);
        town.world.kube.by(Actor::Nature).delete(Resource::Nodes, "", "n1").unwrap();
        assert!(flaws(town).starts_with("S1b: "), "{}", flaws(town));
    });
}

#[test]
fn what_is_open_and_serves_nobody_is_left_unless_its_node_has_no_place_for_the_rest_of_it() {
    let left = "is left open on";
    for (strangers, max, tolerated) in [(0, "", false), (4, "", true), (4, "2", false)] {
        history(async |town| {
            let ports: Vec<(&str, u16)> = (7000..7062).map(|port| ("UDP", port)).collect();
            let limit = [("maxips", max)];
            let mut annotations = vec![("hostname", "a.example.com")];
            annotations.extend(limit.iter().filter(|_| !max.is_empty()));
            town.world.add_service("a", &ports, &annotations).unwrap();
            let some = ["n1", "n2"];
            ports.iter().for_each(|(_, port)| some.iter().for_each(|node| town.open(node, *port)));
            town.list("a", &some);
            town.publish("a", &some);
            town.tell(NAMESPACE, "a", true, "Synced");
            town.open("n3", 7000);
            let (world, instance) = (&town.world, town.world.instance("n3").unwrap());
            for stranger in 1..strangers {
                let its = world.aws.create_group(Actor::Person, &world.vpc, &format!("other-{stranger}"), &[]).unwrap();
                world.aws.attach_group(Actor::Person, &instance, &its).unwrap();
            }
            let found = flaws(town);
            assert_eq!(found.contains(left), !tolerated, "{strangers} {max}: {found}");
        });
    }
}
