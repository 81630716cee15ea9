//! Server-side apply, as the daemon uses it.

use super::kit::{APPLY, JSON, MERGE, Server};
use integration::Result;
use serde_json::{Value, json};

/// What the daemon applies to a Service.
fn publication(service: &Value, addresses: &[&str]) -> Value {
    let mut object = bare(service);
    object["metadata"]["annotations"] = json!({
        "external-ips.alpha.openfresh.github.io/assigned": addresses.join(","),
        "external-ips.alpha.openfresh.github.io/addresses": "203.0.113.1",
    });
    object["spec"] = json!({"externalIPs": addresses});
    object
}

fn bare(service: &Value) -> Value {
    let meta = &service["metadata"];
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]},
    })
}

pub async fn addresses_are_published_and_withdrawn(server: &Server) -> Result<()> {
    let made = server.make("web").await?;
    let path = server.path("services/web?fieldManager=external-ips&force=false");
    let ips = ["10.0.0.1", "10.0.0.2"];
    server.patch(APPLY, &format!("{path}&dryRun=All"), publication(&made, &ips)).await?;
    server.get(&server.path("services/web")).await?;
    server.patch(APPLY, &path, publication(&made, &ips)).await?;
    server.patch(APPLY, &path, publication(&made, &ips)).await?;
    server.patch(APPLY, &path, publication(&made, &ips[..1])).await?;
    let other = json!({"metadata": {"annotations": {"somebody": "else"}}});
    server.patch(MERGE, &server.path("services/web?fieldManager=other"), other).await?;
    server.patch(APPLY, &path, bare(&made)).await?;
    server.patch(APPLY, &path, bare(&made)).await?;
    let mut empty = bare(&made);
    empty["spec"] = json!({"externalIPs": []});
    server.patch(APPLY, &path, empty).await?;
    server.patch(APPLY, &path, bare(&made)).await?;
    Ok(())
}

pub async fn a_list_of_somebody_else_is_a_conflict(server: &Server) -> Result<()> {
    let made = server.make("web").await?;
    let path = server.path("services/web?fieldManager=external-ips");
    let theirs = json!({"spec": {"externalIPs": ["10.9.9.9"]}, "metadata": {"annotations": {
        "external-ips.alpha.openfresh.github.io/assigned": "theirs"}}});
    server.patch(MERGE, &server.path("services/web?fieldManager=kubectl-edit"), theirs).await?;
    server.patch(APPLY, &path, publication(&made, &["10.0.0.1"])).await?;
    server.patch(APPLY, &format!("{path}&dryRun=All"), publication(&made, &["10.0.0.1"])).await?;
    let mut one = bare(&made);
    one["spec"] = json!({"externalIPs": ["10.0.0.1"]});
    server.patch(APPLY, &path, one.clone()).await?;
    // The same value is no conflict: both own it then.
    one["spec"] = json!({"externalIPs": ["10.9.9.9"]});
    server.patch(APPLY, &path, one).await?;
    server.patch(APPLY, &path, bare(&made)).await?;
    server.patch(APPLY, &format!("{path}&force=true"), publication(&made, &["10.0.0.1"])).await?;
    let mut third = bare(&made);
    third["spec"] = json!({"externalIPs": ["10.7.7.7"]});
    server.patch(APPLY, &server.path("services/web?fieldManager=third"), third.clone()).await?;
    let lost = json!({"spec": {"externalIPs": ["10.8.8.8"]}});
    server.patch(MERGE, &server.path("services/web?fieldManager=kubectl-edit"), lost).await?;
    server.patch(APPLY, &path, bare(&made)).await?;
    Ok(())
}

