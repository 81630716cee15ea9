//! Rules, one test each; `invariants` has those that hold for every input.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod cluster;
mod invariants;

use std::collections::{BTreeMap, BTreeSet};

use super::super::*;
use cluster::{Cluster, id};

#[test]
fn without_a_limit_all_nodes_that_match_are_chosen() {
    let mut cluster = Cluster::new(3);
    let a = cluster.expose("a", 53);
    cluster.exposure("a").selector = "odd=1".parse().unwrap();
    assert_eq!(cluster.chosen(&a), ["n1", "n3"]);
}

#[test]
fn nodes_are_spread_over_zones_before_the_oldest_are_taken() {
    let mut cluster = Cluster::new(6);
    let a = cluster.expose("a", 53);
    for (n, zone) in [(1, "a"), (2, "a"), (3, "a"), (4, "b"), (5, "b"), (6, "c")] {
        cluster.instance(n).zone = zone.into();
    }
    cluster.exposure("a").max_nodes = Some(5);
    assert_eq!(cluster.chosen(&a), ["n1", "n4", "n6", "n2", "n5"]);
}

#[test]
fn among_nodes_of_a_zone_the_one_with_the_fewest_exposures_is_taken_then_the_oldest_then_by_name() {
    let mut cluster = Cluster::new(3);
    let keys = ["a", "b", "c", "d"].map(|name| cluster.expose(name, 5000));
    for (port, name) in (5000..).zip(["a", "b", "c", "d"]) {
        cluster.exposure(name).max_nodes = Some(1);
        cluster.exposure(name).ports = [cluster::udp(port)].into();
    }
    cluster.node(1).created = 9;
    cluster.node(2).created = 3;
    cluster.node(3).created = 3;
    let chosen = keys.map(|key| cluster.chosen(&key));
    assert_eq!(chosen, [["n2"], ["n3"], ["n1"], ["n2"]]);
}

#[test]
fn two_services_with_one_port_do_not_share_a_node_and_the_older_chooses_first() {
    let mut cluster = Cluster::new(2);
    let (a, b) = (cluster.expose("a", 53), cluster.expose("b", 53));
    cluster.exposure("a").max_nodes = Some(1);
    assert_eq!((cluster.chosen(&a), cluster.chosen(&b)), (vec!["n1".into()], vec!["n2".into()]));
    cluster.exposure("b").created = 0;
    assert_eq!(cluster.chosen(&b), ["n1", "n2"]);
    let (reason, message) = cluster.rejection(&a);
    assert_eq!(reason, Reason::PortConflict);
    assert!(message.contains("port 53/UDP is taken by games/b on node n1"), "{message}");
}

#[test]
fn one_number_of_two_protocols_is_no_conflict() {
    let mut cluster = Cluster::new(1);
    let (tcp, udp) = (cluster.expose("tcp", 53), cluster.expose("udp", 53));
    cluster.exposure("tcp").ports = [cluster::tcp(53)].into();
    assert_eq!(cluster.chosen(&tcp), cluster.chosen(&udp));
}

#[test]
fn of_two_services_of_one_age_the_first_by_key_chooses() {
    let mut cluster = Cluster::new(1);
    let (b, a) = (cluster.expose("b", 53), cluster.expose("a", 53));
    for name in ["a", "b"] {
        cluster.exposure(name).created = 5;
    }
    assert_eq!(cluster.chosen(&a), ["n1"]);
    assert_eq!(cluster.rejection(&b).0, Reason::PortConflict);
}

#[test]
fn a_node_that_serves_is_kept_though_a_better_one_came() {
    let mut cluster = Cluster::new(3);
    let a = cluster.expose("a", 53);
    cluster.exposure("a").max_nodes = Some(1);
    cluster.serve("a", &[3]);
    assert_eq!(cluster.chosen(&a), ["n3"]);
}

#[test]
fn an_older_service_does_not_drive_a_younger_one_off_its_node() {
    let mut cluster = Cluster::new(2);
    let (old, young) = (cluster.expose("old", 53), cluster.expose("young", 53));
    cluster.exposure("old").max_nodes = Some(1);
    cluster.exposure("young").max_nodes = Some(1);
    cluster.serve("young", &[1]);
    assert_eq!((cluster.chosen(&old), cluster.chosen(&young)), (vec!["n2".into()], vec!["n1".into()]));
}

