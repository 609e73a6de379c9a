//! From a backup to a data directory: rows, then batches folded into them, then numbers that the lost
//! future can't have given. Works on a disk that nobody else uses.
//!
//! A backup is read three times: whole, before anything is made; for its rows; for its batches.

use super::block::{BackupFault, BlockChain, BlockKind};
use super::content::{BackupBegin, BackupEnd, StoredRow, take_batch, take_row};
use crate::journal::{BatchView, Reader};
use crate::limits::{
    BACKUP_PAYLOAD_BYTES_MAX, CLOCK_JUMP_MS_MAX, FOLD_CHUNK_BYTES_MAX, RESTORE_CHUNK_RECORDS_MAX,
};
use crate::model::{Incarnation, JobId, Revision, Seq, Tick};
use crate::planted::{Bug, is_planted};
use crate::store::database::QuietDatabase;
use crate::store::directory::{self, Format, RESERVE, STATE_FILE, temporary};
use crate::store::disk::Disk;
use crate::store::error::{StoreError, guarded};
use crate::store::fold::Chunk;
use crate::store::journal::Place;
use crate::store::schema::{
    CELLS, CURSORS, Definition, EXCLUSIONS, FORMAT_VERSION, HOST_LEASES, HOSTS, JOBS, META,
    META_KEY, NETWORKS, PINS, PORTS, REVISIONS, SEGMENTS, SUBNETS, StateMeta, StateTable, TEXTS,
    TableSum, open_row, revision_body, seal_row,
};
use crate::store::state::{FoldPlace, State};
use crate::store::{Presence, Settings, create_database, create_journal};
use redb::{ReadableTable, WriteTransaction};
use std::fmt;
use std::io::{self, Read, Seek};
use std::ops::Bound;
use std::sync::Arc;

/// Bytes of rows that are written in one transaction.
const TRANSACTION_BYTES: usize = 16 << 20;
/// Revisions that are raised in one transaction.
const TRANSACTION_REVISIONS: usize = 16 << 10;

/// What a backup says of itself, once all of it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupSummary {
    /// Whose it is.
    pub begin: BackupBegin,
    /// What it holds.
    pub end: BackupEnd,
    /// Bytes of the file.
    pub bytes: u64,
}

/// How a backup is restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restoring {
    /// The new incarnation; higher than that of the backup.
    pub incarnation: Incarnation,
    /// The wall clock: later than anything that the lost server decided.
    pub now: Tick,
}

/// What was restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// What the backup was.
    pub summary: BackupSummary,
    /// What the directory is now.
    pub format: Format,
}

/// Why nothing was restored.
#[derive(Debug)]
pub enum RestoreError {
    /// The backup can't be used.
    Backup(BackupFault),
    /// The directory can't be made.
    Store(StoreError),
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backup(_) => f.write_str("the backup can't be restored"),
            Self::Store(_) => f.write_str("the directory can't be made"),
        }
    }
}

impl std::error::Error for RestoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Backup(source) => Some(source),
            Self::Store(source) => Some(source),
        }
    }
}

impl From<BackupFault> for RestoreError {
    fn from(fault: BackupFault) -> Self {
        Self::Backup(fault)
    }
}

impl From<StoreError> for RestoreError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Reads a backup from its start to its end.
///
/// # Errors
/// [`RestoreError::Backup`]: it is not whole, or not what was written.
pub fn verify_backup(file: &mut (impl Read + Seek)) -> Result<BackupSummary, RestoreError> {
    let mut count = Count::default();
    let (begin, end, bytes) = read_backup(file, &mut count)?;
    let counted = BackupEnd { bytes: end.bytes, ..count.0 };
    if counted == end && end.last >= begin.durable.max(begin.folded) {
        return Ok(BackupSummary { begin, end, bytes });
    }
    let what = "it holds something else than its end says";
    Err(BackupFault::Damaged { block: 0, at: 0, what }.into())
}

