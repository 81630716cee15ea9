//! EC2's quotas, as far as its refusals have shown them: an account may have others than the usual ones.

use std::time::Duration;

use super::{Group, Instance, Lookup, Moment, Observed};

/// How long a refusal tells the quota: somebody may have it raised.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// EC2 refused to put so many security groups on one interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupsRefused {
    /// The fewest that it refused.
    pub groups: usize,
    /// When it last refused any.
    pub at: Moment,
    /// The most that some interface had then: it may be from before the quota was lowered.
    pub present: usize,
}

impl Observed {
    /// EC2 has just refused to put so many groups on one interface. Whether that is news.
    pub fn refused_groups(&mut self, groups: usize, now: Moment) -> bool {
        let before = self.groups_at_most();
        let fewest = self.groups_refused.map_or(groups, |before| before.groups.min(groups));
        let present = self.group_counts().max().unwrap_or(0);
        self.groups_refused = Some(GroupsRefused { groups: fewest, at: now, present });
        self.groups_at_most() != before
    }

    /// Forgets a refusal that is long ago.
    pub(super) fn forget_refusals(&mut self, now: Moment) {
        self.groups_refused = self.groups_refused.filter(|refused| now < refused.at.after(REMEMBERED));
    }

    /// How many groups an interface may have, where a refusal tells. None does where one has come to have as many since.
    pub(super) fn groups_at_most(&self) -> Option<usize> {
        let refused = self.groups_refused?;
        let more = self.group_counts().any(|count| count >= refused.groups && count > refused.present);
        (!more).then(|| refused.groups.saturating_sub(1))
    }

    fn group_counts(&self) -> impl Iterator<Item = usize> {
        self.instances.values().filter_map(|lookup| match lookup {
            Lookup::Known(instance) => Some(instance.groups.len()),
            Lookup::Unknown | Lookup::Gone => None,
        })
    }

    /// Whether a group is on the instance, or EC2 may put it there: nothing is known against it. While reads may be
    /// behind, nobody knows that it isn't there.
    pub(super) fn may_have(&self, instance: &Instance, group: &Group) -> bool {
        let has_slot = || self.groups_at_most().is_none_or(|most| instance.groups.len() < most);
        self.behind || instance.groups.contains(&group.id) || has_slot()
    }
}
