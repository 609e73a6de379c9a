//! How long to wait before trying again: exponential, with full jitter. Never sleeps itself.

use std::time::Duration;
use uuid::Uuid;

/// Bounds of the waiting time: before try `n` (0-based) it is a random part of
/// `min(most, first * 2^n)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffLimits {
    /// Longest wait before the first repetition.
    pub first: Duration,
    /// Longest wait of all.
    pub most: Duration,
}

impl Default for BackoffLimits {
    fn default() -> Self {
        Self { first: Duration::from_millis(20), most: Duration::from_secs(5) }
    }
}

/// Counts failed tries and draws waiting times.
#[derive(Debug)]
pub(crate) struct Backoff {
    limits: BackoffLimits,
    failures: u32,
    random: Random,
}

impl Backoff {
    pub(crate) fn new(limits: BackoffLimits) -> Self {
        Self { limits, failures: 0, random: Random::from_system() }
    }

    /// Something worked: the next wait is short again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// A try failed; how long to wait before the next one, at least `floor`.
    pub(crate) fn after_failure(&mut self, floor: Duration) -> Duration {
        let ceiling = ceiling(self.limits, self.failures);
        self.failures = self.failures.saturating_add(1);
        floor.saturating_add(ceiling.mul_f64(self.random.fraction()))
    }
}

fn ceiling(limits: BackoffLimits, failures: u32) -> Duration {
    let factor = 1_u32.checked_shl(failures).unwrap_or(u32::MAX);
    limits.first.saturating_mul(factor).min(limits.most)
}

/// A small generator (SplitMix64): spreads clients apart, keeps no secret.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn from_system() -> Self {
        Self(Uuid::new_v4().as_u64_pair().0)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// In 0 to 1, 1 excluded.
    fn fraction(&mut self) -> f64 {
        let bits = u32::try_from(self.next() >> 32).unwrap_or(0);
        f64::from(bits) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_and_ends() {
        let limits =
            BackoffLimits { first: Duration::from_millis(10), most: Duration::from_millis(100) };
        let ceilings: Vec<u128> = (0..6).map(|n| ceiling(limits, n).as_millis()).collect();
        assert_eq!(ceilings, [10, 20, 40, 80, 100, 100]);
        assert_eq!(ceiling(limits, 1_000), limits.most);
    }

    #[test]
    fn waits_keep_the_floor_and_stay_below_the_ceiling() {
        let limits =
            BackoffLimits { first: Duration::from_millis(10), most: Duration::from_millis(40) };
        let floor = Duration::from_millis(7);
        let mut backoff = Backoff::new(limits);
        for _ in 0..1_000 {
            let wait = backoff.after_failure(floor);
            assert!(wait >= floor && wait < floor + limits.most);
        }
        backoff.reset();
        assert!(backoff.after_failure(Duration::ZERO) < limits.first);
    }

    #[test]
    fn fractions_fill_the_unit_interval() {
        let mut random = Random(1);
        let drawn: Vec<f64> = (0..10_000).map(|_| random.fraction()).collect();
        assert!(drawn.iter().all(|f| (0.0..1.0).contains(f)));
        let mean = drawn.iter().sum::<f64>() / 10_000.0;
        assert!((0.48..0.52).contains(&mean), "{mean}");
    }
}
