use opentelemetry_proto::tonic::{
    common::v1::InstrumentationScope,
    metrics::v1::{
        ExponentialHistogram, ExponentialHistogramDataPoint, Metric, MetricsData, ResourceMetrics,
        ScopeMetrics, Summary, SummaryDataPoint, exponential_histogram_data_point::Buckets, metric::Data,
        summary_data_point::ValueAtQuantile,
    },
};
use proptest::prelude::*;
use prost::Message;
use sluice_pipeline::{Batch, Chunk, Context, Signal};
use sluice_protocols::{
    prometheus::STALE,
    protobuf::{write_bytes, write_message},
};

use super::{fixture::*, messages::*};
use crate::{
    prometheus_model::ResourceConversion,
    prometheusremotewrite::{RemoteWriteKeys, refusal::Refusal, request::requests, translate::Translator},
};

const AT: &str = "@1700000000000";

fn exponential(points: Vec<ExponentialHistogramDataPoint>) -> Metric {
    let data = ExponentialHistogram { data_points: points, aggregation_temporality: CUMULATIVE };
    metric("spread", "s", Data::ExponentialHistogram(data))
}

fn spread(scale: i32, offset: i32, counts: Vec<u64>) -> ExponentialHistogramDataPoint {
    ExponentialHistogramDataPoint {
        start_time_unix_nano: TIME - 60 * SECOND,
        time_unix_nano: TIME,
        count: counts.iter().sum(),
        sum: Some(7.5),
        scale,
        positive: Some(Buckets { offset, bucket_counts: counts }),
        ..ExponentialHistogramDataPoint::default()
    }
}

fn ranked(flags: u32) -> Metric {
    let point = SummaryDataPoint {
        time_unix_nano: TIME,
        count: 4,
        sum: 10.0,
        flags,
        quantile_values: vec![
            ValueAtQuantile { quantile: 0.99, value: 5.0 },
            ValueAtQuantile { quantile: 0.5, value: 2.5 },
        ],
        ..SummaryDataPoint::default()
    };
    metric("ranked", "", Data::Summary(Summary { data_points: vec![point] }))
}

/// The only series of a request of version 1.0.
fn single(batch: &Batch) -> TimeSeries {
    let made = make(batch, |_| {});
    assert_eq!((made.bodies.len(), made.refused), (1, vec![]));
    let [series] = WriteRequest::decode(made.bodies[0].as_slice()).unwrap().timeseries.try_into().unwrap();
    series
}

#[test]
fn numbers_are_samples_under_prometheus_names() {
    let orders =
        sum("shop.orders", CUMULATIVE, true, vec![point(1, TIME, 3.0, &[("Zone", "a"), ("state", "paid")])]);
    let rooms = gauge("temperature", "Cel", vec![point(0, TIME, f64::NEG_INFINITY, &[("le", "x")])]);
    assert_eq!(
        lines(&batch(vec![orders, rooms]), |keys| keys.namespace = "app".to_owned()),
        [
            format!("app_shop_orders_total{{Zone=\"a\",state=\"paid\"}} 3 {AT}"),
            format!("app_temperature_celsius{{le=\"x\"}} -inf {AT}"),
        ]
    );
    let plain = |keys: &mut RemoteWriteKeys| keys.add_metric_suffixes = false;
    let rooms = gauge("temperature", "Cel", vec![point(0, TIME, 1.5, &[])]);
    assert_eq!(lines(&batch(vec![rooms]), plain), [format!("temperature{{}} 1.5 {AT}")]);
}

#[test]
fn histograms_are_cumulative_buckets_with_sum_and_count() {
    let latency = buckets(TIME - SECOND, TIME, &[0.1, 1.0], &[1, 2, 4], 6.3);
    assert_eq!(
        lines(&batch(vec![histogram("latency", CUMULATIVE, vec![latency])]), |_| {}),
        [
            format!("latency_seconds_bucket{{le=\"0.1\"}} 1 {AT}"),
            format!("latency_seconds_bucket{{le=\"1\"}} 3 {AT}"),
            format!("latency_seconds_bucket{{le=\"+Inf\"}} 7 {AT}"),
            format!("latency_seconds_sum{{}} 6.3 {AT}"),
            format!("latency_seconds_count{{}} 7 {AT}"),
        ]
    );
}

