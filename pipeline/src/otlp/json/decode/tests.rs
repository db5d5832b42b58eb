use bytes::Bytes;
use opentelemetry_proto::tonic::{
    logs::v1::LogsData, metrics::v1::MetricsData, profiles::v1development::ProfilesData,
    trace::v1::TracesData,
};
use proptest::prelude::*;
use prost::Message as _;
use serde_json::{Value, json};

use super::*;
use crate::{
    budget::Budget,
    otlp::{check::check, json::encode, testing},
};

/// Decodes JSON whose encoding must pass the check as it is.
fn decoded<T: prost::Message + Default>(signal: Signal, json: &Value) -> T {
    let bytes = decode(signal, json.to_string().as_bytes()).unwrap_or_else(|error| panic!("{error}: {json}"));
    let checked = check(signal, Bytes::from(bytes)).unwrap();
    assert!(!checked.canonicalised, "not canonical: {json}");
    T::decode(checked.bytes).unwrap()
}

fn span(json: &Value) -> Value {
    json!({"resourceSpans": [{"scopeSpans": [{"spans": [json]}]}]})
}

fn refusal(signal: Signal, json: &str) -> String {
    decode(signal, json.as_bytes()).unwrap_err().to_string()
}

/// The message without the place in the text.
fn span_refusal(json: Value) -> String {
    let error = decode(Signal::Traces, span(&json).to_string().as_bytes()).unwrap_err().to_string();
    let error = error.strip_prefix("cannot read OTLP/JSON: resourceSpans[0].scopeSpans[0].spans[0]").unwrap();
    error.split(" (at byte").next().unwrap().to_owned()
}

fn encoded(signal: Signal, bytes: &[u8]) -> Value {
    let mut out = Vec::new();
    encode(signal, &[bytes], &mut out);
    serde_json::from_slice(&out).unwrap()
}

/// The same JSON with the members of every object in reverse.
fn reversed(json: Value) -> Value {
    match json {
        Value::Object(members) => {
            let mut members: Vec<_> =
                members.into_iter().map(|(key, value)| (key, reversed(value))).collect();
            members.reverse();
            Value::Object(members.into_iter().collect())
        }
        Value::Array(elements) => elements.into_iter().map(reversed).collect(),
        other => other,
    }
}

/// The same JSON with snake_case keys.
fn snake_case(json: Value) -> Value {
    match json {
        Value::Object(members) => members
            .into_iter()
            .map(|(key, value)| {
                let mut snake = String::new();
                for character in key.chars() {
                    if character.is_ascii_uppercase() {
                        snake.push('_');
                    }
                    snake.push(character.to_ascii_lowercase());
                }
                (snake, snake_case(value))
            })
            .collect(),
        Value::Array(elements) => elements.into_iter().map(snake_case).collect(),
        other => other,
    }
}

fn reads_back<T: prost::Message + Default + PartialEq + std::fmt::Debug>(signal: Signal, bytes: &[u8]) {
    let expected = T::decode(bytes).unwrap();
    let json = encoded(signal, bytes);
    assert_eq!(decoded::<T>(signal, &json), expected);
    assert_eq!(decoded::<T>(signal, &reversed(json.clone())), expected);
    assert_eq!(decoded::<T>(signal, &snake_case(json)), expected);
}

proptest! {
    #[test]
    fn traces_read_back(bytes in testing::canonical_bytes(Signal::Traces)) {
        reads_back::<TracesData>(Signal::Traces, &bytes);
    }

    #[test]
    fn metrics_read_back(bytes in testing::canonical_bytes(Signal::Metrics)) {
        reads_back::<MetricsData>(Signal::Metrics, &bytes);
    }

    #[test]
    fn logs_read_back(bytes in testing::canonical_bytes(Signal::Logs)) {
        reads_back::<LogsData>(Signal::Logs, &bytes);
    }

    #[test]
    fn profiles_read_back(bytes in testing::canonical_bytes(Signal::Profiles)) {
        reads_back::<ProfilesData>(Signal::Profiles, &bytes);
    }

    #[test]
    fn what_passed_the_check_reads_back(bytes in testing::valid_bytes(Signal::Traces)) {
        let bytes = check(Signal::Traces, bytes.into()).unwrap().bytes;
        reads_back::<TracesData>(Signal::Traces, &bytes);
    }

    #[test]
    fn traces_that_serde_wrote(bytes in testing::canonical_bytes(Signal::Traces)) {
        let expected = TracesData::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(decoded::<TracesData>(Signal::Traces, &serde_json::to_value(&expected).unwrap()), expected);
    }

    #[test]
    fn metrics_that_serde_wrote(bytes in testing::canonical_bytes(Signal::Metrics)) {
        let expected = MetricsData::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(decoded::<MetricsData>(Signal::Metrics, &serde_json::to_value(&expected).unwrap()), expected);
    }

    #[test]
    fn logs_that_serde_wrote(bytes in testing::canonical_bytes(Signal::Logs)) {
        let expected = LogsData::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(decoded::<LogsData>(Signal::Logs, &serde_json::to_value(&expected).unwrap()), expected);
    }

    #[test]
    fn any_bytes_end_without_panic(
        signal in testing::any_signal(),
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = decode(signal, &bytes);
    }

    #[test]
    fn broken_json_is_refused_or_stays_within_bounds(
        (signal, bytes) in testing::any_signal().prop_flat_map(|signal| {
            (Just(signal), testing::canonical_bytes(signal))
        }),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut json = Vec::new();
        encode(signal, &[&bytes], &mut json);
        for (place, byte) in changes {
            let place = place.index(json.len());
            json[place] = byte;
        }
        if let Ok(bytes) = decode(signal, &json) {
            prop_assert!(bytes.len() <= json.len() * 4);
            let _ = check(signal, bytes.into());
        }
    }
}

