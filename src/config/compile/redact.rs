//! `[redact]`: its patterns as one [`Redactor`], each problem at its letter.

use super::super::layer::Key;
use super::super::merge::Merged;
use super::super::problem::{Problems, Severity};
use super::super::raw::RawRedact;
use crate::redact::Redactor;

/// The redactor. Patterns that are wrong are problems, also when nothing is redacted; the built-in rules stand in.
pub(super) fn redactor(raw: &RawRedact, merged: &Merged<'_>, problems: &mut Problems) -> Redactor {
    let made = Redactor::new(raw.defaults, &raw.patterns).unwrap_or_else(|errors| {
        for error in errors {
            let key = Key::new(&["redact", "patterns", &error.index.to_string()]);
            let pattern = raw.patterns.get(error.index).map(String::as_str).unwrap_or_default();
            let spot = merged.spot(&key);
            let inside = error.column.and_then(|column| spot.inside(pattern, column));
            let column = error.column.map(|column| format!(" (column {column} of the pattern)"));
            let message = format!("`{key}`: {}{}", error.message, column.unwrap_or_default());
            problems.push(inside.unwrap_or(spot).origin(), &key, Severity::Error, message, None);
        }
        Redactor::default()
    });
    if raw.enabled { made } else { Redactor::off() }
}
