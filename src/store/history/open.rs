//! Finds the volumes of a directory, reads the one that was written last up to where it is whole, and
//! makes history begin or go on there.

use super::index::IndexBuilder;
use super::layout::{
    End, HEAD_BYTES, HEAD_LENGTH, Head, INDEX, UNBORN, index_file, number_before, number_in,
    volume_file,
};
use super::left::{bytes_of, remove_or_bytes, try_remove};
use super::scan::{Piece, scan};
use super::shelf::{Shelf, Volume};
use super::writer::{History, HistorySettings, write_end};
use crate::model::{Incarnation, Seq, ServerId, Tick};
use crate::planted::{Bug, is_planted};
use crate::store::disk::{Disk, DiskFile};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Where the journal stands when history is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalEnds {
    /// The first hand-over that it can still give.
    pub first: Seq,
    /// The last one that is durable.
    pub last: Seq,
}

/// The numbers of the volumes in a directory.
pub(super) fn files(disk: &dyn Disk) -> io::Result<BTreeSet<u64>> {
    Ok(disk.names()?.iter().filter_map(|name| number_in(name)).collect())
}

/// Opens what there is of history.
///
/// Shape: reads three small places of each volume, and all of those without an end: the last one, and what a
/// failure left.
///
/// # Errors
/// Of the system: history can't be used for now.
pub fn open(
    disk: Arc<dyn Disk>,
    settings: HistorySettings,
    identity: (ServerId, Incarnation),
    shelf: Arc<Shelf>,
    journal: JournalEnds,
    now: Tick,
) -> io::Result<History> {
    let numbers = files(&*disk)?;
    let next_number = next_number(&*disk)?;
    let mut left = Left { disk: &*disk, files: Vec::new() };
    left.remove_strays(&numbers)?;
    let heads = heads_of(&*disk, &numbers, identity);
    // The volumes are found aside: who looks something up meanwhile has those before.
    let mut volumes: Vec<Volume> = Vec::new();
    let mut last = None;
    let untils = untils_of(&*disk, &heads, identity.1, journal.last);
    for (at, ((number, head), until)) in heads.iter().zip(untils).enumerate() {
        let is_last = at + 1 == heads.len();
        let later = heads.get(at + 1..).unwrap_or_default();
        let found = head.map(|head| find_volume(&*disk, &head, until, &settings));
        match (head, found) {
            (_, Some(Ok(found))) if !found.volume.is_empty() => {
                let mut volume = found.volume;
                if found.is_full {
                    volume.bytes += bytes_of(&*disk, &index_file(*number))?;
                } else {
                    // Of a volume that has no end it can't be.
                    left.remove(index_file(*number))?;
                }
                volumes.push(volume);
                // Only the last one can go on: one before it that was left without an end gets it now.
                // If something between them is missing, and there is more in the file that can't be read, that
                // may be the reason: it is left as it is.
                let first = found.volume.first.0;
                if let Some((before, _)) = last.replace((found, is_last))
                    && (before.volume.last.0.saturating_add(1) == first || !before.is_broken)
                {
                    left.add_end((identity.0, &settings), before, &mut volumes);
                }
            }
            (head, found) => {
                let is_given_again = head.is_some_and(|head| {
                    is_last && head.incarnation == identity.1 && journal.first <= head.first
                });
                let has_nothing = matches!(&found, Some(Ok(found)) if found.is_bare);
                if is_given_again || has_nothing {
                    left.remove(volume_file(*number))?;
                    left.remove(index_file(*number))?;
                } else {
                    tracing::warn!(number, "a file of history can't be read; it is missing");
                    let age =
                        Age { since: head.map(|head| head.since), until: begin_of(later), now };
                    volumes.push(unreadable(&*disk, *number, volumes.last(), &age)?);
                    last = last.map(|(found, _)| (found, false));
                }
            }
        }
    }
    let last = last.filter(|(last, _)| last.volume.incarnation == identity.1);
    let end = last.as_ref().map(|(last, _)| last.volume);
    let mut goes_on = None;
    if let Some((last, is_last)) = last.filter(|(last, _)| !last.is_full) {
        let is_gap = last.volume.last.0.saturating_add(1) < journal.first.0;
        if is_last && !is_gap {
            goes_on = Some(last);
        } else if is_gap || !last.is_broken {
            left.add_end((identity.0, &settings), last, &mut volumes);
        }
    }
    let files = left.files;
    shelf.replace(volumes, files);
    let mut history =
        History::new(disk, settings, identity, shelf, next_number, (journal.first, now));
    if let Some(end) = end {
        go_on_behind(&mut history, end, goes_on, journal)?;
    }
    Ok(history)
}

