//! When rounds run.

use super::world::{READS, World};
use crate::cloud::tests::aws::Fault as AwsFault;
use crate::cluster::tests::api::Verb;
use crate::cluster::tests::world::{asking, instance, millis, secs};
use tokio::time::Instant;

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_second_round_writes_nothing() {
    let world = World::new(2, &[asking("quake"), asking("doom")]);
    let process = world.converged(&["quake", "doom"]).await;
    for _ in 0..3 {
        world.nudge();
        world.pass(secs(2)).await;
    }
    let journal = world.journal();
    assert!(journal.iter().any(|line| line == "DescribeInstances"), "a round ran: {journal:?}");
    assert!(journal.iter().all(|line| READS.contains(&line.as_str())), "{journal:?}");
    assert!(process.fence.is_leader());
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_quiet_world_is_read_anew_on_the_slow_timer_and_not_before() {
    let world = World::new(2, &[asking("quake")]);
    let _process = world.converged(&["quake"]).await;
    let reads_all = |world: &World| {
        let journal = world.journal();
        assert!(READS.iter().all(|read| journal.iter().any(|line| line == read)), "{journal:?}");
        assert!(journal.iter().all(|line| READS.contains(&line.as_str())), "{journal:?}");
    };
    // Once nothing that was read before can hide what another process did last.
    world.pass(secs(130)).await;
    reads_all(&world);
    world.pass(secs(400)).await;
    assert_eq!(world.journal(), Vec::<String>::new());
    world.pass(secs(400)).await;
    reads_all(&world);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn what_others_undo_at_aws_is_put_right_by_the_slow_timer() {
    let world = World::new(1, &[asking("quake")]);
    let _process = world.converged(&["quake"]).await;
    let group = world.aws.vm(&crate::cluster::tests::world::instance(1), |vm| vm.groups.pop().unwrap());
    assert_ne!(group, "sg-nodes");
    world.pass(secs(800)).await;
    assert!(world.aws.vm(&crate::cluster::tests::world::instance(1), |vm| vm.groups.contains(&group)));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_change_starts_a_round_after_the_quiet_time() {
    let world = World::new(1, &[asking("quake")]);
    let _process = world.converged(&["quake"]).await;
    let start = Instant::now();
    world.api.edit(|objects| objects.put("services", asking("doom")));
    world.until("it is tried", || world.api.calls_of(Verb::DryRun, "doom").len() == 1).await;
    assert!((millis(100)..millis(150)).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn changes_without_end_start_a_round_after_a_second_at_most() {
    let world = World::new(1, &[asking("quake")]);
    let _process = world.converged(&["quake"]).await;
    let start = Instant::now();
    world.api.edit(|objects| objects.put("services", asking("doom")));
    while world.api.calls_of(Verb::DryRun, "doom").is_empty() {
        world.nudge();
        world.pass(millis(50)).await;
        assert!(start.elapsed() < millis(1100));
    }
    assert!(start.elapsed() >= millis(900), "it waited for quiet: {:?}", start.elapsed());
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn route_53_is_asked_until_the_record_is_everywhere() {
    let world = World::new(1, &[asking("quake")]);
    *world.insync.lock().unwrap() = false;
    let _process = world.process("a").run();
    world.until("all is done but that", || !world.condition("quake").is_null()).await;
    assert_eq!(
        (&world.condition("quake")["status"], &world.condition("quake")["reason"]),
        (&"False".into(), &"Progressing".into())
    );
    world.pass(secs(30)).await;
    let asked = world.sent("GetChange");
    assert!((10..=16).contains(&asked), "every two seconds: {asked}");
    *world.insync.lock().unwrap() = true;
    world.until("it is synced", || world.synced("quake")).await;
    let asked = world.sent("GetChange");
    world.pass(secs(60)).await;
    assert_eq!(world.sent("GetChange"), asked);
    assert!(!world.api.events("quake").contains(&"Progressing".to_owned()), "the way there is no transition");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn progress_is_told_while_waiting() {
    let world = World::new(1, &[asking("quake")]);
    let (leader, candidate) = (world.process("a").run(), world.process("b").run());
    for step in 0..800 {
        world.pass(secs(1)).await;
        for (who, process) in [("leader or first", &leader), ("candidate", &candidate)] {
            assert!(process.progress.since() <= secs(7), "{who} after {step} s: {:?}", process.progress.since());
        }
    }
    assert!(world.synced("quake"));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn progress_is_told_while_the_api_server_is_away() {
    use crate::cluster::tests::api::Fault;
    let world = World::new(1, &[asking("quake")]);
    let process = world.converged(&["quake"]).await;
    for verb in [Verb::List, Verb::Watch] {
        world.api.fault(verb, "", usize::MAX, Fault::LostBefore);
    }
    for _ in 0..400 {
        world.pass(secs(1)).await;
        assert!(process.progress.since() <= secs(7));
    }
    world.api.heal();
    world.api.edit(|objects| objects.put("services", asking("doom")));
    world.until("it goes on", || world.synced("doom")).await;
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_read_that_takes_minutes_is_progress_while_aws_answers() {
    let world = World::new(1, &[asking("quake")]);
    // Route 53 takes five requests a second: more than two minutes.
    for n in 0..800 {
        world.aws.zone(&format!("Y{n}"), &format!("z{n}.example.net."));
    }
    let process = world.process("a").run();
    world.until("it is served", || world.synced("quake")).await;
    assert!(process.fence.is_leader());
    assert_eq!(world.lines.count("the Lease is given up"), 0);
    assert_eq!(world.lines.count("INFO leads now"), 1);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn writes_that_take_minutes_are_progress_while_the_api_server_answers() {
    use crate::cluster::tests::api::Fault;
    // 16 at a time, 8 s each: more than a minute for each kind of write.
    let services: Vec<_> = (0..200)
        .map(|n| {
            let mut service = asking(&format!("s-{n}"));
            service["spec"]["ports"][0]["port"] = (20_000 + n).into();
            service
        })
        .collect();
    let world = World::new(1, &services);
    for verb in [Verb::DryRun, Verb::Apply, Verb::Status, Verb::Event] {
        world.api.fault(verb, "", usize::MAX, Fault::Slow(secs(8)));
    }
    let process = world.process("a").run();
    world.until("something is tried", || !world.api.calls_of(Verb::DryRun, "").is_empty()).await;
    while world.api.calls_of(Verb::Event, "").len() < 100 {
        world.pass(secs(1)).await;
        assert!(process.progress.since() <= secs(20), "{:?}", process.progress.since());
    }
    assert_eq!(world.lines.count("the Lease is given up"), 0);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn what_is_missing_elsewhere_makes_nothing_ready_before_the_record_is_everywhere() {
    let world = World::new(2, &[asking("quake")]);
    *world.insync.lock().unwrap() = false;
    let denied = AwsFault::Answer(403, "UnauthorizedOperation", "no");
    world.aws.break_down("ModifyInstanceAttribute", &instance(2), denied);
    let _process = world.process("a").run();
    world.until("one node serves", || !world.ips("quake").is_null()).await;
    world.pass(secs(60)).await;
    let condition = world.condition("quake");
    assert_eq!((&condition["status"], &condition["reason"]), (&"False".into(), &"Degraded".into()), "{condition}");
    *world.insync.lock().unwrap() = true;
    world.until("it is everywhere", || world.condition("quake")["status"] == "True").await;
    assert_eq!(world.condition("quake")["reason"], "Degraded");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn what_takes_very_long_keeps_no_address_in_dns() {
    let world = World::new(20, &[asking("doom")]);
    let _process = world.converged(&["doom"]).await;
    world.slow_down("AuthorizeSecurityGroupIngress", secs(8));
    world.api.edit(|objects| objects.put("services", super::telling::many(&["quake".to_owned()]).remove(0)));
    let opened = || world.sent("AuthorizeSecurityGroupIngress");
    let before = opened();
    world.until("it is being opened", || opened() > before).await;
    world.api.edit(|objects| objects.delete("services", "games", "doom"));
    let asked = Instant::now();
    let listed = || world.aws.state().route53.zones["Z1"].records.keys().any(|(name, _)| name.contains("doom"));
    world.until("its record is gone", || !listed()).await;
    assert!(asked.elapsed() < secs(20), "{:?}", asked.elapsed());
    world.until("the other one is served, too", || world.synced("quake")).await;
}
