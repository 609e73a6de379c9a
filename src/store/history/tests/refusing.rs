//! A disk that refuses to remove, to cut, or anything else: every byte counts all the same, and nothing that
//! can be told goes for nothing.

use super::bounds::bytes_on;
use super::*;
use crate::store::history::Refused;

/// About six volumes of a minute, each with an index.
const BOUND: HistorySettings =
    HistorySettings { bytes_max: 400 << 10, age_ms_max: 32 * 60_000, block_bytes: 5_000 };

/// Appends until something is refused; whether anything was.
fn is_refused(world: &mut World, keeper: &mut Keeper, batches: usize) -> bool {
    (0..batches).any(|_| {
        world.grow();
        keeper.try_take(world).is_err()
    })
}

fn plan(disk: &FakeDisk, operation: Operation, for_good: bool) {
    let at = disk.count(operation) + 1;
    disk.plan(Fault { operation, at, failure: Failure::Error(5), for_good });
}

#[test]
fn a_disk_that_removes_nothing_pauses_history_and_costs_no_volume() {
    let mut world = World::new(5);
    let disk = FakeDisk::new();
    let mut keeper = Keeper::open(&disk, BOUND, &world);
    // Until there is no room without a removal.
    while keeper.shelf.view().volumes.first().is_none_or(|first| first.number == 1) {
        world.grow();
        keeper.take(&world);
    }
    keeper.history.sync().unwrap();
    plan(&disk, Operation::Name, true);
    let before = keeper.shelf.view().volumes;
    let mut refused = 0;
    for _ in 0..200 {
        world.grow();
        match keeper.try_take(&world) {
            Ok(_) => {}
            // Not that it is too small: then nobody would wait for it.
            Err(Refused::Io(_)) => {
                refused += 1;
                keeper.history.give_up_volume();
            }
            Err(other) => panic!("{other:?}"),
        }
        let later = Tick(world.now);
        while trim(&disk, &keeper.shelf, &BOUND, later) > 0 {}
        let (figures, bytes) = (keeper.shelf.figures(), bytes_on(&disk));
        assert!(bytes <= figures.bytes, "{bytes} bytes, known: {figures:?}");
        assert!(figures.bytes <= BOUND.bytes_max, "{figures:?}");
    }
    assert!(refused > 10, "{refused}");
    let after = keeper.shelf.view().volumes;
    let numbers = |volumes: &[super::super::shelf::Volume]| {
        volumes.iter().map(|volume| volume.number).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&after)[..before.len()], numbers(&before), "none went for nothing");
    // Once it removes again, all goes on.
    let mut keeper = Keeper::open(&disk.restart(), BOUND, &world);
    keeper.take_all(&world);
    assert_eq!(keeper.history.expected(), Seq(world.last().0 + 1));
    assert!(keeper.shelf.figures().bytes <= BOUND.bytes_max);
}

/// Whatever is refused, and whatever of it stays on the disk.
#[test]
fn every_byte_counts_whatever_is_refused() {
    let operations = [
        Operation::Name,
        Operation::SetLen,
        Operation::Write,
        Operation::Sync,
        Operation::Read,
        Operation::Any,
    ];
    let mut left = 0;
    for seed in 0..80 {
        let (mut world, mut random) = (World::new(seed), Random::new(seed ^ 0xbeef));
        let mut disk = FakeDisk::new();
        let settings = BOUND;
        let mut keeper = Keeper::open(&disk, settings, &world);
        for life in 0..3 {
            for _ in 0..1 + random.below(4) {
                let operation = operations[random.below(6) as usize];
                let at = disk.count(operation) + 1 + random.below(400);
                let failure = [Failure::Error(5), Failure::Short(28)][random.below(2) as usize];
                let for_good = random.below(4) == 0;
                disk.plan(Fault { operation, at, failure, for_good });
            }
            for _ in 0..250 {
                world.grow();
                let done = keeper.try_take(&world).is_ok() && keeper.history.sync().is_ok();
                if !done {
                    keeper.history.give_up_volume();
                }
                keeper.history.mend();
                let (figures, bytes) = (keeper.shelf.figures(), bytes_on(&disk));
                let text = format!("seed {seed}, life {life}: {bytes} bytes, known: {figures:?}");
                assert!(bytes <= figures.bytes, "{text}");
                assert!(figures.bytes <= settings.bytes_max, "{text}");
                left += keeper.shelf.left().len();
            }
            disk = disk.restart();
            keeper = Keeper::open(&disk, settings, &world);
        }
    }
    assert!(left > 20, "{left} times something was left");
}

