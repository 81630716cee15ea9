//! Chaos: random faults in both seams, replicas that are killed, instances that end or move, people who edit; and on
//! one screen what breaks, what holds, and what the checker says.

mod board;
mod happening;
mod troupe;

use std::collections::VecDeque;
use std::time::Duration;

use super::Ending;
use super::scene::Progress;
use super::screen::{self, say};
use super::simulated::{facts, verdict};
use super::table;
use crate::error::{Result, fail};
use crate::sim::chaos::Fate;
use crate::sim::check::Patience;
use crate::sim::served::{ServedWorld, Setup};
use crate::sim::storm::Sky;
use crate::sim::{Call, Fault, Random};
use crate::world::DOMAIN;

use happening::Later;
use troupe::Troupe;

/// How often the world is looked at.
const TICK: Duration = Duration::from_millis(100);
/// How long everything may take to be as it should before the chaos begins.
const CALM: Duration = Duration::from_secs(60);
/// Processes.
const REPLICAS: usize = 3;
/// Nodes in the beginning; each that is lost is replaced.
const NODES: u32 = 5;
/// The cluster's name.
const NAME: &str = "chaos";
/// How long the Lease lasts.
const LEASE: Duration = Duration::from_secs(5);
/// TTL of the records.
const TTL: Duration = Duration::from_secs(5);
/// How long the daemon thinks that a record takes to reach all servers.
const PROPAGATION: Duration = Duration::from_secs(1);
/// How often the daemon reads everything anew.
const FULL_SYNC: Duration = Duration::from_secs(10);
/// The daemon's longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(75);
/// So long the daemon believes what it has written against reads that don't show it.
const BELIEF: Duration = Duration::from_secs(300);

/// How chaos is let loose.
#[derive(Clone, Copy, Debug)]
pub struct Chaos {
    /// Draws what happens. When it meets what is up to this machine.
    pub seed: u64,
    /// How it ends.
    pub ending: Ending,
    /// With [`Ending::AtOnce`]: after so long faults end, and everything must come to rest.
    pub time: Duration,
}

/// Lets chaos loose. It needs a runtime of one thread.
///
/// # Errors
/// A rule that was broken; what isn't as it should be when faults have ended and enough time has passed.
pub async fn run(chaos: Chaos) -> Result<()> {
    say(&format!(
        "ExternalIPs in a simulated cluster with a simulated AWS, under random faults. Seed {}: --seed {0} draws the \
         same again.",
        chaos.seed
    ));
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    let play = tokio::select! {
        biased;
        signal = &mut interrupt => signal.map(|()| None)?,
        play = Play::set(chaos) => Some(play?),
    };
    let Some(mut play) = play else { return fail("interrupted before it began") };
    let ended = tokio::select! {
        biased;
        signal = &mut interrupt => signal.map(|()| None)?,
        result = play.all() => Some(result),
    };
    screen::footer(Vec::new());
    // What the checker says is the last line of all.
    let board = play.board();
    board.iter().take(board.len().saturating_sub(1)).for_each(|line| say(line));
    let (line, mut broken) = verdict(&play.world);
    broken.extend(play.troupe.panics.iter().cloned());
    match ended {
        Some(Ok(flaws)) => broken.extend(flaws),
        Some(Err(why)) => broken.push(why.to_string()),
        None if chaos.ending == Ending::AtOnce => broken.push("interrupted before its end".to_owned()),
        None => {}
    }
    if broken.is_empty() {
        if chaos.ending == Ending::AtOnce {
            say("\nFaults have ended, and everything came to rest as it should be.");
        }
    } else {
        say("\nNot as it should be:");
        broken.iter().for_each(|what| say(&format!("  {what}")));
    }
    say(&line);
    if broken.is_empty() { Ok(()) } else { fail(format!("{} (seed {})", broken.join("\n"), chaos.seed)) }
}

