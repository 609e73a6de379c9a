//! What is on the disk: journal, state (in redb, of which this is the only user), creation,
//! recovery, checks. Has no thread and no clock; decides nothing about addresses.
//!
//! [`Store::create`] or [`Store::open`], then [`Store::recover`], then [`Store::split`]: the
//! committer owns the journal, the checkpointer's thread owns the checkpointer. Seqs number
//! hand-overs; batches, rows and positions are named by them.

mod audit;
mod backend;
mod backup;
mod cells;
mod check;
mod checkpoint;
mod database;
mod directory;
mod disk;
mod error;
#[doc(hidden)]
pub mod fake_disk;
mod fold;
mod held_file;
pub mod history;
mod inspect;
mod journal;
mod names;
mod order;
mod overlay_disk;
mod real_disk;
mod recover;
mod reserve;
mod ring;
#[doc(hidden)]
pub mod row;
mod schema;
mod state;

#[cfg(test)]
mod tests;

pub use audit::AuditFiles;
pub use backup::{
    Backup, BackupBegin, BackupCheck, BackupEnd, BackupFault, BackupSummary, BlockKind,
    RestoreError, Restored, Restoring, Taken, restore_backup, verify_backup,
};
pub use check::{CheckProgress, CheckReport, CheckStage, Finding, check};
pub use checkpoint::{Checkpointer, Step};
pub use directory::{AUDIT_DIRECTORY, Format, Presence, give_up_reserve};
pub use disk::{Disk, DiskFile};
use error::guarded;
pub use error::{StoreError, expects_panic};
pub use journal::{
    Anchor, BatchRow, BatchVisitor, Journal, JournalFill, JournalPosition, JournalSource, Place,
    Round,
};
pub use names::{FeedReader, NamesAt};
pub use overlay_disk::OverlayDisk;
pub use real_disk::RealDisk;
pub use recover::{Recovered, Restore};
pub use reserve::{Reserve, Tended};
pub use ring::{RingJournal, RingSource};
pub use schema::FORMAT_VERSION;

use crate::journal::BatchIdentity;
use crate::limits::{FOLD_SLICE_BYTES, JOURNAL_RECORDS_MAX, RESERVE_BYTES};
use crate::model::{Incarnation, Seq, ServerId, Tick};
use backend::{Backend, Growth};
use database::QuietDatabase;
use directory::{JOURNAL_FILE, RESERVE, STATE_FILE, temporary};
use redb::Database;
use ring::Title;
use schema::StateMeta;
use state::State;
use std::sync::Arc;

/// How a store is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Records that the journal may hold; its file has this length from the start.
    pub journal_records_max: u64,
    /// Memory for pages of the state, bytes.
    pub state_cache_bytes: usize,
    /// Written space that the state's file has from the start, bytes.
    pub state_bytes: u64,
    /// Length of the reserve, bytes; 0 = none.
    pub reserve_bytes: u64,
    /// Bytes of pages that one slice of the fold makes dirty.
    pub fold_slice_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            journal_records_max: JOURNAL_RECORDS_MAX,
            state_cache_bytes: 128 << 20,
            state_bytes: 16 << 20,
            reserve_bytes: RESERVE_BYTES,
            fold_slice_bytes: FOLD_SLICE_BYTES,
        }
    }
}

/// An opened data directory.
#[derive(Debug)]
pub struct Store {
    /// Where batches are appended.
    pub journal: RingJournal,
    /// What folds them.
    pub checkpointer: Checkpointer,
    format: Format,
    /// The version that `FORMAT` has.
    version: u32,
    disk: Arc<dyn Disk>,
    /// There is a mark of distrust; it goes when all of the state was read.
    distrusted: bool,
}

impl Store {
    /// What is in a directory; takes no lock and reads no file.
    ///
    /// # Errors
    /// [`StoreError::Strange`] if there are files that are not ours; [`StoreError::Io`].
    pub fn presence(disk: &dyn Disk) -> Result<Presence, StoreError> {
        directory::presence(disk)
    }

    /// Makes the data of a new server in an empty directory, or where a creation was cut short,
    /// and opens it.
    ///
    /// `server` must be random.
    ///
    /// # Errors
    /// [`StoreError::Exists`], [`StoreError::Strange`] and [`StoreError::Locked`] with nothing
    /// changed; [`StoreError::Io`] and others leave an unfinished directory.
    pub fn create(
        disk: Arc<dyn Disk>,
        settings: &Settings,
        server: ServerId,
    ) -> Result<Self, StoreError> {
        Self::create_since(disk, settings, server, Tick(0))
    }

