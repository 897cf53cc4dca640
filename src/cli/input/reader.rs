//! Cuts a stream of bytes into JSON objects: JSON Lines, pretty-printed documents, or both mixed.
//!
//! Owns the bytes that were read and not yet handed on, and the rules of recovery. Invariants: every
//! byte is scanned at most twice; the bytes held are at most the limit for one document and one
//! chunk; the result does not depend on how the input came in chunks; a document is handed on as
//! soon as its last brace was read.
//!
//! Recovery counts on one habit of event files: events begin in column 1. Outside a document, what
//! is no object is bad up to the end of its line. A document that breaks on its first line is that
//! line's fault alone. One that breaks on a later line is bad as a whole, and the next line (this one
//! first) that begins with `{` begins the next document. A line that is one non-empty object from
//! column 1 to its end is always a document: an open document around it is taken for a truncated one.
//!
//! It does not look inside documents, and does not open, name or close files.

#[cfg(test)]
mod tests;

use std::io::{self, Read};

use super::scan::{Scanner, Step, SyntaxError};
use super::{BadDocument, Item};

/// The bytes asked for in one read.
const CHUNK: usize = 64 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads JSON objects from a stream, and reports what is none.
#[derive(Debug)]
pub(crate) struct DocumentReader<R> {
    source: R,
    limit: usize,
    chunk: Box<[u8]>,
    ended: bool,
    /// Bytes from the open document on, or from `at` on outside of one (after `make_room`).
    buffer: Vec<u8>,
    /// The next byte of `buffer` to look at.
    at: usize,
    /// The line of that byte, from 1.
    line: u64,
    /// How many bytes of its line were passed.
    column: u64,
    mode: Mode,
    scanner: Scanner,
    /// Handed out before anything else.
    next: Option<Item>,
    /// How many bytes went through the scanner.
    #[cfg(test)]
    scanned: usize,
}

