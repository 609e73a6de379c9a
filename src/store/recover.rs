//! Recovery: gives a visitor the state at the end of the journal, as effects. Streams rows and
//! records; writes nothing.
//!
//! A crash between two slices of the fold leaves rows of two positions. The unfinished chunk is
//! read first and folded into the rows as they pass, so the visitor sees the state at exactly one
//! position, then the journal's records behind it, in order.

use super::Store;
use super::cells::{GroupKey, decode_cells};
use super::checkpoint::{Checkpointer, Phase, read_chunk};
use super::directory::STATE_FILE;
use super::error::StoreError;
use super::fold::{Chunk, Items, NetworkGroup, ObjectKey, SubnetGroup};
use super::journal::{Journal, JournalSource};
use super::row::read_object;
use super::schema::{
    CELLS, CURSORS, EXCLUSIONS, HOST_LEASES, HOSTS, JOBS, NETWORKS, PINS, PORTS, REVISIONS,
    SEGMENTS, SUBNETS, StateTable, TEXTS, TableSum, job_key, network_key, open_row, place_key,
    split_place_key, split_subnet_key, split_thing_key, subnet_key, thing_key,
};
use super::state::FoldPlace;
use crate::journal::decode;
use crate::model::{Effect, JobId, NetworkHandle, Revision, Seq, SubnetHandle, Thing, Tick};
use redb::{Database, ReadOnlyTable, ReadableDatabase, ReadableTable, TableError};
use std::iter::Peekable;
use std::ops::ControlFlow;

/// Takes the state as it was.
///
/// First rows: networks, pools, scopes and projects by number; subnets, each with its exclusions and its cursor; segments, hosts, ports and
/// pins; allocations by place; jobs; host leases; then the last revision of every network. Then the journal's records in order.
pub trait Restore {
    /// Absorbs an effect.
    ///
    /// # Errors
    /// What contradicts what was absorbed before; the recovery ends with it.
    fn effect(&mut self, effect: &Effect) -> Result<(), String>;

    /// `part` of `whole` is read, in units of about the same time. Told now and then.
    fn progress(&mut self, part: u64, whole: u64) {
        let _ = (part, whole);
    }

    /// The last revision that a network gave.
    fn revision(&mut self, network: NetworkHandle, revision: Revision);

    /// Where the cursor of `next` stands: the offset behind the last block that moved it (0 behind
    /// the last one there can be).
    fn cursor(&mut self, network: NetworkHandle, subnet: SubnetHandle, cursor: u128);
}

/// What recovery found, beside the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Seq of the next hand-over.
    pub next: Seq,
    /// The last tick that was journalled.
    pub tick: Tick,
    /// Highest handle that a network ever had; 0 if there was none.
    pub network_handle_max: u32,
    /// Highest number that a job ever had.
    pub job_max: u64,
    /// When adoption mode began; 0 = it is not on.
    pub adoption: Tick,
    /// Rows of the state that were read.
    pub rows: u64,
    /// Records of the journal that were absorbed one by one.
    pub records: u64,
}

/// Runs the recovery; see [`Store::recover`].
pub(crate) fn recover(
    store: &mut Store,
    visitor: &mut dyn Restore,
) -> Result<Recovered, StoreError> {
    let position = store.journal.position();
    let chunk = unfinished_chunk(&store.checkpointer)?;
    let meta = &store.checkpointer.state.meta;
    let mut recovered = Recovered {
        next: position.next,
        tick: position.tick.max(meta.tick),
        network_handle_max: meta.network_handle_max.max(chunk.network_handle_max),
        job_max: meta.job_max.max(chunk.job_max),
        adoption: chunk.adoption.unwrap_or(meta.adoption),
        rows: meta.sums.iter().map(|sum| sum.rows).sum(),
        records: 0,
    };
    let way = Way { rows: meta.sums[StateTable::Cells as usize].rows, records: position.records };
    let mut loader = Loader::new(&store.checkpointer.state.database, &chunk, way)?;
    loader.load(visitor)?;
    loader.check_sums(&meta.sums)?;
    drop(loader);
    replay(&store.journal.source(), &chunk, way, visitor, &mut recovered)?;
    if chunk.last > meta.folded {
        let place = FoldPlace::default();
        store.checkpointer.phase = Phase::Folding { chunk: Box::new(chunk), place };
    }
    Ok(recovered)
}

