//! Our own writes that AWS's read side may not show yet. Answers of reads are overlaid with them, until a read
//! shows them or some minutes have passed: no decision rests on a read older than our last write to a thing
//! (EC2 Describe calls are eventually consistent, AWS says for minutes). Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::LAG;
use crate::expose::plan::RecordChange;
use crate::expose::{
    Group, GroupId, Instance, InstanceId, Moment, Record, RecordKey, Rule, ZoneId, dns::address_key, dns::twin_key,
};

/// A read that doesn't show a write after this long is right: somebody undid it.
const LAG_AT_MOST: Duration = Duration::from_secs(300);

/// How long it is remembered that a group was seen: longer than until the next full read.
const REMEMBERED: Duration = Duration::from_secs(3600);

#[derive(Debug, Default)]
pub(super) struct Journal {
    /// Created (as it was created) or deleted.
    groups: BTreeMap<GroupId, (Moment, Option<Group>)>,
    /// Groups of ours that are so new that EC2 may not find them yet.
    young: BTreeMap<GroupId, Moment>,
    /// Added, with its description, or removed.
    rules: BTreeMap<(GroupId, Rule), Put<String>>,
    /// Attached or detached.
    attachments: BTreeMap<(InstanceId, GroupId), Put<()>>,
    /// Groups that reads showed on an instance, unless we have taken them off since.
    seen: BTreeMap<(InstanceId, GroupId), Seen>,
    /// Written or deleted.
    records: BTreeMap<(ZoneId, RecordKey), Written>,
}

/// A group that reads showed on an instance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// Since when.
    since: Moment,
    /// When one last did.
    pub last: Moment,
    /// It was known to be ours.
    ours: bool,
    /// A later read didn't show it.
    missed: bool,
}

impl Seen {
    /// Whether a read that doesn't show a group of ours tells that somebody has taken it off: it can't be of the time
    /// before the group was there, and only this process has written since.
    pub fn is_conclusive(&self, now: Moment) -> bool {
        self.ours && self.since.after(LAG) <= now
    }
}

/// What we have put somewhere or taken away.
#[derive(Debug)]
struct Put<T> {
    at: Moment,
    /// `None`: taken away.
    what: Option<T>,
    /// A read that shows it as it is may be one of the past, and the next one show what was in between: it was taken away
    /// by us shortly before and put back. What is taken away may be shown again in any case, and what is taken for open
    /// is listed and published.
    lasts: bool,
}

impl<T> Put<T> {
    fn new(what: Option<T>, before: Option<&Put<T>>, now: Moment) -> Put<T> {
        let lasts = what.is_none() || before.is_some_and(|before| before.what.is_none() && is_recent(before.at, now));
        Put { at: now, what, lasts }
    }

    /// Whether reads are still overlaid with it after one that shows it as it is, or doesn't.
    fn stays(&self, shown: bool, now: Moment) -> bool {
        is_recent(self.at, now) && (self.lasts || !shown)
    }
}

/// A record that we have written or deleted.
#[derive(Debug)]
struct Written {
    at: Moment,
    /// As it is now.
    record: Option<Record>,
    /// As it was before, since a read last showed it right: a read that shows one of these is one of the past.
    before: Vec<Option<Record>>,
    /// Route 53 itself said that it isn't so any more: somebody may have put back what was there before.
    contradicted: bool,
    /// Nobody knows whether a later change of ours took effect.
    unsure: bool,
}

impl Journal {
    pub fn created(&mut self, group: &Group, now: Moment) {
        self.found(group, now);
        self.young.insert(group.id.clone(), now);
    }

    /// It is there, by a read that others may not agree with yet; who made it isn't known, nor when.
    pub fn found(&mut self, group: &Group, now: Moment) {
        self.groups.insert(group.id.clone(), (now, Some(group.clone())));
    }

    /// Whether we have deleted the group so lately that reads may still show it.
    pub fn is_deleted(&self, group: &GroupId, now: Moment) -> bool {
        self.groups.get(group).is_some_and(|(at, group)| group.is_none() && is_recent(*at, now))
    }

    pub fn deleted(&mut self, group: &GroupId, now: Moment) {
        self.groups.insert(group.clone(), (now, None));
        self.young.remove(group);
        self.rules.retain(|(of, _), _| of != group);
        self.attachments.retain(|(_, of), _| of != group);
        self.seen.retain(|(_, of), _| of != group);
    }

    pub fn rules(&mut self, group: &GroupId, rules: &BTreeMap<Rule, String>, open: bool, now: Moment) {
        for (rule, description) in rules {
            let place = (group.clone(), *rule);
            let put = Put::new(open.then(|| description.clone()), self.rules.get(&place), now);
            self.rules.insert(place, put);
        }
    }

