//! A world comes to rest: what must be so when faults have ended, wishes stand still and enough time has passed.

use std::time::Duration;

use crate::error::{Result, fail};
use crate::sim::check::{Violation, settled};
use crate::sim::event::{Actor, Event};
use crate::sim::replica::Replica;
use crate::sim::world::{CLUSTER, OTHERS_TTL, PROPAGATION, TTL, Vigil, World};

/// What the daemon has written it believes for so long against reads that don't show it.
const BELIEF: Duration = Duration::from_secs(300);
/// What became of a write whose answer was lost is taken for unknown for so long.
const UNSETTLED: Duration = Duration::from_secs(120);
/// What a new leader reads is taken for older than what was done before it for so long.
const BEHIND: Duration = Duration::from_secs(120);
/// How often is looked whether all is well.
const LOOK: Duration = Duration::from_secs(5);

/// What was counted so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    /// Events that were looked through.
    events: usize,
    /// Writes among them.
    writes: usize,
    /// Writes that a quota refused: they may be repeated, since only a repeat shows that there is room again.
    full: usize,
}

impl World {
    /// Writes of the daemon so far, but for the Lease: calls that may change something.
    pub fn writes(&self) -> usize {
        self.count().writes
    }

    fn count(&self) -> Counted {
        let mut counted = self.counted.get();
        self.stage.journal.read(|events| {
            for (_, event) in events.iter().skip(counted.events) {
                counted.events += 1;
                counted.writes += usize::from(is_write(event));
                counted.full += usize::from(is_full(event));
            }
        });
        self.counted.set(counted);
        counted
    }

    /// Faults end, and enough time passes for everything to be as it should. Then L1, L2, L3 are judged.
    ///
    /// # Errors
    /// What is not as it should be, or was broken before.
    pub async fn settle(&mut self) -> Result<()> {
        let broken: Vec<String> = self.comes_to_rest().await?.iter().map(Violation::to_string).collect();
        if broken.is_empty() { Ok(()) } else { fail(broken.join("\n")) }
    }

    /// Faults end, and time passes until everything is as it should be and stays so, or should long have been. What
    /// was broken until then, and what isn't as it should be (L1, L2, L3).
    ///
    /// # Errors
    /// When a process can't be started.
    pub async fn comes_to_rest(&mut self) -> Result<Vec<Violation>> {
        self.fates.calm();
        self.aws.set_clock_off(0);
        self.clock_off = 0;
        for replica in &self.replicas {
            replica.thaw();
        }
        self.stage.journal.record(Event::Note("faults end; everything comes to rest".to_owned()));
        let began = self.stage.clock.now();
        let end = began + self.rest();
        loop {
            // Where the last full read was followed by no write, the next one would be followed by none.
            let mut reads = None;
            let more = match self.until_quiet(end).await? {
                None => {
                    reads = self.too_many_reads();
                    0
                }
                Some(done) => {
                    self.pass(self.read()).await?;
                    self.done() - done
                }
            };
            let now = self.stage.clock.now();
            // What somebody did by hand right after the daemon had written may be unknown to it for so long, and what
            // somebody else's record said is then known to resolvers for its TTL.
            let aftermath = BELIEF + Duration::from_secs(OTHERS_TTL.into()) + PROPAGATION + self.read() * 2;
            let flaws = settled::flaws(&self.aws, &self.kube, CLUSTER, CLUSTER);
            let is_done = more == 0 && flaws.is_empty();
            if !is_done && self.checker.last_meddling().is_some_and(|at| now <= at + aftermath) {
                continue;
            }
            let mut broken = self.checker.violations();
            broken.extend(flaws.into_iter().map(|(rule, what)| Violation { rule, at: now, what }));
            broken.extend(self.succession(began).into_iter().map(|(rule, what)| Violation { rule, at: now, what }));
            broken.extend(reads.map(|what| Violation { rule: "L3", at: now, what }));
            if more > 0 {
                let what = format!("{more} writes though nothing is to be done: {}", self.last_writes(more.min(5)));
                broken.push(Violation { rule: "L3", at: now, what });
            }
            return Ok(broken);
        }
    }

    /// Time passes until nothing has been written for long and all is as it should be, at most until `end`: what was
    /// done until then, when it never was so.
    async fn until_quiet(&mut self, end: Duration) -> Result<Option<usize>> {
        // Whoever has written nothing for a full read and a drain has nothing left to do; and somebody must lead.
        let quiet = self.read() + TTL + PROPAGATION + if self.vigil == Vigil::Long { BELIEF } else { Duration::ZERO };
        let (mut done, mut since) = (self.done(), self.stage.clock.now());
        loop {
            self.pass(LOOK).await?;
            let now = self.stage.clock.now();
            if self.done() != done {
                (done, since) = (self.done(), now);
            }
            let living = self.replicas.iter().filter(|replica| !replica.has_ended()).map(Replica::number);
            let unknown = living.filter_map(|number| self.checker.last_unknown_write(number)).max();
            let settled = |at| at + UNSETTLED + self.read() <= now;
            let known = self.vigil == Vigil::Short || unknown.is_none_or(settled);
            let well = || settled::flaws(&self.aws, &self.kube, CLUSTER, CLUSTER).is_empty();
            if known && self.led_since().is_some_and(|led| now >= since.max(led) + quiet) && well() {
                return Ok(None);
            }
            if now >= end {
                return Ok(Some(done));
            }
        }
    }

