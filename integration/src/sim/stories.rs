//! Stories: what people and nature do to a world in which everything is as it should be. Each is told many times, with
//! a crash or a fault at every point.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::error::Result;
use crate::sim::aws::state::{RuleKey, Source};
use crate::sim::event::{Actor, Event};
use crate::sim::kube::Resource;
use crate::sim::world::{CLUSTER, NAMESPACE, World, said};

type Step = for<'a> fn(&'a mut World) -> Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// A story.
#[derive(Clone, Copy)]
pub struct Story {
    /// What it is called.
    pub name: &'static str,
    /// Brings the world to where the story begins; nothing goes wrong here.
    pub prepare: Step,
    /// What happens. Crashes and faults begin with it.
    pub act: Step,
}

/// All stories.
pub const STORIES: &[Story] = &[
    Story { name: "create", prepare: |world| Box::pin(begin(world)), act: |world| Box::pin(create(world)) },
    Story { name: "ports change", prepare: |world| Box::pin(serving(world)), act: |world| Box::pin(ports(world)) },
    Story {
        name: "selector changes",
        prepare: |world| Box::pin(serving(world)),
        act: |world| Box::pin(selector(world)),
    },
    Story { name: "maxips changes", prepare: |world| Box::pin(serving(world)), act: |world| Box::pin(max(world)) },
    Story {
        name: "hostname changes",
        prepare: |world| Box::pin(serving(world)),
        act: |world| Box::pin(hostname(world)),
    },
    Story { name: "ranges change", prepare: |world| Box::pin(serving(world)), act: |world| Box::pin(ranges(world)) },
    Story { name: "a node is lost", prepare: |world| Box::pin(serving(world)), act: |world| Box::pin(lost(world)) },
    Story {
        name: "a node is replaced",
        prepare: |world| Box::pin(serving(world)),
        act: |world| Box::pin(replaced(world)),
    },
    Story {
        name: "an address changes",
        prepare: |world| Box::pin(serving(world)),
        act: |world| Box::pin(address(world)),
    },
    Story { name: "delete", prepare: |world| Box::pin(serving(world)), act: |world| Box::pin(delete(world)) },
    Story {
        name: "delete while down",
        prepare: |world| Box::pin(serving(world)),
        act: |world| Box::pin(delete_while_down(world)),
    },
    Story {
        name: "the 2018 version's leftovers",
        prepare: |world| Box::pin(old(world)),
        act: |world| Box::pin(take_over(world)),
    },
    Story {
        name: "two Services with one hostname",
        prepare: |world| Box::pin(begin(world)),
        act: |world| Box::pin(shared_hostname(world)),
    },
    Story { name: "hand-over", prepare: |world| Box::pin(serving(world)), act: |world| Box::pin(hand_over(world)) },
];

/// How long things take to be as asked when nothing goes wrong.
const SOON: Duration = Duration::from_secs(90);

async fn begin(world: &mut World) -> Result<()> {
    world.run(1)?;
    world.until("somebody leads", SOON, |world| world.leader().is_some()).await
}

/// One Service, `quake`, is served on two of three nodes.
async fn serving(world: &mut World) -> Result<()> {
    begin(world).await?;
    exposed(world).await?;
    world.pass(Duration::from_secs(30)).await
}

async fn exposed(world: &mut World) -> Result<()> {
    world.add_service("quake", &[("UDP", 6315)], &[("hostname", "quake.example.com"), ("maxips", "2")])?;
    world.until("quake is served", SOON, |world| world.is_ready("quake")).await
}

/// What was begun is given the time that it takes, with a drain.
async fn goes_on(world: &mut World) -> Result<()> {
    world.pass(Duration::from_secs(45)).await
}

async fn create(world: &mut World) -> Result<()> {
    world.add_service("quake", &[("UDP", 6315)], &[("hostname", "quake.example.com"), ("maxips", "2")])?;
    goes_on(world).await
}

async fn ports(world: &mut World) -> Result<()> {
    world.set_ports("quake", &[("UDP", 6316), ("TCP", 7000)])?;
    goes_on(world).await
}

async fn selector(world: &mut World) -> Result<()> {
    world.annotate("quake", &[("selector", Some("pool=odd"))])?;
    goes_on(world).await?;
    world.annotate("quake", &[("selector", Some("pool=even"))])?;
    goes_on(world).await
}

async fn max(world: &mut World) -> Result<()> {
    world.annotate("quake", &[("maxips", Some("1"))])?;
    goes_on(world).await?;
    world.annotate("quake", &[("maxips", None)])?;
    goes_on(world).await
}

async fn hostname(world: &mut World) -> Result<()> {
    world.annotate("quake", &[("hostname", Some("doom.example.com,*.quake.example.com"))])?;
    goes_on(world).await
}

async fn ranges(world: &mut World) -> Result<()> {
    world.annotate("quake", &[("source-ranges", Some("198.51.100.0/24"))])?;
    goes_on(world).await
}

