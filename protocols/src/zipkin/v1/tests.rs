use std::{borrow::Cow, fmt::Write as _, net::Ipv4Addr};

use proptest::prelude::*;

use super::{
    span::{BinaryAnnotation, SourceAnnotation, SourceSpan, Value},
    split::MAX_SERVICES,
    *,
};
use crate::{
    thrift::ThriftError,
    zipkin::{Endpoint, MAX_TIME, Malformed, Span, SpanFault},
};

/// The spans of a list in the form in which the tests compare them: as v2 JSON, with what is no text behind it.
fn shown(read: impl FnOnce(&mut dyn FnMut(&Span<'_>, &[Typed<'_>]))) -> Vec<String> {
    let mut spans = Vec::new();
    read(&mut |span, typed| {
        let mut json = Vec::new();
        let mut list = crate::zipkin::SpanListJson::begin(&mut json);
        list.push(span);
        list.end();
        let mut text = String::from_utf8(json).unwrap();
        for (key, value) in typed {
            write!(text, " {key}={value:?}").unwrap();
        }
        spans.push(text);
    });
    spans
}

fn json(body: &str) -> Vec<String> {
    shown(|each| {
        read_json(body.as_bytes(), each).unwrap();
    })
}

fn thrift(body: &[u8]) -> Vec<String> {
    shown(|each| {
        read_thrift(body, each).unwrap();
    })
}

