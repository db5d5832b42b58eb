//! To OTLP and back is the identity, and OTLP reads as the mapping says.

mod back;
mod samples;

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    logs::v1::LogsData,
    metrics::v1::{MetricsData, metric::Data},
    trace::v1::{Span, TracesData},
};
use proptest::prelude::*;
use prost::Message;
use sluice_pipeline::otlp::check::check;
use sluice_protocols::{
    envoy::{
        data::v3 as envoy, service::accesslog::v3::StreamAccessLogsMessage,
        service::metrics::v3 as envoy_metrics,
    },
    skywalking::{attributes::event_name, v3},
};

use super::*;

/// What messages of a kind become. It passes the check at the door as it is.
fn translate(kind: Kind, messages: &[Vec<u8>]) -> Option<Translated> {
    translate_by(kind, Rules::Distinct, messages)
}

fn translate_by(kind: Kind, rules: Rules, messages: &[Vec<u8>]) -> Option<Translated> {
    let mut translator = Translator::new(kind, rules);
    for message in messages {
        translator.push(message).unwrap();
    }
    let (translated, _) = translator.take()?;
    let checked = check(translated.signal, translated.bytes.clone().into()).unwrap();
    assert!(!checked.canonicalised, "not in canonical form");
    assert_eq!((checked.items, checked.repaired), (translated.items, 0), "what was repaired needs no more");
    Some(translated)
}

fn traces(translated: &Translated) -> TracesData {
    TracesData::decode(translated.bytes.as_slice()).unwrap()
}

fn logs(translated: &Translated) -> LogsData {
    LogsData::decode(translated.bytes.as_slice()).unwrap()
}

fn metrics(translated: &Translated) -> MetricsData {
    MetricsData::decode(translated.bytes.as_slice()).unwrap()
}

fn encoded<T: Message>(messages: &[T]) -> Vec<Vec<u8>> {
    messages.iter().map(Message::encode_to_vec).collect()
}

fn attribute<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    let AnyValue { value } = attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?;
    value.as_ref()
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    match attribute(attributes, key) {
        Some(Value::StringValue(text)) => text.clone(),
        other => panic!("{key} is {other:?}"),
    }
}

fn int(attributes: &[KeyValue], key: &str) -> i64 {
    match attribute(attributes, key) {
        Some(Value::IntValue(number)) => *number,
        other => panic!("{key} is {other:?}"),
    }
}

fn pair(key: &str, value: &str) -> v3::KeyStringValuePair {
    v3::KeyStringValuePair { key: key.to_owned(), value: value.to_owned() }
}

fn spans_of(segments: &[v3::SegmentObject], rules: Rules) -> Vec<Span> {
    let translated = translate_by(Kind::Segment, rules, &encoded(segments)).unwrap();
    let groups = traces(&translated).resource_spans.into_iter();
    groups.flat_map(|group| group.scope_spans).flat_map(|scope| scope.spans).collect()
}

fn segment(id: &str, spans: Vec<v3::SpanObject>) -> v3::SegmentObject {
    v3::SegmentObject {
        trace_id: "092ad022e4c511f189a702fc00000001".to_owned(),
        trace_segment_id: id.to_owned(),
        service: "shop".to_owned(),
        service_instance: "shop-1".to_owned(),
        spans,
        ..Default::default()
    }
}

fn span(id: i32, parent: i32) -> v3::SpanObject {
    v3::SpanObject { span_id: id, parent_span_id: parent, ..Default::default() }
}

