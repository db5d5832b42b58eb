//! The `prometheus` exporter before real scrapers: Prometheus in each of its formats, promtool, and the official client.

use std::io::Write;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, MetricsData, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary,
    SummaryDataPoint, exemplar, exponential_histogram_data_point::Buckets, metric::Data, number_data_point,
    summary_data_point::ValueAtQuantile,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use rustix::process::Signal;
use serde_json::Value;
use sluice_integration::process::free_address;

use crate::support::{Answer, PrometheusServer, Setup, Sluice, eventually, get, post, promtool, python, sum};

pub(crate) const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;
const DELTA: i32 = AggregationTemporality::Delta as i32;
pub(crate) const SECOND: u64 = 1_000_000_000;
pub(crate) const TRACE: &str = "0102030405060708090a0b0c0d0e0f10";

pub(crate) fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

fn attributes(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    let pair = |(key, value): &(&str, &str)| KeyValue {
        key: (*key).to_owned(),
        value: Some(AnyValue { value: Some(Any::StringValue((*value).to_owned())) }),
        ..KeyValue::default()
    };
    pairs.iter().map(pair).collect()
}

fn traced(value: f64) -> Vec<Exemplar> {
    vec![Exemplar {
        value: Some(exemplar::Value::AsDouble(value)),
        time_unix_nano: now(),
        trace_id: (1..=16).collect(),
        span_id: (1..=8).collect(),
        ..Exemplar::default()
    }]
}

pub(crate) fn number(value: f64, labels: &[(&str, &str)]) -> NumberDataPoint {
    NumberDataPoint {
        start_time_unix_nano: now() - 60 * SECOND,
        time_unix_nano: now(),
        value: Some(number_data_point::Value::AsDouble(value)),
        attributes: attributes(labels),
        ..NumberDataPoint::default()
    }
}

pub(crate) fn metric(name: &str, unit: &str, description: &str, data: Data) -> Metric {
    Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        description: description.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

/// What `peers/python/exposition.py` measures too.
pub(crate) fn measurements() -> Vec<Metric> {
    let mut paid = number(3.0, &[("state", "paid")]);
    paid.exemplars = traced(3.0);
    let orders = Sum {
        data_points: vec![paid, number(1.5, &[("state", "open")])],
        aggregation_temporality: CUMULATIVE,
        is_monotonic: true,
    };
    let rooms = Gauge {
        data_points: vec![
            number(-7.25, &[("room", "a\"b\\c\nd")]),
            number(f64::INFINITY, &[("room", "žluťoučký")]),
            number(f64::NAN, &[("room", "none")]),
        ],
    };
    let latency = Histogram {
        data_points: vec![HistogramDataPoint {
            start_time_unix_nano: now() - 60 * SECOND,
            time_unix_nano: now(),
            count: 5,
            sum: Some(6.3),
            explicit_bounds: vec![0.1, 0.5, 1.0],
            bucket_counts: vec![1, 2, 1, 1],
            exemplars: traced(0.25),
            ..HistogramDataPoint::default()
        }],
        aggregation_temporality: CUMULATIVE,
    };
    let payload = Summary {
        data_points: vec![SummaryDataPoint {
            start_time_unix_nano: now() - 60 * SECOND,
            time_unix_nano: now(),
            count: 2,
            sum: 300.0,
            ..SummaryDataPoint::default()
        }],
    };
    vec![
        metric("orders", "", "Orders \\ by\nstate.", Data::Sum(orders)),
        metric("temperature", "Cel", "In rooms.", Data::Gauge(rooms)),
        metric("latency", "s", "Of orders.", Data::Histogram(latency)),
        metric("payload", "By", "Of requests.", Data::Summary(payload)),
    ]
}

/// What only some of the formats have, or the official client has not.
pub(crate) fn others() -> Vec<Metric> {
    let exponential = ExponentialHistogram {
        data_points: vec![ExponentialHistogramDataPoint {
            start_time_unix_nano: now() - 60 * SECOND,
            time_unix_nano: now(),
            count: 10,
            sum: Some(30.0),
            scale: 0,
            zero_count: 1,
            // Above 1 to 2, above 2 to 4, above 4 to 8.
            positive: Some(Buckets { offset: 0, bucket_counts: vec![2, 4, 2] }),
            // Below -1 to -2.
            negative: Some(Buckets { offset: 0, bucket_counts: vec![1] }),
            exemplars: traced(3.0),
            ..ExponentialHistogramDataPoint::default()
        }],
        aggregation_temporality: CUMULATIVE,
    };
    let quantiles = Summary {
        data_points: vec![SummaryDataPoint {
            time_unix_nano: now(),
            count: 4,
            sum: 10.0,
            quantile_values: vec![ValueAtQuantile { quantile: 0.5, value: 2.5 }],
            ..SummaryDataPoint::default()
        }],
    };
    vec![
        metric("spread", "s", "Over exponential buckets.", Data::ExponentialHistogram(exponential)),
        metric("ranked", "", "Over quantiles.", Data::Summary(quantiles)),
    ]
}

/// A Sluice with the exporter, and the address that is scraped.
fn exporting(setup: &Setup, keys: &str) -> (Sluice, SocketAddr) {
    let scraped = free_address().unwrap();
    let exporter = format!("exporters:\n  prometheus:\n    endpoint: {scraped}\n{keys}");
    let config = setup.config(&exporter, "    metrics: {receivers: [otlp], exporters: [prometheus]}");
    (setup.start(&config, setup.http), scraped)
}

pub(crate) fn send(setup: &Setup, metrics: Vec<Metric>) {
    send_from(setup, &[("service.name", "shop"), ("host.name", "box")], metrics);
}

/// Sends metrics of a resource, all of which must be taken.
pub(crate) fn send_from(setup: &Setup, resource: &[(&str, &str)], metrics: Vec<Metric>) {
    let answer = post_from(setup, resource, metrics);
    assert_eq!((answer.status, answer.body.len()), (200, 0), "{answer:?}");
}

/// Posts metrics of a resource.
pub(crate) fn post_from(setup: &Setup, resource: &[(&str, &str)], metrics: Vec<Metric>) -> Answer {
    let resource = Resource { attributes: attributes(resource), ..Resource::default() };
    let data = MetricsData {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource),
            scope_metrics: vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }],
            ..ResourceMetrics::default()
        }],
    };
    let headers = [("content-type", "application/x-protobuf")];
    post(setup.http, "/v1/metrics", &headers, data.encode_to_vec())
}

