//! Probes, metrics and a tiny index over plain HTTP/1.1.
//!
//! Owns the connections and nothing of what they tell: liveness is asked of [`Progress`], readiness of a closure,
//! numbers of [`Metrics`]. Nothing here changes anything, and no request is read beyond its first line and
//! headers.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::clock::SharedClock;
use crate::metrics::Metrics;

#[cfg(test)]
mod tests;

/// The loop moves at least this often, whatever it waits for.
const PERIOD: Duration = Duration::from_secs(30);

/// After three periods without a move the loop counts as stuck.
pub const STUCK_AFTER: Duration = Duration::from_secs(3 * PERIOD.as_secs());

/// More connections than this wait until another one is done.
const CONNECTIONS: usize = 64;

/// A client has this long to send a request's head, and an idle connection to send the next one.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection is asked to end after this, so that clients that don't read can't use up all places.
const CONNECTION_LIFE: Duration = Duration::from_secs(120);

/// How long an answer that is under way may take when its connection is to end.
const FAREWELL: Duration = Duration::from_secs(2);

/// Where the loop says that it moves.
#[derive(Clone)]
pub struct Progress {
    clock: SharedClock,
    /// Nanoseconds on the monotonic clock.
    last: Arc<AtomicU64>,
}

impl Progress {
    /// A loop that moved just now.
    pub fn new(clock: SharedClock) -> Progress {
        let progress = Progress { clock, last: Arc::new(AtomicU64::new(0)) };
        progress.tick();
        progress
    }

    /// The loop moves.
    pub fn tick(&self) {
        self.last.fetch_max(nanos(self.clock.monotonic()), Ordering::Relaxed);
    }

    /// How long ago it last moved.
    pub fn since(&self) -> Duration {
        let last = Duration::from_nanos(self.last.load(Ordering::Relaxed));
        self.clock.monotonic().saturating_sub(last)
    }
}

fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

/// Says what is missing before the process can take over at once: complete caches, say. Candidates are asked too.
pub type Readiness = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What is behind the paths.
#[derive(Clone)]
pub struct Routes {
    /// `/livez`
    pub progress: Progress,
    /// `/readyz`
    pub ready: Readiness,
    /// `/metrics`
    pub metrics: Arc<Metrics>,
}

/// Answers on `listener` until `shutdown` resolves; then answers that are under way are finished, for two seconds
/// at most. Dropping it closes all connections at once.
pub async fn serve(listener: TcpListener, routes: Routes, shutdown: impl Future<Output = ()>) {
    let mut shutdown = pin!(shutdown);
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, routes.clone(), stopping.clone()));
                }
                // Out of file descriptors, or a client that hung up already: the pause keeps this from spinning.
                Err(_) => sleep(Duration::from_millis(100)).await,
            },
        }
    }
    drop(listener);
    stop.send_replace(true);
    // Whatever isn't done by then is aborted with the set.
    let _ = timeout(FAREWELL, async { while connections.join_next().await.is_some() {} }).await;
}

/// Answers on one connection until the client ends it, it is told to stop, or its time is over.
async fn connection<S>(stream: S, routes: Routes, mut stopping: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let response = routes.answer(request.method(), request.uri().path(), request.headers());
        async { Ok::<_, Infallible>(response) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(16 * 1024)
            .serve_connection(TokioIo::new(stream), service)
    );
    // What goes wrong on a connection is the client's business: it sees it.
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        _ = stopping.wait_for(|stop| *stop) => {}
        () = sleep(CONNECTION_LIFE) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(FAREWELL, connection).await;
}

const TEXT: &str = "text/plain; charset=utf-8";

const INDEX: &str = "\
ExternalIPs exposes annotated Services on the public addresses of AWS nodes.

/livez    whether the process moves
/readyz   whether it could take over at once
/metrics  numbers, for Prometheus
";

impl Routes {
    fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Response<Full<Bytes>> {
        let route: fn(&Routes, &HeaderMap) -> (StatusCode, &'static str, String) = match path {
            "/" => |_, _| (StatusCode::OK, TEXT, INDEX.into()),
            "/livez" => |routes, _| routes.live(),
            "/readyz" => |routes, _| routes.readiness(),
            "/metrics" => Routes::numbers,
            _ => |_, _| (StatusCode::NOT_FOUND, TEXT, "not found: see / for what there is\n".into()),
        };
        let allowed = method == Method::GET || method == Method::HEAD;
        let (status, content_type, body) = match allowed {
            true => route(self, headers),
            false => (StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD are answered\n".into()),
        };
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if !allowed {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }

    fn live(&self) -> (StatusCode, &'static str, String) {
        let since = self.progress.since();
        if since <= STUCK_AFTER {
            return (StatusCode::OK, TEXT, "ok\n".into());
        }
        let (since, limit) = (since.as_secs(), STUCK_AFTER.as_secs());
        let message = format!("the loop has not moved for {since} s; more than {limit} s means that it is stuck\n");
        (StatusCode::SERVICE_UNAVAILABLE, TEXT, message)
    }

    fn readiness(&self) -> (StatusCode, &'static str, String) {
        match (self.ready)() {
            Ok(()) => (StatusCode::OK, TEXT, "ok\n".into()),
            Err(missing) => (StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{missing}\n")),
        }
    }

    fn numbers(&self, headers: &HeaderMap) -> (StatusCode, &'static str, String) {
        let accept: Vec<&str> =
            headers.get_all(http::header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
        let (content_type, body) = self.metrics.render(Some(accept.join(",").as_str()));
        (StatusCode::OK, content_type, body)
    }
}
