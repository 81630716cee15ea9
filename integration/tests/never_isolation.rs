//! L5, isolation: with any one thing poisoned, all others come to what they come to without it, and as fast.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use std::sync::Arc;
use std::time::Duration;

use integration::sim::aws::{NewInstance, Policy};
use integration::sim::check::ends::EndState;
use integration::sim::check::settled::{self, Poisoned};
use integration::sim::event::Actor;
use integration::sim::kube::{Resource, UNDECODABLE};
use integration::sim::world::{CLUSTER, NAMESPACE};
use integration::sim::{Setting, World, simulate};
use integration::{Result, fail};
use serde_json::json;

/// Something that can't be right, and what of the world it is.
#[derive(Clone, Copy)]
struct Poison {
    name: &'static str,
    /// Puts it into the world.
    strike: fn(&mut World) -> Result<()>,
    service: Option<&'static str>,
    node: Option<&'static str>,
}

const SERVICE: Poison = Poison { name: "", strike: |_| Ok(()), service: Some("poison"), node: None };
const NODE: Poison = Poison { service: None, node: Some("n5"), ..SERVICE };

const POISONS: &[Poison] = &[
    Poison {
        name: "an annotation that can't be understood",
        strike: |world| annotated(world, "maxips", "many"),
        ..SERVICE
    },
    Poison {
        name: "a selector that can't be understood",
        strike: |world| annotated(world, "selector", "=="),
        ..SERVICE
    },
    Poison {
        name: "a selector that matches nothing",
        strike: |world| annotated(world, "selector", "pool=none"),
        ..SERVICE
    },
    Poison { name: "a name that is none", strike: |world| annotated(world, "hostname", "!!"), ..SERVICE },
    Poison { name: "a name without a zone", strike: |world| annotated(world, "hostname", "x.nowhere.net"), ..SERVICE },
    Poison {
        name: "a zone that may not be read",
        strike: |world| denied(world, "route53:ListResourceRecordSets"),
        ..SERVICE
    },
    Poison {
        name: "a zone that may not be changed",
        strike: |world| denied(world, "route53:ChangeResourceRecordSets"),
        ..SERVICE
    },
    Poison { name: "a Service that doesn't decode", strike: undecodable_service, ..SERVICE },
    Poison { name: "a Service whose addresses are refused", strike: refused, ..SERVICE },
    Poison { name: "a Service whose status can't be written", strike: unwritable, ..SERVICE },
    Poison { name: "a Service with a port that is reserved", strike: reserved, ..SERVICE },
    Poison { name: "a node that doesn't decode", strike: undecodable_node, ..NODE },
    Poison { name: "a node without an instance", strike: unknown_instance, ..NODE },
    Poison { name: "a node whose interface has no room", strike: full_interface, ..NODE },
];

fn annotated(world: &mut World, annotation: &str, value: &str) -> Result<()> {
    world.add_service("poison", &[("UDP", 9000)], &[("hostname", "poison.example.com")])?;
    world.annotate("poison", &[(annotation, Some(value))])
}

fn denied(world: &mut World, action: &str) -> Result<()> {
    let zone = world.aws.create_zone(Actor::Person, "denied.org", false)?;
    let leader = world.leader().unwrap();
    let policy = Policy::of_deploy(CLUSTER)?.without_on(&[action], &format!("arn:aws:route53:::hostedzone/{zone}"));
    world.aws.set_policy(Actor::Replica(leader), policy);
    annotated(world, "hostname", "poison.denied.org")
}

fn undecodable_service(world: &mut World) -> Result<()> {
    let service = json!({
        "metadata": {"name": "poison", "namespace": NAMESPACE, "annotations": {
            "external-ips.alpha.openfresh.github.io/hostname": "poison.example.com", UNDECODABLE: "true",
        }},
        "spec": {"ports": [{"port": 9000, "protocol": "UDP"}]},
    });
    world.kube.by(Actor::Person).create(Resource::Services, service).unwrap();
    Ok(())
}

/// Nobody but people may change `spec` (or `status`) of the poisoned Service.
fn hooked(world: &mut World, subresource: &'static str) -> Result<()> {
    let hook: integration::sim::kube::Hook = Arc::new(move |review, value| {
        let hit = review.resource == Resource::Services
            && review.subresource == subresource
            && value["metadata"]["name"] == "poison"
            && review.old.is_some();
        if hit { Err("not this one".to_owned()) } else { Ok(()) }
    });
    world.kube.add_hook("poison", hook);
    annotated(world, "maxips", "1")
}

fn refused(world: &mut World) -> Result<()> {
    hooked(world, "")
}

fn unwritable(world: &mut World) -> Result<()> {
    hooked(world, "status")
}

fn reserved(world: &mut World) -> Result<()> {
    world.add_service("poison", &[("TCP", 22)], &[("hostname", "poison.example.com")])
}

fn undecodable_node(world: &mut World) -> Result<()> {
    let instance = world.aws.run_instance(Actor::Person, NewInstance::in_vpc(&world.vpc))?;
    let node = json!({
        "metadata": {"name": "n5", "labels": {"pool": "odd"}, "annotations": {UNDECODABLE: "true"}},
        "spec": {"providerID": format!("aws:///eu-west-1a/{instance}")},
    });
    world.kube.by(Actor::Nature).create(Resource::Nodes, node).unwrap();
    world.kube.by(Actor::Nature).set_ready("n5", true).unwrap();
    world.show_addresses("n5")
}

