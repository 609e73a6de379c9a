//! How fast subnets fill: use at past times, sampled now and then off the hot path, and what follows
//! from it. Reads no clock: times are those of the samples.
//!
//! All subnets of a shard are sampled in one pass, a bounded number at a time, and the times of the
//! passes are kept once a shard. Of use, a subnet keeps the last values of two series: every five
//! minutes for an hour, every two hours for a day. One whose use never changed keeps one number.
//!
//! Samples are not stored: after a start growth is unknown until there is a sample as old as it needs.
//! Source: docs/decisions/0029-usage-levels.md.

use super::levels::use_of;
use super::shard::Shard;
use super::subnet::Subnet;
use crate::limits::{
    GROWTH_DAY_MS, GROWTH_HOUR_MS, GROWTH_LONG_EVERY, GROWTH_SAMPLE_MS, GROWTH_SAMPLES,
    GROWTH_SLACK_PERCENT,
};
use crate::model::Tick;
use crate::planted::{Bug, is_planted};
use addrd_protocol::message::Growth;

/// Values of one series.
const SAMPLES: usize = GROWTH_SAMPLES;

/// When the values of a series were taken; place = pass modulo [`SAMPLES`].
#[derive(Clone, Copy, Debug, Default)]
struct Series {
    ticks: [u64; SAMPLES],
    /// Passes so far.
    passes: u64,
}

impl Series {
    const fn place(pass: u64) -> usize {
        (pass % SAMPLES as u64) as usize
    }

    fn begin(&mut self, now: Tick) {
        self.ticks[Self::place(self.passes)] = now.0;
        self.passes += 1;
    }

    /// Place and age of the value that is about so old, of those since pass `first`, except the last
    /// `pending` ones.
    fn near(&self, age_ms: u64, now: Tick, first: u64, end: u64) -> Option<(usize, u64)> {
        let oldest = self.passes.saturating_sub(SAMPLES as u64).max(first);
        let ages = (oldest..end).map(|pass| {
            let place = Self::place(pass);
            (place, now.0.saturating_sub(self.ticks[place]))
        });
        let slack = age_ms / 100 * GROWTH_SLACK_PERCENT;
        let is_any = is_planted(Bug::GrowthOfAnyAge);
        ages.filter(|(_, age)| is_any || age.abs_diff(age_ms) <= slack)
            .min_by_key(|(_, age)| age.abs_diff(age_ms))
    }
}

/// The passes of a shard.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Passes {
    /// Every five minutes.
    short: Series,
    /// Every two hours.
    long: Series,
    /// The next subnet of the pass under way.
    next: Option<u32>,
    /// When the last pass began.
    began: Tick,
}

/// Use of a subnet at past times, in units of `2^shift` addresses.
///
/// Shape: 32 bytes, and 208 more once its use has changed.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples {
    values: Option<Box<Values>>,
    /// The last value; the only one there ever was without `values`.
    last: u64,
    /// When the first value was taken.
    since: Tick,
    /// The short pass in which that was, plus one; 0 = there is none.
    first: u32,
}

#[derive(Clone, Debug)]
struct Values {
    short: [u64; SAMPLES],
    long: [u64; SAMPLES],
}

/// Growth over an hour and over a day, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outlook {
    pub(super) hour: Option<Growth>,
    pub(super) day: Option<Growth>,
    /// How long use has been watched, ms.
    pub(super) watched_ms: u64,
}

impl Samples {
    /// What counts as used became other addresses: that is no growth.
    pub(super) fn shift(&mut self, before: u128, after: u128, shift: u32) {
        if is_planted(Bug::ShiftIsGrowth) {
            return;
        }
        let by = u64::try_from(before.abs_diff(after) >> shift).unwrap_or(u64::MAX);
        let with = if after >= before { u64::saturating_add } else { u64::saturating_sub };
        let values =
            self.values.iter_mut().flat_map(|all| all.short.iter_mut().chain(&mut all.long));
        values.chain([&mut self.last]).for_each(|value| *value = with(*value, by));
    }

    fn take(&mut self, used: u64, passes: &Passes) {
        let short = passes.short.passes - 1;
        if self.first == 0 {
            self.first = u32::try_from(short + 1).unwrap_or(u32::MAX);
            (self.last, self.since) = (used, passes.began);
            return;
        }
        if self.values.is_none() && used != self.last {
            let all = [self.last; SAMPLES];
            self.values = Some(Box::new(Values { short: all, long: all }));
        }
        self.last = used;
        if let Some(values) = &mut self.values {
            values.short[Series::place(short)] = used;
            if short.is_multiple_of(GROWTH_LONG_EVERY) {
                values.long[Series::place(short / GROWTH_LONG_EVERY)] = used;
            }
        }
    }
}

