//! The state in `state.redb`: reads groups of rows, writes folded ones, slice by slice. Knows the
//! fold and no journal.

use super::backend::Backend;
use super::cells::{GroupKey, cell_has_texts, decode_cells, encode_cells, encode_texts};
use super::database::QuietDatabase;
use super::directory::STATE_FILE;
use super::error::StoreError;
use super::fold::{Chunk, NetworkGroup, ObjectKey, SubnetGroup};
use super::schema::{
    CELLS, CURSORS, EXCLUSIONS, FORMAT_VERSION, HOST_LEASES, HOSTS, JOBS, META, META_KEY, NETWORKS,
    PINS, PORTS, REVISIONS, SEGMENTS, SUBNETS, StateMeta, StateTable, TEXTS, TableSum, cursor_body,
    job_key, network_key, open_row, place_key, revision_body, seal_row, split_place_key,
    subnet_key, thing_key,
};
use crate::journal::{RecordError, decode};
use crate::limits::STATE_ROW_BYTES_MAX;
use crate::model::{
    AllocationRow, Effect, JobId, NetworkHandle, Revision, Seq, SubnetHandle, Thing,
};
use redb::{Database, ReadableDatabase, ReadableTable, Table, WriteTransaction};
use std::fmt;
use std::sync::Arc;

/// The folded state.
pub(crate) struct State {
    pub(crate) database: Arc<QuietDatabase>,
    pub(crate) backend: Backend,
    pub(crate) meta: StateMeta,
    /// The format that the file is in: of before until it is raised.
    pub(crate) version: u32,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("meta", &self.meta).finish_non_exhaustive()
    }
}

/// How far the fold of a chunk is: items done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FoldPlace {
    pub(crate) objects: usize,
    pub(crate) cells: usize,
}

impl State {
    /// Writes the first commit of a new state.
    pub(crate) fn create(database: &Database, meta: &StateMeta) -> Result<(), StoreError> {
        let run = || -> Result<(), redb::Error> {
            let mut transaction = database.begin_write()?;
            transaction.set_quick_repair(true);
            Rows::open(&transaction, meta)?;
            transaction.open_table(META)?.insert(&META_KEY, meta.encode().as_slice())?;
            Ok(transaction.commit()?)
        };
        run().map_err(StoreError::redb(STATE_FILE, "creating"))
    }

    /// Makes what the format of before lacks: its tables are empty.
    pub(crate) fn raise(&mut self) -> Result<(), StoreError> {
        if self.version == FORMAT_VERSION {
            return Ok(());
        }
        let run = || -> Result<(), redb::Error> {
            let mut transaction = self.database.begin_write()?;
            transaction.set_quick_repair(true);
            Rows::open(&transaction, &self.meta)?;
            transaction.open_table(META)?.insert(&META_KEY, self.meta.encode().as_slice())?;
            Ok(transaction.commit()?)
        };
        run().map_err(StoreError::redb(STATE_FILE, "raising the format of"))?;
        self.version = FORMAT_VERSION;
        Ok(())
    }

    /// Takes over an opened database.
    pub(crate) fn open(database: QuietDatabase, backend: Backend) -> Result<Self, StoreError> {
        let read = || -> Result<Option<Vec<u8>>, redb::Error> {
            let table = database.begin_read()?.open_table(META)?;
            Ok(table.get(&META_KEY)?.map(|row| row.value().to_vec()))
        };
        let row = read().map_err(StoreError::redb(STATE_FILE, "reading"))?;
        let row = row.ok_or_else(|| StoreError::damaged(STATE_FILE, "its meta row is missing"))?;
        match StateMeta::decode(&row) {
            Ok(Some((meta, version))) => {
                Ok(Self { database: Arc::new(database), backend, meta, version })
            }
            Ok(None) => Err(StoreError::damaged(STATE_FILE, "its meta row has a wrong checksum")),
            Err(version) => Err(StoreError::Newer {
                file: STATE_FILE.to_owned(),
                what: format!("format {version}"),
            }),
        }
    }

