//! An incremental check of JSON syntax, byte by byte.
//!
//! Owns the answer to two questions: is this still JSON, and does the value end here? Invariant: the
//! bytes it takes for a complete value are exactly those that RFC 8259 (and `serde_json`) accept,
//! however they are cut into chunks; only nesting deeper than [`MAX_DEPTH`] is refused besides.
//!
//! Its memory is one bit for each open bracket: no recursion, no copy of the input. It does not
//! decode anything and does not look at the UTF-8 inside strings; outside strings every byte that is
//! not JSON is an error, so NUL and stray UTF-8 are too. A line break can only stand between tokens,
//! and the scanner stops after each one, so that its caller can count lines without a second look.

#[cfg(test)]
mod tests;

use std::fmt;

/// How many arrays and objects may be open at once.
pub(crate) const MAX_DEPTH: u32 = 1_000_000;

/// The state between two bytes of a JSON text.
#[derive(Debug, Clone)]
pub(crate) struct Scanner {
    state: State,
    /// Whether the string being read is a key.
    in_key: bool,
    /// The literal being read, and how much of it has come.
    literal: &'static str,
    matched: usize,
    /// The open brackets, innermost in the lowest bit, 1 for an object. Full words go to `outer`, so
    /// that `outer` always holds `(depth - 1) / 64` words.
    inner: u64,
    outer: Vec<u64>,
    depth: u32,
    /// The closing bracket that brings the depth back to this stops the scan.
    stop: u32,
}

/// Why [`Scanner::feed`] came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// All bytes were taken and the value is not complete.
    More,
    /// A line break was taken.
    LineEnd,
    /// The value watched for ended with the last byte taken.
    Complete {
        /// Whether it is an array or object without elements.
        empty: bool,
    },
    /// The first byte not taken cannot stand there. The scanner is of no use until it is reset.
    Error(SyntaxError),
}

/// What is wrong at one byte of a JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SyntaxError {
    /// Another byte had to come.
    Unexpected {
        /// What had to come.
        expected: &'static str,
        /// What came.
        found: u8,
    },
    /// A byte below 0x20 stands in a string, where it has to be escaped.
    ControlInString(u8),
    /// More than [`MAX_DEPTH`] arrays and objects are open.
    TooDeep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Between(Expect),
    String,
    Escape,
    /// So many hexadecimal digits of an escape are still to come.
    Hex(u8),
    Literal,
    Number(Digits),
}

/// What may come between tokens, besides blanks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Value,
    FirstElement,
    FirstKey,
    Key,
    Colon,
    Separator,
    /// The outermost value is complete.
    End,
}

/// The part of a number that was just read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Digits {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    Power,
}

impl Scanner {
    /// A scanner before the first byte of a value.
    pub(crate) fn new() -> Self {
        Self {
            state: State::Between(Expect::Value),
            in_key: false,
            literal: "",
            matched: 0,
            inner: 0,
            outer: Vec::new(),
            depth: 0,
            stop: 0,
        }
    }

    /// Back to the state before the first byte.
    pub(crate) fn reset(&mut self) {
        self.state = State::Between(Expect::Value);
        self.outer.clear();
        self.depth = 0;
        self.stop = 0;
    }

    /// The number of open arrays and objects.
    pub(crate) fn depth(&self) -> u32 {
        self.depth
    }

    /// Stops ([`Step::Complete`]) at the next closing bracket that leaves `depth` brackets open.
    /// Without this, and with 0, only the outermost value counts.
    pub(crate) fn stop_at(&mut self, depth: u32) {
        self.stop = depth;
    }

