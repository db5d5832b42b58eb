//! `MeterData`: single values and histograms with labels.

use std::borrow::Cow;

use sluice_pipeline::otlp::{
    view::{
        Attributes, Histogram, HistogramDataPoint, Metric, MetricData, Number, NumberDataPoint, Repeated,
        SummaryDataPoint, Text,
    },
    write::Writer,
};
use sluice_protocols::skywalking::attributes::{ESCAPE, metric as names};

use super::{
    buckets::{Bucket, begin_at_zero, of_exponential, of_histogram},
    points,
};
use crate::oap::{
    entity::Entity,
    streams::{Method, Streams},
    wire::{flag, int, milliseconds, text},
};

/// A point without a value (OTLP, `NO_RECORDED_VALUE`).
const NO_VALUE: u32 = 1;

/// A metric with whose it is.
pub(super) struct Meter<'b, 'a> {
    pub(super) metric: &'b Metric<'a>,
    pub(super) entity: &'b Entity,
    /// Whether its name must be made one of OAP's.
    pub(super) is_foreign: bool,
}

/// A label beside those that attributes become.
type Label<'b> = Option<(&'b str, &'b str)>;

impl Meter<'_, '_> {
    /// Adds its data points.
    pub(super) fn push(&self, streams: &mut Streams) {
        match self.metric.data {
            MetricData::Gauge(gauge) if self.says(names::BUCKETS) => {
                self.push_buckets(gauge.data_points(), streams)
            }
            MetricData::Gauge(gauge) => {
                gauge.data_points().for_each(|point| self.push_number(&point, streams))
            }
            MetricData::Sum(sum) => sum.data_points().for_each(|point| self.push_number(&point, streams)),
            MetricData::Histogram(histogram) => self.push_histograms(&histogram, streams),
            MetricData::ExponentialHistogram(histogram) => {
                for point in histogram.data_points() {
                    let buckets = of_exponential(&point);
                    self.push_histogram(point.attributes(), point.time_unix_nano, &buckets, 1, streams);
                }
            }
            MetricData::Summary(summary) => {
                summary.data_points().for_each(|point| self.push_summary(&point, streams));
            }
            MetricData::Empty => {
                streams.drop(points(self.metric), "metrics of a kind that this build does not know")
            }
        }
    }

    /// Whether the metric's metadata has this key.
    fn says(&self, key: &str) -> bool {
        self.metric.metadata().any(|pair| pair.key == key.as_bytes())
    }

