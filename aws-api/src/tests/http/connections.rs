//! Connections are kept, and what their end means.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::{Barrier, Notify};

use crate::tests::http::kit::{Authority, Behaviour, Server, answer, body, not_sent, read_request, unknown_name};
use crate::{HttpOptions, http_transport};

fn transport() -> crate::Transport {
    http_transport(HttpOptions::default()).unwrap()
}

#[tokio::test]
async fn one_after_the_other_share_a_connection() {
    let server = Server::start(Behaviour::answers(answer("hello"))).await;
    let transport = transport();
    for _ in 0..20 {
        assert_eq!(body(&transport, &server.url()).await, "hello");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn one_after_the_other_share_a_tls_connection() {
    let authority = Authority::new();
    let server = Behaviour::answers(answer("hello")).secured(authority.server("127.0.0.1"));
    let server = Server::start(server).await;
    let (_file, options) = authority.trusted("shared-tls");
    let transport = http_transport(options).unwrap();
    for _ in 0..20 {
        assert_eq!(body(&transport, &server.url().replace("http:", "https:")).await, "hello");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn at_the_same_time_each_has_a_connection_and_all_are_used_again() {
    const AT_ONCE: usize = 8;
    // Nobody is answered before all have asked.
    let all = Arc::new(Barrier::new(AT_ONCE));
    let server = Server::start(Behaviour::new(move |mut connection| {
        let all = all.clone();
        async move {
            while read_request(&mut connection).await.is_some() {
                all.wait().await;
                connection.write_all(answer("hello").as_bytes()).await.unwrap();
            }
        }
    }))
    .await;
    let (transport, url) = (transport(), server.url());
    for _ in 0..5 {
        for body in join_all((0..AT_ONCE).map(|_| body(&transport, &url))).await {
            assert_eq!(body, "hello");
        }
    }
    assert_eq!(server.connections(), AT_ONCE);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_while_idle_harms_nobody() {
    let ended = Arc::new(Notify::new());
    let tell = ended.clone();
    // Keep-alive is promised, and not kept.
    let server = Server::start(Behaviour::new(move |mut connection| {
        let tell = tell.clone();
        async move {
            if read_request(&mut connection).await.is_some() {
                connection.write_all(answer("hello").as_bytes()).await.unwrap();
            }
            drop(connection);
            tell.notify_one();
        }
    }))
    .await;
    let other = Server::start(Behaviour::answers(answer("other"))).await;
    let transport = transport();
    for round in 1..=5 {
        assert_eq!(body(&transport, &server.url()).await, "hello");
        ended.notified().await;
        // By the time this is answered, the news of the end has come, too.
        assert_eq!(body(&transport, &other.url()).await, "other");
        assert_eq!((server.connections(), other.connections()), (round, 1));
    }
}

#[tokio::test]
async fn a_connection_that_is_to_be_closed_is_not_used_again() {
    let closing = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello";
    let server = Server::start(Behaviour::answers(closing)).await;
    let transport = transport();
    for round in 1..=3 {
        assert_eq!(body(&transport, &server.url()).await, "hello");
        assert_eq!(server.connections(), round);
    }
}

#[tokio::test]
async fn a_connection_that_was_idle_for_long_is_not_used_again() {
    let server = Server::start(Behaviour::answers(answer("hello"))).await;
    let options = HttpOptions { idle_timeout: Duration::ZERO, ..HttpOptions::default() };
    let transport = http_transport(options).unwrap();
    for _ in 0..2 {
        assert_eq!(body(&transport, &server.url()).await, "hello");
    }
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_refused_connection_means_not_sent_and_names_the_place() {
    // A port that was just given back.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let why = not_sent(&transport(), &format!("http://{address}/")).await;
    assert!(why.starts_with(&format!("no connection to {address}: ")), "{why}");
    assert!(why.contains("refused"), "{why}");
}

#[tokio::test]
async fn a_name_that_nobody_knows_means_not_sent() {
    let why = not_sent(&transport(), &format!("http://{}/", unknown_name())).await;
    assert!(why.starts_with(&format!("no connection to {}:80: ", unknown_name())), "{why}");
}
