//! Which offsets of a prefix with at most 32 host bits are taken: a radix tree of 64-fold nodes
//! over bitmap leaves. What was never used has no nodes. Decides nothing.
//!
//! Each node keeps for each child how many offsets are taken and the order of its largest free
//! aligned block, so a search looks at one child on each level that can only partly help, and
//! then at one that surely does: at most two paths, whatever the fill.

use super::MapStore;
use super::leaf::{LEAF_BITS, Leaf};
use super::runs;
use crate::allocator::slab::{Cell, NIL};

/// Child that is wholly free, without memory.
pub(super) const FREE: u32 = NIL;
/// Child that is wholly taken by blocks of its size or larger, without memory.
pub(super) const FULL: u32 = NIL - 1;
const FAN_BITS: u32 = 6;
pub(super) const FAN: usize = 1 << FAN_BITS;

/// An inner node. `room` of a child: 0 = nothing free, k + 1 = an aligned block of `2^k` is free.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Node {
    pub(super) child: [u32; FAN],
    pub(super) taken: [u32; FAN],
    pub(super) room: [u8; FAN],
    /// Children with something free.
    open: u64,
    /// Children wholly free.
    pub(super) free: u64,
}

impl Cell for Node {
    fn vacant(link: u32) -> Self {
        let mut child = [FREE; FAN];
        child[0] = link;
        Self { child, taken: [0; FAN], room: [0; FAN], open: 0, free: 0 }
    }

    fn link(&self) -> u32 {
        self.child[0]
    }
}

impl Node {
    /// All of `children` children of `2^bits` offsets are free.
    fn free(children: u32, bits: u32) -> Self {
        let mask = u64::MAX >> (64 - children);
        let mut room = [0; FAN];
        room[..children as usize].fill(bits as u8 + 1);
        Self { child: [FREE; FAN], taken: [0; FAN], room, open: mask, free: mask }
    }

    /// Room of the whole node, whose children have `2^bits` offsets.
    pub(super) fn room_of_all(&self, bits: u32) -> u8 {
        if self.free == 0 {
            return self.room.iter().copied().fold(0, u8::max);
        }
        (bits + runs::largest(self.free)) as u8 + 1
    }

    #[inline]
    pub(super) fn set_room(&mut self, index: usize, room: u8, bits: u32) {
        self.room[index] = room;
        let bit = 1 << index;
        self.open = if room == 0 { self.open & !bit } else { self.open | bit };
        let is_free = u32::from(room) == bits + 1;
        self.free = if is_free { self.free | bit } else { self.free & !bit };
    }

    /// First child behind `index` with an aligned free block of `2^order`.
    #[inline]
    fn next_with_room(&self, index: usize, order: u32) -> Option<usize> {
        let behind = (u64::MAX << index) << 1;
        let mut open = self.open & behind;
        while open != 0 {
            let next = open.trailing_zeros() as usize;
            if u32::from(self.room[next]) > order {
                return Some(next);
            }
            open &= open - 1;
        }
        None
    }
}

/// The map of one prefix; its nodes and leaves lie in a [`MapStore`].
#[derive(Clone, Copy, Debug)]
pub(in crate::allocator) struct DenseMap {
    pub(super) root: u32,
    host_bits: u8,
    /// Levels of nodes above the leaves.
    pub(super) height: u8,
    /// Room of the whole prefix.
    pub(super) room: u8,
    pub(super) taken: u64,
}

/// What a subtree is after a change.
#[derive(Clone, Copy)]
struct After {
    handle: u32,
    room: u8,
}

impl DenseMap {
    pub(super) fn new(host_bits: u8) -> Self {
        debug_assert!(host_bits <= 32, "larger prefixes have a sparse map");
        let height = u32::from(host_bits).saturating_sub(LEAF_BITS).div_ceil(FAN_BITS) as u8;
        Self { root: FREE, host_bits, height, room: host_bits + 1, taken: 0 }
    }

    pub(super) const fn taken(&self) -> u64 {
        self.taken
    }

