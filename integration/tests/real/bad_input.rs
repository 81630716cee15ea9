//! What people write and what nodes look like disturbs nobody else, is told where it belongs, and heals.

use futures::future::try_join_all;
use integration::aws::Rule;
use integration::eventually::eventually;
use integration::world::{NewNode, ServiceBuilder, World, condition, external_ips};
use integration::{Context, Result};
use k8s_openapi::api::core::v1::Service;
use kube::api::PostParams;
use serde_json::json;

use super::kit::*;

/// A bad Service: its name, what is changed of a good one, the reason and a part of the message.
struct Bad {
    name: &'static str,
    change: Box<dyn Fn(ServiceBuilder) -> ServiceBuilder + Send + Sync>,
    reason: &'static str,
    says: &'static str,
    /// Whether a good annotation heals it.
    heals: bool,
}

fn bad(
    name: &'static str,
    reason: &'static str,
    says: &'static str,
    change: impl Fn(ServiceBuilder) -> ServiceBuilder + Send + Sync + 'static,
) -> Bad {
    Bad { name, change: Box::new(change), reason, says, heals: true }
}

fn annotated(name: &'static str, annotation: &'static str, value: &str, says: &'static str) -> Bad {
    let value = value.to_owned();
    bad(name, "InvalidAnnotation", says, move |service| service.annotation(annotation, &value))
}

const ZONE: &str = "external-ips-test.my-org.com";

fn table() -> Vec<Bad> {
    let host = |name, value: &str, says| annotated(name, "hostname", value, says);
    let label = "l".repeat(64);
    let long = format!("{}.{ZONE}", ["x".repeat(60), "x".repeat(60), "x".repeat(60), "x".repeat(42)].join("."));
    assert_eq!(long.len(), 254);
    vec![
        host("empty", "", "it is empty"),
        host("leading-dot", &format!(".game.{ZONE}"), "an empty label"),
        host("two-dots", &format!("game..{ZONE}"), "an empty label"),
        host("only-dots", "..", "is not a DNS name"),
        host("long-label", &format!("{label}.{ZONE}"), "has 64 characters; at most 63"),
        host("long-name", &long, "it has 254 characters; at most 253"),
        host("space", &format!("my game.{ZONE}"), "it holds a space"),
        host("unicode", &format!("spiel-\u{fc}.{ZONE}"), "write it in punycode"),
        host("star-inside", &format!("game.*.{ZONE}"), "only as the whole first label"),
        host("slash", &format!("a/b.{ZONE}"), "letters, digits"),
        host("one-of-two", &format!("good.{ZONE},bad..{ZONE}"), "an empty label"),
        host("empty-in-list", &format!("good2.{ZONE},,other.{ZONE}"), "it is empty"),
        bad("no-zone", "ZoneNotFound", "no hosted zone holds", |service| service.hostname("game.elsewhere.example")),
        bad("zone-itself", "HostnameForbidden", "is the name of the hosted zone itself", |service| {
            service.hostname(ZONE)
        }),
        annotated("selector-open", "selector", "zone in (a,b", "annotation `selector`"),
        annotated("selector-empty-key", "selector", "=x", "annotation `selector`"),
        annotated("selector-operator", "selector", "zone like a", "annotation `selector`"),
        annotated("selector-comma", "selector", "a=b,,c=d", "annotation `selector`"),
        annotated("maxips-zero", "maxips", "0", "a number of nodes from 1 on"),
        annotated("maxips-negative", "maxips", "-1", "a number of nodes from 1 on"),
        annotated("maxips-word", "maxips", "two", "a number of nodes from 1 on"),
        annotated("ttl-word", "ttl", "soon", "annotation `ttl`"),
        annotated("ranges", "source-ranges", "10.0.0.0/33", "is not an address range"),
        bad("reserved-port", "ReservedPort", "the kubelet", |service| service.port("tcp", 10250)),
        Bad {
            heals: false,
            ..bad("headless", "UnsupportedService", "clusterIP: None", |service| {
                service.kind("ClusterIP").spec(|spec| spec.cluster_ip = Some("None".to_owned()))
            })
        },
        // Only a headless one may have no ports.
        Bad {
            heals: false,
            ..bad("no-ports", "UnsupportedService", "can't be exposed|no ports|clusterIP: None", |service| {
                service.kind("ClusterIP").spec(|spec| {
                    spec.cluster_ip = Some("None".to_owned());
                    spec.ports = None;
                })
            })
        },
        Bad {
            heals: false,
            ..bad("alias", "UnsupportedService", "ExternalName", |service| {
                service.kind("ExternalName").spec(|spec| {
                    spec.external_name = Some("elsewhere.example".to_owned());
                    spec.ports = None;
                    spec.selector = None;
                })
            })
        },
    ]
}

