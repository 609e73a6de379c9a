//! Hash index from keys to 32-bit handles that grows by one bounded piece at a time. The keys lie
//! with the objects: the index holds 8 bits of each hash and the handle. Never holds a key.
//!
//! Extendible hashing over segments: the top bits of a hash name an entry of the directory, which
//! names a segment of [`GROUPS`] cache lines of [`SLOTS`] handles. A full segment is split by the
//! next bit, so one step moves at most `GROUPS * SLOTS` handles; the directory has 4 bytes for each
//! thousand or so handles. Segments are split at fills between 62 and 81 %, each at its own, so
//! that they do not all split at once.

use addrd_sync::prefetch;

/// Handles of a group: with tags and a counter they fill one cache line.
const SLOTS: usize = 12;
/// Groups of a segment.
const GROUPS: usize = 128;
/// Handles at which a segment is split, at least.
const SPLIT_LEAST: usize = GROUPS * SLOTS * 5 / 8;
/// Splits happen up to this many handles later.
const SPLIT_SPREAD: usize = GROUPS * SLOTS * 3 / 16;
/// Most top bits that the directory uses: 2^22 segments hold more than 2^32 handles.
const DEPTH_MAX: u32 = 22;

const _: () = assert!(size_of::<Group>() == 64, "a group is one cache line");
const _: () = assert!(SPLIT_LEAST + SPLIT_SPREAD < GROUPS * SLOTS * 7 / 8, "probes stay short");

/// One cache line: tag 0 = empty.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Group {
    tags: [u8; SLOTS],
    /// Entries of this or an earlier group that did not fit here and lie behind it.
    passed: u16,
    spare: u16,
    handles: [u32; SLOTS],
}

impl Group {
    const EMPTY: Self = Self { tags: [0; SLOTS], passed: 0, spare: 0, handles: [0; SLOTS] };

    /// Slots whose tag is this one. The lowest one is right; above it there may be wrong ones,
    /// which whoever reads their handles finds out.
    #[inline]
    fn matches(&self, tag: u8) -> Matches {
        let [low @ .., a, b, c, d] = self.tags;
        let spread = u64::from(tag) * LOW_BITS;
        let low = zero_bytes(u64::from_le_bytes(low) ^ spread);
        let high = zero_bytes(u64::from(u32::from_le_bytes([a, b, c, d])) ^ spread);
        Matches { low, high: high & 0x8080_8080 }
    }
}

/// The lowest bit of each byte.
const LOW_BITS: u64 = 0x0101_0101_0101_0101;

/// The highest bit of each byte that is zero (and perhaps of bytes above one that is).
#[inline]
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(LOW_BITS) & !word & (LOW_BITS << 7)
}

/// Slots of a group, lowest first: the highest bit of the slot's byte.
#[derive(Clone, Copy)]
struct Matches {
    low: u64,
    high: u64,
}

impl Iterator for Matches {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.low != 0 {
            let slot = self.low.trailing_zeros() / 8;
            self.low &= self.low - 1;
            return Some(slot as usize);
        }
        if self.high != 0 {
            let slot = self.high.trailing_zeros() / 8 + 8;
            self.high &= self.high - 1;
            return Some(slot as usize);
        }
        None
    }
}

#[derive(Clone, Copy, Debug)]
struct Meta {
    count: u32,
    /// Top bits that all its hashes share.
    depth: u32,
    split_at: u32,
}

/// The index. Hashes are 64 bits, well mixed.
#[derive(Debug)]
pub(super) struct Index {
    directory: Vec<u32>,
    depth: u32,
    segments: Vec<Box<[Group; GROUPS]>>,
    metas: Vec<Meta>,
}

impl Index {
    pub(super) fn new() -> Self {
        let mut index =
            Self { directory: vec![0], depth: 0, segments: Vec::new(), metas: Vec::new() };
        index.add_segment(0);
        index
    }

    /// Handles in the index.
    pub(super) fn count(&self) -> usize {
        self.metas.iter().map(|meta| meta.count as usize).sum()
    }

    /// Bytes of segments and directory.
    pub(super) fn bytes(&self) -> usize {
        self.segments.len() * (size_of::<[Group; GROUPS]>() + size_of::<Meta>() + 8)
            + self.directory.len() * 4
    }

