//! Deletions.

use super::kit::{MERGE, Server};
use integration::Result;
use serde_json::{Value, json};

pub async fn deletions_and_their_conditions(server: &Server) -> Result<()> {
    let made = server.make("web").await?;
    let path = server.path("services/web");
    server.delete(&path, json!({"preconditions": {"uid": "00000000-0000-4000-8000-000000000000"}})).await?;
    server.delete(&path, json!({"preconditions": {"resourceVersion": "1"}})).await?;
    server.delete(&path, json!({"dryRun": ["All"]})).await?;
    server.delete(&format!("{path}?dryRun=All"), Value::Null).await?;
    server.get(&path).await?;
    let options = json!({
        "kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background",
        "preconditions": {"uid": made["metadata"]["uid"], "resourceVersion": made["metadata"]["resourceVersion"]},
    });
    server.delete(&path, options).await?;
    server.delete(&path, Value::Null).await?;
    server.make("a").await?;
    server.make("b").await?;
    server.delete(&server.path("services"), Value::Null).await?;
    server.get(&server.path("services")).await?;
    for (plural, kind) in [("configmaps", "ConfigMap")] {
        let path = server.path(plural);
        server
            .post(
                &format!("{path}?fieldManager=a"),
                json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "m"}}),
            )
            .await?;
        server.delete(&format!("{path}/m"), json!({})).await?;
    }
    Ok(())
}

pub async fn finalizers_hold_an_object(server: &Server) -> Result<()> {
    let mut service = server.service("web");
    service["metadata"]["finalizers"] = json!(["a.example.org/f"]);
    server.post(&server.path("services?fieldManager=maker"), service).await?;
    let path = server.path("services/web?fieldManager=other");
    server.delete(&server.path("services/web"), json!({})).await?;
    server.delete(&server.path("services/web"), json!({})).await?;
    server.patch(MERGE, &path, json!({"metadata": {"annotations": {"still": "here"}}})).await?;
    server.patch(MERGE, &path, json!({"metadata": {"finalizers": null}})).await?;
    server.get(&server.path("services/web")).await?;
    Ok(())
}
