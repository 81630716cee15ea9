//! The demo: the main job told as a story and checked at each turn, on the simulators ([`crate::sim`]) or on a real
//! control plane with moto; and chaos, in which random faults are let loose on it.
//!
//! What it shows is what the cluster and the account know themselves, never what the daemon says.

mod chaos;
mod expected;
mod facts;
mod live;
mod real;
mod scene;
mod screen;
mod simulated;
mod stage;
mod table;

use std::time::Duration;

use crate::error::{Context, Result, fail};
use crate::eventually::within;

use expected::Expected;
use live::Live;
use real::Real;
use scene::Scene;
use screen::say;
use simulated::Simulated;
use stage::Stage;

pub use chaos::{Chaos, run as chaos};

/// How long a turn of the story may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the demo ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With the story.
    AtOnce,
    /// When the person who watches says so (Ctrl-C).
    OnRequest,
}

/// Tells the story on the simulators. They need a runtime of one thread.
///
/// # Errors
/// A turn of the story that didn't come out as it should, with the difference; a rule that was broken.
pub async fn simulated(ending: Ending) -> Result<()> {
    run::<Simulated>(ending).await
}

/// Tells the story on a real control plane, with moto in the place of AWS.
///
/// # Errors
/// A turn of the story that didn't come out as it should, with the difference.
pub async fn real(ending: Ending) -> Result<()> {
    run::<Real>(ending).await
}

async fn run<S: Scene>(ending: Ending) -> Result<()> {
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    let stage = tokio::select! {
        biased;
        signal = &mut interrupt => signal.map(|()| None)?,
        stage = Stage::<S>::set() => Some(stage?),
    };
    let mut told = None;
    let mut verdict = None;
    if let Some(mut stage) = stage {
        told = tokio::select! {
            biased;
            signal = &mut interrupt => signal.map(|()| None)?,
            result = story(&mut stage, ending) => Some(result),
        };
        verdict = stage.scene.verdict();
    }
    screen::footer(Vec::new());
    let result = match told {
        Some(Ok(())) => {
            say("\nAll of it was as it should be.");
            Ok(())
        }
        Some(Err(why)) => Err(why),
        None => {
            say("\nInterrupted: everything that was started is ended again.");
            match ending {
                Ending::AtOnce => fail("the story was not told to its end"),
                Ending::OnRequest => Ok(()),
            }
        }
    };
    let Some((line, violations)) = verdict else { return result };
    violations.iter().for_each(|violation| say(&format!("  broken: {violation}")));
    say(&line);
    result?;
    if violations.is_empty() { Ok(()) } else { fail(format!("rules were broken:\n{}", violations.join("\n"))) }
}

async fn story<S: Scene>(stage: &mut Stage<S>, ending: Ending) -> Result<()> {
    let mut live = Live::new(stage.scene.listener());
    live.follow(stage.start_replica("a").await?);
    live.chapter("Two replicas start; one takes the Lease");
    live.during(within(PATIENCE, "a leads", || stage.leader(), |leader| leader.as_deref() == Some("a"))).await?;
    live.follow(stage.start_replica("b").await?);
    live.during(stage.ready("b")).await?;

    let mut game = Expected::new("udp-server", 2, &[("udp", 6315)]);
    let turn = Expected::new("turn", 3, &[("tcp", 3478), ("udp", 3478)]);
    live.chapter("Two Services ask to be exposed: the README's example (LoadBalancer) and a ClusterIP one");
    stage.scene.apply_example().await?;
    stage.apply_turn().await?;
    settle(stage, &mut live, &[&game, &turn]).await?;
    stage.show(&[&game, &turn]).await?;

    live.chapter("The leader is killed (SIGKILL), and the Service changes: another port, one node more");
    stage.kill("a")?;
    stage.change_example(6316, 3).await?;
    game.nodes = 3;
    game.ports = vec![("udp".to_owned(), 6316)];
    live.say(&format!(
        "b waits until the Lease of a has run out ({} s), and until no write of a can be under way any more",
        scene::LEASE_SECONDS
    ));
    settle(stage, &mut live, &[&game, &turn]).await?;
    stage.show(&[&game, &turn]).await?;

    live.chapter("The annotations are removed: nothing of ours may be left");
    stage.withdraw_annotations().await?;
    let left = || stage.left_over();
    live.during(within(PATIENCE, "nothing is left", left, Vec::is_empty)).await.context("after the withdrawal")?;
    live.say("read back: no security group, no rule, no record, no address of ours; other groups are as they were");

    if ending == Ending::AtOnce {
        return Ok(());
    }
    live.chapter("Both Services are made anew, to look around");
    live.follow(stage.start_replica("c").await?);
    stage.delete_services().await?;
    stage.scene.apply_example().await?;
    stage.apply_turn().await?;
    let game = Expected::new("udp-server", 2, &[("udp", 6315)]);
    settle(stage, &mut live, &[&game, &turn]).await?;
    say(&stage.scene.invitation()?);
    live.during(stage.keep_showing()).await
}

/// Waits until everything is as expected; shows what the replicas do meanwhile.
async fn settle<S: Scene>(stage: &Stage<S>, live: &mut Live, expected: &[&Expected]) -> Result<()> {
    let look = || stage.differences(expected);
    live.during(within(PATIENCE, "all is as it should be", look, Vec::is_empty)).await.map(drop)
}