/// The spans that one with these members beside its ids becomes, without what all have in common.
fn split(members: &str) -> Vec<String> {
    let spans = json(&format!(r#"[{{"traceId":"a","id":"b",{members}}}]"#));
    let common = r#"[{"traceId":"0000000000000000000000000000000a","id":"000000000000000b""#;
    spans
        .iter()
        .map(|span| {
            let rest = span.strip_prefix(common).unwrap_or_else(|| panic!("{span}"));
            let (members, typed) = rest.rsplit_once("}]").unwrap();
            format!("{}{typed}", members.trim_start_matches(','))
        })
        .collect()
}

fn annotation(timestamp: u64, value: &str, service: &str) -> String {
    format!(r#"{{"timestamp":{timestamp},"value":"{value}","endpoint":{{"serviceName":"{service}"}}}}"#)
}

fn annotations(list: &[(u64, &str, &str)]) -> String {
    let list: Vec<_> =
        list.iter().map(|(timestamp, value, service)| annotation(*timestamp, value, service)).collect();
    format!(r#""annotations":[{}]"#, list.join(","))
}

fn address(key: &str, service: &str) -> String {
    format!(r#"{{"key":"{key}","value":true,"endpoint":{{"serviceName":"{service}"}}}}"#)
}

fn fault(body: &str) -> SpanFault {
    read_json(body.as_bytes(), |_, _| {}).unwrap_err().fault
}

#[test]
fn a_client_span_takes_its_times_from_its_annotations() {
    let members =
        annotations(&[(10, "cs", "web"), (12, "ws", "web"), (15, "hello", "web"), (30, "cr", "web")]);
    assert_eq!(
        split(&format!(r#"{members},"name":"get","binaryAnnotations":[{}]"#, address("sa", "db"))),
        [
            r#""kind":"CLIENT","name":"get","timestamp":10,"duration":20,"localEndpoint":{"serviceName":"web"},"remoteEndpoint":{"serviceName":"db"},"annotations":[{"timestamp":15,"value":"hello"},{"timestamp":12,"value":"ws"}]"#
        ]
    );
    let members = annotations(&[(10, "cs", "web"), (30, "cr", "web")]);
    assert_eq!(
        split(&format!(r#"{members},"timestamp":9,"duration":22"#)),
        [r#""kind":"CLIENT","timestamp":9,"duration":22,"localEndpoint":{"serviceName":"web"}"#],
        "the span's own times come first"
    );
}

#[test]
fn a_span_of_both_ends_is_split() {
    let members = annotations(&[
        (10, "cs", "web"),
        (14, "sr", "db"),
        (16, "rows", "db"),
        (18, "ss", "db"),
        (30, "cr", "web"),
    ]);
    let tags = r#""binaryAnnotations":[{"key":"sql","value":"select","endpoint":{"serviceName":"DB"}},
        {"key":"path","value":"/","endpoint":{"serviceName":"web"}}]"#;
    assert_eq!(
        split(&format!(r#"{members},"timestamp":9,"duration":22,{tags}"#)),
        [
            r#""kind":"CLIENT","timestamp":9,"duration":22,"localEndpoint":{"serviceName":"web"},"tags":{"path":"/"}"#,
            r#""kind":"SERVER","timestamp":14,"duration":4,"localEndpoint":{"serviceName":"db"},"annotations":[{"timestamp":16,"value":"rows"}],"tags":{"sql":"select"},"shared":true"#,
        ]
    );
}

#[test]
fn a_service_that_asks_itself_has_both_spans() {
    let members = annotations(&[(10, "cs", "web"), (14, "sr", "web"), (18, "ss", "web"), (30, "cr", "web")]);
    assert_eq!(
        split(&members),
        [
            r#""kind":"CLIENT","timestamp":10,"duration":20,"localEndpoint":{"serviceName":"web"}"#,
            r#""kind":"SERVER","timestamp":14,"duration":4,"localEndpoint":{"serviceName":"web"},"shared":true"#,
        ]
    );
}

#[test]
fn a_server_without_times_of_its_own_shares_the_span() {
    let members = annotations(&[(14, "sr", "db"), (18, "ss", "db")]);
    let server = r#""kind":"SERVER","timestamp":14,"duration":4,"localEndpoint":{"serviceName":"db"}"#;
    assert_eq!(split(&members), [format!(r#"{server},"shared":true"#)]);
    assert_eq!(split(&format!(r#"{members},"timestamp":14,"duration":4"#)), [server]);
}

#[test]
fn an_incomplete_request_keeps_its_end_as_an_annotation() {
    assert_eq!(
        split(&annotations(&[(30, "cr", "web")])),
        [
            r#""kind":"CLIENT","localEndpoint":{"serviceName":"web"},"annotations":[{"timestamp":30,"value":"cr"}]"#
        ]
    );
    assert_eq!(
        split(&format!(r#"{},"timestamp":10,"duration":20"#, annotations(&[(30, "cr", "web")]))),
        [r#""kind":"CLIENT","timestamp":10,"duration":20,"localEndpoint":{"serviceName":"web"}"#],
        "timestamp and duration say when it began"
    );
    assert_eq!(
        split(&annotations(&[(10, "cs", "web")])),
        [r#""kind":"CLIENT","timestamp":10,"localEndpoint":{"serviceName":"web"}"#]
    );
}

#[test]
fn messages_have_producers_and_consumers() {
    let broker = format!(r#""binaryAnnotations":[{}]"#, address("ma", "kafka"));
    assert_eq!(
        split(&format!("{},{broker}", annotations(&[(10, "ms", "web"), (13, "ws", "web")]))),
        [
            r#""kind":"PRODUCER","timestamp":10,"duration":3,"localEndpoint":{"serviceName":"web"},"remoteEndpoint":{"serviceName":"kafka"}"#
        ]
    );
    let members =
        annotations(&[(10, "ms", "web"), (13, "ws", "web"), (20, "wr", "mail"), (26, "mr", "mail")]);
    assert_eq!(
        split(&format!("{members},{broker}")),
        [
            r#""kind":"PRODUCER","timestamp":10,"duration":3,"localEndpoint":{"serviceName":"web"},"remoteEndpoint":{"serviceName":"kafka"}"#,
            r#""kind":"CONSUMER","timestamp":20,"duration":6,"localEndpoint":{"serviceName":"mail"},"remoteEndpoint":{"serviceName":"kafka"},"shared":true"#,
        ]
    );
}

#[test]
fn addresses_alone_say_what_a_span_is() {
    let addresses = |list: &[String]| split(&format!(r#""binaryAnnotations":[{}]"#, list.join(",")));
    assert_eq!(
        addresses(&[address("ca", "web"), address("sa", "db")]),
        [r#""localEndpoint":{"serviceName":"web"},"remoteEndpoint":{"serviceName":"db"}"#]
    );
    assert_eq!(addresses(&[address("sa", "db")]), [r#""remoteEndpoint":{"serviceName":"db"}"#]);
    assert_eq!(
        addresses(&[address("ca", "web")]),
        [r#""kind":"SERVER","remoteEndpoint":{"serviceName":"web"}"#]
    );
    assert_eq!(
        addresses(&[
            address("sa", "db").replace("true", "false"),
            address("sa", "db").replace("true", "\"1\"")
        ]),
        [r#""localEndpoint":{"serviceName":"db"},"remoteEndpoint":{"serviceName":"db"} sa=Boolean(false)"#]
    );
}

#[test]
fn a_server_that_names_its_client_like_itself_does_not_call_itself() {
    let host = r#"{"serviceName":"db","ipv4":"10.0.0.1","port":1}"#;
    let answer = |client: &str| {
        split(&format!(
            r#""annotations":[{{"timestamp":1,"value":"sr","endpoint":{host}}},{{"timestamp":2,"value":"ss","endpoint":{host}}}],
               "timestamp":1,"duration":1,"binaryAnnotations":[{{"key":"ca","value":true,"endpoint":{client}}}]"#
        ))
        .remove(0)
    };
    let other_port = answer(r#"{"serviceName":"DB","ipv4":"10.0.0.1","port":2}"#);
    assert!(other_port.contains(r#""remoteEndpoint":{"ipv4":"10.0.0.1","port":2}"#), "{other_port}");
    assert!(!answer(host).contains("remoteEndpoint"));
}

#[test]
fn tags_are_of_every_type() {
    assert_eq!(
        split(
            r#""binaryAnnotations":[{"key":"t","value":"1"},{"key":"b","value":false},{"key":"n","value":-3},
               {"key":"d","value":1.5},{"key":"t","value":"2"},{"key":"none","value":null},{"key":"lc","value":"job"}]"#
        ),
        [r#""tags":{"component":"job","none":"","t":"2"} b=Boolean(false) d=Double(1.5) n=Integer(-3)"#]
    );
    let local = r#""binaryAnnotations":[{"key":"lc","value":"","endpoint":{"serviceName":"web"}}]"#;
    assert_eq!(split(local), [r#""localEndpoint":{"serviceName":"web"}"#]);
    let both = r#""binaryAnnotations":[{"key":"lc","value":"a"},{"key":"component","value":"b"}]"#;
    assert_eq!(split(both), [r#""tags":{"component":"b","lc":"a"}"#]);
}

#[test]
fn the_versions_are_not_mixed_up() {
    for (field, value) in
        [("tags", "{}"), ("kind", "\"CLIENT\""), ("localEndpoint", "{}"), ("remoteEndpoint", "{}")]
    {
        let said = fault(&format!(r#"[{{"traceId":"1","id":"1","{field}":{value}}}]"#));
        assert_eq!(said, SpanFault::OtherVersion { field, version: 2 });
    }
    let v1 = br#"[{"traceId":"1","id":"1","binaryAnnotations":[]}]"#;
    let said = crate::zipkin::read_json(v1, |_| {}).unwrap_err().to_string();
    assert!(said.ends_with("is of Zipkin v1: send such spans to /api/v1/spans"), "{said}");
}

#[test]
fn what_is_no_span_is_refused() {
    assert_eq!(fault(r#"[{"id":"1"}]"#), SpanFault::Missing("traceId"));
    assert_eq!(fault(r#"[{"traceId":"1"}]"#), SpanFault::Missing("id"));
    assert_eq!(
        fault(r#"[{"annotations":[{"value":"cs"}]}]"#),
        SpanFault::Missing("the timestamp of an annotation")
    );
    assert_eq!(
        fault(r#"[{"binaryAnnotations":[{"value":"cs"}]}]"#),
        SpanFault::Missing("the key of a binary annotation")
    );
    assert!(matches!(fault(r#"[{"binaryAnnotations":[{"key":"a","value":[]}]}]"#), SpanFault::NotText(_)));
    assert!(matches!(fault("{}"), SpanFault::Json(_)));
    let crowd: Vec<_> = (0..=MAX_SERVICES).map(|service| annotation(1, "x", &service.to_string())).collect();
    let crowd = format!(r#"[{{"traceId":"1","id":"1","annotations":[{}]}}]"#, crowd.join(","));
    assert_eq!(fault(&crowd), SpanFault::Services { maximum: MAX_SERVICES });
}

#[test]
fn what_is_no_thrift_is_refused() {
    let refused = |body: &[u8]| read_thrift(body, |_, _| {}).unwrap_err();
    let thrift = |span, fault: ThriftError| Malformed { span, fault: fault.into() };
    assert_eq!(refused(b""), thrift(0, ThriftError::Truncated));
    assert_eq!(refused(&[12, 0x7f, 0xff, 0xff, 0xff, 0]), thrift(0, ThriftError::Truncated));
    assert_eq!(refused(&[12, 0xff, 0xff, 0xff, 0xff, 0]), thrift(0, ThriftError::Negative));
    assert_eq!(refused(&[11, 0, 0, 0, 1, 0]), thrift(0, ThriftError::Type));
    assert_eq!(refused(&[12, 0, 0, 0, 0, 0]), thrift(0, ThriftError::Trailing));
    assert_eq!(refused(&[12, 0, 0, 0, 1, 0]).fault, SpanFault::Missing("traceId"));
    // A list of annotations that says it is as long as memory.
    assert_eq!(
        refused(&[12, 0, 0, 0, 1, 15, 0, 6, 12, 0x7f, 0xff, 0xff, 0xff, 0]),
        thrift(0, ThriftError::Truncated)
    );
    let late = SourceSpan { trace_id: [1; 16], id: [1; 8], timestamp: MAX_TIME + 1, ..SourceSpan::default() };
    assert_eq!(refused(&list(&[late])).fault, SpanFault::Time("timestamp"));
}

/// A span of which every field is set, and fields that this reader does not know.
#[test]
fn thrift_is_read_by_its_field_numbers() {
    let body = [
        &[12, 0, 0, 0, 1][..],
        // trace id, high trace id, name, id, parent id, debug, timestamp before 1970, duration
        &[10, 0, 1, 0xff, 0, 0, 0, 0, 0, 0, 1, 10, 0, 12, 0, 0, 0, 0, 0, 0, 0, 2],
        &[
            11, 0, 3, 0, 0, 0, 2, b'a', 0xff, 10, 0, 4, 0, 0, 0, 0, 0, 0, 0, 3, 10, 0, 5, 0x80, 0, 0, 0, 0,
            0, 0, 0,
        ],
        &[
            2, 0, 9, 1, 10, 0, 10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 10, 0, 11, 0, 0, 0, 0, 0,
            0, 0, 9,
        ],
        // an unknown struct with a list of strings, and the name's number with another type
        &[12, 0, 99, 15, 0, 1, 11, 0, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0, 3, 0, 0, 0, 0],
        // a binary annotation: key, value, type I16, endpoint with port 65535
        &[
            15, 0, 8, 12, 0, 0, 0, 1, 11, 0, 1, 0, 0, 0, 1, b'k', 11, 0, 2, 0, 0, 0, 2, 0xff, 0xfe, 8, 0, 3,
            0, 0, 0, 2,
        ],
        &[12, 0, 4, 8, 0, 1, 127, 0, 0, 1, 6, 0, 2, 0xff, 0xff, 0, 0],
        &[0],
    ]
    .concat();
    assert_eq!(
        thrift(&body),
        ["[{\"traceId\":\"0000000000000002ff00000000000001\",\"id\":\"0000000000000003\",\
          \"parentId\":\"8000000000000000\",\"name\":\"a\u{fffd}\",\
          \"localEndpoint\":{\"ipv4\":\"127.0.0.1\",\"port\":65535},\"debug\":true}] k=Integer(-2)"]
    );
    assert_eq!(read_thrift(&body, |_, _| {}).unwrap(), crate::zipkin::Read { spans: 1, repaired: 1 });
    let mut cut = body.clone();
    cut.pop();
    assert_eq!(read_thrift(&cut, |_, _| {}).unwrap_err().fault, ThriftError::Truncated.into());
}

#[test]
fn values_of_the_wrong_length_and_bytes_are_text() {
    let value = |kind: i32, bytes: &[u8]| {
        let mut body = vec![12, 0, 0, 0, 1];
        body.extend([
            10, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 10, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 15, 0, 8, 12, 0, 0, 0, 1,
        ]);
        body.extend([11, 0, 1, 0, 0, 0, 1, b'k', 11, 0, 2, 0, 0, 0, u8::try_from(bytes.len()).unwrap()]);
        body.extend(bytes);
        body.extend([&[8, 0, 3][..], &kind.to_be_bytes(), &[0, 0]].concat());
        let shown = thrift(&body).remove(0);
        shown.rsplit_once("\"0000000000000001\"").unwrap().1.to_owned()
    };
    assert_eq!(value(0, &[1]), "}] k=Boolean(true)");
    assert_eq!(value(0, &[0]), "}] k=Boolean(false)");
    assert_eq!(value(1, &[0xff, 0]), r#","tags":{"k":"/wA="}}]"#);
    assert_eq!(value(2, &[0x7f, 0xff]), "}] k=Integer(32767)");
    assert_eq!(value(3, &[0xff; 4]), "}] k=Integer(-1)");
    assert_eq!(value(4, &[0x80, 0, 0, 0, 0, 0, 0, 0]), "}] k=Integer(-9223372036854775808)");
    assert_eq!(value(5, &1.5_f64.to_be_bytes()), "}] k=Double(1.5)");
    assert_eq!(value(6, b"text"), r#","tags":{"k":"text"}}]"#);
    assert_eq!(value(4, b"123"), r#","tags":{"k":"MTIz"}}]"#, "three bytes are no integer of 64 bits");
    assert_eq!(value(7, b"?"), r#","tags":{"k":"Pw=="}}]"#, "no type of zipkinCore.thrift");
}

/// A list in thrift's binary protocol.
fn list(spans: &[SourceSpan<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    write_list(&mut out, spans, |out, span| {
        write_number(out, 1, i64::from_be_bytes(span.trace_id[8..].try_into().unwrap()));
        write_number(out, 12, i64::from_be_bytes(span.trace_id[..8].try_into().unwrap()));
        write_text(out, 3, span.name.as_bytes());
        write_number(out, 4, i64::from_be_bytes(span.id));
        if let Some(parent_id) = span.parent_id {
            write_number(out, 5, i64::from_be_bytes(parent_id));
        }
        out.extend([15, 0, 6]);
        write_list(out, &span.annotations, |out, annotation| {
            write_number(out, 1, annotation.timestamp.cast_signed());
            write_text(out, 2, annotation.value.as_bytes());
            write_endpoint(out, 3, annotation.endpoint.as_ref());
        });
        out.extend([15, 0, 8]);
        write_list(out, &span.binary_annotations, |out, annotation| {
            write_text(out, 1, annotation.key.as_bytes());
            let (kind, bytes): (i32, Vec<u8>) = match &annotation.value {
                Value::Text(text) => (6, text.as_bytes().to_vec()),
                Value::Scalar(Scalar::Boolean(value)) => (0, vec![u8::from(*value)]),
                Value::Scalar(Scalar::Integer(value)) => (4, value.to_be_bytes().to_vec()),
                Value::Scalar(Scalar::Double(value)) => (5, value.to_be_bytes().to_vec()),
            };
            write_text(out, 2, &bytes);
            out.extend([8, 0, 3]);
            out.extend(kind.to_be_bytes());
            write_endpoint(out, 4, annotation.endpoint.as_ref());
        });
        out.extend([2, 0, 9, u8::from(span.debug)]);
        write_number(out, 10, span.timestamp.cast_signed());
        write_number(out, 11, span.duration.cast_signed());
    });
    out
}

fn write_list<T>(out: &mut Vec<u8>, elements: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    out.push(12);
    out.extend(u32::try_from(elements.len()).unwrap().to_be_bytes());
    for element in elements {
        write(out, element);
        out.push(0);
    }
}

fn write_number(out: &mut Vec<u8>, field: u8, number: i64) {
    out.extend([10, 0, field]);
    out.extend(number.to_be_bytes());
}

fn write_text(out: &mut Vec<u8>, field: u8, text: &[u8]) {
    out.extend([11, 0, field]);
    out.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
    out.extend(text);
}

fn write_endpoint(out: &mut Vec<u8>, field: u8, endpoint: Option<&Endpoint<'_>>) {
    let Some(endpoint) = endpoint else { return };
    out.extend([12, 0, field, 8, 0, 1]);
    out.extend(endpoint.ipv4.unwrap_or(Ipv4Addr::UNSPECIFIED).octets());
    out.extend([6, 0, 2]);
    out.extend(endpoint.port.to_be_bytes());
    write_text(out, 3, endpoint.service_name.as_bytes());
    if let Some(address) = endpoint.ipv6 {
        write_text(out, 4, &address.octets());
    }
    out.push(0);
}

/// The same list in JSON.
fn json_list(spans: &[SourceSpan<'_>]) -> String {
    let hexadecimal = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let host = |endpoint: &Option<Endpoint<'_>>| {
        endpoint.as_ref().map(|endpoint| {
            serde_json::json!({
                "serviceName": endpoint.service_name, "ipv4": endpoint.ipv4, "ipv6": endpoint.ipv6, "port": endpoint.port,
            })
        })
    };
    let value = |value: &Value<'_>| match value {
        Value::Text(text) => serde_json::json!(text),
        Value::Scalar(Scalar::Boolean(value)) => serde_json::json!(value),
        Value::Scalar(Scalar::Integer(value)) => serde_json::json!(value),
        Value::Scalar(Scalar::Double(value)) => serde_json::json!(value),
    };
    let spans: Vec<_> = spans
        .iter()
        .map(|span| {
            let annotations: Vec<_> = span
                .annotations
                .iter()
                .map(|annotation| {
                    serde_json::json!({
                        "timestamp": annotation.timestamp, "value": annotation.value,
                        "endpoint": host(&annotation.endpoint),
                    })
                })
                .collect();
            let binary: Vec<_> = span
                .binary_annotations
                .iter()
                .map(|annotation| {
                    serde_json::json!({
                        "key": annotation.key, "value": value(&annotation.value), "endpoint": host(&annotation.endpoint),
                    })
                })
                .collect();
            serde_json::json!({
                "traceId": hexadecimal(&span.trace_id), "id": hexadecimal(&span.id),
                "parentId": span.parent_id.map(|id| hexadecimal(&id)), "name": span.name,
                "timestamp": span.timestamp, "duration": span.duration, "debug": span.debug,
                "annotations": annotations, "binaryAnnotations": binary,
            })
        })
        .collect();
    serde_json::Value::from(spans).to_string()
}

fn text() -> impl Strategy<Value = Cow<'static, str>> {
    "[a-z\"\\\\ é😀]{0,6}".prop_map(Cow::Owned)
}

fn host() -> impl Strategy<Value = Option<Endpoint<'static>>> {
    let endpoint = ("[a-c]?", any::<Option<[u8; 4]>>(), any::<Option<[u8; 16]>>(), 0..3_u16).prop_map(
        |(service_name, ipv4, ipv6, port)| Endpoint {
            service_name: service_name.into(),
            ipv4: ipv4.map(Ipv4Addr::from).filter(|address| !address.is_unspecified()),
            ipv6: ipv6.map(Into::into),
            port,
        },
    );
    proptest::option::of(endpoint).prop_map(|host| host.filter(|host| !host.is_absent()))
}

fn value() -> impl Strategy<Value = Value<'static>> {
    prop_oneof![
        text().prop_map(Value::Text),
        any::<bool>().prop_map(|value| Value::Scalar(Scalar::Boolean(value))),
        any::<i64>().prop_map(|value| Value::Scalar(Scalar::Integer(value))),
        // Those that JSON writes as no integer.
        (-1000_i32..1000).prop_map(|value| Value::Scalar(Scalar::Double(f64::from(value) + 0.5))),
    ]
}

prop_compose! {
    fn span()(
        trace_id in any::<u128>().prop_map(|id| id.max(1).to_be_bytes()),
        id in any::<u64>().prop_map(|id| id.max(1).to_be_bytes()),
        parent_id in proptest::option::of(any::<u64>().prop_map(|id| id.max(1).to_be_bytes())),
        name in text(),
        timestamp in prop_oneof![0..60_u64, 0..=MAX_TIME],
        duration in 0..60_u64,
        annotations in proptest::collection::vec(
            (0..60_u64, prop_oneof![text(), "[csmw][sr]".prop_map(Cow::Owned)], host())
                .prop_map(|(timestamp, value, endpoint)| SourceAnnotation { timestamp, value, endpoint }),
            0..8,
        ),
        binary_annotations in proptest::collection::vec(
            (prop_oneof![text(), "[csm]a|lc".prop_map(Cow::Owned)], value(), host())
                .prop_map(|(key, value, endpoint)| BinaryAnnotation { key, value, endpoint }),
            0..8,
        ),
        debug in any::<bool>(),
    ) -> SourceSpan<'static> {
        SourceSpan { trace_id, id, parent_id, name, timestamp, duration, annotations, binary_annotations, debug }
    }
}

proptest! {
    #[test]
    fn both_encodings_give_the_same_spans(spans in proptest::collection::vec(span(), 0..4)) {
        let read = json(&json_list(&spans));
        prop_assert!(read.len() >= spans.len());
        prop_assert_eq!(thrift(&list(&spans)), read);
    }

    /// Splitting loses no annotation and no tag: each is a time, a kind, an address, or there.
    #[test]
    fn what_means_nothing_to_zipkin_stays(
        times in proptest::collection::vec((0..60_u64, "[a-z]{3}", host()), 0..8),
        core in proptest::collection::vec((0..60_u64, "[csmw][sr]", host()), 0..8),
    ) {
        let list = times.iter().chain(&core).map(|(timestamp, value, endpoint)| SourceAnnotation {
            timestamp: *timestamp, value: value.as_str().into(), endpoint: endpoint.clone(),
        });
        let source = SourceSpan { trace_id: [1; 16], id: [1; 8], annotations: list.collect(), ..SourceSpan::default() };
        let (mut kept, mut hosts) = (Vec::new(), Vec::new());
        split::split(source).unwrap().hand_over(&mut |span, _| {
            hosts.push(span.local_endpoint.service_name.clone().into_owned());
            kept.extend(span.annotations.iter().filter(|kept| kept.value.len() == 3).map(|kept| {
                (kept.timestamp, kept.value.clone().into_owned(), hosts.last().unwrap().clone())
            }));
        });
        prop_assert_eq!(kept.len(), times.len());
        for (timestamp, value, endpoint) in times {
            let service = endpoint.map_or_else(|| hosts[0].clone(), |endpoint| endpoint.service_name.into_owned());
            prop_assert!(kept.contains(&(timestamp, value, service)));
        }
    }

    #[test]
    fn any_bytes_end_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        _ = read_json(&bytes, |_, _| {});
        _ = read_thrift(&bytes, |_, _| {});
    }

    #[test]
    fn a_damaged_list_ends_without_panic(spans in proptest::collection::vec(span(), 1..3), at in any::<usize>(), byte in any::<u8>()) {
        for mut body in [list(&spans), json_list(&spans).into_bytes()] {
            let place = at % body.len();
            body[place] = byte;
            _ = read_thrift(&body, |_, _| {});
            _ = read_json(&body, |_, _| {});
            _ = read_thrift(&body[..place], |_, _| {});
        }
    }
}