fn unknown_instance(world: &mut World) -> Result<()> {
    let node = json!({
        "metadata": {"name": "n5", "labels": {"pool": "odd"}},
        "spec": {"providerID": "aws:///eu-west-1a/i-0123456789abcdef0"},
    });
    world.kube.by(Actor::Nature).create(Resource::Nodes, node).unwrap();
    world.kube.by(Actor::Nature).set_ready("n5", true).unwrap();
    Ok(())
}

fn full_interface(world: &mut World) -> Result<()> {
    let node = world.add_node(1)?;
    let instance = world.instance(&node).unwrap();
    for n in 0..4 {
        let group = world.aws.create_group(Actor::Controller, &world.vpc, &format!("other-{n}"), &[])?;
        world.aws.attach_group(Actor::Controller, &instance, &group)?;
    }
    Ok(())
}

/// How long each step may take.
const SOON: Duration = Duration::from_secs(90);

/// How much later than without the poison: a round, and what it waits for before it begins.
const A_ROUND: Duration = Duration::from_secs(2);

type Step = fn(&World) -> Result<()>;

/// Several Services exist and change.
const STEPS: &[(&str, Step)] = &[
    ("four Services are made", |world| {
        world.add_service("a", &[("UDP", 7000)], &[("hostname", "a.example.com"), ("maxips", "2")])?;
        world.add_service("b", &[("TCP", 7100)], &[("hostname", "b.example.com,www.b.example.com")])?;
        world.add_service("c", &[("UDP", 7200)], &[("hostname", "c.example.com"), ("selector", "pool=odd")])?;
        world.add_service("d", &[("UDP", 7300)], &[("hostname", "d.example.com")])
    }),
    ("ports change", |world| world.set_ports("a", &[("UDP", 7001), ("TCP", 7002)])),
    ("fewer nodes", |world| world.annotate("b", &[("maxips", Some("1"))])),
    ("another name and selector", |world| {
        world.annotate("c", &[("hostname", Some("c2.example.com")), ("selector", Some("pool=even"))])
    }),
    ("deleted", |world| world.delete_service("a")),
    ("made again", |world| world.add_service("a", &[("UDP", 7005)], &[("hostname", "a.example.com"), ("maxips", "3")])),
];

/// How long each step took, and what it all came to without the poisoned.
type Told = (Vec<Duration>, EndState);

fn told(poison: Option<(&Poison, usize)>) -> Result<Told> {
    let mut lines = Vec::new();
    let told = simulate(|| async {
        let mut world = World::new(&Setting { nodes: 4, restart: false, ..Setting::calm(1) })?;
        world.run(1)?;
        world.until("somebody leads", SOON, |world| world.leader().is_some()).await?;
        let told = tell(&mut world, poison).await;
        lines = world.story();
        told
    });
    if told.is_err() && std::env::var_os("TELL").is_some() {
        println!("==== {}\n{}", poison.map_or("", |(poison, _)| poison.name), lines.join("\n"));
    }
    told
}

async fn tell(world: &mut World, poison: Option<(&Poison, usize)>) -> Result<Told> {
    let mut poisoned = Poisoned::default();
    let mut times = Vec::new();
    for (n, (name, step)) in STEPS.iter().enumerate() {
        if let Some((poison, at)) = poison
            && n == at
        {
            world.note(format!("poisoned: {}", poison.name));
            (poison.strike)(world)?;
            poisoned.services.extend(poison.service.map(|service| (NAMESPACE.to_owned(), service.to_owned())));
            poisoned.nodes.extend(poison.node.map(str::to_owned));
            world.pass(Duration::from_secs(20)).await?;
        }
        world.note((*name).to_owned());
        step(world)?;
        let began = world.stage.clock.now();
        let flaws = |world: &World| settled::flaws_but(&world.aws, &world.kube, CLUSTER, CLUSTER, &poisoned);
        while let Some((rule, what)) = flaws(world).first() {
            if world.stage.clock.now() > began + SOON {
                return fail(format!("{name}: not within {} s: {rule}: {what}", SOON.as_secs()));
            }
            world.pass(Duration::from_millis(100)).await?;
        }
        times.push(world.stage.clock.now() - began);
        // Old drains are over before the next step.
        world.pass(Duration::from_secs(30)).await?;
    }
    let broken: Vec<String> = world.checker.violations().iter().map(ToString::to_string).collect();
    if !broken.is_empty() {
        return fail(broken.join("\n"));
    }
    if world.living() != 1 {
        return fail("the process has ended");
    }
    Ok((times, world.end_state().without(&format!("{NAMESPACE}/poison"))))
}

#[test]
fn with_one_thing_poisoned_all_others_come_to_the_same_and_as_fast() {
    let (usual, end) = told(None).unwrap();
    println!("without: {usual:.1?}");
    let mut broken = Vec::new();
    for poison in POISONS {
        // From the beginning, or when all others are served.
        for at in [0, 1] {
            let when = if at == 0 { "from the beginning" } else { "later" };
            match told(Some((poison, at))) {
                Err(error) => broken.push(format!("{} {when}: {error}", poison.name)),
                Ok((times, its)) => {
                    println!("{} {when}: {times:.1?}", poison.name);
                    let differences = end.differences(&its);
                    if !differences.is_empty() {
                        broken.push(format!("{} {when}:\n{}", poison.name, differences.join("\n")));
                    }
                    for ((took, usual), (step, _)) in times.iter().zip(&usual).zip(STEPS) {
                        if *took > *usual + A_ROUND {
                            let what = format!("{step} took {took:?}, without it {usual:?}");
                            broken.push(format!("{} {when}: {what}", poison.name));
                        }
                    }
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n\n"));
}
