//! History: what the journal held before it was trimmed, in files of their own, so that it can still be
//! told who held an address, what an owner held and when that changed. Has no thread and no clock.
//!
//! Batches are written as they stand in the journal, behind each other, into *volumes*; each begins with
//! the names of the networks and subnets that there are, so it can be read by itself.
//!
//! Source: docs/decisions/0028-history.md.

mod check;
mod entry;
mod layout;
mod look;
mod name;
mod open;
mod scan;
mod shelf;
mod table;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use check::check;
pub use look::{Ask, Looker, Mark, Subject, Told};
pub use name::{LiveNames, concerns_names};
pub use open::{JournalEnds, exists, open};
pub use shelf::{HistoryFigures, Shelf};
pub use writer::{Batches, History, HistorySettings};
