//! How full subnets are, as metrics show it.

use super::*;
use crate::allocator::{FillReport, Survey};
use crate::limits::SUBNETS_SHOWN_MAX;
use crate::model::Setting;

fn survey(world: &World, examine: u32) -> FillReport {
    let mut sum = FillReport::default();
    for shard in &world.shards {
        let mut survey = Survey::default();
        let report = loop {
            if let Some(report) = shard.survey(&mut survey, examine) {
                break report;
            }
        };
        sum.merge(&report);
    }
    sum
}

/// A /26 has 61 addresses to hand out: 64 less network, broadcast and gateway.
fn with_used(world: &mut World, number: u128, used: u128) {
    world.subnet(subnet(number, &format!("10.0.{number}.0/26")));
    for owner in 0..used {
        let only = [subnet_id(number)].to_vec();
        world.allocate(allocate_with(number << 32 | owner, |extras| extras.subnets = only));
    }
}

#[test]
fn subnets_are_counted_by_level_and_the_fullest_come_first() {
    let mut world = World::with_subnet(subnet(1, "10.0.1.0/26"));
    let used = [(2, 1), (3, 30), (4, 31), (5, 48), (6, 49), (7, 57), (8, 58), (9, 60), (10, 61)];
    used.into_iter().for_each(|(number, used)| with_used(&mut world, number, used));
    for examine in [1, 3, 1_000] {
        let report = survey(&world, examine);
        assert_eq!(report.levels, [1, 2, 2, 2, 2, 1]);
        let fullest: Vec<_> = report.fullest.iter().map(|fill| fill.subnet).collect();
        let wanted: Vec<_> = [10, 9, 8, 7, 6, 5, 4, 3, 2].map(subnet_id).to_vec();
        assert_eq!(fullest, wanted);
        assert_eq!((report.fullest[0].permille, report.fullest[1].permille), (1_000, 983));
    }
}

#[test]
fn one_address_of_very_many_is_not_nothing_and_no_pool_is_no_subnet() {
    let mut world = World::with_subnet(subnet(1, "fd00::/64"));
    world.allocate(allocate(1));
    world.subnet(SubnetCreate { pools: Setting::Value(Vec::new()), ..subnet(2, "10.0.0.0/24") });
    assert_eq!(survey(&world, 10).levels, [0, 1, 0, 0, 0, 0]);
}

#[test]
fn only_so_many_are_named() {
    let mut world = World::with_subnet(subnet(1_000, "10.255.0.0/24"));
    for number in 0..SUBNETS_SHOWN_MAX as u128 * 5 {
        let (high, low) = (number / 250, number % 250);
        world.subnet(subnet(2_000 + number, &format!("10.{high}.{low}.0/32")));
        let only = [subnet_id(2_000 + number)].to_vec();
        world.allocate(allocate_with(number, |extras| extras.subnets = only));
    }
    let report = survey(&world, 64);
    assert_eq!(report.levels, [1, 0, 0, 0, 0, SUBNETS_SHOWN_MAX as u64 * 5]);
    assert_eq!(report.fullest.len(), SUBNETS_SHOWN_MAX);
}
