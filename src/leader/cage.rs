//! The layer around the crate's requests. Owns what was read and written of the Lease, and when. It makes each PATCH
//! conditional on what was known before it, decides by our own clock whether the Lease is free, shows the crate a Lease
//! that leads it to the same conclusion, and remembers what a confirmed write gives. It never repeats a request, and
//! spares a leader the GET before each renewal.

use super::fence::{Confirmed, Fence, Moment};
use super::record::{self, Record, Seen};
use super::settings::LeaseSettings;
use crate::clock::SharedClock;
use crate::expose::Closed;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use kube::client::Body;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tower::{BoxError, Service};

/// etcd takes no larger object.
const LARGEST: usize = 4 << 20;

/// Why this process may take the Lease it has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Free {
    /// It holds it.
    Ours,
    /// Given up in an orderly way.
    Released,
    /// Not renewed for its duration.
    Expired,
    /// Without a holder, but not as a leader gives it up: that leader may still be at work.
    Blanked,
    /// It isn't there: whoever held it before it was deleted may still be at work.
    Missing,
}

/// The right to the Lease that a write of ours gave, if it has taken effect.
#[derive(Clone, Debug)]
struct Claim {
    /// Empty when it isn't known yet.
    uid: String,
    first_write: Duration,
    /// Who led before may have closed something lately: the Lease doesn't tell that nobody did.
    after_closings: bool,
}

#[derive(Debug, Default)]
struct State {
    /// As it was last read or heard of.
    seen: Option<Seen>,
    /// The last GET's Lease and why it may be written, for one write.
    granted: Option<(Record, Option<Free>)>,
    /// Our own Lease as the answer to a confirmed write showed it, for one renewal.
    own: Option<Value>,
    claim: Option<Claim>,
    confirmed: Option<(Confirmed, Free)>,
}

/// The cage; clones share what they know.
#[derive(Clone)]
pub(super) struct Cage {
    client: kube::Client,
    settings: Arc<LeaseSettings>,
    clock: SharedClock,
    fence: Fence,
    state: Arc<Mutex<State>>,
}

impl Cage {
    pub fn new(client: kube::Client, settings: Arc<LeaseSettings>, clock: SharedClock, fence: Fence) -> Cage {
        Cage { client, settings, clock, fence, state: Arc::default() }
    }

