//! Rates of the store, on the disk of `ADDRD_BENCH_DIR` (default: the system's temporary folder):
//! records, journal, fold, start. `ADDRD_BENCH_CELLS` (1,000,000) sets the size of the state.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use addrd::journal::{BatchSealer, RecordBuffer, decode, encode};
use addrd::model::{
    AllocationPlace, AllocationRow, Effect, EffectSink, Instance, NetworkHandle, NetworkId,
    NetworkRow, OwnerId, ProjectId, Revision, Seq, ServerId, Slot, SubnetHandle, SubnetId,
    SubnetRow, Tick,
};
use addrd::store::fake_disk::Random;
use addrd::store::{BatchRow, Journal, RealDisk, Restore, Round, Settings, Step, Store};
use addrd_protocol::message::{AllocationState, Strategy, SubnetKind};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Records of a row of the journal.
const ROW_RECORDS: u64 = 4_000;

fn put(cell: u64, revision: u64) -> Effect {
    Effect::AllocationPut(AllocationRow {
        place: place(cell),
        revision: Revision(revision),
        changed: Revision(revision),
        owner: OwnerId::from_u128(u128::from(cell) * 0x9e37_79b9_7f4a_7c15),
        slot: Slot(0),
        instance: Instance(0),
        state: AllocationState::Allocated,
        moves_cursor: true,
        extras: None,
    })
}

/// Subnets of 65,536 addresses, eight in a network.
fn place(cell: u64) -> AllocationPlace {
    AllocationPlace {
        network: NetworkHandle((cell >> 19) as u32 + 1),
        subnet: SubnetHandle((cell >> 16 & 7) as u32 + 1),
        offset: u128::from(cell & 0xffff),
        block_bits: 0,
    }
}

fn objects(cells: u64) -> Vec<Effect> {
    let mut effects = Vec::new();
    for first in (0..cells).step_by(1 << 16) {
        let AllocationPlace { network, subnet, .. } = place(first);
        if subnet.0 == 1 {
            effects.push(Effect::NetworkPut(Box::new(NetworkRow {
                network,
                revision: Revision(1),
                project: ProjectId::DEFAULT,
                id: NetworkId::from_u128(u128::from(network.0)),
                deleting: false,
                shared: false,
                name: None,
                description: None,
                scope_v4: None,
                scope_v6: None,
            })));
        }
        effects.push(Effect::SubnetPut(Box::new(SubnetRow {
            network,
            subnet,
            revision: Revision(1),
            id: SubnetId::from_u128(u128::from(first)),
            prefix: format!("10.{}.0.0/16", subnet.0).parse().expect("a prefix"),
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
            service: Default::default(),
            level: 0,
        })));
    }
    effects
}

fn told(what: &str, count: u64, began: Instant) {
    let seconds = began.elapsed().as_secs_f64();
    println!("{what}: {count} in {seconds:.3} s, {:.0} a second", count as f64 / seconds);
}

fn records() {
    let effects: Vec<_> = (0..4_096).map(|cell| put(cell, cell + 9)).collect();
    let mut bytes = Vec::with_capacity(256 << 10);
    let began = Instant::now();
    for _ in 0..1_000 {
        bytes.clear();
        effects.iter().for_each(|effect| encode(effect, &mut bytes));
    }
    told("records encoded", 4_096_000, began);
    let began = Instant::now();
    let mut sum = 0_u128;
    for _ in 0..1_000 {
        let mut rest = bytes.as_slice();
        while let Ok((Effect::AllocationPut(row), length)) = decode(rest) {
            sum = sum.wrapping_add(row.place.offset);
            rest = &rest[length..];
        }
    }
    told("records decoded", 4_096_000, began);
    assert!(sum > 0);
}

struct Appender {
    sealer: BatchSealer,
    buffer: RecordBuffer,
}

