//! How many were there: counts each of many once in every period, whatever its threads do at the same time.
//! Publishes nothing and orders nothing; who ends a period says when.

use crate::prim::{AtomicU64, Ordering};

/// How many were seen in this period and in the last one.
///
/// Concurrency: any thread counts, one ends periods. All accesses are relaxed: the words are exact because they are
/// changed by read-modify-write alone, and nothing is published through them.
#[derive(Debug)]
pub struct Census {
    /// The period, from 1 on, above; how many were seen in it, below.
    now: AtomicU64,
    before: AtomicU64,
}

/// The last period in which one of them was counted.
#[derive(Debug, Default)]
pub struct Seen(AtomicU64);

/// Where the period stands in the word.
const PERIOD_SHIFT: u32 = 32;
/// The part of the word that counts.
const COUNT_MASK: u64 = (1 << PERIOD_SHIFT) - 1;

impl Census {
    /// Nobody was seen.
    #[must_use]
    pub fn new() -> Self {
        Self { now: AtomicU64::new(1 << PERIOD_SHIFT), before: AtomicU64::new(0) }
    }

    /// Counts one unless it was counted in this period. True: it was not.
    ///
    /// Shape: one load of each word for whoever was counted.
    #[inline]
    pub fn count(&self, seen: &Seen) -> bool {
        loop {
            let word = self.now.load(Ordering::Relaxed);
            let period = word >> PERIOD_SHIFT;
            if seen.0.load(Ordering::Relaxed) >= period {
                return false;
            }
            // Of those who try at the same moment one alone finds it lower.
            if seen.0.fetch_max(period, Ordering::Relaxed) >= period {
                return false;
            }
            if self.add(word) {
                return true;
            }
            // The period has ended meanwhile: it is one of the next one.
        }
    }

    /// Adds one to the period of this word. False: it has ended.
    fn add(&self, mut word: u64) -> bool {
        let period = word >> PERIOD_SHIFT;
        loop {
            let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
            match self.now.compare_exchange_weak(word, word + 1, success, failure) {
                Ok(_) => return true,
                Err(other) if other >> PERIOD_SHIFT == period => word = other,
                Err(_) => return false,
            }
        }
    }

    /// Those seen in this period or in the last one, whichever were more; at least 1, for whoever asks.
    #[inline]
    pub fn active(&self) -> u64 {
        let now = self.now.load(Ordering::Relaxed) & COUNT_MASK;
        now.max(self.before.load(Ordering::Relaxed)).max(1)
    }

    /// Ends the period; returns how many were seen in it.
    pub fn turn(&self) -> u64 {
        let mut word = self.now.load(Ordering::Relaxed);
        loop {
            let next = ((word >> PERIOD_SHIFT) + 1) << PERIOD_SHIFT;
            let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
            match self.now.compare_exchange_weak(word, next, success, failure) {
                Ok(_) => break,
                Err(other) => word = other,
            }
        }
        let count = word & COUNT_MASK;
        self.before.store(count, Ordering::Relaxed);
        count
    }
}

impl Default for Census {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prim::Arc;
    use crate::testing::{model, size, spawn};

    #[test]
    fn each_is_counted_once_a_period() {
        model(|| {
            let (census, one, other) = (Census::new(), Seen::default(), Seen::default());
            assert_eq!(census.active(), 1);
            assert!(census.count(&one) && !census.count(&one) && census.count(&other));
            assert_eq!(census.active(), 2);
            assert_eq!(census.turn(), 2);
            assert!(census.count(&one));
            assert_eq!(census.active(), 2, "those of the last period are still there");
            assert_eq!((census.turn(), census.active()), (1, 1));
            assert_eq!((census.turn(), census.active()), (0, 1));
        });
    }

    #[test]
    fn loom_one_that_is_seen_by_several_threads_is_one() {
        let rounds = size(2, 20_000);
        model(move || {
            let shared = Arc::new((Census::new(), Seen::default()));
            let spawned = |shared: &Arc<(Census, Seen)>| {
                let shared = Arc::clone(shared);
                spawn(move || (0..rounds).filter(|_| shared.0.count(&shared.1)).count() as u64)
            };
            let (one, other) = (spawned(&shared), spawned(&shared));
            let (mut periods, mut counted) = (0, 0);
            for _ in 0..rounds.min(1_000) {
                let count = shared.0.turn();
                assert!(count <= 1, "one was counted {count} times");
                periods += 1;
                counted += count;
                assert_eq!(shared.0.active(), 1);
            }
            let firsts = one.join().unwrap() + other.join().unwrap();
            counted += shared.0.turn();
            assert_eq!(counted, firsts, "who counted and what was counted");
            assert!(firsts >= 1 && firsts <= periods + 1);
        });
    }
}
