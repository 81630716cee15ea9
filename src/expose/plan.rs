//! The steps from what is to what should be.
//!
//! [`plan`] names the steps that may be taken now: each one's precondition holds in what is *observed*, never in
//! what another step of the same plan is hoped to bring about. Taken together with the loop (take the steps, look
//! again, plan again) this gives the order of design section 4.1. The submodules hold one place each: the wish,
//! the firewall, the records, the publication, and the effect that a confirmed step has.

mod desired;
mod effect;
mod firewall_steps;
mod name_claims;
mod name_steps;
mod proof;
mod publication_steps;
mod rule_users;
mod settling;
#[cfg(test)]
mod tests;
mod usage;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::brake::{Held, brake};
use super::firewall::{GroupId, Rule};
use super::nodes::{InstanceId, PrivateIp, PublicIp};
use super::publication::{ADDRESSES, ASSIGNED, joined};
use super::{FieldOwner, Memory, Moment, Observed, Record, RecordKey, Service, ServiceKey, Settings, Snapshot, ZoneId};

pub use desired::{Desired, desire, remember};
pub use effect::{effect, released};

/// The settings to plan with: those given, with the quotas that EC2 has shown, and without removals while the brake
/// holds.
pub fn terms<'a>(
    snapshot: &Snapshot,
    observed: &Observed,
    settings: &'a Settings,
) -> (Cow<'a, Settings>, Option<Held>) {
    let (mut terms, held) = brake(snapshot, observed, settings);
    if let Some(most) = observed.groups_at_most().filter(|most| *most < terms.groups_per_interface) {
        terms.to_mut().groups_per_interface = most;
    }
    (terms, held)
}

/// What a step works on: what fails together and is tried again together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The firewall of an instance.
    Firewall(InstanceId),
    /// A further security group for an instance: what its other groups hold doesn't depend on that one.
    NewGroup(InstanceId),
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
        /// Groups whose turn comes next: another process may have put them there already, which reads don't show yet.
        next: BTreeSet<GroupId>,
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

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::TryPublication(p) => write!(f, "try the addresses of {}", p.service),
            Action::CreateGroup { name, .. } => write!(f, "create security group {name}"),
            Action::Authorize { group, rules, .. } => write!(f, "add {} to {group}", rule_list(rules)),
            Action::Attach { instance, group, .. } => write!(f, "attach {group} to {instance}"),
            Action::ChangeRecords(change) if change.withdraws() => {
                write!(f, "delete the record of {}", change.name)
            }
            Action::ChangeRecords(change) if !change.changes() => {
                write!(f, "make sure of the record of {}", change.name)
            }
            Action::ChangeRecords(change) => write!(f, "write the record of {}", change.name),
            Action::Publish(p) => write!(f, "set spec.externalIPs of {} to {}", p.service, joined(&p.private_ips)),
            Action::Release { service, .. } => write!(f, "clear spec.externalIPs of {service}"),
            Action::Revoke { group, rules, .. } => write!(f, "remove {} from {group}", rule_list(rules)),
            Action::Detach { instance, group } => write!(f, "detach {group} from {instance}"),
            Action::DeleteGroup { group } => write!(f, "delete security group {group}"),
        }
    }
}

fn rule_list(rules: &BTreeMap<Rule, String>) -> String {
    firewall_steps::list(rules.keys())
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

impl Publication {
    /// `spec.externalIPs`.
    pub fn list(&self) -> Vec<String> {
        self.private_ips.iter().map(ToString::to_string).collect()
    }

    /// The annotations that go with the list: names without prefix, and values.
    pub fn annotations(&self) -> [(&'static str, String); 2] {
        [(ASSIGNED, joined(&self.private_ips)), (ADDRESSES, joined(&self.public_ips))]
    }

    /// What the Service is like when this was written.
    pub fn take_effect(&self, service: &mut Service) {
        service.external_ips = self.list();
        service.external_ips_owner = FieldOwner::Us;
        service.half_taken_over &= !self.take_over;
        service.owns_fields = true;
        service.annotations.extend(self.annotations().map(|(name, value)| (name.to_owned(), value)));
    }

    /// Whether the Service holds just what this writes: the list and its annotations.
    pub fn is_in(&self, service: &Service) -> bool {
        service.external_ips == self.list()
            && self.annotations().iter().all(|(name, value)| service.annotations.get(*name) == Some(value))
    }
}

/// A change of the record sets of one hostname: the address record and its twin together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordChange {
    /// The zone.
    pub zone: ZoneId,
    /// The hostname, normalised.
    pub name: String,
    /// Exactly what is removed; must still be there as it stands here.
    pub delete: BTreeMap<RecordKey, Record>,
    /// What is written instead; must not exist otherwise.
    pub create: BTreeMap<RecordKey, Record>,
}

impl RecordChange {
    /// Whether anything is different afterwards. What isn't is written to prove that it is as it was read.
    pub fn changes(&self) -> bool {
        self.delete != self.create
    }

    /// Whether no address is listed any more afterwards.
    pub fn withdraws(&self) -> bool {
        !self.create.contains_key(&super::dns::address_key(&self.name))
    }
}

/// The steps that may be taken now. None depends on another: they may run in any order and at the same time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
    /// What wants a step that failed lately and isn't due again.
    pub waiting: BTreeSet<Target>,
    /// When time alone may bring new steps: the end of a drain, the next try of what failed.
    pub wake_at: Option<Moment>,
}

