//! Counting: what was submitted, what became of it, and how long it took.
//!
//! | file | owns |
//! |---|---|
//! | `counters.rs` | the counters of one hook, written by submitters and workers |
//! | `tally.rs` | the same counts, written by one thread |
//! | `timing.rs` | histograms of waits and run times |
//! | `snapshot.rs` | copies of both, summed by class and in all; the ledger |

mod counters;
mod snapshot;
mod tally;
mod timing;

pub(crate) use self::counters::HookCounters;
pub(crate) use self::snapshot::HookCounts;
pub use self::snapshot::{Counts, HookSnapshot, Ledger, Snapshot};
pub use self::timing::Timing;
