//! A fake API server that knows one Lease: optimistic locking as the real one does it, merge patches, watches. What
//! a client sends is handled even if the client no longer waits for the answer.

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use kube::client::Body;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{Barrier, watch};
use tokio::time::Instant;
use tower::{BoxError, Service};

pub type AnswerBody = UnsyncBoxBody<Bytes, BoxError>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Get,
    Patch,
    Post,
    Watch,
}

/// What happens to a request.
#[derive(Clone, Default)]
pub struct Fault {
    /// It takes so long to arrive.
    pub before: Duration,
    /// It waits here before it is handled.
    pub gate: Option<Arc<Barrier>>,
    /// Somebody edits the Lease's metadata just before.
    pub edit: bool,
    /// It is answered so, and has no effect.
    pub status: Option<u16>,
    /// The answer takes so long.
    pub after: Duration,
    /// The answer is lost: an error at once.
    pub lose: bool,
    /// A watch is closed after so many events.
    pub close_after: Option<usize>,
    /// It never arrives.
    pub cut: bool,
}

struct Rule {
    who: String,
    kind: Option<Kind>,
    times: usize,
    fault: Fault,
}

/// A request as it was handled.
#[derive(Clone, Debug)]
pub struct Entry {
    pub at: Duration,
    pub who: String,
    pub kind: Kind,
    pub status: u16,
}

struct State {
    lease: Option<Value>,
    version: u64,
    history: Vec<(u64, Value)>,
    rules: Vec<Rule>,
    log: Vec<Entry>,
}

#[derive(Clone)]
pub struct Api {
    start: Instant,
    state: Arc<Mutex<State>>,
    news: Arc<watch::Sender<u64>>,
}

pub const NAMESPACE: &str = "kube-system";
pub const NAME: &str = "external-ips";

impl Api {
    pub fn new() -> Api {
        let state = State { lease: None, version: 100, history: vec![], rules: vec![], log: vec![] };
        Api { start: Instant::now(), state: Arc::new(Mutex::new(state)), news: Arc::new(watch::Sender::new(0)) }
    }

    pub fn client(&self, who: &str) -> kube::Client {
        kube::Client::new(Endpoint { api: self.clone(), who: who.to_owned() }, NAMESPACE)
    }

    pub fn fault(&self, who: &str, kind: Option<Kind>, times: usize, fault: Fault) {
        self.state.lock().unwrap().rules.push(Rule { who: who.to_owned(), kind, times, fault });
    }

    pub fn cut(&self, who: &str) {
        self.fault(who, None, usize::MAX, Fault { cut: true, ..Fault::default() });
    }

    pub fn heal(&self, who: &str) {
        self.state.lock().unwrap().rules.retain(|rule| rule.who != who);
    }

    /// Time since it was made.
    pub fn age(&self) -> Duration {
        self.start.elapsed()
    }

    pub fn log(&self) -> Vec<Entry> {
        self.state.lock().unwrap().log.clone()
    }

    pub fn count(&self, who: &str, kind: Kind, status: u16) -> usize {
        self.log().iter().filter(|e| e.who == who && e.kind == kind && e.status == status).count()
    }

    pub fn lease(&self) -> Value {
        self.state.lock().unwrap().lease.clone().unwrap_or_default()
    }

