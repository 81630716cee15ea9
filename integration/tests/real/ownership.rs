//! What isn't ours stays as it is, whatever we do beside it.

use std::collections::BTreeMap;

use integration::Result;
use integration::aws::{Record, Rule};
use integration::eventually::eventually;
use integration::world::{NewNode, Node, World, condition, external_ips};
use k8s_openapi::api::core::v1::Service;
use kube::api::{Patch, PatchParams};
use serde_json::json;

const DOMAIN: &str = "external-ips-test.my-org.com.";
const NAME: &str = "udp-server.external-ips-test.my-org.com.";

/// The node with private address 10.0.0.N and public address 203.0.113.N.
async fn node(world: &World, number: u8) -> Result<Node> {
    let new = NewNode::default().private(&format!("10.0.0.{number}")).public(&format!("203.0.113.{number}"));
    world.node(&format!("n{number}"), new).await
}

/// Sets fields of a Service as somebody else: a merge patch with a field manager's name.
async fn patch_as(world: &World, manager: &str, service: &str, patch: serde_json::Value) -> Result<Service> {
    let parameters = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
    Ok(world.services().patch(service, &parameters, &Patch::Merge(patch)).await?)
}

#[tokio::test]
async fn what_is_not_ours_stays_as_it_was_through_a_whole_life() -> Result<()> {
    let world = World::new().await?;
    let nodes = [node(&world, 11).await?, node(&world, 12).await?];
    let aws = &world.aws;

    // A neighbour: another cluster's group with rules like ours, on the same interface, and one without any tag.
    let tags = BTreeMap::from([("external-ips/neighbour".to_owned(), "owned".to_owned())]);
    let name = format!("external-ips/neighbour/{}", nodes[0].instance.id);
    let neighbours = aws.create_security_group(&world.network, &name, &tags).await?;
    let persons = aws.create_security_group(&world.network, "a-person", &BTreeMap::new()).await?;
    let lookalike = Rule {
        description: format!("external-ips: {}/udp-server", world.namespace),
        ..Rule::new("udp", 6315, "0.0.0.0/0")
    };
    for group in [&neighbours, &persons, &world.network.default_group] {
        aws.authorize(group, &lookalike).await?;
        aws.authorize(group, &Rule::new("tcp", 22, "198.51.100.0/24")).await?;
    }
    for node in &nodes {
        let groups = [neighbours.clone(), persons.clone(), world.network.default_group.clone()];
        aws.set_interface_groups(&node.instance.primary_interface()?.id, &groups).await?;
    }
    // Records around ours: an ExternalDNS of another owner, a TXT of a person, other types of our own name.
    let twin = |owner: &str, name: &str| {
        format!(
            "\"heritage=external-dns,external-dns/owner={owner},external-dns/resource=service/{}/{name}\"",
            world.namespace
        )
    };
    let records = [
        Record::new(&format!("other.{DOMAIN}"), "A", 300, &["203.0.113.11"]),
        Record::new(&format!("a-other.{DOMAIN}"), "TXT", 300, &[&twin("somebody-else", "other")]),
        Record::new(&format!("plain.{DOMAIN}"), "A", 300, &["203.0.113.11"]),
        Record::new(&format!("a-plain.{DOMAIN}"), "TXT", 300, &["\"v=spf1 -all\""]),
        Record::new(NAME, "TXT", 300, &["\"a text beside our record\""]),
        Record::new(NAME, "MX", 300, &[&format!("10 mail.{DOMAIN}")]),
        Record::new(&format!("www.{DOMAIN}"), "CNAME", 300, &[NAME]),
    ];
    for record in &records {
        aws.create_record(&world.zone, record).await?;
    }
    // A Service that doesn't ask, with addresses of nodes that a person set.
    world.apply(world.example()?.name("by-hand").without_annotation("hostname").port("TCP", 80)).await?;
    patch_as(&world, "a-person", "by-hand", json!({"spec": {"externalIPs": ["10.0.0.11", "192.0.2.1"]}})).await?;

    let look = || async {
        let mut groups = aws.security_groups().await?;
        groups.retain(|group| !group.tags.contains_key(&format!("external-ips/{}", world.cluster_name)));
        let ours = [(NAME.to_owned(), "A".to_owned()), (format!("a-{NAME}"), "TXT".to_owned())];
        let mut records = world.records().await?;
        records.retain(|record| !ours.contains(&(record.name.clone(), record.kind.clone())));
        Ok::<_, integration::Error>((groups, records, world.service("by-hand").await?))
    };
    let on_interfaces = || async {
        let ours: Vec<String> = world.owned_groups().await?.into_iter().map(|group| group.id).collect();
        let mut all = Vec::new();
        for node in &nodes {
            let mut groups = world.groups_on(node).await?;
            groups.retain(|group| !ours.contains(group));
            all.push(groups);
        }
        Ok::<_, integration::Error>(all)
    };
    let (before, interfaces) = (look().await?, on_interfaces().await?);
    assert_eq!(interfaces[0].len(), 3);

    let _daemon = world.start("one").await?;
    world.apply(world.example()?.annotation("ttl", "1")).await?;
    world.synced("udp-server").await?;
    assert!(look().await? == before && on_interfaces().await? == interfaces, "while it serves");
    world.annotate("udp-server", "maxips", Some("1")).await?;
    eventually("one node leaves", || world.owned_groups(), |groups| groups.len() == 1).await?;
    assert!(look().await? == before && on_interfaces().await? == interfaces, "when one node left");
    world.delete_service("udp-server").await?;
    eventually("its group is gone", || world.owned_groups(), Vec::is_empty).await?;
    eventually("its record is gone", || world.addresses_of(NAME), Vec::is_empty).await?;
    let after = look().await?;
    assert_eq!(after.0, before.0);
    assert_eq!(after.1, before.1);
    assert_eq!(after.2, before.2);
    assert_eq!(on_interfaces().await?, interfaces);
    assert_eq!(world.records().await?.len(), records.len());
    Ok(())
}

