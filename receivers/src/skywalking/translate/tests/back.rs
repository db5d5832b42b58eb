//! The way back, written from the page alone: `docs/skywalking-mapping.md`.

use opentelemetry_proto::tonic::{
    common::v1::{KeyValue, any_value::Value},
    logs::v1::{LogRecord, LogsData},
    metrics::v1::{Metric, MetricsData, metric::Data, number_data_point},
    trace::v1::{
        Span, TracesData,
        span::{Event, Link},
    },
};
use prost::Message;
use sluice_protocols::skywalking::v3::{
    Class, Cpu, Gc, GcPhase, JsonLog, JvmMetric, KeyStringValuePair, Label, Log, LogData, LogDataBody,
    LogTags, Memory, MemoryPool, MeterBucketValue, MeterData, MeterHistogram, MeterSingleValue, PoolType,
    RefType, SegmentObject, SegmentReference, SpanLayer, SpanObject, TextLog, Thread, TraceContext, YamlLog,
    log_data_body::Content, meter_data,
};

/// In an order of their own: messages of different services change places.
pub(super) fn sorted<T: Message>(mut messages: Vec<T>) -> Vec<T> {
    messages.sort_by_key(|message| message.encode_to_vec());
    messages
}

/// Takes attributes out of a list; what is left is what the agent chose.
struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn take(&mut self, key: &str) -> Option<Value> {
        let place = self.0.iter().rposition(|attribute| attribute.key == key)?;
        self.0.remove(place).value.and_then(|value| value.value)
    }

    fn text(&mut self, key: &str) -> String {
        match self.take(key) {
            Some(Value::StringValue(text)) => text,
            None => String::new(),
            other => panic!("{key} is {other:?}"),
        }
    }

    fn int(&mut self, key: &str) -> Option<i64> {
        match self.take(key) {
            Some(Value::IntValue(number)) => Some(number),
            None => None,
            other => panic!("{key} is {other:?}"),
        }
    }

    fn small(&mut self, key: &str) -> Option<i32> {
        self.int(key).map(|number| number.try_into().unwrap())
    }

    fn flag(&mut self, key: &str) -> bool {
        self.take(key) == Some(Value::BoolValue(true))
    }

    /// An enum by name or number.
    fn named(&mut self, key: &str, of_name: impl Fn(&str) -> Option<i32>) -> i32 {
        match self.take(key) {
            Some(Value::StringValue(name)) => of_name(&name).unwrap(),
            Some(Value::IntValue(number)) => number.try_into().unwrap(),
            None => 0,
            other => panic!("{key} is {other:?}"),
        }
    }

    fn pairs(self, names: &[(&str, &str)]) -> Vec<KeyStringValuePair> {
        let pair = |attribute: KeyValue| {
            let value = match attribute.value.unwrap().value.unwrap() {
                Value::StringValue(text) => text,
                Value::IntValue(number) => number.to_string(),
                other => panic!("{} is {other:?}", attribute.key),
            };
            let key = match attribute.key.strip_prefix("skywalking.tag.") {
                Some(key) => key.to_owned(),
                None => names
                    .iter()
                    .find(|(_, name)| *name == attribute.key)
                    .map_or(attribute.key.clone(), |(key, _)| (*key).to_owned()),
            };
            KeyStringValuePair { key, value }
        };
        self.0.into_iter().map(pair).collect()
    }
}

fn milliseconds(nanoseconds: u64) -> i64 {
    (nanoseconds / 1_000_000).try_into().unwrap()
}

pub(super) fn raw(record: &LogRecord) -> Vec<u8> {
    match record.body.clone().unwrap().value {
        Some(Value::BytesValue(bytes)) => bytes,
        other => panic!("the body is {other:?}"),
    }
}

pub(super) fn segments(data: TracesData) -> Vec<SegmentObject> {
    let mut segments: Vec<SegmentObject> = Vec::new();
    for group in data.resource_spans {
        let mut resource = Attributes(group.resource.unwrap_or_default().attributes);
        let service = resource.text("service.name");
        let instance = resource.text("service.instance.id");
        assert!(resource.0.is_empty());
        for one in group.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let (header, span) = span(one);
            let known = segments.last_mut().filter(|last| last.trace_segment_id == header.trace_segment_id);
            match known {
                Some(segment) => segment.spans.push(span),
                None => segments.push(SegmentObject {
                    spans: vec![span],
                    service: service.clone(),
                    service_instance: instance.clone(),
                    ..header
                }),
            }
        }
    }
    segments
}

