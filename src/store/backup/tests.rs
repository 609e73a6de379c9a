//! Backups of a store that goes on changing: the state is that at one position, whatever came in
//! between, and no fault of a file is believed.

use super::block::{BlockSealer, HEAD_BYTES};
use super::*;
use crate::journal::RecordBuffer;
use crate::limits::BACKUP_BLOCK_BYTES_MAX;
use crate::model::{
    AllocationExtras, AllocationPlace, AllocationRow, Effect, EffectSink, HeldBy, Incarnation,
    Instance, NetworkHandle, NetworkId, NetworkRow, OwnerId, ProjectId, Revision, Seq, ServerId,
    Slot, SubnetHandle, SubnetId, SubnetRow, Text, Tick,
};
use crate::store::fake_disk::{Failure, FakeDisk, Fault, Operation, Random};
use crate::store::{
    BatchRow, Disk, Journal, Presence, Restore, Round, Settings, Step, Store, check,
};
use addrd_protocol::message::{AllocationState, Service, Strategy, SubnetKind};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io::Cursor;
use std::sync::Arc;

const NETWORKS: u32 = 3;
/// Where a block says what it holds, in its head.
const KIND_AT: usize = 4;

fn settings() -> Settings {
    Settings {
        journal_records_max: 64 << 10,
        state_cache_bytes: 1 << 20,
        state_bytes: 128 << 10,
        reserve_bytes: 0,
        fold_slice_bytes: 5_000,
    }
}

/// What the state must be: who holds what with which label, the revision of each network, whether
/// adoption mode is on.
#[derive(Clone, Debug, Default, PartialEq)]
struct Expected {
    cells: BTreeMap<(u32, u128), (u128, Option<Text>)>,
    revisions: BTreeMap<u32, u64>,
}

impl Restore for Expected {
    fn effect(&mut self, effect: &Effect) -> Result<(), String> {
        match effect {
            Effect::NetworkPut(row) => {
                self.revisions.insert(row.network.0, row.revision.0);
            }
            Effect::AllocationPut(row) => {
                let label = row.extras.as_ref().and_then(|extras| extras.label.clone());
                let place = (row.place.network.0, row.place.offset);
                self.cells.insert(place, (row.owner.0.as_u128(), label));
                self.revisions.insert(row.place.network.0, row.changed.0);
            }
            Effect::AllocationGone { place, revision, .. } => {
                let gone = self.cells.remove(&(place.network.0, place.offset));
                gone.ok_or("nothing goes")?;
                self.revisions.insert(place.network.0, revision.0);
            }
            _ => {}
        }
        Ok(())
    }

    fn revision(&mut self, network: NetworkHandle, revision: Revision) {
        self.revisions.insert(network.0, revision.0);
    }

    fn cursor(&mut self, _: NetworkHandle, _: SubnetHandle, _: u128) {}
}

/// A server without threads: random changes, folds and blocks of a backup in any order.
struct World {
    store: Store,
    sealer: crate::journal::BatchSealer,
    now: Expected,
    /// What the state was behind each batch.
    history: BTreeMap<u64, Expected>,
    tick: u64,
    /// Up to here the journal may be trimmed, as far as a backup goes.
    kept: Option<Seq>,
}

fn network(number: u32) -> Effect {
    Effect::NetworkPut(Box::new(NetworkRow {
        network: NetworkHandle(number),
        revision: Revision(1 << 20),
        project: ProjectId::DEFAULT,
        id: NetworkId::from_u128(number.into()),
        deleting: false,
        shared: false,
        name: None,
        description: None,
        scope_v4: None,
        scope_v6: None,
    }))
}

fn subnet(number: u32) -> Effect {
    Effect::SubnetPut(Box::new(SubnetRow {
        network: NetworkHandle(number),
        subnet: SubnetHandle(1),
        revision: Revision((1 << 20) + 1),
        id: SubnetId::from_u128(1),
        prefix: "10.0.0.0/16".parse().unwrap(),
        kind: SubnetKind::Routed,
        strategy: Strategy::Next,
        enable_dhcp: false,
        deleting: false,
        gateway: None,
        pools: Vec::new(),
        dns_servers: Vec::new(),
        routes: Vec::new(),
        name: None,
        description: None,
        pool: None,
        quarantine_ms: 0,
        service: Service::default(),
        level: 0,
    }))
}

