//! What the `prometheusremotewrite` exporter costs: samples a CPU second, in either version.
//!
//!     cargo run --profile ci -p sluice-exporters --example remote_write -- 100
//!
//! Requests of 10,000 counters with eight labels (about 190 bytes of them) and of 700 histograms with twelve buckets (14
//! series each), all series new to each request. A thread reads what is sent and answers; its CPU is not counted.

#![expect(clippy::print_stdout, reason = "it reports")]

use std::{
    collections::HashMap,
    error::Error,
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    metrics::v1::{
        AggregationTemporality, Histogram, HistogramDataPoint, Metric, MetricsData, NumberDataPoint,
        ResourceMetrics, ScopeMetrics, Sum, metric::Data, number_data_point,
    },
    resource::v1::Resource,
};
use prost::Message;
use sluice_exporters::prometheusremotewrite::{PrometheusRemoteWrite, ProtobufMessage, RemoteWriteConfig};
use sluice_pipeline::{
    Batch, Chunk, Context, Permit, Reply, Signal,
    budget::Budget,
    component::{ComponentContext, ExporterContext, ExporterFactory},
};

type Failure = Box<dyn Error + Send + Sync>;

/// As the product has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const COUNTERS: usize = 10_000;
const HISTOGRAMS: usize = 700;
const BUCKETS: usize = 12;

/// What the server has seen.
#[derive(Default)]
struct Seen {
    bytes: AtomicU64,
    /// Connections that are open.
    open: AtomicU64,
    /// The CPU of its threads that have ended, in hundredths of a second.
    ticks: AtomicU64,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let requests: usize = std::env::args().nth(1).map_or(Ok(100), |text| text.parse())?;
    for message in [ProtobufMessage::V1, ProtobufMessage::V2] {
        measure(message, "counters", requests, COUNTERS, counters).await?;
        measure(message, "histograms", requests, HISTOGRAMS * (BUCKETS + 2), histograms).await?;
    }
    Ok(())
}

async fn measure(
    message: ProtobufMessage,
    kind: &str,
    requests: usize,
    samples: usize,
    make: fn(usize) -> MetricsData,
) -> Result<(), Failure> {
    let bodies: Vec<Vec<u8>> = (0..requests).map(|request| make(request).encode_to_vec()).collect();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let endpoint = format!("http://{}/api/v1/write", listener.local_addr()?);
    let seen = Arc::new(Seen::default());
    let accepted = Arc::clone(&seen);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let seen = Arc::clone(&accepted);
            seen.open.fetch_add(1, Ordering::SeqCst);
            thread::spawn(move || {
                // The client ends the connection.
                let _ = serve(stream, &seen);
                seen.ticks.fetch_add(ticks("/proc/thread-self/stat").unwrap_or(0), Ordering::SeqCst);
                seen.open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    let mut config = RemoteWriteConfig::default();
    config.client.endpoint = endpoint;
    config.own.protobuf_message = message;
    config.own.remote_write_queue.queue.enabled = false;
    let context = ExporterContext {
        component: ComponentContext::detached("prometheusremotewrite", Budget::new(1 << 40)),
        signal: Signal::Metrics,
        listeners: HashMap::new(),
    };
    let exporter = PrometheusRemoteWrite::build(config, context)?;
    let begin = (ticks("/proc/self/stat")?, Instant::now());
    for body in bodies {
        let batch = Batch::new(Signal::Metrics, Chunk::new(body.into(), 1), Context::default());
        let reply = exporter.consume(batch, Permit::none()).await;
        if reply != Reply::Delivered {
            return Err(format!("{reply:?}").into());
        }
    }
    let took = begin.1.elapsed();
    let all = ticks("/proc/self/stat")? - begin.0;
    exporter.drain(Instant::now()).await;
    // Its connections end with it, and with them the threads of the server.
    drop(exporter);
    while seen.open.load(Ordering::SeqCst) > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let cpu = all.saturating_sub(seen.ticks.load(Ordering::Relaxed)) as f64 / 100.0;
    let count = (samples * requests) as f64;
    println!(
        "{message:?} {kind}: {:.2} M samples a CPU second, {:.1} bytes a sample on the wire, {:.2} s",
        count / cpu / 1e6,
        seen.bytes.load(Ordering::Relaxed) as f64 / count,
        took.as_secs_f64()
    );
    Ok(())
}

/// Reads requests and takes everything in them.
fn serve(stream: TcpStream, seen: &Seen) -> io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::with_capacity(1 << 20, stream);
    let mut body = Vec::new();
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0);
            }
            if line.trim().is_empty() {
                break;
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        seen.bytes.fetch_add(length as u64, Ordering::Relaxed);
        // More than any request here has: the exporter counts no more than it sent.
        writer.write_all(
            b"HTTP/1.1 204 No Content\r\nX-Prometheus-Remote-Write-Samples-Written: 99999999\r\n\
              X-Prometheus-Remote-Write-Histograms-Written: 0\r\nX-Prometheus-Remote-Write-Exemplars-Written: 0\r\n\r\n",
        )?;
    }
}

