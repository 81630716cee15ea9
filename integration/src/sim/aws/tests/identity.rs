//! Who is let in, and what for.

use std::time::Duration;

use aws_api::{Config, Credentials, CredentialsParts, Keys, NoObserver, Settings, Transport, ec2, route53, sts};

use super::super::Policy;
use super::kit::{Kit, US};
use crate::sim::event::{Actor, Event};
use crate::sim::fault::Fault;
use crate::sim::{Clock, Random};

const GROUPS: fn() -> ec2::DescribeSecurityGroups = Default::default;
const ZONES: fn() -> route53::ListHostedZones = Default::default;

/// The codes of EC2, Route 53 and STS for keys.
async fn codes(kit: &Kit, keys: Keys) -> [String; 3] {
    // Each of these clients reckons with a full bucket.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let client = kit.client_with(keys);
    let code = |error: aws_api::Error| format!("{} {}", error.status.unwrap(), error.code.unwrap());
    [
        client.send(&GROUPS()).await.map_or_else(code, |_| "fine".to_owned()),
        client.send(&ZONES()).await.map_or_else(code, |_| "fine".to_owned()),
        client.send(&sts::GetCallerIdentity {}).await.map_or_else(code, |_| "fine".to_owned()),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_signature_must_be_right() {
    let kit = Kit::new();
    let keys = |id, secret, token| Keys::new(id, secret, token, None).unwrap();
    assert_eq!(codes(&kit, keys("AKIDUS", "secret", None)).await, ["fine"; 3]);
    assert_eq!(
        codes(&kit, keys("AKIDUS", "Secret", None)).await,
        ["401 AuthFailure", "403 SignatureDoesNotMatch", "403 SignatureDoesNotMatch"]
    );
    assert_eq!(
        codes(&kit, keys("AKIDOTHER", "secret", None)).await,
        ["401 AuthFailure", "403 InvalidClientTokenId", "403 InvalidClientTokenId"]
    );
    let stray_token = codes(&kit, keys("AKIDUS", "secret", Some("token"))).await;
    assert_eq!(stray_token, ["401 AuthFailure", "403 InvalidClientTokenId", "403 InvalidClientTokenId"]);
    kit.aws.add_principal("ASIATOKEN", "secret", Some("token"), Policy::anything(), US);
    assert_eq!(codes(&kit, keys("ASIATOKEN", "secret", Some("token"))).await, ["fine"; 3]);
    assert_eq!(codes(&kit, keys("ASIATOKEN", "secret", None)).await[1], "403 InvalidClientTokenId");
}

#[tokio::test(start_paused = true)]
async fn what_was_signed_is_what_is_read() {
    let kit = Kit::new();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(None));
    // A client whose request is caught, changed and sent on.
    let transport = {
        let seen = seen.clone();
        aws_api::Transport::new(tower::service_fn(move |request: http::Request<bytes::Bytes>| {
            *seen.lock().unwrap() = Some(request);
            std::future::ready(Err(aws_api::TransportError::NotSent("caught".into())))
        }))
    };
    let (time, random) = (std::sync::Arc::new(kit.stage.clock.clone()), std::sync::Arc::new(Random::new(7)));
    let mut config = aws_api::Config::new("eu-west-1").unwrap();
    config.max_attempts = 1;
    let keys = Keys::new("AKIDUS", "secret", None, None).unwrap();
    let client = aws_api::Client::new(aws_api::ClientParts {
        transport,
        config,
        credentials: std::sync::Arc::new(aws_api::Credentials::fixed(keys, time.clone(), random.clone())),
        time,
        random,
        observer: std::sync::Arc::new(aws_api::NoObserver),
    });
    client.send(&GROUPS()).await.unwrap_err();
    let (parts, body) = seen.lock().unwrap().take().unwrap().into_parts();
    let request = |body: bytes::Bytes| http::Request::from_parts(parts.clone(), body);
    assert_eq!(kit.aws.exchange(US, request(body.clone())).await.unwrap().status(), 200);
    let more = [&body[..], b"&MaxResults=5"].concat();
    assert_eq!(kit.aws.exchange(US, request(more.into())).await.unwrap().status(), 401);
    let mut unsigned = request(body);
    unsigned.headers_mut().remove("authorization");
    assert_eq!(kit.aws.exchange(US, unsigned).await.unwrap().status(), 401);
}

#[tokio::test(start_paused = true)]
async fn a_clock_may_be_wrong_by_minutes_only() {
    let kit = Kit::new();
    let keys = || Keys::new("AKIDUS", "secret", None, None).unwrap();
    for off in [-240, 240] {
        kit.aws.set_clock_off(off);
        assert_eq!(codes(&kit, keys()).await, ["fine"; 3], "{off}");
    }
    // The client corrects itself by the answer's date.
    kit.aws.set_clock_off(600);
    assert_eq!(codes(&kit, keys()).await, ["fine"; 3]);
    kit.dateless();
    assert_eq!(codes(&kit, keys()).await, ["400 RequestExpired", "fine", "403 SignatureDoesNotMatch"]);
    kit.aws.set_clock_off(1200);
    assert_eq!(
        codes(&kit, keys()).await,
        ["400 RequestExpired", "403 SignatureDoesNotMatch", "403 SignatureDoesNotMatch"]
    );
    kit.aws.set_clock_off(-1200);
    assert_eq!(
        codes(&kit, keys()).await,
        ["401 AuthFailure", "403 SignatureDoesNotMatch", "403 SignatureDoesNotMatch"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_role_gives_keys_that_end() {
    let kit = Kit::new();
    kit.aws.set_policy(US, Policy::anything());
    let other = Actor::Replica(2);
    let role = kit.aws.add_role("external-ips", Policy::anything(), &[("its-token", other)]);
    let assume = sts::AssumeRole {
        role_arn: role.clone(),
        role_session_name: "session".into(),
        duration_seconds: Some(900),
        ..Default::default()
    };
    let given = kit.client.send(&assume).await.unwrap().credentials.unwrap();
    let keys = |given: &sts::Credentials| {
        Keys::new(&given.access_key_id, &given.secret_access_key, Some(&given.session_token), None).unwrap()
    };
    let mine = keys(&given);
    assert_eq!(codes(&kit, mine.clone()).await, ["fine"; 3]);
    let web = sts::AssumeRoleWithWebIdentity {
        role_arn: role.clone(),
        role_session_name: "session".into(),
        web_identity_token: "its-token".into(),
        ..Default::default()
    };
    let theirs = keys(&kit.client.send(&web).await.unwrap().credentials.unwrap());
    assert_eq!(codes(&kit, theirs.clone()).await, ["fine"; 3]);
    let by_other = kit.stage.journal.events().into_iter().filter(|(_, event)| match event {
        Event::Called(call) => call.actor == other,
        _ => false,
    });
    assert_eq!(by_other.count(), 3);
    tokio::time::sleep(Duration::from_secs(900)).await;
    let over = ["400 RequestExpired", "403 ExpiredToken", "403 ExpiredToken"];
    assert_eq!(codes(&kit, mine).await, over);
    assert_eq!(codes(&kit, theirs.clone()).await, ["fine"; 3]);
    kit.aws.expire_keys();
    assert_eq!(codes(&kit, theirs).await, over);
    let wrong = sts::AssumeRoleWithWebIdentity { web_identity_token: "another".into(), ..web };
    assert_eq!(kit.refused(&wrong).await, "InvalidIdentityToken");
    let unknown = sts::AssumeRole { role_arn: "arn:aws:iam::123456789012:role/no".into(), ..assume.clone() };
    assert_eq!(kit.refused(&unknown).await, "AccessDenied");
    kit.aws.set_policy(US, Policy::anything().without(&["sts:AssumeRole"]));
    assert_eq!(kit.refused(&assume).await, "AccessDenied");
}

fn parts(transport: Transport, config: Config, time: std::sync::Arc<Clock>) -> CredentialsParts {
    let observer = std::sync::Arc::new(NoObserver);
    CredentialsParts { transport, config, time, random: std::sync::Arc::new(Random::new(7)), observer }
}

#[tokio::test(start_paused = true)]
async fn the_metadata_service_gives_region_and_keys() {
    let kit = Kit::new();
    kit.aws.add_role("node", Policy::anything(), &[]);
    kit.aws.set_instance_role(Some("node"));
    let time = std::sync::Arc::new(kit.stage.clock.clone());
    let transport = kit.aws.transport(Actor::Replica(3));
    let nothing = Settings::load(&std::collections::BTreeMap::new()).unwrap();
    let config = Config::resolve(&nothing, None, transport.clone(), time.clone()).await.unwrap();
    assert_eq!(config.region, "eu-west-1");
    let parts = parts(transport, config, time);
    let credentials = Credentials::from_settings(&nothing, &parts).unwrap();
    let keys = credentials.keys().await.unwrap();
    assert_eq!(codes(&kit, (*keys).clone()).await, ["fine"; 3]);
    let last = kit.stage.journal.events().into_iter().rev().find_map(|(_, event)| match event {
        Event::Called(call) => Some(call.actor),
        _ => None,
    });
    assert_eq!(last, Some(Actor::Replica(3)));
    kit.aws.set_instance_role(None);
    let again = Credentials::from_settings(&nothing, &parts).unwrap();
    assert!(again.keys().await.unwrap_err().message.contains("no IAM role"));
}

/// The policy of `deploy/` lets each step of an exposure through, and nothing of it on what isn't tagged as ours.
#[tokio::test(start_paused = true)]
async fn the_policy_of_deploy_is_enforced_action_by_action() {
    use super::kit::{authorize, change, permission, revoke};
    let kit = Kit::new();
    let untagged = ec2::CreateSecurityGroup { tag_specifications: Vec::new(), ..kit.create("g1") };
    assert_eq!(kit.refused(&untagged).await, "UnauthorizedOperation");
    let mut strange = kit.create("g1");
    strange.tag_specifications[0].tags[0].value = Some("shared".into());
    assert_eq!(kit.refused(&strange).await, "UnauthorizedOperation");
    let id = kit.group("g1").await;
    let theirs = kit.aws.create_group(Actor::Person, &kit.vpc, "theirs", &[]).unwrap();
    let rules = || vec![permission(53, "0.0.0.0/0")];
    assert_eq!(kit.refused(&authorize(&theirs, rules())).await, "UnauthorizedOperation");
    assert_eq!(kit.refused(&revoke(&theirs, rules())).await, "UnauthorizedOperation");
    let delete = |id: &str| ec2::DeleteSecurityGroup { group_id: Some(id.into()), ..Default::default() };
    assert_eq!(kit.refused(&delete(&theirs)).await, "UnauthorizedOperation");
    let tag = ec2::CreateTags {
        resources: vec![theirs.clone()],
        tags: vec![ec2::Tag { key: Some("external-ips/c1".into()), value: Some("owned".into()) }],
        dry_run: None,
    };
    assert_eq!(kit.refused(&tag).await, "UnauthorizedOperation");
    kit.client.send(&authorize(&id, rules())).await.unwrap();
    kit.client.send(&revoke(&id, rules())).await.unwrap();
    kit.client.send(&delete(&id)).await.unwrap();
    use aws_api::route53::{ChangeAction::Create, RRType};
    assert_eq!(kit.code(kit.batch(vec![change(Create, "a.example.com", RRType::Mx, &["1 b."])]).await), "AccessDenied");
    kit.batch(vec![change(Create, "a.example.com", RRType::A, &["192.0.2.1"])]).await.unwrap();
    assert_eq!(kit.refused(&route53::GetChange { id: "C1".into() }).await, "AccessDenied");
    let refused = kit.aws.look(|state| state.groups[&theirs].rules.len());
    assert_eq!(refused, 0);
    // One zone alone.
    let deny = format!("arn:aws:route53:::hostedzone/{}", kit.zone);
    kit.aws.set_policy(US, Policy::of_deploy("c1").unwrap().without_on(&["route53:List*"], &deny));
    let list = route53::ListResourceRecordSets { hosted_zone_id: kit.zone.clone(), ..Default::default() };
    assert_eq!(kit.refused(&list).await, "AccessDenied");
    kit.client.send(&ZONES()).await.unwrap();
    // Without the permission for interfaces, which nodes with several need.
    let one = Policy::of_deploy_for_one_interface("c1").unwrap();
    kit.aws.set_policy(US, one);
    let primary = kit.aws.look(|state| state.primary(&kit.instance).unwrap().id.clone());
    let modify = ec2::ModifyNetworkInterfaceAttribute {
        network_interface_id: primary,
        groups: vec![theirs],
        dry_run: Some(true),
    };
    assert_eq!(kit.refused(&modify).await, "UnauthorizedOperation");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_says_whether_it_would_be_done_and_does_nothing() {
    let kit = Kit::new();
    let dry = ec2::CreateSecurityGroup { dry_run: Some(true), ..kit.create("g1") };
    assert_eq!(kit.refused(&dry).await, "DryRunOperation");
    kit.aws.set_policy(US, Policy::of_deploy("c1").unwrap().without(&["ec2:CreateSecurityGroup"]));
    assert_eq!(kit.refused(&dry).await, "UnauthorizedOperation");
    assert_eq!(kit.aws.look(|state| state.groups.len()), 1);
    let mutating = kit.stage.journal.events().into_iter().any(|(_, event)| match event {
        Event::Called(call) => call.mutates,
        _ => false,
    });
    assert!(!mutating);
}

#[test]
fn policies_that_are_not_known_are_not_loaded() {
    for bad in [
        "{}",
        r#"{"Statement": [{"Effect": "Perhaps", "Action": "*", "Resource": "*"}]}"#,
        r#"{"Statement": [{"Effect": "Allow", "NotAction": "*", "Resource": "*"}]}"#,
        r#"{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"IpAddress": {"a": "b"}}}]}"#,
    ] {
        assert!(Policy::parse(bad).is_err(), "{bad}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_on_the_way_to_keys_is_a_fault_of_that_call() {
    let kit = Kit::new();
    kit.aws.add_role("node", Policy::anything(), &[]);
    kit.aws.set_instance_role(Some("node"));
    kit.fail("imds:PutToken", [Fault::Unreachable]);
    let time = std::sync::Arc::new(kit.stage.clock.clone());
    let nothing = Settings::load(&std::collections::BTreeMap::new()).unwrap();
    let parts = parts(kit.aws.transport(US), Config::new("eu-west-1").unwrap(), time);
    let credentials = Credentials::from_settings(&nothing, &parts).unwrap();
    assert!(credentials.keys().await.unwrap_err().temporary);
    tokio::time::sleep(Duration::from_secs(60)).await;
    credentials.keys().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn keys_that_end_in_the_middle_are_replaced() {
    let kit = Kit::new();
    kit.aws.add_role("node", Policy::anything(), &[]);
    kit.aws.set_instance_role(Some("node"));
    let (time, random) = (std::sync::Arc::new(kit.stage.clock.clone()), std::sync::Arc::new(Random::new(7)));
    let nothing = aws_api::Settings::load(&std::collections::BTreeMap::new()).unwrap();
    let config = aws_api::Config::new("eu-west-1").unwrap();
    let transport = kit.aws.transport(US);
    let parts = parts(transport.clone(), config.clone(), time.clone());
    let credentials = Credentials::from_settings(&nothing, &parts).unwrap();
    let client = aws_api::Client::new(aws_api::ClientParts {
        transport,
        config,
        credentials: std::sync::Arc::new(credentials),
        time,
        random,
        observer: std::sync::Arc::new(aws_api::NoObserver),
    });
    client.send(&GROUPS()).await.unwrap();
    for _ in 0..2 {
        kit.aws.expire_keys();
        client.send(&GROUPS()).await.unwrap();
        kit.aws.expire_keys();
        client.send(&ZONES()).await.unwrap();
    }
}
