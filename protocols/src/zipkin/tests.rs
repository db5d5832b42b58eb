use std::borrow::Cow;

use proptest::prelude::*;

use super::*;
use crate::json::JsonFault;

fn json(body: &[u8]) -> Result<Vec<Span<'static>>, Malformed> {
    let mut spans = Vec::new();
    read_json(body, |span| spans.push(owned(span))).map(|_| spans)
}

fn protobuf(body: &[u8]) -> Result<Vec<Span<'static>>, Malformed> {
    let mut spans = Vec::new();
    read_protobuf(body, |span| spans.push(owned(span))).map(|_| spans)
}

fn owned(span: &Span<'_>) -> Span<'static> {
    let text = |text: &str| Cow::Owned(text.to_owned());
    let endpoint = |endpoint: &Endpoint<'_>| Endpoint {
        service_name: text(&endpoint.service_name),
        ipv4: endpoint.ipv4,
        ipv6: endpoint.ipv6,
        port: endpoint.port,
    };
    Span {
        trace_id: span.trace_id,
        id: span.id,
        parent_id: span.parent_id,
        kind: span.kind,
        name: text(&span.name),
        timestamp: span.timestamp,
        duration: span.duration,
        local_endpoint: endpoint(&span.local_endpoint),
        remote_endpoint: endpoint(&span.remote_endpoint),
        annotations: span
            .annotations
            .iter()
            .map(|annotation| Annotation { timestamp: annotation.timestamp, value: text(&annotation.value) })
            .collect(),
        tags: span.tags.iter().map(|(key, value)| (text(key), text(value))).collect(),
        debug: span.debug,
        shared: span.shared,
    }
}

fn fault(body: &str) -> SpanFault {
    json(body.as_bytes()).unwrap_err().fault
}

/// A span with everything, as the documentation of the Zipkin API has it.
const FULL: &str = r#"[{
  "id": "352bff9a74ca9ad2", "traceId": "5af7183fb1d4cf5f", "parentId": "6b221d5bc9e6496c",
  "name": "get /api", "timestamp": 1556604172355737, "duration": 1431, "kind": "SERVER",
  "localEndpoint": { "serviceName": "backend", "ipv4": "192.168.99.1", "port": 3306 },
  "remoteEndpoint": { "ipv6": "2001:db8::c001", "port": 58648, "unknown": [1, {"a": null}] },
  "annotations": [ { "timestamp": 1556604172356737, "value": "caf\u00e9" } ],
  "tags": { "http.method": "GET", "http.path": "/api" },
  "debug": true, "shared": true, "extra": {"deep": [[]]}
}]"#;

#[test]
fn a_full_span_is_read() {
    let spans = json(FULL.as_bytes()).unwrap();
    let [span] = spans.as_slice() else { panic!("one span") };
    assert_eq!(span.trace_id[8..], 0x5af7_183f_b1d4_cf5f_u64.to_be_bytes());
    assert_eq!(span.id, 0x352b_ff9a_74ca_9ad2_u64.to_be_bytes());
    assert_eq!(span.parent_id, Some(0x6b22_1d5b_c9e6_496c_u64.to_be_bytes()));
    assert_eq!(span.kind, Some(Kind::Server));
    assert_eq!(
        (span.name.as_ref(), span.timestamp, span.duration),
        ("get /api", 1_556_604_172_355_737, 1431)
    );
    assert_eq!(span.local_endpoint.service_name, "backend");
    assert_eq!(span.local_endpoint.ipv4, Some([192, 168, 99, 1].into()));
    assert_eq!(span.remote_endpoint.ipv6, Some("2001:db8::c001".parse().unwrap()));
    assert_eq!((span.local_endpoint.port, span.remote_endpoint.port), (3306, 58648));
    assert_eq!(span.annotations[0].value, "café");
    assert_eq!(span.tags[1], ("http.path".into(), "/api".into()));
    assert!(span.debug && span.shared);
}

#[test]
fn nulls_are_absent_fields() {
    let spans = json(
        br#" [ {"traceId":"1","id":"2","parentId":null,"kind":null,"name":null,"timestamp":null,
               "localEndpoint":null,"remoteEndpoint":{"serviceName":null,"port":null},"annotations":null,
               "tags":null,"shared":null} ] "#,
    );
    let mut expected = Span::default();
    expected.trace_id[15] = 1;
    expected.id[7] = 2;
    assert_eq!(spans.unwrap(), [expected]);
    assert_eq!(json(b"[]").unwrap(), []);
}

