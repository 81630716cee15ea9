//! The caller's deadline ends a call whatever it is at.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use tokio::time::Instant;

use super::kit::*;
use crate::{Class, Client, Credentials, ec2};

fn read() -> ec2::DescribeSecurityGroups {
    ec2::DescribeSecurityGroups::default()
}

fn change() -> ec2::CreateTags {
    ec2::CreateTags::default()
}

fn within(client: &Client, millis: u64) -> Client {
    client.with_deadline(Instant::now() + Duration::from_millis(millis))
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_in_time_is_unknown_for_a_change_only() {
    let aws = Aws::always(Step::Hang);
    let start = Instant::now();
    let error = within(&client(&aws), 2000).send(&change()).await.unwrap_err();
    assert_eq!((error.class, start.elapsed().as_millis() / 10), (Class::UnknownOutcome, 200));
    let error = within(&client(&aws), 2000).send(&read()).await.unwrap_err();
    assert_eq!((error.class, start.elapsed().as_millis() / 10), (Class::Transient, 400));
    // The transport is told how long it has.
    assert!(aws.seen().iter().all(|seen| seen.attempt.unwrap().timeout <= Duration::from_secs(2)));
}

#[tokio::test(start_paused = true)]
async fn what_has_too_little_time_is_not_sent() {
    let aws = Aws::always(ok(TAGGED));
    let error = within(&client(&aws), 900).send(&change()).await.unwrap_err();
    assert!(error.class == Class::Transient && error.message.starts_with("not sent: "), "{error}");
    let error = within(&client(&aws), 0).send(&read()).await.unwrap_err();
    assert!(error.class == Class::Transient && error.message.starts_with("not sent: "), "{error}");
    assert_eq!(aws.count(), 0);
    let aws = Aws::always(ok(NO_GROUPS));
    within(&client(&aws), 900).send(&read()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_error_is_what_stood_in_the_way_and_not_that_time_ran_out() {
    // The pause of up to a second before the next attempt doesn't fit.
    let aws = Aws::always(ec2_error(503, "RequestLimitExceeded"));
    let start = Instant::now();
    let error = within(&client(&aws), 1000).send(&read()).await.unwrap_err();
    assert_eq!((error.class, aws.count(), start.elapsed()), (Class::Throttled, 1, Duration::ZERO));
    // The pause does, the limiter's queue doesn't any more.
    let clock = Clock::new();
    let mut parts = parts(&aws, &clock);
    parts.random = Arc::new(Dice(0));
    parts.config.rates.ec2_wide_reads = Some(crate::Rate::per_second(1, 1));
    let start = Instant::now();
    let error = within(&Client::new(parts), 1000).send(&read()).await.unwrap_err();
    assert_eq!((error.class, start.elapsed().as_millis()), (Class::Throttled, 1000));
}

#[tokio::test(start_paused = true)]
async fn keys_that_do_not_come_in_time_end_the_call() {
    let (clock, aws) = (Clock::new(), Aws::always(Step::Hang));
    let mut parts = parts(&aws, &clock);
    let (transport, time, random) = (parts.transport.clone(), parts.time.clone(), parts.random.clone());
    let source = Credentials::from_environment(&environment(&[]), &parts.config, transport, time, random);
    parts.credentials = Arc::new(source.unwrap());
    let start = Instant::now();
    let error = within(&Client::new(parts), 700).send(&read()).await.unwrap_err();
    assert!(error.class == Class::Transient && error.message.contains("no keys in time"), "{error}");
    assert_eq!(start.elapsed().as_millis() / 10, 70);
}

#[tokio::test(start_paused = true)]
async fn of_two_deadlines_the_earlier_one_counts() {
    let aws = Aws::always(Step::Hang);
    for (first, second) in [(1500, 60_000), (60_000, 1500)] {
        let start = Instant::now();
        within(&within(&client(&aws), first), second).send(&read()).await.unwrap_err();
        assert_eq!(start.elapsed().as_millis() / 10, 150);
    }
    // And none makes a call longer than it would be.
    let start = Instant::now();
    let client = client(&aws);
    within(&client, 3_600_000).send(&read()).await.unwrap_err();
    assert!(start.elapsed() <= client.config().call_timeout);
}

#[tokio::test(start_paused = true)]
async fn a_listing_has_one_deadline_for_all_its_pages() {
    let mut number = 0;
    let aws = Aws::answering(move |_| {
        number += 1;
        let page = format!(
            "<DescribeSecurityGroupsResponse><securityGroupInfo/><nextToken>{number}</nextToken>\
             </DescribeSecurityGroupsResponse>"
        );
        Step::After(Duration::from_secs(1), Box::new(ok(page)))
    });
    let start = Instant::now();
    within(&client(&aws), 10_500).pages(read()).await.unwrap_err();
    assert_eq!(start.elapsed().as_millis() / 10, 1050);
    let start = Instant::now();
    let late = within(&client(&aws), 10_500);
    late.stream(read()).try_for_each(|_| async { Ok(()) }).await.unwrap_err();
    assert_eq!(start.elapsed().as_millis() / 10, 1050);
}
