//! A proxy on loopback, and targets that are reached through it by name.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use crate::tests::http::kit::{
    Authority, Behaviour, Connection, Server, answer, ask, body, in_memory, lost, not_sent, read_request, request,
    unknown_name,
};
use crate::tests::kit::{Clock, environment};
use crate::{Config, Direct, HttpOptions, Proxies, Transport, TransportError, http_transport};

const HOST: &str = "ec2.eu-west-1.amazonaws.com";
const URL: &str = "https://ec2.eu-west-1.amazonaws.com/";
/// What the proxy wants to see: jane:pass@word.
const ADMITS: &str = "proxy-authorization: Basic amFuZTpwYXNzQHdvcmQ=";

/// The heads of the requests that a proxy had.
type Heads = Arc<Mutex<Vec<String>>>;

/// A proxy that knows `targets` by host and port, opens tunnels to them and forwards to them; with `admits` it wants
/// to see that header.
fn proxying(targets: &[(&str, SocketAddr)], admits: Option<&'static str>) -> (Behaviour, Heads) {
    let targets: BTreeMap<String, SocketAddr> =
        targets.iter().map(|(name, address)| ((*name).to_owned(), *address)).collect();
    let heads = Heads::default();
    let seen = heads.clone();
    let behaviour = Behaviour::new(move |mut connection: Connection| {
        let (targets, seen) = (targets.clone(), seen.clone());
        async move {
            let Some(head) = read_request(&mut connection).await else { return };
            seen.lock().unwrap().push(head.clone());
            let admitted = admits.is_none_or(|line| head.to_lowercase().contains(&line.to_lowercase()));
            let mut words = head.split(' ');
            let (method, target) = (words.next().unwrap(), words.next().unwrap());
            if !admitted {
                let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
                connection.write_all(refusal.as_bytes()).await.unwrap();
                return;
            }
            if method != "CONNECT" {
                // It answers in the target's place.
                connection.write_all(answer(target).as_bytes()).await.unwrap();
                return;
            }
            let Some(address) = targets.get(target) else {
                let refusal = "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 6\r\n\r\nno way";
                connection.write_all(refusal.as_bytes()).await.unwrap();
                return;
            };
            let mut onward = TcpStream::connect(address).await.unwrap();
            connection.write_all(b"HTTP/1.1 200 Connection established\r\nvia: x\r\n\r\n").await.unwrap();
            let _ = copy_bidirectional(&mut connection, &mut onward).await;
        }
    });
    (behaviour, heads)
}

/// A transport with these variables that trusts `authority`.
fn transport(variables: &[(&str, &str)], options: HttpOptions) -> Transport {
    let proxies = Proxies::from_environment(&environment(variables)).unwrap();
    http_transport(HttpOptions { proxies, ..options }).unwrap()
}

/// A transport with such a proxy for https.
async fn behind(behaviour: Behaviour) -> (Transport, Server) {
    let proxy = Server::start(behaviour).await;
    let url = format!("http://jane:hunter2@{}", proxy.address);
    (transport(&[("HTTPS_PROXY", &url)], HttpOptions::default()), proxy)
}

/// Why a request through such a proxy wasn't sent. It names the proxy, and never the password.
async fn refused(behaviour: Behaviour) -> String {
    let (transport, proxy) = behind(behaviour).await;
    let why = not_sent(&transport, URL).await;
    assert!(why.contains(&format!("the proxy {} (HTTPS_PROXY)", proxy.address)), "{why}");
    assert!(!["jane", "hunter2"].iter().any(|secret| why.contains(secret)), "{why}");
    why
}

#[tokio::test]
async fn https_goes_through_a_tunnel_that_is_used_again() {
    let authority = Authority::new();
    let target = Server::start(Behaviour::answers(answer("hello")).secured(authority.server(HOST))).await;
    let name = format!("{HOST}:443");
    let (behaviour, heads) = proxying(&[(&name, target.address)], Some(ADMITS));
    let proxy = Server::start(behaviour).await;
    let (_file, options) = authority.trusted("proxy-tunnel");
    let url = format!("http://jane:pass%40word@{}", proxy.address);
    let transport = transport(&[("HTTPS_PROXY", &url)], options);
    for _ in 0..3 {
        assert_eq!(body(&transport, URL).await, "hello");
    }
    assert_eq!((proxy.connections(), target.connections()), (1, 1));
    let heads = heads.lock().unwrap();
    assert_eq!(heads.len(), 1);
    assert!(heads[0].starts_with(&format!("CONNECT {name} HTTP/1.1\r\n")), "{}", heads[0]);
    assert!(heads[0].contains(&format!("\r\nhost: {name}\r\n")), "{}", heads[0]);
}

