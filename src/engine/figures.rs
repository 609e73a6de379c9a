//! What the deciding threads count about themselves: plain arrays with one writer each, read by
//! whoever folds them into the metrics. Knows no metric names beyond operations and statuses.

use super::clock::Clock;
use super::levels::LevelBoard;
use super::survey::{Board, Surveyor};
use crate::allocator::{FillReport, LevelCounts, Shard, ShardCounters};
use crate::limits;
use crate::model::{Status, Tick};
use addrd_protocol::opcode::Opcode;
use addrd_sync::{
    HistogramSnapshot, Sizes, SizesReader, SizesSnapshot, StageHistogram, StageHistogramReader,
    Tally, TallyReader, histogram, sizes, tally,
};

/// Places for operations in a tally: the known ones and one for the others.
pub const OPCODES: usize = Opcode::ALL.len() + 1;
/// Places for statuses in a tally: the known ones and one for the others.
pub const STATUSES: usize = Status::ALL.len() + 1;

/// Scalars of one thread, by place in its tally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Scalar {
    /// Networks of the worker.
    Networks = 0,
    /// Live allocations of the worker.
    Allocations = 1,
    /// Records in the worker's memory.
    Records = 2,
    /// Records committed.
    RecordsCommitted = 3,
    /// Longest time away from its ring since start, ns.
    AwayNsMax = 4,
    /// When its loop turned last, monotonic ns.
    TurnedNs = 5,
    /// Subnets of the worker.
    Subnets = 6,
    /// Memory of the worker's state, bytes.
    MemoryBytes = 7,
    /// Jobs that are not finished.
    JobsRunning = 8,
    /// Allocations of the worker that have a lease.
    Leases = 9,
    /// Leases that the worker ended.
    LeasesEnded = 10,
    /// Addresses and blocks of the worker that rest.
    Resting = 11,
    /// Open holds of the worker.
    Holds = 12,
    /// Hosts that the worker knows.
    Hosts = 13,
    /// Suspects that the worker released.
    SuspectsReleased = 14,
    /// Hosts that have a lease.
    HostLeases = 15,
    /// Hosts whose lease is over.
    HostLeasesOverdue = 16,
}

const SCALARS: usize = 17;

/// The writing end of a deciding thread.
#[derive(Debug)]
pub struct WorkerFigures {
    operations: Tally<OPCODES>,
    statuses: Tally<STATUSES>,
    scalars: Tally<SCALARS>,
    ring: StageHistogram,
    apply: StageHistogram,
    drains: Sizes,
    surveyor: Surveyor,
    levels: LevelBoard,
    away_ns_max: u64,
}

/// The reading end.
#[derive(Clone, Debug)]
pub struct WorkerFiguresReader {
    operations: TallyReader<OPCODES>,
    statuses: TallyReader<STATUSES>,
    scalars: TallyReader<SCALARS>,
    ring: StageHistogramReader,
    apply: StageHistogramReader,
    drains: SizesReader,
    fill: Board,
    levels: LevelBoard,
}

/// What a deciding thread counted, at one moment.
#[derive(Clone, Debug)]
pub struct WorkerSnapshot {
    /// Answers by place in [`Opcode::ALL`], others last.
    pub operations: [u64; OPCODES],
    /// Answers by place in [`Status::ALL`], others last.
    pub statuses: [u64; STATUSES],
    /// By [`Scalar`].
    pub scalars: [u64; SCALARS],
    /// Time in the ring, ns, an operation.
    pub ring: HistogramSnapshot,
    /// Time from the begin of a drain to its end, ns, an operation.
    pub apply: HistogramSnapshot,
    /// Operations of drains, or of rendezvous.
    pub drains: SizesSnapshot,
    /// How full its subnets are.
    pub fill: FillReport,
    /// Levels of use of its subnets, or of the pools.
    pub levels: LevelCounts,
}

impl WorkerFigures {
    /// Both ends, all zero.
    #[must_use]
    pub fn new() -> (Self, WorkerFiguresReader) {
        let (operations, operations_reader) = tally();
        let (statuses, statuses_reader) = tally();
        let (scalars, scalars_reader) = tally();
        let (ring, ring_reader) = histogram();
        let (apply, apply_reader) = histogram();
        let (drains, drains_reader) = sizes();
        let (surveyor, fill) = Surveyor::new();
        let reader = WorkerFiguresReader {
            operations: operations_reader,
            statuses: statuses_reader,
            scalars: scalars_reader,
            ring: ring_reader,
            apply: apply_reader,
            drains: drains_reader,
            fill,
            levels: LevelBoard::default(),
        };
        let (levels, away_ns_max) = (reader.levels.clone(), 0);
        let writer = Self {
            operations,
            statuses,
            scalars,
            ring,
            apply,
            drains,
            surveyor,
            levels,
            away_ns_max,
        };
        (writer, reader)
    }

