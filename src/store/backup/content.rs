//! What the blocks of a backup hold, as bytes: the begin, rows, batches, the end. Reads strictly what
//! it writes; touches no file.

use super::block::{BackupFault, BlockChain};
use crate::journal::{BatchView, Reader, Short};
use crate::limits::{BATCH_HEADER_BYTES, STATE_ROW_BYTES_MAX};
use crate::model::{Incarnation, Seq, ServerId, Tick};
use crate::store::schema::{FORMAT_VERSION, FORMAT_VERSION_FIRST, StateMeta, StateTable, open_row};

/// Whose backup it is, and where the state stood when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupBegin {
    /// The data set.
    pub server: ServerId,
    /// Its restores.
    pub incarnation: Incarnation,
    /// Every row holds at least what was decided up to here; the batches behind it are in the backup.
    pub folded: Seq,
    /// Checksum of the batch that ends there.
    pub folded_crc: u32,
    /// Tick of that batch.
    pub tick: Tick,
    /// Highest number that a network ever had, there.
    pub network_handle_max: u32,
    /// Highest number that a job ever had, there.
    pub job_max: u64,
    /// When adoption mode began, there; 0 = it is not on.
    pub adoption: Tick,
    /// All that was durable when the backup began: it reaches at least as far.
    pub durable: Seq,
}

impl BackupBegin {
    pub(super) fn of(meta: &StateMeta, durable: Seq) -> Self {
        Self {
            server: meta.server,
            incarnation: meta.incarnation,
            folded: meta.folded,
            folded_crc: meta.folded_crc,
            tick: meta.tick,
            network_handle_max: meta.network_handle_max,
            job_max: meta.job_max,
            adoption: meta.adoption,
            durable,
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(80);
        out.extend_from_slice(&FORMAT_VERSION.to_be_bytes());
        out.extend_from_slice(self.server.as_bytes());
        out.extend_from_slice(&self.incarnation.0.to_be_bytes());
        out.extend_from_slice(&self.folded.0.to_be_bytes());
        out.extend_from_slice(&self.folded_crc.to_be_bytes());
        out.extend_from_slice(&self.tick.0.to_be_bytes());
        out.extend_from_slice(&self.network_handle_max.to_be_bytes());
        out.extend_from_slice(&self.job_max.to_be_bytes());
        out.extend_from_slice(&self.adoption.0.to_be_bytes());
        out.extend_from_slice(&self.durable.0.to_be_bytes());
        out
    }

    pub(super) fn decode(payload: &[u8], chain: &BlockChain) -> Result<Self, BackupFault> {
        let mut reader = Reader::new(payload);
        let short = |_: Short| chain.damaged("the block before it is short");
        let version = reader.u32().map_err(short)?;
        if !(FORMAT_VERSION_FIRST..=FORMAT_VERSION).contains(&version) {
            return Err(BackupFault::Newer(version));
        }
        let read = |reader: &mut Reader<'_>| -> Result<Self, Short> {
            Ok(Self {
                server: ServerId::from_bytes(reader.array()?),
                incarnation: Incarnation(reader.u32()?),
                folded: Seq(reader.u64()?),
                folded_crc: reader.u32()?,
                tick: Tick(reader.u64()?),
                network_handle_max: reader.u32()?,
                job_max: reader.u64()?,
                adoption: Tick(reader.u64()?),
                durable: Seq(reader.u64()?),
            })
        };
        let begin = read(&mut reader).map_err(short)?;
        if reader.is_empty() {
            Ok(begin)
        } else {
            Err(chain.damaged("the block before it is long"))
        }
    }
}

/// What there was in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackupEnd {
    /// Rows of the state.
    pub rows: u64,
    /// Batches of the journal.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// The last hand-over of the last batch: the backup is the state there.
    pub last: Seq,
    /// Checksum of that batch.
    pub last_crc: u32,
    /// Its tick.
    pub tick: Tick,
    /// Bytes of all blocks before the last one.
    pub bytes: u64,
}

