//! Goes through the batches of a volume, checks each, and stops where one isn't whole. Writes nothing.

use super::shelf::Volume;
use crate::journal::{BatchError, BatchView};
use crate::limits::{BATCH_HEADER_BYTES, JOURNAL_ROW_BYTES_MAX};
use crate::model::{Incarnation, Seq, ServerId};
use crate::store::disk::DiskFile;
use std::io;
use std::ops::ControlFlow;

/// Bytes that are read at once.
const PIECE_BYTES: usize = 1 << 20;

const _: () = assert!(PIECE_BYTES >= 2 * JOURNAL_ROW_BYTES_MAX);

/// How far a scan came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// Offset behind the last whole batch.
    pub(crate) end: u64,
    /// What stands there isn't the batch that belongs there.
    pub(crate) is_broken: bool,
    /// The visitor wanted no more.
    pub(crate) is_stopped: bool,
}

/// A piece of a volume.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub(crate) begin: u64,
    pub(crate) end: u64,
    /// The hand-over that begins it; `None` = whichever does.
    pub(crate) first: Option<Seq>,
}

impl Piece {
    /// All batches of a volume.
    pub(crate) const fn all(volume: &Volume) -> Self {
        Self { begin: volume.begin, end: volume.end, first: Some(volume.first) }
    }
}

/// Gives the batches of a piece to `visit`, each with its offset.
///
/// Shape: reads the piece once, holds about 1 MiB of it.
///
/// # Errors
/// Of the system. Bytes that are not what was written are no error: the scan ends there.
pub(crate) fn scan(
    file: &dyn DiskFile,
    (server, incarnation): (ServerId, Incarnation),
    piece: Piece,
    visit: &mut dyn FnMut(&BatchView<'_>, u64) -> ControlFlow<()>,
) -> io::Result<Scanned> {
    let mut buffer = Vec::new();
    let (mut at, mut next) = (piece.begin, piece.first);
    let ended = |end, is_broken, is_stopped| Ok(Scanned { end, is_broken, is_stopped });
    while at < piece.end {
        let count = usize::try_from(piece.end - at).unwrap_or(usize::MAX).min(PIECE_BYTES);
        buffer.resize(count, 0);
        file.read_at(at, &mut buffer)?;
        let mut rest = buffer.as_slice();
        let whole = at + count as u64 == piece.end;
        loop {
            if rest.is_empty() || (!whole && rest.len() < JOURNAL_ROW_BYTES_MAX) {
                break;
            }
            let Ok(batch) = batch_at(rest, server) else { return ended(at, true, false) };
            let header = batch.header();
            let is_next = next.is_none_or(|next| next == header.first);
            if header.identity.incarnation != incarnation || !is_next {
                return ended(at, true, false);
            }
            let stops = visit(&batch, at).is_break();
            if stops {
                return ended(at, false, true);
            }
            next = Some(Seq(header.last.0 + 1));
            let length = BATCH_HEADER_BYTES + header.bytes as usize;
            at += length as u64;
            rest = rest.get(length..).unwrap_or_default();
        }
    }
    ended(at, false, false)
}

/// The batch at the start of some bytes.
fn batch_at(bytes: &[u8], server: ServerId) -> Result<BatchView<'_>, BatchError> {
    let header = BatchView::peek(bytes)?;
    let length = BATCH_HEADER_BYTES.saturating_add(header.bytes as usize);
    BatchView::decode(bytes.get(..length).ok_or(BatchError::Length)?, server)
}
