//! Stories with one mishap: a crash at one write, or a fault at one call. All of them together are every crash point
//! and every error point of every story.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::error::Result;
use crate::sim::chaos::Fate;
use crate::sim::check::Patience;
use crate::sim::check::counts::{Counts, exceeds, outlasts_a_crash, storms};
use crate::sim::event::{Actor, Call, Event};
use crate::sim::fault::Fault;
use crate::sim::rest::is_write;
use crate::sim::stories::Story;
use crate::sim::storm::{Kinds, faults_of};
use crate::sim::{Setting, World, simulate};

/// What goes wrong in a story; counted from where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// The process is killed before or after its so many-th write, from 1.
    Crash {
        /// Which.
        write: usize,
        /// Whether the write takes effect.
        after: bool,
    },
    /// The so many-th call meets a fault, from 1.
    Error {
        /// Which.
        call: usize,
        /// What.
        fault: Fault,
    },
}

/// What came of a story.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Calls of the daemon from where the story began until its last event.
    pub calls: Vec<Call>,
    /// Writes among them.
    pub writes: usize,
    /// What was done to each thing until everything was at rest.
    pub counts: Counts,
    /// What was broken.
    pub broken: Vec<String>,
    /// What happened, for people.
    pub story: Vec<String>,
}

/// Tells a story with a mishap, or with none.
///
/// # Errors
/// When it can't be told.
pub fn tell(story: &Story, mishap: Option<&Mishap>) -> Result<Told> {
    simulate(|| async {
        let mut setting = Setting::calm(1);
        if let Some(Mishap::Error { .. }) = mishap {
            // What is read may be old.
            setting.patience = Patience::STORM;
        }
        let mut world = World::new(&setting)?;
        (story.prepare)(&mut world).await?;
        world.note(format!("the story begins: {}", story.name));
        let (before, counted) = (world.writes(), world.counts());
        let calls = Arc::new(Mutex::new(Vec::new()));
        world.fates.set(plan(mishap.cloned(), Arc::clone(&calls)));
        (story.act)(&mut world).await?;
        let mut told = Told { writes: world.writes() - before, ..Told::default() };
        told.calls.clone_from(&calls.lock().unwrap_or_else(PoisonError::into_inner));
        told.broken = world.comes_to_rest().await?.iter().map(ToString::to_string).collect();
        told.counts = world.counts().since(&counted);
        told.story = world.story();
        if !matches!(mishap, Some(Mishap::Error { .. })) {
            // The API server could be reached all the time.
            told.broken.extend(world.succession(Duration::ZERO).into_iter().map(|(_, what)| what));
        }
        Ok(told)
    })
}

fn plan(mishap: Option<Mishap>, calls: Arc<Mutex<Vec<Call>>>) -> impl FnMut(&Call) -> Fate + Send + 'static {
    let (mut seen, mut writes) = (0, 0);
    move |call| {
        seen += 1;
        let write = is_write(&Event::Called(call.clone()));
        writes += usize::from(write);
        calls.lock().unwrap_or_else(PoisonError::into_inner).push(call.clone());
        match &mishap {
            Some(Mishap::Crash { write: at, after }) if write && writes == *at => {
                if *after {
                    Fate::DiesAfter
                } else {
                    Fate::DiesBefore
                }
            }
            Some(Mishap::Error { call: at, fault }) if seen == *at => Fate::Meets(fault.clone()),
            _ => Fate::Well,
        }
    }
}

/// Every crash point of a story that was told without a mishap.
pub fn crashes(usual: &Told) -> Vec<Mishap> {
    (1..=usual.writes).flat_map(|write| [false, true].map(|after| Mishap::Crash { write, after })).collect()
}

/// Every error point of such a story: each call with each fault that fits it.
pub fn errors(usual: &Told) -> Vec<Mishap> {
    let ours = usual.calls.iter().enumerate().filter(|(_, call)| matches!(call.actor, Actor::Replica(_)));
    ours.flat_map(|(at, call)| {
        faults_of(call, Kinds::PROMPT).into_iter().map(move |fault| Mishap::Error { call: at + 1, fault })
    })
    .collect()
}

/// Tells the story with the mishap, and compares it with how it usually goes: what was broken.
pub fn judge(story: &Story, usual: &Told, mishap: &Mishap) -> Vec<String> {
    let told = match tell(story, Some(mishap)) {
        Ok(told) => told,
        Err(error) => return vec![error.to_string()],
    };
    let mut broken = told.broken;
    match mishap {
        Mishap::Crash { .. } => {
            broken.extend(exceeds(&usual.counts, &told.counts));
            broken.extend(outlasts_a_crash(&usual.counts, &told.counts));
        }
        Mishap::Error { .. } => broken.extend(storms(&usual.counts, &told.counts, 1)),
    }
    broken
}
