//! What scenarios and checks rely on: who made what, hooks, rights, the past, and that a history is repeatable.

use std::time::Duration;

use serde_json::{Value, json};

use super::kit::{ask, changes, client, get, kube, make, service};
use crate::sim::event::{Actor, Creator};
use crate::sim::kube::{Kube, Options, Resource, Rights, User, deny_external_ips, stamp_load_balancer_class};
use crate::sim::{Clock, Stage};

const WEB: &str = "/api/v1/namespaces/default/services/web";
const ALL: &str = "/api/v1/namespaces/default/services";
const APPLY: &str = "application/apply-patch+yaml";
const MERGE: &str = "application/merge-patch+json";

fn addresses(kube: &Kube) -> Vec<(String, Creator)> {
    kube.look(|look| look.service("default", "web").unwrap().external_ips.clone())
}

#[tokio::test(start_paused = true)]
async fn each_address_remembers_who_put_it_there() {
    let (_, kube) = kube();
    make(&kube, "web");
    kube.by(Actor::Person).set_external_ips("default", "web", &["10.0.0.1"]).unwrap();
    kube.by(Actor::Controller).set_external_ips("default", "web", &["10.0.0.1", "10.0.0.2"]).unwrap();
    let ours = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"externalIPs": ["10.0.0.1", "10.0.0.2", "10.0.0.3"]},
    });
    let daemon = kube.client(User::daemon(1));
    let path = format!("{WEB}?fieldManager=external-ips&force=true");
    assert_eq!(ask(&daemon, "PATCH", &path, APPLY, &ours).await.0, 200);
    let by = |address: &str, creator| (address.to_owned(), creator);
    let expected = [by("10.0.0.1", Creator::Person), by("10.0.0.2", Creator::Other), by("10.0.0.3", Creator::Us)];
    assert_eq!(addresses(&kube), expected);
    // Gone and put back, it is of the one who put it back.
    kube.by(Actor::Person).set_external_ips("default", "web", &[]).unwrap();
    assert_eq!(ask(&daemon, "PATCH", &path, APPLY, &ours).await.0, 200);
    assert!(addresses(&kube).iter().all(|(_, creator)| *creator == Creator::Us));
    let managers = kube.look(|look| look.service("default", "web").unwrap().external_ips_managers.clone());
    assert_eq!(managers.into_iter().collect::<Vec<_>>(), ["external-ips"]);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_changes_nothing_and_is_no_change() {
    let (stage, kube) = kube();
    make(&kube, "web");
    let before = (kube.look(|look| look.version()), changes(&stage).len());
    let change = json!({"spec": {"externalIPs": ["10.0.0.1"]}});
    let (status, answer) = ask(&client(&kube), "PATCH", &format!("{WEB}?dryRun=All"), MERGE, &change).await;
    assert_eq!((status, &answer["spec"]["externalIPs"]), (200, &json!(["10.0.0.1"])));
    assert_eq!((kube.look(|look| look.version()), changes(&stage).len()), before);
    let call = stage.journal.events().into_iter().rev().find_map(|(_, event)| match event {
        crate::sim::Event::Called(call) => Some(call),
        _ => None,
    });
    let call = call.unwrap();
    assert_eq!((call.operation.as_str(), call.target.as_str()), ("kube:merge services dry-run", "default/web"));
    assert!(!call.mutates);
}

