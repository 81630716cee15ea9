//! What there is in the account: plain values, readable by checks ([`Aws::look`](super::Aws::look)).
//!
//! A [`State`] is cheap to clone: its maps are shared until one of the clones changes. That is how reads can show the
//! past.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use crate::sim::event::Creator;

use super::route53::names::RecordKey;

/// Things by their id. Reads like a `BTreeMap<String, Arc<T>>`.
#[derive(Debug)]
pub struct Shelf<T>(Arc<BTreeMap<String, Arc<T>>>);

impl<T> Default for Shelf<T> {
    fn default() -> Shelf<T> {
        Shelf(Arc::default())
    }
}

impl<T> Clone for Shelf<T> {
    fn clone(&self) -> Shelf<T> {
        Shelf(Arc::clone(&self.0))
    }
}

impl<T> Deref for Shelf<T> {
    type Target = BTreeMap<String, Arc<T>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T: Clone> Shelf<T> {
    pub(super) fn put(&mut self, id: String, thing: T) {
        Arc::make_mut(&mut self.0).insert(id, Arc::new(thing));
    }

    pub(super) fn take(&mut self, id: &str) -> Option<Arc<T>> {
        if !self.0.contains_key(id) {
            return None;
        }
        Arc::make_mut(&mut self.0).remove(id)
    }

    pub(super) fn edit(&mut self, id: &str) -> Option<&mut T> {
        if !self.0.contains_key(id) {
            return None;
        }
        Arc::make_mut(&mut self.0).get_mut(id).map(Arc::make_mut)
    }
}

/// The account at one moment.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// VPCs by id.
    pub vpcs: Shelf<Vpc>,
    /// Security groups by id.
    pub groups: Shelf<Group>,
    /// Network interfaces by id.
    pub interfaces: Shelf<Interface>,
    /// Instances by id, terminated ones included for as long as EC2 shows them.
    pub instances: Shelf<Instance>,
    /// Elastic IP addresses by themselves.
    pub elastic: Shelf<Elastic>,
    /// Hosted zones by id (without `/hostedzone/`).
    pub zones: Shelf<Zone>,
}

impl State {
    /// The interface that has this public address now.
    pub fn interface_of(&self, public: Ipv4Addr) -> Option<&Arc<Interface>> {
        self.interfaces.values().find(|interface| interface.public_ip == Some(public))
    }

    /// The instance that has this public address now, on whichever of its interfaces.
    pub fn instance_of(&self, public: Ipv4Addr) -> Option<&Arc<Instance>> {
        self.instances.get(self.interface_of(public)?.instance.as_deref()?)
    }

    /// An instance's interface with device index 0.
    pub fn primary(&self, instance: &str) -> Option<&Arc<Interface>> {
        let instance = self.instances.get(instance)?;
        instance
            .interfaces
            .iter()
            .filter_map(|id| self.interfaces.get(id))
            .find(|interface| interface.device_index == 0)
    }

    /// Whether everybody in `source` gets to `port` of the interface: whether a rule of one of its groups allows it.
    pub fn admits(&self, interface: &Interface, protocol: &str, port: u16, source: &Source) -> bool {
        let groups = interface.groups.keys().filter_map(|id| self.groups.get(id));
        let mut rules = groups.flat_map(|group| group.rules.keys());
        let port = i32::from(port);
        rules.any(|rule| {
            let covers = rule.protocol == protocol && rule.from <= port && port <= rule.to;
            (covers || rule.protocol == "-1") && rule.source.covers(source)
        })
    }

    /// The zone's record of that name (any spelling), type and set identifier `None`.
    pub fn record(&self, zone: &str, name: &str, kind: &str) -> Option<&Arc<RecordSet>> {
        self.zones.get(zone)?.records.get(&RecordKey::new(name, kind, None)?)
    }
}

/// A VPC.
#[derive(Clone, Debug)]
pub struct Vpc {
    /// `vpc-...`.
    pub id: String,
    /// Whether it is the region's default VPC: a revoke of what isn't there is no error then.
    pub default: bool,
    /// The group `default`, which new interfaces have when nothing else is said.
    pub default_group: String,
}

/// A security group.
#[derive(Clone, Debug)]
pub struct Group {
    /// `sg-...`.
    pub id: String,
    /// Its name, unique in the VPC.
    pub name: String,
    /// Its description.
    pub description: String,
    /// Its VPC.
    pub vpc: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its inbound rules.
    pub rules: BTreeMap<RuleKey, Rule>,
    /// Who made it.
    pub creator: Creator,
    /// When.
    pub created_at: Duration,
    /// When it was last taken off an interface: for a while it can't be deleted then.
    pub detached_at: Option<Duration>,
}

/// What a rule allows: unique within a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleKey {
    /// `tcp`, `udp`, `icmp`, `icmpv6`, `-1` for all, else a number.
    pub protocol: String,
    /// First port; -1 with the protocol -1.
    pub from: i32,
    /// Last port.
    pub to: i32,
    /// Who may.
    pub source: Source,
}

/// Where traffic comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// A range of IPv4 addresses.
    V4(String),
    /// A range of IPv6 addresses.
    V6(String),
    /// The interfaces with a group.
    Group(String),
    /// A prefix list.
    Prefix(String),
}

impl Source {
    /// A range of addresses; the bits beyond its prefix are cut off, as EC2 does. `None`: it isn't one.
    pub fn range(text: &str) -> Option<Source> {
        let (address, bits) = text.split_once('/')?;
        let bits: u32 = bits.parse().ok()?;
        if let Ok(v4) = address.parse::<Ipv4Addr>() {
            return Some(Source::V4(format!("{}/{bits}", Ipv4Addr::from(u32::from(v4) & mask_v4(bits)?))));
        }
        let v6 = address.parse::<Ipv6Addr>().ok()?;
        Some(Source::V6(format!("{}/{bits}", Ipv6Addr::from(u128::from(v6) & mask_v6(bits)?))))
    }

