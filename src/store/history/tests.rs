//! History against a list that is kept beside it: through crashes, with numbers that are used again, by
//! address and by owner, in both orders and pages of any size; and its bounds.

mod bounds;
mod gaps;
mod mending;
mod overlap;
mod refusing;

use super::layout::{index_file, volume_file};
use super::*;
use crate::journal::{BatchIdentity, BatchSealer, BatchView, RecordBuffer};
use crate::model::{
    AllocationExtras, AllocationPlace, AllocationRow, Effect, EffectSink, HeldBy, Incarnation,
    Instance, NetworkHandle, NetworkId, NetworkRow, OwnerId, Prefix, ProjectId, Revision, Seq,
    ServerId, Slot, SubnetHandle, SubnetId, SubnetRow, Tick,
};
use crate::store::disk::Disk;
use crate::store::fake_disk::{Failure, FakeDisk, Fault, Operation, Random};
use addrd_protocol::message::{AllocationState, HistoryKind, Strategy, SubnetKind};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use uuid::Uuid;

const SERVER: ServerId = ServerId::from_u128(5);
const IDENTITY: (ServerId, Incarnation) = (SERVER, Incarnation(1));
const WIDE: HistorySettings =
    HistorySettings { bytes_max: 32 << 20, age_ms_max: 1 << 40, block_bytes: 1_000 };
const BEGIN_MS: u64 = 1_000_000_000;

/// What an entry must say.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    position: u64,
    time_ms: u64,
    kind: HistoryKind,
    address: IpAddr,
    owner: OwnerId,
    slot: Slot,
    network: Uuid,
    holder: ProjectId,
    home: ProjectId,
}

#[derive(Clone, Copy)]
struct Place {
    network: u32,
    subnet: u32,
    prefix: Prefix,
}

/// Owner and slot, and the project if it isn't the network's.
type Holder = (OwnerId, Slot, Option<ProjectId>);

/// A batch as it stands in the journal.
struct Stored {
    bytes: Vec<u8>,
    first: Seq,
    last: Seq,
    tick: Tick,
}

impl Stored {
    fn view(&self) -> BatchView<'_> {
        BatchView::decode(&self.bytes, SERVER).unwrap()
    }
}

/// A journal of random changes, and the list of what they mean.
struct World {
    random: Random,
    sealer: BatchSealer,
    now: u64,
    revision: u64,
    networks: BTreeMap<u32, (ProjectId, Uuid)>,
    next_network: u32,
    subnets: Vec<Place>,
    held: BTreeMap<(u32, u32, u128), Holder>,
    batches: Vec<(Stored, Vec<Effect>)>,
    lines: Vec<Line>,
}

fn project(number: u64) -> ProjectId {
    ProjectId(Uuid::from_u128(100 + u128::from(number)))
}

impl World {
    fn new(seed: u64) -> Self {
        let identity = BatchIdentity { server: SERVER, incarnation: Incarnation(1), term: 0 };
        Self {
            random: Random::new(seed),
            sealer: BatchSealer::new(identity, Seq(1), 0),
            now: BEGIN_MS,
            revision: 0,
            networks: BTreeMap::new(),
            next_network: 1,
            subnets: Vec::new(),
            held: BTreeMap::new(),
            batches: Vec::new(),
            lines: Vec::new(),
        }
    }

    fn last(&self) -> Seq {
        self.batches.last().map_or(Seq(0), |(batches, _)| batches.last)
    }

    /// The next batch of a few changes.
    fn grow(&mut self) {
        self.now += self.random.below(2_000);
        let hand_overs = 1 + self.random.below(3) as u32;
        let position = self.sealer.next().0 + u64::from(hand_overs) - 1;
        let count = self.random.below(6);
        let effects = (0..count).filter_map(|_| self.change(position)).collect();
        self.seal(hand_overs, effects);
    }

