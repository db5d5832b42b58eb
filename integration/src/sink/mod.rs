//! The counting sink: takes OTLP over gRPC and HTTP, and streams as SkyWalking's OAP does; counts what arrived and
//! forgets it.

pub mod count;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::Request;
use hyper::body::Incoming;
use sluice_pipeline::Signal;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::Outcome;
use crate::payload::{Compression, decompress};
use crate::serve::{self, Answer, Handler, Protocol};
use crate::transport::{frame, receive, unframe};

/// It always serves.
const HEALTH: &str = "/grpc.health.v1.Health/Check";
/// A `HealthCheckResponse` that says SERVING.
const SERVING: [u8; 2] = [0x08, 0x01];

/// How the sink behaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// How long it keeps each request waiting, as a slow destination would.
    pub delay: Duration,
}

/// What has arrived so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests answered with success.
    pub requests: u64,
    /// Spans, data points and log records in them.
    pub items: u64,
    /// Bytes of their bodies as they came over the wire.
    pub bytes: u64,
    /// Requests that could not be read; a benchmark with any is void.
    pub malformed: u64,
}

/// A running sink. Dropping it closes its listeners.
#[derive(Debug)]
pub struct Sink {
    /// Where it takes OTLP over gRPC.
    pub grpc: SocketAddr,
    /// Where it takes OTLP over HTTP, and answers `GET /counts`.
    pub http: SocketAddr,
    state: Arc<State>,
    tasks: [JoinHandle<()>; 2],
}

#[derive(Debug)]
struct State {
    options: Options,
    requests: AtomicU64,
    items: AtomicU64,
    bytes: AtomicU64,
    malformed: AtomicU64,
}

impl Sink {
    /// Listens on these addresses; port 0 takes a free one.
    ///
    /// # Errors
    /// That an address cannot be bound.
    pub async fn start(grpc: SocketAddr, http: SocketAddr, options: Options) -> Outcome<Self> {
        let (grpc, http) = (TcpListener::bind(grpc).await?, TcpListener::bind(http).await?);
        let state = Arc::new(State {
            options,
            requests: AtomicU64::new(0),
            items: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            malformed: AtomicU64::new(0),
        });
        Ok(Self {
            grpc: grpc.local_addr()?,
            http: http.local_addr()?,
            tasks: [
                tokio::spawn(serve::serve(grpc, Protocol::Http2, Arc::clone(&state))),
                tokio::spawn(serve::serve(http, Protocol::Http1, Arc::clone(&state))),
            ],
            state,
        })
    }

    /// What has arrived so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.state.counts()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Handler for State {
    fn handle(self: Arc<Self>, request: Request<Incoming>) -> BoxFuture<'static, Answer> {
        Box::pin(async move {
            if request.uri().path() == "/counts" {
                return serve::http(200, "application/json", self.counts().to_json());
            }
            if request.uri().path() == HEALTH {
                return serve::grpc(Ok(frame(&SERVING, false)));
            }
            let grpc =
                header(&request, "content-type").is_some_and(|kind| kind.starts_with("application/grpc"));
            let taken = self.take(request, grpc).await;
            if !self.options.delay.is_zero() {
                tokio::time::sleep(self.options.delay).await;
            }
            match (taken, grpc) {
                (Ok(()), true) => serve::grpc(Ok(frame(b"", false))),
                (Ok(()), false) => serve::http(200, "application/x-protobuf", Bytes::new()),
                (Err(error), true) => serve::grpc(Err((3, error.to_string()))),
                (Err(error), false) => serve::http(400, "text/plain", error.to_string()),
            }
        })
    }
}

impl State {
    fn counts(&self) -> Counts {
        Counts {
            requests: self.requests.load(Ordering::Relaxed),
            items: self.items.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            malformed: self.malformed.load(Ordering::Relaxed),
        }
    }

    async fn take(&self, request: Request<Incoming>, grpc: bool) -> Outcome<()> {
        let counted = self.count(request, grpc).await;
        match &counted {
            Ok((items, bytes)) => {
                self.requests.fetch_add(1, Ordering::Relaxed);
                self.items.fetch_add(*items as u64, Ordering::Relaxed);
                self.bytes.fetch_add(*bytes as u64, Ordering::Relaxed);
            }
            Err(_) => {
                self.malformed.fetch_add(1, Ordering::Relaxed);
            }
        }
        counted.map(|_| ())
    }

    async fn count(&self, request: Request<Incoming>, grpc: bool) -> Outcome<(usize, usize)> {
        let path = request.uri().path().to_owned();
        if count::stream(&path, &[]).is_some() {
            let body = receive(request.into_body()).await?.body;
            let items = count::stream(&path, &body).flatten().ok_or("a broken stream")?;
            return Ok((items, body.len()));
        }
        let signal = signal(&path).ok_or("no such path")?;
        let name = if grpc { "grpc-encoding" } else { "content-encoding" };
        let compression =
            Compression::from_header(header(&request, name)).ok_or("an encoding that the sink lacks")?;
        let body = receive(request.into_body()).await?.body;
        let plain = if grpc {
            let (compressed, message) = unframe(&body).ok_or("no single gRPC message")?;
            decompress(&message, if compressed { compression } else { Compression::None })?
        } else {
            decompress(&body, compression)?
        };
        let items = count::items(signal, &plain).ok_or("no OTLP message")?;
        Ok((items, body.len()))
    }
}

impl Counts {
    /// One line for a person or a script.
    #[must_use]
    pub fn to_json(self) -> String {
        let Self { requests, items, bytes, malformed } = self;
        serde_json::json!({"requests": requests, "items": items, "bytes": bytes, "malformed": malformed})
            .to_string()
    }
}

fn header<'a>(request: &'a Request<Incoming>, name: &str) -> Option<&'a str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

fn signal(path: &str) -> Option<Signal> {
    Some(match path {
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export" | "/v1/traces" => Signal::Traces,
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" | "/v1/metrics" => Signal::Metrics,
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export" | "/v1/logs" => Signal::Logs,
        _ => return None,
    })
}
