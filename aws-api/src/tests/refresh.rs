//! Keys are renewed ahead of their end by one task, and nobody waits for that.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;

use super::kit::*;
use crate::{AssumedRole, Credentials, CredentialsParts};

const HOUR: Duration = Duration::from_secs(3600);

/// Credentials of a role, with keys that are good for an hour each time: `R1`, `R2` and so on; `answer` may know
/// another answer to the request of that number.
fn role(clock: &Arc<Clock>, answer: impl Fn(usize) -> Option<Step> + Send + 'static) -> (Arc<Credentials>, Aws) {
    let (count, time) = (AtomicUsize::new(0), clock.clone());
    let sts = Aws::answering(move |_| {
        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
        answer(number).unwrap_or_else(|| assumed_role("AssumeRole", &format!("R{number}"), &time.in_seconds(3600)))
    });
    let role = AssumedRole { arn: "arn:aws:iam::111122223333:role/r".into(), ..AssumedRole::default() };
    let parts = CredentialsParts { random: Arc::new(Dice(0)), ..credentials_parts(&sts, clock) };
    (Arc::new(Credentials::assume_role(fixed_keys(clock), role, &parts).unwrap()), sts)
}

fn in_background(credentials: &Arc<Credentials>) -> tokio::task::JoinHandle<()> {
    let credentials = credentials.clone();
    tokio::spawn(async move { credentials.keep_fresh().await })
}

async fn id(credentials: &Credentials) -> String {
    credentials.keys().await.unwrap().access_key_id.clone()
}

#[tokio::test(start_paused = true)]
async fn keys_are_there_before_the_first_call_and_renewed_five_minutes_before_they_expire() {
    let clock = Clock::new();
    let (credentials, sts) = role(&clock, |_| None);
    let task = in_background(&credentials);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(sts.count(), 1);
    tokio::time::sleep(HOUR * 10).await;
    let seen = sts.seen();
    assert_eq!(seen.len(), 11);
    for pair in seen.windows(2) {
        assert_eq!(pair[1].at - pair[0].at, HOUR - Duration::from_secs(300));
    }
    // A call finds them, and asks nobody.
    assert_eq!((id(&credentials).await.as_str(), sts.count()), ("R11", 11));
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn many_callers_and_the_task_make_one_request_at_a_time() {
    let clock = Clock::new();
    let time = clock.clone();
    let (credentials, sts) = role(&clock, move |number| {
        let keys = assumed_role("AssumeRole", &format!("R{number}"), &time.in_seconds(3600));
        Some(Step::After(Duration::from_secs(2), Box::new(keys)))
    });
    let task = in_background(&credentials);
    let ids = join_all((0..1_000).map(|_| id(&credentials))).await;
    assert!(ids.iter().all(|id| id == "R1") && sts.count() == 1);
    // Nor when they are due: one asks, the others use those they have.
    tokio::time::advance(HOUR - Duration::from_secs(200)).await;
    let ids = join_all((0..1_000).map(|_| id(&credentials))).await;
    assert!(ids.iter().all(|id| id == "R1" || id == "R2") && sts.count() == 2, "{}", sts.count());
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn the_last_keys_are_kept_while_renewing_fails_until_they_expire_and_it_goes_on_trying() {
    let clock = Clock::new();
    let (credentials, sts) = role(&clock, |number| (2..=40).contains(&number).then(|| rest_error(403, "AccessDenied")));
    let task = in_background(&credentials);
    tokio::time::sleep(HOUR - Duration::from_secs(10)).await;
    assert_eq!(id(&credentials).await, "R1");
    assert!(credentials.last_failure().unwrap().message.contains("AccessDenied"));
    // Every quarter of a minute with these dice.
    assert_eq!(sts.count(), 1 + 290 / 15 + 1);
    tokio::time::sleep(Duration::from_secs(20)).await;
    let error = credentials.keys().await.unwrap_err();
    assert!(error.message.contains("AccessDenied"), "{error}");
    // Without any call it finds out that the role is back.
    tokio::time::sleep(HOUR / 6).await;
    assert!(credentials.last_failure().is_none() && credentials.expires().is_some());
    assert_eq!(id(&credentials).await, "R41");
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_forward_is_noticed_within_a_minute() {
    let clock = Clock::new();
    let (credentials, sts) = role(&clock, |_| None);
    let task = in_background(&credentials);
    tokio::time::sleep(Duration::from_secs(61)).await;
    clock.wrong_by(3500);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(sts.count(), 2);
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn keys_that_do_not_expire_are_never_asked_for_again() {
    let clock = Clock::new();
    let credentials = fixed_keys(&clock);
    let task = in_background(&credentials);
    tokio::time::sleep(HOUR * 24).await;
    assert_eq!((id(&credentials).await.as_str(), credentials.expires()), (ACCESS_KEY, None));
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_halfway_holds_up_nobody() {
    let clock = Clock::new();
    let (credentials, sts) = role(&clock, |number| (number == 1).then_some(Step::Hang));
    let gone = tokio::time::timeout(Duration::from_secs(1), credentials.keys()).await;
    assert!(gone.is_err());
    assert_eq!((id(&credentials).await.as_str(), sts.count()), ("R2", 2));
}

#[tokio::test(start_paused = true)]
async fn the_instances_keys_are_stretched_by_the_task_too() {
    let clock = Clock::new();
    let document = format!(
        "{{\"Code\":\"Success\",\"AccessKeyId\":\"I1\",\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":\"{}\"}}",
        clock.in_seconds(3600)
    );
    // Then it is silent for good.
    let mut steps = vec![ok("token"), ok("role"), ok(document)].into_iter();
    let aws = Aws::answering(move |_| steps.next().unwrap_or(Step::Hang));
    let credentials = Arc::new(Credentials::from_settings(&settings(&[]), &credentials_parts(&aws, &clock)).unwrap());
    let task = in_background(&credentials);
    tokio::time::sleep(HOUR * 3).await;
    assert_eq!(id(&credentials).await, "I1");
    let failure = credentials.last_failure().unwrap();
    assert!(failure.message.contains("HttpPutResponseHopLimit=1"), "{failure}");
    task.abort();
}
