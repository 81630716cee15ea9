use super::api::{Fault, Kind};
use super::world::{Process, TestClock, TestRandom, World, millis, secs};
use serde_json::json;
use std::sync::atomic::Ordering;

/// One fault of one process, or of the Lease.
async fn disturb(world: &World, processes: &mut [Process], random: &TestRandom) {
    let index = usize::try_from(random.below(processes.len() as u64)).unwrap();
    let process = &processes[index];
    let who = process.holder.clone();
    let kind = [None, Some(Kind::Get), Some(Kind::Patch), Some(Kind::Watch)][usize::try_from(random.below(4)).unwrap()];
    let some = |n| usize::try_from(1 + random.below(n)).unwrap();
    match random.below(13) {
        0 => world.api.cut(&who),
        1 | 2 => world.api.heal(&who),
        3 => world.api.fault(&who, kind, some(5), Fault { before: millis(random.below(30_000)), ..Fault::default() }),
        4 => world.api.fault(&who, kind, some(5), Fault { after: millis(random.below(5_000)), ..Fault::default() }),
        5 => world.api.fault(&who, kind, some(5), Fault { lose: true, ..Fault::default() }),
        6 => world.api.fault(&who, kind, some(5), Fault { status: Some(503), ..Fault::default() }),
        7 => {
            process.clock.wall.store(i64::try_from(random.below(7_200_000)).unwrap() - 3_600_000, Ordering::SeqCst);
        }
        8 | 9 => process.brake.pause(),
        10 => processes.iter().for_each(|process| process.brake.resume()),
        11 => match random.below(4) {
            0 => world.api.delete(),
            1 => world.api.patch_spec(&json!({"holderIdentity": ""})),
            2 => world.api.patch_spec(&json!({"leaseDurationSeconds": 2})),
            _ => world.api.patch_spec(&json!({"renewTime": null, "leaseTransitions": null})),
        },
        _ => {
            let name = format!("{}{}", &who[..1], random.below(1_000_000));
            let rate = 900 + random.below(201);
            let next = world.start_with(&name, TestClock::new(secs(random.below(9999)), 0, rate), |s| s);
            let mut last = std::mem::replace(&mut processes[index], next);
            if random.below(2) == 0 {
                last.brake.resume();
                last.terminate();
            } else {
                last.kill();
            }
        }
    }
}

/// Runs one history; returns how long somebody could write in it, in samples.
async fn history(seed: u64) -> usize {
    let random = TestRandom::new(seed);
    let world = World::sampled(millis(20));
    let count = usize::try_from(2 + random.below(2)).unwrap();
    let mut processes: Vec<Process> = (0..count)
        .map(|n| {
            let wall = i64::try_from(random.below(7_200_000)).unwrap() - 3_600_000;
            let clock = TestClock::new(secs(random.below(100_000)), wall, 900 + random.below(201));
            world.start_with(["a", "b", "c"][n], clock, |s| s)
        })
        .collect();
    let mut led = 0;
    for _ in 0..20 {
        for _ in 0..random.below(20) {
            tokio::time::sleep(millis(500)).await;
            led += processes.iter().filter(|p| p.fence.permits(millis(1)).is_ok()).count();
        }
        disturb(&world, &mut processes, &random).await;
    }
    // The faults stop: somebody leads before long.
    for process in &processes {
        world.api.heal(&process.holder);
        process.brake.resume();
    }
    tokio::time::sleep(secs(75)).await;
    let leaders = processes.iter().filter(|p| p.fence.permits(millis(1)).is_ok()).count();
    assert_eq!(leaders, 1, "seed {seed}: {}", world.api.lease());
    world.check().await;
    led
}

fn histories(seeds: std::ops::Range<u64>) {
    let mut led = 0;
    for seed in seeds {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(history(seed))));
        led += outcome.unwrap_or_else(|cause| {
            let text = cause.downcast_ref::<String>().cloned().unwrap_or_default();
            panic!("seed {seed}: {text}")
        });
    }
    assert!(led > 1000, "somebody could write in {led} samples only: the histories prove nothing");
}

#[test]
fn whatever_happens_never_two_may_write_and_in_the_end_one_does() {
    histories(0..200);
}
