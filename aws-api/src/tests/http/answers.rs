//! What a server may answer, whole or not. Once a request is on its way, nothing short of a whole answer is more
//! than "lost"; and nothing hangs.

use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;

use crate::http_transport::connect::{Dial, Link};
use crate::http_transport::{BoxError, over};
use crate::tests::http::kit::{Behaviour, Server, answer, ask, body, in_memory, lost, not_sent, read_request};
use crate::{HttpOptions, http_transport};

const URL: &str = "http://ec2.example/";

/// In memory, on a clock that only time-outs move.
async fn lost_with(behaviour: Behaviour) -> String {
    lost(&in_memory(HttpOptions::default(), behaviour), URL).await
}

#[tokio::test]
async fn an_answer_comes_back_whole() {
    let text = "HTTP/1.1 400 Bad Request\r\ncontent-length: 5\r\nx-own: 1\r\n\r\nhello";
    let server = Server::start(Behaviour::answers(text)).await;
    let answer = ask(&http_transport(HttpOptions::default()).unwrap(), &server.url()).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.body().as_ref()), (400, &b"hello"[..]));
    assert_eq!(answer.headers().get("x-own").unwrap(), "1");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_in_the_middle_means_lost() {
    for (part, why) in [
        ("", "closed"),
        ("HTTP/1.1 200 O", "closed"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n", "closed"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", "breaks off"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "breaks off"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel", "breaks off"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", "breaks off"),
    ] {
        let said = lost_with(Behaviour::answers_and_ends(part)).await;
        assert!(said.contains(why), "{part:?}: {said}");
        // The same, but the server keeps the connection.
        let said = lost_with(Behaviour::stops_after(part)).await;
        assert!(said.contains("within"), "{part:?}: {said}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_after_the_request_is_not_asked_again() {
    let server = Server::start(Behaviour::answers_and_ends("")).await;
    lost(&http_transport(HttpOptions::default()).unwrap(), &server.url()).await;
    assert_eq!(server.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_http_means_lost() {
    for text in [
        "SSH-2.0-OpenSSH_9.9\r\n\r\n",
        "HTTP/1.1 OK\r\n\r\n",
        "HTTP/7.3 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: five\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\nhello\r\n0\r\n\r\n",
    ] {
        lost_with(Behaviour::answers(text)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_without_end_means_lost() {
    let many = "x: y\r\n".repeat(200);
    lost_with(Behaviour::answers(format!("HTTP/1.1 200 OK\r\n{many}\r\n"))).await;
    let long = "y".repeat(100_000);
    let said = lost_with(Behaviour::stops_after(format!("HTTP/1.1 200 OK\r\nx: {long}"))).await;
    assert!(said.contains("too large"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn interim_answers_are_passed_over_but_not_for_ever() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";
    let behaviour = Behaviour::answers(format!("{interim}{}", answer("hello")));
    assert_eq!(body(&in_memory(HttpOptions::default(), behaviour), URL).await, "hello");

    let endless = Behaviour::new(|mut connection| async move {
        let _request = read_request(&mut connection).await;
        while connection.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert_eq!(lost_with(endless).await, "no answer began within 8s");
}

#[tokio::test(start_paused = true)]
async fn http_1_0_is_understood() {
    for head in ["HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\n"] {
        let transport = in_memory(HttpOptions::default(), Behaviour::answers_and_ends(format!("{head}hello")));
        for _ in 0..2 {
            assert_eq!(body(&transport, URL).await, "hello");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_after_an_answer_belong_to_no_other() {
    let extra = format!("{}HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", answer("hello"));
    let transport = in_memory(HttpOptions::default(), Behaviour::answers(extra));
    for _ in 0..3 {
        assert_eq!(body(&transport, URL).await, "hello");
        // The connection finds out about the rest.
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_before_the_question_is_not_taken() {
    let dial = Dial::new(tower::service_fn(|_| async {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        theirs.write_all(answer("evil").as_bytes()).await.unwrap();
        tokio::spawn(async move { Behaviour::answers(answer("hello")).serve(Box::new(theirs)).await });
        Ok::<_, BoxError>(Link::direct(TokioIo::new(ours)))
    }));
    // The connection is given up before it takes the question.
    let why = not_sent(&over(HttpOptions::default(), dial).unwrap(), URL).await;
    assert!(why.contains("unexpected message") && !why.contains("evil"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_body_has_a_limit() {
    let options = || HttpOptions { max_answer: 5, ..HttpOptions::default() };
    let transport = in_memory(options(), Behaviour::answers(answer("hello")));
    assert_eq!(body(&transport, URL).await, "hello");
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n3\r\nlo!\r\n0\r\n\r\n";
    for large in [answer("hello!"), chunked.to_owned()] {
        let said = lost(&in_memory(options(), Behaviour::answers(large)), URL).await;
        assert_eq!(said, "answer too large: more than 5 bytes");
    }
}

#[tokio::test]
async fn an_answer_larger_than_the_limit_is_lost() {
    let server = Server::start(Behaviour::answers(answer(&"x".repeat(crate::transport::MAX_ANSWER + 1)))).await;
    let said = lost(&http_transport(HttpOptions::default()).unwrap(), &server.url()).await;
    assert!(said.contains("answer too large"), "{said}");
}