    pub(super) const fn room(&self) -> u8 {
        self.room
    }

    /// Marks a free aligned block as taken, or a taken one as free.
    #[inline]
    pub(super) fn set(&mut self, store: &mut MapStore, at: u64, order: u32, taken: bool) {
        if order > 0 || !self.set_single(store, at, taken) {
            self.set_block(store, at, order, taken);
        }
    }

    fn set_block(&mut self, store: &mut MapStore, at: u64, order: u32, taken: bool) {
        let tree = Tree { host_bits: u32::from(self.host_bits) };
        let root = After { handle: self.root, room: self.room };
        let count = 1_u64 << order;
        let whole_is_free = self.taken == if taken { 0 } else { count };
        let after = tree.set(store, root, u32::from(self.height), at, order, taken, whole_is_free);
        self.taken = if taken { self.taken + count } else { self.taken - count };
        (self.root, self.room) = (after.handle, after.room);
    }

    /// Whether the whole aligned block is free.
    pub(super) fn is_free(&self, store: &MapStore, at: u64, order: u32) -> bool {
        let (mut handle, mut level) = (self.root, u32::from(self.height));
        loop {
            match handle {
                FREE => return true,
                FULL => return false,
                _ if level == 0 => return store.leaves.at(handle).is_free(in_leaf(at), order),
                _ => {}
            }
            let node = store.nodes.at(handle);
            let bits = child_bits(level);
            let index = (at >> bits) as usize % FAN;
            if order >= bits {
                return runs::aligned(node.free, order - bits) >> index & 1 == 1;
            }
            (handle, level) = (node.child[index], level - 1);
        }
    }

    /// First aligned free block of `2^order` at or after `from`.
    #[inline]
    pub(super) fn find_free(&self, store: &MapStore, from: u64, order: u32) -> Option<u64> {
        let end = 1_u64 << self.host_bits;
        if order > u32::from(self.host_bits) || from >= end {
            return None;
        }
        if order == 0
            && let Some(found) = self.find_single(store, from)
        {
            return (found < end).then_some(found);
        }
        let found = find_in(store, self.root, u32::from(self.height), from, order, end)?;
        (found < end).then_some(found)
    }

    /// First taken offset at or after `from`.
    pub(super) fn next_taken(&self, store: &MapStore, from: u64) -> Option<u64> {
        if self.taken == 0 || from >> self.host_bits != 0 {
            return None;
        }
        let bits = u32::from(self.host_bits);
        taken_in(store, self.root, u32::from(self.height), from, bits)
    }

    /// Taken offsets in `from..=to`.
    pub(super) fn count(&self, store: &MapStore, from: u64, to: u64) -> u64 {
        if from == 0 && to >> self.host_bits == 0 && to + 1 == 1 << self.host_bits {
            return self.taken;
        }
        count_in(store, self.root, u32::from(self.height), from, to)
    }

    /// Gives all memory back.
    pub(super) fn clear(&mut self, store: &mut MapStore) {
        drop_in(store, self.root, u32::from(self.height));
        *self = Self::new(self.host_bits);
    }
}

/// What a change needs to know on every level.
struct Tree {
    host_bits: u32,
}

impl Tree {
    /// Changes a block below `whole`, which has `level` levels of nodes. `ends_free`: with this
    /// change the subtree is wholly free, or it was wholly free before.
    #[expect(clippy::too_many_arguments, reason = "a recursion whose arguments are its state")]
    fn set(
        &self,
        store: &mut MapStore,
        whole: After,
        level: u32,
        at: u64,
        order: u32,
        taken: bool,
        is_sole: bool,
    ) -> After {
        let bits = self.host_bits.min(child_bits(level + 1));
        if order == bits {
            debug_assert_eq!(whole.handle, if taken { FREE } else { FULL }, "whole blocks only");
            return if taken {
                After { handle: FULL, room: 0 }
            } else {
                After { handle: FREE, room: bits as u8 + 1 }
            };
        }
        if !taken && is_sole {
            drop_in(store, whole.handle, level);
            return After { handle: FREE, room: bits as u8 + 1 };
        }
        debug_assert_ne!(whole.handle, FULL, "a block is released as it was taken");
        let whole = if whole.handle == FREE { self.grow(store, level, bits) } else { whole };
        if level == 0 {
            return set_in_leaf(store, whole, in_leaf(at), order, taken);
        }
        self.set_in_node(store, whole, level, at, order, taken)
    }

