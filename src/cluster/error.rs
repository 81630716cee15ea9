//! What the API server's answers mean: each failure gets a class that tells what may be done next, and a message
//! that says who can fix it. Decides nothing else.

use crate::expose::quote::excerpt;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use std::fmt;
use std::time::Duration;

/// A call to the API server that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What may be done next.
    pub class: Class,
    /// What was tried, what was answered, who can fix it.
    pub message: String,
}

/// What may be done after a failed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    /// Other field managers own a field that was to be set; never forced.
    FieldConflict {
        /// Their names, where the answer tells.
        managers: Vec<String>,
    },
    /// The object isn't the one it was when it was read (409; another uid): look again, plan again.
    Changed,
    /// The object isn't there (any more).
    NotFound,
    /// The daemon's own permissions don't suffice (401, 403 by RBAC).
    Denied,
    /// The content is refused, by admission control or validation (403, 422, other 4xx): trying again won't help.
    Refused,
    /// The API server asks for patience (429, or 503 with Retry-After).
    Throttled {
        /// How long.
        retry_after: Duration,
    },
    /// The write may or may not have happened (time-out, lost connection, 5xx).
    UnknownOutcome,
    /// Nothing was sent: this process isn't the leader.
    NotLeader,
    /// Nothing happened; may be tried again.
    Transient,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// The fields of a `Status` answer that are looked at.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Status {
    #[serde(default)]
    pub code: u16,
    #[serde(default)]
    pub kind: String,
    #[serde(default)]
    pub reason: String,
    #[serde(default)]
    pub message: String,
    #[serde(default)]
    pub details: Option<Details>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Details {
    #[serde(default)]
    pub causes: Option<Vec<Cause>>,
    #[serde(default)]
    pub retry_after_seconds: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Cause {
    #[serde(default)]
    pub reason: String,
    #[serde(default)]
    pub message: String,
    #[serde(default)]
    pub field: String,
}

/// Why a request brought no usable answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// An answer with an error status.
    Answer { code: StatusCode, retry_after: Option<Duration>, status: Box<Status> },
    /// No answer, or half of one.
    Transport(kube::Error),
    /// No answer in time.
    TimedOut,
    /// Nothing could be sent, or the answer isn't what it should be.
    Malformed(String),
}

impl Failure {
    /// A failure from an answer with an error status.
    pub fn answer(code: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
        let status = serde_json::from_slice(body).unwrap_or_else(|_| {
            Box::new(Status { message: excerpt(&String::from_utf8_lossy(body), 300), ..Status::default() })
        });
        let seconds = headers
            .get(http::header::RETRY_AFTER)
            .and_then(|v| v.to_str().ok())
            .and_then(|v| v.trim().parse::<u32>().ok())
            .or_else(|| status.details.as_ref().and_then(|d| d.retry_after_seconds));
        Failure::Answer { code, retry_after: seconds.map(|s| Duration::from_secs(s.min(300).into())), status }
    }

    /// Whether the watch can't be continued and everything must be listed anew.
    pub fn is_gone(&self) -> bool {
        match self {
            Failure::Answer { code, status, .. } => {
                *code == StatusCode::GONE || status.code == 410 || status.reason == "Expired" || status.reason == "Gone"
            }
            _ => false,
        }
    }

    /// Whether permissions are missing (401, or 403).
    pub fn is_denied(&self) -> bool {
        matches!(self, Failure::Answer { code, .. }
            if *code == StatusCode::UNAUTHORIZED || *code == StatusCode::FORBIDDEN)
    }

    /// One word for counters.
    pub fn kind(&self) -> &'static str {
        match self {
            _ if self.is_gone() => "expired",
            _ if self.is_denied() => "denied",
            Failure::Answer { code, .. } if *code == StatusCode::TOO_MANY_REQUESTS => "throttled",
            Failure::Answer { .. } => "answer",
            Failure::Transport(_) => "transport",
            Failure::TimedOut => "timeout",
            Failure::Malformed(_) => "malformed",
        }
    }

    /// How long the API server asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Failure::Answer { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// What it means for a call that does `what` (`apply spec.externalIPs of ns/name`). `effect`: whether the call
    /// changes something, so that a lost answer leaves its outcome open.
    pub fn into_error(self, what: &str, effect: bool) -> Error {
        let open = if effect { Class::UnknownOutcome } else { Class::Transient };
        let (class, why) = match self {
            Failure::Answer { code, retry_after, status } => classify(code, retry_after, &status, open),
            Failure::Transport(e) if is_not_leader(&e) => (Class::NotLeader, "this process is not the leader".into()),
            Failure::Transport(e) if never_sent(&e) => {
                (Class::Transient, format!("the API server can't be reached: {}", chain(&e)))
            }
            Failure::Transport(kube::Error::Auth(e)) => {
                (Class::Denied, format!("no credentials for the API server: {}", chain(&e)))
            }
            Failure::Transport(e) => (open, format!("the connection failed: {}", chain(&e))),
            Failure::TimedOut => (open, "no answer in time".into()),
            Failure::Malformed(why) => (open, why),
        };
        Error { class, message: format!("{what}: {why}") }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Answer { code, status, .. } => {
                write!(f, "{code}: {}", excerpt(&status.message, 300))
            }
            Failure::Transport(e) => f.write_str(&chain(e)),
            Failure::TimedOut => f.write_str("no answer in time"),
            Failure::Malformed(why) => f.write_str(why),
        }
    }
}

