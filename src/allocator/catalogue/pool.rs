//! A subnet pool in memory: its row, what is taken, what is free, who uses how much. Decides nothing.

use super::blocks::{Block, FreeBlocks, without};
use crate::model::{Family, PoolRow, Prefix, ProjectId};
use std::collections::BTreeMap;

/// A block of a pool that is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) order: u8,
    /// Whose quota it counts for.
    pub(super) project: ProjectId,
}

/// A subnet pool.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    pub(super) row: PoolRow,
    pub(super) free: FreeBlocks,
    /// By first address.
    pub(super) taken: BTreeMap<u128, Taken>,
    /// Addresses in use, by project.
    pub(super) used: BTreeMap<ProjectId, u128>,
}

impl Pool {
    /// Nothing is taken.
    pub(super) fn new(row: PoolRow) -> Self {
        let mut free = FreeBlocks::default();
        row.prefixes.iter().map(block_of).for_each(|block| free.add(block));
        Self { row, free, taken: BTreeMap::new(), used: BTreeMap::new() }
    }

    /// Takes on new attributes; what vanishes from the prefixes is free, what comes is new.
    pub(super) fn change(&mut self, row: PoolRow) {
        let blocks = |row: &PoolRow| row.prefixes.iter().map(block_of).collect::<Vec<_>>();
        let (old, new) = (blocks(&self.row), blocks(&row));
        for gone in without(&old, &new) {
            self.free.take(gone);
        }
        for added in without(&new, &old) {
            self.free.add(added);
        }
        self.row = row;
    }

    /// Notes that a block is in use; again for one that is says nothing new.
    pub(super) fn note_taken(&mut self, block: Block, project: ProjectId) {
        let taken = Taken { order: block.order, project };
        if self.taken.get(&block.base) == Some(&taken) {
            return;
        }
        self.note_gone(block.base);
        self.free.take(block);
        self.taken.insert(block.base, taken);
        *self.used.entry(project).or_default() += block.size();
    }

    /// Notes that nothing begins at an address any more.
    pub(super) fn note_gone(&mut self, base: u128) {
        let Some(taken) = self.taken.remove(&base) else { return };
        let block = Block::new(base, taken.order);
        if let Some(used) = self.used.get_mut(&taken.project) {
            *used = used.saturating_sub(block.size());
            if *used == 0 {
                self.used.remove(&taken.project);
            }
        }
        self.free.add(block);
    }

    /// The block in use that overlaps this one, the lowest.
    pub(super) fn overlapping(&self, block: Block) -> Option<(Block, ProjectId)> {
        let before = self.taken.range(..=block.base).next_back();
        let inside = self.taken.range(block.base..=block.last()).next();
        let all = [before, inside].into_iter().flatten();
        let mut all = all.map(|(&base, taken)| (Block::new(base, taken.order), taken.project));
        all.find(|(other, _)| other.overlaps(&block))
    }

    /// Addresses that a project uses.
    pub(super) fn used_by(&self, project: ProjectId) -> u128 {
        self.used.get(&project).copied().unwrap_or_default()
    }

    /// Bits of its family.
    pub(super) const fn bits(&self) -> u8 {
        self.row.family.bits()
    }

    /// The prefix of a block.
    pub(super) fn prefix(&self, block: Block) -> Option<Prefix> {
        prefix_of(self.row.family, block)
    }

    /// What does not hold, in words.
    pub(super) fn check(&self, found: &mut Vec<String>) {
        let mut sums: BTreeMap<ProjectId, u128> = BTreeMap::new();
        for (base, taken) in &self.taken {
            *sums.entry(taken.project).or_default() += Block::new(*base, taken.order).size();
        }
        if sums != self.used {
            found.push(format!("pool {}: use by project does not add up", self.row.id));
        }
        let mut again = FreeBlocks::default();
        self.row.prefixes.iter().map(block_of).for_each(|block| again.add(block));
        for (base, taken) in &self.taken {
            if !again.take(Block::new(*base, taken.order)) {
                found.push(format!("pool {}: {base:#x} is taken and not in it", self.row.id));
            }
        }
        if again != self.free {
            found.push(format!("pool {}: free blocks are not what is not taken", self.row.id));
        }
    }
}

/// The block of a prefix of at least one bit.
pub(super) fn block_of(prefix: &Prefix) -> Block {
    Block::new(prefix.base(), prefix.host_bits().min(127))
}

/// The prefix of a block of a family.
pub(super) fn prefix_of(family: Family, block: Block) -> Option<Prefix> {
    Prefix::new(family.address(block.base)?, family.bits().checked_sub(block.order)?)
}
