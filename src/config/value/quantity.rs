//! Durations and sizes as people write them.
//!
//! Exact integer arithmetic: nanoseconds and bytes. Nothing negative, infinite or beyond the stated maximum comes
//! out. A number without unit means what the caller says: seconds or milliseconds; for sizes it is bytes.

/// Longest duration of any setting: 30 days, in nanoseconds.
pub(crate) const MAX_NANOS: u64 = 30 * 86_400 * 1_000_000_000;

/// Largest size of any setting: 1 TiB, in bytes.
pub(crate) const MAX_BYTES: u64 = 1 << 40;

const SECOND: u64 = 1_000_000_000;

/// The units of durations, in nanoseconds.
pub(in super::super) const TIME_UNITS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", SECOND),
    ("sec", SECOND),
    ("secs", SECOND),
    ("second", SECOND),
    ("seconds", SECOND),
    ("m", 60 * SECOND),
    ("min", 60 * SECOND),
    ("mins", 60 * SECOND),
    ("minute", 60 * SECOND),
    ("minutes", 60 * SECOND),
    ("h", 3_600 * SECOND),
    ("hr", 3_600 * SECOND),
    ("hrs", 3_600 * SECOND),
    ("hour", 3_600 * SECOND),
    ("hours", 3_600 * SECOND),
    ("d", 86_400 * SECOND),
    ("day", 86_400 * SECOND),
    ("days", 86_400 * SECOND),
];

/// What a duration without unit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bare {
    Seconds,
    Milliseconds,
}

impl Bare {
    const fn nanos(self) -> u64 {
        match self {
            Self::Seconds => 1_000_000_000,
            Self::Milliseconds => 1_000_000,
        }
    }
}

/// Nanoseconds of `"2s"`, `"500ms"`, `"1m 30s"`, `"1.5h"`, or a number of `bare` units.
pub(crate) fn nanos(text: &str, bare: Bare) -> Option<u64> {
    let text = text.trim();
    if let Some(nanos) = amount(text, bare.nanos()) {
        return (nanos <= MAX_NANOS).then_some(nanos);
    }
    let mut rest = text;
    let mut total = 0u64;
    while !rest.is_empty() {
        let (number, after) = split_number(rest);
        let after = after.trim_start();
        let (unit, after) = after.split_at(after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len()));
        total = total.checked_add(amount(number, unit_nanos(unit)?)?)?;
        rest = after.trim_start();
    }
    (!text.is_empty() && total <= MAX_NANOS).then_some(total)
}

/// Nanoseconds of a number of `bare` units.
pub(crate) fn nanos_from_number(number: f64, bare: Bare) -> Option<u64> {
    #[expect(clippy::cast_precision_loss, reason = "the limits are far below 2^53 in their leading digits")]
    let (nanos, max) = ((number * bare.nanos() as f64).round(), MAX_NANOS as f64);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be in 0..=MAX_NANOS"
    )]
    // A positive duration is never rounded down to none.
    (nanos >= 0.0 && nanos <= max).then_some(if number > 0.0 { nanos.max(1.0) } else { nanos } as u64)
}

/// Bytes of `"64MB"`, `"64MiB"`, `"64kB"`, `"100B"`, or a number of bytes.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, unit) = split_number(text);
    let bytes = amount(number, unit_bytes(unit.trim_start())?)?;
    (bytes <= MAX_BYTES).then_some(bytes)
}

fn unit_nanos(unit: &str) -> Option<u64> {
    TIME_UNITS.iter().find(|(name, _)| *name == unit).map(|(_, nanos)| *nanos)
}

fn unit_bytes(unit: &str) -> Option<u64> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return None,
    })
}

fn split_number(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text.len()))
}

/// A decimal number of units, rounded down to whole ones but never to none.
fn amount(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').map_or((number, None), |(w, f)| (w, Some(f)));
    let mut total = u128::from(digits(whole)?).checked_mul(u128::from(unit))?;
    let mut scale = u128::from(unit);
    for digit in
        fraction.map(|fraction| checked_digits(fraction).ok_or(())).transpose().ok()?.unwrap_or("").chars()
    {
        scale /= 10;
        total += scale * u128::from(digit.to_digit(10)?);
    }
    let is_positive = number.contains(|c: char| c.is_ascii_digit() && c != '0');
    u64::try_from(total.max(u128::from(is_positive))).ok()
}

/// The text, if it is digits and nothing else.
fn checked_digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)
}

/// A whole number: digits, with single underscores between them if the user likes.
pub(crate) fn digits(text: &str) -> Option<u64> {
    if text.contains('_') {
        text.split('_').all(|part| checked_digits(part).is_some()).then_some(())?;
        return text.replace('_', "").parse().ok();
    }
    checked_digits(text)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, millis) in [
            ("2s", 2000),
            ("500ms", 500),
            ("1m 30s", 90_000),
            ("1m30s", 90_000),
            ("1.5s", 1500),
            (" 2 s ", 2000),
            ("2", 2000),
            ("2.0", 2000),
            ("0", 0),
            ("0s", 0),
            ("1h", 3_600_000),
            ("30d", 2_592_000_000),
            ("1_000ms", 1000),
            ("250000us", 250),
        ] {
            assert_eq!(nanos(text, Bare::Seconds), Some(millis * MS), "{text}");
        }
        assert_eq!(nanos("100", Bare::Milliseconds), Some(100 * MS));
        assert_eq!(nanos("1s", Bare::Milliseconds), Some(1000 * MS));
        assert_eq!(nanos("0.0000000001s", Bare::Seconds), Some(1));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            " ",
            "abc",
            "-5",
            "-2s",
            "nan",
            "inf",
            "1e3",
            "1e400",
            "2 parsecs",
            "s",
            "1s s",
            "31d",
            "1.s",
            ".5s",
            "1.2.3s",
            "99999999999999999999999s",
            "1_s",
            "5S",
            "2s 3",
            "2 s;",
            "\u{0}",
            "٣s",
        ] {
            assert_eq!(nanos(text, Bare::Seconds), None, "{text}");
        }
    }

    #[test]
    fn numbers_are_durations_when_they_are_finite_and_in_range() {
        assert_eq!(nanos_from_number(2.5, Bare::Seconds), Some(2500 * MS));
        assert_eq!(nanos_from_number(1e-30, Bare::Seconds), Some(1));
        for number in [-1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
            assert_eq!(nanos_from_number(number, Bare::Seconds), None, "{number}");
        }
    }

    #[test]
    fn sizes_tell_decimal_from_binary_units() {
        for (text, size) in [
            ("64MB", 64_000_000),
            ("64MiB", 64 << 20),
            ("64kB", 64_000),
            ("64 kib", 64 << 10),
            ("1.5MB", 1_500_000),
            ("1GB", 1_000_000_000),
            ("100B", 100),
            ("1_024", 1024),
            ("0", 0),
        ] {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        for text in ["", "MB", "-1", "1e6", "64 M", "2TB", "1MB 2kB", "99999999999GB", "nan"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}
