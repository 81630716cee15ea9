//! Objects as sets of fields: what an object holds, how two differ, how one is merged into another, and how fields are
//! taken out of it (sigs.k8s.io/structured-merge-diff, `typed`).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::sim::kube::fields::Fields;
use crate::sim::kube::schema::Schema;

/// The element of a list's item; `None`: the list isn't merged by items, or the item lacks a key.
pub fn element(schema: &Schema, item: &Value) -> Option<String> {
    match schema {
        Schema::Set => Some(format!("v:{item}")),
        Schema::ListMap { keys, .. } => {
            let mut key = Map::new();
            for (name, default) in *keys {
                let value = item.get(*name).filter(|value| !value.is_null()).cloned();
                key.insert((*name).to_owned(), value.or_else(|| default.map(|text| json!(text)))?);
            }
            Some(format!("k:{}", Value::Object(key)))
        }
        _ => None,
    }
}

fn item_schema(schema: &'static Schema) -> &'static Schema {
    static LEAF: Schema = Schema::Leaf;
    match schema {
        Schema::ListMap { item, .. } => item,
        _ => &LEAF,
    }
}

fn is_merged_list(schema: &Schema) -> bool {
    matches!(schema, Schema::ListMap { .. } | Schema::Set)
}

fn is_merged_map(schema: &Schema) -> bool {
    matches!(schema, Schema::Struct(_) | Schema::Map(_))
}

/// All fields of a configuration.
pub fn fields_of(schema: &'static Schema, value: &Value) -> Fields {
    let mut out = Fields::default();
    collect(schema, value, &mut out);
    out
}

fn collect(schema: &'static Schema, value: &Value, out: &mut Fields) {
    match value {
        Value::Object(map) if is_merged_map(schema) => {
            for (name, member) in map {
                let below = out.entry(&format!("f:{name}"));
                collect(schema.member(name), member, below);
                let empty = member.is_null() || member.as_object().is_some_and(Map::is_empty);
                below.here |= empty || !schema.declares_members();
            }
            out.below.retain(|_, below| !below.is_empty());
        }
        Value::Array(items) if is_merged_list(schema) => {
            for item in items {
                if let Some(element) = element(schema, item) {
                    let below = out.entry(&element);
                    below.here = true;
                    collect(item_schema(schema), item, below);
                }
            }
        }
        Value::Null if is_merged_map(schema) || is_merged_list(schema) => {}
        _ => out.here = true,
    }
}

/// How an object became another.
#[derive(Debug, Default)]
pub struct Comparison {
    /// New or with another value.
    pub changed: Fields,
    /// Not there any more.
    pub removed: Fields,
}

/// What changed from `old` to `new`.
pub fn compare(schema: &'static Schema, old: &Value, new: &Value) -> Comparison {
    let mut out = Comparison::default();
    difference(schema, Some(old), Some(new), &mut out.changed, &mut out.removed);
    out
}

fn is_void(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(_) => false,
    }
}

fn difference(
    schema: &'static Schema,
    old: Option<&Value>,
    new: Option<&Value>,
    changed: &mut Fields,
    removed: &mut Fields,
) {
    if old == new {
        return;
    }
    let merged = is_merged_map(schema) || is_merged_list(schema);
    if !merged || (is_void(old) && is_void(new)) {
        match (old, new) {
            (Some(_), None) => removed.here = true,
            _ => changed.here = true,
        }
        return;
    }
    if is_merged_map(schema) {
        let none = Map::new();
        let old_map = old.and_then(Value::as_object).unwrap_or(&none);
        let new_map = new.and_then(Value::as_object).unwrap_or(&none);
        for name in old_map.keys().chain(new_map.keys().filter(|name| !old_map.contains_key(*name))) {
            let element = format!("f:{name}");
            let (mut c, mut r) = (Fields::default(), Fields::default());
            difference(schema.member(name), old_map.get(name), new_map.get(name), &mut c, &mut r);
            if !c.is_empty() {
                changed.below.insert(element.clone(), c);
            }
            if !r.is_empty() {
                removed.below.insert(element, r);
            }
        }
    } else {
        let (old_items, new_items) = (by_element(schema, old), by_element(schema, new));
        for element in old_items.keys().chain(new_items.keys().filter(|e| !old_items.contains_key(*e))) {
            let (mut c, mut r) = (Fields::default(), Fields::default());
            let (was, is) = (old_items.get(element).copied(), new_items.get(element).copied());
            difference(item_schema(schema), was, is, &mut c, &mut r);
            if !c.is_empty() {
                changed.below.insert(element.clone(), c);
            }
            if !r.is_empty() {
                removed.below.insert(element.clone(), r);
            }
        }
    }
    match (old, new) {
        (None, _) => changed.here = true,
        (_, None) => removed.here = true,
        _ => {}
    }
}

fn by_element<'a>(schema: &Schema, list: Option<&'a Value>) -> BTreeMap<String, &'a Value> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| Some((element(schema, item)?, item))).collect()
}

/// Merges a configuration into an object.
pub fn merge(schema: &'static Schema, into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) if is_merged_map(schema) => {
            for (name, value) in from {
                match into.get_mut(name) {
                    Some(there) => merge(schema.member(name), there, value),
                    None => _ = into.insert(name.clone(), value.clone()),
                }
            }
        }
        (Value::Array(into), Value::Array(from)) if is_merged_list(schema) => {
            for item in from {
                let element = element(schema, item);
                let place = into.iter().position(|there| self::element(schema, there) == element);
                match place.and_then(|place| into.get_mut(place)) {
                    Some(there) => merge(item_schema(schema), there, item),
                    None => into.push(item.clone()),
                }
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// Takes the members of `fields` out of an object.
pub fn remove(schema: &'static Schema, from: &mut Value, fields: &Fields) {
    match from {
        Value::Object(map) if is_merged_map(schema) => {
            for (element, below) in &fields.below {
                let Some(name) = element.strip_prefix("f:") else { continue };
                if below.here {
                    map.remove(name);
                } else if let Some(member) = map.get_mut(name) {
                    remove_below(schema.member(name), member, below);
                }
            }
        }
        Value::Array(items) if is_merged_list(schema) => {
            items.retain_mut(|item| {
                let Some(below) = element(schema, item).and_then(|element| fields.below.get(&element)) else {
                    return true;
                };
                if !below.here {
                    remove_below(item_schema(schema), item, below);
                }
                !below.here
            });
        }
        _ => {}
    }
}

/// What is empty afterwards is null: who owned it as such owns it still.
fn remove_below(schema: &'static Schema, from: &mut Value, fields: &Fields) {
    let was_empty = is_void(Some(from));
    remove(schema, from, fields);
    if !was_empty && is_void(Some(from)) {
        *from = Value::Null;
    }
}

/// The set in which each declared member with something below it is a member itself.
pub fn with_members(schema: &'static Schema, fields: &Fields) -> Fields {
    let mut out = Fields { here: fields.here, below: BTreeMap::new() };
    for (element, below) in &fields.below {
        let of = element.strip_prefix("f:").map_or_else(|| item_schema(schema), |name| schema.member(name));
        let mut next = with_members(of, below);
        if element.starts_with("f:") && schema.declares_members() && !next.below.is_empty() {
            next.here = true;
        }
        out.below.insert(element.clone(), next);
    }
    out
}
