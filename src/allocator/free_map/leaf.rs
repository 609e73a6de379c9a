//! A leaf of the dense map: 1,024 neighbouring offsets, a bit each, 1 = taken. Counts nothing.

use super::runs;
use crate::allocator::slab::Cell;

/// Offsets of a leaf are `2^LEAF_BITS`.
pub(super) const LEAF_BITS: u32 = 10;
const WORDS: usize = 1 << (LEAF_BITS - 6);

/// The bits, lowest offset first.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Leaf([u64; WORDS]);

impl Cell for Leaf {
    fn vacant(link: u32) -> Self {
        let mut words = [0; WORDS];
        words[0] = u64::from(link);
        Self(words)
    }

    fn link(&self) -> u32 {
        self.0[0] as u32
    }
}

impl Leaf {
    /// A leaf in which the first `2^bits` offsets are free and the others do not exist.
    pub(super) fn free(bits: u32) -> Self {
        let mut words = [u64::MAX; WORDS];
        match bits {
            0..6 => words[0] = u64::MAX << (1 << bits),
            _ => words[..1 << (bits - 6)].fill(0),
        }
        Self(words)
    }

    /// Marks the aligned block as taken or free.
    #[inline]
    pub(super) fn set(&mut self, at: u32, order: u32, taken: bool) {
        if order >= 6 {
            let word = (at >> 6) as usize;
            self.0[word..word + (1 << (order - 6))].fill(if taken { u64::MAX } else { 0 });
            return;
        }
        let mask = low(1 << order) << (at & 63);
        let word = &mut self.0[(at >> 6) as usize];
        *word = if taken { *word | mask } else { *word & !mask };
    }

    /// The 64 bits in which an offset lies.
    #[inline]
    pub(super) fn word(&self, at: u32) -> &u64 {
        &self.0[(at >> 6) as usize]
    }

    /// Whether the whole aligned block is free.
    #[inline]
    pub(super) fn is_free(&self, at: u32, order: u32) -> bool {
        let word = (at >> 6) as usize;
        if order >= 6 {
            return self.0[word..word + (1 << (order - 6))].iter().all(|&w| w == 0);
        }
        self.0[word] & low(1 << order) << (at & 63) == 0
    }

    /// Order of the largest free aligned block around a free aligned block.
    #[inline]
    pub(super) fn order_around(&self, at: u32, order: u32) -> u32 {
        let mut reached = order;
        while reached < LEAF_BITS {
            let wider = at & !((2 << reached) - 1);
            if !self.is_free(wider, reached + 1) {
                break;
            }
            reached += 1;
        }
        reached
    }

    /// First free aligned block of `2^order` at or after `from`.
    #[inline]
    pub(super) fn find_free(&self, from: u32, order: u32) -> Option<u32> {
        if order >= 6 {
            let size = 1 << order;
            let mut at = from.next_multiple_of(size);
            while at < 1 << LEAF_BITS {
                if self.is_free(at, order) {
                    return Some(at);
                }
                at += size;
            }
            return None;
        }
        let mut mask = u64::MAX << (from & 63);
        for word in (from >> 6) as usize..WORDS {
            let fits = runs::aligned(!self.0[word], order) & mask;
            if fits != 0 {
                return Some((word as u32) << 6 | fits.trailing_zeros());
            }
            mask = u64::MAX;
        }
        None
    }

    /// First taken offset at or after `from`, among the first `2^bits`.
    pub(super) fn next_taken(&self, from: u32, bits: u32) -> Option<u32> {
        let mut mask = u64::MAX << (from & 63);
        for word in (from >> 6) as usize..WORDS {
            let taken = self.0[word] & mask;
            if taken != 0 {
                let at = (word as u32) << 6 | taken.trailing_zeros();
                return (at < 1 << bits).then_some(at);
            }
            mask = u64::MAX;
        }
        None
    }

    /// Taken offsets in `from..=to`.
    pub(super) fn count(&self, from: u32, to: u32) -> u32 {
        let (first, last) = ((from >> 6) as usize, (to >> 6) as usize);
        let head = u64::MAX << (from & 63);
        let tail = u64::MAX >> (63 - (to & 63));
        if first == last {
            return (self.0[first] & head & tail).count_ones();
        }
        let middle: u32 = self.0[first + 1..last].iter().map(|w| w.count_ones()).sum();
        (self.0[first] & head).count_ones() + middle + (self.0[last] & tail).count_ones()
    }
}

/// The lowest `bits` bits set, 1 to 63 of them.
#[inline]
const fn low(bits: u32) -> u64 {
    (1 << bits) - 1
}
