//! Builds the engine around recovered states and a store, starts its threads, and stops them in
//! the order in which nothing is lost. Decides nothing.

use super::access::{AccessDesk, table_of};
use super::audit::AuditDesk;
use super::auditor::{Auditor, AuditorParts};
use super::backup::BackupDesk;
use super::clock::Clock;
use super::committer::{Committer, CommitterParts};
use super::crew::Crew;
use super::feed::{Feed, FeedBounds};
use super::feeder::Feeder;
use super::figures::{CommitterFigures, CommitterFiguresReader};
use super::fold::{Fold, FoldParts};
use super::handle::{Active, Engine, Identity, Inner};
use super::handover::HandOver;
use super::historian::{Historian, HistorianParts};
use super::history::{HistoryDesk, Librarian};
use super::pressure::Pressure;
use super::sequencer::Sequencer;
use super::threads::{self, OnFailure};
use super::worker::{Shared, Worker};
use crate::allocator::{Catalogue, Shard};
use crate::audit::{Audited, Header};
use crate::journal::BatchSealer;
use crate::model::Incarnation;
use crate::store::history::{HistorySettings, Looker, Shelf};
use crate::store::{Checkpointer, Disk, Journal};
use addrd_sync::{Consumer, Doorbell, DurableMark, Flag, Level, Waiter, doorbell};
use std::sync::Arc;
use std::thread::JoinHandle;

/// What the engine is started with.
pub struct Start {
    /// Recovered states, one for each worker.
    pub shards: Vec<Shard>,
    /// What spans networks.
    pub catalogue: Box<Catalogue>,
    /// The journal; its last position is `position`.
    pub journal: Box<dyn Journal>,
    /// Numbers and links what is appended.
    pub sealer: BatchSealer,
    /// Reads what the journal wrote.
    pub checkpointer: Checkpointer,
    /// Where the files lie; `None` on a disk that isn't the system's.
    pub directory: Option<std::path::PathBuf>,
    /// Holds the lock of the directory for as long as the engine runs.
    pub disk: Arc<dyn Disk>,
    /// How much of history is kept; `None` = nothing.
    pub history: Option<HistorySettings>,
    /// The audit log, if one is kept.
    pub audit: Option<AuditStart>,
    /// Identity of the data.
    pub identity: Identity,
    /// Most records in memory.
    pub memory_records_max: u64,
    /// Source of time.
    pub clock: Arc<dyn Clock>,
    /// Called when a thread cannot go on.
    pub on_failure: OnFailure,
}

/// What an audit log is started with.
#[derive(Debug)]
pub struct AuditStart {
    /// Its directory.
    pub disk: Arc<dyn Disk>,
    /// What has lines.
    pub audited: Audited,
    /// Bytes of all its files, at most.
    pub bytes_max: u64,
}

/// A running engine.
pub struct Running {
    engine: Engine,
    stop_sequencer: Arc<Flag>,
    stop_workers: Arc<Flag>,
    stop_fold: Arc<Flag>,
    sequencer: JoinHandle<()>,
    workers: Vec<JoinHandle<()>>,
    committer: JoinHandle<()>,
    fold: JoinHandle<()>,
    fold_bell: Doorbell,
    feeder: JoinHandle<()>,
    feeder_bell: Doorbell,
    keepers: Option<Keepers>,
    auditor: Option<Watcher>,
    /// The lock of the directory.
    disk: Arc<dyn Disk>,
}

impl Running {
    /// The way in for connections.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Decides what is in the rings, makes it durable, folds everything, ends all threads.
    ///
    /// Connections must be drained before: what they submit from now on is rejected.
    pub fn stop(self) {
        // The sequencer borrows from the workers, and both hand over to the committer.
        self.stop_sequencer.raise();
        self.engine.inner.sequencer_bell.ring();
        join(self.sequencer);
        self.stop_workers.raise();
        self.engine.inner.doors.iter().for_each(|door| door.bell.ring());
        self.workers.into_iter().for_each(join);
        join(self.committer);
        // The fold waits for history and for the audit log.
        if let Some(keepers) = self.keepers {
            keepers.stop();
        }
        if let Some(auditor) = self.auditor {
            auditor.stop.raise();
            auditor.bell.ring();
            join(auditor.thread);
        }
        self.stop_fold.raise();
        self.fold_bell.ring();
        join(self.fold);
        self.feeder_bell.ring();
        join(self.feeder);
        drop(self.disk);
    }
}

