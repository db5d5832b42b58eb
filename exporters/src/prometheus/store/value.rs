//! How delta values add up.

use std::mem::discriminant;

use crate::prometheus_model::{Histogram, Summary, Value};

impl Value {
    /// Adds a later delta value. Where it does not fit (other buckets), counting begins anew with it: `false`.
    pub(super) fn add(&mut self, later: Self) -> bool {
        match (&mut *self, later) {
            (Self::Number(total), Self::Number(more)) => *total += more,
            (Self::Histogram(total), Self::Histogram(more))
                if total.bounds.values == more.bounds.values && total.counts.len() == more.counts.len() =>
            {
                total.add(&more);
            }
            (Self::Exponential(total), Self::Exponential(more))
                if total.zero_threshold.to_bits() == more.zero_threshold.to_bits() =>
            {
                total.add(*more);
            }
            (_, other) => {
                *self = other;
                return false;
            }
        }
        true
    }

    /// Whether it is of the same kind, with the same explicit buckets.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Histogram(one), Self::Histogram(other)) => one.bounds.values == other.bounds.values,
            _ => discriminant(self) == discriminant(other),
        }
    }

    /// Bytes on the heap, roughly.
    pub(super) fn heap(&self) -> usize {
        match self {
            Self::Number(_) => 0,
            Self::Histogram(histogram) => size_of::<Histogram>() + histogram.counts.len() * 8,
            Self::Exponential(exponential) => exponential.heap(),
            Self::Summary(summary) => size_of::<Summary>() + summary.quantiles.len() * 16,
        }
    }
}

impl Histogram {
    fn add(&mut self, more: &Self) {
        for (total, more) in self.counts.iter_mut().zip(&more.counts) {
            *total = total.saturating_add(*more);
        }
        self.count = self.count.saturating_add(more.count);
        self.sum = self.sum.zip(more.sum).map(|(total, more)| total + more);
    }
}