#[test]
fn summaries_are_quantiles_with_sum_and_count() {
    assert_eq!(
        lines(&batch(vec![ranked(0)]), |_| {}),
        [
            format!("ranked{{quantile=\"0.5\"}} 2.5 {AT}"),
            format!("ranked{{quantile=\"0.99\"}} 5 {AT}"),
            format!("ranked_sum{{}} 10 {AT}"),
            format!("ranked_count{{}} 4 {AT}"),
        ]
    );
}

#[test]
fn exponential_histograms_are_native_ones() {
    let mut point = spread(0, 0, vec![2, 0, 0, 0, 4, 2]);
    point.negative = Some(Buckets { offset: -1, bucket_counts: vec![1] });
    point.zero_count = 3;
    point.count += 4;
    let series = single(&batch(vec![exponential(vec![point])]));
    assert_eq!((series.name().as_str(), series.samples.len()), ("spread_seconds{}", 0));
    let [histogram] = series.histograms.try_into().unwrap();
    let span = |offset, length| Span { offset, length };
    assert_eq!(
        histogram,
        Histogram {
            count: 12,
            sum: 7.5,
            schema: 0,
            zero_threshold: 1e-128,
            zero_count: 3,
            negative_spans: vec![span(0, 1)],
            negative_deltas: vec![1],
            positive_spans: vec![span(1, 1), span(3, 2)],
            positive_deltas: vec![2, 2, -2],
            timestamp: 1_700_000_000_000,
            start_timestamp: 0,
        }
    );
}

#[test]
fn huge_exponential_histograms_are_made_coarser() {
    let series = single(&batch(vec![exponential(vec![spread(20, -9000, vec![1; 16_000])])]));
    let [histogram] = series.histograms.try_into().unwrap();
    assert!((-4..=8).contains(&histogram.schema));
    let length: u32 = histogram.positive_spans.iter().map(|span| span.length).sum();
    assert!(length <= 1024 && length as usize == histogram.positive_deltas.len());
    let mut count = 0;
    let total: i64 = histogram
        .positive_deltas
        .iter()
        .map(|delta| {
            count += delta;
            count
        })
        .sum();
    assert_eq!((total, histogram.count), (16_000, 16_000));
}

#[test]
fn series_that_have_ended_get_the_stale_marker() {
    let mut gone = point(0, TIME, 3.0, &[]);
    gone.flags = 1;
    let mut empty = point(0, TIME, 3.0, &[]);
    (empty.flags, empty.value) = (1, None);
    let mut latency = buckets(0, TIME, &[0.1], &[], 0.0);
    latency.flags = 1;
    let mut native = spread(0, 0, vec![]);
    native.flags = 1;
    let metrics = vec![
        gauge("rooms", "", vec![gone]),
        sum("orders", CUMULATIVE, true, vec![empty]),
        histogram("latency", CUMULATIVE, vec![latency]),
        ranked(1),
        exponential(vec![native]),
    ];
    let made = make(&batch_of(&[("service.name", "shop"), ("host.name", "box")], metrics), |_| {});
    assert_eq!(made.refused, []);
    let series = WriteRequest::decode(made.bodies[0].as_slice()).unwrap().timeseries;
    let names: Vec<String> = series.iter().map(TimeSeries::name).collect();
    assert_eq!(
        names,
        [
            "rooms{job=\"shop\"}",
            "orders_total{job=\"shop\"}",
            "latency_seconds_bucket{job=\"shop\",le=\"0.1\"}",
            "latency_seconds_bucket{job=\"shop\",le=\"+Inf\"}",
            "latency_seconds_sum{job=\"shop\"}",
            "latency_seconds_count{job=\"shop\"}",
            "ranked{job=\"shop\",quantile=\"0.5\"}",
            "ranked{job=\"shop\",quantile=\"0.99\"}",
            "ranked_sum{job=\"shop\"}",
            "ranked_count{job=\"shop\"}",
            "spread_seconds{job=\"shop\"}",
        ],
        "and no target_info of a target that has ended"
    );
    for series in &series {
        assert!(series.samples.iter().all(|sample| sample.value.to_bits() == STALE.to_bits()), "{series:?}");
    }
    assert_eq!(series[10].histograms[0].sum.to_bits(), 0x7ff0_0000_0000_0002);
}

