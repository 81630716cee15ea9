//! Rules, one test each.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use super::super::{Moment, Observed, Snapshot};
use super::{Instance, InstanceId, Lookup, Node, PrivateIp, PublicIp, ineligible, join};

const ID: &str = "i-0123456789abcdef0";

fn node(name: &str, provider_id: &str) -> Node {
    Node { name: name.into(), provider_id: provider_id.into(), ready: true, ..Node::default() }
}

fn on_aws(name: &str, id: &str) -> Node {
    node(name, &format!("aws:///us-east-1a/{id}"))
}

fn instance(id: &str) -> Instance {
    Instance {
        id: InstanceId(id.into()),
        running: true,
        zone: "us-east-1a".into(),
        vpc: "vpc-1".into(),
        interface: "eni-1".into(),
        interfaces: 1,
        private_ip: Some(PrivateIp([10, 0, 0, 1].into())),
        public_ip: Some(PublicIp([203, 0, 113, 1].into())),
        groups: Vec::new(),
    }
}

fn snapshot(nodes: Vec<Node>) -> Snapshot {
    Snapshot { nodes: nodes.into_iter().map(|node| (node.name.clone(), node)).collect(), ..Snapshot::default() }
}

fn observed(lookups: Vec<(&str, Lookup)>) -> Observed {
    let instances = lookups.into_iter().map(|(id, lookup)| (InstanceId(id.into()), lookup)).collect();
    Observed { instances, ..Observed::default() }
}

/// Why the only node, whose instance is as given, is skipped; and whether there is a doubt.
fn skipped(lookup: Option<Lookup>) -> (String, bool) {
    let snapshot = snapshot(vec![on_aws("n1", ID)]);
    let observed = observed(lookup.into_iter().map(|lookup| (ID, lookup)).collect());
    let joined = join(&snapshot, &observed);
    assert!(joined.alive.is_empty());
    (joined.skipped["n1"].clone(), joined.doubt)
}

#[test]
fn a_provider_id_names_an_instance_with_or_without_its_zone() {
    for provider_id in
        ["aws:///us-east-1a/i-0123456789abcdef0", "aws:///i-0123456789abcdef0", "aws:///eu-west-1b/i-01234567"]
    {
        let id = node("n", provider_id).instance_id().unwrap().0;
        assert!(provider_id.ends_with(&id) && id.starts_with("i-"), "{id}");
    }
}

#[test]
fn nodes_that_are_no_ec2_instances_each_have_their_own_reason() {
    for (provider_id, expected) in [
        ("", "without a providerID"),
        ("aws:///us-east-1a/", "names no instance"),
        ("aws://", "names no instance"),
        ("aws:///us-east-1a/fargate-ip-192-168-1-2.ec2.internal", "on Fargate"),
        ("aws:///us-east-1a/4e6e1b1a-f1a2/fargate-ip-192-168-1-2.ec2.internal", "on Fargate"),
        ("eks-hybrid:///us-west-2/cluster/mi-0123456789abcdef0", "hybrid"),
        ("gce://project/us-central1-a/node-1", "of another provider than AWS, `gce`"),
        ("azure:///subscriptions/x", "of another provider than AWS, `azure`"),
        ("i-0123456789abcdef0", "can't be read"),
        ("aws:///us-east-1a/i-", "no EC2 instance id"),
        ("aws:///us-east-1a/i-0123", "no EC2 instance id"),
        ("aws:///us-east-1a/i-0123456789ABCDEF0", "no EC2 instance id"),
        ("aws:///us-east-1a/i-0123456789abcdefg", "no EC2 instance id"),
        ("aws:///us-east-1a/vol-01234567", "no EC2 instance id"),
    ] {
        let why = node("n", provider_id).instance_id().expect_err(provider_id);
        assert!(why.contains(expected), "{provider_id}: {why}");
    }
}

#[test]
fn the_reason_repeats_at_most_100_characters_of_a_provider_id() {
    for start in ["", "aws:///a/", "x"] {
        let provider_id = format!("{start}{}://", "y".repeat(1000));
        for provider_id in [provider_id.clone(), provider_id.replace("://", "")] {
            let why = node("n", &provider_id).instance_id().unwrap_err();
            assert!(why.chars().count() < 200, "{why}");
        }
    }
}

#[test]
fn a_running_instance_with_both_addresses_is_alive() {
    let snapshot = snapshot(vec![on_aws("n1", ID)]);
    let observed = observed(vec![(ID, Lookup::Known(instance(ID)))]);
    let joined = join(&snapshot, &observed);
    let alive = &joined.alive[&InstanceId(ID.into())];
    assert_eq!((alive.node.name.as_str(), alive.public_ip.to_string().as_str()), ("n1", "203.0.113.1"));
    assert!(joined.skipped.is_empty() && !joined.doubt);
}

#[test]
fn an_instance_without_an_address_or_that_does_not_run_is_skipped_without_a_doubt() {
    for (lookup, expected) in [
        (Lookup::Known(Instance { public_ip: None, ..instance(ID) }), "without a public address"),
        (Lookup::Known(Instance { private_ip: None, ..instance(ID) }), "without a private address"),
        (Lookup::Known(Instance { running: false, ..instance(ID) }), "whose instance isn't running"),
        (Lookup::Gone, "whose instance is gone"),
    ] {
        assert_eq!(skipped(Some(lookup)), (expected.to_owned(), false));
    }
}

