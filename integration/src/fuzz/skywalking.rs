//! SkyWalking's and Envoy's messages, and SkyWalking's JSON.

use prost::Message as _;
use sluice_pipeline::budget::Budget;
use sluice_pipeline::otlp::check;
use sluice_protocols::envoy::{
    data::v3 as envoy, service::accesslog::v3 as envoy_log, service::metrics::v3 as envoy_metrics,
};
use sluice_protocols::skywalking::id::Rules;
use sluice_protocols::skywalking::{json, v3};
use sluice_receivers::skywalking::{Kind, Malformed, Translator};

use super::fail;
use super::otlp::assert_sound;

/// What translations are charged to: inputs exist that become far larger.
const BUDGET: u64 = 4 << 20;

/// Tokens of segments, which most of the inputs are.
pub(super) const TOKENS: &[&[u8]] = &[
    b"\x1a\x00",
    b"\x0a\x00",
    b"\x62\x04\x0a\x00\x12\x00",
    b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"http.status_code",
    b"error.kind",
    b"sw8.segment_id",
    b"[::1]:80",
];

/// The first byte tells the kind; messages follow, each after its length.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let pair =
        |key: &str, value: &str| v3::KeyStringValuePair { key: key.to_owned(), value: value.to_owned() };
    let span = v3::SpanObject {
        parent_span_id: -1,
        start_time: 1_700_000_000_000,
        end_time: 1_700_000_000_004,
        operation_name: "/buy".to_owned(),
        peer: "10.0.0.1:80".to_owned(),
        span_layer: 3,
        is_error: true,
        refs: vec![v3::SegmentReference {
            trace_id: "1.2.3".to_owned(),
            parent_trace_segment_id: "4.5.6".to_owned(),
            parent_span_id: 1,
            ..Default::default()
        }],
        tags: vec![pair("url", "/buy"), pair("http.status_code", "500")],
        logs: vec![v3::Log {
            time: 1_700_000_000_001,
            data: vec![pair("error.kind", "E"), pair("stack", "s")],
        }],
        ..Default::default()
    };
    let segment = v3::SegmentObject {
        trace_id: "1.2.3".to_owned(),
        trace_segment_id: "7.8.9".to_owned(),
        spans: vec![span.clone(), v3::SpanObject { span_id: 1, parent_span_id: 0, ..span }],
        service: "shop".to_owned(),
        service_instance: "shop-1".to_owned(),
        is_size_limited: true,
    };
    let log = v3::LogData {
        timestamp: 5,
        service: "shop".to_owned(),
        body: Some(v3::LogDataBody {
            r#type: "text".to_owned(),
            content: Some(v3::log_data_body::Content::Text(v3::TextLog { text: "t".to_owned() })),
        }),
        trace_context: Some(v3::TraceContext {
            trace_id: "t".to_owned(),
            trace_segment_id: "s".to_owned(),
            span_id: 1,
        }),
        tags: Some(v3::LogTags { data: vec![pair("level", "ERROR")] }),
        ..Default::default()
    };
    let bucket = |bucket| v3::MeterBucketValue { bucket, count: 1, is_negative_infinity: false };
    let meter = v3::MeterData {
        service: "shop".to_owned(),
        timestamp: 1,
        metric: Some(v3::meter_data::Metric::Histogram(v3::MeterHistogram {
            name: "h".to_owned(),
            labels: vec![v3::Label { name: "a".to_owned(), value: "b".to_owned() }],
            values: vec![bucket(1.0), bucket(2.0)],
        })),
        ..Default::default()
    };
    let jvm = v3::JvmMetricCollection {
        metrics: vec![v3::JvmMetric {
            time: 1,
            cpu: Some(v3::Cpu { usage_percent: 1.5 }),
            memory_pool: vec![v3::MemoryPool::default()],
            thread: Some(v3::Thread::default()),
            ..Default::default()
        }],
        ..Default::default()
    };
    let access = v3::EbpfAccessLogMessage {
        node: Some(v3::EbpfAccessLogNodeInfo { name: "n".to_owned(), ..Default::default() }),
        connection: Some(v3::AccessLogConnection::default()),
        ..Default::default()
    };
    let entry = envoy::HttpAccessLogEntry {
        common_properties: Some(envoy::AccessLogCommon {
            start_time: Some(envoy::Timestamp { seconds: 1, nanos: 2 }),
            ..Default::default()
        }),
        request: Some(envoy::HttpRequestProperties {
            request_method: 1,
            path: "/".to_owned(),
            ..Default::default()
        }),
        response: Some(envoy::HttpResponseProperties {
            response_code: Some(envoy::UInt32Value { value: 200 }),
        }),
    };
    let entries = envoy_log::StreamAccessLogsMessage {
        identifier: Some(envoy_log::stream_access_logs_message::Identifier {
            node: Some(envoy::Node { id: "e".to_owned(), ..Default::default() }),
            log_name: "l".to_owned(),
        }),
        log_entries: Some(envoy_log::stream_access_logs_message::LogEntries::HttpLogs(
            envoy_log::stream_access_logs_message::HttpAccessLogEntries { log_entry: vec![entry] },
        )),
    };
    let families = envoy_metrics::StreamMetricsMessage {
        identifier: None,
        envoy_metrics: vec![envoy_metrics::MetricFamily {
            name: "c".to_owned(),
            metric: vec![envoy_metrics::Metric { timestamp_ms: 1, ..Default::default() }],
            ..Default::default()
        }],
    };
    let event = v3::Event {
        uuid: "u".to_owned(),
        parameters: [("a".to_owned(), "b".to_owned())].into(),
        ..Default::default()
    };
    [
        (Kind::Segment, segment.encode_to_vec()),
        (Kind::Log, log.encode_to_vec()),
        (Kind::Meter, meter.encode_to_vec()),
        (Kind::MeterCollection, v3::MeterDataCollection { meter_data: vec![meter] }.encode_to_vec()),
        (Kind::Jvm, jvm.encode_to_vec()),
        (Kind::EbpfAccessLog, access.encode_to_vec()),
        (Kind::EnvoyLogs, entries.encode_to_vec()),
        (Kind::EnvoyMetrics, families.encode_to_vec()),
        (Kind::Event, event.encode_to_vec()),
    ]
    .map(|(kind, message)| {
        let place = Kind::ALL.iter().position(|known| *known == kind).unwrap_or_default();
        let length = u16::try_from(message.len()).unwrap_or(u16::MAX).to_be_bytes();
        let kind = u8::try_from(place).unwrap_or_default();
        [&[kind][..], &length, &message, &length, &message].concat()
    })
    .to_vec()
}

