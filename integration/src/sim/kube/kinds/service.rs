//! Services: defaults, what is allocated, what goes with the type, what is refused (kubernetes/pkg/apis/core: defaults,
//! validation; pkg/registry/core/service).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::names;
use crate::sim::kube::kinds::Resource;
use crate::sim::kube::status::{Cause, Status};
use crate::sim::kube::store::Store;

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn kind(service: &Value) -> &str {
    text(&service["spec"], "type")
}

fn absent(spec: &Value, name: &str) -> bool {
    text(spec, name).is_empty()
}

fn has_node_ports(service: &Value) -> bool {
    match kind(service) {
        "NodePort" => true,
        "LoadBalancer" => service["spec"]["allocateLoadBalancerNodePorts"] != json!(false),
        _ => false,
    }
}

fn is_external(service: &Value) -> bool {
    matches!(kind(service), "NodePort" | "LoadBalancer")
        || kind(service) == "ClusterIP" && service["spec"]["externalIPs"].as_array().is_some_and(|ips| !ips.is_empty())
}

fn needs_health_port(service: &Value) -> bool {
    kind(service) == "LoadBalancer" && text(&service["spec"], "externalTrafficPolicy") == "Local"
}

fn ports(service: &mut Value) -> impl Iterator<Item = &mut Value> {
    service.pointer_mut("/spec/ports").and_then(Value::as_array_mut).into_iter().flatten()
}

fn forget(value: &mut Value, name: &str) {
    if let Some(map) = value.as_object_mut() {
        map.remove(name);
    }
}

/// What isn't said.
pub fn defaults(service: &mut Value) {
    if !service["spec"].is_object() {
        service["spec"] = json!({});
    }
    let spec = &mut service["spec"];
    if absent(spec, "sessionAffinity") {
        spec["sessionAffinity"] = json!("None");
    }
    if spec["sessionAffinity"] == "None" {
        forget(spec, "sessionAffinityConfig");
    } else if spec["sessionAffinity"] == "ClientIP"
        && spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"].is_null()
    {
        spec["sessionAffinityConfig"] = json!({"clientIP": {"timeoutSeconds": 10_800}});
    }
    if absent(spec, "type") {
        spec["type"] = json!("ClusterIP");
    }
    for port in ports(service) {
        if absent(port, "protocol") {
            port["protocol"] = json!("TCP");
        }
        if [json!(null), json!(0), json!("")].contains(&port["targetPort"]) {
            port["targetPort"] = port["port"].clone();
        }
    }
    let external = is_external(service);
    let spec = &mut service["spec"];
    if external && absent(spec, "externalTrafficPolicy") {
        spec["externalTrafficPolicy"] = json!("Cluster");
    }
    if absent(spec, "internalTrafficPolicy") && spec["type"] != "ExternalName" {
        spec["internalTrafficPolicy"] = json!("Cluster");
    }
    if spec["type"] == "LoadBalancer" && spec["allocateLoadBalancerNodePorts"].is_null() {
        spec["allocateLoadBalancerNodePorts"] = json!(true);
    }
    if !service["status"]["loadBalancer"].is_object() {
        service["status"]["loadBalancer"] = json!({});
    }
    if kind(service) == "LoadBalancer" {
        let ingress = service["status"]["loadBalancer"].get_mut("ingress").and_then(Value::as_array_mut);
        for entry in ingress.into_iter().flatten() {
            if !absent(entry, "ip") && absent(entry, "ipMode") {
                entry["ipMode"] = json!("VIP");
            }
        }
    }
}

/// What the old object had allocated and a new one doesn't mention stays.
pub fn keep_allocated(old: &Value, new: &mut Value) {
    if kind(old) != "ExternalName" && kind(new) != "ExternalName" {
        for name in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            if new["spec"][name].is_null() && !old["spec"][name].is_null() {
                new["spec"][name] = old["spec"][name].clone();
            }
        }
    }
    if has_node_ports(old) && has_node_ports(new) {
        let before = old["spec"]["ports"].as_array().cloned().unwrap_or_default();
        for port in ports(new).filter(|port| port["nodePort"].is_null()) {
            let same = |p: &&Value| p["port"] == port["port"] && p["protocol"] == port["protocol"];
            if let Some(number) = before.iter().find(same).map(|p| p["nodePort"].clone()).filter(|n| !n.is_null()) {
                port["nodePort"] = number;
            }
        }
    }
    if needs_health_port(old) && needs_health_port(new) && new["spec"]["healthCheckNodePort"].is_null() {
        new["spec"]["healthCheckNodePort"] = old["spec"]["healthCheckNodePort"].clone();
    }
}

