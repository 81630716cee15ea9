//! The HTTP side of the recording proxies: a server on a free port, and how canned answers look on the wire.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::error::{Context, Result};
use crate::intercept::Canned;

/// An answer's body.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// What a proxy does with a request: an answer, or the end of the connection without one.
pub(crate) type Outcome = std::result::Result<Response<Body>, Reset>;

/// The connection ends without an answer.
#[derive(Debug)]
pub(crate) struct Reset;

impl std::fmt::Display for Reset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("reset by the test")
    }
}

impl std::error::Error for Reset {}

/// A server on the loopback address; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) url: String,
    task: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listener {
    /// Serves on a free port. Each request is handled to its end even when its caller has gone away meanwhile: what
    /// is on its way to a server arrives there.
    pub(crate) async fn serve<H, F>(handle: H) -> Result<Self>
    where
        H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
        F: Future<Output = Outcome> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("bind a port of 127.0.0.1")?;
        let url = format!("http://{}", listener.local_addr()?);
        let handle = Arc::new(handle);
        let task = tokio::spawn(async move {
            // The connections end with this task, so that a dropped proxy is gone at once.
            let mut connections = tokio::task::JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let Ok((stream, _)) = accepted else { continue };
                        let handle = Arc::clone(&handle);
                        connections.spawn(async move {
                            let service = service_fn(move |request| {
                                let handling = tokio::spawn(handle(request));
                                async move { handling.await.unwrap_or(Err(Reset)) }
                            });
                            let _ = hyper::server::conn::http1::Builder::new()
                                .serve_connection(TokioIo::new(stream), service)
                                .await;
                        });
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(Self { url, task })
    }
}

/// A whole body.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// An answer with a status, a content type and a whole body.
pub(crate) fn answer(status: u16, content_type: &str, body: impl Into<Bytes>) -> Outcome {
    Response::builder()
        .status(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
        .header("content-type", content_type)
        .body(full(body))
        .map_err(|_| Reset)
}

/// A canned answer on the wire. `real` is what the server answered, if it was asked; `error` writes the service's own
/// form of an error, `throttled` of "too fast".
pub(crate) fn canned(
    canned: Canned,
    real: Option<(u16, Bytes)>,
    error: impl FnOnce(u16, &str, &str) -> Outcome,
    throttled: impl FnOnce() -> Outcome,
) -> Outcome {
    match canned {
        Canned::Error(status, code, message) => error(status, code, message),
        Canned::Throttled => throttled(),
        Canned::Status(status) => answer(status, "text/plain", Bytes::new()),
        Canned::Empty => answer(200, "text/xml", Bytes::new()),
        Canned::Html => answer(200, "text/html", "<!doctype html><html><body><p>Please log in.<br></body></html>"),
        Canned::Huge(size) => {
            let mut body = b"<?xml version=\"1.0\"?><Answer><requestId>".to_vec();
            body.resize(size.max(body.len()), b'x');
            answer(200, "text/xml", body)
        }
        Canned::Truncated => {
            let (status, body) = real.unwrap_or((200, Bytes::from_static(b"<?xml version=\"1.0\"?><Answer></Answer>")));
            truncated(status, &body)
        }
        Canned::Reset => Err(Reset),
        Canned::Body(status, content_type, body) => answer(status, content_type, body),
    }
}

/// Promises the whole body, sends half of it and ends the connection.
fn truncated(status: u16, body: &Bytes) -> Outcome {
    let half = body.slice(..body.len() / 2);
    let parts = stream::iter([Ok(Frame::data(half)), Err(io::Error::from(io::ErrorKind::ConnectionReset))]);
    Response::builder()
        .status(status)
        .header("content-type", "text/xml")
        .header("content-length", body.len())
        .body(StreamBody::new(parts).boxed_unsync())
        .map_err(|_| Reset)
}
