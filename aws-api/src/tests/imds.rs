//! The instance is asked for the region last, and says what to do when it can't be.

use std::time::Duration;

use tokio::time::Instant;

use super::kit::*;
use crate::transport::MAX_ANSWER;
use crate::{Config, ConfigError, Credentials, TransportError};

const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";

fn token() -> Step {
    with(ok("imds-token"), TTL, "21600")
}

async fn resolve(aws: &Aws, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::resolve(&settings(variables), None, aws.transport(), Clock::new()).await
}

#[tokio::test(start_paused = true)]
async fn the_instance_is_asked_for_the_region_only_when_nothing_else_tells_it() {
    let aws = Aws::script([]);
    assert_eq!(resolve(&aws, &[("AWS_REGION", "eu-west-1")]).await.unwrap().region, "eu-west-1");
    let aws = Aws::script([token(), ok("eu-north-1\n")]);
    assert_eq!(resolve(&aws, &[]).await.unwrap().region, "eu-north-1");
    let seen = aws.seen();
    assert_eq!((seen[0].method.as_str(), seen[0].header(TTL)), ("PUT", Some("21600")));
    assert_eq!(seen[0].uri, "http://169.254.169.254/latest/api/token");
    assert_eq!(seen[1].uri, "http://169.254.169.254/latest/meta-data/placement/region");
    assert_eq!((seen[1].method.as_str(), seen[1].header("x-aws-ec2-metadata-token")), ("GET", Some("imds-token")));
}

