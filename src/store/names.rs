//! What a change feed reads beside the fold: the objects that records refer to by number, as the folded
//! state has them, and the records behind it. Writes nothing and holds nothing open.

use super::database::QuietDatabase;
use super::directory::STATE_FILE;
use super::error::{StoreError, guarded};
use super::journal::JournalSource;
use super::row::read_object;
use super::schema::{
    EXCLUSIONS, HOSTS, META, META_KEY, NETWORKS, SUBNETS, StateMeta, StateTable, open_row,
};
use crate::journal::BatchView;
use crate::model::{Effect, Seq};
use redb::{ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition};
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Of when the rows are that were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamesAt {
    /// All of them have everything up to here.
    pub folded: Seq,
    /// None has anything behind this: records up to here may be about what is gone from the rows
    /// already. The same as `folded` unless a chunk is being folded.
    pub complete: Seq,
}

/// Reads the folded state and the journal beside their writers.
pub struct FeedReader {
    database: Arc<QuietDatabase>,
    journal: Box<dyn JournalSource>,
}

impl FeedReader {
    pub(crate) fn new(database: Arc<QuietDatabase>, journal: Box<dyn JournalSource>) -> Self {
        Self { database, journal }
    }

    /// Gives projects, scopes, pools and networks, then subnets, their exclusions, and hosts, all of one
    /// moment.
    ///
    /// Shape: a read transaction for as long as it takes, about 1 us a row.
    ///
    /// # Errors
    /// [`StoreError`]: what was given by then must not be used.
    pub fn names(&self, visit: &mut dyn FnMut(&Effect)) -> Result<NamesAt, StoreError> {
        guarded(STATE_FILE, || {
            let transaction = self.database.begin_read().map_err(reading)?;
            let at = position(&transaction)?;
            rows(&transaction, NETWORKS, StateTable::Networks, visit)?;
            rows(&transaction, SUBNETS, StateTable::Subnets, visit)?;
            rows(&transaction, EXCLUSIONS, StateTable::Exclusions, visit)?;
            rows(&transaction, HOSTS, StateTable::Hosts, visit)?;
            Ok(at)
        })
    }

    /// Gives the next batches behind one, up to another and to a bound on their bytes.
    ///
    /// # Errors
    /// Those of `take`, which end it; [`StoreError::Batch`] with a gap if they are not kept any more, and
    /// others.
    pub fn each<E: From<StoreError>>(
        &self,
        last: Seq,
        until: Seq,
        bytes_max: usize,
        take: &mut dyn FnMut(&BatchView<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (mut bytes, mut broken) = (0, None);
        self.journal.read(Seq(last.0 + 1), &mut |batch, _| {
            if batch.header().last > until || bytes > bytes_max {
                return Ok(ControlFlow::Break(()));
            }
            bytes += batch.record_bytes().len();
            match take(batch) {
                Ok(()) => Ok(ControlFlow::Continue(())),
                Err(error) => {
                    broken = Some(error);
                    Ok(ControlFlow::Break(()))
                }
            }
        })?;
        broken.map_or(Ok(()), Err)
    }
}

fn reading<E: Into<redb::Error>>(error: E) -> StoreError {
    StoreError::redb(STATE_FILE, "reading")(error)
}

fn position(transaction: &ReadTransaction) -> Result<NamesAt, StoreError> {
    let table = transaction.open_table(META).map_err(reading)?;
    let row = table.get(&META_KEY).map_err(reading)?;
    let meta = row.and_then(|row| StateMeta::decode(row.value()).ok().flatten());
    let meta = meta.ok_or_else(|| StoreError::damaged(STATE_FILE, "its meta row is unreadable"));
    let (meta, _) = meta?;
    Ok(NamesAt { folded: meta.folded, complete: meta.chunk_last.max(meta.folded) })
}

fn rows<const N: usize>(
    transaction: &ReadTransaction,
    definition: TableDefinition<'_, &'static [u8; N], &'static [u8]>,
    table: StateTable,
    visit: &mut dyn FnMut(&Effect),
) -> Result<(), StoreError> {
    let rows = transaction.open_table(definition).map_err(reading)?;
    for row in rows.iter().map_err(reading)? {
        let (key, value) = row.map_err(reading)?;
        let (key, damaged) = (key.value(), |what: &str| {
            StoreError::damaged(STATE_FILE, format!("a row of table {}: {what}", table.name()))
        });
        let (_, body) =
            open_row(table, key, value.value()).ok_or_else(|| damaged("a wrong checksum"))?;
        let effect = read_object(table, key, body).map_err(|error| damaged(&error.to_string()))?;
        visit(&effect);
    }
    Ok(())
}

impl fmt::Debug for FeedReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FeedReader")
    }
}
