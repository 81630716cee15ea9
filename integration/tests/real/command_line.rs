//! What a person at a terminal, a probe or a Deployment sees of the process.

use std::time::Duration;

use integration::Result;
use integration::daemon::{Daemon, LogLine, NewDaemon};
use integration::eventually::{eventually, throughout};
use integration::intercept::{Canned, When};
use integration::kube_gate::KubeCall;
use integration::world::{NewNode, World, condition, external_ips, secret_key};

use super::kit::*;

#[tokio::test]
async fn dry_run_changes_nothing_and_tells_what_it_would_do() -> Result<()> {
    let world = World::new().await?;
    let node = world.node("a", NewNode::default()).await?;
    world.apply(world.example()?).await?;
    world.apply(world.example()?.name("bad").hostname("..").port("udp", 7000)).await?;
    let (daemon, gate) = world.daemon_behind_gate("one").await?;
    let once = daemon.clone().arg("--dry-run").arg("--once").start().await?;
    // One Service is rejected.
    assert_eq!(once.end().await?.code(), Some(1), "{}", once.output()?);
    let lines: Vec<String> = once.logs()?.iter().map(|line| line.message().to_owned()).collect();
    let expected = [
        "would create security group external-ips/",
        "would add 6315/UDP from 0.0.0.0/0 to ",
        "would attach ",
        "would write the record of udp-server.external-ips-test.my-org.com",
        "would set spec.externalIPs of ",
        "(InvalidAnnotation)",
    ];
    for text in expected {
        assert!(lines.iter().any(|line| line.contains(text)), "no line with {text}:\n{}", lines.join("\n"));
    }
    assert!(lines.iter().any(|line| line.contains(node.private().unwrap())));

    // Without --once it goes on, and tells again when that changes.
    let daemon = daemon.arg("--dry-run").start().await?;
    daemon.wait_for_log("what it would do", |line| line.message().starts_with("would attach")).await?;
    world.apply(world.example()?.port("udp", 6316)).await?;
    daemon.wait_for_log("the new port", |line| line.message().starts_with("would add 6316/UDP")).await?;
    assert!(!says_it_leads(&daemon).await?);
    let metrics = daemon.get("/metrics").await?.1;
    let planned = "external_ips_plan_changes{resource=\"security_group\",action=\"create\"} 1";
    assert!(metrics.lines().any(|line| line == planned), "{metrics}");
    daemon.terminate()?;
    assert_eq!(daemon.end().await?.code(), Some(0));
    assert_eq!(world.proxy.writes_since(0), []);
    let writes: Vec<KubeCall> = gate.calls().into_iter().filter(|call| call.method != "GET").collect();
    assert_eq!(writes, [], "no Lease, no condition, no Event, no trial");
    assert!(world.leases().get_opt("external-ips").await?.is_none());
    Ok(())
}

#[tokio::test]
async fn once_exits_0_when_all_is_done_and_1_with_the_reason_when_not() -> Result<()> {
    let world = World::new().await?;
    let node = world.node("a", NewNode::default()).await?;
    world.apply(world.example()?).await?;
    world.released_lease().await?;
    let once = || async { Ok::<_, integration::Error>(world.daemon("one").await?.arg("--once")) };
    let first = once().await?.start().await?;
    assert_eq!(first.end().await?.code(), Some(0), "{}", first.output()?);
    example_alone_on(&world, &[&node], 6315).await?;
    assert!(condition(&world.service(EXAMPLE).await?).is_some_and(|condition| condition.status == "True"));
    assert_eq!(holder(&world).await?, "", "the Lease is given up");

    // Nothing to do is done, too.
    let mark = world.proxy.mark();
    let again = once().await?.start().await?;
    assert_eq!(again.end().await?.code(), Some(0));
    assert_eq!(world.proxy.writes_since(mark), []);

    // What AWS refuses.
    world
        .apply(world.example()?.name("second").hostname("second.external-ips-test.my-org.com").port("udp", 7000))
        .await?;
    world.proxy.answer("ChangeResourceRecordSets", 99, When::Before, Canned::Error(403, "AccessDenied", "no"));
    let refused = once().await?.start().await?;
    assert_eq!(refused.end().await?.code(), Some(1));
    last_words(&refused, "route53:ChangeResourceRecordSets")?;
    world.proxy.answer_no_more();
    assert_eq!(once().await?.start().await?.end().await?.code(), Some(0));

    // What its owner has to change.
    world.annotate("second", "hostname", Some("..")).await?;
    let rejected = once().await?.start().await?;
    assert_eq!(rejected.end().await?.code(), Some(1), "{}", rejected.output()?);
    last_words(&rejected, "second")?;
    last_words(&rejected, "is not a DNS name")?;
    Ok(())
}

