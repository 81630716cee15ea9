//! The real transport, against a server of a few lines on loopback.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use crate::operation::Service;
use crate::{Attempt, HttpOptions, TransportError, http_transport};

/// What the server does with a request.
#[derive(Clone, Copy)]
enum Server {
    Answers,
    ClosesAfterRequest,
    BreaksOff,
    NeverAnswers,
    AnswersTooMuch,
}

/// Reads a request to the end of its body; `false` when the connection ends.
async fn read_request(stream: &mut TcpStream) -> bool {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return false,
            Ok(count) => text.extend_from_slice(&buffer[..count]),
        }
        if text.ends_with(b"the-end") {
            return true;
        }
    }
}

/// Starts it; tells where it is and how many connections it had.
async fn start(server: Server) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/path?query", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                while read_request(&mut stream).await {
                    match server {
                        Server::Answers => {
                            let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 5\r\nx-own: 1\r\n\r\nhello";
                            stream.write_all(answer).await.unwrap();
                        }
                        Server::ClosesAfterRequest => return,
                        Server::BreaksOff => {
                            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel").await.unwrap();
                            return;
                        }
                        Server::NeverAnswers => std::future::pending().await,
                        Server::AnswersTooMuch => {
                            let size = 17 * 1024 * 1024;
                            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n");
                            stream.write_all(head.as_bytes()).await.unwrap();
                            // The client hangs up in the middle.
                            let _ = stream.write_all(&vec![b'x'; size]).await;
                        }
                    }
                }
            });
        }
    });
    (url, connections)
}

fn request(url: &str) -> Request<Bytes> {
    Request::post(url).body(Bytes::from_static(b"the-end")).unwrap()
}

#[tokio::test]
async fn an_answer_comes_back_whole_and_its_connection_is_used_again() {
    let (url, connections) = start(Server::Answers).await;
    let transport = http_transport(HttpOptions::default()).unwrap();
    for _ in 0..3 {
        let answer = transport.clone().oneshot(request(&url)).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.body().as_ref()), (400, &b"hello"[..]));
        assert_eq!(answer.headers().get("x-own").unwrap(), "1");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_refused_connection_means_not_sent() {
    // A port that was just given back.
    let url = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}/", listener.local_addr().unwrap())
    };
    let transport = http_transport(HttpOptions::default()).unwrap();
    let error = transport.oneshot(request(&url)).await.unwrap_err();
    assert!(matches!(error, TransportError::NotSent(_)), "{error}");
}

#[tokio::test]
async fn what_is_not_tls_means_not_sent() {
    let (url, _) = start(Server::ClosesAfterRequest).await;
    let options = HttpOptions { connect_timeout: Duration::from_millis(200), ..HttpOptions::default() };
    let transport = http_transport(options).unwrap();
    let error = transport.oneshot(request(&url.replace("http:", "https:"))).await.unwrap_err();
    assert!(matches!(error, TransportError::NotSent(_)), "{error}");
}

#[tokio::test]
async fn a_connection_that_ends_after_the_request_means_lost() {
    for server in [Server::ClosesAfterRequest, Server::BreaksOff] {
        let (url, connections) = start(server).await;
        let transport = http_transport(HttpOptions::default()).unwrap();
        let error = transport.oneshot(request(&url)).await.unwrap_err();
        assert!(matches!(error, TransportError::Lost(_)), "{error}");
        // It wasn't quietly sent again.
        assert_eq!(connections.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn silence_means_lost_after_the_time_of_the_attempt() {
    let (url, _) = start(Server::NeverAnswers).await;
    let transport = http_transport(HttpOptions::default()).unwrap();
    let mut request = request(&url);
    let timeout = Duration::from_millis(50);
    request.extensions_mut().insert(Attempt { service: Service::Ec2, operation: "X", mutates: true, timeout });
    let error = transport.oneshot(request).await.unwrap_err();
    assert_eq!(error, TransportError::Lost("nothing came in time".into()));
}

#[tokio::test]
async fn an_answer_of_17_megabytes_is_lost() {
    let (url, _) = start(Server::AnswersTooMuch).await;
    let transport = http_transport(HttpOptions::default()).unwrap();
    let error = transport.oneshot(request(&url)).await.unwrap_err();
    assert!(error.to_string().contains("answer too large"), "{error}");
    assert!(matches!(error, TransportError::Lost(_)), "{error}");
}
