//! Tables, as `kubectl get` asks for them.

use serde_json::{Value, json};

use super::kinds::Resource;
use super::list::Listed;
use super::store::Stored;

pub(super) fn asked_for(accept: &str) -> bool {
    accept.contains("as=Table")
}

pub(super) fn list(_resource: Resource, _listed: &Listed, _now: jiff::Timestamp) -> Value {
    json!({})
}

pub(super) fn one(_resource: Resource, _object: &Stored, _now: jiff::Timestamp) -> Value {
    json!({})
}

pub(super) fn watch_event(_resource: Resource, _object: &Stored, _now: jiff::Timestamp) -> Value {
    json!({})
}

pub(super) fn bookmark(object: &Value) -> Value {
    object.clone()
}
