//! Paths and answers as they go over the wire.

use super::AnswerBody;
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Frame;
use serde_json::{Value, json};
use tower::BoxError;

/// Resource, namespace and name that a path names; the latter two may be empty.
pub(super) fn place(path: &str) -> (&str, &str, &str) {
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

pub(super) fn frame(line: &str) -> Result<Frame<Bytes>, BoxError> {
    Ok(Frame::data(Bytes::from(format!("{line}\n"))))
}

pub(super) fn whole(text: String) -> AnswerBody {
    Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync()
}

pub(super) fn answer(code: u16, retry_after: Option<u32>, value: &Value) -> Result<Response<AnswerBody>, BoxError> {
    let mut builder = Response::builder().status(StatusCode::from_u16(code)?);
    if let Some(seconds) = retry_after {
        builder = builder.header("retry-after", seconds.to_string());
    }
    Ok(builder.body(whole(value.to_string()))?)
}
