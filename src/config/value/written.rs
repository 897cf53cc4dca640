//! Values as their users write them: the way back from nanoseconds, bytes and JSON to `hooks.toml`.
//!
//! Invariant: what is written is read back as the same value (`tests/exports.rs`).

use serde_json::Value as Json;

use super::ValueKind;

/// Units of durations, the largest first.
const DURATIONS: [(u64, &str); 7] = [
    (86_400_000_000_000, "d"),
    (3_600_000_000_000, "h"),
    (60_000_000_000, "m"),
    (1_000_000_000, "s"),
    (1_000_000, "ms"),
    (1_000, "us"),
    (1, "ns"),
];

/// Units of sizes.
const SIZES: [(u64, &str); 7] = [
    (1 << 30, "GiB"),
    (1_000_000_000, "GB"),
    (1 << 20, "MiB"),
    (1_000_000, "MB"),
    (1 << 10, "KiB"),
    (1_000, "kB"),
    (1, "B"),
];

/// A duration in the largest unit that gives a whole number: `2s`, `500ms`.
pub(in super::super) fn duration(nanos: u64) -> String {
    let unit = DURATIONS.iter().find(|(unit, _)| nanos > 0 && nanos.is_multiple_of(*unit));
    let (unit, name) = unit.unwrap_or(&(1_000_000_000, "s"));
    format!("{}{name}", nanos / unit)
}

/// A size in the unit that gives the smallest whole number: `64MB`, `8KiB`.
pub(in super::super) fn size(bytes: u64) -> String {
    let whole = SIZES.iter().filter(|(unit, _)| bytes.is_multiple_of(*unit));
    let (unit, name) = whole.min_by_key(|(unit, _)| bytes / unit).unwrap_or(&(1, "B"));
    format!("{}{name}", bytes / unit)
}

/// Text as a basic string of TOML, on one line.
pub(in super::super) fn text(text: &str) -> String {
    // JSON's escapes are TOML's; DEL is the one character that only TOML wants escaped.
    Json::from(text).to_string().replace('\u{7f}', "\\u007F")
}

/// A part of a key: bare where that is possible.
pub(in super::super) fn key(part: &str) -> String {
    let is_bare = !part.is_empty() && part.bytes().all(|c| c.is_ascii_alphanumeric() || b"_-".contains(&c));
    if is_bare { part.to_owned() } else { text(part) }
}

/// A normalised value as TOML.
pub(in super::super) fn value(kind: ValueKind, value: &Json) -> String {
    match (kind, value) {
        (ValueKind::Duration { .. }, Json::Number(nanos)) => text(&duration(nanos.as_u64().unwrap_or(0))),
        (ValueKind::Size { .. }, Json::Number(bytes)) => text(&size(bytes.as_u64().unwrap_or(0))),
        (_, Json::String(string)) => text(string),
        (_, Json::Array(items)) => {
            let items: Vec<_> = items.iter().map(|item| self::value(kind, item)).collect();
            format!("[{}]", items.join(", "))
        }
        (_, other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Bare;
    use super::super::quantity::{MAX_BYTES, MAX_NANOS, bytes, nanos};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantities_are_written_as_people_write_them() {
        for (nanos, expected) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500_000, "1500us"),
            (500_000_000, "500ms"),
            (2_000_000_000, "2s"),
            (90_000_000_000, "90s"),
            (MAX_NANOS, "30d"),
        ] {
            assert_eq!(duration(nanos), expected);
        }
        for (bytes, expected) in
            [(64_000_000, "64MB"), (64 << 20, "64MiB"), (1024, "1KiB"), (64_000, "64kB"), (7, "7B")]
        {
            assert_eq!(size(bytes), expected);
        }
    }

    proptest! {
        #[test]
        fn quantities_are_read_back(time in 0..=MAX_NANOS, space in 0..=MAX_BYTES) {
            prop_assert_eq!(nanos(&duration(time), Bare::Seconds), Some(time));
            prop_assert_eq!(bytes(&size(space)), Some(space));
        }

        #[test]
        fn text_is_read_back(string in "\\PC*|[\\x00-\\x7f]{0,9}|[^\0]{0,9}") {
            let table: toml::Table = toml::from_str(&format!("{} = {}", key(&string), text(&string))).unwrap();
            prop_assert_eq!(table.get(&string).and_then(toml::Value::as_str), Some(string.as_str()));
        }
    }
}
