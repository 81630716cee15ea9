//! Each fault does what its name says, to the answer and to the state.

use std::time::Duration;

use serde_json::{Value, json};

use super::kit::{ask, changes, client, faults, get, kube, make};
use crate::sim::event::{Actor, Event};
use crate::sim::fault::{Fault, Garble};
use crate::sim::kube::{Kube, Resource};

const WEB: &str = "/api/v1/namespaces/default/services/web";
const ALL: &str = "/api/v1/namespaces/default/services";
const MERGE: &str = "application/merge-patch+json";

fn change() -> Value {
    json!({"metadata": {"annotations": {"a": "b"}}})
}

fn changed(kube: &Kube) -> bool {
    kube.look(|look| !look.service("default", "web").unwrap().annotations.is_empty())
}

/// A patch whose answer is lost, or `None` when none came within a minute.
async fn patch(kube: &Kube) -> Option<Result<u16, kube::Error>> {
    let request = http::Request::patch(WEB).header("content-type", MERGE);
    let body = kube::client::Body::from(change().to_string().into_bytes());
    let client = client(kube);
    let sent = client.send(request.body(body).unwrap());
    let answer = tokio::time::timeout(Duration::from_secs(60), sent).await.ok()?;
    Some(answer.map(|response| response.status().as_u16()))
}

#[tokio::test(start_paused = true)]
async fn a_refusal_has_no_effect_and_says_when_to_come_again() {
    let (stage, kube) = kube();
    make(&kube, "web");
    let refuse = Fault::Refuse { status: 429, code: "TooManyRequests", retry_after: Some(7) };
    faults(&stage, "kube:merge services", vec![refuse]);
    let (status, body) = ask(&client(&kube), "PATCH", WEB, MERGE, &change()).await;
    assert_eq!((status, &body["reason"]), (429, &json!("TooManyRequests")));
    assert_eq!(body["details"]["retryAfterSeconds"], 7);
    assert!(!changed(&kube));
}

