//! Levels of use: which one a subnet or pool is at, and when that is to be looked at again. Tells
//! nobody by itself.
//!
//! A subnet's level stands in its row, so it survives a restart, and nothing is told twice. The hot
//! path compares the free count with two bounds that were worked out when the level, or the pools of
//! the subnet, changed last; whoever passes one is put on a list, and looked at once the drain is
//! decided. So what comes and goes within a drain tells nothing, and a crossing costs its subnet one
//! record a drain at most.
//!
//! Source: docs/decisions/0029-usage-levels.md.

use super::shard::Shard;
use super::subnet::Subnet;
use crate::limits::{
    LEVEL_SLICE_OBJECTS, USAGE_LEVEL_FALL_ADDRESSES, USAGE_LEVEL_FALL_POINTS, USAGE_LEVELS_MAX,
};
use crate::model::{Effect, EffectSink, LevelRow, NetworkId, PoolId, ProjectId, SubnetId};
use crate::planted::{Bug, is_planted};

/// Levels of use that are told, percent, rising. None = nothing is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageLevels {
    percents: [u8; USAGE_LEVELS_MAX],
    count: u8,
}

impl UsageLevels {
    /// `None` if they are too many, don't rise, or are not percentages of 1 to 100.
    #[must_use]
    pub fn new(levels: &[u8]) -> Option<Self> {
        let mut percents = [0; USAGE_LEVELS_MAX];
        percents.get_mut(..levels.len())?.copy_from_slice(levels);
        let rises = levels.windows(2).all(|pair| pair[0] < pair[1]);
        let is_lawful = rises && levels.iter().all(|level| (1..=100).contains(level));
        is_lawful.then_some(Self { percents, count: levels.len() as u8 })
    }

    /// All of them, rising.
    #[must_use]
    pub fn all(&self) -> &[u8] {
        &self.percents[..usize::from(self.count)]
    }

    /// The highest one that this use reaches; 0 = none.
    fn reached(&self, used: u128, size: u128) -> u8 {
        let reached = self.all().iter().rev().find(|level| used >= rise_used(**level, size));
        reached.copied().unwrap_or(0)
    }

    /// The level behind `told`, at this use: hysteresis keeps what was told until use has fallen
    /// clearly below it.
    fn next(&self, told: u8, used: u128, size: u128) -> u8 {
        if size == 0 {
            return 0;
        }
        let reached = self.reached(used, size);
        if reached >= told {
            return reached;
        }
        if used > fall_used(told, size) {
            return told;
        }
        let below = self.all().iter().rev().filter(|level| **level < told);
        let kept = below.copied().find(|level| used > fall_used(*level, size));
        kept.unwrap_or(0)
    }
}

/// Least use that reaches a level: the share rounded up, so never less than one address.
fn rise_used(level: u8, size: u128) -> u128 {
    share(level, size)
}

/// Most use at which a level that was told is over: below it by the points, and by the addresses, of
/// the hysteresis, or nothing at all.
fn fall_used(level: u8, size: u128) -> u128 {
    if is_planted(Bug::LevelWithoutHysteresis) {
        return rise_used(level, size).saturating_sub(1);
    }
    let by_points = share(level.saturating_sub(USAGE_LEVEL_FALL_POINTS), size).saturating_sub(1);
    let by_addresses = rise_used(level, size).saturating_sub(USAGE_LEVEL_FALL_ADDRESSES);
    by_points.min(by_addresses)
}

/// A percentage of `size`, rounded up. No product passes 128 bits.
fn share(percent: u8, size: u128) -> u128 {
    let (percent, whole, rest) = (u128::from(percent), size / 100, size % 100);
    whole * percent + (rest * percent).div_ceil(100)
}

/// Free counts between which the level of a subnet stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LevelBounds {
    /// Below it a level is reached.
    rises: u128,
    /// Above it the level is over.
    falls: u128,
}

impl LevelBounds {
    /// Nothing is told.
    pub(super) const NEVER: Self = Self { rises: 0, falls: u128::MAX };