#[tokio::test]
async fn a_record_that_is_not_ours_is_never_touched_and_told() -> Result<()> {
    let world = World::new().await?;
    node(&world, 11).await?;
    let theirs = |name: &str, kind: &str, value: &str| Record::new(&format!("{name}.{DOMAIN}"), kind, 300, &[value]);
    let twin = "\"heritage=external-dns,external-dns/owner=somebody-else,external-dns/resource=service/x/y\"";
    let cases = [
        ("plain", vec![theirs("plain", "A", "192.0.2.1")]),
        ("alias", vec![theirs("alias", "CNAME", "elsewhere.example.com")]),
        ("owned", vec![theirs("owned", "A", "192.0.2.1"), theirs("a-owned", "TXT", twin)]),
        ("text", vec![theirs("a-text", "TXT", "\"something else\"")]),
    ];
    for record in cases.iter().flat_map(|(_, records)| records) {
        world.aws.create_record(&world.zone, record).await?;
    }
    let before = world.records().await?;
    for (number, (name, _)) in (7000..).zip(&cases) {
        world.apply(world.example()?.name(name).hostname(&format!("{name}.{DOMAIN}")).port("UDP", number)).await?;
    }
    world.apply(world.example()?).await?;
    let _daemon = world.start("one").await?;
    for (name, _) in &cases {
        let service = world.told(name, "HostnameTaken").await?;
        let told = condition(&service).unwrap();
        assert!(told.status == "False" && told.message.contains(&format!("{name}.external-ips-test")), "{told:?}");
        assert!(external_ips(&service).is_empty());
        let is_told = |(reason, _): &(String, String)| reason == "HostnameTaken";
        eventually("an Event", || world.events(name), |events| events.iter().any(is_told)).await?;
    }
    world.synced("udp-server").await?;
    let mut after = world.records().await?;
    after.retain(|record| !record.name.contains("udp-server"));
    assert_eq!(after, before);
    let group = world.owned_groups().await?.remove(0);
    assert_eq!(group.rules.len(), 1, "nothing is opened for those who are refused: {group:?}");
    Ok(())
}

