//! Refusals by a quota: when they leave their worker, and what they wait for. A worker is stepped by
//! hand; the other one is played by the test, which stands inside of a drain as long as it likes.

use super::*;
use crate::access::Authorized;
use crate::allocator::SharedQuotas;
use crate::engine::figures::WorkerFigures;
use crate::engine::worker::{Shared, Work, Worker, WorkerParts};
use crate::limits::{self, LATE_DRAINS_MAX};
use addrd_protocol::message::{ProjectUpdate, QuotaSettings};
use addrd_sync::{Class, Consumer, Cost, DrainCounter, Producer, QuotaCell, doorbell, drains};

const BOUNDS: Bounds = Bounds {
    slots: 64,
    operations_max: limits::COMMIT_RING_RECORDS_MAX,
    operations_reserved: 0,
    bytes_max: limits::COMMIT_RING_BYTES_MAX,
};

/// A worker with network 1, and all that it meets.
struct Bench {
    worker: Worker,
    ring: Producer<Work>,
    hand_overs: Consumer<HandOver>,
    out: Producer<HandOver>,
    /// The other worker's.
    other: DrainCounter,
    quotas: Arc<SharedQuotas>,
    own_mark: Arc<DurableMark>,
    handed: u64,
}

impl Bench {
    /// The project may have so many addresses.
    fn new(addresses: u64) -> Self {
        let fill = JournalFill { records: 0, records_max: 4 << 20, bytes: 0, bytes_max: 1 << 40 };
        let shared = Shared {
            clock: Arc::new(FakeClock::new(Tick(1_000))),
            pressure: Arc::new(Pressure::new(&fill)),
            position: Arc::new(DurableMark::new(0)),
            incarnation: Incarnation(1),
            committer_bell: doorbell().0,
            adoption: Arc::default(),
            access: Arc::default(),
            audit: Arc::default(),
        };
        let mut shard = shard_with_subnets(1);
        let limits = [addresses, QuotaCell::UNLIMITED, QuotaCell::UNLIMITED];
        let quotas = Arc::new(SharedQuotas::new(limits, [0; 3]));
        shard.share_quotas(ProjectId::DEFAULT, Some(Arc::clone(&quotas)));
        let (mut counters, watch) = drains(2);
        let (other, drain) = (counters.remove(1), counters.remove(0));
        let ((ring, intake), (out, hand_overs)) =
            (addrd_sync::ring(BOUNDS), addrd_sync::ring(BOUNDS));
        let own_mark = Arc::new(DurableMark::new(0));
        let worker = Worker::new(WorkerParts {
            source: 0,
            shard: Box::new(shard),
            intake,
            out: out.clone(),
            own_mark: Arc::clone(&own_mark),
            sequencer_mark: Arc::new(DurableMark::new(0)),
            sequencer: addrd_sync::ring(BOUNDS).0,
            sequencer_bell: doorbell().0,
            drain,
            watch,
            shared,
            figures: WorkerFigures::new().0,
        });
        let mut bench = Self { worker, ring, hand_overs, out, other, quotas, own_mark, handed: 0 };
        while bench.worker.step() != Progress::Idle {}
        bench
    }

    fn send(&self, desk: &Arc<Desk>, operations: Vec<Operation>) {
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
        let cost = Cost::new(outstanding, 96);
        assert!(self.ring.try_push(Work::Parcel(parcel), cost, Class::Ordinary).is_ok());
    }

    /// The other worker hands something over.
    fn other_hands_over(&self) {
        let hand_over = HandOver {
            source: 1,
            number: 1,
            tick: Tick(1_000),
            records: RecordBuffer::default(),
            deliveries: Vec::new(),
            operations: 0,
            began_ns: 0,
            pushed_ns: 0,
            marks_time: false,
        };
        assert!(self.out.try_push(hand_over, Cost::new(1, 1), Class::Ordinary).is_ok());
    }

    /// Everything that was handed over becomes durable; gives the sources in order.
    fn commit(&mut self) -> Vec<usize> {
        let mut sources = Vec::new();
        while let Some((hand_over, _)) = self.hand_overs.pop() {
            sources.push(hand_over.source);
            if hand_over.source == 0 {
                self.handed += 1;
                assert_eq!(hand_over.number, self.handed);
                self.own_mark.raise(hand_over.number);
            }
            hand_over.release(0, 0);
        }
        sources
    }
}

/// Answers that came, by request.
fn came(desk: &Desk) -> Vec<(u64, Status)> {
    let count = desk.frames.lock().unwrap().len();
    desk.take(count).into_iter().map(|(id, status, _)| (id, status)).collect()
}

#[test]
fn a_refusal_follows_what_it_reveals() {
    let mut bench = Bench::new(1);
    let desk = Arc::new(Desk::default());
    // The other worker takes the last address, and has not handed it over.
    bench.other.enter();
    bench.quotas.take([1, 0, 0], [0; 3]).unwrap();
    bench.send(&desk, vec![allocate(1, 1, 5), release(2, 1, 5)]);
    while bench.worker.step() != Progress::Idle {}
    // What rests on nothing of the other's doesn't wait for it.
    assert!(bench.commit().is_empty());
    assert_eq!(came(&desk), [(2, Status::NOT_HELD)]);
    assert!(bench.worker.waits_for_others() && !bench.worker.has_work());

    bench.other_hands_over();
    while bench.worker.step() != Progress::Idle {}
    assert!(bench.worker.waits_for_others(), "the other is still inside");
    bench.other.leave();
    assert!(bench.worker.has_work());
    while bench.worker.step() != Progress::Idle {}
    assert!(!bench.worker.waits_for_others());
    assert!(came(&desk).is_empty(), "nothing is durable yet");
    assert_eq!(bench.commit(), [1, 0], "the other's hand-over comes first");
    assert_eq!(came(&desk), [(1, Status::QUOTA)]);
}

