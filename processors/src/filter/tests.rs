use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    logs::v1::{LogRecord, LogsData, ResourceLogs, ScopeLogs},
    metrics::v1::{Gauge, Metric, MetricsData, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, TracesData},
};
use prost::Message;
use sluice_pipeline::{Context, component::ComponentConfig};

use super::*;
use crate::testing::{Sink, context, decoded, processed, text};

fn resource(service: &str) -> Option<Resource> {
    Some(Resource { attributes: vec![text("service.name", service)], ..Resource::default() })
}

/// The names of the spans of two services that are left.
async fn spans(yaml: &str) -> Vec<String> {
    let group = |service: &str, names: &[&str]| {
        let span = |name: &&str| Span {
            name: (*name).into(),
            kind: 2,
            attributes: vec![text("path", name)],
            ..Span::default()
        };
        let scope_spans =
            vec![ScopeSpans { spans: names.iter().map(span).collect(), ..ScopeSpans::default() }];
        ResourceSpans { resource: resource(service), scope_spans, ..ResourceSpans::default() }
    };
    let data = TracesData {
        resource_spans: vec![group("shop", &["buy", "health"]), group("stock", &["take", "health"])],
    };
    let batch = processed::<Filter>(yaml, Signal::Traces, data.encode_to_vec(), Context::default()).await;
    let Some(batch) = batch else { return Vec::new() };
    let data = TracesData::decode(batch.contiguous()).unwrap();
    assert!(data.resource_spans.iter().all(|group| !group.scope_spans.is_empty()), "an empty group is left");
    data.resource_spans
        .into_iter()
        .flat_map(|group| {
            let Some(Value::StringValue(service)) =
                group.resource.unwrap().attributes[0].value.clone().unwrap().value
            else {
                panic!("no service")
            };
            group
                .scope_spans
                .into_iter()
                .flat_map(|group| group.spans)
                .map(move |span| format!("{service}/{}", span.name))
        })
        .collect()
}

/// The names of the metrics of two services that are left.
async fn metrics(yaml: &str) -> Vec<String> {
    let group = |service: &str, names: &[&str]| {
        let metric = |name: &&str| Metric {
            name: (*name).into(),
            data: Some(Data::Gauge(Gauge { data_points: vec![NumberDataPoint::default(); 2] })),
            ..Metric::default()
        };
        let scope_metrics =
            vec![ScopeMetrics { metrics: names.iter().map(metric).collect(), ..ScopeMetrics::default() }];
        ResourceMetrics { resource: resource(service), scope_metrics, ..ResourceMetrics::default() }
    };
    let data = MetricsData {
        resource_metrics: vec![group("shop", &["sold", "cpu.time"]), group("stock", &["left", "cpu.time"])],
    };
    let batch = processed::<Filter>(yaml, Signal::Metrics, data.encode_to_vec(), Context::default()).await;
    let Some(batch) = batch else { return Vec::new() };
    let data = MetricsData::decode(batch.contiguous()).unwrap();
    let groups = data.resource_metrics.into_iter().flat_map(|group| group.scope_metrics);
    groups.flat_map(|group| group.metrics).map(|metric| metric.name).collect()
}

/// The bodies of the log records that are left.
async fn logs(yaml: &str) -> Vec<String> {
    let record = |body: &str, severity: i32, severity_text: &str, attributes: Vec<KeyValue>| LogRecord {
        body: Some(AnyValue { value: Some(Value::StringValue(body.into())) }),
        severity_number: severity,
        severity_text: severity_text.into(),
        attributes,
        ..LogRecord::default()
    };
    let log_records = vec![
        record("started", 9, "Info", vec![]),
        record("slow query", 13, "Warn", vec![text("component", "db")]),
        record("failed", 17, "Error", vec![text("component", "web")]),
        record("what", 0, "", vec![]),
    ];
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let data = LogsData {
        resource_logs: vec![ResourceLogs {
            resource: resource("shop"),
            scope_logs,
            ..ResourceLogs::default()
        }],
    };
    let batch = processed::<Filter>(yaml, Signal::Logs, data.encode_to_vec(), Context::default()).await;
    let Some(batch) = batch else { return Vec::new() };
    let data = LogsData::decode(batch.contiguous()).unwrap();
    let groups = data.resource_logs.into_iter().flat_map(|group| group.scope_logs);
    let body = |record: LogRecord| match record.body.unwrap().value {
        Some(Value::StringValue(body)) => body,
        other => panic!("{other:?}"),
    };
    groups.flat_map(|group| group.log_records).map(body).collect()
}

#[tokio::test]
async fn spans_stay_that_are_included_and_not_excluded() {
    for (yaml, left) in [
        ("{}", &["shop/buy", "shop/health", "stock/take", "stock/health"][..]),
        ("{spans: {exclude: {match_type: strict, span_names: [health]}}}", &["shop/buy", "stock/take"]),
        ("{spans: {include: {match_type: strict, services: [shop]}}}", &["shop/buy", "shop/health"]),
        (
            "{spans: {include: {match_type: strict, services: [shop]}, exclude: {match_type: regexp, span_names: [^he]}}}",
            &["shop/buy"],
        ),
        // All that is asked must be so.
        (
            "{spans: {exclude: {match_type: strict, services: [shop], attributes: [{key: path, value: health}]}}}",
            &["shop/buy", "stock/take", "stock/health"],
        ),
        ("{spans: {include: {match_type: strict, span_kinds: [SPAN_KIND_CLIENT]}}}", &[]),
        // What is said of other signals does not matter.
        (
            "{metrics: {exclude: {match_type: regexp, metric_names: ['.*']}}}",
            &["shop/buy", "shop/health", "stock/take", "stock/health"],
        ),
    ] {
        assert_eq!(spans(yaml).await, left, "{yaml}");
    }
}

