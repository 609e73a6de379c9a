//! All allocations of a shard and the two indexes over them: by key and owner, by address. Counts
//! nothing, decides nothing. What rests is here too, found by its address alone: its key is free.
//!
//! One index serves keys and owners. An owner's allocations form a ring; one of them, the *home*,
//! lies under the hash of (project, owner), the others under that of (network, owner, slot). So an
//! owner with one allocation costs one entry and one look, and no owner costs a walk.

use super::deadlines::{Deadlines, Lease};
use super::hosts::Hosts;
use super::index::{Hasher, Index};
use super::record::{Extras, Holder, Record};
use super::slab::{Arena, NIL, Slab};
use super::subnet::Subnet;
use crate::model::{
    AllocationExtras, AllocationPlace, AllocationRow, OwnerId, ProjectId, Revision, Slot,
};
use addrd_protocol::message::AllocationState;
use addrd_sync::prefetch;

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
    records: Slab<Record, 4096>,
    extras: Arena<Extras>,
    by_key: Index,
    by_address: Index,
    pub(super) deadlines: Deadlines,
    pub(super) hosts: Hosts,
    pub(super) hasher: Hasher,
}

impl Ledger {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            records: Slab::new(),
            extras: Arena::new(),
            by_key: Index::new(),
            by_address: Index::new(),
            deadlines: Deadlines::default(),
            hosts: Hosts::new(),
            hasher: Hasher::new(seed),
        }
    }

    pub(super) const fn count(&self) -> u32 {
        self.records.count()
    }

    /// Bytes, without texts.
    pub(super) fn bytes(&self) -> usize {
        self.records.bytes()
            + self.extras.bytes()
            + self.by_key.bytes()
            + self.by_address.bytes()
            + self.deadlines.bytes()
            + self.hosts.bytes()
    }

    /// Entries of the indexes, by key and by address.
    pub(super) fn indexed(&self) -> (usize, usize) {
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
        self.find_hashed(self.owner_hash(owner, owner_salt), subnets, project, owner)
    }

    /// The same, with the owner's hash at hand.
    #[inline]
    pub(super) fn find_hashed(
        &self,
        hash: u64,
        subnets: &Arena<Subnet>,
        project: ProjectId,
        owner: OwnerId,
    ) -> Option<u32> {
        self.by_key.find(hash, |handle| {
            let record = self.records.at(handle);
            record.is_home()
                && record.owner() == owner
                && self.project_of(subnets, record) == project
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
                && self.project_of(subnets, record) == key.project
        })
    }

    /// Whose an allocation is: that of its network, unless it says another.
    #[inline]
    pub(super) fn project_of(&self, subnets: &Arena<Subnet>, record: &Record) -> ProjectId {
        let own = subnets.at(record.subnet).project;
        if record.extras == NIL {
            return own;
        }
        self.extras_row(record).and_then(|row| row.project).unwrap_or(own)
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
        let place = subnets.at(subnet);
        let other = row.extras.as_deref().and_then(|extras| extras.project);
        let salt = other.map_or(place.owner_salt, |project| owner_salt(&self.hasher, project));
        let hash = self.owner_hash(row.owner, salt);
        match self.find_hashed(hash, subnets, other.unwrap_or(place.project), row.owner) {
            None => self.insert_first(subnets, subnet, row, hash),
            Some(home) => {
                let handle = self.add_record(subnets, subnet, row);
                let next = self.records.at(home).next;
                let record = self.records.at_mut(handle);
                (record.next, record.previous) = (next, home);
                self.records.at_mut(home).next = handle;
                self.records.at_mut(next).previous = handle;
                let salt = key_salt(&self.hasher, place.key_salt, other);
                let hash = self.key_hash(row.owner, row.slot, salt);
                self.add_key(subnets, hash, handle);
                handle
            }
        }
    }

    /// Puts the only allocation of its owner in the project; `hash` is the owner's.
    #[inline]
    pub(super) fn insert_first(
        &mut self,
        subnets: &Arena<Subnet>,
        subnet: u32,
        row: &AllocationRow,
        hash: u64,
    ) -> u32 {
        let handle = self.add_record(subnets, subnet, row);
        let record = self.records.at_mut(handle);
        (record.next, record.previous) = (handle, handle);
        record.set_home(true);
        self.add_key(subnets, hash, handle);
        handle
    }

    /// Puts what rests: it is no allocation of its owner any more.
    pub(super) fn insert_resting(
        &mut self,
        subnets: &Arena<Subnet>,
        subnet: u32,
        row: &AllocationRow,
    ) -> u32 {
        let handle = self.add_record(subnets, subnet, row);
        let record = self.records.at_mut(handle);
        (record.next, record.previous) = (handle, handle);
        handle
    }

    /// A record with its rare fields, found by its address.
    #[inline]
    fn add_record(&mut self, subnets: &Arena<Subnet>, subnet: u32, row: &AllocationRow) -> u32 {
        let offset = row.place.offset;
        let handle = self.records.insert(Record::of(subnet, row));
        if row.extras.is_some() || row.changed != row.revision || offset >> 96 != 0 {
            self.write(subnets, handle, row);
        }
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
    pub(super) fn write(&mut self, subnets: &Arena<Subnet>, handle: u32, row: &AllocationRow) {
        let record = self.records.at_mut(handle);
        record.revision = row.revision;
        record.instance = row.instance;
        record.set_state(row.state);
        record.set_follows(row.extras.as_deref().is_some_and(|extras| extras.follows.is_some()));
        let offset_high = (row.place.offset >> 96) as u32;
        let kept = row.extras.as_deref().and_then(stored_extras);
        let changed = if row.changed == row.revision { Revision(0) } else { row.changed };
        let deadline = row.extras.as_deref().and_then(|extras| extras.deadline).unwrap_or(0);
        let rest_end = row.extras.as_deref().and_then(|extras| extras.quarantine_end).unwrap_or(0);
        let old = self.extras.get(record.extras);
        let (old, member) =
            old.map_or((Lease::default(), NIL), |extras| (extras.lease, extras.member));
        let lease = self.deadlines.set(handle, old, deadline);
        let has_times = deadline != 0 || rest_end != 0;
        let is_plain = kept.is_none() && changed.0 == 0 && offset_high == 0 && !has_times;
        let new = Extras { changed, offset_high, lease, member, rest_end, row: kept };
        match (is_plain, record.extras) {
            (true, NIL) => {}
            (true, old) => {
                self.extras.remove(old);
                record.extras = NIL;
            }
            (false, NIL) => {
                record.extras = self.extras.insert(new);
            }
            (false, old) => *self.extras.at_mut(old) = new,
        }
        if member != NIL || row.extras.as_deref().is_some_and(|extras| extras.manager.is_some()) {
            self.settle(subnets, handle, member);
        }
    }

    /// Puts an allocation among those of its host, as touched now, or takes it out.
    fn settle(&mut self, subnets: &Arena<Subnet>, handle: u32, old: u32) {
        let record = self.records.at(handle);
        let place = subnets.at(record.subnet);
        let network = place.network_handle.0;
        let is_held = record.state() == AllocationState::Allocated;
        let extras = match record.extras {
            NIL => None,
            extras => Some(self.extras.at_mut(extras)),
        };
        // Those of objects go with their object.
        let row = extras.as_ref().and_then(|extras| extras.row.as_deref());
        let row = row.filter(|row| is_held && row.port.is_none());
        let named = row.and_then(|row| Some((row, row.manager.as_ref()?)));
        let member = match named {
            None => NIL,
            Some((row, manager)) => {
                let project = row.project.unwrap_or(place.project);
                let texts = (manager, row.host.as_ref());
                let life = row.follows.filter(|_| row.host.is_some()).unwrap_or(0);
                if old != NIL && self.hosts.is_at(old, network, project, texts, life) {
                    self.hosts.touch(old);
                    old
                } else {
                    self.hosts.enter(network, project, texts, life, handle)
                }
            }
        };
        if old != NIL && old != member {
            self.hosts.leave(old);
        }
        let Some(extras) = extras else { return };
        extras.member = member;
        if member != NIL
            && let Some(row) = &mut extras.row
        {
            (row.manager, row.host) = self.hosts.texts_of(member);
        }
    }

    /// The place of an allocation among those of its host, or [`NIL`].
    pub(super) fn member_of(&self, record: &Record) -> u32 {
        self.extras(record).map_or(NIL, |extras| extras.member)
    }

    /// Something shows that an allocation lives.
    pub(super) fn touch(&mut self, handle: u32) {
        let member = self.member_of(self.records.at(handle));
        if member != NIL {
            self.hosts.touch(member);
        }
    }

    /// Notes who holds an allocation; gives its subnet and who held it before.
    pub(super) fn set_holder(&mut self, handle: u32, holder: Holder) -> (u32, Holder) {
        let record = self.records.at_mut(handle);
        let before = record.holder();
        record.set_holder(holder);
        (record.subnet, before)
    }

    /// Takes an allocation out.
    #[inline]
    pub(super) fn remove(&mut self, subnets: &Arena<Subnet>, handle: u32) {
        let record = self.records.at(handle);
        let (next, previous, extras) = (record.next, record.previous, record.extras);
        let by_address = self.address_hash(record.subnet, self.offset(record));
        let by_key = (!record.rests()).then(|| self.index_hash(record, subnets.at(record.subnet)));
        let was_home = record.is_home();
        let was_there = self.by_address.remove(by_address, handle)
            & by_key.is_none_or(|by_key| self.by_key.remove(by_key, handle));
        debug_assert!(was_there, "each allocation is found by its key and address");
        self.records.remove(handle);
        if let Some(extras) = self.extras.get(extras) {
            self.deadlines.forget(handle, &extras.lease);
            if extras.member != NIL {
                self.hosts.leave(extras.member);
            }
        }
        if extras != NIL {
            self.extras.remove(extras);
        }
        if next != handle {
            self.leave_ring(subnets, next, previous, was_home);
        }
    }

    /// Closes a ring behind what was taken out; its next one becomes the home if that was.
    fn leave_ring(&mut self, subnets: &Arena<Subnet>, next: u32, previous: u32, was_home: bool) {
        self.records.at_mut(next).previous = previous;
        self.records.at_mut(previous).next = next;
        if was_home {
            let record = self.records.at(next);
            let hash = self.index_hash(record, subnets.at(record.subnet));
            self.by_key.remove(hash, next);
            self.records.at_mut(next).set_home(true);
            let record = self.records.at(next);
            let hash = self.index_hash(record, subnets.at(record.subnet));
            self.add_key(subnets, hash, next);
        }
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
            extras: extras.and_then(whole_extras),
        }
    }

    /// When an allocation ends, ms since the Unix epoch, with whatever grace it has: by its own lease, or with
    /// that of the host that it follows.
    #[inline]
    pub(super) fn lease_end(&self, record: &Record) -> Option<u64> {
        let own = self.own_end(record);
        if !record.follows() {
            return own;
        }
        let member = self.member_of(record);
        // What is held under a token follows nothing yet.
        let of_host = if member == NIL { None } else { self.hosts.end_of_member(member) };
        own.into_iter().chain(of_host).min()
    }

    /// When the own lease of an allocation ends, ms since the Unix epoch, with whatever grace it has.
    #[inline]
    pub(super) fn own_end(&self, record: &Record) -> Option<u64> {
        let lease = &self.extras(record)?.lease;
        (lease.deadline != 0).then(|| self.deadlines.end_of(lease))
    }

    /// When a rest or a held release ends, ms since the Unix epoch; 0 = neither is so.
    pub(super) fn rest_end(&self, record: &Record) -> u64 {
        self.extras(record).map_or(0, |extras| extras.rest_end)
    }

    /// Moves the end of a rest, which no order knows meanwhile.
    pub(super) fn set_rest_end(&mut self, handle: u32, rest_end: u64) {
        let extras = self.records.at(handle).extras;
        if extras != NIL {
            self.extras.at_mut(extras).rest_end = rest_end;
        }
    }

    /// Revision of the last record of an allocation.
    pub(super) fn changed(&self, record: &Record) -> Revision {
        self.extras(record).map_or(record.revision, |extras| extras.changed.max(record.revision))
    }

    /// Grace periods that had been granted when the deadline of an allocation was written.
    pub(super) fn grace(&self, record: &Record) -> u32 {
        self.extras(record).map_or(0, |extras| extras.lease.grace)
    }

    /// Gives a lease back what it had before its deadline was written and taken back.
    pub(super) fn restore_grace(&mut self, handle: u32, grace: u32) {
        let extras = self.records.at(handle).extras;
        if extras != NIL {
            self.extras.at_mut(extras).lease.grace = grace;
        }
    }

    /// Moves a deadline whose time has come to where its lease ends.
    pub(super) fn move_deadline(&mut self, handle: u32) {
        let extras = self.records.at(handle).extras;
        self.deadlines.move_on(handle, &mut self.extras.at_mut(extras).lease);
    }

    /// Brings the line of an owner's hash in the key index near.
    #[inline]
    pub(super) fn near_key(&self, hash: u64) {
        self.by_key.near(hash);
    }

    /// Brings the record near that probably lies under an owner's hash.
    #[inline]
    pub(super) fn near_record(&self, hash: u64) {
        if let Some(handle) = self.by_key.candidate(hash) {
            prefetch(self.records.at(handle));
        }
    }

    /// Where that record probably is: subnet and offset.
    #[inline]
    pub(super) fn probable_place(&self, hash: u64) -> Option<(u32, u128)> {
        let record = self.records.at(self.by_key.candidate(hash)?);
        Some((record.subnet, record.offset_low()))
    }

    /// Brings the line of a place in the address index near.
    #[inline]
    pub(super) fn near_place(&self, subnet: u32, offset: u128) {
        self.by_address.near(self.address_hash(subnet, offset));
    }

    #[inline]
    fn add_key(&mut self, subnets: &Arena<Subnet>, hash: u64, handle: u32) {
        let Self { records, by_key, hasher, extras, .. } = self;
        by_key.insert(hash, handle, |handle| {
            let record = records.at(handle);
            index_hash(hasher, extras, record, subnets.at(record.subnet))
        });
    }

    fn index_hash(&self, record: &Record, place: &Subnet) -> u64 {
        index_hash(&self.hasher, &self.extras, record, place)
    }

    #[inline]
    pub(super) fn owner_hash(&self, owner: OwnerId, owner_salt: u64) -> u64 {
        self.hasher.hash(owner.0.as_u128(), owner_salt)
    }

    pub(super) fn key_hash(&self, owner: OwnerId, slot: Slot, key_salt: u64) -> u64 {
        key_hash(&self.hasher, owner, slot, key_salt)
    }

    fn address_hash(&self, subnet: u32, offset: u128) -> u64 {
        address_hash(&self.hasher, subnet, offset)
    }
}