#[tokio::test(start_paused = true)]
async fn a_setting_that_is_wrong_is_not_covered_up_by_the_instance() {
    let error = resolve(&Aws::script([]), &[("AWS_REGION", "Frankfurt")]).await.unwrap_err();
    assert!(matches!(error, ConfigError::Invalid(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn silence_is_explained_by_the_hop_limit_within_seconds() {
    for step in [Step::Hang, Step::Fail(TransportError::NotSent("no route".into())), lost()] {
        let start = Instant::now();
        let error = resolve(&Aws::always(step), &[]).await.unwrap_err();
        let ConfigError::RegionUnknown(why) = &error else { panic!("{error}") };
        assert!(why.contains("HttpPutResponseHopLimit=1") && why.contains("AWS_REGION"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_disabled_service_is_named() {
    let error = resolve(&Aws::script([status(403, "")]), &[]).await.unwrap_err().to_string();
    assert!(error.contains("IMDS is disabled") && error.contains("403"), "{error}");
    let aws = Aws::script([]);
    let error = resolve(&aws, &[("AWS_EC2_METADATA_DISABLED", "TRUE")]).await.unwrap_err().to_string();
    assert!(error.contains("AWS_EC2_METADATA_DISABLED") && error.contains("AWS_REGION"), "{error}");
    // Version 1 is never the way out.
    let error = resolve(&Aws::script([status(404, "")]), &[]).await.unwrap_err().to_string();
    assert!(error.contains("version 1 is never used"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_busy_service_is_asked_again_four_times_in_all() {
    let aws = Aws::script([status(500, ""), status(503, ""), token(), lost(), status(429, ""), ok("eu-west-1")]);
    assert_eq!(resolve(&aws, &[]).await.unwrap().region, "eu-west-1");
    let aws = Aws::always(status(500, ""));
    resolve(&aws, &[]).await.unwrap_err();
    assert_eq!(aws.count(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_not_accepted_is_replaced_once() {
    let aws = Aws::script([token(), status(401, ""), token(), ok("eu-west-1")]);
    assert_eq!(resolve(&aws, &[]).await.unwrap().region, "eu-west-1");
    let aws = Aws::script([token(), status(401, ""), token(), status(401, "")]);
    assert!(resolve(&aws, &[]).await.unwrap_err().to_string().contains("401"));
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_two_minutes_before_its_end_as_the_answer_gives_it() {
    let clock = Clock::new();
    let (given, time) = (Duration::from_secs(600), clock.clone());
    let aws = Aws::answering(move |seen| match seen.uri.rsplit('/').next() {
        Some("token") => with(ok("imds-token"), TTL, given.as_secs().to_string()),
        Some("") => ok("role-1\nrole-2"),
        _ => ok(format!(
            "{{\"AccessKeyId\":\"I1\",\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":\"{}\"}}",
            time.in_seconds(2)
        )),
    });
    let credentials = Credentials::from_settings(&settings(&[]), &credentials_parts(&aws, &clock)).unwrap();
    let puts = |aws: &Aws| aws.seen().iter().filter(|seen| seen.method == "PUT").count();
    credentials.keys().await.unwrap();
    tokio::time::advance(given - Duration::from_secs(121)).await;
    credentials.keys().await.unwrap();
    assert_eq!(puts(&aws), 1);
    tokio::time::advance(Duration::from_secs(2)).await;
    credentials.keys().await.unwrap();
    assert_eq!(puts(&aws), 2);
    // Of several roles the first is meant.
    assert!(aws.seen().iter().filter(|seen| seen.uri.contains("role-")).all(|seen| seen.uri.ends_with("/role-1")));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_answer_with_keys_is_told_and_never_quoted() {
    let keys = |more: &str| ok(format!("{{\"SecretAccessKey\":\"hush\",\"Token\":\"hush\"{more}}}"));
    for (step, expected) in [
        (ok("<html>hush</html>"), "aren't a JSON document"),
        (ok("[\"hush\"]"), "aren't a JSON document"),
        (keys(""), "lack a part"),
        (keys(",\"AccessKeyId\":\"A\",\"Expiration\":\"hush\""), "unreadable expiry"),
        (keys(",\"AccessKeyId\":\"A B\""), "can't be used"),
        (keys(",\"Code\":\"Failed\""), "Failed"),
        (ok("x".repeat(MAX_ANSWER + 1)), "too large"),
        (status(403, "hush"), "HTTP status 403"),
        (status(404, "hush"), "no IAM role"),
        (status(500, "hush"), "HTTP status 500"),
        (Step::Hang, "doesn't answer"),
    ] {
        let aws = Aws::answering(move |seen| match seen.uri.rsplit('/').next() {
            Some("token") => token(),
            Some("") => ok("the-role"),
            _ => step.clone(),
        });
        let parts = credentials_parts(&aws, &Clock::new());
        let error = Credentials::from_settings(&settings(&[]), &parts).unwrap().keys().await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(expected) && text.contains("IMDSv2") && !text.contains("hush"), "{expected}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn version_1_is_never_used_whatever_is_set() {
    for value in ["true", "false", "odd"] {
        let aws = Aws::script([status(403, "")]);
        let error = resolve(&aws, &[("AWS_EC2_METADATA_V1_DISABLED", value)]).await.unwrap_err();
        assert!(error.to_string().contains("IMDS is disabled"), "{error}");
    }
    let aws = Aws::script([status(400, "")]);
    assert!(resolve(&aws, &[]).await.unwrap_err().to_string().contains("gave no token: HTTP status 400"));
}

#[tokio::test(start_paused = true)]
async fn the_endpoint_of_the_profile_is_behind_that_of_the_variable() {
    let files = SharedFiles::new("imds-profile", "[default]\nec2_metadata_service_endpoint_mode = IPv6", "");
    let aws = Aws::script([token(), ok("eu-west-1")]);
    resolve(&aws, &files.variables(&[])).await.unwrap();
    assert!(aws.seen()[0].uri.starts_with("http://[fd00:ec2::254]/"));
    let aws = Aws::script([token(), ok("eu-west-1")]);
    resolve(&aws, &files.variables(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv4")])).await.unwrap();
    assert!(aws.seen()[0].uri.starts_with("http://169.254.169.254/"));
}

#[tokio::test(start_paused = true)]
async fn the_endpoint_can_be_set() {
    let answers = || Aws::script([token(), ok("eu-west-1")]);
    for (variables, host) in [
        (&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1338/")][..], "http://127.0.0.1:1338/latest"),
        (&[("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6")], "http://[fd00:ec2::254]/latest"),
        (&[("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ipv4")], "http://169.254.169.254/latest"),
    ] {
        let aws = answers();
        resolve(&aws, variables).await.unwrap();
        assert!(aws.seen()[0].uri.starts_with(host), "{}", aws.seen()[0].uri);
    }
    let error = resolve(&answers(), &[("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv5")]).await.unwrap_err();
    assert!(matches!(error, ConfigError::Invalid(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_region_is_an_error() {
    for body in ["", "<html>login</html>", "eu-west-1.evil.example"] {
        resolve(&Aws::script([token(), ok(body)]), &[]).await.unwrap_err();
    }
}
