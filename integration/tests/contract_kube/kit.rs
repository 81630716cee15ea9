//! A server to ask, and answers in a form in which two servers can be compared.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;

use super::plain::Transcript;
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
    kubectl: PathBuf,
    kubeconfig: PathBuf,
    transcript: Mutex<Transcript>,
}

/// Runs a scenario against both servers and compares all answers.
pub async fn same(name: &str, scenario: impl AsyncFn(&Server) -> Result<()>) -> Result<()> {
    let namespace: String = name.replace('_', "-").chars().take(60).collect();
    let namespace = namespace.trim_end_matches('-').to_owned();
    let mut options = Options::deployed()?;
    options.latency = Duration::ZERO;
    let sim = Kube::new(Stage::new(Clock::real()), options);
    // kubectl sends no token without TLS.
    sim.add_user("", User::admin(Actor::Person));
    let served = sim.serve().await?;
    let control_plane = shared::control_plane().await?;
    let daemon = User::daemon(1);
    let nobody = User { name: "system:anonymous".into(), groups: vec![], actor: Actor::Person };
    let simulated = Server {
        admin: sim.client(User::admin(Actor::Person)),
        daemon: sim.client(daemon),
        nobody: sim.client(nobody),
        namespace: namespace.clone(),
        kubectl: control_plane.kubectl_path().to_owned(),
        kubeconfig: {
            let path = control_plane.directory().join(format!("kubeconfig-simulated-{namespace}"));
            std::fs::write(&path, served.kubeconfig(""))?;
            path
        },
        transcript: Mutex::default(),
    };
    let token = control_plane.service_account_token("external-ips", "external-ips").await?;
    let real = Server {
        admin: control_plane.admin().await?,
        daemon: control_plane.client(&token).await?,
        nobody: control_plane.client_without_token().await?,
        namespace,
        kubectl: control_plane.kubectl_path().to_owned(),
        kubeconfig: control_plane.kubeconfig_for(control_plane.admin_token())?,
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
    if std::env::var_os("CONTRACT_SHOW").is_some() {
        println!("{}", serde_json::to_string_pretty(&results[0])?);
    }
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

    fn command(&self, arguments: &str) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.kubectl);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", "/nonexistent");
        command.env("KUBE_EDITOR", "sed -i -e s/before/after/");
        command.arg("--kubeconfig").arg(&self.kubeconfig);
        command.arg("--cache-dir").arg(self.kubeconfig.with_extension("cache"));
        command.arg("--namespace").arg(&self.namespace).args(words(arguments)).kill_on_drop(true);
        command
    }

    /// Runs kubectl in the scenario's namespace with `input` as its standard input; notes its exit code and what it
    /// printed, and returns what it printed to standard output.
    pub async fn kubectl_with(&self, input: &str, arguments: &str) -> Result<String> {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            tokio::io::AsyncWriteExt::write_all(&mut stdin, input.as_bytes()).await?;
        }
        let output = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await??;
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        let mut transcript = self.transcript.lock().unwrap();
        let shown = json!({"out": transcript.lines(&out), "err": transcript.lines(&err)});
        let ask = format!("kubectl {arguments}");
        transcript.steps.push(json!({"ask": ask, "status": output.status.code(), "body": shown}));
        Ok(out)
    }

    /// Runs a kubectl that watches: when it has printed so many lines, a Service is changed again and again until
    /// another line comes. Notes the lines up to that one.
    pub async fn kubectl_watching(&self, arguments: &str, before: usize, service: &str) -> Result<()> {
        let mut command = self.command(arguments);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let stdout = child.stdout.take().context("its output")?;
        let mut printed = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(stdout));
        let mut lines = Vec::new();
        for _ in 0..before {
            let line = tokio::time::timeout(Duration::from_secs(60), printed.next_line()).await??;
            lines.push(line.context("a line")?);
        }
        let path = self.path(&format!("services/{service}"));
        for attempt in 0..240 {
            // Of one length, so that the columns are.
            let change = json!({"metadata": {"annotations": {"attempt": format!("{attempt:03}")}}});
            self.quietly(MERGE, &path, change).await?;
            if let Ok(line) = tokio::time::timeout(Duration::from_millis(250), printed.next_line()).await {
                lines.push(line?.context("a line")?);
                break;
            }
        }
        child.kill().await?;
        let mut transcript = self.transcript.lock().unwrap();
        let shown = json!({"out": transcript.lines(&lines.join("\n"))});
        transcript.steps.push(json!({"ask": format!("kubectl {arguments}"), "status": 0, "body": shown}));
        Ok(())
    }

    /// The same without input.
    pub async fn kubectl(&self, arguments: &str) -> Result<String> {
        self.kubectl_with("", arguments).await
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

    /// A patch whose answer isn't noted.
    pub async fn quietly(&self, kind: &str, path: &str, body: Value) -> Result<()> {
        self.raw(&self.admin, "PATCH", path, kind, &body).await.map(drop)
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

    /// Makes one without an address of its own: of those the real server's allocator sometimes writes Events.
    pub async fn make_headless(&self, name: &str) -> Result<Value> {
        let mut service = self.service(name);
        service["spec"]["clusterIP"] = json!("None");
        self.post(&self.path("services?fieldManager=maker"), service).await
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

/// Words between spaces; single quotes keep spaces.
fn words(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    for (at, part) in text.split('\'').enumerate() {
        if at % 2 == 1 {
            out.push(part.to_owned());
        } else {
            out.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    out
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
