//! Which volumes there are, shared between the thread that writes them and those that look things up.
//! Reads no file.

use crate::model::{Incarnation, Seq, Tick};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A volume as far as it can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Volume {
    pub(crate) number: u64,
    pub(crate) incarnation: Incarnation,
    /// First hand-over in it.
    pub(crate) first: Seq,
    /// Last one; the one before `first` if it has none.
    pub(crate) last: Seq,
    /// It is complete from this moment on.
    pub(crate) since: Tick,
    /// The latest tick in it; `since` if it has none.
    pub(crate) tick: Tick,
    /// Names behind its head.
    pub(crate) names: u32,
    /// Offset of its first batch.
    pub(crate) begin: u64,
    /// Offset behind its last batch.
    pub(crate) end: u64,
    /// Bytes of its files.
    pub(crate) bytes: u64,
    /// It has an index.
    pub(crate) is_indexed: bool,
    /// Some of it can't be read.
    pub(crate) is_damaged: bool,
}

impl Volume {
    pub(crate) const fn is_empty(&self) -> bool {
        self.last.0 < self.first.0
    }

    /// Whether it goes on where the other one ends.
    pub(crate) fn continues(&self, other: &Self) -> bool {
        self.incarnation == other.incarnation && self.first.0 == other.last.0.saturating_add(1)
    }
}

/// What there is of history.
#[derive(Debug)]
pub struct Shelf {
    state: Mutex<State>,
}

#[derive(Clone, Debug, Default)]
struct State {
    /// Oldest first; the last one is written if `is_open`.
    volumes: Vec<Volume>,
    is_open: bool,
    /// Nothing is missing since then, if there is no volume.
    since: Tick,
    /// Nothing from before this is told.
    least: Tick,
    /// Everything up to here was taken, and can be read as far as it is kept.
    taken: Seq,
    dropped: u64,
    is_paused: bool,
}

/// What operators see of history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryFigures {
    /// It is complete from this moment on.
    pub reach: Tick,
    /// Bytes of its files.
    pub bytes: u64,
    /// Volumes.
    pub volumes: u64,
    /// Bytes of volumes without an index, the one that is written among them.
    pub unindexed_bytes: u64,
    /// Hand-overs that are missing in it because they couldn't be written.
    pub dropped: u64,
    /// Volumes of which something can't be read.
    pub damaged: u64,
    /// Nothing is written at the moment: the disk refuses, or it is too small.
    pub is_paused: bool,
    /// Everything up to here was taken.
    pub last: Seq,
}

impl Default for Shelf {
    fn default() -> Self {
        Self::new(Tick(0))
    }
}

impl Shelf {
    /// An empty one: nothing is missing since `since`.
    #[must_use]
    pub fn new(since: Tick) -> Self {
        Self { state: Mutex::new(State { since, ..State::default() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What operators see.
    #[must_use]
    pub fn figures(&self) -> HistoryFigures {
        let state = self.state();
        let sum = |of: fn(&Volume) -> u64| state.volumes.iter().map(of).sum();
        HistoryFigures {
            reach: reach_of(&state.volumes, state.since).max(state.least),
            bytes: sum(|volume| volume.bytes),
            volumes: state.volumes.len() as u64,
            unindexed_bytes: sum(|volume| if volume.is_indexed { 0 } else { volume.bytes }),
            dropped: state.dropped,
            damaged: sum(|volume| u64::from(volume.is_damaged)),
            is_paused: state.is_paused,
            last: state.taken,
        }
    }

    /// All volumes, oldest first, from when on they are complete, and from when on they are told.
    pub(crate) fn view(&self) -> View {
        let state = self.state();
        let volumes: Vec<_> = state.volumes.clone();
        let reach = reach_of(&volumes, state.since).max(state.least);
        View { volumes, reach, least: state.least, taken: state.taken }
    }

    /// Everything up to here was taken, and can be read as far as it is kept.
    #[must_use]
    pub fn taken(&self) -> Seq {
        self.state().taken
    }

    /// Everything up to here was taken.
    pub fn note_taken(&self, taken: Seq) {
        self.state().taken = taken;
    }

    /// Whether nothing is written for now.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.state().is_paused
    }

    /// Nothing is written for now, or it is again.
    pub fn note_paused(&self, is_paused: bool) {
        self.state().is_paused = is_paused;
    }

    pub(crate) fn note_dropped(&self, hand_overs: u64) {
        self.state().dropped += hand_overs;
    }

    pub(crate) fn note_damage(&self, number: u64) {
        let mut state = self.state();
        let found = state.volumes.iter_mut().find(|volume| volume.number == number);
        if let Some(volume) = found {
            volume.is_damaged = true;
        }
    }

    pub(crate) fn set_least(&self, least: Tick) {
        let mut state = self.state();
        state.least = state.least.max(least);
    }

    /// Forgets all volumes: they are found anew. What was counted stays.
    pub(crate) fn clear(&self, since: Tick) {
        let mut state = self.state();
        state.volumes.clear();
        (state.is_open, state.since) = (false, since);
    }

    /// Adds a volume at the end.
    pub(crate) fn push(&self, volume: Volume, is_open: bool) {
        let mut state = self.state();
        state.volumes.push(volume);
        state.is_open = is_open;
    }

    /// Changes the last volume; `is_open`: it is still written.
    pub(crate) fn update_last(&self, volume: Volume, is_open: bool) {
        let mut state = self.state();
        if let Some(last) = state.volumes.last_mut() {
            let is_damaged = last.is_damaged;
            *last = Volume { is_damaged: volume.is_damaged || is_damaged, ..volume };
        }
        state.is_open = is_open;
    }

    /// Takes the oldest volume away, or the one that is written if it is the only one.
    pub(crate) fn remove_oldest(&self) -> Option<Volume> {
        let mut state = self.state();
        if state.volumes.is_empty() {
            return None;
        }
        let gone = state.volumes.remove(0);
        state.since = Tick(gone.tick.0.saturating_add(1));
        state.is_open &= !state.volumes.is_empty();
        Some(gone)
    }

    /// Takes the newest volume away.
    pub(crate) fn remove_newest(&self) -> Option<Volume> {
        let mut state = self.state();
        state.is_open = false;
        state.volumes.pop()
    }

    /// The volumes that are full, oldest first.
    pub(crate) fn full(&self) -> Vec<Volume> {
        let state = self.state();
        let count = state.volumes.len() - usize::from(state.is_open);
        state.volumes.get(..count).unwrap_or_default().to_vec()
    }
}

/// What can be looked through.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// Oldest first.
    pub(crate) volumes: Vec<Volume>,
    /// Nothing is missing since then.
    pub(crate) reach: Tick,
    /// Nothing from before this is told.
    pub(crate) least: Tick,
    /// Everything up to here was taken.
    pub(crate) taken: Seq,
}

/// Since when nothing is missing: the begin of the run of volumes that follow each other up to now.
fn reach_of(volumes: &[Volume], since: Tick) -> Tick {
    let mut reach = since;
    let mut newer: Option<&Volume> = None;
    for volume in volumes.iter().rev() {
        let joins = newer.is_none_or(|newer| newer.continues(volume));
        if volume.is_damaged {
            // What can't be read is missing up to its end.
            return if newer.is_none() { Tick(volume.tick.0 + 1) } else { reach };
        }
        if !joins {
            return reach;
        }
        reach = volume.since;
        newer = Some(volume);
    }
    reach
}