#[test]
fn exemplars_stand_with_the_bucket_of_their_value() {
    let mut latency = buckets(0, TIME, &[0.1, 1.0], &[1, 2, 4], 6.3);
    latency.exemplars = vec![measured(0.5, TIME + SECOND), measured(0.4, TIME), measured(9.0, 0)];
    let mut paid = point(1, TIME, 3.0, &[]);
    paid.exemplars = vec![measured(1.0, TIME)];
    let mut native = spread(0, 0, vec![2]);
    native.exemplars = vec![measured(1.5, TIME)];
    let metrics = vec![
        histogram("latency", CUMULATIVE, vec![latency]),
        sum("orders", CUMULATIVE, true, vec![paid.clone()]),
        gauge("rooms", "", vec![paid]),
        exponential(vec![native]),
    ];
    let made = make(&batch(metrics), |_| {});
    let series = WriteRequest::decode(made.bodies[0].as_slice()).unwrap().timeseries;
    let told: Vec<(String, Vec<(f64, i64)>)> = series
        .iter()
        .filter(|series| !series.exemplars.is_empty())
        .map(|series| {
            let exemplars = series.exemplars.iter();
            (series.name(), exemplars.map(|exemplar| (exemplar.value, exemplar.timestamp)).collect())
        })
        .collect();
    let time = 1_700_000_000_000;
    let expected = [
        ("latency_seconds_bucket{le=\"1\"}", vec![(0.4, time), (0.5, time + 1000)]),
        ("latency_seconds_bucket{le=\"+Inf\"}", vec![(9.0, time)]),
        ("orders_total{}", vec![(1.0, time)]),
        ("spread_seconds{}", vec![(1.5, time)]),
    ];
    assert_eq!(told, expected.map(|(name, exemplars)| (name.to_owned(), exemplars)));
    let labels: Vec<(&str, &str)> =
        series[1].exemplars[0].labels.iter().map(|label| (&*label.name, &*label.value)).collect();
    assert_eq!(labels, [("span_id", "0102030405060708"), ("trace_id", "0102030405060708090a0b0c0d0e0f10")]);
}

#[test]
fn resources_are_job_instance_and_target_info() {
    let resource = [
        ("service.namespace", "eu"),
        ("service.name", "shop"),
        ("service.instance.id", "7"),
        ("host.name", "box"),
    ];
    let metrics = || {
        let early = gauge("early", "", vec![point(0, TIME - SECOND, 1.0, &[])]);
        vec![gauge("rooms", "", vec![point(0, TIME, 1.0, &[("job", "mine")])]), early]
    };
    let identity = "instance=\"7\",job=\"eu/shop\"";
    let external = |keys: &mut RemoteWriteKeys| {
        keys.external_labels = [("__replica__", "a"), ("job", "other"), ("zone", "b")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    };
    assert_eq!(
        lines(&batch_of(&resource, metrics()), external),
        [
            format!("rooms{{__replica__=\"a\",exported_job=\"mine\",{identity},zone=\"b\"}} 1 {AT}"),
            format!("early{{__replica__=\"a\",{identity},zone=\"b\"}} 1 @1699999999000"),
            format!("target_info{{__replica__=\"a\",host_name=\"box\",{identity},zone=\"b\"}} 1 {AT}"),
        ],
        "an external label gives way to one of the series"
    );
    let converted = |keys: &mut RemoteWriteKeys| {
        keys.target_info.enabled = false;
        keys.resource_to_telemetry_conversion =
            ResourceConversion { enabled: true, exclude_service_attributes: true };
    };
    assert_eq!(
        lines(&batch_of(&resource, metrics()), converted),
        [
            format!("rooms{{exported_job=\"mine\",host_name=\"box\",{identity}}} 1 {AT}"),
            format!("early{{host_name=\"box\",{identity}}} 1 @1699999999000"),
        ]
    );
}

#[test]
fn target_info_does_not_go_back_in_time() {
    let resource = [("service.name", "shop"), ("host.name", "box")];
    let keys = RemoteWriteKeys::default();
    let translator = Translator::new(&keys);
    let mut times = Vec::new();
    for time in [TIME, TIME - SECOND, TIME + SECOND] {
        let batch = batch_of(&resource, vec![gauge("rooms", "", vec![point(0, time, 1.0, &[])])]);
        let body = make_with(&translator, &keys, &batch).bodies.remove(0);
        let series = WriteRequest::decode(body.as_slice()).unwrap().timeseries;
        let targets = series.iter().filter(|series| series.name().starts_with("target_info"));
        times.extend(targets.map(|target| target.samples[0].timestamp));
    }
    assert_eq!(times, [1_700_000_000_000, 1_700_000_001_000]);
}

#[test]
fn scopes_are_labels_unless_they_are_left_out() {
    let scoped = |metrics| {
        let scope =
            InstrumentationScope { name: "lib".to_owned(), version: "2".to_owned(), ..Default::default() };
        let data = MetricsData {
            resource_metrics: vec![ResourceMetrics {
                scope_metrics: vec![ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() }],
                ..ResourceMetrics::default()
            }],
        };
        Batch::new(Signal::Metrics, Chunk::new(data.encode_to_vec().into(), 1), Context::default())
    };
    let metrics = || vec![gauge("rooms", "", vec![point(0, TIME, 1.0, &[])])];
    assert_eq!(
        lines(&scoped(metrics()), |_| {}),
        [format!("rooms{{otel_scope_name=\"lib\",otel_scope_version=\"2\"}} 1 {AT}")]
    );
    assert_eq!(
        lines(&scoped(metrics()), |keys| keys.disable_scope_info = true),
        [format!("rooms{{}} 1 {AT}")]
    );
}