#[test]
fn a_port_of_a_node_that_is_draining_is_not_given_to_another() {
    let mut cluster = Cluster::new(2);
    let (a, b) = (cluster.expose("a", 53), cluster.expose("b", 53));
    cluster.exposure("a").selector = "odd=0".parse().unwrap();
    cluster.exposure("b").selector = "odd=1".parse().unwrap();
    cluster.serve("a", &[1]);
    assert_eq!(cluster.chosen(&a), ["n2"]);
    assert_eq!(cluster.rejection(&b).0, Reason::PortConflict);
    cluster.serve("a", &[2]);
    assert_eq!(cluster.chosen(&b), ["n1"]);
}

#[test]
fn a_lower_limit_keeps_the_nodes_that_are_listed_while_the_others_drain() {
    let mut cluster = Cluster::new(3);
    let a = cluster.expose("a", 53);
    cluster.exposure("a").max_nodes = Some(1);
    cluster.serve("a", &[1, 2, 3]);
    assert_eq!(cluster.chosen(&a), ["n1"]);
    cluster.serving.listed.insert(a.clone(), [id(3)].into());
    assert_eq!(cluster.chosen(&a), ["n3"]);
}

#[test]
fn a_node_whose_groups_aws_refused_to_enlarge_is_chosen_only_when_no_other_is_left() {
    let mut cluster = Cluster::new(3);
    let a = cluster.expose("a", 53);
    cluster.exposure("a").max_nodes = Some(1);
    cluster.observed.full.insert(id(1), Moment::default());
    assert_eq!(cluster.chosen(&a), ["n2"]);
    cluster.exposure("a").max_nodes = None;
    assert_eq!(cluster.chosen(&a).len(), 3);
    // Who serves there already has what it needs.
    cluster.exposure("a").max_nodes = Some(1);
    cluster.serve("a", &[1]);
    assert_eq!(cluster.chosen(&a), ["n1"]);
}

#[test]
fn a_higher_limit_adds_nodes_and_moves_none() {
    let mut cluster = Cluster::new(4);
    let a = cluster.expose("a", 53);
    cluster.exposure("a").max_nodes = Some(3);
    cluster.serve("a", &[4]);
    let chosen = cluster.chosen(&a);
    assert_eq!((chosen.len(), chosen[0].as_str()), (3, "n4"));
}

#[test]
fn a_serving_node_that_is_not_ready_is_replaced_when_there_is_another() {
    let mut cluster = Cluster::new(2);
    let a = cluster.expose("a", 53);
    cluster.exposure("a").max_nodes = Some(1);
    cluster.serve("a", &[1]);
    cluster.node(1).ready = false;
    assert_eq!(cluster.chosen(&a), ["n2"]);
    assert!(cluster.place().degraded.is_empty());
}

#[test]
fn when_all_serving_nodes_are_merely_unfit_and_there_is_no_other_they_are_kept_as_degraded() {
    let mut cluster = Cluster::new(3);
    let a = cluster.expose("a", 53);
    cluster.serve("a", &[1, 2]);
    for n in 1..=3 {
        cluster.node(n).ready = false;
    }
    assert_eq!(cluster.chosen(&a), ["n1", "n2"]);
    let degraded = &cluster.place().degraded[&a];
    assert!(degraded.contains("2 not Ready"), "{degraded}");
}

#[test]
fn a_serving_node_that_no_longer_matches_is_left_even_if_it_is_the_last() {
    let mut cluster = Cluster::new(1);
    let a = cluster.expose("a", 53);
    cluster.serve("a", &[1]);
    cluster.exposure("a").selector = "odd=0".parse().unwrap();
    let (reason, message) = cluster.rejection(&a);
    assert_eq!(reason, Reason::NoEligibleNodes);
    assert!(message.contains("no node matches the selector `odd=0`"), "{message}");
}

#[test]
fn who_finds_no_node_reads_how_many_match_and_what_they_lack() {
    let mut cluster = Cluster::new(5);
    let a = cluster.expose("a", 53);
    cluster.exposure("a").selector = "pool=general".parse().unwrap();
    cluster.node(1).ready = false;
    cluster.node(2).ready = false;
    cluster.instance(3).public_ip = None;
    cluster.node(4).provider_id = "aws:///us-east-1a/fargate-ip-10-0-0-4".into();
    cluster.node(5).labels.clear();
    let (reason, message) = cluster.rejection(&a);
    assert_eq!(reason, Reason::NoEligibleNodes);
    assert!(message.starts_with("4 nodes match the selector: 2 not Ready, "), "{message}");
    assert!(message.contains("1 without a public address") && message.contains("1 on Fargate"), "{message}");
}

