//! Families of metrics: one name, its help and unit, and a sample for each set of labels.
//!
//! Histograms have fixed buckets, which are within one per cent of their bounds, and are there once they have a sample.

use std::fmt;

use hookpool::Distribution;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// Upper bounds of waits, run times and start times, in microseconds.
const TIMES: &[u64] = &[
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
];

/// Upper bounds of batch sizes.
pub(super) const SIZES: &[u64] = &[1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000];

pub(super) type Labels<'a> = Vec<(&'static str, &'a str)>;

/// Writes metrics of one name after the other; of a name without samples nothing at all, as some parsers take that for an
/// error.
pub(super) struct Families<'a>(pub(super) DescriptorEncoder<'a>);

impl Families<'_> {
    pub(super) fn counters<'l>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'l>, u64)>,
    ) -> fmt::Result {
        self.counters_in(name, help, None, samples)
    }

    pub(super) fn counters_in<'l, V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        samples: impl IntoIterator<Item = (Labels<'l>, V)>,
    ) -> fmt::Result {
        self.family((name, help, unit, MetricType::Counter), samples, |metric, value| {
            metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
        })
    }

    pub(super) fn gauges<'l, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        samples: impl IntoIterator<Item = (Labels<'l>, V)>,
    ) -> fmt::Result {
        self.family((name, help, unit, MetricType::Gauge), samples, |metric, value| {
            metric.encode_gauge(&value)
        })
    }

    /// Microseconds, shown in seconds.
    pub(super) fn times<'l>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'l>, &'l Distribution)>,
    ) -> fmt::Result {
        self.histograms(name, help, Some(&Unit::Seconds), TIMES, 1e6, samples)
    }

    /// `scale`: how many of what was counted make one of what is shown.
    pub(super) fn histograms<'l>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        bounds: &[u64],
        scale: f64,
        samples: impl IntoIterator<Item = (Labels<'l>, &'l Distribution)>,
    ) -> fmt::Result {
        let samples = samples.into_iter().filter(|(_, values)| values.samples() > 0);
        self.family((name, help, unit, MetricType::Histogram), samples, |metric, values| {
            let (sum, buckets) = (shown(values.sum(), scale), buckets(values, bounds, scale));
            metric.encode_histogram::<NoLabelSet>(sum, values.samples(), &buckets, None)
        })
    }

    fn family<'l, V>(
        &mut self,
        (name, help, unit, kind): (&str, &str, Option<&Unit>, MetricType),
        samples: impl IntoIterator<Item = (Labels<'l>, V)>,
        encode: impl Fn(&mut MetricEncoder<'_>, V) -> fmt::Result,
    ) -> fmt::Result {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, unit, kind)?;
        for (labels, value) in samples {
            with(&mut family, &labels, |metric| encode(metric, value))?;
        }
        Ok(())
    }
}

/// One metric of a family. Without labels there are no braces either.
fn with(
    family: &mut MetricEncoder<'_>,
    labels: &Labels<'_>,
    encode: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
) -> fmt::Result {
    if labels.is_empty() { encode(family) } else { encode(&mut family.encode_family(labels)?) }
}

/// The upper bound of each bucket, and how many values are in it alone.
fn buckets(values: &Distribution, bounds: &[u64], scale: f64) -> Vec<(f64, u64)> {
    let mut below = 0;
    let mut in_bucket = |up_to: u64| {
        // Values within one per cent of two bounds may be counted below either.
        let count = up_to.saturating_sub(below);
        below = below.max(up_to);
        count
    };
    let mut buckets: Vec<_> =
        bounds.iter().map(|bound| (shown(*bound, scale), in_bucket(values.at_most(*bound)))).collect();
    buckets.push((f64::INFINITY, in_bucket(values.samples())));
    buckets
}

#[expect(clippy::cast_precision_loss, reason = "more than 2^53 microseconds are 285 years")]
fn shown(value: u64, scale: f64) -> f64 {
    value as f64 / scale
}
