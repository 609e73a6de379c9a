//! Random schedules (T12): workers, sequencer, committer and fold are stepped one at a time in an order
//! drawn from a seed, a rendezvous in its single moves, on a disk that loses power in between.
//! What was answered is there afterwards, nothing is given twice, every request is answered once,
//! and every state that was lent comes back.
//!
//! `ADDRD_SCHEDULES` sets how many seeds are tried, `ADDRD_SCHEDULE_SEED` tries that one alone. A
//! failing seed is named in the panic.

mod clients;
mod oracle;
mod quotas;
mod requests;
mod sharing;

use super::*;
use crate::allocator::{CatalogueSnapshot, Snapshot};
use crate::engine::crew::Crew;
use crate::engine::fold::{Fold, FoldParts};
use crate::engine::handle::Inner;
use crate::engine::sequencer::{Agenda, Borrowing, Lent, Sequencer, loan};
use crate::engine::worker::{Shared, Work, Worker};
use crate::store::fake_disk::{Failure, FakeDisk, Fault, Operation as DiskOperation, Random};
use crate::store::{Checkpointer, Disk, Store};
use addrd_sync::{Class, Consumer, Cost, Level, doorbell};
use clients::Clients;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

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
struct Stage {
    engine: Engine,
    workers: Vec<Worker>,
    /// Whose state was given back and not taken yet.
    is_back: Vec<bool>,
    sequencer: Sequencer,
    rendezvous: Rendezvous,
    committer: Committer,
    fold: Fold,
    clock: Arc<FakeClock>,
    disk: FakeDisk,
    /// Holds the lock.
    _held: Arc<dyn Disk>,
}

/// What every state is, as it is read from memory.
#[derive(Debug, PartialEq)]
struct Whole {
    state: Snapshot,
    catalogue: CatalogueSnapshot,
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
    fn recover(disk: FakeDisk, workers: u16) -> Self {
        let mut store = Store::open(Arc::new(disk.clone()), &SETTINGS).expect("it opens");
        let seeds = ShardSettings { seed: 1, records_max: 1 << 20 };
        let mut recovery = Recovery::new(workers, seeds, Arc::default());
        let recovered = store.recover(&mut recovery).expect("it recovers");
        let sealer = store.journal.sealer(store.identity());
        let format = store.format();
        let (journal, checkpointer, held) = store.split();
        let (shards, catalogue) = recovery.finish(recovered.network_handle_max);
        assert_eq!(catalogue.check(), Vec::<String>::new());
        for shard in &shards {
            assert_eq!(shard.check(), Vec::<String>::new());
        }
        let clock = Arc::new(FakeClock::new(Tick(recovered.tick.0 + 1)));
        let (committer_bell, _) = doorbell();
        let shared = Shared {
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            pressure: Arc::new(Pressure::new(&journal.fill())),
            position: Arc::new(DurableMark::new(journal.position().next.0.saturating_sub(1))),
            incarnation: format.incarnation,
            committer_bell,
            adoption: Arc::default(),
        };
        let folded = Arc::new(DurableMark::new(checkpointer.folded().0));
        let crew = Crew::hire(&shared, shards, catalogue);
        let fold = fold_of(&shared, &folded, checkpointer, &held);
        let journal = Box::new(journal);
        let committer =
            committer_of(&shared, &folded, (crew.hand_overs, crew.marks), (journal, sealer));
        let engine = Engine {
            inner: Arc::new(Inner {
                doors: crew.doors,
                sequencer: crew.sequencer_ring,
                sequencer_bell: crew.sequencer_bell,
                backups: Arc::new(BackupDesk::new(doorbell().0, Arc::clone(&shared.clock))),
                history: crate::engine::HistoryDesk::idle(&shared.clock),
                clock: shared.clock,
                identity: Identity { server_id: format.server, incarnation: format.incarnation },
                position: shared.position,
                folded,
                pressure: shared.pressure,
                memory_records_max: 1 << 20,
                active: Level::new(1),
                adoption: shared.adoption,
                worker_figures: crew.figures,
                committer_figures: CommitterFigures::new().1,
                fold_figures: CommitterFigures::new().1,
                feeder_figures: CommitterFigures::new().1,
                feed: crate::engine::Feed::idle(),
                commit_ring: crew.commit_ring,
            }),
        };
        let workers: Vec<Worker> = crew.workers.into_iter().map(|(worker, _)| worker).collect();
        Self {
            engine,
            is_back: vec![false; workers.len()],
            workers,
            sequencer: crew.sequencer.0,
            rendezvous: Rendezvous::None,
            committer,
            fold,
            clock,
            disk,
            _held: held,
        }
    }

