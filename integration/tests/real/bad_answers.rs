//! Answers of AWS that are wrong, cut off or missing: told, got over, and nothing is done twice.

use futures::future::try_join_all;
use integration::Result;
use integration::daemon::{Daemon, LogLine};
use integration::eventually::eventually;
use integration::intercept::{Canned, When};
use integration::recording_proxy::AwsCall;
use integration::world::{NewNode, Node, World, condition};

use super::kit::*;

/// Enough for as long as the answers are to stay bad.
const ALWAYS: usize = usize::MAX;

const MEGABYTES_10: usize = 10 << 20;

/// Each of these writes gets its bad answer once.
const WRITES_TO_EXPOSE: [&str; 4] =
    ["CreateSecurityGroup", "AuthorizeSecurityGroupIngress", "ModifyInstanceAttribute", "ChangeResourceRecordSets"];
const WRITES_TO_WITHDRAW: [&str; 4] =
    ["ChangeResourceRecordSets", "RevokeSecurityGroupIngress", "ModifyInstanceAttribute", "DeleteSecurityGroup"];

fn answers() -> Vec<(&'static str, Canned)> {
    vec![
        ("truncated", Canned::Truncated),
        ("empty", Canned::Empty),
        ("HTML", Canned::Html),
        ("huge", Canned::Huge(MEGABYTES_10)),
        ("throttled", Canned::Throttled),
        ("500", Canned::Status(500)),
        ("503", Canned::Error(503, "ServiceUnavailable", "The request has failed due to a temporary failure.")),
        ("reset", Canned::Reset),
    ]
}

async fn world_and_node() -> Result<(World, Node)> {
    let world = World::new().await?;
    let node = world.node("a", NewNode::default()).await?;
    Ok((world, node))
}

async fn warns(daemon: &Daemon, text: &str) -> Result<LogLine> {
    let found = |line: &LogLine| line.level() == "warn" && line.message().contains(text);
    daemon.wait_for_log(&format!("a warning with {text}"), found).await
}

/// Nothing can be read: nothing is decided, and the log says what is wrong.
async fn every_read_is_bad(name: &str, answer: Canned) -> Result<()> {
    let (world, node) = world_and_node().await?;
    world.proxy.answer_if(ALWAYS, When::After, answer, |call: &AwsCall| !call.is_write());
    let daemon = leader(&world).await?;
    world.apply(world.example()?).await?;
    warns(&daemon, "could not read").await.map_err(|error| error.and(name.to_owned()))?;
    assert_eq!(world.proxy.writes_since(0), [], "{name}: absence needs proof");
    world.proxy.answer_no_more();
    synced(&world, EXAMPLE).await.map_err(|error| error.and(name.to_owned()))?;
    example_alone_on(&world, &[&node], 6315).await?;
    is_well(&daemon)
}

/// What is served goes on being served while nothing can be read, and changes are made when it can be again.
async fn every_read_is_bad_while_serving(name: &str, answer: Canned) -> Result<()> {
    let (world, node) = world_and_node().await?;
    world.released_lease().await?;
    let daemon = world.daemon("one").await?.flag("full-sync-interval", "10s").start().await?;
    world.apply(world.example()?).await?;
    synced(&world, EXAMPLE).await?;
    let mark = world.proxy.mark();
    world.proxy.answer_if(ALWAYS, When::After, answer, |call: &AwsCall| !call.is_write());
    warns(&daemon, "could not read").await.map_err(|error| error.and(name.to_owned()))?;
    assert_eq!(world.proxy.writes_since(mark), []);
    world.proxy.answer_no_more();
    world.apply(world.example()?.port("udp", 6316)).await?;
    example_alone_on(&world, &[&node], 6316).await?;
    synced(&world, EXAMPLE).await?;
    is_well(&daemon)
}

