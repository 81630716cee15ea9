//! Watches that end, in all ways that watches end (K1 to K5).

use super::api::{Fault, Verb, error_line, status};
use super::world::{World, asking, key, millis, plain, secs};
use serde_json::json;
use tokio::time::Instant;

const SERVICES: &str = "/services";
const EVER: usize = usize::MAX;

fn gaps(world: &World, verb: Verb) -> Vec<std::time::Duration> {
    let at: Vec<_> = world.api.calls_of(verb, SERVICES).iter().map(|call| call.at).collect();
    at.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_closed_at_once_is_not_reopened_without_a_pause() {
    let world = World::new(&[asking("quake")]);
    world.api.fault(Verb::Watch, SERVICES, EVER, Fault::Lines(vec![]));
    world.pass(secs(300)).await;
    let gaps = gaps(&world, Verb::Watch);
    assert!(gaps.len() >= 5, "it is tried again: {gaps:?}");
    assert!(gaps.iter().all(|gap| *gap >= secs(1)), "{gaps:?}");
    assert!(gaps.iter().skip(6).all(|gap| *gap >= secs(10)), "the pauses grow: {gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_says_something_and_is_closed_is_not_reopened_without_a_pause() {
    let world = World::new(&[asking("quake")]);
    let line = json!({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9000"}}}).to_string();
    world.api.fault(Verb::Watch, SERVICES, EVER, Fault::Lines(vec![line]));
    world.pass(secs(60)).await;
    let gaps = gaps(&world, Verb::Watch);
    assert!(gaps.len() >= 30 && gaps.iter().all(|gap| *gap >= secs(1)), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn changes_reach_the_view_though_every_watch_is_closed_at_once() {
    let world = World::new(&[asking("quake")]);
    world.api.fault(Verb::Watch, SERVICES, EVER, Fault::Lines(vec![]));
    world.pass(secs(20)).await;
    world.api.edit(|objects| objects.put("services", asking("doom")));
    world.pass(secs(120)).await;
    assert!(world.snapshot().services.contains_key(&key("doom")));
}

#[tokio::test(start_paused = true)]
async fn a_410_as_an_event_lists_again() {
    let world = World::ready(&[asking("quake")]).await;
    world.api.edit(|objects| objects.lose("services", |name| name == "quake"));
    let line = serde_json::from_str(&error_line(410, "Expired")).unwrap();
    world.api.edit(|objects| objects.say("services", line));
    world.until("what the watch didn't tell is seen", || world.snapshot().services.is_empty()).await;
    assert_eq!(world.api.calls_of(Verb::List, SERVICES).len(), 2 + 2, "what is missing is asked for twice");
    assert_eq!(world.counted("services", "expired"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_410_at_watch_start_lists_again() {
    let world = World::ready(&[asking("quake")]).await;
    world.api.without_bookmarks();
    world.api.edit(|objects| {
        objects.lose("services", |name| name == "quake");
        objects.compact();
    });
    // The open watch ends by its own time; the next one meets the status.
    world.until("what the watch didn't tell is seen", || world.snapshot().services.is_empty()).await;
    let refused = |call: &&super::api::Call| call.status == 410;
    assert_eq!(world.api.calls_of(Verb::Watch, SERVICES).iter().filter(refused).count(), 1);
    assert_eq!(world.api.calls_of(Verb::List, SERVICES).len(), 2 + 2, "what is missing is asked for twice");
}

#[tokio::test(start_paused = true)]
async fn a_410_at_every_watch_start_lists_at_most_once_a_second() {
    let world = World::new(&[asking("quake")]);
    world.api.fault(Verb::Watch, SERVICES, EVER, Fault::Answer(410, status(410, "Gone", "too old")));
    world.pass(secs(120)).await;
    let gaps = gaps(&world, Verb::List);
    assert!(gaps.len() >= 5 && gaps.iter().all(|gap| *gap >= secs(1)), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_breaks_goes_on_where_it_was() {
    let world = World::new(&[asking("quake")]);
    let mut doom = asking("doom");
    doom["metadata"]["uid"] = json!("uid-doom");
    doom["metadata"]["resourceVersion"] = json!("9077");
    let line = json!({"type": "ADDED", "object": doom}).to_string();
    world.api.fault(Verb::Watch, SERVICES, 1, Fault::Broken(vec![line]));
    let world = world.settled().await;
    world.until("it is opened again", || world.api.calls_of(Verb::Watch, SERVICES).len() == 2).await;
    let watches = world.api.calls_of(Verb::Watch, SERVICES);
    assert_eq!(watches[1].asked("resourceVersion"), "9077");
    assert_eq!(world.api.calls_of(Verb::List, SERVICES).len(), 2, "nothing was missed");
    assert!(world.snapshot().services.contains_key(&key("doom")));
}

#[tokio::test(start_paused = true)]
async fn a_bookmark_moves_the_watch_on() {
    let world = World::ready(&[asking("quake")]).await;
    world.api.without_bookmarks();
    world.api.edit(|objects| objects.bookmark("services"));
    let mark = world.api.edit(|objects| objects.version());
    world.until("the next watch", || world.api.calls_of(Verb::Watch, SERVICES).len() == 2).await;
    assert_eq!(world.api.calls_of(Verb::Watch, SERVICES)[1].asked("resourceVersion"), mark.to_string());
}

#[tokio::test(start_paused = true)]
async fn a_quiet_cluster_is_listed_anew_only_when_its_lists_are_old() {
    let world = World::ready(&[asking("quake")]).await;
    for _ in 0..120 {
        world.pass(secs(10)).await;
        assert!(world.cluster.snapshot().is_some());
    }
    // Two of each kind in the beginning; in twenty minutes one more.
    assert_eq!(world.api.calls_of(Verb::List, "").len(), 3 * 3);
}

#[tokio::test(start_paused = true)]
async fn watches_that_never_say_anything_are_checked_by_a_list_now_and_then() {
    let world = World::new(&[asking("quake")]);
    world.api.without_bookmarks();
    let world = world.settled().await;
    for _ in 0..180 {
        world.pass(secs(10)).await;
        assert!(world.cluster.snapshot().is_some());
    }
    let lists = world.api.calls_of(Verb::List, SERVICES).len();
    assert!((3..=6).contains(&lists), "every nine minutes or so: {lists}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_watch_is_given_up_and_the_view_goes_stale() {
    let world = World::new(&[asking("quake")]);
    world.api.fault(Verb::Watch, SERVICES, EVER, Fault::Silent);
    let world = world.settled().await;
    let heard = Instant::now();
    let failure = Fault::Answer(500, status(500, "InternalError", "no"));
    world.api.fault(Verb::List, SERVICES, EVER, failure);
    world.pass(secs(119)).await;
    assert!(world.cluster.snapshot().is_some());
    world.until("the view is stale", || world.cluster.snapshot().is_none()).await;
    assert!(heard.elapsed() <= secs(122));
    assert!(world.api.calls_of(Verb::Watch, SERVICES).len() >= 2, "it was opened anew");
    assert!(world.counted("services", "silent") >= 1);
    world.api.heal();
    world.until("it recovers", || world.cluster.snapshot().is_some()).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_silent_watch_kept_back_is_listed() {
    let world = World::new(&[asking("quake")]);
    world.api.fault(Verb::Watch, SERVICES, EVER, Fault::Silent);
    let world = world.settled().await;
    world.api.edit(|objects| objects.put("services", asking("doom")));
    world.pass(secs(125)).await;
    assert!(world.snapshot().services.contains_key(&key("doom")));
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_reopened_after_a_failure_is_no_sign_of_life() {
    let world = World::new(&[asking("quake")]);
    // Accepted and broken, again and again: nothing is heard, whatever the server does behind it.
    world.api.fault(Verb::Watch, SERVICES, EVER, Fault::Broken(vec![]));
    let world = world.settled().await;
    world.api.fault(Verb::List, SERVICES, EVER, Fault::LostBefore);
    world.until("the view is stale", || world.cluster.snapshot().is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn half_a_line_at_the_end_of_a_watch_changes_nothing() {
    let world = World::new(&[asking("quake")]);
    let whole = json!({"type": "DELETED", "object": {"metadata": {"namespace": "games", "name": "quake", "uid": "uid-2", "resourceVersion": "9050"}}});
    let half: String = whole.to_string().chars().take(60).collect();
    world.api.fault(Verb::Watch, SERVICES, 1, Fault::Lines(vec![half]));
    let world = world.settled().await;
    world.pass(secs(10)).await;
    assert!(world.snapshot().services.contains_key(&key("quake")));
}

#[tokio::test(start_paused = true)]
async fn a_deletion_without_a_name_lists_again() {
    let world = World::ready(&[asking("quake")]).await;
    world.api.edit(|objects| {
        objects.lose("services", |_| true);
        objects.say("services", json!({"type": "DELETED", "object": {"metadata": {}}}));
    });
    world.until("the list tells what is gone", || world.snapshot().services.is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn a_change_moves_the_view_on_and_one_that_nobody_can_see_does_not() {
    let world = World::ready(&[asking("quake"), plain("shop")]).await;
    let mut changes = world.cluster.changes();
    changes.mark_unchanged();
    world.api.edit(|objects| objects.put("services", asking("doom")));
    world.pass(millis(100)).await;
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    // A label of a Service, and endpoints of one that doesn't look at them.
    world.api.edit(|objects| {
        objects.change("services", "games", "quake", |service| service["metadata"]["labels"] = json!({"a": "b"}));
        objects.put("endpointslices", super::world::slice("quake", &["node-1"]));
    });
    world.pass(secs(1)).await;
    assert!(!changes.has_changed().unwrap());
}