#[tokio::test]
async fn external_ips_set_by_a_person_are_never_touched_and_told() -> Result<()> {
    let world = World::new().await?;
    node(&world, 11).await?;
    world.apply(world.example()?.name("patched")).await?;
    let by_hand = json!({"spec": {"externalIPs": ["10.0.0.11"]}});
    patch_as(&world, "kubectl-edit", "patched", by_hand).await?;
    let applied = world.example()?.name("applied").hostname(&format!("applied.{DOMAIN}")).port("UDP", 7000);
    world.apply(applied.clone().spec(|spec| spec.external_ips = Some(vec!["192.0.2.1".to_owned()]))).await?;
    let _daemon = world.start("one").await?;
    for (name, manager, addresses) in [("patched", "kubectl-edit", "10.0.0.11"), ("applied", "test", "192.0.2.1")] {
        let service = world.told(name, "ExternalIPsTaken").await?;
        let told = condition(&service).unwrap();
        assert!(told.message.contains(addresses) && told.message.contains(manager), "{told:?}");
        assert_eq!(external_ips(&service), [addresses]);
    }
    assert!(world.proxy.summaries_since(0).is_empty(), "{:?}", world.proxy.summaries_since(0));

    // As they are told: without the list they are served. The port of the first was its own all the time.
    world.apply(applied).await?;
    assert_eq!(external_ips(&world.synced("applied").await?), ["10.0.0.11"]);
    patch_as(&world, "kubectl-edit", "patched", json!({"spec": {"externalIPs": null}})).await?;
    assert_eq!(external_ips(&world.synced("patched").await?), ["10.0.0.11"]);
    Ok(())
}

#[tokio::test]
async fn a_foreign_group_on_the_interface_survives_attach_and_detach() -> Result<()> {
    let world = World::new().await?;
    let node = node(&world, 11).await?;
    let interface = node.instance.primary_interface()?.id.clone();
    let default = world.network.default_group.clone();
    let first = world.aws.create_security_group(&world.network, "first", &BTreeMap::new()).await?;
    let second = world.aws.create_security_group(&world.network, "second", &BTreeMap::new()).await?;
    let sorted = |groups: &[&String]| {
        let mut groups: Vec<String> = groups.iter().map(|group| (*group).clone()).collect();
        groups.sort();
        groups
    };
    let _daemon = world.start("one").await?;
    world.apply(world.example()?.name("early").hostname(&format!("early.{DOMAIN}")).port("UDP", 7000)).await?;
    world.synced("early").await?;
    world.annotate("early", "hostname", None).await?;
    world.nothing_left().await?;

    // Somebody attaches groups of his own after our last look, before we attach and before we detach.
    world.aws.set_interface_groups(&interface, &[default.clone(), first.clone()]).await?;
    world.apply(world.example()?).await?;
    world.synced("udp-server").await?;
    let ours = world.group_of(&node).await?.unwrap().id;
    assert_eq!(world.groups_on(&node).await?, sorted(&[&default, &first, &ours]));
    let groups = [default.clone(), first.clone(), second.clone(), ours];
    world.aws.set_interface_groups(&interface, &groups).await?;
    world.delete_service("udp-server").await?;
    world.nothing_left().await?;
    assert_eq!(world.groups_on(&node).await?, sorted(&[&default, &first, &second]));
    Ok(())
}