/// What SkyWalking's messages become passes the door as it is, within the budget, which gets all of it back.
pub(super) fn messages(input: &[u8]) -> String {
    let Some((kind, mut rest)) = input.split_first() else { return String::new() };
    let kind = Kind::ALL[usize::from(*kind) % Kind::ALL.len()];
    let rules = if input.len().is_multiple_of(2) { Rules::Distinct } else { Rules::Contrib };
    let budget = Budget::new(BUDGET);
    let mut translator = Translator::new(kind, rules).charged_to(&budget);
    let ample = Budget::new(16 * BUDGET);
    let mut keeping = Translator::new(kind, rules).charged_to(&ample).keeping(&ample);
    let mut outcome = format!("{kind:?}");
    while let Some((length, behind)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length));
        let (message, behind) = behind.split_at(length.min(behind.len()));
        rest = behind;
        let pushed = translator.push(message);
        let kept = keeping.push(message);
        let is_exhausted = |pushed: &Result<(), Malformed>| matches!(pushed, Err(Malformed::Exhausted(_)));
        if !is_exhausted(&pushed) && !is_exhausted(&kept) {
            assert_eq!(kept.is_err(), pushed.is_err(), "what is kept is not checked as what is translated");
        }
        if let Err(malformed) = pushed {
            outcome = format!("{outcome} {}", reason(&malformed));
        }
    }
    if let Some(chunk) = keeping.take_kept() {
        assert_sound(kind.signal(), chunk.bytes(), chunk.items());
        assert!(ample.used() >= chunk.memory() as u64, "more memory is taken than charged");
    }
    judge(&mut keeping, &ample);
    judge(&mut translator, &budget);
    outcome
}

