//! The rates of AWS are kept.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use super::kit::*;
use crate::limiter::Limiter;
use crate::operation::Service;
use crate::{Client, ClientParts, ec2, route53};

/// Seconds for `count` tokens at once.
async fn seconds(limiter: &Limiter, service: Service, operation: &'static str, mutates: bool, count: usize) -> f64 {
    let start = Instant::now();
    for _ in 0..count {
        limiter.wait(service, operation, mutates).await;
    }
    (start.elapsed().as_secs_f64() * 10.0).round() / 10.0
}

#[tokio::test(start_paused = true)]
async fn each_action_of_ec2_has_the_bucket_that_aws_publishes() {
    for (operation, mutates, burst, refill) in [
        ("DescribeInstances", false, 100, 20),
        ("CreateSecurityGroup", true, 50, 5),
        ("AuthorizeSecurityGroupIngress", true, 50, 5),
        ("RevokeSecurityGroupIngress", true, 50, 5),
        ("ModifyNetworkInterfaceAttribute", true, 100, 5),
        ("CreateTags", true, 100, 10),
    ] {
        let limiter = Limiter::default();
        assert_eq!(seconds(&limiter, Service::Ec2, operation, mutates, burst).await, 0.0, "{operation}");
        assert_eq!(seconds(&limiter, Service::Ec2, operation, mutates, refill * 3).await, 3.0, "{operation}");
        // The next action isn't held up.
        assert_eq!(seconds(&limiter, Service::Ec2, "DescribeSecurityGroups", false, 1).await, 0.0);
    }
}

#[tokio::test(start_paused = true)]
async fn route_53_has_one_bucket_for_all_and_sts_none() {
    let limiter = Limiter::default();
    assert_eq!(seconds(&limiter, Service::Route53, "ListHostedZones", false, 5).await, 0.0);
    assert_eq!(seconds(&limiter, Service::Route53, "ChangeResourceRecordSets", true, 10).await, 2.0);
    assert_eq!(seconds(&limiter, Service::Sts, "GetCallerIdentity", false, 1000).await, 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_bucket_is_slower_for_a_while_and_recovers() {
    let limiter = Limiter::default();
    limiter.throttled(Service::Route53, "ListHostedZones", false);
    // Those that were under way together are one sign.
    limiter.throttled(Service::Route53, "ListHostedZones", false);
    assert_eq!(seconds(&limiter, Service::Route53, "ListHostedZones", false, 5).await, 2.0);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(seconds(&limiter, Service::Route53, "ListHostedZones", false, 5 + 10).await, 2.0);
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_is_throttled_for_ever_still_moves() {
    let limiter = Limiter::default();
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        limiter.throttled(Service::Route53, "ListHostedZones", false);
    }
    assert_eq!(seconds(&limiter, Service::Route53, "ListHostedZones", false, 1).await, 3.2);
}

#[tokio::test(start_paused = true)]
async fn waiting_is_in_order_of_arrival_and_whoever_gives_up_holds_up_nobody() {
    let limiter = Arc::new(Limiter::default());
    seconds(&limiter, Service::Route53, "ListHostedZones", false, 5).await;
    let gives_up =
        tokio::time::timeout(Duration::from_millis(50), limiter.wait(Service::Route53, "ListHostedZones", false));
    gives_up.await.unwrap_err();
    let order = std::sync::Mutex::new(Vec::new());
    join_all((0..10).map(|number| {
        let (limiter, order) = (&limiter, &order);
        async move {
            limiter.wait(Service::Route53, "ListHostedZones", false).await;
            order.lock().unwrap().push(number);
        }
    }))
    .await;
    assert_eq!(*order.lock().unwrap(), (0..10).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn waiting_for_the_limiter_fails_no_call_and_the_observer_is_told() {
    let (aws, clock) = (Aws::always(ok(NO_ZONES)), Clock::new());
    let notes = Arc::new(Notes::default());
    let client = Client::new(ClientParts { observer: notes.clone(), ..parts(&aws, &clock) });
    // 300 calls need a minute: longer than any of them may take otherwise.
    let zones = route53::ListHostedZones::default();
    let outcomes = join_all((0..305).map(|_| client.send(&zones))).await;
    assert!(outcomes.iter().all(Result::is_ok));
    let waited = notes.0.lock().unwrap().iter().filter(|note| note.starts_with("waited Route 53")).count();
    assert_eq!(waited, 300);
    let span = aws.seen()[304].at - aws.seen()[0].at;
    assert!(span.abs_diff(Duration::from_secs(60)) < Duration::from_secs(1), "{span:?}");
    // The signature is of the moment of sending.
    assert_eq!(aws.seen()[304].header("x-amz-date"), Some("20261126T010303Z"));
}

#[tokio::test(start_paused = true)]
async fn a_throttled_answer_slows_the_bucket_of_its_action() {
    let aws = Aws::script([ec2_error(503, "RequestLimitExceeded"), ok(NO_GROUPS), ok(NO_GROUPS)]);
    let (clock, random) = (Clock::new(), Arc::new(Dice(0)));
    let client = Client::new(ClientParts { random, ..parts(&aws, &clock) });
    client.send(&ec2::DescribeSecurityGroups::default()).await.unwrap();
    client.send(&ec2::DescribeSecurityGroups::default()).await.unwrap();
    let seen = aws.seen();
    // Half of 20 per second, from an empty bucket.
    assert_eq!((seen[2].at - seen[0].at).as_millis() / 100, 2);
}
