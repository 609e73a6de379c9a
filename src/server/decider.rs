//! What the server needs of the engine, as a trait, so that connections also run on a fake clock
//! against a decider of a test. Decides nothing.

use crate::engine::figures::Scalar;
use crate::engine::{
    AccessDesk, AuditDesk, Clock, Engine, Fair, Feed, FillReport, HistoryFigures, LevelCounts,
    Parcel, Rejected, Route, Scope,
};
pub use crate::engine::{Identity, Readiness};
use crate::model::{Seq, Status, Tick};
use crate::telemetry::reactors::{OPCODES, STATUSES};
use addrd_protocol::Opcode;
use addrd_protocol::message::{BackupBlock, BackupRead, Failure, Request};
use addrd_sync::{Depth, HistogramSnapshot, Level, SizesSnapshot};
use std::sync::Arc;

/// The way into the deciding threads.
///
/// Concurrency: every method is called from many connections at once and never waits.
pub trait Decider: Clone + Send + Sync + 'static {
    /// Which thread decides a request.
    fn route(&self, scope: &Scope, request: &Request) -> Route;

    /// Pushes a parcel.
    ///
    /// # Errors
    /// [`Rejected`] with what found no room; what stood before it is on its way.
    fn submit(&self, to: Route, parcel: Parcel) -> Result<(), Rejected>;

    /// The server's time.
    fn clock(&self) -> &Arc<dyn Clock>;

    /// Identity of the data, told in HELLO.
    fn identity(&self) -> Identity;

    /// Durable position.
    fn position(&self) -> Seq;

    /// Whether requests are served.
    fn readiness(&self) -> Readiness;

    /// Who may do what.
    fn access(&self) -> &Arc<AccessDesk>;

    /// Where attempts are told that nobody decides on.
    fn audit(&self) -> &AuditDesk;

    /// When adoption mode began, if it is on.
    fn adoption(&self) -> Option<Tick>;

    /// Gives a block of a backup.
    ///
    /// # Errors
    /// Why not.
    fn backup_read(&self, request: &BackupRead) -> Result<BackupBlock, Box<Failure>>;

    /// Numbers for people; the server adds its own.
    fn status(&self) -> DeciderStatus;

    /// What the deciding threads counted so far; read about once a second.
    fn figures(&self) -> Figures;

    /// Each loop's name and when it turned last, monotonic ns.
    fn loops(&self) -> Vec<(String, u64)>;

    /// Changes, for those who watch.
    fn feed(&self) -> &Arc<Feed>;

    /// Connections that were active in the last second: written by the server, the measure of fair
    /// shares of a ring.
    fn active(&self) -> &Level;

    /// Principals, or peers, that were active in the last second: written by the server, likewise.
    fn active_principals(&self) -> &Level;

    /// What may be on the way of all together: those who are not alone should have no more than their share of it.
    fn fair(&self) -> Fair;
}

