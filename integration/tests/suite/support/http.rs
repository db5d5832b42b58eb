//! Single requests over HTTP and gRPC, and raw bytes over TCP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use ::http::{HeaderMap, Request};
use bytes::Bytes;
use http_body_util::Full;
use sluice_integration::transport::{connect_http1, connect_http2, receive};
use tokio::runtime::Runtime;

use super::PATIENCE;

/// An answer over HTTP, or over gRPC with its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The gRPC status, from headers or trailers.
    pub(crate) grpc_status: Option<u16>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub(crate) fn get(server: SocketAddr, path: &str) -> Answer {
    send(server, "GET", path, &[], Bytes::new())
}

/// The sum of a metric's series whose labels hold this text, as Sluice serves them.
pub(crate) fn sum(telemetry: SocketAddr, name: &str, label: &str) -> usize {
    let answer = get(telemetry, "/metrics");
    let page = String::from_utf8_lossy(&answer.body).into_owned();
    let series = page.lines().filter(|line| line.starts_with(&format!("{name}{{")) && line.contains(label));
    series.map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()).sum()
}

pub(crate) fn post(
    server: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    send(server, "POST", path, headers, body.into())
}

fn send(server: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: Bytes) -> Answer {
    let mut request = Request::builder().method(method).uri(path).header("host", server.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body)).unwrap();
    within(async move {
        let mut sender = connect_http1(server).await.unwrap();
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        let received = receive(body).await.unwrap();
        Answer { status: head.status.as_u16(), headers: head.headers, body: received.body, grpc_status: None }
    })
}

/// A unary gRPC call with a body that is framed already, or is not.
pub(crate) fn grpc(
    server: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    let mut request = Request::builder()
        .method("POST")
        .uri(format!("http://{server}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).unwrap();
    within(async move {
        let mut sender = connect_http2(server).await.unwrap();
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        let received = receive(body).await.unwrap();
        let status = head.headers.get("grpc-status").or_else(|| received.trailers.get("grpc-status"));
        let grpc_status = status.map(|status| status.to_str().unwrap().parse().unwrap());
        Answer { status: head.status.as_u16(), headers: head.headers, body: received.body, grpc_status }
    })
}

fn within<T>(future: impl Future<Output = T>) -> T {
    Runtime::new()
        .unwrap()
        .block_on(async { tokio::time::timeout(PATIENCE, future).await.expect("no answer") })
}

/// Sends bytes as they are and gives what comes back until the server closes.
pub(crate) fn raw(server: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // A server that refuses early may close before all is sent.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}
