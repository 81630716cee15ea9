//! A world made anew: the nodes and the Services that another one has now, and nothing of what was before. What it
//! comes to is what the other should have come to, whatever the way there.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::error::{Result, fail};
use crate::sim::aws::NewInstance;
use crate::sim::aws::state::Power;
use crate::sim::check::wish;
use crate::sim::event::{Actor, Creator};
use crate::sim::kube::{NodeView, Resource, ServiceView};
use crate::sim::world::said;
use crate::sim::{Setting, World};

/// The parts of a Service's spec that people write.
const SPEC: [&str; 4] = ["type", "ports", "selector", "loadBalancerSourceRanges"];

/// A world with the nodes and Services of `world`, in the order in which they were made, without processes.
///
/// # Errors
/// When something of it can't be made.
pub async fn anew(world: &World, seed: u64) -> Result<World> {
    let mut anew = World::new(&Setting { nodes: 0, ..Setting::calm(seed) })?;
    let mut nodes: Vec<(String, NodeView)> = world.kube.look(|look| {
        let created = |node: &NodeView| {
            look.raw(Resource::Nodes, "", &node.name).map(|raw| raw["metadata"]["creationTimestamp"].to_string())
        };
        look.nodes().map(|node| (created(node).unwrap_or_default(), node.clone())).collect()
    });
    nodes.sort_by(|(one, a), (other, b)| (one, &a.name).cmp(&(other, &b.name)));
    for (_, node) in &nodes {
        same_node(world, &anew, node)?;
    }
    let mut services: Vec<ServiceView> = world.kube.look(|look| look.services().map(Cow::into_owned).collect());
    services.retain(|service| service.namespace != "default");
    services.sort_by_key(|service| (service.created, service.name.clone()));
    let mut before = services.first().map(|service| service.created);
    for service in &services {
        // Who is older shows in seconds.
        if before.replace(service.created) != Some(service.created) {
            anew.pass(Duration::from_secs(1)).await?;
        }
        same_service(world, &anew, service)?;
    }
    Ok(anew)
}

fn same_node(world: &World, anew: &World, node: &NodeView) -> Result<()> {
    let Some(id) = wish::instance_of(node) else { return fail(format!("the node {} has no instance", node.name)) };
    let found = world.aws.look(|state| state.instances.get(id).cloned());
    let Some(before) = found else { return fail(format!("the instance of {} is gone", node.name)) };
    let new = NewInstance {
        zone: before.zone.clone(),
        interfaces: before.interfaces.len().max(1),
        ..NewInstance::in_vpc(&anew.vpc)
    };
    let instance = anew.aws.run_instance(Actor::Person, new)?;
    let raw = world.kube.look(|look| look.raw(Resource::Nodes, "", &node.name).cloned()).unwrap_or_default();
    let mut spec = raw["spec"].as_object().cloned().unwrap_or_default();
    spec.insert("providerID".to_owned(), json!(format!("aws:///{}/{instance}", before.zone)));
    let object = json!({"metadata": {"name": node.name, "labels": raw["metadata"]["labels"]}, "spec": spec});
    let nature = anew.kube.by(Actor::Nature);
    nature.create(Resource::Nodes, object).map_err(|status| said(&status))?;
    nature.set_ready(&node.name, node.ready).map_err(|status| said(&status))?;
    if before.power != Power::Running {
        anew.aws.stop_instance(Actor::Nature, &instance)?;
    }
    anew.show_addresses(&node.name)
}

fn same_service(world: &World, anew: &World, service: &ServiceView) -> Result<()> {
    let raw = world.kube.look(|look| look.raw(Resource::Services, &service.namespace, &service.name).cloned());
    let raw = raw.unwrap_or_default();
    let mut annotations = raw["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    annotations
        .retain(|name, _| !["assigned", "addresses"].iter().any(|ours| *name == format!("{}{ours}", wish::PREFIX)));
    let mut spec: Map<String, Value> = Map::new();
    for part in SPEC {
        spec.extend(raw["spec"].get(part).map(|value| (part.to_owned(), value.clone())));
    }
    if service.ready_nodes.is_some() {
        spec.insert("externalTrafficPolicy".to_owned(), json!("Local"));
    }
    let theirs: Vec<&String> =
        service.external_ips.iter().filter(|(_, creator)| *creator != Creator::Us).map(|(ip, _)| ip).collect();
    if !theirs.is_empty() {
        spec.insert("externalIPs".to_owned(), json!(theirs));
    }
    let object = json!({
        "metadata": {"name": service.name, "namespace": service.namespace, "annotations": annotations},
        "spec": spec,
    });
    anew.kube.by(Actor::Person).create(Resource::Services, object).map_err(|status| said(&status))?;
    match &service.ready_nodes {
        Some(nodes) => anew.show_endpoints(&service.namespace, &service.name, nodes),
        None => Ok(()),
    }
}