    /// A batch of these changes.
    fn seal(&mut self, hand_overs: u32, effects: Vec<Effect>) {
        let mut buffer = RecordBuffer::default();
        effects.iter().for_each(|effect| buffer.push(effect));
        let parts = [buffer.as_bytes()];
        let header = self.sealer.seal(Tick(self.now), hand_overs, buffer.record_count(), &parts);
        let mut bytes = header.encode().to_vec();
        bytes.extend_from_slice(buffer.as_bytes());
        let (first, last, tick) = (header.first, header.last, header.tick);
        self.batches.push((Stored { bytes, first, last, tick }, effects));
    }

    fn change(&mut self, position: u64) -> Option<Effect> {
        self.revision += 1;
        let revision = Revision(self.revision);
        match self.random.below(20) {
            0 => Some(self.make_network(revision)),
            1 | 2 => self.make_subnet(revision),
            3 => self.drop_subnet(revision),
            4 => self.drop_network(revision),
            5..13 => self.put(revision, position),
            13 => self.transfer(revision, position),
            _ => self.release(revision, position),
        }
    }

    fn make_network(&mut self, revision: Revision) -> Effect {
        let number = self.next_network;
        self.next_network += 1;
        let of = (project(self.random.below(2)), Uuid::from_u128(u128::from(number)));
        self.networks.insert(number, of);
        Effect::NetworkPut(Box::new(NetworkRow {
            network: NetworkHandle(number),
            revision,
            project: of.0,
            id: NetworkId(of.1),
            deleting: false,
            shared: true,
            name: None,
            description: None,
            scope_v4: None,
            scope_v6: None,
        }))
    }

    fn make_subnet(&mut self, revision: Revision) -> Option<Effect> {
        let count = self.networks.len() as u64;
        let network = *self.networks.keys().nth(self.random.below(count.max(1)) as usize)?;
        // The lowest free number: so numbers are used again, by other prefixes.
        let is_taken = |number: &u32| {
            self.subnets.iter().any(|place| (place.network, place.subnet) == (network, *number))
        };
        let subnet = (0..).find(|number| !is_taken(number))?;
        let choices = ["10.0.0.0/29", "10.0.0.0/24", "10.0.1.0/24", "fd00::/64", "0.0.0.0/0"];
        let prefix: Prefix = choices[self.random.below(5) as usize].parse().unwrap();
        Some(self.put_subnet(Place { network, subnet, prefix }, revision))
    }

    fn put_subnet(&mut self, place: Place, revision: Revision) -> Effect {
        let Place { network, subnet, prefix } = place;
        self.subnets.push(place);
        Effect::SubnetPut(Box::new(SubnetRow {
            network: NetworkHandle(network),
            subnet: SubnetHandle(subnet),
            revision,
            id: SubnetId::from_u128(u128::from(revision.0)),
            prefix,
            kind: SubnetKind::Routed,
            strategy: Strategy::Next,
            enable_dhcp: false,
            deleting: false,
            level: 0,
            gateway: None,
            pools: Vec::new(),
            dns_servers: Vec::new(),
            routes: Vec::new(),
            name: None,
            description: None,
            pool: None,
            quarantine_ms: 0,
            service: Default::default(),
        }))
    }

    fn drop_subnet(&mut self, revision: Revision) -> Option<Effect> {
        let is_empty = |place: &Place| {
            !self.held.keys().any(|key| (key.0, key.1) == (place.network, place.subnet))
        };
        let at = self.subnets.iter().position(is_empty)?;
        let Place { network, subnet, .. } = self.subnets.remove(at);
        Some(Effect::SubnetGone {
            network: NetworkHandle(network),
            subnet: SubnetHandle(subnet),
            revision,
        })
    }

    fn drop_network(&mut self, revision: Revision) -> Option<Effect> {
        let is_empty = |number: &u32| !self.subnets.iter().any(|place| place.network == *number);
        let network = *self.networks.keys().find(|number| is_empty(number))?;
        self.networks.remove(&network);
        Some(Effect::NetworkGone { network: NetworkHandle(network), revision })
    }

    fn line(&mut self, key: (u32, u32, u128), position: u64, kind: HistoryKind) {
        let (owner, slot, guest) = self.held[&key];
        let place =
            self.subnets.iter().find(|place| (place.network, place.subnet) == (key.0, key.1));
        let (home, network) = self.networks[&key.0];
        self.lines.push(Line {
            position,
            time_ms: self.now,
            kind,
            address: place.unwrap().prefix.address_at(key.2).unwrap(),
            owner,
            slot,
            network,
            holder: guest.unwrap_or(home),
            home,
        });
    }