/// The same of JSON; the first byte tells the kind.
pub(super) fn json(input: &[u8]) -> String {
    let Some((place, text)) = input.split_first() else { return String::new() };
    let Ok(text) = std::str::from_utf8(text) else { return String::new() };
    let (kind, definition) = match place % 5 {
        0 => (Kind::Segment, &json::SEGMENT_OBJECT),
        1 => (Kind::Log, &json::LOG_DATA),
        2 => (Kind::Event, &json::EVENT),
        3 => (Kind::BrowserError, &json::BROWSER_ERROR_LOG),
        _ => (Kind::BrowserWebVitals, &json::BROWSER_WEB_VITALS_PERF_DATA),
    };
    let budget = Budget::new(BUDGET);
    let mut translator = Translator::new(kind, Rules::Distinct).charged_to(&budget);
    let read = json::messages(definition, text, |message| {
        match translator.push(message) {
            Ok(()) | Err(Malformed::Exhausted(_)) => {}
            Err(malformed) => fail(&format!("JSON became a message that is none: {malformed}")),
        }
        Ok::<_, sluice_protocols::json::JsonError>(())
    });
    judge(&mut translator, &budget);
    match read {
        Ok(()) => format!("ok {kind:?}"),
        Err(error) => error.fault.to_string(),
    }
}

pub(super) fn json_seeds() -> Vec<Vec<u8>> {
    let texts: [(u8, &str); 4] = [
        (
            0,
            r#"[{"traceId":"t","traceSegmentId":"s","service":"x","spans":[{"spanId":"0","parentSpanId":-1,"startTime":"1",
            "spanType":"Exit","spanLayer":3,"peer":null,"isError":true,"tags":[{"key":"a","value":"b"}],"refs":[{"refType":0}]}]}]"#,
        ),
        (
            1,
            r#"{"timestamp":1,"service":"s","body":{"text":{"text":"t"}},"tags":{"data":[{"key":"level","value":"INFO"}]}}"#,
        ),
        (
            2,
            r#"[{"uuid":"u","source":{"service":"s"},"parameters":{"a":"b"},"type":"Error","layer":"GENERAL"}]"#,
        ),
        (4, r#"{"service":"s","cls":0.25,"lcpTime":"7"}"#),
    ];
    texts.map(|(place, text)| [&[place][..], text.as_bytes()].concat()).to_vec()
}

fn judge(translator: &mut Translator, budget: &Budget) {
    if let Some((translated, charge)) = translator.take() {
        let checked = check::check(translated.signal, translated.bytes.into());
        let checked =
            checked.unwrap_or_else(|error| fail(&format!("it became OTLP that the door refuses: {error}")));
        assert!(!checked.canonicalised && checked.repaired == 0, "it became OTLP that is not canonical");
        assert_eq!(checked.items, translated.items, "an item was lost or made");
        assert_sound(translated.signal, &checked.bytes, checked.items);
        drop(charge);
    }
    assert_eq!(budget.used(), 0, "something stays charged");
}

fn reason(malformed: &Malformed) -> &'static str {
    match malformed {
        Malformed::Wire { .. } => "wire",
        Malformed::WireType { .. } => "wire type",
        Malformed::Message(_) => "message",
        Malformed::Exhausted(_) => "exhausted",
    }
}
