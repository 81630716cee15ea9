//! Real TLS handshakes with certificates of our own, and the file with the authorities.

use std::sync::{Arc, Mutex};

use rustls::server::Acceptor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::http_transport::over;
use crate::tests::http::kit::{Authority, Behaviour, Connection, Server, answer, body, not_sent, read_request};
use crate::tests::kit::{TokenFile, environment};
use crate::{HttpOptions, Transport, http_transport};

const HOST: &str = "ec2.eu-west-1.amazonaws.com";
const URL: &str = "https://ec2.eu-west-1.amazonaws.com/";

/// A server that has such TLS below it, and a transport to it that trusts `authority`.
async fn with_server(authority: &Authority, tls: rustls::ServerConfig, file: &str) -> (TokenFile, Transport, Server) {
    let server = Server::start(Behaviour::answers(answer("hello")).secured(tls)).await;
    let (file, options) = authority.trusted(file);
    let transport = over(options, server.dial()).unwrap();
    (file, transport, server)
}

/// Why the handshake with such a server fails.
async fn refused(authority: &Authority, tls: rustls::ServerConfig, file: &str) -> String {
    let (_file, transport, _server) = with_server(authority, tls, file).await;
    not_sent(&transport, URL).await
}

#[tokio::test]
async fn the_right_host_of_a_known_authority_is_spoken_to() {
    let authority = Authority::new();
    let (_file, transport, _server) = with_server(&authority, authority.server(HOST), "tls-right").await;
    assert_eq!(body(&transport, URL).await, "hello");
}

#[tokio::test]
async fn another_host_is_not_spoken_to() {
    let authority = Authority::new();
    let why = refused(&authority, authority.server("sts.amazonaws.com"), "tls-host").await;
    assert!(why.starts_with(&format!("TLS with {HOST}:443 failed: ")), "{why}");
    assert!(why.contains("not valid for name") && why.contains("sts.amazonaws.com"), "{why}");
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_refused() {
    let authority = Authority::new();
    let why = refused(&authority, authority.server_until(HOST, 2020), "tls-expired").await;
    assert!(why.contains("expired") && why.contains("clock of this machine"), "{why}");
}

#[tokio::test]
async fn an_unknown_authority_is_refused_and_the_setting_named() {
    let (known, other) = (Authority::new(), Authority::new());
    let why = refused(&known, other.server(HOST), "tls-unknown").await;
    assert!(why.contains("UnknownIssuer") && why.contains("tls-unknown"), "{why}");
    assert!(why.contains("since AWS_CA_BUNDLE says so"), "{why}");

    // The compiled-in ones don't know it either; a bundle makes it work (above).
    let server = Server::start(Behaviour::answers(answer("hello")).secured(other.server(HOST))).await;
    let transport = over(HttpOptions::default(), server.dial()).unwrap();
    let why = not_sent(&transport, URL).await;
    assert!(why.contains("UnknownIssuer") && why.contains("in AWS_CA_BUNDLE"), "{why}");
}

#[tokio::test]
async fn what_is_not_tls_means_not_sent() {
    let server = Server::start(Behaviour::new(|mut connection: Connection| async move {
        let _ = connection.read_u8().await;
        let _ = connection.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let _ = connection.read_to_end(&mut Vec::new()).await;
    }))
    .await;
    let why = not_sent(&over(HttpOptions::default(), server.dial()).unwrap(), URL).await;
    assert!(why.contains("is that a port for https?"), "{why}");

    let server = Server::start(Behaviour::new(|connection| async move { drop(connection) })).await;
    let why = not_sent(&over(HttpOptions::default(), server.dial()).unwrap(), URL).await;
    assert!(why.starts_with(&format!("no connection to {HOST}:443: ")), "{why}");
}

#[tokio::test]
async fn tls_1_2_and_1_3_are_spoken() {
    let authority = Authority::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let tls = authority.server_with(HOST, 4000, &[version]);
        let (_file, transport, _server) = with_server(&authority, tls, &format!("tls-{:?}", version.version)).await;
        assert_eq!(body(&transport, URL).await, "hello");
    }
}

/// Contents of the first handshake message that comes.
async fn first_message(connection: &mut Connection) -> Vec<u8> {
    let mut header = [0; 5];
    connection.read_exact(&mut header).await.unwrap();
    let mut message = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
    connection.read_exact(&mut message).await.unwrap();
    [&header[..], &message].concat()
}

