use opentelemetry_proto::tonic::{
    logs::v1::LogsData, metrics::v1::MetricsData, profiles::v1development::ProfilesData,
    trace::v1::TracesData,
};
use proptest::prelude::*;
use prost::Message as _;
use serde_json::json;

use super::*;
use crate::otlp::{testing, write::Writer};

fn encoded(signal: Signal, chunks: &[&[u8]]) -> serde_json::Value {
    let mut out = Vec::new();
    encode(signal, chunks, &mut out);
    serde_json::from_slice(&out).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&out)))
}

/// A root message with one scope group that `fill` writes.
fn scope_group(fill: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    Writer::new(&mut bytes).message(1, |group| group.message(2, fill));
    bytes
}

#[test]
fn a_span_as_the_specification_writes_it() {
    let bytes = scope_group(|group| {
        group.message(2, |span| {
            span.bytes(
                1,
                &[
                    0x5b, 0x8e, 0xff, 0xf7, 0x98, 0x03, 0x81, 0x03, 0xd2, 0x69, 0xb6, 0x33, 0x81, 0x3f, 0xc6,
                    0x0c,
                ],
            );
            span.bytes(2, &[0xee, 0xe1, 0x9b, 0x7e, 0xc3, 0xc1, 0xb1, 0x74]);
            span.bytes(5, b"I'm a server span");
            span.varint(6, 2);
            span.fixed64(7, 1_544_712_660_000_000_000);
            span.message(9, |attribute| {
                attribute.bytes(1, b"my.span.attr");
                attribute.message(2, |value| value.int(3, -7));
            });
            span.message(15, |_| ());
            span.fixed32(16, 257);
            span.varint(99, 1);
        });
    });
    assert_eq!(
        encoded(Signal::Traces, &[&bytes]),
        json!({"resourceSpans": [{"scopeSpans": [{"spans": [{
            "traceId": "5b8efff798038103d269b633813fc60c",
            "spanId": "eee19b7ec3c1b174",
            "name": "I'm a server span",
            "kind": 2,
            "startTimeUnixNano": "1544712660000000000",
            "attributes": [{"key": "my.span.attr", "value": {"intValue": "-7"}}],
            "status": {},
            "flags": 257,
        }]}]}]})
    );
}

#[test]
fn values_of_every_type() {
    let bytes = scope_group(|group| {
        for fill in [
            (|value: &mut Writer<'_>| value.bytes(1, b"")) as fn(&mut Writer<'_>),
            |value| value.varint(2, 0),
            |value| value.int(3, i64::MIN),
            |value| value.double(4, f64::INFINITY),
            |value| value.message(5, |array| array.message(1, |value| value.double(4, f64::NAN))),
            |value| value.message(6, |_| ()),
            |value| value.bytes(7, &[0xfb, 0xff]),
            |_| (),
        ] {
            group.message(2, |record| record.message(5, fill));
        }
    });
    let json = encoded(Signal::Logs, &[&bytes]);
    let bodies: Vec<_> = json["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["body"].clone())
        .collect();
    assert_eq!(
        bodies,
        [
            json!({"stringValue": ""}),
            json!({"boolValue": false}),
            json!({"intValue": "-9223372036854775808"}),
            json!({"doubleValue": "Infinity"}),
            json!({"arrayValue": {"values": [{"doubleValue": "NaN"}]}}),
            json!({"kvlistValue": {}}),
            json!({"bytesValue": "+/8="}),
            json!({}),
        ]
    );
}

#[test]
fn numbers_packed_unpacked_and_both() {
    let bytes = scope_group(|group| {
        group.message(2, |metric| {
            metric.message(9, |histogram| {
                histogram.message(1, |point| {
                    point.fixed64(6, 1);
                    point.double(5, 0.0);
                    point.bytes(7, &1.5f64.to_le_bytes());
                    point.bytes(6, &[2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
                    point.bytes(8, b"");
                });
            });
        });
    });
    let json = encoded(Signal::Metrics, &[&bytes]);
    assert_eq!(
        json["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["histogram"]["dataPoints"][0],
        json!({"bucketCounts": ["1", "2", "3"], "sum": 0.0, "explicitBounds": [1.5], "exemplars": [{}]})
    );
}

#[test]
fn a_key_occurs_once_though_its_values_are_scattered() {
    let bytes = scope_group(|group| {
        group.message(2, |span| {
            for number in [9, 11, 9, 11, 9] {
                span.message(number, |_| ());
            }
        });
    });
    let mut out = Vec::new();
    encode(Signal::Traces, &[&bytes], &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[{},{},{}],"events":[{},{}]}]}]}]}"#
    );
}

