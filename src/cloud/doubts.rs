//! What must be read again before anything is decided on it. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::LAG;
use super::error::Kind;
use crate::expose::{Action, GroupId, InstanceId, Moment, ZoneId};

/// What could not be read, or wasn't shown, is looked at again after this long.
const PAUSE: Duration = Duration::from_secs(5);

/// How often one that was left out is asked for meanwhile.
const AGAIN: Duration = Duration::from_secs(15);

/// One thing that is in doubt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Doubt {
    /// A group.
    Group(GroupId),
    /// A group that may or may not have been created, by name.
    GroupName(String),
    /// An instance.
    Instance(InstanceId),
    /// The list of zones.
    Zones,
    /// The records of a zone.
    Records(ZoneId),
}

#[derive(Debug, Default)]
pub(super) struct Doubts {
    all: BTreeSet<Doubt>,
    /// What could not be read lately, and when that was.
    failed: BTreeMap<Kind, Moment>,
    instances: Missed<InstanceId>,
    groups: Missed<GroupId>,
}

/// What the last read didn't mention: when the first such answer was there, and the last one.
#[derive(Debug)]
struct Missed<Id>(BTreeMap<Id, (Moment, Moment)>);

impl<Id> Default for Missed<Id> {
    fn default() -> Self {
        Missed(BTreeMap::new())
    }
}

impl<Id: Ord + Clone> Missed<Id> {
    /// Notes that an answer left something out, and tells whether that is confirmed.
    fn note(&mut self, id: &Id, asked: Moment, answered: Moment) -> bool {
        let (first, last) = self.0.entry(id.clone()).or_insert((answered, answered));
        *last = answered;
        let confirmed = asked >= first.after(LAG);
        if confirmed {
            self.0.remove(id);
        }
        confirmed
    }

    /// When is asked for each of them again.
    fn due_at(&self) -> impl Iterator<Item = Moment> {
        self.0.values().map(|(_, last)| last.after(AGAIN))
    }
}

impl Doubts {
    pub fn add(&mut self, doubt: Doubt) {
        self.all.insert(doubt);
    }

    pub fn groups(&self) -> bool {
        let is_group = |doubt: &Doubt| matches!(doubt, Doubt::Group(_) | Doubt::GroupName(_));
        !self.groups.0.is_empty() || self.all.iter().any(is_group)
    }

    pub fn zones(&self) -> bool {
        self.all.contains(&Doubt::Zones)
    }

    pub fn instances(&self) -> BTreeSet<InstanceId> {
        let doubted = self.all.iter().filter_map(|doubt| match doubt {
            Doubt::Instance(id) => Some(id.clone()),
            _ => None,
        });
        doubted.chain(self.instances.0.keys().cloned()).collect()
    }

    pub fn records(&self) -> BTreeSet<ZoneId> {
        let of = |doubt: &Doubt| match doubt {
            Doubt::Records(zone) => Some(zone.clone()),
            _ => None,
        };
        self.all.iter().filter_map(of).collect()
    }

    /// The part was read: it is in doubt no more.
    pub fn read(&mut self, kind: &Kind) {
        self.failed.remove(kind);
        match kind {
            Kind::Groups => self.all.retain(|doubt| !matches!(doubt, Doubt::Group(_) | Doubt::GroupName(_))),
            // One by one, in `seen` and `missed`.
            Kind::Instances => {}
            Kind::Zones => _ = self.all.remove(&Doubt::Zones),
            Kind::Records(zone) => _ = self.all.remove(&Doubt::Records(zone.clone())),
        }
    }

    /// The part could not be read.
    pub fn unread(&mut self, kind: Kind, now: Moment) {
        self.failed.insert(kind, now);
    }

    /// A read showed the instance.
    pub fn seen(&mut self, id: &InstanceId) {
        self.all.remove(&Doubt::Instance(id.clone()));
        self.instances.0.remove(id);
    }

    /// A complete read that was begun at `asked` and answered at `answered` didn't mention the instance. True when
    /// an answer [`LAG`] before didn't, either: reads may be so far behind, and EC2 shows an instance that has ended for an
    /// hour.
    pub fn missed(&mut self, id: &InstanceId, asked: Moment, answered: Moment) -> bool {
        self.all.remove(&Doubt::Instance(id.clone()));
        self.instances.note(id, asked, answered)
    }

    /// The same of a complete listing of groups.
    pub fn missed_group(&mut self, id: &GroupId, asked: Moment, answered: Moment) -> bool {
        self.groups.note(id, asked, answered)
    }

    /// Of all groups, only these are still missed.
    pub fn retain_missed_groups(&mut self, missed: &BTreeSet<GroupId>) {
        self.groups.0.retain(|id, _| missed.contains(id));
    }

    /// Whether the last read of the instance didn't mention it and that is not yet confirmed.
    pub fn is_missed(&self, id: &InstanceId) -> bool {
        self.instances.0.contains_key(id)
    }

    /// Forgets instances and zones that nothing is known of any more.
    pub fn prune(&mut self, instance: impl Fn(&InstanceId) -> bool, zone: impl Fn(&ZoneId) -> bool) {
        self.instances.0.retain(|id, _| instance(id));
        self.all.retain(|doubt| match doubt {
            Doubt::Instance(id) => instance(id),
            Doubt::Records(id) => zone(id),
            Doubt::Group(_) | Doubt::GroupName(_) | Doubt::Zones => true,
        });
        self.failed.retain(|kind, _| match kind {
            Kind::Records(id) => zone(id),
            Kind::Groups | Kind::Instances | Kind::Zones => true,
        });
    }

    /// When something wants to be read: now for what is in doubt, after a pause for what just failed or was
    /// missing.
    pub fn due_at(&self) -> Option<Moment> {
        let after_failure = |kind: &Kind| self.failed.get(kind).map_or_else(Moment::default, |at| at.after(PAUSE));
        let doubted = self.all.iter().map(|doubt| {
            after_failure(&match doubt {
                Doubt::Group(_) | Doubt::GroupName(_) => Kind::Groups,
                Doubt::Instance(_) => Kind::Instances,
                Doubt::Zones => Kind::Zones,
                Doubt::Records(zone) => Kind::Records(zone.clone()),
            })
        });
        let missed = self.instances.due_at().map(|at| at.max(after_failure(&Kind::Instances)));
        let groups = self.groups.due_at().map(|at| at.max(after_failure(&Kind::Groups)));
        doubted.chain(missed).chain(groups).min()
    }

    /// Whether anything that the action rests on is in doubt.
    pub fn concern(&self, action: &Action) -> bool {
        touched(action).iter().any(|doubt| self.all.contains(doubt))
    }
}

/// What an action touches: what is in doubt when its outcome isn't known.
pub(super) fn touched(action: &Action) -> Vec<Doubt> {
    let group = |group: &GroupId| Doubt::Group(group.clone());
    let instance = |instance: &InstanceId| Doubt::Instance(instance.clone());
    match action {
        Action::TryPublication(_) | Action::Publish(_) | Action::Release { .. } => Vec::new(),
        Action::CreateGroup { name, .. } => vec![Doubt::GroupName(name.clone())],
        Action::Authorize { group: id, .. } | Action::Revoke { group: id, .. } | Action::DeleteGroup { group: id } => {
            vec![group(id)]
        }
        Action::Attach { instance: of, group: id, .. } | Action::Detach { instance: of, group: id } => {
            vec![instance(of), group(id)]
        }
        Action::ChangeRecords(change) => vec![Doubt::Records(change.zone.clone())],
    }
}
