//! `--once`.

use super::world::World;
use crate::cloud::tests::aws::Fault as AwsFault;
use crate::cluster::tests::api::{Fault, Verb, status};
use crate::cluster::tests::world::{asking, secs};
use crate::reconcile::{Outcome, Parts, Timing};
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
async fn once_is_not_done_while_withdrawals_are_held() {
    let names: Vec<String> = (0..6).map(|n| format!("s{n}")).collect();
    let services = super::telling::many(&names);
    let world = World::new(1, &services);
    assert_eq!(world.process("a").once(std::future::pending()).await, Outcome::Done);
    world.api.edit(|objects| names.iter().for_each(|name| objects.delete("services", "games", name)));
    let Outcome::Incomplete(problems) = world.process("b").once(std::future::pending()).await else {
        panic!("nothing was withdrawn")
    };
    assert!(problems.len() == 1 && problems[0].contains("nothing is withdrawn"), "{problems:?}");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn once_gives_up_an_aws_that_can_not_be_read() {
    let world = World::new(1, &[asking("quake")]);
    world.aws.break_down("DescribeSecurityGroups", "", AwsFault::Answer(403, "UnauthorizedOperation", "no"));
    let outcome = world.process("a").once(std::future::pending()).await;
    assert!(matches!(outcome, Outcome::Incomplete(problems) if problems.len() == 1));
    assert_eq!(world.changes(), ["Status games/quake 200"], "nothing but the word to its owner");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn once_can_be_interrupted() {
    let world = World::new(1, &[asking("quake")]);
    world.leases.cut("a");
    let outcome = world.process("a").once(tokio::time::sleep(secs(30))).await;
    assert_eq!(outcome, Outcome::Interrupted);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn once_ends_when_another_process_leads_and_names_it() {
    let world = World::new(1, &[asking("quake")]);
    world.leases.write_spec(json!({"holderIdentity": "somebody else", "leaseDurationSeconds": 3600}));
    let outcome = world.process("a").once(std::future::pending()).await;
    assert!(
        matches!(&outcome, Outcome::Incomplete(problems) if problems[0].ends_with("the Lease is held by somebody else")),
        "{outcome:?}"
    );
    assert_eq!(world.lines.count("waits: another process leads"), 1);
    assert_eq!(world.journal(), Vec::<String>::new());
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn once_ends_when_the_cluster_can_not_be_read_and_says_what_is_missing() {
    let world = World::new(1, &[asking("quake")]);
    let denied = status(403, "Forbidden", "User \"x\" cannot list resource \"nodes\"");
    world.api.fault(Verb::List, "nodes", usize::MAX, Fault::Answer(403, denied));
    let outcome = world.process("a").once(std::future::pending()).await;
    let Outcome::Incomplete(problems) = outcome else { panic!("it can't be done: {outcome:?}") };
    assert!(problems[0].contains("a complete list of nodes;") && !problems[0].contains("Lease"), "{problems:?}");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn once_is_patient_with_the_writes_of_a_former_leader() {
    let world = World::new(1, &[asking("quake")]);
    let hasty = |parts: Parts| Parts { timing: Timing { ready: secs(5), ..parts.timing.clone() }, ..parts };
    // There is no Lease yet: the first write waits for 25 s.
    let outcome = world.process_with("a", hasty).once(std::future::pending()).await;
    assert_eq!(outcome, Outcome::Done);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn once_takes_a_group_that_is_in_use_for_a_while_for_no_failure() {
    let world = World::new(1, &[asking("quake")]);
    let first = world.converged(&["quake"]).await;
    drop(first);
    world.api.edit(|objects| objects.delete("services", "games", "quake"));
    world.aws.break_down("DeleteSecurityGroup", "", AwsFault::Answer(400, "DependencyViolation", "in use"));
    let outcome = world.process("b").once(std::future::pending()).await;
    assert!(world.sent("DeleteSecurityGroup") > 0);
    assert_eq!(outcome, Outcome::Done);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn once_waits_for_what_merely_takes_its_time() {
    for (operation, code) in [
        ("AuthorizeSecurityGroupIngress", "InvalidGroup.NotFound"),
        ("ModifyInstanceAttribute", "InvalidGroup.NotFound"),
        ("ChangeResourceRecordSets", "PriorRequestNotComplete"),
    ] {
        let world = World::new(1, &[asking("quake")]);
        world.aws.fail(operation, AwsFault::Answer(400, code, "not yet"));
        let outcome = world.process("a").once(std::future::pending()).await;
        assert_eq!(outcome, Outcome::Done, "{operation}");
        assert!(world.synced("quake"), "{operation}");
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn once_does_not_wait_for_ever_and_says_for_what_it_waited() {
    let world = World::new(1, &[asking("quake")]);
    world.aws.break_down("AuthorizeSecurityGroupIngress", "", AwsFault::Answer(400, "InvalidGroup.NotFound", "no"));
    let Outcome::Incomplete(problems) = world.process("a").once(std::future::pending()).await else {
        panic!("it is not done")
    };
    assert!(problems.len() == 1 && problems[0].contains("doesn't find the new group"), "{problems:?}");
}
