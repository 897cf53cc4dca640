//! Where a value ends that a rule has found the beginning of.
//!
//! The rules' expression looks only for beginnings, and this goes through the rest byte by byte: to find the groups of
//! a match costs the expression far more for each byte than to find the match.

use super::rules::KEY_END;

/// What ends a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Until {
    /// The rule's own match.
    Match,
    /// Any of these bytes.
    Any(&'static [u8]),
    /// This quote, unless a backslash is before it; the end of the line.
    Quote(u8),
    /// What cannot be in a value without quotes.
    Sign,
    /// The last line of a private key.
    Key,
}

impl Until {
    /// The end of the value that begins at `start`; the end of the text at the latest. `None`: the match has it.
    pub(super) fn end(self, text: &[u8], start: usize) -> Option<usize> {
        let rest = text.get(start..).unwrap_or_default();
        let length = match self {
            Self::Match => return None,
            Self::Any(ends) => rest.iter().position(|byte| ends.contains(byte)),
            Self::Quote(quote) => escaped(rest, |byte| byte == quote || byte == b'\n', |next| next == b'\n'),
            Self::Sign => escaped(
                rest,
                |byte| is_space(byte) || b"\"'`&;,<".contains(&byte),
                |next| is_space(next) || b"nrt\"'\\".contains(&next),
            ),
            Self::Key => KEY_END.find(rest).map(|end| end.start()),
        };
        Some(start + length.unwrap_or(rest.len()))
    }
}

/// The position of the first byte that ends the text, or of a backslash before a byte that may not be escaped.
fn escaped(text: &[u8], ends: impl Fn(u8) -> bool, not_escaped: impl Fn(u8) -> bool) -> Option<usize> {
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match (byte, text.get(at + 1)) {
            (b'\\', Some(&next)) if !not_escaped(next) => at += 2,
            (b'\\', _) => return Some(at),
            _ if ends(byte) => return Some(at),
            _ => at += 1,
        }
    }
    None
}

/// What `\s` is without Unicode.
fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == b'\x0b'
}
