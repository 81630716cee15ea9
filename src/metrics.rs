//! What is counted, for Prometheus.
//!
//! Owns the names, labels and the text forms. Counts what it is told and decides nothing. No label ever holds a
//! hostname, a Service, a node or an address: the number of series doesn't grow with the cluster. Gauges that
//! describe the world are a leader's: a standby has none, so that a sum over all replicas is right.

mod aws;
mod process;
mod render;
mod table;
#[cfg(test)]
mod tests;
mod world;

use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::expose::Action;
use world::World;

pub use process::{ProcessStats, parse_process};
pub use table::{METRICS, Row};

/// A label: its name and its value.
type Label = (&'static str, Cow<'static, str>);

/// Counters by `N` labels.
type Counters<const N: usize> = Family<[Label; N], Counter>;

/// Gauges by `N` labels.
type Gauges<const N: usize> = Family<[Label; N], Gauge>;

/// A moment in Unix seconds, absent until there was one.
type Timestamp = Family<[Label; 0], Gauge<f64, AtomicU64>>;

/// Histograms by `N` labels.
type Histograms<const N: usize> = Family<[Label; N], Histogram, fn() -> Histogram>;

/// Everything that is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    aws: aws::Calls,
    lease: String,
    /// This process was told that it doesn't lead. A dry run is never told anything.
    standby: AtomicBool,
    master: Gauges<1>,
    rounds: Counters<1>,
    round_seconds: Histogram,
    last_round: Timestamp,
    last_success: Timestamp,
    consecutive_failures: Gauge,
    changes: Counters<3>,
    watch_errors: Counters<2>,
    world: World,
}

impl Default for Metrics {
    /// For the Lease's default name.
    fn default() -> Metrics {
        Metrics::new("external-ips")
    }
}

impl Metrics {
    /// Nothing counted yet. `lease` is the Lease's name, for the label of `leader_election_master_status`.
    pub fn new(lease: &str) -> Metrics {
        let mut registry = Registry::default();
        let aws = aws::Calls::register(&mut registry);
        let master = Gauges::<1>::default();
        registry.register("leader_election_master_status", help("leader_election_master_status"), master.clone());
        master.get_or_create(&[label("name", lease.to_owned())]).set(0);

        let info = Info::new([
            ("version", env!("CARGO_PKG_VERSION")),
            ("os", std::env::consts::OS),
            ("arch", std::env::consts::ARCH),
        ]);
        registry.register("external_ips_build", help("external_ips_build_info"), info);

        let rounds = Counters::default();
        counter(&mut registry, "external_ips_reconcile_total", rounds.clone());
        let round_seconds = Histogram::new(seconds());
        in_seconds(&mut registry, "external_ips_reconcile_duration_seconds", round_seconds.clone());
        let (last_round, last_success) = (Timestamp::default(), Timestamp::default());
        in_seconds(&mut registry, "external_ips_last_reconcile_timestamp_seconds", last_round.clone());
        in_seconds(&mut registry, "external_ips_last_success_timestamp_seconds", last_success.clone());
        let consecutive_failures = Gauge::default();
        plain(&mut registry, "external_ips_consecutive_failures", consecutive_failures.clone());
        let changes = Counters::default();
        counter(&mut registry, "external_ips_changes_total", changes.clone());
        let watch_errors = Counters::default();
        counter(&mut registry, "external_ips_watch_errors_total", watch_errors.clone());
        let world = World::register(&mut registry);

        Metrics {
            registry,
            aws,
            lease: lease.to_owned(),
            standby: AtomicBool::new(false),
            master,
            rounds,
            round_seconds,
            last_round,
            last_success,
            consecutive_failures,
            changes,
            watch_errors,
            world,
        }
    }

    /// With the process's own accounts, read anew for each answer.
    pub fn with_process(mut self, read: impl Fn() -> Option<ProcessStats> + Send + Sync + 'static) -> Metrics {
        self.registry.register_collector(Box::new(process::Collector::new(read)));
        self
    }

    fn stands_by(&self) -> bool {
        self.standby.load(Ordering::Relaxed)
    }

    /// A round is over that didn't end because leadership was lost: after how many failed rounds in a row, how long it took, and when.
    pub fn reconciled(&self, failed_rounds: u32, took: Duration, wall: SystemTime) {
        if self.stands_by() {
            return;
        }
        let result = if failed_rounds == 0 { "success" } else { "failure" };
        self.rounds.get_or_create(&[label("result", result)]).inc();
        self.round_seconds.observe(took.as_secs_f64());
        self.consecutive_failures.set(failed_rounds.into());
        let now = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        self.last_round.get_or_create(&[]).set(now);
        if failed_rounds == 0 {
            self.last_success.get_or_create(&[]).set(now);
        }
    }

    /// A step was taken. A dry run of a publication changes nothing and isn't counted.
    pub fn changed(&self, action: &Action, ok: bool) {
        if matches!(action, Action::TryPublication(_)) {
            return;
        }
        let (resource, verb) = world::words(action);
        let result = if ok { "success" } else { "failure" };
        let labels = [label("resource", resource), label("action", verb), label("result", result)];
        self.changes.get_or_create(&labels).inc();
    }

    /// Whether this process leads. A process that doesn't forgets what only a leader may tell.
    pub fn leading(&self, leads: bool) {
        self.standby.store(!leads, Ordering::Relaxed);
        self.master.get_or_create(&[label("name", self.lease.clone())]).set(leads.into());
        if !leads {
            self.last_round.clear();
            self.last_success.clear();
            self.consecutive_failures.set(0);
            self.world.clear();
        }
    }

    /// What went wrong so far while listing and watching: resource, kind of error, how often since the start.
    pub fn watch_errors(&self, counts: &[(&'static str, &'static str, u64)]) {
        for (resource, error, count) in counts {
            let labels = [label("resource", *resource), label("error", *error)];
            self.watch_errors.get_or_create(&labels).inner().fetch_max(*count, Ordering::Relaxed);
        }
    }
}

fn label(name: &'static str, value: impl Into<Cow<'static, str>>) -> Label {
    (name, value.into())
}

/// What [`METRICS`] says of a name, without the full stop that the encoder adds.
fn help(name: &str) -> &'static str {
    METRICS.iter().find(|row| row.name == name).map_or("", |row| row.help)
}

/// Registers a counter by its full name: the encoder adds `_total`.
fn counter<const N: usize>(registry: &mut Registry, name: &str, counters: Counters<N>) {
    registry.register(name.trim_end_matches("_total"), help(name), counters);
}

/// Registers something without a unit.
fn plain(registry: &mut Registry, name: &str, metric: impl prometheus_client::registry::Metric) {
    registry.register(name, help(name), metric);
}

/// Registers something that is measured in seconds by its full name: the encoder adds the unit.
fn in_seconds(registry: &mut Registry, name: &str, metric: impl prometheus_client::registry::Metric) {
    registry.register_with_unit(name.trim_end_matches("_seconds"), help(name), Unit::Seconds, metric);
}

/// Buckets from 5 ms to a minute.
fn seconds() -> [f64; 13] {
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0]
}

fn seconds_histogram() -> Histogram {
    Histogram::new(seconds())
}
