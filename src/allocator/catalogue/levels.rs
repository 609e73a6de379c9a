//! Levels of use of subnet pools: the share of their addresses that is carved. Tells nobody by itself.
//!
//! Source: docs/decisions/0029-usage-levels.md.

use super::Catalogue;
use crate::allocator::levels::{Crossed, Crossing, LevelCounts, UsageLevels};
use crate::limits::LEVEL_SLICE_OBJECTS;
use crate::model::{Effect, EffectSink, LevelRow, NetworkHandle};

impl Catalogue {
    /// Which levels of use are told from now on. Call it once the state is recovered: every pool is
    /// looked at.
    pub fn set_usage_levels(&mut self, levels: UsageLevels) {
        self.levels.set(levels);
        for (handle, pool) in &mut self.pools {
            self.levels.note(handle.0, &mut pool.is_crossed);
        }
    }

    /// Whether [`Catalogue::tell_levels`] has something to look at.
    #[must_use]
    pub const fn has_levels_to_tell(&self) -> bool {
        self.levels.is_waiting()
    }

    /// How many pools are at which level, if that has changed since the last call.
    pub fn level_counts(&mut self) -> Option<LevelCounts> {
        self.levels.news()
    }

    /// Tells of pools that have crossed a level, of at most `limits::LEVEL_SLICE_OBJECTS`.
    ///
    /// Shape: at most one record of `limits::LEVEL_RECORD_BYTES` each.
    pub fn tell_levels(&mut self, sink: &mut impl EffectSink) -> Vec<Crossing> {
        let taken = self.levels.take(LEVEL_SLICE_OBJECTS);
        taken.into_iter().filter_map(|at| self.tell_level(NetworkHandle(at), sink)).collect()
    }

    fn tell_level(
        &mut self,
        network: NetworkHandle,
        sink: &mut impl EffectSink,
    ) -> Option<Crossing> {
        let pool = self.pools.get_mut(&network)?;
        pool.is_crossed = false;
        let (used, size, before) = (pool.used_by_all(), pool.size(), pool.row.level);
        let (of, project) = (Crossed::Pool(pool.row.id), pool.row.project);
        let level = self.levels.next(before, used, size)?;
        let revision = self.next_revision(network);
        let row = LevelRow { network, revision, subnet: None, level, before, used, size };
        self.commit(&Effect::LevelPut(row), sink);
        self.levels.count(before, level);
        Some(Crossing { of, project, level, before, used, size })
    }

    /// A pool is at another level from now on.
    pub(super) fn note_level(&mut self, row: &LevelRow) {
        // That of a subnet is its shard's.
        let pool = row.subnet.is_none().then(|| self.pools.get_mut(&row.network));
        if let Some(pool) = pool.flatten() {
            self.levels.moved(pool.row.level, row.level);
            pool.row.level = row.level;
        }
    }
}
