//! Data points as meters and as what runtimes said.

use opentelemetry_proto::tonic::{
    common::v1::InstrumentationScope,
    metrics::v1::{
        Gauge, Histogram, HistogramDataPoint, Metric, MetricsData, NumberDataPoint, ResourceMetrics,
        ScopeMetrics, Sum, Summary, SummaryDataPoint, metric::Data, number_data_point,
        summary_data_point::ValueAtQuantile,
    },
};
use sluice_protocols::skywalking::v3::{JvmMetricCollection, MeterData, meter_data};

use super::*;

fn group(scope: &str, metrics: Vec<Metric>) -> ResourceMetrics {
    ResourceMetrics {
        resource: resource(&[("service.name", "a"), ("service.instance.id", "a-1")]),
        scope_metrics: vec![ScopeMetrics {
            scope: Some(InstrumentationScope { name: scope.to_owned(), ..Default::default() }),
            metrics,
            ..ScopeMetrics::default()
        }],
        ..ResourceMetrics::default()
    }
}

fn metrics(scope: &str, metrics: Vec<Metric>) -> Batch {
    batch(Signal::Metrics, &MetricsData { resource_metrics: vec![group(scope, metrics)] })
}

fn metric(name: &str, data: Data) -> Metric {
    Metric { name: name.to_owned(), data: Some(data), ..Metric::default() }
}

fn point(value: i64, attributes: Vec<KeyValue>) -> NumberDataPoint {
    NumberDataPoint {
        time_unix_nano: 3_000_000,
        attributes,
        value: Some(number_data_point::Value::AsInt(value)),
        ..NumberDataPoint::default()
    }
}

fn gauge(name: &str, data_points: Vec<NumberDataPoint>) -> Metric {
    metric(name, Data::Gauge(Gauge { data_points }))
}

fn histogram(bounds: &[f64], counts: &[u64]) -> Data {
    let point = HistogramDataPoint {
        time_unix_nano: 3_000_000,
        explicit_bounds: bounds.to_vec(),
        bucket_counts: counts.to_vec(),
        ..HistogramDataPoint::default()
    };
    Data::Histogram(Histogram { data_points: vec![point], aggregation_temporality: 2 })
}

fn meters(batch: &Batch) -> Vec<MeterData> {
    sent(batch, &configured("{}"), Method::Meters)
}

#[test]
fn numbers_are_single_values_with_labels() {
    let sum = Sum { data_points: vec![point(5, vec![text("kind", "book")])], ..Sum::default() };
    let sent = meters(&metrics("shop", vec![metric("shop.orders", Data::Sum(sum))]));
    let meter = &sent[0];
    assert_eq!((meter.service.as_str(), meter.service_instance.as_str(), meter.timestamp), ("a", "a-1", 3));
    let Some(meter_data::Metric::SingleValue(single)) = &meter.metric else { panic!("a single value") };
    assert_eq!((single.name.as_str(), single.value), ("shop_orders", 5.0), "rules have names as identifiers");
    assert_eq!((single.labels[0].name.as_str(), single.labels[0].value.as_str()), ("kind", "book"));
    let sent = meters(&metrics("skywalking", vec![gauge("as.it.was", vec![point(0, Vec::new())])]));
    let Some(meter_data::Metric::SingleValue(single)) = &sent[0].metric else { panic!("a single value") };
    assert_eq!(single.name, "as.it.was", "an agent's own name stays");
}

#[test]
fn histograms_have_lower_bounds() {
    let bounds = |metric: Metric| {
        let sent = meters(&metrics("skywalking", vec![metric]));
        let Some(meter_data::Metric::Histogram(histogram)) = sent[0].metric.clone() else {
            panic!("a histogram")
        };
        histogram
            .values
            .iter()
            .map(|value| (value.is_negative_infinity, value.bucket, value.count))
            .collect::<Vec<_>>()
    };
    let whole = metric("h", histogram(&[1.0, 5.0], &[3, 4, 0]));
    assert_eq!(bounds(whole.clone()), [(true, 0.0, 3), (false, 1.0, 4), (false, 5.0, 0)]);
    let bounded =
        Metric { metadata: vec![pair("skywalking.histogram.bounded", Value::BoolValue(true))], ..whole };
    assert_eq!(bounds(bounded), [(false, 1.0, 4), (false, 5.0, 0)]);
    let bucket = |from, count| {
        point(count, vec![text("l", "x"), pair("skywalking.histogram.bucket", Value::DoubleValue(from))])
    };
    let apart = Metric {
        metadata: vec![pair("skywalking.histogram.buckets", Value::BoolValue(true))],
        ..gauge("h", vec![bucket(5.0, 1), bucket(1.0, 2), bucket(f64::NEG_INFINITY, 3)])
    };
    assert_eq!(bounds(apart), [(false, 5.0, 1), (false, 1.0, 2), (true, 0.0, 3)]);
}

