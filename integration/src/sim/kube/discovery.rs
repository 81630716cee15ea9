//! What is served: the answers that clients ask for before they ask for anything else. No schemas are published:
//! kubectl has those of the built-in kinds itself.

use serde_json::{Value, json};

use super::answer::Answer;
use super::kinds::{ALL, Resource};

/// The version that it says it is: the real one's of the contract suite.
const VERSION: (&str, &str, &str) = ("1", "37", "v1.37.2");

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Groups other than the core.
fn groups() -> Vec<&'static str> {
    let mut groups: Vec<&str> = ALL.into_iter().map(Resource::group).filter(|group| !group.is_empty()).collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}

fn of_group(group: &str) -> impl Iterator<Item = Resource> {
    ALL.into_iter().filter(move |resource| resource.group() == group)
}

fn categories(resource: Resource) -> &'static [&'static str] {
    if matches!(resource, Resource::Services | Resource::Pods) { &["all"] } else { &[] }
}

fn group(name: &str) -> Value {
    let version = json!({"groupVersion": format!("{name}/v1"), "version": "v1"});
    json!({"name": name, "versions": [version], "preferredVersion": version})
}

fn resources(group: &str) -> Value {
    let mut list = Vec::new();
    for resource in of_group(group) {
        let mut entry = json!({
            "name": resource.plural(), "singularName": resource.singular(), "namespaced": resource.namespaced(),
            "kind": resource.kind_name(), "verbs": resource.verbs(),
        });
        if !resource.short_names().is_empty() {
            entry["shortNames"] = json!(resource.short_names());
        }
        if !categories(resource).is_empty() {
            entry["categories"] = json!(categories(resource));
        }
        list.push(entry);
        if resource.has_status() {
            list.push(json!({
                "name": format!("{}/status", resource.plural()), "singularName": "",
                "namespaced": resource.namespaced(), "kind": resource.kind_name(), "verbs": ["get", "patch", "update"],
            }));
        }
    }
    let version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": list})
}

fn aggregated(groups: &[&str]) -> Value {
    let items = groups.iter().map(|group| {
        let resources = of_group(group).map(|resource| {
            let kind = json!({"group": group, "version": "v1", "kind": resource.kind_name()});
            let mut entry = json!({
                "resource": resource.plural(), "responseKind": kind, "singularResource": resource.singular(),
                "scope": if resource.namespaced() { "Namespaced" } else { "Cluster" }, "verbs": resource.verbs(),
            });
            if !resource.short_names().is_empty() {
                entry["shortNames"] = json!(resource.short_names());
            }
            if !categories(resource).is_empty() {
                entry["categories"] = json!(categories(resource));
            }
            if resource.has_status() {
                entry["subresources"] =
                    json!([{"subresource": "status", "responseKind": kind, "verbs": ["get", "patch", "update"]}]);
            }
            entry
        });
        let resources: Vec<Value> = resources.collect();
        let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
        json!({"metadata": metadata, "versions": [{"version": "v1", "resources": resources, "freshness": "Current"}]})
    });
    let items: Vec<Value> = items.collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

/// The operations of a group, with no more than what kubectl looks for: that fields are validated by the server.
fn operations(group: &str) -> Value {
    let mut paths = serde_json::Map::new();
    for resource in of_group(group).filter(|resource| resource.verbs().contains(&"patch")) {
        let base = if group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{group}/v1") };
        let scope = if resource.namespaced() { "/namespaces/{namespace}" } else { "" };
        let kind = json!({"group": group, "version": "v1", "kind": resource.kind_name()});
        let parameters = ["dryRun", "fieldManager", "fieldValidation", "force"]
            .map(|name| json!({"name": name, "in": "query", "schema": {"type": "string"}}));
        let patch = json!({
            "operationId": format!("patch{}", resource.kind_name()), "parameters": parameters,
            "x-kubernetes-action": "patch", "x-kubernetes-group-version-kind": kind,
            "responses": {"200": {"description": "OK"}},
        });
        paths.insert(format!("{base}{scope}/{}/{{name}}", resource.plural()), json!({"patch": patch}));
    }
    json!({"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": VERSION.2}, "paths": paths})
}

fn index() -> Value {
    let mut paths = serde_json::Map::new();
    let mut add = |path: String| {
        let url = format!("/openapi/v3/{path}?hash={}", VERSION.2);
        paths.insert(path, json!({"serverRelativeURL": url}));
    };
    add("api/v1".to_owned());
    groups().into_iter().for_each(|group| add(format!("apis/{group}/v1")));
    json!({"paths": paths})
}

/// Answers a path that is no resource's.
pub(super) fn answer(path: &str, accept: &str) -> Answer {
    let aggregates = accept.contains("as=APIGroupDiscoveryList") && accept.contains("v=v2;");
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let body = match segments.as_slice() {
        ["livez" | "readyz" | "healthz"] => return Answer::text(200, "ok"),
        ["version"] => {
            let (major, minor, version) = VERSION;
            json!({
                "major": major, "minor": minor, "gitVersion": version, "gitCommit": "", "gitTreeState": "clean",
                "buildDate": "", "goVersion": "", "compiler": "", "platform": "linux/amd64",
            })
        }
        ["api"] if aggregates => return Answer::of_kind(AGGREGATED, aggregated(&[""]).to_string()),
        ["apis"] if aggregates => return Answer::of_kind(AGGREGATED, aggregated(&groups()).to_string()),
        ["api"] => json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}),
        ["apis"] => {
            let groups: Vec<Value> = groups().into_iter().map(group).collect();
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        }
        ["api", "v1"] => resources(""),
        ["apis", name] if groups().contains(name) => {
            let mut group = group(name);
            group["kind"] = json!("APIGroup");
            group["apiVersion"] = json!("v1");
            group
        }
        ["apis", name, "v1"] if groups().contains(name) => resources(name),
        ["openapi", "v3"] => index(),
        ["openapi", "v3", "api", "v1"] => operations(""),
        ["openapi", "v3", "apis", name, "v1"] if groups().contains(name) => operations(name),
        _ => return Answer::text(404, "404 page not found\n"),
    };
    Answer::ok(200, body.to_string())
}
