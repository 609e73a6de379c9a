//! How jobs share a worker and the journal with those who wait for answers.

use super::*;
use crate::access::Authorized;
use crate::allocator::{At, Catalogue, Shard, ShardSettings, apply_spanning};
use crate::engine::crew::Crew;
use crate::engine::worker::{Shared, Work, Worker};
use crate::limits;
use addrd_protocol::message::{Batch, BatchItem, BatchMode, NetworkDelete, SubnetDelete};
use addrd_sync::{Class, Consumer, Cost, doorbell};

const RECORDS_MAX: u64 = 4 << 20;

/// One worker under a thumb: its state has a network whose deletion is a job of 4,096 allocations.
struct Bench {
    worker: Worker,
    door: super::super::handle::Door,
    hand_overs: Consumer<HandOver>,
    pressure: Arc<Pressure>,
}

fn at() -> At {
    At { tick: Tick(1_000), position: Seq(0), incarnation: Incarnation(1) }
}

/// A shard with a network that is being deleted by a job, and one that isn't.
fn shard_with_job(allocations: u128) -> (Shard, Box<Catalogue>) {
    let settings = ShardSettings { seed: 1, records_max: 1 << 20 };
    let (mut shard, mut catalogue) = (Shard::new(settings), Box::new(Catalogue::new(settings)));
    let mut records = RecordBuffer::with_capacity(0);
    let mut spanning = |shard: &mut Shard, network, request| {
        let place = scope(network);
        let catalogue = &mut catalogue;
        apply_spanning(catalogue, &mut [shard], &at(), &place, &request, &mut records).unwrap();
    };
    let mut local = RecordBuffer::with_capacity(0);
    let mut apply = |shard: &mut Shard, one: Operation| {
        shard.apply(&at(), &one.scope, &one.request, &mut local).unwrap();
    };
    for network in [1, 2] {
        spanning(&mut shard, network, Request::NetworkCreate(Box::default()));
        let subnet = create_subnet(1, network, "10.0.0.0/16");
        spanning(&mut shard, network, subnet.request);
    }
    (0..allocations).for_each(|owner| apply(&mut shard, allocate(1, 1, owner)));
    let delete = NetworkDelete { force: true, ..NetworkDelete::default() };
    spanning(&mut shard, 1, Request::NetworkDelete(delete));
    (shard, catalogue)
}

fn fill(records: u64) -> JournalFill {
    JournalFill { records, records_max: RECORDS_MAX, bytes: 0, bytes_max: 1 << 40 }
}

fn bench() -> Bench {
    let pressure = Arc::new(Pressure::new(&fill(0)));
    let (committer_bell, _committer) = doorbell();
    let shared = Shared {
        clock: Arc::new(FakeClock::new(Tick(1_000))),
        pressure: Arc::clone(&pressure),
        position: Arc::new(DurableMark::new(0)),
        incarnation: Incarnation(1),
        committer_bell,
        adoption: Arc::default(),
        access: Arc::default(),
        audit: Arc::default(),
    };
    let (shard, catalogue) = shard_with_job(4_096);
    let mut crew = Crew::hire(&shared, vec![shard], catalogue);
    let (worker, _) = crew.workers.remove(0);
    Bench { worker, door: crew.doors.remove(0), hand_overs: crew.hand_overs, pressure }
}

impl Bench {
    fn send(&self, operation: Operation) {
        let outlet: Arc<dyn Outlet> = Arc::new(Desk::default());
        let parcel = Parcel {
            outlet,
            operations: Authorized::in_test([operation]),
            bytes: 96,
            outstanding: 1,
            principal_outstanding: 0,
            pushed_ns: 0,
        };
        let work = Work::Parcel(parcel);
        assert!(self.door.ring.try_push(work, Cost::new(1, 96), Class::Ordinary).is_ok());
    }

