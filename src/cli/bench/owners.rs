//! Which owners of a connection hold an address, and which is next. Pure but for its own random
//! numbers.

use super::plan::Plan;
use addrd_client::protocol::{NetworkId, OwnerId};

/// Set in the entry of an owner that something is outstanding for, or that holds nothing.
const BUSY: u32 = 1 << 31;

/// Owners `first..first + count`, each with one address while it is not busy.
///
/// Shape: 4 bytes an owner. A generation is the owner's life: each allocation has a new one.
#[derive(Debug)]
pub(super) struct Owners {
    first: u32,
    generations: Vec<u32>,
    /// Owners beyond the table, for the workload that only allocates.
    fresh: u32,
    random: u64,
}

impl Owners {
    /// `count` owners that hold their first address, and `fresh` more that may come.
    pub(super) fn new(first: u32, count: u32, fresh: u32, seed: u64) -> Self {
        let mut generations = Vec::with_capacity(count as usize + fresh as usize);
        generations.resize(count as usize, 0);
        Self { first, generations, fresh, random: seed | 1 }
    }

    /// An owner at random that holds an address and has nothing outstanding; it is busy now.
    ///
    /// Cost: constant as long as few are busy; `None` if none was found in that many tries.
    #[inline]
    pub(super) fn take_live(&mut self) -> Option<u32> {
        for _ in 0..1_000 {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            let wide = u128::from(self.random) * self.generations.len() as u128;
            let at = (wide >> 64) as u32;
            if let Some(entry) = self.generations.get_mut(at as usize)
                && *entry & BUSY == 0
            {
                *entry |= BUSY;
                return Some(at);
            }
        }
        None
    }

    /// The next owner that never held anything.
    #[inline]
    pub(super) fn take_fresh(&mut self) -> Option<u32> {
        self.fresh = self.fresh.checked_sub(1)?;
        let at = self.generations.len() as u32;
        self.generations.push(BUSY);
        Some(at)
    }

    /// Its address is released: what it gets next, it gets in its next life.
    #[inline]
    pub(super) fn released(&mut self, at: u32) {
        if let Some(entry) = self.generations.get_mut(at as usize) {
            *entry = (entry.wrapping_add(1)) | BUSY;
        }
    }

    /// It holds an address and can be taken again.
    #[inline]
    pub(super) fn allocated(&mut self, at: u32) {
        if let Some(entry) = self.generations.get_mut(at as usize) {
            *entry &= !BUSY;
        }
    }

    /// Network and id of an owner in its present life.
    #[inline]
    pub(super) fn ids(&self, plan: &Plan, at: u32) -> (NetworkId, OwnerId) {
        let generation = self.generations.get(at as usize).copied().unwrap_or(0) & !BUSY;
        let number = self.first + at;
        (plan.network_of(number), plan.owner_id(number, generation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_taken_twice_and_everybody_is_taken() {
        let mut owners = Owners::new(10, 100, 0, 7);
        let mut taken: Vec<u32> = (0..100).filter_map(|_| owners.take_live()).collect();
        assert!(taken.len() > 90, "{}", taken.len());
        taken.sort_unstable();
        taken.dedup();
        assert!(taken.len() > 90 && taken.iter().all(|at| *at < 100));
        for at in &taken {
            owners.released(*at);
            owners.allocated(*at);
        }
        assert!(owners.take_live().is_some());
    }

    #[test]
    fn every_allocation_is_another_life() {
        let plan = Plan::new(1, 3, 1, 10, 1.0).unwrap();
        let mut owners = Owners::new(0, 1, 1, 7);
        let at = owners.take_live().unwrap();
        let before = owners.ids(&plan, at);
        owners.released(at);
        let after = owners.ids(&plan, at);
        assert_eq!(before.0, after.0);
        assert_ne!(before.1, after.1);
        assert_eq!(owners.take_live(), None, "it holds nothing yet");
        assert_eq!((owners.take_fresh(), owners.take_fresh()), (Some(1), None));
    }
}
