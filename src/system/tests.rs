#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_api::{Random as _, TimeSource as _};

use super::*;

#[test]
fn the_monotonic_clock_starts_near_zero_and_never_goes_back() {
    let clock = SystemClock::new();
    let mut before = clock.monotonic();
    assert!(before < Duration::from_secs(3600));
    for _ in 0..1000 {
        let now = clock.monotonic();
        assert!(now >= before);
        before = now;
    }
}

#[test]
fn the_generator_is_splitmix64() {
    // The first outputs of the reference implementation for the seed 1234567.
    let random = SystemRandom::seeded(1_234_567);
    let drawn = [random.next_u64(), random.next_u64(), random.next_u64()];
    assert_eq!(drawn, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
}

#[test]
fn two_processes_never_draw_the_same() {
    let (one, other) = (SystemRandom::new().unwrap(), SystemRandom::new().unwrap());
    let drawn: BTreeSet<u64> = (0..100).flat_map(|_| [one.next_u64(), other.next_u64()]).collect();
    assert_eq!(drawn.len(), 200);
}

#[test]
fn threads_never_draw_the_same() {
    let random = SystemRandom::new().unwrap();
    let draw = || (0..1000).map(|_| random.next_u64()).collect::<Vec<_>>();
    let (one, other) = std::thread::scope(|scope| {
        let (one, other) = (scope.spawn(draw), scope.spawn(draw));
        (one.join().unwrap(), other.join().unwrap())
    });
    assert_eq!(one.into_iter().chain(other).collect::<BTreeSet<_>>().len(), 2000);
}

struct Fixed;

impl Clock for Fixed {
    fn monotonic(&self) -> Duration {
        Duration::from_secs(3)
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(5)
    }
}

impl Random for Fixed {
    fn next_u64(&self) -> u64 {
        7
    }
}

#[test]
fn the_aws_client_sees_the_clock_and_the_randomness_that_are_handed_in() {
    assert_eq!(AwsTime(Arc::new(Fixed)).now(), SystemTime::UNIX_EPOCH + Duration::from_secs(5));
    assert_eq!(AwsRandom(Arc::new(Fixed)).next_u64(), 7);
}

#[test]
fn this_process_has_memory_files_and_a_start() {
    let stats = process_stats().unwrap();
    assert!(stats.resident_bytes > 0);
    assert!(stats.open_fds > 0);
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs_f64(stats.start_seconds);
    assert!(start > SystemTime::UNIX_EPOCH + Duration::from_secs(1_500_000_000));
}
