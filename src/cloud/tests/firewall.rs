//! Groups and their rules, against a scripted AWS.

use super::aws::{Aws, Fault};
use super::ec2::permission;
use super::*;
use crate::cloud::Next;
use crate::expose::Reason;

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

/// A port of a Service is open on the instance.
async fn serving() -> (Aws, Cloud) {
    let aws = world();
    aws.sg("sg-1", |group| group.rules.insert(permission(53), "external-ips: games/quake".into()));
    aws.vm("i-1", |vm| vm.groups.push("sg-1".into()));
    let cloud = read(&aws, &["i-1"]).await;
    (aws, cloud)
}

#[tokio::test(start_paused = true)]
async fn what_was_removed_stays_removed_though_a_read_shows_the_past() {
    let (aws, mut cloud) = serving().await;
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
async fn what_was_put_back_is_there_though_a_read_shows_first_the_past_before_and_then_that_in_between() {
    let (aws, mut cloud) = serving().await;
    aws.freeze_reads();
    one(&mut cloud, revoke("i-1", "sg-1", &[53])).await.unwrap();
    one(&mut cloud, detach("i-1", "sg-1")).await.unwrap();
    let in_between = aws.moment();
    one(&mut cloud, authorize("i-1", "sg-1", &[53])).await.unwrap();
    one(&mut cloud, attach("i-1", "sg-1")).await.unwrap();
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    aws.state().past = Some(in_between);
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert_eq!(cloud.observed().groups[&sg("sg-1")].rules, rules(&[53]));
    assert_eq!(known(&cloud, "i-1").groups, [sg("sg-nodes"), sg("sg-1")]);
    tokio::time::sleep(Duration::from_secs(300)).await;
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert!(cloud.observed().groups[&sg("sg-1")].rules.is_empty());
    assert_eq!(known(&cloud, "i-1").groups, [sg("sg-nodes")]);
}

#[tokio::test(start_paused = true)]
async fn what_was_done_is_known_to_be_though_the_step_fails_at_the_next_rule() {
    let aws = world();
    let of = description(&service());
    aws.sg("sg-1", |group| group.rules.extend([53, 54, 55].map(|port| (permission(port), of.clone()))));
    let mut cloud = read(&aws, &["i-1"]).await;
    let known = |cloud: &Cloud| cloud.observed().groups[&sg("sg-1")].rules.keys().copied().collect::<Vec<_>>();
    aws.freeze_reads();
    // All at once are refused for the one that isn't there, and one by one comes only so far.
    aws.sg("sg-1", |group| group.rules.remove(&permission(55)));
    let denied = Fault::Answer(403, "UnauthorizedOperation", "no");
    aws.break_down("RevokeSecurityGroupIngress", "IpPermissions.1.FromPort=54", denied.clone());
    one(&mut cloud, revoke("i-1", "sg-1", &[53, 54, 55])).await.unwrap_err();
    assert_eq!(known(&cloud), [udp(54), udp(55)]);
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert_eq!(known(&cloud), [udp(54), udp(55)], "though the read shows the past");

    aws.sg("sg-1", |group| group.rules.insert(permission(52), of));
    aws.break_down("AuthorizeSecurityGroupIngress", "IpPermissions.1.FromPort=56", denied);
    one(&mut cloud, authorize("i-1", "sg-1", &[52, 53, 56])).await.unwrap_err();
    assert_eq!(known(&cloud), [udp(52), udp(53), udp(54), udp(55)]);
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_leaves_a_group_out_makes_nobody_forget_what_was_done_to_its_rules() {
    let (aws, mut cloud) = serving().await;
    let past = aws.moment();
    one(&mut cloud, revoke("i-1", "sg-1", &[53])).await.unwrap();
    let without = |(mut ec2, route53): (super::ec2::Ec2, super::route53::Route53)| {
        ec2.groups.remove("sg-1");
        (ec2, route53)
    };
    aws.state().past = Some(without(past.clone()));
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    aws.state().past = Some(past);
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert!(cloud.observed().groups[&sg("sg-1")].rules.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_is_there_though_no_read_shows_it_keeps_no_other_from_being_opened() {
    let aws = world();
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.freeze_reads();
    aws.sg("sg-1", |group| group.rules.insert(permission(53), "the DNS team's".into()));
    one(&mut cloud, authorize("i-1", "sg-1", &[53, 54])).await.unwrap();
    let known = |cloud: &Cloud| cloud.observed().groups[&sg("sg-1")].rules.clone();
    let ours = description(&service());
    assert_eq!(known(&cloud), BTreeMap::from([(udp(53), String::new()), (udp(54), ours.clone())]));
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert_eq!(known(&cloud).len(), 2, "though the read shows none");
    aws.thaw_reads();
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert_eq!(known(&cloud), BTreeMap::from([(udp(53), "the DNS team's".to_owned()), (udp(54), ours)]));
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_is_gone_though_reads_show_it_keeps_no_other_from_being_closed() {
    let aws = world();
    let of = description(&service());
    aws.sg("sg-1", |group| group.rules.extend([(permission(53), of.clone()), (permission(54), of)]));
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.freeze_reads();
    aws.sg("sg-1", |group| group.rules.remove(&permission(53)));
    one(&mut cloud, revoke("i-1", "sg-1", &[53, 54])).await.unwrap();
    assert!(aws.sg("sg-1", |group| group.rules.is_empty()));
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert!(cloud.observed().groups[&sg("sg-1")].rules.is_empty());
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
async fn what_was_deleted_is_not_believed_by_an_older_read_that_follows_a_newer_one() {
    let aws = world();
    let mut cloud = read(&aws, &["i-1"]).await;
    let past = aws.sg("sg-1", |group| group.clone());
    one(&mut cloud, delete("sg-1")).await.unwrap();
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    aws.state().ec2.groups.insert("sg-1".into(), past);
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert!(cloud.observed().groups.is_empty());
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
async fn a_rule_that_is_there_already_leads_to_reading() {
    let aws = world();
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.sg("sg-1", |group| group.rules.insert(permission(53), "external-ips: games/quake".into()));
    one(&mut cloud, authorize("i-1", "sg-1", &[53, 54])).await.unwrap();
    assert!(cloud.due());
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert_eq!(cloud.observed().groups[&sg("sg-1")].rules, rules(&[53, 54]));
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_is_gone_already_leads_to_reading_or_is_fine_in_the_default_vpc() {
    let aws = world();
    aws.sg("sg-1", |group| group.rules.insert(permission(53), "external-ips: games/quake".into()));
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.sg("sg-1", |group| group.rules.clear());
    one(&mut cloud, revoke("i-1", "sg-1", &[53])).await.unwrap();
    assert!(cloud.due());
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert!(cloud.observed().groups[&sg("sg-1")].rules.is_empty());
    aws.sg("sg-1", |group| group.vpc = "vpc-default".into());
    one(&mut cloud, revoke("i-1", "sg-1", &[53])).await.unwrap();
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
async fn a_reached_limit_is_told_as_one() {
    let aws = world();
    for id in ["sg-a", "sg-b", "sg-c", "sg-d"] {
        aws.group(id, id);
        aws.sg(id, |group| group.tags.clear());
        aws.vm("i-1", |vm| vm.groups.push(id.into()));
    }
    let mut cloud = read(&aws, &["i-1"]).await;
    // The first time that shows the quota, by which something else may be right.
    for next in [Next::Replan, Next::BackOff] {
        let error = one(&mut cloud, attach("i-1", "sg-1")).await.unwrap_err();
        assert_eq!((error.next, error.reason), (next, Reason::SecurityGroupLimit));
        assert_eq!(cloud.observed().groups_refused.map(|refused| refused.groups), Some(6));
        // What was read before it was written may be older than what was refused.
        assert!(cloud.due());
        cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    }
    let ports: Vec<u16> = (1..=61).collect();
    let error = one(&mut cloud, authorize("i-1", "sg-1", &ports)).await.unwrap_err();
    assert_eq!((error.next, error.reason), (Next::BackOff, Reason::SecurityGroupLimit));
    // No interface has more than 16: that isn't even tried.
    let many = (0..16).map(|n| format!("sg-{n:02}"));
    aws.vm("i-1", |vm| vm.groups = many.collect());
    tokio::time::sleep(Duration::from_secs(120)).await;
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
