//! Writes history: whole batches behind each other into volumes, which go when they are too old or
//! take too much. Decides nothing about when; whoever calls paces it.

use super::index::IndexBuilder;
use super::layout::{End, HEAD_LENGTH, Head, index_file, unborn_file, volume_file};
use super::left::{give_up_oldest, remove_file, remove_left, remove_volume};
use super::mend::{Mender, Place};
use super::name::{LiveNames, NAME_BYTES};
use super::shelf::{Next, Shelf, Volume};
use crate::journal::{BatchError, BatchView};
use crate::limits::{
    HISTORY_BLOCK_BYTES, HISTORY_LEFT_FILES_MAX, HISTORY_SPANS, HISTORY_VOLUME_BYTES_LEAST,
    HISTORY_VOLUME_BYTES_MAX,
};
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
    /// Bytes of batches in a block of an index, at least: [`HISTORY_BLOCK_BYTES`], in tests less.
    pub block_bytes: u64,
}

impl HistorySettings {
    /// So many bytes and ms.
    #[must_use]
    pub const fn new(bytes_max: u64, age_ms_max: u64) -> Self {
        Self { bytes_max, age_ms_max, block_bytes: HISTORY_BLOCK_BYTES }
    }

    /// Bytes of batches after which the next volume begins, if it began with so many names: those stand in
    /// each volume anew, and are to be the smaller part of it.
    pub(crate) fn volume_bytes(&self, names: u32) -> u64 {
        let least = HISTORY_VOLUME_BYTES_LEAST.min(self.bytes_max / 4);
        let own = (self.bytes_max / HISTORY_SPANS).clamp(least, HISTORY_VOLUME_BYTES_MAX);
        own.max(u64::from(names) * NAME_BYTES as u64 * NAMES_SHARE)
    }

    /// Time after which the next volume begins, ms: so much longer than told is something kept.
    pub(crate) const fn volume_ms(&self) -> u64 {
        self.age_ms_max / HISTORY_SPANS
    }

    /// The index of a volume that begins with so many names.
    pub(super) fn index(&self, names: u32) -> IndexBuilder {
        IndexBuilder::new(self.block_bytes, self.volume_bytes(names), names)
    }
}

