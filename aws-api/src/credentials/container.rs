//! Keys from the endpoint that a container's platform offers: EKS Pod Identity and ECS. It owns which endpoint may be
//! asked, and the asking. Not AWS's API: nothing is signed, no rate limiter. It must not resolve names, and must not
//! tell the token or the path: in ECS the path is what admits to the keys.
//!
//! Source: SDK reference guide, "Container credential provider"; eks-pod-identity-agent, whose errors are plain text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderValue, Request, Response, Uri};
use tower::{Service as _, ServiceExt};

use super::{CredentialsError, CredentialsParts, MAX_TOKEN_FILE};
use crate::classify::Again;
use crate::key_document::KeyDocument;
use crate::retry::pause;
use crate::secret::{Keys, without};
use crate::settings::Settings;
use crate::time::{Random, TimeSource};
use crate::transport::{Transport, TransportError};

/// What the source is called.
pub(super) const CONTAINER: &str = "the container's endpoint (AWS_CONTAINER_CREDENTIALS_*)";

const RELATIVE_URI: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
const FULL_URI: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
const TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";

/// What a relative URI is relative to: the agent of ECS.
const ECS: &str = "http://169.254.170.2";
/// The agent of ECS.
const ECS_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 2);
/// The agent of EKS Pod Identity.
const EKS_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 23);
/// The same by IPv6.
const EKS_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23);

/// Requests are tried this often.
const TRIES: u32 = 3;
/// Time for one exchange. The transport gives up connecting earlier, after two seconds.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Characters of the agent's message that are told.
const MAX_MESSAGE: usize = 300;

/// What to look at when nobody answers.
const AGENT: &str = "does the agent (EKS Pod Identity's or ECS's) run on this node?";

/// The endpoint, and what admits to it.
pub(super) struct Container {
    uri: Uri,
    authorization: Authorization,
    transport: Transport,
    time: Arc<dyn TimeSource>,
    random: Arc<dyn Random>,
}

/// What the header `Authorization` holds.
enum Authorization {
    Nothing,
    /// What is in the file at that moment: the kubelet replaces it.
    File(PathBuf),
    Token(HeaderValue),
}

impl Container {
    /// The endpoint that the environment names, `None` when it names none. Asks nobody.
    ///
    /// # Errors
    /// When the endpoint may not be asked, or the token can't be sent.
    pub(super) fn from_settings(
        settings: &Settings,
        parts: &CredentialsParts,
    ) -> Result<Option<Container>, CredentialsError> {
        let variable = |name| settings.variable(name);
        let unusable = |name: &str, why: &str| CredentialsError::lasting(CONTAINER, format!("{name} {why}"));
        let uri = match (variable(RELATIVE_URI), variable(FULL_URI)) {
            (Some(path), _) => relative(path).map_err(|why| unusable(RELATIVE_URI, &why))?,
            (None, Some(url)) => full(url).map_err(|why| unusable(FULL_URI, &why))?,
            (None, None) => return Ok(None),
        };
        let authorization = if let Some(file) = variable(TOKEN_FILE) {
            Authorization::File(PathBuf::from(file))
        } else if variable(TOKEN).is_some() {
            // As it stands there, not as `variable` trims it.
            let token = settings.environment().get(TOKEN).map(String::as_str).unwrap_or_default();
            Authorization::Token(header(token).map_err(|why| unusable(TOKEN, why))?)
        } else {
            Authorization::Nothing
        };
        Ok(Some(Container {
            uri,
            authorization,
            transport: parts.transport.clone(),
            time: Arc::clone(&parts.time),
            random: Arc::clone(&parts.random),
        }))
    }

    /// Asks for keys.
    pub(super) async fn fetch(&self) -> Result<Keys, CredentialsError> {
        let authorization = self.authorization().await?;
        let mut tries = 0;
        loop {
            tries += 1;
            let (error, again) = match self.attempt(authorization.as_ref()).await {
                Ok(keys) => return Ok(keys),
                Err(failure) => failure,
            };
            if tries >= TRIES || again == Again::No {
                return Err(error);
            }
            tokio::time::sleep(pause(again, tries, self.random.as_ref())).await;
        }
    }

    async fn authorization(&self) -> Result<Option<HeaderValue>, CredentialsError> {
        let file = match &self.authorization {
            Authorization::Nothing => return Ok(None),
            Authorization::Token(token) => return Ok(Some(token.clone())),
            Authorization::File(file) => file,
        };
        let failed = |why: &str| temporary(format!("the token file {} ({TOKEN_FILE}) {why}", file.display()));
        let token = tokio::fs::read(file).await.map_err(|error| failed(&format!("can't be read: {error}")))?;
        if token.is_empty() || token.len() > MAX_TOKEN_FILE {
            return Err(failed("holds no token"));
        }
        let token = std::str::from_utf8(&token).map_err(|_| failed("isn't text"))?;
        header(token).map(Some).map_err(failed)
    }