/// The last line that is more than a farewell says `text`.
fn last_words(daemon: &Daemon, text: &str) -> Result<()> {
    let logs = daemon.logs()?;
    let said = logs.iter().rev().find(|line| ["critical", "error"].contains(&line.level()));
    let said = said.map(LogLine::message).unwrap_or_default();
    assert!(said.contains(text), "not told: {text}\n{}", daemon.output()?);
    Ok(())
}

#[tokio::test]
async fn wrong_flags_are_told_with_what_to_write_instead() -> Result<()> {
    let run = || NewDaemon { name: "flags".to_owned(), ..NewDaemon::default() }.arg("run");
    let named = || run().flag("cluster-name", "test");
    let cases = [
        (run(), "--cluster-name"),
        (run().flag("cluster-nam", "test"), "'--cluster-name'"),
        (run().flag("cluster-name", "my cluster"), "letters, digits"),
        (named().flag("owner-id", "default"), "choose another with --owner-id"),
        (named().flag("default-ttl", "60"), "did you mean 60s?"),
        (named().flag("default-ttl", "200h"), "1s to 168h"),
        (named().flag("domain-filter", "*.example.com"), "write `example.com` instead"),
        (named().flag("zone-id-filter", "example.com"), "is not a hosted zone id such as"),
        (named().flag("zone-type", "secret"), "public, private, any"),
        (named().flag("policy", "upsert"), "upsert-only"),
        (named().flag("lease-duration", "1s"), "5s to 5m"),
        (named().flag("full-sync-interval", "1s"), "less than 10s would use up AWS's rate limits"),
        (named().flag("listen", "8080"), "0.0.0.0:8080"),
        (named().flag("default-max-ips", "0"), "a whole number from 1"),
        (named().flag("reserved-ports", "90-80"), "must not be the greater one"),
        (named().flag("region", "eu-west-1.example.com"), "a region looks like eu-west-1"),
        (named().flag("log-format", "xml"), "text, json"),
        (named().env("EXTERNAL_IPS_DEFAULT_TTL", "soon"), "a duration is numbers, each with a unit"),
        (NewDaemon { name: "flags".to_owned(), ..NewDaemon::default() }.arg("rnu"), "unrecognized subcommand 'rnu'"),
    ];
    for (daemon, text) in cases {
        let arguments = daemon.arguments.clone();
        let daemon = daemon.start().await?;
        assert_eq!(daemon.end().await?.code(), Some(2), "{arguments:?}: {}", daemon.output()?);
        assert!(daemon.output()?.contains(text), "{arguments:?} doesn't tell {text}: {}", daemon.output()?);
    }
    let version = NewDaemon { name: "version".to_owned(), ..NewDaemon::default() }.arg("version").start().await?;
    assert_eq!(version.end().await?.code(), Some(0));
    assert!(version.output()?.starts_with("external-ips "));
    Ok(())
}

/// The metrics of the README's table.
fn documented_metrics() -> Result<Vec<String>> {
    let readme = std::fs::read_to_string(integration::repository().join("README.md"))?;
    let table = readme.lines().skip_while(|line| !line.starts_with("| metric |")).skip(2);
    let rows = table.take_while(|line| line.starts_with('|'));
    Ok(rows.filter_map(|row| row.split('`').nth(1).map(str::to_owned)).collect())
}

