//! The protobuf format: `io.prometheus.client.MetricFamily`, each preceded by its length.
//!
//! Source: `metrics.proto` of prometheus/client_model.

use sluice_protocols::protobuf::{write_bytes, write_double, write_message, write_varint};

use super::Style;
use crate::{
    prometheus::{
        labels::pairs,
        store::{About, Exemplar, Series, Target},
    },
    prometheus_model::{
        Exponential, Histogram, Kind, Summary, Value, ZERO_THRESHOLD, bucket_of, write_side, write_signed,
    },
};

/// Writes fields of one message.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProtobufWriter {
    pub(super) style: Style,
}

impl ProtobufWriter {
    /// What a message begins with: name, help, type.
    pub(super) fn family(self, about: &About, out: &mut Vec<u8>) {
        let kind = match about.kind {
            Kind::Counter => 0,
            Kind::Gauge => 1,
            Kind::Summary => 2,
            Kind::Histogram => 4,
        };
        head(&about.name, &about.help, kind, out);
        if !about.unit.is_empty() && about.base().ends_with(&*about.unit) {
            write_bytes(out, 5, about.unit.as_bytes());
        }
    }

    /// As [`Self::family`], of the targets.
    pub(super) fn targets(self, name: &str, out: &mut Vec<u8>) {
        head(name, super::TARGET_HELP, 1, out);
    }

    /// A target.
    pub(super) fn target(self, target: &Target, out: &mut Vec<u8>) {
        write_message(out, 4, |metric| {
            write_labels(&target.labels, metric);
            write_message(metric, 2, |gauge| write_double(gauge, 1, 1.0));
            self.timestamp(target.time, metric);
        });
    }

    /// A series.
    pub(super) fn series(self, about: &About, series: &Series, out: &mut Vec<u8>) {
        write_message(out, 4, |metric| {
            write_labels(&series.labels, metric);
            match &series.value {
                Value::Number(value) if about.kind == Kind::Counter => write_message(metric, 3, |counter| {
                    write_double(counter, 1, *value);
                    if let Some(exemplar) = series.exemplars.first() {
                        write_message(counter, 2, |out| write_exemplar(exemplar, out));
                    }
                    write_time(series.start, 3, counter);
                }),
                Value::Number(value) => write_message(metric, 2, |gauge| write_double(gauge, 1, *value)),
                Value::Summary(summary) => write_message(metric, 4, |out| {
                    write_summary(summary, out);
                    write_time(series.start, 4, out);
                }),
                Value::Histogram(histogram) => write_message(metric, 7, |out| {
                    write_classic(histogram, &series.exemplars, out);
                    write_time(series.start, 15, out);
                }),
                Value::Exponential(histogram) => write_message(metric, 7, |out| {
                    write_native(histogram, &series.exemplars, out);
                    write_time(series.start, 15, out);
                }),
            }
            self.timestamp(series.time, metric);
        });
    }

    fn timestamp(self, time: u64, metric: &mut Vec<u8>) {
        if self.style.timestamps {
            write_varint(metric, 6, time / 1_000_000);
        }
    }
}

fn head(name: &str, help: &str, kind: u64, out: &mut Vec<u8>) {
    write_bytes(out, 1, name.as_bytes());
    write_bytes(out, 2, help.as_bytes());
    write_varint(out, 3, kind);
}

fn write_labels(text: &str, out: &mut Vec<u8>) {
    for (name, value) in pairs(text) {
        write_message(out, 1, |pair| write_pair(name, &value, pair));
    }
}

fn write_pair(name: &str, value: &str, pair: &mut Vec<u8>) {
    write_bytes(pair, 1, name.as_bytes());
    write_bytes(pair, 2, value.as_bytes());
}

fn write_summary(summary: &Summary, out: &mut Vec<u8>) {
    write_varint(out, 1, summary.count);
    write_double(out, 2, summary.sum);
    for (quantile, value) in &summary.quantiles {
        write_message(out, 3, |out| {
            write_double(out, 1, *quantile);
            write_double(out, 2, *value);
        });
    }
}

fn write_classic(histogram: &Histogram, exemplars: &[Exemplar], out: &mut Vec<u8>) {
    write_count_and_sum(histogram.count, histogram.sum, out);
    let bounds = &histogram.bounds.values;
    let mut exemplars = exemplars.iter().peekable();
    let mut cumulative: u64 = 0;
    let infinite = std::iter::once((f64::INFINITY, None));
    let finite = bounds.iter().zip(&histogram.counts).map(|(bound, count)| (*bound, Some(*count)));
    for (index, (bound, count)) in finite.chain(infinite).enumerate() {
        cumulative = count.map_or(histogram.count, |count| cumulative.saturating_add(count));
        // They stand in the order of their buckets.
        let exemplar = exemplars.next_if(|exemplar| bucket_of(bounds, exemplar.value) == index);
        // Without it the server makes the last bucket of the count.
        if count.is_some() || exemplar.is_some() {
            write_message(out, 3, |out| write_bucket(cumulative, bound, exemplar, out));
        }
    }
}

fn write_native(histogram: &Exponential, exemplars: &[Exemplar], out: &mut Vec<u8>) {
    write_count_and_sum(histogram.count, histogram.sum, out);
    // Servers before 2.49 look for exemplars in classic buckets only.
    if let Some(newest) = exemplars.iter().max_by_key(|exemplar| exemplar.time) {
        write_message(out, 3, |out| write_bucket(histogram.count, f64::INFINITY, Some(newest), out));
    }
    write_signed(out, 5, i64::from(histogram.scale));
    let threshold = if histogram.zero_threshold > 0.0 { histogram.zero_threshold } else { ZERO_THRESHOLD };
    write_double(out, 6, threshold);
    write_varint(out, 7, histogram.zero_count);
    write_side(&histogram.negative, (9, 10), false, out);
    write_side(&histogram.positive, (12, 13), false, out);
    for exemplar in exemplars.iter().filter(|exemplar| exemplar.time > 0) {
        write_message(out, 16, |out| write_exemplar(exemplar, out));
    }
}

fn write_count_and_sum(count: u64, sum: Option<f64>, out: &mut Vec<u8>) {
    write_varint(out, 1, count);
    if let Some(sum) = sum {
        write_double(out, 2, sum);
    }
}

fn write_bucket(cumulative: u64, bound: f64, exemplar: Option<&Exemplar>, out: &mut Vec<u8>) {
    write_varint(out, 1, cumulative);
    write_double(out, 2, bound);
    if let Some(exemplar) = exemplar {
        write_message(out, 3, |out| write_exemplar(exemplar, out));
    }
}

fn write_exemplar(exemplar: &Exemplar, out: &mut Vec<u8>) {
    write_labels(&exemplar.labels, out);
    write_double(out, 2, exemplar.value);
    write_time(exemplar.time, 3, out);
}

/// A time as `google.protobuf.Timestamp`, if it is known.
fn write_time(nanoseconds: u64, field: u32, out: &mut Vec<u8>) {
    const SECOND: u64 = 1_000_000_000;
    if nanoseconds > 0 {
        write_message(out, field, |time| {
            write_varint(time, 1, nanoseconds / SECOND);
            write_varint(time, 2, nanoseconds % SECOND);
        });
    }
}
