//! What the daemon does in AWS: S1, S3, S4, S5, S7, S11.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use crate::sim::aws::state::{Group, Interface, RecordSet, Rule, RuleKey, Zone};
use crate::sim::aws::{RecordKey, State};
use crate::sim::event::{Actor, Call, Creator};

use super::wish;
use super::{FRESH, Lingering, Memory};

/// What somebody else put into a group is shown after so long: reads may be two minutes behind, and a full one has to
/// come.
const SHOWN: Duration = Duration::from_secs(180);

/// The owner and the Service that a twin names.
pub(super) struct Twin {
    pub owner: String,
    pub service: Option<(String, String)>,
}

/// Reads a twin: `"heritage=external-dns,external-dns/owner=O,external-dns/resource=service/NS/NAME"`.
pub(super) fn twin(record: &RecordSet) -> Option<Twin> {
    let [value] = record.values.as_slice() else { return None };
    let value = value.trim_matches('"');
    let part = |name: &str| value.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    let owner = part("external-dns/owner")?.to_owned();
    let service = part("external-dns/resource").and_then(|resource| {
        let (namespace, name) = resource.strip_prefix("service/")?.split_once('/')?;
        Some((namespace.to_owned(), name.to_owned()))
    });
    Some(Twin { owner, service })
}

/// The twin of an address record in a zone.
pub(super) fn twin_of(zone: &Zone, name: &str) -> Option<Twin> {
    let key = RecordKey::new(&format!("a-{name}"), "TXT", None)?;
    twin(zone.records.get(&key)?)
}

/// The addresses that a record lists.
pub(super) fn addresses(record: Option<&Arc<RecordSet>>) -> BTreeSet<Ipv4Addr> {
    record.into_iter().flat_map(|record| &record.values).filter_map(|value| value.parse().ok()).collect()
}

/// An answer may take so long to whom it is for.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// What was shown is believed for so long, against reads that don't show it any more: they may be of the past.
const BELIEVED: Duration = Duration::from_secs(60);

impl Memory {
    /// `sent`: whose write it was, and when that was sent, if it is known.
    pub(super) fn aws_changed(&mut self, at: Duration, actor: Actor, sent: Option<(u32, Duration)>, after: State) {
        let before = std::mem::replace(&mut self.state, after.clone());
        let ours = matches!(actor, Actor::Replica(_));
        self.lingering.retain(|one| at < one.until);
        self.remember(at, ours, &before, &after);
        for id in changed(&before.zones, &after.zones) {
            let (old, new) = (before.zones.get(&id), after.zones.get(&id));
            self.records_changed(at, ours, &after, old.map(AsRef::as_ref), new.map(AsRef::as_ref));
        }
        if ours {
            for id in changed(&before.groups, &after.groups) {
                let (old, new) = (before.groups.get(&id), after.groups.get(&id));
                self.group_changed(at, old.map(AsRef::as_ref), new.map(AsRef::as_ref));
                self.judge_opening(at, old.map(AsRef::as_ref), new.map(AsRef::as_ref));
            }
            for id in changed(&before.interfaces, &after.interfaces) {
                if let (Some(old), Some(new)) = (before.interfaces.get(&id), after.interfaces.get(&id)) {
                    self.interface_changed(at, sent, (&before, &after), old, new);
                }
            }
            self.judge_closing(at, &before, &after);
            self.judge_absence(at, actor, &before, &after);
        } else {
            self.past.account_changed(at, &before, &after);
        }
        self.judge_strangers(at, &after);
    }

