//! What people, other controllers and nature do to the account, without a request: each is a change that the journal
//! tells, with who did it. Whatever names a thing that isn't there is an error that names it.

mod groups;
mod instances;
mod zones;

use std::time::Duration;

use crate::error::{Result, fail};
use crate::sim::event::{Actor, Event, Seam};

use super::Aws;
use super::answer::Refusal;
use super::world::World;

pub use instances::NewInstance;

impl Aws {
    /// Does something, and tells the journal what has changed.
    fn act<R>(&self, actor: Actor, what: impl FnOnce(&mut World, Duration) -> Result<R>) -> Result<R> {
        let now = self.stage.clock.now();
        let (result, news) = {
            let mut world = self.world();
            let result = what(&mut world, now);
            (result, std::mem::take(&mut world.news))
        };
        for what in news {
            self.stage.journal.record(Event::Changed { call: None, actor, seam: Seam::Aws, what });
        }
        result
    }
}

fn refused<T>(result: super::answer::Result<T>) -> Result<T> {
    match result {
        Ok(value) => Ok(value),
        Err(Refusal { code, messages, .. }) => fail(format!("{code}: {}", messages.join(", "))),
    }
}
