//! One request to the API server and its answer. Knows nothing of what is asked.

use super::error::Failure;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use kube::client::Body;
use std::time::Duration;

/// No call may take longer, whatever the transport below does.
const BACKSTOP: Duration = Duration::from_secs(60);

/// An answer that is larger than this is refused: a page of 500 ordinary objects is a few megabytes.
pub const LARGEST_ANSWER: usize = 32 << 20;

fn request(
    method: http::Method,
    uri: &str,
    content_type: Option<&str>,
    body: Vec<u8>,
) -> Result<Request<Body>, Failure> {
    let mut builder = Request::builder().method(method).uri(uri).header(http::header::ACCEPT, "application/json");
    if let Some(content_type) = content_type {
        builder = builder.header(http::header::CONTENT_TYPE, content_type);
    }
    builder.body(Body::from(body)).map_err(|e| Failure::Transport(kube::Error::HttpError(e)))
}

async fn open(client: &kube::Client, request: Request<Body>) -> Result<Response<Body>, Failure> {
    let response = client.send(request).await.map_err(Failure::Transport)?;
    if response.status().is_success() {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = collect(body).await?;
    Err(Failure::answer(parts.status, &parts.headers, &body))
}

async fn collect(body: Body) -> Result<Bytes, Failure> {
    match http_body_util::Limited::new(body, LARGEST_ANSWER).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(e) => Err(match e.downcast::<kube::Error>() {
            Ok(e) => Failure::Transport(*e),
            Err(e) => Failure::Malformed(format!("the answer broke off: {e}")),
        }),
    }
}

/// Sends a request and reads the whole answer. Answers with an error status are failures.
pub(super) async fn call(
    client: &kube::Client,
    method: http::Method,
    uri: &str,
    content_type: Option<&str>,
    body: Vec<u8>,
) -> Result<Bytes, Failure> {
    let request = request(method, uri, content_type, body)?;
    let answer = async { collect(open(client, request).await?.into_body()).await };
    tokio::time::timeout(BACKSTOP, answer).await.unwrap_or(Err(Failure::TimedOut))
}

/// Sends a GET and reads the whole answer.
pub(super) async fn get(client: &kube::Client, uri: &str) -> Result<Bytes, Failure> {
    call(client, http::Method::GET, uri, None, Vec::new()).await
}

/// Sends a GET whose answer is a stream without a foreseeable end.
pub(super) async fn stream(client: &kube::Client, uri: &str) -> Result<Body, Failure> {
    let request = request(http::Method::GET, uri, None, Vec::new())?;
    let response = tokio::time::timeout(BACKSTOP, open(client, request)).await.unwrap_or(Err(Failure::TimedOut))?;
    Ok(response.into_body())
}
