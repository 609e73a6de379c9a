//! How much history takes: on the disk, and to answer a question.

use super::*;
use crate::store::history::Refused;

impl Keeper {
    fn trim(&self, settings: HistorySettings, now: Tick) {
        while trim(&**self.history.disk(), &self.shelf, &settings, now) > 0 {}
    }
}

pub(super) fn bytes_on(disk: &FakeDisk) -> u64 {
    disk.contents().values().map(|content| content.len() as u64).sum()
}

#[test]
fn bounds_of_size_and_age_hold_and_what_is_told_has_no_hole() {
    let mut world = World::new(3);
    let disk = FakeDisk::new();
    // Volumes of the least size would need long: those here end by age.
    let settings = HistorySettings::new(512 << 10, 32 * 20_000);
    let mut keeper = Keeper::open(&disk, settings, &world);
    for round in 0..1_500 {
        world.grow();
        keeper.take(&world);
        let now = Tick(world.now);
        keeper.history.close_if_old(now).unwrap();
        keeper.trim(settings, now);
        if round % 50 > 0 {
            continue;
        }
        let figures = keeper.shelf.figures();
        let in_files: u64 =
            disk.names().unwrap().iter().map(|name| disk.open(name).unwrap().len().unwrap()).sum();
        assert_eq!(figures.bytes, in_files, "everything counts");
        assert!(figures.bytes <= settings.bytes_max, "{figures:?}");
        let least = world.now - settings.age_ms_max;
        for project_number in 0..2 {
            let ask = Ask {
                project: project(project_number),
                home: None,
                is_pool: false,
                subject: Subject::Owner(OwnerId::from_u128(2), None),
                from: Tick(0),
                to: Tick(u64::MAX),
                oldest_first: true,
                limit: 7,
                mark: None,
            };
            let told = keeper.all(&ask);
            assert!(told.iter().all(|line| line.time_ms >= least), "nothing too old is told");
            let reach = keeper.shelf.figures().reach;
            let all = world.expected(&Ask { from: reach, ..ask });
            assert!(told.ends_with(&all), "since its reach everything is told");
        }
    }
    assert!(keeper.shelf.view().volumes.first().unwrap().number > 5, "some went");
    // Nothing more happens: what is there gets too old all the same.
    let later = Tick(world.now + 2 * settings.age_ms_max);
    keeper.history.close_if_old(later).unwrap();
    keeper.trim(settings, later);
    assert_eq!(keeper.shelf.figures().volumes, 0);
    assert!(disk.names().unwrap().is_empty());
}

/// So many networks, each with the same subnet and one allocation in it.
fn make_networks(world: &mut World, count: u32) {
    for _ in 0..count {
        world.now += 1;
        world.revision += 3;
        let revision = Revision(world.revision);
        let made = world.make_network(revision);
        let network = world.next_network - 1;
        let prefix: Prefix = "10.0.0.0/24".parse().unwrap();
        let subnet = world.put_subnet(Place { network, subnet: 0, prefix }, revision);
        let (owner, slot) = (OwnerId::from_u128(1 + u128::from(network % 5)), Slot(0));
        let key = (network, 0, u128::from(network % 7));
        world.held.insert(key, (owner, slot, None));
        world.line(key, world.sealer.next().0, HistoryKind::Allocated);
        let put = Effect::AllocationPut(AllocationRow {
            place: place_of(key),
            revision,
            changed: revision,
            owner,
            slot,
            instance: Instance(0),
            state: AllocationState::Allocated,
            moves_cursor: false,
            extras: None,
        });
        world.seal(1, vec![made, subnet, put]);
    }
}

