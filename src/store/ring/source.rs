//! Reads committed batches beside the committer. Holds no lock while it reads.

use super::layout::BLOCK_BYTES;
use super::space::RowPlace;
use super::{Shared, layout};
use crate::journal::{BatchError, BatchHeader, BatchView};
use crate::limits::{BATCH_HEADER_BYTES, JOURNAL_READ_BYTES};
use crate::model::{Seq, ServerId};
use crate::store::directory::JOURNAL_FILE;
use crate::store::error::StoreError;
use crate::store::journal::{BatchVisitor, JournalSource, Place};
use std::fmt;
use std::sync::Arc;

/// Bytes that are read at once.
const PIECE_BYTES: u64 = 1 << 20;

const _: () = assert!(PIECE_BYTES >= layout::BATCH_BLOCKS_MAX * BLOCK_BYTES);

/// Reads `journal.ring` beside its writer.
#[derive(Clone)]
pub struct RingSource(Arc<Shared>);

impl fmt::Debug for RingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RingSource")
    }
}

impl RingSource {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// Reads a piece of the ring; returns whether the visitor wants more.
    fn visit(
        &self,
        rows: &[RowPlace],
        buffer: &mut Vec<u8>,
        visit: &mut BatchVisitor<'_>,
    ) -> Result<bool, StoreError> {
        let Some((first, last)) = rows.first().zip(rows.last()) else { return Ok(true) };
        let count = (last.block + last.blocks - first.block) * BLOCK_BYTES;
        buffer.resize(usize::try_from(count).unwrap_or(usize::MAX), 0);
        let read = self.0.file.read_at(first.block * BLOCK_BYTES, buffer);
        read.map_err(StoreError::io(JOURNAL_FILE, "reading"))?;
        for row in rows {
            let at = usize::try_from((row.block - first.block) * BLOCK_BYTES).unwrap_or(usize::MAX);
            let batch = batch_in(buffer.get(at..).unwrap_or_default(), self.0.title.server)
                .map_err(|source| bad_batch(row.first, source))?;
            if batch.header().first != row.first {
                let (expected, found) = (row.first, batch.header().first);
                return Err(bad_batch(row.first, BatchError::Gap { expected, found }));
            }
            if visit(&batch, Place(row.block))?.is_break() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The batch at the start of some bytes, with others behind it.
pub(super) fn batch_in(bytes: &[u8], server: ServerId) -> Result<BatchView<'_>, BatchError> {
    let row = bytes.get(..batch_bytes(&BatchView::peek(bytes)?)).ok_or(BatchError::Length)?;
    BatchView::decode(row, server)
}

pub(super) const fn batch_bytes(header: &BatchHeader) -> usize {
    BATCH_HEADER_BYTES.saturating_add(header.bytes as usize)
}

pub(super) fn bad_batch(at: Seq, source: BatchError) -> StoreError {
    match source {
        BatchError::Version(_) => {
            StoreError::Newer { file: JOURNAL_FILE.to_owned(), what: source.to_string() }
        }
        source => StoreError::Batch { at, source },
    }
}

impl JournalSource for RingSource {
    fn read(&self, from: Seq, visit: &mut BatchVisitor<'_>) -> Result<bool, StoreError> {
        let (rows, more) = {
            let space = self.0.space();
            let Some(found) = space.from(from, JOURNAL_READ_BYTES as u64) else {
                // What isn't kept was folded, so nobody asks for it; what comes next isn't there yet.
                let next = space.rows().back().map_or(from, |last| Seq(last.last.0 + 1));
                let gap = BatchError::Gap { expected: from, found: next };
                return if from >= next { Ok(false) } else { Err(bad_batch(from, gap)) };
            };
            found
        };
        let mut buffer = Vec::new();
        for piece in rows.chunk_by(|one, next| one.block + one.blocks == next.block) {
            let mut rest = piece;
            while !rest.is_empty() {
                let begin = rest[0].block;
                let fits =
                    |row: &RowPlace| (row.block + row.blocks - begin) * BLOCK_BYTES <= PIECE_BYTES;
                let (now, later) = rest.split_at(rest.partition_point(fits).max(1));
                if !self.visit(now, &mut buffer, visit)? {
                    return Ok(true);
                }
                rest = later;
            }
        }
        Ok(more)
    }

    fn another(&self) -> Box<dyn JournalSource> {
        Box::new(self.clone())
    }
}
