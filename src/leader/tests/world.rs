//! Processes with clocks of their own around one fake API server, on simulated time; a sampler that watches that
//! never two of them may write.

use super::api::{Api, NAME, NAMESPACE};
use crate::clock::{Clock, Random};
use crate::leader::{Elector, Fence, Leadership, LeaseSettings};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Clocks that follow tokio's, each process with its own fault.
pub struct TestClock {
    start: Instant,
    /// Of the monotonic clock, in thousandths.
    rate: u64,
    offset: Duration,
    /// The wall clock is wrong by so many milliseconds.
    pub wall: AtomicI64,
    /// The machine was suspended for so many milliseconds.
    pub suspended: AtomicU64,
}

impl TestClock {
    pub fn new(offset: Duration, wall: i64, rate: u64) -> Arc<TestClock> {
        Arc::new(TestClock {
            start: Instant::now(),
            rate,
            offset,
            wall: AtomicI64::new(wall),
            suspended: AtomicU64::new(0),
        })
    }
}

impl Clock for TestClock {
    fn monotonic(&self) -> Duration {
        let elapsed = self.start.elapsed().saturating_sub(millis(self.suspended.load(Ordering::SeqCst)));
        self.offset + elapsed * u32::try_from(self.rate).unwrap() / 1000
    }

    fn wall(&self) -> SystemTime {
        let base = SystemTime::UNIX_EPOCH
            + secs(1_800_000_000)
            + self.start.elapsed() * u32::try_from(self.rate).unwrap() / 1000;
        let wrong = self.wall.load(Ordering::SeqCst);
        if wrong < 0 { base - millis(wrong.unsigned_abs()) } else { base + millis(wrong.unsigned_abs()) }
    }
}

/// SplitMix64.
pub struct TestRandom(AtomicU64);

impl TestRandom {
    pub fn new(seed: u64) -> Arc<TestRandom> {
        Arc::new(TestRandom(AtomicU64::new(seed)))
    }

    pub fn below(&self, n: u64) -> u64 {
        self.next_u64() % n
    }
}

impl Random for TestRandom {
    fn next_u64(&self) -> u64 {
        let step = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(step, Ordering::SeqCst).wrapping_add(step);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// SIGSTOP and SIGCONT for a future.
#[derive(Clone, Default)]
pub struct Brake(Arc<(AtomicBool, Mutex<Vec<Waker>>)>);

impl Brake {
    pub fn pause(&self) {
        self.0.0.store(true, Ordering::SeqCst);
    }

    pub fn resume(&self) {
        self.0.0.store(false, Ordering::SeqCst);
        self.0.1.lock().unwrap().drain(..).for_each(Waker::wake);
    }

    pub fn apply<F: Future>(&self, inner: F) -> Braked<F> {
        Braked { brake: self.clone(), inner: Box::pin(inner) }
    }
}

pub struct Braked<F> {
    brake: Brake,
    inner: Pin<Box<F>>,
}

impl<F: Future> Future for Braked<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if self.brake.0.0.load(Ordering::SeqCst) {
            self.brake.0.1.lock().unwrap().push(context.waker().clone());
            return Poll::Pending;
        }
        self.inner.as_mut().poll(context)
    }
}

pub struct Process {
    pub fence: Fence,
    pub clock: Arc<TestClock>,
    pub brake: Brake,
    /// How long ago the loop moved, in milliseconds.
    pub idle: Arc<AtomicU64>,
    pub holder: String,
    stop: Option<oneshot::Sender<()>>,
    pub task: JoinHandle<()>,
}

