//! Kubeconfig files and clients for a token.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

use crate::error::{Context, Result};

/// A client of `server`, which must be an API server with the given certificate.
pub(super) async fn client(server: &str, certificate: &Path, token: Option<&str>) -> Result<Client> {
    let kubeconfig: Kubeconfig = serde_json::from_value(content(server, certificate, token))?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.connect_timeout = Some(Duration::from_secs(10));
    // What goes wrong is to be seen as it is.
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

/// Writes a kubeconfig file of its own; JSON is YAML too.
pub(super) fn write(directory: &Path, server: &str, certificate: &Path, token: &str) -> Result<PathBuf> {
    let path = directory.join(format!("kubeconfig-{}", crate::unique()));
    let content = serde_json::to_vec_pretty(&content(server, certificate, Some(token)))?;
    std::fs::write(&path, content).context(format!("write {}", path.display()))?;
    Ok(path)
}

fn content(server: &str, certificate: &Path, token: Option<&str>) -> Value {
    let mut cluster = json!({"server": server});
    if server.starts_with("https:") {
        crate::set(&mut cluster, "certificate-authority", json!(certificate));
    }
    let user = match token {
        Some(token) => json!({"token": token}),
        None => json!({}),
    };
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    })
}