#[test]
fn without_any_node_the_message_says_so() {
    let mut cluster = Cluster::new(0);
    let a = cluster.expose("a", 53);
    assert_eq!(cluster.rejection(&a), (Reason::NoEligibleNodes, "there is no node".into()));
}

#[test]
fn with_local_traffic_only_nodes_with_a_ready_endpoint_are_chosen() {
    let mut cluster = Cluster::new(3);
    let a = cluster.expose("a", 53);
    cluster.exposure("a").local_nodes = Some(["n2".into(), "elsewhere".into()].into());
    assert_eq!(cluster.chosen(&a), ["n2"]);
    cluster.exposure("a").local_nodes = Some(BTreeSet::new());
    let (reason, message) = cluster.rejection(&a);
    assert_eq!(reason, Reason::NoEligibleNodes);
    assert!(message.contains("3 without a ready endpoint"), "{message}");
}

#[test]
fn a_service_without_any_ready_endpoint_stays_where_it_is() {
    let mut cluster = Cluster::new(2);
    let a = cluster.expose("a", 53);
    cluster.serve("a", &[2]);
    cluster.exposure("a").local_nodes = Some(BTreeSet::new());
    assert_eq!(cluster.chosen(&a), ["n2"]);
    assert!(cluster.place().degraded[&a].contains("without a ready endpoint"));
}

#[test]
fn while_some_endpoints_can_not_be_read_a_node_that_serves_is_as_good_as_one_with_an_endpoint() {
    let mut cluster = Cluster::new(3);
    let a = cluster.expose("a", 53);
    cluster.serve("a", &[2]);
    let exposure = cluster.exposure("a");
    exposure.local_nodes = Some(["n3".into()].into());
    exposure.unread_endpoints = Some("one can't be read".into());
    assert_eq!(cluster.chosen(&a), ["n2", "n3"]);
    assert_eq!(cluster.place().degraded[&a], "one can't be read");
    // Nobody gets its port there meanwhile.
    let b = cluster.expose("b", 53);
    assert_eq!(cluster.chosen(&b), ["n1"]);
}

#[test]
fn a_node_without_a_free_slot_for_a_group_takes_no_new_exposure() {
    let mut cluster = Cluster::new(2);
    let a = cluster.expose("a", 53);
    cluster.exposure("a").max_nodes = Some(1);
    cluster.fill_slots(1);
    assert_eq!(cluster.chosen(&a), ["n2"]);
    cluster.fill_slots(2);
    let (reason, message) = cluster.rejection(&a);
    assert_eq!(reason, Reason::SecurityGroupLimit);
    assert!(message.contains("2 without room in its security groups"), "{message}");
}

#[test]
fn a_node_with_a_group_of_ours_that_has_room_needs_no_free_slot() {
    let mut cluster = Cluster::new(1);
    let a = cluster.expose("a", 53);
    cluster.own_group(1, 59);
    cluster.fill_slots(1);
    assert_eq!(cluster.chosen(&a), ["n1"]);
    let b = cluster.expose("b", 54);
    assert_eq!(cluster.chosen(&a), ["n1"]);
    assert_eq!(cluster.rejection(&b).0, Reason::SecurityGroupLimit, "the last place is taken");
}

#[test]
fn rules_that_are_open_already_need_no_room() {
    let mut cluster = Cluster::new(1);
    let a = cluster.expose("a", 1000);
    cluster.own_group(1, 60);
    cluster.fill_slots(1);
    assert_eq!(cluster.chosen(&a), ["n1"], "port 1000 is among the 60");
}

#[test]
fn a_node_that_serves_is_kept_though_its_groups_are_full() {
    let mut cluster = Cluster::new(1);
    let a = cluster.expose("a", 53);
    cluster.fill_slots(1);
    cluster.serve("a", &[1]);
    assert_eq!(cluster.chosen(&a), ["n1"]);
}

#[test]
fn ipv4_and_ipv6_rules_are_counted_apart() {
    let mut cluster = Cluster::new(1);
    let a = cluster.expose("a", 53);
    cluster.own_group(1, 60);
    cluster.fill_slots(1);
    cluster.exposure("a").sources = ["2001:db8::/32".parse().unwrap()].into();
    assert_eq!(cluster.chosen(&a), ["n1"]);
}

