//! A fake API server as a tower service: lists in pages, watches, server-side apply with field ownership, JSON
//! patches of managed fields, dry runs, Events. What a client sends is handled even if the client no longer waits
//! for the answer. What goes wrong is scripted.

mod objects;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use kube::client::Body;
use objects::{Objects, Patch};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tower::{BoxError, Service};

type AnswerBody = UnsyncBoxBody<Bytes, BoxError>;

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    List,
    Watch,
    Get,
    /// Server-side apply of a Service.
    Apply,
    /// The same with `dryRun=All`.
    DryRun,
    /// Server-side apply of a Service's status.
    Status,
    /// JSON patch of a Service.
    JsonPatch,
    Event,
}

/// What happens to a request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// It is answered so, and has no effect.
    Answer(u16, Value),
    /// The same with a header Retry-After, in seconds.
    Later(u16, u32),
    /// It has no effect and the connection breaks.
    LostBefore,
    /// It takes effect and the connection breaks.
    LostAfter,
    /// It takes effect, and no answer ever comes.
    Hang,
    /// It takes so long until it has its effect and is answered.
    Slow(Duration),
    /// It is answered 200 with this.
    Body(String),
    /// A watch that is accepted, says these lines and is closed.
    Lines(Vec<String>),
    /// A watch that is accepted, says these lines and breaks.
    Broken(Vec<String>),
    /// A watch that is accepted and says nothing, ever.
    Silent,
}

struct Rule {
    verb: Verb,
    part: String,
    times: usize,
    fault: Fault,
}

/// A request as it was handled.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub at: Duration,
    pub verb: Verb,
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub content_type: String,
    pub body: Value,
    /// What was answered, whether or not the answer arrived.
    pub status: u16,
}

impl Call {
    /// A parameter of the query; empty where absent.
    pub fn asked(&self, key: &str) -> &str {
        self.query.get(key).map_or("", String::as_str)
    }
}

struct State {
    objects: Objects,
    rules: Vec<Rule>,
    calls: Vec<Call>,
    events: Vec<Value>,
    /// Objects per page at most.
    page: usize,
}

#[derive(Clone)]
pub(crate) struct Api {
    start: Instant,
    state: Arc<Mutex<State>>,
    news: Arc<watch::Sender<u64>>,
    /// What was written, in the order of the answers; others may write there as well.
    pub journal: Arc<Mutex<Vec<String>>>,
}

/// So long every request takes.
const LATENCY: Duration = Duration::from_millis(5);

impl Api {
    pub fn new() -> Api {
        let (objects, page) = (Objects::default(), usize::MAX);
        let state = State { objects, rules: Vec::new(), calls: Vec::new(), events: Vec::new(), page };
        Api {
            start: Instant::now(),
            state: Arc::new(Mutex::new(state)),
            news: Arc::new(watch::Sender::new(0)),
            journal: Arc::default(),
        }
    }

