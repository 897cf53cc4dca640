//! Histograms of durations, in microseconds: bounded memory, quantiles within one per cent.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Durations of one sort. Grows to at most 12 kB.
#[derive(Clone, Debug)]
pub(crate) struct Durations {
    micros: Histogram<u32>,
    max: u64,
}

impl Default for Durations {
    fn default() -> Self {
        let micros = Histogram::new(2).expect("two significant digits are allowed");
        Self { micros, max: 0 }
    }
}

impl Durations {
    pub(crate) fn record(&mut self, duration: Duration) {
        // A day is more than anything may wait or run; longer ones count as one.
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.max = self.max.max(micros);
        // It grows as needed, so recording cannot fail for want of range.
        let _ = self.micros.record(micros.min(Self::LONGEST));
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.max = self.max.max(other.max);
        // Both grow as needed, so adding cannot fail for want of range.
        let _ = self.micros.add(&other.micros);
    }

    /// `None` without samples.
    pub(crate) fn timing(&self) -> Option<Timing> {
        let quantile = |q| self.micros.value_at_quantile(q).min(self.max);
        (!self.micros.is_empty()).then(|| Timing {
            samples: self.micros.len(),
            p50: Duration::from_micros(quantile(0.50)),
            p99: Duration::from_micros(quantile(0.99)),
            max: Duration::from_micros(self.max),
        })
    }

    const LONGEST: u64 = 24 * 3600 * 1_000_000;
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
}
