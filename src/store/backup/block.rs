//! The blocks of a backup: head, checksum that goes on from block to block, payload. Knows nothing of
//! what they hold.
//!
//! A block that is lost, doubled, changed, moved or of another backup breaks the chain where it
//! stands; a backup without its last block is no backup.

use crate::journal::{Reader, Short};
use crate::limits::{BACKUP_BLOCK_BYTES_MAX, BACKUP_PAYLOAD_BYTES_MAX};
use crc32c::{crc32c, crc32c_append};
use std::fmt;
use std::io::{self, Read};

/// First bytes of each block: "adk" and the version of the format.
const MAGIC: [u8; 3] = *b"adk";
const VERSION: u8 = 0;
/// Bytes in front of the payload.
pub(super) const HEAD_BYTES: usize = 20;
/// Bytes of the head that its checksum is of.
const HEAD_CHECKED_BYTES: usize = HEAD_BYTES - 4;

const _: () = assert!(HEAD_BYTES + BACKUP_PAYLOAD_BYTES_MAX == BACKUP_BLOCK_BYTES_MAX);

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum BlockKind {
    /// Whose backup it is; the first block, and no other.
    Begin = 1,
    /// Rows of the state.
    Rows = 2,
    /// Batches of the journal.
    Batches = 3,
    /// What there was in all; the last block, and no other.
    End = 4,
}

impl BlockKind {
    const fn of(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Begin,
            2 => Self::Rows,
            3 => Self::Batches,
            4 => Self::End,
            _ => return None,
        })
    }
}

/// Why a file can't be restored.
#[derive(Debug)]
#[non_exhaustive]
pub enum BackupFault {
    /// It doesn't begin as a backup does.
    NotABackup,
    /// Written by a newer server.
    Newer(u32),
    /// It ends before its last block, at this byte.
    Cut {
        /// The first byte that is missing.
        at: u64,
    },
    /// A block is not what was written there.
    Damaged {
        /// Number of the block.
        block: u32,
        /// Its first byte.
        at: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// There is something behind the last block, from this byte on.
    Behind {
        /// The first byte that is too many.
        at: u64,
    },
    /// The file couldn't be read.
    Read(io::Error),
}

impl fmt::Display for BackupFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotABackup => f.write_str("it is not a backup of addrd"),
            Self::Newer(version) => {
                write!(f, "it was written by a newer server (format {version}); restore with that")
            }
            Self::Cut { at } => {
                write!(f, "it is cut off at byte {at}: a backup that was never whole; take another")
            }
            Self::Damaged { block, at, what } => {
                write!(f, "block {block} at byte {at} is damaged: {what}; take another backup")
            }
            Self::Behind { at } => write!(f, "bytes follow its end at byte {at}"),
            Self::Read(_) => f.write_str("it can't be read"),
        }
    }
}

impl std::error::Error for BackupFault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(source) => Some(source),
            _ => None,
        }
    }
}

/// Where a chain of blocks is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Link {
    /// Number of the block that comes next.
    number: u32,
    /// Checksum of the one before.
    crc: u32,
    /// Bytes so far.
    bytes: u64,
    /// Bytes before the last block.
    bytes_before: u64,
}

impl Link {
    fn crc_of(&self, checked: &[u8], payload: &[u8]) -> u32 {
        let start =
            if self.number == 0 { crc32c(checked) } else { crc32c_append(self.crc, checked) };
        crc32c_append(start, payload)
    }

    fn pass(&mut self, crc: u32, bytes: usize) {
        self.number = self.number.saturating_add(1);
        self.crc = crc;
        self.bytes_before = self.bytes;
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }
}

/// Gives blocks their heads, one after the other.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BlockSealer(Link);

impl BlockSealer {
    /// Bytes of all blocks so far.
    pub(super) const fn bytes(&self) -> u64 {
        self.0.bytes
    }