#[tokio::test]
async fn a_proxy_may_be_reached_by_tls_itself() {
    let authority = Authority::new();
    let target = Server::start(Behaviour::answers(answer("hello")).secured(authority.server(HOST))).await;
    let (behaviour, _heads) = proxying(&[(&format!("{HOST}:443"), target.address)], None);
    let proxy = Server::start(behaviour.clone().secured(authority.server("127.0.0.1"))).await;
    let (_file, options) = authority.trusted("proxy-tls");
    let url = format!("https://{}", proxy.address);
    let secure = transport(&[("HTTPS_PROXY", &url)], options.clone());
    assert_eq!(body(&secure, URL).await, "hello");

    let proxy = Server::start(behaviour.secured(Authority::new().server("127.0.0.1"))).await;
    let url = format!("https://{}", proxy.address);
    let why = not_sent(&transport(&[("HTTPS_PROXY", &url)], options), URL).await;
    assert!(why.contains("can't be reached: TLS with 127.0.0.1"), "{why}");
}

#[tokio::test]
async fn http_is_forwarded_with_the_whole_url() {
    let (behaviour, heads) = proxying(&[], Some(ADMITS));
    let proxy = Server::start(behaviour).await;
    let url = format!("http://jane:pass%40word@{}", proxy.address);
    let forwarding = transport(&[("http_proxy", &url)], HttpOptions::default());
    assert_eq!(body(&forwarding, "http://moto.example:5000/path?query").await, "http://moto.example:5000/path?query");
    let head = heads.lock().unwrap()[0].clone();
    assert!(head.starts_with("POST http://moto.example:5000/path?query HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nhost: moto.example:5000\r\n"), "{head}");

    // Who isn't admitted hasn't sent anything to AWS.
    let url = format!("http://jane:hunter2@{}", proxy.address);
    let why = not_sent(&transport(&[("http_proxy", &url)], HttpOptions::default()), "http://moto.example/").await;
    assert!(why.contains("(http_proxy)") && why.contains("407") && !why.contains("hunter2"), "{why}");
}

