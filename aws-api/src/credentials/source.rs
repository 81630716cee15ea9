//! Where keys come from. The order is the Go SDK's: keys in variables, web identity, profile, container, instance.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::client::{Client, ClientParts};
use crate::config::{Config, Environment, variable};
use crate::credentials::container::{CONTAINER, Container};
use crate::credentials::{Credentials, CredentialsError, MAX_TOKEN_FILE};
use crate::error::Class;
use crate::imds::Imds;
use crate::observer::NoObserver;
use crate::secret::Keys;
use crate::sts::AssumeRoleWithWebIdentity;
use crate::time::{Random, TimeSource};
use crate::transport::Transport;

/// Time for one call of STS with all its attempts: whoever waits for it has a call of its own to make.
const STS_TIMEOUT: Duration = Duration::from_secs(10);

const ENVIRONMENT: &str = "the environment (AWS_ACCESS_KEY_ID)";
const WEB_IDENTITY: &str = "web identity (AWS_WEB_IDENTITY_TOKEN_FILE)";
const PROFILE: &str = "a profile of the shared files";
const INSTANCE: &str = "the instance's role (IMDSv2)";

/// What is said of a source that has its place but no code yet.
const NOT_SUPPORTED: &str =
    "this source is not supported yet; take it away, or use web identity or AWS_ACCESS_KEY_ID instead";

/// How the keys of a profile get where they are looked for.
const EXPORT: &str = "in a shell: eval \"$(aws configure export-credentials --format env)\"";

/// The sources. Profiles have their place in [`Source::choose`].
pub(super) enum Source {
    /// None.
    Anonymous,
    /// Keys that were given, or stand in variables.
    Fixed(Arc<Keys>),
    /// A token in a file, for a role (IRSA).
    WebIdentity(WebIdentity),
    /// The endpoint of the container's platform (EKS Pod Identity, ECS).
    Container(Container),
    /// The instance's role.
    Instance(Imds),
}