    /// The next block.
    ///
    /// # Panics
    /// If the payload is longer than a block's.
    pub(super) fn seal(&mut self, kind: BlockKind, payload: &[u8]) -> Vec<u8> {
        let length = payload.len();
        assert!(length <= BACKUP_PAYLOAD_BYTES_MAX, "a block of {length} bytes");
        let mut block = Vec::with_capacity(HEAD_BYTES + length);
        block.extend_from_slice(&MAGIC);
        block.extend_from_slice(&[VERSION, kind as u8, 0, 0, 0]);
        block.extend_from_slice(&self.0.number.to_be_bytes());
        block.extend_from_slice(&(length as u32).to_be_bytes());
        let crc = self.0.crc_of(&block, payload);
        block.extend_from_slice(&crc.to_be_bytes());
        block.extend_from_slice(payload);
        self.0.pass(crc, block.len());
        block
    }
}

/// The head of a block, without what the checksum says.
struct Head {
    kind: BlockKind,
    number: u32,
    length: usize,
    crc: u32,
}

/// Checks blocks as they come, one after the other.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BlockChain {
    link: Link,
    is_ended: bool,
}

impl BlockChain {
    /// Bytes of all blocks so far.
    pub(super) const fn bytes(&self) -> u64 {
        self.link.bytes
    }

    /// Bytes of all blocks before the last one that was taken.
    pub(super) const fn bytes_before(&self) -> u64 {
        self.link.bytes_before
    }

    /// Takes the block that comes next: its kind and payload.
    ///
    /// # Errors
    /// [`BackupFault`]: it is not the one that was written there.
    pub(super) fn take<'b>(
        &mut self,
        block: &'b [u8],
    ) -> Result<(BlockKind, &'b [u8]), BackupFault> {
        if self.is_ended {
            return Err(BackupFault::Behind { at: self.link.bytes });
        }
        let head = self.head(block)?;
        let (checked, rest) = block
            .split_at_checked(HEAD_CHECKED_BYTES)
            .ok_or_else(|| self.damaged("it is short"))?;
        let payload = rest.get(4..).filter(|payload| payload.len() == head.length);
        let payload = payload.ok_or_else(|| self.damaged("its length differs from its head"))?;
        if head.crc != self.link.crc_of(checked, payload) {
            return Err(self.damaged("its checksum is wrong"));
        }
        if head.number != self.link.number {
            return Err(self.damaged("it is another block of the backup"));
        }
        if (head.kind == BlockKind::Begin) != (head.number == 0) {
            return Err(self.damaged("it is of a kind that doesn't belong there"));
        }
        self.is_ended = head.kind == BlockKind::End;
        self.link.pass(head.crc, block.len());
        Ok((head.kind, payload))
    }

    /// The next block of a file, in `buffer`; `None` behind the last one.
    ///
    /// # Errors
    /// [`BackupFault`].
    pub(super) fn read<'b>(
        &mut self,
        file: &mut impl Read,
        buffer: &'b mut Vec<u8>,
    ) -> Result<Option<(BlockKind, &'b [u8])>, BackupFault> {
        buffer.resize(HEAD_BYTES, 0);
        let found = fill(file, buffer)?;
        if self.is_ended {
            let at = self.link.bytes;
            return if found == 0 { Ok(None) } else { Err(BackupFault::Behind { at }) };
        }
        if found < HEAD_BYTES {
            let is_ours = found >= MAGIC.len() && buffer.starts_with(&MAGIC);
            let none_yet = self.link.number == 0 && !is_ours;
            let at = self.link.bytes.saturating_add(found as u64);
            return Err(if none_yet && found > 0 {
                BackupFault::NotABackup
            } else {
                BackupFault::Cut { at }
            });
        }
        let head = self.head(buffer)?;
        buffer.resize(HEAD_BYTES + head.length, 0);
        let body = buffer.get_mut(HEAD_BYTES..).unwrap_or_default();
        let found = fill(file, body)?;
        if found < head.length {
            let at = self.link.bytes.saturating_add((HEAD_BYTES + found) as u64);
            return Err(BackupFault::Cut { at });
        }
        self.take(buffer).map(Some)
    }

    fn head(&self, block: &[u8]) -> Result<Head, BackupFault> {
        let read = || -> Result<_, Short> {
            let mut reader = Reader::new(block);
            Ok((reader.array::<8>()?, reader.u32()?, reader.u32()?, reader.u32()?))
        };
        let (start, number, length, crc) = read().map_err(|_| self.damaged("it is short"))?;
        let [m0, m1, m2, version, kind, reserved @ ..] = start;
        if [m0, m1, m2] != MAGIC {
            return Err(match self.link.number {
                0 => BackupFault::NotABackup,
                _ => self.damaged("it doesn't begin as a block does"),
            });
        }
        if version > VERSION {
            return Err(BackupFault::Newer(version.into()));
        }
        let kind = BlockKind::of(kind).filter(|_| reserved == [0; 3]);
        let kind = kind.ok_or_else(|| self.damaged("its kind is unknown"))?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > BACKUP_PAYLOAD_BYTES_MAX {
            return Err(self.damaged("it is longer than a block can be"));
        }
        Ok(Head { kind, number, length, crc })
    }

    /// The block that comes next is not what was written there.
    pub(super) const fn damaged(&self, what: &'static str) -> BackupFault {
        BackupFault::Damaged { block: self.link.number, at: self.link.bytes, what }
    }
}