    /// Takes bytes until one of the reasons to stop. Returns how many were taken, and the reason.
    ///
    /// A number that is the outermost value ends at the first byte that does not belong to it, which
    /// is not taken.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> (usize, Step) {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            let step = match self.state {
                State::String => {
                    at += plain_length(bytes.get(at..).unwrap_or_default());
                    match bytes.get(at) {
                        None => break,
                        Some(b'"') => self.end_string(),
                        Some(b'\\') => self.go(State::Escape),
                        Some(&control) => Some(Step::Error(SyntaxError::ControlInString(control))),
                    }
                }
                State::Between(expect) => match byte {
                    b' ' | b'\t' | b'\r' => None,
                    b'\n' => Some(Step::LineEnd),
                    _ => self.token(expect, byte),
                },
                State::Number(digits) => match number_part(digits, byte) {
                    Ok(Some(next)) => self.go(State::Number(next)),
                    Ok(None) => match self.end_value(false) {
                        None => continue,
                        Some(complete) => return (at, complete),
                    },
                    Err(error) => Some(Step::Error(error)),
                },
                State::Literal => self.literal(byte),
                State::Escape => match byte {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.go(State::String),
                    b'u' => self.go(State::Hex(4)),
                    found => Some(unexpected("an escape such as `\\n` or `\\u00e4`", found)),
                },
                State::Hex(left) => match (byte.is_ascii_hexdigit(), left) {
                    (true, 0 | 1) => self.go(State::String),
                    (true, _) => self.go(State::Hex(left - 1)),
                    (false, _) => Some(unexpected("four hexadecimal digits after `\\u`", byte)),
                },
            };
            match step {
                None => at += 1,
                Some(step @ Step::Error(_)) => return (at, step),
                Some(step) => return (at + 1, step),
            }
        }
        (at, Step::More)
    }

    /// A byte that is no blank, between tokens.
    fn token(&mut self, expect: Expect, byte: u8) -> Option<Step> {
        let in_object = self.inner & 1 == 1;
        match (expect, byte) {
            (Expect::Separator, b',') => {
                self.go(State::Between(if in_object { Expect::Key } else { Expect::Value }))
            }
            (Expect::Colon, b':') => self.go(State::Between(Expect::Value)),
            (Expect::FirstKey | Expect::Key, b'"') => {
                self.in_key = true;
                self.go(State::String)
            }
            (Expect::FirstKey, b'}') | (Expect::FirstElement, b']') => self.close(true),
            (Expect::Separator, b'}') if in_object => self.close(false),
            (Expect::Separator, b']') if !in_object => self.close(false),
            (Expect::Value | Expect::FirstElement, b'{') => self.open(true),
            (Expect::Value | Expect::FirstElement, b'[') => self.open(false),
            (Expect::Value | Expect::FirstElement, b'"') => {
                self.in_key = false;
                self.go(State::String)
            }
            (Expect::Value | Expect::FirstElement, b'-') => self.go(State::Number(Digits::Minus)),
            (Expect::Value | Expect::FirstElement, b'0') => self.go(State::Number(Digits::Zero)),
            (Expect::Value | Expect::FirstElement, b'1'..=b'9') => self.go(State::Number(Digits::Integer)),
            (Expect::Value | Expect::FirstElement, b't') => self.begin_literal("true"),
            (Expect::Value | Expect::FirstElement, b'f') => self.begin_literal("false"),
            (Expect::Value | Expect::FirstElement, b'n') => self.begin_literal("null"),
            _ => Some(unexpected(expect.in_words(in_object), byte)),
        }
    }

    fn go(&mut self, state: State) -> Option<Step> {
        self.state = state;
        None
    }

    fn open(&mut self, object: bool) -> Option<Step> {
        if self.depth >= MAX_DEPTH {
            return Some(Step::Error(SyntaxError::TooDeep));
        }
        if self.depth > 0 && self.depth.is_multiple_of(u64::BITS) {
            self.outer.push(self.inner);
        }
        self.inner = self.inner << 1 | u64::from(object);
        self.depth += 1;
        self.go(State::Between(if object { Expect::FirstKey } else { Expect::FirstElement }))
    }

    fn close(&mut self, empty: bool) -> Option<Step> {
        self.depth -= 1;
        self.inner >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(u64::BITS) {
            self.inner = self.outer.pop().expect("a word was put away for every 64 open brackets");
        }
        let outermost = self.end_value(empty);
        if self.depth == self.stop { Some(Step::Complete { empty }) } else { outermost }
    }

    fn end_value(&mut self, empty: bool) -> Option<Step> {
        if self.depth > 0 {
            return self.go(State::Between(Expect::Separator));
        }
        self.state = State::Between(Expect::End);
        Some(Step::Complete { empty })
    }

    fn end_string(&mut self) -> Option<Step> {
        if self.in_key { self.go(State::Between(Expect::Colon)) } else { self.end_value(false) }
    }

    fn begin_literal(&mut self, word: &'static str) -> Option<Step> {
        self.literal = word;
        self.matched = 1;
        self.go(State::Literal)
    }

    fn literal(&mut self, byte: u8) -> Option<Step> {
        if self.literal.as_bytes().get(self.matched) != Some(&byte) {
            return Some(unexpected("`true`, `false` or `null`", byte));
        }
        self.matched += 1;
        if self.matched == self.literal.len() { self.end_value(false) } else { None }
    }
}

