//! Request ids of a connection that have no reply yet: a small table whose size the credit bounds.
//! Knows nothing of requests but their id and size.

use crate::limits::CONNECTION_OPERATIONS_MAX;
use std::hash::{BuildHasher, Hasher, RandomState};

/// A request without reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct InFlight {
    /// Chosen by the client; 0 marks a free place.
    pub(super) request_id: u64,
    /// Bytes of its frame.
    pub(super) frame_bytes: u32,
    /// When it was decoded, in units of 1,024 monotonic ns, wrapping (73 minutes).
    pub(super) begun: u32,
}

/// Open addressing with linear probing, at most half full; removal moves what follows back.
///
/// Shape: 16 bytes a place, 16 places at first, 512 when the whole credit is used.
#[derive(Debug)]
pub(super) struct InFlightTable {
    places: Vec<InFlight>,
    count: u32,
    multiplier: u64,
}

const PLACES_MIN: usize = 16;
const PLACES_MAX: usize = 2 * CONNECTION_OPERATIONS_MAX as usize;
const _: () = assert!(PLACES_MAX.is_power_of_two());

impl InFlightTable {
    /// Empty. Ids are scattered by a random factor, since peers choose them.
    pub(super) fn new() -> Self {
        let multiplier = RandomState::new().build_hasher().finish() | 1;
        Self { places: Vec::new(), count: 0, multiplier }
    }

    /// Requests without reply.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Remembers a request. False: its id is in flight already, nothing is changed.
    ///
    /// Panics: beyond the credit.
    pub(super) fn insert(&mut self, entry: InFlight) -> bool {
        debug_assert_ne!(entry.request_id, 0);
        assert!(self.count < CONNECTION_OPERATIONS_MAX, "more than the credit is in flight");
        if self.count as usize * 2 >= self.places.len() {
            self.grow();
        }
        let mut at = self.home(entry.request_id);
        while self.places[at].request_id != 0 {
            if self.places[at].request_id == entry.request_id {
                return false;
            }
            at = self.after(at);
        }
        self.places[at] = entry;
        self.count += 1;
        true
    }

    /// Whether a request is in flight.
    pub(super) fn contains(&self, request_id: u64) -> bool {
        self.place(request_id).is_some()
    }

    /// Forgets a request. `None`: it is not in flight.
    pub(super) fn remove(&mut self, request_id: u64) -> Option<InFlight> {
        let at = self.place(request_id)?;
        let found = self.places[at];
        self.close_gap(at);
        self.count -= 1;
        Some(found)
    }

    /// Gives memory back when nothing is in flight.
    pub(super) fn shrink(&mut self) {
        if self.count == 0 {
            self.places = Vec::new();
        }
    }

    #[inline]
    fn place(&self, request_id: u64) -> Option<usize> {
        if self.count == 0 || request_id == 0 {
            return None;
        }
        let mut at = self.home(request_id);
        while self.places[at].request_id != request_id {
            if self.places[at].request_id == 0 {
                return None;
            }
            at = self.after(at);
        }
        Some(at)
    }

    /// Moves back what was pushed past the place `gap` by its former holder.
    fn close_gap(&mut self, mut gap: usize) {
        let mask = self.places.len() - 1;
        let mut at = self.after(gap);
        while self.places[at].request_id != 0 {
            let home = self.home(self.places[at].request_id);
            let is_movable = at.wrapping_sub(home) & mask >= at.wrapping_sub(gap) & mask;
            if is_movable {
                self.places[gap] = self.places[at];
                gap = at;
            }
            at = self.after(at);
        }
        self.places[gap] = InFlight::default();
    }

    fn grow(&mut self) {
        let size = (self.places.len() * 2).clamp(PLACES_MIN, PLACES_MAX);
        let old = std::mem::replace(&mut self.places, vec![InFlight::default(); size]);
        for entry in old.into_iter().filter(|entry| entry.request_id != 0) {
            let mut at = self.home(entry.request_id);
            while self.places[at].request_id != 0 {
                at = self.after(at);
            }
            self.places[at] = entry;
        }
    }

    /// The place where the search for an id begins.
    #[inline]
    fn home(&self, request_id: u64) -> usize {
        let mixed = request_id.wrapping_mul(self.multiplier);
        (mixed >> 32) as usize & (self.places.len() - 1)
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.places.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn entry(request_id: u64) -> InFlight {
        InFlight { request_id, frame_bytes: 7, begun: 0 }
    }

    #[test]
    fn an_id_is_in_flight_until_it_is_removed() {
        let mut table = InFlightTable::new();
        assert_eq!(table.remove(1), None);
        assert!(table.insert(entry(1)));
        assert!(!table.insert(entry(1)));
        assert_eq!(table.remove(2), None);
        assert_eq!(table.remove(1), Some(entry(1)));
        assert!(table.insert(entry(1)));
        assert_eq!(table.count(), 1);
        table.shrink();
        assert!(!table.insert(entry(1)));
    }

    #[test]
    fn it_equals_a_set_over_random_ids() {
        let seed = std::env::var("ADDRD_TEST_SEED").ok().and_then(|text| text.parse().ok());
        let seed: u64 = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        eprintln_seed(seed);
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888);
            state >> 33
        };
        let (mut table, mut model) = (InFlightTable::new(), HashSet::new());
        for _ in 0..200_000 {
            let id = 1 + next() % 600;
            let has_room = model.len() < CONNECTION_OPERATIONS_MAX as usize;
            if next() % 3 > 0 && has_room {
                assert_eq!(table.insert(entry(id)), model.insert(id));
            } else {
                assert_eq!(table.remove(id).is_some(), model.remove(&id));
            }
            assert_eq!(table.count() as usize, model.len());
        }
        for id in model {
            assert!(table.remove(id).is_some());
        }
        assert_eq!(table.count(), 0);
    }

    #[expect(clippy::print_stderr, reason = "a random test prints its seed")]
    fn eprintln_seed(seed: u64) {
        eprintln!("ADDRD_TEST_SEED={seed}");
    }
}
