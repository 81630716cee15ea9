//! One acts, the others wait: crashes, pauses, cuts and hand-overs.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::try_join_all;
use integration::daemon::Daemon;
use integration::eventually::{eventually, throughout, within};
use integration::intercept::{Gate, When};
use integration::kube_gate::{KubeCall, KubeGate};
use integration::recording_proxy::AwsCall;
use integration::world::{NewNode, Node, World};
use integration::{Error, Result};
use kube::api::DeleteParams;
use std::time::Duration;

use super::kit::*;

const SOON: Duration = Duration::from_secs(1);

/// Holds the kth AWS write of a replica.
fn hold_write(world: &World, replica: &'static str, k: usize, when: When) -> Gate {
    let seen = AtomicUsize::new(0);
    world.proxy.hold_all(when, move |call| {
        call.is_write() && by(call, replica) && seen.fetch_add(1, Ordering::Relaxed) + 1 == k
    })
}

fn takes_the_lease(call: &KubeCall) -> bool {
    call.is_lease() && call.method == "PATCH"
}

/// After the first write of `then` there is none of `first`, and none that was not answered by then.
fn take_turns(calls: &[AwsCall], first: &str, then: &str) {
    let writes: Vec<&AwsCall> = calls.iter().filter(|call| call.is_write()).collect();
    let Some(turn) = writes.iter().find(|call| by(call, then)) else { return };
    for write in writes.iter().filter(|call| by(call, first)) {
        let answered = write.answered.is_some_and(|(at, _, _)| at <= turn.came);
        assert!(write.came < turn.came && answered, "{first} wrote after {then} had begun: {write:#?}, {turn:#?}");
    }
}

async fn ttl(world: &World) -> Result<i64> {
    let records = world.records().await?;
    Ok(records.into_iter().find(|record| record.kind == "A").map(|record| record.ttl).unwrap_or_default())
}

/// Changes the example's TTL and waits for the record: somebody acts.
async fn change_ttl(world: &World, seconds: i64) -> Result<()> {
    world.annotate(EXAMPLE, "ttl", Some(&seconds.to_string())).await?;
    eventually(format!("a TTL of {seconds} s"), || ttl(world), |found| *found == seconds).await.map(drop)
}

async fn leadership_is_said_by(world: &World, leader: &Daemon, candidate: &Daemon) -> Result<()> {
    eventually("the leader says so", || says_it_leads(leader), |leads| *leads).await?;
    eventually("the other one says no", || says_it_leads(candidate), |leads| !leads).await?;
    let holder = holder(world).await?;
    assert!(holder.starts_with(&format!("{}_", leader.name())), "{holder} holds the Lease");
    Ok(())
}

async fn two_nodes(world: &World) -> Result<[Node; 2]> {
    let one = world.node("a", NewNode::default().zone("a")).await?;
    let other = world.node("b", NewNode::default().zone("b")).await?;
    Ok([one, other])
}

/// The leader dies at its kth AWS write, before or after that takes effect; a successor finishes and cleans up.
async fn killed_while_exposing(k: usize, when: When) -> Result<()> {
    let world = World::new().await?;
    let nodes = two_nodes(&world).await?;
    world.released_lease().await?;
    let one = short_lease(world.daemon("one").await?).start().await?;
    leads(&one).await?;
    let two = short_lease(world.daemon("two").await?).start().await?;
    is_ready(&two).await?;
    let mut gate = hold_write(&world, "one", k, when);
    world.apply(world.example()?).await?;
    gate.holds_one().await?;
    one.kill();
    // What was sent arrives, after the death of who sent it.
    gate.release();
    leads(&two).await?;
    finished_by(&world, &two, &nodes).await
}

async fn killed_while_withdrawing(k: usize, when: When) -> Result<()> {
    let world = World::new().await?;
    let nodes = two_nodes(&world).await?;
    world.released_lease().await?;
    let one = short_lease(world.daemon("one").await?).start().await?;
    leads(&one).await?;
    let two = short_lease(world.daemon("two").await?).start().await?;
    is_ready(&two).await?;
    world.apply(world.example()?).await?;
    synced(&world, EXAMPLE).await?;
    let mut gate = hold_write(&world, "one", k, when);
    world.annotate(EXAMPLE, "hostname", None).await?;
    gate.holds_one().await?;
    one.kill();
    gate.release();
    leads(&two).await?;
    nothing_is_left(&world, &[&nodes[0], &nodes[1]]).await?;
    // And it can be asked for again.
    world.annotate(EXAMPLE, "hostname", Some(EXAMPLE_HOST)).await?;
    finished_by(&world, &two, &nodes).await
}