    fn put(&mut self, revision: Revision, position: u64) -> Option<Effect> {
        let count = self.subnets.len() as u64;
        let place = *self.subnets.get(self.random.below(count.max(1)) as usize)?;
        let offset = u128::from(self.random.below(8));
        let key = (place.network, place.subnet, offset);
        let guest = (self.random.below(3) == 0).then(|| project(self.random.below(2)));
        let guest = guest.filter(|guest| *guest != self.networks[&place.network].0);
        let owner = OwnerId::from_u128(1 + u128::from(self.random.below(5)));
        let (owner, slot, guest) =
            *self.held.entry(key).or_insert((owner, Slot(self.random.below(2) as u16), guest));
        let states = [
            (AllocationState::Allocated, HistoryKind::Allocated),
            (AllocationState::Held, HistoryKind::Held),
        ];
        let (state, kind) = states[self.random.below(2) as usize];
        let is_change = self.random.below(4) == 0;
        let fence = if is_change { Revision(revision.0 - 1) } else { revision };
        self.line(key, position, if is_change { HistoryKind::Changed } else { kind });
        let extras = guest.map(|guest| {
            Box::new(AllocationExtras { project: Some(guest), ..AllocationExtras::default() })
        });
        Some(Effect::AllocationPut(AllocationRow {
            place: place_of(key),
            revision: fence,
            changed: revision,
            owner,
            slot,
            instance: Instance(0),
            state,
            moves_cursor: self.random.below(2) == 0,
            extras,
        }))
    }

    fn transfer(&mut self, revision: Revision, position: u64) -> Option<Effect> {
        let count = self.held.len() as u64;
        let key = *self.held.keys().nth(self.random.below(count.max(1)) as usize)?;
        let (owner, slot, project) = self.held[&key];
        let next = OwnerId::from_u128(1 + u128::from(self.random.below(5)));
        if next == owner {
            return None;
        }
        self.line(key, position, HistoryKind::Transferred);
        self.held.insert(key, (next, slot, project));
        self.line(key, position, HistoryKind::Allocated);
        let former = Some(Box::new(HeldBy { owner, slot, project }));
        Some(Effect::AllocationPut(AllocationRow {
            place: place_of(key),
            revision,
            changed: revision,
            owner: next,
            slot,
            instance: Instance(0),
            state: AllocationState::Allocated,
            moves_cursor: false,
            extras: Some(Box::new(AllocationExtras {
                project,
                former,
                ..AllocationExtras::default()
            })),
        }))
    }

    fn release(&mut self, revision: Revision, position: u64) -> Option<Effect> {
        let count = self.held.len() as u64;
        let key = *self.held.keys().nth(self.random.below(count.max(1)) as usize)?;
        self.line(key, position, HistoryKind::Released);
        let (owner, slot, project) = self.held.remove(&key)?;
        let held_by = Some(HeldBy { owner, slot, project });
        Some(Effect::AllocationGone { place: place_of(key), revision, held_by })
    }

    /// What a question must be answered with.
    fn expected(&self, ask: &Ask) -> Vec<Line> {
        let is_asked = |line: &&Line| {
            let subject = match ask.subject {
                Subject::Address(address) => line.address == address,
                Subject::Owner(owner, slot) => {
                    line.owner == owner && slot.is_none_or(|slot| slot == line.slot)
                }
            };
            let is_own = line.holder == ask.project;
            let is_bare = line.home == ask.project && matches!(ask.subject, Subject::Address(_));
            let is_home = ask.home.is_none_or(|home| home == (line.home, line.network));
            let in_time = ask.from.0 <= line.time_ms && line.time_ms <= ask.to.0;
            subject && (is_own || is_bare) && is_home && in_time
        };
        let hidden = |line: &Line| match line.holder == ask.project {
            true => line.clone(),
            false => Line { owner: OwnerId::NIL, slot: Slot(0), ..line.clone() },
        };
        let mut lines: Vec<Line> = self.lines.iter().filter(is_asked).map(hidden).collect();
        if !ask.oldest_first {
            lines.reverse();
        }
        lines
    }

