//! Region, partition and endpoints.

use super::kit::*;
use crate::operation::Service;
use crate::{Config, ConfigError, Partition};

fn from(variables: &[(&str, &str)], region: Option<&str>) -> Result<Config, ConfigError> {
    Config::from_environment(&environment(variables), region)
}

#[test]
fn the_region_is_the_flags_then_aws_region_then_aws_default_region() {
    let both = [("AWS_REGION", "eu-west-1"), ("AWS_DEFAULT_REGION", "eu-west-2")];
    assert_eq!(from(&both, Some("eu-west-3")).unwrap().region, "eu-west-3");
    assert_eq!(from(&both, Some(" ")).unwrap().region, "eu-west-1");
    assert_eq!(from(&both[1..], None).unwrap().region, "eu-west-2");
    assert_eq!(from(&[("AWS_REGION", ""), both[1]], None).unwrap().region, "eu-west-2");
    let error = from(&[], None).unwrap_err();
    assert!(matches!(&error, ConfigError::RegionUnknown(why) if why.contains("AWS_REGION")), "{error}");
}

#[test]
fn what_is_not_the_name_of_a_region_never_becomes_part_of_a_host() {
    for region in
        ["eu-west-1.evil.example", "eu/west", "EU-WEST-1", "eu-west-1#", "a@b-c-1", "west", "eu-west-", "-a-1"]
    {
        assert!(matches!(from(&[], Some(region)), Err(ConfigError::Invalid(_))), "{region}");
    }
    for region in ["us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "eusc-de-east-1"] {
        let error = from(&[], Some(region)).unwrap_err();
        assert!(error.to_string().contains("supported are aws, aws-cn and aws-us-gov"), "{error}");
    }
}

#[test]
fn each_partition_has_its_endpoints_and_signing_regions() {
    let urls = |region: &str, variables: &[(&str, &str)]| {
        let config = from(variables, Some(region)).unwrap();
        let url = |service| config.endpoint(service).url.clone();
        let signing = config.endpoints.route53.signing_region.clone();
        assert_eq!(config.endpoints.ec2.signing_region, region);
        assert_eq!(config.endpoints.sts.signing_region, region);
        (config.partition, [url(Service::Ec2), url(Service::Sts), url(Service::Route53), signing])
    };
    let text = |parts: [&str; 4]| parts.map(str::to_owned);
    assert_eq!(
        urls("ap-southeast-2", &[]),
        (
            Partition::Aws,
            text([
                "https://ec2.ap-southeast-2.amazonaws.com",
                "https://sts.ap-southeast-2.amazonaws.com",
                "https://route53.amazonaws.com",
                "us-east-1"
            ])
        )
    );
    assert_eq!(
        urls("cn-north-1", &[]),
        (
            Partition::AwsCn,
            text([
                "https://ec2.cn-north-1.amazonaws.com.cn",
                "https://sts.cn-north-1.amazonaws.com.cn",
                "https://route53.amazonaws.com.cn",
                "cn-northwest-1"
            ])
        )
    );
    let gov = text([
        "https://ec2.us-gov-east-1.amazonaws.com",
        "https://sts.us-gov-east-1.amazonaws.com",
        "https://route53.us-gov.amazonaws.com",
        "us-gov-west-1",
    ]);
    assert_eq!(urls("us-gov-east-1", &[]), (Partition::AwsUsGov, gov.clone()));
    let fips = [("AWS_USE_FIPS_ENDPOINT", "true")];
    assert_eq!(urls("us-gov-east-1", &fips), (Partition::AwsUsGov, gov));
    assert_eq!(
        urls("us-east-2", &fips).1,
        text([
            "https://ec2-fips.us-east-2.amazonaws.com",
            "https://sts-fips.us-east-2.amazonaws.com",
            "https://route53-fips.amazonaws.com",
            "us-east-1"
        ])
    );
    assert_eq!(
        urls("eu-west-1", &[("AWS_USE_DUALSTACK_ENDPOINT", "True")]).1,
        text([
            "https://ec2.eu-west-1.api.aws",
            "https://sts.eu-west-1.api.aws",
            "https://route53.global.api.aws",
            "us-east-1"
        ])
    );
    let error = from(&fips, Some("cn-north-1")).unwrap_err();
    assert!(error.to_string().contains("EC2 has no known endpoint in the partition aws-cn"), "{error}");
}

#[test]
fn an_endpoint_of_one_service_goes_before_that_of_all() {
    let variables =
        [("AWS_ENDPOINT_URL", "http://localhost:4566/"), ("AWS_ENDPOINT_URL_ROUTE_53", "https://r53.example/prefix/")];
    let config = from(&variables, Some("eu-west-1")).unwrap();
    assert_eq!(config.endpoints.ec2.url, "http://localhost:4566");
    assert_eq!(config.endpoints.sts.url, "http://localhost:4566");
    assert_eq!(config.endpoints.route53.url, "https://r53.example/prefix");
    assert_eq!(config.endpoints.route53.signing_region, "us-east-1");
    let ignored = [&variables[..], &[("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")]].concat();
    let config = from(&ignored, Some("eu-west-1")).unwrap();
    assert_eq!(config, Config::new("eu-west-1").unwrap());
}

#[test]
fn a_setting_that_cannot_be_used_is_named_and_never_quoted_with_a_password() {
    for (name, value) in [
        ("AWS_ENDPOINT_URL", "localhost:4566"),
        ("AWS_ENDPOINT_URL_EC2", "ftp://x"),
        ("AWS_ENDPOINT_URL_STS", "https://user:hush@host/"),
        ("AWS_ENDPOINT_URL_ROUTE_53", "https://host/?a=b"),
        ("AWS_ENDPOINT_URL", "https:///x"),
        ("AWS_MAX_ATTEMPTS", "0"),
        ("AWS_MAX_ATTEMPTS", "many"),
        ("AWS_RETRY_MODE", "brave"),
        ("AWS_USE_FIPS_ENDPOINT", "yes"),
        ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "1"),
    ] {
        let error = from(&[(name, value)], Some("eu-west-1")).unwrap_err().to_string();
        assert!(error.contains(name) && !error.contains("hush"), "{name}={value}: {error}");
    }
    let both = [("AWS_ENDPOINT_URL", "http://localhost"), ("AWS_USE_FIPS_ENDPOINT", "true")];
    assert!(from(&both, Some("eu-west-1")).unwrap_err().to_string().contains("one of them must go"));
}
