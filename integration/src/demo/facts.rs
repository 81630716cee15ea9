//! What there is, as the demo shows it and compares it with what ought to be.

use std::collections::{BTreeMap, BTreeSet};

use crate::aws::{Instance, Record, Rule, SecurityGroup};
use crate::world::ANNOTATION_PREFIX;

/// The cluster and the account at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Facts {
    /// Services that ask, or that have something of ours.
    pub services: Vec<ServiceFacts>,
    /// Instances that run.
    pub instances: Vec<Instance>,
    /// The names of the nodes by instance.
    pub nodes: BTreeMap<String, String>,
    /// The daemon's security groups.
    pub groups: Vec<SecurityGroup>,
    /// The records of the zone, but for its own.
    pub records: Vec<Record>,
}

/// A Service.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ServiceFacts {
    pub namespace: String,
    pub name: String,
    /// All its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Protocol in lower case, and port.
    pub ports: Vec<(String, i64)>,
    /// Sorted.
    pub external_ips: Vec<String>,
    /// Our condition: status, reason, message.
    pub condition: Option<(String, String, String)>,
}

impl ServiceFacts {
    /// An annotation of ours.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.get(&format!("{ANNOTATION_PREFIX}{name}")).map(String::as_str)
    }

    /// The names it asks for, with their last dot.
    pub fn hostnames(&self) -> Vec<String> {
        let names = self.annotation("hostname").unwrap_or_default().split(',');
        names.map(str::trim).filter(|name| !name.is_empty()).map(with_dot).collect()
    }

    /// How its rules are described.
    pub fn description(&self) -> String {
        format!("external-ips: {}/{}", self.namespace, self.name)
    }

    /// Whether it asks, or has something of ours.
    pub fn concerns_us(&self) -> bool {
        self.condition.is_some() || self.annotations.keys().any(|name| name.starts_with(ANNOTATION_PREFIX))
    }
}

fn with_dot(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.').to_lowercase())
}

impl Facts {
    /// A Service.
    pub fn service(&self, namespace: &str, name: &str) -> Option<&ServiceFacts> {
        self.services.iter().find(|service| service.namespace == namespace && service.name == name)
    }

    /// The instances whose private addresses a Service publishes.
    pub fn published<'a>(&'a self, service: &'a ServiceFacts) -> impl Iterator<Item = &'a Instance> {
        let is_published =
            |instance: &&Instance| instance.private.as_ref().is_some_and(|ip| service.external_ips.contains(ip));
        self.instances.iter().filter(is_published)
    }

    /// Our groups on the primary interface of an instance.
    pub fn groups_on<'a>(&'a self, instance: &'a Instance) -> impl Iterator<Item = &'a SecurityGroup> {
        let on = instance.primary_interface().map(|interface| interface.groups.as_slice()).unwrap_or_default();
        self.groups.iter().filter(|group| on.contains(&group.id))
    }

    /// The rules that our groups have for a Service on an instance, each with its group.
    pub fn rules_on<'a>(
        &'a self,
        instance: &'a Instance,
        description: &'a str,
    ) -> impl Iterator<Item = (&'a SecurityGroup, &'a Rule)> {
        let rules = self.groups_on(instance).flat_map(|group| group.rules.iter().map(move |rule| (group, rule)));
        rules.filter(move |(_, rule)| rule.description == description)
    }

    /// Whether our groups let somebody in at an instance to each port of a Service.
    pub fn is_open(&self, instance: &Instance, service: &ServiceFacts) -> bool {
        service.ports.iter().all(|(protocol, port)| {
            let mut rules = self.groups_on(instance).flat_map(|group| &group.rules);
            rules.any(|rule| rule.protocol == *protocol && rule.ports.0 <= *port && *port <= rule.ports.1)
        })
    }

    /// The addresses that the names of a Service list.
    pub fn listed(&self, service: &ServiceFacts) -> BTreeSet<String> {
        let names = service.hostnames();
        let records = self.records.iter().filter(|record| record.kind == "A" && names.contains(&record.name));
        records.flat_map(|record| record.values.clone()).collect()
    }

    /// A node by its instance.
    pub fn node_name(&self, instance: &str) -> &str {
        self.nodes.get(instance).map_or("?", String::as_str)
    }
}
