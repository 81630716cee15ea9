//! What is written to a Service, and that nothing else of it is touched.

use super::api::{Call, Verb};
use super::world::{World, asking, key, secs};
use crate::cluster::Class;
use crate::expose::plan::Publication;
use crate::expose::{Condition, FieldOwner, PrivateIp, PublicIp, Reason};
use serde_json::{Value, json};
use std::net::Ipv4Addr;

const PREFIX: &str = "external-ips.alpha.openfresh.github.io/";

/// The addresses of nodes 1 to `n` for the Service as it is seen now.
pub(super) fn publication(world: &World, name: &str, n: u8) -> Publication {
    Publication {
        service: key(name),
        uid: world.service(name).uid,
        private_ips: (1..=n).map(|i| PrivateIp(Ipv4Addr::new(10, 0, 0, i))).collect(),
        public_ips: (1..=n).map(|i| PublicIp(Ipv4Addr::new(203, 0, 113, i))).collect(),
        take_over: false,
    }
}

fn last(world: &World) -> Call {
    world.api.writes().last().unwrap().clone()
}

fn managers(service: &Value) -> Vec<(String, String)> {
    let entries = service["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    entries.iter().map(|entry| (text(entry, "manager"), text(entry, "operation"))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_publication_carries_the_uid() {
    let world = World::ready(&[asking("quake")]).await;
    world.cluster.publish(&publication(&world, "quake", 2)).await.unwrap();
    let call = last(&world);
    assert_eq!(call.body["metadata"]["uid"], world.service("quake").uid);
    assert_eq!((call.verb, call.asked("force"), call.asked("fieldManager")), (Verb::Apply, "false", "external-ips"));
    assert_eq!(call.content_type, "application/apply-patch+yaml");
}

#[tokio::test(start_paused = true)]
async fn a_publication_sets_the_list_and_its_annotations_and_nothing_else() {
    let world = World::ready(&[asking("quake")]).await;
    let before = world.api.service("games", "quake");
    world.cluster.publish(&publication(&world, "quake", 2)).await.unwrap();
    let after = world.api.service("games", "quake");
    assert_eq!(after["spec"]["externalIPs"], json!(["10.0.0.1", "10.0.0.2"]));
    assert_eq!(after["metadata"]["annotations"][format!("{PREFIX}assigned")], "10.0.0.1,10.0.0.2");
    assert_eq!(after["metadata"]["annotations"][format!("{PREFIX}addresses")], "203.0.113.1,203.0.113.2");
    assert_eq!(after["spec"]["ports"], before["spec"]["ports"]);
    let body = last(&world).body;
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&body), ["apiVersion", "kind", "metadata", "spec"]);
    assert_eq!(keys(&body["spec"]), ["externalIPs"]);
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_publication_is_the_view_at_once() {
    let world = World::ready(&[asking("quake")]).await;
    world.cluster.publish(&publication(&world, "quake", 1)).await.unwrap();
    let service = world.service("quake");
    assert_eq!(service.external_ips, ["10.0.0.1"]);
    assert_eq!(service.external_ips_owner, FieldOwner::Us);
    assert!(service.owns_fields);
}

#[tokio::test(start_paused = true)]
async fn a_trial_has_no_effect() {
    let world = World::ready(&[asking("quake")]).await;
    let before = world.api.service("games", "quake");
    world.cluster.try_publication(&publication(&world, "quake", 2)).await.unwrap();
    assert_eq!(world.api.service("games", "quake"), before);
    assert!(world.service("quake").external_ips.is_empty());
    let tried = &world.api.calls_of(Verb::DryRun, "")[0];
    assert_eq!((tried.asked("dryRun"), tried.asked("force")), ("All", "false"));
}