#[tokio::test]
async fn nothing_but_tls_1_2_and_1_3_and_http_1_1_is_offered() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = heard.clone();
    let server = Server::start(Behaviour::new(move |mut connection| {
        let hears = hears.clone();
        async move {
            let message = first_message(&mut connection).await;
            *hears.lock().unwrap() = message;
        }
    }))
    .await;
    not_sent(&over(HttpOptions::default(), server.dial()).unwrap(), URL).await;

    let hello = heard.lock().unwrap().clone();
    // The extension supported_versions (43): its length, the list's length, 1.3 and 1.2 (RFC 8446, 4.2.1).
    let only = [0, 43, 0, 5, 4, 3, 4, 3, 3];
    assert!(hello.windows(only.len()).any(|window| window == only), "{hello:?}");
    let mut acceptor = Acceptor::default();
    acceptor.read_tls(&mut hello.as_slice()).unwrap();
    let accepted = acceptor.accept().ok().flatten().unwrap();
    let hello = accepted.client_hello();
    assert_eq!(hello.server_name(), Some(HOST));
    assert_eq!(hello.alpn().unwrap().collect::<Vec<_>>(), [b"http/1.1"]);
}

#[tokio::test]
async fn a_server_that_wants_tls_1_1_is_refused() {
    let server = Server::start(Behaviour::new(|mut connection| async move {
        first_message(&mut connection).await;
        // ServerHello: TLS 1.1, any random, no session, TLS_RSA_WITH_AES_128_CBC_SHA, no compression.
        let mut hello = vec![2, 0, 0, 38, 3, 2];
        hello.extend([7; 32]);
        hello.extend([0, 0, 0x2f, 0]);
        let record = [&[22, 3, 2, 0, hello.len() as u8][..], &hello].concat();
        let _ = connection.write_all(&record).await;
        let _ = connection.read_to_end(&mut Vec::new()).await;
    }))
    .await;
    let why = not_sent(&over(HttpOptions::default(), server.dial()).unwrap(), URL).await;
    assert!(why.contains("TLS 1.2 or 1.3 is needed"), "{why}");
}

#[tokio::test]
async fn the_authorities_of_the_environment_are_used_instead_of_the_compiled_in_ones() {
    let authority = Authority::new();
    let server = Behaviour::new(|mut connection: Connection| async move {
        while read_request(&mut connection).await.is_some() {
            connection.write_all(answer("hello").as_bytes()).await.unwrap();
        }
    });
    let server = Server::start(server.secured(authority.server(HOST))).await;
    let file = TokenFile::new("tls-bundle", &format!("A comment.\n{}{}", Authority::new().pem(), authority.pem()));
    let options = HttpOptions::from_environment(&environment(&[("AWS_CA_BUNDLE", file.path())])).unwrap();
    assert_eq!(body(&over(options, server.dial()).unwrap(), URL).await, "hello");
}

#[test]
fn a_bundle_that_cannot_be_used_is_an_error_that_names_setting_and_file() {
    let good = Authority::new().pem();
    let cut = good.replace("-----END CERTIFICATE-----", "");
    let not_base64 = good.replacen("MII", "M!I", 1);
    let not_der = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
    for (number, (text, why)) in [
        (String::new(), "holds none"),
        ("not PEM at all\n".into(), "holds none"),
        (good.replace("CERTIFICATE", "PUBLIC KEY"), "holds none"),
        (cut.clone(), "certificate 1 in it is broken: its end is missing"),
        (format!("{good}{cut}"), "certificate 2 in it is broken: its end is missing"),
        (not_base64, "certificate 1 in it is broken: it isn't Base64"),
        (format!("{good}{not_der}"), "certificate 2 in it is no authority's"),
    ]
    .into_iter()
    .enumerate()
    {
        let file = TokenFile::new(&format!("tls-bad-bundle-{number}"), &text);
        let options = HttpOptions::from_environment(&environment(&[("AWS_CA_BUNDLE", file.path())])).unwrap();
        let said = http_transport(options).unwrap_err();
        let begin = format!("AWS_CA_BUNDLE names the file {}, which can't be used: ", file.path());
        assert!(said.starts_with(&begin) && said.contains(why), "{text}: {said}");
    }

    let missing = std::env::temp_dir().join("aws-api-no-such-bundle.pem");
    let bundle = crate::CaBundle { file: missing, setting: "ca_bundle of profile x".into() };
    let said = http_transport(HttpOptions { ca_bundle: Some(bundle), ..HttpOptions::default() }).unwrap_err();
    assert!(said.starts_with("ca_bundle of profile x names the file "), "{said}");
    assert!(said.contains("no-such-bundle.pem") && said.contains("No such file"), "{said}");
}
