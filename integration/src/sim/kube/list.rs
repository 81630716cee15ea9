//! Lists: of now, of a version, or page by page, and single objects as they go over the wire.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::faults::Twist;
use super::kinds::{Resource, event};
use super::route::{Asked, Verb};
use super::select::Selection;
use super::status::{Cause, Status};
use super::store::{Key, Shelf, Store, Stored};

/// What a list answers.
pub(super) struct Listed {
    pub items: Vec<Arc<Stored>>,
    pub version: u64,
    /// Token of the next page; empty: this is the last.
    pub next: String,
    pub remaining: Option<usize>,
}

/// An object with this annotation is never shown in a form that decodes.
pub const UNDECODABLE: &str = "simulation/undecodable";

fn is_undecodable(object: &Stored) -> bool {
    object.value["metadata"]["annotations"].get(UNDECODABLE).is_some()
}

/// A JSON text of an object, with or without kind and apiVersion.
pub(super) fn text(resource: Resource, object: &Stored, typed: bool, undecodable: bool) -> String {
    let undecodable = undecodable || is_undecodable(object);
    if undecodable || resource == Resource::NewEvents {
        let mut value = object.whole();
        if resource == Resource::NewEvents {
            value = event::to_new(&value);
        }
        if undecodable {
            spoil(&mut value);
        }
        if typed {
            value["kind"] = json!(resource.kind_name());
            value["apiVersion"] = json!(resource.api_version());
        }
        return value.to_string();
    }
    let bare = String::from_utf8_lossy(object.text());
    if !typed {
        return bare.into_owned();
    }
    let rest = bare.strip_prefix('{').unwrap_or_default();
    format!(r#"{{"kind":"{}","apiVersion":"{}",{rest}"#, resource.kind_name(), resource.api_version())
}

/// Its metadata can be read, and nothing else.
fn spoil(value: &mut Value) {
    for (name, member) in value.as_object_mut().into_iter().flatten() {
        if name != "metadata" {
            *member = json!(7);
        }
    }
    for name in ["spec", "status", "endpoints"] {
        value[name] = json!(7);
    }
}

/// A page's token.
fn token(version: u64, after: &Key, expired: bool) -> String {
    let json = json!({"rv": version, "after": after, "expired": expired}).to_string();
    json.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn read_token(token: &str) -> Option<(u64, Key, bool)> {
    let bytes: Option<Vec<u8>> = (0..token.len())
        .step_by(2)
        .map(|at| token.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect();
    let value: Value = serde_json::from_slice(&bytes?).ok()?;
    let key = serde_json::from_value(value.get("after")?.clone()).ok()?;
    Some((value.get("rv")?.as_u64()?, key, value.get("expired")?.as_bool()?))
}

/// An exact version that is forgotten.
fn forgotten(version: u64, shelf: &Shelf) -> Status {
    Status::expired(format!("The resourceVersion for the provided list is too old: {version} ({}).", shelf.compacted))
}

fn too_old_token() -> Status {
    Status::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list \
         without the continue parameter, or use the continue token in this response to retrieve the remainder of the \
         results. Continuing with the provided token results in an inconsistent list - objects that were created, \
         modified, or deleted between the time the first chunk was returned and now may show up in the list.",
    )
}

fn version_of(asked: &Asked) -> Result<Option<u64>, Status> {
    match asked.parameter("resourceVersion") {
        "" => Ok(None),
        text => text
            .parse()
            .map(Some)
            .map_err(|_| Status::bad_request(format!("invalid resource version: {}", no_number(text)))),
    }
}

/// A version that isn't one.
pub(super) fn no_number(text: &str) -> String {
    let value = json!(text);
    format!("resourceVersion: Invalid value: {value}: strconv.ParseUint: parsing {value}: invalid syntax")
}

/// Whether the parameters of a list or watch go together.
pub(super) fn check_options(asked: &Asked, watch: bool) -> Result<(), Status> {
    let rule = asked.parameter("resourceVersionMatch");
    let initial = asked.query.contains_key("sendInitialEvents");
    let version = asked.parameter("resourceVersion");
    let mut causes = Vec::new();
    let mut forbid = |field: &str, why: &str| causes.push(Cause::forbidden(field, why));
    if watch {
        if initial && rule != "NotOlderThan" {
            forbid("resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
        }
        if !rule.is_empty() && !initial {
            let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            forbid("resourceVersionMatch", why);
        }
    } else {
        if !rule.is_empty() && version.is_empty() {
            let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            forbid("resourceVersionMatch", why);
        }
        if !rule.is_empty() && !asked.parameter("continue").is_empty() {
            forbid("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided");
        }
        if rule == "Exact" && version == "0" {
            let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            forbid("resourceVersionMatch", why);
        }
        if initial {
            forbid("sendInitialEvents", "sendInitialEvents is forbidden for list");
        }
    }
    if causes.is_empty() { Ok(()) } else { Err(Status::invalid_options("ListOptions", &causes)) }
}

/// Answers a list.
pub(super) fn list(
    store: &Store,
    asked: &Asked,
    selection: &Selection,
    twist: &Twist,
    page: Option<usize>,
) -> Result<Listed, Status> {
    if asked.verb == Verb::List {
        check_options(asked, false)?;
    }
    let shelf = store.shelf(asked.resource);
    let limit = asked.parameter("limit").parse::<usize>().ok().filter(|limit| *limit > 0);
    let limit = limit.map(|limit| page.map_or(limit, |page| page.min(limit)));
    let (version, after) = match asked.parameter("continue") {
        "" => (start(store, shelf, asked, limit.is_some(), twist)?, None),
        token => {
            let Some((version, after, expired)) = read_token(token) else {
                return Err(Status::bad_request("continue key is not valid: illegal base64 data"));
            };
            if expired || twist.page_expired || version < shelf.compacted {
                return Err(too_old_token());
            }
            (version, Some(after))
        }
    };
    let past;
    let objects: &BTreeMap<Key, Arc<Stored>> = if shelf.log.back().is_none_or(|change| change.version <= version) {
        &shelf.objects
    } else {
        past = shelf.at(version).ok_or_else(|| forgotten(version, shelf))?;
        &past
    };
    let mut items: Vec<(&Key, &Arc<Stored>)> = objects
        .iter()
        .filter(|(key, object)| after.as_ref().is_none_or(|after| *key > after) && selection.matches(object))
        .collect();
    twist.thin(&mut items);
    let rest = limit.map_or(0, |limit| items.len().saturating_sub(limit));
    items.truncate(items.len() - rest);
    let next = match items.last() {
        Some((key, _)) if rest > 0 => token(version, key, twist.page_expired),
        _ => String::new(),
    };
    let remaining = (rest > 0 && selection.is_whole()).then_some(rest);
    let items = items.into_iter().map(|(_, object)| Arc::clone(object)).collect();
    Ok(Listed { items, version, next, remaining })
}

/// The version that a list begins with.
fn start(store: &Store, shelf: &Shelf, asked: &Asked, paged: bool, twist: &Twist) -> Result<u64, Status> {
    if let Some(version) = twist.as_of {
        return Ok(version.max(shelf.compacted));
    }
    let Some(version) = version_of(asked)?.filter(|version| *version > 0) else { return Ok(store.version) };
    if version > store.version {
        return Err(Status::too_large_version(version, store.version));
    }
    let exact = match asked.parameter("resourceVersionMatch") {
        "Exact" => true,
        "NotOlderThan" => false,
        _ => paged,
    };
    match exact {
        true if version < shelf.compacted => Err(forgotten(version, shelf)),
        true => Ok(version),
        false => Ok(store.version),
    }
}

/// The list's JSON.
pub(super) fn body(resource: Resource, listed: &Listed, twist: &Twist) -> String {
    let mut metadata = json!({"resourceVersion": listed.version.to_string()});
    if !listed.next.is_empty() {
        metadata["continue"] = json!(listed.next);
    }
    if let Some(remaining) = listed.remaining {
        metadata["remainingItemCount"] = json!(remaining);
    }
    let (kind, api) = (resource.kind_name(), resource.api_version());
    let mut out = format!(r#"{{"kind":"{kind}List","apiVersion":"{api}","metadata":{metadata},"items":["#);
    let spoiled = twist.spoils(listed.items.len());
    for (at, object) in listed.items.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        match std::str::from_utf8(object.text()) {
            Ok(bare) if resource != Resource::NewEvents && spoiled != Some(at) && !is_undecodable(object) => {
                out.push_str(bare)
            }
            _ => out.push_str(&text(resource, object, false, spoiled == Some(at))),
        }
    }
    out.push_str("]}");
    out
}

/// Answers a read of one object.
pub(super) fn get(store: &Store, asked: &Asked, twist: &Twist) -> Result<Arc<Stored>, Status> {
    let key = (asked.namespace.clone(), asked.name.clone());
    let shelf = store.shelf(asked.resource);
    let past = twist.as_of.map(|version| shelf.at(version.max(shelf.compacted)).unwrap_or_default());
    let found = past.as_ref().unwrap_or(&shelf.objects).get(&key);
    found.filter(|_| !twist.empty).cloned().ok_or_else(|| Status::not_found(asked.resource, &asked.name))
}
