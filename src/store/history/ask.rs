//! What can be asked about history, and what an answer is made of. Knows no file.

use super::entry::Home;
use super::index::BlockMark;
use super::shelf::Volume;
use crate::limits::HISTORY_TICK_SLACK_MS;
use crate::model::{Incarnation, OwnerId, ProjectId, Seq, Slot, Tick};
use addrd_protocol::message::HistoryEntry;
use std::net::IpAddr;
use uuid::Uuid;

/// A place between two entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Of the position.
    pub incarnation: Incarnation,
    /// Position of a batch: its last hand-over.
    pub position: Seq,
    /// Number of a record in it.
    pub item: u32,
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// An address, and what it is in.
    Address(IpAddr),
    /// What an owner holds, in all slots or one.
    Owner(OwnerId, Option<Slot>),
}

/// A question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Who asks.
    pub project: ProjectId,
    /// Only in this network or pool: its project and id; none = in all networks.
    pub home: Option<(ProjectId, Uuid)>,
    /// That is a pool.
    pub is_pool: bool,
    /// What about.
    pub subject: Subject,
    /// Not before this.
    pub from: Tick,
    /// Not behind this.
    pub to: Tick,
    /// The oldest comes first, else the newest.
    pub oldest_first: bool,
    /// Entries, at most; not 0.
    pub limit: usize,
    /// Only behind this place, in the order asked for.
    pub mark: Option<Mark>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// In the order asked for.
    pub entries: Vec<HistoryEntry>,
    /// Where to go on; none = that is all.
    pub next: Option<Mark>,
    /// Nothing is missing since then.
    pub reach: Tick,
    /// Up to here everything was there to be looked at.
    pub position: Seq,
    /// Something couldn't be read.
    pub is_incomplete: bool,
}

impl Ask {
    /// Whether something in a volume can be an answer.
    pub(super) fn concerns(&self, volume: &Volume) -> bool {
        let begin = volume.since.0.saturating_sub(HISTORY_TICK_SLACK_MS);
        let in_time = volume.tick >= self.from && begin <= self.to.0;
        let is_ahead = self.mark.is_none_or(|mark| match self.oldest_first {
            true => Mark::last(volume.incarnation, volume.last) > mark,
            false => Mark::first(volume.incarnation, volume.first) < mark,
        });
        in_time && is_ahead && (!volume.is_empty() || volume.is_damaged)
    }

    /// Whether something in a block of batches can be: from `first` up to what is in front of `behind`.
    pub(super) fn concerns_block(&self, volume: &Volume, block: &BlockMark, behind: Seq) -> bool {
        let in_time = block.most >= self.from && block.least <= self.to;
        let incarnation = volume.incarnation;
        let is_ahead = self.mark.is_none_or(|mark| match self.oldest_first {
            true => Mark::last(incarnation, Seq(behind.0.saturating_sub(1))) > mark,
            false => Mark::first(incarnation, block.first) < mark,
        });
        in_time && is_ahead
    }

    /// The place in front of everything from `first` up to what is in front of `behind`, in the order asked
    /// for.
    pub(super) const fn edge(&self, incarnation: Incarnation, first: Seq, behind: Seq) -> Mark {
        match self.oldest_first {
            true => Mark { incarnation, position: first, item: 0 }.before(),
            // Not in front of `behind`: what begins there would be looked at again for nothing.
            false => Mark { incarnation, position: behind, item: 0 }.before(),
        }
    }

    /// Whether an entry there is an answer.
    pub(super) fn is_wanted(&self, mark: Mark, tick: Tick) -> bool {
        let is_behind = self.mark.is_none_or(|begin| match self.oldest_first {
            true => mark > begin,
            false => mark < begin,
        });
        is_behind && self.from <= tick && tick <= self.to
    }

    /// Whether it is asked about what is in this network or pool.
    pub(super) fn is_home(&self, home: &Home) -> bool {
        home.is_pool == self.is_pool
            && self.home.is_none_or(|(project, id)| project == home.project && id == home.id)
    }
}

impl Mark {
    /// The first place at a position.
    const fn first(incarnation: Incarnation, position: Seq) -> Self {
        Self { incarnation, position, item: 0 }
    }

    /// The last one.
    const fn last(incarnation: Incarnation, position: Seq) -> Self {
        Self { incarnation, position, item: u32::MAX }
    }

    /// The place just in front of it.
    const fn before(self) -> Self {
        Self { position: Seq(self.position.0.saturating_sub(1)), item: u32::MAX, ..self }
    }
}