async fn finished_by(world: &World, two: &Daemon, nodes: &[Node; 2]) -> Result<()> {
    let nodes = [&nodes[0], &nodes[1]];
    synced(world, EXAMPLE).await?;
    example_alone_on(world, &nodes, 6315).await?;
    world.annotate(EXAMPLE, "hostname", None).await?;
    nothing_is_left(world, &nodes).await?;
    take_turns(&world.proxy.calls(), "one", "two");
    is_well(two)
}

/// Two nodes: two groups, two rules, two attachments, one batch of records.
const WRITES_TO_EXPOSE: usize = 7;
/// One batch of records, two rules, ...
const WRITES_TO_WITHDRAW: usize = 5;

#[tokio::test]
async fn the_leader_is_killed_in_the_middle_of_its_steps_and_the_next_one_finishes_without_leaks() -> Result<()> {
    try_join_all((1..=WRITES_TO_EXPOSE).map(|k| {
        let when = if k % 2 == 0 { When::Before } else { When::After };
        killed_while_exposing(k, when)
    }))
    .await
    .map(drop)
}

#[tokio::test]
async fn the_leader_is_killed_in_the_middle_of_its_steps_with_the_other_outcome_of_each() -> Result<()> {
    try_join_all((1..=WRITES_TO_EXPOSE).map(|k| {
        let when = if k % 2 == 0 { When::After } else { When::Before };
        killed_while_exposing(k, when)
    }))
    .await
    .map(drop)
}

#[tokio::test]
async fn the_leader_is_killed_in_the_middle_of_a_withdrawal_and_the_next_one_leaves_nothing() -> Result<()> {
    let cases = (1..=WRITES_TO_WITHDRAW).flat_map(|k| [(k, When::Before), (k, When::After)]);
    try_join_all(cases.map(|(k, when)| killed_while_withdrawing(k, when))).await.map(drop)
}

/// Both have read the same Lease; the PATCHes arrive in this order.
async fn both_have_read(first: &'static str, second: &'static str) -> Result<()> {
    let world = World::new().await?;
    let node = world.node("a", NewNode::default()).await?;
    world.released_lease().await?;
    world.apply(world.example()?).await?;
    let (one, one_gate) = world.daemon_behind_gate(first).await?;
    let (two, two_gate) = world.daemon_behind_gate(second).await?;
    let mut one_held = one_gate.hold_all(When::Before, takes_the_lease);
    let mut two_held = two_gate.hold_all(When::Before, takes_the_lease);
    let (one, two) = (one.start().await?, two.start().await?);
    one_held.holds_one().await?;
    two_held.holds_one().await?;
    one_held.release();
    eventually(
        "the first PATCH has won",
        || async { Ok(one_gate.calls()) },
        |calls| calls.iter().any(|call| takes_the_lease(call) && matches!(call.answered, Some((_, 200)))),
    )
    .await?;
    two_held.release();
    eventually(
        "the second PATCH has lost",
        || async { Ok(two_gate.calls()) },
        |calls| calls.iter().any(|call| takes_the_lease(call) && matches!(call.answered, Some((_, 409)))),
    )
    .await?;
    synced(&world, EXAMPLE).await?;
    example_alone_on(&world, &[&node], 6315).await?;
    leadership_is_said_by(&world, &one, &two).await?;
    change_ttl(&world, 90).await?;
    assert!(world.proxy.calls().iter().filter(|call| call.is_write()).all(|call| by(call, first)));
    assert_eq!(two_gate.writes_since(0), []);
    is_well(&one)?;
    is_well(&two)
}

/// One has won and doesn't know it: the answer is on its way. The other one looks, and waits.
async fn the_answer_is_late() -> Result<()> {
    let world = World::new().await?;
    world.node("a", NewNode::default()).await?;
    world.released_lease().await?;
    world.apply(world.example()?).await?;
    let (one, one_gate) = world.daemon_behind_gate("one").await?;
    let mut held = one_gate.hold_all(When::After, takes_the_lease);
    let one = one.start().await?;
    held.holds_one().await?;
    let (two, two_gate) = world.daemon_behind_gate("two").await?;
    let two = two.start().await?;
    two_gate.saw(0, |call| call.is_lease() && call.is_watch()).await?;
    assert_eq!(world.proxy.writes_since(0), []);
    held.release();
    synced(&world, EXAMPLE).await?;
    leadership_is_said_by(&world, &one, &two).await?;
    assert!(world.proxy.writes_since(0).iter().all(|call| by(call, "one")));
    assert_eq!(two_gate.writes_since(0), []);
    assert!(!two_gate.calls().iter().any(takes_the_lease), "there was nothing to take");
    Ok(())
}

