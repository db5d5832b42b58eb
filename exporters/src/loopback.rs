//! A server on loopback for tests: answers as it is told and remembers what it was sent. HTTP/1 and HTTP/2.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use sluice_pipeline::{
    Batch, Chunk, Consumer, Context, Failure, Reply, Signal,
    batch::Compressed,
    budget::Budget,
    component::{ComponentConfig, ComponentContext, ExporterContext, ExporterFactory},
    config::{Problems, decode, parse},
    outlet::offer,
};
use tokio::net::TcpListener;

/// What a server was sent.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

pub(crate) type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// A server that answers every request in the same way.
pub(crate) struct Loopback {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Loopback {
    pub(crate) async fn start(answer: impl Fn() -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let (requests, answer) = (Arc::clone(&received), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (requests, answer) = (Arc::clone(&requests), Arc::clone(&answer));
                tokio::spawn(async move {
                    let service = service_fn(|request: Request<Incoming>| {
                        let (requests, answer) = (Arc::clone(&requests), Arc::clone(&answer));
                        async move {
                            let (head, body) = request.into_parts();
                            #[expect(clippy::disallowed_methods, reason = "the client is the test itself")]
                            let body = body.collect().await.unwrap().to_bytes();
                            let path = head.uri.path().to_owned();
                            requests.lock().unwrap().push(Received { path, headers: head.headers, body });
                            Ok::<_, Infallible>(answer())
                        }
                    });
                    let _ = auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { address, received }
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Received {
        self.received().pop().unwrap()
    }
}

/// An answer with this status, these headers and this body.
pub(crate) fn answer(
    status: u16,
    headers: &[(&'static str, &str)],
    body: impl Into<Bytes>,
    trailers: Option<&[(&'static str, &str)]>,
) -> Answer {
    let map = |pairs: &[(&'static str, &str)]| -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    };
    let body = Full::new(body.into());
    let body = match trailers {
        Some(trailers) => body.with_trailers(std::future::ready(Some(Ok(map(trailers))))).boxed_unsync(),
        None => body.boxed_unsync(),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    *response.headers_mut() = map(headers);
    response
}

/// Decodes a configuration as the process does.
pub(crate) fn configure<C: ComponentConfig>(text: &str) -> Result<C, String> {
    let mut problems = Problems::default();
    let node = parse("test.yaml", text, &mut problems).ok_or_else(|| problems.to_string())?;
    decode(&node, &mut problems).ok_or_else(|| problems.to_string())
}

/// An exporter that neither queues nor retries, so that an offer gets the destination's own answer.
pub(crate) fn exporter<F: ExporterFactory>(signal: Signal, text: &str) -> Arc<dyn Consumer> {
    let text = format!("{{retry_on_failure: {{enabled: false}}, sending_queue: {{enabled: false}}, {text}}}");
    let config: F::Config = configure(&text).unwrap();
    let problems = config.problems();
    assert!(problems.is_empty(), "{problems:?}");
    let component = ComponentContext::detached("otlp", Budget::new(1 << 30));
    F::build(config, ExporterContext { component, signal, listeners: Default::default() }).unwrap()
}

/// Offers a batch and returns the answer.
pub(crate) async fn send(exporter: &Arc<dyn Consumer>, batch: Batch) -> Reply {
    offer(&**exporter, batch).await
}

/// Offers a batch and returns the failure that it must meet with.
pub(crate) async fn failure(exporter: &Arc<dyn Consumer>) -> Failure {
    match send(exporter, batch(Signal::Traces, b"x")).await {
        Reply::Failed(failure) => failure,
        other => panic!("it did not fail: {other:?}"),
    }
}

pub(crate) fn batch(signal: Signal, content: &'static [u8]) -> Batch {
    Batch::new(signal, Chunk::new(Bytes::from_static(content), 1), Context::default())
}

/// A batch that came in compressed.
pub(crate) fn compressed(content: &'static [u8], compressed: Compressed) -> Batch {
    let chunk = Chunk::new(Bytes::from_static(content), 1).with_compressed(compressed);
    Batch::new(Signal::Traces, chunk, Context::default())
}
