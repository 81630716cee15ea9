//! boto3 on the simulator, over a socket: it signs and reads by code that has nothing in common with ours.

use std::sync::{Arc, Mutex};

use integration::cache::Cache;
use integration::python::{Script, environment};
use integration::run_directory::RunDirectory;
use integration::sim::aws::{Aws, NewInstance, Options, Policy};
use integration::sim::{Actor, Clock, Stage};
use integration::{Context, Result};
use serde_json::{Value, json};
use tokio::net::TcpListener;

struct Boto(Arc<Mutex<Script>>);

impl Boto {
    /// The list of an answer, or its whole; an error is its code.
    async fn ask(&self, service: &str, method: &str, arguments: Value, list: Option<&str>) -> Result<Value> {
        // With an endpoint of its own, boto3 takes the region for signing at its word.
        let region = if service == "route53" { "us-east-1" } else { "eu-west-1" };
        let request = json!({
            "account": "0", "region": region, "service": service, "method": method, "arguments": arguments,
            "list": list,
        });
        let script = Arc::clone(&self.0);
        let answer = tokio::task::spawn_blocking(move || script.lock().unwrap().ask(&request)).await??;
        match answer.pointer("/error/code") {
            Some(code) => Ok(code.clone()),
            None => answer.get("ok").cloned().context("an answer without a result"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boto3_speaks_to_the_simulator() -> Result<()> {
    let aws = Aws::new(Stage::new(Clock::real()), Options { throttling: false, ..Options::default() });
    aws.add_principal("tests", "tests", None, Policy::anything(), Actor::Person);
    let vpc = aws.create_vpc(Actor::Person, false);
    let instance = aws.run_instance(Actor::Person, NewInstance::in_vpc(&vpc))?;
    let zone = aws.create_zone(Actor::Person, "example.com", false)?;
    let server = aws.serve_on(TcpListener::bind("127.0.0.1:0").await?, Actor::Person)?;
    let url = server.url();
    let (boto, _directory) = tokio::task::spawn_blocking(move || -> Result<_> {
        let cache = Cache::open()?;
        let directory = RunDirectory::create(&cache, "boto")?;
        let script = Script::start(&environment(&cache)?, "aws", &[url.as_str()], &directory)?;
        Ok((Boto(Arc::new(Mutex::new(script))), directory))
    })
    .await??;

    let me = boto.ask("sts", "get_caller_identity", json!({}), None).await?;
    assert_eq!(me["Account"], "123456789012", "{me}");
    let create = json!({"GroupName": "g1", "Description": "a group", "VpcId": vpc, "TagSpecifications": [
        {"ResourceType": "security-group", "Tags": [{"Key": "k", "Value": "a b/ü+"}]}]});
    let made = boto.ask("ec2", "create_security_group", create.clone(), None).await?;
    let id = made["GroupId"].as_str().context(format!("no id: {made}"))?.to_owned();
    assert_eq!(boto.ask("ec2", "create_security_group", create, None).await?, "InvalidGroup.Duplicate");
    let rule = json!({"IpProtocol": "udp", "FromPort": 1, "ToPort": 2, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]});
    let open = json!({"GroupId": id, "IpPermissions": [rule]});
    let opened = boto.ask("ec2", "authorize_security_group_ingress", open, None).await?;
    assert_eq!(opened["SecurityGroupRules"][0]["CidrIpv4"], "10.0.0.0/8", "{opened}");
    let by_id = json!({"Filters": [{"Name": "group-id", "Values": [id]}]});
    let groups = boto.ask("ec2", "describe_security_groups", by_id, Some("SecurityGroups")).await?;
    assert_eq!(groups[0]["Tags"], json!([{"Key": "k", "Value": "a b/ü+"}]), "{groups}");
    assert_eq!(groups[0]["IpPermissions"][0]["ToPort"], 2, "{groups}");
    let attach = json!({"InstanceId": instance, "Groups": [id]});
    boto.ask("ec2", "modify_instance_attribute", attach, None).await?;
    let instances = boto.ask("ec2", "describe_instances", json!({}), Some("Reservations")).await?;
    let shown = &instances[0]["Instances"][0];
    assert_eq!((&shown["SecurityGroups"][0]["GroupId"], &shown["State"]["Name"]), (&json!(id), &json!("running")));

    let record =
        json!({"Name": "*.example.com", "Type": "TXT", "TTL": 60, "ResourceRecords": [{"Value": "\"<a>&b\""}]});
    let batch = |action: &str| {
        let changes = json!([{"Action": action, "ResourceRecordSet": record}]);
        json!({"HostedZoneId": zone, "ChangeBatch": {"Changes": changes}})
    };
    let change = boto.ask("route53", "change_resource_record_sets", batch("CREATE"), None).await?;
    let change = change["ChangeInfo"]["Id"].as_str().context(format!("no id: {change}"))?.to_owned();
    let again = boto.ask("route53", "change_resource_record_sets", batch("CREATE"), None).await?;
    assert_eq!(again, "InvalidChangeBatch");
    let status = boto.ask("route53", "get_change", json!({"Id": change}), None).await?;
    assert_eq!(status["ChangeInfo"]["Status"], "PENDING", "{status}");
    let list = json!({"HostedZoneId": zone, "PaginationConfig": {"PageSize": 1}});
    let records = boto.ask("route53", "list_resource_record_sets", list, Some("ResourceRecordSets")).await?;
    assert_eq!(records.as_array().map(Vec::len), Some(3), "{records}");
    assert_eq!(records[2]["Name"], "\\052.example.com.", "{records}");
    assert_eq!(records[2]["ResourceRecords"][0]["Value"], "\"<a>&b\"", "{records}");
    let zones = boto.ask("route53", "list_hosted_zones", json!({}), Some("HostedZones")).await?;
    assert_eq!(zones[0]["ResourceRecordSetCount"], 3, "{zones}");

    // Another secret, and its signatures are refused.
    aws.add_principal("tests", "others", None, Policy::anything(), Actor::Person);
    assert_eq!(boto.ask("ec2", "describe_instances", json!({}), None).await?, "AuthFailure");
    assert_eq!(boto.ask("route53", "list_hosted_zones", json!({}), None).await?, "SignatureDoesNotMatch");
    Ok(())
}
