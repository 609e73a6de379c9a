//! The engine as connections see it: route, submit, ask how it is. Never decides and never waits.

use super::access::AccessDesk;
use super::answer::busy;
use super::audit::AuditDesk;
use super::backup::BackupDesk;
use super::clock::Clock;
use super::feed::Feed;
use super::figures::{
    CommitterFiguresReader, CommitterSnapshot, Scalar, WorkerFiguresReader, WorkerSnapshot,
};
use super::gather::Gather;
use super::history::HistoryDesk;
use super::operation::{Operation, Parcel, Rejected, Route, Scope};
use super::pressure::Pressure;
use super::sequencer::Sequenced;
use super::worker::Work;
use crate::access::Authorized;
use crate::allocator;
use crate::limits;
use crate::model::{Incarnation, Seq, ServerId, Tick, worker_of};
use crate::planted::{Bug, is_planted};
use addrd_protocol::message::{Failure, Request};
use addrd_sync::{Class, Cost, Depth, Doorbell, DurableMark, Level, Producer};
use std::sync::Arc;

/// Identity of the data, told in HELLO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Made at creation.
    pub server_id: ServerId,
    /// Raised by each restore.
    pub incarnation: Incarnation,
}

/// Whether requests are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// All of them.
    Ready,
    /// Not all of them, and why.
    NotReady(String),
}

/// Numbers of the deciding threads and the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineStatus {
    /// Workers.
    pub workers: usize,
    /// Networks.
    pub networks: u64,
    /// Subnets.
    pub subnets: u64,
    /// Live allocations.
    pub allocations: u64,
    /// Records in memory.
    pub records: u64,
    /// Records in the journal.
    pub journal_records: u64,
    /// Most records that the journal may hold.
    pub journal_records_max: u64,
    /// Bytes of its file that the journal's rows take.
    pub journal_bytes: u64,
    /// Most bytes that they may take.
    pub journal_bytes_max: u64,
    /// Most records in memory.
    pub memory_records_max: u64,
    /// Only reads and releases are served, the disk is nearly full.
    pub is_storage_full: bool,
}

/// What every thread counted, at one moment.
#[derive(Clone, Debug)]
pub struct Figures {
    /// The workers in order, then the sequencer.
    pub deciding: Vec<WorkerSnapshot>,
    /// The committer.
    pub committer: CommitterSnapshot,
    /// The fold: its rounds are slices.
    pub fold: CommitterSnapshot,
    /// Depths of the workers' rings.
    pub rings: Vec<Depth>,
    /// Depth of the sequencer's ring.
    pub sequencer_ring: Depth,
    /// Depth of the committer's ring.
    pub commit_ring: Depth,
}

/// The way into one worker.
#[derive(Clone, Debug)]
pub(super) struct Door {
    pub(super) ring: Producer<Work>,
    pub(super) bell: Doorbell,
}

/// The way into the engine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(super) inner: Arc<Inner>,
}

/// What may be on the way of all together where much waits; `None`: it doesn't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fair {
    /// To the workers, in plain requests.
    pub workers: Option<u32>,
    /// To the sequencer, requests.
    pub sequencer: Option<u32>,
}

/// How many were active in the last second.
#[derive(Debug, Default)]
pub(super) struct Active {
    connections: Level,
    principals: Level,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) doors: Vec<Door>,
    pub(super) sequencer: Producer<Sequenced>,
    pub(super) sequencer_bell: Doorbell,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) identity: Identity,
    pub(super) position: Arc<DurableMark>,
    pub(super) folded: Arc<DurableMark>,
    pub(super) pressure: Arc<Pressure>,
    pub(super) memory_records_max: u64,
    pub(super) active: Active,
    pub(super) adoption: Arc<Level>,
    pub(super) access: Arc<AccessDesk>,
    pub(super) backups: Arc<BackupDesk>,
    pub(super) history: Arc<HistoryDesk>,
    pub(super) audit: Arc<AuditDesk>,
    pub(super) auditor_figures: Option<CommitterFiguresReader>,
    pub(super) worker_figures: Vec<WorkerFiguresReader>,
    pub(super) committer_figures: CommitterFiguresReader,
    pub(super) fold_figures: CommitterFiguresReader,
    pub(super) feeder_figures: CommitterFiguresReader,
    pub(super) feed: Arc<Feed>,
    pub(super) commit_ring: addrd_sync::RingGauge<super::HandOver>,
}

