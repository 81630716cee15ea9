//! The ordered steps from what is to what should be.

use super::firewall::{GroupId, Rule};
use super::nodes::{InstanceId, PrivateIp, PublicIp};
use super::{Hostname, Record, RecordKey, ServiceKey, ZoneId};
use std::collections::BTreeMap;

/// What a step works on: what fails together and is tried again together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The firewall of an instance.
    Firewall(InstanceId),
    /// The removal of a security group.
    Group(GroupId),
    /// A name in a zone.
    Name(ZoneId, String),
    /// The fields on a Service.
    Service(ServiceKey),
}

/// One step, with its reason and for whose sake it is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What to do.
    pub action: Action,
    /// Why, in words for people.
    pub reason: String,
    /// The Services whose owners are told when it fails.
    pub services: Vec<ServiceKey>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Try a publication without effect (`dryRun=All`), before anything is opened for it.
    TryPublication(Publication),
    /// Create a security group, with its tags in the same call.
    CreateGroup {
        /// For whose interface.
        instance: InstanceId,
        /// In which VPC.
        vpc: String,
        /// Its name.
        name: String,
    },
    /// Open ports: each rule with its description.
    Authorize {
        /// The instance whose group it is.
        instance: InstanceId,
        /// In which group.
        group: GroupId,
        /// What to open.
        rules: BTreeMap<Rule, String>,
    },
    /// Put a group on the primary interface of an instance, keeping all others.
    Attach {
        /// Which instance.
        instance: InstanceId,
        /// Which group.
        group: GroupId,
    },
    /// Change record sets of one name, as one unit, provided they are still as expected.
    ChangeRecords(RecordChange),
    /// Write addresses and annotations to a Service.
    Publish(Publication),
    /// Give back everything that we own on a Service.
    Release {
        /// Which Service.
        service: ServiceKey,
        /// Its uid.
        uid: String,
    },
    /// Close ports.
    Revoke {
        /// The instance whose group it is, where it is known.
        instance: Option<InstanceId>,
        /// In which group.
        group: GroupId,
        /// What to close.
        rules: BTreeMap<Rule, String>,
    },
    /// Take a group of ours off the primary interface of an instance, keeping all others.
    Detach {
        /// Which instance.
        instance: InstanceId,
        /// Which group.
        group: GroupId,
    },
    /// Delete a group that is attached nowhere.
    DeleteGroup {
        /// Which group.
        group: GroupId,
    },
}

/// What is written to a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Which Service.
    pub service: ServiceKey,
    /// Its uid: a re-created Service of the same name is another one.
    pub uid: String,
    /// `spec.externalIPs` and the annotation `assigned`.
    pub private_ips: Vec<PrivateIp>,
    /// The annotation `addresses`: the public twins, in the same order.
    pub public_ips: Vec<PublicIp>,
    /// Take the list over from the 2018 version.
    pub take_over: bool,
}

/// A change of the record sets of one hostname: the address record and its twin together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordChange {
    /// The zone.
    pub zone: ZoneId,
    /// The hostname.
    pub name: Hostname,
    /// Exactly what is removed; must still be there as it stands here.
    pub delete: BTreeMap<RecordKey, Record>,
    /// What is written instead; must not exist otherwise.
    pub create: BTreeMap<RecordKey, Record>,
}

/// The steps that may be taken now. None depends on another: they may run in any order and at the same time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
}
