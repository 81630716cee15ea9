//! Nodes that come, go, fail and change: their addresses are in DNS exactly as long as traffic finds them.
//!
//! Other tests' nodes are in the same cluster and of no interest to EC2 in this account. Where one has just come, EC2's
//! silence about it is a doubt, and for a moment an address that belongs to no node may stay beside the new ones.

use integration::Result;
use integration::eventually::eventually;
use integration::world::{NODE_LABEL, NewNode, Node, World, annotation, condition, external_ips};

const NAME: &str = "udp-server.external-ips-test.my-org.com.";

/// The node with private address 10.0.0.N and public address 203.0.113.N.
async fn node(world: &World, number: u8) -> Result<Node> {
    let new = NewNode::default().private(&format!("10.0.0.{number}")).public(&format!("203.0.113.{number}"));
    world.node(&format!("n{number}"), new).await
}

/// The values that the A record was given since a mark, one list for each change.
fn lists(world: &World, mark: usize) -> Vec<Vec<String>> {
    let created = |summary: String| {
        let (_, created) = summary.split_once(&format!("CREATE A {NAME} "))?;
        let list = created.split_once('[')?.1.split_once(']')?.0;
        Some(list.split(", ").map(str::to_owned).collect())
    };
    world.proxy.summaries_since(mark).into_iter().filter_map(created).collect()
}

/// Waits until the record and the Service hold exactly this node, and nothing of ours is anywhere else.
async fn served_on(world: &World, node: &Node) -> Result<()> {
    let look = || async {
        let published = external_ips(&world.service("udp-server").await?);
        let groups: Vec<String> = world.owned_groups().await?.into_iter().map(|group| group.name).collect();
        Ok((world.addresses_of(NAME).await?, published, groups))
    };
    let public = world.aws.instance(&node.instance.id).await?.public.unwrap();
    let group = format!("external-ips/{}/{}", world.cluster_name, node.instance.id);
    let expected = (vec![public], vec![node.private()?.to_owned()], vec![group]);
    eventually(format!("served on {} alone", node.name), look, |seen| *seen == expected).await?;
    Ok(())
}

#[tokio::test]
async fn a_node_that_is_deleted_leaves_dns_at_once_and_another_takes_its_place() -> Result<()> {
    let world = World::new().await?;
    let gone = node(&world, 11).await?;
    let _daemon = world.start("one").await?;
    // A TTL that no test could wait for: nobody is to be sent there even as long as that.
    world.apply(world.example()?.max_ips(1).annotation("ttl", "1h")).await?;
    world.synced("udp-server").await?;
    let next = node(&world, 12).await?;
    let mark = world.proxy.mark();
    world.delete_node(&gone).await?;
    served_on(&world, &next).await?;
    let lists = lists(&world, mark);
    assert_eq!(lists.last().unwrap(), &["203.0.113.12"]);
    let first = &world.proxy.writes_since(mark)[0];
    let kinds = ["CreateSecurityGroup", "ChangeResourceRecordSets"];
    assert!(kinds.contains(&first.operation.as_str()), "{}", first.summary());
    assert_eq!(world.groups_on(&gone).await?, std::slice::from_ref(&world.network.default_group));
    Ok(())
}

#[tokio::test]
async fn the_last_node_that_is_deleted_takes_the_record_with_it() -> Result<()> {
    let world = World::new().await?;
    let gone = node(&world, 11).await?;
    let _daemon = world.start("one").await?;
    world.apply(world.example()?).await?;
    world.synced("udp-server").await?;
    world.delete_node(&gone).await?;
    world.nothing_left().await?;
    let service = world.told("udp-server", "NoEligibleNodes").await?;
    assert_eq!(condition(&service).unwrap().status, "False");
    let is_clean = |published: &Vec<String>| published.is_empty();
    let look = || async { Ok(external_ips(&world.service("udp-server").await?)) };
    eventually("nothing is published", look, is_clean).await?;
    node(&world, 12).await?;
    let service = world.synced("udp-server").await?;
    assert_eq!(external_ips(&service), ["10.0.0.12"]);
    Ok(())
}

#[tokio::test]
async fn a_node_that_is_not_ready_is_replaced_or_kept_when_it_is_the_only_one() -> Result<()> {
    let world = World::new().await?;
    let (one, two) = (node(&world, 11).await?, node(&world, 12).await?);
    let _daemon = world.start("one").await?;
    world.apply(world.example()?.max_ips(1).annotation("ttl", "1")).await?;
    let service = world.synced("udp-server").await?;
    let (first, other) = if external_ips(&service) == ["10.0.0.11"] { (&one, &two) } else { (&two, &one) };
    world.set_ready(first, false).await?;
    served_on(&world, other).await?;

    let mark = world.proxy.mark();
    world.set_ready(other, false).await?;
    let service = world.told("udp-server", "Degraded").await?;
    let told = condition(&service).unwrap();
    assert!(told.status == "True" && told.message.contains("not Ready"), "{told:?}");
    assert!(world.proxy.summaries_since(mark).is_empty(), "{:?}", world.proxy.summaries_since(mark));
    assert_eq!(external_ips(&service), [other.private()?]);
    assert_eq!(world.addresses_of(NAME).await?, [other.public()?]);

    world.set_ready(other, true).await?;
    world.synced("udp-server").await?;
    assert!(world.proxy.summaries_since(mark).is_empty(), "{:?}", world.proxy.summaries_since(mark));
    Ok(())
}

