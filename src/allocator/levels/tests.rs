//! Levels, bounds and hysteresis, against a plain reading of what they mean.

use super::*;

fn levels(all: &[u8]) -> UsageLevels {
    UsageLevels::new(all).unwrap()
}

#[test]
fn only_rising_percentages_are_levels() {
    assert_eq!(levels(&[1, 50, 100]).all(), [1, 50, 100]);
    assert_eq!(levels(&[]).all(), [0_u8; 0]);
    for wrong in [&[0][..], &[101], &[80, 80], &[95, 80], &[1, 2, 3, 4, 5, 6, 7, 8, 9]] {
        assert_eq!(UsageLevels::new(wrong), None, "{wrong:?}");
    }
}

/// Whether `used` is at least `percent` of `size`, said as a fraction, for sizes that leave room.
fn is_at_least(used: u128, percent: u8, size: u128) -> bool {
    used * 100 >= u128::from(percent) * size
}

#[test]
fn a_level_is_reached_exactly_at_its_share() {
    let levels = levels(&[80, 95, 100]);
    for size in (1..=300).chain([65_534, 1 << 40]) {
        let near = |level: u8| (size * u128::from(level) / 100).saturating_sub(3);
        let around = levels.all().iter().flat_map(|level| near(*level)..near(*level) + 7);
        for used in around.chain(0..3).filter(|used| *used <= size) {
            let reached = levels.all().iter().rev().find(|level| is_at_least(used, **level, size));
            assert_eq!(levels.next(0, used, size), reached.copied().unwrap_or(0), "{used}/{size}");
        }
    }
}

/// Every level and use of small subnets: what is told is told until use is below by five points and two
/// addresses, or nothing is used.
#[test]
fn what_was_told_stays_until_use_is_clearly_below() {
    let levels = levels(&[1, 50, 80, 95, 100]);
    for size in 1..=120_u128 {
        for told in [1_u8, 50, 77, 80, 95, 100] {
            for used in 0..=size {
                let rise = (1..=size).find(|used| is_at_least(*used, told, size)).unwrap();
                let is_clear = (used + 2 <= rise
                    && !is_at_least(used, told.saturating_sub(5), size))
                    || used == 0;
                let next = levels.next(told, used, size);
                if is_at_least(used, told, size) {
                    assert!(next >= told);
                } else {
                    assert_eq!(next < told, is_clear, "{told}: {used}/{size} gives {next}");
                }
                // Looked at again nothing is new.
                assert_eq!(levels.next(next, used, size), next, "{told}: {used}/{size}");
            }
        }
    }
}

/// The bounds say exactly when the level would be another one.
#[test]
fn a_bound_is_passed_exactly_when_the_level_changes() {
    let levels = levels(&[50, 80, 95, 100]);
    let huge = [1_u128 << 64, (1 << 64) + 1, (1 << 96) - 7, u128::MAX >> 1, u128::MAX];
    for size in (0..=130).chain(huge) {
        for told in [0, 50, 66, 80, 95, 100] {
            let bounds = LevelBounds::new(&levels, told, size);
            let near = |percent: u8| share(percent, size).saturating_sub(4);
            let edges = [45, 50, 61, 66, 75, 80, 90, 95, 100].map(near);
            let edges =
                edges.into_iter().flat_map(|from| (0..9).map(move |by| from.saturating_add(by)));
            for used in edges.chain(0..9).filter(|used| *used <= size) {
                let changes = levels.next(told, used, size) != told;
                assert_eq!(bounds.is_passed(size - used), changes, "{told}: {used}/{size}");
            }
        }
    }
    let none = LevelBounds::new(&UsageLevels::default(), 80, 10);
    assert!((0..=10).all(|free| !none.is_passed(free)));
}

#[test]
fn crossings_count_for_every_level_that_was_passed() {
    let mut all = Levels::default();
    all.set(levels(&[80, 95, 100]));
    all.moved(0, 100);
    all.count(0, 100);
    all.moved(0, 80);
    all.count(0, 80);
    all.moved(100, 80);
    all.count(100, 80);
    let counts = all.news().unwrap();
    assert_eq!(counts.at[..3], [2, 0, 0]);
    assert_eq!(counts.risen[..3], [2, 1, 1]);
    assert_eq!(counts.fallen[..3], [0, 1, 1]);
    assert_eq!(all.news(), None, "nothing has changed");
}
