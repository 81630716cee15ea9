use super::world::{TestClock, World, millis, secs};
use std::sync::atomic::Ordering;

const HOUR: i64 = 3_600_000;

#[tokio::test(start_paused = true)]
async fn a_wrong_wall_clock_neither_dethrones_nor_holds() {
    for (of_a, of_b) in [(HOUR, 0), (-HOUR, 0), (0, HOUR), (0, -HOUR), (-60_000, 0), (20_000, 0), (HOUR, -HOUR)] {
        let world = World::new();
        let a = world.start_with("a", TestClock::new(secs(5), of_a, 1000), |s| s);
        a.writable_within(secs(26)).await;
        let b = world.start_with("b", TestClock::new(secs(77_777), of_b, 1000), |s| s);
        a.leads_on_for(secs(40)).await;
        assert!(!b.fence.is_leader());
        a.kill();
        // It lasts 15 s, and was renewed up to 2.4 s ago.
        let lasted = b.leads_within(secs(16)).await;
        assert!(lasted >= millis(12_500), "taken {lasted:?} after its holder's end");
        world.check().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_leader_is_followed_after_its_duration_and_a_write_timeout() {
    let world = World::new();
    let (a, b) = world.leader_and_standby().await;
    a.kill();
    let leads = b.leads_within(secs(16)).await;
    let writes = b.writable_within(secs(11)).await;
    assert!(leads > millis(12_500));
    assert!(writes >= millis(9_900), "{writes:?}");
    b.leads_on_for(secs(60)).await;
    assert_eq!(b.fence.writable().await, 1);
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_wall_clock_runs_away_reads_again_before_it_writes() {
    let world = World::new();
    let (a, _b) = world.leader_and_standby().await;
    world.api.cut("a");
    a.clock.wall.fetch_add(HOUR, Ordering::SeqCst);
    assert!(a.fence.permits(millis(1)).is_err());
    a.clock.wall.fetch_sub(HOUR, Ordering::SeqCst);
    assert!(a.fence.permits(millis(1)).is_err(), "what is dropped stays dropped until it is read");
    world.api.heal("a");
    a.writable_within(secs(7)).await;
    assert_eq!(a.fence.writable().await, 2, "a term of its own");
    a.leads_on_for(secs(30)).await;
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_wall_clock_goes_back_goes_on() {
    let world = World::new();
    let (a, _b) = world.leader_and_standby().await;
    a.clock.wall.fetch_sub(HOUR, Ordering::SeqCst);
    a.leads_on_for(secs(30)).await;
    assert_eq!(a.fence.writable().await, 1);
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_suspended_machine_writes_nothing_when_it_wakes() {
    let world = World::new();
    let (a, b) = world.leader_and_standby().await;
    a.brake.pause();
    // Its monotonic clock stands still: by that alone it would lead on. The sampler must not look meanwhile, as
    // nobody in there can.
    let suspension = tokio::time::Instant::now();
    let keeper = {
        let clock = a.clock.clone();
        tokio::spawn(async move {
            loop {
                let asleep = u64::try_from(suspension.elapsed().as_millis()).unwrap();
                clock.suspended.store(asleep, Ordering::SeqCst);
                tokio::time::sleep(millis(1)).await;
            }
        })
    };
    b.writable_within(secs(30)).await;
    tokio::time::sleep(secs(10)).await;
    keeper.abort();
    assert!(a.fence.permits(millis(1)).is_err());
    a.brake.resume();
    a.never_leads_for(secs(30)).await;
    assert!(b.fence.is_leader());
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn clocks_a_tenth_too_slow_or_too_fast_let_never_two_write() {
    for (of_a, of_b) in [(900, 1100), (1100, 900)] {
        let world = World::new();
        let a = world.start_with("a", TestClock::new(secs(1), 0, of_a), |s| s);
        a.writable_within(secs(30)).await;
        let b = world.start_with("b", TestClock::new(secs(2), 0, of_b), |s| s);
        a.leads_on_for(secs(30)).await;
        world.api.cut("a");
        b.writable_within(secs(30)).await;
        assert!(!a.fence.is_leader());
        world.check().await;
    }
}
