//! From the wish to the traffic, and back to nothing.

use integration::Result;
use integration::aws::{Record, Rule};
use integration::eventually::eventually;
use integration::world::{NewNode, World, annotation, condition, external_ips};
use k8s_openapi::api::core::v1::Service;

const NAME: &str = "udp-server.external-ips-test.my-org.com.";

/// Two nodes in two zones, with addresses that can be told beforehand.
async fn two_nodes(world: &World) -> Result<[integration::world::Node; 2]> {
    let one = world.node("one", NewNode::default().private("10.0.0.11").public("203.0.113.11")).await?;
    let two = world.node("two", NewNode::default().zone("b").private("10.0.1.12").public("203.0.113.12")).await?;
    Ok([one, two])
}

async fn the_example_goes_all_the_way_through(kind: &str) -> Result<()> {
    let world = World::new().await?;
    let nodes = two_nodes(&world).await?;
    let daemon = world.start("one").await?;
    world.apply(world.example()?.kind(kind)).await?;
    let service = world.synced("udp-server").await?;
    let key = format!("{}/udp-server", world.namespace);

    for node in &nodes {
        let group = world.group_of(node).await?.unwrap();
        let tag = (format!("external-ips/{}", world.cluster_name), "owned".to_owned());
        assert_eq!(group.tags, [tag, ("Name".to_owned(), group.name.clone())].into());
        assert_eq!(group.vpc, world.network.vpc);
        assert!(group.description.contains("external-ips"), "{}", group.description);
        let rule = Rule { description: format!("external-ips: {key}"), ..Rule::new("udp", 6315, "0.0.0.0/0") };
        assert_eq!(group.rules, [rule]);
        let mut attached = vec![world.network.default_group.clone(), group.id];
        attached.sort();
        assert_eq!(world.groups_on(node).await?, attached, "its old groups stay");
    }
    assert_eq!(world.owned_groups().await?.len(), 2);

    let owner = &world.cluster_name;
    let twin = format!("\"heritage=external-dns,external-dns/owner={owner},external-dns/resource=service/{key}\"");
    let records = [
        Record::new(&format!("a-{NAME}"), "TXT", 60, &[&twin]),
        Record::new(NAME, "A", 60, &["203.0.113.11", "203.0.113.12"]),
    ];
    assert_eq!(world.records().await?, records);

    assert_eq!(external_ips(&service), ["10.0.0.11", "10.0.1.12"], "kube-proxy sees the private addresses");
    assert_eq!(annotation(&service, "assigned"), Some("10.0.0.11,10.0.1.12"));
    assert_eq!(annotation(&service, "addresses"), Some("203.0.113.11,203.0.113.12"));
    assert_eq!(service.spec.as_ref().unwrap().type_.as_deref(), Some(kind));
    let told = condition(&service).unwrap();
    assert_eq!((told.status.as_str(), told.reason.as_str()), ("True", "Synced"));
    for part in [NAME.trim_end_matches('.'), "203.0.113.11", "203.0.113.12", &nodes[0].name, &nodes[1].name] {
        assert!(told.message.contains(part), "{part} in {}", told.message);
    }

    let reasons = || async {
        let events = world.events("udp-server").await?;
        let mut reasons: Vec<String> = events.into_iter().map(|(reason, _)| reason).collect();
        reasons.sort();
        Ok(reasons)
    };
    let expected = ["FirewallOpened", "FirewallOpened", "NodesAssigned", "RecordSynced", "Synced"];
    eventually("each thing that happened is told once", reasons, |reasons| *reasons == expected).await?;
    let output = daemon.other_output()?;
    assert!(output.is_empty(), "{output:?}");
    Ok(())
}

#[tokio::test]
async fn the_example_goes_all_the_way_through_for_load_balancer() -> Result<()> {
    the_example_goes_all_the_way_through("LoadBalancer").await
}

#[tokio::test]
async fn the_example_goes_all_the_way_through_for_cluster_ip() -> Result<()> {
    the_example_goes_all_the_way_through("ClusterIP").await
}

