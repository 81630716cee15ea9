//! Which source a profile describes: keys, a role with what it is taken on with, or a program. Owns the meaning of the
//! keys, and what is refused by name. Decided once, at the start; nobody is asked.
//!
//! Where the SDKs differ it is as the Go SDK has it: the first profile's role goes before its own keys, and a source
//! profile's keys before its role.

use std::sync::Arc;
use std::time::Duration;

use super::container::Container;
use super::process::Process;
use super::role::{AssumedRole, Role, check_role_arn};
use super::source::Source;
use super::web_identity::WebIdentity;
use super::{Credentials, CredentialsError, CredentialsParts};
use crate::secret::Keys;
use crate::settings::{Found, Settings};

/// How the keys of an SSO or MFA session get where they are looked for.
const INSTEAD: &str = "Log in with the AWS CLI, then hand its keys over, in a shell: \
                       eval \"$(aws configure export-credentials --profile NAME --format env)\"; or name the command \
                       in another profile: credential_process = aws configure export-credentials --profile NAME";

/// Keys of a profile that stand for a login in a browser.
const SSO: [&str; 6] =
    ["sso_session", "sso_start_url", "sso_account_id", "sso_role_name", "sso_region", "login_session"];

/// What the profile in use describes; `None` when it says nothing about keys.
pub(super) fn source(settings: &Settings, parts: &CredentialsParts) -> Result<Option<Source>, CredentialsError> {
    Chain { settings, parts, profiles: Vec::new() }.source(settings.profile())
}

/// The profiles on the way from the one in use to the keys.
struct Chain<'a> {
    settings: &'a Settings,
    parts: &'a CredentialsParts,
    profiles: Vec<&'a str>,
}

fn failed(profile: &str, why: impl Into<String>) -> CredentialsError {
    CredentialsError::lasting(format!("the profile {profile}"), why)
}

impl<'a> Chain<'a> {
    fn source(&mut self, profile: &'a str) -> Result<Option<Source>, CredentialsError> {
        self.profiles.push(profile);
        let is_first = self.profiles.len() == 1;
        if !is_first && let Some(keys) = self.keys(profile)? {
            return Ok(Some(keys));
        }
        if let Some(role_arn) = self.get(profile, "role_arn") {
            return self.role(profile, role_arn).map(Some);
        }
        for key in ["source_profile", "credential_source", "web_identity_token_file"] {
            if let Some(found) = self.get(profile, key) {
                return Err(failed(profile, format!("{} needs a role_arn beside it", found.origin)));
            }
        }
        self.own(profile)
    }

