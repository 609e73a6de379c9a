//! The historian: reads what is durable from the journal and appends it to history, before the fold lets
//! the journal forget it. When the disk refuses, history gives way and the server goes on.

use super::Progress;
use super::clock::Clock;
use super::figures::CommitterFigures;
use super::pressure::Pressure;
use crate::journal::BatchError;
use crate::limits::{
    HISTORY_FREE_BYTES_MIN, HISTORY_GIVE_UP_PERCENT, HISTORY_LOOSE_BYTES_MAX,
    HISTORY_READ_BYTES_MAX, HISTORY_RETRY_MS, HISTORY_SYNC_MS, HISTORY_TOO_SMALL_RETRY_MS,
};
use crate::model::{Incarnation, Seq, ServerId, Tick};
use crate::planted::{Bug, is_planted};
use crate::store::history::{
    History, HistorySettings, JournalEnds, LiveNames, Refused, Shelf, give_up_oldest, open, trim,
};
use crate::store::{Disk, FeedReader, NamesAt, StoreError};
use addrd_sync::{DurableMark, Level};
use std::fmt;
use std::io;
use std::sync::Arc;

/// What the historian is made of.
#[derive(Debug)]
pub struct HistorianParts {
    /// Reads names and committed batches.
    pub reader: FeedReader,
    /// Where history is written.
    pub disk: Arc<dyn Disk>,
    /// How much of it is kept.
    pub settings: HistorySettings,
    /// Of which data it is.
    pub identity: (ServerId, Incarnation),
    /// What can be looked up.
    pub shelf: Arc<Shelf>,
    /// Durable position of the journal.
    pub position: Arc<DurableMark>,
    /// Up to here the journal is folded.
    pub folded: Arc<DurableMark>,
    /// Up to here history needs the journal no more.
    pub kept: Arc<DurableMark>,
    /// A question waits for history to come to here.
    pub wanted: Arc<Level>,
    /// Shared signals.
    pub pressure: Arc<Pressure>,
    /// Source of time.
    pub clock: Arc<dyn Clock>,
    /// Its figures: the loop's turns.
    pub figures: CommitterFigures,
}

/// Keeps history.
pub struct Historian {
    parts: HistorianParts,
    phase: Phase,
    synced_at: Tick,
    tidied_at: Tick,
    /// When it was said last that history misses something.
    warned_at: Tick,
    /// While space is short: history doesn't grow beyond so many bytes.
    bytes_short: Option<u64>,
    /// When a volume was given up last because the disk is nearly full.
    gave_up_at: Tick,
    /// Names don't fit what history may take: nobody waits for it.
    is_too_small: bool,
}

enum Phase {
    /// Nothing is known: names and files have to be read, not before this moment.
    Unread(Tick),
    Running(Box<Running>),
}

/// What it works with.
struct Running {
    history: History,
    /// The names behind `last`.
    names: LiveNames,
    /// The last hand-over that was taken.
    last: Seq,
}

/// Why history can't go on for now.
#[derive(Debug)]
enum Broken {
    /// The journal or the state can't be read.
    Store(StoreError),
    /// A record can't be read.
    Batch(BatchError),
    /// A file of history can't be read or written.
    Io(io::Error),
    /// Names alone would take more than history may.
    TooSmall,
    /// The disk is nearly full, and there is nothing to give up.
    NoRoom,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Batch(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
            Self::TooSmall => f.write_str(
                "history_bytes is too small for the names of so many networks and subnets",
            ),
            Self::NoRoom => f.write_str("the disk is nearly full"),
        }
    }
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Refused> for Broken {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Io(error) => Self::Io(error),
            Refused::Batch(error) => Self::Batch(error),
            Refused::TooSmall => Self::TooSmall,
        }
    }
}

impl Broken {
    fn is_full(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::StorageFull)
    }
}

impl Historian {
    /// Ready for its first step.
    #[must_use]
    pub const fn new(parts: HistorianParts) -> Self {
        let (phase, bytes_short) = (Phase::Unread(Tick(0)), None);
        let [synced_at, tidied_at, warned_at, gave_up_at] = [Tick(0); 4];
        let is_too_small = false;
        Self {
            parts,
            phase,
            synced_at,
            tidied_at,
            warned_at,
            bytes_short,
            gave_up_at,
            is_too_small,
        }
    }

    /// Whether there is something to take.
    #[must_use]
    pub fn has_work(&self) -> bool {
        match &self.phase {
            Phase::Running(running) => running.last.0 < self.parts.position.get(),
            Phase::Unread(at) => self.parts.clock.tick() >= *at,
        }
    }

