//! Which blocks of the ring hold what, and where the next batch goes. Touches no file.

use super::layout::{BATCH_BLOCKS_MAX, BLOCK_BYTES, FIRST_BLOCK, batch_blocks};
use crate::journal::BatchHeader;
use crate::model::Seq;
use std::collections::VecDeque;

/// A batch, and its blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RowPlace {
    pub(super) first: Seq,
    pub(super) last: Seq,
    /// Its first block.
    pub(super) block: u64,
    /// How many it takes.
    pub(super) blocks: u64,
    pub(super) records: u32,
}

impl RowPlace {
    pub(super) fn new(header: &BatchHeader, block: u64) -> Self {
        Self {
            first: header.first,
            last: header.last,
            block,
            blocks: batch_blocks(header.bytes),
            records: header.records,
        }
    }
}

/// The blocks of a ring: from the oldest batch that is kept to the newest they are taken.
///
/// Shape: 40 B a batch that is kept, of which each has at least one block.
#[derive(Clone, Debug)]
pub(super) struct Space {
    /// Behind the last block of the ring.
    end: u64,
    /// The block at which the next batch begins, if it fits before the end.
    head: u64,
    /// The batch at which the folded state ends: the next start looks for it.
    anchor: Option<RowPlace>,
    /// What is not folded, in order.
    rows: VecDeque<RowPlace>,
}

impl Space {
    /// A ring of a file of so many bytes, with nothing in it.
    pub(super) fn new(file_bytes: u64) -> Self {
        let end = (file_bytes / BLOCK_BYTES).max(FIRST_BLOCK);
        Self { end, head: FIRST_BLOCK, anchor: None, rows: VecDeque::new() }
    }

    /// The file is longer now.
    pub(super) fn grow(&mut self, file_bytes: u64) {
        self.end = self.end.max(file_bytes / BLOCK_BYTES);
    }

    pub(super) const fn end(&self) -> u64 {
        self.end
    }

    /// The first block behind the newest batch.
    pub(super) const fn head(&self) -> u64 {
        self.head
    }

    /// What is kept, in order, without the anchor.
    pub(super) const fn rows(&self) -> &VecDeque<RowPlace> {
        &self.rows
    }

    /// The oldest block that is taken; `None`: none is.
    fn tail(&self) -> Option<u64> {
        self.anchor.as_ref().or(self.rows.front()).map(|row| row.block)
    }

    /// The same blocks are taken, by who knows whom: to see where several batches will go.
    pub(super) fn outline(&self) -> Self {
        let tail = self.tail().map(|block| RowPlace { block, ..RowPlace::default() });
        Self { anchor: tail, rows: VecDeque::new(), ..*self }
    }

    /// The first of so many free blocks in one piece; `None` if there are none.
    pub(super) fn place(&self, blocks: u64) -> Option<u64> {
        let (here, anew) = self.free();
        if blocks <= here {
            return Some(self.head);
        }
        (blocks <= anew).then_some(FIRST_BLOCK)
    }

    /// Free blocks at the head, and those at the start of the ring if the head is behind them.
    fn free(&self) -> (u64, u64) {
        match self.tail() {
            None => (self.end.saturating_sub(self.head), self.head - FIRST_BLOCK),
            Some(tail) if tail < self.head => {
                (self.end.saturating_sub(self.head), tail - FIRST_BLOCK)
            }
            Some(tail) => (tail - self.head, 0),
        }
    }

    /// Blocks that no batch can use before another has gone.
    pub(super) fn taken(&self) -> u64 {
        let (here, anew) = self.free();
        (self.end - FIRST_BLOCK).saturating_sub(here + anew)
    }

    /// Bytes of records that batches may have which are sure to find a place.
    pub(super) fn room_bytes(&self) -> u64 {
        let (here, anew) = self.free();
        // One batch may not fit before the end; of two that follow each other at least one is more
        // than half full, and each leaves less than a block empty.
        let whole = (here + anew).saturating_sub(BATCH_BLOCKS_MAX + 2);
        whole * BLOCK_BYTES / BATCH_BLOCKS_MAX * (BATCH_BLOCKS_MAX - 3)
    }

    /// Whether so many blocks from this one on are free, and this is where a batch may follow. The
    /// start of the ring is, even if it would fit at the head: the file may be longer now than it
    /// was.
    pub(super) fn may_follow(&self, block: u64, blocks: u64) -> bool {
        let (here, anew) = self.free();
        block == self.head && blocks <= here || block == FIRST_BLOCK && blocks <= anew
    }

    /// A batch is there now.
    ///
    /// # Panics
    /// If its blocks are not free, or not in the ring.
    pub(super) fn push(&mut self, row: RowPlace) {
        assert!(self.may_follow(row.block, row.blocks), "a batch goes where there is room");
        self.head = row.block + row.blocks;
        self.rows.push_back(row);
    }

    /// The state ends here; nothing else is known yet.
    pub(super) fn set_anchor(&mut self, row: RowPlace) {
        self.head = row.block + row.blocks;
        self.anchor = Some(row);
    }

    /// Forgets what is folded up to here, but for the batch at which it ends. Gives what it forgot.
    pub(super) fn trim(&mut self, folded: Seq) -> Vec<RowPlace> {
        let count = self.rows.partition_point(|row| row.last <= folded);
        let gone: Vec<_> = self.rows.drain(..count).collect();
        self.anchor = gone.last().copied().or(self.anchor);
        gone
    }

