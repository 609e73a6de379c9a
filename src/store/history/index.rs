//! The index of a full volume, in a file beside it: where its blocks begin, which names its records give,
//! and a sieve for each block, so a question reads only blocks that can have an answer. It is made while
//! the volume is written. Without one, or with one that is damaged, the volume is read whole.
//!
//! Source: docs/disk-format.md, "Index of a volume".

use super::layout::{HEAD_BYTES, HEAD_LENGTH, index_file, open, rest_is_zero, seal};
use super::name::{NAME_BYTES, Name, NameKey, concerns_names};
use super::shelf::Volume;
use super::sieve::{Key, LINE_BYTES, LINES, Sieve};
use crate::journal::{BatchError, BatchView, Reader, Short, cell_glance, decode};
use crate::limits::{HISTORY_BLOCKS_MAX, HISTORY_NAMES_GIVEN_LEAST};
use crate::model::{Effect, Incarnation, Seq, ServerId, Tick};
use crate::store::disk::{Disk, DiskFile};
use crc32c::{crc32c, crc32c_append};
use std::io;
use std::iter;
use std::sync::Arc;

const MAGIC: [u8; 4] = *b"adx\0";
/// Bytes of a block's mark.
const MARK_BYTES: usize = 36;
/// Blocks of a volume that gets an index, at least: a smaller one is read as quickly as its index.
const BLOCKS_LEAST: usize = 2;
/// Bytes of names or lines that are read or written at once, about.
const PIECE_BYTES: usize = 1 << 20;

/// Where a block begins, and from when it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockMark {
    /// Offset of its first batch in the volume.
    pub(crate) offset: u64,
    /// The first hand-over in it.
    pub(crate) first: Seq,
    /// The earliest tick in it.
    pub(crate) least: Tick,
    /// The latest tick in it.
    pub(crate) most: Tick,
}

impl BlockMark {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(MARK_BYTES);
        for number in [self.offset, self.first.0, self.least.0, self.most.0] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        let crc = crc32c(&out);
        out.extend_from_slice(&crc.to_be_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (checked, sum) = bytes.split_at_checked(MARK_BYTES - 4)?;
        let mut reader = Reader::new(checked);
        let mut number = || reader.u64().ok();
        let mark = Self {
            offset: number()?,
            first: Seq(number()?),
            least: Tick(number()?),
            most: Tick(number()?),
        };
        (crc32c(checked).to_be_bytes() == sum).then_some(mark)
    }
}

/// What an index says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    server: ServerId,
    incarnation: Incarnation,
    /// Number of the volume.
    number: u64,
    /// Offset of the volume's end.
    end: u64,
    blocks: u32,
    names: u32,
}

impl Head {
    fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&self.incarnation.0.to_be_bytes());
        out.extend_from_slice(self.server.as_bytes());
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(&self.end.to_be_bytes());
        out.extend_from_slice(&self.blocks.to_be_bytes());
        out.extend_from_slice(&self.names.to_be_bytes());
        seal(out)
    }

    fn decode(bytes: &[u8; HEAD_BYTES]) -> Option<Self> {
        Self::read(&mut open(bytes, MAGIC)?).ok().flatten()
    }

    fn read(reader: &mut Reader<'_>) -> Result<Option<Self>, Short> {
        let head = Self {
            incarnation: Incarnation(reader.u32()?),
            server: ServerId::from_bytes(reader.array()?),
            number: reader.u64()?,
            end: reader.u64()?,
            blocks: reader.u32()?,
            names: reader.u32()?,
        };
        Ok(rest_is_zero(reader)?.then_some(head))
    }

    const fn names_at(&self) -> u64 {
        HEAD_LENGTH + self.blocks as u64 * MARK_BYTES as u64
    }

    const fn lines_at(&self) -> u64 {
        self.names_at() + self.names as u64 * NAME_BYTES as u64
    }

    /// Bytes of a line of all blocks, and its checksum.
    const fn line_bytes(&self) -> u64 {
        self.blocks as u64 * LINE_BYTES as u64 + 4
    }

    const fn bytes(&self) -> u64 {
        self.lines_at() + LINES as u64 * self.line_bytes()
    }
}