    fn ask(&mut self) -> Ask {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let choices = ["10.0.0.1", "10.0.0.5", "10.0.1.3", "fd00::2", "0.0.0.7", "9.9.9.9"];
        let subject = match self.random.below(2) {
            0 => Subject::Address(address(choices[self.random.below(6) as usize])),
            _ => {
                let slot = (self.random.below(2) == 0).then_some(Slot(1));
                Subject::Owner(OwnerId::from_u128(1 + u128::from(self.random.below(6))), slot)
            }
        };
        let span = self.now - BEGIN_MS;
        let from =
            if self.random.below(2) == 0 { 0 } else { BEGIN_MS + self.random.below(span + 1) };
        let to =
            if self.random.below(2) == 0 { u64::MAX } else { from + self.random.below(span + 1) };
        let seen: Vec<_> = self.lines.iter().map(|line| (line.home, line.network)).collect();
        let home = seen.get(self.random.below(2 * seen.len() as u64 + 1) as usize).copied();
        Ask {
            project: project(self.random.below(3)),
            home,
            is_pool: false,
            subject,
            from: Tick(from),
            to: Tick(to),
            oldest_first: self.random.below(2) == 0,
            limit: 1 + self.random.below(9) as usize,
            mark: None,
        }
    }
}

const fn place_of(key: (u32, u32, u128)) -> AllocationPlace {
    AllocationPlace {
        network: NetworkHandle(key.0),
        subnet: SubnetHandle(key.1),
        offset: key.2,
        block_bits: 0,
    }
}

/// Opens history beside a journal that has everything, and gives it what it lacks.
struct Keeper {
    history: History,
    names: LiveNames,
    shelf: Arc<Shelf>,
}

impl Keeper {
    fn open(disk: &FakeDisk, settings: HistorySettings, world: &World) -> Self {
        let shelf = Arc::new(Shelf::default());
        let journal = JournalEnds { first: Seq(1), last: world.last() };
        let disk = Arc::new(disk.clone()) as Arc<dyn Disk>;
        let now = Tick(BEGIN_MS);
        let history = open(disk, settings, IDENTITY, Arc::clone(&shelf), journal, now).unwrap();
        let mut names = LiveNames::default();
        let expected = history.expected();
        let known = world.batches.iter().filter(|(batches, _)| batches.last < expected);
        known.flat_map(|(_, effects)| effects).for_each(|effect| names.note(effect));
        Self { history, names, shelf }
    }

    /// Appends what comes next, if there is something.
    fn try_take(&mut self, world: &World) -> Result<bool, Refused> {
        let expected = self.history.expected();
        let next = world.batches.iter().find(|(batches, _)| batches.first == expected);
        let Some((batch, _)) = next else { return Ok(false) };
        self.history.push(&batch.view(), &mut self.names, batch.tick)?;
        self.history.write()?;
        Ok(true)
    }

    fn take(&mut self, world: &World) -> bool {
        self.try_take(world).unwrap()
    }

    fn take_all(&mut self, world: &World) {
        while self.take(world) {}
    }

    fn looker(&self) -> Looker {
        let disk = Arc::clone(self.history.disk());
        Looker::new(disk, Arc::clone(&self.shelf), SERVER)
    }

    fn all(&self, ask: &Ask) -> Vec<Line> {
        self.all_with(&self.looker(), ask)
    }

