//! The documented permissions suffice, and a missing one is told by its name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use futures::future::try_join_all;
use integration::daemon::Daemon;
use integration::eventually::eventually;
use integration::recording_proxy::{AwsCall, DOCUMENTED_ACTIONS};
use integration::world::{NewNode, World, condition, external_ips};
use integration::{Context, Result};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, RoleBinding};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::kit::*;

#[tokio::test]
async fn exactly_the_documented_permissions_suffice_on_single_interface_nodes() -> Result<()> {
    let world = World::new().await?;
    let one = world.node("a", NewNode::default().zone("a")).await?;
    let two = world.node("b", NewNode::default().zone("b")).await?;
    let nodes = [&one, &two];
    world.proxy.allow_only(DOCUMENTED_ACTIONS);
    let daemon = leader(&world).await?;

    // A node that leaves stays open for the TTL.
    world.apply(world.example()?.annotation("ttl", "1")).await?;
    synced(&world, EXAMPLE).await?;
    example_alone_on(&world, &nodes, 6315).await?;
    world.apply(world.example()?.annotation("ttl", "1").port("udp", 6316)).await?;
    example_alone_on(&world, &nodes, 6316).await?;
    world.annotate(EXAMPLE, "maxips", Some("1")).await?;
    let fewer = || async { Ok(external_ips(&world.service(EXAMPLE).await?)) };
    let left = eventually("one node is left", fewer, |addresses| addresses.len() == 1).await?;
    let left = nodes.into_iter().find(|node| node.private().is_ok_and(|ip| ip == left[0])).context("a node of ours")?;
    example_alone_on(&world, &[left], 6316).await?;
    world.annotate(EXAMPLE, "maxips", Some("2")).await?;
    example_alone_on(&world, &nodes, 6316).await?;
    world.delete_service(EXAMPLE).await?;
    nothing_is_left(&world, &nodes).await?;

    // What it tries beyond them it does without, and asks once.
    let mut denied: BTreeMap<String, usize> = BTreeMap::new();
    for call in world.proxy.calls().iter().filter(|call| call.was_denied()) {
        *denied.entry(call.action()).or_default() += 1;
    }
    denied.remove("route53:GetChange").inspect(|times| assert_eq!(*times, 1));
    assert_eq!(denied, BTreeMap::new());
    is_well(&daemon)
}

/// All documented actions but one.
fn without(world: &World, action: &str) {
    world.proxy.allow_only(DOCUMENTED_ACTIONS.into_iter().filter(|documented| *documented != action));
}

async fn says(daemon: &Daemon, text: &str) -> Result<()> {
    let told = |line: &integration::daemon::LogLine| line.message().contains(text) && line.level() == "warn";
    daemon.wait_for_log(&format!("a warning with {text}"), told).await.map(drop)
}

/// Without it nothing can be exposed: the condition says so, and other Services' fate is theirs.
async fn needed_to_expose(action: &'static str) -> Result<()> {
    let world = World::new().await?;
    let node = world.node("a", NewNode::default()).await?;
    without(&world, action);
    let daemon = leader(&world).await?;
    world.apply(world.example()?).await?;
    let service = told(&world, EXAMPLE, "False", "AccessDenied").await?;
    assert!(message(&service).contains(action), "{action} isn't named: {}", message(&service));
    assert!(external_ips(&service).is_empty());
    let events = || world.events(EXAMPLE);
    let denied = |(reason, note): &(String, String)| reason == "AccessDenied" && note.contains(action);
    eventually("an Event says so", events, |events| events.iter().any(denied)).await?;
    // It is tried again by itself.
    world.proxy.allow_only(DOCUMENTED_ACTIONS);
    synced(&world, EXAMPLE).await?;
    example_alone_on(&world, &[&node], 6315).await?;
    is_well(&daemon)
}

/// Without it nothing can be decided: the log says so.
async fn needed_to_look(action: &'static str) -> Result<()> {
    let world = World::new().await?;
    let node = world.node("a", NewNode::default()).await?;
    without(&world, action);
    let daemon = leader(&world).await?;
    world.apply(world.example()?).await?;
    says(&daemon, action).await?;
    assert!(!world.proxy.writes_since(0).iter().any(AwsCall::succeeded));
    world.proxy.allow_only(DOCUMENTED_ACTIONS);
    synced(&world, EXAMPLE).await?;
    example_alone_on(&world, &[&node], 6315).await?;
    is_well(&daemon)
}

