//! A small server for the sink and the relay: HTTP/2 for gRPC, HTTP/1.1 for the rest.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpListener;

use crate::transport::{CONNECTION_WINDOW, FRAME_BYTES, STREAM_WINDOW};

/// The body of an answer.
pub type Answer = Response<BoxBody<Bytes, Infallible>>;

/// Answers one request.
pub trait Handler: Send + Sync + 'static {
    /// Reads the request and makes its answer.
    fn handle(self: Arc<Self>, request: Request<Incoming>) -> BoxFuture<'static, Answer>;
}

/// The protocol that a listener speaks.
#[derive(Clone, Copy, Debug)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 without upgrade, as gRPC wants it.
    Http2,
}

/// Accepts connections until the task is dropped.
pub async fn serve<H: Handler>(listener: TcpListener, protocol: Protocol, handler: Arc<H>) {
    while let Ok((stream, _peer)) = listener.accept().await {
        // A socket that refuses the option is slower, not wrong.
        let _ = stream.set_nodelay(true);
        let handler = Arc::clone(&handler);
        let service = service_fn(move |request| {
            let answer = Arc::clone(&handler).handle(request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let stream = TokioIo::new(stream);
        match protocol {
            Protocol::Http1 => {
                tokio::spawn(
                    http1::Builder::new().timer(TokioTimer::new()).serve_connection(stream, service),
                );
            }
            Protocol::Http2 => {
                let connection = http2::Builder::new(TokioExecutor::new())
                    .initial_stream_window_size(STREAM_WINDOW)
                    .initial_connection_window_size(CONNECTION_WINDOW)
                    .max_frame_size(FRAME_BYTES)
                    .max_concurrent_streams(1024)
                    .serve_connection(stream, service);
                tokio::spawn(connection);
            }
        }
    }
}

/// An HTTP answer with this status and body.
#[must_use]
pub fn http(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()).boxed());
    *answer.status_mut() =
        http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert("content-type", HeaderValue::from_static(content_type));
    answer
}

/// A gRPC answer: this message with status 0, or a status without a message.
#[must_use]
pub fn grpc(result: Result<Bytes, (u16, String)>) -> Answer {
    let mut answer = match result {
        Ok(framed) => {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            Response::new(Full::new(framed).with_trailers(async move { Some(Ok(trailers)) }).boxed())
        }
        Err((code, message)) => {
            let mut answer = Response::new(Empty::new().boxed());
            answer.headers_mut().insert("grpc-status", HeaderValue::from(code));
            if let Ok(message) = HeaderValue::from_str(&message) {
                answer.headers_mut().insert("grpc-message", message);
            }
            answer
        }
    };
    answer.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    answer
}
