//! Volumes that have the same batches: once a disk has failed, several can stand in front of one that begins
//! anew where the first of them did. Each entry is told once, and none is missing.

use super::super::layout::{End, Head};
use super::*;
use std::ops::Range;

/// Writes a volume with these batches, beside others, and its end if it has one.
pub(super) fn lay(
    disk: &FakeDisk,
    number: u64,
    world: &World,
    batches: Range<usize>,
    has_end: bool,
) {
    let (before, rest) = world.batches.split_at(batches.start);
    let mut names = LiveNames::default();
    before.iter().flat_map(|(_, effects)| effects).for_each(|effect| names.note(effect));
    let first = rest[0].0.first;
    let since = Tick(before.last().map_or(0, |(batch, _)| batch.tick.0 + 1));
    let (server, incarnation) = IDENTITY;
    let count = names.count() as u32;
    let head = Head { server, incarnation, number, first, since, names: count };
    let mut bytes = head.encode().to_vec();
    names.iter().for_each(|name| name.encode(&mut bytes));
    let held = &world.batches[batches];
    held.iter().for_each(|(batch, _)| bytes.extend_from_slice(&batch.bytes));
    let last = held.last().map_or(Seq(first.0 - 1), |(batch, _)| batch.last);
    let offset = bytes.len() as u64;
    let tick = held.iter().map(|(batch, _)| batch.tick).max().unwrap_or(since);
    if has_end {
        bytes.extend_from_slice(&End { number, last, tick, offset }.encode());
    }
    let file = disk.create(&volume_file(number)).unwrap();
    file.write_at(0, &bytes).unwrap();
    file.sync().unwrap();
    disk.sync_names().unwrap();
}

/// Opens what lies there, twice: everything is told once, before and behind what the journal gives.
fn assert_told_once(disk: &FakeDisk, world: &mut World, text: &str) {
    for round in 0..2 {
        let disk = disk.restart();
        let mut keeper = Keeper::open(&disk, WIDE, world);
        keeper.take_all(world);
        keeper.history.sync().unwrap();
        assert_eq!(keeper.history.expected(), Seq(world.last().0 + 1), "{text}");
        for _ in 0..60 {
            let ask = world.ask();
            assert_eq!(keeper.all(&ask), world.expected(&ask), "{text}, round {round}, {ask:?}");
        }
    }
}

#[test]
fn every_later_volume_says_where_all_before_it_end() {
    let cases: [&[(Range<usize>, bool)]; 6] = [
        // The next one alone says it.
        &[(0..40, true), (25..60, false)],
        // The one behind the next one says it of both.
        &[(0..20, true), (20..40, true), (10..60, false)],
        &[(0..30, true), (30..50, false), (45..70, false), (12..80, true)],
        // Behind each other, and of the last two only the last one counts.
        &[(0..10, true), (10..20, true), (20..30, true), (20..30, false), (20..35, false)],
        // None of the first ones counts at all.
        &[(0..10, true), (10..30, true), (0..50, false)],
        &[(0..100, false), (50..60, true), (55..58, true), (10..11, true)],
    ];
    for (case, volumes) in cases.iter().enumerate() {
        for seed in 0..4 {
            let mut world = World::new(seed);
            (0..110).for_each(|_| world.grow());
            let disk = FakeDisk::new();
            for (number, (batches, has_end)) in (1..).zip(*volumes) {
                lay(&disk, number, &world, batches.clone(), *has_end);
            }
            assert_told_once(&disk, &mut world, &format!("case {case}, seed {seed}"));
        }
    }
}

#[test]
fn volumes_that_overlap_in_any_way_are_told_once() {
    for seed in 0..40 {
        let (mut world, mut random) = (World::new(seed), Random::new(seed ^ 0xfeed));
        (0..110).for_each(|_| world.grow());
        let disk = FakeDisk::new();
        let mut end = 0;
        for number in 1..=2 + random.below(5) {
            let begin = random.below(end as u64 + 1) as usize;
            end = begin + 1 + random.below(40).min(109 - begin as u64) as usize;
            lay(&disk, number, &world, begin..end, random.below(2) == 0);
        }
        assert_told_once(&disk, &mut world, &format!("seed {seed}"));
    }
}

/// How such volumes come about: at a start the disk refuses to read the newest ones, history goes on behind
/// what it could read, and at the next start all of them can be read.
#[test]
fn what_could_not_be_read_at_a_start_is_not_told_twice_later() {
    let mut world = World::new(3);
    let disk = FakeDisk::new();
    let mut keeper = Keeper::open(&disk, small(), &world);
    (0..150).for_each(|_| world.grow());
    keeper.take_all(&world);
    keeper.history.sync().unwrap();
    drop(keeper);
    let disk = disk.restart();
    let before = disk.fork();
    Keeper::open(&before, small(), &world);
    let reads = before.count(Operation::Read);
    let mut began_anew = 0;
    for at in 1..=reads {
        for behind in [0, 1, 3, 4] {
            let disk = disk.fork();
            for at in [at, at + behind] {
                let (operation, failure) = (Operation::Read, Failure::Error(5));
                disk.plan(Fault { operation, at, failure, for_good: false });
            }
            let (own, shelf) =
                (Arc::new(disk.clone()) as Arc<dyn Disk>, Arc::new(Shelf::default()));
            let journal = JournalEnds { first: Seq(1), last: world.last() };
            let opened = open(own, small(), IDENTITY, Arc::clone(&shelf), journal, Tick(BEGIN_MS));
            // It begins again after a while.
            let Ok(mut history) = opened else { continue };
            let mut names = LiveNames::default();
            let expected = history.expected();
            began_anew += u64::from(expected <= world.last());
            for (batch, effects) in &world.batches {
                if batch.last < expected {
                    effects.iter().for_each(|effect| names.note(effect));
                } else {
                    history.push(&batch.view(), &mut names, batch.tick).unwrap();
                }
            }
            history.sync().unwrap();
            drop(history);
            let again = Keeper::open(&disk.restart(), small(), &world);
            for _ in 0..4 {
                let ask = Ask { limit: 300, ..world.ask() };
                assert_eq!(
                    again.all(&ask),
                    world.expected(&ask),
                    "read {at} and {behind}, {ask:?}"
                );
            }
        }
    }
    assert!(began_anew > 20, "{began_anew} of {reads} times volumes overlapped");
}
