use super::aws::{Aws, Fault};
use super::ec2::permission;
use super::*;
use crate::cloud::{Kind, Next};
use crate::expose::{Closed, ForeignRules, Hostname, PrivateIp, PublicIp, Reason, RecordType};

fn world() -> Aws {
    let aws = Aws::default();
    aws.instance("i-1", 1);
    aws.instance("i-2", 2);
    aws.group("sg-1", "external-ips/c1/i-1");
    aws.zone("Z1", "example.com.");
    aws
}

#[tokio::test(start_paused = true)]
async fn a_full_read_shows_instances_groups_zones_and_records() {
    let aws = world();
    aws.sg("sg-1", |group| group.rules.insert(permission(53), "external-ips: games/quake".into()));
    aws.record("Z1", "\\052.example.com.", "A", &["203.0.113.1", "203.0.113.2"]);
    aws.record("Z1", "a-b.example.com.", "TXT", &["&quot;x&quot;"]);
    aws.record("Z1", "mail.example.com.", "MX", &["10 mx"]);
    let mut cloud = cloud(&aws);
    assert!(!cloud.is_complete());
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert!(cloud.is_complete() && !cloud.due());
    let instance = known(&cloud, "i-1");
    assert_eq!(instance.private_ip, Some(PrivateIp([10, 0, 0, 1].into())));
    assert_eq!(instance.public_ip, Some(PublicIp([203, 0, 113, 1].into())));
    assert_eq!((instance.running, instance.interfaces, instance.vpc.as_str()), (true, 1, "vpc-1"));
    assert_eq!((instance.zone.as_str(), instance.interface.as_str()), ("eu-west-1a", "eni-i-1"));
    assert_eq!(instance.groups, [sg("sg-nodes")]);
    let observed = cloud.observed();
    assert_eq!(observed.groups.keys().collect::<Vec<_>>(), [&sg("sg-1")]);
    assert_eq!(observed.groups[&sg("sg-1")].rules, rules(&[53]));
    let zone = ZoneId("Z1".into());
    assert_eq!(observed.zones[&zone].name.as_str(), "example.com");
    let records = &observed.records[&zone];
    assert_eq!(records.len(), 3);
    assert_eq!(records[&dns::address_key("*.example.com")].values.len(), 2);
    assert_eq!(records[&dns::address_key("*.example.com")].ttl, Some(60));
    let mx = RecordKey { name: "mail.example.com".into(), kind: RecordType::Other("MX".into()), set: String::new() };
    assert!(records[&mx].values.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_primary_interface_is_the_one_with_device_index_0() {
    let aws = world();
    aws.vm("i-1", |vm| vm.interfaces = 3);
    let cloud = read(&aws, &["i-1"]).await;
    assert_eq!((known(&cloud, "i-1").interface.as_str(), known(&cloud, "i-1").interfaces), ("eni-i-1", 3));
    assert_eq!(known(&cloud, "i-1").public_ip, Some(PublicIp([203, 0, 113, 1].into())));
    assert_eq!(known(&cloud, "i-1").groups, [sg("sg-nodes")]);
}

#[tokio::test(start_paused = true)]
async fn instances_that_only_our_groups_name_are_read_too() {
    let aws = world();
    aws.group("sg-2", "external-ips/c1/i-2");
    let cloud = read(&aws, &[]).await;
    assert_eq!(cloud.observed().instances.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_known_is_not_read_again() {
    let aws = world();
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.calls();
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert_eq!(aws.calls(), Vec::<&str>::new());
    cloud.refresh(&ids(&["i-1", "i-2"]), false).await.unwrap();
    assert_eq!(aws.calls(), ["DescribeInstances"]);
    assert!(known(&cloud, "i-2").running);
}

#[tokio::test(start_paused = true)]
async fn a_distrusted_instance_is_read_again_and_not_written_to_before() {
    let aws = world();
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.vm("i-1", |vm| vm.public_ip = None);
    cloud.distrust(&id("i-1"));
    assert!(cloud.due());
    aws.calls();
    let error = cloud.apply(&[attach("i-1", "sg-1")]).await.remove(0).unwrap_err();
    assert_eq!((error.next, aws.calls().len()), (Next::Replan, 0));
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert_eq!(aws.calls(), ["DescribeInstances"]);
    assert!(!cloud.due());
    assert_eq!(known(&cloud, "i-1").public_ip, None);
}

#[tokio::test(start_paused = true)]
async fn an_instance_is_gone_only_when_two_reads_two_minutes_apart_dont_mention_it() {
    let aws = world();
    let mut cloud = read(&aws, &["i-1"]).await;
    let vm = aws.state().ec2.instances.remove("i-1").unwrap();
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    // One that was only overlooked is back.
    aws.state().ec2.instances.insert("i-1".into(), vm);
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert!(known(&cloud, "i-1").running && !cloud.due());
    aws.state().ec2.instances.remove("i-1");
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert!(known(&cloud, "i-1").running && !cloud.due());
    tokio::time::sleep(Duration::from_secs(16)).await;
    assert!(cloud.due());
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert!(known(&cloud, "i-1").running && !cloud.due());
    tokio::time::sleep(Duration::from_secs(105)).await;
    assert!(cloud.due());
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert_eq!(cloud.observed().instances[&id("i-1")], Lookup::Gone);
    assert!(!cloud.due());
}

#[tokio::test(start_paused = true)]
async fn two_answers_at_nearly_the_same_time_are_no_proof_that_an_instance_is_gone() {
    let aws = world();
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.state().ec2.instances.remove("i-1").unwrap();
    for full in [true, false, true, false, true] {
        cloud.refresh(&ids(&["i-1"]), full).await.unwrap();
        assert!(known(&cloud, "i-1").running);
        tokio::time::sleep(Duration::from_millis(900)).await;
    }
    // The first answer counts, not the last: those in between don't put it off.
    tokio::time::sleep(Duration::from_secs(116)).await;
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert_eq!(cloud.observed().instances[&id("i-1")], Lookup::Gone);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_one_listing_leaves_out_is_there_while_its_instance_shows_it() {
    let aws = world();
    aws.vm("i-1", |vm| vm.groups.push("sg-1".into()));
    let mut cloud = read(&aws, &["i-1"]).await;
    let left_out = aws.state().ec2.groups.remove("sg-1").unwrap();
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert!(cloud.observed().groups.contains_key(&sg("sg-1")) && !cloud.due());
    tokio::time::sleep(Duration::from_secs(16)).await;
    assert!(cloud.due());
    aws.state().ec2.groups.insert("sg-1".into(), left_out);
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert!(!cloud.due());
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert!(!cloud.due());

    // Left out again and again, it is gone.
    aws.state().ec2.groups.remove("sg-1");
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    tokio::time::sleep(Duration::from_secs(119)).await;
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert!(cloud.observed().groups.contains_key(&sg("sg-1")));
    tokio::time::sleep(Duration::from_secs(16)).await;
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert!(cloud.observed().groups.is_empty() && !cloud.due());
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_taken_off_its_instance_and_deleted_is_gone_as_soon_as_both_were_read() {
    let aws = world();
    aws.vm("i-1", |vm| vm.groups.push("sg-1".into()));
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.vm("i-1", |vm| vm.groups.pop());
    aws.state().ec2.groups.remove("sg-1");
    // Only the groups are read at first.
    aws.fail("AuthorizeSecurityGroupIngress", Fault::LostBefore);
    cloud.apply(&[authorize("i-1", "sg-1", &[53])]).await.remove(0).unwrap_err();
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert!(cloud.observed().groups.contains_key(&sg("sg-1")) && cloud.due());
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert!(cloud.observed().groups.is_empty() && !cloud.due());
}

#[tokio::test(start_paused = true)]
async fn a_group_that_ec2_doesnt_find_is_gone_whatever_its_instance_shows() {
    let aws = world();
    aws.vm("i-1", |vm| vm.groups.push("sg-1".into()));
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.state().ec2.groups.remove("sg-1");
    cloud.apply(&[authorize("i-1", "sg-1", &[53])]).await.remove(0).unwrap_err();
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert!(cloud.observed().groups.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_was_never_read_is_unknown_until_it_is_gone() {
    let aws = world();
    let mut cloud = read(&aws, &["i-9"]).await;
    assert_eq!(cloud.observed().instances[&id("i-9")], Lookup::Unknown);
    cloud.refresh(&ids(&["i-9"]), false).await.unwrap();
    assert_eq!(cloud.observed().instances[&id("i-9")], Lookup::Unknown);
    tokio::time::sleep(Duration::from_secs(121)).await;
    cloud.refresh(&ids(&["i-9"]), false).await.unwrap();
    assert_eq!(cloud.observed().instances[&id("i-9")], Lookup::Gone);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_neither_a_node_nor_ec2_shows_is_gone() {
    let aws = world();
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.state().ec2.instances.remove("i-1").unwrap();
    // Its group still names it.
    cloud.refresh(&ids(&[]), true).await.unwrap();
    assert_eq!(cloud.observed().instances[&id("i-1")], Lookup::Gone);
    assert!(!cloud.due());
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_ec2_doesnt_show_is_unknown_at_first_where_it_may_be_an_unreadable_nodes() {
    let aws = world();
    aws.state().ec2.instances.remove("i-1").unwrap();
    let mut cloud = cloud(&aws);
    cloud.nodes_are_unreadable(true);
    cloud.refresh(&ids(&[]), true).await.unwrap();
    assert_eq!(cloud.observed().instances[&id("i-1")], Lookup::Unknown);
    tokio::time::sleep(Duration::from_secs(130)).await;
    cloud.refresh(&ids(&[]), true).await.unwrap();
    assert_eq!(cloud.observed().instances[&id("i-1")], Lookup::Gone);
}

#[tokio::test(start_paused = true)]
async fn an_instance_whose_node_is_ready_is_not_gone_because_ec2_leaves_it_out() {
    let aws = world();
    let vm = aws.state().ec2.instances.remove("i-1").unwrap();
    let mut cloud = cloud(&aws);
    cloud.nodes_report(ids(&["i-1"]));
    let look_for_long = async |cloud: &mut Cloud| {
        for _ in 0..4 {
            cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
            tokio::time::sleep(Duration::from_secs(130)).await;
        }
        cloud.observed().instances[&id("i-1")].clone()
    };
    assert_eq!(look_for_long(&mut cloud).await, Lookup::Unknown, "of another region, say");
    aws.state().ec2.instances.insert("i-1".into(), vm);
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    aws.state().ec2.instances.remove("i-1").unwrap();
    assert!(matches!(look_for_long(&mut cloud).await, Lookup::Known(_)));
    cloud.nodes_report(ids(&[]));
    assert_eq!(look_for_long(&mut cloud).await, Lookup::Gone);
}

#[tokio::test(start_paused = true)]
async fn what_was_read_is_as_old_as_its_question_whatever_else_the_read_waits_for() {
    let aws = world();
    aws.zone("Z1", "example.com.");
    let mut cloud = cloud(&aws);
    cloud.start_over(Closed::Any);
    tokio::time::sleep(Duration::from_secs(115)).await;
    // Route 53 takes its time.
    aws.fail("ListHostedZones", Fault::Deaf);
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert!(cloud.now() > cloud.behind_until);
    assert!(cloud.observed().behind && cloud.observed().opened.is_some());
    assert_eq!(cloud.observed().behind_zones.len(), 1);
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert!(!cloud.observed().behind && cloud.observed().opened.is_none());
    assert!(cloud.observed().behind_zones.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_only_unsure_is_read_again_as_soon_as_that_makes_it_sure() {
    let aws = world();
    aws.zone("Z1", "example.com.");
    let mut cloud = read(&aws, &["i-1"]).await;
    let after = |moment: crate::expose::Moment| Some(moment.after(Duration::from_secs(120)));
    assert_eq!(cloud.sure_at(), Some(cloud.behind_until));
    tokio::time::sleep(Duration::from_secs(120)).await;
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert_eq!(cloud.sure_at(), None);
    aws.fail("ChangeResourceRecordSets", Fault::LostBefore);
    one(&mut cloud, change("Z1", "a.example.com", &[], &["203.0.113.1"])).await.unwrap_err();
    assert_eq!(cloud.sure_at(), after(cloud.now()));
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    tokio::time::sleep(Duration::from_secs(130)).await;
    // Time alone proves nothing.
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert_eq!(cloud.observed().unsettled.len(), 1);
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    assert_eq!(cloud.sure_at(), None);
    assert!(cloud.observed().unsettled.is_empty());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_to_the_interface_of_an_instance_that_ec2_doesnt_show() {
    let aws = world();
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.state().ec2.instances.remove("i-1").unwrap();
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    aws.calls();
    let error = cloud.apply(&[attach("i-1", "sg-1")]).await.remove(0).unwrap_err();
    assert_eq!((error.next, aws.calls().len()), (Next::Wait, 0));
}

#[tokio::test(start_paused = true)]
async fn a_missing_instance_that_cant_be_read_is_not_read_in_circles() {
    let aws = world();
    let mut cloud = read(&aws, &["i-9"]).await;
    tokio::time::sleep(Duration::from_secs(16)).await;
    aws.break_down("DescribeInstances", "", Fault::Answer(403, "UnauthorizedOperation", "no"));
    assert!(cloud.due());
    cloud.refresh(&ids(&["i-9"]), false).await.unwrap_err();
    assert!(!cloud.due());
}

#[tokio::test(start_paused = true)]
async fn a_missing_instance_is_due_after_a_pause() {
    let aws = world();
    let mut cloud = read(&aws, &["i-9"]).await;
    assert!(!cloud.due());
    tokio::time::sleep(Duration::from_secs(16)).await;
    assert!(cloud.due());
    cloud.refresh(&ids(&["i-9"]), false).await.unwrap();
    assert!(!cloud.due());
}

#[tokio::test(start_paused = true)]
async fn a_failed_read_is_no_proof_of_absence() {
    let aws = world();
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.break_down("DescribeInstances", "", Fault::Answer(403, "UnauthorizedOperation", "no"));
    for _ in 0..2 {
        let error = cloud.refresh(&ids(&["i-1", "i-2"]), true).await.unwrap_err();
        assert!(!error.is_usable());
        assert_eq!(error.failures[0].0, Kind::Instances);
        assert!(error.to_string().contains("needs ec2:DescribeInstances"), "{error}");
    }
    assert!(known(&cloud, "i-1").running);
    assert_eq!(cloud.observed().instances[&id("i-2")], Lookup::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_instance_is_known_and_a_terminated_one_is_gone() {
    let aws = world();
    aws.vm("i-1", |vm| vm.state = "stopped");
    aws.vm("i-2", |vm| vm.state = "terminated");
    let cloud = read(&aws, &["i-1", "i-2"]).await;
    assert!(!known(&cloud, "i-1").running);
    assert_eq!(cloud.observed().instances[&id("i-2")], Lookup::Gone);
}

#[tokio::test(start_paused = true)]
async fn more_instances_than_a_filter_takes_are_read_in_several_calls() {
    let aws = world();
    let names: Vec<String> = (0..450).map(|n| format!("i-{n:04}")).collect();
    for name in &names {
        aws.instance(name, 7);
    }
    let cloud = read(&aws, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(aws.calls().iter().filter(|call| **call == "DescribeInstances").count(), 4);
    assert_eq!(cloud.observed().instances.len(), 451);
    assert!(names.iter().all(|name| known(&cloud, name).running));
}

#[tokio::test(start_paused = true)]
async fn what_failed_keeps_its_last_value_and_the_rest_is_taken_over() {
    let aws = world();
    let mut cloud = read(&aws, &["i-1"]).await;
    aws.break_down("DescribeSecurityGroups", "", Fault::Answer(400, "InvalidFilter", "no"));
    aws.vm("i-1", |vm| vm.state = "stopped");
    let error = cloud.refresh(&ids(&["i-1"]), true).await.unwrap_err();
    assert_eq!(error.failures.iter().map(|(kind, _)| kind.clone()).collect::<Vec<_>>(), [Kind::Groups]);
    assert_eq!(cloud.observed().groups.len(), 1);
    assert!(!known(&cloud, "i-1").running);
}

#[tokio::test(start_paused = true)]
async fn while_groups_cant_be_read_addresses_leave_dns_and_nothing_else_is_done() {
    let aws = world();
    aws.vm("i-1", |vm| vm.groups.push("sg-1".into()));
    let mut cloud = read(&aws, &["i-1"]).await;
    cloud.apply(&[change("Z1", "a.example.com", &[], &["203.0.113.1", "203.0.113.2"])]).await.remove(0).unwrap();
    cloud.apply(&[change("Z1", "b.example.com", &[], &["203.0.113.1"])]).await.remove(0).unwrap();
    aws.break_down("DescribeSecurityGroups", "", Fault::Answer(503, "RequestLimitExceeded", "slow down"));
    assert!(cloud.refresh(&ids(&["i-1"]), true).await.unwrap_err().is_usable());
    aws.calls();
    let refused = [
        create("i-1"),
        authorize("i-1", "sg-1", &[1]),
        revoke("i-1", "sg-1", &[1]),
        attach("i-1", "sg-1"),
        detach("i-1", "sg-1"),
        delete("sg-1"),
        change("Z1", "c.example.com", &[], &["203.0.113.1"]),
        change("Z1", "b.example.com", &["203.0.113.1"], &["203.0.113.1", "203.0.113.2"]),
    ];
    for result in cloud.apply(&refused).await {
        let error = result.unwrap_err();
        assert_eq!((error.next, error.reason), (Next::BackOff, Reason::Throttled), "{error}");
        assert!(error.message.contains("could not read the security groups"), "{error}");
    }
    assert!(aws.calls().is_empty());
    let dead = [
        change("Z1", "a.example.com", &["203.0.113.1", "203.0.113.2"], &["203.0.113.2"]),
        change("Z1", "b.example.com", &["203.0.113.1"], &["203.0.113.3"]),
    ];
    assert!(cloud.apply(&dead).await.iter().all(Result::is_ok));
    let gone = change("Z1", "a.example.com", &["203.0.113.2"], &[]);
    cloud.apply(&[gone]).await.remove(0).unwrap();
    aws.mend();
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap();
    cloud.apply(&[authorize("i-1", "sg-1", &[1])]).await.remove(0).unwrap();
}

#[tokio::test(start_paused = true)]
async fn groups_that_were_never_read_stop_everything() {
    let aws = world();
    aws.break_down("DescribeSecurityGroups", "", Fault::Answer(503, "RequestLimitExceeded", "slow down"));
    let mut fresh = cloud(&aws);
    assert!(!fresh.refresh(&ids(&["i-1"]), true).await.unwrap_err().is_usable());
    aws.mend();
    fresh.refresh(&ids(&["i-1"]), true).await.unwrap();
    // Nor does a new term know those of the former one.
    fresh.start_over(Closed::default());
    aws.break_down("DescribeSecurityGroups", "", Fault::Answer(503, "RequestLimitExceeded", "slow down"));
    assert!(!fresh.refresh(&ids(&["i-1"]), true).await.unwrap_err().is_usable());
    // And what fails beside the groups counts as before.
    aws.mend();
    fresh.refresh(&ids(&["i-1"]), true).await.unwrap();
    for operation in ["DescribeSecurityGroups", "DescribeInstances"] {
        aws.break_down(operation, "", Fault::Answer(503, "RequestLimitExceeded", "slow down"));
    }
    assert!(!fresh.refresh(&ids(&["i-1"]), true).await.unwrap_err().is_usable());
}

#[tokio::test(start_paused = true)]
async fn which_zones_there_are_need_not_be_known_anew_to_go_on() {
    let aws = world();
    let mut cloud = read(&aws, &["i-1"]).await;
    let zones = cloud.observed().zones.clone();
    aws.break_down("ListHostedZones", "", Fault::Answer(403, "AccessDenied", "no"));
    let error = cloud.refresh(&ids(&["i-1"]), true).await.unwrap_err();
    assert!(error.is_usable() && error.to_string().contains("ListHostedZones"), "{error}");
    assert_eq!(cloud.observed().zones, zones);
    cloud.start_over(Closed::default());
    assert!(!cloud.refresh(&ids(&["i-1"]), true).await.unwrap_err().is_usable(), "a new term has to know them");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_complete_before_each_part_was_read_once() {
    let aws = world();
    aws.break_down("ListHostedZones", "", Fault::Answer(403, "AccessDenied", "no"));
    let mut cloud = cloud(&aws);
    cloud.refresh(&ids(&["i-1"]), true).await.unwrap_err();
    assert!(!cloud.is_complete());
    aws.mend();
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert!(cloud.is_complete());
}

#[tokio::test(start_paused = true)]
async fn a_zone_whose_records_cant_be_read_disturbs_no_other() {
    let aws = world();
    aws.zone("Z2", "other.example.");
    aws.break_down("ListResourceRecordSets", "Z2", Fault::Answer(403, "AccessDenied", "no"));
    let mut cloud = cloud(&aws);
    let error = cloud.refresh(&ids(&["i-1"]), true).await.unwrap_err();
    assert!(error.is_usable() && cloud.is_complete());
    // The zone stays listed: its names must not be looked for in a zone above it.
    let z2 = ZoneId("Z2".into());
    assert!(cloud.observed().zones.contains_key(&z2) && !cloud.observed().records.contains_key(&z2));
    assert!(cloud.observed().records.contains_key(&ZoneId("Z1".into())));
    // It is no reason to read in circles.
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!cloud.due());
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn zones_pass_the_filters_of_type_id_and_domain() {
    let aws = world();
    aws.zone("Z2", "sub.example.com.");
    aws.zone("Z3", "other.example.");
    aws.zone("Z4", "example.com.");
    aws.zone("Z5", "badexample.com.");
    aws.state().route53.zones.get_mut("Z4").unwrap().private = true;
    let of = async |change: &dyn Fn(&mut CloudSettings)| {
        let mut settings = settings();
        change(&mut settings);
        let mut cloud = cloud_with(&aws, settings, slog::Logger::root(slog::Discard, slog::o!()));
        cloud.refresh(&ids(&[]), true).await.unwrap();
        cloud.observed().zones.keys().map(|zone| zone.0.clone()).collect::<Vec<_>>().join(" ")
    };
    let domain = |name: &str| -> Vec<Hostname> { vec![name.parse().unwrap()] };
    assert_eq!(of(&|_| {}).await, "Z1 Z2 Z3 Z5");
    assert_eq!(of(&|s| s.zone_type = ZoneType::Private).await, "Z4");
    assert_eq!(of(&|s| s.zone_type = ZoneType::Any).await, "Z1 Z2 Z3 Z4 Z5");
    assert_eq!(of(&|s| s.zone_ids = vec!["/hostedzone/Z2".into(), "Z3".into()]).await, "Z2 Z3");
    assert_eq!(of(&|s| s.domains = domain("example.com")).await, "Z1 Z2");
    assert_eq!(of(&|s| s.domains = domain("deep.sub.example.com")).await, "Z1 Z2");
}

#[tokio::test(start_paused = true)]
async fn a_group_that_holds_what_we_never_make_is_marked() {
    let aws = world();
    aws.group("sg-2", "external-ips/c1/i-2");
    aws.sg("sg-1", |group| {
        group.foreign =
            "<item><ipProtocol>-1</ipProtocol><groups><item><groupId>sg-x</groupId></item></groups></item>".into()
    });
    aws.sg("sg-2", |group| {
        _ = group.rules.insert(("132".into(), "1".into(), "9".into(), "2001:db8::/32".into()), String::new())
    });
    let cloud = read(&aws, &[]).await;
    assert_eq!(cloud.observed().groups[&sg("sg-1")].foreign_rules, ForeignRules { v4: 1, v6: 1 });
    let group = &cloud.observed().groups[&sg("sg-2")];
    assert!(!group.foreign_rules.any());
    let source = "2001:db8::/32".parse().unwrap();
    assert!(group.rules.contains_key(&Rule { protocol: Protocol::Sctp, from: 1, to: 9, source }));
}

#[tokio::test(start_paused = true)]
async fn after_a_new_start_nothing_old_is_believed() {
    let aws = world();
    let mut cloud = read(&aws, &["i-1"]).await;
    cloud.apply(&[authorize("i-1", "sg-1", &[1])]).await.remove(0).unwrap();
    cloud.apply(&[change("Z1", "a.example.com", &[], &["203.0.113.1"])]).await.remove(0).unwrap();
    aws.sg("sg-1", |group| group.rules.clear());
    assert_eq!(cloud.unsynced().len(), 1);
    cloud.start_over(Closed::default());
    assert!(cloud.unsynced().is_empty());
    assert!(!cloud.is_complete() && cloud.observed().groups.is_empty());
    cloud.refresh(&ids(&["i-1"]), false).await.unwrap();
    assert!(cloud.observed().groups[&sg("sg-1")].rules.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_is_deleted_while_it_is_read_is_gone() {
    let aws = world();
    aws.zone("Z2", "other.example.");
    aws.meddle("ListResourceRecordSets", |state| _ = state.route53.zones.remove("Z1"));
    let mut cloud = cloud(&aws);
    assert!(cloud.refresh(&ids(&[]), true).await.unwrap_err().is_usable());
    assert_eq!(cloud.observed().zones.keys().collect::<Vec<_>>(), [&ZoneId("Z2".into())]);
    assert!(!cloud.due());
}

#[tokio::test(start_paused = true)]
async fn a_group_whose_tag_says_that_it_is_shared_is_somebody_elses() {
    let aws = world();
    aws.sg("sg-1", |group| _ = group.tags.insert("external-ips/c1".into(), "shared".into()));
    let cloud = read(&aws, &["i-1"]).await;
    assert!(cloud.observed().groups.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_zone_may_have_one_label() {
    let aws = world();
    aws.zone("Z9", "internal.");
    let cloud = read(&aws, &[]).await;
    assert!(cloud.observed().zones.values().any(|zone| zone.name.as_str() == "internal"));
}
