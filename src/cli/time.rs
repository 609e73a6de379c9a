//! Moments as people write and read them: UTC as in RFC 3339, a day, or so long ago. Knows no server.

use super::duration;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment, ms since 1970-01-01 UTC.
///
/// # Errors
/// What was expected.
pub(crate) fn moment(text: &str) -> Result<u64, String> {
    let ago = || duration::span(text).map(|ms| now_ms().saturating_sub(ms));
    let written = |text: &str| {
        let time = humantime::parse_rfc3339_weak(text).ok()?;
        ms_of(time)
    };
    let found = match text {
        "now" => Some(now_ms()),
        _ => ago().or_else(|| written(text)).or_else(|| written(&format!("{text} 00:00:00"))),
    };
    found.ok_or_else(|| {
        "expected a time in UTC such as 2026-02-03T04:05:06Z or 2026-02-03, or how long ago: 90s, 15m, 2h, 7d"
            .to_owned()
    })
}

/// The same for people.
pub(crate) fn told(ms: u64) -> String {
    let time = UNIX_EPOCH.checked_add(Duration::from_millis(ms));
    // Beyond the year 9999 it has no such form.
    let time = time.filter(|_| ms < MS_MAX);
    time.map_or_else(|| ms.to_string(), |time| humantime::format_rfc3339_millis(time).to_string())
}

/// The year 10,000, ms.
const MS_MAX: u64 = 253_402_300_800_000;

#[expect(clippy::disallowed_methods, reason = "what people mean by now is their own clock")]
pub(crate) fn now_ms() -> u64 {
    ms_of(SystemTime::now()).unwrap_or_default()
}

fn ms_of(time: SystemTime) -> Option<u64> {
    u64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_they_are_told() {
        for ms in [0, 1, 951_782_400_000, 1_793_000_000_123, MS_MAX - 1] {
            assert_eq!(moment(&told(ms)), Ok(ms));
        }
        assert_eq!(told(MS_MAX), MS_MAX.to_string());
        assert_eq!(moment("2000-02-29"), Ok(951_782_400_000));
        assert_eq!(moment("2000-02-29 00:00:01"), Ok(951_782_401_000));
        let hour_ago = moment("1h").unwrap();
        assert!(now_ms() - hour_ago >= 3_600_000 && now_ms() - hour_ago < 3_660_000);
        for text in ["", "yesterday", "2001-02-29", "2026-13-01", "5", "10:00", "-5m"] {
            assert!(moment(text).is_err(), "{text}");
        }
    }
}