#[test]
fn a_refusal_waits_for_the_commit_of_what_it_reveals_also_when_nobody_is_inside() {
    let mut bench = Bench::new(1);
    let desk = Arc::new(Desk::default());
    bench.other.enter();
    bench.quotas.take([1, 0, 0], [0; 3]).unwrap();
    bench.other_hands_over();
    bench.other.leave();
    // This worker itself has nothing that isn't durable.
    bench.send(&desk, vec![allocate(1, 1, 5)]);
    while bench.worker.step() != Progress::Idle {}
    assert!(came(&desk).is_empty());
    assert_eq!(bench.commit(), [1, 0]);
    assert_eq!(came(&desk), [(1, Status::QUOTA)]);
}

#[test]
fn the_records_of_a_drain_that_refuses_do_not_wait() {
    let mut bench = Bench::new(2);
    let desk = Arc::new(Desk::default());
    bench.other.enter();
    bench.quotas.take([1, 0, 0], [0; 3]).unwrap();
    // A batch whose second item is refused tells of the other's take too: it waits, its record not.
    let items = vec![allocate(0, 1, 5), allocate(0, 1, 6)];
    bench.send(&desk, vec![batch(1, 1, items), allocate(2, 1, 5)]);
    while bench.worker.step() != Progress::Idle {}
    assert_eq!(bench.commit(), [0]);
    assert_eq!(came(&desk), [(2, Status::OK)]);
    bench.other.leave();
    while bench.worker.step() != Progress::Idle {}
    assert_eq!(bench.commit(), [0]);
    assert_eq!(came(&desk), [(1, Status::OK)]);
}

#[test]
fn drains_that_refuse_wait_in_order_and_not_too_many() {
    let mut bench = Bench::new(0);
    let desk = Arc::new(Desk::default());
    bench.other.enter();
    let mut decided = 0;
    for id in 0..2 * LATE_DRAINS_MAX as u64 {
        bench.send(&desk, vec![allocate(id, 1, 5)]);
        decided += u64::from(bench.worker.step() == Progress::Worked);
    }
    assert_eq!(decided, LATE_DRAINS_MAX as u64, "the others stay in the ring");
    assert!(!bench.worker.has_work());
    bench.worker.close();
    assert_ne!(bench.worker.step(), Progress::Finished);
    bench.other.leave();
    while bench.worker.step() != Progress::Finished {}
    bench.commit();
    let expected: Vec<_> = (0..2 * LATE_DRAINS_MAX as u64).map(|id| (id, Status::QUOTA)).collect();
    assert_eq!(came(&desk), expected);
}

/// The whole engine on threads: a quota over several workers is never passed, and after a restart
/// counts what is there.
#[test]
fn workers_share_a_quota_and_a_restart_counts_afresh() {
    let folder = tempfile::tempdir().unwrap();
    let networks = 1..=8_u128;
    {
        let booted = boot_at(folder.path(), 4);
        let engine = booted.running.engine().clone();
        for network in networks.clone() {
            assert_eq!(call(&engine, create_network(1, network)).0, Status::OK);
            assert_eq!(call(&engine, create_subnet(2, network, "10.0.0.0/24")).0, Status::OK);
        }
        let quotas = QuotaSettings { addresses: Setting::Value(10), ..QuotaSettings::default() };
        let update = ProjectUpdate { quotas, ..ProjectUpdate::default() };
        let update = Request::ProjectUpdate(Box::new(update));
        assert_eq!(call(&engine, operation(1, 0, Opcode::PROJECT_UPDATE, update)).0, Status::OK);
        for _ in 0..20 {
            let desk = Arc::new(Desk::default());
            let all =
                networks.clone().flat_map(|network| (1..=4).map(move |owner| (network, owner)));
            let all: Vec<_> = all.collect();
            let asked = all.iter().map(|(network, owner)| allocate(1, *network, *owner)).collect();
            send(&engine, &desk, asked);
            let answers = desk.take(all.len());
            let won = answers.iter().filter(|(_, status, _)| *status == Status::OK).count();
            let lost = answers.iter().filter(|(_, status, _)| *status == Status::QUOTA).count();
            assert_eq!((won, lost), (10, all.len() - 10));
            let freed = all.iter().map(|(network, owner)| release(2, *network, *owner)).collect();
            send(&engine, &desk, freed);
            let freed = desk.take(all.len());
            assert_eq!(freed.iter().filter(|(_, status, _)| *status == Status::OK).count(), 10);
        }
        for owner in 1..=3 {
            assert_eq!(call(&engine, allocate(1, 1, owner)).0, Status::OK);
        }
        booted.running.stop();
    }
    let booted = boot_at(folder.path(), 2);
    let engine = booted.running.engine().clone();
    let taken = (1..=20).filter(|owner| {
        let (status, _) = call(&engine, allocate(1, 2, *owner));
        assert!(matches!(status, Status::OK | Status::QUOTA), "{status}");
        status == Status::OK
    });
    assert_eq!(taken.count(), 7, "three of the ten are held");
    booted.running.stop();
}
