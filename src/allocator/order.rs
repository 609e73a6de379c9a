//! The subnets of a network in order of family and prefix, and which of them have room. Knows no
//! attributes.
//!
//! Sorted chunks of at most [`CHUNK_MAX`] subnets; each entry has its room (0 = nothing free for
//! automatic allocation, k + 1 = some aligned block of `2^k` is free somewhere in the prefix), each
//! chunk its largest. A search reads a chunk's rooms and one byte for each other chunk.

use crate::model::Family;

/// Subnets of a chunk, at most.
const CHUNK_MAX: usize = 512;

/// Where a subnet stands: by family, then by prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) family: Family,
    base: [u64; 2],
    length: u8,
    /// Tells apart equal prefixes (recovery may see an old and a new subnet at once).
    subnet: u32,
}

impl Key {
    pub(super) const fn new(family: Family, base: u128, length: u8, subnet: u32) -> Self {
        Self { family, base: [(base >> 64) as u64, base as u64], length, subnet }
    }

    /// Before all subnets whose prefix starts at or behind this address.
    pub(super) const fn before(family: Family, base: u128) -> Self {
        Self::new(family, base, 0, 0)
    }

    /// Behind all subnets whose prefix starts at or before this address.
    pub(super) const fn behind(family: Family, base: u128) -> Self {
        Self::new(family, base, u8::MAX, u32::MAX)
    }

    /// The place directly behind this one.
    pub(super) const fn next(mut self) -> Self {
        // No arena gives out the highest handle, so this never wraps.
        self.subnet += 1;
        self
    }

    /// The subnet in the shard.
    pub(super) const fn subnet(&self) -> u32 {
        self.subnet
    }
}

#[derive(Clone, Debug, Default)]
struct Chunk {
    keys: Vec<Key>,
    rooms: Vec<u8>,
    room_most: u8,
}

impl Chunk {
    fn recount(&mut self) {
        self.room_most = self.rooms.iter().copied().fold(0, u8::max);
    }
}

/// The subnets of one network.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    chunks: Vec<Chunk>,
    count: u32,
}

impl Order {
    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    pub(super) fn insert(&mut self, key: Key, room: u8) {
        if self.chunks.is_empty() {
            self.chunks.reserve_exact(1);
            self.chunks.push(Chunk::default());
        }
        let number = self.chunk_of(key);
        let chunk = &mut self.chunks[number];
        let Err(at) = chunk.keys.binary_search(&key) else { return };
        chunk.keys.insert(at, key);
        chunk.rooms.insert(at, room);
        chunk.room_most = chunk.room_most.max(room);
        self.count += 1;
        if chunk.keys.len() > CHUNK_MAX {
            let mut upper = Chunk {
                keys: chunk.keys.split_off(CHUNK_MAX / 2),
                rooms: chunk.rooms.split_off(CHUNK_MAX / 2),
                room_most: 0,
            };
            upper.recount();
            chunk.recount();
            self.chunks.insert(number + 1, upper);
        }
    }

    pub(super) fn remove(&mut self, key: Key) {
        let Some((number, at)) = self.find(key) else { return };
        let chunk = &mut self.chunks[number];
        chunk.keys.remove(at);
        chunk.rooms.remove(at);
        chunk.recount();
        self.count -= 1;
        if chunk.keys.is_empty() {
            self.chunks.remove(number);
        }
    }

    pub(super) fn set_room(&mut self, key: Key, room: u8) {
        let Some((number, at)) = self.find(key) else { return };
        let chunk = &mut self.chunks[number];
        let before = std::mem::replace(&mut chunk.rooms[at], room);
        if room >= chunk.room_most {
            chunk.room_most = room;
        } else if before == chunk.room_most {
            chunk.recount();
        }
    }

    /// First subnet at or behind `from` with more than this room.
    pub(super) fn next_with_room(&self, from: Key, more_than: u8) -> Option<Key> {
        let first = self.chunk_of(from);
        let start = self.chunks.get(first)?.keys.partition_point(|key| *key < from);
        let here = &self.chunks[first];
        let found = here.rooms[start..].iter().position(|&room| room > more_than);
        if let Some(at) = found {
            return Some(here.keys[start + at]);
        }
        let next = self.chunks[first + 1..].iter().find(|chunk| chunk.room_most > more_than)?;
        let at = next.rooms.iter().position(|&room| room > more_than)?;
        Some(next.keys[at])
    }

    /// All at or behind `from`, in order.
    pub(super) fn iter_from(&self, from: Key) -> impl Iterator<Item = Key> {
        let first = self.chunk_of(from).min(self.chunks.len());
        let chunks = self.chunks[first..].iter();
        chunks.flat_map(|chunk| chunk.keys.iter().copied()).skip_while(move |key| *key < from)
    }

    /// The last one before `key`.
    pub(super) fn last_before(&self, key: Key) -> Option<Key> {
        let number = self.chunk_of(key);
        let chunk = self.chunks.get(number)?;
        match chunk.keys.partition_point(|other| *other < key) {
            0 => self.chunks[..number].last()?.keys.last().copied(),
            at => Some(chunk.keys[at - 1]),
        }
    }

    /// The chunk in which a key lies or would lie.
    fn chunk_of(&self, key: Key) -> usize {
        let behind = self.chunks.partition_point(|chunk| chunk.keys.first() <= Some(&key));
        behind.saturating_sub(1)
    }

    fn find(&self, key: Key) -> Option<(usize, usize)> {
        let number = self.chunk_of(key);
        let at = self.chunks.get(number)?.keys.binary_search(&key).ok()?;
        Some((number, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::index::split_mix;
    use std::collections::BTreeMap;

    #[test]
    fn equals_a_sorted_map() {
        let (mut order, mut map, mut state) = (Order::default(), BTreeMap::new(), 3);
        for step in 0..30_000_u32 {
            let number = split_mix(&mut state) % 4_000;
            let family = if number.is_multiple_of(2) { Family::V4 } else { Family::V6 };
            let key = Key::new(family, u128::from(number), 24, number as u32);
            let room = (split_mix(&mut state) % 40).saturating_sub(34) as u8;
            match step % 4 {
                0 | 1 => {
                    order.insert(key, room);
                    map.entry(key).or_insert(room);
                }
                2 => {
                    order.set_room(key, room);
                    map.entry(key).and_modify(|old| *old = room);
                }
                _ => {
                    order.remove(key);
                    map.remove(&key);
                }
            }
            let more = (step % 6) as u8;
            let next = map.range(key..).find(|(_, room)| **room > more).map(|(key, _)| *key);
            assert_eq!(order.next_with_room(key, more), next);
            assert_eq!(order.last_before(key), map.range(..key).next_back().map(|(key, _)| *key));
            assert!(order.iter_from(key).take(5).eq(map.range(key..).take(5).map(|(key, _)| *key)));
        }
        assert_eq!(order.count() as usize, map.len());
        map.keys().for_each(|key| order.remove(*key));
        assert_eq!((order.count(), order.chunks.len()), (0, 0));
    }
}
