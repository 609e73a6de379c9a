//! The journal: rows appended by one committer, read by the checkpointer, trimmed once folded.
//! Decides nothing and knows no state.

use super::backend::Backend;
use super::database::QuietDatabase;
use super::directory::JOURNAL_FILE;
use super::error::{StoreError, guarded};
use super::schema::{JOURNAL, JournalMeta, META, META_KEY};
use crate::journal::{BatchHeader, BatchIdentity, BatchSealer, BatchView};
use crate::limits::{
    BATCH_HEADER_BYTES, JOURNAL_BYTES_PER_RECORD, JOURNAL_READ_BYTES, JOURNAL_TRIM_ROWS,
    JOURNAL_TRIM_ROWS_ALONE,
};
use crate::model::{Seq, ServerId, Tick};
use redb::{Database, ReadableDatabase, ReadableTable};
use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

/// One row to append: a sealed header and the records of its hand-overs.
#[derive(Clone, Debug)]
pub struct BatchRow<'a> {
    /// From [`BatchSealer::seal`].
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

/// Where the journal begins and ends, and how full it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalPosition {
    /// First hand-over that it has; `next` if it has none.
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
    /// Bytes of the file that they take.
    pub bytes: u64,
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
    /// Appends rows and removes folded ones, at most two for each row appended, in one durable step.
    /// A round without rows only removes, more at once.
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
}

/// Reads committed batches.
///
/// Concurrency: any thread, beside the committer.
pub trait JournalSource: Send + fmt::Debug {
    /// Gives the batches from the one that begins at `from` on to `visit`, until it breaks or
    /// about [`JOURNAL_READ_BYTES`] were given; holds nothing of the journal when it returns.
    ///
    /// Returns whether there may be more.
    ///
    /// # Errors
    /// [`StoreError`] of the journal or of `visit`.
    fn read(&self, from: Seq, visit: &mut BatchVisitor<'_>) -> Result<bool, StoreError>;
}

/// What [`JournalSource::read`] gives batches to.
pub type BatchVisitor<'v> = dyn FnMut(&BatchView<'_>) -> Result<ControlFlow<()>, StoreError> + 'v;

/// The journal in `journal.redb`.
pub struct FileJournal {
    shared: Arc<Shared>,
    position: JournalPosition,
    records_max: u64,
}

struct Shared {
    database: QuietDatabase,
    backend: Backend,
    server: ServerId,
}

impl fmt::Debug for FileJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileJournal").field("position", &self.position).finish_non_exhaustive()
    }
}

/// Reads `journal.redb` beside its writer.
#[derive(Clone)]
pub struct FileJournalSource(Arc<Shared>);

impl fmt::Debug for FileJournalSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileJournalSource")
    }
}

/// Bytes of the file that a journal of so many records gets: a quarter more than its rows may
/// take, so that freed space need not be in one piece, and a rest for redb's own pages.
pub(crate) const fn file_bytes(records_max: u64) -> u64 {
    let rows = bytes_max(records_max);
    (rows + rows / 4 + (256 << 10)).next_multiple_of(4_096)
}

const fn bytes_max(records_max: u64) -> u64 {
    records_max.saturating_mul(JOURNAL_BYTES_PER_RECORD)
}

/// Bytes of the file that a row takes: redb gives whole powers of two of 4 KiB pages to one that
/// doesn't fit a page with others, and fills pages of small ones by half.
const fn row_file_bytes(row_bytes: u64) -> u64 {
    const PAGE: u64 = 4_096;
    const PAIR_OVERHEAD: u64 = 32;
    let bytes = row_bytes + PAIR_OVERHEAD;
    if bytes * 2 <= PAGE { bytes * 2 } else { bytes.div_ceil(PAGE).next_power_of_two() * PAGE }
}

fn header_file_bytes(header: &BatchHeader) -> u64 {
    row_file_bytes(BATCH_HEADER_BYTES as u64 + u64::from(header.bytes))
}

impl FileJournal {
    /// Writes the first commit of a new journal.
    pub(crate) fn create(database: &Database, meta: JournalMeta) -> Result<(), StoreError> {
        let run = || -> Result<(), redb::Error> {
            let mut transaction = database.begin_write()?;
            transaction.set_two_phase_commit(true);
            transaction.open_table(META)?.insert(&META_KEY, meta.encode().as_slice())?;
            transaction.open_table(JOURNAL)?;
            Ok(transaction.commit()?)
        };
        run().map_err(StoreError::redb(JOURNAL_FILE, "creating"))
    }