/// The bound holds in front of every write, however fast names and changes come; what doesn't fit goes.
#[test]
fn all_files_together_never_pass_the_bound() {
    for (seed, growing) in [(1, 0), (2, 30), (3, 3)] {
        let mut world = World::new(seed);
        let disk = FakeDisk::new();
        let settings =
            HistorySettings { block_bytes: 2_000, ..HistorySettings::new(400 << 10, 1 << 40) };
        let mut keeper = Keeper::open(&disk, settings, &world);
        let mut is_too_small = false;
        for _ in 0..1_500 {
            world.grow();
            make_networks(&mut world, growing);
            while !is_too_small {
                match keeper.try_take(&world) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(Refused::TooSmall) => {
                        is_too_small = true;
                        keeper.history.give_up_volume();
                    }
                    Err(other) => panic!("{other:?}"),
                }
                assert!(bytes_on(&disk) <= settings.bytes_max, "{} bytes", bytes_on(&disk));
            }
            assert_eq!(keeper.shelf.figures().bytes, bytes_on(&disk), "everything counts");
        }
        assert!(is_too_small || growing == 0, "names alone pass it in the end");
        let first = keeper.shelf.view().volumes.first().map_or(u64::MAX, |one| one.number);
        assert!(first > 1, "some went");
    }
}

fn all_asks(world: &mut World, count: usize) -> Vec<Ask> {
    (0..count).map(|_| Ask { limit: 200, ..world.ask() }).collect()
}

pub(super) fn answers(keeper: &Keeper, asks: &[Ask]) -> Vec<Vec<Line>> {
    asks.iter().map(|ask| keeper.all(ask)).collect()
}

/// Volumes of a few blocks, each with an index.
pub(super) fn indexed(seed: u64) -> (World, FakeDisk, Keeper) {
    let mut world = World::new(seed);
    let disk = FakeDisk::new();
    let settings = HistorySettings { age_ms_max: 32 * 200_000, ..WIDE };
    let mut keeper = Keeper::open(&disk, settings, &world);
    for round in 0..6 {
        (0..300).for_each(|_| world.grow());
        make_networks(&mut world, if round == 3 { 200 } else { 0 });
    }
    keeper.take_all(&world);
    keeper.history.sync().unwrap();
    (world, disk, keeper)
}

#[test]
fn an_index_changes_no_answer_and_saves_most_of_the_reading() {
    let (mut world, disk, keeper) = indexed(11);
    let asks = all_asks(&mut world, 150);
    let expected: Vec<_> = asks.iter().map(|ask| world.expected(ask)).collect();
    let reads = || disk.count(Operation::Read);
    let before = reads();
    assert_eq!(answers(&keeper, &asks), expected);
    let with = reads() - before;
    let names: Vec<_> = disk.names().unwrap();
    let indexes: Vec<_> = names.iter().filter(|name| name.ends_with(".idx")).collect();
    assert!(indexes.len() > 3, "{names:?}");
    // One owner that nobody ever was: only sieves are read.
    let nobody = Subject::Owner(OwnerId::from_u128(1 << 99), None);
    let ask = Ask { subject: nobody, from: Tick(0), to: Tick(u64::MAX), home: None, ..asks[0] };
    let before = reads();
    assert!(keeper.all(&ask).is_empty());
    let most = 8 * keeper.shelf.figures().volumes;
    assert!(reads() - before <= most, "{} reads for nothing", reads() - before);
    for name in indexes {
        disk.remove(name).unwrap();
    }
    assert_eq!(answers(&keeper, &asks), expected, "{with} reads with indexes");
}

/// Any number of networks has the address: what a question holds of them is bounded, what it tells isn't.
#[test]
fn an_address_of_many_networks_is_told_of_all_of_them() {
    let (world, _, keeper) = indexed(12);
    let networks = world.lines.iter().filter(|line| line.address.to_string() == "10.0.0.3");
    let networks: std::collections::BTreeSet<_> = networks.map(|line| line.network).collect();
    assert!(networks.len() > 20, "{}", networks.len());
    for oldest_first in [false, true] {
        for number in 0..2 {
            let subject = Subject::Address("10.0.0.3".parse().unwrap());
            let (from, to) = (Tick(0), Tick(u64::MAX));
            let project = project(number);
            let ask = Ask {
                project,
                home: None,
                is_pool: false,
                subject,
                from,
                to,
                oldest_first,
                limit: 7,
                mark: None,
            };
            assert_eq!(keeper.all(&ask), world.expected(&ask));
        }
    }
}

