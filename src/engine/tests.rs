//! The engine with all its threads on a real directory: what clients are promised.

use super::committer::{Committer, CommitterParts};
use super::figures::{CommitterFigures, Scalar};
use super::*;
use crate::access::Authorized;
use crate::allocator::{At, Catalogue, Shard, ShardSettings, apply_spanning};
use crate::journal::{BatchIdentity, BatchSealer, RecordBuffer};
use crate::model::{
    Family, Incarnation, NetworkId, OwnerId, ProjectId, Revision, Seq, ServerId, SubnetId, Tick,
};
use crate::store::{Journal, JournalFill, JournalPosition, Round, Settings, StoreError};
use addrd_protocol::codec::{ReplyOrFailure, decode_reply};
use addrd_protocol::message::{
    Allocate, AllocateExtras, AllocateFlags, AllocationUpdate, Batch, BatchItem, BatchMode,
    FamilyChoice, Fences, FromPool, PoolCreate, PrefixChoice, ProjectUpdate, QuotaSettings,
    Release, Reply, Request, Strategy, SubnetCreate, SubnetDelete, SubnetKind, Target, Transaction,
    TransactionItem,
};
use addrd_protocol::opcode::Opcode;
use addrd_protocol::{Instance, Setting, Slot, Status, Text};
use addrd_sync::{Bounds, DurableMark, ring};
use bytes::{Buf, Bytes};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

mod feed;
mod full;
mod gate;
mod host_leases;
mod jobs;
mod keeping;
mod leases;
mod pressure;
mod quotas;
mod reconcile;
mod reserve;
mod rests;
mod rig;
mod room;
mod schedule;
pub(crate) mod stage;

/// Longest wait for an answer; reached only by a hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection that keeps whole frames.
#[derive(Default)]
struct Desk {
    frames: Mutex<Vec<Bytes>>,
    came: Condvar,
}

impl Outlet for Desk {
    fn deliver(&self, mut frames: Bytes, _operations: u32, _stages: Stages) {
        let mut kept = self.frames.lock().unwrap();
        while frames.has_remaining() {
            let length = (&frames[..4]).get_u32() as usize;
            kept.push(frames.split_to(length));
        }
        self.came.notify_all();
    }
}

impl Desk {
    fn take(&self, count: usize) -> Vec<(u64, Status, Option<Reply>)> {
        let kept = self.frames.lock().unwrap();
        let (mut kept, timeout) =
            self.came.wait_timeout_while(kept, PATIENCE, |kept| kept.len() < count).unwrap();
        assert!(!timeout.timed_out(), "{} of {count} answers came", kept.len());
        kept.drain(..count)
            .map(|frame| {
                let (header, body) = decode_reply(&frame).unwrap();
                let reply = match body.unwrap() {
                    ReplyOrFailure::Reply(reply) => Some(reply),
                    _ => None,
                };
                (header.request_id, header.status, reply)
            })
            .collect()
    }
}

fn boot_at(path: &Path, workers: u16) -> Booted {
    boot_with(path, workers, Box::new(SystemHands))
}

fn boot_with(path: &Path, workers: u16, hands: Box<dyn Hands>) -> Booted {
    boot(settings(path, workers, hands)).unwrap()
}

fn settings(path: &Path, workers: u16, hands: Box<dyn Hands>) -> Boot {
    let store =
        Settings { journal_records_max: 256 << 10, reserve_bytes: 0, ..Settings::default() };
    Boot {
        history: None,
        audit: None,
        adopts_if_new: false,
        data: path.to_owned(),
        store,
        workers,
        memory_records_max: 1 << 20,
        clock_jump_ms_max: crate::limits::CLOCK_JUMP_MS_MAX,
        restart_grace_ms: crate::limits::RESTART_GRACE_MS,
        usage_levels: crate::allocator::UsageLevels::default(),
        hands,
        on_failure: Arc::new(|text| panic!("{text}")),
        progress: Arc::default(),
    }
}

fn scope(network: u128) -> Scope {
    Scope {
        project: ProjectId::DEFAULT,
        network: NetworkId::from_u128(network),
        pool: false,
        network_project: None,
        restoring: false,
    }
}

