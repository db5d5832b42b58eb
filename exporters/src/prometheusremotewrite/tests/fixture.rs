//! OTLP to give to an exporter, and a server that it sends to.

use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use http::{HeaderMap, Response, StatusCode};
use opentelemetry_proto::tonic::{
    metrics::v1::{
        ExponentialHistogram, ExponentialHistogramDataPoint, Metric, MetricsData, ResourceMetrics,
        ScopeMetrics, exponential_histogram_data_point::Buckets, metric::Data,
    },
    resource::v1::Resource,
};
use prost::Message;
use sluice_pipeline::{
    Batch, Chunk, Context, Signal,
    budget::Budget,
    component::{ComponentContext, Kind, Listener},
    http::{
        ResponseBody, empty,
        server::{Handler, HttpServer, HttpServerConfig, IncomingRequest, Server},
    },
};
use tokio::net::TcpListener;

pub(super) use crate::prometheus_model::testing::*;

use super::messages::WriteRequest;
use crate::prometheusremotewrite::{
    RemoteWriteConfig, RemoteWriteKeys, config::ProtobufMessage, refusal::Refusal, request::requests,
    translate::Translator, writer::RemoteWriter,
};

/// [`TIME`] in the lines of samples.
pub(super) const AT: &str = "@1700000000000";

/// A batch of metrics of a resource.
pub(super) fn batch_of(resource: &[(&str, &str)], metrics: Vec<Metric>) -> Batch {
    let items = 1;
    let data = MetricsData {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource { attributes: attributes(resource), ..Resource::default() }),
            scope_metrics: vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }],
            ..ResourceMetrics::default()
        }],
    };
    Batch::new(Signal::Metrics, Chunk::new(data.encode_to_vec().into(), items), Context::default())
}

pub(super) fn batch(metrics: Vec<Metric>) -> Batch {
    batch_of(&[], metrics)
}

/// A metric of exponential histograms.
pub(super) fn exponential(points: Vec<ExponentialHistogramDataPoint>) -> Metric {
    let data = ExponentialHistogram { data_points: points, aggregation_temporality: CUMULATIVE };
    metric("spread", "s", Data::ExponentialHistogram(data))
}

/// One with these counts above zero.
pub(super) fn spread(scale: i32, offset: i32, counts: Vec<u64>) -> ExponentialHistogramDataPoint {
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

/// What became of a batch: requests before compression, each written, and what was refused.
pub(super) struct Made {
    pub(super) bodies: Vec<Vec<u8>>,
    pub(super) refused: Vec<(Refusal, u64)>,
}

pub(super) fn make(batch: &Batch, change: impl FnOnce(&mut RemoteWriteKeys)) -> Made {
    let mut keys = RemoteWriteKeys::default();
    change(&mut keys);
    make_with(&Translator::new(&keys), &keys, batch)
}

pub(super) fn make_with(translator: &Translator, keys: &RemoteWriteKeys, batch: &Batch) -> Made {
    let mut made = Made { bodies: Vec::new(), refused: Vec::new() };
    let mut from = Some(0);
    while let Some(first) = from {
        let translated = translator.translate(batch, first);
        let requests =
            requests(&translated.segment, keys.protobuf_message, keys.send_metadata, keys.batch_size());
        for request in requests.unwrap() {
            translator.sent(&request, true);
            made.bodies.push(uncompressed(&request.body));
        }
        made.refused.extend(translated.refused);
        from = translated.next;
    }
    made
}

pub(super) fn uncompressed(body: &[u8]) -> Vec<u8> {
    use sluice_pipeline::compression::{Encoding, decompress};
    assert!(!body.starts_with(b"\xff\x06\x00\x00sNaPpY"), "a block, not a stream");
    decompress(Encoding::Snappy, body, 1 << 30).unwrap().bytes
}

/// Samples of version 1.0 as lines, in order.
pub(super) fn lines(batch: &Batch, change: impl FnOnce(&mut RemoteWriteKeys)) -> Vec<String> {
    let made = make(batch, change);
    assert_eq!(made.refused, []);
    let mut lines = Vec::new();
    for body in made.bodies {
        for series in WriteRequest::decode(body.as_slice()).unwrap().timeseries {
            let name = series.name();
            for sample in &series.samples {
                lines.push(format!("{name} {} @{}", sample.value, sample.timestamp));
            }
        }
    }
    lines
}

/// What a server answers to the content of a request, its number given too.
type Answer = Box<dyn Fn(usize, &[u8]) -> Response<ResponseBody> + Send + Sync>;

struct Recorder {
    requests: Mutex<Vec<(HeaderMap, Vec<u8>)>>,
    answer: Answer,
}

impl Handler for Recorder {
    fn handle(&self, mut request: IncomingRequest) -> BoxFuture<'_, Response<ResponseBody>> {
        Box::pin(async move {
            let content = request.content().await.unwrap();
            // Requests that are under way at the same time end in another order than they came.
            for _ in 0..content.bytes.len() % 7 {
                tokio::task::yield_now().await;
            }
            let number = {
                let mut requests = self.requests.lock().unwrap();
                requests.push((request.head.headers.clone(), content.bytes.to_vec()));
                requests.len() - 1
            };
            (self.answer)(number, &content.bytes)
        })
    }
}

/// A server that is written to.
pub(super) struct Peer {
    recorder: Arc<Recorder>,
    pub(super) endpoint: String,
    pub(super) context: ComponentContext,
    _server: Server,
}

impl Peer {
    pub(super) async fn answering(
        answer: impl Fn(usize, &[u8]) -> Response<ResponseBody> + Send + Sync + 'static,
    ) -> Self {
        let context = ComponentContext::detached("prometheusremotewrite", Budget::new(1 << 30));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/api/v1/write", listener.local_addr().unwrap());
        let recorder = Arc::new(Recorder { requests: Mutex::default(), answer: Box::new(answer) });
        let server = HttpServer::new(&HttpServerConfig::default(), "", &context).unwrap();
        let handler: Arc<dyn Handler> = Arc::clone(&recorder) as _;
        let server = server.start(Listener::Tcp(listener), Kind::Exporter, handler);
        Self { recorder, endpoint, context, _server: server }
    }

    pub(super) fn config(&self, change: impl FnOnce(&mut RemoteWriteConfig)) -> RemoteWriteConfig {
        let mut config = RemoteWriteConfig::default();
        config.client.endpoint = self.endpoint.clone();
        change(&mut config);
        config
    }

    pub(super) fn writer(&self, change: impl FnOnce(&mut RemoteWriteConfig)) -> RemoteWriter {
        RemoteWriter::new(&self.config(change), &self.context).unwrap()
    }

    /// Headers and content of each request so far.
    pub(super) fn requests(&self) -> Vec<(HeaderMap, Vec<u8>)> {
        self.recorder.requests.lock().unwrap().clone()
    }
}

pub(super) fn status(code: u16) -> Response<ResponseBody> {
    let mut response = Response::new(empty());
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

/// A success of version 2.0 that says what was written.
pub(super) fn written(samples: u64, histograms: u64, exemplars: u64) -> Response<ResponseBody> {
    let mut response = status(204);
    for (kind, count) in [("samples", samples), ("histograms", histograms), ("exemplars", exemplars)] {
        let name: http::HeaderName = format!("x-prometheus-remote-write-{kind}-written").parse().unwrap();
        response.headers_mut().insert(name, count.into());
    }
    response
}

pub(super) fn version2(config: &mut RemoteWriteConfig) {
    config.own.protobuf_message = ProtobufMessage::V2;
}
