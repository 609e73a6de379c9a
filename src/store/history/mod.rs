//! History: what the journal held before it was trimmed, in files of their own, so that it can still be
//! told who held an address, what an owner held and when that changed. Has no thread and no clock.
//!
//! Batches are written as they stand in the journal, behind each other, into *volumes*; each begins with
//! the names of the networks and subnets that there are, so it can be read by itself. A full one has an
//! index, so that a question reads only what can be an answer.
//!
//! Source: docs/decisions/0028-history.md.

mod ask;
mod check;
mod entry;
mod index;
mod layout;
mod left;
mod look;
mod mend;
mod name;
mod open;
mod pass;
mod scan;
mod shelf;
mod sieve;
mod table;
#[cfg(test)]
mod tests;
mod writer;

pub use ask::{Ask, Mark, Subject, Told};
pub(crate) use check::check;
pub use left::give_up_oldest;
pub use look::Looker;
pub use name::LiveNames;
pub use open::{JournalEnds, exists, open};
pub use shelf::{HistoryFigures, Shelf};
pub use writer::{History, HistorySettings, Refused, trim};
