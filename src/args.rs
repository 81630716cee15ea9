//! The command line, and the configuration that it means.
//!
//! Owns flags, defaults and what is refused. Pure: nothing is looked up here beyond the arguments and the
//! environment; what only the cluster or AWS can tell (a namespace, a region) stays open for the composition.

mod config;
#[cfg(test)]
mod tests;
mod values;

use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::logging::Format;
use values::{Listen, PortRange};

pub use config::{Config, DnsRole, Filters, Lease};

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
Durations are written as 90s, 10m or 1h30m. Every flag of `run` can be given as an environment
variable instead (--cluster-name as EXTERNAL_IPS_CLUSTER_NAME); the flag wins.

Example: first look at what it would do, changing nothing, then run it:

  external-ips run --cluster-name prod --domain-filter example.com --dry-run --once
  external-ips run --cluster-name prod --domain-filter example.com --lease-namespace external-ips

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
    #[arg(
        long, env = "EXTERNAL_IPS_CLUSTER_NAME", value_name = "NAME", value_parser = values::name,
        help_heading = "Scope"
    )]
    cluster_name: String,

    /// Serve the Services of this namespace only; daemons for several of them need a --cluster-name each, since each
    /// takes the groups of its cluster for its own [default: all namespaces]
    #[arg(
        long, env = "EXTERNAL_IPS_NAMESPACE", value_name = "NAMESPACE",
        value_parser = values::optional(values::label), help_heading = "Scope"
    )]
    namespace: Option<values::Maybe>,

    /// Path of a kubeconfig file [default: KUBECONFIG, ~/.kube/config, else the pod's service account]
    #[arg(
        long, env = "EXTERNAL_IPS_KUBECONFIG", value_name = "PATH",
        value_parser = values::optional(values::text), help_heading = "Scope"
    )]
    kubeconfig: Option<values::Maybe>,

    /// AWS region of the nodes, such as eu-west-1 [default: AWS_REGION, AWS_DEFAULT_REGION, the
    /// profile's, the node's metadata]
    #[arg(
        long, env = "EXTERNAL_IPS_REGION", value_name = "REGION",
        value_parser = values::optional(values::region), help_heading = "Scope"
    )]
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
    #[arg(
        long, env = "EXTERNAL_IPS_OWNER_ID", value_name = "ID",
        value_parser = values::optional(values::name), help_heading = "DNS"
    )]
    owner_id: Option<values::Maybe>,

    /// Role to take on (sts:AssumeRole) for Route 53 alone, as arn:aws:iam::111122223333:role/NAME, where the hosted
    /// zones belong to another account; EC2 keeps the daemon's own credentials [default: none]
    #[arg(
        long, env = "EXTERNAL_IPS_DNS_ROLE_ARN", value_name = "ARN",
        value_parser = values::optional(values::role_arn), help_heading = "DNS"
    )]
    dns_role_arn: Option<values::Maybe>,

    /// External id to show when that role is taken on, where its trust policy asks for one (sts:ExternalId)
    /// [default: none]
    #[arg(
        long, env = "EXTERNAL_IPS_DNS_EXTERNAL_ID", value_name = "ID",
        value_parser = values::optional(values::external_id), help_heading = "DNS"
    )]
    dns_external_id: Option<values::Maybe>,

    /// TTL of DNS records where a Service has no `ttl` annotation; whole seconds, at most 7 days
    #[arg(
        long, env = "EXTERNAL_IPS_DEFAULT_TTL", value_name = "DURATION", value_parser = values::ttl,
        default_value = "60s", help_heading = "DNS"
    )]
    default_ttl: u32,

    /// How long a record may take to reach all of Route 53's servers: a node that leaves stays open for this and
    /// the TTL after its record is gone
    #[arg(
        long, env = "EXTERNAL_IPS_DNS_PROPAGATION", value_name = "DURATION", value_parser = values::duration,
        default_value = "60s", help_heading = "DNS"
    )]
    dns_propagation: Duration,

    /// Nodes per Service where it has no `maxips` annotation [default: all that match]
    #[arg(
        long, env = "EXTERNAL_IPS_DEFAULT_MAX_IPS", value_name = "COUNT",
        value_parser = values::optional(values::count), help_heading = "Exposure"
    )]
    default_max_ips: Option<values::Maybe<usize>>,

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

    /// `sync` removes what nobody asks for any more; `upsert-only` takes nothing from Services that stop asking
    #[arg(
        long,
        env = "EXTERNAL_IPS_POLICY",
        value_name = "POLICY",
        value_enum,
        default_value = "sync",
        help_heading = "Exposure"
    )]
    policy: PolicyName,

    /// Withdraw also when more than half of the exposed Services, and more than five, stop asking at once. Without
    /// it that is taken for an accident, and nothing of theirs is removed
    #[arg(
        long, env = "EXTERNAL_IPS_ALLOW_MASS_DELETE", value_parser = BoolishValueParser::new(),
        help_heading = "Exposure"
    )]
    allow_mass_delete: bool,

    /// Say what would be done, and change nothing. Needs no leadership
    #[arg(long, env = "EXTERNAL_IPS_DRY_RUN", value_parser = BoolishValueParser::new(), help_heading = "Exposure")]
    dry_run: bool,

    /// Do what is to be done now, then end: with 0 when all is as asked for, else with 1 (also when it didn't come
    /// to lead within a minute, or within the Lease's duration and half a minute)
    #[arg(long, env = "EXTERNAL_IPS_ONCE", value_parser = BoolishValueParser::new(), help_heading = "Exposure")]
    once: bool,

    /// Everything is read anew from AWS, and listed anew from the API server, this often (varied by a fifth); at least 10s
    #[arg(
        long, env = "EXTERNAL_IPS_FULL_SYNC_INTERVAL", value_name = "DURATION",
        value_parser = values::full_sync, default_value = "10m", help_heading = "Exposure"
    )]
    full_sync_interval: Duration,

    /// Name of the Lease that decides which replica acts
    #[arg(
        long, env = "EXTERNAL_IPS_LEASE_NAME", value_name = "NAME", value_parser = values::subdomain,
        default_value = "external-ips", help_heading = "Leadership"
    )]
    lease_name: String,

    /// Its namespace [default: the pod's own; outside a pod the kubeconfig's, which is seldom that of the pods]
    #[arg(
        long, env = "EXTERNAL_IPS_LEASE_NAMESPACE", value_name = "NAMESPACE",
        value_parser = values::optional(values::label), help_heading = "Leadership"
    )]
    lease_namespace: Option<values::Maybe>,

    /// A leader that is silent for so long is replaced; whole seconds, 5s to 5m
    #[arg(
        long, env = "EXTERNAL_IPS_LEASE_DURATION", value_name = "DURATION",
        value_parser = values::lease_duration, default_value = "15s", help_heading = "Leadership"
    )]
    lease_duration: Duration,

    /// Name of this pod, as the Lease's holder shows it [default: POD_NAME, else HOSTNAME]
    #[arg(
        long, env = "EXTERNAL_IPS_POD_NAME", value_name = "NAME",
        value_parser = values::optional(values::subdomain), help_heading = "Leadership"
    )]
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
