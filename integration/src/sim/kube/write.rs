//! Writes: from what is asked to a new version of an object, through defaults, field ownership, admission and
//! validation, in the API server's order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::admission::{Hooks, Review};
use super::kinds::others::{blank, defaults, typed, validate};
use super::kinds::{Resource, event, node, service};
use super::look::{LeaseWrite, duration, holder};
use super::managed::{self, Manager, Writer};
use super::patch;
use super::rbac::User;
use super::route::{Asked, PatchKind, Verb};
use super::status::{Cause, Status};
use super::store::{Key, Store, Stored};
use crate::sim::event::Creator;

/// A write as it is asked for.
pub(super) struct Write<'a> {
    pub asked: &'a Asked,
    pub user: &'a User,
    /// The request's number; `None`: somebody's direct doing.
    pub call: Option<u64>,
    /// When it arrived.
    pub sent: Duration,
    /// Now.
    pub now: Duration,
    /// The wall clock's time, RFC 3339 in whole seconds.
    pub wall: String,
    pub dry_run: bool,
    pub hooks: &'a Hooks,
    /// Whether the user may create such an object: an apply may have to.
    pub may_create: Result<(), Status>,
}

/// What came of it.
pub(super) struct Done {
    pub code: u16,
    pub object: Arc<Stored>,
    /// What changed, for people; `None`: nothing did.
    pub changed: Option<String>,
    /// The object was deleted.
    pub deleted: bool,
}

fn meta<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get("metadata").and_then(|meta| meta.get(name)).and_then(Value::as_str).unwrap_or_default()
}

fn set_meta(value: &mut Value, name: &str, member: Value) {
    if !value["metadata"].is_object() {
        value["metadata"] = json!({});
    }
    if member.is_null() {
        if let Some(metadata) = value["metadata"].as_object_mut() {
            metadata.remove(name);
        }
    } else {
        value["metadata"][name] = member;
    }
}

fn take_meta(value: &mut Value, name: &str) -> Option<Value> {
    value.get_mut("metadata").and_then(Value::as_object_mut).and_then(|metadata| metadata.remove(name))
}

