//! An account with a VPC, an instance and a zone, and clients of it.

use std::cell::Cell;
use std::sync::{Arc, Mutex};

use aws_api::{Client, ClientParts, Config, Credentials, Error, Keys, NoObserver, Operation, Transport, ec2, route53};

use super::super::{Aws, NewInstance, Options, Policy};
use crate::sim::event::{Actor, Call};
use crate::sim::fault::Fault;
use crate::sim::{Clock, Random, Stage};

pub const US: Actor = Actor::Replica(1);
pub const TAG: (&str, &str) = ("external-ips/c1", "owned");

pub struct Kit {
    pub stage: Stage,
    pub aws: Aws,
    pub client: Client,
    pub vpc: String,
    pub instance: String,
    pub zone: String,
    dateless: Cell<bool>,
}

/// A client that tries once, so that tests see each answer.
fn client(transport: Transport, stage: &Stage, keys: Keys) -> Client {
    let mut config = Config::new("eu-west-1").unwrap();
    config.max_attempts = 1;
    let (time, random) = (Arc::new(stage.clock.clone()), Arc::new(Random::new(7)));
    Client::new(ClientParts {
        transport,
        config,
        credentials: Arc::new(Credentials::fixed(keys, time.clone(), random.clone())),
        time,
        random,
        observer: Arc::new(NoObserver),
    })
}

impl Kit {
    pub fn new() -> Kit {
        Kit::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Options)) -> Kit {
        let stage = Stage::new(Clock::simulated());
        let mut options = Options::default();
        change(&mut options);
        let aws = Aws::new(stage.clone(), options);
        aws.add_principal("AKIDUS", "secret", None, Policy::of_deploy("c1").unwrap(), US);
        let vpc = aws.create_vpc(Actor::Person, false);
        let instance = aws.run_instance(Actor::Person, NewInstance::in_vpc(&vpc)).unwrap();
        let zone = aws.create_zone(Actor::Person, "example.com", false).unwrap();
        let client = client(aws.transport(US), &stage, Keys::new("AKIDUS", "secret", None, None).unwrap());
        Kit { stage, aws, client, vpc, instance, zone, dateless: Cell::new(false) }
    }

    /// Another client, with other keys.
    pub fn client_with(&self, keys: Keys) -> Client {
        let (aws, dateless) = (self.aws.clone(), self.dateless.get());
        let transport = Transport::new(tower::service_fn(move |request| {
            let aws = aws.clone();
            async move {
                let mut answer = aws.exchange(US, request).await.unwrap();
                if dateless {
                    answer.headers_mut().remove("date");
                }
                Ok(answer)
            }
        }));
        client(transport, &self.stage, keys)
    }

    /// From now on answers don't say what time it is.
    pub fn dateless(&self) {
        self.dateless.set(true);
    }

    pub fn code<T: std::fmt::Debug>(&self, result: Result<T, Error>) -> String {
        result.unwrap_err().code.unwrap()
    }

    /// Sends, and gives the code of the refusal.
    pub async fn refused<O: Operation>(&self, operation: &O) -> String {
        match self.client.send(operation).await {
            Ok(_) => panic!("{} was accepted", O::NAME),
            Err(error) => error.code.unwrap_or_else(|| format!("no code: {}", error.message)),
        }
    }

    pub async fn group(&self, name: &str) -> String {
        self.client.send(&self.create(name)).await.unwrap().group_id.unwrap()
    }

    pub fn create(&self, name: &str) -> ec2::CreateSecurityGroup {
        ec2::CreateSecurityGroup {
            group_name: name.into(),
            description: "a group".into(),
            vpc_id: Some(self.vpc.clone()),
            tag_specifications: vec![ec2::TagSpecification {
                resource_type: Some(ec2::ResourceType::SecurityGroup),
                tags: vec![ec2::Tag { key: Some(TAG.0.into()), value: Some(TAG.1.into()) }],
            }],
            dry_run: None,
        }
    }

    /// The next calls of `operation` meet these faults, one each.
    pub fn fail(&self, operation: &'static str, faults: impl IntoIterator<Item = Fault>) {
        let faults = Mutex::new(faults.into_iter().collect::<std::collections::VecDeque<_>>());
        self.stage.set_chaos(
            move |call: &Call| {
                if call.operation == operation { faults.lock().unwrap().pop_front() } else { None }
            },
        );
    }

    pub async fn batch(&self, changes: Vec<route53::Change>) -> Result<route53::ChangeInfo, Error> {
        let request = route53::ChangeResourceRecordSets {
            hosted_zone_id: self.zone.clone(),
            change_batch: route53::ChangeBatch { comment: None, changes },
        };
        Ok(self.client.send(&request).await?.change_info)
    }
}

/// One UDP port from one range.
pub fn permission(port: i64, cidr: &str) -> ec2::IpPermission {
    let mut permission = ec2::IpPermission {
        ip_protocol: Some("udp".into()),
        from_port: Some(port),
        to_port: Some(port),
        ..Default::default()
    };
    if cidr.contains(':') {
        permission.ipv6_ranges.push(ec2::Ipv6Range { description: None, cidr_ipv6: Some(cidr.into()) });
    } else {
        permission.ip_ranges.push(ec2::IpRange { description: Some("what for".into()), cidr_ip: Some(cidr.into()) });
    }
    permission
}

pub fn authorize(group: &str, permissions: Vec<ec2::IpPermission>) -> ec2::AuthorizeSecurityGroupIngress {
    ec2::AuthorizeSecurityGroupIngress {
        group_id: Some(group.into()),
        ip_permissions: permissions,
        ..Default::default()
    }
}

pub fn revoke(group: &str, permissions: Vec<ec2::IpPermission>) -> ec2::RevokeSecurityGroupIngress {
    ec2::RevokeSecurityGroupIngress { group_id: Some(group.into()), ip_permissions: permissions, ..Default::default() }
}

pub fn change(action: route53::ChangeAction, name: &str, kind: route53::RRType, values: &[&str]) -> route53::Change {
    route53::Change {
        action,
        resource_record_set: route53::ResourceRecordSet {
            name: name.into(),
            r#type: kind,
            ttl: Some(60),
            resource_records: values.iter().map(|value| route53::ResourceRecord { value: (*value).into() }).collect(),
            ..Default::default()
        },
    }
}
