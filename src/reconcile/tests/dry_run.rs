//! `--dry-run`.

use super::world::{READS, World};
use crate::cluster::tests::api::Verb;
use crate::cluster::tests::world::{asking, secs};
use crate::reconcile::{Outcome, Parts};

fn dry(parts: Parts) -> Parts {
    Parts { dry_run: true, ..parts }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_dry_run_writes_nothing_and_tells_once() {
    let world = World::new(2, &[asking("quake")]);
    let _process = world.process_with("a", dry).run();
    for _ in 0..20 {
        world.pass(secs(60)).await;
        world.nudge();
    }
    assert!(world.api.writes().is_empty() && world.api.calls_of(Verb::DryRun, "").is_empty());
    assert!(world.leases.log().is_empty(), "it is no candidate either");
    let journal = world.journal();
    assert!(!journal.is_empty() && journal.iter().all(|line| READS.contains(&line.as_str())), "{journal:?}");
    let would = |what: &str| world.lines.count(what);
    assert_eq!(would("would create security group"), 2);
    assert_eq!(would("would attach"), 2);
    assert_eq!(would("would write the record of quake.example.com"), 1);
    assert_eq!(would("would set spec.externalIPs of games/quake to 10.0.0.1,10.0.0.2"), 1);
    world.api.edit(|objects| objects.put("services", asking("doom")));
    world.pass(secs(10)).await;
    assert_eq!(would("would write the record of doom.example.com"), 1, "another plan is told");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_dry_run_tells_who_is_rejected_or_that_nothing_would_be_done() {
    let mut odd = asking("quake");
    odd["spec"]["clusterIP"] = "None".into();
    let world = World::new(1, &[odd]);
    let done = world.process_with("a", dry).once(std::future::pending()).await;
    assert_eq!(world.lines.count("UnsupportedService"), 1);
    assert!(matches!(&done, Outcome::Incomplete(problems) if problems[0].contains("games/quake")), "{done:?}");
    let world = World::new(1, &[]);
    let done = world.process_with("a", dry).once(std::future::pending()).await;
    assert_eq!(done, Outcome::Done);
    assert_eq!(world.lines.count("nothing would be done"), 1);
}
