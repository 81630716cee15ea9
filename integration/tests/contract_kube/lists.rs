//! Lists.

use super::kit::Server;
use integration::Result;
use serde_json::json;

async fn furnish(server: &Server) -> Result<()> {
    for (name, app) in [("a", "one"), ("b", "two"), ("c", "one"), ("d", "three")] {
        let mut service = server.service(name);
        service["metadata"]["labels"] = json!({"app": app, name: "yes"});
        server.post(&server.path("services?fieldManager=maker"), service).await?;
    }
    Ok(())
}

pub async fn pages_and_selectors(server: &Server) -> Result<()> {
    furnish(server).await?;
    let list = async |query: &str| server.get(&server.path(&format!("services?{query}"))).await;
    let first = list("limit=2").await?;
    let token = first["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
    // A page is of the moment of the first one.
    server.delete(&server.path("services/c"), json!({})).await?;
    server.post(&server.path("services?fieldManager=maker"), server.service("cc")).await?;
    let escaped: String = form_urlencoded::byte_serialize(token.as_bytes()).collect();
    let next = server.get(&server.path(&format!("services?limit=2&continue={escaped}"))).await;
    next?;
    list("limit=500").await?;
    list("labelSelector=app%3Done").await?;
    list("labelSelector=app%20in%20(one,two)").await?;
    list("labelSelector=app%20notin%20(one,two)").await?;
    list("labelSelector=app!%3Done,!b").await?;
    list("labelSelector=a").await?;
    list("labelSelector=%21a").await?;
    list("fieldSelector=metadata.name%3Da").await?;
    list("fieldSelector=metadata.name!%3Da,metadata.namespace%3Dnowhere").await?;
    list("limit=1&labelSelector=app").await?;
    server.get("/api/v1/namespaces/nowhere/services").await?;
    server.get(&server.path("nonsense")).await?;
    server.get("/apis/example.org/v1/things").await?;
    Ok(())
}

pub async fn versions_of_lists(server: &Server) -> Result<()> {
    furnish(server).await?;
    let list = async |query: &str| server.get(&server.path(&format!("services?{query}"))).await;
    let now = list("").await?;
    let version = now["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
    server.delete(&server.path("services/a"), json!({})).await?;
    list(&format!("resourceVersion={version}&resourceVersionMatch=Exact")).await?;
    list(&format!("resourceVersion={version}&limit=1")).await?;
    list(&format!("resourceVersion={version}&resourceVersionMatch=NotOlderThan&limit=1")).await?;
    list("resourceVersionMatch=Exact").await?;
    list("resourceVersion=0&resourceVersionMatch=Exact").await?;
    list("resourceVersion=nonsense").await?;
    list("sendInitialEvents=true").await?;
    Ok(())
}
