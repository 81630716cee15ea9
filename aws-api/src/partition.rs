//! Partitions of AWS, and where each service is reached in them. The facts are those of botocore's
//! `partitions.json` and endpoint rule sets (1.44); what isn't known there is refused, never guessed.

use std::fmt;

use crate::operation::Service;

/// A part of AWS with accounts, domains and ARNs of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Partition {
    /// `aws`: the commercial regions.
    Aws,
    /// `aws-cn`: China.
    AwsCn,
    /// `aws-us-gov`: GovCloud.
    AwsUsGov,
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Partition::Aws => "aws",
            Partition::AwsCn => "aws-cn",
            Partition::AwsUsGov => "aws-us-gov",
        })
    }
}

/// Which of the variants of an endpoint is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Variant {
    /// `AWS_USE_FIPS_ENDPOINT`.
    pub fips: bool,
    /// `AWS_USE_DUALSTACK_ENDPOINT`.
    pub dual_stack: bool,
}

impl Partition {
    /// The partition of a region.
    ///
    /// # Errors
    /// When `region` isn't the name of a region, or is one of a partition that isn't known here.
    pub fn of_region(region: &str) -> Result<Partition, String> {
        // The name becomes part of a host name.
        let dashes = region.matches('-').count();
        let well_formed = region.len() <= 32
            && (2..=4).contains(&dashes)
            && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && region.starts_with(|c: char| c.is_ascii_lowercase())
            && region.ends_with(|c: char| c.is_ascii_digit());
        if !well_formed {
            return Err(format!("{region:?} is not the name of an AWS region (such as eu-west-1)"));
        }
        if region.contains("-iso") || region.starts_with("eusc-") {
            return Err(format!(
                "the region {region} is in a partition that is not supported; supported are aws, aws-cn and aws-us-gov"
            ));
        }
        Ok(match region {
            _ if region.starts_with("cn-") => Partition::AwsCn,
            _ if region.starts_with("us-gov-") => Partition::AwsUsGov,
            _ => Partition::Aws,
        })
    }

    /// The region that requests to `service` are signed for. Route 53 has one for each partition.
    pub fn signing_region(self, service: Service, region: &str) -> String {
        match (service, self) {
            (Service::Ec2 | Service::Sts, _) => region.to_owned(),
            (Service::Route53, Partition::Aws) => "us-east-1".to_owned(),
            (Service::Route53, Partition::AwsCn) => "cn-northwest-1".to_owned(),
            (Service::Route53, Partition::AwsUsGov) => "us-gov-west-1".to_owned(),
        }
    }

    /// The host of `service`; `None` where the variant isn't offered.
    pub(crate) fn host(self, service: Service, region: &str, variant: Variant) -> Option<String> {
        let name = match service {
            Service::Ec2 => "ec2",
            Service::Sts => "sts",
            Service::Route53 => return self.route53_host(variant).map(str::to_owned),
        };
        match (self, variant.fips, variant.dual_stack) {
            // GovCloud's endpoints are FIPS endpoints as they are.
            (Partition::Aws, false, false) | (Partition::AwsUsGov, _, false) => {
                Some(format!("{name}.{region}.amazonaws.com"))
            }
            (Partition::AwsCn, false, false) => Some(format!("{name}.{region}.amazonaws.com.cn")),
            (Partition::Aws, true, false) => Some(format!("{name}-fips.{region}.amazonaws.com")),
            (Partition::Aws, false, true) => Some(format!("{name}.{region}.api.aws")),
            _ => None,
        }
    }

    fn route53_host(self, variant: Variant) -> Option<&'static str> {
        match (self, variant.fips, variant.dual_stack) {
            (Partition::Aws, false, false) => Some("route53.amazonaws.com"),
            (Partition::Aws, true, false) => Some("route53-fips.amazonaws.com"),
            (Partition::Aws, false, true) => Some("route53.global.api.aws"),
            (Partition::AwsCn, false, false) => Some("route53.amazonaws.com.cn"),
            (Partition::AwsCn, false, true) => Some("route53.global.api.amazonwebservices.com.cn"),
            (Partition::AwsUsGov, _, false) => Some("route53.us-gov.amazonaws.com"),
            (Partition::AwsUsGov, false, true) => Some("route53.us-gov.api.aws"),
            _ => None,
        }
    }
}
