//! One quota counter, shared by all workers. It never lets `used` pass the limit by a take, and
//! knows neither project nor resource.

use std::fmt;

use crate::prim::{AtomicU64, Ordering, fence};

/// A limit and how much of it is used.
///
/// Concurrency: any thread. A take that succeeds sees what was done before every earlier give-back
/// (the hand-over that freed the units), and a refusal sees what was done before the takes that
/// used the quota up (the drain counter of their worker, see [`crate::DrainWatch`]).
#[derive(Debug)]
pub struct QuotaCell {
    limit: AtomicU64,
    used: AtomicU64,
}

/// A take that would have passed the limit. Nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over {
    /// The limit it was judged by.
    pub limit: u64,
    /// What was used at that moment.
    pub used: u64,
    /// What was asked for.
    pub asked: u64,
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} asked, {} of {} used", self.asked, self.used, self.limit)
    }
}

impl std::error::Error for Over {}

impl QuotaCell {
    /// Stands for "no limit".
    pub const UNLIMITED: u64 = u64::MAX;

    /// A cell with nothing used. Units: `limit` is inclusive.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { limit: AtomicU64::new(limit), used: AtomicU64::new(0) }
    }

    /// Takes `asked` units, all or none.
    ///
    /// Errors: [`Over`] if `used + asked` is more than the limit; nothing is taken.
    pub fn take(&self, asked: u64) -> Result<(), Over> {
        self.take_against(asked, 0).map(drop)
    }

    /// Takes `asked` units, all or none, the first of them out of `credit`: units that the caller has
    /// freed in the drain that it is in, and that still count as used here. Gives how many came from
    /// the cell; the others the caller takes off its credit.
    ///
    /// Errors: [`Over`] if what is used without the credit, and `asked`, is more than the limit;
    /// nothing is taken.
    pub fn take_against(&self, asked: u64, credit: u64) -> Result<u64, Over> {
        let (more, spare) = (asked.saturating_sub(credit), credit.saturating_sub(asked));
        // Relaxed: a take beside a `set_limit` may be judged by either limit.
        let limit = self.limit.load(Ordering::Relaxed);
        // Relaxed, here and on failure: a guess until the exchange or the fence below.
        let mut used = self.used.load(Ordering::Relaxed);
        loop {
            let is_room = |wanted: &u64| wanted.saturating_sub(spare) <= limit;
            let Some(wanted) = used.checked_add(more).filter(is_room) else {
                // Acquire: pairs with the release of the takes counted in `used`, since a refusal
                // goes on to read the drain counters of their workers.
                fence(Ordering::Acquire);
                return Err(Over { limit, used: used.saturating_sub(credit), asked });
            };
            if more == 0 {
                return Ok(0);
            }
            // Release: pairs with the fence above. Acquire: pairs with the release in `give_back`.
            // All changes are read-modify-writes, so each releases to every later one.
            match self.used.compare_exchange_weak(used, wanted, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return Ok(more),
                Err(now) => used = now,
            }
        }
    }

    /// Counts `units` as used, whatever the limit: who restores what was there before asks nobody.
    pub fn put(&self, units: u64) {
        // As in `take`.
        let before = self.used.fetch_add(units, Ordering::AcqRel);
        assert!(before.checked_add(units).is_some(), "{units} units put to {before} are too many");
    }

    /// Gives `units` back. Call it after the hand-over that frees them was pushed.
    ///
    /// Panics: if fewer are in use, which means that the books are wrong.
    pub fn give_back(&self, units: u64) {
        // Release: pairs with the acquire in `take`; the freeing hand-over comes before the taking.
        let used = self.used.fetch_sub(units, Ordering::Release);
        assert!(used >= units, "{units} units given back to a quota with {used} used");
    }

    /// Changes the limit. It may be below what is used; takes are then refused until it isn't.
    pub fn set_limit(&self, limit: u64) {
        // Relaxed: guards nothing; limits change in a rendezvous, which orders everything.
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Sets what is used, as counted from the state. At start only, before the cell is shared.
    pub fn set_used(&self, used: u64) {
        // Relaxed: sharing the cell publishes it.
        self.used.store(used, Ordering::Relaxed);
    }

    /// The limit, inclusive.
    #[must_use]
    pub fn limit(&self) -> u64 {
        // Relaxed: a figure for people.
        self.limit.load(Ordering::Relaxed)
    }

    /// What is used.
    #[must_use]
    pub fn used(&self) -> u64 {
        // Relaxed: a figure for people.
        self.used.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prim::Arc;
    use crate::testing::{Shelf, model, size, spawn};

    #[test]
    fn a_take_is_all_or_nothing_and_says_its_numbers() {
        model(|| {
            let cell = QuotaCell::new(10);
            cell.set_used(4);
            assert_eq!(cell.take(7), Err(Over { limit: 10, used: 4, asked: 7 }));
            assert_eq!(cell.take(u64::MAX), Err(Over { limit: 10, used: 4, asked: u64::MAX }));
            assert_eq!(cell.take(6), Ok(()));
            assert_eq!(cell.take(1), Err(Over { limit: 10, used: 10, asked: 1 }));
            assert_eq!(cell.take(0), Ok(()));
            cell.set_limit(5);
            assert_eq!(cell.take(0), Err(Over { limit: 5, used: 10, asked: 0 }));
            cell.give_back(10);
            assert_eq!((cell.used(), cell.limit()), (0, 5));
            cell.put(7);
            assert_eq!(cell.take(1), Err(Over { limit: 5, used: 7, asked: 1 }));
        });
    }

    #[test]
    fn what_was_freed_just_now_is_taken_first() {
        model(|| {
            let cell = QuotaCell::new(10);
            cell.set_used(10);
            assert_eq!(cell.take_against(2, 3), Ok(0));
            assert_eq!(cell.take_against(3, 3), Ok(0));
            assert_eq!(cell.take_against(4, 3), Err(Over { limit: 10, used: 7, asked: 4 }));
            cell.set_used(8);
            assert_eq!(cell.take_against(5, 3), Ok(2));
            assert_eq!(cell.used(), 10);
            // What is used beyond a limit that came later is not taken again.
            cell.set_limit(6);
            assert_eq!(cell.take_against(1, 3), Err(Over { limit: 6, used: 7, asked: 1 }));
            assert_eq!(cell.take_against(1, 5), Ok(0));
        });
    }

    #[test]
    fn no_limit_is_no_limit() {
        model(|| {
            let cell = QuotaCell::new(QuotaCell::UNLIMITED);
            assert_eq!(cell.take(u64::MAX - 1), Ok(()));
            assert_eq!(cell.take(1), Ok(()));
            assert!(cell.take(1).is_err());
        });
    }

    #[test]
    #[should_panic(expected = "given back to a quota")]
    fn more_than_is_used_cannot_come_back() {
        model(|| QuotaCell::new(10).give_back(1));
    }

    #[test]
    fn loom_racing_takers_get_exactly_what_is_left() {
        let threads = size(3, 64);
        let left = size(2, 10);
        for _ in 0..size(1, 200) {
            model(move || {
                let cell = Arc::new(QuotaCell::new(1_000));
                cell.set_used(1_000 - left);
                let takers: Vec<_> = (0..threads)
                    .map(|_| {
                        let cell = Arc::clone(&cell);
                        spawn(move || cell.take(1).is_ok())
                    })
                    .collect();
                let got = takers.into_iter().map(|taker| taker.join().unwrap());
                assert_eq!(got.filter(|&got| got).count() as u64, left);
                assert_eq!(cell.used(), 1_000);
            });
        }
    }

    #[test]
    fn loom_used_is_never_past_the_limit_while_units_come_and_go() {
        let rounds = size(1, 20_000);
        model(move || {
            let cell = Arc::new(QuotaCell::new(3));
            let workers: Vec<_> = (1..=2)
                .map(|units| {
                    let cell = Arc::clone(&cell);
                    spawn(move || {
                        for _ in 0..rounds {
                            if cell.take(units).is_ok() {
                                cell.give_back(units);
                            }
                        }
                    })
                })
                .collect();
            assert!(cell.used() <= 3);
            workers.into_iter().for_each(|worker| worker.join().unwrap());
            assert_eq!(cell.used(), 0);
        });
    }

    // The next two are run with the roles both ways round: loom's first schedule runs this thread to
    // its end, and it doesn't find every other schedule of a loop of load and exchange.

    #[test]
    fn loom_a_take_sees_what_was_done_before_the_units_came_back() {
        fn free(cell: &QuotaCell, handed_over: &Shelf) {
            handed_over.put(1);
            cell.give_back(1);
        }
        fn take(cell: &QuotaCell, handed_over: &Shelf) {
            if cell.take(1).is_ok() {
                assert_eq!(handed_over.look(), 1);
            }
        }
        fn run(here: fn(&QuotaCell, &Shelf), there: fn(&QuotaCell, &Shelf)) {
            model(move || {
                let cell = Arc::new(QuotaCell::new(1));
                cell.set_used(1);
                let handed_over = Arc::new(Shelf::new());
                let other = {
                    let (cell, handed_over) = (Arc::clone(&cell), Arc::clone(&handed_over));
                    spawn(move || there(&cell, &handed_over))
                };
                here(&cell, &handed_over);
                other.join().unwrap();
            });
        }
        run(free, take);
        run(take, free);
    }

    #[test]
    fn loom_a_refusal_sees_what_was_done_before_the_last_take() {
        /// Takes the last unit, or looks at what the other did before taking it.
        fn race(cell: &QuotaCell, mine: &Shelf, other: &Shelf) -> bool {
            mine.put(1);
            let is_taken = cell.take(1).is_ok();
            assert!(is_taken || other.look() == 1);
            is_taken
        }
        for _ in 0..size(1, 1_000) {
            model(|| {
                let cell = Arc::new(QuotaCell::new(1));
                let [mine, other] = [Arc::new(Shelf::new()), Arc::new(Shelf::new())];
                let racer = {
                    let (cell, mine, other) =
                        (Arc::clone(&cell), Arc::clone(&other), Arc::clone(&mine));
                    spawn(move || race(&cell, &mine, &other))
                };
                let is_taken = race(&cell, &mine, &other);
                assert_ne!(racer.join().unwrap(), is_taken, "one of them gets the last unit");
            });
        }
    }
}
