use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource as ProtoResource,
    trace::v1::{ResourceSpans, ScopeSpans, Span as ProtoSpan, Status, TracesData, span},
};
use prost::Message;
use serde_json::{Value as Json, json};

use super::*;

fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Value::StringValue(value.to_owned()))
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn traces(resource: Vec<KeyValue>, spans: Vec<ProtoSpan>) -> Vec<u8> {
    TracesData {
        resource_spans: vec![ResourceSpans {
            resource: Some(ProtoResource { attributes: resource, ..ProtoResource::default() }),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope {
                    name: "lib".to_owned(),
                    version: "1.2".to_owned(),
                    ..InstrumentationScope::default()
                }),
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
    .encode_to_vec()
}

fn base() -> ProtoSpan {
    ProtoSpan {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        start_time_unix_nano: 1_000_000_000,
        end_time_unix_nano: 1_000_500_000,
        ..ProtoSpan::default()
    }
}

fn requests(traces: &[u8], default_service_name: &str) -> Vec<Request> {
    Requests::of(Format::Json, default_service_name, vec![traces]).collect()
}

fn exported(resource: Vec<KeyValue>, span: ProtoSpan) -> Json {
    let requests = requests(&traces(resource, vec![span]), "");
    serde_json::from_slice::<Vec<Json>>(&requests[0].body).unwrap().remove(0)
}

/// The span's tags without those of the scope that all have.
fn tags(span: ProtoSpan) -> Json {
    let mut exported = exported(vec![], span);
    let tags = exported["tags"].as_object_mut().unwrap();
    tags.retain(|key, _| !key.starts_with("otel.scope") && !key.starts_with("otel.library"));
    exported["tags"].take()
}

#[test]
fn a_span_is_exported_with_its_resource_and_scope() {
    let span = ProtoSpan {
        parent_span_id: vec![3; 8],
        name: "get".to_owned(),
        kind: 3,
        trace_state: "a=b".to_owned(),
        attributes: vec![
            pair("count", Value::IntValue(7)),
            pair("ratio", Value::DoubleValue(0.5)),
            pair("net.host.ip", Value::StringValue("10.0.0.1".to_owned())),
            pair("net.host.port", Value::IntValue(80)),
            text("peer.service", "db"),
            text("net.peer.ip", "::1"),
            text("host.name", "of the span"),
        ],
        dropped_attributes_count: 4,
        events: vec![
            span::Event { time_unix_nano: 1_000_100_999, name: "plain".to_owned(), ..span::Event::default() },
            span::Event {
                time_unix_nano: 1_000_200_000,
                name: "full".to_owned(),
                attributes: vec![pair("b", Value::BoolValue(true)), text("a", "x|y")],
                dropped_attributes_count: 2,
            },
        ],
        links: vec![span::Link {
            trace_id: vec![0xab; 16],
            span_id: vec![0xcd; 8],
            trace_state: "k=v".to_owned(),
            ..span::Link::default()
        }],
        ..base()
    };
    assert_eq!(
        exported(vec![text("service.name", "shop"), text("host.name", "h"), text("zone", "z")], span),
        json!({
            "traceId": "01010101010101010101010101010101", "id": "0202020202020202", "parentId": "0303030303030303",
            "kind": "CLIENT", "name": "get", "timestamp": 1_000_000, "duration": 500,
            "localEndpoint": {"serviceName": "shop", "ipv4": "10.0.0.1", "port": 80},
            "remoteEndpoint": {"serviceName": "db", "ipv6": "::1"},
            "annotations": [
                {"timestamp": 1_000_100, "value": "plain"},
                {"timestamp": 1_000_200, "value": "full|{\"a\":\"x|y\",\"b\":true}|2"},
            ],
            "tags": {
                "count": "7", "ratio": "0.5", "host.name": "of the span", "zone": "z",
                "otel.scope.name": "lib", "otel.scope.version": "1.2",
                "otel.library.name": "lib", "otel.library.version": "1.2",
                "otel.dropped_attributes_count": "4", "w3c.tracestate": "a=b",
                "otlp.link.0": "abababababababababababababababab|cdcdcdcdcdcdcdcd|k=v|{}|0",
            },
        })
    );
}

#[test]
fn status_is_told_in_tags() {
    let with = |code: i32, message: &str, attributes: Vec<KeyValue>| {
        tags(ProtoSpan {
            status: Some(Status { code, message: message.to_owned() }),
            attributes: [attributes, vec![text("a", "b")]].concat(),
            ..base()
        })
    };
    assert_eq!(with(0, "ignored", vec![text("error", "false")]), json!({"a": "b"}));
    assert_eq!(with(1, "", vec![]), json!({"a": "b", "otel.status_code": "Ok"}));
    assert_eq!(
        with(2, "boom", vec![]),
        json!({"a": "b", "error": "true", "otel.status_code": "Error", "otel.status_description": "boom"})
    );
    assert_eq!(
        with(2, "", vec![text("error", "timeout")]),
        json!({"a": "b", "error": "timeout", "otel.status_code": "Error"})
    );
}

#[test]
fn kinds_that_zipkin_lacks_are_tags_or_nothing() {
    let kind = |kind| exported(vec![], ProtoSpan { kind, ..base() });
    assert_eq!((&kind(1)["kind"], &kind(1)["tags"]["span.kind"]), (&Json::Null, &json!("internal")));
    assert_eq!((&kind(0)["kind"], &kind(0)["tags"]["span.kind"]), (&Json::Null, &Json::Null));
    assert_eq!(kind(2)["kind"], "SERVER");
    assert_eq!(kind(4)["kind"], "PRODUCER");
    assert_eq!(kind(5)["kind"], "CONSUMER");
}

#[test]
fn the_service_name_has_fallbacks() {
    let exported_for = |resource| exported(resource, base());
    let named = exported_for(vec![text("process.executable.name", "p"), text("faas.name", "f")]);
    assert_eq!(named["localEndpoint"]["serviceName"], "f");
    assert_eq!(named["tags"]["otlp.service.name.source"], "faas.name");
    assert_eq!(named["tags"]["process.executable.name"], "p");
    let unnamed = exported_for(vec![]);
    assert_eq!(unnamed["localEndpoint"]["serviceName"], "OTLPResourceNoServiceName");
    let defaulted = requests(&traces(vec![], vec![base()]), "mine");
    let spans: Vec<Json> = serde_json::from_slice(&defaulted[0].body).unwrap();
    assert_eq!(spans[0]["localEndpoint"]["serviceName"], "mine");
}

#[test]
fn the_remote_endpoint_of_a_request_is_ranked() {
    let remote = |kind, attributes: &[(&str, &str)]| {
        let attributes = attributes.iter().map(|(key, value)| text(key, value)).collect();
        exported(vec![], ProtoSpan { kind, attributes, ..base() })["remoteEndpoint"].take()
    };
    let address = [("db.name", "orders"), ("server.address", "db.local"), ("server.port", "5432")];
    assert_eq!(remote(3, &address), json!({"serviceName": "db.local", "port": 5432}));
    assert_eq!(remote(2, &address), Json::Null, "server.address of a server span is the local side");
    assert_eq!(
        remote(4, &[("network.peer.address", "10.1.2.3"), ("network.peer.port", "x")]),
        json!({"ipv4": "10.1.2.3"})
    );
    assert_eq!(remote(3, &[("peer.service", "p"), ("server.address", "s")]), json!({"serviceName": "p"}));
    assert_eq!(remote(3, &[("net.peer.ip", "not an address")]), Json::Null);
}

#[test]
fn flags_and_absent_timestamps_are_restored() {
    let span = ProtoSpan {
        start_time_unix_nano: 0,
        end_time_unix_nano: 5_000,
        attributes: vec![
            pair("zipkin.shared", Value::BoolValue(true)),
            pair("zipkin.debug", Value::BoolValue(true)),
            pair("otel.zipkin.absentField.startTime", Value::BoolValue(true)),
        ],
        ..base()
    };
    let exported = exported(vec![], span);
    assert_eq!((&exported["shared"], &exported["debug"]), (&json!(true), &json!(true)));
    assert_eq!((&exported["timestamp"], &exported["duration"]), (&Json::Null, &json!(5)));
    assert!(
        exported["tags"]
            .as_object()
            .unwrap()
            .keys()
            .all(|key| key.starts_with("otel.scope") || key.starts_with("otel.library"))
    );
}

#[test]
fn a_span_that_took_time_has_a_duration() {
    let duration = |nanoseconds: u64| {
        let end_time_unix_nano = 1_000_000_000 + nanoseconds;
        exported(vec![], ProtoSpan { end_time_unix_nano, ..base() })["duration"].take()
    };
    assert_eq!((duration(0), duration(1), duration(1_999)), (Json::Null, json!(1), json!(1)));
}

#[test]
fn spans_without_ids_are_dropped_and_counted() {
    let nameless = |trace_id: &[u8], span_id: &[u8]| ProtoSpan {
        trace_id: trace_id.to_vec(),
        span_id: span_id.to_vec(),
        ..base()
    };
    let bad = [nameless(&[0; 16], &[1; 8]), nameless(&[], &[1; 8]), nameless(&[1; 16], &[0; 8])];
    let found = requests(&traces(vec![], [&bad[..], &[base()]].concat()), "");
    assert_eq!((found.len(), found[0].spans, found[0].dropped), (1, 1, 3));
    let found = requests(&traces(vec![], bad.to_vec()), "");
    assert_eq!((found[0].body.len(), found[0].dropped), (0, 3));
    assert!(requests(b"", "").is_empty());
}

#[test]
fn a_large_batch_makes_several_requests() {
    let traces = traces(vec![text("big", &"x".repeat(10_000))], vec![base(); 100]);
    for format in [Format::Json, Format::Protobuf] {
        let mut requests = Requests::of(format, "", vec![&traces, &traces]);
        requests.request_size = 50_000;
        let requests: Vec<_> = requests.collect();
        assert_eq!(requests.iter().map(|request| request.spans).sum::<usize>(), 200);
        assert!(requests.len() > 1 && requests.iter().all(|request| request.body.len() < 70_000));
    }
}

fn interval(name: &str, start: u64, end: i64, attributes: Vec<KeyValue>) -> span::Event {
    let end = pair("sluice.event.end_unix_nano", Value::IntValue(end));
    let attributes = [vec![end], attributes].concat();
    span::Event { time_unix_nano: start, name: name.to_owned(), attributes, ..span::Event::default() }
}

#[test]
fn events_with_an_end_are_two_annotations_and_a_tag() {
    let span = ProtoSpan {
        events: vec![
            interval(
                "HTTP Request Sampling",
                1_000_100_999,
                1_000_200_000,
                vec![
                    text("sluice.event.direction", "outbound"),
                    pair("sluice.event.size", Value::IntValue(314)),
                    text("sluice.event.content", "GET / HTTP/1.1\r\nHost: \"a\"\u{9f}\r\n\r\n"),
                ],
            ),
            interval("Syscall Write", 1_000_100_999, 1_000_101_999, vec![]),
            span::Event { time_unix_nano: 1_000_150_000, name: "plain".to_owned(), ..span::Event::default() },
            interval("Syscall Write", 1_000_102_000, 1_000_103_000, vec![text("a", "b")]),
        ],
        ..base()
    };
    let mut exported = exported(vec![text("service.name", "shop")], span);
    let tags = exported["tags"].as_object_mut().unwrap();
    tags.retain(|key, _| !key.starts_with("otel.scope") && !key.starts_with("otel.library"));
    assert_eq!(
        exported,
        json!({
            "traceId": "01010101010101010101010101010101", "id": "0202020202020202",
            "timestamp": 1_000_000, "duration": 500,
            "localEndpoint": {"serviceName": "shop"},
            "annotations": [
                {"timestamp": 1_000_100, "value": "Start HTTP Request Sampling-1"},
                {"timestamp": 1_000_200, "value": "Finished HTTP Request Sampling-1"},
                {"timestamp": 1_000_100, "value": "Start Syscall Write-1"},
                {"timestamp": 1_000_101, "value": "Finished Syscall Write-1"},
                {"timestamp": 1_000_150, "value": "plain"},
                {"timestamp": 1_000_102, "value": "Start Syscall Write-2"},
                {"timestamp": 1_000_103, "value": "Finished Syscall Write-2"},
            ],
            "tags": {
                "http.request.sampling-1.tags": concat!(
                    r#"{"sluice.event.content":"GET / HTTP/1.1\r\nHost: \"a\"\u009f\r\n\r\n","#,
                    r#""sluice.event.direction":"outbound","sluice.event.size":314}"#
                ),
                "syscall.write-1.tags": "{}",
                "syscall.write-2.tags": r#"{"a":"b"}"#,
            },
        })
    );
}

#[test]
fn numbers_that_a_span_from_zipkin_has_are_left_alone() {
    let plain = |name: &str| span::Event { name: name.to_owned(), ..span::Event::default() };
    let span = ProtoSpan {
        attributes: vec![text("syscall.read-2.tags", "{}"), text("syscall.read-1.tags", "{}")],
        events: vec![
            plain("Start Syscall Read-1"),
            plain("Finished Syscall Read-1"),
            plain("Start Syscall Read-2"),
            plain("Finished Syscall Read-2"),
            interval("Syscall Read", 0, 0, vec![text("new", "yes")]),
        ],
        ..base()
    };
    let exported = exported(vec![], span);
    let annotations = exported["annotations"].as_array().unwrap();
    let values: Vec<_> = annotations.iter().map(|annotation| annotation["value"].as_str().unwrap()).collect();
    assert_eq!(
        values,
        [
            "Start Syscall Read-1",
            "Finished Syscall Read-1",
            "Start Syscall Read-2",
            "Finished Syscall Read-2",
            "Start Syscall Read-3",
            "Finished Syscall Read-3"
        ]
    );
    assert_eq!(exported["tags"]["syscall.read-3.tags"], r#"{"new":"yes"}"#);
    assert_eq!(
        (&exported["tags"]["syscall.read-1.tags"], &exported["tags"]["syscall.read-2.tags"]),
        (&json!("{}"), &json!("{}"))
    );
}

#[test]
fn a_partial_span_has_nothing_that_keeps_zipkin_from_merging_it() {
    let span = ProtoSpan {
        start_time_unix_nano: 0,
        end_time_unix_nano: 0,
        attributes: vec![
            pair("sluice.span.partial", Value::IntValue(3)),
            pair("zipkin.shared", Value::BoolValue(true)),
        ],
        events: vec![interval("Syscall Read", 7_000, 8_000, vec![])],
        ..base()
    };
    let traces = |resource: Option<ProtoResource>| {
        let scope_spans = vec![ScopeSpans { spans: vec![span.clone()], ..ScopeSpans::default() }];
        let group = ResourceSpans { resource, scope_spans, ..ResourceSpans::default() };
        TracesData { resource_spans: vec![group] }.encode_to_vec()
    };
    let exported = |traces: &[u8]| -> Json {
        let requests: Vec<_> = Requests::of(Format::Json, "mine", vec![traces]).collect();
        serde_json::from_slice::<Vec<Json>>(&requests[0].body).unwrap().remove(0)
    };
    let mut expected = json!({
        "traceId": "01010101010101010101010101010101", "id": "0202020202020202",
        "annotations": [
            {"timestamp": 7, "value": "Start Syscall Read-4"},
            {"timestamp": 8, "value": "Finished Syscall Read-4"},
        ],
        "tags": {"syscall.read-4.tags": "{}"},
        "shared": true,
    });
    assert_eq!(exported(&traces(None)), expected);
    let named = ProtoResource { attributes: vec![text("service.name", "shop")], ..ProtoResource::default() };
    expected["localEndpoint"] = json!({"serviceName": "shop"});
    assert_eq!(exported(&traces(Some(named))), expected);
}