/// No write is answered well: the owner is told; with good answers all is done, once.
async fn every_write_is_bad(name: &str, answer: Canned) -> Result<()> {
    let (world, node) = world_and_node().await?;
    let daemon = leader(&world).await?;
    world.proxy.answer_if(ALWAYS, When::Before, answer.clone(), AwsCall::is_write);
    world.apply(world.example()?).await?;
    let look = || async { Ok(condition(&world.service(EXAMPLE).await?).cloned()) };
    let failed = |seen: &Option<_>| {
        let reason = seen.as_ref().map(|condition: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
            (&*condition.status, &*condition.reason)
        });
        reason == Some(("False", if answer == Canned::Throttled { "Throttled" } else { "Failed" }))
    };
    eventually(format!("the condition says what is wrong ({name})"), look, failed).await?;
    world.proxy.answer_no_more();
    synced(&world, EXAMPLE).await.map_err(|error| error.and(name.to_owned()))?;
    example_alone_on(&world, &[&node], 6315).await?;
    is_well(&daemon)
}

/// Each write takes effect once with a bad answer: it is found, and not made again.
async fn each_write_is_answered_badly_after_its_effect(name: &str, answer: Canned) -> Result<()> {
    let (world, node) = world_and_node().await?;
    let daemon = leader(&world).await?;
    for operation in WRITES_TO_EXPOSE {
        world.proxy.answer(operation, 1, When::After, answer.clone());
    }
    world.apply(world.example()?).await?;
    synced(&world, EXAMPLE).await.map_err(|error| error.and(name.to_owned()))?;
    example_alone_on(&world, &[&node], 6315).await?;
    for operation in WRITES_TO_WITHDRAW {
        world.proxy.answer(operation, 1, When::After, answer.clone());
    }
    world.delete_service(EXAMPLE).await?;
    nothing_is_left(&world, &[&node]).await.map_err(|error| error.and(name.to_owned()))?;
    is_well(&daemon)
}

/// The same for a change: the port's rule and the record's TTL.
async fn each_change_is_answered_badly_before_and_after(name: &str, answer: Canned) -> Result<()> {
    let (world, node) = world_and_node().await?;
    let daemon = leader(&world).await?;
    world.apply(world.example()?).await?;
    synced(&world, EXAMPLE).await?;
    for operation in ["AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress", "ChangeResourceRecordSets"] {
        world.proxy.answer(operation, 1, When::Before, answer.clone());
        world.proxy.answer(operation, 1, When::After, answer.clone());
    }
    world.apply(world.example()?.port("udp", 6316).annotation("ttl", "90")).await?;
    example_alone_on(&world, &[&node], 6316).await.map_err(|error| error.and(name.to_owned()))?;
    let ttl = || async {
        let records = world.records().await?;
        Ok(records.into_iter().find(|record| record.kind == "A").map(|record| record.ttl))
    };
    eventually(format!("the record has its TTL ({name})"), ttl, |ttl| *ttl == Some(90)).await?;
    synced(&world, EXAMPLE).await?;
    is_well(&daemon)
}

#[tokio::test]
async fn a_daemon_that_can_read_nothing_says_so_and_recovers() -> Result<()> {
    try_join_all(answers().into_iter().map(|(name, answer)| every_read_is_bad(name, answer))).await.map(drop)
}

#[tokio::test]
async fn what_serves_stays_while_nothing_can_be_read() -> Result<()> {
    let answers = answers().into_iter().filter(|(name, _)| ["truncated", "empty", "HTML"].contains(name));
    try_join_all(answers.map(|(name, answer)| every_read_is_bad_while_serving(name, answer))).await.map(drop)
}

#[tokio::test]
async fn a_daemon_that_can_write_nothing_says_so_and_recovers() -> Result<()> {
    try_join_all(answers().into_iter().map(|(name, answer)| every_write_is_bad(name, answer))).await.map(drop)
}

#[tokio::test]
async fn a_write_with_a_bad_answer_is_not_made_twice() -> Result<()> {
    let cases = answers().into_iter().map(|(name, answer)| each_write_is_answered_badly_after_its_effect(name, answer));
    try_join_all(cases).await.map(drop)
}

#[tokio::test]
async fn a_change_with_bad_answers_is_made_once() -> Result<()> {
    let cases =
        answers().into_iter().map(|(name, answer)| each_change_is_answered_badly_before_and_after(name, answer));
    try_join_all(cases).await.map(drop)
}
