//! What becomes of a hook's failures: `retry` and `breaker`, with what the tables leave out.

use std::time::Duration;

use super::super::raw::{RawBreaker, RawRetry};
use crate::hook::{BreakerPolicy, RetryPolicy};

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

/// What a table `breaker` means: five failures unless it names what opens it, 30 s, up to 10 min.
pub(super) fn breaker(raw: &RawBreaker) -> BreakerPolicy {
    let (cooldown, max_cooldown) =
        (raw.cooldown.map(Duration::from_nanos), raw.max_cooldown.map(Duration::from_nanos));
    let first = Duration::from_secs(30);
    // A bound that is not said is never below what is.
    let first = cooldown.unwrap_or_else(|| max_cooldown.map_or(first, |most| most.min(first)));
    BreakerPolicy {
        failures: raw.failures.or(if raw.rate.is_some() { None } else { Some(5) }),
        rate: raw.rate,
        cooldown: first,
        max_cooldown: max_cooldown.unwrap_or_else(|| first.max(Duration::from_mins(10))),
    }
}
