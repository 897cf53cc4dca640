//! Counting: what was submitted, what became of it, and how long it took.
//!
//! | file | owns |
//! |---|---|
//! | `shard.rs` | counters that every thread writes at the cost of its own |
//! | `counters.rs` | the counters of one hook, by class and kind, written by submitters and workers |
//! | `runs.rs` | what the runs of its handler have cost |
//! | `tally.rs` | the same counts, written by one thread |
//! | `times.rs` | how long the jobs of a cell waited and ran, from all threads |
//! | `timing.rs` | histograms of durations and sizes |
//! | `snapshot.rs` | copies of all that, summed by hook, class and kind, and in all; the ledger |
//! | `gauges.rs` | how the pool stands at one moment |

mod counters;
mod gauges;
mod runs;
mod shard;
mod snapshot;
mod tally;
mod times;
mod timing;

pub(crate) use self::counters::{HookCounters, UnmatchedCounters};
pub use self::gauges::{LaneGauges, PoolGauges};
pub use self::runs::RunCounts;
pub use self::snapshot::{Counts, HookSnapshot, Ledger, Part, Snapshot};
pub use self::timing::{Distribution, Timing};
