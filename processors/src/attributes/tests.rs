use http::HeaderValue;
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    logs::v1::{LogRecord, LogsData, ResourceLogs, ScopeLogs},
    metrics::v1::{Gauge, Metric, MetricsData, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, TracesData},
};
use prost::Message;
use sluice_pipeline::{Chunk, Context, component::ComponentConfig, config as configuration, outlet::offer};

use super::*;
use crate::testing::{Sink, context, decoded, pair, processed, text};

mod equivalence;

fn span(name: &str, attributes: Vec<KeyValue>) -> Span {
    Span { name: name.to_owned(), kind: 2, attributes, ..Span::default() }
}

fn traces(service: Option<&str>, library: &str, spans: Vec<Span>) -> TracesData {
    let attributes = service.map(|service| text("service.name", service)).into_iter().collect();
    let scope = InstrumentationScope {
        name: library.to_owned(),
        version: "1.0".to_owned(),
        ..InstrumentationScope::default()
    };
    TracesData {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_spans: vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    }
}

async fn edited_in(yaml: &str, attributes: Vec<KeyValue>, request: Context) -> Vec<KeyValue> {
    let data = traces(Some("shop"), "library", vec![span("GET", attributes)]);
    let batch = processed::<Attributes>(yaml, Signal::Traces, data.encode_to_vec(), request).await.unwrap();
    let mut data = TracesData::decode(batch.contiguous()).unwrap();
    std::mem::take(&mut data.resource_spans[0].scope_spans[0].spans[0].attributes)
}

async fn edited(actions: &str, attributes: Vec<KeyValue>) -> Vec<KeyValue> {
    edited_in(&format!("{{actions: [{actions}]}}"), attributes, Context::default()).await
}

#[tokio::test]
async fn insert_update_and_upsert_differ_in_when() {
    let before = || vec![text("here", "old")];
    let there = || text("new", "x");
    for (action, key, after) in [
        ("insert", "here", before()),
        ("insert", "new", vec![text("here", "old"), there()]),
        ("update", "here", vec![text("here", "x")]),
        ("update", "new", before()),
        ("upsert", "here", vec![text("here", "x")]),
        ("UPSERT", "new", vec![text("here", "old"), there()]),
    ] {
        let edited = edited(&format!("{{key: {key}, action: {action}, value: x}}"), before()).await;
        assert_eq!(edited, after, "{action} {key}");
    }
}

