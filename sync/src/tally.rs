//! Plain counters of one thread for hot-path metrics: the owner adds without any locked
//! instruction, everybody may read. It knows no metric names; the caller's indices give meaning.

use crate::padded::Padded;
use crate::prim::{Arc, AtomicU64, Ordering};

/// Makes `N` counters at zero, their one writer and a reader.
#[must_use]
pub fn tally<const N: usize>() -> (Tally<N>, TallyReader<N>) {
    let cells = Arc::new(Padded(std::array::from_fn(|_| AtomicU64::new(0))));
    (Tally { cells: Arc::clone(&cells) }, TallyReader { cells })
}

/// The writing end; there is one, and it takes `&mut self`, so a load and a store make an addition.
#[derive(Debug)]
pub struct Tally<const N: usize> {
    cells: Arc<Padded<[AtomicU64; N]>>,
}

impl<const N: usize> Tally<N> {
    /// Adds `amount` to counter `index`, 0-based, wrapping at 2^64.
    ///
    /// Panics: if `index` is `N` or more.
    #[inline]
    pub fn add(&mut self, index: usize, amount: u64) {
        bump(&self.cells[index], amount);
    }

    /// Replaces counter `index`, 0-based: for figures that rise and fall, such as live addresses.
    ///
    /// Panics: if `index` is `N` or more.
    #[inline]
    pub fn set(&mut self, index: usize, value: u64) {
        // Relaxed: as in `bump`.
        self.cells[index].store(value, Ordering::Relaxed);
    }

    /// A reader of the same counters.
    #[must_use]
    pub fn reader(&self) -> TallyReader<N> {
        TallyReader { cells: Arc::clone(&self.cells) }
    }
}

/// The reading end.
#[derive(Clone, Debug)]
pub struct TallyReader<const N: usize> {
    cells: Arc<Padded<[AtomicU64; N]>>,
}

impl<const N: usize> TallyReader<N> {
    /// Each counter at some recent moment, not all at the same one.
    #[must_use]
    pub fn snapshot(&self) -> [u64; N] {
        // Relaxed: figures only, nothing is read on the strength of them.
        std::array::from_fn(|index| self.cells[index].load(Ordering::Relaxed))
    }
}

/// Adds to a cell that only the calling thread writes.
#[inline]
pub(crate) fn bump(cell: &AtomicU64, amount: u64) {
    // Relaxed, both: the one writer reads its own value back, and readers take figures only.
    cell.store(cell.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{model, size, spawn};

    #[test]
    fn loom_a_tally_rises_steadily_and_loses_nothing() {
        let rounds = size(2, 50_000);
        model(move || {
            let (mut writer, reader) = tally::<2>();
            let adding = spawn(move || {
                for _ in 0..rounds {
                    writer.add(0, 1);
                    writer.add(1, 3);
                }
                writer
            });
            let [first, _] = reader.snapshot();
            let [second, _] = reader.snapshot();
            assert!(first <= second && second <= rounds);
            let mut writer = adding.join().unwrap();
            assert_eq!(reader.snapshot(), [rounds, 3 * rounds]);
            writer.set(1, 8);
            assert_eq!(writer.reader().snapshot(), [rounds, 8]);
        });
    }
}
