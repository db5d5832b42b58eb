//! What comes out for what was observed, read with the types of `opentelemetry-proto`.

mod configuration;
mod documentation;
mod hostile;
mod model;
mod remembered;
mod semantics;

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use opentelemetry_proto::tonic::{
    common::v1::{KeyValue, any_value},
    metrics::v1::{AggregationTemporality, MetricsData, metric, number_data_point},
};
use prost::Message as _;
use sluice_pipeline::{Signal, otlp::check::check};

use super::*;
use crate::ebpf_network::socket::{Ends, Role};

/// Attributes with the text of their values; integers begin with `#`, booleans are `true`.
type Attributes = BTreeMap<String, String>;

/// Data points by resource, metric and attributes.
type Told = BTreeMap<(Attributes, String, Attributes), Point>;

#[derive(Clone, Debug, PartialEq)]
struct Point {
    start: u64,
    time: u64,
    value: Value,
}

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Sum(i64),
    Histogram { count: u64, sum: f64, buckets: Vec<u64>, bounds: Vec<f64> },
}

const SERVER: Identity<'static> = Identity {
    host_name: "box",
    pid: 17,
    namespace_pid: Some(1),
    executable_name: "nginx",
    executable_path: "/usr/sbin/nginx",
    namespace_host_name: "web-1",
    container_id: "c0ffee",
    pod_uid: "pod-1",
};
const CLIENT: Identity<'static> = Identity {
    host_name: "box",
    pid: 18,
    namespace_pid: None,
    executable_name: "curl",
    executable_path: "/usr/bin/curl",
    namespace_host_name: "",
    container_id: "",
    pod_uid: "",
};

fn aggregator(config: &MetricsConfig) -> Aggregator {
    assert_eq!(config.problems("metrics"), []);
    Aggregator::new(config, "ebpf_network", "box", 1_000)
}

fn ends(local: u16, peer: [u8; 4], peer_port: u16) -> Ends {
    Ends {
        local: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), local),
        peer: SocketAddr::new(IpAddr::from(peer), peer_port),
    }
}

fn get(target: &str, status: u16) -> HttpObservation<'_> {
    HttpObservation {
        method: "GET",
        target,
        version: HttpVersion::Http11,
        status: Some(status),
        connection_closed: false,
        duration: Some(7_000_000),
        time_to_first_byte: Some(6_000_000),
        request: Some(Sizes { body: 0, wire: 80 }),
        response: Some(Sizes { body: 600, wire: 800 }),
    }
}

/// Collects, checks that the door would let it pass as it is, and reads it.
fn collect(aggregator: &mut Aggregator, now: u64) -> Told {
    let mut told = Told::new();
    for chunk in aggregator.collect(now) {
        read(chunk, &mut told);
    }
    told
}

fn read(chunk: Collected, told: &mut Told) {
    let Collected { bytes, data_points } = chunk;
    let checked = check(Signal::Metrics, bytes.clone().into()).unwrap();
    assert!(!checked.canonicalised && checked.repaired == 0, "what is written is in canonical form");
    assert_eq!(checked.items, data_points);
    for group in MetricsData::decode(&bytes[..]).unwrap().resource_metrics {
        let resource = attributes(&group.resource.unwrap().attributes);
        for scope_group in group.scope_metrics {
            assert_eq!(scope_group.scope.unwrap().name, "sluice.receiver.ebpf_network");
            for metric in scope_group.metrics {
                read_metric(&resource, metric, told);
            }
        }
    }
}

fn read_metric(
    resource: &Attributes,
    metric: opentelemetry_proto::tonic::metrics::v1::Metric,
    told: &mut Told,
) {
    let declared = catalogue::all().find(|known| known.name == metric.name).unwrap();
    assert_eq!((&*metric.unit, &*metric.description), (declared.unit, declared.description));
    let mut add = |own: &[KeyValue], start, time, value| {
        let key = (resource.clone(), metric.name.clone(), attributes(own));
        assert!(
            !key.2.keys().any(|key| key != "otel.metric.overflow" && !declared.attributes.contains(&&**key))
        );
        let before = told.insert(key.clone(), Point { start, time, value });
        assert_eq!(before, None, "there are two points of {key:?}");
    };
    match metric.data.unwrap() {
        metric::Data::Sum(sum) => {
            assert!(sum.is_monotonic && declared.kind == catalogue::Kind::Counter);
            assert_ne!(sum.aggregation_temporality(), AggregationTemporality::Unspecified);
            for point in sum.data_points {
                let Some(number_data_point::Value::AsInt(value)) = point.value else { panic!("{point:?}") };
                add(&point.attributes, point.start_time_unix_nano, point.time_unix_nano, Value::Sum(value));
            }
        }
        metric::Data::Histogram(histogram) => {
            assert_eq!(declared.kind, catalogue::Kind::Histogram);
            assert_ne!(histogram.aggregation_temporality(), AggregationTemporality::Unspecified);
            for point in histogram.data_points {
                assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
                assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
                let value = Value::Histogram {
                    count: point.count,
                    sum: point.sum.unwrap(),
                    buckets: point.bucket_counts,
                    bounds: point.explicit_bounds,
                };
                add(&point.attributes, point.start_time_unix_nano, point.time_unix_nano, value);
            }
        }
        other => panic!("no metric is of this kind: {other:?}"),
    }
}

fn attributes(list: &[KeyValue]) -> Attributes {
    let text = |pair: &KeyValue| match pair.value.clone().and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::IntValue(number)) => format!("#{number}"),
        Some(any_value::Value::BoolValue(flag)) => flag.to_string(),
        other => panic!("no attribute has such a value: {other:?}"),
    };
    let map: Attributes = list.iter().map(|pair| (pair.key.clone(), text(pair))).collect();
    assert_eq!(map.len(), list.len(), "a key is there twice");
    map
}

fn map(pairs: &[(&str, &str)]) -> Attributes {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// The points of a metric, with their attributes.
fn points<'t>(told: &'t Told, name: &str) -> Vec<(&'t Attributes, &'t Point)> {
    told.iter().filter(|((_, metric, _), _)| metric == name).map(|((.., own), point)| (own, point)).collect()
}

/// The sum of a counter, or the count of a histogram, over all points.
fn total(told: &Told, name: &str) -> u64 {
    let count = |point: &Point| match &point.value {
        Value::Sum(value) => u64::try_from(*value).unwrap(),
        Value::Histogram { count, .. } => *count,
    };
    points(told, name).into_iter().map(|(_, point)| count(point)).sum()
}

fn server_pair(aggregator: &mut Aggregator) -> Pair {
    let process = aggregator.process(&SERVER);
    aggregator.pair(process, Role::Server, &ends(8080, [10, 0, 0, 7], 55_555), None)
}
