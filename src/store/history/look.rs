//! Looks something up in history: goes through volumes one after the other, newest or oldest first,
//! within a bound of work, and says where to go on. Writes nothing.

use super::ask::{Ask, Mark, Told};
use super::entry::Home;
use super::index::{BlockMark, Index};
use super::layout::volume_file;
use super::name::{Name, concerns_names};
use super::pass::Pass;
use super::scan::{Piece, scan};
use super::shelf::{Shelf, View, Volume};
use super::table::NameTable;
use crate::journal::decode;
use crate::limits::HISTORY_LOOK_BYTES_MAX;
use crate::model::{ProjectId, Seq, ServerId};
use crate::store::disk::{Disk, DiskFile};
use addrd_protocol::message::HistoryEntry;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use uuid::Uuid;

/// Looks things up.
///
/// Concurrency: any thread, beside the one that writes.
#[derive(Clone, Debug)]
pub struct Looker {
    disk: Arc<dyn Disk>,
    shelf: Arc<Shelf>,
    server: ServerId,
    bytes_max: u64,
}

impl Looker {
    /// Reads what is on a shelf.
    #[must_use]
    pub const fn new(disk: Arc<dyn Disk>, shelf: Arc<Shelf>, server: ServerId) -> Self {
        Self { disk, shelf, server, bytes_max: HISTORY_LOOK_BYTES_MAX }
    }

    /// With another bound of what one request reads, for tests.
    #[must_use]
    pub const fn with_bytes_max(mut self, bytes_max: u64) -> Self {
        self.bytes_max = bytes_max;
        self
    }

    /// Answers.
    ///
    /// Shape: reads at most [`HISTORY_LOOK_BYTES_MAX`], and what else is in the block at hand then, or in
    /// the volume if that has no index, with its names; a request without entries comes further all the same; holds the entries of the answer and about 1 MiB, and the names that
    /// the block or volume at hand gives.
    #[must_use]
    pub fn look(&self, ask: &Ask) -> Told {
        let View { volumes, reach, least, taken, finding } = self.shelf.view();
        let ask = Ask { from: ask.from.max(least), ..*ask };
        let mut told =
            Told { entries: Vec::new(), next: None, reach, position: taken, is_incomplete: false };
        let mut spent = Spent { bytes: 0, most: self.bytes_max, has_passed: false };
        let order: Vec<&Volume> = match ask.oldest_first {
            true => volumes.iter().collect(),
            false => volumes.iter().rev().collect(),
        };
        for volume in order.into_iter().filter(|volume| ask.concerns(volume)) {
            if spent.is_over() {
                let behind = Seq(volume.last.0.saturating_add(1));
                told.next = Some(ask.edge(volume.incarnation, volume.first, behind));
                break;
            }
            let before = told.entries.len();
            let looked = self.look_through(volume, &ask, &mut spent, &mut told);
            let looked = looked.or_else(|error| match error.kind() {
                // It went meanwhile, as too old or too much.
                io::ErrorKind::NotFound if !self.shelf.has(volume.number) => {
                    told.entries.truncate(before);
                    Ok(Looked { next: None, is_damaged: false })
                }
                _ => Err(error),
            });
            let looked = looked.unwrap_or_else(|error| {
                tracing::warn!(%error, number = volume.number, "history can't be read");
                Looked { next: None, is_damaged: true }
            });
            if looked.is_damaged {
                told.is_incomplete = true;
                self.shelf.note_damage(volume, finding);
            }
            told.next = looked.next;
            if told.next.is_some() {
                break;
            }
            spent.has_passed = true;
        }
        // A volume may have gone meanwhile.
        told.reach = told.reach.max(self.shelf.figures().reach);
        told
    }

    /// Whether there is or was such a network or pool.
    ///
    /// Shape: reads no more than a question, newest first; what it doesn't reach is taken to be known.
    #[must_use]
    pub fn knows(&self, home: (ProjectId, Uuid), is_pool: bool) -> bool {
        let mut bytes = 0;
        for volume in self.shelf.view().volumes.iter().rev() {
            if bytes >= self.bytes_max {
                return true;
            }
            // What can't be read may know it.
            if self.is_named_in(volume, home, is_pool).unwrap_or(true) {
                return true;
            }
            bytes += volume.end;
        }
        false
    }

