//! Lists that others have set, and lists that the 2018 version has left.

use super::publishing::publication;
use super::world::{World, asking, key, secs};
use crate::cluster::Class;
use crate::expose::FieldOwner;
use crate::expose::plan::Publication;
use serde_json::{Value, json};

async fn owned_by(manager: &str, operation: &str, ips: &Value) -> World {
    let mut service = asking("quake");
    service["spec"]["externalIPs"] = ips.clone();
    let world = World::new(&[service]);
    world.api.edit(|objects| objects.own("games", "quake", manager, operation, "externalIPs"));
    world.settled().await
}

#[tokio::test(start_paused = true)]
async fn someone_elses_list_is_a_conflict_and_never_forced() {
    let world = owned_by("kubectl-edit", "Update", &json!(["198.51.100.1"])).await;
    assert_eq!(world.service("quake").external_ips_owner, FieldOwner::Other("kubectl-edit".into()));
    let publication = publication(&world, "quake", 1);
    for error in [
        world.cluster.try_publication(&publication).await.unwrap_err(),
        world.cluster.publish(&publication).await.unwrap_err(),
    ] {
        assert_eq!(error.class, Class::FieldConflict { managers: vec!["kubectl-edit".into()] });
        assert!(error.message.contains("kubectl-edit"), "{error}");
    }
    assert_eq!(world.api.service("games", "quake")["spec"]["externalIPs"], json!(["198.51.100.1"]));
    assert!(world.api.calls().iter().all(|call| call.asked("force") != "true"));
}

#[tokio::test(start_paused = true)]
async fn what_was_decided_by_a_look_that_is_out_of_date_is_decided_anew() {
    let world = World::ready(&[asking("quake"), asking("doom")]).await;
    let snapshot = world.cluster.snapshot().unwrap();
    let mut service = asking("quake");
    service["spec"]["externalIPs"] = json!(["198.51.100.1"]);
    world.api.edit(|objects| objects.put("services", service));
    world.pass(secs(1)).await;
    let error = world.cluster.is_as_seen_in(&snapshot, &key("quake")).unwrap_err();
    assert_eq!(error.class, Class::Changed);
    assert!(error.message.contains("decided anew"), "{error}");
    world.cluster.is_as_seen_in(&snapshot, &key("doom")).unwrap();
    let now = world.cluster.snapshot().unwrap();
    world.cluster.is_as_seen_in(&now, &key("quake")).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_does_not_bring_back_a_service_that_is_known_to_be_gone() {
    let world = World::ready(&[asking("quake")]).await;
    let publication = publication(&world, "quake", 1);
    world.cluster.publish(&publication).await.unwrap();
    let late = super::api::Fault::Answer(200, world.api.service("games", "quake"));
    world.api.edit(|objects| objects.delete("services", "games", "quake"));
    world.pass(secs(1)).await;
    world.api.fault(super::api::Verb::Apply, "quake", 1, late);
    world.cluster.publish(&publication).await.unwrap();
    assert!(world.cluster.snapshot().unwrap().services.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_list_that_someone_sets_next_to_ours_survives_our_release() {
    let world = World::ready(&[asking("quake")]).await;
    world.cluster.publish(&publication(&world, "quake", 1)).await.unwrap();
    world.api.edit(|objects| objects.own("games", "quake", "helm", "Apply", "externalIPs"));
    world.pass(secs(1)).await;
    world.cluster.release(&key("quake"), &world.service("quake").uid).await.unwrap();
    assert_eq!(world.api.service("games", "quake")["spec"]["externalIPs"], json!(["10.0.0.1"]));
    assert_eq!(world.service("quake").external_ips_owner, FieldOwner::Other("helm".into()));
}

#[tokio::test(start_paused = true)]
async fn the_list_of_the_2018_version_is_taken_over_and_can_be_given_back() {
    for manager in ["external-ips", "before-first-apply"] {
        let world = owned_by(manager, "Update", &json!(["10.0.0.1"])).await;
        assert_eq!(world.service("quake").external_ips_owner, FieldOwner::Legacy, "{manager}");
        let mut publication = publication(&world, "quake", 1);
        publication.take_over = true;
        world.cluster.publish(&publication).await.unwrap();
        let owners = world.api.service("games", "quake")["metadata"]["managedFields"].clone();
        assert_eq!(owners.as_array().unwrap().len(), 1, "only one claims the list: {owners}");
        assert_eq!(world.service("quake").external_ips_owner, FieldOwner::Us);
        world.cluster.release(&key("quake"), &world.service("quake").uid).await.unwrap();
        assert!(world.api.service("games", "quake")["spec"]["externalIPs"].is_null());
    }
}

/// A take-over that fails between its two requests.
async fn cut_short() -> (World, Publication) {
    let world = owned_by("external-ips", "Update", &json!(["10.0.0.1"])).await;
    let mut publication = publication(&world, "quake", 1);
    publication.take_over = true;
    let refused = super::api::status(500, "InternalError", "no");
    world.api.fault(super::api::Verb::JsonPatch, "", 1, super::api::Fault::Answer(500, refused));
    world.cluster.publish(&publication).await.unwrap_err();
    assert_eq!(world.service("quake").external_ips_owner, FieldOwner::Us);
    assert!(world.service("quake").half_taken_over);
    (world, publication)
}

#[tokio::test(start_paused = true)]
async fn a_take_over_that_was_cut_short_is_finished_by_the_release() {
    let (world, _) = cut_short().await;
    world.cluster.release(&key("quake"), &world.service("quake").uid).await.unwrap();
    assert!(world.api.service("games", "quake")["spec"]["externalIPs"].is_null());
}

#[tokio::test(start_paused = true)]
async fn a_take_over_that_was_cut_short_is_finished_by_the_next_publication() {
    let (world, publication) = cut_short().await;
    world.cluster.publish(&publication).await.unwrap();
    assert!(!world.service("quake").half_taken_over);
}

#[tokio::test(start_paused = true)]
async fn a_claim_is_not_struck_out_of_a_service_that_changed_meanwhile() {
    let world = owned_by("external-ips", "Update", &json!(["10.0.0.1"])).await;
    let mut publication = publication(&world, "quake", 1);
    publication.take_over = true;
    // The watch is behind: what is known is older than what is there.
    world.api.fault(super::api::Verb::JsonPatch, "", 1, super::api::Fault::Slow(super::world::millis(50)));
    let edit = async {
        world.until("the patch is on its way", || !world.api.calls_of(super::api::Verb::Apply, "").is_empty()).await;
        world.pass(super::world::millis(20)).await;
        world.api.edit(|objects| {
            objects.change("services", "games", "quake", |service| service["metadata"]["labels"] = json!({"a": "b"}));
        });
    };
    let (result, ()) = tokio::join!(world.cluster.publish(&publication), edit);
    assert_eq!(result.unwrap_err().class, Class::Changed);
    assert_eq!(world.api.service("games", "quake")["metadata"]["labels"], json!({"a": "b"}));
}
