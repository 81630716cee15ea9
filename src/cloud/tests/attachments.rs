//! Groups on interfaces, against a scripted AWS.

use super::aws::Fault;
use super::*;
use crate::cloud::Next;
use crate::expose::Reason;

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
async fn a_group_that_a_read_of_the_past_does_not_show_any_more_stays_on_the_interface() {
    for ours in [true, false] {
        let aws = world();
        aws.group("sg-2", "external-ips/c1/i-1/2");
        let other = if ours { "sg-1" } else { "sg-foreign" };
        aws.group("sg-foreign", "another");
        aws.sg("sg-foreign", |group| group.tags.clear());
        let past = aws.moment();
        aws.vm("i-1", |vm| vm.groups.push(other.into()));
        let mut cloud = read(&aws, &["i-1"]).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        aws.state().past = Some(past);
        let taken = one(&mut cloud, attach("i-1", "sg-2")).await;
        if ours {
            taken.unwrap();
            assert_eq!(aws.state().ec2.instances["i-1"].groups, ["sg-nodes", "sg-1", "sg-2"]);
            continue;
        }
        // Nor is it put back where its owner has taken it off: reads agree after a while.
        let error = taken.unwrap_err();
        assert!(error.next == Next::Wait && error.message.contains("sg-foreign"), "{error}");
        tokio::time::sleep(Duration::from_secs(60)).await;
        one(&mut cloud, attach("i-1", "sg-2")).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_read_before_a_write_shows_is_not_forgotten_because_the_write_fails() {
    let aws = world();
    aws.group("sg-foreign", "another");
    aws.sg("sg-foreign", |group| group.tags.clear());
    let past = aws.moment();
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.vm("i-1", |vm| vm.groups.push("sg-foreign".into()));
    aws.break_down("ModifyInstanceAttribute", "", Fault::Answer(403, "UnauthorizedOperation", "no"));
    one(&mut cloud, attach("i-1", "sg-1")).await.unwrap_err();
    aws.mend();
    aws.state().past = Some(past);
    let error = one(&mut cloud, attach("i-1", "sg-1")).await.unwrap_err();
    assert!(error.next == Next::Wait && error.message.contains("sg-foreign"), "{error}");
    assert_eq!(aws.state().ec2.instances["i-1"].groups, ["sg-nodes", "sg-foreign"]);
    aws.thaw_reads();
    one(&mut cloud, attach("i-1", "sg-1")).await.unwrap();
    assert_eq!(aws.state().ec2.instances["i-1"].groups, ["sg-nodes", "sg-foreign", "sg-1"]);
}

#[tokio::test(start_paused = true)]
async fn that_ec2_does_not_find_somebody_elses_group_says_nothing_of_ours() {
    let aws = world();
    let mut cloud = read(&aws, &["i-1"]).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    for (missing, known) in [("sg-foreign", true), ("sg-1", false)] {
        let told = match missing {
            "sg-1" => "The security group 'sg-1' does not exist",
            _ => "The security group 'sg-foreign' does not exist",
        };
        aws.break_down("ModifyInstanceAttribute", "", Fault::Answer(400, "InvalidGroup.NotFound", told));
        let error = one(&mut cloud, attach("i-1", "sg-1")).await.unwrap_err();
        aws.mend();
        assert!(error.message.contains(missing), "{error}");
        assert_eq!(cloud.observed().groups.contains_key(&sg("sg-1")), known);
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_of_ours_that_somebody_deleted_keeps_no_other_off_the_interface_once_reads_can_not_be_so_old() {
    for (known_for, taken) in [(60, false), (130, true)] {
        let aws = world();
        aws.group("sg-2", "external-ips/c1/i-1/2");
        aws.vm("i-1", |vm| vm.groups.push("sg-1".into()));
        let mut cloud = read(&aws, &["i-1"]).await;
        tokio::time::sleep(Duration::from_secs(known_for)).await;
        cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
        aws.vm("i-1", |vm| vm.groups.retain(|group| group != "sg-1"));
        aws.state().ec2.groups.remove("sg-1");
        tokio::time::sleep(Duration::from_secs(1)).await;
        cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
        assert!(!cloud.observed().groups.contains_key(&sg("sg-1")));
        assert_eq!(one(&mut cloud, attach("i-1", "sg-2")).await.is_ok(), taken, "{known_for}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_of_two_groups_does_not_push_off_a_second_that_another_process_put_there() {
    let aws = world();
    aws.group("sg-2", "external-ips/c1/i-1/2");
    let past = aws.moment();
    aws.vm("i-1", |vm| vm.groups.extend(["sg-1".into(), "sg-2".into()]));
    aws.state().past = Some(past);
    let mut cloud = read(&aws, &["i-1"]).await;
    cloud.start_over(Closed::default());
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    aws.calls();
    let mut first = attach("i-1", "sg-1");
    if let Action::Attach { next, .. } = &mut first.action {
        next.insert(sg("sg-2"));
    }
    one(&mut cloud, first).await.unwrap();
    one(&mut cloud, attach("i-1", "sg-2")).await.unwrap();
    let writes = aws.writes();
    assert!(!writes.is_empty() && writes.iter().all(|call| call.body.contains("sg-2")));
    assert_eq!(aws.state().ec2.instances["i-1"].groups, ["sg-nodes", "sg-1", "sg-2"]);
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