#[test]
fn created_series_tell_when_counting_began() {
    let created = |keys: &mut RemoteWriteKeys| keys.export_created_metric.enabled = true;
    let metrics = vec![
        sum("orders", CUMULATIVE, true, vec![point(TIME - SECOND, TIME, 3.0, &[])]),
        histogram("latency", CUMULATIVE, vec![buckets(TIME - 2 * SECOND, TIME, &[], &[1], 6.3)]),
        gauge("rooms", "", vec![point(TIME - SECOND, TIME, 1.0, &[])]),
    ];
    let lines = lines(&batch(metrics), created);
    let told: Vec<&String> = lines.iter().filter(|line| line.contains("_created")).collect();
    assert_eq!(
        told,
        [
            &format!("orders_created{{}} 1699999999 {AT}"),
            &format!("latency_seconds_created{{}} 1699999998 {AT}")
        ]
    );
}

#[test]
fn metadata_is_sent_if_it_is_asked_for() {
    let metrics = vec![
        sum("orders", CUMULATIVE, true, vec![point(1, TIME, 3.0, &[])]),
        histogram("latency", CUMULATIVE, vec![buckets(1, TIME, &[], &[1], 6.3)]),
    ];
    let made = make(&batch(metrics.clone()), |keys| keys.send_metadata = true);
    let metadata = WriteRequest::decode(made.bodies[0].as_slice()).unwrap().metadata;
    let said = |kind, name: &str, help: &str, unit: &str| MetricMetadata {
        kind,
        metric_family_name: name.to_owned(),
        help: help.to_owned(),
        unit: unit.to_owned(),
    };
    assert_eq!(
        metadata,
        [
            said(1, "orders_total", "What orders says.", ""),
            said(3, "latency_seconds", "What latency says.", "seconds")
        ]
    );
    let made = make(&batch(metrics), |_| {});
    assert_eq!(WriteRequest::decode(made.bodies[0].as_slice()).unwrap().metadata, []);
}

#[test]
fn what_prometheus_cannot_hold_is_refused_by_reason() {
    let mut unfit = spread(0, 0, vec![2]);
    unfit.count = 7;
    let long = "x".repeat(70_000);
    let wide: Vec<f64> = (0..2000).map(f64::from).collect();
    let mut repeated = buckets(1, TIME, &wide, &vec![1; 2001], 1.0);
    repeated.attributes = attributes(&[("a", &"y".repeat(10_000))]);
    let metrics = vec![
        sum("delta", DELTA, true, vec![point(1, TIME, 1.0, &[])]),
        sum("none", 0, true, vec![point(1, TIME, 1.0, &[]), point(1, TIME, 1.0, &[])]),
        histogram("delta", DELTA, vec![buckets(1, TIME, &[], &[1], 1.0)]),
        sum("negative", CUMULATIVE, true, vec![point(1, TIME, -1.0, &[])]),
        histogram("descending", CUMULATIVE, vec![buckets(1, TIME, &[2.0, 1.0], &[1, 1, 1], 1.0)]),
        exponential(vec![spread(-5, 0, vec![1]), unfit, spread(0, 0, vec![1; 17_000])]),
        gauge("...", "", vec![point(0, TIME, 1.0, &[])]),
        gauge("long", "", vec![point(0, TIME, 1.0, &[("a", &long)])]),
        histogram("wide", CUMULATIVE, vec![repeated]),
        gauge(
            "twice",
            "",
            vec![point(0, TIME, 1.0, &[]), point(0, TIME, 1.0, &[]), point(0, TIME, 2.0, &[])],
        ),
    ];
    let made = make(&batch(metrics), |_| {});
    assert_eq!(
        made.refused,
        [
            (Refusal::Temporality, 4),
            (Refusal::Invalid, 3),
            (Refusal::Scale, 1),
            (Refusal::TooManyBuckets, 1),
            (Refusal::Name, 1),
            (Refusal::LabelsTooLong, 2),
            (Refusal::Duplicate, 1),
        ]
    );
    let [series] = WriteRequest::decode(made.bodies[0].as_slice()).unwrap().timeseries.try_into().unwrap();
    assert_eq!((series.name().as_str(), series.samples.len(), series.samples[0].value), ("twice{}", 1, 2.0));
}

