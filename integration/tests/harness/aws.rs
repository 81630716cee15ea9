//! moto, and the recording proxy before it.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use integration::aws::{Aws, NewInstance, PublicAddress, Record, Rule};
use integration::intercept::{Canned, When};
use integration::recording_proxy::{By, DOCUMENTED_ACTIONS, RecordingProxy};
use integration::{Result, shared};

/// Sends a call as a client signs it (moto doesn't verify); status and body, or the error of a broken connection.
async fn send(proxy: &str, service: &str, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let credential = format!("AKIA-one/20260101/eu-west-1/{service}/aws4_request");
    let content = if service == "route53" { "text/xml" } else { "application/x-www-form-urlencoded" };
    let request = Request::builder()
        .method(method)
        .uri(format!("{proxy}{path}"))
        .header("content-type", content)
        .header("authorization", format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"))
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))?;
    let answer = client.request(request).await?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

async fn ec2(proxy: &RecordingProxy, action: &str, parameters: &str) -> Result<(u16, String)> {
    let body = format!("Action={action}&Version=2016-11-15{parameters}");
    send(proxy.url(), "ec2", "POST", "/", &body).await
}

async fn account() -> Result<Aws> {
    let moto = shared::moto().await?;
    let account = moto.new_account();
    Ok(Aws::new(moto, account))
}

async fn proxied() -> Result<(Aws, RecordingProxy)> {
    let aws = account().await?;
    let proxy = RecordingProxy::start(shared::moto().await?.url(), aws.account()).await?;
    Ok((aws, proxy))
}

#[tokio::test]
async fn accounts_see_nothing_of_each_other() -> Result<()> {
    let (one, other) = (account().await?, account().await?);
    let network = one.create_network().await?;
    one.run_instance(&network, &NewInstance::default()).await?;
    one.create_zone("one.example.").await?;
    assert_eq!(one.instances().await?.len(), 1);
    assert_eq!(other.instances().await?.len(), 0);
    assert!(other.security_groups().await?.iter().all(|group| group.vpc != network.vpc));
    let zones = other.list("route53", "list_hosted_zones", serde_json::json!({}), "HostedZones").await?;
    assert!(zones.is_empty(), "{zones:?}");
    Ok(())
}

#[tokio::test]
async fn an_assigned_address_changes_with_a_stop_and_an_elastic_one_stays() -> Result<()> {
    let aws = account().await?;
    let network = aws.create_network().await?;
    let elastic = NewInstance {
        private: Some("10.0.1.7".to_owned()),
        public: PublicAddress::Elastic("203.0.113.7".to_owned()),
        zone: "eu-west-1b".to_owned(),
        interfaces: 2,
    };
    let elastic = aws.run_instance(&network, &elastic).await?;
    assert_eq!(elastic.private.as_deref(), Some("10.0.1.7"));
    assert_eq!(elastic.public.as_deref(), Some("203.0.113.7"));
    assert_eq!(elastic.zone, "eu-west-1b");
    assert_eq!(elastic.interfaces.len(), 2);
    assert_eq!(elastic.primary_interface()?.groups, std::slice::from_ref(&network.default_group));

    let assigned = aws.run_instance(&network, &NewInstance::default()).await?;
    let before = assigned.public.clone().unwrap();
    for instance in [&elastic, &assigned] {
        aws.stop_instance(&instance.id).await?;
        assert_eq!(aws.instance(&instance.id).await?.state, "stopped");
        aws.start_instance(&instance.id).await?;
    }
    assert_ne!(aws.instance(&assigned.id).await?.public.unwrap(), before);
    assert_eq!(aws.instance(&elastic.id).await?.public.as_deref(), Some("203.0.113.7"));

    let hidden = NewInstance { public: PublicAddress::None, ..NewInstance::default() };
    assert_eq!(aws.run_instance(&network, &hidden).await?.public, None);
    aws.terminate_instance(&assigned.id).await?;
    assert_eq!(aws.instance(&assigned.id).await?.state, "terminated");
    Ok(())
}