#[tokio::test]
async fn a_second_reconcile_makes_no_aws_write_and_no_patch() -> Result<()> {
    let world = World::new().await?;
    let [one, _] = two_nodes(&world).await?;
    world.released_lease().await?;
    let (daemon, gate) = world.daemon_behind_gate("one").await?;
    let daemon = daemon.start().await?;
    world.apply(world.example()?).await?;
    let service = world.synced("udp-server").await?;
    let told = |(reason, _): &(String, String)| reason == "Synced";
    eventually("the last Event", || world.events("udp-server"), |events| events.iter().any(told)).await?;

    // Changes that change nothing start rounds with nothing to do.
    let (aws, kube, rounds) = (world.proxy.mark(), gate.mark(), daemon.rounds().await?);
    world.label_node(&one, &[("unrelated", Some("1"))]).await?;
    let more = |rounds: f64| move |now: &f64| *now > rounds;
    eventually("a round for the node", || daemon.rounds(), more(rounds)).await?;
    let rounds = daemon.rounds().await?;
    world.annotate("udp-server", "unrelated", Some("1")).await?;
    eventually("a round for the Service", || daemon.rounds(), more(rounds)).await?;
    assert!(world.proxy.summaries_since(aws).is_empty(), "{:?}", world.proxy.summaries_since(aws));
    assert!(gate.writes_since(kube).is_empty(), "{:?}", gate.writes_since(kube));
    daemon.terminate()?;
    assert!(daemon.end().await?.success());

    // And so does a new process, which reads everything anew.
    let (daemon, gate) = world.daemon_behind_gate("two").await?;
    let daemon = daemon.start().await?;
    eventually("a round of the new process", || daemon.rounds(), more(0.0)).await?;
    assert!(world.proxy.calls_since(aws).iter().any(|call| call.operation == "ListResourceRecordSets"));
    assert!(world.proxy.summaries_since(aws).is_empty(), "{:?}", world.proxy.summaries_since(aws));
    assert!(gate.writes_since(0).is_empty(), "{:?}", gate.writes_since(0));
    let after = world.service("udp-server").await?;
    assert_eq!((external_ips(&after), after.status), (external_ips(&service), service.status));
    Ok(())
}

/// Nothing of ours is left: not in AWS, on no interface, and not on the Service.
async fn nothing_is_left(world: &World, nodes: &[integration::world::Node]) -> Result<()> {
    world.nothing_left().await?;
    for node in nodes {
        assert_eq!(world.groups_on(node).await?, std::slice::from_ref(&world.network.default_group));
    }
    Ok(())
}

#[tokio::test]
async fn removing_the_annotation_leaves_nothing() -> Result<()> {
    let world = World::new().await?;
    let nodes = two_nodes(&world).await?;
    let _daemon = world.start("one").await?;
    world.apply(world.example()?).await?;
    world.synced("udp-server").await?;
    world.annotate("udp-server", "hostname", None).await?;
    nothing_is_left(&world, &nodes).await?;
    let clean = |service: &Service| {
        external_ips(service).is_empty()
            && condition(service).is_none()
            && annotation(service, "assigned").is_none()
            && annotation(service, "addresses").is_none()
    };
    let service = eventually("the Service is as before", || world.service("udp-server"), clean).await?;
    assert!(annotation(&service, "selector").is_some() && annotation(&service, "maxips") == Some("2"));
    let managers = service.metadata.managed_fields.unwrap();
    let ours = managers.iter().filter(|entry| entry.manager.as_deref() == Some("external-ips"));
    assert_eq!(ours.count(), 0, "we own no field any more");
    Ok(())
}

#[tokio::test]
async fn deleting_the_service_leaves_nothing() -> Result<()> {
    let world = World::new().await?;
    let nodes = two_nodes(&world).await?;
    let _daemon = world.start("one").await?;
    world.apply(world.example()?).await?;
    world.synced("udp-server").await?;
    world.delete_service("udp-server").await?;
    nothing_is_left(&world, &nodes).await
}

#[tokio::test]
async fn deleting_it_while_no_daemon_runs_leaves_nothing() -> Result<()> {
    let world = World::new().await?;
    let nodes = two_nodes(&world).await?;
    let daemon = world.start("one").await?;
    world.apply(world.example()?).await?;
    world.synced("udp-server").await?;
    daemon.terminate()?;
    assert!(daemon.end().await?.success());
    world.delete_service("udp-server").await?;
    assert_eq!((world.owned_groups().await?.len(), world.records().await?.len()), (2, 2));
    let _daemon = world.start("two").await?;
    nothing_is_left(&world, &nodes).await
}