    /// One answer was decided.
    pub fn answered(&mut self, opcode: Opcode, status: Status) {
        self.operations.add(place_of_opcode(opcode), 1);
        self.statuses.add(place_of_status(status), 1);
    }

    /// A parcel of `operations` waited for this long.
    pub fn waited(&mut self, ns: u64, operations: usize) {
        self.ring.record_many(ns, operations as u64);
    }

    /// A drain that began at `began_ns` is decided.
    pub fn drained(&mut self, shard: &Shard, operations: u32, began_ns: u64, clock: &dyn Clock) {
        let now_ns = self.round(operations, began_ns, clock);
        self.holds(shard);
        self.surveyor.step(shard, limits::SURVEY_DRAIN_SUBNETS, now_ns);
    }

    /// Samples the use of some subnets, if it is time. True: there are more to sample.
    pub fn samples(&mut self, shard: &mut Shard, now: Tick, examine: u32) -> bool {
        let before = shard.sampled_at();
        let has_more = shard.sample_use(now, examine);
        if shard.sampled_at() != before {
            // Times to exhaustion are other ones, also of subnets that did not change.
            self.surveyor.changed();
        }
        has_more
    }

    /// The worker has nothing to do. True: it has, since how full its subnets are isn't known yet.
    pub fn rests(&mut self, shard: &Shard, clock: &dyn Clock) -> bool {
        self.surveyor.step(shard, limits::SURVEY_IDLE_SUBNETS, clock.monotonic_ns())
    }

    /// The worker holds so much now.
    pub fn holds(&mut self, shard: &Shard) {
        self.surveyor.changed();
        let ShardCounters { networks, subnets, allocations, memory_bytes, jobs_running, .. } =
            shard.counters();
        self.scalars.set(Scalar::JobsRunning as usize, jobs_running);
        self.scalars.set(Scalar::Leases as usize, shard.leases());
        self.scalars.set(Scalar::Resting as usize, shard.resting());
        self.scalars.set(Scalar::Holds as usize, shard.holds());
        self.scalars.set(Scalar::Hosts as usize, shard.hosts());
        let (leased, overdue) = shard.host_leases();
        self.scalars.set(Scalar::HostLeases as usize, leased);
        self.scalars.set(Scalar::HostLeasesOverdue as usize, overdue);
        self.scalars.set(Scalar::Networks as usize, networks);
        self.scalars.set(Scalar::Subnets as usize, subnets);
        self.scalars.set(Scalar::Allocations as usize, allocations);
        self.scalars.set(Scalar::Records as usize, shard.records());
        self.scalars.set(Scalar::MemoryBytes as usize, memory_bytes);
    }

    /// So many prefixes of pools have a lease now.
    pub fn leases(&mut self, count: u64) {
        self.scalars.set(Scalar::Leases as usize, count);
    }

    /// So many leases were ended.
    pub fn expired(&mut self, count: u32) {
        self.scalars.add(Scalar::LeasesEnded as usize, count.into());
    }

    /// So many suspects were released.
    pub fn reconciled(&mut self, count: u32) {
        self.scalars.add(Scalar::SuspectsReleased as usize, count.into());
    }

    /// So many subnets or pools are at each level of use now, and so many crossed them.
    pub fn levels(&mut self, counts: LevelCounts) {
        self.levels.hang(counts);
    }

    /// A rendezvous that began at `began_ns` is decided.
    pub fn rendezvous(&mut self, operations: u32, began_ns: u64, clock: &dyn Clock) {
        self.round(operations, began_ns, clock);
    }

    /// The loop has turned.
    pub fn turned(&mut self, now_ns: u64) {
        self.scalars.set(Scalar::TurnedNs as usize, now_ns);
    }

    /// Gives the time at which it ended.
    fn round(&mut self, operations: u32, began_ns: u64, clock: &dyn Clock) -> u64 {
        let now_ns = clock.monotonic_ns();
        let took = now_ns.saturating_sub(began_ns);
        self.away_ns_max = self.away_ns_max.max(took);
        self.scalars.set(Scalar::AwayNsMax as usize, self.away_ns_max);
        self.scalars.set(Scalar::TurnedNs as usize, now_ns);
        if operations > 0 {
            self.drains.record(operations.into());
            self.apply.record_many(took, operations.into());
        }
        now_ns
    }
}

