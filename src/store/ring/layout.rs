//! Bytes of the journal's file that are not batches: its title and the marks of its end; and how
//! many blocks something takes. `docs/disk-format.md` has it byte by byte. Touches no file.

use crate::journal::{Reader, Short};
use crate::limits::{
    BATCH_HEADER_BYTES, JOURNAL_BYTES_PER_RECORD, JOURNAL_RECORDS_MAX_MOST, JOURNAL_ROW_BYTES_MAX,
};
use crate::model::{Incarnation, Seq, ServerId};
use crc32c::crc32c;

/// What a batch begins and ends at a multiple of, so that no write ever touches a piece of the
/// disk (4 KiB at most on what is sold) that holds another batch.
pub(crate) const BLOCK_BYTES: u64 = 4_096;
/// Where the marks are, which are written in turn, each in a block of its own: one that was cut
/// short leaves the other. The title has block 0.
pub(super) const MARK_OFFSETS: [u64; 2] = [BLOCK_BYTES, 2 * BLOCK_BYTES];
/// The first block of batches.
pub(super) const FIRST_BLOCK: u64 = 3;
/// Bytes of the title and of a mark.
pub(super) const LABEL_BYTES: usize = 64;
/// The most blocks that a batch takes, and so what is lost at most where the ring begins anew.
pub(super) const BATCH_BLOCKS_MAX: u64 = (JOURNAL_ROW_BYTES_MAX as u64).div_ceil(BLOCK_BYTES);

const TITLE: [u8; 3] = *b"adr";
const MARK: [u8; 3] = *b"adm";
/// Version of the file.
const VERSION: u8 = 0;
const CHECKED_BYTES: usize = LABEL_BYTES - 4;

const _: () = assert!(
    JOURNAL_RECORDS_MAX_MOST <= u64::MAX / (2 * JOURNAL_BYTES_PER_RECORD),
    "sizes of the file don't overflow"
);

/// Bytes of the file of a journal of so many records.
pub(crate) const fn file_bytes(records_max: u64) -> u64 {
    let rows = records_max.saturating_mul(JOURNAL_BYTES_PER_RECORD).div_ceil(BLOCK_BYTES);
    (FIRST_BLOCK + rows + 2 * BATCH_BLOCKS_MAX) * BLOCK_BYTES
}

/// Blocks of a batch with so many bytes of records.
pub(super) const fn batch_blocks(record_bytes: u32) -> u64 {
    (BATCH_HEADER_BYTES as u64 + record_bytes as u64).div_ceil(BLOCK_BYTES)
}

/// What the file says about itself, once and for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Title {
    pub(crate) server: ServerId,
    pub(crate) incarnation: Incarnation,
    /// The first hand-over that this file ever holds.
    pub(crate) base: Seq,
}

/// How far batches are durable, as was known when they were: what a start finds must reach at
/// least as far.
///
/// Written after the sync that made a batch durable and made durable by the next one, it tells a
/// batch that was acknowledged and is damaged from one that a crash cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The last hand-over.
    pub(super) last: Seq,
    /// Checksum of its batch.
    pub(super) crc: u32,
    /// Blocks that the file had; it never gets shorter.
    pub(super) blocks: u64,
}

/// Why a label can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LabelError {
    /// Not what was written.
    Damaged,
    /// A newer format.
    Newer(u8),
}

impl From<Short> for LabelError {
    fn from(_: Short) -> Self {
        Self::Damaged
    }
}

impl Title {
    pub(super) fn encode(&self) -> [u8; LABEL_BYTES] {
        label(TITLE, self.server, self.incarnation, [self.base.0, 0, 0])
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, LabelError> {
        match read_label(TITLE, bytes)? {
            (server, incarnation, [base, 0, 0]) => {
                Ok(Self { server, incarnation, base: Seq(base) })
            }
            _ => Err(LabelError::Damaged),
        }
    }

    /// For tests and `fuzz/`: seals what stands before the checksum, reads it, writes what was
    /// read. `None`: it was refused.
    pub(crate) fn reread(checked: &[u8]) -> Option<Vec<u8>> {
        let mut label = checked.to_vec();
        label.extend_from_slice(&crc32c(checked).to_be_bytes());
        let again = Self::decode(&label).ok()?.encode();
        Some(again[..CHECKED_BYTES].to_vec())
    }
}

impl Mark {
    pub(super) fn encode(self, title: &Title) -> [u8; LABEL_BYTES] {
        let fields = [self.last.0, self.crc.into(), self.blocks];
        label(MARK, title.server, title.incarnation, fields)
    }