    /// Whose addresses and firewalls have changed, and by whom.
    fn remember(&mut self, at: Duration, ours: bool, before: &State, after: &State) {
        let interfaces = changed(&before.interfaces, &after.interfaces);
        let interfaces: Vec<&Arc<Interface>> = interfaces.iter().filter_map(|id| before.interfaces.get(id)).collect();
        let mut instances: BTreeSet<String> = changed(&before.instances, &after.instances).into_iter().collect();
        instances.extend(interfaces.iter().filter_map(|interface| interface.instance.clone()));
        for id in &instances {
            let Some((private, public)) = wish::addresses(before, id) else { continue };
            let now = wish::addresses(after, id);
            if now.is_none_or(|(now, _)| now != private) {
                self.left.insert(private, at);
            }
            if now.is_none_or(|(_, now)| now != public) {
                self.left.insert(public, at);
            }
            if now != Some((private, public)) {
                self.moved.insert(id.clone(), at);
            }
        }
        if ours {
            return;
        }
        let groups: BTreeSet<String> = changed(&before.groups, &after.groups).into_iter().collect();
        let none = BTreeMap::new();
        for old in &interfaces {
            let groups = after.interfaces.get(&old.id).map_or(&none, |new| &new.groups);
            for group in symmetric_difference(&old.groups, groups) {
                self.attached.insert((old.id.clone(), group.clone()), at);
                self.hands = Some(at);
            }
        }
        if !groups.is_empty() {
            self.hands = Some(at);
        }
        let through = before.interfaces.values().filter(|one| one.groups.keys().any(|group| groups.contains(group)));
        for old in interfaces.into_iter().chain(through) {
            let new = after.interfaces.get(&old.id);
            // What is let in by none yet may be meant to be next through a group that is taken off.
            let stays = new.is_some_and(|new| {
                old.groups.keys().all(|group| new.groups.contains_key(group))
                    && let_in(before, old).is_subset(&let_in(after, new))
            });
            if let Some(instance) = old.instance.clone().filter(|_| !stays) {
                self.meddled.insert(instance, at);
            }
        }
    }

    /// S4: a record is replaced only as it was read.
    pub(super) fn judge_upsert(&mut self, at: Duration, call: &Call) {
        if matches!(call.actor, Actor::Replica(_)) && call.target.contains("UPSERT ") {
            self.broken("S4", at, format!("{} {}: whatever is there is overwritten", call.operation, call.target));
        }
    }

    /// S3 for a group that we touched.
    fn group_changed(&mut self, at: Duration, old: Option<&Group>, new: Option<&Group>) {
        let Some(old) = old else { return };
        let name = &old.name;
        // That it was taken off an interface is noted at the group, and changes nothing of it.
        let same =
            new.is_some_and(|new| new.name == *name && new.tags == old.tags && new.rules.keys().eq(old.rules.keys()));
        if same {
            return;
        }
        if old.creator != Creator::Us {
            return self.broken("S3", at, format!("the group {name}, which isn't ours, was changed or deleted"));
        }
        let Some(new) = new else {
            if self.is_used(at, old) {
                self.broken("S3", at, format!("{name} was deleted, though somebody else has a rule in it"));
            }
            return;
        };
        let gone = old.rules.iter().filter(|(key, _)| !new.rules.contains_key(key));
        for (key, _) in gone.filter(|(_, rule)| rule.creator != Creator::Us) {
            self.broken("S3", at, format!("the rule {key:?} of {name}, which isn't ours, was revoked"));
        }
    }

    /// Whether somebody else has had a rule in the group for long enough to be known of.
    fn is_used(&self, at: Duration, group: &Group) -> bool {
        let known = |rule: &Rule| rule.created_at + self.terms.patience.meddling.min(SHOWN) <= at;
        group.rules.values().any(|rule| rule.creator != Creator::Us && known(rule))
    }

    /// S5 for rules that we have added: nothing is opened for a Service before the API server has said, in a dry run, that
    /// it would take its addresses.
    fn judge_opening(&mut self, at: Duration, old: Option<&Group>, new: Option<&Group>) {
        let Some(new) = new else { return };
        let added = new.rules.iter().filter(|(key, _)| old.is_none_or(|old| !old.rules.contains_key(key)));
        let services: BTreeSet<(String, String)> = added
            .filter_map(|(_, rule)| rule.description.rsplit(' ').next()?.split_once('/'))
            .map(|(namespace, name)| (namespace.to_owned(), name.to_owned()))
            .collect();
        for key in services {
            let Some(known) = self.services.get(&key) else { continue };
            let served = known.view.external_ips.iter().any(|(_, creator)| *creator == Creator::Us);
            // What was planned for the Service of that name before may still be on its way, or be planned by a process
            // that stood still meanwhile.
            let patience = FRESH.max(self.terms.patience.wish);
            let anew = |tried: &Duration| *tried < known.born && known.born + patience < at;
            if !served && self.tried.get(&key).is_none_or(anew) {
                let what = format!("{} was opened for {}/{} without a dry run before", new.name, key.0, key.1);
                self.broken("S5", at, what);
            }
        }
    }