impl Write<'_> {
    fn resource(&self) -> Resource {
        self.asked.resource
    }

    fn writer(&self) -> Writer<'_> {
        Writer {
            manager: self.asked.manager(),
            api_version: self.resource().api_version(),
            subresource: &self.asked.subresource,
            now: &self.wall,
        }
    }

    /// Whether a body is of the right kind and for this place; its namespace is filled in.
    fn fits(&self, value: &mut Value) -> Result<(), Status> {
        let resource = self.resource();
        if !value.is_object() {
            return Err(Status::bad_request("the object provided is unrecognized (must be of type Object)"));
        }
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (kind, version) = (text("kind"), text("apiVersion"));
        if !kind.is_empty()
            && (kind != resource.kind_name() || (!version.is_empty() && version != resource.api_version()))
        {
            return Err(Status::bad_request(format!(
                "{kind} in version \"{version}\" cannot be handled as a {}: no kind \"{kind}\" is registered for version \
                 \"{version}\"",
                resource.kind_name()
            )));
        }
        if resource.namespaced() {
            match meta(value, "namespace") {
                "" => set_meta(value, "namespace", json!(self.asked.namespace)),
                namespace if namespace == self.asked.namespace => {}
                _ => {
                    let why = "the namespace of the provided object does not match the namespace sent on the request";
                    return Err(Status::bad_request(why));
                }
            }
        }
        Ok(())
    }

    pub fn create(&self, store: &mut Store, mut body: Value) -> Result<Done, Status> {
        self.fits(&mut body)?;
        if self.resource() == Resource::NewEvents {
            body = event::from_new(&body);
        }
        if meta(&body, "name").is_empty() && !meta(&body, "generateName").is_empty() {
            let letters = b"bcdfghjklmnpqrstvwxz2456789";
            let mut ticket = store.ticket();
            let mut name = meta(&body, "generateName").to_owned();
            for _ in 0..5 {
                let at = usize::try_from(ticket % letters.len() as u64).unwrap_or_default();
                name.push(letters.get(at).copied().map_or('x', char::from));
                ticket /= letters.len() as u64;
            }
            set_meta(&mut body, "name", json!(name));
        }
        if !meta(&body, "resourceVersion").is_empty() {
            return Err(Status::failed(500, "resourceVersion should not be set on objects to be created"));
        }
        let carried = take_meta(&mut body, "managedFields");
        let mut value = typed(self.resource(), body)?;
        defaults(self.resource(), &mut value);
        let managers = managed::carried(carried.as_ref(), &[]);
        let blank = blank(self.resource());
        let managers = match self.resource() {
            // The books speak the language of the request.
            Resource::NewEvents => {
                let (old, new) = (event::to_new(&blank), event::to_new(&value));
                managed::update(self.resource(), &old, &new, managers, &self.writer())
            }
            _ => managed::update(self.resource(), &blank, &value, managers, &self.writer()),
        };
        self.insert(store, value, managers)
    }

    /// The second half of a creation, also by an apply.
    fn insert(&self, store: &mut Store, mut value: Value, mut managers: Vec<Manager>) -> Result<Done, Status> {
        let resource = self.resource();
        let name = meta(&value, "name").to_owned();
        let namespace = if resource.namespaced() { self.asked.namespace.clone() } else { String::new() };
        if resource.namespaced() {
            match store.get(Resource::Namespaces, "", &namespace) {
                None => return Err(Status::not_found(Resource::Namespaces, &namespace)),
                Some(found) if found.value["metadata"]["deletionTimestamp"].is_string() => {
                    let why =
                        format!("unable to create new content in namespace {namespace} because it is being terminated");
                    return Err(Status::forbidden(resource, &name, &why));
                }
                Some(_) => {}
            }
        }
        let key: Key = (namespace, name.clone());
        if store.shelf(resource).objects.contains_key(&key) {
            return Err(Status::already_exists(resource, &name));
        }
        set_meta(&mut value, "uid", json!(store.uid()));
        set_meta(&mut value, "creationTimestamp", json!(self.wall));
        for gone in ["deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink"] {
            set_meta(&mut value, gone, Value::Null);
        }
        match resource {
            Resource::Services => value["status"] = json!({"loadBalancer": {}}),
            Resource::Nodes if self.call.is_some() => node::taint_new(&mut value),
            Resource::Namespaces => {
                value["status"] = json!({"phase": "Active"});
                value["spec"] = json!({"finalizers": ["kubernetes"]});
            }
            Resource::EndpointSlices => set_meta(&mut value, "generation", json!(1)),
            _ => {}
        }
        self.admit(None, &mut value, &mut managers)?;
        if resource == Resource::Services {
            service::allocate(store, &mut value)?;
        }
        let causes = validate(resource, &value, None, "");
        if !causes.is_empty() {
            return Err(Status::invalid(resource, &name, &causes));
        }
        let creator = self.user.actor.creator();
        let addresses = addresses(&value, &BTreeMap::new(), creator);
        if self.dry_run {
            let mut object = Stored::new(resource.shelf(), value, managers, 0, creator, addresses);
            set_meta(&mut object.value, "resourceVersion", Value::Null);
            return Ok(Done { code: 201, object: Arc::new(object), changed: None, deleted: false });
        }
        let version = store.next_version(self.now);
        let object = Arc::new(Stored::new(resource.shelf(), value, managers, version, creator, addresses));
        self.note_lease(store, &key, None, Some(&object.value));
        let changed = Some(told("created", resource, &key, None, Some(&object.value)));
        store.put(resource, key, Arc::clone(&object));
        Ok(Done { code: 201, object, changed, deleted: false })
    }

    fn admit(&self, old: Option<&Value>, value: &mut Value, managers: &mut Vec<Manager>) -> Result<(), Status> {
        if self.call.is_none() || self.hooks.is_empty() {
            return Ok(());
        }
        let before = value.clone();
        let review = Review {
            resource: self.resource(),
            subresource: &self.asked.subresource,
            user: &self.user.name,
            old,
            dry_run: self.dry_run,
        };
        self.hooks.run(&review, value)?;
        if *value != before {
            let taken = std::mem::take(managers);
            *managers = managed::update(self.resource(), &before, value, taken, &self.writer());
        }
        Ok(())
    }

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
        let mut shown = old.whole();
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
        // The types are those of the published schema.
        typed(resource, config.clone())?;
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
        let writer = self.writer();
        let (object, managers) = managed::apply(resource, &old.value, &config, old.managers.clone(), &writer, force)?;
        self.store_update(store, old, object, Some(managers))
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
        applied: Option<Vec<Manager>>,
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
        let patched = matches!(self.asked.verb, Verb::Patch(PatchKind::Json | PatchKind::Merge)).then(|| value.clone());
        let mut value = typed(resource, value).map_err(|status| match &patched {
            Some(patched) => Status::unfit_patch(patched, &status.message),
            None => status,
        })?;
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
            Some(managers) => managers,
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
        let version = store.next_version(self.now);
        self.note_lease(store, &key, Some(&old.value), None);
        let changed = Some(told("deleted", resource, &key, Some(&old.value), None));
        let last = store.remove(resource, key, version).unwrap_or(old);
        Ok(Done { code: 200, object: last, changed, deleted: true })
    }

    fn note_lease(&self, store: &mut Store, key: &Key, before: Option<&Value>, after: Option<&Value>) {
        if self.resource() == Resource::Leases {
            store.leases.push(LeaseWrite {
                call: self.call,
                actor: self.user.actor,
                sent: self.sent,
                accepted: self.now,
                lease: key.clone(),
                before: before.map(holder).unwrap_or_default(),
                holder: after.map(holder).unwrap_or_default(),
                duration: after.and_then(duration),
                deleted: after.is_none(),
            });
        }
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

/// Who put each address: those that were there keep theirs.
fn addresses(value: &Value, before: &BTreeMap<String, Creator>, creator: Creator) -> BTreeMap<String, Creator> {
    let list = value.pointer("/spec/externalIPs").and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str)
        .map(|address| (address.to_owned(), before.get(address).copied().unwrap_or(creator)))
        .collect()
}

