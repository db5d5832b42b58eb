//! Messages of every shape.

use proptest::{collection::vec, option, prelude::*};
use sluice_protocols::skywalking::v3::{
    Class, Cpu, Gc, JsonLog, JvmMetric, JvmMetricCollection, KeyStringValuePair, Label, Log, LogData,
    LogDataBody, LogTags, Memory, MemoryPool, MeterBucketValue, MeterData, MeterHistogram, MeterSingleValue,
    SegmentObject, SegmentReference, SpanObject, TextLog, Thread, TraceContext, YamlLog,
    log_data_body::Content, meter_data::Metric,
};

fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-zäß/.:-]{0,12}", 1 => Just(String::new())]
}

fn filled() -> impl Strategy<Value = String> {
    "[a-z0-9]{1,12}"
}

/// Keys as agents choose them, and those that the mapping uses itself.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z.]{0,8}",
        proptest::sample::select(vec![
            "url",
            "url.full",
            "http.method",
            "http.status_code",
            "http.response.status_code",
            "db.type",
            "db.namespace",
            "server.address",
            "server.port",
            "client.port",
            "sw8.trace_id",
            "skywalking.tag.url",
            "skywalking.component_id",
            "error.kind",
            "message",
            "stack",
            "exception.type",
            "exception.message",
            "level",
            "sluice.event.end_unix_nano",
        ])
        .prop_map(str::to_owned),
    ]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![text(), "[0-9+-]{1,4}", Just("200".to_owned())]
}

fn pair() -> impl Strategy<Value = KeyStringValuePair> {
    (key(), value()).prop_map(|(key, value)| KeyStringValuePair { key, value })
}

fn time() -> impl Strategy<Value = i64> {
    0..4_000_000_000_000_i64
}

fn peer() -> impl Strategy<Value = String> {
    prop_oneof![
        text(),
        "[a-z0-9.]{0,6}:[0-9]{0,6}",
        "\\[[0-9a-f:]{0,6}\\]:[0-9]{1,5}",
        Just("a:1,b:2".to_owned()),
        Just("::1".to_owned()),
    ]
}

fn reference() -> impl Strategy<Value = SegmentReference> {
    ((0..4, text(), text(), -2..5), (text(), text(), text(), text())).prop_map(
        |((ref_type, trace_id, parent_trace_segment_id, parent_span_id), names)| SegmentReference {
            ref_type,
            trace_id,
            parent_trace_segment_id,
            parent_span_id,
            parent_service: names.0,
            parent_service_instance: names.1,
            parent_endpoint: names.2,
            network_address_used_at_peer: names.3,
        },
    )
}

fn span() -> impl Strategy<Value = SpanObject> {
    (
        (-2..6, -2..6, time(), time()),
        (text(), peer(), -1..5, -1..9, any::<i32>()),
        (any::<bool>(), any::<bool>()),
        (vec(reference(), 0..3), vec(pair(), 0..6), vec((time(), vec(pair(), 0..5)), 0..3)),
    )
        .prop_map(|(numbers, names, flags, lists)| SpanObject {
            span_id: numbers.0,
            parent_span_id: numbers.1,
            start_time: numbers.2,
            end_time: numbers.3,
            operation_name: names.0,
            peer: names.1,
            span_type: names.2,
            span_layer: names.3,
            component_id: names.4,
            is_error: flags.0,
            skip_analysis: flags.1,
            refs: lists.0,
            tags: lists.1,
            logs: lists.2.into_iter().map(|(time, data)| Log { time, data }).collect(),
        })
}

/// Segments of different ids, each with a span at least.
pub(super) fn segment() -> impl Strategy<Value = SegmentObject> {
    (text(), filled(), text(), text(), any::<bool>(), any::<u64>(), vec(span(), 1..4)).prop_map(
        |(trace_id, id, service, service_instance, is_size_limited, unique, spans)| SegmentObject {
            trace_id,
            trace_segment_id: format!("{id}{unique}"),
            spans,
            service,
            service_instance,
            is_size_limited,
        },
    )
}

