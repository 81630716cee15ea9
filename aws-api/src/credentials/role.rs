//! A role that is taken on with other keys: STS `AssumeRole`, signed with those of its base, in the region in use.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Credentials, CredentialsError, CredentialsParts};
use crate::client::Client;
use crate::error::{Class, Error};
use crate::secret::Keys;
use crate::sts;
use crate::time::TimeSource;

/// The shortest and the longest session that STS gives.
const DURATIONS: std::ops::RangeInclusive<Duration> = Duration::from_secs(900)..=Duration::from_secs(43_200);

/// A role to take on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssumedRole {
    /// Its ARN, e.g. `arn:aws:iam::111122223333:role/dns`.
    pub arn: String,
    /// What the role's trust policy asks for as `sts:ExternalId`.
    pub external_id: Option<String>,
    /// Names the session, in CloudTrail for one; `None`: one made of the time.
    pub session_name: Option<String>,
    /// How long its keys are good, 15 minutes to 12 hours; `None`: as STS has it, an hour.
    pub duration: Option<Duration>,
}

impl AssumedRole {
    fn check(&self) -> Result<(), String> {
        check_role_arn(&self.arn)?;
        self.external_id.as_deref().map_or(Ok(()), check_external_id)?;
        let fits = |name: &String| (2..=64).contains(&name.len()) && name.bytes().all(|b| is_word(b, b"+=,.@-"));
        if !self.session_name.as_ref().is_none_or(fits) {
            return Err("a session's name has 2 to 64 letters, digits and _ + = , . @ -".to_owned());
        }
        if !self.duration.is_none_or(|duration| DURATIONS.contains(&duration)) {
            return Err("a session lasts 900 to 43200 seconds".to_owned());
        }
        Ok(())
    }
}

/// Whether `text` is the ARN of a role.
///
/// # Errors
/// What an ARN of a role looks like. `text` isn't quoted.
pub fn check_role_arn(text: &str) -> Result<(), String> {
    let mut parts = text.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (arn, partition, service, region, account, resource) = (next(), next(), next(), next(), next(), next());
    let name = resource.strip_prefix("role/").unwrap_or_default();
    let is_arn = arn == "arn" && service == "iam" && region.is_empty();
    let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    let is_name =
        (1..=576).contains(&name.len()) && name.bytes().all(|b| is_word(b, b"+=,.@-/")) && !name.ends_with('/');
    if is_arn && is_account && is_name && (partition == "aws" || partition.starts_with("aws-")) {
        return Ok(());
    }
    Err("the ARN of a role looks like arn:aws:iam::111122223333:role/NAME".to_owned())
}

/// Whether `text` may be an external id.
///
/// # Errors
/// What may be one. `text` isn't quoted.
pub fn check_external_id(text: &str) -> Result<(), String> {
    if (2..=1224).contains(&text.len()) && text.bytes().all(|b| is_word(b, b"+=,.@:/-")) {
        return Ok(());
    }
    Err("an external id has 2 to 1224 letters, digits and _ + = , . @ : / -".to_owned())
}

fn is_word(byte: u8, others: &[u8]) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || others.contains(&byte)
}

/// The source.
pub(super) struct Role {
    name: String,
    role: AssumedRole,
    client: Client,
    time: Arc<dyn TimeSource>,
}

impl Role {
    /// The role, named by the profile `of` where it is from one.
    pub(super) fn new(
        role: AssumedRole,
        of: Option<&str>,
        base: Arc<Credentials>,
        parts: &CredentialsParts,
    ) -> Result<Role, CredentialsError> {
        let of = of.map(|profile| format!(" (profile {profile})")).unwrap_or_default();
        if let Err(why) = role.check() {
            return Err(CredentialsError::lasting(format!("a role{of} through {}", base.source()), why));
        }
        let name = format!("the role {}{of} through {}", role.arn, base.source());
        let partition = parts.config.partition.to_string();
        let its = role.arn.split(':').nth(1).unwrap_or_default();
        if its != partition {
            let why =
                format!("it is in the partition {its}, and the region in the partition {partition}: no role spans two");
            return Err(CredentialsError::lasting(name, why));
        }
        Ok(Role { name, role, client: parts.sts(base), time: Arc::clone(&parts.time) })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) async fn fetch(&self) -> Result<Keys, CredentialsError> {
        let session = || format!("aws-api-{}", millis(self.time.as_ref()));
        let operation = sts::AssumeRole {
            role_arn: self.role.arn.clone(),
            role_session_name: self.role.session_name.clone().unwrap_or_else(session),
            external_id: self.role.external_id.clone(),
            duration_seconds: self.role.duration.and_then(|duration| i64::try_from(duration.as_secs()).ok()),
            ..Default::default()
        };
        let answer = self.client.send(&operation).await.map_err(|error| refused(&self.name, &self.role.arn, &error))?;
        received(&self.name, answer.credentials)
    }
}

/// Milliseconds of Unix time, for the names of sessions.
pub(super) fn millis(time: &dyn TimeSource) -> u128 {
    time.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()
}

/// What became of asking STS.
pub(super) fn refused(source: &str, role: &str, error: &Error) -> CredentialsError {
    let temporary = matches!(error.class, Class::Throttled | Class::Transient | Class::UnknownOutcome);
    let message = match error.status {
        // The error of a good answer that can't be read says how it begins, and this one's is made of keys.
        Some(200..=299) => format!("{}'s answer can't be read (role {role})", error.service),
        _ => format!("{error} (role {role})"),
    };
    CredentialsError { source: source.to_owned(), message, temporary }
}

/// The keys in an answer of STS.
pub(super) fn received(source: &str, keys: Option<sts::Credentials>) -> Result<Keys, CredentialsError> {
    let failed = |message: String| CredentialsError::temporary(source, message);
    let keys = keys.ok_or_else(|| failed("STS answered without credentials".to_owned()))?;
    Keys::new(
        &keys.access_key_id,
        &keys.secret_access_key,
        Some(&keys.session_token),
        Some(SystemTime::from(keys.expiration)),
    )
    .map_err(|why| failed(format!("STS's answer can't be used: {why}")))
}