    /// One step; gives the records that were handed over.
    fn step(&mut self) -> (Progress, u32) {
        let progress = self.worker.step();
        let mut taken = Vec::new();
        self.hand_overs.pop_many(Cost::new(u32::MAX, u32::MAX), &mut taken);
        (progress, taken.iter().map(|(one, _)| one.records.record_count()).sum())
    }
}

const SLICE_RECORDS: u32 = limits::JOB_SLICE_OBJECTS as u32 + 1;

#[test]
fn an_idle_worker_works_slices_back_to_back_and_between_drains_one() {
    let mut bench = bench();
    assert_eq!(bench.step(), (Progress::Worked, SLICE_RECORDS));
    assert_eq!(bench.step(), (Progress::Worked, SLICE_RECORDS));
    assert!(bench.worker.has_work(), "it doesn't sleep while a job has something to do");
    bench.send(allocate(1, 2, 7));
    assert_eq!(bench.step(), (Progress::Worked, SLICE_RECORDS + 1));
}

/// Symptom: a forced deletion stood still for up to a second each time that the journal was full.
/// Cause: the worker had a job and slept until a request or the longest sleep.
#[test]
fn a_job_waits_for_room_in_the_journal_and_goes_on_as_soon_as_there_is_some() {
    let mut bench = bench();
    bench.pressure.note_journal(&fill(RECORDS_MAX));
    for _ in 0..100 {
        assert_eq!(bench.step(), (Progress::Idle, 0));
        assert!(!bench.worker.has_work(), "it sleeps until a bell rings");
    }
    bench.pressure.note_journal(&fill(0));
    assert!(bench.worker.has_work());
    assert_eq!(bench.step(), (Progress::Worked, SLICE_RECORDS));
}

#[test]
fn the_last_of_the_journal_is_for_those_who_wait_for_answers() {
    let mut bench = bench();
    bench.pressure.note_journal(&fill(RECORDS_MAX / 100 * 96));
    assert!(bench.pressure.is_crowded() && bench.pressure.refuse() == Refuse::Nothing);
    let mut sums = (0, 0);
    for round in 0..170 {
        bench.send(allocate(1, 2, round));
        let (progress, records) = bench.step();
        assert_eq!(progress, Progress::Worked);
        assert!(records == 1 || records == 1 + SLICE_RECORDS, "{records}");
        sums = (sums.0 + 1, sums.1 + records - 1);
    }
    assert_eq!(sums, (170, 10 * SLICE_RECORDS), "slow, but not for ever");
}

#[test]
fn a_nearly_full_disk_refuses_what_grows_and_serves_the_way_out() {
    let subnet_delete = SubnetDelete {
        subnet_id: SubnetId::from_u128(7),
        force: true,
        expected: addrd_protocol::Revision(0),
    };
    let Request::Release(freeing) = release(1, 1, 1).request else { unreachable!("made so") };
    let Request::Allocate(growing) = allocate(1, 1, 1).request else { unreachable!("made so") };
    let batch = |items: Vec<BatchItem>| {
        Request::Batch(Batch { mode: BatchMode::Independent, items }.into())
    };
    let served = [
        Request::Release(freeing.clone()),
        Request::SubnetDelete(subnet_delete),
        Request::NetworkDelete(NetworkDelete::default()),
        batch(vec![BatchItem::Release(freeing.clone())]),
        Request::ServerStatus,
    ];
    let refused = [
        Request::Allocate(growing.clone()),
        Request::NetworkCreate(Box::default()),
        batch(vec![BatchItem::Release(freeing), BatchItem::Allocate(growing)]),
    ];
    let admit = |request: Request| {
        let one = operation(1, 1, request.opcode(), request);
        super::super::answer::admit(&at(), Refuse::Growth, &one).map_err(|failure| failure.status)
    };
    for request in served {
        assert_eq!(admit(request.clone()), Ok(()), "{request:?}");
    }
    for request in refused {
        assert_eq!(admit(request.clone()), Err(Status::STORAGE_FULL), "{request:?}");
    }
}
