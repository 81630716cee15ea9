use super::api::{Fault, Kind};
use super::world::{World, millis, secs};
use serde_json::{Value, json};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn the_creator_of_a_lease_waits_its_duration_and_a_write_timeout() {
    let world = World::new();
    let start = Instant::now();
    let a = world.start("a");
    a.leads_within(millis(10)).await;
    a.writable_within(secs(26)).await;
    assert!(start.elapsed() >= secs(25), "15 s + 10 s");
    assert_eq!(world.api.count("a", Kind::Post, 201), 1);
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn who_takes_a_deleted_lease_waits_for_the_leader_it_was_taken_from() {
    let world = World::new();
    let (a, b) = world.leader_and_standby().await;
    world.api.cut("a");
    world.api.delete();
    b.leads_within(millis(100)).await;
    assert!(a.fence.permits(millis(1)).is_ok(), "it can't know yet");
    let wait = b.writable_within(secs(26)).await;
    assert!(wait >= millis(24_900), "{wait:?}");
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_makes_its_deleted_lease_anew_waits_too() {
    let world = World::new();
    let a = world.start("a");
    a.writable_within(secs(26)).await;
    world.api.delete();
    a.fence.lost().await;
    a.leads_within(secs(3)).await;
    let wait = a.writable_within(secs(26)).await;
    assert!(wait >= millis(24_900), "{wait:?}");
    assert_eq!(a.fence.writable().await, 2);
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_whose_holder_a_person_blanked_is_no_release() {
    for blanked in [json!({"holderIdentity": ""}), json!({"holderIdentity": null})] {
        let world = World::new();
        let (a, b) = world.leader_and_standby().await;
        world.api.cut("a");
        world.api.patch_spec(&blanked);
        b.leads_within(millis(100)).await;
        assert!(a.fence.permits(millis(1)).is_ok(), "it can't know yet");
        let wait = b.writable_within(secs(26)).await;
        assert!(wait >= millis(24_900), "{wait:?}");
        world.check().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_waits_to_write_does_not_pass_its_lease_on_as_released() {
    let world = World::new();
    let (a, mut b) = world.leader_and_standby().await;
    world.api.cut("a");
    world.api.delete();
    b.leads_within(millis(100)).await;
    let c = world.start("ccc");
    tokio::time::sleep(secs(1)).await;
    b.terminate();
    let wait = c.writable_within(secs(40)).await;
    assert!(wait >= secs(22), "{wait:?}");
    assert!(!a.fence.is_leader());
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn odd_leases_are_acquired() {
    let odd = [
        Value::Null,
        json!({}),
        json!({"holderIdentity": ""}),
        json!({"leaseDurationSeconds": 15}),
        json!({"holderIdentity": null, "renewTime": null, "acquireTime": null, "leaseTransitions": 2}),
        json!({"holderIdentity": "", "leaseDurationSeconds": 1, "leaseTransitions": i32::MAX, "renewTime": "2018-01-01T00:00:00.000000Z"}),
        json!({"holderIdentity": "", "leaseDurationSeconds": -5, "leaseTransitions": -1, "renewTime": "9999-01-01T00:00:00.000000Z"}),
        json!({"holderIdentity": "somebody"}),
        json!({"holderIdentity": "somebody", "leaseDurationSeconds": 100, "acquireTime": "nonsense"}),
    ];
    for spec in odd {
        let world = World::sampled(millis(100));
        world.api.write_spec(spec.clone());
        let a = world.start("a");
        let held = spec.get("holderIdentity") == Some(&json!("somebody"));
        let lasts = if spec.get("leaseDurationSeconds") == Some(&json!(100)) { 100 } else { 15 };
        let took = a.leads_within(secs(if held { lasts + 1 } else { 1 })).await;
        assert!(!held || took >= secs(lasts), "{spec}");
        a.leads_on_for(secs(20)).await;
        assert!(world.api.lease()["spec"]["leaseTransitions"].as_i64().unwrap() <= i64::from(i32::MAX));
        world.check().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_lease_says_when_it_was_renewed_by_the_clock_that_was_handed_in() {
    let world = World::new();
    let _a = world.start("a");
    tokio::time::sleep(millis(500)).await;
    let spec = world.api.lease()["spec"].clone();
    assert_eq!(spec["renewTime"], "2027-01-15T08:00:00.000000Z");
    assert_eq!(spec["acquireTime"], "2027-01-15T08:00:00.000000Z");
    assert_eq!(spec["leaseDurationSeconds"], 15);
}

#[tokio::test(start_paused = true)]
async fn a_shortened_duration_does_not_dethrone_a_leader() {
    let world = World::new();
    let (a, b) = world.leader_and_standby().await;
    world.api.cut("a");
    world.api.patch_spec(&json!({"leaseDurationSeconds": 1}));
    let waited = b.leads_within(secs(16)).await;
    assert!(waited >= millis(14_990), "{waited:?}");
    assert!(!a.fence.is_leader());
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_given_to_somebody_else_by_hand_is_lost_at_the_next_look() {
    let world = World::new();
    let a = world.start("a");
    a.writable_within(secs(26)).await;
    world.api.patch_spec(&json!({"holderIdentity": "somebody"}));
    a.fence.lost().await;
    a.never_leads_for(secs(12)).await;
    a.writable_within(secs(14)).await;
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_ours_by_name_only_is_waited_for() {
    let world = World::new();
    world.api.write_spec(json!({"holderIdentity": "a", "leaseDurationSeconds": 15, "leaseTransitions": 0}));
    let start = Instant::now();
    let a = world.start("a");
    a.writable_within(secs(26)).await;
    assert!(start.elapsed() >= secs(25));
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_watch_a_candidate_looks_from_time_to_time() {
    let world = World::new();
    world.api.fault("b", Some(Kind::Watch), usize::MAX, Fault { status: Some(403), ..Fault::default() });
    let (mut a, b) = world.leader_and_standby().await;
    tokio::time::sleep(secs(120)).await;
    assert!(world.api.count("b", Kind::Watch, 403) <= 10, "the API server isn't pestered");
    let looks = world.api.count("b", Kind::Get, 200);
    assert!((48..=80).contains(&looks), "{looks} looks in 123 s");
    a.terminate();
    b.writable_within(millis(2500)).await;
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_silent_does_not_hide_a_release() {
    let world = World::new();
    world.api.fault("b", Some(Kind::Watch), usize::MAX, Fault { cut: true, ..Fault::default() });
    let (mut a, b) = world.leader_and_standby().await;
    a.terminate();
    b.writable_within(secs(8)).await;
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_closed_at_once_is_no_hot_loop() {
    let world = World::new();
    world.api.fault("b", Some(Kind::Watch), usize::MAX, Fault { close_after: Some(0), ..Fault::default() });
    let (mut a, b) = world.leader_and_standby().await;
    tokio::time::sleep(secs(120)).await;
    assert!(world.api.count("b", Kind::Watch, 200) <= 10);
    a.terminate();
    b.writable_within(millis(2500)).await;
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ended_in_good_order_is_followed_by_the_next_at_once() {
    let world = World::new();
    world.api.fault("b", Some(Kind::Watch), usize::MAX, Fault { close_after: Some(5), ..Fault::default() });
    let (mut a, b) = world.leader_and_standby().await;
    tokio::time::sleep(secs(120)).await;
    assert!(world.api.count("b", Kind::Watch, 200) <= 20);
    a.terminate();
    b.writable_within(millis(100)).await;
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_made_anew_in_our_name_is_waited_for() {
    let world = World::new();
    let a = world.start("a");
    a.writable_within(secs(26)).await;
    let spec = world.api.lease()["spec"].clone();
    world.api.delete();
    world.api.write_spec(spec);
    // Up to the next look it can't know; then it must take somebody else's term in between for possible.
    tokio::time::sleep(secs(3)).await;
    assert!(a.fence.permits(millis(1)).is_err());
    a.writable_within(secs(26)).await;
    assert_eq!(a.fence.writable().await, 2, "a term of its own");
    world.check().await;
}
