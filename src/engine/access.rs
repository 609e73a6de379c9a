//! Where connections find who may do what, as of what is durable. Decides nothing.

use crate::access::Table;
use crate::allocator::Catalogue;
use addrd_sync::Level;
use std::sync::{Arc, Mutex, PoisonError};

/// Who may do what by the catalogue.
#[must_use]
pub(super) fn table_of(catalogue: &Catalogue) -> Table {
    Table::of(catalogue.principals().rows().map(|row| &**row))
}

/// The table of principals, and how often it changed.
///
/// Concurrency: the committer puts, connections take; nobody waits for more than a pointer to be copied.
#[derive(Debug, Default)]
pub struct AccessDesk {
    table: Mutex<Arc<Table>>,
    changes: Level,
}

impl AccessDesk {
    /// With the table of a start.
    #[must_use]
    pub fn new(table: Table) -> Arc<Self> {
        Arc::new(Self { table: Mutex::new(Arc::new(table)), changes: Level::new(0) })
    }

    /// Puts a new table in the place of the last one.
    pub fn put(&self, table: Arc<Table>) {
        *self.table.lock().unwrap_or_else(PoisonError::into_inner) = table;
        // Behind the table: who sees the change finds it.
        self.changes.add(1);
    }

    /// The table as it is.
    #[must_use]
    pub fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Rises with each change.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.get()
    }
}
