use std::sync::Mutex;

use super::aws::{Aws, Fault};
use super::*;
use crate::cloud::Next;
use crate::expose::plan::effect;
use crate::expose::{Closed, Moment};
use slog::Drain;

fn world(instances: u8) -> Aws {
    let aws = Aws::default();
    for n in 1..=instances {
        aws.instance(&format!("i-{n}"), n);
        aws.group(&format!("sg-{n}"), &format!("external-ips/c1/i-{n}"));
    }
    aws
}

#[tokio::test(start_paused = true)]
async fn different_targets_are_worked_on_at_the_same_time_within_the_bound() {
    let aws = world(9);
    let names: Vec<String> = (1..=9).map(|n| format!("i-{n}")).collect();
    let mut cloud = read(&aws, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    aws.state().most_in_flight = 0;
    let steps: Vec<Step> = (1..=9).map(|n| authorize(&format!("i-{n}"), &format!("sg-{n}"), &[53])).collect();
    assert!(cloud.apply(&steps).await.iter().all(Result::is_ok));
    assert_eq!(aws.state().most_in_flight, 4);
}

#[tokio::test(start_paused = true)]
async fn steps_of_one_target_or_one_interface_follow_one_another() {
    let aws = world(1);
    aws.group("sg-old", "quake.c1");
    aws.vm("i-1", |vm| vm.groups.push("sg-old".into()));
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.state().most_in_flight = 0;
    // Attach and detach have different targets and the same list of groups.
    let steps = [detach("i-1", "sg-old"), attach("i-1", "sg-1"), authorize("i-1", "sg-1", &[53])];
    assert!(cloud.apply(&steps).await.iter().all(Result::is_ok));
    assert_eq!(aws.state().most_in_flight, 1);
    assert_eq!(aws.vm("i-1", |vm| vm.groups.clone()), ["sg-nodes", "sg-1"]);
    assert_eq!(known(&cloud, "i-1").groups, [sg("sg-nodes"), sg("sg-1")]);
}

#[tokio::test(start_paused = true)]
async fn a_step_keeps_what_an_earlier_step_of_the_same_plan_wrote_though_reads_show_the_past() {
    let world = || {
        let aws = world(1);
        aws.group("sg-2", "external-ips/c1/i-1/2");
        aws.group("sg-old", "quake.c1");
        aws.vm("i-1", |vm| vm.groups.push("sg-old".into()));
        aws
    };
    let cases = [
        (vec![attach("i-1", "sg-1"), attach("i-1", "sg-2")], vec!["sg-nodes", "sg-old", "sg-1", "sg-2"]),
        (vec![attach("i-1", "sg-1"), detach("i-1", "sg-old")], vec!["sg-nodes", "sg-1"]),
        (vec![detach("i-1", "sg-old"), attach("i-1", "sg-1"), attach("i-1", "sg-2")], vec!["sg-nodes", "sg-1", "sg-2"]),
    ];
    for (steps, groups) in cases {
        let aws = world();
        let mut cloud = read(&aws, &["i-1"]).await;
        aws.freeze_reads();
        assert!(cloud.apply(&steps).await.iter().all(Result::is_ok));
        assert_eq!(aws.vm("i-1", |vm| vm.groups.clone()), groups);
        let groups: Vec<GroupId> = groups.into_iter().map(sg).collect();
        assert_eq!(known(&cloud, "i-1").groups, groups);
        // What the plan wrote outlives the reads that still don't show it.
        cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
        let set = |groups: &[GroupId]| groups.iter().cloned().collect::<BTreeSet<_>>();
        assert_eq!(set(&known(&cloud, "i-1").groups), set(&groups));
    }
}

#[tokio::test(start_paused = true)]
async fn results_come_in_the_order_of_the_steps_and_one_failure_stops_no_other_target() {
    let aws = world(3);
    aws.zone("Z1", "example.com.");
    let mut cloud = read(&aws, &["i-1", "i-2", "i-3"]).await;
    aws.break_down("AuthorizeSecurityGroupIngress", "GroupId=sg-2", Fault::Answer(403, "UnauthorizedOperation", "no"));
    let steps = [
        authorize("i-1", "sg-1", &[1]),
        change("Z1", "a.example.com", &[], &["203.0.113.1"]),
        authorize("i-2", "sg-2", &[1]),
        authorize("i-3", "sg-3", &[1]),
    ];
    let results = cloud.apply(&steps).await;
    assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, false, true]);
    assert_eq!(cloud.observed().groups[&sg("sg-3")].rules, rules(&[1]));
    assert!(cloud.observed().groups[&sg("sg-2")].rules.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_target_whose_write_was_refused_for_lack_of_leadership_is_not_written_to_again() {
    let aws = world(1);
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.calls();
    aws.fail("AuthorizeSecurityGroupIngress", Fault::Refused);
    let results = cloud.apply(&[authorize("i-1", "sg-1", &[1]), authorize("i-1", "sg-1", &[2])]).await;
    assert!(results.iter().all(|result| result.as_ref().unwrap_err().next == Next::NotLeader));
    assert!(aws.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn two_runs_of_the_same_steps_make_the_same_calls() {
    let run = async || {
        let aws = world(5);
        aws.zone("Z1", "example.com.");
        let mut cloud = read(&aws, &["i-1", "i-2", "i-3", "i-4", "i-5"]).await;
        let firewall = (1..=5).map(|n| attach(&format!("i-{n}"), &format!("sg-{n}")));
        let names = (0..5).map(|n| change("Z1", &format!("s{n}.example.com"), &[], &["203.0.113.1"]));
        let steps: Vec<Step> = firewall.chain(names).collect();
        cloud.apply(&steps).await;
        let calls = std::mem::take(&mut aws.state().calls);
        calls.into_iter().map(|call| (call.operation, call.body)).collect::<Vec<_>>()
    };
    let first = run().await;
    assert!(first.len() > 15);
    assert_eq!(first, run().await);
}

#[tokio::test(start_paused = true)]
async fn a_slow_zone_holds_no_firewall_up() {
    let mut settings = settings();
    settings.concurrency = 1;
    let aws = world(1);
    aws.zone("Z1", "example.com.");
    let mut cloud = cloud_with(&aws, settings, slog::Logger::root(slog::Discard, slog::o!()));
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    aws.state().most_in_flight = 0;
    let steps = [change("Z1", "a.example.com", &[], &["203.0.113.1"]), authorize("i-1", "sg-1", &[53])];
    assert!(cloud.apply(&steps).await.iter().all(Result::is_ok));
    assert_eq!(aws.state().most_in_flight, 2);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_links_two_targets_makes_them_one_after_another() {
    let aws = world(2);
    aws.group("sg-old", "quake.c1");
    for name in ["i-1", "i-2"] {
        aws.vm(name, |vm| vm.groups.push("sg-old".into()));
    }
    let mut cloud = read(&aws, &["i-1", "i-2"]).await;
    aws.state().most_in_flight = 0;
    let steps = [attach("i-1", "sg-1"), attach("i-2", "sg-2"), detach("i-1", "sg-old"), detach("i-2", "sg-old")];
    assert!(cloud.apply(&steps).await.iter().all(Result::is_ok));
    assert_eq!(aws.state().most_in_flight, 1);
    for (name, group) in [("i-1", "sg-1"), ("i-2", "sg-2")] {
        assert_eq!(aws.vm(name, |vm| vm.groups.clone()), ["sg-nodes", group]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_confirmed_step_has_the_effect_that_the_core_expects() {
    let aws = world(1);
    aws.zone("Z1", "example.com.");
    let mut cloud = read(&aws, &["i-1"]).await;
    let steps = [
        authorize("i-1", "sg-1", &[53, 54]),
        attach("i-1", "sg-1"),
        change("Z1", "a.example.com", &[], &["203.0.113.1"]),
        change("Z1", "a.example.com", &["203.0.113.1"], &["203.0.113.2"]),
        change("Z1", "a.example.com", &["203.0.113.2"], &[]),
        revoke("i-1", "sg-1", &[54]),
        detach("i-1", "sg-1"),
        delete("sg-1"),
    ];
    let (mut snapshot, mut memory) = Default::default();
    for step in steps {
        let mut expected = cloud.observed().clone();
        effect(&step, &mut snapshot, &mut expected, &mut memory, Moment::default());
        assert_ne!(*cloud.observed(), expected);
        cloud.apply(std::slice::from_ref(&step)).await.remove(0).unwrap();
        assert_eq!(*cloud.observed(), expected, "{}", step.action);
        // And so AWS says.
        cloud.start_over(Closed::default());
        cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
        // All but what a process knows of its own doings.
        expected.rewritten.clear();
        assert_eq!(*cloud.observed(), expected, "{}", step.action);
    }
}

#[test]
fn what_the_loop_awaits_may_move_between_threads() {
    fn is_send<T: Send>(_: T) {}
    let _ = |cloud: &mut Cloud, steps: &[Step], names: &BTreeSet<InstanceId>| {
        is_send(cloud.apply(steps));
        is_send(cloud.refresh(names, true));
        is_send(cloud.poll_changes());
    };
}

/// Keeps each line with its keys.
struct Lines(Arc<Mutex<Vec<String>>>);

impl Drain for Lines {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, record: &slog::Record<'_>, _: &slog::OwnedKVList) -> Result<(), slog::Never> {
        struct Keys(Vec<String>);
        impl slog::Serializer for Keys {
            fn emit_arguments(&mut self, key: slog::Key, value: &std::fmt::Arguments<'_>) -> slog::Result {
                self.0.push(format!("{key}={value}"));
                Ok(())
            }
        }
        if record.level() == slog::Level::Info {
            let mut keys = Keys(Vec::new());
            slog::KV::serialize(&record.kv(), record, &mut keys).unwrap();
            keys.0.sort();
            self.0.lock().unwrap().push(format!("{} | {}", record.msg(), keys.0.join(" | ")));
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn each_confirmed_step_is_one_line() {
    let aws = world(1);
    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = slog::Logger::root(Lines(Arc::clone(&lines)).fuse(), slog::o!());
    let mut cloud = cloud_with(&aws, settings(), log);
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    cloud.apply(&[authorize("i-1", "sg-1", &[53]), authorize("i-1", "sg-unknown", &[53])]).await;
    assert_eq!(
        *lines.lock().unwrap(),
        ["add 53/UDP from 0.0.0.0/0 to sg-1 | reason=a test wants it | service=games/quake | took_ms=20"]
    );
}