    /// Whether a question waits for what wasn't taken yet.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        match &self.phase {
            Phase::Running(running) => running.last.0 < self.parts.wanted.get(),
            Phase::Unread(_) => false,
        }
    }

    /// One bounded piece: reads names and files, takes some of the journal, or tidies up.
    pub fn step(&mut self) -> Progress {
        self.turned();
        let now = self.parts.clock.tick();
        let done = match &mut self.phase {
            Phase::Unread(at) if now < *at => self.tidy(now).map(|()| Progress::Idle),
            Phase::Unread(_) => self.begin(now),
            Phase::Running(_) => self.go_on(now),
        };
        let progress = match done {
            // It pauses already.
            Err(_) if matches!(&self.phase, Phase::Unread(at) if now < *at) => Progress::Blocked,
            Ok(progress) => progress,
            Err(error) => self.pause(&error, now),
        };
        self.give_way();
        progress
    }

    /// The loop has turned.
    pub fn turned(&mut self) {
        self.parts.figures.turned(self.parts.clock.monotonic_ns());
    }

    /// Takes everything that is durable, as far as the disk lets it: nothing comes any more.
    pub fn finish(&mut self) {
        while self.has_work() {
            if self.step() != Progress::Worked {
                break;
            }
        }
        let Phase::Running(running) = &mut self.phase else { return };
        match running.history.sync() {
            Ok(()) => self.parts.kept.raise(running.last.0),
            Err(refused) => {
                let error = Broken::from(refused);
                tracing::warn!(%error, "history couldn't be synced; the next start takes it again");
                // The system may still give to read what it has lost, and the next start would believe it.
                running.history.give_up_volume();
            }
        }
    }

    /// Reads names, then the files.
    fn begin(&mut self, now: Tick) -> Result<Progress, Broken> {
        let mut names = LiveNames::default();
        let at = self.parts.reader.names(&mut |effect| names.note(effect));
        let NamesAt { folded, complete } = at.map_err(Broken::Store)?;
        let journal =
            JournalEnds { first: Seq(complete.0 + 1), last: Seq(self.parts.position.get()) };
        let HistorianParts { disk, settings, identity, shelf, .. } = &self.parts;
        let mut history =
            open(Arc::clone(disk), *settings, *identity, Arc::clone(shelf), journal, now)?;
        // Rows may be of a time before: what history has already is only followed.
        let last = Seq(history.expected().0 - 1);
        let followed = self.follow(&mut names, folded, last);
        let fits = followed.and_then(|()| match history.is_too_small_for(&names) {
            true => Err(Broken::TooSmall),
            false => Ok(()),
        });
        if let Err(error) = fits {
            // Nobody goes on with the volume that was written: so it can go like others.
            history.give_up_volume();
            return Err(error);
        }
        self.is_too_small = false;
        self.parts.shelf.note_paused(false);
        self.parts.shelf.note_taken(last);
        self.parts.kept.raise(last.0);
        (self.synced_at, self.tidied_at) = (now, Tick(0));
        self.phase = Phase::Running(Box::new(Running { history, names, last }));
        Ok(Progress::Worked)
    }

    /// Lets names follow the journal up to a hand-over.
    fn follow(&self, names: &mut LiveNames, from: Seq, last: Seq) -> Result<(), Broken> {
        let mut at = from;
        while at < last {
            let before = at;
            self.parts.reader.each::<Broken>(at, last, HISTORY_READ_BYTES_MAX, &mut |batch| {
                at = batch.header().last;
                names.follow(batch).map_err(Broken::Batch)
            })?;
            if at == before {
                break;
            }
        }
        Ok(())
    }

    fn go_on(&mut self, now: Tick) -> Result<Progress, Broken> {
        self.tidy(now)?;
        let has_taken = self.take(now)?;
        self.sync(now)?;
        let is_mending = match &mut self.phase {
            Phase::Running(running) => running.history.mend(),
            Phase::Unread(_) => false,
        };
        Ok(if has_taken || is_mending { Progress::Worked } else { Progress::Idle })
    }

    /// Appends the next piece of the journal.
    fn take(&mut self, now: Tick) -> Result<bool, Broken> {
        let durable = Seq(self.parts.position.get());
        let Phase::Running(running) = &mut self.phase else { return Ok(false) };
        if running.last >= durable {
            return Ok(false);
        }
        let Running { history, names, last } = &mut **running;
        let from = *last;
        self.parts.reader.each::<Broken>(from, durable, HISTORY_READ_BYTES_MAX, &mut |batch| {
            history.push(batch, names, now)?;
            *last = batch.header().last;
            Ok(())
        })?;
        history.write()?;
        self.parts.shelf.note_taken(*last);
        Ok(*last > from)
    }

    /// Makes durable what was appended, if that is much or a while ago: then the journal may forget it.
    fn sync(&mut self, now: Tick) -> Result<(), Broken> {
        let Phase::Running(running) = &mut self.phase else { return Ok(()) };
        let is_late = now.since(self.synced_at) >= HISTORY_SYNC_MS;
        if running.history.loose_bytes() >= HISTORY_LOOSE_BYTES_MAX || is_late {
            running.history.sync()?;
            self.synced_at = now;
            self.parts.kept.raise(running.last.0);
        }
        Ok(())
    }

    /// Lets go what is too old or too much, also while history pauses.
    fn tidy(&mut self, now: Tick) -> Result<(), Broken> {
        if now.since(self.tidied_at) < HISTORY_SYNC_MS && self.tidied_at != Tick(0) {
            return Ok(());
        }
        self.tidied_at = now;
        let HistorianParts { disk, shelf, settings, pressure, .. } = &self.parts;
        let bytes = || shelf.figures().bytes;
        // Long before the server has to refuse something, and before it has more than the disk has free
        // beside it, history takes no more: what is oldest goes for what is new.
        let least = HISTORY_FREE_BYTES_MIN * if self.bytes_short.is_some() { 2 } else { 1 };
        self.bytes_short = match disk.free_bytes() {
            Some(free) if free < least.max(bytes()) => self.bytes_short.or(Some(bytes())),
            _ => None,
        };
        let most = self.bytes_short.unwrap_or(u64::MAX);
        while bytes() > most && give_up_oldest(&**disk, shelf) {}
        // If something else fills the disk all the same, history makes room, now and then a volume.
        let is_full = pressure.storage_full.get() != 0;
        if is_full && now.since(self.gave_up_at) >= HISTORY_RETRY_MS {
            self.gave_up_at = now;
            if !give_up_oldest(&**disk, shelf) {
                return Err(Broken::NoRoom);
            }
        }
        if let Phase::Running(running) = &mut self.phase {
            running.history.close_if_old(now)?;
        }
        while trim(&**disk, shelf, settings, now) > 0 {}
        Ok(())
    }

    /// History stops for a while. What it had not made durable is in the journal still.
    fn pause(&mut self, error: &Broken, now: Tick) -> Progress {
        self.is_too_small = matches!(error, Broken::TooSmall);
        let mut retry_ms =
            if self.is_too_small { HISTORY_TOO_SMALL_RETRY_MS } else { HISTORY_RETRY_MS };
        let unread = Phase::Unread(Tick(0));
        if let Phase::Running(mut running) = std::mem::replace(&mut self.phase, unread) {
            running.history.give_up_volume();
            // Space for what is new is worth more than what is oldest, but a disk that stays full gets no more
            // for it: a volume now and then.
            let is_time = now.since(self.gave_up_at) >= HISTORY_RETRY_MS;
            if error.is_full() && is_time && running.history.give_up_oldest() {
                self.gave_up_at = now;
                retry_ms = 0;
            }
        }
        if retry_ms > 0 {
            tracing::warn!(%error, "history pauses; it begins again in a while");
            self.parts.shelf.note_paused(true);
        } else {
            tracing::warn!(%error, "history gives up its oldest part to make room");
        }
        self.phase = Phase::Unread(Tick(now.0.saturating_add(retry_ms)));
        Progress::Blocked
    }

    /// If history doesn't keep up, the server doesn't wait for it: what the journal forgets then is
    /// missing, and told as such.
    fn give_way(&mut self) {
        let durable = self.parts.position.get();
        let kept = self.parts.kept.get();
        // While the fold has something to do, the journal isn't full because of history.
        let fold_waits = self.parts.folded.get() >= kept && kept < durable;
        let is_full = self.parts.pressure.journal_percent() >= HISTORY_GIVE_UP_PERCENT;
        if !(self.is_too_small || is_full && fold_waits) {
            return;
        }
        let now = self.parts.clock.tick();
        let is_news = self.warned_at == Tick(0) || now.since(self.warned_at) >= HISTORY_RETRY_MS;
        if is_news && !self.is_too_small {
            self.warned_at = now;
            tracing::warn!(from = kept + 1, to = durable, "history is too slow: it misses a part");
        }
        self.parts.kept.raise(durable);
        if let Phase::Running(running) = &mut self.phase {
            running.history.give_up_volume();
            self.phase = Phase::Unread(Tick(0));
        }
        if durable > kept && !is_planted(Bug::HistoryGapNotTold) {
            self.parts.shelf.note_missed(Seq(durable + 1), now);
        }
    }
}

impl fmt::Debug for Historian {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Historian").field("parts", &self.parts).finish_non_exhaustive()
    }
}
