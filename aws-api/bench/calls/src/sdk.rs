//! The calls with the AWS SDK.

use std::fmt;
use std::sync::Arc;

use aws_sdk_ec2::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_ec2::operation::authorize_security_group_ingress::AuthorizeSecurityGroupIngressOutput;
use aws_sdk_ec2::operation::describe_instances::DescribeInstancesOutput;
use aws_sdk_ec2::types::{IpPermission, IpRange, Ipv6Range, ResourceType, Tag, TagSpecification};
use aws_sdk_route53::operation::list_resource_record_sets::ListResourceRecordSetsOutput;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

use crate::{
    ACCESS_KEY, DESCRIPTION, Failure, GROUP, Gate, Meter, NETWORKS, NETWORKS6, PORTS, REGION, SECRET_KEY, TAGS, ZONE,
    run, session_token,
};

/// A connector that is a gate.
#[derive(Clone)]
struct Connector(Arc<Gate>);

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let gate = Arc::clone(&self.0);
        HttpConnectorFuture::new(async move {
            let answer = gate.pass(request.body().bytes()).await;
            let ok = http::StatusCode::OK.into();
            Ok(HttpResponse::new(ok, SdkBody::from(answer)))
        })
    }
}

impl HttpClient for Connector {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// The SDK's clients over a gate, with the defaults of the latest behaviour.
pub struct Sdk {
    ec2: aws_sdk_ec2::Client,
    route53: aws_sdk_route53::Client,
    gate: Arc<Gate>,
}

impl Sdk {
    pub fn new(gate: Arc<Gate>) -> Sdk {
        let keys = || Credentials::new(ACCESS_KEY, SECRET_KEY, Some(session_token()), None, "given");
        let ec2 = aws_sdk_ec2::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .credentials_provider(keys())
            .http_client(Connector(Arc::clone(&gate)))
            .build();
        let route53 = aws_sdk_route53::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .credentials_provider(keys())
            .http_client(Connector(Arc::clone(&gate)))
            .build();
        Sdk { ec2: aws_sdk_ec2::Client::from_conf(ec2), route53: aws_sdk_route53::Client::from_conf(route53), gate }
    }

    pub fn authorize(&self, meter: &mut impl Meter) -> Result<AuthorizeSecurityGroupIngressOutput, Failure> {
        run(&self.gate, meter, async {
            let mut call = self.ec2.authorize_security_group_ingress().group_id(GROUP);
            for (protocol, from, to) in PORTS {
                let mut permission = IpPermission::builder().ip_protocol(protocol).from_port(from).to_port(to);
                for network in NETWORKS {
                    permission =
                        permission.ip_ranges(IpRange::builder().cidr_ip(network).description(DESCRIPTION).build());
                }
                for network in NETWORKS6 {
                    permission = permission
                        .ipv6_ranges(Ipv6Range::builder().cidr_ipv6(network).description(DESCRIPTION).build());
                }
                call = call.ip_permissions(permission.build());
            }
            let mut tags = TagSpecification::builder().resource_type(ResourceType::SecurityGroupRule);
            for (key, value) in TAGS {
                tags = tags.tags(Tag::builder().key(key).value(value).build());
            }
            Ok(call.tag_specifications(tags.build()).send().await?)
        })
    }

    pub fn instances(&self, meter: &mut impl Meter) -> Result<DescribeInstancesOutput, Failure> {
        run(&self.gate, meter, async { Ok(self.ec2.describe_instances().max_results(1000).send().await?) })
    }

    pub fn records(&self, meter: &mut impl Meter) -> Result<ListResourceRecordSetsOutput, Failure> {
        run(&self.gate, meter, async {
            Ok(self.route53.list_resource_record_sets().hosted_zone_id(ZONE).send().await?)
        })
    }
}