    /// A node or leaf for a subtree that was wholly free.
    fn grow(&self, store: &mut MapStore, level: u32, bits: u32) -> After {
        let handle = if level == 0 {
            store.leaves.insert(Leaf::free(bits))
        } else {
            let below = child_bits(level);
            store.nodes.insert(Node::free(1 << (bits - below), below))
        };
        After { handle, room: bits as u8 + 1 }
    }

    fn set_in_node(
        &self,
        store: &mut MapStore,
        whole: After,
        level: u32,
        at: u64,
        order: u32,
        taken: bool,
    ) -> After {
        let bits = child_bits(level);
        let first = (at >> bits) as usize % FAN;
        if order >= bits {
            let node = store.nodes.at_mut(whole.handle);
            let (handle, count, room) =
                if taken { (FULL, 1 << bits, 0) } else { (FREE, 0, bits as u8 + 1) };
            for index in first..first + (1 << (order - bits)) {
                node.child[index] = handle;
                node.taken[index] = count;
                node.set_room(index, room, bits);
            }
            return After { handle: whole.handle, room: node.room_of_all(bits) };
        }
        let node = store.nodes.at(whole.handle);
        let before = After { handle: node.child[first], room: node.room[first] };
        let count = 1_u32 << order;
        let is_sole = node.taken[first] == if taken { 0 } else { count };
        let after = self.set(store, before, level - 1, at, order, taken, is_sole);
        let node = store.nodes.at_mut(whole.handle);
        node.child[first] = after.handle;
        let so_far = node.taken[first];
        node.taken[first] = if taken { so_far + count } else { so_far - count };
        if after.room == before.room {
            return whole;
        }
        node.set_room(first, after.room, bits);
        let unchanged = before.room < whole.room && after.room < whole.room && node.free == 0;
        let room = if unchanged { whole.room } else { node.room_of_all(bits) };
        After { handle: whole.handle, room }
    }
}

fn set_in_leaf(store: &mut MapStore, whole: After, at: u32, order: u32, taken: bool) -> After {
    let leaf = store.leaves.at_mut(whole.handle);
    let room = if taken {
        debug_assert!(leaf.is_free(at, order), "only what is free is taken");
        let around = leaf.order_around(at, order);
        leaf.set(at, order, true);
        if around as u8 + 1 < whole.room { whole.room } else { shrunk(leaf, around, order) }
    } else {
        leaf.set(at, order, false);
        whole.room.max(leaf.order_around(at, order) as u8 + 1)
    };
    After { handle: whole.handle, room }
}

/// Room of a leaf after a block of `2^order` was taken out of one of the largest free ones,
/// which had `2^around`.
pub(super) fn shrunk(leaf: &Leaf, around: u32, order: u32) -> u8 {
    if leaf.find_free(0, around).is_some() {
        return around as u8 + 1;
    }
    // What is left of that block has a half free, unless it was taken whole.
    let mut left = around;
    while left > 0 {
        left -= 1;
        if (left >= order && around > order) || leaf.find_free(0, left).is_some() {
            return left as u8 + 1;
        }
    }
    0
}

