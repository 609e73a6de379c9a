//! What the storage still allows, shared between the threads. Measures nothing itself: the
//! committer, the checkpointer and the workers report here, workers ask once a drain.

use crate::limits;
use crate::planted::{Bug, is_planted};
use crate::store::JournalFill;
use addrd_sync::{Flag, Level};

/// Shared signals.
#[derive(Debug)]
pub struct Pressure {
    /// Records in the journal that are not folded.
    pub journal_records: Level,
    /// Records that the journal may hold.
    pub journal_records_max: u64,
    /// Bytes of the journal's file that its rows take.
    pub journal_bytes: Level,
    /// Bytes that they may take.
    pub journal_bytes_max: u64,
    /// 1 while the disk has less room than the server needs to fold.
    pub storage_full: Level,
    /// When a renewal was refused last for want of room: its tick, ms.
    pub renewal_refused: Level,
    /// Something failed that the process must not survive.
    pub is_failed: Flag,
}

/// What is refused at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refuse {
    /// Everything is served.
    Nothing,
    /// What makes the state larger: the disk is nearly full.
    Growth,
    /// Every change: the journal has no room until the fold has made some.
    Mutations,
}

impl Pressure {
    /// Advice to clients while the journal is full, ms: a few slices of the fold.
    pub const JOURNAL_RETRY_MS: u32 = 50;
    /// Advice to clients while the disk is full, ms.
    pub const FULL_RETRY_MS: u32 = 5_000;

    /// Nothing is used yet.
    #[must_use]
    pub fn new(journal: &JournalFill) -> Self {
        Self {
            journal_records: Level::new(journal.records),
            journal_records_max: journal.records_max,
            journal_bytes: Level::new(journal.bytes),
            journal_bytes_max: journal.bytes_max,
            storage_full: Level::new(0),
            renewal_refused: Level::new(0),
            is_failed: Flag::new(),
        }
    }

    /// What a drain that begins now must refuse.
    #[must_use]
    pub fn refuse(&self) -> Refuse {
        if self.journal_percent() >= 100 && !is_planted(Bug::FullJournalTakesMore) {
            return Refuse::Mutations;
        }
        if self.storage_full.get() != 0 {
            return Refuse::Growth;
        }
        Refuse::Nothing
    }

    /// Whether drains and rounds should be smaller: the fold is behind.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.journal_percent() >= limits::JOURNAL_SMALL_DRAINS_PERCENT
    }

    /// The journal is now so full.
    pub fn note_journal(&self, fill: &JournalFill) {
        self.journal_records.set(fill.records);
        self.journal_bytes.set(fill.bytes);
    }

    /// Fill of the journal, percent, of records or bytes, whichever is more. At 100 there is still
    /// room for what is in the committer's ring and in its hands, and for nothing else.
    #[must_use]
    pub fn journal_percent(&self) -> u64 {
        let records = 2 * u64::from(limits::COMMIT_RING_RECORDS_MAX);
        let ring = u64::from(limits::COMMIT_RING_BYTES_MAX) + u64::from(limits::COMMIT_BYTES_MAX);
        let bytes = ring.min(self.journal_bytes_max / 2);
        let of = |part: u64, whole: u64| part * 100 / whole.max(1);
        of(self.journal_records.get(), self.journal_records_max.saturating_sub(records))
            .max(of(self.journal_bytes.get(), self.journal_bytes_max.saturating_sub(bytes)))
    }
}
