//! What points become: samples under Prometheus's names, by their kind.

use opentelemetry_proto::tonic::metrics::v1::{
    Metric, Summary, SummaryDataPoint, exponential_histogram_data_point::Buckets, metric::Data,
    summary_data_point::ValueAtQuantile,
};
use prost::Message;
use sluice_pipeline::Batch;
use sluice_protocols::prometheus::STALE;

use super::{fixture::*, messages::*};
use crate::prometheusremotewrite::RemoteWriteKeys;

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
