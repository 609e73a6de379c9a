//! A connection's part of the bytes in flight over all connections. Refuses, never waits.

use crate::limits::BYTES_IN_FLIGHT_STEP;
use addrd_sync::{Allowance, Share};
use std::sync::Arc;

/// What a connection has taken, in steps, so that the shared counter is touched rarely.
#[derive(Debug)]
pub(super) struct Budget {
    share: Share,
}

impl Budget {
    /// Nothing taken yet.
    pub(super) fn new(allowance: &Arc<Allowance>) -> Option<Self> {
        Share::take(allowance, 0).map(|share| Self { share })
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
        let wanted = step(bytes as u64);
        if self.share.units() > wanted + BYTES_IN_FLIGHT_STEP {
            self.share.shrink(self.share.units() - wanted);
        }
    }

    /// Gives back all above `bytes`.
    pub(super) fn shrink(&mut self, bytes: usize) {
        let wanted = step(bytes as u64);
        self.share.shrink(self.share.units().saturating_sub(wanted));
    }

    #[cold]
    fn take(&mut self, wanted: u64) -> bool {
        let missing = step(wanted) - self.share.units();
        self.share.grow(missing)
    }
}

fn step(bytes: u64) -> u64 {
    bytes.next_multiple_of(BYTES_IN_FLIGHT_STEP)
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
        second.relax(1);
        assert_eq!(allowance.used(), allowance.limit(), "one step above is kept");
        second.shrink(1);
        assert!(first.hold(step + 1));
        drop((first, second));
        assert_eq!(allowance.used(), 0);
    }
}
