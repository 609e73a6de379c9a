//! A network in memory: attributes, counters, its subnets in order. Finds nothing outside itself.

use super::order::{Key, Order};
use super::rests::NetworkRests;
use super::segments::Plan;
use super::totals::Totals;
use crate::model::{Family, NetworkHandle, NetworkId, ObjectRef, ProjectId, Revision, Text};
use std::collections::BTreeMap;

/// A network of the shard.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) handle: NetworkHandle,
    pub(super) project: ProjectId,
    pub(super) id: NetworkId,
    /// Of its project in the shard.
    pub(super) account: u32,
    /// Of its last record.
    pub(super) revision: Revision,
    /// Of its attributes.
    pub(super) attributes: Revision,
    pub(super) deleting: bool,
    /// Other projects may use it.
    pub(super) shared: bool,
    /// What other projects have here: allocations and ports of each.
    pub(super) guests: BTreeMap<ProjectId, u64>,
    /// It has pins, so that no request is plain.
    pub(super) pinned: bool,
    pub(super) name: Option<Text>,
    pub(super) description: Option<Text>,
    /// Address scopes that it was created in.
    pub(super) scope_v4: Option<ObjectRef>,
    pub(super) scope_v6: Option<ObjectRef>,
    /// Live allocations.
    pub(super) allocations: u64,
    /// What rests in it; none = nothing.
    pub(super) rests: Option<Box<NetworkRests>>,
    /// What changed up to here has left no trace: where it was made, what its state was folded up
    /// to at recovery, or the last deletion of a subnet that is remembered no more. Until then any
    /// subnet's counts may have changed, and any subnet may have gone.
    pub(super) known_from: Revision,
    /// Sums over its subnets of each family; none = it has none.
    pub(super) totals: [Option<Box<Totals>>; 2],
    /// Subnets for everybody that are not being deleted, of each family.
    pub(super) usable: [u32; 2],
    /// First subnet of each family with something free for automatic allocation.
    pub(super) first_open: [Option<Key>; 2],
    pub(super) order: Order,
    /// Handles of its subnets are below this one.
    pub(super) next_subnet: u32,
    /// Part of the hashes of its allocations' keys.
    pub(super) key_salt: u64,
    /// Part of the hashes of its project's owners.
    pub(super) owner_salt: u64,
    /// Its ports by the revision at which they were made.
    pub(super) ports: BTreeMap<u64, u32>,
    /// Segments, special subnets, pins; most networks have none.
    pub(super) plan: Option<Box<Plan>>,
}

impl Network {
    /// Resting blocks and addresses.
    pub(super) fn resting(&self) -> u64 {
        self.rests.as_deref().map_or(0, |rests| rests.count)
    }

    /// The revision that its next record has.
    pub(super) const fn next_revision(&self) -> Revision {
        Revision(self.revision.0 + 1)
    }

    /// Notes the revision of a record.
    #[inline]
    pub(super) fn mark(&mut self, revision: Revision) {
        self.revision = self.revision.max(revision);
    }

    /// Notes that what changed up to a revision may have left no trace.
    pub(super) fn forget_before(&mut self, revision: Revision) {
        self.known_from = self.known_from.max(revision);
    }

    /// Keeps order and shortcut in step with a subnet's room.
    pub(super) fn set_room(&mut self, key: Key, room: u8) {
        self.order.set_room(key, room);
        let first = &mut self.first_open[family_index(key.family)];
        if room > 0 {
            if first.is_none_or(|open| key < open) {
                *first = Some(key);
            }
        } else if *first == Some(key) {
            self.seek_open(key);
        }
    }

    /// Takes in a subnet with its counts.
    pub(super) fn add_subnet(&mut self, key: Key, counts: &Totals) {
        self.order.insert(key, 0);
        self.totals_mut(key.family).add(counts);
    }

    /// Takes out a subnet with its counts.
    pub(super) fn remove_subnet(&mut self, key: Key, counts: &Totals) {
        self.set_room(key, 0);
        self.order.remove(key);
        let totals = self.totals_mut(key.family);
        totals.subtract(counts);
        if totals.subnets() == 0 {
            debug_assert_eq!(*totals, Totals::default(), "what was added was subtracted again");
            self.totals[family_index(key.family)] = None;
        }
    }

    /// The sums of a family, to be changed.
    #[inline]
    pub(super) fn totals_mut(&mut self, family: Family) -> &mut Totals {
        self.totals[family_index(family)].get_or_insert_default()
    }

    fn seek_open(&mut self, from: Key) {
        let found = self.order.next_with_room(from, 0).filter(|key| key.family == from.family);
        self.first_open[family_index(from.family)] = found;
    }
}

/// Place of a family in pairs.
#[inline]
pub(super) const fn family_index(family: Family) -> usize {
    match family {
        Family::V4 => 0,
        Family::V6 => 1,
    }
}
