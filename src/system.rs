//! The process's own clocks, randomness and accounts: the only place in the library that reads any of them.
//!
//! Owns nothing else. Everybody else is handed a [`SharedClock`] and a [`SharedRandom`].

use std::fs;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::clock::{Clock, Random, SharedClock, SharedRandom};
use crate::metrics::{ProcessStats, parse_process};

#[cfg(test)]
mod tests;

/// The clocks of this machine.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// The clocks; the monotonic one counts from now.
    pub fn new() -> SystemClock {
        SystemClock { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Randomness for jitter and for ids: SplitMix64, seeded once by the kernel. Not for secrets.
#[derive(Debug)]
pub struct SystemRandom {
    state: AtomicU64,
}

/// The step of SplitMix64's counter: an odd constant, so that all 2^64 states are visited.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl SystemRandom {
    /// Seeded from `/dev/urandom`.
    ///
    /// # Errors
    /// When that can't be read: two processes with the same seed would take each other for themselves.
    pub fn new() -> io::Result<SystemRandom> {
        let mut seed = [0; 8];
        fs::File::open("/dev/urandom")?.read_exact(&mut seed)?;
        Ok(SystemRandom::seeded(u64::from_ne_bytes(seed)))
    }

    fn seeded(seed: u64) -> SystemRandom {
        SystemRandom { state: AtomicU64::new(seed) }
    }
}

impl Random for SystemRandom {
    fn next_u64(&self) -> u64 {
        let mut z = self.state.fetch_add(GOLDEN, Ordering::Relaxed).wrapping_add(GOLDEN);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// A [`SharedClock`] as the AWS client wants it.
#[derive(Clone)]
pub struct AwsTime(pub SharedClock);

impl aws_api::TimeSource for AwsTime {
    fn now(&self) -> SystemTime {
        self.0.wall()
    }
}

/// A [`SharedRandom`] as the AWS client wants it.
#[derive(Clone)]
pub struct AwsRandom(pub SharedRandom);

impl aws_api::Random for AwsRandom {
    fn next_u64(&self) -> u64 {
        self.0.next_u64()
    }
}

/// What the kernel knows of this process, from `/proc`; `None` where there is no such thing.
pub fn process_stats() -> Option<ProcessStats> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let boot = fs::read_to_string("/proc/stat").ok()?;
    // The directory handle itself is one of them, and gone right after.
    let open_fds = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
    parse_process(&stat, &status, &boot, open_fds as u64)
}
