//! When a request is sent again, and when never.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::kit::*;
use crate::{Class, Client, ClientParts, Config, TransportError, ec2, route53};

fn read() -> ec2::DescribeSecurityGroups {
    ec2::DescribeSecurityGroups::default()
}

fn change() -> ec2::CreateTags {
    ec2::CreateTags::default()
}

#[tokio::test(start_paused = true)]
async fn a_read_is_repeated_after_anything_that_may_pass() {
    for step in [
        lost(),
        not_sent(),
        Step::Hang,
        ec2_error(500, "InternalError"),
        ec2_error(503, "RequestLimitExceeded"),
        status(502, "<html>bad gateway</html>"),
        ok("<html>hello</html>"),
        ok(""),
    ] {
        let aws = Aws::script([step, ok(NO_GROUPS)]);
        client(&aws).send(&read()).await.unwrap();
        assert_eq!(aws.count(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_with_an_unknown_outcome_is_never_repeated() {
    for step in [
        lost(),
        Step::Hang,
        ec2_error(500, "InternalError"),
        ec2_error(503, "Unavailable"),
        status(502, "<html>bad gateway</html>"),
        status(504, ""),
        ok("<html>hello</html>"),
        ok(""),
        ok("<CreateTagsResponse><return>tr"),
    ] {
        let aws = Aws::script([step]);
        let error = client(&aws).send(&change()).await.unwrap_err();
        assert_eq!((error.class, aws.count()), (Class::UnknownOutcome, 1), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_is_repeated_when_nothing_was_done() {
    let steps = [ec2_error(503, "RequestLimitExceeded"), not_sent(), ok(TAGGED)];
    let aws = Aws::script(steps);
    client(&aws).send(&change()).await.unwrap();
    assert_eq!(aws.count(), 3);
    let batch = route53::ChangeResourceRecordSets::default();
    let done = "<ChangeResourceRecordSetsResponse><ChangeInfo><Id>/change/C1</Id><Status>PENDING</Status>\
                <SubmittedAt>2026-11-26T01:02:03Z</SubmittedAt></ChangeInfo></ChangeResourceRecordSetsResponse>";
    let aws = Aws::script([rest_error(400, "Throttling"), rest_error(400, "PriorRequestNotComplete"), ok(done)]);
    client(&aws).send(&batch).await.unwrap();
    assert_eq!(aws.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_a_layer_refuses_is_final_and_marked() {
    let aws = Aws::script([Step::Fail(TransportError::Refused("not the leader".into()))]);
    let error = client(&aws).send(&change()).await.unwrap_err();
    assert!(error.refused && error.class == Class::Transient && error.to_string().contains("not the leader"));
}

#[tokio::test(start_paused = true)]
async fn verdicts_are_final() {
    for code in [
        "InvalidPermission.Duplicate",
        "RulesPerSecurityGroupLimitExceeded",
        "UnauthorizedOperation",
        "InvalidGroup.NotFound",
        "ExpiredToken",
        "InvalidParameterValue",
    ] {
        let aws = Aws::script([ec2_error(400, code)]);
        let error = client(&aws).send(&read()).await.unwrap_err();
        assert!(error.is(code) && error.status == Some(400) && !error.refused, "{error:?}");
        assert_eq!(
            error.to_string(),
            format!("EC2 DescribeSecurityGroups answered {code}: says {code} (request id r-1)")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_are_counted_with_the_first_one() {
    let aws = Aws::always(rest_error(400, "Throttling"));
    let error = client(&aws).send(&route53::ListHostedZones::default()).await.unwrap_err();
    assert_eq!((error.class, aws.count()), (Class::Throttled, 3));
    let (aws, clock) = (Aws::always(lost()), Clock::new());
    let config = Config::from_environment(&environment(&[("AWS_MAX_ATTEMPTS", "1")]), Some("eu-west-1")).unwrap();
    Client::new(ClientParts { config, ..parts(&aws, &clock) }).send(&read()).await.unwrap_err();
    assert_eq!(aws.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn pauses_double_and_are_longer_after_a_throttle() {
    // With the largest dice a pause is all of its range.
    let near = |pause: Duration, millis: u64| pause.abs_diff(Duration::from_millis(millis)) <= Duration::from_millis(2);
    let aws = Aws::always(lost());
    client(&aws).send(&read()).await.unwrap_err();
    let seen = aws.seen();
    assert!(near(seen[1].at - seen[0].at, 100) && near(seen[2].at - seen[1].at, 200), "{seen:?}");
    let aws = Aws::always(ec2_error(503, "RequestLimitExceeded"));
    client(&aws).send(&read()).await.unwrap_err();
    let seen = aws.seen();
    assert!(near(seen[1].at - seen[0].at, 1000) && near(seen[2].at - seen[1].at, 2000), "{seen:?}");
    // With the smallest there is none.
    let (aws, clock) = (Aws::always(lost()), Clock::new());
    let random = Arc::new(Dice(0));
    Client::new(ClientParts { random, ..parts(&aws, &clock) }).send(&read()).await.unwrap_err();
    assert_eq!((aws.count(), aws.seen()[2].at), (3, aws.seen()[0].at));
}

#[tokio::test(start_paused = true)]
async fn the_services_wish_to_wait_is_honoured() {
    let steps = [
        with(ec2_error(503, "RequestLimitExceeded"), "retry-after", "7"),
        with(ec2_error(503, "RequestLimitExceeded"), "x-amz-retry-after", "4500"),
        ok(NO_GROUPS),
    ];
    let aws = Aws::script(steps);
    client(&aws).send(&read()).await.unwrap();
    let seen = aws.seen();
    assert_eq!((seen[1].at - seen[0].at).as_secs(), 7);
    assert_eq!((seen[2].at - seen[1].at).as_millis() / 100, 45);
    // But not beyond the call's time: the caller is told instead.
    let aws = Aws::script([with(ec2_error(503, "RequestLimitExceeded"), "retry-after", "3600")]);
    let error = client(&aws).send(&read()).await.unwrap_err();
    assert_eq!(error.retry_after, Some(Duration::from_secs(3600)));
}

#[tokio::test(start_paused = true)]
async fn a_date_to_wait_for_goes_by_the_servers_clock() {
    let throttled = || ec2_error(503, "RequestLimitExceeded");
    // Beside a Date of its own, whatever our clock says; else by our clock, which is right here.
    for (wrong, date) in [(-3600, Some("Thu, 26 Nov 2026 09:00:00 GMT")), (0, None)] {
        let until = if date.is_some() { "Thu, 26 Nov 2026 09:00:06 GMT" } else { "Thu, 26 Nov 2026 01:02:09 GMT" };
        let step = with(throttled(), "retry-after", until);
        let step = date.into_iter().fold(step, |step, date| with(step, "date", date));
        let (aws, clock) = (Aws::script([step, ok(NO_GROUPS)]), Clock::new());
        clock.wrong_by(wrong);
        Client::new(parts(&aws, &clock)).send(&read()).await.unwrap();
        assert_eq!((aws.seen()[1].at - aws.seen()[0].at).as_secs(), 6);
    }
    // What is over, and what can't be read, asks for no more than the usual pause.
    for odd in ["Thu, 26 Nov 2020 01:02:09 GMT", "-5", "1.5", "99999999999999", "soon", ""] {
        let aws = Aws::script([with(throttled(), "retry-after", odd), ok(NO_GROUPS)]);
        client(&aws).send(&read()).await.unwrap();
        assert!((aws.seen()[1].at - aws.seen()[0].at).as_millis() <= 1002, "{odd}");
    }
    // The end of time is no reason to fall over.
    let aws = Aws::script([with(throttled(), "retry-after", "Wed, 01 Dec 9999 00:00:00 GMT")]);
    client(&aws).send(&read()).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_in_time_however_its_attempts_end() {
    let aws = Aws::always(Step::Hang);
    let start = Instant::now();
    let (clock, mut config) = (Clock::new(), Config::new("eu-west-1").unwrap());
    config.max_attempts = 100;
    let client = Client::new(ClientParts { config, ..parts(&aws, &clock) });
    let error = client.send(&read()).await.unwrap_err();
    assert_eq!(error.class, Class::Transient);
    assert!(start.elapsed() <= client.config().call_timeout, "{:?}", start.elapsed());
    // The last attempt has what is left.
    let last = aws.seen().last().unwrap().clone();
    assert!(last.attempt.unwrap().timeout < client.config().read_timeout);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_down_is_not_asked_thrice_for_ever() {
    let aws = Aws::always(lost());
    let client = client(&aws);
    for _ in 0..200 {
        client.send(&read()).await.unwrap_err();
    }
    // 500 tokens are 50 repeats after a lost answer.
    assert_eq!(aws.count(), 250);
    // Another service has a budget of its own.
    client.send(&route53::ListHostedZones::default()).await.unwrap_err();
    assert_eq!(aws.count(), 253);
}

#[tokio::test(start_paused = true)]
async fn success_refills_the_budget() {
    let mut number = 0;
    let aws = Aws::answering(move |_| {
        number += 1;
        if number % 2 == 0 { ok(NO_GROUPS) } else { lost() }
    });
    let client = client(&aws);
    for _ in 0..200 {
        client.send(&read()).await.unwrap();
    }
    assert_eq!(aws.count(), 400);
}

#[tokio::test(start_paused = true)]
async fn taking_a_role_is_repeated_for_it_changes_nothing() {
    let role = "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>s\
                </SecretAccessKey><SessionToken>t</SessionToken><Expiration>2026-11-26T02:02:03Z</Expiration>\
                </Credentials></AssumeRoleResult></AssumeRoleResponse>";
    let aws = Aws::script([lost(), rest_error(500, "InternalFailure"), ok(role)]);
    client(&aws).send(&crate::sts::AssumeRole::default()).await.unwrap();
    assert_eq!(aws.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_not_made_costs_nothing_and_one_that_is_stays_paid() {
    let ec2 = crate::Service::Ec2;
    let aws = Aws::answering(|_| ec2_error(503, "RequestLimitExceeded"));
    let client_ = client(&aws);
    // Gives up within the pause of a second.
    tokio::time::timeout(Duration::from_millis(500), client_.send(&read())).await.unwrap_err();
    assert_eq!((aws.count(), client_.budget_left(ec2)), (1, 500));
    // Gives up within the second attempt.
    let mut first = true;
    let aws = Aws::answering(move |_| if std::mem::take(&mut first) { lost() } else { Step::Hang });
    let client_ = client(&aws);
    tokio::time::timeout(Duration::from_secs(5), client_.send(&read())).await.unwrap_err();
    assert_eq!((aws.count(), client_.budget_left(ec2)), (2, 490));
}

#[tokio::test(start_paused = true)]
async fn the_observer_is_told_of_each_attempt_and_each_call() {
    let (aws, clock) = (Aws::script([lost(), ec2_error(400, "InvalidGroup.NotFound"), ok(NO_GROUPS)]), Clock::new());
    let notes = Arc::new(Notes::default());
    let client = Client::new(ClientParts { observer: notes.clone(), ..parts(&aws, &clock) });
    client.send(&read()).await.unwrap_err();
    client.send(&read()).await.unwrap();
    assert_eq!(
        *notes.0.lock().unwrap(),
        [
            "attempt EC2 DescribeSecurityGroups None Some(\"Lost\")",
            "attempt EC2 DescribeSecurityGroups Some(400) Some(\"InvalidGroup.NotFound\")",
            "call EC2 DescribeSecurityGroups Err(NotFound) 1",
            "attempt EC2 DescribeSecurityGroups Some(200) None",
            "call EC2 DescribeSecurityGroups Ok(()) 0",
        ]
    );
}

#[tokio::test]
async fn a_call_can_be_made_from_any_task() {
    let client = client(&Aws::always(ok(NO_GROUPS)));
    let other = client.clone();
    tokio::spawn(async move { other.send(&read()).await.map(|_| ()) }).await.unwrap().unwrap();
    tokio::spawn(async move { client.pages(read()).await.map(|_| ()) }).await.unwrap().unwrap();
}
