//! What is taken for a list of spans, and what is not.

use super::{
    super::span::{MAX_ANNOTATIONS, SourceSpan},
    super::split::MAX_SERVICES,
    annotation, thrift,
    write::list,
    *,
};
use crate::{
    thrift::ThriftError,
    zipkin::{MAX_TIME, Malformed, Read, SpanFault},
};

fn fault(body: &str) -> SpanFault {
    read_json(body.as_bytes(), |_, _| {}).unwrap_err().fault
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

/// Annotations of a byte each would take a hundred times the memory of the request.
#[test]
fn a_span_has_a_limited_number_of_annotations() {
    let mut body = vec![
        12, 0, 0, 0, 1, 10, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 10, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 15, 0, 8, 12,
    ];
    body.extend(u32::try_from(MAX_ANNOTATIONS + 1).unwrap().to_be_bytes());
    body.resize(body.len() + MAX_ANNOTATIONS + 3, 0);
    let expected = |field| SpanFault::Annotations { field, maximum: MAX_ANNOTATIONS };
    assert_eq!(read_thrift(&body, |_, _| {}).unwrap_err().fault, expected("binaryAnnotations"));
    let many = vec![r#"{"timestamp":1,"value":""}"#; MAX_ANNOTATIONS + 1].join(",");
    assert_eq!(
        fault(&format!(r#"[{{"traceId":"1","id":"1","annotations":[{many}]}}]"#)),
        expected("annotations")
    );
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
    assert_eq!(read_thrift(&body, |_, _| {}).unwrap(), Read { spans: 1, repaired: 1 });
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
