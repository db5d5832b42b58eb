//! Counts the items of encoded messages without looking into them.

use super::{view::Repeated, view::resource_groups, wire::Fields};
use crate::signal::Signal;

/// How many spans, data points, log records or profile samples a checked message holds.
#[must_use]
pub fn count(signal: Signal, data: &[u8]) -> usize {
    resource_groups(data)
        .flat_map(|group| group.scope_groups())
        .map(|group| match signal {
            Signal::Traces | Signal::Logs => group.items().count(),
            Signal::Metrics => group.items().map(count_data_points).sum(),
            Signal::Profiles => group.items().map(count_samples).sum(),
        })
        .sum()
}

/// How many data points an encoded `Metric` holds.
#[must_use]
pub fn count_data_points(metric: &[u8]) -> usize {
    // Every kind of data has its points in field 1.
    Fields::of(metric)
        .flatten()
        .filter(|field| matches!(field.number, 5 | 7 | 9 | 10 | 11))
        .map(|field| Repeated::<&[u8]>::all(field.value.bytes(), 1).count())
        .sum()
}

/// How many samples an encoded `Profile` holds.
#[must_use]
pub fn count_samples(profile: &[u8]) -> usize {
    Repeated::<&[u8]>::all(profile, 2).count()
}