    /// The same for a server that begins in adoption mode, at `adoption` if that isn't 0: its data
    /// was lost, and others know what was in it.
    ///
    /// # Errors
    /// As [`Store::create`].
    pub fn create_since(
        disk: Arc<dyn Disk>,
        settings: &Settings,
        server: ServerId,
        adoption: Tick,
    ) -> Result<Self, StoreError> {
        directory::lock(&*disk)?;
        match directory::presence(&*disk)? {
            Presence::Present => return Err(StoreError::Exists { place: disk.place() }),
            Presence::Unfinished => directory::clean(&*disk)?,
            Presence::Absent => {}
        }
        let format = Format { server, incarnation: Incarnation(1) };
        create_journal(&disk, settings, format, Seq(1))?;
        let meta = StateMeta { adoption, ..StateMeta::new(server, format.incarnation) };
        create_state(&disk, settings, &meta)?;
        if settings.reserve_bytes > 0 {
            directory::write_reserve(&*disk, &temporary(RESERVE), settings.reserve_bytes)?;
        }
        directory::publish(&*disk, format, settings.reserve_bytes > 0)?;
        let mut store = Self::open_locked(disk, settings, false)?;
        store.release()?;
        Ok(store)
    }

    /// Opens the data in a directory.
    ///
    /// # Errors
    /// [`StoreError`]; a refusal changes no file.
    pub fn open(disk: Arc<dyn Disk>, settings: &Settings) -> Result<Self, StoreError> {
        Self::open_present(disk, settings, false)
    }

    /// Opens it and checks every page of the state too.
    pub(crate) fn open_checked(
        disk: Arc<dyn Disk>,
        settings: &Settings,
    ) -> Result<Self, StoreError> {
        Self::open_present(disk, settings, true)
    }

    fn open_present(
        disk: Arc<dyn Disk>,
        settings: &Settings,
        check_state: bool,
    ) -> Result<Self, StoreError> {
        directory::lock(&*disk)?;
        match directory::presence(&*disk)? {
            Presence::Present => Self::open_locked(disk, settings, check_state),
            Presence::Unfinished => Err(StoreError::Unfinished { place: disk.place() }),
            Presence::Absent => Err(StoreError::Absent { place: disk.place() }),
        }
    }

    fn open_locked(
        disk: Arc<dyn Disk>,
        settings: &Settings,
        check_state: bool,
    ) -> Result<Self, StoreError> {
        directory::settle(&*disk)?;
        let (format, version) = directory::read_format(&*disk)?;
        let distrusted = directory::heed_distrust(&*disk)?;
        let state = open_state(&disk, settings, format, check_state || distrusted)?;
        let journal = open_journal(&disk, settings, format, &state.meta)?;
        check_join(&journal.position(), &state.meta)?;
        let checkpointer =
            Checkpointer::new(state, Box::new(journal.source()), settings.fold_slice_bytes);
        Ok(Self { journal, checkpointer, format, version, disk, distrusted })
    }

    /// Gives the whole state to a visitor, once, before anything is appended or folded. The files
    /// are changed when all of it was taken, and not before.
    ///
    /// Memory: an unfinished chunk of the fold, if there is one; everything else is streamed.
    ///
    /// # Errors
    /// [`StoreError`]: what the visitor has by then must not be used.
    pub fn recover(&mut self, visitor: &mut dyn Restore) -> Result<Recovered, StoreError> {
        let recovered = guarded(STATE_FILE, || recover::recover(self, visitor))?;
        self.release()?;
        Ok(recovered)
    }

    /// Nothing is wrong with the directory: from now on it is written.
    fn release(&mut self) -> Result<(), StoreError> {
        self.journal.release().map_err(StoreError::io(JOURNAL_FILE, "writing"))?;
        self.checkpointer.release().map_err(StoreError::io(STATE_FILE, "writing"))?;
        if self.version < FORMAT_VERSION {
            // First: nothing is written that the server of before could not read while it would open it.
            directory::raise(&*self.disk, self.format)?;
            self.version = FORMAT_VERSION;
        }
        guarded(STATE_FILE, || self.checkpointer.state.raise())?;
        if std::mem::take(&mut self.distrusted) {
            directory::trust_again(&*self.disk)?;
        }
        Ok(())
    }

    /// What `FORMAT` says.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// What batches of this server carry.
    #[must_use]
    pub const fn identity(&self) -> BatchIdentity {
        BatchIdentity { server: self.format.server, incarnation: self.format.incarnation, term: 0 }
    }

    /// The parts, each for its thread. The lock of the directory lives as long as the disk.
    #[must_use]
    pub fn split(self) -> (RingJournal, Checkpointer, Arc<dyn Disk>) {
        (self.journal, self.checkpointer, self.disk)
    }
}

