//! Writes whose outcome is unknown (K13).

use super::api::{Fault, Verb, status};
use super::publishing::publication;
use super::world::{World, asking, key, millis, secs};
use crate::cluster::Class;

const EVER: usize = usize::MAX;

/// A world whose watches have fallen silent, so that only reads tell.
async fn quiet() -> World {
    let world = World::new(&[asking("quake")]);
    world.api.fault(Verb::Watch, "", EVER, Fault::Silent);
    world.settled().await
}

#[tokio::test(start_paused = true)]
async fn an_uncertain_write_is_read_again_before_it_returns() {
    for (fault, there) in [(Fault::LostAfter, 1), (Fault::LostBefore, 0)] {
        let world = quiet().await;
        world.api.fault(Verb::Apply, "", 1, fault);
        let error = world.cluster.publish(&publication(&world, "quake", 1)).await.unwrap_err();
        assert_eq!(error.class, Class::UnknownOutcome);
        assert_eq!(world.service("quake").external_ips.len(), there);
        assert_eq!(world.api.calls_of(Verb::Apply, "").len(), 1, "it isn't blindly repeated");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_without_an_answer_is_given_up_and_read() {
    let world = quiet().await;
    world.api.fault(Verb::Apply, "", 1, Fault::Hang);
    let error = world.cluster.publish(&publication(&world, "quake", 1)).await.unwrap_err();
    assert_eq!(error.class, Class::UnknownOutcome);
    assert_eq!(world.service("quake").external_ips, ["10.0.0.1"]);
}

#[tokio::test(start_paused = true)]
async fn an_uncertain_write_holds_the_snapshot_back_until_it_is_read() {
    let world = quiet().await;
    world.api.fault(Verb::Apply, "", 1, Fault::LostAfter);
    world.api.fault(Verb::Get, "", 3, Fault::LostBefore);
    let publication = publication(&world, "quake", 1);
    world.cluster.publish(&publication).await.unwrap_err();
    assert_eq!(world.api.calls_of(Verb::Get, "").len(), 3, "it was tried to read it");
    assert!(world.cluster.snapshot().is_none(), "what is there is unknown");
    // Another write of the same Service is refused, since there is a newer version, and read.
    let error = world.cluster.publish(&publication).await.unwrap_err();
    assert_eq!(error.class, Class::Changed);

    assert_eq!(world.service("quake").external_ips, ["10.0.0.1"]);
}

#[tokio::test(start_paused = true)]
async fn an_uncertain_write_holds_the_snapshot_back_for_a_minute_at_most() {
    let world = World::ready(&[asking("quake")]).await;
    world.api.fault(Verb::Apply, "", 1, Fault::LostBefore);
    world.api.fault(Verb::Get, "", EVER, Fault::LostBefore);
    world.cluster.publish(&publication(&world, "quake", 1)).await.unwrap_err();
    world.pass(secs(59)).await;
    assert!(world.cluster.snapshot().is_none());
    world.pass(secs(2)).await;
    assert!(world.cluster.snapshot().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_abandoned_half_way_is_uncertain() {
    let world = quiet().await;
    world.api.fault(Verb::Apply, "", 1, Fault::Slow(secs(1)));
    let publication = publication(&world, "quake", 1);
    let abandoned = tokio::time::timeout(millis(500), world.cluster.publish(&publication)).await;
    assert!(abandoned.is_err());
    assert!(world.cluster.snapshot().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_refused_leaves_no_doubt() {
    let world = quiet().await;
    world.api.fault(Verb::Get, "", EVER, Fault::LostBefore);
    for (code, reason) in [(403, "Forbidden"), (422, "Invalid"), (409, "Conflict"), (429, "TooManyRequests")] {
        world.api.fault(Verb::Apply, "", 1, Fault::Answer(code, status(code, reason, "no")));
        world.cluster.publish(&publication(&world, "quake", 1)).await.unwrap_err();
        assert!(world.cluster.snapshot().is_some(), "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_that_finds_nothing_takes_nothing_away() {
    let world = quiet().await;
    let nothing = status(404, "NotFound", "services \"quake\" not found");
    world.api.fault(Verb::Get, "", EVER, Fault::Answer(404, nothing.clone()));
    let publication = publication(&world, "quake", 1);
    // Refused: nothing happened, and what was known before is still the best that is known.
    world.api.fault(Verb::Apply, "", 1, Fault::Answer(404, nothing));
    world.cluster.publish(&publication).await.unwrap_err();
    assert!(world.snapshot().services.contains_key(&key("quake")));
    // Unknown: nobody can tell what is there.
    world.api.fault(Verb::Apply, "", 1, Fault::LostBefore);
    world.cluster.publish(&publication).await.unwrap_err();
    assert!(world.cluster.snapshot().is_none());
    world.pass(secs(61)).await;
    assert!(world.snapshot().services.contains_key(&key("quake")));
}

#[tokio::test(start_paused = true)]
async fn an_uncertain_write_to_what_the_watch_tells_is_gone_leaves_no_doubt() {
    let world = World::ready(&[asking("quake")]).await;
    let publication = publication(&world, "quake", 1);
    world.api.edit(|objects| objects.delete("services", "games", "quake"));
    world.api.fault(Verb::Apply, "", 1, Fault::LostBefore);
    world.cluster.publish(&publication).await.unwrap_err();
    assert!(!world.snapshot().services.contains_key(&key("quake")));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_service_is_an_unknown_outcome() {
    let world = quiet().await;
    world.api.fault(Verb::Apply, "", 1, Fault::Body("<html>".into()));
    let error = world.cluster.publish(&publication(&world, "quake", 1)).await.unwrap_err();
    assert_eq!(error.class, Class::UnknownOutcome);
    assert!(world.cluster.snapshot().is_some(), "it was read");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_over_what_was_not_seen() {
    let world = quiet().await;
    let mut ours = publication(&world, "quake", 2);
    world.cluster.publish(&ours).await.unwrap();
    let uid = world.service("quake").uid;
    ours.private_ips.truncate(1);
    for release in [false, true] {
        // Another process publishes one more; this one sees the past.
        world.api.edit(|objects| {
            objects.change("services", "games", "quake", |service| {
                service["spec"]["externalIPs"] = serde_json::json!(["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
            });
        });
        let written = match release {
            true => world.cluster.release(&key("quake"), &uid).await,
            false => world.cluster.publish(&ours).await,
        };
        assert_eq!(written.unwrap_err().class, Class::Changed);
        assert_eq!(world.service("quake").external_ips.len(), 3, "it was read");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_write_left_open_is_read_when_the_api_server_is_back() {
    let world = quiet().await;
    world.api.fault(Verb::Apply, "", 1, Fault::LostAfter);
    world.api.fault(Verb::Get, "", 4, Fault::LostBefore);
    world.cluster.publish(&publication(&world, "quake", 1)).await.unwrap_err();
    world.cluster.make_sure().await;
    assert!(world.cluster.snapshot().is_none(), "still nobody can tell");
    world.cluster.make_sure().await;
    assert_eq!(world.service("quake").external_ips, ["10.0.0.1"]);
}
