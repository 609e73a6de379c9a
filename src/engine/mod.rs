//! Workers, sequencer, committer, checkpointer, jobs: step functions and their thread shells.
//!
//! Knows no socket and no frame beyond the encoded replies that it hands out.

mod access;
mod answer;
mod audit;
mod auditor;
mod backup;
mod boot;
pub mod clock;
pub mod committer;
mod crew;
pub mod feed;
mod feeder;
pub mod figures;
pub mod fold;
pub mod gather;
mod handle;
pub mod handover;
mod historian;
mod history;
mod host_ends;
mod late;
mod levels;
pub mod operation;
pub mod pressure;
mod recovery;
pub mod sequencer;
mod start;
mod survey;
#[cfg(test)]
pub(crate) mod tests;
mod threads;
pub mod worker;

pub use crate::allocator::{FILL_LEVELS, FillReport, LevelCounts, SubnetFill, UsageLevels};
pub use crate::audit::{Attempt, Audited};
pub use crate::feed::{Filter, Watched};
pub use crate::store::FORMAT_VERSION;
pub use crate::store::history::HistoryFigures;
pub use access::AccessDesk;
pub use audit::{AuditDesk, AuditFigures};
pub use auditor::{Auditor, AuditorParts};
pub use backup::{BackupDesk, BackupOver, BackupWork};
pub use boot::{AuditSettings, Boot, BootError, Booted, boot};
pub use clock::{Clock, FakeClock, Hands, SystemClock, SystemHands};
pub use feed::{Feed, FeedBounds, FeedFigures, Relist, Subscription, Taken, TooManyWatchers};
pub use feeder::Feeder;
pub use handle::{Engine, EngineStatus, Fair, Figures, Identity, Readiness};
pub use handover::{Delivery, HandOver};
pub use historian::{Historian, HistorianParts};
pub use history::{HistoryDesk, Librarian, QUESTIONS_SHARE};
pub use operation::{Operation, Outlet, Parcel, Rejected, Route, Scope, Stages};
pub use pressure::{Pressure, Refuse};
pub use recovery::{Recovery, StartProgress};
pub use start::{AuditStart, Running, Start, start};
pub use threads::OnFailure;

/// What a step of a loop did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Something; call again.
    Worked,
    /// Nothing waits; sleep until the bell rings.
    Idle,
    /// Something waits, but the next thread has no room; sleep a moment.
    Blocked,
    /// Nothing will come any more; the thread ends.
    Finished,
}
