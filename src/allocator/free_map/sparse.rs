//! Which offsets of a prefix with more than 32 host bits are taken: a path-compressed binary trie
//! of taken aligned blocks over leaves of 128 bits. Full siblings coalesce, so neighbours cost next
//! to nothing; a lone offset costs two twigs. Decides nothing.
//!
//! A twig covers an aligned block of `2^order` offsets. It is a leaf, which has a bit for each of
//! its offsets; or it is full; or it has taken blocks in both of its halves. Depth is at most the
//! host bits, and about the logarithm of the number of leaves. What is taken and released counts on
//! the way down; the way back up ends where the room of a twig stays as it was.
//!
//! Source: docs/decisions/0013-leaves-of-128-bits.md.

use super::MapStore;
use super::runs;
use crate::allocator::slab::{Cell, NIL};

/// Order of leaves: a bit for each offset fits where the other twigs count.
const LEAF_ORDER: u8 = 7;

/// Part of the trie. Full if it has no room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Twig {
    base: u128,
    /// Taken offsets, modulo 2^128; of a leaf a bit each, lowest offset first.
    taken: u128,
    left: u32,
    right: u32,
    order: u8,
    /// 0 = nothing free, k + 1 = an aligned block of `2^k` is free.
    room: u8,
}

impl Cell for Twig {
    fn vacant(link: u32) -> Self {
        Self { base: 0, taken: 0, left: link, right: NIL, order: 0, room: 0 }
    }

    fn link(&self) -> u32 {
        self.left
    }
}

impl Twig {
    /// One that has nothing but a taken block.
    fn block(at: u128, order: u8) -> Self {
        let (base, order, taken) = match order {
            0..LEAF_ORDER => (at & !low(LEAF_ORDER), LEAF_ORDER, bits_of(at, order)),
            LEAF_ORDER => (at, order, u128::MAX),
            _ => (at, order, size(order)),
        };
        let mut twig = Self { base, taken, left: NIL, right: NIL, order, room: 0 };
        if twig.is_leaf() {
            twig.room = runs::room(twig.taken);
        }
        twig
    }

    const fn is_full(&self) -> bool {
        self.room == 0
    }

    const fn is_leaf(&self) -> bool {
        self.order == LEAF_ORDER
    }

    /// Taken offsets, modulo 2^128.
    const fn taken(&self) -> u128 {
        if self.is_leaf() { self.taken.count_ones() as u128 } else { self.taken }
    }

    fn last(&self) -> u128 {
        self.base | low(self.order)
    }

    fn contains(&self, at: u128) -> bool {
        at & !low(self.order) == self.base
    }

    /// Room of the half that a child stands for.
    fn half_room(&self, child: &Self) -> u8 {
        if child.order + 1 == self.order { child.room } else { self.order - 1 }
    }

    fn child(&self, at: u128) -> u32 {
        if at >> (self.order - 1) & 1 == 0 { self.left } else { self.right }
    }
}

/// Twigs on the way from the root to a place, each with two children.
struct Path {
    handles: [u32; PATH_TWIGS_MAX],
    count: usize,
}

/// Their orders fall from at most 128 to above that of leaves.
const PATH_TWIGS_MAX: usize = 128 - LEAF_ORDER as usize;

impl Path {
    const fn new() -> Self {
        Self { handles: [NIL; PATH_TWIGS_MAX], count: 0 }
    }

    fn push(&mut self, handle: u32) {
        self.handles[self.count] = handle;
        self.count += 1;
    }

    fn pop(&mut self) -> Option<u32> {
        self.count = self.count.checked_sub(1)?;
        Some(self.handles[self.count])
    }
}

/// The map of one prefix; its twigs lie in a [`MapStore`].
#[derive(Clone, Copy, Debug)]
pub(in crate::allocator) struct SparseMap {
    root: u32,
    host_bits: u8,
}

impl SparseMap {
    pub(super) const fn new(host_bits: u8) -> Self {
        Self { root: NIL, host_bits }
    }

    /// Taken offsets, modulo 2^128.
    pub(super) fn taken(&self, store: &MapStore) -> u128 {
        if self.root == NIL { 0 } else { store.twigs.at(self.root).taken() }
    }

    pub(super) fn room(&self, store: &MapStore) -> u8 {
        if self.root == NIL {
            return self.host_bits + 1;
        }
        let root = store.twigs.at(self.root);
        if root.order == self.host_bits { root.room } else { self.host_bits }
    }