/// Reads until the buffer is full or the file ends; gives how much that is.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> Result<usize, BackupFault> {
    let mut found = 0;
    while let Some(rest) = buffer.get_mut(found..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(count) => found += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(BackupFault::Read(error)),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain() -> Vec<Vec<u8>> {
        let mut sealer = BlockSealer::default();
        let kinds = [BlockKind::Begin, BlockKind::Rows, BlockKind::Batches, BlockKind::End];
        let blocks = kinds.into_iter().enumerate();
        blocks.map(|(at, kind)| sealer.seal(kind, &vec![at as u8; 10 * at])).collect()
    }

    fn read_all(mut bytes: &[u8]) -> Result<Vec<BlockKind>, BackupFault> {
        let (mut chain, mut buffer, mut kinds) = (BlockChain::default(), Vec::new(), Vec::new());
        while let Some((kind, _)) = chain.read(&mut bytes, &mut buffer)? {
            kinds.push(kind);
        }
        Ok(kinds)
    }

    #[test]
    fn a_chain_reads_back_and_any_change_is_noticed() {
        let bytes = chain().concat();
        assert_eq!(read_all(&bytes).unwrap().len(), 4);
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(read_all(&bad).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            let error = read_all(&bytes[..length]).unwrap_err();
            let is_told = matches!(error, BackupFault::Cut { at } if at == length as u64)
                || (matches!(error, BackupFault::NotABackup) && length < MAGIC.len());
            assert!(is_told, "cut at {length}: {error}");
        }
    }

    #[test]
    fn blocks_that_are_lost_doubled_or_moved_are_noticed() {
        let blocks = chain();
        for at in 0..blocks.len() {
            let mut lost = blocks.clone();
            lost.remove(at);
            assert!(read_all(&lost.concat()).is_err(), "without {at}");
            let mut doubled = blocks.clone();
            doubled.insert(at, blocks[at].clone());
            assert!(read_all(&doubled.concat()).is_err(), "{at} twice");
        }
        let mut moved = blocks.clone();
        moved.swap(1, 2);
        assert!(read_all(&moved.concat()).is_err());
        let mut other = BlockSealer::default();
        other.seal(BlockKind::Begin, b"another backup");
        let foreign = other.seal(BlockKind::Rows, &[1; 10]);
        let mut mixed = blocks.clone();
        mixed[1] = foreign;
        assert!(read_all(&mixed.concat()).is_err(), "a block of another backup");
        let behind = [blocks.concat(), vec![0]].concat();
        assert!(matches!(read_all(&behind), Err(BackupFault::Behind { .. })));
    }

    #[test]
    fn what_is_no_backup_or_a_newer_one_is_told_as_such() {
        assert!(matches!(read_all(b"{\"addrd\": \"export\"}\n\n"), Err(BackupFault::NotABackup)));
        let mut bytes = chain().concat();
        bytes[3] = 9;
        assert!(matches!(read_all(&bytes), Err(BackupFault::Newer(9))));
    }
}