impl Engine {
    /// Which thread decides a request.
    ///
    /// Operations of one connection on one network must not overtake each other: while one of them
    /// is on its way to the sequencer, the caller sends the later ones there as well. The other
    /// way round nothing is needed, a rendezvous stands behind what a worker's ring holds.
    #[must_use]
    pub fn route(&self, scope: &Scope, request: &Request) -> Route {
        if matches!(request, Request::History(_)) {
            return Route::History;
        }
        if allocator::is_spanning(scope, request) {
            return Route::Sequencer;
        }
        if allocator::is_gathered(scope, request) {
            return Route::Gather;
        }
        let workers = u16::try_from(self.inner.doors.len()).unwrap_or(u16::MAX);
        Route::Worker(worker_of(scope.home(), scope.network, workers).0)
    }

    /// Pushes a parcel. Never waits.
    ///
    /// # Errors
    /// [`Rejected`] with what found no room; what was pushed before it is on its way.
    pub fn submit(&self, to: Route, parcel: Parcel) -> Result<(), Rejected> {
        let submitted = match to {
            Route::Worker(worker) => self.submit_to_worker(usize::from(worker), parcel),
            Route::Sequencer => self.submit_to_sequencer(parcel),
            Route::Gather => self.submit_gathered(parcel),
            Route::History => self.inner.history.submit(parcel),
        };
        submitted.map_err(|rejected| self.note_rejected(rejected))
    }