/// Without it something stays behind: the log says so.
async fn needed_to_withdraw(action: &'static str) -> Result<()> {
    let world = World::new().await?;
    let node = world.node("a", NewNode::default()).await?;
    let daemon = leader(&world).await?;
    // Two ports, so that a rule goes while its group stays.
    world.apply(world.example()?.ports(&[("udp", 6315), ("udp", 7000)])).await?;
    synced(&world, EXAMPLE).await?;
    without(&world, action);
    world.apply(world.example()?.port("udp", 6315)).await?;
    if action != "ec2:RevokeSecurityGroupIngress" {
        synced(&world, EXAMPLE).await?;
        world.delete_service(EXAMPLE).await?;
    }
    says(&daemon, action).await?;
    world.proxy.allow_only(DOCUMENTED_ACTIONS);
    if action == "ec2:RevokeSecurityGroupIngress" {
        synced(&world, EXAMPLE).await?;
        example_alone_on(&world, &[&node], 6315).await?;
        world.delete_service(EXAMPLE).await?;
    }
    nothing_is_left(&world, &[&node]).await?;
    is_well(&daemon)
}

#[tokio::test]
async fn each_documented_permission_is_needed() -> Result<()> {
    let expose = [
        "ec2:CreateSecurityGroup",
        "ec2:CreateTags",
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:ModifyInstanceAttribute",
        "route53:ChangeResourceRecordSets",
    ];
    let look = ["ec2:DescribeInstances", "ec2:DescribeSecurityGroups", "route53:ListHostedZones"];
    let withdraw = ["ec2:RevokeSecurityGroupIngress", "ec2:DeleteSecurityGroup"];
    tokio::try_join!(
        try_join_all(expose.map(needed_to_expose)),
        try_join_all(look.map(needed_to_look)),
        try_join_all(withdraw.map(needed_to_withdraw)),
    )
    .map(drop)
}

#[tokio::test]
async fn records_that_may_not_be_listed_are_told_on_the_service() -> Result<()> {
    let world = World::new().await?;
    let node = world.node("a", NewNode::default()).await?;
    without(&world, "route53:ListResourceRecordSets");
    let daemon = leader(&world).await?;
    world.apply(world.example()?).await?;
    says(&daemon, "route53:ListResourceRecordSets").await?;
    let look = || async { Ok(condition(&world.service(EXAMPLE).await?).map(|condition| condition.message.clone())) };
    let named = |message: &Option<String>| message.as_ref().is_some_and(|text| text.contains("can't be read"));
    eventually("the condition says that records can't be read", look, named).await?;
    world.proxy.allow_only(DOCUMENTED_ACTIONS);
    synced(&world, EXAMPLE).await?;
    example_alone_on(&world, &[&node], 6315).await?;
    is_well(&daemon)
}

/// A ServiceAccount of the world's own with the rights of deploy/base, changed by `change`.
async fn own_service_account(world: &World, change: impl Fn(&mut ClusterRole)) -> Result<PathBuf> {
    let name = world.namespace.as_str();
    let client = world.client.clone();
    let post = PostParams::default();
    let account = serde_json::from_value(json!({"metadata": {"name": name}}))?;
    Api::<ServiceAccount>::namespaced(client.clone(), name).create(&post, &account).await?;
    let roles: Api<ClusterRole> = Api::all(client.clone());
    let mut role = roles.get("external-ips").await?;
    role.metadata = serde_json::from_value(json!({"name": name}))?;
    change(&mut role);
    roles.create(&post, &role).await?;
    let subjects = json!([{"kind": "ServiceAccount", "name": name, "namespace": name}]);
    let reference = |kind: &str, to: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": to});
    let binding = json!({"metadata": {"name": name}, "roleRef": reference("ClusterRole", name), "subjects": subjects});
    Api::<ClusterRoleBinding>::all(client.clone()).create(&post, &serde_json::from_value(binding)?).await?;
    let binding: Value =
        json!({"metadata": {"name": name}, "roleRef": reference("Role", "external-ips-lease"), "subjects": subjects});
    Api::<RoleBinding>::namespaced(client.clone(), name).create(&post, &serde_json::from_value(binding)?).await?;
    let token = world.control_plane.service_account_token(name, name).await?;
    world.control_plane.kubeconfig_for(&token)
}

async fn with_kubeconfig(world: &World, path: &Path) -> Result<Daemon> {
    world.released_lease().await?;
    world.daemon("one").await?.flag("kubeconfig", path.to_string_lossy()).start().await
}

