//! The checkpointer: takes committed batches from the journal, a chunk at a time, and folds them
//! into the state slice by slice. A step machine without a thread or a clock; who calls it paces
//! it.

use super::backend::Ahead;
use super::directory::STATE_FILE;
use super::error::{StoreError, guarded};
use super::fold::Chunk;
use super::journal::JournalSource;
use super::names::FeedReader;
use super::state::{FoldPlace, State};
use crate::limits::{FOLD_AHEAD_BYTES, FOLD_CHUNK_BYTES_MAX, FOLD_SLICE_BYTES};
use crate::model::Seq;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is no chunk: [`Checkpointer::begin`] starts one.
    Idle,
    /// One bounded piece is done, there is more.
    Working,
    /// The disk is full: nothing was done and nothing is wrong; the step can be tried again.
    Full,
    /// The chunk is folded: the journal may be trimmed up to and including this hand-over.
    Finished(Seq),
}

/// Folds the journal into the state.
///
/// Concurrency: owned by the checkpointer's thread; reads the journal beside its writer.
#[derive(Debug)]
pub struct Checkpointer {
    pub(crate) state: State,
    pub(crate) source: Box<dyn JournalSource>,
    pub(crate) phase: Phase,
    pub(crate) slice_bytes: usize,
}

/// Where the checkpointer is in its work.
#[derive(Debug)]
pub(crate) enum Phase {
    Idle,
    /// Batches are being taken from the journal, up to `until` or `records_max` records.
    Reading {
        chunk: Box<Chunk>,
        until: Seq,
        records_max: u64,
    },
    /// The chunk is in memory, sorted; some of it is folded.
    Folding {
        chunk: Box<Chunk>,
        place: FoldPlace,
    },
}

impl Checkpointer {
    pub(crate) fn new(state: State, source: Box<dyn JournalSource>, slice_bytes: usize) -> Self {
        Self { state, source, phase: Phase::Idle, slice_bytes }
    }

    /// The state has all hand-overs up to this one.
    #[must_use]
    pub fn folded(&self) -> Seq {
        self.state.meta.folded
    }

    /// Whether there is a chunk in work.
    #[must_use]
    pub fn is_working(&self) -> bool {
        !matches!(self.phase, Phase::Idle)
    }

    /// Reads names and changes beside the fold, for those who watch.
    #[must_use]
    pub fn feed_reader(&self) -> FeedReader {
        FeedReader::new(Arc::clone(&self.state.database), self.source.another())
    }

    /// Length of the state's file, in bytes.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.state.backend.file_bytes()
    }

    /// The directory is sound: the state's file may change from now on.
    pub(crate) fn release(&self) -> io::Result<()> {
        self.state.backend.release()
    }

    /// Starts a chunk of at most about `records_max` records, up to the hand-over `durable`.
    ///
    /// Returns `false` if there is nothing to fold, or a chunk is in work already. After a crash
    /// in the middle of a chunk that chunk is in work from the start.
    pub fn begin(&mut self, records_max: u64, durable: Seq) -> bool {
        if self.is_working() || durable <= self.folded() {
            return false;
        }
        let chunk = Box::new(Chunk::behind(self.state.meta.anchor()));
        self.phase = Phase::Reading { chunk, until: durable, records_max };
        true
    }

    /// Does one bounded piece of work: reads 4 MiB of journal, sorts, writes 4 MiB of zeros
    /// where the state will grow, or folds one slice in a durable transaction.
    ///
    /// # Errors
    /// [`StoreError`]: the state can't be used any more in this process.
    pub fn step(&mut self) -> Result<Step, StoreError> {
        guarded(STATE_FILE, || self.work())
    }

    fn work(&mut self) -> Result<Step, StoreError> {
        debug_assert!(self.state.backend.is_released(), "recovery comes before the first step");
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Idle => Ok(Step::Idle),
            Phase::Reading { chunk, until, records_max } => {
                self.read(chunk, until, records_max)?;
                Ok(if self.is_working() { Step::Working } else { Step::Idle })
            }
            Phase::Folding { chunk, place } => self.fold(chunk, place),
        }
    }

    fn read(
        &mut self,
        mut chunk: Box<Chunk>,
        until: Seq,
        records_max: u64,
    ) -> Result<(), StoreError> {
        let more = read_chunk(&*self.source, &mut chunk, until, records_max)?;
        if more {
            self.phase = Phase::Reading { chunk, until, records_max };
        } else if chunk.last > self.folded() {
            chunk.seal();
            self.phase = Phase::Folding { chunk, place: FoldPlace::default() };
        }
        Ok(())
    }

    fn fold(&mut self, chunk: Box<Chunk>, place: FoldPlace) -> Result<Step, StoreError> {
        let ahead = self.state.backend.write_ahead(FOLD_AHEAD_BYTES, FOLD_SLICE_BYTES as u64);
        let ahead = ahead.map_err(StoreError::io(STATE_FILE, "making space in"))?;
        if ahead != Ahead::Enough {
            self.phase = Phase::Folding { chunk, place };
            return Ok(if ahead == Ahead::Full { Step::Full } else { Step::Working });
        }
        let place = self.state.fold_slice(&chunk, place, self.slice_bytes)?;
        if self.state.meta.folded == chunk.last {
            return Ok(Step::Finished(chunk.last));
        }
        self.phase = Phase::Folding { chunk, place };
        Ok(Step::Working)
    }
}

/// Adds what one reading gives; returns whether to read on.
pub(crate) fn read_chunk(
    source: &dyn JournalSource,
    chunk: &mut Chunk,
    until: Seq,
    records_max: u64,
) -> Result<bool, StoreError> {
    let from = Seq(chunk.last.0 + 1);
    let mut full = false;
    let more = source.read(from, &mut |batch, place| {
        let at = batch.header().first;
        full |= batch.header().last > until
            || (chunk.records > 0
                && (chunk.records + u64::from(batch.header().records) > records_max
                    || chunk.bytes() + batch.record_bytes().len() > FOLD_CHUNK_BYTES_MAX));
        if full {
            return Ok(ControlFlow::Break(()));
        }
        chunk.add(batch, place).map_err(|source| StoreError::Batch { at, source })?;
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(more && !full && chunk.last < until)
}
