//! When to fold and how fast: paces the checkpointer by the fill of the journal and the age of
//! what waits, and the reserve by the free space. What a fold does is the store's business.

use super::backup::{BackupDesk, BackupInWork, BackupWork};
use super::clock::Clock;
use super::figures::CommitterFigures;
use super::pressure::Pressure;
use crate::limits;
use crate::model::{Seq, Tick};
use crate::store::{Checkpointer, Disk, Reserve, Step, StoreError, Tended};
use addrd_sync::{Doorbell, DurableMark};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What the fold is made of.
#[derive(Debug)]
pub struct FoldParts {
    /// Reads committed rows, writes the folded state.
    pub checkpointer: Checkpointer,
    /// Where the reserve lies, which is given up for a fold that gets no space.
    pub disk: Arc<dyn Disk>,
    /// Where the files lie, to watch the free space; `None` on a disk that isn't the system's.
    pub directory: Option<PathBuf>,
    /// Durable position of the journal.
    pub position: Arc<DurableMark>,
    /// Position up to which the fold is done.
    pub folded: Arc<DurableMark>,
    /// Shared signals.
    pub pressure: Arc<Pressure>,
    /// Source of time.
    pub clock: Arc<dyn Clock>,
    /// Wakes the committer, which may wait for room.
    pub committer_bell: Doorbell,
    /// Its figures: rounds are slices.
    pub figures: CommitterFigures,
    /// Where backups are fetched.
    pub backups: Arc<BackupDesk>,
}

/// The fold. `step` is all of it.
pub struct Fold {
    parts: FoldParts,
    /// Since when something waits.
    waiting_since: Option<Tick>,
    /// The last slice got no space, and the reserve is gone.
    is_starved: bool,
    reserve: Reserve,
    /// When the reserve is looked at again.
    tend_at: Tick,
    backup: BackupInWork,
    /// While a backup is fetched: no slice before, monotonic ns.
    slice_at_ns: u64,
    /// Nothing is folded that history or the audit log still need from the journal.
    kept: Vec<Arc<DurableMark>>,
}

impl Fold {
    /// Ready for its first step.
    #[must_use]
    pub fn new(parts: FoldParts) -> Self {
        // On a disk of a test there is one only if it was made with the directory.
        let bytes = if parts.directory.is_some() { limits::RESERVE_BYTES } else { 0 };
        let reserve = Reserve::new(Arc::clone(&parts.disk), bytes);
        Self {
            parts,
            waiting_since: None,
            is_starved: false,
            reserve,
            tend_at: Tick(0),
            backup: BackupInWork::default(),
            slice_at_ns: 0,
            kept: Vec::new(),
        }
    }

    /// Folds only what somebody else has as well.
    #[must_use]
    pub fn behind(mut self, kept: Arc<DurableMark>) -> Self {
        self.kept.push(kept);
        self
    }

    /// Up to here the journal may be folded: what history and the audit log have, unless their threads stand still and the journal
    /// is nearly full. What they miss then, they find out and tell.
    fn ready(&self) -> Seq {
        let durable = self.parts.position.get();
        let is_left = self.parts.pressure.journal_percent() >= limits::HISTORY_LEFT_BEHIND_PERCENT;
        let kept = self.kept.iter().map(|kept| kept.get()).min().unwrap_or(u64::MAX);
        Seq(if is_left { durable } else { durable.min(kept) })
    }

    /// One slice, if it is time for one. Gives how long to pause.
    ///
    /// # Errors
    /// The storage failed: the process must end.
    pub fn step(&mut self) -> Result<Duration, StoreError> {
        let free_bytes = self.watch_disk();
        self.tend_reserve(free_bytes)?;
        let now_ns = self.parts.clock.monotonic_ns();
        self.parts.figures.turned(now_ns);
        let backup = self.take_backup();
        let most = backup.unwrap_or(IDLE_PAUSE);
        if backup.is_some() && now_ns < self.slice_at_ns {
            return Ok(most.min(Duration::from_nanos(self.slice_at_ns - now_ns)));
        }
        if !self.parts.checkpointer.is_working() && !self.is_due() {
            return Ok(most);
        }
        let took = self.slice()?;
        let pause = match self.is_starved {
            true => STARVED_PAUSE,
            false => pause_at(self.parts.pressure.journal_percent(), took),
        };
        self.slice_at_ns = self.parts.clock.monotonic_ns() + pause.as_nanos() as u64;
        Ok(backup.map_or(pause, |wait| wait.min(pause)))
    }

