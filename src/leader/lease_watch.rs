//! Hears of changes of the Lease as they happen, so that a candidate takes over at once after a release. Owns the
//! watch and its pauses; what a change means is the cage's to say. Where no watch can be had (no permission, say)
//! the elector looks from time to time.

use super::cage::{Cage, collection};
use super::record::Record;
use super::settings::LeaseSettings;
use crate::clock::{SharedRandom, jittered};
use bytes::{Buf, BytesMut};
use http::Request;
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::Value;
use slog::{Logger, debug, warn};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Pause before the next watch after one that ended without having told anything.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// After so long the API server ends the watch; the next one starts from a fresh look.
const LONGEST_WATCH: Duration = Duration::from_secs(290);
/// No Lease comes near this size.
const LONGEST_LINE: usize = 4 << 20;

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The Lease changed, and somebody holds it.
    Held,
    /// It is free, or gone, or the watch has ended in good order: look at once.
    Look,
    /// The watch is over: look from time to time, until there is another.
    Nothing,
}

struct Open {
    body: Body,
    buffer: BytesMut,
    /// It has told of a change.
    useful: bool,
}

/// The watch on the Lease, open or not.
pub(super) struct LeaseWatch {
    client: kube::Client,
    settings: Arc<LeaseSettings>,
    random: SharedRandom,
    log: Logger,
    open: Option<Open>,
    not_before: Option<Instant>,
    failures: u32,
}

impl LeaseWatch {
    pub fn new(client: kube::Client, settings: Arc<LeaseSettings>, random: SharedRandom, log: Logger) -> LeaseWatch {
        LeaseWatch { client, settings, random, log, open: None, not_before: None, failures: 0 }
    }

    /// Whether changes will be heard of.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Ends it: it has failed to tell something, or isn't needed.
    pub fn close(&mut self) {
        self.open = None;
    }

    fn failed(&mut self) {
        self.open = None;
        self.failures = self.failures.saturating_add(1);
        let pause = PAUSE.saturating_mul(1 << self.failures.saturating_sub(1).min(6)).min(LONGEST_PAUSE);
        self.not_before = Some(Instant::now() + jittered(pause, self.random.as_ref()));
    }

    /// Opens it, if it isn't and if it is time, to tell of changes after `version`.
    pub async fn ensure(&mut self, version: &str) {
        if self.open.is_some() || self.not_before.is_some_and(|moment| Instant::now() < moment) {
            return;
        }
        let uri = format!(
            "{}?watch=true&fieldSelector=metadata.name%3D{}&resourceVersion={version}&timeoutSeconds={}",
            collection(&self.settings.namespace),
            self.settings.name,
            LONGEST_WATCH.as_secs(),
        );
        let answer = async {
            let request = Request::get(uri).header(http::header::ACCEPT, "application/json").body(Body::empty());
            self.client.send(request.map_err(kube::Error::HttpError)?).await
        };
        match tokio::time::timeout(self.settings.call_timeout, answer).await {
            Ok(Ok(response)) if response.status().is_success() => {
                self.open = Some(Open { body: response.into_body(), buffer: BytesMut::new(), useful: false });
            }
            Ok(Ok(response)) => {
                let status = response.status();
                if status == http::StatusCode::FORBIDDEN && self.failures == 0 {
                    warn!(
                        self.log,
                        "the daemon's ServiceAccount may not watch the Lease {}/{}: a hand-over takes longer",
                        self.settings.namespace,
                        self.settings.name
                    );
                }
                debug!(self.log, "no watch on the Lease"; "status" => status.as_u16());
                self.failed();
            }
            Ok(Err(error)) => {
                debug!(self.log, "no watch on the Lease"; "error" => %error);
                self.failed();
            }
            Err(_) => self.failed(),
        }
    }

    /// The next that is heard; pends for ever without an open watch. Nothing is lost when it is dropped.
    pub async fn next(&mut self, cage: &Cage) -> Heard {
        loop {
            let Some(open) = &mut self.open else { return std::future::pending().await };
            if let Some(end) = open.buffer.iter().position(|byte| *byte == b'\n') {
                let line = open.buffer.split_to(end);
                open.buffer.advance(1);
                open.useful = true;
                if let Some(heard) = self.line(&line, cage) {
                    return heard;
                }
                continue;
            }
            let data = match open.body.frame().await {
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                None if open.useful => {
                    self.open = None;
                    return Heard::Look;
                }
                _ => {
                    self.failed();
                    return Heard::Nothing;
                }
            };
            open.buffer.extend_from_slice(&data);
            if open.buffer.len() > LONGEST_LINE {
                self.failed();
                return Heard::Nothing;
            }
        }
    }

    fn line(&mut self, line: &[u8], cage: &Cage) -> Option<Heard> {
        let event: Value = serde_json::from_slice(line).unwrap_or_default();
        let name = event.pointer("/object/metadata/name").and_then(Value::as_str);
        if name.is_some_and(|name| name != self.settings.name) {
            // Not what was asked for.
            return None;
        }
        let record = event.get("object").and_then(Record::read);
        match (event.get("type").and_then(Value::as_str), record) {
            (Some("ADDED" | "MODIFIED"), Some(record)) => {
                self.failures = 0;
                Some(if cage.hear(record) { Heard::Look } else { Heard::Held })
            }
            (Some("DELETED"), _) => {
                self.failures = 0;
                Some(Heard::Look)
            }
            (Some("BOOKMARK"), _) => None,
            _ => {
                debug!(self.log, "the watch on the Lease ended"; "event" => %String::from_utf8_lossy(line.get(..200).unwrap_or(line)));
                self.failed();
                Some(Heard::Nothing)
            }
        }
    }
}