fn span(span: Span) -> (SegmentObject, SpanObject) {
    let mut attributes = Attributes(span.attributes);
    let header = SegmentObject {
        trace_id: attributes.text("sw8.trace_id"),
        trace_segment_id: attributes.text("sw8.segment_id"),
        is_size_limited: attributes.flag("skywalking.size_limited"),
        ..Default::default()
    };
    let (address, port) =
        if span.kind == 2 { ("client.address", "client.port") } else { ("server.address", "server.port") };
    let peer = match (attributes.text(address), attributes.int(port)) {
        (address, None) => address,
        (address, Some(port)) if address.contains(':') => format!("[{address}]:{port}"),
        (address, Some(port)) => format!("{address}:{port}"),
    };
    let span_type = match span.kind {
        0 => attributes.small("skywalking.span_type").unwrap(),
        2 | 5 => 0,
        3 | 4 => 1,
        _ => 2,
    };
    let object = SpanObject {
        span_id: attributes.small("sw8.span_id").unwrap(),
        parent_span_id: attributes.small("sw8.parent_span_id").unwrap_or(-1),
        start_time: milliseconds(span.start_time_unix_nano),
        end_time: milliseconds(span.end_time_unix_nano),
        refs: span.links.into_iter().map(reference).collect(),
        operation_name: span.name,
        peer,
        span_type,
        span_layer: attributes
            .named("skywalking.span_layer", |name| SpanLayer::from_str_name(name).map(|layer| layer as i32)),
        component_id: attributes.small("skywalking.component_id").unwrap_or(0),
        is_error: span.status.is_some_and(|status| status.code == 2),
        skip_analysis: attributes.flag("skywalking.skip_analysis"),
        logs: span.events.into_iter().map(event).collect(),
        tags: attributes.pairs(&[
            ("url", "url.full"),
            ("http.method", "http.request.method"),
            ("http.status_code", "http.response.status_code"),
            ("db.type", "db.system.name"),
            ("db.instance", "db.namespace"),
            ("db.statement", "db.query.text"),
        ]),
    };
    (header, object)
}

fn event(event: Event) -> Log {
    let names: &[(&str, &str)] = match event.name.as_str() {
        "exception" => &[
            ("error.kind", "exception.type"),
            ("message", "exception.message"),
            ("stack", "exception.stacktrace"),
        ],
        "logs" => &[],
        other => panic!("an event {other}"),
    };
    Log { time: milliseconds(event.time_unix_nano), data: Attributes(event.attributes).pairs(names) }
}

fn reference(link: Link) -> SegmentReference {
    let mut attributes = Attributes(link.attributes);
    let reference = SegmentReference {
        ref_type: attributes.named("refType", |name| RefType::from_str_name(name).map(|kind| kind as i32)),
        trace_id: attributes.text("sw8.trace_id"),
        parent_trace_segment_id: attributes.text("sw8.parent_segment_id"),
        parent_span_id: attributes.small("sw8.parent_span_id").unwrap(),
        parent_service: attributes.text("parent.service"),
        parent_service_instance: attributes.text("parent.service.instance"),
        parent_endpoint: attributes.text("parent.endpoint"),
        network_address_used_at_peer: attributes.text("network.AddressUsedAtPeer"),
    };
    assert!(attributes.0.is_empty());
    reference
}

pub(super) fn logs(data: LogsData) -> Vec<LogData> {
    let mut logs = Vec::new();
    for group in data.resource_logs {
        let resource = group.resource.unwrap_or_default().attributes;
        for record in group.scope_logs.into_iter().flat_map(|scope| scope.log_records) {
            let mut resource = Attributes(resource.clone());
            logs.push(LogData {
                service: resource.text("service.name"),
                service_instance: resource.text("service.instance.id"),
                layer: resource.text("service.layer"),
                ..log(record)
            });
        }
    }
    logs
}

