//! The auditor: reads what is durable from the journal and writes the audit log, before the fold lets the journal forget
//! it; between that, attempts. When its disk refuses, the log has a gap that it tells of, and the server goes on.

use super::Progress;
use super::audit::AuditDesk;
use super::clock::Clock;
use super::figures::CommitterFigures;
use super::pressure::Pressure;
use crate::audit::{Audited, Begin, Gap, Header, Mark, Projection, begin, gap, mark, missed};
use crate::feed::Names;
use crate::journal::BatchError;
use crate::limits::{
    AUDIT_MARK_MS, AUDIT_MARK_PERCENT, AUDIT_READ_BYTES_MAX, AUDIT_RETRY_MS, AUDIT_STALL_MS,
    AUDIT_SYNC_MS, HISTORY_GIVE_UP_PERCENT,
};
use crate::model::{Seq, Tick};
use crate::planted::{Bug, is_planted};
use crate::store::{AuditFiles, Disk, FeedReader, NamesAt, StoreError};
use addrd_sync::DurableMark;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What the auditor is made of.
#[derive(Debug)]
pub struct AuditorParts {
    /// Reads names and committed batches.
    pub reader: FeedReader,
    /// The directory of the log.
    pub disk: Arc<dyn Disk>,
    /// What gets lines.
    pub audited: Audited,
    /// Bytes of all files, at most.
    pub bytes_max: u64,
    /// Of which data it is.
    pub header: Header,
    /// Where attempts wait.
    pub desk: Arc<AuditDesk>,
    /// Durable position of the journal.
    pub position: Arc<DurableMark>,
    /// Up to here the journal is folded.
    pub folded: Arc<DurableMark>,
    /// Up to here the log needs the journal no more.
    pub kept: Arc<DurableMark>,
    /// Shared signals.
    pub pressure: Arc<Pressure>,
    /// Source of time.
    pub clock: Arc<dyn Clock>,
    /// Its figures: the loop's turns.
    pub figures: CommitterFigures,
}

/// Keeps the audit log.
pub struct Auditor {
    parts: AuditorParts,
    phase: Phase,
    /// The fold was let past the log, up to here: hand-overs before it may have no lines.
    given_up: Seq,
    /// When the lines came further last, or nothing was missing; `None`: before the first step.
    moved_at: Option<Tick>,
}

enum Phase {
    /// Files and names have to be read, not before this moment.
    Unread(Tick),
    Running(Box<Running>),
}

struct Running {
    files: AuditFiles,
    projection: Projection,
    /// How far the lines have come.
    mark: Mark,
    /// As far as that the last line says.
    told: Seq,
    told_at: Tick,
    synced_at: Tick,
    /// When it was told last how many attempts have no line.
    missed_at: Option<Tick>,
    out: Vec<u8>,
}

