//! The durable mark: how far the journal is known to be on disk. It never goes back, wakes nobody,
//! and knows nothing of what it counts.

use crate::padded::Padded;
use crate::prim::{AtomicU64, Ordering};

/// A position that only rises.
///
/// Concurrency: who sees a position also sees all that its raiser did before raising it.
#[derive(Debug)]
pub struct DurableMark(Padded<AtomicU64>);

impl DurableMark {
    /// A mark at `position`; 0 means nothing is durable.
    #[must_use]
    pub fn new(position: u64) -> Self {
        Self(Padded(AtomicU64::new(position)))
    }

    /// Raises the mark to `position`; does nothing if it is there or beyond already.
    pub fn raise(&self, position: u64) {
        // Release: pairs with the acquire in `get`.
        self.0.fetch_max(position, Ordering::Release);
    }

    /// The highest position raised so far, inclusive.
    #[must_use]
    pub fn get(&self) -> u64 {
        // Acquire: pairs with the release in `raise`.
        self.0.load(Ordering::Acquire)
    }

    /// True if `position` has been reached.
    #[must_use]
    pub fn covers(&self, position: u64) -> bool {
        position <= self.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prim::Arc;
    use crate::testing::{Shelf, model, size, spawn};

    #[test]
    fn loom_durable_mark_never_goes_back() {
        let raises = size(2, 10_000);
        model(move || {
            let mark = Arc::new(DurableMark::new(0));
            let writer = {
                let mark = Arc::clone(&mark);
                spawn(move || (1..=raises).for_each(|position| mark.raise(position)))
            };
            let first = mark.get();
            let second = mark.get();
            assert!(first <= second);
            writer.join().unwrap();
            assert_eq!(mark.get(), raises);
            mark.raise(0);
            assert!(mark.covers(raises) && !mark.covers(raises + 1));
        });
    }

    #[test]
    fn loom_durable_mark_shows_what_was_done_before() {
        model(|| {
            let mark = Arc::new(DurableMark::new(0));
            let shelf = Arc::new(Shelf::new());
            let writer = {
                let (mark, shelf) = (Arc::clone(&mark), Arc::clone(&shelf));
                spawn(move || {
                    shelf.put(7);
                    mark.raise(1);
                })
            };
            if mark.covers(1) {
                assert_eq!(shelf.look(), 7);
            }
            writer.join().unwrap();
        });
    }

    #[test]
    fn loom_two_raisers_leave_the_higher_position() {
        model(|| {
            let mark = Arc::new(DurableMark::new(0));
            let other = {
                let mark = Arc::clone(&mark);
                spawn(move || mark.raise(5))
            };
            mark.raise(3);
            assert!(mark.covers(3));
            other.join().unwrap();
            assert_eq!(mark.get(), 5);
        });
    }
}
