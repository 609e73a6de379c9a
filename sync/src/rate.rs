//! How much may be done in a time: a bucket that fills evenly, kept as the one moment at which it will be full
//! (the generic cell rate algorithm of ITU-T I.371). It reads no clock, refuses nobody and orders nothing: who
//! spends looks at the room first, and what was spent beyond it is a debt.

use crate::prim::{AtomicU64, Ordering};

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    per_second: u64,
    burst: u64,
}

const SECOND_NS: u128 = 1_000_000_000;

impl Pace {
    /// `per_second` units in a second, and at most `burst` of them at once; each at least 1.
    #[must_use]
    pub fn new(per_second: u64, burst: u64) -> Self {
        Self { per_second: per_second.max(1), burst: burst.max(1) }
    }

    /// Units in a second.
    #[must_use]
    pub fn per_second(self) -> u64 {
        self.per_second
    }

    /// Units at once.
    #[must_use]
    pub fn burst(self) -> u64 {
        self.burst
    }

    /// Time in which so many units come, ns, rounded down.
    fn ns_of(self, units: u64) -> u64 {
        let ns = u128::from(units) * SECOND_NS / u128::from(self.per_second);
        u64::try_from(ns).unwrap_or(u64::MAX)
    }

    /// The most units whose time is at most so many ns.
    fn units_of(self, ns: u64) -> u64 {
        let beyond = (u128::from(ns) + 1) * u128::from(self.per_second);
        u64::try_from(beyond.div_ceil(SECOND_NS) - 1).unwrap_or(u64::MAX)
    }
}

/// A bucket, full at first.
///
/// Concurrency: any thread. It only counts, nothing is published through it, so all accesses are relaxed. Threads
/// that look at the same time see the same room and may all spend it: what that is too much is missing later.
/// Units: times are ns on any clock that all callers share; one that lies behind another's is harmless.
#[derive(Debug, Default)]
pub struct Rate {
    /// When the bucket is full again, ns.
    full_at: AtomicU64,
}

impl Rate {
    /// A full one.
    #[must_use]
    pub fn new() -> Self {
        Self { full_at: AtomicU64::new(0) }
    }

    /// Units that are there; 0 also while there is a debt.
    #[must_use]
    pub fn room(&self, pace: Pace, now_ns: u64) -> u64 {
        let missing = self.missing_ns(now_ns);
        pace.ns_of(pace.burst).checked_sub(missing).map_or(0, |ns| pace.units_of(ns))
    }

    /// Takes units, whether they are there or not.
    pub fn spend(&self, pace: Pace, units: u64, now_ns: u64) {
        self.spend_down_to(pace, units, now_ns, u64::MAX);
    }

    /// Takes units; a debt grows no further than `debt` of them, and what is beyond that is forgiven.
    pub fn spend_down_to(&self, pace: Pace, units: u64, now_ns: u64, debt: u64) {
        let ns = pace.ns_of(units);
        let most = now_ns.saturating_add(pace.ns_of(pace.burst)).saturating_add(pace.ns_of(debt));
        let mut full_at = self.full_at.load(Ordering::Relaxed);
        loop {
            // Never earlier: another thread may have spent at a later time.
            let later = full_at.max(now_ns).saturating_add(ns).min(most.max(full_at));
            // Relaxed, both: see the type.
            match self.full_at.compare_exchange_weak(
                full_at,
                later,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => full_at = now,
            }
        }
    }

    /// Time until so many units are there, ns, if none is spent meanwhile; 0 = they are. More than a burst never are:
    /// for these it is the time in which a larger bucket would have them.
    #[must_use]
    pub fn wait_ns(&self, pace: Pace, units: u64, now_ns: u64) -> u64 {
        let wanted_ns = self.missing_ns(now_ns).saturating_add(pace.ns_of(units));
        wanted_ns.saturating_sub(pace.ns_of(pace.burst))
    }

    /// Whether it is as if nothing had ever been spent.
    #[must_use]
    pub fn is_full(&self, now_ns: u64) -> bool {
        self.missing_ns(now_ns) == 0
    }

