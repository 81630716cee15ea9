//! From a Service's annotations to an exposure, or to a rejection that its owner understands.
//!
//! Looks at one Service at a time: what zones, nodes and other Services have to say is not its concern.

mod duration;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::quote::quoted;
use super::selector::Selector;
use super::{Cidr, Hostname, Port, Protocol, Reason, Service, ServiceKey, ServiceKind, Settings};

/// The annotation that opts in: DNS names, comma separated.
const HOSTNAME: &str = "hostname";
/// Which nodes.
const SELECTOR: &str = "selector";
/// At most this many nodes; both spellings of the 2018 version.
const MAX_IPS: [&str; 2] = ["maxips", "maxip"];
/// TTL of the records.
const TTL: &str = "ttl";
/// Who is allowed in.
const SOURCE_RANGES: &str = "source-ranges";

/// The twin of a record is named `a-<name>`: its first label and the whole of it must stay within the limits of DNS.
const TWIN_PREFIX_LENGTH: usize = 2;

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
    /// Why there may be others of these: where it is served, it stays.
    pub unread_endpoints: Option<String>,
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

/// Why a Service is rejected.
type Refusal = (Reason, String);

/// Whether a Service asks to be exposed, well or badly, and this daemon is responsible for it.
pub fn asks(service: &Service, settings: &Settings) -> bool {
    service.annotations.contains_key(HOSTNAME) && !service.deleting && settings.in_scope(&service.key)
}

/// The names in the `hostname` annotation that can be read, whether the Service can be served or not.
pub fn names(service: &Service) -> impl Iterator<Item = Hostname> {
    let names = service.annotations.get(HOSTNAME).map(String::as_str).unwrap_or_default().split(',');
    names.filter_map(|name| name.trim().parse().ok())
}

/// What a Service asks for: `None` where it doesn't ask (no `hostname` annotation, or it is being deleted) or where
/// this daemon isn't responsible for it.
pub fn read(service: &Service, settings: &Settings) -> Option<Result<Exposure, Rejection>> {
    let hostnames = service.annotations.get(HOSTNAME).filter(|_| asks(service, settings))?;
    Some(exposure(service, hostnames, settings).map_err(|(reason, message)| Rejection {
        service: service.key.clone(),
        uid: service.uid.clone(),
        reason,
        message,
    }))
}

/// The ports as ranges, contiguous ones of one protocol together: (protocol, first, last).
pub fn port_ranges(ports: &BTreeSet<Port>) -> Vec<(Protocol, u16, u16)> {
    let mut ranges: Vec<(Protocol, u16, u16)> = Vec::new();
    for port in ports {
        match ranges.last_mut() {
            Some((protocol, _, last)) if *protocol == port.protocol && last.checked_add(1) == Some(port.number) => {
                *last = port.number;
            }
            _ => ranges.push((port.protocol, port.number, port.number)),
        }
    }
    ranges
}

fn exposure(service: &Service, hostnames: &str, settings: &Settings) -> Result<Exposure, Refusal> {
    supported(service)?;
    near_misses(service)?;
    let hostnames = read_hostnames(hostnames, settings)?;
    let selector = match service.annotations.get(SELECTOR) {
        None => Selector::default(),
        Some(value) => value.parse().map_err(|why: String| {
            invalid(SELECTOR, value, &format!("a label selector such as `pool=general,!gpu,zone in (a,b)`: {why}"))
        })?,
    };
    let max_nodes = read_max_nodes(service)?.or(settings.default_max_nodes);
    let ttl = service.annotations.get(TTL).map(|value| read_ttl(value)).transpose()?.unwrap_or(settings.default_ttl);
    let sources = read_sources(service)?;
    let ports: BTreeSet<Port> = service.ports.iter().copied().collect();
    unreserved(&ports, settings)?;
    Ok(Exposure {
        service: service.key.clone(),
        uid: service.uid.clone(),
        created: service.created,
        hostnames,
        selector,
        max_nodes,
        ttl,
        sources,
        ports,
        local_nodes: service.local_nodes.clone(),
        unread_endpoints: service.unread_endpoints.clone(),
    })
}

/// The refusal of an annotation's value.
fn invalid(annotation: &str, value: &str, expected: &str) -> Refusal {
    (Reason::InvalidAnnotation, format!("annotation `{annotation}`: {} is not {expected}", quoted(value)))
}

fn supported(service: &Service) -> Result<(), Refusal> {
    let refuse = |why: &str| Err((Reason::UnsupportedService, why.to_owned()));
    match service {
        Service { kind: ServiceKind::ExternalName, .. } => {
            refuse("a Service of type ExternalName is an alias without ports of its own: it can't be exposed")
        }
        Service { headless: true, .. } => refuse(
            "a headless Service (clusterIP: None) isn't handled by kube-proxy: give it a cluster IP to have it exposed",
        ),
        Service { ipv6_only: true, .. } => refuse(
            "the Service has no IPv4 cluster IP, so kube-proxy would serve none of the nodes' IPv4 addresses: add IPv4 \
             to its spec.ipFamilies",
        ),
        Service { ports, .. } if ports.is_empty() => refuse("the Service has no ports: there is nothing to expose"),
        Service { ports, .. } => match ports.iter().find(|port| port.protocol == Protocol::Sctp) {
            Some(port) => refuse(&format!(
                "port {port}: EC2's firewall can't tell SCTP ports apart, so opening one would open all of them on the \
                 node: take the SCTP ports off this Service, or move its other ports to a Service of their own"
            )),
            None => Ok(()),
        },
    }
}

