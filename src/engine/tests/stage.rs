//! An engine without threads, on a disk and a clock of tests: each of its loops moves when it is told to,
//! a rendezvous in its single moves. Draws which one moves from a seed, and judges nothing.

use super::*;
use crate::allocator::{CatalogueSnapshot, Snapshot};
use crate::audit::{Audited, Header};
use crate::engine::audit::AuditDesk;
use crate::engine::auditor::{Auditor, AuditorParts};
use crate::engine::crew::Crew;
use crate::engine::feed::{Feed, FeedBounds};
use crate::engine::fold::{Fold, FoldParts};
use crate::engine::handle::{Active, Inner};
use crate::engine::historian::{Historian, HistorianParts};
use crate::engine::sequencer::{Agenda, Borrowing, Lent, Sequencer, loan};
use crate::engine::worker::{Shared, Work, Worker};
use crate::limits::CLOCK_GAP_MS_MAX;
pub(crate) use crate::store::fake_disk::{
    Failure, FakeDisk, Fault, Operation as DiskOperation, Random,
};
use crate::store::history::{HistorySettings, Shelf};
use crate::store::{Checkpointer, Disk, FeedReader, Recovered, Store};
use addrd_sync::{Class, Consumer, Cost, Level, doorbell};

/// A disk with a new store on it.
pub(crate) fn blank_disk() -> FakeDisk {
    let blank = FakeDisk::new();
    Store::create(Arc::new(blank.clone()), &SETTINGS, ServerId::from_u128(9)).unwrap();
    blank
}

/// How long what is due at a start is spared, ms.
pub(crate) const GRACE_MS: u64 = 700;

/// Where a rendezvous is.
#[derive(Default)]
enum Rendezvous {
    #[default]
    None,
    /// Workers are asked, one after the other.
    Asking(Agenda, Vec<Borrowing>),
    /// States come in.
    Gathering(Agenda, Vec<(Borrowing, Option<Lent>)>),
    /// Decided; states go back.
    Returning(Vec<(usize, Borrowing, Lent)>),
}

/// An engine without threads, on a disk.
pub(crate) struct Stage {
    pub(crate) engine: Engine,
    workers: Vec<Worker>,
    /// Whose state was given back and not taken yet.
    is_back: Vec<bool>,
    /// When each of them read the clock last.
    read_at: Vec<Tick>,
    sequencer: Sequencer,
    rendezvous: Rendezvous,
    committer: Committer,
    fold: Fold,
    pub(super) feeder: Feeder,
    pub(super) historian: Historian,
    /// Keeps an audit log of everything, if there is a disk for it.
    pub(super) auditor: Option<Auditor>,
    /// What history has, on a disk of its own: so it can fail alone.
    pub(super) shelf: Arc<Shelf>,
    pub(super) history_disk: FakeDisk,
    /// Now and then journal and disk seem to be full to it.
    pub(super) is_rough: bool,
    /// Up to here the fold may go.
    pub(super) kept: Arc<DurableMark>,
    /// Reads what is journalled, for whoever keeps a list of it.
    pub(super) reader: FeedReader,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) disk: FakeDisk,
    /// Holds the lock.
    _held: Arc<dyn Disk>,
}

/// What every state is, as it is read from memory.
#[derive(Debug, PartialEq)]
pub(crate) struct Whole {
    pub(crate) state: Snapshot,
    pub(crate) catalogue: CatalogueSnapshot,
}

const SETTINGS: Settings = Settings {
    journal_records_max: 256 << 10,
    state_cache_bytes: 1 << 20,
    state_bytes: 1 << 20,
    reserve_bytes: 0,
    fold_slice_bytes: 64 << 10,
};

impl Stage {
    /// Recovers what is on the disk; each state must hold by itself.
    pub(crate) fn recover(disk: FakeDisk, workers: u16) -> Self {
        Self::recover_with(disk, workers, (FakeDisk::new(), HISTORY))
    }

    /// The same beside history that there is already.
    pub(crate) fn recover_with(
        disk: FakeDisk,
        workers: u16,
        history: (FakeDisk, HistorySettings),
    ) -> Self {
        Self::recover_all(disk, workers, history, None)
    }