fn counters(request: usize) -> MetricsData {
    let now = now();
    let point = |index: usize| NumberDataPoint {
        start_time_unix_nano: now - 60_000_000_000,
        time_unix_nano: now,
        value: Some(number_data_point::Value::AsInt(index as i64)),
        attributes: attributes(request * COUNTERS + index),
        ..NumberDataPoint::default()
    };
    let sum = Sum {
        data_points: (0..COUNTERS).map(point).collect(),
        aggregation_temporality: AggregationTemporality::Cumulative as i32,
        is_monotonic: true,
    };
    metrics("http.server.requests", Data::Sum(sum))
}

fn histograms(request: usize) -> MetricsData {
    let now = now();
    let point = |index: usize| HistogramDataPoint {
        start_time_unix_nano: now - 60_000_000_000,
        time_unix_nano: now,
        count: 12,
        sum: Some(index as f64),
        explicit_bounds: (0..BUCKETS - 1).map(|bound| 0.005 * f64::powi(2.0, bound as i32)).collect(),
        bucket_counts: vec![1; BUCKETS],
        attributes: attributes(request * HISTOGRAMS + index),
        ..HistogramDataPoint::default()
    };
    let histogram = Histogram {
        data_points: (0..HISTOGRAMS).map(point).collect(),
        aggregation_temporality: AggregationTemporality::Cumulative as i32,
    };
    metrics("http.server.request.duration", Data::Histogram(histogram))
}

fn metrics(name: &str, data: Data) -> MetricsData {
    let metric = Metric {
        name: name.to_owned(),
        description: "Requests.".to_owned(),
        data: Some(data),
        ..Metric::default()
    };
    let resource = Resource {
        attributes: vec![
            pair("service.name", "checkout"),
            pair("service.instance.id", "checkout-5d8f-x2x9k"),
        ],
        ..Resource::default()
    };
    MetricsData {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource),
            scope_metrics: vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }],
            ..ResourceMetrics::default()
        }],
    }
}

fn attributes(index: usize) -> Vec<KeyValue> {
    vec![
        pair("http.request.method", "GET"),
        pair("http.response.status_code", "200"),
        pair("http.route", &format!("/api/v1/users/{{id}}/orders/{}", index % 100)),
        pair("server.address", "shop.example.com"),
        pair("url.scheme", "https"),
        pair("client.id", &format!("{index:0>12}")),
    ]
}

fn pair(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) }),
        ..KeyValue::default()
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64)
}

/// CPU that a process or thread has used, in hundredths of a second.
fn ticks(stat: &str) -> Result<u64, Failure> {
    let stat = fs::read_to_string(stat)?;
    let (_, fields) = stat.rsplit_once(") ").ok_or("no name")?;
    Ok(fields.split(' ').skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?)
}