/// What was made for the old type and means nothing for the new one goes.
pub fn drop_outdated(old: &Value, new: &mut Value) {
    let same = |new: &Value, name: &str| old["spec"][name] == new["spec"][name];
    if kind(old) != "ExternalName" && kind(new) == "ExternalName" {
        for name in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"] {
            if same(new, name) {
                forget(&mut new["spec"], name);
            }
        }
    }
    if has_node_ports(old) && !has_node_ports(new) {
        let numbers = |service: &Value| -> Vec<Value> {
            let list = service["spec"]["ports"].as_array().into_iter().flatten();
            list.map(|port| port["nodePort"].clone()).filter(|number| !number.is_null()).collect()
        };
        let before = numbers(old);
        if numbers(new).iter().all(|number| before.contains(number)) {
            ports(new).for_each(|port| forget(port, "nodePort"));
        }
    }
    if needs_health_port(old) && !needs_health_port(new) && same(new, "healthCheckNodePort") {
        forget(&mut new["spec"], "healthCheckNodePort");
    }
    if kind(old) == "LoadBalancer" && kind(new) != "LoadBalancer" {
        for name in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
            if same(new, name) {
                forget(&mut new["spec"], name);
            }
        }
        new["status"]["loadBalancer"] = json!({});
    }
    if is_external(old) && !is_external(new) && same(new, "externalTrafficPolicy") {
        forget(&mut new["spec"], "externalTrafficPolicy");
    }
}

/// Gives out addresses and ports.
pub fn allocate(store: &Store, service: &mut Value) -> Result<(), Status> {
    let me = text(&service["metadata"], "uid").to_owned();
    let others = || store.shelf(Resource::Services).objects.values().filter(|other| other.uid() != me);
    if kind(service) != "ExternalName" {
        let spec = &mut service["spec"];
        if absent(spec, "clusterIP") {
            let taken: BTreeSet<&str> = others().map(|other| text(&other.value["spec"], "clusterIP")).collect();
            let free = (0..65_000_u32).map(|n| format!("10.96.{}.{}", (n + 10) / 250, (n + 10) % 250 + 1));
            let chosen = free.into_iter().find(|ip| !taken.contains(&**ip)).unwrap_or_default();
            spec["clusterIP"] = json!(chosen);
        }
        if spec["clusterIPs"].is_null() {
            spec["clusterIPs"] = json!([spec["clusterIP"]]);
        }
        // Without addresses of its own and without a selector it may be anything.
        let both = spec["clusterIP"] == "None" && spec["selector"].is_null();
        if spec["ipFamilies"].is_null() {
            spec["ipFamilies"] = if both { json!(["IPv4", "IPv6"]) } else { json!(["IPv4"]) };
        }
        if absent(spec, "ipFamilyPolicy") {
            spec["ipFamilyPolicy"] = json!(if both { "RequireDualStack" } else { "SingleStack" });
        }
    }
    let mut taken: BTreeSet<u64> = BTreeSet::new();
    if has_node_ports(service) || needs_health_port(service) {
        for other in others() {
            let list = other.value["spec"]["ports"].as_array().into_iter().flatten();
            taken.extend(list.filter_map(|port| port["nodePort"].as_u64()));
            taken.extend(other.value["spec"]["healthCheckNodePort"].as_u64());
        }
    }
    let mut causes = Vec::new();
    if has_node_ports(service) {
        for (at, port) in ports(service).enumerate() {
            let field = format!("spec.ports[{at}].nodePort");
            match port["nodePort"].as_u64().filter(|number| *number > 0) {
                Some(number) if !(30_000..=32_767).contains(&number) => {
                    let why = "provided port is not in the valid range. The range of valid ports is 30000-32767";
                    causes.push(Cause::invalid(field, &json!(number), why));
                }
                Some(number) if taken.contains(&number) => {
                    causes.push(Cause::invalid(field, &json!(number), "provided port is already allocated"));
                }
                Some(number) => _ = taken.insert(number),
                None => {
                    if let Some(free) = (30_000..=32_767).find(|number| !taken.contains(number)) {
                        taken.insert(free);
                        port["nodePort"] = json!(free);
                    }
                }
            }
        }
    }
    if needs_health_port(service)
        && service["spec"]["healthCheckNodePort"].is_null()
        && let Some(free) = (30_000..=32_767).rev().find(|number| !taken.contains(number))
    {
        service["spec"]["healthCheckNodePort"] = json!(free);
    }
    if causes.is_empty() {
        return Ok(());
    }
    Err(Status::invalid(Resource::Services, text(&service["metadata"], "name"), &causes))
}