    /// The handle under this hash that `is` recognises.
    #[inline]
    pub(super) fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let groups = &self.segments[self.segment_of(hash)];
        let tag = tag_of(hash);
        let mut at = group_of(hash);
        loop {
            let group = &groups[at];
            for slot in group.matches(tag) {
                if group.tags[slot] == tag && is(group.handles[slot]) {
                    return Some(group.handles[slot]);
                }
            }
            if group.passed == 0 {
                return None;
            }
            at = (at + 1) % GROUPS;
        }
    }

    /// Brings the cache line near where a hash would lie.
    #[inline]
    pub(super) fn near(&self, hash: u64) {
        prefetch(&self.segments[self.segment_of(hash)][group_of(hash)]);
    }

    /// A handle that probably is the one under this hash: the first of its line with its tag.
    #[inline]
    pub(super) fn candidate(&self, hash: u64) -> Option<u32> {
        let group = &self.segments[self.segment_of(hash)][group_of(hash)];
        group.matches(tag_of(hash)).next().map(|slot| group.handles[slot])
    }

    /// Puts a handle under a hash; `hash_of` gives the hash of those that a split moves.
    #[inline]
    pub(super) fn insert(&mut self, hash: u64, handle: u32, hash_of: impl Fn(u32) -> u64) {
        let mut segment = self.segment_of(hash);
        while self.metas[segment].count >= self.metas[segment].split_at {
            if self.metas[segment].depth >= DEPTH_MAX {
                break;
            }
            self.split(segment, &hash_of);
            segment = self.segment_of(hash);
        }
        self.metas[segment].count += 1;
        place(&mut self.segments[segment], hash, handle);
    }

    /// Takes a handle out from under its hash; false if it is not there.
    #[inline]
    pub(super) fn remove(&mut self, hash: u64, handle: u32) -> bool {
        let segment = self.segment_of(hash);
        let removed = displace(&mut self.segments[segment], hash, handle);
        self.metas[segment].count -= u32::from(removed);
        removed
    }

    #[inline]
    fn segment_of(&self, hash: u64) -> usize {
        // Shifted twice, since a shift by 64 is not defined.
        self.directory[(hash >> 1 >> (63 - self.depth)) as usize] as usize
    }

    fn add_segment(&mut self, depth: u32) -> usize {
        let number = self.segments.len();
        let spread = number.wrapping_mul(0x9e37_79b9) >> 8 & 0xff;
        let split_at = SPLIT_LEAST + SPLIT_SPREAD * spread / 256;
        self.metas.push(Meta { count: 0, depth, split_at: split_at as u32 });
        self.segments.push(Box::new([Group::EMPTY; GROUPS]));
        number
    }

    /// Splits a segment by its next bit; doubles the directory first if it has no such bit.
    #[cold]
    #[inline(never)]
    fn split(&mut self, old: usize, hash_of: &impl Fn(u32) -> u64) {
        let depth = self.metas[old].depth + 1;
        if depth > self.depth {
            self.directory = self.directory.iter().flat_map(|&segment| [segment; 2]).collect();
            self.depth = depth;
        }
        self.metas[old].depth = depth;
        self.metas[old].count = 0;
        let new = self.add_segment(depth);
        let moved = std::mem::replace(&mut self.segments[old], Box::new([Group::EMPTY; GROUPS]));
        let mut first_of_new = u64::MAX;
        for group in moved.iter() {
            for slot in 0..SLOTS {
                if group.tags[slot] == 0 {
                    continue;
                }
                let hash = hash_of(group.handles[slot]);
                let upper = hash >> (64 - depth) & 1 == 1;
                let target = if upper { new } else { old };
                first_of_new = hash >> (64 - depth) | 1;
                self.metas[target].count += 1;
                place(&mut self.segments[target], hash, group.handles[slot]);
            }
        }
        debug_assert_ne!(first_of_new, u64::MAX, "a segment that is split has handles");
        let span = 1_usize << (self.depth - depth);
        let from = (first_of_new as usize) * span;
        self.directory[from..from + span].fill(new as u32);
    }
}

#[inline]
fn group_of(hash: u64) -> usize {
    (hash >> 8) as usize % GROUPS
}

#[inline]
fn tag_of(hash: u64) -> u8 {
    (hash as u8).max(1)
}

#[inline]
fn place(groups: &mut [Group; GROUPS], hash: u64, handle: u32) {
    let mut at = group_of(hash);
    for _ in 0..GROUPS {
        let group = &mut groups[at];
        if let Some(slot) = group.matches(0).next() {
            group.tags[slot] = tag_of(hash);
            group.handles[slot] = handle;
            return;
        }
        group.passed += 1;
        at = (at + 1) % GROUPS;
    }
    panic!("a segment is split before it is full");
}

