//! The Lease of a world.

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, PostParams};
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

    /// Creates the daemon's Lease as one that was given up, unless there is one: the first daemon takes it at once,
    /// while the creator of a Lease has to wait for a leader that it might not know of.
    pub async fn released_lease(&self) -> Result<()> {
        let released = serde_json::from_value(json!({
            "metadata": {"name": LEASE},
            // The time is nobody's to judge by: clocks differ.
            "spec": {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": "2026-01-01T00:00:00.000000Z"}
        }))?;
        match self.leases().create(&PostParams::default(), &released).await {
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            created => created.map(drop).context("create the Lease"),
        }
    }

    /// The holder that the Lease names; empty when nobody holds it.
    pub async fn lease_holder(&self) -> Result<String> {
        let lease = self.leases().get(LEASE).await?;
        Ok(lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default())
    }
}