impl Source {
    /// The first that is configured.
    pub(super) fn choose(
        environment: &Environment,
        config: &Config,
        transport: Transport,
        time: &Arc<dyn TimeSource>,
        random: &Arc<dyn Random>,
    ) -> Result<Source, CredentialsError> {
        let get = |name| variable(environment, name);
        match (get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY")) {
            (Some(id), Some(secret)) => {
                let keys = Keys::new(id, secret, get("AWS_SESSION_TOKEN"), None);
                let keys = keys.map_err(|why| CredentialsError::lasting(ENVIRONMENT, why))?;
                return Ok(Source::Fixed(Arc::new(keys)));
            }
            (None, None) => {}
            _ => {
                return Err(CredentialsError::lasting(
                    ENVIRONMENT,
                    "only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set",
                ));
            }
        }
        if let Some(file) = get("AWS_WEB_IDENTITY_TOKEN_FILE") {
            let role_arn = get("AWS_ROLE_ARN").ok_or_else(|| {
                CredentialsError::lasting(WEB_IDENTITY, "AWS_ROLE_ARN isn't set; it goes with the token file")
            })?;
            let mut config = config.clone();
            config.call_timeout = STS_TIMEOUT;
            let client = Client::new(ClientParts {
                transport,
                config,
                credentials: Arc::new(Credentials::anonymous(Arc::clone(time), Arc::clone(random))),
                time: Arc::clone(time),
                random: Arc::clone(random),
                observer: Arc::new(NoObserver),
            });
            return Ok(Source::WebIdentity(WebIdentity {
                token_file: PathBuf::from(file),
                role_arn: role_arn.to_owned(),
                session_name: get("AWS_ROLE_SESSION_NAME").map(str::to_owned),
                client,
                time: Arc::clone(time),
            }));
        }
        for name in ["AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"] {
            if get(name).is_some() {
                let why = format!("{name} is set, but {NOT_SUPPORTED}; {EXPORT}");
                return Err(CredentialsError::lasting(PROFILE, why));
            }
        }
        // The shared file counts where it lies, without any variable.
        if let Some(home) = get("HOME") {
            let file = Path::new(home).join(".aws").join("credentials");
            if file.is_file() {
                let why = format!("{} is there, but {NOT_SUPPORTED}; {EXPORT}", file.display());
                return Err(CredentialsError::lasting(PROFILE, why));
            }
        }
        if let Some(container) = Container::from_environment(environment, &transport, time, random)? {
            return Ok(Source::Container(container));
        }
        let imds = Imds::from_environment(environment, transport, Arc::clone(time))
            .map_err(|why| CredentialsError::lasting(INSTANCE, why))?;
        imds.map(Source::Instance).ok_or_else(|| {
            CredentialsError::lasting(
                INSTANCE,
                "nothing is configured and AWS_EC2_METADATA_DISABLED forbids asking the instance; configure IRSA \
                 or EKS Pod Identity, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            )
        })
    }

    /// What it is called.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Source::Anonymous => "nowhere",
            Source::Fixed(_) => ENVIRONMENT,
            Source::WebIdentity(_) => WEB_IDENTITY,
            Source::Container(_) => CONTAINER,
            Source::Instance(_) => INSTANCE,
        }
    }

    /// Whether asking again may bring other keys.
    pub(super) fn is_renewable(&self) -> bool {
        matches!(self, Source::WebIdentity(_) | Source::Container(_) | Source::Instance(_))
    }

    /// Whether its keys are used beyond their expiry when it has no new ones.
    pub(super) fn is_stretchable(&self) -> bool {
        matches!(self, Source::Instance(_))
    }

    /// Asks for keys. Boxed: asking STS is a call of a client, which has credentials.
    pub(super) fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<Arc<Keys>, CredentialsError>> + Send + '_>> {
        Box::pin(async move {
            match self {
                Source::Anonymous => Err(CredentialsError::lasting(self.name(), "there are none on purpose")),
                Source::Fixed(keys) => Ok(Arc::clone(keys)),
                Source::WebIdentity(web_identity) => web_identity.fetch().await.map(Arc::new),
                Source::Container(container) => container.fetch().await.map(Arc::new),
                Source::Instance(imds) => imds.keys().await.map(Arc::new).map_err(|error| CredentialsError {
                    source: INSTANCE,
                    message: error.message,
                    temporary: error.temporary,
                }),
            }
        })
    }
}

/// A role that is taken on with a token (IRSA).
pub(super) struct WebIdentity {
    token_file: PathBuf,
    role_arn: String,
    session_name: Option<String>,
    client: Client,
    time: Arc<dyn TimeSource>,
}

impl WebIdentity {
    async fn fetch(&self) -> Result<Keys, CredentialsError> {
        let file = self.token_file.display();
        let failed = |message: String, temporary| CredentialsError { source: WEB_IDENTITY, message, temporary };
        // Read each time: the kubelet replaces it.
        let token = tokio::fs::read(&self.token_file)
            .await
            .map_err(|error| failed(format!("the token file {file} can't be read: {error}"), true))?;
        let token = std::str::from_utf8(&token).unwrap_or_default().trim();
        if token.is_empty() || token.len() > MAX_TOKEN_FILE {
            return Err(failed(format!("the token file {file} holds no token"), true));
        }
        let millis = self.time.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let operation = AssumeRoleWithWebIdentity {
            role_arn: self.role_arn.clone(),
            role_session_name: self.session_name.clone().unwrap_or_else(|| format!("web-identity-token-{millis}")),
            web_identity_token: token.to_owned(),
            ..Default::default()
        };
        let answer = self.client.send(&operation).await.map_err(|error| {
            let temporary = matches!(error.class, Class::Throttled | Class::Transient | Class::UnknownOutcome);
            failed(format!("{error} (role {})", self.role_arn), temporary)
        })?;
        let keys = answer.credentials.ok_or_else(|| failed("STS answered without credentials".to_owned(), true))?;
        Keys::new(
            &keys.access_key_id,
            &keys.secret_access_key,
            Some(&keys.session_token),
            Some(SystemTime::from(keys.expiration)),
        )
        .map_err(|why| failed(format!("STS's answer can't be used: {why}"), true))
    }
}
