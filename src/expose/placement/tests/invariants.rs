//! What holds for every cluster and every wish.

use std::collections::{BTreeMap, BTreeSet};

use super::super::super::{FieldOwner, InstanceId, ServiceKey, nodes};
use super::super::{Placement, Serving};
use super::cluster::{Cluster, id, tcp, udp};
use proptest::prelude::*;

const NAMES: [&str; 6] = ["s0", "s1", "s2", "s3", "s4", "s5"];

const SHARED: [&str; 2] = ["one.example.com", "two.example.com"];

/// Those that ask for one of the names that several may ask for.
fn sharing<'c>(cluster: &'c Cluster, name: &str) -> Vec<&'c ServiceKey> {
    let name = name.parse().unwrap();
    let of = cluster.exposures.iter().filter(|exposure| exposure.hostnames.contains(&name));
    of.map(|exposure| &exposure.service).collect()
}

#[derive(Clone, Debug)]
struct Wish {
    selector: usize,
    max: Option<usize>,
    udp: BTreeSet<u16>,
    tcp: bool,
    shares: BTreeSet<&'static str>,
    created: i64,
    serving: BTreeSet<u8>,
    local: Option<BTreeSet<u8>>,
    frozen: bool,
}

fn wish() -> impl Strategy<Value = Wish> {
    let nodes = || prop::collection::btree_set(1..=6_u8, 0..4);
    let one = || prop::bool::weighted(0.3);
    let shares = (one(), one()).prop_map(|(one, other)| {
        let names = [(one, SHARED[0]), (other, SHARED[1])];
        names.into_iter().filter(|(shares, _)| *shares).map(|(_, name)| name).collect()
    });
    (
        (0..4_usize, prop::option::of(1..4_usize), prop::collection::btree_set(50..54_u16, 1..3), any::<bool>()),
        (shares, 0..3_i64, nodes(), prop::option::weighted(0.2, nodes()), prop::bool::weighted(0.1)),
    )
        .prop_map(|((selector, max, udp, tcp), (shares, created, serving, local, frozen))| Wish {
            selector,
            max,
            udp,
            tcp,
            shares,
            created,
            serving,
            local,
            frozen,
        })
}

fn cluster() -> impl Strategy<Value = Cluster> {
    let fault = (1..=6_u8, 0..5_u8);
    let zones = prop::collection::vec(0..3_u8, 6);
    let hand = prop::option::of((1..=6_u8, 50..54_u16));
    (prop::collection::vec(wish(), 1..=6), prop::collection::vec(fault, 0..5), zones, hand).prop_map(
        |(wishes, faults, zones, hand)| {
            let mut cluster = Cluster::new(6);
            for (n, zone) in (1..).zip(zones) {
                cluster.instance(n).zone = format!("zone-{zone}");
            }
            for (n, fault) in faults {
                match fault {
                    0 | 1 => cluster.node(n).ready = false,
                    2 => cluster.instance(n).public_ip = None,
                    3 => cluster.fill_slots(n),
                    _ => cluster.node(n).deleting = true,
                }
            }
            for (name, wish) in NAMES.iter().zip(wishes) {
                let key = cluster.expose(name, 50);
                let exposure = cluster.exposure(name);
                exposure.selector = ["", "odd=1", "odd=0", "pool=none"][wish.selector].parse().unwrap();
                exposure.max_nodes = wish.max;
                exposure.ports = wish.udp.iter().map(|port| udp(*port)).collect();
                exposure.ports.extend(wish.tcp.then(|| tcp(50)));
                exposure.created = wish.created;
                exposure.local_nodes = wish.local.map(|nodes| nodes.iter().map(|n| format!("n{n}")).collect());
                let ports = exposure.ports.iter().copied().collect();
                cluster.snapshot.services.get_mut(&key).unwrap().ports = ports;
                if !wish.shares.is_empty() {
                    cluster.names(name, wish.shares);
                }
                cluster.serving.nodes.insert(key.clone(), wish.serving.iter().map(|n| id(*n)).collect());
                if wish.frozen {
                    cluster.exposures.retain(|exposure| exposure.service != key);
                    cluster.frozen.insert(key);
                }
            }
            if let Some((n, port)) = hand {
                cluster.service("hand", port, &[&format!("10.0.0.{n}")], FieldOwner::Other("kubectl".into()));
            }
            cluster
        },
    )
}

fn serves(cluster: &Cluster, key: &ServiceKey, node: &InstanceId) -> bool {
    cluster.serving.nodes.get(key).is_some_and(|nodes| nodes.contains(node))
}