/// The thread of the audit log.
struct Watcher {
    stop: Arc<Flag>,
    thread: JoinHandle<()>,
    bell: Doorbell,
}

/// The threads of history.
struct Keepers {
    stop: Arc<Flag>,
    historian: JoinHandle<()>,
    historian_bell: Doorbell,
    librarian: JoinHandle<()>,
    librarian_bell: Doorbell,
}

impl Keepers {
    fn stop(self) {
        self.stop.raise();
        self.librarian_bell.ring();
        join(self.librarian);
        self.historian_bell.ring();
        join(self.historian);
    }
}

fn join(thread: JoinHandle<()>) {
    // A panic in the thread was reported through `on_failure` already.
    drop(thread.join());
}

/// Starts all threads.
///
/// # Errors
/// The system gives no thread.
///
/// # Panics
/// If `shards` is empty or longer than a worker number reaches.
pub fn start(mut start: Start) -> std::io::Result<Running> {
    let workers = start.shards.len();
    assert!((1..usize::from(u16::MAX)).contains(&workers), "1 to 65,534 workers, not {workers}");
    let (shared, committer_waiter) = shared_of(&start);
    let folded = Arc::new(DurableMark::new(start.checkpointer.folded().0));
    let (feeder, feeder_waiter, feeder_reader) =
        hire_feeder(&shared, start.identity.incarnation, &start.checkpointer);
    let kept = Arc::new(DurableMark::new(if start.history.is_some() { 0 } else { u64::MAX }));
    let (history, keepers) = hire_keepers(&start, &shared, &folded, &kept);
    let audited = Arc::new(DurableMark::new(if start.audit.is_some() { 0 } else { u64::MAX }));
    let (auditor, auditor_reader) = hire_auditor(&mut start, &shared, &folded, &audited).unzip();
    let crew = Crew::hire(&shared, start.shards, start.catalogue);
    let (fold_figures, fold_reader) = CommitterFigures::new();
    let (fold_bell, fold_waiter) = doorbell();
    let backups = Arc::new(BackupDesk::new(fold_bell.clone(), Arc::clone(&shared.clock)));
    let fold = Fold::new(FoldParts {
        checkpointer: start.checkpointer,
        disk: Arc::clone(&start.disk),
        directory: start.directory,
        position: Arc::clone(&shared.position),
        folded: Arc::clone(&folded),
        pressure: Arc::clone(&shared.pressure),
        clock: Arc::clone(&shared.clock),
        committer_bell: shared.committer_bell.clone(),
        figures: fold_figures,
        backups: Arc::clone(&backups),
    })
    .behind(kept)
    .behind(audited);
    let hand_overs = (crew.bells(), crew.hand_overs, crew.marks);
    let journal = (start.journal, start.sealer);
    let (committer, committer_reader) =
        hire_committer((&shared, &folded), hand_overs, journal, feeder.feed());
    let engine = Engine {
        inner: Arc::new(Inner {
            doors: crew.doors,
            sequencer: crew.sequencer_ring,
            sequencer_bell: crew.sequencer_bell,
            clock: shared.clock,
            identity: start.identity,
            position: shared.position,
            folded,
            pressure: shared.pressure,
            memory_records_max: start.memory_records_max,
            active: Active::default(),
            adoption: shared.adoption,
            access: shared.access,
            backups,
            history,
            audit: shared.audit,
            auditor_figures: auditor_reader,
            worker_figures: crew.figures,
            committer_figures: committer_reader,
            fold_figures: fold_reader,
            feeder_figures: feeder_reader,
            feed: Arc::clone(feeder.feed()),
            commit_ring: crew.commit_ring,
        }),
    };
    let committer = (committer, committer_waiter);
    let (workers, sequencer) = (crew.workers, crew.sequencer);
    let fold = (fold, fold_bell, fold_waiter);
    let feeder = (feeder, feeder_waiter);
    let disk = start.disk;
    let loops = Loops { workers, sequencer, committer, fold, feeder, keepers, auditor, disk };
    loops.spawn(engine, &start.on_failure)
}

/// What all threads share, and what wakes the committer.
fn shared_of(start: &Start) -> (Shared, Waiter) {
    let last = start.journal.position().next.0.saturating_sub(1);
    let (committer_bell, waiter) = doorbell();
    let shared = Shared {
        clock: Arc::clone(&start.clock),
        pressure: Arc::new(Pressure::new(&start.journal.fill())),
        position: Arc::new(DurableMark::new(last)),
        incarnation: start.identity.incarnation,
        committer_bell,
        adoption: Arc::new(Level::new(start.catalogue.adoption().0)),
        access: AccessDesk::new(table_of(&start.catalogue)),
        audit: match &start.audit {
            Some(_) => AuditDesk::kept(),
            None => Arc::default(),
        },
    };
    (shared, waiter)
}

