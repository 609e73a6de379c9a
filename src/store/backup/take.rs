//! Takes a backup of a state that goes on changing, a block at a time. A step machine without a thread
//! or a clock, beside the checkpointer, whose owner steps both.

use super::block::{BlockKind, BlockSealer};
use super::content::{BackupBegin, BackupEnd, ROW_HEAD_BYTES, key_bytes, put_row};
use crate::limits::{BACKUP_PAYLOAD_BYTES_MAX, BATCH_HEADER_BYTES, STATE_ROW_BYTES_MAX};
use crate::model::Seq;
use crate::planted::{Bug, is_planted};
use crate::store::checkpoint::Checkpointer;
use crate::store::directory::STATE_FILE;
use crate::store::error::{StoreError, guarded};
use crate::store::schema::{
    CELLS, CURSORS, Definition, EXCLUSIONS, GROUP_CELLS, HOST_LEASES, HOSTS, JOBS, NETWORKS, PINS,
    PORTS, REVISIONS, SEGMENTS, SUBNETS, StateTable, TEXTS, open_row, place_key, split_place_key,
};
use redb::{ReadTransaction, ReadableDatabase};
use std::ops::{Bound, ControlFlow};

/// Tables in the order in which they are read. Texts come with their cells, in one transaction: a cell
/// that lost its texts meanwhile couldn't be read.
const TABLES: [StateTable; StateTable::COUNT - 1] = [
    StateTable::Networks,
    StateTable::Revisions,
    StateTable::Subnets,
    StateTable::Exclusions,
    StateTable::Cursors,
    StateTable::Cells,
    StateTable::Jobs,
    StateTable::Segments,
    StateTable::Hosts,
    StateTable::Ports,
    StateTable::Pins,
    StateTable::HostLeases,
];

/// Bytes of a group of cells with all its texts.
const GROUP_BYTES_MAX: usize =
    (1 + GROUP_CELLS as usize) * (ROW_HEAD_BYTES + 24 + STATE_ROW_BYTES_MAX);

const _: () = assert!(GROUP_BYTES_MAX <= BACKUP_PAYLOAD_BYTES_MAX, "a group of cells fits a block");

/// What a step gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// The next block, and what it holds.
    Block(BlockKind, Vec<u8>),
    /// Nothing for now: there are no new batches, and rows are not to be read.
    Nothing,
}

/// A backup that is being taken.
///
/// Memory: nothing between two steps.
#[derive(Debug)]
pub struct Backup {
    sealer: BlockSealer,
    /// The first block, until it is taken.
    begin: Option<BackupBegin>,
    /// All that was durable when it began.
    begun: Seq,
    /// What there was so far.
    end: BackupEnd,
    /// How many of [`TABLES`] are read.
    table: usize,
    /// Key of the last row of the table at hand.
    after: Option<Vec<u8>>,
    /// All rows are read; the state at this hand-over is what the backup holds.
    until: Option<Seq>,
    /// It is the turn of batches.
    takes_batches: bool,
    is_done: bool,
    /// Bytes of rows in the last block that were so when it began.
    old_row_bytes: u64,
    /// Bytes of the payload of a block.
    payload_bytes: usize,
}

impl Checkpointer {
    /// Begins a backup. `durable`: all that was acknowledged so far.
    #[must_use]
    pub fn begin_backup(&self, durable: Seq) -> Backup {
        let begin = BackupBegin::of(&self.state.meta, durable);
        let end = BackupEnd {
            last: begin.folded,
            last_crc: begin.folded_crc,
            tick: begin.tick,
            ..BackupEnd::default()
        };
        Backup {
            sealer: BlockSealer::default(),
            begin: Some(begin),
            begun: durable,
            end,
            table: 0,
            after: None,
            until: None,
            takes_batches: true,
            is_done: false,
            old_row_bytes: 0,
            payload_bytes: BACKUP_PAYLOAD_BYTES_MAX,
        }
    }
}

impl Backup {
    /// The journal must keep what is behind this hand-over.
    #[must_use]
    pub const fn taken(&self) -> Seq {
        self.end.last
    }