fn log(record: LogRecord) -> LogData {
    let mut attributes = Attributes(record.attributes);
    let format = attributes.text("skywalking.log.format");
    let content = record.body.and_then(|body| body.value).map(|value| match (value, format.as_str()) {
        (Value::StringValue(text), "") => Content::Text(TextLog { text }),
        (Value::StringValue(json), "json") => Content::Json(JsonLog { json }),
        (Value::StringValue(yaml), "yaml") => Content::Yaml(YamlLog { yaml }),
        other => panic!("a body of {other:?}"),
    });
    let body = LogDataBody { r#type: attributes.text("skywalking.log.type"), content };
    let context = TraceContext {
        trace_id: attributes.text("sw8.trace_id"),
        trace_segment_id: attributes.text("sw8.segment_id"),
        span_id: attributes.small("sw8.span_id").unwrap_or(0),
    };
    let endpoint = attributes.text("skywalking.endpoint");
    let tags = attributes.pairs(&[]);
    LogData {
        timestamp: milliseconds(record.time_unix_nano),
        endpoint,
        body: (body != LogDataBody::default()).then_some(body),
        trace_context: (context != TraceContext::default()).then_some(context),
        tags: (!tags.is_empty()).then_some(LogTags { data: tags }),
        ..Default::default()
    }
}

pub(super) fn meters(data: MetricsData) -> Vec<MeterData> {
    let mut meters = Vec::new();
    for group in data.resource_metrics {
        let mut resource = Attributes(group.resource.unwrap_or_default().attributes);
        let (service, service_instance) =
            (resource.text("service.name"), resource.text("service.instance.id"));
        for metric in group.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
            let (metric, timestamp) = meter(metric);
            meters.push(MeterData {
                metric: Some(metric),
                service: service.clone(),
                service_instance: service_instance.clone(),
                timestamp,
            });
        }
    }
    meters
}

fn labels(attributes: Vec<KeyValue>) -> Vec<Label> {
    let pairs = Attributes(attributes).pairs(&[]);
    pairs.into_iter().map(|pair| Label { name: pair.key, value: pair.value }).collect()
}

fn meter(metric: Metric) -> (meter_data::Metric, i64) {
    let is = |key: &str| metric.metadata.iter().any(|entry| entry.key == key);
    let name = metric.name.clone();
    match metric.data.clone().unwrap() {
        Data::Gauge(gauge) if is("skywalking.histogram.buckets") => {
            let time = milliseconds(gauge.data_points[0].time_unix_nano);
            let mut shared = Vec::new();
            let values = gauge.data_points.into_iter().map(|mut point| {
                let bound = match point.attributes.pop().unwrap().value.unwrap().value {
                    Some(Value::DoubleValue(bound)) => bound,
                    other => panic!("a bound of {other:?}"),
                };
                shared = labels(point.attributes);
                let Some(number_data_point::Value::AsInt(count)) = point.value else { panic!("no count") };
                let is_negative_infinity = bound == f64::NEG_INFINITY;
                let bucket = if is_negative_infinity { 0.0 } else { bound };
                MeterBucketValue { bucket, count, is_negative_infinity }
            });
            let values = values.collect();
            (meter_data::Metric::Histogram(MeterHistogram { name, labels: shared, values }), time)
        }
        Data::Gauge(mut gauge) => {
            let point = gauge.data_points.remove(0);
            let Some(number_data_point::Value::AsDouble(value)) = point.value else { panic!("no value") };
            let single = MeterSingleValue { name, labels: labels(point.attributes), value };
            (meter_data::Metric::SingleValue(single), milliseconds(point.time_unix_nano))
        }
        Data::Histogram(mut histogram) => {
            let point = histogram.data_points.remove(0);
            let lowest = (!is("skywalking.histogram.bounded")).then_some((0.0, true));
            let bounds = point.explicit_bounds.iter().map(|bound| (*bound, false));
            let counts = point.bucket_counts.iter().skip(usize::from(lowest.is_none()));
            let values = lowest
                .into_iter()
                .chain(bounds)
                .zip(counts)
                .map(|((bucket, is_negative_infinity), count)| MeterBucketValue {
                    bucket,
                    count: (*count).try_into().unwrap(),
                    is_negative_infinity,
                })
                .collect();
            let time = milliseconds(point.time_unix_nano);
            (
                meter_data::Metric::Histogram(MeterHistogram {
                    name,
                    labels: labels(point.attributes),
                    values,
                }),
                time,
            )
        }
        other => panic!("a meter of {other:?}"),
    }
}

