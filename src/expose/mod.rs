//! The core: what is asked for, what is there, and the next steps from the one to the other.
//!
//! Pure. No I/O, no async, no clock, no types of Kubernetes or AWS clients: everything comes in as the small
//! values below and goes out as values.
//!
//! The way through: [`annotations`] turns Services into [`Exposure`]s and [`Rejection`]s; [`nodes`] joins nodes
//! with their instances and tells which are eligible; [`placement`] chooses; [`firewall`], [`dns`] and
//! [`publication`] say what ought to be at each of the three places; [`plan`] compares that with what is and
//! names the steps that may be taken *now*. The loop takes them, looks again and asks again, until there is
//! none left. So a step never depends on the success of another one in the same plan, a crash between two steps
//! needs no special case, and the order of design section 4.1 is a property of the plan alone.

pub mod annotations;
pub mod brake;
pub mod dns;
pub mod firewall;
pub mod hostname;
pub mod nodes;
pub mod placement;
pub mod plan;
pub mod publication;
pub mod quotas;
pub(crate) mod quote;
pub mod report;
pub mod selector;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

pub use annotations::{Exposure, Rejection};
pub use dns::{Record, RecordKey, RecordType, Zone, ZoneId};
pub use firewall::{Cidr, ForeignRules, Group, GroupId, Rule};
pub use hostname::Hostname;
pub use nodes::{Instance, InstanceId, Lookup, Node, PrivateIp, PublicIp};
pub use placement::Placement;
pub use plan::{Action, Plan, Step, Target};
pub use publication::{Condition, FieldOwner};
pub use selector::{Requirement, Selector};

/// The prefix of all annotations and of the condition type, with its slash.
pub const PREFIX: &str = "external-ips.alpha.openfresh.github.io/";

/// A moment on the process's monotonic clock, as time since that clock's origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(pub Duration);

impl Moment {
    /// The moment `d` after this one.
    pub fn after(self, d: Duration) -> Moment {
        Moment(self.0.saturating_add(d))
    }
}

/// A Service's namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceKey {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ServiceKey {
    /// The key of the Service `name` in `namespace`.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> ServiceKey {
        ServiceKey { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Transport protocol of a Service port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP (6)
    Tcp,
    /// UDP (17)
    Udp,
    /// SCTP (132)
    Sctp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
            Protocol::Sctp => "SCTP",
        })
    }
}

/// A port that a Service listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// Protocol.
    pub protocol: Protocol,
    /// Port number, 1-65535.
    pub number: u16,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.protocol)
    }
}

/// `spec.type` of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceKind {
    /// `ClusterIP`
    ClusterIp,
    /// `NodePort`
    NodePort,
    /// `LoadBalancer`
    LoadBalancer,
    /// `ExternalName`: an alias, nothing that could be exposed.
    ExternalName,
}

/// What the core knows of a Service. Made at the door from the Kubernetes object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Namespace and name.
    pub key: ServiceKey,
    /// `metadata.uid`: tells a re-created Service from the old one.
    pub uid: String,
    /// `metadata.creationTimestamp`, in Unix seconds.
    pub created: i64,
    /// `spec.type`
    pub kind: ServiceKind,
    /// `spec.clusterIP` is `None`.
    pub headless: bool,
    /// `spec.ipFamilies` holds no IPv4.
    pub ipv6_only: bool,
    /// `spec.ports`, as they stand there.
    pub ports: Vec<Port>,
    /// Those annotations that start with [`PREFIX`], without it.
    pub annotations: BTreeMap<String, String>,
    /// `spec.loadBalancerSourceRanges`, as they stand there.
    pub source_ranges: Vec<String>,
    /// `spec.externalIPs`, as they stand there.
    pub external_ips: Vec<String>,
    /// Whose the list of `external_ips` is, by the object's managed fields.
    pub external_ips_owner: FieldOwner,
    /// The list is ours, and the 2018 version's claim on it still stands: a take-over was cut short.
    pub half_taken_over: bool,
    /// Whether our field manager owns anything on the object (list, annotations): what a release gives back.
    pub owns_fields: bool,
    /// Names of the nodes with a ready endpoint, where `externalTrafficPolicy` is `Local`; else `None`.
    pub local_nodes: Option<BTreeSet<String>>,
    /// Why it isn't known where all of these endpoints are: there may be one on any node.
    pub unread_endpoints: Option<String>,
    /// `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// Our condition on it, if there is one.
    pub ready: Option<Condition>,
}

/// Everything known of the cluster at one instant. Only ever built from complete lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// All Services in scope.
    pub services: BTreeMap<ServiceKey, Service>,
    /// All nodes, by name.
    pub nodes: BTreeMap<String, Node>,
    /// Services that exist but could never be read: what they have is kept.
    pub unreadable: BTreeSet<ServiceKey>,
    /// There is a node that exists but could never be read: an address that belongs to no known one may be its.
    pub unreadable_nodes: bool,
}