fn operation(request_id: u64, network: u128, opcode: Opcode, request: Request) -> Operation {
    Operation { request_id, opcode, scope: scope(network), expires: None, request }
}

fn create_network(id: u64, network: u128) -> Operation {
    let request = Request::NetworkCreate(Box::default());
    operation(id, network, Opcode::NETWORK_CREATE, request)
}

fn create_subnet(id: u64, network: u128, cidr: &str) -> Operation {
    let body = SubnetCreate {
        subnet_id: SubnetId::from_u128(7),
        cidr: cidr.parse().unwrap(),
        kind: SubnetKind::Broadcast,
        strategy: Strategy::Default,
        enable_dhcp: false,
        gateway: Setting::Unset,
        pools: Setting::Unset,
        dns_servers: Vec::new(),
        routes: Vec::new(),
        name: None,
        description: None,
        from_pool: None,
        // What is released is free at once, but where a test says otherwise.
        quarantine_ms: Some(0),
        service: Default::default(),
    };
    operation(id, network, Opcode::SUBNET_CREATE, Request::SubnetCreate(Box::new(body)))
}

fn allocate(id: u64, network: u128, owner: u128) -> Operation {
    let body = Allocate {
        owner: OwnerId::from_u128(owner),
        slot: Slot(0),
        instance: Instance(0),
        family: FamilyChoice::One,
        strategy: Strategy::Default,
        length: None,
        flags: AllocateFlags::default(),
        extras: None,
    };
    operation(id, network, Opcode::ALLOCATE, Request::Allocate(body))
}

fn release(id: u64, network: u128, owner: u128) -> Operation {
    let target = Target::Key { owner: OwnerId::from_u128(owner), slot: Slot(0) };
    let body = Release { target, fences: Fences::default(), any: false };
    operation(id, network, Opcode::RELEASE, Request::Release(body))
}

fn batch(id: u64, network: u128, items: Vec<Operation>) -> Operation {
    let item = |one: Operation| match one.request {
        Request::Allocate(allocate) => BatchItem::Allocate(allocate),
        Request::Release(release) => BatchItem::Release(release),
        other => panic!("{other:?} is no item"),
    };
    let items = items.into_iter().map(item).collect();
    let body = Batch { mode: BatchMode::Independent, items };
    operation(id, network, Opcode::BATCH, Request::Batch(Box::new(body)))
}

fn send(engine: &Engine, desk: &Arc<Desk>, operations: Vec<Operation>) {
    for operation in operations {
        let route = engine.route(&operation.scope, &operation.request);
        let outlet: Arc<dyn Outlet> = Arc::clone(desk) as Arc<dyn Outlet>;
        let pushed_ns = engine.clock().monotonic_ns();
        let parcel = Parcel {
            outlet,
            operations: Authorized::in_test([operation]),
            bytes: 96,
            outstanding: 1,
            principal_outstanding: 0,
            pushed_ns,
        };
        assert!(engine.submit(route, parcel).is_ok());
    }
}

fn call(engine: &Engine, operation: Operation) -> (Status, Option<Reply>) {
    let desk = Arc::new(Desk::default());
    send(engine, &desk, vec![operation]);
    let (_, status, reply) = desk.take(1).remove(0);
    (status, reply)
}

/// A shard with a network of `count` subnets.
pub(super) fn shard_with_subnets(count: u128) -> Shard {
    let settings = ShardSettings { seed: 1, records_max: 1 << 20 };
    let (mut shard, mut catalogue) = (Shard::new(settings), Catalogue::new(settings));
    let mut records = RecordBuffer::with_capacity(0);
    let at = At { tick: Tick(1), position: Seq(0), incarnation: Incarnation(1) };
    let create = Request::NetworkCreate(Box::default());
    let shards = &mut [&mut shard];
    apply_spanning(&mut catalogue, shards, &at, &scope(1), &create, &mut records).unwrap();
    for number in 0..count {
        let mut one = create_subnet(1, 1, &format!("10.0.{number}.0/24"));
        if let Request::SubnetCreate(body) = &mut one.request {
            body.subnet_id = SubnetId::from_u128(number + 1);
        }
        let shards = &mut [&mut shard];
        apply_spanning(&mut catalogue, shards, &at, &one.scope, &one.request, &mut records)
            .unwrap();
    }
    shard
}

