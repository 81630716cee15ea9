//! The objects of the fake API server: versions, history, and who owns which field of a Service.

use super::status;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Resource, namespace, name.
type Place = (String, String, String);
/// A field as ownership is kept: `spec` and one key, `annotations` and one key, `conditions` and one type.
type Field = (&'static str, String);

#[derive(Clone, Debug)]
struct Owner {
    manager: String,
    operation: String,
    subresource: &'static str,
    fields: BTreeSet<Field>,
}

impl Owner {
    fn shown(&self) -> Value {
        let mut fields = json!({});
        for (section, key) in &self.fields {
            match *section {
                "spec" => fields["f:spec"][format!("f:{key}")] = json!({}),
                "annotations" => fields["f:metadata"]["f:annotations"][format!("f:{key}")] = json!({}),
                _ => fields["f:status"]["f:conditions"][format!("k:{{\"type\":\"{key}\"}}")] = json!({".": {}}),
            }
        }
        let mut shown = json!({"manager": self.manager, "operation": self.operation, "apiVersion": "v1",
            "fieldsType": "FieldsV1", "fieldsV1": fields});
        if !self.subresource.is_empty() {
            shown["subresource"] = json!(self.subresource);
        }
        shown
    }
}

#[derive(Clone, Debug)]
struct Object {
    value: Value,
    owners: Vec<Owner>,
}

impl Object {
    fn shown(&self) -> Value {
        let mut value = self.value.clone();
        if !self.owners.is_empty() {
            value["metadata"]["managedFields"] = self.owners.iter().map(Owner::shown).collect();
        }
        value
    }
}

/// A patch by server-side apply.
pub(super) struct Patch<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
    pub body: &'a Value,
    pub manager: &'a str,
    pub force: bool,
    pub status: bool,
    pub dry_run: bool,
}

/// All objects.
pub(crate) struct Objects {
    version: u64,
    objects: BTreeMap<Place, Object>,
    /// Version, resource, namespace, line of a watch.
    history: Vec<(u64, String, String, Value)>,
    /// Watches from before this version are refused.
    compacted: u64,
}

impl Default for Objects {
    fn default() -> Objects {
        Objects { version: 1000, objects: BTreeMap::new(), history: Vec::new(), compacted: 0 }
    }
}

fn place(resource: &str, namespace: &str, name: &str) -> Place {
    (resource.to_owned(), namespace.to_owned(), name.to_owned())
}

fn gone(message: &str) -> Value {
    status(410, "Expired", message)
}

impl Objects {
    /// Creates or replaces an object of somebody else's; its uid is made from `version` unless given.
    pub fn put(&mut self, resource: &str, mut value: Value) {
        let text = |key: &str| value["metadata"][key].as_str().unwrap_or_default().to_owned();
        let place = place(resource, &text("namespace"), &text("name"));
        let before = self.objects.get(&place);
        if value["metadata"]["uid"].is_null() {
            let uid =
                before.map_or_else(|| json!(format!("uid-{}", self.version)), |o| o.value["metadata"]["uid"].clone());
            value["metadata"]["uid"] = uid;
        }
        let owners = before.map(|object| object.owners.clone()).unwrap_or_default();
        self.store(place, Object { value, owners });
    }

    /// Somebody else changes an object.
    pub fn change(&mut self, resource: &str, namespace: &str, name: &str, f: impl FnOnce(&mut Value)) {
        let mut value = self.objects[&place(resource, namespace, name)].value.clone();
        f(&mut value);
        self.put(resource, value);
    }

    /// Somebody else owns a field of `spec` of a Service.
    pub fn own(&mut self, namespace: &str, name: &str, manager: &str, operation: &str, key: &str) {
        let place = place("services", namespace, name);
        let mut object = self.objects[&place].clone();
        let fields = BTreeSet::from([("spec", key.to_owned())]);
        let (manager, operation) = (manager.to_owned(), operation.to_owned());
        object.owners.push(Owner { manager, operation, subresource: "", fields });
        self.store(place, object);
    }