const KINDS: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];

/// What is wrong with a Service.
pub fn validate(service: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = names::metadata(service, names::label);
    let spec = &service["spec"];
    let list = spec["ports"].as_array().cloned().unwrap_or_default();
    let headless = text(spec, "clusterIP") == "None";
    if list.is_empty() && !headless && kind(service) != "ExternalName" {
        causes.push(Cause::required("spec.ports", ""));
    }
    if headless && matches!(kind(service), "LoadBalancer" | "NodePort") {
        let why = format!("may not be set to 'None' for {} services", kind(service));
        causes.push(Cause::invalid("spec.clusterIPs[0]", &json!("None"), &why));
    }
    if kind(service) == "ExternalName" && absent(spec, "externalName") {
        causes.push(Cause::required("spec.externalName", ""));
    }
    check_ports(&list, &mut causes);
    if let Some(old) = old
        && kind(old) != "ExternalName"
        && kind(service) != "ExternalName"
        && old["spec"]["clusterIP"] != spec["clusterIP"]
    {
        let why = "may not change once set";
        causes.push(Cause::invalid("spec.clusterIPs[0]", &spec["clusterIPs"], why));
    }
    let known = old.map(|old| old["spec"]["externalIPs"].as_array().cloned().unwrap_or_default()).unwrap_or_default();
    for (at, address) in spec["externalIPs"].as_array().into_iter().flatten().enumerate() {
        let field = format!("spec.externalIPs[{at}]");
        if !known.contains(address) {
            causes.extend(names::endpoint_address(&field, address.as_str().unwrap_or_default()));
        }
    }
    if !KINDS.contains(&kind(service)) {
        causes.push(Cause::unsupported("spec.type", &spec["type"], &KINDS));
    }
    if kind(service) == "ClusterIP" {
        for (at, _) in list.iter().enumerate().filter(|(_, port)| port["nodePort"].as_u64().unwrap_or_default() != 0) {
            let field = format!("spec.ports[{at}].nodePort");
            causes.push(Cause::forbidden(field, "may not be used when `type` is 'ClusterIP'"));
        }
    }
    check_duplicates(&list, &mut causes);
    if let Some(ranges) = spec["loadBalancerSourceRanges"].as_array() {
        if kind(service) != "LoadBalancer" {
            let why = "may only be used when `type` is 'LoadBalancer'";
            causes.push(Cause::forbidden("spec.LoadBalancerSourceRanges", why));
        }
        for (at, range) in ranges.iter().enumerate() {
            let field = format!("spec.LoadBalancerSourceRanges[{at}]");
            causes.extend(names::range(&field, range.as_str().unwrap_or_default().trim()));
        }
    }
    check_load_balancer(service, old, &mut causes);
    causes
}

