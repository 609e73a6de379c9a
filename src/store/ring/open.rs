//! Makes the file of a journal, and finds its batches again: from the one at which the state ends,
//! each at the block behind the one before it or at the start of the ring. Appends nothing.

use super::layout::{
    BATCH_BLOCKS_MAX, BLOCK_BYTES, FIRST_BLOCK, LABEL_BYTES, LabelError, MARK_OFFSETS, Mark, Title,
    batch_blocks, file_bytes,
};
use super::source::{bad_batch, batch_bytes, batch_in};
use super::space::{RowPlace, Space};
use super::{RingJournal, Shared};
use crate::journal::{BatchError, BatchHeader, BatchView};
use crate::model::{Seq, Tick};
use crate::store::directory::{self, JOURNAL_FILE};
use crate::store::disk::{Disk, DiskFile, write_zeros};
use crate::store::error::StoreError;
use crate::store::journal::{Anchor, JournalPosition, Place};
use std::io;
use std::sync::{Arc, Mutex};

impl RingJournal {
    /// Writes a new, empty journal and makes it durable.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub(crate) fn create(
        file: &dyn DiskFile,
        title: &Title,
        records_max: u64,
    ) -> Result<(), StoreError> {
        let (last, bytes) = (Seq(title.base.0.saturating_sub(1)), file_bytes(records_max));
        let mark = Mark { last, crc: 0, blocks: bytes / BLOCK_BYTES };
        let write = || -> io::Result<()> {
            let mut labels = vec![0; (FIRST_BLOCK * BLOCK_BYTES) as usize];
            labels[..LABEL_BYTES].copy_from_slice(&title.encode());
            for offset in MARK_OFFSETS {
                labels[offset as usize..][..LABEL_BYTES].copy_from_slice(&mark.encode(title));
            }
            file.write_at(0, &labels)?;
            lengthen(file, bytes)?;
            file.sync()
        };
        write().map_err(StoreError::io(JOURNAL_FILE, "creating"))
    }

    /// Takes over a file that exists, whose state ends at `anchor`. Changes nothing of it before
    /// [`RingJournal::release`].
    ///
    /// # Errors
    /// [`StoreError`]: of the system; not a journal, or a newer one; what was acknowledged isn't
    /// all there, or isn't what the state was folded from.
    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        file: Arc<dyn DiskFile>,
        records_max: u64,
        anchor: impl FnOnce(&Title) -> Result<Anchor, StoreError>,
    ) -> Result<Self, StoreError> {
        // What a killed process left in memory is made durable before it is believed.
        let synced = file.sync().inspect_err(|_| directory::distrust(&**disk));
        synced.map_err(StoreError::io(JOURNAL_FILE, "syncing"))?;
        let title = Title::decode(&read_label(&*file, 0)?);
        let title = title.map_err(|error| bad_label(error, "its title"))?;
        let anchor = anchor(&title)?;
        let (mark, mark_slot) = newest_mark(&*file, &title)?;
        let bytes = file.len().map_err(StoreError::io(JOURNAL_FILE, "measuring"))?;
        if bytes / BLOCK_BYTES < mark.blocks {
            let whole = mark.blocks.saturating_mul(BLOCK_BYTES);
            let what = format!("it has {bytes} bytes, of {whole} that it had");
            return Err(StoreError::damaged(JOURNAL_FILE, what));
        }
        let survey = Survey { file: &*file, title, end: bytes / BLOCK_BYTES, buffer: Vec::new() };
        let (space, position) = survey.run(anchor, mark)?;
        let shared = Arc::new(Shared { file, title, space: Mutex::new(space) });
        Ok(Self {
            shared,
            disk: Arc::clone(disk),
            position,
            records_max,
            wanted_bytes: file_bytes(records_max),
            is_released: false,
            is_mark_loose: mark.last.0.saturating_add(1) < position.next.0,
            mark_slot: (mark_slot + 1) % MARK_OFFSETS.len(),
            buffer: Vec::new(),
        })
    }
}

/// Extends the file to so many bytes, in written blocks; gives the length that it has then.
pub(super) fn lengthen(file: &dyn DiskFile, bytes: u64) -> io::Result<u64> {
    let length = file.len()?;
    if length >= bytes {
        return Ok(length);
    }
    write_zeros(file, length, bytes)?;
    file.sync()?;
    Ok(bytes)
}

fn read_label(file: &dyn DiskFile, offset: u64) -> Result<[u8; LABEL_BYTES], StoreError> {
    let mut label = [0; LABEL_BYTES];
    match file.read_at(offset, &mut label) {
        Ok(()) => Ok(label),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(StoreError::damaged(JOURNAL_FILE, "it is too short"))
        }
        Err(error) => Err(StoreError::io(JOURNAL_FILE, "reading")(error)),
    }
}

/// The mark that tells most, and its slot. One that can't be read was being written when the
/// process ended: the other one is as good as it was then.
fn newest_mark(file: &dyn DiskFile, title: &Title) -> Result<(Mark, usize), StoreError> {
    let mut newest: Option<(Mark, usize)> = None;
    let mut failed = None;
    for (slot, offset) in MARK_OFFSETS.into_iter().enumerate() {
        let label = match read_label(file, offset) {
            Ok(label) => label,
            Err(error) => {
                failed = Some(error);
                continue;
            }
        };
        match Mark::decode(&label, title) {
            Ok(mark) if newest.is_none_or(|(known, _)| known.last < mark.last) => {
                newest = Some((mark, slot));
            }
            Ok(_) | Err(LabelError::Damaged) => {}
            Err(error) => return Err(bad_label(error, "the mark of its end")),
        }
    }
    newest.ok_or_else(|| {
        failed.unwrap_or_else(|| bad_label(LabelError::Damaged, "each mark of its end"))
    })
}

