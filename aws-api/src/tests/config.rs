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
    for region in [
        "eu-west-1.evil.example",
        "eu/west",
        "EU-WEST-1",
        "eu-west-1#",
        "a@b-c-1",
        "west",
        "eu-west-",
        "-a-1",
        "a--b-1",
    ] {
        assert!(matches!(from(&[], Some(region)), Err(ConfigError::Invalid(_))), "{region}");
    }
    let error = from(&[], Some("fips-us-east-1")).unwrap_err();
    assert!(error.to_string().contains("use us-east-1, and AWS_USE_FIPS_ENDPOINT=true"), "{error}");
}

#[test]
fn a_region_that_is_new_goes_by_how_its_name_begins() {
    for (region, partition) in [
        ("eu-southeast-9", Partition::Aws),
        ("nz-north-1", Partition::Aws),
        ("cn-south-1", Partition::AwsCn),
        ("us-gov-north-2", Partition::AwsUsGov),
        ("eusc-de-west-1", Partition::AwsEusc),
        ("us-iso-north-1", Partition::AwsIso),
        ("us-isob-north-1", Partition::AwsIsoB),
        ("eu-isoe-north-1", Partition::AwsIsoE),
        ("us-isof-north-1", Partition::AwsIsoF),
    ] {
        assert_eq!(Partition::of_region(region), Ok(partition), "{region}");
    }
}

#[test]
fn the_old_host_of_sts_serves_the_old_regions_when_that_is_asked_for() {
    let sts = |region, variables: &[(&str, &str)]| {
        let config = from(variables, Some(region)).unwrap();
        (config.endpoints.sts.url, config.endpoints.sts.signing_region)
    };
    let pair = |url: &str, signing: &str| (url.to_owned(), signing.to_owned());
    let legacy = ("AWS_STS_REGIONAL_ENDPOINTS", "Legacy");
    assert_eq!(sts("eu-west-1", &[legacy]), pair("https://sts.amazonaws.com", "us-east-1"));
    assert_eq!(sts("me-south-1", &[legacy]), pair("https://sts.me-south-1.amazonaws.com", "me-south-1"));
    assert_eq!(sts("cn-north-1", &[legacy]), pair("https://sts.cn-north-1.amazonaws.com.cn", "cn-north-1"));
    let fips = ("AWS_USE_FIPS_ENDPOINT", "true");
    assert_eq!(sts("eu-west-1", &[legacy, fips]), pair("https://sts-fips.eu-west-1.amazonaws.com", "eu-west-1"));
    let own = ("AWS_ENDPOINT_URL", "http://localhost:1");
    assert_eq!(sts("eu-west-1", &[legacy, own]), pair("http://localhost:1", "eu-west-1"));
    assert_eq!(sts("aws-global", &[]), pair("https://sts.amazonaws.com", "us-east-1"));
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
    let both = [fips[0], ("AWS_USE_DUALSTACK_ENDPOINT", "true")];
    assert_eq!(
        urls("us-isob-east-1", &both),
        (
            Partition::AwsIsoB,
            text([
                "https://ec2-fips.us-isob-east-1.api.aws.scloud",
                "https://sts-fips.us-isob-east-1.api.aws.scloud",
                "https://route53-fips.api.aws.scloud",
                "us-isob-east-1"
            ])
        )
    );
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
        ("AWS_STS_REGIONAL_ENDPOINTS", "global"),
        ("AWS_USE_FIPS_ENDPOINT", "yes"),
        ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "1"),
    ] {
        let error = from(&[(name, value)], Some("eu-west-1")).unwrap_err().to_string();
        assert!(error.contains(name) && !error.contains("hush"), "{name}={value}: {error}");
    }
    let both = [("AWS_ENDPOINT_URL", "http://localhost"), ("AWS_USE_FIPS_ENDPOINT", "true")];
    assert!(from(&both, Some("eu-west-1")).unwrap_err().to_string().contains("one of them must go"));
}