/// The shapes of `examples/trace.json` of the protocol's repository.
#[test]
fn a_trace_as_the_specification_has_it() {
    let data: TracesData = decoded(
        Signal::Traces,
        &json!({"resourceSpans": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "my.service"}}]},
            "scopeSpans": [{
                "scope": {
                    "name": "my.library",
                    "version": "1.0.0",
                    "attributes": [{"key": "my.scope.attribute", "value": {"stringValue": "some scope attribute"}}],
                },
                "spans": [{
                    "traceId": "5B8EFFF798038103D269B633813FC60C",
                    "spanId": "EEE19B7EC3C1B174",
                    "parentSpanId": "EEE19B7EC3C1B173",
                    "name": "I'm a server span",
                    "startTimeUnixNano": "1544712660000000000",
                    "endTimeUnixNano": 1_544_712_661_000_000_000u64,
                    "kind": 2,
                    "status": {"code": "STATUS_CODE_ERROR"},
                    "attributes": [{"key": "my.span.attr", "value": {"intValue": -7}}],
                    "links": null,
                    "futureField": [{"a": [[]]}, 1e9],
                }],
            }],
        }]}),
    );
    let group = &data.resource_spans[0];
    assert_eq!(group.resource.as_ref().unwrap().attributes[0].key, "service.name");
    assert_eq!(group.scope_spans[0].scope.as_ref().unwrap().version, "1.0.0");
    let span = &group.scope_spans[0].spans[0];
    assert_eq!(span.trace_id[..3], [0x5b, 0x8e, 0xff]);
    assert_eq!(span.parent_span_id[7], 0x73);
    assert_eq!(span.start_time_unix_nano, 1_544_712_660_000_000_000);
    assert_eq!(span.end_time_unix_nano, 1_544_712_661_000_000_000);
    assert_eq!((span.kind, span.status.as_ref().unwrap().code), (2, 2));
}

/// The shapes of `examples/metrics.json`.
#[test]
fn metrics_as_the_specification_has_them() {
    let data: MetricsData = decoded(
        Signal::Metrics,
        &json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [
            {"name": "my.counter", "unit": "1", "sum": {
                "aggregationTemporality": 1,
                "isMonotonic": true,
                "dataPoints": [{"asDouble": 5, "timeUnixNano": "1544712660300000000"}],
            }},
            {"name": "my.gauge", "gauge": {"dataPoints": [{"asInt": "10"}, {"asDouble": "NaN"}]}},
            {"name": "my.histogram", "histogram": {
                "aggregationTemporality": "AGGREGATION_TEMPORALITY_CUMULATIVE",
                "dataPoints": [{"count": 2, "sum": 2, "bucketCounts": [1, "1"], "explicitBounds": [1], "min": 0, "max": 2}],
            }},
            {"name": "my.exponential.histogram", "exponentialHistogram": {
                "dataPoints": [{"scale": -3, "positive": {"offset": -1, "bucketCounts": [0, 2]}, "zeroThreshold": 0}],
            }},
        ]}]}]}),
    );
    let metrics =
        encoded(Signal::Metrics, &data.encode_to_vec())["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
            .clone();
    assert_eq!(
        metrics,
        json!([
            {"name": "my.counter", "unit": "1", "sum": {
                "dataPoints": [{"timeUnixNano": "1544712660300000000", "asDouble": 5.0}],
                "aggregationTemporality": 1,
                "isMonotonic": true,
            }},
            {"name": "my.gauge", "gauge": {"dataPoints": [{"asInt": "10"}, {"asDouble": "NaN"}]}},
            {"name": "my.histogram", "histogram": {
                "dataPoints": [{"count": "2", "sum": 2.0, "bucketCounts": ["1", "1"], "explicitBounds": [1.0], "min": 0.0, "max": 2.0}],
                "aggregationTemporality": 2,
            }},
            {"name": "my.exponential.histogram", "exponentialHistogram": {
                "dataPoints": [{"scale": -3, "positive": {"offset": -1, "bucketCounts": ["0", "2"]}}],
            }},
        ])
    );
}