#[test]
fn what_a_part_of_a_batch_takes_is_bounded() {
    let point = |id: usize| {
        let bounds: Vec<f64> = (0..1000).map(f64::from).collect();
        let mut point = buckets(1, TIME, &bounds, &vec![1; 1001], 1.0);
        point.attributes = attributes(&[("id", &id.to_string()), ("a", &"y".repeat(5000))]);
        point
    };
    let batch = batch(vec![histogram("wide", CUMULATIVE, (0..8).map(point).collect())]);
    let translator = Translator::new(&RemoteWriteKeys::default());
    let (mut from, mut series) = (Some(0), 0);
    while let Some(first) = from {
        let translated = translator.translate(&batch, first);
        assert!(translated.segment.bytes() < 32 << 20, "{}", translated.segment.bytes());
        assert!(translated.refused.is_empty());
        series += translated.segment.series.len();
        from = translated.next;
    }
    assert_eq!(series, 8 * 1003, "that is more than 40 MB of labels");
}

#[test]
fn a_million_metrics_without_points_take_no_room() {
    let mut metrics = Vec::new();
    for number in 0..1_000_000 {
        write_message(&mut metrics, 2, |metric| {
            write_bytes(metric, 1, format!("rooms_{number}").as_bytes());
            // A gauge.
            write_bytes(metric, 5, &[]);
        });
    }
    let mut data = Vec::new();
    write_message(&mut data, 1, |resource| write_bytes(resource, 2, &metrics));
    let batch = Batch::new(Signal::Metrics, Chunk::new(data.into(), 0), Context::default());
    let translated = Translator::new(&RemoteWriteKeys::default()).translate(&batch, 0);
    assert!(translated.segment.bytes() == 0 && translated.segment.families.is_empty());
    assert!(translated.refused.is_empty() && translated.next.is_none());
}

#[test]
fn a_metric_that_fills_a_part_is_sent_nonetheless() {
    let mut rooms = gauge("rooms", "", vec![point(0, TIME, 1.0, &[]), point(0, TIME + SECOND, 2.0, &[])]);
    rooms.description = "x".repeat(17 << 20);
    assert_eq!(
        lines(&batch(vec![rooms]), |_| {}),
        [format!("rooms{{}} 1 {AT}"), "rooms{} 2 @1700000001000".to_owned()]
    );
}

proptest! {
    #[test]
    fn hostile_attributes_are_labels_that_servers_take(
        pairs in proptest::collection::vec(("\\PC{0,8}|[a.b_]{1,3}|__name__|job|le", "\\PC{0,8}"), 0..8),
        external in proptest::collection::btree_map("[a-c_]{1,2}", "[a-z]{1,3}", 0..3),
    ) {
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (&**key, &**value)).collect();
        let latency = {
            let mut latency = buckets(1, TIME, &[0.5], &[1, 1], 1.0);
            latency.attributes = attributes(&pairs);
            latency
        };
        let batch = batch_of(&pairs, vec![histogram("latency", CUMULATIVE, vec![latency])]);
        let made = make(&batch, |keys| keys.external_labels = external);
        prop_assert_eq!(&made.refused, &[]);
        for body in made.bodies {
            for series in WriteRequest::decode(body.as_slice()).unwrap().timeseries {
                // Sorted and unique, or it panics.
                series.name();
                for label in &series.labels {
                    prop_assert!(sluice_protocols::prometheus::is_label_name(&label.name));
                    prop_assert!(!label.value.is_empty());
                }
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_translated_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let batch = Batch::new(Signal::Metrics, Chunk::new(bytes.into(), 1), Context::default());
        let translated = Translator::new(&RemoteWriteKeys::default()).translate(&batch, 0);
        for message in [Default::default(), crate::prometheusremotewrite::ProtobufMessage::V2] {
            for request in requests(&translated.segment, message, true, 100).unwrap() {
                uncompressed(&request.body);
            }
        }
    }
}