    fn missing_ns(&self, now_ns: u64) -> u64 {
        self.full_at.load(Ordering::Relaxed).saturating_sub(now_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prim::Arc;
    use crate::testing::{model, size, spawn};

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_debt_can_have_an_end() {
        model(|| {
            let (pace, rate) = (Pace::new(10, 10), Rate::new());
            rate.spend_down_to(pace, 1_000, SECOND, 5);
            assert_eq!(rate.room(pace, SECOND), 0);
            // Five are owed, so in six tenths of a second there is one.
            assert_eq!(rate.wait_ns(pace, 1, SECOND), 6 * SECOND / 10);
            rate.spend_down_to(pace, 1, SECOND, 0);
            assert_eq!(
                rate.wait_ns(pace, 1, SECOND),
                6 * SECOND / 10,
                "no debt becomes smaller by spending"
            );
        });
    }

    /// Spends one by one while there is room, at most `most`; says how many.
    fn take(rate: &Rate, pace: Pace, most: u64, now_ns: u64) -> u64 {
        let mut taken = 0;
        while taken < most && rate.room(pace, now_ns) > 0 {
            rate.spend(pace, 1, now_ns);
            taken += 1;
        }
        taken
    }

    #[test]
    fn a_burst_is_there_at_once_and_then_what_the_rate_gives() {
        model(|| {
            for per_second in [1, 3, 7, 100, 999_983, 100_000_000] {
                let (pace, rate) = (Pace::new(per_second, 5), Rate::new());
                // Some time after the clock began, at no round figure.
                let start = 77 * SECOND + 13;
                assert_eq!(rate.room(pace, start), 5, "{pace:?}");
                assert_eq!(take(&rate, pace, 100, start), 5, "{pace:?}");
                let wait_ns = rate.wait_ns(pace, 1, start);
                assert!(wait_ns > 0 && rate.room(pace, start + wait_ns - 1) == 0, "{pace:?}");
                assert_eq!(take(&rate, pace, 100, start + wait_ns), 1, "{pace:?}");
                // Full again, and not fuller.
                let later = start + wait_ns + 6 * SECOND;
                assert!(rate.is_full(later));
                assert_eq!(take(&rate, pace, 100, later), 5, "{pace:?}");
            }
        });
    }

    #[test]
    fn what_was_spent_beyond_the_room_is_missing_until_it_has_come() {
        model(|| {
            let (pace, rate) = (Pace::new(10, 10), Rate::new());
            rate.spend(pace, 10 + 30, 0);
            assert_eq!(rate.room(pace, 2 * SECOND), 0);
            assert_eq!(rate.wait_ns(pace, 1, 0), 3 * SECOND + SECOND / 10);
            assert_eq!(rate.wait_ns(pace, 20, 0), 5 * SECOND);
            assert_eq!(rate.room(pace, 3 * SECOND + SECOND / 10), 1);
            assert!(!rate.is_full(3 * SECOND + SECOND / 10));
            // Sums that no server reaches overflow nowhere.
            rate.spend(pace, u64::MAX, 0);
            rate.spend(pace, u64::MAX, u64::MAX);
            assert_eq!(rate.room(pace, 0), 0);
            assert_eq!(rate.room(Pace::new(u64::MAX, u64::MAX), 0), 0);
        });
    }

    #[test]
    fn over_any_time_no_more_is_given_than_burst_and_rate() {
        model(|| {
            let (pace, rate) = (Pace::new(1_000, 50), Rate::new());
            let (mut now_ns, mut taken, mut step) = (0, 0, 12_345);
            for _ in 0..size(10, 2_000) {
                taken += take(&rate, pace, u64::MAX, now_ns);
                assert!(taken <= 50 + now_ns / 1_000_000 + 1, "{taken} after {now_ns} ns");
                step = (step * 48_271 + 11) % 30_000_000;
                now_ns += step;
            }
        });
    }

    #[test]
    fn loom_nothing_that_is_spent_is_lost() {
        let rounds = size(2, 20_000);
        model(move || {
            let pace = Pace::new(1_000, 10);
            let rate = Arc::new(Rate::new());
            let other = {
                let rate = Arc::clone(&rate);
                spawn(move || (0..rounds).for_each(|_| rate.spend(pace, 2, 5)))
            };
            (0..rounds).for_each(|_| rate.spend(pace, 1, 5));
            // A look at any moment is one of something that was.
            assert!(rate.room(pace, 5) <= 10);
            other.join().unwrap();
            let all_ns = 3 * rounds * 1_000_000;
            assert!(!rate.is_full(5 + all_ns - 1) && rate.is_full(5 + all_ns));
        });
    }
}
