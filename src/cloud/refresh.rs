//! Reads from AWS what is wanted, and takes it over into what is known. A part that can't be read keeps its last
//! known value: a failed listing is never taken for an empty one.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use slog::debug;

use super::Cloud;
use super::doubts::Doubt;
use super::error::{self, Error, Kind};
use super::{inventory, zones};
use crate::expose::firewall::parse_group_name;
use crate::expose::{Closed, Group, GroupId, InstanceId, Lookup, Moment, Record, RecordKey, Zone, ZoneId};

type Read<T> = Result<T, aws_api::Error>;
type Records = BTreeMap<RecordKey, Record>;

/// What was read of Route 53.
struct Dns {
    zones: Option<Read<BTreeMap<ZoneId, Zone>>>,
    records: Vec<(ZoneId, Read<Records>)>,
}

/// Which parts have been read at least once.
#[derive(Debug, Default)]
pub(super) struct Complete {
    groups: bool,
    instances: bool,
    zones: bool,
}

impl Complete {
    pub fn all(&self) -> bool {
        self.groups && self.instances && self.zones
    }
}

impl Cloud {
    /// Reads instances, groups, zones and records: all of them anew (`full`, and the first time), or only what is
    /// missing or in doubt. `ids` are the instances that nodes name; those that our groups name are read, too.
    ///
    /// # Errors
    /// What could not be read. Everything else is taken over all the same.
    pub async fn refresh(&mut self, ids: &BTreeSet<InstanceId>, full: bool) -> Result<(), Error> {
        let full = full || !self.is_complete();
        let now = self.now();
        let (groups_known, zones_known) = (self.complete.groups, self.complete.zones);
        let mut failures: Vec<(Kind, aws_api::Error)> = Vec::new();
        if self.observed.behind || now < self.behind_until {
            self.observed.had_nodes.extend(ids.iter().cloned());
        }
        let wanted = self.wanted_instances(ids, full);
        let (groups, instances, dns) = {
            let this: &Cloud = self;
            futures::join!(
                async {
                    let wanted = full || this.doubts.groups();
                    if wanted { Some(inventory::groups(&this.ec2, &this.settings.cluster).await) } else { None }
                },
                inventory::instances(&this.ec2, &wanted, this.settings.concurrency),
                this.read_dns(full),
            )
        };
        let missed = groups.and_then(|groups| self.take_groups(groups, now, &mut failures));
        self.take_instances(instances, &wanted, ids, now, &mut failures);
        if let Some(missed) = missed {
            self.keep_missed(missed, &wanted, now);
        }
        // The groups may name instances that no node names any more.
        let named: BTreeSet<InstanceId> = self.named_by_groups().difference(&wanted).cloned().collect();
        let more: BTreeSet<InstanceId> = if full {
            named
        } else {
            named.into_iter().filter(|id| !self.observed.instances.contains_key(id)).collect()
        };
        if !more.is_empty() {
            let instances = inventory::instances(&self.ec2, &more, self.settings.concurrency).await;
            self.take_instances(instances, &more, ids, now, &mut failures);
        }
        self.complete.instances |= !failures.iter().any(|(kind, _)| *kind == Kind::Instances);
        self.take_dns(dns, now, &mut failures);
        self.prune(ids);
        debug!(self.log, "read from AWS"; "full" => full, "instances" => self.observed.instances.len(),
            "groups" => self.observed.groups.len(), "zones" => self.observed.zones.len());
        if failures.is_empty() { Ok(()) } else { Err(Error { failures, groups_known, zones_known }) }
    }

    /// The instances that our groups were made for.
    fn named_by_groups(&self) -> BTreeSet<InstanceId> {
        let names = self.observed.groups.values().map(|group| &group.name);
        names.filter_map(|name| parse_group_name(&self.settings.cluster, name)).map(|(id, _)| id).collect()
    }

    fn wanted_instances(&self, ids: &BTreeSet<InstanceId>, full: bool) -> BTreeSet<InstanceId> {
        let mut all: BTreeSet<InstanceId> = ids.union(&self.named_by_groups()).cloned().collect();
        if !full {
            let doubted = self.doubts.instances();
            all.retain(|id| match self.observed.instances.get(id) {
                None | Some(Lookup::Unknown) => true,
                // A node that says it is there: EC2 may have shown the past, twice.
                Some(Lookup::Gone) => doubted.contains(id) || ids.contains(id),
                Some(Lookup::Known(_)) => doubted.contains(id),
            });
        }
        all
    }

