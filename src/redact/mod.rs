//! Takes secrets out of what is written down: output of handlers, reasons, messages, events in files.
//!
//! Pure: bytes in, bytes out. The built-in rules are in `rules`; a configuration adds patterns of its own, or switches
//! the built-in ones off. A secret is replaced by `[redacted]`, and what names it stays: `password=[redacted]`.
//!
//! Invariants: text without a secret comes back as it is. JSON stays JSON that means the same but for its secrets (`json`).
//! Every search takes linear time; there is no backtracking. Redacted text comes back as it is, unless what was taken out
//! of it held the end of another value, which then goes on.
//!
//! It knows secrets by their form or by the name before them, and those that it was given. One that is called by no name
//! and looks like any other word is not found.

mod json;
mod rules;
#[cfg(test)]
mod tests;
mod until;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use memchr::memmem::{self, Finder};
use regex::bytes::{Regex, RegexBuilder};

use crate::pattern::PatternError;

/// What stands where a secret was.
pub(crate) const PLACEHOLDER: &str = "[redacted]";

/// Takes secrets out of text. Cheap to clone.
///
/// ```
/// use hookpool::Redactor;
///
/// let redactor = Redactor::default();
/// assert_eq!(redactor.text("login with password=hunter2"), "login with password=[redacted]");
/// assert_eq!(redactor.text("the password reset page"), "the password reset page");
///
/// let own = Redactor::new(false, &["badge-(?<secret>[0-9]+)"]).unwrap();
/// assert_eq!(own.text("badge-4711 of user 12"), "badge-[redacted] of user 12");
/// ```
#[derive(Clone)]
pub struct Redactor(Option<Arc<Patterns>>);

#[derive(Clone)]
struct Patterns {
    defaults: bool,
    own: Vec<Regex>,
    known: Vec<Known>,
}

/// A secret that is known as it is. Nobody is shown it.
#[derive(Clone)]
struct Known {
    secret: Box<[u8]>,
    /// Finds its first bytes.
    start: Finder<'static>,
}

impl Known {
    /// Bytes of a secret that are searched for; what follows goes for as long as it agrees.
    const START: usize = 64;

    fn new(secret: &[u8]) -> Self {
        let start = secret.get(..Self::START).unwrap_or(secret);
        Self { secret: secret.into(), start: Finder::new(start).into_owned() }
    }

    fn find(&self, text: &[u8], spans: &mut Vec<Range<usize>>) {
        let mut at = 0;
        while let Some(found) = text.get(at..).and_then(|rest| self.start.find(rest)) {
            let begin = at + found;
            let rest = text.get(begin..).unwrap_or_default();
            at = begin + agreement(rest, &self.secret);
            spans.push(begin..at);
        }
    }

    /// The length of its part that the text begins with: nothing, unless enough of it agrees.
    fn continued_by(&self, text: &[u8]) -> usize {
        let Some(start) = text.get(..Self::START) else { return 0 };
        let parts = memmem::find_iter(&self.secret, start).filter_map(|at| self.secret.get(at..));
        parts.map(|part| agreement(text, part)).max().unwrap_or_default()
    }
}

/// The length of what both begin with.
fn agreement(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

/// What is wrong with a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedactError {
    /// Its position in the list.
    pub index: usize,
    /// What is wrong with it.
    pub message: String,
    /// At which letter of it, counted from 1, if that can be said.
    pub column: Option<usize>,
}

impl fmt::Display for RedactError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pattern {}: {}", self.index + 1, self.message)
    }
}

impl std::error::Error for RedactError {}

impl Redactor {
    /// Most patterns beside the built-in ones.
    pub const MAX_PATTERNS: usize = 64;
    /// Longest pattern, in bytes.
    pub const MAX_PATTERN_BYTES: usize = 4096;
    /// Shortest text that is taken for a secret because it is known to be one, in bytes.
    const SHORTEST_KNOWN: usize = 8;
    /// Largest compiled form of a pattern, in bytes.
    const MAX_COMPILED: usize = 1 << 18;

    /// The built-in rules if `defaults`, and these regular expressions. What the group `secret` matches is replaced, or
    /// the whole match of a pattern without that group.
    ///
    /// # Errors
    /// Every pattern that is none, is too large, or matches the empty text; one beyond the limit of 64 counts too.
    pub fn new<P: AsRef<str>>(defaults: bool, patterns: &[P]) -> Result<Self, Vec<RedactError>> {
        let mut own = Vec::new();
        let mut errors = Vec::new();
        for (index, pattern) in patterns.iter().enumerate() {
            match compile(index, pattern.as_ref()) {
                Ok(pattern) => own.push(pattern),
                Err(error) => errors.push(error),
            }
            if index == Self::MAX_PATTERNS {
                // The rest would only say the same.
                break;
            }
        }
        if errors.is_empty() { Ok(Self::of(defaults, own)) } else { Err(errors) }
    }

    fn of(defaults: bool, own: Vec<Regex>) -> Self {
        Self(Some(Arc::new(Patterns { defaults, own, known: Vec::new() })))
    }

