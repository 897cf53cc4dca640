//! Histograms of durations and sizes: bounded memory, quantiles within one per cent.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Many whole numbers, to within one per cent. Their sum and the largest one are exact. At most 12 kB.
///
/// ```
/// use hookpool::HookPool;
/// use std::time::Duration;
///
/// let pool = HookPool::builder().build()?;
/// let waits = pool.status().total.wait_micros().clone();
/// println!("{} of {} jobs waited for at most 10 ms", waits.at_most(10_000), waits.samples());
/// # Ok::<(), hookpool::BuildError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Distribution {
    /// `None` without samples.
    values: Option<Box<Histogram<u32>>>,
    sum: u64,
    max: u64,
}

impl Distribution {
    /// In microseconds a day, more than anything may wait or run; larger values count as this one in quantiles.
    const LARGEST: u64 = 24 * 3600 * 1_000_000;

    pub(super) fn record(&mut self, value: u64) {
        self.sum = self.sum.saturating_add(value);
        self.max = self.max.max(value);
        let values = self
            .values
            .get_or_insert_with(|| Box::new(Histogram::new(2).expect("two significant digits are allowed")));
        // It grows as needed, so recording cannot fail for want of range.
        let _ = values.record(value.min(Self::LARGEST));
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
        match (&mut self.values, &other.values) {
            (_, None) => {}
            (None, Some(_)) => self.values.clone_from(&other.values),
            // Both grow as needed, so adding cannot fail for want of range.
            (Some(values), Some(others)) => drop(values.add(&**others)),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.values.as_ref().map_or(0, |values| values.len())
    }

    /// All together.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The largest one; 0 without any.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.max
    }

    /// How many are at most `value`; those within one per cent of it may count or not.
    #[must_use]
    pub fn at_most(&self, value: u64) -> u64 {
        if value >= self.max {
            return self.samples();
        }
        self.values.as_ref().map_or(0, |values| values.count_between(0, value))
    }

    /// The smallest value that this share of them (0 to 1) is at most. `None` without any.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<u64> {
        self.values.as_ref().map(|values| values.value_at_quantile(share).min(self.max))
    }
}

/// Durations of one sort, in whole microseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Durations(Distribution);

impl Durations {
    pub(crate) fn record(&mut self, duration: Duration) {
        self.0.record(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.0.add(&other.0);
    }

    pub(crate) fn micros(&self) -> &Distribution {
        &self.0
    }

    /// `None` without samples.
    pub(crate) fn timing(&self) -> Option<Timing> {
        let quantile = |share| self.0.quantile(share).map(Duration::from_micros);
        Some(Timing {
            samples: self.0.samples(),
            p50: quantile(0.50)?,
            p99: quantile(0.99)?,
            max: Duration::from_micros(self.0.max),
        })
    }
}

/// A summary of many durations, in whole microseconds. The quantiles are within one per cent, `max` is exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timing {
    /// How many there were; at least 1.
    pub samples: u64,
    /// Half of them were at most this long.
    pub p50: Duration,
    /// 99 of 100 were at most this long.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_one_per_cent_and_never_above_the_longest() {
        let mut durations = Durations::default();
        assert_eq!(durations.timing(), None);
        for ms in 1..=1000 {
            durations.record(Duration::from_millis(ms));
        }
        let timing = durations.timing().unwrap();
        let near = |found: Duration, want_ms: f64| {
            let off = found.as_secs_f64() * 1e3 / want_ms - 1.0;
            assert!(off.abs() < 0.01, "{found:?} is not near {want_ms} ms");
        };
        near(timing.p50, 500.0);
        near(timing.p99, 990.0);
        assert_eq!(timing.max, Duration::from_secs(1));
        assert!(timing.p99 <= timing.max);
        assert_eq!(timing.samples, 1000);
    }

    #[test]
    fn extremes_are_counted() {
        let mut durations = Durations::default();
        durations.record(Duration::ZERO);
        durations.record(Duration::MAX);
        let mut sum = Durations::default();
        sum.add(&durations);
        assert_eq!(sum.timing().unwrap().samples, 2);
        assert_eq!(sum.timing().unwrap().p50, Duration::ZERO);
    }

    #[test]
    fn a_distribution_counts_what_is_at_most_a_value() {
        let mut sizes = Distribution::default();
        assert_eq!((sizes.samples(), sizes.at_most(5), sizes.quantile(0.5)), (0, 0, None));
        for size in [1, 1, 2, 50, 100_000] {
            sizes.record(size);
        }
        let at_most = [0, 1, 2, 49, 50, 99_000, 100_000].map(|value| sizes.at_most(value));
        assert_eq!(at_most, [0, 2, 3, 3, 4, 4, 5]);
        assert_eq!((sizes.sum(), sizes.max()), (100_054, 100_000));
        sizes.record(u64::MAX);
        assert_eq!((sizes.sum(), sizes.max(), sizes.at_most(100_001)), (u64::MAX, u64::MAX, 5));
    }
}
