//! What a confirmed step changes in what is known: for dry runs, for tests, and for the answers to our own writes.

use std::collections::BTreeMap;

use super::super::dns::address_key;
use super::super::publication::{ADDRESSES, ASSIGNED};
use super::super::{FieldOwner, Group, GroupId, Lookup, Memory, Moment, Observed, Record, Service, Snapshot, Trial};
use super::{Action, Publication, RecordChange, Step};

/// Brings everything that is known up to date with `step` having been taken at `now`. A group that was created
/// gets its name as its id: whoever knows the real one inserts it instead.
pub fn effect(step: &Step, snapshot: &mut Snapshot, observed: &mut Observed, memory: &mut Memory, now: Moment) {
    memory.tried(&step.action, now);
    match &step.action {
        Action::TryPublication(publication) => {
            let Publication { service, uid, private_ips, .. } = publication.clone();
            memory.trials.insert(service, Trial { uid, addresses: private_ips, at: now, refused: None, refusals: 0 });
        }
        Action::Publish(publication) => publish(publication, snapshot),
        Action::Release { service, .. } => {
            if let Some(service) = snapshot.services.get_mut(service) {
                released(service);
            }
        }
        cloud => cloud_effect(cloud, observed),
    }
}

fn publish(publication: &Publication, snapshot: &mut Snapshot) {
    if let Some(service) = snapshot.services.get_mut(&publication.service) {
        publication.take_effect(service);
    }
}

/// What the Service is like when what we own of it was given back.
pub fn released(service: &mut Service) {
    if service.external_ips_owner == FieldOwner::Us {
        service.external_ips.clear();
        service.external_ips_owner = FieldOwner::Nobody;
    }
    service.annotations.retain(|name, _| name != ASSIGNED && name != ADDRESSES);
    service.owns_fields = false;
}

/// The same for the steps that only concern AWS.
fn cloud_effect(action: &Action, observed: &mut Observed) {
    match action {
        Action::TryPublication(_) | Action::Publish(_) | Action::Release { .. } => {}
        Action::CreateGroup { vpc, name, .. } => {
            let id = GroupId(name.clone());
            let (name, vpc) = (name.clone(), vpc.clone());
            let group = Group { id: id.clone(), name, vpc, rules: BTreeMap::new(), foreign_rules: Default::default() };
            observed.groups.insert(id, group);
        }
        Action::Authorize { group, rules, .. } => {
            observed.open(group, rules.clone());
        }
        Action::Revoke { group, rules, .. } => observed.close(group, rules),
        Action::Attach { instance, group, .. } => {
            observed.wrote_to(instance);
            if let Some(Lookup::Known(instance)) = observed.instances.get_mut(instance)
                && !instance.groups.contains(group)
            {
                instance.groups.push(group.clone());
            }
        }
        Action::Detach { instance, group } => {
            observed.wrote_to(instance);
            if let Some(Lookup::Known(instance)) = observed.instances.get_mut(instance) {
                instance.groups.retain(|attached| attached != group);
            }
        }
        Action::DeleteGroup { group } => {
            observed.groups.remove(group);
        }
        Action::ChangeRecords(change) => observed.rewrote(change.clone()),
    }
}

impl Observed {
    /// The change took effect.
    pub fn rewrote(&mut self, change: RecordChange) {
        let changes = change.changes();
        let key = (change.zone, change.name);
        if self.behind_zones.contains(&key.0) {
            let address = change.create.get(&address_key(&key.1));
            self.rewritten.insert(key.clone(), address.into_iter().flat_map(Record::public_ips).collect());
        }
        if changes {
            // What was sent before finds another name than it knows, should it come to that yet.
            self.unsettled.remove(&key);
        }
        self.contradicted.remove(&key);
        if let Some(records) = self.records.get_mut(&key.0) {
            records.retain(|key, _| !change.delete.contains_key(key));
            records.extend(change.create);
        }
    }
}
