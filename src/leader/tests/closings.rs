use super::api::{Api, Fault, Kind};
use super::world::{Process, World, millis, secs};
use crate::expose::{Closed, GroupId};
use std::collections::BTreeSet;
use tokio::time::Instant;

/// Whether the Lease tells that its holder closes something.
fn tells(api: &Api) -> bool {
    api.lease()["metadata"]["annotations"]["external-ips.alpha.openfresh.github.io/closes"] == "sg-1"
}

fn groups(ids: &[&str]) -> BTreeSet<GroupId> {
    ids.iter().map(|id| GroupId((*id).to_owned())).collect()
}

/// What whoever follows knows.
fn known(closes: bool) -> Closed {
    Closed::Of(groups(if closes { &["sg-1"] } else { &[] }))
}

async fn announced_within(process: &Process, limit: std::time::Duration) {
    tokio::time::timeout(limit, process.fence.announce_closings(&groups(&["sg-1"])))
        .await
        .expect("no announcement in time")
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_lease_tells_of_a_closing_before_it_begins_and_for_five_minutes() {
    let world = World::sampled(secs(1));
    let (a, _b) = world.leader_and_standby().await;
    assert!(!tells(&world.api));
    announced_within(&a, secs(1)).await;
    assert!(tells(&world.api));
    let before = world.api.log().len();
    announced_within(&a, millis(1)).await;
    assert_eq!(world.api.log().len(), before, "it is told once");
    tokio::time::sleep(secs(299)).await;
    assert!(tells(&world.api));
    tokio::time::sleep(secs(5)).await;
    assert!(!tells(&world.api));
    a.leads_on_for(secs(60)).await;
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_follows_a_leader_that_died_knows_whether_it_closed_something() {
    for closes in [false, true] {
        let world = World::sampled(secs(1));
        let (a, b) = world.leader_and_standby().await;
        if closes {
            announced_within(&a, secs(1)).await;
        }
        tokio::time::sleep(secs(60)).await;
        a.kill();
        b.writable_within(secs(30)).await;
        assert_eq!(b.fence.closed_before(), known(closes));
        assert_eq!(tells(&world.api), closes, "whoever comes third knows it, too");
        tokio::time::sleep(secs(310)).await;
        assert!(!tells(&world.api));
        world.check().await;
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_handed_the_lease_knows_whether_something_was_closed() {
    for closes in [false, true] {
        let world = World::sampled(secs(1));
        let (mut a, b) = world.leader_and_standby().await;
        if closes {
            announced_within(&a, secs(1)).await;
        }
        a.terminate();
        b.writable_within(secs(1)).await;
        assert_eq!(b.fence.closed_before(), known(closes));
        world.check().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_somebody_deleted_or_blanked_tells_nothing_of_closings() {
    for delete in [false, true] {
        let world = World::sampled(secs(1));
        let (a, b) = world.leader_and_standby().await;
        a.kill();
        match delete {
            true => world.api.delete(),
            false => world.api.patch_spec(&serde_json::json!({"holderIdentity": ""})),
        }
        b.writable_within(secs(60)).await;
        assert_eq!(b.fence.closed_before(), Closed::Any);
        world.check().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_led_itself_before_knows_of_its_own_closings() {
    let world = World::sampled(secs(1));
    let a = world.start("a");
    a.writable_within(secs(30)).await;
    tokio::time::sleep(secs(400)).await;
    announced_within(&a, secs(1)).await;
    world.api.cut("a");
    tokio::time::sleep(secs(20)).await;
    assert!(!a.fence.is_leader());
    world.api.heal("a");
    a.writable_within(secs(30)).await;
    assert!(a.fence.closed_before().covers(&groups(&["sg-1"])));
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn no_closing_rests_on_a_note_that_is_being_taken_back() {
    for offset in (0..3000).step_by(200) {
        let world = World::sampled(secs(1));
        let (a, _b) = world.leader_and_standby().await;
        announced_within(&a, secs(1)).await;
        world.api.fault("a", Some(Kind::Patch), usize::MAX, Fault { before: millis(700), ..Fault::default() });
        tokio::time::sleep(secs(298) + millis(offset)).await;
        announced_within(&a, secs(4)).await;
        let since = Instant::now();
        while since.elapsed() < secs(10) {
            assert!(tells(&world.api), "{offset} ms: {:?} after the announcement", since.elapsed());
            tokio::time::sleep(millis(50)).await;
        }
        world.check().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_announcement_ends_with_the_term() {
    let world = World::sampled(secs(1));
    let (mut a, _b) = world.leader_and_standby().await;
    world.api.cut("a");
    let began = Instant::now();
    assert!(a.fence.announce_closings(&groups(&["sg-1"])).await.is_err());
    assert!(began.elapsed() <= secs(12));
    world.api.heal("a");
    let other = world.start("c");
    assert!(other.fence.announce_closings(&groups(&["sg-1"])).await.is_err(), "a candidate closes nothing");
    a.terminate();
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn each_group_is_told_of_for_its_own_time_and_very_many_without_their_names() {
    let world = World::sampled(secs(1));
    let a = world.start("a");
    a.writable_within(secs(30)).await;
    let note = || world.api.lease()["metadata"]["annotations"]["external-ips.alpha.openfresh.github.io/closes"].clone();
    announced_within(&a, secs(1)).await;
    tokio::time::sleep(secs(200)).await;
    a.fence.announce_closings(&groups(&["sg-2"])).await.unwrap();
    assert_eq!(note(), "sg-1,sg-2");
    tokio::time::sleep(secs(150)).await;
    assert_eq!(note(), "sg-2");
    let many: Vec<String> = (0..201).map(|n| format!("sg-{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    a.fence.announce_closings(&groups(&many)).await.unwrap();
    assert_eq!(note(), "*");
    world.check().await;
}
