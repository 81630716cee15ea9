//! One call: attempts through rate limiter, signature and transport, and another one where that is safe. It never
//! repeats a request that may have changed something.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use tokio::time::{Instant, timeout_at};
use tower::{Service as _, ServiceExt};

use super::Inner;
use super::answer::{refusal, request_id};
use crate::classify::{Again, again, classify_transport, keys_expired, maybe_skewed};
use crate::error::{Class, Error};
use crate::limiter::Turn;
use crate::operation::{Encoded, Operation, Service};
use crate::rates::Group;
use crate::retry::{Budget, Paid, pause};
use crate::secret::Keys;
use crate::signing::{self, Skew};
use crate::transport::{Attempt, MAX_ANSWER, TransportError};

/// Our clock counts as wrong from this much on. A `Date` header is right to a second, and old by the way it took.
const SKEWED_SECONDS: u64 = 60;

/// An attempt with less time than this isn't begun. One to change something would end as an unknown outcome.
pub(super) fn shortest_attempt(mutates: bool) -> Duration {
    if mutates { Duration::from_secs(1) } else { Duration::from_millis(100) }
}

/// An attempt that brought nothing.
struct Failure {
    error: Error,
    /// No answer came in time.
    lost: bool,
    /// Our clock was wrong by more than a little.
    skew: Option<Skew>,
    /// What the request was signed with.
    keys: Option<Arc<Keys>>,
    /// Another attempt is of no use, whatever the class says.
    last: bool,
    /// There was no time to send it.
    too_late: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure { error, lost: false, skew: None, keys: None, last: true, too_late: false }
    }
}

impl Failure {
    fn too_late(error: Error) -> Failure {
        Failure { too_late: true, ..error.into() }
    }
}

fn not_sent<O: Operation>(why: &str) -> Error {
    Error::new(O::SERVICE, O::NAME, Class::Transient, format!("not sent: {why}"))
}

/// What `future` brings, if it does so in time.
async fn before_deadline<T>(by: Option<Instant>, future: impl Future<Output = T>) -> Option<T> {
    match by {
        Some(by) => timeout_at(by, future).await.ok(),
        None => Some(future.await),
    }
}

impl Inner {
    fn budget(&self, service: Service) -> &Budget {
        match service {
            Service::Ec2 => &self.budgets.ec2,
            Service::Route53 => &self.budgets.route53,
            Service::Sts => &self.budgets.sts,
        }
    }

    #[cfg(test)]
    pub(super) fn budget_left(&self, service: Service) -> u32 {
        self.budget(service).left()
    }

    /// Attempts until one succeeds or another is of no use. `by` is the caller's own deadline.
    pub(super) async fn call<O: Operation>(
        &self,
        operation: &O,
        by: Option<Instant>,
        retries: &mut u32,
    ) -> Result<O::Output, Error> {
        let config = &self.parts.config;
        let encoded = operation.encode();
        let group = Group::of(operation);
        let budget = self.budget(O::SERVICE);
        let earlier = |own: Instant| by.map_or(own, |by| by.min(own));
        let mut own_deadline = Instant::now() + config.call_timeout;
        let mut attempts = 0;
        let mut paid: Option<Paid<'_>> = None;
        let mut before: Option<Error> = None;
        let (mut corrected, mut renewed) = (false, false);
        loop {
            let start = Instant::now();
            let turn = before_deadline(by, self.limiter.wait(group)).await;
            let waited = start.elapsed();
            if !waited.is_zero() {
                own_deadline += waited;
                self.parts.observer.limiter_waited(O::SERVICE, waited);
            }
            let Some(turn) = turn else {
                return Err(before.unwrap_or_else(|| not_sent::<O>("its turn in the rate limiter's queue is too late")));
            };
            attempts += 1;
            let deadline = earlier(own_deadline);
            let attempt = self.attempt(operation, &encoded, deadline, turn, paid.as_mut()).await;
            let Failure { error, lost, skew, keys, last, .. } = match attempt {
                Ok(output) => {
                    budget.earn(paid);
                    return Ok(output);
                }
                // Why there was to be another attempt says more than that there was no time for it.
                Err(failure) if failure.too_late => return Err(before.unwrap_or(failure.error)),
                Err(failure) => failure,
            };
            if error.class == Class::Throttled {
                self.limiter.throttled(group);
            }
            let code = error.code.as_deref();
            if let Some(skew) = skew
                && !corrected
            {
                // It was refused for its date, so nothing was done.
                corrected = true;
                self.skew.store(skew.seconds, Ordering::Relaxed);
                *retries += 1;
                before = Some(error);
                continue;
            }
            if let Some(keys) = keys
                && keys_expired(code)
                && !renewed
                && self.parts.credentials.expired(&keys)
            {
                renewed = true;
                *retries += 1;
                before = Some(error);
                continue;
            }
            let again = if last || error.refused { Again::No } else { again(error.class, code) };
            if again == Again::No || attempts >= config.max_attempts {
                return Err(error);
            }
            let wait = pause(again, attempts, self.parts.random.as_ref()).max(error.retry_after.unwrap_or_default());
            let next = Instant::now().checked_add(wait);
            if next.is_none_or(|next| next + shortest_attempt(O::MUTATES) > deadline) {
                return Err(error);
            }
            let Some(cost) = budget.spend(lost) else { return Err(error) };
            paid = Some(cost);
            *retries += 1;
            before = Some(error);
            tokio::time::sleep(wait).await;
        }
    }

