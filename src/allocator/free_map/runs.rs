//! Aligned runs of ones in a word. Pure arithmetic.

/// Bits at multiples of `2^order`, for each order of 0 to 6.
const MULTIPLES: [u64; 7] = [
    u64::MAX,
    0x5555_5555_5555_5555,
    0x1111_1111_1111_1111,
    0x0101_0101_0101_0101,
    0x0001_0001_0001_0001,
    0x0000_0001_0000_0001,
    1,
];

/// First bits of the aligned groups of `2^order` ones, `order` at most 6.
#[inline]
pub(super) const fn aligned(mut ones: u64, order: u32) -> u64 {
    let mut step = 0;
    while step < order {
        ones &= ones >> (1 << step);
        step += 1;
    }
    ones & MULTIPLES[order as usize]
}

/// Order of the largest aligned group of ones; the word is not zero.
#[inline]
pub(super) const fn largest(mut ones: u64) -> u32 {
    let mut order = 0;
    while order < 6 {
        let wider = ones & (ones >> (1_u64 << order)) & MULTIPLES[order as usize + 1];
        if wider == 0 {
            break;
        }
        ones = wider;
        order += 1;
    }
    order
}

/// First bits of the aligned groups of `2^order` ones among 128, `order` at most 7.
#[inline]
pub(super) const fn aligned_wide(ones: u128, order: u8) -> u128 {
    if order > 6 {
        return (ones == u128::MAX) as u128;
    }
    let (low, high) = (ones as u64, (ones >> 64) as u64);
    (aligned(high, order as u32) as u128) << 64 | aligned(low, order as u32) as u128
}

/// 0 = there is no zero among 128 bits, k + 1 = the largest aligned group of zeros has `2^k`.
#[inline]
pub(super) const fn room(ones: u128) -> u8 {
    if ones == 0 {
        return 8;
    }
    let (low, high) = (room_of(ones as u64), room_of((ones >> 64) as u64));
    if low > high { low } else { high }
}

const fn room_of(ones: u64) -> u8 {
    if ones == u64::MAX { 0 } else { largest(!ones) as u8 + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_aligned() {
        assert_eq!(aligned(0b0110_1111, 1), 0b0000_0101);
        assert_eq!(aligned(0b0110_1111, 2), 0b0000_0001);
        assert_eq!(aligned(u64::MAX, 6), 1);
        assert_eq!(aligned(u64::MAX >> 1, 6), 0);
        assert_eq!(
            (largest(0b0110), largest(0b1100), largest(u64::MAX), largest(1 << 63)),
            (0, 1, 6, 0)
        );
    }
    #[test]
    fn groups_in_wide_words_equal_a_search() {
        let mut state = 5;
        for round in 0..2_000 {
            let mut drawn = || crate::allocator::index::split_mix(&mut state);
            let wide = u128::from(drawn()) << 64 | u128::from(drawn());
            let sparse = wide & (u128::from(drawn()) << 64 | u128::from(drawn()));
            let word = match round % 4 {
                0 => wide,
                1 => sparse,
                2 => !(sparse & wide.rotate_left(9) & wide.rotate_left(31)),
                _ => u128::MAX << (drawn() % 128),
            };
            let has = |order: u8, at: u8| {
                let group = u128::MAX >> (128 - (1_u32 << order)) << at;
                word & group == group
            };
            let starts =
                |order: u8| (0..128_u8).step_by(1 << order).filter(move |at| has(order, *at));
            for order in 0..=7 {
                let wanted = starts(order).fold(0, |bits, at| bits | 1_u128 << at);
                assert_eq!(aligned_wide(word, order), wanted, "round {round} order {order}");
            }
            let most = (0..=7).rev().find(|&order| starts(order).next().is_some());
            assert_eq!(room(!word), most.map_or(0, |order| order + 1), "round {round}");
        }
        assert_eq!((room(0), room(u128::MAX), room(1), room(1 << 127)), (8, 0, 7, 7));
    }
}
