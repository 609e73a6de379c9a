//! Workers and a committer that are stepped by hand, over a journal that only counts: every moment
//! can be looked at, nothing happens by itself.

use super::*;
use crate::allocator::{At, Catalogue, Shard, ShardSettings, apply_spanning};
use crate::engine::crew::Crew;
use crate::engine::figures::{CommitterFigures, WorkerSnapshot};
use crate::engine::handle::{Active, Inner};
use crate::engine::sequencer::Sequencer;
use crate::engine::worker::{Shared, Worker};
use crate::journal::RecordBuffer;
use addrd_sync::doorbell;

/// A journal that keeps counts and nothing else.
#[derive(Debug)]
struct Counts {
    position: JournalPosition,
    records_max: u64,
}

impl Journal for Counts {
    fn append(&mut self, round: &Round<'_>) -> Result<(), StoreError> {
        for row in round.rows {
            self.position.next = Seq(row.header.last.0 + 1);
            self.position.last_crc = row.header.crc;
            self.position.rows += 1;
            self.position.records += u64::from(row.header.records);
        }
        Ok(())
    }

    fn position(&self) -> JournalPosition {
        self.position
    }

    fn fill(&self) -> JournalFill {
        let (records, records_max) = (self.position.records, self.records_max);
        JournalFill { records, records_max, bytes: 0, bytes_max: 1 << 40 }
    }

    fn room_bytes(&self, _: Seq) -> u64 {
        u64::MAX
    }
}

/// An engine without threads.
pub(super) struct Rig {
    pub(super) engine: Engine,
    pub(super) workers: Vec<Worker>,
    pub(super) committer: Committer,
    pub(super) pressure: Arc<Pressure>,
    pub(super) clock: Arc<FakeClock>,
    /// It stands still; its ring takes what is pushed.
    _sequencer: Sequencer,
}

impl Rig {
    /// One worker with network 1 and this subnet.
    pub(super) fn new(cidr: &str) -> Self {
        let fill = JournalFill { records: 0, records_max: 4 << 20, bytes: 0, bytes_max: 1 << 40 };
        let (committer_bell, _) = doorbell();
        let clock = Arc::new(FakeClock::new(Tick(1_000)));
        let shared = Shared {
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            pressure: Arc::new(Pressure::new(&fill)),
            position: Arc::new(DurableMark::new(0)),
            incarnation: Incarnation(1),
            committer_bell,
            adoption: Arc::default(),
            access: Arc::default(),
            audit: Arc::default(),
        };
        let (shard, catalogue) = shard_with(cidr);
        let crew = Crew::hire(&shared, vec![shard], catalogue);
        let committer = committer(&shared, crew.hand_overs, crew.marks);
        let identity = Identity { server_id: ServerId::NIL, incarnation: Incarnation(1) };
        let engine = Engine {
            inner: Arc::new(Inner {
                doors: crew.doors,
                sequencer: crew.sequencer_ring,
                sequencer_bell: crew.sequencer_bell,
                clock: Arc::clone(&shared.clock),
                identity,
                position: Arc::clone(&shared.position),
                folded: Arc::new(DurableMark::new(0)),
                pressure: Arc::clone(&shared.pressure),
                memory_records_max: 1 << 20,
                active: Active::default(),
                backups: Arc::new(BackupDesk::new(doorbell().0, Arc::clone(&shared.clock))),
                history: crate::engine::HistoryDesk::idle(&shared.clock),
                audit: Arc::default(),
                auditor_figures: None,
                adoption: Arc::clone(&shared.adoption),
                access: Arc::clone(&shared.access),
                worker_figures: crew.figures,
                committer_figures: CommitterFigures::new().1,
                fold_figures: CommitterFigures::new().1,
                feeder_figures: CommitterFigures::new().1,
                feed: crate::engine::Feed::idle(),
                commit_ring: crew.commit_ring,
            }),
        };
        let workers = crew.workers.into_iter().map(|(worker, _)| worker).collect();
        let (pressure, _sequencer) = (shared.pressure, crew.sequencer.0);
        Self { engine, workers, committer, pressure, clock, _sequencer }
    }

    /// What the worker counted.
    pub(super) fn figures(&self) -> WorkerSnapshot {
        self.engine.figures().deciding.swap_remove(0)
    }

    /// Records in the journal.
    pub(super) fn committed(&self) -> u64 {
        self.pressure.journal_records.get()
    }

    /// Operations in the worker's ring.
    pub(super) fn waiting(&self) -> u32 {
        self.engine.figures().rings[0].operations
    }

    /// Steps everything until nothing is left to do.
    pub(super) fn settle(&mut self) {
        let mut steps = 0;
        loop {
            let worked = self.workers.iter_mut().map(Worker::step).collect::<Vec<_>>();
            let committed = self.committer.step().unwrap();
            let is_idle = |progress: &Progress| *progress == Progress::Idle;
            if is_idle(&committed) && worked.iter().all(is_idle) {
                return;
            }
            steps += 1;
            assert!(steps < 10_000, "it never ends");
        }
    }

    /// Statuses of operations that one connection sends at once.
    pub(super) fn statuses(&mut self, operations: Vec<Operation>) -> Vec<Status> {
        let desk = Arc::new(Desk::default());
        let count = operations.len();
        send(&self.engine, &desk, operations);
        self.settle();
        desk.take(count).into_iter().map(|(_, status, _)| status).collect()
    }
}

fn committer(
    shared: &Shared,
    intake: addrd_sync::Consumer<HandOver>,
    marks: Vec<Arc<DurableMark>>,
) -> Committer {
    let position = JournalPosition {
        first: Seq(1),
        next: Seq(1),
        last_crc: 0,
        tick: Tick(0),
        rows: 0,
        records: 0,
    };
    let records_max = shared.pressure.journal_records_max;
    let identity = BatchIdentity { server: ServerId::NIL, incarnation: Incarnation(1), term: 0 };
    Committer::new(CommitterParts {
        feed: crate::engine::Feed::idle(),
        intake,
        journal: Box::new(Counts { position, records_max }),
        sealer: BatchSealer::new(identity, Seq(1), 0),
        marks,
        position: Arc::clone(&shared.position),
        folded: Arc::new(DurableMark::new(0)),
        pressure: Arc::clone(&shared.pressure),
        clock: Arc::clone(&shared.clock),
        bells: Vec::new(),
        figures: CommitterFigures::new().0,
    })
}

fn shard_with(cidr: &str) -> (Shard, Box<Catalogue>) {
    let settings = ShardSettings { seed: 1, records_max: 1 << 20 };
    let (mut shard, mut catalogue) = (Shard::new(settings), Box::new(Catalogue::new(settings)));
    let at = At { tick: Tick(1_000), position: Seq(0), incarnation: Incarnation(1) };
    let mut records = RecordBuffer::default();
    for Operation { scope, request, .. } in [create_network(1, 1), create_subnet(2, 1, cidr)] {
        let lent = &mut [&mut shard];
        apply_spanning(&mut catalogue, lent, &at, &scope, &request, &mut records).unwrap();
    }
    (shard, catalogue)
}