fn reference(trace: &str, segment: &str, span: i32) -> v3::SegmentReference {
    v3::SegmentReference {
        trace_id: trace.to_owned(),
        parent_trace_segment_id: segment.to_owned(),
        parent_span_id: span,
        ..Default::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn segments_come_back(segments in proptest::collection::vec(samples::segment(), 1..4)) {
        let translated = translate(Kind::Segment, &encoded(&segments)).unwrap();
        prop_assert_eq!(back::sorted(back::segments(traces(&translated))), back::sorted(segments));
    }

    #[test]
    fn logs_come_back(logs_sent in proptest::collection::vec(samples::log(), 1..4)) {
        let translated = translate(Kind::Log, &encoded(&logs_sent)).unwrap();
        prop_assert_eq!(back::sorted(back::logs(logs(&translated))), back::sorted(logs_sent));
    }

    #[test]
    fn meters_come_back(meters in proptest::collection::vec(samples::meter(), 1..5)) {
        let translated = translate(Kind::Meter, &encoded(&meters)).unwrap();
        prop_assert_eq!(back::sorted(back::meters(metrics(&translated))), back::sorted(meters));
    }

    #[test]
    fn metrics_of_the_jvm_come_back(collection in samples::jvm()) {
        let translated = translate(Kind::Jvm, &encoded(std::slice::from_ref(&collection)));
        let read = translated.map(|translated| back::jvm(metrics(&translated))).unwrap_or_default();
        prop_assert_eq!(read, back::with_content(collection.metrics));
    }

    #[test]
    fn any_bytes_of_any_kind_end_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for kind in Kind::ALL {
            let mut translator = Translator::new(kind, Rules::Distinct);
            let _ = translator.push(&bytes);
            if let Some((translated, _)) = translator.take() {
                let checked = check(translated.signal, translated.bytes.into()).unwrap();
                prop_assert!(!checked.canonicalised, "{kind:?}");
                prop_assert_eq!(checked.items, translated.items);
            }
        }
    }
}

#[test]
fn a_span_reads_as_the_semantic_conventions_say() {
    let mut exit = span(1, 0);
    exit.operation_name = "GET /orders".to_owned();
    exit.peer = "10.0.0.7:8080".to_owned();
    exit.span_type = v3::SpanType::Exit as i32;
    exit.span_layer = v3::SpanLayer::Http as i32;
    exit.component_id = 7002;
    exit.is_error = true;
    (exit.start_time, exit.end_time) = (1_700_000_000_001, 1_700_000_000_005);
    exit.tags = vec![
        pair("url", "http://orders/1"),
        pair("http.status_code", "503"),
        pair("http.method", "GET"),
        pair("server.address", "an agent's own"),
        pair("sw8.segment_id", "too"),
    ];
    exit.logs = vec![v3::Log {
        time: 1_700_000_000_002,
        data: vec![
            pair("event", "error"),
            pair("error.kind", "IOError"),
            pair("message", "m"),
            pair("stack", "s"),
        ],
    }];
    let spans =
        spans_of(&[segment("948476b9bfa74a4aab041159100827ab", vec![exit, span(0, -1)])], Rules::Distinct);
    let (exit, root) = (&spans[0], &spans[1]);
    assert_eq!(exit.trace_id, root.trace_id);
    assert_eq!(exit.parent_span_id, root.span_id);
    assert!(root.parent_span_id.is_empty() && root.status.is_none());
    assert_eq!((exit.kind, root.kind), (3, 2));
    assert_eq!(exit.status.as_ref().unwrap().code, 2);
    assert_eq!(exit.end_time_unix_nano - exit.start_time_unix_nano, 4_000_000);
    let attributes = &exit.attributes;
    assert_eq!(text(attributes, "url.full"), "http://orders/1");
    assert_eq!(int(attributes, "http.response.status_code"), 503);
    assert_eq!(text(attributes, "http.request.method"), "GET");
    assert_eq!(
        (text(attributes, "server.address").as_str(), int(attributes, "server.port")),
        ("10.0.0.7", 8080)
    );
    assert_eq!(text(attributes, "skywalking.tag.server.address"), "an agent's own");
    assert_eq!(text(attributes, "skywalking.tag.sw8.segment_id"), "too");
    assert_eq!(text(attributes, "skywalking.span_layer"), "Http");
    assert_eq!(int(attributes, "skywalking.component_id"), 7002);
    let event = &exit.events[0];
    assert_eq!(event.name, "exception");
    assert_eq!(text(&event.attributes, "exception.type"), "IOError");
    assert_eq!(text(&event.attributes, "exception.stacktrace"), "s");
}