    /// Folds the next items of a chunk, until about `bytes` bytes of pages are dirty, in one
    /// durable transaction. The transaction of the last ones moves the folded position.
    pub(crate) fn fold_slice(
        &mut self,
        chunk: &Chunk,
        from: FoldPlace,
        bytes: usize,
    ) -> Result<FoldPlace, StoreError> {
        let (meta, place) = self.write_slice(chunk, from, bytes).map_err(SliceError::into_store)?;
        self.meta = meta;
        Ok(place)
    }

    fn write_slice(
        &self,
        chunk: &Chunk,
        from: FoldPlace,
        bytes: usize,
    ) -> Result<(StateMeta, FoldPlace), SliceError> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_quick_repair(true);
        let (cells, objects) = chunk.item_counts();
        let mut place = from;
        let meta = {
            let mut rows = Rows::open(&transaction, &self.meta)?;
            rows.applied = chunk.last;
            while place.objects < objects && rows.dirty_bytes < bytes {
                place.objects = rows.fold_object(chunk, place.objects)?;
            }
            while place.cells < cells && rows.dirty_bytes < bytes {
                place.cells = rows.fold_cells(chunk, place.cells)?;
            }
            rows.meta
        };
        let meta = if (place.cells, place.objects) == (cells, objects) {
            finished(meta, chunk)
        } else {
            StateMeta { chunk_last: chunk.last, ..meta }
        };
        transaction.open_table(META)?.insert(&META_KEY, meta.encode().as_slice())?;
        transaction.commit()?;
        Ok((meta, place))
    }
}

/// The meta row once all of a chunk is in every row.
fn finished(meta: StateMeta, chunk: &Chunk) -> StateMeta {
    StateMeta {
        folded: chunk.last,
        folded_crc: chunk.last_crc,
        folded_place: chunk.last_place,
        chunk_last: chunk.last,
        tick: chunk.tick,
        network_handle_max: meta.network_handle_max.max(chunk.network_handle_max),
        job_max: meta.job_max.max(chunk.job_max),
        adoption: chunk.adoption.unwrap_or(meta.adoption),
        ..meta
    }
}

/// Why a slice failed.
#[derive(Debug)]
enum SliceError {
    Redb(Box<redb::Error>),
    Row(StateTable, &'static str),
    Record(RecordError),
}

impl SliceError {
    fn into_store(self) -> StoreError {
        match self {
            Self::Redb(error) => StoreError::redb(STATE_FILE, "writing")(*error),
            Self::Row(table, what) => {
                StoreError::damaged(STATE_FILE, format!("a row of table {}: {what}", table.name()))
            }
            Self::Record(error) => {
                StoreError::damaged(STATE_FILE, format!("a row or record: {error}"))
            }
        }
    }
}

impl<E: Into<redb::Error>> From<E> for SliceError {
    fn from(error: E) -> Self {
        Self::Redb(Box::new(error.into()))
    }
}

type RowTable<'t, const N: usize> = Table<'t, &'static [u8; N], &'static [u8]>;

/// The tables of a write transaction.
struct Rows<'t> {
    networks: RowTable<'t, 4>,
    revisions: RowTable<'t, 4>,
    subnets: RowTable<'t, 8>,
    exclusions: RowTable<'t, 24>,
    cursors: RowTable<'t, 8>,
    cells: RowTable<'t, 24>,
    texts: RowTable<'t, 24>,
    jobs: RowTable<'t, 8>,
    segments: RowTable<'t, 12>,
    hosts: RowTable<'t, 12>,
    ports: RowTable<'t, 12>,
    pins: RowTable<'t, 12>,
    host_leases: RowTable<'t, 32>,
    meta: StateMeta,
    applied: Seq,
    dirty_bytes: usize,
    last_group: Option<GroupKey>,
    buffer: Vec<AllocationRow>,
}

impl<'t> Rows<'t> {
    fn open(transaction: &'t WriteTransaction, meta: &StateMeta) -> Result<Self, redb::Error> {
        Ok(Self {
            networks: transaction.open_table(NETWORKS)?,
            revisions: transaction.open_table(REVISIONS)?,
            subnets: transaction.open_table(SUBNETS)?,
            exclusions: transaction.open_table(EXCLUSIONS)?,
            cursors: transaction.open_table(CURSORS)?,
            cells: transaction.open_table(CELLS)?,
            texts: transaction.open_table(TEXTS)?,
            jobs: transaction.open_table(JOBS)?,
            segments: transaction.open_table(SEGMENTS)?,
            hosts: transaction.open_table(HOSTS)?,
            ports: transaction.open_table(PORTS)?,
            pins: transaction.open_table(PINS)?,
            host_leases: transaction.open_table(HOST_LEASES)?,
            meta: meta.clone(),
            applied: Seq(0),
            dirty_bytes: 0,
            last_group: None,
            buffer: Vec::with_capacity(32),
        })
    }