/// The checksum of a line says where it belongs.
fn line_crc(head: &[u8; HEAD_BYTES], line: usize, bytes: &[u8]) -> [u8; 4] {
    let place = crc32c_append(crc32c(head), &(line as u32).to_be_bytes());
    crc32c_append(place, bytes).to_be_bytes()
}

/// The index of the volume that is written.
///
/// Shape: 16 KiB a block, at most about [`HISTORY_BLOCKS_MAX`] of them, and 0.1 KiB a name that was given.
#[derive(Debug)]
pub(crate) struct IndexBuilder {
    /// Bytes of batches behind which the next block begins.
    block_bytes: u64,
    blocks: Vec<(BlockMark, Sieve)>,
    names: Vec<Name>,
    names_max: usize,
    /// Something couldn't be read.
    is_void: bool,
}

impl IndexBuilder {
    /// Of a volume that has about so many bytes of batches when it is full, and begins with so many names.
    pub(crate) fn new(block_bytes: u64, volume_bytes: u64, names: u32) -> Self {
        Self {
            block_bytes: block_bytes.max(volume_bytes / HISTORY_BLOCKS_MAX),
            blocks: Vec::new(),
            names: Vec::new(),
            names_max: HISTORY_NAMES_GIVEN_LEAST.max(names as usize / 4),
            is_void: false,
        }
    }

    /// Whether its records gave so many names that the next volume has to begin: a question may have to
    /// keep them all in memory.
    pub(crate) fn is_full(&self) -> bool {
        self.names.len() >= self.names_max
    }

    /// Bytes that its file would have now; 0 if a volume is so small that it gets none.
    pub(crate) fn bytes(&self) -> u64 {
        if self.is_void || self.blocks.len() < BLOCKS_LEAST { 0 } else { self.head().bytes() }
    }

    /// Whether a volume of so many bytes of batches can have one.
    pub(super) const fn is_worth(&self, batches: u64) -> bool {
        batches > self.block_bytes
    }

    fn head(&self) -> Head {
        Head {
            server: ServerId::NIL,
            incarnation: Incarnation(0),
            number: 0,
            end: 0,
            blocks: u32::try_from(self.blocks.len()).unwrap_or(u32::MAX),
            names: u32::try_from(self.names.len()).unwrap_or(u32::MAX),
        }
    }

    /// Notes the batch at `offset`; gives what in it concerns names.
    ///
    /// # Errors
    /// A record can't be read: there will be no index.
    pub(crate) fn take(
        &mut self,
        batch: &BatchView<'_>,
        offset: u64,
        rare: &mut dyn FnMut(&Effect),
    ) -> Result<(), BatchError> {
        let header = batch.header();
        let begins = |(mark, _): &(BlockMark, Sieve)| offset - mark.offset >= self.block_bytes;
        if self.blocks.last().is_none_or(begins) {
            let (first, tick) = (header.first, header.tick);
            let mark = BlockMark { offset, first, least: tick, most: tick };
            self.blocks.push((mark, Sieve::default()));
        }
        let Some((mark, sieve)) = self.blocks.last_mut() else { return Ok(()) };
        (mark.least, mark.most) = (mark.least.min(header.tick), mark.most.max(header.tick));
        let mut records = batch.records();
        // Whatever can't be read has to be found by whoever asks: an index would hide it.
        let done = iter::from_fn(|| records.next_raw()).try_for_each(|record| {
            let record = record?;
            if concerns_names(record) {
                let (effect, _) = decode(record).map_err(BatchError::Record)?;
                self.names.extend(Name::of(&effect, header.last));
                rare(&effect);
            } else if let Some(glance) = cell_glance(record).map_err(BatchError::Record)? {
                sieve.note_cell(&glance);
            }
            Ok(())
        });
        self.is_void |= done.is_err();
        done
    }