#[test]
fn what_stayed_behind_goes_as_soon_as_the_disk_lets_it() {
    let mut world = World::new(6);
    let disk = FakeDisk::new();
    let mut keeper = Keeper::open(&disk, BOUND, &world);
    assert!(!is_refused(&mut world, &mut keeper, 40));
    keeper.history.sync().unwrap();
    // A begin that fails, and the removal of what it had begun.
    keeper.history.close_if_old(Tick(u64::MAX)).unwrap();
    plan(&disk, Operation::Write, false);
    plan_name_behind(&disk, 2);
    assert!(is_refused(&mut world, &mut keeper, 1));
    keeper.history.give_up_volume();
    assert_eq!(keeper.shelf.left().len(), 1, "{:?}", disk.names());
    assert_eq!(keeper.shelf.figures().bytes, bytes_on(&disk));
    while trim(&disk, &keeper.shelf, &BOUND, Tick(world.now)) > 0 {}
    assert!(keeper.shelf.left().is_empty(), "it is tried again");
    assert_eq!(keeper.shelf.figures().bytes, bytes_on(&disk));
    keeper.take_all(&world);
    for _ in 0..30 {
        let ask = world.ask();
        assert_eq!(keeper.all(&ask), world.expected(&ask));
    }
}

/// So many changes of names further on, one is refused.
fn plan_name_behind(disk: &FakeDisk, behind: u64) {
    let (operation, failure) = (Operation::Name, Failure::Error(5));
    let at = disk.count(operation) + behind;
    disk.plan(Fault { operation, at, failure, for_good: false });
}

/// What a disk refuses to read at one start is as old as it was: the next one may read it.
#[test]
fn what_could_not_be_read_at_a_start_goes_no_sooner_for_it() {
    let mut world = World::new(7);
    let disk = FakeDisk::new();
    let mut keeper = Keeper::open(&disk, small(), &world);
    (0..200).for_each(|_| world.grow());
    keeper.take_all(&world);
    keeper.history.sync().unwrap();
    let volumes = keeper.shelf.view().volumes;
    assert!(volumes.len() > 3, "{}", volumes.len());
    let disk = disk.restart();
    let before = disk.fork();
    Keeper::open(&before, small(), &world);
    let reads = before.count(Operation::Read);
    // The journal has nothing of it any more.
    let journal = JournalEnds { first: Seq(world.last().0 + 1), last: world.last() };
    let now = Tick(world.now);
    let mut unread = 0;
    for at in 1..=reads {
        for for_good in [false, true] {
            for kept in &volumes {
                let disk = disk.fork();
                let (operation, failure) = (Operation::Read, Failure::Error(5));
                disk.plan(Fault { operation, at, failure, for_good });
                let own = Arc::new(disk.clone()) as Arc<dyn Disk>;
                let shelf = Arc::new(Shelf::default());
                let opened = open(own, small(), IDENTITY, Arc::clone(&shelf), journal, now);
                // It begins again after a while.
                let Ok(history) = opened else { continue };
                unread += shelf.figures().damaged;
                // This one is about to be too old, and those behind it aren't.
                let later = Tick(kept.tick.0 + small().age_ms_max);
                while trim(&disk, &shelf, &small(), later) > 0 {}
                drop(history);
                let again = Keeper::open(&disk.restart(), small(), &world);
                let numbers: Vec<u64> =
                    again.shelf.view().volumes.iter().map(|volume| volume.number).collect();
                let text = format!("read {at}, for good: {for_good}: {numbers:?} of {volumes:?}");
                assert!(
                    (kept.number..=volumes.len() as u64).all(|it| numbers.contains(&it)),
                    "{text}"
                );
                let ask = Ask { limit: 300, from: kept.since, ..world.ask() };
                assert_eq!(again.all(&ask), world.expected(&ask), "{text}, {ask:?}");
            }
        }
    }
    assert!(unread > reads, "{unread} of {reads}");
}

/// A file that couldn't be cut is longer than what counts of it, also once it has an index.
#[test]
fn an_index_made_anew_leaves_no_byte_out_of_account() {
    let mut world = World::new(9);
    let disk = FakeDisk::new();
    let mut keeper = Keeper::open(&disk, BOUND, &world);
    (0..90).for_each(|_| world.grow());
    keeper.take_all(&world);
    keeper.history.sync().unwrap();
    (0..30).for_each(|_| world.grow());
    keeper.take_all(&world);
    plan(&disk, Operation::SetLen, true);
    keeper.history.give_up_volume();
    keeper.take_all(&world);
    keeper.history.close_if_old(Tick(u64::MAX)).unwrap();
    let disk = disk.restart();
    plan(&disk, Operation::SetLen, true);
    let mut keeper = Keeper::open(&disk, BOUND, &world);
    let indexes = || disk.names().unwrap().iter().filter(|name| name.ends_with(".idx")).count();
    let before = indexes();
    while keeper.history.mend() {
        let (known, bytes) = (keeper.shelf.figures().bytes, bytes_on(&disk));
        assert!(bytes <= known, "{bytes} bytes, {known} known");
    }
    assert!(indexes() > before, "one was made");
}