#[tokio::test(start_paused = true)]
async fn hooks_refuse_and_change_what_requests_write_and_not_what_hands_do() {
    let (_, kube) = kube();
    make(&kube, "web");
    kube.add_hook("deny", deny_external_ips());
    kube.add_hook("class", stamp_load_balancer_class("service.k8s.aws/nlb"));
    let (status, answer) =
        ask(&client(&kube), "PATCH", WEB, MERGE, &json!({"spec": {"externalIPs": ["10.0.0.1"]}})).await;
    assert_eq!((status, &answer["reason"]), (403, &json!("Forbidden")));
    let words = "services \"web\" is forbidden: Use of external IPs is denied by admission control";
    assert_eq!(answer["message"], words);
    let mut balanced = service("balanced");
    balanced["spec"]["type"] = json!("LoadBalancer");
    let (status, made) = ask(&client(&kube), "POST", ALL, "application/json", &balanced).await;
    assert_eq!((status, &made["spec"]["loadBalancerClass"]), (201, &json!("service.k8s.aws/nlb")));
    kube.by(Actor::Person).set_external_ips("default", "web", &["10.0.0.1"]).unwrap();
    // What is there may stay and go.
    let fewer = json!({"spec": {"externalIPs": []}, "metadata": {"annotations": {"a": "b"}}});
    assert_eq!(ask(&client(&kube), "PATCH", WEB, MERGE, &fewer).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn rights_can_be_lost_and_given_in_the_middle() {
    let (_, kube) = kube();
    make(&kube, "web");
    let daemon = kube.client(User::daemon(1));
    assert_eq!(get(&daemon, ALL).await.0, 200);
    let path = crate::repository().join("deploy/base/rbac.yaml");
    let rights = Rights::from_manifest(&path).unwrap();
    kube.set_rights(rights.clone().without("list", "services"));
    let (status, answer) = get(&daemon, ALL).await;
    assert_eq!(status, 403);
    let words = "services is forbidden: User \"system:serviceaccount:external-ips:external-ips\" cannot list resource \
                 \"services\" in API group \"\" in the namespace \"default\"";
    assert_eq!(answer["message"], words);
    let lease = "/apis/coordination.k8s.io/v1/namespaces/other/leases/external-ips";
    assert_eq!(get(&daemon, lease).await.0, 403);
    kube.set_rights(rights.with_lease_in("other"));
    assert_eq!(get(&daemon, lease).await.0, 404);
}

#[tokio::test(start_paused = true)]
async fn what_is_compacted_is_gone_for_watches_and_pages() {
    let (_, kube) = kube();
    let client = client(&kube);
    for n in 0..3 {
        make(&kube, &format!("s{n}"));
    }
    let (_, first) = get(&client, &format!("{ALL}?limit=1")).await;
    let version = first["metadata"]["resourceVersion"].as_str().unwrap();
    let token = first["metadata"]["continue"].as_str().unwrap();
    make(&kube, "late");
    kube.compact();
    for query in [
        format!("limit=1&continue={token}"),
        format!("watch=true&resourceVersion={version}"),
        format!("resourceVersion={version}&resourceVersionMatch=Exact"),
    ] {
        let (status, answer) = get(&client, &format!("{ALL}?{query}")).await;
        assert_eq!((status, &answer["reason"]), (410, &json!("Expired")), "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_of_a_hand_has_no_taint_of_a_new_one() {
    let (_, kube) = kube();
    let person = kube.by(Actor::Person);
    person.create(Resource::Nodes, json!({"metadata": {"name": "n1"}})).unwrap();
    kube.look(|look| {
        let node = look.node("n1").unwrap();
        assert!(node.taints.is_empty() && !node.ready);
    });
    person.set_ready("n1", true).unwrap();
    let taints = json!({"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}], "unschedulable": true}});
    person.patch(Resource::Nodes, "", "n1", &taints).unwrap();
    kube.look(|look| {
        let node = look.node("n1").unwrap();
        assert_eq!((node.taints.as_slice(), node.ready, node.cordoned), (["a".to_owned()].as_slice(), true, true));
    });
    assert_eq!(person.delete(Resource::Nodes, "", "n2").unwrap_err().code, 404);
}

#[tokio::test(start_paused = true)]
async fn a_lease_remembers_each_accepted_write() {
    let (_, kube) = kube();
    let daemon = kube.client(User::daemon(3));
    let all = "/apis/coordination.k8s.io/v1/namespaces/external-ips/leases";
    let lease = |holder: &str| {
        json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "external-ips"},
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15},
        })
    };
    assert_eq!(ask(&daemon, "POST", all, "application/json", &lease("a")).await.0, 201);
    let stale = json!({"metadata": {"resourceVersion": "1"}, "spec": {"holderIdentity": "b"}});
    assert_eq!(ask(&daemon, "PATCH", &format!("{all}/external-ips"), MERGE, &stale).await.0, 409);
    kube.by(Actor::Person).delete(Resource::Leases, "external-ips", "external-ips").unwrap();
    kube.look(|look| {
        let [made, gone] = look.lease_writes() else { panic!("{:?}", look.lease_writes()) };
        assert_eq!((made.actor, made.holder.as_str()), (Actor::Replica(3), "a"));
        assert_eq!(made.duration, Some(Duration::from_secs(15)));
        assert!(made.call.is_some() && made.sent < made.accepted);
        assert_eq!((gone.actor, gone.deleted, gone.before.as_str()), (Actor::Person, true, "a"));
    });
}

#[tokio::test(start_paused = true)]
async fn a_namespace_goes_with_all_that_is_in_it() {
    let (_, kube) = kube();
    let person = kube.by(Actor::Person);
    let object = |name: &str| json!({"metadata": {"name": name, "namespace": "team"}});
    person.create(Resource::ConfigMaps, object("m")).unwrap();
    let mut lease = object("l");
    lease["spec"] = json!({"holderIdentity": "a"});
    person.create(Resource::Leases, lease).unwrap();
    let version = kube.look(|look| look.version());
    let path = format!("/api/v1/namespaces/team/configmaps?watch=true&resourceVersion={version}&timeoutSeconds=9");
    let request = http::Request::get(path).body(kube::client::Body::empty()).unwrap();
    let mut watch = client(&kube).send(request).await.unwrap().into_body();
    assert_eq!(ask(&client(&kube), "DELETE", "/api/v1/namespaces/team", "", &Value::Null).await.0, 200);
    let frame = http_body_util::BodyExt::frame(&mut watch).await.unwrap().unwrap();
    assert!(frame.data_ref().unwrap().starts_with(b"{\"type\":\"DELETED\""));
    kube.look(|look| {
        assert!(look.raw(Resource::ConfigMaps, "team", "m").is_none() && look.lease("team", "l").is_none());
        assert!(look.lease_writes().last().unwrap().deleted);
    });
}

/// A little history, as text.
async fn history() -> String {
    let stage = Stage::new(Clock::simulated());
    let kube = Kube::new(stage.clone(), Options::deployed().unwrap());
    let client = client(&kube);
    for n in 0..5 {
        make(&kube, &format!("s{n}"));
        let path = format!("{ALL}/s{n}?fieldManager=x");
        ask(&client, "PATCH", &path, MERGE, &json!({"spec": {"type": "NodePort"}})).await;
    }
    let mut generated = service("x");
    generated["metadata"] = json!({"generateName": "generated-"});
    ask(&client, "POST", ALL, "application/json", &generated).await;
    let (_, list): (u16, Value) = get(&client, ALL).await;
    format!("{:?}\n{list}", stage.journal.events())
}

#[tokio::test(start_paused = true)]
async fn the_same_calls_give_the_same_history_byte_for_byte() {
    let first = history().await;
    assert_eq!(first, history().await);
    assert!(first.contains("generated-"));
}