#[tokio::test]
async fn groups_rules_and_records_are_read_back_as_they_were_written() -> Result<()> {
    let aws = account().await?;
    let network = aws.create_network().await?;
    let tags = BTreeMap::from([("external-ips/c".to_owned(), "owned".to_owned())]);
    let group = aws.create_security_group(&network, "theirs", &tags).await?;
    let mut rule = Rule::new("udp", 6315, "0.0.0.0/0");
    rule.description = "default/udp-server".to_owned();
    let six = Rule::new("tcp", 443, "2001:db8::/32");
    aws.authorize(&group, &rule).await?;
    aws.authorize(&group, &six).await?;
    let read = aws.security_groups().await?.into_iter().find(|other| other.id == group).unwrap();
    assert_eq!((read.name.as_str(), &read.tags, &read.vpc), ("theirs", &tags, &network.vpc));
    assert_eq!(read.rules, [six.clone(), rule]);
    aws.revoke(&group, &six).await?;

    let instance = aws.run_instance(&network, &NewInstance::default()).await?;
    let interface = &instance.primary_interface()?.id;
    let mut both = vec![group.clone(), network.default_group.clone()];
    aws.set_interface_groups(interface, &both).await?;
    both.sort();
    assert_eq!(aws.interface_groups(interface).await?, both);

    let zone = aws.create_zone("my-org.com.").await?;
    assert!(!zone.id.contains('/'));
    let text = Record::new("a.my-org.com.", "TXT", 300, &["\"heritage=external-dns\""]);
    let address = Record::new("b.my-org.com.", "A", 60, &["203.0.113.2", "203.0.113.1"]);
    aws.create_record(&zone, &address).await?;
    aws.create_record(&zone, &text).await?;
    assert_eq!(aws.records(&zone).await?, [text.clone(), address.clone()]);
    aws.delete_record(&zone, &text).await?;
    assert_eq!(aws.records(&zone).await?, [address]);
    Ok(())
}

#[tokio::test]
async fn the_proxy_records_calls_in_order_and_puts_the_account_on_them() -> Result<()> {
    let (aws, proxy) = proxied().await?;
    let network = aws.create_network().await?;
    let zone = aws.create_zone("my-org.com.").await?;
    let mark = proxy.mark();
    ec2(&proxy, "DescribeSecurityGroups", "&Filter.1.Name=vpc-id&Filter.1.Value.1=x").await?;
    let parameters = format!("&GroupName=ours&GroupDescription=d&VpcId={}", network.vpc);
    ec2(&proxy, "CreateSecurityGroup", &parameters).await?;
    let batch = "<ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><ChangeBatch>\
         <Changes><Change><Action>CREATE</Action><ResourceRecordSet><Name>a.my-org.com.</Name><Type>A</Type>\
         <TTL>60</TTL><ResourceRecords><ResourceRecord><Value>203.0.113.9</Value></ResourceRecord></ResourceRecords>\
         </ResourceRecordSet></Change></Changes></ChangeBatch></ChangeResourceRecordSetsRequest>";
    let path = format!("/2013-04-01/hostedzone/{}/rrset/", zone.id);
    let (status, body) = send(proxy.url(), "route53", "POST", &path, batch).await?;
    assert_eq!(status, 200, "{body}");

    let calls = proxy.calls_since(mark);
    let actions: Vec<String> = calls.iter().map(|call| call.action()).collect();
    let expected = ["ec2:DescribeSecurityGroups", "ec2:CreateSecurityGroup", "route53:ChangeResourceRecordSets"];
    assert_eq!(actions, expected);
    assert_eq!(calls[0].parameters["Filter.1.Name"], "vpc-id");
    assert_eq!(calls[2].parameters["Id"], zone.id);
    assert_eq!(calls[2].changes(), [("CREATE".to_owned(), "A".to_owned(), "a.my-org.com.".to_owned())]);
    assert!(calls.iter().all(|call| call.access_key.as_deref() == Some("AKIA-one") && call.succeeded()));
    let writes = proxy.writes_since(mark);
    assert_eq!(
        writes.iter().map(|call| call.operation.as_str()).collect::<Vec<_>>(),
        ["CreateSecurityGroup", "ChangeResourceRecordSets"]
    );

    assert!(aws.security_groups().await?.iter().any(|group| group.name == "ours"));
    assert_eq!(aws.records(&zone).await?, [Record::new("a.my-org.com.", "A", 60, &["203.0.113.9"])]);
    Ok(())
}

