//! Metrics (`opentelemetry/proto/metrics/v1`).

use super::{
    Attributes, ExponentialHistogramDataPoint, HistogramDataPoint, NumberDataPoint, Repeated,
    SummaryDataPoint, View, walk,
};

/// A metric with its data points.
#[derive(Clone, Copy, Debug, Default)]
pub struct Metric<'a> {
    /// The encoded message.
    pub message: &'a [u8],
    /// Its name, as text.
    pub name: &'a [u8],
    /// What it measures, as text.
    pub description: &'a [u8],
    /// The unit in UCUM, as text.
    pub unit: &'a [u8],
    /// Its kind and data points.
    pub data: MetricData<'a>,
    metadata: Attributes<'a>,
}

impl<'a> View<'a> for Metric<'a> {
    #[inline]
    fn of(message: &'a [u8]) -> Self {
        let mut metric = Self { message, ..Self::default() };
        walk(message, |field, from| {
            let bytes = field.value.bytes();
            match field.number {
                1 => metric.name = bytes,
                2 => metric.description = bytes,
                3 => metric.unit = bytes,
                5 => metric.data = MetricData::Gauge(Gauge::of(bytes)),
                7 => metric.data = MetricData::Sum(Sum::of(bytes)),
                9 => metric.data = MetricData::Histogram(Histogram::of(bytes)),
                10 => metric.data = MetricData::ExponentialHistogram(ExponentialHistogram::of(bytes)),
                11 => metric.data = MetricData::Summary(Summary::of(bytes)),
                12 => metric.metadata.note(12, from),
                _ => {}
            }
        });
        metric
    }
}

impl<'a> Metric<'a> {
    /// What else is known about it, such as `prometheus.type`.
    #[must_use]
    pub fn metadata(&self) -> Attributes<'a> {
        self.metadata
    }
}

/// The kind of a metric with its data points.
#[derive(Clone, Copy, Debug, Default)]
pub enum MetricData<'a> {
    /// No kind, or one that this build does not know.
    #[default]
    Empty,
    /// Values as they are.
    Gauge(Gauge<'a>),
    /// Values that add up.
    Sum(Sum<'a>),
    /// Distributions over explicit buckets.
    Histogram(Histogram<'a>),
    /// Distributions over exponential buckets.
    ExponentialHistogram(ExponentialHistogram<'a>),
    /// Quantiles.
    Summary(Summary<'a>),
}

/// What the points of a sum or histogram cover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Temporality {
    /// Unspecified, or a number that the protocol does not define.
    #[default]
    Unspecified,
    /// The time since the last point.
    Delta,
    /// The time since the start.
    Cumulative,
}

impl Temporality {
    const fn of(number: i64) -> Self {
        match number {
            1 => Self::Delta,
            2 => Self::Cumulative,
            _ => Self::Unspecified,
        }
    }
}

macro_rules! data {
    ($($(#[$docs:meta])* $name:ident of $point:ident { $($field:ident: $type:ty = $number:literal $read:expr),* };)*) => {$(
        $(#[$docs])*
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $name<'a> {
            /// The encoded message.
            pub message: &'a [u8],
            $(
                #[doc = concat!("Field ", stringify!($number), " of the message.")]
                pub $field: $type,
            )*
            data_points: Repeated<'a, $point<'a>>,
        }

        impl<'a> View<'a> for $name<'a> {
            fn of(message: &'a [u8]) -> Self {
                let mut data = Self { message, ..Self::default() };
                walk(message, |field, from| match field.number {
                    1 => data.data_points.note(1, from),
                    $($number => data.$field = $read(field.value.signed()),)*
                    _ => {}
                });
                data
            }
        }

        impl<'a> $name<'a> {
            /// The points in order.
            #[must_use]
            pub fn data_points(&self) -> Repeated<'a, $point<'a>> {
                self.data_points
            }
        }
    )*};
}

data! {
    /// Points of a gauge.
    Gauge of NumberDataPoint {};
    /// Points of a sum.
    Sum of NumberDataPoint {
        temporality: Temporality = 2 Temporality::of,
        is_monotonic: bool = 3 |number| number != 0
    };
    /// Points of a histogram.
    Histogram of HistogramDataPoint { temporality: Temporality = 2 Temporality::of };
    /// Points of an exponential histogram.
    ExponentialHistogram of ExponentialHistogramDataPoint { temporality: Temporality = 2 Temporality::of };
    /// Points of a summary.
    Summary of SummaryDataPoint {};
}