impl WorkerFiguresReader {
    /// What is counted now.
    #[must_use]
    pub fn snapshot(&self) -> WorkerSnapshot {
        WorkerSnapshot {
            operations: self.operations.snapshot(),
            statuses: self.statuses.snapshot(),
            scalars: self.scalars.snapshot(),
            ring: self.ring.snapshot(),
            apply: self.apply.snapshot(),
            drains: self.drains.snapshot(),
            fill: self.fill.report(),
            levels: self.levels.counts(),
        }
    }

    /// One scalar now.
    #[must_use]
    pub fn scalar(&self, scalar: Scalar) -> u64 {
        self.scalars.snapshot()[scalar as usize]
    }
}

/// The writing end of the committer.
#[derive(Debug)]
pub struct CommitterFigures {
    scalars: Tally<SCALARS>,
    wait: StageHistogram,
    commit: StageHistogram,
    operations: Sizes,
    bytes: Sizes,
}

/// The reading end.
#[derive(Clone, Debug)]
pub struct CommitterFiguresReader {
    scalars: TallyReader<SCALARS>,
    wait: StageHistogramReader,
    commit: StageHistogramReader,
    operations: SizesReader,
    bytes: SizesReader,
}

/// What the committer counted, at one moment.
#[derive(Clone, Debug)]
pub struct CommitterSnapshot {
    /// By [`Scalar`].
    pub scalars: [u64; SCALARS],
    /// Time of hand-overs in the committer's ring, ns, an operation.
    pub wait: HistogramSnapshot,
    /// Time of commits, ns, a commit.
    pub commit: HistogramSnapshot,
    /// Operations of commits.
    pub operations: SizesSnapshot,
    /// Bytes of the records of commits.
    pub bytes: SizesSnapshot,
}

impl CommitterFigures {
    /// Both ends, all zero.
    #[must_use]
    pub fn new() -> (Self, CommitterFiguresReader) {
        let (scalars, scalars_reader) = tally();
        let (wait, wait_reader) = histogram();
        let (commit, commit_reader) = histogram();
        let (operations, operations_reader) = sizes();
        let (bytes, bytes_reader) = sizes();
        let reader = CommitterFiguresReader {
            scalars: scalars_reader,
            wait: wait_reader,
            commit: commit_reader,
            operations: operations_reader,
            bytes: bytes_reader,
        };
        (Self { scalars, wait, commit, operations, bytes }, reader)
    }

    /// A hand-over of `operations` waited for this long.
    pub fn waited(&mut self, ns: u64, operations: u32) {
        self.wait.record_many(ns, u64::from(operations));
    }

    /// A round of this many operations, records and bytes is durable after this long.
    pub fn committed(&mut self, operations: u64, records: u64, bytes: u64, ns: u64) {
        self.scalars.add(Scalar::RecordsCommitted as usize, records);
        self.operations.record(operations);
        self.bytes.record(bytes);
        self.commit.record(ns);
    }

    /// The loop has turned.
    pub fn turned(&mut self, now_ns: u64) {
        self.scalars.set(Scalar::TurnedNs as usize, now_ns);
    }
}

impl CommitterFiguresReader {
    /// One scalar now.
    #[must_use]
    pub fn scalar(&self, scalar: Scalar) -> u64 {
        self.scalars.snapshot()[scalar as usize]
    }

    /// What is counted now.
    #[must_use]
    pub fn snapshot(&self) -> CommitterSnapshot {
        CommitterSnapshot {
            scalars: self.scalars.snapshot(),
            wait: self.wait.snapshot(),
            commit: self.commit.snapshot(),
            operations: self.operations.snapshot(),
            bytes: self.bytes.snapshot(),
        }
    }
}

/// Place of an operation in [`Opcode::ALL`]; the last place is for unknown ones.
fn place_of_opcode(opcode: Opcode) -> usize {
    Opcode::ALL.binary_search(&opcode).unwrap_or(OPCODES - 1)
}

/// Place of a status in [`Status::ALL`]; the last place is for unknown ones.
fn place_of_status(status: Status) -> usize {
    if status == Status::OK {
        0
    } else {
        Status::ALL.binary_search(&status).unwrap_or(STATUSES - 1)
    }
}
