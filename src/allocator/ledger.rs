//! All allocations of a shard and the two indexes over them: by key and owner, by address. Counts
//! nothing, decides nothing.
//!
//! One index serves keys and owners. An owner's allocations form a ring; one of them, the *home*,
//! lies under the hash of (project, owner), the others under that of (network, owner, slot). So an
//! owner with one allocation costs one entry and one look, and no owner costs a walk.

use super::index::{Hasher, Index};
use super::record::{Extras, Record};
use super::slab::{Arena, NIL, Slab};
use super::subnet::Subnet;
use crate::model::{
    AllocationExtras, AllocationPlace, AllocationRow, OwnerId, ProjectId, Revision, Slot,
};

/// What names an allocation, besides its network's salts.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyOf {
    pub(super) network: u32,
    pub(super) project: ProjectId,
    pub(super) key_salt: u64,
    pub(super) owner_salt: u64,
    pub(super) owner: OwnerId,
    pub(super) slot: Slot,
}

/// Allocations and their indexes.
#[derive(Debug)]
pub(super) struct Ledger {
    records: Slab<Record, 12>,
    extras: Arena<Extras>,
    by_key: Index,
    by_address: Index,
    pub(super) hasher: Hasher,
}

impl Ledger {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            records: Slab::new(),
            extras: Arena::new(),
            by_key: Index::new(),
            by_address: Index::new(),
            hasher: Hasher::new(seed),
        }
    }

    pub(super) const fn count(&self) -> u32 {
        self.records.count()
    }

    /// Bytes, without texts.
    pub(super) fn bytes(&self) -> usize {
        self.records.bytes() + self.extras.bytes() + self.by_key.bytes() + self.by_address.bytes()
    }

    /// Entries of the indexes, by key and by address.
    pub(super) const fn indexed(&self) -> (usize, usize) {
        (self.by_key.count(), self.by_address.count())
    }

    /// Handles of all allocations.
    pub(super) fn live(&self) -> impl Iterator<Item = u32> {
        (0..self.records.high()).filter(|&handle| self.records.at(handle).is_live())
    }

    #[inline]
    pub(super) fn at(&self, handle: u32) -> &Record {
        self.records.at(handle)
    }

    /// Offset of a record in its subnet.
    #[inline]
    pub(super) fn offset(&self, record: &Record) -> u128 {
        let low = record.offset_low();
        match self.extras.get(record.extras) {
            Some(extras) => low | u128::from(extras.offset_high) << 96,
            None => low,
        }
    }

    /// Rare fields of a record.
    pub(super) fn extras(&self, record: &Record) -> Option<&Extras> {
        self.extras.get(record.extras)
    }

    /// Stored rare fields of a record that are part of its object.
    pub(super) fn extras_row(&self, record: &Record) -> Option<&AllocationExtras> {
        self.extras(record)?.row.as_deref()
    }

    /// The one of an owner's allocations by which it is found.
    #[inline]
    pub(super) fn find_owner(
        &self,
        subnets: &Arena<Subnet>,
        project: ProjectId,
        owner_salt: u64,
        owner: OwnerId,
    ) -> Option<u32> {
        self.by_key.find(self.owner_hash(owner, owner_salt), |handle| {
            let record = self.records.at(handle);
            record.is_home()
                && record.owner() == owner
                && subnets.at(record.subnet).project == project
        })
    }

    /// The allocation of a key.
    #[inline]
    pub(super) fn find_key(&self, subnets: &Arena<Subnet>, key: &KeyOf) -> Option<u32> {
        let home = self.find_owner(subnets, key.project, key.owner_salt, key.owner)?;
        let record = self.records.at(home);
        if record.slot == key.slot && subnets.at(record.subnet).network == key.network {
            return Some(home);
        }
        if record.next == home {
            return None;
        }
        self.by_key.find(self.key_hash(key.owner, key.slot, key.key_salt), |handle| {
            let record = self.records.at(handle);
            !record.is_home()
                && record.slot == key.slot
                && record.owner() == key.owner
                && subnets.at(record.subnet).network == key.network
        })
    }

    /// All allocations of the owner of this one, this one first.
    pub(super) fn ring(&self, handle: u32) -> impl Iterator<Item = u32> {
        std::iter::successors(Some(handle), move |&at| {
            Some(self.records.at(at).next).filter(|&next| next != handle)
        })
    }

    /// The allocation that begins at an offset of a subnet.
    #[inline]
    pub(super) fn find_at(&self, subnet: u32, offset: u128) -> Option<u32> {
        self.by_address.find(self.address_hash(subnet, offset), |handle| {
            let record = self.records.at(handle);
            record.subnet == subnet && self.offset(record) == offset
        })
    }

    /// Puts a new allocation; its key and place are not in use.
    pub(super) fn insert(
        &mut self,
        subnets: &Arena<Subnet>,
        subnet: u32,
        row: &AllocationRow,
    ) -> u32 {
        let offset = row.place.offset;
        let mut record = Record::new(subnet, offset, row.place.block_bits);
        record.set_owner(row.owner);
        record.slot = row.slot;
        let handle = self.records.insert(record);
        self.write(handle, row);
        self.join(subnets, handle);
        let Self { records, extras, by_address, hasher, .. } = self;
        by_address.insert(address_hash(hasher, subnet, offset), handle, |handle| {
            let record = records.at(handle);
            let high = extras.get(record.extras).map_or(0, |extras| extras.offset_high);
            let offset = record.offset_low() | u128::from(high) << 96;
            address_hash(hasher, record.subnet, offset)
        });
        handle
    }

    /// Writes what may change while an allocation keeps its key and place.
    pub(super) fn write(&mut self, handle: u32, row: &AllocationRow) {
        let record = self.records.at_mut(handle);
        record.revision = row.revision;
        record.instance = row.instance;
        record.set_state(row.state);
        let offset_high = (row.place.offset >> 96) as u32;
        let kept = row.extras.as_deref().and_then(stored_extras);
        let changed = if row.changed == row.revision { Revision(0) } else { row.changed };
        let is_plain = kept.is_none() && changed.0 == 0 && offset_high == 0;
        match (is_plain, record.extras) {
            (true, NIL) => {}
            (true, old) => {
                self.extras.remove(old);
                record.extras = NIL;
            }
            (false, NIL) => {
                record.extras = self.extras.insert(Extras { changed, offset_high, row: kept });
            }
            (false, old) => *self.extras.at_mut(old) = Extras { changed, offset_high, row: kept },
        }
    }

    /// Takes an allocation out.
    pub(super) fn remove(&mut self, subnets: &Arena<Subnet>, handle: u32) {
        let record = self.records.at(handle);
        let hash = self.address_hash(record.subnet, self.offset(record));
        let was_there = self.by_address.remove(hash, handle);
        debug_assert!(was_there, "each allocation is found by its address");
        self.leave(subnets, handle);
        let extras = self.records.at(handle).extras;
        if extras != NIL {
            self.extras.remove(extras);
        }
        self.records.remove(handle);
    }

    /// An allocation as its effect would put it now.
    pub(super) fn row_of(&self, subnets: &Arena<Subnet>, handle: u32) -> AllocationRow {
        let record = self.records.at(handle);
        let subnet = subnets.at(record.subnet);
        let extras = self.extras(record);
        let changed = extras.map(|extras| extras.changed).filter(|changed| changed.0 != 0);
        AllocationRow {
            place: AllocationPlace {
                network: subnet.network_handle,
                subnet: subnet.handle,
                offset: self.offset(record),
                block_bits: record.block_bits,
            },
            revision: record.revision,
            changed: changed.unwrap_or(record.revision),
            owner: record.owner(),
            slot: record.slot,
            instance: record.instance,
            state: record.state(),
            moves_cursor: false,
            extras: extras.and_then(|extras| extras.row.clone()),
        }
    }

    /// Reads what an operation on an owner will read, so that it is near by then.
    pub(super) fn touch(
        &self,
        subnets: &Arena<Subnet>,
        project: ProjectId,
        owner: OwnerId,
        owner_salt: u64,
    ) -> u8 {
        let Some(home) = self.find_owner(subnets, project, owner_salt, owner) else { return 0 };
        let record = self.records.at(home);
        self.by_address.touch(self.address_hash(record.subnet, record.offset_low()))
    }

    /// Puts a record into its owner's ring and the key index.
    fn join(&mut self, subnets: &Arena<Subnet>, handle: u32) {
        let record = self.records.at(handle);
        let (owner, slot) = (record.owner(), record.slot);
        let place = subnets.at(record.subnet);
        let (key_salt, owner_salt) = (place.key_salt, place.owner_salt);
        match self.find_owner(subnets, place.project, owner_salt, owner) {
            None => {
                let record = self.records.at_mut(handle);
                (record.next, record.previous) = (handle, handle);
                self.add_home(subnets, handle);
            }
            Some(home) => {
                let next = self.records.at(home).next;
                let record = self.records.at_mut(handle);
                (record.next, record.previous) = (next, home);
                self.records.at_mut(home).next = handle;
                self.records.at_mut(next).previous = handle;
                let hash = self.key_hash(owner, slot, key_salt);
                self.add_key(subnets, hash, handle);
            }
        }
    }

    fn leave(&mut self, subnets: &Arena<Subnet>, handle: u32) {
        let record = self.records.at(handle);
        let (next, previous, was_home) = (record.next, record.previous, record.is_home());
        let hash = self.hash_in_index(subnets, handle);
        let was_there = self.by_key.remove(hash, handle);
        debug_assert!(was_there, "each allocation is found by its key");
        if next == handle {
            return;
        }
        self.records.at_mut(next).previous = previous;
        self.records.at_mut(previous).next = next;
        if was_home {
            let hash = self.hash_in_index(subnets, next);
            self.by_key.remove(hash, next);
            self.add_home(subnets, next);
        }
    }

    fn add_home(&mut self, subnets: &Arena<Subnet>, handle: u32) {
        self.records.at_mut(handle).set_home(true);
        let hash = self.hash_in_index(subnets, handle);
        self.add_key(subnets, hash, handle);
    }

    fn add_key(&mut self, subnets: &Arena<Subnet>, hash: u64, handle: u32) {
        let Self { records, by_key, hasher, .. } = self;
        by_key.insert(hash, handle, |handle| index_hash(hasher, records, subnets, handle));
    }

    fn hash_in_index(&self, subnets: &Arena<Subnet>, handle: u32) -> u64 {
        index_hash(&self.hasher, &self.records, subnets, handle)
    }

    fn owner_hash(&self, owner: OwnerId, owner_salt: u64) -> u64 {
        self.hasher.hash(owner.0.as_u128(), owner_salt)
    }

    fn key_hash(&self, owner: OwnerId, slot: Slot, key_salt: u64) -> u64 {
        key_hash(&self.hasher, owner, slot, key_salt)
    }

    fn address_hash(&self, subnet: u32, offset: u128) -> u64 {
        address_hash(&self.hasher, subnet, offset)
    }
}