    fn is_named_in(
        &self,
        volume: &Volume,
        home: (ProjectId, Uuid),
        is_pool: bool,
    ) -> io::Result<bool> {
        let file = self.disk.open(&volume_file(volume.number))?;
        let index = self.index_of(volume);
        let is_it = |name: &Name| {
            Home::of(&name.named).is_some_and(|(found, _)| {
                (found.project, found.id, found.is_pool) == (home.0, home.1, is_pool)
            })
        };
        let mut is_found = false;
        let mut names = NameTable::new(&*file, volume, index.as_ref());
        names.each(&mut |name| is_found |= is_it(name))?;
        names.each_given(&mut |name| is_found |= is_it(name))?;
        if is_found || index.is_some() {
            return Ok(is_found);
        }
        let identity = (self.server, volume.incarnation);
        scan(&*file, identity, Piece::all(volume), &mut |batch, _| {
            let mut records = batch.records();
            while let Some(Ok(record)) = records.next_raw() {
                let named = concerns_names(record).then(|| decode(record).ok()).flatten();
                let name = named.and_then(|(effect, _)| Name::of(&effect, Seq(0)));
                is_found |= name.as_ref().is_some_and(is_it);
            }
            if is_found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(is_found)
    }

    /// Looks through a volume, with its index if it has one that can be read.
    fn look_through(
        &self,
        volume: &Volume,
        ask: &Ask,
        spent: &mut Spent,
        told: &mut Told,
    ) -> io::Result<Looked> {
        let file = self.disk.open(&volume_file(volume.number))?;
        let index = self.index_of(volume);
        let before = told.entries.len();
        let way = Way { server: self.server, file: &*file, volume, ask, index: index.as_ref() };
        match way.go(spent, told) {
            // Whatever is wrong with an index, the volume may be whole.
            Err(error) if index.is_some() => {
                let number = volume.number;
                tracing::warn!(%error, number, "the index of a part of history can't be used");
                if error.kind() == io::ErrorKind::InvalidData {
                    self.shelf.note_torn(number);
                }
                told.entries.truncate(before);
                Way { index: None, ..way }.go(spent, told)
            }
            looked => looked,
        }
    }

    /// The index of a volume, if it has one that can be read.
    fn index_of(&self, volume: &Volume) -> Option<Index> {
        Index::open(&*self.disk, self.server, volume).unwrap_or_else(|error| {
            let number = volume.number;
            tracing::warn!(%error, number, "the index of a part of history can't be read");
            None
        })
    }
}

/// What a question has cost.
#[derive(Clone, Copy, Debug)]
struct Spent {
    bytes: u64,
    most: u64,
    /// A block was read, or a volume passed: so the next request begins further on.
    has_passed: bool,
}

impl Spent {
    const fn is_over(&self) -> bool {
        self.has_passed && self.bytes >= self.most
    }
}

/// How far a look through a volume came.
struct Looked {
    /// Where to go on; none = it came to the end.
    next: Option<Mark>,
    is_damaged: bool,
}

/// A way through a volume.
struct Way<'a> {
    server: ServerId,
    file: &'a dyn DiskFile,
    volume: &'a Volume,
    ask: &'a Ask,
    index: Option<&'a Index>,
}

impl Way<'_> {
    /// Adds the answers that are in the volume, block by block.
    ///
    /// # Errors
    /// Of the system; `InvalidData` if the index is damaged.
    fn go(&self, spent: &mut Spent, told: &mut Told) -> io::Result<Looked> {
        let (ask, volume) = (self.ask, self.volume);
        let mut pass = Pass::new(NameTable::new(self.file, volume, self.index), volume, ask);
        let mut is_damaged = volume.is_damaged;
        let mut blocks = self.blocks(&mut pass, spent)?;
        if !ask.oldest_first {
            blocks.reverse();
        }
        let mut next = None;
        for block in blocks {
            spent.bytes += std::mem::take(&mut pass.names.cost);
            if spent.is_over() {
                next = Some(ask.edge(volume.incarnation, block.first, block.behind));
                break;
            }
            let room = ask.limit - told.entries.len();
            pass.begin(block.first, room);
            let mut failed = None;
            let piece = Piece { begin: block.begin, end: block.end, first: Some(block.first) };
            let identity = (self.server, volume.incarnation);
            let scanned = scan(self.file, identity, piece, &mut |batch, _| {
                pass.take(batch).unwrap_or_else(|error| {
                    failed = Some(error);
                    ControlFlow::Break(())
                })
            })?;
            if let Some(error) = failed {
                return Err(error);
            }
            is_damaged |= scanned.is_broken;
            spent.bytes += block.end - block.begin;
            spent.has_passed = true;
            let found = pass.end();
            let marks = found.iter().map(|(mark, _)| *mark);
            let last = if ask.oldest_first { marks.max() } else { marks.min() };
            let entries = found.into_iter().map(|(_, entry): (_, HistoryEntry)| entry);
            match ask.oldest_first {
                true => told.entries.extend(entries),
                false => told.entries.extend(entries.rev()),
            }
            if told.entries.len() >= ask.limit {
                next = last;
                break;
            }
        }
        spent.bytes += pass.names.cost;
        Ok(Looked { next, is_damaged: is_damaged || pass.names.is_damaged || pass.is_damaged })
    }

    /// The blocks that can have an answer, oldest first; all of the volume is one if it has no index.
    fn blocks(&self, pass: &mut Pass<'_>, spent: &mut Spent) -> io::Result<Vec<Block>> {
        let volume = self.volume;
        let keys = pass.keys()?;
        let Some(index) = self.index else {
            let Volume { begin, end, first, last, .. } = *volume;
            return Ok(vec![Block { begin, end, first, behind: Seq(last.0.saturating_add(1)) }]);
        };
        let marks = index.blocks();
        let passed = match keys {
            Some(keys) => {
                spent.bytes += index.line_bytes() * keys.len() as u64;
                index.sift(&keys)?.ok_or(io::ErrorKind::InvalidData)?
            }
            None => vec![true; marks.len()],
        };
        let next = marks.iter().skip(1).map(|next| (next.offset, next.first));
        let next = next.chain([(volume.end, Seq(volume.last.0.saturating_add(1)))]);
        let block = |((mark, (end, behind)), passes): ((&BlockMark, (u64, Seq)), bool)| {
            let BlockMark { offset, first, .. } = *mark;
            let is_asked = passes && self.ask.concerns_block(volume, mark, behind);
            is_asked.then_some(Block { begin: offset, end, first, behind })
        };
        Ok(marks.iter().zip(next).zip(passed).filter_map(block).collect())
    }
}

/// Batches that are read at once.
struct Block {
    begin: u64,
    end: u64,
    /// The first hand-over in it.
    first: Seq,
    /// The one behind it.
    behind: Seq,
}
