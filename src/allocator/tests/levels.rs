//! Crossings of levels of use: what is told, once, and what survives a restart.

use super::catalogue::{of, pool, prefixes};
use super::dice::Dice;
use super::places::change_of;
use super::*;
use crate::model::{LevelRow, PoolId, Range, Setting};
use addrd_protocol::message::{
    Exclusion, ExclusionMode, FamilyChoice, FromPool, PoolUpdate, PrefixChoice, SubnetDelete,
    SubnetExclude, SubnetKind, SubnetUpdate,
};

/// Tells what is to be told; gives level and the one before of each crossing.
fn tell(world: &mut World) -> Vec<(u8, u8)> {
    let mut told = Vec::new();
    let World { shards, catalogue, log, .. } = world;
    for shard in shards {
        while shard.has_levels_to_tell() {
            told.extend(shard.tell_levels(log));
        }
    }
    while catalogue.has_levels_to_tell() {
        told.extend(catalogue.tell_levels(log));
    }
    told.iter().map(|crossing| (crossing.level, crossing.before)).collect()
}

fn watch_levels(world: &mut World, levels: &[u8]) {
    let levels = UsageLevels::new(levels).unwrap();
    world.shards.iter_mut().for_each(|shard| shard.set_usage_levels(levels));
    world.catalogue.set_usage_levels(levels);
}

/// Ten addresses, 10.0.0.1 to 10.0.0.10.
fn ten() -> SubnetCreate {
    let pool = Range::new(ip("10.0.0.1"), ip("10.0.0.10")).unwrap();
    SubnetCreate {
        pools: Setting::Value(vec![pool]),
        gateway: Setting::Null,
        ..subnet(1, "10.0.0.0/24")
    }
}

fn ten_watched() -> World {
    let mut world = World::with_subnet(ten());
    watch_levels(&mut world, &[80, 95, 100]);
    assert_eq!(tell(&mut world), []);
    world
}

#[test]
fn a_level_is_told_once_and_again_only_after_use_has_fallen_clearly_below() {
    let mut world = ten_watched();
    for owner in 1..=7 {
        world.allocate(allocate(owner));
        assert_eq!(tell(&mut world), []);
    }
    world.allocate(allocate(8));
    assert_eq!(tell(&mut world), [(80, 0)]);
    for _ in 0..5 {
        world.release(release(8));
        assert_eq!(tell(&mut world), []);
        world.allocate(allocate(8));
        assert_eq!(tell(&mut world), []);
    }
    world.release(release(8));
    world.release(release(7));
    assert_eq!(tell(&mut world), [(0, 80)]);
    world.allocate(allocate(7));
    world.allocate(allocate(8));
    assert_eq!(tell(&mut world), [(80, 0)]);
    // 9 of 10 is no level; all of them are two at once.
    world.allocate(allocate(9));
    assert_eq!(tell(&mut world), []);
    world.allocate(allocate(10));
    assert_eq!(tell(&mut world), [(100, 80)]);
    world.release(release(10));
    assert_eq!(tell(&mut world), []);
    world.release(release(9));
    assert_eq!(tell(&mut world), [(80, 100)]);
    let counts = world.shards[0].level_counts().unwrap();
    assert_eq!(counts.at[..3], [1, 0, 0]);
    assert_eq!(counts.risen[..3], [2, 1, 1]);
    assert_eq!(counts.fallen[..3], [1, 1, 1]);
    world.check();
}

#[test]
fn what_comes_and_goes_before_anybody_looks_is_not_told() {
    let mut world = ten_watched();
    (1..=10).for_each(|owner| _ = world.allocate(allocate(owner)));
    (1..=10).for_each(|owner| _ = world.release(release(owner)));
    assert_eq!(tell(&mut world), []);
    assert!(!world.shards[0].has_levels_to_tell());
}

