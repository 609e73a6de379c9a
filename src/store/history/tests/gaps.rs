//! Volumes with something missing between them, and such that have nothing: each is read whole only once, what
//! is missing counts once, and what has nothing takes nothing from others.

use super::super::layout::{End, HEAD_BYTES, HEAD_LENGTH};
use super::bounds::bytes_on;
use super::overlap::lay;
use super::*;

/// Opens history beside a journal that begins with this batch.
fn open_behind(disk: &FakeDisk, world: &World, batch: usize, shelf: &Arc<Shelf>) -> History {
    let (first, now) = (world.batches[batch].0.first, Tick(world.now));
    let journal = JournalEnds { first, last: world.last() };
    let disk = Arc::new(disk.clone()) as Arc<dyn Disk>;
    open(disk, WIDE, IDENTITY, Arc::clone(shelf), journal, now).unwrap()
}

/// The last hand-over that the end of a volume says, if it has one.
fn end_of(disk: &FakeDisk, number: u64) -> Option<Seq> {
    let file = disk.open(&volume_file(number)).unwrap();
    let mut bytes = [0; HEAD_BYTES];
    file.read_at(file.len().unwrap() - HEAD_LENGTH, &mut bytes).unwrap();
    End::decode(&bytes).map(|end| end.last)
}

/// Everything that is told of two projects.
fn positions(disk: &FakeDisk, shelf: &Arc<Shelf>) -> Vec<u64> {
    let looker = Looker::new(Arc::new(disk.clone()) as Arc<dyn Disk>, Arc::clone(shelf), SERVER);
    let mut found = Vec::new();
    for (number, owner) in (0..2).flat_map(|number| (1..6).map(move |owner| (number, owner))) {
        let ask = Ask {
            project: project(number),
            home: None,
            is_pool: false,
            subject: Subject::Owner(OwnerId::from_u128(owner), None),
            from: Tick(0),
            to: Tick(u64::MAX),
            oldest_first: true,
            limit: 100_000,
            mark: None,
        };
        let told = looker.look(&ask);
        assert!(!told.is_incomplete, "nothing is damaged");
        found.extend(told.entries.iter().map(|entry| entry.position.0));
    }
    found.sort_unstable();
    found
}

/// The positions of all changes in these batches.
fn positions_of(world: &World, batches: &[std::ops::Range<usize>]) -> Vec<u64> {
    let is_in = |position: u64| {
        batches.iter().any(|range| {
            let held = &world.batches[range.clone()];
            held.iter().any(|(batch, _)| batch.first.0 <= position && position <= batch.last.0)
        })
    };
    let lines = world.lines.iter().map(|line| line.position);
    lines.filter(|position| is_in(*position)).collect()
}

#[test]
fn a_volume_in_front_of_a_gap_is_read_whole_only_once() {
    for seed in 0..8 {
        let mut world = World::new(seed);
        (0..130).for_each(|_| world.grow());
        let disk = FakeDisk::new();
        // A gap between the first two, and one behind the last one.
        lay(&disk, 1, &world, 0..40, false);
        lay(&disk, 2, &world, 50..80, true);
        lay(&disk, 3, &world, 80..110, false);
        let shelf = Arc::new(Shelf::default());
        let history = open_behind(&disk, &world, 120, &shelf);
        assert_eq!(history.expected(), world.batches[120].0.first);
        let ends = [1, 2, 3].map(|number| end_of(&disk, number));
        let lasts = [39, 79, 109].map(|at: usize| Some(world.batches[at].0.last));
        assert_eq!(ends, lasts, "seed {seed}: each has its end");
        for number in [1, 3] {
            assert!(disk.has(&index_file(number)), "seed {seed}: and an index, {number}");
        }
        assert_eq!(shelf.figures().bytes, bytes_on(&disk), "seed {seed}: everything counts");
        let told = positions_of(&world, &[0..40, 50..80, 80..110]);
        assert_eq!(positions(&disk, &shelf), told, "seed {seed}");
        let again = Arc::new(Shelf::default());
        let disk = disk.restart();
        open_behind(&disk, &world, 120, &again);
        assert_eq!(positions(&disk, &again), told, "seed {seed}: at the next start as well");
    }
}

/// What stands behind a damaged place may be read another time, or by somebody who mends it.
#[test]
fn a_damaged_volume_in_front_of_a_gap_is_left_as_it_is() {
    let mut world = World::new(4);
    (0..100).for_each(|_| world.grow());
    let disk = FakeDisk::new();
    lay(&disk, 1, &world, 0..40, false);
    lay(&disk, 2, &world, 50..80, true);
    disk.damage(&volume_file(1), |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x40;
    });
    let before = disk.contents()[&volume_file(1)].clone();
    let shelf = Arc::new(Shelf::default());
    open_behind(&disk, &world, 80, &shelf);
    assert!(disk.contents()[&volume_file(1)] == before);
    assert_eq!(shelf.figures().bytes, bytes_on(&disk));
}

#[test]
fn a_gap_counts_once_however_often_history_begins_again() {
    let mut world = World::new(5);
    (0..100).for_each(|_| world.grow());
    let disk = FakeDisk::new();
    lay(&disk, 1, &world, 0..40, false);
    let shelf = Arc::new(Shelf::default());
    let missing = |batch: usize| world.batches[batch].0.first.0 - 1 - world.batches[39].0.last.0;
    for batch in [50, 50, 50, 70, 70] {
        open_behind(&disk, &world, batch, &shelf);
        assert_eq!(shelf.figures().dropped, missing(batch), "up to batch {batch}");
    }
}

/// A volume was begun in front of what others have, and nothing came to be in it: it says nothing of them.
#[test]
fn a_volume_with_nothing_in_it_takes_nothing_from_others() {
    for has_end in [false, true] {
        for seed in 0..8 {
            let mut world = World::new(seed);
            (0..100).for_each(|_| world.grow());
            let disk = FakeDisk::new();
            lay(&disk, 1, &world, 0..30, true);
            lay(&disk, 2, &world, 30..60, has_end);
            lay(&disk, 3, &world, 20..20, false);
            let text = format!("seed {seed}, end: {has_end}");
            for _ in 0..2 {
                let disk = disk.restart();
                let shelf = Arc::new(Shelf::default());
                open_behind(&disk, &world, 60, &shelf);
                let told = positions_of(&world, std::slice::from_ref(&(0..60)));
                assert_eq!(positions(&disk, &shelf), told, "{text}");
            }
        }
    }
}
