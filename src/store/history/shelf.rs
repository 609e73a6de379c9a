//! Which volumes there are, shared between the thread that writes them and those that look things up.
//! Reads no file.

use crate::model::{Incarnation, Seq, Tick};
use crate::planted::{Bug, is_planted};
use std::collections::BTreeSet;
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
    /// Some of it can't be read.
    pub(crate) is_damaged: bool,
}

impl Volume {
    pub(crate) const fn is_empty(&self) -> bool {
        self.last.0 < self.first.0
    }
}

/// What there is of history.
#[derive(Debug)]
pub struct Shelf {
    state: Mutex<State>,
}

/// What comes next: whether the volumes reach up to now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Next {
    pub(crate) incarnation: Incarnation,
    /// The hand-over that is taken next.
    pub(crate) seq: Seq,
    /// From it on, nothing is missing since then.
    pub(crate) since: Tick,
}

#[derive(Clone, Debug, Default)]
struct State {
    /// Oldest first; the last one is written if `is_open`.
    volumes: Vec<Volume>,
    is_open: bool,
    /// How often volumes were found in files.
    finding: u64,
    next: Next,
    /// Nothing from before this is told.
    least: Tick,
    /// Everything up to here was taken, and can be read as far as it is kept.
    taken: Seq,
    dropped: u64,
    /// What is missing in front of this was counted.
    counted: Seq,
    is_paused: bool,
    /// Files of no volume that are to go and couldn't be removed, and their bytes.
    left: Vec<(String, u64)>,
    /// The volume that couldn't be removed last.
    stays: Option<u64>,
    /// Volumes whose indexes were looked at in this life.
    seen: BTreeSet<u64>,
    /// Volumes with an index that a question couldn't use, and all that ever were.
    torn: BTreeSet<u64>,
    were_torn: BTreeSet<u64>,
}

/// What operators see of history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryFigures {
    /// It is complete from this moment on.
    pub reach: Tick,
    /// Bytes of its files, also of those that are to go and can't be removed.
    pub bytes: u64,
    /// Volumes.
    pub volumes: u64,
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
        let next = Next { since, ..Next::default() };
        Self { state: Mutex::new(State { next, ..State::default() }) }
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
            reach: reach_of(&state.volumes, &state.next).max(state.least),
            bytes: sum(|volume| volume.bytes)
                + state.left.iter().map(|(_, bytes)| bytes).sum::<u64>(),
            volumes: state.volumes.len() as u64,
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
        let reach = reach_of(&volumes, &state.next).max(state.least);
        let State { least, taken, finding, .. } = *state;
        View { volumes, reach, least, taken, finding }
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

    /// What comes next begins behind a gap: nothing is complete before `since`.
    pub fn note_missed(&self, seq: Seq, since: Tick) {
        let mut state = self.state();
        let next = &mut state.next;
        (next.seq, next.since) = (seq.max(next.seq), since.max(next.since));
    }

    /// What is behind `last` and in front of `next` is missing. It is said at each begin until something is
    /// written behind it: what was counted isn't counted again.
    pub(crate) fn note_dropped(&self, last: Seq, next: Seq) {
        let mut state = self.state();
        let from = last.0.saturating_add(1).max(state.counted.0);
        state.dropped += next.0.saturating_sub(from);
        state.counted = state.counted.max(next);
    }

    /// Something in a volume can't be read, as it was seen after files were found so often. Since then it may
    /// have been cut, read again, or another one may have its number: then nothing is known of what there is now.
    pub(crate) fn note_damage(&self, looked: &Volume, finding: u64) {
        let mut state = self.state();
        if state.finding != finding {
            return;
        }
        let is_it =
            |volume: &&mut Volume| volume.number == looked.number && volume.end >= looked.end;
        let found = state.volumes.iter_mut().find(is_it);
        if let Some(volume) = found {
            volume.is_damaged = true;
        }
    }

    pub(crate) fn set_least(&self, least: Tick) {
        let mut state = self.state();
        state.least = state.least.max(least);
    }

    /// The disk refused to remove a file that is of no volume any more.
    pub(super) fn note_left(&self, name: &str, bytes: u64) {
        let mut state = self.state();
        state.left.retain(|(left, _)| left != name);
        let bytes = if is_planted(Bug::HistoryLeftNotCounted) { 0 } else { bytes };
        state.left.push((name.to_owned(), bytes));
    }

    /// A file that was to go is gone.
    pub(super) fn note_gone(&self, name: &str) {
        self.state().left.retain(|(left, _)| left != name);
    }

    /// Files that the disk refused to remove.
    pub(super) fn left(&self) -> Vec<String> {
        self.state().left.iter().map(|(name, _)| name.clone()).collect()
    }

    /// All volumes as they were found, and what can't be removed, instead of those before; none is written.
    pub(super) fn replace(&self, volumes: Vec<Volume>, left: Vec<(String, u64)>) {
        let mut state = self.state();
        (state.volumes, state.left) = (volumes, left);
        state.finding += 1;
        let numbers: BTreeSet<u64> = state.volumes.iter().map(|volume| volume.number).collect();
        state.seen.retain(|number| numbers.contains(number));
        state.were_torn.retain(|number| numbers.contains(number));
        state.is_open = false;
    }

    /// What comes next.
    pub(crate) fn set_next(&self, next: Next) {
        self.state().next = next;
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
        if state.volumes.is_empty() && state.next.seq.0 == gone.last.0.saturating_add(1) {
            state.next.since = Tick(gone.tick.0.saturating_add(1));
        }
        state.is_open &= !state.volumes.is_empty();
        Some(gone)
    }

    /// The oldest volume couldn't be removed: it is there still. Tells whether that is news.
    pub(super) fn return_oldest(&self, volume: Volume) -> bool {
        let mut state = self.state();
        state.volumes.insert(0, volume);
        state.stays.replace(volume.number) != Some(volume.number)
    }

    /// Takes the newest volume away.
    pub(crate) fn remove_newest(&self) -> Option<Volume> {
        let mut state = self.state();
        state.is_open = false;
        state.volumes.pop()
    }

    /// Whether a volume is there.
    pub(super) fn has(&self, number: u64) -> bool {
        self.state().volumes.iter().any(|volume| volume.number == number)
    }

    /// A volume has so many bytes now.
    pub(super) fn set_bytes(&self, number: u64, bytes: u64) {
        let mut state = self.state();
        let found = state.volumes.iter_mut().find(|volume| volume.number == number);
        if let Some(volume) = found {
            volume.bytes = bytes;
        }
    }

    /// Full volumes whose indexes nobody has looked at to the end in this life, oldest first.
    pub(super) fn unseen(&self) -> Vec<u64> {
        let full = self.full();
        let state = self.state();
        let numbers = full.iter().map(|volume| volume.number);
        numbers.filter(|number| !state.seen.contains(number)).collect()
    }

    /// The index of a volume was looked at, and made anew if it was broken and could be.
    pub(super) fn note_seen(&self, number: u64) {
        let mut state = self.state();
        state.seen.insert(number);
        state.torn.remove(&number);
    }

    /// The index of a volume can't be used. Once in a life it is made anew.
    pub(super) fn note_torn(&self, number: u64) {
        let mut state = self.state();
        if state.were_torn.insert(number) {
            state.torn.insert(number);
        }
    }

    /// A volume whose index is to be made anew: until [`Shelf::note_seen`], which may be in front of a pause.
    pub(super) fn torn(&self) -> Option<u64> {
        self.state().torn.first().copied()
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
    /// How often volumes were found in files until then.
    pub(crate) finding: u64,
}

