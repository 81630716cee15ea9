//! Signatures, against what botocore 1.43 computes for the same request, keys and time.

use std::sync::Arc;
use std::time::Duration;

use super::kit::*;
use crate::{Client, ClientParts, Config, Credentials, Keys, ec2, route53, sts};

fn authorization(aws: &Aws) -> String {
    aws.seen().last().unwrap().header("authorization").unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_form_with_a_session_token_is_signed_as_botocore_does() {
    let (aws, clock) = (Aws::always(ok(NO_GROUPS)), Clock::new());
    let keys = Keys::new(ACCESS_KEY, SECRET_KEY, Some("token/example+1=="), None).unwrap();
    let credentials = Arc::new(Credentials::fixed(keys, clock.clone(), Arc::new(MOST)));
    let client = Client::new(ClientParts { credentials, ..parts(&aws, &clock) });
    let groups = ec2::DescribeSecurityGroups { group_ids: vec!["sg-1".into()], ..Default::default() };
    client.send(&groups).await.unwrap();
    let seen = &aws.seen()[0];
    assert_eq!(seen.body, "Action=DescribeSecurityGroups&Version=2016-11-15&GroupId.1=sg-1");
    assert_eq!((seen.method.as_str(), seen.uri.as_str()), ("POST", "https://ec2.eu-west-1.amazonaws.com/"));
    assert_eq!(seen.header("x-amz-date"), Some("20261126T010203Z"));
    assert_eq!(seen.header("x-amz-security-token"), Some("token/example+1=="));
    assert_eq!(
        authorization(&aws),
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261126/eu-west-1/ec2/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, \
         Signature=d93f8f538a1157d27918cad4af43b25300343f1175720336eec3d30665c15a6c"
    );
}

#[tokio::test(start_paused = true)]
async fn a_query_string_is_signed_as_botocore_does_and_for_the_region_of_route_53() {
    let body = "<ListResourceRecordSetsResponse><ResourceRecordSets/><IsTruncated>false</IsTruncated>\
                <MaxItems>1</MaxItems></ListResourceRecordSetsResponse>";
    let aws = Aws::always(ok(body));
    let records = route53::ListResourceRecordSets {
        hosted_zone_id: "/hostedzone/Z1".into(),
        start_record_name: Some("\\052.example.com.".into()),
        start_record_type: Some(route53::RRType::A),
        ..Default::default()
    };
    client(&aws).send(&records).await.unwrap();
    let uri = "https://route53.amazonaws.com/2013-04-01/hostedzone/Z1/rrset?name=%5C052.example.com.&type=A";
    assert_eq!(aws.seen()[0].uri, uri);
    assert_eq!(
        authorization(&aws),
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261126/us-east-1/route53/aws4_request, \
         SignedHeaders=host;x-amz-date, \
         Signature=6c7591ee26fd6b8bad91423ef91a6ba37141f905b6fbf8b69ba39e34b6d96fb8"
    );
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_with_a_port_is_signed_as_botocore_does() {
    let body = "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>1</Account></GetCallerIdentityResult>\
                </GetCallerIdentityResponse>";
    let (aws, clock) = (Aws::always(ok(body)), Clock::new());
    let environment = environment(&[("AWS_ENDPOINT_URL", "http://127.0.0.1:4566/")]);
    let config = Config::from_environment(&environment, Some("cn-north-1")).unwrap();
    Client::new(ClientParts { config, ..parts(&aws, &clock) }).send(&sts::GetCallerIdentity).await.unwrap();
    assert_eq!(
        authorization(&aws),
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261126/cn-north-1/sts/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date, \
         Signature=a408dd979b9025b222c224fb00bfb33866bcdf00af479f2b8a59628a172ee42f"
    );
}

#[tokio::test(start_paused = true)]
async fn each_attempt_is_signed_anew() {
    let slow = Step::After(Duration::from_secs(2), Box::new(ec2_error(500, "InternalError")));
    let aws = Aws::script([slow, ok(NO_GROUPS)]);
    client(&aws).send(&ec2::DescribeSecurityGroups::default()).await.unwrap();
    let (first, second) = (&aws.seen()[0], &aws.seen()[1]);
    assert_eq!(first.header("x-amz-date"), Some("20261126T010203Z"));
    assert_eq!(second.header("x-amz-date"), Some("20261126T010205Z"));
    assert_ne!(first.header("authorization"), second.header("authorization"));
}

fn identity_with(clock: &Arc<Clock>, code: &str) -> Step {
    with(ec2_error(403, code), "date", clock.date())
}

#[tokio::test(start_paused = true)]
async fn a_wrong_clock_is_corrected_once_by_the_servers_date_and_stays_corrected() {
    for (code, wrong) in [
        ("RequestExpired", -1200),
        ("RequestTimeTooSkewed", 1200),
        ("SignatureDoesNotMatch", 900),
        ("InvalidSignatureException", -400),
        ("AuthFailure", 86_400),
    ] {
        let clock = Clock::new();
        clock.wrong_by(wrong);
        let aws = Aws::script([identity_with(&clock, code), ok(TAGGED), ok(TAGGED)]);
        let client = Client::new(parts(&aws, &clock));
        client.send(&ec2::CreateTags::default()).await.unwrap();
        client.send(&ec2::CreateTags::default()).await.unwrap();
        let dates: Vec<_> = aws.seen().iter().map(|seen| seen.header("x-amz-date").unwrap().to_owned()).collect();
        assert_ne!(dates[0], "20261126T010203Z", "{code}");
        assert_eq!(dates[1..], ["20261126T010203Z", "20261126T010203Z"], "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_is_corrected_again_in_either_direction_and_for_all_services() {
    let clock = Clock::new();
    let aws = Aws::answering({
        let clock = clock.clone();
        move |seen| {
            let right = jiff::Timestamp::try_from(clock.right()).unwrap().strftime("%Y%m%dT%H%M").to_string();
            match seen.header("x-amz-date").is_some_and(|date| date.starts_with(&right)) {
                true if seen.uri.contains("route53") => ok(NO_ZONES),
                true => ok(TAGGED),
                false => with(rest_error(403, "SignatureDoesNotMatch"), "date", clock.date()),
            }
        }
    });
    let client = Client::new(parts(&aws, &clock));
    let mut sent = 0;
    for wrong in [1200, -1200, 0, 86_400, 90] {
        clock.wrong_by(wrong);
        client.send(&route53::ListHostedZones::default()).await.unwrap();
        // The other service finds the correction in place.
        client.send(&ec2::CreateTags::default()).await.unwrap();
        sent += 3;
        assert_eq!(aws.count(), sent, "{wrong}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_date_beyond_all_time_is_no_reason_to_fall_over() {
    let clock = Clock::new();
    for date in ["Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT", "Mon, 01 Jan 1601 00:00:00 GMT"] {
        let aws = Aws::always(with(ec2_error(403, "RequestExpired"), "date", date));
        let client = Client::new(parts(&aws, &clock));
        let error = client.send(&ec2::DescribeSecurityGroups::default()).await.unwrap_err();
        assert!(error.class == crate::Class::Denied || error.class == crate::Class::Invalid, "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_stays_wrong_after_its_correction_is_an_error_and_no_loop() {
    let clock = Clock::new();
    clock.wrong_by(1200);
    let dates = ["Thu, 26 Nov 2026 03:00:00 GMT", "Thu, 26 Nov 2026 09:00:00 GMT"];
    let aws = Aws::script(dates.map(|date| with(ec2_error(403, "RequestExpired"), "date", date)));
    let error = Client::new(parts(&aws, &clock)).send(&ec2::DescribeSecurityGroups::default()).await.unwrap_err();
    assert_eq!((error.class, aws.count()), (crate::Class::Denied, 2));
}

#[tokio::test(start_paused = true)]
async fn a_refused_signature_with_a_right_clock_is_final() {
    let clock = Clock::new();
    let aws = Aws::script([identity_with(&clock, "SignatureDoesNotMatch")]);
    let error = Client::new(parts(&aws, &clock)).send(&ec2::DescribeSecurityGroups::default()).await.unwrap_err();
    assert_eq!((error.class, aws.count()), (crate::Class::Denied, 1));
    // Nor is anything else tried again for a wrong clock.
    clock.wrong_by(1200);
    let aws = Aws::script([identity_with(&clock, "UnauthorizedOperation")]);
    Client::new(parts(&aws, &clock)).send(&ec2::DescribeSecurityGroups::default()).await.unwrap_err();
    assert_eq!(aws.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_request_tells_the_transport_what_it_is() {
    let aws = Aws::script([ok(TAGGED), ok(NO_ZONES)]);
    let client = client(&aws);
    client.send(&ec2::CreateTags::default()).await.unwrap();
    client.send(&route53::ListHostedZones::default()).await.unwrap();
    let attempts: Vec<_> = aws.seen().iter().map(|seen| seen.attempt.unwrap()).collect();
    assert_eq!((attempts[0].operation, attempts[0].mutates), ("CreateTags", true));
    assert_eq!((attempts[1].operation, attempts[1].mutates), ("ListHostedZones", false));
    assert_eq!(attempts[0].timeout, client.config().write_timeout);
    assert_eq!(attempts[1].timeout, client.config().read_timeout);
}
