//! What these tests share.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::sim::event::{Actor, Event};
use crate::sim::fault::Fault;
use crate::sim::kube::{Kube, Options, Resource, User};
use crate::sim::{Call, Clock, Stage};

/// A server on simulated time.
pub fn kube() -> (Stage, Kube) {
    let stage = Stage::new(Clock::simulated());
    let kube = Kube::new(stage.clone(), Options::deployed().unwrap());
    (stage, kube)
}

pub fn client(kube: &Kube) -> kube::Client {
    kube.client(User::admin(Actor::Person))
}

pub fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"ports": [{"port": 53, "protocol": "UDP"}]},
    })
}

/// A person makes a Service.
pub fn make(kube: &Kube, name: &str) -> Value {
    kube.by(Actor::Person).create(Resource::Services, service(name)).unwrap()
}

pub fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap()
}

/// The next calls whose operation begins so meet these faults, one each.
pub fn faults(stage: &Stage, operation: &'static str, list: Vec<Fault>) {
    let list = Arc::new(Mutex::new(list.into_iter()));
    stage.set_chaos(
        move |call: &Call| {
            if call.operation.starts_with(operation) { list.lock().unwrap().next() } else { None }
        },
    );
}

/// A request and its answer: status and JSON.
pub async fn ask(client: &kube::Client, method: &str, path: &str, kind: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(body).unwrap() };
    let request = http::Request::builder().method(method).uri(path).header("content-type", kind);
    let response = client.send(request.body(kube::client::Body::from(body)).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let bytes = response.into_body().collect_bytes().await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

pub async fn get(client: &kube::Client, path: &str) -> (u16, Value) {
    ask(client, "GET", path, "application/json", &Value::Null).await
}

/// What changed so far, and by whom.
pub fn changes(stage: &Stage) -> Vec<(Actor, String)> {
    let changed = |(_, event)| match event {
        Event::Changed { actor, what, .. } => Some((actor, what)),
        _ => None,
    };
    stage.journal.events().into_iter().filter_map(changed).collect()
}
