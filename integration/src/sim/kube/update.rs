//! Updates: replacements, patches, server-side apply.

use std::sync::Arc;

use serde_json::{Value, json};

use super::kinds::others::{blank, defaults, tidied, typed, unknown_fields, validate};
use super::kinds::{Resource, event, service};
use super::managed::{self, Manager};
use super::patch;
use super::route::{PatchKind, Verb};
use super::status::{Cause, Status};
use super::store::{Key, Store, Stored};
use super::told::told;
use super::write::{Done, Write, addresses, meta, set_meta, take_meta};

impl Write<'_> {
    pub fn update(&self, store: &mut Store, mut body: Value) -> Result<Done, Status> {
        self.fits(&mut body)?;
        if meta(&body, "name").is_empty() {
            set_meta(&mut body, "name", json!(self.asked.name));
        }
        let Some(old) = store.get(self.resource(), &self.asked.namespace, &self.asked.name).cloned() else {
            let creates = matches!(self.resource().shelf(), Resource::Services | Resource::Events | Resource::Leases);
            if !creates || !self.asked.subresource.is_empty() {
                return Err(Status::not_found(self.resource(), &self.asked.name));
            }
            self.may_create.clone()?;
            return self.create(store, body);
        };
        if self.resource() == Resource::NewEvents {
            body = event::from_new(&body);
        }
        let uid = meta(&body, "uid");
        if !uid.is_empty() && uid != old.uid() {
            let key = (self.asked.namespace.clone(), self.asked.name.clone());
            return Err(other_uid(self.resource(), &key, uid, old.uid()));
        }
        self.replace(store, &old, body)
    }

    pub fn patch(&self, store: &mut Store, kind: PatchKind, body: &Value) -> Result<Done, Status> {
        let resource = self.resource();
        let old = store.get(resource, &self.asked.namespace, &self.asked.name).cloned();
        if kind == PatchKind::Apply {
            return self.apply(store, old.as_ref(), body);
        }
        let Some(old) = old else { return Err(Status::not_found(resource, &self.asked.name)) };
        // Most patches don't touch the books: they stay as they are then.
        let books = kind == PatchKind::Json || body.pointer("/metadata/managedFields").is_some();
        let mut shown = if books { old.whole() } else { old.value.clone() };
        if resource == Resource::NewEvents {
            shown = event::to_new(&shown);
        }
        match kind {
            PatchKind::Json => patch::json(&mut shown, body)?,
            PatchKind::Merge => patch::merge(&mut shown, body),
            _ => patch::strategic(resource.schema(), &mut shown, body)?,
        }
        if resource == Resource::NewEvents {
            shown = event::from_new(&shown);
        }
        self.fits(&mut shown)?;
        self.replace(store, &old, shown)
    }

    fn apply(&self, store: &mut Store, old: Option<&Arc<Stored>>, body: &Value) -> Result<Done, Status> {
        let resource = self.resource();
        if self.asked.parameter("fieldManager").is_empty() {
            let cause = Cause::required("fieldManager", "is required for apply patch");
            return Err(Status::invalid_options("PatchOptions", &[cause]));
        }
        let mut config = body.clone();
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("kind") != resource.kind_name() || text("apiVersion") != resource.api_version() {
            let version = text("apiVersion");
            let version = if version.contains('/') { version.to_owned() } else { format!("/{version}") };
            let version = if version == "/" { "/".to_owned() } else { version };
            return Err(Status::bad_request(format!("invalid object type: {version}, Kind={}", text("kind"))));
        }
        self.fits(&mut config)?;
        if !config["metadata"]["managedFields"].is_null() {
            return Err(Status::bad_request("metadata.managedFields must be nil"));
        }
        if meta(&config, "name").is_empty() {
            set_meta(&mut config, "name", json!(self.asked.name));
        }
        if let Some(object) = config.as_object_mut() {
            object.remove("kind");
            object.remove("apiVersion");
        }
        let force = self.asked.flag("force");
        let Some(old) = old else {
            let uid = meta(&config, "uid");
            if !uid.is_empty() {
                let why =
                    format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
                return Err(Status::conflict(resource, &self.asked.name, &why));
            }
            self.may_create.clone()?;
            let blank = blank(resource);
            let (object, managers) = managed::apply(resource, &blank, &config, Vec::new(), &self.writer(), force)?;
            let mut value = typed(resource, object)?;
            defaults(resource, &mut value);
            return self.insert(store, value, managers);
        };
        // What is there has the right types: of a Service only what is new is looked at.
        let checked = match resource {
            Resource::Services => unknown_fields(&config, &typed(resource, config.clone())?).is_none(),
            _ => false,
        };
        let writer = self.writer();
        let (object, managers) = managed::apply(resource, &old.value, &config, old.managers.clone(), &writer, force)?;
        self.store_update(store, old, object, Some((managers, checked)))
    }

    /// The second half of an update that has no owners of its own.
    fn replace(&self, store: &mut Store, old: &Arc<Stored>, value: Value) -> Result<Done, Status> {
        self.store_update(store, old, value, None)
    }

    fn store_update(
        &self,
        store: &mut Store,
        old: &Arc<Stored>,
        mut value: Value,
        applied: Option<(Vec<Manager>, bool)>,
    ) -> Result<Done, Status> {
        let resource = self.resource();
        let name = &*self.asked.name;
        if meta(&value, "name") != name {
            let why = format!(
                "the name of the object ({}) does not match the name on the URL ({name})",
                meta(&value, "name")
            );
            return Err(Status::bad_request(why));
        }
        let version = meta(&value, "resourceVersion");
        if version.is_empty() && resource == Resource::Leases {
            let cause = Cause::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
            return Err(Status::invalid_for_resource(resource, name, &[cause]));
        }
        if !version.is_empty() && version != meta(&old.value, "resourceVersion") {
            if version.parse::<u64>().is_err() {
                let why = format!("strconv.ParseUint: parsing \"{version}\": invalid syntax");
                return Err(Status::failed(500, why));
            }
            return Err(Status::modified(resource, name));
        }
        let carried = take_meta(&mut value, "managedFields");
        let asked = self.strict.then(|| value.clone());
        let patched = matches!(self.asked.verb, Verb::Patch(PatchKind::Json | PatchKind::Merge)).then(|| value.clone());
        let mut value = match &applied {
            Some((_, true)) => tidied(resource, value),
            _ => typed(resource, value).map_err(|status| match &patched {
                Some(patched) => Status::unfit_patch(patched, &status.message),
                None => status,
            })?,
        };
        if let Some(why) = asked.and_then(|asked| unknown_fields(&asked, &value)) {
            return Err(match self.asked.verb {
                Verb::Patch(_) => Status::unfit_patch(&json!({}), &why),
                _ => {
                    let kind = resource.kind_name();
                    Status::bad_request(format!("{kind} in version \"v1\" cannot be handled as a {kind}: {why}"))
                }
            });
        }
        defaults(resource, &mut value);
        if resource == Resource::EndpointSlices && ["endpoints", "ports"].iter().any(|m| value[m] != old.value[m]) {
            let generation = old.value["metadata"]["generation"].as_u64().unwrap_or_default();
            set_meta(&mut value, "generation", json!(generation + 1));
        }
        for kept in ["creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion"] {
            set_meta(&mut value, kept, old.value["metadata"][kept].clone());
        }
        if meta(&value, "uid").is_empty() {
            set_meta(&mut value, "uid", json!(old.uid()));
        }
        let mut managers = match applied {
            Some((managers, _)) => managers,
            None => {
                let carried = if self.asked.subresource.is_empty() { carried } else { None };
                let base = managed::carried(carried.as_ref(), &old.managers);
                managed::update(resource, &old.value, &value, base, &self.writer())
            }
        };
        if resource.has_status() {
            let kept = if self.asked.subresource == "status" { "spec" } else { "status" };
            value[kept] = old.value[kept].clone();
        }
        self.admit(Some(&old.value), &mut value, &mut managers)?;
        if resource == Resource::Services && self.asked.subresource.is_empty() {
            service::keep_allocated(&old.value, &mut value);
            service::drop_outdated(&old.value, &mut value);
            service::allocate(store, &mut value)?;
        }
        let causes = validate(resource, &value, Some(&old.value), &self.asked.subresource);
        if !causes.is_empty() {
            return Err(Status::invalid(resource, name, &causes));
        }
        if value == old.value && same_but_for_time(&managers, &old.managers) {
            return Ok(Done { code: 200, object: Arc::clone(old), changed: None, deleted: false });
        }
        let creator = self.user.actor.creator();
        let addresses = addresses(&value, &old.addresses, creator);
        if self.dry_run {
            let object = Stored::new(resource.shelf(), value, managers, old.version, old.creator, addresses);
            return Ok(Done { code: 200, object: Arc::new(object), changed: None, deleted: false });
        }
        let key: Key = (self.asked.namespace.clone(), name.to_owned());
        let version = store.next_version(self.now);
        let finished = value["metadata"]["deletionTimestamp"].is_string()
            && value["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty);
        if finished {
            // Its last finalizer is gone, and with it the object.
            let object = Stored::new(resource.shelf(), value, managers, old.version, old.creator, addresses);
            self.note_lease(store, &key, Some(&old.value), None);
            let what = told("deleted", resource, &key, Some(&old.value), None);
            store.remove(resource, key, version);
            return Ok(Done { code: 200, object: Arc::new(object), changed: Some(what), deleted: false });
        }
        let object = Arc::new(Stored::new(resource.shelf(), value, managers, version, old.creator, addresses));
        self.note_lease(store, &key, Some(&old.value), Some(&object.value));
        let what = told("changed", resource, &key, Some(&old.value), Some(&object.value));
        store.put(resource, key.clone(), Arc::clone(&object));
        Ok(Done { code: 200, object, changed: Some(what), deleted: false })
    }
}

/// A PUT with another uid, in the words of the storage.
fn other_uid(resource: Resource, key: &Key, asked: &str, is: &str) -> Status {
    let directory = match resource {
        Resource::Services => "services/specs",
        Resource::Nodes => "minions",
        resource => resource.plural(),
    };
    let place = if key.0.is_empty() { key.1.clone() } else { format!("{}/{}", key.0, key.1) };
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: /registry/{directory}/{place}, ResourceVersion: 0, \
         AdditionalErrorMsg: Precondition failed: UID in precondition: {asked}, UID in object meta: {is}"
    );
    Status::conflict(resource, &key.1, &why)
}

fn same_but_for_time(a: &[Manager], b: &[Manager]) -> bool {
    let same = |a: &Manager, b: &Manager| {
        a.name == b.name
            && a.applied == b.applied
            && a.api_version == b.api_version
            && a.subresource == b.subresource
            && a.fields == b.fields
    };
    a.len() == b.len() && a.iter().all(|one| b.iter().any(|other| same(one, other)))
}
