//! Rules that all kinds share: what each kind's type allows, defaults and validation by kind.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{event, lease, names, node, service};
use crate::sim::kube::kinds::Resource;
use crate::sim::kube::status::{Cause, Status};

fn through<T: Serialize + DeserializeOwned>(value: Value) -> Result<Value, String> {
    let object: T = serde_json::from_value(value).map_err(|error| error.to_string())?;
    serde_json::to_value(object).map_err(|error| error.to_string())
}

/// An object as its type has it: members that it doesn't know are dropped, as are empty ones.
///
/// # Errors
/// 400 where a member is of another type.
pub fn typed(resource: Resource, mut value: Value) -> Result<Value, Status> {
    if let Some(object) = value.as_object_mut() {
        object.remove("kind");
        object.remove("apiVersion");
    }
    // Conditions of Services come as they are: what isn't said of them is empty.
    let conditions = match resource {
        Resource::Services => {
            value.get_mut("status").and_then(Value::as_object_mut).and_then(|status| status.remove("conditions"))
        }
        _ => None,
    };
    let typed = match resource.shelf() {
        Resource::Services => through::<Service>(value),
        Resource::Nodes => through::<Node>(value),
        Resource::Namespaces => through::<Namespace>(value),
        Resource::ConfigMaps => through::<ConfigMap>(value),
        Resource::Events => through::<Event>(value),
        Resource::Leases => through::<Lease>(value),
        Resource::EndpointSlices => through::<EndpointSlice>(value),
        _ => Ok(value),
    };
    let mut value = typed.map_err(|why| {
        let kind = resource.kind_name();
        Status::bad_request(format!("{kind} in version \"v1\" cannot be handled as a {kind}: json: {why}"))
    })?;
    if let Some(object) = value.as_object_mut() {
        object.remove("kind");
        object.remove("apiVersion");
    }
    tidy(&mut value, "");
    if let Some(list) = conditions.as_ref().and_then(Value::as_array).filter(|list| !list.is_empty()) {
        value["status"]["conditions"] = list.iter().map(condition).collect();
    }
    if resource == Resource::Services
        && let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut)
    {
        spec.retain(|_, member| member != "");
    }
    Ok(value)
}

fn condition(from: &Value) -> Value {
    let mut out = json!({"type": "", "status": "", "reason": "", "message": "", "lastTransitionTime": null});
    for name in ["type", "status", "reason", "message", "lastTransitionTime", "observedGeneration"] {
        if let Some(member) = from.get(name).filter(|member| !member.is_null()) {
            out[name] = member.clone();
        }
    }
    out
}

/// Drops what Go's encoding omits: null, empty lists, and empty maps where they are maps and not structures.
fn tidy(value: &mut Value, name: &str) {
    match value {
        Value::Object(map) => {
            map.iter_mut().for_each(|(name, member)| tidy(member, name));
            let maps = ["annotations", "labels", "selector", "data", "binaryData", "capacity", "allocatable"];
            map.retain(|name, member| match member {
                Value::Null => false,
                Value::Array(items) => !items.is_empty(),
                Value::Object(members) => !(members.is_empty() && maps.contains(&name.as_str())),
                _ => true,
            });
        }
        Value::Array(items) if name != "managedFields" => items.iter_mut().for_each(|item| tidy(item, "")),
        _ => {}
    }
}

/// What isn't said.
pub fn defaults(resource: Resource, value: &mut Value) {
    match resource.shelf() {
        Resource::Services => service::defaults(value),
        Resource::Nodes => node::defaults(value),
        Resource::Events => event::defaults(value),
        Resource::Namespaces => {
            if value["status"]["phase"].is_null() {
                value["status"]["phase"] = json!("Active");
            }
            if value["spec"].is_null() {
                value["spec"] = json!({});
            }
            value["metadata"]["labels"]["kubernetes.io/metadata.name"] = value["metadata"]["name"].clone();
        }
        Resource::Leases => {
            if value["spec"].is_null() {
                value["spec"] = json!({});
            }
        }
        Resource::EndpointSlices => {
            if value["endpoints"].is_null() {
                value["endpoints"] = json!([]);
            }
        }
        _ => {}
    }
}

/// An object of which nothing is said: what a new one is compared with.
pub fn blank(resource: Resource) -> Value {
    match resource.shelf() {
        Resource::Services => json!({"metadata": {}, "spec": {}, "status": {"loadBalancer": {}}}),
        Resource::Nodes | Resource::Namespaces => json!({"metadata": {}, "spec": {}, "status": {}}),
        Resource::Leases => json!({"metadata": {}, "spec": {}}),
        Resource::Events => {
            json!({
                "metadata": {}, "involvedObject": {}, "source": {}, "reportingComponent": "", "reportingInstance": "",
                "firstTimestamp": null, "lastTimestamp": null, "eventTime": null,
            })
        }
        _ => json!({"metadata": {}}),
    }
}

/// What is wrong with an object.
pub fn validate(resource: Resource, value: &Value, old: Option<&Value>, subresource: &str) -> Vec<Cause> {
    let mut causes = match resource {
        Resource::Services if subresource == "status" => service::validate_status(value),
        Resource::Services => service::validate(value, old),
        Resource::Nodes => node::validate(value, old),
        Resource::Leases => lease::validate(value),
        Resource::Events | Resource::NewEvents => event::validate(value, resource == Resource::NewEvents),
        Resource::Namespaces => names::metadata(value, names::label),
        Resource::EndpointSlices => {
            let mut causes = names::metadata(value, names::subdomain);
            let kinds = ["FQDN", "IPv4", "IPv6"];
            if !value["addressType"].as_str().is_some_and(|kind| kinds.contains(&kind)) {
                causes.push(Cause::required("addressType", ""));
            }
            causes
        }
        _ => names::metadata(value, names::subdomain),
    };
    if let Some(old) = old {
        for name in ["uid", "name", "namespace"] {
            if old["metadata"][name] != value["metadata"][name] {
                causes.insert(
                    0,
                    Cause::invalid(format!("metadata.{name}"), &value["metadata"][name], "field is immutable"),
                );
            }
        }
    }
    causes
}