    /// For a subnet or pool that was told to be at a level.
    pub(super) fn new(levels: &UsageLevels, told: u8, size: u128) -> Self {
        if levels.all().is_empty() {
            return Self::NEVER;
        }
        if size == 0 {
            // Without addresses no level is left: it is passed at once.
            return if told == 0 { Self::NEVER } else { Self { rises: 1, ..Self::NEVER } };
        }
        let next = levels.all().iter().find(|level| **level > told);
        let rises = next.map_or(0, |next| size - rise_used(*next, size) + 1);
        let falls = if told == 0 { u128::MAX } else { size - fall_used(told, size) - 1 };
        Self { rises, falls }
    }

    #[inline]
    pub(super) const fn is_passed(&self, free: u128) -> bool {
        free < self.rises || free > self.falls
    }
}

/// A crossing that was told, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// What crossed.
    pub of: Crossed,
    /// The project of its network, or its own.
    pub project: ProjectId,
    /// The highest level that it is at now, percent; 0 = below all.
    pub level: u8,
    /// The same before.
    pub before: u8,
    /// Addresses in use.
    pub used: u128,
    /// Of how many.
    pub size: u128,
}

/// What has crossed a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crossed {
    /// A subnet.
    Subnet(NetworkId, SubnetId),
    /// A subnet pool.
    Pool(PoolId),
}

/// How many are at which level, and how many crossed them, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LevelCounts {
    /// The levels.
    pub levels: UsageLevels,
    /// At or above each level now, in the order of the levels.
    pub at: [u64; USAGE_LEVELS_MAX],
    /// Times that each was passed upwards since the start.
    pub risen: [u64; USAGE_LEVELS_MAX],
    /// The same downwards.
    pub fallen: [u64; USAGE_LEVELS_MAX],
}

impl LevelCounts {
    /// Adds those of another shard with the same levels.
    pub fn merge(&mut self, other: &Self) {
        self.levels = other.levels;
        let mine = [&mut self.at, &mut self.risen, &mut self.fallen];
        for (mine, theirs) in mine.into_iter().zip([&other.at, &other.risen, &other.fallen]) {
            mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += theirs);
        }
    }
}

/// The levels of a shard, or of the pools.
#[derive(Debug)]
pub(super) struct Levels {
    levels: UsageLevels,
    /// Whose free count has passed a bound, each once; some of them may be gone since.
    crossed: Vec<u32>,
    /// How many were told to be at each percentage.
    told: [u32; 101],
    counts: LevelCounts,
    /// The counts have changed.
    is_news: bool,
}

impl Default for Levels {
    fn default() -> Self {
        Self {
            levels: UsageLevels::default(),
            crossed: Vec::new(),
            told: [0; 101],
            counts: LevelCounts::default(),
            is_news: true,
        }
    }
}

impl Levels {
    pub(super) const fn set(&mut self, levels: UsageLevels) {
        self.levels = levels;
        self.is_news = true;
    }

    /// The level of one that was told to be at `told`, if that is another one by now.
    pub(super) fn next(&self, told: u8, used: u128, size: u128) -> Option<u8> {
        if self.levels.all().is_empty() {
            return None;
        }
        Some(self.levels.next(told, used, size)).filter(|level| *level != told)
    }

    /// Puts one on the list of those to look at, unless it stands there.
    #[cold]
    #[inline(never)]
    pub(super) fn note(&mut self, at: u32, is_crossed: &mut bool) {
        if !std::mem::replace(is_crossed, true) {
            self.crossed.push(at);
        }
    }

    /// One is at another level than before; 0 = at none.
    pub(super) fn moved(&mut self, before: u8, level: u8) {
        if before == level {
            return;
        }
        if before > 0 {
            self.told[usize::from(before)] -= 1;
        }
        if level > 0 {
            self.told[usize::from(level)] += 1;
        }
        self.is_news = true;
    }

    /// Some of those to look at; fewer than `most` = there are no more.
    pub(super) fn take(&mut self, most: usize) -> Vec<u32> {
        let rest = self.crossed.len().saturating_sub(most);
        let taken = self.crossed.split_off(rest);
        if self.crossed.is_empty() {
            self.crossed = Vec::new();
        }
        taken
    }

    pub(super) const fn is_waiting(&self) -> bool {
        !self.crossed.is_empty()
    }