#[inline]
fn displace(groups: &mut [Group; GROUPS], hash: u64, handle: u32) -> bool {
    let first = group_of(hash);
    let tag = tag_of(hash);
    for step in 0..GROUPS {
        let group = &mut groups[(first + step) % GROUPS];
        for slot in group.matches(tag) {
            if group.tags[slot] == tag && group.handles[slot] == handle {
                group.tags[slot] = 0;
                (0..step).for_each(|back| groups[(first + back) % GROUPS].passed -= 1);
                return true;
            }
        }
        if group.passed == 0 {
            return false;
        }
    }
    false
}

/// Seeded hash of numbers: folded multiplication, as strong as its seed is secret.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hasher {
    keys: [u64; 4],
}

impl Hasher {
    pub(super) fn new(seed: u64) -> Self {
        let mut state = seed;
        Self { keys: std::array::from_fn(|_| split_mix(&mut state)) }
    }

    /// Of 128 bits and a salt.
    #[inline]
    pub(super) fn hash(&self, value: u128, salt: u64) -> u64 {
        let [a, b, c, d] = self.keys;
        let inner = fold(value as u64 ^ a, (value >> 64) as u64 ^ b);
        fold(inner ^ salt.wrapping_add(c), d ^ salt.rotate_left(32))
    }

    /// Of text and a salt.
    pub(super) fn text(&self, text: &str, salt: u64) -> u64 {
        let start = self.hash(text.len() as u128, salt);
        text.as_bytes().chunks(16).fold(start, |so_far, chunk| {
            let mut bytes = [0; 16];
            bytes[..chunk.len()].copy_from_slice(chunk);
            self.hash(u128::from_le_bytes(bytes), so_far)
        })
    }
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    wide as u64 ^ (wide >> 64) as u64
}

/// The next number of a SplitMix64 sequence.
#[inline]
pub(super) fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mix(*state)
}

/// SplitMix64's finalizer.
#[inline]
pub(super) const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Finds what is in, does not find what is out, over growth and random removal.
    #[test]
    fn equals_a_set() {
        let hasher = Hasher::new(7);
        let hash = |n: u32| hasher.hash(u128::from(n), 1);
        let (mut index, mut set, mut state) = (Index::new(), BTreeSet::new(), 1);
        for step in 0..200_000_u32 {
            let number = (split_mix(&mut state) % 60_000) as u32;
            if step % 3 == 0 || set.contains(&number) {
                assert_eq!(index.remove(hash(number), number), set.remove(&number));
            } else {
                index.insert(hash(number), number, hash);
                set.insert(number);
            }
        }
        assert_eq!(index.count(), set.len());
        for number in 0..60_000 {
            let found = index.find(hash(number), |handle| handle == number);
            assert_eq!(found.is_some(), set.contains(&number));
        }
    }

    /// Doubling a table of millions once stalled its thread for 400 ms.
    #[test]
    fn no_step_of_growth_moves_more_than_two_segments() {
        let hasher = Hasher::new(11);
        let moved = std::cell::Cell::new(0);
        let hash = |n: u32| hasher.hash(u128::from(n), 1);
        let hash_of = |n: u32| {
            moved.set(moved.get() + 1);
            hash(n)
        };
        let mut index = Index::new();
        let (mut most, mut splits) = (0, 0);
        for number in 0..1_000_000 {
            moved.set(0);
            index.insert(hash(number), number, hash_of);
            most = most.max(moved.get());
            splits += usize::from(moved.get() > 0);
        }
        assert!(most <= 2 * GROUPS * SLOTS, "{most} handles moved in one step");
        assert!(splits > 500, "{splits} steps of growth");
        // What doubles is small: a number for each several hundred handles.
        assert!(index.directory.len() * 200 < 1_000_000, "{}", index.directory.len());
    }

    #[test]
    fn hundreds_of_entries_under_one_hash_are_all_found() {
        let mut index = Index::new();
        (0..300).for_each(|n| index.insert(42, n, |_| 42));
        assert!((0..300).all(|n| index.find(42, |handle| handle == n).is_some()));
        assert!((0..300).all(|n| index.remove(42, n)));
        assert_eq!(index.find(42, |_| true), None);
    }
}
