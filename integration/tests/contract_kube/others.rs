//! Nodes, Events and what else there is.

use super::kit::{MERGE, STRATEGIC, Server};
use integration::Result;
use serde_json::{Value, json};

pub async fn nodes(server: &Server) -> Result<()> {
    let all = "/api/v1/nodes";
    let path = "/api/v1/nodes/contract-n1";
    let node =
        json!({"metadata": {"name": "contract-n1", "labels": {"zone": "a"}}, "spec": {"providerID": "aws:///a/i-1"}});
    server.post(&format!("{all}?fieldManager=kubelet"), node).await?;
    let ready = json!({"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "m",
        "lastHeartbeatTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let status = format!("{path}/status?fieldManager=kubelet");
    server.patch(STRATEGIC, &status, json!({"status": {"conditions": [ready]}})).await?;
    let addresses = json!([{"type": "InternalIP", "address": "10.0.0.1"}, {"type": "Hostname", "address": "n1"}]);
    server.patch(STRATEGIC, &status, json!({"status": {"addresses": addresses}})).await?;
    let replaced = json!([{"$patch": "replace"}, {"type": "ExternalIP", "address": "203.0.113.1"}]);
    server.patch(STRATEGIC, &status, json!({"status": {"addresses": replaced}})).await?;
    let path_by = format!("{path}?fieldManager=other");
    server.patch(MERGE, &path_by, json!({"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}})).await?;
    server.patch(MERGE, &path_by, json!({"spec": {"taints": [{"key": "a", "effect": "Sometimes"}]}})).await?;
    server.patch(MERGE, &path_by, json!({"spec": {"unschedulable": true, "taints": null}})).await?;
    server.patch(MERGE, &path_by, json!({"spec": {"providerID": "aws:///a/i-2"}})).await?;
    server.patch(MERGE, &path_by, json!({"metadata": {"labels": {"zone": null, "more": "x"}}})).await?;
    server.get(&format!("{all}?labelSelector=more%3Dx")).await?;
    server.get(&format!("{all}?fieldSelector=spec.unschedulable%3Dtrue,metadata.name%3Dcontract-n1")).await?;
    server.delete(path, json!({})).await?;
    server.get(path).await?;
    Ok(())
}

pub async fn events(server: &Server) -> Result<()> {
    let service = server.make("web").await?;
    let all = server.group_path("events.k8s.io/v1", "events");
    let event = |name: &str, change: Value| {
        let mut event = json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event",
            "metadata": {"name": name, "namespace": server.namespace},
            "eventTime": "2026-01-01T00:00:00.123456Z", "reportingController": "a.example.org/controller",
            "reportingInstance": "one", "action": "Sync", "reason": "Synced", "note": "all is well", "type": "Normal",
            "regarding": {"apiVersion": "v1", "kind": "Service", "namespace": server.namespace, "name": "web",
                "uid": service["metadata"]["uid"]},
        });
        for (name, value) in change.as_object().into_iter().flatten() {
            event[name] = value.clone();
        }
        event
    };
    server.post(&format!("{all}?fieldManager=a"), event("web.1", json!({}))).await?;
    server.get(&format!("{all}/web.1")).await?;
    server.get(&server.path("events/web.1")).await?;
    server.post(&all, event("web.1", json!({}))).await?;
    server.post(&all, event("web.2", json!({"type": "Other"}))).await?;
    server.post(&all, event("web.2", json!({"reason": ""}))).await?;
    server.post(&all, event("web.2", json!({"note": "x".repeat(1025)}))).await?;
    server.post(&all, event("web.2", json!({"eventTime": null}))).await?;
    server.post(&all, event("web.2", json!({"regarding": {"namespace": "elsewhere"}}))).await?;
    let uid = service["metadata"]["uid"].as_str().unwrap_or_default();
    let selector = format!("fieldSelector=involvedObject.uid%3D{uid},involvedObject.name%3Dweb");
    server.get(&server.path(&format!("events?{selector}"))).await?;
    server.get(&server.path("events?fieldSelector=involvedObject.name%3Dnone")).await?;
    let core = json!({
        "metadata": {"name": "old.1"}, "reason": "Old", "message": "m", "type": "Warning", "count": 2,
        "involvedObject": {"kind": "Service", "namespace": server.namespace, "name": "web"},
        "source": {"component": "c"}, "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z",
    });
    server.post(&server.path("events?fieldManager=a"), core).await?;
    server.get(&format!("{all}/old.1")).await?;
    Ok(())
}

pub async fn other_kinds(server: &Server) -> Result<()> {
    let path = server.path("configmaps");
    server
        .post(&format!("{path}?fieldManager=a"), json!({"metadata": {"name": "m"}, "data": {"mode": "ipvs"}}))
        .await?;
    server.patch(MERGE, &format!("{path}/m?fieldManager=b"), json!({"data": {"mode": "nftables"}})).await?;
    server.post(&path, json!({"metadata": {"name": "BAD"}})).await?;
    let slices = server.group_path("discovery.k8s.io/v1", "endpointslices");
    let slice = json!({
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}}, "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.1.1"], "nodeName": "n1", "conditions": {"ready": true}}],
        "ports": [{"name": "a", "port": 53, "protocol": "UDP"}],
    });
    server.post(&format!("{slices}?fieldManager=a"), slice).await?;
    server.get(&format!("{slices}?labelSelector=kubernetes.io/service-name%3Dweb")).await?;
    server.get(&format!("/api/v1/namespaces/{}", server.namespace)).await?;
    server.get("/api/v1/namespaces/nowhere").await?;
    server.nobody("GET", "/api/v1/nodes").await?;
    Ok(())
}