    /// Writes it beside the full volume; gives its bytes, 0 if there can be none.
    ///
    /// It isn't synced: what a power cut leaves of it either has its checksums or isn't used.
    ///
    /// # Errors
    /// Of the system. The volume is whole without it.
    pub(crate) fn write(
        mut self,
        disk: &dyn Disk,
        server: ServerId,
        volume: &Volume,
    ) -> io::Result<u64> {
        if self.bytes() == 0 {
            return Ok(0);
        }
        self.names.sort_by_key(|name| (name.key(), name.since));
        let Volume { incarnation, number, end, .. } = *volume;
        let head = Head { server, incarnation, number, end, ..self.head() };
        let file = disk.create(&index_file(number))?;
        let mut out = Writer { file, at: 0, piece: Vec::new() };
        let head_bytes = head.encode();
        out.piece.extend_from_slice(&head_bytes);
        for (mark, _) in &self.blocks {
            out.piece.extend_from_slice(&mark.encode());
        }
        for name in &self.names {
            name.encode(&mut out.piece);
            out.flush(PIECE_BYTES)?;
        }
        for line in 0..LINES {
            let begin = out.piece.len();
            for (_, sieve) in &self.blocks {
                sieve.write_line(line, &mut out.piece);
            }
            let crc = line_crc(&head_bytes, line, out.piece.get(begin..).unwrap_or_default());
            out.piece.extend_from_slice(&crc);
            out.flush(PIECE_BYTES)?;
        }
        out.flush(1)?;
        debug_assert_eq!(out.at, head.bytes());
        Ok(out.at)
    }
}

struct Writer {
    file: Arc<dyn DiskFile>,
    at: u64,
    piece: Vec<u8>,
}

impl Writer {
    fn flush(&mut self, least: usize) -> io::Result<()> {
        if self.piece.len() >= least {
            self.file.write_at(self.at, &self.piece)?;
            self.at += self.piece.len() as u64;
            self.piece.clear();
        }
        Ok(())
    }
}

/// An index that is read.
#[derive(Debug)]
pub(crate) struct Index {
    file: Arc<dyn DiskFile>,
    head: Head,
    head_bytes: [u8; HEAD_BYTES],
    blocks: Vec<BlockMark>,
}

impl Index {
    /// The index of a volume; `None`: it has none that fits it, or what is read of it here is damaged.
    ///
    /// Shape: two reads; 36 bytes a block.
    ///
    /// # Errors
    /// Of the system.
    pub(crate) fn open(
        disk: &dyn Disk,
        server: ServerId,
        volume: &Volume,
    ) -> io::Result<Option<Self>> {
        let file = match disk.open(&index_file(volume.number)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let length = file.len()?;
        if length < HEAD_LENGTH {
            return Ok(None);
        }
        let mut head_bytes = [0; HEAD_BYTES];
        file.read_at(0, &mut head_bytes)?;
        let fits = |head: &Head| {
            (head.server, head.incarnation) == (server, volume.incarnation)
                && (head.number, head.end) == (volume.number, volume.end)
                && head.bytes() == length
        };
        let Some(head) = Head::decode(&head_bytes).filter(fits) else { return Ok(None) };
        let mut bytes = vec![0; head.blocks as usize * MARK_BYTES];
        file.read_at(HEAD_LENGTH, &mut bytes)?;
        let blocks: Option<Vec<_>> =
            bytes.chunks_exact(MARK_BYTES).map(BlockMark::decode).collect();
        let fits = |blocks: &Vec<BlockMark>| {
            let begins = blocks.first().is_some_and(|first| first.offset == volume.begin);
            let rises = |(one, next): (&BlockMark, &BlockMark)| {
                one.offset < next.offset && one.first < next.first
            };
            let ends = blocks.last().is_some_and(|last| last.offset < volume.end);
            begins && ends && blocks.iter().zip(blocks.iter().skip(1)).all(rises)
        };
        Ok(blocks.filter(fits).map(|blocks| Self { file, head, head_bytes, blocks }))
    }

    /// Its blocks, in order.
    pub(crate) fn blocks(&self) -> &[BlockMark] {
        &self.blocks
    }

    /// Bytes of its file.
    pub(super) const fn bytes(&self) -> u64 {
        self.head.bytes()
    }

    /// Whether some lines are whole, and, with the last of them, its names; gives the line to go on with.
    ///
    /// Shape: one read a line, all names at the end.
    ///
    /// # Errors
    /// Of the system.
    pub(super) fn is_whole(&self, line: usize, lines: usize) -> io::Result<(bool, Option<usize>)> {
        let end = line.saturating_add(lines).min(LINES);
        for line in line..end {
            if self.line(line)?.is_none() {
                return Ok((false, None));
            }
        }
        if end < LINES {
            return Ok((true, Some(end)));
        }
        match self.each_name(&mut |_| {}) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok((false, None)),
            names => names.map(|()| (true, None)),
        }
    }