#[tokio::test]
async fn a_rule_that_a_person_put_into_our_group_stays_and_the_group_with_it() -> Result<()> {
    let world = World::new().await?;
    let node = node(&world, 11).await?;
    let daemon = world.start("one").await?;
    world.apply(world.example()?).await?;
    world.synced("udp-server").await?;
    let group = world.group_of(&node).await?.unwrap();
    let rule = Rule { description: "a person's".to_owned(), ..Rule::new("tcp", 8080, "198.51.100.0/24") };
    world.aws.authorize(&group.id, &rule).await?;
    daemon.terminate()?;
    assert!(daemon.end().await?.success());

    let daemon = world.start("two").await?;
    world.delete_service("udp-server").await?;
    let rules = || async { Ok(world.group_of(&node).await?.map(|group| group.rules)) };
    eventually("our rule is gone", rules, |rules| *rules == Some(vec![rule.clone()])).await?;
    eventually("and our records", || world.records(), Vec::is_empty).await?;
    let rounds = daemon.rounds().await?;
    world.label_node(&node, &[("unrelated", Some("1"))]).await?;
    eventually("one more round", || daemon.rounds(), |now| *now > rounds).await?;
    assert!(world.groups_on(&node).await?.contains(&group.id), "or it would let nobody in");
    assert_eq!(rules().await?, Some(vec![rule]));
    Ok(())
}

#[tokio::test]
async fn leftovers_of_the_2018_version_are_taken_over() -> Result<()> {
    let world = World::alone().await?;
    let node = node(&world, 11).await?;
    // One group for each Service, our tag, and the list by Update under our name.
    let tags = BTreeMap::from([(format!("external-ips/{}", world.cluster_name), "owned".to_owned())]);
    let name = format!("udp-server.{}.{}", world.namespace, world.cluster_name);
    let old = world.aws.create_security_group(&world.network, &name, &tags).await?;
    world.aws.authorize(&old, &Rule::new("udp", 6315, "0.0.0.0/0")).await?;
    let groups = [world.network.default_group.clone(), old.clone()];
    world.aws.set_interface_groups(&node.instance.primary_interface()?.id, &groups).await?;
    world.apply(world.example()?).await?;
    patch_as(&world, "external-ips", "udp-server", json!({"spec": {"externalIPs": ["10.0.0.11"]}})).await?;

    world.released_lease().await?;
    let _daemon = world.daemon("one").await?.without_flag("namespace").start().await?;
    let service = world.synced("udp-server").await?;
    assert_eq!(external_ips(&service), ["10.0.0.11"]);
    let groups = || async { Ok(world.owned_groups().await?.into_iter().map(|group| group.name).collect::<Vec<_>>()) };
    let new = format!("external-ips/{}/{}", world.cluster_name, node.instance.id);
    eventually("the old group is gone", groups, |groups| *groups == [new.clone()]).await?;
    let (opened, closed) = {
        let writes = world.proxy.writes_since(0);
        let first = |operation: &str| writes.iter().position(|call| call.operation == operation).unwrap();
        let taken_off = |call: &integration::recording_proxy::AwsCall| {
            call.operation == "ModifyInstanceAttribute" && !call.groups().contains(&old)
        };
        (first("ModifyInstanceAttribute"), writes.iter().position(taken_off).unwrap())
    };
    assert!(opened < closed, "the new group is there before the old one goes");

    // What was taken over can be given back.
    world.annotate("udp-server", "hostname", None).await?;
    world.nothing_left().await?;
    let look = || async { Ok(external_ips(&world.service("udp-server").await?)) };
    eventually("the list is gone", look, Vec::is_empty).await?;
    Ok(())
}

#[tokio::test]
async fn addresses_of_the_2018_version_that_are_no_nodes_are_left_and_told() -> Result<()> {
    let world = World::new().await?;
    node(&world, 11).await?;
    world.apply(world.example()?).await?;
    let list = json!({"spec": {"externalIPs": ["10.0.0.11", "192.0.2.1"]}});
    patch_as(&world, "external-ips", "udp-server", list).await?;
    let _daemon = world.start("one").await?;
    let service = world.told("udp-server", "ExternalIPsTaken").await?;
    assert!(condition(&service).unwrap().message.contains("192.0.2.1"));
    assert_eq!(external_ips(&service), ["10.0.0.11", "192.0.2.1"]);
    assert!(world.proxy.summaries_since(0).is_empty(), "{:?}", world.proxy.summaries_since(0));
    Ok(())
}