/// The shapes of `examples/logs.json`.
#[test]
fn logs_as_the_specification_has_them() {
    let record = json!({
        "timeUnixNano": "1544712660300000000",
        "observedTimeUnixNano": "1544712660300000000",
        "severityNumber": 10,
        "severityText": "Information",
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": "eee19b7ec3c1b174",
        "body": {"stringValue": "Example \"log\"\n\u{1f980}"},
        "attributes": [
            {"key": "string.attribute", "value": {"stringValue": "some string"}},
            {"key": "boolean.attribute", "value": {"boolValue": true}},
            {"key": "int.attribute", "value": {"intValue": "10"}},
            {"key": "double.attribute", "value": {"doubleValue": 637.704}},
            {"key": "bytes.attribute", "value": {"bytesValue": "c2x1aWNlIQ=="}},
            {"key": "array.attribute", "value": {"arrayValue": {"values": [{"stringValue": "many"}, {}]}}},
            {"key": "map.attribute", "value": {"kvlistValue": {
                "values": [{"key": "some.map.key", "value": {"stringValue": "some value"}}],
            }}},
        ],
    });
    let data: LogsData =
        decoded(Signal::Logs, &json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}));
    let json = encoded(Signal::Logs, &data.encode_to_vec());
    assert_eq!(json["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0], record);
}

#[test]
fn refusals_name_the_place_and_what_was_expected() {
    assert_eq!(
        refusal(
            Signal::Traces,
            r#"{"resourceSpans":[{"scopeSpans":[{},{"spans":[{},{},{"traceId":"5b8e"}]}]}]}"#
        ),
        "cannot read OTLP/JSON: resourceSpans[0].scopeSpans[1].spans[2].traceId: \
         expected 32 hexadecimal digits or none, found 4 characters (at byte 69)"
    );
    for (json, expected) in [
        (json!({"spanId": "zzzzzzzzzzzzzzzz"}), ".spanId: expected an id in hexadecimal digits"),
        (json!({"spanId": 7}), ".spanId: expected a string, found a number"),
        (json!({"name": {"a": 1}}), ".name: expected a string, found an object"),
        (json!({"kind": "SPAN_KIND_SERVANT"}), ".kind: expected an integer or a name of the enum"),
        (json!({"kind": 1.5}), ".kind: expected a 32-bit integer; the number is out of range"),
        (
            json!({"startTimeUnixNano": -1}),
            ".startTimeUnixNano: expected an unsigned 64-bit integer; the number is out of range",
        ),
        (
            json!({"flags": 4_294_967_296u64}),
            ".flags: expected an unsigned 32-bit integer; the number is out of range",
        ),
        (json!({"attributes": {}}), ".attributes: expected an array, found an object"),
        (json!({"attributes": [7]}), ".attributes[0]: expected an object, found a number"),
        (
            json!({"attributes": [{}, {"value": {"boolValue": "true"}}]}),
            ".attributes[1].value.boolValue: expected true or false, found a string",
        ),
        (
            json!({"attributes": [{"value": {"doubleValue": "inf"}}]}),
            ".attributes[0].value.doubleValue: expected a number, \"NaN\", \"Infinity\" or \"-Infinity\"; the number is out of range",
        ),
        (
            json!({"attributes": [{"value": {"bytesValue": "%"}}]}),
            ".attributes[0].value.bytesValue: expected bytes in base64",
        ),
        (
            json!({"attributes": [{"value": {"intValue": 1, "boolValue": true}}]}),
            ".attributes[0].value.boolValue: only one of the value's types may be set, found another besides",
        ),
        (
            json!({"status": {"code": 1, "message": "", "co_de": 2, "code_": 2}}),
            ".status.code: the key occurs twice",
        ),
    ] {
        assert_eq!(span_refusal(json.clone()), expected, "{json}");
    }
    for (json, expected) in [
        ("", "the text ends too early; send it whole (at byte 0)"),
        ("[]", "expected an object, found an array (at byte 1)"),
        ("null", "expected an object, found null (at byte 4)"),
        ("{} x", "expected nothing after the object (at byte 3)"),
        (r#"{"resourceSpans":[{]}"#, "resourceSpans[0]: expected a key in quotes (at byte 19)"),
        (r#"{"resourceSpans":[],"resourceSpans":[]}"#, "resourceSpans: the key occurs twice (at byte 37)"),
    ] {
        assert_eq!(refusal(Signal::Traces, json), format!("cannot read OTLP/JSON: {expected}"), "{json}");
    }
}

#[test]
fn numbers_in_every_form_that_the_specification_takes() {
    for (json, expected) in [
        ("\"-9223372036854775808\"", i64::MIN),
        ("9223372036854775807", i64::MAX),
        ("1e3", 1_000),
        ("-12.0", -12),
        ("\"0\"", 0),
    ] {
        let body = format!(
            r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{{"intValue":{json}}}}}]}}]}}]}}"#
        );
        let data: LogsData = decoded(Signal::Logs, &serde_json::from_str(&body).unwrap());
        let json = encoded(Signal::Logs, &data.encode_to_vec());
        let body = &json["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["body"];
        assert_eq!(body, &json!({"intValue": expected.to_string()}));
    }
}