    fn all_with(&self, looker: &Looker, ask: &Ask) -> Vec<Line> {
        let mut ask = *ask;
        let mut lines = Vec::new();
        for _ in 0..10_000 {
            let told = looker.look(&ask);
            assert!(!told.is_incomplete, "nothing is damaged");
            assert!(told.entries.len() <= ask.limit);
            lines.extend(told.entries.into_iter().map(|entry| Line {
                position: entry.position.0,
                time_ms: entry.time_ms,
                kind: entry.kind,
                address: entry.address,
                owner: entry.owner,
                slot: entry.slot,
                network: entry.network_id.0,
                holder: entry.project_id,
                home: entry.network_project.unwrap_or(entry.project_id),
            }));
            let is_further = |next| {
                ask.mark.is_none_or(|mark| if ask.oldest_first { next > mark } else { next < mark })
            };
            assert!(told.next.is_none_or(is_further), "it stands still: {ask:?}, {:?}", told.next);
            ask.mark = told.next;
            if ask.mark.is_none() {
                return lines;
            }
        }
        panic!("a question that never ends: {ask:?}");
    }
}

/// Volumes so small that every test has many.
fn small() -> HistorySettings {
    HistorySettings { age_ms_max: 32 * 60_000, ..WIDE }
}

#[test]
fn every_question_is_answered_as_a_list_of_all_changes_would() {
    for seed in 0..40 {
        let mut world = World::new(seed);
        let mut disk = FakeDisk::new();
        // A volume a minute of the world's time; nothing is too old.
        let settings = HistorySettings { age_ms_max: small().age_ms_max, ..WIDE };
        let mut keeper = Keeper::open(&disk, settings, &world);
        let mut crashes = Random::new(seed ^ 77);
        for round in 0..12 {
            (0..20).for_each(|_| world.grow());
            while keeper.take(&world) {
                if crashes.below(3) == 0 {
                    keeper.history.sync().unwrap();
                }
            }
            for _ in 0..12 {
                let ask = world.ask();
                assert_eq!(
                    keeper.all(&ask),
                    world.expected(&ask),
                    "seed {seed}, round {round}, {ask:?}"
                );
            }
            match crashes.below(3) {
                0 => disk = disk.power_loss(&mut crashes),
                1 => disk = disk.restart(),
                _ => continue,
            }
            keeper = Keeper::open(&disk, settings, &world);
            keeper.take_all(&world);
        }
        assert!(keeper.shelf.figures().volumes > 2, "seed {seed}: there were several volumes");
    }
}

#[test]
fn what_was_synced_is_there_after_a_power_loss_without_the_journal() {
    for seed in 0..60 {
        let mut world = World::new(seed);
        let disk = FakeDisk::new();
        let mut keeper = Keeper::open(&disk, small(), &world);
        let mut synced = Seq(0);
        let mut random = Random::new(seed);
        for _ in 0..60 {
            world.grow();
            keeper.take(&world);
            if random.below(4) == 0 {
                keeper.history.sync().unwrap();
                synced = world.last();
            }
        }
        let disk = disk.power_loss(&mut random);
        let keeper = Keeper::open(&disk, small(), &world);
        assert!(keeper.history.expected() > synced, "seed {seed}");
    }
}

#[test]
fn a_damaged_volume_costs_only_itself() {
    let mut world = World::new(9);
    let disk = FakeDisk::new();
    let mut keeper = Keeper::open(&disk, small(), &world);
    (0..400).for_each(|_| world.grow());
    keeper.take_all(&world);
    keeper.history.sync().unwrap();
    let volumes = keeper.shelf.view().volumes;
    assert!(volumes.len() > 4);
    let bad = volumes[2];
    for at in [0, bad.begin / 2, bad.begin + 3, (bad.begin + bad.end) / 2, bad.end - 1, bad.end + 5]
    {
        let disk = disk.fork();
        let file = disk.open(&volume_file(bad.number)).unwrap();
        let mut byte = [0];
        file.read_at(at, &mut byte).unwrap();
        file.write_at(at, &[byte[0] ^ 0x40]).unwrap();
        let keeper = Keeper::open(&disk, small(), &world);
        let looker = keeper.looker();
        let mut missing = 0;
        for owner in 1..6 {
            let ask = Ask {
                project: project(owner % 2),
                home: None,
                is_pool: false,
                subject: Subject::Owner(OwnerId::from_u128(owner.into()), None),
                from: Tick(0),
                to: Tick(u64::MAX),
                oldest_first: true,
                limit: 100_000,
                mark: None,
            };
            let told: Vec<u64> =
                looker.look(&ask).entries.iter().map(|entry| entry.position.0).collect();
            let expected = world.expected(&ask);
            let outside = |position: u64| position < bad.first.0 || position > bad.last.0;
            let all: Vec<u64> = expected.iter().map(|line| line.position).collect();
            let count = |list: &[u64]| list.iter().filter(|at| outside(**at)).count();
            assert_eq!(count(&told), count(&all), "byte {at}: others are all told");
            missing += all.len() - told.len();
            let is_subset = told.iter().all(|position| all.contains(position));
            assert!(is_subset, "byte {at}: nothing is made up");
        }
        let figures = keeper.shelf.figures();
        assert!(missing == 0 || figures.damaged > 0, "byte {at}: what is missing is told");
        assert!(
            missing == 0 || figures.reach >= bad.tick,
            "byte {at}: {figures:?} reaches no further back than what can be read"
        );
    }
}