    fn get(&self, profile: &'a str, key: &'static str) -> Option<Found<'a>> {
        self.settings.key(profile, key)
    }

    /// What the profile has without any role.
    fn own(&self, profile: &'a str) -> Result<Option<Source>, CredentialsError> {
        if let Some(keys) = self.keys(profile)? {
            return Ok(Some(keys));
        }
        if let Some(found) = SSO.iter().find_map(|key| self.get(profile, key)) {
            return Err(failed(profile, format!("{}: SSO is not supported. {INSTEAD}", found.origin)));
        }
        let Some(command) = self.get(profile, "credential_process") else { return Ok(None) };
        let name = format!("the credential_process of the profile {profile}");
        let process = Process::new(name, command.value, self.settings.environment(), &self.parts.time);
        process
            .map(|process| Some(Source::Process(process)))
            .map_err(|why| failed(profile, format!("{}: {why}", command.origin)))
    }

    /// The keys that stand in the profile.
    fn keys(&self, profile: &'a str) -> Result<Option<Source>, CredentialsError> {
        let (id, secret) = match (self.get(profile, "aws_access_key_id"), self.get(profile, "aws_secret_access_key")) {
            (Some(id), Some(secret)) => (id, secret),
            (None, None) => return Ok(None),
            (Some(half), None) | (None, Some(half)) => {
                let why = "only one of aws_access_key_id and aws_secret_access_key is set";
                return Err(failed(profile, format!("{why}: {}", half.origin)));
            }
        };
        let token = self.get(profile, "aws_session_token");
        let keys = Keys::new(id.value, secret.value, token.map(|token| token.value), None)
            .map_err(|why| failed(profile, format!("{why} ({})", id.origin)))?;
        Ok(Some(Source::Fixed(Arc::new(keys), format!("the profile {profile}"))))
    }

    fn role(&mut self, profile: &'a str, role_arn: Found<'a>) -> Result<Source, CredentialsError> {
        if let Some(mfa) = self.get(profile, "mfa_serial") {
            let why = format!("{}: MFA is not supported, there is nobody to ask for the code. {INSTEAD}", mfa.origin);
            return Err(failed(profile, why));
        }
        check_role_arn(role_arn.value).map_err(|why| failed(profile, format!("{}: {why}", role_arn.origin)))?;
        let ways = ["source_profile", "credential_source", "web_identity_token_file"];
        let set: Vec<_> = ways.iter().filter_map(|key| self.get(profile, key)).collect();
        if let [one, other, ..] = set.as_slice() {
            return Err(failed(profile, format!("{} and {}: one of them must go", one.origin, other.origin)));
        }
        let session_name = self.get(profile, "role_session_name");
        if let Some(file) = self.get(profile, "web_identity_token_file") {
            let name = format!("web identity (web_identity_token_file of the profile {profile})");
            let session_name = session_name.map(|it| it.value);
            let it = WebIdentity::new(name, file.value, role_arn.value, session_name, self.parts);
            return Ok(Source::WebIdentity(it));
        }
        let duration = self.get(profile, "duration_seconds").map(|found| {
            let seconds = found.value.parse().map(Duration::from_secs);
            seconds.map_err(|_| failed(profile, format!("{}: it must be a number of seconds", found.origin)))
        });
        let role = AssumedRole {
            arn: role_arn.value.to_owned(),
            external_id: self.get(profile, "external_id").map(|it| it.value.to_owned()),
            session_name: session_name.map(|it| it.value.to_owned()),
            duration: duration.transpose()?,
        };
        let base = self.base(profile, &role_arn)?;
        let base = Arc::new(Credentials::of(base, self.parts));
        Role::new(role, Some(profile), base, self.parts).map(Source::Role)
    }

    /// What the role of a profile is taken on with.
    fn base(&mut self, profile: &'a str, role_arn: &Found<'_>) -> Result<Source, CredentialsError> {
        if let Some(source) = self.get(profile, "credential_source") {
            return self.credential_source(profile, &source);
        }
        let lacking = |profile, why: String| failed(profile, why);
        let Some(next) = self.get(profile, "source_profile") else {
            return self.own(profile)?.ok_or_else(|| {
                lacking(profile, format!("{} needs a source_profile or credential_source beside it", role_arn.origin))
            });
        };
        if next.value == profile {
            return self.own(profile)?.ok_or_else(|| {
                lacking(profile, format!("{} names the profile itself, which has no keys", next.origin))
            });
        }
        if self.profiles.contains(&next.value) && self.keys(next.value)?.is_none() {
            let circle = self.profiles.iter().copied().chain([next.value]).collect::<Vec<_>>().join(" -> ");
            return Err(failed(profile, format!("{}: the profiles go in a circle: {circle}", next.origin)));
        }
        if self.settings.profiles().profile(next.value).is_none() {
            let absent = self.settings.profiles().absent(next.value);
            return Err(failed(profile, format!("{} is {:?}: {absent}", next.origin, next.value)));
        }
        self.source(next.value)?
            .ok_or_else(|| lacking(next.value, format!("it has no keys, and {} names it for them", next.origin)))
    }

    fn credential_source(&self, profile: &str, source: &Found<'_>) -> Result<Source, CredentialsError> {
        let lacking = |what: &str| failed(profile, format!("{} is {}: {what}", source.origin, source.value));
        match source.value {
            "Environment" => Source::of_variables(self.settings)?
                .ok_or_else(|| lacking("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY aren't set")),
            "Ec2InstanceMetadata" => Source::instance(self.settings, self.parts),
            "EcsContainer" => Container::from_settings(self.settings, self.parts)?
                .map(Source::Container)
                .ok_or_else(|| lacking("neither of AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and _FULL_URI is set")),
            _ => Err(failed(
                profile,
                format!("{}: it must be Environment, Ec2InstanceMetadata or EcsContainer", source.origin),
            )),
        }
    }
}