    /// S3 for an interface's groups.
    fn interface_changed(
        &mut self,
        at: Duration,
        sent: Option<(u32, Duration)>,
        (before, after): (&State, &State),
        old: &Interface,
        new: &Interface,
    ) {
        let ours =
            |state: &State, group: &str| state.groups.get(group).is_some_and(|group| group.creator == Creator::Us);
        // All groups of an interface are written at once: one that came after the read that we wrote from is lost.
        // But who has been shown it a moment ago knows that it is there, whatever the last read shows.
        let raced = |group: &String| {
            let touched = self.attached.get(&(new.id.clone(), group.clone()));
            let known = |touched: Duration| {
                let (replica, sent) = sent?;
                let shown = self.lease.last_shown(replica, &new.id, group)?;
                Some(touched <= shown && shown + ON_ITS_WAY <= sent && sent <= shown + BELIEVED)
            };
            touched.is_some_and(|touched| {
                at < *touched + self.terms.patience.meddling
                    && (new.groups.contains_key(group) || !known(*touched).unwrap_or(false))
            })
        };
        let foreign = |group: &&String| !ours(before, group) && !ours(after, group);
        let mut changed = symmetric_difference(&old.groups, &new.groups).filter(foreign);
        if let Some(group) = changed.find(|group| !raced(group)).cloned() {
            let (was, is) = (old.groups.keys(), new.groups.keys());
            let what = format!("{group} on {}, which isn't ours: was {was:?}, is {is:?}", new.id);
            self.broken("S3", at, what);
        }
        let left = old.groups.keys().filter(|group| !new.groups.contains_key(*group) && ours(before, group));
        if let Some(group) = left.filter_map(|id| before.groups.get(id)).find(|group| self.is_used(at, group)) {
            let what = format!("{} was taken off {}, though somebody else has a rule in it", group.name, new.id);
            self.broken("S3", at, what);
        }
        let added = new.groups.keys().any(|group| !old.groups.contains_key(group) && ours(after, group));
        if added && new.device_index != 0 {
            self.broken("S3", at, format!("a group of ours was put on {}, which is no primary interface", new.id));
        }
        let for_another = |group: &&String| {
            let name = after.groups.get(*group).filter(|_| ours(after, group)).map(|group| group.name.as_str());
            let made_for = name.and_then(instance_in);
            made_for.is_some() && made_for != new.instance.as_deref()
        };
        let added = new.groups.keys().filter(|group| !old.groups.contains_key(*group));
        if let Some(group) = added.into_iter().find(for_another).cloned() {
            self.broken("S3", at, format!("{group} was put on {}, which it wasn't made for", new.id));
        }
    }

    /// S1c, S5 and S7: what was open and isn't any more is nobody's way.
    fn judge_closing(&mut self, at: Duration, before: &State, after: &State) {
        let mut broken = Vec::new();
        for known in self.services.values() {
            let Some(wish) = &self.asked_throughout(at, known) else { continue };
            let name = format!("{}/{}", known.view.namespace, known.view.name);
            for instance in before.instances.keys().filter(|id| self.nodes.contains(*id)) {
                let Some((private, public)) = wish::addresses(after, instance) else { continue };
                // Nobody can reach a Service where it isn't published; and where somebody has closed its way, a rule of
                // another Service may have let it in until the next who looks opens its own again.
                let ours = |(ip, creator): &(String, Creator)| *creator == Creator::Us && *ip == private.to_string();
                if !known.view.external_ips.iter().any(ours) || self.is_meddled(at, instance) {
                    continue;
                }
                if !wish::open(before, instance, wish) || wish::open(after, instance, wish) {
                    continue;
                }
                if let Some(hostname) = self.named(at, before, wish, public) {
                    broken.push(("S1c", format!("{instance} was closed for {name} while {hostname} lists {public}")));
                }
                broken.push(("S7", format!("{instance} was closed for {name} while {private} is published")));
            }
        }
        for (rule, what) in broken {
            self.broken(rule, at, what);
        }
    }