#[test]
fn what_the_journal_had_forgotten_is_a_gap_that_is_told() {
    let mut world = World::new(4);
    let disk = FakeDisk::new();
    let mut keeper = Keeper::open(&disk, WIDE, &world);
    (0..50).for_each(|_| world.grow());
    keeper.take_all(&world);
    keeper.history.sync().unwrap();
    (0..50).for_each(|_| world.grow());
    // History was off meanwhile: the journal begins further on.
    let first = world.batches[80].0.first;
    let shelf = Arc::new(Shelf::default());
    let journal = JournalEnds { first, last: world.last() };
    let later = Tick(world.batches[80].0.tick.0);
    let disk = Arc::new(disk.restart()) as Arc<dyn Disk>;
    let mut history =
        open(Arc::clone(&disk), WIDE, IDENTITY, Arc::clone(&shelf), journal, later).unwrap();
    assert_eq!(history.expected(), first);
    assert_eq!(shelf.figures().reach, later, "the gap is told before anything is appended");
    let mut names = LiveNames::default();
    for (at, (batch, _)) in world.batches.iter().enumerate() {
        match at {
            0..80 => names.follow(&batch.view()).unwrap(),
            _ => history.push(&batch.view(), &mut names, later).unwrap(),
        }
    }
    history.write().unwrap();
    let figures = shelf.figures();
    assert_eq!(figures.reach, later, "complete only since it was on again");
    assert_eq!(figures.dropped, first.0 - 1 - world.batches[49].0.last.0);
}

#[test]
fn a_journal_of_an_earlier_time_takes_its_place_again() {
    let mut world = World::new(6);
    let disk = FakeDisk::new();
    let mut keeper = Keeper::open(&disk, small(), &world);
    (0..100).for_each(|_| world.grow());
    keeper.take_all(&world);
    keeper.history.sync().unwrap();
    // Older files of the same server were put back: what came behind them never was.
    let kept = 37;
    world.batches.truncate(kept);
    let last = world.last();
    world.lines.retain(|line| line.position <= last.0);
    let keeper = Keeper::open(&disk.restart(), small(), &world);
    assert_eq!(keeper.history.expected(), Seq(last.0 + 1));
    for _ in 0..200 {
        let ask = world.ask();
        assert_eq!(keeper.all(&ask), world.expected(&ask), "{ask:?}");
    }
}

#[test]
fn any_bytes_in_the_place_of_a_volume_are_read_without_harm() {
    let mut world = World::new(12);
    let disk = FakeDisk::new();
    let mut keeper = Keeper::open(&disk, WIDE, &world);
    (0..60).for_each(|_| world.grow());
    keeper.take_all(&world);
    let number = keeper.shelf.view().volumes[0].number;
    let file = disk.open(&volume_file(number)).unwrap();
    let mut whole = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut whole).unwrap();
    let mut random = Random::new(5);
    for _ in 0..400 {
        let mut bytes = whole.clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len() as u64) as usize;
            match random.below(4) {
                0 => bytes.truncate(at + 1),
                1 => bytes[at] ^= 1 << random.below(8),
                2 => bytes.extend_from_within(at..),
                _ => drop(bytes.drain(at..(at + 40).min(bytes.len() - 1).max(at))),
            }
        }
        let disk = FakeDisk::new();
        for number in 1..3 {
            disk.create(&volume_file(number)).unwrap().write_at(0, &bytes).unwrap();
        }
        let mut findings = 0;
        check(&disk, IDENTITY, &mut |_| findings += 1).unwrap();
        let mut keeper = Keeper::open(&disk, WIDE, &world);
        for _ in 0..5 {
            let looker = keeper.looker();
            let mut ask = world.ask();
            for _ in 0..200 {
                ask.mark = looker.look(&ask).next;
                if ask.mark.is_none() {
                    break;
                }
            }
        }
        // It goes on all the same.
        keeper.take_all(&world);
        assert_eq!(keeper.history.expected(), Seq(world.last().0 + 1));
    }
}

