//! What holds for limiter and retries whatever happens.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use proptest::prelude::*;
use tokio::time::{Instant, sleep, timeout};

use super::kit::*;
use crate::limiter::Limiter;
use crate::observer::Observer;
use crate::rates::{Group, Rate, Rates};
use crate::{Class, Client, Error, Service, ec2, route53};

/// Runs `future` on a clock of its own that never really waits.
fn on_paused_time<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(future)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// When each of those who wait gets its token; whoever has `patience` gives up after it. `throttles` are instants of
/// throttled answers. All times in milliseconds.
fn granted(rate: Rate, arrivals: &[(u64, Option<u64>)], throttles: &[u64]) -> Vec<Option<f64>> {
    on_paused_time(async {
        let limiter = Limiter::new(Rates { route53: Some(rate), ..Default::default() });
        let group = Group::of(&route53::ListHostedZones::default());
        let start = Instant::now();
        let limiter = &limiter;
        let ask = |&(at, patience): &(u64, Option<u64>)| async move {
            sleep(millis(at)).await;
            let turn = timeout(millis(patience.unwrap_or(u64::from(u32::MAX))), limiter.wait(group)).await.ok()?;
            turn.used();
            Some(start.elapsed().as_secs_f64() * 1000.0)
        };
        let throttle = |&at: &u64| async move {
            sleep(millis(at)).await;
            limiter.throttled(group);
        };
        let (granted, _) = futures::join!(join_all(arrivals.iter().map(ask)), join_all(throttles.iter().map(throttle)));
        granted
    })
}

fn rates() -> impl Strategy<Value = Rate> {
    (1u32..8, 5u64..2000).prop_map(|(burst, every)| Rate { burst, every: millis(every) })
}

