//! Creations, and what all writes share: from what is asked to a new version of an object, through defaults, field
//! ownership, admission and validation, in the API server's order. Updates and deletions are in files of their own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::admission::{Hooks, Review};
use super::kinds::others::{blank, defaults, typed, unknown_fields, validate};
use super::kinds::{Resource, event, node, service};
use super::managed::{self, Manager, Writer};
use super::rbac::User;
use super::route::Asked;
use super::status::Status;
use super::store::{Key, Store, Stored};
use super::told::told;
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
    /// Fields that the kind doesn't have are refused.
    pub strict: bool,
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

pub(super) fn meta<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get("metadata").and_then(|meta| meta.get(name)).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn set_meta(value: &mut Value, name: &str, member: Value) {
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

pub(super) fn take_meta(value: &mut Value, name: &str) -> Option<Value> {
    value.get_mut("metadata").and_then(Value::as_object_mut).and_then(|metadata| metadata.remove(name))
}

impl Write<'_> {
    pub fn resource(&self) -> Resource {
        self.asked.resource
    }

    pub fn writer(&self) -> Writer<'_> {
        Writer {
            manager: self.asked.manager(),
            api_version: self.resource().api_version(),
            subresource: &self.asked.subresource,
            now: &self.wall,
        }
    }

    /// Whether a body is of the right kind and for this place; its namespace is filled in.
    pub fn fits(&self, value: &mut Value) -> Result<(), Status> {
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
        let asked = self.strict.then(|| body.clone());
        let mut value = typed(self.resource(), body)?;
        if let Some(why) = asked.and_then(|asked| unknown_fields(&asked, &value)) {
            let kind = self.resource().kind_name();
            let why = format!("{kind} in version \"v1\" cannot be handled as a {kind}: {why}");
            return Err(Status::bad_request(why));
        }
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
    pub fn insert(&self, store: &mut Store, mut value: Value, mut managers: Vec<Manager>) -> Result<Done, Status> {
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

    pub fn admit(&self, old: Option<&Value>, value: &mut Value, managers: &mut Vec<Manager>) -> Result<(), Status> {
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
}

/// Who put each address: those that were there keep theirs.
pub(super) fn addresses(
    value: &Value,
    before: &BTreeMap<String, Creator>,
    creator: Creator,
) -> BTreeMap<String, Creator> {
    let list = value.pointer("/spec/externalIPs").and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str)
        .map(|address| (address.to_owned(), before.get(address).copied().unwrap_or(creator)))
        .collect()
}
