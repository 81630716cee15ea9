//! Nodes.

use serde_json::{Value, json};

use super::names;
use crate::sim::kube::status::Cause;

/// What isn't said.
pub fn defaults(node: &mut Value) {
    for name in ["spec", "status"] {
        if !node[name].is_object() {
            node[name] = json!({});
        }
    }
    if !node["status"]["daemonEndpoints"].is_object() {
        node["status"]["daemonEndpoints"] = json!({"kubeletEndpoint": {"Port": 0}});
    }
    if !node["status"]["nodeInfo"].is_object() {
        let names = [
            "architecture",
            "bootID",
            "containerRuntimeVersion",
            "kernelVersion",
            "kubeProxyVersion",
            "kubeletVersion",
            "machineID",
            "operatingSystem",
            "osImage",
            "systemUUID",
        ];
        let info: serde_json::Map<String, Value> = names.iter().map(|n| ((*n).to_owned(), json!(""))).collect();
        node["status"]["nodeInfo"] = Value::Object(info);
    }
}

/// The admission plugin TaintNodesByCondition: a new node isn't ready until a controller says so.
pub fn taint_new(node: &mut Value) {
    let taint = json!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"});
    match node["spec"]["taints"].as_array_mut() {
        Some(taints) if taints.iter().any(|t| t["key"] == taint["key"] && t["effect"] == taint["effect"]) => {}
        Some(taints) => taints.push(taint),
        None => node["spec"]["taints"] = json!([taint]),
    }
}

/// What is wrong with a Node.
pub fn validate(node: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = names::metadata(node, names::subdomain);
    let provider = |node: &Value| node["spec"]["providerID"].as_str().unwrap_or_default().to_owned();
    if let Some(old) = old
        && !provider(old).is_empty()
        && provider(old) != provider(node)
    {
        causes.push(Cause::invalid("spec.providerID", &Value::Null, "field cannot be modified once set"));
    }
    for (at, taint) in node["spec"]["taints"].as_array().into_iter().flatten().enumerate() {
        let effects = ["NoExecute", "NoSchedule", "PreferNoSchedule"];
        if !taint["effect"].as_str().is_some_and(|effect| effects.contains(&effect)) {
            let field = format!("metadata.taints[{at}].effect");
            causes.push(Cause::unsupported(field, &taint["effect"], &["NoSchedule", "PreferNoSchedule", "NoExecute"]));
        }
    }
    causes
}
