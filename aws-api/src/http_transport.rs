//! The real transport: HTTP/1.1 over TCP and TLS (rustls with *ring*, Mozilla's roots compiled in), connections kept
//! for reuse. The only place that opens sockets.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower::Service as _;

use crate::transport::{Attempt, MAX_ANSWER, Transport, TransportError};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Limits of the real transport.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Time for name resolution, TCP and TLS together.
    pub connect_timeout: Duration,
    /// Time for a whole exchange when the request doesn't say (in its [`Attempt`]).
    pub timeout: Duration,
    /// A connection that was idle for this long is closed.
    pub idle_timeout: Duration,
    /// Bytes that the body of an answer may have.
    pub max_answer: usize,
}

impl Default for HttpOptions {
    fn default() -> HttpOptions {
        HttpOptions {
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(10),
            // AWS closes after 20 s or more, depending on the service.
            idle_timeout: Duration::from_secs(15),
            max_answer: MAX_ANSWER,
        }
    }
}

/// A transport that opens connections. It does nothing until a request is sent, and then must run within tokio.
///
/// # Errors
/// When TLS can't be set up.
pub fn http_transport(options: HttpOptions) -> Result<Transport, String> {
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    // The TLS connector on top of it takes https.
    tcp.enforce_http(false);
    let tls = hyper_rustls::HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(Arc::new(rustls::crypto::ring::default_provider()))
        .map_err(|error| format!("TLS can't be set up: {error}"))?
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    let connect_timeout = options.connect_timeout;
    let connector = tower::service_fn(move |uri: Uri| {
        let mut tls = tls.clone();
        Box::pin(async move {
            let connecting = async {
                std::future::poll_fn(|context| tls.poll_ready(context)).await?;
                tls.call(uri).await
            };
            match tokio::time::timeout(connect_timeout, connecting).await {
                Ok(outcome) => outcome,
                Err(_) => Err(BoxError::from(format!("no connection within {connect_timeout:?}"))),
            }
        })
    });
    // Its automatic repeats are of requests that found their connection closed before a byte was sent.
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(options.idle_timeout)
        .build(connector);
    let service = tower::service_fn(move |request: Request<Bytes>| {
        let client = client.clone();
        let timeout = request.extensions().get::<Attempt>().map_or(options.timeout, |attempt| attempt.timeout);
        let max_answer = options.max_answer;
        async move {
            let exchange = async {
                let answer = client.request(request.map(Full::new)).await.map_err(|error| {
                    let why = with_causes(&error);
                    if error.is_connect() { TransportError::NotSent(why) } else { TransportError::Lost(why) }
                })?;
                let (head, body) = answer.into_parts();
                let body = Limited::new(body, max_answer).collect().await.map_err(|error| {
                    TransportError::Lost(if error.is::<LengthLimitError>() {
                        format!("answer too large: more than {max_answer} bytes")
                    } else {
                        format!("the answer breaks off: {}", with_causes(error.as_ref()))
                    })
                })?;
                Ok(Response::from_parts(head, body.to_bytes()))
            };
            match tokio::time::timeout(timeout, exchange).await {
                Ok(outcome) => outcome,
                Err(_) => Err(TransportError::Lost("nothing came in time".to_owned())),
            }
        }
    });
    Ok(Transport::new(service))
}

/// What went wrong, and what that came from.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