/// The chunk whose fold was cut short, sorted; an empty one if there is none.
fn unfinished_chunk(checkpointer: &Checkpointer) -> Result<Chunk, StoreError> {
    let meta = &checkpointer.state.meta;
    let mut chunk = Chunk::behind(meta.anchor());
    if meta.chunk_last > meta.folded {
        let source = &*checkpointer.source;
        while read_chunk(source, &mut chunk, meta.chunk_last, u64::MAX)? {}
        if chunk.last != meta.chunk_last {
            let (first, last) = (Seq(meta.folded.0 + 1), chunk.last);
            return Err(StoreError::Gap { folded: meta.chunk_last, first, last });
        }
        chunk.seal();
    }
    Ok(chunk)
}

/// What is to be read: rows of cells, which are nearly all, and records of the journal.
#[derive(Clone, Copy)]
struct Way {
    rows: u64,
    records: u64,
}

impl Way {
    /// Records whose absorption takes as long as that of one row.
    const RECORDS_A_ROW: u64 = 32;

    fn tell(self, visitor: &mut dyn Restore, rows: u64, records: u64) {
        let units = |rows, records| rows * Self::RECORDS_A_ROW + records;
        visitor.progress(units(rows, records), units(self.rows, self.records));
    }
}

fn replay(
    source: &dyn JournalSource,
    chunk: &Chunk,
    way: Way,
    visitor: &mut dyn Restore,
    recovered: &mut Recovered,
) -> Result<(), StoreError> {
    let (mut last, mut last_crc) = (chunk.last, chunk.last_crc);
    loop {
        let more = source.read(Seq(last.0 + 1), &mut |batch, _| {
            let header = batch.header();
            let at = header.first;
            let to_error = |source| StoreError::Batch { at, source };
            header.follows(last, last_crc).map_err(to_error)?;
            for effect in batch.records() {
                let effect = effect.map_err(to_error)?;
                note_numbers(&effect, recovered);
                visitor.effect(&effect).map_err(|what| StoreError::Contradiction { at, what })?;
                recovered.records += 1;
            }
            (last, last_crc) = (header.last, header.crc);
            way.tell(visitor, way.rows, recovered.records);
            Ok(ControlFlow::Continue(()))
        })?;
        if !more {
            return Ok(());
        }
    }
}

fn note_numbers(effect: &Effect, recovered: &mut Recovered) {
    if let Some((handle, _)) = effect.numbered() {
        recovered.network_handle_max = recovered.network_handle_max.max(handle.0);
    }
    match effect {
        Effect::JobPut(row) => recovered.job_max = recovered.job_max.max(row.job.0),
        Effect::Adoption { since } => recovered.adoption = *since,
        _ => {}
    }
}

/// Rows between two tellings of progress.
const PROGRESS_ROWS: u64 = 256;

type Rows<const N: usize> = ReadOnlyTable<&'static [u8; N], &'static [u8]>;

/// Reads the tables of the state and folds the chunk into them on the way.
struct Loader<'c> {
    chunk: &'c Chunk,
    way: Way,
    /// The next item of the chunk's objects.
    object: usize,
    networks: Rows<4>,
    revisions: Rows<4>,
    subnets: Rows<8>,
    exclusions: Rows<24>,
    cursors: Rows<8>,
    cells: Rows<24>,
    texts: Rows<24>,
    jobs: Rows<8>,
    /// `None` in a state of the format before, which had none.
    host_leases: Option<Rows<32>>,
    things: [Rows<12>; Thing::ALL.len()],
    sums: [TableSum; StateTable::COUNT],
}

fn reading<E: Into<redb::Error>>(error: E) -> StoreError {
    StoreError::redb(STATE_FILE, "reading")(error)
}