    async fn read_dns(&self, full: bool) -> Dns {
        let zones =
            if full || self.doubts.zones() { Some(zones::zones(&self.dns, &self.settings).await) } else { None };
        let doubted = self.doubts.records();
        let known = match &zones {
            Some(Ok(zones)) => zones,
            _ => &self.observed.zones,
        };
        let mut reads = Vec::new();
        for id in known.keys() {
            // A zone whose records could not be read waits for the next full read.
            if full || doubted.contains(id) || !self.observed.zones.contains_key(id) {
                reads.push(self.read_records(id.clone()));
            }
        }
        let records = futures::stream::iter(reads).buffered(self.settings.concurrency.max(1)).collect().await;
        Dns { zones, records }
    }

    async fn read_records(&self, zone: ZoneId) -> (ZoneId, Read<Records>) {
        let records = zones::records(&self.dns, &zone).await;
        (zone, records)
    }

    /// What was read since `asked`. Gives back those that were known and aren't shown, if the groups could be read.
    fn take_groups(
        &mut self,
        read: Read<BTreeMap<GroupId, Group>>,
        asked: Moment,
        failures: &mut Vec<(Kind, aws_api::Error)>,
    ) -> Option<BTreeMap<GroupId, Group>> {
        match read {
            Ok(mut groups) => {
                self.journal.overlay_groups(&mut groups, asked);
                let mut before = std::mem::replace(&mut self.observed.groups, groups);
                before.retain(|id, _| !self.observed.groups.contains_key(id));
                self.observed.closings.retain(|_, until| asked < *until);
                self.observed.behind = asked < self.behind_until;
                let opened = self.observed.opened.take();
                let inherits = self.observed.behind && self.observed.closed != Closed::default();
                self.observed.opened = inherits.then(|| opened.unwrap_or_default());
                self.doubts.read(&Kind::Groups);
                self.complete.groups = true;
                self.groups_unread = None;
                Some(before)
            }
            Err(error) => {
                self.groups_unread = Some(error::groups_unread(&error));
                self.doubts.unread(Kind::Groups, self.now());
                failures.push((Kind::Groups, error));
                None
            }
        }
    }

    /// A listing that leaves out a group proves nothing while an instance shows that it has it: what is attached can't
    /// be deleted. `wanted` are the instances that were read after `asked`, too.
    fn keep_missed(&mut self, missed: BTreeMap<GroupId, Group>, wanted: &BTreeSet<InstanceId>, asked: Moment) {
        let now = self.now();
        let mut kept = BTreeSet::new();
        for (id, group) in missed {
            let has = |lookup: &Lookup| matches!(lookup, Lookup::Known(instance) if instance.groups.contains(&id));
            let having = self.observed.instances.iter().filter(|(_, lookup)| has(lookup)).map(|(instance, _)| instance);
            let having: Vec<InstanceId> = having.cloned().collect();
            if having.is_empty() || self.doubts.missed_group(&id, asked, now) {
                continue;
            }
            // What an instance showed before may be so no more.
            let unread = having.into_iter().filter(|instance| !wanted.contains(instance));
            unread.for_each(|instance| self.doubts.add(Doubt::Instance(instance)));
            self.observed.groups.insert(id.clone(), group);
            kept.insert(id);
        }
        self.doubts.retain_missed_groups(&kept);
    }

