//! Makes the index of a full volume anew if it has none that is whole: a power cut, or a disk that refused, may
//! have left it without. A piece at a time, in a life that goes on meanwhile; answers are right all the time.
//! Changes no volume, and lets none go.
//!
//! Source: docs/decisions/0033-history-index.md.

use super::index::{Index, IndexBuilder};
use super::layout::{index_file, volume_file};
use super::left::{bytes_of, remove_file, try_remove};
use super::scan::{Piece, scan};
use super::shelf::{Shelf, Volume};
use super::writer::HistorySettings;
use crate::limits::{HISTORY_INDEX_CHECK_BYTES_MAX, HISTORY_READ_BYTES_MAX};
use crate::model::{Seq, ServerId};
use crate::store::disk::{Disk, DiskFile};
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Whose indexes are made anew, and where.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) shelf: &'a Shelf,
    pub(super) settings: &'a HistorySettings,
    pub(super) server: ServerId,
    /// All files may have so many bytes; more is for the volume that is written.
    pub(super) bytes_max: u64,
}

/// Makes indexes anew.
///
/// Concurrency: owned by the historian's thread.
#[derive(Debug)]
pub(super) struct Mender {
    /// Full volumes that were not looked at yet, the newest one at the end: what a power cut took is of the
    /// newest ones.
    unseen: Vec<u64>,
    /// Bytes of indexes that are still read whole; of others only the begin is.
    left: u64,
    work: Option<Work>,
}

/// The index at hand.
#[expect(clippy::large_enum_variant, reason = "there is one of it, for the life of the historian")]
#[derive(Debug)]
enum Work {
    /// It is read up to this line.
    Check(Volume, Index, usize),
    /// Its volume is read.
    Make(Box<Making>),
}

#[derive(Debug)]
struct Making {
    volume: Volume,
    file: Arc<dyn DiskFile>,
    index: IndexBuilder,
    /// Offset of the batch that comes next.
    at: u64,
    next: Seq,
}

impl Mender {
    /// Looks at the full volumes of a shelf, as far as nobody did before.
    pub(super) fn new(shelf: &Shelf) -> Self {
        let unseen = shelf.unseen();
        Self { unseen, left: HISTORY_INDEX_CHECK_BYTES_MAX, work: None }
    }

    /// One piece; tells whether there may be more.
    ///
    /// Shape: reads about [`HISTORY_READ_BYTES_MAX`], or all names of an index; holds one index.
    pub(super) fn step(&mut self, place: Place<'_>) -> bool {
        let work = match self.work.take() {
            Some(work) => work,
            None => {
                let Some((number, is_torn)) = self.next(place.shelf) else { return false };
                match self.begin(place, number, is_torn) {
                    Ok(Some(work)) => work,
                    nothing => {
                        if let Err(error) = nothing {
                            tracing::warn!(%error, number, "an index of history can't be looked at");
                        }
                        place.shelf.note_seen(number);
                        return true;
                    }
                }
            }
        };
        // It went meanwhile, as too old or too much.
        let number = work.volume().number;
        if !place.shelf.has(number) {
            place.shelf.note_seen(number);
            return true;
        }
        self.work = match work {
            Work::Check(volume, index, line) => check(place, volume, index, line),
            Work::Make(making) => making.go_on(place),
        }
        .unwrap_or_else(|error| {
            tracing::warn!(%error, number, "the index of a part of history isn't made anew");
            None
        });
        // What a pause cuts off is looked at again.
        if self.work.is_none() {
            place.shelf.note_seen(number);
        }
        true
    }

    /// The volume that is looked at next, and whether a question found its index broken.
    fn next(&mut self, shelf: &Shelf) -> Option<(u64, bool)> {
        let torn = shelf.torn().map(|number| (number, true));
        torn.or_else(|| self.unseen.pop().map(|number| (number, false)))
    }