/// Grows and appends until something fails; the last hand-over that was synced before.
fn until_it_fails(world: &mut World, keeper: &mut Keeper, random: &mut Random) -> Seq {
    let mut synced = Seq(0);
    for _ in 0..300 {
        world.grow();
        if keeper.try_take(world).is_err() {
            return synced;
        }
        if random.below(6) == 0 {
            if keeper.history.sync().is_err() {
                return synced;
            }
            synced = Seq(keeper.history.expected().0 - 1);
        }
    }
    synced
}

#[test]
fn a_failure_in_any_write_or_sync_and_a_power_loss_leave_no_hole() {
    for seed in 0..300 {
        let (mut world, mut random) = (World::new(seed), Random::new(seed ^ 0xf00d));
        let mut disk = FakeDisk::new();
        let mut keeper = Keeper::open(&disk, small(), &world);
        for _ in 0..3 {
            let operation = [Operation::Write, Operation::Sync][random.below(2) as usize];
            let failures = [Failure::Power, Failure::Error(5), Failure::Short(28), Failure::Power];
            let failure = failures[random.below(4) as usize];
            let at = disk.count(operation) + 1 + random.below(50);
            disk.plan(Fault { operation, at, failure, for_good: false });
            let synced = until_it_fails(&mut world, &mut keeper, &mut random);
            keeper.history.give_up_volume();
            disk = disk.power_loss(&mut random);
            keeper = Keeper::open(&disk, small(), &world);
            assert!(keeper.history.expected() > synced, "seed {seed}: what was synced is kept");
            keeper.take_all(&world);
            for _ in 0..6 {
                let ask = world.ask();
                assert_eq!(keeper.all(&ask), world.expected(&ask), "seed {seed}, {ask:?}");
            }
        }
    }
}

#[test]
fn a_last_volume_that_cannot_be_read_is_kept_and_told() {
    let mut world = World::new(8);
    let disk = FakeDisk::new();
    let mut keeper = Keeper::open(&disk, small(), &world);
    (0..200).for_each(|_| world.grow());
    keeper.take_all(&world);
    keeper.history.sync().unwrap();
    let last = keeper.shelf.view().volumes.last().copied().unwrap();
    for at in [3, last.begin + 3] {
        let disk = disk.fork();
        let file = disk.open(&volume_file(last.number)).unwrap();
        let mut byte = [0];
        file.read_at(at, &mut byte).unwrap();
        file.write_at(at, &[byte[0] ^ 1]).unwrap();
        let mut findings = Vec::new();
        check(&disk, IDENTITY, &mut |what| findings.push(what)).unwrap();
        assert!(at > 64 || findings.len() == 1, "byte {at}: {findings:?}");
        let shelf = Arc::new(Shelf::default());
        let journal = JournalEnds { first: Seq(world.last().0 + 1), last: world.last() };
        let now = Tick(world.now + 5);
        let own = Arc::new(disk.clone()) as Arc<dyn Disk>;
        let history = open(own, small(), IDENTITY, Arc::clone(&shelf), journal, now).unwrap();
        assert_eq!(history.expected(), journal.first);
        let figures = shelf.figures();
        assert_eq!((figures.damaged, figures.reach), (1, now), "byte {at}: a part is missing");
        assert!(disk.names().unwrap().contains(&volume_file(last.number)), "it is not removed");
    }
}
