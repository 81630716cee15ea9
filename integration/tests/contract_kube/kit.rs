//! A server to ask, and answers in a form in which two servers can be compared.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use futures::StreamExt;
use http_body_util::BodyExt;
use integration::sim::kube::{Kube, Options, User};
use integration::sim::{Actor, Clock, Stage};
use integration::{Context, Result, shared};
use kube::client::Body;
use serde_json::{Value, json};

pub const MERGE: &str = "application/merge-patch+json";
pub const STRATEGIC: &str = "application/strategic-merge-patch+json";
pub const JSON: &str = "application/json-patch+json";
pub const APPLY: &str = "application/apply-patch+yaml";
pub const PLAIN: &str = "application/json";

/// A server under test, with a namespace of the scenario's own.
pub struct Server {
    admin: kube::Client,
    daemon: kube::Client,
    nobody: kube::Client,
    /// The scenario's namespace.
    pub namespace: String,
    transcript: Mutex<Transcript>,
}

#[derive(Default)]
struct Transcript {
    steps: Vec<Value>,
    uids: BTreeMap<String, String>,
    versions: BTreeMap<String, String>,
}

/// Runs a scenario against both servers and compares all answers.
pub async fn same(name: &str, scenario: impl AsyncFn(&Server) -> Result<()>) -> Result<()> {
    let namespace: String = name.replace('_', "-").chars().take(60).collect();
    let namespace = namespace.trim_end_matches('-').to_owned();
    let mut options = Options::deployed()?;
    options.latency = Duration::ZERO;
    let sim = Kube::new(Stage::new(Clock::real()), options);
    let daemon = User::daemon(1);
    let nobody = User { name: "system:anonymous".into(), groups: vec![], actor: Actor::Person };
    let simulated = Server {
        admin: sim.client(User::admin(Actor::Person)),
        daemon: sim.client(daemon),
        nobody: sim.client(nobody),
        namespace: namespace.clone(),
        transcript: Mutex::default(),
    };
    let control_plane = shared::control_plane().await?;
    let token = control_plane.service_account_token("external-ips", "external-ips").await?;
    let real = Server {
        admin: control_plane.admin().await?,
        daemon: control_plane.client(&token).await?,
        nobody: control_plane.client_without_token().await?,
        namespace,
        transcript: Mutex::default(),
    };
    let mut results = Vec::new();
    for (kind, server) in [("real", &real), ("simulated", &simulated)] {
        let namespace = json!({"metadata": {"name": server.namespace}});
        server.raw(&server.admin, "POST", "/api/v1/namespaces", PLAIN, &namespace).await?;
        scenario(server).await.context(format!("on the {kind} server"))?;
        let transcript = server.transcript.lock().map_err(|_| integration::Error::new("poisoned"))?;
        results.push(transcript.steps.clone());
    }
    let (mut differences, mut count) = (String::new(), 0);
    for (at, real) in results[0].iter().enumerate() {
        let sim = results[1].get(at).cloned().unwrap_or_default();
        let mut lines = Vec::new();
        for part in ["status", "body"] {
            differ(part, &real[part], &sim[part], &mut lines);
        }
        if !lines.is_empty() {
            count += 1;
            differences += &format!("\nstep {at}: {}\n  {}\n", real["ask"], lines.join("\n  "));
        }
    }
    assert_eq!(results[0].len(), results[1].len());
    assert!(count == 0, "{count} answers of {} differ (real, simulated):{differences}", results[0].len());
    Ok(())
}

/// Where two values differ.
fn differ(at: &str, real: &Value, sim: &Value, lines: &mut Vec<String>) {
    match (real, sim) {
        (Value::Object(a), Value::Object(b)) => {
            for name in a.keys().chain(b.keys().filter(|name| !a.contains_key(*name))) {
                let missing = json!("(missing)");
                let (real, sim) = (a.get(name).unwrap_or(&missing), b.get(name).unwrap_or(&missing));
                differ(&format!("{at}.{name}"), real, sim, lines);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (real, sim)) in a.iter().zip(b).enumerate() {
                differ(&format!("{at}[{index}]"), real, sim, lines);
            }
        }
        _ if real != sim => lines.push(format!("{at}:\n    {real:.600}\n    {sim:.600}")),
        _ => {}
    }
}