#[test]
fn lists_that_people_set_by_hand_are_claims() {
    let mut cluster = Cluster::new(2);
    let a = cluster.expose("a", 53);
    cluster.service("hand", 53, &["10.0.0.1", "192.0.2.9"], FieldOwner::Other("kubectl".into()));
    assert_eq!(cluster.chosen(&a), ["n2"]);
    cluster.exposure("a").selector = "odd=1".parse().unwrap();
    let (reason, message) = cluster.rejection(&a);
    assert_eq!(reason, Reason::PortConflict);
    assert!(message.contains("games/hand"), "{message}");
}

#[test]
fn a_list_of_the_2018_version_on_a_service_that_does_not_ask_is_a_claim() {
    let mut cluster = Cluster::new(1);
    let a = cluster.expose("a", 53);
    cluster.service("old", 53, &["10.0.0.1"], FieldOwner::Legacy);
    assert_eq!(cluster.rejection(&a).0, Reason::PortConflict);
}

#[test]
fn what_is_about_to_be_released_is_no_claim_unless_nothing_may_be_removed() {
    let mut cluster = Cluster::new(1);
    let a = cluster.expose("a", 53);
    cluster.service("left", 53, &["10.0.0.1"], FieldOwner::Us);
    assert_eq!(cluster.chosen(&a), ["n1"]);
    cluster.settings.policy = Policy::UpsertOnly;
    assert_eq!(cluster.rejection(&a).0, Reason::PortConflict);
}

#[test]
fn a_frozen_service_keeps_its_ports_where_it_is_published() {
    for listed in [true, false] {
        let mut cluster = Cluster::new(2);
        let a = cluster.expose("a", 53);
        let addresses: &[&str] = if listed { &[] } else { &["10.0.0.1"] };
        let frozen = cluster.service("frozen", 53, addresses, FieldOwner::Us);
        if listed {
            cluster.serving.nodes.insert(frozen.clone(), [id(1)].into());
        }
        cluster.frozen.insert(frozen);
        assert_eq!(cluster.chosen(&a), ["n2"]);
    }
}

#[test]
fn services_that_share_a_hostname_are_placed_on_the_same_nodes() {
    let mut cluster = Cluster::new(4);
    let (tcp, udp) = (cluster.expose("tcp", 5349), cluster.expose("udp", 3478));
    cluster.share(&["tcp", "udp"]);
    cluster.exposure("tcp").max_nodes = Some(3);
    cluster.exposure("udp").max_nodes = Some(2);
    cluster.exposure("udp").selector = "odd=0".parse().unwrap();
    assert_eq!(
        (cluster.chosen(&tcp), cluster.chosen(&udp)),
        (vec!["n2".into(), "n4".into()], vec!["n2".into(), "n4".into()])
    );
}

#[test]
fn a_pair_avoids_nodes_where_a_port_of_either_is_taken() {
    let mut cluster = Cluster::new(2);
    let (tcp, udp) = (cluster.expose("tcp", 5349), cluster.expose("udp", 3478));
    cluster.share(&["tcp", "udp"]);
    cluster.service("hand", 3478, &["10.0.0.1"], FieldOwner::Other("kubectl".into()));
    assert_eq!((cluster.chosen(&tcp), cluster.chosen(&udp)), (vec!["n2".into()], vec!["n2".into()]));
}

#[test]
fn of_services_that_share_a_hostname_only_the_one_that_fits_nowhere_is_rejected() {
    let mut cluster = Cluster::new(2);
    let keys = ["a", "b", "c"].map(|name| cluster.expose(name, 5000 + u16::from(name.as_bytes()[0])));
    cluster.share(&["a", "b", "c"]);
    cluster.exposure("b").selector = "pool=none".parse().unwrap();
    assert_eq!(cluster.chosen(&keys[0]), cluster.chosen(&keys[2]));
    let (reason, message) = cluster.rejection(&keys[1]);
    assert_eq!(reason, Reason::NoEligibleNodes);
    assert!(message.contains("shares a hostname with games/a"), "{message}");
}

#[test]
fn services_that_share_hostname_and_port_cannot_both_be_served() {
    let mut cluster = Cluster::new(2);
    let (a, b) = (cluster.expose("a", 53), cluster.expose("b", 53));
    cluster.share(&["a", "b"]);
    assert_eq!(cluster.chosen(&a).len(), 2);
    let (reason, message) = cluster.rejection(&b);
    assert_eq!(reason, Reason::PortConflict);
    assert!(message.contains("53/UDP is taken by games/a: this Service shares a hostname"), "{message}");
}

