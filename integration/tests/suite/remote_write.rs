//! The `prometheusremotewrite` exporter before a real Prometheus, which is asked for every value, and before a server that
//! reads version 2.0 with a decoder of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use opentelemetry_proto::tonic::metrics::v1::{Gauge, Metric, NumberDataPoint, Sum, metric::Data};
use prost::Message;
use serde_json::Value;
use sluice_integration::process::free_address;
use sluice_integration::serve::{self, Protocol};
use sluice_integration::transport::receive;
use sluice_pipeline::compression::{Encoding, decompress};

use crate::prometheus::{
    CUMULATIVE, SECOND, TRACE, assert_measured, measurements, metric, now, number, others, query, send,
    send_from, single, traces,
};
use crate::support::{PrometheusServer, Setup, Sluice, eventually, get, sum};

const REJECTED: &str = "sluice_remote_write_rejected";
const REQUESTS: &str = "sluice_remote_write_requests";

fn receiver(directory: &Path, address: SocketAddr) -> Option<PrometheusServer> {
    PrometheusServer::receiving(directory, address, "exemplar-storage,native-histograms")
}

fn config(setup: &Setup, server: SocketAddr, keys: &str) -> String {
    let exporter = format!(
        "exporters:
  prometheusremotewrite:
    endpoint: http://{server}/api/v1/write
{keys}"
    );
    setup.config(&exporter, "    metrics: {receivers: [otlp], exporters: [prometheusremotewrite]}")
}

fn start(setup: &Setup, server: SocketAddr, keys: &str) -> Sluice {
    setup.start(&config(setup, server, keys), setup.http)
}

fn gauge(name: &str, points: Vec<NumberDataPoint>) -> Metric {
    metric(name, "", "", Data::Gauge(Gauge { data_points: points }))
}

fn at(time: u64, value: f64) -> NumberDataPoint {
    NumberDataPoint { time_unix_nano: time, start_time_unix_nano: 0, ..number(value, &[]) }
}

/// Times in milliseconds and values of the only series of a name.
fn stored(server: &PrometheusServer, name: &str) -> Vec<(u64, f64)> {
    let path = format!("/api/v1/query?query={name}%5B1h%5D");
    let answer: Value = serde_json::from_slice(&get(server.address, &path).body).unwrap_or_default();
    let samples = answer["data"]["result"][0]["values"].as_array().cloned().unwrap_or_default();
    let number = |sample: &Value| sample[1].as_str().unwrap().parse().unwrap();
    samples
        .iter()
        .map(|sample| ((sample[0].as_f64().unwrap() * 1e3).round() as u64, number(sample)))
        .collect()
}

#[test]
fn prometheus_has_every_value() {
    let setup = Setup::new();
    let Some(server) = receiver(setup.directory.path(), free_address().unwrap()) else { return };
    let sluice = start(&setup, server.address, "    external_labels: {cluster: here, job: none}");
    // Prometheus before 2.47 knows no series of a native histogram that exemplars could belong to in its first request.
    for _ in 0..2 {
        send(&setup, measurements());
        send(&setup, others());
    }
    assert_measured(&server, "1");
    for (labels, _) in query(&server, "orders_total") {
        assert_eq!((labels["cluster"].as_str(), labels["job"].as_str()), (Some("here"), Some("shop")));
    }
    assert_eq!(single(&server, "histogram_count(spread_seconds)"), 10.0);
    assert_eq!(single(&server, "histogram_sum(spread_seconds)"), 30.0);
    assert_eq!(single(&server, "histogram_quantile(0.6,spread_seconds)"), 3.0);
    assert_eq!(single(&server, "histogram_fraction(-2,-1,spread_seconds)"), 0.1);
    assert_eq!(single(&server, "histogram_fraction(4,8,spread_seconds)"), 0.2);
    for name in ["orders_total", "latency_seconds_bucket", "spread_seconds"] {
        let found = traces(&server, name);
        assert!(!found.is_empty() && found.iter().all(|trace| trace == TRACE), "{name}: {found:?}");
    }
    assert_eq!(sum(setup.telemetry, REJECTED, ""), 0);
    drop(server);
    sluice.stop();
}

