//! The daemon as a whole, composed from the fakes.

use super::world::World;
use crate::args::{Cli, Command, Config};
use crate::cluster::tests::api::{Fault, Verb};
use crate::cluster::tests::world::{asking, millis, secs};
use crate::daemon;
use crate::leader::tests::world::{TestClock, TestRandom};
use clap::Parser;
use std::collections::BTreeMap;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

fn config(more: &[&str]) -> Config {
    let mut line = vec!["external-ips", "run", "--cluster-name", "c1", "--region", "eu-west-1", "--listen", "off"];
    line.extend(more);
    let Command::Run(args) = Cli::try_parse_from(line).unwrap().command else { panic!("it runs") };
    args.config(|name| (name == "POD_NAME").then(|| "pod".to_owned())).unwrap()
}

struct Daemon {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), String>>,
}

fn start(world: &World, more: &[&str]) -> Daemon {
    let environment = BTreeMap::from(
        [("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_EC2_METADATA_DISABLED", "true")]
            .map(|(key, value)| (key.to_owned(), value.to_owned())),
    );
    let (stop, stopped) = oneshot::channel();
    let outside = daemon::World {
        kube: world.api.client(),
        lease: world.leases.client("daemon"),
        aws: world.transport(),
        listener: None,
        aws_settings: aws_api::Settings::load(&environment).unwrap(),
        clock: TestClock::new(secs(1000), 0, 1000),
        random: TestRandom::new(1),
        log: world.lines.log(),
    };
    let task = tokio::task::spawn_local(daemon::run(config(more), outside, async move {
        let _ = stopped.await;
    }));
    Daemon { stop, task }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_daemon_that_is_told_to_stop_answers_for_its_last_write_before_it_releases_the_lease() {
    let world = World::new(1, &[asking("quake")]);
    world.slow_down("CreateSecurityGroup", secs(3));
    let Daemon { stop, task } = start(&world, &[]);
    world.until("a write is on its way", || world.sent("CreateSecurityGroup") == 1).await;
    world.pass(millis(500)).await;
    let holder = world.leases.holder();
    assert!(holder.starts_with("pod_"), "{holder}");
    stop.send(()).unwrap();
    while world.aws.state().ec2.groups.len() < 2 {
        assert_eq!(world.leases.holder(), holder, "released before the write was answered");
        assert!(!task.is_finished());
        world.pass(millis(10)).await;
    }
    assert_eq!(task.await.unwrap(), Ok(()));
    assert_eq!(world.leases.holder(), "");
    assert_eq!(world.changes(), ["CreateSecurityGroup"], "nothing else was begun");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_write_that_is_never_answered_holds_the_lease_until_it_can_not_arrive_any_more() {
    let world = World::new(1, &[asking("quake")]);
    world.slow_down("CreateSecurityGroup", secs(3600));
    let Daemon { stop, task } = start(&world, &[]);
    world.until("a write is on its way", || world.sent("CreateSecurityGroup") == 1).await;
    let sent = tokio::time::Instant::now();
    stop.send(()).unwrap();
    while !world.leases.holder().is_empty() && !task.is_finished() {
        world.pass(millis(10)).await;
    }
    // The longest that a write may take.
    assert!(sent.elapsed() >= millis(4990), "{:?}", sent.elapsed());
    assert_eq!(task.await.unwrap(), Ok(()));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_successor_goes_on_where_the_one_before_was_stopped() {
    let world = World::new(2, &[asking("quake"), asking("doom")]);
    let first = start(&world, &[]);
    world.until("something is written", || world.sent("AuthorizeSecurityGroupIngress") >= 1).await;
    first.stop.send(()).unwrap();
    assert_eq!(first.task.await.unwrap(), Ok(()));
    let second = start(&world, &[]);
    world.until("all is served", || world.synced("quake") && world.synced("doom")).await;
    second.stop.send(()).unwrap();
    assert_eq!(second.task.await.unwrap(), Ok(()));
    assert_eq!(world.aws.state().ec2.groups.len(), 3, "one for each node, none twice");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn once_ends_by_itself_and_releases_the_lease() {
    let world = World::new(1, &[asking("quake")]);
    let daemon = start(&world, &["--once"]);
    assert_eq!(daemon.task.await.unwrap(), Ok(()));
    assert_eq!(world.leases.holder(), "");
    assert!(world.synced("quake"));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_dry_run_once_leaves_no_trace() {
    let world = World::new(1, &[asking("quake")]);
    let daemon = start(&world, &["--once", "--dry-run"]);
    assert_eq!(daemon.task.await.unwrap(), Ok(()));
    assert!(world.leases.log().is_empty() && world.api.writes().is_empty());
    assert_eq!(world.changes(), Vec::<String>::new());
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_daemon_that_is_told_to_stop_carries_the_writes_under_way_to_their_end() {
    let world = World::new(1, &[asking("quake")]);
    world.api.fault(Verb::Apply, "quake", usize::MAX, Fault::Slow(secs(3)));
    let Daemon { stop, task } = start(&world, &[]);
    world.until("the record is there", || world.journal().iter().any(|line| line == "ChangeResourceRecordSets")).await;
    world.pass(secs(1)).await;
    assert!(world.ips("quake").is_null());
    stop.send(()).unwrap();
    assert_eq!(task.await.unwrap(), Ok(()));
    assert_eq!(world.ips("quake"), serde_json::json!(["10.0.0.1"]));
    let heard = world.lines.count("INFO set spec.externalIPs of games/quake to 10.0.0.1");
    assert_eq!(heard, 1, "its answer is awaited, and told");
    assert!(world.condition("quake").is_null(), "nothing else was begun");
    assert_eq!(world.leases.holder(), "");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_daemon_that_is_told_to_stop_does_not_wait_for_what_it_reads() {
    let world = World::new(1, &[asking("quake")]);
    world.slow_down("ListHostedZones", secs(9));
    let Daemon { stop, task } = start(&world, &[]);
    world.until("it reads", || world.sent("ListHostedZones") == 1).await;
    let told = tokio::time::Instant::now();
    stop.send(()).unwrap();
    assert_eq!(task.await.unwrap(), Ok(()));
    assert!(told.elapsed() < secs(1), "{:?}", told.elapsed());
    assert_eq!(world.leases.holder(), "");
}
