//! The settings that a process runs with: environment variables, and behind them the profile of the shared files. The
//! one place where a setting's two names stand; everything else asks here.

use std::fmt;

use crate::config::{ConfigError, Environment, variable};
use crate::operation::Service;
use crate::profile::Profiles;
use crate::profile_file::{Place, Section};

/// A setting by its names.
pub(crate) struct Setting {
    /// Environment variables, the first that is set counts.
    variables: &'static [&'static str],
    /// The key in a profile.
    key: &'static str,
}

pub(crate) const REGION: Setting = Setting { variables: &["AWS_REGION", "AWS_DEFAULT_REGION"], key: "region" };
pub(crate) const MAX_ATTEMPTS: Setting = Setting { variables: &["AWS_MAX_ATTEMPTS"], key: "max_attempts" };
pub(crate) const RETRY_MODE: Setting = Setting { variables: &["AWS_RETRY_MODE"], key: "retry_mode" };
pub(crate) const FIPS: Setting = Setting { variables: &["AWS_USE_FIPS_ENDPOINT"], key: "use_fips_endpoint" };
pub(crate) const DUAL_STACK: Setting =
    Setting { variables: &["AWS_USE_DUALSTACK_ENDPOINT"], key: "use_dualstack_endpoint" };
pub(crate) const STS_REGIONAL: Setting =
    Setting { variables: &["AWS_STS_REGIONAL_ENDPOINTS"], key: "sts_regional_endpoints" };
const IGNORE_ENDPOINTS: Setting =
    Setting { variables: &["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"], key: "ignore_configured_endpoint_urls" };
const CA_BUNDLE: Setting = Setting { variables: &["AWS_CA_BUNDLE"], key: "ca_bundle" };
pub(crate) const IMDS_ENDPOINT: Setting =
    Setting { variables: &["AWS_EC2_METADATA_SERVICE_ENDPOINT"], key: "ec2_metadata_service_endpoint" };
pub(crate) const IMDS_MODE: Setting =
    Setting { variables: &["AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"], key: "ec2_metadata_service_endpoint_mode" };

/// What a setting is set to, and where. It may hold a password (a URL): `Debug` shows only where it stands.
#[derive(Clone)]
pub struct Found<'a> {
    /// The value, without blanks around it; never empty.
    pub value: &'a str,
    /// Where it stands, in words that name variable or file, line and key.
    pub origin: Origin<'a>,
}

impl fmt::Debug for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(set by {})", self.origin)
    }
}

/// Where a setting stands.
#[derive(Clone)]
pub struct Origin<'a>(Where<'a>);

#[derive(Clone)]
enum Where<'a> {
    Variable(&'a str),
    Key { key: &'a str, section: &'a str, name: &'a str, place: &'a Place },
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Where::Variable(name) => f.write_str(name),
            Where::Key { key, section, name, place } => write!(f, "{key} in [{section} {name}] ({place})"),
        }
    }
}

impl Found<'_> {
    /// An error about the value: a variable's is quoted, a file's is not (a line may hold what was meant for another).
    pub(crate) fn must_be(&self, what: &str) -> ConfigError {
        ConfigError::Invalid(match self.origin.0 {
            Where::Variable(name) => format!("{name} is {:?}: it must be {what}", self.value),
            Where::Key { .. } => format!("{}: it must be {what}", self.origin),
        })
    }
}

