//! Buckets as SkyWalking has them: a lower bound and a count, not cumulative.

use sluice_pipeline::otlp::view::{
    AnyValue, ExponentialHistogramDataPoint, HistogramDataPoint, Number, NumberDataPoint,
};
use sluice_protocols::skywalking::attributes::metric;

/// One bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bucket {
    pub(super) from: f64,
    /// Whether it begins at negative infinity.
    pub(super) is_lowest: bool,
    pub(super) count: i64,
}

impl Bucket {
    fn new(from: f64, count: u64) -> Self {
        let is_lowest = from == f64::NEG_INFINITY;
        Self { from, is_lowest, count: i64::try_from(count).unwrap_or(i64::MAX) }
    }

    /// A bucket that is a data point of its own.
    pub(super) fn of_point(point: &NumberDataPoint<'_>) -> Self {
        let from = point.attributes().filter(|pair| pair.key == metric::BUCKET.as_bytes()).last();
        let from = match from.map(|pair| pair.value) {
            Some(AnyValue::Double(from)) => from,
            _ => 0.0,
        };
        let count = match point.value {
            Some(Number::Int(count)) => count,
            _ => 0,
        };
        Self { from, is_lowest: from == f64::NEG_INFINITY, count }
    }
}

/// One bucket more than there are bounds, the first from negative infinity on.
pub(super) fn of_histogram(point: &HistogramDataPoint<'_>) -> Vec<Bucket> {
    let bounds = std::iter::once(f64::NEG_INFINITY).chain(point.explicit_bounds());
    bounds.zip(point.bucket_counts()).map(|(from, count)| Bucket::new(from, count)).collect()
}

/// Lets the first bucket begin at 0 where no value is below, and leaves it out if it is empty: OAP computes no percentiles
/// of a histogram that begins at negative infinity.
pub(super) fn begin_at_zero(buckets: &mut Vec<Bucket>, min: Option<f64>) {
    let second = buckets.get(1).map_or(f64::INFINITY, |bucket| bucket.from);
    let Some(first) = buckets.first_mut() else { return };
    if first.count == 0 {
        buckets.remove(0);
    } else if min.map_or(second > 0.0, |min| min >= 0.0) {
        (first.from, first.is_lowest) = (0.0, false);
    }
}

/// From the lowest negative number to the highest positive one. Source: OTLP, "ExponentialHistogram".
pub(super) fn of_exponential(point: &ExponentialHistogramDataPoint<'_>) -> Vec<Bucket> {
    let base = 2f64.powf(2f64.powi(-point.scale));
    #[expect(clippy::cast_precision_loss, reason = "indices have 32 bits")]
    let bound = |index: i64| base.powf(index as f64);
    let mut buckets = Vec::new();
    if let Some(negative) = point.negative() {
        let counts: Vec<u64> = negative.bucket_counts().collect();
        for (place, count) in (0i64..).zip(&counts).collect::<Vec<_>>().into_iter().rev() {
            buckets.push(Bucket::new(-bound(i64::from(negative.offset) + place + 1), *count));
        }
    }
    if point.zero_count > 0 || buckets.is_empty() {
        buckets.push(Bucket::new(-point.zero_threshold, point.zero_count));
    }
    if let Some(positive) = point.positive() {
        for (place, count) in (0i64..).zip(positive.bucket_counts()) {
            buckets.push(Bucket::new(bound(i64::from(positive.offset) + place), count));
        }
    }
    buckets
}