#[test]
fn what_is_no_span_is_refused() {
    assert!(matches!(fault("{}"), SpanFault::Json(error) if error.fault == JsonFault::Expected("an array")));
    assert!(matches!(fault("[] []"), SpanFault::Json(_)));
    assert!(matches!(fault("["), SpanFault::Json(error) if error.fault == JsonFault::Truncated));
    assert_eq!(fault(r#"[{"traceId":"1"}]"#), SpanFault::Missing("id"));
    assert_eq!(fault(r#"[{"id":"1"}]"#), SpanFault::Missing("traceId"));
    assert_eq!(
        fault(r#"[{"traceId":"0000000000000000"}]"#),
        SpanFault::Id { field: "traceId", error: IdError::Zero }
    );
    assert_eq!(fault(r#"[{"kind":"client"}]"#), SpanFault::Kind);
    assert_eq!(fault(r#"[{"localEndpoint":{"ipv4":"example.com"}}]"#), SpanFault::Address("ipv4"));
    assert!(matches!(fault(r#"[{"tags":{"a":null}}]"#), SpanFault::NotText(_)));
    assert!(matches!(fault(r#"[{"tags":{"a":1}}]"#), SpanFault::NotText(_)));
    assert!(matches!(fault(r#"[{"localEndpoint":{"port":65536}}]"#), SpanFault::Json(_)));
    assert!(matches!(fault(r#"[{"timestamp":18446744073709551615}]"#), SpanFault::Json(_)));
    assert_eq!(
        fault(r#"[{"annotations":[{"value":"a"}]}]"#),
        SpanFault::Missing("the timestamp of an annotation")
    );
    let second = json(br#"[{"traceId":"1","id":"1"},{"traceId":"1","id":"z"}]"#).unwrap_err();
    assert_eq!(second.to_string(), "span 1 of the list: id holds a character that is no hexadecimal digit");
}

#[test]
fn invalid_utf8_is_repaired_and_counted() {
    let mut names = Vec::new();
    let read = read_json(b"[{\"traceId\":\"1\",\"id\":\"1\",\"name\":\"a\xffb\"}]", |span| {
        names.push(span.name.clone().into_owned());
    });
    assert_eq!(read, Ok(Read { spans: 1, repaired: 1 }));
    assert_eq!(names, ["a\u{fffd}b"]);

    let body = [&[0x0a, 0x17, 0x0a, 8][..], &[1; 8], &[0x1a, 8], &[1; 8], &[0x2a, 1, 0xff]].concat();
    assert_eq!(
        read_protobuf(&body, |span| assert_eq!(span.name, "\u{fffd}")),
        Ok(Read { spans: 1, repaired: 1 })
    );
}

#[test]
fn protobuf_ids_have_their_exact_lengths() {
    let list = |span: &[u8]| [&[0x0a, u8::try_from(span.len()).unwrap()], span].concat();
    let refused = |span: &[u8]| protobuf(&list(span)).unwrap_err().fault;
    assert_eq!(
        refused(&[0x0a, 3, 1, 2, 3]),
        SpanFault::Id { field: "traceId", error: IdError::Bytes { expected: "8 or 16" } }
    );
    assert_eq!(
        refused(&[0x1a, 1, 1]),
        SpanFault::Id { field: "id", error: IdError::Bytes { expected: "8" } }
    );
    assert_eq!(refused(&[0x20, 5]), SpanFault::Kind);
    assert_eq!(refused(&[0x42, 3, 0x12, 1, 9]), SpanFault::Address("ipv4"));
    assert_eq!(refused(&[]), SpanFault::Missing("traceId"));
}

fn text() -> impl Strategy<Value = Cow<'static, str>> {
    "[a-zA-Z0-9./\"\\\\\n é😀|{}-]{0,12}".prop_map(Cow::Owned)
}

fn endpoint() -> impl Strategy<Value = Endpoint<'static>> {
    (text(), any::<Option<[u8; 4]>>(), any::<Option<[u8; 16]>>(), any::<u16>()).prop_map(
        |(service_name, ipv4, ipv6, port)| Endpoint {
            service_name,
            ipv4: ipv4.map(Into::into),
            ipv6: ipv6.map(Into::into),
            port,
        },
    )
}

fn kind() -> impl Strategy<Value = Option<Kind>> {
    prop_oneof![
        Just(None),
        Just(Some(Kind::Client)),
        Just(Some(Kind::Server)),
        Just(Some(Kind::Producer)),
        Just(Some(Kind::Consumer))
    ]
}

prop_compose! {
    fn span()(
        trace_id in any::<u128>().prop_map(|id| id.max(1).to_be_bytes()),
        id in any::<u64>().prop_map(|id| id.max(1).to_be_bytes()),
        parent_id in proptest::option::of(any::<u64>().prop_map(|id| id.max(1).to_be_bytes())),
        kind in kind(),
        name in text(),
        timestamp in 0..=MAX_TIME,
        duration in 0..=MAX_TIME,
        endpoints in (endpoint(), endpoint()),
        annotations in proptest::collection::vec((0..=MAX_TIME, text()), 0..4),
        tags in proptest::collection::vec((text(), text()), 0..6),
        debug in any::<bool>(),
        shared in any::<bool>(),
    ) -> Span<'static> {
        let (local_endpoint, remote_endpoint) = endpoints;
        let annotations =
            annotations.into_iter().map(|(timestamp, value)| Annotation { timestamp, value }).collect();
        Span {
            trace_id, id, parent_id, kind, name, timestamp, duration, local_endpoint, remote_endpoint, annotations,
            tags, debug, shared,
        }
    }
}

proptest! {
    #[test]
    fn json_reads_back(spans in proptest::collection::vec(span(), 0..4)) {
        let mut body = Vec::new();
        let mut list = SpanListJson::begin(&mut body);
        spans.iter().for_each(|span| list.push(span));
        list.end();
        prop_assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
        prop_assert_eq!(json(&body).unwrap(), spans);
    }

    #[test]
    fn protobuf_reads_back(spans in proptest::collection::vec(span(), 0..4)) {
        let mut body = Vec::new();
        spans.iter().for_each(|span| write_span_protobuf(&mut body, span));
        prop_assert_eq!(protobuf(&body).unwrap(), spans);
    }

    #[test]
    fn any_bytes_end_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(json(&bytes));
        drop(protobuf(&bytes));
    }

    #[test]
    fn a_damaged_request_ends_without_panic(at in 0..FULL.len(), byte in any::<u8>(), length in 0..=FULL.len()) {
        let mut body = FULL.as_bytes().to_vec();
        body[at] = byte;
        body.truncate(length);
        drop(json(&body));
    }
}
