//! The rates of AWS are kept.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, timeout};

use super::kit::*;
use crate::limiter::Limiter;
use crate::operation::Operation;
use crate::rates::{Group, Rate, Rates};
use crate::{Class, Client, ClientParts, TransportError, ec2, route53, sts};

fn limiter() -> Limiter {
    Limiter::new(Rates::default())
}

fn zones() -> Group {
    Group::of(&route53::ListHostedZones::default())
}

/// Seconds for `count` tokens one after the other.
async fn seconds(limiter: &Limiter, group: Group, count: usize) -> f64 {
    let start = Instant::now();
    for _ in 0..count {
        limiter.wait(group).await.used();
    }
    (start.elapsed().as_secs_f64() * 10.0).round() / 10.0
}

fn filtered() -> ec2::DescribeInstances {
    ec2::DescribeInstances { filters: vec![ec2::Filter::default()], ..Default::default() }
}

fn of(operation: &impl Operation) -> Group {
    Group::of(operation)
}

#[tokio::test(start_paused = true)]
async fn each_action_of_ec2_has_the_bucket_that_aws_publishes() {
    for (group, burst, refill) in [
        (of(&filtered()), 100, 20),
        (of(&ec2::DescribeInstances { max_results: Some(5), ..Default::default() }), 100, 20),
        (of(&ec2::DescribeInstances { next_token: Some("t".into()), ..Default::default() }), 100, 20),
        (of(&ec2::DescribeInstances::default()), 50, 10),
        (of(&ec2::DescribeInstances { instance_ids: vec!["i-1".into()], ..Default::default() }), 50, 10),
        (of(&ec2::DescribeSecurityGroups::default()), 50, 10),
        (of(&ec2::DescribeInstanceAttribute::default()), 100, 20),
        (of(&ec2::CreateSecurityGroup::default()), 50, 5),
        (of(&ec2::AuthorizeSecurityGroupIngress::default()), 50, 5),
        (of(&ec2::RevokeSecurityGroupIngress::default()), 50, 5),
        (of(&ec2::ModifyNetworkInterfaceAttribute::default()), 100, 5),
        (of(&ec2::CreateTags::default()), 100, 10),
    ] {
        let limiter = limiter();
        assert_eq!(seconds(&limiter, group, burst).await, 0.0, "{group:?}");
        assert_eq!(seconds(&limiter, group, refill * 3).await, 3.0, "{group:?}");
        // The next action isn't held up.
        assert_eq!(seconds(&limiter, of(&ec2::DeleteSecurityGroup::default()), 1).await, 0.0);
    }
}

#[tokio::test(start_paused = true)]
async fn reads_of_everything_do_not_hold_up_those_of_a_part() {
    let limiter = limiter();
    seconds(&limiter, of(&ec2::DescribeInstances::default()), 50).await;
    assert_eq!(seconds(&limiter, of(&filtered()), 100).await, 0.0);
}

#[tokio::test(start_paused = true)]
async fn route_53_has_one_bucket_for_all_and_sts_none() {
    let limiter = limiter();
    assert_eq!(seconds(&limiter, zones(), 5).await, 0.0);
    assert_eq!(seconds(&limiter, of(&route53::ChangeResourceRecordSets::default()), 10).await, 2.0);
    assert_eq!(seconds(&limiter, of(&sts::GetCallerIdentity), 1000).await, 0.0);
}

#[tokio::test(start_paused = true)]
async fn rates_are_the_callers_to_set() {
    let mut rates = Rates { route53: None, ec2_reads: Some(Rate::per_second(1, 2)), ..Default::default() };
    rates.sts = Some(Rate { burst: 2, every: Duration::from_secs(10) });
    rates.ec2_changes = Some(Rate { burst: 0, every: Duration::MAX });
    rates.ec2_actions.insert("DeleteSecurityGroup".to_owned(), None);
    rates.ec2_actions.insert("CreateTags".to_owned(), Some(Rate { burst: 1, every: Duration::ZERO }));
    let limiter = Limiter::new(rates);
    assert_eq!(seconds(&limiter, zones(), 1000).await, 0.0);
    assert_eq!(seconds(&limiter, of(&filtered()), 3).await, 1.0);
    assert_eq!(seconds(&limiter, of(&sts::GetCallerIdentity), 4).await, 20.0);
    assert_eq!(seconds(&limiter, of(&ec2::DeleteSecurityGroup::default()), 1000).await, 0.0);
    assert_eq!(seconds(&limiter, of(&ec2::CreateTags::default()), 1000).await, 0.0);
    // No number makes it stand still.
    assert_eq!(seconds(&limiter, of(&ec2::CreateSecurityGroup::default()), 2).await, 3600.0);
}

