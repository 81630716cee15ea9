//! How long the parts of the calls take.

use std::time::{Duration, Instant};

use calls::ours::Ours;
use calls::sdk::Sdk;
use calls::{Failure, Gate, Meter, Part, bodies};

use crate::line;
use crate::table::{Line, Unit};

/// Adds up one part of calls.
struct Clock {
    part: Part,
    took: Duration,
}

impl Meter for Clock {
    fn measure<T>(&mut self, part: Part, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        if part == self.part {
            self.took += start.elapsed();
        }
        result
    }
}

/// The median over `rounds` of a batch's mean, in seconds, of both. Batches take turns, and who is first, too.
fn medians(
    part: Part,
    rounds: usize,
    batch: u32,
    mut ours: impl FnMut(&mut Clock) -> Result<(), Failure>,
    mut sdk: impl FnMut(&mut Clock) -> Result<(), Failure>,
) -> Result<(f64, f64), Failure> {
    let (mut us, mut them) = (Vec::with_capacity(rounds), Vec::with_capacity(rounds));
    for round in 0..rounds {
        for first in [true, false] {
            let mut clock = Clock { part, took: Duration::ZERO };
            let our_turn = first == round.is_multiple_of(2);
            for _ in 0..batch {
                if our_turn { ours(&mut clock)? } else { sdk(&mut clock)? }
            }
            let mean = clock.took.as_secs_f64() / f64::from(batch);
            if our_turn { us.push(mean) } else { them.push(mean) }
        }
    }
    Ok((median(us), median(them)))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Needs the context of a tokio runtime.
pub fn lines() -> Result<Vec<Line>, Failure> {
    let mut lines = Vec::new();

    let gate = Gate::new(bodies::authorized(), false);
    let (ours, sdk) = (Ours::new(gate.clone())?, Sdk::new(gate));
    let (us, them) = medians(
        Part::Request,
        101,
        100,
        |clock| ours.authorize(clock).map(drop),
        |clock| sdk.authorize(clock).map(drop),
    )?;
    let what = "build and sign AuthorizeSecurityGroupIngress";
    lines.push(Line { aim: Some(2.0), ..line(what, Unit::Seconds, us, them) });

    let body = bodies::instances();
    let what = format!("read {} instances, {:.1} MB", bodies::INSTANCES, body.len() as f64 / 1e6);
    let gate = Gate::new(body, false);
    let (ours, sdk) = (Ours::new(gate.clone())?, Sdk::new(gate));
    let (us, them) =
        medians(Part::Answer, 21, 1, |clock| ours.instances(clock).map(drop), |clock| sdk.instances(clock).map(drop))?;
    lines.push(Line { aim: Some(3.0), ..line(what, Unit::Seconds, us, them) });

    let body = bodies::records();
    let what = format!("read {} records, {:.1} kB", bodies::RECORDS, body.len() as f64 / 1e3);
    let gate = Gate::new(body, false);
    let (ours, sdk) = (Ours::new(gate.clone())?, Sdk::new(gate));
    let (us, them) =
        medians(Part::Answer, 101, 5, |clock| ours.records(clock).map(drop), |clock| sdk.records(clock).map(drop))?;
    lines.push(Line { aim: Some(3.0), ..line(what, Unit::Seconds, us, them) });
    Ok(lines)
}