    /// Bytes of the rows in the last block of them that were as they are when the backup began. Those that
    /// came since are no reason to wait: they come as fast as clients make them, and a backup that
    /// waited for each would never reach the end of a state that grows.
    #[must_use]
    pub const fn old_row_bytes(&self) -> u64 {
        self.old_row_bytes
    }

    /// Small blocks, so that a small state has many.
    #[cfg(test)]
    pub(super) const fn in_small_blocks(mut self) -> Self {
        self.payload_bytes = 1_000;
        self
    }

    /// Whether the last block was taken.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.is_done
    }

    /// Takes the next block. `durable`: up to where the journal is durable; `reads_rows`: whether rows of
    /// the state may be read for it. Batches are taken in any case, since the journal is kept for them.
    ///
    /// Shape: reads at most about a block of rows in one short transaction, or 1 MiB of the journal.
    ///
    /// # Errors
    /// [`StoreError`]: this backup must not go on; the state and the journal are untouched.
    pub fn step(
        &mut self,
        of: &Checkpointer,
        durable: Seq,
        reads_rows: bool,
    ) -> Result<Taken, StoreError> {
        let durable = if is_planted(Bug::BackupEndsAtItsBegin) { self.begun } else { durable };
        if let Some(begin) = self.begin.take() {
            return Ok(self.block(BlockKind::Begin, &begin.encode()));
        }
        loop {
            let wants_batches = self.takes_batches || self.until.is_some() || !reads_rows;
            if wants_batches && !self.is_done {
                let payload = self.batches(of, self.until.unwrap_or(durable))?;
                if !payload.is_empty() {
                    return Ok(self.block(BlockKind::Batches, &payload));
                }
            }
            self.takes_batches = false;
            if self.is_done {
                return Ok(Taken::Nothing);
            }
            if self.until.is_some_and(|until| self.end.last >= until) {
                self.is_done = true;
                self.end.bytes = self.sealer.bytes();
                let end = self.end.encode();
                return Ok(self.block(BlockKind::End, &end));
            }
            if !reads_rows || self.until.is_some() {
                return Ok(Taken::Nothing);
            }
            let payload = guarded(STATE_FILE, || self.rows(of))?;
            if !payload.is_empty() {
                self.takes_batches = true;
                return Ok(self.block(BlockKind::Rows, &payload));
            }
            // What any row holds was durable by now.
            self.until = Some(durable);
        }
    }

    fn block(&mut self, kind: BlockKind, payload: &[u8]) -> Taken {
        Taken::Block(kind, self.sealer.seal(kind, payload))
    }

    /// As many batches as fit a block, up to the hand-over `until`.
    fn batches(&mut self, of: &Checkpointer, until: Seq) -> Result<Vec<u8>, StoreError> {
        let mut payload = Vec::new();
        if self.end.last >= until {
            return Ok(payload);
        }
        let (end, most, mut is_full) = (&mut self.end, self.payload_bytes, false);
        let more = of.source.read(Seq(end.last.0 + 1), &mut |batch, _| {
            let (header, records) = (batch.header(), batch.record_bytes());
            let bytes = BATCH_HEADER_BYTES + records.len();
            if end.last >= until {
                return Ok(ControlFlow::Break(()));
            }
            is_full = !payload.is_empty() && payload.len() + bytes > most;
            if is_full {
                return Ok(ControlFlow::Break(()));
            }
            let follows = header.follows(end.last, end.last_crc);
            follows.map_err(|source| StoreError::Batch { at: header.first, source })?;
            payload.extend_from_slice(&header.encode());
            payload.extend_from_slice(records);
            end.batches += 1;
            end.records += u64::from(header.records);
            (end.last, end.last_crc, end.tick) = (header.last, header.crc, header.tick);
            Ok(ControlFlow::Continue(()))
        })?;
        // Who falls behind catches up before anything else is read.
        self.takes_batches = (is_full || more) && end.last < until;
        Ok(payload)
    }

    /// As many rows as fit a block; none if all were read.
    fn rows(&mut self, of: &Checkpointer) -> Result<Vec<u8>, StoreError> {
        let mut payload = Vec::new();
        self.old_row_bytes = 0;
        let transaction = of.state.database.begin_read().map_err(reading)?;
        while let Some(table) = TABLES.get(self.table) {
            let is_read = self.scan_table(&transaction, *table, &mut payload)?;
            if !is_read {
                break;
            }
            self.table += 1;
            self.after = None;
        }
        Ok(payload)
    }

    /// Reads on in a table until it ends (`true`) or the block is full.
    fn scan_table(
        &mut self,
        transaction: &ReadTransaction,
        table: StateTable,
        payload: &mut Vec<u8>,
    ) -> Result<bool, StoreError> {
        match table {
            StateTable::Networks => self.scan(transaction, NETWORKS, table, payload),
            StateTable::Revisions => self.scan(transaction, REVISIONS, table, payload),
            StateTable::Subnets => self.scan(transaction, SUBNETS, table, payload),
            StateTable::Exclusions => self.scan(transaction, EXCLUSIONS, table, payload),
            StateTable::Cursors => self.scan(transaction, CURSORS, table, payload),
            StateTable::Cells => self.scan(transaction, CELLS, table, payload),
            StateTable::Jobs => self.scan(transaction, JOBS, table, payload),
            StateTable::Segments => self.scan(transaction, SEGMENTS, table, payload),
            StateTable::Hosts => self.scan(transaction, HOSTS, table, payload),
            StateTable::Ports => self.scan(transaction, PORTS, table, payload),
            StateTable::Pins => self.scan(transaction, PINS, table, payload),
            StateTable::HostLeases => self.scan(transaction, HOST_LEASES, table, payload),
            // With their cells.
            StateTable::Texts => Ok(true),
        }
    }

    fn scan<const N: usize>(
        &mut self,
        transaction: &ReadTransaction,
        definition: Definition<N>,
        table: StateTable,
        payload: &mut Vec<u8>,
    ) -> Result<bool, StoreError> {
        let opened = transaction.open_table(definition).map_err(reading)?;
        let after = self.after.as_deref().and_then(|key| <[u8; N]>::try_from(key).ok());
        let from = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let rows = opened.range::<&[u8; N]>((from, Bound::Unbounded)).map_err(reading)?;
        for entry in rows {
            let (key, row) = entry.map_err(reading)?;
            let (key, row) = (key.value(), row.value());
            let start = payload.len();
            let mut rows = 1;
            let seq = append(table, key, row, payload)?;
            let is_old = seq <= self.begun;
            if table == StateTable::Cells {
                rows += append_texts(transaction, key, payload)?;
            }
            if start > 0 && payload.len() > self.payload_bytes {
                payload.truncate(start);
                return Ok(false);
            }
            if is_old {
                self.old_row_bytes += (payload.len() - start) as u64;
            }
            self.end.rows += rows;
            self.after = Some(key.to_vec());
        }
        Ok(true)
    }
}

