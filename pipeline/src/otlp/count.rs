//! Counts the items of encoded messages without looking into them.

use super::{
    path::{DATA, POINT, SAMPLE, Step, path},
    wire::{Fields, Value},
};
use crate::signal::Signal;

/// How many spans, data points, log records or profile samples a checked message holds.
#[must_use]
pub fn count(signal: Signal, data: &[u8]) -> usize {
    count_along(path(signal), data)
}

/// How many data points an encoded `Metric` holds.
#[must_use]
pub fn count_data_points(metric: &[u8]) -> usize {
    count_along(&[DATA, POINT], metric)
}

/// How many samples an encoded `Profile` holds.
#[must_use]
pub fn count_samples(profile: &[u8]) -> usize {
    count_along(&[SAMPLE], profile)
}

/// How many items the steps lead to from here; no step leads to the message itself.
pub(super) fn count_along(path: &[Step], message: &[u8]) -> usize {
    let [step, below @ ..] = path else { return 1 };
    let mut items = 0;
    for field in Fields::of(message).flatten() {
        if let Value::Bytes(inner) = field.value
            && step.leads_on(field.number)
        {
            items += count_along(below, inner);
        }
    }
    items
}
