//! The metrics of a run, in the OpenMetrics text format: to a file at its end, or to who asks while it goes on.
//!
//! | file | owns |
//! |---|---|
//! | `openmetrics.rs` | a snapshot as text: what there is, and its name |
//! | `families.rs` | how a metric is written: samples, units, buckets |
//! | `file.rs` | `--metrics`: a file that is replaced as a whole |
//! | `http.rs` | `--metrics-listen`: `GET /metrics`, on this machine alone |
//!
//! Nothing is counted here: everything is in the library's [`Snapshot`](hookpool::Snapshot).

mod families;
mod file;
#[cfg(feature = "metrics-http")]
mod http;
mod openmetrics;

pub(super) use self::file::MetricsFile;
#[cfg(feature = "metrics-http")]
pub(super) use self::http::{loopback, serve};
