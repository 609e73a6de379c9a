//! When nobody is to blame for a lease that wasn't renewed: the server didn't look at its clock for a
//! while, or refused renewals. Grants nothing itself, reads no clock.

use crate::limits::{BUSY_GRACE_MS, BUSY_GRACE_MS_MAX, BUSY_QUIET_MS, CLOCK_GAP_MS_MAX};
use crate::model::Tick;
use crate::planted::{Bug, is_planted};

/// What was noticed so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Leniency {
    /// The last renewal that was refused for want of room.
    refused: Tick,
    /// Leases go on until then because of it.
    until: Tick,
    /// How long they did since it was quiet last.
    spent_ms: u64,
}

/// Whether two readings of the clock are so far apart that the server stood still in between.
pub(super) fn is_gap(last: Tick, now: Tick) -> bool {
    last.0 != 0 && now.since(last) > CLOCK_GAP_MS_MAX && !is_planted(Bug::GapIgnored)
}

impl Leniency {
    /// A renewal was refused last at `refused`; until when leases go on because of it, if that is longer
    /// than before.
    ///
    /// In all they go on for [`BUSY_GRACE_MS_MAX`] at most, until [`BUSY_QUIET_MS`] pass without a
    /// refusal: else nobody's leases would end while somebody floods the server.
    pub(super) fn excuse(&mut self, now: Tick, refused: Tick) -> Option<Tick> {
        if now.since(self.refused) > BUSY_QUIET_MS {
            self.spent_ms = 0;
        }
        if refused <= self.refused {
            return None;
        }
        self.refused = refused;
        let until = Tick(refused.0.saturating_add(BUSY_GRACE_MS));
        let more = until.since(self.until.max(refused));
        if self.spent_ms.saturating_add(more) > BUSY_GRACE_MS_MAX || until <= now {
            return None;
        }
        self.spent_ms += more;
        self.until = until;
        Some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_more_than_five_seconds() {
        assert!(!is_gap(Tick(0), Tick(1_000_000)), "there was no reading before");
        assert!(!is_gap(Tick(1_000), Tick(6_000)));
        assert!(is_gap(Tick(1_000), Tick(6_001)));
    }

    #[test]
    fn refusals_hold_up_expiry_for_ten_seconds_each_and_ten_minutes_in_all() {
        let mut leniency = Leniency::default();
        assert_eq!(leniency.excuse(Tick(1_000), Tick(0)), None, "nothing was refused");
        let begin = 1_000_000;
        assert_eq!(leniency.excuse(Tick(begin), Tick(begin)), Some(Tick(begin + 10_000)));
        assert_eq!(leniency.excuse(Tick(begin + 1), Tick(begin)), None, "that was told before");
        let mut last = 0;
        for second in 1..3_600 {
            let now = Tick(begin + second * 1_000);
            last = leniency.excuse(now, now).map_or(last, |until| until.0);
        }
        assert_eq!(last, begin + 600_000, "somebody who floods holds up nothing for longer");
        let later = Tick(begin + 3_600_000 + 600_000);
        assert!(leniency.excuse(later, later).is_some(), "after a quiet time it counts anew");
    }
}
