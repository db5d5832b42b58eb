use std::sync::Mutex;

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value},
    logs::v1::{LogRecord, LogsData, ResourceLogs, ScopeLogs},
    metrics::v1::{
        Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint,
        Metric, MetricsData, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint,
        exemplar, exponential_histogram_data_point::Buckets, metric::Data, number_data_point,
        summary_data_point::ValueAtQuantile,
    },
    profiles::v1development::{
        Function, KeyValueAndUnit, Line, Location, Profile, ProfilesData, ProfilesDictionary,
        ResourceProfiles, Sample, ScopeProfiles, Stack, ValueType,
    },
    resource::v1::Resource,
    trace::v1::{
        ResourceSpans, ScopeSpans, Span, Status, TracesData,
        span::{Event, Link, SpanKind},
    },
};
use prost::Message;
use sluice_pipeline::{
    Batch, Chunk, Context, Reply, Signal,
    budget::Budget,
    component::{ComponentConfig, ComponentContext},
    config,
    export::Sender,
};

use super::*;

const START: u64 = 1_581_452_772_000_000_321;
const END: u64 = 1_581_452_773_000_000_789;

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Value::StringValue(value.to_owned()))
}

fn resource() -> Option<Resource> {
    Some(Resource { attributes: vec![text("service.name", "shop")], ..Resource::default() })
}

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope {
        name: "library".to_owned(),
        version: "1.2.3".to_owned(),
        attributes: vec![text("kind", "http")],
        ..InstrumentationScope::default()
    })
}

fn traces() -> TracesData {
    let event = Event {
        time_unix_nano: START,
        name: "exception".to_owned(),
        attributes: vec![text("exception.type", "OutOfStock")],
        dropped_attributes_count: 2,
    };
    let link = Link {
        trace_id: vec![9; 16],
        span_id: vec![8; 8],
        attributes: vec![pair("cause", Value::BoolValue(true))],
        ..Link::default()
    };
    let full = Span {
        trace_id: (1..=16).collect(),
        span_id: (17..=24).collect(),
        parent_span_id: vec![0xab; 8],
        trace_state: "ot=th:0".to_owned(),
        name: "GET /cart".to_owned(),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: START,
        end_time_unix_nano: END,
        attributes: vec![
            text("http.request.method", "GET"),
            pair("http.response.status_code", Value::IntValue(200)),
        ],
        dropped_attributes_count: 1,
        events: vec![event],
        links: vec![link],
        status: Some(Status { message: "no stock".to_owned(), code: 2 }),
        ..Span::default()
    };
    let scope_spans = ScopeSpans {
        scope: scope(),
        spans: vec![full, Span { name: "empty".to_owned(), ..Span::default() }],
        schema_url: "https://example.com/scope".to_owned(),
    };
    TracesData {
        resource_spans: vec![ResourceSpans {
            resource: resource(),
            scope_spans: vec![scope_spans],
            schema_url: "https://example.com/resource".to_owned(),
        }],
    }
}

fn logs() -> LogsData {
    let map = KeyValueList { values: vec![text("b", "2"), text("a", "1")] };
    let record = LogRecord {
        time_unix_nano: END,
        severity_number: 10,
        severity_text: "INFO2".to_owned(),
        body: Some(AnyValue { value: Some(Value::KvlistValue(map)) }),
        attributes: vec![text("app", "server"), pair("load", Value::DoubleValue(0.5))],
        trace_id: (1..=16).collect(),
        span_id: (17..=24).collect(),
        event_name: "checkout".to_owned(),
        flags: 1,
        ..LogRecord::default()
    };
    let lines = LogRecord {
        body: Some(AnyValue { value: Some(Value::StringValue("first\n  second \x1b[2J".to_owned())) }),
        ..LogRecord::default()
    };
    LogsData {
        resource_logs: vec![ResourceLogs {
            resource: resource(),
            scope_logs: vec![ScopeLogs { log_records: vec![record, lines], ..ScopeLogs::default() }],
            ..ResourceLogs::default()
        }],
    }
}

fn metric(name: &str, data: Data) -> Metric {
    Metric { name: name.to_owned(), unit: "1".to_owned(), data: Some(data), ..Metric::default() }
}

fn number_point(value: number_data_point::Value) -> NumberDataPoint {
    NumberDataPoint {
        attributes: vec![text("state", "user"), text("cpu", "0")],
        start_time_unix_nano: START,
        time_unix_nano: END,
        value: Some(value),
        ..NumberDataPoint::default()
    }
}

