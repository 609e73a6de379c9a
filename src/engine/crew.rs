//! Puts the deciding threads together: rings, bells, marks, workers, sequencer. Starts none.

use super::figures::{WorkerFigures, WorkerFiguresReader};
use super::handle::Door;
use super::handover::HandOver;
use super::sequencer::{Sequenced, Sequencer};
use super::worker::{Shared, Work, Worker, WorkerParts};
use crate::allocator::{Catalogue, Shard};
use crate::limits;
use addrd_sync::{
    Bounds, Consumer, Doorbell, DurableMark, Producer, RingGauge, Waiter, doorbell, drains, ring,
};
use std::sync::Arc;

/// The deciding threads, ready to run, and the ways into them.
pub(super) struct Crew {
    /// Ways into the workers.
    pub(super) doors: Vec<Door>,
    /// The workers in order.
    pub(super) workers: Vec<(Worker, Waiter)>,
    /// The sequencer.
    pub(super) sequencer: (Sequencer, Waiter),
    /// Way into the sequencer.
    pub(super) sequencer_ring: Producer<Sequenced>,
    /// Wakes the sequencer.
    pub(super) sequencer_bell: Doorbell,
    /// What all of them hand over.
    pub(super) hand_overs: Consumer<HandOver>,
    /// Depth of that ring.
    pub(super) commit_ring: RingGauge<HandOver>,
    /// For each source, which of its hand-overs are durable: workers in order, the sequencer last.
    pub(super) marks: Vec<Arc<DurableMark>>,
    /// Figures in the same order.
    pub(super) figures: Vec<WorkerFiguresReader>,
}

impl Crew {
    /// One worker for each shard, and the sequencer.
    pub(super) fn hire(shared: &Shared, shards: Vec<Shard>, catalogue: Box<Catalogue>) -> Self {
        let (out, hand_overs) = ring(COMMIT_RING);
        let (sequencer_ring, sequenced) = ring(SEQUENCER_RING);
        let (sequencer_bell, sequencer_waiter) = doorbell();
        let (counters, watch) = drains(shards.len());
        let sequencer_mark = Arc::new(DurableMark::new(0));
        let mut crew = Positions::default();
        for (source, (shard, drain)) in shards.into_iter().zip(counters).enumerate() {
            let (ring, intake) = ring::<Work>(WORKER_RING);
            let (bell, waiter) = doorbell();
            let (figures, reader) = WorkerFigures::new();
            let own_mark = Arc::new(DurableMark::new(0));
            let worker = Worker::new(WorkerParts {
                source,
                shard: Box::new(shard),
                intake,
                out: out.clone(),
                own_mark: Arc::clone(&own_mark),
                sequencer_mark: Arc::clone(&sequencer_mark),
                sequencer: sequencer_ring.clone(),
                sequencer_bell: sequencer_bell.clone(),
                drain,
                watch: watch.clone(),
                shared: shared.clone(),
                figures,
            });
            crew.doors.push(Door { ring, bell });
            crew.workers.push((worker, waiter));
            crew.marks.push(own_mark);
            crew.figures.push(reader);
        }
        let Positions { doors, workers, mut marks, mut figures } = crew;
        let (own_figures, reader) = WorkerFigures::new();
        marks.push(sequencer_mark);
        figures.push(reader);
        let commit_ring = out.gauge();
        let source = workers.len();
        let sequencer =
            Sequencer::new(source, sequenced, out, catalogue, shared.clone(), own_figures);
        Self {
            doors,
            workers,
            sequencer: (sequencer, sequencer_waiter),
            sequencer_ring,
            sequencer_bell,
            hand_overs,
            commit_ring,
            marks,
            figures,
        }
    }

    /// Bells of all who may wait for room in the committer's ring.
    pub(super) fn bells(&self) -> Vec<Doorbell> {
        let workers = self.doors.iter().map(|door| door.bell.clone());
        workers.chain([self.sequencer_bell.clone()]).collect()
    }
}

/// What is collected a worker.
#[derive(Default)]
struct Positions {
    doors: Vec<Door>,
    workers: Vec<(Worker, Waiter)>,
    marks: Vec<Arc<DurableMark>>,
    figures: Vec<WorkerFiguresReader>,
}

const WORKER_RING: Bounds = Bounds {
    slots: limits::RING_SLOTS,
    operations_max: limits::RING_OPERATIONS_MAX,
    operations_reserved: limits::RING_OPERATIONS_RESERVED,
    bytes_max: limits::RING_BYTES_MAX,
}
.checked();

const SEQUENCER_RING: Bounds = Bounds {
    slots: limits::SEQUENCER_OPERATIONS_MAX,
    operations_max: limits::SEQUENCER_OPERATIONS_MAX,
    operations_reserved: limits::SEQUENCER_OPERATIONS_MAX / 4,
    bytes_max: limits::RING_BYTES_MAX,
}
.checked();

const COMMIT_RING: Bounds = Bounds {
    slots: limits::COMMIT_RING_SLOTS,
    operations_max: limits::COMMIT_RING_RECORDS_MAX,
    operations_reserved: limits::HAND_OVER_RECORDS_MAX,
    bytes_max: limits::COMMIT_RING_BYTES_MAX,
}
.checked();
