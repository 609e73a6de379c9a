//! Durations as people type and read them: 90s, 15m, 1h, 7d. Knows no clock.

use addrd_protocol::message::principal::TOKEN_LIFE_MS_MOST;
use addrd_protocol::message::renew::{LEASE_MS_MAX, LEASE_MS_MIN};
use addrd_protocol::message::subnet::QUARANTINE_MS_MAX;

/// Units and how many ms they have, the largest first.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A whole number and its unit, as ms.
fn ms(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at(end);
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
    digits.parse::<u64>().ok()?.checked_mul(*factor)
}

/// Any duration, ms; `None`: it is none.
pub(crate) fn span(text: &str) -> Option<u64> {
    ms(text)
}

/// The duration of a lease, ms.
///
/// # Errors
/// What was expected.
pub(crate) fn lease(text: &str) -> Result<u64, String> {
    let parsed = ms(text).filter(|ms| (LEASE_MS_MIN..=LEASE_MS_MAX).contains(ms));
    parsed
        .ok_or_else(|| "expected a duration from 1s to 3650d, such as 90s, 15m, 1h, 7d".to_owned())
}

/// How long something goes on that ends, ms; 0 = not at all.
///
/// # Errors
/// What was expected.
pub(crate) fn grace(text: &str) -> Result<u64, String> {
    let parsed = if text == "0" { Some(0) } else { ms(text) };
    let expected = || "expected 0 or a duration up to 3650d, such as 30s, 1h, 7d".to_owned();
    parsed.filter(|ms| *ms <= TOKEN_LIFE_MS_MOST).ok_or_else(expected)
}

/// How long addresses rest, ms; 0 = not at all.
///
/// # Errors
/// What was expected.
pub(crate) fn rest(text: &str) -> Result<u64, String> {
    let parsed = if text == "0" { Some(0) } else { ms(text) };
    let expected = || "expected 0 or a duration up to 365d, such as 500ms, 30s, 10m, 1h".to_owned();
    parsed.filter(|ms| *ms <= QUARANTINE_MS_MAX).ok_or_else(expected)
}

/// A pause between two refreshes, ms.
///
/// # Errors
/// What was expected.
pub(crate) fn pause(text: &str) -> Result<u64, String> {
    let parsed = ms(text).filter(|ms| (100..=3_600_000).contains(ms));
    parsed.ok_or_else(|| "expected a duration from 100ms to 1h, such as 500ms, 2s, 1m".to_owned())
}

/// Time left as people read it: the two largest units that are not zero. 0 is without end: nothing.
pub(crate) fn left(ms: u64) -> String {
    if ms == 0 {
        return String::new();
    }
    let mut rest = ms;
    let mut parts = Vec::new();
    for (unit, factor) in UNITS {
        let count = rest / factor;
        rest %= factor;
        let is_first = parts.is_empty();
        if count > 0 {
            parts.push(format!("{count}{unit}"));
        }
        // The second unit is the one just below the first.
        if !is_first {
            break;
        }
    }
    parts.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_and_bounds() {
        for (text, ms) in [("1s", 1_000), ("1500ms", 1_500), ("15m", 900_000), ("1h", 3_600_000)] {
            assert_eq!(lease(text), Ok(ms));
        }
        assert_eq!(lease("3650d"), Ok(LEASE_MS_MAX));
        for text in ["", "1", "s", "999ms", "0s", "3651d", "-1s", "1.5h", "1 h", "99999999999999d"]
        {
            assert!(lease(text).is_err(), "{text}");
        }
    }

    #[test]
    fn time_left_is_rounded_down_to_two_units() {
        for (ms, text) in [
            (0, ""),
            (1, "1ms"),
            (999, "999ms"),
            (1_001, "1s1ms"),
            (59_999, "59s999ms"),
            (60_000, "1m"),
            (61_500, "1m1s"),
            (3_600_000, "1h"),
            (3_605_000, "1h"),
            (90_061_000, "1d1h"),
        ] {
            assert_eq!(left(ms), text, "{ms}");
        }
    }
}