impl<'c> Loader<'c> {
    fn new(database: &Database, chunk: &'c Chunk, way: Way) -> Result<Self, StoreError> {
        let transaction = database.begin_read().map_err(reading)?;
        Ok(Self {
            chunk,
            way,
            object: 0,
            networks: transaction.open_table(NETWORKS).map_err(reading)?,
            revisions: transaction.open_table(REVISIONS).map_err(reading)?,
            subnets: transaction.open_table(SUBNETS).map_err(reading)?,
            exclusions: transaction.open_table(EXCLUSIONS).map_err(reading)?,
            cursors: transaction.open_table(CURSORS).map_err(reading)?,
            cells: transaction.open_table(CELLS).map_err(reading)?,
            texts: transaction.open_table(TEXTS).map_err(reading)?,
            jobs: transaction.open_table(JOBS).map_err(reading)?,
            host_leases: match transaction.open_table(HOST_LEASES) {
                Err(TableError::TableDoesNotExist(_)) => None,
                opened => Some(opened.map_err(reading)?),
            },
            things: [
                transaction.open_table(SEGMENTS).map_err(reading)?,
                transaction.open_table(HOSTS).map_err(reading)?,
                transaction.open_table(PORTS).map_err(reading)?,
                transaction.open_table(PINS).map_err(reading)?,
            ],
            sums: [TableSum::default(); StateTable::COUNT],
        })
    }

    fn load(&mut self, visitor: &mut dyn Restore) -> Result<(), StoreError> {
        self.load_networks(visitor)?;
        self.load_subnets(visitor)?;
        self.load_things(visitor)?;
        self.load_cells(visitor)?;
        self.load_jobs(visitor)?;
        self.load_host_leases(visitor)?;
        self.load_revisions(visitor)
    }

    /// What was read must be what was written: every row once, none from another time.
    fn check_sums(&self, stored: &[TableSum; StateTable::COUNT]) -> Result<(), StoreError> {
        for table in StateTable::ALL {
            let (found, stored) = (self.sums[table.place()], stored[table.place()]);
            if found != stored {
                let what = if found.rows == stored.rows {
                    format!("table {} has rows of another time", table.name())
                } else {
                    let name = table.name();
                    format!("table {name} has {} rows of {}", found.rows, stored.rows)
                };
                return Err(StoreError::damaged(STATE_FILE, what));
            }
        }
        Ok(())
    }

    /// The items of the next object, if it is of this kind.
    fn next_object<K>(&mut self, pick: impl Fn(ObjectKey) -> Option<K>) -> Option<(K, Items)> {
        let (key, items) = self.chunk.objects_at(self.object)?;
        let key = pick(key)?;
        self.object = items.end;
        Some((key, items))
    }

    fn object_items<K>(&mut self, pick: impl Fn(ObjectKey) -> Option<K>) -> Vec<(K, Items)> {
        std::iter::from_fn(|| self.next_object(&pick)).collect()
    }

    fn load_networks(&mut self, visitor: &mut dyn Restore) -> Result<(), StoreError> {
        let items = self.object_items(|key| match key {
            ObjectKey::Network(network) => Some(network),
            _ => None,
        });
        let rows = rows_of(&self.networks, StateTable::Networks, &mut self.sums, |key| {
            NetworkHandle(u32::from_be_bytes(*key))
        })?;
        let chunk = self.chunk;
        merge(rows, items, |network, row, items| {
            let mut group = NetworkGroup { row, revision: None };
            if let Some(items) = items {
                chunk.fold_network(network, items, &mut group).map_err(bad_record)?;
            }
            emit(visitor, StateTable::Networks, &network_key(network), group.row.as_deref())
        })
    }

    fn load_revisions(&mut self, visitor: &mut dyn Restore) -> Result<(), StoreError> {
        self.object = 0;
        let items = self.object_items(|key| match key {
            ObjectKey::Network(network) => Some(network),
            _ => None,
        });
        let rows = rows_of(&self.revisions, StateTable::Revisions, &mut self.sums, |key| {
            NetworkHandle(u32::from_be_bytes(*key))
        })?;
        let (chunk, networks) = (self.chunk, &self.networks);
        merge(rows, items, |network, body, items| {
            let revision = body.as_deref().map(revision_of).transpose()?;
            let mut group = NetworkGroup { row: None, revision };
            if let Some(items) = items {
                let row = networks.get(&network_key(network)).map_err(reading)?;
                group.row = row.map(|row| row.value().to_vec());
                chunk.fold_network(network, items, &mut group).map_err(bad_record)?;
            }
            if let Some(revision) = group.revision {
                visitor.revision(network, revision);
            }
            Ok(())
        })
    }

