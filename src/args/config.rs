//! What the command line means.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use slog::Level;

use super::{LevelName, PolicyName, RunArgs, ZoneTypeName, values};
use crate::cloud::ZoneType;
use crate::expose::{DEFAULT_RESERVED_PORTS, Hostname, Policy, Settings};
use crate::logging::Format;

/// What `run` is to do: everything that the command line decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The core's part.
    pub settings: Settings,
    /// Which hosted zones are looked at.
    pub filters: Filters,
    /// The role that Route 53 is asked with; `None`: with the daemon's own credentials.
    pub dns_role: Option<DnsRole>,
    /// AWS region; `None`: look for it.
    pub region: Option<String>,
    /// Path of a kubeconfig file; `None`: look for one.
    pub kubeconfig: Option<PathBuf>,
    /// The Lease.
    pub lease: Lease,
    /// Plan and log, change nothing.
    pub dry_run: bool,
    /// End when nothing is left to do now.
    pub once: bool,
    /// What log lines look like.
    pub log_format: Format,
    /// The least important level that is logged.
    pub log_level: Level,
    /// Where probes and metrics are; `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// How often everything is read anew from AWS.
    pub full_sync: Duration,
    /// Name of this pod, where it is known.
    pub pod_name: Option<String>,
}

/// Which hosted zones are looked at. Empty lists mean any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// Zones that hold names under one of these.
    pub domains: Vec<Hostname>,
    /// Zones with one of these ids, without `/hostedzone/`.
    pub zone_ids: Vec<String>,
    /// Zones of this type.
    pub zone_type: ZoneType,
}

/// A role for Route 53 alone: the hosted zones are another account's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsRole {
    /// Its ARN.
    pub arn: String,
    /// The external id that its trust policy asks for.
    pub external_id: Option<String>,
}

/// The Lease that decides who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its name.
    pub name: String,
    /// Its namespace; `None`: the pod's own.
    pub namespace: Option<String>,
    /// A holder that is silent for so long is replaced. Whole seconds.
    pub duration: Duration,
}

impl RunArgs {
    /// What the arguments mean. `env` looks up environment variables that others set (`POD_NAME`, `HOSTNAME`).
    ///
    /// # Errors
    /// What is wrong with which flag and what to write instead, in words for people.
    pub fn config(self, env: impl Fn(&str) -> Option<String>) -> Result<Config, String> {
        let domains = filled(&self.domain_filter)
            .map(|text| domain(text).map_err(|why| format!("--domain-filter: {why}")))
            .collect::<Result<Vec<_>, _>>()?;
        let zone_ids = filled(&self.zone_id_filter)
            .map(|id| values::zone_id(id).map_err(|why| format!("--zone-id-filter: {why}")))
            .collect::<Result<Vec<_>, _>>()?;
        let owner = values::given(self.owner_id).unwrap_or_else(|| self.cluster_name.clone());
        if owner == "default" {
            return Err("the owner id `default` is what ExternalDNS uses when nobody chose one, so records that it \
                        wrote would be taken for ours: choose another with --owner-id"
                .into());
        }
        let mut reserved_ports = DEFAULT_RESERVED_PORTS.to_vec();
        reserved_ports.extend(self.reserved_ports.iter().flat_map(|range| range.0));
        let dns_role = match (values::given(self.dns_role_arn), values::given(self.dns_external_id)) {
            (Some(arn), external_id) => Some(DnsRole { arn, external_id }),
            (None, None) => None,
            (None, Some(_)) => {
                return Err("--dns-external-id goes with --dns-role-arn, which is not given: no role is taken on, so \
                            there is nobody to show the external id to"
                    .into());
            }
        };
        let from_env = |name| env(name).filter(|value| !value.is_empty());
        let settings = Settings {
            cluster: self.cluster_name,
            owner,
            namespace: values::given(self.namespace),
            domains: domains.clone(),
            default_max_nodes: values::given(self.default_max_ips),
            default_ttl: self.default_ttl,
            reserved_ports,
            propagation: self.dns_propagation,
            policy: match self.policy {
                PolicyName::Sync => Policy::Sync,
                PolicyName::UpsertOnly => Policy::UpsertOnly,
            },
            allow_mass_delete: self.allow_mass_delete,
            ..Settings::default()
        };
        Ok(Config {
            settings,
            filters: Filters {
                domains,
                zone_ids,
                zone_type: match self.zone_type {
                    ZoneTypeName::Public => ZoneType::Public,
                    ZoneTypeName::Private => ZoneType::Private,
                    ZoneTypeName::Any => ZoneType::Any,
                },
            },
            dns_role,
            region: values::given(self.region),
            kubeconfig: values::given(self.kubeconfig).map(PathBuf::from),
            lease: Lease {
                name: self.lease_name,
                namespace: values::given(self.lease_namespace),
                duration: self.lease_duration,
            },
            dry_run: self.dry_run,
            once: self.once,
            log_format: self.log_format,
            log_level: match self.log_level {
                LevelName::Trace => Level::Trace,
                LevelName::Debug => Level::Debug,
                LevelName::Info => Level::Info,
                LevelName::Warn => Level::Warning,
                LevelName::Error => Level::Error,
            },
            listen: self.listen.0,
            full_sync: self.full_sync_interval,
            pod_name: values::given(self.pod_name).or_else(|| from_env("POD_NAME")).or_else(|| from_env("HOSTNAME")),
        })
    }
}

/// A domain that names are published under.
fn domain(text: &str) -> Result<Hostname, String> {
    match text.strip_prefix("*.").or_else(|| text.strip_prefix('.')) {
        Some(rest) => Err(format!("write `{rest}` instead of `{text}`: all names below it are meant anyway")),
        None => Hostname::domain(text),
    }
}

/// The parts of a list that hold something: charts render lists that may be empty.
fn filled(list: &[String]) -> impl Iterator<Item = &str> {
    list.iter().map(|item| item.trim()).filter(|item| !item.is_empty())
}
