//! The instance's metadata service, version 2 only: region and the role's credentials. Not AWS's API: nothing is
//! signed, no rate limiter, its own short time-outs.
//!
//! Source: EC2 user guide, "Use the Instance Metadata Service to access instance metadata".

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response};
use tower::{Service as _, ServiceExt};

use crate::config::{ConfigError, base_url};
use crate::key_document::KeyDocument;
use crate::secret::{Keys, Secret, without};
use crate::settings::{self, Settings};
use crate::time::TimeSource;
use crate::transport::{Direct, MAX_ANSWER, Transport, TransportError};

const IPV4: &str = "http://169.254.169.254";
const IPV6: &str = "http://[fd00:ec2::254]";

/// Requests are tried this often.
const TRIES: u32 = 4;
/// Time for one exchange. It is answered on the same machine, within milliseconds.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Pause between tries.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest life of a token that the service gives.
const TOKEN_LIFE: Duration = Duration::from_secs(21_600);
/// A token is renewed this long before its end.
const TOKEN_MARGIN: Duration = Duration::from_secs(120);

/// Characters of a role's name, or a region's. A role's has 64 at most.
const MAX_NAME: usize = 128;

/// What to do when it doesn't answer from within a container.
const HOP_LIMIT: &str = "in a pod this is what the instance option HttpPutResponseHopLimit=1 looks like: use IRSA \
                         (or AWS_REGION for the region), or raise the hop limit to 2";

/// The metadata service.
pub(crate) struct Imds {
    base: String,
    transport: Transport,
    time: Arc<dyn TimeSource>,
    token: RwLock<Option<(Secret, SystemTime)>>,
}

/// Why the metadata service was of no help. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImdsError {
    /// What happened and what to do.
    pub(crate) message: String,
    /// Whether it may work later without anybody doing anything.
    pub(crate) temporary: bool,
}

impl ImdsError {
    fn lasting(message: impl Into<String>) -> ImdsError {
        ImdsError { message: message.into(), temporary: false }
    }
    fn temporary(message: impl Into<String>) -> ImdsError {
        ImdsError { message: message.into(), temporary: true }
    }
}