#[tokio::test]
async fn a_value_has_the_type_that_yaml_gives_it() {
    for (yaml, value) in [
        ("text", Value::StringValue("text".into())),
        ("\"12\"", Value::StringValue("12".into())),
        ("12", Value::IntValue(12)),
        ("1.5", Value::DoubleValue(1.5)),
        ("true", Value::BoolValue(true)),
    ] {
        assert_eq!(
            edited(&format!("{{key: k, action: insert, value: {yaml}}}"), vec![]).await,
            [pair("k", value)]
        );
    }
    let nested = edited("{key: k, action: insert, value: {list: [1, two], none: ~}}", vec![]).await;
    let bytes = nested[0].value.as_ref().unwrap().encode_to_vec();
    let value =
        <sluice_pipeline::otlp::view::AnyValue<'_> as sluice_pipeline::otlp::view::View<'_>>::of(&bytes);
    assert_eq!(value.text(), r#"{"list":[1,"two"],"none":null}"#);
}

#[tokio::test]
async fn a_value_can_come_from_another_attribute_or_a_default() {
    let before = || vec![pair("source", Value::IntValue(7))];
    let copy = "{key: k, action: insert, from_attribute: source}";
    assert_eq!(edited(copy, before()).await[1], pair("k", Value::IntValue(7)));
    let absent = "{key: k, action: insert, from_attribute: absent}";
    assert_eq!(edited(absent, before()).await, before());
    let fallback = "{key: k, action: insert, from_attribute: absent, default_value: d}";
    assert_eq!(edited(fallback, before()).await[1], text("k", "d"));
    let only_default = "{key: k, action: insert, default_value: d}";
    assert_eq!(edited(only_default, before()).await[1], text("k", "d"));
}

#[tokio::test]
async fn a_value_can_come_from_the_request() {
    let mut request = Context {
        peer: Some("10.0.0.7:5555".parse().unwrap()),
        auth: vec![("subject".to_owned(), "me".to_owned())],
        ..Context::default()
    };
    request.metadata.append("x-tenant", HeaderValue::from_static("one"));
    request.metadata.append("x-tenant", HeaderValue::from_static("two"));
    for (source, expected) in [
        ("metadata.X-Tenant", Some("one;two")),
        ("x-tenant", Some("one;two")),
        ("metadata.absent", None),
        ("metadata.no header", None),
        ("auth.subject", Some("me")),
        ("auth.absent", None),
        ("client.address", Some("10.0.0.7")),
    ] {
        let yaml = format!("{{actions: [{{key: k, action: upsert, from_context: \"{source}\"}}]}}");
        let edited = edited_in(&yaml, vec![], request.clone()).await;
        assert_eq!(
            edited,
            expected.map(|value| text("k", value)).into_iter().collect::<Vec<_>>(),
            "{source}"
        );
    }
}

#[tokio::test]
async fn delete_and_hash_take_a_key_a_pattern_or_both() {
    let before = || vec![text("a", "1"), text("password", "2"), text("password.old", "3"), text("b", "4")];
    let deleted = edited("{action: delete, key: a, pattern: ^password}", before()).await;
    assert_eq!(deleted, [text("b", "4")]);
    let hashed = edited("{action: hash, pattern: ^password$}", before()).await;
    assert_eq!(hashed[0], text("a", "1"));
    assert_eq!(
        hashed[1],
        text("password", "d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35")
    );
    assert_eq!(hashed[2], text("password.old", "3"));
}

#[tokio::test]
async fn duplicate_keys_are_all_acted_on() {
    let before = || vec![text("k", "1"), text("x", "2"), text("k", "3")];
    assert_eq!(edited("{action: delete, key: k}", before()).await, [text("x", "2")]);
    let updated = edited("{action: update, key: k, value: v}", before()).await;
    assert_eq!(updated, [text("k", "v"), text("x", "2"), text("k", "v")]);
}

#[tokio::test]
async fn extract_takes_named_groups_out_of_text() {
    let pattern =
        r"{key: url, action: extract, pattern: '^(?P<scheme>\w+)://(?P<host>[^/:]+)(:(?P<port>\d+))?'}";
    let refused = decoded::<AttributesConfig>(&format!("{{actions: [{pattern}]}}")).problems();
    assert!(refused[0].message.contains("must have a name"), "{refused:?}");

    let pattern = pattern.replace("(:(", "(?::(");
    let before = || vec![text("url", "http://shop/cart"), text("host", "old")];
    let edited_text = edited(&pattern, before()).await;
    assert_eq!(
        edited_text,
        [text("url", "http://shop/cart"), text("host", "shop"), text("scheme", "http"), text("port", "")]
    );
    let number = vec![pair("url", Value::IntValue(1))];
    assert_eq!(edited(&pattern, number.clone()).await, number, "only text is taken apart");
}

#[tokio::test]
async fn actions_see_what_those_before_them_did() {
    let actions = "{key: k, action: insert, value: \"41\"}, {key: k, action: convert, converted_type: int},
                   {key: copy, action: insert, from_attribute: k}, {key: k, action: delete}";
    assert_eq!(edited(actions, vec![]).await, [pair("copy", Value::IntValue(41))]);
}

#[tokio::test]
async fn nothing_to_do_leaves_the_bytes_alone() {
    let data = traces(None, "library", vec![span("GET", vec![text("a", "b")])]).encode_to_vec();
    let bytes = bytes::Bytes::from(data);
    let yaml = "{actions: [{action: delete, key: absent}, {action: upsert, key: a, value: b}]}";
    let config = decoded::<AttributesConfig>(yaml);
    let sink = Arc::new(Sink::default());
    let processor = Attributes::build(config, context(Signal::Traces), sink.clone()).unwrap();
    let batch = Batch::new(Signal::Traces, Chunk::new(bytes.clone(), 1), Context::default());
    offer(processor.as_ref(), batch).await;
    let batch = sink.0.lock().await.take().unwrap();
    assert_eq!(batch.chunks()[0].bytes().as_ptr(), bytes.as_ptr(), "not even copied");
}

const TWO_SPANS: [&str; 2] = ["GET", "POST"];

/// The names of the spans that are acted on, of `GET` and `POST` of service `shop`.
async fn chosen(filter: &str) -> Vec<String> {
    let spans = TWO_SPANS.map(|name| {
        let attributes = vec![text("method", name), pair("code", Value::IntValue(200))];
        span(name, attributes)
    });
    let data = traces(Some("shop"), "library", spans.to_vec());
    let yaml = format!("{{actions: [{{key: seen, action: insert, value: true}}], {filter}}}");
    let batch = processed::<Attributes>(&yaml, Signal::Traces, data.encode_to_vec(), Context::default())
        .await
        .unwrap();
    let data = TracesData::decode(batch.contiguous()).unwrap();
    let spans = data.resource_spans[0].scope_spans[0].spans.iter();
    spans
        .filter(|span| span.attributes.iter().any(|pair| pair.key == "seen"))
        .map(|span| span.name.clone())
        .collect()
}

#[tokio::test]
async fn include_and_exclude_choose_spans() {
    let both: &[&str] = &TWO_SPANS;
    for (filter, expected) in [
        ("include: {match_type: strict, span_names: [GET, HEAD]}", &["GET"][..]),
        ("include: {match_type: regexp, span_names: [\"^P\"]}", &["POST"]),
        ("exclude: {match_type: strict, span_names: [GET]}", &["POST"]),
        ("include: {match_type: strict, services: [shop]}", both),
        ("exclude: {match_type: strict, services: [shop]}", &[]),
        ("include: {match_type: regexp, services: [sh], span_names: [GET]}", &["GET"]),
        ("exclude: {match_type: strict, services: [other], span_names: [GET]}", both),
        ("include: {match_type: strict, span_kinds: [SPAN_KIND_SERVER]}", both),
        ("include: {match_type: strict, span_kinds: [SPAN_KIND_CLIENT]}", &[]),
        ("include: {match_type: strict, libraries: [{name: library}]}", both),
        ("include: {match_type: strict, libraries: [{name: library, version: \"2\"}]}", &[]),
        ("exclude: {match_type: regexp, libraries: [{name: lib, version: ^1}]}", &[]),
        ("include: {match_type: strict, resources: [{key: service.name, value: shop}]}", both),
        ("include: {match_type: strict, resources: [{key: service.name}, {key: absent}]}", &[]),
        ("include: {match_type: strict, attributes: [{key: method, value: POST}]}", &["POST"]),
        ("include: {match_type: strict, attributes: [{key: code, value: 200}]}", both),
        ("include: {match_type: strict, attributes: [{key: code, value: \"200\"}]}", &[]),
        ("include: {match_type: regexp, attributes: [{key: code, value: ^2}]}", both),
        (
            "include: {match_type: strict, services: [shop]}, exclude: {match_type: strict, span_names: [GET]}",
            &["POST"],
        ),
    ] {
        assert_eq!(chosen(filter).await, expected, "{filter}");
    }
}

#[tokio::test]
async fn log_records_are_chosen_by_body_and_severity() {
    let record = |body: &str, severity_text: &str, severity_number| LogRecord {
        body: text("", body).value,
        severity_text: severity_text.to_owned(),
        severity_number,
        ..LogRecord::default()
    };
    let records = vec![record("hello", "INFO", 9), record("bye", "ERROR", 17), record("what", "", 0)];
    let data = LogsData {
        resource_logs: vec![ResourceLogs {
            scope_logs: vec![ScopeLogs { log_records: records, ..ScopeLogs::default() }],
            ..ResourceLogs::default()
        }],
    };
    for (filter, expected) in [
        ("{match_type: strict, log_bodies: [hello]}", &["hello"][..]),
        ("{match_type: regexp, log_severity_texts: [ERR]}", &["bye"]),
        ("{match_type: strict, log_severity_number: {min: 9}}", &["hello", "bye"]),
        ("{match_type: strict, log_severity_number: {min: 17, match_undefined: true}}", &["bye", "what"]),
    ] {
        let yaml = format!("{{actions: [{{key: seen, action: insert, value: true}}], include: {filter}}}");
        let batch = processed::<Attributes>(&yaml, Signal::Logs, data.encode_to_vec(), Context::default())
            .await
            .unwrap();
        let data = LogsData::decode(batch.contiguous()).unwrap();
        let seen: Vec<_> = data.resource_logs[0].scope_logs[0]
            .log_records
            .iter()
            .filter(|record| !record.attributes.is_empty())
            .map(|record| record.body.clone())
            .collect();
        assert_eq!(seen, expected.iter().map(|body| text("", body).value).collect::<Vec<_>>(), "{filter}");
    }
}

#[tokio::test]
async fn metrics_are_chosen_by_name_and_their_data_points_changed() {
    let metric = |name: &str| Metric {
        name: name.to_owned(),
        data: Some(Data::Gauge(Gauge { data_points: vec![NumberDataPoint::default(); 2] })),
        ..Metric::default()
    };
    let data = MetricsData {
        resource_metrics: vec![ResourceMetrics {
            scope_metrics: vec![ScopeMetrics {
                metrics: vec![metric("cpu"), metric("memory")],
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    };
    let yaml = "{actions: [{key: seen, action: insert, value: true}],
                 exclude: {match_type: strict, metric_names: [memory]}}";
    let batch = processed::<Attributes>(yaml, Signal::Metrics, data.encode_to_vec(), Context::default())
        .await
        .unwrap();
    let data = MetricsData::decode(batch.contiguous()).unwrap();
    let counts: Vec<_> = data.resource_metrics[0].scope_metrics[0]
        .metrics
        .iter()
        .map(|metric| match &metric.data {
            Some(Data::Gauge(gauge)) => gauge.data_points.iter().map(|point| point.attributes.len()).sum(),
            _ => usize::MAX,
        })
        .collect();
    assert_eq!(counts, [2, 0]);
}

#[test]
fn what_cannot_work_is_a_problem_with_its_place() {
    for (yaml, key, words) in [
        ("{}", "actions", "at least one"),
        ("{actions: [{key: k}]}", "actions.0", "no \"action\""),
        ("{actions: [{action: insert, value: x}]}", "actions.0", "needs a \"key\""),
        ("{actions: [{key: k, action: insert}]}", "actions.0", "needs one of value"),
        ("{actions: [{key: k, action: upsert, value: 1, from_attribute: a}]}", "actions.0", "only one of"),
        ("{actions: [{key: k, action: update, value: 1, pattern: x}]}", "actions.0.pattern", "does not use"),
        ("{actions: [{action: delete}]}", "actions.0", "\"pattern\" or both"),
        ("{actions: [{key: k, action: hash, value: 1}]}", "actions.0.value", "does not use"),
        (
            "{actions: [{key: k, action: delete, pattern: \"(\"}]}",
            "actions.0.pattern",
            "no regular expression",
        ),
        ("{actions: [{key: k, action: extract}]}", "actions.0", "needs a \"pattern\""),
        ("{actions: [{key: k, action: extract, pattern: x}]}", "actions.0.pattern", "no named groups"),
        ("{actions: [{key: k, action: convert}]}", "actions.0", "needs a \"converted_type\""),
        (
            "{actions: [{key: k, action: convert, converted_type: map}]}",
            "actions.0.converted_type",
            "unknown",
        ),
        ("{actions: [{key: k, action: delete}], include: {services: [a]}}", "include", "match_type"),
        ("{actions: [{key: k, action: delete}], include: }", "include", "match_type"),
        (
            "{actions: [{key: k, action: delete}], exclude: {match_type: regexp, services: [\"(\"]}}",
            "exclude.services",
            "not a regular expression",
        ),
        (
            "{actions: [{key: k, action: delete}], exclude: {match_type: strict, span_kinds: [server]}}",
            "exclude.span_kinds",
            "SPAN_KIND_SERVER",
        ),
        (
            "{actions: [{key: k, action: delete}],
              include: {match_type: regexp, attributes: [{key: a, value: 1}]}}",
            "include.attributes.0.value",
            "compares text only",
        ),
        (
            "{actions: [{key: k, action: delete}], include: {match_type: strict, resources: [{value: 1}]}}",
            "include.resources.0",
            "needs a \"key\"",
        ),
    ] {
        let problems = decoded::<AttributesConfig>(yaml).problems();
        assert_eq!(problems.len(), 1, "{yaml}: {problems:?}");
        assert_eq!(problems[0].key, key, "{yaml}");
        assert!(problems[0].message.contains(words), "{yaml}: {}", problems[0].message);
    }
}

#[test]
fn an_unknown_action_is_a_type_error() {
    let mut problems = configuration::Problems::default();
    let node =
        configuration::parse("test.yaml", "{actions: [{key: k, action: drop}]}", &mut problems).unwrap();
    assert!(configuration::decode::<AttributesConfig>(&node, &mut problems).is_none());
    assert!(problems.to_string().contains("it is one of insert, update, upsert, delete"), "{problems}");
}

#[test]
fn a_filter_that_says_nothing_of_the_signal_is_refused() {
    for (signal, filter, words) in [
        (Signal::Logs, "span_names: [a]", "span_names cannot be used in a pipeline of logs"),
        (Signal::Metrics, "services: [a]", "services cannot be used in a pipeline of metrics"),
        (Signal::Traces, "metric_names: [a]", "metric_names cannot be used"),
        (Signal::Traces, "", "needs at least one of services"),
    ] {
        let yaml =
            format!("{{actions: [{{key: k, action: delete}}], include: {{match_type: strict, {filter}}}}}");
        let built = Attributes::build(decoded(&yaml), context(signal), Arc::new(Sink::default()));
        let error = built.err().unwrap().to_string();
        assert!(error.starts_with("include: ") && error.contains(words), "{error}");
    }
}