/// What the deciding threads counted since the start.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Answers by place in [`addrd_protocol::opcode::Opcode::ALL`], others last.
    pub operations: [u64; OPCODES],
    /// Answers by place in [`crate::model::Status::ALL`], others last.
    pub statuses: [u64; STATUSES],
    /// Time in a worker's ring, ns, an operation.
    pub ring: HistogramSnapshot,
    /// Time from the begin of a drain to its end, ns, an operation.
    pub apply: HistogramSnapshot,
    /// Time of hand-overs in the committer's ring, ns, an operation.
    pub wait: HistogramSnapshot,
    /// Time of commits, ns, a commit.
    pub commit: HistogramSnapshot,
    /// Operations of each drain, of all deciding threads.
    pub drains: SizesSnapshot,
    /// Operations of each commit.
    pub commits: SizesSnapshot,
    /// Bytes of the records of each commit.
    pub commit_bytes: SizesSnapshot,
    /// Records committed.
    pub committed_records: u64,
    /// Each ring's name and what is in it; in the committer's, operations are records.
    pub rings: Vec<(String, Depth)>,
    /// Longest time of each worker away from its ring, ns.
    pub away_ns_max: Vec<u64>,
    /// Records in memory.
    pub memory_records: u64,
    /// Most records in memory.
    pub memory_records_max: u64,
    /// Memory of the workers' states, bytes.
    pub memory_bytes: u64,
    /// Subnets.
    pub subnets: u64,
    /// Jobs that are not finished.
    pub jobs_running: u64,
    /// Allocations that have a lease.
    pub leases: u64,
    /// Leases that ended.
    pub leases_ended: u64,
    /// Hosts that have allocations, counted once a worker.
    pub hosts: u64,
    /// Hosts that have a lease.
    pub host_leases: u64,
    /// Hosts whose lease is over.
    pub host_leases_overdue: u64,
    /// Suspects that were released.
    pub suspects_released: u64,
    /// Addresses and blocks that rest.
    pub resting: u64,
    /// Open holds.
    pub holds: u64,
    /// How full subnets are.
    pub fill: FillReport,
    /// Levels of use of subnets.
    pub subnet_levels: LevelCounts,
    /// Levels of use of subnet pools.
    pub pool_levels: LevelCounts,
    /// A backup is being fetched.
    pub backup_running: bool,
    /// Backups that were fetched whole.
    pub backups_fetched: u64,
    /// Backups that ended before they were whole.
    pub backups_over: u64,
    /// What there is of history, if it is kept.
    pub history: Option<HistoryFigures>,
}

impl Figures {
    /// Nothing counted.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            operations: [0; OPCODES],
            statuses: [0; STATUSES],
            ring: HistogramSnapshot::empty(),
            apply: HistogramSnapshot::empty(),
            wait: HistogramSnapshot::empty(),
            commit: HistogramSnapshot::empty(),
            drains: SizesSnapshot::empty(),
            commits: SizesSnapshot::empty(),
            commit_bytes: SizesSnapshot::empty(),
            committed_records: 0,
            rings: Vec::new(),
            away_ns_max: Vec::new(),
            memory_records: 0,
            memory_records_max: 0,
            memory_bytes: 0,
            subnets: 0,
            jobs_running: 0,
            leases: 0,
            leases_ended: 0,
            hosts: 0,
            host_leases: 0,
            host_leases_overdue: 0,
            suspects_released: 0,
            resting: 0,
            holds: 0,
            fill: FillReport::default(),
            subnet_levels: LevelCounts::default(),
            pool_levels: LevelCounts::default(),
            backup_running: false,
            backups_fetched: 0,
            backups_over: 0,
            history: None,
        }
    }
}

/// Numbers of the deciding threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeciderStatus {
    /// Workers.
    pub workers: u32,
    /// Networks.
    pub networks: u64,
    /// Live allocations.
    pub allocations: u64,
    /// Position up to which the journal is folded.
    pub folded: u64,
    /// Records in the journal that are not folded.
    pub journal_records: u64,
    /// Most records that the journal may hold.
    pub journal_records_max: u64,
    /// Bytes of its file that the journal's rows take.
    pub journal_bytes: u64,
    /// Most bytes that they may take.
    pub journal_bytes_max: u64,
}

impl Decider for Engine {
    fn route(&self, scope: &Scope, request: &Request) -> Route {
        Self::route(self, scope, request)
    }

    fn submit(&self, to: Route, parcel: Parcel) -> Result<(), Rejected> {
        Self::submit(self, to, parcel)
    }

    fn clock(&self) -> &Arc<dyn Clock> {
        Self::clock(self)
    }

    fn identity(&self) -> Identity {
        Self::identity(self)
    }

    fn position(&self) -> Seq {
        Self::position(self)
    }

    fn readiness(&self) -> Readiness {
        Self::readiness(self)
    }

    fn access(&self) -> &Arc<AccessDesk> {
        Self::access(self)
    }

    fn audit(&self) -> &AuditDesk {
        Self::audit(self)
    }

    fn adoption(&self) -> Option<Tick> {
        Self::adoption(self)
    }

    fn backup_read(&self, request: &BackupRead) -> Result<BackupBlock, Box<Failure>> {
        self.backups().read(request)
    }