#[test]
fn bytes_in_every_base64() {
    for text in ["+/8=", "+/8", "-_8=", "-_8"] {
        let json = span(&json!({"attributes": [{"value": {"bytesValue": text}}]}));
        let bytes = decode(Signal::Traces, json.to_string().as_bytes()).unwrap();
        assert_eq!(bytes[bytes.len() - 4..], [7 << 3 | 2, 2, 0xfb, 0xff]);
    }
}

#[test]
fn broken_text_is_repaired_and_counted_by_the_check() {
    let mut json = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"a\ud800"},{"name":"b"#.to_vec();
    json.extend_from_slice(b"\xc3\"}]}]}]}");
    let checked = check(Signal::Traces, decode(Signal::Traces, &json).unwrap().into()).unwrap();
    assert_eq!(checked.repaired, 2);
    let data = TracesData::decode(checked.bytes).unwrap();
    let names: Vec<_> = data.resource_spans[0].scope_spans[0].spans.iter().map(|span| &span.name).collect();
    assert_eq!(names, ["a\u{fffd}", "b\u{fffd}"]);
}

#[test]
fn null_elements_are_empty_messages() {
    let data: LogsData = decoded(Signal::Logs, &json!({"resourceLogs": [null, {"scopeLogs": null}]}));
    assert_eq!(data.resource_logs.len(), 2);
    assert_eq!(
        refusal(Signal::Profiles, r#"{"dictionary":{"stringTable":["",null]}}"#),
        "cannot read OTLP/JSON: dictionary.stringTable[1]: expected a string, found null (at byte 37)"
    );
}

#[test]
fn nesting_is_bounded() {
    let nested = |levels: usize| {
        let start = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":"#.to_owned();
        start + &r#"{"arrayValue":{"values":["#.repeat(levels) + &"]}}".repeat(levels) + "}]}]}]}"
    };
    // The batch, two groups, the record and its body are five; a level adds its array and the value in that.
    let decoded = |json: String| decode(Signal::Logs, json.as_bytes());
    let deepest = decoded(nested(30)).unwrap();
    assert_eq!(check(Signal::Logs, deepest.clone().into()).unwrap().bytes, deepest);
    assert_eq!(decoded(encoded(Signal::Logs, &deepest).to_string()).unwrap(), deepest);
    assert_eq!(decoded(nested(30).replace("[]", "[{}]")).unwrap_err().problem, Problem::Depth);
    assert_eq!(decoded(nested(100_000)).unwrap_err().problem, Problem::Depth);
}

#[test]
fn what_comes_out_is_charged_before_it_is_held() {
    let numbers = "0,".repeat(100_000);
    let point = format!(r#"{{"bucketCounts":[{}0]}}"#, numbers);
    let json = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"histogram":{{"dataPoints":[{point}]}}}}]}}]}}]}}"#
    );
    let budget = Budget::new(10 << 20);
    let mut charge = budget.charge(0).unwrap();
    let out = decode_charged(Signal::Metrics, json.as_bytes(), &mut charge).unwrap();
    assert!(out.len() > 3 * json.len(), "each number of two characters takes eight bytes");
    assert_eq!(charge.bytes(), out.capacity() as u64);
    assert_eq!(out, decode(Signal::Metrics, json.as_bytes()).unwrap());
    drop(charge);

    let small = Budget::new(out.len() as u64);
    let mut charge = small.charge(0).unwrap();
    let refused = decode_charged(Signal::Metrics, json.as_bytes(), &mut charge).unwrap_err();
    assert!(matches!(refused, DecodeError::Exhausted(_)), "while it grows, both buffers are held: {refused}");
    drop(charge);
    assert_eq!(small.used(), 0);
}
