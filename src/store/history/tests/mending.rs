//! Indexes that are broken at a start are made anew from their volumes, a piece at a time.

use super::bounds::{answers, bytes_on, indexed};
use super::*;

fn indexes(disk: &FakeDisk) -> Vec<(String, Vec<u8>)> {
    disk.contents().into_iter().filter(|(name, _)| name.ends_with(".idx")).collect()
}

/// A few questions, and what they must be answered with.
fn asks(world: &mut World) -> (Vec<Ask>, Vec<Vec<Line>>) {
    let asks: Vec<_> = (0..25).map(|_| Ask { limit: 200, ..world.ask() }).collect();
    let expected = asks.iter().map(|ask| world.expected(ask)).collect();
    (asks, expected)
}

#[test]
fn an_index_that_is_broken_at_a_start_is_made_anew() {
    let (mut world, disk, keeper) = indexed(31);
    drop(keeper);
    let (asks, expected) = asks(&mut world);
    let whole = indexes(&disk);
    assert!(whole.len() > 3);
    let mut random = Random::new(3);
    for round in 0..24 {
        let disk = disk.restart().fork();
        let (name, bytes) = &whole[round % whole.len()];
        let at = match round % 4 {
            0 => random.below(64) as usize,
            1 => 64 + random.below(400) as usize,
            _ => random.below(bytes.len() as u64) as usize,
        };
        // Torn at its begin, in a name, in a line, or not there at all.
        match round % 6 {
            0 => disk.damage(name, |bytes| bytes.truncate(at)),
            5 => disk.remove(name).unwrap(),
            _ => disk.damage(name, |bytes| bytes[at..].iter_mut().for_each(|byte| *byte ^= 0x55)),
        }
        let text = format!("round {round}, {name}, byte {at}");
        let mut keeper = Keeper::open(&disk, WIDE, &world);
        assert_eq!(answers(&keeper, &asks), expected, "{text}: before");
        let mut steps = 0;
        while keeper.history.mend() {
            steps += 1;
            assert!(steps < 10_000, "{text}: it ends");
            assert_eq!(keeper.shelf.figures().bytes, bytes_on(&disk), "{text}: everything counts");
        }
        assert_eq!(answers(&keeper, &asks), expected, "{text}: behind");
        assert_eq!(indexes(&disk), whole, "{text}: all are as they were");
    }
}

/// History pauses and begins again while indexes are looked at: the rest is looked at then.
#[test]
fn a_pause_keeps_no_broken_index_from_being_made_anew() {
    let (world, disk, keeper) = indexed(34);
    drop(keeper);
    let whole = indexes(&disk);
    assert!(whole.len() > 3);
    for steps in 0..12 {
        let disk = disk.restart().fork();
        for (name, bytes) in &whole {
            let at = bytes.len() / 2;
            disk.damage(name, |bytes| bytes[at..].iter_mut().for_each(|byte| *byte ^= 0x55));
        }
        let mut keeper = Keeper::open(&disk, WIDE, &world);
        (0..steps).for_each(|_| _ = keeper.history.mend());
        let own = Arc::new(disk.clone()) as Arc<dyn Disk>;
        let journal = JournalEnds { first: Seq(1), last: world.last() };
        let shelf = Arc::clone(&keeper.shelf);
        keeper.history.give_up_volume();
        keeper.history = open(own, WIDE, IDENTITY, shelf, journal, Tick(BEGIN_MS)).unwrap();
        while keeper.history.mend() {}
        assert!(indexes(&disk) == whole, "after {steps} steps: all are as they were");
    }
}

/// What is beyond the bytes that are read after a start is found by whoever asks.
#[test]
fn an_index_that_a_question_cannot_use_is_made_anew() {
    let (mut world, disk, mut keeper) = indexed(32);
    while keeper.history.mend() {}
    let whole = indexes(&disk);
    let name = &whole[1].0;
    // All lines, and nothing that is read at a start.
    disk.damage(name, |bytes| {
        let lines = bytes.len() - 1_000;
        bytes[lines..].fill(7);
        let middle = bytes.len() / 2;
        bytes[middle..].fill(7);
    });
    let (asks, expected) = asks(&mut world);
    assert_eq!(answers(&keeper, &asks), expected);
    while keeper.history.mend() {}
    assert_eq!(indexes(&disk), whole, "it is as it was");
    assert_eq!(answers(&keeper, &asks), expected);
}

/// Neither what can be told goes for an index, nor does it pass the bound.
#[test]
fn without_room_there_is_no_index_and_nothing_goes() {
    let (mut world, disk, keeper) = indexed(33);
    drop(keeper);
    let (name, bytes) = indexes(&disk)[0].clone();
    let settings = HistorySettings { bytes_max: bytes_on(&disk) - bytes.len() as u64, ..WIDE };
    disk.remove(&name).unwrap();
    let disk = disk.restart();
    let mut keeper = Keeper::open(&disk, settings, &world);
    let volumes = keeper.shelf.figures().volumes;
    while keeper.history.mend() {}
    let figures = keeper.shelf.figures();
    assert_eq!(figures.volumes, volumes, "nothing went");
    assert!(!disk.has(&name) && figures.bytes <= settings.bytes_max, "{figures:?}");
    assert_eq!(figures.bytes, bytes_on(&disk));
    let (asks, expected) = asks(&mut world);
    assert_eq!(answers(&keeper, &asks), expected);
}