fn classify(code: StatusCode, retry_after: Option<Duration>, status: &Status, open: Class) -> (Class, String) {
    let message = excerpt(&status.message, 600);
    match code.as_u16() {
        404 => (Class::NotFound, format!("it isn't there: {message}")),
        // An apply would create what isn't there; with a uid in it the API server refuses instead.
        409 if message.contains("no existing object was found") => {
            (Class::NotFound, format!("it isn't there: {message}"))
        }
        409 => {
            let conflicts: Vec<&Cause> = causes_of(status).filter(|c| c.reason == "FieldManagerConflict").collect();
            if conflicts.is_empty() {
                return (Class::Changed, format!("it has changed: {message}"));
            }
            let mut managers: Vec<String> =
                conflicts.iter().filter_map(|c| c.message.split('"').nth(1)).map(str::to_owned).collect();
            managers.sort();
            managers.dedup();
            let names = managers.join(", ");
            (
                Class::FieldConflict { managers },
                format!("the field belongs to {names}, who must give it up first: {message}"),
            )
        }
        // The uid in an apply isn't the object's: it was made anew (seen on 1.37.2; a name that is free is a 409).
        422 if causes_of(status).any(|cause| cause.field == "metadata.uid") => {
            (Class::Changed, format!("it is another one now: {message}"))
        }
        401 => (Class::Denied, format!("the API server doesn't accept the daemon's credentials: {message}")),
        // RBAC says `User "..." cannot patch resource ...`; admission control says why it refuses the content.
        403 if message.contains(" cannot ") && message.contains("User ") => {
            (Class::Denied, format!("the daemon's ServiceAccount lacks a permission: {message}"))
        }
        429 => (
            Class::Throttled { retry_after: retry_after.unwrap_or(Duration::from_secs(1)) },
            "the API server asks for patience".into(),
        ),
        503 if retry_after.is_some() => (
            Class::Throttled { retry_after: retry_after.unwrap_or(Duration::from_secs(1)) },
            "the API server is overloaded".into(),
        ),
        500.. => (open, format!("the API server failed ({code}): {message}")),
        // Neither is a verdict on the content: something before the API server answered, or it gave up waiting.
        _ if status.kind != "Status" || matches!(code.as_u16(), 408 | 410) => {
            (open, format!("an odd answer ({code}): {message}"))
        }
        _ => (Class::Refused, format!("refused ({code}): {message}")),
    }
}

fn causes_of(status: &Status) -> impl Iterator<Item = &Cause> {
    status.details.iter().filter_map(|details| details.causes.as_deref()).flatten()
}

/// Whether the write fence of this process refused to send the request.
pub(super) fn is_not_leader(error: &kube::Error) -> bool {
    causes(error).any(|e| e.to_string().starts_with("not the leader"))
}

/// Whether the request can't have reached the API server.
fn never_sent(error: &kube::Error) -> bool {
    matches!(error, kube::Error::HttpError(_) | kube::Error::BuildRequest(_))
        || causes(error).any(|e| {
            e.downcast_ref::<hyper_util::client::legacy::Error>()
                .is_some_and(hyper_util::client::legacy::Error::is_connect)
        })
}

fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |e| e.source())
}

/// The innermost causes in words: outer texts often say no more than that there is an inner one.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let texts: Vec<String> = causes(error).map(ToString::to_string).collect();
    let mut out = String::new();
    for text in texts {
        if !out.contains(&text) {
            if !out.is_empty() {
                out.push_str(": ");
            }
            out.push_str(&text);
        }
    }
    excerpt(&out, 400)
}