#[test]
fn what_was_answered_is_there_after_a_restart_with_any_number_of_workers() {
    let folder = tempfile::tempdir().unwrap();
    let mut addresses = Vec::new();
    {
        let booted = boot_at(folder.path(), 1);
        assert!(booted.is_new);
        let engine = booted.running.engine().clone();
        for network in 1..=8 {
            assert_eq!(call(&engine, create_network(1, network)).0, Status::OK);
            assert_eq!(call(&engine, create_subnet(2, network, "10.0.0.0/24")).0, Status::OK);
            let (status, reply) = call(&engine, allocate(3, network, network));
            assert_eq!(status, Status::OK);
            let Some(Reply::Allocated(reply)) = reply else { panic!("{reply:?}") };
            addresses.push(reply.first);
            assert_eq!(call(&engine, allocate(4, network, 100)).0, Status::OK);
            assert_eq!(call(&engine, release(5, network, 100)).0, Status::OK);
        }
        booted.running.stop();
    }
    for workers in [3, 1] {
        let booted = boot_at(folder.path(), workers);
        assert!(!booted.is_new);
        let engine = booted.running.engine().clone();
        for (network, before) in (1..=8).zip(&addresses) {
            let (status, reply) = call(&engine, allocate(1, network, network));
            assert_eq!(status, Status::OK);
            let Some(Reply::Allocated(reply)) = reply else { panic!("{reply:?}") };
            assert!(reply.first.repeated);
            assert_eq!(reply.first.address, before.address);
            assert_eq!(reply.first.revision, before.revision);
            let released = call(&engine, release(2, network, 100));
            assert_eq!(released.0, Status::NOT_HELD, "what was released stays so");
        }
        let list = Request::NetworkList(Box::default());
        let (_, reply) = call(&engine, operation(1, 0, Opcode::NETWORK_LIST, list));
        let Some(Reply::Networks(page)) = reply else { panic!("{reply:?}") };
        assert_eq!(page.items.len(), 8);
        booted.running.stop();
    }
}

fn of_pool(id: u64, opcode: Opcode, request: Request, prefixes: bool) -> Operation {
    let scope = Scope { pool: prefixes, ..scope(900) };
    Operation { request_id: id, opcode, scope, expires: None, request }
}

fn create_pool(id: u64) -> Operation {
    let body = PoolCreate {
        default_length: Some(24),
        default_quota: Some(65_536),
        is_default: true,
        ..PoolCreate::of(Family::V4, vec!["10.0.0.0/16".parse().unwrap()])
    };
    of_pool(id, Opcode::POOL_CREATE, Request::PoolCreate(Box::new(body)), false)
}

fn carve_subnet(id: u64, network: u128) -> Operation {
    let Operation { request: Request::SubnetCreate(mut body), .. } =
        create_subnet(id, network, "0.0.0.0/0")
    else {
        panic!("a subnet is created")
    };
    let by = PrefixChoice::DefaultLength;
    body.from_pool = Some(Box::new(FromPool { by, ..FromPool::default() }));
    operation(id, network, Opcode::SUBNET_CREATE, Request::SubnetCreate(body))
}

/// The pool, then the subnet of each network, then what an owner has straight from the pool.
fn pool_answers(engine: &Engine) -> Vec<String> {
    let pool = of_pool(1, Opcode::POOL_GET, Request::PoolGet(Box::default()), false);
    let mut operations = vec![pool];
    operations.extend((1..=8).map(|network| carve_subnet(2, network)));
    let Operation { request, .. } = allocate(3, 900, 77);
    operations.push(of_pool(3, Opcode::ALLOCATE, request, true));
    let answer = |operation| match call(engine, operation) {
        (Status::OK, Some(Reply::Pool(pool))) => format!("{} {}", pool.taken, pool.used),
        (Status::OK, Some(Reply::Subnet(subnet))) => format!("{} {}", subnet.cidr, subnet.revision),
        (Status::OK, Some(Reply::Allocated(got))) => {
            format!("{} {}", got.first.address, got.first.revision)
        }
        other => panic!("{other:?}"),
    };
    operations.into_iter().map(answer).collect()
}

