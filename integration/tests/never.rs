//! The never-list over simulated histories.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use std::time::Duration;

use integration::Result;
use integration::sim::{Setting, World, simulate};

#[test]
fn a_service_is_exposed_and_withdrawn() -> Result<()> {
    simulate(|| async {
        let mut world = World::new(&Setting::calm(1))?;
        world.run(2)?;
        world.add_service("quake", &[("UDP", 6315)], &[("hostname", "quake.example.com"), ("maxips", "2")])?;
        let served = world.until("it is served", Duration::from_secs(60), |world| world.is_ready("quake")).await;
        if served.is_err() {
            for line in world.lines.lock().unwrap().iter() {
                println!("{line}");
            }
            for (at, event) in world.stage.journal.events() {
                println!("{at:?} {event:?}");
            }
        }
        served?;
        world.settle().await?;
        world.delete_service("quake")?;
        world.settle().await
    })
}