    fn load_subnets(&mut self, visitor: &mut dyn Restore) -> Result<(), StoreError> {
        let items = self.object_items(|key| match key {
            ObjectKey::Subnet(network, subnet) => Some((network, subnet)),
            _ => None,
        });
        let mut own = [TableSum::default(); StateTable::COUNT];
        let rows = rows_of(&self.subnets, StateTable::Subnets, &mut self.sums, split_subnet_key)?;
        let (chunk, exclusions, cursors) = (self.chunk, &self.exclusions, &self.cursors);
        merge(rows, items, |key, row, items| {
            let mut group = SubnetGroup::default();
            if let Some(record) = row {
                group = read_subnet_group(key, record, exclusions, cursors, &mut own)?;
            }
            if let Some(items) = items {
                chunk.fold_subnet(key, items, &mut group).map_err(bad_record)?;
            }
            emit_subnet(visitor, key, &group)
        })?;
        for table in [StateTable::Exclusions, StateTable::Cursors] {
            self.sums[table.place()] = own[table.place()];
        }
        Ok(())
    }

    fn load_cells(&mut self, visitor: &mut dyn Restore) -> Result<(), StoreError> {
        let chunk = self.chunk;
        let mut at = 0;
        let items = std::iter::from_fn(|| {
            let (key, items) = chunk.cells_at(at)?;
            at = items.end;
            Some((key, items))
        });
        let mut texts = TextRows::new(&self.texts)?;
        let rows = rows_of(&self.cells, StateTable::Cells, &mut self.sums, |key| {
            let (network, subnet, group) = split_place_key(key);
            GroupKey { network, subnet, group }
        })?;
        let mut cells = Vec::with_capacity(32);
        let (way, mut rows_read) = (self.way, 0);
        merge(rows, items, |key: GroupKey, body: Option<Vec<u8>>, items| {
            cells.clear();
            rows_read += u64::from(body.is_some());
            if rows_read.is_multiple_of(PROGRESS_ROWS) {
                way.tell(visitor, rows_read, 0);
            }
            if let Some(body) = body {
                let mut failed = None;
                let read = decode_cells(key, &body, &mut cells, &mut |offset| {
                    let found = texts.next(place_key(key.network, key.subnet, offset));
                    found.map_err(|error| failed = Some(error)).ok().flatten()
                });
                match failed {
                    Some(error) => return Err(error),
                    None => read.map_err(bad_record)?,
                }
            }
            if let Some(items) = items {
                chunk.fold_cells(items, &mut cells).map_err(bad_record)?;
            }
            for cell in cells.drain(..) {
                visitor.effect(&Effect::AllocationPut(cell)).map_err(contradiction)?;
            }
            Ok(())
        })?;
        self.sums[StateTable::Texts.place()] = texts.finish()?;
        Ok(())
    }

    /// Segments, hosts, ports and pins, kind after kind.
    fn load_things(&mut self, visitor: &mut dyn Restore) -> Result<(), StoreError> {
        for (place, thing) in Thing::ALL.into_iter().enumerate() {
            let items = self.object_items(|key| match key {
                ObjectKey::Thing(which, network, created) if which == thing => {
                    Some((network, created))
                }
                _ => None,
            });
            let which = StateTable::of(thing);
            let rows = rows_of(&self.things[place], which, &mut self.sums, split_thing_key)?;
            let chunk = self.chunk;
            merge(rows, items, |(network, created), mut row, items| {
                if let Some(items) = items {
                    chunk.fold_record(items, &mut row).map_err(bad_record)?;
                }
                emit(visitor, which, &thing_key(network, created), row.as_deref())
            })?;
        }
        Ok(())
    }