    /// Counts a crossing for each level that was passed.
    pub(super) fn count(&mut self, before: u8, level: u8) {
        let counts = if level > before { &mut self.counts.risen } else { &mut self.counts.fallen };
        let passed = before.min(level) + 1..=before.max(level);
        for (at, count) in self.levels.all().iter().zip(counts) {
            *count += u64::from(passed.contains(at));
        }
        self.is_news = true;
    }

    /// The counts, if they have changed since the last call.
    pub(super) fn news(&mut self) -> Option<LevelCounts> {
        if !std::mem::take(&mut self.is_news) {
            return None;
        }
        let at_least = |level: u8| self.told[usize::from(level)..].iter().copied().map(u64::from);
        self.counts.levels = self.levels;
        for (at, level) in self.counts.at.iter_mut().zip(self.levels.all()) {
            *at = at_least(*level).sum();
        }
        Some(self.counts)
    }
}

impl Shard {
    /// Which levels of use are told from now on. Call it once the state is recovered: every subnet
    /// is looked at.
    pub fn set_usage_levels(&mut self, levels: UsageLevels) {
        self.levels.set(levels);
        for at in 0..self.subnets.high() {
            if self.subnets.get(at).is_some() {
                self.bind_level(at);
            }
        }
    }

    /// Whether [`Shard::tell_levels`] has something to look at.
    #[must_use]
    pub const fn has_levels_to_tell(&self) -> bool {
        self.levels.is_waiting()
    }

    /// How many subnets are at which level, if that has changed since the last call.
    pub fn level_counts(&mut self) -> Option<LevelCounts> {
        self.levels.news()
    }

    /// Tells of subnets that have crossed a level, of at most `limits::LEVEL_SLICE_OBJECTS`.
    ///
    /// Shape: at most one record of `limits::LEVEL_RECORD_BYTES` each.
    pub fn tell_levels(&mut self, sink: &mut impl EffectSink) -> Vec<Crossing> {
        let taken = self.levels.take(LEVEL_SLICE_OBJECTS);
        taken.into_iter().filter_map(|at| self.tell_level(at, sink)).collect()
    }

    fn tell_level(&mut self, at: u32, sink: &mut impl EffectSink) -> Option<Crossing> {
        // Its place may be another's by now, which isn't on the list by that.
        self.subnets.get(at).filter(|subnet| subnet.is_crossed)?;
        let subnet = self.subnets.at_mut(at);
        subnet.is_crossed = false;
        let (used, size) = use_of(subnet);
        let before = subnet.row.level;
        let level = self.levels.next(before, used, size).filter(|_| !subnet.deleting)?;
        let network = self.networks.at(subnet.network);
        let crossing = Crossing {
            of: Crossed::Subnet(network.id, subnet.row.id),
            project: subnet.project,
            level,
            before,
            used,
            size,
        };
        let (network, revision) = (network.handle, network.next_revision());
        let subnet = Some(subnet.handle);
        let row = LevelRow { network, revision, subnet, level, before, used, size };
        self.commit(&Effect::LevelPut(row), sink);
        self.levels.count(before, level);
        Some(crossing)
    }

    /// Notes the level that a subnet was told to be at.
    pub(super) fn set_level(&mut self, at: u32, level: u8) {
        let subnet = self.subnets.at_mut(at);
        self.levels.moved(subnet.row.level, level);
        subnet.row.level = level;
        self.bind_level(at);
    }

    /// Works out anew when the level of a subnet is to be looked at.
    pub(super) fn bind_level(&mut self, at: u32) {
        let subnet = self.subnets.at_mut(at);
        let (told, size) = (subnet.row.level, subnet.pieces.open());
        subnet.bounds = match subnet.deleting {
            true => LevelBounds::NEVER,
            false => LevelBounds::new(&self.levels.levels, told, size),
        };
        if subnet.bounds.is_passed(subnet.pieces.free()) {
            self.levels.note(at, &mut subnet.is_crossed);
        }
    }
}

/// Addresses of a subnet that may be handed out, and how many of them can't be now.
///
/// What is excluded or pinned is never handed out, and counts on neither side: allocated, held and
/// resting addresses do.
pub(super) const fn use_of(subnet: &Subnet) -> (u128, u128) {
    (subnet.pieces.open() - subnet.pieces.free(), subnet.pieces.open())
}

#[cfg(test)]
mod tests;