    fn fold_object(&mut self, chunk: &Chunk, at: usize) -> Result<usize, SliceError> {
        let (key, items) = chunk.objects_at(at).ok_or(SliceError::Record(RecordError::Short))?;
        let end = items.end;
        match key {
            ObjectKey::Network(network) => {
                let mut group = self.network(network)?;
                chunk.fold_network(network, items, &mut group).map_err(SliceError::Record)?;
                self.put_network(network, &group)?;
            }
            ObjectKey::Subnet(network, subnet) => {
                let old = self.subnet(network, subnet)?;
                let mut group = old.clone();
                let key = (network, subnet);
                chunk.fold_subnet(key, items, &mut group).map_err(SliceError::Record)?;
                self.put_subnet(network, subnet, &old, &group)?;
            }
            ObjectKey::Thing(thing, network, created) => {
                let (which, key) = (StateTable::of(thing), thing_key(network, created));
                let table = self.things(thing);
                let mut record = get(table, which, &key)?;
                chunk.fold_record(items, &mut record).map_err(SliceError::Record)?;
                self.put_thing(thing, &key, record.as_deref())?;
            }
            ObjectKey::Job(job) => {
                let mut record = self.job(job)?;
                chunk.fold_record(items, &mut record).map_err(SliceError::Record)?;
                self.put_job(job, record.as_deref())?;
            }
            ObjectKey::HostLease(key) => {
                let which = StateTable::HostLeases;
                let mut record = get(&self.host_leases, which, &key)?;
                chunk.fold_record(items, &mut record).map_err(SliceError::Record)?;
                let (table, meta) = (&mut self.host_leases, &mut self.meta);
                let record = record.as_deref();
                self.dirty_bytes += set(table, meta, which, &key, self.applied, record)?;
            }
        }
        Ok(end)
    }

    fn network(&self, network: NetworkHandle) -> Result<NetworkGroup, SliceError> {
        let key = network_key(network);
        let row = get(&self.networks, StateTable::Networks, &key)?;
        let revision = get(&self.revisions, StateTable::Revisions, &key)?;
        let revision = revision.map(|body| read_revision(&body)).transpose()?;
        Ok(NetworkGroup { row, revision })
    }

    fn put_network(
        &mut self,
        network: NetworkHandle,
        group: &NetworkGroup,
    ) -> Result<(), SliceError> {
        let key = network_key(network);
        let revision = group.revision.map(revision_body);
        let row = group.row.as_deref();
        self.dirty_bytes +=
            set(&mut self.networks, &mut self.meta, StateTable::Networks, &key, self.applied, row)?;
        self.dirty_bytes += set(
            &mut self.revisions,
            &mut self.meta,
            StateTable::Revisions,
            &key,
            self.applied,
            revision.as_ref().map(<[u8; 8]>::as_slice),
        )?;
        Ok(())
    }

    fn subnet(
        &self,
        network: NetworkHandle,
        subnet: SubnetHandle,
    ) -> Result<SubnetGroup, SliceError> {
        let key = subnet_key(network, subnet);
        let mut group = SubnetGroup::default();
        if let Some(record) = get(&self.subnets, StateTable::Subnets, &key)? {
            group.row = Some(read_subnet(record)?);
        }
        let (first, last) = (place_key(network, subnet, 0), place_key(network, subnet, u128::MAX));
        for entry in self.exclusions.range::<&[u8; 24]>(&first..=&last)? {
            let (key, row) = entry?;
            let body = check_row(StateTable::Exclusions, key.value(), row.value())?;
            group.exclusions.insert(split_place_key(key.value()).2, body.to_vec());
        }
        if let Some(body) = get(&self.cursors, StateTable::Cursors, &key)? {
            group.cursor = Some(read_cursor(&body)?);
        }
        Ok(group)
    }