/// Why something wasn't appended.
#[derive(Debug)]
pub enum Refused {
    /// The system.
    Io(io::Error),
    /// A record can't be read.
    Batch(BatchError),
    /// Names alone would take more than history may.
    TooSmall,
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The volume that is written.
#[derive(Debug)]
struct Open {
    file: Arc<dyn DiskFile>,
    volume: Volume,
    /// The same as it was synced last.
    synced: Volume,
    /// The system was told to begin writing what is in front of this.
    written: u64,
    /// Offset that no write came beyond, also none that failed.
    touched: u64,
    /// When it was begun.
    begun: Tick,
    index: IndexBuilder,
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
    /// Batches that belong behind the volume that is written, and aren't in its file yet.
    buffer: Vec<u8>,
    next_number: u64,
    /// A volume whose begin isn't durable yet, and how many bytes it has at most.
    unborn: Option<(u64, u64)>,
    /// Bytes that were written and not synced.
    loose_bytes: u64,
    /// The next volume is complete from then on, if it begins with `expected`.
    since: Tick,
    expected: Seq,
    mender: Mender,
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
        let mender = Mender::new(&shelf);
        let history = Self {
            disk,
            settings,
            server,
            incarnation,
            shelf,
            open: None,
            buffer: Vec::new(),
            next_number,
            unborn: None,
            loose_bytes: 0,
            since,
            expected,
            mender,
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
    pub(super) fn resume(&mut self, file: Arc<dyn DiskFile>, volume: Volume, index: IndexBuilder) {
        self.expected = Seq(volume.last.0 + 1);
        self.shelf.update_last(volume, true);
        let (written, touched, begun) = (volume.end, volume.end, volume.since);
        self.open = Some(Open { file, volume, synced: volume, written, touched, begun, index });
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

    /// Appends a batch; `names` are those in front of it, and follow it. In the file after
    /// [`History::write`], durable after [`History::sync`].
    ///
    /// # Errors
    /// [`Refused`]. Then what wasn't durable doesn't count, and [`History::give_up_volume`] must be called.
    pub fn push(
        &mut self,
        batch: &BatchView<'_>,
        names: &mut LiveNames,
        now: Tick,
    ) -> Result<(), Refused> {
        let header = batch.header();
        let is_next = header.first == self.expected;
        if self.open.is_some() && (!is_next || self.is_full(now)) {
            self.write()?;
            self.close()?;
        }
        if self.open.is_none() {
            self.begin(header.first, names, now, is_next)?;
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        let offset = open.volume.end + self.buffer.len() as u64;
        self.buffer.extend_from_slice(&header.encode());
        self.buffer.extend_from_slice(batch.record_bytes());
        let read = open.index.take(batch, offset, &mut |effect| names.note(effect));
        read.map_err(Refused::Batch)?;
        open.volume.last = header.last;
        open.volume.tick = open.volume.tick.max(header.tick);
        self.expected = Seq(header.last.0 + 1);
        if self.buffer.len() >= WRITE_BYTES { self.write() } else { Ok(()) }
    }

    /// Writes what was appended to the file, where it can be read from now on.
    ///
    /// # Errors
    /// As [`History::push`].
    pub fn write(&mut self) -> Result<(), Refused> {
        let count = self.buffer.len() as u64;
        if count == 0 {
            return Ok(());
        }
        self.make_room(count + self.kept_bytes())?;
        let Some(open) = &mut self.open else { return Ok(()) };
        open.touched = open.volume.end + count;
        open.file.write_at(open.volume.end, &self.buffer)?;
        self.buffer.clear();
        open.volume.end += count;
        open.volume.bytes += count;
        self.loose_bytes += count;
        // The next sync finds most of it written then: the disk never gets so much at once that the journal
        // waits behind it.
        let unbegun = open.volume.end - open.written;
        if unbegun >= BEGIN_BYTES {
            open.file.begin_write(open.written, unbegun);
            open.written = open.volume.end;
        }
        self.since = Tick(open.volume.tick.0.saturating_add(1));
        self.shelf.update_last(open.volume, true);
        self.show_next();
        Ok(())
    }

    /// Bytes that the end and the index of the volume that is written will take.
    fn kept_bytes(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| HEAD_LENGTH + open.index.bytes())
    }

    /// Lets the oldest volumes go until so many bytes more are no more than all may be.
    fn make_room(&self, bytes: u64) -> Result<(), Refused> {
        while self.shelf.figures().bytes.saturating_add(bytes) > self.settings.bytes_max {
            // What can't be told any more goes first.
            if remove_left(&*self.disk, &self.shelf) || self.give_up_oldest() {
                continue;
            }
            let has_nothing = self.shelf.left().is_empty() && self.shelf.full().is_empty();
            return Err(if has_nothing { Refused::TooSmall } else { stays() });
        }
        Ok(())
    }

    /// Makes what was appended durable.
    ///
    /// # Errors
    /// Of the system, as [`History::write`].
    pub fn sync(&mut self) -> Result<(), Refused> {
        self.write()?;
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
        let bytes = open.volume.end - open.volume.begin + self.buffer.len() as u64;
        let is_old = now.since(open.begun) >= self.settings.volume_ms();
        bytes >= self.settings.volume_bytes(open.volume.names)
            || open.index.is_full()
            || (is_old && !open.volume.is_empty())
    }

    /// Ends the volume that is written, if it is old: what is in it must not stay for ever only because
    /// nothing else happens.
    ///
    /// # Errors
    /// Of the system, as [`History::write`].
    pub fn close_if_old(&mut self, now: Tick) -> Result<(), Refused> {
        if !self.is_full(now) {
            return Ok(());
        }
        self.write()?;
        self.close()
    }

    /// Writes the end behind a full volume, and its index.
    fn close(&mut self) -> Result<(), Refused> {
        debug_assert!(self.buffer.is_empty(), "an end goes behind everything");
        self.make_room(self.kept_bytes())?;
        let Some(open) = &mut self.open else { return Ok(()) };
        open.touched = open.volume.end + HEAD_LENGTH;
        write_end(&*open.file, &open.volume)?;
        let tick = open.volume.tick;
        self.loose_bytes = 0;
        self.since = Tick(tick.0.saturating_add(1));
        let volume = Volume { bytes: open.volume.bytes + HEAD_LENGTH, ..open.volume };
        self.shelf.update_last(volume, false);
        if let Some(open) = self.open.take() {
            let index = write_index(&*self.disk, &self.shelf, self.server, &volume, open.index);
            self.shelf.update_last(Volume { bytes: volume.bytes + index, ..volume }, false);
        }
        Ok(())
    }

    /// Begins a volume: its head and the names of what there is.
    fn begin(
        &mut self,
        first: Seq,
        names: &LiveNames,
        now: Tick,
        is_next: bool,
    ) -> Result<(), Refused> {
        if self.is_too_small_for(names) {
            return Err(Refused::TooSmall);
        }
        let begin_bytes = HEAD_LENGTH + names.count() as u64 * NAME_BYTES as u64;
        self.make_room(begin_bytes)?;
        let is_left = |shelf: &Shelf| shelf.left().len() >= HISTORY_LEFT_FILES_MAX;
        if is_left(&self.shelf) && !remove_left(&*self.disk, &self.shelf) {
            return Err(stays());
        }
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
        self.unborn = Some((number, begin_bytes));
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
        let index = self.settings.index(count);
        self.open = Some(Open {
            file,
            volume,
            synced: volume,
            written: begin,
            touched: begin,
            begun: now,
            index,
        });
        Ok(())
    }

    /// Something failed: what was appended since the last sync doesn't count, and the next batches begin
    /// a volume of their own. Gives the hand-over that has to come next.
    pub fn give_up_volume(&mut self) -> Seq {
        self.loose_bytes = 0;
        self.buffer.clear();
        let Some(open) = self.open.take() else {
            // The begin of a volume failed: it is on no shelf.
            if let Some((number, most)) = self.unborn.take() {
                remove_volume(&*self.disk, &self.shelf, number, most);
            }
            return self.expected;
        };
        let synced = open.synced;
        (self.since, self.expected) =
            (Tick(synced.tick.0.saturating_add(1)), Seq(synced.last.0 + 1));
        if synced.is_empty() {
            self.shelf.remove_newest();
            remove_volume(&*self.disk, &self.shelf, synced.number, open.touched);
        } else {
            // If the file can't be cut, the first hand-over of the next volume says where it ends, and all of
            // it counts.
            let cut = open.file.set_len(synced.end).and_then(|()| open.file.sync());
            let bytes = if cut.is_ok() { synced.bytes } else { open.touched.max(synced.bytes) };
            self.shelf.update_last(Volume { bytes, ..synced }, false);
        }
        self.shelf.note_taken(Seq(self.expected.0.saturating_sub(1)));
        self.show_next();
        self.expected
    }

    /// A piece of looking at indexes, and of making anew what is broken of them; tells whether there may be
    /// more. Nothing depends on it: what fails is looked at again after the next start.
    pub fn mend(&mut self) -> bool {
        let reserved = self.kept_bytes() + self.buffer.len() as u64;
        let Self { disk, shelf, settings, server, mender, .. } = self;
        let bytes_max = settings.bytes_max.saturating_sub(reserved);
        mender.step(Place { disk: &**disk, shelf, settings, server: *server, bytes_max })
    }

    /// Gives the oldest volume up, because there is no space; tells whether there was one beside the
    /// volume that is written.
    pub fn give_up_oldest(&self) -> bool {
        give_up_oldest(&*self.disk, &self.shelf)
    }

    /// Whether a volume alone would take more than all may: then nothing is kept.
    #[must_use]
    pub fn is_too_small_for(&self, names: &LiveNames) -> bool {
        (names.count() as u64).saturating_mul(2 * NAMES_SHARE * NAME_BYTES as u64)
            > self.settings.bytes_max
    }
}

/// Removes what is too old or too much, oldest first, and what couldn't be removed before; gives how many
/// volumes went.
///
/// Shape: a few files; call it again until it says 0.
pub fn trim(disk: &dyn Disk, shelf: &Shelf, settings: &HistorySettings, now: Tick) -> usize {
    let least = Tick(now.0.saturating_sub(settings.age_ms_max));
    shelf.set_least(least);
    remove_left(disk, shelf);
    for gone in 0..TRIM_VOLUMES {
        let full = shelf.full();
        let bytes = shelf.figures().bytes;
        let Some(oldest) = full.first() else { return gone };
        if oldest.tick >= least && bytes <= settings.bytes_max {
            return gone;
        }
        if !give_up_oldest(disk, shelf) {
            return gone;
        }
    }
    TRIM_VOLUMES
}

/// There is no room, and what is to go can't be removed: looked at again after a while.
fn stays() -> Refused {
    Refused::Io(io::Error::other("files of history that are to go can't be removed"))
}

/// Writes the end of a volume, durably.
pub(super) fn write_end(file: &dyn DiskFile, volume: &Volume) -> io::Result<()> {
    let Volume { number, last, tick, end, .. } = *volume;
    // A disk may write in any order: an end must never be there without what it ends.
    file.sync()?;
    file.write_at(end, &End { number, last, tick, offset: end }.encode())?;
    file.sync()
}

/// Writes the index of a full volume, if it is worth one; gives its bytes. Without it questions read more.
fn write_index(
    disk: &dyn Disk,
    shelf: &Shelf,
    server: ServerId,
    volume: &Volume,
    index: IndexBuilder,
) -> u64 {
    let (name, most) = (index_file(volume.number), index.bytes());
    index.write(disk, server, volume).unwrap_or_else(|error| {
        tracing::warn!(%error, number = volume.number, "the index of a part of history isn't written");
        remove_file(disk, shelf, &name, most);
        0
    })
}

/// Volumes that one trimming removes.
const TRIM_VOLUMES: usize = 4;
/// A volume has at least so many times the bytes of its names.
const NAMES_SHARE: u64 = 8;
/// Bytes of names that are written at once.
const PIECE_BYTES: usize = 1 << 20;
/// Bytes of batches behind which the system is told to begin writing them.
const BEGIN_BYTES: u64 = 4 << 20;
/// Bytes of batches that are written at once.
const WRITE_BYTES: usize = 1 << 20;
