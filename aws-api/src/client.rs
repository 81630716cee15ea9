//! Sends operations, in order of what AWS grants; lists whole listings; waits for what takes a while.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use tokio::time::Instant;

use crate::config::Config;
use crate::credentials::Credentials;
use crate::error::Error;
use crate::limiter::Limiter;
use crate::observer::Observer;
use crate::operation::Operation;
use crate::retry::Budget;
use crate::time::{Random, TimeSource};
use crate::transport::Transport;

mod answer;
mod call;
mod pages;
mod wait;

/// What a [`Client`] is made of.
pub struct ClientParts {
    /// Carries the requests.
    pub transport: Transport,
    /// Where and how AWS is asked.
    pub config: Config,
    /// What the requests are signed with.
    pub credentials: Arc<Credentials>,
    /// The time of day, for signatures.
    pub time: Arc<dyn TimeSource>,
    /// For the jitter of pauses.
    pub random: Arc<dyn Random>,
    /// Is told what happens.
    pub observer: Arc<dyn Observer>,
}

/// Calls the operations of EC2, Route 53 and STS. Clones share rate limiter, retry budget and credentials.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    /// When its calls end at the latest.
    by: Option<Instant>,
}

struct Inner {
    parts: ClientParts,
    limiter: Limiter,
    budgets: Budgets,
    /// Seconds that AWS's clock is ahead of ours.
    skew: AtomicI64,
}

struct Budgets {
    ec2: Budget,
    route53: Budget,
    sts: Budget,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ClientParts { config, credentials, .. } = &self.inner.parts;
        f.debug_struct("Client").field("config", config).field("credentials", credentials).finish_non_exhaustive()
    }
}

impl Client {
    /// A client.
    pub fn new(parts: ClientParts) -> Client {
        let budgets = Budgets { ec2: Budget::new(), route53: Budget::new(), sts: Budget::new() };
        let limiter = Limiter::new(parts.config.rates.clone());
        Client { inner: Arc::new(Inner { parts, limiter, budgets, skew: AtomicI64::new(0) }), by: None }
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &Config {
        &self.inner.parts.config
    }

    /// Where its keys come from, and until when they are good.
    pub fn credentials(&self) -> &Credentials {
        &self.inner.parts.credentials
    }

    /// The same client for calls that end by `deadline`, whatever they are at then: waiting for the rate limiter, for
    /// keys, between two attempts, for an answer. One that was cut off while it may have changed something fails with
    /// [`Class::UnknownOutcome`]; one with too little time left isn't sent at all. An earlier deadline stays.
    ///
    /// [`Class::UnknownOutcome`]: crate::Class::UnknownOutcome
    pub fn with_deadline(&self, deadline: Instant) -> Client {
        let by = self.by.map_or(deadline, |by| by.min(deadline));
        Client { inner: Arc::clone(&self.inner), by: Some(by) }
    }

    /// Calls `operation`. Reads are tried again after time-outs, resets and 5xx answers; anything is tried again
    /// when it was throttled or not sent. A change whose outcome isn't known is never repeated. A future that is
    /// dropped takes nothing with it that others wait for; whether its request had an effect nobody knows then.
    ///
    /// # Errors
    /// An [`Error`] with its [`Class`](crate::Class).
    pub async fn send<O: Operation>(&self, operation: &O) -> Result<O::Output, Error> {
        let start = Instant::now();
        let mut retries = 0;
        let outcome = self.inner.call(operation, self.by, &mut retries).await;
        let told = outcome.as_ref().map(|_| ());
        self.inner.parts.observer.call(O::SERVICE, O::NAME, told, retries, start.elapsed());
        outcome
    }

    /// What calls to `service` may still spend on further attempts.
    #[cfg(test)]
    pub(crate) fn budget_left(&self, service: crate::Service) -> u32 {
        self.inner.budget_left(service)
    }
}