impl World {
    fn new(disk: &FakeDisk) -> Self {
        let server = ServerId::from_u128(5);
        let store = Store::create(Arc::new(disk.clone()), &settings(), server).unwrap();
        let sealer = store.journal.sealer(store.identity());
        let (now, history) = (Expected::default(), BTreeMap::new());
        let mut world = Self { store, sealer, now, history, tick: 1_000, kept: None };
        world.commit((1..=NETWORKS).flat_map(|n| [network(n), subnet(n)]).collect());
        world
    }

    fn durable(&self) -> Seq {
        Seq(self.store.journal.position().next.0 - 1)
    }

    fn commit(&mut self, effects: Vec<Effect>) {
        let mut buffer = RecordBuffer::default();
        for effect in &effects {
            buffer.push(effect);
            self.now.effect(effect).unwrap();
            if let Effect::SubnetPut(row) = effect {
                self.now.revisions.insert(row.network.0, row.revision.0);
            }
        }
        self.tick += 1;
        let parts = [buffer.as_bytes()];
        let header = self.sealer.seal(Tick(self.tick), 1, buffer.record_count(), &parts);
        let row = BatchRow { header, parts: parts.into() };
        let folded = self.store.checkpointer.folded();
        let trim_to = self.kept.map_or(folded, |kept| kept.min(folded));
        self.store.journal.append(&Round { rows: &[row], trim_to }).unwrap();
        self.history.insert(header.last.0, self.now.clone());
    }

    /// One random change of some cells.
    fn change(&mut self, random: &mut Random) {
        let mut effects = Vec::new();
        let mut revisions = self.now.revisions.clone();
        let mut held = self.now.cells.clone();
        for _ in 0..=random.below(6) {
            let number = 1 + random.below(NETWORKS.into()) as u32;
            let offset = u128::from(random.below(2_000));
            let next = revisions.entry(number).or_default();
            *next += 1;
            let revision = Revision(*next);
            let place = AllocationPlace {
                network: NetworkHandle(number),
                subnet: SubnetHandle(1),
                offset,
                block_bits: 0,
            };
            if let Some((owner, _)) = held.remove(&(number, offset)) {
                let owner = OwnerId::from_u128(owner);
                let held_by = Some(HeldBy { owner, slot: Slot(0), project: None });
                effects.push(Effect::AllocationGone { place, revision, held_by });
                continue;
            }
            let owner = u128::from(random.next_u64());
            let label = random.one_in(3).then(|| Text::new(&format!("of={owner}")).unwrap());
            held.insert((number, offset), (owner, label.clone()));
            let extras = AllocationExtras { label, ..AllocationExtras::default() };
            effects.push(Effect::AllocationPut(AllocationRow {
                place,
                revision,
                changed: revision,
                owner: OwnerId::from_u128(owner),
                slot: Slot(0),
                instance: Instance(0),
                state: AllocationState::Allocated,
                moves_cursor: random.one_in(2),
                extras: extras.label.is_some().then(|| Box::new(extras)),
            }));
        }
        self.commit(effects);
    }

    fn fold(&mut self, random: &mut Random) {
        let durable = self.durable();
        self.store.checkpointer.begin(1 + random.below(200), durable);
        for _ in 0..random.below(4) {
            if self.store.checkpointer.step().unwrap() == Step::Idle {
                break;
            }
        }
    }

    /// A backup, with anything in between.
    fn backup(&mut self, random: &mut Random) -> Vec<Vec<u8>> {
        let mut backup = self.store.checkpointer.begin_backup(self.durable()).in_small_blocks();
        let mut blocks = Vec::new();
        while !backup.is_done() {
            self.kept = Some(backup.taken());
            for _ in 0..random.below(3) {
                match random.one_in(3) {
                    true => self.fold(random),
                    false => self.change(random),
                }
            }
            let durable = self.durable();
            let reads_rows = !random.one_in(4);
            match backup.step(&self.store.checkpointer, durable, reads_rows).unwrap() {
                Taken::Block(_, block) => {
                    assert!(block.len() <= BACKUP_BLOCK_BYTES_MAX);
                    blocks.push(block);
                }
                Taken::Nothing => assert!(!reads_rows, "nothing, though rows may be read"),
            }
        }
        self.kept = None;
        blocks
    }
}

