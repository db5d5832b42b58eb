//! One connection of the load generator: sends a prepared request and judges the answer.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use sluice_pipeline::otlp::wire::Fields;
use sluice_protocols::envoy;

use super::{Plan, Protocol};
use crate::Outcome;
use crate::payload::{Compression, Kind, Payload};
use crate::sink::count::SEGMENTS;
use crate::transport::{Encryption, Received, Whole, connect_http1, connect_http2, frame, receive, unframe};

/// The requests of a load, but for their bodies all alike.
#[derive(Debug)]
pub(super) struct Template {
    head: http::request::Parts,
    bodies: Vec<Bytes>,
    items: usize,
}

/// A connection, or a share of one.
#[derive(Debug)]
pub(super) struct Client {
    server: SocketAddr,
    connection: Connection,
    tls: Option<Encryption>,
}

#[derive(Debug)]
enum Connection {
    Http1(http1::SendRequest<Whole>),
    Http2(http2::SendRequest<Whole>),
}

/// A request that failed.
#[derive(Debug)]
pub(super) struct Failed {
    /// What went wrong, in a form that groups.
    pub(super) reason: String,
    /// Whether the connection is of no more use.
    pub(super) broken: bool,
}

impl Template {
    pub(super) fn new(plan: &Plan, payloads: Vec<Payload>) -> Outcome<Self> {
        let items = payloads.first().map_or(0, |payload| payload.items);
        let compressed = plan.compression != Compression::None;
        let grpc = plan.protocol == Protocol::Grpc;
        let mut request = Request::builder()
            .method("POST")
            .uri(format!("http://{}{}", plan.target, path(plan.kind, plan.protocol)))
            .header("content-type", content_type(plan.kind, plan.protocol));
        if grpc {
            request = request.header("te", "trailers");
        } else {
            request = request.header("host", plan.target.to_string());
        }
        if let Some(encoding) = plan.compression.header() {
            request = request.header(if grpc { "grpc-encoding" } else { "content-encoding" }, encoding);
        }
        let bodies = payloads
            .into_iter()
            .map(|payload| match grpc && !plan.kind.is_stream() {
                true => frame(&payload.body, compressed),
                false => payload.body,
            })
            .collect();
        Ok(Self { head: request.body(())?.into_parts().0, bodies, items })
    }

    pub(super) const fn items(&self) -> usize {
        self.items
    }

    fn request(&self, number: u64) -> Request<Whole> {
        let turn = usize::try_from(number).unwrap_or(0) % self.bodies.len().max(1);
        let body = self.bodies.get(turn).cloned().unwrap_or_default();
        Request::from_parts(self.head.clone(), Full::new(body))
    }
}

impl Client {
    pub(super) async fn connect(
        server: SocketAddr,
        protocol: Protocol,
        tls: Option<Encryption>,
    ) -> Outcome<Self> {
        let connection = match (protocol, &tls) {
            (Protocol::Grpc, Some(tls)) => Connection::Http2(tls.connect_http2(server).await?),
            (Protocol::Grpc, None) => Connection::Http2(connect_http2(server).await?),
            (Protocol::Http, _) => Connection::Http1(connect_http1(server).await?),
        };
        Ok(Self { server, connection, tls })
    }

    /// This client for as many workers; HTTP/1.1 serves only one.
    pub(super) fn share(self, workers: usize) -> Vec<Self> {
        match self.connection {
            Connection::Http1(_) => vec![self],
            Connection::Http2(sender) => (0..workers)
                .map(|_| Self {
                    server: self.server,
                    connection: Connection::Http2(sender.clone()),
                    tls: self.tls.clone(),
                })
                .collect(),
        }
    }

    pub(super) async fn reconnect(&mut self) -> Outcome<()> {
        let protocol = match self.connection {
            Connection::Http1(_) => Protocol::Http,
            Connection::Http2(_) => Protocol::Grpc,
        };
        *self = Self::connect(self.server, protocol, self.tls.clone()).await?;
        Ok(())
    }

    /// Sends the request of this number; gives how many of its items the server says it rejected.
    pub(super) async fn send(&mut self, template: &Template, number: u64) -> Result<u64, Failed> {
        let request = template.request(number);
        let grpc = matches!(self.connection, Connection::Http2(_));
        let answer = self
            .call(request)
            .await
            .map_err(|error| Failed { reason: format!("connection: {error}"), broken: true })?;
        let (head, body) = answer.into_parts();
        let received = receive(body)
            .await
            .map_err(|error| Failed { reason: format!("answer: {error}"), broken: true })?;
        let judged = if grpc {
            judge_grpc(&head.headers, &received)
        } else {
            judge_http(head.status.as_u16(), &head.headers, &received)
        };
        judged.map_err(|reason| Failed { reason, broken: false })
    }

    async fn call(&mut self, request: Request<Whole>) -> hyper::Result<Response<Incoming>> {
        match &mut self.connection {
            Connection::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Connection::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }
}

fn judge_grpc(headers: &HeaderMap, received: &Received) -> Result<u64, String> {
    let status = headers.get("grpc-status").or_else(|| received.trailers.get("grpc-status"));
    match status.and_then(|status| status.to_str().ok()) {
        Some("0") => match unframe(&received.body) {
            Some((false, message)) => Ok(rejected(&message)),
            _ => Err("gRPC status 0 without a message".to_owned()),
        },
        Some(code) => Err(format!("gRPC status {code}")),
        None => Err("no gRPC status".to_owned()),
    }
}

fn judge_http(status: u16, headers: &HeaderMap, received: &Received) -> Result<u64, String> {
    let protobuf = headers.get("content-type").is_some_and(|kind| kind == "application/x-protobuf");
    match status {
        200 | 202 if protobuf => Ok(rejected(&received.body)),
        200 | 202 => Ok(0),
        other => Err(format!("HTTP status {other}")),
    }
}

/// The first field of the partial success that is the first field of an export response.
fn rejected(response: &[u8]) -> u64 {
    let field = |message| Fields::of(message).flatten().find(|field| field.number == 1);
    field(response).and_then(|partial| field(partial.value.bytes())).map_or(0, |count| count.value.number())
}

const fn path(kind: Kind, protocol: Protocol) -> &'static str {
    match (kind, protocol) {
        (Kind::Traces, Protocol::Grpc) => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        (Kind::Metrics, Protocol::Grpc) => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        (Kind::Logs, Protocol::Grpc) => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        (Kind::Traces, Protocol::Http) => "/v1/traces",
        (Kind::Metrics, Protocol::Http) => "/v1/metrics",
        (Kind::Logs, Protocol::Http) => "/v1/logs",
        (Kind::Zipkin, _) => "/api/v2/spans",
        (Kind::Segments, _) => SEGMENTS,
        (Kind::EnvoyLogs, _) => envoy::ACCESS_LOGS,
    }
}

const fn content_type(kind: Kind, protocol: Protocol) -> &'static str {
    match (kind, protocol) {
        (Kind::Zipkin, _) => "application/json",
        (_, Protocol::Grpc) => "application/grpc",
        (_, Protocol::Http) => "application/x-protobuf",
    }
}