fn unexpected(expected: &'static str, found: u8) -> Step {
    Step::Error(SyntaxError::Unexpected { expected, found })
}

/// What `byte` makes of a number: its next part, `None` if the number ended before it.
fn number_part(digits: Digits, byte: u8) -> Result<Option<Digits>, SyntaxError> {
    Ok(Some(match (digits, byte) {
        (Digits::Integer, b'0'..=b'9') | (Digits::Minus, b'1'..=b'9') => Digits::Integer,
        (Digits::Minus, b'0') => Digits::Zero,
        (Digits::Zero | Digits::Integer, b'.') => Digits::Point,
        (Digits::Point | Digits::Fraction, b'0'..=b'9') => Digits::Fraction,
        (Digits::Zero | Digits::Integer | Digits::Fraction, b'e' | b'E') => Digits::Exponent,
        (Digits::Exponent, b'+' | b'-') => Digits::ExponentSign,
        (Digits::Exponent | Digits::ExponentSign | Digits::Power, b'0'..=b'9') => Digits::Power,
        (Digits::Minus | Digits::Point | Digits::Exponent | Digits::ExponentSign, found) => {
            return Err(SyntaxError::Unexpected { expected: "a digit", found });
        }
        (Digits::Zero | Digits::Integer | Digits::Fraction | Digits::Power, _) => return Ok(None),
    }))
}

/// The number of bytes before the first quote, backslash or control character.
///
/// Eight bytes at a time: a byte below `n` borrows when `n` is subtracted from it. Borrows can only
/// spoil bytes above the first hit, and the first one is all that counts.
fn plain_length(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES << 7;
    const QUOTES: u64 = ONES * b'"' as u64;
    const BACKSLASHES: u64 = ONES * b'\\' as u64;
    let (words, rest) = bytes.as_chunks::<8>();
    let mut length = 0;
    for word in words {
        let word = u64::from_le_bytes(*word);
        let (quote, backslash) = (word ^ QUOTES, word ^ BACKSLASHES);
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let quote = quote.wrapping_sub(ONES) & !quote;
        let backslash = backslash.wrapping_sub(ONES) & !backslash;
        let hit = (control | quote | backslash) & HIGH;
        if hit != 0 {
            return length + (hit.trailing_zeros() / 8) as usize;
        }
        length += 8;
    }
    length + rest.iter().take_while(|&&byte| byte >= 0x20 && byte != b'"' && byte != b'\\').count()
}

impl Expect {
    fn in_words(self, in_object: bool) -> &'static str {
        match self {
            Self::Value => "a value",
            Self::FirstElement => "a value or `]`",
            Self::FirstKey => "a key in double quotes or `}`",
            Self::Key => "a key in double quotes",
            Self::Colon => "`:` after the key",
            Self::Separator if in_object => "`,` or `}`",
            Self::Separator => "`,` or `]`",
            Self::End => "the end of the line",
        }
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Unexpected { expected, found: b'\n' } => {
                write!(f, "expected {expected}, found the end of the line")
            }
            Self::Unexpected { expected, found } if found.is_ascii_graphic() => {
                write!(f, "expected {expected}, found `{}`", char::from(found))
            }
            Self::Unexpected { expected, found } => {
                write!(f, "expected {expected}, found byte 0x{found:02x}")
            }
            Self::ControlInString(b'\n') => f.write_str("the line ends inside a string"),
            Self::ControlInString(byte) => {
                write!(f, "byte 0x{byte:02x} inside a string has to be written `\\u{byte:04x}`")
            }
            Self::TooDeep => write!(f, "more than {MAX_DEPTH} arrays and objects inside each other"),
        }
    }
}

impl std::error::Error for SyntaxError {}
