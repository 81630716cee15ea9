//! What a [`Client`](crate::Client) needs to know of where it runs: region, partition, endpoints, limits of time and
//! number. Read from a map of environment variables that the caller hands in, never from the process itself.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;

use crate::imds::Imds;
use crate::operation::Service;
use crate::partition::{Partition, Variant};
use crate::rates::Rates;
use crate::time::TimeSource;
use crate::transport::Transport;

/// Environment variables by name.
pub type Environment = BTreeMap<String, String>;

/// Where a service is reached, and what region its requests are signed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `https://host[:port][/path]`, without a slash at the end.
    pub url: String,
    /// The region in the signature.
    pub signing_region: String,
}

/// The endpoints of the services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// EC2's.
    pub ec2: Endpoint,
    /// Route 53's.
    pub route53: Endpoint,
    /// STS's.
    pub sts: Endpoint,
}

/// Where and how AWS is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The region, e.g. `eu-west-1`.
    pub region: String,
    /// The region's partition.
    pub partition: Partition,
    /// Where each service is reached.
    pub endpoints: Endpoints,
    /// Attempts per call, the first one included (`AWS_MAX_ATTEMPTS`).
    pub max_attempts: u32,
    /// How long one attempt to read may take.
    pub read_timeout: Duration,
    /// How long one attempt to change something may take. Shorter: whoever holds a lease must still hold it when
    /// the attempt ends.
    pub write_timeout: Duration,
    /// How long a call may take with all its attempts and the pauses between them. Waiting for the rate limiter
    /// isn't counted: it is a queue, not a failure.
    pub call_timeout: Duration,
    /// How many requests AWS grants; clients keep below that.
    pub rates: Rates,
    /// The `User-Agent` of each request.
    pub user_agent: String,
}

/// Why there is no [`Config`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// Nothing tells the region.
    RegionUnknown(String),
    /// A setting can't be used.
    Invalid(String),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::RegionUnknown(why) => write!(f, "the AWS region is not known: {why}"),
            ConfigError::Invalid(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for ConfigError {}

/// A variable that is set to something.
pub(crate) fn variable<'a>(environment: &'a Environment, name: &str) -> Option<&'a str> {
    environment.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
}

impl Config {
    /// The configuration of a region, with AWS's own endpoints and the default limits.
    ///
    /// # Errors
    /// When `region` isn't a region of a supported partition.
    pub fn new(region: &str) -> Result<Config, ConfigError> {
        Config::from_environment(&Environment::new(), Some(region))
    }

    /// The configuration that the environment describes; `region` (a flag, say) goes before `AWS_REGION`, and that
    /// before `AWS_DEFAULT_REGION`. Asks nobody.
    ///
    /// # Errors
    /// [`ConfigError::RegionUnknown`] when none of these is set; [`ConfigError::Invalid`] for a setting that can't
    /// be used.
    pub fn from_environment(environment: &Environment, region: Option<&str>) -> Result<Config, ConfigError> {
        let region = region
            .map(str::trim)
            .filter(|region| !region.is_empty())
            .or_else(|| variable(environment, "AWS_REGION"))
            .or_else(|| variable(environment, "AWS_DEFAULT_REGION"))
            .ok_or_else(|| ConfigError::RegionUnknown("set AWS_REGION".to_owned()))?;
        let partition = Partition::of_region(region).map_err(ConfigError::Invalid)?;
        let endpoints = Endpoints {
            ec2: endpoint(environment, Service::Ec2, partition, region)?,
            route53: endpoint(environment, Service::Route53, partition, region)?,
            sts: endpoint(environment, Service::Sts, partition, region)?,
        };
        Ok(Config {
            region: region.to_owned(),
            partition,
            endpoints,
            max_attempts: max_attempts(environment)?,
            read_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(30),
            rates: Rates::default(),
            user_agent: concat!("aws-api/", env!("CARGO_PKG_VERSION")).to_owned(),
        })
    }

    /// Like [`Config::from_environment`], but asks the instance (IMDSv2, through `transport`) for the region when
    /// nothing else tells it.
    ///
    /// # Errors
    /// As there; [`ConfigError::RegionUnknown`] says what to set when the instance doesn't answer either.
    pub async fn resolve(
        environment: &Environment,
        region_flag: Option<&str>,
        transport: Transport,
        time: Arc<dyn TimeSource>,
    ) -> Result<Config, ConfigError> {
        match Config::from_environment(environment, region_flag) {
            Err(ConfigError::RegionUnknown(_)) => {}
            known => return known,
        }
        let unknown = |why: String| {
            ConfigError::RegionUnknown(format!("{why}. Set AWS_REGION (or the region option), then IMDS isn't asked"))
        };
        let imds = Imds::from_environment(environment, transport, time)
            .map_err(ConfigError::Invalid)?
            .ok_or_else(|| unknown("nothing is set and AWS_EC2_METADATA_DISABLED forbids asking IMDS".to_owned()))?;
        let region = imds.region().await.map_err(|error| unknown(error.message))?;
        Config::from_environment(environment, Some(&region))
    }