    fn load_jobs(&mut self, visitor: &mut dyn Restore) -> Result<(), StoreError> {
        let items = self.object_items(|key| match key {
            ObjectKey::Job(job) => Some(job),
            _ => None,
        });
        let rows = rows_of(&self.jobs, StateTable::Jobs, &mut self.sums, |key| {
            JobId(u64::from_be_bytes(*key))
        })?;
        let chunk = self.chunk;
        merge(rows, items, |job, mut row, items| {
            if let Some(items) = items {
                chunk.fold_record(items, &mut row).map_err(bad_record)?;
            }
            emit(visitor, StateTable::Jobs, &job_key(job), row.as_deref())
        })
    }
}

impl Loader<'_> {
    fn load_host_leases(&mut self, visitor: &mut dyn Restore) -> Result<(), StoreError> {
        let items = self.object_items(|key| match key {
            ObjectKey::HostLease(key) => Some(key),
            _ => None,
        });
        let (chunk, which) = (self.chunk, StateTable::HostLeases);
        let each = |key: [u8; 32], mut row: Option<Vec<u8>>, items: Option<Items>| {
            if let Some(items) = items {
                chunk.fold_record(items, &mut row).map_err(bad_record)?;
            }
            emit(visitor, which, &key, row.as_deref())
        };
        match &self.host_leases {
            Some(table) => merge(rows_of(table, which, &mut self.sums, |key| *key)?, items, each),
            None => merge(std::iter::empty(), items, each),
        }
    }
}

/// The text rows in order, one asked for after the other.
struct TextRows<'t> {
    rows: redb::Range<'t, &'static [u8; 24], &'static [u8]>,
    sum: TableSum,
}

impl<'t> TextRows<'t> {
    fn new(table: &'t Rows<24>) -> Result<Self, StoreError> {
        let rows = table.iter().map_err(reading)?;
        Ok(Self { rows, sum: TableSum::default() })
    }

    /// The next row, which must have this key.
    fn next(&mut self, key: [u8; 24]) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(entry) = self.rows.next() else { return Ok(None) };
        let (found, row) = entry.map_err(reading)?;
        if *found.value() != key {
            return Err(StoreError::damaged(STATE_FILE, "texts without a cell"));
        }
        self.sum.add(StateTable::Texts, row.value());
        let body = open_row(StateTable::Texts, &key, row.value());
        Ok(Some(body.ok_or_else(|| bad_checksum(StateTable::Texts))?.1.to_vec()))
    }

    fn finish(mut self) -> Result<TableSum, StoreError> {
        match self.rows.next() {
            None => Ok(self.sum),
            Some(_) => Err(StoreError::damaged(STATE_FILE, "texts without a cell")),
        }
    }
}

fn read_subnet_group(
    (network, subnet): (NetworkHandle, SubnetHandle),
    record: Vec<u8>,
    exclusions: &Rows<24>,
    cursors: &Rows<8>,
    sums: &mut [TableSum; StateTable::COUNT],
) -> Result<SubnetGroup, StoreError> {
    let Effect::SubnetPut(row) = decode(&record).map_err(bad_record)?.0 else {
        return Err(StoreError::damaged(STATE_FILE, "a row of table subnet is something else"));
    };
    let mut group =
        SubnetGroup { row: Some((record, row.prefix.base())), ..SubnetGroup::default() };
    let (first, last) = (place_key(network, subnet, 0), place_key(network, subnet, u128::MAX));
    for entry in exclusions.range::<&[u8; 24]>(&first..=&last).map_err(reading)? {
        let (key, row) = entry.map_err(reading)?;
        sums[StateTable::Exclusions.place()].add(StateTable::Exclusions, row.value());
        let body = open_row(StateTable::Exclusions, key.value(), row.value());
        let body = body.ok_or_else(|| bad_checksum(StateTable::Exclusions))?.1;
        group.exclusions.insert(split_place_key(key.value()).2, body.to_vec());
    }
    let key = subnet_key(network, subnet);
    if let Some(row) = cursors.get(&key).map_err(reading)? {
        sums[StateTable::Cursors.place()].add(StateTable::Cursors, row.value());
        let body = open_row(StateTable::Cursors, &key, row.value());
        let body = body.ok_or_else(|| bad_checksum(StateTable::Cursors))?.1;
        let bytes = body.try_into().map_err(|_| bad_checksum(StateTable::Cursors))?;
        group.cursor = Some(u128::from_be_bytes(bytes));
    }
    Ok(group)
}

