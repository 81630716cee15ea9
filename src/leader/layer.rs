//! The fence in front of the API server: a tower layer that belongs directly around the transport, below anything
//! that repeats requests. Writes pass only while this process leads; every request gets a time-out.

use super::fence::{Fence, Flight};
use crate::cluster::LARGEST_ANSWER;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Either, Full, Limited};
use kube::client::Body;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tower::{BoxError, Layer, Service};

/// Longest wait for the whole answer to a read: a page of a list has a few megabytes. Nothing depends on when it ends.
const READ: Duration = Duration::from_secs(30);

/// Puts the fence around a kube service. Its client must not retry by itself (`default_retry = false`).
#[derive(Clone, Debug)]
pub struct FenceLayer {
    fence: Fence,
    timeout: Duration,
}

impl FenceLayer {
    /// `timeout`: for each write; at most [`super::LeaseSettings::write_timeout`]. Reads get 30 s.
    pub fn new(fence: Fence, timeout: Duration) -> FenceLayer {
        FenceLayer { fence, timeout }
    }
}

impl<S> Layer<S> for FenceLayer {
    type Service = FencedService<S>;

    fn layer(&self, inner: S) -> FencedService<S> {
        FencedService { inner: Arc::new(Mutex::new(inner)), fence: self.fence.clone(), timeout: self.timeout }
    }
}

/// A kube service behind the fence, see [`FenceLayer`].
#[derive(Debug)]
pub struct FencedService<S> {
    /// Shared, not cloned: kube's own services can't be.
    inner: Arc<Mutex<S>>,
    fence: Fence,
    timeout: Duration,
}

impl<S> Clone for FencedService<S> {
    fn clone(&self) -> Self {
        FencedService { inner: self.inner.clone(), fence: self.fence.clone(), timeout: self.timeout }
    }
}

/// The whole answer, or the stream of a watch.
type Answer<B> = Response<Either<Full<Bytes>, B>>;

fn is_watch<B>(request: &Request<B>) -> bool {
    request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair == "watch=true" || pair == "watch=1"))
}

fn timed_out(timeout: Duration) -> BoxError {
    format!("no answer from the API server within {} ms", timeout.as_millis()).into()
}

async fn whole<B>(response: Response<B>) -> Result<Answer<B>, BoxError>
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, LARGEST_ANSWER).collect().await?.to_bytes();
    Ok(Response::from_parts(parts, Either::Left(Full::new(body))))
}

/// After a server error a write may still take effect, except when the server was too busy to begin.
fn leaves_no_doubt(status: http::StatusCode) -> bool {
    !status.is_server_error() || status == http::StatusCode::SERVICE_UNAVAILABLE
}

async fn write<F, B, E>(answer: F, flight: Flight) -> Result<Answer<B>, BoxError>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: Into<BoxError>,
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let response = answer.await.map_err(Into::into)?;
    if leaves_no_doubt(response.status()) {
        flight.answered();
    }
    whole(response).await
}

impl<S, B> FencedService<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    /// The inner service, ready for one request.
    async fn ready(&self) -> Result<OwnedMutexGuard<S>, BoxError> {
        let mut inner = self.inner.clone().lock_owned().await;
        std::future::poll_fn(|context| inner.poll_ready(context)).await.map_err(Into::into)?;
        Ok(inner)
    }

    async fn read(self, request: Request<Body>) -> Result<Answer<B>, BoxError> {
        let watch = is_watch(&request);
        let answer = async {
            let answer = self.ready().await?.call(request);
            let response = answer.await.map_err(Into::into)?;
            if watch { Ok(response.map(Either::Right)) } else { whole(response).await }
        };
        tokio::time::timeout(READ, answer).await.unwrap_or_else(|_| Err(timed_out(READ)))
    }

    async fn write(self, request: Request<Body>) -> Result<Answer<B>, BoxError> {
        loop {
            let flight = self.fence.begin_when_fresh(self.timeout).await?;
            let mut inner = match tokio::time::timeout(self.timeout, self.ready()).await {
                Ok(Ok(inner)) if self.fence.permits(self.timeout).is_ok() => inner,
                unsent => {
                    flight.answered();
                    match unsent {
                        // It took so long to get ready that the permission is stale.
                        Ok(Ok(_)) => continue,
                        Ok(Err(error)) => return Err(error),
                        Err(_) => return Err(timed_out(self.timeout)),
                    }
                }
            };
            let answer = write(inner.call(request), flight);
            drop(inner);
            return tokio::time::timeout(self.timeout, answer).await.unwrap_or_else(|_| Err(timed_out(self.timeout)));
        }
    }
}

impl<S, B> Service<Request<Body>> for FencedService<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Answer<B>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Answer<B>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let service = self.clone();
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            Box::pin(service.read(request))
        } else {
            Box::pin(service.write(request))
        }
    }
}
