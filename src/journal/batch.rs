//! Batches: what one journal row holds, a header and the records of whole hand-overs. Checks that
//! rows follow each other without a gap; reads and writes no file.

use super::reader::{Reader, Short};
use super::record::{RecordError, decode, skip};
use crate::limits::{BATCH_HEADER_BYTES, JOURNAL_ROW_BYTES_MAX};
use crate::model::{Effect, Incarnation, Seq, ServerId, Tick};
use crc32c::{crc32c, crc32c_append};
use std::fmt;

/// First bytes of each batch: "adj" and the version of the format.
const MAGIC: [u8; 4] = *b"adj\0";
/// Zero bytes between the fields and the checksum.
const RESERVED_BYTES: usize = 24;
/// Bytes of the header before its checksum.
const HEADER_CHECKED_BYTES: usize = BATCH_HEADER_BYTES - 4;

/// Which data a journal belongs to; the same in every batch until a restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchIdentity {
    /// The data set.
    pub server: ServerId,
    /// Its restores.
    pub incarnation: Incarnation,
    /// Term of the leader; 0 until there is a second machine.
    pub term: u64,
}

/// Header of a batch. Seqs number hand-overs: a batch holds those from `first` to `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Which data it belongs to.
    pub identity: BatchIdentity,
    /// Seq of its first hand-over.
    pub first: Seq,
    /// Seq of its last hand-over, inclusive.
    pub last: Seq,
    /// The latest tick at which its records were decided.
    pub tick: Tick,
    /// How many records follow.
    pub records: u32,
    /// How many bytes they have.
    pub bytes: u32,
    /// Checksum of the batch before it; 0 for the first one of an incarnation.
    pub previous_crc: u32,
    /// CRC-32C of the header before this field, and of the records.
    pub crc: u32,
}

/// Why bytes are not the batch that belongs there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BatchError {
    /// Fewer or more bytes than the header says.
    Length,
    /// Not a batch.
    Magic,
    /// A newer format.
    Version(u8),
    /// The checksum doesn't match: damaged.
    Checksum,
    /// Of another data set or incarnation.
    Foreign,
    /// It doesn't follow the batch before it.
    Gap {
        /// The seq that should begin it.
        expected: Seq,
        /// The seq that begins it.
        found: Seq,
    },
    /// It follows by number, but another batch than the one that is there.
    Chain,
    /// Not as many records as the header says.
    Count,
    /// A record that can't be read.
    Record(RecordError),
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => f.write_str("its length differs from its header"),
            Self::Magic => f.write_str("it is not a batch"),
            Self::Version(version) => write!(f, "format {version} is newer than this server"),
            Self::Checksum => f.write_str("its checksum is wrong"),
            Self::Foreign => f.write_str("it belongs to other data"),
            Self::Gap { expected, found } => {
                write!(f, "it begins at {found}, but {expected} should follow")
            }
            Self::Chain => f.write_str("it follows another batch than the one before it"),
            Self::Count => f.write_str("its number of records differs from its header"),
            Self::Record(_) => f.write_str("one of its records can't be read"),
        }
    }
}

