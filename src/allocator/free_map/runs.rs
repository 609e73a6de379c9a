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
}