#[tokio::test]
async fn what_the_allow_list_lacks_is_refused_in_the_services_own_words_and_has_no_effect() -> Result<()> {
    let (aws, proxy) = proxied().await?;
    let network = aws.create_network().await?;
    proxy.allow_only(DOCUMENTED_ACTIONS.into_iter().filter(|action| *action != "ec2:CreateTags"));
    assert_eq!(ec2(&proxy, "DescribeInstances", "").await?.0, 200);

    let (status, body) = ec2(&proxy, "RunInstances", "&MinCount=1&MaxCount=1").await?;
    assert!(status == 403 && body.contains("<Code>UnauthorizedOperation</Code>"), "{status} {body}");
    let tagged = format!(
        "&GroupName=tagged&GroupDescription=d&VpcId={}&TagSpecification.1.ResourceType=security-group",
        network.vpc
    );
    assert_eq!(ec2(&proxy, "CreateSecurityGroup", &tagged).await?.0, 403, "tags in a create need CreateTags");
    let (status, body) = send(proxy.url(), "route53", "GET", "/2013-04-01/change/C1", "").await?;
    assert!(status == 403 && body.contains("<Code>AccessDenied</Code>"), "{status} {body}");
    assert!(body.contains("route53:GetChange"), "{body}");

    let denied: Vec<String> =
        proxy.calls().iter().filter(|call| call.was_denied()).map(|call| call.operation.clone()).collect();
    assert_eq!(denied, ["RunInstances", "CreateSecurityGroup", "GetChange"]);
    assert!(aws.instances().await?.is_empty());
    assert!(!aws.security_groups().await?.iter().any(|group| group.name == "tagged"));
    Ok(())
}

#[tokio::test]
async fn a_gate_holds_the_nth_call_before_its_effect() -> Result<()> {
    let (aws, proxy) = proxied().await?;
    let network = aws.create_network().await?;
    let create = |name: &str| format!("&GroupName={name}&GroupDescription=d&VpcId={}", network.vpc);
    let mut gate = proxy.hold("CreateSecurityGroup", 2, When::Before);
    ec2(&proxy, "CreateSecurityGroup", &create("first")).await?;
    let parameters = create("second");
    let held = ec2(&proxy, "CreateSecurityGroup", &parameters);
    let test = async {
        gate.holds_one().await?;
        let names: Vec<String> = aws.security_groups().await?.into_iter().map(|group| group.name).collect();
        assert!(names.contains(&"first".to_owned()) && !names.contains(&"second".to_owned()), "{names:?}");
        assert_eq!(proxy.calls()[1].answered, None);
        gate.release();
        Ok::<_, integration::Error>(())
    };
    let (answered, tested) = tokio::join!(held, test);
    tested?;
    assert_eq!(answered?.0, 200);
    assert!(aws.security_groups().await?.iter().any(|group| group.name == "second"));
    Ok(())
}