fn restored(bytes: &[u8], incarnation: u32, now: u64) -> (FakeDisk, Expected, BackupSummary) {
    let mut file = Cursor::new(bytes);
    let summary = verify_backup(&mut file).unwrap();
    let disk = FakeDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let restoring = Restoring { incarnation: Incarnation(incarnation), now: Tick(now) };
    restore_backup(&shared, &settings(), &mut file, &summary, restoring).unwrap();
    let disk = disk.restart();
    let report = check(Arc::new(disk.clone()), &settings(), &mut |_| {}).unwrap();
    assert_eq!(report.findings, []);
    let disk = disk.restart();
    let mut store = Store::open(Arc::new(disk.clone()), &settings()).unwrap();
    let mut found = Expected::default();
    let recovered = store.recover(&mut found).unwrap();
    assert_eq!(recovered.next, Seq(summary.end.last.0 + 1));
    assert_eq!((recovered.adoption, recovered.tick), (Tick(now), Tick(now)));
    assert_eq!(recovered.job_max, u64::from(incarnation) << 32);
    assert_eq!(store.format().incarnation, Incarnation(incarnation));
    assert_eq!(store.format().server, ServerId::from_u128(5));
    (disk, found, summary)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[expect(clippy::print_stderr, reason = "a random test prints its seed")]
fn seed() -> u64 {
    let seed = number("ADDRD_SEED").unwrap_or_else(|| RandomState::new().hash_one("backup"));
    eprintln!("ADDRD_SEED={seed}");
    seed
}

/// T20: whatever is folded and committed between two blocks, a restored backup is the state at the
/// position that it names, and that is not before its begin.
#[test]
fn a_backup_under_load_is_the_state_at_one_position() {
    let (seed, cases) = (seed(), number("ADDRD_BACKUPS").unwrap_or(40));
    for case in 0..cases {
        let mut random = Random::new(seed.wrapping_add(case));
        let mut world = World::new(&FakeDisk::new());
        for _ in 0..random.below(120) {
            world.change(&mut random);
            if random.one_in(5) {
                world.fold(&mut random);
            }
        }
        let begun = world.durable();
        let bytes = world.backup(&mut random).concat();
        let now = 1_000_000_000;
        let (_, found, summary) = restored(&bytes, 7, now);
        let at = summary.end.last;
        assert!(at >= begun, "seed {seed}, case {case}: {at} is before {begun}");
        let expected = &world.history[&at.0];
        assert_eq!(found.cells, expected.cells, "seed {seed}, case {case}, at {at}");
        // No revision of the lost future comes again: they are all below the restore's time.
        let floor = Tick(now).first_revision();
        let lost = world.now.revisions.values().all(|revision| *revision < floor);
        assert!(lost && found.revisions.values().all(|revision| *revision >= floor));
    }
}

#[test]
fn a_restored_directory_can_be_backed_up_and_restored_again() {
    let mut random = Random::new(1);
    let mut world = World::new(&FakeDisk::new());
    (0..50).for_each(|_| world.change(&mut random));
    let bytes = world.backup(&mut random).concat();
    let (disk, first, summary) = restored(&bytes, 7, 1_000_000);
    let disk = disk.restart();
    let mut store = Store::open(Arc::new(disk), &settings()).unwrap();
    store.recover(&mut Expected::default()).unwrap();
    let mut backup = store.checkpointer.begin_backup(summary.end.last);
    let mut again = Vec::new();
    while !backup.is_done() {
        match backup.step(&store.checkpointer, summary.end.last, true).unwrap() {
            Taken::Block(_, block) => again.extend(block),
            Taken::Nothing => panic!("rows may be read"),
        }
    }
    let (_, second, of) = restored(&again, 8, 2_000_000);
    assert_eq!((first.cells, of.begin.incarnation), (second.cells, Incarnation(7)));
    assert_eq!(of.end.last, summary.end.last);
}

/// Cuts at every block, inside of each, and changes everywhere: told, and nothing is made.
#[test]
fn what_is_not_whole_is_refused() {
    let mut random = Random::new(2);
    let mut world = World::new(&FakeDisk::new());
    (0..80).for_each(|_| world.change(&mut random));
    let blocks = world.backup(&mut random);
    let bytes = blocks.concat();
    assert!(blocks.len() > 4, "{} blocks", blocks.len());
    let mut ends = vec![0];
    blocks.iter().for_each(|block| ends.push(ends.last().unwrap() + block.len()));
    let whole = ends.pop().unwrap();
    assert_eq!(whole, bytes.len());
    for end in ends.iter().flat_map(|end| [*end, end + 1, end + 20]).filter(|end| *end < whole) {
        let error = verify_backup(&mut Cursor::new(&bytes[..end])).unwrap_err();
        assert!(matches!(error, RestoreError::Backup(_)), "cut at {end}: {error}");
    }
    for _ in 0..2_000 {
        let mut bad = bytes.clone();
        let at = random.below(bad.len() as u64) as usize;
        bad[at] ^= 1 << random.below(8);
        assert!(verify_backup(&mut Cursor::new(&bad)).is_err(), "byte {at}");
    }
    for at in 0..blocks.len() {
        let mut lost = blocks.clone();
        lost.remove(at);
        assert!(verify_backup(&mut Cursor::new(lost.concat())).is_err(), "without block {at}");
    }
}

/// The blocks of a backup with something else in one of them, sealed as if it had been written so: all checksums are right, and
/// the end says how long they are.
fn forged(blocks: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let (mut sealer, mut bytes) = (BlockSealer::default(), Vec::new());
    let (last, wrong) = (blocks.len() - 1, random.below(blocks.len() as u64) as usize);
    for (at, block) in blocks.iter().enumerate() {
        let kind = match block[KIND_AT] {
            _ if at == 0 => BlockKind::Begin,
            _ if at == last => BlockKind::End,
            kind if kind == BlockKind::Rows as u8 => BlockKind::Rows,
            _ => BlockKind::Batches,
        };
        let mut payload = block[HEAD_BYTES..].to_vec();
        if at == last {
            let length = payload.len() - 8;
            payload[length..].copy_from_slice(&sealer.bytes().to_be_bytes());
        }
        if at == wrong && !payload.is_empty() {
            let from = random.below(payload.len() as u64) as usize;
            let to = (from + 1 + random.below(8) as usize).min(payload.len());
            match random.below(4) {
                0 => payload.truncate(from),
                1 => payload.extend_from_within(from..to),
                2 => payload[from] ^= 1 << random.below(8),
                _ => payload[from..to].fill(random.below(256) as u8),
            }
        }
        bytes.extend(sealer.seal(kind, &payload));
    }
    bytes
}

/// A file that somebody made, or a server with a fault in it: whatever the blocks hold, it is refused or becomes a directory
/// that is whole; never a panic, and never half of one.
#[test]
fn blocks_with_anything_in_them_are_refused_or_become_a_whole_directory() {
    let mut random = Random::new(number("ADDRD_SEED").unwrap_or(4));
    let mut world = World::new(&FakeDisk::new());
    (0..60).for_each(|_| world.change(&mut random));
    let blocks = world.backup(&mut random);
    let (mut refused, mut made) = (0, 0);
    for _ in 0..number("ADDRD_FORGED").unwrap_or(1_500) {
        let mut file = Cursor::new(forged(&blocks, &mut random));
        let Ok(summary) = verify_backup(&mut file) else {
            refused += 1;
            continue;
        };
        let disk = FakeDisk::new();
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let restoring = Restoring { incarnation: Incarnation(9), now: Tick(1_000_000) };
        // Who restores looks at these first, and refuses.
        if summary.begin.incarnation >= restoring.incarnation || summary.end.tick >= restoring.now {
            refused += 1;
            continue;
        }
        let done = restore_backup(&shared, &settings(), &mut file, &summary, restoring);
        drop(shared);
        let disk = disk.restart();
        match done {
            Ok(_) => {
                made += 1;
                assert!(Store::open(Arc::new(disk), &settings()).is_ok(), "it was made, and opens");
            }
            Err(_) => assert_ne!(Store::presence(&disk).unwrap(), Presence::Present),
        }
    }
    assert!(refused > 100 && made > 0, "{refused} refused, {made} made");
}

/// A full disk under a restore is told as such, at whatever write.
#[test]
fn a_restore_onto_a_full_disk_fails() {
    let mut world = World::new(&FakeDisk::new());
    let mut random = Random::new(3);
    (0..40).for_each(|_| world.change(&mut random));
    let mut file = Cursor::new(world.backup(&mut random).concat());
    let summary = verify_backup(&mut file).unwrap();
    let restoring = Restoring { incarnation: Incarnation(9), now: Tick(1_000_000) };
    for at in 1..40 {
        let disk = FakeDisk::new();
        let failure = Failure::Error(28);
        disk.plan(Fault { operation: Operation::Write, at, failure, for_good: true });
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let made = restore_backup(&shared, &settings(), &mut file, &summary, restoring);
        let error = made.expect_err("the disk is full");
        assert!(disk.failed() && matches!(error, RestoreError::Store(_)), "write {at}: {error}");
        drop(shared);
        let left = Store::presence(&disk.restart()).unwrap();
        assert_ne!(left, Presence::Present, "write {at}: half a directory passes for a whole one");
    }
}