impl Process {
    /// Asks it to end, as SIGTERM does.
    pub fn terminate(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    /// Ends it, as SIGKILL does.
    pub fn kill(&self) {
        self.task.abort();
    }

    /// Time from now until it may write.
    pub async fn writable_within(&self, limit: Duration) -> Duration {
        let start = Instant::now();
        tokio::time::timeout(limit, self.fence.writable())
            .await
            .unwrap_or_else(|_| panic!("{} can't write within {limit:?}", self.holder));
        start.elapsed()
    }

    /// Time from now until it leads.
    pub async fn leads_within(&self, limit: Duration) -> Duration {
        let start = Instant::now();
        assert!(self.comes_to_lead(limit).await, "{} doesn't lead within {limit:?}", self.holder);
        assert!(self.fence.is_leader());
        start.elapsed()
    }

    pub async fn never_leads_for(&self, time: Duration) {
        let start = Instant::now();
        assert!(!self.fence.is_leader());
        assert!(!self.comes_to_lead(time).await, "{} leads after {:?}", self.holder, start.elapsed());
    }

    async fn comes_to_lead(&self, limit: Duration) -> bool {
        let mut leadership = self.fence.subscribe();
        let leads = leadership.wait_for(|leadership| *leadership != Leadership::Candidate);
        tokio::time::timeout(limit, leads).await.is_ok()
    }

    pub async fn leads_on_for(&self, time: Duration) {
        let start = Instant::now();
        let lost = tokio::time::timeout(time, self.fence.lost()).await.is_ok();
        assert!(!lost, "{} doesn't lead after {:?}", self.holder, start.elapsed());
        assert!(self.fence.is_leader());
    }
}

pub struct World {
    pub api: Api,
    fences: Arc<Mutex<Vec<(String, Fence)>>>,
    sampler: JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.sampler.abort();
    }
}

impl World {
    pub fn new() -> World {
        World::sampled(millis(1))
    }

    /// With a sampler that looks so often whether more than one process may write.
    pub fn sampled(every: Duration) -> World {
        let fences: Arc<Mutex<Vec<(String, Fence)>>> = Arc::default();
        let sampled = fences.clone();
        let sampler = tokio::spawn(async move {
            loop {
                let may: Vec<String> = sampled
                    .lock()
                    .unwrap()
                    .iter()
                    .filter(|(_, fence)| fence.permits(Duration::ZERO).is_ok())
                    .map(|(who, _)| who.clone())
                    .collect();
                assert!(may.len() <= 1, "{may:?} may write at the same time");
                tokio::time::sleep(every).await;
            }
        });
        World { api: Api::new(), fences, sampler }
    }

    /// Fails if the sampler has found two writers.
    pub async fn check(self) {
        tokio::time::sleep(millis(2)).await;
        assert!(!self.sampler.is_finished(), "two processes could write at the same time");
    }

    pub fn start(&self, who: &str) -> Process {
        self.start_with(who, TestClock::new(secs(1000 * who.len() as u64), 0, 1000), |settings| settings)
    }

    pub fn start_with(
        &self,
        who: &str,
        clock: Arc<TestClock>,
        change: impl FnOnce(LeaseSettings) -> LeaseSettings,
    ) -> Process {
        let seed = who.bytes().fold(7, |hash: u64, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        let settings = change(LeaseSettings::new(NAMESPACE, NAME, who));
        let log = slog::Logger::root(slog::Discard, slog::o!());
        let elector = Elector::new(self.api.client(who), settings, clock.clone(), TestRandom::new(seed), log).unwrap();
        let fence = elector.fence();
        self.fences.lock().unwrap().push((who.to_owned(), fence.clone()));
        let brake = Brake::default();
        let idle = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = oneshot::channel();
        let progress = {
            let idle = idle.clone();
            move || millis(idle.load(Ordering::SeqCst))
        };
        let shutdown = async move {
            if stopped.await.is_err() {
                std::future::pending().await
            }
        };
        let task = tokio::spawn(brake.apply(elector.run(progress, shutdown)));
        Process { fence, clock, brake, idle, holder: who.to_owned(), stop: Some(stop), task }
    }

    /// A first process that leads and may write, and a second that waits.
    pub async fn leader_and_standby(&self) -> (Process, Process) {
        let a = self.start("a");
        a.writable_within(secs(26)).await;
        let b = self.start("b");
        tokio::time::sleep(secs(3)).await;
        assert_eq!(self.api.holder(), "a");
        (a, b)
    }
}