/// The environment, and the profile that it chooses.
pub struct Settings {
    environment: Environment,
    profiles: Profiles,
    profile: String,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl Settings {
    /// Environment variables, and the shared files that they name (`AWS_CONFIG_FILE`, `AWS_SHARED_CREDENTIALS_FILE`;
    /// else `config` and `credentials` in `$HOME/.aws`), with the profile `AWS_PROFILE`, else `default`. Without
    /// `HOME` and these variables no file is read. Blocks while it reads them.
    ///
    /// # Errors
    /// When a file can't be read or understood, or `AWS_PROFILE` names a profile that isn't there.
    pub fn load(environment: &Environment) -> Result<Settings, ConfigError> {
        let profiles = Profiles::load(environment)?;
        let profile = profiles.choose(environment)?;
        Ok(Settings { environment: environment.clone(), profiles, profile })
    }

    /// The name of the profile in use.
    pub fn profile(&self) -> &str {
        &self.profile
    }

    /// The file with the certificate authorities to trust: `AWS_CA_BUNDLE`, else the profile's `ca_bundle`.
    pub fn ca_bundle(&self) -> Option<Found<'_>> {
        self.get(&CA_BUNDLE)
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    pub(crate) fn profiles(&self) -> &Profiles {
        &self.profiles
    }

    /// What a variable is set to.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        variable(&self.environment, name)
    }

    /// What a key is set to in a profile.
    pub(crate) fn key<'a>(&'a self, profile: &'a str, key: &'a str) -> Option<Found<'a>> {
        in_section(self.profiles.profile(profile)?, "profile", profile, key)
    }

    pub(crate) fn get(&self, setting: &Setting) -> Option<Found<'_>> {
        self.first(setting.variables.iter().copied()).or_else(|| self.key(&self.profile, setting.key))
    }

    /// The first variable that is set.
    fn first(&self, names: impl IntoIterator<Item = &'static str>) -> Option<Found<'_>> {
        let found = |name| Some(Found { value: self.variable(name)?, origin: Origin(Where::Variable(name)) });
        names.into_iter().find_map(found)
    }

    /// Whether a setting is `true`.
    ///
    /// # Errors
    /// When it is neither `true` nor `false`.
    pub(crate) fn flag(&self, setting: &Setting) -> Result<bool, ConfigError> {
        match self.get(setting) {
            None => Ok(false),
            Some(it) if it.value.eq_ignore_ascii_case("true") => Ok(true),
            Some(it) if it.value.eq_ignore_ascii_case("false") => Ok(false),
            Some(it) => Err(it.must_be("true or false")),
        }
    }

    /// The endpoint that is set for `service`: by its own variable, by that of all services, in the profile's
    /// `services` section, by the profile.
    ///
    /// # Errors
    /// When the profile names a services section that isn't there, or the flag that turns all this off isn't one.
    pub(crate) fn endpoint_url(&self, service: Service) -> Result<Option<Found<'_>>, ConfigError> {
        if self.flag(&IGNORE_ENDPOINTS)? {
            return Ok(None);
        }
        let key = match service {
            Service::Ec2 => "ec2",
            Service::Route53 => "route_53",
            Service::Sts => "sts",
        };
        if let Some(found) = self.first([endpoint_variable(service), "AWS_ENDPOINT_URL"]) {
            return Ok(Some(found));
        }
        if let Some(services) = self.key(&self.profile, "services") {
            let section = self.profiles.services(services.value).ok_or_else(|| {
                ConfigError::Invalid(format!("{}: there is no [services {}]", services.origin, services.value))
            })?;
            let own = section
                .get(key)
                .and_then(|value| in_section(&value.nested, "services", services.value, "endpoint_url"));
            if own.is_some() {
                return Ok(own);
            }
        }
        Ok(self.key(&self.profile, "endpoint_url"))
    }
}

/// The variable with the endpoint of `service` alone.
pub(crate) fn endpoint_variable(service: Service) -> &'static str {
    match service {
        Service::Ec2 => "AWS_ENDPOINT_URL_EC2",
        Service::Route53 => "AWS_ENDPOINT_URL_ROUTE_53",
        Service::Sts => "AWS_ENDPOINT_URL_STS",
    }
}

fn in_section<'a>(section: &'a Section, kind: &'a str, name: &'a str, key: &'a str) -> Option<Found<'a>> {
    let value = section.get(key).filter(|value| !value.text.is_empty())?;
    let origin = Origin(Where::Key { key, section: kind, name, place: &value.place });
    Some(Found { value: &value.text, origin })
}