    fn put_subnet(
        &mut self,
        network: NetworkHandle,
        subnet: SubnetHandle,
        old: &SubnetGroup,
        new: &SubnetGroup,
    ) -> Result<(), SliceError> {
        let key = subnet_key(network, subnet);
        let meta = &mut self.meta;
        let applied = self.applied;
        let record = new.row.as_ref().map(|(record, _)| record.as_slice());
        if old.row != new.row || new.row.is_none() {
            let table = &mut self.subnets;
            self.dirty_bytes += set(table, meta, StateTable::Subnets, &key, applied, record)?;
        }
        for number in old.exclusions.keys().chain(new.exclusions.keys()) {
            let (was, is) = (old.exclusions.get(number), new.exclusions.get(number));
            if was != is {
                let key = place_key(network, subnet, *number);
                let is = is.map(Vec::as_slice);
                let table = &mut self.exclusions;
                self.dirty_bytes += set(table, meta, StateTable::Exclusions, &key, applied, is)?;
            }
        }
        if old.cursor != new.cursor {
            let body = new.cursor.map(cursor_body);
            let body = body.as_ref().map(<[u8; 16]>::as_slice);
            let table = &mut self.cursors;
            self.dirty_bytes += set(table, meta, StateTable::Cursors, &key, applied, body)?;
        }
        Ok(())
    }

    fn job(&self, job: JobId) -> Result<Option<Vec<u8>>, SliceError> {
        get(&self.jobs, StateTable::Jobs, &job_key(job))
    }

    fn put_job(&mut self, job: JobId, record: Option<&[u8]>) -> Result<(), SliceError> {
        let (table, meta) = (&mut self.jobs, &mut self.meta);
        self.dirty_bytes +=
            set(table, meta, StateTable::Jobs, &job_key(job), self.applied, record)?;
        Ok(())
    }

    fn things(&mut self, thing: Thing) -> &mut RowTable<'t, 12> {
        match thing {
            Thing::Segment => &mut self.segments,
            Thing::Host => &mut self.hosts,
            Thing::Port => &mut self.ports,
            Thing::Pin => &mut self.pins,
        }
    }

    fn put_thing(
        &mut self,
        thing: Thing,
        key: &[u8; 12],
        record: Option<&[u8]>,
    ) -> Result<(), SliceError> {
        let applied = self.applied;
        let table = match thing {
            Thing::Segment => &mut self.segments,
            Thing::Host => &mut self.hosts,
            Thing::Port => &mut self.ports,
            Thing::Pin => &mut self.pins,
        };
        let bytes = set(table, &mut self.meta, StateTable::of(thing), key, applied, record)?;
        self.dirty_bytes += bytes;
        Ok(())
    }

    fn fold_cells(&mut self, chunk: &Chunk, at: usize) -> Result<usize, SliceError> {
        let (key, items) = chunk.cells_at(at).ok_or(SliceError::Record(RecordError::Short))?;
        let end = items.end;
        let mut cells = std::mem::take(&mut self.buffer);
        cells.clear();
        self.load_cells(key, &mut cells)?;
        let with_texts: Vec<u128> = texts_of(&cells);
        chunk.fold_cells(items, &mut cells).map_err(SliceError::Record)?;
        self.put_texts(key, &with_texts, &cells)?;
        let body = encode_cells(&cells);
        let body = (!cells.is_empty()).then_some(body.as_slice());
        let row_key = place_key(key.network, key.subnet, key.group);
        let (table, meta) = (&mut self.cells, &mut self.meta);
        let bytes = set(table, meta, StateTable::Cells, &row_key, self.applied, body)?;
        self.dirty_bytes += self.page_share(key, bytes);
        self.buffer = cells;
        Ok(end)
    }

    /// Neighbours share a page; a row elsewhere makes a page of its own dirty.
    fn page_share(&mut self, key: GroupKey, bytes: usize) -> usize {
        const PAGE: usize = 4_096;
        let near = self.last_group.is_some_and(|last| {
            (last.network, last.subnet) == (key.network, key.subnet)
                && key.group.wrapping_sub(last.group) <= 4
        });
        self.last_group = Some(key);
        if near { bytes } else { PAGE }
    }

    fn load_cells(&self, key: GroupKey, cells: &mut Vec<AllocationRow>) -> Result<(), SliceError> {
        let row_key = place_key(key.network, key.subnet, key.group);
        let Some(row) = self.cells.get(&row_key)? else { return Ok(()) };
        let body = check_row(StateTable::Cells, &row_key, row.value())?;
        let mut failed = None;
        let mut texts = |offset: u128| {
            let row_key = place_key(key.network, key.subnet, offset);
            let texts = get(&self.texts, StateTable::Texts, &row_key);
            texts.unwrap_or_else(|error| {
                failed = Some(error);
                None
            })
        };
        let decoded = decode_cells(key, body, cells, &mut texts);
        match failed {
            Some(error) => Err(error),
            None => decoded.map_err(SliceError::Record),
        }
    }

    fn put_texts(
        &mut self,
        key: GroupKey,
        before: &[u128],
        cells: &[AllocationRow],
    ) -> Result<(), SliceError> {
        let (table, meta) = (&mut self.texts, &mut self.meta);
        for offset in before {
            let still = cells.binary_search_by_key(offset, |cell| cell.place.offset);
            if !still.is_ok_and(|at| cell_has_texts(&cells[at])) {
                let row_key = place_key(key.network, key.subnet, *offset);
                self.dirty_bytes +=
                    set(table, meta, StateTable::Texts, &row_key, self.applied, None)?;
            }
        }
        for cell in cells.iter().filter(|cell| cell_has_texts(cell)) {
            let row_key = place_key(key.network, key.subnet, cell.place.offset);
            let body = cell.extras.as_deref().map(encode_texts);
            self.dirty_bytes +=
                set(table, meta, StateTable::Texts, &row_key, self.applied, body.as_deref())?;
        }
        Ok(())
    }
}