/// Under which hash a record lies in the key index.
fn index_hash(
    hasher: &Hasher,
    records: &Slab<Record, 12>,
    subnets: &Arena<Subnet>,
    handle: u32,
) -> u64 {
    let record = records.at(handle);
    let place = subnets.at(record.subnet);
    if record.is_home() {
        hasher.hash(record.owner().0.as_u128(), place.owner_salt)
    } else {
        key_hash(hasher, record.owner(), record.slot, place.key_salt)
    }
}

fn key_hash(hasher: &Hasher, owner: OwnerId, slot: Slot, key_salt: u64) -> u64 {
    hasher.hash(owner.0.as_u128(), key_salt.wrapping_add(u64::from(slot.0) + 1))
}

#[inline]
fn address_hash(hasher: &Hasher, subnet: u32, offset: u128) -> u64 {
    hasher.hash(offset, u64::from(subnet))
}

/// Rare fields as they are kept: copied, so that no network buffer stays alive, without the trace
/// id, which only the journal has.
fn stored_extras(row: &AllocationExtras) -> Option<Box<AllocationExtras>> {
    let mut kept = row.clone();
    kept.trace = None;
    for text in [&mut kept.manager, &mut kept.host, &mut kept.label, &mut kept.owner_name] {
        *text = text.as_ref().map(super::owned);
    }
    (kept != AllocationExtras::default()).then(|| Box::new(kept))
}