    /// One move of a random thread.
    ///
    /// # Errors
    /// The disk failed: the process ends.
    fn step(&mut self, random: &mut Random) -> Result<(), StoreError> {
        match random.below(10) {
            0..4 => {
                let which = random.below(self.workers.len() as u64) as usize;
                self.step_worker(which);
            }
            4..7 => _ = self.step_sequencer(),
            7 | 8 => _ = self.committer.step()?,
            _ => {
                self.clock.advance(random.below(400));
                self.fold.step()?;
            }
        }
        Ok(())
    }

    /// A step of a worker; none while its state is away, since that would wait.
    fn step_worker(&mut self, which: usize) -> Progress {
        let worker = &mut self.workers[which];
        if worker.state().is_none() && !std::mem::take(&mut self.is_back[which]) {
            return Progress::Blocked;
        }
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
    fn settle(&mut self) -> Result<(), StoreError> {
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

    /// What is in memory. All states must be where they belong.
    fn whole(&self) -> Whole {
        let parts = self.workers.iter().map(|worker| worker.state().unwrap().snapshot());
        let state = parts.reduce(Snapshot::join).unwrap();
        Whole { state, catalogue: self.sequencer.catalogue().snapshot() }
    }

    /// The process ends, with or without the power: the disk for the next one.
    fn crash(self, random: &mut Random) -> FakeDisk {
        if random.below(4) == 0 { self.disk.restart() } else { self.disk.power_loss(random) }
    }
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
    shared: &Shared,
    folded: &Arc<DurableMark>,
    (intake, marks): (Consumer<HandOver>, Vec<Arc<DurableMark>>),
    (journal, sealer): (Box<dyn Journal>, BatchSealer),
) -> Committer {
    Committer::new(CommitterParts {
        feed: crate::engine::Feed::idle(),
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

/// Lives of one engine, one after the other, from one seed.
fn run(blank: &FakeDisk, seed: u64) {
    let random = &mut Random::new(seed);
    let mut disk = blank.fork().restart();
    let mut clients = Clients::default();
    for life in 0..3 {
        let mut stage = Stage::recover(disk, 1 + random.below(3) as u16);
        clients.recovered(&stage.whole());
        clients.set_up(&stage.engine);
        stage.settle().expect("nothing fails yet");
        clients.take_answers(stage.clock.tick());
        if random.below(3) == 0 {
            let failure = if random.below(2) == 0 { Failure::Power } else { Failure::Error(5) };
            let at = stage.disk.count(DiskOperation::Any) + 1 + random.below(400);
            let operation = DiskOperation::Any;
            stage.disk.plan(Fault { operation, at, failure, for_good: true });
        }
        let lived = live(&mut stage, &mut clients, random);
        let at_rest = match lived {
            // Half of the lives end in the middle of things.
            Ok(true) if random.below(2) == 0 => stage.settle().is_ok().then(|| stage.whole()),
            _ => None,
        };
        clients.take_answers(stage.clock.tick());
        if at_rest.is_some() {
            assert_eq!(clients.waiting(), 0, "every request is answered once, life {life}");
        }
        disk = stage.crash(random);
        clients.cut_off();
        if let Some(before) = at_rest {
            let again = Stage::recover(disk.fork().restart(), 1 + random.below(3) as u16);
            assert_eq!(again.whole(), before, "at rest everything is on the disk");
        }
    }
    clients.recovered(&Stage::recover(disk, 2).whole());
}

/// Some hundred moves. False: it ends in the middle of things, on purpose.
fn live(stage: &mut Stage, clients: &mut Clients, random: &mut Random) -> Result<bool, StoreError> {
    for _ in 0..200 + random.below(1_000) {
        if random.below(3) == 0 {
            clients.send(&stage.engine, random);
        }
        stage.step(random)?;
        clients.take_answers(stage.clock.tick());
        if std::mem::take(&mut clients.has_seen_unanswered) && random.below(4) == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[test]
fn random_schedules_lose_nothing_and_give_nothing_twice() {
    let blank = FakeDisk::new();
    Store::create(Arc::new(blank.clone()), &SETTINGS, ServerId::from_u128(9)).unwrap();
    let seeds = match number("ADDRD_SCHEDULE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ADDRD_SCHEDULES").unwrap_or(60),
    };
    for seed in seeds {
        let done = catch_unwind(AssertUnwindSafe(|| run(&blank, seed)));
        if let Err(panic) = done {
            // Said here, since the panic itself does not know it.
            report(seed);
            resume_unwind(panic);
        }
    }
}

#[expect(clippy::print_stderr, reason = "the seed of a failing run is read in its output")]
fn report(seed: u64) {
    eprintln!("ADDRD_SCHEDULE_SEED={seed} fails");
}
