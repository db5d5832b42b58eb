//! What the tests of `spanmetrics` share: spans that go in, and the data points that come out.

mod connector;
mod series;

use opentelemetry_proto::tonic::{
    common::v1::{InstrumentationScope, KeyValue, any_value::Value},
    metrics::v1::{MetricsData, metric::Data, number_data_point},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, TracesData},
};
use prost::Message;
use sluice_pipeline::{Chunk, component::ComponentConfig, otlp::count};

use super::*;
use crate::testing::{decoded, text};

const SECOND: u64 = 1_000_000_000;
const MILLISECOND: u64 = 1_000_000;
const BEGIN: u64 = 1_700_000_000 * SECOND;

/// A data point with all that is around it.
#[derive(Clone, Debug, PartialEq)]
struct Point {
    name: String,
    unit: String,
    resource: Vec<(String, String)>,
    attributes: Vec<(String, String)>,
    times: (u64, u64),
    temporality: i32,
    count: u64,
    sum: f64,
    buckets: Vec<u64>,
    exemplars: usize,
}

impl Point {
    fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

fn points(chunks: &[Chunk]) -> Vec<Point> {
    let mut points = Vec::new();
    for chunk in chunks {
        assert_eq!(count::count(Signal::Metrics, chunk.bytes()), chunk.items());
        for group in MetricsData::decode(chunk.bytes().clone()).unwrap().resource_metrics {
            let resource = texts(&group.resource.unwrap().attributes);
            for scope in group.scope_metrics {
                assert_eq!(scope.scope.unwrap().name, "spanmetricsconnector");
                for metric in scope.metrics {
                    let of = |attributes: &[KeyValue], times, temporality, count| Point {
                        name: metric.name.clone(),
                        unit: metric.unit.clone(),
                        resource: resource.clone(),
                        attributes: texts(attributes),
                        times,
                        temporality,
                        count,
                        sum: 0.0,
                        buckets: Vec::new(),
                        exemplars: 0,
                    };
                    match metric.data.clone().unwrap() {
                        Data::Sum(sum) => {
                            assert!(sum.is_monotonic);
                            points.extend(sum.data_points.iter().map(|point| {
                                let Some(number_data_point::Value::AsInt(count)) = point.value else {
                                    panic!("no count")
                                };
                                let times = (point.start_time_unix_nano, point.time_unix_nano);
                                of(
                                    &point.attributes,
                                    times,
                                    sum.aggregation_temporality,
                                    count.try_into().unwrap(),
                                )
                            }));
                        }
                        Data::Histogram(histogram) => {
                            points.extend(histogram.data_points.iter().map(|point| {
                                assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
                                let times = (point.start_time_unix_nano, point.time_unix_nano);
                                Point {
                                    sum: point.sum.unwrap(),
                                    buckets: point.bucket_counts.clone(),
                                    exemplars: point.exemplars.len(),
                                    ..of(
                                        &point.attributes,
                                        times,
                                        histogram.aggregation_temporality,
                                        point.count,
                                    )
                                }
                            }))
                        }
                        Data::ExponentialHistogram(histogram) => {
                            points.extend(histogram.data_points.iter().map(|point| {
                                let times = (point.start_time_unix_nano, point.time_unix_nano);
                                Point {
                                    sum: point.sum.unwrap(),
                                    buckets: point.positive.clone().unwrap_or_default().bucket_counts,
                                    exemplars: point.exemplars.len(),
                                    ..of(
                                        &point.attributes,
                                        times,
                                        histogram.aggregation_temporality,
                                        point.count,
                                    )
                                }
                            }))
                        }
                        other => panic!("{other:?}"),
                    }
                }
            }
        }
    }
    points.sort_by(|one, other| (&one.name, &one.attributes).cmp(&(&other.name, &other.attributes)));
    points
}

fn texts(attributes: &[KeyValue]) -> Vec<(String, String)> {
    let text = |pair: &KeyValue| match pair.value.clone().and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::BoolValue(value)) => value.to_string(),
        other => panic!("{other:?}"),
    };
    attributes.iter().map(|pair| (pair.key.clone(), text(pair))).collect()
}

fn span(name: &str, kind: i32, milliseconds: u64, attributes: Vec<KeyValue>) -> Span {
    Span {
        trace_id: vec![7; 16],
        span_id: vec![8; 8],
        name: name.into(),
        kind,
        start_time_unix_nano: BEGIN,
        end_time_unix_nano: BEGIN + milliseconds * MILLISECOND,
        attributes,
        ..Span::default()
    }
}

fn traces(resource: Vec<KeyValue>, spans: Vec<Span>) -> TracesData {
    let scope = InstrumentationScope {
        name: "http".into(),
        version: "1.2".into(),
        ..InstrumentationScope::default()
    };
    TracesData {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes: resource, ..Resource::default() }),
            scope_spans: vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    }
}

fn shop(spans: Vec<Span>) -> TracesData {
    traces(vec![text("service.name", "shop"), text("host.name", "a")], spans)
}

#[test]
fn wrong_settings_are_found() {
    for (yaml, key) in [
        ("{dimensions: [{name: span.name}]}", "dimensions.0"),
        ("{dimensions: [{name: x}, {name: x}]}", "dimensions.1"),
        ("{dimensions: [{name: x}], calls_dimensions: [{name: x}]}", "calls_dimensions.0"),
        ("{dimensions: [{default: x}]}", "dimensions.0"),
        ("{events: {enabled: true}}", "events"),
        ("{metrics_flush_interval: 0s}", "metrics_flush_interval"),
        ("{histogram: {explicit: , exponential: }}", "histogram"),
        ("{histogram: {explicit: {buckets: [2s, 1s]}}}", "histogram.explicit.buckets"),
        ("{histogram: {exponential: {max_size: 1}}}", "histogram.exponential.max_size"),
        ("{resource_metrics_cache_size: 0}", "resource_metrics_cache_size"),
    ] {
        let problems = decoded::<SpanMetricsConfig>(yaml).problems();
        assert_eq!(problems.iter().map(|problem| problem.key.as_str()).collect::<Vec<_>>(), [key], "{yaml}");
    }
}
