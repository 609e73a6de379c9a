//! A live allocation in one cache line, and its rare fields apart. Finds nothing, decides nothing.

use super::deadlines::Lease;
use super::slab::{Cell, NIL};
use crate::model::{AllocationExtras, AllocationRow, Instance, OwnerId, Revision, Slot};
use addrd_protocol::message::AllocationState;

const _: () = assert!(size_of::<Record>() == 64, "a plain allocation is one cache line");

/// Bits 0 to 1 of `flags`: the state. Bit 2: [`Record::is_home`]. Bits 3 to 4: [`Record::holder`].
/// Bit 5: [`Record::follows`].
const STATE_MASK: u8 = 0b11;
const HOME: u8 = 0b100;
const FOLLOWS: u8 = 0b10_0000;
const HOLDER_SHIFT: u32 = 3;
const HOLDER_MASK: u8 = 0b11 << HOLDER_SHIFT;

/// Who holds an allocation, as far as the deletion of its subnet asks. It follows from the ports of
/// the network; no record of the journal has it.
///
/// Source: docs/decisions/0017-deletion-counts-who-holds.md.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Holder {
    /// No port.
    #[default]
    Other,
    /// A port that stands in the way, unless the subnet is auto-address.
    Port,
    /// A port that yields.
    Yielding,
    /// A router's port, which always stands in the way.
    Router,
}

/// A live allocation. Of its offset, the highest 32 bits lie with the extras (prefixes with more
/// than 96 host bits only).
#[derive(Clone, Debug)]
pub(super) struct Record {
    owner: [u64; 2],
    pub(super) revision: Revision,
    pub(super) instance: Instance,
    offset_low: u64,
    offset_middle: u32,
    /// Its subnet in the shard.
    pub(super) subnet: u32,
    /// Its [`Extras`], or [`NIL`].
    pub(super) extras: u32,
    /// The owner's next allocation, in a ring.
    pub(super) next: u32,
    /// The owner's previous allocation, in a ring.
    pub(super) previous: u32,
    pub(super) slot: Slot,
    pub(super) block_bits: u8,
    flags: u8,
}

impl Cell for Record {
    fn vacant(link: u32) -> Self {
        Self {
            owner: [0; 2],
            revision: Revision(0),
            instance: Instance(0),
            offset_low: 0,
            offset_middle: 0,
            subnet: NIL,
            extras: NIL,
            next: link,
            previous: NIL,
            slot: Slot(0),
            block_bits: 0,
            flags: 0,
        }
    }

    fn link(&self) -> u32 {
        self.next
    }
}

impl Record {
    /// Of a row, without its rare fields and in a ring of its own.
    #[inline]
    pub(super) fn of(subnet: u32, row: &AllocationRow) -> Self {
        let (owner, offset) = (row.owner.0.as_u128(), row.place.offset);
        Self {
            owner: [(owner >> 64) as u64, owner as u64],
            revision: row.revision,
            instance: row.instance,
            offset_low: offset as u64,
            offset_middle: (offset >> 64) as u32,
            subnet,
            extras: NIL,
            next: NIL,
            previous: NIL,
            slot: row.slot,
            block_bits: row.place.block_bits,
            flags: row.state as u8,
        }
    }

    #[inline]
    pub(super) fn owner(&self) -> OwnerId {
        OwnerId::from_u128(u128::from(self.owner[0]) << 64 | u128::from(self.owner[1]))
    }

    /// The lowest 96 bits of the offset.
    #[inline]
    pub(super) fn offset_low(&self) -> u128 {
        u128::from(self.offset_middle) << 64 | u128::from(self.offset_low)
    }

    /// Never [`AllocationState::Free`] while it lives.
    pub(super) fn state(&self) -> AllocationState {
        match self.flags & STATE_MASK {
            0 => AllocationState::Free,
            1 => AllocationState::Held,
            2 => AllocationState::Allocated,
            _ => AllocationState::Quarantined,
        }
    }

    /// Whether it is an allocation, not a vacant cell.
    pub(super) const fn is_live(&self) -> bool {
        self.flags & STATE_MASK != 0
    }

    /// Whether it was released and rests.
    #[inline]
    pub(super) const fn rests(&self) -> bool {
        self.flags & STATE_MASK == AllocationState::Quarantined as u8
    }

    pub(super) fn set_state(&mut self, state: AllocationState) {
        self.flags = self.flags & !STATE_MASK | state as u8;
    }

    #[inline]
    pub(super) const fn holder(&self) -> Holder {
        match (self.flags & HOLDER_MASK) >> HOLDER_SHIFT {
            0 => Holder::Other,
            1 => Holder::Port,
            2 => Holder::Yielding,
            _ => Holder::Router,
        }
    }

    pub(super) const fn set_holder(&mut self, holder: Holder) {
        self.flags = self.flags & !HOLDER_MASK | (holder as u8) << HOLDER_SHIFT;
    }

    /// Whether it follows its host.
    #[inline]
    pub(super) const fn follows(&self) -> bool {
        self.flags & FOLLOWS != 0
    }

    pub(super) const fn set_follows(&mut self, follows: bool) {
        self.flags = self.flags & !FOLLOWS | if follows { FOLLOWS } else { 0 };
    }

    /// Whether the owner is found by this one of its allocations.
    #[inline]
    pub(super) const fn is_home(&self) -> bool {
        self.flags & HOME != 0
    }

    pub(super) fn set_home(&mut self, home: bool) {
        self.flags = self.flags & !HOME | if home { HOME } else { 0 };
    }
}

/// What only some allocations have.
#[derive(Clone, Debug)]
pub(super) struct Extras {
    /// Revision of the last change that kept the token; 0 = none.
    pub(super) changed: Revision,
    /// The highest 32 bits of the offset.
    pub(super) offset_high: u32,
    /// Its lease; none = without end.
    pub(super) lease: Lease,
    /// Its place among the allocations of its host, or [`NIL`].
    pub(super) member: u32,
    /// When its rest ends, or the time for its held release, ms since the Unix epoch; 0 = neither is so.
    pub(super) rest_end: u64,
    /// As in the record of the journal, without its trace id, its deadline and the end of its rest.
    pub(super) row: Option<Box<AllocationExtras>>,
}
