//! Keeps below AWS's request rates: one token bucket for each bucket that AWS has. Waits in order of arrival, never
//! refuses.
//!
//! Rates: Amazon EC2 API, "Request throttling" (bucket size and refill per second, for each action by itself);
//! Route 53 quotas: five requests per second for an account.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::operation::Service;

/// How long a throttled bucket stays slow before its refill doubles again.
const RECOVERY: Duration = Duration::from_secs(10);
/// Throttled answers within this time count as one.
const ONE_SIGN: Duration = Duration::from_secs(1);
/// At its slowest a bucket gets this part of its refill.
const SLOWEST: f64 = 1.0 / 16.0;

/// Size and refill per second; `None` for a service that has no published rate.
fn rate(service: Service, operation: &str, mutates: bool) -> Option<(f64, f64)> {
    match (service, operation) {
        (Service::Sts, _) => None,
        (Service::Route53, _) => Some((5.0, 5.0)),
        (Service::Ec2, "ModifyNetworkInterfaceAttribute") => Some((100.0, 5.0)),
        (Service::Ec2, "CreateTags") => Some((100.0, 10.0)),
        // Authorize and Revoke too.
        (Service::Ec2, _) if mutates => Some((50.0, 5.0)),
        (Service::Ec2, _) => Some((100.0, 20.0)),
    }
}

/// The buckets of one account and region.
#[derive(Default)]
pub(crate) struct Limiter {
    buckets: Mutex<HashMap<(Service, &'static str), Arc<Bucket>>>,
}

impl Limiter {
    fn bucket(&self, service: Service, operation: &'static str, mutates: bool) -> Option<Arc<Bucket>> {
        let (size, refill) = rate(service, operation, mutates)?;
        // Route 53 counts all requests together.
        let key = (service, if service == Service::Route53 { "" } else { operation });
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(buckets.entry(key).or_insert_with(|| Arc::new(Bucket::new(size, refill)))))
    }

    /// Waits for a token, and says how long that took.
    pub(crate) async fn wait(&self, service: Service, operation: &'static str, mutates: bool) -> Duration {
        let start = Instant::now();
        if let Some(bucket) = self.bucket(service, operation, mutates) {
            bucket.take().await;
        }
        start.elapsed()
    }

    /// AWS has throttled a request: somebody else uses the same rate, so take less of it for a while.
    pub(crate) fn throttled(&self, service: Service, operation: &'static str, mutates: bool) {
        if let Some(bucket) = self.bucket(service, operation, mutates) {
            bucket.slow_down();
        }
    }
}

struct Bucket {
    size: f64,
    /// Tokens per second.
    refill: f64,
    /// Whoever waits for a token holds this; tokio's mutex is fair.
    queue: tokio::sync::Mutex<()>,
    level: Mutex<Level>,
}

struct Level {
    tokens: f64,
    at: Instant,
    /// The part of the refill that is taken now, up to 1.
    pace: f64,
    /// When the pace last changed.
    paced: Instant,
}

impl Level {
    /// Brings the level to `now`.
    fn advance(&mut self, now: Instant, size: f64, refill: f64) {
        while self.pace < 1.0 && now >= self.paced + RECOVERY {
            let until = self.paced + RECOVERY;
            self.fill(until, size, refill);
            self.pace = (self.pace * 2.0).min(1.0);
            self.paced = until;
        }
        self.fill(now, size, refill);
    }

    fn fill(&mut self, until: Instant, size: f64, refill: f64) {
        let seconds = until.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + seconds * refill * self.pace).min(size);
        self.at = self.at.max(until);
    }
}

impl Bucket {
    fn new(size: f64, refill: f64) -> Bucket {
        let now = Instant::now();
        let level = Mutex::new(Level { tokens: size, at: now, pace: 1.0, paced: now });
        Bucket { size, refill, queue: tokio::sync::Mutex::new(()), level }
    }

    async fn take(&self) {
        let _turn = self.queue.lock().await;
        while let Some(ready) = self.try_take() {
            sleep_until(ready).await;
        }
    }

    /// Takes a token, or says when there will be one.
    fn try_take(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        level.advance(now, self.size, self.refill);
        // Sums of fractions fall short of 1 by a hair.
        if level.tokens >= 1.0 - 1e-6 {
            level.tokens = (level.tokens - 1.0).max(0.0);
            return None;
        }
        let seconds = (1.0 - level.tokens) / (self.refill * level.pace);
        // The timer's grain is a millisecond.
        Some(now + Duration::from_secs_f64(seconds).max(Duration::from_millis(1)))
    }

    fn slow_down(&self) {
        let now = Instant::now();
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        level.advance(now, self.size, self.refill);
        level.tokens = 0.0;
        // Requests that were under way together are throttled together: that is one sign, not many.
        if now < level.paced + ONE_SIGN && level.pace < 1.0 {
            return;
        }
        level.pace = (level.pace / 2.0).max(SLOWEST);
        level.paced = now;
    }
}
