//! Writes history: whole batches behind each other into volumes, which go when they are too old or
//! take too much. Decides nothing about when; whoever calls paces it.

use super::layout::{End, HEAD_LENGTH, Head, unborn_file, volume_file};
use super::name::{LiveNames, NAME_BYTES};
use super::shelf::{Next, Shelf, Volume};
use crate::limits::{HISTORY_SPANS, HISTORY_VOLUME_BYTES_LEAST, HISTORY_VOLUME_BYTES_MAX};
use crate::model::{Incarnation, Seq, ServerId, Tick};
use crate::store::disk::{Disk, DiskFile};
use std::io;
use std::sync::Arc;

/// How much of history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistorySettings {
    /// Bytes of all its files, at most.
    pub bytes_max: u64,
    /// Age of what is told, ms, at most.
    pub age_ms_max: u64,
}

impl HistorySettings {
    /// Bytes of batches after which the next volume begins.
    pub(crate) fn volume_bytes(&self) -> u64 {
        (self.bytes_max / HISTORY_SPANS).clamp(HISTORY_VOLUME_BYTES_LEAST, HISTORY_VOLUME_BYTES_MAX)
    }

    /// Time after which the next volume begins, ms: so much longer than told is something kept.
    pub(crate) const fn volume_ms(&self) -> u64 {
        self.age_ms_max / HISTORY_SPANS
    }
}

/// Some batches that follow each other.
#[derive(Clone, Debug, Default)]
pub struct Batches {
    /// Their bytes, each with its header.
    pub bytes: Vec<u8>,
    /// First hand-over.
    pub first: Seq,
    /// Last hand-over.
    pub last: Seq,
    /// The latest tick.
    pub tick: Tick,
}

/// The volume that is written.
#[derive(Debug)]
struct Open {
    file: Arc<dyn DiskFile>,
    volume: Volume,
    /// The same as it was synced last.
    synced: Volume,
    /// When it was begun.
    begun: Tick,
}

/// Writes history.
///
/// Concurrency: owned by the historian's thread; what can be read is on the shelf.
#[derive(Debug)]
pub struct History {
    disk: Arc<dyn Disk>,
    pub(super) settings: HistorySettings,
    server: ServerId,
    incarnation: Incarnation,
    shelf: Arc<Shelf>,
    open: Option<Open>,
    next_number: u64,
    /// A volume whose begin isn't durable yet.
    unborn: Option<u64>,
    /// Bytes that were written and not synced.
    loose_bytes: u64,
    /// The next volume is complete from then on, if it begins with `expected`.
    since: Tick,
    expected: Seq,
}

