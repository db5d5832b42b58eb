//! What the `prometheus` exporter costs: memory a series, and CPU a scrape in each format.
//!
//!     cargo run --profile ci -p sluice-exporters --example prometheus_scrape -- 1000000
//!
//! Counters with eight labels (about 190 bytes of them), taken as OTLP in requests of 10,000 points. `curl` scrapes in
//! a process of its own, so that only the exporter's CPU is counted.

#![expect(clippy::print_stdout, reason = "it reports")]

use std::{
    collections::HashMap,
    error::Error,
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    metrics::v1::{
        AggregationTemporality, Metric, MetricsData, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
        metric::Data, number_data_point,
    },
    resource::v1::Resource,
};
use prost::Message;
use sluice_exporters::prometheus::{Prometheus, PrometheusConfig};
use sluice_pipeline::{
    Batch, Chunk, Context, Permit, Reply, Signal,
    budget::Budget,
    component::{ComponentContext, ExporterContext, ExporterFactory, Listener},
};
use tokio::net::TcpListener;

/// As the product has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const REQUEST: usize = 10_000;
const FORMATS: [(&str, &str); 3] = [
    ("text 0.0.4", "text/plain"),
    ("OpenMetrics", "application/openmetrics-text"),
    (
        "protobuf",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
    ),
];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let series: usize = std::env::args().nth(1).map_or(Ok(1_000_000), |text| text.parse())?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/metrics", listener.local_addr()?);
    let context = ExporterContext {
        component: ComponentContext::detached("prometheus", Budget::new(1 << 40)),
        signal: Signal::Metrics,
        listeners: HashMap::from([("http", Listener::Tcp(listener))]),
    };
    let mut config = PrometheusConfig::default();
    config.own.max_series = series + 1;
    config.own.enable_open_metrics = true;
    let exporter = Prometheus::build(config, context)?;

    let before = resident()?;
    let begin = cpu()?;
    let mut taking = Duration::ZERO;
    for first in (0..series).step_by(REQUEST) {
        let body = request(first, REQUEST.min(series - first)).encode_to_vec();
        let batch = Batch::new(Signal::Metrics, Chunk::new(body.into(), REQUEST), Context::default());
        let begin = Instant::now();
        let reply = exporter.consume(batch, Permit::none()).await;
        taking += begin.elapsed();
        if reply != Reply::Delivered {
            return Err(format!("{reply:?}").into());
        }
    }
    println!(
        "{series} series taken in {:.2} s ({:.2} s of CPU, with making them)",
        taking.as_secs_f64(),
        cpu()? - begin
    );
    println!("{} bytes resident a series", (resident()? - before) / series as u64);
    for (name, accept) in FORMATS {
        for compressed in [false, true] {
            let begin = cpu()?;
            let mut curl = Command::new("curl");
            curl.args([
                "--silent",
                "--fail",
                "--output",
                "/dev/null",
                "--write-out",
                "%{size_download} %{time_total}",
            ]);
            if compressed {
                curl.args(["--header", "Accept-Encoding: gzip"]);
            }
            curl.args(["--header", &format!("Accept: {accept}"), &url]).stdout(Stdio::piped());
            let output = tokio::task::spawn_blocking(move || curl.output()).await??;
            let told = String::from_utf8(output.stdout)?;
            let (size, time) = told.split_once(' ').ok_or("curl said nothing")?;
            let gzip = if compressed { " gzip" } else { "" };
            println!(
                "{name}{gzip}: {:.2} s of CPU, {time} s, {} MB",
                cpu()? - begin,
                size.parse::<u64>()? / 1_000_000
            );
        }
    }
    println!("{} bytes resident a series after the scrapes", (resident()? - before) / series as u64);
    exporter.drain(Instant::now() + Duration::from_secs(1)).await;
    Ok(())
}

fn request(first: usize, count: usize) -> MetricsData {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64);
    let point = |index: usize| NumberDataPoint {
        start_time_unix_nano: now - 60_000_000_000,
        time_unix_nano: now,
        value: Some(number_data_point::Value::AsInt(index as i64)),
        attributes: vec![
            pair("http.request.method", "GET"),
            pair("http.response.status_code", "200"),
            pair("http.route", &format!("/api/v1/users/{{id}}/orders/{}", index % 100)),
            pair("server.address", "shop.example.com"),
            pair("url.scheme", "https"),
            pair("client.id", &format!("{index:0>12}")),
        ],
        ..NumberDataPoint::default()
    };
    let sum = Sum {
        data_points: (first..first + count).map(point).collect(),
        aggregation_temporality: AggregationTemporality::Cumulative as i32,
        is_monotonic: true,
    };
    let metric = Metric {
        name: format!("http.server.requests.{}", first / 100_000),
        description: "Requests.".to_owned(),
        data: Some(Data::Sum(sum)),
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

fn pair(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) }),
        ..KeyValue::default()
    }
}

/// Bytes of memory that this process has resident.
fn resident() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// Seconds of CPU that this process has used, of all its threads.
fn cpu() -> Result<f64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(") ").ok_or("no name")?;
    let ticks: u64 = fields.split(' ').skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(ticks as f64 / 100.0)
}