#[test]
fn what_rests_is_used_and_what_is_excluded_is_no_address_to_hand_out() {
    let mut world = World::with_subnet(SubnetCreate { quarantine_ms: Some(60_000), ..ten() });
    watch_levels(&mut world, &[80]);
    (1..=8).for_each(|owner| _ = world.allocate(allocate(owner)));
    (1..=8).for_each(|owner| _ = world.release(release(owner)));
    assert_eq!(tell(&mut world), [(80, 0)], "they rest");
    world.at.tick = Tick(world.at.tick.0 + 60_000);
    let World { shards, log, at, .. } = &mut world;
    shards[0].step_rests(at, 100, log);
    assert_eq!(tell(&mut world), [(0, 80)]);
    // Of the two that are left one is used: 50 %. Of the one behind the exclusion it is all.
    let exclude = |world: &mut World, first: &str, last: &str| {
        let range = Range::new(ip(first), ip(last)).unwrap();
        let exclusion = Exclusion { range, mode: ExclusionMode::Automatic, reason: None };
        let request = SubnetExclude { subnet_id: subnet_id(1), exclusion };
        world.done(1, Request::SubnetExclude(Box::new(request)));
    };
    world.allocate(allocate_with(20, |extras| extras.exact = Some(ip("10.0.0.1"))));
    exclude(&mut world, "10.0.0.3", "10.0.0.10");
    assert_eq!(tell(&mut world), []);
    exclude(&mut world, "10.0.0.2", "10.0.0.2");
    assert_eq!(tell(&mut world), [(80, 0)]);
    exclude(&mut world, "10.0.0.1", "10.0.0.1");
    assert_eq!(tell(&mut world), [(0, 80)], "nothing is left to hand out");
    world.check();
}

#[test]
fn pools_of_one_of_none_and_of_more_than_64_bits() {
    let mut world = World::with_subnet(SubnetCreate {
        gateway: Setting::Null,
        kind: SubnetKind::Routed,
        ..subnet(1, "10.0.0.1/32")
    });
    watch_levels(&mut world, &[80, 95, 100]);
    world.allocate(allocate(1));
    assert_eq!(tell(&mut world), [(100, 0)]);
    world.release(release(1));
    assert_eq!(tell(&mut world), [(0, 100)]);
    world.subnet(SubnetCreate { pools: Setting::Value(Vec::new()), ..subnet(2, "10.1.0.0/24") });
    assert_eq!(tell(&mut world), []);
    // Three quarters of a /48, then half of the last one.
    world.subnet(SubnetCreate { gateway: Setting::Null, ..subnet(3, "fd00::/48") });
    let block = |number: u128, length: u8| Allocate {
        length: Some(length),
        family: FamilyChoice::V6,
        ..allocate(number)
    };
    for number in 1..=3 {
        world.allocate(block(number, 50));
        assert_eq!(tell(&mut world), [], "{number} quarters");
    }
    world.allocate(block(4, 51));
    assert_eq!(tell(&mut world), [(80, 0)]);
    world.check();
}

#[test]
fn after_a_restart_nothing_is_told_again_and_what_was_not_told_is() {
    let mut world = ten_watched();
    (1..=8).for_each(|owner| _ = world.allocate(allocate(owner)));
    assert_eq!(tell(&mut world), [(80, 0)]);
    world.release(release(8));
    assert_eq!(tell(&mut world), []);
    let again = |world: &World, levels: &[u8]| {
        let mut shard = Shard::new(ShardSettings { seed: 3, records_max: 1 << 20 });
        world.log.effects.iter().for_each(|effect| shard.absorb(effect).unwrap());
        shard.set_usage_levels(UsageLevels::new(levels).unwrap());
        let mut log = Log::default();
        let told = shard.tell_levels(&mut log);
        told.iter().map(|crossing| (crossing.level, crossing.before)).collect::<Vec<_>>()
    };
    assert_eq!(again(&world, &[80, 95, 100]), [], "7 of 10 is not clearly below");
    assert_eq!(again(&world, &[60, 80]), []);
    assert_eq!(again(&world, &[]), []);
    assert_eq!(again(&world, &[90]), [], "80 was told, and holds as long as it would");
    world.release(release(7));
    assert_eq!(again(&world, &[80]), [(0, 80)], "it was decided, and not told any more");
    assert_eq!(again(&world, &[50, 80]), [(50, 80)]);
}

