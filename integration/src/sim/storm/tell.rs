//! Tells a history: lets it happen in a world of its own, and judges.

use std::cell::RefCell;
use std::sync::Once;
use std::time::Duration;

use crate::error::Result;
use crate::sim::check::{Patience, Violation};
use crate::sim::event::{Actor, Event};
use crate::sim::kube::Resource;
use crate::sim::world::give_up_lease;
use crate::sim::{Replica, Setting, World, simulate};

use super::History;
use super::act::Acting;

/// What came of a history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Telling {
    /// What was broken; nothing in a good one.
    pub broken: Vec<Violation>,
    /// What happened, line by line, when that was asked for.
    pub story: Vec<String>,
    /// The last lines that processes logged, when the story was asked for.
    pub logged: Vec<String>,
    /// Requests that processes sent.
    pub calls: usize,
    /// Faults that they met.
    pub faults: usize,
    /// Changes of the simulators' state, each judged.
    pub changes: usize,
    /// How long it took in the simulated world.
    pub simulated: Duration,
}

impl Telling {
    /// Which rules were broken, each once.
    pub fn rules(&self) -> Vec<&'static str> {
        let mut rules: Vec<&'static str> = self.broken.iter().map(|one| one.rule).collect();
        rules.sort_unstable();
        rules.dedup();
        rules
    }
}

/// The rule that a seed gives one history exactly.
pub const SEED: &str = "seed";

thread_local! {
    /// The first panic of the history that this thread tells.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
    static TELLING: RefCell<bool> = const { RefCell::new(false) };
}

/// A panic in a process of the daemon is a finding, and no reason to end: it is kept for the history's verdict.
fn catch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !TELLING.with(|telling| *telling.borrow()) {
                return before(info);
            }
            PANIC.with(|panic| {
                panic.borrow_mut().get_or_insert_with(|| info.to_string());
            });
        }));
    });
}

/// Tells a history from its beginning to its rest; with the story when that is wanted.
pub fn tell(history: &History, with_story: bool) -> Telling {
    catch_panics();
    TELLING.with(|telling| *telling.borrow_mut() = true);
    PANIC.with(|panic| *panic.borrow_mut() = None);
    let mut telling = Telling::default();
    let end = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        simulate(|| async {
            let (mut world, end) = happen(history).await?;
            // Whatever was begun is judged, also when the history couldn't be told to its end.
            telling.broken = match end {
                Ok(()) => {
                    if history.withdraws_many() {
                        allow_mass_delete(&mut world);
                    }
                    let mut broken = world.comes_to_rest().await?;
                    if history.all_go && broken.is_empty() {
                        if !history.withdraws_many() {
                            allow_mass_delete(&mut world);
                        }
                        delete_all(&world);
                        broken = world.comes_to_rest().await?;
                    }
                    broken
                }
                Err(error) => {
                    let mut broken = world.checker.violations();
                    broken.push(Violation { rule: "story", at: world.stage.clock.now(), what: error.to_string() });
                    broken
                }
            };
            telling.simulated = world.stage.clock.now();
            world.stage.journal.read(|events| {
                for (_, event) in events {
                    match event {
                        Event::Called(_) => telling.calls += 1,
                        Event::Fault { .. } => telling.faults += 1,
                        Event::Changed { .. } => telling.changes += 1,
                        _ => {}
                    }
                }
            });
            if with_story {
                telling.story = world.story();
                telling.logged = world.logged();
            }
            Ok(())
        })
    }));
    TELLING.with(|telling| *telling.borrow_mut() = false);
    let at = telling.simulated;
    if let Ok(Err(error)) = end {
        telling.broken.push(Violation { rule: "story", at, what: error.to_string() });
    }
    if let Some(panic) = PANIC.with(|panic| panic.borrow_mut().take()) {
        telling.broken.push(Violation { rule: "panic", at, what: panic });
    }
    telling
}

/// Tells a history twice, with its story. Where the two differ, something is decided by chance and not by the seed: that
/// breaks the rule `seed`.
pub fn tell_twice(history: &History) -> Telling {
    let (mut telling, again) = (tell(history, true), tell(history, true));
    if telling != again {
        let lines = |telling: &Telling| [telling.story.clone(), telling.logged.clone()].concat();
        let (first, second) = (lines(&telling), lines(&again));
        let what = match first.iter().zip(&second).find(|(first, second)| first != second) {
            Some((first, second)) => format!("told again, another thing happened:\n  {first}\n  {second}"),
            None => format!("told again, there were {} calls and not {}", again.calls, telling.calls),
        };
        telling.broken.push(Violation { rule: SEED, at: telling.simulated, what });
    }
    telling
}

/// Somebody reads that withdrawals are held back, and that all is as it should be.
fn allow_mass_delete(world: &mut World) {
    world.arguments.push("--allow-mass-delete".to_owned());
    world.replicas.iter_mut().for_each(Replica::terminate);
}

fn delete_all(world: &World) {
    let person = world.kube.by(Actor::Person);
    let services: Vec<(String, String)> = world
        .kube
        .look(|look| look.services().map(|service| (service.namespace.clone(), service.name.clone())).collect());
    for (namespace, name) in services {
        // It is there, unless it went this moment.
        let _ = person.delete(Resource::Services, &namespace, &name);
    }
}

async fn happen(history: &History) -> Result<(World, Result<()>)> {
    let setting = Setting {
        seed: history.seed,
        nodes: history.nodes,
        two_interfaces: 4,
        aws: history.aws.clone(),
        patience: Patience::STORM,
        leadership: !history.delivers_late(),
        restart: true,
        lease: Duration::from_secs(history.lease),
        full_sync: Duration::from_secs(history.full_sync),
        vigil: history.vigil,
    };
    let mut world = World::new(&setting)?;
    if history.given_up {
        give_up_lease(&world.kube)?;
    }
    world.run(history.replicas)?;
    let mut acting = Acting::new(world);
    let end = acting.all(&history.happenings).await;
    Ok((acting.world, end))
}
