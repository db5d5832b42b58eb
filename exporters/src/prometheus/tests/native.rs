//! The protobuf format, read by a decoder of its own.

use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Metric, exponential_histogram_data_point::Buckets,
    metric::Data,
};
use prost::Message;

use super::fixture::*;
use crate::prometheus::expose::Format;

/// `io.prometheus.client.MetricFamily` of prometheus/client_model, as far as it is written.
#[derive(Clone, PartialEq, Message)]
struct MetricFamily {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    help: String,
    #[prost(int32, tag = "3")]
    kind: i32,
    #[prost(message, repeated, tag = "4")]
    metric: Vec<ClientMetric>,
    #[prost(string, tag = "5")]
    unit: String,
}

#[derive(Clone, PartialEq, Message)]
struct ClientMetric {
    #[prost(message, repeated, tag = "1")]
    label: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    gauge: Option<Simple>,
    #[prost(message, optional, tag = "3")]
    counter: Option<Simple>,
    #[prost(int64, tag = "6")]
    timestamp_ms: i64,
    #[prost(message, optional, tag = "7")]
    histogram: Option<ClientHistogram>,
}

#[derive(Clone, PartialEq, Message)]
struct LabelPair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Simple {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(message, optional, tag = "2")]
    exemplar: Option<ClientExemplar>,
    #[prost(message, optional, tag = "3")]
    created: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
struct ClientExemplar {
    #[prost(message, repeated, tag = "1")]
    label: Vec<LabelPair>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(message, optional, tag = "3")]
    timestamp: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
struct Timestamp {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
struct ClientHistogram {
    #[prost(uint64, tag = "1")]
    sample_count: u64,
    #[prost(double, tag = "2")]
    sample_sum: f64,
    #[prost(message, repeated, tag = "3")]
    bucket: Vec<Bucket>,
    #[prost(sint32, tag = "5")]
    schema: i32,
    #[prost(double, tag = "6")]
    zero_threshold: f64,
    #[prost(uint64, tag = "7")]
    zero_count: u64,
    #[prost(message, repeated, tag = "9")]
    negative_span: Vec<Span>,
    #[prost(sint64, repeated, packed = "false", tag = "10")]
    negative_delta: Vec<i64>,
    #[prost(message, repeated, tag = "12")]
    positive_span: Vec<Span>,
    #[prost(sint64, repeated, packed = "false", tag = "13")]
    positive_delta: Vec<i64>,
    #[prost(message, optional, tag = "15")]
    created: Option<Timestamp>,
    #[prost(message, repeated, tag = "16")]
    exemplars: Vec<ClientExemplar>,
}

#[derive(Clone, PartialEq, Message)]
struct Bucket {
    #[prost(uint64, tag = "1")]
    cumulative_count: u64,
    #[prost(double, tag = "2")]
    upper_bound: f64,
    #[prost(message, optional, tag = "3")]
    exemplar: Option<ClientExemplar>,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint32, tag = "2")]
    length: u32,
}

fn families(exporter: &Fixture) -> Vec<MetricFamily> {
    let bytes = exporter.exposed(Format::Protobuf);
    let mut rest = bytes.as_slice();
    let mut families = Vec::new();
    while !rest.is_empty() {
        families.push(MetricFamily::decode_length_delimited(&mut rest).unwrap());
    }
    families
}

/// Index and count of the buckets that are not empty.
fn absolute(spans: &[Span], deltas: &[i64]) -> Vec<(i32, i64)> {
    let (mut index, mut count) = (0, 0);
    let mut deltas = deltas.iter();
    let mut buckets = Vec::new();
    for span in spans {
        index += span.offset;
        for _ in 0..span.length {
            count += deltas.next().unwrap();
            if count > 0 {
                buckets.push((index, count));
            }
            index += 1;
        }
    }
    assert_eq!(deltas.next(), None, "a delta for each bucket");
    buckets
}

fn exponential(temporality: i32, points: Vec<ExponentialHistogramDataPoint>) -> Vec<Metric> {
    let histogram = ExponentialHistogram { data_points: points, aggregation_temporality: temporality };
    vec![metric("e", "s", Data::ExponentialHistogram(histogram))]
}

fn buckets_at(scale: i32, offset: i32, counts: &[u64]) -> ExponentialHistogramDataPoint {
    ExponentialHistogramDataPoint {
        start_time_unix_nano: TIME,
        time_unix_nano: TIME + SECOND,
        scale,
        zero_count: 1,
        count: counts.iter().sum::<u64>() + 1,
        sum: Some(7.5),
        positive: Some(Buckets { offset, bucket_counts: counts.to_vec() }),
        ..ExponentialHistogramDataPoint::default()
    }
}