    /// The client that the crate gets.
    pub fn caged_client(&self) -> kube::Client {
        kube::Client::new(self.clone(), self.settings.namespace.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the last write gave, once.
    pub fn take_confirmed(&self) -> Option<(Confirmed, Free)> {
        self.state().confirmed.take()
    }

    /// Forgets the outcome of the call before.
    pub fn forget(&self) {
        let mut state = self.state();
        state.confirmed = None;
        state.granted = None;
    }

    /// The resourceVersion last read or heard of.
    pub fn version(&self) -> Option<String> {
        self.state().seen.as_ref().map(|seen| seen.record.version.clone())
    }

    /// Who holds the Lease, as far as known.
    pub fn holder(&self) -> String {
        self.state().seen.as_ref().map(|seen| seen.record.holder.clone()).unwrap_or_default()
    }

    /// When the Lease expires on our clock, if it stays as it is.
    pub fn expires(&self) -> Option<Duration> {
        self.state().seen.as_ref().map(|seen| seen.expires(self.settings.duration))
    }

    /// Takes note of a Lease; returns whether it may be free to take.
    pub fn hear(&self, record: Record) -> bool {
        let free = record.holder.is_empty();
        self.see(&mut self.state(), record);
        free
    }

    fn see(&self, state: &mut State, record: Record) {
        match &mut state.seen {
            Some(seen) if seen.record.version == record.version => {}
            // Whoever annotates it keeps nobody from taking over.
            Some(seen) if record.is_unrenewed_since(&seen.record) => seen.record = record,
            seen => *seen = Some(Seen { record, since: self.clock.monotonic() }),
        }
    }

    /// Judges what a GET has shown.
    fn judge(&self, record: &Record) -> Option<Free> {
        let mut state = self.state();
        self.see(&mut state, record.clone());
        let now = self.clock.monotonic();
        let expired = state.seen.as_ref().is_some_and(|seen| seen.expires(self.settings.duration) <= now);
        let mut goes_on = false;
        let free = if record.holder == self.settings.holder {
            goes_on = state.claim.as_ref().is_some_and(|claim| claim.uid.is_empty() || claim.uid == record.uid);
            if !goes_on {
                // Ours by name only: somebody restored or wrote it, and others may have led meanwhile.
                let first_write = now + self.wait(Free::Blanked);
                state.claim = Some(Claim { uid: String::new(), first_write, after_closings: true });
            }
            if let Some(claim) = &mut state.claim {
                claim.uid.clone_from(&record.uid);
            }
            Some(Free::Ours)
        } else {
            state.claim = None;
            match () {
                () if record.is_released() => Some(Free::Released),
                () if record.holder.is_empty() => Some(Free::Blanked),
                () if expired => Some(Free::Expired),
                () => None,
            }
        };
        state.granted = Some((record.clone(), free));
        drop(state);
        if !goes_on {
            self.fence.drop_leadership();
        }
        free
    }

    /// How long writes of a former leader may still come after the Lease was free in this way.
    fn wait(&self, free: Free) -> Duration {
        match free {
            Free::Ours | Free::Released => Duration::ZERO,
            Free::Expired => self.settings.write_timeout,
            Free::Blanked | Free::Missing => self.settings.duration + self.settings.write_timeout,
        }
    }

    async fn send(&self, request: Request<Body>) -> Result<Response<Bytes>, BoxError> {
        let answer = async {
            let (parts, body) = self.client.send(request).await?.into_parts();
            let body = Limited::new(body, LARGEST).collect().await?.to_bytes();
            Ok::<_, BoxError>(Response::from_parts(parts, body))
        };
        match tokio::time::timeout(self.settings.call_timeout, answer).await {
            Ok(result) => result,
            Err(_) => Err("no answer in time".into()),
        }
    }

    /// What a GET would show, as far as this process knows as a leader: where it is wrong, the PATCH that follows is
    /// refused, and what is there is read before the next one.
    fn known(&self) -> Option<Value> {
        let leads = self.fence.is_leader();
        let mut state = self.state();
        let mut lease = state.own.take().filter(|_| leads)?;
        let record = Record::read(&lease)?;
        record::rewrite(&mut lease, &record, true);
        state.granted = Some((record, Some(Free::Ours)));
        Some(lease)
    }

    /// There is no Lease (any more).
    fn gone(&self) {
        let mut state = self.state();
        state.seen = None;
        state.claim = None;
        drop(state);
        self.fence.drop_leadership();
    }

    async fn get(&self, request: Request<Body>) -> Result<Response<Bytes>, BoxError> {
        self.state().granted = None;
        if let Some(lease) = self.known() {
            return answer(StatusCode::OK, &lease);
        }
        let response = self.send(request).await?;
        if response.status() == StatusCode::NOT_FOUND {
            self.gone();
            return Ok(response);
        }
        if !response.status().is_success() {
            return Ok(response);
        }
        let mut lease: Value = serde_json::from_slice(response.body())?;
        let record = Record::read(&lease).ok_or("the answer is no Lease: it has no resourceVersion")?;
        let free = self.judge(&record);
        record::rewrite(&mut lease, &record, free.is_some());
        replaced(response, &lease)
    }

    async fn patch(&self, request: Request<Body>) -> Result<Response<Bytes>, BoxError> {
        let (parts, mut body) = opened(request).await?;
        let granted = self.state().granted.take();
        let Some((read, Some(free))) = granted else {
            return conflict("the Lease wasn't read, or isn't free");
        };
        let gives_up = record::gives_up(&body);
        if gives_up && !self.may_give_up(free) {
            return conflict("giving the Lease up now would let a successor write too early");
        }
        if !record::bind(&mut body, &read.version) {
            return conflict("the patch isn't an object");
        }
        match self.fence.closings() {
            Some(closed) if closed != read.closed => record::tell_of_closings(&mut body, &closed),
            // Whoever doesn't lead yet, or any more, leaves it as it is.
            _ => {}
        }
        record::stamp(&mut body, &self.clock);
        let sent = self.fence.moment();
        if !gives_up && free != Free::Ours {
            let first_write = sent.monotonic + self.wait(free);
            self.state().claim = Some(Claim { uid: read.uid, first_write, after_closings: free == Free::Blanked });
        }
        let response = self.send(closed(parts, &body)?).await?;
        self.written(&response, sent, free, gives_up);
        Ok(response)
    }

    /// A successor takes an orderly release for proof that nobody's writes are on their way.
    fn may_give_up(&self, free: Free) -> bool {
        let now = self.clock.monotonic();
        free == Free::Ours && self.state().claim.as_ref().is_some_and(|claim| claim.first_write <= now)
    }

    async fn create(&self, request: Request<Body>) -> Result<Response<Bytes>, BoxError> {
        let (parts, mut body) = opened(request).await?;
        record::stamp(&mut body, &self.clock);
        let sent = self.fence.moment();
        let first_write = sent.monotonic + self.wait(Free::Missing);
        self.state().claim = Some(Claim { uid: String::new(), first_write, after_closings: true });
        let response = self.send(closed(parts, &body)?).await?;
        self.written(&response, sent, Free::Missing, false);
        Ok(response)
    }

    /// Takes note of the answer to a write. The answer to a successful one is the object as it is after it.
    fn written(&self, response: &Response<Bytes>, sent: Moment, free: Free, gives_up: bool) {
        if response.status() == StatusCode::NOT_FOUND {
            return self.gone();
        }
        let mut state = self.state();
        if !response.status().is_success() {
            if response.status().is_client_error() && free != Free::Ours {
                state.claim = None;
            }
            return;
        }
        let Ok(lease) = serde_json::from_slice(response.body()) else { return };
        let Some(record) = Record::read(&lease) else { return };
        if gives_up {
            state.claim = None;
        } else if record.holder == self.settings.holder
            && let Some(claim) = &mut state.claim
        {
            claim.uid.clone_from(&record.uid);
            let first_write = claim.first_write;
            let closed_before = if claim.after_closings { Closed::Any } else { record.closed.clone() };
            let confirmed = Confirmed { sent, first_write, closed_before, tells: record.closed.clone() };
            state.confirmed = Some((confirmed, free));
            state.own = Some(lease);
        }
        self.see(&mut state, record);
    }

    async fn pass(&self, request: Request<Body>) -> Result<Response<Bytes>, BoxError> {
        let collection = collection(&self.settings.namespace);
        let path = request.uri().path();
        let named = path.strip_prefix(&collection).and_then(|rest| rest.strip_prefix('/')) == Some(&self.settings.name);
        let watches =
            request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair.starts_with("watch=")));
        match *request.method() {
            Method::GET if named && !watches => self.get(request).await,
            Method::PATCH if named => self.patch(request).await,
            Method::POST if path == collection => self.create(request).await,
            // The crate asks for nothing else; if a later version does, it must be looked at first.
            _ => Err(format!("unexpected request about the Lease: {} {path}", request.method()).into()),
        }
    }
}

