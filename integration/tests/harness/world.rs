//! A test's world.

use std::time::Duration;

use integration::Result;
use integration::aws::{Record, Rule};
use integration::eventually::{eventually, throughout, within};
use integration::world::{NODE_LABEL, NewNode, World, annotation, condition, external_ips};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::json;

#[tokio::test]
async fn a_world_has_the_example_on_its_own_nodes() -> Result<()> {
    let world = World::new().await?;
    let node = world.node("a", NewNode::default().zone("b").private("10.0.1.9").public("203.0.113.9")).await?;
    let read = world.nodes().get(&node.name).await?;
    assert_eq!(read.metadata.labels.unwrap()[NODE_LABEL], world.node_group);
    let spec = read.spec.unwrap();
    assert_eq!(spec.provider_id.unwrap(), format!("aws:///eu-west-1b/{}", node.instance.id));
    assert_eq!(spec.taints, None);
    let status = read.status.unwrap();
    let addresses = status.addresses.unwrap();
    let address = |kind: &str| addresses.iter().find(|address| address.type_ == kind).map(|found| &*found.address);
    assert_eq!((address("InternalIP"), address("ExternalIP")), (Some("10.0.1.9"), Some("203.0.113.9")));
    assert_eq!(status.conditions.unwrap()[0].status, "True");

    let service = world.apply(world.example()?).await?;
    assert_eq!(service.metadata.name.as_deref(), Some("udp-server"));
    assert_eq!(annotation(&service, "hostname"), Some("udp-server.external-ips-test.my-org.com."));
    assert_eq!(annotation(&service, "selector"), Some(&*format!("{NODE_LABEL}={}", world.node_group)));
    assert_eq!(annotation(&service, "maxips"), Some("2"));
    let spec = service.spec.clone().unwrap();
    assert_eq!(spec.type_.as_deref(), Some("LoadBalancer"));
    let ports = spec.ports.unwrap();
    assert_eq!((ports[0].port, ports[0].protocol.as_deref()), (6315, Some("UDP")));
    assert!(external_ips(&service).is_empty() && condition(&service).is_none());
    assert!(world.records().await?.is_empty() && world.owned_groups().await?.is_empty());
    assert!(world.events("udp-server").await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn nodes_and_services_can_be_changed() -> Result<()> {
    let world = World::new().await?;
    let node = world.node("a", NewNode::default().interfaces(2).label("role", "edge").taint("x")).await?;
    assert_eq!(node.instance.interfaces.len(), 2);
    world.set_ready(&node, false).await?;
    world.set_addresses(&node, None).await?;
    world.taint_node(&node, &["ToBeDeletedByClusterAutoscaler"]).await?;
    world.label_node(&node, &[("role", None), ("other", Some("1"))]).await?;
    world.cordon(&node, true).await?;
    let read = world.nodes().get(&node.name).await?;
    let status = read.status.unwrap();
    assert_eq!(status.conditions.unwrap()[0].status, "Unknown");
    assert!(status.addresses.unwrap().iter().all(|address| address.type_ != "ExternalIP"));
    let spec = read.spec.unwrap();
    let keys: Vec<String> = spec.taints.unwrap().into_iter().map(|taint| taint.key).collect();
    assert!(keys.contains(&"ToBeDeletedByClusterAutoscaler".to_owned()) && !keys.contains(&"x".to_owned()));
    assert_eq!(spec.unschedulable, Some(true));
    let labels = read.metadata.labels.unwrap();
    assert!(!labels.contains_key("role") && labels["other"] == "1");

    let service = world.example()?.name("other").kind("ClusterIP").ports(&[("tcp", 80), ("udp", 80)]).max_ips(1);
    world.apply(service).await?;
    world.annotate("other", "ttl", Some("30s")).await?;
    assert_eq!(annotation(&world.service("other").await?, "ttl"), Some("30s"));
    world.annotate("other", "ttl", None).await?;
    assert_eq!(annotation(&world.service("other").await?, "ttl"), None);
    world.endpoints("other", &[(&node, true)]).await?;
    world.endpoints("other", &[(&node, false)]).await?;
    world.delete_service("other").await?;
    world.delete_node(&node).await?;
    assert!(world.services().list(&ListParams::default()).await?.items.is_empty());
    Ok(())
}

#[tokio::test]
async fn worlds_are_apart_and_what_is_written_is_seen() -> Result<()> {
    let (one, other) = (World::new().await?, World::new().await?);
    let record = Record::new("a.external-ips-test.my-org.com.", "A", 60, &["203.0.113.1"]);
    one.aws.create_record(&one.zone, &record).await?;
    assert_eq!(one.addresses_of(&record.name).await?, record.values);
    assert!(other.addresses_of(&record.name).await?.is_empty());

    let tags = [(format!("external-ips/{}", one.cluster_name), "owned".to_owned())].into();
    let group = one.aws.create_security_group(&one.network, "ours", &tags).await?;
    one.aws.authorize(&group, &Rule::new("udp", 1, "0.0.0.0/0")).await?;
    assert_eq!(one.owned_groups().await?.len(), 1);
    assert!(other.owned_groups().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn the_daemon_may_keep_its_lease_in_its_world() -> Result<()> {
    let world = World::new().await?;
    let token = world.control_plane.service_account_token("external-ips", "external-ips").await?;
    let leases: Api<Lease> = Api::namespaced(world.control_plane.client(&token).await?, &world.namespace);
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "external-ips"},
        "spec": {"holderIdentity": "test"}
    });
    leases.patch("external-ips", &PatchParams::apply("test"), &Patch::Apply(lease)).await?;
    assert_eq!(leases.get("external-ips").await?.spec.unwrap().holder_identity.as_deref(), Some("test"));
    let elsewhere: Api<Lease> = Api::namespaced(world.control_plane.client(&token).await?, "default");
    assert!(elsewhere.get("external-ips").await.is_err());
    Ok(())
}

#[tokio::test]
async fn waiting_says_what_was_last_seen() -> Result<()> {
    let mut looks = 0;
    let counted = || {
        looks += 1;
        std::future::ready(Ok(looks))
    };
    assert_eq!(eventually("three", counted, |seen| *seen == 3).await?, 3);

    let short = Duration::from_millis(60);
    let error = within(short, "a miracle", || async { Ok("nothing") }, |_| false).await.unwrap_err();
    assert!(error.message().contains("a miracle") && error.message().contains("nothing"), "{error:?}");
    assert!(format!("{error:?}").contains("world.rs"), "it names the place: {error:?}");

    throughout(short, "it stays", || async { Ok(1) }, |seen| *seen == 1).await?;
    assert!(throughout(short, "it stays", || async { Ok(1) }, |seen| *seen == 2).await.is_err());
    Ok(())
}

#[tokio::test]
async fn the_daemon_runs_in_its_world_and_every_call_of_it_is_seen() -> Result<()> {
    let world = World::new().await?;
    let node = world.node("a", NewNode::default()).await?;
    world.apply(world.example()?).await?;
    let (daemon, gate) = world.daemon_behind_gate("replica-1").await?;
    let daemon = daemon.start().await?;
    assert_eq!(daemon.get("/livez").await?.0, 200);

    let published = || async { Ok(external_ips(&world.service("udp-server").await?)) };
    let published = eventually("published", published, |addresses| !addresses.is_empty()).await;
    let published = published.map_err(|error| error.and(daemon.output().unwrap_or_default()))?;
    assert_eq!(published, [node.private()?]);
    assert_eq!(world.addresses_of("udp-server.external-ips-test.my-org.com.").await?, [node.public()?]);
    assert_eq!(world.owned_groups().await?.len(), 1);

    assert!(world.proxy.calls().iter().all(|call| call.access_key.as_deref() == Some("AKIA-replica-1")));
    assert!(gate.calls().iter().any(|call| call.is_lease() && call.is_write()));
    assert!(gate.writes_since(0).iter().any(|call| call.path.ends_with("/services/udp-server")));
    let refused: Vec<_> =
        gate.calls().into_iter().filter(|call| matches!(call.answered, Some((_, 401 | 403)))).collect();
    assert!(refused.is_empty(), "deploy/base lacks a permission: {refused:#?}");
    daemon.terminate()?;
    assert_eq!(daemon.end().await?.code(), Some(0));
    Ok(())
}
