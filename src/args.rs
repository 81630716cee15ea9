//! The command line, and the configuration that it means.
//!
//! Owns flags, defaults and what is refused. Pure: nothing is looked up here beyond the arguments and the
//! environment; what only the cluster or AWS can tell (a namespace, a region) stays open for the composition.

#[cfg(test)]
mod tests;
mod values;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use slog::Level;

use crate::cloud::ZoneType;
use crate::expose::{DEFAULT_RESERVED_PORTS, Hostname, Policy, Settings};
use crate::logging::Format;
use values::{Listen, PortRange};

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "external-ips",
    version,
    about = "Exposes annotated Kubernetes Services on the public addresses of AWS nodes",
    long_about = "Exposes annotated Kubernetes Services on the public addresses of AWS nodes: no load balancer, no \
                  NodePort, any port, UDP too.\n\n\
                  It picks nodes, opens their security groups, writes DNS records in Route 53 and sets \
                  spec.externalIPs; and undoes all of it when the annotation goes away.",
    arg_required_else_help = true,
    after_help = EXAMPLE
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon
    #[command(after_help = EXAMPLE)]
    Run(Box<RunArgs>),
    /// Print the version
    Version,
}

/// What stands at the end of the help.
const EXAMPLE: &str = "\
Durations are written as 90s, 10m or 1h30m. Every flag of `run` can be set as EXTERNAL_IPS_<NAME> instead
(--cluster-name: EXTERNAL_IPS_CLUSTER_NAME); the flag wins.

Example: first look at what it would do, changing nothing, then run it:

  external-ips run --cluster-name prod --domain-filter example.com --dry-run --once
  external-ips run --cluster-name prod --domain-filter example.com

A Service asks to be exposed with annotations; only the first is needed:

  metadata:
    annotations:
      external-ips.alpha.openfresh.github.io/hostname: game.example.com
      external-ips.alpha.openfresh.github.io/selector: role=edge      # nodes; default: all
      external-ips.alpha.openfresh.github.io/maxips: \"2\"              # at most so many nodes
      external-ips.alpha.openfresh.github.io/ttl: 60s                 # of the DNS record
      external-ips.alpha.openfresh.github.io/source-ranges: 203.0.113.0/24   # who is let in";

