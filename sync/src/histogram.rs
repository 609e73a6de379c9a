//! Durations of one thread in fixed buckets: the owner records without any locked instruction,
//! everybody may read. It reads no clock and keeps no samples.
//!
//! Buckets are log-linear, four to each power of two: below 1,024 ns one bucket; then widths of a
//! quarter of 2^10, 2^11, .. ns up to 2^36 ns (68.7 s); the last takes all that is longer. A figure
//! read back is at most 25 % above the true one.

use std::fmt;

use crate::padded::Padded;
use crate::prim::{Arc, AtomicU64, Ordering};
use crate::tally::bump;

/// Buckets of a histogram: one below, four for each of 26 powers of two, one above.
pub const HISTOGRAM_BUCKETS: usize = 2 + ((LIMIT_LOG2 - FLOOR_LOG2) << SUB_LOG2) as usize;

/// 2^10 ns is the least duration told apart.
const FLOOR_LOG2: u32 = 10;
/// 2^36 ns is the first duration too long to be told apart.
const LIMIT_LOG2: u32 = 36;
/// Four buckets to each power of two.
const SUB_LOG2: u32 = 2;
const _: () = assert!(1u64 << LIMIT_LOG2 > 60_000_000_000, "a minute can be told apart");

/// Makes an empty histogram, its one writer and a reader.
///
/// Shape: less than 1 KiB, whatever is recorded.
#[must_use]
pub fn histogram() -> (StageHistogram, StageHistogramReader) {
    let cells = Arc::new(Padded(Cells {
        buckets: std::array::from_fn(|_| AtomicU64::new(0)),
        sum_ns: AtomicU64::new(0),
    }));
    (StageHistogram { cells: Arc::clone(&cells) }, StageHistogramReader { cells })
}

struct Cells {
    buckets: [AtomicU64; HISTOGRAM_BUCKETS],
    sum_ns: AtomicU64,
}

/// The writing end; there is one.
pub struct StageHistogram {
    cells: Arc<Padded<Cells>>,
}

impl StageHistogram {
    /// Counts one duration, in nanoseconds.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        self.record_many(ns, 1);
    }

    /// Counts `times` operations that took `ns` nanoseconds each, as those of one drain do.
    #[inline]
    pub fn record_many(&mut self, ns: u64, times: u64) {
        bump(&self.cells.buckets[bucket_of(ns)], times);
        bump(&self.cells.sum_ns, ns.wrapping_mul(times));
    }

    /// A reader of the same histogram.
    #[must_use]
    pub fn reader(&self) -> StageHistogramReader {
        StageHistogramReader { cells: Arc::clone(&self.cells) }
    }
}

impl fmt::Debug for StageHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StageHistogram").finish_non_exhaustive()
    }
}

/// The reading end.
#[derive(Clone)]
pub struct StageHistogramReader {
    cells: Arc<Padded<Cells>>,
}

impl StageHistogramReader {
    /// Each bucket at some recent moment, not all at the same one.
    #[must_use]
    pub fn snapshot(&self) -> HistogramSnapshot {
        // Relaxed, both: figures only.
        HistogramSnapshot {
            counts: std::array::from_fn(|index| self.cells.buckets[index].load(Ordering::Relaxed)),
            sum_ns: self.cells.sum_ns.load(Ordering::Relaxed),
        }
    }
}

impl fmt::Debug for StageHistogramReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StageHistogramReader").finish_non_exhaustive()
    }
}

/// A histogram as it was read; those of several threads can be merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistogramSnapshot {
    /// Durations in each bucket; see [`HistogramSnapshot::upper_ns`].
    pub counts: [u64; HISTOGRAM_BUCKETS],
    /// Sum of all durations, in nanoseconds, wrapping at 2^64 (584 years).
    pub sum_ns: u64,
}

impl HistogramSnapshot {
    /// Nothing recorded.
    #[must_use]
    pub fn empty() -> Self {
        Self { counts: [0; HISTOGRAM_BUCKETS], sum_ns: 0 }
    }

    /// Exclusive upper end of bucket `index`, in nanoseconds; `None` for the last, which has none.
    #[must_use]
    pub const fn upper_ns(index: usize) -> Option<u64> {
        if index + 1 >= HISTOGRAM_BUCKETS {
            return None;
        }
        let (octave, quarter) = (index >> SUB_LOG2, index & ((1 << SUB_LOG2) - 1));
        Some(((1 << SUB_LOG2) + quarter as u64) << (FLOOR_LOG2 - SUB_LOG2 + octave as u32))
    }

