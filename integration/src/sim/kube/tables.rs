//! Tables, as `kubectl get` asks for them: the columns that the real one prints (kubernetes/pkg/printers).

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::kinds::Resource;
use super::list::{Listed, text};
use super::store::Stored;

/// What goes with each row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Include {
    #[default]
    Metadata,
    Object,
    None,
}

impl Include {
    pub fn named(name: &str) -> Include {
        match name {
            "Object" => Include::Object,
            "None" => Include::None,
            _ => Include::Metadata,
        }
    }
}

pub(super) fn asked_for(accept: &str) -> bool {
    accept.contains("as=Table")
}

/// A list.
pub(super) fn list(resource: Resource, listed: &Listed, now: Timestamp, include: Include) -> Value {
    let rows: Vec<Value> = listed.items.iter().map(|object| row(resource, object, now, include)).collect();
    let mut metadata = json!({"resourceVersion": listed.version.to_string()});
    if !listed.next.is_empty() {
        metadata["continue"] = json!(listed.next);
    }
    if let Some(remaining) = listed.remaining {
        metadata["remainingItemCount"] = json!(remaining);
    }
    table(resource, metadata, rows)
}

/// One object.
pub(super) fn one(resource: Resource, object: &Stored, now: Timestamp, include: Include) -> Value {
    let metadata = json!({"resourceVersion": object.version.to_string()});
    table(resource, metadata, vec![row(resource, object, now, include)])
}

/// The bookmark of a watch.
pub(super) fn bookmark(resource: Resource, version: u64) -> Value {
    table(resource, json!({"resourceVersion": version.to_string()}), Vec::new())
}

fn table(resource: Resource, metadata: Value, rows: Vec<Value>) -> Value {
    let columns: Vec<Value> = columns(resource)
        .iter()
        .map(|(name, wide)| {
            let format = if *name == "Name" { "name" } else { "" };
            json!({
                "name": name, "type": "string", "format": format, "description": "", "priority": u8::from(*wide),
            })
        })
        .collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": columns,
        "rows": rows,
    })
}

/// Names, and whether they are for wide output only.
fn columns(resource: Resource) -> &'static [(&'static str, bool)] {
    match resource {
        Resource::Services => &[
            ("Name", false),
            ("Type", false),
            ("Cluster-IP", false),
            ("External-IP", false),
            ("Port(s)", false),
            ("Age", false),
            ("Selector", true),
        ],
        Resource::Nodes => &[
            ("Name", false),
            ("Status", false),
            ("Roles", false),
            ("Age", false),
            ("Version", false),
            ("Internal-IP", true),
            ("External-IP", true),
            ("OS-Image", true),
            ("Kernel-Version", true),
            ("Container-Runtime", true),
        ],
        Resource::Namespaces => &[("Name", false), ("Status", false), ("Age", false)],
        Resource::ConfigMaps => &[("Name", false), ("Data", false), ("Age", false)],
        Resource::Leases => &[("Name", false), ("Holder", false), ("Age", false)],
        Resource::EndpointSlices => {
            &[("Name", false), ("AddressType", false), ("Ports", false), ("Endpoints", false), ("Age", false)]
        }
        Resource::Events | Resource::NewEvents => &[
            ("Last Seen", false),
            ("Type", false),
            ("Reason", false),
            ("Object", false),
            ("Subobject", true),
            ("Source", true),
            ("Message", false),
            ("First Seen", true),
            ("Count", true),
            ("Name", true),
        ],
        _ => &[("Name", false), ("Age", false)],
    }
}

fn row(resource: Resource, object: &Stored, now: Timestamp, include: Include) -> Value {
    let value = &object.value;
    let cells = match resource {
        Resource::Services => service(value, now),
        Resource::Nodes => node(value, now),
        Resource::Namespaces => json!([name(value), at(value, "/status/phase"), age(value, now)]),
        Resource::ConfigMaps => {
            let count = |member: &str| value.get(member).and_then(Value::as_object).map_or(0, Map::len);
            json!([name(value), count("data") + count("binaryData"), age(value, now)])
        }
        Resource::Leases => json!([name(value), at(value, "/spec/holderIdentity"), age(value, now)]),
        Resource::EndpointSlices => slice(value, now),
        Resource::Events | Resource::NewEvents => event(value, now),
        _ => json!([name(value), age(value, now)]),
    };
    let shown = match include {
        Include::None => return json!({"cells": cells}),
        Include::Object => serde_json::from_str(&text(resource, object, true, false)).unwrap_or_default(),
        Include::Metadata => {
            let whole = object.whole();
            json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": whole["metadata"]})
        }
    };
    json!({"cells": cells, "object": shown})
}