/// Net growth since `then`, and when `free` is used up if it goes on so.
fn growth(then: u128, now: u128, free: u128, age_ms: u64) -> Growth {
    let net = i128::try_from(now.abs_diff(then)).unwrap_or(i128::MAX);
    let net = if now >= then { net } else { -net };
    let exhausted_in_ms = match (u128::try_from(net).unwrap_or(0), free) {
        (_, 0) => Some(0),
        (0, _) => None,
        (grown, free) => {
            let age = u128::from(age_ms);
            // Beyond 128 bits it is no time that anybody waits for.
            let ms = free.checked_mul(age).map_or(u128::MAX, |product| product / grown);
            u64::try_from(ms).ok().filter(|ms| *ms < u64::MAX)
        }
    };
    Growth { net, exhausted_in_ms }
}

impl Passes {
    /// What follows from the samples of a subnet.
    fn outlook(&self, samples: &Samples, subnet: &Subnet, now: Tick, at: u32) -> Outlook {
        let Some(first) = samples.first.checked_sub(1) else { return Outlook::default() };
        let (used, _) = use_of(subnet);
        let shift = shift_of(subnet);
        // In a pass under way, the subnets behind the next one have no value of it yet.
        let is_ahead = self.next.is_some_and(|next| at >= next);
        let short_end = self.short.passes - u64::from(is_ahead);
        let began_long = is_ahead && (self.short.passes - 1).is_multiple_of(GROWTH_LONG_EVERY);
        let long_end = self.long.passes - u64::from(began_long);
        let short_first = u64::from(first);
        // Both are cut to the same units, so that use which stays doesn't seem to grow.
        let used = (used >> shift) << shift;
        let value = |values: fn(&Values) -> &[u64; SAMPLES], place: usize| {
            let value = samples.values.as_deref().map_or(samples.last, |all| values(all)[place]);
            u128::from(value) << shift
        };
        // Without addresses to hand out there is nothing that could be used up.
        let free = if subnet.pieces.open() == 0 { u128::MAX } else { subnet.pieces.free() };
        let hour = self.short.near(GROWTH_HOUR_MS, now, short_first, short_end);
        let hour = hour.map(|(place, age)| growth(value(|v| &v.short, place), used, free, age));
        let long_first = short_first.div_ceil(GROWTH_LONG_EVERY);
        let day = self.long.near(GROWTH_DAY_MS, now, long_first, long_end);
        let day = day.map(|(place, age)| growth(value(|v| &v.long, place), used, free, age));
        Outlook { hour, day, watched_ms: now.since(samples.since) }
    }
}

/// Units of samples: a prefix of more than 2^64 addresses is counted more coarsely.
pub(super) fn shift_of(subnet: &Subnet) -> u32 {
    u32::from(subnet.host_bits).saturating_sub(64)
}

impl Shard {
    /// Samples the use of at most `examine` subnets, if it is time. True: there are more to sample.
    pub fn sample_use(&mut self, now: Tick, examine: u32) -> bool {
        let passes = &mut self.passes;
        if passes.next.is_none() {
            let is_due = passes.short.passes == 0 || now.since(passes.began) >= GROWTH_SAMPLE_MS;
            if !is_due {
                return false;
            }
            if passes.short.passes.is_multiple_of(GROWTH_LONG_EVERY) {
                passes.long.begin(now);
            }
            passes.short.begin(now);
            (passes.began, passes.next) = (now, Some(0));
        }
        let first = passes.next.unwrap_or(0);
        let end = first.saturating_add(examine).min(self.subnets.high());
        let known = *passes;
        for at in first..end {
            if self.subnets.get(at).is_some() {
                let subnet = self.subnets.at_mut(at);
                let used = use_of(subnet).0 >> shift_of(subnet);
                subnet.samples.take(u64::try_from(used).unwrap_or(u64::MAX), &known);
            }
        }
        let is_done = end >= self.subnets.high();
        self.passes.next = (!is_done).then_some(end);
        !is_done
    }

    /// When its subnets were sampled last.
    #[must_use]
    pub const fn sampled_at(&self) -> Tick {
        self.passes.began
    }

    /// How fast a subnet fills.
    pub(super) fn outlook(&self, at: u32, now: Tick) -> Outlook {
        let subnet = self.subnets.at(at);
        self.passes.outlook(&subnet.samples, subnet, now, at)
    }
}

#[cfg(test)]
mod tests;
