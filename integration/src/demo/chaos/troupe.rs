//! The replicas: processes that are killed and replaced.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::daemon::Daemon;
use crate::demo::live::Reader;
use crate::error::Result;
use crate::sim::Random;
use crate::sim::served::ServedWorld;

/// Whoever has ended is replaced so much later.
const PAUSE: Duration = Duration::from_secs(1);
/// How a process ends that has panicked.
const PANICKED: i32 = 101;

/// A replica.
struct Member {
    number: u32,
    name: String,
    daemon: Arc<Daemon>,
    reader: Reader,
    /// Its end was ours to bring.
    ends: bool,
}

/// The replicas.
pub(super) struct Troupe {
    binary: PathBuf,
    wanted: usize,
    members: Vec<Member>,
    next_start: Duration,
    /// Replicas that have panicked: never to happen.
    pub panics: Vec<String>,
}

impl Troupe {
    /// So many replicas shall run.
    pub fn new(binary: PathBuf, wanted: usize) -> Troupe {
        Troupe { binary, wanted, members: Vec::new(), next_start: Duration::ZERO, panics: Vec::new() }
    }

    /// How many run.
    pub fn living(&self) -> usize {
        self.members.len()
    }

    /// Their names.
    pub fn names(&self) -> Vec<&str> {
        self.members.iter().map(|member| member.name.as_str()).collect()
    }

    /// The one that the Lease names, if it runs.
    pub fn leader(&self, world: &ServedWorld) -> Option<&str> {
        let holder = world.holder();
        self.names().into_iter().find(|name| holder.strip_prefix(name).is_some_and(|rest| rest.starts_with('_')))
    }

    /// Reads what they have written, takes leave of those that have ended, and starts others in their place. What
    /// there is to tell.
    pub fn attend(&mut self, world: &mut ServedWorld) -> Result<Vec<String>> {
        let mut told = Vec::new();
        let mut living = Vec::new();
        for mut member in std::mem::take(&mut self.members) {
            // Asked before it is read: what it wrote before its end counts.
            let ended = member.daemon.ended()?;
            let lines = member.reader.lines()?;
            lines.iter().for_each(|line| world.logged(line));
            let Some(status) = ended else {
                living.push(member);
                continue;
            };
            if lines.iter().any(|line| line.contains("panicked at")) || status.code() == Some(PANICKED) {
                self.panics.push(format!("{} has panicked: {}", member.name, lines.join("\n")));
            }
            if !member.ends {
                told.push(format!("{} ends by itself ({status})", member.name));
            }
            world.note(member.number, "has ended");
            self.next_start = self.next_start.max(world.stage.clock.now() + PAUSE);
        }
        self.members = living;
        while self.members.len() < self.wanted && world.stage.clock.now() >= self.next_start {
            let name = self.start(world)?;
            told.push(format!("{name} starts"));
        }
        Ok(told)
    }

    fn start(&mut self, world: &mut ServedWorld) -> Result<String> {
        let name = format!("r{}", world.births() + 1);
        let (number, daemon) = world.daemon(&name)?;
        let daemon = Arc::new(daemon.start_binary(&self.binary)?);
        world.note(number, "starts");
        let reader = Reader::new(Arc::clone(&daemon));
        self.members.push(Member { number, name: name.clone(), daemon, reader, ends: false });
        Ok(name)
    }

    /// Ends one of them, mostly the leader: at once (SIGKILL), or asked to (SIGTERM). What there is to tell.
    pub fn one_ends(&mut self, world: &ServedWorld, random: &Random, at_once: bool) -> Option<String> {
        let leader = self.leader(world).filter(|_| random.percent(70)).map(str::to_owned);
        let at = random.below(self.members.len());
        let member = match &leader {
            Some(name) => self.members.iter_mut().find(|member| member.name == *name)?,
            None => self.members.get_mut(at)?,
        };
        member.ends = true;
        let who = if leader.is_some() { format!("the leader {}", member.name) } else { member.name.clone() };
        if at_once {
            member.daemon.kill();
            world.note(member.number, "is killed");
            return Some(format!("{who} is killed (SIGKILL)"));
        }
        // It may have ended just now: then there is nothing to tell.
        member.daemon.terminate().ok()?;
        world.note(member.number, "is told to stop");
        Some(format!("{who} is told to stop (SIGTERM)"))
    }
}
