//! The receiver over loopback, with a pipeline that answers as told.

#![expect(clippy::disallowed_methods, reason = "the client, and what it asks, is the test itself")]

mod agents;
mod http;
mod streams;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use ::http::{HeaderMap, Request, Response, StatusCode};
use bytes::Bytes;
use futures_util::{StreamExt, future::BoxFuture, stream};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use prost::Message as _;
use sluice_pipeline::{
    Batch, Consumer, Demand, Failure, Outlet, Permit, Reply, Signal,
    budget::Budget,
    component::{
        Capabilities, ComponentConfig, ComponentContext, Listener, Outlets, Receiver, ReceiverContext,
        ReceiverFactory, RelayBody, Upstream,
    },
    config::{Problems, decode, parse},
    grpc::{Status, frame},
};
use sluice_protocols::skywalking::v3;
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc},
    task::JoinHandle,
};

use super::{Config, STREAM_WINDOW, SkyWalking, intake::CUT};

const COLLECT: &str = "/skywalking.v3.TraceSegmentReportService/collect";
const KEEP_ALIVE: &str = "/skywalking.v3.ManagementService/keepAlive";
const CONFIGURATIONS: &str = "/skywalking.v3.ConfigurationDiscoveryService/fetchConfigurations";

/// Keeps what it gets, or answers that it is busy.
#[derive(Default)]
struct Pipeline {
    batches: Mutex<Vec<Batch>>,
    busy: AtomicBool,
    refused: Notify,
    consumed: Notify,
}

impl Consumer for Pipeline {
    fn reserve<'a>(&'a self, _demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>> {
        Box::pin(async { Ok(Permit::none()) })
    }

    fn consume(&self, batch: Batch, _permit: Permit) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            if self.busy.load(Ordering::Relaxed) {
                self.refused.notify_one();
                return Failure::retryable("busy").into();
            }
            self.batches.lock().unwrap().push(batch);
            self.consumed.notify_one();
            Reply::Delivered
        })
    }

    fn drain(&self, _deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

impl Pipeline {
    fn items(&self) -> usize {
        self.batches.lock().unwrap().iter().map(Batch::items).sum()
    }

    async fn holds(&self, items: usize) {
        while self.items() < items {
            self.consumed.notified().await;
        }
    }
}

/// Answers with the path and the bytes that it got.
struct Echo;

impl Upstream for Echo {
    fn relay(&self, request: Request<RelayBody>) -> BoxFuture<'_, Result<Response<RelayBody>, Failure>> {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let mut bytes = head.uri.path().as_bytes().to_vec();
            bytes.extend_from_slice(
                &body.collect().await.map_err(|error| Failure::permanent(error.to_string()))?.to_bytes(),
            );
            let mut trailers = HeaderMap::new();
            Status::new(sluice_pipeline::Code::Ok, "").write(&mut trailers);
            let body = Full::new(Bytes::from(bytes)).with_trailers(std::future::ready(Some(Ok(trailers))));
            Ok(Response::new(body.map_err(|never| match never {}).boxed_unsync()))
        })
    }
}

struct Fixture {
    grpc: SocketAddr,
    http: SocketAddr,
    pipeline: Arc<Pipeline>,
    budget: Budget,
    receiver: Box<dyn Receiver>,
}

fn read_config(text: &str) -> Result<Config, String> {
    let mut problems = Problems::default();
    let node = parse("skywalking.yaml", text, &mut problems).ok_or_else(|| problems.to_string())?;
    decode(&node, &mut problems).ok_or_else(|| problems.to_string())
}

async fn start_with(grpc: &str, rest: &str, signals: &[Signal]) -> Fixture {
    let config = read_config(&format!("{{protocols: {{grpc: {{{grpc}}}, http: {{}}}}{rest}}}")).unwrap();
    let pipeline = Arc::new(Pipeline::default());
    let outlet = Outlet::new(Arc::clone(&pipeline) as Arc<dyn Consumer>);
    let budget = Budget::new(1 << 30);
    let mut component = ComponentContext::detached("skywalking", budget.clone());
    let upstream = Capabilities { upstream: Some(Arc::new(Echo)), ..Capabilities::default() };
    component.extensions = Arc::new([("oap".parse().unwrap(), upstream)].into());
    let outlets = Outlets::new(signals.iter().map(|signal| (*signal, outlet.clone())));
    let mut receiver = SkyWalking::build(config, ReceiverContext { component, outlets }).unwrap();
    let (on_grpc, on_http) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let (grpc, http) = (on_grpc.local_addr().unwrap(), on_http.local_addr().unwrap());
    let listeners = [("grpc", Listener::Tcp(on_grpc)), ("http", Listener::Tcp(on_http))];
    receiver.start(listeners.into_iter().collect()).await.unwrap();
    Fixture { grpc, http, pipeline, budget, receiver }
}