#[test]
fn a_reference_is_a_parent_and_a_link() {
    const TRACE: &str = "092ad022e4c511f189a702fc00000001";
    let rules = Rules::Distinct;
    let refers = |references: Vec<v3::SegmentReference>, rules| {
        let mut root = span(0, -1);
        root.refs = references;
        spans_of(&[segment("own", vec![root])], rules).remove(0)
    };
    let parent = rules.span_id("parent", 3).to_vec();
    let one = refers(vec![reference(TRACE, "parent", 3)], rules);
    assert_eq!((one.parent_span_id, one.links[0].span_id.clone()), (parent.clone(), parent.clone()));
    let several = refers(vec![reference("another", "x", 1), reference(TRACE, "parent", 3)], rules);
    assert_eq!(several.parent_span_id, parent, "the one in its trace");
    assert_eq!(several.links[0].trace_id, rules.trace_id("another"));
    assert!(refers(vec![reference("another", "x", 1)], rules).parent_span_id.is_empty());
    assert!(refers(vec![reference(TRACE, "own", 0)], rules).parent_span_id.is_empty(), "not itself");
    let contrib = refers(vec![reference(TRACE, "a", 1), reference(TRACE, "b", 1)], Rules::Contrib);
    assert!(contrib.parent_span_id.is_empty(), "as the Collector has it");
}

#[test]
fn a_span_that_names_itself_is_a_root() {
    let spans = spans_of(&[segment("s", vec![span(5, 5), span(6, 5)])], Rules::Distinct);
    assert!(spans[0].parent_span_id.is_empty());
    assert_eq!(spans[1].parent_span_id, spans[0].span_id);
}

#[test]
fn absurd_times_are_moved_and_reversed_ones_stay() {
    let mut absurd = span(0, -1);
    (absurd.start_time, absurd.end_time) = (-5, i64::MAX);
    let mut reversed = span(1, 0);
    (reversed.start_time, reversed.end_time) = (9, 4);
    let spans = spans_of(&[segment("s", vec![absurd, reversed])], Rules::Distinct);
    assert_eq!((spans[0].start_time_unix_nano, spans[0].end_time_unix_nano), (0, 18_446_744_073_709_000_000));
    assert_eq!((spans[1].start_time_unix_nano, spans[1].end_time_unix_nano), (9_000_000, 4_000_000));
}

#[test]
fn a_large_segment_is_taken_whole() {
    let spans = (0..100_000).map(|id| span(id, id - 1)).collect();
    let translated = translate(Kind::Segment, &encoded(&[segment("s", spans)])).unwrap();
    assert_eq!(translated.items, 100_000);
}

#[test]
fn a_broken_message_leaves_nothing_and_the_next_is_taken() {
    let good = segment("s", vec![span(0, -1)]).encode_to_vec();
    let mut broken = segment("s", vec![span(0, -1), span(1, 0)]).encode_to_vec();
    broken.extend_from_slice(&[0x1a, 0x02, 0x08]);
    let mut translator = Translator::new(Kind::Segment, Rules::Distinct);
    assert!(translator.push(&broken).is_err());
    translator.push(&good).unwrap();
    assert_eq!(translator.take().unwrap().0.items, 1);
    assert!(translator.take().is_none());
}