    /// Marks a free aligned block as taken.
    pub(super) fn take(&mut self, store: &mut MapStore, at: u128, order: u8) {
        let (mut path, mut handle) = (Path::new(), self.root);
        while handle != NIL {
            let twig = store.twigs.at_mut(handle);
            if !twig.contains(at) {
                break;
            }
            debug_assert!(!twig.is_full() && order < twig.order, "only what is free is taken");
            if twig.is_leaf() {
                twig.taken |= bits_of(at, order);
                if set_room(twig, runs::room(twig.taken)) {
                    self.mend(store, path, at, handle);
                }
                return;
            }
            twig.taken = twig.taken.wrapping_add(size(order));
            path.push(handle);
            handle = twig.child(at);
        }
        let block = store.twigs.insert(Twig::block(at, order));
        let whole = if handle == NIL { block } else { join(store, handle, block) };
        self.mend(store, path, at, whole);
    }

    /// Marks a taken aligned block as free.
    pub(super) fn release(&mut self, store: &mut MapStore, at: u128, order: u8) {
        let (mut path, mut handle) = (Path::new(), self.root);
        loop {
            debug_assert_ne!(handle, NIL, "only what is taken is released");
            let twig = store.twigs.at_mut(handle);
            if twig.is_leaf() && order < LEAF_ORDER {
                twig.taken &= !bits_of(at, order);
                if twig.taken != 0 {
                    if set_room(twig, runs::room(twig.taken)) {
                        self.mend(store, path, at, handle);
                    }
                    return;
                }
            }
            debug_assert!(order <= twig.order, "only what is taken is released");
            if twig.is_leaf() || (twig.is_full() && twig.order == order) {
                break;
            }
            if twig.is_full() {
                split(store, handle);
            }
            let twig = store.twigs.at_mut(handle);
            twig.taken = twig.taken.wrapping_sub(size(order));
            path.push(handle);
            handle = twig.child(at);
        }
        store.twigs.remove(handle);
        let Some(parent) = path.pop() else {
            self.root = NIL;
            return;
        };
        // What has one child only is that child.
        let twig = *store.twigs.at(parent);
        store.twigs.remove(parent);
        let other = if twig.child(at) == twig.left { twig.right } else { twig.left };
        self.mend(store, path, at, other);
    }

    /// Puts a twig where a path leads, and corrects the room of what is above it.
    fn mend(&mut self, store: &mut MapStore, mut path: Path, at: u128, twig: u32) {
        let mut child = twig;
        while let Some(parent) = path.pop() {
            replace_child(store, parent, at, child);
            if !settle(store, parent) {
                return;
            }
            child = parent;
        }
        self.root = child;
    }

    /// Whether the whole aligned block is free.
    pub(super) fn is_free(&self, store: &MapStore, at: u128, order: u8) -> bool {
        let last = at | low(order);
        let mut handle = self.root;
        while handle != NIL {
            let twig = store.twigs.at(handle);
            if last < twig.base || at > twig.last() {
                return true;
            }
            if twig.is_full() || twig.order <= order {
                return false;
            }
            if twig.is_leaf() {
                return twig.taken & bits_of(at, order) == 0;
            }
            handle = twig.child(at);
        }
        true
    }

    /// First aligned free block of `2^order` at or after `from`.
    pub(super) fn find_free(&self, store: &MapStore, from: u128, order: u8) -> Option<u128> {
        let last = low(self.host_bits);
        if order > self.host_bits || from > last {
            return None;
        }
        find_in(store, self.root, last, from, order)
    }

    /// First taken offset at or after `from`.
    pub(super) fn next_taken(&self, store: &MapStore, from: u128) -> Option<u128> {
        taken_in(store, self.root, from)
    }

    /// Taken offsets in `from..=to`, modulo 2^128.
    pub(super) fn count(&self, store: &MapStore, from: u128, to: u128) -> u128 {
        count_in(store, self.root, from, to)
    }

    /// Gives all memory back.
    pub(super) fn clear(&mut self, store: &mut MapStore) {
        drop_in(store, self.root);
        self.root = NIL;
    }
}

/// Puts a twig and a block beside it under one.
fn join(store: &mut MapStore, handle: u32, block: u32) -> u32 {
    let (twig, beside) = (*store.twigs.at(handle), *store.twigs.at(block));
    let order = 128 - (beside.base ^ twig.base).leading_zeros() as u8;
    let base = beside.base & !low(order);
    let taken = twig.taken().wrapping_add(beside.taken());
    let (left, right) = if beside.base < twig.base { (block, handle) } else { (handle, block) };
    // Without room until it is settled.
    let inner = store.twigs.insert(Twig { base, taken, left, right, order, room: 0 });
    settle(store, inner);
    inner
}

/// Gives a full twig that is no leaf its two halves.
fn split(store: &mut MapStore, handle: u32) {
    let twig = *store.twigs.at(handle);
    let half = twig.order - 1;
    let left = store.twigs.insert(Twig::block(twig.base, half));
    let right = store.twigs.insert(Twig::block(twig.base | size(half), half));
    let target = store.twigs.at_mut(handle);
    (target.left, target.right) = (left, right);
}

/// Whether the room of a twig is another one now.
fn set_room(twig: &mut Twig, room: u8) -> bool {
    std::mem::replace(&mut twig.room, room) != room
}