#[test]
fn what_was_taken_from_a_pool_is_there_after_a_restart_with_any_number_of_workers() {
    let folder = tempfile::tempdir().unwrap();
    let before = {
        let booted = boot_at(folder.path(), 2);
        let engine = booted.running.engine().clone();
        assert_eq!(call(&engine, create_pool(1)).0, Status::OK);
        for network in 1..=8 {
            assert_eq!(call(&engine, create_network(1, network)).0, Status::OK);
        }
        pool_answers(&engine);
        let answers = pool_answers(&engine);
        assert_eq!(answers[0], "9 2304");
        booted.running.stop();
        answers
    };
    let mut before = before;
    for workers in [3, 1] {
        let booted = boot_at(folder.path(), workers);
        let engine = booted.running.engine().clone();
        assert_eq!(pool_answers(&engine), before, "every answer is the first one again");
        let delete =
            SubnetDelete { subnet_id: SubnetId::from_u128(7), force: false, expected: Revision(0) };
        let delete = operation(1, 8, Opcode::SUBNET_DELETE, Request::SubnetDelete(delete));
        assert_eq!(call(&engine, delete).0, Status::OK);
        let pool = of_pool(1, Opcode::POOL_GET, Request::PoolGet(Box::default()), false);
        let Some(Reply::Pool(pool)) = call(&engine, pool).1 else { panic!("the pool is there") };
        assert_eq!((pool.taken, pool.used), (8, 2_048));
        assert_eq!(call(&engine, carve_subnet(2, 8)).0, Status::OK);
        before = pool_answers(&engine);
        booted.running.stop();
    }
}

#[test]
fn operations_of_one_connection_on_one_network_keep_their_order_through_the_sequencer() {
    let folder = tempfile::tempdir().unwrap();
    let booted = boot_at(folder.path(), 2);
    let engine = booted.running.engine().clone();
    let desk = Arc::new(Desk::default());
    let outlet: Arc<dyn Outlet> = Arc::clone(&desk) as Arc<dyn Outlet>;
    for round in 0..50_u64 {
        let network = 100 + u128::from(round);
        let operations = Authorized::in_test([
            create_network(1, network),
            create_subnet(2, network, "10.1.0.0/24"),
            allocate(3, network, 1),
            release(4, network, 1),
        ]);
        // The rule of `Route::Sequencer`: later operations follow the first one there.
        let parcel = Parcel {
            outlet: Arc::clone(&outlet),
            operations,
            bytes: 400,
            outstanding: 4,
            principal_outstanding: 0,
            pushed_ns: engine.clock().monotonic_ns(),
        };
        assert!(engine.submit(Route::Sequencer, parcel).is_ok());
    }
    let answers = desk.take(200);
    assert!(answers.iter().all(|(_, status, _)| *status == Status::OK), "{answers:?}");
    booted.running.stop();
}

/// Straight to the sequencer, in one parcel: decided in one rendezvous.
fn in_one_rendezvous(
    engine: &Engine,
    desk: &Arc<Desk>,
    operations: Vec<Operation>,
) -> Result<(), Rejected> {
    let outlet: Arc<dyn Outlet> = Arc::clone(desk) as Arc<dyn Outlet>;
    let outstanding = operations.len() as u32;
    let operations = Authorized::in_test(operations);
    let parcel = Parcel {
        outlet,
        operations,
        bytes: 96,
        outstanding,
        principal_outstanding: 0,
        pushed_ns: 0,
    };
    engine.submit(Route::Sequencer, parcel)
}

fn transaction(id: u64, items: Vec<TransactionItem>) -> Operation {
    let request = Request::Transaction(Box::new(Transaction { items }));
    operation(id, 0, Opcode::TRANSACTION, request)
}

fn placed(network: u128, operation: BatchItem) -> TransactionItem {
    TransactionItem {
        network: NetworkId::from_u128(network),
        pool: false,
        network_project: None,
        operation,
    }
}