/// The same without refusals of dry runs: the daemon takes them for an admission controller's, which it asks again after
/// five minutes. Nobody watches for so long.
fn sparing_trials(mut plan: impl FnMut(&Call) -> Fate + Send + 'static) -> impl FnMut(&Call) -> Fate + Send + 'static {
    move |call| match plan(call) {
        Fate::Meets(Fault::Refuse { status: 400..=428, .. }) if call.operation.ends_with("dry-run") => Fate::Well,
        fate => fate,
    }
}

/// A world under chaos.
struct Play {
    chaos: Chaos,
    world: ServedWorld,
    troupe: Troupe,
    sky: Sky,
    random: Random,
    /// Names of nodes that were there so far.
    nodes: u32,
    /// What comes of what has happened, and when.
    later: Vec<(Duration, Later)>,
    /// Services to be applied again now.
    applied: Vec<&'static str>,
    /// What has happened lately.
    told: VecDeque<(Duration, String)>,
    /// When the faults began; `None`: not yet.
    began: Option<Duration>,
    /// Whether nothing new happens any more.
    over: bool,
    /// When the board was last shown where nobody looks.
    shown: Option<Duration>,
}

impl Play {
    /// Starts everything, and waits until everything is as it should be.
    async fn set(chaos: Chaos) -> Result<Play> {
        let progress = Progress::begin();
        let binary = tokio::task::spawn_blocking(crate::daemon::binary_like_us).await??;
        progress.say("the daemon is built");
        let setup = Setup {
            seed: chaos.seed,
            cluster: NAME.to_owned(),
            domain: DOMAIN.to_owned(),
            namespace: NAME.to_owned(),
            lease: LEASE,
            ttl: TTL,
            propagation: PROPAGATION,
            full_sync: FULL_SYNC,
            patience: Patience::STORM,
        };
        let world = ServedWorld::new(setup).await?;
        let random = Random::new(chaos.seed).fork("chaos");
        let sky = Sky::new(world.stage.clock.clone(), random.fork("weather"));
        world.fates.set(sparing_trials(sky.plan()));
        progress.say(&format!("the API server is at {}, AWS at {}", world.kube_url(), world.aws_url()));
        progress.say(&format!("kubectl works here too: export KUBECONFIG={}", world.kubeconfig()?.display()));
        let troupe = Troupe::new(binary, REPLICAS);
        let (later, applied, told) = Default::default();
        let mut play = Play {
            chaos,
            world,
            troupe,
            sky,
            random,
            nodes: 0,
            later,
            applied,
            told,
            began: None,
            over: false,
            shown: None,
        };
        for _ in 0..NODES {
            play.add_node()?;
        }
        play.apply_all().await?;
        let end = play.now() + CALM;
        while play.now() < end {
            play.tick().await?;
            if play.troupe.living() == REPLICAS && play.world.flaws().is_empty() {
                progress.say(&format!("{NODES} nodes, {REPLICAS} replicas, all Services are served: faults begin"));
                return Ok(play);
            }
        }
        let flaws: Vec<String> = play.world.flaws().into_iter().map(|(rule, what)| format!("{rule}: {what}")).collect();
        fail(format!("not served within {} s, before any fault: {}", CALM.as_secs(), flaws.join("; ")))
    }

    fn now(&self) -> Duration {
        self.world.stage.clock.now()
    }

    /// Something has happened, for people.
    fn tell(&mut self, what: impl Into<String>) {
        self.told.push_back((self.now(), what.into()));
        if self.told.len() > board::TOLD {
            self.told.pop_front();
        }
    }

    /// Time passes a little: replicas are read and replaced, and what is due happens.
    async fn tick(&mut self) -> Result<()> {
        tokio::time::sleep(TICK).await;
        for what in self.troupe.attend(&mut self.world)? {
            self.tell(what);
        }
        self.what_is_due()?;
        self.apply_due().await?;
        self.show();
        Ok(())
    }

    /// Faults until the time is over, then rest. What isn't as it should be then.
    async fn all(&mut self) -> Result<Vec<String>> {
        let began = self.now();
        self.began = Some(began);
        let end = match self.chaos.ending {
            Ending::AtOnce => began + self.chaos.time,
            Ending::OnRequest => Duration::MAX,
        };
        let mut next = began;
        while self.now() < end {
            if self.now() >= next {
                self.something_happens()?;
                next = self.now() + Duration::from_millis(200 + self.random.below(1500) as u64);
            }
            self.tick().await?;
        }
        self.rest().await
    }

    /// Faults end, and time passes until everything is as it should be and stays so, or should long have been.
    async fn rest(&mut self) -> Result<Vec<String>> {
        self.world.fates.calm();
        self.over = true;
        self.tell("faults end: everything comes to rest");
        let end = self.now() + LEASE * 2 + LONGEST_PAUSE + BELIEF + FULL_SYNC * 2 + TTL + PROPAGATION;
        // Whoever has written nothing for a full read and a drain has nothing left to do.
        let quiet = FULL_SYNC * 5 / 4 + TTL + PROPAGATION;
        let calmed = self.now();
        loop {
            self.tick().await?;
            let now = self.now();
            let since = self.world.tally.last_write().max(calmed);
            let at_rest = self.later.is_empty()
                && self.applied.is_empty()
                && self.troupe.living() == REPLICAS
                && now >= since + quiet;
            if now < end && !at_rest {
                continue;
            }
            let flaws = self.world.flaws();
            if now >= end || flaws.is_empty() {
                let mut left: Vec<String> = flaws.into_iter().map(|(rule, what)| format!("{rule}: {what}")).collect();
                if !at_rest {
                    left.push(format!("still not at rest {} s after the faults have ended", (now - calmed).as_secs()));
                }
                return Ok(left);
            }
        }
    }

    fn board(&self) -> Vec<String> {
        board::lines(self, &table::brief(&facts(&self.world)))
    }

    /// On a terminal it is drawn anew; else it is printed now and then.
    fn show(&mut self) {
        if self.began.is_none() {
            return;
        }
        if screen::is_live() {
            return screen::footer(self.board());
        }
        let every = (self.chaos.time / 4).clamp(Duration::from_secs(3), Duration::from_secs(15));
        let now = self.now();
        // How it comes to rest is told at the end.
        if !self.over && self.shown.is_none_or(|shown| now >= shown + every) {
            self.shown = Some(now);
            say("");
            self.board().iter().for_each(|line| say(line));
        }
    }
}
