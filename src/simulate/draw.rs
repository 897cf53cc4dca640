//! Chance: numbers that are the same for a seed on every machine, and run times drawn from them.
//!
//! The generator is `SplitMix64`, and the logarithm of the `libm` crate: that of
//! the system differs from one to the next in its last bit, which would be another run after a while.

use std::time::Duration;

use crate::time::nanos;

/// A generator of its own for each purpose, so that a change of one stream leaves the others as they were.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut random = Self(seed);
        Self(random.next().wrapping_add(stream.wrapping_mul(0xD134_2543_DE82_EF95)))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`, which is not 0.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        let high = (u128::from(self.next()) * u128::from(bound)) >> 64;
        u32::try_from(high).unwrap_or(0)
    }

    /// Above 0, at most 1.
    pub(super) fn unit(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double")]
        let number = ((self.next() >> 11) + 1) as f64;
        number / 9_007_199_254_740_992.0
    }

    /// Exponential with the mean 1.
    pub(super) fn exponential(&mut self) -> f64 {
        -libm::log(self.unit())
    }

    /// Normal with the mean 0 and the deviation 1.
    fn normal(&mut self) -> f64 {
        let (radius, turn) = (libm::sqrt(2.0 * self.exponential()), self.unit());
        radius * libm::cos(std::f64::consts::TAU * turn)
    }
}

/// How long a run takes. Spans are nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum RunTime {
    Fixed(f64),
    Uniform { from: f64, to: f64 },
    Exponential { mean: f64 },
    LogNormal { median: f64, sigma: f64 },
}

impl RunTime {
    pub(super) fn fixed(span: Duration) -> Self {
        Self::Fixed(as_double(span))
    }

    pub(super) fn uniform(from: Duration, to: Duration) -> Self {
        Self::Uniform { from: as_double(from), to: as_double(to) }
    }

    pub(super) fn exponential(mean: Duration) -> Self {
        Self::Exponential { mean: as_double(mean) }
    }

    /// Half of all runs take at most `median`, 99 of 100 at most `p99`.
    pub(super) fn log_normal(median: Duration, p99: Duration) -> Self {
        /// What 99 of 100 numbers of the standard normal distribution are below of.
        const NORMAL_P99: f64 = 2.326_347_874_040_841;
        let (median, p99) = (as_double(median), as_double(p99));
        Self::LogNormal { median, sigma: libm::log(p99 / median) / NORMAL_P99 }
    }

    pub(super) fn mean(&self) -> f64 {
        match *self {
            Self::Fixed(span) => span,
            Self::Uniform { from, to } => f64::midpoint(from, to),
            Self::Exponential { mean } => mean,
            Self::LogNormal { median, sigma } => median * libm::exp(sigma * sigma / 2.0),
        }
    }

    pub(super) fn draw(&self, random: &mut Random) -> u64 {
        whole(match *self {
            Self::Fixed(span) => span,
            Self::Uniform { from, to } => from + (to - from) * random.unit(),
            Self::Exponential { mean } => mean * random.exponential(),
            Self::LogNormal { median, sigma } => median * libm::exp(sigma * random.normal()),
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a span is not drawn to the nanosecond")]
fn as_double(span: Duration) -> f64 {
    nanos(span) as f64
}

/// Whole nanoseconds, at most some hundred years of them.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "kept within the limits of a u64"
)]
pub(super) fn whole(nanos: f64) -> u64 {
    nanos.clamp(0.0, 9e18) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: f64 = 1e6;

    #[expect(clippy::cast_precision_loss, reason = "a test of statistics")]
    fn sample(run_time: RunTime) -> (f64, f64, f64) {
        const N: usize = 200_000;
        let mut random = Random::new(7, 0);
        let mut drawn: Vec<f64> = (0..N).map(|_| run_time.draw(&mut random) as f64).collect();
        drawn.sort_by(f64::total_cmp);
        let mean = drawn.iter().sum::<f64>() / N as f64;
        (mean, drawn[N / 2], drawn[N * 99 / 100])
    }

    fn near(found: f64, want: f64) {
        assert!((found / want - 1.0).abs() < 0.02, "{found} is not near {want}");
    }

    #[test]
    fn run_times_are_distributed_as_they_say() {
        let ms = Duration::from_millis;
        let (mean, median, p99) = sample(RunTime::exponential(ms(20)));
        near(mean, 20.0 * MS);
        near(median, 20.0 * MS * std::f64::consts::LN_2);
        near(p99, 20.0 * MS * 100f64.ln());
        let log_normal = RunTime::log_normal(ms(20), ms(200));
        let (mean, median, p99) = sample(log_normal);
        near(mean, log_normal.mean());
        near(median, 20.0 * MS);
        near(p99, 200.0 * MS);
        let (mean, median, p99) = sample(RunTime::uniform(ms(10), ms(30)));
        near(mean, 20.0 * MS);
        near(median, 20.0 * MS);
        near(p99, 29.8 * MS);
        assert_eq!(sample(RunTime::fixed(ms(3))), (3.0 * MS, 3.0 * MS, 3.0 * MS));
    }

    #[test]
    fn the_numbers_of_a_seed_never_change() {
        let mut random = Random::new(1, 2);
        let numbers: Vec<u64> = (0..2).map(|_| random.next()).collect();
        assert_eq!(numbers, [13_717_283_516_741_380_569, 13_162_643_071_756_480_598]);
        assert_eq!(
            RunTime::log_normal(Duration::from_millis(20), Duration::from_millis(200)).draw(&mut random),
            55_952_795
        );
    }
}
