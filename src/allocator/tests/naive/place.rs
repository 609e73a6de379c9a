//! Where automatic choice looks, address by address.

use super::{Net, Sub};
use crate::model::{Family, OwnerId, Range, Slot};
use addrd_protocol::message::{ExclusionMode, Strategy, SubnetKind};
use addrd_protocol::prefix::number_of;
use std::net::IpAddr;

/// Inclusive numbers of addresses.
pub(in crate::allocator::tests) type Piece = (u128, u128);

pub(in crate::allocator::tests) fn numbers(range: &Range) -> Piece {
    (number_of(&range.first()), number_of(&range.last()))
}

impl Sub {
    pub(in crate::allocator::tests) fn ends(&self) -> Piece {
        (self.prefix.base(), self.prefix.base() + self.prefix.offset_max())
    }

    /// Pools in order, without exclusions, inside a limit.
    pub(in crate::allocator::tests) fn pieces(&self, limit: Option<&Range>) -> Vec<Piece> {
        let mut all = Vec::new();
        for pool in &self.pools {
            let mut parts = vec![numbers(pool)];
            for exclusion in &self.exclusions {
                let (from, to) = numbers(&exclusion.range);
                let cut = |(a, b): Piece| {
                    if to < a || from > b {
                        return vec![(a, b)];
                    }
                    let mut left = Vec::new();
                    if from > a {
                        left.push((a, from - 1));
                    }
                    if to < b {
                        left.push((to + 1, b));
                    }
                    left
                };
                parts = parts.into_iter().flat_map(cut).collect();
            }
            parts.sort_unstable();
            all.extend(parts);
        }
        let (low, high) = limit.map_or((0, u128::MAX), numbers);
        let clip = |(a, b): Piece| (a.max(low), b.min(high));
        all.into_iter().map(clip).filter(|(a, b)| a <= b).collect()
    }

    pub(in crate::allocator::tests) fn excluded(&self, first: u128, last: u128) -> bool {
        self.exclusions.iter().map(|e| numbers(&e.range)).any(|(a, b)| a <= last && b >= first)
    }

    pub(in crate::allocator::tests) fn forbidden(&self, first: u128, last: u128) -> bool {
        let everyone = self.exclusions.iter().filter(|e| e.mode == ExclusionMode::Everyone);
        everyone.map(|e| numbers(&e.range)).any(|(a, b)| a <= last && b >= first)
    }

    /// Network and broadcast address of IPv4 subnets that keep them.
    pub(in crate::allocator::tests) fn reserved(&self, first: u128, last: u128) -> bool {
        let (a, b) = self.ends();
        let keeps = self.kind == SubnetKind::Broadcast
            && self.prefix.family() == Family::V4
            && self.prefix.length() <= 30;
        keeps && (first == a || last == b)
    }

    pub(in crate::allocator::tests) fn is_gateway(&self, first: u128, last: u128) -> bool {
        let same = |gateway: &IpAddr| Family::of(gateway) == self.prefix.family();
        self.gateway.filter(same).is_some_and(|g| (first..=last).contains(&number_of(&g)))
    }
}

pub(in crate::allocator::tests) fn end_of(first: u128, bits: u8) -> u128 {
    first | (1_u128.checked_shl(bits.into()).map_or(u128::MAX, |size| size - 1))
}

impl Net {
    /// Who stands in the way of a block: the last address of one of them.
    pub(in crate::allocator::tests) fn obstacle(
        &self,
        family: Family,
        first: u128,
        last: u128,
    ) -> Option<u128> {
        let held = self.held.iter().map(|held| (held.family, held.first, held.last));
        let resting = self.resting.iter().map(|rest| (rest.family, rest.first, rest.last));
        let overlaps = held.chain(resting).filter(|(of, ..)| *of == family);
        overlaps.filter(|(_, a, b)| *a <= last && *b >= first).map(|(_, _, b)| b).max()
    }

    /// First free aligned block that lies in a piece and begins in `from..=to`.
    fn fit(&self, family: Family, piece: Piece, from: u128, to: u128, bits: u8) -> Option<u128> {
        let up = |at: u128| Some(at.checked_add(end_of(0, bits))? & !end_of(0, bits));
        let mut at = up(from)?;
        while at <= to && end_of(at, bits) <= piece.1 {
            match self.obstacle(family, at, end_of(at, bits)) {
                None => return Some(at),
                Some(last) => at = up(last.checked_add(1)?)?,
            }
        }
        None
    }

    /// What a strategy takes; `None` = nothing is free. For `random` any lawful place.
    pub(in crate::allocator::tests) fn chosen(
        &self,
        sub: &Sub,
        limit: Option<&Range>,
        strategy: Strategy,
        bits: u8,
        owner: OwnerId,
        slot: Slot,
    ) -> Option<u128> {
        let pieces = sub.pieces(limit);
        let family = sub.prefix.family();
        let (number, from) = match strategy {
            Strategy::Next => behind(&pieces, sub)?,
            Strategy::Hashed => nth(&pieces, owner, slot)?,
            _ => (0, pieces.first()?.0),
        };
        let turn = (number..pieces.len()).chain(0..=number);
        for (step, at) in turn.enumerate() {
            let piece = pieces[at];
            let wrapped = step == pieces.len();
            let start = if step == 0 { from } else { piece.0 };
            let end = if wrapped { from.checked_sub(1)? } else { piece.1 };
            if start <= end
                && let Some(found) = self.fit(family, piece, start, end, bits)
            {
                return Some(found);
            }
        }
        None
    }
}

/// Behind the last one that was handed out; at the beginning if that lies nowhere.
fn behind(pieces: &[Piece], sub: &Sub) -> Option<(usize, u128)> {
    let start = (0, pieces.first()?.0);
    let Some(last) = sub.last else {
        // Nothing was handed out: the first address of the prefix is next, if a piece has it.
        let base = sub.prefix.base();
        let has = pieces.iter().position(|&(a, b)| a <= base && base <= b);
        return Some(has.map_or(start, |at| (at, base)));
    };
    let next = last.wrapping_add(1);
    if let Some(at) = pieces.iter().position(|&(a, b)| a <= next && next <= b) {
        return Some((at, next));
    }
    match pieces.iter().position(|&(_, b)| b == last) {
        Some(at) if at + 1 < pieces.len() => Some((at + 1, pieces[at + 1].0)),
        _ => Some(start),
    }
}

fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The place that an owner's hash names, as documented at the strategy.
fn nth(pieces: &[Piece], owner: OwnerId, slot: Slot) -> Option<(usize, u128)> {
    let size: u128 = pieces.iter().map(|(a, b)| b - a + 1).sum();
    let bytes = owner.as_bytes();
    let high = u64::from_be_bytes(bytes[..8].try_into().unwrap());
    let low = u64::from_be_bytes(bytes[8..].try_into().unwrap());
    let slot = u64::from(slot.0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = mix(mix(high) ^ low ^ slot);
    let mut place = if size < 1 << 64 {
        (u128::from(mix(x)) * size) >> 64
    } else {
        (u128::from(mix(x)) << 64 | u128::from(mix(x.wrapping_add(1)))) % size
    };
    for (at, (a, b)) in pieces.iter().enumerate() {
        if place <= b - a {
            return Some((at, a + place));
        }
        place -= b - a + 1;
    }
    None
}