impl std::error::Error for BatchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Record(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Short> for BatchError {
    fn from(_: Short) -> Self {
        Self::Length
    }
}

impl BatchHeader {
    /// The header as it is stored; `crc` must be right already.
    #[must_use]
    pub fn encode(&self) -> [u8; BATCH_HEADER_BYTES] {
        let mut out = self.encode_checked();
        out.extend_from_slice(&self.crc.to_be_bytes());
        let array = <[u8; BATCH_HEADER_BYTES]>::try_from(out.as_slice());
        debug_assert!(array.is_ok());
        array.unwrap_or([0; BATCH_HEADER_BYTES])
    }

    fn encode_checked(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(BATCH_HEADER_BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.identity.incarnation.0.to_be_bytes());
        out.extend_from_slice(self.identity.server.as_bytes());
        out.extend_from_slice(&self.identity.term.to_be_bytes());
        out.extend_from_slice(&self.first.0.to_be_bytes());
        out.extend_from_slice(&self.last.0.to_be_bytes());
        out.extend_from_slice(&self.tick.0.to_be_bytes());
        out.extend_from_slice(&self.records.to_be_bytes());
        out.extend_from_slice(&self.bytes.to_be_bytes());
        out.extend_from_slice(&self.previous_crc.to_be_bytes());
        out.extend_from_slice(&[0; RESERVED_BYTES]);
        debug_assert_eq!(out.len(), HEADER_CHECKED_BYTES);
        out
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, BatchError> {
        let [m0, m1, m2, version] = reader.array::<4>()?;
        let [e0, e1, e2, known] = MAGIC;
        if (m0, m1, m2) != (e0, e1, e2) {
            return Err(BatchError::Magic);
        }
        if version != known {
            return Err(BatchError::Version(version));
        }
        let incarnation = Incarnation(reader.u32()?);
        let server = ServerId::from_bytes(reader.array()?);
        let identity = BatchIdentity { server, incarnation, term: reader.u64()? };
        let first = Seq(reader.u64()?);
        let last = Seq(reader.u64()?);
        let tick = Tick(reader.u64()?);
        let (records, bytes, previous_crc) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let reserved = reader.array::<RESERVED_BYTES>()?;
        let crc = reader.u32()?;
        if first > last || last.0 == u64::MAX || reserved != [0; RESERVED_BYTES] {
            return Err(BatchError::Magic);
        }
        Ok(Self { identity, first, last, tick, records, bytes, previous_crc, crc })
    }

    /// Whether this batch is the one after `previous_last` and `previous_crc`.
    ///
    /// # Errors
    /// [`BatchError::Gap`] or [`BatchError::Chain`].
    pub fn follows(&self, previous_last: Seq, previous_crc: u32) -> Result<(), BatchError> {
        let expected = Seq(previous_last.0.saturating_add(1));
        if self.first != expected {
            return Err(BatchError::Gap { expected, found: self.first });
        }
        if self.previous_crc == previous_crc { Ok(()) } else { Err(BatchError::Chain) }
    }
}

/// Gives batches their headers, one after the other: numbers hand-overs and links checksums.
///
/// Concurrency: the committer has the only one.
#[derive(Clone, Debug)]
pub struct BatchSealer {
    identity: BatchIdentity,
    next: Seq,
    previous_crc: u32,
}

impl BatchSealer {
    /// Goes on where a journal ends: `next` is the seq of the next hand-over.
    #[must_use]
    pub const fn new(identity: BatchIdentity, next: Seq, previous_crc: u32) -> Self {
        Self { identity, next, previous_crc }
    }

    /// Seq that the next hand-over gets.
    #[must_use]
    pub const fn next(&self) -> Seq {
        self.next
    }

    /// Header of a batch of `hand_overs` hand-overs whose records are `parts`, in order.
    ///
    /// Shape: reads every byte once, for the checksum; copies none.
    ///
    /// # Panics
    /// If there is no hand-over, or the batch passes [`JOURNAL_ROW_BYTES_MAX`].
    pub fn seal(
        &mut self,
        tick: Tick,
        hand_overs: u32,
        records: u32,
        parts: &[&[u8]],
    ) -> BatchHeader {
        assert!(hand_overs > 0, "a batch holds at least one hand-over");
        let bytes = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
        assert!(
            bytes <= JOURNAL_ROW_BYTES_MAX - BATCH_HEADER_BYTES,
            "{bytes} bytes of records don't fit one row"
        );
        let first = self.next;
        let next = Seq(first.0.saturating_add(u64::from(hand_overs)));
        let mut header = BatchHeader {
            identity: self.identity,
            first,
            last: Seq(next.0.saturating_sub(1)),
            tick,
            records,
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
            previous_crc: self.previous_crc,
            crc: 0,
        };
        let start = crc32c(&header.encode_checked());
        header.crc = parts.iter().fold(start, |crc, part| crc32c_append(crc, part));
        self.next = next;
        self.previous_crc = header.crc;
        header
    }
}

/// A batch that was read: header and records, checksum and length checked.
#[derive(Clone, Copy, Debug)]
pub struct BatchView<'a> {
    header: BatchHeader,
    records: &'a [u8],
}

impl<'a> BatchView<'a> {
    /// Checks and splits a journal row.
    ///
    /// # Errors
    /// [`BatchError`]; each one means that the row must not be used.
    pub fn decode(row: &'a [u8], server: ServerId) -> Result<Self, BatchError> {
        let mut reader = Reader::new(row);
        let header = BatchHeader::read(&mut reader)?;
        let length = usize::try_from(header.bytes).map_err(|_| BatchError::Length)?;
        if reader.left() != length || row.len() > JOURNAL_ROW_BYTES_MAX {
            return Err(BatchError::Length);
        }
        let records = reader.take(length)?;
        let checked = row.get(..HEADER_CHECKED_BYTES).ok_or(BatchError::Length)?;
        if crc32c_append(crc32c(checked), records) != header.crc {
            return Err(BatchError::Checksum);
        }
        if header.identity.server != server {
            return Err(BatchError::Foreign);
        }
        Ok(Self { header, records })
    }

    /// The header of a row that was checked before.
    ///
    /// # Errors
    /// [`BatchError`] if it is not a header; the checksum is not looked at.
    pub fn peek(row: &[u8]) -> Result<BatchHeader, BatchError> {
        BatchHeader::read(&mut Reader::new(row))
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The bytes of the records.
    #[must_use]
    pub const fn record_bytes(&self) -> &'a [u8] {
        self.records
    }

    /// The records in order, then an error if there are more or fewer than the header says.
    #[must_use]
    pub const fn records(&self) -> Records<'a> {
        Records { left: self.records, count: self.header.records, failed: false }
    }
}