    /// S1a, S4, S11 for the records of one zone.
    fn records_changed(&mut self, at: Duration, ours: bool, after: &State, old: Option<&Zone>, new: Option<&Zone>) {
        let (Some(old), Some(new)) = (old, new) else {
            // Somebody deleted the zone, with all in it.
            let names = old.into_iter().flat_map(|zone| zone.records.keys()).map(RecordKey::plain_name);
            self.rewritten.extend(names.map(|name| (name.trim_end_matches('.').to_owned(), at)));
            return;
        };
        let keys: BTreeSet<&RecordKey> = old.records.keys().chain(new.records.keys()).collect();
        for key in keys {
            let (was, is) = (old.records.get(key), new.records.get(key));
            let same = match (was, is) {
                (Some(was), Some(is)) => Arc::ptr_eq(was, is) || was == is,
                (None, None) => true,
                _ => false,
            };
            if same {
                continue;
            }
            let name = key.plain_name().trim_end_matches('.').to_owned();
            if key.kind() == "A" {
                self.remember_answers(at, &name, was, is);
            }
            if !ours {
                self.rewritten.insert(name.strip_prefix("a-").unwrap_or(&name).to_owned(), at);
            }
            if ours {
                self.judge_ownership(at, key, &name, old, new);
                if key.kind() == "A" {
                    self.judge_listing(at, &name, after, (old, new), was, is);
                }
            }
        }
    }

    /// What an answer said, resolvers know for its TTL: also of an address that stays with a lower one, since it may leave
    /// before they ask again.
    fn remember_answers(
        &mut self,
        at: Duration,
        name: &str,
        was: Option<&Arc<RecordSet>>,
        is: Option<&Arc<RecordSet>>,
    ) {
        let ttl = |record: Option<&Arc<RecordSet>>| record.and_then(|record| record.ttl).unwrap_or_default();
        let until = at + Duration::from_secs(ttl(was).into()) + self.terms.propagation;
        let (lowered, left) = (ttl(is) < ttl(was), addresses(is));
        for address in addresses(was).into_iter().filter(|address| lowered || !left.contains(address)) {
            self.lingering.push(Lingering { name: name.to_owned(), address, until });
        }
    }

    /// S4: only names whose twin is ours, or that are free; address and twin together.
    fn judge_ownership(&mut self, at: Duration, key: &RecordKey, name: &str, old: &Zone, new: &Zone) {
        let base = match key.kind() {
            "A" => name.to_owned(),
            "TXT" => name.strip_prefix("a-").unwrap_or(name).to_owned(),
            other => return self.broken("S4", at, format!("the record {name} {other} was changed")),
        };
        let existed = old.records.contains_key(key);
        let owner_before = twin_of(old, &base).map(|twin| twin.owner);
        match owner_before {
            Some(owner) if owner != self.terms.owner => {
                self.broken("S4", at, format!("{name} {} was changed, whose twin says {owner}", key.kind()));
            }
            None if existed => {
                self.broken("S4", at, format!("{name} {} was changed, which has no twin", key.kind()));
            }
            _ => {}
        }
        let record = |zone: &Zone, name: &str, kind| {
            RecordKey::new(name, kind, None).and_then(|key| zone.records.get(&key).cloned())
        };
        let twin = |zone| record(zone, &format!("a-{base}"), "TXT").is_some();
        let address = record(new, &base, "A");
        // A twin that somebody left alone may stay alone, but we leave no address without one, and make no twin alone.
        // Nobody can delete a lone twin on condition that there is no address: another may just have made his. And an
        // alias is none of ours, whatever the twin says.
        let left = address
            .as_ref()
            .is_some_and(|made| made.creator == Creator::Us || made.ttl.is_some() && !self.is_rewritten(at, &base));
        if left && !twin(new) {
            self.broken("S4", at, format!("{base} has no twin now"));
        }
        if address.is_none() && twin(new) && !twin(old) {
            self.broken("S4", at, format!("{base} has a twin alone now"));
        }
    }

