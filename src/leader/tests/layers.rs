use super::world::{World, millis, secs};
use crate::leader::{Fence, FenceLayer, fence_aws};
use aws_api::{Attempt, Transport, TransportError};
use bytes::Bytes;
use futures::{StreamExt, TryFutureExt};
use http::{Request, Response};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use kube::client::Body;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceExt, service_fn};

type AnyBody = UnsyncBoxBody<Bytes, BoxError>;

/// A kube client behind the fence, before a server that takes `delay` for the head and `drip` for each of ten
/// pieces of the body.
fn fenced(fence: Fence, timeout: Duration, delay: Duration, drip: Duration) -> (kube::Client, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let service = service_fn(move |_: Request<Body>| {
        let counted = counted.clone();
        async move {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(delay).await;
            let pieces = futures::stream::iter(0..10).then(move |_| async move {
                tokio::time::sleep(drip).await;
                Ok::<_, BoxError>(Frame::data(Bytes::from_static(b"x")))
            });
            let body: AnyBody = StreamBody::new(pieces).boxed_unsync();
            Ok::<_, BoxError>(Response::new(body))
        }
    });
    let client = kube::client::ClientBuilder::new(service.boxed(), "default")
        .with_layer(&FenceLayer::new(fence, timeout))
        .build();
    (client, count)
}

async fn ask(client: &kube::Client, method: &str, uri: &str) -> Result<usize, BoxError> {
    let request = Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
    let answer = client.send(request).await?;
    Ok(answer.into_body().collect().await?.to_bytes().len())
}

fn says_not_the_leader(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |e| e.source()).any(|e| e.to_string().starts_with("not the leader"))
}

