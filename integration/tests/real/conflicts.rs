//! Services that want the same thing.

use integration::Result;
use integration::aws::Rule;
use integration::eventually::eventually;
use integration::world::{NewNode, Node, World, condition, external_ips};

const DOMAIN: &str = "external-ips-test.my-org.com.";

/// The node with private address 10.0.0.N and public address 203.0.113.N.
async fn node(world: &World, number: u8) -> Result<Node> {
    let new = NewNode::default().private(&format!("10.0.0.{number}")).public(&format!("203.0.113.{number}"));
    world.node(&format!("n{number}"), new).await
}

#[tokio::test]
async fn two_services_that_want_one_port_share_no_node_and_the_second_is_told_who_is_in_its_way() -> Result<()> {
    let world = World::new().await?;
    node(&world, 11).await?;
    node(&world, 12).await?;
    let _daemon = world.start("one").await?;
    let wants =
        |name: &str| -> Result<_> { Ok(world.example()?.name(name).hostname(&format!("{name}.{DOMAIN}")).max_ips(1)) };
    let mut served = Vec::new();
    for name in ["a", "b"] {
        world.apply(wants(name)?).await?;
        served.push(external_ips(&world.synced(name).await?));
    }
    assert!(served[0] != served[1] && served.iter().all(|ips| ips.len() == 1), "{served:?}");

    let mark = world.proxy.mark();
    world.apply(wants("c")?).await?;
    let service = world.told("c", "PortConflict").await?;
    let told = condition(&service).unwrap();
    let names_one = ["a", "b"].iter().any(|name| told.message.contains(&format!("{}/{name}", world.namespace)));
    assert!(told.status == "False" && told.message.contains("6315/UDP") && names_one, "{told:?}");
    assert!(external_ips(&service).is_empty());
    assert!(world.proxy.summaries_since(mark).is_empty(), "{:?}", world.proxy.summaries_since(mark));
    for (name, ips) in ["a", "b"].iter().zip(&served) {
        assert_eq!(external_ips(&world.service(name).await?), *ips, "nobody is driven off");
    }

    // Another protocol is another port.
    world.apply(wants("d")?.port("TCP", 6315)).await?;
    world.synced("d").await?;

    // Who waited takes the place of who goes.
    world.delete_service("a").await?;
    assert_eq!(external_ips(&world.synced("c").await?), served[0]);
    Ok(())
}

#[tokio::test]
async fn services_that_share_a_hostname_in_a_namespace_are_placed_together() -> Result<()> {
    let world = World::new().await?;
    let nodes = [node(&world, 11).await?, node(&world, 12).await?, node(&world, 13).await?];
    let name = format!("pair.{DOMAIN}");
    let one_of_the_pair = |kind: &str, port: &str| -> Result<_> {
        Ok(world.example()?.name(kind).hostname(&name).port(port, 53).max_ips(2))
    };
    world.apply(one_of_the_pair("dns-udp", "UDP")?).await?;
    world.apply(one_of_the_pair("dns-tcp", "TCP")?).await?;
    let _daemon = world.start("one").await?;
    let placed = external_ips(&world.synced("dns-udp").await?);
    assert_eq!(external_ips(&world.synced("dns-tcp").await?), placed);
    assert_eq!(placed.len(), 2);
    let mut listed = Vec::new();
    for node in &nodes {
        let Some(group) = world.group_of(node).await? else { continue };
        let rule = |protocol: &str| Rule {
            description: format!("external-ips: {}/dns-{protocol}", world.namespace),
            ..Rule::new(protocol, 53, "0.0.0.0/0")
        };
        assert_eq!(group.rules, [rule("tcp"), rule("udp")]);
        listed.push(node.public()?.to_owned());
    }
    assert_eq!(world.addresses_of(&name).await?, listed);
    assert_eq!(world.records().await?.len(), 2, "one record and one twin for both");

    // The name stays as long as one of them asks for it.
    let twin = world.records().await?.remove(0);
    let (goes, stays) =
        if twin.values[0].contains("/dns-udp") { ("dns-udp", "dns-tcp") } else { ("dns-tcp", "dns-udp") };
    world.delete_service(goes).await?;
    let handed_over = |records: &Vec<integration::aws::Record>| {
        records.len() == 2 && records[0].values[0].contains(&format!("/{stays}\""))
    };
    eventually("the twin names the other", || world.records(), handed_over).await?;
    assert_eq!(world.addresses_of(&name).await?, listed);
    let one_rule_each =
        || async { Ok(world.owned_groups().await?.iter().map(|group| group.rules.len()).collect::<Vec<_>>()) };
    eventually("the rules of the one are gone", one_rule_each, |rules| *rules == [1, 1]).await?;
    assert_eq!(external_ips(&world.synced(stays).await?), placed);
    Ok(())
}

#[tokio::test]
async fn a_hostname_of_another_namespace_is_refused() -> Result<()> {
    let world = World::alone().await?;
    node(&world, 11).await?;
    let other = World { namespace: format!("{}-other", world.namespace), ..world.clone() };
    let namespace = serde_json::from_value(serde_json::json!({"metadata": {"name": other.namespace}}))?;
    let namespaces: kube::Api<k8s_openapi::api::core::v1::Namespace> = kube::Api::all(world.client.clone());
    namespaces.create(&kube::api::PostParams::default(), &namespace).await?;
    world.released_lease().await?;
    let _daemon = world.daemon("one").await?.without_flag("namespace").start().await?;
    world.apply(world.example()?).await?;
    let first = world.synced("udp-server").await?;
    let mark = world.proxy.mark();
    other.apply(world.example()?.port("UDP", 7000)).await?;
    let service = other.told("udp-server", "HostnameTaken").await?;
    let told = condition(&service).unwrap();
    assert!(told.message.contains(&format!("{}/udp-server", world.namespace)), "{told:?}");
    assert!(world.proxy.summaries_since(mark).is_empty(), "{:?}", world.proxy.summaries_since(mark));
    assert_eq!(external_ips(&world.service("udp-server").await?), external_ips(&first));
    Ok(())
}
