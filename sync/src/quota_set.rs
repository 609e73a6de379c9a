//! The quotas of one project that workers share: several cells that one operation may take from at
//! once, from all of them or from none. It knows neither project nor resources.

use crate::prim::{Mutex, MutexGuard};
use crate::quota::{Over, QuotaCell};
use std::sync::PoisonError;

/// Cells that are taken from together.
///
/// A take from one cell is the cell's own. One from several takes from each in turn, and gives back
/// what it took when a later one refuses; nobody may be refused because of units that were never
/// used, so whoever is refused asks again under the lock that a take from several holds meanwhile.
///
/// Concurrency: any thread. A take that succeeds from one cell touches no lock. Under it nothing but
/// the cells is touched.
#[derive(Debug)]
pub struct QuotaSet<const KINDS: usize> {
    cells: [QuotaCell; KINDS],
    several: Mutex<()>,
}

impl<const KINDS: usize> QuotaSet<KINDS> {
    /// Limits, inclusive ([`QuotaCell::UNLIMITED`] = none), and what is used as counted from the
    /// state.
    #[must_use]
    pub fn new(limits: [u64; KINDS], used: [u64; KINDS]) -> Self {
        let cells = std::array::from_fn(|kind| {
            let cell = QuotaCell::new(limits[kind]);
            cell.set_used(used[kind]);
            cell
        });
        Self { cells, several: Mutex::new(()) }
    }

    /// One of the cells.
    ///
    /// Panics: if there are not so many.
    #[must_use]
    pub fn cell(&self, kind: usize) -> &QuotaCell {
        &self.cells[kind]
    }

    /// Takes from every cell what is asked of it, or nothing from any; `credit` as in
    /// [`QuotaCell::take_against`]. Gives how many units came from each cell.
    ///
    /// Errors: which cell refused, and its numbers. Nothing is taken, and at no moment did anybody
    /// find a unit missing because of it.
    pub fn take(
        &self,
        asked: [u64; KINDS],
        credit: [u64; KINDS],
    ) -> Result<[u64; KINDS], (usize, Over)> {
        let mut taken = [0; KINDS];
        let kinds = || (0..KINDS).filter(|&kind| asked[kind] > 0);
        if kinds().count() == 1
            && let Some(kind) = kinds().next()
            && let Ok(units) = self.cells[kind].take_against(asked[kind], credit[kind])
        {
            taken[kind] = units;
            return Ok(taken);
        }
        let alone = self.alone();
        for kind in kinds() {
            match self.cells[kind].take_against(asked[kind], credit[kind]) {
                Ok(units) => taken[kind] = units,
                Err(over) => {
                    (0..kind).for_each(|before| self.cells[before].give_back(taken[before]));
                    drop(alone);
                    return Err((kind, over));
                }
            }
        }
        Ok(taken)
    }

    fn alone(&self) -> MutexGuard<'_, ()> {
        // It guards no data; a panic under it stops the process.
        self.several.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prim::Arc;
    use crate::testing::{model, size, spawn};

    #[test]
    fn all_are_taken_or_none() {
        model(|| {
            let set = QuotaSet::new([10, 3, QuotaCell::UNLIMITED], [0, 2, 0]);
            assert_eq!(set.take([4, 1, 5], [0; 3]), Ok([4, 1, 5]));
            let refused = set.take([6, 1, 1], [0; 3]);
            assert_eq!(refused, Err((1, Over { limit: 3, used: 3, asked: 1 })));
            let used = || [0, 1, 2].map(|kind| set.cell(kind).used());
            assert_eq!(used(), [4, 3, 5]);
            assert_eq!(
                set.take([7, 1, 0], [0, 1, 0]),
                Err((0, Over { limit: 10, used: 4, asked: 7 }))
            );
            assert_eq!(set.take([6, 1, 0], [0, 1, 0]), Ok([6, 0, 0]));
            assert_eq!(set.take([0; 3], [0; 3]), Ok([0; 3]));
            assert_eq!(used(), [10, 3, 5]);
        });
    }

    /// A take from several that comes to nothing is as if it had never been: who asks for one unit
    /// of what it had for a moment is not refused because of it.
    #[test]
    fn loom_nobody_is_refused_for_units_that_were_never_used() {
        let rounds = size(1, 5_000);
        model(move || {
            let set = Arc::new(QuotaSet::new([1, 0], [0, 0]));
            let other = {
                let set = Arc::clone(&set);
                spawn(move || {
                    for _ in 0..rounds {
                        assert!(set.take([1, 1], [0; 2]).is_err(), "none of the second kind");
                    }
                })
            };
            for _ in 0..rounds {
                assert_eq!(set.take([1, 0], [0; 2]), Ok([1, 0]), "nobody used the only unit");
                set.cell(0).give_back(1);
            }
            other.join().unwrap();
            assert_eq!([0, 1].map(|kind| set.cell(kind).used()), [0, 0]);
        });
    }

    /// Two that want the last of both kinds: one gets both, the other neither.
    #[test]
    fn loom_two_who_want_the_last_of_both_do_not_share_them() {
        for _ in 0..size(1, 500) {
            model(|| {
                let set = Arc::new(QuotaSet::new([1, 1], [0, 0]));
                let racer = {
                    let set = Arc::clone(&set);
                    spawn(move || set.take([1, 1], [0; 2]).is_ok())
                };
                let got = set.take([1, 1], [0; 2]).is_ok();
                assert_ne!(racer.join().unwrap(), got);
                assert_eq!([0, 1].map(|kind| set.cell(kind).used()), [1, 1]);
            });
        }
    }
}