/// No two at the same instant, so that their order is known.
fn arrivals() -> impl Strategy<Value = Vec<(u64, Option<u64>)>> {
    let patience = prop_oneof![2 => Just(None), 1 => (1u64..3000).prop_map(Some)];
    prop::collection::vec((1u64..500, patience), 1..40).prop_map(|gaps| {
        let mut at = 0;
        let arrive = |(gap, patience)| {
            at += gap;
            (at, patience)
        };
        gaps.into_iter().map(arrive).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_span_of_time_sees_more_requests_than_the_rate_grants(
        rate in rates(), arrivals in arrivals(), throttles in prop::collection::vec(0u64..20_000, 0..10)
    ) {
        let granted: Vec<f64> = granted(rate, &arrivals, &throttles).into_iter().flatten().collect();
        let every = rate.every.as_secs_f64() * 1000.0;
        for (first, from) in granted.iter().enumerate() {
            for (last, until) in granted.iter().enumerate().skip(first) {
                let most = f64::from(rate.burst) + (until - from) / every + 1e-3;
                prop_assert!((last - first + 1) as f64 <= most, "{first}..={last} of {granted:?}");
            }
        }
    }

    #[test]
    fn whoever_waits_gets_a_token_in_order_and_as_soon_as_there_is_one(rate in rates(), arrivals in arrivals()) {
        let granted = granted(rate, &arrivals, &[]);
        let every = rate.every.as_secs_f64() * 1000.0;
        // The bucket as an equation: when it would be full again.
        let mut full = 0.0f64;
        let mut before = 0.0f64;
        for ((at, patience), granted) in arrivals.iter().zip(granted) {
            let ideal = (*at as f64).max(before).max(full - f64::from(rate.burst - 1) * every);
            match granted {
                None => prop_assert!(patience.is_some_and(|patience| ideal > (at + patience) as f64 - 3.0)),
                Some(granted) => {
                    // The timer's grain.
                    prop_assert!((granted - ideal).abs() < 3.0, "{granted} instead of {ideal}");
                    full = full.max(ideal) + every;
                    before = ideal;
                }
            }
        }
    }

    #[test]
    fn throttling_stops_nobody_for_ever(arrivals in arrivals(), throttles in prop::collection::vec(0u64..20_000, 0..10)) {
        let patient: Vec<_> = arrivals.iter().map(|(at, _)| (*at, None)).collect();
        prop_assert!(granted(Rate::per_second(2, 5), &patient, &throttles).iter().all(Option::is_some));
    }
}

/// An attempt as AWS or the way there may take it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Fine,
    Throttled,
    NotSent,
    Lost,
    Hangs,
    Broken,
    Denied,
}

impl Fate {
    fn step(self, fine: &str) -> Step {
        match self {
            Fate::Fine => ok(fine),
            Fate::Throttled => ec2_error(503, "RequestLimitExceeded"),
            Fate::NotSent => not_sent(),
            Fate::Lost => lost(),
            Fate::Hangs => Step::Hang,
            Fate::Broken => ec2_error(500, "InternalError"),
            Fate::Denied => ec2_error(403, "UnauthorizedOperation"),
        }
    }

    fn does_nothing(self) -> bool {
        matches!(self, Fate::Throttled | Fate::NotSent)
    }

    fn cost(self) -> u32 {
        if matches!(self, Fate::Lost | Fate::Hangs) { 10 } else { 5 }
    }
}

/// How long calls have waited for the rate limiter, in all.
#[derive(Default)]
struct Waits(Mutex<Duration>);

impl Observer for Waits {
    fn limiter_waited(&self, _: Service, waited: Duration) {
        *self.0.lock().unwrap() += waited;
    }
}

#[derive(Clone, Debug)]
struct Plan {
    mutates: bool,
    /// What happens to each attempt, and how long that takes.
    fates: Vec<(Fate, u64)>,
    attempts: u32,
    dice: u64,
    deadline: Option<u64>,
    dropped: Option<u64>,
}

fn plans() -> impl Strategy<Value = Plan> {
    let fate = prop_oneof![
        1 => Just(Fate::Fine),
        3 => Just(Fate::Throttled),
        2 => Just(Fate::NotSent),
        2 => Just(Fate::Lost),
        1 => Just(Fate::Hangs),
        1 => Just(Fate::Broken),
        1 => Just(Fate::Denied),
    ];
    let fates = prop::collection::vec((fate, 0u64..4000), 8);
    let until = || prop::option::of(0u64..40_000);
    (any::<bool>(), fates, 1u32..8, any::<u64>(), until(), until()).prop_map(
        |(mutates, fates, attempts, dice, deadline, dropped)| Plan {
            mutates,
            fates,
            attempts,
            dice,
            deadline,
            dropped,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn calls_end_in_time_repeat_nothing_that_may_be_done_and_keep_the_books(plan in plans()) {
        let (took, outcome, made, left, limit) = on_paused_time(async {
            let fates = Arc::new(Mutex::new(plan.fates.clone().into_iter()));
            let fine = if plan.mutates { TAGGED } else { NO_GROUPS };
            let aws = Aws::answering(move |_| {
                let (fate, takes) = fates.lock().unwrap().next().unwrap();
                Step::After(millis(takes), Box::new(fate.step(fine)))
            });
            let mut parts = parts(&aws, &Clock::new());
            parts.config.max_attempts = plan.attempts;
            parts.random = Arc::new(Dice(plan.dice));
            let waits = Arc::new(Waits::default());
            parts.observer = waits.clone();
            let mut client = Client::new(parts);
            let start = Instant::now();
            let own_limit = client.config().call_timeout;
            if let Some(deadline) = plan.deadline {
                client = client.with_deadline(start + millis(deadline));
            }
            let call = async {
                match plan.mutates {
                    true => client.send(&ec2::CreateTags::default()).await.map(drop),
                    false => client.send(&ec2::DescribeSecurityGroups::default()).await.map(drop),
                }
            };
            let outcome: Option<Result<(), Error>> = match plan.dropped {
                Some(at) => timeout(millis(at), call).await.ok(),
                None => Some(call.await),
            };
            // Waiting for a turn doesn't count, but against the caller's own deadline.
            let limit = own_limit + *waits.0.lock().unwrap();
            let limit = plan.deadline.map_or(limit, |deadline| limit.min(millis(deadline)));
            (start.elapsed(), outcome, aws.count(), client.budget_left(Service::Ec2), limit)
        });
        prop_assert!(took <= limit.saturating_add(millis(2)), "{took:?} > {limit:?}");
        prop_assert!(made <= plan.attempts as usize);
        let made: Vec<Fate> = plan.fates.iter().take(made).map(|(fate, _)| *fate).collect();
        let repeated = made.split_last().map_or(&[][..], |(_, before)| before);
        for fate in repeated {
            prop_assert!(!matches!(fate, Fate::Fine | Fate::Denied), "{made:?}");
            prop_assert!(!plan.mutates || fate.does_nothing(), "{made:?}");
        }
        let fine = matches!(outcome, Some(Ok(())));
        if fine {
            prop_assert_eq!(made.last(), Some(&Fate::Fine));
        }
        if let (Some(Err(error)), Some(last)) = (&outcome, made.last())
            && plan.mutates
            && !last.does_nothing()
            && *last != Fate::Denied
        {
            prop_assert_eq!(error.class, Class::UnknownOutcome);
        }
        let spent: u32 = repeated.iter().map(|fate| fate.cost()).sum();
        let back = if fine { repeated.last().map_or(0, |fate| fate.cost()) } else { 0 };
        // An attempt that was cut off short of its fate was lost.
        prop_assert!(left == 500 - spent + back, "{left} left after {made:?}");
    }
}