#[tokio::test]
async fn probes_tell_the_truth_on_leader_and_candidate() -> Result<()> {
    let world = World::new().await?;
    world.node("a", NewNode::default()).await?;
    let (one, gate) = world.daemon_behind_gate("one").await?;
    world.released_lease().await?;
    // Without the lists nobody could take over.
    let mut held = gate.hold_all(When::Before, |call| call.path == "/api/v1/nodes");
    let one = one.start().await?;
    held.holds_one().await?;
    let (status, text) = one.get("/readyz").await?;
    assert_eq!((status, text.contains("not complete yet")), (503, true), "{text}");
    assert_eq!(one.get("/livez").await?.0, 200);
    // One list fails: an error to count.
    gate.answer(1, When::After, Canned::Reset, |call| call.path == "/api/v1/nodes");
    held.release();
    is_ready(&one).await?;
    leads(&one).await?;
    let two = world.daemon("two").await?.start().await?;
    is_ready(&two).await?;
    world.apply(world.example()?).await?;
    synced(&world, EXAMPLE).await?;
    for daemon in [&one, &two] {
        assert_eq!((daemon.get("/livez").await?.0, daemon.get("/readyz").await?.0), (200, 200));
        assert_eq!(daemon.get("/").await?.0, 200);
        assert_eq!(daemon.get("/nothing").await?.0, 404);
    }
    let documented = documented_metrics()?;
    assert!(documented.len() > 20, "{documented:?}");
    // OpenMetrics leaves `_total` out of the names in the metadata.
    let shown = |metrics: &str, name: &str| {
        let name = name.strip_suffix("_total").unwrap_or(name);
        metrics.lines().any(|line| {
            line.starts_with(&format!("# TYPE {name} ")) || line.starts_with(&format!("# TYPE {name}_total "))
        })
    };
    let look = || async { Ok(one.get("/metrics").await?.1) };
    let missing = || async {
        let metrics = look().await?;
        Ok(documented.iter().filter(|name| !shown(&metrics, name)).cloned().collect::<Vec<_>>())
    };
    eventually("all documented metrics are there", missing, Vec::is_empty).await?;
    let metrics = look().await?;
    for line in metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = line.split(' ').next().unwrap_or_default();
        let known = |documented: &String| documented == name || documented.strip_suffix("_total") == Some(name);
        assert!(documented.iter().any(known), "{name} isn't documented");
    }
    let synced = |metrics: &String| metrics.lines().any(|line| line == "external_ips_services{state=\"Synced\"} 1");
    eventually("it counts the Service", look, synced).await?;
    for secret in [EXAMPLE, "external-ips-test.my-org.com"] {
        assert!(!metrics.contains(secret), "a label holds {secret}");
    }
    eventually("the leader says so", || says_it_leads(&one), |leads| *leads).await?;
    assert!(!says_it_leads(&two).await?);
    let candidate = two.get("/metrics").await?.1;
    assert!(!candidate.lines().any(|line| line.starts_with("external_ips_services{")), "{candidate}");
    Ok(())
}

#[tokio::test]
async fn no_secret_shows_up_anywhere() -> Result<()> {
    let world = World::new().await?;
    world.node("a", NewNode::default()).await?;
    world.released_lease().await?;
    let session = format!("session-{}", "t".repeat(40));
    let new = world.daemon("one").await?.env("AWS_SESSION_TOKEN", &session).flag("log-level", "trace");
    let kubeconfig = new
        .arguments
        .iter()
        .find_map(|argument| argument.to_string_lossy().strip_prefix("--kubeconfig=").map(str::to_owned));
    let kubeconfig = std::fs::read_to_string(kubeconfig.unwrap())?;
    let token =
        kubeconfig.split("token").nth(1).unwrap().trim_matches([':', '"', ' ']).split(['"', '\n']).next().unwrap();
    assert!(token.len() > 100, "a ServiceAccount's token: {token}");
    let daemon = new.start().await?;
    leads(&daemon).await?;
    // Errors of all kinds are where secrets show up.
    world.proxy.answer("CreateSecurityGroup", 1, When::Before, Canned::Error(403, "SignatureDoesNotMatch", "no"));
    world.proxy.answer("AuthorizeSecurityGroupIngress", 1, When::Before, Canned::Html);
    world.proxy.answer("ChangeResourceRecordSets", 1, When::Before, Canned::Error(403, "InvalidClientTokenId", "no"));
    world.proxy.answer("ChangeResourceRecordSets", 1, When::After, Canned::Reset);
    world.apply(world.example()?).await?;
    let service = synced(&world, EXAMPLE).await?;
    let mut pages =
        vec![daemon.output()?, serde_json::to_string(&service)?, format!("{:?}", world.events(EXAMPLE).await?)];
    for path in ["/", "/metrics", "/livez", "/readyz"] {
        pages.push(daemon.get(path).await?.1);
    }
    daemon.terminate()?;
    daemon.end().await?;
    pages.push(daemon.output()?);
    for secret in [secret_key("one").as_str(), &session, token] {
        for page in &pages {
            assert!(!page.contains(secret), "{secret} in {page}");
        }
    }
    Ok(())
}