fn create_journal(
    disk: &Arc<dyn Disk>,
    settings: &Settings,
    format: Format,
    base: Seq,
) -> Result<(), StoreError> {
    let file = disk.create(&temporary(JOURNAL_FILE));
    let file = file.map_err(StoreError::io(JOURNAL_FILE, "creating"))?;
    let Format { server, incarnation } = format;
    let title = Title { server, incarnation, base };
    RingJournal::create(&*file, &title, settings.journal_records_max)
}

fn create_state(
    disk: &Arc<dyn Disk>,
    settings: &Settings,
    meta: &StateMeta,
) -> Result<(), StoreError> {
    let (database, _) =
        create_database(disk, STATE_FILE, settings.state_bytes, CREATION_CACHE_BYTES)?;
    State::create(&database, meta)?;
    database.close().map_err(StoreError::redb(STATE_FILE, "closing"))
}

/// Memory for pages while a database is created, bytes.
const CREATION_CACHE_BYTES: usize = 1 << 20;

fn create_database(
    disk: &Arc<dyn Disk>,
    name: &'static str,
    bytes: u64,
    cache_bytes: usize,
) -> Result<(Database, Backend), StoreError> {
    let file = disk.create(&temporary(name)).map_err(StoreError::io(name, "creating"))?;
    let backend = Backend::create(Arc::clone(disk), file, bytes);
    let backend = backend.map_err(StoreError::io(name, "making space in"))?;
    let mut builder = Database::builder();
    builder.set_cache_size(cache_bytes);
    let own = backend.clone();
    let database = guarded(name, || {
        builder.create_with_backend(backend).map_err(StoreError::redb(name, "creating"))
    })?;
    Ok((database, own))
}

fn open_database(
    disk: &Arc<dyn Disk>,
    name: &'static str,
    bytes: u64,
    cache_bytes: usize,
    growth: Growth,
    check_integrity: bool,
) -> Result<(QuietDatabase, Backend), StoreError> {
    let file = disk.open(name).map_err(StoreError::io(name, "opening"))?;
    if file.len().map_err(StoreError::io(name, "measuring"))? == 0 {
        return Err(StoreError::damaged(name, "it is empty"));
    }
    let backend = Backend::open(Arc::clone(disk), file, bytes, growth);
    let backend = backend.map_err(StoreError::io(name, "making space in"))?;
    let mut builder = Database::builder();
    builder.set_cache_size(cache_bytes).set_check_integrity_on_open(check_integrity);
    let own = backend.clone();
    let database = guarded(name, || {
        let database = builder.create_with_backend(backend);
        database.map(QuietDatabase::new).map_err(StoreError::redb(name, "opening"))
    })?;
    Ok((database, own))
}

fn open_journal(
    disk: &Arc<dyn Disk>,
    settings: &Settings,
    format: Format,
    state: &StateMeta,
) -> Result<RingJournal, StoreError> {
    let file = disk.open(JOURNAL_FILE).map_err(StoreError::io(JOURNAL_FILE, "opening"))?;
    RingJournal::open(disk, file, settings.journal_records_max, |title| {
        check_identity(JOURNAL_FILE, format, title.server, title.incarnation)?;
        Ok(state.anchor())
    })
}

/// redb verifies the state's pages only if asked to: it would read the whole file at every start.
/// Sums show what is wrong with rows.
fn open_state(
    disk: &Arc<dyn Disk>,
    settings: &Settings,
    format: Format,
    check_integrity: bool,
) -> Result<State, StoreError> {
    let (database, backend) = open_database(
        disk,
        STATE_FILE,
        settings.state_bytes,
        settings.state_cache_bytes,
        Growth::Ahead,
        check_integrity,
    )?;
    let state = guarded(STATE_FILE, || State::open(database, backend))?;
    check_identity(STATE_FILE, format, state.meta.server, state.meta.incarnation)?;
    Ok(state)
}

fn check_identity(
    file: &str,
    format: Format,
    server: ServerId,
    incarnation: Incarnation,
) -> Result<(), StoreError> {
    let what = if server != format.server {
        format!("it is of server {server}, the directory of {}", format.server)
    } else if incarnation != format.incarnation {
        format!("it is of incarnation {}, the directory of {}", incarnation.0, format.incarnation.0)
    } else {
        return Ok(());
    };
    Err(StoreError::Foreign { file: file.to_owned(), what })
}

/// The journal reaches as far as the state, and as the chunk that was being folded into it.
fn check_join(position: &JournalPosition, meta: &StateMeta) -> Result<(), StoreError> {
    let last = Seq(position.next.0 - 1);
    if meta.chunk_last > last || meta.chunk_last < meta.folded {
        let folded = meta.chunk_last.max(meta.folded);
        return Err(StoreError::Gap { folded, first: position.first, last });
    }
    Ok(())
}
