use super::aws::{Aws, Fault};
use super::ec2::permission;
use super::*;
use crate::cloud::Next;
use crate::expose::{Closed, Reason};

fn world() -> Aws {
    let aws = Aws::default();
    aws.instance("i-1", 1);
    aws.group("sg-1", "external-ips/c1/i-1");
    aws
}

async fn one(cloud: &mut Cloud, step: Step) -> Result<(), crate::cloud::StepError> {
    let mut results = cloud.apply(&[step]).await;
    assert_eq!(results.len(), 1);
    results.remove(0)
}

#[tokio::test(start_paused = true)]
async fn a_group_is_created_with_its_tags_in_the_same_call() {
    let aws = Aws::default();
    aws.instance("i-1", 1);
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.calls();
    one(&mut cloud, create("i-1")).await.unwrap();
    assert_eq!(aws.calls(), ["CreateSecurityGroup"]);
    let made = aws.sg("sg-new1", |group| group.clone());
    assert_eq!(made.name, "external-ips/c1/i-1");
    assert_eq!(made.tags["external-ips/c1"], "owned");
    assert_eq!(made.tags["Name"], made.name);
    assert_eq!(cloud.observed().groups[&sg("sg-new1")].name, made.name);
}

#[tokio::test(start_paused = true)]
async fn a_created_group_survives_a_read_that_shows_the_past_for_some_minutes() {
    let aws = Aws::default();
    aws.instance("i-1", 1);
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.freeze_reads();
    one(&mut cloud, create("i-1")).await.unwrap();
    one(&mut cloud, authorize("i-1", "sg-new1", &[53])).await.unwrap();
    one(&mut cloud, attach("i-1", "sg-new1")).await.unwrap();
    let as_written = cloud.observed().clone();
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert_eq!(*cloud.observed(), as_written);
    assert_eq!(known(&cloud, "i-1").groups, [sg("sg-nodes"), sg("sg-new1")]);
    // What is not shown after the longest lag isn't there.
    tokio::time::sleep(Duration::from_secs(300)).await;
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert!(cloud.observed().groups.is_empty());
    assert_eq!(known(&cloud, "i-1").groups, [sg("sg-nodes")]);
}

#[tokio::test(start_paused = true)]
async fn what_was_seen_once_and_undone_by_others_is_gone() {
    let aws = world();
    let mut cloud = read(&aws, &["i-1"]).await;
    one(&mut cloud, authorize("i-1", "sg-1", &[53])).await.unwrap();
    one(&mut cloud, attach("i-1", "sg-1")).await.unwrap();
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    aws.sg("sg-1", |group| group.rules.clear());
    aws.vm("i-1", |vm| vm.groups.retain(|group| group != "sg-1"));
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert!(cloud.observed().groups[&sg("sg-1")].rules.is_empty());
    assert_eq!(known(&cloud, "i-1").groups, [sg("sg-nodes")]);
}

