//! The raw relay: gRPC in, gRPC out, the message's bytes untouched. What it costs is the floor for any collector.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Request};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;

use crate::Outcome;
use crate::serve::{self, Answer, Handler};
use crate::transport::{Whole, connect_http2, receive};

/// Forwards every call to one upstream over a fixed set of connections.
#[derive(Debug)]
pub struct Relay {
    upstream: SocketAddr,
    connections: Vec<SendRequest<Whole>>,
    next: AtomicUsize,
}

impl Relay {
    /// Connects to the upstream.
    ///
    /// # Errors
    /// That it cannot be reached.
    pub async fn connect(upstream: SocketAddr, connections: usize) -> Outcome<Self> {
        let mut open = Vec::with_capacity(connections);
        for _ in 0..connections.max(1) {
            open.push(connect_http2(upstream).await?);
        }
        Ok(Self { upstream, connections: open, next: AtomicUsize::new(0) })
    }

    async fn forward(&self, request: Request<Incoming>) -> Outcome<Bytes> {
        let (head, body) = request.into_parts();
        let body = receive(body).await?.body;
        let mut onward = Request::builder()
            .method("POST")
            .uri(format!("http://{}{}", self.upstream, head.uri.path()))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if let Some(encoding) = head.headers.get("grpc-encoding") {
            onward = onward.header("grpc-encoding", encoding);
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.connections.len().max(1);
        let mut sender = self.connections.get(turn).ok_or("no connection")?.clone();
        sender.ready().await?;
        let answer = sender.send_request(onward.body(Full::new(body))?).await?;
        let (head, body) = answer.into_parts();
        let received = receive(body).await?;
        match status(&head.headers).or_else(|| status(&received.trailers)) {
            Some("0") => Ok(received.body),
            other => Err(format!("the upstream answered {}", other.unwrap_or("without a status")).into()),
        }
    }
}

fn status(headers: &HeaderMap) -> Option<&str> {
    headers.get("grpc-status").and_then(|value| value.to_str().ok())
}

impl Handler for Relay {
    fn handle(self: Arc<Self>, request: Request<Incoming>) -> BoxFuture<'static, Answer> {
        Box::pin(
            async move { serve::grpc(self.forward(request).await.map_err(|error| (14, error.to_string()))) },
        )
    }
}
