//! Sieves: which blocks of a volume can have a record about a cell or an owner. A sieve never denies what
//! it was given, and seldom affirms what it wasn't. Knows no file.
//!
//! Shape: 512 lines of 256 bits; a key sets four bits of one line (a blocked Bloom filter), so that it costs
//! little where each record of a busy server is noted. Of a full block about one in fifty other keys passes.

use crate::journal::CellGlance;
use crate::model::{AllocationPlace, NetworkHandle, OwnerId, SubnetHandle};

/// Bytes of a line.
pub(crate) const LINE_BYTES: usize = 32;
/// Lines of a sieve.
pub(crate) const LINES: usize = 512;

/// What a sieve is asked for. Part of the format on the disk: docs/disk-format.md, "Index of a volume".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(u64);

/// First words of what is hashed.
const CELL: u64 = 1;
const OWNER: u64 = 2;
const WIDE: u64 = 3;

impl Key {
    /// A single address of a subnet.
    pub(crate) const fn cell(network: NetworkHandle, subnet: SubnetHandle, offset: u128) -> Self {
        Self::of(CELL, number(network, subnet), fold(offset))
    }

    /// Anything of a subnet or pool that is more than one address.
    pub(crate) const fn wide(network: NetworkHandle, subnet: SubnetHandle) -> Self {
        Self::of(WIDE, number(network, subnet), 0)
    }

    /// What a record of a place is found by.
    pub(crate) const fn place(place: &AllocationPlace) -> Self {
        match place.block_bits {
            0 => Self::cell(place.network, place.subnet, place.offset),
            _ => Self::wide(place.network, place.subnet),
        }
    }

    /// An owner.
    pub(crate) const fn owner(owner: OwnerId) -> Self {
        let (high, low) = owner.0.as_u64_pair();
        Self::of(OWNER, high, low)
    }

    const fn of(kind: u64, one: u64, two: u64) -> Self {
        Self(mix(one.wrapping_mul(ODD).wrapping_add(two) ^ kind.wrapping_mul(KINDS)))
    }

    /// The line that it is in.
    pub(crate) const fn line(self) -> usize {
        (self.0 >> 32) as usize % LINES
    }

    /// Its four bits in the line: the number of each.
    const fn bits(self) -> [u8; 4] {
        (self.0 as u32).to_be_bytes()
    }

    /// Whether a line can have it.
    pub(crate) fn is_in(self, line: &[u8]) -> bool {
        let is_set = |bit: u8| {
            line.get(usize::from(bit >> 3)).is_some_and(|byte| byte >> (bit & 7) & 1 == 1)
        };
        self.bits().into_iter().all(is_set)
    }
}

const fn number(network: NetworkHandle, subnet: SubnetHandle) -> u64 {
    (network.0 as u64) << 32 | subnet.0 as u64
}

const fn fold(offset: u128) -> u64 {
    offset as u64 ^ ((offset >> 64) as u64).rotate_left(32)
}

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
const KINDS: u64 = 0xd6e8_feb8_6659_fd93;

/// Spreads each bit over all (the end of MurmurHash3).
const fn mix(number: u64) -> u64 {
    let mut mixed = number;
    mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 33)
}

/// The sieve of one block.
#[derive(Clone, Debug)]
pub(crate) struct Sieve(Box<[[u8; LINE_BYTES]; LINES]>);

impl Default for Sieve {
    fn default() -> Self {
        Self(Box::new([[0; LINE_BYTES]; LINES]))
    }
}

impl Sieve {
    /// Notes a key.
    #[inline]
    pub(crate) fn note(&mut self, key: Key) {
        let Some(line) = self.0.get_mut(key.line()) else { return };
        for bit in key.bits() {
            if let Some(byte) = line.get_mut(usize::from(bit >> 3)) {
                *byte |= 1 << (bit & 7);
            }
        }
    }

    /// Notes what a record of a cell is found by.
    #[inline]
    pub(crate) fn note_cell(&mut self, glance: &CellGlance) {
        self.note(Key::place(&glance.place));
        for owner in [glance.owner, glance.former].into_iter().flatten() {
            self.note(Key::owner(owner));
        }
    }

    /// Writes one line.
    pub(crate) fn write_line(&self, line: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.get(line).map_or(&[], |line| line.as_slice()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key is on the disk: it must never come out as another.
    #[test]
    fn keys_are_what_they_always_were() {
        let (network, subnet) = (NetworkHandle(7), SubnetHandle(9));
        let keys = [
            Key::cell(network, subnet, 5),
            Key::cell(network, subnet, 1 << 100),
            Key::wide(network, subnet),
            Key::owner(OwnerId::from_u128(0x1234_5678_9abc_def0 << 32)),
        ];
        let expected = [
            0x6ca9_63d3_275c_811c,
            0x7389_5b56_53a2_7e8b,
            0x4e4b_c0c7_4f20_77e5,
            0x4b99_52a6_4f33_31e6,
        ];
        assert_eq!(keys.map(|key| key.0), expected);
    }

    #[test]
    fn a_full_sieve_has_all_it_was_given_and_little_else() {
        let mut sieve = Sieve::default();
        let key =
            |number: u32| Key::cell(NetworkHandle(number % 9), SubnetHandle(1), number.into());
        (0..12_000).for_each(|number| sieve.note(key(number)));
        let is_in = |key: Key| {
            let mut line = Vec::new();
            sieve.write_line(key.line(), &mut line);
            key.is_in(&line)
        };
        assert!((0..12_000).all(|number| is_in(key(number))));
        let wrong = (12_000..112_000).filter(|number| is_in(key(*number))).count();
        assert!(wrong < 3_000, "{wrong} of 100,000");
    }
}