fn emit_subnet(
    visitor: &mut dyn Restore,
    (network, subnet): (NetworkHandle, SubnetHandle),
    group: &SubnetGroup,
) -> Result<(), StoreError> {
    let record = group.row.as_ref().map(|(record, _)| record.as_slice());
    emit(visitor, StateTable::Subnets, &subnet_key(network, subnet), record)?;
    for (number, record) in &group.exclusions {
        let key = place_key(network, subnet, *number);
        emit(visitor, StateTable::Exclusions, &key, Some(record))?;
    }
    if let Some(cursor) = group.cursor {
        visitor.cursor(network, subnet, cursor);
    }
    Ok(())
}

fn emit(
    visitor: &mut dyn Restore,
    table: StateTable,
    key: &[u8],
    record: Option<&[u8]>,
) -> Result<(), StoreError> {
    let Some(record) = record else { return Ok(()) };
    let effect = read_object(table, key, record).map_err(bad_record)?;
    visitor.effect(&effect).map_err(contradiction)
}

fn contradiction(what: String) -> StoreError {
    StoreError::Contradiction { at: Seq(0), what }
}

fn bad_record(error: crate::journal::RecordError) -> StoreError {
    StoreError::damaged(STATE_FILE, format!("a row can't be read: {error}"))
}

fn bad_checksum(table: StateTable) -> StoreError {
    let what = format!("a row of table {} has a wrong checksum", table.name());
    StoreError::damaged(STATE_FILE, what)
}

fn revision_of(body: &[u8]) -> Result<Revision, StoreError> {
    let bytes = body.try_into().map_err(|_| bad_checksum(StateTable::Revisions))?;
    Ok(Revision(u64::from_be_bytes(bytes)))
}

/// The rows of a table: key and body, checked and summed.
fn rows_of<'t, const N: usize, K>(
    table: &'t Rows<N>,
    which: StateTable,
    sums: &'t mut [TableSum; StateTable::COUNT],
    key_of: impl Fn(&[u8; N]) -> K + 't,
) -> Result<impl Iterator<Item = Result<(K, Vec<u8>), StoreError>> + 't, StoreError> {
    let rows = table.iter().map_err(reading)?;
    Ok(rows.map(move |entry| {
        let (key, row) = entry.map_err(reading)?;
        sums[which.place()].add(which, row.value());
        let body = open_row(which, key.value(), row.value());
        let body = body.ok_or_else(|| bad_checksum(which))?.1;
        Ok((key_of(key.value()), body.to_vec()))
    }))
}

/// Gives each key of either side to `each`, in order, with what the sides have for it.
fn merge<K: Ord + Copy>(
    rows: impl Iterator<Item = Result<(K, Vec<u8>), StoreError>>,
    items: impl IntoIterator<Item = (K, Items)>,
    mut each: impl FnMut(K, Option<Vec<u8>>, Option<Items>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut items = items.into_iter().peekable();
    let mut previous = None;
    for entry in rows {
        let (key, row) = entry?;
        if previous >= Some(key) {
            return Err(StoreError::damaged(STATE_FILE, "rows are out of order"));
        }
        previous = Some(key);
        while let Some((earlier, found)) = items.next_if(|(item, _)| *item < key) {
            each(earlier, None, Some(found))?;
        }
        let found = items.next_if(|(item, _)| *item == key).map(|(_, found)| found);
        each(key, Some(row), found)?;
    }
    finish(items, each)
}

fn finish<K>(
    items: Peekable<impl Iterator<Item = (K, Items)>>,
    mut each: impl FnMut(K, Option<Vec<u8>>, Option<Items>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for (key, found) in items {
        each(key, None, Some(found))?;
    }
    Ok(())
}
