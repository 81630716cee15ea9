//! Nodes joined with their EC2 instances, and which of them can serve.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;

use super::{GroupId, Observed, Snapshot};

/// An EC2 instance id, `i-...`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(pub String);

/// A node's address inside the VPC: what goes into `spec.externalIPs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrivateIp(pub Ipv4Addr);

/// A node's address on the internet: what goes into DNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicIp(pub Ipv4Addr);

macro_rules! displayed {
    ($($t:ty),*) => {$(
        impl fmt::Display for $t {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}
displayed!(InstanceId, PrivateIp, PublicIp);

/// What the core knows of a Kubernetes node. Made at the door from the Kubernetes object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// `metadata.name`
    pub name: String,
    /// `metadata.creationTimestamp`, in Unix seconds.
    pub created: i64,
    /// `metadata.labels`
    pub labels: BTreeMap<String, String>,
    /// `spec.providerID`, as it stands there; empty when absent.
    pub provider_id: String,
    /// The condition Ready is True.
    pub ready: bool,
    /// `spec.unschedulable`
    pub cordoned: bool,
    /// `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// Keys of `spec.taints`.
    pub taints: BTreeSet<String>,
}

impl Node {
    /// The EC2 instance that `provider_id` names (`aws:///<zone>/i-...`).
    ///
    /// # Errors
    /// Why there is none, in words for the node's owner.
    pub fn instance_id(&self) -> Result<InstanceId, String> {
        Err("not an EC2 node".into())
    }
}

/// What is known of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// As read, or as left by our own writes.
    Known(Instance),
    /// The last complete read didn't mention it: no proof that it is gone.
    Unknown,
    /// Two reads in a row didn't mention it, or it is terminated: gone.
    Gone,
}

/// What the core knows of an EC2 instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// State is `running`.
    pub running: bool,
    /// Availability zone.
    pub zone: String,
    /// Its VPC, where its groups live.
    pub vpc: String,
    /// The interface with device index 0.
    pub interface: String,
    /// How many interfaces are attached.
    pub interfaces: usize,
    /// Private address of that interface.
    pub private_ip: Option<PrivateIp>,
    /// Public address that is translated 1:1 to it.
    pub public_ip: Option<PublicIp>,
    /// Security groups on that interface, in order.
    pub groups: Vec<GroupId>,
}

/// A node that exists, with an instance that runs and has both addresses: traffic could reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alive<'a> {
    /// The Kubernetes side.
    pub node: &'a Node,
    /// The EC2 side.
    pub instance: &'a Instance,
    /// Its private address.
    pub private_ip: PrivateIp,
    /// Its public address.
    pub public_ip: PublicIp,
}

/// The nodes of a snapshot seen against EC2.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Joined<'a> {
    /// Nodes that traffic could reach, by instance.
    pub alive: BTreeMap<InstanceId, Alive<'a>>,
    /// Nodes that can't serve, by node name, with the reason in words for people.
    pub skipped: BTreeMap<String, String>,
    /// Some node's instance is [`Lookup::Unknown`]: an address that belongs to no known node may be its.
    pub doubt: bool,
}

/// Joins nodes with instances. Nodes that are no EC2 instances (Fargate, hybrid, foreign), whose instance doesn't
/// run or has no public or private address are skipped with a reason.
pub fn join<'a>(snapshot: &'a Snapshot, observed: &'a Observed) -> Joined<'a> {
    let _ = (snapshot, observed);
    Joined::default()
}

/// Why a node that is alive must not be chosen anew (not Ready, being deleted, excluded, about to be removed), in
/// words for people; `None` when it may. It may go on serving when nothing better is there.
pub fn ineligible(node: &Node, keep_cordoned: bool) -> Option<String> {
    let _ = (node, keep_cordoned);
    None
}
