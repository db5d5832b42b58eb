//! Why a data point is not sent.

use crate::prometheus_model::Unfit;

/// Why a data point is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Refusal {
    /// Delta, or none at all: Prometheus holds cumulative values.
    Temporality,
    /// No value, or one that the kind of metric cannot have.
    Invalid,
    /// An exponential histogram coarser than Prometheus's (scale below -4).
    Scale,
    /// More buckets or quantiles than are sent.
    TooManyBuckets,
    /// Nothing of the metric's name may stand in Prometheus.
    Name,
    /// Labels longer than are sent, alone or repeated for each bucket.
    LabelsTooLong,
    /// Another point of the batch has the same series and time, and another value.
    Duplicate,
}

impl Refusal {
    /// The label of its counter.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Temporality => "temporality",
            Self::Invalid => "invalid",
            Self::Scale => "scale",
            Self::TooManyBuckets => "too_many_buckets",
            Self::Name => "name",
            Self::LabelsTooLong => "labels_too_long",
            Self::Duplicate => "duplicate",
        }
    }

    /// What is wrong, for the sender.
    pub(super) const fn explanation(self) -> &'static str {
        match self {
            Self::Temporality => "not cumulative",
            Self::Invalid => "without a value that their kind can have",
            Self::Scale => "of an exponential scale below -4",
            Self::TooManyBuckets => "with too many buckets",
            Self::Name => "of a metric whose name has nothing that Prometheus allows",
            Self::LabelsTooLong => "with labels that are too long",
            Self::Duplicate => "of the same series and time as another one",
        }
    }
}

impl From<Unfit> for Refusal {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Invalid => Self::Invalid,
            Unfit::Scale => Self::Scale,
            Unfit::TooManyBuckets => Self::TooManyBuckets,
        }
    }
}