#[tokio::test(start_paused = true)]
async fn what_was_removed_stays_removed_though_a_read_shows_the_past() {
    let aws = world();
    aws.sg("sg-1", |group| group.rules.insert(permission(53), "external-ips: games/quake".into()));
    aws.vm("i-1", |vm| vm.groups.push("sg-1".into()));
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.freeze_reads();
    one(&mut cloud, revoke("i-1", "sg-1", &[53])).await.unwrap();
    one(&mut cloud, detach("i-1", "sg-1")).await.unwrap();
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert!(cloud.observed().groups[&sg("sg-1")].rules.is_empty());
    assert_eq!(known(&cloud, "i-1").groups, [sg("sg-nodes")]);
    one(&mut cloud, delete("sg-1")).await.unwrap();
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert!(cloud.observed().groups.is_empty());
    aws.thaw_reads();
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert!(cloud.observed().groups.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_attached_again_is_not_hidden_because_it_was_taken_off_before() {
    let aws = world();
    let mut cloud = read(&aws, &["i-1"]).await;
    for step in [attach("i-1", "sg-1"), detach("i-1", "sg-1"), attach("i-1", "sg-1")] {
        one(&mut cloud, step).await.unwrap();
    }
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert_eq!(known(&cloud, "i-1").groups, [sg("sg-nodes"), sg("sg-1")]);
}

#[tokio::test(start_paused = true)]
async fn what_a_read_of_the_past_shows_as_taken_off_is_not_taken_for_our_own_write() {
    let aws = world();
    aws.freeze_reads();
    aws.vm("i-1", |vm| vm.groups.push("sg-1".into()));
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.writes();
    one(&mut cloud, detach("i-1", "sg-1")).await.unwrap();
    assert!(aws.writes().is_empty());
    aws.thaw_reads();
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert_eq!(known(&cloud, "i-1").groups, [sg("sg-nodes"), sg("sg-1")]);
}

#[tokio::test(start_paused = true)]
async fn a_group_of_our_name_is_adopted_only_with_our_tag() {
    let aws = Aws::default();
    aws.instance("i-1", 1);
    aws.instance("i-2", 2);
    let mut cloud = read(&aws, &["i-1", "i-2"]).await;
    aws.group("sg-1", "external-ips/c1/i-1");
    aws.sg("sg-1", |group| group.rules.insert(permission(53), "external-ips: games/quake".into()));
    aws.group("sg-2", "external-ips/c1/i-2");
    aws.sg("sg-2", |group| group.tags.clear());
    one(&mut cloud, create("i-1")).await.unwrap();
    assert_eq!(cloud.observed().groups[&sg("sg-1")].rules, rules(&[53]));
    let error = one(&mut cloud, create("i-2")).await.unwrap_err();
    assert_eq!((error.next, error.reason), (Next::BackOff, Reason::Failed));
    assert!(error.message.contains("sg-2 in vpc-1 has that name but not the tag external-ips/c1"), "{error}");
    assert!(!cloud.observed().groups.contains_key(&sg("sg-2")));
}

/// Somebody has put another group of the same name in the place of one.
fn replaced(aws: &Aws) {
    aws.state().ec2.groups.remove("sg-1");
    aws.group("sg-2", "external-ips/c1/i-1");
}

#[tokio::test(start_paused = true)]
async fn a_group_that_a_read_found_is_not_waited_for_like_a_new_one() {
    let aws = Aws::default();
    aws.instance("i-1", 1);
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.group("sg-1", "external-ips/c1/i-1");
    aws.freeze_reads();
    replaced(&aws);
    one(&mut cloud, create("i-1")).await.unwrap();
    let error = one(&mut cloud, attach("i-1", "sg-1")).await.unwrap_err();
    assert_ne!(error.next, Next::Wait, "{error}");
    aws.thaw_reads();
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert_eq!(cloud.observed().groups.keys().collect::<Vec<_>>(), [&sg("sg-2")]);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_we_deleted_is_not_found_again_in_a_read_of_the_past() {
    let aws = world();
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.freeze_reads();
    one(&mut cloud, delete("sg-1")).await.unwrap();
    replaced(&aws);
    let error = one(&mut cloud, create("i-1")).await.unwrap_err();
    assert_eq!(error.next, Next::Wait, "{error}");
    assert!(cloud.observed().groups.is_empty());
    aws.thaw_reads();
    one(&mut cloud, create("i-1")).await.unwrap();
    assert_eq!(cloud.observed().groups.keys().collect::<Vec<_>>(), [&sg("sg-2")]);
}

#[tokio::test(start_paused = true)]
async fn a_create_whose_answer_was_lost_is_read_and_found() {
    let aws = Aws::default();
    aws.instance("i-1", 1);
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.fail("CreateSecurityGroup", Fault::LostAfter);
    assert_eq!(one(&mut cloud, create("i-1")).await.unwrap_err().next, Next::Replan);
    assert!(cloud.due());
    aws.calls();
    // Not repeated blindly.
    assert_eq!(one(&mut cloud, create("i-1")).await.unwrap_err().next, Next::Replan);
    assert!(aws.calls().is_empty());
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert_eq!(aws.calls(), ["DescribeSecurityGroups"]);
    assert!(cloud.observed().groups.contains_key(&sg("sg-new1")));
    assert!(!cloud.due());
}

#[tokio::test(start_paused = true)]
async fn a_new_group_that_ec2_does_not_find_yet_is_a_reason_to_wait() {
    let aws = Aws::default();
    aws.instance("i-1", 1);
    let mut cloud = read(&aws, &["i-1"]).await;
    one(&mut cloud, create("i-1")).await.unwrap();
    aws.fail("AuthorizeSecurityGroupIngress", Fault::Answer(400, "InvalidGroup.NotFound", "no such group"));
    let error = one(&mut cloud, authorize("i-1", "sg-new1", &[53])).await.unwrap_err();
    assert_eq!((error.next, error.reason), (Next::Wait, Reason::Progressing));
    assert!(!cloud.due());
    one(&mut cloud, authorize("i-1", "sg-new1", &[53])).await.unwrap();
    // Of an old group it means that somebody deleted it.
    tokio::time::sleep(Duration::from_secs(301)).await;
    aws.state().ec2.groups.remove("sg-new1");
    let error = one(&mut cloud, authorize("i-1", "sg-new1", &[54])).await.unwrap_err();
    assert_eq!(error.next, Next::Replan);
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert!(cloud.observed().groups.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_new_group_whose_deletion_got_lost_is_not_waited_for() {
    let aws = Aws::default();
    aws.instance("i-1", 1);
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.freeze_reads();
    one(&mut cloud, create("i-1")).await.unwrap();
    aws.fail("DeleteSecurityGroup", Fault::LostAfter);
    one(&mut cloud, delete("sg-new1")).await.unwrap_err();
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert!(cloud.observed().groups.is_empty());

    // However new it is, one that isn't found when it is to go is there only if a read shows it.
    one(&mut cloud, create("i-1")).await.unwrap();
    aws.state().ec2.groups.clear();
    assert_eq!(one(&mut cloud, delete("sg-new2")).await.unwrap_err().next, Next::Replan);
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert!(cloud.observed().groups.is_empty());
}

#[tokio::test(start_paused = true)]
async fn ports_are_opened_with_descriptions_and_closed_by_value() {
    let aws = world();
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.calls();
    one(&mut cloud, authorize("i-1", "sg-1", &[53, 54])).await.unwrap();
    assert_eq!(aws.sg("sg-1", |group| group.rules[&permission(53)].clone()), "external-ips: games/quake");
    assert_eq!(cloud.observed().groups[&sg("sg-1")].rules, rules(&[53, 54]));
    one(&mut cloud, revoke("i-1", "sg-1", &[53])).await.unwrap();
    assert_eq!(cloud.observed().groups[&sg("sg-1")].rules, rules(&[54]));
    assert_eq!(aws.calls(), ["AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress"]);
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_is_there_already_leads_to_reading_and_planning_anew() {
    let aws = world();
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.sg("sg-1", |group| group.rules.insert(permission(53), "external-ips: games/quake".into()));
    let error = one(&mut cloud, authorize("i-1", "sg-1", &[53, 54])).await.unwrap_err();
    assert_eq!(error.next, Next::Replan);
    assert!(cloud.due());
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert_eq!(cloud.observed().groups[&sg("sg-1")].rules, rules(&[53]));
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_is_gone_already_leads_to_reading_or_is_fine_in_the_default_vpc() {
    let aws = world();
    aws.sg("sg-1", |group| group.rules.insert(permission(53), "external-ips: games/quake".into()));
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.sg("sg-1", |group| group.rules.clear());
    assert_eq!(one(&mut cloud, revoke("i-1", "sg-1", &[53])).await.unwrap_err().next, Next::Replan);
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert!(cloud.observed().groups[&sg("sg-1")].rules.is_empty());
    aws.sg("sg-1", |group| group.vpc = "vpc-default".into());
    one(&mut cloud, revoke("i-1", "sg-1", &[53])).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_read_right_after_taking_over_is_proven_by_a_write_or_by_time() {
    let aws = world();
    let mut cloud = read(&aws, &["i-1"]).await;
    one(&mut cloud, attach("i-1", "sg-1")).await.unwrap();
    assert!(cloud.observed().unproven.is_empty());
    cloud.start_over(Closed::Of([sg("sg-2")].into()));
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert!(cloud.observed().unproven.is_empty(), "nothing of its groups was closed");
    cloud.start_over(Closed::Of([sg("sg-1")].into()));
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert_eq!(cloud.observed().unproven, ids(&["i-1"]));
    // It is written though it is shown, and after that another early read is nothing new.
    aws.writes();
    one(&mut cloud, attach("i-1", "sg-1")).await.unwrap();
    assert_eq!(aws.writes().len(), 1);
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert!(cloud.observed().unproven.is_empty());
    one(&mut cloud, attach("i-1", "sg-1")).await.unwrap();
    assert!(aws.writes().is_empty());
    cloud.start_over(Closed::Any);
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    tokio::time::sleep(Duration::from_secs(120)).await;
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert!(cloud.observed().unproven.is_empty());
}

#[tokio::test(start_paused = true)]
async fn rules_that_are_shown_are_made_sure_of_one_by_one() {
    let aws = world();
    aws.sg("sg-1", |group| group.rules.insert(permission(53), "external-ips: games/quake".into()));
    aws.sg("sg-1", |group| group.rules.insert(permission(54), "external-ips: games/quake".into()));
    let mut cloud = read(&aws, &["i-1"]).await;
    cloud.start_over(Closed::Any);
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert_eq!(cloud.observed().opened, Some(BTreeSet::new()));
    // Of what is shown, one is there.
    aws.sg("sg-1", |group| group.rules.remove(&permission(54)));
    aws.writes();
    one(&mut cloud, authorize("i-1", "sg-1", &[53, 54, 55, 56])).await.unwrap();
    assert_eq!(aws.writes().len(), 3);
    assert_eq!(aws.sg("sg-1", |group| group.rules.len()), 4);
    let opened = [53, 54, 55, 56].map(|port| (sg("sg-1"), udp(port)));
    assert_eq!(cloud.observed().opened, Some(BTreeSet::from(opened)));
    one(&mut cloud, revoke("i-1", "sg-1", &[55])).await.unwrap();
    assert_eq!(cloud.observed().opened.as_ref().map(BTreeSet::len), Some(3));
    tokio::time::sleep(Duration::from_secs(120)).await;
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert_eq!(cloud.observed().opened, None);
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_is_made_sure_of_stays_the_one_that_it_was_made_as() {
    let aws = world();
    aws.sg("sg-1", |group| group.rules.insert(permission(53), "external-ips: games/doom".into()));
    let mut cloud = read(&aws, &["i-1"]).await;
    cloud.start_over(Closed::Any);
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    one(&mut cloud, authorize("i-1", "sg-1", &[53])).await.unwrap();
    assert_eq!(cloud.observed().groups[&sg("sg-1")].rules[&udp(53)], "external-ips: games/doom");
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_closed_is_not_taken_for_open_because_a_read_shows_it() {
    let aws = world();
    aws.sg("sg-1", |group| group.rules.insert(permission(53), "external-ips: games/quake".into()));
    aws.vm("i-1", |vm| vm.groups.push("sg-1".into()));
    let mut cloud = read(&aws, &["i-1"]).await;
    for (operation, lost) in [
        ("RevokeSecurityGroupIngress", revoke("i-1", "sg-1", &[53])),
        ("ModifyInstanceAttribute", detach("i-1", "sg-1")),
    ] {
        aws.fail(operation, Fault::LostBefore);
        one(&mut cloud, lost).await.unwrap_err();
        cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    }
    assert_eq!(cloud.observed().closings.len(), 1);
    assert_eq!(cloud.observed().detachments.len(), 1);
    let later = cloud.observed().clone();
    // A write of ours tells, ...
    one(&mut cloud, authorize("i-1", "sg-1", &[53])).await.unwrap();
    one(&mut cloud, attach("i-1", "sg-1")).await.unwrap();
    assert!(cloud.observed().closings.is_empty() && cloud.observed().detachments.is_empty());
    // ... and so does a read that can't be older.
    cloud.observed = later;
    tokio::time::sleep(Duration::from_secs(120)).await;
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert!(cloud.observed().closings.is_empty() && cloud.observed().detachments.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_answer_with_nothing_in_it_proves_nothing() {
    let steps = [
        ("CreateSecurityGroup", create("i-1")),
        ("AuthorizeSecurityGroupIngress", authorize("i-1", "sg-1", &[53])),
        ("ModifyInstanceAttribute", attach("i-1", "sg-1")),
        ("RevokeSecurityGroupIngress", revoke("i-1", "sg-1", &[54])),
        ("ChangeResourceRecordSets", change("Z1", "a.example.com", &[], &["203.0.113.1"])),
    ];
    for (operation, wanted) in steps {
        let aws = world();
        aws.zone("Z1", "example.com.");
        aws.sg("sg-1", |group| group.rules.insert(permission(54), "external-ips: games/quake".into()));
        let mut cloud = read(&aws, &["i-1"]).await;
        let before =
            format!("{:?}", (&cloud.observed().groups, &cloud.observed().instances, &cloud.observed().records));
        aws.fail(operation, Fault::Hollow);
        let error = one(&mut cloud, wanted.clone()).await.unwrap_err();
        assert_eq!(error.next, Next::Replan, "{operation}: {error:?}");
        let after = format!("{:?}", (&cloud.observed().groups, &cloud.observed().instances, &cloud.observed().records));
        assert_eq!(after, before, "{operation}");
        cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
        one(&mut cloud, wanted).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_shows_that_a_group_was_read_too_early_has_its_instance_read_again_too() {
    let aws = world();
    aws.sg("sg-1", |group| group.rules.insert(permission(53), "external-ips: games/quake".into()));
    let mut cloud = read(&aws, &["i-1"]).await;
    one(&mut cloud, attach("i-1", "sg-1")).await.unwrap();
    aws.sg("sg-1", |group| group.rules.clear());
    one(&mut cloud, revoke("i-1", "sg-1", &[53])).await.unwrap_err();
    aws.calls();
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert!(aws.calls().contains(&"DescribeInstances"));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_never_followed_by_another_write_before_a_read() {
    let aws = world();
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.fail("AuthorizeSecurityGroupIngress", Fault::LostAfter);
    aws.calls();
    let results = cloud.apply(&[authorize("i-1", "sg-1", &[53]), attach("i-1", "sg-1")]).await;
    assert!(results.iter().all(|result| result.as_ref().unwrap_err().next == Next::Replan));
    assert_eq!(aws.calls(), ["AuthorizeSecurityGroupIngress"]);
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert_eq!(cloud.observed().groups[&sg("sg-1")].rules, rules(&[53]));
    one(&mut cloud, attach("i-1", "sg-1")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn attaching_and_detaching_keep_every_foreign_group_in_order() {
    let aws = world();
    for id in ["sg-a", "sg-b"] {
        aws.group(id, id);
        aws.sg(id, |group| group.tags.clear());
    }
    let mut cloud = read(&aws, &["i-1"]).await;
    // Since the last read.
    aws.vm("i-1", |vm| vm.groups = vec!["sg-b".into(), "sg-nodes".into(), "sg-a".into()]);
    aws.calls();
    one(&mut cloud, attach("i-1", "sg-1")).await.unwrap();
    assert_eq!(aws.calls(), ["DescribeInstances", "ModifyInstanceAttribute", "DescribeInstances"]);
    assert_eq!(aws.vm("i-1", |vm| vm.groups.clone()), ["sg-b", "sg-nodes", "sg-a", "sg-1"]);
    assert_eq!(known(&cloud, "i-1").groups, ["sg-b", "sg-nodes", "sg-a", "sg-1"].map(sg));
    one(&mut cloud, detach("i-1", "sg-1")).await.unwrap();
    assert_eq!(aws.vm("i-1", |vm| vm.groups.clone()), ["sg-b", "sg-nodes", "sg-a"]);
    assert_eq!(known(&cloud, "i-1").groups, ["sg-b", "sg-nodes", "sg-a"].map(sg));
}

#[tokio::test(start_paused = true)]
async fn what_is_as_wanted_is_not_written() {
    let aws = world();
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.vm("i-1", |vm| vm.groups.push("sg-1".into()));
    aws.calls();

    one(&mut cloud, attach("i-1", "sg-1")).await.unwrap();
    assert_eq!(aws.calls(), ["DescribeInstances"]);
    assert_eq!(known(&cloud, "i-1").groups, [sg("sg-nodes"), sg("sg-1")]);
}

#[tokio::test(start_paused = true)]
async fn of_several_interfaces_the_primary_one_is_named() {
    let aws = world();
    aws.vm("i-1", |vm| vm.interfaces = 2);
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.calls();
    one(&mut cloud, attach("i-1", "sg-1")).await.unwrap();
    let writes = aws.writes();
    assert_eq!(writes.len(), 1);
    assert!(writes[0].body.contains("NetworkInterfaceId=eni-i-1&"), "{}", writes[0].body);
    aws.break_down("ModifyNetworkInterfaceAttribute", "", Fault::Answer(403, "UnauthorizedOperation", "no"));
    let error = one(&mut cloud, detach("i-1", "sg-1")).await.unwrap_err();
    assert_eq!((error.next, error.reason), (Next::BackOff, Reason::AccessDenied));
    assert!(error.message.contains("needs ec2:ModifyNetworkInterfaceAttribute"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_second_group_does_not_push_off_a_first_that_reads_dont_show_yet() {
    let aws = world();
    aws.group("sg-2", "external-ips/c1/i-1/2");
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.freeze_reads();
    one(&mut cloud, attach("i-1", "sg-1")).await.unwrap();
    one(&mut cloud, attach("i-1", "sg-2")).await.unwrap();
    assert_eq!(aws.vm("i-1", |vm| vm.groups.clone()), ["sg-nodes", "sg-1", "sg-2"]);
    assert_eq!(known(&cloud, "i-1").groups, [sg("sg-nodes"), sg("sg-1"), sg("sg-2")]);
}

#[tokio::test(start_paused = true)]
async fn someone_who_writes_to_the_interface_at_the_same_time_is_noticed() {
    let aws = world();
    aws.group("sg-a", "a");
    aws.sg("sg-a", |group| group.tags.clear());
    let mut cloud = read(&aws, &["i-1"]).await;
    // After our read, our write, and before our look.
    aws.meddle("DescribeInstances", |_| {});
    aws.meddle("DescribeInstances", |state| {
        state.ec2.instances.get_mut("i-1").unwrap().groups = vec!["sg-nodes".into(), "sg-a".into()];
    });
    let error = one(&mut cloud, attach("i-1", "sg-1")).await.unwrap_err();
    assert_eq!(error.next, Next::Replan);
    assert!(cloud.due());
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    one(&mut cloud, attach("i-1", "sg-1")).await.unwrap();
    assert_eq!(aws.vm("i-1", |vm| vm.groups.clone()), ["sg-nodes", "sg-a", "sg-1"]);
}

#[tokio::test(start_paused = true)]
async fn groups_in_another_order_are_no_change_by_someone_else() {
    let aws = world();
    aws.group("sg-a", "a");
    aws.sg("sg-a", |group| group.tags.clear());
    aws.state().ec2.instances.get_mut("i-1").unwrap().groups = vec!["sg-nodes".into(), "sg-a".into()];
    let mut cloud = read(&aws, &["i-1"]).await;
    // Between our write and our look.
    aws.meddle("DescribeInstances", |_| {});
    aws.meddle("DescribeInstances", |state| state.ec2.instances.get_mut("i-1").unwrap().groups.reverse());
    one(&mut cloud, attach("i-1", "sg-1")).await.unwrap();
    assert_eq!(aws.vm("i-1", |vm| vm.groups.clone()), ["sg-1", "sg-a", "sg-nodes"], "the look saw this");
    assert!(!cloud.due());
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_not_ours_or_not_for_the_instance_is_never_attached() {
    let aws = world();
    aws.instance("i-2", 2);
    aws.group("sg-a", "a");
    aws.sg("sg-a", |group| group.tags.clear());
    aws.group("sg-vpc", "external-ips/c1/i-2");
    aws.sg("sg-vpc", |group| group.vpc = "vpc-2".into());
    let mut cloud = read(&aws, &["i-1", "i-2"]).await;
    aws.calls();
    for group in ["sg-a", "sg-none"] {
        assert_eq!(one(&mut cloud, attach("i-1", group)).await.unwrap_err().next, Next::Replan);
        cloud.refresh(&ids(&["i-1", "i-2"]), false).await.unwrap();
    }
    assert_eq!(one(&mut cloud, attach("i-2", "sg-1")).await.unwrap_err().next, Next::BackOff);
    assert_eq!(one(&mut cloud, attach("i-2", "sg-vpc")).await.unwrap_err().next, Next::BackOff);
    assert_eq!(one(&mut cloud, delete("sg-a")).await.unwrap_err().next, Next::Replan);
    assert!(aws.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_only_group_of_an_interface_is_never_taken_off() {
    let aws = world();
    aws.vm("i-1", |vm| vm.groups = vec!["sg-1".into()]);
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.calls();
    let error = one(&mut cloud, detach("i-1", "sg-1")).await.unwrap_err();
    assert_eq!(error.next, Next::BackOff);
    assert!(aws.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_reached_limit_is_told_as_one() {
    let aws = world();
    for id in ["sg-a", "sg-b", "sg-c", "sg-d"] {
        aws.group(id, id);
        aws.sg(id, |group| group.tags.clear());
        aws.vm("i-1", |vm| vm.groups.push(id.into()));
    }
    let mut cloud = read(&aws, &["i-1"]).await;
    let error = one(&mut cloud, attach("i-1", "sg-1")).await.unwrap_err();
    assert_eq!((error.next, error.reason), (Next::BackOff, Reason::SecurityGroupLimit));
    let ports: Vec<u16> = (1..=61).collect();
    let error = one(&mut cloud, authorize("i-1", "sg-1", &ports)).await.unwrap_err();
    assert_eq!((error.next, error.reason), (Next::BackOff, Reason::SecurityGroupLimit));
    // No interface has more than 16: that isn't even tried.
    let many = (0..16).map(|n| format!("sg-{n:02}"));
    aws.vm("i-1", |vm| vm.groups = many.collect());
    aws.calls();
    let error = one(&mut cloud, attach("i-1", "sg-1")).await.unwrap_err();
    assert_eq!((error.next, error.reason, aws.writes().len()), (Next::BackOff, Reason::SecurityGroupLimit, 0));
}

#[tokio::test(start_paused = true)]
async fn a_group_in_use_is_a_reason_to_wait_and_one_that_is_not_found_may_still_be_there() {
    let aws = world();
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.vm("i-1", |vm| vm.groups.push("sg-1".into()));
    assert_eq!(one(&mut cloud, delete("sg-1")).await.unwrap_err().next, Next::Wait);
    // Perhaps the instance has it after all.
    assert!(cloud.observed().groups.contains_key(&sg("sg-1")) && cloud.due());
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert_eq!(known(&cloud, "i-1").groups, [sg("sg-nodes"), sg("sg-1")]);
    assert!(!cloud.due());
    aws.break_down("DeleteSecurityGroup", "", Fault::Answer(400, "InvalidGroup.NotFound", "behind"));
    assert_eq!(one(&mut cloud, delete("sg-1")).await.unwrap_err().next, Next::Replan);
    aws.mend();
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert!(cloud.observed().groups.contains_key(&sg("sg-1")), "the listing shows it, so it is there");
    aws.state().ec2.groups.remove("sg-1");
    assert_eq!(one(&mut cloud, delete("sg-1")).await.unwrap_err().next, Next::Replan);
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert!(cloud.observed().groups.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_instance_whose_group_aws_refuses_to_enlarge_counts_as_full_for_ten_minutes() {
    let aws = world();
    let mut cloud = read(&aws, &["i-1"]).await;
    let fault = Fault::Answer(400, "RulesPerSecurityGroupLimitExceeded", "no");
    aws.break_down("AuthorizeSecurityGroupIngress", "", fault);
    one(&mut cloud, authorize("i-1", "sg-1", &[5000])).await.unwrap_err();
    assert_eq!(cloud.observed().full.keys().collect::<Vec<_>>(), [&id("i-1")]);
    tokio::time::sleep(Duration::from_secs(590)).await;
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert!(cloud.observed().full.contains_key(&id("i-1")));
    tokio::time::sleep(Duration::from_secs(11)).await;
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert!(cloud.observed().full.is_empty());
}

#[tokio::test(start_paused = true)]
async fn each_trouble_says_what_to_do_next() {
    let aws = world();
    let mut cloud = read(&aws, &["i-1"]).await;
    let cases = [
        (Fault::Answer(403, "UnauthorizedOperation", "no"), Next::BackOff, Reason::AccessDenied),
        (Fault::Answer(401, "AuthFailure", "no"), Next::BackOff, Reason::AccessDenied),
        (Fault::Answer(503, "RequestLimitExceeded", "slow"), Next::BackOff, Reason::Throttled),
        (Fault::Answer(400, "InvalidParameterValue", "bad"), Next::BackOff, Reason::Failed),
        (Fault::Answer(500, "InternalError", "oops"), Next::Replan, Reason::Failed),
        (Fault::LostBefore, Next::Replan, Reason::Failed),
        (Fault::Refused, Next::NotLeader, Reason::Progressing),
    ];
    for (fault, next, reason) in cases {
        aws.break_down("AuthorizeSecurityGroupIngress", "", fault.clone());
        let error = one(&mut cloud, authorize("i-1", "sg-1", &[53])).await.unwrap_err();
        assert_eq!((error.next, error.reason), (next, reason), "{fault:?}");
        let named = matches!(fault, Fault::Answer(_, "UnauthorizedOperation", _));
        assert_eq!(error.message.contains("role needs ec2:AuthorizeSecurityGroupIngress"), named, "{error}");
        assert_eq!(cloud.due(), next == Next::Replan, "{fault:?}");
        aws.mend();
        cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
        assert!(cloud.observed().groups[&sg("sg-1")].rules.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_into_which_somebody_put_a_rule_is_not_taken_away() {
    for step in [detach("i-1", "sg-1"), delete("sg-1")] {
        let aws = world();
        aws.vm("i-1", |vm| vm.groups.push("sg-1".into()));
        let mut cloud = read(&aws, &["i-1"]).await;
        aws.sg("sg-1", |group| _ = group.rules.insert(permission(8080), "a person's".into()));
        aws.calls();
        assert_eq!(one(&mut cloud, step).await.unwrap_err().next, Next::Replan);
        assert!(aws.writes().is_empty() && cloud.due());
        cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
        assert_eq!(cloud.observed().groups[&sg("sg-1")].rules.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_an_owner_reads_says_what_to_do_about_it() {
    let aws = world();
    let mut cloud = read(&aws, &["i-1"]).await;
    let cases = [
        (Fault::Answer(401, "AuthFailure", "no"), "look at its credentials"),
        (Fault::Answer(503, "RequestLimitExceeded", "slow"), "tried again by itself"),
        (Fault::Answer(400, "RulesPerSecurityGroupLimitExceeded", "full"), "rules per security group"),
        (
            Fault::Answer(400, "SecurityGroupsPerInterfaceLimitExceeded", "full"),
            "Security groups per network interface",
        ),
        (Fault::Answer(400, "InvalidParameterValue", "security group memberships"), "take off a group"),
        (Fault::Answer(400, "SecurityGroupLimitExceeded", "full"), "delete security groups"),
        (Fault::LostBefore, "tried again by itself"),
    ];
    for (fault, advice) in cases {
        aws.break_down("AuthorizeSecurityGroupIngress", "", fault.clone());
        let error = one(&mut cloud, authorize("i-1", "sg-1", &[53])).await.unwrap_err();
        assert!(error.message.contains(advice), "{fault:?}: {error}");
        aws.mend();
        cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    }
}