#[tokio::test]
async fn two_candidates_one_stalled_between_its_read_and_its_write_of_the_lease_never_both_lead() -> Result<()> {
    tokio::try_join!(both_have_read("one", "two"), both_have_read("two", "one"), the_answer_is_late()).map(drop)
}

#[tokio::test]
async fn a_leader_that_is_paused_past_its_lease_writes_nothing_more() -> Result<()> {
    let world = World::new().await?;
    world.node("a", NewNode::default()).await?;
    world.released_lease().await?;
    let (one, gate) = world.daemon_behind_gate("one").await?;
    let one = short_lease(one).start().await?;
    leads(&one).await?;
    let two = short_lease(world.daemon("two").await?).start().await?;
    world.apply(world.example()?).await?;
    synced(&world, EXAMPLE).await?;
    is_ready(&two).await?;

    one.freeze()?;
    // It will see this when it wakes, and believe for a moment that it is its to do.
    world.annotate(EXAMPLE, "ttl", Some("90")).await?;
    leads(&two).await?;
    eventually("the successor acts", || ttl(&world), |ttl| *ttl == 90).await?;
    let (aws_mark, kube_mark) = (world.proxy.mark(), gate.mark());
    world.annotate(EXAMPLE, "ttl", Some("120")).await?;
    one.thaw()?;
    leadership_is_said_by(&world, &two, &one).await?;
    eventually("the successor goes on", || ttl(&world), |ttl| *ttl == 120).await?;
    change_ttl(&world, 150).await?;
    let late = || async {
        let mut calls: Vec<String> = gate.writes_since(kube_mark).iter().map(|call| call.path.clone()).collect();
        let writes = world.proxy.writes_since(aws_mark);
        calls.extend(writes.iter().filter(|call| by(call, "one")).map(AwsCall::action));
        Ok(calls)
    };
    throughout(SOON, "the old leader writes nothing", late, Vec::is_empty).await?;
    take_turns(&world.proxy.calls(), "one", "two");

    // It waits warm, and leads again when it is its turn.
    let terms = || async { Ok(one.logs()?.iter().filter(|line| line.message() == "leads now").count()) };
    assert_eq!(terms().await?, 1);
    two.terminate()?;
    assert_eq!(two.end().await?.code(), Some(0));
    eventually("the first one leads again", terms, |terms| *terms == 2).await?;
    // (moto refuses a record set that was there before, even in the batch that replaces it.)
    change_ttl(&world, 180).await?;
    is_well(&one)
}

