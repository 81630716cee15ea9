use super::api::{Fault, Kind};
use super::world::{World, millis, secs};
use serde_json::json;
use std::sync::Arc;
use tokio::sync::Barrier;

fn abandoned() -> serde_json::Value {
    json!({"holderIdentity": "", "leaseDurationSeconds": 1, "leaseTransitions": 3, "renewTime": "2018-01-01T00:00:00.000000Z"})
}

#[tokio::test(start_paused = true)]
async fn of_two_that_found_the_lease_free_exactly_one_leads() {
    let world = World::new();
    world.api.write_spec(abandoned());
    let gate = Arc::new(Barrier::new(2));
    for who in ["a", "b"] {
        world.api.fault(who, Some(Kind::Patch), 1, Fault { gate: Some(gate.clone()), ..Fault::default() });
    }
    let (a, b) = (world.start("a"), world.start("b"));
    tokio::time::sleep(secs(1)).await;
    assert_eq!(world.api.count("a", Kind::Patch, 409) + world.api.count("b", Kind::Patch, 409), 1);
    assert!(a.fence.is_leader() != b.fence.is_leader());
    assert_eq!(world.api.holder(), if a.fence.is_leader() { "a" } else { "b" });
    tokio::time::sleep(secs(60)).await;
    assert!(a.fence.is_leader() != b.fence.is_leader());
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn of_two_that_found_no_lease_exactly_one_leads() {
    let world = World::new();
    let gate = Arc::new(Barrier::new(2));
    for who in ["a", "b"] {
        world.api.fault(who, Some(Kind::Post), 1, Fault { gate: Some(gate.clone()), ..Fault::default() });
    }
    let (a, b) = (world.start("a"), world.start("b"));
    tokio::time::sleep(secs(1)).await;
    assert_eq!(world.api.count("a", Kind::Post, 409) + world.api.count("b", Kind::Post, 409), 1);
    assert!(a.fence.is_leader() != b.fence.is_leader());
    tokio::time::sleep(secs(60)).await;
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_is_never_renewed() {
    let world = World::new();
    let (a, b) = world.leader_and_standby().await;
    // The renewal is on its way for 40 s, everything after it is lost.
    world.api.fault("a", Some(Kind::Patch), 1, Fault { before: secs(40), ..Fault::default() });
    tokio::time::sleep(millis(2500)).await;
    world.api.cut("a");
    b.writable_within(secs(26)).await;
    assert!(!a.fence.is_leader());
    tokio::time::sleep(secs(30)).await;
    assert_eq!(world.api.count("a", Kind::Patch, 409), 1, "the late renewal is refused");
    assert_eq!(world.api.holder(), "b");
    assert!(b.fence.is_leader());
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_late_release_changes_nothing() {
    let world = World::new();
    let (mut a, b) = world.leader_and_standby().await;
    world.api.fault("a", Some(Kind::Patch), usize::MAX, Fault { before: secs(40), ..Fault::default() });
    a.terminate();
    b.writable_within(secs(26)).await;
    tokio::time::sleep(secs(40)).await;
    assert!(world.api.count("a", Kind::Patch, 409) >= 1, "the late release is refused");
    assert_eq!(world.api.holder(), "b");
    assert!(b.fence.is_leader());
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_holder_whose_lease_is_edited_meanwhile_tries_again_at_once() {
    let world = World::new();
    let (a, b) = world.leader_and_standby().await;
    world.api.fault("a", Some(Kind::Patch), 2, Fault { edit: true, ..Fault::default() });
    a.leads_on_for(secs(30)).await;
    let log: Vec<_> = world.api.log().into_iter().filter(|e| e.who == "a" && e.kind == Kind::Patch).collect();
    let refused = log.iter().position(|e| e.status == 409).unwrap();
    assert_eq!([log[refused + 1].status, log[refused + 2].status], [409, 200]);
    assert_eq!(log[refused].at, log[refused + 2].at, "without a pause");
    assert!(!b.fence.is_leader());
    assert_eq!(a.fence.writable().await, 1, "the same term");
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_reads_its_lease_only_when_something_came_between() {
    let world = World::new();
    let (a, _b) = world.leader_and_standby().await;
    let reads = || world.api.count("a", Kind::Get, 200);
    let before = reads();
    a.leads_on_for(secs(60)).await;
    assert_eq!(reads(), before, "what its own write showed is known");
    world.api.annotate();
    a.leads_on_for(secs(20)).await;
    assert_eq!(reads(), before + 1, "the renewal was refused");
    world.api.fault("a", Some(Kind::Patch), 1, Fault { lose: true, ..Fault::default() });
    a.leads_on_for(secs(20)).await;
    assert_eq!(reads(), before + 2, "nobody knew what became of the renewal");
    world.api.fault("a", Some(Kind::Patch), 1, Fault { status: Some(500), ..Fault::default() });
    a.leads_on_for(secs(20)).await;
    assert_eq!(reads(), before + 3);
    assert_eq!(world.api.count("a", Kind::Patch, 409), 1);
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn conflicts_without_end_are_no_hot_loop() {
    let world = World::new();
    let (_a, _b) = world.leader_and_standby().await;
    world.api.fault("a", Some(Kind::Patch), usize::MAX, Fault { edit: true, ..Fault::default() });
    let before = world.api.log().len();
    tokio::time::sleep(secs(10)).await;
    let requests = world.api.log().iter().skip(before).filter(|e| e.who == "a").count();
    assert!(requests <= 60, "{requests} requests in 10 s");
    world.check().await;
}