impl Server {
    async fn raw(
        &self,
        client: &kube::Client,
        method: &str,
        path: &str,
        kind: &str,
        body: &Value,
    ) -> Result<(u16, Value)> {
        let bytes = match body {
            Value::Null => Vec::new(),
            Value::String(text) => text.clone().into_bytes(),
            body => serde_json::to_vec(body)?,
        };
        let request = http::Request::builder().method(method).uri(path).header("accept", PLAIN);
        let request =
            request.header("content-type", kind).header("user-agent", "contract/1").body(Body::from(bytes))?;
        let response = client.send(request).await?;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect_bytes().await?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok((status, serde_json::from_slice(&bytes).unwrap_or(Value::String(text))))
    }

    async fn step(&self, client: &kube::Client, method: &str, path: &str, kind: &str, body: &Value) -> Result<Value> {
        let (status, answer) = self.raw(client, method, path, kind, body).await?;
        self.note(&format!("{method} {path} {body}"), status, &answer);
        Ok(answer)
    }

    /// Writes an answer into the transcript.
    pub fn note(&self, ask: &str, status: u16, answer: &Value) {
        let mut transcript = self.transcript.lock().unwrap();
        let body = transcript.plain(answer);
        let ask: String = ask.chars().take(300).collect();
        transcript.steps.push(json!({"ask": ask, "status": status, "body": body}));
    }

    /// Below the scenario's namespace, in the core group.
    pub fn path(&self, rest: &str) -> String {
        format!("/api/v1/namespaces/{}/{rest}", self.namespace)
    }

    /// Below the scenario's namespace, in another group.
    pub fn group_path(&self, group: &str, rest: &str) -> String {
        format!("/apis/{group}/namespaces/{}/{rest}", self.namespace)
    }

    pub async fn get(&self, path: &str) -> Result<Value> {
        self.step(&self.admin, "GET", path, PLAIN, &Value::Null).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Result<Value> {
        self.step(&self.admin, "POST", path, PLAIN, &body).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Result<Value> {
        self.step(&self.admin, "PUT", path, PLAIN, &body).await
    }

    pub async fn patch(&self, kind: &str, path: &str, body: Value) -> Result<Value> {
        self.step(&self.admin, "PATCH", path, kind, &body).await
    }

    pub async fn delete(&self, path: &str, body: Value) -> Result<Value> {
        self.step(&self.admin, "DELETE", path, PLAIN, &body).await
    }

    /// Asks with the rights of the daemon.
    pub async fn daemon(&self, method: &str, path: &str, kind: &str, body: Value) -> Result<Value> {
        self.step(&self.daemon, method, path, kind, &body).await
    }

    /// Asks with the rights of the daemon; the answer isn't noted.
    pub async fn daemon_quietly(&self, path: &str, body: Value) -> Result<Value> {
        Ok(self.raw(&self.daemon, "POST", path, PLAIN, &body).await?.1)
    }

    /// Asks with no rights.
    pub async fn nobody(&self, method: &str, path: &str) -> Result<Value> {
        self.step(&self.nobody, method, path, PLAIN, &Value::Null).await
    }

    /// A Service of the namespace.
    pub fn service(&self, name: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"ports": [{"port": 53, "protocol": "UDP"}], "selector": {"app": name}},
        })
    }

    /// Makes one.
    pub async fn make(&self, name: &str) -> Result<Value> {
        self.post(&self.path("services?fieldManager=maker"), self.service(name)).await
    }

    /// A watch: its status, and its events one by one, or the whole answer where it is refused.
    pub async fn watch(&self, path: &str) -> Result<Watch<'_>> {
        let request = http::Request::get(path).header("accept", PLAIN).body(Body::empty())?;
        let response = self.admin.send(request).await?;
        let status = response.status().as_u16();
        let body = response.into_body();
        if status != 200 {
            let bytes = body.collect_bytes().await?;
            self.note(&format!("WATCH {path}"), status, &serde_json::from_slice(&bytes).unwrap_or_default());
            return Ok(Watch { server: self, lines: futures::stream::empty().boxed() });
        }
        self.note(&format!("WATCH {path}"), status, &Value::Null);
        Ok(Watch { server: self, lines: lines(body) })
    }
}

type Lines = futures::stream::BoxStream<'static, Value>;

/// The lines of a body, as JSON.
fn lines(body: Body) -> Lines {
    let state = (body.into_data_stream(), Vec::<u8>::new());
    let lines = futures::stream::unfold(state, |(mut pieces, mut buffer)| async move {
        loop {
            if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                let rest = buffer.split_off(end + 1);
                let line = serde_json::from_slice(&buffer).unwrap_or_default();
                return Some((line, (pieces, rest)));
            }
            buffer.extend_from_slice(&pieces.next().await?.ok()?);
        }
    });
    lines.boxed()
}

