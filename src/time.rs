//! Time as the scheduler sees it: nanoseconds since the pool was made, read from a clock outside.
//!
//! The core takes a [`Time`] as an argument wherever it needs one, so that tests and simulations can run it in
//! virtual time. Only [`Clock`] looks at the real clock.
//!
//! A submit reads the clock once, and a run several times, so a process that runs many jobs a second reads it by the
//! processor's counter, which takes 9 ns instead of 22: each thread reckons from its last look at both (`anchor`), at most
//! a millisecond back. A look costs twice what the clock alone does, so this pays for threads that read it more often.
//! Whether the counter can be trusted, and how fast it runs, is found out once for the process, in a thread of its own,
//! when a worker has been quick for the first time (`counter`, [`Pace`]); until then, and wherever it cannot be trusted,
//! each reading is the system's.
//!
//! **Time on one thread never goes back.** Between threads it can: who learns of a moment from another thread may read
//! up to a microsecond less himself (what a look at both may take, and what a processor does before its turn), and a
//! millisecond should the counter falter. So what subtracts the times of two threads saturates, and none of it is an
//! invariant.

mod anchor;
mod counter;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use counter::is_sought as is_faster_clock_sought;

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
    /// The same moment, in the time of the process.
    offset: u64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let (origin, offset) = counter::origin();
        Self { origin, offset }
    }

    pub(crate) fn now(&self) -> Time {
        let by_counter = counter::now().map(|now| now.saturating_sub(self.offset));
        Time(by_counter.unwrap_or_else(|| nanos(self.origin.elapsed())))
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

/// How quick one worker is: decides whether a faster way to read the clock is worth finding.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    runs: u32,
    /// When they were counted from; before the first count, the pool's start.
    since: Time,
}

impl Pace {
    /// So many runs in [`Pace::SPAN`]: that is where the readings of the clock begin to count, and what no handler that
    /// starts a process can do.
    const QUICK: u32 = 4096;
    const SPAN: Duration = Duration::from_secs(1);

    /// A run has ended. The first that was quick starts the search for a faster way.
    pub(crate) fn count(&mut self, clock: &Clock) {
        if self.is_quick(|| clock.now()) {
            counter::look_for();
        }
    }

    /// Reads the clock at each [`Pace::QUICK`]th run only.
    fn is_quick(&mut self, now: impl FnOnce() -> Time) -> bool {
        self.runs += 1;
        if self.runs < Self::QUICK {
            return false;
        }
        let now = now();
        let took = now.since(self.since);
        *self = Self { runs: 0, since: now };
        took < Self::SPAN
    }
}
