//! Leases.

use super::kit::{APPLY, MERGE, Server};
use integration::Result;
use serde_json::{Value, json};

fn lease(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}, "spec": spec})
}

fn held(holder: &str) -> Value {
    json!({
        "holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 1,
        "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": "2026-01-01T00:00:00.123456Z",
    })
}

pub async fn a_lease_is_locked_by_its_version(server: &Server) -> Result<()> {
    let all = server.group_path("coordination.k8s.io/v1", "leases");
    let path = format!("{all}/l");
    server.get(&path).await?;
    let made = server.post(&format!("{all}?fieldManager=one"), lease("l", held("one"))).await?;
    server.post(&all, lease("l", held("two"))).await?;
    let version = made["metadata"]["resourceVersion"].clone();
    let change =
        |version: &Value, holder: &str| json!({"metadata": {"resourceVersion": version}, "spec": held(holder)});
    let watch = format!(
        "{all}?watch=true&fieldSelector=metadata.name%3Dl&resourceVersion={}&timeoutSeconds=5",
        version.as_str().unwrap_or_default()
    );
    let mut watch = server.watch(&watch).await?;
    server.patch(MERGE, &format!("{path}?fieldManager=two"), change(&version, "two")).await?;
    server.patch(MERGE, &format!("{path}?fieldManager=three"), change(&version, "three")).await?;
    server.patch(MERGE, &path, change(&json!(""), "none")).await?;
    server.patch(MERGE, &format!("{path}?fieldManager=two"), json!({"spec": {"holderIdentity": ""}})).await?;
    server.put(&path, lease("l", held("four"))).await?;
    let mut current = server.get(&path).await?;
    current["spec"]["holderIdentity"] = json!("four");
    server.put(&format!("{path}?fieldManager=four"), current.clone()).await?;
    server.put(&format!("{path}?fieldManager=four"), current).await?;
    server.put(&format!("{all}/new?fieldManager=four"), lease("new", held("four"))).await?;
    server
        .patch(MERGE, &format!("{path}?fieldManager=two"), json!({"spec": {"holderIdentity": null, "renewTime": null}}))
        .await?;
    watch.events(4).await?;
    let applied = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"},
        "spec": {"holderIdentity": "applied"}});
    server.patch(APPLY, &format!("{path}?fieldManager=five"), applied).await?;
    server.delete(&path, json!({})).await?;
    server.get(&path).await?;
    server.patch(MERGE, &path, change(&version, "two")).await?;
    watch.events(2).await?;
    Ok(())
}

pub async fn bad_leases_are_refused(server: &Server) -> Result<()> {
    let all = server.group_path("coordination.k8s.io/v1", "leases");
    server.post(&all, lease("l", json!({"leaseDurationSeconds": 0}))).await?;
    server.post(&all, lease("l", json!({"leaseTransitions": -1, "leaseDurationSeconds": -5}))).await?;
    server.post(&all, lease("UPPER", held("a"))).await?;
    server.post(&all, lease("empty", json!({}))).await?;
    server.get(&all).await?;
    Ok(())
}
