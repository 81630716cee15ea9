//! The Lease of a world.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use crate::error::{Context, Result};
use crate::world::World;

/// The name of the replicas' Lease: the default of `--lease-name`.
pub const LEASE: &str = "external-ips";

impl World {
    /// The Leases of the test's namespace.
    pub fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Leaves a Lease as a replica does that ended in peace: the next one takes it at once, while the creator of a
    /// Lease has to wait for a leader that it might not know of.
    pub async fn released_lease(&self) -> Result<()> {
        let now = format!("{:.6}", Timestamp::now());
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": LEASE},
            "spec": {"holderIdentity": "", "leaseDurationSeconds": 1, "leaseTransitions": 0,
                     "acquireTime": now, "renewTime": now}
        });
        let patch = Patch::Apply(lease);
        self.leases()
            .patch(LEASE, &PatchParams::apply("test"), &patch)
            .await
            .map(drop)
            .context("leave a released Lease")
    }

    /// The holder that the Lease names; empty when nobody holds it.
    pub async fn lease_holder(&self) -> Result<String> {
        let lease = self.leases().get(LEASE).await?;
        Ok(lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default())
    }
}
