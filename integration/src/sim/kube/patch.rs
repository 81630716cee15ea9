//! Patches: what they make of an object as it is shown. Server-side apply is in [`super::managed`].

mod strategic;
pub(super) mod structured;

use serde_json::{Map, Value};

use super::status::Status;

pub(super) use strategic::strategic;

/// JSON merge patch (RFC 7396).
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(target) = target.as_object_mut() else { return };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

/// What the API server says of operations that can't be done.
fn unable(why: &str) -> Status {
    let mut status =
        Status::new(422, "Invalid", "the server rejected our request due to an error in our request".to_owned());
    // The real one keeps its reason to itself.
    let _ = why;
    status.details = serde_json::json!({});
    status
}

fn words(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(|word| word.replace("~1", "/").replace("~0", "~")).collect()
}

fn parent<'a>(target: &'a mut Value, pointer: &str, what: &str) -> Result<(&'a mut Value, String), Status> {
    let mut words = words(pointer);
    let missing =
        || unable(&format!("{what} operation does not apply: doc is missing path: \"{pointer}\": missing value"));
    let last = words.pop().ok_or_else(missing)?;
    let mut at = target;
    for word in words {
        let next = match at {
            Value::Object(map) => map.get_mut(&word),
            Value::Array(items) => word.parse::<usize>().ok().and_then(|index| items.get_mut(index)),
            _ => None,
        };
        at = next.ok_or_else(missing)?;
    }
    Ok((at, last))
}

fn take(target: &mut Value, pointer: &str, what: &str) -> Result<Value, Status> {
    let (parent, last) = parent(target, pointer, what)?;
    let taken = match parent {
        Value::Object(map) => map.remove(&last),
        Value::Array(items) => {
            last.parse::<usize>().ok().filter(|index| *index < items.len()).map(|index| items.remove(index))
        }
        _ => None,
    };
    taken.ok_or_else(|| {
        unable(&format!("{what} operation does not apply: doc is missing key: {pointer}: missing value"))
    })
}

fn put(target: &mut Value, pointer: &str, value: Value, what: &str) -> Result<(), Status> {
    let (parent, last) = parent(target, pointer, what)?;
    match parent {
        Value::Object(map) => _ = map.insert(last, value),
        Value::Array(items) if last == "-" => items.push(value),
        Value::Array(items) => match last.parse::<usize>() {
            Ok(index) if index <= items.len() => items.insert(index, value),
            _ => return Err(unable(&format!("{what} operation does not apply: invalid array index: {last}"))),
        },
        _ => return Err(unable(&format!("{what} operation does not apply: doc is missing path: {pointer}"))),
    }
    Ok(())
}

/// JSON patch (RFC 6902).
pub(super) fn json(target: &mut Value, operations: &Value) -> Result<(), Status> {
    let Some(operations) = operations.as_array() else {
        return Err(Status::bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch"));
    };
    for operation in operations {
        let text = |name: &str| operation.get(name).and_then(Value::as_str).unwrap_or_default();
        let value = || operation.get("value").cloned().unwrap_or_default();
        let path = text("path");
        match text("op") {
            "test" => {
                if target.pointer(path).cloned().unwrap_or_default() != value() {
                    return Err(unable(&format!("testing path {path} value failed: test failed")));
                }
            }
            "add" => put(target, path, value(), "add")?,
            "remove" => _ = take(target, path, "remove")?,
            "replace" => {
                let place = target.pointer_mut(path).ok_or_else(|| {
                    unable(&format!("replace operation does not apply: doc is missing key: {path}: missing value"))
                })?;
                *place = value();
            }
            "move" => {
                let moved = take(target, text("from"), "move")?;
                put(target, path, moved, "move")?;
            }
            "copy" => {
                let copied = target.pointer(text("from")).cloned();
                let missing = || unable(&format!("copy operation does not apply: missing from path: {}", text("from")));
                put(target, path, copied.ok_or_else(missing)?, "copy")?;
            }
            other => return Err(unable(&format!("Unexpected kind: {other}"))),
        }
    }
    Ok(())
}
