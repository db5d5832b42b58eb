//! The exporter behind its server.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use http::HeaderMap;
use opentelemetry_proto::tonic::metrics::v1::{MetricsData, ResourceMetrics, ScopeMetrics};
use prost::Message;
use sluice_pipeline::{
    Batch, Chunk, Consumer, Context, Permit, Reply, Signal,
    budget::Budget,
    component::{ComponentContext, ExporterContext, ExporterFactory, Listener},
    compression::{Encoding, decompress},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::fixture::*;
use crate::prometheus::{
    ENDPOINT, Prometheus, PrometheusConfig, PrometheusKeys, negotiate::Choice, scrape::Scrapes,
};

struct Served {
    exporter: Arc<dyn Consumer>,
    address: SocketAddr,
}

impl Served {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let context = ExporterContext {
            component: ComponentContext::detached("prometheus", Budget::new(1 << 30)),
            signal: Signal::Metrics,
            listeners: HashMap::from([(ENDPOINT, Listener::Tcp(listener))]),
        };
        let mut config = PrometheusConfig::default();
        config.own.enable_open_metrics = true;
        Self { exporter: Prometheus::build(config, context).unwrap(), address }
    }

    async fn take(&self, count: usize) -> Reply {
        let points = (0..count).map(|index| point(0, TIME, 1.0, &[("index", &index.to_string())])).collect();
        let data = MetricsData {
            resource_metrics: vec![ResourceMetrics {
                scope_metrics: vec![ScopeMetrics {
                    metrics: vec![gauge("m", "", points)],
                    ..ScopeMetrics::default()
                }],
                ..ResourceMetrics::default()
            }],
        };
        let batch =
            Batch::new(Signal::Metrics, Chunk::new(data.encode_to_vec().into(), count), Context::default());
        self.exporter.consume(batch, Permit::none()).await
    }

    /// Head and body of an answer.
    async fn ask(&self, request: &str, headers: &str) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // HTTP/1.0 has no chunks, so that the body is what comes until the end.
        let head = format!("{request} HTTP/1.0\r\nhost: test\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        (String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase(), answer[end + 4..].to_vec())
    }
}

#[tokio::test]
async fn scrapers_are_answered_in_their_format() {
    let served = Served::start().await;
    assert_eq!(served.take(2).await, Reply::Delivered);
    let (head, body) = served.ask("GET /metrics", "").await;
    assert!(head.contains("200 ok") && head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    assert_eq!(
        String::from_utf8(body).unwrap(),
        "# HELP m What m says.\n# TYPE m gauge\nm{index=\"0\"} 1\nm{index=\"1\"} 1\n"
    );
    let (head, body) = served.ask("GET /metrics", "accept: application/openmetrics-text\r\n").await;
    assert!(
        head.contains("application/openmetrics-text; version=1.0.0") && body.ends_with(b"# EOF\n"),
        "{head}"
    );
    let (head, body) = served.ask("HEAD /metrics", "").await;
    assert!(head.contains("200 ok") && body.is_empty(), "{head}");
    assert!(served.ask("GET /", "").await.0.contains("404"));
    let (head, _) = served.ask("POST /metrics", "content-length: 0\r\n").await;
    assert!(head.contains("405") && head.contains("allow: get, head"), "{head}");
}

#[tokio::test]
async fn a_large_answer_is_compressed_as_one_stream() {
    let served = Served::start().await;
    served.take(20_000).await;
    let (_, plain) = served.ask("GET /metrics", "").await;
    let (head, compressed) = served.ask("GET /metrics", "accept-encoding: gzip\r\n").await;
    assert!(head.contains("content-encoding: gzip"), "{head}");
    let out = decompress(Encoding::Gzip, &compressed, 64 << 20).unwrap();
    assert!(out.whole, "one member, which every client reads");
    assert!(out.bytes == plain && compressed.len() * 4 < plain.len(), "{} bytes", compressed.len());
}

#[test]
fn scrapers_that_do_not_read_take_bounded_memory() {
    let budget = Budget::new(1 << 30);
    let exporter = Fixture::within(&budget, |_| {});
    exporter.take(vec![gauge("m", "", vec![point(0, TIME, 1.0, &[])])]);
    let before = budget.used();
    let scrapes = Scrapes::new(Arc::clone(&exporter.store), &PrometheusKeys::default(), &budget);
    let choice = Choice::of(&HeaderMap::new(), false);
    let unread: Vec<_> = std::iter::from_fn(|| scrapes.body(choice)).take(1_000).collect();
    assert_eq!((unread.len(), (budget.used() - before) >> 20), (32, 8), "and MiB");
    drop(unread);
    assert_eq!(budget.used(), before);
    assert!(scrapes.body(choice).is_some(), "there is room again");
}

#[tokio::test]
async fn it_is_no_longer_served_once_it_is_drained() {
    let served = Served::start().await;
    served.exporter.drain(Instant::now() + Duration::from_secs(5)).await;
    assert!(TcpStream::connect(served.address).await.is_err());
}
