//! The only place that reads the system's clocks. Never decides anything about time.

use crate::model::Tick;
use rustix::time::{ClockId, clock_gettime};
use std::fmt;
use std::sync::Mutex;

/// Source of time of the whole server; replaced by [`FakeClock`] in simulations.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The server's time. Never steps back.
    fn tick(&self) -> Tick;
    /// Monotonic nanoseconds, for measuring only.
    fn monotonic_ns(&self) -> u64;
}

/// Tick = tick at start + CLOCK_BOOTTIME elapsed; the wall clock is read once.
#[derive(Debug)]
pub struct SystemClock {
    start: Tick,
    boot_ms: u64,
}

impl SystemClock {
    /// Starts at the later of the wall clock and the tick behind the last journalled one.
    #[must_use]
    pub fn start(last: Tick) -> Self {
        let wall = read_ns(ClockId::Realtime) / NS_PER_MS;
        Self {
            start: Tick(wall.max(last.0.saturating_add(1))),
            boot_ms: read_ns(ClockId::Boottime) / NS_PER_MS,
        }
    }
}

impl Clock for SystemClock {
    fn tick(&self) -> Tick {
        let elapsed = (read_ns(ClockId::Boottime) / NS_PER_MS).saturating_sub(self.boot_ms);
        Tick(self.start.0.saturating_add(elapsed))
    }

    fn monotonic_ns(&self) -> u64 {
        read_ns(ClockId::Monotonic)
    }
}

/// Wall clock in ms since the Unix epoch: for log lines and the check at start only.
#[must_use]
pub fn wall_ms() -> u64 {
    read_ns(ClockId::Realtime) / NS_PER_MS
}

const NS_PER_MS: u64 = 1_000_000;
const NS_PER_S: u64 = 1_000_000_000;

fn read_ns(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(NS_PER_S).saturating_add(nanos)
}

/// A clock that moves only when told to.
#[derive(Debug)]
pub struct FakeClock(Mutex<u64>);

impl FakeClock {
    /// Starts at this tick.
    #[must_use]
    pub const fn new(start: Tick) -> Self {
        Self(Mutex::new(start.0))
    }

    /// Moves on by `ms`.
    pub fn advance(&self, ms: u64) {
        let mut now = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *now = now.saturating_add(ms);
    }

    fn now(&self) -> u64 {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for FakeClock {
    fn tick(&self) -> Tick {
        Tick(self.now())
    }

    fn monotonic_ns(&self) -> u64 {
        self.now().saturating_mul(NS_PER_MS)
    }
}