    pub fn client(&self) -> kube::Client {
        kube::Client::new(self.clone(), "default")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Somebody else works on the objects.
    pub fn edit<R>(&self, f: impl FnOnce(&mut Objects) -> R) -> R {
        let result = f(&mut self.state().objects);
        self.news.send_modify(|n| *n += 1);
        result
    }

    /// A Service as it is; null if it isn't there.
    pub fn service(&self, namespace: &str, name: &str) -> Value {
        self.state().objects.read("services", namespace, name).unwrap_or_default()
    }

    /// The next `times` requests of this kind whose path or query contains `part` meet `fault`.
    pub fn fault(&self, verb: Verb, part: &str, times: usize, fault: Fault) {
        self.state().rules.push(Rule { verb, part: part.to_owned(), times, fault });
    }

    /// Nothing goes wrong from now on.
    pub fn heal(&self) {
        self.state().rules.clear();
    }

    pub fn pages_of(&self, page: usize) {
        self.state().page = page;
    }

    /// A complete list as it would be answered now.
    pub fn list_body(&self, resource: &str) -> String {
        self.state().objects.list(resource, "", usize::MAX, "").unwrap().to_string()
    }

    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// The requests of one kind so far whose path contains `part`.
    pub fn calls_of(&self, verb: Verb, part: &str) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.verb == verb && call.path.contains(part)).collect()
    }

    /// The requests so far that change something.
    pub fn writes(&self) -> Vec<Call> {
        let writes = |call: &Call| !matches!(call.verb, Verb::List | Verb::Watch | Verb::Get | Verb::DryRun);
        self.calls().into_iter().filter(writes).collect()
    }

    /// Reasons of the Events of a Service, in order.
    pub fn events(&self, name: &str) -> Vec<String> {
        let of = |event: &&Value| event["regarding"]["name"] == name;
        self.state().events.iter().filter(of).map(|event| event["reason"].as_str().unwrap().to_owned()).collect()
    }

    pub fn last_event(&self) -> Value {
        self.state().events.last().cloned().unwrap_or_default()
    }

    fn find(&self, verb: Verb, uri: &str) -> Option<Fault> {
        let mut state = self.state();
        let rule = state.rules.iter_mut().find(|r| r.verb == verb && r.times > 0 && uri.contains(&r.part))?;
        rule.times -= 1;
        Some(rule.fault.clone())
    }

    /// What a request does and is answered.
    fn apply(&self, call: &Call) -> (u16, Value) {
        let (resource, namespace, name) = place(&call.path);
        let result = {
            let mut state = self.state();
            let page = state.page.min(call.asked("limit").parse().unwrap_or(usize::MAX));
            match call.verb {
                Verb::List => state.objects.list(resource, namespace, page, call.asked("continue")),
                Verb::Watch => state.objects.watchable(call.asked("resourceVersion")).map(|_| Value::Null),
                Verb::Get => {
                    let found = state.objects.read(resource, namespace, name);
                    found.ok_or_else(|| status(404, "NotFound", &format!("{resource} \"{name}\" not found")))
                }
                Verb::Apply | Verb::DryRun | Verb::Status => state.objects.apply(&Patch {
                    namespace,
                    name,
                    body: &call.body,
                    manager: call.asked("fieldManager"),
                    force: call.asked("force") == "true",
                    status: call.verb == Verb::Status,
                    dry_run: call.verb == Verb::DryRun,
                }),
                Verb::JsonPatch => state.objects.json_patch(namespace, name, &call.body),
                Verb::Event => {
                    state.events.push(call.body.clone());
                    Ok(call.body.clone())
                }
            }
        };
        self.news.send_modify(|n| *n += 1);
        match result {
            Ok(value) => (200, value),
            Err(value) => (u16::try_from(value["code"].as_u64().unwrap()).unwrap(), value),
        }
    }

    fn note(&self, mut call: Call, status: u16) {
        call.status = status;
        if !matches!(call.verb, Verb::List | Verb::Watch | Verb::Get) {
            let (_, namespace, name) = place(&call.path);
            let line = match call.verb {
                Verb::Event => format!("Event {}", call.body["reason"].as_str().unwrap()),
                verb => format!("{verb:?} {namespace}/{name} {status}"),
            };
            self.journal.lock().unwrap().push(line);
        }
        self.state().calls.push(call);
    }

    /// A watch from `version` on, until `end`.
    fn events_from(&self, call: &Call) -> AnswerBody {
        let (resource, namespace, _) = place(&call.path);
        let (resource, namespace) = (resource.to_owned(), namespace.to_owned());
        let version: u64 = call.asked("resourceVersion").parse().unwrap();
        let end = Instant::now() + Duration::from_secs(call.asked("timeoutSeconds").parse().unwrap());
        let start = (self.clone(), version, self.news.subscribe());
        let stream = futures::stream::unfold(start, move |(api, at, mut news)| {
            let (resource, namespace) = (resource.clone(), namespace.clone());
            async move {
                loop {
                    news.mark_unchanged();
                    let next = api.state().objects.event_after(&resource, &namespace, at);
                    if let Some((version, event)) = next {
                        return Some((frame(&event.to_string()), (api, version, news)));
                    }
                    tokio::select! {
                        biased;
                        _ = news.changed() => {}
                        () = tokio::time::sleep_until(end) => return None,
                    }
                }
            }
        });
        StreamBody::new(stream).boxed_unsync()
    }

    async fn handle(self, request: Request<Body>) -> Result<Response<AnswerBody>, BoxError> {
        let (parts, body) = request.into_parts();
        let body = body.collect_bytes().await?;
        let call = self.call_of(&parts, &body);
        let uri = parts.uri.to_string();
        tokio::time::sleep(LATENCY).await;
        let fault = self.find(call.verb, &uri);
        match fault {
            Some(Fault::Answer(code, value)) => {
                self.note(call, code);
                return answer(code, None, &value);
            }
            Some(Fault::Later(code, seconds)) => {
                self.note(call, code);
                return answer(code, Some(seconds), &status(code, "TooManyRequests", "please try again later"));
            }
            Some(Fault::LostBefore) => {
                self.note(call, 0);
                return Err("connection reset".into());
            }
            Some(Fault::Body(text)) => {
                self.note(call, 200);
                return Ok(Response::new(whole(text)));
            }
            Some(Fault::Lines(ref lines) | Fault::Broken(ref lines)) => {
                self.note(call, 200);
                let mut frames: Vec<_> = lines.iter().map(|line| frame(line)).collect();
                if let Some(Fault::Broken(_)) = fault {
                    frames.push(Err("connection reset".into()));
                }
                return Ok(Response::new(StreamBody::new(futures::stream::iter(frames)).boxed_unsync()));
            }
            Some(Fault::Silent) => {
                self.note(call, 200);
                return Ok(Response::new(StreamBody::new(futures::stream::pending()).boxed_unsync()));
            }
            Some(Fault::Slow(time)) => tokio::time::sleep(time).await,
            Some(Fault::LostAfter | Fault::Hang) | None => {}
        }
        let (code, value) = self.apply(&call);
        self.note(call.clone(), code);
        match fault {
            Some(Fault::LostAfter) => Err("connection reset".into()),
            Some(Fault::Hang) => std::future::pending().await,
            _ if call.verb == Verb::Watch && code == 200 => Ok(Response::new(self.events_from(&call))),
            _ => answer(code, None, &value),
        }
    }

    fn call_of(&self, parts: &http::request::Parts, body: &[u8]) -> Call {
        let pairs = parts.uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
        let query: BTreeMap<String, String> = pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let path = parts.uri.path().to_owned();
        let content_type = parts.headers.get("content-type").map_or("", |v| v.to_str().unwrap()).to_owned();
        let (_, _, name) = place(&path);
        let verb = match parts.method {
            Method::GET if query.contains_key("watch") => Verb::Watch,
            Method::GET if name.is_empty() => Verb::List,
            Method::GET => Verb::Get,
            Method::POST if path.ends_with("/events") => Verb::Event,
            Method::PATCH if content_type == "application/json-patch+json" => Verb::JsonPatch,
            Method::PATCH if path.ends_with("/status") => Verb::Status,
            Method::PATCH if query.contains_key("dryRun") => Verb::DryRun,
            Method::PATCH if content_type == "application/apply-patch+yaml" => Verb::Apply,
            ref other => panic!("{other} {path} isn't played"),
        };
        let body = serde_json::from_slice(body).unwrap_or_default();
        Call { at: self.start.elapsed(), verb, path, query, content_type, body, status: 0 }
    }
}

