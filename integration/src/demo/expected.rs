//! What ought to be, and how what is there differs from it: read from the API server and from AWS.

use std::collections::BTreeSet;

use super::stage::Stage;
use crate::aws::{Instance, Record, Rule, SecurityGroup};
use crate::error::Result;
use crate::world::{DOMAIN, annotation, condition, external_ips};

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

/// A Service as it is.
pub(super) struct Actual {
    pub(super) external_ips: Vec<String>,
    pub(super) addresses: Option<String>,
    pub(super) condition: Option<(String, String, String)>,
    /// The instances whose private addresses are published.
    pub(super) nodes: Vec<Instance>,
    /// Our groups on each of them.
    pub(super) groups: Vec<(String, SecurityGroup)>,
    pub(super) records: Vec<Record>,
}

impl Expected {
    pub(super) fn new(name: &str, nodes: usize, ports: &[(&str, i64)]) -> Self {
        let ports = ports.iter().map(|(protocol, port)| ((*protocol).to_owned(), *port)).collect();
        Self { name: name.to_owned(), nodes, ports }
    }

    /// The published name, with its last dot.
    pub(super) fn hostname(&self) -> String {
        format!("{}.{DOMAIN}", self.name)
    }

    /// How the rules of this Service are described.
    pub(super) fn description(&self, stage: &Stage) -> String {
        format!("external-ips: {}/{}", stage.world.namespace, self.name)
    }

    /// The Service as it is.
    pub(super) async fn read(&self, stage: &Stage) -> Result<Actual> {
        let world = &stage.world;
        let service = world.service(&self.name).await?;
        let external_ips = external_ips(&service);
        let published = |instance: &Instance| instance.private.as_ref().is_some_and(|ip| external_ips.contains(ip));
        let mut nodes = world.aws.instances().await?;
        nodes.retain(|instance| instance.state == "running" && published(instance));
        let mut groups = Vec::new();
        for group in world.owned_groups().await? {
            for instance in &nodes {
                if instance.primary_interface()?.groups.contains(&group.id) {
                    groups.push((instance.id.clone(), group.clone()));
                }
            }
        }
        let names = [self.hostname(), format!("a-{}", self.hostname())];
        let mut records = world.records().await?;
        records.retain(|record| names.contains(&record.name));
        Ok(Actual {
            addresses: annotation(&service, "addresses").map(str::to_owned),
            condition: condition(&service).map(|c| (c.status.clone(), c.reason.clone(), c.message.clone())),
            external_ips,
            nodes,
            groups,
            records,
        })
    }

    /// How what is there differs from what ought to be; empty when it doesn't.
    pub(super) async fn differences(&self, stage: &Stage) -> Result<Vec<String>> {
        let actual = self.read(stage).await?;
        let mut found = Differences { of: self.name.clone(), list: Vec::new() };
        found.compare("published nodes", &self.nodes, &actual.nodes.len());
        found.compare("spec.externalIPs", &self.nodes, &actual.external_ips.len());
        let status = actual.condition.as_ref().map(|(status, reason, _)| (status.as_str(), reason.as_str()));
        found.compare("condition Ready", &Some(("True", "Synced")), &status);

        let public: BTreeSet<String> = actual.nodes.iter().filter_map(|node| node.public.clone()).collect();
        let public: Vec<String> = public.into_iter().collect();
        let told: BTreeSet<String> =
            actual.addresses.iter().flat_map(|list| list.split(',')).map(str::to_owned).collect();
        found.compare("annotation addresses", &public, &told.into_iter().collect());
        let world = &stage.world;
        let owner = format!(
            "\"heritage=external-dns,external-dns/owner={},external-dns/resource=service/{}/{}\"",
            world.cluster_name, world.namespace, self.name
        );
        let mut records = vec![
            Record { name: self.hostname(), kind: "A".into(), ttl: 60, values: public },
            Record { name: format!("a-{}", self.hostname()), kind: "TXT".into(), ttl: 60, values: vec![owner] },
        ];
        records.sort();
        let mut there = actual.records.clone();
        there.sort();
        found.compare("records", &records, &there);

        let description = self.description(stage);
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
        for node in &actual.nodes {
            let rules = actual.groups.iter().filter(|(instance, _)| *instance == node.id);
            let rules: BTreeSet<Rule> =
                rules.flat_map(|(_, group)| group.rules.clone()).filter(|r| r.description == description).collect();
            found.compare(&format!("rules on {}", node.id), &wanted, &rules);
        }
        let everywhere = world.owned_groups().await?;
        let open = everywhere.iter().flat_map(|group| &group.rules).filter(|r| r.description == description).count();
        found.compare("rules in all groups", &(wanted.len() * self.nodes), &open);
        Ok(found.list)
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
