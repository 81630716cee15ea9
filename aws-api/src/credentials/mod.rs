//! The keys that requests are signed with: where they come from is decided once, then they are kept and renewed in
//! time. [`Credentials::keep_fresh`] renews them ahead; where nobody runs that, whoever needs keys that are about to
//! expire does.

mod container;
mod process;
mod profile;
mod role;
mod source;
mod web_identity;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::client::{Client, ClientParts};
use crate::config::Config;
use crate::error::without_request_id;
use crate::observer::{NoObserver, Observer};
use crate::retry::fraction;
use crate::secret::Keys;
use crate::settings::Settings;
use crate::time::{Random, TimeSource};
use crate::transport::Transport;
use source::Source;

pub use role::{AssumedRole, check_external_id, check_role_arn};

/// Keys are renewed this long before they expire, and up to a minute earlier.
const REFRESH_BEFORE: Duration = Duration::from_secs(300);
/// Pause after a failed renewal while the keys are still good.
const RETRY_REFRESH: Duration = Duration::from_secs(30);
/// Whoever asks within this time after a failure, without any good keys, is told of that failure.
const FAILURE_HOLDS: Duration = Duration::from_secs(1);
/// The instance's keys are used this much longer when it gives no new ones, and up to five minutes more: AWS goes
/// on accepting them when that is AWS's fault ("static stability").
const STRETCH: Duration = Duration::from_secs(600);
/// The background looks at the time of day at least this often: it may be set, or the machine may have slept.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// Time for one call of STS with all its attempts: whoever waits for it has a call of its own to make.
const STS_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that the file of a token may have. A token has about one kilobyte.
const MAX_TOKEN_FILE: usize = 64 * 1024;

/// Why there are no keys. Never holds one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialsError {
    /// Where they should have come from; for a role also through what.
    pub source: String,
    /// What happened and what to do.
    pub message: String,
    /// Whether it may work later without anybody doing anything.
    pub temporary: bool,
}

impl CredentialsError {
    fn lasting(source: impl Into<String>, message: impl Into<String>) -> CredentialsError {
        CredentialsError { source: source.into(), message: message.into(), temporary: false }
    }
    fn temporary(source: impl Into<String>, message: impl Into<String>) -> CredentialsError {
        CredentialsError { source: source.into(), message: message.into(), temporary: true }
    }
}

impl CredentialsError {
    /// What happened, in the same words each time it happens: without the id of a request to STS.
    pub fn summary(&self) -> String {
        without_request_id(&self.to_string()).into_owned()
    }
}

impl fmt::Display for CredentialsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no AWS credentials from {}: {}", self.source, self.message)
    }
}

impl std::error::Error for CredentialsError {}

/// What [`Credentials`] are made with.
#[derive(Clone)]
pub struct CredentialsParts {
    /// For STS, the container's endpoint and IMDS. It must not be one that needs leadership.
    pub transport: Transport,
    /// Where STS is.
    pub config: Config,
    /// The time of day.
    pub time: Arc<dyn TimeSource>,
    /// For the jitter of pauses.
    pub random: Arc<dyn Random>,
    /// Is told of calls of STS and of every renewal.
    pub observer: Arc<dyn Observer>,
}

impl CredentialsParts {
    /// A client for STS that signs with `base`.
    fn sts(&self, base: Arc<Credentials>) -> Client {
        let mut config = self.config.clone();
        config.call_timeout = STS_TIMEOUT;
        Client::new(ClientParts {
            transport: self.transport.clone(),
            config,
            credentials: base,
            time: Arc::clone(&self.time),
            random: Arc::clone(&self.random),
            observer: Arc::clone(&self.observer),
        })
    }
}

/// The keys in use, from one source.
pub struct Credentials {
    source: Source,
    name: String,
    time: Arc<dyn TimeSource>,
    random: Arc<dyn Random>,
    observer: Arc<dyn Observer>,
    /// Held by whoever renews the keys: one at a time.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    failure: Option<(Instant, CredentialsError)>,
}

