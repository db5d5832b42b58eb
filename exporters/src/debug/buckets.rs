//! The bounds of exponential buckets.

use sluice_pipeline::otlp::view::Buckets;

/// Lower bound, upper bound and count of each bucket, from the smallest magnitude on. Negative buckets have the same
/// magnitudes below zero.
pub(super) fn bounds(scale: i32, buckets: Option<Buckets<'_>>) -> impl Iterator<Item = (f64, f64, u64)> {
    let offset = buckets.map_or(0, |buckets| buckets.offset);
    let counts = buckets.map(|buckets| buckets.bucket_counts()).into_iter().flatten();
    // Bucket i spans base^i to base^(i+1), base being 2^(2^-scale); through exp, as the Collector computes it.
    let factor = std::f64::consts::LN_2 * 2f64.powi(scale.saturating_neg());
    counts.zip(0u32..).map(move |(count, place)| {
        let index = f64::from(offset) + f64::from(place);
        ((index * factor).exp(), ((index + 1.0) * factor).exp(), count)
    })
}