#[tokio::test(start_paused = true)]
async fn only_a_leader_writes_to_the_api_server_and_everybody_reads() {
    let world = World::new();
    let (a, b) = world.leader_and_standby().await;
    for (process, leads) in [(&a, true), (&b, false)] {
        let (client, count) = fenced(process.fence.clone(), secs(1), Duration::ZERO, Duration::ZERO);
        assert_eq!(ask(&client, "GET", "/api").await.unwrap(), 10);
        assert_eq!(count.swap(0, Ordering::SeqCst), 1);
        for (method, uri) in
            [("PATCH", "/x"), ("POST", "/x"), ("PUT", "/x"), ("DELETE", "/x"), ("PATCH", "/x?dryRun=All")]
        {
            let answer = ask(&client, method, uri).await;
            assert_eq!(answer.is_ok(), leads);
            if let Err(error) = answer {
                assert!(says_not_the_leader(error.as_ref()), "{error}");
            }
            assert_eq!(count.swap(0, Ordering::SeqCst), usize::from(leads), "{method} {uri}");
        }
    }
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn reads_and_writes_end_in_time_and_watches_go_on() {
    let world = World::new();
    let (a, _b) = world.leader_and_standby().await;
    let (client, _) = fenced(a.fence.clone(), secs(1), millis(500), millis(100));
    assert!(ask(&client, "PATCH", "/x").await.unwrap_err().to_string().contains("1000 ms"));
    assert_eq!(ask(&client, "GET", "/x?watch=true").await.unwrap(), 10);
    assert_eq!(ask(&client, "GET", "/x?a=b&watch=1").await.unwrap(), 10);
    assert!(ask(&client, "GET", "/x").await.is_ok(), "a list may take longer than a write");
    let (client, _) = fenced(a.fence.clone(), secs(1), secs(31), Duration::ZERO);
    assert!(ask(&client, "GET", "/x").await.unwrap_err().to_string().contains("30000 ms"));
    assert!(ask(&client, "GET", "/x?watch=true").await.is_err(), "the head of a watch is waited for no longer");
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_renewal_is_not_fresh_enough_for_a_write_waits_for_the_next() {
    let world = World::new();
    let (a, _b) = world.leader_and_standby().await;
    let (client, count) = fenced(a.fence.clone(), secs(10), Duration::ZERO, Duration::ZERO);
    let mut refused = 0;
    for _ in 0..100 {
        refused += usize::from(a.fence.permits(secs(10)).is_err());
        ask(&client, "PATCH", "/x").await.unwrap();
        tokio::time::sleep(millis(731)).await;
    }
    assert_eq!(count.load(Ordering::SeqCst), 100);
    assert!(refused > 0, "else this proves nothing");
    assert!(a.fence.permits(secs(13)).unwrap_err().to_string().contains("longer than the Lease lasts"));
    world.api.cut("a");
    tokio::time::sleep(secs(3)).await;
    assert!(says_not_the_leader(ask(&client, "PATCH", "/x").await.unwrap_err().as_ref()));
    assert_eq!(count.load(Ordering::SeqCst), 100, "nothing is sent that may outlast the Lease");
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn writes_that_wait_for_a_renewal_go_on_in_the_order_they_came() {
    let world = World::new();
    let (a, _b) = world.leader_and_standby().await;
    let long = secs(10);
    while a.fence.permits(long).is_ok() {
        tokio::time::sleep(millis(100)).await;
    }
    let came: Vec<usize> = (0..20).collect();
    let mut went = came
        .iter()
        .map(|number| a.fence.begin_when_fresh(long).map_ok(move |flight| (*number, flight.answered())))
        .collect::<futures::stream::FuturesUnordered<_>>();
    let mut order = Vec::new();
    while let Some(write) = went.next().await {
        order.push(write.unwrap().0);
    }
    assert_eq!(order, came);
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_write_of_the_layer_is_waited_for_before_the_release() {
    let world = World::new();
    let (mut a, b) = world.leader_and_standby().await;
    let (client, _) = fenced(a.fence.clone(), secs(8), secs(5), Duration::ZERO);
    let write = tokio::spawn(async move { ask(&client, "PATCH", "/x").await });
    tokio::time::sleep(millis(2500)).await;
    a.terminate();
    b.never_leads_for(secs(2)).await;
    assert_eq!(write.await.unwrap().unwrap(), 10);
    b.writable_within(millis(100)).await;
    world.check().await;
}

fn aws(answer: Result<u16, TransportError>, delay: Duration) -> (Transport, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let transport = BoxCloneSyncService::new(service_fn(move |_: Request<Bytes>| {
        counted.fetch_add(1, Ordering::SeqCst);
        let answer = answer.clone();
        async move {
            tokio::time::sleep(delay).await;
            answer.map(|status| Response::builder().status(status).body(Bytes::new()).unwrap())
        }
    }));
    (transport, count)
}

fn call(mutates: bool) -> Request<Bytes> {
    let mut request = Request::new(Bytes::new());
    let attempt = Attempt { service: aws_api::Service::Ec2, operation: "X", mutates, timeout: secs(5) };
    request.extensions_mut().insert(attempt);
    request
}

#[tokio::test(start_paused = true)]
async fn only_a_leader_changes_anything_at_aws_and_everybody_reads() {
    let world = World::new();
    let (a, b) = world.leader_and_standby().await;
    for (process, leads) in [(&a, true), (&b, false)] {
        let (transport, count) = aws(Ok(200), Duration::ZERO);
        let fenced = fence_aws(transport, process.fence.clone());
        assert!(fenced.clone().oneshot(call(false)).await.is_ok());
        assert_eq!(count.swap(0, Ordering::SeqCst), 1);
        match fenced.clone().oneshot(call(true)).await {
            Err(TransportError::Refused(why)) if !leads => assert!(why.starts_with("not the leader"), "{why}"),
            answer => assert!(leads && answer.is_ok()),
        }
        assert_eq!(count.swap(0, Ordering::SeqCst), usize::from(leads));
        let untold = fenced.oneshot(Request::new(Bytes::new())).await;
        assert!(matches!(untold, Err(TransportError::Refused(why)) if why.contains("Attempt")));
        assert_eq!(count.load(Ordering::SeqCst), 0);
    }
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_from_aws_delays_the_release_and_a_clear_one_does_not() {
    let lost = TransportError::Lost("reset".into());
    let not_sent = TransportError::NotSent("refused".into());
    for (answer, delays) in [
        (Ok(200), false),
        (Ok(400), false),
        (Ok(503), true),
        (Ok(500), true),
        (Err(lost), true),
        (Err(not_sent), false),
    ] {
        let world = World::new();
        let (mut a, b) = world.leader_and_standby().await;
        let (transport, _) = aws(answer.clone(), Duration::ZERO);
        let _ = fence_aws(transport, a.fence.clone()).oneshot(call(true)).await;
        a.terminate();
        let waited = b.writable_within(secs(6)).await;
        assert_eq!(waited >= millis(4900), delays, "{answer:?}: {waited:?}");
        world.check().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_error_that_says_slow_down_delays_no_release() {
    let world = World::new();
    let (mut a, b) = world.leader_and_standby().await;
    let body = "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>slow down</Message></Error></Errors>\
        <RequestID>1</RequestID></Response>";
    let busy = service_fn(move |_: Request<Bytes>| async move {
        Ok(Response::builder().status(503).body(Bytes::from_static(body.as_bytes())).unwrap())
    });
    let answer = fence_aws(BoxCloneSyncService::new(busy), a.fence.clone()).oneshot(call(true)).await;
    assert_eq!(answer.unwrap().status(), 503);
    a.terminate();
    b.writable_within(millis(100)).await;
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_too_long_for_a_renewal_is_told_as_not_sent_before_its_time_is_over() {
    let world = World::new();
    let (a, _b) = world.leader_and_standby().await;
    let (transport, count) = aws(Ok(200), Duration::ZERO);
    world.api.cut("a");
    while a.fence.permits(secs(5)).is_ok() {
        tokio::time::sleep(millis(100)).await;
    }
    assert!(a.fence.is_leader());
    let begun = tokio::time::Instant::now();
    let answer = fence_aws(transport, a.fence.clone()).oneshot(call(true)).await;
    assert!(matches!(answer, Err(TransportError::NotSent(_))), "{answer:?}");
    assert!(begun.elapsed() < secs(5), "{:?}", begun.elapsed());
    assert_eq!(count.load(Ordering::SeqCst), 0);
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn an_attempt_at_aws_ends_in_time() {
    let world = World::new();
    let (a, _b) = world.leader_and_standby().await;
    let (transport, _) = aws(Ok(200), secs(6));
    let answer = fence_aws(transport, a.fence.clone()).oneshot(call(true)).await;
    assert!(matches!(answer, Err(TransportError::Lost(_))), "{answer:?}");
    world.check().await;
}
