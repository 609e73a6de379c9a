//! The committer: takes whole hand-overs in ring order, makes them durable, one transaction a
//! round, and lets their replies go. It never looks into a record and never commits by a timer: a
//! round is what queued up during the last one, within bounds.

use super::Progress;
use super::clock::Clock;
use super::feed::Feed;
use super::figures::CommitterFigures;
use super::handover::HandOver;
use super::operation::Stages;
use super::pressure::Pressure;
use crate::journal::BatchSealer;
use crate::limits;
use crate::model::{EffectSink, Seq, Tick};
use crate::planted::{Bug, is_planted};
use crate::store::{BatchRow, Journal, Round, StoreError};
use addrd_sync::{Consumer, Cost, Doorbell, DurableMark};
use std::fmt;
use std::sync::Arc;

/// What the committer is made of.
#[derive(Debug)]
pub struct CommitterParts {
    /// The ring of hand-overs.
    pub intake: Consumer<HandOver>,
    /// The journal; nobody else writes it.
    pub journal: Box<dyn Journal>,
    /// Numbers and links what is appended.
    pub sealer: BatchSealer,
    /// For each source, which of its hand-overs are durable.
    pub marks: Vec<Arc<DurableMark>>,
    /// Durable position of the journal.
    pub position: Arc<DurableMark>,
    /// Position up to which the fold is done, kept by the checkpointer.
    pub folded: Arc<DurableMark>,
    /// Shared signals.
    pub pressure: Arc<Pressure>,
    /// Source of time.
    pub clock: Arc<dyn Clock>,
    /// Those who watch.
    pub feed: Arc<Feed>,
    /// Bells of those that may wait for room.
    pub bells: Vec<Doorbell>,
    /// Its figures.
    pub figures: CommitterFigures,
}

/// The committer. `step` is all of it.
pub struct Committer {
    parts: CommitterParts,
    taken: Vec<(HandOver, Cost)>,
}

impl Committer {
    /// Ready for its first step.
    #[must_use]
    pub const fn new(parts: CommitterParts) -> Self {
        Self { parts, taken: Vec::new() }
    }

    /// Whether a step would find something to do.
    #[must_use]
    pub fn has_work(&self) -> bool {
        !self.parts.intake.is_empty() || self.parts.intake.is_finished() || self.must_make_room()
    }

    /// Whether the next round should wait a moment for the fold: the journal is nearly full.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.parts.pressure.is_crowded() && !self.must_make_room()
    }

    /// Whether folded rows must go even though nothing is to be written: else those who are refused
    /// for want of room would be refused for ever.
    fn must_make_room(&self) -> bool {
        let position = self.parts.journal.position();
        self.parts.pressure.journal_percent() >= limits::JOURNAL_FULL_SPEED_PERCENT
            && position.rows > 0
            && position.first.0 <= self.parts.folded.get()
    }

    /// Whether the journal has room for a hand-over; else the fold must make some first. Nothing
    /// is lost meanwhile, and whoever comes anew has long been told to wait.
    #[must_use]
    pub fn has_room(&self) -> bool {
        is_room(self.room_bytes())
    }

    fn room_bytes(&self) -> u64 {
        self.parts.journal.room_bytes(Seq(self.parts.folded.get()))
    }

    /// Nothing is to be written for a while: the journal does what it does without rows.
    ///
    /// # Errors
    /// The storage failed, as in [`Committer::step`].
    pub fn settle(&mut self) -> Result<(), StoreError> {
        append(&mut self.parts, &[])
    }

    /// The loop has turned.
    pub fn turned(&mut self) {
        self.parts.figures.turned(self.parts.clock.monotonic_ns());
    }

    /// One round: take, write, sync, raise the marks, let the replies go.
    ///
    /// # Errors
    /// The storage failed. Nothing of the round was answered, its outcome is unknown, and nothing
    /// may be written any more: the process must end.
    pub fn step(&mut self) -> Result<Progress, StoreError> {
        let room_bytes = self.room_bytes();
        if !self.parts.intake.is_empty() && !is_room(room_bytes) {
            return Ok(Progress::Blocked);
        }
        let bytes = u32::try_from(room_bytes).unwrap_or(u32::MAX).min(limits::COMMIT_BYTES_MAX);
        let limit = Cost::new(limits::COMMIT_RING_RECORDS_MAX, bytes);
        self.parts.intake.pop_many(limit, &mut self.taken);
        if self.taken.is_empty() && self.must_make_room() {
            self.settle()?;
            return Ok(Progress::Worked);
        }
        if self.taken.is_empty() {
            if !self.parts.intake.is_finished() {
                return Ok(Progress::Idle);
            }
            self.settle()?;
            return Ok(Progress::Finished);
        }
        self.parts.bells.iter().for_each(Doorbell::ring);
        let began_ns = self.parts.clock.monotonic_ns();
        self.note_waiting(began_ns);
        if is_planted(Bug::ReplyBeforeCommit) {
            let early = self.taken.iter_mut().flat_map(|(one, _)| one.deliveries.drain(..));
            early.for_each(|delivery| delivery.release(Stages::at(began_ns)));
        }
        match self.write(began_ns) {
            Err(_) if is_planted(Bug::FailedWriteBelieved) => {}
            written => written?,
        }
        let durable_ns = self.parts.clock.monotonic_ns();
        for (hand_over, _) in self.taken.drain(..) {
            if let Some(mark) = self.parts.marks.get(hand_over.source) {
                mark.raise(hand_over.number);
            }
            hand_over.release(began_ns, durable_ns);
        }
        self.turned();
        Ok(Progress::Worked)
    }

    /// Makes the records of all taken hand-overs durable. Hand-overs without records need no row:
    /// what they reveal stands before them.
    fn write(&mut self, began_ns: u64) -> Result<(), StoreError> {
        let packed = pack(&self.taken);
        if packed.is_empty() {
            return if self.must_make_room() { append(&mut self.parts, &[]) } else { Ok(()) };
        }
        let rows: Vec<_> = packed
            .into_iter()
            .map(|row| BatchRow {
                header: self.parts.sealer.seal(row.tick, row.hand_overs, row.records, &row.parts),
                parts: row.parts,
            })
            .collect();
        append(&mut self.parts, &rows)?;
        let (records, bytes, operations) = sums(&self.taken);
        let took = self.parts.clock.monotonic_ns().saturating_sub(began_ns);
        self.parts.figures.committed(operations, records, bytes, took);
        Ok(())
    }

    fn note_waiting(&mut self, now_ns: u64) {
        for (hand_over, _) in &self.taken {
            let waited = now_ns.saturating_sub(hand_over.pushed_ns);
            self.parts.figures.waited(waited, hand_over.operations);
        }
    }
}