/// A good Service of its own name, hostname and port.
fn good(world: &World, name: &str, port: u16) -> Result<ServiceBuilder> {
    Ok(world.example()?.name(name).kind("ClusterIP").hostname(&format!("{name}.{ZONE}")).port("udp", port).max_ips(1))
}

async fn is_told(world: &World, case: &Bad) -> Result<()> {
    let service = told(world, case.name, "False", case.reason).await?;
    let clear = |text: &str| case.says.split('|').any(|part| text.contains(part));
    assert!(clear(message(&service)), "{}: {}", case.name, message(&service));
    let events = || world.events(case.name);
    let event = |(reason, note): &(String, String)| reason == case.reason && clear(note);
    eventually(format!("an Event on {}", case.name), events, |events| events.iter().any(event)).await?;
    assert!(external_ips(&service).is_empty());
    Ok(())
}

#[tokio::test]
async fn a_bad_service_is_told_so_disturbs_no_other_and_heals_with_a_good_annotation() -> Result<()> {
    let world = World::new().await?;
    let node = world.node("a", NewNode::default()).await?;
    let daemon = leader(&world).await?;
    let table = table();
    for (number, case) in (7000..).zip(&table) {
        world.apply((case.change)(good(&world, case.name, number)?)).await.context(case.name)?;
    }
    world.apply(world.example()?).await?;
    synced(&world, EXAMPLE).await?;
    example_alone_on(&world, &[&node], 6315).await?;
    try_join_all(table.iter().map(|case| is_told(&world, case))).await?;
    is_well(&daemon)?;

    // One that was served and then breaks keeps what it has, and nothing new is done for it.
    world.annotate(EXAMPLE, "hostname", Some("..")).await?;
    let service = told(&world, EXAMPLE, "False", "InvalidAnnotation").await?;
    assert_eq!(external_ips(&service), [node.private()?]);
    world.annotate(EXAMPLE, "hostname", Some(EXAMPLE_HOST)).await?;
    synced(&world, EXAMPLE).await?;

    let mut ports = vec![6315];
    for (number, case) in (7000..).zip(&table) {
        if case.heals {
            world.apply(good(&world, case.name, number)?).await.context(case.name)?;
            ports.push(number);
        } else {
            world.delete_service(case.name).await?;
        }
    }
    try_join_all(table.iter().filter(|case| case.heals).map(|case| synced(&world, case.name))).await?;
    // As if they had never been bad: all ports are open, and no record of the bad ones is there.
    let groups = world.owned_groups().await?;
    let open = |port: &u16| {
        let covers = |rule: &Rule| rule.protocol == "udp" && (rule.ports.0..=rule.ports.1).contains(&i64::from(*port));
        groups.iter().flat_map(|group| &group.rules).any(covers)
    };
    assert!(ports.iter().all(open), "{ports:?} {groups:#?}");
    let mut names: Vec<String> = world.records().await?.into_iter().map(|record| record.name).collect();
    names.sort();
    let mut wanted = Vec::new();
    for name in table.iter().filter(|case| case.heals).map(|case| case.name).chain([EXAMPLE]) {
        wanted.extend([format!("{name}.{ZONE}."), format!("a-{name}.{ZONE}.")]);
    }
    wanted.sort();
    assert_eq!(names, wanted);
    is_well(&daemon)
}

