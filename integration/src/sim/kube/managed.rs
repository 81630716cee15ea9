//! Who owns which field: the entries of `metadata.managedFields`, and what an update or a server-side apply makes of
//! them (k8s.io/apimachinery, `managedfields`).

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Value, json};

use super::fields::Fields;
use super::kinds::Resource;
use super::patch::structured::{compare, fields_of, merge, remove, with_members};
use super::schema::Schema;
use super::status::Status;

/// Who is writing, and when.
#[derive(Clone, Debug)]
pub(super) struct Writer<'a> {
    pub manager: &'a str,
    pub api_version: &'a str,
    pub subresource: &'a str,
    /// RFC 3339, whole seconds.
    pub now: &'a str,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manager {
    pub name: String,
    pub applied: bool,
    pub api_version: String,
    pub subresource: String,
    pub time: String,
    pub fields: Fields,
}

impl Manager {
    fn is(&self, writer: &Writer<'_>, applied: bool) -> bool {
        self.name == writer.manager
            && self.applied == applied
            && self.subresource == writer.subresource
            && (applied || self.api_version == writer.api_version)
    }

    fn new(writer: &Writer<'_>, applied: bool, fields: Fields) -> Manager {
        Manager {
            name: writer.manager.to_owned(),
            applied,
            api_version: writer.api_version.to_owned(),
            subresource: writer.subresource.to_owned(),
            time: writer.now.to_owned(),
            fields,
        }
    }

    fn shown(&self) -> String {
        let mut out = format!("\"{}\"", self.name);
        if !self.subresource.is_empty() {
            out += &format!(" with subresource \"{}\"", self.subresource);
        }
        if !self.applied {
            out += &format!(" using {}", self.api_version);
        }
        out
    }

    fn from_value(value: &Value) -> Option<Manager> {
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Some(Manager {
            name: text("manager"),
            applied: match &*text("operation") {
                "Apply" => true,
                "Update" => false,
                _ => return None,
            },
            api_version: text("apiVersion"),
            subresource: text("subresource"),
            time: text("time"),
            fields: Fields::from_value(value.get("fieldsV1")?)?,
        })
    }
}

/// As on the wire.
impl Serialize for Manager {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_map(None)?;
        out.serialize_entry("apiVersion", &self.api_version)?;
        out.serialize_entry("fieldsType", "FieldsV1")?;
        out.serialize_entry("fieldsV1", &self.fields)?;
        let texts = [("manager", &self.name), ("subresource", &self.subresource), ("time", &self.time)];
        for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
            out.serialize_entry(name, text)?;
        }
        out.serialize_entry("operation", if self.applied { "Apply" } else { "Update" })?;
        out.end()
    }
}

/// The entries that a written object carries, or those of the object that it replaces where it carries none or ones
/// that can't be read; `[]` and `[{}]` mean that all is to be forgotten.
pub(super) fn carried(written: Option<&Value>, live: &[Manager]) -> Vec<Manager> {
    let Some(entries) = written.and_then(Value::as_array) else { return live.to_vec() };
    let forgets = match entries.as_slice() {
        [] => true,
        [one] => one.as_object().is_some_and(serde_json::Map::is_empty),
        _ => false,
    };
    if forgets {
        return Vec::new();
    }
    entries.iter().map(Manager::from_value).collect::<Option<Vec<_>>>().unwrap_or_else(|| live.to_vec())
}

fn sorted(mut managers: Vec<Manager>) -> Vec<Manager> {
    managers.retain(|manager| !manager.fields.is_empty());
    managers.sort_by(|a, b| {
        let key =
            |m: &Manager| (!m.applied, m.time.clone(), m.name.clone(), m.api_version.clone(), m.subresource.clone());
        key(a).cmp(&key(b))
    });
    managers
}

/// What the API server keeps for itself.
fn without_identity(mut fields: Fields) -> Fields {
    fields.below.remove("f:apiVersion");
    fields.below.remove("f:kind");
    if let Some(metadata) = fields.below.get_mut("f:metadata") {
        metadata.here = false;
        for name in ["name", "namespace", "creationTimestamp", "uid", "generation", "managedFields", "resourceVersion"]
        {
            if let Some(field) = metadata.below.get_mut(&format!("f:{name}")) {
                field.here = false;
            }
        }
        metadata.below.retain(|_, field| !field.is_empty());
        if metadata.is_empty() {
            fields.below.remove("f:metadata");
        }
    }
    fields
}

/// What a subresource, or the object without it, may not own.
fn within(mut fields: Fields, resource: Resource, subresource: &str) -> Fields {
    if resource.has_status() {
        fields.below.remove(if subresource == "status" { "f:spec" } else { "f:status" });
    }
    fields
}

