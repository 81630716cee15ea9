//! The never-list over simulated histories.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use std::time::Duration;

use integration::sim::{Setting, World, simulate};
use integration::{Result, fail};

use integration::sim::chaos::Fate;
use integration::sim::check::counts::{Counts, exceeds, storms};
use integration::sim::event::Event;
use integration::sim::rest::is_write;
use integration::sim::stories::{STORIES, Story};

/// Tells a story with a plan for the faults: how many writes there were until it ended, and what was done until
/// everything was at rest.
fn told(story: &Story, plan: Option<(usize, bool)>) -> (usize, Counts, Result<()>, Vec<String>) {
    let mut count = 0;
    let mut counts = Counts::default();
    let mut lines = Vec::new();
    let result = simulate(|| async {
        let mut world = World::new(&Setting::calm(1))?;
        (story.prepare)(&mut world).await?;
        world.note(format!("the story begins: {}", story.name));
        let (before, counted) = (world.writes(), world.counts());
        if let Some((at, after)) = plan {
            let mut seen = 0;
            world.fates.set(move |call| {
                if is_write(&Event::Called(call.clone())) {
                    seen += 1;
                    if seen == at {
                        return if after { Fate::DiesAfter } else { Fate::DiesBefore };
                    }
                }
                Fate::Well
            });
        }
        (story.act)(&mut world).await?;
        count = world.writes() - before;
        let end = world.settle().await;
        counts = world.counts().since(&counted);
        lines = world.story();
        end?;
        // No fault but the crash: the API server could be reached all the time.
        let late: Vec<String> = world.succession(Duration::ZERO).into_iter().map(|(_, what)| what).collect();
        if late.is_empty() { Ok(()) } else { fail(late.join("\n")) }
    });
    (count, counts, result, lines)
}

#[test]
fn every_story_ends_well_without_faults() {
    let mut broken = Vec::new();
    for story in STORIES {
        let started = std::time::Instant::now();
        let (writes, _, end, lines) = told(story, None);
        println!("{}: {writes} writes, {:?}", story.name, started.elapsed());
        if let Err(error) = end {
            broken.push(format!("{}: {error}", story.name));
            if std::env::var_os("TELL").is_some() {
                println!("{}", lines.join("\n"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n\n"));
}

/// Everything that happens in a story, with two processes and delays that are drawn.
fn trace(story: &Story, seed: u64) -> Result<Vec<String>> {
    simulate(|| async {
        let mut world = World::new(&Setting::calm(seed))?;
        world.run(2)?;
        (story.prepare)(&mut world).await?;
        (story.act)(&mut world).await?;
        world.settle().await?;
        let events = world.stage.journal.events();
        let logged = world.lines.lock().unwrap().clone();
        Ok(events.iter().map(|event| format!("{event:?}")).chain(logged).collect())
    })
}

#[test]
fn the_same_seed_gives_the_same_history_byte_for_byte() -> Result<()> {
    for story in STORIES {
        let (one, other) = (trace(story, 7)?, trace(story, 7)?);
        let differs = one.iter().zip(&other).position(|(one, other)| one != other);
        if let Some(at) = differs {
            panic!("{}: event {at} differs:\n{}\n{}", story.name, one[at], other[at]);
        }
        assert_eq!(one.len(), other.len(), "{}", story.name);
    }
    Ok(())
}

#[test]
fn another_seed_gives_another_history() -> Result<()> {
    assert_ne!(trace(&STORIES[0], 7)?, trace(&STORIES[0], 8)?);
    Ok(())
}

/// Runs all `jobs` on all cores; gives back what was broken.
fn all<T: Sync>(jobs: &[T], run: impl Fn(&T) -> Option<String> + Sync) -> Vec<String> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let broken = std::sync::Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    if let Some(what) = run(job) {
                        broken.lock().unwrap().push(what);
                    }
                }
            });
        }
    });
    broken.into_inner().unwrap()
}

#[test]
fn every_story_survives_a_crash_before_and_after_each_write() {
    let mut plans = Vec::new();
    for story in STORIES {
        let (writes, usual, end, _) = told(story, None);
        end.unwrap();
        let usual = std::sync::Arc::new(usual);
        for at in 1..=writes {
            plans.extend([false, true].map(|after| (story, at, after, usual.clone())));
        }
    }
    println!("{} crash points", plans.len());
    let broken = all(&plans, |(story, at, after, usual)| {
        let (_, counts, end, lines) = told(story, Some((*at, *after)));
        let mut errors: Vec<String> = end.err().map(|error| error.to_string()).into_iter().collect();
        errors.extend(exceeds(usual, &counts));
        errors.extend(storms(usual, &counts, 1));
        if errors.is_empty() {
            return None;
        }
        let error = errors.join("\n");
        let when = if *after { "after" } else { "before" };
        if std::env::var_os("TELL").is_some() {
            println!("==== {} {when} {at}\n{}\n{error}", story.name, lines.join("\n"));
        }
        Some(format!("{}, killed {when} write {at}:\n{error}", story.name))
    });
    assert!(broken.is_empty(), "{} of {}:\n{}", broken.len(), plans.len(), broken.join("\n\n"));
}
