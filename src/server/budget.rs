//! A connection's part of the bytes in flight over all connections. Refuses, never waits.

use crate::limits::{BYTES_IN_FLIGHT_LONG_STEP, BYTES_IN_FLIGHT_STEP};
use addrd_sync::{Allowance, Share};
use std::sync::Arc;

/// What a connection has taken, in steps, so that the shared counter is touched rarely: long steps
/// while less than half of all is used, short ones beyond.
#[derive(Debug)]
pub(super) struct Budget {
    share: Share,
    allowance: Arc<Allowance>,
}

impl Budget {
    /// Nothing taken yet.
    pub(super) fn new(allowance: &Arc<Allowance>) -> Option<Self> {
        let share = Share::take(allowance, 0)?;
        Some(Self { share, allowance: Arc::clone(allowance) })
    }

    /// Bytes taken.
    pub(super) fn units(&self) -> u64 {
        self.share.units()
    }

    /// Makes sure that `bytes` are taken. False: they would pass the bound of all connections;
    /// what is taken already stays.
    #[inline]
    pub(super) fn hold(&mut self, bytes: usize) -> bool {
        let wanted = bytes as u64;
        wanted <= self.share.units() || self.take(wanted)
    }

    /// Gives back what is well above `bytes`.
    #[inline]
    pub(super) fn relax(&mut self, bytes: usize) {
        let wanted = bytes as u64;
        if self.share.units() > wanted + BYTES_IN_FLIGHT_STEP {
            self.give_back(wanted);
        }
    }

    /// Gives back all above `bytes`.
    pub(super) fn shrink(&mut self, bytes: usize) {
        let wanted = (bytes as u64).next_multiple_of(BYTES_IN_FLIGHT_STEP);
        self.share.shrink(self.share.units().saturating_sub(wanted));
    }

    #[cold]
    fn take(&mut self, wanted: u64) -> bool {
        let long = wanted.next_multiple_of(BYTES_IN_FLIGHT_LONG_STEP) - self.share.units();
        let short = wanted.next_multiple_of(BYTES_IN_FLIGHT_STEP) - self.share.units();
        (self.is_ample_for(0) && self.share.grow(long)) || self.share.grow(short)
    }

    fn give_back(&mut self, wanted: u64) {
        let slack = if self.is_ample_for(0) { 2 * BYTES_IN_FLIGHT_LONG_STEP } else { 0 };
        let kept = (wanted + slack).next_multiple_of(BYTES_IN_FLIGHT_STEP);
        self.share.shrink(self.share.units().saturating_sub(kept));
    }

    /// Less than half of all would be used with so many bytes more.
    pub(super) fn is_ample_for(&self, bytes: usize) -> bool {
        self.allowance.used().saturating_add(bytes as u64) < self.allowance.limit() / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_in_steps_and_refuses_past_the_bound_of_all() {
        let step = BYTES_IN_FLIGHT_STEP as usize;
        let allowance = Arc::new(Allowance::new(3 * BYTES_IN_FLIGHT_STEP));
        let mut first = Budget::new(&allowance).unwrap();
        let mut second = Budget::new(&allowance).unwrap();
        assert!(first.hold(1) && first.hold(step));
        assert_eq!(allowance.used(), BYTES_IN_FLIGHT_STEP);
        assert!(second.hold(step + 1));
        assert!(!first.hold(step + 1) && first.hold(step));
        second.relax(step);
        assert_eq!(allowance.used(), allowance.limit(), "a step above is not worth a change");
        second.relax(1);
        assert!(first.hold(step + 1));
        drop((first, second));
        assert_eq!(allowance.used(), 0);
    }

    #[test]
    fn steps_are_long_while_there_is_plenty_and_what_is_kept_then_comes_back() {
        let long = BYTES_IN_FLIGHT_LONG_STEP;
        let allowance = Arc::new(Allowance::new(8 * long));
        let mut first = Budget::new(&allowance).unwrap();
        assert!(first.hold(1));
        assert_eq!(allowance.used(), long);
        assert!(first.hold(6 * long as usize));
        first.relax(3 * long as usize);
        assert_eq!(allowance.used(), 3 * long, "nothing is kept while much is used");
        first.relax(0);
        assert_eq!(allowance.used(), 2 * long, "some is kept while little is used");
        first.shrink(0);
        assert_eq!(allowance.used(), 0);
    }
}
