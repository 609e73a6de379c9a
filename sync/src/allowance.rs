//! An amount that all of the server shares: bytes in flight over all connections, or how many
//! connections there are. It refuses, never waits, and orders nothing.

use std::fmt;

use crate::padded::Padded;
use crate::prim::{Arc, AtomicU64, Ordering};

/// A counter that never passes its limit.
///
/// Concurrency: any thread. It only counts, nothing is published through it, so all accesses are
/// relaxed; read-modify-writes are exact all the same.
#[derive(Debug)]
pub struct Allowance {
    limit: u64,
    used: Padded<AtomicU64>,
}

impl Allowance {
    /// Nothing used, and `limit` units, inclusive.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { limit, used: Padded(AtomicU64::new(0)) }
    }

    /// Takes `units`, all or none. False: they would have passed the limit.
    #[must_use]
    pub fn try_take(&self, units: u64) -> bool {
        let mut used = self.used.load(Ordering::Relaxed);
        loop {
            let Some(wanted) = used.checked_add(units).filter(|&wanted| wanted <= self.limit)
            else {
                return false;
            };
            // Relaxed, both: see the type.
            match self.used.compare_exchange_weak(
                used,
                wanted,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => used = now,
            }
        }
    }

    /// Gives `units` back.
    ///
    /// Panics: if fewer are in use.
    pub fn give_back(&self, units: u64) {
        let used = self.used.fetch_sub(units, Ordering::Relaxed);
        assert!(used >= units, "{units} units given back to an allowance with {used} used");
    }

    /// What is used.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// The limit, inclusive.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }
}

/// Units of an [`Allowance`] that come back when this is dropped, whatever way its holder ends.
pub struct Share {
    allowance: Arc<Allowance>,
    units: u64,
}

impl Share {
    /// Takes `units` of `allowance`, all or none. `None`: they would have passed the limit.
    #[must_use]
    pub fn take(allowance: &Arc<Allowance>, units: u64) -> Option<Self> {
        allowance.try_take(units).then(|| Self { allowance: Arc::clone(allowance), units })
    }

    /// Takes `units` more, all or none. False: they would have passed the limit.
    #[must_use]
    pub fn grow(&mut self, units: u64) -> bool {
        let is_taken = self.allowance.try_take(units);
        if is_taken {
            self.units += units;
        }
        is_taken
    }

    /// Gives `units` of this share back.
    ///
    /// Panics: if it holds fewer.
    pub fn shrink(&mut self, units: u64) {
        assert!(units <= self.units, "a share of {} can't shrink by {units}", self.units);
        self.units -= units;
        self.allowance.give_back(units);
    }

    /// Units held.
    #[must_use]
    pub fn units(&self) -> u64 {
        self.units
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.allowance.give_back(self.units);
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share").field("units", &self.units).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{model, size, spawn};

    #[test]
    fn a_share_comes_back_whole() {
        model(|| {
            let allowance = Arc::new(Allowance::new(10));
            let mut share = Share::take(&allowance, 4).unwrap();
            assert!(Share::take(&allowance, 7).is_none());
            assert!(share.grow(6) && !share.grow(1) && !share.grow(u64::MAX));
            assert_eq!((share.units(), allowance.used()), (10, 10));
            share.shrink(3);
            assert_eq!((share.units(), allowance.used()), (7, 7));
            drop(share);
            assert_eq!((allowance.used(), allowance.limit()), (0, 10));
        });
    }

    #[test]
    #[should_panic(expected = "given back to an allowance")]
    fn more_than_is_used_cannot_come_back() {
        model(|| Allowance::new(10).give_back(1));
    }

    #[test]
    fn loom_an_allowance_is_never_passed_and_comes_back_whole() {
        let rounds = size(1, 20_000);
        model(move || {
            let allowance = Arc::new(Allowance::new(2));
            let takers: Vec<_> = (0..size(2, 4))
                .map(|_| {
                    let allowance = Arc::clone(&allowance);
                    spawn(move || {
                        for _ in 0..rounds {
                            let share = Share::take(&allowance, 2);
                            let is_other = allowance.try_take(1);
                            assert!(share.is_none() || !is_other);
                            if is_other {
                                allowance.give_back(1);
                            }
                        }
                    })
                })
                .collect();
            assert!(allowance.used() <= 2);
            takers.into_iter().for_each(|taker| taker.join().unwrap());
            assert_eq!(allowance.used(), 0);
        });
    }
}
