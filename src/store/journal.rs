//! What a journal is to the rest: rows appended by one committer, read by the checkpointer,
//! forgotten once folded. Says nothing about how it is stored.

use super::error::StoreError;
use crate::journal::{BatchHeader, BatchView};
use crate::model::{Seq, Tick};
use std::fmt;
use std::ops::ControlFlow;

/// One row to append: a sealed header and the records of its hand-overs.
#[derive(Clone, Debug)]
pub struct BatchRow<'a> {
    /// From [`crate::journal::BatchSealer::seal`].
    pub header: BatchHeader,
    /// The same parts that were sealed.
    pub parts: Vec<&'a [u8]>,
}

/// What one transaction does.
#[derive(Clone, Debug)]
pub struct Round<'a> {
    /// Rows to append, in order; may be empty.
    pub rows: &'a [BatchRow<'a>],
    /// Rows whose last hand-over is not behind this one may go: what the state has folded.
    pub trim_to: Seq,
}

/// Where a batch stands, in terms that only the journal knows; 0 = nowhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place(pub u64);

/// The batch at which a state ends: what comes next in the journal follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Its last hand-over; the one before the first of all if there is none.
    pub last: Seq,
    /// Its checksum; 0 if there is none.
    pub crc: u32,
    /// Where it stands; nowhere if there is none.
    pub place: Place,
}

/// Where the journal begins and ends, and how full it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalPosition {
    /// First hand-over that it keeps; `next` if it keeps none.
    pub first: Seq,
    /// Hand-over that comes next.
    pub next: Seq,
    /// Checksum of the last batch; 0 if there never was one.
    pub last_crc: u32,
    /// Tick of the last batch.
    pub tick: Tick,
    /// Rows.
    pub rows: u64,
    /// Records in them.
    pub records: u64,
}

/// How full the journal is; at 100 % nothing more may be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalFill {
    /// Records that it has.
    pub records: u64,
    /// Records that it may have.
    pub records_max: u64,
    /// Bytes of the file that its rows take.
    pub bytes: u64,
    /// Bytes that they may take.
    pub bytes_max: u64,
}

impl JournalFill {
    /// Percent, of records or bytes, whichever is more; may pass 100.
    #[must_use]
    pub fn percent(&self) -> u64 {
        let of = |part: u64, whole: u64| part.saturating_mul(100) / whole.max(1);
        of(self.records, self.records_max).max(of(self.bytes, self.bytes_max))
    }
}

/// Appends batches at its end, durable when the call returns, and forgets them at its start.
///
/// A replicated journal can take the place of the one in a file.
///
/// Concurrency: the committer owns it.
pub trait Journal: Send + fmt::Debug {
    /// Forgets folded rows, then appends, in one durable step. A round without rows forgets, and does
    /// what makes damage easier to tell: once after the last round of a busy time is enough.
    ///
    /// # Errors
    /// [`StoreError`]: the outcome is unknown, and the journal can't be used any more.
    ///
    /// # Panics
    /// If a row doesn't follow the one before it, or nothing was recovered: the caller is wrong.
    fn append(&mut self, round: &Round<'_>) -> Result<(), StoreError>;

    /// Where it begins and ends.
    fn position(&self) -> JournalPosition;

    /// How full it is.
    fn fill(&self) -> JournalFill;

    /// Bytes of records that the next round may have, once what may go has gone.
    fn room_bytes(&self, trim_to: Seq) -> u64;
}

/// Reads committed batches.
///
/// Concurrency: any thread, beside the committer.
pub trait JournalSource: Send + fmt::Debug {
    /// Gives the batches from the one that begins at `from` on to `visit`, until it breaks or
    /// about [`crate::limits::JOURNAL_READ_BYTES`] were given; holds nothing of the journal when it returns.
    ///
    /// Returns whether there may be more.
    ///
    /// # Errors
    /// [`StoreError`] of the journal or of `visit`.
    fn read(&self, from: Seq, visit: &mut BatchVisitor<'_>) -> Result<bool, StoreError>;

    /// Another reader of the same journal.
    fn another(&self) -> Box<dyn JournalSource>;
}

/// What [`JournalSource::read`] gives batches to.
pub type BatchVisitor<'v> =
    dyn FnMut(&BatchView<'_>, Place) -> Result<ControlFlow<()>, StoreError> + 'v;
