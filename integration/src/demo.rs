//! The demo: the main job on a real control plane and an emulated AWS, told as a story and checked at each turn.
//!
//! What it shows is read back from the API server and from AWS, never from the daemon.

mod expected;
mod live;
mod stage;
mod table;

use std::time::Duration;

use crate::error::{Context, Result, fail};
use crate::eventually::within;

use expected::Expected;
use live::Live;
use stage::Stage;

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

/// Runs the demo. An error is a turn of the story that didn't come out as it should, with the difference.
pub async fn run(ending: Ending) -> Result<()> {
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    tokio::select! {
        biased;
        signal = &mut interrupt => {
            signal?;
            say("\nInterrupted: everything that was started is ended again.");
            match ending {
                Ending::AtOnce => fail("the story was not told to its end"),
                Ending::OnRequest => Ok(()),
            }
        }
        result = story(ending) => result,
    }
}

async fn story(ending: Ending) -> Result<()> {
    let mut stage = Stage::set().await?;
    let mut live = Live::default();
    live.follow(stage.start_replica("a").await?);
    live.chapter("Two replicas start; one takes the Lease");
    live.during(within(PATIENCE, "a leads", || stage.leader(), |leader| leader.as_deref() == Some("a"))).await?;
    live.follow(stage.start_replica("b").await?);
    live.during(stage.ready("b")).await?;

    let mut game = Expected::new("udp-server", 2, &[("udp", 6315)]);
    let turn = Expected::new("turn", 3, &[("tcp", 3478), ("udp", 3478)]);
    live.chapter("Two Services ask to be exposed: the README's example (LoadBalancer) and a ClusterIP one");
    stage.apply_example().await?;
    stage.apply_turn().await?;
    settle(&stage, &mut live, &[&game, &turn]).await?;
    table::show(&stage, &[&game, &turn]).await?;

    live.chapter("The leader is killed (SIGKILL), and the Service changes: another port, one node more");
    stage.kill("a")?;
    stage.change_example(6316, 3).await?;
    game.nodes = 3;
    game.ports = vec![("udp".to_owned(), 6316)];
    live.say(&format!(
        "b waits until the Lease of a has run out ({} s), and until no write of a can be under way any more",
        stage::LEASE_SECONDS
    ));
    settle(&stage, &mut live, &[&game, &turn]).await?;
    table::show(&stage, &[&game, &turn]).await?;

    live.chapter("The annotations are removed: nothing of ours may be left");
    stage.withdraw_annotations().await?;
    let left = || stage.left_over();
    live.during(within(PATIENCE, "nothing is left", left, Vec::is_empty)).await.context("after the withdrawal")?;
    live.say("read back: no security group, no rule, no record, no address of ours; other groups are as they were");

    if ending == Ending::AtOnce {
        say("\nAll of it was as it should be.");
        return Ok(());
    }
    live.chapter("Both Services are made anew, to look around");
    live.follow(stage.start_replica("c").await?);
    stage.delete_services().await?;
    stage.apply_example().await?;
    stage.apply_turn().await?;
    let game = Expected::new("udp-server", 2, &[("udp", 6315)]);
    settle(&stage, &mut live, &[&game, &turn]).await?;
    stage.invite()?;
    live.during(std::future::pending::<Result<()>>()).await
}

/// Waits until everything is as expected; shows what the replicas do meanwhile.
async fn settle(stage: &Stage, live: &mut Live, expected: &[&Expected]) -> Result<()> {
    let look = || async {
        let mut differences = Vec::new();
        for one in expected {
            differences.extend(one.differences(stage).await?);
        }
        Ok(differences)
    };
    live.during(within(PATIENCE, "all is as it should be", look, Vec::is_empty)).await.map(drop)
}

/// A line for the person who watches.
#[allow(clippy::print_stdout)]
fn say(line: &str) {
    println!("{line}");
}
