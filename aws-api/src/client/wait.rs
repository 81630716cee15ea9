//! Waiting until something is so at AWS.

use std::ops::ControlFlow;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Client;
use crate::error::{Class, Error};
use crate::operation::Operation;
use crate::retry::fraction;

/// No question has less time than this; with less left, none is asked.
const LAST_QUESTION: Duration = Duration::from_secs(1);
/// The range of pauses.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3600));

impl Client {
    /// Asks `operation` until `decide` says that it is so (`Break`, with what the caller wants of it), about every
    /// `every` (a quarter more or less; 100 ms to an hour), until `deadline`. `Continue` says how things stand, for
    /// the error when it isn't so in time. `decide` sees errors, too: `?` passes them on; where one only means "not
    /// yet", such as `InvalidGroup.NotFound` just after the group was made, it says so.
    ///
    /// ```
    /// use std::ops::ControlFlow::{Break, Continue};
    /// use std::time::Duration;
    ///
    /// use aws_api::{Client, Error, route53};
    /// use tokio::time::Instant;
    ///
    /// /// Waits until a change is on all of Route 53's servers.
    /// async fn in_sync(client: &Client, id: String) -> Result<(), Error> {
    ///     let deadline = Instant::now() + Duration::from_secs(300);
    ///     let question = route53::GetChange { id };
    ///     let decide = |answer: Result<route53::GetChangeResponse, Error>| {
    ///         Ok(match answer?.change_info.status {
    ///             route53::ChangeStatus::Insync => Break(()),
    ///             other => Continue(other.to_string()),
    ///         })
    ///     };
    ///     client.wait(&question, Duration::from_secs(5), deadline, decide).await
    /// }
    /// ```
    ///
    /// # Errors
    /// What `decide` passes on; [`Class::Transient`] with the last state when it isn't so by `deadline` (or by the
    /// client's own). That is said up to a second early, when there is no time for another question.
    pub async fn wait<O: Operation, T>(
        &self,
        operation: &O,
        every: Duration,
        deadline: Instant,
        mut decide: impl FnMut(Result<O::Output, Error>) -> Result<ControlFlow<T, String>, Error>,
    ) -> Result<T, Error> {
        let client = self.with_deadline(deadline);
        let deadline = client.by.unwrap_or(deadline);
        let every = every.clamp(PAUSES.0, PAUSES.1);
        let mut last: Option<String> = None;
        loop {
            let answer = client.send(operation).await;
            match decide(answer) {
                Ok(ControlFlow::Break(what)) => return Ok(what),
                Ok(ControlFlow::Continue(state)) => last = Some(state),
                Err(mut error) => {
                    if let Some(state) = last.filter(|_| error.class == Class::Transient) {
                        error.message = format!("{}; before that it was {state}", error.message);
                    }
                    return Err(error);
                }
            }
            let now = Instant::now();
            let left = deadline.saturating_duration_since(now);
            let Some(room) = left.checked_sub(LAST_QUESTION).filter(|room| !room.is_zero()) else {
                let state = last.unwrap_or_default();
                let message = format!("it isn't so in time: when last asked it was {state}");
                return Err(Error::new(O::SERVICE, O::NAME, Class::Transient, message));
            };
            let pause = every.mul_f64(0.75 + fraction(self.inner.parts.random.as_ref()) / 2.0);
            // One more question just before the end.
            sleep_until(now + pause.min(room)).await;
        }
    }
}
