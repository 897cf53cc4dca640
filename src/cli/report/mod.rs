//! The report of a finished run: what was read, what became of it, how long it took, what failed and why.
//!
//! | file | owns |
//! |---|---|
//! | `text.rs` | the report for people |
//! | `waits.rs` | its table of why jobs waited |
//! | `json.rs` | the report for programs |
//! | `failures.rs` | the first failure of each hook and kind, collected while the run goes on |
//! | `table.rs` | aligned columns that continue below when they are too wide |
//! | `units.rs` | durations, rates and numbers of things, in words |
//! | `clean.rs` | text of handlers made safe to print |
//! | `palette.rs` | the colours |
//!
//! A report says what the ledger says and counts nothing itself. It prints nothing: both forms are returned as text
//! that ends with a line break.

mod clean;
mod failures;
pub(crate) mod json;
mod palette;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod units;
mod waits;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub(crate) use self::clean::line as printable;
pub(crate) use self::failures::{FailureNote, Failures};
pub(crate) use self::palette::{Palette, paint};

/// Everything that is reported of a run.
#[derive(Debug)]
pub(crate) struct RunReport {
    /// What was read.
    pub(crate) events: EventCounts,
    /// What became of it.
    pub(crate) ledger: hookpool::Ledger,
    /// From the first read to the end of the drain.
    pub(crate) elapsed: Duration,
    /// The first failure of each hook and kind.
    pub(crate) failures: Vec<FailureNote>,
}

/// What was read. The unit is the event, however many hooks want it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventCounts {
    /// Pieces of the input, the invalid ones included.
    pub(crate) read: u64,
    /// Pieces that are no events.
    pub(crate) invalid: u64,
    /// Events that at least one hook wants.
    pub(crate) matched: u64,
}