    /// How many durations were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Adds the figures of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.sum_ns = self.sum_ns.wrapping_add(other.sum_ns);
    }

    /// A duration, in nanoseconds, that `fraction` of all were below or in the bucket of: its
    /// bucket's upper end, `u64::MAX` for the last bucket, 0 if nothing was recorded.
    ///
    /// Units: `fraction` from 0 to 1, e.g. 0.99.
    #[must_use]
    pub fn quantile_ns(&self, fraction: f64) -> u64 {
        let count = self.count();
        if count == 0 {
            return 0;
        }
        // The conversion of a float saturates; at least 1, so that an empty bucket isn't chosen.
        let rank = ((count as f64 * fraction).ceil() as u64).clamp(1, count);
        let mut seen = 0;
        let index = self.counts.iter().position(|&here| {
            seen += here;
            seen >= rank
        });
        index.and_then(Self::upper_ns).unwrap_or(u64::MAX)
    }
}

/// The bucket of a duration, 0-based.
#[inline]
fn bucket_of(ns: u64) -> usize {
    if ns < 1 << FLOOR_LOG2 {
        return 0;
    }
    let log2 = ns.ilog2();
    if log2 >= LIMIT_LOG2 {
        return HISTOGRAM_BUCKETS - 1;
    }
    let quarter = (ns >> (log2 - SUB_LOG2)) as usize & ((1 << SUB_LOG2) - 1);
    1 + (((log2 - FLOOR_LOG2) as usize) << SUB_LOG2) + quarter
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{model, size, spawn};

    #[test]
    fn every_duration_lies_below_the_end_of_its_bucket_and_not_below_that_of_the_one_before() {
        let edges = (0..HISTOGRAM_BUCKETS).filter_map(HistogramSnapshot::upper_ns);
        for ns in edges.flat_map(|edge| [edge - 1, edge, edge + 1]).chain([0, 1, u64::MAX]) {
            let bucket = bucket_of(ns);
            assert!(HistogramSnapshot::upper_ns(bucket).is_none_or(|upper| ns < upper), "{ns}");
            let lower = bucket.checked_sub(1).and_then(HistogramSnapshot::upper_ns).unwrap_or(0);
            assert!(ns >= lower, "{ns}");
        }
    }

    #[test]
    fn bucket_ends_rise_by_at_most_a_quarter() {
        let ends: Vec<_> = (0..HISTOGRAM_BUCKETS).filter_map(HistogramSnapshot::upper_ns).collect();
        assert_eq!((ends[0], ends[1]), (1_024, 1_280));
        assert_eq!(ends.last(), Some(&(1 << 36)));
        assert!(ends.windows(2).all(|pair| pair[0] < pair[1] && pair[1] - pair[0] <= pair[0] / 4));
    }

    #[test]
    fn quantiles_name_the_bucket_of_their_rank() {
        let mut snapshot = HistogramSnapshot::empty();
        assert_eq!(snapshot.quantile_ns(0.5), 0);
        snapshot.counts[bucket_of(2_000)] = 99;
        snapshot.counts[bucket_of(5_000_000)] = 1;
        let upper = |ns| HistogramSnapshot::upper_ns(bucket_of(ns)).unwrap();
        assert_eq!(snapshot.quantile_ns(0.0), upper(2_000));
        assert_eq!(snapshot.quantile_ns(0.99), upper(2_000));
        assert_eq!(snapshot.quantile_ns(0.999), upper(5_000_000));
        snapshot.counts[HISTOGRAM_BUCKETS - 1] = 1;
        assert_eq!(snapshot.quantile_ns(1.0), u64::MAX);
    }

    /// Read after the writer ended: 107 loads beside a writer are more than loom can run through.
    #[test]
    fn loom_a_histogram_counts_every_duration() {
        let rounds = size(2, 20_000);
        model(move || {
            let (mut writer, reader) = histogram();
            let recording = spawn(move || {
                for round in 0..rounds {
                    writer.record(round);
                }
                writer.record_many(5_000, 3);
            });
            recording.join().unwrap();
            let mut snapshot = reader.snapshot();
            assert_eq!(snapshot.count(), rounds + 3);
            assert_eq!(snapshot.sum_ns, rounds * (rounds - 1) / 2 + 15_000);
            let other = snapshot.clone();
            snapshot.merge(&other);
            assert_eq!((snapshot.count(), snapshot.sum_ns), (2 * other.count(), 2 * other.sum_ns));
        });
    }
}
