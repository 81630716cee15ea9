#![allow(clippy::unwrap_used)]

use std::time::SystemTime;

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::*;
use crate::clock::Clock;

#[derive(Default)]
struct Hand(AtomicU64);

impl Hand {
    fn set(&self, seconds: u64) {
        self.0.store(seconds, Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::Relaxed))
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }
}

fn routes_with(clock: Arc<Hand>, ready: Result<(), String>) -> Routes {
    let ready = move || ready.clone();
    Routes { progress: Progress::new(clock), ready: Arc::new(ready), metrics: Arc::new(Metrics::default()) }
}

fn routes() -> Routes {
    routes_with(Arc::new(Hand::default()), Ok(()))
}

fn forever() -> watch::Receiver<bool> {
    let (stop, stopping) = watch::channel(false);
    // Kept alive for the whole test: a connection that nobody will ever tell to stop.
    std::mem::forget(stop);
    stopping
}

/// The answer to one request: head and body.
async fn ask(routes: &Routes, method: &str, path: &str, headers: &str) -> (String, String) {
    let (mut client, server) = duplex(1 << 20);
    let request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    connection(server, routes.clone(), forever()).await;
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

async fn get(routes: &Routes, path: &str) -> (String, String) {
    let (head, body) = ask(routes, "GET", path, "").await;
    (head.lines().next().unwrap().to_owned(), body)
}

fn pair(status: &str, body: &str) -> (String, String) {
    (status.into(), body.into())
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_moved_within_three_periods_is_alive_and_a_silent_one_is_not() {
    let clock = Arc::new(Hand::default());
    clock.set(1000);
    let routes = routes_with(clock.clone(), Ok(()));
    let alive = pair("http/1.1 200 ok", "ok\n");
    assert_eq!(get(&routes, "/livez").await, alive);
    clock.set(1090);
    assert_eq!(get(&routes, "/livez").await, alive);
    clock.set(1091);
    let stuck = "the loop has not moved for 91 s; more than 90 s means that it is stuck\n";
    assert_eq!(get(&routes, "/livez").await, pair("http/1.1 503 service unavailable", stuck));
    routes.progress.clone().tick();
    assert_eq!(get(&routes, "/livez").await, alive);
}

#[test]
fn progress_tells_how_long_ago_the_last_move_was() {
    let clock = Arc::new(Hand::default());
    let progress = Progress::new(clock.clone());
    clock.set(7);
    assert_eq!(progress.since(), Duration::from_secs(7));
    progress.tick();
    assert_eq!(progress.since(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn who_is_not_ready_says_what_is_missing() {
    let clock = Arc::new(Hand::default());
    assert_eq!(get(&routes_with(clock.clone(), Ok(())), "/readyz").await, pair("http/1.1 200 ok", "ok\n"));
    let missing = routes_with(clock, Err("the list of nodes is not complete".into()));
    let expected = pair("http/1.1 503 service unavailable", "the list of nodes is not complete\n");
    assert_eq!(get(&missing, "/readyz").await, expected);
}

#[tokio::test(start_paused = true)]
async fn the_index_names_every_path_and_every_path_is_answered() {
    let routes = routes();
    let (status, index) = get(&routes, "/").await;
    assert_eq!(status, "http/1.1 200 ok");
    let paths: Vec<&str> = index.split_whitespace().filter(|word| word.starts_with('/')).collect();
    assert_eq!(paths, ["/livez", "/readyz", "/metrics"]);
    for path in paths {
        assert_eq!(get(&routes, path).await.0, "http/1.1 200 ok", "{path}");
    }
    assert_eq!(get(&routes, "/livez?verbose").await.0, "http/1.1 200 ok");
}

#[tokio::test(start_paused = true)]
async fn other_paths_are_not_found_and_other_methods_not_allowed() {
    let routes = routes();
    for path in ["/nothing", "/livez/", "/livez/x", "/debug/pprof", "//livez"] {
        assert_eq!(get(&routes, path).await.0, "http/1.1 404 not found", "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let (head, _) = ask(&routes, method, "/livez", "content-length: 0\r\n").await;
        assert!(head.starts_with("http/1.1 405 method not allowed\r\n"), "{head}");
        assert!(head.contains("\r\nallow: get, head"), "{head}");
    }
}

#[tokio::test(start_paused = true)]
async fn head_is_get_without_the_body() {
    let routes = routes();
    for path in ["/", "/livez", "/readyz", "/metrics", "/nothing"] {
        let (with_body, body) = ask(&routes, "GET", path, "").await;
        let (head, nothing) = ask(&routes, "HEAD", path, "").await;
        let undated =
            |head: &str| head.lines().filter(|l| !l.starts_with("date:")).map(String::from).collect::<Vec<_>>();
        assert_eq!(undated(&head), undated(&with_body));
        assert_eq!(nothing, "");
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_scraper_gets_the_form_it_asks_for() {
    let routes = routes();
    let (head, body) = ask(&routes, "GET", "/metrics", "").await;
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    assert!(body.contains("\nexternal_ips_build_info{") && !body.contains("# EOF"), "{body}");
    let accept = "accept: text/html\r\naccept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n";
    let (head, body) = ask(&routes, "GET", "/metrics", accept).await;
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"), "{head}");
    assert!(body.ends_with("# EOF\n"), "{body}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_no_head_is_cut_off() {
    for sent in ["", "GET /livez HTTP/1.1\r\nhost: x\r\n"] {
        let (mut client, server) = duplex(1024);
        client.write_all(sent.as_bytes()).await.unwrap();
        let before = tokio::time::Instant::now();
        connection(server, routes(), forever()).await;
        assert_eq!(before.elapsed().as_secs(), HEADER_TIMEOUT.as_secs());
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_cut_off() {
    let (mut client, server) = duplex(16);
    let routes = routes();
    let serving = connection(server, routes, forever());
    let asking = async {
        client.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = serving => {}
        () = asking => {}
    }
    assert!(client.read_to_string(&mut String::new()).await.is_ok(), "the server's end is closed");
}

/// A server on a free port of the loopback interface, and what stops it.
async fn started() -> (std::net::SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, routes(), async {
        let _ = stopped.await;
    }));
    (address, stop, server)
}

/// Asks on a connection that stays open.
async fn livez(stream: &mut TcpStream) {
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok\n") {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "closed after {answer:?}");
    }
}

#[tokio::test]
async fn a_connection_serves_many_requests_and_ends_with_the_server() {
    let (address, stop, server) = started().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    livez(&mut stream).await;
    livez(&mut stream).await;
    stop.send(()).unwrap();
    server.await.unwrap();
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn the_connection_over_the_limit_waits_for_a_place() {
    let (address, stop, server) = started().await;
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(address).await.unwrap();
        livez(&mut stream).await;
        open.push(stream);
    }
    let mut late = TcpStream::connect(address).await.unwrap();
    late.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    for _ in 0..1000 {
        tokio::task::yield_now().await;
        assert!(late.try_read(&mut [0; 1]).is_err(), "answered beyond the limit");
    }
    open.pop();
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok\n") {
        assert_ne!(late.read_buf(&mut answer).await.unwrap(), 0);
    }
    stop.send(()).unwrap();
    server.await.unwrap();
}
