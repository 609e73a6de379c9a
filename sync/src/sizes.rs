//! Sizes of one thread (operations of a drain, bytes of a commit) in fixed buckets: the owner
//! records without any locked instruction, everybody may read. Keeps no samples.
//!
//! Buckets are powers of two: 0; 1; 2 and 3; 4 to 7; .. up to 2^24 - 1; the last takes all above.

use crate::tally::{Tally, TallyReader, tally};

/// Buckets: one for 0, one for each bit length up to 24, one above.
pub const SIZE_BUCKETS: usize = 2 + SIZE_BITS;
const SIZE_BITS: usize = 24;
/// Place of the sum, behind the buckets.
const SUM: usize = SIZE_BUCKETS;
const PLACES: usize = SIZE_BUCKETS + 1;

/// Makes an empty histogram, its one writer and a reader.
#[must_use]
pub fn sizes() -> (Sizes, SizesReader) {
    let (writer, reader) = tally();
    (Sizes(writer), SizesReader(reader))
}

/// The writing end; there is one.
#[derive(Debug)]
pub struct Sizes(Tally<PLACES>);

impl Sizes {
    /// Counts one size.
    #[inline]
    pub fn record(&mut self, size: u64) {
        self.0.add(bucket_of(size), 1);
        self.0.add(SUM, size);
    }
}

/// The reading end.
#[derive(Clone, Debug)]
pub struct SizesReader(TallyReader<PLACES>);

impl SizesReader {
    /// Each bucket at some recent moment, not all at the same one.
    #[must_use]
    pub fn snapshot(&self) -> SizesSnapshot {
        let places = self.0.snapshot();
        SizesSnapshot { counts: std::array::from_fn(|index| places[index]), sum: places[SUM] }
    }
}

/// A histogram as it was read; those of several threads can be merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizesSnapshot {
    /// Sizes in each bucket; see [`SizesSnapshot::upper`].
    pub counts: [u64; SIZE_BUCKETS],
    /// Sum of all sizes, wrapping at 2^64.
    pub sum: u64,
}

impl SizesSnapshot {
    /// Nothing recorded.
    #[must_use]
    pub fn empty() -> Self {
        Self { counts: [0; SIZE_BUCKETS], sum: 0 }
    }

    /// Inclusive upper end of bucket `index`; `None` for the last, which has none.
    #[must_use]
    pub const fn upper(index: usize) -> Option<u64> {
        if index > SIZE_BITS { None } else { Some((1 << index) - 1) }
    }

    /// Adds the figures of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

/// The bucket of a size, 0-based: its bit length.
#[inline]
fn bucket_of(size: u64) -> usize {
    ((u64::BITS - size.leading_zeros()) as usize).min(SIZE_BUCKETS - 1)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_size_is_in_the_bucket_whose_ends_enclose_it() {
        let (mut writer, reader) = sizes();
        let mut recorded = 0;
        for size in (0..=1_025).chain([(1 << 24) - 1, 1 << 24, 1 << 40]) {
            let before = reader.snapshot();
            writer.record(size);
            recorded += size;
            let now = reader.snapshot();
            assert_eq!(now.sum, recorded);
            let index = (0..SIZE_BUCKETS).find(|&at| now.counts[at] != before.counts[at]).unwrap();
            assert!(SizesSnapshot::upper(index).is_none_or(|upper| size <= upper), "{size}");
            if index > 0 {
                assert!(SizesSnapshot::upper(index - 1).unwrap() < size, "{size}");
            }
        }
        assert_eq!(reader.snapshot().counts[..4], [1, 1, 2, 4]);
    }

    #[test]
    fn those_of_several_threads_add_up() {
        let ((mut one, first), (mut two, second)) = (sizes(), sizes());
        one.record(3);
        two.record(3);
        two.record(u64::MAX);
        let mut sum = SizesSnapshot::empty();
        sum.merge(&first.snapshot());
        sum.merge(&second.snapshot());
        assert_eq!((sum.counts[2], sum.counts[SIZE_BUCKETS - 1]), (2, 1));
        assert_eq!(sum.sum, 5, "it wraps");
    }
}