#[tokio::test(start_paused = true)]
async fn a_recreated_service_is_not_taken_for_the_old_one() {
    let world = World::ready(&[asking("quake")]).await;
    let publication = publication(&world, "quake", 1);
    let mut other = asking("quake");
    other["metadata"]["uid"] = json!("uid-other");
    world.api.edit(|objects| {
        objects.delete("services", "games", "quake");
        objects.put("services", other);
    });
    // Not even when the watch has not told yet.
    let error = world.cluster.publish(&publication).await.unwrap_err();
    assert_eq!(error.class, Class::Changed);
    assert!(world.api.service("games", "quake")["spec"]["externalIPs"].is_null());
    assert_eq!(world.service("quake").uid, "uid-other", "it was read again");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_service_is_not_created_anew() {
    let world = World::ready(&[asking("quake")]).await;
    let publication = publication(&world, "quake", 1);
    world.api.edit(|objects| objects.delete("services", "games", "quake"));
    let error = world.cluster.publish(&publication).await.unwrap_err();
    assert_eq!(error.class, Class::NotFound);
    assert!(world.api.service("games", "quake").is_null());
    assert!(world.snapshot().services.is_empty());
}

#[tokio::test(start_paused = true)]
async fn release_gives_back_only_ours() {
    let world = World::ready(&[asking("quake")]).await;
    world.cluster.publish(&publication(&world, "quake", 2)).await.unwrap();
    world.cluster.set_condition(&key("quake"), &world.service("quake").uid, Some(&synced("x"))).await.unwrap();
    world.cluster.release(&key("quake"), &world.service("quake").uid).await.unwrap();
    let after = world.api.service("games", "quake");
    assert!(after["spec"]["externalIPs"].is_null());
    let annotations: Vec<_> = after["metadata"]["annotations"].as_object().unwrap().keys().collect();
    assert_eq!(annotations, [&format!("{PREFIX}hostname")], "the wish is its owner's");
    assert_eq!(after["spec"]["ports"][0]["port"], 27960);
    assert_eq!(after["status"]["conditions"].as_array().unwrap().len(), 1, "the condition is another apply set");
    assert!(!world.service("quake").owns_fields);
}

fn synced(message: &str) -> Condition {
    Condition::new(true, Reason::Synced, message)
}

async fn set(world: &World, condition: Option<Condition>) -> Value {
    world.cluster.set_condition(&key("quake"), &world.service("quake").uid, condition.as_ref()).await.unwrap();
    world.api.service("games", "quake")["status"]["conditions"].as_array().unwrap().last().cloned().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn the_condition_keeps_its_transition_time_while_its_status_stays() {
    let world = World::ready(&[asking("quake")]).await;
    let first = set(&world, Some(Condition::new(false, Reason::Progressing, "on the way"))).await;
    assert_eq!((first["type"].as_str(), first["status"].as_str()), (Some(&*format!("{PREFIX}Ready")), Some("False")));
    world.pass(secs(60)).await;
    let second = set(&world, Some(Condition::new(false, Reason::AccessDenied, "no"))).await;
    assert_eq!(second["lastTransitionTime"], first["lastTransitionTime"]);
    assert_eq!(second["reason"], "AccessDenied");
    let third = set(&world, Some(synced("well"))).await;
    assert_eq!(third["status"], "True");
    assert!(third["lastTransitionTime"].as_str() > first["lastTransitionTime"].as_str());
}

#[tokio::test(start_paused = true)]
async fn the_condition_that_is_there_is_not_written_again() {
    let world = World::ready(&[asking("quake")]).await;
    set(&world, Some(synced("well"))).await;
    let writes = world.api.writes().len();
    set(&world, Some(synced("well"))).await;
    assert_eq!(world.api.writes().len(), writes);
}

#[tokio::test(start_paused = true)]
async fn a_condition_that_is_too_long_is_cut_once_and_not_written_again() {
    let world = World::ready(&[asking("quake")]).await;
    let long = "äöü ".repeat(9000);
    let told = set(&world, Some(synced(&long))).await;
    let message = told["message"].as_str().unwrap();
    assert!(message.len() <= 32_768 && message.ends_with('…'), "{}", message.len());
    let writes = world.api.writes().len();
    set(&world, Some(synced(&long))).await;
    assert_eq!(world.api.writes().len(), writes);
}

#[tokio::test(start_paused = true)]
async fn the_conditions_of_others_stay() {
    let mut service = asking("quake");
    service["status"]["conditions"] = json!([{"type": "Other", "status": "True"}]);
    let world = World::ready(&[service]).await;
    set(&world, Some(synced("well"))).await;
    assert_eq!(world.api.service("games", "quake")["status"]["conditions"].as_array().unwrap().len(), 2);
    let left = set(&world, None).await;
    assert_eq!(left["type"], "Other");
    assert_eq!(world.service("quake").ready, None);
}

#[tokio::test(start_paused = true)]
async fn condition_and_publication_are_given_back_apart() {
    let world = World::ready(&[asking("quake")]).await;
    world.cluster.publish(&publication(&world, "quake", 1)).await.unwrap();
    set(&world, Some(synced("well"))).await;
    set(&world, None).await;
    let after = world.api.service("games", "quake");
    assert_eq!(after["spec"]["externalIPs"], json!(["10.0.0.1"]));
    assert_eq!(managers(&after), [("external-ips".to_owned(), "Apply".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn what_is_accepted_but_not_as_sent_is_refused() {
    let world = World::ready(&[asking("quake")]).await;
    let publication = publication(&world, "quake", 1);
    // What a webhook makes of it that takes the addresses out.
    let stripped = world.api.service("games", "quake");
    for verb in [Verb::DryRun, Verb::Apply] {
        world.api.fault(verb, "quake", 1, super::api::Fault::Answer(200, stripped.clone()));
    }
    let tried = world.cluster.try_publication(&publication).await.unwrap_err();
    let published = world.cluster.publish(&publication).await.unwrap_err();
    for error in [tried, published] {
        assert_eq!(error.class, Class::Refused);
        assert!(error.message.contains("holds no addresses instead of 10.0.0.1"), "{error}");
        assert!(error.message.contains("webhook"), "{error}");
    }
    world.cluster.publish(&publication).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn of_a_service_that_can_not_be_read_it_is_known_what_was_written_to_it() {
    let world = World::ready(&[asking("quake")]).await;
    world
        .api
        .edit(|objects| objects.change("services", "games", "quake", |service| service["spec"]["type"] = json!("odd")));
    world.until("it can't be read", || !world.cluster.unreadable().is_empty()).await;
    let publication = publication(&world, "quake", 2);
    world.cluster.publish(&publication).await.unwrap();
    let ready = Condition::new(true, Reason::Synced, "served");
    world.cluster.set_condition(&key("quake"), &publication.uid, Some(&ready)).await.unwrap();
    let service = world.service("quake");
    assert!(publication.is_in(&service) && service.external_ips_owner == FieldOwner::Us);
    assert_eq!(service.ready, Some(ready));
    world.cluster.release(&key("quake"), &publication.uid).await.unwrap();
    let service = world.service("quake");
    assert!(service.external_ips.is_empty() && !service.owns_fields);
}
