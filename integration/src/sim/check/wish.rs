//! What a Service asks for, read by the checker itself: the annotations as the documentation has them, in the plain
//! forms that histories use. It shares no code with the daemon.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use crate::sim::aws::state::{Power, Source};
use crate::sim::aws::{RecordKey, State};
use crate::sim::kube::{NodeView, ServiceView};

/// The prefix of the annotations.
pub const PREFIX: &str = "external-ips.alpha.openfresh.github.io/";

/// The label that keeps a node out of load balancers.
pub const EXCLUDED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// What the daemon's field manager is called.
pub const MANAGER: &str = "external-ips";

/// A Service's wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Names, without the trailing dot, in lower case.
    pub hostnames: BTreeSet<String>,
    /// Labels that a node must have.
    pub labels: BTreeMap<String, String>,
    /// Where `externalTrafficPolicy` is `Local`: the names of the nodes with a ready endpoint; a node must be one of them.
    pub endpoints: Option<BTreeSet<String>>,
    /// At most so many nodes.
    pub max: Option<usize>,
    /// Protocol as EC2 writes it, and port.
    pub ports: BTreeSet<(String, u16)>,
    /// How long resolvers may keep the answer, in seconds, where it says so.
    pub ttl: Option<u32>,
    /// Who is let in.
    pub sources: BTreeSet<Source>,
    /// Whether it can be understood. What a Service has stays while it can't.
    pub valid: bool,
}

/// The ports of a Service, as EC2 names protocols.
pub fn ports(service: &ServiceView) -> BTreeSet<(String, u16)> {
    service.ports.iter().map(|(protocol, port)| (protocol.to_lowercase(), *port)).collect()
}

/// What the Service asks for; `None`: it doesn't ask.
pub fn wish(service: &ServiceView) -> Option<Wish> {
    let annotation = |name: &str| service.annotations.get(&format!("{PREFIX}{name}")).map(|value| value.trim());
    let hostname = annotation("hostname")?;
    if service.deleting {
        return None;
    }
    let mut valid = service.kind != "ExternalName" && !service.ports.is_empty();
    let hostnames: BTreeSet<String> =
        hostname.split(',').map(|name| name.trim().trim_end_matches('.').to_lowercase()).collect();
    valid &= hostnames.iter().all(|name| name.contains('.') && !name.contains(|c: char| c.is_whitespace() || c == '!'));
    let mut labels = BTreeMap::new();
    for part in annotation("selector").unwrap_or_default().split(',').filter(|part| !part.is_empty()) {
        match part.split_once("==").or_else(|| part.split_once('=')) {
            Some((key, value)) if !key.trim().is_empty() && !value.contains('=') => {
                labels.insert(key.trim().to_owned(), value.trim().to_owned());
            }
            _ => valid = false,
        }
    }
    let max = annotation("maxips").map(str::parse::<usize>);
    valid &= max.as_ref().is_none_or(|max| max.as_ref().is_ok_and(|max| *max > 0));
    let ttl = annotation("ttl").map(|ttl| ttl.trim_end_matches('s').parse::<u32>());
    valid &= ttl.as_ref().is_none_or(Result::is_ok);
    let ports = ports(service);
    let ranges: Vec<String> = match annotation("source-ranges") {
        Some(ranges) => {
            ranges.split(',').map(|range| range.trim().to_owned()).filter(|range| !range.is_empty()).collect()
        }
        None => service.source_ranges.clone(),
    };
    valid &= ranges.iter().all(|range| range.contains('/'));
    let sources: BTreeSet<Source> = if ranges.is_empty() {
        // A records hold IPv4 addresses.
        [Source::V4("0.0.0.0/0".to_owned())].into()
    } else {
        ranges
            .into_iter()
            .map(|range| if range.contains(':') { Source::V6(range) } else { Source::V4(range) })
            .collect()
    };
    let (max, ttl) = (max.and_then(Result::ok), ttl.and_then(Result::ok));
    let endpoints = service.ready_nodes.clone();
    Some(Wish { hostnames, labels, endpoints, max, ports, ttl, sources, valid })
}

/// These hostnames, and all that others tie to them, directly or through one another.
pub fn tied<'a>(
    hostnames: &BTreeSet<String>,
    others: impl Iterator<Item = &'a BTreeSet<String>> + Clone,
) -> BTreeSet<String> {
    let mut names = hostnames.clone();
    loop {
        let before = names.len();
        for other in others.clone() {
            if !other.is_disjoint(&names) {
                names.extend(other.iter().cloned());
            }
        }
        if names.len() == before {
            return names;
        }
    }
}

/// The instance behind a node.
pub fn instance_of(node: &NodeView) -> Option<&str> {
    node.provider_id.strip_prefix("aws://")?.rsplit('/').next().filter(|id| id.starts_with("i-"))
}

/// The addresses of a running instance: private and public.
pub fn addresses(state: &State, instance: &str) -> Option<(Ipv4Addr, Ipv4Addr)> {
    if state.instances.get(instance)?.power != Power::Running {
        return None;
    }
    let interface = state.primary(instance)?;
    Some((interface.private_ip, interface.public_ip?))
}

/// Whether a node may be chosen for `wish` now.
pub fn eligible(state: &State, node: &NodeView, wish: &Wish) -> bool {
    const BAD: [&str; 2] = ["ToBeDeletedByClusterAutoscaler", "karpenter.sh/disrupted"];
    wish.labels.iter().all(|(key, value)| node.labels.get(key) == Some(value))
        && wish.endpoints.as_ref().is_none_or(|nodes| nodes.contains(&node.name))
        && node.ready
        && !node.deleting
        && !node.labels.contains_key(EXCLUDED)
        && !node.taints.iter().any(|taint| BAD.contains(&taint.as_str()))
        && instance_of(node).is_some_and(|id| addresses(state, id).is_some())
}

/// Whether everything that `wish` asks for is let in at the instance.
pub fn open(state: &State, instance: &str, wish: &Wish) -> bool {
    state.primary(instance).is_some_and(|interface| {
        wish.ports
            .iter()
            .all(|(protocol, port)| wish.sources.iter().all(|source| state.admits(interface, protocol, *port, source)))
    })
}

/// What the zones list under a name: zone and addresses.
pub fn listed(state: &State, hostname: &str) -> Vec<(String, BTreeSet<Ipv4Addr>)> {
    let Some(key) = RecordKey::new(hostname, "A", None) else { return Vec::new() };
    let zones = state.zones.values().filter_map(|zone| Some((zone, zone.records.get(&key)?)));
    zones
        .map(|(zone, record)| (zone.id.clone(), record.values.iter().filter_map(|value| value.parse().ok()).collect()))
        .collect()
}