    /// Whether a backup waits for a block that may be taken now.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        let may_read = self.backup.rows_in_ns(self.parts.clock.monotonic_ns()) == 0;
        may_read && matches!(self.parts.backups.work(), BackupWork::Take { .. })
    }

    /// Takes blocks of a backup, if one is fetched; gives when to look again.
    fn take_backup(&mut self) -> Option<Duration> {
        let durable = Seq(self.parts.position.get());
        let pause = self.backup.step(&self.parts, durable);
        self.show_folded();
        pause
    }

    /// What the journal may forget: what is folded, and in the backup at hand.
    fn show_folded(&self) {
        let folded = self.parts.checkpointer.folded();
        let shown = self.backup.taken().map_or(folded, |taken| taken.min(folded));
        if shown.0 > self.parts.folded.get() {
            self.parts.folded.raise(shown.0);
            self.parts.committer_bell.ring();
        }
    }

    /// Folds everything that is durable; on a full disk as much as there is space for, and the
    /// journal keeps the rest.
    ///
    /// # Errors
    /// The storage failed.
    pub fn finish(&mut self) -> Result<(), StoreError> {
        self.backup.forget();
        self.show_folded();
        while self.parts.checkpointer.is_working() || self.is_behind() {
            self.slice()?;
            if self.is_starved {
                break;
            }
        }
        Ok(())
    }

    fn slice(&mut self) -> Result<Duration, StoreError> {
        let began_ns = self.parts.clock.monotonic_ns();
        let ready = self.ready();
        self.parts.checkpointer.begin(limits::FOLD_CHUNK_RECORDS_MAX, ready);
        let step = self.parts.checkpointer.step()?;
        if let Step::Finished(_) = step {
            self.show_folded();
            self.waiting_since = None;
        }
        // With the reserve given up the same step is tried again.
        self.is_starved = step == Step::Full && !self.reserve.give_up()?;
        let took = self.parts.clock.monotonic_ns().saturating_sub(began_ns);
        self.parts.figures.committed(0, 0, 0, took);
        Ok(Duration::from_nanos(took))
    }

    fn is_behind(&self) -> bool {
        self.ready() > self.parts.checkpointer.folded()
    }

    fn is_due(&mut self) -> bool {
        if !self.is_behind() {
            self.waiting_since = None;
            return false;
        }
        let now = self.parts.clock.tick();
        let since = *self.waiting_since.get_or_insert(now);
        self.parts.pressure.journal_percent() >= limits::FOLD_BEGIN_PERCENT
            || now.since(since) >= limits::FOLD_AGE_MS_MAX
    }

    /// Free space of the disk, if it says, bytes.
    fn watch_disk(&self) -> Option<u64> {
        let directory = self.parts.directory.as_ref()?;
        // A file system that doesn't say is not full as far as we know; writes fail by themselves.
        let found = rustix::fs::statvfs(directory).ok();
        let free = found.map(|found| found.f_bavail.saturating_mul(found.f_frsize));
        let is_full = free.is_some_and(|free| free < limits::DISK_FREE_BYTES_MIN);
        self.parts.pressure.storage_full.set(u64::from(is_full));
        free
    }

    /// Writes a piece of a reserve that was given up, while the fold has no hurry.
    fn tend_reserve(&mut self, free_bytes: Option<u64>) -> Result<(), StoreError> {
        let now = self.parts.clock.tick();
        let filled = self.parts.pressure.journal_percent();
        let is_pressed = filled >= limits::JOURNAL_FULL_SPEED_PERCENT;
        if now < self.tend_at || self.is_starved || is_pressed {
            return Ok(());
        }
        let pause = match self.reserve.tend(free_bytes)? {
            Tended::Grown => limits::RESERVE_PIECE_PAUSE_MS,
            Tended::Whole | Tended::NoRoom => limits::RESERVE_RETRY_MS,
        };
        self.tend_at = Tick(now.0.saturating_add(pause));
        Ok(())
    }
}

/// The pause after a slice that took so long, at this fill of the journal: while there is room the
/// fold leaves most of the time to those who answer; the fuller the journal, the less.
pub(super) fn pause_at(journal_percent: u64, took: Duration) -> Duration {
    match journal_percent {
        0..50 => took * 3,
        50..limits::JOURNAL_FULL_SPEED_PERCENT => took,
        _ => Duration::ZERO,
    }
}

/// Pause of a fold that gets no space: somebody has to make some.
const STARVED_PAUSE: Duration = Duration::from_secs(1);

/// Pause while nothing is to be folded.
const IDLE_PAUSE: Duration = Duration::from_millis(100);

impl fmt::Debug for Fold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fold").field("waiting_since", &self.waiting_since).finish_non_exhaustive()
    }
}