/// Makes a data directory of a backup that [`verify_backup`] has read, in adoption mode, under a new
/// incarnation.
///
/// Memory: [`RESTORE_CHUNK_RECORDS_MAX`] records, and the cache of the settings.
///
/// # Errors
/// [`RestoreError`]: the directory may be unfinished.
///
/// # Panics
/// If the incarnation is not higher than that of the backup.
pub fn restore_backup(
    disk: &Arc<dyn Disk>,
    settings: &Settings,
    file: &mut (impl Read + Seek),
    summary: &BackupSummary,
    restoring: Restoring,
) -> Result<Restored, RestoreError> {
    let BackupSummary { begin, end, .. } = *summary;
    assert!(restoring.incarnation > begin.incarnation, "a restore raises the incarnation");
    directory::lock(&**disk)?;
    match directory::presence(&**disk)? {
        Presence::Absent => {}
        Presence::Present | Presence::Unfinished => {
            return Err(StoreError::Exists { place: disk.place() }.into());
        }
    }
    let format = Format { server: begin.server, incarnation: restoring.incarnation };
    create_journal(disk, settings, format, Seq(end.last.0.saturating_add(1)))?;
    let (database, backend) =
        create_database(disk, STATE_FILE, settings.state_bytes, settings.state_cache_bytes)?;
    let meta = meta_of(&begin, format);
    guarded(STATE_FILE, || State::create(&database, &meta))?;
    let mut state = State {
        database: Arc::new(QuietDatabase::new(database)),
        backend,
        meta,
        version: FORMAT_VERSION,
    };
    let mut rows = RowWriter { state: &mut state, pending: Vec::new(), bytes: 0 };
    same(summary, read_backup(file, &mut rows)?)?;
    rows.write()?;
    let mut folder = Folder::new(&mut state, settings.fold_slice_bytes);
    same(summary, read_backup(file, &mut folder)?)?;
    folder.fold()?;
    guarded(STATE_FILE, || renew(&mut state, &end, restoring))?;
    drop(state);
    if settings.reserve_bytes > 0 {
        directory::write_reserve(&**disk, &temporary(RESERVE), settings.reserve_bytes)?;
    }
    directory::publish(&**disk, format, settings.reserve_bytes > 0)?;
    Ok(Restored { summary: *summary, format })
}

/// The file must not change while it is read again.
fn same(
    summary: &BackupSummary,
    (begin, end, bytes): (BackupBegin, BackupEnd, u64),
) -> Result<(), BackupFault> {
    let what = "it changed while it was read";
    match *summary == (BackupSummary { begin, end, bytes }) {
        true => Ok(()),
        false => Err(BackupFault::Damaged { block: 0, at: 0, what }),
    }
}

/// The state before its rows are there: where the batches behind it begin.
fn meta_of(begin: &BackupBegin, format: Format) -> StateMeta {
    StateMeta {
        folded: begin.folded,
        folded_crc: begin.folded_crc,
        chunk_last: begin.folded,
        tick: begin.tick,
        network_handle_max: begin.network_handle_max,
        job_max: begin.job_max,
        adoption: begin.adoption,
        ..StateMeta::new(format.server, format.incarnation)
    }
}

/// Takes what a backup holds, in the order of the file.
trait Visit {
    fn begin(&mut self, _: &BackupBegin) {}
    fn row(&mut self, row: StoredRow<'_>, chain: &BlockChain) -> Result<(), RestoreError>;
    fn batch(&mut self, batch: &BatchView<'_>, chain: &BlockChain) -> Result<(), RestoreError>;
}

/// Reads all blocks; gives the first and the last one, and the length of the file.
fn read_backup(
    file: &mut (impl Read + Seek),
    visit: &mut impl Visit,
) -> Result<(BackupBegin, BackupEnd, u64), RestoreError> {
    file.rewind().map_err(BackupFault::Read)?;
    let mut file = io::BufReader::with_capacity(BACKUP_PAYLOAD_BYTES_MAX, file);
    let (mut chain, mut buffer) = (BlockChain::default(), Vec::new());
    let (mut begin, mut end) = (None, None);
    while let Some((kind, payload)) = chain.read(&mut file, &mut buffer)? {
        let mut reader = Reader::new(payload);
        match (kind, begin) {
            (BlockKind::Begin, _) => {
                let read = BackupBegin::decode(payload, &chain)?;
                visit.begin(&read);
                begin = Some(read);
            }
            (BlockKind::Rows, _) => {
                while !reader.is_empty() {
                    visit.row(take_row(&mut reader, &chain)?, &chain)?;
                }
            }
            (BlockKind::Batches, Some(BackupBegin { server, .. })) => {
                while !reader.is_empty() {
                    visit.batch(&take_batch(&mut reader, server, &chain)?, &chain)?;
                }
            }
            (BlockKind::End, _) => end = Some(BackupEnd::decode(payload, &chain)?),
            (BlockKind::Batches, None) => return Err(chain.damaged("it comes too early").into()),
        }
    }
    match (begin, end) {
        (Some(begin), Some(end)) => Ok((begin, end, chain.bytes())),
        _ => Err(BackupFault::Cut { at: chain.bytes() }.into()),
    }
}

/// Counts, and reads everything once.
#[derive(Debug, Default)]
struct Count(BackupEnd);

impl Visit for Count {
    fn begin(&mut self, begin: &BackupBegin) {
        let BackupBegin { folded, folded_crc, tick, .. } = *begin;
        self.0 = BackupEnd { last: folded, last_crc: folded_crc, tick, ..BackupEnd::default() };
    }

    fn row(&mut self, _: StoredRow<'_>, _: &BlockChain) -> Result<(), RestoreError> {
        self.0.rows = self.0.rows.saturating_add(1);
        Ok(())
    }

    fn batch(&mut self, batch: &BatchView<'_>, chain: &BlockChain) -> Result<(), RestoreError> {
        let (header, end) = (batch.header(), &mut self.0);
        if header.follows(end.last, end.last_crc).is_err() {
            return Err(chain.damaged("a batch of the block before it follows another one").into());
        }
        if batch.records().any(|record| record.is_err()) {
            return Err(chain.damaged("a record of the block before it can't be read").into());
        }
        end.batches = end.batches.saturating_add(1);
        end.records = end.records.saturating_add(header.records.into());
        (end.last, end.last_crc, end.tick) = (header.last, header.crc, header.tick);
        Ok(())
    }
}

/// Writes rows as they are, some at a time.
struct RowWriter<'s> {
    state: &'s mut State,
    pending: Vec<(StateTable, Vec<u8>, Vec<u8>)>,
    bytes: usize,
}

impl Visit for RowWriter<'_> {
    fn row(&mut self, row: StoredRow<'_>, _: &BlockChain) -> Result<(), RestoreError> {
        self.bytes = self.bytes.saturating_add(row.key.len()).saturating_add(row.row.len());
        self.pending.push((row.table, row.key.to_vec(), row.row.to_vec()));
        if self.bytes >= TRANSACTION_BYTES {
            self.write()?;
        }
        Ok(())
    }

