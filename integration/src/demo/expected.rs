//! What ought to be, and how what is there differs from it.

use std::collections::BTreeSet;

use super::facts::Facts;
use crate::aws::{Record, Rule};
use crate::world::DOMAIN;

/// A Service as it ought to be exposed, to everyone and with the default TTL.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    /// Its name; the hostname is the same in the zone.
    pub(super) name: String,
    /// How many nodes serve it.
    pub(super) nodes: usize,
    /// Protocol in lower case and port.
    pub(super) ports: Vec<(String, i64)>,
}

impl Expected {
    pub(super) fn new(name: &str, nodes: usize, ports: &[(&str, i64)]) -> Self {
        let ports = ports.iter().map(|(protocol, port)| ((*protocol).to_owned(), *port)).collect();
        Self { name: name.to_owned(), nodes, ports }
    }

    /// The published name, with its last dot.
    fn hostname(&self) -> String {
        format!("{}.{DOMAIN}", self.name)
    }

    /// How what is there differs from what ought to be; empty when it doesn't. `namespace`: of the Services, which is
    /// the cluster's name too.
    pub(super) fn differences(&self, facts: &Facts, namespace: &str) -> Vec<String> {
        let mut found = Differences { of: self.name.clone(), list: Vec::new() };
        let Some(service) = facts.service(namespace, &self.name) else {
            found.list.push(format!("{}: there is no such Service that asks", self.name));
            return found.list;
        };
        let nodes: Vec<_> = facts.published(service).collect();
        found.compare("published nodes", &self.nodes, &nodes.len());
        found.compare("spec.externalIPs", &self.nodes, &service.external_ips.len());
        let status = service.condition.as_ref().map(|(status, reason, _)| (status.as_str(), reason.as_str()));
        found.compare("condition Ready", &Some(("True", "Synced")), &status);

        let public: BTreeSet<String> = nodes.iter().filter_map(|node| node.public.clone()).collect();
        let public: Vec<String> = public.into_iter().collect();
        let told: BTreeSet<String> =
            service.annotation("addresses").iter().flat_map(|list| list.split(',')).map(str::to_owned).collect();
        found.compare("annotation addresses", &public, &told.into_iter().collect());
        let owner = format!(
            "\"heritage=external-dns,external-dns/owner={namespace},external-dns/resource=service/{namespace}/{}\"",
            self.name
        );
        let (hostname, twin) = (self.hostname(), format!("a-{}", self.hostname()));
        let mut records = vec![
            Record { name: hostname.clone(), kind: "A".into(), ttl: 60, values: public },
            Record { name: twin.clone(), kind: "TXT".into(), ttl: 60, values: vec![owner] },
        ];
        records.sort();
        let ours = facts.records.iter().filter(|record| record.name == hostname || record.name == twin);
        let mut there: Vec<Record> = ours.cloned().collect();
        there.sort();
        found.compare("records", &records, &there);

        let description = service.description();
        let wanted: BTreeSet<Rule> = self
            .ports
            .iter()
            .map(|(protocol, port)| Rule {
                protocol: protocol.clone(),
                ports: (*port, *port),
                source: "0.0.0.0/0".into(),
                description: description.clone(),
            })
            .collect();
        for node in &nodes {
            let rules: BTreeSet<Rule> = facts.rules_on(node, &description).map(|(_, rule)| rule.clone()).collect();
            found.compare(&format!("rules on {}", node.id), &wanted, &rules);
        }
        let everywhere = facts.groups.iter().flat_map(|group| &group.rules);
        let open = everywhere.filter(|rule| rule.description == description).count();
        found.compare("rules in all groups", &(wanted.len() * self.nodes), &open);
        found.list
    }
}

struct Differences {
    of: String,
    list: Vec<String>,
}

impl Differences {
    fn compare<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, wanted: &T, there: &T) {
        if wanted != there {
            self.list.push(format!("{}: {what}: should be {wanted:?}, is {there:?}", self.of));
        }
    }
}