/// The flags of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Name of this cluster: part of the names and tags of security groups, and the owner id of DNS records. Never
    /// change it while something is exposed: what has the old name isn't ours any more
    #[arg(long, env = "EXTERNAL_IPS_CLUSTER_NAME", value_name = "NAME", value_parser = values::name, help_heading = "Scope")]
    cluster_name: String,

    /// Serve the Services of this namespace only [default: all namespaces]
    #[arg(long, env = "EXTERNAL_IPS_NAMESPACE", value_name = "NAMESPACE", value_parser = values::optional(values::label), help_heading = "Scope")]
    namespace: Option<values::Maybe>,

    /// Path of a kubeconfig file [default: the pod's service account, else ~/.kube/config]
    #[arg(long, env = "EXTERNAL_IPS_KUBECONFIG", value_name = "PATH", help_heading = "Scope")]
    kubeconfig: Option<PathBuf>,

    /// AWS region of the nodes, such as eu-west-1 [default: AWS_REGION, the AWS profile, the node's metadata]
    #[arg(long, env = "EXTERNAL_IPS_REGION", value_name = "REGION", value_parser = values::optional(values::region), help_heading = "Scope")]
    region: Option<values::Maybe>,

    /// Publish only names under this domain; several separated by commas, or the flag repeated [default: any]
    #[arg(
        long,
        env = "EXTERNAL_IPS_DOMAIN_FILTER",
        value_name = "DOMAIN",
        value_delimiter = ',',
        help_heading = "DNS"
    )]
    domain_filter: Vec<String>,

    /// Use only the hosted zone with this id; several as above [default: any]
    #[arg(long, env = "EXTERNAL_IPS_ZONE_ID_FILTER", value_name = "ID", value_delimiter = ',', help_heading = "DNS")]
    zone_id_filter: Vec<String>,

    /// Use only hosted zones of this type
    #[arg(
        long,
        env = "EXTERNAL_IPS_ZONE_TYPE",
        value_name = "TYPE",
        value_enum,
        default_value = "public",
        help_heading = "DNS"
    )]
    zone_type: ZoneTypeName,

    /// Owner id in the TXT records that mark DNS records as ours; must differ from that of every other writer
    /// (another cluster, ExternalDNS) in the same zones [default: the cluster name]
    #[arg(long, env = "EXTERNAL_IPS_OWNER_ID", value_name = "ID", value_parser = values::optional(values::name), help_heading = "DNS")]
    owner_id: Option<values::Maybe>,

    /// TTL of DNS records where a Service has no `ttl` annotation; whole seconds, at most 7 days
    #[arg(long, env = "EXTERNAL_IPS_DEFAULT_TTL", value_name = "DURATION", value_parser = values::ttl, default_value = "60s", help_heading = "DNS")]
    default_ttl: u32,

    /// How long a record may take to reach all of Route 53's servers: a node that leaves stays open for this and
    /// the TTL after its record is gone
    #[arg(long, env = "EXTERNAL_IPS_DNS_PROPAGATION", value_name = "DURATION", value_parser = values::duration, default_value = "60s", help_heading = "DNS")]
    dns_propagation: Duration,

    /// Nodes per Service where it has no `maxips` annotation [default: all that match]
    #[arg(long, env = "EXTERNAL_IPS_DEFAULT_MAX_IPS", value_name = "COUNT", help_heading = "Exposure")]
    default_max_ips: Option<NonZeroUsize>,

    /// Ports that no Service may use on a node, as 8080,9000-9100; added to those that nodes need themselves (22,
    /// 179, 2379-2380, 6443, 10250, 10255-10256)
    #[arg(
        long,
        env = "EXTERNAL_IPS_RESERVED_PORTS",
        value_name = "PORTS",
        value_delimiter = ',',
        help_heading = "Exposure"
    )]
    reserved_ports: Vec<PortRange>,

    /// `sync` removes what nobody asks for any more; `upsert-only` never removes anything
    #[arg(
        long,
        env = "EXTERNAL_IPS_POLICY",
        value_name = "POLICY",
        value_enum,
        default_value = "sync",
        help_heading = "Exposure"
    )]
    policy: PolicyName,

    /// Say what would be done, and change nothing. Needs no leadership
    #[arg(long, env = "EXTERNAL_IPS_DRY_RUN", value_parser = BoolishValueParser::new(), help_heading = "Exposure")]
    dry_run: bool,

    /// Do what is to be done now, then end: with 0 when all is as asked for, else with 1
    #[arg(long, env = "EXTERNAL_IPS_ONCE", value_parser = BoolishValueParser::new(), help_heading = "Exposure")]
    once: bool,

    /// Everything is read anew from AWS this often (varied by a fifth); at least 10s
    #[arg(long, env = "EXTERNAL_IPS_FULL_SYNC_INTERVAL", value_name = "DURATION", value_parser = values::full_sync, default_value = "10m", help_heading = "Exposure")]
    full_sync_interval: Duration,

    /// Name of the Lease that decides which replica acts
    #[arg(long, env = "EXTERNAL_IPS_LEASE_NAME", value_name = "NAME", value_parser = values::subdomain, default_value = "external-ips", help_heading = "Leadership")]
    lease_name: String,

    /// Its namespace [default: the pod's own]
    #[arg(long, env = "EXTERNAL_IPS_LEASE_NAMESPACE", value_name = "NAMESPACE", value_parser = values::optional(values::label), help_heading = "Leadership")]
    lease_namespace: Option<values::Maybe>,

    /// A leader that is silent for so long is replaced; whole seconds, 5s to 5m
    #[arg(long, env = "EXTERNAL_IPS_LEASE_DURATION", value_name = "DURATION", value_parser = values::lease_duration, default_value = "15s", help_heading = "Leadership")]
    lease_duration: Duration,

    /// Name of this pod, as the Lease's holder shows it [default: POD_NAME, else HOSTNAME]
    #[arg(long, env = "EXTERNAL_IPS_POD_NAME", value_name = "NAME", value_parser = values::optional(values::subdomain), help_heading = "Leadership")]
    pod_name: Option<values::Maybe>,

    /// Address and port for /livez, /readyz and /metrics; `off` for none
    #[arg(
        long,
        env = "EXTERNAL_IPS_LISTEN",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:8080",
        help_heading = "Observation"
    )]
    listen: Listen,

    /// `text` for people, `json` for machines: one object per line
    #[arg(
        long,
        env = "EXTERNAL_IPS_LOG_FORMAT",
        value_name = "FORMAT",
        value_enum,
        default_value = "text",
        help_heading = "Observation"
    )]
    log_format: Format,

    /// Least important lines to log (release builds have no `trace`)
    #[arg(
        long,
        env = "EXTERNAL_IPS_LOG_LEVEL",
        value_name = "LEVEL",
        value_enum,
        default_value = "info",
        help_heading = "Observation"
    )]
    log_level: LevelName,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ZoneTypeName {
    /// Those that the internet sees
    Public,
    /// Those that only VPCs see
    Private,
    /// All
    Any,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PolicyName {
    Sync,
    UpsertOnly,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LevelName {
    Trace,
    Debug,
    Info,
    #[value(alias = "warning")]
    Warn,
    Error,
}

/// What `run` is to do: everything that the command line decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The core's part.
    pub settings: Settings,
    /// Which hosted zones are looked at.
    pub filters: Filters,
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
            .map(|domain| domain.parse::<Hostname>().map_err(|why| format!("--domain-filter: {why}")))
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
        let from_env = |name| env(name).filter(|value| !value.is_empty());
        let settings = Settings {
            cluster: self.cluster_name,
            owner,
            namespace: values::given(self.namespace),
            domains: domains.clone(),
            default_max_nodes: self.default_max_ips.map(NonZeroUsize::get),
            default_ttl: self.default_ttl,
            reserved_ports,
            propagation: self.dns_propagation,
            policy: match self.policy {
                PolicyName::Sync => Policy::Sync,
                PolicyName::UpsertOnly => Policy::UpsertOnly,
            },
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
            region: values::given(self.region),
            kubeconfig: self.kubeconfig.filter(|path| !path.as_os_str().is_empty()),
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

/// The parts of a list that hold something: charts render lists that may be empty.
fn filled(list: &[String]) -> impl Iterator<Item = &str> {
    list.iter().map(|item| item.trim()).filter(|item| !item.is_empty())
}
