//! Values as text: numbers, sizes, durations, addresses. Each error says what is allowed.

use crate::limits;
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

pub(super) type Parsed<T> = Result<T, String>;

/// Units of sizes; the first that fits wins.
const SIZES: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
/// Units of durations, in ms.
const DURATIONS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

pub(super) fn boolean(text: &str) -> Parsed<bool> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

pub(super) fn number<T>(text: &str, allowed: RangeInclusive<T>) -> Parsed<T>
where
    T: FromStr + PartialOrd + fmt::Display,
{
    let digits = text.replace('_', "");
    let number = digits.parse().ok().filter(|number| allowed.contains(number));
    number.ok_or_else(|| {
        format!("expected a whole number from {} to {}", allowed.start(), allowed.end())
    })
}

/// 0 = left to the server.
pub(super) fn automatic<T>(text: &str, allowed: RangeInclusive<T>) -> Parsed<Option<T>>
where
    T: FromStr + PartialOrd + fmt::Display,
{
    if text == "0" {
        return Ok(None);
    }
    number(text, allowed)
        .map(Some)
        .map_err(|what| format!("{what}, or 0 to leave it to the server"))
}

/// A size in bytes, such as `512MiB`; `None` if it is none.
#[must_use]
pub fn any_size(text: &str) -> Option<u64> {
    scaled(text, &SIZES)
}

pub(super) fn size(text: &str, allowed: RangeInclusive<u64>) -> Parsed<u64> {
    scaled(text, &SIZES).filter(|size| allowed.contains(size)).ok_or_else(|| {
        let (least, most) = (show_size(*allowed.start()), show_size(*allowed.end()));
        format!("expected a size from {least} to {most}, such as \"512MiB\"")
    })
}

pub(super) fn automatic_size(text: &str, allowed: RangeInclusive<u64>) -> Parsed<Option<u64>> {
    if text == "0" {
        return Ok(None);
    }
    size(text, allowed).map(Some).map_err(|what| format!("{what}, or 0 to leave it to the server"))
}

/// A duration; the bounds are in ms.
pub(super) fn duration(text: &str, allowed: RangeInclusive<u64>) -> Parsed<Duration> {
    let parsed = scaled(text, &DURATIONS).filter(|ms| allowed.contains(ms));
    parsed.map(Duration::from_millis).ok_or_else(|| {
        let (least, most) = (show_ms(*allowed.start()), show_ms(*allowed.end()));
        format!("expected a duration from {least} to {most}, such as \"30s\"")
    })
}

/// A whole number and its unit; sizes may do without, a bare 0 is 0 of everything.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let number: u64 = digits.replace('_', "").parse().ok()?;
    if unit.is_empty() {
        let is_size = units.iter().any(|(name, _)| *name == "B");
        return (is_size || number == 0).then_some(number);
    }
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.checked_mul(*factor)
}

pub(super) fn show_size(bytes: u64) -> String {
    show(bytes, SIZES.into_iter())
}

pub(super) fn show_duration(duration: Duration) -> String {
    show_ms(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

fn show_ms(ms: u64) -> String {
    show(ms, DURATIONS.into_iter().rev())
}

/// In the largest unit that leaves no rest.
fn show(number: u64, mut units: impl Iterator<Item = (&'static str, u64)>) -> String {
    let fits = |(_, factor): &(&str, u64)| number >= *factor && number.is_multiple_of(*factor);
    match units.find(fits) {
        Some((unit, factor)) => format!("{}{unit}", number / factor),
        None => number.to_string(),
    }
}

pub(super) fn address(text: &str) -> Parsed<SocketAddr> {
    text.parse().map_err(|_| {
        "expected an IP address and a port, such as \"127.0.0.1:2337\" or \"[::1]:2337\"".to_owned()
    })
}

/// A name as a certificate has it.
pub(super) fn name(text: &str) -> Parsed<String> {
    let most = limits::TLS_NAME_BYTES_MAX;
    if text.len() > most || text.chars().any(char::is_control) {
        return Err(format!("expected names of at most {most} bytes without control characters"));
    }
    Ok(text.to_owned())
}

/// Names of clients, separated by commas. Nothing at all = everybody of the CA, so a name that is
/// empty by mistake must not come to the same.
pub(super) fn names(text: &str) -> Parsed<Vec<String>> {
    if !text.is_empty() && text.split(',').any(|part| part.trim().is_empty()) {
        return Err(NO_NAME.to_owned());
    }
    list(text, limits::TLS_CLIENT_NAMES_MAX, name)
}

pub(super) const NO_NAME: &str = "one of the names is empty: leave it out; to let in everybody whom \
     a CA of tls_client_ca has signed, leave the whole setting out";

/// Empty = none.
pub(super) fn optional<T>(text: &str, parse: impl FnOnce(&str) -> Parsed<T>) -> Parsed<Option<T>> {
    match text {
        "" => Ok(None),
        text => parse(text).map(Some),
    }
}

/// Separated by commas; empty = none.
pub(super) fn list<T>(
    text: &str,
    count_max: usize,
    parse: impl Fn(&str) -> Parsed<T>,
) -> Parsed<Vec<T>> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let values = parts.map(parse).collect::<Parsed<Vec<T>>>()?;
    if values.len() > count_max {
        return Err(format!("at most {count_max} are allowed"));
    }
    Ok(values)
}

/// Whole numbers separated by commas, each larger than the one before; empty = none.
pub(super) fn rising(text: &str, count_max: usize, allowed: RangeInclusive<u8>) -> Parsed<Vec<u8>> {
    let what = || {
        let (least, most) = (allowed.start(), allowed.end());
        format!(
            "expected at most {count_max} whole numbers from {least} to {most}, each larger than \
             the one before, such as 80, 95, 100"
        )
    };
    let values = list(text, count_max, |part| number(part, allowed.clone())).map_err(|_| what())?;
    let rises = values.windows(2).all(|pair| pair[0] < pair[1]);
    if rises { Ok(values) } else { Err(what()) }
}

pub(super) fn choice<T: Copy>(text: &str, choices: &[(&'static str, T)]) -> Parsed<T> {
    let found = choices.iter().find(|(name, _)| *name == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        format!("expected one of {}", names.join(", "))
    })
}