/// The entries after an update from `old` to `new`.
pub(super) fn update(
    resource: Resource,
    old: &Value,
    new: &Value,
    managers: Vec<Manager>,
    writer: &Writer<'_>,
) -> Vec<Manager> {
    let difference = compare(resource.schema(), old, new);
    let changed = within(difference.changed, resource, writer.subresource);
    let removed = within(difference.removed, resource, writer.subresource);
    let mut managers = managers;
    for manager in &mut managers {
        manager.fields = manager.fields.difference(&changed).difference(&removed);
    }
    let taken = without_identity(changed);
    if !taken.is_empty() {
        match managers.iter_mut().find(|manager| manager.is(writer, false)) {
            Some(manager) => {
                manager.fields.union(&taken);
                writer.now.clone_into(&mut manager.time);
            }
            None => managers.push(Manager::new(writer, false, taken)),
        }
    }
    sorted(managers)
}

/// What a server-side apply makes of an object, and the entries after it.
///
/// # Errors
/// 409 with the fields that others own and that have another value there, unless `force`.
pub(super) fn apply(
    resource: Resource,
    live: &Value,
    config: &Value,
    mut managers: Vec<Manager>,
    writer: &Writer<'_>,
    force: bool,
) -> Result<(Value, Vec<Manager>), Status> {
    let schema = resource.schema();
    if managers.is_empty() && live.pointer("/metadata/uid").is_some() {
        // An object from before the books were kept: all of it is somebody's.
        let before = Writer { manager: "before-first-apply", ..writer.clone() };
        managers = update(resource, &super::kinds::others::blank(resource), live, managers, &before);
    }
    let mut merged = live.clone();
    merge(schema, &mut merged, config);
    let wanted = within(fields_of(schema, config), resource, writer.subresource);
    let place = managers.iter().position(|manager| manager.is(writer, true));
    let mut ours = match place {
        Some(place) => managers.remove(place),
        None => Manager::new(writer, true, Fields::default()),
    };
    let last = std::mem::replace(&mut ours.fields, wanted.clone());
    writer.api_version.clone_into(&mut ours.api_version);
    let before = if last.is_empty() { String::new() } else { ours.time.clone() };
    writer.now.clone_into(&mut ours.time);
    let object = if last.is_empty() { merged } else { pruned(schema, merged, &last, &wanted, &managers) };
    if object == *live {
        // Nothing but the books changes: they keep their time.
        ours.time = before;
    }
    let difference = compare(schema, live, &object);
    let changed = within(difference.changed, resource, writer.subresource);
    let removed = within(difference.removed, resource, writer.subresource);
    let mut conflicts: Vec<(String, String)> = Vec::new();
    for manager in &mut managers {
        let both = manager.fields.intersection(&changed);
        conflicts.extend(both.paths().into_iter().map(|path| (manager.shown(), path)));
        manager.fields = manager.fields.difference(&both).difference(&removed);
    }
    if !force && !conflicts.is_empty() {
        return Err(conflict(conflicts));
    }
    ours.fields = without_identity(ours.fields);
    managers.push(ours);
    Ok((object, sorted(managers)))
}

/// Without what the manager applied before, doesn't now, and nobody else owns.
fn pruned(schema: &'static Schema, merged: Value, last: &Fields, wanted: &Fields, others: &[Manager]) -> Value {
    if last.difference(wanted).is_empty() {
        return merged;
    }
    let last = with_members(schema, last);
    let mut owned = wanted.clone();
    others.iter().for_each(|manager| owned.union(&manager.fields));
    let owned = with_members(schema, &owned);
    if last.difference(&owned).is_empty() {
        return merged;
    }
    let all = with_members(schema, &fields_of(schema, &merged));
    let mut left = merged.clone();
    remove(schema, &mut left, &last);
    let left = with_members(schema, &fields_of(schema, &left));
    let mut kept = left;
    kept.union(&owned);
    let mut restored = merged.clone();
    remove(schema, &mut restored, &all.difference(&kept));
    let restored = with_members(schema, &fields_of(schema, &restored));
    let mut out = merged;
    remove(schema, &mut out, &all.difference(&restored).intersection(&last));
    out
}

fn conflict(mut conflicts: Vec<(String, String)>) -> Status {
    conflicts.sort();
    let message = match conflicts.as_slice() {
        [(manager, path)] => format!("Apply failed with 1 conflict: conflict with {manager}: {path}"),
        all => {
            let mut lines = Vec::new();
            let mut before = "";
            for (manager, path) in all {
                if manager != before {
                    lines.push(format!("conflicts with {manager}:"));
                    before = manager;
                }
                lines.push(format!("- {path}"));
            }
            format!("Apply failed with {} conflicts: {}", all.len(), lines.join("\n"))
        }
    };
    let causes: Vec<Value> = conflicts
        .iter()
        .map(|(manager, path)| {
            json!({"reason": "FieldManagerConflict", "message": format!("conflict with {manager}"), "field": path})
        })
        .collect();
    let mut status = Status::new(409, "Conflict", message);
    status.details = json!({"causes": causes});
    status
}
