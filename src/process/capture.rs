//! Keeps the first and the last part of an output stream in bounded memory.
//!
//! A failing handler says what it wants at the beginning and why it failed at the end; the middle is what may go. At
//! most `limit` bytes are held, whatever arrives; all are counted.

use std::borrow::Cow;
use std::collections::VecDeque;

/// What is kept of one output stream: its first bytes and its last bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    head: Vec<u8>,
    tail: Vec<u8>,
    total: u64,
}

impl Captured {
    /// The first bytes; everything, if nothing was left out.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The last bytes; empty, if nothing was left out.
    pub fn tail(&self) -> &[u8] {
        &self.tail
    }

    /// Bytes that the handler wrote.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Bytes between head and tail that were counted and discarded.
    pub fn left_out(&self) -> u64 {
        self.total - (self.head.len() + self.tail.len()) as u64
    }

    /// True when the middle was discarded.
    pub fn truncated(&self) -> bool {
        self.left_out() > 0
    }

    /// All that is kept, with a line between head and tail that says how much is missing.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        if !self.truncated() {
            return Cow::Borrowed(&self.head);
        }
        let marker = format!("\n[... {} bytes left out ...]\n", self.left_out());
        Cow::Owned([&self.head, marker.as_bytes(), &self.tail].concat())
    }

    /// The same as text; what is no UTF-8 is replaced.
    pub fn text(&self) -> Cow<'_, str> {
        match self.bytes() {
            Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }
}

/// Takes a stream as it comes and holds at most its limit.
#[derive(Debug)]
pub struct Keeper {
    head_limit: usize,
    tail_limit: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
}

impl Keeper {
    /// One that holds at most so many bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let tail_limit = limit / 2;
        let (head, tail) = (Vec::new(), VecDeque::new());
        Self { head_limit: limit - tail_limit, tail_limit, head, tail, total: 0 }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let room = self.head_limit - self.head.len();
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(first);
        // Only the last bytes of a long piece can survive it.
        let (_, rest) = rest.split_at(rest.len().saturating_sub(self.tail_limit));
        let excess = (self.tail.len() + rest.len()).saturating_sub(self.tail_limit);
        self.tail.drain(..excess);
        self.tail.extend(rest);
    }

    /// True when nothing has come.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// What is kept.
    #[must_use]
    pub fn finish(mut self) -> Captured {
        let mut tail = Vec::from(self.tail);
        if (self.head.len() + tail.len()) as u64 == self.total {
            self.head.append(&mut tail);
        }
        Captured { head: self.head, tail, total: self.total }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(limit: usize, pieces: &[&[u8]]) -> Captured {
        let mut keeper = Keeper::new(limit);
        for piece in pieces {
            keeper.push(piece);
            assert!(keeper.head.len() + keeper.tail.len() <= limit);
        }
        keeper.finish()
    }

    #[test]
    fn output_within_the_limit_is_kept_whole() {
        for pieces in [&[&b"abcdef"[..]][..], &[b"abc", b"", b"def"], &[b"a", b"bcdef"]] {
            let all = kept(6, pieces);
            assert_eq!(
                (all.head(), all.tail(), all.total(), all.truncated()),
                (&b"abcdef"[..], &b""[..], 6, false)
            );
            assert_eq!(all.text(), "abcdef");
        }
    }

    #[test]
    fn longer_output_keeps_its_first_and_its_last_bytes_and_says_how_much_is_missing() {
        for pieces in [&[&b"0123456789"[..]][..], &[b"01", b"2345", b"6789"], &[b"012345678", b"9"]] {
            let some = kept(5, pieces);
            assert_eq!((some.head(), some.tail(), some.total()), (&b"012"[..], &b"89"[..], 10));
            assert_eq!((some.left_out(), some.truncated()), (5, true));
            assert_eq!(some.text(), "012\n[... 5 bytes left out ...]\n89");
        }
    }

    #[test]
    fn a_limit_of_nothing_only_counts() {
        let none = kept(0, &[b"abc"]);
        assert_eq!((none.head(), none.tail(), none.total(), none.left_out()), (&b""[..], &b""[..], 3, 3));
        assert_eq!(kept(1, &[b"abc"]).head(), b"a");
    }

    #[test]
    fn text_survives_bytes_that_are_no_text() {
        assert_eq!(kept(9, &[b"a\xff\xfeb"]).text(), "a\u{fffd}\u{fffd}b");
    }
}
