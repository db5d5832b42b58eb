//! The points of metrics (`opentelemetry/proto/metrics/v1`).
//!
//! Times are nanoseconds since 1970. Bit 0 of `flags` says that no value was recorded.

use super::{Attributes, Double, Exemplar, Fixed64, Numbers, Repeated, Uint64, View, walk};

/// A measured value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A floating-point number.
    Double(f64),
    /// An integer.
    Int(i64),
}

/// A number at a time.
#[derive(Clone, Copy, Debug, Default)]
pub struct NumberDataPoint<'a> {
    /// The encoded message.
    pub message: &'a [u8],
    /// When the measured interval began.
    pub start_time_unix_nano: u64,
    /// When it was measured.
    pub time_unix_nano: u64,
    /// What was measured; `None` if absent.
    pub value: Option<Number>,
    /// `DataPointFlags`.
    pub flags: u32,
    attributes: Attributes<'a>,
    exemplars: Repeated<'a, Exemplar<'a>>,
}

impl<'a> View<'a> for NumberDataPoint<'a> {
    #[inline]
    fn of(message: &'a [u8]) -> Self {
        let mut point = Self { message, ..Self::default() };
        walk(message, |field, from| {
            let value = field.value;
            match field.number {
                2 => point.start_time_unix_nano = value.number(),
                3 => point.time_unix_nano = value.number(),
                4 => point.value = Some(Number::Double(value.double())),
                5 => point.exemplars.note(5, from),
                6 => point.value = Some(Number::Int(value.signed())),
                7 => point.attributes.note(7, from),
                8 => point.flags = value.number() as u32,
                _ => {}
            }
        });
        point
    }
}

/// A histogram over a time.
#[derive(Clone, Copy, Debug, Default)]
pub struct HistogramDataPoint<'a> {
    /// The encoded message.
    pub message: &'a [u8],
    /// When the measured interval began.
    pub start_time_unix_nano: u64,
    /// When it was measured.
    pub time_unix_nano: u64,
    /// How many values.
    pub count: u64,
    /// Their sum.
    pub sum: Option<f64>,
    /// The smallest.
    pub min: Option<f64>,
    /// The largest.
    pub max: Option<f64>,
    /// `DataPointFlags`.
    pub flags: u32,
    bucket_counts: Numbers<'a, Fixed64>,
    explicit_bounds: Numbers<'a, Double>,
    attributes: Attributes<'a>,
    exemplars: Repeated<'a, Exemplar<'a>>,
}

impl<'a> View<'a> for HistogramDataPoint<'a> {
    #[inline]
    fn of(message: &'a [u8]) -> Self {
        let mut point = Self { message, ..Self::default() };
        walk(message, |field, from| {
            let value = field.value;
            match field.number {
                2 => point.start_time_unix_nano = value.number(),
                3 => point.time_unix_nano = value.number(),
                4 => point.count = value.number(),
                5 => point.sum = Some(value.double()),
                6 => point.bucket_counts.note(6, from),
                7 => point.explicit_bounds.note(7, from),
                8 => point.exemplars.note(8, from),
                9 => point.attributes.note(9, from),
                10 => point.flags = value.number() as u32,
                11 => point.min = Some(value.double()),
                12 => point.max = Some(value.double()),
                _ => {}
            }
        });
        point
    }
}

impl<'a> HistogramDataPoint<'a> {
    /// How many values each bucket has: one more than bounds.
    #[must_use]
    pub fn bucket_counts(&self) -> Numbers<'a, Fixed64> {
        self.bucket_counts
    }

    /// The upper bound of each bucket but the last, inclusive.
    #[must_use]
    pub fn explicit_bounds(&self) -> Numbers<'a, Double> {
        self.explicit_bounds
    }
}

/// An exponential histogram over a time.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExponentialHistogramDataPoint<'a> {
    /// The encoded message.
    pub message: &'a [u8],
    /// When the measured interval began.
    pub start_time_unix_nano: u64,
    /// When it was measured.
    pub time_unix_nano: u64,
    /// How many values.
    pub count: u64,
    /// Their sum.
    pub sum: Option<f64>,
    /// The smallest.
    pub min: Option<f64>,
    /// The largest.
    pub max: Option<f64>,
    /// The base of the buckets is 2 to the power of 2 to the power of minus this.
    pub scale: i32,
    /// How many values are within the zero threshold.
    pub zero_count: u64,
    /// Values up to this, either sign, count as zero.
    pub zero_threshold: f64,
    /// `DataPointFlags`.
    pub flags: u32,
    positive: Option<&'a [u8]>,
    negative: Option<&'a [u8]>,
    attributes: Attributes<'a>,
    exemplars: Repeated<'a, Exemplar<'a>>,
}