fn replace_child(store: &mut MapStore, handle: u32, at: u128, child: u32) {
    let twig = store.twigs.at_mut(handle);
    let left = at >> (twig.order - 1) & 1 == 0;
    *(if left { &mut twig.left } else { &mut twig.right }) = child;
}

/// Finds the room of a twig afresh from its children, makes it full if they are; tells whether it
/// is another one now.
fn settle(store: &mut MapStore, handle: u32) -> bool {
    let twig = *store.twigs.at(handle);
    let (left, right) = (store.twigs.at(twig.left), store.twigs.at(twig.right));
    let room = twig.half_room(left).max(twig.half_room(right));
    if room == 0 {
        store.twigs.remove(twig.right);
        store.twigs.remove(twig.left);
        *store.twigs.at_mut(handle) = Twig::block(twig.base, twig.order);
        return twig.room != 0;
    }
    set_room(store.twigs.at_mut(handle), room)
}

/// Searches what is at or after `from`, up to `last`; `handle` holds all that is taken there.
fn find_in(store: &MapStore, handle: u32, last: u128, from: u128, order: u8) -> Option<u128> {
    let at = align_up(from, order)?;
    let end = at | low(order);
    if handle == NIL {
        return (end <= last).then_some(at);
    }
    let twig = store.twigs.at(handle);
    if end < twig.base || (at > twig.last() && end <= last) {
        return Some(at);
    }
    if from <= twig.last()
        && twig.room > order
        && let Some(found) = find_within(store, twig, from.max(twig.base), order)
    {
        return Some(found);
    }
    let at = align_up(from.max(twig.last().checked_add(1)?), order)?;
    (at | low(order) <= last).then_some(at)
}

/// Searches a twig that has room.
fn find_within(store: &MapStore, twig: &Twig, from: u128, order: u8) -> Option<u128> {
    if twig.is_leaf() {
        let fits = runs::aligned_wide(!twig.taken, order) & u128::MAX << (from - twig.base);
        return (fits != 0).then(|| twig.base + u128::from(fits.trailing_zeros()));
    }
    let middle = twig.base | size(twig.order - 1);
    let left = store.twigs.at(twig.left);
    if from < middle
        && twig.half_room(left) > order
        && let Some(found) = find_in(store, twig.left, middle - 1, from, order)
    {
        return Some(found);
    }
    if twig.half_room(store.twigs.at(twig.right)) <= order {
        return None;
    }
    find_in(store, twig.right, twig.last(), from.max(middle), order)
}

fn taken_in(store: &MapStore, handle: u32, from: u128) -> Option<u128> {
    if handle == NIL {
        return None;
    }
    let twig = store.twigs.at(handle);
    if twig.last() < from {
        return None;
    }
    if twig.is_leaf() {
        let bits = twig.taken & u128::MAX << from.saturating_sub(twig.base);
        return (bits != 0).then(|| twig.base + u128::from(bits.trailing_zeros()));
    }
    if twig.is_full() {
        return Some(from.max(twig.base));
    }
    taken_in(store, twig.left, from).or_else(|| taken_in(store, twig.right, from))
}

fn count_in(store: &MapStore, handle: u32, from: u128, to: u128) -> u128 {
    if handle == NIL {
        return 0;
    }
    let twig = store.twigs.at(handle);
    let (first, last) = (twig.base, twig.last());
    if last < from || first > to {
        return 0;
    }
    if from <= first && last <= to {
        return twig.taken();
    }
    if twig.is_leaf() {
        let head = u128::MAX << from.saturating_sub(first);
        let tail = u128::MAX >> last.saturating_sub(to);
        return (twig.taken & head & tail).count_ones().into();
    }
    if twig.is_full() {
        return last.min(to).wrapping_sub(first.max(from)).wrapping_add(1);
    }
    count_in(store, twig.left, from, to).wrapping_add(count_in(store, twig.right, from, to))
}

fn drop_in(store: &mut MapStore, handle: u32) {
    if handle == NIL {
        return;
    }
    let twig = *store.twigs.at(handle);
    drop_in(store, twig.left);
    drop_in(store, twig.right);
    store.twigs.remove(handle);
}

/// The bits of a block in its leaf.
const fn bits_of(at: u128, order: u8) -> u128 {
    u128::MAX >> (128 - (1_u32 << order)) << (at & low(LEAF_ORDER))
}

/// `2^order - 1`.
const fn low(order: u8) -> u128 {
    if order == 0 { 0 } else { u128::MAX >> (128 - order as u32) }
}

/// `2^order`, 0 for 128.
const fn size(order: u8) -> u128 {
    low(order).wrapping_add(1)
}

/// The first multiple of `2^order` at or after `from`.
fn align_up(from: u128, order: u8) -> Option<u128> {
    Some(from.checked_add(low(order))? & !low(order))
}