impl History {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        settings: HistorySettings,
        (server, incarnation): (ServerId, Incarnation),
        shelf: Arc<Shelf>,
        next_number: u64,
        (expected, since): (Seq, Tick),
    ) -> Self {
        let history = Self {
            disk,
            settings,
            server,
            incarnation,
            shelf,
            open: None,
            next_number,
            unborn: None,
            loose_bytes: 0,
            since,
            expected,
        };
        history.show_next();
        history
    }

    /// Whether volumes reach up to now is seen from what comes next.
    fn show_next(&self) {
        let (incarnation, seq, since) = (self.incarnation, self.expected, self.since);
        self.shelf.set_next(Next { incarnation, seq, since });
    }

    /// Goes on with a volume that was read up to its end.
    pub(super) fn resume(&mut self, file: Arc<dyn DiskFile>, volume: Volume) {
        self.expected = Seq(volume.last.0 + 1);
        self.shelf.update_last(volume, true);
        self.open = Some(Open { file, volume, synced: volume, begun: volume.since });
        self.since = Tick(volume.tick.0.saturating_add(1));
        self.show_next();
    }

    /// Goes on behind a volume that is full.
    pub(super) fn expect(&mut self, next: Seq, since: Tick) {
        (self.expected, self.since) = (next, since);
        self.show_next();
    }

    /// What can be read of it.
    #[must_use]
    pub const fn shelf(&self) -> &Arc<Shelf> {
        &self.shelf
    }

    /// Where its files are.
    #[must_use]
    pub const fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// The data set that it is of.
    #[must_use]
    pub const fn server(&self) -> ServerId {
        self.server
    }

    /// Bytes that a crash of the system could lose, which the journal must keep until then.
    #[must_use]
    pub const fn loose_bytes(&self) -> u64 {
        self.loose_bytes
    }

    /// The hand-over that comes next, if nothing is to be missing.
    #[must_use]
    pub const fn expected(&self) -> Seq {
        self.expected
    }

    /// Appends batches; `names` are those behind the last batch that was appended. Durable after
    /// [`History::sync`].
    ///
    /// # Errors
    /// Of the system. Then nothing of them counts, and [`History::give_up_volume`] must be called.
    pub fn append(&mut self, batches: &Batches, names: &LiveNames, now: Tick) -> io::Result<()> {
        let is_next = batches.first == self.expected;
        if self.open.is_some() && (!is_next || self.is_full(now)) {
            self.close()?;
        }
        if self.open.is_none() {
            self.begin(batches.first, names, now, is_next)?;
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        open.file.write_at(open.volume.end, &batches.bytes)?;
        let count = batches.bytes.len() as u64;
        open.volume.end += count;
        open.volume.bytes += count;
        open.volume.last = batches.last;
        open.volume.tick = open.volume.tick.max(batches.tick);
        self.loose_bytes += count;
        self.expected = Seq(batches.last.0 + 1);
        self.since = Tick(open.volume.tick.0.saturating_add(1));
        self.shelf.update_last(open.volume, true);
        self.show_next();
        Ok(())
    }

    /// Makes what was appended durable.
    ///
    /// # Errors
    /// Of the system, as [`History::append`].
    pub fn sync(&mut self) -> io::Result<()> {
        if let Some(open) = &mut self.open
            && self.loose_bytes > 0
        {
            open.file.sync()?;
            open.synced = open.volume;
        }
        self.loose_bytes = 0;
        Ok(())
    }

    fn is_full(&self, now: Tick) -> bool {
        let Some(open) = &self.open else { return false };
        let names = u64::from(open.volume.names) * NAME_BYTES as u64;
        // Names stand in each volume anew: they are to be the smaller part of it.
        let least = self.settings.volume_bytes().max(names.saturating_mul(NAMES_SHARE));
        let is_old = now.since(open.begun) >= self.settings.volume_ms();
        open.volume.end - open.volume.begin >= least || (is_old && !open.volume.is_empty())
    }

    /// Ends the volume that is written, if it is old: what is in it must not stay for ever only because
    /// nothing else happens.
    ///
    /// # Errors
    /// Of the system, as [`History::append`].
    pub fn close_if_old(&mut self, now: Tick) -> io::Result<()> {
        if self.is_full(now) { self.close() } else { Ok(()) }
    }

    /// Writes the end behind a full volume.
    fn close(&mut self) -> io::Result<()> {
        let Some(open) = &self.open else { return Ok(()) };
        let Volume { number, last, tick, end, .. } = open.volume;
        // A disk may write in any order: an end must never be there without what it ends.
        open.file.sync()?;
        open.file.write_at(end, &End { number, last, tick, offset: end }.encode())?;
        open.file.sync()?;
        self.loose_bytes = 0;
        self.since = Tick(tick.0.saturating_add(1));
        let bytes = open.volume.bytes + HEAD_LENGTH;
        self.shelf.update_last(Volume { bytes, ..open.volume }, false);
        self.open = None;
        Ok(())
    }

    /// Begins a volume: its head and the names of what there is.
    fn begin(&mut self, first: Seq, names: &LiveNames, now: Tick, is_next: bool) -> io::Result<()> {
        let since = if is_next { self.since } else { self.since.max(now) };
        let count = u32::try_from(names.count()).unwrap_or(u32::MAX);
        let number = self.next_number;
        let head = Head {
            server: self.server,
            incarnation: self.incarnation,
            number,
            first,
            since,
            names: count,
        };
        let file = self.disk.create(&unborn_file(number))?;
        self.next_number += 1;
        self.unborn = Some(number);
        let mut at = HEAD_LENGTH;
        let mut piece = Vec::with_capacity(PIECE_BYTES + NAME_BYTES);
        for name in names.iter().take(count as usize) {
            name.encode(&mut piece);
            if piece.len() >= PIECE_BYTES {
                file.write_at(at, &piece)?;
                at += piece.len() as u64;
                piece.clear();
            }
        }
        file.write_at(at, &piece)?;
        file.write_at(0, &head.encode())?;
        file.sync()?;
        // Under its own name it is whole, or was damaged later.
        self.disk.rename(&unborn_file(number), &volume_file(number))?;
        self.disk.sync_names()?;
        let begin = head.batches_at();
        let volume = Volume {
            number,
            incarnation: self.incarnation,
            first,
            last: Seq(first.0 - 1),
            since,
            tick: since,
            names: count,
            begin,
            end: begin,
            bytes: begin,
            is_damaged: false,
        };
        (self.since, self.expected) = (since, first);
        self.show_next();
        self.shelf.push(volume, true);
        self.unborn = None;
        self.open = Some(Open { file, volume, synced: volume, begun: now });
        Ok(())
    }

    /// Something failed: what was appended since the last sync doesn't count, and the next batches begin
    /// a volume of their own. Gives the hand-over that has to come next.
    pub fn give_up_volume(&mut self) -> Seq {
        self.loose_bytes = 0;
        let Some(open) = self.open.take() else {
            // The begin of a volume failed: it is on no shelf.
            if let Some(number) = self.unborn.take() {
                self.remove(number);
            }
            return self.expected;
        };
        let synced = open.synced;
        (self.since, self.expected) =
            (Tick(synced.tick.0.saturating_add(1)), Seq(synced.last.0 + 1));
        if synced.is_empty() {
            self.shelf.remove_newest();
            self.remove(synced.number);
        } else {
            // If the file can't be cut, the first hand-over of the next volume says where it ends.
            let _ = open.file.set_len(synced.end);
            self.shelf.update_last(synced, false);
        }
        self.shelf.note_taken(Seq(self.expected.0.saturating_sub(1)));
        self.show_next();
        self.expected
    }

    fn remove(&self, number: u64) {
        for name in [unborn_file(number), volume_file(number)] {
            if let Err(error) = self.disk.remove(&name)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(%error, name, "a file of history can't be removed");
            }
        }
    }

    /// Removes what is too old or too much, oldest first; gives how many volumes went.
    ///
    /// Shape: a few files; call it again until it says 0.
    pub fn trim(&mut self, now: Tick) -> usize {
        let least = Tick(now.0.saturating_sub(self.settings.age_ms_max));
        self.shelf.set_least(least);
        for gone in 0..TRIM_VOLUMES {
            let full = self.shelf.full();
            let bytes = self.shelf.figures().bytes;
            let Some(oldest) = full.first() else { return gone };
            if oldest.tick >= least && bytes <= self.settings.bytes_max {
                return gone;
            }
            self.remove_oldest();
        }
        TRIM_VOLUMES
    }

    /// Gives the oldest volume up, because there is no space; tells whether there was one beside the
    /// volume that is written.
    pub fn give_up_oldest(&mut self) -> bool {
        let has_full = !self.shelf.full().is_empty();
        if has_full {
            self.remove_oldest();
        }
        has_full
    }

    fn remove_oldest(&self) {
        if let Some(gone) = self.shelf.remove_oldest() {
            self.remove(gone.number);
        }
    }

    /// Whether a volume alone would take more than all may: then nothing is kept.
    #[must_use]
    pub fn is_too_small_for(&self, names: &LiveNames) -> bool {
        (names.count() as u64).saturating_mul(2 * NAMES_SHARE * NAME_BYTES as u64)
            > self.settings.bytes_max
    }
}

/// Volumes that one trimming removes.
const TRIM_VOLUMES: usize = 4;
/// A volume has at least so many times the bytes of its names.
const NAMES_SHARE: u64 = 8;
/// Bytes of names that are written at once.
const PIECE_BYTES: usize = 1 << 20;
