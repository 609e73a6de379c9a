//! A subnet in memory: attributes, free map, pieces, exclusions. Knows no owners.

use super::free_map::{FreeMap, MapStore};
use super::growth::Samples;
use super::holds::SubnetHolds;
use super::levels::LevelBounds;
use super::order::Key;
use super::pieces::{Closed, Part, Pieces, Span};
use super::record::Holder;
use super::rests::SubnetRests;
use crate::model::{
    Family, NetworkHandle, Prefix, ProjectId, Range, Revision, SubnetHandle, SubnetRow,
};
use addrd_protocol::message::{Exclusion, ExclusionMode, Strategy, SubnetKind};
use addrd_protocol::prefix::number_of;
use std::net::IpAddr;

/// A subnet of the shard.
#[derive(Debug)]
pub(super) struct Subnet {
    /// Its network in the shard.
    pub(super) network: u32,
    /// Copies from its network, since the hot path needs them with each allocation.
    pub(super) project: ProjectId,
    pub(super) network_handle: NetworkHandle,
    pub(super) key_salt: u64,
    pub(super) owner_salt: u64,
    pub(super) handle: SubnetHandle,
    pub(super) family: Family,
    pub(super) host_bits: u8,
    /// As its network's order has it.
    pub(super) room: u8,
    /// Strategy of requests that name none.
    pub(super) strategy: Strategy,
    pub(super) deleting: bool,
    /// Any request of the network may draw from it.
    pub(super) open: bool,
    /// Number of its first address.
    pub(super) base: u128,
    /// Offset at which `next` goes on.
    pub(super) cursor: u128,
    /// Live allocations.
    pub(super) allocations: u64,
    /// How long what is released rests, ms.
    pub(super) quarantine_ms: u64,
    /// What rests in it; none = nothing.
    pub(super) rests: Option<Box<SubnetRests>>,
    /// What is held under a token in it; none = nothing.
    pub(super) holds: Option<Box<SubnetHolds>>,
    /// Allocations of ports that stand in the way of its deletion only if it isn't auto-address.
    pub(super) of_ports: u32,
    /// Allocations of ports that yield to its deletion.
    pub(super) of_yielding: u32,
    /// Revision of its network when its counts changed last, or a later one.
    pub(super) counted: Revision,
    pub(super) map: FreeMap,
    pub(super) pieces: Pieces,
    /// Its use at past times.
    pub(super) samples: Samples,
    /// Free counts at which the level of its use is looked at.
    pub(super) bounds: LevelBounds,
    /// It waits for that.
    pub(super) is_crossed: bool,
    /// Orders of blocks that it has or had since it last had none; bit 0 is unused.
    pub(super) block_orders: u128,
    /// Blocks that live or rest (not single addresses).
    pub(super) blocks: u64,
    /// Ordered by address, disjoint.
    pub(super) exclusions: Vec<Exclusion>,
    /// Offsets of its pins, rising.
    pub(super) pins: Vec<u128>,
    pub(super) row: Box<SubnetRow>,
}

impl Subnet {
    pub(super) fn prefix(&self) -> &Prefix {
        &self.row.prefix
    }

    /// Its place in the order of its network; `own` is its handle in the shard.
    pub(super) fn key(&self, own: u32) -> Key {
        Key::new(self.family, self.base, self.row.prefix.length(), own)
    }

    /// The address at an offset inside the prefix.
    #[inline]
    pub(super) fn address(&self, offset: u128) -> IpAddr {
        let number = self.base + offset;
        match self.family {
            Family::V4 => IpAddr::V4((number as u32).into()),
            Family::V6 => IpAddr::V6(number.into()),
        }
    }

    /// Offsets that a range covers inside the prefix.
    pub(super) fn span_of(&self, range: &Range) -> Option<Span> {
        if range.family() != self.family {
            return None;
        }
        let (first, last) = (number_of(&range.first()), number_of(&range.last()));
        let end = self.base + self.offset_max();
        if last < self.base || first > end {
            return None;
        }
        Some((first.max(self.base) - self.base, last.min(end) - self.base))
    }

    /// The whole prefix.
    pub(super) fn whole(&self) -> Span {
        (0, self.offset_max())
    }

