//! Ways in: a kube client in this process, and HTTP on the loopback address.

use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube::client::Body;
use tokio::net::TcpStream;
use tower::{BoxError, Service};

use super::answer::Ending;
use super::rbac::User;
use super::{AnswerBody, Kube};
use crate::error::Result;
use crate::wire::{Listener, Outcome, Reset};

/// A way in for one user.
#[derive(Clone)]
pub struct Endpoint {
    kube: Kube,
    user: User,
}

impl Service<Request<Body>> for Endpoint {
    type Response = Response<AnswerBody>;
    type Error = BoxError;
    type Future = BoxFuture<'static, std::result::Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::result::Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Endpoint { kube, user } = self.clone();
        // What is sent arrives, whether or not somebody waits for the answer.
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect_bytes().await?;
            match tokio::spawn(kube.handle(Some(user), parts, body)).await? {
                Ending::Answer(response) => Ok(response),
                Ending::Broken(error) => Err(error),
                Ending::Never => std::future::pending().await,
            }
        })
    }
}

/// The error of a connection that is refused, as a real client reports it: callers tell by its type that nothing was
/// sent.
pub(super) async fn refused_connection() -> BoxError {
    let connector = tower::service_fn(|_: Uri| {
        let refused = io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused");
        std::future::ready(Err::<TokioIo<TcpStream>, io::Error>(refused))
    });
    let client = HttpClient::builder(TokioExecutor::new()).build::<_, Full<Bytes>>(connector);
    match client.get(Uri::from_static("http://kubernetes.default.svc/")).await {
        Err(error) => error.into(),
        Ok(_) => "connection refused".into(),
    }
}

/// A server on the loopback address; it ends when dropped.
#[derive(Debug)]
pub struct Served {
    listener: Listener,
}

impl Served {
    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.listener.url
    }
}

impl Kube {
    /// A client in this process, without retries. Its default namespace is `default`.
    pub fn client(&self, user: User) -> kube::Client {
        self.client_in(user, "default")
    }

    /// The same with another default namespace.
    pub fn client_in(&self, user: User, namespace: &str) -> kube::Client {
        kube::Client::new(self.endpoint(user), namespace)
    }

    /// The service under such a client, for layers of one's own.
    pub fn endpoint(&self, user: User) -> Endpoint {
        Endpoint { kube: self.clone(), user }
    }

    /// Serves on a free port of the loopback address, by HTTP/1.1 without TLS. Who asks is told by bearer tokens
    /// ([`Kube::add_user`]).
    ///
    /// # Errors
    /// There is no port.
    pub async fn serve(&self) -> Result<Served> {
        let kube = self.clone();
        let listener = Listener::serve(move |request| kube.clone().serve_one(request)).await?;
        Ok(Served { listener })
    }

    async fn serve_one(self, request: Request<Incoming>) -> Outcome {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Reset)?.to_bytes();
        let token = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = token.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        let user = self.control().users.get(token).cloned();
        match self.handle(user, parts, body).await {
            Ending::Answer(response) => Ok(response.map(|body| body.map_err(io::Error::other).boxed_unsync())),
            Ending::Broken(_) => Err(Reset),
            Ending::Never => std::future::pending().await,
        }
    }
}