    /// One exchange; when it fails also whether and how another may help.
    async fn attempt(&self, authorization: Option<&HeaderValue>) -> Result<Keys, (CredentialsError, Again)> {
        let host = self.uri.authority().map_or("", |authority| authority.as_str());
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(authorization) = authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        let mut transport = self.transport.clone();
        let answered = tokio::time::timeout(TIMEOUT, async {
            transport.ready().await?;
            transport.call(request).await
        })
        .await;
        let answer = match answered {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                let why = without(&error.to_string(), &self.secrets(authorization));
                return Err(match error {
                    TransportError::Refused(_) => (temporary(format!("{host}: {why}")), Again::No),
                    _ => (temporary(format!("{host}: {why}; {AGENT}")), Again::Soon),
                });
            }
            Err(_) => return Err((temporary(format!("{host} doesn't answer; {AGENT}")), Again::Soon)),
        };
        let again = match answer.status().as_u16() {
            200 => return self.read(&answer, authorization),
            429 => Again::Slower,
            500 | 502 | 503 | 504 => Again::Soon,
            _ => Again::No,
        };
        let message = format!("{host} answered {}", self.refusal(&answer, authorization));
        let temporary = again != Again::No || answer.status().is_server_error();
        Err((CredentialsError { source: CONTAINER.to_owned(), message, temporary }, again))
    }

    fn read(
        &self,
        answer: &Response<Bytes>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Keys, (CredentialsError, Again)> {
        let unreadable = |what: String| (temporary(format!("the keys {what}")), Again::Soon);
        let document = KeyDocument::parse(answer.body()).map_err(unreadable)?;
        if document.failure().is_some() {
            let message = format!("it answered {}", self.refusal(answer, authorization));
            return Err((CredentialsError::lasting(CONTAINER, message), Again::No));
        }
        document.keys(self.time.now()).map_err(unreadable)
    }

    /// What admits to the keys: the token and, in ECS, the path.
    fn secrets<'a>(&'a self, authorization: Option<&'a HeaderValue>) -> Vec<&'a str> {
        let token = authorization.and_then(|value| value.to_str().ok()).map(str::trim);
        token.into_iter().chain(self.uri.path_and_query().map(|path| path.as_str())).collect()
    }

    /// What an answer without keys says: status, and the agent's code and message, without the token and the path
    /// should it repeat those.
    fn refusal(&self, answer: &Response<Bytes>, authorization: Option<&HeaderValue>) -> String {
        let mut said = format!("HTTP status {}", answer.status().as_u16());
        let body = std::str::from_utf8(answer.body()).unwrap_or_default().trim();
        let document = match serde_json::from_str::<KeyDocument>(body) {
            Ok(document) => document,
            // What looks like JSON might be anything, even keys. (EKS's text begins with a bracket: "[request id]: ...")
            Err(_) if body.starts_with('"') || body.contains('{') => KeyDocument::default(),
            Err(_) => KeyDocument::of_message(body),
        };
        let mut secrets = self.secrets(authorization);
        secrets.extend(document.secrets());
        for part in [&document.code, &document.message].into_iter().flatten() {
            let part = without(&line(part), &secrets);
            if !part.is_empty() {
                said.push_str(": ");
                said.push_str(&part);
            }
        }
        said
    }
}

fn temporary(message: String) -> CredentialsError {
    CredentialsError::temporary(CONTAINER, message)
}

/// The URI of a path at ECS's agent. The error doesn't quote it.
fn relative(path: &str) -> Result<Uri, String> {
    // Without the slash it might be the rest of another host's name.
    if !path.starts_with('/') || path.contains('#') {
        return Err("must be a path that begins with / and has no fragment".to_owned());
    }
    format!("{ECS}{path}").parse().map_err(|_| "isn't a path".to_owned())
}

/// A whole URL. Over http the keys and the token can be read on the way: only the agents' addresses and this machine
/// are close enough. The error quotes no more than the host.
fn full(url: &str) -> Result<Uri, String> {
    let uri: Uri = url.parse().map_err(|_| "isn't a URL".to_owned())?;
    let host = uri.host().unwrap_or_default();
    if host.is_empty() || uri.authority().is_some_and(|it| it.as_str().contains('@')) || url.contains('#') {
        return Err("must have a host, no user name and no fragment".to_owned());
    }
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        Some("http") if is_close(host) => Ok(uri),
        Some("http") => Err(format!(
            "has the host {host:?}: over http it must be an address of this machine (127.0.0.0/8, [::1]) or one of \
             {ECS_V4}, {EKS_V4} and [{EKS_V6}]; names, even localhost, aren't resolved for this. Write the address, \
             or use https"
        )),
        _ => Err("must begin with http:// or https://".to_owned()),
    }
}

/// Whether what is sent to `host` stays on the machine.
fn is_close(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match bare.parse() {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address == ECS_V4 || address == EKS_V4,
        Ok(IpAddr::V6(address)) => address.is_loopback() || address == EKS_V6,
        Err(_) => false,
    }
}

/// A token as the value of a header. The error doesn't quote it.
fn header(token: &str) -> Result<HeaderValue, &'static str> {
    const ODD: &str = "holds a line break or another character that no token has; it is sent as it stands";
    // `HeaderValue` would take more than ASCII.
    let mut value = HeaderValue::from_str(token).ok().filter(|_| token.is_ascii()).ok_or(ODD)?;
    value.set_sensitive(true);
    Ok(value)
}

/// A text of the agent in one line, not too long.
fn line(text: &str) -> String {
    let words = text.split(|c: char| c.is_control() || c.is_whitespace()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").chars().take(MAX_MESSAGE).collect()
}