    /// What was read of the instances `wanted`, since `asked`; `ids` are those that nodes name.
    fn take_instances(
        &mut self,
        read: inventory::Instances,
        wanted: &BTreeSet<InstanceId>,
        ids: &BTreeSet<InstanceId>,
        asked: Moment,
        failures: &mut Vec<(Kind, aws_api::Error)>,
    ) {
        let now = self.now();
        if read.errors.is_empty() {
            self.doubts.read(&Kind::Instances);
        }
        for (id, answer) in read.answered {
            let lookup = match answer {
                Some(Lookup::Known(mut instance)) => {
                    self.doubts.seen(&id);
                    if self.observed.detachments.get(&id).is_some_and(|until| asked >= *until) {
                        self.observed.detachments.remove(&id);
                    }
                    let concerns = |group: &GroupId| self.observed.closed.concerns(group);
                    let may_be_behind = asked < self.behind_until && instance.groups.iter().any(concerns);
                    if may_be_behind && !self.written.contains(&id) {
                        self.observed.unproven.insert(id.clone());
                    } else {
                        self.observed.unproven.remove(&id);
                    }

                    self.journal.saw(&instance, asked, |group| self.observed.groups.contains_key(group));
                    self.journal.overlay_instance(&mut instance, asked);
                    Lookup::Known(instance)
                }
                Some(lookup) => {
                    self.doubts.seen(&id);
                    lookup
                }
                None if self.observed.instances.get(&id) == Some(&Lookup::Gone) => {
                    self.doubts.seen(&id);
                    Lookup::Gone
                }
                // Kubernetes has no node of it, either.
                None if !ids.contains(&id) && !self.unreadable_nodes => {
                    self.doubts.seen(&id);
                    Lookup::Gone
                }
                None if self.doubts.missed(&id, asked, now) && !self.reporting.contains(&id) => Lookup::Gone,
                // One answer that leaves it out changes nothing: what is known stays until a later one agrees.
                None => self.observed.instances.get(&id).cloned().unwrap_or(Lookup::Unknown),
            };
            self.observed.set_instance(id, lookup, now);
        }
        if !read.errors.is_empty() {
            self.doubts.unread(Kind::Instances, now);
            for id in wanted {
                self.observed.instances.entry(id.clone()).or_insert(Lookup::Unknown);
            }
        }
        failures.extend(read.errors.into_iter().map(|error| (Kind::Instances, error)));
    }

    /// What was read since `asked`.
    fn take_dns(&mut self, read: Dns, asked: Moment, failures: &mut Vec<(Kind, aws_api::Error)>) {
        let now = self.now();
        match read.zones {
            Some(Ok(zones)) => {
                self.observed.records.retain(|id, _| zones.contains_key(id));
                self.observed.behind_zones.retain(|id| zones.contains_key(id));
                self.observed.rewritten.retain(|(id, _), _| zones.contains_key(id));
                self.observed.contradicted.retain(|(id, _)| zones.contains_key(id));
                self.observed.zones = zones;
                self.doubts.read(&Kind::Zones);
                self.complete.zones = true;
            }
            Some(Err(error)) => {
                self.doubts.unread(Kind::Zones, now);
                failures.push((Kind::Zones, error));
            }
            None => {}
        }
        for (id, records) in read.records {
            let kind = Kind::Records(id.clone());
            match records {
                Ok(mut records) => {
                    self.journal.overlay_records(&id, &mut records, asked);
                    let journal = &self.journal;
                    self.observed.contradicted.retain(|(zone, name)| *zone != id || journal.doubts(zone, name));
                    // What is shown did take effect. That something isn't shown proves nothing for a while: reads lag.
                    self.observed.unsettled.retain(|(zone, name), change| {
                        *zone != id || asked < change.until() && !change.is_shown(name, &records)
                    });
                    if asked < self.behind_until {
                        self.observed.behind_zones.insert(id.clone());
                    } else {
                        self.observed.behind_zones.remove(&id);
                        self.observed.rewritten.retain(|(zone, _), _| *zone != id);
                    }
                    self.observed.records.insert(id, records);
                    self.doubts.read(&kind);
                }
                Err(error) => {
                    if error.is("NoSuchHostedZone") && !error.refused {
                        // It was deleted since the zones were listed.
                        self.observed.zones.remove(&id);
                        self.observed.records.remove(&id);
                    }
                    self.doubts.unread(kind.clone(), now);
                    failures.push((kind, error));
                }
            }
        }
    }

    /// Forgets the instances that neither a node nor a group of ours names, and the zones that are gone.
    fn prune(&mut self, ids: &BTreeSet<InstanceId>) {
        let named = self.named_by_groups();
        let now = self.now();
        self.observed.forget(|id| ids.contains(id) || named.contains(id), now);
        let (instances, zones) = (&self.observed.instances, &self.observed.zones);
        // No read tells of a zone that isn't there.
        self.observed.unsettled.retain(|(zone, _), change| zones.contains_key(zone) || now < change.until());
        self.doubts.prune(|id| instances.contains_key(id), |id| zones.contains_key(id));
    }
}