#[tokio::test]
async fn what_is_near_or_excepted_does_not_go_through_the_proxy() {
    let (behaviour, heads) = proxying(&[], None);
    let proxy = Server::start(behaviour).await;
    let target = Server::start(Behaviour::answers(answer("hello"))).await;
    let url = format!("http://{}", proxy.address);
    let name = unknown_name();
    let variables = [("HTTP_PROXY", url.as_str()), ("HTTPS_PROXY", &url), ("NO_PROXY", &name)];
    let transport = transport(&variables, HttpOptions::default());
    assert_eq!(body(&transport, &target.url()).await, "hello");
    let why = not_sent(&transport, &format!("http://{name}/")).await;
    assert!(why.starts_with(&format!("no connection to {name}:80: ")), "{why}");
    assert!(heads.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_request_that_must_not_go_through_a_proxy_does_not_whatever_its_host() {
    let (behaviour, heads) = proxying(&[], None);
    let proxy = Server::start(behaviour).await;
    let url = format!("http://{}", proxy.address);
    let transport = transport(&[("ALL_PROXY", &url)], HttpOptions::default());
    let url = format!("http://{}/", unknown_name());
    let mut direct = request(&url);
    direct.extensions_mut().insert(Direct);
    let error = transport.clone().oneshot(direct).await.unwrap_err();
    assert!(matches!(error, TransportError::NotSent(_)), "{error}");
    assert!(heads.lock().unwrap().is_empty());
    // Others do.
    assert_eq!(body(&transport, &url).await, url);
    assert_eq!(heads.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn the_metadata_service_is_asked_directly_wherever_it_is() {
    let (behaviour, heads) = proxying(&[], None);
    let proxy = Server::start(behaviour).await;
    let url = format!("http://{}", proxy.address);
    let transport = transport(&[("ALL_PROXY", &url)], HttpOptions::default());
    let place = format!("http://{}", unknown_name());
    let variables = environment(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &place)]);
    let error = Config::resolve(&variables, None, transport, Clock::new()).await.unwrap_err();
    assert!(error.to_string().contains("IMDS can't be reached"), "{error}");
    assert!(heads.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_with_what_to_do() {
    let answers = |status: &str| Behaviour::answers(format!("HTTP/1.1 {status}\r\ncontent-length: 6\r\n\r\nno way"));
    for (status, advice) in [
        ("407 Proxy Authentication Required", "it doesn't accept the user name and password in HTTPS_PROXY"),
        ("403 Forbidden", "allow it there, or name the host in NO_PROXY"),
        ("502 Bad Gateway", "it can't reach that host"),
        ("504 Gateway Time-out", "it can't reach that host"),
        ("301 Moved", "is HTTPS_PROXY right?"),
        ("404 Not Found", "is HTTPS_PROXY right?"),
    ] {
        let why = refused(answers(status)).await;
        let number = &status[..3];
        assert!(why.contains(&format!("refuses a connection to {HOST}:443 with HTTP status {number}")), "{why}");
        assert!(why.contains(advice), "{why}");
    }
}

#[tokio::test]
async fn a_proxy_that_wants_a_password_is_told_from_one_that_does_not_like_it() {
    let (behaviour, _heads) = proxying(&[], Some(ADMITS));
    let proxy = Server::start(behaviour).await;
    let url = format!("http://{}", proxy.address);
    let why = not_sent(&transport(&[("HTTPS_PROXY", &url)], HttpOptions::default()), URL).await;
    assert!(why.contains("it wants a user name and a password: add them"), "{why}");
}

#[tokio::test]
async fn what_is_no_proxy_is_named() {
    let long = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(100_000));
    for text in ["SSH-2.0-OpenSSH_9.9\r\n\r\n", "HTTP/1.1 twohundred\r\n\r\n", &long] {
        let why = refused(Behaviour::answers_and_ends(text)).await;
        assert!(why.contains("doesn't answer as an HTTP proxy does") && why.contains("correct HTTPS_PROXY"), "{why}");
    }
    for text in ["", "HTTP/1.1 200 O"] {
        let why = refused(Behaviour::answers_and_ends(text)).await;
        assert!(why.contains("doesn't answer as an HTTP proxy does"), "{why}");
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_named() {
    // A port that was just given back.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = format!("http://jane:hunter2@{address}");
    let why = not_sent(&transport(&[("HTTPS_PROXY", &url)], HttpOptions::default()), URL).await;
    assert!(why.contains(&format!("the proxy {address} (HTTPS_PROXY) can't be reached: ")), "{why}");
    assert!(why.contains("correct HTTPS_PROXY, or name the host in NO_PROXY") && !why.contains("hunter2"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_says_nothing_or_opens_nothing_is_named() {
    let proxies =
        Proxies::from_environment(&environment(&[("HTTPS_PROXY", "http://jane:hunter2@proxy:3128")])).unwrap();
    for part in ["", "HTTP/1.1 20", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\n\r\n"] {
        let options = HttpOptions { proxies: proxies.clone(), ..HttpOptions::default() };
        let why = not_sent(&in_memory(options, Behaviour::stops_after(part)), URL).await;
        let expected = format!(
            "the proxy proxy:3128 (HTTPS_PROXY) opened no connection to {HOST}:443 within 2s; correct HTTPS_PROXY, or \
             name the host in NO_PROXY if it is reached without a proxy"
        );
        assert_eq!(why, expected);
    }
}

#[tokio::test]
async fn a_tunnel_that_ends_after_the_request_means_lost() {
    let authority = Authority::new();
    let target =
        Server::start(Behaviour::answers_and_ends("HTTP/1.1 200 OK\r\n").secured(authority.server(HOST))).await;
    let (behaviour, _heads) = proxying(&[(&format!("{HOST}:443"), target.address)], None);
    let proxy = Server::start(behaviour).await;
    let (_file, options) = authority.trusted("proxy-ends");
    let url = format!("http://{}", proxy.address);
    let transport = transport(&[("HTTPS_PROXY", &url)], options);
    lost(&transport, URL).await;
    assert_eq!(proxy.connections(), 1);
    assert!(ask(&transport, "https://other.example/").await.is_err());
    assert_eq!(proxy.connections(), 2);
}