#[test]
fn histograms_of_others_begin_where_oap_can_compute_with_them() {
    for (bounds, counts, expected) in [
        (&[1.0, 5.0], &[3, 4, 0], vec![(false, 0.0, 3), (false, 1.0, 4), (false, 5.0, 0)]),
        (&[0.0, 5.0], &[0, 4, 1], vec![(false, 0.0, 4), (false, 5.0, 1)]),
        (&[-1.0, 5.0], &[3, 4, 0], vec![(true, 0.0, 3), (false, -1.0, 4), (false, 5.0, 0)]),
    ] {
        let sent = meters(&metrics("shop", vec![metric("h", histogram(bounds, counts))]));
        let Some(meter_data::Metric::Histogram(histogram)) = &sent[0].metric else { panic!("a histogram") };
        let values = histogram.values.iter();
        let values: Vec<_> =
            values.map(|value| (value.is_negative_infinity, value.bucket, value.count)).collect();
        assert_eq!(values, expected);
    }
}

#[test]
fn summaries_are_a_value_for_each_quantile() {
    let quantile_values = vec![ValueAtQuantile { quantile: 0.5, value: 2.0 }];
    let point = SummaryDataPoint { count: 4, sum: 9.0, quantile_values, ..SummaryDataPoint::default() };
    let sent =
        meters(&metrics("shop", vec![metric("s", Data::Summary(Summary { data_points: vec![point] }))]));
    let names: Vec<_> = sent
        .iter()
        .map(|meter| match &meter.metric {
            Some(meter_data::Metric::SingleValue(single)) => (single.name.as_str(), single.value),
            _ => panic!("single values"),
        })
        .collect();
    assert_eq!(names, [("s_count", 4.0), ("s_sum", 9.0), ("s", 2.0)]);
}

#[test]
fn runtimes_say_what_they_said() {
    let of = |name: &str, key: &str, values: &[(&str, i64)]| {
        gauge(name, values.iter().map(|(value, number)| point(*number, vec![text(key, value)])).collect())
    };
    let one = |name: &str, value| gauge(name, vec![point(value, Vec::new())]);
    let batch = metrics(
        "skywalking.jvm",
        vec![
            one("skywalking.jvm.cpu.usage", 12),
            of("skywalking.jvm.memory.init", "jvm.memory.type", &[("heap", 1), ("non_heap", 2)]),
            of("skywalking.jvm.memory.max", "jvm.memory.type", &[("heap", 3), ("non_heap", 4)]),
            of("skywalking.jvm.memory.used", "jvm.memory.type", &[("heap", 5), ("non_heap", 6)]),
            of("skywalking.jvm.memory.committed", "jvm.memory.type", &[("heap", 7), ("non_heap", 8)]),
            of("skywalking.jvm.gc.count", "jvm.gc.name", &[("OLD", 9)]),
            of("skywalking.jvm.gc.time", "jvm.gc.name", &[("OLD", 10)]),
            one("skywalking.jvm.thread.live", 11),
            of("jvm.thread.count", "jvm.thread.state", &[("runnable", 13), ("waiting", 14)]),
        ],
    );
    let collection: JvmMetricCollection = sent(&batch, &configured("{}"), Method::Jvm).remove(0);
    assert_eq!((collection.service.as_str(), collection.service_instance.as_str()), ("a", "a-1"));
    let jvm = &collection.metrics[0];
    assert_eq!((jvm.time, jvm.cpu.unwrap().usage_percent), (3, 12.0));
    let memory: Vec<_> = jvm
        .memory
        .iter()
        .map(|memory| (memory.is_heap, memory.init, memory.max, memory.used, memory.committed))
        .collect();
    assert_eq!(memory, [(true, 1, 3, 5, 7), (false, 2, 4, 6, 8)]);
    assert_eq!((jvm.gc[0].phase, jvm.gc[0].count, jvm.gc[0].time), (1, 9, 10));
    let thread = jvm.thread.unwrap();
    assert_eq!(
        (thread.live_count, thread.runnable_state_thread_count, thread.waiting_state_thread_count),
        (11, 13, 14)
    );
    assert_eq!(jvm.clazz, None);
}