/// A node that is no EC2 instance in reach, Ready, with the label `odd=<name>`.
async fn odd_node(world: &World, name: &str, provider_id: Option<&str>) -> Result<()> {
    let full = format!("{}-{name}", world.namespace);
    let mut object = json!({
        "metadata": {"name": full, "labels": {"odd": name, "world": world.namespace}},
        "spec": {"taints": []}
    });
    if let Some(id) = provider_id {
        object["spec"]["providerID"] = json!(id);
    }
    let status = json!({"status": {"conditions": [
        {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": ""}
    ]}});
    world.nodes().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    let parameters = kube::api::PatchParams::default();
    world.nodes().patch_status(&full, &parameters, &kube::api::Patch::Strategic(status)).await?;
    Ok(())
}

#[tokio::test]
async fn nodes_that_are_no_instances_in_reach_are_skipped_with_the_reason() -> Result<()> {
    let world = World::new().await?;
    let own = format!("world={}", world.namespace);
    let node = world.node("good", NewNode::default().label("world", &world.namespace)).await?;
    let hidden = NewNode::default().without_public_address().label("odd", "hidden").label("world", &world.namespace);
    world.node("hidden", hidden).await?;
    let nodes = [
        ("without-id", None, "1 without a providerID"),
        ("nameless", Some("aws:///us-east-1a/"), "1 with a providerID that names no instance"),
        ("fargate", Some("aws:///us-east-1a/4c0d1/fargate-ip-10-0-0-1.ec2.internal"), "1 on Fargate"),
        ("hybrid", Some("eks-hybrid:///us-east-1/prod/mi-0123456789abcdef0"), "1 hybrid"),
        ("foreign", Some("gce://project/zone/name"), "1 of another provider than AWS"),
    ];
    for (name, provider_id, _) in nodes {
        odd_node(&world, name, provider_id).await?;
    }
    let daemon = leader(&world).await?;
    for (port, (name, _, _)) in (7000..).zip(nodes) {
        world.apply(good(&world, name, port)?.annotation("selector", &format!("odd={name}"))).await?;
    }
    world.apply(good(&world, "hidden", 7100)?.annotation("selector", "odd=hidden")).await?;
    // All of them match, and one is good.
    world.apply(world.example()?.annotation("selector", &own).without_annotation("maxips")).await?;
    synced(&world, EXAMPLE).await?;
    example_alone_on(&world, &[&node], 6315).await?;
    let hidden = ("hidden", None, "1 without a public address");
    for (name, _, why) in nodes.into_iter().chain([hidden]) {
        let service = told(&world, name, "False", "NoEligibleNodes").await?;
        assert!(message(&service).contains(why), "{name}: {}", message(&service));
    }
    // None of them can be had: the message says it for all.
    let others = format!("{own},odd");
    world.apply(good(&world, "others", 7200)?.annotation("selector", &others)).await?;
    let service = told(&world, "others", "False", "NoEligibleNodes").await?;
    assert!(message(&service).contains("6 nodes match the selector"), "{}", message(&service));

    world.annotate("others", "selector", Some(&own)).await?;
    let healed: Service = synced(&world, "others").await?;
    assert_eq!(external_ips(&healed), [node.private()?]);
    let patch = kube::api::Patch::Merge(json!({"spec": {"providerID": node.provider_id()}}));
    assert!(condition(&world.service("without-id").await?).is_some());
    // A node gets its providerID later than its object: here that of an instance that has a node already.
    let late = format!("{}-without-id", world.namespace);
    world.nodes().patch(&late, &kube::api::PatchParams::default(), &patch).await?;
    let look = || async { Ok(message(&world.service("without-id").await?).to_owned()) };
    eventually("it is seen", look, |text| text.contains("1 with the instance of the node")).await?;
    is_well(&daemon)
}