/// An open watch.
pub struct Watch<'a> {
    server: &'a Server,
    lines: Lines,
}

impl Watch<'_> {
    /// Notes the next events; fewer where the watch ends or says nothing for ten seconds.
    pub async fn events(&mut self, count: usize) -> Result<Vec<Value>> {
        let mut all = Vec::new();
        for _ in 0..count {
            let next = tokio::time::timeout(Duration::from_secs(10), self.lines.next()).await;
            let event = match next {
                Ok(Some(event)) => event,
                Ok(None) => json!("(end)"),
                Err(_) => json!("(silence)"),
            };
            self.server.note("EVENT", 200, &event);
            all.push(event);
        }
        Ok(all)
    }
}

impl Transcript {
    /// The answer with all that differs between any two servers replaced by names.
    fn plain(&mut self, value: &Value) -> Value {
        self.learn(value);
        self.replaced("", value)
    }

    fn learn(&mut self, value: &Value) {
        match value {
            Value::Object(map) => {
                if let Some(uid) = map.get("uid").and_then(Value::as_str).filter(|uid| uid.len() == 36) {
                    let next = format!("uid{}", self.uids.len());
                    self.uids.entry(uid.to_owned()).or_insert(next);
                }
                map.values().for_each(|member| self.learn(member));
            }
            Value::Array(items) => items.iter().for_each(|item| self.learn(item)),
            _ => {}
        }
    }

    fn replaced(&mut self, name: &str, value: &Value) -> Value {
        match value {
            Value::Object(map) => {
                let list = map.contains_key("items");
                let mark = map.get("type").is_some_and(|kind| kind == "BOOKMARK");
                let member = |transcript: &mut Self, (name, value): (&String, &Value)| {
                    let within = if list && name == "metadata" { "listmeta" } else { name };
                    let mut value = value.clone();
                    if mark && name == "object" {
                        value["metadata"]["resourceVersion"] = json!("");
                    } else if within == "listmeta" {
                        value["resourceVersion"] = json!("");
                    }
                    let value = transcript.replaced(within, &value);
                    (name.clone(), value)
                };
                Value::Object(map.iter().map(|pair| member(self, pair)).collect())
            }
            Value::Array(items) => {
                let mut items: Vec<Value> = items.iter().map(|item| self.replaced(name, item)).collect();
                // Their order depends on the second in which they were written.
                if name == "managedFields" {
                    items
                        .sort_by_key(|item| format!("{}{}{}", item["operation"], item["manager"], item["subresource"]));
                }
                Value::Array(items)
            }
            Value::String(text) => self.text(name, text).into(),
            Value::Number(number) if name == "nodePort" || name == "healthCheckNodePort" => {
                if number.as_i64().is_some_and(|n| n >= 30_000) { json!("node port") } else { value.clone() }
            }
            other => other.clone(),
        }
    }

    fn text(&mut self, name: &str, text: &str) -> String {
        match name {
            "resourceVersion" if !text.is_empty() => {
                let next = format!("version{}", self.versions.len());
                return self.versions.entry(text.to_owned()).or_insert(next).clone();
            }
            "continue" if !text.is_empty() => return "token".to_owned(),
            "clusterIP" | "clusterIPs" if text.starts_with("10.96.") => return "cluster ip".to_owned(),
            _ => {}
        }
        if name.ends_with("Time") || name == "creationTimestamp" || name == "deletionTimestamp" || name == "time" {
            return if text.is_empty() { String::new() } else { "time".to_owned() };
        }
        let mut text = text.to_owned();
        for (uid, label) in &self.uids {
            text = text.replace(uid, label);
        }
        if let Some(at) = text.find("patch: Invalid value:").filter(|_| name == "message") {
            // The whole object, and Go's words for what is wrong with it.
            text.truncate(at);
        }
        if name == "message" && text.starts_with("Invalid value: \"{") {
            text.truncate(16);
        }
        if name == "message" || name == "name" {
            let mut out = String::new();
            let mut digits = String::new();
            for character in text.chars().chain(['\0']) {
                if character.is_ascii_digit() {
                    digits.push(character);
                    continue;
                }
                out += if digits.len() > 2 { "N" } else { &digits };
                digits.clear();
                if character != '\0' {
                    out.push(character);
                }
            }
            text = out;
        }
        text
    }
}