/// Since when nothing is missing: the begin of the run of volumes that follow each other up to now.
fn reach_of(volumes: &[Volume], next: &Next) -> Tick {
    let mut reach = next.since;
    let (mut incarnation, mut first) = (next.incarnation, next.seq);
    for volume in volumes.iter().rev() {
        let joins = volume.incarnation == incarnation && volume.last.0.saturating_add(1) == first.0;
        if !joins {
            return reach;
        }
        if volume.is_damaged {
            // What can't be read is missing up to its end.
            return reach.max(Tick(volume.tick.0.saturating_add(1)));
        }
        reach = volume.since;
        (incarnation, first) = (volume.incarnation, volume.first);
    }
    reach
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOLUME: Volume = Volume {
        number: 3,
        incarnation: Incarnation(1),
        first: Seq(1),
        last: Seq(9),
        since: Tick(0),
        tick: Tick(5),
        names: 0,
        begin: 64,
        end: 500,
        bytes: 500,
        is_damaged: false,
    };

    /// A question takes a while: what it found is of the volumes that it saw.
    #[test]
    fn damage_is_noted_only_of_what_was_looked_at() {
        let shelf = Shelf::default();
        shelf.replace(vec![VOLUME], Vec::new());
        let seen = shelf.view();
        let note = || shelf.note_damage(&seen.volumes[0], seen.finding);
        // What wasn't synced was given up, and will come again.
        shelf.update_last(Volume { end: 300, last: Seq(5), ..VOLUME }, false);
        note();
        assert_eq!(shelf.figures().damaged, 0);
        // The files were read again, and another one has the number.
        shelf.replace(vec![VOLUME], Vec::new());
        note();
        assert_eq!(shelf.figures().damaged, 0);
        let seen = shelf.view();
        shelf.update_last(Volume { end: 700, last: Seq(12), ..VOLUME }, true);
        shelf.note_damage(&seen.volumes[0], seen.finding);
        assert_eq!(shelf.figures().damaged, 1, "what is appended heals nothing");
    }
}