    pub fn delete(&mut self, resource: &str, namespace: &str, name: &str) {
        let object = self.objects.remove(&place(resource, namespace, name)).unwrap();
        self.version += 1;
        let mut value = object.shown();
        value["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let line = json!({"type": "DELETED", "object": value});
        self.history.push((self.version, resource.to_owned(), namespace.to_owned(), line));
    }

    /// Objects disappear, and no watch tells.
    pub fn lose(&mut self, resource: &str, lost: impl Fn(&str) -> bool) {
        self.version += 1;
        self.objects.retain(|(of, _, name), _| of != resource || !lost(name));
    }

    /// All watches of the resource get a bookmark.
    pub fn bookmark(&mut self, resource: &str) {
        self.version += 1;
        let object = json!({"metadata": {"resourceVersion": self.version.to_string()}});
        let line = json!({"type": "BOOKMARK", "object": object});
        self.history.push((self.version, resource.to_owned(), String::new(), line));
    }

    /// All watches of the resource get a line, at a version of its own.
    pub fn say(&mut self, resource: &str, line: Value) {
        self.version += 1;
        self.history.push((self.version, resource.to_owned(), String::new(), line));
    }

    /// The history so far is forgotten: no watch may start before now.
    pub fn compact(&mut self) {
        self.version += 1;
        self.compacted = self.version;
    }

    /// etcd is restored from a backup: the same objects, lower versions, no history.
    pub fn rewind(&mut self) {
        self.version = 0;
        self.history.clear();
        for (place, object) in std::mem::take(&mut self.objects) {
            self.store(place, object);
        }
    }

    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn read(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        self.objects.get(&place(resource, namespace, name)).map(Object::shown)
    }

    fn store(&mut self, place: Place, mut object: Object) {
        self.version += 1;
        object.value["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let kind = if self.objects.contains_key(&place) { "MODIFIED" } else { "ADDED" };
        let line = json!({"type": kind, "object": object.shown()});
        self.history.push((self.version, place.0.clone(), place.1.clone(), line));
        self.objects.insert(place, object);
    }

    /// A page; `from` is the token of the page before.
    pub(super) fn list(&self, resource: &str, namespace: &str, page: usize, from: &str) -> Result<Value, Value> {
        let (skip, version) = match from.split_once("%40") {
            Some((skip, version)) => (skip.parse().unwrap(), version.parse().unwrap()),
            None => (0, self.version),
        };
        if version < self.compacted {
            return Err(gone("the provided continue parameter is too old"));
        }
        let all: Vec<Value> = self
            .objects
            .iter()
            .filter(|((of, ns, _), _)| of == resource && (namespace.is_empty() || ns == namespace))
            .map(|(_, object)| object.shown())
            .collect();
        let mut metadata = json!({"resourceVersion": version.to_string()});
        if skip + page < all.len() {
            metadata["continue"] = json!(format!("{}@{version}", skip + page));
        }
        let items: Vec<Value> = all.into_iter().skip(skip).take(page).collect();
        Ok(json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items}))
    }

    pub(super) fn watchable(&self, version: &str) -> Result<u64, Value> {
        let version: u64 = version.parse().unwrap();
        if version < self.compacted {
            return Err(gone("too old resource version"));
        }
        Ok(version)
    }

    /// The next line of a watch.
    pub(super) fn event_after(&self, resource: &str, namespace: &str, version: u64) -> Option<(u64, Value)> {
        let wanted = |of: &str, ns: &str| of == resource && (namespace.is_empty() || ns.is_empty() || ns == namespace);
        let next = self.history.iter().find(|(v, of, ns, _)| *v > version && wanted(of, ns))?;
        Some((next.0, next.3.clone()))
    }

    pub(super) fn apply(&mut self, patch: &Patch<'_>) -> Result<Value, Value> {
        let place = place("services", patch.namespace, patch.name);
        let uid = patch.body["metadata"]["uid"].as_str().expect("each apply names the uid");
        let Some(mut object) = self.objects.get(&place).cloned() else {
            let message = format!(
                "Operation cannot be fulfilled on services \"{}\": uid mismatch: the provided object specified uid {uid}, and no existing object was found",
                patch.name
            );
            return Err(status(409, "Conflict", &message));
        };
        if object.value["metadata"]["uid"] != uid {
            let message = format!(
                "Service \"{}\" is invalid: metadata.uid: Invalid value: \"{uid}\": field is immutable",
                patch.name
            );
            let mut answer = status(422, "Invalid", &message);
            answer["details"] = json!({"causes": [{
                "reason": "FieldValueInvalid", "message": "field is immutable", "field": "metadata.uid",
            }]});
            return Err(answer);
        }
        let seen = patch.body["metadata"].get("resourceVersion");
        if seen.is_some_and(|seen| *seen != object.value["metadata"]["resourceVersion"]) {
            return Err(status(409, "Conflict", "the object has been modified"));
        }
        let before = object.clone();
        let wanted = fields(patch.body, patch.status);

        let subresource = if patch.status { "status" } else { "" };
        let ours = |o: &Owner| o.manager == patch.manager && o.operation == "Apply" && o.subresource == subresource;
        let mut conflicts = Vec::new();
        for (field, value) in &wanted {
            if get(&object.value, field).as_ref() == Some(value) {
                continue;
            }
            for other in object.owners.iter_mut().filter(|o| !ours(o) && o.fields.contains(field)) {
                if patch.force {
                    other.fields.remove(field);
                } else {
                    let message = format!("conflict with \"{}\" using v1", other.manager);
                    conflicts.push(json!({"reason": "FieldManagerConflict", "message": message, "field": field.1}));
                }
            }
        }
        if !conflicts.is_empty() {
            let mut answer = status(409, "Conflict", "Apply failed with conflicts");
            answer["details"] = json!({"causes": conflicts});
            return Err(answer);
        }
        let had: BTreeSet<Field> = object.owners.iter().find(|o| ours(o)).map(|o| o.fields.clone()).unwrap_or_default();
        object.owners.retain(|o| !ours(o));
        for (field, value) in &wanted {
            set(&mut object.value, field, Some(value.clone()));
        }
        for field in had.iter().filter(|field| !wanted.contains_key(*field)) {
            if !object.owners.iter().any(|o| o.fields.contains(field)) {
                set(&mut object.value, field, None);
            }
        }
        object.owners.retain(|o| !o.fields.is_empty());
        if !wanted.is_empty() {
            let fields = wanted.into_keys().collect();
            object.owners.push(Owner {
                manager: patch.manager.to_owned(),
                operation: "Apply".into(),
                subresource,
                fields,
            });
        }
        if patch.dry_run || object.shown() == before.shown() {
            return Ok(object.shown());
        }
        self.store(place.clone(), object);
        Ok(self.objects[&place].shown())
    }

