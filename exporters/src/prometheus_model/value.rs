//! The values of series.

use std::sync::Arc;

use super::Exponential;

/// The value of a series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Of a counter or gauge.
    Number(f64),
    /// Over explicit buckets.
    Histogram(Box<Histogram>),
    /// Over exponential buckets.
    Exponential(Box<Exponential>),
    /// Quantiles.
    Summary(Box<Summary>),
}

/// A distribution over explicit buckets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Histogram {
    /// The upper bounds of all buckets but the last.
    pub(crate) bounds: Arc<Bounds>,
    /// How many values each bucket has, one more than bounds; empty if only count and sum are known.
    pub(crate) counts: Box<[u64]>,
    /// How many values.
    pub(crate) count: u64,
    /// Their sum, if it means something.
    pub(crate) sum: Option<f64>,
}

/// Upper bounds, shared by the series that have the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Bounds {
    /// Ascending and finite.
    pub(crate) values: Box<[f64]>,
    /// As Prometheus writes them.
    pub(crate) texts: Box<[Box<str>]>,
}

/// Quantiles with count and sum.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Summary {
    /// Quantile and value, ascending.
    pub(crate) quantiles: Box<[(f64, f64)]>,
    /// How many values.
    pub(crate) count: u64,
    /// Their sum.
    pub(crate) sum: f64,
}

/// Why a point has no value that Prometheus could hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// No value, or one that the kind of metric cannot have.
    Invalid,
    /// An exponential histogram coarser than Prometheus's (scale below -4).
    Scale,
    /// More buckets or quantiles than are held.
    TooManyBuckets,
}

/// The bucket that a value belongs to: the first whose upper bound is not below it.
pub(crate) fn bucket_of(bounds: &[f64], value: f64) -> usize {
    bounds.partition_point(|bound| *bound < value)
}