#[test]
fn a_series_that_has_ended_is_stale() {
    let setup = Setup::new();
    let Some(server) = receiver(setup.directory.path(), free_address().unwrap()) else { return };
    let sluice = start(&setup, server.address, "");
    let begin = now() - 10 * SECOND;
    send(&setup, vec![gauge("rooms", vec![at(begin, 4.0)]), gauge("halls", vec![at(begin, 5.0)])]);
    assert_eq!((single(&server, "rooms"), single(&server, "halls")), (4.0, 5.0));
    let ended = NumberDataPoint { flags: 1, value: None, ..at(begin + 5 * SECOND, 0.0) };
    send(&setup, vec![gauge("rooms", vec![ended])]);
    eventually("one series has ended", || {
        let answer = get(server.address, "/api/v1/query?query=rooms").body;
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        answer["data"]["result"].as_array().is_some_and(Vec::is_empty)
    });
    assert_eq!(single(&server, "halls"), 5.0, "the other goes on");
    assert_eq!(stored(&server, "rooms"), [(begin / 1_000_000, 4.0)]);
    drop(server);
    sluice.stop();
}

#[test]
fn a_sample_that_prometheus_will_never_take_is_given_up_alone() {
    let setup = Setup::new();
    let Some(server) = receiver(setup.directory.path(), free_address().unwrap()) else { return };
    let sluice = start(&setup, server.address, "    retry_on_failure: {max_elapsed_time: 0s}");
    let begin = now() - 60 * SECOND;
    let steps = |second: u64, value: f64| gauge("steps", vec![at(begin + second * SECOND, value)]);
    send_from(&setup, &[], vec![steps(10, 1.0)]);
    assert_eq!(single(&server, "steps"), 1.0);
    // Prometheus takes nothing of a request with a bad sample.
    send_from(&setup, &[], vec![steps(5, 2.0), gauge("fresh", vec![at(begin, 3.0)])]);
    assert_eq!(single(&server, "fresh"), 3.0);
    send_from(&setup, &[], vec![gauge("ancient", vec![at(begin - 100_000 * SECOND, 4.0)])]);
    send_from(&setup, &[], vec![steps(20, 5.0)]);
    eventually("the later sample is there", || single(&server, "steps") == 5.0);
    let milliseconds = |second: u64| (begin + second * SECOND) / 1_000_000;
    assert_eq!(stored(&server, "steps"), [(milliseconds(10), 1.0), (milliseconds(20), 5.0)]);
    eventually("what was written is counted", || sum(setup.telemetry, REQUESTS, "written") == 3);
    assert_eq!(sum(setup.telemetry, REJECTED, "out_of_order"), 1);
    assert_eq!(sum(setup.telemetry, REJECTED, "out_of_bounds"), 1);
    // The whole and the bad half of the second, and the third: nothing was tried again.
    assert_eq!(sum(setup.telemetry, REQUESTS, "rejected"), 3);
    assert_eq!(sum(setup.telemetry, REQUESTS, "failed"), 0);
    drop(server);
    let log = sluice.stop();
    assert!(log.contains("out of order sample"), "{log}");
}

#[test]
fn what_is_in_the_queue_outlives_both_ends_in_order() {
    let setup = Setup::new();
    let address = free_address().unwrap();
    let Some(server) = receiver(setup.directory.path(), address) else { return };
    let queue = format!(
        "    retry_on_failure: {{max_interval: 100ms, max_elapsed_time: 0s}}
    remote_write_queue: {{storage: file_storage}}
extensions:
  file_storage: {{directory: {}, create_directory: true}}",
        setup.path("queue").display()
    );
    let config =
        config(&setup, address, &queue).replace("service:\n", "service:\n  extensions: [file_storage]\n");
    let begin = now() - 300 * SECOND;
    let count = |number: u64| {
        let point = at(begin + number * SECOND, number as f64);
        let data = Sum { data_points: vec![point], aggregation_temporality: CUMULATIVE, is_monotonic: true };
        send_from(&setup, &[], vec![metric("steps", "", "", Data::Sum(data))]);
    };
    let sluice = setup.start(&config, setup.http);
    (0..20).for_each(count);
    eventually("the first samples are there", || stored(&server, "steps_total").len() == 20);
    server.stop();
    (20..40).for_each(count);
    sluice.stop();
    let sluice = setup.start(&config, setup.http);
    (40..60).for_each(count);
    let Some(server) = receiver(setup.directory.path(), address) else { return };
    eventually("all samples are there", || stored(&server, "steps_total").len() == 60);
    let expected: Vec<(u64, f64)> =
        (0..60).map(|number| ((begin + number * SECOND) / 1_000_000, number as f64)).collect();
    assert_eq!(stored(&server, "steps_total"), expected);
    assert_eq!(sum(setup.telemetry, REJECTED, ""), 0);
    drop(server);
    sluice.stop();
}