impl Appender {
    fn append(&mut self, store: &mut Store) {
        let parts = vec![self.buffer.as_bytes()];
        let header = self.sealer.seal(Tick(1), 1, self.buffer.record_count(), &parts);
        let trim_to = store.checkpointer.folded();
        let rows = [BatchRow { header, parts }];
        store.journal.append(&Round { rows: &rows, trim_to }).expect("a journal");
        self.buffer.clear();
    }
}

fn fold(store: &mut Store, what: &str) {
    let durable = Seq(store.journal.position().next.0 - 1);
    let records = store.journal.position().records;
    let began = Instant::now();
    let mut longest = 0.0_f64;
    assert!(store.checkpointer.begin(u64::MAX, durable));
    loop {
        let step = Instant::now();
        let done = store.checkpointer.step().expect("a fold");
        longest = longest.max(step.elapsed().as_secs_f64());
        if let Step::Finished(_) = done {
            break;
        }
    }
    told(what, records, began);
    println!("  longest step {longest:.3} s, file {} MiB", store.checkpointer.file_bytes() >> 20);
}

/// Fills the state with cells in order, then changes cells at random.
fn journal_and_fold(store: &mut Store, cells: u64) {
    let sealer = store.journal.sealer(store.identity());
    let mut appender = Appender { sealer, buffer: RecordBuffer::default() };
    objects(cells).iter().for_each(|effect| appender.buffer.push(effect));
    appender.append(store);
    let mut revision = 10;
    let mut next = 0;
    while next < cells {
        let began = Instant::now();
        let first = next;
        while next < cells && store.journal.fill().percent() < 90 {
            let end = (next + ROW_RECORDS).min(cells);
            (next..end).for_each(|cell| appender.buffer.push(&put(cell, cell + revision)));
            appender.append(store);
            next = end;
        }
        told("journal, rows of 4,000 records", next - first, began);
        fold(store, "fold in order");
    }
    let mut random = Random::new(1);
    while store.journal.fill().percent() < 60 {
        for _ in 0..ROW_RECORDS {
            revision += 1;
            appender.buffer.push(&put(random.below(cells), cells + revision));
        }
        appender.append(store);
    }
    fold(store, "fold at random");
    let began = Instant::now();
    for cell in 0..2_000 {
        appender.buffer.push(&put(cell, 2 * cells + cell));
        appender.append(store);
    }
    told("journal, one record a commit, with trimming", 2_000, began);
}

#[derive(Default)]
struct Count(u64);

impl Restore for Count {
    fn effect(&mut self, _: &Effect) -> Result<(), String> {
        self.0 += 1;
        Ok(())
    }
    fn revision(&mut self, _: NetworkHandle, _: Revision) {}
    fn cursor(&mut self, _: NetworkHandle, _: SubnetHandle, _: u128) {}
}

fn main() {
    let cells = std::env::var("ADDRD_BENCH_CELLS").ok().and_then(|n| n.parse().ok());
    let cells = cells.unwrap_or(1_000_000);
    let parent = std::env::var_os("ADDRD_BENCH_DIR").unwrap_or(std::env::temp_dir().into());
    let dir = tempfile::tempdir_in(Path::new(&parent)).expect("a folder");
    let path = dir.path().join("data");
    records();
    let disk = Arc::new(RealDisk::make(&path).expect("a folder"));
    let began = Instant::now();
    let settings = Settings::default();
    let mut store = Store::create(disk, &settings, ServerId::from_u128(1)).expect("a store");
    told("creation", 1, began);
    journal_and_fold(&mut store, cells);
    // As after kill -9: nothing is closed.
    std::mem::forget(store);
    let copy = dir.path().join("copy");
    std::fs::create_dir(&copy).expect("a folder");
    for name in ["FORMAT", "journal.ring", "state.redb"] {
        std::fs::copy(path.join(name), copy.join(name)).expect("a copy");
    }
    let began = Instant::now();
    let mut store = Store::open(Arc::new(RealDisk::new(&copy)), &settings).expect("a store");
    told("opening", 1, began);
    let mut count = Count::default();
    let began = Instant::now();
    store.recover(&mut count).expect("a state");
    told("recovery", count.0, began);
}
