//! The simulation's time: tokio's, which stands still in a test until everybody waits.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// The time of the world. A process may have another opinion of it ([`Clock::off_by`]).
#[derive(Clone, Debug)]
pub struct Clock {
    start: Instant,
    wall: SystemTime,
}

/// When simulated histories begin: 2026-01-01T00:00:00Z, in seconds.
const EPOCH: u64 = 1_767_225_600;

impl Clock {
    /// A world that begins now, on a day that is always the same: for histories that must be repeatable.
    pub fn simulated() -> Clock {
        Clock { start: Instant::now(), wall: SystemTime::UNIX_EPOCH + Duration::from_secs(EPOCH) }
    }

    /// A world that begins now, on this machine's date: for simulators that are served to other processes.
    pub fn real() -> Clock {
        Clock { start: Instant::now(), wall: SystemTime::now() }
    }

    /// Time since the beginning.
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// The moment `at` after the beginning, to sleep until.
    pub fn instant(&self, at: Duration) -> Instant {
        self.start + at
    }

    /// The right time of day.
    pub fn wall(&self) -> SystemTime {
        self.wall + self.now()
    }

    /// The clock of a process whose time of day is wrong by `seconds` (positive: ahead).
    pub fn off_by(&self, seconds: i64) -> ProcessClock {
        ProcessClock { world: self.clone(), seconds }
    }
}

impl aws_api::TimeSource for Clock {
    fn now(&self) -> SystemTime {
        self.wall()
    }
}

/// The clocks of one process.
#[derive(Clone, Debug)]
pub struct ProcessClock {
    world: Clock,
    seconds: i64,
}

impl external_ips::clock::Clock for ProcessClock {
    fn monotonic(&self) -> Duration {
        self.world.now()
    }

    fn wall(&self) -> SystemTime {
        let wall = self.world.wall();
        let off = Duration::from_secs(self.seconds.unsigned_abs());
        if self.seconds < 0 { wall - off } else { wall + off }
    }
}
