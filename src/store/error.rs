//! What can go wrong with a data directory, in words that say what to do. Decides nothing.

use super::directory::{JOURNAL_FILE, STATE_FILE};
use crate::journal::BatchError;
use crate::model::Seq;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Why the store can't go on.
///
/// After an error of a write the store is not used any more: the process ends and starts again
/// from the disk.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process uses the directory.
    Locked {
        /// The directory.
        place: String,
    },
    /// There is no data in the directory.
    Absent {
        /// The directory.
        place: String,
    },
    /// The creation of the directory was cut short; nothing was ever stored in it.
    Unfinished {
        /// The directory.
        place: String,
    },
    /// There is data already.
    Exists {
        /// The directory.
        place: String,
    },
    /// The directory has files that are not ours.
    Strange {
        /// The directory.
        place: String,
        /// One of those files, or one of ours that is missing.
        name: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Written by a newer server.
    Newer {
        /// The file.
        file: String,
        /// What this server doesn't know.
        what: String,
    },
    /// The file is not as it was written.
    Damaged {
        /// The file.
        file: String,
        /// What was found.
        what: String,
    },
    /// The file belongs to another data directory, or to another time of it.
    Foreign {
        /// The file.
        file: String,
        /// What doesn't agree.
        what: String,
    },
    /// State and journal don't join.
    Gap {
        /// Up to here the state is folded.
        folded: Seq,
        /// The first hand-over that the journal has; one more than `last` if it has none.
        first: Seq,
        /// The last hand-over that the journal has.
        last: Seq,
    },
    /// A row of the journal that doesn't belong where it is.
    Batch {
        /// First hand-over of the row.
        at: Seq,
        /// What is wrong with it.
        source: BatchError,
    },
    /// The system refused.
    Io {
        /// The file.
        file: String,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Stored data contradicts itself.
    Contradiction {
        /// Where in the journal; 0 = in the state.
        at: Seq,
        /// What was found.
        what: String,
    },
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked { place } => {
                write!(f, "{place} is in use by another process; stop that one first")
            }
            Self::Absent { place } => {
                write!(f, "{place} is not a data directory: it has no FORMAT file; check the path")
            }
            Self::Unfinished { place } => {
                write!(f, "the creation of {place} was cut short; create it again, nothing is lost")
            }
            Self::Exists { place } => write!(f, "{place} holds data already; nothing was changed"),
            Self::Strange { place, name, what } => {
                write!(f, "{place}: {name} {what}; nothing was changed")
            }
            Self::Newer { file, what } => {
                write!(f, "{file} was written by a newer server ({what}); start that one")
            }
            Self::Damaged { file, what } => {
                write!(f, "{file} is damaged: {what}; restore a backup, or ask `addrd check`")
            }
            Self::Foreign { file, what } => {
                write!(f, "{file} belongs to other data: {what}; put the right file back")
            }
            Self::Gap { folded, first, last } => write!(
                f,
                "{STATE_FILE} and {JOURNAL_FILE} don't join: the state ends at {folded}, the journal \
                 goes from {first} to {last}; they are copies of different times, restore a backup"
            ),
            Self::Batch { at, .. } => {
                write!(f, "{JOURNAL_FILE}: the row at {at} can't be used; restore a backup")
            }
            Self::Io { file, doing, .. } => write!(f, "{doing} {file} failed"),
            Self::Contradiction { at: Seq(0), what } => {
                write!(f, "{STATE_FILE} contradicts itself: {what}; restore a backup")
            }
            Self::Contradiction { at, what } => {
                write!(f, "{JOURNAL_FILE} contradicts itself at {at}: {what}; restore a backup")
            }
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Batch { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl StoreError {
    /// The text, with the data directory in it.
    pub(crate) fn in_directory(&self, directory: &Path) -> String {
        let directory = directory.display();
        match self {
            Self::Locked { .. }
            | Self::Absent { .. }
            | Self::Unfinished { .. }
            | Self::Exists { .. }
            | Self::Strange { .. } => self.to_string(),
            _ => format!("{directory}: {self}"),
        }
    }

    pub(crate) fn io(file: &str, doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        let file = file.to_owned();
        move |source| Self::Io { file, doing, source }
    }

    pub(crate) fn damaged(file: &str, what: impl Into<String>) -> Self {
        Self::Damaged { file: file.to_owned(), what: what.into() }
    }

    /// From any error of the library, about a file.
    pub(crate) fn redb<E: Into<redb::Error>>(
        file: &'static str,
        doing: &'static str,
    ) -> impl FnOnce(E) -> Self {
        move |error| match error.into() {
            redb::Error::Io(source) if source.kind() == io::ErrorKind::InvalidData => {
                Self::damaged(file, source.to_string())
            }
            redb::Error::Io(source) => Self::Io { file: file.to_owned(), doing, source },
            redb::Error::PreviousIo => Self::Io {
                file: file.to_owned(),
                doing,
                source: io::Error::other("an earlier operation failed"),
            },
            other => Self::damaged(file, other.to_string()),
        }
    }
}

thread_local! {
    /// How deep this thread is in [`guarded`].
    static GUARDS: Cell<u32> = const { Cell::new(0) };
}

/// Whether this thread reads what may be damaged. A panic is expected then, and is told as damage:
/// the panic hook of the process has nothing to say about it.
#[must_use]
pub fn expects_panic() -> bool {
    GUARDS.get() > 0
}

/// Runs code of the library that may panic on a damaged file, and reports that as damage.
pub(crate) fn guarded<T>(
    file: &str,
    run: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    quietly(run).unwrap_or_else(|what| {
        Err(StoreError::damaged(file, format!("reading it stopped with: {what}")))
    })
}

/// Runs code that may panic; the text of its panic, if it does.
pub(crate) fn quietly<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    GUARDS.set(GUARDS.get() + 1);
    let outcome = catch_unwind(AssertUnwindSafe(run));
    GUARDS.set(GUARDS.get() - 1);
    outcome.map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        text.unwrap_or("no message").to_owned()
    })
}
