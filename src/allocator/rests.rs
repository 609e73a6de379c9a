//! Which addresses rest, until when, and in which order they become free. Ends none of them itself,
//! reads no clock.
//!
//! Three levels, each with the first end of the one below: the rests of a subnet, the subnets of a
//! network that have some, the networks of the shard that have some. So what is due anywhere, in a
//! network or in a subnet is found without looking at anything else, and who has no rests pays for an
//! empty set.
//!
//! Source: docs/decisions/0025-quarantine.md.

use super::free_map::{FreeMap, MapStore};
use crate::model::Revision;
use std::collections::BTreeSet;

/// A rest in the order of its subnet: its end, the revision of the release, its record.
///
/// Units: ms since the Unix epoch.
pub(super) type Turn = (u64, u64, u32);

/// The rests of one subnet.
#[derive(Debug)]
pub(super) struct SubnetRests {
    order: BTreeSet<Turn>,
    /// Offsets that rest; all of them are taken in the map of the subnet too.
    pub(super) map: FreeMap,
}

impl SubnetRests {
    pub(super) fn new(host_bits: u8) -> Self {
        Self { order: BTreeSet::new(), map: FreeMap::new(host_bits) }
    }

    /// Resting blocks and addresses.
    pub(super) fn count(&self) -> u64 {
        self.order.len() as u64
    }

    /// The rest that ends first.
    pub(super) fn first(&self) -> Option<Turn> {
        self.order.first().copied()
    }

    /// All of them, the one that ends first at the beginning.
    pub(super) fn turns(&self) -> impl Iterator<Item = Turn> + '_ {
        self.order.iter().copied()
    }

    /// Notes a rest as begun or ended; gives the first end before and after.
    pub(super) fn note(&mut self, turn: Turn, there: bool) -> (Option<u64>, Option<u64>) {
        let before = self.first();
        let changed = if there { self.order.insert(turn) } else { self.order.remove(&turn) };
        debug_assert!(changed, "each rest stands in the order of its subnet once");
        (before.map(|turn| turn.0), self.first().map(|turn| turn.0))
    }

    /// Gives the memory of its map back.
    pub(super) fn clear(mut self, store: &mut MapStore) {
        self.map.clear(store);
    }
}

/// First ends of several, each with its handle.
#[derive(Debug, Default)]
pub(super) struct FirstEnds {
    order: BTreeSet<(u64, u32)>,
}

impl FirstEnds {
    /// The first end of all, and whose it is.
    pub(super) fn first(&self) -> Option<(u64, u32)> {
        self.order.first().copied()
    }

    /// All of them, the first end at the beginning.
    pub(super) fn all(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.order.iter().copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Notes that the first end of one was and is so; gives that of all before and after.
    pub(super) fn shift(
        &mut self,
        handle: u32,
        (before, after): (Option<u64>, Option<u64>),
    ) -> (Option<u64>, Option<u64>) {
        let first = self.first();
        if let Some(end) = before {
            self.order.remove(&(end, handle));
        }
        if let Some(end) = after {
            self.order.insert((end, handle));
        }
        (first.map(|(end, _)| end), self.first().map(|(end, _)| end))
    }
}

/// The subnets of a network that have rests.
#[derive(Debug, Default)]
pub(super) struct NetworkRests {
    pub(super) subnets: FirstEnds,
    /// Resting blocks and addresses in them.
    pub(super) count: u64,
}

/// All rests of a shard.
#[derive(Debug, Default)]
pub(super) struct Rests {
    pub(super) networks: FirstEnds,
    /// By hash of the key that had it, revision of the release, record: the last one released first
    /// from the back.
    own: BTreeSet<(u64, u64, u32)>,
    /// By account, end, record.
    accounts: BTreeSet<(u32, u64, u32)>,
    /// Records with the revision of their rests, whose later ends no effect says yet.
    pub(super) prolonged: Vec<(u32, Revision)>,
}

impl Rests {
    /// Resting blocks and addresses.
    pub(super) fn count(&self) -> usize {
        self.own.len()
    }

    /// Bytes of all orders, about: B-tree nodes are two thirds full.
    pub(super) fn bytes(&self) -> usize {
        let each = size_of::<(u64, u64, u32)>() * 2 + size_of::<(u32, u64, u32)>();
        self.count() * each * 3 / 2
    }

    /// All of them, in no order that means anything.
    pub(super) fn all(&self) -> impl Iterator<Item = u32> + '_ {
        self.own.iter().map(|(_, _, handle)| *handle)
    }

    /// Notes whose a rest was.
    pub(super) fn note(&mut self, key_hash: u64, account: u32, turn: Turn, there: bool) {
        let (end, revision, handle) = turn;
        let (own, of_account) = ((key_hash, revision, handle), (account, end, handle));
        let changed = if there {
            self.own.insert(own) & self.accounts.insert(of_account)
        } else {
            self.own.remove(&own) & self.accounts.remove(&of_account)
        };
        debug_assert!(changed, "each rest is noted once by key and once by account");
    }

    /// What may rest for a key, by its hash, the last released first.
    pub(super) fn of_key(&self, key_hash: u64) -> impl Iterator<Item = u32> + '_ {
        let all = self.own.range((key_hash, 0, 0)..=(key_hash, u64::MAX, u32::MAX));
        all.rev().map(|(_, _, handle)| *handle)
    }

    /// When the first rest of an account ends, and its record.
    pub(super) fn first_of(&self, account: u32) -> Option<(u64, u32)> {
        let all = self.accounts.range((account, 0, 0)..=(account, u64::MAX, u32::MAX));
        all.map(|(_, end, handle)| (*end, *handle)).next()
    }
}
