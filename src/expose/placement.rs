//! Which nodes serve which exposure: a small scheduler with claims on (node, protocol, port).

use std::collections::{BTreeMap, BTreeSet};

use super::nodes::Joined;
use super::{Exposure, InstanceId, Observed, Rejection, ServiceKey, Settings, Snapshot};

/// Which nodes serve which exposure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Chosen nodes of every exposure that is served, in order of preference; never an empty list.
    pub nodes: BTreeMap<ServiceKey, Vec<InstanceId>>,
    /// Exposures that are served, but only by nodes that would not be chosen anew: why, in words for people.
    pub degraded: BTreeMap<ServiceKey, String>,
    /// Exposures that no node can serve.
    pub rejections: Vec<Rejection>,
}

/// What already serves whom, before anything is chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Serving {
    /// Nodes that an exposure is published on now (its addresses on the Service, or in our records).
    pub nodes: BTreeMap<ServiceKey, BTreeSet<InstanceId>>,
}

/// Chooses nodes for all `exposures`.
///
/// `frozen` are Services that ask but were rejected: they keep the nodes in `serving`, and their ports
/// stay claimed there, as do the `externalIPs` that people set by hand.
pub fn place(
    exposures: &[Exposure],
    frozen: &BTreeSet<ServiceKey>,
    serving: &Serving,
    joined: &Joined<'_>,
    snapshot: &Snapshot,
    observed: &Observed,
    settings: &Settings,
) -> Placement {
    let _ = (exposures, frozen, serving, joined, snapshot, observed, settings);
    Placement::default()
}
/// stub
pub fn serving(_: &Snapshot, _: &Joined<'_>, _: &BTreeMap<ServiceKey, BTreeSet<super::PublicIp>>) -> Serving {
    Serving::default()
}