impl<'a> View<'a> for ExponentialHistogramDataPoint<'a> {
    #[inline]
    fn of(message: &'a [u8]) -> Self {
        let mut point = Self { message, ..Self::default() };
        walk(message, |field, from| {
            let value = field.value;
            match field.number {
                1 => point.attributes.note(1, from),
                2 => point.start_time_unix_nano = value.number(),
                3 => point.time_unix_nano = value.number(),
                4 => point.count = value.number(),
                5 => point.sum = Some(value.double()),
                6 => point.scale = value.zigzag() as i32,
                7 => point.zero_count = value.number(),
                8 => point.positive = Some(value.bytes()),
                9 => point.negative = Some(value.bytes()),
                10 => point.flags = value.number() as u32,
                11 => point.exemplars.note(11, from),
                12 => point.min = Some(value.double()),
                13 => point.max = Some(value.double()),
                14 => point.zero_threshold = value.double(),
                _ => {}
            }
        });
        point
    }
}

impl<'a> ExponentialHistogramDataPoint<'a> {
    /// The buckets of values above zero.
    #[must_use]
    pub fn positive(&self) -> Option<Buckets<'a>> {
        self.positive.map(Buckets::of)
    }

    /// The buckets of values below zero.
    #[must_use]
    pub fn negative(&self) -> Option<Buckets<'a>> {
        self.negative.map(Buckets::of)
    }
}

/// Buckets of an exponential histogram.
#[derive(Clone, Copy, Debug, Default)]
pub struct Buckets<'a> {
    /// The index of the first bucket.
    pub offset: i32,
    bucket_counts: Numbers<'a, Uint64>,
}

impl<'a> View<'a> for Buckets<'a> {
    fn of(message: &'a [u8]) -> Self {
        let mut buckets = Self::default();
        walk(message, |field, from| match field.number {
            1 => buckets.offset = field.value.zigzag() as i32,
            2 => buckets.bucket_counts.note(2, from),
            _ => {}
        });
        buckets
    }
}

impl<'a> Buckets<'a> {
    /// How many values each bucket has.
    #[must_use]
    pub fn bucket_counts(&self) -> Numbers<'a, Uint64> {
        self.bucket_counts
    }
}

/// A summary over a time.
#[derive(Clone, Copy, Debug, Default)]
pub struct SummaryDataPoint<'a> {
    /// The encoded message.
    pub message: &'a [u8],
    /// When the measured interval began.
    pub start_time_unix_nano: u64,
    /// When it was measured.
    pub time_unix_nano: u64,
    /// How many values.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// `DataPointFlags`.
    pub flags: u32,
    quantile_values: Repeated<'a, ValueAtQuantile>,
    attributes: Attributes<'a>,
}

impl<'a> View<'a> for SummaryDataPoint<'a> {
    #[inline]
    fn of(message: &'a [u8]) -> Self {
        let mut point = Self { message, ..Self::default() };
        walk(message, |field, from| {
            let value = field.value;
            match field.number {
                2 => point.start_time_unix_nano = value.number(),
                3 => point.time_unix_nano = value.number(),
                4 => point.count = value.number(),
                5 => point.sum = value.double(),
                6 => point.quantile_values.note(6, from),
                7 => point.attributes.note(7, from),
                8 => point.flags = value.number() as u32,
                _ => {}
            }
        });
        point
    }
}

impl<'a> SummaryDataPoint<'a> {
    /// The quantiles in order.
    #[must_use]
    pub fn quantile_values(&self) -> Repeated<'a, ValueAtQuantile> {
        self.quantile_values
    }

    /// What describes it.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        self.attributes
    }
}

/// A quantile of a summary.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ValueAtQuantile {
    /// 0 (the minimum) to 1 (the maximum).
    pub quantile: f64,
    /// The value there.
    pub value: f64,
}

impl<'a> View<'a> for ValueAtQuantile {
    fn of(message: &'a [u8]) -> Self {
        let mut pair = Self::default();
        walk(message, |field, _| match field.number {
            1 => pair.quantile = field.value.double(),
            2 => pair.value = field.value.double(),
            _ => {}
        });
        pair
    }
}

macro_rules! described {
    ($($point:ident),*) => {$(
        impl<'a> $point<'a> {
            /// What describes it.
            #[must_use]
            pub fn attributes(&self) -> Attributes<'a> {
                self.attributes
            }

            /// Measurements kept beside the aggregate.
            #[must_use]
            pub fn exemplars(&self) -> Repeated<'a, Exemplar<'a>> {
                self.exemplars
            }
        }
    )*};
}

described!(NumberDataPoint, HistogramDataPoint, ExponentialHistogramDataPoint);