/// Path of all Leases of a namespace.
pub(super) fn collection(namespace: &str) -> String {
    format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases")
}

async fn opened(request: Request<Body>) -> Result<(http::request::Parts, Value), BoxError> {
    let (parts, body) = request.into_parts();
    let body = body.collect_bytes().await?;
    Ok((parts, serde_json::from_slice(&body)?))
}

fn closed(mut parts: http::request::Parts, body: &Value) -> Result<Request<Body>, BoxError> {
    parts.headers.remove(header::CONTENT_LENGTH);
    Ok(Request::from_parts(parts, Body::from(serde_json::to_vec(body)?)))
}

fn replaced(response: Response<Bytes>, body: &Value) -> Result<Response<Bytes>, BoxError> {
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    Ok(Response::from_parts(parts, Bytes::from(serde_json::to_vec(body)?)))
}

/// What the API server answers to a write that is based on an older state.
fn conflict(message: &str) -> Result<Response<Bytes>, BoxError> {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": "Conflict", "code": 409,
    });
    answer(StatusCode::CONFLICT, &status)
}

fn answer(status: StatusCode, body: &Value) -> Result<Response<Bytes>, BoxError> {
    Ok(Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Bytes::from(serde_json::to_vec(body)?))?)
}

impl Service<Request<Body>> for Cage {
    type Response = Response<http_body_util::Full<Bytes>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let cage = self.clone();
        Box::pin(async move { Ok(cage.pass(request).await?.map(http_body_util::Full::new)) })
    }
}
