//! The journal in a file of fixed length that is written around and around: each batch at the next
//! free block, one write and one sync a round, never over a batch that is still needed. Decides
//! nothing and knows no state.

mod layout;
mod open;
mod source;
mod space;

#[cfg(test)]
mod tests;

pub(crate) use layout::Title;
pub use source::RingSource;

use super::directory::{self, JOURNAL_FILE};
use super::disk::{Disk, DiskFile};
use super::error::StoreError;
use super::journal::{BatchRow, Journal, JournalFill, JournalPosition, Round};
use crate::journal::{BatchHeader, BatchIdentity, BatchSealer};
use crate::limits::BATCH_HEADER_BYTES;
use crate::model::Seq;
use layout::{BATCH_BLOCKS_MAX, BLOCK_BYTES, FIRST_BLOCK, MARK_OFFSETS, Mark, batch_blocks};
use space::{RowPlace, Space};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The journal in `journal.ring`.
///
/// Concurrency: owned by the committer; [`RingJournal::source`] reads beside it.
pub struct RingJournal {
    shared: Arc<Shared>,
    disk: Arc<dyn Disk>,
    position: JournalPosition,
    records_max: u64,
    /// The file is to have this length from the first round on.
    wanted_bytes: u64,
    is_released: bool,
    /// What is known to be durable is not marked durably.
    is_mark_loose: bool,
    /// Which mark is written next.
    mark_slot: usize,
    /// Bytes of a round that are written at once.
    buffer: Vec<u8>,
}

/// What the committer and the readers share.
struct Shared {
    file: Arc<dyn DiskFile>,
    title: Title,
    space: Mutex<Space>,
}

impl Shared {
    fn space(&self) -> MutexGuard<'_, Space> {
        self.space.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for RingJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingJournal").field("position", &self.position).finish_non_exhaustive()
    }
}

impl RingJournal {
    /// For the checkpointer, and to load from.
    #[must_use]
    pub fn source(&self) -> RingSource {
        RingSource::new(Arc::clone(&self.shared))
    }

    /// Gives headers to what comes next.
    #[must_use]
    pub fn sealer(&self, identity: BatchIdentity) -> BatchSealer {
        BatchSealer::new(identity, self.position.next, self.position.last_crc)
    }

    /// The directory is sound: the file gets the length that was asked for, in written blocks.
    ///
    /// # Errors
    /// Of the system.
    pub(crate) fn release(&mut self) -> io::Result<()> {
        if !self.is_released {
            let grown = open::lengthen(&*self.shared.file, self.wanted_bytes);
            let bytes = self.distrust_after(grown)?;
            self.shared.space().grow(bytes);
            self.is_released = true;
            // What a start believes it shows to clients: from now on it must not get lost.
            let settled = self.settle();
            self.distrust_after(settled)?;
        }
        Ok(())
    }

    /// Marks durably what is durable, if that isn't done.
    fn settle(&mut self) -> io::Result<()> {
        if self.is_mark_loose {
            let last = Seq(self.position.next.0 - 1);
            self.write_mark(last, self.position.last_crc)?;
            self.shared.file.sync()?;
            self.is_mark_loose = false;
        }
        Ok(())
    }