#[tokio::test]
async fn a_gate_holds_every_answer_after_the_effect() -> Result<()> {
    let (aws, proxy) = proxied().await?;
    let network = aws.create_network().await?;
    let create = |name: &str| format!("&GroupName={name}&GroupDescription=d&VpcId={}", network.vpc);
    let mut gate = proxy.hold_all(When::After, |call| call.is_write());
    let (one, two) = (create("one"), create("two"));
    let held =
        async { tokio::join!(ec2(&proxy, "CreateSecurityGroup", &one), ec2(&proxy, "CreateSecurityGroup", &two)) };
    let test = async {
        gate.holds(2).await?;
        assert_eq!(ec2(&proxy, "DescribeInstances", "").await?.0, 200);
        let names: Vec<String> = aws.security_groups().await?.into_iter().map(|group| group.name).collect();
        assert!(["one", "two"].iter().all(|name| names.iter().any(|other| other == name)), "{names:?}");
        assert!(proxy.calls().iter().filter(|call| call.is_write()).all(|call| call.answered.is_none()));
        gate.release();
        Ok::<_, integration::Error>(())
    };
    let ((one, two), tested) = tokio::join!(held, test);
    tested?;
    assert_eq!((one?.0, two?.0), (200, 200));
    Ok(())
}

#[tokio::test]
async fn a_held_call_arrives_after_its_caller_has_gone() -> Result<()> {
    let (aws, proxy) = proxied().await?;
    let network = aws.create_network().await?;
    let mut gate = proxy.hold("CreateSecurityGroup", 1, When::Before);
    let parameters = format!("&GroupName=late&GroupDescription=d&VpcId={}", network.vpc);
    {
        let call = std::pin::pin!(ec2(&proxy, "CreateSecurityGroup", &parameters));
        tokio::select! {
            answer = call => panic!("it was held: {answer:?}"),
            held = gate.holds_one() => held?,
        }
    }
    gate.release();
    proxy.saw(0, |call| call.answered.is_some()).await?;
    assert!(aws.security_groups().await?.iter().any(|group| group.name == "late"));
    Ok(())
}

#[tokio::test]
async fn canned_answers_come_as_they_are_asked_for_and_then_no_more() -> Result<()> {
    let (aws, proxy) = proxied().await?;
    let describe = || ec2(&proxy, "DescribeInstances", "");
    let operation = "DescribeInstances";

    proxy.answer(operation, 2, When::Before, Canned::Throttled);
    for _ in 0..2 {
        let (status, body) = describe().await?;
        assert!(status == 503 && body.contains("RequestLimitExceeded"), "{status} {body}");
    }
    assert_eq!(describe().await?.0, 200);
    proxy.answer(operation, 1, When::Before, Canned::Error(400, "InvalidInstanceID.NotFound", "gone"));
    assert!(describe().await?.1.contains("<Code>InvalidInstanceID.NotFound</Code><Message>gone</Message>"));
    proxy.answer(operation, 1, When::Before, Canned::Status(502));
    assert_eq!(describe().await?, (502, String::new()));
    proxy.answer(operation, 1, When::Before, Canned::Empty);
    assert_eq!(describe().await?, (200, String::new()));
    proxy.answer(operation, 1, When::Before, Canned::Html);
    assert!(describe().await?.1.contains("<html>"));
    proxy.answer(operation, 1, When::Before, Canned::Huge(10_000_000));
    assert_eq!(describe().await?.1.len(), 10_000_000);
    proxy.answer(operation, 1, When::After, Canned::Truncated);
    assert!(describe().await.is_err());
    proxy.answer(operation, 1, When::Before, Canned::Body(200, "text/xml", Bytes::from_static(b"<x/>")));
    assert_eq!(describe().await?, (200, "<x/>".to_owned()));

    proxy.answer("ListHostedZones", 1, When::Before, Canned::Throttled);
    let (status, body) = send(proxy.url(), "route53", "GET", "/2013-04-01/hostedzone", "").await?;
    assert!(status == 400 && body.contains("<Code>Throttling</Code>"), "{status} {body}");

    let network = aws.create_network().await?;
    proxy.answer("CreateSecurityGroup", 1, When::After, Canned::Reset);
    let mark = proxy.mark();
    let parameters = format!("&GroupName=unknown&GroupDescription=d&VpcId={}", network.vpc);
    assert!(ec2(&proxy, "CreateSecurityGroup", &parameters).await.is_err());
    let call = proxy.saw(mark, |call| call.answered.is_some()).await?;
    assert!(matches!(call.answered, Some((_, 0, By::CannedAfter))), "{call:?}");
    assert!(aws.security_groups().await?.iter().any(|group| group.name == "unknown"), "it took effect");
    Ok(())
}

