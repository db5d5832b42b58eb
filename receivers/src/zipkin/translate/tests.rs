use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{ResourceSpans, Span, TracesData},
};
use proptest::prelude::*;
use prost::Message;

use super::*;

fn traces(json: &str) -> Vec<ResourceSpans> {
    decode(&translate(Format::Json, json.as_bytes(), false).unwrap())
}

fn decode(translated: &Translated) -> Vec<ResourceSpans> {
    let groups = TracesData::decode(translated.traces.as_slice()).unwrap().resource_spans;
    let spans = groups.iter().flat_map(|group| &group.scope_spans).map(|scope| scope.spans.len());
    assert_eq!(spans.sum::<usize>(), translated.spans);
    groups
}

/// The only span of a request that holds these members beside its ids.
fn span(members: &str) -> Span {
    let mut groups = traces(&format!(r#"[{{"traceId":"0a","id":"0b",{members}}}]"#));
    groups.remove(0).scope_spans.remove(0).spans.remove(0)
}

/// The only span of a request with these tags.
fn tagged(tags: &str) -> Span {
    span(&format!(r#""timestamp":1,"tags":{{{tags}}}"#))
}

fn shown(attributes: &[KeyValue]) -> Vec<String> {
    attributes.iter().map(|pair| format!("{}={}", pair.key, show(pair.value.as_ref()))).collect()
}

fn show(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => format!("'{text}'"),
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => format!("{value:?}"),
        Some(Value::ArrayValue(array)) => {
            let values: Vec<_> = array.values.iter().map(|value| show(Some(value))).collect();
            format!("[{}]", values.join(","))
        }
        Some(Value::KvlistValue(list)) => format!("{{{}}}", shown(&list.values).join(",")),
        Some(other) => format!("{other:?}"),
        None => "empty".to_owned(),
    }
}

#[test]
fn fields_and_endpoints_are_carried() {
    let span = span(
        r#""parentId":"0c","kind":"CLIENT","name":"get","timestamp":1472470996199000,"duration":207000,
           "localEndpoint":{"serviceName":"frontend","ipv4":"10.0.0.1","ipv6":"::1","port":80},
           "remoteEndpoint":{"serviceName":"backend","ipv6":"2001:db8::1","port":9000},
           "annotations":[{"timestamp":1472470996238000,"value":"foo"}],
           "shared":true,"debug":true"#,
    );
    assert_eq!((span.trace_id[15], span.span_id[7], span.parent_span_id[7]), (0x0a, 0x0b, 0x0c));
    assert_eq!((span.kind, span.name.as_str(), span.status), (3, "get", None));
    assert_eq!(span.start_time_unix_nano, 1_472_470_996_199_000_000);
    assert_eq!(span.end_time_unix_nano - span.start_time_unix_nano, 207_000_000);
    assert_eq!(
        (span.events[0].name.as_str(), span.events[0].time_unix_nano),
        ("foo", 1_472_470_996_238_000_000)
    );
    assert_eq!(
        shown(&span.attributes),
        [
            "net.host.ip='10.0.0.1'",
            "zipkin.local_endpoint.ipv6='::1'",
            "net.host.port=80",
            "peer.service='backend'",
            "net.peer.ip='2001:db8::1'",
            "net.peer.port=9000",
            "zipkin.shared=true",
            "zipkin.debug=true",
        ]
    );
}

#[test]
fn a_span_without_timestamp_says_so() {
    let span = span(r#""duration":5"#);
    assert_eq!((span.start_time_unix_nano, span.end_time_unix_nano), (0, 5_000));
    assert_eq!(shown(&span.attributes), ["otel.zipkin.absentField.startTime=true"]);
}

#[test]
fn a_span_that_is_its_own_parent_is_a_root() {
    assert!(span(r#""parentId":"0b""#).parent_span_id.is_empty());
}

#[test]
fn spans_are_grouped_by_resource_and_scope() {
    let one = |id: u8, service: &str, tags: &str| {
        format!(
            r#"{{"traceId":"1","id":"{id}","localEndpoint":{{"serviceName":"{service}"}},"tags":{{{tags}}}}}"#
        )
    };
    let groups = traces(&format!(
        "[{},{},{},{},{}]",
        one(1, "a", r#""host.name":"h1","otel.library.name":"l""#),
        one(2, "b", ""),
        one(3, "a", r#""host.name":"h2","otel.library.name":"l""#),
        one(4, "a", r#""host.name":"h1","otel.scope.name":"l","otel.scope.version":"2""#),
        one(5, "a", r#""host.name":"h1","otel.scope.name":"l","otel.library.name":"older""#),
    ));
    let shown: Vec<_> = groups
        .iter()
        .flat_map(|group| {
            let resource = shown(&group.resource.as_ref().unwrap().attributes).join(" ");
            group.scope_spans.iter().map(move |scope| {
                let ids: Vec<_> = scope.spans.iter().map(|span| span.span_id[7]).collect();
                let name = scope.scope.as_ref().map(|scope| format!("{}/{}", scope.name, scope.version));
                (resource.clone(), name, ids)
            })
        })
        .collect();
    let group = |resource: &str, scope: Option<&str>, ids: &[u8]| {
        (resource.to_owned(), scope.map(str::to_owned), ids.to_vec())
    };
    assert_eq!(
        shown,
        [
            group("host.name='h1' service.name='a'", Some("l/"), &[1, 5]),
            group("host.name='h1' service.name='a'", Some("l/2"), &[4]),
            group("service.name='b'", None, &[2]),
            group("host.name='h2' service.name='a'", Some("l/"), &[3]),
        ]
    );
}

#[test]
fn the_service_name_goes_where_it_came_from() {
    let resource = |members: &str| {
        let groups = traces(&format!(r#"[{{"traceId":"1","id":"1",{members}}}]"#));
        (shown(&groups[0].resource.as_ref().unwrap().attributes), groups[0].scope_spans[0].spans[0].clone())
    };
    let (found, _) =
        resource(r#""localEndpoint":{"serviceName":"f"},"tags":{"otlp.service.name.source":"faas.name"}"#);
    assert_eq!(found, ["faas.name='f'"]);
    assert!(resource(r#""localEndpoint":{"serviceName":"OTLPResourceNoServiceName"}"#).0.is_empty());
    assert_eq!(resource(r#""tags":{"service.name":"s"}"#).0, ["service.name='s'"]);
    let (found, span) =
        resource(r#""timestamp":1,"localEndpoint":{"serviceName":"a"},"tags":{"service.name":"b"}"#);
    assert_eq!(
        (found, shown(&span.attributes)),
        (vec!["service.name='a'".into()], vec!["service.name='b'".into()])
    );
}

#[test]
fn status_is_read_from_tags() {
    let status = |tags: &str| {
        let span = tagged(tags);
        let status = span.status.unwrap_or_default();
        (status.code, status.message, shown(&span.attributes))
    };
    assert_eq!(status(r#""otel.status_code":"OK""#), (1, String::new(), vec![]));
    assert_eq!(status(r#""otel.status_code":"STATUS_CODE_UNSET""#), (0, String::new(), vec![]));
    assert_eq!(
        status(r#""otel.status_description":"no","otel.status_code":"Error","error":"true""#),
        (2, "no".into(), vec![])
    );
    assert_eq!(status(r#""error":"timeout""#), (2, String::new(), vec!["error='timeout'".into()]));
    assert_eq!(status(r#""error":"false""#), (2, String::new(), vec!["error='false'".into()]));
    assert_eq!(
        status(r#""otel.status_code":"bad","otel.status_description":"no""#),
        (0, String::new(), vec!["otel.status_code='bad'".into(), "otel.status_description='no'".into()])
    );
}

#[test]
fn the_kind_may_be_a_tag() {
    let kind = |members: &str| {
        let span = span(&format!(r#""timestamp":1,{members}"#));
        (span.kind, shown(&span.attributes))
    };
    assert_eq!(kind(r#""tags":{"span.kind":"internal"}"#), (1, vec![]));
    assert_eq!(kind(r#""tags":{"span.kind":"SERVER"}"#), (2, vec![]));
    assert_eq!(kind(r#""tags":{"span.kind":"x"}"#), (0, vec!["span.kind='x'".into()]));
    assert_eq!(
        kind(r#""kind":"PRODUCER","tags":{"span.kind":"internal"}"#),
        (4, vec!["span.kind='internal'".into()])
    );
}

#[test]
fn packed_fields_are_unpacked() {
    let span = span(
        r#""timestamp":1,"tags":{
            "otlp.link.1":"0000000000000000000000000000000a|000000000000000b||{}|0",
            "otlp.link.0":"0000000000000000000000000000000c|000000000000000d|k=v|{\"a\":[1,-2.5,true,null,{\"b\":\"c\"}]}|7",
            "otlp.link.x":"y","w3c.tracestate":"a=b","otel.dropped_attributes_count":"1",
            "otel.dropped_events_count":"2","otel.dropped_links_count":"03"},
           "annotations":[{"timestamp":2,"value":"e|{\"k\":1.0}|4"},{"timestamp":3,"value":"a|b|0"}]"#,
    );
    assert_eq!((span.trace_state.as_str(), span.dropped_attributes_count), ("a=b", 1));
    assert_eq!((span.dropped_events_count, span.dropped_links_count), (2, 0));
    assert_eq!(shown(&span.attributes), ["otlp.link.x='y'", "otel.dropped_links_count='03'"]);
    let [first, second] = span.links.as_slice() else { panic!("two links") };
    assert_eq!(
        (first.trace_id[15], first.trace_state.as_str(), first.dropped_attributes_count),
        (0x0c, "k=v", 7)
    );
    assert_eq!(shown(&first.attributes), ["a=[1,-2.5,true,empty,{b='c'}]"]);
    assert_eq!((second.span_id[7], second.attributes.len()), (0x0b, 0));
    assert_eq!((span.events[0].name.as_str(), span.events[0].dropped_attributes_count), ("e", 4));
    assert_eq!(shown(&span.events[0].attributes), ["k=1.0"]);
    assert_eq!(span.events[1].name, "a|b|0");
}

#[test]
fn tags_are_typed_on_request() {
    let body = br#"[{"traceId":"1","id":"1","timestamp":1,"tags":{"a":"1","b":"-1.5","c":"true","d":"1x"}}]"#;
    let typed = decode(&translate(Format::Json, body, true).unwrap());
    assert_eq!(shown(&typed[0].scope_spans[0].spans[0].attributes), ["a=1", "b=-1.5", "c=true", "d='1x'"]);
    let plain = decode(&translate(Format::Json, body, false).unwrap());
    assert_eq!(
        shown(&plain[0].scope_spans[0].spans[0].attributes),
        ["a='1'", "b='-1.5'", "c='true'", "d='1x'"]
    );
}

#[test]
fn version_1_has_values_of_other_types() {
    let body = br#"[{"traceId":"1","id":"1","timestamp":1,"duration":1,"binaryAnnotations":[{"key":"b","value":true},
        {"key":"d","value":-0.5},{"key":"error","value":true},{"key":"i","value":7},{"key":"s","value":"7"}]}]"#;
    let span = decode(&translate(Format::V1Json, body, false).unwrap())
        .remove(0)
        .scope_spans
        .remove(0)
        .spans
        .remove(0);
    assert_eq!(shown(&span.attributes), ["s='7'", "b=true", "d=-0.5", "i=7"]);
    assert_eq!(span.status.unwrap().code, 2, "an error that is true is the status");
    let typed = decode(&translate(Format::V1Json, body, true).unwrap())
        .remove(0)
        .scope_spans
        .remove(0)
        .spans
        .remove(0);
    assert_eq!(shown(&typed.attributes), ["s=7", "b=true", "d=-0.5", "i=7"]);
}

#[test]
fn a_span_of_version_1_becomes_one_for_each_service() {
    let body = br#"[{"traceId":"1","id":"1","annotations":[
        {"timestamp":1,"value":"cs","endpoint":{"serviceName":"web"}},
        {"timestamp":2,"value":"sr","endpoint":{"serviceName":"db"}},
        {"timestamp":4,"value":"ss","endpoint":{"serviceName":"db"}},
        {"timestamp":5,"value":"cr","endpoint":{"serviceName":"web"}}]}]"#;
    let groups = decode(&translate(Format::V1Json, body, false).unwrap());
    let spans: Vec<_> = groups
        .iter()
        .map(|group| {
            let span = &group.scope_spans[0].spans[0];
            let resource = shown(&group.resource.as_ref().unwrap().attributes).join(" ");
            (resource, span.kind, span.start_time_unix_nano, span.end_time_unix_nano, shown(&span.attributes))
        })
        .collect();
    let service = |name: &str, kind, start, end, shared: &[&str]| {
        let shared = shared.iter().map(|text| (*text).to_owned()).collect();
        (format!("service.name='{name}'"), kind, start, end, shared)
    };
    assert_eq!(
        spans,
        [service("web", 3, 1_000, 5_000, &[]), service("db", 2, 2_000, 4_000, &["zipkin.shared=true"])]
    );
}

#[test]
fn an_empty_list_is_no_traces() {
    assert!(translate(Format::Json, b"[]", false).unwrap().traces.is_empty());
    assert_eq!(translate(Format::Protobuf, b"", false).unwrap().spans, 0);
    assert_eq!(translate(Format::V1Thrift, &[12, 0, 0, 0, 0], false).unwrap().spans, 0);
}

#[test]
fn what_small_spans_become_is_charged() {
    use sluice_pipeline::budget::Budget;

    let same = r#"{"id":"1","traceId":"1"},"#.repeat(20_000);
    let distinct: String = (0..20_000)
        .map(|service| {
            format!(r#"{{"id":"1","traceId":"1","localEndpoint":{{"serviceName":"{service}"}}}},"#)
        })
        .collect();
    // A long name goes into the span of every service that wrote into it.
    let hosts: Vec<_> = (0..16)
        .map(|service| format!(r#"{{"timestamp":1,"value":"","endpoint":{{"serviceName":"{service}"}}}}"#))
        .collect();
    let (name, hosts) = ("n".repeat(30_000), hosts.join(","));
    let shared = format!(r#"{{"id":"1","traceId":"1","name":"{name}","annotations":[{hosts}]}},"#).repeat(10);
    let lists = [
        (Format::Json, &same),
        (Format::Json, &distinct),
        (Format::V1Json, &same),
        (Format::V1Json, &shared),
    ];
    for (format, spans) in lists {
        let body = format!("[{}]", spans.trim_end_matches(','));
        let budget = Budget::new(1 << 30);
        let mut charge = budget.charge(0).unwrap();
        let charged = translate_charged(format, body.as_bytes(), false, &mut charge).unwrap();
        assert_eq!(charged, translate(format, body.as_bytes(), false).unwrap());
        assert!(charge.bytes() >= 2 * charged.traces.len() as u64);

        let small = Budget::new(1 << 20);
        let mut charge = small.charge(0).unwrap();
        let refused = translate_charged(format, body.as_bytes(), false, &mut charge).unwrap_err();
        assert!(matches!(refused, Untranslatable::Exhausted(_)));
        assert!(charge.bytes() <= 1 << 20);
    }
}

proptest! {
    /// Names and values that mean something to the translation, mixed up.
    #[test]
    fn any_tags_make_valid_otlp(
        tags in proptest::collection::vec(
            (
                prop_oneof![
                    "(otel|otlp|host|error|span|zipkin|net)[.a-z]{0,20}",
                    Just("otlp.link.0".to_owned()), Just("otel.status_code".to_owned()),
                    Just("span.kind".to_owned()), Just("error".to_owned()), Just("service.name".to_owned()),
                ],
                "[0a|{}\":,.]{0,12}|true|ok|internal|[0-9a-f]{32}\\|[0-9a-f]{16}\\|\\|\\{\\}\\|0",
            ),
            0..8,
        ),
        annotation in "[a|{}\":0,]{0,12}",
        typed in any::<bool>(),
    ) {
        let tags: serde_json::Map<_, _> = tags.into_iter().map(|(key, value)| (key, value.into())).collect();
        let body = serde_json::json!([{
            "traceId": "1", "id": "1", "tags": tags, "annotations": [{"timestamp": 1, "value": annotation}],
        }]);
        decode(&translate(Format::Json, body.to_string().as_bytes(), typed).unwrap());
    }

    #[test]
    fn any_bytes_end_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for format in [Format::Json, Format::Protobuf, Format::V1Json, Format::V1Thrift] {
            if let Ok(translated) = translate(format, &bytes, true) {
                decode(&translated);
            }
        }
    }
}
