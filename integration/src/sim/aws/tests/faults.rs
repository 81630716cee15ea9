//! What goes wrong, in each way in which it can.

use std::time::Duration;

use aws_api::{Class, ec2, route53};
use tokio::time::Instant;

use super::kit::{Kit, authorize, permission};
use crate::sim::event::{Actor, Event};
use crate::sim::fault::{Fault, Garble};

const CREATE: &str = "ec2:CreateSecurityGroup";
const GROUPS: &str = "ec2:DescribeSecurityGroups";

fn made(kit: &Kit) -> bool {
    kit.aws.look(|state| state.groups.values().any(|group| group.name == "g1"))
}

#[tokio::test(start_paused = true)]
async fn each_fault_has_its_effect_and_its_outcome() {
    let s = Duration::from_secs;
    let refuse = |status, code| Fault::Refuse { status, code, retry_after: None };
    let cases = [
        (refuse(503, "RequestLimitExceeded"), Class::Throttled, false),
        (refuse(500, "InternalError"), Class::UnknownOutcome, false),
        (Fault::Unreachable, Class::Transient, false),
        (Fault::LostBefore, Class::UnknownOutcome, false),
        (Fault::LostAfter, Class::UnknownOutcome, true),
        (Fault::Hang { effect: false }, Class::UnknownOutcome, false),
        (Fault::Hang { effect: true }, Class::UnknownOutcome, true),
        (Fault::Late(s(40)), Class::UnknownOutcome, false),
        (Fault::Slow(s(20)), Class::UnknownOutcome, false),
        (Fault::Garbled(Garble::Truncated), Class::UnknownOutcome, true),
        (Fault::Garbled(Garble::Html), Class::UnknownOutcome, true),
        (Fault::Garbled(Garble::Encoding), Class::UnknownOutcome, true),
        (Fault::Garbled(Garble::Huge), Class::UnknownOutcome, true),
    ];
    for (fault, class, effect) in cases {
        let kit = Kit::new();
        kit.fail(CREATE, [fault.clone()]);
        let error = kit.client.send(&kit.create("g1")).await.unwrap_err();
        assert_eq!((error.class, made(&kit)), (class, effect), "{fault:?}: {error}");
        let events = kit.stage.journal.events();
        assert!(events.iter().any(|(_, event)| *event == Event::Fault { call: 1, fault: fault.clone() }), "{fault:?}");
        // What comes late comes all the same.
        tokio::time::sleep(s(60)).await;
        assert_eq!(made(&kit), effect || matches!(fault, Fault::Late(_) | Fault::Slow(_)), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hollow_answer_has_nothing_in_it() {
    let kit = Kit::new();
    kit.fail(GROUPS, [Fault::Garbled(Garble::Hollow)]);
    let error = kit.client.send(&ec2::DescribeSecurityGroups::default()).await.unwrap_err();
    assert!(error.message.contains("securityGroupInfo"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn refusals_have_the_form_of_their_service() {
    let kit = Kit::new();
    let refuse = |code| Fault::Refuse { status: 400, code, retry_after: Some(3) };
    kit.fail("route53:ListHostedZones", [refuse("Throttling"), refuse("InvalidChangeBatch")]);
    let error = kit.client.send(&route53::ListHostedZones::default()).await.unwrap_err();
    assert_eq!((error.class, error.retry_after), (Class::Throttled, Some(Duration::from_secs(3))));
    assert!(error.request_id.is_some());
    let error = kit.client.send(&route53::ListHostedZones::default()).await.unwrap_err();
    assert!(error.is("InvalidChangeBatch"));
}

#[tokio::test(start_paused = true)]
async fn what_is_slow_comes_in_the_end() {
    let kit = Kit::new();
    kit.fail(CREATE, [Fault::Slow(Duration::from_secs(4))]);
    let start = Instant::now();
    kit.client.send(&kit.create("g1")).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(4));
}

#[tokio::test(start_paused = true)]
async fn whoever_gives_up_does_not_call_back_what_is_on_its_way() {
    let kit = Kit::with(|options| options.travel = Duration::from_millis(500));
    let call = tokio::spawn({
        let (client, create) = (kit.client.clone(), kit.create("g1"));
        async move { client.send(&create).await }
    });
    tokio::time::sleep(Duration::from_millis(1)).await;
    call.abort();
    assert!(!made(&kit));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(made(&kit));
}

#[tokio::test(start_paused = true)]
async fn a_stale_read_shows_the_past_and_does_not_know_the_new_group() {
    let kit = Kit::new();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let id = kit.group("g1").await;
    let names = |described: ec2::DescribeSecurityGroupsResponse| {
        described.security_groups.into_iter().filter_map(|group| group.group_name).collect::<Vec<_>>()
    };
    let describe = ec2::DescribeSecurityGroups::default();
    kit.fail(GROUPS, [Fault::Stale(Duration::from_secs(5))]);
    assert_eq!(names(kit.client.send(&describe).await.unwrap()), ["default"]);
    assert!(names(kit.client.send(&describe).await.unwrap()).contains(&"g1".into()));
    kit.fail("ec2:AuthorizeSecurityGroupIngress", [Fault::Stale(Duration::from_secs(5))]);
    let open = authorize(&id, vec![permission(1, "0.0.0.0/0")]);
    assert_eq!(kit.refused(&open).await, "InvalidGroup.NotFound");
    kit.client.send(&open).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn reads_lag_by_themselves_for_so_long_and_no_longer() {
    let kit = Kit::with(|options| (options.ec2_lag, options.seed) = (Duration::from_secs(10), 3));
    tokio::time::sleep(Duration::from_secs(60)).await;
    kit.group("g1").await;
    let describe = ec2::DescribeSecurityGroups { max_results: Some(100), ..Default::default() };
    let mut seen = Vec::new();
    for _ in 0..10 {
        seen.push(kit.client.send(&describe).await.unwrap().security_groups.len());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(seen.contains(&1) && seen.contains(&2), "{seen:?}");
    // Not monotonic: what was seen can be gone again.
    assert!(seen.windows(2).any(|pair| pair == [2, 1]), "{seen:?}");
    tokio::time::sleep(Duration::from_secs(10)).await;
    for _ in 0..20 {
        assert_eq!(kit.client.send(&describe).await.unwrap().security_groups.len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn listings_leave_out_are_empty_repeat_a_page_or_lose_their_token() {
    let kit = Kit::new();
    let describe = ec2::DescribeSecurityGroups { max_results: Some(100), ..Default::default() };
    for name in ["g1", "g2", "g3", "g4", "g5"] {
        kit.group(name).await;
    }
    kit.fail(GROUPS, [Fault::Omits, Fault::Empty, Fault::PageExpired]);
    assert_eq!(kit.client.send(&describe).await.unwrap().security_groups.len(), 5);
    assert_eq!(kit.client.send(&describe).await.unwrap().security_groups.len(), 0);
    let error = kit.client.pages(describe.clone()).await.unwrap_err();
    assert!(error.is("InvalidNextToken"), "{error}");
    kit.fail(GROUPS, [Fault::PageRepeats]);
    let repeated = kit.client.pages(describe).await.unwrap();
    assert_eq!(repeated.iter().map(|page| page.security_groups.len()).collect::<Vec<_>>(), [3, 6]);
    let zones = route53::ListHostedZones::default();
    kit.aws.create_zone(Actor::Person, "example.org", false).unwrap();
    kit.fail("route53:ListHostedZones", [Fault::Omits, Fault::Empty, Fault::PageRepeats]);
    assert_eq!(kit.client.send(&zones).await.unwrap().hosted_zones.len(), 1);
    assert_eq!(kit.client.send(&zones).await.unwrap().hosted_zones.len(), 0);
    assert_eq!(kit.client.pages(zones).await.unwrap().len(), 2);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let records = route53::ListResourceRecordSets { hosted_zone_id: kit.zone.clone(), ..Default::default() };
    kit.fail("route53:ListResourceRecordSets", [Fault::Omits, Fault::Empty, Fault::PageRepeats]);
    assert_eq!(kit.client.send(&records).await.unwrap().resource_record_sets.len(), 1);
    assert_eq!(kit.client.send(&records).await.unwrap().resource_record_sets.len(), 0);
    let repeated = kit.client.pages(records).await.unwrap();
    assert_eq!(repeated.iter().map(|page| page.resource_record_sets.len()).collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_trace() {
    async fn trace(seed: u64) -> String {
        let kit = Kit::with(|options| {
            (options.seed, options.travel, options.ec2_lag) = (seed, Duration::from_millis(30), Duration::from_secs(2));
        });
        let calls = (0..5).map(|number| {
            let (client, create) = (kit.client.clone(), kit.create(&format!("g{number}")));
            tokio::spawn(async move {
                let id = client.send(&create).await.unwrap().group_id.unwrap();
                let _ = client.send(&authorize(&id, vec![permission(1, "0.0.0.0/0")])).await;
                let _ = client.send(&ec2::DescribeSecurityGroups::default()).await;
            })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.unwrap();
        }
        format!("{:#?}", kit.stage.journal.events())
    }
    let one = trace(1).await;
    assert_eq!(one, trace(1).await);
    assert_ne!(one, trace(2).await);
}