/// A batch of changes: action, name, type, TTL and values of each.
fn batch(changes: &[(&str, &str, &str, u32, &[&str])]) -> String {
    let changes: String = changes
        .iter()
        .map(|(action, name, kind, ttl, values)| {
            let values: String =
                values.iter().map(|v| format!("<ResourceRecord><Value>{v}</Value></ResourceRecord>")).collect();
            format!(
                "<Change><Action>{action}</Action><ResourceRecordSet><Name>{name}</Name><Type>{kind}</Type>\
                 <TTL>{ttl}</TTL><ResourceRecords>{values}</ResourceRecords></ResourceRecordSet></Change>"
            )
        })
        .collect();
    format!(
        "<ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><ChangeBatch>\
         <Changes>{changes}</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"
    )
}

#[tokio::test]
async fn change_batches_are_judged_as_aws_judges_them() -> Result<()> {
    let (aws, proxy) = proxied().await?;
    let zone = aws.create_zone("my-org.com.").await?;
    let path = format!("/2013-04-01/hostedzone/{}/rrset/", zone.id);
    let change = async |changes: &[(&str, &str, &str, u32, &[&str])]| {
        send(proxy.url(), "route53", "POST", &path, &batch(changes)).await
    };
    let a = |ttl: i64, values: &[&str]| Record::new("a.my-org.com.", "A", ttl, values);
    let z = Record::new("z.my-org.com.", "TXT", 60, &["\"z\""]);
    let refused = async |changes: &[(&str, &str, &str, u32, &[&str])], why: &str| -> Result<()> {
        let before = aws.records(&zone).await?;
        let (status, body) = change(changes).await?;
        assert_eq!(status, 400, "{body}");
        assert!(body.contains("<InvalidChangeBatch ") && body.contains(why), "{body}");
        assert_eq!(aws.records(&zone).await?, before, "nothing of a refused batch takes effect");
        Ok(())
    };

    // A record that sorts last: with one, moto would refuse what it has seen before.
    aws.create_record(&zone, &z).await?;
    let (status, body) = change(&[("CREATE", "a.my-org.com", "A", 60, &["1.1.1.1", "2.2.2.2"])]).await?;
    assert_eq!(status, 200, "{body}");
    refused(&[("CREATE", "A.my-org.com.", "A", 60, &["3.3.3.3"])], "it already exists").await?;
    refused(&[("DELETE", "b.my-org.com.", "A", 60, &["1.1.1.1"])], "it was not found").await?;
    let others = "do not match the current values";
    refused(&[("DELETE", "a.my-org.com.", "A", 61, &["1.1.1.1", "2.2.2.2"])], others).await?;
    refused(&[("DELETE", "a.my-org.com.", "A", 60, &["1.1.1.1"])], others).await?;
    refused(
        &[("CREATE", "b.my-org.com.", "A", 60, &["1.1.1.1"]), ("CREATE", "b.my-org.com.", "A", 60, &["1.1.1.1"])],
        "it already exists",
    )
    .await?;
    refused(
        &[("CREATE", "b.my-org.com.", "A", 60, &["1.1.1.1"]), ("DELETE", "c.my-org.com.", "A", 60, &["1.1.1.1"])],
        "it was not found",
    )
    .await?;
    refused(&[("CREATE", "a.my-org.com.", "CNAME", 60, &["z.my-org.com"])], "conflicts").await?;

    // There and back again, in any order of the values.
    let swap = |from: &'static [&'static str], to: &'static [&'static str]| {
        [("DELETE", "a.my-org.com.", "A", 60, from), ("CREATE", "a.my-org.com.", "A", 60, to)]
    };
    let (status, body) = change(&swap(&["2.2.2.2", "1.1.1.1"], &["3.3.3.3"])).await?;
    assert_eq!(status, 200, "{body}");
    assert_eq!(aws.records(&zone).await?, [a(60, &["3.3.3.3"]), z.clone()]);
    refused(&swap(&["2.2.2.2", "1.1.1.1"], &["4.4.4.4"]), others).await?;
    assert_eq!(change(&swap(&["3.3.3.3"], &["1.1.1.1", "2.2.2.2"])).await?.0, 200);
    assert_eq!(change(&swap(&["1.1.1.1", "2.2.2.2"], &["1.1.1.1", "2.2.2.2"])).await?.0, 200);
    assert_eq!(aws.records(&zone).await?, [a(60, &["1.1.1.1", "2.2.2.2"]), z.clone()]);
    assert_eq!(change(&[("UPSERT", "a.my-org.com.", "A", 30, &["1.1.1.1"])]).await?.0, 200);
    let text = "&quot;heritage=x,a=&amp;&quot;";
    let both: [(&str, &str, &str, u32, &[&str]); 2] =
        [("DELETE", "a.my-org.com.", "A", 30, &["1.1.1.1"]), ("CREATE", "*.my-org.com.", "TXT", 30, &[text])];
    assert_eq!(change(&both).await?.0, 200);
    assert_eq!(aws.records(&zone).await?.len(), 2);
    // AWS spells the star so.
    assert_eq!(change(&[("DELETE", "\\052.my-org.com.", "TXT", 30, &[text])]).await?.0, 200);
    assert_eq!(change(&[("CREATE", "a.my-org.com.", "A", 60, &["1.1.1.1", "2.2.2.2"])]).await?.0, 200);
    assert_eq!(aws.records(&zone).await?, [a(60, &["1.1.1.1", "2.2.2.2"]), z]);
    Ok(())
}

