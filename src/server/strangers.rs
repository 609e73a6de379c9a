//! Addresses from which somebody was refused at HELLO, and how long the next refusal there takes. Whoever is let in
//! is not looked at here, so a good client is not delayed by a bad neighbour. Reads no clock, waits for nobody.
//!
//! Source: docs/decisions/0041-rates-and-shares.md.

use super::accounts::Payer;
use crate::limits;
use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Refusals by where they came from.
///
/// Shape: at most `entries_max`; one is forgotten a minute after its last refusal. The hash is seeded at random,
/// since peers choose what is in it.
#[derive(Debug)]
pub(super) struct Strangers {
    entries: Mutex<HashMap<Payer, Entry, RandomState>>,
    entries_max: usize,
}

#[derive(Debug)]
struct Entry {
    refusals: u32,
    last: Instant,
    /// Refusals that wait, or did a short while ago: each has one of the places of its address before HELLO.
    delays: u32,
    delays_since: Instant,
}

impl Strangers {
    /// Nobody was refused.
    pub(super) fn new(entries_max: usize) -> Self {
        Self { entries: Mutex::default(), entries_max }
    }

    /// Somebody from there is refused; how long he waits for the answer.
    ///
    /// While as many places as there may be are remembered, whoever comes from another waits as after the first
    /// refusals: nobody gets free of the delay by filling the table.
    pub(super) fn refused(&self, place: Payer, now: Instant) -> Duration {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= self.entries_max && !entries.contains_key(&place) {
            return delay_of(limits::STRANGER_REFUSALS_FREE + 1);
        }
        let fresh = Entry { refusals: 0, last: now, delays: 0, delays_since: now };
        let entry = entries.entry(place).or_insert(fresh);
        if entry.is_over(now) {
            entry.refusals = 0;
        }
        entry.refusals = entry.refusals.saturating_add(1);
        entry.last = now;
        entry.delay(now)
    }

    /// Forgets; called about once a second.
    pub(super) fn sweep(&self, now: Instant) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, entry| !entry.is_over(now));
    }

    /// Places remembered.
    pub(super) fn count(&self) -> usize {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Entry {
    /// How long a refusal waits. Beyond some at a time they don't: their places are for good clients of the same address.
    fn delay(&mut self, now: Instant) -> Duration {
        let delay = delay_of(self.refusals);
        if now >= self.delays_since + Duration::from_millis(limits::STRANGER_DELAY_MS_MAX) {
            (self.delays, self.delays_since) = (0, now);
        }
        if delay.is_zero() || self.delays >= limits::STRANGER_DELAYS_MAX {
            return Duration::ZERO;
        }
        self.delays += 1;
        delay
    }

    fn is_over(&self, now: Instant) -> bool {
        now >= self.last + Duration::from_millis(limits::STRANGER_WINDOW_MS)
    }
}

/// Doubles with each refusal beyond the free ones, up to the longest.
fn delay_of(refusals: u32) -> Duration {
    let Some(beyond) = refusals.checked_sub(limits::STRANGER_REFUSALS_FREE + 1) else {
        return Duration::ZERO;
    };
    let factor = 1_u64.checked_shl(beyond).unwrap_or(u64::MAX);
    let ms = limits::STRANGER_DELAY_MS.saturating_mul(factor);
    Duration::from_millis(ms.min(limits::STRANGER_DELAY_MS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn three_are_free_and_then_each_takes_twice_as_long_up_to_some_seconds() {
        let (strangers, start) = (Strangers::new(10), Instant::now());
        let mut delays = Vec::new();
        for number in 0..40 {
            delays.push(strangers.refused(Payer::User(1), at(start, number * 1_000)).as_millis());
        }
        assert_eq!(delays[..8], [0, 0, 0, 1_000, 2_000, 4_000, 4_000, 4_000]);
        assert_eq!(delays[39], 4_000);
        assert_eq!(strangers.refused(Payer::User(2), start), Duration::ZERO, "another's are free");
        // A minute later it is as if nothing had been.
        let later = at(start, 39_000 + limits::STRANGER_WINDOW_MS);
        assert_eq!(strangers.refused(Payer::User(1), later), Duration::ZERO);
    }

    #[test]
    fn a_bounded_number_of_places_is_taken_by_those_who_wait() {
        let (strangers, start) = (Strangers::new(3), Instant::now());
        let place = || Payer::User(1);
        let waiting = (0..1_000).filter(|_| !strangers.refused(place(), start).is_zero()).count();
        assert_eq!(waiting, limits::STRANGER_DELAYS_MAX as usize);
        let later = at(start, limits::STRANGER_DELAY_MS_MAX);
        assert!(!strangers.refused(place(), later).is_zero(), "those before have gone by now");
    }

    #[test]
    fn the_table_is_bounded_and_who_fills_it_gets_free_of_nothing() {
        let (strangers, start) = (Strangers::new(3), Instant::now());
        for user in 0..3 {
            assert_eq!(strangers.refused(Payer::User(user), start), Duration::ZERO);
        }
        for user in 3..100 {
            assert_eq!(strangers.refused(Payer::User(user), start), Duration::from_secs(1));
            assert_eq!(strangers.count(), 3);
        }
        let later = at(start, limits::STRANGER_WINDOW_MS);
        strangers.sweep(later);
        assert_eq!(strangers.refused(Payer::User(100), later), Duration::ZERO);
        assert_eq!(strangers.count(), 1);
        strangers.sweep(at(start, 2 * limits::STRANGER_WINDOW_MS));
        assert_eq!(strangers.count(), 0);
    }
}