    /// Bytes that a look at one key takes.
    pub(crate) const fn line_bytes(&self) -> u64 {
        self.head.line_bytes()
    }

    /// Which blocks can have one of the keys; `None`: a line is damaged.
    ///
    /// Shape: one read a key, of 32 bytes a block.
    pub(crate) fn sift(&self, keys: &[Key]) -> io::Result<Option<Vec<bool>>> {
        let mut passed = vec![false; self.blocks.len()];
        for key in keys {
            let Some(line) = self.line(key.line())? else { return Ok(None) };
            for (passed, line) in passed.iter_mut().zip(line.chunks_exact(LINE_BYTES)) {
                *passed |= key.is_in(line);
            }
        }
        Ok(Some(passed))
    }

    /// A line of all blocks.
    fn line(&self, line: usize) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = vec![0; self.blocks.len() * LINE_BYTES + 4];
        self.file
            .read_at(self.head.lines_at() + line as u64 * self.head.line_bytes(), &mut bytes)?;
        let sum = bytes.split_off(bytes.len() - 4);
        Ok((line_crc(&self.head_bytes, line, &bytes) == *sum).then_some(bytes))
    }

    /// How many names the records of the volume give.
    pub(crate) const fn name_count(&self) -> u64 {
        self.head.names as u64
    }

    /// One of them, in the order of number and position; `None`: it is damaged.
    fn name(&self, at: u64) -> io::Result<Option<Name>> {
        let mut bytes = [0; NAME_BYTES];
        self.file.read_at(self.head.names_at() + at * NAME_BYTES as u64, &mut bytes)?;
        Ok(Name::decode(&bytes))
    }

    /// What a number stands for behind all records in front of `before`, if one of them gave it.
    ///
    /// Shape: about 16 reads of a name.
    ///
    /// # Errors
    /// Of the system; `InvalidData` if a name is damaged.
    pub(crate) fn find_name(&self, key: NameKey, before: Seq) -> io::Result<Option<Name>> {
        let (mut low, mut high) = (0, self.name_count());
        let mut found = None;
        while low < high {
            let middle = low + (high - low) / 2;
            let name = self.name(middle)?.ok_or(io::ErrorKind::InvalidData)?;
            if (name.key(), name.since) < (key, before) {
                found = Some(name);
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(found.filter(|name| name.key() == key))
    }

    /// Gives all names that its records give.
    ///
    /// # Errors
    /// As [`Index::find_name`].
    pub(crate) fn each_name(&self, visit: &mut dyn FnMut(&Name)) -> io::Result<()> {
        let mut buffer = Vec::new();
        let piece = (PIECE_BYTES / NAME_BYTES) as u64;
        let mut at = 0;
        while at < self.name_count() {
            let count = (self.name_count() - at).min(piece);
            buffer.resize(count as usize * NAME_BYTES, 0);
            self.file.read_at(self.head.names_at() + at * NAME_BYTES as u64, &mut buffer)?;
            for bytes in buffer.chunks_exact(NAME_BYTES) {
                visit(&Name::decode(bytes).ok_or(io::ErrorKind::InvalidData)?);
            }
            at += count;
        }
        Ok(())
    }
}
