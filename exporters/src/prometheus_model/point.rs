//! The values of OTLP's data points.

use std::{borrow::Cow, sync::Arc};

use sluice_pipeline::otlp::view::{
    Attributes, Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Number, NumberDataPoint,
    Repeated, SummaryDataPoint,
};

use super::{Bounds, Exponential, Histogram, Summary, Unfit, Value, exemplar_labels, number_text};

/// `DataPointFlags`: no value was recorded, the series has ended.
pub(crate) const NO_RECORDED_VALUE: u32 = 1;
/// How many buckets a histogram, and quantiles a summary, may have.
const MOST_BUCKETS: usize = 2_048;
/// How many exemplars of a point are looked at.
const MOST_EXEMPLARS: usize = 1_024;

/// A point before its value is read.
pub(crate) struct Head<'a> {
    pub(crate) start: u64,
    pub(crate) time: u64,
    pub(crate) flags: u32,
    pub(crate) attributes: Attributes<'a>,
    pub(crate) exemplars: Repeated<'a, Exemplar<'a>>,
}

/// Reads the values of points. Histograms that follow each other share their bounds.
#[derive(Debug, Default)]
pub(crate) struct PointReader {
    bounds: Arc<Bounds>,
}

/// What the points of every kind of metric have.
pub(crate) trait PointView<'a> {
    /// All but the value.
    fn head(&self) -> Head<'a>;

    /// The value. Where it is `monotonic` it cannot be below zero.
    fn value(&self, reader: &mut PointReader, monotonic: bool) -> Result<Value, Unfit>;

    /// A value with the buckets or quantiles of the point and nothing in them, for a series that has ended.
    #[cfg(feature = "prometheusremotewrite")]
    fn shape(&self, reader: &mut PointReader) -> Result<Value, Unfit>;
}

/// A measurement kept beside an aggregate.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Measured<'a> {
    /// Its labels.
    pub(crate) labels: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// What was measured, a number.
    pub(crate) value: f64,
    /// When, in nanoseconds since 1970; 0 if not known.
    pub(crate) time: u64,
}

impl PointReader {
    fn histogram(&mut self, mut bounds: Vec<f64>, mut counts: Vec<u64>) -> Result<Histogram, Unfit> {
        if bounds.len() > MOST_BUCKETS {
            return Err(Unfit::TooManyBuckets);
        }
        let ascending = bounds.windows(2).all(|pair| matches!(pair, [one, other] if one < other));
        let numbered = bounds.iter().all(|bound| *bound > f64::NEG_INFINITY);
        let matching = counts.len() == bounds.len() + 1 || counts.is_empty() && bounds.is_empty();
        if !ascending || !numbered || !matching {
            return Err(Unfit::Invalid);
        }
        // A bound of infinity is that of the last bucket already.
        if bounds.last() == Some(&f64::INFINITY) {
            bounds.pop();
            if let Some(beyond) = counts.pop()
                && let Some(last) = counts.last_mut()
            {
                *last = last.saturating_add(beyond);
            }
        }
        if *self.bounds.values != *bounds {
            let texts = bounds.iter().map(|bound| number_text(*bound).into()).collect();
            self.bounds = Arc::new(Bounds { values: bounds.into(), texts });
        }
        Ok(Histogram { bounds: Arc::clone(&self.bounds), counts: counts.into(), count: 0, sum: None })
    }
}

impl<'a> PointView<'a> for NumberDataPoint<'a> {
    fn head(&self) -> Head<'a> {
        Head {
            start: self.start_time_unix_nano,
            time: self.time_unix_nano,
            flags: self.flags,
            attributes: self.attributes(),
            exemplars: self.exemplars(),
        }
    }

    fn value(&self, _reader: &mut PointReader, monotonic: bool) -> Result<Value, Unfit> {
        let value = self.value.map(as_double).ok_or(Unfit::Invalid)?;
        if monotonic && (value.is_nan() || value < 0.0) {
            return Err(Unfit::Invalid);
        }
        Ok(Value::Number(value))
    }

    #[cfg(feature = "prometheusremotewrite")]
    fn shape(&self, _reader: &mut PointReader) -> Result<Value, Unfit> {
        Ok(Value::Number(0.0))
    }
}

