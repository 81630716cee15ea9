//! Servers of a few lines, on loopback or in memory, with or without TLS, and certificates for them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::http_transport::connect::{Dial, Link};
use crate::http_transport::{BoxError, over};
use crate::operation::Service;
use crate::tests::kit::TokenFile;
use crate::{Attempt, CaBundle, HttpOptions, Transport, TransportError};

/// A connection as a server sees it.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}
pub type Connection = Box<dyn Stream>;

/// What a server does with each connection.
#[derive(Clone)]
pub struct Behaviour(Arc<dyn Fn(Connection) -> BoxFuture<'static, ()> + Send + Sync>);

impl Behaviour {
    pub fn new<F: Future<Output = ()> + Send + 'static>(
        serve: impl Fn(Connection) -> F + Send + Sync + 'static,
    ) -> Behaviour {
        Behaviour(Arc::new(move |connection| Box::pin(serve(connection))))
    }

    /// The same answer to every request, as it stands.
    pub fn answers(answer: impl Into<Vec<u8>>) -> Behaviour {
        let answer = Arc::new(answer.into());
        Behaviour::new(move |mut connection| {
            let answer = answer.clone();
            async move {
                while read_request(&mut connection).await.is_some() {
                    if connection.write_all(&answer).await.is_err() {
                        return;
                    }
                }
            }
        })
    }

    /// One answer to the first request, then the end of the connection.
    pub fn answers_and_ends(answer: impl Into<Vec<u8>>) -> Behaviour {
        let answer = Arc::new(answer.into());
        Behaviour::new(move |mut connection| {
            let answer = answer.clone();
            async move {
                if read_request(&mut connection).await.is_some() {
                    connection.write_all(&answer).await.unwrap();
                }
            }
        })
    }

    /// Part of an answer, then nothing more.
    pub fn stops_after(part: impl Into<Vec<u8>>) -> Behaviour {
        let part = Arc::new(part.into());
        Behaviour::new(move |mut connection| {
            let part = part.clone();
            async move {
                let _request = read_request(&mut connection).await;
                connection.write_all(&part).await.unwrap();
                std::future::pending().await
            }
        })
    }

    pub async fn serve(&self, connection: Connection) {
        (self.0)(connection).await;
    }

    /// Below TLS.
    pub fn secured(self, config: ServerConfig) -> Behaviour {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Behaviour::new(move |connection| {
            let (acceptor, above) = (acceptor.clone(), self.clone());
            async move {
                // The client may turn away from what it is shown.
                if let Ok(stream) = acceptor.accept(connection).await {
                    above.serve(Box::new(stream)).await;
                }
            }
        })
    }
}

/// An answer with a body.
pub fn answer(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// The head of a request, when its body has been read, too; `None` when the connection ends before.
pub async fn read_request(connection: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    connection.read_exact(&mut body).await.ok()?;
    Some(head)
}

/// A name that is too long for one: no name server need be asked.
pub fn unknown_name() -> String {
    format!("{}.example", "x".repeat(64))
}

/// A server on loopback.
pub struct Server {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Server {
    pub async fn start(behaviour: Behaviour) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server { address: listener.local_addr().unwrap(), connections: Arc::default() };
        let connections = server.connections.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let behaviour = behaviour.clone();
                tokio::spawn(async move { behaviour.serve(Box::new(stream)).await });
            }
        });
        server
    }

    /// The connections it had.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn url(&self) -> String {
        format!("http://{}/path?query", self.address)
    }

    /// Everything is dialled here, whatever its name.
    pub fn dial(&self) -> Dial {
        let address = self.address;
        Dial::new(tower::service_fn(move |_: Uri| async move {
            Ok::<_, BoxError>(Link::direct(TokioIo::new(TcpStream::connect(address).await?)))
        }))
    }
}

/// A transport whose every connection is served in memory: with the clock paused, only time-outs pass time.
pub fn in_memory(options: HttpOptions, behaviour: Behaviour) -> Transport {
    let dial = Dial::new(tower::service_fn(move |_: Uri| {
        let behaviour = behaviour.clone();
        async move {
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            tokio::spawn(async move { behaviour.serve(Box::new(theirs)).await });
            Ok::<_, BoxError>(Link::direct(TokioIo::new(ours)))
        }
    }));
    over(options, dial).unwrap()
}

pub fn request(url: &str) -> Request<Bytes> {
    Request::post(url).body(Bytes::from_static(b"the-end")).unwrap()
}

/// The same with a time of its own.
pub fn request_within(url: &str, timeout: Duration) -> Request<Bytes> {
    let mut request = request(url);
    request.extensions_mut().insert(Attempt { service: Service::Ec2, operation: "X", mutates: true, timeout });
    request
}

pub async fn ask(transport: &Transport, url: &str) -> Result<Response<Bytes>, TransportError> {
    transport.clone().oneshot(request(url)).await
}

/// Asks, and wants the body.
pub async fn body(transport: &Transport, url: &str) -> String {
    String::from_utf8(ask(transport, url).await.unwrap().into_body().to_vec()).unwrap()
}

/// Asks, and wants it not to be sent; says why.
pub async fn not_sent(transport: &Transport, url: &str) -> String {
    match ask(transport, url).await {
        Err(TransportError::NotSent(why)) => why,
        other => panic!("it is {other:?}"),
    }
}

/// Asks, and wants it to be lost; says why.
pub async fn lost(transport: &Transport, url: &str) -> String {
    match ask(transport, url).await {
        Err(TransportError::Lost(why)) => why,
        other => panic!("it is {other:?}"),
    }
}

/// An authority that certifies servers.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// Each has a name of its own: by that a certificate says who issued it.
    pub fn new() -> Authority {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let name = format!("authority {}", COUNT.fetch_add(1, Ordering::SeqCst));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A file with it, and the options that name the file.
    pub fn trusted(&self, file: &str) -> (TokenFile, HttpOptions) {
        let file = TokenFile::new(file, &self.pem());
        let bundle = CaBundle { file: file.0.clone(), setting: "AWS_CA_BUNDLE".into() };
        (file, HttpOptions { ca_bundle: Some(bundle), ..HttpOptions::default() })
    }

    /// How a server speaks TLS that has a certificate for `host`, good until then.
    pub fn server_until(&self, host: &str, year: i32) -> ServerConfig {
        self.server_with(host, year, rustls::DEFAULT_VERSIONS)
    }

    pub fn server(&self, host: &str) -> ServerConfig {
        self.server_until(host, 4000)
    }

    pub fn server_with(
        &self,
        host: &str,
        year: i32,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> ServerConfig {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap()
    }
}