async fn start() -> Fixture {
    start_with("", "", &[Signal::Traces, Signal::Metrics, Signal::Logs]).await
}

type SentBody = UnsyncBoxBody<Bytes, std::convert::Infallible>;

/// An answer over gRPC.
#[derive(Debug, PartialEq)]
struct Answer {
    status: String,
    body: Bytes,
}

async fn answer(response: Response<Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    let collected = body.collect().await.unwrap();
    let headers = collected.trailers().cloned().unwrap_or(head.headers);
    let status = headers.get("grpc-status").map_or("", |status| status.to_str().unwrap()).to_owned();
    Answer { status, body: collected.to_bytes() }
}

/// A connection, and a call on it with this body.
async fn call(server: SocketAddr, path: &str, body: SentBody) -> Answer {
    let (response, connection) = begin(server, path, body).await;
    let answer = answer(response).await;
    connection.abort();
    answer
}

/// The same, whose answer has just begun.
async fn begin(server: SocketAddr, path: &str, body: SentBody) -> (Response<Incoming>, JoinHandle<()>) {
    let io = hyper_util::rt::TokioIo::new(TcpStream::connect(server).await.unwrap());
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    let connection = tokio::spawn(async { drop(connection.await) });
    let request = Request::post(format!("http://{server}{path}"))
        .header("content-type", "application/grpc")
        .body(body)
        .unwrap();
    (sender.send_request(request).await.unwrap(), connection)
}

fn whole(body: Vec<u8>) -> SentBody {
    Full::new(Bytes::from(body)).boxed_unsync()
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&frame::prefix(false, u32::try_from(message.len()).unwrap())[..], message].concat()
}

/// A stream that is sent as told, and ends when the sender is dropped.
fn open() -> (mpsc::Sender<Vec<u8>>, SentBody) {
    let (sender, receiver) = mpsc::channel(64);
    let frames = stream::unfold(receiver, |mut receiver: mpsc::Receiver<Vec<u8>>| async move {
        let bytes = receiver.recv().await?;
        Some((Ok(Frame::data(Bytes::from(bytes))), receiver))
    });
    (sender, StreamBody::new(frames.boxed()).boxed_unsync())
}

fn segment(spans: i32, padding: usize) -> Vec<u8> {
    let span = |id| v3::SpanObject {
        span_id: id,
        parent_span_id: id - 1,
        operation_name: "x".repeat(padding),
        ..Default::default()
    };
    v3::SegmentObject {
        trace_id: "t".to_owned(),
        trace_segment_id: "s".to_owned(),
        service: "shop".to_owned(),
        spans: (0..spans).map(span).collect(),
        ..Default::default()
    }
    .encode_to_vec()
}

fn ok(body: &'static [u8]) -> Answer {
    Answer { status: "0".to_owned(), body: Bytes::from_static(body) }
}

const EMPTY: &[u8] = &[0, 0, 0, 0, 0];

#[tokio::test]
async fn agents_of_all_ages_are_answered() {
    let fixture = start().await;
    for path in [COLLECT, "/TraceSegmentReportService/collect"] {
        assert_eq!(call(fixture.grpc, path, whole(framed(&segment(1, 0)))).await, ok(EMPTY));
        assert_eq!(
            call(fixture.grpc, path, whole(Vec::new())).await,
            ok(EMPTY),
            "streams of nothing are normal"
        );
    }
    assert_eq!(call(fixture.grpc, KEEP_ALIVE, whole(framed(b""))).await, ok(EMPTY));
    assert_eq!(fixture.pipeline.items(), 3);
}

#[tokio::test]
async fn what_only_oap_can_answer_is_answered_empty_without_it() {
    let fixture = start().await;
    assert_eq!(call(fixture.grpc, CONFIGURATIONS, whole(framed(b"x"))).await, ok(EMPTY));
    let snapshots = "/skywalking.v3.ProfileTask/collectSnapshot";
    assert_eq!(call(fixture.grpc, snapshots, whole(framed(b"x").repeat(3))).await, ok(EMPTY));
    let (_sender, body) = open();
    let profiler = "/skywalking.v10.AsyncProfilerTask/collect";
    assert_eq!(call(fixture.grpc, profiler, body).await, ok(EMPTY), "before the stream ends");
    assert_eq!(call(fixture.grpc, "/x.Y/z", whole(framed(b""))).await.status, "12");
}