/// Whether any hand-over fits.
const fn is_room(bytes: u64) -> bool {
    bytes >= limits::JOURNAL_ROW_BYTES_MAX as u64
}

/// Writes one durable round and notes where the journal is now.
fn append(parts: &mut CommitterParts, rows: &[BatchRow<'_>]) -> Result<(), StoreError> {
    let trim_to = Seq(parts.folded.get());
    parts.journal.append(&Round { rows, trim_to })?;
    parts.position.raise(parts.sealer.next().0.saturating_sub(1));
    parts.feed.committed();
    let was_crowded = parts.pressure.is_crowded();
    parts.pressure.note_journal(&parts.journal.fill());
    if was_crowded && !parts.pressure.is_crowded() {
        // Jobs go on.
        parts.bells.iter().for_each(Doorbell::ring);
    }
    Ok(())
}

/// A row before its header.
#[derive(Default)]
struct Packed<'a> {
    tick: Tick,
    hand_overs: u32,
    records: u32,
    parts: Vec<&'a [u8]>,
}

/// Packs hand-overs into rows, in order; a hand-over is never split.
fn pack(taken: &[(HandOver, Cost)]) -> Vec<Packed<'_>> {
    let mut rows: Vec<Packed<'_>> = Vec::new();
    let mut bytes = usize::MAX;
    let is_written = |one: &HandOver| one.marks_time || !one.records.is_empty();
    for (hand_over, _) in taken.iter().filter(|(one, _)| is_written(one)) {
        let more = hand_over.records.bytes();
        if bytes.saturating_add(more) > limits::HAND_OVER_RECORD_BYTES_MAX {
            rows.push(Packed::default());
            bytes = 0;
        }
        bytes += more;
        if let Some(row) = rows.last_mut() {
            row.tick = row.tick.max(hand_over.tick);
            row.hand_overs += 1;
            row.records += hand_over.records.record_count();
            row.parts.push(hand_over.records.as_bytes());
        }
    }
    rows
}

fn sums(taken: &[(HandOver, Cost)]) -> (u64, u64, u64) {
    taken.iter().fold((0, 0, 0), |(records, bytes, operations), (one, _)| {
        (
            records + u64::from(one.records.record_count()),
            bytes + one.records.bytes() as u64,
            operations + u64::from(one.operations),
        )
    })
}

impl fmt::Debug for Committer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Committer").field("taken", &self.taken.len()).finish_non_exhaustive()
    }
}
