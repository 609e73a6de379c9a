//! Runs a server without a server: rounds of random effects into the journal, folds in between,
//! and the judgement of what a recovery finds.

use crate::generator::Generator;
use crate::model::Model;
use addrd::journal::{BatchSealer, RecordBuffer};
use addrd::model::{EffectSink, Seq, ServerId, Tick};
use addrd::store::fake_disk::{FakeDisk, Random};
use addrd::store::{BatchRow, Journal, Presence, Round, Settings, Step, Store, StoreError};
use std::sync::Arc;

/// What has been promised, and what may be there besides.
#[derive(Clone, Debug)]
pub(crate) struct Oracle {
    /// The state after all acknowledged hand-overs.
    acknowledged: Generator,
    acknowledged_next: u64,
    /// The states behind each row of a round of unknown outcome, in order.
    in_flight: Vec<(Generator, u64)>,
    tick: u64,
    /// Planted: rows are trimmed whether folded or not.
    trims_ahead: bool,
    /// Damage may be told in any words.
    any_error: bool,
    /// What the runs met with.
    pub(crate) met: Met,
}

/// How often a run met with what it is for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Met {
    pub(crate) recoveries: u64,
    /// Starts that were cut short while the directory was made.
    pub(crate) creations_cut: u64,
    /// Starts that were cut short over a directory with data.
    pub(crate) recoveries_cut: u64,
    /// Folds that were cut short.
    pub(crate) folds_cut: u64,
    /// Recoveries that found a chunk whose fold was cut short.
    pub(crate) unfinished_folds: u64,
    /// Recoveries that found a round whose outcome was not known.
    pub(crate) unknown_rounds: u64,
    /// Of these, those of which only the first rows were there.
    pub(crate) cut_rounds: u64,
    pub(crate) rounds: u64,
    pub(crate) folds: u64,
    pub(crate) trimmed_rows: u64,
}

impl Met {
    pub(crate) fn add(&mut self, other: &Self) {
        self.recoveries += other.recoveries;
        self.creations_cut += other.creations_cut;
        self.recoveries_cut += other.recoveries_cut;
        self.folds_cut += other.folds_cut;
        self.unfinished_folds += other.unfinished_folds;
        self.unknown_rounds += other.unknown_rounds;
        self.cut_rounds += other.cut_rounds;
        self.rounds += other.rounds;
        self.folds += other.folds;
        self.trimmed_rows += other.trimmed_rows;
    }
}

/// What went wrong with the server, not with the disk.
pub(crate) type Violation = String;

/// How a run of a process ended.
#[derive(Debug)]
pub(crate) enum End {
    /// By an error, as it must after a fault.
    Failed,
    /// All rounds are done.
    Done(Box<Store>),
}

pub(crate) fn settings(random: &mut Random) -> Settings {
    Settings {
        journal_records_max: 512,
        state_cache_bytes: 1 << 20,
        state_bytes: 128 << 10,
        reserve_bytes: 4_096,
        fold_slice_bytes: [1, 5_000, 20_000, 1 << 20][random.below(4) as usize],
    }
}

impl Oracle {
    pub(crate) fn new(trims_ahead: bool) -> Self {
        Self {
            acknowledged: Generator::default(),
            acknowledged_next: 1,
            in_flight: Vec::new(),
            tick: 1_000,
            trims_ahead,
            any_error: false,
            met: Met::default(),
        }
    }

    /// Starts a process on the disk, checks what it finds, and lets it work for some rounds.
    pub(crate) fn run(
        &mut self,
        disk: &FakeDisk,
        rounds: u64,
        random: &mut Random,
    ) -> Result<End, Violation> {
        let mut store = match self.start(disk, random)? {
            Ok(store) => store,
            Err(_) => {
                let has_data = disk.has("FORMAT");
                self.met.recoveries_cut += u64::from(has_data);
                self.met.creations_cut += u64::from(!has_data);
                return Ok(End::Failed);
            }
        };
        let mut sealer = store.journal.sealer(store.identity());
        for _ in 0..rounds {
            if let Err(error) = self.round(&mut store, &mut sealer, random) {
                return self.judge_error(disk, error).map(|_| End::Failed);
            }
            let folded = store.checkpointer.folded();
            if let Err(error) = fold(&mut store, random) {
                self.met.folds_cut += 1;
                return self.judge_error(disk, error).map(|_| End::Failed);
            }
            self.met.folds += u64::from(store.checkpointer.folded() > folded);
        }
        Ok(End::Done(store))
    }