impl Imds {
    /// The service as the settings describe it; `None` where `AWS_EC2_METADATA_DISABLED` is true.
    ///
    /// # Errors
    /// When a setting can't be used.
    pub(crate) fn from_settings(
        settings: &Settings,
        transport: Transport,
        time: Arc<dyn TimeSource>,
    ) -> Result<Option<Imds>, ConfigError> {
        if settings.variable("AWS_EC2_METADATA_DISABLED").is_some_and(|it| it.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let base = if let Some(url) = settings.get(&settings::IMDS_ENDPOINT) {
            base_url(url.value).map_err(|why| ConfigError::Invalid(format!("{} can't be used: {why}", url.origin)))?
        } else {
            match settings.get(&settings::IMDS_MODE) {
                Some(mode) if mode.value.eq_ignore_ascii_case("ipv6") => IPV6.to_owned(),
                Some(mode) if !mode.value.eq_ignore_ascii_case("ipv4") => return Err(mode.must_be("IPv4 or IPv6")),
                _ => IPV4.to_owned(),
            }
        };
        Ok(Some(Imds { base, transport, time, token: RwLock::new(None) }))
    }

    /// The region the instance is in.
    pub(crate) async fn region(&self) -> Result<String, ImdsError> {
        let answer = self.get("/latest/meta-data/placement/region").await?;
        let region = answer.filter(|region| !region.is_empty());
        let region = region.ok_or_else(|| ImdsError::lasting("IMDS knows no region"))?;
        if region.len() > MAX_NAME {
            return Err(ImdsError::temporary("IMDS answered the region with something else"));
        }
        Ok(region)
    }

    /// Credentials of the role that is attached to the instance.
    pub(crate) async fn keys(&self) -> Result<Keys, ImdsError> {
        const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
        let no_role = || ImdsError::lasting("the instance has no IAM role; use IRSA or attach an instance profile");
        let roles = self.get(ROLES).await?.ok_or_else(no_role)?;
        // The name isn't kept: the role may be changed.
        let role = roles.lines().next().map(str::trim).filter(|role| !role.is_empty()).ok_or_else(no_role)?;
        if role.len() > MAX_NAME || !role.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte))
        {
            return Err(ImdsError::temporary("IMDS answered the list of roles with something else"));
        }
        let body = self.get(&format!("{ROLES}{role}")).await?.ok_or_else(no_role)?;
        let unreadable = |what: String| ImdsError::temporary(format!("IMDS's credentials for the role {role} {what}"));
        let document = KeyDocument::parse(body.as_bytes()).map_err(unreadable)?;
        if let Some(code) = document.failure() {
            let code: String = code.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
            return Err(ImdsError::temporary(format!("IMDS has no credentials for the role {role}: {code}")));
        }
        document.keys(self.time.now()).map_err(unreadable)
    }

    /// The document at `path`, `None` for 404.
    async fn get(&self, path: &str) -> Result<Option<String>, ImdsError> {
        let mut renewed = false;
        loop {
            let token = self.token().await?;
            let answer = self.exchange(Method::GET, path, ("x-aws-ec2-metadata-token", &token)).await?;
            match answer.status().as_u16() {
                200 => {
                    let text = std::str::from_utf8(answer.body()).map(|text| text.trim().to_owned());
                    let text = text.map_err(|_| ImdsError::temporary("IMDS's answer isn't text"))?;
                    if without(&text, &[token.expose()]) != text {
                        return Err(ImdsError::temporary(format!("IMDS answered {path} with its own token")));
                    }
                    return Ok(Some(text));
                }
                404 => return Ok(None),
                // The token is over, or the instance was moved.
                401 if !renewed => {
                    renewed = true;
                    *self.token.write().unwrap_or_else(PoisonError::into_inner) = None;
                }
                status => return Err(ImdsError::lasting(format!("IMDS answered {path} with HTTP status {status}"))),
            }
        }
    }

    async fn token(&self) -> Result<Secret, ImdsError> {
        let known = self.token.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((token, until)) = known
            && self.time.now() < until
        {
            return Ok(token);
        }
        let life = Secret::new(TOKEN_LIFE.as_secs().to_string());
        let header = ("x-aws-ec2-metadata-token-ttl-seconds", &life);
        let answer = self.exchange(Method::PUT, "/latest/api/token", header).await?;
        match answer.status().as_u16() {
            200 => {}
            403 => return Err(ImdsError::lasting("IMDS is disabled for this instance (HTTP status 403)")),
            404 | 405 => {
                return Err(ImdsError::lasting("IMDS has no version 2 here (no tokens), and version 1 is never used"));
            }
            status => return Err(ImdsError::lasting(format!("IMDS gave no token: HTTP status {status}"))),
        }
        let text = std::str::from_utf8(answer.body()).unwrap_or_default().trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ImdsError::temporary("IMDS's token isn't one"));
        }
        // The answer repeats how long the token lives.
        let life = answer
            .headers()
            .get("x-aws-ec2-metadata-token-ttl-seconds")
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map_or(TOKEN_LIFE, |seconds: u32| Duration::from_secs(seconds.into()));
        let token = Secret::new(text);
        let until = self.time.now() + life.saturating_sub(TOKEN_MARGIN);
        *self.token.write().unwrap_or_else(PoisonError::into_inner) = Some((token.clone(), until));
        Ok(token)
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        (name, value): (&'static str, &Secret),
    ) -> Result<Response<Bytes>, ImdsError> {
        let secret = value.expose();
        let mut value =
            HeaderValue::from_str(secret).map_err(|_| ImdsError::lasting("IMDS's token can't be part of a request"))?;
        value.set_sensitive(true);
        let url = format!("{}{path}", self.base);
        let mut tries = 0;
        loop {
            tries += 1;
            let mut request = Request::builder()
                .method(method.clone())
                .uri(&url)
                .header(name, value.clone())
                .body(Bytes::new())
                .map_err(|error| ImdsError::lasting(format!("IMDS can't be asked at {url}: {error}")))?;
            request.headers_mut().insert(http::header::ACCEPT, HeaderValue::from_static("*/*"));
            request.extensions_mut().insert(Direct);
            let mut transport = self.transport.clone();
            let answered = tokio::time::timeout(TIMEOUT, async {
                transport.ready().await?;
                transport.call(request).await
            })
            .await;
            let error = match answered {
                Ok(Ok(answer)) if answer.body().len() > MAX_ANSWER => {
                    return Err(ImdsError::lasting("IMDS's answer is too large"));
                }
                Ok(Ok(answer)) if !answer.status().is_server_error() && answer.status().as_u16() != 429 => {
                    return Ok(answer);
                }
                Ok(Ok(answer)) => {
                    ImdsError::temporary(format!("IMDS answered with HTTP status {}", answer.status().as_u16()))
                }
                Ok(Err(TransportError::NotSent(why))) => {
                    let why = without(&why, &[secret]);
                    return Err(ImdsError::temporary(format!("IMDS can't be reached ({why}); {HOP_LIMIT}")));
                }
                Ok(Err(error)) => {
                    let why = without(&error.to_string(), &[secret]);
                    ImdsError::temporary(format!("IMDS: {why}; {HOP_LIMIT}"))
                }
                // Silence lasts: asking twice covers a lost packet.
                Err(_) if tries >= 2 => {
                    return Err(ImdsError::temporary(format!("IMDS at {} doesn't answer; {HOP_LIMIT}", self.base)));
                }
                Err(_) => ImdsError::temporary("IMDS doesn't answer"),
            };
            if tries >= TRIES {
                return Err(error);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