#[test]
fn a_damaged_index_is_noticed_and_changes_no_answer() {
    let (mut world, disk, keeper) = indexed(13);
    let asks = all_asks(&mut world, 25);
    let expected = answers(&keeper, &asks);
    let names = disk.names().unwrap();
    let name = names.iter().find(|name| name.ends_with(".idx")).unwrap();
    let length = disk.open(name).unwrap().len().unwrap() as usize;
    let mut random = Random::new(8);
    for round in 0..60 {
        let disk = disk.fork();
        let at = match round % 4 {
            0 => random.below(64) as usize,
            1 => 64 + random.below(700) as usize,
            _ => random.below(length as u64) as usize,
        };
        disk.damage(name, |bytes| match round % 3 {
            0 => bytes[at] ^= 1 << (at % 8),
            1 => bytes.truncate(at),
            _ => bytes[at..].fill(0),
        });
        let mut findings = 0;
        check(&disk, IDENTITY, &mut |_| findings += 1).unwrap();
        assert_eq!(findings, 0, "round {round}: no power cut gives a finding");
        let again = Keeper::open(&disk, WIDE, &world);
        assert_eq!(answers(&again, &asks), expected, "round {round}, byte {at}");
    }
}

/// The system can't read an index, and can read the volume: nothing is missing.
#[test]
fn an_index_that_the_disk_refuses_makes_nothing_missing() {
    let (mut world, disk, keeper) = indexed(15);
    let volumes = keeper.shelf.view().volumes;
    let volume = volumes.iter().find(|volume| disk.has(&index_file(volume.number))).unwrap();
    let ask = Ask {
        from: volume.since,
        to: volume.tick,
        subject: Subject::Owner(OwnerId::from_u128(2), None),
        limit: 100_000,
        ..world.ask()
    };
    // Only its name: what else fails, is the volume's own.
    disk.remove(&index_file(volume.number)).unwrap();
    disk.create(&index_file(volume.number)).unwrap();
    let told = keeper.looker().look(&ask);
    assert!(!told.is_incomplete);
    assert_eq!(keeper.all(&ask), world.expected(&ask));
}

/// A request that may read nearly nothing comes further all the same, with any number of names.
#[test]
fn a_question_in_the_smallest_pieces_ends_with_every_entry() {
    let (mut world, _, keeper) = indexed(16);
    for ask in all_asks(&mut world, 60) {
        for bytes_max in [0, 3_000, 100_000] {
            let looker = keeper.looker().with_bytes_max(bytes_max);
            assert_eq!(
                keeper.all_with(&looker, &ask),
                world.expected(&ask),
                "{bytes_max}, {ask:?}"
            );
        }
    }
}

/// What a power cut leaves of an index that was never synced is used only if it is whole; one without its
/// volume, and one of a volume without an end, go.
#[test]
fn power_cuts_leave_no_wrong_index() {
    for seed in 0..30 {
        let (mut world, disk, _) = indexed(seed + 20);
        let mut random = Random::new(seed);
        let asks = all_asks(&mut world, 10);
        let disk = disk.power_loss(&mut random);
        disk.create(&index_file(999)).unwrap();
        let mut keeper = Keeper::open(&disk, WIDE, &world);
        keeper.take_all(&world);
        let expected: Vec<_> = asks.iter().map(|ask| world.expected(ask)).collect();
        assert_eq!(answers(&keeper, &asks), expected, "seed {seed}");
        assert!(!disk.has(&index_file(999)), "it has no volume");
        assert_eq!(keeper.shelf.figures().bytes, bytes_on(&disk), "seed {seed}: everything counts");
    }
}
