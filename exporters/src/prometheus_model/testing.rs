//! OTLP metrics for tests.

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    metrics::v1::{
        AggregationTemporality, Exemplar, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum,
        exemplar, metric::Data, number_data_point,
    },
};

/// A second in nanoseconds.
pub(crate) const SECOND: u64 = 1_000_000_000;
/// A time long past, so that no clock is behind it.
pub(crate) const TIME: u64 = 1_700_000_000 * SECOND;

pub(crate) const DELTA: i32 = AggregationTemporality::Delta as i32;
pub(crate) const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

pub(crate) fn attributes(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    let pair = |(key, value): &(&str, &str)| KeyValue {
        key: (*key).to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue((*value).to_owned())) }),
        ..KeyValue::default()
    };
    pairs.iter().map(pair).collect()
}

pub(crate) fn point(start: u64, time: u64, value: f64, labels: &[(&str, &str)]) -> NumberDataPoint {
    NumberDataPoint {
        start_time_unix_nano: start,
        time_unix_nano: time,
        value: Some(number_data_point::Value::AsDouble(value)),
        attributes: attributes(labels),
        ..NumberDataPoint::default()
    }
}

pub(crate) fn metric(name: &str, unit: &str, data: Data) -> Metric {
    Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        description: format!("What {name} says."),
        data: Some(data),
        ..Metric::default()
    }
}

pub(crate) fn gauge(name: &str, unit: &str, data_points: Vec<NumberDataPoint>) -> Metric {
    metric(name, unit, Data::Gauge(Gauge { data_points }))
}

pub(crate) fn sum(
    name: &str,
    temporality: i32,
    is_monotonic: bool,
    data_points: Vec<NumberDataPoint>,
) -> Metric {
    let sum = Sum { data_points, aggregation_temporality: temporality, is_monotonic };
    metric(name, "", Data::Sum(sum))
}

pub(crate) fn histogram(name: &str, temporality: i32, data_points: Vec<HistogramDataPoint>) -> Metric {
    metric(name, "s", Data::Histogram(Histogram { data_points, aggregation_temporality: temporality }))
}

pub(crate) fn buckets(start: u64, time: u64, bounds: &[f64], counts: &[u64], sum: f64) -> HistogramDataPoint {
    HistogramDataPoint {
        start_time_unix_nano: start,
        time_unix_nano: time,
        count: counts.iter().sum(),
        sum: Some(sum),
        explicit_bounds: bounds.to_vec(),
        bucket_counts: counts.to_vec(),
        ..HistogramDataPoint::default()
    }
}

pub(crate) fn measured(value: f64, time: u64) -> Exemplar {
    Exemplar {
        value: Some(exemplar::Value::AsDouble(value)),
        time_unix_nano: time,
        trace_id: (1..=16).collect(),
        span_id: (1..=8).collect(),
        ..Exemplar::default()
    }
}