/// The heads of the volumes of this data, oldest first; `None`: it can't be read.
fn heads_of(
    disk: &dyn Disk,
    numbers: &BTreeSet<u64>,
    (server, incarnation): (ServerId, Incarnation),
) -> Vec<(u64, Option<Head>)> {
    let mut heads = Vec::new();
    for &number in numbers {
        match head_of(disk, number) {
            Ok(Some(head)) if head.server != server || head.incarnation > incarnation => {
                tracing::warn!(number, "a file of history belongs to other data; it is left alone");
            }
            Ok(head) => heads.push((number, head)),
            Err(error) => {
                tracing::warn!(%error, number, "a file of history can't be read");
                heads.push((number, None));
            }
        }
    }
    heads
}

/// Goes on with the last volume, if it is given, or behind it, if the journal has what comes next.
fn go_on_behind(
    history: &mut History,
    volume: Volume,
    goes_on: Option<Found>,
    journal: JournalEnds,
) -> io::Result<()> {
    if volume.last.0.saturating_add(1) < journal.first.0 {
        history.shelf().note_dropped(volume.last, journal.first);
        if is_planted(Bug::HistoryGapNotTold) {
            history.expect(journal.first, Tick(volume.tick.0.saturating_add(1)));
        }
    } else if let Some(last) = goes_on {
        last.file.set_len(volume.end)?;
        last.file.sync()?;
        let bytes = volume.end;
        history.resume(last.file, Volume { bytes, ..volume }, last.index);
    } else {
        history.expect(Seq(volume.last.0 + 1), Tick(volume.tick.0.saturating_add(1)));
    }
    Ok(())
}

/// Up to which hand-over each volume counts: each one that was begun later, or what became of the journal, may
/// say less than its file has. Not the next one alone: once the disk has failed, several volumes can stand in
/// front of one that begins anew where the first of them did. One that has nothing says nothing: what others
/// have isn't in it.
///
/// Shape: two small reads a volume, 1 MiB of those without an end.
fn untils_of(
    disk: &dyn Disk,
    heads: &[(u64, Option<Head>)],
    incarnation: Incarnation,
    last: Seq,
) -> Vec<Seq> {
    let mut firsts: BTreeMap<Incarnation, Seq> = BTreeMap::new();
    let until_of = |(_, head): &(u64, Option<Head>)| {
        let Some(head) = head else { return Seq(0) };
        let by_journal = if head.incarnation == incarnation { last } else { Seq(u64::MAX) };
        let next = firsts.get(&head.incarnation);
        let until = next.map_or(by_journal, |next| by_journal.min(Seq(next.0.saturating_sub(1))));
        // What can't be read now may have something.
        let has_one = has_batch(disk, head, until).unwrap_or(true);
        let is_next_only = is_planted(Bug::HistoryUpToTheNextOnly);
        if is_next_only {
            firsts.clear();
        }
        if has_one || is_next_only {
            let first = firsts.entry(head.incarnation).or_insert(head.first);
            *first = head.first.min(*first);
        }
        until
    };
    let mut untils: Vec<Seq> = heads.iter().rev().map(until_of).collect();
    untils.reverse();
    untils
}

/// Whether a volume has anything that counts.
fn has_batch(disk: &dyn Disk, head: &Head, until: Seq) -> io::Result<bool> {
    let file = disk.open(&volume_file(head.number))?;
    let bytes = file.len()?;
    if let Some(end) = end_of(&*file, head, bytes)?.filter(|end| end.last <= until) {
        return Ok(end.last >= head.first);
    }
    let piece = Piece { begin: head.batches_at().min(bytes), end: bytes, first: Some(head.first) };
    let mut has_one = false;
    scan(&*file, (head.server, head.incarnation), piece, &mut |batch, _| {
        has_one = batch.header().last <= until;
        ControlFlow::Break(())
    })?;
    Ok(has_one)
}