    /// Where `service` is reached.
    pub fn endpoint(&self, service: Service) -> &Endpoint {
        match service {
            Service::Ec2 => &self.endpoints.ec2,
            Service::Route53 => &self.endpoints.route53,
            Service::Sts => &self.endpoints.sts,
        }
    }

    /// How long an attempt may take.
    pub(crate) fn attempt_timeout(&self, mutates: bool) -> Duration {
        if mutates { self.write_timeout } else { self.read_timeout }
    }
}

fn flag(environment: &Environment, name: &str) -> Result<bool, ConfigError> {
    match variable(environment, name) {
        None => Ok(false),
        Some(value) if value.eq_ignore_ascii_case("true") => Ok(true),
        Some(value) if value.eq_ignore_ascii_case("false") => Ok(false),
        Some(value) => Err(ConfigError::Invalid(format!("{name} is {value:?}: it must be true or false"))),
    }
}

fn max_attempts(environment: &Environment) -> Result<u32, ConfigError> {
    match variable(environment, "AWS_RETRY_MODE") {
        // There is one way of retrying here; it is close to `standard`.
        None | Some("standard" | "adaptive" | "legacy") => {}
        Some(other) => {
            return Err(ConfigError::Invalid(format!(
                "AWS_RETRY_MODE is {other:?}: it must be standard, adaptive or legacy"
            )));
        }
    }
    match variable(environment, "AWS_MAX_ATTEMPTS") {
        None => Ok(3),
        Some(text) => text.parse().ok().filter(|&attempts| attempts > 0).ok_or_else(|| {
            ConfigError::Invalid(format!("AWS_MAX_ATTEMPTS is {text:?}: it must be a number from 1 on"))
        }),
    }
}

/// Whether STS is asked at its one old host, where a region's requests once went there.
fn legacy_sts(environment: &Environment) -> Result<bool, ConfigError> {
    const NAME: &str = "AWS_STS_REGIONAL_ENDPOINTS";
    match variable(environment, NAME).map(str::to_ascii_lowercase).as_deref() {
        None | Some("regional") => Ok(false),
        Some("legacy") => Ok(true),
        Some(other) => Err(ConfigError::Invalid(format!("{NAME} is {other:?}: it must be regional or legacy"))),
    }
}

/// `AWS_ENDPOINT_URL_<SERVICE>`, else `AWS_ENDPOINT_URL`, else AWS's own.
fn endpoint(
    environment: &Environment,
    service: Service,
    partition: Partition,
    region: &str,
) -> Result<Endpoint, ConfigError> {
    let variant = Variant {
        fips: flag(environment, "AWS_USE_FIPS_ENDPOINT")?,
        dual_stack: flag(environment, "AWS_USE_DUALSTACK_ENDPOINT")?,
        legacy_sts: legacy_sts(environment)?,
    };
    let own = match service {
        Service::Ec2 => "AWS_ENDPOINT_URL_EC2",
        Service::Route53 => "AWS_ENDPOINT_URL_ROUTE_53",
        Service::Sts => "AWS_ENDPOINT_URL_STS",
    };
    let configured = [own, "AWS_ENDPOINT_URL"]
        .into_iter()
        .find_map(|name| variable(environment, name).map(|url| (name, url)))
        .filter(|_| !matches!(flag(environment, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"), Ok(true)));
    flag(environment, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")?;
    let url = match configured {
        Some((name, _)) if variant.fips || variant.dual_stack => {
            return Err(ConfigError::Invalid(format!(
                "{name} is set together with AWS_USE_FIPS_ENDPOINT or AWS_USE_DUALSTACK_ENDPOINT: one of them must go"
            )));
        }
        Some((name, url)) => {
            base_url(url).map_err(|why| ConfigError::Invalid(format!("{name} can't be used: {why}")))?
        }
        None => {
            let host = partition.host(service, region, variant);
            format!("https://{}", host.map_err(|why| ConfigError::Invalid(format!("{why}; set {own} instead")))?)
        }
    };
    // Whoever stands at an endpoint of one's own is asked as the region's.
    let variant = if configured.is_some() { Variant::default() } else { variant };
    let signing_region = partition.signing_region(service, region, variant);
    Ok(Endpoint { url, signing_region })
}

/// An http or https URL without a slash at the end. The error never quotes it: it may hold a password.
pub(crate) fn base_url(url: &str) -> Result<String, String> {
    let uri: Uri = url.parse().map_err(|_| "it isn't a URL".to_owned())?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("it must begin with http:// or https://".to_owned());
    }
    if uri.host().is_none_or(str::is_empty) || uri.authority().is_some_and(|it| it.as_str().contains('@')) {
        return Err("it must have a host, and no user name".to_owned());
    }
    if uri.query().is_some() || url.contains('#') {
        return Err("it must have no query and no fragment".to_owned());
    }
    Ok(url.trim_end_matches('/').to_owned())
}