impl<'a> PointView<'a> for HistogramDataPoint<'a> {
    fn head(&self) -> Head<'a> {
        Head {
            start: self.start_time_unix_nano,
            time: self.time_unix_nano,
            flags: self.flags,
            attributes: self.attributes(),
            exemplars: self.exemplars(),
        }
    }

    fn value(&self, reader: &mut PointReader, _monotonic: bool) -> Result<Value, Unfit> {
        let bounds = self.explicit_bounds().take(MOST_BUCKETS + 1).collect();
        let counts: Vec<u64> = self.bucket_counts().take(MOST_BUCKETS + 2).collect();
        let counted = counts.iter().fold(0, |total: u64, count| total.saturating_add(*count));
        let histogram = reader.histogram(bounds, counts)?;
        if counted > self.count {
            return Err(Unfit::Invalid);
        }
        Ok(Value::Histogram(Box::new(Histogram { count: self.count, sum: self.sum, ..histogram })))
    }

    #[cfg(feature = "prometheusremotewrite")]
    fn shape(&self, reader: &mut PointReader) -> Result<Value, Unfit> {
        let bounds: Vec<f64> = self.explicit_bounds().take(MOST_BUCKETS + 1).collect();
        let counts = vec![0; bounds.len() + 1];
        Ok(Value::Histogram(Box::new(reader.histogram(bounds, counts)?)))
    }
}

impl<'a> PointView<'a> for ExponentialHistogramDataPoint<'a> {
    fn head(&self) -> Head<'a> {
        Head {
            start: self.start_time_unix_nano,
            time: self.time_unix_nano,
            flags: self.flags,
            attributes: self.attributes(),
            exemplars: self.exemplars(),
        }
    }

    fn value(&self, _reader: &mut PointReader, _monotonic: bool) -> Result<Value, Unfit> {
        let (positive, negative) = (self.positive().unwrap_or_default(), self.negative().unwrap_or_default());
        let buckets = Exponential {
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count,
            count: self.count,
            sum: self.sum,
            ..Exponential::default()
        };
        let buckets = buckets.with_buckets(
            self.scale,
            (positive.offset, positive.bucket_counts()),
            (negative.offset, negative.bucket_counts()),
        )?;
        Ok(Value::Exponential(Box::new(buckets)))
    }

    #[cfg(feature = "prometheusremotewrite")]
    fn shape(&self, _reader: &mut PointReader) -> Result<Value, Unfit> {
        Ok(Value::Exponential(Box::default()))
    }
}

impl<'a> PointView<'a> for SummaryDataPoint<'a> {
    fn head(&self) -> Head<'a> {
        Head {
            start: self.start_time_unix_nano,
            time: self.time_unix_nano,
            flags: self.flags,
            attributes: self.attributes(),
            exemplars: Repeated::default(),
        }
    }

    fn value(&self, _reader: &mut PointReader, _monotonic: bool) -> Result<Value, Unfit> {
        let quantiles = self.quantile_values().take(MOST_BUCKETS + 1);
        let mut quantiles: Vec<(f64, f64)> = quantiles.map(|pair| (pair.quantile, pair.value)).collect();
        if quantiles.len() > MOST_BUCKETS {
            return Err(Unfit::TooManyBuckets);
        }
        if quantiles.iter().any(|(quantile, _)| !(0.0..=1.0).contains(quantile)) {
            return Err(Unfit::Invalid);
        }
        quantiles.sort_by(|one, other| one.0.total_cmp(&other.0));
        quantiles.dedup_by(|later, earlier| later.0 == earlier.0);
        let quantiles = quantiles.into();
        Ok(Value::Summary(Box::new(Summary { quantiles, count: self.count, sum: self.sum })))
    }

    #[cfg(feature = "prometheusremotewrite")]
    fn shape(&self, reader: &mut PointReader) -> Result<Value, Unfit> {
        self.value(reader, false)
    }
}

/// The measurements of a point that are numbers.
pub(crate) fn measured<'a>(exemplars: Repeated<'a, Exemplar<'a>>) -> impl Iterator<Item = Measured<'a>> {
    let with_value = exemplars.take(MOST_EXEMPLARS).filter_map(|exemplar| Some((exemplar, exemplar.value?)));
    with_value
        .map(|(exemplar, value)| Measured {
            labels: exemplar_labels(&exemplar),
            value: as_double(value),
            time: exemplar.time_unix_nano,
        })
        .filter(|exemplar| !exemplar.value.is_nan())
}

fn as_double(number: Number) -> f64 {
    match number {
        Number::Double(number) => number,
        Number::Int(number) => number as f64,
    }
}