#[tokio::test]
async fn metrics_stay_by_their_name_and_their_resource() {
    let service = |name: &str| format!("resource_attributes: [{{key: service.name, value: {name}}}]");
    for (yaml, left) in [
        ("exclude: {match_type: regexp, metric_names: ['^cpu\\.']}".to_owned(), &["sold", "left"][..]),
        ("include: {match_type: strict, metric_names: [cpu.time]}".to_owned(), &["cpu.time", "cpu.time"]),
        (format!("include: {{match_type: strict, {}}}", service("stock")), &["left", "cpu.time"]),
        (
            format!("include: {{match_type: strict, metric_names: [cpu.time], {}}}", service("stock")),
            &["cpu.time"],
        ),
        // Either drops: the name anywhere, the resource whole.
        (
            format!("exclude: {{match_type: strict, metric_names: [cpu.time], {}}}", service("shop")),
            &["left"],
        ),
        ("include: {match_type: strict}".to_owned(), &["sold", "cpu.time", "left", "cpu.time"]),
        ("include: {match_type: strict, metric_names: [nothing]}".to_owned(), &[]),
    ] {
        assert_eq!(metrics(&format!("{{metrics: {{{yaml}}}}}")).await, left, "{yaml}");
    }
}

#[tokio::test]
async fn log_records_stay_by_severity_body_and_attributes() {
    for (yaml, left) in [
        ("include: {match_type: strict, severity_number: {min: warn}}", &["slow query", "failed"][..]),
        (
            "include: {match_type: strict, severity_number: {min: \"17\", match_undefined: true}}",
            &["failed", "what"],
        ),
        ("include: {match_type: strict, severity_number: {min: WARN2}}", &["failed"]),
        ("exclude: {match_type: regexp, bodies: [^s]}", &["failed", "what"]),
        ("include: {match_type: strict, severity_texts: [Info, Error]}", &["started", "failed"]),
        ("include: {match_type: strict, record_attributes: [{key: component, value: db}]}", &["slow query"]),
        ("exclude: {match_type: strict, resource_attributes: [{key: service.name, value: shop}]}", &[]),
        ("include: {match_type: strict}", &["started", "slow query", "failed", "what"]),
    ] {
        assert_eq!(logs(&format!("{{logs: {{{yaml}}}}}")).await, left, "{yaml}");
    }
}

#[test]
fn what_is_wrong_is_said_where_it_stands() {
    for (yaml, key, message) in [
        (
            "{traces: {span: ['name == \"x\"']}}",
            "traces",
            "traces is not in this build; OTTL conditions come later",
        ),
        ("{metrics: {metric: ['name == \"x\"']}}", "metrics.metric", "metric is not in this build"),
        ("{log_conditions: ['severity_number < 9']}", "log_conditions", "not in this build"),
        (
            "{metrics: {include: {match_type: expr, expressions: ['true']}}}",
            "metrics.include.expressions",
            "not in this build",
        ),
        (
            "{metrics: {include: {match_type: regexp, metric_names: ['(']}}}",
            "metrics.include.metric_names",
            "not a regular expression",
        ),
        (
            "{metrics: {exclude: {match_type: strict, resource_attributes: [{value: x}]}}}",
            "metrics.exclude.resource_attributes.0",
            "needs a \"key\"",
        ),
        ("{logs: {include: {bodies: [x]}}}", "logs.include", "needs a \"match_type\""),
        (
            "{logs: {include: {match_type: regexp, bodies: ['(']}}}",
            "logs.include.bodies",
            "not a regular expression",
        ),
        (
            "{logs: {include: {match_type: strict, severity_number: {min: LOUD}}}}",
            "logs.include.severity_number.min",
            "no severity",
        ),
        (
            "{spans: {include: {match_type: regexp, span_names: ['(']}}}",
            "spans.include.span_names",
            "not a regular expression",
        ),
    ] {
        let problems = decoded::<FilterConfig>(yaml).problems();
        let first = problems.first().unwrap_or_else(|| panic!("{yaml}: no problem"));
        assert_eq!(first.key, key, "{yaml}");
        assert!(first.message.contains(message), "{yaml}: {}", first.message);
    }
    // As for the attributes processor: a block that can never match, or has nothing to match.
    for (block, message) in [
        ("{match_type: strict}", "needs at least one of"),
        ("{match_type: strict, log_bodies: [x]}", "cannot be used"),
    ] {
        let config = decoded(&format!("{{spans: {{include: {block}}}}}"));
        let Err(error) = Filter::build(config, context(Signal::Traces), Arc::new(Sink::default())) else {
            panic!("{block} was taken")
        };
        assert!(error.to_string().contains(message), "{error}");
    }
    assert_eq!(decoded::<FilterConfig>("{error_mode: ignore, traces: {}}").problems(), []);
}
