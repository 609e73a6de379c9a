//! Random choices that can be made again: every test prints its seed and takes it from
//! `ADDRD_SEED`. Not for secrets.

use super::say;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

/// A stream of choices; the same seed gives the same ones.
#[derive(Clone, Debug)]
pub(crate) struct Choices {
    state: u64,
}

impl Choices {
    /// From `ADDRD_SEED`, else a fresh seed; printed under the test's name.
    ///
    /// # Panics
    /// When `ADDRD_SEED` is no number.
    pub(crate) fn of_test(name: &str) -> Self {
        let seed = match std::env::var("ADDRD_SEED") {
            Ok(text) => text.parse().expect("ADDRD_SEED is a number"),
            Err(_) => RandomState::new().hash_one(name),
        };
        say(&format!("{name}: ADDRD_SEED={seed}"));
        Self { state: seed }
    }

    /// An independent stream.
    pub(crate) fn fork(&mut self) -> Self {
        Self { state: self.next() }
    }

    /// The next 64 bits: a counter with a fixed odd step, its bits mixed by two
    /// multiply-and-fold rounds.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let fold = |a: u64, b: u64| {
            let wide = u128::from(a).wrapping_mul(u128::from(b));
            (wide >> 64) as u64 ^ wide as u64
        };
        fold(fold(self.state, 0xd6e8_feb8_6659_fd93) ^ self.state, 0xa076_1d64_78bd_642f)
    }

    /// A number of a range that is not empty.
    pub(crate) fn below(&mut self, range: Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start)
    }

    /// True in `part` of `whole` cases.
    pub(crate) fn one_in(&mut self, whole: u64) -> bool {
        self.below(0..whole) == 0
    }

    /// One of several.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let at = self.below(0..from.len() as u64);
        &from[at as usize]
    }

    /// A 128-bit id that is not zero.
    pub(crate) fn id(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next()) | 1
    }

    /// Fills bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}
