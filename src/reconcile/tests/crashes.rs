//! A fault at each write in turn: a crash while it is on its way or just answered, an answer that is lost. What is
//! there in the end is the same as without.

use super::world::{Process, World};
use crate::cluster::tests::world::{asking, instance, millis, secs};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What is there, without ids that differ from run to run.
#[derive(Debug, PartialEq)]
struct End {
    /// Rules by name of the group.
    groups: BTreeMap<String, Vec<String>>,
    /// Names of the groups by instance.
    attached: BTreeMap<String, Vec<String>>,
    records: String,
    services: Vec<(Value, Value)>,
}

fn end(world: &World) -> End {
    let state = world.aws.state();
    let names: BTreeMap<_, _> = state.ec2.groups.iter().map(|(id, group)| (id.clone(), group.name.clone())).collect();
    let rules =
        |group: &crate::cloud::tests::ec2::SecurityGroup| group.rules.keys().map(|r| format!("{r:?}")).collect();
    let groups = state.ec2.groups.values().map(|group| (group.name.clone(), rules(group))).collect();
    let named = |ids: &Vec<String>| ids.iter().map(|id| names[id].clone()).collect();
    let attached = state.ec2.instances.iter().map(|(id, vm)| (id.clone(), named(&vm.groups))).collect();
    let records = format!("{:?}", state.route53.zones["Z1"].records);
    let services = ["quake", "doom"].map(|name| (world.ips(name), world.condition(name)["reason"].clone()));
    End { groups, attached, records, services: services.into() }
}

/// `quake` and `doom` are served by two nodes.
fn exposing() -> World {
    World::new(2, &[asking("quake"), asking("doom")])
}

fn exposed(world: &World) -> bool {
    world.synced("quake") && world.synced("doom")
}

/// The same world, once `quake` asks no more and `doom` is to be on one node only.
async fn shrinking() -> World {
    let world = exposing();
    drop(world.converged(&["quake", "doom"]).await);
    world.api.edit(|objects| {
        objects.change("services", "games", "quake", |service| {
            let hostname = "external-ips.alpha.openfresh.github.io/hostname";
            service["metadata"]["annotations"].as_object_mut().unwrap().remove(hostname);
        });
        objects.change("services", "games", "doom", |service| {
            service["metadata"]["annotations"]["external-ips.alpha.openfresh.github.io/maxips"] = json!("1");
        });
    });
    world
}

fn shrunken(world: &World) -> bool {
    let groups = world.aws.state().ec2.groups.len();
    let attached = (1..=2).map(|n| world.aws.vm(&instance(n), |vm| vm.groups.len())).sum::<usize>();
    world.ips("quake").is_null()
        && world.condition("quake").is_null()
        && world.synced("doom")
        && groups == 2
        && attached == 3
}

async fn run(world: &World, who: &str, done: impl Fn(&World) -> bool) -> Process {
    let process = world.process(who).run();
    world.brought(done).await;
    world.pass(secs(1)).await;
    process
}

/// Every fault at every write of a history leads to the same end.
async fn survives<F: Future<Output = World>>(begin: impl Fn() -> F, done: impl Fn(&World) -> bool + Copy) {
    let world = begin().await;
    let before = world.aws_writes();
    let process = run(&world, "a", done).await;
    drop(process);
    let reference = end(&world);
    let writes = world.aws_writes() - before;
    assert!(writes >= 5, "{writes}");
    for n in 1..=writes {
        for after in [true, false] {
            let world = begin().await;
            world.lose(world.aws_writes() + n, after);
            let _process = run(&world, "a", done).await;
            assert_eq!(end(&world), reference, "the answer to write {n} was lost, effect: {after}");
            assert!(world.aws_writes() - before <= writes + 3, "write {n}, effect: {after}");
        }
        for pause in [0, 25] {
            let world = begin().await;
            let process = world.process("a").run();
            let from = world.aws_writes();
            world.until("it is sent", || world.aws_writes() >= from + n).await;
            world.pass(millis(pause)).await;
            drop(process);
            let _successor = run(&world, "b", done).await;
            assert_eq!(end(&world), reference, "crashed {pause} ms after write {n}");
        }
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn exposing_survives_a_fault_at_every_write() {
    survives(async || exposing(), exposed).await;
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn withdrawing_survives_a_fault_at_every_write() {
    survives(shrinking, shrunken).await;
}
