//! What a load thread counted: successes, what was asked to come later, failures. Prints nothing.

use addrd_client::protocol::Status;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;

/// Longest latency that is told apart, ns: 10 minutes.
const LATENCY_NS_MAX: u64 = 600_000_000_000;

/// Successes with their latencies, refusals for overload, and failures by status.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub(super) operations: u64,
    /// Answers `BUSY` and `RATE_LIMITED`. Each is repeated as advised and ends as a success or a failure, so it is
    /// none of both: what it cost is in the latency, which counts from the first try.
    pub(super) busy: u64,
    /// By the number of the status.
    pub(super) errors: BTreeMap<u16, u64>,
    latency_ns: Histogram<u64>,
}

impl Default for Tally {
    fn default() -> Self {
        let latency_ns = Histogram::new_with_bounds(100, LATENCY_NS_MAX, 3);
        Self {
            operations: 0,
            busy: 0,
            errors: BTreeMap::new(),
            // These bounds are lawful; the fallback grows instead.
            latency_ns: latency_ns.unwrap_or_else(|_| Histogram::new_from(&empty())),
        }
    }
}

fn empty() -> Histogram<u64> {
    match Histogram::new(3) {
        Ok(histogram) => histogram,
        Err(_) => unreachable!("three digits are lawful"),
    }
}

impl Tally {
    #[inline]
    pub(super) fn succeeded(&mut self, latency_ns: u64) {
        self.operations += 1;
        self.latency_ns.saturating_record(latency_ns);
    }

    pub(super) fn refused(&mut self, status: Status) {
        if matches!(status, Status::BUSY | Status::RATE_LIMITED) {
            self.busy += 1;
            return;
        }
        *self.errors.entry(status.0).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.operations += other.operations;
        self.busy += other.busy;
        for (status, count) in &other.errors {
            *self.errors.entry(*status).or_default() += count;
        }
        // Both have the same bounds.
        let _ = self.latency_ns.add(&other.latency_ns);
    }

    pub(super) fn errors_total(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Latency at a quantile of 0 to 1, us.
    pub(super) fn quantile_us(&self, quantile: f64) -> f64 {
        self.latency_ns.value_at_quantile(quantile) as f64 / 1e3
    }

    /// Highest latency, us.
    pub(super) fn max_us(&self) -> f64 {
        self.latency_ns.max() as f64 / 1e3
    }

    /// Mean latency, us.
    pub(super) fn mean_us(&self) -> f64 {
        self.latency_ns.mean() / 1e3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_quantiles() {
        let (mut one, mut two) = (Tally::default(), Tally::default());
        (1..=1_000).for_each(|us| one.succeeded(us * 1_000));
        two.succeeded(u64::MAX);
        two.refused(Status::EXHAUSTED);
        two.refused(Status::BUSY);
        two.refused(Status::RATE_LIMITED);
        one.add(&two);
        assert_eq!((one.operations, one.busy, one.errors_total()), (1_001, 2, 1));
        assert!((one.quantile_us(0.5) - 500.0).abs() < 5.0, "{}", one.quantile_us(0.5));
        assert!(one.max_us() >= 599_000_000.0);
    }
}