/// Everything known of AWS at one instant: what was read, brought up to date by the confirmed answers to our own
/// writes since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// What is known of each instance that a node or a group of ours names.
    pub instances: BTreeMap<InstanceId, Lookup>,
    /// Addresses, private and public, that an instance was seen with and later without: whose they were is no doubt.
    /// When each was last given up.
    pub former: BTreeMap<Ipv4Addr, Moment>,
    /// Instances whose groups AWS refused to enlarge, one of its quotas being used up, and when it last did. Others are
    /// chosen rather than these.
    pub full: BTreeMap<InstanceId, Moment>,
    /// What EC2 refused shows a quota of the account.
    pub groups_refused: Option<quotas::GroupsRefused>,
    /// The security groups that carry our tag.
    pub groups: BTreeMap<GroupId, Group>,
    /// The hosted zones that pass the filters.
    pub zones: BTreeMap<ZoneId, Zone>,
    /// The record sets of those zones.
    pub records: BTreeMap<ZoneId, BTreeMap<RecordKey, Record>>,
    /// The groups were read when what another process did last may not have shown yet: one that looks empty may not be.
    pub behind: bool,
    /// Instances that this process has seen a Node of in its term, for as long as reads are `behind`: where there is none any
    /// more, that is no read of the past.
    pub had_nodes: BTreeSet<InstanceId>,
    /// Zones whose records were read at such a time: one that lists nothing may do so, and what it lists may have gone.
    pub behind_zones: BTreeSet<ZoneId>,
    /// The names in those zones that this process has written since, and what they list by that: this much is sure.
    pub rewritten: BTreeMap<dns::NameKey, BTreeSet<PublicIp>>,
    /// Names that Route 53 said are not as they are known, or that a change of unknown outcome may have made otherwise,
    /// where reads still show what was there before: what they list isn't sure.
    pub contradicted: BTreeSet<dns::NameKey>,
    /// Instances with groups of [`Observed::closed`] by a read that may be older than what was closed, and that this
    /// process hasn't written to.
    pub unproven: BTreeSet<InstanceId>,
    /// Rules that were to be closed, and instances that a group was to be taken off, though nobody knows whether that
    /// took effect; and from when on a read tells.
    pub closings: BTreeMap<(GroupId, Rule), Moment>,
    /// See [`Observed::closings`].
    pub detachments: BTreeMap<InstanceId, Moment>,
    /// Of which groups another process has closed something so lately that reads may not show it yet.
    pub closed: Closed,
    /// While the same as of [`Observed::unproven`] holds for the rules of those groups: those that this process opened
    /// itself.
    pub opened: Option<BTreeSet<(GroupId, Rule)>>,
    /// Changes of names whose outcome isn't known, and no later one is: what they would list may be listed, whatever a
    /// read shows, since it may show the past.
    pub unsettled: BTreeMap<dns::NameKey, Unsettled>,
}

/// Of which security groups something was closed lately: rules, or their attachments, or they themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Of these.
    Of(BTreeSet<GroupId>),
    /// Nobody knows of which.
    Any,
}

impl Default for Closed {
    fn default() -> Closed {
        Closed::Of(BTreeSet::new())
    }
}

impl Closed {
    /// Whether it may be this group.
    pub fn concerns(&self, group: &GroupId) -> bool {
        match self {
            Closed::Of(groups) => groups.contains(group),
            Closed::Any => true,
        }
    }

    /// Whether it may be all of these groups.
    pub fn covers(&self, groups: &BTreeSet<GroupId>) -> bool {
        groups.iter().all(|group| self.concerns(group))
    }
}

/// What a name may list, since a change that would have it so was sent and its answer lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsettled {
    /// The Service that it is for.
    pub service: ServiceKey,
    /// The addresses that some such change would have it list.
    pub public_ips: BTreeSet<PublicIp>,
    /// Those that all of them would.
    pub kept: BTreeSet<PublicIp>,
    /// Those that the name listed before, as the changes had it: until one is known to have taken effect, it may still.
    pub before: BTreeSet<PublicIp>,
    /// The highest TTL of all this, in seconds.
    pub ttl: u32,
    /// When the last such change was sent.
    pub at: Moment,
}

/// How long a change whose outcome isn't known may still take effect, or be hidden from reads.
const UNSETTLED: Duration = Duration::from_secs(120);

impl Unsettled {
    /// From when on a read tells what became of it.
    pub fn until(&self) -> Moment {
        self.at.after(UNSETTLED)
    }

