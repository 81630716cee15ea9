//! The harness itself: what the other tests stand on.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use integration::{Result, shared};
use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, PostParams};
use serde_json::json;

#[tokio::test]
async fn the_real_api_server_takes_a_service() -> Result<()> {
    let control_plane = shared::control_plane().await?;
    let services: Api<Service> = Api::namespaced(control_plane.admin().await?, "default");
    let service = serde_json::from_value(json!({
        "metadata": {"name": "takes-a-service"},
        "spec": {"ports": [{"port": 53, "protocol": "UDP"}]}
    }))?;
    let created = services.create(&PostParams::default(), &service).await?;
    assert!(created.spec.unwrap().cluster_ip.unwrap().starts_with("10.96."));
    Ok(())
}

#[tokio::test]
async fn kubectl_says_the_version_of_the_servers() -> Result<()> {
    let control_plane = shared::control_plane().await?;
    let versions = control_plane.kubectl(&["version", "--output=json"]).await?;
    assert_eq!(versions.matches("\"gitVersion\": \"v1.37.2\"").count(), 2, "{versions}");
    Ok(())
}
