//! Why a data point does not become a sample.

use crate::prometheus_model::Unfit;

/// Why a data point does not become a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Refusal {
    /// Older than the one that its series has.
    OutOfOrder,
    /// Its sender started before the one that writes the series now: several senders, or an old one's last words.
    OlderSender,
    /// Its series has added up a delta point of the same start and time already.
    Duplicate,
    /// Delta points of a sum that goes down too have no sum over time; unspecified temporality means nothing; a series is
    /// either delta or cumulative.
    Temporality,
    /// Another kind of metric has the name, or one of the names that its samples would have.
    Conflict,
    /// No value, or one that the kind of metric cannot have.
    Invalid,
    /// An exponential histogram coarser than Prometheus's (scale below -4).
    Scale,
    /// More buckets or quantiles than are held.
    TooManyBuckets,
    /// Nothing of the metric's name may stand in Prometheus.
    Name,
    /// Labels longer than are held.
    LabelsTooLong,
    /// As many series as `max_series` allows.
    MaxSeries,
    /// The byte budget has no room for another series.
    Memory,
}

impl Refusal {
    /// The label of its counter.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::OutOfOrder => "out_of_order",
            Self::OlderSender => "older_sender",
            Self::Duplicate => "duplicate",
            Self::Temporality => "temporality",
            Self::Conflict => "conflict",
            Self::Invalid => "invalid",
            Self::Scale => "scale",
            Self::TooManyBuckets => "too_many_buckets",
            Self::Name => "name",
            Self::LabelsTooLong => "labels_too_long",
            Self::MaxSeries => "max_series",
            Self::Memory => "memory",
        }
    }

    /// What is wrong, for the sender.
    pub(crate) const fn explanation(self) -> &'static str {
        match self {
            Self::OutOfOrder => "older than the last point of their series",
            Self::OlderSender => "from a sender that started before another one of the same series",
            Self::Duplicate => "delta points that were added up already",
            Self::Temporality => "of a temporality that cannot be added up",
            Self::Conflict => "of another kind than the metric that has the name",
            Self::Invalid => "without a value that their kind can have",
            Self::Scale => "of an exponential scale below -4",
            Self::TooManyBuckets => "with too many buckets",
            Self::Name => "of a metric whose name has nothing that Prometheus allows",
            Self::LabelsTooLong => "with labels that are too long",
            Self::MaxSeries => "of new series beyond max_series",
            Self::Memory => "of new series for which there is no memory",
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
