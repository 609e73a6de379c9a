//! Growth and time to exhaustion in words. Works nothing out by itself: the server tells them.

use addrd_protocol::message::{Growth, SubnetUsage};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// When a subnet is full if it grows as over the last hour.
pub(crate) fn by_hour(usage: &SubnetUsage) -> String {
    told(usage.growth_1h, usage.watched_ms, HOUR_MS)
}

/// The same of the last day.
pub(crate) fn by_day(usage: &SubnetUsage) -> String {
    told(usage.growth_24h, usage.watched_ms, DAY_MS)
}

/// When it is full by whichever is known and sooner, ms; `None` = not growing, or unknown.
pub(crate) fn soonest_ms(usage: &SubnetUsage) -> Option<u64> {
    let known = [usage.growth_1h, usage.growth_24h].into_iter().flatten();
    known.filter_map(|growth| growth.exhausted_in_ms).min()
}

/// Net growth with its sign; a dash while it is unknown.
pub(crate) fn net(growth: Option<Growth>) -> String {
    growth.map_or_else(|| "-".to_owned(), |growth| format!("{:+}", growth.net))
}

fn told(growth: Option<Growth>, watched_ms: Option<u64>, window_ms: u64) -> String {
    match (growth, watched_ms) {
        (Some(Growth { exhausted_in_ms: Some(0), .. }), _) => "full".to_owned(),
        (Some(Growth { exhausted_in_ms: Some(ms), .. }), _) => span(ms),
        (Some(_), _) => "not growing".to_owned(),
        (None, Some(watched)) if watched < window_ms => {
            format!("known in {}", span(window_ms - watched))
        }
        (None, _) => "unknown".to_owned(),
    }
}

/// A time in its two largest units.
pub(crate) fn span(ms: u64) -> String {
    let (days, hours, minutes) = (ms / DAY_MS, ms % DAY_MS / HOUR_MS, ms % HOUR_MS / MINUTE_MS);
    match (days, hours) {
        (0, 0) if minutes == 0 => "under 1 min".to_owned(),
        (0, 0) => format!("{minutes} min"),
        (0, _) => format!("{hours} h {minutes} min"),
        (1..100, _) => format!("{days} d {hours} h"),
        (100..36_500, _) => format!("{days} d"),
        _ => "over 100 y".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_known() {
        let at = |net, exhausted_in_ms| Some(Growth { net, exhausted_in_ms });
        assert_eq!(told(at(5, Some(3 * DAY_MS + 4 * HOUR_MS)), None, HOUR_MS), "3 d 4 h");
        assert_eq!(told(at(5, Some(0)), None, HOUR_MS), "full");
        assert_eq!(told(at(-5, None), None, HOUR_MS), "not growing");
        assert_eq!(told(None, Some(37 * MINUTE_MS), HOUR_MS), "known in 23 min");
        assert_eq!(told(None, Some(2 * HOUR_MS), HOUR_MS), "unknown");
        assert_eq!(told(None, None, DAY_MS), "unknown");
    }

    #[test]
    fn spans_have_two_units() {
        let all = [59_999, MINUTE_MS, HOUR_MS, DAY_MS - 1, 99 * DAY_MS, 100 * DAY_MS, u64::MAX];
        let wanted =
            ["under 1 min", "1 min", "1 h 0 min", "23 h 59 min", "99 d 0 h", "100 d", "over 100 y"];
        assert_eq!(all.map(span), wanted);
    }
}
