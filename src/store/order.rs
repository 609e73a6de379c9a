//! Sorts many small items by integer keys, in time that grows with their number alone. Knows
//! nothing of what they are.

/// Bits of a key that one pass looks at: as many places as fit the first-level cache.
const DIGIT_BITS: u32 = 11;
const DIGITS: usize = 1 << DIGIT_BITS;
/// Fewer items than this are compared instead.
const RADIX_MIN: usize = 4 * DIGITS;

/// Sorts items by a key, and keeps the order of those with the same key.
///
/// Shape: a pass over all items for each group of 11 bits in which two keys differ; memory for as
/// many items once more.
pub(crate) fn sort_by_number<T: Copy>(items: &mut Vec<T>, key: impl Fn(&T) -> u128) {
    if items.len() < RADIX_MIN {
        items.sort_by_key(key);
        return;
    }
    let first = items.first().map_or(0, &key);
    let differing = items.iter().fold(0, |bits, item| bits | (key(item) ^ first));
    let mut sorted = items.clone();
    for shift in (0..u128::BITS).step_by(DIGIT_BITS as usize) {
        let digit = |item: &T| (key(item) >> shift) as usize % DIGITS;
        if !((differing >> shift) as usize).is_multiple_of(DIGITS) {
            pass(items, &mut sorted, digit);
            std::mem::swap(items, &mut sorted);
        }
    }
}

/// Puts items into the order of a digit.
fn pass<T: Copy>(from: &[T], to: &mut [T], digit: impl Fn(&T) -> usize) {
    let mut places = [0_usize; DIGITS];
    from.iter().for_each(|item| places[digit(item)] += 1);
    let mut next = 0;
    for place in &mut places {
        next += std::mem::replace(place, next);
    }
    for item in from {
        let place = &mut places[digit(item)];
        to[*place] = *item;
        *place += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]

        #[test]
        fn it_sorts_and_keeps_the_order_of_equals(
            seed in any::<u128>(),
            bits in 0_u32..=128,
            count in 0..3 * RADIX_MIN,
        ) {
            let mut number = seed | 1;
            let mask = u128::MAX.checked_shr(128 - bits).unwrap_or(0);
            let items: Vec<(u128, usize)> = (0..count)
                .map(|at| {
                    number = number.wrapping_mul(0xda94_2042_e4dd_58b5_9b7d_1c6a_45ff_1fb5) ^ seed;
                    ((number.rotate_left(61) & mask).rotate_left(seed as u32 % 128), at)
                })
                .collect();
            let mut expected = items.clone();
            expected.sort_unstable();
            let mut sorted = items;
            sort_by_number(&mut sorted, |item| item.0);
            prop_assert_eq!(sorted, expected);
        }
    }
}
