//! Where keys come from. The order is the Go SDK's: keys in variables, web identity, profile, container, instance.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::container::{CONTAINER, Container};
use super::process::Process;
use super::role::Role;
use super::web_identity::WebIdentity;
use super::{CredentialsError, CredentialsParts, profile};
use crate::imds::Imds;
use crate::secret::Keys;
use crate::settings::Settings;

const ENVIRONMENT: &str = "the environment (AWS_ACCESS_KEY_ID)";
const INSTANCE: &str = "the instance's role (IMDSv2)";

/// The sources.
pub(super) enum Source {
    /// None.
    Anonymous,
    /// Keys that were given or stand somewhere, and what that is called.
    Fixed(Arc<Keys>, String),
    /// A role, taken on with a token in a file (IRSA).
    WebIdentity(WebIdentity),
    /// A role, taken on with other keys.
    Role(Role),
    /// A program that prints keys.
    Process(Process),
    /// The endpoint of the container's platform (EKS Pod Identity, ECS).
    Container(Container),
    /// The instance's role.
    Instance(Imds),
}

impl Source {
    /// The first that is configured.
    pub(super) fn choose(settings: &Settings, parts: &CredentialsParts) -> Result<Source, CredentialsError> {
        if let Some(source) = Source::of_variables(settings)? {
            return Ok(source);
        }
        if let Some(web_identity) = WebIdentity::of_variables(settings, parts)? {
            return Ok(Source::WebIdentity(web_identity));
        }
        if let Some(source) = profile::source(settings, parts)? {
            return Ok(source);
        }
        if let Some(container) = Container::from_settings(settings, parts)? {
            return Ok(Source::Container(container));
        }
        Source::instance(settings, parts)
    }

    /// Keys in variables.
    pub(super) fn of_variables(settings: &Settings) -> Result<Option<Source>, CredentialsError> {
        let get = |name| settings.variable(name);
        let keys = match (get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY")) {
            (Some(id), Some(secret)) => Keys::new(id, secret, get("AWS_SESSION_TOKEN"), None),
            (None, None) => return Ok(None),
            _ => Err("only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set".to_owned()),
        };
        let keys = keys.map_err(|why| CredentialsError::lasting(ENVIRONMENT, why))?;
        Ok(Some(Source::Fixed(Arc::new(keys), ENVIRONMENT.to_owned())))
    }

    /// The instance's role.
    pub(super) fn instance(settings: &Settings, parts: &CredentialsParts) -> Result<Source, CredentialsError> {
        let imds = Imds::from_settings(settings, parts.transport.clone(), Arc::clone(&parts.time))
            .map_err(|why| CredentialsError::lasting(INSTANCE, why.to_string()))?;
        imds.map(Source::Instance).ok_or_else(|| {
            CredentialsError::lasting(
                INSTANCE,
                "nothing else is configured and AWS_EC2_METADATA_DISABLED forbids asking the instance; configure IRSA \
                 or EKS Pod Identity, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            )
        })
    }

    /// What it is called.
    pub(super) fn name(&self) -> String {
        match self {
            Source::Anonymous => "nowhere".to_owned(),
            Source::Fixed(_, name) => name.clone(),
            Source::WebIdentity(web_identity) => web_identity.name().to_owned(),
            Source::Role(role) => role.name().to_owned(),
            Source::Process(process) => process.name().to_owned(),
            Source::Container(_) => CONTAINER.to_owned(),
            Source::Instance(_) => INSTANCE.to_owned(),
        }
    }

    /// Whether asking again may bring other keys.
    pub(super) fn is_renewable(&self) -> bool {
        !matches!(self, Source::Anonymous | Source::Fixed(..))
    }

    /// Whether its keys are used beyond their expiry when it has no new ones.
    pub(super) fn is_stretchable(&self) -> bool {
        matches!(self, Source::Instance(_))
    }

    /// Asks for keys. Boxed: asking STS is a call of a client, which has credentials.
    pub(super) fn fetch<'a>(
        &'a self,
        name: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<Arc<Keys>, CredentialsError>> + Send + 'a>> {
        Box::pin(async move {
            let keys = match self {
                Source::Anonymous => return Err(CredentialsError::lasting(name, "there are none on purpose")),
                Source::Fixed(keys, _) => return Ok(Arc::clone(keys)),
                Source::WebIdentity(web_identity) => web_identity.fetch().await,
                Source::Role(role) => role.fetch().await,
                Source::Process(process) => process.fetch().await,
                Source::Container(container) => container.fetch().await,
                Source::Instance(imds) => imds.keys().await.map_err(|error| CredentialsError {
                    source: name.to_owned(),
                    message: error.message,
                    temporary: error.temporary,
                }),
            };
            keys.map(Arc::new)
        })
    }
}