pub async fn conditions_belong_to_their_type(server: &Server) -> Result<()> {
    let made = server.make("web").await?;
    let condition = |kind: &str, status: &str| {
        let mut object = bare(&made);
        object["status"] = json!({"conditions": [{
            "type": kind, "status": status, "reason": "Some", "message": "m",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }]});
        object
    };
    let ours = server.path("services/web/status?fieldManager=external-ips&force=false");
    let theirs = server.path("services/web/status?fieldManager=other");
    server.patch(APPLY, &ours, condition("a.example.org/Ready", "False")).await?;
    server.patch(APPLY, &theirs, condition("b.example.org/Ready", "True")).await?;
    server.patch(APPLY, &ours, condition("a.example.org/Ready", "True")).await?;
    server.patch(APPLY, &theirs, condition("a.example.org/Ready", "False")).await?;
    server
        .patch(APPLY, &server.path("services/web?fieldManager=external-ips"), publication(&made, &["10.0.0.1"]))
        .await?;
    server.patch(APPLY, &ours, bare(&made)).await?;
    server.patch(APPLY, &server.path("services/web?fieldManager=external-ips"), bare(&made)).await?;
    let mut incomplete = bare(&made);
    incomplete["status"] = json!({"conditions": [{"type": "C", "status": "True"}]});
    server.patch(APPLY, &ours, incomplete).await?;
    let mut ingress = bare(&made);
    ingress["status"] = json!({"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}});
    server.patch(APPLY, &ours, ingress).await?;
    Ok(())
}

pub async fn ports_are_merged_by_port_and_protocol(server: &Server) -> Result<()> {
    let made = server.make("web").await?;
    let with = |ports: Value| {
        let mut object = bare(&made);
        object["spec"] = json!({"ports": ports});
        object
    };
    let path = server.path("services/web?fieldManager=owner");
    server.patch(APPLY, &path, with(json!([{"port": 53, "name": "udp", "protocol": "UDP"}]))).await?;
    let two = json!([{"port": 53, "name": "udp", "protocol": "UDP"}, {"port": 53, "name": "tcp"}]);
    server.patch(APPLY, &path, with(two)).await?;
    server.patch(APPLY, &path, with(json!([{"port": 53, "name": "tcp", "targetPort": 5353}]))).await?;
    let mut labelled = bare(&made);
    labelled["metadata"]["labels"] = json!({"a": "b"});
    labelled["metadata"]["finalizers"] = json!(["a.example.org/f"]);
    labelled["spec"] = json!({"selector": {"app": "other"}});
    server.patch(APPLY, &server.path("services/web?fieldManager=labels&force=true"), labelled).await?;
    server.patch(APPLY, &server.path("services/web?fieldManager=labels"), bare(&made)).await?;
    Ok(())
}

pub async fn objects_are_created_by_apply(server: &Server) -> Result<()> {
    let path = server.path("services/web?fieldManager=owner");
    let object = server.service("web");
    server.patch(APPLY, &format!("{path}&dryRun=All"), object.clone()).await?;
    server.get(&server.path("services/web")).await?;
    server.patch(APPLY, &path, object.clone()).await?;
    server.patch(APPLY, &path, object.clone()).await?;
    let mut with_uid = object.clone();
    with_uid["metadata"]["name"] = json!("absent");
    with_uid["metadata"]["uid"] = json!("00000000-0000-4000-8000-000000000000");
    server.patch(APPLY, &server.path("services/absent?fieldManager=owner"), with_uid.clone()).await?;
    with_uid["metadata"]["name"] = json!("web");
    server.patch(APPLY, &path, with_uid).await?;
    let status = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "absent"}, "status": {}});
    server.patch(APPLY, &server.path("services/absent/status?fieldManager=owner"), status.clone()).await?;
    let mut status = status;
    status["metadata"]["uid"] = json!("00000000-0000-4000-8000-000000000000");
    server.patch(APPLY, &server.path("services/absent/status?fieldManager=owner"), status).await?;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "map"}, "data": {"a": "b"}});
    server.patch(APPLY, &server.path("configmaps/map?fieldManager=owner"), map.clone()).await?;
    let other = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "map"}, "data": {"c": "d"}});
    server.patch(APPLY, &server.path("configmaps/map?fieldManager=other"), other).await?;
    server
        .patch(
            APPLY,
            &server.path("configmaps/map?fieldManager=owner"),
            json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "map"}}),
        )
        .await?;
    Ok(())
}

pub async fn applies_that_are_refused(server: &Server) -> Result<()> {
    let made = server.make("web").await?;
    let path = server.path("services/web?fieldManager=owner");
    server.patch(APPLY, &server.path("services/web"), bare(&made)).await?;
    server.patch(APPLY, &path, json!({"metadata": {"name": "web"}})).await?;
    server.patch(APPLY, &path, json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}})).await?;
    let mut other = bare(&made);
    other["metadata"]["name"] = json!("other");
    server.patch(APPLY, &path, other).await?;
    let mut managed = bare(&made);
    managed["metadata"]["managedFields"] = made["metadata"]["managedFields"].clone();
    server.patch(APPLY, &path, managed).await?;
    let mut versioned = bare(&made);
    versioned["metadata"]["resourceVersion"] = json!("1");
    server.patch(APPLY, &path, versioned).await?;
    let mut bad = bare(&made);
    bad["spec"] = json!({"externalIPs": ["127.0.0.1"]});
    server.patch(APPLY, &path, bad).await?;
    let yaml = "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  annotations:\n    from: yaml\n";
    server.patch(APPLY, &path, json!(yaml)).await?;
    Ok(())
}

pub async fn a_claim_is_struck_out_of_the_managed_fields(server: &Server) -> Result<()> {
    let made = server.make("web").await?;
    let path = server.path("services/web?fieldManager=external-ips");
    let list = json!({"spec": {"externalIPs": ["10.0.0.1"]}});
    server.patch(MERGE, &path, list).await?;
    let taken = server.patch(APPLY, &format!("{path}&force=true"), publication(&made, &["10.0.0.1"])).await?;
    let entries = taken["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let claims = |entry: &Value| entry["operation"] == "Update" && entry["manager"] == "external-ips";
    let index = entries.iter().position(claims).unwrap_or(99);
    let operations = json!([
        {"op": "test", "path": "/metadata/uid", "value": made["metadata"]["uid"]},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": taken["metadata"]["resourceVersion"]},
        {"op": "remove", "path": format!("/metadata/managedFields/{index}/fieldsV1/f:spec/f:externalIPs")},
    ]);
    let answer =
        |value: Value| async move { server.patch(JSON, &server.path("services/web?fieldManager=x"), value).await };
    answer(operations.clone()).await?;
    answer(operations).await?;
    server.patch(APPLY, &path, bare(&made)).await?;
    server.patch(MERGE, &path, json!({"metadata": {"managedFields": [{}]}})).await?;
    server.patch(APPLY, &path, publication(&made, &["10.0.0.3"])).await?;
    server.patch(APPLY, &path, bare(&made)).await?;
    Ok(())
}
