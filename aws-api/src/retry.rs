//! How long to wait before another attempt, and how many of them a service in trouble gets.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::classify::Again;
use crate::time::Random;

/// No pause is longer.
const CAP: Duration = Duration::from_secs(20);
/// Tokens of a full budget (as the AWS SDKs have them).
const BUDGET: u32 = 500;
/// What another attempt costs.
const COST: u32 = 5;
/// What another attempt costs after one without an answer.
const COST_LOST: u32 = 10;

/// A number from 0 on, below 1.
pub(crate) fn fraction(random: &dyn Random) -> f64 {
    // 53 bits are what an f64 holds exactly.
    (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// The pause before attempt `retry` + 1 (`retry` counts from 1): full jitter, so that many clients spread out.
pub(crate) fn pause(again: Again, retry: u32, random: &dyn Random) -> Duration {
    let base = match again {
        Again::Slower => Duration::from_secs(1),
        _ => Duration::from_millis(100),
    };
    let doubled = base.saturating_mul(1u32.checked_shl(retry.saturating_sub(1)).unwrap_or(u32::MAX));
    doubled.min(CAP).mul_f64(fraction(random))
}

/// What all calls to one service may spend on further attempts: when a service is down, trying each call three times
/// only makes it worse.
#[derive(Debug)]
pub(crate) struct Budget(Mutex<u32>);

impl Budget {
    pub(crate) fn new() -> Budget {
        Budget(Mutex::new(BUDGET))
    }

    /// Takes what another attempt costs; `None` when there isn't enough left.
    pub(crate) fn spend(&self, lost: bool) -> Option<Paid<'_>> {
        let cost = if lost { COST_LOST } else { COST };
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *tokens = tokens.checked_sub(cost)?;
        Some(Paid { budget: self, cost, made: false })
    }

    /// A call that has succeeded gives back what its last attempt cost; one that needed none, a token.
    pub(crate) fn earn(&self, paid: Option<Paid<'_>>) {
        match paid {
            None => self.put(1),
            Some(mut paid) => paid.made = false,
        }
    }

    fn put(&self, count: u32) {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *tokens = tokens.saturating_add(count).min(BUDGET);
    }

    #[cfg(test)]
    pub(crate) fn left(&self) -> u32 {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What another attempt has cost. Goes back when the attempt isn't made after all: the caller may lose interest in the
/// pause before it.
#[must_use]
#[derive(Debug)]
pub(crate) struct Paid<'a> {
    budget: &'a Budget,
    cost: u32,
    made: bool,
}

impl Paid<'_> {
    /// The attempt begins.
    pub(crate) fn made(&mut self) {
        self.made = true;
    }
}

impl Drop for Paid<'_> {
    fn drop(&mut self) {
        if !self.made {
            self.budget.put(self.cost);
        }
    }
}
