//! Connections: direct, through a proxy that forwards requests (http), or through a tunnel that it opens (https).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::upgrade::Upgraded;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use rustls::ClientConfig;
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;

use super::proxy::{Proxies, Way};
use super::{BoxError, HttpOptions, MAX_HEAD, tls, with_causes};

/// Bytes in both directions.
pub(crate) trait Io: Read + Write + Send + Unpin {}
impl<T: Read + Write + Send + Unpin> Io for T {}

/// A connection below TLS.
pub(crate) struct Link {
    io: Box<dyn Io>,
    /// A proxy reads the requests, and needs the whole URL in them.
    forwarded: bool,
}

/// Opens connections.
pub(crate) type Dial = BoxCloneSyncService<Uri, Link, BoxError>;

impl Link {
    pub(crate) fn direct(io: impl Io + 'static) -> Link {
        Link { io: Box::new(io), forwarded: false }
    }
}

impl Connection for Link {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.forwarded)
    }
}

impl Read for Link {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Link {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}

/// Opens TCP connections. `timeout` is shared out among a name's addresses.
pub(super) fn tcp(timeout: Duration) -> Dial {
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(timeout));
    // TLS is on top of it.
    tcp.enforce_http(false);
    Dial::new(tcp.map_response(Link::direct).map_err(BoxError::from))
}

/// Opens connections that are ready for a request to the URI: through the proxies, with TLS, within the time for it.
/// Errors say what to do.
pub(super) fn connector(
    options: &HttpOptions,
    tls: ClientConfig,
    dial: Dial,
) -> BoxCloneSyncService<Uri, MaybeHttpsStream<Link>, BoxError> {
    let tls = Arc::new(tls);
    let proxies = options.proxies.clone();
    let bundle = options.ca_bundle.clone();
    let limit = options.connect_timeout;
    let route = Route {
        proxies: options.proxies.clone(),
        to_proxy: HttpsConnector::from((dial.clone(), Arc::clone(&tls))),
        dial,
        options: options.clone(),
    };
    let route = Dial::new(tower::service_fn(move |target: Uri| route.clone().open(target)));
    let connector = HttpsConnector::from((route, tls));
    BoxCloneSyncService::new(tower::service_fn(move |target: Uri| {
        let (connector, bundle, place) = (connector.clone(), bundle.clone(), place(&target));
        let way = proxies.way(&target);
        async move {
            match tokio::time::timeout(limit, secured(connector, target)).await {
                Ok(Ok(stream)) => Ok(stream),
                Ok(Err(error)) => Err(tls::explain(error.as_ref(), &place, bundle.as_ref())
                    .unwrap_or_else(|| format!("no connection to {place}: {}", with_causes(error.as_ref())))
                    .into()),
                Err(_) => Err(match way {
                    None => format!("no connection to {place} within {limit:?}"),
                    Some(Way { name, variable, .. }) => format!(
                        "{name} opened no connection to {place} within {limit:?}; correct {variable}, or name the \
                         host in NO_PROXY if it is reached without a proxy"
                    ),
                }
                .into()),
            }
        }
    }))
}

/// A connection with TLS where the scheme is https. (Boxed, since the compiler can't tell that it is `Send` otherwise.)
fn secured(
    connector: HttpsConnector<Dial>,
    target: Uri,
) -> BoxFuture<'static, Result<MaybeHttpsStream<Link>, BoxError>> {
    Box::pin(connector.oneshot(target))
}

/// The way to a target, below TLS with it.
#[derive(Clone)]
struct Route {
    proxies: Proxies,
    to_proxy: HttpsConnector<Dial>,
    dial: Dial,
    options: HttpOptions,
}

impl Route {
    async fn open(self, target: Uri) -> Result<Link, BoxError> {
        let Some(way) = self.proxies.way(&target) else { return self.dial.oneshot(target).await };
        let name = &way.name;
        let stream = secured(self.to_proxy, way.uri.clone()).await.map_err(|error| {
            let why = tls::explain(error.as_ref(), &place(&way.uri), self.options.ca_bundle.as_ref());
            let why = why.unwrap_or_else(|| with_causes(error.as_ref()));
            format!(
                "{name} can't be reached: {why}; correct {}, or name the host in NO_PROXY if it is reached without a \
                 proxy",
                way.variable
            )
        })?;
        if target.scheme_str() != Some("https") {
            return Ok(Link { io: Box::new(stream), forwarded: true });
        }
        let tunnel = tunnel(stream, &way, &place(&target)).await?;
        Ok(Link::direct(tunnel))
    }
}

/// Has the proxy at the other end of `stream` open a connection to `target` (host and port).
async fn tunnel(stream: MaybeHttpsStream<Link>, way: &Way, target: &str) -> Result<Upgraded, String> {
    let Way { name, variable, .. } = way;
    let strange = |error: &hyper::Error| {
        format!("{name} doesn't answer as an HTTP proxy does: {}; correct {variable}", with_causes(error))
    };
    let impossible = |error: http::Error| format!("{name} can't be asked for {target}: {error}");
    let mut request = Request::builder()
        .method(Method::CONNECT)
        .uri(Uri::builder().authority(target).build().map_err(impossible)?)
        .header(HOST, target)
        .body(Empty::<Bytes>::new())
        .map_err(impossible)?;
    if let Some(authorization) = &way.authorization {
        request.headers_mut().insert(PROXY_AUTHORIZATION, sensitive(authorization));
    }
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(MAX_HEAD).handshake(stream).await.map_err(|error| strange(&error))?;
    let asking = async {
        let answer = sender.send_request(request).await.map_err(|error| strange(&error))?;
        let status = answer.status().as_u16();
        let advice = match status {
            200..300 => return hyper::upgrade::on(answer).await.map_err(|error| strange(&error)),
            407 if way.authorization.is_some() => {
                format!("it doesn't accept the user name and password in {variable}: correct them")
            }
            407 => format!("it wants a user name and a password: add them, {variable}=http://user:password@host:port"),
            403 => "allow it there, or name the host in NO_PROXY if it is reached without a proxy".to_owned(),
            500.. => "it can't reach that host, or doesn't want to: its log may say why".to_owned(),
            _ => format!("is {variable} right?"),
        };
        Err(format!("{name} refuses a connection to {target} with HTTP status {status}; {advice}"))
    };
    // The connection moves on while it is polled. It ends by itself only where it is handed over or broken.
    let mut connection = std::pin::pin!(connection.with_upgrades());
    let mut asking = std::pin::pin!(asking);
    tokio::select! {
        biased;
        outcome = &mut asking => outcome,
        _ = &mut connection => asking.await,
    }
}

/// The same, not shown by `Debug`.
pub(super) fn sensitive(value: &HeaderValue) -> HeaderValue {
    let mut value = value.clone();
    value.set_sensitive(true);
    value
}

/// Host and port.
fn place(uri: &Uri) -> String {
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    format!("{}:{port}", uri.host().unwrap_or_default())
}
