//! Conditions and Events.

use super::world::World;
use crate::cloud::tests::aws::Fault as AwsFault;
use crate::cluster::tests::api::{Fault, Verb, status};
use crate::cluster::tests::world::{asking, secs};

#[tokio::test(flavor = "local", start_paused = true)]
async fn events_only_on_transitions() {
    let world = World::new(1, &[asking("quake")]);
    let _process = world.converged(&["quake"]).await;
    let mut events = world.api.events("quake");
    events.sort();
    assert_eq!(events, ["FirewallOpened", "NodesAssigned", "RecordSynced", "Synced"]);
    for _ in 0..5 {
        world.nudge();
        world.pass(secs(200)).await;
    }
    assert_eq!(world.api.events("quake").len(), 4);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_failure_that_lasts_is_told_once() {
    let world = World::new(1, &[asking("quake")]);
    world.aws.break_down("ChangeResourceRecordSets", "", AwsFault::Answer(403, "AccessDenied", "no"));
    let _process = world.process("a").run();
    world.until("it is told", || !world.api.events("quake").is_empty()).await;
    world.pass(secs(1800)).await;
    let told = world.api.events("quake").iter().filter(|reason| *reason == "AccessDenied").count();
    assert_eq!(told, 1);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn the_condition_is_written_only_when_it_differs() {
    let world = World::new(1, &[asking("quake")]);
    let _process = world.converged(&["quake"]).await;
    let writes = world.api.calls_of(Verb::Status, "quake").len();
    world.nudge();
    world.pass(secs(2000)).await;
    assert_eq!(world.api.calls_of(Verb::Status, "quake").len(), writes);
    // Somebody takes it away: it differs.
    world.api.edit(|objects| {
        objects.change("services", "games", "quake", |service| service["status"] = serde_json::json!({}));
    });
    world.until("it is back", || world.synced("quake")).await;
    assert_eq!(world.api.calls_of(Verb::Status, "quake").len(), writes + 1);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_condition_that_could_not_be_written_is_tried_again_soon() {
    for fault in [
        Fault::Answer(500, status(500, "InternalError", "no")),
        Fault::Later(429, 1),
        Fault::LostBefore,
        Fault::Answer(403, status(403, "Forbidden", "User \"x\" cannot patch resource \"services/status\"")),
    ] {
        let world = World::new(1, &[asking("quake")]);
        world.api.fault(Verb::Status, "", 2, fault.clone());
        let _process = world.process("a").run();
        world.until("it was tried", || !world.api.calls_of(Verb::Status, "").is_empty()).await;
        world.pass(secs(30)).await;
        assert!(world.synced("quake"), "{fault:?}");
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_condition_that_can_not_be_written_is_no_reason_for_events_without_end() {
    let world = World::new(1, &[asking("quake")]);
    let denied = status(403, "Forbidden", "User \"x\" cannot patch resource \"services/status\"");
    world.api.fault(Verb::Status, "", usize::MAX, Fault::Answer(403, denied));
    let _process = world.process("a").run();
    world.until("it was tried", || !world.api.calls_of(Verb::Status, "").is_empty()).await;
    for _ in 0..20 {
        world.nudge();
        world.pass(secs(60)).await;
    }
    let told = world.api.events("quake").iter().filter(|reason| *reason == "Synced").count();
    assert!(told <= 1, "{told}");
    let tried = world.api.calls_of(Verb::Status, "").len();
    assert!(tried < 80, "{tried}");
    assert!(world.lines.all().iter().any(|line| line.starts_with("WARN") && line.contains("condition")));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_event_that_is_lost_disturbs_nobody() {
    let world = World::new(1, &[asking("quake")]);
    world.api.fault(Verb::Event, "", usize::MAX, Fault::LostBefore);
    let _process = world.converged(&["quake"]).await;
    world.nudge();
    world.pass(secs(10)).await;
    assert_eq!(world.changes(), Vec::<String>::new());
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_rejected_service_is_told_why_and_heals_with_its_annotation() {
    let mut odd = asking("quake");
    odd["metadata"]["annotations"]["external-ips.alpha.openfresh.github.io/ttl"] = "soon".into();
    let world = World::new(1, &[odd, asking("doom")]);
    let _process = world.converged(&["doom"]).await;
    assert_eq!(world.condition("quake")["reason"], "InvalidAnnotation");
    assert_eq!(world.api.events("quake"), ["InvalidAnnotation"]);
    world.api.edit(|objects| objects.put("services", asking("quake")));
    world.until("it heals", || world.synced("quake")).await;
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_service_that_can_not_be_read_is_told_once_whether_or_not_it_ever_could() {
    let mut never = asking("hexen");
    never["spec"]["ports"] = "none".into();
    let world = World::new(1, &[never, asking("quake")]);
    let _process = world.converged(&["quake"]).await;
    assert_eq!(world.api.events("hexen"), ["Unreadable"]);
    let odd = |service: &mut serde_json::Value| service["spec"]["ports"] = "none".into();
    world.api.edit(|objects| objects.change("services", "games", "quake", odd));
    world.until("it is told", || world.api.events("quake").contains(&"Unreadable".to_owned())).await;
    assert!(world.api.last_event()["note"].as_str().unwrap().starts_with("kept as it was last read"));
    assert_eq!(world.api.last_event()["regarding"]["uid"], world.api.service("games", "quake")["metadata"]["uid"]);
    world.nudge();
    world.pass(secs(1000)).await;
    assert_eq!(world.api.events("quake").iter().filter(|reason| *reason == "Unreadable").count(), 1);
    assert_eq!(world.api.events("hexen").len(), 1);
    assert_eq!(world.changes(), Vec::<String>::new(), "what it has stays");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn the_owner_of_a_new_service_is_told_once_that_aws_can_not_be_read() {
    let world = World::new(1, &[asking("quake")]);
    let denied = AwsFault::Answer(403, "UnauthorizedOperation", "no. Encoded authorization failure message: x8Kd");
    let _process = world.converged(&["quake"]).await;
    world.aws.break_down("DescribeInstances", "", denied);
    world.pass(secs(900)).await;
    let before = world.api.calls_of(Verb::Status, "").len();
    world.api.edit(|objects| objects.put("services", asking("doom")));
    world.pass(secs(900)).await;
    let condition = world.condition("doom");
    assert_eq!((&condition["status"], &condition["reason"]), (&"False".into(), &"AccessDenied".into()));
    let message = condition["message"].as_str().unwrap();
    assert!(message.contains("DescribeInstances") && !message.contains("x8Kd"), "{message}");
    assert_eq!(world.api.calls_of(Verb::Status, "").len(), before + 1, "once, and nothing of quake");
    assert_eq!(world.api.events("doom"), ["AccessDenied"]);
    world.aws.mend();
    world.until("it heals", || world.synced("doom")).await;
}

/// Services that don't get into each other's way.
pub fn many(names: &[String]) -> Vec<serde_json::Value> {
    let asks = |(n, name): (usize, &String)| {
        let mut service = asking(name);
        service["metadata"]["annotations"]["external-ips.alpha.openfresh.github.io/hostname"] =
            format!("{name}.example.com").into();
        service["spec"]["ports"][0]["port"] = (7000 + 2 * n).into();
        service
    };
    names.iter().enumerate().map(asks).collect()
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn withdrawals_that_are_held_are_told_once_and_again_when_they_go_on() {
    let names: Vec<String> = (0..6).map(|n| format!("s{n}")).collect();
    let services = many(&names);
    let world = World::new(1, &services);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let _process = world.converged(&names).await;
    world.api.edit(|objects| names.iter().for_each(|name| objects.delete("services", "games", name)));
    world.until("it is told", || world.lines.count("nothing is withdrawn: 6 of 6 exposed Services") == 1).await;
    world.pass(secs(1500)).await;
    assert_eq!(world.lines.count("nothing is withdrawn"), 1, "told once");
    world.api.edit(|objects| objects.put("services", services[0].clone()));
    world.until("it goes on", || world.lines.count("withdrawals go on") == 1).await;
}