    /// The same with an audit log of everything, on a disk of its own.
    pub(crate) fn recover_audited(disk: FakeDisk, workers: u16, audit: &FakeDisk) -> Self {
        Self::recover_all(disk, workers, (FakeDisk::new(), HISTORY), Some(audit))
    }

    #[expect(clippy::too_many_lines, reason = "the one place that puts the parts together")]
    fn recover_all(
        disk: FakeDisk,
        workers: u16,
        (history_disk, settings): (FakeDisk, HistorySettings),
        audit: Option<&FakeDisk>,
    ) -> Self {
        let mut store = Store::open(Arc::new(disk.clone()), &SETTINGS).expect("it opens");
        let (shards, catalogue, recovered) = recovered_of(&mut store, workers);
        let sealer = store.journal.sealer(store.identity());
        let format = store.format();
        let (journal, checkpointer, held) = store.split();
        let clock = Arc::new(FakeClock::new(Tick(recovered.tick.0 + 1)));
        let shared = shared_of(&clock, &journal, format.incarnation);
        let folded = Arc::new(DurableMark::new(checkpointer.folded().0));
        let crew = Crew::hire(&shared, shards, catalogue);
        let (feed, feeder) = feeder_of(&shared, &checkpointer);
        let reader = checkpointer.feed_reader();
        let kept = Arc::new(DurableMark::new(0));
        let identity = (format.server, format.incarnation);
        let readers = checkpointer.feed_reader();
        let (historian, shelf) =
            historian_of((&shared, &folded, &kept), readers, (&history_disk, settings), identity);
        let audited = Arc::new(DurableMark::new(if audit.is_some() { 0 } else { u64::MAX }));
        let marks = (&shared, &folded, &audited);
        let auditor =
            audit.map(|disk| auditor_of(marks, checkpointer.feed_reader(), disk, identity));
        let fold = fold_of(&shared, &folded, checkpointer, &held)
            .behind(Arc::clone(&kept))
            .behind(audited);
        let committer = committer_of(
            (&shared, &folded),
            (crew.hand_overs, crew.marks),
            (Box::new(journal), sealer),
            &feed,
        );
        let engine = Engine {
            inner: Arc::new(Inner {
                doors: crew.doors,
                sequencer: crew.sequencer_ring,
                sequencer_bell: crew.sequencer_bell,
                backups: Arc::new(BackupDesk::new(doorbell().0, Arc::clone(&shared.clock))),
                history: crate::engine::HistoryDesk::idle(&shared.clock),
                audit: Arc::default(),
                auditor_figures: None,
                clock: shared.clock,
                identity: Identity { server_id: format.server, incarnation: format.incarnation },
                position: shared.position,
                folded,
                pressure: shared.pressure,
                memory_records_max: 1 << 20,
                active: Active::default(),
                adoption: shared.adoption,
                access: shared.access,
                worker_figures: crew.figures,
                committer_figures: CommitterFigures::new().1,
                fold_figures: CommitterFigures::new().1,
                feeder_figures: CommitterFigures::new().1,
                feed,
                commit_ring: crew.commit_ring,
            }),
        };
        let workers: Vec<Worker> = crew.workers.into_iter().map(|(worker, _)| worker).collect();
        Self {
            engine,
            is_back: vec![false; workers.len()],
            read_at: vec![clock.tick(); workers.len()],
            workers,
            sequencer: crew.sequencer.0,
            rendezvous: Rendezvous::None,
            committer,
            fold,
            feeder,
            historian,
            auditor,
            shelf,
            history_disk,
            is_rough: false,
            kept,
            reader,
            clock,
            disk,
            _held: held,
        }
    }

    /// One move of a random thread.
    ///
    /// # Errors
    /// The disk failed: the process ends.
    pub(crate) fn step(&mut self, random: &mut Random) -> Result<(), StoreError> {
        match random.below(12) {
            0..4 => {
                let which = random.below(self.workers.len() as u64) as usize;
                self.step_worker(which);
            }
            4..7 => _ = self.step_sequencer(),
            7 | 8 => _ = self.committer.step()?,
            9 => _ = self.feeder.step(),
            10 => self.step_historian(random),
            _ => {
                self.clock.advance(random.below(400).min(self.time_left()));
                let folded = || self.engine.inner.folded.get();
                let before = folded();
                self.fold.step()?;
                let is_behind = folded() == before || folded() <= self.kept.get();
                assert!(is_behind, "the journal may not forget what history hasn't");
            }
        }
        Ok(())
    }

