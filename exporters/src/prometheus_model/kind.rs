//! The kinds of metrics, and how they are named.

use sluice_pipeline::otlp::view::{Metric, MetricData, Temporality, Text};
use sluice_protocols::prometheus::{MetricKind, MetricNamer};

/// What a family is, as Prometheus has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only grows.
    Counter,
    /// Comes and goes.
    Gauge,
    /// A distribution over buckets, explicit or exponential.
    Histogram,
    /// Quantiles.
    Summary,
}

impl Kind {
    /// The kind of a metric and what its points cover; `None` if it has no data.
    pub(crate) fn of(data: &MetricData<'_>) -> Option<(Self, Temporality)> {
        Some(match data {
            MetricData::Empty => return None,
            MetricData::Gauge(_) => (Self::Gauge, Temporality::Cumulative),
            MetricData::Sum(sum) if sum.is_monotonic => (Self::Counter, sum.temporality),
            MetricData::Sum(sum) => (Self::Gauge, sum.temporality),
            MetricData::Histogram(histogram) => (Self::Histogram, histogram.temporality),
            MetricData::ExponentialHistogram(histogram) => (Self::Histogram, histogram.temporality),
            MetricData::Summary(_) => (Self::Summary, Temporality::Cumulative),
        })
    }

    /// The name of a metric of this kind; `None` if nothing of its own may stand in one.
    pub(crate) fn name_of(self, metric: &Metric<'_>, namer: &MetricNamer) -> Option<String> {
        let kind = match self {
            Self::Counter => MetricKind::Counter,
            // A sum that goes down is no ratio, whatever its unit.
            Self::Gauge if matches!(metric.data, MetricData::Gauge(_)) => MetricKind::Gauge,
            _ => MetricKind::Other,
        };
        namer.name(metric.name.as_str(), metric.unit.as_str(), kind)
    }

    /// The label that tells the samples of a point apart; empty if there is but one.
    pub(crate) const fn reserved(self) -> &'static str {
        match self {
            Self::Histogram => "le",
            Self::Summary => "quantile",
            Self::Counter | Self::Gauge => "",
        }
    }
}