    /// Whether the zone's records list just these addresses under the name.
    pub fn is_shown(&self, name: &str, records: &BTreeMap<RecordKey, Record>) -> bool {
        let one = self.kept == self.public_ips;
        one && records.get(&dns::address_key(name)).is_some_and(|record| {
            record.values.len() == self.public_ips.len()
                && record
                    .values
                    .iter()
                    .all(|value| value.parse().is_ok_and(|ip| self.public_ips.contains(&PublicIp(ip))))
        })
    }
}

/// What the process remembers between rounds. All of it may be lost with the process: it makes things gentler
/// or slower, never less safe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Dry runs of publications and their outcome.
    pub trials: BTreeMap<ServiceKey, Trial>,
    /// Addresses that are published but in no record any more, since when.
    pub drains: BTreeMap<(ServiceKey, PrivateIp), Drain>,
    /// Names whose TTL was lowered, while answers with the higher one may be about.
    pub lowered: BTreeMap<dns::NameKey, Lowered>,
    /// Names that this process has withdrawn, or tried to, while answers from before may be about. Should somebody ask for
    /// one again, its twin tells so.
    pub withdrawn: BTreeMap<String, Lowered>,
    /// While there are Services that may be in use and can't be seen: the rules that those who can be seen have needed
    /// where they are published. Nobody else has inherited these.
    pub claimed: BTreeSet<(InstanceId, Rule)>,
    /// What failed lately.
    pub failures: BTreeMap<Target, Failure>,
    /// Names whose last change Route 53 has not yet confirmed to be on its servers.
    pub unsynced: BTreeSet<Hostname>,
}

impl Memory {
    /// Whether the TTL of a name was lowered while answers with the higher one may be about.
    pub fn lowered(&self, name: &dns::OwnedName) -> Option<&Lowered> {
        // Hardly ever: most plans need no key for each name.
        (!self.lowered.is_empty()).then(|| self.lowered.get(&(name.zone.clone(), name.name.clone()))).flatten()
    }

    /// The step was taken at `now`, whatever came of it.
    pub fn tried(&mut self, action: &Action, now: Moment) {
        let Action::ChangeRecords(change) = action else { return };
        let ttl = change.delete.values().filter_map(|record| record.ttl).max().filter(|_| change.withdraws());
        if let Some(ttl) = ttl {
            let news = Lowered { ttl, to: 0, since: now };
            let known = self.withdrawn.entry(change.name.clone()).or_insert(news);
            if known.remembered_until() < news.remembered_until() {
                *known = news;
            }
        }
    }
}

/// The outcome of a dry run of a publication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The Service's uid it was tried with.
    pub uid: String,
    /// Addresses that were tried.
    pub addresses: Vec<PrivateIp>,
    /// When.
    pub at: Moment,
    /// Why it was refused; `None` when it would be accepted.
    pub refused: Option<String>,
    /// How many times in a row it was refused.
    pub refusals: u32,
}

impl Trial {
    /// Until when a refusal is believed, before it is tried again: it may be a passing one, and a policy lasts.
    pub fn believed_until(&self) -> Moment {
        const FIRST: Duration = Duration::from_secs(10);
        const LONGEST: Duration = Duration::from_secs(300);
        let doubled = FIRST.saturating_mul(1 << self.refusals.saturating_sub(1).min(16));
        self.at.after(doubled.min(LONGEST))
    }
}

/// A published address that is leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// TTL of the record that last held its public twin, in seconds.
    pub ttl: u32,
    /// Since when no record holds it; `None` while one does, or may: one of a zone that can't be read.
    pub since: Option<Moment>,
    /// Whether a record that could be read held it since it was published: if none did, some other must have.
    pub seen: bool,
    /// When resolvers have forgotten the answers with a higher TTL that were given before; the record's way to all
    /// of Route 53's servers not counted in.
    pub remembered_until: Moment,
}

/// A name whose TTL was lowered, or that was withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lowered {
    /// The higher TTL, in seconds.
    pub ttl: u32,
    /// The lower one; 0 when it was withdrawn.
    pub to: u32,
    /// When answers with the higher one were last given.
    pub since: Moment,
}

impl Lowered {
    /// The same when the TTL is `to` now. Where that is lower still, the answers with the one in between may outlast those
    /// with the highest: it is as if that had been lowered so much later.
    pub fn lowered_to(self, to: u32, now: Moment) -> Lowered {
        let later = Duration::from_secs(self.ttl.saturating_sub(self.to).into());
        let since = if to < self.to { self.since.max(Moment(now.0.saturating_sub(later))) } else { self.since };
        Lowered { to, since, ..self }
    }

    /// When resolvers have forgotten the answers with the higher TTL; the record's way to all of Route 53's servers not
    /// counted in.
    pub fn remembered_until(&self) -> Moment {
        self.since.after(Duration::from_secs(self.ttl.into()))
    }
}

