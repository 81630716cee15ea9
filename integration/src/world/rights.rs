//! The rights of the daemon's ServiceAccount, taken from `deploy/base`, so that a permission missing there fails a
//! test.

use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use crate::control_plane::ControlPlane;
use crate::error::{Context, Result, fail};

/// The namespace and the name of the daemon's ServiceAccount in `deploy/base`.
const SERVICE_ACCOUNT: (&str, &str) = ("external-ips", "external-ips");

/// A token of the daemon's ServiceAccount.
pub(super) async fn daemon_token(control_plane: &ControlPlane) -> Result<String> {
    let (namespace, name) = SERVICE_ACCOUNT;
    control_plane.service_account_token(namespace, name).await
}

/// Grants the ServiceAccount its Lease in `namespace`: the Role and the RoleBinding of `deploy/base/rbac.yaml` there,
/// as that file tells people to do for another Lease namespace.
pub(super) async fn grant_lease(client: &Client, namespace: &str) -> Result<()> {
    let path = crate::repository().join("deploy/base/rbac.yaml");
    let text = std::fs::read_to_string(&path).context(format!("read {}", path.display()))?;
    let parameters = PatchParams::apply("test").force();
    let mut granted = 0;
    for mut object in serde_saphyr::from_multiple::<Value>(&text)? {
        if let Some(metadata) = object.get_mut("metadata") {
            crate::set(metadata, "namespace", json!(namespace));
        }
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (kind, name) = (text("/kind"), text("/metadata/name"));
        let patch = Patch::Apply(&object);
        match kind.as_str() {
            "Role" => {
                Api::<Role>::namespaced(client.clone(), namespace).patch(&name, &parameters, &patch).await?;
            }
            "RoleBinding" => {
                Api::<RoleBinding>::namespaced(client.clone(), namespace).patch(&name, &parameters, &patch).await?;
            }
            _ => continue,
        }
        granted += 1;
    }
    if granted < 2 {
        return fail(format!("{} has no Role and RoleBinding for the Lease", path.display()));
    }
    Ok(())
}
