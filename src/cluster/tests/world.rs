//! A cluster as this process sees it, next to the fake API server; objects as people and kubelets write them.

use super::api::{Api, Verb};
use crate::cluster::Cluster;
use crate::expose::{Service, ServiceKey, Snapshot};
use crate::leader::tests::world::{TestClock, TestRandom};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How old lists may become.
pub const LIST_EVERY: Duration = Duration::from_secs(600);

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Log lines, level first, for looking at them.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    pub fn log(&self) -> slog::Logger {
        slog::Logger::root(slog::Fuse(self.clone()), slog::o!())
    }

    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub fn count(&self, part: &str) -> usize {
        self.all().iter().filter(|line| line.contains(part)).count()
    }
}

impl slog::Drain for Lines {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, record: &slog::Record<'_>, _: &slog::OwnedKVList) -> Result<(), slog::Never> {
        self.0.lock().unwrap().push(format!("{} {}", record.level().as_short_str(), record.msg()));
        Ok(())
    }
}

/// A Service that asks to be exposed under `<name>.example.com`.
pub(crate) fn asking(name: &str) -> Value {
    let mut service = plain(name);
    service["metadata"]["annotations"] =
        json!({"external-ips.alpha.openfresh.github.io/hostname": format!("{name}.example.com")});
    service
}

/// A Service that doesn't ask, on an UDP port of its own: 27960 for `quake`.
pub(crate) fn plain(name: &str) -> Value {
    let port = 27960 - 535 + name.bytes().map(u64::from).sum::<u64>();
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": "games", "name": name, "creationTimestamp": "2026-01-02T03:04:05Z"},
        "spec": {"type": "ClusterIP", "clusterIP": "10.96.0.7", "ports": [{"port": port, "protocol": "UDP"}]},
    })
}

/// A node that is ready, on the instance `i-0000000<n>`.
pub(crate) fn node(n: u8) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": format!("node-{n}"), "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"providerID": format!("aws:///eu-west-1a/{}", instance(n))},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    })
}

pub(crate) fn instance(n: u8) -> String {
    format!("i-{n:08x}")
}

/// The slice of a Service with one ready endpoint on each of these nodes.
pub(crate) fn slice(service: &str, nodes: &[&str]) -> Value {
    let endpoints: Vec<Value> =
        nodes.iter().map(|node| json!({"nodeName": node, "conditions": {"ready": true}})).collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"namespace": "games", "name": format!("{service}-1"), "labels": {"kubernetes.io/service-name": service}},
        "endpoints": endpoints,
    })
}

pub(crate) fn key(name: &str) -> ServiceKey {
    ServiceKey::new("games", name)
}

pub(super) struct World {
    pub api: Api,
    pub cluster: Arc<Cluster>,
    pub lines: Lines,
    task: JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl World {
    /// The API server with two nodes and these Services, and a cluster that begins to look at it.
    pub fn new(services: &[Value]) -> World {
        let api = Api::new();
        api.edit(|objects| {
            objects.put("nodes", node(1));
            objects.put("nodes", node(2));
            services.iter().for_each(|service| objects.put("services", service.clone()));
        });
        World::on(api)
    }

    /// A cluster that begins to look at this API server.
    pub fn on(api: Api) -> World {
        World::within(api, None)
    }

    pub fn within(api: Api, namespace: Option<&str>) -> World {
        let lines = Lines::default();
        let clock = TestClock::new(secs(1000), 0, 1000);
        let namespace = namespace.map(str::to_owned);
        let cluster =
            Cluster::new(api.client(), namespace, "external-ips_1", LIST_EVERY, clock, TestRandom::new(1), lines.log());
        let task = tokio::spawn(cluster.clone().run());
        World { api, cluster, lines, task }
    }

    /// The same, once everything is known and all watches are open.
    pub async fn ready(services: &[Value]) -> World {
        World::new(services).settled().await
    }

    pub async fn settled(self) -> World {
        let open = || self.api.calls_of(Verb::Watch, "").len() >= 3;
        self.until("all watches are open", || self.cluster.synced() && open()).await;
        self
    }

    /// Waits until something is so, two minutes at most.
    pub async fn until(&self, what: &str, so: impl Fn() -> bool) {
        let start = Instant::now();
        while !so() {
            assert!(start.elapsed() < secs(120), "not within two minutes: {what}\n{:#?}", self.lines.all());
            tokio::time::sleep(millis(10)).await;
        }
    }

    pub async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    pub fn snapshot(&self) -> Snapshot {
        self.cluster.snapshot().expect("the view is usable")
    }

    /// A Service as the core would see it now.
    pub fn service(&self, name: &str) -> Service {
        self.snapshot().services[&key(name)].clone()
    }

    /// How often that went wrong so far.
    pub fn counted(&self, resource: &str, kind: &str) -> u64 {
        let counts = self.cluster.counters().read();
        counts.iter().filter(|(r, k, _)| *r == resource && *k == kind).map(|(_, _, n)| *n).sum()
    }
}
