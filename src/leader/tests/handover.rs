use super::api::{Fault, Kind};
use super::world::{World, millis, secs};
use std::sync::atomic::Ordering;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_release_is_followed_within_100_ms() {
    let world = World::new();
    let (mut a, b) = world.leader_and_standby().await;
    tokio::time::sleep(secs(60)).await;
    a.terminate();
    b.writable_within(millis(100)).await;
    (&mut a.task).await.unwrap();
    assert_eq!(world.api.holder(), "b");
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_released_lease_has_no_holder_and_lasts_one_second() {
    let world = World::new();
    let mut a = world.start("a");
    a.writable_within(secs(26)).await;
    a.terminate();
    (&mut a.task).await.unwrap();
    let spec = world.api.lease()["spec"].clone();
    assert_eq!((spec["holderIdentity"].as_str(), spec["leaseDurationSeconds"].as_i64()), (Some(""), Some(1)));
    assert!(!a.fence.is_leader());
}

#[tokio::test(start_paused = true)]
async fn a_watching_candidate_hardly_asks() {
    let world = World::new();
    let (_a, _b) = world.leader_and_standby().await;
    let before = world.api.log().len();
    tokio::time::sleep(secs(120)).await;
    let asked = world.api.log().iter().skip(before).filter(|e| e.who == "b").count();
    assert!(asked <= 4, "{asked} requests in 120 s");
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_released_only_after_the_last_write_is_answered() {
    let world = World::new();
    let (mut a, b) = world.leader_and_standby().await;
    let flight = a.fence.begin(secs(9)).unwrap();
    a.terminate();
    tokio::time::sleep(millis(1)).await;
    assert!(!a.fence.is_leader(), "no other write starts");
    assert!(a.fence.permits(millis(1)).is_err());
    tokio::time::sleep(secs(4)).await;
    assert_eq!(world.api.holder(), "a");
    flight.answered();
    b.writable_within(millis(100)).await;
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_given_up_is_waited_for_until_its_time_is_over() {
    let world = World::new();
    let (mut a, b) = world.leader_and_standby().await;
    let begun = Instant::now();
    drop(a.fence.begin(secs(9)).unwrap());
    a.terminate();
    b.writable_within(secs(10)).await;
    let waited = begun.elapsed();
    assert!(waited >= secs(9) && waited < millis(9200), "{waited:?}");
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_never_answered_leaves_the_lease_to_expire() {
    let world = World::new();
    let (mut a, b) = world.leader_and_standby().await;
    let flight = a.fence.begin(secs(9)).unwrap();
    a.terminate();
    tokio::time::timeout(secs(13), &mut a.task).await.expect("ends at its deadline").unwrap();
    assert_eq!(world.api.holder(), "a");
    let wait = b.writable_within(secs(26)).await;
    assert!(wait > secs(10), "{wait:?}");
    drop(flight);
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_ends_writes_nothing() {
    let world = World::new();
    let (a, mut b) = world.leader_and_standby().await;
    b.terminate();
    tokio::time::timeout(millis(10), &mut b.task).await.expect("at once").unwrap();
    assert!(world.api.log().iter().all(|e| e.who != "b" || matches!(e.kind, Kind::Get | Kind::Watch)));
    assert!(a.fence.is_leader());
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_process_ends_even_if_the_api_server_is_silent() {
    let world = World::new();
    let (mut a, _b) = world.leader_and_standby().await;
    world.api.cut("a");
    tokio::time::sleep(secs(3)).await;
    a.terminate();
    tokio::time::timeout(secs(10), &mut a.task).await.expect("within two calls").unwrap();
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_loop_does_not_move_gives_the_lease_up() {
    let world = World::new();
    let (a, b) = world.leader_and_standby().await;
    a.leads_on_for(secs(60)).await;
    a.idle.store(61_000, Ordering::SeqCst);
    b.writable_within(secs(3)).await;
    assert!(!a.fence.is_leader());
    // It doesn't come back as long as its loop doesn't move, even if nobody else is left ...
    b.kill();
    a.never_leads_for(secs(55)).await;
    // ... and does once it moves.
    a.idle.store(0, Ordering::SeqCst);
    a.writable_within(secs(30)).await;
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_had_nothing_to_do_as_a_candidate_is_not_stalled() {
    let world = World::new();
    let (mut a, b) = world.leader_and_standby().await;
    b.idle.store(10_000_000, Ordering::SeqCst);
    a.terminate();
    b.writable_within(millis(100)).await;
    b.leads_on_for(secs(55)).await;
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_stalled_leader_with_a_write_on_its_way_waits_for_it_before_the_release() {
    let world = World::new();
    let (a, b) = world.leader_and_standby().await;
    tokio::time::sleep(secs(60)).await;
    let flight = loop {
        if let Ok(flight) = a.fence.begin(secs(8)) {
            break flight;
        }
        tokio::time::sleep(millis(10)).await;
    };
    a.idle.store(61_000, Ordering::SeqCst);
    b.never_leads_for(secs(6)).await;
    assert!(!a.fence.is_leader());
    flight.answered();
    b.writable_within(millis(100)).await;
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_release_without_an_answer_is_not_led_on() {
    let world = World::new();
    let (mut a, b) = world.leader_and_standby().await;
    tokio::time::sleep(millis(10)).await;
    a.terminate();
    world.api.fault("a", Some(Kind::Patch), 1, Fault { lose: true, ..Fault::default() });
    (&mut a.task).await.unwrap();
    assert!(!a.fence.is_leader());
    b.writable_within(millis(100)).await;
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_decided_in_a_former_term_is_not_written_in_the_next() {
    let world = World::new();
    let a = world.start("a");
    a.writable_within(secs(26)).await;
    let first = a.fence.writable().await;
    a.fence.enter(first);
    assert!(a.fence.permits(secs(1)).is_ok());
    let spec = |holder: &str| serde_json::json!({"holderIdentity": holder, "leaseDurationSeconds": 1});
    world.api.write_spec(spec("somebody else"));
    a.fence.over(first).await;
    world.api.write_spec(spec(""));
    let second = a.fence.writable().await;
    assert_ne!(first, second);
    assert!(a.fence.is_leader());
    assert!(a.fence.permits(secs(1)).unwrap_err().to_string().starts_with("not the leader: "));
    assert!(a.fence.begin_when_fresh(secs(1)).await.is_err());
    a.fence.over(first).await;
    a.fence.enter(second);
    assert!(a.fence.permits(secs(1)).is_ok());
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn who_annotates_the_lease_of_a_dead_leader_keeps_nobody_from_taking_over() {
    let world = World::new();
    let (a, b) = world.leader_and_standby().await;
    a.kill();
    let died = Instant::now();
    while !b.fence.is_leader() {
        assert!(died.elapsed() < secs(20), "it never expires");
        world.api.annotate();
        tokio::time::sleep(secs(1)).await;
    }
    assert!(died.elapsed() >= secs(12), "it is given its time: {:?}", died.elapsed());
    world.check().await;
}