    /// How it would be after [`Space::trim`], in bytes of records that find a place.
    pub(super) fn room_bytes_after(&self, folded: Seq) -> u64 {
        let count = self.rows.partition_point(|row| row.last <= folded);
        match count.checked_sub(1).and_then(|last| self.rows.get(last)) {
            None => self.room_bytes(),
            Some(anchor) => {
                let (anchor, rows) = (Some(*anchor), VecDeque::new());
                Self { anchor, rows, ..*self }.room_bytes()
            }
        }
    }

    /// Batches from the one that begins at `from`, until they have `bytes` bytes; whether there
    /// are more. `None`: no batch that is kept begins there.
    pub(super) fn from(&self, from: Seq, bytes: u64) -> Option<(Vec<RowPlace>, bool)> {
        let at = self.rows.partition_point(|row| row.first < from);
        self.rows.get(at).filter(|row| row.first == from)?;
        let mut sum = 0;
        let is_within = |row: &&RowPlace| {
            let fits = sum < bytes;
            sum += row.blocks * BLOCK_BYTES;
            fits
        };
        let found: Vec<_> = self.rows.iter().skip(at).take_while(is_within).copied().collect();
        let more = at + found.len() < self.rows.len();
        Some((found, more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(seq: u64, block: u64, blocks: u64) -> RowPlace {
        RowPlace { first: Seq(seq), last: Seq(seq), block, blocks, records: 1 }
    }

    proptest! {
        #[test]
        fn no_batch_ever_stands_on_one_that_is_kept(
            blocks in 4_u64..40,
            steps in proptest::collection::vec((1_u64..6, 0_u64..4), 1..200),
        ) {
            let mut space = Space::new((FIRST_BLOCK + blocks) * BLOCK_BYTES);
            let mut kept: VecDeque<RowPlace> = VecDeque::new();
            let (mut next, mut folded) = (1, 0);
            for (wanted, fold) in steps {
                if let Some(block) = space.place(wanted) {
                    prop_assert!(block >= FIRST_BLOCK && block + wanted <= space.end());
                    let new = row(next, block, wanted);
                    for old in &kept {
                        let apart = new.block + new.blocks <= old.block
                            || old.block + old.blocks <= new.block;
                        prop_assert!(apart, "{new:?} on {old:?}");
                    }
                    space.push(new);
                    kept.push_back(new);
                    next += 1;
                } else {
                    // There is no such piece, neither at the head nor at the start.
                    let is_free = |block: &u64| {
                        !kept.iter().any(|row| (row.block..row.block + row.blocks).contains(block))
                    };
                    let here = (space.head()..space.end()).take_while(is_free).count() as u64;
                    let anew = (FIRST_BLOCK..space.end()).take_while(is_free).count() as u64;
                    prop_assert!(wanted > here && wanted > anew, "{wanted} in {space:?}");
                }
                folded = (folded + fold).min(next - 1);
                space.trim(Seq(folded));
                // The batch at which the state ends stays, and all behind it.
                while kept.get(1).is_some_and(|second| second.last.0 <= folded) {
                    kept.pop_front();
                }
                prop_assert!(space.taken() >= kept.iter().map(|row| row.blocks).sum());
            }
        }
    }

    #[test]
    fn a_full_ring_takes_no_more_and_an_emptied_one_begins_anew() {
        let mut space = Space::new((FIRST_BLOCK + 10) * BLOCK_BYTES);
        assert_eq!(space.place(11), None);
        for seq in 1..=5 {
            let block = space.place(2).unwrap();
            space.push(row(seq, block, 2));
        }
        assert_eq!((space.place(1), space.taken()), (None, 10));
        assert_eq!(space.trim(Seq(2)).len(), 2);
        // The second one is the anchor.
        assert_eq!((space.place(2), space.place(3), space.taken()), (Some(FIRST_BLOCK), None, 8));
        space.push(row(6, FIRST_BLOCK, 2));
        assert_eq!((space.place(1), space.head()), (None, FIRST_BLOCK + 2));
        let (rows, more) = space.from(Seq(4), 1).unwrap();
        assert_eq!((rows.len(), more), (1, true));
        let (rows, more) = space.from(Seq(4), u64::MAX).unwrap();
        assert_eq!(
            (rows.iter().map(|row| row.first.0).collect::<Vec<_>>(), more),
            (vec![4, 5, 6], false)
        );
        assert_eq!(space.from(Seq(2), 1), None);
    }

    #[test]
    fn what_has_room_finds_a_place() {
        let mut space = Space::new(super::super::layout::file_bytes(256 << 10));
        let mut seq = 0;
        // Rows of all sizes around the ring, a few laps, always a round's worth.
        for lap in 0..400_u64 {
            let mut left = space.room_bytes().min(3 << 20);
            assert!(left > 1 << 20, "{lap}");
            while left > 0 {
                let bytes = (1 + lap * 7_919 % 180_000).min(left);
                let blocks = batch_blocks(bytes as u32);
                seq += 1;
                let block = space.place(blocks).expect("there is room");
                space.push(row(seq, block, blocks));
                left -= bytes.max(130_000).min(left);
            }
            space.trim(Seq(seq.saturating_sub(1)));
        }
    }
}