#[test]
fn what_a_message_becomes_is_charged_while_it_grows() {
    let budget = Budget::new(4 << 20);
    let mut greedy = segment(&"x".repeat(100_000), (0..1000).map(|id| span(id, -1)).collect());
    let mut translator = Translator::new(Kind::Segment, Rules::Distinct).charged_to(&budget);
    let refused = translator.push(&greedy.encode_to_vec()).unwrap_err();
    assert!(matches!(refused, Malformed::Exhausted(_)), "100 MB of OTLP from 100 kB");
    greedy.spans.truncate(2);
    translator.push(&greedy.encode_to_vec()).unwrap();
    let (translated, charge) = translator.take().unwrap();
    assert_eq!(translated.items, 2);
    drop(charge);
    assert_eq!(budget.used(), 0);
    let list = [0x0a, 0x00].repeat(100_000);
    let mut translator = Translator::new(Kind::MeterCollection, Rules::Distinct).charged_to(&budget);
    assert!(matches!(translator.push(&list), Err(Malformed::Exhausted(_))), "a list of nothing");
}

#[test]
fn invalid_text_is_repaired_and_counted() {
    let mut message = segment("s", vec![span(0, -1)]).encode_to_vec();
    message.extend_from_slice(&[0x22, 0x02, b'a', 0xff]);
    let translated = translate(Kind::Segment, &[message]).unwrap();
    assert_eq!(translated.repaired, 1);
    let resource = traces(&translated).resource_spans.remove(0).resource.unwrap();
    assert_eq!(text(&resource.attributes, "service.name"), "a\u{fffd}");
}

#[test]
fn a_log_has_its_context_and_severity() {
    let log = v3::LogData {
        timestamp: 5,
        service: "shop".to_owned(),
        endpoint: "/buy".to_owned(),
        body: Some(v3::LogDataBody {
            r#type: "text".to_owned(),
            content: Some(v3::log_data_body::Content::Json(v3::JsonLog { json: "{}".to_owned() })),
        }),
        trace_context: Some(v3::TraceContext {
            trace_id: "t".to_owned(),
            trace_segment_id: "s".to_owned(),
            span_id: 2,
        }),
        tags: Some(v3::LogTags { data: vec![pair("level", "WARNING"), pair("logger", "l")] }),
        ..Default::default()
    };
    let second = v3::LogData { service: String::new(), ..log.clone() };
    let data = logs(&translate(Kind::Log, &encoded(&[log, second])).unwrap());
    assert_eq!(data.resource_logs.len(), 1, "the second is of the first one's service");
    let record = &data.resource_logs[0].scope_logs[0].log_records[1];
    assert_eq!(record.trace_id, Rules::Distinct.trace_id("t"));
    assert_eq!(record.span_id, Rules::Distinct.span_id("s", 2));
    assert_eq!((record.severity_number, record.severity_text.as_str()), (13, "WARNING"));
    assert_eq!((record.time_unix_nano, record.event_name.as_str()), (5_000_000, ""));
    assert!(record.observed_time_unix_nano > 0);
    assert_eq!(text(&record.attributes, "skywalking.log.format"), "json");
}

#[test]
fn a_stream_of_meters_carries_its_header_forward() {
    let meter = |service: &str, timestamp| v3::MeterData {
        service: service.to_owned(),
        timestamp,
        metric: Some(v3::meter_data::Metric::SingleValue(v3::MeterSingleValue {
            name: "m".to_owned(),
            ..Default::default()
        })),
        ..Default::default()
    };
    let translated = translate(Kind::Meter, &encoded(&[meter("a", 1), meter("", 0), meter("", 2)])).unwrap();
    let meters = back::meters(metrics(&translated));
    let seen: Vec<_> = meters.iter().map(|meter| (meter.service.as_str(), meter.timestamp)).collect();
    assert_eq!(seen, [("a", 1), ("a", 1), ("a", 2)]);
}