    /// `shown`: a read has shown it since.
    pub fn attachment(&mut self, instance: &InstanceId, group: &GroupId, attached: bool, shown: bool, now: Moment) {
        let place = (instance.clone(), group.clone());
        if !attached {
            self.seen.remove(&place);
        }
        let put = Put::new(attached.then_some(()), self.attachments.remove(&place).as_ref(), now);
        if put.stays(shown, now) {
            self.attachments.insert(place, put);
        }
    }

    pub fn records(&mut self, change: &RecordChange, now: Moment) {
        let keys: BTreeSet<&RecordKey> = change.delete.keys().chain(change.create.keys()).collect();
        for key in keys {
            let place = (change.zone.clone(), key.clone());
            let mut before = self.records.remove(&place).map(|written| written.before).unwrap_or_default();
            let last = change.delete.get(key).cloned();
            if !before.contains(&last) {
                before.push(last);
            }
            let record = change.create.get(key).cloned();
            self.records.insert(place, Written { at: now, record, before, contradicted: false, unsure: false });
        }
    }

    /// Whether the group was created by us so lately that `InvalidGroup.NotFound` says nothing.
    pub fn is_young(&self, group: &GroupId, now: Moment) -> bool {
        self.young.get(group).is_some_and(|at| is_recent(*at, now))
    }

    /// Whether the group is there is told by reads alone.
    pub fn forget_group(&mut self, group: &GroupId) {
        self.groups.remove(group);
        self.young.remove(group);
    }

    /// AWS itself said that these rules aren't as we thought: those that we opened may have to be opened again. What we
    /// closed isn't taken for open all the same: a read of the past may show it.
    /// So it is where nobody knows whether they were closed.
    pub fn doubt_rules(&mut self, group: &GroupId, rules: &BTreeMap<Rule, String>) {
        self.rules.retain(|(of, rule), put| put.what.is_none() || of != group || !rules.contains_key(rule));
    }

    /// Somebody else wrote to the interface after us: likewise.
    pub fn doubt_attachments(&mut self, instance: &InstanceId) {
        self.attachments.retain(|(of, _), put| put.what.is_none() || of != instance);
    }

    /// Nobody knows whether rules were opened: that we closed some of them before says nothing any more. Gives those, and
    /// until when a read that shows them may be one from before that.
    pub fn perhaps_opened(
        &mut self,
        group: &GroupId,
        rules: &BTreeMap<Rule, String>,
    ) -> Vec<((GroupId, Rule), Moment)> {
        let closed =
            self.rules.extract_if(.., |(of, rule), put| put.what.is_none() && of == group && rules.contains_key(rule));
        closed.map(|(place, put)| (place, put.at.after(LAG_AT_MOST))).collect()
    }

    /// The same of a group that was perhaps attached.
    pub fn perhaps_attached(&mut self, instance: &InstanceId, group: &GroupId) -> Option<Moment> {
        let place = (instance.clone(), group.clone());
        let put = self.attachments.get(&place).filter(|put| put.what.is_none())?;
        let until = put.at.after(LAG_AT_MOST);
        self.attachments.remove(&place);
        Some(until)
    }

    /// Nobody knows whether the group was taken off: that we attached it before says nothing any more.
    pub fn doubt_attachment(&mut self, instance: &InstanceId, group: &GroupId) {
        let place = (instance.clone(), group.clone());
        self.seen.remove(&place);
        if self.attachments.get(&place).is_some_and(|put| put.what.is_some()) {
            self.attachments.remove(&place);
        }
    }

    /// Route 53 itself said that the name's records aren't as we thought. A read that shows what was there before may
    /// still be one of the past, for as long as reads may be behind.
    pub fn doubt_records(&mut self, zone: &ZoneId, name: &str) {
        self.written_of(zone, name, |written| written.contradicted = true);
    }

    /// Nobody knows whether a change of the name took effect: what was so before it may be so or not. Either is believed
    /// where that is the careful thing: it lists what we had it list, whatever a read shows, and what a read shows.
    pub fn unsure_records(&mut self, zone: &ZoneId, name: &str) {
        self.written_of(zone, name, |written| written.unsure = true);
    }

    fn written_of(&mut self, zone: &ZoneId, name: &str, note: impl Fn(&mut Written)) {
        for key in [address_key(name), twin_key(name)] {
            if let Some(written) = self.records.get_mut(&(zone.clone(), key)) {
                note(written);
            }
        }
    }

    /// Whether what is believed of the name against the last read of its zone isn't sure.
    pub fn doubts(&self, zone: &ZoneId, name: &str) -> bool {
        let is_doubted = |written: &Written| written.contradicted || written.unsure;
        let keys = [address_key(name), twin_key(name)];
        keys.into_iter().any(|key| self.records.get(&(zone.clone(), key)).is_some_and(is_doubted))
    }