    fn status(&self) -> DeciderStatus {
        let status = Self::status(self);
        DeciderStatus {
            workers: u32::try_from(status.workers).unwrap_or(u32::MAX),
            networks: status.networks,
            allocations: status.allocations,
            folded: self.folded().0,
            journal_records: status.journal_records,
            journal_records_max: status.journal_records_max,
            journal_bytes: status.journal_bytes,
            journal_bytes_max: status.journal_bytes_max,
        }
    }

    fn figures(&self) -> Figures {
        figures_of(self)
    }

    fn loops(&self) -> Vec<(String, u64)> {
        Self::loops(self)
    }

    fn feed(&self) -> &Arc<Feed> {
        Self::feed(self)
    }

    fn active(&self) -> &Level {
        Self::active(self)
    }

    fn active_principals(&self) -> &Level {
        Self::active_principals(self)
    }

    fn fair(&self) -> Fair {
        Self::fair(self)
    }
}

fn figures_of(engine: &Engine) -> Figures {
    let (parts, status) = (Engine::figures(engine), Engine::status(engine));
    let committed = |scalar| parts.committer.scalars[scalar as usize];
    let mut sum = Figures {
        wait: parts.committer.wait,
        commit: parts.committer.commit,
        commits: parts.committer.operations,
        commit_bytes: parts.committer.bytes,
        committed_records: committed(Scalar::RecordsCommitted),
        memory_records: status.records,
        memory_records_max: status.memory_records_max,
        subnets: status.subnets,
        backup_running: engine.backups().is_busy(),
        backups_fetched: engine.backups().fetched.get(),
        backups_over: engine.backups().over.get(),
        history: engine.history().figures(),
        ..Figures::empty()
    };
    let rings = parts.rings.iter().enumerate();
    sum.rings.extend(rings.map(|(at, ring)| (format!("worker-{at}"), *ring)));
    sum.rings.push(("sequencer".to_owned(), parts.sequencer_ring));
    sum.rings.push(("committer".to_owned(), parts.commit_ring));
    for (at, part) in parts.deciding.iter().enumerate() {
        let scalar = |scalar| part.scalars[scalar as usize];
        if at < status.workers {
            sum.away_ns_max.push(scalar(Scalar::AwayNsMax));
            sum.subnet_levels.merge(&part.levels);
        } else {
            sum.pool_levels.merge(&part.levels);
        }
        sum.drains.merge(&part.drains);
        sum.jobs_running += scalar(Scalar::JobsRunning);
        sum.leases += scalar(Scalar::Leases);
        sum.leases_ended += scalar(Scalar::LeasesEnded);
        sum.hosts += scalar(Scalar::Hosts);
        sum.host_leases += scalar(Scalar::HostLeases);
        sum.host_leases_overdue += scalar(Scalar::HostLeasesOverdue);
        sum.suspects_released += scalar(Scalar::SuspectsReleased);
        sum.resting += scalar(Scalar::Resting);
        sum.holds += scalar(Scalar::Holds);
        sum.fill.merge(&part.fill);
        sum.memory_bytes += scalar(Scalar::MemoryBytes);
        sum.ring.merge(&part.ring);
        sum.apply.merge(&part.apply);
        let operations = sum.operations.iter_mut().zip(part.operations);
        operations.for_each(|(sum, part)| *sum += part);
        let statuses = sum.statuses.iter_mut().zip(part.statuses);
        statuses.for_each(|(sum, part)| *sum += part);
    }
    count_history(engine, &mut sum);
    sum
}

/// Questions about history are answered beside the deciding threads.
fn count_history(engine: &Engine, sum: &mut Figures) {
    let answered = engine.history().answered();
    let place = Opcode::ALL.iter().position(|opcode| *opcode == Opcode::HISTORY);
    if let Some(count) = place.and_then(|place| sum.operations.get_mut(place)) {
        *count += answered.iter().map(|(_, count)| count).sum::<u64>();
    }
    for (status, count) in answered {
        let place = Status::ALL.iter().position(|other| *other == status);
        if let Some(sum) = place.and_then(|place| sum.statuses.get_mut(place)) {
            *sum += count;
        }
    }
}
