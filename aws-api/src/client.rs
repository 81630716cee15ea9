//! Sends operations: credentials, rate limiter, signature, transport, and another attempt where that is safe. It
//! never repeats a request that may have changed something.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use tokio::time::{Instant, timeout_at};
use tower::{Service as _, ServiceExt};

use crate::classify::{Again, again, classify, classify_transport, keys_expired, maybe_skewed};
use crate::config::Config;
use crate::credentials::Credentials;
use crate::error::{Class, Error};
use crate::limiter::Limiter;
use crate::observer::Observer;
use crate::operation::{Encoded, Operation, Paged, Service};
use crate::protocol::errors;
use crate::retry::{Budget, pause};
use crate::secret::{Keys, without};
use crate::signing::{self, Skew};
use crate::time::{Random, TimeSource};
use crate::transport::{Attempt, MAX_ANSWER, Transport, TransportError};

/// An attempt with less time than this isn't begun: it would end as an unknown outcome.
const SHORTEST_ATTEMPT: Duration = Duration::from_secs(1);
/// Our clock counts as wrong from this much on. A `Date` header is right to a second, and old by the way it took.
const SKEWED_SECONDS: u64 = 60;
/// A listing with more pages than this never ends: 10,000 records of a zone are 34 pages, 100,000 instances 100.
const MAX_PAGES: usize = 2_000;

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
pub struct Client(Arc<Inner>);

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
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure { error, lost: false, skew: None, keys: None, last: true }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ClientParts { config, credentials, .. } = &self.0.parts;
        f.debug_struct("Client").field("config", config).field("credentials", credentials).finish_non_exhaustive()
    }
}