/// A change, for people.
fn told(verb: &str, resource: Resource, key: &Key, before: Option<&Value>, after: Option<&Value>) -> String {
    let place = if key.0.is_empty() { key.1.clone() } else { format!("{}/{}", key.0, key.1) };
    let mut out = format!("{verb} {} {place}", resource.plural());
    let pointers: &[(&str, &str)] = match resource.shelf() {
        Resource::Services => &[
            ("externalIPs", "/spec/externalIPs"),
            ("ports", "/spec/ports"),
            ("annotations", "/metadata/annotations"),
            ("conditions", "/status/conditions"),
            ("ingress", "/status/loadBalancer/ingress"),
        ],
        Resource::Leases => &[("holder", "/spec/holderIdentity")],
        Resource::Nodes => &[("addresses", "/status/addresses"), ("labels", "/metadata/labels")],
        Resource::Events => &[("reason", "/reason"), ("message", "/message")],
        _ => &[],
    };
    for (name, pointer) in pointers {
        let of = |value: Option<&Value>| value.and_then(|value| value.pointer(pointer)).cloned();
        let (was, is) = (of(before), of(after));
        match (was, is) {
            (was, is) if was == is => {}
            (_, Some(is)) if after.is_some() => out += &format!(", {name} {is}"),
            (Some(_), None) if after.is_some() => out += &format!(", no {name}"),
            _ => {}
        }
    }
    out
}