    /// Opens or creates, recovers, and compares.
    fn start(
        &mut self,
        disk: &FakeDisk,
        random: &mut Random,
    ) -> Result<Result<Box<Store>, StoreError>, Violation> {
        let settings = settings(random);
        let open = || {
            let shared = Arc::new(disk.clone());
            match Store::presence(disk)? {
                Presence::Present => Store::open(shared, &settings),
                _ => Store::create(shared, &settings, ServerId::from_u128(42)),
            }
        };
        let mut model = Model::default();
        let started = open().and_then(|mut store| {
            let recovered = store.recover(&mut model)?;
            model.adoption = recovered.adoption;
            Ok((Box::new(store), recovered))
        });
        match started {
            Ok((store, recovered)) => {
                self.judge(&model, recovered.next.0)?;
                self.met.recoveries += 1;
                self.met.unfinished_folds += u64::from(store.checkpointer.is_working());
                let known = &self.acknowledged;
                let max = (recovered.network_handle_max, recovered.job_max);
                if max != (known.network_handle_max, known.job_max) {
                    return Err(format!("highest numbers {max:?} of {known:?}"));
                }
                Ok(Ok(store))
            }
            Err(error) => self.judge_error(disk, error).map(Err),
        }
    }

    /// The recovered state is what was acknowledged, or that and the first rows of the round in
    /// flight; from now on it is promised.
    fn judge(&mut self, found: &Model, next: u64) -> Result<(), Violation> {
        if next != self.acknowledged_next {
            let is_found = |(_, flight_next): &(_, u64)| *flight_next == next;
            let Some(row) = self.in_flight.iter().position(is_found) else {
                let flight: Vec<_> = self.in_flight.iter().map(|(_, next)| next).collect();
                let promised = self.acknowledged_next;
                return Err(format!("next is {next}, promised {promised} or one of {flight:?}"));
            };
            self.met.unknown_rounds += 1;
            self.met.cut_rounds += u64::from(row + 1 < self.in_flight.len());
            (self.acknowledged, self.acknowledged_next) = self.in_flight.swap_remove(row);
        }
        self.in_flight.clear();
        if *found == self.acknowledged.model {
            return Ok(());
        }
        Err(format!("at {next} found {found:#?}\nbut promised {:#?}", self.acknowledged.model))
    }

    /// From now on the disk is damaged.
    pub(crate) fn takes_any_error(&mut self) {
        self.any_error = true;
    }

    /// An error is right after a fault of the disk, and wrong without one. It must not speak of
    /// damage: who believes that restores a backup.
    fn judge_error(&self, disk: &FakeDisk, error: StoreError) -> Result<StoreError, Violation> {
        match error {
            error if self.any_error => Ok(error),
            error if !disk.failed() => Err(format!("refused without a fault: {error:?}")),
            error @ StoreError::Io { .. } => Ok(error),
            error => Err(format!("a fault of the disk is told as {error:?}")),
        }
    }

    fn round(
        &mut self,
        store: &mut Store,
        sealer: &mut BatchSealer,
        random: &mut Random,
    ) -> Result<(), StoreError> {
        let mut next = self.acknowledged.clone();
        let mut rows = Vec::new();
        for _ in 0..=random.below(3) {
            let hand_overs: Vec<RecordBuffer> =
                (0..=random.below(3)).map(|_| hand_over(&mut next, random)).collect();
            self.in_flight.push((next.clone(), 0));
            rows.push(hand_overs);
        }
        self.tick += random.below(3);
        let rows: Vec<_> = rows.iter().map(|row| seal(sealer, row, Tick(self.tick))).collect();
        for ((_, next), row) in self.in_flight.iter_mut().zip(&rows) {
            *next = row.header.last.0 + 1;
        }
        let trim_to = if self.trims_ahead { Seq(u64::MAX) } else { store.checkpointer.folded() };
        let rows_before = store.journal.position().rows + rows.len() as u64;
        store.journal.append(&Round { rows: &rows, trim_to })?;
        self.met.rounds += 1;
        self.met.trimmed_rows += rows_before - store.journal.position().rows;
        if let Some(last) = self.in_flight.pop() {
            (self.acknowledged, self.acknowledged_next) = last;
        }
        self.in_flight.clear();
        Ok(())
    }
}

fn hand_over(generator: &mut Generator, random: &mut Random) -> RecordBuffer {
    let mut buffer = RecordBuffer::default();
    generator.hand_over(random).iter().for_each(|effect| buffer.push(effect));
    buffer
}

fn seal<'a>(sealer: &mut BatchSealer, row: &'a [RecordBuffer], tick: Tick) -> BatchRow<'a> {
    let parts: Vec<&[u8]> = row.iter().map(RecordBuffer::as_bytes).collect();
    let records = row.iter().map(RecordBuffer::record_count).sum();
    let header = sealer.seal(tick, row.len() as u32, records, &parts);
    BatchRow { header, parts }
}

/// Some steps of the checkpointer; as many as it takes when the journal gets full.
fn fold(store: &mut Store, random: &mut Random) -> Result<(), StoreError> {
    let full = store.journal.fill().percent() > 60;
    let durable = Seq(store.journal.position().next.0 - 1);
    if random.one_in(6) || full {
        store.checkpointer.begin(1 + random.below(200), durable);
    }
    let mut steps = random.below(4);
    while full || steps > 0 {
        match store.checkpointer.step()? {
            Step::Working => {}
            Step::Idle | Step::Full | Step::Finished(_) => break,
        }
        steps = steps.saturating_sub(1);
    }
    Ok(())
}