#[derive(Debug, Clone, Copy)]
enum Mode {
    /// At the first byte of the stream.
    Start,
    /// Outside a document, before the first token of a line or after a document on it.
    Between,
    /// In a document.
    Open(Open),
    /// In something on one line that may be a scalar; what it would be.
    Stray(&'static str),
    /// After a scalar, on its line.
    AfterStray(&'static str),
    /// On the way to the end of a bad line.
    SkipLine,
    /// On the way to the next line that begins with `{`.
    SkipToBrace,
}

/// An open document. Offsets are places in the buffer.
#[derive(Debug, Clone, Copy)]
struct Open {
    start: usize,
    line: u64,
    /// The beginning of the current line, or of the document on its first line.
    line_start: usize,
    /// The end of the non-empty object that began in column 1 of the current line, a later one.
    lone_end: Option<usize>,
}

impl<R: Read> DocumentReader<R> {
    /// A reader of `source`. A document may have `limit` bytes.
    pub(crate) fn new(source: R, limit: usize) -> Self {
        Self {
            source,
            limit,
            chunk: vec![0; CHUNK].into_boxed_slice(),
            ended: false,
            buffer: Vec::new(),
            at: 0,
            line: 1,
            column: 0,
            mode: Mode::Start,
            scanner: Scanner::new(),
            next: None,
            #[cfg(test)]
            scanned: 0,
        }
    }

    /// The next piece of the input, `None` at its end.
    ///
    /// Waits for the source only if nothing complete was read before.
    ///
    /// # Errors
    ///
    /// Errors of the source, except interruptions, which are tried again. The reader stays usable:
    /// a later call goes on where it stopped.
    pub(crate) fn next(&mut self) -> io::Result<Option<Item>> {
        loop {
            let item = self.next.take().or_else(|| self.work_off());
            if item.is_some() {
                return Ok(item);
            }
            if self.ended {
                return Ok(self.finish());
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let count = loop {
            match self.source.read(&mut self.chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.ended = count == 0;
        self.make_room(count);
        self.buffer.extend_from_slice(self.chunk.get(..count).unwrap_or_default());
        Ok(())
    }

    /// Forgets what was handed on, and grows the buffer by doubling, up to what it may need.
    fn make_room(&mut self, count: usize) {
        let used = match &mut self.mode {
            Mode::Open(open) => {
                let used = open.start;
                open.start = 0;
                open.line_start -= used;
                open.lone_end = open.lone_end.map(|end| end - used);
                used
            }
            _ => self.at,
        };
        if used > 0 {
            self.buffer.drain(..used);
            self.at -= used;
        }
        let needed = self.buffer.len() + count;
        if needed > self.buffer.capacity() {
            let most = self.limit.saturating_add(CHUNK);
            let capacity = self.buffer.capacity().saturating_mul(2).min(most).max(needed);
            self.buffer.reserve_exact(capacity - self.buffer.len());
        }
    }

    /// Works through the bytes at hand up to the next item, if they hold one.
    fn work_off(&mut self) -> Option<Item> {
        while let Some(&byte) = self.buffer.get(self.at) {
            let item = match self.mode {
                Mode::Start => {
                    if self.buffer.starts_with(BYTE_ORDER_MARK) {
                        self.at = BYTE_ORDER_MARK.len();
                    } else if BYTE_ORDER_MARK.starts_with(&self.buffer) && !self.ended {
                        return None;
                    }
                    self.mode = Mode::Between;
                    None
                }
                Mode::Between => self.between(byte),
                Mode::Open(open) => self.in_document(open, byte),
                Mode::Stray(what) => self.in_stray(what),
                Mode::AfterStray(what) => self.after_stray(what, byte),
                Mode::SkipLine => {
                    if self.pass_line() {
                        self.mode = Mode::Between;
                    }
                    None
                }
                Mode::SkipToBrace => {
                    if self.column == 0 && byte == b'{' {
                        self.mode = Mode::Between;
                    } else {
                        self.pass_line();
                    }
                    None
                }
            };
            if item.is_some() {
                return item;
            }
        }
        None
    }

    /// What is left to say when no more bytes come.
    fn finish(&mut self) -> Option<Item> {
        match self.mode {
            Mode::Open(open) => {
                self.mode = Mode::Between;
                Some(self.lone_object(open).unwrap_or_else(|| bad(open.line, BadDocument::Truncated)))
            }
            // The end of the input ends a number or a word as the end of its line would.
            Mode::Stray(_) | Mode::AfterStray(_) => {
                self.buffer.push(b'\n');
                self.work_off()
            }
            _ => None,
        }
    }

    /// Passes `count` bytes of the current line.
    fn pass(&mut self, count: usize) {
        self.at += count;
        self.column += count as u64;
    }

    /// Passes `count` bytes, the last of which is a line break.
    fn pass_break(&mut self, count: usize) {
        self.at += count;
        self.line += 1;
        self.column = 0;
    }

    /// Passes the rest of the line, as far as it is there. Tells whether its end was.
    fn pass_line(&mut self) -> bool {
        let rest = self.buffer.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|&byte| byte == b'\n');
        match end {
            Some(end) => self.pass_break(end + 1),
            None => self.pass(self.buffer.len() - self.at),
        }
        end.is_some()
    }

    /// Gives the bytes up to `end` to the scanner.
    fn scan(&mut self, end: usize) -> (usize, Step) {
        let (taken, step) = self.scanner.feed(self.buffer.get(self.at..end).unwrap_or_default());
        #[cfg(test)]
        {
            // An error is found by looking at one byte more.
            self.scanned += taken + usize::from(matches!(step, Step::Error(_)));
        }
        (taken, step)
    }

    fn document(&self, start: usize, end: usize, line: u64) -> Item {
        Item::Document { bytes: self.buffer.get(start..end).unwrap_or_default().to_vec(), line }
    }

    /// The problem at the next byte.
    fn not_json(&self, reason: SyntaxError) -> BadDocument {
        BadDocument::NotJson { line: self.line, column: self.column + 1, reason }
    }

    fn between(&mut self, byte: u8) -> Option<Item> {
        match byte {
            b'\n' => self.pass_break(1),
            b' ' | b'\t' | b'\r' => self.pass(1),
            b'{' => {
                self.scanner.reset();
                self.mode =
                    Mode::Open(Open { start: self.at, line: self.line, line_start: self.at, lone_end: None });
            }
            b'[' => {
                self.mode = Mode::SkipLine;
                return Some(bad(self.line, BadDocument::Array));
            }
            b'"' => self.begin_stray("a string"),
            b'-' | b'0'..=b'9' => self.begin_stray("a number"),
            b't' | b'f' => self.begin_stray("a boolean"),
            b'n' => self.begin_stray("null"),
            found => return Some(self.no_object(found)),
        }
        None
    }

    fn no_object(&mut self, found: u8) -> Item {
        self.mode = Mode::SkipLine;
        bad(self.line, self.not_json(SyntaxError::Unexpected { expected: "an object", found }))
    }

    fn begin_stray(&mut self, what: &'static str) {
        self.scanner.reset();
        self.mode = Mode::Stray(what);
    }

    /// A scalar holds no line break, so it ends or breaks on its line, and nothing of it is kept.
    fn in_stray(&mut self, what: &'static str) -> Option<Item> {
        let (taken, step) = self.scan(self.buffer.len());
        self.pass(taken);
        match step {
            Step::Complete { .. } => self.mode = Mode::AfterStray(what),
            Step::Error(reason) => {
                self.mode = Mode::SkipLine;
                return Some(bad(self.line, self.not_json(reason)));
            }
            Step::More | Step::LineEnd => {}
        }
        None
    }

    fn after_stray(&mut self, what: &'static str, byte: u8) -> Option<Item> {
        match byte {
            b' ' | b'\t' | b'\r' => {
                self.pass(1);
                None
            }
            b'\n' => {
                self.mode = Mode::SkipLine;
                Some(bad(self.line, BadDocument::Scalar(what)))
            }
            found => Some(self.no_object(found)),
        }
    }

    fn in_document(&mut self, mut open: Open, byte: u8) -> Option<Item> {
        let end = open.start.saturating_add(self.limit).min(self.buffer.len());
        if self.at >= end {
            return Some(self.give_up(open, BadDocument::TooLong { limit: self.limit }));
        }
        if byte == b'{' && self.column == 0 {
            self.scanner.stop_at(self.scanner.depth());
        }
        let (taken, step) = self.scan(end);
        match step {
            Step::More => self.pass(taken),
            Step::LineEnd => {
                // The break stays, for the mode after a lone object.
                self.pass(taken - 1);
                if let Some(item) = self.lone_object(open) {
                    self.mode = Mode::Between;
                    return Some(item);
                }
                self.pass_break(1);
                self.scanner.stop_at(0);
                open.line_start = self.at;
                open.lone_end = None;
            }
            Step::Complete { empty } => {
                self.pass(taken);
                if self.scanner.depth() == 0 {
                    self.mode = Mode::Between;
                    return Some(self.document(open.start, self.at, open.line));
                }
                self.scanner.stop_at(0);
                open.lone_end = Some(self.at).filter(|_| !empty);
            }
            Step::Error(reason) => {
                self.pass(taken);
                return Some(self.give_up(open, self.not_json(reason)));
            }
        }
        self.mode = Mode::Open(open);
        None
    }

    /// At the end of a line: if the line is a non-empty object by itself, it is the next item, and
    /// the document around it is bad.
    fn lone_object(&mut self, open: Open) -> Option<Item> {
        let end = open.lone_end?;
        let tail = self.buffer.get(end..self.at).unwrap_or_default();
        if !tail.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
            return None;
        }
        self.next = Some(self.document(open.line_start, end, self.line));
        Some(bad(open.line, BadDocument::Truncated))
    }

    /// The open document is bad, and the next byte is the one that shows it.
    fn give_up(&mut self, open: Open, problem: BadDocument) -> Item {
        self.mode = if self.line == open.line {
            Mode::SkipLine
        } else if self.buffer.get(open.line_start) == Some(&b'{') {
            // A document from here can only break on its first line or beyond this byte, so this is
            // the second and last look at the bytes between.
            self.at = open.line_start;
            self.column = 0;
            Mode::Between
        } else {
            Mode::SkipToBrace
        };
        bad(open.line, problem)
    }
}

fn bad(line: u64, problem: BadDocument) -> Item {
    Item::Bad { line, problem }
}