/// What would serve if the placement were carried out and the rejected kept what they have.
fn carried_out(cluster: &Cluster, placement: &Placement) -> Serving {
    let mut serving = cluster.serving.clone();
    for (key, nodes) in &placement.nodes {
        serving.nodes.insert(key.clone(), nodes.iter().cloned().collect());
        serving.listed.insert(key.clone(), nodes.iter().cloned().collect());
        serving.asked.insert(key.clone(), nodes.iter().cloned().collect());
    }
    serving
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_exposure_is_placed_on_at_least_one_node_or_rejected_once(cluster in cluster()) {
        let placement = cluster.place();
        let placed = placement.nodes.keys();
        let mut all: Vec<&ServiceKey> = placed.chain(placement.rejections.iter().map(|r| &r.service)).collect();
        all.sort();
        let asked: BTreeSet<&ServiceKey> = cluster.exposures.iter().map(|exposure| &exposure.service).collect();
        prop_assert_eq!(all, asked.into_iter().collect::<Vec<_>>());
        for nodes in placement.nodes.values() {
            prop_assert!(!nodes.is_empty());
            prop_assert_eq!(nodes.iter().collect::<BTreeSet<_>>().len(), nodes.len(), "a node is chosen twice");
        }
    }

    #[test]
    fn no_two_exposures_have_one_port_of_one_node(cluster in cluster()) {
        let placement = cluster.place();
        let mut holders = BTreeMap::new();
        for exposure in &cluster.exposures {
            for node in placement.nodes.get(&exposure.service).into_iter().flatten() {
                for port in &exposure.ports {
                    let before = holders.insert((node.clone(), *port), &exposure.service);
                    prop_assert_eq!(before, None, "{} has {} of {}", exposure.service, port, node);
                }
            }
        }
    }

    #[test]
    fn nobody_is_placed_anew_where_a_frozen_service_or_a_person_has_the_port(cluster in cluster()) {
        let placement = cluster.place();
        for exposure in &cluster.exposures {
            for node in placement.nodes.get(&exposure.service).into_iter().flatten() {
                for (key, service) in &cluster.snapshot.services {
                    let address = format!("10.0.0.{}", super::cluster::number(node));
                                        // What only a record lists drives nobody off.
                    let frozen = cluster.frozen.contains(key)
                        && serves(&cluster, key, node)
                        && !serves(&cluster, &exposure.service, node);

                    if frozen || service.external_ips.contains(&address) {
                        prop_assert!(service.ports.iter().all(|port| !exposure.ports.contains(port)), "{} on {}", key, node);
                    }
                }
            }
        }
    }

    #[test]
    fn only_nodes_that_match_are_chosen_and_anew_only_eligible_ones(cluster in cluster()) {
        let placement = cluster.place();
        let joined = nodes::join(&cluster.snapshot, &cluster.observed);
        for exposure in &cluster.exposures {
            let chosen = placement.nodes.get(&exposure.service).map(Vec::as_slice).unwrap_or_default();
            prop_assert!(chosen.len() <= exposure.max_nodes.unwrap_or(usize::MAX));
            for node in chosen {
                let alive = &joined.alive[node];
                prop_assert!(exposure.selector.matches(&alive.node.labels));
                let fit = nodes::ineligible(alive.node, true).is_none()
                    && exposure.local_nodes.as_ref().is_none_or(|nodes| nodes.contains(&alive.node.name));
                let degraded = placement.degraded.contains_key(&exposure.service);
                prop_assert!(fit || degraded, "{} is unfit for {}", node, exposure.service);
            }
        }
    }

    #[test]
    fn placing_again_what_was_placed_moves_nobody(cluster in cluster()) {
        let first = cluster.place();
        let mut again = cluster.clone();
        again.serving = carried_out(&cluster, &first);
        let second = again.place();
        // Where others drained, there may be more nodes now: better ones than those kept for want of any, and one
        // where somebody who was rejected can join those with whom it shares a hostname.
        let sharing: BTreeSet<&ServiceKey> = SHARED.iter().flat_map(|name| sharing(&cluster, name)).collect();
        let may_be_joined = first.rejections.iter().any(|rejection| sharing.contains(&rejection.service));
        for (key, nodes) in &first.nodes {
            if first.degraded.contains_key(key) || (may_be_joined && sharing.contains(key)) {
                continue;
            }
            let after = second.nodes.get(key);
            let kept = after.is_some_and(|after| nodes.iter().all(|node| after.contains(node)));
            prop_assert!(kept, "{}: {:?} then {:?}", key, nodes, after);
        }
    }

    #[test]
    fn placing_what_was_placed_comes_to_rest_after_a_few_rounds(cluster in cluster()) {
        let sets = |placement: &Placement| -> BTreeMap<ServiceKey, BTreeSet<InstanceId>> {
            placement.nodes.iter().map(|(key, nodes)| (key.clone(), nodes.iter().cloned().collect())).collect()
        };
        let mut cluster = cluster;
        let mut rounds = 0;
        loop {
            let placement = cluster.place();
            cluster.serving = carried_out(&cluster, &placement);
            if sets(&cluster.place()) == sets(&placement) {
                break;
            }
            rounds += 1;
            prop_assert!(rounds <= 2 * NAMES.len(), "still moving: {:?}", placement.nodes);
        }
    }

    #[test]
    fn members_of_a_shared_hostname_have_the_same_nodes(cluster in cluster()) {
        let placement = cluster.place();
        for name in SHARED {
            let placed: Vec<_> = sharing(&cluster, name).into_iter().filter_map(|key| placement.nodes.get(key)).collect();
            prop_assert!(placed.windows(2).all(|pair| pair[0] == pair[1]), "{}: {:?}", name, placed);
        }
    }

    #[test]
    fn the_order_of_the_wishes_makes_no_difference(cluster in cluster(), turn in 0..6_usize) {
        let mut turned = cluster.clone();
        let len = turned.exposures.len().max(1);
        if !turned.exposures.is_empty() {
            turned.exposures.rotate_left(turn % len);
        }
        prop_assert_eq!(turned.place().nodes, cluster.place().nodes);
    }
}
