use super::aws::{Aws, Fault};
use super::*;
use crate::cloud::Next;
use crate::expose::{Closed, PublicIp, Reason};

/// The twin of every name here.
const TWIN: &str = "\"heritage=external-dns,external-dns/owner=c1,external-dns/resource=service/games/quake\"";

fn world() -> Aws {
    let aws = Aws::default();
    aws.zone("Z1", "example.com.");
    aws.zone("Z2", "other.example.");
    aws
}

fn batches(aws: &Aws) -> usize {
    aws.calls().iter().filter(|call| **call == "ChangeResourceRecordSets").count()
}

#[tokio::test(start_paused = true)]
async fn many_names_of_a_zone_go_in_one_batch() {
    let aws = world();
    let mut cloud = read(&aws, &[]).await;
    aws.calls();
    let names: Vec<String> = (0..50).map(|n| format!("s{n}.example.com")).collect();
    let mut steps: Vec<Step> = names.iter().map(|name| change("Z1", name, &[], &["203.0.113.1"])).collect();
    steps.push(change("Z2", "*.other.example", &[], &["203.0.113.2", "203.0.113.3"]));
    assert!(cloud.apply(&steps).await.iter().all(Result::is_ok));
    assert_eq!(batches(&aws), 2);
    assert_eq!(aws.values("Z1", "s7.example.com.", "A").unwrap(), ["203.0.113.1"]);
    assert_eq!(aws.values("Z1", "a-s7.example.com.", "TXT").unwrap(), [TWIN]);
    assert_eq!(aws.values("Z2", "\\052.other.example.", "A").unwrap(), ["203.0.113.2", "203.0.113.3"]);
    let as_written = cloud.observed().clone();
    assert_eq!(as_written.records[&ZoneId("Z1".into())].len(), 100);
    cloud.start_over(Closed::default());
    cloud.refresh(&ids(&[]), true).await.unwrap();
    assert_eq!(cloud.observed().records, as_written.records);
}