    /// One exchange, with a signature of its own.
    async fn attempt<O: Operation>(
        &self,
        operation: &O,
        encoded: &Encoded,
        deadline: Instant,
        turn: Turn,
        paid: Option<&mut Paid<'_>>,
    ) -> Result<O::Output, Failure> {
        let parts = &self.parts;
        let error = |class, message: String| Error::new(O::SERVICE, O::NAME, class, message);
        let keys = if O::UNSIGNED {
            None
        } else {
            let keys = before_deadline(Some(deadline), parts.credentials.keys()).await;
            let keys = keys.ok_or_else(|| Failure::too_late(not_sent::<O>("there were no keys in time")))?;
            Some(keys.map_err(|cause| {
                // The source has made its own attempts.
                error(if cause.temporary { Class::Transient } else { Class::Denied }, cause.to_string())
            })?)
        };
        let mut secrets = operation.secrets();
        if let Some(keys) = &keys {
            secrets.push(keys.secret_access_key.expose());
            secrets.extend(keys.session_token.as_ref().map(|token| token.expose()));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left < shortest_attempt(O::MUTATES) {
            return Err(Failure::too_late(not_sent::<O>("no time is left for it")));
        }
        let timeout = parts.config.attempt_timeout(O::MUTATES).min(left);
        let endpoint = parts.config.endpoint(O::SERVICE);
        let mut request = signing::request(endpoint, encoded, &parts.config.user_agent)
            .map_err(|message| error(Class::Invalid, message))?;
        let skew = Skew { seconds: self.skew.load(Ordering::Relaxed) };
        if let Some(keys) = &keys {
            let now = skew.apply(parts.time.now());
            signing::sign_request(&mut request, O::SERVICE, &endpoint.signing_region, keys, now)
                .map_err(|message| error(Class::Invalid, message))?;
        }
        request.extensions_mut().insert(Attempt {
            service: O::SERVICE,
            operation: O::NAME,
            mutates: O::MUTATES,
            timeout,
        });
        let start = Instant::now();
        let answer = self.exchange(request, timeout, turn, paid).await;
        let took = start.elapsed();
        let tell = |status, code: Option<&str>| parts.observer.attempt(O::SERVICE, O::NAME, status, code, took);
        let answer = match answer {
            Ok(answer) => answer,
            Err(cause) => {
                let (name, lost) = match &cause {
                    TransportError::NotSent(_) => ("NotSent", false),
                    TransportError::Refused(_) => ("Refused", false),
                    TransportError::Lost(_) => ("Lost", true),
                };
                tell(None, Some(name));
                let error = error(classify_transport(O::MUTATES, &cause), cause.to_string());
                let mut error = error.without(&secrets);
                error.refused = matches!(cause, TransportError::Refused(_));
                return Err(Failure { lost, last: false, keys, ..error.into() });
            }
        };
        let status = answer.status().as_u16();
        if answer.status().is_success() {
            match O::decode(answer.body()) {
                Ok(output) => {
                    tell(Some(status), None);
                    return Ok(output);
                }
                Err(cause) => {
                    tell(Some(status), Some("Unreadable"));
                    let class = if O::MUTATES { Class::UnknownOutcome } else { Class::Transient };
                    let mut error = error(class, format!("the answer can't be read: {cause}"));
                    error.status = Some(status);
                    error.request_id = request_id(&answer);
                    let error = error.without(&secrets);
                    return Err(Failure { last: false, keys, ..error.into() });
                }
            }
        }
        let now = parts.time.now();
        let error = refusal::<O>(&answer, skew.apply(now)).without(&secrets);
        tell(Some(status), Some(error.code.as_deref().unwrap_or("Unreadable")));
        let skew = signing::server_ahead(answer.headers(), now).filter(|server| {
            maybe_skewed(error.code.as_deref()) && server.seconds.abs_diff(skew.seconds) > SKEWED_SECONDS
        });
        Err(Failure { skew, keys, last: false, ..error.into() })
    }

    /// Hands the request to the transport, which is asked as the last thing: a layer of it may know a reason against.
    async fn exchange(
        &self,
        request: Request<Bytes>,
        timeout: Duration,
        turn: Turn,
        paid: Option<&mut Paid<'_>>,
    ) -> Result<Response<Bytes>, TransportError> {
        let deadline = Instant::now() + timeout;
        let mut transport = self.parts.transport.clone();
        match timeout_at(deadline, transport.ready()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(TransportError::NotSent("the transport was busy for too long".to_owned())),
        }
        turn.used();
        if let Some(paid) = paid {
            paid.made();
        }
        match timeout_at(deadline, transport.call(request)).await {
            Ok(Ok(answer)) if answer.body().len() > MAX_ANSWER => {
                Err(TransportError::Lost("the answer is too large".to_owned()))
            }
            Ok(outcome) => outcome,
            Err(_) => Err(TransportError::Lost("nothing came in time".to_owned())),
        }
    }
}
