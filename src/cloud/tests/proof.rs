//! What is made sure of by a write before anything rests on it, against a scripted AWS.

use super::aws::Fault;
use super::ec2::permission;
use super::*;
use crate::cloud::Next;
use crate::expose::Closed;

/// The step's answer is lost, and everything is read again.
async fn lose(aws: &Aws, cloud: &mut Cloud, (operation, fault): (&'static str, Fault), step: Step) {
    aws.fail(operation, fault);
    one(cloud, step).await.unwrap_err();
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
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
async fn a_group_is_attached_though_the_look_right_before_shows_it_as_of_the_past() {
    let aws = world();
    aws.vm("i-1", |vm| vm.groups.push("sg-1".into()));
    let past = aws.moment();
    aws.vm("i-1", |vm| vm.groups.retain(|group| group != "sg-1"));
    let mut cloud = cloud(&aws);
    cloud.start_over(Closed::Of([sg("sg-1")].into()));
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert!(cloud.observed().unproven.is_empty(), "it isn't shown");
    aws.state().past = Some(past);
    one(&mut cloud, attach("i-1", "sg-1")).await.unwrap();
    assert!(aws.vm("i-1", |vm| vm.groups.contains(&"sg-1".to_owned())));
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
        lose(&aws, &mut cloud, (operation, Fault::LostBefore), lost).await;
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
async fn what_was_opened_before_it_was_perhaps_closed_is_not_taken_for_open_against_a_read() {
    let aws = world();
    let mut cloud = read(&aws, &["i-1"]).await;
    // Closed and opened again: reads may show what was in between for minutes.
    for step in [authorize("i-1", "sg-1", &[53]), revoke("i-1", "sg-1", &[53]), authorize("i-1", "sg-1", &[53])] {
        one(&mut cloud, step).await.unwrap();
    }
    for step in [attach("i-1", "sg-1"), detach("i-1", "sg-1"), attach("i-1", "sg-1")] {
        one(&mut cloud, step).await.unwrap();
    }
    for (operation, lost) in [
        ("RevokeSecurityGroupIngress", revoke("i-1", "sg-1", &[53])),
        ("ModifyInstanceAttribute", detach("i-1", "sg-1")),
    ] {
        lose(&aws, &mut cloud, (operation, Fault::LostAfter), lost).await;
    }
    assert!(cloud.observed().groups[&sg("sg-1")].rules.is_empty());
    assert!(!known(&cloud, "i-1").groups.contains(&sg("sg-1")));
}

#[tokio::test(start_paused = true)]
async fn what_was_closed_before_it_was_perhaps_opened_again_is_neither_taken_for_closed_nor_for_open() {
    let aws = world();
    aws.sg("sg-1", |group| group.rules.insert(permission(53), "external-ips: games/quake".into()));
    aws.vm("i-1", |vm| vm.groups.push("sg-1".into()));
    let mut cloud = read(&aws, &["i-1"]).await;
    for step in [revoke("i-1", "sg-1", &[53]), detach("i-1", "sg-1")] {
        one(&mut cloud, step).await.unwrap();
    }
    for (operation, lost) in [
        ("AuthorizeSecurityGroupIngress", authorize("i-1", "sg-1", &[53])),
        ("ModifyInstanceAttribute", attach("i-1", "sg-1")),
    ] {
        lose(&aws, &mut cloud, (operation, Fault::LostAfter), lost).await;
    }
    assert_eq!(cloud.observed().groups[&sg("sg-1")].rules.len(), 1);
    assert!(known(&cloud, "i-1").groups.contains(&sg("sg-1")));
    assert!(cloud.observed().closings.len() == 1 && cloud.observed().detachments.len() == 1);
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
    one(&mut cloud, revoke("i-1", "sg-1", &[53])).await.unwrap();
    aws.calls();
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert!(aws.calls().contains(&"DescribeInstances"));
}

#[tokio::test(start_paused = true)]
async fn what_looks_empty_may_not_be_so_for_two_minutes_of_a_new_term() {
    let aws = world();
    let mut cloud = read(&aws, &["i-1"]).await;
    assert!(cloud.observed().behind);
    tokio::time::sleep(Duration::from_secs(120)).await;
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert!(!cloud.observed().behind);
}
