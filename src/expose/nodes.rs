//! Nodes joined with their EC2 instances, and which of them can serve.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::quote::quoted;
use super::{GroupId, Moment, Observed, Snapshot};

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
    /// `status.addresses`, names left out. Nobody is sent there by it, EC2 alone says which addresses an instance
    /// has; but when they change here, EC2 is asked anew.
    pub addresses: BTreeSet<String>,
}

impl Node {
    /// The EC2 instance that `provider_id` names (`aws:///<zone>/i-...`, also without the zone).
    ///
    /// # Errors
    /// Why there is none: a few words that fit behind the number of such nodes.
    pub fn instance_id(&self) -> Result<InstanceId, String> {
        if self.provider_id.is_empty() {
            return Err("without a providerID".into());
        }
        let Some((scheme, path)) = self.provider_id.split_once("://") else {
            return Err(format!("with a providerID that can't be read, {}", quoted(&self.provider_id)));
        };
        match scheme {
            "aws" => {}
            "eks-hybrid" => return Err("hybrid, outside of EC2".into()),
            other => return Err(format!("of another provider than AWS, {}", quoted(other))),
        }
        let last = path.rsplit('/').next().unwrap_or_default();
        if last.starts_with("fargate-") {
            return Err("on Fargate, which has no public address".into());
        }
        if last.is_empty() {
            return Err("with a providerID that names no instance".into());
        }
        // EC2 gave out ids of 8 digits until 2016, of 17 since then.
        let well_formed = |hex: &str| {
            matches!(hex.len(), 8 | 17) && hex.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
        };
        match last.strip_prefix("i-").is_some_and(well_formed) {
            true => Ok(InstanceId(last.to_owned())),
            false => Err(format!("with a providerID that ends in {}, which is no EC2 instance id", quoted(last))),
        }
    }
}

/// What is known of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// As read, or as left by our own writes.
    Known(Instance),
    /// It was never shown: no proof that it isn't there.
    Unknown,
    /// It is terminated, or two answers some seconds apart didn't mention it, or one didn't and no node names it.
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

impl Instance {
    fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.private_ip.map(|ip| ip.0).into_iter().chain(self.public_ip.map(|ip| ip.0))
    }
}

impl Observed {
    /// What is known of the instance from now on, in place of what was known of it.
    pub fn set_instance(&mut self, id: InstanceId, lookup: Lookup, now: Moment) {
        let has = |lookup: &Lookup, ip| matches!(lookup, Lookup::Known(now) if now.addresses().any(|its| its == ip));
        if let Some(Lookup::Known(before)) = self.instances.get(&id) {
            self.former.extend(before.addresses().filter(|ip| !has(&lookup, *ip)).map(|ip| (ip, now)));
        }
        self.instances.insert(id, lookup);
    }

    /// Forgets the instances that aren't to be kept, and what is told of the past but no longer matters.
    pub fn forget(&mut self, kept: impl Fn(&InstanceId) -> bool, now: Moment) {
        for (_, lookup) in self.instances.extract_if(.., |id, _| !kept(id)) {
            if let Lookup::Known(instance) = lookup {
                self.former.extend(instance.addresses().map(|ip| (ip, now)));
            }
        }
        let known = self.instances.values().filter_map(|lookup| match lookup {
            Lookup::Known(instance) => Some(instance),
            Lookup::Unknown | Lookup::Gone => None,
        });
        let held: BTreeSet<Ipv4Addr> = known.flat_map(Instance::addresses).collect();
        self.former.retain(|ip, given_up| now < given_up.after(FORMER) && !held.contains(ip));
        self.full.retain(|id, refused| now < refused.after(FULL) && self.instances.contains_key(id));
        self.forget_refusals(now);
        self.unproven.retain(|id| self.instances.contains_key(id));
        self.had_nodes.retain(|id| self.instances.contains_key(id));
        self.detachments.retain(|id, _| self.instances.contains_key(id));
    }
}

/// How long it is known whose an address was. Doubts about instances end much sooner.
const FORMER: Duration = Duration::from_secs(3600);

/// How long the refusal of room in an instance's groups counts: long enough for another node to serve in its place.
const FULL: Duration = Duration::from_secs(600);

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
    /// Whom of them a private address belongs to.
    pub by_private: BTreeMap<PrivateIp, InstanceId>,
    /// The same for public addresses.
    pub by_public: BTreeMap<PublicIp, InstanceId>,
    /// Nodes that can't serve, by node name, with the reason in words for people.
    pub skipped: BTreeMap<String, String>,
    /// The instance of some node is [`Lookup::Unknown`], or nobody knows which it is: an address that no known instance
    /// has may be its.
    pub doubt: bool,
    /// Addresses of known instances that aren't alive, and those that instances had before: whose they are, or were,
    /// is no doubt.
    others: BTreeSet<Ipv4Addr>,
    /// Those of running instances that no node names, while there are nodes that can't be read (they may be theirs); or
    /// that none has named since a start: two lists of the past may have left a node out.
    unnamed: BTreeSet<Ipv4Addr>,
}