fn bad_label(error: LabelError, what: &str) -> StoreError {
    match error {
        LabelError::Damaged => {
            StoreError::damaged(JOURNAL_FILE, format!("{what} is not what was written"))
        }
        LabelError::Newer(version) => {
            StoreError::Newer { file: JOURNAL_FILE.to_owned(), what: format!("format {version}") }
        }
    }
}

/// Goes from batch to batch.
struct Survey<'f> {
    file: &'f dyn DiskFile,
    title: Title,
    /// Blocks of the file.
    end: u64,
    buffer: Vec<u8>,
}

impl Survey<'_> {
    fn run(mut self, anchor: Anchor, mark: Mark) -> Result<(Space, JournalPosition), StoreError> {
        let mut space = Space::new(self.end * BLOCK_BYTES);
        let next = Seq(anchor.last.0.saturating_add(1));
        let mut position = JournalPosition {
            first: next,
            next,
            last_crc: anchor.crc,
            tick: Tick(0),
            rows: 0,
            records: 0,
        };
        if anchor.place != Place::default() {
            let header = self.anchor(anchor, mark)?;
            position.tick = header.tick;
            space.set_anchor(RowPlace::new(&header, anchor.place.0));
        }
        while let Some((header, block)) = self.next(&space, &position)? {
            space.push(RowPlace::new(&header, block));
            position.push(&header);
        }
        check_mark(mark, &position)?;
        Ok((space, position))
    }

    /// The batch at which the state ends.
    fn anchor(&mut self, anchor: Anchor, mark: Mark) -> Result<BatchHeader, StoreError> {
        let read = self.read(anchor.place.0)?;
        let gap = |first| StoreError::Gap { folded: anchor.last, first, last: mark.last };
        match read {
            _ if mark.last < anchor.last && read.map(|found| found.last) != Ok(anchor.last) => {
                Err(gap(self.title.base))
            }
            Ok(header) if header.last == anchor.last && header.crc == anchor.crc => Ok(header),
            Ok(header) if header.last == anchor.last => {
                Err(StoreError::Batch { at: header.first, source: BatchError::Chain })
            }
            // Written over since: the state is older.
            Ok(header) if header.first > anchor.last => Err(gap(header.first)),
            Ok(_) | Err(BatchError::Foreign) => Err(StoreError::damaged(
                JOURNAL_FILE,
                format!("the batch that ends at {} is not where it was written", anchor.last),
            )),
            Err(error) => Err(bad_batch(anchor.last, error)),
        }
    }

    /// The batch that comes next; `None`: here the journal ends.
    fn next(
        &mut self,
        space: &Space,
        position: &JournalPosition,
    ) -> Result<Option<(BatchHeader, u64)>, StoreError> {
        let last = Seq(position.next.0 - 1);
        for block in [space.head(), FIRST_BLOCK] {
            // Whatever else stands there is of an earlier lap, which may be anything clients sent:
            // that the file is not a newer one its title says.
            let Ok(header) = self.read(block)? else { continue };
            let may_follow = space.may_follow(block, batch_blocks(header.bytes));
            if may_follow && header.follows(last, position.last_crc).is_ok() {
                return Ok(Some((header, block)));
            }
        }
        Ok(None)
    }

    /// The header of the batch at a block, if all of it is sound.
    fn read(&mut self, block: u64) -> Result<Result<BatchHeader, BatchError>, StoreError> {
        if block < FIRST_BLOCK || block >= self.end {
            return Ok(Err(BatchError::Length));
        }
        self.fill(block, 0, 1)?;
        let blocks = match BatchView::peek(&self.buffer) {
            Ok(header) => batch_bytes(&header).div_ceil(BLOCK_BYTES as usize) as u64,
            Err(error) => return Ok(Err(error)),
        };
        if blocks > BATCH_BLOCKS_MAX || blocks > self.end - block {
            return Ok(Err(BatchError::Length));
        }
        self.fill(block, 1, blocks)?;
        Ok(batch_in(&self.buffer, self.title.server).map(|batch| *batch.header()))
    }

    /// Reads blocks `from..to` of a batch behind those that are read already.
    fn fill(&mut self, block: u64, from: u64, to: u64) -> Result<(), StoreError> {
        let (start, end) = (from * BLOCK_BYTES, to * BLOCK_BYTES);
        self.buffer.resize(end as usize, 0);
        let read =
            self.file.read_at(block * BLOCK_BYTES + start, &mut self.buffer[start as usize..]);
        read.map_err(StoreError::io(JOURNAL_FILE, "reading"))
    }
}

/// All that was known to be durable must be there.
fn check_mark(mark: Mark, position: &JournalPosition) -> Result<(), StoreError> {
    let end = Seq(position.next.0 - 1);
    if mark.last > end {
        let what = format!(
            "hand-overs up to {} were acknowledged, but only those up to {end} can be read",
            mark.last
        );
        return Err(StoreError::damaged(JOURNAL_FILE, what));
    }
    if mark.last == end && mark.crc != position.last_crc {
        return Err(StoreError::Batch { at: end, source: BatchError::Chain });
    }
    Ok(())
}
