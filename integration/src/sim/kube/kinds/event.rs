//! Events, kept in the form of the core group; the group events.k8s.io shows the same under other names.

use serde_json::{Map, Value, json};

use crate::sim::kube::status::Cause;

/// Name in events.k8s.io, name in the core group.
const NAMES: [(&str, &str); 8] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
    ("related", "related"),
];

fn renamed(value: &Value, names: impl Fn(&str) -> Option<&'static str>) -> Value {
    let map = value.as_object().into_iter().flatten();
    map.map(|(name, member)| (names(name).unwrap_or(name).to_owned(), member.clone())).collect::<Map<_, _>>().into()
}

/// In the form of events.k8s.io.
pub fn to_new(core: &Value) -> Value {
    let mut new = renamed(core, |name| NAMES.iter().find(|(_, of)| *of == name).map(|(new, _)| *new));
    if let Some(members) = new.as_object_mut() {
        members.retain(|name, value| !(["reportingController", "reportingInstance"].contains(&&**name) && value == ""));
    }
    new
}

/// From the form of events.k8s.io.
pub fn from_new(new: &Value) -> Value {
    renamed(new, |name| NAMES.iter().find(|(of, _)| *of == name).map(|(_, core)| *core))
}

/// What is always there.
pub fn defaults(event: &mut Value) {
    if !event["source"].is_object() {
        event["source"] = json!({});
    }
    if event["involvedObject"].is_null() {
        event["involvedObject"] = json!({});
    }
    for name in ["reportingComponent", "reportingInstance"] {
        if event[name].is_null() {
            event[name] = json!("");
        }
    }
    for name in ["firstTimestamp", "lastTimestamp", "eventTime"] {
        if event[name].is_null() {
            event[name] = Value::Null;
        }
    }
}

/// What is wrong with an Event; `new`: written through events.k8s.io, which asks for more.
pub fn validate(event: &Value, new: bool) -> Vec<Cause> {
    let mut causes = Vec::new();
    let text = |name: &str| event[name].as_str().unwrap_or_default();
    let namespace = event["metadata"]["namespace"].as_str().unwrap_or_default();
    let about = event["involvedObject"]["namespace"].as_str().unwrap_or_default();
    // Only Events of the old kind are held to it.
    let old = event["eventTime"].is_null();
    let fits =
        if about.is_empty() { matches!(namespace, "default" | "kube-system") } else { !old || namespace == about };
    if !fits {
        causes.push(Cause::invalid("involvedObject.namespace", &json!(about), "does not match event.namespace"));
    }
    if event["eventTime"].is_null() {
        if new {
            causes.push(Cause::required("eventTime", ""));
        }
        return causes;
    }
    let fields = [
        ("reportingController", "reportingComponent", 128),
        ("reportingInstance", "reportingInstance", 128),
        ("action", "action", 128),
        ("reason", "reason", 128),
    ];
    for (shown, name, longest) in fields {
        if text(name).is_empty() {
            causes.push(Cause::required(shown, ""));
        } else if text(name).len() > longest {
            let why = format!("can have at most {longest} characters");
            causes.push(Cause::invalid(shown, &json!(""), &why));
        }
    }
    if text("message").len() > 1024 {
        causes.push(Cause::invalid("message", &json!(""), "can have at most 1024 characters"));
    }
    if new && !["Normal", "Warning"].contains(&text("type")) {
        let why = format!("has invalid value: {}", event["type"].as_str().unwrap_or_default());
        causes.push(Cause::invalid("type", &json!(""), &why));
    }
    causes
}
