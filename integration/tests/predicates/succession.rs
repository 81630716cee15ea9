//! L4: there is a leader soon, and the same one for as long as it lives.

use std::time::Duration;

use integration::sim::check::succession::{Pace, flaws};
use integration::sim::event::{Actor, Event};
use integration::sim::kube::LeaseWrite;
use integration::sim::{Replica, Setting, World, simulate};

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn name() -> (String, String) {
    ("external-ips".to_owned(), "external-ips".to_owned())
}

#[derive(Default)]
struct Told {
    events: Vec<(Duration, Event)>,
    writes: Vec<LeaseWrite>,
}

impl Told {
    fn process(mut self, when: u64, replica: u32, what: &str) -> Told {
        self.events.push((at(when), Event::Process { replica, what: what.to_owned() }));
        self
    }

    fn written(mut self, when: Duration, replica: u32, holder: &str) -> Told {
        let before = self.writes.last().map(|write| write.holder.clone()).unwrap_or_default();
        self.writes.push(LeaseWrite {
            call: None,
            actor: Actor::Replica(replica),
            sent: when,
            accepted: when,
            lease: name(),
            before,
            holder: holder.to_owned(),
            duration: Some(at(15)),
            deleted: false,
        });
        self
    }

    /// It renews every two seconds.
    fn leads(mut self, replica: u32, from: u64, until: u64) -> Told {
        for when in (from..=until).step_by(2) {
            self = self.written(at(when), replica, &format!("pod-{replica}"));
        }
        self
    }

    fn flaws(&self, from: u64, now: u64) -> usize {
        flaws(&self.events, &self.writes, &name(), Pace::of(at(15)), at(from), at(now)).len()
    }
}

fn two() -> Told {
    Told::default().process(0, 1, "starts").process(0, 2, "starts")
}

#[test]
fn after_a_crash_somebody_leads_when_the_lease_is_over() {
    let crash = || two().leads(1, 1, 31).process(32, 1, "is killed");
    assert_eq!(crash().leads(2, 48, 100).flaws(0, 100), 0);
    assert_eq!(crash().leads(2, 56, 100).flaws(0, 100), 1);
    assert_eq!(crash().flaws(0, 100), 1);
    assert_eq!(crash().flaws(0, 50), 0, "not yet");
}

#[test]
fn who_starts_after_the_crash_has_the_whole_lease_to_wait_for() {
    let restart =
        Told::default().process(0, 1, "starts").leads(1, 1, 31).process(32, 1, "is killed").process(50, 2, "starts");
    assert_eq!(restart.flaws(0, 70), 0);
    assert_eq!(restart.flaws(0, 80), 1);
}

#[test]
fn nobody_has_to_lead_when_nobody_can() {
    let dead = Told::default().process(0, 1, "starts").leads(1, 1, 31).process(32, 1, "ends: no");
    assert_eq!(dead.flaws(0, 1000), 0);
    let frozen = two().leads(1, 1, 31).process(31, 1, "is killed").process(32, 2, "stands still");
    assert_eq!(frozen.process(90, 2, "goes on").flaws(0, 100), 0);
}

#[test]
fn after_a_release_somebody_leads_within_a_second() {
    let released = || two().leads(1, 1, 31).process(31, 1, "is told to stop").written(at(32), 1, "");
    assert_eq!(released().leads(2, 33, 99).flaws(0, 100), 0);
    assert_eq!(released().leads(2, 34, 100).flaws(0, 100), 1);
    // Who gave it up itself isn't the one that must have it.
    let alone = Told::default().process(0, 1, "starts").leads(1, 1, 31).written(at(32), 1, "");
    assert_eq!(alone.flaws(0, 100), 0);
}

#[test]
fn the_first_lease_is_taken_soon() {
    assert_eq!(two().flaws(0, 100), 1);
    assert_eq!(two().leads(1, 2, 100).flaws(0, 100), 0);
    assert_eq!(Told::default().process(0, 1, "starts").process(2, 1, "is killed").flaws(0, 100), 0);
}

#[test]
fn what_happens_while_there_are_faults_is_not_judged() {
    let late = two().leads(1, 1, 31).process(32, 1, "is killed").leads(2, 120, 200);
    assert_eq!(late.flaws(0, 200), 1);
    assert_eq!(late.flaws(110, 200), 0);
    assert_eq!(two().flaws(95, 100), 0);
}

#[test]
fn a_leader_that_lives_is_not_replaced_twice_in_the_time_of_a_lease() {
    let twice = || two().leads(1, 1, 31).leads(2, 33, 37).leads(1, 39, 99);
    assert_eq!(twice().flaws(0, 100), 1);
    assert_eq!(twice().flaws(30, 100), 0, "the first was taken in the storm");
    assert_eq!(two().leads(1, 1, 31).leads(2, 33, 53).leads(1, 55, 99).flaws(0, 100), 0);
    // Whoever is dead or stood still may be replaced at any time.
    let killed = two().leads(1, 1, 31).leads(2, 33, 37).process(38, 2, "is killed").leads(1, 55, 99);
    assert_eq!(killed.flaws(0, 100), 0);
    let stopped = two().leads(1, 1, 31).process(32, 1, "stands still").leads(2, 48, 50).process(51, 1, "goes on");
    assert_eq!(stopped.leads(1, 53, 99).flaws(0, 100), 0);
}

#[test]
fn real_processes_keep_to_it_through_a_crash_a_release_and_a_pause() {
    let told = simulate(|| async {
        let mut world = World::new(&Setting::calm(1))?;
        world.run(2)?;
        world.pass(at(30)).await?;
        let strikes: [fn(&mut Replica); 3] = [Replica::kill, Replica::terminate, |replica| replica.freeze()];
        for (n, strike) in strikes.into_iter().enumerate() {
            let leader = world.leader().unwrap();
            strike(world.replica(leader).unwrap());
            world.pass(at(60)).await?;
            assert_ne!(world.leader(), Some(leader), "{n}");
            assert_eq!(world.succession(Duration::ZERO), []);
        }
        // The judge sees what there is to see.
        let blind = Pace { lease: at(1), poll: Duration::ZERO, write: Duration::ZERO, ..Pace::of(at(15)) };
        let writes = world.kube.look(|look| look.lease_writes().to_vec());
        let events = world.stage.journal.events();
        assert!(!flaws(&events, &writes, &name(), blind, Duration::ZERO, at(300)).is_empty());
        Ok(())
    });
    told.unwrap();
}