fn texts_of(cells: &[AllocationRow]) -> Vec<u128> {
    cells.iter().filter(|cell| cell_has_texts(cell)).map(|cell| cell.place.offset).collect()
}

/// Puts or removes a row and keeps the sum of its table; returns the bytes that it wrote.
fn set<const N: usize>(
    table: &mut RowTable<'_, N>,
    meta: &mut StateMeta,
    which: StateTable,
    key: &[u8; N],
    applied: Seq,
    body: Option<&[u8]>,
) -> Result<usize, SliceError> {
    let sum: &mut TableSum = &mut meta.sums[which.place()];
    let Some(body) = body else {
        return Ok(match table.remove(key)? {
            Some(old) => {
                sum.remove(which, old.value());
                old.value().len()
            }
            None => 0,
        });
    };
    let row = seal_row(which, key, applied, body);
    assert!(row.len() <= STATE_ROW_BYTES_MAX, "a state row of {} bytes", row.len());
    if let Some(old) = table.insert(key, row.as_slice())? {
        sum.remove(which, old.value());
    }
    sum.add(which, &row);
    Ok(row.len())
}

fn get<const N: usize>(
    table: &RowTable<'_, N>,
    which: StateTable,
    key: &[u8; N],
) -> Result<Option<Vec<u8>>, SliceError> {
    let Some(row) = table.get(key)? else { return Ok(None) };
    Ok(Some(check_row(which, key, row.value())?.to_vec()))
}

fn check_row<'a>(which: StateTable, key: &[u8], row: &'a [u8]) -> Result<&'a [u8], SliceError> {
    let (_, body) = open_row(which, key, row).ok_or(SliceError::Row(which, "wrong checksum"))?;
    Ok(body)
}

fn read_revision(body: &[u8]) -> Result<Revision, SliceError> {
    let bytes = body.try_into().map_err(|_| SliceError::Row(StateTable::Revisions, "length"))?;
    Ok(Revision(u64::from_be_bytes(bytes)))
}

fn read_cursor(body: &[u8]) -> Result<u128, SliceError> {
    let bytes = body.try_into().map_err(|_| SliceError::Row(StateTable::Cursors, "length"))?;
    Ok(u128::from_be_bytes(bytes))
}

/// The record of a subnet with the number of its first address.
fn read_subnet(record: Vec<u8>) -> Result<(Vec<u8>, u128), SliceError> {
    match decode(&record).map_err(SliceError::Record)?.0 {
        Effect::SubnetPut(row) => Ok((record, row.prefix.base())),
        _ => Err(SliceError::Row(StateTable::Subnets, "not a subnet")),
    }
}