    /// A step of the historian, now and then while the journal or the disk seem to be full.
    fn step_historian(&mut self, random: &mut Random) {
        let pressure = Arc::clone(&self.engine.inner.pressure);
        let (records, full) = (pressure.journal_records.get(), random.below(40));
        match full {
            _ if !self.is_rough => {}
            0 => pressure.journal_records.set(pressure.journal_records_max),
            1 => pressure.storage_full.set(1),
            _ => {}
        }
        self.historian.step();
        pressure.journal_records.set(records);
        pressure.storage_full.set(0);
    }

    /// So long the clock may go on without a standstill, which would keep leases from ending.
    fn time_left(&self) -> u64 {
        let waits = self.read_at.iter().map(|at| self.clock.tick().since(*at));
        (CLOCK_GAP_MS_MAX / 2).saturating_sub(waits.max().unwrap_or_default())
    }

    /// A step of a worker; none while its state is away, since that would wait.
    fn step_worker(&mut self, which: usize) -> Progress {
        let worker = &mut self.workers[which];
        if worker.state().is_none() && !std::mem::take(&mut self.is_back[which]) {
            return Progress::Blocked;
        }
        self.read_at[which] = self.clock.tick();
        worker.step()
    }

    /// One move of the sequencer.
    fn step_sequencer(&mut self) -> Progress {
        match std::mem::take(&mut self.rendezvous) {
            Rendezvous::None => match self.sequencer.take() {
                Ok(agenda) if agenda.needs_workers() => {
                    self.rendezvous = Rendezvous::Asking(agenda, Vec::new());
                }
                Ok(agenda) => _ = self.sequencer.decide(agenda, &mut []),
                Err(progress) => return progress,
            },
            Rendezvous::Asking(agenda, mut asked) => {
                let (worker_end, own_end) = loan();
                let door = &self.engine.inner.doors[asked.len()];
                let lend = Work::Lend(worker_end);
                if door.ring.try_push(lend, Cost::new(0, 0), Class::Reserved).is_ok() {
                    asked.push(own_end);
                }
                self.rendezvous = if asked.len() == self.workers.len() {
                    Rendezvous::Gathering(
                        agenda,
                        asked.into_iter().map(|one| (one, None)).collect(),
                    )
                } else {
                    Rendezvous::Asking(agenda, asked)
                };
            }
            Rendezvous::Gathering(agenda, mut lent) => {
                for (borrowing, state) in &mut lent {
                    *state = state.take().or_else(|| borrowing.try_take());
                }
                if lent.iter().any(|(_, state)| state.is_none()) {
                    self.rendezvous = Rendezvous::Gathering(agenda, lent);
                    return Progress::Blocked;
                }
                let states = lent.into_iter().enumerate();
                let states = states.filter_map(|(at, (one, state))| Some((at, one, state?)));
                self.rendezvous = Rendezvous::Returning(self.decide(agenda, states.collect()));
            }
            Rendezvous::Returning(mut lent) => {
                if let Some((at, borrowing, state)) = lent.pop() {
                    borrowing.give_back(state);
                    self.is_back[at] = true;
                }
                if !lent.is_empty() {
                    self.rendezvous = Rendezvous::Returning(lent);
                }
            }
        }
        Progress::Worked
    }

    fn decide(
        &mut self,
        agenda: Agenda,
        mut lent: Vec<(usize, Borrowing, Lent)>,
    ) -> Vec<(usize, Borrowing, Lent)> {
        let mut shards: Vec<_> = lent.iter_mut().map(|(_, _, lent)| &mut *lent.shard).collect();
        let number = self.sequencer.decide(agenda, &mut shards);
        lent.iter_mut().for_each(|(_, _, lent)| lent.sequenced = number);
        lent
    }

    /// Goes on until nothing is left to do: every state is where it belongs then.
    ///
    /// # Errors
    /// The disk failed.
    pub(crate) fn settle(&mut self) -> Result<(), StoreError> {
        for _ in 0..100_000 {
            let mut idle = true;
            for which in 0..self.workers.len() {
                idle &= self.step_worker(which) == Progress::Idle;
            }
            idle &= self.step_sequencer() == Progress::Idle;
            idle &= self.committer.step()? == Progress::Idle;
            self.clock.advance(1);
            if idle {
                assert!(self.workers.iter().all(|worker| worker.state().is_some()), "all are back");
                return Ok(());
            }
        }
        panic!("it never comes to rest");
    }