    /// The server's time.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// Identity of the data.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.inner.identity
    }

    /// Durable position.
    #[must_use]
    pub fn position(&self) -> Seq {
        Seq(self.inner.position.get())
    }

    /// Position up to which the journal is folded.
    #[must_use]
    pub fn folded(&self) -> Seq {
        Seq(self.inner.folded.get())
    }

    /// Changes, for those who watch.
    #[must_use]
    pub fn feed(&self) -> &Arc<Feed> {
        &self.inner.feed
    }

    /// Workers.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.inner.doors.len()
    }

    /// Connections that were active in the last second, kept by the server: the measure of fair
    /// shares past half of a ring.
    #[must_use]
    pub fn active(&self) -> &Level {
        &self.inner.active.connections
    }

    /// Principals, or peers of whom nobody knows who they are, that were active in the last second, kept by the
    /// server: likewise.
    #[must_use]
    pub fn active_principals(&self) -> &Level {
        &self.inner.active.principals
    }

    /// What may be on the way of all together, where more waits for a deciding thread than it takes in two drains:
    /// whoever comes then waits for all of it.
    #[must_use]
    pub fn fair(&self) -> Fair {
        let workers = u32::try_from(self.workers()).unwrap_or(u32::MAX);
        let is_crowded = self.inner.doors.iter().any(|door| {
            let waits = door.ring.depth();
            waits.operations > limits::FAIR_OPERATIONS || waits.bytes > limits::FAIR_BYTES
        });
        let is_behind = self.inner.sequencer.operations() > limits::FAIR_SEQUENCED;
        Fair {
            workers: is_crowded.then(|| limits::FAIR_OPERATIONS.saturating_mul(workers)),
            sequencer: is_behind.then_some(limits::FAIR_SEQUENCED),
        }
    }

    /// Where backups are fetched.
    #[must_use]
    pub fn backups(&self) -> &BackupDesk {
        &self.inner.backups
    }

    /// Where attempts are told.
    #[must_use]
    pub fn audit(&self) -> &AuditDesk {
        &self.inner.audit
    }

    /// Where questions about history are asked.
    #[must_use]
    pub fn history(&self) -> &HistoryDesk {
        &self.inner.history
    }

    /// Who may do what.
    #[must_use]
    pub fn access(&self) -> &Arc<AccessDesk> {
        &self.inner.access
    }

    /// When adoption mode began, if it is on.
    #[must_use]
    pub fn adoption(&self) -> Option<Tick> {
        Some(Tick(self.inner.adoption.get())).filter(|since| *since != Tick(0))
    }

    /// Whether requests are served.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        let pressure = &self.inner.pressure;
        if pressure.is_failed.is_raised() {
            return Readiness::NotReady("the storage failed; the process stops".to_owned());
        }
        match pressure.refuse() {
            super::Refuse::Nothing => Readiness::Ready,
            super::Refuse::Mutations => {
                Readiness::NotReady("the journal is full until the fold has made room".to_owned())
            }
            super::Refuse::Growth => Readiness::NotReady("the disk is nearly full".to_owned()),
        }
    }

    /// Numbers for people.
    #[must_use]
    pub fn status(&self) -> EngineStatus {
        let sum = |scalar| self.inner.worker_figures.iter().map(|one| one.scalar(scalar)).sum();
        EngineStatus {
            workers: self.workers(),
            networks: sum(Scalar::Networks),
            subnets: sum(Scalar::Subnets),
            allocations: sum(Scalar::Allocations),
            records: sum(Scalar::Records),
            journal_records: self.inner.pressure.journal_records.get(),
            journal_records_max: self.inner.pressure.journal_records_max,
            journal_bytes: self.inner.pressure.journal_bytes.get(),
            journal_bytes_max: self.inner.pressure.journal_bytes_max,
            memory_records_max: self.inner.memory_records_max,
            is_storage_full: self.inner.pressure.storage_full.get() != 0,
        }
    }

    /// Each loop's name and when it turned last, monotonic ns.
    #[must_use]
    pub fn loops(&self) -> Vec<(String, u64)> {
        let deciding = self.inner.worker_figures.iter().enumerate().map(|(at, reader)| {
            let is_worker = at < self.workers();
            let name = if is_worker { format!("worker-{at}") } else { "sequencer".to_owned() };
            (name, reader.scalar(Scalar::TurnedNs))
        });
        let others = [
            ("committer", &self.inner.committer_figures),
            ("fold", &self.inner.fold_figures),
            ("feeder", &self.inner.feeder_figures),
        ];
        let others =
            others.map(|(name, reader)| (name.to_owned(), reader.scalar(Scalar::TurnedNs)));
        let turned = self.inner.history.turned_ns();
        let historian = turned.map(|turned_ns| ("historian".to_owned(), turned_ns));
        let auditor = self.inner.auditor_figures.as_ref();
        let auditor = auditor.map(|reader| ("auditor".to_owned(), reader.scalar(Scalar::TurnedNs)));
        deciding.chain(others).chain(historian).chain(auditor).collect()
    }

    /// What every thread counted, for the metrics.
    #[must_use]
    pub fn figures(&self) -> Figures {
        Figures {
            deciding: self.inner.worker_figures.iter().map(WorkerFiguresReader::snapshot).collect(),
            committer: self.inner.committer_figures.snapshot(),
            fold: self.inner.fold_figures.snapshot(),
            rings: self.inner.doors.iter().map(|door| door.ring.depth()).collect(),
            sequencer_ring: self.inner.sequencer.depth(),
            commit_ring: self.inner.commit_ring.depth(),
        }
    }

    /// What is rejected by a full ring; leases that were to be renewed go on for a while.
    fn note_rejected(&self, rejected: Rejected) -> Rejected {
        if rejected.operations.iter().any(|one| allocator::is_renewal(&one.request)) {
            self.inner.pressure.renewal_refused.set(self.inner.clock.tick().0);
        }
        rejected
    }

    fn submit_to_worker(&self, worker: usize, parcel: Parcel) -> Result<(), Rejected> {
        let Some(door) = self.inner.doors.get(worker) else {
            return Err(rejected(parcel.operations, "workers"));
        };
        let push = |parcel, class| push_parcel(door, parcel, class);
        if !is_planted(Bug::ShareIgnored) {
            if self.is_greedy(&parcel, &door.ring) {
                return push_reserved(parcel, push, "principal_share");
            }
            if door.ring.is_past_half()
                && parcel.outstanding > share(&door.ring, &self.inner.active.connections)
            {
                return Err(rejected(parcel.operations, "ring_share"));
            }
        }
        let is_kept = !is_planted(Bug::ReserveForAll);
        let class = if is_kept { Class::Ordinary } else { Class::Reserved };
        push(parcel, class).or_else(|parcel| push_reserved(parcel, push, "ring_operations_max"))
    }

    fn submit_to_sequencer(&self, parcel: Parcel) -> Result<(), Rejected> {
        let ring = &self.inner.sequencer;
        let push = |parcel, class| self.push_to_sequencer(parcel, class);
        let share = share(ring, &self.inner.active.principals);
        if ring.is_past_half() && parcel.principal_outstanding > share {
            return push_reserved(parcel, push, "principal_share");
        }
        push(parcel, Class::Ordinary)
            .or_else(|parcel| push_reserved(parcel, push, "sequencer_operations_max"))
    }

    fn push_to_sequencer(&self, parcel: Parcel, class: Class) -> Result<(), Parcel> {
        let cost = cost_of(&parcel);
        match self.inner.sequencer.try_push(Sequenced::Parcel(parcel), cost, class) {
            Ok(()) => {
                self.inner.sequencer_bell.ring();
                Ok(())
            }
            Err(full) => match full.item {
                Sequenced::Parcel(parcel) => Err(parcel),
                Sequenced::Finish { .. } => unreachable!("the ring gives back what was pushed"),
            },
        }
    }

    fn submit_gathered(&self, parcel: Parcel) -> Result<(), Rejected> {
        let is_greedy = self.inner.doors.iter().any(|door| self.is_greedy(&parcel, &door.ring));
        let mut operations = parcel.operations.into_iter();
        while let Some(operation) = operations.next() {
            let copy = operation.clone();
            let gather = Gather::new(Arc::clone(&parcel.outlet), copy, self.workers());
            let cost = Cost::new(1, OPERATION_BYTES);
            let class = match allocator::is_reserved_class(&operation.request) {
                true => Class::Reserved,
                false if is_greedy => {
                    let rest = std::iter::once(operation).chain(operations).collect();
                    return Err(rejected(rest, "principal_share"));
                }
                false => Class::Ordinary,
            };
            for door in &self.inner.doors {
                let work = Work::Part(Arc::clone(&gather));
                if door.ring.try_push(work, cost, class).is_err() {
                    gather.cancel();
                    let rest = std::iter::once(operation).chain(operations).collect();
                    return Err(rejected(rest, "ring_operations_max"));
                }
                door.bell.ring();
            }
        }
        Ok(())
    }

    /// Whether the principal has more under way than its share of a ring.
    fn is_greedy<T>(&self, parcel: &Parcel, ring: &Producer<T>) -> bool {
        let waits = parcel.principal_outstanding;
        ring.is_past_half() && waits > share(ring, &self.inner.active.principals)
    }
}