    fn name(&self) -> Cow<'_, str> {
        let name = self.metric.name.as_str();
        let is_identifier = |character: char| character.is_ascii_alphanumeric() || character == '_';
        match self.is_foreign && !name.chars().all(is_identifier) {
            true => name.replace(|character| !is_identifier(character), "_").into(),
            false => name.into(),
        }
    }

    fn push_number(&self, point: &NumberDataPoint<'_>, streams: &mut Streams) {
        let Some(value) = value(point).filter(|_| point.flags & NO_VALUE == 0) else {
            return streams.drop(1, "data points without a value");
        };
        self.push_value("", point.attributes(), None, (point.time_unix_nano, value), 1, streams);
    }

    /// A single value of the metric, or of what its name with this ending stands for.
    fn push_value(
        &self,
        ending: &str,
        attributes: Attributes<'_>,
        label: Label<'_>,
        (time, value): (u64, f64),
        items: usize,
        streams: &mut Streams,
    ) {
        self.push_data(time, items, streams, |data| {
            data.message(1, |single| {
                text(single, 1, &format!("{}{ending}", self.name()));
                write_labels(single, attributes, label);
                if value.to_bits() != 0 {
                    single.double(3, value);
                }
            });
        });
    }

    fn push_summary(&self, point: &SummaryDataPoint<'_>, streams: &mut Streams) {
        let time = point.time_unix_nano;
        #[expect(clippy::cast_precision_loss, reason = "SkyWalking's values are doubles")]
        let count = point.count as f64;
        self.push_value("_count", point.attributes(), None, (time, count), 1, streams);
        self.push_value("_sum", point.attributes(), None, (time, point.sum), 0, streams);
        for quantile in point.quantile_values() {
            let name = quantile.quantile.to_string();
            let label = Some(("quantile", name.as_str()));
            self.push_value("", point.attributes(), label, (time, quantile.value), 0, streams);
        }
    }

    fn push_histograms(&self, histogram: &Histogram<'_>, streams: &mut Streams) {
        let is_bounded = self.says(names::BOUNDED);
        for point in histogram.data_points() {
            let HistogramDataPoint { time_unix_nano, .. } = point;
            let mut buckets = of_histogram(&point);
            if self.is_foreign {
                begin_at_zero(&mut buckets, point.min);
            } else if is_bounded && !buckets.is_empty() {
                buckets.remove(0);
            }
            self.push_histogram(point.attributes(), time_unix_nano, &buckets, 1, streams);
        }
    }

    /// A histogram each of whose buckets is a data point: those of one follow each other, with the same labels.
    fn push_buckets<'a>(&self, points: Repeated<'a, NumberDataPoint<'a>>, streams: &mut Streams) {
        let labels = |point: &NumberDataPoint<'a>| {
            let mut labels = Vec::new();
            write_labels(&mut Writer::new(&mut labels), point.attributes(), None);
            (labels, point.time_unix_nano)
        };
        let mut open: Option<(NumberDataPoint<'a>, Vec<Bucket>)> = None;
        for point in points {
            let bucket = Bucket::of_point(&point);
            match &mut open {
                Some((first, buckets)) if labels(first) == labels(&point) => buckets.push(bucket),
                _ => {
                    self.push_open(open.take(), streams);
                    open = Some((point, vec![bucket]));
                }
            }
        }
        self.push_open(open, streams);
    }

    fn push_open(&self, open: Option<(NumberDataPoint<'_>, Vec<Bucket>)>, streams: &mut Streams) {
        if let Some((point, buckets)) = open {
            let items = buckets.len();
            self.push_histogram(point.attributes(), point.time_unix_nano, &buckets, items, streams);
        }
    }

    fn push_histogram(
        &self,
        attributes: Attributes<'_>,
        time: u64,
        buckets: &[Bucket],
        items: usize,
        streams: &mut Streams,
    ) {
        self.push_data(time, items, streams, |data| {
            data.message(2, |histogram| {
                text(histogram, 1, &self.name());
                write_labels(histogram, attributes, None);
                for bucket in buckets {
                    histogram.message(3, |out| {
                        if !bucket.is_lowest && bucket.from.to_bits() != 0 {
                            out.double(1, bucket.from);
                        }
                        int(out, 2, bucket.count);
                        flag(out, 3, bucket.is_lowest);
                    });
                }
            });
        });
    }

    /// One message, which says whose it is: streams of several instances do not get mixed up then.
    fn push_data(
        &self,
        time: u64,
        items: usize,
        streams: &mut Streams,
        metric: impl FnOnce(&mut Writer<'_>),
    ) {
        let Entity { service, instance, .. } = self.entity;
        let key = format!("{service}\0{instance}");
        streams.push(Method::Meters, &key, items, |out| {
            let mut data = Writer::new(out);
            metric(&mut data);
            text(&mut data, 3, service);
            text(&mut data, 4, instance);
            int(&mut data, 5, milliseconds(time));
        });
    }
}

fn write_labels(meter: &mut Writer<'_>, attributes: Attributes<'_>, label: Label<'_>) {
    for attribute in attributes {
        let key = attribute.key.as_str();
        if key == names::BUCKET {
            continue;
        }
        let key = key.strip_prefix(ESCAPE).unwrap_or(key);
        write_label(meter, key, &attribute.value.text());
    }
    if let Some((key, value)) = label {
        write_label(meter, key, value);
    }
}

fn write_label(meter: &mut Writer<'_>, key: &str, value: &str) {
    meter.message(2, |label| {
        text(label, 1, key);
        text(label, 2, value);
    });
}

/// The number of a point as SkyWalking has it.
pub(super) fn value(point: &NumberDataPoint<'_>) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "SkyWalking's values are doubles")]
    point.value.map(|value| match value {
        Number::Double(value) => value,
        Number::Int(value) => value as f64,
    })
}