#[tokio::test]
async fn with_an_upstream_its_answer_is_passed_on() {
    let fixture = start_with("", ", upstream: oap", &[Signal::Traces]).await;
    for path in
        [CONFIGURATIONS, "/x.Y/unknown", KEEP_ALIVE, "/skywalking.v3.EBPFProcessService/reportProcesses"]
    {
        let relayed = call(fixture.grpc, path, whole(framed(b"abc"))).await;
        assert_eq!(relayed.status, "0");
        assert_eq!(relayed.body, [path.as_bytes(), &framed(b"abc")].concat(), "{path}");
    }
    assert_eq!(call(fixture.grpc, COLLECT, whole(framed(&segment(1, 0)))).await, ok(EMPTY));
    assert_eq!(fixture.pipeline.items(), 1, "segments go to the pipeline");
}

#[tokio::test]
async fn the_port_speaks_otlp_and_tells_its_health() {
    let fixture = start().await;
    let health = call(fixture.grpc, "/grpc.health.v1.Health/Check", whole(framed(b""))).await;
    assert_eq!(health, ok(&[0, 0, 0, 0, 2, 8, 1]));
    // Resource, scope and span of OTLP, all empty.
    let traces = [0x0a, 0x04, 0x12, 0x02, 0x12, 0x00];
    let export = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    assert_eq!(call(fixture.grpc, export, whole(framed(&traces))).await, ok(EMPTY));
    assert_eq!(fixture.pipeline.items(), 1);
}

#[tokio::test]
async fn who_watches_its_health_is_told_when_the_receiver_stops() {
    let mut fixture = start().await;
    let watch = "/grpc.health.v1.Health/Watch";
    let (response, _connection) = begin(fixture.grpc, watch, whole(framed(b""))).await;
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, [0, 0, 0, 0, 2, 8, 1][..]);
    let rest = tokio::spawn(body.collect());
    fixture.receiver.stop(Instant::now() + Duration::from_secs(20)).await;
    let rest = rest.await.unwrap().unwrap();
    assert_eq!(rest.trailers().unwrap()["grpc-status"], "14");
    assert_eq!(rest.to_bytes(), [0, 0, 0, 0, 2, 8, 2][..]);
}

#[tokio::test]
async fn beyond_the_limit_new_connections_are_closed_and_old_ones_stay() {
    let fixture = start_with("max_connections: 1", "", &[Signal::Traces]).await;
    let (sender, body) = open();
    let first = tokio::spawn(call(fixture.grpc, COLLECT, body));
    sender.send(framed(&segment(1, 0))).await.unwrap();
    fixture.pipeline.holds(1).await;
    let mut refused = TcpStream::connect(fixture.grpc).await.unwrap();
    assert!(matches!(refused.read(&mut [0]).await, Ok(0) | Err(_)), "closed at once");
    sender.send(framed(&segment(1, 0))).await.unwrap();
    drop(sender);
    assert_eq!(first.await.unwrap(), ok(EMPTY));
    assert_eq!(fixture.pipeline.items(), 2);
}

async fn post(fixture: &Fixture, path: &str, body: impl Into<Bytes>) -> (StatusCode, Bytes) {
    send(fixture, Request::post(path), body.into()).await.map_body()
}

async fn send(fixture: &Fixture, request: ::http::request::Builder, body: Bytes) -> Response<Bytes> {
    let io = hyper_util::rt::TokioIo::new(TcpStream::connect(fixture.http).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = request.header("host", "sluice").body(Full::new(body)).unwrap();
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    connection.abort();
    Response::from_parts(head, body)
}

trait MapBody {
    fn map_body(self) -> (StatusCode, Bytes);
}

impl MapBody for Response<Bytes> {
    fn map_body(self) -> (StatusCode, Bytes) {
        (self.status(), self.into_body())
    }
}

#[test]
fn the_keys_are_the_collectors() {
    let config = read_config("{protocols: {grpc: , http: }}").unwrap();
    let (grpc, http) = (config.protocols.grpc.unwrap(), config.protocols.http.unwrap());
    assert_eq!(grpc.server.endpoint, "localhost:11800");
    assert_eq!(http.server.endpoint, "localhost:12800");
    let nothing = read_config("{}").unwrap().problems();
    assert_eq!(nothing.len(), 1, "a protocol is needed");
    let wrong = read_config("{protocols: {grpc: {max_cpu_utilization: 101}}}").unwrap().problems();
    assert_eq!(wrong.len(), 1);
    assert!(read_config("{id_compatibility: other}").is_err());
    let upstream = read_config("{protocols: {grpc: }, upstream: oap}").unwrap();
    assert_eq!(upstream.references().len(), 1);
}