/// A node that serves, if any does.
fn serving_node(world: &World) -> Option<String> {
    let published = world.kube.look(|look| {
        let view = look.service(NAMESPACE, "quake")?;
        Some(view.external_ips.iter().map(|(address, _)| address.clone()).collect::<Vec<_>>())
    })?;
    world
        .node_names()
        .into_iter()
        .find(|node| world.addresses(node).is_some_and(|(private, _)| published.contains(&private.to_string())))
}

async fn lost(world: &mut World) -> Result<()> {
    if let Some(node) = serving_node(world)
        && let Some(instance) = world.instance(&node)
    {
        world.note(format!("node {node} is lost"));
        world.aws.terminate_instance(Actor::Nature, &instance)?;
        world.pass(Duration::from_secs(5)).await?;
        world.kube.by(Actor::Nature).delete(Resource::Nodes, "", &node).map_err(|status| said(&status))?;
    }
    goes_on(world).await
}

async fn replaced(world: &mut World) -> Result<()> {
    let Some(node) = serving_node(world) else { return goes_on(world).await };
    world.add_node(1)?;
    world.pass(Duration::from_secs(2)).await?;
    world.note(format!("node {node} is drained and replaced"));
    let taint =
        serde_json::json!({"spec": {"taints": [{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]}});
    world.kube.by(Actor::Person).patch(Resource::Nodes, "", &node, &taint).map_err(|status| said(&status))?;
    goes_on(world).await?;
    let instance = world.instance(&node);
    world.kube.by(Actor::Nature).delete(Resource::Nodes, "", &node).map_err(|status| said(&status))?;
    if let Some(instance) = instance {
        world.aws.terminate_instance(Actor::Nature, &instance)?;
    }
    goes_on(world).await
}

async fn address(world: &mut World) -> Result<()> {
    if let Some(node) = serving_node(world)
        && let Some(instance) = world.instance(&node)
    {
        world.note(format!("the instance of {node} stops and starts"));
        world.aws.stop_instance(Actor::Nature, &instance)?;
        world.kube.by(Actor::Nature).set_ready(&node, false).map_err(|status| said(&status))?;
        world.pass(Duration::from_secs(10)).await?;
        world.aws.start_instance(Actor::Nature, &instance)?;
        world.show_addresses(&node)?;
        world.kube.by(Actor::Nature).set_ready(&node, true).map_err(|status| said(&status))?;
    }
    goes_on(world).await
}

async fn delete(world: &mut World) -> Result<()> {
    world.delete_service("quake")?;
    goes_on(world).await
}

async fn delete_while_down(world: &mut World) -> Result<()> {
    world.stop_all();
    world.pass(Duration::from_secs(5)).await?;
    world.delete_service("quake")?;
    world.run(1)?;
    goes_on(world).await
}

/// What the 2018 version left: a group for each Service with our tag, and the list by an update under our name.
async fn old(world: &mut World) -> Result<()> {
    let us = Actor::Replica(0);
    world.add_service("quake", &[("UDP", 6315)], &[("hostname", "quake.example.com"), ("maxips", "1")])?;
    let node = "n1";
    let tag = format!("external-ips/{CLUSTER}");
    let name = format!("quake.{NAMESPACE}.{CLUSTER}");
    let group = world.aws.create_group(us, &world.vpc, &name, &[(tag.as_str(), "owned")])?;
    let source = Source::V4("0.0.0.0/0".to_owned());
    let rule = RuleKey { protocol: "udp".to_owned(), from: 6315, to: 6315, source };
    world.aws.add_rule(us, &group, rule, "")?;
    let instance = world.instance(node).unwrap_or_default();
    world.aws.attach_group(us, &instance, &group)?;
    let private = world.addresses(node).map(|(private, _)| private.to_string()).unwrap_or_default();
    let hand = world.kube.by(us).as_manager("external-ips");
    hand.set_external_ips(NAMESPACE, "quake", &[&private]).map_err(|status| said(&status))?;
    Ok(())
}

async fn take_over(world: &mut World) -> Result<()> {
    world.run(1)?;
    goes_on(world).await
}

async fn shared_hostname(world: &mut World) -> Result<()> {
    world.add_service("quake", &[("UDP", 6315)], &[("hostname", "quake.example.com"), ("maxips", "2")])?;
    world.add_service("quake-tcp", &[("TCP", 6315)], &[("hostname", "quake.example.com"), ("maxips", "2")])?;
    goes_on(world).await?;
    world.delete_service("quake")?;
    goes_on(world).await
}

async fn hand_over(world: &mut World) -> Result<()> {
    world.run(2)?;
    world.pass(Duration::from_secs(3)).await?;
    world.annotate("quake", &[("maxips", Some("3"))])?;
    world.pass(Duration::from_millis(300)).await?;
    if let Some(leader) = world.leader()
        && let Some(replica) = world.replica(leader)
    {
        replica.terminate();
    }
    goes_on(world).await
}

impl World {
    /// A word in the journal.
    pub fn note(&self, what: String) {
        self.stage.journal.record(Event::Note(what));
    }
}
