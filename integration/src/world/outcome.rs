//! Waiting for what the daemon brings about.

use k8s_openapi::api::core::v1::Service;

use crate::daemon::Daemon;
use crate::error::Result;
use crate::eventually::eventually;
use crate::world::{World, condition};

impl World {
    /// Starts a daemon that leads at once, unless another one holds the Lease.
    pub async fn start(&self, name: &str) -> Result<Daemon> {
        self.released_lease().await?;
        self.daemon(name).await?.start().await
    }

    /// Waits (at most 30 s) until a Service's condition gives this reason; returns the Service.
    pub async fn told(&self, service: &str, reason: &str) -> Result<Service> {
        let what = format!("{service} is told {reason}");
        let is_told = |service: &Service| condition(service).is_some_and(|condition| condition.reason == reason);
        eventually(what, || self.service(service), is_told).await
    }

    /// Waits (at most 30 s) until a Service is served as it asks; returns it.
    pub async fn synced(&self, service: &str) -> Result<Service> {
        self.told(service, "Synced").await
    }

    /// Waits (at most 30 s) until AWS holds nothing of the daemon's: no group, no record, nothing on an interface.
    pub async fn nothing_left(&self) -> Result<()> {
        let look = || async {
            let groups = self.owned_groups().await?;
            Ok((groups, self.records().await?))
        };
        let what = "nothing of ours is left in AWS";
        eventually(what, look, |(groups, records)| groups.is_empty() && records.is_empty()).await.map(drop)
    }
}