#[tokio::test]
async fn a_public_address_that_changes_is_replaced_at_once() -> Result<()> {
    let world = World::new().await?;
    let node = world.node("one", NewNode::default()).await?;
    let _daemon = world.start("one").await?;
    world.apply(world.example()?.annotation("ttl", "1h")).await?;
    world.synced("udp-server").await?;
    let old = node.public()?;
    let mark = world.proxy.mark();
    world.aws.stop_instance(&node.instance.id).await?;
    world.aws.start_instance(&node.instance.id).await?;
    let new = world.aws.instance(&node.instance.id).await?.public.unwrap();
    assert_ne!(new, old);
    // The cloud's node controller sees it first.
    world.set_addresses(&node, Some(&new)).await?;
    served_on(&world, &node).await?;
    let told = |service: &k8s_openapi::api::core::v1::Service| annotation(service, "addresses") == Some(&*new);
    eventually("the new address is told", || world.service("udp-server"), told).await?;
    let writes = world.proxy.writes_since(mark);
    assert!(writes.iter().all(|call| call.operation == "ChangeResourceRecordSets"), "{writes:?}");
    assert!(lists(&world, mark).iter().all(|list| list.contains(&new)), "never to none");
    Ok(())
}

#[tokio::test]
async fn a_terminated_instance_leaves_dns_as_soon_as_its_node_is_not_ready() -> Result<()> {
    let world = World::new().await?;
    let gone = node(&world, 11).await?;
    let _daemon = world.start("one").await?;
    world.apply(world.example()?.max_ips(1).annotation("ttl", "1h")).await?;
    world.synced("udp-server").await?;
    let next = node(&world, 12).await?;
    world.aws.terminate_instance(&gone.instance.id).await?;
    world.set_ready(&gone, false).await?;
    served_on(&world, &next).await
}

#[tokio::test]
async fn a_node_without_public_address_is_skipped_with_a_reason() -> Result<()> {
    let world = World::new().await?;
    world.node("hidden", NewNode::default().without_public_address()).await?;
    let _daemon = world.start("one").await?;
    world.apply(world.example()?).await?;
    let service = world.told("udp-server", "NoEligibleNodes").await?;
    let told = condition(&service).unwrap();
    assert!(told.status == "False" && told.message.contains("without a public address"), "{told:?}");
    assert!(world.proxy.summaries_since(0).is_empty(), "{:?}", world.proxy.summaries_since(0));
    let good = node(&world, 11).await?;
    world.synced("udp-server").await?;
    served_on(&world, &good).await
}

#[tokio::test]
async fn a_node_with_several_interfaces_is_attached_on_device_index_0() -> Result<()> {
    let world = World::new().await?;
    let node = world.node("eks", NewNode::default().interfaces(3)).await?;
    let _daemon = world.start("one").await?;
    world.apply(world.example()?).await?;
    world.synced("udp-server").await?;
    let group = world.group_of(&node).await?.unwrap();
    let default = &world.network.default_group;
    for interface in &node.instance.interfaces {
        let mut expected = vec![default.clone()];
        expected.extend((interface.device_index == 0).then(|| group.id.clone()));
        expected.sort();
        assert_eq!(world.aws.interface_groups(&interface.id).await?, expected, "{}", interface.device_index);
    }
    let primary = node.instance.primary_interface()?.id.clone();
    let attach = world.proxy.writes_since(0).into_iter().find(|call| call.operation.starts_with("Modify")).unwrap();
    assert_eq!(attach.summary(), format!("ModifyNetworkInterfaceAttribute {primary}"));
    assert_eq!(attach.groups(), [default.clone(), group.id]);
    world.delete_service("udp-server").await?;
    world.nothing_left().await?;
    for interface in &node.instance.interfaces {
        assert_eq!(world.aws.interface_groups(&interface.id).await?, std::slice::from_ref(default));
    }
    Ok(())
}

#[tokio::test]
async fn a_node_that_is_about_to_be_removed_hands_over_while_it_still_serves() -> Result<()> {
    let world = World::new().await?;
    let leaving = node(&world, 11).await?;
    let _daemon = world.start("one").await?;
    world.apply(world.example()?.max_ips(1).annotation("ttl", "1")).await?;
    world.synced("udp-server").await?;
    let next = node(&world, 12).await?;
    world.label_node(&next, &[(NODE_LABEL, Some(&world.node_group))]).await?;
    let mark = world.proxy.mark();
    world.taint_node(&leaving, &["ToBeDeletedByClusterAutoscaler"]).await?;
    served_on(&world, &next).await?;
    assert_eq!(lists(&world, mark), [["203.0.113.12"]], "in one change, from the one to the other");
    Ok(())
}