    /// S1a and S11 for the address record of a name.
    fn judge_listing(
        &mut self,
        at: Duration,
        name: &str,
        after: &State,
        (old, zone): (&Zone, &Zone),
        was: Option<&Arc<RecordSet>>,
        is: Option<&Arc<RecordSet>>,
    ) {
        let (was, is) = (addresses(was), addresses(is));
        let service = twin_of(zone, name).and_then(|twin| twin.service);
        let wishes = service.map(|key| {
            let now = self.services.get(&key).map(|known| &known.view);
            self.wishes_lately(at, now, &key.0, &key.1)
        });
        let wishes = wishes.unwrap_or_default();
        for address in is.difference(&was) {
            let Some(instance) = after.instance_of(*address) else {
                if self.just_left(at, *address) {
                    continue;
                }
                self.broken("S1a", at, format!("{name} begins to list {address}, which belongs to no instance"));
                continue;
            };
            if !wishes.is_empty()
                && !wishes.iter().any(|wish| wish::open(after, &instance.id, wish))
                && !self.is_meddled(at, &instance.id)
                && !self.just_left(at, *address)
            {
                self.broken("S1a", at, format!("{name} begins to list {address}, where {} isn't open", instance.id));
            }
        }
        if is.is_empty() && !was.is_empty() {
            // Whose it was, or who is served under it.
            let whose = twin_of(old, name).and_then(|twin| twin.service);
            let alive = |address: &Ipv4Addr| {
                let instance = &after.instance_of(*address)?.id;
                let (private, _) = wish::addresses(after, instance)?;
                (self.lives(after, instance) && !self.has_moved(at, instance)).then_some((private, *address))
            };
            let alive: Vec<(Ipv4Addr, Ipv4Addr)> = was.iter().filter_map(alive).collect();
            let deprived =
                self.known_wishes(at).filter(|(_, wish)| wish.hostnames.contains(name)).find_map(|(known, _)| {
                    let view = &known.view;
                    let own = whose
                        .as_ref()
                        .is_some_and(|(namespace, name)| view.namespace == *namespace && view.name == *name);
                    // Who shared the name had those of the addresses that it is published on.
                    let published = |private: &Ipv4Addr| {
                        let ours = view.external_ips.iter().filter(|(_, creator)| *creator == Creator::Us);
                        ours.map(|(ip, _)| ip).any(|ip| *ip == private.to_string())
                    };
                    let (_, address) = alive.iter().find(|(private, _)| own || published(private))?;
                    Some((format!("{}/{}", view.namespace, view.name), *address))
                });
            let elsewhere = wish::listed(after, name).iter().any(|(_, addresses)| !addresses.is_empty());
            if let (Some((who, alive)), false) = (deprived, elsewhere) {
                self.broken("S11", at, format!("{name} lists nothing any more, though {who} asks and {alive} lives"));
            }
        }
    }

    /// S1b: what belongs to nobody leaves in time.
    fn judge_strangers(&mut self, at: Duration, after: &State) {
        let Some(patience) = self.terms.patience.stranger else { return };
        let mut now = BTreeSet::new();
        for zone in after.zones.values() {
            for (key, record) in zone.records.iter().filter(|(key, _)| key.kind() == "A") {
                if record.creator != Creator::Us {
                    continue;
                }
                for address in addresses(Some(record)) {
                    if after.instance_of(address).is_none() {
                        now.insert((key.plain_name(), address));
                    }
                }
            }
        }
        self.strangers.retain(|key, _| now.contains(key));
        for key in now {
            let since = *self.strangers.entry(key.clone()).or_insert(at);
            if since + patience < at {
                self.broken("S1b", at, format!("{} has listed {} for too long: it belongs to nobody", key.0, key.1));
                self.strangers.insert(key, at);
            }
        }
    }
}

/// The instance that a group of ours is made for: `external-ips/CLUSTER/INSTANCE`, perhaps with `/N` at its end.
pub(super) fn instance_in(name: &str) -> Option<&str> {
    name.split('/').find(|part| part.starts_with("i-"))
}

/// What is let in through the groups of an interface.
fn let_in<'a>(state: &'a State, interface: &Interface) -> BTreeSet<&'a RuleKey> {
    let groups = interface.groups.keys().filter_map(|id| state.groups.get(id));
    groups.flat_map(|group| group.rules.keys()).collect()
}

/// The keys that only one of them has.
fn symmetric_difference<'a, K: Ord, V, W>(
    one: &'a BTreeMap<K, V>,
    other: &'a BTreeMap<K, W>,
) -> impl Iterator<Item = &'a K> {
    let gone = one.keys().filter(|key| !other.contains_key(*key));
    gone.chain(other.keys().filter(|key| !one.contains_key(*key)))
}

/// The keys of what differs.
pub(super) fn changed<T>(
    before: &std::collections::BTreeMap<String, Arc<T>>,
    after: &std::collections::BTreeMap<String, Arc<T>>,
) -> Vec<String> {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let same = |key: &&String| match (before.get(*key), after.get(*key)) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        _ => false,
    };
    keys.into_iter().filter(|key| !same(key)).cloned().collect()
}
