//! From a Service's annotations to an exposure, or to a rejection that its owner understands.

use super::{Cidr, Hostname, Port, Reason, Service, ServiceKey, Settings};
use std::collections::{BTreeMap, BTreeSet};

/// A Service that asks to be exposed and whose annotations are valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// Namespace and name.
    pub service: ServiceKey,
    /// `metadata.uid`
    pub uid: String,
    /// `metadata.creationTimestamp`, in Unix seconds: the older Service wins.
    pub created: i64,
    /// Names to publish, at least one, sorted.
    pub hostnames: BTreeSet<Hostname>,
    /// Which nodes.
    pub selector: Selector,
    /// At most this many nodes; `None`: all that match.
    pub max_nodes: Option<usize>,
    /// TTL of the records, in seconds.
    pub ttl: u32,
    /// Who is allowed in, at least one range.
    pub sources: BTreeSet<Cidr>,
    /// What it listens on, at least one port.
    pub ports: BTreeSet<Port>,
    /// Only nodes of these names, where `externalTrafficPolicy` is `Local`.
    pub local_nodes: Option<BTreeSet<String>>,
}

/// A Service that asks but can't be served, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Namespace and name.
    pub service: ServiceKey,
    /// `metadata.uid`
    pub uid: String,
    /// One word.
    pub reason: Reason,
    /// What is wrong and what to do.
    pub message: String,
}

/// A label selector with the full Kubernetes syntax. Matches everything when empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// All of them must hold.
    pub requirements: Vec<Requirement>,
}

/// One requirement of a [`Selector`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// `key in (values)`, `key=value`, `key==value`
    In(String, BTreeSet<String>),
    /// `key notin (values)`, `key!=value`: holds also where the key is absent.
    NotIn(String, BTreeSet<String>),
    /// `key`
    Exists(String),
    /// `!key`
    Absent(String),
}

impl Selector {
    /// Whether `labels` satisfy all requirements.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements.iter().all(|r| match r {
            Requirement::In(key, values) => labels.get(key).is_some_and(|v| values.contains(v)),
            Requirement::NotIn(key, values) => labels.get(key).is_none_or(|v| !values.contains(v)),
            Requirement::Exists(key) => labels.contains_key(key),
            Requirement::Absent(key) => !labels.contains_key(key),
        })
    }
}

/// What a Service asks for: `None` where it doesn't ask (no `hostname` annotation, or it is being deleted).
pub fn read(service: &Service, settings: &Settings) -> Option<Result<Exposure, Rejection>> {
    let _ = (service, settings);
    None
}
/// stub
pub fn port_ranges(ports: &BTreeSet<Port>) -> Vec<(super::Protocol, u16, u16)> {
    ports.iter().map(|p| (p.protocol, p.number, p.number)).collect()
}