/// Why the log can't go on for now.
#[derive(Debug)]
enum Broken {
    Store(StoreError),
    Batch(BatchError),
    Io(io::Error),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Batch(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<BatchError> for Broken {
    fn from(error: BatchError) -> Self {
        Self::Batch(error)
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Auditor {
    /// Ready for its first step.
    #[must_use]
    pub const fn new(parts: AuditorParts) -> Self {
        Self { parts, phase: Phase::Unread(Tick(0)), given_up: Seq(0), moved_at: None }
    }

    /// Whether there is something to write.
    #[must_use]
    pub fn has_work(&self) -> bool {
        match &self.phase {
            Phase::Running(running) => running.mark.position.0 < self.parts.position.get(),
            Phase::Unread(at) => self.parts.clock.tick() >= *at,
        }
    }

    /// Where attempts wait.
    #[cfg(test)]
    pub fn desk(&self) -> &Arc<AuditDesk> {
        &self.parts.desk
    }

    /// Whether the disk refused, and has taken nothing since.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.parts.desk.is_paused()
    }

    /// One bounded piece: reads files and names, or writes lines.
    pub fn step(&mut self) -> Progress {
        self.parts.figures.turned(self.parts.clock.monotonic_ns());
        let now = self.parts.clock.tick();
        let done = match &mut self.phase {
            Phase::Unread(at) if now < *at => Ok(Progress::Idle),
            Phase::Unread(_) => self.begin(now),
            Phase::Running(running) => go_on(running, &self.parts, now),
        };
        // While the disk refuses something is missing, whether a step tries or waits.
        let is_at_rest = matches!(self.phase, Phase::Running(_)) && !self.has_work();
        let has_moved = matches!(done, Ok(Progress::Worked)) || is_at_rest && done.is_ok();
        let moved_at = self.moved_at.filter(|_| !has_moved).unwrap_or(now);
        self.moved_at = Some(moved_at);
        let progress = done.unwrap_or_else(|error| self.pause(&error, now));
        self.give_way(now.since(moved_at));
        progress
    }

    /// Writes all that is durable and what was tried, as far as the disk lets it: nothing comes any more.
    pub fn finish(&mut self) {
        while self.has_work() && self.step() == Progress::Worked {}
        let Phase::Running(running) = &mut self.phase else { return };
        let now = self.parts.clock.tick();
        // Attempts that no line was told of yet are told whenever the last time was.
        running.missed_at = None;
        let done = go_on(running, &self.parts, now)
            .and_then(|_| running.sync(&self.parts, now, true).map_err(Broken::Io));
        if let Err(error) = done {
            tracing::warn!(%error, "the audit log couldn't be synced; the next start goes on where it is");
        }
    }

    /// Reads files, then names, and goes on where the last line stands.
    fn begin(&mut self, now: Tick) -> Result<Progress, Broken> {
        let parts = &self.parts;
        let (mut files, found) = AuditFiles::open(Arc::clone(&parts.disk), parts.bytes_max)?;
        let mut names = Names::default();
        let NamesAt { folded, complete } = parts.reader.names(&mut |effect| names.note(effect))?;
        let mut projection = Projection::new(parts.audited, names);
        let durable = parts.position.get();
        // Of other data, or of a journal that was put back: its numbers say nothing of this one.
        let is_ours =
            |header: Header, mark: Mark| header == parts.header && mark.position.0 <= durable;
        let found_mark = match found {
            Some(found) if is_ours(found.header, found.mark) => Some(found.mark),
            Some(_) => {
                files.rotate()?;
                None
            }
            None => None,
        };
        let oldest = Mark::behind(complete);
        let mut running = Running {
            files,
            mark: found_mark.unwrap_or(oldest),
            told: Seq(0),
            told_at: now,
            synced_at: now,
            missed_at: None,
            out: Vec::new(),
            projection: Projection::new(parts.audited, Names::default()),
        };
        // All before that batch has its lines on the disk.
        parts.kept.raise(running.mark.position.0.saturating_sub(1));
        let from = running.mark.position.0.saturating_add(1);
        // In front of the first line: a disk that is full would take none.
        running.files.make_room()?;
        running.head(parts, now);
        if running.mark.position < oldest.position {
            let hole = Gap { from, to: complete.0 };
            gap(&time_text(now), hole, &mut running.out);
            parts.desk.count_gap(hole.to.saturating_sub(hole.from).saturating_add(1));
            running.mark = oldest;
        }
        follow(parts, &mut projection, folded, &mut running)?;
        running.projection = projection;
        let was_paused = self.is_paused();
        if running.out.is_empty() && was_paused {
            // Something has to be written, to see that the disk takes it again.
            mark(&time_text(now), running.mark, &mut running.out);
        }
        running.flush(parts, 1)?;
        if was_paused {
            running.files.sync()?;
        }
        parts.desk.note_paused(false);
        running.told = running.mark.position;
        tracing::info!(place = %parts.disk.place(), position = running.mark.position.0, "the audit log goes on");
        self.phase = Phase::Running(Box::new(running));
        Ok(Progress::Worked)
    }

    /// The log stops for a while. What it had not made durable is in the journal still.
    fn pause(&mut self, error: &Broken, now: Tick) -> Progress {
        tracing::warn!(%error, place = %self.parts.disk.place(), "the audit log pauses; it begins again in a while");
        self.parts.desk.note_paused(true);
        self.phase = Phase::Unread(Tick(now.0.saturating_add(AUDIT_RETRY_MS)));
        Progress::Blocked
    }

    /// If the log doesn't keep up, the server doesn't wait for it: what the journal forgets then is told as missing.
    fn give_way(&mut self, stalled_ms: u64) {
        let (durable, kept) = (self.parts.position.get(), self.parts.kept.get());
        let fold_waits = self.parts.folded.get() >= kept && kept < durable;
        let is_full = self.parts.pressure.journal_percent() >= HISTORY_GIVE_UP_PERCENT;
        if !(is_full && fold_waits && stalled_ms >= AUDIT_STALL_MS) {
            return;
        }
        if self.given_up < Seq(durable) {
            tracing::error!(
                from = kept + 1,
                to = durable,
                "the audit log is too slow or can't be written: it will have a gap"
            );
        }
        self.given_up = Seq(durable);
        self.parts.kept.raise(durable);
        if matches!(self.phase, Phase::Running(_)) {
            self.phase = Phase::Unread(Tick(0));
        }
    }
}

/// Lets names follow the journal up to where the lines are; of the batch in which they are, the rest gets its lines.
fn follow(
    parts: &AuditorParts,
    projection: &mut Projection,
    from: Seq,
    running: &mut Running,
) -> Result<(), Broken> {
    let (mut at, last) = (from, running.mark.position);
    let is_part = running.mark.item != u32::MAX && !is_planted(Bug::AuditSkipsBatch);
    while at < last {
        let before = at;
        parts.reader.each::<Broken>(at, last, AUDIT_READ_BYTES_MAX, &mut |batch| {
            at = batch.header().last;
            if at == last && is_part {
                let time = time_text(batch.header().tick);
                projection.take(batch, running.mark.item, &time, &mut running.out)?;
                running.mark = Mark::behind(at);
            } else {
                projection.pass(batch)?;
            }
            Ok(())
        })?;
        if at == before {
            break;
        }
    }
    Ok(())
}

fn go_on(running: &mut Running, parts: &AuditorParts, now: Tick) -> Result<Progress, Broken> {
    let durable = Seq(parts.position.get());
    let (from, mut lines) = (running.mark.position, 0);
    if from < durable {
        running.head(parts, now);
        let Running { projection, mark, told, out, .. } = running;
        parts.reader.each::<Broken>(from, durable, AUDIT_READ_BYTES_MAX, &mut |batch| {
            let time = time_text(batch.header().tick);
            let count = projection.take(batch, 0, &time, out)?;
            *mark = Mark::behind(batch.header().last);
            if count > 0 {
                (*told, lines) = (mark.position, lines + count);
            }
            Ok(())
        })?;
    }
    let attempts = parts.desk.take();
    let is_told = running.missed_at.is_none_or(|at| now.since(at) >= AUDIT_SYNC_MS);
    let too_many = if is_told { parts.desk.take_missed() } else { 0 };
    if !attempts.is_empty() || too_many > 0 {
        running.head(parts, now);
        running.told = running.mark.position;
    }
    lines += attempts.len() as u64;
    for attempt in &attempts {
        attempt.write(&time_text(attempt.tick), running.mark, &mut running.out);
    }
    if too_many > 0 {
        missed(&time_text(now), too_many, running.mark, &mut running.out);
        running.missed_at = Some(now);
        lines += 1;
    }
    let has_written = !running.out.is_empty() || running.mark.position > from;
    if let Err(error) = running.flush(parts, lines) {
        parts.desk.give_back(attempts.len() as u64, too_many);
        return Err(error.into());
    }
    if now.since(running.synced_at) >= AUDIT_SYNC_MS {
        let is_time = now.since(running.told_at) >= AUDIT_MARK_MS
            || parts.pressure.journal_percent() >= AUDIT_MARK_PERCENT;
        running.sync(parts, now, is_time)?;
    }
    Ok(if has_written { Progress::Worked } else { Progress::Idle })
}

impl Running {
    /// Begins a file, if the last one is full or there is none.
    fn head(&mut self, parts: &AuditorParts, now: Tick) {
        if self.files.is_at_begin() && self.out.is_empty() {
            let Header { server, incarnation } = parts.header;
            begin(&time_text(now), Begin { server, incarnation, at: self.mark }, &mut self.out);
        }
    }

    /// Makes the lines durable; then the journal may forget what they tell. What has no lines is told now and then, so
    /// that a start knows it.
    fn sync(&mut self, parts: &AuditorParts, now: Tick, tells: bool) -> io::Result<()> {
        if tells && self.told < self.mark.position {
            self.head(parts, now);
            mark(&time_text(now), self.mark, &mut self.out);
            self.told = self.mark.position;
            self.flush(parts, 1)?;
        }
        if tells {
            self.told_at = now;
        }
        self.files.sync()?;
        self.files.make_room()?;
        self.synced_at = now;
        parts.kept.raise(self.told.0);
        Ok(())
    }

    fn flush(&mut self, parts: &AuditorParts, lines: u64) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        if is_planted(Bug::AuditKeptTooSoon) {
            parts.kept.raise(self.mark.position.0);
        }
        self.files.append(&self.out)?;
        self.out.clear();
        parts.desk.count_lines(lines, self.files.bytes());
        Ok(())
    }
}

/// RFC 3339 in UTC with milliseconds.
fn time_text(tick: Tick) -> String {
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(tick.0));
    // Behind the year 9999 there is no text for it.
    let last = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_millis(time.map_or(last, |time| time.min(last))).to_string()
}

impl fmt::Debug for Auditor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auditor").field("parts", &self.parts).finish_non_exhaustive()
    }
}