    /// Brings a complete listing of our groups up to date.
    pub fn overlay_groups(&mut self, listed: &mut BTreeMap<GroupId, Group>, now: Moment) {
        self.young.retain(|_, at| is_recent(*at, now));
        self.groups.retain(|id, (at, group)| {
            let shown = listed.contains_key(id) == group.is_some();
            // A listing that doesn't show what was deleted may be followed by an older one.
            let wanted = is_recent(*at, now) && (group.is_none() || !shown);
            match group {
                Some(group) if wanted => _ = listed.insert(id.clone(), group.clone()),
                None if wanted => _ = listed.remove(id),
                _ => {}
            }
            wanted
        });
        self.rules.retain(|(id, rule), put| {
            // A listing that leaves the group out tells nothing of its rules.
            let Some(group) = listed.get_mut(id) else { return is_recent(put.at, now) };
            let stays = put.stays(group.rules.contains_key(rule) == put.what.is_some(), now);
            match &put.what {
                Some(description) if stays => _ = group.rules.entry(*rule).or_insert_with(|| description.clone()),
                None if stays => _ = group.rules.remove(rule),
                _ => {}
            }
            stays
        });
    }

    /// Brings an instance as it was read up to date.
    pub fn overlay_instance(&mut self, instance: &mut Instance, now: Moment) {
        self.attachments.retain(|(id, group), put| {
            if *id != instance.id {
                return is_recent(put.at, now);
            }
            let shown = instance.groups.contains(group);
            let stays = put.stays(shown == put.what.is_some(), now);
            match put.what {
                Some(()) if stays && !shown => instance.groups.push(group.clone()),
                None if stays => instance.groups.retain(|attached| attached != group),
                _ => {}
            }
            stays
        });
    }

    /// A read that was begun at `asked` showed the instance so.
    pub fn saw(&mut self, instance: &Instance, asked: Moment, is_ours: impl Fn(&GroupId) -> bool) {
        self.seen.retain(|_, seen| asked < seen.last.after(REMEMBERED));
        let of_instance = self.seen.range_mut((instance.id.clone(), GroupId(String::new()))..);
        for ((_, group), seen) in of_instance.take_while(|((id, _), _)| *id == instance.id) {
            seen.missed |= !instance.groups.contains(group);
        }
        for group in &instance.groups {
            let place = (instance.id.clone(), group.clone());
            let anew = Seen { since: asked, last: asked, ours: is_ours(group), missed: false };
            let seen = self.seen.entry(place).or_insert(anew);
            // Who knows what was done with it in between?
            if seen.missed {
                *seen = anew;
            }
            seen.last = asked;
            seen.ours |= anew.ours;
        }
    }

    /// The groups that reads have lately shown on an instance.
    pub fn seen_on(&self, instance: &InstanceId, now: Moment) -> impl Iterator<Item = (&GroupId, Seen)> {
        let of = self.seen.iter().filter(move |((id, _), seen)| id == instance && is_recent(seen.last, now));
        of.map(|((_, group), seen)| (group, *seen))
    }

    /// The groups that an instance has, or hasn't, by what we wrote and reads may not show: to be kept in a list that is
    /// written anew, or to be left out of it.
    pub fn unseen(&self, instance: &InstanceId, now: Moment) -> BTreeMap<GroupId, bool> {
        let of = self.attachments.iter().filter(|((id, _), put)| id == instance && is_recent(put.at, now));
        of.map(|((_, group), put)| (group.clone(), put.what.is_some())).collect()
    }

    /// Brings a complete listing of a zone's records up to date. What it shows that was so before our last write may be
    /// of the past, though it is as it is now; what was never so by us is somebody else's writing, and later than ours.
    pub fn overlay_records(&mut self, zone: &ZoneId, listed: &mut BTreeMap<RecordKey, Record>, now: Moment) {
        self.records.retain(|(of, key), written| {
            if of != zone {
                return is_recent(written.at, now);
            }
            let shown = listed.get(key);
            let past = written.before.iter().any(|before| before.as_ref() == shown);
            let is_recent = if written.contradicted { now < written.at.after(LAG) } else { is_recent(written.at, now) };
            let wanted = is_recent && past;
            match &written.record {
                Some(record) if wanted => _ = listed.insert(key.clone(), record.clone()),
                None if wanted && !written.unsure => _ = listed.remove(key),
                _ => {}
            }
            wanted
        });
    }
}

fn is_recent(at: Moment, now: Moment) -> bool {
    now.0.saturating_sub(at.0) < LAG_AT_MOST
}
