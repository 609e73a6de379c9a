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
    /// What is in the prefixes and not taken. Of no use while `is_mixed`.
    pub(super) free: FreeBlocks,
    /// Rows of two moments meet here: at recovery, from a fold that was cut short. What they say
    /// overlaps, or lies outside of the prefixes, until the records behind them are replayed.
    is_mixed: bool,
    /// By first address.
    pub(super) taken: BTreeMap<u128, Taken>,
    /// Addresses in use, by project; 0 = all 2^128. Added and subtracted with wrapping.
    used: BTreeMap<ProjectId, u128>,
    /// The sum of them.
    used_sum: u128,
    /// The level of its use is to be looked at.
    pub(super) is_crossed: bool,
}

impl Pool {
    /// Nothing is taken.
    pub(super) fn new(row: PoolRow) -> Self {
        let mut free = FreeBlocks::default();
        row.prefixes.iter().map(block_of).for_each(|block| free.add(block));
        Self {
            row,
            free,
            is_mixed: false,
            taken: BTreeMap::new(),
            used: BTreeMap::new(),
            used_sum: 0,
            is_crossed: false,
        }
    }

    /// Takes on new attributes; what vanishes from the prefixes is free, what comes is new.
    pub(super) fn change(&mut self, row: PoolRow) {
        let blocks = |row: &PoolRow| row.prefixes.iter().map(block_of).collect::<Vec<_>>();
        let (old, new) = (blocks(&self.row), blocks(&row));
        for gone in without(&old, &new) {
            self.is_mixed |= !self.free.take(gone);
        }
        for added in without(&new, &old) {
            self.is_mixed |= self.overlapping(added).is_some();
            if !self.is_mixed {
                self.free.add(added);
            }
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
        self.is_mixed |= !self.free.take(block);
        self.taken.insert(block.base, taken);
        let used = self.used.entry(project).or_default();
        *used = used.wrapping_add(block.size());
        self.used_sum = self.used_sum.wrapping_add(block.size());
    }

    /// Notes that nothing begins at an address any more.
    pub(super) fn note_gone(&mut self, base: u128) {
        let Some(taken) = self.taken.remove(&base) else { return };
        let block = Block::new(base, taken.order);
        self.used_sum = self.used_sum.wrapping_sub(block.size());
        if let Some(used) = self.used.get_mut(&taken.project) {
            *used = used.wrapping_sub(block.size());
            if *used == 0 {
                self.used.remove(&taken.project);
            }
        }
        if !self.is_mixed {
            self.free.add(block);
        }
    }

    /// At the end of recovery: what is free follows from the prefixes and what is taken.
    ///
    /// Shape: nothing is done unless rows of two moments met; else a look for each block in use.
    pub(super) fn settle(&mut self) {
        if std::mem::take(&mut self.is_mixed) {
            self.free = self.derived();
        }
    }

    fn derived(&self) -> FreeBlocks {
        let mut free = FreeBlocks::default();
        self.row.prefixes.iter().map(block_of).for_each(|block| free.add(block));
        for (base, taken) in &self.taken {
            free.take(Block::new(*base, taken.order));
        }
        free
    }

    /// The block in use that overlaps this one, the lowest.
    pub(super) fn overlapping(&self, block: Block) -> Option<(Block, ProjectId)> {
        let before = self.taken.range(..=block.base).next_back();
        let inside = self.taken.range(block.base..=block.last()).next();
        let all = [before, inside].into_iter().flatten();
        let mut all = all.map(|(&base, taken)| (Block::new(base, taken.order), taken.project));
        all.find(|(other, _)| other.overlaps(&block))
    }

    /// Addresses that a project uses, at most 2^128 - 1.
    pub(super) fn used_by(&self, project: ProjectId) -> u128 {
        self.used.get(&project).map_or(0, told)
    }

    /// Addresses that are in use, at most 2^128 - 1.
    pub(super) fn used_by_all(&self) -> u128 {
        if self.taken.is_empty() { 0 } else { told(&self.used_sum) }
    }

    /// Addresses of its prefixes, at most 2^128 - 1.
    pub(super) fn size(&self) -> u128 {
        let sizes = self.row.prefixes.iter().map(|prefix| block_of(prefix).size());
        told(&sizes.fold(0, u128::wrapping_add))
    }

    /// Projects that have something of it.
    pub(super) fn users(&self) -> impl Iterator<Item = ProjectId> {
        self.used.keys().copied()
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
            let sum = sums.entry(taken.project).or_default();
            *sum = sum.wrapping_add(Block::new(*base, taken.order).size());
        }
        let sum = sums.values().fold(0, |sum: u128, used| sum.wrapping_add(*used));
        if sums != self.used || sum != self.used_sum {
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

/// A count of addresses that are in use: whoever has two halves of IPv6 has 2^128.
const fn told(used: &u128) -> u128 {
    if *used == 0 { u128::MAX } else { *used }
}

/// The block of a prefix of at least one bit.
pub(super) fn block_of(prefix: &Prefix) -> Block {
    Block::new(prefix.base(), prefix.host_bits().min(127))
}

/// The prefix of a block of a family.
pub(super) fn prefix_of(family: Family, block: Block) -> Option<Prefix> {
    Prefix::new(family.address(block.base)?, family.bits().checked_sub(block.order)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{NetworkHandle, PoolId, Revision};

    /// After a crash in the middle of a fold, a prefix in use was given again. The row of a /24 was
    /// that of a later moment, the row of a /26 inside it that of an earlier one, from before it was
    /// released. Replaying that release made the /26 free, though the /24 was taken by then; and
    /// the /24's own record, of which the row was there already, changed nothing.
    #[test]
    fn rows_of_two_moments_leave_nothing_free_that_is_taken() {
        let mut pool = Pool::new(PoolRow {
            handle: NetworkHandle(1),
            revision: Revision(1),
            project: ProjectId::DEFAULT,
            id: PoolId::NIL,
            family: Family::V4,
            prefixes: vec!["0.0.0.0/16".parse().unwrap()],
            min_length: 8,
            max_length: 32,
            default_length: 24,
            quota: None,
            scope: None,
            parent: None,
            is_default: false,
            shared: false,
            name: None,
            description: None,
            level: 0,
        });
        let (large, small) = (Block::new(0, 8), Block::new(64, 6));
        pool.note_taken(large, ProjectId::DEFAULT);
        pool.note_taken(small, ProjectId::DEFAULT);
        pool.note_gone(small.base);
        pool.note_taken(large, ProjectId::DEFAULT);
        pool.settle();
        let mut found = Vec::new();
        pool.check(&mut found);
        assert_eq!(found, Vec::<String>::new());
        assert_eq!(pool.free.around(small), None);
    }
}