    /// What is to be done about a volume.
    fn begin(&mut self, place: Place<'_>, number: u64, is_torn: bool) -> io::Result<Option<Work>> {
        let full = place.shelf.full();
        let found = full.iter().find(|volume| volume.number == number && !volume.is_damaged);
        let Some(volume) = found else { return Ok(None) };
        if is_torn {
            return Work::make(place, *volume);
        }
        let Some(index) = Index::open(place.disk, place.server, volume)? else {
            return Work::make(place, *volume);
        };
        if index.bytes() > self.left {
            return Ok(None);
        }
        self.left -= index.bytes();
        Ok(Some(Work::Check(*volume, index, 0)))
    }
}

impl Work {
    const fn volume(&self) -> &Volume {
        match self {
            Self::Check(volume, ..) => volume,
            Self::Make(making) => &making.volume,
        }
    }

    fn make(place: Place<'_>, volume: Volume) -> io::Result<Option<Self>> {
        let index = place.settings.index(volume.names);
        if !index.is_worth(volume.end - volume.begin) {
            return Ok(None);
        }
        let file = place.disk.open(&volume_file(volume.number))?;
        let (at, next) = (volume.begin, volume.first);
        Ok(Some(Self::Make(Box::new(Making { volume, file, index, at, next }))))
    }
}

/// Reads more of an index; if it isn't whole, its volume is read next.
fn check(place: Place<'_>, volume: Volume, index: Index, line: usize) -> io::Result<Option<Work>> {
    let lines = (HISTORY_READ_BYTES_MAX as u64 / index.line_bytes()).max(1) as usize;
    let (is_whole, next) = index.is_whole(line, lines)?;
    if !is_whole {
        return Work::make(place, volume);
    }
    Ok(next.map(|line| Work::Check(volume, index, line)))
}

impl Making {
    /// Reads more of the volume; at its end the index is written.
    fn go_on(mut self: Box<Self>, place: Place<'_>) -> io::Result<Option<Work>> {
        let volume = self.volume;
        let most = self.at.saturating_add(HISTORY_READ_BYTES_MAX as u64);
        let piece = Piece { begin: self.at, end: volume.end, first: Some(self.next) };
        let (index, next) = (&mut self.index, &mut self.next);
        let mut is_readable = true;
        let identity = (place.server, volume.incarnation);
        let scanned = scan(&*self.file, identity, piece, &mut |batch, offset| {
            if offset >= most {
                return ControlFlow::Break(());
            }
            is_readable &= index.take(batch, offset, &mut |_| {}).is_ok();
            *next = Seq(batch.header().last.0.saturating_add(1));
            if is_readable { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        if scanned.is_broken || !is_readable {
            // Without an index, so whoever asks finds it as well.
            place.shelf.note_damage(&volume, place.shelf.view().finding);
            return Ok(None);
        }
        self.at = scanned.end;
        if scanned.is_stopped {
            return Ok(Some(Work::Make(self)));
        }
        self.write(place)?;
        Ok(None)
    }

    fn write(self, place: Place<'_>) -> io::Result<()> {
        let Place { disk, shelf, server, bytes_max, .. } = place;
        let (number, name) = (self.volume.number, index_file(self.volume.number));
        let before = bytes_of(disk, &name)?;
        // It may be longer than what counts of it, if it couldn't be cut.
        let bare = self.file.len()?;
        let most = self.index.bytes();
        // Nothing that can be told goes for an index.
        let bytes = shelf.figures().bytes.saturating_sub(before);
        if most == 0 || bytes.saturating_add(most) > bytes_max {
            return Ok(());
        }
        try_remove(disk, &name)?;
        shelf.note_gone(&name);
        shelf.set_bytes(number, bare);
        let written = self.index.write(disk, server, &self.volume);
        match written {
            Ok(index) => {
                shelf.set_bytes(number, bare + index);
                tracing::info!(number, "the index of a part of history is made anew");
                Ok(())
            }
            Err(error) => {
                remove_file(disk, shelf, &name, most);
                Err(error)
            }
        }
    }
}
