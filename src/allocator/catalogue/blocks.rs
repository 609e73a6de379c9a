//! Free space of a subnet pool as aligned blocks, each as large as can be. Knows no owners.
//!
//! A block is `2^order` addresses, aligned; two free halves of one block are always merged, so the
//! blocks are those of a compacted list of prefixes. They are ordered by size, then by address: the
//! best fit for a length is the first one that is not too small.

use std::collections::BTreeSet;

/// `2^order` addresses from `base` on; `base` is a multiple of its size, `order` below 128.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Block {
    pub(super) order: u8,
    pub(super) base: u128,
}

impl Block {
    pub(super) const fn new(base: u128, order: u8) -> Self {
        Self { order, base }
    }

    /// Addresses that it has.
    pub(super) const fn size(&self) -> u128 {
        1 << self.order
    }

    /// Its last address.
    pub(super) const fn last(&self) -> u128 {
        self.base | (self.size() - 1)
    }

    pub(super) const fn contains(&self, other: &Self) -> bool {
        self.order >= other.order && other.base & !(self.size() - 1) == self.base
    }

    pub(super) const fn overlaps(&self, other: &Self) -> bool {
        self.contains(other) || other.contains(self)
    }

    /// The block of which it is one half, and the other half.
    const fn parent(&self) -> (Self, Self) {
        let bit = self.size();
        let parent = Self::new(self.base & !bit, self.order + 1);
        (parent, Self::new(self.base ^ bit, self.order))
    }

    const fn halves(&self) -> [Self; 2] {
        let order = self.order - 1;
        [Self::new(self.base, order), Self::new(self.base | 1 << order, order)]
    }
}

/// Free blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FreeBlocks {
    blocks: BTreeSet<Block>,
}

/// A block of more than 2^127 addresses is none: prefixes have at least one bit.
const ORDER_MAX: u8 = 127;

impl FreeBlocks {
    /// Adds a block of which nothing is free yet, and merges it with its neighbours.
    ///
    /// Shape: a look for each merge, at most 127.
    pub(super) fn add(&mut self, mut block: Block) {
        while block.order < ORDER_MAX {
            let (parent, other) = block.parent();
            if !self.blocks.remove(&other) {
                break;
            }
            block = parent;
        }
        self.blocks.insert(block);
    }

    /// Takes a block out; false, and nothing is changed, if it is not wholly free.
    ///
    /// Shape: a look for each size of free blocks, an insertion for each split, at most 127.
    pub(super) fn take(&mut self, block: Block) -> bool {
        let Some(mut around) = self.around(block) else { return false };
        self.blocks.remove(&around);
        while around != block {
            let [low, high] = around.halves();
            let (inside, rest) = if low.contains(&block) { (low, high) } else { (high, low) };
            self.blocks.insert(rest);
            around = inside;
        }
        true
    }

    /// The free block that a block lies in.
    pub(super) fn around(&self, block: Block) -> Option<Block> {
        self.orders(block.order).find_map(|order| {
            let base = block.base & !(Block::new(0, order).size() - 1);
            self.blocks.get(&Block::new(base, order)).copied()
        })
    }

    /// Where a block of this order is cut best: from the smallest free block that is large enough,
    /// of these the lowest.
    pub(super) fn best_fit(&self, order: u8) -> Option<u128> {
        self.blocks.range(Block::new(0, order)..).next().map(|block| block.base)
    }

    /// Where the lowest free block of this order is.
    pub(super) fn lowest(&self, order: u8) -> Option<u128> {
        let first = |order| self.blocks.range(Block::new(0, order)..).next();
        self.orders(order).filter_map(first).map(|block| block.base).min()
    }

    /// The same two inside of these regions only, which do not overlap.
    ///
    /// Shape: for each region a look for each size of free blocks.
    pub(super) fn fit_inside(&self, order: u8, regions: &[Block], lowest: bool) -> Option<u128> {
        let regions = regions.iter().filter(|region| region.order >= order);
        let found = regions.filter_map(|region| self.fit_in_one(order, *region, lowest));
        match lowest {
            true => found.map(|block| block.base).min(),
            false => found.min().map(|block| block.base),
        }
    }

    fn fit_in_one(&self, order: u8, region: Block, lowest: bool) -> Option<Block> {
        if self.around(region).is_some() {
            // Of a free block that reaches beyond, the region is all that counts.
            return Some(region);
        }
        let inside = |order| {
            let first = Block::new(region.base, order);
            self.blocks.range(first..=Block::new(region.last(), order)).next().copied()
        };
        let mut found = self.orders(order).take_while(|order| *order < region.order);
        match lowest {
            true => found.filter_map(inside).min_by_key(|block| block.base),
            false => found.find_map(inside),
        }
    }

    /// The orders that free blocks have, from this one on.
    fn orders(&self, from: u8) -> impl Iterator<Item = u8> {
        let mut next = Some(from);
        std::iter::from_fn(move || {
            let block = self.blocks.range(Block::new(0, next?)..).next()?;
            next = block.order.checked_add(1);
            Some(block.order)
        })
    }

