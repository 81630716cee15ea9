//! Calls to AWS: a sign that the loop moves, and worth a line when they fail.

use std::sync::Arc;
use std::time::Duration;

use aws_api::{Class, Error, Observer, Service};
use slog::{Logger, debug, info};

use crate::serve::Progress;

/// Counts every exchange with AWS as progress, and passes on what it sees. A round in a large account takes minutes
/// (Route 53 answers five requests a second), and a leader that is taken for stuck in it would start anew for ever.
pub struct CallsAreProgress {
    /// Where the loop says that it moves.
    pub progress: Progress,
    /// Who observes besides.
    pub next: Arc<dyn Observer>,
    /// Where calls that failed are logged, with all that AWS's support would ask for.
    pub log: Logger,
}

impl Observer for CallsAreProgress {
    fn attempt(
        &self,
        service: Service,
        operation: &'static str,
        status: Option<u16>,
        code: Option<&str>,
        took: Duration,
    ) {
        self.progress.tick();
        self.next.attempt(service, operation, status, code, took);
    }

    fn call(
        &self,
        service: Service,
        operation: &'static str,
        outcome: Result<(), &Error>,
        retries: u32,
        took: Duration,
    ) {
        if let Err(error) = outcome {
            // What people read elsewhere is the same at each try; only here is what differs.
            match error.class {
                Class::Denied | Class::Invalid | Class::Quota => info!(self.log, "AWS refused a call: {}", error),
                _ => debug!(self.log, "a call to AWS failed: {}", error),
            }
        }
        self.next.call(service, operation, outcome, retries, took);
    }

    fn limiter_waited(&self, service: Service, took: Duration) {
        self.next.limiter_waited(service, took);
    }
}
