//! What the crate may not get on its own: the time of day and randomness.

use std::time::SystemTime;

/// Tells the time of day, for signatures and the expiry of credentials.
pub trait TimeSource: Send + Sync {
    /// The time of day now.
    fn now(&self) -> SystemTime;
}

/// A source of randomness, for the jitter of retries and refreshes. It need not be cryptographic.
pub trait Random: Send + Sync {
    /// The next 64 random bits.
    fn next_u64(&self) -> u64;
}