/// Under which hash a record lies in the key index; `place` is its subnet.
#[inline]
fn index_hash(hasher: &Hasher, extras: &Arena<Extras>, record: &Record, place: &Subnet) -> u64 {
    let row = extras.get(record.extras).and_then(|extras| extras.row.as_deref());
    let other = row.and_then(|row| row.project);
    if record.is_home() {
        let salt = other.map_or(place.owner_salt, |project| owner_salt(hasher, project));
        hasher.hash(record.owner().0.as_u128(), salt)
    } else {
        let salt = key_salt(hasher, place.key_salt, other);
        key_hash(hasher, record.owner(), record.slot, salt)
    }
}

/// Part of the hashes of keys: that of a network, or of another project on it.
#[inline]
pub(super) fn key_salt(hasher: &Hasher, of_network: u64, other: Option<ProjectId>) -> u64 {
    other.map_or(of_network, |project| hasher.hash(project.0.as_u128(), of_network))
}

/// Part of the hashes of a project's owners.
pub(super) fn owner_salt(hasher: &Hasher, project: ProjectId) -> u64 {
    hasher.hash(project.0.as_u128(), 1)
}

fn key_hash(hasher: &Hasher, owner: OwnerId, slot: Slot, key_salt: u64) -> u64 {
    hasher.hash(owner.0.as_u128(), key_salt.wrapping_add(u64::from(slot.0) + 1))
}

