//! Strategic merge patches: lists are merged by their key, with directives (`$patch`, `$setElementOrder`,
//! `$deleteFromPrimitiveList`, `$retainKeys`).

use serde_json::{Map, Value};

use crate::sim::kube::schema::Schema;
use crate::sim::kube::status::Status;

/// Changes an object.
pub fn strategic(schema: &'static Schema, target: &mut Value, patch: &Value) -> Result<(), Status> {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return Ok(());
    };
    match patch.get("$patch").and_then(Value::as_str) {
        Some("replace") => {
            let mut new = patch.clone();
            new.remove("$patch");
            *target = Value::Object(new);
            return Ok(());
        }
        Some("delete") => {
            *target = Value::Null;
            return Ok(());
        }
        Some("merge") | None => {}
        Some(other) => return Err(Status::bad_request(format!("unknown patch type: {other}"))),
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(target) = target.as_object_mut() else { return Ok(()) };
    if let Some(retained) = patch.get("$retainKeys").and_then(Value::as_array) {
        target.retain(|name, _| retained.iter().any(|one| one == name.as_str()));
    }
    for (name, value) in patch {
        if let Some(list) = name.strip_prefix("$deleteFromPrimitiveList/") {
            let gone = value.as_array().cloned().unwrap_or_default();
            if let Some(items) = target.get_mut(list).and_then(Value::as_array_mut) {
                items.retain(|item| !gone.contains(item));
            }
            continue;
        }
        if name.starts_with('$') {
            continue;
        }
        let member = schema.member(name);
        if value.is_null() {
            target.remove(name);
            continue;
        }
        let place = target.entry(name.clone()).or_insert(Value::Null);
        match (member, value) {
            (Schema::ListMap { strategic: Some(key), item, .. }, Value::Array(changes)) => {
                let order = patch.get(&format!("$setElementOrder/{name}")).and_then(Value::as_array);
                merge_list(key, item, place, changes, order.unwrap_or(changes))?;
            }
            (Schema::Set, Value::Array(items)) => {
                let mut all = place.as_array().cloned().unwrap_or_default();
                all.extend(items.iter().filter(|item| !all.contains(item)).cloned().collect::<Vec<_>>());
                *place = Value::Array(all);
            }
            // Members of free maps are merged as well: annotations, data.
            (_, Value::Object(_)) => strategic(member, place, value)?,
            _ => *place = value.clone(),
        }
        if place.is_null() {
            target.remove(name);
        }
    }
    for (name, order) in patch {
        // An order alone.
        if let Some(list) = name.strip_prefix("$setElementOrder/")
            && !patch.contains_key(list)
            && let Schema::ListMap { strategic: Some(key), .. } = schema.member(list)
            && let Some(place) = target.get_mut(list)
            && let Some(order) = order.as_array()
        {
            let before = place.as_array().cloned().unwrap_or_default();
            *place = Value::Array(ordered(key, before.clone(), order, &before));
        }
    }
    Ok(())
}

/// Those that the patch names in its order, the others in theirs, merged by the order of before where that knows both.
fn ordered(key: &str, items: Vec<Value>, order: &[Value], before: &[Value]) -> Vec<Value> {
    let rank = |list: &[Value], item: &Value| list.iter().position(|one| one.get(key) == item.get(key));
    let (mut named, others): (Vec<Value>, Vec<Value>) = items.into_iter().partition(|i| rank(order, i).is_some());
    named.sort_by_key(|item| rank(order, item));
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    let mut out = Vec::new();
    while let (Some(one), Some(other)) = (named.peek(), others.peek()) {
        let first = matches!((rank(before, other), rank(before, one)), (Some(other), Some(one)) if other < one);
        out.extend(if first { others.next() } else { named.next() });
    }
    out.extend(named);
    out.extend(others);
    out
}

fn merge_list(
    key: &str,
    schema: &'static Schema,
    place: &mut Value,
    changes: &[Value],
    order: &[Value],
) -> Result<(), Status> {
    let directive = |change: &Value| change.get("$patch").and_then(Value::as_str).map(str::to_owned);
    let replaces = changes.iter().any(|c| directive(c).as_deref() == Some("replace") && c.get(key).is_none());
    let mut items = if replaces { Vec::new() } else { place.as_array().cloned().unwrap_or_default() };
    for change in changes {
        let Some(id) = change.get(key) else {
            if directive(change).is_some() {
                continue;
            }
            let message = format!("map: {change} does not contain declared merge key: {key}");
            return Err(Status::bad_request(message));
        };
        let found = items.iter().position(|item| item.get(key) == Some(id));
        match (directive(change).as_deref(), found) {
            (Some("delete"), _) => items.retain(|item| item.get(key) != Some(id)),
            (_, Some(at)) => {
                if let Some(item) = items.get_mut(at) {
                    strategic(schema, item, change)?;
                }
            }
            (_, None) => items.push(change.clone()),
        }
    }
    let before = place.as_array().cloned().unwrap_or_default();
    *place = Value::Array(ordered(key, items, order, &before));
    Ok(())
}
