//! Deletions.

use std::sync::Arc;

use serde_json::{Value, json};

use super::kinds::{self, Resource};
use super::status::Status;
use super::store::{Key, Store, Stored};
use super::told::told;
use super::write::{Done, Write, meta, set_meta};

impl Write<'_> {
    /// What the namespace controller does: everything in the namespace goes first, finalizers or not.
    fn empty(&self, store: &mut Store, namespace: &str) {
        for resource in kinds::ALL.into_iter().filter(|resource| resource.namespaced() && *resource == resource.shelf())
        {
            let objects = &store.shelf(resource).objects;
            let keys: Vec<Key> = objects.keys().filter(|key| key.0 == namespace).cloned().collect();
            for key in keys {
                let version = store.next_version(self.now);
                if let Some(last) = store.remove(resource, key.clone(), version)
                    && resource == Resource::Leases
                {
                    self.note_lease_of(store, &key, Some(&last.value), None);
                }
            }
        }
    }

    pub fn delete(&self, store: &mut Store, options: &Value) -> Result<Done, Status> {
        let resource = self.resource();
        let name = &*self.asked.name;
        let Some(old) = store.get(resource, &self.asked.namespace, name).cloned() else {
            return Err(Status::not_found(resource, name));
        };
        let wanted = |name: &str| options["preconditions"][name].as_str();
        if let Some(uid) = wanted("uid").filter(|uid| *uid != old.uid()) {
            let why = format!(
                "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been \
                 deleted and then recreated",
                old.uid()
            );
            return Err(Status::conflict_of_kind(resource, name, &why));
        }
        let version = meta(&old.value, "resourceVersion");
        if let Some(asked) = wanted("resourceVersion").filter(|asked| *asked != version) {
            let why = format!(
                "the ResourceVersion in the precondition ({asked}) does not match the ResourceVersion in record \
                 ({version}). The object might have been modified"
            );
            return Err(Status::conflict_of_kind(resource, name, &why));
        }
        if self.dry_run {
            return Ok(Done { code: 200, object: old, changed: None, deleted: true });
        }
        let key: Key = (self.asked.namespace.clone(), name.to_owned());
        if old.value["metadata"]["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty()) {
            if old.value["metadata"]["deletionTimestamp"].is_string() {
                return Ok(Done { code: 200, object: old, changed: None, deleted: false });
            }
            let mut value = old.value.clone();
            set_meta(&mut value, "deletionTimestamp", json!(self.wall));
            set_meta(&mut value, "deletionGracePeriodSeconds", json!(0));
            let version = store.next_version(self.now);
            let (managers, addresses) = (old.managers.clone(), old.addresses.clone());
            let object = Arc::new(Stored::new(resource.shelf(), value, managers, version, old.creator, addresses));
            store.put(resource, key.clone(), Arc::clone(&object));
            let changed = Some(told("asked to delete", resource, &key, None, None));
            return Ok(Done { code: 200, object, changed, deleted: false });
        }
        if resource == Resource::Namespaces {
            self.empty(store, name);
        }
        let version = store.next_version(self.now);
        self.note_lease(store, &key, Some(&old.value), None);
        let changed = Some(told("deleted", resource, &key, Some(&old.value), None));
        let last = store.remove(resource, key, version).unwrap_or(old);
        Ok(Done { code: 200, object: last, changed, deleted: true })
    }
}
