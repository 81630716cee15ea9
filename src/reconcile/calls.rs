//! Calls to AWS as a sign that the loop moves.

use std::sync::Arc;
use std::time::Duration;

use aws_api::{Error, Observer, Service};

use crate::serve::Progress;

/// Counts every exchange with AWS as progress, and passes on what it sees. A round in a large account takes minutes
/// (Route 53 answers five requests a second), and a leader that is taken for stuck in it would start anew for ever.
pub struct CallsAreProgress {
    /// Where the loop says that it moves.
    pub progress: Progress,
    /// Who observes besides.
    pub next: Arc<dyn Observer>,
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
        self.next.call(service, operation, outcome, retries, took);
    }

    fn limiter_waited(&self, service: Service, took: Duration) {
        self.next.limiter_waited(service, took);
    }
}
