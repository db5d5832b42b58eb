//! Zipkin's spans in all their formats. The first byte of an input tells which, so that inputs can be spliced.

use fastrand::Rng;
use serde_json::Value;
use sluice_pipeline::Signal;
use sluice_pipeline::otlp::check;
use sluice_pipeline::otlp::write::Writer;
use sluice_receivers::zipkin::{Format, translate};

use super::otlp::assert_sound;
use super::{fail, tagged};
use crate::payload::{Compression, Kind, generate, zipkin_v1};

const FORMATS: [Format; 4] = [Format::Json, Format::Protobuf, Format::V1Json, Format::V1Thrift];

/// Tokens of version 1, in both encodings.
pub(super) const VERSION_1: &[&[u8]] = &[
    b"\"cs\"",
    b"\"binaryAnnotations\":[",
    b"\"annotations\":[{\"timestamp\":1,\"value\":\"sr\",\"endpoint\":{\"serviceName\":\"",
    b"\"endpoint\":null",
    b"{\"key\":\"sa\",\"value\":true,\"endpoint\":{\"port\":1}}",
    b"\x0c\x00\x00\x00\x01",
    b"\x0f\x00\x06\x0c\x00\x00\x00\x01",
    b"\x0f\x00\x08\x0c\x7f\xff\xff\xff",
    b"\x0b\x00\x03\xff\xff\xff\xff",
    b"\x0d\x00\x01\x0c\x0c\x00\x00\x00\x01",
    b"\x0a\x00\x0a\x80\x00\x00\x00\x00\x00\x00\x00",
    b"\x00",
];

/// What is taken is canonical OTLP with a span for each that was read.
pub(super) fn run(input: &[u8]) -> String {
    let Some((format, body)) = input.split_first() else { return String::new() };
    let Some(format) = FORMATS.get(usize::from(*format) % FORMATS.len()) else { return String::new() };
    match translate(*format, body, body.len() % 2 == 0) {
        Ok(translated) => {
            let checked = check::check(Signal::Traces, translated.traces.into());
            let checked = checked
                .unwrap_or_else(|error| fail(&format!("Zipkin became OTLP that the door refuses: {error}")));
            assert!(
                !checked.canonicalised && checked.repaired == 0,
                "Zipkin became OTLP that is not canonical"
            );
            assert_sound(Signal::Traces, &checked.bytes, checked.items);
            assert_eq!(checked.items, translated.spans, "a span was lost or made");
            format!("ok {}", translated.repaired > 0)
        }
        Err(error) => error.to_string(),
    }
}

pub(super) fn json() -> Vec<Vec<u8>> {
    let edges = br#"[{"traceId":"1","id":"2","debug":true,"shared":true,"localEndpoint":{"ipv6":"::1"},"tags":{}},
        {"traceId":"00000000000000000000000000000001","id":"2","parentId":"3","kind":"PRODUCER","name":null,
        "annotations":[{"timestamp":1,"value":"\ud83d\ude00 \u00e9"}],"tags":{"error":"true","n":"-1.5e3"}}]"#;
    [1, 3]
        .map(|items| generate(Kind::Zipkin, items, Compression::None, 1).remove(0).body.to_vec())
        .into_iter()
        .chain([edges.to_vec(), b"[]".to_vec()])
        .map(|text| tagged(0, &text))
        .collect()
}

pub(super) fn protobuf() -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    Writer::new(&mut bytes).message(1, |span| {
        span.bytes(1, &[1; 16]);
        span.bytes(2, &[2; 8]);
        span.bytes(3, &[3; 8]);
        span.varint(4, 2);
        span.bytes(5, b"get /");
        span.fixed64(6, 1_700_000_000_000_000);
        span.varint(7, 1500);
        for number in [8, 9] {
            span.message(number, |endpoint| {
                endpoint.bytes(1, b"frontend");
                endpoint.bytes(2, &[10, 0, 0, 1]);
                endpoint.bytes(3, &[0xfe; 16]);
                endpoint.varint(4, 8080);
            });
        }
        span.message(10, |annotation| {
            annotation.fixed64(1, 1_700_000_000_000_100);
            annotation.bytes(2, b"ws");
        });
        span.message(11, |tag| {
            tag.bytes(1, b"http.method");
            tag.bytes(2, b"GET");
        });
        span.varint(12, 1);
        span.varint(13, 1);
    });
    let twice = bytes.repeat(2);
    [bytes, twice].map(|bytes| tagged(1, &bytes)).to_vec()
}

pub(super) fn version_1() -> Vec<Vec<u8>> {
    let mut random = Rng::with_seed(1);
    let lists =
        [Value::Array(Vec::new()), zipkin_v1::spans(&mut random, 1, 1), zipkin_v1::spans(&mut random, 1, 6)];
    let encodings =
        |list: &Value| [tagged(2, list.to_string().as_bytes()), tagged(3, &zipkin_v1::thrift(list))];
    lists.iter().flat_map(encodings).collect()
}