    #[inline]
    pub(super) fn offset_max(&self) -> u128 {
        last_of(0, self.host_bits)
    }

    /// Room as its network's order should have it.
    #[inline]
    pub(super) fn room_now(&self, store: &MapStore) -> u8 {
        let is_shut = self.deleting || !self.open || self.pieces.free() == 0;
        if is_shut { 0 } else { self.map.room(store) }
    }

    /// Counts an allocation of a holder as there or as gone.
    #[inline]
    pub(super) const fn count_holder(&mut self, holder: Holder, there: bool) {
        let count = match holder {
            Holder::Other | Holder::Router => return,
            Holder::Port => &mut self.of_ports,
            Holder::Yielding => &mut self.of_yielding,
        };
        *count = if there { *count + 1 } else { *count - 1 };
    }

    /// Whether an allocation goes silently with the subnet.
    pub(super) fn yields(&self, holder: Holder) -> bool {
        match holder {
            Holder::Other | Holder::Router => false,
            Holder::Port => self.row.service.is_auto_address(),
            Holder::Yielding => true,
        }
    }

    /// Resting blocks and addresses.
    pub(super) fn resting(&self) -> u64 {
        self.rests.as_deref().map_or(0, SubnetRests::count)
    }

    /// Allocations that stand in the way of its deletion.
    pub(super) fn blocking(&self) -> u64 {
        let ports = if self.yields(Holder::Port) { self.of_ports } else { 0 };
        self.allocations - u64::from(ports) - u64::from(self.of_yielding)
    }

    /// Whether it counts among those that any request may draw from.
    pub(super) const fn is_usable(&self) -> bool {
        self.open && !self.deleting
    }

    /// Makes the pieces afresh from pools and exclusions.
    pub(super) fn cut(&mut self, store: &MapStore) {
        let spans = |ranges: &mut dyn Iterator<Item = Range>| -> Vec<Span> {
            ranges.filter_map(|range| self.span_of(&range)).collect()
        };
        let pools = spans(&mut self.row.pools.iter().copied());
        let ranges = spans(&mut self.exclusions.iter().map(|exclusion| exclusion.range));
        let is_apart = |at: u128| !ranges.iter().any(|&(from, to)| from <= at && at <= to);
        let pins = self.pins.iter().filter(|at| is_apart(**at));
        let pins = pins.map(|&at| ((at, at), Part::Pinned));
        let mut closed: Vec<Closed> =
            ranges.iter().map(|&span| (span, Part::Excluded)).chain(pins).collect();
        closed.sort_unstable();
        self.pieces = Pieces::new(&pools, &closed, &self.map, store);
    }

    /// First exclusion that shares an offset with `first..=last`.
    pub(super) fn excluded(&self, first: u128, last: u128) -> impl Iterator<Item = &Exclusion> {
        self.exclusions.iter().filter(move |exclusion| {
            self.span_of(&exclusion.range).is_some_and(|(from, to)| from <= last && to >= first)
        })
    }

    /// Whether an exclusion for everyone shares an offset with `first..=last`.
    pub(super) fn excluded_for_everyone(&self, first: u128, last: u128) -> Option<&Exclusion> {
        self.excluded(first, last).find(|exclusion| exclusion.mode == ExclusionMode::Everyone)
    }

    /// Whether `first..=last` has the network or broadcast address of an IPv4 broadcast subnet.
    pub(super) fn has_reserved(&self, first: u128, last: u128) -> bool {
        let keeps = self.row.kind == SubnetKind::Broadcast;
        keeps
            && self.family == Family::V4
            && self.host_bits >= 2
            && (first == 0 || last == self.offset_max())
    }

    /// Whether `first..=last` has the gateway.
    pub(super) fn has_gateway(&self, first: u128, last: u128) -> bool {
        let offset = self.row.gateway.and_then(|gateway| self.row.prefix.offset_of(&gateway));
        offset.is_some_and(|offset| (first..=last).contains(&offset))
    }
}

/// Last offset of an aligned block.
#[inline]
pub(super) const fn last_of(at: u128, order: u8) -> u128 {
    if order == 0 { at } else { at | u128::MAX >> (128 - order as u32) }
}
