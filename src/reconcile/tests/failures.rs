//! What goes wrong and for whom.

use super::world::World;
use crate::cloud::tests::aws::Fault as AwsFault;
use crate::cluster::tests::api::{Fault, Verb, status};
use crate::cluster::tests::world::{asking, instance, millis, secs};

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_failed_step_backs_off_and_others_go_on() {
    let world = World::new(1, &[asking("quake"), asking("doom")]);
    let denied = AwsFault::Answer(403, "AccessDenied", "not authorized to change quake");
    world.aws.break_down("ChangeResourceRecordSets", "quake", denied);
    let _process = world.process("a").run();
    world.until("doom is served", || world.synced("doom")).await;
    world.until("quake is told", || world.condition("quake")["reason"] == "AccessDenied").await;
    world.pass(secs(600)).await;
    let tried = world.sent("ChangeResourceRecordSets");
    // 1, 2, 4 ... 60 s, each varied by a fifth: about 15 tries in ten minutes.
    assert!((8..=26).contains(&tried), "{tried}");
    assert_eq!(world.condition("quake")["reason"], "AccessDenied");
    world.aws.mend();
    world.until("it heals", || world.synced("quake")).await;
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_zone_that_cant_be_read_is_no_reason_to_read_all_without_pause() {
    let world = World::new(1, &[asking("quake")]);
    let denied = AwsFault::Answer(403, "AccessDenied", "not authorized to list");
    world.aws.break_down("ListResourceRecordSets", "", denied);
    let _process = world.process("a").run();
    world.pass(secs(600)).await;
    let (full, tried) = (world.sent("DescribeSecurityGroups"), world.sent("ListResourceRecordSets"));
    assert!((8..=26).contains(&full) && (8..=26).contains(&tried), "{full} {tried}");
    world.aws.mend();
    world.until("it is served", || world.synced("quake")).await;
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_refused_publication_backs_off_and_others_go_on() {
    let world = World::new(1, &[asking("quake"), asking("doom")]);
    world.api.fault(Verb::Apply, "quake", usize::MAX, Fault::Answer(422, status(422, "Invalid", "no")));
    let _process = world.process("a").run();
    world.until("doom is served", || world.synced("doom")).await;
    world.pass(secs(600)).await;
    let tried = world.api.calls_of(Verb::Apply, "quake").len();
    assert!((8..=26).contains(&tried), "{tried}");
    assert_eq!(world.condition("quake")["reason"], "ExternalIPsForbidden");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn patience_that_the_api_server_asks_for_is_given() {
    let world = World::new(1, &[asking("quake")]);
    world.api.fault(Verb::Apply, "quake", 1, Fault::Later(429, 40));
    let _process = world.process("a").run();
    world.until("it is served", || world.synced("quake")).await;
    let tries = world.api.calls_of(Verb::Apply, "quake");
    assert!(tries[1].at - tries[0].at >= secs(40), "{:?}", tries[1].at - tries[0].at);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_unknown_outcome_at_aws_is_read_again_before_the_next_decision() {
    for fault in [AwsFault::LostAfter, AwsFault::LostBefore] {
        for (operation, read) in [
            ("CreateSecurityGroup", "DescribeSecurityGroups"),
            ("AuthorizeSecurityGroupIngress", "DescribeSecurityGroups"),
            ("ModifyInstanceAttribute", "DescribeInstances"),
            ("ChangeResourceRecordSets", "ListResourceRecordSets"),
        ] {
            let world = World::new(1, &[asking("quake")]);
            world.aws.fail(operation, fault.clone());
            let _process = world.process("a").run();
            world.until("it is served", || world.synced("quake")).await;
            let journal = world.journal();
            let lost = journal.iter().position(|line| line == operation).unwrap();
            let then =
                journal[lost + 1..].iter().find(|line| !line.starts_with("Describe") && !line.starts_with("List"));
            let until = journal.iter().rposition(|line| Some(line) == then).unwrap();
            assert!(journal[lost..until].iter().any(|line| line == read), "{operation} {fault:?} {journal:#?}");
            assert!(journal.iter().all(|line| !line.starts_with("Event Failed")), "it is no failure: {journal:#?}");
            let lost = world.sent_at(operation);
            assert!(lost.elapsed() <= secs(2), "it is read at once: {operation} {fault:?} {:?}", lost.elapsed());
            let groups = world.aws.state().ec2.groups.len();
            assert_eq!(groups, 2, "{operation} {fault:?}");
        }
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_unknown_outcome_at_the_api_server_is_read_again_before_the_next_decision() {
    for (fault, tries) in [(Fault::LostAfter, 1), (Fault::LostBefore, 2)] {
        let world = World::new(1, &[asking("quake")]);
        world.api.fault(Verb::Apply, "quake", 1, fault);
        let _process = world.process("a").run();
        world.until("it is served", || world.synced("quake")).await;
        let calls = world.api.calls();
        let verbs: Vec<Verb> = calls.iter().map(|c| c.verb).filter(|v| matches!(v, Verb::Apply | Verb::Get)).collect();
        assert_eq!(verbs[..2], [Verb::Apply, Verb::Get]);
        assert_eq!(world.api.calls_of(Verb::Apply, "quake").len(), tries);
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_zone_that_can_not_be_read_keeps_nobody_else_waiting() {
    let mut other = asking("doom");
    other["metadata"]["annotations"] =
        serde_json::json!({"external-ips.alpha.openfresh.github.io/hostname": "doom.example.org"});
    let world = World::new(1, &[asking("quake"), other]);
    world.aws.zone("Z2", "example.org.");
    world.aws.break_down("ListResourceRecordSets", "Z2", AwsFault::Answer(403, "AccessDenied", "no"));
    let _process = world.process("a").run();
    world.until("quake is served", || world.synced("quake")).await;
    assert!(world.ips("doom").is_null());
    world.aws.mend();
    world.until("doom is served", || world.synced("doom")).await;
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_aws_that_can_not_be_read_changes_nothing_and_is_asked_ever_more_seldom() {
    let world = World::new(1, &[asking("quake")]);
    let _process = world.converged(&["quake"]).await;
    world.aws.break_down("DescribeSecurityGroups", "", AwsFault::Answer(403, "UnauthorizedOperation", "no"));
    world.api.edit(|objects| objects.put("services", asking("doom")));
    world.pass(secs(1800)).await;
    let tried = world.sent("DescribeSecurityGroups");
    assert!(tried < 60, "{tried}");
    assert_eq!(world.aws.vm(&instance(1), |vm| vm.groups.len()), 2, "what was open stays so");
    world.aws.mend();
    world.until("it goes on", || world.synced("doom")).await;
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_list_that_somebody_sets_in_between_is_told_and_never_forced() {
    let world = World::new(1, &[asking("quake"), asking("doom")]);
    world.slow_down("ChangeResourceRecordSets", secs(2));
    let _process = world.process("a").run();
    world.until("it is nearly there", || world.sent("ChangeResourceRecordSets") == 1).await;
    world.api.edit(|objects| {
        objects.change("services", "games", "quake", |service| {
            service["spec"]["externalIPs"] = serde_json::json!(["198.51.100.1"]);
        });
        objects.own("games", "quake", "kubectl-edit", "Update", "externalIPs");
    });
    world.until("doom is served", || world.synced("doom")).await;
    world.until("quake is told", || world.condition("quake")["reason"] == "ExternalIPsTaken").await;
    assert!(world.condition("quake")["message"].as_str().unwrap().contains("kubectl-edit"));
    world.pass(secs(300)).await;
    assert_eq!(world.ips("quake"), serde_json::json!(["198.51.100.1"]));
    assert!(world.api.calls().iter().all(|call| call.asked("force") != "true"));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_service_that_is_recreated_in_between_gets_what_it_asks_for_and_not_what_the_old_one_did() {
    let world = World::new(1, &[asking("quake")]);
    world.slow_down("ChangeResourceRecordSets", secs(2));
    let _process = world.process("a").run();
    world.until("it is nearly there", || world.sent("ChangeResourceRecordSets") == 1).await;
    let mut other = asking("quake");
    other["metadata"]["uid"] = "uid-other".into();
    other["spec"]["ports"][0]["port"] = 666.into();
    world.api.edit(|objects| {
        objects.delete("services", "games", "quake");
        objects.put("services", other);
    });
    world.until("it is served", || world.synced("quake")).await;
    for call in world.api.writes().iter().filter(|call| call.status == 200 && call.verb == Verb::Apply) {
        assert_eq!(call.body["metadata"]["uid"], "uid-other");
    }
    let ports = || -> Vec<String> {
        let state = world.aws.state();
        state.ec2.groups.values().flat_map(|group| group.rules.keys().map(|rule| rule.1.clone())).collect()
    };
    world.until("the old port is closed", || ports() == ["666"]).await;
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_deleted_service_leaves_nothing_behind() {
    let world = World::new(2, &[asking("quake"), asking("doom")]);
    let _process = world.converged(&["quake", "doom"]).await;
    world.api.edit(|objects| objects.delete("services", "games", "quake"));
    let twins =
        || world.aws.state().route53.zones["Z1"].records.keys().filter(|(name, _)| name.contains("quake")).count();
    let rules = || world.aws.state().ec2.groups.values().map(|group| group.rules.len()).sum::<usize>();
    world.until("its record and its rules are gone", || twins() == 0 && rules() == 2).await;
    let events = world.api.events("quake").len();
    world.pass(secs(1000)).await;
    assert_eq!(world.api.events("quake").len(), events);
    assert!(world.synced("doom"));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn one_lost_answer_holds_nobody_up_for_longer_than_the_api_server_is_away() {
    let world = World::new(1, &[asking("quake")]);
    world.api.fault(Verb::Apply, "quake", 1, Fault::LostAfter);
    // Longer than it is waited for at once.
    world.api.fault(Verb::Get, "quake", 4, Fault::LostBefore);
    let _process = world.process("a").run();
    world.until("the answer is lost", || !world.api.calls_of(Verb::Apply, "quake").is_empty()).await;
    let lost = tokio::time::Instant::now();
    world.until("it is served", || world.synced("quake")).await;
    assert!(lost.elapsed() < secs(15), "{:?}", lost.elapsed());
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_publication_that_somebody_undoes_each_time_keeps_nobody_else_waiting() {
    let world = World::new(1, &[asking("quake"), asking("doom")]);
    let api = world.api.clone();
    // A controller that knows of no such field.
    let other = tokio::task::spawn_local(async move {
        loop {
            tokio::time::sleep(millis(20)).await;
            if !api.service("games", "quake")["spec"]["externalIPs"].is_null() {
                api.edit(|objects| {
                    objects.change("services", "games", "quake", |service| {
                        service["spec"].as_object_mut().unwrap().remove("externalIPs");
                    });
                });
            }
        }
    });
    let _process = world.process("a").run();
    world.until("doom is served", || world.synced("doom")).await;
    world.until("quake is told", || world.condition("quake")["reason"] == "Failed").await;
    assert!(world.condition("quake")["message"].as_str().unwrap().contains("undone each time"));
    world.api.edit(|objects| objects.put("services", asking("hexen")));
    let asked = tokio::time::Instant::now();
    world.until("a third one is served", || world.synced("hexen")).await;
    assert!(asked.elapsed() < secs(10), "{:?}", asked.elapsed());
    let before = world.api.calls_of(Verb::Apply, "quake").len();
    world.pass(secs(600)).await;
    let tried = world.api.calls_of(Verb::Apply, "quake").len() - before;
    assert!(tried <= 26, "ever more seldom: {tried}");
    other.abort();
    world.until("it is served when that ends", || world.synced("quake")).await;
}

/// EC2 takes no rule of quake.
fn refusing_a_rule(nodes: u8) -> World {
    let mut odd = asking("quake");
    odd["spec"]["ports"][0]["port"] = 666.into();
    let world = World::new(nodes, &[odd, asking("doom")]);
    let invalid = AwsFault::Answer(400, "InvalidParameterValue", "Invalid value for remote-ipv6-range");
    world.aws.break_down("AuthorizeSecurityGroupIngress", "666", invalid);
    world
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_rule_that_is_refused_for_what_is_in_it_keeps_no_other_service_closed() {
    let world = refusing_a_rule(1);
    let _process = world.process("a").run();
    world.until("doom is served", || world.synced("doom")).await;
    world.until("quake is told", || world.condition("quake")["reason"] == "Failed").await;
    world.pass(secs(600)).await;
    assert!(world.synced("doom"), "{}", world.condition("doom"));
    let tried = world.sent("AuthorizeSecurityGroupIngress");
    world.api.edit(|objects| objects.put("services", super::telling::many(&["hexen".to_owned()]).remove(0)));
    let asked = tokio::time::Instant::now();
    world.until("one that comes later is served at once", || world.synced("hexen")).await;
    assert!(asked.elapsed() < secs(10), "{:?}", asked.elapsed());
    world.pass(secs(600)).await;
    let tried = world.sent("AuthorizeSecurityGroupIngress") - tried;
    assert!(tried <= 30, "{tried}");
    world.aws.mend();
    world.until("quake is served when it is taken", || world.synced("quake")).await;
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_refused_rule_and_an_attach_that_fails_on_one_node_are_tried_ever_more_seldom_and_keep_no_other_node_waiting()
{
    let world = refusing_a_rule(2);
    let denied = AwsFault::Answer(403, "UnauthorizedOperation", "no");
    world.aws.break_down("ModifyInstanceAttribute", &instance(1), denied);
    let _process = world.process("a").run();
    world.until("the other node serves", || world.ips("doom") == serde_json::json!(["10.0.0.2"])).await;
    world.pass(secs(300)).await;
    let before = world.sent("ModifyInstanceAttribute");
    world.pass(secs(600)).await;
    let tried = world.sent("ModifyInstanceAttribute") - before;
    assert!((8..=26).contains(&tried), "{tried}");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn what_comes_and_goes_as_it_is_asked_for_is_no_work_of_somebody_elses() {
    let world = World::new(1, &[asking("doom")]);
    let _process = world.converged(&["doom"]).await;
    let quake = super::telling::many(&["quake".to_owned()]).remove(0);
    for _ in 0..12 {
        world.api.edit(|objects| objects.put("services", quake.clone()));
        world.until("it is served", || world.synced("quake")).await;
        world.api.edit(|objects| objects.delete("services", "games", "quake"));
        world.pass(secs(20)).await;
    }
    assert_eq!(world.lines.count("undone each time"), 0);
    assert_eq!(
        world.api.events("doom").iter().filter(|reason| *reason == "Failed" || *reason == "Degraded").count(),
        0
    );
}
