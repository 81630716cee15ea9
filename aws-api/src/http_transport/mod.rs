//! The real transport: HTTP/1.1 over TCP and TLS, connections kept for reuse. The only place that opens sockets.
//!
//! A request counts as not sent until a connection has taken it; from then on, whatever happens short of a whole
//! answer means that it is lost: nobody knows what became of it.

pub(crate) mod connect;
mod options;
mod proxy;
mod tls;

use std::error::Error;

use bytes::Bytes;
use http::header::PROXY_AUTHORIZATION;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{sleep, timeout};

use crate::transport::{Attempt, Direct, Transport, TransportError};
use connect::Dial;
pub use options::{CaBundle, HttpOptions};
pub use proxy::Proxies;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// Bytes that the head of an answer may have.
const MAX_HEAD: usize = 64 * 1024;

/// A transport that opens connections. It does nothing until a request is sent, and then must run within tokio.
/// Reads the file with the authorities, if the options name one.
///
/// # Errors
/// When TLS can't be set up: the file can't be read or has something else in it. The setting and the file are named.
pub fn http_transport(options: HttpOptions) -> Result<Transport, String> {
    let tcp = connect::tcp(options.connect_timeout);
    over(options, tcp)
}

/// The transport over connections that `dial` opens.
pub(crate) fn over(options: HttpOptions, dial: Dial) -> Result<Transport, String> {
    let tls = tls::client_config(options.ca_bundle.as_ref())?;
    // Its automatic repeats are of requests that found their connection closed before a byte was sent.
    let client = |options: &HttpOptions| -> Client<_, Full<Bytes>> {
        Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(options.idle_timeout)
            .http1_max_buf_size(MAX_HEAD)
            .build(connect::connector(options, tls.clone(), dial.clone()))
    };
    let without_proxies = HttpOptions { proxies: Proxies::default(), ..options.clone() };
    let (usual, direct) = (client(&options), client(&without_proxies));
    let service = tower::service_fn(move |request: Request<Bytes>| {
        let (client, options) = match request.extensions().get::<Direct>() {
            None => (usual.clone(), options.clone()),
            Some(Direct) => (direct.clone(), without_proxies.clone()),
        };
        async move {
            let whole = request.extensions().get::<Attempt>().map_or(options.timeout, |attempt| attempt.timeout);
            let mut request = request.map(Full::new);
            // Through a tunnel this is the tunnel's matter.
            let forward = options.proxies.way(request.uri()).filter(|_| request.uri().scheme_str() == Some("http"));
            if let Some(authorization) = forward.as_ref().and_then(|way| way.authorization.as_ref()) {
                request.headers_mut().insert(PROXY_AUTHORIZATION, connect::sensitive(authorization));
            }
            let taken = capture_connection(&mut request);
            let mut taking = taken.clone();
            let silence = async {
                let _ = taking.wait_for_connection_metadata().await;
                sleep(options.first_byte_timeout).await;
            };
            let exchange = async {
                let answer = tokio::select! {
                    biased;
                    answer = client.request(request) => answer.map_err(|error| match error.source() {
                        Some(cause) if error.is_connect() => TransportError::NotSent(with_causes(cause)),
                        _ if taken.connection_metadata().is_none() => TransportError::NotSent(with_causes(&error)),
                        _ => TransportError::Lost(with_causes(&error)),
                    })?,
                    () = silence => {
                        let why = format!("no answer began within {:?}", options.first_byte_timeout);
                        return Err(TransportError::Lost(why));
                    }
                };
                if let Some(way) = &forward
                    && answer.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED
                {
                    return Err(TransportError::NotSent(format!(
                        "{} wants another user name and password (HTTP status 407): correct {}",
                        way.name, way.variable
                    )));
                }
                let (head, body) = answer.into_parts();
                let body = Limited::new(body, options.max_answer).collect().await.map_err(|error| {
                    TransportError::Lost(if error.is::<LengthLimitError>() {
                        format!("answer too large: more than {} bytes", options.max_answer)
                    } else {
                        format!("the answer breaks off: {}", with_causes(error.as_ref()))
                    })
                })?;
                Ok(Response::from_parts(head, body.to_bytes()))
            };
            match timeout(whole, exchange).await {
                Ok(outcome) => outcome,
                Err(_) if taken.connection_metadata().is_none() => {
                    Err(TransportError::NotSent(format!("no connection took it within {whole:?}")))
                }
                Err(_) => Err(TransportError::Lost(format!("no whole answer came within {whole:?}"))),
            }
        }
    });
    Ok(Transport::new(service))
}

/// What went wrong, and what that came from.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