/// Operations that each of those who are active may have in a ring that is past half.
fn share<T>(ring: &Producer<T>, active: &Level) -> u32 {
    let bounds = ring.bounds();
    let ordinary = u64::from(bounds.operations_max - bounds.operations_reserved);
    u32::try_from(ordinary / active.get().max(1)).unwrap_or(u32::MAX).max(1)
}

/// The part of a ring that is kept for what frees something or lets it go on: takes those that stand first in the
/// parcel; order is kept, so the first other operation rejects the rest.
fn push_reserved(
    mut parcel: Parcel,
    push: impl Fn(Parcel, Class) -> Result<(), Parcel>,
    bound: &'static str,
) -> Result<(), Rejected> {
    let is_ordinary =
        |operation: &Authorized<Operation>| !allocator::is_reserved_class(&operation.request);
    let first = parcel.operations.iter().position(is_ordinary);
    let rest = parcel.operations.split_off(first.unwrap_or(parcel.operations.len()));
    if parcel.operations.is_empty() {
        return Err(rejected(rest, bound));
    }
    match push(parcel, Class::Reserved) {
        Ok(()) if rest.is_empty() => Ok(()),
        Ok(()) => Err(rejected(rest, bound)),
        Err(parcel) => {
            let mut operations = parcel.operations;
            operations.extend(rest);
            Err(rejected(operations, bound))
        }
    }
}

/// Bytes that a decoded operation keeps in memory, beside its frame.
const OPERATION_BYTES: u32 = size_of::<Operation>() as u32;

fn cost_of(parcel: &Parcel) -> Cost {
    let operations = u32::try_from(parcel.operations.len()).unwrap_or(u32::MAX);
    Cost::new(operations, parcel.bytes.saturating_add(operations.saturating_mul(OPERATION_BYTES)))
}

fn push_parcel(door: &Door, parcel: Parcel, class: Class) -> Result<(), Parcel> {
    let cost = cost_of(&parcel);
    match door.ring.try_push(Work::Parcel(parcel), cost, class) {
        Ok(()) => {
            door.bell.ring();
            Ok(())
        }
        Err(full) => match full.item {
            Work::Parcel(parcel) => Err(parcel),
            Work::Part(_) | Work::Lend(_) => unreachable!("the ring gives back what was pushed"),
        },
    }
}

fn rejected(operations: Vec<Authorized<Operation>>, bound: &'static str) -> Rejected {
    Rejected { operations, bound, retry_after_ms: BUSY_RETRY_MS }
}

/// Advice to clients when a ring is full, ms: a few drains.
const BUSY_RETRY_MS: u32 = 5;

impl Rejected {
    /// The failure that every rejected operation gets.
    #[must_use]
    pub fn failure(&self) -> Box<Failure> {
        busy(self.bound, self.retry_after_ms)
    }
}

const _: () = assert!(limits::CONNECTION_OPERATIONS_MAX < limits::RING_OPERATIONS_RESERVED);