    fn batch(&mut self, _: &BatchView<'_>, _: &BlockChain) -> Result<(), RestoreError> {
        Ok(())
    }
}

impl RowWriter<'_> {
    fn write(&mut self) -> Result<(), StoreError> {
        let pending = std::mem::take(&mut self.pending);
        self.bytes = 0;
        guarded(STATE_FILE, || {
            let mut transaction = self.state.database.begin_write().map_err(writing)?;
            transaction.set_quick_repair(true);
            for table in StateTable::ALL {
                let rows = pending.iter().filter(|(of, ..)| *of == table);
                let rows = rows.map(|(_, key, row)| (key.as_slice(), row.as_slice()));
                insert_all(&transaction, table, rows, &mut self.state.meta)?;
            }
            transaction.commit().map_err(writing)
        })
    }
}

/// Puts rows of one table where none are.
fn insert_all<'r>(
    transaction: &WriteTransaction,
    table: StateTable,
    rows: impl Iterator<Item = (&'r [u8], &'r [u8])>,
    meta: &mut StateMeta,
) -> Result<(), StoreError> {
    let sum = &mut meta.sums[table.place()];
    match table {
        StateTable::Networks => insert(transaction, NETWORKS, table, rows, sum),
        StateTable::Revisions => insert(transaction, REVISIONS, table, rows, sum),
        StateTable::Subnets => insert(transaction, SUBNETS, table, rows, sum),
        StateTable::Exclusions => insert(transaction, EXCLUSIONS, table, rows, sum),
        StateTable::Cursors => insert(transaction, CURSORS, table, rows, sum),
        StateTable::Cells => insert(transaction, CELLS, table, rows, sum),
        StateTable::Texts => insert(transaction, TEXTS, table, rows, sum),
        StateTable::Jobs => insert(transaction, JOBS, table, rows, sum),
        StateTable::Segments => insert(transaction, SEGMENTS, table, rows, sum),
        StateTable::Hosts => insert(transaction, HOSTS, table, rows, sum),
        StateTable::Ports => insert(transaction, PORTS, table, rows, sum),
        StateTable::Pins => insert(transaction, PINS, table, rows, sum),
        StateTable::HostLeases => insert(transaction, HOST_LEASES, table, rows, sum),
    }
}

fn insert<'r, const N: usize>(
    transaction: &WriteTransaction,
    definition: Definition<N>,
    table: StateTable,
    rows: impl Iterator<Item = (&'r [u8], &'r [u8])>,
    sum: &mut TableSum,
) -> Result<(), StoreError> {
    let mut opened = transaction.open_table(definition).map_err(writing)?;
    for (key, row) in rows {
        let key = <[u8; N]>::try_from(key);
        let key = key.map_err(|_| StoreError::damaged(STATE_FILE, "a key has another length"))?;
        if opened.insert(&key, row).map_err(writing)?.is_some() {
            let what = format!("the backup has a row of table {} twice", table.name());
            return Err(StoreError::damaged(STATE_FILE, what));
        }
        sum.add(table, row);
    }
    Ok(())
}

/// Folds batches into the rows, a chunk at a time.
struct Folder<'s> {
    state: &'s mut State,
    chunk: Chunk,
    slice_bytes: usize,
}

