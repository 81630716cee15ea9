//! Events.

use super::api::{Fault, Verb};
use super::world::{World, asking, key};
use crate::cluster::{Class, EventKind};

async fn send(world: &World, message: &str) -> Result<(), crate::cluster::Error> {
    let uid = world.service("quake").uid;
    world.cluster.event(&key("quake"), &uid, EventKind::Warning, "AccessDenied", "Authorize", message).await
}

#[tokio::test(start_paused = true)]
async fn an_event_names_the_service_and_who_says_it() {
    let world = World::ready(&[asking("quake")]).await;
    send(&world, "no permission").await.unwrap();
    let event = world.api.last_event();
    assert_eq!(event["regarding"]["uid"], world.service("quake").uid);
    assert_eq!((event["regarding"]["kind"].as_str(), event["type"].as_str()), (Some("Service"), Some("Warning")));
    assert_eq!(event["metadata"]["namespace"], "games");
    assert_eq!(event["reportingInstance"], "external-ips_1");
    assert_eq!((event["reason"].as_str(), event["action"].as_str()), (Some("AccessDenied"), Some("Authorize")));
    event["eventTime"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
}

#[tokio::test(start_paused = true)]
async fn two_events_have_two_names() {
    let world = World::ready(&[asking("quake")]).await;
    send(&world, "no").await.unwrap();
    let first = world.api.last_event()["metadata"]["name"].clone();
    send(&world, "no").await.unwrap();
    assert_ne!(world.api.last_event()["metadata"]["name"], first);
}

#[tokio::test(start_paused = true)]
async fn a_long_note_is_cut_between_characters() {
    let world = World::ready(&[asking("quake")]).await;
    send(&world, &"ß".repeat(2000)).await.unwrap();
    let event = world.api.last_event();
    let note = event["note"].as_str().unwrap();
    assert!(note.len() <= 1024 && note.len() > 1000 && note.ends_with('…'));
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_answer_is_lost_is_not_repeated() {
    let world = World::ready(&[asking("quake")]).await;
    world.api.fault(Verb::Event, "", 1, Fault::LostAfter);
    assert_eq!(send(&world, "no").await.unwrap_err().class, Class::UnknownOutcome);
    assert_eq!(world.api.events("quake").len(), 1);
    assert!(world.cluster.snapshot().is_some(), "it says nothing of the Service");
}