#[derive(Clone)]
struct Held {
    keys: Arc<Keys>,
    /// Until when they are used; `None` for ever.
    until: Option<SystemTime>,
    /// From when on renewing is tried.
    refresh_at: Option<SystemTime>,
}

impl Held {
    fn is_fresh(&self, now: SystemTime) -> bool {
        self.refresh_at.is_none_or(|at| now < at)
    }
    fn is_usable(&self, now: SystemTime) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("source", &self.source()).field("expires", &self.expires()).finish()
    }
}

impl Credentials {
    /// Credentials from the first source that is configured: keys in variables, web identity (IRSA), the profile in
    /// use, the container's endpoint (EKS Pod Identity, ECS), else the instance's role (IMDSv2). That source is the
    /// one: when it fails, no other is tried. A profile without anything about keys isn't a source.
    ///
    /// # Errors
    /// When the configured source lacks something, or isn't supported (SSO, MFA).
    pub fn from_settings(settings: &Settings, parts: &CredentialsParts) -> Result<Credentials, CredentialsError> {
        Ok(Credentials::of(Source::choose(settings, parts)?, parts))
    }

    /// Credentials of a role that `base` takes on (STS `AssumeRole`): for a service in another account, say.
    ///
    /// # Errors
    /// When the role is none, or belongs to another partition.
    pub fn assume_role(
        base: Arc<Credentials>,
        role: AssumedRole,
        parts: &CredentialsParts,
    ) -> Result<Credentials, CredentialsError> {
        Ok(Credentials::of(Source::Role(role::Role::new(role, None, base, parts)?), parts))
    }

    /// Keys that are given, e.g. to a test or a simulator.
    pub fn fixed(keys: Keys, time: Arc<dyn TimeSource>, random: Arc<dyn Random>) -> Credentials {
        Credentials {
            name: "keys that were given".to_owned(),
            source: Source::Fixed(Arc::new(keys), String::new()),
            time,
            random,
            observer: Arc::new(NoObserver),
            turn: tokio::sync::Mutex::new(()),
            state: Mutex::default(),
        }
    }

    fn of(source: Source, parts: &CredentialsParts) -> Credentials {
        Credentials {
            name: source.name(),
            source,
            time: Arc::clone(&parts.time),
            random: Arc::clone(&parts.random),
            observer: Arc::clone(&parts.observer),
            turn: tokio::sync::Mutex::new(()),
            state: Mutex::default(),
        }
    }

    /// Where the keys come from, in words, e.g. `the role arn:... through the instance's role (IMDSv2)`.
    pub fn source(&self) -> &str {
        &self.name
    }

    /// When the keys in use expire; `None` for keys that don't, or when there are none yet.
    pub fn expires(&self) -> Option<SystemTime> {
        self.state(|state| state.held.as_ref().and_then(|held| held.keys.expires))
    }

    /// Why the last renewal failed; `None` after one that didn't.
    pub fn last_failure(&self) -> Option<CredentialsError> {
        self.state(|state| state.failure.as_ref().map(|(_, error)| error.clone()))
    }

    fn state<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn held(&self) -> Option<Held> {
        self.state(|state| state.held.clone())
    }

    /// Keys to sign with now.
    ///
    /// # Errors
    /// When there are none, or only expired ones.
    pub async fn keys(&self) -> Result<Arc<Keys>, CredentialsError> {
        let now = self.time.now();
        if let Some(held) = self.held() {
            if held.is_fresh(now) {
                return Ok(held.keys);
            }
            if held.is_usable(now) {
                // Somebody is at it: these are good enough meanwhile.
                let Ok(_turn) = self.turn.try_lock() else { return Ok(held.keys) };
                // Or has just been.
                return match self.held() {
                    Some(held) if held.is_fresh(now) => Ok(held.keys),
                    _ => self.refresh().await,
                };
            }
        }
        self.renew().await
    }

