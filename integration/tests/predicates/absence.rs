//! S6: what a Service has is taken from it only for a reason that is true.

use integration::sim::event::Actor;
use integration::sim::kube::Resource;
use integration::sim::world::NAMESPACE;
use serde_json::json;

use crate::town::{Town, history};

/// `quake` is served on `n1` and `n2`, and everybody has had time to know it.
async fn served(town: &mut Town, annotations: &[(&str, &str)]) {
    town.asks("quake", 6315, annotations);
    town.serve("quake", 6315, &["n1", "n2"]);
    town.pass(20).await;
    assert!(!town.breaks("S6"), "{:?}", town.world.checker.violations());
}

#[test]
fn a_node_that_is_as_good_as_ever_must_not_leave_a_name() {
    history(async |town| {
        served(town, &[("maxips", "2")]).await;
        town.list("quake", &["n1"]);
        assert!(town.breaks("S6"));
    });
}

#[test]
fn a_node_that_is_as_good_as_ever_must_not_be_exchanged_for_another() {
    history(async |town| {
        served(town, &[("maxips", "2")]).await;
        town.open("n3", 6315);
        town.list("quake", &["n1", "n3"]);
        assert!(town.breaks("S6"));
    });
}

#[test]
fn a_node_that_is_as_good_as_ever_must_not_be_unpublished() {
    history(async |town| {
        served(town, &[]).await;
        // Whoever took it from the name was no process of ours.
        let (_, public) = town.world.addresses("n1").unwrap();
        let (aws, zone) = (&town.world.aws, &town.world.zone);
        aws.put_record(Actor::Person, zone, "quake.example.com", "A", 10, &[&public.to_string()]).unwrap();
        town.pass(20).await;
        assert!(!town.breaks("S6"));
        town.publish("quake", &["n1"]);
        assert!(town.breaks("S6"));
    });
}

#[test]
fn what_a_service_has_that_cannot_be_understood_must_stay() {
    for unpublish in [false, true] {
        history(async |town| {
            served(town, &[]).await;
            town.world.annotate("quake", &[("maxips", Some("many"))]).unwrap();
            town.pass(20).await;
            if unpublish {
                town.publish("quake", &["n1"])
            } else {
                town.list("quake", &["n1"])
            }
            assert!(town.breaks("S6"));
        });
    }
}

#[test]
fn a_node_may_leave_that_is_not_ready_or_about_to_go_or_not_asked_for() {
    let reasons: [fn(&Town); 4] = [
        |town| drop(town.world.kube.by(Actor::Nature).set_ready("n2", false).unwrap()),
        |town| {
            let taint = json!({"spec": {"taints": [{"key": "karpenter.sh/disrupted", "effect": "NoSchedule"}]}});
            town.world.kube.by(Actor::Person).patch(Resource::Nodes, "", "n2", &taint).unwrap();
        },
        |town| drop(town.world.kube.by(Actor::Nature).delete(Resource::Nodes, "", "n2").unwrap()),
        |town| {
            let labels = json!({"metadata": {"labels": {"pool": "other"}}});
            town.world.kube.by(Actor::Person).patch(Resource::Nodes, "", "n2", &labels).unwrap();
            town.world.annotate("quake", &[("selector", Some("pool=odd"))]).unwrap();
        },
    ];
    for (n, reason) in reasons.iter().enumerate() {
        history(async |town| {
            served(town, &[("maxips", "2")]).await;
            reason(town);
            town.pass(10).await;
            town.open("n3", 6315);
            town.list("quake", &["n1", "n3"]);
            town.pass(20).await;
            town.publish("quake", &["n1", "n3"]);
            assert!(!town.breaks("S6"), "reason {n}: {:?}", town.world.checker.violations());
        });
    }
}

#[test]
fn what_is_more_than_asked_for_may_leave_and_no_more_than_that() {
    for (left, right) in [(&["n1", "n2"][..], true), (&["n3"][..], false)] {
        history(async |town| {
            town.asks("quake", 6315, &[("maxips", "2")]);
            town.serve("quake", 6315, &["n1", "n2", "n3"]);
            town.pass(20).await;
            town.list("quake", left);
            assert_eq!(!town.breaks("S6"), right);
        });
    }
}

#[test]
fn a_node_may_leave_where_another_service_has_the_port() {
    history(async |town| {
        served(town, &[("maxips", "2")]).await;
        town.asks("doom", 6315, &[]);
        let private = town.world.addresses("n2").unwrap().0.to_string();
        town.world.kube.by(Actor::Person).set_external_ips(NAMESPACE, "doom", &[&private]).unwrap();
        town.pass(10).await;
        town.list("quake", &["n1"]);
        assert!(!town.breaks("S6"), "{:?}", town.world.checker.violations());
    });
}

#[test]
fn a_node_may_leave_whose_instance_somebody_has_touched() {
    history(async |town| {
        served(town, &[]).await;
        let instance = town.world.instance("n2").unwrap();
        town.world.aws.stop_instance(Actor::Nature, &instance).unwrap();
        town.pass(10).await;
        town.list("quake", &["n1"]);
        assert!(!town.breaks("S6"), "{:?}", town.world.checker.violations());
    });
}

#[test]
fn what_nobody_asks_for_any_more_may_leave() {
    history(async |town| {
        served(town, &[]).await;
        town.world.annotate("quake", &[("hostname", None)]).unwrap();
        town.pass(10).await;
        town.unlist("quake");
        town.publish("quake", &[]);
        assert!(!town.breaks("S6"), "{:?}", town.world.checker.violations());
    });
}

#[test]
fn a_wish_that_is_too_young_to_be_known_excuses_what_was_begun_before() {
    history(async |town| {
        served(town, &[]).await;
        town.world.annotate("quake", &[("maxips", Some("2"))]).unwrap();
        town.pass(1).await;
        town.list("quake", &["n1"]);
        assert!(!town.breaks("S6"));
    });
}

#[test]
fn where_traffic_is_local_a_node_may_leave_only_with_its_endpoint() {
    for (ready, breaks) in [(["n1", "n2"].as_slice(), true), (&["n1"], false)] {
        history(async |town| {
            let ready = ready.iter().map(ToString::to_string).collect();
            let both = ["n1", "n2"].map(str::to_owned).into();
            let annotations = [("hostname", "quake.example.com")];
            town.world.add_service_in(NAMESPACE, "quake", true, &[("UDP", 6315)], &annotations).unwrap();
            town.world.show_endpoints(NAMESPACE, "quake", &both).unwrap();
            town.serve("quake", 6315, &["n1", "n2"]);
            town.pass(20).await;
            town.world.show_endpoints(NAMESPACE, "quake", &ready).unwrap();
            town.pass(20).await;
            town.list("quake", &["n1"]);
            town.pass(20).await;
            town.publish("quake", &["n1"]);
            assert_eq!(town.breaks("S6"), breaks, "{:?}", town.world.checker.violations());
        });
    }
}

#[test]
fn what_left_a_name_that_had_enough_others_may_be_unpublished_whatever_became_of_those() {
    history(async |town| {
        served(town, &[]).await;
        town.world.annotate("quake", &[("maxips", Some("1"))]).unwrap();
        town.list("quake", &["n1"]);
        town.pass(20).await;
        town.world.kube.by(Actor::Nature).set_ready("n1", false).unwrap();
        town.pass(20).await;
        town.publish("quake", &["n1"]);
        assert!(!town.breaks("S6"), "{:?}", town.world.checker.violations());
    });
}