    /// The same that also takes these texts out wherever they stand, but for those that are too short to be told from
    /// other words. One that is off stays off.
    pub(crate) fn with_known<'s>(&self, secrets: impl IntoIterator<Item = &'s [u8]>) -> Self {
        let Some(patterns) = &self.0 else { return Self::off() };
        let secrets: BTreeSet<_> =
            secrets.into_iter().filter(|secret| secret.len() >= Self::SHORTEST_KNOWN).collect();
        if secrets.is_empty() {
            return self.clone();
        }
        let known = secrets.into_iter().map(Known::new).collect();
        Self(Some(Arc::new(Patterns { known, ..Patterns::clone(patterns) })))
    }

    /// One that changes nothing.
    #[must_use]
    pub fn off() -> Self {
        Self(None)
    }

    /// The text without its secrets.
    #[must_use]
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// The text with stars in place of secrets, letter by letter: columns stay what they are.
    pub(crate) fn starred<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let spans = self.spans(text.as_bytes());
        if spans.is_empty() {
            return Cow::Borrowed(text);
        }
        let is_secret = |at: usize| spans.iter().any(|span| span.contains(&at));
        text.char_indices().map(|(at, letter)| if is_secret(at) { '*' } else { letter }).collect()
    }

    /// The same for bytes that need not be text.
    #[must_use]
    pub fn bytes<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let spans = self.spans(text);
        if spans.iter().all(|span| text.get(span.clone()) == Some(PLACEHOLDER.as_bytes())) {
            return Cow::Borrowed(text);
        }
        Cow::Owned(without(text, &spans, 0..text.len()))
    }

    /// A JSON document without its secrets: still JSON, and changed in nothing else. Patterns apply to each string and
    /// number by itself; what stands under a name such as `password` is a secret whatever it looks like.
    #[must_use]
    pub fn json<'t>(&self, document: &'t [u8]) -> Cow<'t, [u8]> {
        json::redact(self, document)
    }

    /// Where secrets are, in order, without overlap.
    pub(crate) fn spans(&self, text: &[u8]) -> Vec<Range<usize>> {
        let Some(patterns) = &self.0 else { return Vec::new() };
        let mut spans = Vec::new();
        if patterns.defaults {
            rules::find(text, &mut spans);
        }
        for pattern in &patterns.own {
            for found in pattern.captures_iter(text) {
                let secret = found.name("secret").or_else(|| {
                    // A group that took no part says that there is nothing to hide.
                    found.get(0).filter(|_| pattern.capture_names().flatten().all(|name| name != "secret"))
                });
                spans.extend(secret.map(|secret| secret.range()).filter(|span| !span.is_empty()));
            }
        }
        for secret in &patterns.known {
            secret.find(text, &mut spans);
        }
        spans.sort_unstable_by_key(|span| span.start);
        spans.dedup_by(|next, last| {
            let overlaps = next.start < last.end;
            if overlaps {
                last.end = last.end.max(next.end);
            }
            overlaps
        });
        spans
    }

    /// The length of the end of a known secret that this text begins with, of one whose beginning is further away than
    /// that.
    pub(crate) fn known_end(&self, text: &[u8], further_than: usize) -> usize {
        let known = self.0.iter().flat_map(|patterns| &patterns.known);
        let long = known.filter(|known| known.secret.len() > further_than);
        long.map(|known| known.continued_by(text)).max().unwrap_or_default()
    }

    /// Whether anything is redacted.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Whether a value of that name is a secret, whatever it looks like.
    pub(crate) fn is_secret_name(name: &str) -> bool {
        rules::is_secret_name(name)
    }

    /// Whether the built-in rules apply.
    fn has_defaults(&self) -> bool {
        self.0.as_ref().is_some_and(|patterns| patterns.defaults)
    }
}

/// The built-in rules alone.
impl Default for Redactor {
    fn default() -> Self {
        Self::of(true, Vec::new())
    }
}

/// The same rules and patterns.
impl PartialEq for Redactor {
    fn eq(&self, other: &Self) -> bool {
        let same = |one: &Patterns, other: &Patterns| {
            one.defaults == other.defaults
                && one.own.iter().map(Regex::as_str).eq(other.own.iter().map(Regex::as_str))
                && one
                    .known
                    .iter()
                    .map(|known| &known.secret)
                    .eq(other.known.iter().map(|known| &known.secret))
        };
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other) || same(one, other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }
}

impl Eq for Redactor {}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("Redactor(off)"),
            Some(patterns) => f
                .debug_struct("Redactor")
                .field("defaults", &patterns.defaults)
                .field("own", &patterns.own.iter().map(Regex::as_str).collect::<Vec<_>>())
                .finish(),
        }
    }
}

/// The part of the text in the window, with a placeholder for each span that reaches into it.
pub(crate) fn without(text: &[u8], spans: &[Range<usize>], window: Range<usize>) -> Vec<u8> {
    let mut rest = Vec::with_capacity(window.len());
    let mut at = window.start;
    for span in spans.iter().filter(|span| span.end > window.start && span.start < window.end) {
        rest.extend_from_slice(text.get(at..span.start).unwrap_or_default());
        rest.extend_from_slice(PLACEHOLDER.as_bytes());
        at = span.end.min(window.end);
    }
    rest.extend_from_slice(text.get(at..window.end).unwrap_or_default());
    rest
}

fn compile(index: usize, pattern: &str) -> Result<Regex, RedactError> {
    let fail = |message: String, column| Err(RedactError { index, message, column });
    if index >= Redactor::MAX_PATTERNS {
        return fail(format!("there are more than {} patterns", Redactor::MAX_PATTERNS), None);
    }
    if pattern.len() > Redactor::MAX_PATTERN_BYTES {
        return fail(format!("it is longer than {} bytes", Redactor::MAX_PATTERN_BYTES), None);
    }
    if let Err(error) = regex_syntax::parse(pattern) {
        let PatternError { reason, column } = PatternError::new(pattern, &error);
        return fail(reason, column);
    }
    let most = Redactor::MAX_COMPILED;
    match RegexBuilder::new(pattern).size_limit(most).dfa_size_limit(most).build() {
        Ok(regex) if regex.is_match(b"") => {
            fail("it matches the empty text, and so is everywhere".to_owned(), None)
        }
        Ok(regex) => Ok(regex),
        Err(error) => fail(PatternError::of_build(&error).reason, None),
    }
}
