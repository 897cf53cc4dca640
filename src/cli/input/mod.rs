//! Where events come from: files and streams of JSON, and the pace at which they are handed on.
//!
//! Owns the cutting of bytes into documents ([`DocumentReader`]) and the schedule of a replay
//! ([`Pace`]). Invariant: bad input is reported with its line and never hides a good line after it;
//! memory is bounded by the limit for one document, whatever comes.
//!
//! It does not know what an event is: a document is any JSON object, byte for byte as it stood. It
//! opens no file, waits for nothing but the bytes it was given, and prints nothing.

mod pace;
mod reader;
mod scan;

pub(crate) use pace::{Pace, Rate};
pub(crate) use reader::DocumentReader;
pub(crate) use scan::SyntaxError;

/// One piece of the input: a document, or a place that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// A complete JSON object.
    Document {
        /// The object from its `{` to its `}`, exactly as it stood. Strings are not checked for UTF-8.
        bytes: Vec<u8>,
        /// The line of its `{`, from 1.
        line: u64,
    },
    /// A line, or a document of several lines, that could not be used.
    Bad {
        /// The first line of what is bad, from 1.
        line: u64,
        /// What is wrong with it.
        problem: BadDocument,
    },
}

/// Why a piece of the input is no document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadDocument {
    /// The JSON is broken. The place may be on a later line than the document's first.
    #[error("not JSON at {line}:{column}: {reason}")]
    NotJson {
        /// The line of the offending byte, from 1.
        line: u64,
        /// The offending byte's place on its line, in bytes, from 1.
        column: u64,
        /// What is wrong there.
        reason: SyntaxError,
    },
    /// The line is JSON, but an array.
    #[error("an array, not an event: give its elements one by one")]
    Array,
    /// The line is JSON, but a string, a number, a boolean or null.
    #[error("{0}, not an event: an event is a JSON object")]
    Scalar(&'static str),
    /// The document is longer than one document may be.
    #[error("longer than the limit of {limit} bytes for one event")]
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The input ends, or the next document begins, before this one is complete.
    #[error("ends in the middle: its last `}}` is missing")]
    Truncated,
}
