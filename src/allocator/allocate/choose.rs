//! Which free place of a subnet a strategy takes. Changes nothing.
//!
//! The open pieces of the subnet, clipped by the limit, in pool order, form one sequence. `lowest`
//! starts at its beginning; `next` behind what was handed out last; `random` and `hashed` at a
//! place of the sequence. From there the first free aligned place is taken, wrapping once.

use crate::allocator::free_map::MapStore;
use crate::allocator::index::mix;
use crate::allocator::pieces::{Piece, Span};
use crate::allocator::subnet::{Subnet, last_of};
use crate::model::{OwnerId, Slot};
use addrd_protocol::message::Strategy;

/// Where in the sequence a search starts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Start {
    /// At its beginning.
    Lowest,
    /// Behind what was handed out last.
    Cursor,
    /// At a place derived from 128 bits, by [`scale`].
    Place(u128),
}

impl Start {
    /// Of a strategy; `None` for those that choose nothing.
    pub(super) fn new(
        strategy: Strategy,
        owner: OwnerId,
        slot: Slot,
        random: impl FnOnce() -> u128,
    ) -> Option<Self> {
        match strategy {
            Strategy::Lowest => Some(Self::Lowest),
            Strategy::Next | Strategy::Default => Some(Self::Cursor),
            Strategy::Random => Some(Self::Place(random())),
            Strategy::Hashed => Some(Self::Place(hashed(owner, slot))),
            Strategy::Exact | Strategy::Eui64 => None,
        }
    }
}

/// The 128 bits that `hashed` derives from an owner and slot.
///
/// Shape: with `mix` = SplitMix64's finalizer and `h`, `l` the owner's high and low 64 bits, `x` =
/// mix(mix(h) ^ l ^ slot * 0x9e3779b97f4a7c15); the result is mix(x) as high and mix(x + 1) as low
/// half. It never changes: an owner without an address finds the same one again after restarts.
pub(crate) fn hashed(owner: OwnerId, slot: Slot) -> u128 {
    let number = owner.0.as_u128();
    let slot = u64::from(slot.0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = mix(mix((number >> 64) as u64) ^ number as u64 ^ slot);
    u128::from(mix(x)) << 64 | u128::from(mix(x.wrapping_add(1)))
}

/// A place below `size` derived from 128 bits: the high 64 times `size` over 2^64 while `size`
/// fits 64 bits, else the remainder.
pub(crate) fn scale(bits: u128, size: u128) -> u128 {
    match u64::try_from(size) {
        Ok(size) => ((bits >> 64) * u128::from(size)) >> 64,
        Err(_) => bits % size,
    }
}

/// The first free aligned block of `2^order` inside the open pieces and the limit.
pub(super) fn choose(
    subnet: &Subnet,
    store: &MapStore,
    start: Start,
    limit: Span,
    order: u8,
) -> Option<u128> {
    let search = Search { subnet, store, order };
    let pieces = subnet.pieces.open_within(limit);
    let (number, from) = match start {
        Start::Lowest => return search.in_all(pieces),
        Start::Cursor => at_cursor(pieces.clone(), subnet.cursor)?,
        Start::Place(bits) => at_place(pieces.clone(), bits)?,
    };
    let first = pieces.clone().nth(number)?;
    search
        .between(&first, from, first.last)
        .or_else(|| search.in_all(pieces.clone().skip(number + 1)))
        .or_else(|| search.in_all(pieces.take(number)))
        .or_else(|| search.before(&first, from))
}

struct Search<'a> {
    subnet: &'a Subnet,
    store: &'a MapStore,
    order: u8,
}

impl Search<'_> {
    fn in_all(&self, mut pieces: impl Iterator<Item = Piece>) -> Option<u128> {
        pieces.find_map(|piece| self.between(&piece, piece.first, piece.last))
    }

    fn between(&self, piece: &Piece, from: u128, to: u128) -> Option<u128> {
        if piece.free == 0 {
            return None;
        }
        self.subnet.map.find_free(self.store, from, to, self.order)
    }

    /// Blocks of a piece that begin before `from`.
    fn before(&self, piece: &Piece, from: u128) -> Option<u128> {
        let last = from.checked_sub(1).filter(|&last| last >= piece.first)?;
        self.between(piece, piece.first, last_of(last, self.order).min(piece.last))
    }
}

fn at_cursor(
    mut pieces: impl Iterator<Item = Piece> + Clone,
    cursor: u128,
) -> Option<(usize, u128)> {
    let first = pieces.clone().next()?;
    let has = |piece: &Piece, at| piece.first <= at && at <= piece.last;
    if let Some((number, _)) = pieces.clone().enumerate().find(|(_, piece)| has(piece, cursor)) {
        return Some((number, cursor));
    }
    // The last one handed out may have been the end of a piece: go on with the one behind it.
    let handed_out = cursor.wrapping_sub(1);
    let ended = pieces.clone().position(|piece| piece.last == handed_out);
    let next = ended.and_then(|number| Some((number + 1, pieces.nth(number + 1)?.first)));
    Some(next.unwrap_or((0, first.first)))
}

fn at_place(pieces: impl Iterator<Item = Piece> + Clone, bits: u128) -> Option<(usize, u128)> {
    let size: u128 = pieces.clone().map(|piece| piece.size()).sum();
    if size == 0 {
        return None;
    }
    let mut place = scale(bits, size);
    for (number, piece) in pieces.enumerate() {
        if place < piece.size() {
            return Some((number, piece.first + place));
        }
        place -= piece.size();
    }
    None
}