    /// Takes over an opened database: checks that its rows follow each other, and counts them.
    pub(crate) fn open(
        database: QuietDatabase,
        backend: Backend,
        server: ServerId,
        records_max: u64,
    ) -> Result<(Self, JournalMeta), StoreError> {
        let meta = read_meta(&database)?;
        let shared = Arc::new(Shared { database, backend, server });
        let mut journal = Self { shared, position: JournalPosition::at(meta.base), records_max };
        if meta.server == server {
            journal.survey()?;
        }
        Ok((journal, meta))
    }

    /// Goes through all rows.
    fn survey(&mut self) -> Result<(), StoreError> {
        let source = self.source();
        let mut position = self.position;
        let mut from = Seq(0);
        loop {
            let more = source.read_from(from, true, &mut |batch| {
                let header = batch.header();
                if position.rows == 0 {
                    position.first = header.first;
                } else {
                    let last = Seq(position.next.0 - 1);
                    header
                        .follows(last, position.last_crc)
                        .map_err(|source| StoreError::Batch { at: header.first, source })?;
                }
                position.push(header);
                Ok(ControlFlow::Continue(()))
            })?;
            from = position.next;
            if !more {
                self.position = position;
                return Ok(());
            }
        }
    }

    /// For the checkpointer, and to load from.
    #[must_use]
    pub fn source(&self) -> FileJournalSource {
        FileJournalSource(Arc::clone(&self.shared))
    }

    /// Gives headers to what comes next.
    #[must_use]
    pub fn sealer(&self, identity: BatchIdentity) -> BatchSealer {
        BatchSealer::new(identity, self.position.next, self.position.last_crc)
    }

    /// How often a commit needed new space in the file: 0 unless the file is too short.
    #[must_use]
    pub fn growths(&self) -> u64 {
        self.shared.backend.growths()
    }

    /// The directory is sound: its file may change from now on.
    pub(crate) fn release(&self) -> io::Result<()> {
        self.shared.backend.release()
    }

    fn write(&self, round: &Round<'_>) -> Result<JournalPosition, redb::Error> {
        let mut position = self.position;
        let mut transaction = self.shared.database.begin_write()?;
        transaction.set_two_phase_commit(true);
        {
            let mut table = transaction.open_table(JOURNAL)?;
            for row in round.rows {
                let length = BATCH_HEADER_BYTES + row.header.bytes as usize;
                let mut place = table.insert_reserve(&row.header.first.0.to_be_bytes(), length)?;
                fill(place.as_mut(), row);
                position.push(&row.header);
            }
            // The last row stays: it says where the journal ends.
            let rows_max = match round.rows.len() {
                0 => JOURNAL_TRIM_ROWS_ALONE,
                rows => rows * JOURNAL_TRIM_ROWS,
            };
            for _ in 0..rows_max {
                if position.rows <= 1 || !trim(&mut table, round.trim_to, &mut position)? {
                    break;
                }
            }
        }
        transaction.commit()?;
        Ok(position)
    }
}

/// Removes the first row if all of it may go; tells whether it did.
fn trim(
    table: &mut redb::Table<'_, &'static [u8; 8], &'static [u8]>,
    trim_to: Seq,
    position: &mut JournalPosition,
) -> Result<bool, redb::Error> {
    let key = {
        let Some((key, row)) = table.first()? else { return Ok(false) };
        // Checked when it was written or read at the start; the sizes are its own.
        let header = BatchView::peek(row.value()).map_err(damaged)?;
        if header.last > trim_to {
            return Ok(false);
        }
        position.pop(&header);
        *key.value()
    };
    table.remove(&key)?;
    Ok(true)
}

fn damaged(error: crate::journal::BatchError) -> redb::Error {
    redb::Error::Corrupted(format!("the oldest row: {error}"))
}

fn fill(place: &mut [u8], row: &BatchRow<'_>) {
    let (head, mut rest) = place.split_at_mut(BATCH_HEADER_BYTES);
    head.copy_from_slice(&row.header.encode());
    for part in &row.parts {
        let (here, behind) = rest.split_at_mut(part.len());
        here.copy_from_slice(part);
        rest = behind;
    }
    assert!(rest.is_empty(), "the parts of a row are those that were sealed");
}