#[tokio::test(start_paused = true)]
async fn lost_calls_take_effect_or_not_as_their_name_says() {
    for (fault, effect) in [
        (Fault::Unreachable, false),
        (Fault::LostBefore, false),
        (Fault::LostAfter, true),
        (Fault::Hang { effect: false }, false),
        (Fault::Hang { effect: true }, true),
    ] {
        let (stage, kube) = kube();
        make(&kube, "web");
        faults(&stage, "kube:merge services", vec![fault.clone()]);
        let answer = patch(&kube).await;
        let hangs = matches!(fault, Fault::Hang { .. });
        assert_eq!(answer.is_none(), hangs, "{fault:?}");
        assert!(answer.is_none_or(|answer| answer.is_err()), "{fault:?}");
        assert_eq!(changed(&kube), effect, "{fault:?}");
        let silent = |(_, event): &(Duration, Event)| matches!(event, Event::Answered { status: None, .. });
        assert_eq!(stage.journal.events().iter().filter(|event| silent(event)).count(), 1, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_call_takes_effect_after_its_connection_is_gone() {
    let (stage, kube) = kube();
    make(&kube, "web");
    faults(&stage, "kube:merge services", vec![Fault::Late(Duration::from_secs(5))]);
    assert!(patch(&kube).await.unwrap().is_err());
    assert!(!changed(&kube));
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(changed(&kube));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_refused_is_told_from_one_that_breaks() {
    let (stage, kube) = kube();
    make(&kube, "web");
    faults(&stage, "kube:merge services", vec![Fault::Unreachable]);
    let error = patch(&kube).await.unwrap().unwrap_err();
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    let mut connect = false;
    while let Some(error) = cause {
        let http = error.downcast_ref::<hyper_util::client::legacy::Error>();
        connect |= http.is_some_and(hyper_util::client::legacy::Error::is_connect);
        cause = error.source();
    }
    assert!(connect, "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn spoiled_answers_come_after_the_effect() {
    for garble in [Garble::Truncated, Garble::Html, Garble::Hollow, Garble::Encoding, Garble::Huge] {
        let (stage, kube) = kube();
        make(&kube, "web");
        faults(&stage, "kube:merge services", vec![Fault::Garbled(garble)]);
        let request = http::Request::patch(WEB).header("content-type", MERGE);
        let body = kube::client::Body::from(change().to_string().into_bytes());
        let response = client(&kube).send(request.body(body).unwrap()).await.unwrap();
        let body = response.into_body().collect_bytes().await.unwrap_or_default();
        let service = serde_json::from_slice::<Value>(&body).unwrap_or_default();
        assert!(service["metadata"]["name"].is_null(), "{garble:?}");
        assert!(changed(&kube), "{garble:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stale_read_shows_the_past_with_its_version() {
    let (stage, kube) = kube();
    let client = client(&kube);
    make(&kube, "web");
    tokio::time::sleep(Duration::from_secs(10)).await;
    let (_, before) = get(&client, ALL).await;
    make(&kube, "late");
    kube.by(Actor::Person).delete(Resource::Services, "default", "web").unwrap();
    let stale = Fault::Stale(Duration::from_secs(5));
    faults(&stage, "kube:", vec![stale.clone(), stale.clone(), stale]);
    let (_, old) = get(&client, ALL).await;
    assert_eq!(old, before);
    assert_eq!(get(&client, WEB).await.0, 200);
    assert_eq!(get(&client, &format!("{ALL}/late")).await.0, 404);
    let (_, now) = get(&client, ALL).await;
    assert_ne!(now["metadata"]["resourceVersion"], old["metadata"]["resourceVersion"]);
}

#[tokio::test(start_paused = true)]
async fn listings_lie_as_they_are_told_to() {
    let (stage, kube) = kube();
    let client = client(&kube);
    for n in 0..8 {
        make(&kube, &format!("s{n}"));
    }
    let list = [Fault::Omits, Fault::Empty, Fault::Shrunken, Fault::Undecodable];
    faults(&stage, "kube:list services", list.to_vec());
    let count = |value: &Value| value["items"].as_array().unwrap().len();
    assert_eq!(count(&get(&client, ALL).await.1), 8);
    assert_eq!(count(&get(&client, ALL).await.1), 0);
    assert_eq!(count(&get(&client, ALL).await.1), 3);
    let (_, spoiled) = get(&client, ALL).await;
    let odd = |item: &&Value| item["spec"].is_number() && item["metadata"]["name"].is_string();
    assert_eq!((count(&spoiled), spoiled["items"].as_array().unwrap().iter().filter(odd).count()), (9, 1));
}

#[tokio::test(start_paused = true)]
async fn the_page_after_an_expired_one_is_gone() {
    let (stage, kube) = kube();
    let client = client(&kube);
    make(&kube, "web");
    faults(&stage, "kube:list services", vec![Fault::PageExpired]);
    let (_, first) = get(&client, &format!("{ALL}?limit=1")).await;
    let token = first["metadata"]["continue"].as_str().unwrap();
    let (status, body) = get(&client, &format!("{ALL}?limit=1&continue={token}")).await;
    assert_eq!((status, &body["reason"]), (410, &json!("Expired")));
}

/// The types of a watch's events until it ends or a minute has gone, and whether it ended.
async fn watched(kube: &Kube, query: &str) -> (Vec<String>, bool) {
    let request = http::Request::get(format!("{ALL}?watch=true&{query}")).body(kube::client::Body::empty());
    let mut body = client(kube).send(request.unwrap()).await.unwrap().into_body();
    let mut text = Vec::new();
    let until = tokio::time::Instant::now() + Duration::from_secs(200);
    let ended = loop {
        match tokio::time::timeout_at(until, http_body_util::BodyExt::frame(&mut body)).await {
            Ok(Some(frame)) => text.extend_from_slice(frame.unwrap().data_ref().unwrap()),
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let kind = |line: &[u8]| serde_json::from_slice::<Value>(line).unwrap()["type"].as_str().unwrap().to_owned();
    (lines.map(kind).collect(), ended)
}

#[tokio::test(start_paused = true)]
async fn watches_end_stall_and_fail_as_they_are_told_to() {
    let query = "allowWatchBookmarks=true&timeoutSeconds=100";
    let cases: [(Option<Fault>, &[&str], bool); 7] = [
        (None, &["ADDED", "ADDED", "BOOKMARK", "BOOKMARK"], true),
        (Some(Fault::NoBookmarks), &["ADDED", "ADDED"], true),
        (Some(Fault::WatchEnds(0)), &[], true),
        (Some(Fault::WatchEnds(1)), &["ADDED"], true),
        (Some(Fault::WatchStalls(1)), &["ADDED"], false),
        (Some(Fault::WatchSilent), &[], false),
        (Some(Fault::WatchGone), &["ERROR"], true),
    ];
    for (fault, events, ends) in cases {
        let (stage, kube) = kube();
        make(&kube, "web");
        faults(&stage, "kube:watch", fault.clone().into_iter().collect());
        let (seen, ended) = watched(&kube, query).await;
        assert_eq!((seen.as_slice(), ended), (events.map_owned().as_slice(), ends), "{fault:?}");
    }
}

trait Owned {
    fn map_owned(&self) -> Vec<String>;
}

impl Owned for &[&str] {
    fn map_owned(&self) -> Vec<String> {
        self.iter().map(|text| (*text).to_owned()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_on_a_stale_server_tells_everything_later() {
    let (stage, kube) = kube();
    faults(&stage, "kube:watch", vec![Fault::Stale(Duration::from_secs(20))]);
    let version = kube.look(|look| look.version());
    let request = http::Request::get(format!("{ALL}?watch=true&resourceVersion={version}"));
    let mut body = client(&kube).send(request.body(kube::client::Body::empty()).unwrap()).await.unwrap().into_body();
    make(&kube, "web");
    let made = stage.clock.now();
    http_body_util::BodyExt::frame(&mut body).await.unwrap().unwrap();
    let after = stage.clock.now() - made;
    assert!(after >= Duration::from_secs(20) && after < Duration::from_secs(22), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn chaos_may_edit_the_object_that_a_call_is_about() {
    let (stage, kube) = kube();
    make(&kube, "web");
    let hand = kube.clone();
    stage.set_chaos(move |call: &crate::sim::Call| {
        if call.operation == "kube:merge services" {
            hand.by(Actor::Controller).annotate("default", "web", &[("other", Some("x"))]).unwrap();
        }
        None
    });
    let version = kube.by(Actor::Person).read(Resource::Services, "default", "web").unwrap();
    let mut body = change();
    body["metadata"]["resourceVersion"] = version["metadata"]["resourceVersion"].clone();
    let (status, answer) = ask(&client(&kube), "PATCH", WEB, MERGE, &body).await;
    assert_eq!((status, &answer["reason"]), (409, &json!("Conflict")));
    assert!(changes(&stage).iter().any(|(actor, _)| *actor == Actor::Controller));
}