fn as_item(operation: Operation) -> BatchItem {
    match operation.request {
        Request::Allocate(request) => BatchItem::Allocate(request),
        Request::Release(request) => BatchItem::Release(request),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_rendezvous_freed_anywhere_is_had_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let booted = boot_at(folder.path(), 3);
    let engine = booted.running.engine();
    for network in 1..=6 {
        call(engine, create_network(1, network));
        call(engine, create_subnet(2, network, "10.0.0.0/24"));
    }
    let quotas = QuotaSettings { addresses: Setting::Value(1), ..QuotaSettings::default() };
    let update = ProjectUpdate { quotas, ..ProjectUpdate::default() };
    let update = Request::ProjectUpdate(Box::new(update));
    assert_eq!(call(engine, operation(3, 0, Opcode::PROJECT_UPDATE, update)).0, Status::OK);
    for network in 1..=6 {
        let next = 1 + network % 6;
        assert_eq!(call(engine, allocate(4, network, 7)).0, Status::OK);
        let given = || as_item(release(0, network, 7));
        let desk = Arc::<Desk>::default();
        let operations = vec![
            transaction(5, vec![placed(network, given())]),
            allocate(6, network, 8),
            release(7, network, 8),
            allocate(8, next, 9),
        ];
        in_one_rendezvous(engine, &desk, operations).unwrap();
        let statuses: Vec<Status> = desk.take(4).into_iter().map(|(_, status, _)| status).collect();
        assert_eq!(statuses, [Status::OK; 4], "network {network}");
        assert_eq!(call(engine, release(9, next, 9)).0, Status::OK);
    }
    booted.running.stop();
}

#[test]
fn however_much_one_rendezvous_answers_goes_out_in_pieces() {
    let folder = tempfile::tempdir().unwrap();
    let booted = boot_at(folder.path(), 2);
    let engine = booted.running.engine();
    call(engine, create_network(1, 1));
    call(engine, create_subnet(2, 1, "10.0.0.0/16"));
    let long = Text::new(&"x".repeat(255)).unwrap();
    let items = |first: u128| -> Vec<BatchItem> {
        let labelled = |owner| {
            let BatchItem::Allocate(plain) = as_item(allocate(0, 1, owner)) else { unreachable!() };
            let extras = AllocateExtras {
                label: Some(long.clone()),
                host: Some(long.clone()),
                owner_name: Some(long.clone()),
                ..AllocateExtras::default()
            };
            BatchItem::Allocate(Allocate { extras: Some(Box::new(extras)), ..plain })
        };
        (first..first + 128).map(labelled).collect()
    };
    for first in 0..8 {
        let body = Batch { mode: BatchMode::Independent, items: items(1 + 128 * first) };
        let body = Request::Batch(Box::new(body));
        assert_eq!(call(engine, operation(3, 1, Opcode::BATCH, body)).0, Status::OK);
    }
    // Each changes nothing, and answers with all that is known of 1,024 allocations.
    let update = |owner| {
        BatchItem::Update(Box::new(AllocationUpdate {
            target: Target::Key { owner: OwnerId::from_u128(owner), slot: Slot(0) },
            fences: Fences::default(),
            label: Setting::Value(long.clone()),
            host: Setting::Unset,
            manager_name: Setting::Unset,
            owner_name: Setting::Unset,
            lease_ms: Setting::Unset,
            follow_host: None,
        }))
    };
    let all: Vec<TransactionItem> = (1..=1_024).map(|owner| placed(1, update(owner))).collect();
    let desk = Arc::<Desk>::default();
    let count = 90;
    for id in 0..count {
        in_one_rendezvous(engine, &desk, vec![transaction(10 + id, all.clone())]).unwrap();
    }
    let answers = desk.take(usize::try_from(count).unwrap());
    assert!(answers.iter().all(|(_, status, _)| *status == Status::OK));
    booted.running.stop();
}

#[test]
fn a_request_whose_time_has_passed_is_not_applied() {
    let folder = tempfile::tempdir().unwrap();
    let booted = boot_at(folder.path(), 1);
    let engine = booted.running.engine().clone();
    call(&engine, create_network(1, 1));
    call(&engine, create_subnet(2, 1, "10.0.0.0/29"));
    let mut late = allocate(3, 1, 1);
    late.expires = Some(crate::model::Tick(1));
    assert_eq!(call(&engine, late).0, Status::TIMED_OUT);
    assert_eq!(call(&engine, release(4, 1, 1)).0, Status::NOT_HELD);
    booted.running.stop();
}

#[test]
fn many_connections_never_get_one_address_twice() {
    let folder = tempfile::tempdir().unwrap();
    let booted = boot_at(folder.path(), 2);
    let engine = booted.running.engine().clone();
    call(&engine, create_network(1, 1));
    call(&engine, create_subnet(2, 1, "10.0.0.0/22"));
    let desks: Vec<_> = (0..8).map(|_| Arc::new(Desk::default())).collect();
    std::thread::scope(|threads| {
        for (number, desk) in (0_u128..).zip(&desks) {
            let engine = engine.clone();
            threads.spawn(move || {
                let owners = (0..150).map(|owner| allocate(0, 1, number * 1_000 + owner));
                send(&engine, desk, owners.collect());
            });
        }
    });
    let answers: Vec<_> = desks.iter().flat_map(|desk| desk.take(150)).collect();
    let mut held: Vec<_> = answers
        .iter()
        .filter_map(|(_, _, reply)| match reply {
            Some(Reply::Allocated(reply)) => Some(reply.first.address),
            _ => None,
        })
        .collect();
    // 1,200 were asked for; 1,024 less network, broadcast and gateway are there.
    assert_eq!(held.len(), 1_021);
    held.sort();
    held.dedup();
    assert_eq!(held.len(), 1_021);
    let exhausted = answers.iter().filter(|(_, status, _)| *status == Status::EXHAUSTED).count();
    assert_eq!(exhausted, 1_200 - 1_021);
    booted.running.stop();
}

/// A journal in memory: one record a row.
#[derive(Debug)]
struct Rows {
    records: u64,
    folded: u64,
}

impl Journal for Rows {
    fn append(&mut self, round: &Round<'_>) -> Result<(), StoreError> {
        assert!(round.rows.is_empty(), "nothing was handed over");
        self.folded = round.trim_to.0;
        self.records = self.records.saturating_sub(64);
        Ok(())
    }

    fn position(&self) -> JournalPosition {
        JournalPosition {
            first: Seq(1),
            next: Seq(self.records + 1),
            last_crc: 0,
            tick: Tick(0),
            rows: self.records,
            records: self.records,
        }
    }

    fn fill(&self) -> JournalFill {
        JournalFill { records: self.records, records_max: 256 << 10, bytes: 0, bytes_max: 1 << 30 }
    }

    fn room_bytes(&self, _: Seq) -> u64 {
        u64::MAX
    }
}

/// Symptom: under load for a few seconds, then every change was `BUSY`, for ever. Cause: only
/// commits trim the journal, and with every change refused there was nothing to commit.
#[test]
fn a_full_journal_is_trimmed_even_if_nothing_is_handed_over() {
    let journal = Rows { records: 256 << 10, folded: 0 };
    let pressure = Arc::new(Pressure::new(&journal.fill()));
    assert_eq!(pressure.refuse(), Refuse::Mutations);
    let folded = Arc::new(DurableMark::new(0));
    let bounds = Bounds { slots: 8, operations_max: 8, operations_reserved: 0, bytes_max: 8 };
    let (_out, intake) = ring::<HandOver>(bounds);
    let identity = BatchIdentity { server: ServerId::NIL, incarnation: Incarnation(1), term: 0 };
    let mut committer = Committer::new(CommitterParts {
        feed: crate::engine::Feed::idle(),
        intake,
        journal: Box::new(journal),
        sealer: BatchSealer::new(identity, Seq(1), 0),
        marks: Vec::new(),
        position: Arc::new(DurableMark::new(0)),
        folded: Arc::clone(&folded),
        pressure: Arc::clone(&pressure),
        clock: Arc::new(FakeClock::new(Tick(1))),
        bells: Vec::new(),
        figures: CommitterFigures::new().0,
    });
    assert_eq!(committer.step().unwrap(), Progress::Idle, "nothing is folded yet");
    folded.raise(1 << 20);
    assert!(committer.has_work());
    let mut steps = 0;
    while committer.step().unwrap() == Progress::Worked {
        steps += 1;
        assert!(steps < 10_000, "it never ends");
    }
    assert_eq!(pressure.refuse(), Refuse::Nothing);
}
