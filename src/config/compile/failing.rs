//! What becomes of a hook's failures: `retry`, with what the table leaves out.

use std::time::Duration;

use super::super::raw::RawRetry;
use crate::hook::RetryPolicy;

/// What a table `retry` means. As the registry's texts say it: three attempts, one second, whatever failed.
pub(super) fn retry(raw: &RawRetry) -> RetryPolicy {
    let on = |name: &str| raw.on.as_ref().is_none_or(|on| on.iter().any(|one| one == name));
    RetryPolicy {
        attempts: raw.attempts.unwrap_or(3),
        backoff: raw.backoff.map_or(Duration::from_secs(1), Duration::from_nanos),
        failed: on("failed"),
        timed_out: on("timed_out"),
        not_started: on("not_started"),
    }
}
