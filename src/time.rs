//! Time as the scheduler sees it: nanoseconds since the pool was made, read from a clock outside.
//!
//! The core takes a [`Time`] as an argument wherever it needs one, so that tests and simulations can run it in
//! virtual time. Only [`Clock`] looks at the real clock.

use std::ops::Add;
use std::time::{Duration, Instant};

/// A moment: nanoseconds since the pool was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Time(pub(crate) u64);

impl Time {
    /// Time passed since `earlier`; nothing if it is not earlier.
    pub(crate) const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos(span)))
    }
}

/// Whole nanoseconds of a duration; at most 584 years of them.
pub(crate) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// The real, monotonic clock of one pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { origin: Instant::now() }
    }

    pub(crate) fn now(&self) -> Time {
        Time(nanos(self.origin.elapsed()))
    }

    /// The same moment as others tell it.
    pub(crate) fn instant(&self, time: Time) -> Instant {
        // Beyond the end of what can be told there is no moment to wait for.
        self.origin.checked_add(Duration::from_nanos(time.0)).unwrap_or(self.origin)
    }

    /// How long from now until `time`; nothing when it has passed.
    pub(crate) fn until(&self, time: Time) -> Duration {
        time.since(self.now())
    }
}
