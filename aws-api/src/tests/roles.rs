//! A role that is taken on for one service, and what STS may answer.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::kit::*;
use crate::transport::MAX_ANSWER;
use crate::{
    AssumedRole, Class, Client, ClientParts, Config, Credentials, CredentialsError, CredentialsParts, HttpOptions, ec2,
    http_transport, route53,
};

const ARN: &str = "arn:aws:iam::111122223333:role/dns";

fn role() -> AssumedRole {
    AssumedRole { arn: ARN.to_owned(), external_id: Some("shared".to_owned()), ..AssumedRole::default() }
}

fn assume(sts: &Aws, clock: &Arc<Clock>) -> Result<Credentials, CredentialsError> {
    Credentials::assume_role(fixed_keys(clock), role(), &credentials_parts(sts, clock))
}

fn assumed(id: &str, expires: &str) -> Step {
    assumed_role("AssumeRole", id, expires)
}

#[tokio::test(start_paused = true)]
async fn one_service_may_be_asked_with_a_role_while_another_is_not() {
    let clock = Clock::new();
    let sts = Aws::script([assumed("R1", &clock.in_seconds(3600))]);
    let its = Arc::new(assume(&sts, &clock).unwrap());
    assert_eq!(its.source(), format!("the role {ARN} through keys that were given"));
    let aws = Aws::script([ok(NO_GROUPS), ok(NO_ZONES)]);
    let own = Client::new(parts(&aws, &clock));
    let dns = Client::new(ClientParts { credentials: its, ..parts(&aws, &clock) });
    own.send(&ec2::DescribeSecurityGroups::default()).await.unwrap();
    dns.send(&route53::ListHostedZones::default()).await.unwrap();
    let seen = aws.seen();
    let signed = |seen: &Seen, id: &str| seen.header("authorization").unwrap().contains(&format!("Credential={id}/"));
    assert!(signed(&seen[0], ACCESS_KEY) && signed(&seen[1], "R1"));
    assert_eq!((seen[0].header("x-amz-security-token"), seen[1].header("x-amz-security-token")), (None, Some("t")));
    // STS itself is asked with the own keys; the session is named by the time.
    assert!(signed(&sts.seen()[0], ACCESS_KEY));
    assert!(
        sts.seen()[0].body.contains("&RoleSessionName=aws-api-1795654923000&ExternalId=shared"),
        "{}",
        sts.seen()[0].body
    );
}

