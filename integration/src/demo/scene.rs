//! Where a story can play: what the narrator needs of a cluster and an account, real or simulated.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Service;
use kube::Api;

use super::facts::Facts;
use super::screen::say;
use crate::daemon::NewDaemon;
use crate::error::{Context, Result};
use crate::world::ServiceBuilder;

/// The replicas' `--lease-duration`: shorter than the default, so that nobody waits long for the take-over.
pub(super) const LEASE_SECONDS: u32 = 5;

/// The namespace and the cluster's name.
pub(super) const NAME: &str = "demo";

/// The label by which the example's selector finds nodes, and its value there.
pub(super) const POOL: (&str, &str) = (crate::world::NODE_LABEL, "general");

/// The nodes: name and zone.
pub(super) const NODES: [(&str, &str); 4] = [("one", "a"), ("two", "b"), ("three", "c"), ("four", "a")];

/// A cluster with an account.
pub(super) trait Scene: Sized {
    /// What it is, for people.
    const TITLE: &'static str;
    /// How often it can be looked at without harm.
    const LOOK_EVERY: Duration;

    /// Starts everything but the replicas: cluster, account, nodes, and a Lease that was given up.
    async fn set(progress: &Progress) -> Result<Self>;

    /// The namespace of the Services, which is the cluster's name too.
    fn namespace(&self) -> &str;

    /// The Services, for a person.
    fn services(&self) -> Api<Service>;

    /// Applies the README's example as it is.
    async fn apply_example(&self) -> Result<()>;

    /// Applies a Service.
    async fn apply(&self, service: ServiceBuilder) -> Result<()>;

    /// A replica with an identity of its own, not started yet.
    async fn replica(&mut self, name: &str) -> Result<NewDaemon>;

    /// A replica was killed.
    fn killed(&self, name: &str);

    /// The holder that the Lease names.
    async fn holder(&self) -> Result<String>;

    /// What there is.
    async fn facts(&self) -> Result<Facts>;

    /// What is done with each line that a replica writes.
    fn listener(&self) -> Box<dyn Fn(&str)>;

    /// How to look around, for people.
    fn invitation(&self) -> Result<String>;

    /// What the checker says, in one line; `None`: there is none. And what was broken.
    fn verdict(&self) -> Option<(String, Vec<String>)>;
}

/// How far the preparations are.
pub(super) struct Progress {
    began: Instant,
}

impl Progress {
    pub(super) fn begin() -> Self {
        Self { began: Instant::now() }
    }

    /// Something is ready.
    pub(super) fn say(&self, what: &str) {
        say(&format!("  {:>7.3} s     {what}", self.began.elapsed().as_secs_f64()));
    }
}

/// The README's example.
pub(super) fn example() -> Result<ServiceBuilder> {
    let path = crate::directory().join("examples/udp-server.yaml");
    let text = std::fs::read_to_string(&path).context(format!("read {}", path.display()))?;
    Ok(ServiceBuilder::from(serde_saphyr::from_str::<Service>(&text)?))
}
