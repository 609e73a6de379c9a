//! Backups: a serving server's state at one position of its journal, as a chain of blocks, and a data
//! directory made of one. Opens no socket and reads no clock.
//!
//! Rows are read a few at a time while the fold goes on, so they are of different positions; every
//! batch behind the folded position at the begin follows, and folding those into the rows gives the
//! state at the last one, since records are absolute. That is how a start mends a fold that was cut
//! short, and it needs neither a long read transaction nor a fold that waits.
//!
//! Source: docs/decisions/0023-backup.md, docs/disk-format.md.

mod block;
mod check;
mod content;
mod restore;
mod take;
#[cfg(test)]
mod tests;

pub use block::{BackupFault, BlockKind};
pub use check::BackupCheck;
pub use content::{BackupBegin, BackupEnd};
pub use restore::{
    BackupSummary, RestoreError, Restored, Restoring, restore_backup, verify_backup,
};
pub use take::{Backup, Taken};
