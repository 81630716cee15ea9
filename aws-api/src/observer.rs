//! What a client tells of its work, for metrics and logs.

use std::time::{Duration, SystemTime};

use crate::credentials::CredentialsError;
use crate::error::Error;
use crate::operation::Service;

/// Is told what the client does. Called from within calls: it must not block. Nothing it is given holds a secret.
pub trait Observer: Send + Sync {
    /// One HTTP exchange has ended. Without an answer `status` is `None` and `code` is `NotSent`, `Refused` or
    /// `Lost`; for an answer that isn't what it should be `code` is `Unreadable`.
    fn attempt(
        &self,
        service: Service,
        operation: &'static str,
        status: Option<u16>,
        code: Option<&str>,
        took: Duration,
    ) {
        let _ = (service, operation, status, code, took);
    }

    /// One call has ended, after `retries` attempts beyond the first.
    fn call(
        &self,
        service: Service,
        operation: &'static str,
        outcome: Result<(), &Error>,
        retries: u32,
        took: Duration,
    ) {
        let _ = (service, operation, outcome, retries, took);
    }

    /// A call has waited for the rate limiter.
    fn limiter_waited(&self, service: Service, waited: Duration) {
        let _ = (service, waited);
    }

    /// Keys were asked for at `source` (as [`Credentials::source`](crate::Credentials::source) has it): when the new
    /// ones expire, or why there are none. Those that are still good stay in use then.
    fn credentials(&self, source: &str, outcome: Result<Option<SystemTime>, &CredentialsError>) {
        let _ = (source, outcome);
    }
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {}