    /// So many networks with five usable addresses each; those that are there stay.
    pub(crate) fn set_up(&mut self, networks: u128) {
        let desk = Arc::new(Desk::default());
        for network in 1..=networks {
            let subnet = create_subnet(0, network, "10.0.0.0/29");
            send(&self.engine, &desk, vec![create_network(0, network), subnet]);
        }
        self.settle().expect("nothing fails yet");
    }

    /// A slice of the fold, a while later.
    pub(crate) fn fold_all(&mut self) {
        self.clock.advance(crate::limits::FOLD_AGE_MS_MAX);
        self.historian.step();
        self.fold.step().expect("nothing of the state fails");
        _ = self.committer.step().expect("nothing of the journal fails");
    }

    /// Until the feed has all that is durable. False: the disk fails, and it can't read.
    pub(crate) fn read_feed(&mut self) -> bool {
        for _ in 0..10_000 {
            if self.disk.failed() {
                return false;
            }
            if self.feeder.step() == Progress::Idle {
                return true;
            }
        }
        panic!("the feed never comes to rest");
    }

    /// Until history has all that is durable. False: a disk fails, or it pauses.
    pub(crate) fn read_history(&mut self) -> bool {
        for _ in 0..10_000 {
            self.historian.step();
            let has_failed = self.disk.failed() || self.history_disk.failed();
            if has_failed || self.shelf.is_paused() {
                return false;
            }
            if self.shelf.taken().0 >= self.engine.inner.position.get() {
                return true;
            }
        }
        panic!("history never comes to rest");
    }

    /// What is in memory. All states must be where they belong.
    pub(crate) fn whole(&self) -> Whole {
        let parts = self.workers.iter().map(|worker| worker.state().unwrap().snapshot());
        let state = parts.reduce(Snapshot::join).unwrap();
        Whole { state, catalogue: self.sequencer.catalogue().snapshot() }
    }

    /// The process ends, with or without the power: the disk for the next one.
    pub(crate) fn crash(self, random: &mut Random) -> FakeDisk {
        self.crash_both(random).0
    }

    /// The same with the disk of history.
    pub(crate) fn crash_both(self, random: &mut Random) -> (FakeDisk, FakeDisk) {
        match random.below(4) {
            0 => (self.disk.restart(), self.history_disk.restart()),
            _ => (self.disk.power_loss(random), self.history_disk.power_loss(random)),
        }
    }
}

/// The states on the disk, each of which must hold by itself.
fn recovered_of(store: &mut Store, workers: u16) -> (Vec<Shard>, Box<Catalogue>, Recovered) {
    let seeds = ShardSettings { seed: 1, records_max: 1 << 20 };
    let mut recovery = Recovery::new(workers, seeds, Arc::default());
    let recovered = store.recover(&mut recovery).expect("it recovers");
    let (mut shards, catalogue) = recovery.finish(recovered.network_handle_max);
    assert_eq!(catalogue.check(), Vec::<String>::new());
    for shard in &mut shards {
        shard.set_restart_grace(GRACE_MS);
        assert_eq!(shard.check(), Vec::<String>::new());
    }
    (shards, catalogue, recovered)
}

fn shared_of(clock: &Arc<FakeClock>, journal: &impl Journal, incarnation: Incarnation) -> Shared {
    Shared {
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        pressure: Arc::new(Pressure::new(&journal.fill())),
        position: Arc::new(DurableMark::new(journal.position().next.0.saturating_sub(1))),
        incarnation,
        committer_bell: doorbell().0,
        adoption: Arc::default(),
        access: Arc::default(),
        audit: Arc::default(),
    }
}

fn feeder_of(shared: &Shared, checkpointer: &Checkpointer) -> (Arc<Feed>, Feeder) {
    let (position, bell) = (Arc::clone(&shared.position), doorbell().0);
    let feed = Feed::new(position, shared.incarnation, bell, FeedBounds::default());
    let (reader, figures) = (checkpointer.feed_reader(), CommitterFigures::new().0);
    let feeder = Feeder::new(Arc::clone(&feed), reader, Arc::clone(&shared.clock), figures);
    (feed, feeder)
}

