//! The three time-outs: until there is a connection, until an answer begins, until it is whole. What had no
//! connection wasn't sent.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep};
use tower::ServiceExt;

use crate::http_transport::connect::{Dial, Link};
use crate::http_transport::{BoxError, over};
use crate::tests::http::kit::{Behaviour, answer, ask, body, in_memory, lost, not_sent, read_request, request_within};
use crate::{HttpOptions, Transport, TransportError};

const URL: &str = "http://ec2.example/";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn options() -> HttpOptions {
    HttpOptions {
        connect_timeout: seconds(2),
        first_byte_timeout: seconds(4),
        timeout: seconds(7),
        ..HttpOptions::default()
    }
}

/// No connection ever comes.
fn never_connects(options: HttpOptions) -> Transport {
    let dial = Dial::new(tower::service_fn(|_| std::future::pending::<Result<Link, BoxError>>()));
    over(options, dial).unwrap()
}

/// Answers after `before`, and takes `between` for each of five bytes.
fn slow(before: Duration, between: Duration) -> Behaviour {
    Behaviour::new(move |mut connection| async move {
        while read_request(&mut connection).await.is_some() {
            sleep(before).await;
            let text = answer("hello");
            let (head, body) = text.split_at(text.len() - 5);
            connection.write_all(head.as_bytes()).await.unwrap();
            for byte in body.bytes() {
                sleep(between).await;
                if connection.write_all(&[byte]).await.is_err() {
                    return;
                }
            }
        }
    })
}

#[tokio::test(start_paused = true)]
async fn no_connection_in_time_means_not_sent() {
    let start = Instant::now();
    let why = not_sent(&never_connects(options()), "https://ec2.example/").await;
    assert_eq!(why, "no connection to ec2.example:443 within 2s");
    assert_eq!(start.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_tls_handshake_belongs_to_connecting() {
    let start = Instant::now();
    let silent = Behaviour::stops_after("");
    let why = not_sent(&in_memory(options(), silent), "https://ec2.example/").await;
    assert_eq!(why, "no connection to ec2.example:443 within 2s");
    assert_eq!(start.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_time_of_the_attempt_being_over_before_there_is_a_connection_means_not_sent() {
    let start = Instant::now();
    let error = never_connects(options()).oneshot(request_within(URL, seconds(1))).await.unwrap_err();
    assert_eq!(error, TransportError::NotSent("no connection took it within 1s".into()));
    assert_eq!(start.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_answer_that_begins_in_time_means_lost() {
    let start = Instant::now();
    let why = lost(&in_memory(options(), slow(seconds(5), Duration::ZERO)), URL).await;
    assert_eq!(why, "no answer began within 4s");
    assert_eq!(start.elapsed().as_secs(), 4);
}

#[tokio::test(start_paused = true)]
async fn the_time_until_an_answer_begins_counts_from_the_connection_on() {
    let dial = Dial::new(tower::service_fn(|_| async {
        sleep(Duration::from_millis(1_900)).await;
        let (ours, theirs) = tokio::io::duplex(1024);
        tokio::spawn(async move { slow(Duration::from_millis(3_900), Duration::ZERO).serve(Box::new(theirs)).await });
        Ok::<_, BoxError>(Link::direct(hyper_util::rt::TokioIo::new(ours)))
    }));
    let transport = over(options(), dial).unwrap();
    let start = Instant::now();
    assert_eq!(body(&transport, URL).await, "hello");
    assert_eq!(start.elapsed().as_millis(), 5_800);
    // On the connection that is there, it counts from the beginning.
    let start = Instant::now();
    assert_eq!(body(&transport, URL).await, "hello");
    assert_eq!(start.elapsed().as_millis(), 3_900);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_whole_in_time_means_lost() {
    let start = Instant::now();
    let why = lost(&in_memory(options(), slow(seconds(3), seconds(1))), URL).await;
    assert_eq!(why, "no whole answer came within 7s");
    assert_eq!(start.elapsed().as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_has_a_time_of_its_own() {
    let start = Instant::now();
    let transport = in_memory(options(), slow(seconds(1), seconds(1)));
    let error = transport.clone().oneshot(request_within(URL, seconds(3))).await.unwrap_err();
    assert_eq!(error, TransportError::Lost("no whole answer came within 3s".into()));
    assert_eq!(start.elapsed().as_secs(), 3);
    // It may be longer, too.
    let transport = in_memory(options(), slow(seconds(3), seconds(1)));
    assert!(transport.oneshot(request_within(URL, seconds(9))).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_that_comes_in_time_is_good() {
    let transport = in_memory(options(), slow(Duration::from_millis(3_900), Duration::from_millis(600)));
    assert!(ask(&transport, URL).await.is_ok());
}