#[test]
fn chunks_become_one_object() {
    let chunk = scope_group(|_| ());
    assert_eq!(
        encoded(Signal::Traces, &[&chunk, &[], &chunk]),
        json!({"resourceSpans": [{"scopeSpans": [{}]}, {"scopeSpans": [{}]}]})
    );
    assert_eq!(encoded(Signal::Logs, &[]), json!({}));
}

#[test]
fn what_nests_too_deep_is_cut_off() {
    let mut value = Vec::new();
    for _ in 0..10_000 {
        let mut outer = Vec::new();
        Writer::new(&mut outer).message(5, |array| array.bytes(1, &value));
        value = outer;
    }
    let bytes = scope_group(|group| group.message(2, |record| record.bytes(5, &value)));
    let mut out = Vec::new();
    encode(Signal::Logs, &[&bytes], &mut out);
    assert!(out.len() < 3_000);
}

/// Adds what is left out at its default: the peer's types require some of it.
fn with_defaults(message: &Message, json: &mut serde_json::Value) {
    for field in message.fields.iter().filter(|field| !field.explicit) {
        let default = match field.kind {
            _ if field.repeated => json!([]),
            Type::Message(_) => continue,
            Type::String | Type::Bytes | Type::Id(_) => json!(""),
            Type::Uint64 | Type::Int64 | Type::Fixed64 | Type::Sfixed64 => json!("0"),
            Type::Bool => json!(false),
            Type::Double => json!(0.0),
            _ => json!(0),
        };
        json.as_object_mut().unwrap().entry(field.json).or_insert(default);
    }
    for field in message.fields {
        if let (Type::Message(inner), Some(member)) = (field.kind, json.get_mut(field.json)) {
            match member.as_array_mut() {
                Some(elements) => elements.iter_mut().for_each(|element| with_defaults(inner, element)),
                None => with_defaults(inner, member),
            }
        }
    }
}

/// What the peer's types read from our JSON.
fn read_by_serde<T: serde::de::DeserializeOwned>(signal: Signal, bytes: &[u8]) -> T {
    let mut json = encoded(signal, &[bytes]);
    with_defaults(schema::root(signal), &mut json);
    serde_json::from_value(json.clone()).unwrap_or_else(|error| panic!("{error}: {json}"))
}

proptest! {
    #[test]
    fn serde_reads_the_same_traces(bytes in testing::canonical_bytes(Signal::Traces)) {
        let read: TracesData = read_by_serde(Signal::Traces, &bytes);
        prop_assert_eq!(read, TracesData::decode(bytes.as_slice()).unwrap());
    }

    #[test]
    fn serde_reads_the_same_metrics(bytes in testing::canonical_bytes(Signal::Metrics)) {
        let read: MetricsData = read_by_serde(Signal::Metrics, &bytes);
        prop_assert_eq!(read, MetricsData::decode(bytes.as_slice()).unwrap());
    }

    #[test]
    fn serde_reads_the_same_logs(bytes in testing::canonical_bytes(Signal::Logs)) {
        let read: LogsData = read_by_serde(Signal::Logs, &bytes);
        prop_assert_eq!(read, LogsData::decode(bytes.as_slice()).unwrap());
    }

    // The peer's profile types read no ids and no strings for integers; `decode` reads them back.
    #[test]
    fn profiles_are_json(bytes in testing::canonical_bytes(Signal::Profiles)) {
        let json = encoded(Signal::Profiles, &[&bytes]);
        let data = ProfilesData::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(json["resourceProfiles"].as_array().map_or(0, Vec::len), data.resource_profiles.len());
        prop_assert_eq!(json["dictionary"].is_object(), data.dictionary.is_some());
    }

    #[test]
    fn any_bytes_become_json((signal, bytes) in (
        testing::any_signal(),
        proptest::collection::vec(any::<u8>(), 0..300),
    )) {
        prop_assert!(encoded(signal, &[&bytes]).is_object());
    }

    #[test]
    fn broken_messages_become_json((signal, bytes) in testing::any_signal().prop_flat_map(|signal| {
        (Just(signal), testing::mutated_bytes(signal))
    })) {
        prop_assert!(encoded(signal, &[&bytes]).is_object());
    }
}
