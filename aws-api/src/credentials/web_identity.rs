//! A role that is taken on with a token in a file (IRSA): STS `AssumeRoleWithWebIdentity`, without a signature.

use std::path::PathBuf;
use std::sync::Arc;

use super::role::{millis, received, refused};
use super::source::Source;
use super::{Credentials, CredentialsError, CredentialsParts, MAX_TOKEN_FILE};
use crate::client::Client;
use crate::secret::Keys;
use crate::settings::Settings;
use crate::sts::AssumeRoleWithWebIdentity;
use crate::time::TimeSource;

const WEB_IDENTITY: &str = "web identity (AWS_WEB_IDENTITY_TOKEN_FILE)";

pub(super) struct WebIdentity {
    name: String,
    token_file: PathBuf,
    role_arn: String,
    session_name: Option<String>,
    client: Client,
    time: Arc<dyn TimeSource>,
}

impl WebIdentity {
    /// As the variables say; `None` when they say nothing of it.
    pub(super) fn of_variables(
        settings: &Settings,
        parts: &CredentialsParts,
    ) -> Result<Option<WebIdentity>, CredentialsError> {
        let Some(file) = settings.variable("AWS_WEB_IDENTITY_TOKEN_FILE") else { return Ok(None) };
        let role_arn = settings.variable("AWS_ROLE_ARN").ok_or_else(|| {
            CredentialsError::lasting(WEB_IDENTITY, "AWS_ROLE_ARN isn't set; it goes with the token file")
        })?;
        let session_name = settings.variable("AWS_ROLE_SESSION_NAME");
        Ok(Some(WebIdentity::new(WEB_IDENTITY.to_owned(), file, role_arn, session_name, parts)))
    }

    pub(super) fn new(
        name: String,
        token_file: &str,
        role_arn: &str,
        session_name: Option<&str>,
        parts: &CredentialsParts,
    ) -> WebIdentity {
        WebIdentity {
            name,
            token_file: PathBuf::from(token_file),
            role_arn: role_arn.to_owned(),
            session_name: session_name.map(str::to_owned),
            client: parts.sts(Arc::new(Credentials::of(Source::Anonymous, parts))),
            time: Arc::clone(&parts.time),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) async fn fetch(&self) -> Result<Keys, CredentialsError> {
        let file = self.token_file.display();
        let failed = |message: String| CredentialsError::temporary(&self.name, message);
        // Read each time: the kubelet replaces it.
        let token = tokio::fs::read(&self.token_file)
            .await
            .map_err(|error| failed(format!("the token file {file} can't be read: {error}")))?;
        let token = std::str::from_utf8(&token).unwrap_or_default().trim();
        if token.is_empty() || token.len() > MAX_TOKEN_FILE {
            return Err(failed(format!("the token file {file} holds no token")));
        }
        let session = || format!("web-identity-token-{}", millis(self.time.as_ref()));
        let operation = AssumeRoleWithWebIdentity {
            role_arn: self.role_arn.clone(),
            role_session_name: self.session_name.clone().unwrap_or_else(session),
            web_identity_token: token.to_owned(),
            ..Default::default()
        };
        let answer = self.client.send(&operation).await.map_err(|error| refused(&self.name, &self.role_arn, &error))?;
        received(&self.name, answer.credentials)
    }
}
