use super::api::{Fault, Kind};
use super::world::{World, millis, secs};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn an_acquisition_without_an_answer_is_no_leadership_until_a_read_says_so() {
    let world = World::new();
    world.api.write_spec(json!({"holderIdentity": "", "leaseDurationSeconds": 1, "leaseTransitions": 3}));
    world.api.fault("a", Some(Kind::Patch), 1, Fault { lose: true, ..Fault::default() });
    world.api.fault("a", Some(Kind::Get), 1, Fault::default());
    world.api.fault("a", Some(Kind::Get), 2, Fault { status: Some(500), ..Fault::default() });
    let a = world.start("a");
    tokio::time::sleep(millis(100)).await;
    assert_eq!(world.api.holder(), "a", "the write took effect");
    let waited = a.leads_within(secs(10)).await;
    assert_eq!(world.api.count("a", Kind::Get, 500), 2);
    assert!(waited > secs(3));
    a.writable_within(millis(1)).await;
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_creation_without_an_answer_still_waits_before_the_first_write() {
    let world = World::new();
    world.api.fault("a", Some(Kind::Post), 1, Fault { lose: true, ..Fault::default() });
    let start = Instant::now();
    let a = world.start("a");
    a.leads_within(secs(4)).await;
    a.writable_within(secs(26)).await;
    assert!(start.elapsed() >= secs(25));
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_renewal_without_an_answer_prolongs_nothing() {
    let world = World::new();
    let (a, _b) = world.leader_and_standby().await;
    let last = world.api.log().iter().rfind(|e| e.who == "a" && e.kind == Kind::Patch).unwrap().at;
    world.api.fault("a", Some(Kind::Patch), usize::MAX, Fault { lose: true, ..Fault::default() });
    a.fence.lost().await;
    let ended = world.api.age();
    assert!(ended >= last + secs(12) && ended <= last + secs(12) + millis(5), "{last:?} {ended:?}");
    assert!(world.api.count("a", Kind::Patch, 200) > 5, "though each took effect");
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_stops_at_its_deadline() {
    let world = World::new();
    let (a, b) = world.leader_and_standby().await;
    let last = world.api.log().iter().rfind(|e| e.who == "a" && e.kind == Kind::Patch).unwrap().at;
    world.api.cut("a");
    let mut heard = a.fence.subscribe();
    heard.mark_unchanged();
    while a.fence.permits(millis(1)).is_ok() {
        tokio::time::sleep(millis(1)).await;
    }
    let ended = world.api.age();
    assert!(ended >= last + millis(11_990) && ended <= last + secs(12), "{last:?} {ended:?}");
    assert!(a.fence.permits(millis(1)).unwrap_err().to_string().starts_with("not the leader"));
    tokio::time::sleep(millis(5)).await;
    assert_eq!(*heard.borrow_and_update(), crate::leader::Leadership::Candidate);
    b.writable_within(secs(30)).await;
    // Back again it waits its turn, warm.
    world.api.heal("a");
    a.never_leads_for(secs(20)).await;
    assert!(b.fence.is_leader());
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_process_writes_nothing_when_it_goes_on() {
    let world = World::new();
    let (a, b) = world.leader_and_standby().await;
    let written = Arc::new(AtomicUsize::new(0));
    let writer = {
        let (fence, written) = (a.fence.clone(), written.clone());
        tokio::spawn(a.brake.apply(async move {
            loop {
                if let Ok(flight) = fence.begin(secs(1)) {
                    written.fetch_add(1, Ordering::SeqCst);
                    flight.answered();
                }
                tokio::time::sleep(millis(10)).await;
            }
        }))
    };
    tokio::time::sleep(secs(1)).await;
    a.brake.pause();
    let before = written.load(Ordering::SeqCst);
    assert!(before > 0);
    b.writable_within(secs(30)).await;
    a.brake.resume();
    tokio::time::sleep(secs(20)).await;
    assert_eq!(written.load(Ordering::SeqCst), before);
    assert!(b.fence.is_leader() && !a.fence.is_leader());
    writer.abort();
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_api_server_is_given_up_after_the_call_timeout() {
    let world = World::new();
    let (a, _b) = world.leader_and_standby().await;
    // Two renewals in a row vanish: the third still comes in time.
    world.api.fault("a", Some(Kind::Patch), 2, Fault { cut: true, ..Fault::default() });
    a.leads_on_for(secs(30)).await;
    assert_eq!(a.fence.writable().await, 1);
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_that_comes_after_the_deadline_gives_nothing() {
    let world = World::new();
    let (a, b) = world.leader_and_standby().await;
    world.api.fault("a", Some(Kind::Patch), 1, Fault { after: millis(2900), ..Fault::default() });
    tokio::time::sleep(millis(2500)).await;
    // Paused with the answer on its way.
    a.brake.pause();
    b.leads_within(secs(20)).await;
    a.brake.resume();
    a.never_leads_for(secs(20)).await;
    world.check().await;
}