fn find_in(
    store: &MapStore,
    handle: u32,
    level: u32,
    from: u64,
    order: u32,
    end: u64,
) -> Option<u64> {
    match handle {
        FULL => return None,
        FREE => {
            let fits = align_up(from, order)?;
            return (fits + (1 << order) <= end).then_some(fits);
        }
        _ if level == 0 => {
            let found = store.leaves.at(handle).find_free(in_leaf(from), order.min(LEAF_BITS))?;
            return (order <= LEAF_BITS)
                .then_some(from - u64::from(in_leaf(from)) + u64::from(found));
        }
        _ => {}
    }
    let node = store.nodes.at(handle);
    let bits = child_bits(level);
    let base = from & !((1_u64 << (bits + FAN_BITS)) - 1);
    if order >= bits {
        let index = (align_up(from, order)? - base) >> bits;
        let behind = u32::try_from(index).ok().and_then(|shift| u64::MAX.checked_shl(shift))?;
        let fits = runs::aligned(node.free, (order - bits).min(FAN_BITS)) & behind;
        let found = base + (u64::from(fits.trailing_zeros()) << bits);
        return (fits != 0 && order <= bits + FAN_BITS).then_some(found);
    }
    let index = (from >> bits) as usize % FAN;
    let child_end = base + ((index as u64 + 1) << bits);
    if u32::from(node.room[index]) > order
        && let Some(found) = find_in(store, node.child[index], level - 1, from, order, child_end)
    {
        return Some(found);
    }
    let next = node.next_with_room(index, order)?;
    let start = base + ((next as u64) << bits);
    find_in(store, node.child[next], level - 1, start, order, start + (1 << bits))
}

fn taken_in(store: &MapStore, handle: u32, level: u32, from: u64, bits: u32) -> Option<u64> {
    match handle {
        FREE => return None,
        FULL => return Some(from),
        _ if level == 0 => {
            let leaf = store.leaves.at(handle);
            let found = leaf.next_taken(in_leaf(from), bits.min(LEAF_BITS))?;
            return Some(from - u64::from(in_leaf(from)) + u64::from(found));
        }
        _ => {}
    }
    let node = store.nodes.at(handle);
    let bits = child_bits(level);
    let base = from & !((1_u64 << (bits + FAN_BITS)) - 1);
    let index = (from >> bits) as usize % FAN;
    if let Some(found) = taken_in(store, node.child[index], level - 1, from, bits) {
        return Some(found);
    }
    let next = (index + 1..FAN).find(|&next| node.taken[next] > 0)?;
    taken_in(store, node.child[next], level - 1, base + ((next as u64) << bits), bits)
}

fn count_in(store: &MapStore, handle: u32, level: u32, from: u64, to: u64) -> u64 {
    match handle {
        FREE => return 0,
        FULL => return to - from + 1,
        _ if level == 0 => {
            return u64::from(store.leaves.at(handle).count(in_leaf(from), in_leaf(to)));
        }
        _ => {}
    }
    let node = store.nodes.at(handle);
    let bits = child_bits(level);
    let (first, last) = ((from >> bits) as usize % FAN, (to >> bits) as usize % FAN);
    let below = |index: usize, from, to| count_in(store, node.child[index], level - 1, from, to);
    if first == last {
        return below(first, from, to);
    }
    let span = (1_u64 << bits) - 1;
    let middle: u64 = node.taken[first + 1..last].iter().map(|&n| u64::from(n)).sum();
    below(first, from, from | span) + middle + below(last, to & !span, to)
}

fn drop_in(store: &mut MapStore, handle: u32, level: u32) {
    if handle == FREE || handle == FULL {
        return;
    }
    if level == 0 {
        store.leaves.remove(handle);
        return;
    }
    for index in 0..FAN {
        drop_in(store, store.nodes.at(handle).child[index], level - 1);
    }
    store.nodes.remove(handle);
}

/// Offsets below a child of a node on this level are `2^child_bits`.
#[inline]
pub(super) const fn child_bits(level: u32) -> u32 {
    LEAF_BITS + FAN_BITS * (level - 1)
}

#[inline]
pub(super) const fn in_leaf(at: u64) -> u32 {
    at as u32 & ((1 << LEAF_BITS) - 1)
}

#[inline]
fn align_up(from: u64, order: u32) -> Option<u64> {
    from.checked_next_multiple_of(1 << order)
}
