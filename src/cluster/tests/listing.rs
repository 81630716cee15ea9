//! What is believed of a list, and of one object that can't be read (K6 to K9).

use super::api::{Fault, Verb, status};
use super::world::{LIST_EVERY, World, asking, key, millis, secs};
use serde_json::{Value, json};

const SERVICES: &str = "/services";

fn many(n: usize) -> Vec<Value> {
    (0..n).map(|i| asking(&format!("s-{i:02}"))).collect()
}

/// Makes the next watch of the Services list again.
fn expire(world: &World) {
    let line = serde_json::from_str(&super::api::error_line(410, "Expired")).unwrap();
    world.api.edit(|objects| objects.say("services", line));
}

fn lists(world: &World) -> usize {
    world.api.calls_of(Verb::List, SERVICES).len()
}

#[tokio::test(start_paused = true)]
async fn a_list_is_read_page_by_page() {
    let world = World::new(&many(7));
    world.api.pages_of(3);
    let world = world.settled().await;
    assert_eq!(world.snapshot().services.len(), 7);
    assert_eq!(lists(&world), 2 * 3, "the first two lists");
}

#[tokio::test(start_paused = true)]
async fn nothing_asks_with_resource_version_0() {
    let world = World::new(&many(7));
    world.api.pages_of(3);
    let world = world.settled().await;
    expire(&world);
    world.pass(secs(120)).await;
    assert!(lists(&world) > 3);
    for call in world.api.calls() {
        match call.verb {
            Verb::List => assert!(!call.query.contains_key("resourceVersion"), "{call:?}"),
            Verb::Watch => assert!(call.asked("resourceVersion").parse::<u64>().unwrap() > 0, "{call:?}"),
            _ => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_older_list_is_refused() {
    let world = World::ready(&[asking("quake")]).await;
    let past = world.api.list_body("services");
    world.api.edit(|objects| objects.put("services", asking("doom")));
    world.until("it is seen", || world.snapshot().services.len() == 2).await;
    world.api.fault(Verb::List, SERVICES, 2, Fault::Body(past));
    expire(&world);
    world.until("the past was shown twice", || world.counted("services", "older") == 2).await;
    assert_eq!(world.snapshot().services.len(), 2);
    world.until("the present is shown", || lists(&world) == 4).await;
    assert_eq!(world.snapshot().services.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_history_that_was_rewound_is_believed_when_the_view_is_useless_anyway() {
    let world = World::ready(&[asking("quake"), asking("doom")]).await;
    world.api.edit(|objects| {
        objects.rewind();
        objects.delete("services", "games", "doom");
    });
    // Watches wait for a version that is far away, and say nothing.
    world.pass(secs(600)).await;
    world.until("older lists are refused", || world.counted("services", "older") >= 3).await;
    assert!(world.cluster.snapshot().is_none_or(|snapshot| snapshot.services.len() == 2));
    world.until("it goes stale", || world.cluster.snapshot().is_none()).await;
    world.pass(secs(400)).await;
    assert_eq!(world.snapshot().services.keys().collect::<Vec<_>>(), [&key("quake")]);
    world.api.edit(|objects| objects.put("services", asking("hexen")));
    world.until("the watch goes on", || world.snapshot().services.contains_key(&key("hexen"))).await;
}

#[tokio::test(start_paused = true)]
async fn an_older_version_of_an_object_is_ignored() {
    let world = World::ready(&[asking("quake")]).await;
    let past = world.api.service("games", "quake");
    world.api.edit(|objects| {
        objects.change("services", "games", "quake", |service| service["spec"]["ports"][0]["port"] = json!(1234));
    });
    world.until("it is seen", || world.service("quake").ports[0].number == 1234).await;
    world.api.edit(|objects| objects.say("services", json!({"type": "MODIFIED", "object": past.clone()})));
    world.pass(secs(1)).await;
    world.api.edit(|objects| objects.say("services", json!({"type": "DELETED", "object": past})));
    world.pass(secs(1)).await;
    assert_eq!(world.service("quake").ports[0].number, 1234);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_fails_changes_nothing() {
    // The first page is fine, the second isn't: by a status, a lost connection, JSON that ends early.
    let faults = [
        Fault::Answer(410, status(410, "Expired", "the continue token is too old")),
        Fault::LostBefore,
        Fault::Body(r#"{"metadata": {"resourceVersion": "999"}, "items": [{"metadata":"#.into()),
    ];
    for fault in faults {
        let world = World::new(&many(5));
        world.api.pages_of(2);
        let world = world.settled().await;
        let before = lists(&world);
        world.api.edit(|objects| objects.lose("services", |name| name == "s-00"));
        world.api.fault(Verb::List, "continue=", 1, fault);
        expire(&world);
        world.until("the second page", || lists(&world) == before + 2).await;
        world.pass(millis(100)).await;
        assert_eq!(world.snapshot().services.len(), 5, "nothing is taken from half a list");
        world.until("the next list is whole", || world.snapshot().services.len() == 4).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_does_not_move_on_is_given_up() {
    let world = World::ready(&[asking("quake")]).await;
    let mut body: Value = serde_json::from_str(&world.api.list_body("services")).unwrap();
    body["metadata"]["continue"] = json!("again");
    world.api.fault(Verb::List, SERVICES, 2, Fault::Body(body.to_string()));
    let before = lists(&world);
    expire(&world);
    world.until("it is listed anew", || lists(&world) == before + 3).await;
    assert_eq!(world.counted("services", "malformed"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_shrunken_list_waits_for_a_second_one() {
    let world = World::ready(&many(10)).await;
    let whole = world.api.list_body("services");
    let mut shrunken: Value = serde_json::from_str(&whole).unwrap();
    shrunken["items"].as_array_mut().unwrap().truncate(4);
    shrunken["metadata"]["resourceVersion"] = json!("9000");
    world.api.fault(Verb::List, SERVICES, 1, Fault::Body(shrunken.to_string()));
    let mut later: Value = serde_json::from_str(&whole).unwrap();
    later["metadata"]["resourceVersion"] = json!("9001");
    world.api.fault(Verb::List, SERVICES, 1, Fault::Body(later.to_string()));
    expire(&world);
    world.until("the first was shown", || world.counted("services", "shrunken") == 1).await;
    assert_eq!(world.snapshot().services.len(), 10);
    world.pass(secs(5)).await;
    assert_eq!(world.snapshot().services.len(), 10, "the second one didn't confirm it");
}

#[tokio::test(start_paused = true)]
async fn an_empty_list_is_believed_the_second_time() {
    let world = World::ready(&many(10)).await;
    world.api.edit(|objects| objects.lose("services", |_| true));
    expire(&world);
    world.until("it is shown once", || world.counted("services", "shrunken") == 1).await;
    assert_eq!(world.snapshot().services.len(), 10);
    world.until("it is shown twice", || world.snapshot().services.is_empty()).await;
    assert_eq!(world.counted("services", "shrunken"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_single_one_that_is_missing_waits_for_a_second_list_too() {
    let world = World::ready(&many(5)).await;
    let mut without: Value = serde_json::from_str(&world.api.list_body("services")).unwrap();
    without["items"].as_array_mut().unwrap().remove(2);
    without["metadata"]["resourceVersion"] = json!("9000");
    world.api.fault(Verb::List, SERVICES, 1, Fault::Body(without.to_string()));
    expire(&world);
    world.until("it is shown once", || world.counted("services", "shrunken") == 1).await;
    world.pass(secs(5)).await;
    assert_eq!(world.snapshot().services.len(), 5, "the second one didn't confirm it");
}

#[tokio::test(start_paused = true)]
async fn a_sign_of_life_between_two_lists_that_lack_a_service_says_that_it_is_there() {
    let world = World::ready(&[asking("quake"), asking("doom")]).await;
    let whole = world.api.list_body("services");
    for version in ["9000", "9001"] {
        let mut without: Value = serde_json::from_str(&whole).unwrap();
        without["items"].as_array_mut().unwrap().retain(|item| item["metadata"]["name"] != "quake");
        without["metadata"]["resourceVersion"] = json!(version);
        world.api.fault(Verb::List, SERVICES, 1, Fault::Body(without.to_string()));
    }
    expire(&world);
    world.until("one lacks it", || world.counted("services", "shrunken") == 1).await;
    world.cluster.publish(&super::publishing::publication(&world, "quake", 1)).await.unwrap();
    world.until("another one does", || world.counted("services", "shrunken") == 2).await;
    world.pass(secs(5)).await;
    assert_eq!(world.snapshot().services.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_the_first_list_lacks_is_in_the_second() {
    let world = World::new(&many(5));
    let mut without: Value = serde_json::from_str(&world.api.list_body("services")).unwrap();
    without["items"].as_array_mut().unwrap().remove(2);
    world.api.fault(Verb::List, SERVICES, 1, Fault::Body(without.to_string()));
    world.until("there is a view", || world.cluster.synced()).await;
    assert_eq!(world.snapshot().services.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn what_a_list_has_left_out_is_found_by_the_next_one_in_time() {
    let world = World::new(&many(5));
    let mut without: Value = serde_json::from_str(&world.api.list_body("services")).unwrap();
    without["items"].as_array_mut().unwrap().remove(2);
    world.api.fault(Verb::List, SERVICES, 2, Fault::Body(without.to_string()));
    world.until("there is a view", || world.cluster.synced()).await;
    assert_eq!(world.snapshot().services.len(), 4);
    world.pass(LIST_EVERY + secs(60)).await;
    assert_eq!(world.snapshot().services.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn one_undecodable_object_keeps_its_last_good_version_and_blocks_nobody() {
    let world = World::ready(&[asking("quake"), asking("doom")]).await;
    let odd = |service: &mut Value| service["spec"]["ports"] = json!("none");
    // By the watch,
    world.api.edit(|objects| objects.change("services", "games", "quake", odd));
    world.api.edit(|objects| objects.put("services", asking("hexen")));
    world.until("the next one is seen", || world.snapshot().services.contains_key(&key("hexen"))).await;
    assert_eq!(world.service("quake").ports.len(), 1);
    // and by a list.
    let before = lists(&world);
    expire(&world);
    world.until("it is listed", || lists(&world) == before + 1).await;
    world.pass(millis(100)).await;
    assert_eq!(world.snapshot().services.len(), 3);
    assert_eq!(world.service("quake").ports.len(), 1);
    let unreadable = world.cluster.unreadable();
    assert_eq!(unreadable.len(), 1);
    assert_eq!((unreadable[0].resource, &unreadable[0].key), ("services", &key("quake")));
    assert!(!unreadable[0].never_read && unreadable[0].message.contains("invalid type"), "{unreadable:?}");
    world.api.edit(|objects| {
        objects.change("services", "games", "quake", |service| service["spec"]["ports"] = json!([{"port": 9}]));
    });
    world.until("it heals", || world.service("quake").ports[0].number == 9).await;
    assert!(world.cluster.unreadable().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_object_that_was_never_readable_is_told_and_is_not_in_the_snapshot() {
    let mut odd = asking("quake");
    odd["spec"]["type"] = json!("Teleporter");
    let world = World::ready(&[odd, asking("doom")]).await;
    assert_eq!(world.snapshot().services.len(), 1);
    let unreadable = world.cluster.unreadable();
    assert!(unreadable.len() == 1 && unreadable[0].never_read, "{unreadable:?}");
}

#[tokio::test(start_paused = true)]
async fn a_recreated_object_inherits_nothing_from_the_one_before() {
    let world = World::ready(&[asking("quake")]).await;
    let uid = world.service("quake").uid;
    let mut other = asking("quake");
    other["metadata"]["uid"] = json!("uid-other");
    other["spec"]["ports"] = json!("none");
    world.api.edit(|objects| {
        objects.lose("services", |_| true);
        objects.put("services", other);
    });
    world.until("it is seen", || !world.cluster.unreadable().is_empty()).await;
    assert_ne!(world.cluster.unreadable()[0].uid, uid);
    assert!(!world.snapshot().services.contains_key(&key("quake")));
}

#[tokio::test(start_paused = true)]
async fn an_item_without_a_name_removes_nobody() {
    let world = World::ready(&[asking("quake"), asking("doom")]).await;
    let mut body: Value = serde_json::from_str(&world.api.list_body("services")).unwrap();
    body["items"] = json!([{"metadata": {}}]);
    body["metadata"]["resourceVersion"] = json!("9000");
    world.api.fault(Verb::List, SERVICES, 1, Fault::Body(body.to_string()));
    expire(&world);
    world.until("it is shown", || world.counted("services", "nameless") == 1).await;
    assert_eq!(world.snapshot().services.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_list_is_not_asked_for_before_the_time_that_the_server_asks_for() {
    let world = World::new(&[asking("quake")]);
    world.api.fault(Verb::List, SERVICES, 1, Fault::Later(429, 17));
    let world = world.settled().await;
    let calls = world.api.calls_of(Verb::List, SERVICES);
    assert!(calls[1].at - calls[0].at >= secs(17));
    assert_eq!(world.counted("services", "throttled"), 1);
}

#[tokio::test(start_paused = true)]
async fn who_leads_anew_decides_on_nothing_before_all_is_listed_anew() {
    let world = World::new(&[asking("quake")]);
    world.api.fault(Verb::Watch, "", usize::MAX, Fault::Silent);
    let world = world.settled().await;
    world.api.edit(|objects| objects.put("services", asking("doom")));
    world.pass(secs(1)).await;
    assert_eq!(world.snapshot().services.len(), 1, "its watch is silent");
    world.api.fault(Verb::List, "", 3, Fault::LostBefore);
    world.cluster.begin();
    assert!(world.cluster.snapshot().is_none());
    world.until("it is listed", || world.cluster.snapshot().is_some()).await;
    assert_eq!(world.snapshot().services.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_two_lists_lack_is_gone_however_much_else_goes_in_between() {
    let world = World::ready(&many(20)).await;
    let lacking = |n: usize, version: u32| {
        let mut body: Value = serde_json::from_str(&world.api.list_body("services")).unwrap();
        body["items"].as_array_mut().unwrap().drain(..n);
        body["metadata"]["resourceVersion"] = json!(version.to_string());
        Fault::Body(body.to_string())
    };
    // Each list lacks one more than the one before.
    for n in 1..=10_u32 {
        world.api.fault(Verb::List, SERVICES, 1, lacking(n as usize, 9000 + n));
    }
    expire(&world);
    for n in 1..=10 {
        world.until("another list", || world.counted("services", "shrunken") == n).await;
        assert_eq!(world.snapshot().services.len(), 21 - n as usize, "all but what this one was the first to lack");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_term_goes_on_after_two_lists_however_much_goes_in_between() {
    let world = World::ready(&many(20)).await;
    for n in 1..=10_u32 {
        let mut body: Value = serde_json::from_str(&world.api.list_body("services")).unwrap();
        body["items"].as_array_mut().unwrap().drain(..n as usize);
        body["metadata"]["resourceVersion"] = json!((9000 + n).to_string());
        world.api.fault(Verb::List, SERVICES, 1, Fault::Body(body.to_string()));
    }
    world.cluster.begin();
    assert!(world.cluster.snapshot().is_none());
    world.until("it is trusted", || world.cluster.is_trusted()).await;
    assert_eq!(world.counted("services", "shrunken"), 2);
    assert_eq!(world.snapshot().services.len(), 19, "what both lack is gone, what one lacks stays");
}