#[tokio::test(start_paused = true)]
async fn a_client_keeps_to_the_rates_of_its_configuration_and_so_do_its_clones() {
    let (aws, clock) = (Aws::always(ok(NO_ZONES)), Clock::new());
    let mut parts = parts(&aws, &clock);
    parts.config.rates.route53 = Some(Rate::per_second(1, 1));
    let client = Client::new(parts);
    let start = Instant::now();
    for client in [client.clone(), client.with_deadline(start + Duration::from_secs(60)), client] {
        client.send(&route53::ListHostedZones::default()).await.unwrap();
    }
    assert_eq!(start.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_bucket_is_slower_for_a_while_and_recovers() {
    let limiter = limiter();
    limiter.throttled(zones());
    // Those that were under way together are one sign.
    limiter.throttled(zones());
    assert_eq!(seconds(&limiter, zones(), 5).await, 2.0);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(seconds(&limiter, zones(), 5 + 10).await, 2.0);
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_is_throttled_for_ever_still_moves() {
    let limiter = limiter();
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        limiter.throttled(zones());
    }
    assert_eq!(seconds(&limiter, zones(), 1).await, 3.2);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_in_a_slow_bucket_has_its_recovery_too() {
    let limiter = Limiter::new(Rates { route53: Some(Rate::per_second(1, 1)), ..Default::default() });
    for _ in 0..8 {
        limiter.throttled(zones());
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    limiter.throttled(zones());
    // 10 s at 1/16, then 3 s at 1/8: not 16 s.
    assert_eq!(seconds(&limiter, zones(), 1).await, 13.0);
}

#[tokio::test(start_paused = true)]
async fn waiting_is_in_order_of_arrival_and_whoever_gives_up_holds_up_nobody() {
    let limiter = limiter();
    seconds(&limiter, zones(), 5).await;
    timeout(Duration::from_millis(50), limiter.wait(zones())).await.unwrap_err();
    let order = Mutex::new(Vec::new());
    join_all((0..10).map(|number| {
        let (limiter, order) = (&limiter, &order);
        async move {
            limiter.wait(zones()).await.used();
            order.lock().unwrap().push(number);
        }
    }))
    .await;
    assert_eq!(*order.lock().unwrap(), (0..10).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_is_not_used_goes_back() {
    let limiter = limiter();
    for _ in 0..100 {
        drop(limiter.wait(zones()).await);
    }
    assert_eq!(seconds(&limiter, zones(), 5).await, 0.0);
    // But a full bucket gets no fuller.
    drop(limiter.wait(zones()).await);
    tokio::time::sleep(Duration::from_secs(5)).await;
    drop(limiter.wait(zones()).await);
    assert_eq!(seconds(&limiter, zones(), 6).await, 0.2);
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
async fn the_callers_deadline_bounds_the_wait_for_the_limiter() {
    let aws = Aws::always(ok(NO_ZONES));
    let start = Instant::now();
    let client = client(&aws).with_deadline(start + Duration::from_secs(10));
    let zones = route53::ListHostedZones::default();
    let outcomes = join_all((0..100).map(|_| client.send(&zones))).await;
    assert_eq!(start.elapsed().as_secs(), 10);
    let (sent, late): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((sent.len(), aws.count()), (54, 54));
    for late in late {
        let late = late.unwrap_err();
        assert!(late.class == Class::Transient && late.message.starts_with("not sent: "), "{late}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttled_answer_slows_the_bucket_of_its_action() {
    let aws = Aws::script([ec2_error(503, "RequestLimitExceeded"), ok(NO_GROUPS), ok(NO_GROUPS)]);
    let (clock, random) = (Clock::new(), Arc::new(Dice(0)));
    let client = Client::new(ClientParts { random, ..parts(&aws, &clock) });
    client.send(&ec2::DescribeSecurityGroups::default()).await.unwrap();
    client.send(&ec2::DescribeSecurityGroups::default()).await.unwrap();
    let seen = aws.seen();
    // Half of 10 per second, from an empty bucket.
    assert_eq!((seen[2].at - seen[0].at).as_millis() / 100, 4);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_not_sent_takes_no_token() {
    // No keys, so nothing is ever sent.
    let (clock, aws) = (Clock::new(), Aws::always(Step::Fail(TransportError::NotSent("no route".into()))));
    let variables = environment(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")]);
    let mut parts = parts(&aws, &clock);
    let (transport, time) = (parts.transport.clone(), parts.time.clone());
    let keys = crate::Credentials::from_environment(&variables, &parts.config, transport, time, Arc::new(MOST));
    parts.credentials = Arc::new(keys.unwrap());
    let notes = Arc::new(Notes::default());
    parts.observer = notes.clone();
    let client = Client::new(parts);
    for _ in 0..20 {
        client.send(&route53::ListHostedZones::default()).await.unwrap_err();
    }
    let notes = notes.0.lock().unwrap();
    assert!(!notes.iter().any(|note| note.starts_with("waited")), "{notes:?}");
}
