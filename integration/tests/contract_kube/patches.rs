//! Patches that aren't server-side apply.

use super::kit::{JSON, MERGE, PLAIN, STRATEGIC, Server};
use integration::Result;
use serde_json::{Value, json};

pub async fn merge_patches(server: &Server) -> Result<()> {
    server.make("web").await?;
    let path = server.path("services/web?fieldManager=other");
    let annotate = |value: Value| json!({"metadata": {"annotations": {"a.example.org/b": value}}});
    server.patch(MERGE, &path, annotate(json!("c"))).await?;
    server.patch(MERGE, &path, annotate(json!("c"))).await?;
    server.patch(MERGE, &path, annotate(json!("d"))).await?;
    server.patch(MERGE, &path, annotate(Value::Null)).await?;
    server.patch(MERGE, &path, annotate(json!(7))).await?;
    server
        .patch(MERGE, &path, json!({"metadata": {"labels": {"x": "y"}}, "spec": {"externalIPs": ["10.0.0.1"]}}))
        .await?;
    server.patch(MERGE, &path, json!({"spec": {"ports": [{"port": 54, "protocol": "UDP"}]}})).await?;
    server.patch(MERGE, &path, json!({"spec": {"ports": [{"port": "a"}]}})).await?;
    server.patch(MERGE, &path, json!({"spec": {"ports": null}})).await?;
    server.patch(MERGE, &path, json!({"status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}})).await?;
    server.patch(MERGE, &path, json!({})).await?;
    server.patch(MERGE, &format!("{path}&dryRun=All"), annotate(json!("dry"))).await?;
    server.patch(MERGE, &server.path("services/nothing"), annotate(json!("c"))).await?;
    server.patch(PLAIN, &path, annotate(json!("c"))).await?;
    server.patch(MERGE, &server.path("services/web"), annotate(json!("by agent"))).await?;
    server.get(&server.path("services/web")).await?;
    Ok(())
}

pub async fn strategic_patches(server: &Server) -> Result<()> {
    server.make("web").await?;
    let path = server.path("services/web?fieldManager=other");
    let ports = |list: Value| json!({"spec": {"ports": list}});
    server.patch(STRATEGIC, &path, ports(json!([{"port": 53, "name": "dns"}]))).await?;
    server.patch(STRATEGIC, &path, ports(json!([{"port": 80, "name": "http"}]))).await?;
    server.patch(STRATEGIC, &path, ports(json!([{"port": 53, "$patch": "delete"}]))).await?;
    let ordered = json!({"spec": {
        "$setElementOrder/ports": [{"port": 443}, {"port": 80}],
        "ports": [{"port": 443, "name": "https"}],
    }});
    server.patch(STRATEGIC, &path, ordered).await?;
    server.patch(STRATEGIC, &path, ports(json!([{"$patch": "replace"}, {"port": 1, "name": "one"}]))).await?;
    server.patch(STRATEGIC, &path, json!({"metadata": {"annotations": {"a": "b", "c": null}}})).await?;
    server.patch(STRATEGIC, &path, json!({"spec": {"externalIPs": ["10.0.0.1"], "selector": {"more": "x"}}})).await?;
    server.patch(STRATEGIC, &path, json!({"metadata": {"finalizers": ["a.example.org/f"]}})).await?;
    server
        .patch(STRATEGIC, &path, json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a.example.org/f"]}}))
        .await?;
    let condition = |kind: &str, status: &str| {
        json!({"type": kind, "status": status, "reason": "Some", "message": "m",
            "lastTransitionTime": "2026-01-01T00:00:00Z"})
    };
    let path = server.path("services/web/status?fieldManager=other");
    let conditions = |list: Value| json!({"status": {"conditions": list}});
    server.patch(STRATEGIC, &path, conditions(json!([condition("A", "True")]))).await?;
    server.patch(STRATEGIC, &path, conditions(json!([condition("B", "True"), condition("A", "False")]))).await?;
    Ok(())
}

pub async fn json_patches(server: &Server) -> Result<()> {
    let made = server.make("web").await?;
    let path = server.path("services/web?fieldManager=other");
    let run = async |operations: Value| server.patch(JSON, &path, operations).await;
    run(json!([{"op": "add", "path": "/metadata/annotations", "value": {"a": "b"}}])).await?;
    run(json!([{"op": "replace", "path": "/metadata/annotations/a", "value": "c"}])).await?;
    run(json!([{"op": "add", "path": "/metadata/annotations/x.example.org~1y", "value": "z"}])).await?;
    run(json!([{"op": "test", "path": "/metadata/uid", "value": "wrong"}])).await?;
    run(json!([
        {"op": "test", "path": "/metadata/uid", "value": made["metadata"]["uid"]},
        {"op": "remove", "path": "/metadata/annotations/a"},
    ]))
    .await?;
    run(json!([{"op": "remove", "path": "/metadata/annotations/a"}])).await?;
    run(json!([{"op": "replace", "path": "/spec/nothing/at/all", "value": 1}])).await?;
    run(json!([{"op": "add", "path": "/spec/ports/-", "value": {"port": 80, "name": "b"}}])).await?;
    run(json!([
        {"op": "add", "path": "/spec/ports/0/name", "value": "a"},
        {"op": "add", "path": "/spec/ports/-", "value": {"port": 80, "name": "b"}},
    ]))
    .await?;
    run(json!([{"op": "move", "from": "/spec/ports/0", "path": "/spec/ports/1"}])).await?;
    run(json!([{"op": "copy", "from": "/metadata/name", "path": "/metadata/annotations/copied"}])).await?;
    run(json!([{"op": "replace", "path": "/metadata/resourceVersion", "value": "1"}])).await?;
    let current = server.get(&server.path("services/web")).await?;
    run(json!([
        {"op": "replace", "path": "/metadata/resourceVersion", "value": current["metadata"]["resourceVersion"]},
        {"op": "add", "path": "/metadata/annotations/locked", "value": "yes"},
    ]))
    .await?;
    server.patch(JSON, &server.path("services/nothing"), json!([])).await?;
    Ok(())
}

pub async fn patches_with_versions_and_uids(server: &Server) -> Result<()> {
    let made = server.make("web").await?;
    let path = server.path("services/web?fieldManager=other");
    let with = |name: &str, value: Value| json!({"metadata": {name: value, "annotations": {"a": "b"}}});
    server.patch(MERGE, &path, with("resourceVersion", json!("1"))).await?;
    server.patch(MERGE, &path, with("resourceVersion", json!("nonsense"))).await?;
    server.patch(MERGE, &path, with("uid", json!("00000000-0000-4000-8000-000000000000"))).await?;
    server.patch(MERGE, &path, with("resourceVersion", made["metadata"]["resourceVersion"].clone())).await?;
    server.patch(MERGE, &path, with("resourceVersion", made["metadata"]["resourceVersion"].clone())).await?;
    server.patch(MERGE, &path, with("name", json!("other"))).await?;
    server.patch(MERGE, &path, with("namespace", json!("other"))).await?;
    server.patch(MERGE, &path, with("creationTimestamp", json!("2020-01-01T00:00:00Z"))).await?;
    Ok(())
}