#[inline]
fn address_hash(hasher: &Hasher, subnet: u32, offset: u128) -> u64 {
    hasher.hash(offset, u64::from(subnet))
}

/// Rare fields as the record of the journal has them.
fn whole_extras(extras: &Extras) -> Option<Box<AllocationExtras>> {
    let [deadline, quarantine_end] =
        [extras.lease.deadline, extras.rest_end].map(|time| Some(time).filter(|time| *time != 0));
    if deadline.is_none() && quarantine_end.is_none() {
        return extras.row.clone();
    }
    let mut row = extras.row.clone().unwrap_or_default();
    (row.deadline, row.quarantine_end) = (deadline, quarantine_end);
    Some(row)
}

/// Rare fields as they are kept: copied, so that no network buffer stays alive, without the trace
/// id and the former holder, which only the journal has, and the times, which have places of their own.
fn stored_extras(row: &AllocationExtras) -> Option<Box<AllocationExtras>> {
    let mut kept = row.clone();
    (kept.trace, kept.former) = (None, None);
    (kept.deadline, kept.quarantine_end) = (None, None);
    for text in [&mut kept.manager, &mut kept.host, &mut kept.label, &mut kept.owner_name] {
        *text = text.as_ref().map(super::owned);
    }
    (kept != AllocationExtras::default()).then(|| Box::new(kept))
}
