//! Security groups and ingress rules: what a node's firewall ought to hold, and how far it does.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::annotations::port_ranges;
use super::{Exposure, Instance, InstanceId, Observed, Port, Protocol, ServiceKey, Settings};

/// An EC2 security group id, `sg-...`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub String);

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A range of addresses in canonical form: host bits are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    address: IpAddr,
    length: u8,
}

impl Cidr {
    /// Every IPv4 address.
    pub const ANY_V4: Cidr = Cidr { address: IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), length: 0 };

    /// Whether every address of `other` is in this range, too.
    pub fn covers(&self, other: &Cidr) -> bool {
        let within = |one: u128, two: u128, bits: u32| {
            let behind = bits.saturating_sub(self.length.into());
            one.checked_shr(behind).unwrap_or(0) == two.checked_shr(behind).unwrap_or(0)
        };
        self.length <= other.length
            && match (self.address, other.address) {
                (IpAddr::V4(one), IpAddr::V4(two)) => within(one.to_bits().into(), two.to_bits().into(), 32),
                (IpAddr::V6(one), IpAddr::V6(two)) => within(one.to_bits(), two.to_bits(), 128),
                _ => false,
            }
    }

    /// Whether it is a range of IPv6 addresses.
    pub fn is_v6(&self) -> bool {
        self.address.is_ipv6()
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl FromStr for Cidr {
    type Err = String;

    /// Reads `address/length`. Host bits are cleared, as EC2 does.
    fn from_str(s: &str) -> Result<Cidr, String> {
        let refuse = || format!("`{s}` is not an address range such as 203.0.113.0/24 or 2001:db8::/32");
        let (address, length) = s.trim().split_once('/').ok_or_else(refuse)?;
        let address: IpAddr = address.parse().map_err(|_| refuse())?;
        if length.is_empty() || !length.bytes().all(|b| b.is_ascii_digit()) {
            return Err(refuse());
        }
        let length: u8 = length.parse().map_err(|_| refuse())?;
        let address = match address {
            IpAddr::V4(a) if length <= 32 => {
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                IpAddr::V4((a.to_bits() & mask).into())
            }
            IpAddr::V6(a) if length <= 128 => {
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                IpAddr::V6((a.to_bits() & mask).into())
            }
            _ => return Err(refuse()),
        };
        Ok(Cidr { address, length })
    }
}

/// One ingress rule as EC2 tells rules apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    /// Protocol.
    pub protocol: Protocol,
    /// First port.
    pub from: u16,
    /// Last port.
    pub to: u16,
    /// Who is let in.
    pub source: Cidr,
}

impl Rule {
    /// Whether the two let the same traffic in, all of it or some.
    pub fn overlaps(&self, other: &Rule) -> bool {
        self.protocol == other.protocol
            && self.from <= other.to
            && other.from <= self.to
            && (self.source.covers(&other.source) || other.source.covers(&self.source))
    }

    /// Whether it lets traffic to the port in.
    pub fn lets_in(&self, port: &Port) -> bool {
        self.protocol == port.protocol && (self.from..=self.to).contains(&port.number)
    }

    /// Whether it can't be what it says: of protocols other than TCP, UDP and ICMP, EC2 lets all ports in.
    pub fn is_unbounded(&self) -> bool {
        self.protocol == Protocol::Sctp
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to {
            write!(f, "{}/{} from {}", self.from, self.protocol, self.source)
        } else {
            write!(f, "{}-{}/{} from {}", self.from, self.to, self.protocol, self.source)
        }
    }
}

/// A security group that carries our tag, as observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// Its name.
    pub name: String,
    /// Its VPC.
    pub vpc: String,
    /// Its ingress rules that we could have made, each with its description (which names its Service).
    pub rules: BTreeMap<Rule, String>,
    /// What it holds that we never make (all protocols, another group as source, a prefix list; egress changes don't
    /// count): where there is any, someone else works in it, and it is kept.
    pub foreign_rules: ForeignRules,
}

