use super::world::{TestRandom, millis, secs};
use crate::leader::{LeaseSettings, holder_id, lease_service};
use kube::client::Body;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn usual() -> LeaseSettings {
    LeaseSettings::new("kube-system", "external-ips", "pod_1")
}

#[test]
fn the_same_name_twice_gives_two_holders() {
    let random = TestRandom::new(1);
    let (first, second) = (holder_id("external-ips-0", random.as_ref()), holder_id("external-ips-0", random.as_ref()));
    assert_ne!(first, second);
    assert!(first.starts_with("external-ips-0_") && second.starts_with("external-ips-0_"));
}

#[test]
fn a_holder_is_short_enough_for_a_field_manager() {
    let random = TestRandom::new(2);
    for name in ["", "a", &"x".repeat(253), &"ü".repeat(90)] {
        let holder = holder_id(name, random.as_ref());
        assert!(!holder.is_empty() && holder.len() <= 128, "{holder}");
        assert_eq!(LeaseSettings::new("n", "l", holder).check(), Ok(()));
    }
}

#[test]
fn the_usual_times_and_those_of_other_durations_work_together() {
    assert_eq!(usual().check(), Ok(()));
    assert_eq!(usual().with_duration(secs(15)), usual());
    for duration in [5, 6, 7, 11, 30, 60, 300] {
        assert_eq!(usual().with_duration(secs(duration)).check(), Ok(()), "{duration} s");
    }
}

#[test]
fn a_call_about_a_long_lease_is_awaited_no_longer_than_about_a_usual_one() {
    let settings = LeaseSettings::new("n", "l", "h").with_duration(secs(300));
    assert_eq!(settings.call_timeout, secs(3));
    assert_eq!(settings.check(), Ok(()));
}

#[test]
fn times_that_cannot_work_are_refused_with_what_to_change() {
    let cases = [
        (LeaseSettings { name: String::new(), ..usual() }, "name"),
        (LeaseSettings { holder: String::new(), ..usual() }, "holder"),
        (LeaseSettings { holder: "x".repeat(129), ..usual() }, "128 bytes"),
        (usual().with_duration(secs(4)), "at least 5 s"),
        (usual().with_duration(millis(7500)), "whole seconds"),
        (usual().with_duration(secs(4000)), "hour"),
        (LeaseSettings { margin: secs(1), ..usual() }, "margin"),
        (LeaseSettings { renew_every: secs(6), ..usual() }, "room for renewals"),
        (LeaseSettings { call_timeout: secs(5), ..usual() }, "room for renewals"),
        (LeaseSettings { write_timeout: secs(12), ..usual() }, "room for writes"),
        (LeaseSettings { renew_every: secs(0), ..usual() }, "zero"),
        (LeaseSettings { stalled_after: secs(1), ..usual() }, "stalled"),
    ];
    for (settings, says) in cases {
        let message = settings.check().unwrap_err();
        assert!(message.contains(says), "{message}");
    }
}

/// Answers every request with 503.
async fn overloaded(listener: tokio::net::TcpListener, requests: Arc<AtomicUsize>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let requests = requests.clone();
        let answer = hyper::service::service_fn(move |_| {
            requests.fetch_add(1, Ordering::SeqCst);
            async {
                let answer = http::Response::builder().status(503).header("retry-after", "1");
                Ok::<_, std::convert::Infallible>(answer.body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap())
            }
        });
        let stream = hyper_util::rt::TokioIo::new(stream);
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(stream, answer));
    }
}

#[tokio::test]
async fn the_client_of_the_lease_repeats_nothing() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let server = tokio::spawn(overloaded(listener, requests.clone()));
    let client = lease_service(kube::Config::new(uri)).unwrap();
    let answer = client.send(http::Request::get("/x").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(requests.load(Ordering::SeqCst), 1);
    server.abort();
}
