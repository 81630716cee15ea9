//! Answers over the wire, whole and spoiled.

use bytes::Bytes;
use futures::stream;
use http::{Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use tower::BoxError;

use super::AnswerBody;
use super::status::Status;
use crate::sim::fault::Garble;

/// How a request ends for the one who sent it.
pub(super) enum Ending {
    Answer(Response<AnswerBody>),
    /// The connection breaks.
    Broken(BoxError),
    /// Nothing ever comes.
    Never,
}

/// An answer before it is put on the wire.
pub(super) struct Answer {
    pub status: u16,
    /// The reason of a refusal.
    pub reason: Option<&'static str>,
    pub retry_after: Option<u32>,
    pub body: Content,
}

pub(super) enum Content {
    Json(String),
    Text(&'static str),
    Stream(AnswerBody),
}

impl Answer {
    pub fn ok(status: u16, json: String) -> Answer {
        Answer { status, reason: None, retry_after: None, body: Content::Json(json) }
    }

    pub fn text(status: u16, text: &'static str) -> Answer {
        Answer { status, reason: None, retry_after: None, body: Content::Text(text) }
    }

    pub fn refusal(status: &Status) -> Answer {
        Answer {
            status: status.code,
            reason: Some(status.reason),
            retry_after: status.retry_after,
            body: Content::Json(status.body().to_string()),
        }
    }

    pub fn stream(body: AnswerBody) -> Answer {
        Answer { status: 200, reason: None, retry_after: None, body: Content::Stream(body) }
    }

    pub fn into_response(self) -> Response<AnswerBody> {
        let (kind, body) = match self.body {
            Content::Json(text) => ("application/json", whole(text)),
            Content::Text(text) => ("text/plain; charset=utf-8", whole(text)),
            Content::Stream(body) => ("application/json", body),
        };
        let mut response = response(self.status, kind, body);
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }

    /// The answer as it is when it is spoiled.
    pub fn garbled(self, garble: Garble) -> Response<AnswerBody> {
        let text = match self.body {
            Content::Json(text) => text,
            Content::Text(text) => text.to_owned(),
            Content::Stream(_) => "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Service\"}}\n".to_owned(),
        };
        let json = "application/json";
        match garble {
            Garble::Truncated => {
                let bytes = Bytes::from(text);
                let half = bytes.slice(..bytes.len() / 2);
                let parts = stream::iter([Ok(Frame::data(half)), Err(BoxError::from("connection reset by peer"))]);
                let mut response = response(self.status, json, StreamBody::new(parts).boxed_unsync());
                response.headers_mut().insert(header::CONTENT_LENGTH, bytes.len().into());
                response
            }
            Garble::Html => {
                let page = "<!doctype html><html><body><h1>502 Bad Gateway</h1><br></body></html>\n";
                response(502, "text/html", whole(page))
            }
            Garble::Hollow => response(200, json, whole("{}\n")),
            Garble::Encoding => {
                let mut bytes = vec![0x1f, 0x8b, 0x08, 0x00, 0xff, 0xfe];
                bytes.extend(text.bytes().map(|byte| byte ^ 0x80));
                bytes.push(b'\n');
                response(self.status, json, whole(bytes))
            }
            Garble::Huge => {
                // Deep, then long: 48 MiB in pieces that share their memory.
                static PIECE: &[u8] = &[b'['; 1 << 16];
                let pieces = (0..768).map(|_| Ok(Frame::data(Bytes::from_static(PIECE))));
                response(self.status, json, StreamBody::new(stream::iter(pieces)).boxed_unsync())
            }
        }
    }
}

pub(super) fn response(status: u16, content_type: &'static str, body: AnswerBody) -> Response<AnswerBody> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

pub(super) fn whole(bytes: impl Into<Bytes>) -> AnswerBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}