/// How many rules that we never make a group holds, as AWS counts them against the quota: a source that is neither
/// IPv4 nor IPv6 counts in both. (A prefix list counts as many times as it may have entries, which its rule doesn't tell:
/// once, here.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForeignRules {
    /// Among the IPv4 rules.
    pub v4: usize,
    /// Among the IPv6 rules.
    pub v6: usize,
}

impl ForeignRules {
    /// Whether there are any.
    pub fn any(self) -> bool {
        self.v4 > 0 || self.v6 > 0
    }
}

/// Value of the tag that marks a security group as ours: one that says otherwise (`shared`) is somebody else's.
pub const OWNED: &str = "owned";

/// Key of the tag that marks a security group as ours.
pub fn tag_key(cluster: &str) -> String {
    format!("external-ips/{cluster}")
}

/// Name of the `shard`th group (from 1) of an instance: `external-ips/<cluster>/<instance-id>`, the later ones
/// with `/<shard>` behind it.
pub fn group_name(cluster: &str, instance: &InstanceId, shard: usize) -> String {
    let first = format!("{}/{instance}", tag_key(cluster));
    if shard <= 1 { first } else { format!("{first}/{shard}") }
}

/// The instance and the shard that a group of that name was made for; `None` for every other name.
pub fn parse_group_name(cluster: &str, name: &str) -> Option<(InstanceId, usize)> {
    let rest = name.strip_prefix(&tag_key(cluster))?.strip_prefix('/')?;
    let (instance, shard) = match rest.split_once('/') {
        None => (rest, 1),
        Some((instance, shard)) => (instance, shard.parse().ok().filter(|s| *s > 1)?),
    };
    let hex = instance.strip_prefix("i-")?;
    if hex.is_empty() || !hex.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let id = InstanceId(instance.to_owned());
    (group_name(cluster, &id, shard) == name).then_some((id, shard))
}

/// The rules that let an exposure's traffic in: contiguous ports of one protocol become one range, per source.
pub fn rules(exposure: &Exposure) -> BTreeSet<Rule> {
    let ranges = port_ranges(&exposure.ports);
    let of_source = |source: &Cidr| {
        let source = *source;
        ranges.iter().map(move |(protocol, from, to)| Rule { protocol: *protocol, from: *from, to: *to, source })
    };
    exposure.sources.iter().flat_map(of_source).collect()
}

/// What stands before the Service's key in the description of each of our rules.
const DESCRIPTION_PREFIX: &str = "external-ips: ";

/// The description of the rules of a Service. Within EC2's alphabet and 255 characters, since namespaces are at
/// most 63 and Service names at most 63 characters of `[a-z0-9-.]`.
pub fn description(service: &ServiceKey) -> String {
    format!("{DESCRIPTION_PREFIX}{service}")
}

/// The Service that a rule's description names; `None` when the description isn't one of ours, and so the rule
/// isn't.
pub fn described_service(description: &str) -> Option<ServiceKey> {
    let (namespace, name) = description.strip_prefix(DESCRIPTION_PREFIX)?.split_once('/')?;
    (!namespace.is_empty() && !name.is_empty() && !name.contains('/')).then(|| ServiceKey::new(namespace, name))
}

/// What people can do where the rules of a Service find no room.
pub const MAKE_ROOM: &str = "take ports or source ranges together, or give up others there";

/// At most this many groups are made for one node.
pub const GROUPS_PER_NODE: usize = 2;

/// The groups that were made for instances, by shard.
pub fn groups_by_instance<'a>(
    observed: &'a Observed,
    settings: &Settings,
) -> BTreeMap<InstanceId, BTreeMap<usize, &'a Group>> {
    let mut groups: BTreeMap<InstanceId, BTreeMap<usize, &Group>> = BTreeMap::new();
    for group in observed.groups.values() {
        if let Some((instance, shard)) = parse_group_name(&settings.cluster, &group.name) {
            groups.entry(instance).or_default().insert(shard, group);
        }
    }
    groups
}