    /// Knows what is used: tests of the uid, the expected version, and fields struck out of managed fields.
    pub(super) fn json_patch(&mut self, namespace: &str, name: &str, body: &Value) -> Result<Value, Value> {
        let place = place("services", namespace, name);
        let Some(mut object) = self.objects.get(&place).cloned() else {
            return Err(status(404, "NotFound", &format!("services \"{name}\" not found")));
        };
        for operation in body.as_array().unwrap() {
            let path = operation["path"].as_str().unwrap();
            match (operation["op"].as_str().unwrap(), path) {
                ("test", "/metadata/uid") if operation["value"] == object.value["metadata"]["uid"] => {}
                ("test", _) => return Err(status(422, "Invalid", "testing path /metadata/uid value failed")),
                ("replace", "/metadata/resourceVersion")
                    if operation["value"] == object.value["metadata"]["resourceVersion"] => {}
                ("replace", "/metadata/resourceVersion") => {
                    return Err(status(409, "Conflict", "the object has been modified"));
                }
                ("remove", path) => {
                    let rest = path.strip_prefix("/metadata/managedFields/").unwrap();
                    let (index, field) = rest.split_once("/fieldsV1/f:spec/f:").unwrap();
                    let owner = &mut object.owners[index.parse::<usize>().unwrap()];
                    assert!(owner.fields.remove(&("spec", field.to_owned())), "nothing to remove at {path}");
                }
                other => panic!("{other:?} isn't played"),
            }
        }
        object.owners.retain(|o| !o.fields.is_empty());
        self.store(place.clone(), object);
        Ok(self.objects[&place].shown())
    }
}

/// The fields that an applied body sets.
fn fields(body: &Value, of_status: bool) -> BTreeMap<Field, Value> {
    let mut all = BTreeMap::new();
    let mut take = |section, map: &Value| {
        for (key, value) in map.as_object().into_iter().flatten() {
            all.insert((section, key.clone()), value.clone());
        }
    };
    if !of_status {
        take("spec", &body["spec"]);
        take("annotations", &body["metadata"]["annotations"]);
        return all;
    }
    for condition in body["status"]["conditions"].as_array().into_iter().flatten() {
        all.insert(("conditions", condition["type"].as_str().unwrap().to_owned()), condition.clone());
    }
    all
}

fn get(object: &Value, (section, key): &Field) -> Option<Value> {
    match *section {
        "spec" => object["spec"].get(key).cloned(),
        "annotations" => object["metadata"]["annotations"].get(key).cloned(),
        _ => object["status"]["conditions"].as_array()?.iter().find(|c| c["type"] == key.as_str()).cloned(),
    }
}

fn set(object: &mut Value, (section, key): &Field, value: Option<Value>) {
    let map = match *section {
        "spec" => &mut object["spec"],
        "annotations" => &mut object["metadata"]["annotations"],
        _ => {
            let mut conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
            conditions.retain(|c| c["type"] != key.as_str());
            conditions.extend(value);
            object["status"]["conditions"] = conditions.into();
            return;
        }
    };
    match value {
        Some(value) => map[key] = value,
        None => _ = map.as_object_mut().and_then(|map| map.remove(key)),
    }
}
