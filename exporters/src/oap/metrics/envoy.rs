//! Metrics that came from Envoy, as its own service has them.

use sluice_pipeline::otlp::{
    view::{
        Attributes, HistogramDataPoint, Metric, MetricData, NumberDataPoint, ScopeGroup, SummaryDataPoint,
        Text,
    },
    write::Writer,
};
use sluice_protocols::skywalking::attributes::{ESCAPE, metric as names};

use super::{meter::value, points};
use crate::oap::{
    streams::{Method, Streams},
    wire::{int, milliseconds, text},
};

/// `MetricType`.
const COUNTER: i64 = 0;
const GAUGE: i64 = 1;
const SUMMARY: i64 = 2;
const UNTYPED: i64 = 3;
const HISTOGRAM: i64 = 4;

/// Adds the metrics of one proxy to its stream.
pub(super) fn push<'a>(
    identifier: &[u8],
    scopes: impl Iterator<Item = ScopeGroup<'a>>,
    streams: &mut Streams,
) {
    // Any text tells streams apart, so bytes as text will do.
    let key: String = identifier.iter().map(|byte| char::from(*byte)).collect();
    for scope in scopes {
        let metrics: Vec<Metric<'a>> = scope.metrics().collect();
        let items = metrics.iter().map(points).sum();
        let is_first = !streams.is_open(Method::EnvoyMetrics, &key);
        streams.push(Method::EnvoyMetrics, &key, items, |out| {
            let mut message = Writer::new(out);
            if is_first {
                message.bytes(1, identifier);
            }
            for metric in &metrics {
                message.message(2, |family| write_family(family, metric));
            }
        });
    }
}

fn write_family(family: &mut Writer<'_>, metric: &Metric<'_>) {
    text(family, 1, metric.name.as_str());
    text(family, 2, metric.description.as_str());
    let is_untyped = metric
        .metadata()
        .any(|pair| pair.key == names::PROMETHEUS_TYPE.as_bytes() && pair.value.text() == "unknown");
    match metric.data {
        MetricData::Sum(sum) => write_numbers(family, COUNTER, 3, sum.data_points()),
        MetricData::Gauge(gauge) if is_untyped => write_numbers(family, UNTYPED, 5, gauge.data_points()),
        MetricData::Gauge(gauge) => write_numbers(family, GAUGE, 2, gauge.data_points()),
        MetricData::Histogram(histogram) => {
            int(family, 3, HISTOGRAM);
            histogram.data_points().for_each(|point| write_histogram(family, &point));
        }
        MetricData::Summary(summary) => {
            int(family, 3, SUMMARY);
            summary.data_points().for_each(|point| write_summary(family, &point));
        }
        MetricData::ExponentialHistogram(_) | MetricData::Empty => {}
    }
    text(family, 5, metric.unit.as_str());
}

fn write_numbers<'a>(
    family: &mut Writer<'_>,
    kind: i64,
    number: u32,
    points: impl Iterator<Item = NumberDataPoint<'a>>,
) {
    int(family, 3, kind);
    for point in points {
        family.message(4, |metric| {
            write_labels(metric, point.attributes());
            metric.message(number, |out| write_double(out, 1, value(&point).unwrap_or_default()));
            int(metric, 6, milliseconds(point.time_unix_nano));
        });
    }
}

fn write_histogram(family: &mut Writer<'_>, point: &HistogramDataPoint<'_>) {
    family.message(4, |metric| {
        write_labels(metric, point.attributes());
        int(metric, 6, milliseconds(point.time_unix_nano));
        metric.message(7, |histogram| {
            unsigned(histogram, 1, point.count);
            write_double(histogram, 2, point.sum.unwrap_or_default());
            let mut sum = 0u64;
            let bounds = point.explicit_bounds().chain(std::iter::once(f64::INFINITY));
            for (bound, count) in bounds.zip(point.bucket_counts()) {
                sum = sum.saturating_add(count);
                histogram.message(3, |bucket| {
                    unsigned(bucket, 1, sum);
                    write_double(bucket, 2, bound);
                });
            }
        });
    });
}

fn write_summary(family: &mut Writer<'_>, point: &SummaryDataPoint<'_>) {
    family.message(4, |metric| {
        write_labels(metric, point.attributes());
        metric.message(4, |summary| {
            unsigned(summary, 1, point.count);
            write_double(summary, 2, point.sum);
            for quantile in point.quantile_values() {
                summary.message(3, |out| {
                    write_double(out, 1, quantile.quantile);
                    write_double(out, 2, quantile.value);
                });
            }
        });
        int(metric, 6, milliseconds(point.time_unix_nano));
    });
}

fn write_labels(metric: &mut Writer<'_>, attributes: Attributes<'_>) {
    for attribute in attributes {
        let key = attribute.key.as_str();
        metric.message(1, |label| {
            text(label, 1, key.strip_prefix(ESCAPE).unwrap_or(key));
            text(label, 2, &attribute.value.text());
        });
    }
}

fn write_double(out: &mut Writer<'_>, number: u32, value: f64) {
    if value.to_bits() != 0 {
        out.double(number, value);
    }
}

fn unsigned(out: &mut Writer<'_>, number: u32, value: u64) {
    if value != 0 {
        out.varint(number, value);
    }
}