#[test]
fn a_service_that_would_tie_two_elders_that_can_not_be_together_is_the_one_that_is_rejected() {
    let mut cluster = Cluster::new(2);
    let (a, b, c) = (cluster.expose("a", 53), cluster.expose("b", 53), cluster.expose("c", 99));
    cluster.names("a", ["one.example.com"]);
    cluster.names("b", ["two.example.com"]);
    cluster.names("c", ["one.example.com", "two.example.com"]);
    cluster.exposure("a").max_nodes = Some(1);
    assert_eq!((cluster.chosen(&a), cluster.chosen(&b)), (vec!["n1".into()], vec!["n2".into()]));
    let (reason, message) = cluster.rejection(&c);
    assert_eq!(reason, Reason::PortConflict);
    assert!(message.contains("games/a and of games/b") && message.contains("53/UDP"), "{message}");
    // Their ports go together, their nodes don't.
    cluster.exposure("b").ports = [cluster::udp(54)].into();
    cluster.exposure("a").selector = "odd=1".parse().unwrap();
    cluster.exposure("b").selector = "odd=0".parse().unwrap();
    assert_eq!((cluster.chosen(&a), cluster.chosen(&b)), (vec!["n1".into()], vec!["n2".into()]));
    let (reason, message) = cluster.rejection(&c);
    assert_eq!(reason, Reason::NoEligibleNodes);
    assert!(message.contains("shares a hostname with games/a"), "{message}");
}

#[test]
fn a_service_that_is_rejected_ties_nobody() {
    let mut cluster = Cluster::new(2);
    let (a, c, d) = (cluster.expose("a", 53), cluster.expose("b", 53), cluster.expose("c", 53));
    cluster.names("a", ["one.example.com"]);
    cluster.names("b", ["one.example.com", "two.example.com"]);
    cluster.names("c", ["two.example.com"]);
    cluster.exposure("a").max_nodes = Some(1);
    assert_eq!((cluster.chosen(&a), cluster.chosen(&d)), (vec!["n1".into()], vec!["n2".into()]));
    assert_eq!(cluster.rejection(&c).0, Reason::PortConflict);
}

#[test]
fn who_shares_a_hostname_through_others_only_reads_so() {
    let mut cluster = Cluster::new(2);
    let (a, b, c) = (cluster.expose("a", 53), cluster.expose("b", 54), cluster.expose("c", 53));
    cluster.names("a", ["one.example.com"]);
    cluster.names("b", ["one.example.com", "two.example.com"]);
    cluster.names("c", ["two.example.com"]);
    assert_eq!(cluster.chosen(&a), cluster.chosen(&b));
    let (_, message) = cluster.rejection(&c);
    assert!(message.contains("shares a hostname with games/a through others"), "{message}");
}

#[test]
fn a_hostname_shared_across_namespaces_does_not_tie_services_together() {
    let mut cluster = Cluster::new(2);
    let a = cluster.expose("a", 53);
    cluster.expose("b", 53);
    cluster.share(&["a", "b"]);
    cluster.exposure("a").max_nodes = Some(1);
    let elsewhere = ServiceKey::new("other", "b");
    cluster.exposure("b").service = elsewhere.clone();
    assert_eq!((cluster.chosen(&a), cluster.chosen(&elsewhere)), (vec!["n1".into()], vec!["n2".into()]));
}

#[test]
fn what_serves_is_told_by_our_addresses_on_the_service_and_by_our_records() {
    let mut cluster = Cluster::new(4);
    let ours = cluster.service("ours", 53, &["10.0.0.1", "10.0.0.99", "nonsense"], FieldOwner::Us);
    let old = cluster.service("old", 53, &["10.0.0.2"], FieldOwner::Legacy);
    cluster.service("hand", 53, &["10.0.0.3"], FieldOwner::Other("kubectl".into()));
    let gone = ServiceKey::new("games", "gone");
    let published = BTreeMap::from([
        (ours.clone(), [PublicIp([203, 0, 113, 3].into()), PublicIp([198, 51, 100, 1].into())].into()),
        (gone.clone(), [PublicIp([203, 0, 113, 4].into())].into()),
    ]);
    let joined = super::nodes::join(&cluster.snapshot, &cluster.observed);
    let asked = BTreeMap::from([(ours.clone(), [PublicIp([203, 0, 113, 3].into())].into())]);
    let serving = super::serving(&cluster.snapshot, &joined, &published, &asked);
    let nodes: Vec<(&ServiceKey, Vec<u8>)> =
        serving.nodes.iter().map(|(key, ids)| (key, ids.iter().map(cluster::number).collect())).collect();
    assert_eq!(nodes, [(&gone, vec![4]), (&old, vec![2]), (&ours, vec![1, 3])]);
    assert_eq!((&serving.listed[&ours], &serving.asked[&ours]), (&[id(3)].into(), &[id(3)].into()));
    assert_eq!(serving.asked.get(&gone), None);
}

