//! A recording proxy before the API server, for one replica of the daemon: what it asked, in its order, with gates
//! and canned answers.
//!
//! The daemon talks to it by plain HTTP with its own token, which is passed on: the API server sees who asks. Answers
//! are passed on as they come, so that watches work.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Request, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use kube::Client;
use kube::client::Body as KubeBody;
use serde_json::json;

use crate::control_plane::ControlPlane;
use crate::error::Result;
use crate::intercept::{Canned, Gate, Intercept, When};
use crate::wire::{self, Listener, Outcome, Reset};

/// One request to the API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeCall {
    /// Its place among all requests, from 0.
    pub number: usize,
    /// The HTTP method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The query, without the question mark.
    pub query: String,
    /// The body that was sent.
    pub body: Bytes,
    /// When it came, since the proxy's start.
    pub came: Duration,
    /// When its answer began, and the HTTP status (0: none, the connection ended).
    pub answered: Option<(Duration, u16)>,
}

impl KubeCall {
    /// Whether it changes something (a dry run doesn't).
    pub fn is_write(&self) -> bool {
        self.method != "GET" && !self.query.contains("dryRun=")
    }

    /// Whether it is a watch.
    pub fn is_watch(&self) -> bool {
        self.query.contains("watch=1") || self.query.contains("watch=true")
    }

    /// Whether it concerns Leases.
    pub fn is_lease(&self) -> bool {
        self.path.contains("/leases")
    }
}

/// A running proxy; it ends when dropped.
#[derive(Debug)]
pub struct KubeGate {
    listener: Listener,
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    intercept: Intercept<KubeCall>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.intercept.fmt(f)
    }
}

impl KubeGate {
    /// Starts a proxy before `control_plane`.
    pub async fn start(control_plane: &ControlPlane) -> Result<Self> {
        let client = control_plane.client_without_token().await?;
        let shared = Arc::new(Shared { client, intercept: Intercept::new() });
        let handler = Arc::clone(&shared);
        let listener = Listener::serve(move |request| Arc::clone(&handler).handle(request)).await?;
        Ok(Self { listener, shared })
    }

    /// The URL for [`ControlPlane::kubeconfig_through`].
    pub fn url(&self) -> &str {
        &self.listener.url
    }

    /// All requests in the order in which they came.
    pub fn calls(&self) -> Vec<KubeCall> {
        self.shared.intercept.calls()
    }

    /// How many requests came so far: a mark for [`Self::calls_since`].
    pub fn mark(&self) -> usize {
        self.shared.intercept.mark()
    }

    /// The requests since a mark.
    pub fn calls_since(&self, mark: usize) -> Vec<KubeCall> {
        self.shared.intercept.calls_since(mark)
    }

    /// The requests since a mark that change something, or would have; those about Leases are left out.
    pub fn writes_since(&self, mark: usize) -> Vec<KubeCall> {
        self.calls_since(mark).into_iter().filter(|call| call.is_write() && !call.is_lease()).collect()
    }

    /// Waits (at most 30 s) until a request after `mark` matches.
    pub async fn saw(&self, mark: usize, matches: impl Fn(&KubeCall) -> bool) -> Result<KubeCall> {
        self.shared.intercept.saw(mark, matches).await
    }

    /// Holds the nth (from 1) matching request from now on.
    pub fn hold(&self, nth: usize, when: When, matches: impl Fn(&KubeCall) -> bool + Send + Sync + 'static) -> Gate {
        self.shared.intercept.hold_nth(nth, when, matches)
    }

    /// Holds every matching request from now on. With `|_| true` the replica is cut off for what it asks anew; a
    /// watch that is open goes on.
    pub fn hold_all(&self, when: When, matches: impl Fn(&KubeCall) -> bool + Send + Sync + 'static) -> Gate {
        self.shared.intercept.hold_all(when, matches)
    }

    /// Gives a canned answer to the next `times` matching requests.
    pub fn answer(
        &self,
        times: usize,
        when: When,
        answer: Canned,
        matches: impl Fn(&KubeCall) -> bool + Send + Sync + 'static,
    ) {
        self.shared.intercept.answer(times, when, answer, matches);
    }

    /// Takes all canned answers back.
    pub fn answer_no_more(&self) {
        self.shared.intercept.answer_no_more();
    }
}

impl Shared {
    async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Outcome {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Reset)?.to_bytes();
        let came = self.intercept.now();
        let (number, call) = self.intercept.came(|number| KubeCall {
            number,
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            body: body.clone(),
            came,
            answered: None,
        });
        let outcome = self.outcome(&call, parts, body).await;
        let status = outcome.as_ref().map_or(0, |answer| answer.status().as_u16());
        let now = self.intercept.now();
        self.intercept.update(number, |call| call.answered = Some((now, status)));
        outcome
    }

    async fn outcome(&self, call: &KubeCall, parts: Parts, body: Bytes) -> Outcome {
        self.intercept.pass(When::Before, call).await;
        if let Some(canned) = self.intercept.canned_for(When::Before, call) {
            return in_its_place(canned, None);
        }
        let real = self.forward(parts, body).await;
        self.intercept.pass(When::After, call).await;
        match self.intercept.canned_for(When::After, call) {
            None => real,
            Some(canned) => {
                let real = real?;
                let status = real.status().as_u16();
                let body = real.into_body().collect().await.map_err(|_| Reset)?.to_bytes();
                in_its_place(canned, Some((status, body)))
            }
        }
    }

    async fn forward(&self, mut parts: Parts, body: Bytes) -> Outcome {
        let path = parts.uri.path_and_query().cloned().ok_or(Reset)?;
        parts.uri = Uri::from(path);
        for hop in [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            parts.headers.remove(hop);
        }
        let request = Request::from_parts(parts, KubeBody::from(body));
        let answer = self.client.send(request).await.map_err(|_| Reset)?;
        let (mut parts, body) = answer.into_parts();
        for hop in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            parts.headers.remove(hop);
        }
        Ok(http::Response::from_parts(parts, body.map_err(std::io::Error::other).boxed_unsync()))
    }
}

fn in_its_place(canned: Canned, real: Option<(u16, Bytes)>) -> Outcome {
    wire::canned(canned, real, status, || status(429, "TooManyRequests", "too many requests, please try again later"))
}

/// A `Status` object, as the API server writes its errors.
fn status(code: u16, reason: &str, message: &str) -> Outcome {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code
    });
    wire::answer(code, "application/json", status.to_string())
}
