//! What the daemon may not get on its own: both clocks and randomness. They are handed in, so that whole
//! histories can run on simulated time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The two clocks of a process.
pub trait Clock: Send + Sync {
    /// Time since some fixed moment of this process; never goes back. On Linux `CLOCK_MONOTONIC`, which stands
    /// still while the machine is suspended.
    fn monotonic(&self) -> Duration;
    /// The time of day, which may jump.
    fn wall(&self) -> SystemTime;
}

/// A source of randomness, for jitter and for ids that must be unique per process start.
pub trait Random: Send + Sync {
    /// The next 64 random bits.
    fn next_u64(&self) -> u64;
}

/// The clocks as they are passed around.
pub type SharedClock = Arc<dyn Clock>;

/// The source of randomness as it is passed around.
pub type SharedRandom = Arc<dyn Random>;

/// `period` varied by up to a fifth in both directions, so that processes don't move in step.
pub fn jittered(period: Duration, random: &dyn Random) -> Duration {
    let fraction = random.next_u64() as f64 / u64::MAX as f64;
    period.mul_f64(0.8 + 0.4 * fraction)
}