#[tokio::test]
async fn a_service_that_is_recreated_with_the_same_name_is_served_anew() -> Result<()> {
    let world = World::new().await?;
    let nodes = two_nodes(&world).await?;
    let _daemon = world.start("one").await?;
    world.apply(world.example()?).await?;
    world.synced("udp-server").await?;
    world.delete_service("udp-server").await?;
    let service = world.apply(world.example()?.port("UDP", 7000)).await?;
    assert!(external_ips(&service).is_empty(), "it begins with nothing");
    let service = world.synced("udp-server").await?;
    assert_eq!(external_ips(&service), ["10.0.0.11", "10.0.1.12"]);
    assert_eq!(world.addresses_of(NAME).await?, ["203.0.113.11", "203.0.113.12"]);
    for node in &nodes {
        let ports = || async {
            let group = world.group_of(node).await?;
            Ok(group.map(|group| group.rules.iter().map(|rule| rule.ports).collect::<Vec<_>>()))
        };
        eventually("only the new port is open", ports, |ports| *ports == Some(vec![(7000, 7000)])).await?;
    }
    Ok(())
}

#[tokio::test]
async fn several_names_and_a_wildcard_are_published_and_withdrawn_together() -> Result<()> {
    let world = World::new().await?;
    let nodes = two_nodes(&world).await?;
    let _daemon = world.start("one").await?;
    let names = ["*.games.external-ips-test.my-org.com", "Other.external-ips-test.my-org.com."];
    world.apply(world.example()?.hostname(&names.join(", "))).await?;
    world.synced("udp-server").await?;
    let records = world.records().await?;
    assert_eq!(records.len(), 4, "two names and their twins: {records:?}");
    let values = ["203.0.113.11", "203.0.113.12"];
    assert_eq!(world.addresses_of("other.external-ips-test.my-org.com.").await?, values);
    // moto spells the star as it is, AWS as \\052.
    let wildcard = records
        .iter()
        .find(|record| record.kind == "A" && record.name.ends_with(".games.external-ips-test.my-org.com."));
    assert_eq!(wildcard.unwrap().values, values);
    world.delete_service("udp-server").await?;
    nothing_is_left(&world, &nodes).await
}

#[tokio::test]
async fn what_somebody_took_away_is_put_back_in_the_safe_order_by_the_next_who_looks() -> Result<()> {
    let world = World::new().await?;
    let node = world.node("one", NewNode::default().private("10.0.0.11").public("203.0.113.11")).await?;
    let daemon = world.start("one").await?;
    world.apply(world.example()?).await?;
    world.synced("udp-server").await?;
    daemon.terminate()?;
    assert!(daemon.end().await?.success());

    let group = world.group_of(&node).await?.unwrap();
    world.aws.revoke(&group.id, &Rule { description: String::new(), ..group.rules[0].clone() }).await?;
    world.aws.set_instance_groups(&node.instance.id, std::slice::from_ref(&world.network.default_group)).await?;
    let before = world.records().await?;
    for record in &before {
        world.aws.delete_record(&world.zone, record).await?;
    }
    let mark = world.proxy.mark();
    let _daemon = world.start("two").await?;
    eventually("the records are back", || world.records(), |records| *records == before).await?;
    assert_eq!(world.group_of(&node).await?.unwrap().rules, group.rules);
    assert!(world.groups_on(&node).await?.contains(&group.id));
    let expected = [
        "AuthorizeSecurityGroupIngress udp/6315 from 0.0.0.0/0".to_owned(),
        format!("ModifyInstanceAttribute {}", node.instance.id),
        format!("ChangeResourceRecordSets CREATE A {NAME} 60 [203.0.113.11], CREATE TXT a-{NAME} 60"),
    ];
    assert_eq!(world.proxy.summaries_since(mark), expected);
    let service = world.synced("udp-server").await?;
    assert_eq!(external_ips(&service), ["10.0.0.11"]);
    Ok(())
}