/// An annotation of ours that is spelled almost right would silently not count.
fn near_misses(service: &Service) -> Result<(), Refusal> {
    let known = [HOSTNAME, SELECTOR, "maxips", "maxip", TTL, SOURCE_RANGES];
    let plain = |name: &str| {
        let lower = name.to_ascii_lowercase().replace(['-', '_', '.'], "");
        lower.strip_suffix('s').map(str::to_owned).unwrap_or(lower)
    };
    for name in service.annotations.keys().filter(|name| !known.contains(&name.as_str())) {
        if let Some(meant) = known.iter().find(|known| plain(known) == plain(name)) {
            let message = format!("annotation {} is unknown: did you mean `{meant}`?", quoted(name));
            return Err((Reason::InvalidAnnotation, message));
        }
    }
    Ok(())
}

fn read_hostnames(value: &str, settings: &Settings) -> Result<BTreeSet<Hostname>, Refusal> {
    let wrong = |why: String| (Reason::InvalidAnnotation, format!("annotation `{HOSTNAME}`: {why}"));
    if value.trim().is_empty() {
        return Err(wrong("it is empty; a DNS name such as `game.example.com` is expected".into()));
    }
    let mut hostnames = BTreeSet::new();
    for name in value.split(',') {
        let hostname: Hostname = name.trim().parse().map_err(wrong)?;
        let first = hostname.as_str().split('.').next().unwrap_or_default();
        if first.len() + TWIN_PREFIX_LENGTH > 63 || hostname.as_str().len() + TWIN_PREFIX_LENGTH > 253 {
            return Err(wrong(format!(
                "{} leaves no room for its ownership record, which is named `a-` and the name: the first label may have at most 61 characters, the whole name 251",
                quoted(hostname.as_str())
            )));
        }
        if !settings.domains.is_empty() && !settings.domains.iter().any(|domain| hostname.is_within(domain)) {
            let allowed: Vec<String> = settings.domains.iter().take(5).map(|domain| format!("`{domain}`")).collect();
            let message = format!(
                "{} is in none of the domains that may be published here ({})",
                quoted(hostname.as_str()),
                allowed.join(", ")
            );
            return Err((Reason::HostnameForbidden, message));
        }
        hostnames.insert(hostname);
    }
    Ok(hostnames)
}

fn read_max_nodes(service: &Service) -> Result<Option<usize>, Refusal> {
    let mut read: Option<(&str, u32)> = None;
    for name in MAX_IPS {
        let Some(value) = service.annotations.get(name) else { continue };
        let digits = value.trim();
        let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u32>().ok()).flatten();
        let Some(number) = number.filter(|number| *number > 0) else {
            return Err(invalid(name, value, "a number of nodes from 1 on, such as `2`"));
        };
        match read {
            Some((other, before)) if before != number => {
                let message =
                    format!("annotations `{other}` ({before}) and `{name}` ({number}) disagree: remove one of them");
                return Err((Reason::InvalidAnnotation, message));
            }
            _ => read = Some((name, number)),
        }
    }
    Ok(read.map(|(_, number)| usize::try_from(number).unwrap_or(usize::MAX)))
}

fn read_ttl(value: &str) -> Result<u32, Refusal> {
    duration::seconds(value.trim()).ok_or_else(|| {
        invalid(TTL, value, "a time of whole seconds from 1 to 2147483647, such as `60`, `5m` or `1h30m`")
    })
}

fn read_sources(service: &Service) -> Result<BTreeSet<Cidr>, Refusal> {
    if let Some(value) = service.annotations.get(SOURCE_RANGES) {
        let place = format!("annotation `{SOURCE_RANGES}`");
        return value.split(',').map(|range| read_range(&place, range)).collect();
    }
    if service.source_ranges.is_empty() {
        return Ok(BTreeSet::from([Cidr::ANY_V4]));
    }
    service.source_ranges.iter().map(|range| read_range("spec.loadBalancerSourceRanges", range)).collect()
}

fn read_range(place: &str, range: &str) -> Result<Cidr, Refusal> {
    let range = range.trim();
    let wrong = |why: String| (Reason::InvalidAnnotation, format!("{place}: {} {why}", quoted(range)));
    let cidr: Cidr =
        range.parse().map_err(|_| wrong("is not an address range such as 203.0.113.0/24 or 2001:db8::/32".into()))?;
    // A range with host bits is either a slip of the length or of the address: its owner knows which.
    let address = |text: &str| text.split_once('/').and_then(|(address, _)| address.parse::<IpAddr>().ok());
    match address(range) == address(&cidr.to_string()) {
        true => Ok(cidr),
        false => Err(wrong(format!("has bits set behind its length: the range is {cidr}"))),
    }
}

fn unreserved(ports: &BTreeSet<Port>, settings: &Settings) -> Result<(), Refusal> {
    let reserved = |port: &&Port| settings.reserved_ports.iter().any(|(from, to)| (*from..=*to).contains(&port.number));
    let Some(port) = ports.iter().find(reserved) else { return Ok(()) };
    let whose = match port.number {
        22 => "ssh to the node",
        179 => "BGP of the node's network plugin",
        2379 | 2380 => "etcd",
        6443 => "the API server",
        10250 | 10255 => "the kubelet",
        10256 => "kube-proxy's health check",
        _ => "something that the configuration of this daemon names",
    };
    let message = format!(
        "port {port} is reserved for {whose}: spec.externalIPs on a node's own address would take its traffic away"
    );
    Err((Reason::ReservedPort, message))
}