/// The first shard that could be made for an instance; `None` when it has all of them, or no slot for another one.
pub fn free_shard(instance: &Instance, groups: &BTreeMap<usize, &Group>, settings: &Settings) -> Option<usize> {
    let to_attach = groups.values().filter(|group| !instance.groups.contains(&group.id)).count();
    let has_slot = instance.groups.len() + to_attach < settings.groups_per_interface;
    (1..=GROUPS_PER_NODE).find(|shard| has_slot && !groups.contains_key(shard))
}

/// The groups of an instance that are attached or have a slot left for it.
fn usable<'a>(instance: &Instance, groups: &BTreeMap<usize, &'a Group>, settings: &Settings) -> Vec<&'a Group> {
    let mut slots = settings.groups_per_interface.saturating_sub(instance.groups.len());
    let mut is_usable = |group: &Group| {
        let attached = instance.groups.contains(&group.id);
        let has_slot = attached || slots > 0;
        slots -= usize::from(!attached && has_slot);
        has_slot
    };
    groups.values().copied().filter(|group| is_usable(group)).collect()
}

/// What the groups of an instance hold and how much more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Rules in groups that are attached or have a slot left for it.
    pub held: BTreeSet<Rule>,
    /// How many more IPv4 and IPv6 rules fit, with the groups that could be made counted in.
    pub free: (usize, usize),
}

/// The room in the groups of an instance.
pub fn room_of(instance: &Instance, groups: &BTreeMap<usize, &Group>, settings: &Settings) -> Room {
    let usable = usable(instance, groups, settings);
    let to_attach = usable.iter().filter(|group| !instance.groups.contains(&group.id)).count();
    let slots = settings.groups_per_interface.saturating_sub(instance.groups.len() + to_attach);
    let missing = (1..=GROUPS_PER_NODE).filter(|shard| !groups.contains_key(shard)).count();
    let whole = missing.min(slots) * settings.rules_per_group;
    let free = usable.iter().map(|group| room(group, settings));
    Room {
        held: usable.iter().flat_map(|group| group.rules.keys().copied()).collect(),
        free: free.fold((whole, whole), |sum, free| (sum.0 + free.0, sum.1 + free.1)),
    }
}

impl Observed {
    /// This process wrote the groups of the instance: what is known of them is sure.
    pub fn wrote_to(&mut self, instance: &InstanceId) {
        self.unproven.remove(instance);
        self.detachments.remove(instance);
    }

    /// The rules are in the group.
    pub fn open(&mut self, group: &GroupId, rules: BTreeMap<Rule, String>) {
        self.closings.retain(|(id, rule), _| id != group || !rules.contains_key(rule));
        if let Some(opened) = &mut self.opened {
            opened.extend(rules.keys().map(|rule| (group.clone(), *rule)));
        }
        if let Some(group) = self.groups.get_mut(group) {
            group.rules.extend(rules);
        }
    }

    /// The rules aren't in the group any more.
    pub fn close(&mut self, group: &GroupId, rules: &BTreeMap<Rule, String>) {
        self.closings.retain(|(id, rule), _| id != group || !rules.contains_key(rule));
        if let Some(opened) = &mut self.opened {
            opened.retain(|(id, rule)| id != group || !rules.contains_key(rule));
        }
        if let Some(group) = self.groups.get_mut(group) {
            group.rules.retain(|rule, _| !rules.contains_key(rule));
        }
    }
}

/// Free places for rules in a group: (IPv4, IPv6).
pub fn room(group: &Group, settings: &Settings) -> (usize, usize) {
    let v6 = group.rules.keys().filter(|r| r.source.is_v6()).count();
    let v4 = group.rules.len() - v6;
    let left = |held: usize, foreign: usize| settings.rules_per_group.saturating_sub(held + foreign);
    (left(v4, group.foreign_rules.v4), left(v6, group.foreign_rules.v6))
}

/// Whether it is a group that the 2018 version left: our tag, but one group per Service, named
/// `<service>[.<namespace>].<cluster>`. Gives the part before the cluster.
pub fn legacy_owner<'a>(group: &'a Group, settings: &Settings) -> Option<&'a str> {
    if group.name.starts_with(&tag_key(&settings.cluster)) {
        return None;
    }
    group.name.strip_suffix(&settings.cluster)?.strip_suffix('.').filter(|owner| !owner.is_empty())
}