/// Whether there is any history in a directory.
#[must_use]
pub fn exists(disk: &dyn Disk) -> bool {
    files(disk).is_ok_and(|files| !files.is_empty())
}

pub(super) fn head_of(disk: &dyn Disk, number: u64) -> io::Result<Option<Head>> {
    let file = disk.open(&volume_file(number))?;
    if file.len()? < HEAD_LENGTH {
        return Ok(None);
    }
    let mut bytes = [0; HEAD_BYTES];
    file.read_at(0, &mut bytes)?;
    Ok(Head::decode(&bytes).filter(|head| head.number == number))
}

/// A number that no file of history has, whatever it is a file of: what couldn't be removed keeps its own.
fn next_number(disk: &dyn Disk) -> io::Result<u64> {
    let number_of = |name: &String| {
        number_in(name).or(number_before(name, INDEX)).or(number_before(name, UNBORN))
    };
    let last = disk.names()?.iter().filter_map(number_of).max();
    Ok(last.map_or(1, |last| last.saturating_add(1)))
}

/// What is to go, and couldn't be removed: its names and bytes.
struct Left<'a> {
    disk: &'a dyn Disk,
    files: Vec<(String, u64)>,
}

impl Left<'_> {
    fn remove(&mut self, name: String) -> io::Result<()> {
        if let Some(bytes) = remove_or_bytes(self.disk, &name)? {
            self.files.push((name, bytes));
        }
        Ok(())
    }

    /// Removes volumes whose begin was cut short, in which nothing ever was, and indexes without a volume.
    fn remove_strays(&mut self, numbers: &BTreeSet<u64>) -> io::Result<()> {
        let is_stray = |name: &String| {
            let index = number_before(name, INDEX);
            number_before(name, UNBORN).is_some()
                || index.is_some_and(|number| !numbers.contains(&number))
        };
        self.disk.names()?.into_iter().filter(is_stray).try_for_each(|name| self.remove(name))
    }

    /// Gives a volume that nothing is appended to any more the end and the index that it has none of: so it is
    /// read whole at a start only once. If the disk refuses, or there is no room for it, a later start does it.
    fn add_end(
        &mut self,
        (server, settings): (ServerId, &HistorySettings),
        found: Found,
        volumes: &mut [Volume],
    ) {
        let disk = self.disk;
        let Volume { number, end, .. } = found.volume;
        let volume = volumes.iter_mut().find(|volume| volume.number == number);
        let Some(volume) = volume.filter(|_| !found.is_full) else { return };
        let most = HEAD_LENGTH + found.index.bytes();
        let done = bytes_of_all(disk).and_then(|bytes| {
            if bytes.saturating_add(most) > settings.bytes_max {
                return Ok(false);
            }
            found.file.set_len(end)?;
            // It may come so far and fail.
            volume.bytes = volume.bytes.max(end + HEAD_LENGTH);
            write_end(&*found.file, &found.volume)?;
            Ok(true)
        });
        match done {
            Ok(true) => {
                volume.bytes = end + HEAD_LENGTH;
                let index_most = found.index.bytes();
                let index = found.index.write(disk, server, &found.volume);
                volume.bytes += index.unwrap_or_else(|error| {
                    tracing::warn!(%error, number, "the index of a part of history isn't written");
                    let name = index_file(number);
                    if try_remove(disk, &name).is_err() {
                        let bytes = bytes_of(disk, &name).unwrap_or(index_most);
                        self.files.push((name, bytes));
                    }
                    0
                });
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, number, "a part of history isn't ended"),
        }
    }
}

/// Bytes of all files of history.
fn bytes_of_all(disk: &dyn Disk) -> io::Result<u64> {
    let is_own = |name: &&String| {
        number_in(name).or(number_before(name, INDEX)).or(number_before(name, UNBORN)).is_some()
    };
    disk.names()?.iter().filter(is_own).map(|name| bytes_of(disk, name)).sum()
}