/// Labels and value of each series that a query finds, once it finds any.
pub(crate) fn query(server: &PrometheusServer, query: &str) -> Vec<(Value, f64)> {
    let mut found = Vec::new();
    eventually(&format!("Prometheus answers {query}"), || {
        let answer = get(server.address, &format!("/api/v1/query?query={query}"));
        let answer: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        found = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        std::thread::sleep(std::time::Duration::from_millis(50));
        !found.is_empty()
    });
    let number = |series: &Value| series["value"][1].as_str().unwrap().parse().unwrap();
    let mut found: Vec<(Value, f64)> =
        found.iter().map(|series| (series["metric"].clone(), number(series))).collect();
    found.sort_by_key(|(labels, _)| labels.to_string());
    found
}

pub(crate) fn single(server: &PrometheusServer, text: &str) -> f64 {
    let [(_, value)] = query(server, text).try_into().unwrap();
    value
}

/// The trace ids of the exemplars of a metric.
pub(crate) fn traces(server: &PrometheusServer, name: &str) -> Vec<String> {
    let end = now() / SECOND + 60;
    let path = format!("/api/v1/query_exemplars?query={name}&start={}&end={end}", end - 600);
    let mut found = Vec::new();
    eventually(&format!("Prometheus has exemplars of {name}"), || {
        let answer: Value = serde_json::from_slice(&get(server.address, &path).body).unwrap_or_default();
        let series = answer["data"].as_array().cloned().unwrap_or_default();
        found = series.iter().flat_map(|series| series["exemplars"].as_array().cloned().unwrap()).collect();
        std::thread::sleep(std::time::Duration::from_millis(50));
        !found.is_empty()
    });
    found.iter().map(|exemplar| exemplar["labels"]["trace_id"].as_str().unwrap().to_owned()).collect()
}