/// Who writes the journal, over hand-overs, and marks and bells of those who make them.
fn hire_committer(
    (shared, folded): (&Shared, &Arc<DurableMark>),
    (bells, intake, marks): (Vec<Doorbell>, Consumer<HandOver>, Vec<Arc<DurableMark>>),
    (journal, sealer): (Box<dyn Journal>, BatchSealer),
    feed: &Arc<Feed>,
) -> (Committer, CommitterFiguresReader) {
    let (figures, reader) = CommitterFigures::new();
    let committer = Committer::new(CommitterParts {
        intake,
        journal,
        sealer,
        marks,
        position: Arc::clone(&shared.position),
        folded: Arc::clone(folded),
        pressure: Arc::clone(&shared.pressure),
        clock: Arc::clone(&shared.clock),
        feed: Arc::clone(feed),
        bells,
        figures,
    });
    (committer, reader)
}

/// The feeder and what wakes it, with the feed that nobody watches yet.
fn hire_feeder(
    shared: &Shared,
    incarnation: Incarnation,
    checkpointer: &Checkpointer,
) -> (Feeder, Waiter, CommitterFiguresReader) {
    let (bell, waiter) = doorbell();
    let position = Arc::clone(&shared.position);
    let feed = Feed::new(position, incarnation, bell, FeedBounds::default());
    let (figures, reader) = CommitterFigures::new();
    let clock = Arc::clone(&shared.clock);
    (Feeder::new(feed, checkpointer.feed_reader(), clock, figures), waiter, reader)
}

type Hired = (Historian, Waiter, Librarian, Waiter);

/// Who keeps history and who looks it up, if it is kept, and the desk where it is asked for.
fn hire_keepers(
    start: &Start,
    shared: &Shared,
    folded: &Arc<DurableMark>,
    kept: &Arc<DurableMark>,
) -> (Arc<HistoryDesk>, Option<Hired>) {
    let (clock, position) = (Arc::clone(&shared.clock), Arc::clone(&shared.position));
    let shelf = Arc::new(Shelf::new(clock.tick()));
    let Some(settings) = start.history else {
        return (HistoryDesk::new(None, shelf, position, clock), None);
    };
    let (bell, librarian_waiter) = doorbell();
    let (historian_bell, historian_waiter) = doorbell();
    let wanted = Arc::new(Level::new(0));
    let (figures, reader) = CommitterFigures::new();
    let Identity { server_id, incarnation } = start.identity;
    let historian = Historian::new(HistorianParts {
        reader: start.checkpointer.feed_reader(),
        disk: Arc::clone(&start.disk),
        settings,
        identity: (server_id, incarnation),
        shelf: Arc::clone(&shelf),
        position: Arc::clone(&position),
        folded: Arc::clone(folded),
        kept: Arc::clone(kept),
        wanted: Arc::clone(&wanted),
        pressure: Arc::clone(&shared.pressure),
        clock: Arc::clone(&clock),
        figures,
    });
    let looker = Looker::new(Arc::clone(&start.disk), Arc::clone(&shelf), server_id);
    let desk = HistoryDesk::new(Some((bell, reader)), shelf, position, clock);
    let librarian = Librarian::new(Arc::clone(&desk), looker, (historian_bell, wanted));
    (desk, Some((historian, historian_waiter, librarian, librarian_waiter)))
}

/// Who writes the audit log, if one is kept.
fn hire_auditor(
    start: &mut Start,
    shared: &Shared,
    folded: &Arc<DurableMark>,
    kept: &Arc<DurableMark>,
) -> Option<(Auditor, CommitterFiguresReader)> {
    let AuditStart { disk, audited, bytes_max } = start.audit.take()?;
    let (figures, reader) = CommitterFigures::new();
    let Identity { server_id, incarnation } = start.identity;
    let auditor = Auditor::new(AuditorParts {
        reader: start.checkpointer.feed_reader(),
        disk,
        audited,
        bytes_max,
        header: Header { server: server_id, incarnation },
        desk: Arc::clone(&shared.audit),
        position: Arc::clone(&shared.position),
        folded: Arc::clone(folded),
        kept: Arc::clone(kept),
        pressure: Arc::clone(&shared.pressure),
        clock: Arc::clone(&shared.clock),
        figures,
    });
    Some((auditor, reader))
}

