//! A forward scanner over JSON that is known to be valid: the ground under field lookups.
//!
//! It decodes nothing that nobody asked for, so a badly encoded string that is skipped cannot hide the fields after
//! it, as a decoding parser's first error would. It uses no stack for nesting. On text that is not valid JSON it
//! ends early; it never panics and never loops.

use std::borrow::Cow;

/// The part of the text that is not read yet.
pub(super) struct Scan<'a> {
    rest: &'a [u8],
}

impl<'a> Scan<'a> {
    pub(super) fn new(json: &'a [u8]) -> Self {
        Self { rest: json }
    }

    /// How much is not read yet.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next byte that is not white space; it stays unread.
    pub(super) fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_ascii_start();
        self.rest.first().copied()
    }

    /// Reads one byte, whatever it is.
    pub(super) fn bump(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }

    /// Reads a string, quotes and escapes included.
    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let mut end = 1;
        loop {
            end += self.rest.get(end..)?.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
            if self.rest.get(end) == Some(&b'"') {
                let (string, rest) = self.rest.split_at_checked(end + 1)?;
                self.rest = rest;
                return Some(string);
            }
            end += 2;
        }
    }

    /// Reads a number, `true`, `false` or `null`.
    pub(super) fn word(&mut self) -> Option<&'a str> {
        let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}') || byte.is_ascii_whitespace();
        let end = self.rest.iter().position(ends).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        std::str::from_utf8(word).ok().filter(|word| !word.is_empty())
    }

    /// Reads a value of any kind and size.
    pub(super) fn skip(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'{' | b'[' => self.skip_nested(),
            _ => self.word().map(drop),
        }
    }

    fn skip_nested(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            let telling = |byte: &u8| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']');
            let at = self.rest.iter().position(telling)?;
            self.rest = self.rest.get(at..)?;
            match self.rest.first()? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                _ => depth = depth.checked_sub(1)?,
            }
            self.bump();
            if depth == 0 {
                return Some(());
            }
        }
    }
}

/// The text of a string that was read with its quotes. `None` when it is no valid Unicode.
pub(super) fn decode(quoted: &[u8]) -> Option<Cow<'_, str>> {
    let inside = quoted.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if inside.contains(&b'\\') {
        serde_json::from_slice::<String>(quoted).ok().map(Cow::Owned)
    } else {
        std::str::from_utf8(inside).ok().map(Cow::Borrowed)
    }
}
