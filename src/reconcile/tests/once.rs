//! `--once`.

use super::world::World;
use crate::cloud::tests::aws::Fault as AwsFault;
use crate::cluster::tests::world::{asking, secs};
use crate::reconcile::Outcome;
use serde_json::json;

#[tokio::test(flavor = "local", start_paused = true)]
async fn once_ends_done() {
    let world = World::new(2, &[asking("quake"), asking("doom")]);
    let outcome = world.process("a").once(std::future::pending()).await;
    assert_eq!(outcome, Outcome::Done);
    assert_eq!(world.ips("quake"), json!(["10.0.0.1", "10.0.0.2"]));
    assert!(world.synced("doom"));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn once_says_what_is_missing() {
    let mut other = asking("doom");
    other["metadata"]["annotations"]["external-ips.alpha.openfresh.github.io/hostname"] = json!("doom.example.org");
    let world = World::new(1, &[asking("quake"), other]);
    world.aws.zone("Z2", "example.org.");
    let denied = AwsFault::Answer(403, "AccessDenied", "not authorized");
    world.aws.break_down("ChangeResourceRecordSets", "Z1", denied);
    let Outcome::Incomplete(problems) = world.process("a").once(std::future::pending()).await else {
        panic!("it can't be done")
    };
    assert!(problems.len() == 1 && problems[0].contains("quake.example.com"), "{problems:?}");
    assert!(world.synced("doom"), "the rest is done");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn once_says_who_is_rejected() {
    let mut odd = asking("quake");
    odd["metadata"]["annotations"]["external-ips.alpha.openfresh.github.io/ttl"] = json!("soon");
    let world = World::new(1, &[odd, asking("doom")]);
    let Outcome::Incomplete(problems) = world.process("a").once(std::future::pending()).await else {
        panic!("quake is not served")
    };
    assert!(problems.len() == 1 && problems[0].contains("games/quake"), "{problems:?}");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn once_gives_up_an_aws_that_can_not_be_read() {
    let world = World::new(1, &[asking("quake")]);
    world.aws.break_down("DescribeSecurityGroups", "", AwsFault::Answer(403, "UnauthorizedOperation", "no"));
    let outcome = world.process("a").once(std::future::pending()).await;
    assert!(matches!(outcome, Outcome::Incomplete(problems) if problems.len() == 1));
    assert_eq!(world.changes(), Vec::<String>::new());
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn once_can_be_interrupted() {
    let world = World::new(1, &[asking("quake")]);
    world.leases.cut("a");
    let outcome = world.process("a").once(tokio::time::sleep(secs(100))).await;
    assert_eq!(outcome, Outcome::Interrupted);
}
