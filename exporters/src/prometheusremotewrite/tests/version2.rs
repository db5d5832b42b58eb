use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, exponential_histogram_data_point::Buckets,
    metric::Data,
};
use prost::Message;

use super::{fixture::*, messages::*};
use crate::prometheusremotewrite::{ProtobufMessage, RemoteWriteKeys};

fn version2(keys: &mut RemoteWriteKeys) {
    keys.protobuf_message = ProtobufMessage::V2;
}

fn requests(metrics: Vec<opentelemetry_proto::tonic::metrics::v1::Metric>, size: usize) -> Vec<Request2> {
    let made = make(&batch(metrics), |keys| {
        version2(keys);
        keys.max_batch_size_bytes = size;
    });
    assert_eq!(made.refused, []);
    made.bodies.iter().map(|body| Request2::decode(body.as_slice()).unwrap()).collect()
}

#[test]
fn texts_are_symbols_and_series_tell_of_their_metric() {
    let mut paid = point(TIME - SECOND, TIME, 3.0, &[("state", "paid")]);
    paid.exemplars = vec![measured(1.0, TIME)];
    let metrics = vec![
        sum("orders", CUMULATIVE, true, vec![paid, point(0, TIME, 1.0, &[("state", "open")])]),
        histogram("latency", CUMULATIVE, vec![buckets(TIME - SECOND, TIME, &[], &[1], 6.3)]),
    ];
    let [request] = requests(metrics, 0).try_into().unwrap();
    assert_eq!(request.symbols[0], "");
    let unique: std::collections::BTreeSet<&String> = request.symbols.iter().collect();
    assert_eq!(unique.len(), request.symbols.len(), "each text once");
    let names: Vec<String> = request.timeseries.iter().map(|series| request.name(series)).collect();
    assert_eq!(
        names,
        [
            "orders_total{state=\"paid\"}",
            "orders_total{state=\"open\"}",
            "latency_seconds_bucket{le=\"+Inf\"}",
            "latency_seconds_sum{}",
            "latency_seconds_count{}",
        ]
    );
    let (time, start) = (1_700_000_000_000, 1_699_999_999_000);
    let [paid, open, bucket, ..] = request.timeseries.as_slice() else { panic!("series") };
    assert_eq!(paid.samples, [Sample { value: 3.0, timestamp: time, start_timestamp: start }]);
    assert_eq!((paid.created_timestamp, open.created_timestamp, bucket.created_timestamp), (start, 0, start));
    assert_eq!(open.samples[0].start_timestamp, 0);
    let said = |series: &TimeSeries2| {
        let metadata = series.metadata.clone().unwrap();
        let text = |at: u32| request.symbols[at as usize].clone();
        (metadata.kind, text(metadata.help_ref), text(metadata.unit_ref))
    };
    assert_eq!(said(paid), (1, "What orders says.".to_owned(), String::new()));
    assert_eq!(said(bucket), (3, "What latency says.".to_owned(), "seconds".to_owned()));
    let [exemplar] = paid.exemplars.as_slice() else { panic!("one exemplar") };
    assert_eq!(
        request.texts(&exemplar.labels_refs),
        [("span_id", "0102030405060708"), ("trace_id", "0102030405060708090a0b0c0d0e0f10")]
    );
    assert_eq!((exemplar.value, exemplar.timestamp), (1.0, time));
}

#[test]
fn counting_that_began_anew_is_a_message_of_its_own() {
    let points = vec![
        point(TIME, TIME + 3 * SECOND, 1.0, &[]),
        point(TIME - SECOND, TIME + SECOND, 8.0, &[]),
        point(TIME - SECOND, TIME + 2 * SECOND, 9.0, &[]),
    ];
    let [request] = requests(vec![sum("orders", CUMULATIVE, true, points)], 0).try_into().unwrap();
    let told: Vec<(i64, Vec<f64>)> = request
        .timeseries
        .iter()
        .map(|series| (series.created_timestamp, series.samples.iter().map(|sample| sample.value).collect()))
        .collect();
    assert_eq!(told, [(1_699_999_999_000, vec![8.0, 9.0]), (1_700_000_000_000, vec![1.0])]);
}

#[test]
fn native_histograms_have_their_start() {
    let point = ExponentialHistogramDataPoint {
        start_time_unix_nano: TIME - SECOND,
        time_unix_nano: TIME,
        count: 3,
        sum: Some(4.5),
        scale: 2,
        zero_threshold: 0.25,
        positive: Some(Buckets { offset: -3, bucket_counts: vec![1, 2] }),
        ..ExponentialHistogramDataPoint::default()
    };
    let data = ExponentialHistogram { data_points: vec![point], aggregation_temporality: CUMULATIVE };
    let [request] =
        requests(vec![metric("spread", "", Data::ExponentialHistogram(data))], 0).try_into().unwrap();
    let [series] = request.timeseries.as_slice() else { panic!("one series") };
    assert_eq!(
        series.histograms,
        [Histogram {
            count: 3,
            sum: 4.5,
            schema: 2,
            zero_threshold: 0.25,
            positive_spans: vec![Span { offset: -2, length: 2 }],
            positive_deltas: vec![1, 1],
            timestamp: 1_700_000_000_000,
            start_timestamp: 1_699_999_999_000,
            ..Histogram::default()
        }]
    );
    assert_eq!((series.samples.len(), series.created_timestamp), (0, 1_699_999_999_000));
}

#[test]
fn every_request_has_the_symbols_that_it_needs() {
    let points = |count: usize| (0..count).map(|id| point(0, TIME, id as f64, &[("id", &id.to_string())]));
    let requests = requests(vec![gauge("rooms", "", points(100).collect())], 200);
    assert!(requests.len() > 10, "{}", requests.len());
    let mut names = Vec::new();
    for request in &requests {
        assert_eq!(request.symbols[0], "");
        names.extend(request.timeseries.iter().map(|series| request.name(series)));
    }
    let expected: Vec<String> = (0..100).map(|id| format!("rooms{{id=\"{id}\"}}")).collect();
    assert_eq!(names, expected);
}