impl Client {
    /// A client.
    pub fn new(parts: ClientParts) -> Client {
        let budgets = Budgets { ec2: Budget::new(), route53: Budget::new(), sts: Budget::new() };
        Client(Arc::new(Inner { parts, limiter: Limiter::default(), budgets, skew: AtomicI64::new(0) }))
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &Config {
        &self.0.parts.config
    }

    /// Where its keys come from, and until when they are good.
    pub fn credentials(&self) -> &Credentials {
        &self.0.parts.credentials
    }

    /// Calls `operation`. Reads are tried again after time-outs, resets and 5xx answers; anything is tried again
    /// when it was throttled or not sent. A change whose outcome isn't known is never repeated.
    ///
    /// # Errors
    /// An [`Error`] with its [`Class`].
    pub async fn send<O: Operation>(&self, operation: &O) -> Result<O::Output, Error> {
        let start = Instant::now();
        let mut retries = 0;
        let outcome = self.0.call(operation, &mut retries).await;
        let told = outcome.as_ref().map(|_| ());
        self.0.parts.observer.call(O::SERVICE, O::NAME, told, retries, start.elapsed());
        outcome
    }

    /// All pages of a listing.
    ///
    /// # Errors
    /// When a page fails, or the listing goes in circles or doesn't end: part of a listing is never returned.
    pub async fn pages<O: Paged>(&self, first: O) -> Result<Vec<O::Output>, Error> {
        let mut pages = Vec::new();
        let mut asked = HashSet::new();
        let mut request = Some(first);
        while let Some(operation) = request {
            let Encoded { path, query, body, .. } = operation.encode();
            let circles = !asked.insert((path, query, body));
            if circles || pages.len() >= MAX_PAGES {
                let what = if circles { "a page token came back" } else { "the listing doesn't end" };
                let message = format!("{what} after {} pages", pages.len());
                return Err(Error::new(O::SERVICE, O::NAME, Class::Transient, message));
            }
            let page = self.send(&operation).await?;
            request = operation.next(&page);
            pages.push(page);
        }
        Ok(pages)
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

    /// Attempts until one succeeds or another is of no use.
    async fn call<O: Operation>(&self, operation: &O, retries: &mut u32) -> Result<O::Output, Error> {
        let config = &self.parts.config;
        let encoded = operation.encode();
        let budget = self.budget(O::SERVICE);
        let mut deadline = Instant::now() + config.call_timeout;
        let mut attempts = 0;
        let mut paid = None;
        let (mut corrected, mut renewed) = (false, false);
        loop {
            let waited = self.limiter.wait(O::SERVICE, O::NAME, O::MUTATES).await;
            if !waited.is_zero() {
                deadline += waited;
                self.parts.observer.limiter_waited(O::SERVICE, waited);
            }
            attempts += 1;
            let Failure { error, lost, skew, keys, last } = match self.attempt(operation, &encoded, deadline).await {
                Ok(output) => {
                    budget.earn(paid);
                    return Ok(output);
                }
                Err(failure) => failure,
            };
            if error.class == Class::Throttled {
                self.limiter.throttled(O::SERVICE, O::NAME, O::MUTATES);
            }
            let code = error.code.as_deref();
            if let Some(skew) = skew
                && !corrected
            {
                // It was refused for its date, so nothing was done.
                corrected = true;
                self.skew.store(skew.seconds, Ordering::Relaxed);
                *retries += 1;
                continue;
            }
            if let Some(keys) = keys
                && keys_expired(code)
                && !renewed
                && self.parts.credentials.expired(&keys)
            {
                renewed = true;
                *retries += 1;
                continue;
            }
            let again = if last || error.refused { Again::No } else { again(error.class, code) };
            if again == Again::No || attempts >= config.max_attempts {
                return Err(error);
            }
            let wait = pause(again, attempts, self.parts.random.as_ref()).max(error.retry_after.unwrap_or_default());
            if Instant::now() + wait + SHORTEST_ATTEMPT > deadline {
                return Err(error);
            }
            let Some(cost) = budget.spend(lost) else { return Err(error) };
            paid = Some(cost);
            *retries += 1;
            tokio::time::sleep(wait).await;
        }
    }

    /// One exchange, with a signature of its own.
    async fn attempt<O: Operation>(
        &self,
        operation: &O,
        encoded: &Encoded,
        deadline: Instant,
    ) -> Result<O::Output, Failure> {
        let parts = &self.parts;
        let error = |class, message: String| Error::new(O::SERVICE, O::NAME, class, message);
        let keys = if O::UNSIGNED {
            None
        } else {
            Some(parts.credentials.keys().await.map_err(|cause| {
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
        if left < SHORTEST_ATTEMPT {
            return Err(error(Class::Transient, "not sent: no time is left for it".to_owned()).into());
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
        let answer = self.exchange(request, timeout).await;
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
                let message = without(&cause.to_string(), &secrets);
                let mut error = error(classify_transport(O::MUTATES, &cause), message);
                error.refused = matches!(cause, TransportError::Refused(_));
                return Err(Failure { error, lost, skew: None, keys, last: false });
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
                    let message = without(&format!("the answer can't be read: {cause}"), &secrets);
                    let mut error = error(class, message);
                    error.status = Some(status);
                    error.request_id = request_id(&answer, &secrets);
                    return Err(Failure { error, lost: false, skew: None, keys, last: false });
                }
            }
        }
        let error = refusal::<O>(&answer, &secrets);
        tell(Some(status), Some(error.code.as_deref().unwrap_or("Unreadable")));
        let now = parts.time.now();
        let skew = signing::server_ahead(answer.headers(), now).filter(|server| {
            maybe_skewed(error.code.as_deref()) && server.seconds.abs_diff(skew.seconds) > SKEWED_SECONDS
        });
        Err(Failure { error, lost: false, skew, keys, last: false })
    }

    /// Hands the request to the transport, which is asked as the last thing: a layer of it may know a reason against.
    async fn exchange(&self, request: Request<Bytes>, timeout: Duration) -> Result<Response<Bytes>, TransportError> {
        let deadline = Instant::now() + timeout;
        let mut transport = self.parts.transport.clone();
        match timeout_at(deadline, transport.ready()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(TransportError::NotSent("the transport was busy for too long".to_owned())),
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

/// The error that a non-2xx answer stands for, without what it repeats of the request's `secrets`.
fn refusal<O: Operation>(answer: &Response<Bytes>, secrets: &[&str]) -> Error {
    let status = answer.status().as_u16();
    let said = errors::parse(O::SERVICE, answer.body());
    let code = said.as_ref().map(|said| said.code.as_str());
    let mut error = Error::new(O::SERVICE, O::NAME, classify(O::MUTATES, code, status), String::new());
    error.status = Some(status);
    error.retry_after = retry_after(answer);
    match said {
        Some(said) => {
            error.code = Some(without(&said.code, secrets));
            error.message = without(&said.message, secrets);
            error.request_id = said.request_id.map(|id| without(&id, secrets));
        }
        // It isn't quoted: it may be the page of a proxy.
        None => error.message = format!("HTTP status {status} and a body that isn't an error of AWS's"),
    }
    error.request_id = error.request_id.take().or_else(|| request_id(answer, secrets));
    error
}

fn header<'a>(answer: &'a Response<Bytes>, name: &str) -> Option<&'a str> {
    answer.headers().get(name)?.to_str().ok()
}

fn request_id(answer: &Response<Bytes>, secrets: &[&str]) -> Option<String> {
    let id: String = header(answer, "x-amzn-requestid")?.chars().take(128).collect();
    Some(without(&id, secrets))
}

/// `x-amz-retry-after` in milliseconds, `Retry-After` in seconds.
fn retry_after(answer: &Response<Bytes>) -> Option<Duration> {
    let number = |name| header(answer, name)?.trim().parse::<u32>().ok().map(u64::from);
    number("x-amz-retry-after").map(Duration::from_millis).or_else(|| number("retry-after").map(Duration::from_secs))
}
