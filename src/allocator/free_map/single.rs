//! Single offsets of a dense map: the hot path. Does what `dense` does, without recursion.

use super::MapStore;
use super::dense::{DenseMap, FAN, FREE, FULL, child_bits, in_leaf, shrunk};
use super::leaf::{LEAF_BITS, Leaf};
use addrd_sync::prefetch;

/// Levels of nodes that a dense map has at most: 32 bits less those of a leaf, 6 a level.
const LEVELS_MAX: usize = (32 - LEAF_BITS as usize).div_ceil(6);
const _: () = assert!(LEVELS_MAX == 4, "an index into the path is masked");

const _: () = assert!(FREE > FULL && FULL == u32::MAX - 1, "both are above all handles");

/// A node on the way down, the child that was taken, and the room of the whole node.
#[derive(Clone, Copy, Default)]
struct Step {
    handle: u32,
    index: u8,
    room: u8,
}

impl DenseMap {
    /// Marks a free offset as taken, or a taken one as free. False: nothing was done, because nodes
    /// come or go with it.
    #[inline]
    pub(super) fn set_single(&mut self, store: &mut MapStore, at: u64, taken: bool) -> bool {
        let mut path = [Step::default(); LEVELS_MAX];
        let (mut handle, mut room, mut inside) = (self.root, self.room, self.taken);
        let height = u32::from(self.height);
        for level in (1..=height).rev() {
            if handle >= FULL {
                return false;
            }
            let node = store.nodes.at(handle);
            let index = (at >> child_bits(level)) as u8 % FAN as u8;
            path[level as usize % LEVELS_MAX] = Step { handle, index, room };
            handle = node.child[usize::from(index)];
            room = node.room[usize::from(index)];
            inside = node.taken[usize::from(index)].into();
        }
        if handle >= FULL || (!taken && inside == 1) {
            return false;
        }
        let leaf = store.leaves.at_mut(handle);
        let mut after =
            if taken { take(leaf, in_leaf(at), room) } else { release(leaf, in_leaf(at), room) };
        for level in 1..=height {
            let step = path[level as usize % LEVELS_MAX];
            let index = usize::from(step.index);
            let node = store.nodes.at_mut(step.handle);
            let count = &mut node.taken[index];
            *count = if taken { *count + 1 } else { *count - 1 };
            if after == room {
                after = step.room;
            } else {
                let bits = child_bits(level);
                node.set_room(index, after, bits);
                let hidden = node.free == 0 && room < step.room && after < step.room;
                after = if hidden { step.room } else { node.room_of_all(bits) };
            }
            room = step.room;
        }
        self.room = after;
        self.taken = if taken { self.taken + 1 } else { self.taken - 1 };
        true
    }

    /// Brings the word of an offset inside the prefix near.
    #[inline]
    pub(super) fn near(&self, store: &MapStore, at: u64) {
        let mut handle = self.root;
        for level in (1..=u32::from(self.height)).rev() {
            if handle >= FULL {
                return;
            }
            handle = store.nodes.at(handle).child[(at >> child_bits(level)) as usize % FAN];
        }
        if handle < FULL {
            prefetch(store.leaves.at(handle).word(in_leaf(at)));
        }
    }

    /// Whether the offset at `from` is free, or else the first free one behind it in its leaf.
    #[inline]
    pub(super) fn find_single(&self, store: &MapStore, from: u64) -> Option<u64> {
        let mut handle = self.root;
        for level in (1..=u32::from(self.height)).rev() {
            if handle >= FULL {
                break;
            }
            handle = store.nodes.at(handle).child[(from >> child_bits(level)) as usize % FAN];
        }
        match handle {
            FREE => Some(from),
            FULL => None,
            _ => {
                let found = store.leaves.at(handle).find_free(in_leaf(from), 0)?;
                Some(from - u64::from(in_leaf(from)) + u64::from(found))
            }
        }
    }
}

/// Takes a free offset of a leaf with this room; gives the room that is left.
#[inline]
fn take(leaf: &mut Leaf, at: u32, room: u8) -> u8 {
    // Only if the offset lies in one of the largest free blocks can the room shrink.
    let largest = u32::from(room - 1);
    let was_in_largest = leaf.is_free(at >> largest << largest, largest);
    leaf.set(at, 0, true);
    if was_in_largest { shrunk(leaf, largest, 0) } else { room }
}

/// Frees a taken offset of a leaf with this room; gives the room that there is then.
#[inline]
fn release(leaf: &mut Leaf, at: u32, room: u8) -> u8 {
    leaf.set(at, 0, false);
    let mut room = u32::from(room);
    while room <= LEAF_BITS && leaf.is_free(at >> room << room, room) {
        room += 1;
    }
    room as u8
}