fn metrics() -> MetricsData {
    let exemplar = Exemplar {
        time_unix_nano: END,
        trace_id: (1..=16).collect(),
        span_id: (17..=24).collect(),
        value: Some(exemplar::Value::AsDouble(15.0)),
        filtered_attributes: vec![text("user", "me")],
    };
    let histogram = HistogramDataPoint {
        time_unix_nano: END,
        count: 1340,
        sum: Some(99.573),
        min: Some(0.017),
        max: Some(8.13),
        explicit_bounds: vec![0.125, 0.5, 1.0],
        bucket_counts: vec![1324, 13, 0, 3],
        exemplars: vec![exemplar],
        ..HistogramDataPoint::default()
    };
    let exponential = ExponentialHistogramDataPoint {
        time_unix_nano: END,
        count: 181,
        sum: Some(99.573),
        scale: 3,
        zero_count: 1,
        negative: Some(Buckets { offset: -2, bucket_counts: vec![10, 20] }),
        positive: Some(Buckets { offset: 1, bucket_counts: vec![40, 50, 60] }),
        ..ExponentialHistogramDataPoint::default()
    };
    let summary = SummaryDataPoint {
        time_unix_nano: END,
        count: 1340,
        sum: 99.573,
        quantile_values: vec![ValueAtQuantile { quantile: 0.01, value: 15.0 }],
        ..SummaryDataPoint::default()
    };
    let gauge = number_point(number_data_point::Value::AsInt(-3));
    let sum = number_point(number_data_point::Value::AsDouble(123.456));
    let metrics = vec![
        metric("gauge", Data::Gauge(Gauge { data_points: vec![gauge] })),
        metric(
            "sum",
            Data::Sum(Sum { data_points: vec![sum], aggregation_temporality: 2, is_monotonic: true }),
        ),
        metric(
            "histogram",
            Data::Histogram(Histogram { data_points: vec![histogram], aggregation_temporality: 1 }),
        ),
        metric(
            "exponential",
            Data::ExponentialHistogram(ExponentialHistogram {
                data_points: vec![exponential],
                aggregation_temporality: 2,
            }),
        ),
        metric("summary", Data::Summary(Summary { data_points: vec![summary] })),
    ];
    MetricsData {
        resource_metrics: vec![ResourceMetrics {
            resource: resource(),
            scope_metrics: vec![ScopeMetrics { scope: scope(), metrics, ..ScopeMetrics::default() }],
            ..ResourceMetrics::default()
        }],
    }
}

fn profiles() -> ProfilesData {
    let strings = ["", "cpu", "nanoseconds", "main", "main.rs", "thread", "bytes"];
    let dictionary = ProfilesDictionary {
        string_table: strings.map(str::to_owned).to_vec(),
        location_table: vec![
            Location::default(),
            Location {
                lines: vec![Line { function_index: 1, line: 12, ..Line::default() }],
                ..Location::default()
            },
            Location { address: 0xbeef, ..Location::default() },
        ],
        function_table: vec![
            Function::default(),
            Function { name_strindex: 3, filename_strindex: 4, ..Function::default() },
        ],
        stack_table: vec![Stack::default(), Stack { location_indices: vec![1, 2, 77] }],
        attribute_table: vec![
            KeyValueAndUnit::default(),
            KeyValueAndUnit {
                key_strindex: 5,
                value: Some(AnyValue { value: Some(Value::IntValue(7)) }),
                unit_strindex: 6,
            },
        ],
        ..ProfilesDictionary::default()
    };
    let sample = Sample { stack_index: 1, values: vec![10, 20], ..Sample::default() };
    let profile = Profile {
        sample_type: Some(ValueType { type_strindex: 1, unit_strindex: 2 }),
        samples: vec![sample],
        time_unix_nano: START,
        duration_nano: 1_000,
        profile_id: (1..=16).collect(),
        attribute_indices: vec![1, 99],
        ..Profile::default()
    };
    ProfilesData {
        resource_profiles: vec![ResourceProfiles {
            resource: resource(),
            scope_profiles: vec![ScopeProfiles {
                scope: scope(),
                profiles: vec![profile],
                ..ScopeProfiles::default()
            }],
            ..ResourceProfiles::default()
        }],
        dictionary: Some(dictionary),
    }
}

fn batch(signal: Signal) -> Batch {
    let (bytes, items) = match signal {
        Signal::Traces => (traces().encode_to_vec(), 2),
        Signal::Metrics => (metrics().encode_to_vec(), 5),
        Signal::Logs => (logs().encode_to_vec(), 2),
        Signal::Profiles => (profiles().encode_to_vec(), 1),
    };
    Batch::new(signal, Chunk::new(bytes.into(), items), Context::default())
}

