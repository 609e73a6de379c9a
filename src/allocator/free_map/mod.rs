//! Which offsets of a prefix are taken, over the whole prefix, at a cost that depends neither on
//! its size nor on its fill. Knows nothing of owners, pools and strategies.
//!
//! Offsets are 0-based; a block is `2^order` offsets, aligned. Two shapes with one interface:
//! [`dense`](self::dense) for up to 32 host bits, [`sparse`](self::sparse) beyond.

mod dense;
mod leaf;
mod runs;
mod single;
mod sparse;
#[cfg(test)]
mod tests;

use super::slab::Slab;
use dense::{DenseMap, Node};
use leaf::Leaf;
use sparse::{SparseMap, Twig};

/// Memory of all maps of a shard.
#[derive(Debug)]
pub(super) struct MapStore {
    leaves: Slab<Leaf, 64>,
    nodes: Slab<Node, 16>,
    twigs: Slab<Twig, 256>,
}

impl MapStore {
    pub(super) const fn new() -> Self {
        Self { leaves: Slab::new(), nodes: Slab::new(), twigs: Slab::new() }
    }

    /// Bytes of all chunks.
    pub(super) fn bytes(&self) -> usize {
        self.leaves.bytes() + self.nodes.bytes() + self.twigs.bytes()
    }

    /// Parts in use; 0 once all maps are cleared.
    #[cfg(test)]
    pub(super) const fn parts(&self) -> u32 {
        self.leaves.count() + self.nodes.count() + self.twigs.count()
    }
}

/// The map of one prefix.
#[derive(Clone, Copy, Debug)]
pub(super) enum FreeMap {
    Dense(DenseMap),
    Sparse(SparseMap),
}

impl FreeMap {
    /// Of a prefix with `2^host_bits` offsets, all free.
    pub(super) fn new(host_bits: u8) -> Self {
        match host_bits {
            0..=32 => Self::Dense(DenseMap::new(host_bits)),
            _ => Self::Sparse(SparseMap::new(host_bits)),
        }
    }

    /// Brings the word of an offset near; of a sparse map nothing.
    #[inline]
    pub(super) fn near(&self, store: &MapStore, at: u128) {
        if let Self::Dense(map) = self {
            map.near(store, at as u64);
        }
    }

    /// Marks a block as taken. It must be free.
    #[inline]
    pub(super) fn take(&mut self, store: &mut MapStore, at: u128, order: u8) {
        match self {
            Self::Dense(map) => map.set(store, at as u64, u32::from(order), true),
            Self::Sparse(map) => map.take(store, at, order),
        }
    }

    /// Marks a block as free. It must have been taken as it is.
    #[inline]
    pub(super) fn release(&mut self, store: &mut MapStore, at: u128, order: u8) {
        match self {
            Self::Dense(map) => map.set(store, at as u64, u32::from(order), false),
            Self::Sparse(map) => map.release(store, at, order),
        }
    }

    /// Whether every offset of the block is free; it lies inside the prefix.
    #[inline]
    pub(super) fn is_free(&self, store: &MapStore, at: u128, order: u8) -> bool {
        match self {
            Self::Dense(map) => map.is_free(store, at as u64, u32::from(order)),
            Self::Sparse(map) => map.is_free(store, at, order),
        }
    }

    /// First aligned free block of `2^order` that lies in `from..=to`.
    #[inline]
    pub(super) fn find_free(
        &self,
        store: &MapStore,
        from: u128,
        to: u128,
        order: u8,
    ) -> Option<u128> {
        let found = match self {
            Self::Dense(map) => {
                let from = u64::try_from(from).ok()?;
                u128::from(map.find_free(store, from, u32::from(order))?)
            }
            Self::Sparse(map) => map.find_free(store, from, order)?,
        };
        let last = super::subnet::last_of(found, order);
        (last <= to).then_some(found)
    }

    /// First taken offset at or after `from`.
    pub(super) fn next_taken(&self, store: &MapStore, from: u128) -> Option<u128> {
        match self {
            Self::Dense(map) => {
                let from = u64::try_from(from).ok()?;
                map.next_taken(store, from).map(u128::from)
            }
            Self::Sparse(map) => map.next_taken(store, from),
        }
    }

    /// Taken offsets in `from..=to`, which lies inside the prefix; modulo 2^128.
    pub(super) fn count(&self, store: &MapStore, from: u128, to: u128) -> u128 {
        match self {
            Self::Dense(map) => u128::from(map.count(store, from as u64, to as u64)),
            Self::Sparse(map) => map.count(store, from, to),
        }
    }

    /// Taken offsets, modulo 2^128.
    pub(super) fn taken(&self, store: &MapStore) -> u128 {
        match self {
            Self::Dense(map) => u128::from(map.taken()),
            Self::Sparse(map) => map.taken(store),
        }
    }

    /// 0 = nothing free, k + 1 = the largest free aligned block has `2^k` offsets.
    #[inline]
    pub(super) fn room(&self, store: &MapStore) -> u8 {
        match self {
            Self::Dense(map) => map.room(),
            Self::Sparse(map) => map.room(store),
        }
    }

    /// Gives all memory back; everything is free.
    pub(super) fn clear(&mut self, store: &mut MapStore) {
        match self {
            Self::Dense(map) => map.clear(store),
            Self::Sparse(map) => map.clear(store),
        }
    }
}