impl Journal for FileJournal {
    fn append(&mut self, round: &Round<'_>) -> Result<(), StoreError> {
        assert!(self.shared.backend.is_released(), "recovery comes before the first round");
        let mut position = self.position;
        for row in round.rows {
            position.follows(&row.header);
            position.push(&row.header);
        }
        self.position = guarded(JOURNAL_FILE, || {
            self.write(round).map_err(StoreError::redb(JOURNAL_FILE, "writing"))
        })?;
        Ok(())
    }

    fn position(&self) -> JournalPosition {
        self.position
    }

    fn fill(&self) -> JournalFill {
        JournalFill {
            records: self.position.records,
            records_max: self.records_max,
            bytes: self.position.bytes,
            bytes_max: bytes_max(self.records_max),
        }
    }
}

impl JournalPosition {
    const fn at(base: Seq) -> Self {
        Self { first: base, next: base, last_crc: 0, tick: Tick(0), rows: 0, records: 0, bytes: 0 }
    }

    fn follows(&self, header: &BatchHeader) {
        let last = Seq(self.next.0.saturating_sub(1));
        assert_eq!(header.follows(last, self.last_crc), Ok(()), "rows follow each other");
    }

    fn push(&mut self, header: &BatchHeader) {
        self.next = Seq(header.last.0 + 1);
        self.last_crc = header.crc;
        self.tick = header.tick;
        self.rows += 1;
        self.records += u64::from(header.records);
        self.bytes += header_file_bytes(header);
    }

    fn pop(&mut self, header: &BatchHeader) {
        self.first = Seq(header.last.0 + 1);
        self.rows -= 1;
        self.records = self.records.saturating_sub(u64::from(header.records));
        self.bytes = self.bytes.saturating_sub(header_file_bytes(header));
    }
}

impl FileJournalSource {
    /// Like [`JournalSource::read`]; `at_or_after`: the first row may begin behind `from`.
    fn read_from(
        &self,
        from: Seq,
        at_or_after: bool,
        visit: &mut BatchVisitor<'_>,
    ) -> Result<bool, StoreError> {
        let transaction = self.0.database.begin_read().map_err(reading)?;
        let table = transaction.open_table(JOURNAL).map_err(reading)?;
        let start = from.0.to_be_bytes();
        let mut expected = (!at_or_after).then_some(from);
        let mut read_bytes = 0;
        for entry in table.range::<&[u8; 8]>(&start..).map_err(reading)? {
            let (key, row) = entry.map_err(reading)?;
            if read_bytes >= JOURNAL_READ_BYTES {
                return Ok(true);
            }
            let at = Seq(u64::from_be_bytes(*key.value()));
            let batch = check(at, expected, row.value(), self.0.server)?;
            read_bytes += row.value().len();
            expected = Some(Seq(batch.header().last.0 + 1));
            if visit(&batch)?.is_break() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl JournalSource for FileJournalSource {
    fn read(&self, from: Seq, visit: &mut BatchVisitor<'_>) -> Result<bool, StoreError> {
        self.read_from(from, false, visit)
    }
}

fn reading<E: Into<redb::Error>>(error: E) -> StoreError {
    StoreError::redb(JOURNAL_FILE, "reading")(error)
}

fn check(
    at: Seq,
    expected: Option<Seq>,
    row: &[u8],
    server: ServerId,
) -> Result<BatchView<'_>, StoreError> {
    use crate::journal::BatchError;
    let batch = BatchView::decode(row, server).map_err(|source| match source {
        BatchError::Version(_) => {
            StoreError::Newer { file: JOURNAL_FILE.to_owned(), what: source.to_string() }
        }
        source => StoreError::Batch { at, source },
    })?;
    let found = batch.header().first;
    let expected = expected.unwrap_or(at);
    if found != expected || found != at {
        return Err(StoreError::Batch { at, source: BatchError::Gap { expected, found } });
    }
    Ok(batch)
}

fn read_meta(database: &Database) -> Result<JournalMeta, StoreError> {
    let transaction = database.begin_read().map_err(reading)?;
    let table = transaction.open_table(META).map_err(reading)?;
    let row = table.get(&META_KEY).map_err(reading)?;
    let row = row.ok_or_else(|| StoreError::damaged(JOURNAL_FILE, "its meta row is missing"))?;
    match JournalMeta::decode(row.value()) {
        Ok(Some(meta)) => Ok(meta),
        Ok(None) => Err(StoreError::damaged(JOURNAL_FILE, "its meta row has a wrong checksum")),
        Err(version) => Err(StoreError::Newer {
            file: JOURNAL_FILE.to_owned(),
            what: format!("format {version}"),
        }),
    }
}