/// Volumes end after 20 s or half a MiB, and blocks after a few batches.
pub(crate) const HISTORY: HistorySettings =
    HistorySettings { bytes_max: 64 << 20, age_ms_max: 32 * 20_000, block_bytes: 1_500 };

fn historian_of(
    (shared, folded, kept): (&Shared, &Arc<DurableMark>, &Arc<DurableMark>),
    reader: FeedReader,
    (disk, settings): (&FakeDisk, HistorySettings),
    identity: (ServerId, Incarnation),
) -> (Historian, Arc<Shelf>) {
    let shelf = Arc::new(Shelf::new(shared.clock.tick()));
    let historian = Historian::new(HistorianParts {
        reader,
        disk: Arc::new(disk.clone()),
        settings,
        identity,
        shelf: Arc::clone(&shelf),
        position: Arc::clone(&shared.position),
        folded: Arc::clone(folded),
        kept: Arc::clone(kept),
        wanted: Arc::new(Level::new(0)),
        pressure: Arc::clone(&shared.pressure),
        clock: Arc::clone(&shared.clock),
        figures: CommitterFigures::new().0,
    });
    (historian, shelf)
}

/// A fault of any kind within the next so many operations, now and then for good.
pub(crate) fn plan_fault(disk: &FakeDisk, within: u64, random: &mut Random) {
    let operations = [
        DiskOperation::Read,
        DiskOperation::Write,
        DiskOperation::Sync,
        DiskOperation::Name,
        DiskOperation::SetLen,
        DiskOperation::Any,
    ];
    let operation = operations[random.below(6) as usize];
    let failures =
        [Failure::Error(28), Failure::Short(28), Failure::Error(5), Failure::Forgotten(5)];
    let failure = failures[random.below(4) as usize];
    let at = disk.count(operation) + 1 + random.below(within);
    let for_good = random.below(6) == 0;
    disk.plan(Fault { operation, at, failure, for_good });
}

fn auditor_of(
    (shared, folded, kept): (&Shared, &Arc<DurableMark>, &Arc<DurableMark>),
    reader: FeedReader,
    disk: &FakeDisk,
    (server, incarnation): (ServerId, Incarnation),
) -> Auditor {
    Auditor::new(AuditorParts {
        reader,
        disk: Arc::new(disk.clone()),
        audited: Audited::All,
        bytes_max: crate::limits::AUDIT_BYTES_LEAST,
        header: Header { server, incarnation },
        desk: AuditDesk::kept(),
        position: Arc::clone(&shared.position),
        folded: Arc::clone(folded),
        kept: Arc::clone(kept),
        pressure: Arc::clone(&shared.pressure),
        clock: Arc::clone(&shared.clock),
        figures: CommitterFigures::new().0,
    })
}

fn fold_of(
    shared: &Shared,
    folded: &Arc<DurableMark>,
    checkpointer: Checkpointer,
    disk: &Arc<dyn Disk>,
) -> Fold {
    Fold::new(FoldParts {
        checkpointer,
        disk: Arc::clone(disk),
        directory: None,
        position: Arc::clone(&shared.position),
        folded: Arc::clone(folded),
        pressure: Arc::clone(&shared.pressure),
        clock: Arc::clone(&shared.clock),
        committer_bell: shared.committer_bell.clone(),
        figures: CommitterFigures::new().0,
        backups: Arc::new(BackupDesk::new(doorbell().0, Arc::clone(&shared.clock))),
    })
}

fn committer_of(
    (shared, folded): (&Shared, &Arc<DurableMark>),
    (intake, marks): (Consumer<HandOver>, Vec<Arc<DurableMark>>),
    (journal, sealer): (Box<dyn Journal>, BatchSealer),
    feed: &Arc<Feed>,
) -> Committer {
    Committer::new(CommitterParts {
        feed: Arc::clone(feed),
        intake,
        journal,
        sealer,
        marks,
        position: Arc::clone(&shared.position),
        folded: Arc::clone(folded),
        pressure: Arc::clone(&shared.pressure),
        clock: Arc::clone(&shared.clock),
        bells: Vec::new(),
        figures: CommitterFigures::new().0,
    })
}