async fn printed(verbosity: Verbosity, signal: Signal, times: usize) -> String {
    let memory = Arc::new(Mutex::new(Vec::new()));
    let sink = sink::Sink::Paths(Arc::new(Mutex::new(vec![sink::Path::Memory(Arc::clone(&memory))])));
    let config = DebugConfig { verbosity, sampling_thereafter: 0, ..DebugConfig::default() };
    let printer = exporter::Printer::new(&config, sink);
    for _ in 0..times {
        assert_eq!(printer.send(&batch(signal), None).await, Reply::Delivered);
    }
    let bytes = memory.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

/// Compares with a golden file; `SLUICE_BLESS=1` writes it instead.
async fn golden(verbosity: Verbosity, signal: Signal) {
    let name = format!("{verbosity:?}-{signal}.txt").to_lowercase();
    let path = format!("{}/src/debug/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    let printed = printed(verbosity, signal, 1).await;
    if std::env::var_os("SLUICE_BLESS").is_some() {
        std::fs::write(&path, &printed).unwrap();
    }
    assert_eq!(printed, std::fs::read_to_string(&path).unwrap(), "{path}");
}

#[tokio::test]
async fn basic_is_a_line_of_counts() {
    for (signal, expected) in [
        (Signal::Traces, "Traces\t{\"resource spans\": 1, \"spans\": 2}\n"),
        (Signal::Metrics, "Metrics\t{\"resource metrics\": 1, \"metrics\": 5, \"data points\": 5}\n"),
        (Signal::Logs, "Logs\t{\"resource logs\": 1, \"log records\": 2}\n"),
        (Signal::Profiles, "Profiles\t{\"resource profiles\": 1, \"profiles\": 1, \"samples\": 1}\n"),
    ] {
        assert_eq!(printed(Verbosity::Basic, signal, 1).await, expected);
    }
}

#[tokio::test]
async fn normal_is_a_line_for_each_item() {
    for signal in Signal::ALL {
        golden(Verbosity::Normal, signal).await;
    }
}

#[tokio::test]
async fn detailed_is_everything() {
    for signal in Signal::ALL {
        golden(Verbosity::Detailed, signal).await;
    }
}

#[tokio::test]
async fn sampling_thins_out_whole_batches() {
    let printed = printed(Verbosity::Basic, Signal::Logs, 10).await;
    assert_eq!(printed.lines().count(), 2);
}

#[tokio::test]
async fn files_are_added_to() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.txt");
    std::fs::write(&path, "before\n").unwrap();
    let config = DebugConfig {
        use_internal_logger: false,
        output_paths: vec![path.display().to_string()],
        ..DebugConfig::default()
    };
    let component = ComponentContext::detached("debug", Budget::new(u64::MAX));
    let exporter = Debug::build(
        config,
        ExporterContext { component, signal: Signal::Logs, listeners: Default::default() },
    )
    .unwrap();
    sluice_pipeline::outlet::offer(exporter.as_ref(), batch(Signal::Logs)).await;
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, "before\nLogs\t{\"resource logs\": 1, \"log records\": 2}\n");
}

#[tokio::test]
async fn a_sink_that_fails_fails_no_batch() {
    let config = DebugConfig::default();
    let printer = exporter::Printer::new(&config, sink::Sink::to_paths(&["/nowhere/at/all".to_owned()]));
    assert_eq!(printer.send(&batch(Signal::Traces), None).await, Reply::Delivered);
}

fn decoded(yaml: &str) -> DebugConfig {
    let mut problems = config::Problems::default();
    let node = config::parse("test.yaml", yaml, &mut problems).unwrap();
    config::decode(&node, &mut problems).unwrap_or_else(|| panic!("{problems}"))
}

#[test]
fn the_defaults_are_the_collectors() {
    let config = decoded("{}");
    assert_eq!(config.verbosity, Verbosity::Basic);
    assert_eq!((config.sampling_initial, config.sampling_thereafter), (2, 1));
    assert!(config.use_internal_logger && !config.sending_queue.enabled);
    assert_eq!(config.output_paths, ["stdout"]);
    assert!(config.problems().is_empty());
}

#[test]
fn paths_that_would_have_no_effect_are_a_problem() {
    let config = decoded("{output_paths: [stderr]}");
    assert_eq!(config.problems()[0].key, "output_paths");
    let config = decoded("{use_internal_logger: false, output_paths: []}");
    assert_eq!(config.problems()[0].key, "output_paths");
}