#[test]
fn a_pool_tells_how_much_of_it_is_carved() {
    let mut world = World::new(1);
    watch_levels(&mut world, &[50, 100]);
    world.pool(1, pool(&["10.0.0.0/24", "10.2.0.0/24"]));
    world.done(10, Request::NetworkCreate(Box::default()));
    let carve = |world: &mut World, id: u128, cidr: &str| {
        let by = PrefixChoice::Exact;
        let from = FromPool { subnet_pool_id: PoolId::from_u128(1), by, ..FromPool::default() };
        let create = SubnetCreate { from_pool: Some(Box::new(from)), ..subnet(id, cidr) };
        world.done(10, Request::SubnetCreate(Box::new(create)));
    };
    carve(&mut world, 1, "10.0.0.0/25");
    assert_eq!(tell(&mut world), []);
    carve(&mut world, 2, "10.2.0.0/25");
    assert_eq!(tell(&mut world), [(50, 0)]);
    world.check();
    // The prefixes that vanish were free: what is left is carved.
    let remove_prefixes = prefixes(&["10.0.0.128/25", "10.2.0.128/25"]);
    let update = PoolUpdate { remove_prefixes, ..PoolUpdate::default() };
    world.done_as(&of(0, 1), Request::PoolUpdate(Box::new(update)));
    assert_eq!(tell(&mut world), [(100, 50)]);
    for id in [1, 2] {
        let delete =
            SubnetDelete { subnet_id: subnet_id(id), force: false, expected: Default::default() };
        world.done(10, Request::SubnetDelete(delete));
    }
    assert_eq!(tell(&mut world), [(0, 100)]);
    assert_eq!(world.catalogue.level_counts().unwrap().at[..2], [0, 0]);
    world.check();
}

/// Random work: every crossing is told exactly when a plain reading says so, and the state is the one
/// that its records make.
#[test]
fn random_work_tells_what_a_plain_reading_says() {
    for seed in 0..20 {
        let mut dice = Dice(seed + 1);
        let mut world = ten_watched();
        let (mut held, mut told) = (std::collections::BTreeSet::new(), 0_u8);
        for _ in 0..300 {
            for _ in 0..=dice.roll(3) {
                let number = 1 + u128::from(dice.roll(12));
                if held.contains(&number) {
                    world.release(release(number));
                    held.remove(&number);
                } else if held.len() < 10 {
                    world.allocate(allocate(number));
                    held.insert(number);
                }
            }
            let wanted = match held.len() {
                10 => 100,
                9 => told.max(80),
                8 => told.clamp(80, 80),
                7 => told.min(80),
                _ => 0,
            };
            let crossed = tell(&mut world);
            let expected = (wanted != told).then_some((wanted, told));
            assert_eq!(crossed, expected.into_iter().collect::<Vec<_>>(), "{} used", held.len());
            told = wanted;
        }
        let puts = world.log.effects.iter().filter(|effect| matches!(effect, Effect::LevelPut(_)));
        assert!(puts.count() > 5, "seed {seed}");
        world.check();
    }
}

#[test]
fn a_crossing_has_a_revision_of_its_own_and_names_use_and_size() {
    let mut world = ten_watched();
    (1..=10).for_each(|owner| _ = world.allocate(allocate(owner)));
    let before = world.log.effects.len();
    tell(&mut world);
    let [Effect::LevelPut(row)] = &world.log.effects[before..] else {
        panic!("{:?}", &world.log.effects[before..])
    };
    let LevelRow { level: 100, before: 0, used: 10, size: 10, subnet: Some(_), .. } = row else {
        panic!("{row:?}")
    };
    let Some(Effect::AllocationPut(last)) = world.log.effects.get(before - 1) else { panic!() };
    assert_eq!(row.revision.0, last.revision.0 + 1);
    // Attributes that change meanwhile leave the level alone.
    let update = SubnetUpdate { name: Setting::Value(text("blue")), ..change_of(1) };
    world.done(1, Request::SubnetUpdate(Box::new(update)));
    assert_eq!(tell(&mut world), []);
}