/// What every format says of the measurements.
pub(crate) fn assert_measured(server: &PrometheusServer, one: &str) {
    let orders = query(server, "orders_total");
    let told: Vec<(&str, &str, f64)> = orders
        .iter()
        .map(|(labels, value)| (labels["state"].as_str().unwrap(), labels["job"].as_str().unwrap(), *value))
        .collect();
    assert_eq!(told, [("open", "shop", 1.5), ("paid", "shop", 3.0)]);
    let rooms = query(server, "temperature_celsius");
    assert_eq!(rooms.len(), 3);
    let (_, cold) = rooms.iter().find(|(labels, _)| labels["room"] == "a\"b\\c\nd").unwrap();
    assert_eq!(*cold, -7.25);
    let mut buckets: Vec<(String, f64)> = query(server, "latency_seconds_bucket")
        .iter()
        .map(|(labels, value)| (labels["le"].as_str().unwrap().to_owned(), *value))
        .collect();
    buckets.sort_by(|left, right| left.1.total_cmp(&right.1));
    let expected = [("0.1", 1.0), ("0.5", 3.0), (one, 4.0), ("+Inf", 5.0)];
    assert_eq!(buckets, expected.map(|(bound, count)| (bound.to_owned(), count)));
    assert_eq!((single(server, "latency_seconds_sum"), single(server, "latency_seconds_count")), (6.3, 5.0));
    let ranked = query(server, "ranked");
    assert_eq!((ranked[0].0["quantile"].as_str(), ranked[0].1), (Some("0.5"), 2.5));
    assert_eq!((single(server, "ranked_sum"), single(server, "ranked_count")), (10.0, 4.0));
    assert_eq!((single(server, "payload_bytes_sum"), single(server, "payload_bytes_count")), (300.0, 2.0));
    let targets = query(server, "target_info");
    let [(target, 1.0)] = targets.as_slice() else { panic!("one target: {targets:?}") };
    assert_eq!((target["job"].as_str(), target["host_name"].as_str()), (Some("shop"), Some("box")));
}

#[test]
fn prometheus_reads_text() {
    let setup = Setup::new();
    let (sluice, scraped) = exporting(&setup, "");
    send(&setup, measurements());
    send(&setup, others());
    let Some(server) = PrometheusServer::start(setup.directory.path(), scraped, "exemplar-storage") else {
        return;
    };
    assert_measured(&server, "1");
    assert_eq!(
        (single(&server, "spread_seconds_count"), single(&server, "spread_seconds_sum")),
        (10.0, 30.0)
    );
    assert!(sum(setup.telemetry, "sluice_prometheus_scrapes", "text") > 0);
    drop(server);
    sluice.stop();
}

#[test]
fn prometheus_reads_open_metrics() {
    let setup = Setup::new();
    let (sluice, scraped) = exporting(&setup, "    enable_open_metrics: true\n    send_timestamps: true");
    send(&setup, measurements());
    send(&setup, others());
    let Some(server) = PrometheusServer::start(setup.directory.path(), scraped, "exemplar-storage") else {
        return;
    };
    assert_measured(&server, "1.0");
    for name in ["orders_total", "latency_seconds_bucket", "spread_seconds_bucket"] {
        assert_eq!(traces(&server, name), [TRACE], "{name}");
    }
    let created = query(&server, "orders_created");
    assert!(created.iter().all(|(_, at)| (now() as f64 / 1e9 - at) < 300.0), "{created:?}");
    assert!(sum(setup.telemetry, "sluice_prometheus_scrapes", "openmetrics") > 0);
    drop(server);
    sluice.stop();
}

#[test]
fn prometheus_reads_protobuf_with_native_histograms() {
    let setup = Setup::new();
    let (sluice, scraped) = exporting(&setup, "");
    send(&setup, measurements());
    send(&setup, others());
    let features = "exemplar-storage,native-histograms";
    let Some(server) = PrometheusServer::start(setup.directory.path(), scraped, features) else { return };
    assert_measured(&server, "1.0");
    assert_eq!(single(&server, "histogram_count(spread_seconds)"), 10.0);
    assert_eq!(single(&server, "histogram_sum(spread_seconds)"), 30.0);
    // One below -1, one zero, two up to 2, four up to 4: the sixth of ten is half-way through those.
    assert_eq!(single(&server, "histogram_quantile(0.6,spread_seconds)"), 3.0);
    assert_eq!(single(&server, "histogram_fraction(-2,-1,spread_seconds)"), 0.1);
    assert_eq!(single(&server, "histogram_fraction(4,8,spread_seconds)"), 0.2);
    for name in ["orders_total", "latency_seconds_bucket", "spread_seconds"] {
        assert_eq!(traces(&server, name), [TRACE], "{name}");
    }
    assert!(sum(setup.telemetry, "sluice_prometheus_scrapes", "protobuf") > 0);
    drop(server);
    sluice.stop();
}

