//! What can happen in a random history. Each happening is data, and can be done in whatever state the world is: what
//! it is about is named by a number, and means nothing when there is nothing of the kind.

use std::fmt;
use std::time::Duration;

use super::weather::Weather;

/// Something that happens, some time after what happened before.
#[derive(Clone, Debug)]
pub struct Happening {
    /// How long after.
    pub after: Duration,
    /// What.
    pub what: What,
}

/// What somebody asks for with a new Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Protocols and ports.
    pub ports: Vec<(&'static str, u16)>,
    /// Annotations without their prefix.
    pub annotations: Vec<(&'static str, String)>,
    /// `externalTrafficPolicy` is `Local`, and so are its endpoints: on the nodes at places whose bits are set.
    pub local: Option<u8>,
}

/// What somebody writes under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// An address of his own.
    Address,
    /// A CNAME.
    Cname,
    /// An alias of a load balancer.
    Alias,
}

/// What is stored in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// A Service, by its number.
    Service(u8),
    /// A Node, by its place.
    Node(u8),
    /// The first or the second of a Service's EndpointSlices.
    Slice(u8, u8),
}

/// What happens. A Service is named by its number, a node by its place among those that there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Somebody makes a Service, if it isn't there.
    Create(u8, Wish),
    /// Somebody deletes it.
    Delete(u8),
    /// Somebody deletes it and makes another one of the same name, in one breath.
    Recreate(u8, Wish),
    /// Somebody sets an annotation, without its prefix, or takes it off.
    Annotate(u8, &'static str, Option<String>),
    /// Somebody changes its ports.
    Ports(u8, Vec<(&'static str, u16)>),
    /// Its ready endpoints are on the nodes at places whose bits are set, counted by eight.
    Endpoints(u8, u8),
    /// Something is stored so that no client can decode it, for so long.
    Garbled(Stored, Duration),
    /// Somebody sets its `externalTrafficPolicy`: `Local`, or not.
    Local(u8, bool),
    /// Somebody writes `spec.externalIPs`, as kubectl edit does.
    ExternalIps(u8, Vec<String>),
    /// The same with the private address of a node.
    NodesAddress(u8, u8),
    /// All Services are deleted but the first: `kubectl delete` with too wide a selector.
    DeleteMany,
    /// All Services but the first lose their hostname annotations: a migration that forgot them.
    LoseAnnotations,
    /// A new node joins, with so many interfaces.
    NodeJoins(usize),
    /// The instance ends, and its Node goes away so much later.
    NodeEnds(u8, Duration),
    /// Only the Node object is deleted: the instance lives.
    NodeDeleted(u8),
    /// Its instance stops and starts again with another address.
    Reboots(u8, Duration),
    /// It becomes ready, or isn't any more.
    Ready(u8, bool),
    /// The autoscaler is about to remove it, or has thought again.
    Taint(u8, bool),
    /// Its label `pool` changes.
    Pool(u8, &'static str),
    /// Somebody keeps it out of load balancers by its label, or no more.
    Excluded(u8, bool),
    /// It is given an elastic address.
    Elastic(u8),
    /// Somebody stops a node's instance, and AWS gives its address to a stranger.
    Stranger(u8),
    /// Another controller puts a group of its own on a node.
    ForeignGroup(u8),
    /// Somebody adds a rule to our group on a node.
    ForeignRule(u8, u16),
    /// Somebody removes one of our rules, the so many-th.
    RuleByHand(u8, u8),
    /// Somebody takes our group off a node.
    DetachByHand(u8),
    /// Somebody deletes our group of a node.
    GroupByHand(u8),
    /// Somebody deletes the address record of a name.
    RecordByHand(String),
    /// Somebody deletes the twin of a name.
    TwinByHand(String),
    /// Somebody writes another record in the place of a name's, or makes one.
    ForeignRecord(String, Foreign),
    /// Another daemon's name: a record with its twin.
    OthersName(String),
    /// A zone below the first is made, or deleted with all in it.
    ZoneBelow(bool),
    /// The zone is deleted, and made anew.
    ZoneAnew,
    /// So many processes shall run.
    Replicas(usize),
    /// The leader is killed.
    Kill,
    /// The leader is told to stop.
    Terminate,
    /// The leader stands still for so long.
    Freeze(Duration),
    /// The leader is cut off from the API server for so long, and nobody else is.
    CutOff(Duration),
    /// The leader is killed before or after its so many-th write from now on.
    DiesAtWrite(u32, bool),
    /// Clocks of processes that start from now on are off by so many seconds.
    ClockOff(i64),
    /// AWS's clock is off by so many seconds.
    AwsClockOff(i64),
    /// Somebody changes the Lease: deletes it, blanks its holder, or writes nonsense.
    Lease(u8),
    /// Calls meet faults for a time.
    Weather(Weather),
    /// Nothing: time passes.
    Calm,
}

impl What {
    /// Whether some process starts after it, or leads from then on.
    pub(super) fn starts_a_process(&self) -> bool {
        matches!(self, What::Replicas(_) | What::Kill | What::Terminate | What::DiesAtWrite(..))
    }
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {:.1} s: {:?}", self.after.as_secs_f64(), self.what)
    }
}