#[tokio::test(start_paused = true)]
async fn keys_of_a_role_that_aws_calls_expired_are_replaced_once() {
    let clock = Clock::new();
    let sts = Aws::script(["R1", "R2"].map(|id| assumed(id, &clock.in_seconds(3600))));
    let aws = Aws::script([rest_error(403, "ExpiredToken"), ok(NO_ZONES)]);
    let credentials = Arc::new(assume(&sts, &clock).unwrap());
    let client = Client::new(ClientParts { credentials, ..parts(&aws, &clock) });
    client.send(&route53::ListHostedZones::default()).await.unwrap();
    assert!(aws.seen()[1].header("authorization").unwrap().contains("Credential=R2/"));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_answer_of_sts_is_told_with_the_chain_and_without_secrets() {
    let clock = Clock::new();
    let over = clock.in_seconds(-1);
    let keys = |inner: &str| {
        ok(format!("<AssumeRoleResponse><AssumeRoleResult>{inner}</AssumeRoleResult></AssumeRoleResponse>"))
    };
    let partial = "<Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>hush</SecretAccessKey></Credentials>";
    let odd = "<Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>hush 1</SecretAccessKey>\
               <SessionToken>hush</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>";
    for (step, temporary, expected) in [
        (rest_error(403, "AccessDenied"), false, "AccessDenied"),
        (rest_error(400, "RegionDisabledException"), false, "RegionDisabledException"),
        (rest_error(400, "Throttling"), true, "Throttling"),
        (rest_error(503, "ServiceUnavailable"), true, "ServiceUnavailable"),
        (status(429, "hush"), true, "HTTP status 429"),
        (status(500, "<html>hush</html>"), true, "HTTP status 500"),
        (status(403, "<html>hush</html>"), false, "HTTP status 403"),
        (ok("<html>hush</html>"), true, "can't be read"),
        (ok("{\"hush\":1}"), true, "can't be read"),
        (ok(""), true, "can't be read"),
        (keys(""), true, "without credentials"),
        (keys(partial), true, "can't be read"),
        (keys(odd), true, "can't be used"),
        (assumed("A", "hush"), true, "can't be read"),
        (assumed("A", &over), true, "is the clock right"),
        (ok("x".repeat(MAX_ANSWER + 1)), true, "too large"),
        (Step::Hang, true, "nothing came in time"),
        (lost(), true, "reset"),
        (not_sent(), true, "refused"),
    ] {
        let sts = Aws::always(step);
        let error = assume(&sts, &clock).unwrap().keys().await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(
            text.contains(expected) && text.contains(ARN) && text.contains("through keys that were given"),
            "{expected}: {text}"
        );
        assert_eq!(error.temporary, temporary, "{text}");
        assert!(!text.contains("hush"), "{text}");
        assert!(sts.count() <= 3, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_sts_holds_a_call_up_for_ten_seconds_at_most() {
    let clock = Clock::new();
    let start = tokio::time::Instant::now();
    assume(&Aws::always(Step::Hang), &clock).unwrap().keys().await.unwrap_err();
    assert!(start.elapsed() <= Duration::from_secs(10), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_role_is_refused_is_denied_and_sends_nothing() {
    let (clock, aws) = (Clock::new(), Aws::script([]));
    let credentials = Arc::new(assume(&Aws::always(rest_error(403, "AccessDenied")), &clock).unwrap());
    let client = Client::new(ClientParts { credentials, ..parts(&aws, &clock) });
    let error = client.send(&route53::ListHostedZones::default()).await.unwrap_err();
    assert_eq!((error.class, aws.count()), (Class::Denied, 0));
    assert!(error.message.contains(ARN) && error.message.contains("AccessDenied"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_observer_is_told_of_calls_of_sts_and_of_every_renewal() {
    let (clock, notes) = (Clock::new(), Arc::new(Notes::default()));
    let mut steps = vec![rest_error(400, "Throttling"), assumed("R1", &clock.in_seconds(3600))].into_iter();
    let sts = Aws::answering(move |_| steps.next().unwrap_or_else(|| rest_error(403, "AccessDenied")));
    let parts = CredentialsParts { observer: notes.clone(), ..credentials_parts(&sts, &clock) };
    let credentials = Credentials::assume_role(fixed_keys(&clock), role(), &parts).unwrap();
    credentials.keys().await.unwrap();
    tokio::time::advance(Duration::from_secs(3500)).await;
    credentials.keys().await.unwrap();
    let name = credentials.source();
    assert_eq!(
        *notes.0.lock().unwrap(),
        [
            "attempt STS AssumeRole Some(400) Some(\"Throttling\")".to_owned(),
            "attempt STS AssumeRole Some(200) None".to_owned(),
            "call STS AssumeRole Ok(()) 1".to_owned(),
            format!("credentials {name} Ok(true)"),
            "attempt STS AssumeRole Some(403) Some(\"AccessDenied\")".to_owned(),
            "call STS AssumeRole Err(Denied) 0".to_owned(),
            format!("credentials {name} Err(false)"),
        ]
    );
}

#[test]
fn a_role_that_cannot_be_taken_on_is_refused_before_anybody_is_asked() {
    let clock = Clock::new();
    let refused = |role: AssumedRole| {
        let parts = credentials_parts(&Aws::script([]), &clock);
        Credentials::assume_role(fixed_keys(&clock), role, &parts).unwrap_err().to_string()
    };
    assert!(refused(AssumedRole { arn: "dns".into(), ..role() }).contains("looks like arn:aws:iam::"));
    let chinese = refused(AssumedRole { arn: ARN.replace("aws:iam", "aws-cn:iam"), ..role() });
    assert!(chinese.contains("partition aws-cn") && chinese.contains("partition aws:"), "{chinese}");
    assert!(refused(AssumedRole { external_id: Some("x".into()), ..role() }).contains("external id"));
    assert!(refused(AssumedRole { session_name: Some("x".into()), ..role() }).contains("session's name"));
    assert!(refused(AssumedRole { duration: Some(Duration::from_secs(1)), ..role() }).contains("900 to 43200"));
}

/// Answers each connection once: the requests as they came.
async fn server(answers: Vec<String>) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = tokio::spawn(async move {
        let mut requests = Vec::new();
        for body in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
            let mut content = vec![0; length];
            stream.read_exact(&mut content).await.unwrap();
            let answer =
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
            requests.push(head + std::str::from_utf8(&content).unwrap());
        }
        requests
    });
    (address, serving)
}

#[tokio::test]
async fn a_role_through_the_instance_is_taken_on_over_real_connections() {
    let document = "{\"Code\":\"Success\",\"AccessKeyId\":\"I1\",\"SecretAccessKey\":\"s\",\"Token\":\"t\"}";
    let (imds, imds_requests) = server(["imds-token", "the-role", document].map(str::to_owned).into()).await;
    let Step::Answer(_, _, answer) = assumed("R1", "2026-11-26T02:02:03Z") else { panic!("an answer") };
    let (sts, sts_requests) = server(vec![String::from_utf8(answer.to_vec()).unwrap()]).await;
    let files = SharedFiles::new(
        "real",
        &format!(
            "[default]\nregion=eu-west-1\nrole_arn={ARN}\ncredential_source=Ec2InstanceMetadata\nservices=s\n\
             ec2_metadata_service_endpoint=http://{imds}\n[services s]\nsts=\n  endpoint_url=http://{sts}"
        ),
        "",
    );
    let settings = settings(&files.variables(&[]));
    let parts = CredentialsParts {
        transport: http_transport(HttpOptions::default()).unwrap(),
        config: Config::from_settings(&settings, None).unwrap(),
        ..credentials_parts(&Aws::script([]), &Clock::new())
    };
    let credentials = Credentials::from_settings(&settings, &parts).unwrap();
    assert_eq!(credentials.keys().await.unwrap().access_key_id, "R1");
    let imds_requests = imds_requests.await.unwrap();
    assert!(imds_requests[0].starts_with("PUT /latest/api/token HTTP/1.1\r\n"), "{}", imds_requests[0]);
    assert!(imds_requests[0].contains("x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n"), "{}", imds_requests[0]);
    assert!(imds_requests[2].starts_with("GET /latest/meta-data/iam/security-credentials/the-role HTTP/1.1\r\n"));
    assert!(imds_requests[2].contains("x-aws-ec2-metadata-token: imds-token\r\n"), "{}", imds_requests[2]);
    let request = &sts_requests.await.unwrap()[0];
    assert!(request.starts_with("POST / HTTP/1.1\r\n") && request.contains("Credential=I1/"), "{request}");
}