    /// Renews the keys before they expire, from the first ones on, so that no call waits for that: five to six
    /// minutes ahead, and again every half minute or so while it fails. Never ends; dropping it ends it. Without it
    /// keys are renewed by the call that needs them.
    pub async fn keep_fresh(&self) {
        loop {
            let now = self.time.now();
            let wait = match self.held() {
                Some(held) if held.is_fresh(now) => {
                    let left = held.refresh_at.and_then(|at| at.duration_since(now).ok());
                    left.unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN)
                }
                _ => match self.renew().await {
                    Ok(_) => continue,
                    Err(_) => self.pause(),
                },
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Keys that were renewed by whoever had the turn, or else now.
    async fn renew(&self) -> Result<Arc<Keys>, CredentialsError> {
        let _turn = self.turn.lock().await;
        // Whoever had the turn before may have got keys, or found that there are none.
        if let Some(held) = self.held()
            && held.is_fresh(self.time.now())
        {
            return Ok(held.keys);
        }
        if let Some((at, error)) = self.state(|state| state.failure.clone())
            && at.elapsed() < FAILURE_HOLDS
        {
            return Err(error);
        }
        self.refresh().await
    }

    /// AWS says that `used` has expired. Whether asking for others makes sense.
    pub(crate) fn expired(&self, used: &Arc<Keys>) -> bool {
        let now = self.time.now();
        let renewable = self.source.is_renewable();
        self.state(|state| {
            if renewable
                && let Some(held) = state.held.as_mut()
                && Arc::ptr_eq(&held.keys, used)
            {
                held.until = Some(now);
                held.refresh_at = Some(now);
            }
        });
        renewable
    }

    /// Asks the source. Only for whoever has the turn.
    async fn refresh(&self) -> Result<Arc<Keys>, CredentialsError> {
        let outcome = self.source.fetch(&self.name).await;
        let now = self.time.now();
        let outcome = outcome.and_then(|keys| {
            let over = || CredentialsError::temporary(&self.name, "they have expired already; is the clock right?");
            self.hold(keys, now).ok_or_else(over)
        });
        self.observer.credentials(&self.name, outcome.as_ref().map(|held| held.keys.expires));
        self.state(|state| match outcome {
            Ok(held) => {
                let keys = Arc::clone(&held.keys);
                *state = State { held: Some(held), failure: None };
                Ok(keys)
            }
            Err(error) => {
                state.failure = Some((Instant::now(), error.clone()));
                match state.held.as_mut() {
                    Some(held) if held.is_usable(now) => {
                        held.refresh_at = Some(now + self.pause());
                        Ok(Arc::clone(&held.keys))
                    }
                    Some(held) if self.source.is_stretchable() => {
                        held.until = Some(now + STRETCH + STRETCH.mul_f64(0.5 * self.jitter()));
                        held.refresh_at = Some(now + self.pause());
                        Ok(Arc::clone(&held.keys))
                    }
                    _ => Err(error),
                }
            }
        })
    }

    /// The pause after a failed renewal.
    fn pause(&self) -> Duration {
        RETRY_REFRESH.mul_f64(0.5 + self.jitter())
    }

    /// New keys with the times that follow from their expiry; `None` for keys that are over.
    fn hold(&self, keys: Arc<Keys>, now: SystemTime) -> Option<Held> {
        let Some(expires) = keys.expires else { return Some(Held { keys, until: None, refresh_at: None }) };
        match expires.duration_since(now) {
            Ok(life) if !life.is_zero() => {
                let before = REFRESH_BEFORE + Duration::from_secs(60).mul_f64(self.jitter());
                // Keys with a short life are used for half of it before others are asked for.
                let wait = life.saturating_sub(before).max(life / 2);
                Some(Held { keys, until: Some(expires), refresh_at: Some(now + wait) })
            }
            _ if self.source.is_stretchable() => {
                let until = now + STRETCH + STRETCH.mul_f64(0.5 * self.jitter());
                Some(Held { keys, until: Some(until), refresh_at: Some(now + REFRESH_BEFORE) })
            }
            _ => None,
        }
    }

    fn jitter(&self) -> f64 {
        fraction(self.random.as_ref())
    }
}
