//! Permissions.

use super::kit::{APPLY, JSON, MERGE, PLAIN, Server};
use integration::Result;
use serde_json::{Value, json};

pub async fn the_daemon_may_do_what_deploy_grants(server: &Server) -> Result<()> {
    server.make("web").await?;
    let none = Value::Null;
    let web = server.path("services/web");
    server.daemon("GET", &web, PLAIN, none.clone()).await?;
    server.daemon("DELETE", &web, PLAIN, none.clone()).await?;
    server.daemon("POST", &server.path("services"), PLAIN, server.service("new")).await?;
    server.daemon("PUT", &web, PLAIN, server.service("web")).await?;
    server.daemon("PUT", &format!("{web}/status"), PLAIN, server.service("web")).await?;
    server.daemon("DELETE", &server.path("services"), PLAIN, none.clone()).await?;
    server.daemon("GET", &server.path("configmaps"), PLAIN, none.clone()).await?;
    server.daemon("GET", "/api/v1/configmaps", PLAIN, none.clone()).await?;
    server.daemon("GET", "/api/v1/nodes/none", PLAIN, none.clone()).await?;
    server.daemon("GET", &format!("/api/v1/namespaces/{}", server.namespace), PLAIN, none.clone()).await?;
    let patch = json!({"metadata": {"annotations": {"a": "b"}}});
    server.daemon("PATCH", &format!("{web}?fieldManager=external-ips"), MERGE, patch.clone()).await?;
    server.daemon("PATCH", "/api/v1/nodes/none", MERGE, patch).await?;
    // An apply may not create.
    let new = server.service("new");
    server.daemon("PATCH", &server.path("services/new?fieldManager=external-ips"), APPLY, new).await?;
    let leases = "/apis/coordination.k8s.io/v1/namespaces/external-ips/leases";
    server.daemon("GET", &format!("{leases}/other"), PLAIN, none.clone()).await?;
    server.daemon("GET", leases, PLAIN, none.clone()).await?;
    server.daemon("DELETE", &format!("{leases}/external-ips"), PLAIN, none.clone()).await?;
    let elsewhere = server.group_path("coordination.k8s.io/v1", "leases");
    server.daemon("GET", &format!("{elsewhere}/external-ips"), PLAIN, none.clone()).await?;
    let events = server.group_path("events.k8s.io/v1", "events");
    server.daemon("GET", &events, PLAIN, none.clone()).await?;
    server.daemon("POST", &server.path("events"), PLAIN, json!({})).await?;
    for (verb, group, resource, name) in [
        ("patch", "", "services", ""),
        ("delete", "", "services", ""),
        ("watch", "", "nodes", ""),
        ("get", "coordination.k8s.io", "leases", "external-ips"),
        ("get", "coordination.k8s.io", "leases", "other"),
    ] {
        let attributes =
            json!({"namespace": "external-ips", "verb": verb, "group": group, "resource": resource, "name": name});
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        });
        let answer = server.daemon_quietly("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review).await?;
        server.note(&format!("may {verb} {resource} {name}"), 201, &answer["status"]["allowed"]);
    }
    let test = json!([{"op": "test", "path": "/metadata/uid", "value": "x"}]);
    server.daemon("PATCH", &server.path("services/web?fieldManager=external-ips"), JSON, test).await?;
    Ok(())
}