#[test]
fn exponential_histograms_are_native_ones() {
    let exporter = Fixture::new(|_| {});
    let mut point = buckets_at(3, -2, &[0, 1, 0, 0, 2, 0, 0, 0, 3, 0]);
    point.negative = Some(Buckets { offset: 10, bucket_counts: vec![4] });
    point.count += 4;
    point.exemplars = vec![measured(1.5, TIME)];
    exporter.take(exponential(CUMULATIVE, vec![point]));
    let [family] = families(&exporter).try_into().unwrap();
    assert_eq!((family.name.as_str(), family.kind, family.unit.as_str()), ("e_seconds", 4, "seconds"));
    let histogram = family.metric[0].histogram.clone().unwrap();
    assert_eq!((histogram.sample_count, histogram.sample_sum, histogram.schema), (11, 7.5, 3));
    assert_eq!((histogram.zero_count, histogram.zero_threshold), (1, 1e-128));
    assert_eq!(absolute(&histogram.positive_span, &histogram.positive_delta), [(0, 1), (3, 2), (7, 3)]);
    assert_eq!(absolute(&histogram.negative_span, &histogram.negative_delta), [(11, 4)]);
    assert_eq!(histogram.positive_span.len(), 2, "short gaps are written through");
    assert_eq!(histogram.created, Some(Timestamp { seconds: 1_700_000_000, nanos: 0 }));
    assert_eq!(histogram.exemplars[0].value, 1.5);
    assert_eq!(histogram.bucket[0].exemplar, Some(histogram.exemplars[0].clone()), "for older servers");
    let text = exporter.text();
    assert!(
        text.contains("e_seconds_bucket{le=\"+Inf\"} 11\ne_seconds_sum 7.5\ne_seconds_count 11\n"),
        "{text}"
    );
}

#[test]
fn finer_scales_are_made_coarser_and_coarser_ones_refused() {
    let exporter = Fixture::new(|_| {});
    // Scale 10 is four times as fine as 8: indices -3 to 4 fall into -1, 0 and 1.
    exporter.take(exponential(CUMULATIVE, vec![buckets_at(10, -3, &[1, 1, 1, 1, 1, 1, 1, 1])]));
    let histogram = families(&exporter)[0].metric[0].histogram.clone().unwrap();
    assert_eq!(histogram.schema, 8);
    assert_eq!(absolute(&histogram.positive_span, &histogram.positive_delta), [(0, 3), (1, 4), (2, 1)]);
    assert_eq!(refused(exporter.take(exponential(CUMULATIVE, vec![buckets_at(-5, 0, &[1])]))).0, 1);
    assert_eq!(
        refused(exporter.take(exponential(CUMULATIVE, vec![buckets_at(0, 5_000, &[1])]))).0,
        1,
        "no number"
    );
    assert_eq!(refused(exporter.take(exponential(CUMULATIVE, vec![buckets_at(8, i32::MIN, &[1])]))).0, 1);
    let mut sparse = buckets_at(0, 0, &[1]);
    sparse.count = 1;
    assert_eq!(
        refused(exporter.take(exponential(CUMULATIVE, vec![sparse]))).0,
        1,
        "more in buckets than there are"
    );
    assert_eq!(refused(exporter.take(exponential(CUMULATIVE, vec![buckets_at(0, 0, &[0; 20_000])]))).0, 1);
}

#[test]
fn classic_histograms_counters_and_labels_are_there_too() {
    let exporter = Fixture::new(|keys| keys.send_timestamps = true);
    let mut counted = point(TIME, TIME + SECOND, 3.0, &[("path", "a\"b\\c\n")]);
    counted.exemplars = vec![measured(2.0, TIME)];
    let mut spread = buckets(TIME, TIME + SECOND, &[1.0, 2.0], &[1, 2, 3], 9.0);
    spread.exemplars = vec![measured(5.0, TIME)];
    exporter.take(vec![sum("c", CUMULATIVE, true, vec![counted]), histogram("h", CUMULATIVE, vec![spread])]);
    let [counter, histogram] = families(&exporter).try_into().unwrap();
    let metric = &counter.metric[0];
    assert_eq!((counter.name.as_str(), counter.kind, metric.timestamp_ms), ("c_total", 0, 1_700_000_001_000));
    assert_eq!(metric.label, [LabelPair { name: "path".to_owned(), value: "a\"b\\c\n".to_owned() }]);
    let value = metric.counter.clone().unwrap();
    assert_eq!((value.value, value.created), (3.0, Some(Timestamp { seconds: 1_700_000_000, nanos: 0 })));
    assert_eq!(value.exemplar.unwrap().label[0].value, "0102030405060708090a0b0c0d0e0f10");
    let classic = histogram.metric[0].histogram.clone().unwrap();
    let bounds: Vec<(u64, f64)> =
        classic.bucket.iter().map(|bucket| (bucket.cumulative_count, bucket.upper_bound)).collect();
    assert_eq!(bounds, [(1, 1.0), (3, 2.0), (6, f64::INFINITY)]);
    assert_eq!(classic.zero_threshold, 0.0, "not native");
}

#[test]
fn a_large_family_is_several_messages() {
    let exporter = Fixture::new(|_| {});
    let points = (0..5_000).map(|index| point(0, TIME, 1.0, &[("index", &index.to_string())])).collect();
    exporter.take(vec![gauge("m", "", points)]);
    let families = families(&exporter);
    assert!(
        families.len() > 1 && families.iter().all(|family| family.name == "m" && !family.metric.is_empty())
    );
    assert_eq!(families.iter().map(|family| family.metric.len()).sum::<usize>(), 5_000);
}