/// What is known of the time of a volume of which nothing can be read.
struct Age {
    /// It is complete from this moment on, if its head can be read.
    since: Option<Tick>,
    /// Since when a later one is: what counts of this one is from before that.
    until: Option<Tick>,
    now: Tick,
}

/// Since when the next volume is complete whose head can be read.
fn begin_of(later: &[(u64, Option<Head>)]) -> Option<Tick> {
    later.iter().find_map(|(_, head)| head.map(|head| head.since))
}

/// A volume of which nothing can be read stays until its time has come, behind the one before it: what is in
/// it may be as late as the next one's begin. The disk may read it again at the next start, so an age that is
/// guessed too high would cost what the bounds allow.
///
/// # Errors
/// Of the system: how much it has isn't known.
fn unreadable(
    disk: &dyn Disk,
    number: u64,
    before: Option<&Volume>,
    age: &Age,
) -> io::Result<Volume> {
    let bytes = bytes_of(disk, &volume_file(number))? + bytes_of(disk, &index_file(number))?;
    let (last, tick) = before.map_or((Seq(0), Tick(0)), |before| (before.last, before.tick));
    let since = age.since.unwrap_or(tick);
    let until = age.until.unwrap_or(age.now).max(since).max(tick);
    Ok(Volume {
        number,
        incarnation: before.map_or(Incarnation(0), |before| before.incarnation),
        first: Seq(last.0.saturating_add(1)),
        last,
        since,
        tick: until,
        names: 0,
        begin: 0,
        end: 0,
        bytes,
        is_damaged: true,
    })
}

/// A volume as it was found.
pub(super) struct Found {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) volume: Volume,
    /// Its end is written, and nothing behind it counts.
    is_full: bool,
    /// There is nothing behind its names.
    is_bare: bool,
    /// Something behind what counts can't be read: a torn end, or damage.
    is_broken: bool,
    /// Of what was read, if it isn't full.
    index: IndexBuilder,
}

/// Reads the end of a volume, or its batches if it has none.
pub(super) fn find_volume(
    disk: &dyn Disk,
    head: &Head,
    until: Seq,
    settings: &HistorySettings,
) -> io::Result<Found> {
    let file = disk.open(&volume_file(head.number))?;
    let bytes = file.len()?;
    let begin = head.batches_at().min(bytes);
    let mut volume = Volume {
        number: head.number,
        incarnation: head.incarnation,
        first: head.first,
        last: Seq(head.first.0.saturating_sub(1)),
        since: head.since,
        tick: head.since,
        names: head.names,
        begin,
        end: begin,
        bytes,
        is_damaged: false,
    };
    let mut index = settings.index(head.names);
    if let Some(end) = end_of(&*file, head, bytes)?.filter(|end| end.last <= until) {
        (volume.last, volume.tick, volume.end) = (end.last, end.tick, end.offset);
        return Ok(Found { file, volume, is_full: true, is_bare: false, is_broken: false, index });
    }
    let piece = Piece { begin, end: bytes, first: Some(head.first) };
    let scanned = scan(&*file, (head.server, head.incarnation), piece, &mut |batch, offset| {
        let header = batch.header();
        if header.last > until {
            return ControlFlow::Break(());
        }
        // What can't be read leaves it without an index.
        let _ = index.take(batch, offset, &mut |_| {});
        volume.last = header.last;
        volume.tick = volume.tick.max(header.tick);
        ControlFlow::Continue(())
    })?;
    volume.end = scanned.end;
    let is_bare = volume.is_empty() && (bytes <= begin || scanned.is_stopped);
    let is_broken = scanned.is_broken;
    Ok(Found { file, volume, is_full: false, is_bare, is_broken, index })
}

fn end_of(file: &dyn DiskFile, head: &Head, bytes: u64) -> io::Result<Option<End>> {
    let Some(at) = bytes.checked_sub(HEAD_LENGTH).filter(|at| *at >= head.batches_at()) else {
        return Ok(None);
    };
    let mut found = [0; HEAD_BYTES];
    file.read_at(at, &mut found)?;
    let fits = |end: &End| end.number == head.number && end.offset == at;
    Ok(End::decode(&found).filter(fits))
}