impl Joined<'_> {
    /// Whether a public address that no node alive has may be that of a node which can't be seen at the moment. It
    /// is kept then: absence needs proof.
    pub fn may_have_public(&self, ip: PublicIp) -> bool {
        self.may_have(ip.0)
    }

    /// The same for a private address.
    pub fn may_have_private(&self, ip: PrivateIp) -> bool {
        self.may_have(ip.0)
    }

    fn may_have(&self, ip: Ipv4Addr) -> bool {
        self.unnamed.contains(&ip) || (self.doubt && !self.others.contains(&ip))
    }
}

/// Joins nodes with instances. Nodes that are no EC2 instances (Fargate, hybrid, foreign), whose instance doesn't
/// run or has no public or private address are skipped with a reason, and so is a second node of one instance: the
/// older keeps it.
pub fn join<'a>(snapshot: &'a Snapshot, observed: &'a Observed) -> Joined<'a> {
    let mut joined = Joined::default();
    let mut nodes: Vec<&Node> = snapshot.nodes.values().collect();
    nodes.sort_by_key(|node| (node.created, &node.name));
    for node in nodes {
        let known = known(node, observed, &mut joined.doubt);
        let alive = known.and_then(|instance| match joined.alive.get(&instance.id) {
            Some(elder) => Err(format!("with the instance of the node {}", quoted(&elder.node.name))),
            None => alive(node, instance),
        });
        match alive {
            Ok(alive) => {
                joined.by_private.insert(alive.private_ip, alive.instance.id.clone());
                joined.by_public.insert(alive.public_ip, alive.instance.id.clone());
                joined.alive.insert(alive.instance.id.clone(), alive);
            }
            Err(why) => {
                joined.skipped.insert(node.name.clone(), why);
            }
        }
    }
    let named: BTreeSet<InstanceId> = snapshot.nodes.values().filter_map(|node| node.instance_id().ok()).collect();
    for (id, lookup) in observed.instances.iter().filter(|(id, _)| !joined.alive.contains_key(*id)) {
        let unnamed = !named.contains(id);
        match lookup {
            Lookup::Known(instance)
                if unnamed
                    && instance.running
                    && (snapshot.unreadable_nodes || observed.behind && !observed.had_nodes.contains(id)) =>
            {
                joined.unnamed.extend(instance.addresses());
            }
            Lookup::Known(instance) => joined.others.extend(instance.addresses()),
            Lookup::Unknown => joined.doubt |= unnamed && snapshot.unreadable_nodes,
            Lookup::Gone => {}
        }
    }
    // Only groups tell of the instance of a node that can't be read, and the first read may have left some out.
    joined.doubt |= snapshot.unreadable_nodes && observed.behind;
    joined.others.extend(observed.former.keys());
    joined
}

fn known<'a>(node: &Node, observed: &'a Observed, doubt: &mut bool) -> Result<&'a Instance, String> {
    match observed.instances.get(&node.instance_id()?) {
        Some(Lookup::Known(instance)) => Ok(instance),
        Some(Lookup::Gone) => Err("whose instance is gone".into()),
        // An instance that nobody has asked for yet is as unknown as one that EC2 kept silent about.
        Some(Lookup::Unknown) | None => {
            *doubt = true;
            Err("whose instance EC2 doesn't tell about at the moment".into())
        }
    }
}

fn alive<'a>(node: &'a Node, instance: &'a Instance) -> Result<Alive<'a>, String> {
    if !instance.running {
        return Err("whose instance isn't running".into());
    }
    let private_ip = instance.private_ip.ok_or("without a private address")?;
    let public_ip = instance.public_ip.ok_or("without a public address")?;
    Ok(Alive { node, instance, private_ip, public_ip })
}

/// The label that keeps a node out of load balancers, whatever its value.
const EXCLUDED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// Taints of nodes that are about to go, and who removes them.
const LEAVING: [(&str, &str); 2] =
    [("ToBeDeletedByClusterAutoscaler", "the cluster autoscaler"), ("karpenter.sh/disrupted", "Karpenter")];

/// Why a node that is alive must not be chosen anew (not Ready, being deleted, excluded, about to be removed), in a
/// few words that fit behind the number of such nodes; `None` when it may. It may go on serving when nothing better
/// is there.
pub fn ineligible(node: &Node, keep_cordoned: bool) -> Option<String> {
    if node.deleting {
        return Some("being deleted".into());
    }
    if let Some((_, by)) = LEAVING.iter().find(|(taint, _)| node.taints.contains(*taint)) {
        return Some(format!("about to be removed by {by}"));
    }
    if !node.ready {
        return Some("not Ready".into());
    }
    if node.labels.contains_key(EXCLUDED) {
        return Some(format!("excluded by the label {EXCLUDED}"));
    }
    (node.cordoned && !keep_cordoned).then(|| "cordoned".into())
}

#[cfg(test)]
mod tests;
