//! A role for Route 53 alone: the hosted zones are another account's.

use integration::Result;
use integration::eventually::eventually;
use integration::recording_proxy::{AwsCall, DOCUMENTED_ACTIONS};
use integration::world::{NewNode, World, secret_key};

use super::kit::*;

fn role_arn(world: &World) -> String {
    format!("arn:aws:iam::{}:role/dns", world.aws.account())
}

/// The calls of a service.
fn of<'a>(calls: &'a [AwsCall], service: &'a str) -> impl Iterator<Item = &'a AwsCall> {
    calls.iter().filter(move |call| call.service == service)
}

#[tokio::test]
async fn route_53_is_asked_with_the_role_and_ec2_with_the_daemons_own_keys() -> Result<()> {
    let world = World::new().await?;
    let node = world.node("a", NewNode::default()).await?;
    world.released_lease().await?;
    let daemon = world.daemon("one").await?;
    let daemon = daemon.flag("dns-role-arn", role_arn(&world)).flag("dns-external-id", "shared").start().await?;
    leads(&daemon).await?;
    world.apply(world.example()?).await?;
    synced(&world, EXAMPLE).await?;
    example_alone_on(&world, &[&node], 6315).await?;

    let calls = world.proxy.calls();
    // The refresher and the first round make one request together.
    let assumed: Vec<&AwsCall> = of(&calls, "sts").collect();
    assert_eq!(assumed.len(), 1, "{assumed:?}");
    assert!(by(assumed[0], "one") && assumed[0].operation == "AssumeRole", "{assumed:?}");
    let parameter = |name: &str| assumed[0].parameters.get(name).map(String::as_str);
    assert_eq!(parameter("RoleArn"), Some(&*role_arn(&world)));
    assert_eq!((parameter("ExternalId"), parameter("RoleSessionName")), (Some("shared"), Some("external-ips")));
    assert!(of(&calls, "ec2").count() > 3 && of(&calls, "ec2").all(|call| by(call, "one")));
    let temporary = |call: &AwsCall| call.access_key.as_ref().is_some_and(|key| key.starts_with("ASIA"));
    let names: Vec<_> = of(&calls, "route53").map(|call| (&call.operation, &call.access_key)).collect();
    assert!(names.iter().any(|(operation, _)| *operation == "ChangeResourceRecordSets"), "{names:?}");
    assert!(of(&calls, "route53").all(temporary), "{names:?}");

    let (_, metrics) = daemon.get("/metrics").await?;
    let expiry = |provider: &str| {
        let series = "external_ips_aws_credentials_expiry_timestamp_seconds{provider=\"";
        metrics.lines().any(|line| line.starts_with(&format!("{series}{provider}")))
    };
    assert!(expiry("the environment (AWS_ACCESS_KEY_ID)") && expiry("the role arn:aws:iam::"), "{metrics}");
    assert!(metrics.contains("aws_api_calls_total{service=\"STS\",operation=\"AssumeRole\""), "{metrics}");
    assert!(!daemon.output()?.contains(&secret_key("one")) && !metrics.contains(&secret_key("one")));
    is_well(&daemon)
}

#[tokio::test]
async fn a_role_that_may_not_be_taken_on_is_told_and_tried_again() -> Result<()> {
    let world = World::new().await?;
    let node = world.node("a", NewNode::default()).await?;
    world.proxy.allow_only(DOCUMENTED_ACTIONS);
    world.released_lease().await?;
    let daemon = world.daemon("one").await?.flag("dns-role-arn", role_arn(&world)).start().await?;
    leads(&daemon).await?;
    world.apply(world.example()?).await?;
    let told = |line: &integration::daemon::LogLine| {
        line.level() == "warn"
            && line.message().contains("sts:AssumeRole")
            && line.message().contains(&role_arn(&world))
    };
    daemon.wait_for_log("that the role can't be taken on, and through what", told).await?;
    assert!(!world.proxy.calls().iter().any(|call| call.service == "route53"));
    assert!(!world.proxy.writes_since(0).iter().any(AwsCall::succeeded));

    world.proxy.allow_only(DOCUMENTED_ACTIONS.into_iter().chain(["sts:AssumeRole"]));
    synced(&world, EXAMPLE).await?;
    example_alone_on(&world, &[&node], 6315).await?;
    let again =
        |lines: &Vec<String>| lines.iter().any(|line| line.starts_with("there are AWS credentials from the role"));
    let look = || async { Ok(daemon.logs()?.iter().map(|line| line.message().to_owned()).collect::<Vec<_>>()) };
    eventually("the log says that it works again", look, again).await?;
    is_well(&daemon)
}

#[tokio::test]
async fn a_role_that_is_none_is_refused_at_the_start() -> Result<()> {
    let world = World::new().await?;
    for (flags, expected) in [
        (&[("dns-role-arn", "arn:aws:iam::1:role/dns")][..], "looks like arn:aws:iam::111122223333:role/NAME"),
        (&[("dns-external-id", "shared")], "--dns-external-id goes with --dns-role-arn"),
        (&[("dns-role-arn", "arn:aws-cn:iam::111122223333:role/dns")], "no role spans two"),
    ] {
        let mut daemon = world.daemon("one").await?;
        for (name, value) in flags {
            daemon = daemon.flag(name, value);
        }
        let daemon = daemon.start().await?;
        assert!(!daemon.end().await?.success());
        assert!(daemon.output()?.contains(expected), "{}", daemon.output()?);
    }
    Ok(())
}