#[test]
fn a_younger_one_with_the_same_hostname_does_not_drag_its_elder_to_a_node_that_is_unfit() {
    let mut cluster = Cluster::new(2);
    let (a, b) = (cluster.expose("a", 53), cluster.expose("b", 54));
    cluster.share(&["a", "b"]);
    cluster.exposure("b").selector = "odd=1".parse().unwrap();
    cluster.node(1).ready = false;
    cluster.serve("b", &[1]);
    assert_eq!(cluster.chosen(&a), ["n2"]);
    assert_eq!(cluster.rejection(&b).0, Reason::NoEligibleNodes);
}

#[test]
fn a_group_that_is_not_attached_yet_needs_a_slot_like_a_new_one() {
    let mut cluster = Cluster::new(1);
    let a = cluster.expose("a", 53);
    cluster.own_group(1, 60);
    cluster.instance(1).groups.pop();
    cluster.settings.groups_per_interface = 2;
    assert_eq!(cluster.rejection(&a).0, Reason::SecurityGroupLimit, "the full group takes the only slot");
    cluster.settings.groups_per_interface = 3;
    assert_eq!(cluster.chosen(&a), ["n1"]);
}

#[test]
fn a_node_that_serves_without_room_for_its_rules_is_left_when_another_is_free() {
    let mut cluster = Cluster::new(2);
    let a = cluster.expose("a", 53);
    cluster.exposure("a").max_nodes = Some(1);
    cluster.serve("a", &[1]);
    cluster.fill_slots(1);
    assert_eq!(cluster.chosen(&a), ["n2"]);
    cluster.fill_slots(2);
    assert_eq!(cluster.chosen(&a), ["n1"], "when none is free it stays");
    assert!(cluster.place().degraded[&a].contains("without room"));
}

#[test]
fn a_node_that_serves_with_all_its_rules_open_needs_no_room() {
    let mut cluster = Cluster::new(2);
    let (a, b) = (cluster.expose("a", 1000), cluster.expose("b", 53));
    cluster.exposure("a").max_nodes = Some(1);
    cluster.exposure("b").selector = "odd=1".parse().unwrap();
    cluster.own_group(1, 60);
    cluster.fill_slots(1);
    cluster.serve("a", &[1]);
    // It has more coming than fits.
    cluster.exposure("b").created = 1;
    cluster.serve("b", &[1]);
    assert_eq!(cluster.chosen(&b), ["n1"]);
    assert_eq!(cluster.chosen(&a), ["n1"]);
}

#[test]
fn an_exposure_has_at_most_as_many_nodes_as_a_record_holds_addresses_and_says_so() {
    let mut cluster = Cluster::new(4);
    let a = cluster.expose("a", 53);
    let (node, instance) = (cluster.node(1).clone(), cluster.instance(1).clone());
    for n in 5..=450_u16 {
        let id = InstanceId(format!("i-{n:08x}"));
        let [high, low] = n.to_be_bytes();
        let node = Node { name: format!("n{n}"), provider_id: format!("aws:///eu-west-1a/{id}"), ..node.clone() };
        let instance = Instance {
            id: id.clone(),
            private_ip: Some(PrivateIp([10, 0, high, low].into())),
            public_ip: Some(PublicIp([203, 0, high, low].into())),
            ..instance.clone()
        };
        cluster.snapshot.nodes.insert(node.name.clone(), node);
        cluster.observed.instances.insert(id, Lookup::Known(instance));
    }
    let placement = cluster.place();
    assert_eq!(placement.nodes[&a].len(), 400);
    assert!(placement.degraded[&a].contains("at most 400 addresses"), "{:?}", placement.degraded);
    cluster.exposure("a").max_nodes = Some(400);
    let placement = cluster.place();
    assert_eq!((placement.nodes[&a].len(), placement.degraded.len()), (400, 0));
}
