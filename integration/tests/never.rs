//! The never-list over simulated histories.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use integration::Result;
use integration::sim::points::{self, Mishap, Told};
use integration::sim::stories::{STORIES, Story};
use integration::sim::storm::{History, SEED, tell, tell_twice};
use integration::sim::{Setting, World, simulate};

/// A story as it goes without a mishap, which must be well.
fn usual(story: &Story) -> Told {
    let told = points::tell(story, None).unwrap();
    if !told.broken.is_empty() && std::env::var_os("TELL").is_some() {
        println!("{}", told.story.join("\n"));
    }
    assert!(told.broken.is_empty(), "{}: {}", story.name, told.broken.join("\n"));
    told
}

#[test]
fn every_story_ends_well_without_faults() {
    for story in STORIES {
        println!("{}: {} writes", story.name, usual(story).writes);
    }
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

/// With people, faults and deaths at any moment, in clusters of all sizes: the last seed gives a large one.
#[test]
fn the_same_seed_gives_the_same_random_history() {
    let seeds: Vec<u64> = (1..=20).chain([2_100_131]).collect();
    let differ = all(&seeds, |seed| {
        let telling = tell_twice(&History::of(*seed));
        let differs = telling.broken.iter().find(|one| one.rule == SEED)?;
        Some(format!("cargo storm --seed {seed} --runs 1 --twice\n{differs}"))
    });
    assert!(differ.is_empty(), "{}", differ.join("\n\n"));
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

/// Tells each story with each of its mishaps that are `wanted`.
fn survive(mishaps: impl Fn(&Told) -> Vec<Mishap>) {
    let mut plans = Vec::new();
    for story in STORIES {
        let usual = std::sync::Arc::new(usual(story));
        plans.extend(mishaps(&usual).into_iter().map(|mishap| (story, usual.clone(), mishap)));
    }
    println!("{} points", plans.len());
    let broken = all(&plans, |(story, usual, mishap)| {
        let broken = points::judge(story, usual, mishap);
        if broken.is_empty() {
            return None;
        }
        if std::env::var_os("TELL").is_some() {
            let told = points::tell(story, Some(mishap)).unwrap();
            println!("==== {} {mishap:?}\n{}", story.name, told.story.join("\n"));
        }
        Some(format!("{}, {mishap:?}:\n{}", story.name, broken.join("\n")))
    });
    assert!(broken.is_empty(), "{} of {}:\n{}", broken.len(), plans.len(), broken.join("\n\n"));
}

#[test]
fn every_story_survives_a_crash_before_and_after_each_write() {
    survive(points::crashes);
}

/// Each call and each fault in turn, so that all kinds of both are among them; `POINTS=all` tells every one, as
/// `cargo storm --points` does in less time.
#[test]
fn stories_survive_a_fault_at_a_call() {
    const EACH: usize = 10;
    let all = std::env::var("POINTS").is_ok_and(|points| points == "all");
    survive(|usual| {
        let errors = points::errors(usual);
        let step = if all { 1 } else { (errors.len() / EACH).max(1) };
        errors.into_iter().step_by(step).collect()
    });
}

/// What some random histories broke, with what tells each again.
fn storms(seeds: impl Iterator<Item = u64>) {
    let seeds: Vec<u64> = seeds.collect();
    let broken = all(&seeds, |seed| {
        let telling = tell(&History::of(*seed), false);
        let broken: Vec<String> = telling.broken.iter().map(ToString::to_string).collect();
        (!broken.is_empty()).then(|| format!("cargo storm --seed {seed} --runs 1\n{}", broken.join("\n")))
    });
    assert!(broken.is_empty(), "{} of {}:\n{}", broken.len(), seeds.len(), broken.join("\n\n"));
}

#[test]
fn random_histories_keep_the_never_list() {
    storms(1..=300);
}

#[test]
fn random_histories_that_nobody_has_told_before_keep_it_too() {
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let seed = now.as_millis() as u64 % 1_000_000_000;
    println!("from seed {seed} on");
    storms(seed..seed + 30);
}
