//! Keeps the first and the last part of an output stream in bounded memory.
//!
//! A failing handler says what it wants at the beginning and why it failed at the end; the middle is what may go. At
//! most `limit` bytes are kept, whatever arrives; all are counted. Until the secrets in it are redacted, a margin is held
//! on both sides of the cut, so that a secret which the cut goes through is seen whole. Nobody is shown the margin.

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::redact::{Redactor, without};

/// Bytes beyond the cut that are held on each side: more than a private key of 4096 bits takes.
const MARGIN: usize = 4096;

/// What is kept of one output stream: its first bytes and its last bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    /// The first bytes, and the margin behind `head_len` of them.
    head: Vec<u8>,
    head_len: usize,
    /// The margin before the last `tail_len` bytes, and these. Empty, if the cut is within `head`.
    tail: Vec<u8>,
    tail_len: usize,
    total: u64,
    left_out: u64,
}

impl Captured {
    /// The first bytes; everything, if nothing was left out.
    pub fn head(&self) -> &[u8] {
        self.head.get(..self.head_len).unwrap_or_default()
    }

    /// The last bytes; empty, if nothing was left out.
    pub fn tail(&self) -> &[u8] {
        let source = if self.tail.is_empty() { &self.head } else { &self.tail };
        source.get(source.len() - self.tail_len..).unwrap_or_default()
    }

    /// Bytes that the handler wrote.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Bytes between head and tail that were counted and discarded.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// True when the middle was discarded.
    pub fn truncated(&self) -> bool {
        self.left_out() > 0
    }

    /// The same without secrets, and without the margin.
    pub(crate) fn redacted(self, redactor: &Redactor) -> Self {
        let spans = redactor.spans(&self.head);
        let head = without(&self.head, &spans, 0..self.head_len);
        let tail = if self.tail.is_empty() {
            without(&self.head, &spans, self.head.len() - self.tail_len..self.head.len())
        } else {
            let from = self.tail.len() - self.tail_len;
            let mut spans = redactor.spans(&self.tail);
            // Letters that go on for longer than the margin may be the end of a secret that begins before it, and so may
            // what is known to be one.
            let is_letter = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+/=_-.".contains(byte);
            let run = self.tail.iter().take_while(is_letter).count();
            let run = run.max(redactor.known_end(&self.tail, MARGIN));
            if run > from && from > 0 && redactor.is_on() {
                spans.retain(|span| span.end > run);
                spans.insert(0, 0..run);
            }
            without(&self.tail, &spans, from..self.tail.len())
        };
        let (head_len, tail_len) = (head.len(), tail.len());
        Self { head, head_len, tail, tail_len, ..self }
    }

    /// All that is kept, with a line between head and tail that says how much is missing.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        if !self.truncated() {
            return Cow::Borrowed(self.head());
        }
        let marker = format!("\n[... {} bytes left out ...]\n", self.left_out());
        Cow::Owned([self.head(), marker.as_bytes(), self.tail()].concat())
    }

    /// The same as text; what is no UTF-8 is replaced.
    pub fn text(&self) -> Cow<'_, str> {
        match self.bytes() {
            Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }
}

/// Takes a stream as it comes and holds at most its limit and two margins.
#[derive(Debug)]
pub struct Keeper {
    limit: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
}

impl Keeper {
    /// One that keeps at most so many bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, head: Vec::new(), tail: VecDeque::new(), total: 0 }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let most = |kept: usize| if self.limit == 0 { 0 } else { kept.saturating_add(MARGIN) };
        let (most_head, most_tail) = (most(self.limit - self.limit / 2), most(self.limit / 2));
        self.total += bytes.len() as u64;
        let room = most_head - self.head.len();
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(first);
        // Only the last bytes of a long piece can survive it.
        let (_, rest) = rest.split_at(rest.len().saturating_sub(most_tail));
        let excess = (self.tail.len() + rest.len()).saturating_sub(most_tail);
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
        let total = self.total;
        let mut tail = Vec::from(self.tail);
        let all = (self.head.len() + tail.len()) as u64 == total;
        if all {
            self.head.append(&mut tail);
        }
        let left_out = total.saturating_sub(self.limit as u64);
        let (head_len, tail_len) = match left_out {
            0 => (self.head.len(), 0),
            _ => (self.limit - self.limit / 2, self.limit / 2),
        };
        Captured { head: self.head, head_len, tail, tail_len, total, left_out }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(limit: usize, pieces: &[&[u8]]) -> Captured {
        let mut keeper = Keeper::new(limit);
        for piece in pieces {
            keeper.push(piece);
            assert!(keeper.head.len() + keeper.tail.len() <= limit + 2 * MARGIN);
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

    /// A secret across either cut, or in the part that is left out, at every offset, in pieces of every kind.
    #[test]
    fn no_byte_of_a_secret_survives_a_cut_through_it() {
        let redactor = Redactor::default();
        let line = format!("Zq00Xw/+{}\n", "Yv8".repeat(18));
        let key = line.repeat(50);
        let secrets = [
            format!("ghp_{}", "Zq8X".repeat(9)),
            format!("password=\"{}\"", "Zq8 X".repeat(100)),
            format!("-----BEGIN RSA PRIVATE KEY-----\n{key}-----END RSA PRIVATE KEY-----"),
            format!("token={}", "Zq8X".repeat(5000)),
        ];
        for secret in &secrets {
            for before in (0..400).step_by(7).chain([4000, 4096, 5000, 20_000]) {
                for after in [0, 1, 50, 128, 200, 4200, 9000] {
                    let text = format!("{} {secret} {}", "x ".repeat(before / 2), "y ".repeat(after / 2));
                    for piece in [64, 5000, text.len()] {
                        let pieces: Vec<_> = text.as_bytes().chunks(piece).collect();
                        let captured = kept(256, &pieces).redacted(&redactor);
                        let shown = captured.text();
                        assert!(!shown.contains("Zq") && !shown.contains("Yv8"), "{before} {after}: {shown}");
                        assert_eq!(captured.total(), text.len() as u64);
                    }
                }
            }
        }
    }

    #[test]
    fn no_byte_of_a_known_secret_survives_though_it_is_longer_than_the_margin() {
        let secret = (0..2 * MARGIN).map(|number| format!("Zq {number}\n")).collect::<Vec<_>>().concat();
        let redactor = Redactor::default().with_known([secret.as_bytes()]);
        for after in ["", "y", &"y ".repeat(100), &"y ".repeat(3000)] {
            let captured = kept(256, &[format!("x {secret}{after}").as_bytes()]).redacted(&redactor);
            assert!(!captured.text().contains("Zq"), "{}", captured.text());
            assert!(after.is_empty() || captured.text().ends_with(after.get(after.len() - 1..).unwrap()));
        }
    }

    #[test]
    fn redacted_output_holds_no_margin_and_is_the_same_without_secrets() {
        for redactor in [Redactor::default(), Redactor::off()] {
            for length in [0, 5, 256, 257, 4000, 9000, 100_000] {
                let text = "a b ".repeat(length / 4);
                let captured = kept(256, &[text.as_bytes()]);
                let redacted = captured.clone().redacted(&redactor);
                assert_eq!(redacted.bytes(), captured.bytes());
                assert_eq!((redacted.total(), redacted.left_out()), (captured.total(), captured.left_out()));
                assert!(redacted.head.len() + redacted.tail.len() <= 256);
            }
        }
    }
}