#[test]
fn lower_bounds_become_explicit_bounds() {
    let bucket =
        |bucket, count, is_negative_infinity| v3::MeterBucketValue { bucket, count, is_negative_infinity };
    let histogram = |values| v3::MeterData {
        metric: Some(v3::meter_data::Metric::Histogram(v3::MeterHistogram {
            name: "h".to_owned(),
            values,
            ..Default::default()
        })),
        timestamp: 1,
        ..Default::default()
    };
    let points = |values| {
        let data = metrics(&translate(Kind::Meter, &encoded(&[histogram(values)])).unwrap());
        let Some(Data::Histogram(histogram)) =
            data.resource_metrics[0].scope_metrics[0].metrics[0].data.clone()
        else {
            panic!("no histogram")
        };
        let point = &histogram.data_points[0];
        (point.explicit_bounds.clone(), point.bucket_counts.clone(), point.count)
    };
    assert_eq!(
        points(vec![bucket(0.0, 1, true), bucket(5.0, 2, false), bucket(10.0, 3, false)]),
        (vec![5.0, 10.0], vec![1, 2, 3], 6)
    );
    assert_eq!(
        points(vec![bucket(0.0, 1, false), bucket(5.0, 2, false)]),
        (vec![0.0, 5.0], vec![0, 1, 2], 3)
    );
}

#[test]
fn records_of_the_browser_read_back_by_name() {
    let error = v3::BrowserErrorLog {
        service: "ui".to_owned(),
        service_version: "v1".to_owned(),
        page_path: "/p".to_owned(),
        category: v3::ErrorCategory::Promise as i32,
        message: "m".to_owned(),
        line: 3,
        ..Default::default()
    };
    let data = logs(&translate(Kind::BrowserError, &encoded(&[error])).unwrap());
    let group = &data.resource_logs[0];
    assert_eq!(text(&group.resource.as_ref().unwrap().attributes, "service.version"), "v1");
    let record = &group.scope_logs[0].log_records[0];
    assert_eq!(record.event_name, event_name::BROWSER_ERROR);
    assert_eq!(text(&record.attributes, "exception.type"), "promise");
    assert_eq!(int(&record.attributes, "code.line.number"), 3);

    let perf = v3::BrowserPerfData { service: "ui".to_owned(), dns_time: 7, ..Default::default() };
    let data = logs(&translate(Kind::BrowserPerf, &encoded(&[perf])).unwrap());
    let record = &data.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!(int(&record.attributes, "skywalking.browser.dns_time"), 7);
    assert_eq!(record.attributes.len(), 1, "zeros are left out");
}

#[test]
fn an_attached_event_has_the_ids_of_its_span() {
    let event = |kind, trace: &str, segment: &str, span: &str| v3::SpanAttachedEvent {
        start_time: Some(v3::Instant { seconds: 1, nanos: 2 }),
        event: "HTTP Request Sampling".to_owned(),
        end_time: Some(v3::Instant { seconds: 1, nanos: 5 }),
        tags: vec![pair("k", "v")],
        summary: vec![v3::KeyIntValuePair { key: "n".to_owned(), value: 9 }],
        trace_context: Some(v3::span_attached_event::SpanReference {
            r#type: kind,
            trace_id: trace.to_owned(),
            trace_segment_id: segment.to_owned(),
            span_id: span.to_owned(),
        }),
    };
    let data = logs(
        &translate(
            Kind::AttachedEvent,
            &encoded(&[event(0, "t", "s", "2"), event(1, "463ac35c9f6413ad", "", "a2fb4a1d1a96d312")]),
        )
        .unwrap(),
    );
    let records = &data.resource_logs[0].scope_logs[0].log_records;
    assert_eq!(records[0].span_id, Rules::Distinct.span_id("s", 2));
    assert_eq!(records[1].trace_id, 0x463a_c35c_9f64_13ad_u128.to_be_bytes());
    assert_eq!(records[0].time_unix_nano, 1_000_000_002);
    assert_eq!(int(&records[0].attributes, "sluice.event.end_unix_nano"), 1_000_000_005);
    assert_eq!(int(&records[0].attributes, "skywalking.summary.n"), 9);
    assert_eq!(text(&records[1].attributes, "skywalking.trace_context.type"), "ZIPKIN");
}

