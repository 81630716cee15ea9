//! The process's own clock, randomness and environment, for programs that have no reason to hand in others. The only
//! place in the crate that reads any of them.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use crate::client::{Client, ClientParts};
use crate::config::{Config, ConfigError, Environment};
use crate::credentials::{Credentials, CredentialsError};
use crate::http_transport::{HttpOptions, http_transport};
use crate::observer::NoObserver;
use crate::time::{Random, TimeSource};

/// The system's time of day.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemTimeSource;

impl TimeSource for SystemTimeSource {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Randomness for jitter: the standard library's keyed hash of a counter, whose key comes from the system. Not for
/// secrets.
#[derive(Debug, Default)]
pub struct SystemRandom {
    key: RandomState,
    counter: AtomicU64,
}

impl Random for SystemRandom {
    fn next_u64(&self) -> u64 {
        let mut hasher = self.key.build_hasher();
        hasher.write_u64(self.counter.fetch_add(1, Ordering::Relaxed));
        hasher.finish()
    }
}

/// The environment variables of this process. Those that aren't Unicode are left out: no setting of AWS's can be
/// one of them.
pub fn environment() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Why there is no [`Client`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetUpError {
    /// TLS, a proxy or the roots to trust can't be set up.
    Transport(String),
    /// The region isn't known, or a setting can't be used.
    Config(ConfigError),
    /// The source of keys that is configured can't be used.
    Credentials(CredentialsError),
}

impl fmt::Display for SetUpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetUpError::Transport(why) => f.write_str(why),
            SetUpError::Config(why) => why.fmt(f),
            SetUpError::Credentials(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for SetUpError {}

impl Client {
    /// A client as this process's environment describes it: region, endpoints, keys, over connections of its own.
    /// What it reads, and in which order, is said of [`Config`] and [`Credentials`]; use [`Client::new`] to hand in
    /// parts of your own.
    ///
    /// # Errors
    /// When the region is known to nobody, or a setting can't be used. No keys are asked for yet: that is the first
    /// call's work.
    pub async fn from_env() -> Result<Client, SetUpError> {
        let environment = environment();
        let time: Arc<dyn TimeSource> = Arc::new(SystemTimeSource);
        let random: Arc<dyn Random> = Arc::new(SystemRandom::default());
        let options = HttpOptions::from_environment(&environment).map_err(SetUpError::Config)?;
        let transport = http_transport(options).map_err(SetUpError::Transport)?;
        let config = Config::resolve(&environment, None, transport.clone(), Arc::clone(&time))
            .await
            .map_err(SetUpError::Config)?;
        let credentials = Credentials::from_environment(
            &environment,
            &config,
            transport.clone(),
            Arc::clone(&time),
            Arc::clone(&random),
        )
        .map_err(SetUpError::Credentials)?;
        Ok(Client::new(ClientParts {
            transport,
            config,
            credentials: Arc::new(credentials),
            time,
            random,
            observer: Arc::new(NoObserver),
        }))
    }
}