    /// L3 for reads: what was read of AWS lately is no more than full reads take, in a world that has been at rest for so
    /// long that nothing is unsure.
    fn too_many_reads(&self) -> Option<String> {
        let (now, time) = (self.stage.clock.now(), self.read() + TTL + PROPAGATION);
        let paged = self.aws.options(|options| options.page.is_some());
        if self.vigil != Vigil::Long || paged {
            return None;
        }
        let is_read = |event: &Event| match event {
            Event::Called(call) => {
                let operation = call.operation.as_str();
                let names = operation.starts_with("ec2:") || operation.starts_with("route53:");
                matches!(call.actor, Actor::Replica(_)) && names && !call.mutates
            }
            _ => false,
        };
        let reads = self.stage.journal.read(|events| {
            let lately = events.iter().rev().take_while(|(at, _)| now < *at + time);
            lately.filter(|(_, event)| is_read(event)).count()
        });
        let (zones, groups) = self.aws.look(|state| (state.zones.len(), state.groups.len()));
        let nodes = self.kube.look(|look| look.nodes().count());
        // A full read comes at the earliest three quarters of its time after the one before.
        let rounds = usize::try_from(time.as_secs() * 4 / (self.full_sync.as_secs() * 3).max(1)).unwrap_or(0) + 1;
        let most = rounds * (zones + groups / 1000 + nodes / 200 + 5);
        (reads > most).then(|| format!("{reads} reads in {} s at rest, {most} are enough", time.as_secs()))
    }

    /// Since when somebody who lives leads, with time to wait for the one before unless that one gave the Lease up.
    fn led_since(&self) -> Option<Duration> {
        let leader = self.leader()?;
        let lives = self.replicas.iter().any(|replica| replica.number() == leader && !replica.has_ended());
        let since = self.kube.look(|look| {
            let writes = look.lease_writes();
            let term = writes.iter().rev().take_while(|write| write.actor == Actor::Replica(leader)).count();
            let (before, term) = writes.split_at(writes.len() - term);
            let given_up = before.last().is_some_and(|write| write.holder.is_empty() && !write.deleted);
            term.first().map(|write| write.sent + if given_up { Duration::ZERO } else { self.lease })
        })?;
        lives.then_some(since)
    }

    /// Writes but for those that a quota refused.
    fn done(&self) -> usize {
        let counted = self.count();
        counted.writes.saturating_sub(counted.full)
    }

    fn last_writes(&self, count: usize) -> String {
        let told = |(at, event): &(Duration, Event)| match event {
            Event::Called(call) => Some(format!("{:.1} s {} {}", at.as_secs_f64(), call.operation, call.target)),
            _ => None,
        };
        let writes: Vec<String> = self.stage.journal.read(|events| {
            events.iter().rev().filter(|(_, event)| is_write(event)).take(count).filter_map(told).collect()
        });
        writes.join("; ")
    }

    /// A full read comes at most so long after the one before.
    fn read(&self) -> Duration {
        self.full_sync * 5 / 4
    }

    /// How long it takes until everything must be as it should: a takeover and what its leader doesn't believe, the
    /// longest pause after failures, what the past is shown, two full reads, a drain, and as long as it is watched.
    fn rest(&self) -> Duration {
        let usual = self.lease * 2 + BEHIND + Duration::from_secs(75) + BELIEF + self.read() * 2 + TTL + PROPAGATION;
        if self.vigil == Vigil::Long { usual + BELIEF } else { usual }
    }
}

/// Whether a quota refused a call. That an interface is full is told in words only: InvalidParameterValue.
fn is_full(event: &Event) -> bool {
    let Event::Answered { code: Some(code), .. } = event else { return false };
    code != "RequestLimitExceeded" && (code.ends_with("LimitExceeded") || code == "InvalidParameterValue")
}

/// Whether an event is a call of the daemon that may change something, but for the Lease and access reviews.
pub fn is_write(event: &Event) -> bool {
    let Event::Called(call) = event else { return false };
    matches!(call.actor, Actor::Replica(_))
        && call.mutates
        && !call.operation.contains(" leases")
        && !call.operation.contains("selfsubjectaccessreviews")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::event::{Call, Seam};
    use crate::sim::{Setting, simulate};

    #[test]
    fn a_daemon_at_rest_that_reads_all_the_time_shows() {
        for (operation, mutates, reads, shows) in [
            ("ec2:DescribeInstances", false, 10, false),
            ("ec2:DescribeInstances", false, 500, true),
            ("ec2:CreateSecurityGroup", true, 500, false),
            ("sts:GetCallerIdentity", false, 500, false),
        ] {
            let told: Result<()> = simulate(|| async {
                let world = World::new(&Setting { vigil: Vigil::Long, ..Setting::calm(1) })?;
                for number in 0..reads {
                    let (actor, seam) = (Actor::Replica(1), Seam::Aws);
                    let call =
                        Call { number, actor, seam, operation: operation.to_owned(), target: String::new(), mutates };
                    world.stage.journal.record(Event::Called(call));
                }
                assert_eq!(world.too_many_reads().is_some(), shows, "{reads} of {operation}");
                Ok(())
            });
            assert!(told.is_ok(), "{told:?}");
        }
    }
}