    /// Whether all of `other` is in this one.
    pub fn covers(&self, other: &Source) -> bool {
        self == other || self.contains(other).unwrap_or(false)
    }

    fn contains(&self, other: &Source) -> Option<bool> {
        let parts =
            |text: &str| text.split_once('/').map(|(address, bits)| (address.to_owned(), bits.parse::<u32>().ok()));
        match (self, other) {
            (Source::V4(wide), Source::V4(narrow)) => {
                let ((wide, bits), (narrow, more)) = (parts(wide)?, parts(narrow)?);
                let mask = mask_v4(bits?)?;
                let number = |text: &str| text.parse::<Ipv4Addr>().ok().map(u32::from);
                Some(bits <= more && number(&wide)? & mask == number(&narrow)? & mask)
            }
            (Source::V6(wide), Source::V6(narrow)) => {
                let ((wide, bits), (narrow, more)) = (parts(wide)?, parts(narrow)?);
                let mask = mask_v6(bits?)?;
                let number = |text: &str| text.parse::<Ipv6Addr>().ok().map(u128::from);
                Some(bits <= more && number(&wide)? & mask == number(&narrow)? & mask)
            }
            _ => Some(false),
        }
    }
}

fn mask_v4(bits: u32) -> Option<u32> {
    if bits == 0 { Some(0) } else { u32::MAX.checked_shl(32_u32.checked_sub(bits)?) }
}

fn mask_v6(bits: u32) -> Option<u128> {
    if bits == 0 { Some(0) } else { u128::MAX.checked_shl(128_u32.checked_sub(bits)?) }
}

/// An inbound rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `sgr-...`: a rule that is made anew has another one.
    pub id: String,
    /// Its description; empty: none.
    pub description: String,
    /// Who made it.
    pub creator: Creator,
    /// When.
    pub created_at: Duration,
}

/// A network interface.
#[derive(Clone, Debug)]
pub struct Interface {
    /// `eni-...`.
    pub id: String,
    /// The instance it is attached to.
    pub instance: Option<String>,
    /// Its place there; 0: the primary one.
    pub device_index: u32,
    /// Its VPC.
    pub vpc: String,
    /// Its subnet.
    pub subnet: String,
    /// Its primary private address.
    pub private_ip: Ipv4Addr,
    /// The public address that is translated to it.
    pub public_ip: Option<Ipv4Addr>,
    /// Its IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
    /// Ids of its groups, and who put each there.
    pub groups: BTreeMap<String, Creator>,
}

/// What an instance does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// Starts.
    Pending,
    /// Runs.
    Running,
    /// Is about to stop.
    Stopping,
    /// Has stopped.
    Stopped,
    /// Is about to end.
    ShuttingDown,
    /// Has ended; it has no interfaces any more.
    Terminated,
}

impl Power {
    /// EC2's number and name.
    pub fn wire(self) -> (u16, &'static str) {
        match self {
            Power::Pending => (0, "pending"),
            Power::Running => (16, "running"),
            Power::ShuttingDown => (32, "shutting-down"),
            Power::Terminated => (48, "terminated"),
            Power::Stopping => (64, "stopping"),
            Power::Stopped => (80, "stopped"),
        }
    }
}

/// An instance.
#[derive(Clone, Debug)]
pub struct Instance {
    /// `i-...`.
    pub id: String,
    /// What it does.
    pub power: Power,
    /// Its availability zone.
    pub zone: String,
    /// Its VPC.
    pub vpc: String,
    /// Its subnet.
    pub subnet: String,
    /// Ids of its interfaces, the primary one first.
    pub interfaces: Vec<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Whether AWS gives it a public address at each start.
    pub gets_public_ip: bool,
    /// When it was last started.
    pub launched_at: Duration,
}

/// An elastic IP address.
#[derive(Clone, Debug)]
pub struct Elastic {
    /// The address.
    pub address: Ipv4Addr,
    /// The interface it is associated with.
    pub interface: Option<String>,
}

/// A hosted zone.
#[derive(Clone, Debug)]
pub struct Zone {
    /// `Z...`.
    pub id: String,
    /// Its name with the trailing dot, as Route 53 writes it.
    pub name: String,
    /// Whether it answers within VPCs only.
    pub private: bool,
    /// Whether the parent zone points at it: whether anybody in the world asks it.
    pub delegated: bool,
    /// Its records in the order in which they are listed.
    pub records: Arc<BTreeMap<RecordKey, Arc<RecordSet>>>,
    /// Who made it.
    pub creator: Creator,
}

/// A record set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordSet {
    /// Time to live in seconds; `None` for an alias.
    pub ttl: Option<u32>,
    /// Its values, sorted; as they were written.
    pub values: Vec<String>,
    /// What else it has: `Weight`, `AliasTarget/DNSName`, ..., by element.
    pub other: BTreeMap<String, String>,
    /// Who made this version of it.
    pub creator: Creator,
}

impl RecordSet {
    /// Whether DELETE of `other` takes this one away: all must be the same but who made it.
    pub fn same(&self, other: &RecordSet) -> bool {
        self.ttl == other.ttl && self.values == other.values && self.other == other.other
    }
}

/// How often something was made and how often it was taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Times it was made.
    pub creates: u32,
    /// Times it was taken away.
    pub deletes: u32,
}