fn at(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn or(text: String, otherwise: &str) -> String {
    if text.is_empty() { otherwise.to_owned() } else { text }
}

fn name(value: &Value) -> String {
    at(value, "/metadata/name")
}

fn list_of<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

fn since(text: &str, now: Timestamp) -> String {
    match text.parse::<Timestamp>() {
        Ok(then) => human(now.as_second() - then.as_second()),
        Err(_) => "<unknown>".to_owned(),
    }
}

fn age(value: &Value, now: Timestamp) -> String {
    since(&at(value, "/metadata/creationTimestamp"), now)
}

/// A time span as people say it (k8s.io/apimachinery, `HumanDuration`).
pub(super) fn human(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let two = |big: i64, unit: &str, small: i64, part: &str| match small {
        0 => format!("{big}{unit}"),
        small => format!("{big}{unit}{small}{part}"),
    };
    match () {
        () if seconds < -1 => "<invalid>".to_owned(),
        () if seconds < 0 => "0s".to_owned(),
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if hours < 24 * 8 => two(hours / 24, "d", hours % 24, "h"),
        () if hours < 24 * 365 * 2 => format!("{}d", hours / 24),
        () if hours < 24 * 365 * 8 => two(hours / 24 / 365, "y", hours / 24 % 365, "d"),
        () => format!("{}y", hours / 24 / 365),
    }
}

fn selector(value: &Value) -> String {
    let pairs = value.pointer("/spec/selector").and_then(Value::as_object).into_iter().flatten();
    let pairs: Vec<String> = pairs.map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect();
    or(pairs.join(","), "<none>")
}

fn external(value: &Value) -> String {
    let own: Vec<&str> = list_of(value, "/spec/externalIPs").filter_map(Value::as_str).collect();
    match &*at(value, "/spec/type") {
        "ExternalName" => at(value, "/spec/externalName"),
        "LoadBalancer" => {
            let given: BTreeSet<String> = list_of(value, "/status/loadBalancer/ingress")
                .map(|ingress| or(at(ingress, "/ip"), &at(ingress, "/hostname")))
                .collect();
            let all: Vec<String> = given.into_iter().chain(own.into_iter().map(str::to_owned)).collect();
            or(all.join(","), "<pending>")
        }
        _ => or(own.join(","), "<none>"),
    }
}

fn service(value: &Value, now: Timestamp) -> Value {
    let ports: Vec<String> = list_of(value, "/spec/ports")
        .map(|port| match port["nodePort"].as_u64() {
            Some(node) if node > 0 => format!("{}:{node}/{}", port["port"], at(port, "/protocol")),
            _ => format!("{}/{}", port["port"], at(port, "/protocol")),
        })
        .collect();
    let cluster = or(at(value, "/spec/clusterIP"), "<none>");
    let ports = or(ports.join(","), "<none>");
    json!([name(value), at(value, "/spec/type"), cluster, external(value), ports, age(value, now), selector(value)])
}

fn node(value: &Value, now: Timestamp) -> Value {
    let ready = list_of(value, "/status/conditions").find(|condition| condition["type"] == "Ready");
    let mut status = match ready.map(|condition| at(condition, "/status")) {
        Some(status) if status == "True" => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if value.pointer("/spec/unschedulable") == Some(&json!(true)) {
        status += ",SchedulingDisabled";
    }
    let labels = value.pointer("/metadata/labels").and_then(Value::as_object);
    let roles: BTreeSet<String> = labels
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| match name.strip_prefix("node-role.kubernetes.io/") {
            Some(role) if !role.is_empty() => Some(role.to_owned()),
            _ if name == "kubernetes.io/role" => value.as_str().map(str::to_owned),
            _ => None,
        })
        .collect();
    let roles = or(roles.into_iter().collect::<Vec<_>>().join(","), "<none>");
    let address = |kind: &str| {
        let found = list_of(value, "/status/addresses").find(|address| address["type"] == kind);
        or(found.map(|address| at(address, "/address")).unwrap_or_default(), "<none>")
    };
    let info = |name: &str| or(at(value, &format!("/status/nodeInfo/{name}")), "<unknown>");
    json!([
        name(value),
        status,
        roles,
        age(value, now),
        at(value, "/status/nodeInfo/kubeletVersion"),
        address("InternalIP"),
        address("ExternalIP"),
        info("osImage"),
        match at(value, "/status/nodeInfo/architecture") {
            machine if machine.is_empty() => info("kernelVersion"),
            machine => format!("{} ({machine})", info("kernelVersion")),
        },
        info("containerRuntimeVersion"),
    ])
}

fn some_of(all: &[String], most: usize) -> String {
    if all.is_empty() {
        return "<unset>".to_owned();
    }
    let shown = all.get(..most.min(all.len())).unwrap_or_default().join(",");
    if all.len() > most { format!("{shown} + {} more...", all.len() - most) } else { shown }
}

fn slice(value: &Value, now: Timestamp) -> Value {
    let ports: Vec<String> = list_of(value, "/ports").map(|port| port["port"].to_string()).collect();
    let addresses: Vec<String> = list_of(value, "/endpoints")
        .flat_map(|endpoint| list_of(endpoint, "/addresses"))
        .filter_map(|address| address.as_str().map(str::to_owned))
        .collect();
    json!([name(value), at(value, "/addressType"), some_of(&ports, 3), some_of(&addresses, 3), age(value, now)])
}

fn event(value: &Value, now: Timestamp) -> Value {
    let time = at(value, "/eventTime");
    let first = or(at(value, "/firstTimestamp"), &time);
    let last = or(at(value, "/series/lastObservedTime"), &or(at(value, "/lastTimestamp"), &first));
    let kind = at(value, "/involvedObject/kind").to_lowercase();
    let about = at(value, "/involvedObject/name");
    let object = if about.is_empty() { kind } else { format!("{kind}/{about}") };
    let component = or(at(value, "/source/component"), &at(value, "/reportingComponent"));
    let host = or(at(value, "/source/host"), &at(value, "/reportingInstance"));
    let source = if host.is_empty() { component } else { format!("{component}, {host}") };
    let count = value.pointer("/series/count").or_else(|| value.get("count")).and_then(Value::as_u64).unwrap_or(1);
    json!([
        since(&last, now),
        at(value, "/type"),
        at(value, "/reason"),
        object,
        at(value, "/involvedObject/fieldPath"),
        source,
        at(value, "/message").trim(),
        since(&first, now),
        count,
        name(value),
    ])
}