#[test]
fn access_logs_carry_node_and_connection_each() {
    let message = |node: Option<&str>, connected: bool, path: &str| v3::EbpfAccessLogMessage {
        node: node.map(|name| v3::EbpfAccessLogNodeInfo { name: name.to_owned(), ..Default::default() }),
        connection: connected.then(|| v3::AccessLogConnection { role: 1, ..Default::default() }),
        protocol_log: Some(v3::AccessLogProtocolLogs {
            protocol: Some(v3::access_log_protocol_logs::Protocol::Http(v3::AccessLogHttpProtocol {
                request: Some(v3::AccessLogHttpProtocolRequest {
                    path: path.to_owned(),
                    ..Default::default()
                }),
                ..Default::default()
            })),
        }),
        ..Default::default()
    };
    let sent = [message(Some("n"), true, "/a"), message(None, false, "/b")];
    let data = logs(&translate(Kind::EbpfAccessLog, &encoded(&sent)).unwrap());
    let records = &data.resource_logs[0].scope_logs[0].log_records;
    let read: Vec<_> = records
        .iter()
        .map(|record| v3::EbpfAccessLogMessage::decode(back::raw(record).as_slice()).unwrap())
        .collect();
    assert_eq!(read, [sent[0].clone(), message(Some("n"), true, "/b")]);
    assert_eq!(text(&records[1].attributes, "url.path"), "/b");
}

#[test]
fn entries_of_envoy_keep_their_bytes() {
    let entry = envoy::HttpAccessLogEntry {
        common_properties: Some(envoy::AccessLogCommon {
            start_time: Some(envoy::Timestamp { seconds: 2, nanos: 3 }),
            upstream_cluster: "orders".to_owned(),
            ..Default::default()
        }),
        request: Some(envoy::HttpRequestProperties {
            request_method: 3,
            path: "/a".to_owned(),
            ..Default::default()
        }),
        response: Some(envoy::HttpResponseProperties {
            response_code: Some(envoy::UInt32Value { value: 404 }),
        }),
    };
    let mut raw = entry.encode_to_vec();
    // A field that this build does not know.
    raw.extend_from_slice(&[0xfa, 0x3e, 0x01, b'x']);
    let identifier =
        sluice_protocols::envoy::service::accesslog::v3::stream_access_logs_message::Identifier {
            node: Some(envoy::Node { id: "pod-1".to_owned(), metadata: vec![1, 2], ..Default::default() }),
            log_name: "als".to_owned(),
        };
    let mut first =
        StreamAccessLogsMessage { identifier: Some(identifier.clone()), log_entries: None }.encode_to_vec();
    let mut entries = Vec::new();
    sluice_pipeline::otlp::write::Writer::new(&mut entries).message(2, |entries| entries.bytes(1, &raw));
    first.extend_from_slice(&entries);
    let data = logs(&translate(Kind::EnvoyLogs, &[first, entries]).unwrap());
    assert_eq!(data.resource_logs.len(), 1);
    let group = &data.resource_logs[0];
    let resource = &group.resource.as_ref().unwrap().attributes;
    let bytes = attribute(resource, "envoy.identifier");
    assert_eq!(bytes, Some(&Value::BytesValue(identifier.encode_to_vec())));
    assert_eq!(text(resource, "envoy.node.id"), "pod-1");
    let records = &group.scope_logs[0].log_records;
    assert_eq!(records.len(), 2);
    assert_eq!(back::raw(&records[1]), raw);
    assert_eq!(records[0].time_unix_nano, 2_000_000_003);
    assert_eq!(text(&records[0].attributes, "http.request.method"), "POST");
    assert_eq!(int(&records[0].attributes, "http.response.status_code"), 404);
}