/// Appends a row whose checksum is right; gives the hand-over that it is of.
fn append(
    table: StateTable,
    key: &[u8],
    row: &[u8],
    payload: &mut Vec<u8>,
) -> Result<Seq, StoreError> {
    let opened = open_row(table, key, row).filter(|_| key.len() == key_bytes(table));
    let Some((seq, _)) = opened else {
        let what = format!("a row of table {} has a wrong checksum", table.name());
        return Err(StoreError::damaged(STATE_FILE, what));
    };
    put_row(table, key, row, payload);
    Ok(seq)
}

/// Appends the texts of a group of cells; gives how many there are.
fn append_texts(
    transaction: &ReadTransaction,
    group: &[u8],
    payload: &mut Vec<u8>,
) -> Result<u64, StoreError> {
    let Ok(group) = <[u8; 24]>::try_from(group) else { return Ok(0) };
    let (network, subnet, group) = split_place_key(&group);
    let first = group.wrapping_mul(GROUP_CELLS);
    let last = place_key(network, subnet, first.wrapping_add(GROUP_CELLS - 1));
    let first = place_key(network, subnet, first);
    let texts = transaction.open_table(TEXTS).map_err(reading)?;
    let mut count = 0;
    for entry in texts.range::<&[u8; 24]>(&first..=&last).map_err(reading)? {
        let (key, row) = entry.map_err(reading)?;
        append(StateTable::Texts, key.value(), row.value(), payload)?;
        count += 1;
    }
    Ok(count)
}

fn reading<E: Into<redb::Error>>(error: E) -> StoreError {
    StoreError::redb(STATE_FILE, "reading")(error)
}