fn check_ports(list: &[Value], causes: &mut Vec<Cause>) {
    let mut seen = BTreeSet::new();
    for (at, port) in list.iter().enumerate() {
        let field = format!("spec.ports[{at}]");
        let name = text(port, "name");
        if name.is_empty() && list.len() > 1 {
            causes.push(Cause::required(format!("{field}.name"), ""));
        } else if !name.is_empty() {
            causes.extend(names::label(&format!("{field}.name"), name));
            if !seen.insert(name) {
                causes.push(Cause::duplicate(format!("{field}.name"), &json!(name)));
            }
        }
        if !(1..=65_535).contains(&port["port"].as_i64().unwrap_or_default()) {
            let why = "must be between 1 and 65535, inclusive";
            let number = json!(port["port"].as_i64().unwrap_or_default());
            causes.push(Cause::invalid(format!("{field}.port"), &number, why));
        }
        if !["SCTP", "TCP", "UDP"].contains(&text(port, "protocol")) {
            causes.push(Cause::unsupported(format!("{field}.protocol"), &port["protocol"], &["SCTP", "TCP", "UDP"]));
        }
        if let Some(number) = port["targetPort"].as_i64().filter(|number| !(1..=65_535).contains(number)) {
            let why = "must be between 1 and 65535, inclusive";
            causes.push(Cause::invalid(format!("{field}.targetPort"), &json!(number), why));
        }
    }
}

fn check_duplicates(list: &[Value], causes: &mut Vec<Cause>) {
    let mut seen = BTreeSet::new();
    for (at, port) in list.iter().enumerate() {
        let protocol = text(port, "protocol");
        if !seen.insert((protocol, port["port"].as_i64())) {
            // In the order of the Go type.
            let message = format!(
                "Duplicate value: {{\"Name\":\"\",\"Protocol\":\"{protocol}\",\"AppProtocol\":null,\"Port\":{},\
                 \"TargetPort\":0,\"NodePort\":0}}",
                port["port"]
            );
            causes.push(Cause { reason: "FieldValueDuplicate", field: format!("spec.ports[{at}]"), message });
        }
    }
}

fn check_load_balancer(service: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let spec = &service["spec"];
    let balanced = kind(service) == "LoadBalancer";
    let only = "may only be used when `type` is 'LoadBalancer'";
    if let Some(old) = old
        && kind(old) == "LoadBalancer"
        && balanced
        && old["spec"]["loadBalancerClass"] != spec["loadBalancerClass"]
    {
        causes.push(Cause::invalid("spec.loadBalancerClass", &spec["loadBalancerClass"], "may not change once set"));
    }
    if !balanced && !spec["allocateLoadBalancerNodePorts"].is_null() {
        causes.push(Cause::forbidden("spec.allocateLoadBalancerNodePorts", only));
    }
    if !balanced && !spec["loadBalancerClass"].is_null() {
        causes.push(Cause::forbidden("spec.loadBalancerClass", only));
    }
    let policy = text(spec, "externalTrafficPolicy");
    if !is_external(service) && !policy.is_empty() {
        let why = "may only be set for externally-accessible services";
        causes.push(Cause::invalid("spec.externalTrafficPolicy", &json!(policy), why));
    } else if is_external(service) && !["Cluster", "Local"].contains(&policy) {
        causes.push(Cause::unsupported("spec.externalTrafficPolicy", &json!(policy), &["Cluster", "Local"]));
    }
}

/// What is wrong with the status of a Service.
pub fn validate_status(service: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let ingress = service["status"]["loadBalancer"]["ingress"].as_array().cloned().unwrap_or_default();
    let field = "status.loadBalancer.ingress";
    if kind(service) != "LoadBalancer" && !ingress.is_empty() {
        causes.push(Cause::forbidden(field, "may only be used when `spec.type` is 'LoadBalancer'"));
        return causes;
    }
    for (at, entry) in ingress.iter().enumerate() {
        let address = text(entry, "ip");
        if !address.is_empty() && address.parse::<std::net::IpAddr>().is_err() {
            let why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
            causes.push(Cause::invalid(format!("{field}[{at}].ip"), &json!(address), why));
        }
        let mode = text(entry, "ipMode");
        if address.is_empty() && !mode.is_empty() {
            let why = "may not be specified when `ip` is not set";
            causes.push(Cause::forbidden(format!("{field}[{at}].ipMode"), why));
        } else if !mode.is_empty() && !["Proxy", "VIP"].contains(&mode) {
            causes.push(Cause::unsupported(format!("{field}[{at}].ipMode"), &json!(mode), &["Proxy", "VIP"]));
        }
    }
    causes
}