#[test]
fn families_of_envoy_become_metrics() {
    let family = |name: &str, kind: envoy_metrics::MetricType, metric| envoy_metrics::MetricFamily {
        name: name.to_owned(),
        r#type: kind as i32,
        metric: vec![metric],
        ..Default::default()
    };
    let histogram = envoy_metrics::Histogram {
        sample_count: 7,
        sample_sum: 1.5,
        bucket: vec![
            envoy_metrics::Bucket { cumulative_count: 2, upper_bound: 1.0 },
            envoy_metrics::Bucket { cumulative_count: 5, upper_bound: 2.0 },
        ],
    };
    let message = envoy_metrics::StreamMetricsMessage {
        identifier: None,
        envoy_metrics: vec![
            family(
                "c",
                envoy_metrics::MetricType::Counter,
                envoy_metrics::Metric {
                    counter: Some(envoy_metrics::Counter { value: 3.0 }),
                    timestamp_ms: 4,
                    ..Default::default()
                },
            ),
            family(
                "h",
                envoy_metrics::MetricType::Histogram,
                envoy_metrics::Metric { histogram: Some(histogram), ..Default::default() },
            ),
        ],
    };
    let data = metrics(&translate(Kind::EnvoyMetrics, &encoded(&[message])).unwrap());
    let read = &data.resource_metrics[0].scope_metrics[0].metrics;
    let Some(Data::Sum(sum)) = &read[0].data else { panic!("a counter is a sum") };
    assert!(sum.is_monotonic);
    assert_eq!(sum.data_points[0].time_unix_nano, 4_000_000);
    let Some(Data::Histogram(histogram)) = &read[1].data else { panic!("a histogram is one") };
    assert_eq!(histogram.data_points[0].bucket_counts, [2, 3, 2]);
}

#[test]
fn mesh_metrics_are_a_record_each() {
    let metric = |service: &str| v3::HttpServiceMeshMetric {
        dest_service_name: service.to_owned(),
        latency: 4,
        ..Default::default()
    };
    let message = v3::ServiceMeshMetrics {
        metrics: Some(v3::service_mesh_metrics::Metrics::HttpMetrics(v3::HttpServiceMeshMetrics {
            metrics: vec![metric("a"), metric("b")],
        })),
    };
    let data = logs(&translate(Kind::Mesh, &encoded(&[message])).unwrap());
    let read: Vec<_> = data
        .resource_logs
        .iter()
        .flat_map(|group| &group.scope_logs[0].log_records)
        .map(|record| v3::HttpServiceMeshMetric::decode(back::raw(record).as_slice()).unwrap())
        .collect();
    assert_eq!(read, [metric("a"), metric("b")]);
}

#[test]
fn events_and_instances_become_records() {
    let event = v3::Event {
        uuid: "u".to_owned(),
        source: Some(v3::Source { service: "shop".to_owned(), ..Default::default() }),
        name: "Start".to_owned(),
        r#type: 1,
        message: "crashed".to_owned(),
        parameters: [("a".to_owned(), "b".to_owned())].into(),
        start_time: 0,
        end_time: 8,
        layer: "GENERAL".to_owned(),
    };
    let data = logs(&translate(Kind::Event, &encoded(&[event])).unwrap());
    let group = &data.resource_logs[0];
    assert_eq!(text(&group.resource.as_ref().unwrap().attributes, "service.layer"), "GENERAL");
    let record = &group.scope_logs[0].log_records[0];
    assert_eq!((record.time_unix_nano, record.severity_number), (8_000_000, 17));
    assert_eq!(text(&record.attributes, "skywalking.event.name"), "Start");
    assert_eq!(int(&record.attributes, "skywalking.event.end_time"), 8);

    let instance = v3::InstanceProperties {
        service: "shop".to_owned(),
        properties: vec![pair("language", "python"), pair("skywalking.x", "y")],
        ..Default::default()
    };
    let data = logs(&translate(Kind::InstanceProperties, &encoded(&[instance])).unwrap());
    let record = &data.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!(record.event_name, event_name::INSTANCE_PROPERTIES);
    assert_eq!(text(&record.attributes, "language"), "python");
    assert_eq!(text(&record.attributes, "skywalking.tag.skywalking.x"), "y");
}