#[test]
fn delta_counters_grow_and_refused_points_are_answered_and_counted() {
    let setup = Setup::new();
    let (sluice, scraped) = exporting(&setup, "    max_series: 3");
    let begin = now() - 60 * SECOND;
    let delta = |from: u64, value| {
        let mut point = number(value, &[]);
        point.start_time_unix_nano = begin + from * SECOND;
        point.time_unix_nano = begin + (from + 1) * SECOND;
        let sum = Sum { data_points: vec![point], aggregation_temporality: DELTA, is_monotonic: true };
        vec![metric("steps", "", "Taken.", Data::Sum(sum))]
    };
    for from in 0..3 {
        send(&setup, delta(from, 2.0));
    }
    assert!(
        String::from_utf8_lossy(&get(scraped, "/metrics").body).contains("steps_total{job=\"shop\"} 6\n")
    );
    let bomb: Vec<_> = (0..10).map(|index| number(1.0, &[("id", &index.to_string())])).collect();
    let data = MetricsData {
        resource_metrics: vec![ResourceMetrics {
            scope_metrics: vec![ScopeMetrics {
                metrics: vec![metric("bomb", "", "", Data::Gauge(Gauge { data_points: bomb }))],
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    };
    let headers = [("content-type", "application/x-protobuf")];
    let answer = post(setup.http, "/v1/metrics", &headers, data.encode_to_vec());
    let said = String::from_utf8_lossy(&answer.body);
    assert!(answer.status == 200 && said.contains("max_series"), "{answer:?}");
    assert_eq!(sum(setup.telemetry, "sluice_prometheus_refused_points", "max_series"), 9);
    sluice.stop();
}

#[test]
fn a_reload_changes_the_exporter_and_keeps_its_address() {
    let setup = Setup::new();
    let (sluice, scraped) = exporting(&setup, "    namespace: before");
    send(&setup, measurements());
    let page = || String::from_utf8_lossy(&get(scraped, "/metrics").body).into_owned();
    assert!(page().contains("before_orders_total{"));
    let config = std::fs::read_to_string(setup.path("config.yaml")).unwrap();
    setup.write("config.yaml", &config.replace("namespace: before", "namespace: after"));
    sluice.process.signal(Signal::HUP).unwrap();
    // The old one may answer until it has drained.
    eventually("the new exporter alone answers", || {
        send(&setup, measurements());
        (0..20).all(|_| page().contains("after_orders_total{"))
    });
    sluice.stop();
}

#[test]
fn promtool_finds_nothing_to_say() {
    let Some(promtool) = promtool() else { return };
    let setup = Setup::new();
    let (sluice, scraped) =
        exporting(&setup, "    enable_open_metrics: true\n    send_timestamps: true\n    namespace: app");
    send(&setup, measurements());
    send(&setup, others());
    let mut check = setup.program(promtool.to_str().unwrap());
    check.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = check.spawn().unwrap();
    child.stdin.take().unwrap().write_all(&get(scraped, "/metrics").body).unwrap();
    let output = child.wait_with_output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.is_empty(), "{said}");
    sluice.stop();
}

#[test]
fn the_official_client_says_the_same_in_text() {
    says_the_same("text");
}

#[test]
fn the_official_client_says_the_same_in_open_metrics() {
    says_the_same("openmetrics");
}

fn says_the_same(format: &str) {
    let setup = Setup::new();
    let (sluice, scraped) = exporting(&setup, "    enable_open_metrics: true");
    send(&setup, measurements());
    let url = format!("http://{scraped}/metrics");
    let Some(printed) = python("exposition.py", &["--url", &url, "--format", format]) else { return };
    assert!(printed.trim().parse::<usize>().unwrap() > 15, "{printed}");
    sluice.stop();
}