impl Plan {
    /// The earliest of the moments at which time alone may bring new steps.
    fn wake(&mut self, at: Moment) {
        self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)));
    }
}

impl Action {
    /// The group of which the step takes away what lets traffic reach an instance.
    pub fn closes(&self) -> Option<&GroupId> {
        match self {
            Action::Revoke { group, .. } | Action::Detach { group, .. } | Action::DeleteGroup { group } => Some(group),
            _ => None,
        }
    }

    /// What the step works on.
    pub fn target(&self) -> Target {
        match self {
            Action::TryPublication(publication) | Action::Publish(publication) => {
                Target::Service(publication.service.clone())
            }
            Action::Release { service, .. } => Target::Service(service.clone()),
            Action::CreateGroup { instance, .. } => Target::NewGroup(instance.clone()),
            Action::Authorize { instance, .. } | Action::Attach { instance, .. } => Target::Firewall(instance.clone()),
            Action::Revoke { group, .. } | Action::Detach { group, .. } | Action::DeleteGroup { group } => {
                Target::Group(group.clone())
            }
            Action::ChangeRecords(change) => Target::Name(change.zone.clone(), change.name.clone()),
        }
    }
}

/// The steps that may be taken at `now`, without those whose target failed lately and isn't due again.
pub fn plan(
    desired: &Desired<'_>,
    snapshot: &Snapshot,
    observed: &Observed,
    settings: &Settings,
    memory: &Memory,
    now: Moment,
) -> Plan {
    let mut plan = Plan::default();
    let view = View { desired, snapshot, observed, settings, memory, now };
    firewall_steps::add(&view, &mut plan);
    name_steps::add(&view, &mut plan);
    publication_steps::add(&view, &mut plan);
    let failure = |step: &Step| memory.failures.get(&step.action.target());
    let (waiting, due): (Vec<Step>, Vec<Step>) = plan
        .steps
        .drain(..)
        .flat_map(|step| match failure(&step) {
            Some(failure) => firewall_steps::apart(step, &failure.refused_for),
            None => vec![step],
        })
        .partition(|step| failure(step).is_some_and(|failure| failure.holds(step, now)));
    plan.steps = one_interface_change_each(due);
    for step in &waiting {
        if let Some(failure) = failure(step) {
            plan.wake(failure.retry_at);
        }
        plan.waiting.insert(step.action.target());
    }
    plan
}

/// At most one attach or detach per instance: the list of an interface's groups is replaced as a whole, and with a
/// read that lags behind, the second would undo the first. Attaching goes first; the other one's turn comes when the
/// plan is made again.
fn one_interface_change_each(mut steps: Vec<Step>) -> Vec<Step> {
    let mut attaching: BTreeMap<InstanceId, BTreeSet<GroupId>> = BTreeMap::new();
    let mut detaching = BTreeSet::new();
    steps.retain(|step| match &step.action {
        Action::Attach { instance, group, .. } => match attaching.get_mut(instance) {
            None => attaching.insert(instance.clone(), BTreeSet::new()).is_none(),
            Some(next) => {
                next.insert(group.clone());
                false
            }
        },
        _ => true,
    });
    steps.retain(|step| match &step.action {
        Action::Detach { instance, .. } => !attaching.contains_key(instance) && detaching.insert(instance.clone()),
        _ => true,
    });
    for step in &mut steps {
        if let Action::Attach { instance, next, .. } = &mut step.action {
            *next = attaching.remove(instance).unwrap_or_default();
        }
    }
    steps
}

/// What the planners of the three places look at.
struct View<'a> {
    desired: &'a Desired<'a>,
    snapshot: &'a Snapshot,
    observed: &'a Observed,
    settings: &'a Settings,
    memory: &'a Memory,
    now: Moment,
}