    /// All of them, by size and address.
    pub(super) fn iter(&self) -> impl Iterator<Item = Block> {
        self.blocks.iter().copied()
    }
}

/// Blocks merged: disjoint, neighbours joined, by address.
pub(super) fn compacted(blocks: impl IntoIterator<Item = Block>) -> Vec<Block> {
    let mut given: Vec<Block> = blocks.into_iter().collect();
    // Larger ones first: what lies inside of one that is there says nothing new.
    given.sort_unstable_by(|a, b| b.order.cmp(&a.order).then(a.base.cmp(&b.base)));
    let mut merged = FreeBlocks::default();
    for block in given {
        if merged.around(block).is_none() {
            merged.add(block);
        }
    }
    let mut all: Vec<Block> = merged.iter().collect();
    all.sort_unstable_by_key(|block| block.base);
    all
}

/// What is left of some disjoint blocks without others.
///
/// Shape: at most the first count plus 127 for each of the others.
pub(super) fn without(blocks: &[Block], others: &[Block]) -> Vec<Block> {
    let mut left = Vec::new();
    let mut todo: Vec<Block> = blocks.to_vec();
    while let Some(block) = todo.pop() {
        if others.iter().any(|other| other.contains(&block)) {
            continue;
        }
        if others.iter().any(|other| block.contains(other)) {
            todo.extend(block.halves());
        } else {
            left.push(block);
        }
    }
    left.sort_unstable_by_key(|block| block.base);
    left
}

/// The aligned blocks that a range has, largest first where it may be.
///
/// Shape: at most 254.
pub(super) fn blocks_of_range(first: u128, last: u128) -> Vec<Block> {
    let mut all = Vec::new();
    let mut at = first;
    while at <= last {
        let aligned = if at == 0 { ORDER_MAX } else { at.trailing_zeros().min(127) as u8 };
        let block = (0..=aligned).rev().map(|order| Block::new(at, order));
        let mut block = block.filter(|block| block.last() <= last);
        let Some(block) = block.next() else { break };
        all.push(block);
        match block.last().checked_add(1) {
            Some(next) => at = next,
            None => break,
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(all: &[(u128, u8)]) -> Vec<Block> {
        all.iter().map(|&(base, order)| Block::new(base, order)).collect()
    }

    #[test]
    fn halves_are_merged_and_blocks_are_split() {
        let mut free = FreeBlocks::default();
        free.add(Block::new(0, 16));
        assert!(free.take(Block::new(0x4000, 8)));
        // Neutron's example: a /16 without 10.0.64.0/24.
        assert_eq!(free.best_fit(6), Some(0x4100));
        assert!(free.take(Block::new(0x4100, 6)));
        assert_eq!(free.best_fit(12), Some(0x5000));
        assert!(!free.take(Block::new(0x4000, 9)), "half of it is in use");
        free.add(Block::new(0x4100, 6));
        free.add(Block::new(0x4000, 8));
        assert_eq!(free.iter().collect::<Vec<_>>(), blocks(&[(0, 16)]));
    }

    #[test]
    fn the_ends_of_ipv6_are_blocks_like_others() {
        let mut free = FreeBlocks::default();
        free.add(Block::new(1 << 127, 127));
        free.add(Block::new(0, 127));
        assert_eq!(free.iter().count(), 2, "there is no prefix of no bits");
        assert!(free.take(Block::new(u128::MAX, 0)));
        assert_eq!(free.best_fit(0), Some(u128::MAX - 1));
        assert_eq!(Block::new(1 << 127, 127).last(), u128::MAX);
    }

    #[test]
    fn compaction_merges_neighbours_and_drops_what_lies_inside() {
        let given = blocks(&[(0x100, 8), (0, 8), (0x300, 8), (0x310, 4)]);
        assert_eq!(compacted(given), blocks(&[(0, 9), (0x300, 8)]));
        let left = without(&blocks(&[(0, 4)]), &blocks(&[(5, 0)]));
        assert_eq!(left, blocks(&[(0, 2), (4, 0), (6, 1), (8, 3)]));
    }

    #[test]
    fn regions_confine_a_choice() {
        let mut free = FreeBlocks::default();
        free.add(Block::new(0, 16));
        let inside = |order, regions: &[Block]| free.fit_inside(order, regions, false);
        assert_eq!(inside(4, &blocks(&[(0x200, 8), (0x100, 6)])), Some(0x100), "the smallest");
        assert_eq!(inside(7, &blocks(&[(0x200, 8), (0x100, 6)])), Some(0x200));
        assert_eq!(inside(9, &blocks(&[(0x200, 8)])), None);
        assert_eq!(inside(4, &blocks(&[(0x1_0000, 8)])), None, "outside of the pool");
        assert_eq!(blocks_of_range(3, 8), blocks(&[(3, 0), (4, 2), (8, 0)]));
        assert_eq!(blocks_of_range(u128::MAX, u128::MAX), blocks(&[(u128::MAX, 0)]));
    }
}
