//! Metrics with their data points.

use sluice_pipeline::otlp::view::{
    Attributes, Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, MetricData, Number,
    NumberDataPoint, Repeated, SummaryDataPoint, Temporality, Text,
};

use super::{
    super::{
        buckets::bounds,
        text::{Id, Time, line},
    },
    LIST, NESTED_LIST, attributes,
};

/// `DataPointFlags`: the series ends here.
const NO_RECORDED_VALUE: u32 = 1;

pub(super) fn metric((index, metric): (usize, Metric<'_>), out: &mut String) {
    line(out, format_args!("Metric #{index}"));
    out.push_str("Descriptor:\n");
    line(out, format_args!("{LIST}Name: {}", metric.name.as_str()));
    line(out, format_args!("{LIST}Description: {}", metric.description.as_str()));
    line(out, format_args!("{LIST}Unit: {}", metric.unit.as_str()));
    line(out, format_args!("{LIST}DataType: {}", data_type(&metric.data)));
    attributes("     -> Metadata:", NESTED_LIST, metric.metadata(), out);
    match metric.data {
        MetricData::Empty => {}
        MetricData::Gauge(gauge) => {
            gauge.data_points().enumerate().for_each(|(index, point)| number(index, point, out));
        }
        MetricData::Sum(sum) => {
            line(out, format_args!("{LIST}IsMonotonic: {}", sum.is_monotonic));
            temporality(sum.temporality, out);
            sum.data_points().enumerate().for_each(|(index, point)| number(index, point, out));
        }
        MetricData::Histogram(data) => {
            temporality(data.temporality, out);
            data.data_points().enumerate().for_each(|(index, point)| histogram(index, point, out));
        }
        MetricData::ExponentialHistogram(data) => {
            temporality(data.temporality, out);
            data.data_points()
                .enumerate()
                .for_each(|(index, point)| exponential_histogram(index, point, out));
        }
        MetricData::Summary(data) => {
            data.data_points().enumerate().for_each(|(index, point)| summary(index, point, out));
        }
    }
}

fn data_type(data: &MetricData<'_>) -> &'static str {
    match data {
        MetricData::Empty => "Empty",
        MetricData::Gauge(_) => "Gauge",
        MetricData::Sum(_) => "Sum",
        MetricData::Histogram(_) => "Histogram",
        MetricData::ExponentialHistogram(_) => "ExponentialHistogram",
        MetricData::Summary(_) => "Summary",
    }
}

fn temporality(temporality: Temporality, out: &mut String) {
    line(out, format_args!("{LIST}AggregationTemporality: {temporality:?}"));
}

/// What the data points of all types begin with.
fn head(title: &str, index: usize, labels: Attributes<'_>, times: [u64; 2], flags: u32, out: &mut String) {
    line(out, format_args!("{title} #{index}"));
    attributes("Data point attributes:", LIST, labels, out);
    let [start, time] = times;
    line(out, format_args!("StartTimestamp: {}", Time(start)));
    line(out, format_args!("Timestamp: {}", Time(time)));
    if flags & NO_RECORDED_VALUE != 0 {
        line(out, format_args!("Flags: {flags} (no recorded value)"));
    }
}

fn totals(count: u64, values: [(&str, Option<f64>); 3], out: &mut String) {
    line(out, format_args!("Count: {count}"));
    for (name, value) in values {
        if let Some(value) = value {
            line(out, format_args!("{name}: {value:.6}"));
        }
    }
}

fn number(index: usize, point: NumberDataPoint<'_>, out: &mut String) {
    let times = [point.start_time_unix_nano, point.time_unix_nano];
    head("NumberDataPoints", index, point.attributes(), times, point.flags, out);
    match point.value {
        Some(Number::Int(value)) => line(out, format_args!("Value: {value}")),
        Some(Number::Double(value)) => line(out, format_args!("Value: {value:.6}")),
        None => {}
    }
    exemplars(point.exemplars(), out);
}

fn histogram(index: usize, point: HistogramDataPoint<'_>, out: &mut String) {
    let times = [point.start_time_unix_nano, point.time_unix_nano];
    head("HistogramDataPoints", index, point.attributes(), times, point.flags, out);
    totals(point.count, [("Sum", point.sum), ("Min", point.min), ("Max", point.max)], out);
    for (index, bound) in point.explicit_bounds().enumerate() {
        line(out, format_args!("ExplicitBounds #{index}: {bound:.6}"));
    }
    for (index, count) in point.bucket_counts().enumerate() {
        line(out, format_args!("Buckets #{index}, Count: {count}"));
    }
    exemplars(point.exemplars(), out);
}

fn exponential_histogram(index: usize, point: ExponentialHistogramDataPoint<'_>, out: &mut String) {
    let times = [point.start_time_unix_nano, point.time_unix_nano];
    head("ExponentialHistogramDataPoints", index, point.attributes(), times, point.flags, out);
    totals(point.count, [("Sum", point.sum), ("Min", point.min), ("Max", point.max)], out);
    let mut negative: Vec<_> = bounds(point.scale, point.negative()).collect();
    negative.reverse();
    for (lower, upper, count) in negative {
        line(out, format_args!("Bucket [{:.6}, {:.6}), Count: {count}", -upper, -lower));
    }
    if point.zero_count != 0 {
        let threshold = point.zero_threshold;
        if threshold == 0.0 {
            line(out, format_args!("Bucket [0, 0], Count: {}", point.zero_count));
        } else {
            line(out, format_args!("Bucket [-{threshold:.6}, {threshold:.6}], Count: {}", point.zero_count));
        }
    }
    for (lower, upper, count) in bounds(point.scale, point.positive()) {
        line(out, format_args!("Bucket ({lower:.6}, {upper:.6}], Count: {count}"));
    }
    exemplars(point.exemplars(), out);
}

fn summary(index: usize, point: SummaryDataPoint<'_>, out: &mut String) {
    let times = [point.start_time_unix_nano, point.time_unix_nano];
    head("SummaryDataPoints", index, point.attributes(), times, point.flags, out);
    totals(point.count, [("Sum", Some(point.sum)), ("Min", None), ("Max", None)], out);
    for (index, pair) in point.quantile_values().enumerate() {
        line(
            out,
            format_args!("QuantileValue #{index}: Quantile {:.6}, Value {:.6}", pair.quantile, pair.value),
        );
    }
}

fn exemplars(exemplars: Repeated<'_, Exemplar<'_>>, out: &mut String) {
    for (index, exemplar) in exemplars.enumerate() {
        if index == 0 {
            out.push_str("Exemplars:\n");
        }
        line(out, format_args!("Exemplar #{index}"));
        line(out, format_args!("{LIST}Trace ID: {}", Id(exemplar.trace_id)));
        line(out, format_args!("{LIST}Span ID: {}", Id(exemplar.span_id)));
        line(out, format_args!("{LIST}Timestamp: {}", Time(exemplar.time_unix_nano)));
        match exemplar.value {
            Some(Number::Int(value)) => line(out, format_args!("{LIST}Value: {value}")),
            Some(Number::Double(value)) => line(out, format_args!("{LIST}Value: {value:.6}")),
            None => {}
        }
        attributes("     -> FilteredAttributes:", NESTED_LIST, exemplar.filtered_attributes(), out);
    }
}
