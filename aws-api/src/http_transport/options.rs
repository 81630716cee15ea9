//! What the real transport may be told: limits, authorities, proxies.

use std::path::PathBuf;
use std::time::Duration;

use super::proxy::Proxies;
use crate::config::{ConfigError, Environment, variable};
use crate::transport::MAX_ANSWER;

/// A file of certificates of authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaBundle {
    /// The file, PEM.
    pub file: PathBuf,
    /// The setting that names it, for errors: `AWS_CA_BUNDLE`, or `ca_bundle` of a profile.
    pub setting: String,
}

/// Limits of the real transport, and what stands between it and AWS.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Time for name resolution, TCP, TLS and a proxy's part of it together. What takes longer was not sent.
    pub connect_timeout: Duration,
    /// Time from when a connection takes the request until the head of the answer is there.
    pub first_byte_timeout: Duration,
    /// Time for a whole exchange, connecting included, when the request doesn't say (in its
    /// [`Attempt`](crate::Attempt)).
    pub timeout: Duration,
    /// A connection that was idle for this long is closed.
    pub idle_timeout: Duration,
    /// Bytes that the body of an answer may have.
    pub max_answer: usize,
    /// The authorities to trust instead of the compiled-in ones. The file is read once, by
    /// [`http_transport()`](crate::http_transport()).
    pub ca_bundle: Option<CaBundle>,
    /// The proxies to go through.
    pub proxies: Proxies,
}

impl Default for HttpOptions {
    fn default() -> HttpOptions {
        HttpOptions {
            connect_timeout: Duration::from_secs(2),
            first_byte_timeout: Duration::from_secs(8),
            timeout: Duration::from_secs(10),
            // AWS closes after 20 s or more, depending on the service.
            idle_timeout: Duration::from_secs(15),
            max_answer: MAX_ANSWER,
            ca_bundle: None,
            proxies: Proxies::default(),
        }
    }
}

impl HttpOptions {
    /// The default limits with what the environment says: `AWS_CA_BUNDLE`, and the variables that
    /// [`Proxies::from_environment`] reads. Opens nothing.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] for a proxy that can't be used.
    pub fn from_environment(environment: &Environment) -> Result<HttpOptions, ConfigError> {
        const SETTING: &str = "AWS_CA_BUNDLE";
        Ok(HttpOptions {
            ca_bundle: variable(environment, SETTING)
                .map(|file| CaBundle { file: PathBuf::from(file), setting: SETTING.to_owned() }),
            proxies: Proxies::from_environment(environment)?,
            ..HttpOptions::default()
        })
    }
}