/// `io.prometheus.write.v2.Request`, as far as it is looked at.
#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(string, repeated, tag = "4")]
    symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(uint32, repeated, tag = "1")]
    labels_refs: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<WriteSample>,
    #[prost(int64, tag = "6")]
    created_timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct WriteSample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
    #[prost(int64, tag = "3")]
    start_timestamp: i64,
}

/// Keeps what it is sent; takes all but the last sample of each request.
#[derive(Default)]
struct Receiver {
    requests: Mutex<Vec<WriteRequest>>,
}

impl serve::Handler for Receiver {
    fn handle(self: Arc<Self>, request: Request<Incoming>) -> BoxFuture<'static, serve::Answer> {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            assert_eq!(
                head.headers["content-type"],
                "application/x-protobuf;proto=io.prometheus.write.v2.Request"
            );
            assert_eq!(head.headers["x-prometheus-remote-write-version"], "2.0.0");
            let body = receive(body).await.unwrap().body;
            let content = decompress(Encoding::Snappy, &body, 1 << 20).unwrap().bytes;
            let decoded = WriteRequest::decode(content.as_slice()).unwrap();
            let samples = decoded.timeseries.iter().map(|series| series.samples.len()).sum::<usize>() - 1;
            self.requests.lock().unwrap().push(decoded);
            let mut answer = Response::new(Empty::new().boxed());
            for (kind, count) in [("samples", samples), ("histograms", 0), ("exemplars", 0)] {
                let name = format!("x-prometheus-remote-write-{kind}-written");
                answer
                    .headers_mut()
                    .insert(http::HeaderName::try_from(name).unwrap(), HeaderValue::from(count));
            }
            answer
        })
    }
}

#[test]
fn version_2_is_read_by_another_decoder() {
    let setup = Setup::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let receiver = Arc::new(Receiver::default());
    runtime.spawn(serve::serve(listener, Protocol::Http1, Arc::clone(&receiver)));
    let keys =
        "    protobuf_message: io.prometheus.write.v2.Request\n    remote_write_queue: {enabled: false}";
    let sluice = start(&setup, address, keys);
    let begin = now() - 60 * SECOND;
    let point = NumberDataPoint {
        start_time_unix_nano: begin,
        time_unix_nano: begin + SECOND,
        ..number(3.0, &[("state", "paid")])
    };
    let data = Sum { data_points: vec![point], aggregation_temporality: CUMULATIVE, is_monotonic: true };
    let metrics =
        vec![metric("orders", "", "Orders.", Data::Sum(data)), gauge("rooms", vec![at(begin, 4.0)])];
    let answer = crate::prometheus::post_from(&setup, &[], metrics);
    let said = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(answer.status == 200 && said.contains("not written 1 samples"), "{answer:?}");
    let requests = receiver.requests.lock().unwrap();
    let [request] = requests.as_slice() else { panic!("{requests:?}") };
    let told: Vec<(BTreeMap<&str, &str>, f64, i64, i64)> = request
        .timeseries
        .iter()
        .map(|series| {
            let text = |at: &u32| request.symbols[*at as usize].as_str();
            let labels = series.labels_refs.chunks(2).map(|pair| (text(&pair[0]), text(&pair[1])));
            let [sample] = series.samples.as_slice() else { panic!("{series:?}") };
            assert_eq!(sample.start_timestamp, series.created_timestamp);
            (labels.collect(), sample.value, sample.timestamp, sample.start_timestamp)
        })
        .collect();
    let begin = (begin / 1_000_000) as i64;
    assert_eq!(
        told,
        [
            (BTreeMap::from([("__name__", "orders_total"), ("state", "paid")]), 3.0, begin + 1000, begin),
            (BTreeMap::from([("__name__", "rooms")]), 4.0, begin, 0),
        ]
    );
    assert_eq!(sum(setup.telemetry, REJECTED, "not_written"), 1);
    drop(requests);
    sluice.stop();
}