#[test]
fn an_instance_that_nothing_is_known_of_is_skipped_with_a_doubt() {
    for lookup in [Some(Lookup::Unknown), None] {
        let (why, doubt) = skipped(lookup);
        assert!(doubt && why.contains("doesn't tell"), "{why}");
    }
}

#[test]
fn an_address_that_a_known_instance_had_is_no_unknown_ones() {
    let (old, new) = (PublicIp([203, 0, 113, 1].into()), PublicIp([203, 0, 113, 2].into()));
    let other = "i-00000000000000001";
    let snapshot = snapshot(vec![on_aws("n1", ID), on_aws("n2", other)]);
    let mut observed = observed(vec![(ID, Lookup::Known(instance(ID))), (other, Lookup::Unknown)]);
    let set = |observed: &mut Observed, public_ip: Option<PublicIp>, second: u64| {
        let now = Moment(Duration::from_secs(second));
        observed.set_instance(InstanceId(ID.into()), Lookup::Known(Instance { public_ip, ..instance(ID) }), now);
        observed.forget(|_| true, now);
    };
    assert!(join(&snapshot, &observed).may_have_public(PublicIp([198, 51, 100, 1].into())));
    set(&mut observed, Some(new), 10);
    let joined = join(&snapshot, &observed);
    assert!(joined.doubt && !joined.may_have_public(old) && joined.by_public.contains_key(&new));
    // An answer of the past, and the present again.
    set(&mut observed, Some(old), 20);
    set(&mut observed, Some(new), 30);
    assert!(!join(&snapshot, &observed).may_have_public(old));
    // One that is forgotten leaves no doubt, either, for as long as one can last.
    observed.forget(|id| id.0 == other, Moment(Duration::from_secs(40)));
    let joined = join(&snapshot, &observed);
    assert!(!joined.may_have_public(old) && !joined.may_have_public(new));
    observed.forget(|_| true, Moment(Duration::from_secs(3700)));
    assert!(observed.former.is_empty());
}

#[test]
fn nodes_that_are_no_instances_neither_block_the_rest_nor_raise_a_doubt() {
    let foreign = node("fargate", "aws:///us-east-1a/fargate-ip-10-0-0-9");
    let snapshot = snapshot(vec![foreign, node("bare", ""), on_aws("n1", ID)]);
    let observed = observed(vec![(ID, Lookup::Known(instance(ID)))]);
    let joined = join(&snapshot, &observed);
    assert_eq!((joined.alive.len(), joined.skipped.len(), joined.doubt), (1, 2, false));
}

#[test]
fn of_two_nodes_with_one_instance_the_older_is_taken_then_the_first_by_name() {
    for (created, expected) in [((2, 1), "b"), ((1, 2), "a"), ((1, 1), "a")] {
        let a = Node { created: created.0, ..on_aws("a", ID) };
        let b = Node { created: created.1, ..on_aws("b", ID) };
        let snapshot = snapshot(vec![a, b]);
        let observed = observed(vec![(ID, Lookup::Known(instance(ID)))]);
        let joined = join(&snapshot, &observed);
        assert_eq!(joined.alive.values().map(|alive| alive.node.name.as_str()).collect::<Vec<_>>(), [expected]);
        assert_eq!(joined.skipped.len(), 1);
        assert!(joined.skipped.values().all(|why| why.contains(&format!("the node `{expected}`"))));
    }
}

#[test]
fn a_node_is_not_chosen_anew_when_it_is_about_to_go_or_unfit_or_excluded() {
    let good = on_aws("n", ID);
    assert_eq!(ineligible(&good, true), None);
    let label = |key: &str| [(key.to_owned(), String::new())].into();
    let taint = |key: &str| [key.to_owned()].into();
    for (node, expected) in [
        (Node { ready: false, ..good.clone() }, "not Ready"),
        (Node { deleting: true, ..good.clone() }, "being deleted"),
        (
            Node { labels: label("node.kubernetes.io/exclude-from-external-load-balancers"), ..good.clone() },
            "excluded by the label",
        ),
        (Node { taints: taint("ToBeDeletedByClusterAutoscaler"), ..good.clone() }, "the cluster autoscaler"),
        (Node { taints: taint("karpenter.sh/disrupted"), ..good.clone() }, "Karpenter"),
    ] {
        let why = ineligible(&node, true).expect(expected);
        assert!(why.contains(expected), "{why}");
    }
    assert_eq!(ineligible(&Node { taints: taint("dedicated"), ..good.clone() }, true), None);
}

#[test]
fn a_cordoned_node_stays_unless_it_is_configured_otherwise() {
    let cordoned = Node { cordoned: true, ..on_aws("n", ID) };
    assert_eq!(ineligible(&cordoned, true), None);
    assert_eq!(ineligible(&cordoned, false).as_deref(), Some("cordoned"));
}