/// Without what a developer's machine may have.
fn without_aws_files(daemon: NewDaemon) -> NewDaemon {
    daemon.env("AWS_CONFIG_FILE", "/nonexistent/config").env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials")
}

#[tokio::test]
async fn missing_region_and_missing_credentials_are_told() -> Result<()> {
    let world = World::new().await?;
    world.node("a", NewNode::default()).await?;
    world.released_lease().await?;
    let homeless = without_aws_files(world.daemon("one").await?).without_env("AWS_REGION").start().await?;
    assert_eq!(homeless.end().await?.code(), Some(1), "{}", homeless.output()?);
    last_words(&homeless, "region")?;
    last_words(&homeless, "AWS_REGION")?;

    let penniless = without_aws_files(world.daemon("two").await?)
        .without_env("AWS_ACCESS_KEY_ID")
        .without_env("AWS_SECRET_ACCESS_KEY");
    let penniless = penniless.start().await?;
    let told = |line: &LogLine| {
        ["warn", "error", "critical"].contains(&line.level()) && line.message().contains("credentials")
    };
    let line = penniless.wait_for_log("the missing credentials", told).await?;
    assert!(line.message().contains("AWS_ACCESS_KEY_ID"), "{line:?}");
    assert_eq!(world.proxy.calls(), [], "nothing is asked unsigned");
    Ok(())
}

#[tokio::test]
async fn an_unreachable_api_server_is_told_and_retried() -> Result<()> {
    let world = World::new().await?;
    let node = world.node("a", NewNode::default()).await?;
    world.released_lease().await?;
    world.apply(world.example()?).await?;
    let (daemon, gate) = world.daemon_behind_gate("one").await?;
    gate.answer(usize::MAX, When::Before, Canned::Reset, |_| true);
    let daemon = daemon.start().await?;
    for resource in ["services", "nodes", "endpointslices"] {
        let told = |line: &LogLine| {
            line.level() == "warn" && line.message() == "list failed" && line.text("resource") == resource
        };
        daemon.wait_for_log(&format!("that {resource} can't be listed"), told).await?;
    }
    let told = |line: &LogLine| line.level() == "warn" && line.message() == "the Lease could not be read or written";
    daemon.wait_for_log("that the Lease can't be read", told).await?;
    assert_eq!((daemon.get("/livez").await?.0, daemon.get("/readyz").await?.0), (200, 503));
    gate.answer_no_more();
    synced(&world, EXAMPLE).await?;
    example_alone_on(&world, &[&node], 6315).await?;
    assert_eq!(daemon.get("/readyz").await?.0, 200);

    // Nobody listens there: the same, and it can be told to end.
    let (nowhere, gate) = world.daemon_behind_gate("two").await?;
    drop(gate);
    let nowhere = nowhere.start().await?;
    nowhere.wait_for_log("that nothing answers", |line| line.message() == "list failed").await?;
    throughout(Duration::from_millis(300), "it stays", || async { nowhere.ended() }, Option::is_none).await?;
    nowhere.terminate()?;
    assert_eq!(nowhere.end().await?.code(), Some(0));
    is_well(&daemon)
}

#[tokio::test]
async fn a_kubeconfig_or_an_address_that_cant_be_used_is_told() -> Result<()> {
    let world = World::new().await?;
    let lost = world.daemon("one").await?.flag("kubeconfig", "/nonexistent/kubeconfig").start().await?;
    assert_eq!(lost.end().await?.code(), Some(1));
    last_words(&lost, "can't read the kubeconfig /nonexistent/kubeconfig")?;
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = taken.local_addr()?.to_string();
    let late = world.daemon("two").await?.flag("listen", &address).start().await?;
    assert_eq!(late.end().await?.code(), Some(1));
    last_words(&late, &format!("can't listen on {address}"))?;
    last_words(&late, "--listen")?;
    assert!(external_ips(&world.apply(world.example()?).await?).is_empty());
    Ok(())
}
