//! The module on the real client, over a transport in memory that plays a small and strict EC2 and Route 53.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod attachments;
pub(crate) mod aws;
pub(crate) mod ec2;
mod firewall;
mod lanes;
mod proof;
mod reading;
mod records;
pub(crate) mod route53;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Cloud, CloudSettings, ZoneType};
use crate::clock::Clock;
use crate::expose::firewall::{description, group_name};
use crate::expose::plan::RecordChange;
use crate::expose::{
    Action, Cidr, Closed, GroupId, Instance, InstanceId, Lookup, Protocol, Record, RecordKey, Rule, ServiceKey, Step,
    ZoneId, dns,
};
use aws::Aws;

/// A clock that follows tokio's paused time.
struct Paused(tokio::time::Instant);

impl Clock for Paused {
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.monotonic()
    }
}

fn settings() -> CloudSettings {
    CloudSettings {
        cluster: "c1".into(),
        domains: Vec::new(),
        zone_ids: Vec::new(),
        zone_type: ZoneType::Public,
        concurrency: 4,
    }
}

fn cloud_with(aws: &Aws, settings: CloudSettings, log: slog::Logger) -> Cloud {
    let clock = Arc::new(Paused(tokio::time::Instant::now()));
    Cloud::new(aws.client(), aws.client(), settings, clock, log)
}

fn cloud(aws: &Aws) -> Cloud {
    cloud_with(aws, settings(), slog::Logger::root(slog::Discard, slog::o!()))
}

fn world() -> Aws {
    let aws = Aws::default();
    aws.instance("i-1", 1);
    aws.group("sg-1", "external-ips/c1/i-1");
    aws
}

async fn one(cloud: &mut Cloud, step: Step) -> Result<(), crate::cloud::StepError> {
    let mut results = cloud.apply(&[step]).await;
    assert_eq!(results.len(), 1);
    results.remove(0)
}

/// A module that has read everything.
async fn read(aws: &Aws, names: &[&str]) -> Cloud {
    let mut cloud = cloud(aws);
    cloud.start_over(Closed::default());
    cloud.refresh(&ids(names), true).await.unwrap();
    cloud
}

fn id(name: &str) -> InstanceId {
    InstanceId(name.to_owned())
}

fn ids(names: &[&str]) -> BTreeSet<InstanceId> {
    names.iter().map(|name| id(name)).collect()
}

fn sg(name: &str) -> GroupId {
    GroupId(name.to_owned())
}

fn known<'a>(cloud: &'a Cloud, name: &str) -> &'a Instance {
    match &cloud.observed().instances[&id(name)] {
        Lookup::Known(instance) => instance,
        other => panic!("{name} is {other:?}"),
    }
}

fn service() -> ServiceKey {
    ServiceKey::new("games", "quake")
}

fn step(action: Action) -> Step {
    Step { action, reason: "a test wants it".into(), services: vec![service()] }
}

fn udp(port: u16) -> Rule {
    Rule { protocol: Protocol::Udp, from: port, to: port, source: Cidr::ANY_V4 }
}

fn rules(ports: &[u16]) -> BTreeMap<Rule, String> {
    ports.iter().map(|port| (udp(*port), description(&service()))).collect()
}

fn create(instance: &str) -> Step {
    let name = group_name("c1", &id(instance), 1);
    step(Action::CreateGroup { instance: id(instance), vpc: "vpc-1".into(), name })
}

fn authorize(instance: &str, group: &str, ports: &[u16]) -> Step {
    step(Action::Authorize { instance: id(instance), group: sg(group), rules: rules(ports) })
}

fn revoke(instance: &str, group: &str, ports: &[u16]) -> Step {
    step(Action::Revoke { instance: Some(id(instance)), group: sg(group), rules: rules(ports) })
}

fn attach(instance: &str, group: &str) -> Step {
    step(Action::Attach { instance: id(instance), group: sg(group), next: [].into() })
}

fn detach(instance: &str, group: &str) -> Step {
    step(Action::Detach { instance: id(instance), group: sg(group) })
}

fn delete(group: &str) -> Step {
    step(Action::DeleteGroup { group: sg(group) })
}

fn pair(name: &str, addresses: &[&str]) -> BTreeMap<RecordKey, Record> {
    let values = addresses.iter().map(|address| (*address).to_owned()).collect();
    let twin = [dns::twin_value("c1", &service())].into();
    BTreeMap::from([
        (dns::address_key(name), Record { ttl: Some(60), values }),
        (dns::twin_key(name), Record { ttl: Some(60), values: twin }),
    ])
}

fn change(zone: &str, name: &str, from: &[&str], to: &[&str]) -> Step {
    let records = |addresses: &[&str]| if addresses.is_empty() { BTreeMap::new() } else { pair(name, addresses) };
    let (delete, create) = (records(from), records(to));
    let zone = ZoneId(zone.to_owned());
    step(Action::ChangeRecords(RecordChange { zone, name: name.to_owned(), delete, create }))
}
