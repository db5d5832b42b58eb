//! A Zipkin server that counts what it is sent and forgets it: the least that a real one can cost.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::future::BoxFuture;
use http::Request;
use hyper::body::Incoming;
use tokio::{net::TcpListener, runtime};

use crate::{
    Outcome,
    serve::{self, Answer, Handler, Protocol},
    transport::receive,
};

/// A running sink, on a thread of its own until it is dropped.
pub(super) struct Sink {
    pub(super) address: SocketAddr,
    counts: Arc<Counts>,
    _runtime: runtime::Runtime,
}

#[derive(Debug, Default)]
struct Counts {
    spans: AtomicU64,
    events: AtomicU64,
}

impl Sink {
    pub(super) fn start() -> Outcome<Self> {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let counts = Arc::new(Counts::default());
        runtime.spawn(serve::serve(listener, Protocol::Http1, Arc::clone(&counts)));
        Ok(Self { address, counts, _runtime: runtime })
    }

    pub(super) fn spans(&self) -> u64 {
        self.counts.spans.load(Ordering::Relaxed)
    }

    /// Of the kernel, request and response each.
    pub(super) fn events(&self) -> u64 {
        self.counts.events.load(Ordering::Relaxed)
    }
}

impl Handler for Counts {
    fn handle(self: Arc<Self>, request: Request<Incoming>) -> BoxFuture<'static, Answer> {
        Box::pin(async move {
            let Ok(received) = receive(request.into_body()).await else {
                return serve::http(400, "text/plain", "the body broke off");
            };
            let occurs = |text: &str| {
                let found = received.body.windows(text.len()).filter(|window| *window == text.as_bytes());
                found.count() as u64
            };
            self.spans.fetch_add(occurs("\"traceId\":"), Ordering::Relaxed);
            self.events.fetch_add(occurs("\"Start HTTP "), Ordering::Relaxed);
            serve::http(202, "text/plain", "")
        })
    }
}