    /// After a failed write or sync nothing in the page cache is believed any more.
    fn distrust_after<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.inspect_err(|_| directory::distrust(&*self.disk))
    }

    /// Forgets what is folded.
    fn trim(&mut self, folded: Seq) {
        let gone = self.shared.space().trim(folded);
        for row in &gone {
            self.position.first = Seq(row.last.0 + 1);
            self.position.rows -= 1;
            self.position.records -= u64::from(row.records);
        }
    }

    /// Writes rows and makes them durable, then notes how far they go.
    fn write(&mut self, rows: &[BatchRow<'_>], places: &[RowPlace]) -> io::Result<()> {
        let mut start = None;
        for (row, place) in rows.iter().zip(places) {
            let offset = place.block * BLOCK_BYTES;
            let begins = start.map_or(offset, |begun: u64| begun + self.buffer.len() as u64);
            if begins != offset {
                self.write_out(start)?;
                start = None;
            }
            start = start.or(Some(offset));
            put(&mut self.buffer, row);
        }
        self.write_out(start)?;
        self.shared.file.sync()
    }

    fn write_out(&mut self, start: Option<u64>) -> io::Result<()> {
        let written = start.map_or(Ok(()), |at| self.shared.file.write_at(at, &self.buffer));
        self.buffer.clear();
        written
    }

    /// Notes that everything up to here is durable. The next sync takes the note along; until then
    /// it survives the end of the process, if not of the system.
    fn write_mark(&mut self, last: Seq, crc: u32) -> io::Result<()> {
        let mark = Mark { last, crc, blocks: self.shared.space().end() };
        let offset = MARK_OFFSETS[self.mark_slot];
        self.mark_slot = (self.mark_slot + 1) % MARK_OFFSETS.len();
        self.shared.file.write_at(offset, &mark.encode(&self.shared.title))
    }

    /// Where rows go.
    ///
    /// # Panics
    /// If there is no room: the caller is wrong, who was told how much there is.
    fn place(&self, rows: &[BatchRow<'_>]) -> Vec<RowPlace> {
        let mut space = self.shared.space().outline();
        let mut places = Vec::with_capacity(rows.len());
        for row in rows {
            let blocks = batch_blocks(row.header.bytes);
            let block =
                space.place(blocks).expect("a round has at most the bytes there is room for");
            let place = RowPlace::new(&row.header, block);
            space.push(place);
            places.push(place);
        }
        places
    }
}

/// Appends a row to what is written, with zeros up to the end of its last block.
fn put(buffer: &mut Vec<u8>, row: &BatchRow<'_>) {
    let start = buffer.len();
    buffer.extend_from_slice(&row.header.encode());
    row.parts.iter().for_each(|part| buffer.extend_from_slice(part));
    let bytes = buffer.len() - start;
    assert_eq!(
        bytes,
        BATCH_HEADER_BYTES + row.header.bytes as usize,
        "the parts of a row are those that were sealed"
    );
    buffer.resize(start + bytes.next_multiple_of(BLOCK_BYTES as usize), 0);
}

impl Journal for RingJournal {
    fn append(&mut self, round: &Round<'_>) -> Result<(), StoreError> {
        assert!(self.is_released, "recovery comes before the first round");
        let mut position = self.position;
        for row in round.rows {
            position.follows(&row.header);
            position.push(&row.header);
        }
        self.trim(round.trim_to);
        let Some(last) = round.rows.last() else {
            let settled = self.settle();
            return self.distrust_after(settled).map_err(StoreError::io(JOURNAL_FILE, "writing"));
        };
        let places = self.place(round.rows);
        let written = self.write(round.rows, &places);
        let written = written.and_then(|()| self.write_mark(last.header.last, last.header.crc));
        self.is_mark_loose = true;
        self.distrust_after(written).map_err(StoreError::io(JOURNAL_FILE, "writing"))?;
        let mut space = self.shared.space();
        for (row, place) in round.rows.iter().zip(places) {
            space.push(place);
            self.position.push(&row.header);
        }
        Ok(())
    }

    fn position(&self) -> JournalPosition {
        self.position
    }

    fn fill(&self) -> JournalFill {
        let space = self.shared.space();
        JournalFill {
            records: self.position.records,
            records_max: self.records_max,
            bytes: space.taken() * BLOCK_BYTES,
            bytes_max: (space.end() - FIRST_BLOCK).saturating_sub(BATCH_BLOCKS_MAX) * BLOCK_BYTES,
        }
    }

    fn room_bytes(&self, trim_to: Seq) -> u64 {
        self.shared.space().room_bytes_after(trim_to)
    }
}

impl JournalPosition {
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
    }
}
