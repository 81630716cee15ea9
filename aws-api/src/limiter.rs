//! Keeps below the rates of [`Rates`]. Waits in order of arrival, never refuses; slows down where AWS throttles.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::rates::{Group, Rate, Rates};

/// How long a throttled bucket stays slow before its refill doubles again.
const RECOVERY: Duration = Duration::from_secs(10);
/// Throttled answers within this time count as one.
const ONE_SIGN: Duration = Duration::from_secs(1);
/// At its slowest a bucket gets this part of its refill.
const SLOWEST: f64 = 1.0 / 16.0;
/// No token takes longer to come back, but for a slow pace.
const LONGEST: Duration = Duration::from_secs(3600);

/// The buckets of one account and region.
pub(crate) struct Limiter {
    rates: Rates,
    buckets: Mutex<HashMap<Group, Arc<Bucket>>>,
}

impl Limiter {
    pub(crate) fn new(rates: Rates) -> Limiter {
        Limiter { rates, buckets: Mutex::default() }
    }

    fn bucket(&self, group: Group) -> Option<Arc<Bucket>> {
        let rate = self.rates.of(group).filter(|rate| !rate.every.is_zero())?;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(buckets.entry(group).or_insert_with(|| Arc::new(Bucket::new(rate)))))
    }

    /// Waits for a token. Whoever gives up waiting takes none.
    pub(crate) async fn wait(&self, group: Group) -> Turn {
        let bucket = self.bucket(group);
        if let Some(bucket) = &bucket {
            bucket.take().await;
        }
        Turn(bucket)
    }

    /// AWS has throttled a request: somebody else uses the same rate, so take less of it for a while.
    pub(crate) fn throttled(&self, group: Group) {
        if let Some(bucket) = self.bucket(group) {
            bucket.slow_down();
        }
    }
}

/// A token. It goes back to its bucket unless it is used.
#[must_use]
#[derive(Debug)]
pub(crate) struct Turn(Option<Arc<Bucket>>);

impl Turn {
    /// The request goes out now.
    pub(crate) fn used(mut self) {
        self.0 = None;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(bucket) = &self.0 {
            bucket.put_back();
        }
    }
}

#[derive(Debug)]
struct Bucket {
    size: f64,
    /// Tokens per second.
    refill: f64,
    /// Whoever waits for a token holds this; tokio's mutex is fair.
    queue: tokio::sync::Mutex<()>,
    level: Mutex<Level>,
}

#[derive(Debug)]
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
    fn new(rate: Rate) -> Bucket {
        let (now, size) = (Instant::now(), f64::from(rate.burst.max(1)));
        let level = Mutex::new(Level { tokens: size, at: now, pace: 1.0, paced: now });
        let refill = rate.every.min(LONGEST).as_secs_f64().recip();
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
        // The timer's grain is a millisecond. A slow bucket may recover before: it is looked at again then.
        let ready = now + Duration::from_secs_f64(seconds).max(Duration::from_millis(1));
        Some(if level.pace < 1.0 { ready.min(level.paced + RECOVERY) } else { ready })
    }

    fn put_back(&self) {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        level.tokens = (level.tokens + 1.0).min(self.size);
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