/// All loops, ready to be given threads.
struct Loops {
    workers: Vec<(Worker, Waiter)>,
    sequencer: (Sequencer, Waiter),
    committer: (Committer, Waiter),
    fold: (Fold, Doorbell, Waiter),
    feeder: (Feeder, Waiter),
    keepers: Option<Hired>,
    auditor: Option<Auditor>,
    disk: Arc<dyn Disk>,
}

impl Loops {
    fn spawn(self, engine: Engine, on_failure: &OnFailure) -> std::io::Result<Running> {
        let [stop_sequencer, stop_workers, stop_fold] = [(); 3].map(|()| Arc::new(Flag::new()));
        let on_failure = fail_once(engine.clone(), on_failure);
        let mut workers = Vec::new();
        for (number, (worker, waiter)) in self.workers.into_iter().enumerate() {
            let stop = Arc::clone(&stop_workers);
            let body = move || {
                threads::run_worker(worker, waiter, &stop);
                Ok(())
            };
            let name = format!("worker-{number}");
            workers.push(threads::spawn(&name, Arc::clone(&on_failure), body)?);
        }
        let (stop, doors) = (Arc::clone(&stop_sequencer), engine.inner.doors.clone());
        let (sequencer, waiter) = self.sequencer;
        let sequencer = threads::spawn("sequencer", Arc::clone(&on_failure), move || {
            threads::run_sequencer(sequencer, waiter, &doors, &stop);
            Ok(())
        })?;
        let (committer, waiter) = self.committer;
        let committer = threads::spawn("committer", Arc::clone(&on_failure), move || {
            threads::run_committer(committer, waiter)
        })?;
        let ((fold, fold_bell, fold_waiter), stop) = (self.fold, Arc::clone(&stop_fold));
        let fold = threads::spawn("fold", Arc::clone(&on_failure), move || {
            threads::run_fold(fold, fold_waiter, &stop)
        })?;
        let ((feeder, waiter), stop) = (self.feeder, Arc::clone(&stop_fold));
        let feeder_bell = waiter.doorbell();
        let feeder = threads::spawn("feeder", Arc::clone(&on_failure), move || {
            threads::run_feeder(feeder, waiter, &stop);
            Ok(())
        })?;
        let keepers = self.keepers.map(|hired| spawn_keepers(hired, &on_failure)).transpose()?;
        let auditor =
            self.auditor.map(|auditor| spawn_auditor(auditor, &on_failure)).transpose()?;
        Ok(Running {
            engine,
            stop_sequencer,
            stop_workers,
            stop_fold,
            sequencer,
            workers,
            committer,
            fold,
            fold_bell,
            feeder,
            feeder_bell,
            keepers,
            auditor,
            disk: self.disk,
        })
    }
}

fn spawn_keepers(hired: Hired, on_failure: &OnFailure) -> std::io::Result<Keepers> {
    let (historian, historian_waiter, librarian, librarian_waiter) = hired;
    let stop = Arc::new(Flag::new());
    let historian_bell = historian_waiter.doorbell();
    let librarian_bell = librarian_waiter.doorbell();
    let own = Arc::clone(&stop);
    let historian = threads::spawn("historian", Arc::clone(on_failure), move || {
        threads::run_historian(historian, historian_waiter, &own);
        Ok(())
    })?;
    let own = Arc::clone(&stop);
    let librarian = threads::spawn("librarian", Arc::clone(on_failure), move || {
        threads::run_librarian(librarian, librarian_waiter, &own);
        Ok(())
    })?;
    Ok(Keepers { stop, historian, historian_bell, librarian, librarian_bell })
}

fn spawn_auditor(auditor: Auditor, on_failure: &OnFailure) -> std::io::Result<Watcher> {
    let (stop, (bell, waiter)) = (Arc::new(Flag::new()), doorbell());
    let own = Arc::clone(&stop);
    let thread = threads::spawn("auditor", Arc::clone(on_failure), move || {
        threads::run_auditor(auditor, waiter, &own);
        Ok(())
    })?;
    Ok(Watcher { stop, thread, bell })
}

/// Only the first failure is reported: the others follow from it.
fn fail_once(engine: Engine, on_failure: &OnFailure) -> OnFailure {
    let on_failure = Arc::clone(on_failure);
    Arc::new(move |text| {
        if engine.inner.pressure.is_failed.raise() {
            on_failure(text);
        }
    })
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("workers", &self.workers.len()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Start").field("shards", &self.shards.len()).finish_non_exhaustive()
    }
}
