//! What the last look at the world found: gauges that only a leader has.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{Gauges, Label, Metrics, label, plain};
use crate::expose::brake::Held;
use crate::expose::plan::Desired;
use crate::expose::{Action, Observed, Plan, Reason, RecordType, Settings, nodes};

#[derive(Debug)]
pub(super) struct World {
    services: Census<1>,
    nodes: Census<2>,
    plan: Census<2>,
    records: Census<2>,
    rules: Census<1>,
    rules_limit: Census<0>,
    port_conflicts: Census<0>,
    held: Census<0>,
}

impl World {
    pub(super) fn register(registry: &mut Registry) -> World {
        World {
            services: Census::register(registry, "external_ips_services"),
            nodes: Census::register(registry, "external_ips_nodes"),
            plan: Census::register(registry, "external_ips_plan_changes"),
            records: Census::register(registry, "external_ips_dns_records"),
            rules: Census::register(registry, "external_ips_security_group_rules"),
            rules_limit: Census::register(registry, "external_ips_security_group_rules_limit"),
            port_conflicts: Census::register(registry, "external_ips_port_conflicts"),
            held: Census::register(registry, "external_ips_withdrawals_held"),
        }
    }

    pub(super) fn clear(&self) {
        self.services.clear();
        self.nodes.clear();
        self.plan.clear();
        self.records.clear();
        self.rules.clear();
        self.rules_limit.clear();
        self.port_conflicts.clear();
        self.held.clear();
    }
}

/// Numbers that replace each other as a whole. What was there before and isn't any more is 0, not absent: an
/// alert on it ends.
#[derive(Debug)]
struct Census<const N: usize> {
    gauges: Gauges<N>,
    seen: Mutex<BTreeSet<[Label; N]>>,
}

impl<const N: usize> Census<N> {
    fn register(registry: &mut Registry, name: &str) -> Census<N> {
        let gauges: Gauges<N> = Family::default();
        plain(registry, name, gauges.clone());
        Census { gauges, seen: Mutex::default() }
    }

    fn set(&self, counts: BTreeMap<[Label; N], u64>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.extend(counts.keys().cloned());
        for labels in seen.iter() {
            let count = counts.get(labels).copied().unwrap_or_default();
            let gauge: &Gauge = &self.gauges.get_or_create(labels);
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    fn clear(&self) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.gauges.clear();
    }
}

impl Metrics {
    /// What a round that found nothing left to do has seen: how many Services are in which state (the reason of
    /// their condition), and what AWS holds.
    pub fn observed(
        &self,
        states: &BTreeMap<String, u64>,
        desired: &Desired<'_>,
        observed: &Observed,
        settings: &Settings,
    ) {
        // A round that went on after leadership was lost tells nothing.
        if self.stands_by() {
            return;
        }
        let world = &self.world;
        world.services.set(states.iter().map(|(state, n)| ([label("state", state.clone())], *n)).collect());
        world.nodes.set(count_nodes(desired, settings));
        world.records.set(count_records(desired, observed));
        world.rules.set(count_rules(observed));
        world.rules_limit.set([([], settings.rules_per_group as u64)].into());
        let conflicts =
            desired.rejections.values().filter(|rejection| rejection.reason == Reason::PortConflict).count();
        world.port_conflicts.set([([], conflicts as u64)].into());
    }

    /// How many Services' withdrawals wait for a person.
    pub fn held(&self, held: Option<&Held>) {
        if self.stands_by() {
            return;
        }
        let services = held.map_or(0, |held| held.leaving.len() as u64);
        self.world.held.set([([], services)].into());
    }

    /// The steps that are due and not taken yet: all that a dry run would do.
    pub fn planned(&self, plan: &Plan) {
        if self.stands_by() {
            return;
        }
        let mut counts: BTreeMap<[Label; 2], u64> = BTreeMap::new();
        for step in &plan.steps {
            let (resource, verb) = words(&step.action);
            *counts.entry([label("resource", resource), label("action", verb)]).or_default() += 1;
        }
        self.world.plan.set(counts);
    }
}

/// The resource and the verb of an action.
pub(super) fn words(action: &Action) -> (&'static str, &'static str) {
    match action {
        Action::TryPublication(_) => ("service", "try"),
        Action::CreateGroup { .. } => ("security_group", "create"),
        Action::Authorize { .. } => ("security_group_rules", "authorize"),
        Action::Attach { .. } => ("security_group", "attach"),
        Action::ChangeRecords(change) if change.withdraws() => ("dns_record", "delete"),
        Action::ChangeRecords(change) if change.delete.is_empty() => ("dns_record", "create"),
        Action::ChangeRecords(_) => ("dns_record", "update"),
        Action::Publish(_) => ("service", "publish"),
        Action::Release { .. } => ("service", "release"),
        Action::Revoke { .. } => ("security_group_rules", "revoke"),
        Action::Detach { .. } => ("security_group", "detach"),
        Action::DeleteGroup { .. } => ("security_group", "delete"),
    }
}

fn count_nodes(desired: &Desired<'_>, settings: &Settings) -> BTreeMap<[Label; 2], u64> {
    let serving: BTreeSet<_> = desired.placement.nodes.values().flatten().collect();
    let mut counts: BTreeMap<[Label; 2], u64> = BTreeMap::new();
    let mut add = |zone: Cow<'static, str>, state: &'static str| {
        *counts.entry([label("zone", zone), label("state", state)]).or_default() += 1;
    };
    for (id, alive) in &desired.joined.alive {
        let state = match nodes::ineligible(alive.node, settings.keep_cordoned) {
            _ if serving.contains(id) => "serving",
            None => "eligible",
            Some(_) => "ineligible",
        };
        add(alive.instance.zone.clone().into(), state);
    }
    for _ in &desired.joined.skipped {
        add("unknown".into(), "skipped");
    }
    counts
}

fn count_records(desired: &Desired<'_>, observed: &Observed) -> BTreeMap<[Label; 2], u64> {
    let mut all: BTreeMap<&str, u64> = BTreeMap::new();
    for key in observed.records.values().flat_map(BTreeMap::keys) {
        *all.entry(kind(&key.kind)).or_default() += 1;
    }
    let twins = desired.names.len() as u64;
    let addresses = desired.names.values().filter(|name| name.address.is_some()).count() as u64;
    let mut counts = BTreeMap::new();
    let labels = |kind: &str, ownership: &'static str| [label("type", kind.to_owned()), label("ownership", ownership)];
    for (kind, all) in all {
        let ours = match kind {
            "A" => addresses,
            "TXT" => twins,
            _ => 0,
        };
        counts.insert(labels(kind, "ours"), ours);
        counts.insert(labels(kind, "foreign"), all.saturating_sub(ours));
    }
    counts
}

fn kind(kind: &RecordType) -> &str {
    match kind {
        RecordType::A => "A",
        RecordType::Txt => "TXT",
        RecordType::Other(name) => name,
    }
}

/// The rules in the fullest of our groups: what is nearest to AWS's limit, which counts both families apart.
fn count_rules(observed: &Observed) -> BTreeMap<[Label; 1], u64> {
    let fullest = |v6: bool| {
        let rules = |group: &crate::expose::Group| {
            let others = if v6 { group.foreign_rules.v6 } else { group.foreign_rules.v4 };
            group.rules.keys().filter(|rule| rule.source.is_v6() == v6).count() + others
        };
        observed.groups.values().map(rules).max().unwrap_or_default() as u64
    };
    [([label("family", "ipv4")], fullest(false)), ([label("family", "ipv6")], fullest(true))].into()
}