#[tokio::test]
async fn sigterm_releases_the_lease_and_the_other_takes_over_at_once() -> Result<()> {
    let world = World::new().await?;
    let node = world.node("a", NewNode::default()).await?;
    let one = leader(&world).await?;
    world.apply(world.example()?).await?;
    synced(&world, EXAMPLE).await?;
    let two = world.daemon("two").await?.start().await?;
    is_ready(&two).await?;
    two.address().await?;
    let mark = world.proxy.mark();
    one.terminate()?;
    assert_eq!(one.end().await?.code(), Some(0));
    // By expiry it would take the Lease's duration and the time of a last write.
    let taken = leads(&two).await?;
    assert_eq!((taken.text("lease"), taken.0["first_write_in_ms"].as_u64()), ("released", Some(0)));
    eventually("the new leader says so", || says_it_leads(&two), |leads| *leads).await?;
    two.wait_for_log("its full read", |line| line.message() == "read everything from AWS").await?;
    example_alone_on(&world, &[&node], 6315).await?;
    assert_eq!(world.proxy.writes_since(mark), [], "all was in place");
    change_ttl(&world, 90).await?;
    assert!(one.logs()?.iter().any(|line| line.message() == "the Lease is given up"));
    assert_eq!(one.other_output()?, Vec::<String>::new());
    is_well(&two)
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() -> Result<()> {
    for (first, second) in [("TERM", "TERM"), ("INT", "TERM")] {
        let world = World::new().await?;
        world.node("a", NewNode::default()).await?;
        let one = leader(&world).await?;
        let mut gate = hold_write(&world, "one", 1, When::After);
        world.apply(world.example()?).await?;
        gate.holds_one().await?;
        one.signal(first)?;
        one.wait_for_log("that it stops", |line| line.message().starts_with("stopping")).await?;
        let ended = || async { one.ended() };
        throughout(SOON / 2, "it waits for its last write", ended, Option::is_none).await?;
        assert!(!holder(&world).await?.is_empty(), "the Lease is kept until that is answered");
        one.signal(second)?;
        assert_eq!(one.end().await?.code(), Some(130));
        // It had no time to give the Lease up: whoever follows waits for its end.
        assert!(holder(&world).await?.starts_with("one_"));
        gate.release();
    }
    Ok(())
}

#[tokio::test]
async fn a_leader_cut_from_the_api_server_stops_writing_to_aws() -> Result<()> {
    let world = World::new().await?;
    world.node("a", NewNode::default()).await?;
    world.released_lease().await?;
    let (one, gate) = world.daemon_behind_gate("one").await?;
    let one = short_lease(one).start().await?;
    leads(&one).await?;
    world.apply(world.example()?).await?;
    synced(&world, EXAMPLE).await?;
    // What it asks anew gets no answer; its open watches go on telling it of changes.
    let cut = gate.hold_all(When::Before, |_| true);
    one.wait_for_log("that it stopped", |line| line.message() == "not the leader any more: writing nothing").await?;
    assert!(!says_it_leads(&one).await?);
    let mark = world.proxy.mark();
    world.annotate(EXAMPLE, "ttl", Some("90")).await?;
    let writes = || async { Ok(world.proxy.writes_since(mark)) };
    throughout(SOON, "it writes nothing", writes, Vec::is_empty).await?;
    assert_eq!(ttl(&world).await?, 60);

    let two = short_lease(world.daemon("two").await?).start().await?;
    leads(&two).await?;
    eventually("the successor acts", || ttl(&world), |ttl| *ttl == 90).await?;
    cut.release();
    leadership_is_said_by(&world, &two, &one).await?;
    change_ttl(&world, 120).await?;
    assert!(world.proxy.writes_since(mark).iter().all(|call| by(call, "two")));
    is_well(&one)
}

/// `held`: the old leader's requests about the Lease get no answer meanwhile, so that the other one makes it anew.
async fn the_lease_is_deleted(held: bool) -> Result<()> {
    let world = World::new().await?;
    world.node("a", NewNode::default()).await?;
    world.released_lease().await?;
    let (one, gate) = world.daemon_behind_gate("one").await?;
    let one = short_lease(one).start().await?;
    leads(&one).await?;
    world.apply(world.example()?).await?;
    synced(&world, EXAMPLE).await?;
    let two = short_lease(world.daemon("two").await?).start().await?;
    is_ready(&two).await?;
    let hold = held.then(|| gate.hold_all(When::Before, KubeCall::is_lease));
    world.leases().delete("external-ips", &DeleteParams::default()).await?;
    // There is work all the time, for whoever thinks that he may do it.
    let made_anew = || {
        let logs = [one.logs()?, two.logs()?].concat();
        Ok::<_, Error>(logs.iter().any(|line| line.message() == "leads now" && line.text("lease") == "created"))
    };
    let mut seconds = 60;
    loop {
        seconds += 1;
        world.annotate(EXAMPLE, "ttl", Some(&seconds.to_string())).await?;
        let done = within(SOON / 2, "the wish is met", || ttl(&world), |found| *found == seconds).await.is_ok();
        if done && made_anew()? {
            break;
        }
        assert!(seconds < 120, "nobody acts");
    }
    drop(hold);
    change_ttl(&world, seconds + 1).await?;
    change_ttl(&world, seconds + 2).await?;
    let last = holder(&world).await?;
    let (first, then) = if last.starts_with("two_") { ("one", "two") } else { ("two", "one") };
    assert!(!held || then == "two", "{last} holds the Lease");
    take_turns(&world.proxy.calls(), first, then);
    is_well(&one)?;
    is_well(&two)
}

#[tokio::test]
async fn the_lease_deleted_by_hand_never_gives_two_writers() -> Result<()> {
    tokio::try_join!(the_lease_is_deleted(false), the_lease_is_deleted(true)).map(drop)
}

#[tokio::test]
async fn candidates_are_ready_and_write_nothing() -> Result<()> {
    let world = World::new().await?;
    let node = world.node("a", NewNode::default()).await?;
    let one = leader(&world).await?;
    let (two, gate): (_, KubeGate) = world.daemon_behind_gate("two").await?;
    let two = two.start().await?;
    is_ready(&two).await?;
    assert_eq!(two.get("/livez").await?.0, 200);
    world.apply(world.example()?).await?;
    synced(&world, EXAMPLE).await?;
    change_ttl(&world, 90).await?;
    world.annotate(EXAMPLE, "hostname", None).await?;
    nothing_is_left(&world, &[&node]).await?;
    leadership_is_said_by(&world, &one, &two).await?;
    assert!(world.proxy.writes_since(0).iter().all(|call| by(call, "one")));
    let writes: Vec<KubeCall> = gate.calls().into_iter().filter(|call| call.method != "GET").collect();
    assert_eq!(writes, [], "not even dry runs, and no try at a Lease that is held");
    assert_eq!((two.get("/readyz").await?.0, two.get("/livez").await?.0), (200, 200));
    is_well(&two)
}