/// A step that failed, and when it may be tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What its Services' owners read as the reason.
    pub reason: Reason,
    /// What was tried, what was answered, what to do.
    pub message: String,
    /// How many times in a row.
    pub attempts: u32,
    /// Not to be tried again before this moment.
    pub retry_at: Moment,
    /// For whose sake it was tried. Nobody's, when what it rests on couldn't be read: nothing is known to be in its way.
    pub tried_for: BTreeSet<ServiceKey>,
    /// The Services whose rules are refused for what is in them; where there are any, nobody else's are held back.
    pub refused_for: BTreeSet<ServiceKey>,
}

impl Failure {
    /// Whether the step has to wait.
    pub fn holds(&self, step: &plan::Step, now: Moment) -> bool {
        let goes_on = match step.action {
            Action::Authorize { .. } => self.is_of_others(&step.services),
            // It lets in what is open already.
            Action::Attach { .. } => !self.refused_for.is_empty(),
            _ => false,
        };
        now < self.retry_at && !goes_on
    }

    /// Whether something is refused, and none of it to these.
    pub fn is_of_others(&self, these: &[ServiceKey]) -> bool {
        !self.refused_for.is_empty() && these.iter().all(|service| !self.refused_for.contains(service))
    }
}

/// The reasons a Service's owner reads in the condition and in Events: one CamelCase word each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Reason {
    /// All as asked for.
    Synced,
    /// On the way.
    Progressing,
    /// Served, but not as it should be.
    Degraded,
    InvalidAnnotation,
    /// A type or shape of Service that can't be exposed.
    UnsupportedService,
    ReservedPort,
    NoEligibleNodes,
    PortConflict,
    /// The name isn't one this daemon may publish.
    HostnameForbidden,
    /// The name belongs to another Service or to someone else's record.
    HostnameTaken,
    ZoneNotFound,
    SecurityGroupLimit,
    AccessDenied,
    Throttled,
    /// An admission controller refuses `spec.externalIPs`.
    ExternalIPsForbidden,
    /// Someone else set `spec.externalIPs`.
    ExternalIPsTaken,
    /// AWS or the API server answered with an error.
    Failed,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Which deletions are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Policy {
    /// What nobody asks for any more is removed.
    #[default]
    Sync,
    /// Things are created and changed, never removed: a Service that no longer asks keeps what it has.
    UpsertOnly,
}

/// What the core is configured with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name of the cluster, part of the names and tags of security groups.
    pub cluster: String,
    /// Owner id in the TXT records.
    pub owner: String,
    /// The one namespace that is served; `None` for all. What belongs to others is never touched.
    pub namespace: Option<String>,
    /// Hostnames must be under one of these; empty: any.
    pub domains: Vec<Hostname>,
    /// Nodes per Service where `maxips` is absent; `None`: all that match.
    pub default_max_nodes: Option<usize>,
    /// TTL of records where `ttl` is absent, in seconds.
    pub default_ttl: u32,
    /// Port numbers that are refused.
    pub reserved_ports: Vec<(u16, u16)>,
    /// Whether cordoned nodes stay eligible.
    pub keep_cordoned: bool,
    /// Security groups per interface (AWS: 5 unless raised, 16 at most).
    pub groups_per_interface: usize,
    /// Inbound rules per group, IPv4 and IPv6 counted apart (AWS: 60 unless raised).
    pub rules_per_group: usize,
    /// How long a record may take to reach all of Route 53's servers (AWS: about 60 s).
    pub propagation: Duration,
    /// Which deletions are allowed.
    pub policy: Policy,
    /// Whether most of what is exposed may be withdrawn at once ([`brake`]).
    pub allow_mass_delete: bool,
}

impl Settings {
    /// Whether this daemon is responsible for the Service.
    pub fn in_scope(&self, key: &ServiceKey) -> bool {
        self.namespace.as_ref().is_none_or(|n| *n == key.namespace)
    }
}

impl Default for Settings {
    /// The defaults of the command line, for a cluster named `default`.
    fn default() -> Settings {
        Settings {
            cluster: "default".into(),
            owner: "default".into(),
            namespace: None,
            domains: Vec::new(),
            default_max_nodes: None,
            default_ttl: 60,
            reserved_ports: DEFAULT_RESERVED_PORTS.to_vec(),
            keep_cordoned: true,
            groups_per_interface: 5,
            rules_per_group: 60,
            propagation: Duration::from_secs(60),
            policy: Policy::Sync,
            allow_mass_delete: false,
        }
    }
}

/// Ports that nodes themselves need: ssh, BGP, etcd, the API server, the kubelet, kube-proxy's health check.
pub const DEFAULT_RESERVED_PORTS: &[(u16, u16)] =
    &[(22, 22), (179, 179), (2379, 2380), (6443, 6443), (10250, 10250), (10255, 10256)];
