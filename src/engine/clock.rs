//! The only place that reads the system's clocks. Never decides anything about time.

use crate::model::Tick;
use crate::planted::{Bug, is_planted};
use addrd_sync::Level;
use rustix::time::{ClockId, clock_gettime};
use std::fmt;
use std::sync::Mutex;

/// Source of time of the whole server; replaced by [`FakeClock`] in simulations.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The server's time. Never steps back.
    fn tick(&self) -> Tick;
    /// Monotonic nanoseconds, for measuring only.
    fn monotonic_ns(&self) -> u64;
    /// How far the wall clock is ahead while it is not believed, ms; 0 = nothing is in doubt.
    fn doubt_ms(&self) -> u64 {
        0
    }
    /// Whether the wall clock is not believed: then no lease may end.
    fn is_doubted(&self) -> bool {
        false
    }
    /// While it is in doubt: believes the wall clock if it agrees by now.
    fn look_again(&self) {}
    /// Believes the wall clock, since an operator says so: the tick moves to it. Gives how far, ms.
    fn accept(&self) -> u64 {
        0
    }
}

/// What a clock is read from; replaced in tests.
pub trait Hands: Send + Sync + fmt::Debug {
    /// Wall clock, ms since the Unix epoch. It may be wrong and it may jump.
    fn wall_ms(&self) -> u64;
    /// Time since the machine started, sleep included, ms.
    fn boot_ms(&self) -> u64;
    /// Monotonic nanoseconds.
    fn monotonic_ns(&self) -> u64;
}

/// The hands of the system.
#[derive(Clone, Copy, Debug)]
pub struct SystemHands;

impl Hands for SystemHands {
    fn wall_ms(&self) -> u64 {
        wall_ms()
    }

    fn boot_ms(&self) -> u64 {
        read_ns(ClockId::Boottime) / NS_PER_MS
    }

    fn monotonic_ns(&self) -> u64 {
        read_ns(ClockId::Monotonic)
    }
}

/// Tick = tick at start + CLOCK_BOOTTIME elapsed. The wall clock is read at the start, and again only
/// while it is in doubt.
///
/// Source: docs/decisions/0018-leases.md.
#[derive(Debug)]
pub struct SystemClock {
    hands: Box<dyn Hands>,
    start: Level,
    boot_ms: u64,
    /// 1 while the wall clock is not believed.
    doubted: Level,
    jump_ms_max: u64,
}

impl SystemClock {
    /// Starts at the later of the wall clock and the tick behind the last journalled one; behind that
    /// one, in doubt, if the wall clock is more than `jump_ms_max` ahead of it and something depends
    /// on the time.
    #[must_use]
    pub fn start(last: Tick, jump_ms_max: u64, has_deadlines: bool) -> Self {
        Self::over(Box::new(SystemHands), last, jump_ms_max, has_deadlines)
    }

    /// The same over other hands.
    #[must_use]
    pub fn over(hands: Box<dyn Hands>, last: Tick, jump_ms_max: u64, has_deadlines: bool) -> Self {
        let (wall_ms, behind) = (hands.wall_ms(), last.0.saturating_add(1));
        let is_far = wall_ms.saturating_sub(last.0) > jump_ms_max;
        let doubted = has_deadlines && is_far && !is_planted(Bug::ClockJumpBelieved);
        let start = if doubted { behind } else { behind.max(wall_ms) };
        let boot_ms = hands.boot_ms();
        Self {
            hands,
            start: Level::new(start),
            boot_ms,
            doubted: Level::new(doubted.into()),
            jump_ms_max,
        }
    }

    /// How far the wall clock is behind the last journalled tick, ms: harmless, and worth a line.
    #[must_use]
    pub fn behind_ms(&self, last: Tick) -> u64 {
        last.0.saturating_sub(self.hands.wall_ms())
    }

    /// How far the wall clock is ahead of the tick.
    fn ahead_ms(&self) -> u64 {
        self.hands.wall_ms().saturating_sub(self.tick().0)
    }
}

impl Clock for SystemClock {
    fn tick(&self) -> Tick {
        let elapsed = self.hands.boot_ms().saturating_sub(self.boot_ms);
        Tick(self.start.get().saturating_add(elapsed))
    }

    fn monotonic_ns(&self) -> u64 {
        self.hands.monotonic_ns()
    }

    fn doubt_ms(&self) -> u64 {
        // Never 0 while it lasts.
        if self.is_doubted() { self.ahead_ms().max(1) } else { 0 }
    }

    fn is_doubted(&self) -> bool {
        self.doubted.get() != 0
    }

    fn look_again(&self) {
        if self.is_doubted() && self.ahead_ms() <= self.jump_ms_max {
            self.doubted.set(0);
        }
    }

    fn accept(&self) -> u64 {
        if !self.is_doubted() {
            return 0;
        }
        let ahead = self.ahead_ms();
        self.start.add(ahead);
        self.doubted.set(0);
        ahead
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
pub struct FakeClock {
    now: Mutex<u64>,
    doubt_ms: Level,
}

impl FakeClock {
    /// Starts at this tick.
    #[must_use]
    pub fn new(start: Tick) -> Self {
        Self { now: Mutex::new(start.0), doubt_ms: Level::new(0) }
    }

    /// The wall clock is so far ahead and not believed; 0 = it is.
    pub fn doubt(&self, ms: u64) {
        self.doubt_ms.set(ms);
    }

    /// Moves on by `ms`.
    pub fn advance(&self, ms: u64) {
        let mut now = self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *now = now.saturating_add(ms);
    }

    fn now(&self) -> u64 {
        *self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for FakeClock {
    fn tick(&self) -> Tick {
        Tick(self.now())
    }

    fn monotonic_ns(&self) -> u64 {
        self.now().saturating_mul(NS_PER_MS)
    }

    fn doubt_ms(&self) -> u64 {
        self.doubt_ms.get()
    }

    fn is_doubted(&self) -> bool {
        self.doubt_ms.get() != 0
    }
}

#[cfg(test)]
mod tests;
