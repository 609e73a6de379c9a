//! Small shared values: a flag, a level, a serial number. They wake nobody: ring a doorbell after
//! raising a flag that a sleeper looks at.

use crate::prim::{AtomicBool, AtomicU64, Ordering};

/// True for ever once raised: stop, failed, expiry stopped.
///
/// Concurrency: who sees it raised also sees all that was done before it was raised.
#[derive(Debug)]
pub struct Flag(AtomicBool);

impl Flag {
    /// Not raised.
    #[must_use]
    pub fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Raises the flag. True for the one caller that did it first.
    pub fn raise(&self) -> bool {
        // Release: pairs with the acquire in `is_raised`. Acquire: who comes second sees what the
        // first one did, such as the reason it wrote down.
        !self.0.swap(true, Ordering::AcqRel)
    }

    /// True once somebody has raised it.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        // Acquire: pairs with the release in `raise`.
        self.0.load(Ordering::Acquire)
    }
}

impl Default for Flag {
    fn default() -> Self {
        Self::new()
    }
}

/// A number for people and metrics that several threads change.
///
/// Concurrency: all accesses are relaxed, no decision about other memory may rest on it.
#[derive(Debug)]
pub struct Level(AtomicU64);

impl Level {
    /// Starts at `value`.
    #[must_use]
    pub fn new(value: u64) -> Self {
        Self(AtomicU64::new(value))
    }

    /// Adds, wrapping at 2^64.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// Takes away.
    ///
    /// Panics: if the level is lower than `amount`.
    pub fn sub(&self, amount: u64) {
        let before = self.0.fetch_sub(amount, Ordering::Relaxed);
        assert!(before >= amount, "a level of {before} can't sink by {amount}");
    }

    /// Replaces the value.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Raises the value to `value` if it is lower: for high-water marks.
    pub fn raise(&self, value: u64) {
        self.0.fetch_max(value, Ordering::Relaxed);
    }

    /// The value.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Default for Level {
    fn default() -> Self {
        Self::new(0)
    }
}

/// Numbers that are handed out once: connections, sessions, jobs.
#[derive(Debug)]
pub struct Serial(AtomicU64);

impl Serial {
    /// The first number handed out will be `first`.
    #[must_use]
    pub fn starting_at(first: u64) -> Self {
        Self(AtomicU64::new(first))
    }

    /// The next number; no two calls get the same one.
    pub fn next(&self) -> u64 {
        // Relaxed: a read-modify-write is exact, and nothing else is ordered by it.
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prim::Arc;
    use crate::testing::{Shelf, model, size, spawn};

    #[test]
    fn loom_one_caller_raises_a_flag_and_the_rest_see_what_it_did() {
        for _ in 0..size(1, 1_000) {
            model(|| {
                let flag = Arc::new(Flag::new());
                let reason = Arc::new(Shelf::new());
                let other = {
                    let (flag, reason) = (Arc::clone(&flag), Arc::clone(&reason));
                    spawn(move || {
                        reason.put(1);
                        flag.raise()
                    })
                };
                if flag.is_raised() {
                    assert_eq!(reason.look(), 1);
                }
                let was_first = flag.raise();
                if !was_first {
                    assert_eq!(reason.look(), 1);
                }
                assert_ne!(other.join().unwrap(), was_first);
                assert!(flag.is_raised());
            });
        }
    }

    #[test]
    fn loom_a_level_loses_no_change() {
        let rounds = size(2, 20_000);
        model(move || {
            let level = Arc::new(Level::new(1));
            let other = {
                let level = Arc::clone(&level);
                spawn(move || (0..rounds).for_each(|_| level.add(2)))
            };
            (0..rounds).for_each(|_| {
                level.add(1);
                level.sub(1);
            });
            other.join().unwrap();
            assert_eq!(level.get(), 1 + 2 * rounds);
            level.raise(1);
            assert_eq!(level.get(), 1 + 2 * rounds);
            level.set(0);
            level.raise(9);
            assert_eq!(level.get(), 9);
        });
    }

    #[test]
    #[should_panic(expected = "can't sink")]
    fn a_level_does_not_sink_below_zero() {
        model(|| Level::default().sub(1));
    }

    #[test]
    fn loom_serial_numbers_are_handed_out_once() {
        let rounds = size(2, 10_000);
        model(move || {
            let serial = Arc::new(Serial::starting_at(5));
            let draw = move |serial: Arc<Serial>| (0..rounds).map(|_| serial.next()).collect();
            let other = {
                let serial = Arc::clone(&serial);
                spawn(move || -> Vec<u64> { draw(serial) })
            };
            let mut drawn: Vec<u64> = draw(Arc::clone(&serial));
            drawn.extend(other.join().unwrap());
            drawn.sort_unstable();
            assert_eq!(drawn, (5..5 + 2 * rounds).collect::<Vec<_>>());
        });
    }
}