/// Logs with a service; what is empty is absent.
pub(super) fn log() -> impl Strategy<Value = LogData> {
    let content = prop_oneof![
        text().prop_map(|text| Content::Text(TextLog { text })),
        text().prop_map(|json| Content::Json(JsonLog { json })),
        text().prop_map(|yaml| Content::Yaml(YamlLog { yaml })),
    ];
    let body = (text(), option::of(content)).prop_map(|(r#type, content)| LogDataBody { r#type, content });
    let context = (text(), text(), any::<i32>()).prop_map(|(trace_id, trace_segment_id, span_id)| {
        TraceContext { trace_id, trace_segment_id, span_id }
    });
    (
        (time(), filled(), text(), text(), text()),
        option::of(body),
        option::of(context),
        option::of(vec(pair(), 0..4)),
    )
        .prop_map(|(names, body, trace_context, tags)| LogData {
            timestamp: names.0,
            service: names.1,
            service_instance: names.2,
            endpoint: names.3,
            layer: names.4,
            body: body.filter(|body| *body != LogDataBody::default()),
            trace_context: trace_context.filter(|context| *context != TraceContext::default()),
            tags: tags.filter(|tags| !tags.is_empty()).map(|data| LogTags { data }),
        })
}

fn bucket() -> impl Strategy<Value = MeterBucketValue> {
    (-3i32..9, -1..9i64, proptest::bool::weighted(0.2)).prop_map(|(bound, count, is_negative_infinity)| {
        let bucket = if is_negative_infinity { 0.0 } else { bound.into() };
        MeterBucketValue { bucket, count, is_negative_infinity }
    })
}

/// Meters that say all themselves; buckets in order and not.
pub(super) fn meter() -> impl Strategy<Value = MeterData> {
    let labels = || {
        vec((key(), value()), 0..3).prop_map(|labels| {
            labels.into_iter().map(|(name, value)| Label { name, value }).collect::<Vec<_>>()
        })
    };
    let regular = vec((1u8..9, 0..9i64), 0..4).prop_map(|steps| {
        let mut bound = 0;
        let mut next = |(step, count): (u8, i64)| {
            bound += i32::from(step);
            MeterBucketValue { bucket: bound.into(), count, is_negative_infinity: false }
        };
        steps.into_iter().map(&mut next).collect::<Vec<_>>()
    });
    let values = prop_oneof![
        regular.clone(),
        regular.prop_map(|mut buckets| {
            buckets.insert(0, MeterBucketValue { bucket: 0.0, count: 2, is_negative_infinity: true });
            buckets
        }),
        vec(bucket(), 0..4),
    ];
    let metric = prop_oneof![
        (text(), labels(), any::<i32>()).prop_map(|(name, labels, value)| {
            Metric::SingleValue(MeterSingleValue { name, labels, value: f64::from(value) / 4.0 })
        }),
        (text(), labels(), values).prop_map(|(name, labels, values)| Metric::Histogram(MeterHistogram {
            name,
            labels,
            values
        })),
    ];
    (filled(), filled(), 1..4_000_000_000_000_i64, metric).prop_map(
        |(service, service_instance, timestamp, metric)| MeterData {
            metric: Some(metric),
            service,
            service_instance,
            timestamp,
        },
    )
}

pub(super) fn jvm() -> impl Strategy<Value = JvmMetricCollection> {
    let number = || -1..5i64;
    let four = move || (number(), number(), number(), number());
    let memory = (any::<bool>(), four()).prop_map(|(is_heap, (init, max, used, committed))| Memory {
        is_heap,
        init,
        max,
        used,
        committed,
    });
    let pool = (0..13, four()).prop_map(|(r#type, (init, max, used, committed))| MemoryPool {
        r#type,
        init,
        max,
        used,
        committed,
    });
    let gc = (0..5, number(), number()).prop_map(|(phase, count, time)| Gc { phase, count, time });
    let thread = (four(), (number(), number(), number())).prop_map(|(one, other)| Thread {
        live_count: one.0,
        daemon_count: one.1,
        peak_count: one.2,
        runnable_state_thread_count: one.3,
        blocked_state_thread_count: other.0,
        waiting_state_thread_count: other.1,
        timed_waiting_state_thread_count: other.2,
    });
    let class = (number(), number(), number()).prop_map(|(loaded, unloaded, all)| Class {
        loaded_class_count: loaded,
        total_unloaded_class_count: unloaded,
        total_loaded_class_count: all,
    });
    let cpu = any::<i32>().prop_map(|value| Cpu { usage_percent: f64::from(value) / 8.0 });
    let metric = (
        time(),
        option::of(cpu),
        (vec(memory, 0..3), vec(pool, 0..4), vec(gc, 0..3)),
        option::of(thread),
        option::of(class),
    )
        .prop_map(|(time, cpu, (memory, memory_pool, gc), thread, clazz)| JvmMetric {
            time,
            cpu,
            memory,
            memory_pool,
            gc,
            thread,
            clazz,
        });
    (text(), text(), vec(metric, 0..4)).prop_map(|(service, service_instance, metrics)| JvmMetricCollection {
        metrics,
        service,
        service_instance,
    })
}