/// Takes a verb from a resource.
fn forbid(role: &mut ClusterRole, resource: &str, verb: &str) {
    for rule in role.rules.iter_mut().flatten() {
        if rule.resources.iter().flatten().any(|name| name == resource) {
            rule.verbs.retain(|other| other != verb);
        }
    }
    role.rules.get_or_insert_default().retain(|rule| !rule.verbs.is_empty());
}

async fn permit_all(world: &World) -> Result<()> {
    let roles: Api<ClusterRole> = Api::all(world.client.clone());
    let rules = roles.get("external-ips").await?.rules;
    let patch = Patch::Merge(json!({"rules": rules}));
    roles.patch(&world.namespace, &PatchParams::default(), &patch).await?;
    Ok(())
}

async fn no_patch_of_services() -> Result<()> {
    let world = World::new().await?;
    let node = world.node("a", NewNode::default()).await?;
    let kubeconfig = own_service_account(&world, |role| forbid(role, "services", "patch")).await?;
    let daemon = with_kubeconfig(&world, &kubeconfig).await?;
    world.apply(world.example()?).await?;
    let service = told(&world, EXAMPLE, "False", "AccessDenied").await?;
    let text = message(&service);
    assert!(text.contains("ServiceAccount") && text.contains("cannot patch resource \"services\""), "{text}");
    assert_eq!(world.proxy.writes_since(0), [], "nothing is opened for what can't be published");
    permit_all(&world).await?;
    synced(&world, EXAMPLE).await?;
    example_alone_on(&world, &[&node], 6315).await?;
    is_well(&daemon)
}

/// The condition can't be written, so it can't tell: the log does. The Service is served all the same.
async fn no_patch_of_the_status() -> Result<()> {
    let world = World::new().await?;
    let node = world.node("a", NewNode::default()).await?;
    let kubeconfig = own_service_account(&world, |role| forbid(role, "services/status", "patch")).await?;
    let daemon = with_kubeconfig(&world, &kubeconfig).await?;
    world.apply(world.example()?).await?;
    example_alone_on(&world, &[&node], 6315).await?;
    says(&daemon, "cannot patch resource \"services/status\"").await?;
    // With the permission it is written soon, and not when something else changes.
    permit_all(&world).await?;
    synced(&world, EXAMPLE).await?;
    is_well(&daemon)
}

async fn no_events() -> Result<()> {
    let world = World::new().await?;
    world.node("a", NewNode::default()).await?;
    let kubeconfig = own_service_account(&world, |role| forbid(role, "events", "create")).await?;
    let daemon = with_kubeconfig(&world, &kubeconfig).await?;
    world.apply(world.example()?).await?;
    synced(&world, EXAMPLE).await?;
    says(&daemon, "cannot create resource \"events\"").await?;
    is_well(&daemon)
}

async fn no_list_of_nodes() -> Result<()> {
    let world = World::new().await?;
    let node = world.node("a", NewNode::default()).await?;
    let kubeconfig = own_service_account(&world, |role| forbid(role, "nodes", "list")).await?;
    let daemon = with_kubeconfig(&world, &kubeconfig).await?;
    world.apply(world.example()?).await?;
    says(&daemon, "list and watch nodes").await?;
    let (status, text) = daemon.get("/readyz").await?;
    assert_eq!(status, 503, "{text}");
    assert_eq!(daemon.get("/livez").await?.0, 200);
    permit_all(&world).await?;
    is_ready(&daemon).await?;
    example_alone_on(&world, &[&node], 6315).await?;
    is_well(&daemon)
}

async fn no_lease() -> Result<()> {
    let world = World::new().await?;
    world.node("a", NewNode::default()).await?;
    let kubeconfig = own_service_account(&world, |_| {}).await?;
    let bindings: Api<RoleBinding> = Api::namespaced(world.client.clone(), &world.namespace);
    bindings.delete(&world.namespace, &DeleteParams::default()).await?;
    let daemon = with_kubeconfig(&world, &kubeconfig).await?;
    says(&daemon, "leases").await?;
    assert_eq!(world.proxy.writes_since(0), []);
    is_well(&daemon)
}

#[tokio::test]
async fn a_missing_kubernetes_permission_is_told() -> Result<()> {
    tokio::try_join!(no_patch_of_services(), no_patch_of_the_status(), no_events(), no_list_of_nodes(), no_lease())
        .map(drop)
}