    /// The mark of a file with this title.
    pub(super) fn decode(bytes: &[u8], title: &Title) -> Result<Self, LabelError> {
        let (server, incarnation, [last, crc, blocks]) = read_label(MARK, bytes)?;
        if (server, incarnation) != (title.server, title.incarnation) {
            return Err(LabelError::Damaged);
        }
        let crc = u32::try_from(crc).map_err(|_| LabelError::Damaged)?;
        Ok(Self { last: Seq(last), crc, blocks })
    }
}

fn label(
    magic: [u8; 3],
    server: ServerId,
    incarnation: Incarnation,
    fields: [u64; 3],
) -> [u8; LABEL_BYTES] {
    let mut bytes = Vec::with_capacity(LABEL_BYTES);
    bytes.extend_from_slice(&magic);
    bytes.push(VERSION);
    bytes.extend_from_slice(&incarnation.0.to_be_bytes());
    bytes.extend_from_slice(server.as_bytes());
    fields.iter().for_each(|field| bytes.extend_from_slice(&field.to_be_bytes()));
    let mut out = [0; LABEL_BYTES];
    out[..bytes.len()].copy_from_slice(&bytes);
    let sum = crc32c(&out[..CHECKED_BYTES]);
    out[CHECKED_BYTES..].copy_from_slice(&sum.to_be_bytes());
    out
}

fn read_label(
    magic: [u8; 3],
    bytes: &[u8],
) -> Result<(ServerId, Incarnation, [u64; 3]), LabelError> {
    let (checked, sum) = bytes.split_at_checked(CHECKED_BYTES).ok_or(LabelError::Damaged)?;
    let mut reader = Reader::new(checked);
    let [m0, m1, m2, version] = reader.array()?;
    if [m0, m1, m2] != magic {
        return Err(LabelError::Damaged);
    }
    if sum != crc32c(checked).to_be_bytes() {
        return Err(LabelError::Damaged);
    }
    if version > VERSION {
        return Err(LabelError::Newer(version));
    }
    let incarnation = Incarnation(reader.u32()?);
    let server = ServerId::from_bytes(reader.array()?);
    let fields = [reader.u64()?, reader.u64()?, reader.u64()?];
    let reserved = reader.take(reader.left())?;
    if reserved.iter().any(|byte| *byte != 0) {
        return Err(LabelError::Damaged);
    }
    Ok((server, incarnation, fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TITLE: Title =
        Title { server: ServerId::from_u128(7), incarnation: Incarnation(3), base: Seq(9) };

    #[test]
    fn labels_read_back_and_any_change_is_noticed() {
        let mark = Mark { last: Seq(77), crc: 0xfeed, blocks: 9 };
        let (title, end) = (TITLE.encode(), mark.encode(&TITLE));
        assert_eq!(Title::decode(&title), Ok(TITLE));
        assert_eq!(Mark::decode(&end, &TITLE), Ok(mark));
        assert!(Mark::decode(&title, &TITLE).is_err() && Title::decode(&end).is_err());
        let other = Title { server: ServerId::from_u128(8), ..TITLE };
        assert_eq!(Mark::decode(&end, &other), Err(LabelError::Damaged));
        for bit in 0..LABEL_BYTES * 8 {
            let mut bad = (title, end);
            bad.0[bit / 8] ^= 1 << (bit % 8);
            bad.1[bit / 8] ^= 1 << (bit % 8);
            assert!(Title::decode(&bad.0).is_err(), "bit {bit}");
            assert!(Mark::decode(&bad.1, &TITLE).is_err(), "bit {bit}");
        }
        for length in 0..LABEL_BYTES {
            assert!(Title::decode(&title[..length]).is_err(), "length {length}");
        }
    }

    #[test]
    fn a_newer_file_is_told_as_such() {
        let mut title = TITLE.encode();
        title[3] = 4;
        assert_eq!(Title::decode(&title), Err(LabelError::Damaged));
        let sum = crc32c(&title[..CHECKED_BYTES]).to_be_bytes();
        title[CHECKED_BYTES..].copy_from_slice(&sum);
        assert_eq!(Title::decode(&title), Err(LabelError::Newer(4)));
    }

    #[test]
    fn a_batch_takes_whole_blocks() {
        assert_eq!((batch_blocks(0), batch_blocks(4_000), batch_blocks(4_001)), (1, 1, 2));
        let most = (JOURNAL_ROW_BYTES_MAX - BATCH_HEADER_BYTES) as u32;
        assert_eq!(batch_blocks(most), BATCH_BLOCKS_MAX);
    }
}
