//! Waiting until something is so.

use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::kit::*;
use crate::{Class, Client, ClientParts, Error, ec2, route53};

fn change(status: &str) -> Step {
    ok(format!(
        "<GetChangeResponse><ChangeInfo><Id>/change/C1</Id><Status>{status}</Status>\
         <SubmittedAt>2026-11-26T01:02:03Z</SubmittedAt></ChangeInfo></GetChangeResponse>"
    ))
}

fn in_sync(answer: Result<route53::GetChangeResponse, Error>) -> Result<ControlFlow<(), String>, Error> {
    Ok(match answer?.change_info.status {
        route53::ChangeStatus::Insync => Break(()),
        other => Continue(other.to_string()),
    })
}

const EVERY: Duration = Duration::from_secs(4);

async fn wait(client: &Client, seconds: u64) -> Result<(), Error> {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    client.wait(&route53::GetChange { id: "C1".into() }, EVERY, deadline, in_sync).await
}

#[tokio::test(start_paused = true)]
async fn it_is_asked_until_it_is_so() {
    for (dice, pause) in [(0, 3000), (u64::MAX / 2, 4000), (u64::MAX, 5000)] {
        let aws = Aws::script([change("PENDING"), change("PENDING"), change("INSYNC")]);
        let clock = Clock::new();
        let client = Client::new(ClientParts { random: Arc::new(Dice(dice)), ..parts(&aws, &clock) });
        wait(&client, 60).await.unwrap();
        let seen = aws.seen();
        for pair in seen.windows(2) {
            let took = (pair[1].at - pair[0].at).as_millis();
            assert!(took.abs_diff(pause) < 3, "{took}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_error_says_how_things_stood_and_comes_in_time() {
    let aws = Aws::always(change("PENDING"));
    let start = Instant::now();
    let error = wait(&client(&aws), 30).await.unwrap_err();
    assert!(error.class == Class::Transient && error.message.contains("it was PENDING"), "{error}");
    // The last question is asked a second before.
    assert_eq!((start.elapsed().as_secs(), (aws.seen().last().unwrap().at - start).as_secs()), (29, 29));
    // The client's own deadline counts as well.
    let start = Instant::now();
    let hurried = client(&aws).with_deadline(start + Duration::from_secs(10));
    wait(&hurried, 30).await.unwrap_err();
    assert_eq!(start.elapsed().as_secs(), 9);
    // The answer that doesn't come.
    let mut first = true;
    let aws = Aws::answering(move |_| if std::mem::take(&mut first) { change("PENDING") } else { Step::Hang });
    let start = Instant::now();
    let error = wait(&client(&aws), 10).await.unwrap_err();
    assert!(error.class == Class::Transient && error.message.ends_with("before that it was PENDING"), "{error}");
    assert!(start.elapsed() <= Duration::from_millis(10_002));
}

#[tokio::test(start_paused = true)]
async fn an_error_is_passed_on_unless_it_means_not_yet() {
    let aws = Aws::script([change("PENDING"), rest_error(404, "NoSuchChange")]);
    let error = wait(&client(&aws), 60).await.unwrap_err();
    assert!(error.is("NoSuchChange") && error.message == "says NoSuchChange", "{error}");
    let not_yet = ec2_error(400, "InvalidGroup.NotFound");
    let aws = Aws::script([not_yet.clone(), not_yet, ok(NO_GROUPS)]);
    let exists = |answer: Result<ec2::DescribeSecurityGroupsResponse, Error>| match answer {
        Err(error) if error.is("InvalidGroup.NotFound") => Ok(Continue("not there".to_owned())),
        answer => Ok(Break(answer?.security_groups.len())),
    };
    let question = ec2::DescribeSecurityGroups::default();
    let deadline = Instant::now() + Duration::from_secs(60);
    assert_eq!(client(&aws).wait(&question, EVERY, deadline, exists).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn no_pause_is_too_short_or_too_long() {
    for every in [Duration::ZERO, Duration::MAX] {
        let aws = Aws::always(change("PENDING"));
        let deadline = Instant::now() + Duration::from_secs(3);
        let question = route53::GetChange { id: "C1".into() };
        client(&aws).wait(&question, every, deadline, in_sync).await.unwrap_err();
        assert!((2..=30).contains(&aws.count()), "{every:?}: {}", aws.count());
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_of_its_own_can_wait() {
    let client = client(&Aws::always(change("INSYNC")));
    tokio::spawn(async move { wait(&client, 10).await }).await.unwrap().unwrap();
}