/// Those that have anything to say.
pub(super) fn with_content(metrics: Vec<JvmMetric>) -> Vec<JvmMetric> {
    metrics.into_iter().filter(|jvm| JvmMetric { time: 0, ..jvm.clone() } != JvmMetric::default()).collect()
}

pub(super) fn jvm(data: MetricsData) -> Vec<JvmMetric> {
    let scopes = data.resource_metrics.into_iter().flat_map(|group| group.scope_metrics);
    scopes
        .map(|scope| {
            assert_eq!(scope.scope.unwrap().name, "skywalking.jvm");
            let mut jvm = JvmMetric::default();
            scope.metrics.into_iter().for_each(|metric| add(&mut jvm, metric));
            jvm
        })
        .collect()
}

fn add(jvm: &mut JvmMetric, metric: Metric) {
    let Some(Data::Gauge(gauge)) = metric.data else { panic!("no gauge") };
    for (place, point) in gauge.data_points.into_iter().enumerate() {
        jvm.time = milliseconds(point.time_unix_nano);
        let mut attributes = Attributes(point.attributes);
        let value = match point.value.unwrap() {
            number_data_point::Value::AsDouble(value) => {
                jvm.cpu = Some(Cpu { usage_percent: value });
                continue;
            }
            number_data_point::Value::AsInt(value) => value,
        };
        match metric.name.rsplit_once('.').unwrap() {
            ("skywalking.jvm.memory", part) => {
                let memory = entry(&mut jvm.memory, place);
                memory.is_heap = attributes.text("jvm.memory.type") == "heap";
                let Memory { init, max, used, committed, .. } = memory;
                *[("init", init), ("max", max), ("used", used), ("committed", committed)]
                    .into_iter()
                    .find(|(name, _)| *name == part)
                    .unwrap()
                    .1 = value;
            }
            ("jvm.memory", part) => {
                let pool = entry(&mut jvm.memory_pool, place);
                pool.r#type = attributes.named("jvm.memory.pool.name", |name| {
                    PoolType::from_str_name(name).map(|pool| pool as i32)
                });
                let MemoryPool { init, max, used, committed, .. } = pool;
                *[("init", init), ("limit", max), ("used", used), ("committed", committed)]
                    .into_iter()
                    .find(|(name, _)| *name == part)
                    .unwrap()
                    .1 = value;
            }
            ("skywalking.jvm.gc", part) => {
                let gc: &mut Gc = entry(&mut jvm.gc, place);
                gc.phase = attributes
                    .named("jvm.gc.name", |name| GcPhase::from_str_name(name).map(|phase| phase as i32));
                *(if part == "count" { &mut gc.count } else { &mut gc.time }) = value;
            }
            ("skywalking.jvm.thread", part) => {
                let thread: &mut Thread = jvm.thread.get_or_insert_default();
                match part {
                    "live" => thread.live_count = value,
                    "daemon" => thread.daemon_count = value,
                    _ => thread.peak_count = value,
                }
            }
            ("jvm.thread", _) => {
                let thread = jvm.thread.get_or_insert_default();
                match attributes.text("jvm.thread.state").as_str() {
                    "runnable" => thread.runnable_state_thread_count = value,
                    "blocked" => thread.blocked_state_thread_count = value,
                    "waiting" => thread.waiting_state_thread_count = value,
                    _ => thread.timed_waiting_state_thread_count = value,
                }
            }
            ("jvm.class", part) => {
                let class: &mut Class = jvm.clazz.get_or_insert_default();
                match part {
                    "count" => class.loaded_class_count = value,
                    "unloaded" => class.total_unloaded_class_count = value,
                    _ => class.total_loaded_class_count = value,
                }
            }
            other => panic!("a metric {other:?}"),
        }
    }
}

fn entry<T: Default>(entries: &mut Vec<T>, place: usize) -> &mut T {
    while entries.len() <= place {
        entries.push(T::default());
    }
    &mut entries[place]
}