impl<'s> Folder<'s> {
    fn new(state: &'s mut State, slice_bytes: usize) -> Self {
        let chunk = Chunk::behind(state.meta.anchor());
        Self { state, chunk, slice_bytes }
    }

    fn fold(&mut self) -> Result<(), StoreError> {
        if self.chunk.last == self.state.meta.folded {
            return Ok(());
        }
        self.chunk.seal();
        let mut place = FoldPlace::default();
        while self.state.meta.folded < self.chunk.last {
            let fold = || self.state.fold_slice(&self.chunk, place, self.slice_bytes);
            place = guarded(STATE_FILE, fold)?;
        }
        self.chunk = Chunk::behind(self.state.meta.anchor());
        Ok(())
    }
}

impl Visit for Folder<'_> {
    fn row(&mut self, _: StoredRow<'_>, _: &BlockChain) -> Result<(), RestoreError> {
        Ok(())
    }

    fn batch(&mut self, batch: &BatchView<'_>, _: &BlockChain) -> Result<(), RestoreError> {
        let header = batch.header();
        let records = self.chunk.records.saturating_add(header.records.into());
        let bytes = self.chunk.bytes().saturating_add(batch.record_bytes().len());
        if self.chunk.records > 0
            && (records > RESTORE_CHUNK_RECORDS_MAX || bytes > FOLD_CHUNK_BYTES_MAX)
        {
            self.fold()?;
        }
        let added = self.chunk.add(batch, Place::default());
        let at = header.first;
        added.map_err(|source| StoreError::Batch { at, source })?;
        Ok(())
    }
}

/// Gives the state its new incarnation, and raises every number that the lost future can have given:
/// revisions of networks, positions of jobs, the tick.
fn renew(state: &mut State, end: &BackupEnd, restoring: Restoring) -> Result<(), StoreError> {
    // The lost server's clock may have been ahead by as much as a start believes.
    let latest = Tick(restoring.now.0.saturating_add(CLOCK_JUMP_MS_MAX));
    let floor = Revision(latest.first_revision());
    let mut after: Option<[u8; 4]> = None;
    loop {
        let mut transaction = state.database.begin_write().map_err(writing)?;
        transaction.set_quick_repair(true);
        let sum = &mut state.meta.sums[StateTable::Revisions.place()];
        after = raise_revisions(&transaction, after, floor, end.last, sum)?;
        if after.is_none() {
            // The journal begins anew: there is no batch that the state ends at.
            state.meta.folded_crc = 0;
            state.meta.folded_place = Place::default();
            state.meta.tick = end.tick.max(restoring.now);
            state.meta.adoption = restoring.now;
            let jobs = JobId(u64::from(restoring.incarnation.0) << 32);
            state.meta.job_max = state.meta.job_max.max(jobs.0);
            let mut meta = transaction.open_table(META).map_err(writing)?;
            meta.insert(&META_KEY, state.meta.encode().as_slice()).map_err(writing)?;
        }
        transaction.commit().map_err(writing)?;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// Raises some revisions; gives the last network if there are more.
fn raise_revisions(
    transaction: &WriteTransaction,
    after: Option<[u8; 4]>,
    floor: Revision,
    applied: Seq,
    sum: &mut TableSum,
) -> Result<Option<[u8; 4]>, StoreError> {
    let mut table = transaction.open_table(REVISIONS).map_err(writing)?;
    let from = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    let mut found = Vec::new();
    for entry in table.range::<&[u8; 4]>((from, Bound::Unbounded)).map_err(writing)? {
        let (key, row) = entry.map_err(writing)?;
        found.push((*key.value(), row.value().to_vec()));
        if found.len() == TRANSACTION_REVISIONS {
            break;
        }
    }
    for (key, row) in &found {
        let body = open_row(StateTable::Revisions, key, row).map(|(_, body)| body);
        let body = body.and_then(|body| <[u8; 8]>::try_from(body).ok());
        let known = body.ok_or_else(|| StoreError::damaged(STATE_FILE, "a revision's row"))?;
        let raised = Revision(u64::from_be_bytes(known).max(floor.0));
        let raised = match is_planted(Bug::RevisionsNotRaised) {
            false => raised,
            true => Revision(u64::from_be_bytes(known)),
        };
        let new = seal_row(StateTable::Revisions, key, applied, &revision_body(raised));
        table.insert(key, new.as_slice()).map_err(writing)?;
        sum.remove(StateTable::Revisions, row);
        sum.add(StateTable::Revisions, &new);
    }
    let is_more = found.len() == TRANSACTION_REVISIONS;
    Ok(found.last().map(|(key, _)| *key).filter(|_| is_more))
}

fn writing<E: Into<redb::Error>>(error: E) -> StoreError {
    StoreError::redb(STATE_FILE, "writing")(error)
}