impl BackupEnd {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        for number in [self.rows, self.batches, self.records, self.last.0] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&self.last_crc.to_be_bytes());
        out.extend_from_slice(&self.tick.0.to_be_bytes());
        out.extend_from_slice(&self.bytes.to_be_bytes());
        out
    }

    pub(super) fn decode(payload: &[u8], chain: &BlockChain) -> Result<Self, BackupFault> {
        let mut reader = Reader::new(payload);
        let mut read = || -> Result<Self, Short> {
            Ok(Self {
                rows: reader.u64()?,
                batches: reader.u64()?,
                records: reader.u64()?,
                last: Seq(reader.u64()?),
                last_crc: reader.u32()?,
                tick: Tick(reader.u64()?),
                bytes: reader.u64()?,
            })
        };
        let end = read().map_err(|_| chain.damaged("the block before it is short"))?;
        if !reader.is_empty() {
            return Err(chain.damaged("the block before it is long"));
        }
        if end.bytes != chain.bytes_before() {
            return Err(chain.damaged("the blocks before it are not as long as the end says"));
        }
        Ok(end)
    }
}

/// Bytes of the key of a table's rows.
pub(super) const fn key_bytes(table: StateTable) -> usize {
    match table {
        StateTable::Networks | StateTable::Revisions => 4,
        StateTable::Subnets | StateTable::Cursors | StateTable::Jobs => 8,
        StateTable::HostLeases => 32,
        StateTable::Segments | StateTable::Hosts | StateTable::Ports | StateTable::Pins => 12,
        StateTable::Exclusions | StateTable::Cells | StateTable::Texts => 24,
    }
}

/// Bytes of a row beside key and value: number of its table, length of its value.
pub(super) const ROW_HEAD_BYTES: usize = 3;

/// Appends a row.
pub(super) fn put_row(table: StateTable, key: &[u8], row: &[u8], out: &mut Vec<u8>) {
    debug_assert_eq!(key.len(), key_bytes(table));
    assert!(row.len() <= STATE_ROW_BYTES_MAX, "a state row of {} bytes", row.len());
    out.push(table as u8);
    out.extend_from_slice(&(row.len() as u16).to_be_bytes());
    out.extend_from_slice(key);
    out.extend_from_slice(row);
}

/// A row as it is stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoredRow<'a> {
    pub(super) table: StateTable,
    pub(super) key: &'a [u8],
    pub(super) row: &'a [u8],
}

/// Takes the row at the front of a payload; its checksum is right.
pub(super) fn take_row<'a>(
    reader: &mut Reader<'a>,
    chain: &BlockChain,
) -> Result<StoredRow<'a>, BackupFault> {
    let damaged = || chain.damaged("a row of the block before it can't be read");
    let mut read = || -> Result<_, Short> {
        let number = reader.u8()?;
        let length = reader.u16()?;
        let table =
            StateTable::ALL.into_iter().find(|table| *table as u8 == number).ok_or(Short)?;
        Ok(StoredRow {
            table,
            key: reader.take(key_bytes(table))?,
            row: reader.take(length.into())?,
        })
    };
    let found = read().map_err(|_| damaged())?;
    match open_row(found.table, found.key, found.row) {
        Some(_) => Ok(found),
        None => Err(damaged()),
    }
}

/// Takes the batch at the front of a payload.
pub(super) fn take_batch<'a>(
    reader: &mut Reader<'a>,
    server: ServerId,
    chain: &BlockChain,
) -> Result<BatchView<'a>, BackupFault> {
    let damaged = || chain.damaged("a batch of the block before it can't be read");
    let mut ahead = *reader;
    let head = ahead.take(BATCH_HEADER_BYTES).map_err(|_| damaged())?;
    let header = BatchView::peek(head).map_err(|_| damaged())?;
    let length = usize::try_from(header.bytes).unwrap_or(usize::MAX);
    let whole = reader.take(BATCH_HEADER_BYTES.saturating_add(length)).map_err(|_| damaged())?;
    BatchView::decode(whole, server).map_err(|_| damaged())
}
