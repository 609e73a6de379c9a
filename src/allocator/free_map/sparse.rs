//! Which offsets of a prefix with more than 32 host bits are taken: a path-compressed binary trie
//! of taken aligned blocks. Full siblings coalesce, so neighbours cost next to nothing; a lone
//! offset costs two twigs. Decides nothing.
//!
//! A twig covers an aligned block of `2^order` offsets. It is full, or it has taken blocks in both
//! of its halves. Depth is at most the host bits, and about the logarithm of the number of blocks.

use super::MapStore;
use crate::allocator::slab::{Cell, NIL};

/// Part of the trie. Full if it has no children.
#[derive(Clone, Copy, Debug)]
pub(super) struct Twig {
    base: u128,
    /// Taken offsets, modulo 2^128.
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
    fn full(base: u128, order: u8) -> Self {
        Self { base, taken: size(order), left: NIL, right: NIL, order, room: 0 }
    }

    const fn is_full(&self) -> bool {
        self.left == NIL
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
        if self.root == NIL { 0 } else { store.twigs.at(self.root).taken }
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
        self.root = take_in(store, self.root, at, order);
    }

    /// Marks a taken aligned block as free.
    pub(super) fn release(&mut self, store: &mut MapStore, at: u128, order: u8) {
        self.root = release_in(store, self.root, at, order);
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

fn take_in(store: &mut MapStore, handle: u32, at: u128, order: u8) -> u32 {
    if handle == NIL {
        return store.twigs.insert(Twig::full(at, order));
    }
    let twig = *store.twigs.at(handle);
    if !twig.contains(at) {
        let block = store.twigs.insert(Twig::full(at, order));
        let joined = 128 - (at ^ twig.base).leading_zeros() as u8;
        let (left, right) = if at < twig.base { (block, handle) } else { (handle, block) };
        let base = at & !low(joined);
        let inner = Twig { base, taken: 0, left, right, order: joined, room: 0 };
        let inner = store.twigs.insert(inner);
        settle(store, inner);
        return inner;
    }
    debug_assert!(!twig.is_full() && order < twig.order, "only what is free is taken");
    let child = take_in(store, twig.child(at), at, order);
    replace_child(store, handle, at, child);
    settle(store, handle);
    handle
}

fn release_in(store: &mut MapStore, handle: u32, at: u128, order: u8) -> u32 {
    debug_assert_ne!(handle, NIL, "only what is taken is released");
    let twig = *store.twigs.at(handle);
    if twig.is_full() {
        if twig.order == order {
            store.twigs.remove(handle);
            return NIL;
        }
        let half = twig.order - 1;
        let left = store.twigs.insert(Twig::full(twig.base, half));
        let right = store.twigs.insert(Twig::full(twig.base | size(half), half));
        let split = store.twigs.at_mut(handle);
        (split.left, split.right) = (left, right);
    }
    let child = release_in(store, store.twigs.at(handle).child(at), at, order);
    if child == NIL {
        let twig = *store.twigs.at(handle);
        store.twigs.remove(handle);
        return if at >> (twig.order - 1) & 1 == 0 { twig.right } else { twig.left };
    }
    replace_child(store, handle, at, child);
    settle(store, handle);
    handle
}

fn replace_child(store: &mut MapStore, handle: u32, at: u128, child: u32) {
    let twig = store.twigs.at_mut(handle);
    let left = at >> (twig.order - 1) & 1 == 0;
    *(if left { &mut twig.left } else { &mut twig.right }) = child;
}

/// Counts a twig afresh from its children, and makes it full if they are.
fn settle(store: &mut MapStore, handle: u32) {
    let twig = *store.twigs.at(handle);
    let (left, right) = (*store.twigs.at(twig.left), *store.twigs.at(twig.right));
    let half = twig.order - 1;
    let whole = left.is_full() && right.is_full() && left.order == half && right.order == half;
    if whole {
        store.twigs.remove(twig.right);
        store.twigs.remove(twig.left);
        *store.twigs.at_mut(handle) = Twig::full(twig.base, twig.order);
        return;
    }
    let target = store.twigs.at_mut(handle);
    target.taken = left.taken.wrapping_add(right.taken);
    target.room = twig.half_room(&left).max(twig.half_room(&right));
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
        && let Some(found) = find_in_halves(store, twig, from.max(twig.base), order)
    {
        return Some(found);
    }
    let at = align_up(from.max(twig.last().checked_add(1)?), order)?;
    (at | low(order) <= last).then_some(at)
}

fn find_in_halves(store: &MapStore, twig: &Twig, from: u128, order: u8) -> Option<u128> {
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
        return twig.taken;
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