/// The records of a batch.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    left: &'a [u8],
    count: u32,
    failed: bool,
}

impl<'a> Records<'a> {
    /// The bytes of the next record, not decoded.
    ///
    /// # Errors
    /// [`BatchError::Count`] or [`BatchError::Record`]; nothing follows an error.
    pub fn next_raw(&mut self) -> Option<Result<&'a [u8], BatchError>> {
        if self.failed || (self.left.is_empty() && self.count == 0) {
            return None;
        }
        let record = self.split();
        self.failed = record.is_err();
        Some(record)
    }

    fn split(&mut self) -> Result<&'a [u8], BatchError> {
        self.count = self.count.checked_sub(1).ok_or(BatchError::Count)?;
        if self.left.is_empty() {
            return Err(BatchError::Count);
        }
        let length = skip(self.left).map_err(BatchError::Record)?;
        let (record, left) = self.left.split_at_checked(length).ok_or(BatchError::Count)?;
        self.left = left;
        Ok(record)
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Effect, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = match self.next_raw()? {
            Ok(record) => record,
            Err(error) => return Some(Err(error)),
        };
        let decoded = decode(record).map(|(effect, _)| effect).map_err(BatchError::Record);
        self.failed = decoded.is_err();
        Some(decoded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{NetworkHandle, Revision};

    const SERVER: ServerId = ServerId::from_u128(7);

    fn records(networks: std::ops::Range<u32>) -> Vec<u8> {
        let mut out = Vec::new();
        for network in networks {
            let gone =
                Effect::NetworkGone { network: NetworkHandle(network), revision: Revision(1) };
            super::super::encode(&gone, &mut out);
        }
        out
    }

    fn sealer() -> BatchSealer {
        let identity = BatchIdentity { server: SERVER, incarnation: Incarnation(1), term: 0 };
        BatchSealer::new(identity, Seq(5), 0xfeed)
    }

    fn row(header: &BatchHeader, parts: &[&[u8]]) -> Vec<u8> {
        let mut row = header.encode().to_vec();
        for part in parts {
            row.extend_from_slice(part);
        }
        row
    }

    #[test]
    fn a_batch_reads_back_and_links_to_the_next() {
        let (one, two) = (records(0..3), records(3..4));
        let mut sealer = sealer();
        let header = sealer.seal(Tick(9), 2, 4, &[&one, &two]);
        assert_eq!((header.first, header.last, sealer.next()), (Seq(5), Seq(6), Seq(7)));
        let row = row(&header, &[&one, &two]);
        let view = BatchView::decode(&row, SERVER).unwrap();
        assert_eq!(*view.header(), header);
        assert!(view.header().follows(Seq(4), 0xfeed).is_ok());
        assert_eq!(view.header().follows(Seq(4), 1), Err(BatchError::Chain));
        let gap = BatchError::Gap { expected: Seq(4), found: Seq(5) };
        assert_eq!(view.header().follows(Seq(3), 0xfeed), Err(gap));
        assert_eq!(view.records().filter(Result::is_ok).count(), 4);
        let after = sealer.seal(Tick(9), 1, 0, &[]);
        assert!(after.follows(header.last, header.crc).is_ok());
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        let records = records(0..2);
        let header = sealer().seal(Tick(9), 1, 2, &[&records]);
        let row = row(&header, &[&records]);
        for bit in 0..row.len() * 8 {
            let mut bad = row.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(BatchView::decode(&bad, SERVER).is_err(), "bit {bit}");
        }
        for length in 0..row.len() {
            assert!(BatchView::decode(&row[..length], SERVER).is_err(), "length {length}");
        }
    }

    #[test]
    fn a_batch_of_other_data_is_refused() {
        let header = sealer().seal(Tick(9), 1, 0, &[]);
        let row = row(&header, &[]);
        let other = BatchView::decode(&row, ServerId::from_u128(8));
        assert_eq!(other.err(), Some(BatchError::Foreign));
    }

    #[test]
    fn a_wrong_count_is_an_error_at_the_end() {
        let bytes = records(0..2);
        for wrong in [0, 1, 3] {
            let header = sealer().seal(Tick(9), 1, wrong, &[&bytes]);
            let row = row(&header, &[&bytes]);
            let view = BatchView::decode(&row, SERVER).unwrap();
            let last = view.records().last().unwrap();
            assert_eq!(last, Err(BatchError::Count), "{wrong}");
        }
    }
}