/// Resource, namespace and name that a path names; the latter two may be empty.
fn place(path: &str) -> (&str, &str, &str) {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let rest = if parts[0] == "api" { &parts[2..] } else { &parts[3..] };
    match rest {
        ["namespaces", namespace, resource, rest @ ..] => (resource, namespace, rest.first().unwrap_or(&"")),
        [resource, rest @ ..] => (resource, "", rest.first().unwrap_or(&"")),
        [] => panic!("{path}"),
    }
}

/// An answer of kind `Status`.
pub(crate) fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
        "reason": reason, "code": code})
}

/// The line of a watch that tells of an error.
pub(crate) fn error_line(code: u16, reason: &str) -> String {
    json!({"type": "ERROR", "object": status(code, reason, "too old resource version")}).to_string()
}

fn frame(line: &str) -> Result<Frame<Bytes>, BoxError> {
    Ok(Frame::data(Bytes::from(format!("{line}\n"))))
}

fn whole(text: String) -> AnswerBody {
    Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync()
}

fn answer(code: u16, retry_after: Option<u32>, value: &Value) -> Result<Response<AnswerBody>, BoxError> {
    let mut builder = Response::builder().status(StatusCode::from_u16(code)?);
    if let Some(seconds) = retry_after {
        builder = builder.header("retry-after", seconds.to_string());
    }
    Ok(builder.body(whole(value.to_string()))?)
}

impl Service<Request<Body>> for Api {
    type Response = Response<AnswerBody>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let api = self.clone();
        // What is sent arrives, whether or not somebody waits for the answer.
        Box::pin(async move { tokio::spawn(api.handle(request)).await? })
    }
}
