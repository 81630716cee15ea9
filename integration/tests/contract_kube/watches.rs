//! Watches.

use super::kit::{APPLY, MERGE, Server};
use integration::Result;
use serde_json::{Value, json};

async fn version(server: &Server) -> Result<String> {
    let list = server.get(&server.path("services")).await?;
    Ok(list["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned())
}

pub async fn watches_tell_what_changes(server: &Server) -> Result<()> {
    let version = version(server).await?;
    let base = server.path(&format!("services?watch=true&resourceVersion={version}&timeoutSeconds=20"));
    let note =
        |annotation: &str| json!({"metadata": {"annotations": {"a": annotation}, "labels": {"kept": annotation}}});
    let mut all = server.watch(&base).await?;
    let mut one = server.watch(&format!("{base}&fieldSelector=metadata.name%3Dweb")).await?;
    let mut kept = server.watch(&format!("{base}&labelSelector=kept%3Dyes")).await?;
    server.make("other").await?;
    server.make("web").await?;
    let path = server.path("services/web?fieldManager=other");
    server.patch(MERGE, &path, note("yes")).await?;
    server.patch(MERGE, &path, note("yes")).await?;
    server.patch(MERGE, &path, note("no")).await?;
    server.delete(&server.path("services/web"), Value::Null).await?;
    all.events(5).await?;
    one.events(4).await?;
    kept.events(2).await?;
    // From the past.
    let mut again = server.watch(&base).await?;
    again.events(5).await?;
    let mut short = server.watch(&base.replace("timeoutSeconds=20", "timeoutSeconds=1")).await?;
    short.events(6).await?;
    Ok(())
}

pub async fn watches_that_are_refused(server: &Server) -> Result<()> {
    server.make("web").await?;
    let path = server.path("services?watch=true&timeoutSeconds=2");
    server.watch(&format!("{path}&resourceVersion=1")).await?.events(2).await?;
    server.watch(&format!("{path}&resourceVersion=nonsense")).await?;
    server.watch(&format!("{path}&resourceVersion=0&resourceVersionMatch=NotOlderThan")).await?;
    server.watch(&format!("{path}&sendInitialEvents=true")).await?;
    server.watch(&format!("{path}&fieldSelector=spec.nothing%3Da")).await?;
    server.watch(&server.path("nonsense?watch=true")).await?;
    Ok(())
}

pub async fn initial_events_and_bookmarks(server: &Server) -> Result<()> {
    let made = server.make("web").await?;
    server.make("other").await?;
    let path = server.path("services?watch=true&timeoutSeconds=3");
    server.watch(&path).await?.events(3).await?;
    server.watch(&format!("{path}&resourceVersion=0")).await?.events(3).await?;
    let streaming = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    server.watch(&format!("{path}&{streaming}")).await?.events(3).await?;
    let mut open = server.watch(&format!("{path}&{streaming}&resourceVersion=0")).await?;
    open.events(3).await?;
    let object = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "uid": made["metadata"]["uid"]}, "spec": {"externalIPs": ["10.0.0.1"]},
    });
    server.patch(APPLY, &server.path("services/web?fieldManager=external-ips"), object).await?;
    open.events(1).await?;
    Ok(())
}
