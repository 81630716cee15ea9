//! The calls with aws-api.

use std::sync::Arc;

use aws_api::ec2::{
    AuthorizeSecurityGroupIngress, AuthorizeSecurityGroupIngressResponse, DescribeInstances, DescribeInstancesResponse,
    IpPermission, IpRange, Ipv6Range, ResourceType, Tag, TagSpecification,
};
use aws_api::route53::{ListResourceRecordSets, ListResourceRecordSetsResponse};
use aws_api::system::{SystemRandom, SystemTimeSource};
use aws_api::{Client, ClientParts, Config, Credentials, Keys, NoObserver, Transport, TransportError};
use bytes::Bytes;
use http::{Request, Response};

use crate::{
    ACCESS_KEY, DESCRIPTION, Failure, GROUP, Gate, Meter, NETWORKS, NETWORKS6, PORTS, REGION, SECRET_KEY, TAGS, ZONE,
    run, session_token,
};

/// aws-api's client over a gate.
pub struct Ours {
    client: Client,
    gate: Arc<Gate>,
}

impl Ours {
    pub fn new(gate: Arc<Gate>) -> Result<Ours, Failure> {
        let mut config = Config::new(REGION)?;
        // Hundreds of calls in a second are the point here. The limiter is passed, but has nothing to say.
        config.rates.ec2_reads = None;
        config.rates.ec2_wide_reads = None;
        config.rates.ec2_changes = None;
        config.rates.route53 = None;
        let keys = Keys::new(ACCESS_KEY, SECRET_KEY, Some(&session_token()), None)?;
        let (time, random) = (Arc::new(SystemTimeSource), Arc::new(SystemRandom::default()));
        let through = Arc::clone(&gate);
        let transport = Transport::new(tower::service_fn(move |request: Request<Bytes>| {
            let gate = Arc::clone(&through);
            async move { Ok::<_, TransportError>(Response::new(gate.pass(Some(request.body())).await)) }
        }));
        let client = Client::new(ClientParts {
            transport,
            config,
            credentials: Arc::new(Credentials::fixed(keys, time.clone(), random.clone())),
            time,
            random,
            observer: Arc::new(NoObserver),
        });
        Ok(Ours { client, gate })
    }

    pub fn authorize(&self, meter: &mut impl Meter) -> Result<AuthorizeSecurityGroupIngressResponse, Failure> {
        let description = || Some(DESCRIPTION.to_owned());
        run(&self.gate, meter, async {
            let permissions = PORTS.map(|(protocol, from, to)| IpPermission {
                ip_protocol: Some(protocol.to_owned()),
                from_port: Some(from.into()),
                to_port: Some(to.into()),
                ip_ranges: NETWORKS
                    .map(|network| IpRange { cidr_ip: Some(network.to_owned()), description: description() })
                    .into(),
                ipv6_ranges: NETWORKS6
                    .map(|network| Ipv6Range { cidr_ipv6: Some(network.to_owned()), description: description() })
                    .into(),
                ..IpPermission::default()
            });
            let tags = TAGS.map(|(key, value)| Tag { key: Some(key.to_owned()), value: Some(value.to_owned()) });
            let operation = AuthorizeSecurityGroupIngress {
                group_id: Some(GROUP.to_owned()),
                ip_permissions: permissions.into(),
                tag_specifications: vec![TagSpecification {
                    resource_type: Some(ResourceType::SecurityGroupRule),
                    tags: tags.into(),
                }],
                dry_run: None,
            };
            Ok(self.client.send(&operation).await?)
        })
    }

    pub fn instances(&self, meter: &mut impl Meter) -> Result<DescribeInstancesResponse, Failure> {
        run(&self.gate, meter, async {
            let operation = DescribeInstances { max_results: Some(1000), ..DescribeInstances::default() };
            Ok(self.client.send(&operation).await?)
        })
    }

    pub fn records(&self, meter: &mut impl Meter) -> Result<ListResourceRecordSetsResponse, Failure> {
        run(&self.gate, meter, async {
            let operation =
                ListResourceRecordSets { hosted_zone_id: ZONE.to_owned(), ..ListResourceRecordSets::default() };
            Ok(self.client.send(&operation).await?)
        })
    }
}
