//! Leadership comes and goes.

use super::world::{READS, World};
use crate::cluster::tests::world::{asking, secs};
use crate::leader::tests::api::{Fault, Kind};
use serde_json::{Value, json};

/// Somebody else holds the Lease from now on, for very long; or, without a holder, gives it up.
fn lease(world: &World, holder: &str) {
    let seconds = if holder.is_empty() { 1 } else { 3600 };
    world.leases.write_spec(json!({
        "holderIdentity": holder, "leaseDurationSeconds": seconds, "leaseTransitions": 7,
        "acquireTime": "2027-01-15T08:00:00.000000Z", "renewTime": "2027-01-15T08:00:00.000000Z",
    }));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn nothing_is_written_by_a_candidate() {
    let world = World::new(1, &[asking("quake")]);
    lease(&world, "somebody else");
    let process = world.process("a").run();
    world.pass(secs(120)).await;
    assert!(process.cluster.synced(), "its view is warm");
    assert_eq!(world.journal(), Vec::<String>::new());
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_lost_lease_ends_the_round_without_another_write() {
    let world = World::new(1, &[asking("quake")]);
    world.slow_down("CreateSecurityGroup", secs(4));
    let process = world.process("a").run();
    world.until("a write is on its way", || world.sent("CreateSecurityGroup") == 1).await;
    lease(&world, "somebody else");
    world.until("it is answered", || !world.aws.state().ec2.groups.is_empty() && !process.fence.is_leader()).await;
    world.pass(secs(300)).await;
    let changes = world.changes();
    assert_eq!(changes, ["CreateSecurityGroup"]);
    let numbers = process.metrics.render(None).1;
    assert!(!numbers.contains("external_ips_reconcile_total{"), "it is no success: {numbers}");
    assert_eq!(world.lines.count("no longer the leader: writing has stopped"), 1);
    assert!(!process.ended(), "it stays as a candidate");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_new_term_reads_everything_before_its_first_write() {
    let world = World::new(1, &[asking("quake")]);
    let process = world.converged(&["quake"]).await;
    lease(&world, "somebody else");
    world.until("it is lost", || !process.fence.is_leader()).await;
    // Meanwhile somebody closes everything, which no memory of this process tells.
    let group = world.aws.vm(&crate::cluster::tests::world::instance(1), |vm| vm.groups.pop().unwrap());
    world.aws.sg(&group, |group| group.rules.clear());
    world.api.edit(|objects| objects.put("services", asking("doom")));
    world.pass(secs(60)).await;
    assert_eq!(world.journal(), Vec::<String>::new());
    lease(&world, "");
    world.until("both are served", || world.synced("quake") && world.synced("doom")).await;
    let journal = world.journal();
    let write = journal.iter().position(|line| !READS.contains(&line.as_str())).unwrap();
    for read in READS {
        assert!(journal[..write].iter().any(|line| line == read), "{read} in {journal:#?}");
    }
    world.pass(secs(1)).await;
    assert!(world.aws.vm(&crate::cluster::tests::world::instance(1), |vm| vm.groups.contains(&group)));
    assert_eq!(world.aws.sg(&group, |group| group.rules.len()), 2);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_successor_finds_all_as_it_should_be_and_writes_nothing() {
    let world = World::new(2, &[asking("quake"), asking("doom")]);
    let first = world.converged(&["quake", "doom"]).await;
    drop(first);
    let second = world.process("b").run();
    world.until("it leads", || second.fence.is_leader()).await;
    world.pass(secs(120)).await;
    let journal = world.journal();
    assert!(journal.iter().any(|line| line == "ListHostedZones"), "{journal:?}");
    assert!(journal.iter().all(|line| READS.contains(&line.as_str())), "{journal:#?}");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_api_server_that_does_not_renew_stops_the_writes_in_time() {
    let world = World::new(1, &[asking("quake")]);
    let process = world.converged(&["quake"]).await;
    world.leases.cut("a");
    world.pass(secs(13)).await;
    assert!(!process.fence.is_leader());
    world.api.edit(|objects| objects.put("services", asking("doom")));
    world.pass(secs(120)).await;
    assert_eq!(world.changes(), Vec::<String>::new());
    world.leases.heal("a");
    world.until("it leads again and goes on", || world.synced("doom")).await;
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn what_a_former_term_had_to_tell_is_not_told_in_the_next() {
    let world = World::new(1, &[asking("quake")]);
    world.slow_down("AuthorizeSecurityGroupIngress", secs(4));
    let process = world.process("a").run();
    world.until("a write is on its way", || world.sent("AuthorizeSecurityGroupIngress") == 1).await;
    lease(&world, "somebody else");
    world.until("it is lost", || !process.fence.is_leader()).await;
    world.pass(secs(60)).await;
    // Others finish it.
    world.slow_down("AuthorizeSecurityGroupIngress", secs(0));
    lease(&world, "");
    world.until("it is served", || world.synced("quake")).await;
    world.pass(secs(5)).await;
    let events = world.api.events("quake");
    assert!(!events.contains(&"FirewallOpened".to_owned()), "the later term has found it open: {events:?}");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_slow_lease_keeps_its_holder_writing() {
    let world = World::new(1, &[asking("quake")]);
    let slow = Fault { after: secs(2), ..Fault::default() };
    world.leases.fault("a", Some(Kind::Patch), usize::MAX, slow);
    let _process = world.process("a").run();
    world.until("it is served", || world.synced("quake")).await;
    assert_eq!(world.leases.lease().pointer("/spec/holderIdentity").and_then(Value::as_str), Some("a"));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_round_does_not_outlive_its_term() {
    let world = World::new(1, &[asking("quake")]);
    for read in ["ListHostedZones", "ListResourceRecordSets"] {
        world.slow_down(read, secs(8));
    }
    let process = world.process("a").run();
    world.until("it reads", || world.sent("ListHostedZones") == 1).await;
    lease(&world, "somebody else");
    world.until("it is lost", || !process.fence.is_leader()).await;
    lease(&world, "");
    world.until("it leads again", || process.fence.is_leader()).await;
    assert_eq!(world.sent("ListResourceRecordSets"), 0, "the round of the former term is still reading");
    world.until("something is written", || world.aws_writes() > 0).await;
    assert_eq!(world.sent("ListResourceRecordSets"), 2, "what was read in the former term doesn't count");
    assert_eq!(world.lines.count("no longer the leader: writing has stopped"), 1);
    world.until("it is served", || world.synced("quake")).await;
}
