//! Why a job waited: its wait, split by cause.
//!
//! Each moment of a wait has one cause, so the parts make up the wait, to the nanosecond. The scheduler finds the
//! causes; what is left is the hand-over.

use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

use super::kinds::names;
use crate::time::nanos;

names! {
    /// What a job waits for at one moment.
    WaitCause {
        /// More important jobs: every seat was taken, and they had all of them or were next for one.
        MoreImportant = "more_important",
        /// The jobs in front of it in its session: `order = "none"` would let it overtake them.
        Chain = "chain",
        /// A seat: all that it may take were taken, and nothing more important was to blame. More workers would help.
        NoSeat = "no_seat",
        /// Other events for its batch: `batch.linger`.
        Linger = "linger",
        /// Its hook or its class was paused.
        Paused = "paused",
        /// A limit of its own: `hook.NAME.max_concurrency` or `class.NAME.seats` was reached. More workers would not help.
        Limit = "limit",
        /// The hand-over: a seat was free, and a worker on its way to it.
        Wake = "wake",
    }
}

impl WaitCause {
    /// In words, as in "waited 2 s: …".
    const fn words(self) -> &'static str {
        match self {
            Self::MoreImportant => "behind more important jobs",
            Self::Chain => "behind its session",
            Self::NoSeat => "no free seat",
            Self::Linger => "for its batch to fill",
            Self::Paused => "paused",
            Self::Limit => "at a limit of its hook or class",
            Self::Wake => "hand-over",
        }
    }
}

/// A wait, or the sum of several, by [cause](WaitCause).
///
/// ```
/// use hookpool::{WaitCause, WaitSplit};
///
/// let none = WaitSplit::default();
/// assert_eq!(none.of(WaitCause::NoSeat), none.total());
/// assert_eq!(none.to_string(), "waited 0.0ns");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitSplit([u64; WaitCause::COUNT]);

impl WaitSplit {
    pub(crate) fn from_fn(nanos: impl FnMut(WaitCause) -> u64) -> Self {
        let mut causes = WaitCause::ALL.iter().copied();
        let mut nanos = nanos;
        Self([(); WaitCause::COUNT].map(|()| causes.next().map_or(0, &mut nanos)))
    }

    /// The part that had this cause.
    #[must_use]
    pub fn of(&self, cause: WaitCause) -> Duration {
        Duration::from_nanos(self.nanos(cause))
    }

    /// Every cause with its part, zeros included, in the order of [`WaitCause::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (WaitCause, Duration)> + '_ {
        WaitCause::ALL.iter().map(|cause| (*cause, self.of(*cause)))
    }

    /// The whole wait: the sum of the parts, exactly.
    #[must_use]
    pub fn total(&self) -> Duration {
        Duration::from_nanos(self.total_nanos())
    }

    /// The cause of the longest part. `None`: nothing was waited for.
    #[must_use]
    pub fn longest(&self) -> Option<WaitCause> {
        let causes = WaitCause::ALL.iter().copied();
        causes.rev().max_by_key(|cause| self.nanos(*cause)).filter(|cause| self.nanos(*cause) > 0)
    }

    pub(crate) fn nanos(&self, cause: WaitCause) -> u64 {
        self.0.get(cause.index()).copied().unwrap_or_default()
    }

    fn total_nanos(&self) -> u64 {
        self.0.iter().fold(0, |sum, part| sum.saturating_add(*part))
    }

    /// The same wait when it has come to `total`: what was added is hand-over.
    pub(crate) fn until(mut self, total: Duration) -> Self {
        let more = nanos(total).saturating_sub(self.total_nanos());
        if let Some(wake) = self.0.get_mut(WaitCause::Wake.index()) {
            *wake = wake.saturating_add(more);
        }
        self
    }
}

impl From<[u64; WaitCause::COUNT]> for WaitSplit {
    /// Nanoseconds, in the order of [`WaitCause::ALL`].
    fn from(nanos: [u64; WaitCause::COUNT]) -> Self {
        Self(nanos)
    }
}

impl AddAssign<&Self> for WaitSplit {
    fn add_assign(&mut self, other: &Self) {
        for (to, from) in self.0.iter_mut().zip(&other.0) {
            *to = to.saturating_add(*from);
        }
    }
}

/// `waited 1.2s: 900.0ms no free seat, 300.0ms behind its session`: the longest part first, and none below a hundredth.
impl fmt::Display for WaitSplit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        write!(f, "waited {total:.1?}")?;
        let mut parts: Vec<_> =
            self.iter().filter(|(_, part)| !part.is_zero() && *part >= total / 100).collect();
        parts.sort_by_key(|(_, part)| std::cmp::Reverse(*part));
        for (at, (cause, part)) in parts.iter().enumerate() {
            let before = if at == 0 { ": " } else { ", " };
            write!(f, "{before}{part:.1?} {}", cause.words())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(parts: &[(WaitCause, u64)]) -> WaitSplit {
        let ms =
            |cause| parts.iter().filter(|(other, _)| *other == cause).map(|(_, ms)| ms * 1_000_000).sum();
        WaitSplit::from_fn(ms)
    }

    #[test]
    fn the_parts_make_up_the_whole() {
        let mut sum = split(&[(WaitCause::Chain, 3), (WaitCause::Wake, 1)]);
        sum += &split(&[(WaitCause::Chain, 4)]);
        assert_eq!(sum.of(WaitCause::Chain), Duration::from_millis(7));
        assert_eq!(sum.total(), Duration::from_millis(8));
        assert_eq!(sum.longest(), Some(WaitCause::Chain));
        assert_eq!(WaitSplit::default().longest(), None);
        let later = sum.until(Duration::from_millis(10));
        assert_eq!(
            (later.total(), later.of(WaitCause::Wake)),
            (Duration::from_millis(10), Duration::from_millis(3))
        );
        assert_eq!(later.until(Duration::from_millis(9)), later, "a wait does not get shorter");
    }

    #[test]
    fn it_is_told_by_its_longest_parts() {
        let text =
            split(&[(WaitCause::Chain, 300), (WaitCause::NoSeat, 900), (WaitCause::Wake, 1)]).to_string();
        assert_eq!(text, "waited 1.2s: 900.0ms no free seat, 300.0ms behind its session");
    }
}