#[tokio::test]
async fn the_example_of_the_clients_readme_lists_instances() -> Result<()> {
    let aws = account().await?;
    let network = aws.create_network().await?;
    let reachable = aws.run_instance(&network, &NewInstance::default()).await?;
    let hidden = NewInstance { public: PublicAddress::None, ..NewInstance::default() };
    let hidden = aws.run_instance(&network, &hidden).await?;
    // moto tells accounts apart by the access key.
    let proxy = RecordingProxy::start(shared::moto().await?.url(), aws.account()).await?;
    let example =
        tokio::task::spawn_blocking(|| integration::cargo::build("aws-api", &["--example", "list_instances"]));
    let output = tokio::process::Command::new(example.await??)
        .env_clear()
        .env("AWS_REGION", integration::aws::REGION)
        .env("AWS_ENDPOINT_URL", proxy.url())
        .env("AWS_ACCESS_KEY_ID", "AKIA-example")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .output()
        .await?;
    let (printed, complaints) = (String::from_utf8(output.stdout)?, String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{complaints}");
    let mut lines: Vec<&str> = printed.lines().collect();
    lines.sort_unstable();
    let address = reachable.public.clone().unwrap_or_default();
    let mut expected = [format!("{} {address}", reachable.id), format!("{} -", hidden.id)];
    expected.sort_unstable();
    assert_eq!(lines, expected);

    let repository = integration::repository();
    let readme = std::fs::read_to_string(repository.join("aws-api/README.md"))?;
    let source = std::fs::read_to_string(repository.join("aws-api/examples/list_instances.rs"))?;
    let code = source.split_once("\n\n").map_or(source.as_str(), |(_, code)| code);
    assert!(readme.contains(&format!("```rust,no_run\n{code}```")), "the README shows another program:\n{code}");
    Ok(())
}