#[tokio::test(start_paused = true)]
async fn a_batch_stays_within_the_limits_of_route_53() {
    let aws = world();
    let mut cloud = read(&aws, &[]).await;
    aws.calls();
    // Each has 2 values and some 90 characters: characters end the batch first.
    let steps: Vec<Step> =
        (0..800).map(|n| change("Z1", &format!("s{n}.example.com"), &[], &["203.0.113.1"])).collect();
    assert!(cloud.apply(&steps).await.iter().all(Result::is_ok));
    assert_eq!(batches(&aws), 3);
    // Each has 101 values: nine fit.
    let addresses: Vec<String> = (0..100).map(|n| format!("203.0.113.{n}")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let steps: Vec<Step> = (0..10).map(|n| change("Z2", &format!("s{n}.other.example"), &[], &addresses)).collect();
    assert!(cloud.apply(&steps).await.iter().all(Result::is_ok));
    assert_eq!(aws.state().route53.batches[3..], [18, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_record_is_replaced_only_as_it_was_read() {
    let aws = world();
    let mut cloud = read(&aws, &[]).await;
    let add = change("Z1", "a.example.com", &[], &["203.0.113.1"]);
    cloud.apply(&[add]).await.remove(0).unwrap();
    let replace = change("Z1", "a.example.com", &["203.0.113.1"], &["203.0.113.2"]);
    aws.record("Z1", "a.example.com.", "A", &["198.51.100.1"]);
    let error = cloud.apply(std::slice::from_ref(&replace)).await.remove(0).unwrap_err();
    assert_eq!(error.next, Next::Replan);
    assert_eq!(aws.values("Z1", "a.example.com.", "A").unwrap(), ["198.51.100.1"]);
    // Its zone is listed again, and what it shows is believed.
    assert!(cloud.due());
    aws.calls();
    cloud.refresh(&ids(&[]), false).await.unwrap();
    assert!(aws.calls().iter().all(|call| *call == "ListResourceRecordSets"));
    let records = &cloud.observed().records[&ZoneId("Z1".into())];
    assert_eq!(records[&dns::address_key("a.example.com")].values, ["198.51.100.1".to_owned()].into());
    aws.record("Z1", "a.example.com.", "A", &["203.0.113.1"]);
    cloud.apply(&[replace]).await.remove(0).unwrap();
    assert_eq!(aws.values("Z1", "a.example.com.", "A").unwrap(), ["203.0.113.2"]);
    let remove = change("Z1", "a.example.com", &["203.0.113.2"], &[]);
    cloud.apply(&[remove]).await.remove(0).unwrap();
    assert!(aws.state().route53.zones["Z1"].records.is_empty());
    assert!(cloud.observed().records[&ZoneId("Z1".into())].is_empty());
}

#[tokio::test(start_paused = true)]
async fn of_a_refused_batch_only_the_bad_change_fails() {
    let aws = world();
    let mut cloud = read(&aws, &[]).await;
    aws.record("Z1", "s33.example.com.", "A", &["198.51.100.1"]);
    aws.calls();
    let steps: Vec<Step> =
        (0..100).map(|n| change("Z1", &format!("s{n}.example.com"), &[], &["203.0.113.1"])).collect();
    let results = cloud.apply(&steps).await;
    let failed: Vec<usize> = results.iter().enumerate().filter(|(_, r)| r.is_err()).map(|(n, _)| n).collect();
    assert_eq!(failed, [33]);
    let error = results[33].as_ref().unwrap_err();
    assert_eq!(error.next, Next::Replan);
    assert!(error.message.contains("it already exists"), "{error}");
    assert!(error.message.contains("out of the way by hand"), "{error}");
    assert!(batches(&aws) <= 15);
    assert_eq!(aws.values("Z1", "s33.example.com.", "A").unwrap(), ["198.51.100.1"]);
    assert_eq!(aws.state().route53.zones["Z1"].records.len(), 199);
}

#[tokio::test(start_paused = true)]
async fn of_a_denied_batch_only_the_denied_names_fail() {
    let aws = world();
    let mut cloud = read(&aws, &[]).await;
    for name in ["s33.", "s70.", "s71."] {
        aws.break_down("ChangeResourceRecordSets", name, Fault::Answer(403, "AccessDenied", "not that name"));
    }
    aws.calls();
    let steps: Vec<Step> =
        (0..300).map(|n| change("Z1", &format!("s{n}.example.com"), &[], &["203.0.113.1"])).collect();
    let results = cloud.apply(&steps).await;
    let failed: Vec<usize> = results.iter().enumerate().filter(|(_, r)| r.is_err()).map(|(n, _)| n).collect();
    assert_eq!(failed, [33, 70, 71]);
    for n in failed {
        assert_eq!(results[n].as_ref().unwrap_err().reason, Reason::AccessDenied);
    }
    assert!(!cloud.due());
    assert!(batches(&aws) <= 45);
}

#[tokio::test(start_paused = true)]
async fn a_few_denied_names_side_by_side_are_no_zone_that_is_denied() {
    let aws = world();
    let mut cloud = read(&aws, &[]).await;
    for name in ["s0.", "s1.", "s2.", "s3."] {
        aws.break_down("ChangeResourceRecordSets", name, Fault::Answer(403, "AccessDenied", "not that name"));
    }
    let steps: Vec<Step> =
        (0..300).map(|n| change("Z1", &format!("s{n}.example.com"), &[], &["203.0.113.1"])).collect();
    let results = cloud.apply(&steps).await;
    let failed: Vec<usize> = results.iter().enumerate().filter(|(_, r)| r.is_err()).map(|(n, _)| n).collect();
    assert_eq!(failed, [0, 1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_is_denied_as_a_whole_is_not_asked_for_every_name() {
    let aws = world();
    let mut cloud = read(&aws, &[]).await;
    aws.break_down("ChangeResourceRecordSets", "", Fault::Answer(403, "AccessDenied", "no"));
    aws.calls();
    let steps: Vec<Step> =
        (0..600).map(|n| change("Z1", &format!("s{n}.example.com"), &[], &["203.0.113.1"])).collect();
    let results = cloud.apply(&steps).await;
    assert!(results.iter().all(|result| result.as_ref().unwrap_err().reason == Reason::AccessDenied));
    assert!(batches(&aws) <= 30);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_zone_disturbs_no_other() {
    let aws = world();
    let mut cloud = read(&aws, &[]).await;
    aws.state().route53.zones.remove("Z1");
    let steps = [
        change("Z1", "a.example.com", &[], &["203.0.113.1"]),
        change("Z2", "a.other.example", &[], &["203.0.113.1"]),
        change("Z1", "b.example.com", &[], &["203.0.113.1"]),
    ];
    let results = cloud.apply(&steps).await;
    assert!(results[1].is_ok());
    for result in [&results[0], &results[2]] {
        let error = result.as_ref().unwrap_err();
        assert_eq!((error.next, error.reason), (Next::Replan, Reason::ZoneNotFound));
        assert!(error.message.contains("make a hosted zone"), "{error}");
    }
    assert!(cloud.due());
    cloud.refresh(&ids(&[]), false).await.unwrap();
    assert_eq!(cloud.observed().zones.keys().collect::<Vec<_>>(), [&ZoneId("Z2".into())]);
    assert!(!cloud.due());
}

#[tokio::test(start_paused = true)]
async fn a_lost_batch_is_read_before_anything_else_is_written_to_its_zone() {
    let aws = world();
    let mut cloud = read(&aws, &[]).await;
    aws.fail("ChangeResourceRecordSets", Fault::LostAfter);
    let add = change("Z1", "a.example.com", &[], &["203.0.113.1"]);
    assert_eq!(cloud.apply(std::slice::from_ref(&add)).await.remove(0).unwrap_err().next, Next::Replan);
    aws.calls();
    let results = cloud.apply(&[add, change("Z2", "b.other.example", &[], &["203.0.113.1"])]).await;
    assert_eq!(results[0].as_ref().unwrap_err().next, Next::Replan);
    assert!(results[1].is_ok());
    assert_eq!(batches(&aws), 1);
    cloud.refresh(&ids(&[]), false).await.unwrap();
    assert!(cloud.observed().records[&ZoneId("Z1".into())].contains_key(&dns::address_key("a.example.com")));
}

#[tokio::test(start_paused = true)]
async fn a_read_of_the_past_is_no_better_for_somebody_having_changed_the_name_since() {
    let aws = world();
    let mut cloud = read(&aws, &[]).await;
    let listed = |cloud: &Cloud| {
        let records = &cloud.observed().records[&ZoneId("Z1".into())];
        records[&dns::address_key("a.example.com")].values.iter().cloned().collect::<Vec<_>>().join(" ")
    };
    cloud.apply(&[change("Z1", "a.example.com", &[], &["203.0.113.1"])]).await.remove(0).unwrap();
    let past = aws.moment();
    let more = change("Z1", "a.example.com", &["203.0.113.1"], &["203.0.113.1", "203.0.113.2"]);
    cloud.apply(&[more]).await.remove(0).unwrap();
    aws.record("Z1", "a.example.com.", "A", &["198.51.100.1"]);
    let less = change("Z1", "a.example.com", &["203.0.113.1", "203.0.113.2"], &["203.0.113.1"]);
    cloud.apply(&[less]).await.remove(0).unwrap_err();
    aws.state().past = Some(past);
    cloud.refresh(&ids(&[]), true).await.unwrap();
    assert_eq!(listed(&cloud), "203.0.113.1 203.0.113.2");
    assert_eq!(cloud.observed().contradicted.len(), 1, "that isn't sure, though");
    // Somebody did put it back.
    tokio::time::sleep(Duration::from_secs(120)).await;
    cloud.refresh(&ids(&[]), true).await.unwrap();
    assert_eq!(listed(&cloud), "203.0.113.1");
    assert!(cloud.observed().contradicted.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_a_change_of_unknown_outcome_would_list_is_remembered_until_a_later_change_is_known() {
    let aws = world();
    let mut cloud = read(&aws, &[]).await;
    let place = (ZoneId("Z1".into()), "a.example.com".to_owned());
    aws.fail("ChangeResourceRecordSets", Fault::LostBefore);
    cloud.apply(&[change("Z1", "a.example.com", &[], &["203.0.113.1"])]).await.remove(0).unwrap_err();
    // A read may be older than the change: it settles nothing.
    cloud.refresh(&ids(&[]), false).await.unwrap();
    let ips = cloud.observed().unsettled[&place].public_ips.clone();
    assert_eq!(ips, BTreeSet::from([PublicIp("203.0.113.1".parse().unwrap())]));
    // One that is refused changes nothing, now or then.
    aws.fail("ChangeResourceRecordSets", Fault::Answer(400, "InvalidChangeBatch", "no"));
    cloud.apply(&[change("Z1", "a.example.com", &[], &["203.0.113.2"])]).await.remove(0).unwrap_err();
    assert_eq!(cloud.observed().unsettled[&place].public_ips, ips);
    cloud.refresh(&ids(&[]), false).await.unwrap();
    cloud.apply(&[change("Z1", "a.example.com", &[], &["203.0.113.3"])]).await.remove(0).unwrap();
    assert!(cloud.observed().unsettled.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_change_of_unknown_outcome_that_a_read_shows_is_settled() {
    let aws = world();
    let mut cloud = read(&aws, &[]).await;
    aws.fail("ChangeResourceRecordSets", Fault::LostAfter);
    cloud.apply(&[change("Z1", "a.example.com", &[], &["203.0.113.1"])]).await.remove(0).unwrap_err();
    assert_eq!(cloud.observed().unsettled.len(), 1);
    cloud.refresh(&ids(&[]), false).await.unwrap();
    assert!(cloud.observed().unsettled.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_a_change_of_unknown_outcome_takes_out_may_be_listed_still() {
    let aws = world();
    let mut cloud = read(&aws, &[]).await;
    cloud.apply(&[change("Z1", "a.example.com", &[], &["203.0.113.1", "203.0.113.2"])]).await.remove(0).unwrap();
    aws.fail("ChangeResourceRecordSets", Fault::LostBefore);
    let less = change("Z1", "a.example.com", &["203.0.113.1", "203.0.113.2"], &["203.0.113.2"]);
    cloud.apply(&[less]).await.remove(0).unwrap_err();
    let unsettled = &cloud.observed().unsettled[&(ZoneId("Z1".into()), "a.example.com".to_owned())];
    let ips = |addresses: &[&str]| -> BTreeSet<PublicIp> {
        addresses.iter().map(|address| PublicIp(address.parse().unwrap())).collect()
    };
    assert_eq!(unsettled.before, ips(&["203.0.113.1", "203.0.113.2"]));
    assert_eq!((&unsettled.public_ips, &unsettled.kept), (&ips(&["203.0.113.2"]), &ips(&["203.0.113.2"])));
}

#[tokio::test(start_paused = true)]
async fn what_was_written_before_a_change_of_unknown_outcome_is_not_sure_for_that() {
    let name = (ZoneId("Z1".into()), "a.example.com".to_owned());
    let is_listed = |cloud: &Cloud| cloud.observed().records[&name.0].contains_key(&dns::address_key(&name.1));
    let listed = ["203.0.113.1"];
    // A name that was made, and perhaps deleted: it may list what it did, and that it does isn't sure.
    let aws = world();
    let mut cloud = read(&aws, &[]).await;
    cloud.apply(&[change("Z1", &name.1, &[], &listed)]).await.remove(0).unwrap();
    aws.fail("ChangeResourceRecordSets", Fault::LostAfter);
    cloud.apply(&[change("Z1", &name.1, &listed, &[])]).await.remove(0).unwrap_err();
    tokio::time::sleep(Duration::from_secs(120)).await;
    cloud.refresh(&ids(&[]), true).await.unwrap();
    assert!(is_listed(&cloud) && cloud.observed().contradicted.contains(&name));
    // Route 53 tells when it is written as it should be.
    cloud.apply(&[change("Z1", &name.1, &listed, &listed)]).await.remove(0).unwrap_err();
    cloud.refresh(&ids(&[]), true).await.unwrap();
    assert!(!is_listed(&cloud) && cloud.observed().contradicted.is_empty());
    // One that was deleted, and perhaps made again: what a read shows may be so.
    cloud.apply(&[change("Z1", &name.1, &[], &listed)]).await.remove(0).unwrap();
    cloud.apply(&[change("Z1", &name.1, &listed, &[])]).await.remove(0).unwrap();
    aws.fail("ChangeResourceRecordSets", Fault::LostAfter);
    cloud.apply(&[change("Z1", &name.1, &[], &listed)]).await.remove(0).unwrap_err();
    cloud.refresh(&ids(&[]), true).await.unwrap();
    assert!(is_listed(&cloud) && cloud.observed().contradicted.contains(&name));
    cloud.apply(&[change("Z1", &name.1, &listed, &listed)]).await.remove(0).unwrap();
    cloud.refresh(&ids(&[]), true).await.unwrap();
    assert!(is_listed(&cloud) && cloud.observed().contradicted.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_zone_in_doubt_that_cant_be_read_is_not_read_in_circles() {
    let aws = world();
    let mut cloud = read(&aws, &[]).await;
    aws.fail("ChangeResourceRecordSets", Fault::LostBefore);
    let add = change("Z1", "a.example.com", &[], &["203.0.113.1"]);
    cloud.apply(std::slice::from_ref(&add)).await.remove(0).unwrap_err();
    aws.break_down("ListResourceRecordSets", "Z1", Fault::Answer(403, "AccessDenied", "no"));
    assert!(cloud.due());
    assert!(cloud.refresh(&ids(&[]), false).await.unwrap_err().is_usable());
    assert!(!cloud.due());
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(cloud.due());
    aws.mend();
    cloud.refresh(&ids(&[]), false).await.unwrap();
    cloud.apply(&[add]).await.remove(0).unwrap();
}

#[tokio::test(start_paused = true)]
async fn each_trouble_of_a_zone_says_what_to_do_next() {
    let aws = world();
    let mut cloud = read(&aws, &[]).await;
    let cases = [
        (Fault::Answer(400, "PriorRequestNotComplete", "busy"), Next::Wait, Reason::Progressing),
        (Fault::Answer(400, "Throttling", "slow"), Next::BackOff, Reason::Throttled),
        (Fault::Answer(403, "AccessDenied", "no"), Next::BackOff, Reason::AccessDenied),
        (Fault::Refused, Next::NotLeader, Reason::Progressing),
    ];
    for (fault, next, reason) in cases {
        aws.break_down("ChangeResourceRecordSets", "", fault.clone());
        let steps: Vec<Step> =
            (0..600).map(|n| change("Z1", &format!("s{n}.example.com"), &[], &["203.0.113.1"])).collect();
        for result in cloud.apply(&steps).await {
            let error = result.unwrap_err();
            assert_eq!((error.next, error.reason), (next, reason), "{fault:?}");
            let named = matches!(fault, Fault::Answer(403, _, _));
            assert_eq!(error.message.contains("role needs route53:ChangeResourceRecordSets"), named, "{error}");
        }
        assert!(!cloud.due());
        aws.mend();
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_is_unsynced_until_route_53_says_otherwise() {
    let aws = world();
    let mut cloud = read(&aws, &[]).await;
    cloud.apply(&[change("Z1", "a.example.com", &[], &["203.0.113.1"])]).await.remove(0).unwrap();
    let name = "a.example.com".parse().unwrap();
    assert_eq!(cloud.unsynced(), [name].into());
    cloud.poll_changes().await;
    assert_eq!(cloud.unsynced().len(), 1);
    // A fault leaves it as it is.
    aws.fail("GetChange", Fault::Answer(400, "InvalidInput", "odd"));
    aws.state().route53.changes.values_mut().for_each(|done| *done = true);
    cloud.poll_changes().await;
    assert_eq!(cloud.unsynced().len(), 1);
    cloud.poll_changes().await;
    assert!(cloud.unsynced().is_empty());
    aws.calls();
    cloud.poll_changes().await;
    assert!(aws.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn names_of_one_batch_cost_one_question_and_a_deleted_name_none() {
    let aws = world();
    let mut cloud = read(&aws, &[]).await;
    let add = |name| change("Z1", name, &[], &["203.0.113.1"]);
    cloud.apply(&[add("a.example.com"), add("b.example.com")]).await;
    aws.calls();
    cloud.poll_changes().await;
    assert_eq!(aws.calls(), ["GetChange"]);
    cloud.apply(&[change("Z1", "a.example.com", &["203.0.113.1"], &[])]).await.remove(0).unwrap();
    assert_eq!(cloud.unsynced(), ["b.example.com".parse().unwrap()].into());
}

/// The change of `step`, without the record of that key on either side.
fn without(mut step: Step, key: &RecordKey) -> Step {
    let Action::ChangeRecords(change) = &mut step.action else { panic!("{}", step.action) };
    change.delete.remove(key);
    change.create.remove(key);
    step
}

#[tokio::test(start_paused = true)]
async fn a_change_of_one_record_of_a_name_leaves_the_other_alone() {
    let aws = world();
    let mut cloud = read(&aws, &[]).await;
    let name = "a.example.com";
    let (address, twin) = (dns::address_key(name), dns::twin_key(name));
    cloud.apply(&[change("Z1", name, &[], &["203.0.113.1"])]).await.remove(0).unwrap();
    let both = cloud.observed().clone();
    // The address alone, while reads show the past.
    aws.freeze_reads();
    let moved = change("Z1", name, &["203.0.113.1"], &["203.0.113.2"]);
    cloud.apply(&[without(moved, &twin)]).await.remove(0).unwrap();
    cloud.refresh(&ids(&[]), true).await.unwrap();
    let zone = ZoneId("Z1".into());
    let records = &cloud.observed().records[&zone];
    assert_eq!(records[&address].values, ["203.0.113.2".to_owned()].into());
    assert_eq!(records[&twin], both.records[&zone][&twin]);
    assert_eq!(aws.state().route53.batches, [2, 2]);
    // The twin alone is nothing to wait for, and ends no wait.
    let before = cloud.changes.next();
    let rewritten = change("Z1", name, &["203.0.113.2"], &["203.0.113.2"]);
    cloud.apply(&[without(rewritten, &address)]).await.remove(0).unwrap();
    assert_eq!(cloud.changes.next(), before);
    // It isn't taken away while the address is there: that would be nobody's then.
    let taken = without(change("Z1", name, &["203.0.113.2"], &[]), &address);
    assert_eq!(cloud.apply(std::slice::from_ref(&taken)).await.remove(0).unwrap_err().next, Next::Replan);
    assert_eq!(cloud.unsynced().len(), 1);
    aws.thaw_reads();
    cloud.refresh(&ids(&[]), true).await.unwrap();
    // Without its address a name waits for nothing.
    let gone = without(change("Z1", name, &["203.0.113.2"], &[]), &twin);
    cloud.apply(&[gone]).await.remove(0).unwrap();
    assert!(cloud.unsynced().is_empty());
    cloud.apply(&[taken]).await.remove(0).unwrap();
    assert!(aws.values("Z1", "a-a.example.com.", "TXT").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_record_that_was_never_so_by_us_is_somebody_elses_and_later_than_ours() {
    let aws = world();
    let mut cloud = read(&aws, &[]).await;
    let name = "a.example.com";
    cloud.apply(&[change("Z1", name, &[], &["203.0.113.1"])]).await.remove(0).unwrap();
    cloud.apply(&[change("Z1", name, &["203.0.113.1"], &["203.0.113.2"])]).await.remove(0).unwrap();
    // A read of the past, of whatever moment since a read was right, is no news.
    let address = crate::expose::dns::address_key(name);
    for past in [None, Some("203.0.113.1")] {
        match past {
            Some(value) => aws.record("Z1", "a.example.com.", "A", &[value]),
            None => {
                _ = aws
                    .state()
                    .route53
                    .zones
                    .get_mut("Z1")
                    .unwrap()
                    .records
                    .remove(&("a.example.com.".into(), "A".into()))
            }
        }
        cloud.refresh(&ids(&[]), true).await.unwrap();
        assert_eq!(cloud.observed().records[&ZoneId("Z1".into())][&address].values, ["203.0.113.2".to_owned()].into());
    }
    aws.record("Z1", "a.example.com.", "A", &["192.0.2.9"]);
    cloud.refresh(&ids(&[]), true).await.unwrap();
    assert_eq!(cloud.observed().records[&ZoneId("Z1".into())][&address].values, ["192.0.2.9".to_owned()].into());
}

#[tokio::test(start_paused = true)]
async fn a_record_that_was_put_back_is_there_though_a_read_shows_first_the_past_before_and_then_that_in_between() {
    let aws = world();
    let name = "a.example.com";
    let mut cloud = read(&aws, &[]).await;
    cloud.apply(&[change("Z1", name, &[], &["203.0.113.1"])]).await.remove(0).unwrap();
    cloud.refresh(&ids(&[]), true).await.unwrap();
    aws.freeze_reads();
    cloud.apply(&[change("Z1", name, &["203.0.113.1"], &[])]).await.remove(0).unwrap();
    let in_between = aws.moment();
    cloud.apply(&[change("Z1", name, &[], &["203.0.113.1"])]).await.remove(0).unwrap();
    cloud.refresh(&ids(&[]), true).await.unwrap();
    aws.state().past = Some(in_between);
    cloud.refresh(&ids(&[]), true).await.unwrap();
    let address = crate::expose::dns::address_key(name);
    let values = |cloud: &Cloud| cloud.observed().records[&ZoneId("Z1".into())].get(&address).map(|r| r.values.clone());
    assert_eq!(values(&cloud), Some(["203.0.113.1".to_owned()].into()));
    tokio::time::sleep(Duration::from_secs(300)).await;
    cloud.refresh(&ids(&[]), true).await.unwrap();
    assert_eq!(values(&cloud), None);
}

#[tokio::test(start_paused = true)]
async fn where_it_may_not_be_asked_an_accepted_change_counts_as_done() {
    let aws = world();
    let mut cloud = read(&aws, &[]).await;
    aws.break_down("GetChange", "", Fault::Answer(403, "AccessDenied", "no"));
    cloud.apply(&[change("Z1", "a.example.com", &[], &["203.0.113.1"])]).await.remove(0).unwrap();
    cloud.poll_changes().await;
    assert!(cloud.unsynced().is_empty());
    aws.calls();
    cloud.apply(&[change("Z1", "b.example.com", &[], &["203.0.113.1"])]).await.remove(0).unwrap();
    assert!(cloud.unsynced().is_empty());
    cloud.poll_changes().await;
    assert_eq!(aws.calls(), ["ChangeResourceRecordSets"]);
}

/// Twelve changes that are under way, each a batch of its own.
async fn with_changes(aws: &Aws) -> Cloud {
    let mut cloud = read(aws, &[]).await;
    for n in 0..12 {
        cloud.apply(&[change("Z1", &format!("s{n}.example.com"), &[], &["203.0.113.1"])]).await.remove(0).unwrap();
    }
    aws.calls();
    cloud
}

#[tokio::test(start_paused = true)]
async fn a_deaf_route_53_holds_a_round_up_for_a_short_time_only() {
    let aws = world();
    let mut cloud = with_changes(&aws).await;
    aws.break_down("GetChange", "", Fault::Deaf);
    let before = tokio::time::Instant::now();
    cloud.poll_changes().await;
    cloud.poll_changes().await;
    assert!(before.elapsed() < Duration::from_secs(6));
    assert_eq!((aws.calls().len(), cloud.unsynced().len()), (1, 12));
    aws.mend();
    aws.state().route53.changes.values_mut().for_each(|done| *done = true);
    tokio::time::sleep(Duration::from_secs(30)).await;
    for _ in 0..3 {
        cloud.poll_changes().await;
    }
    assert!(cloud.unsynced().is_empty());
}

#[tokio::test(start_paused = true)]
async fn trouble_that_isnt_one_changes_own_ends_the_questions_of_a_round() {
    for fault in
        [Fault::Answer(400, "Throttling", "slow"), Fault::Answer(503, "ServiceUnavailable", "oops"), Fault::Refused]
    {
        let aws = world();
        let mut cloud = with_changes(&aws).await;
        aws.break_down("GetChange", "", fault.clone());
        cloud.poll_changes().await;
        let asked = std::mem::take(&mut aws.state().calls);
        let asked: BTreeSet<String> = asked.into_iter().map(|call| call.path).collect();
        assert!(asked.len() <= 1, "{fault:?}: {asked:?}");
        cloud.poll_changes().await;
        assert_eq!((aws.calls().len(), cloud.unsynced().len()), (0, 12), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_few_changes_are_asked_for_in_a_round_and_all_in_turn() {
    let aws = world();
    let mut cloud = with_changes(&aws).await;
    let mut asked: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..12 {
        cloud.poll_changes().await;
        let calls = std::mem::take(&mut aws.state().calls);
        assert_eq!(calls.len(), 5);
        calls.into_iter().for_each(|call| *asked.entry(call.path).or_default() += 1);
    }
    assert_eq!((asked.len(), asked.values().min(), asked.values().max()), (12, Some(&5), Some(&5)));
}

#[tokio::test(start_paused = true)]
async fn a_twin_that_somebody_took_over_since_the_last_look_stops_the_change_of_its_record() {
    let aws = world();
    aws.record("Z1", "a.example.com.", "A", &["203.0.113.1"]);
    aws.record("Z1", "a-a.example.com.", "TXT", &[TWIN]);
    let mut cloud = read(&aws, &[]).await;
    aws.meddle("ChangeResourceRecordSets", |state| {
        let zone = state.route53.zones.get_mut("Z1").unwrap();
        let key = ("a-a.example.com.".to_owned(), "TXT".to_owned());
        zone.records.get_mut(&key).unwrap().1 = [TWIN.replace("owner=c1", "owner=other")].into();
    });
    let replace = change("Z1", "a.example.com", &["203.0.113.1"], &["203.0.113.2"]);
    let error = cloud.apply(&[replace]).await.remove(0).unwrap_err();
    assert_eq!(error.next, Next::Replan);
    assert_eq!(aws.values("Z1", "a.example.com.", "A").unwrap(), ["203.0.113.1"]);
}

#[tokio::test(start_paused = true)]
async fn an_emulator_that_never_lets_a_record_stay_is_sent_the_differences() {
    let aws = world();
    aws.record("Z1", "a.example.com.", "A", &["203.0.113.1"]);
    aws.record("Z1", "a-a.example.com.", "TXT", &[TWIN]);
    let mut cloud = read(&aws, &[]).await;
    let told = "Tried to create resource record set [name='a-a.example.com.', type='TXT'] but it already exists";
    aws.break_down("ChangeResourceRecordSets", "TXT", Fault::Answer(400, "InvalidChangeBatch", told));
    let replace = change("Z1", "a.example.com", &["203.0.113.1"], &["203.0.113.2"]);
    cloud.apply(&[replace]).await.remove(0).unwrap();
    assert_eq!(aws.values("Z1", "a.example.com.", "A").unwrap(), ["203.0.113.2"]);
    // Nothing is different where a record is only made sure of.
    aws.break_down("ChangeResourceRecordSets", "TXT", Fault::Answer(400, "InvalidChangeBatch", told));
    aws.calls();
    let proof = change("Z1", "a.example.com", &["203.0.113.2"], &["203.0.113.2"]);
    cloud.apply(&[proof]).await.remove(0).unwrap();
    assert_eq!(batches(&aws), 1);
}

#[tokio::test(start_paused = true)]
async fn a_twin_goes_alone_only_where_no_address_is_left_that_may_be_ours() {
    for (beside, alone) in [(None, true), (Some("203.0.113.7"), false), (Some("lb.example.org."), true)] {
        let aws = world();
        aws.record("Z1", "a-a.example.com.", "TXT", &[TWIN]);
        let mut cloud = read(&aws, &[]).await;
        if let Some(value) = beside {
            aws.record("Z1", "a.example.com.", "A", &[value]);
        }
        let gone = without(change("Z1", "a.example.com", &["203.0.113.1"], &[]), &dns::address_key("a.example.com"));
        let taken = cloud.apply(&[gone]).await.remove(0);
        assert_eq!(taken.is_ok(), alone, "{beside:?} {taken:?}");
        assert_eq!(aws.values("Z1", "a-a.example.com.", "TXT").is_none(), alone);
    }
}