    pub fn holder(&self) -> String {
        self.lease().pointer("/spec/holderIdentity").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// A person writes the Lease's spec.
    pub fn write_spec(&self, spec: Value) {
        let mut state = self.state.lock().unwrap();
        let mut lease = state.lease.clone().unwrap_or_else(|| plain(&format!("uid-{}", state.version)));
        lease["spec"] = spec;
        let version = state.put(lease);
        self.news.send_replace(version);
    }

    /// A person annotates the Lease.
    pub fn annotate(&self) {
        let mut state = self.state.lock().unwrap();
        let mut lease = state.lease.clone().unwrap();
        lease["metadata"]["annotations"] = json!({"edited": state.version.to_string()});
        let version = state.put(lease);
        self.news.send_replace(version);
    }

    /// A person patches the Lease's spec.
    pub fn patch_spec(&self, patch: &Value) {
        let mut spec = self.lease()["spec"].clone();
        merge(&mut spec, patch);
        self.write_spec(spec);
    }

    pub fn delete(&self) {
        let mut state = self.state.lock().unwrap();
        state.version += 1;
        let version = state.version;
        let lease = state.lease.take().unwrap_or_default();
        state.history.push((version, json!({"type": "DELETED", "object": lease})));
        self.news.send_replace(version);
    }

    fn find(&self, who: &str, kind: Kind) -> Fault {
        let mut state = self.state.lock().unwrap();
        let rule = state.rules.iter_mut().find(|r| r.who == who && r.times > 0 && r.kind.is_none_or(|k| k == kind));
        rule.map_or_else(Fault::default, |rule| {
            rule.times -= 1;
            rule.fault.clone()
        })
    }

    fn apply(&self, who: &str, kind: Kind, body: &[u8], edit: bool, status: Option<u16>) -> (u16, Value) {
        let mut state = self.state.lock().unwrap();
        if edit && let Some(mut lease) = state.lease.clone() {
            lease["metadata"]["annotations"] = json!({"edited": state.version.to_string()});
            state.put(lease);
        }
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let (status, value) = match (status, kind) {
            (Some(status), _) => (status, failure(status)),
            (None, Kind::Get) => state.lease.clone().map_or_else(|| (404, failure(404)), |lease| (200, lease)),
            (None, Kind::Post) if state.lease.is_some() => (409, failure(409)),
            (None, Kind::Post) => {
                let mut lease = plain(&format!("uid-{}", state.version));
                lease["spec"] = body["spec"].clone();
                valid(&lease).map_or((422, failure(422)), |()| {
                    state.put(lease);
                    (201, state.lease.clone().unwrap())
                })
            }
            (None, Kind::Patch) => match state.lease.clone() {
                None => (404, failure(404)),
                Some(lease)
                    if body
                        .pointer("/metadata/resourceVersion")
                        .is_some_and(|v| *v != lease["metadata"]["resourceVersion"]) =>
                {
                    (409, failure(409))
                }
                Some(mut lease) => {
                    merge(&mut lease, &body);
                    valid(&lease).map_or((422, failure(422)), |()| {
                        state.put(lease);
                        (200, state.lease.clone().unwrap())
                    })
                }
            },
            (None, Kind::Watch) => (200, Value::Null),
        };
        let at = self.start.elapsed();
        state.log.push(Entry { at, who: who.to_owned(), kind, status });
        self.news.send_replace(state.version);
        (status, value)
    }

    fn watch_from(&self, version: u64, events: usize) -> AnswerBody {
        let stream =
            futures::stream::unfold((self.clone(), version, self.news.subscribe()), |(api, at, mut news)| async move {
                loop {
                    news.mark_unchanged();
                    let next = api.state.lock().unwrap().history.iter().find(|(v, _)| *v > at).cloned();
                    if let Some((version, event)) = next {
                        let other = json!({"metadata": {"name": "other", "resourceVersion": version.to_string()}});
                        let noise = json!({"type": "DELETED", "object": other});
                        let line = Bytes::from(format!("{noise}\n{event}\n"));
                        return Some((line, (api, version, news)));
                    }
                    let _ = news.changed().await;
                }
            });
        // A piece of the body is no line.
        let pieces = stream.take(events).flat_map(|mut line: Bytes| {
            let first = line.split_to(line.len() / 3);
            futures::stream::iter([first, line].map(|piece| Ok::<_, BoxError>(Frame::data(piece))))
        });
        StreamBody::new(pieces).boxed_unsync()
    }
}

impl State {
    fn put(&mut self, mut lease: Value) -> u64 {
        self.version += 1;
        lease["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let event = if self.lease.is_some() { "MODIFIED" } else { "ADDED" };
        self.history.push((self.version, json!({"type": event, "object": lease})));
        self.lease = Some(lease);
        self.version
    }
}

fn plain(uid: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "uid": uid},
    })
}

/// What the real one refuses in writes of ours.
fn valid(lease: &Value) -> Option<()> {
    let lasts = lease.pointer("/spec/leaseDurationSeconds").and_then(Value::as_i64)?;
    let transitions = lease.pointer("/spec/leaseTransitions").and_then(Value::as_i64)?;
    let time = lease.pointer("/spec/renewTime").and_then(Value::as_str)?;
    time.parse::<jiff::Timestamp>().ok()?;
    (lasts > 0 && (0..=i64::from(i32::MAX)).contains(&transitions)).then_some(())
}

fn failure(code: u16) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "no", "reason": "No", "code": code})
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(key);
        } else {
            merge(&mut target[key], value);
        }
    }
}

#[derive(Clone)]
struct Endpoint {
    api: Api,
    who: String,
}

impl Endpoint {
    async fn handle(self, request: Request<Body>) -> Result<Response<AnswerBody>, BoxError> {
        let (parts, body) = request.into_parts();
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let kind = match parts.method {
            Method::GET if query.contains("watch=true") => Kind::Watch,
            Method::GET => Kind::Get,
            Method::PATCH => Kind::Patch,
            Method::POST => Kind::Post,
            other => panic!("unexpected {other}"),
        };
        let path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
        let named = matches!(kind, Kind::Get | Kind::Patch);
        assert_eq!(parts.uri.path(), if named { format!("{path}/{NAME}") } else { path.to_owned() });
        let body = body.collect_bytes().await?;
        let fault = self.api.find(&self.who, kind);
        if fault.cut {
            return std::future::pending().await;
        }
        if !fault.before.is_zero() {
            tokio::time::sleep(fault.before).await;
        }
        if let Some(gate) = &fault.gate {
            gate.wait().await;
        }
        let (status, value) = self.api.apply(&self.who, kind, &body, fault.edit, fault.status);
        if !fault.after.is_zero() {
            tokio::time::sleep(fault.after).await;
        }
        if fault.lose {
            return Err("connection reset".into());
        }
        let body = if kind == Kind::Watch && status == 200 {
            assert!(query.contains(&format!("fieldSelector=metadata.name%3D{NAME}")), "{query}");
            let version = query.split("resourceVersion=").nth(1).unwrap().split('&').next().unwrap();
            self.api.watch_from(version.parse().unwrap(), fault.close_after.unwrap_or(usize::MAX))
        } else {
            Full::new(Bytes::from(value.to_string())).map_err(|never| match never {}).boxed_unsync()
        };
        Ok(Response::builder().status(StatusCode::from_u16(status)?).body(body)?)
    }
}

impl Service<Request<Body>> for Endpoint {
    type Response = Response<AnswerBody>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let endpoint = self.clone();
        // What is sent arrives, whether or not somebody waits for the answer.
        Box::pin(async move { tokio::spawn(endpoint.handle(request)).await? })
    }
}
