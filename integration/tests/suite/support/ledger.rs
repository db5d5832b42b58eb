//! A destination and clients that know every span by its number: what was answered, and what arrived how often.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::http::Request;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::Full;
use hyper::body::Incoming;
use sluice_integration::serve::{self, Answer, Handler, Protocol};
use sluice_integration::transport::{connect_http1, frame, receive, unframe};
use sluice_pipeline::otlp::{view, write::Writer};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A destination that remembers the number of each span that it took. It refuses while it is down.
pub(crate) struct Destination {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

struct State {
    arrived: Mutex<BTreeMap<u64, usize>>,
    down: AtomicBool,
    delay: AtomicU64,
}

impl Destination {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            arrived: Mutex::default(),
            down: AtomicBool::new(false),
            delay: AtomicU64::new(0),
        });
        let task = tokio::spawn(serve::serve(listener, Protocol::Http2, Arc::clone(&state)));
        Self { address, state, task }
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.state.down.store(down, Ordering::Relaxed);
    }

    /// Keeps each request waiting this long.
    pub(crate) fn set_delay(&self, delay: Duration) {
        self.state.delay.store(u64::try_from(delay.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// How often each number has arrived.
    pub(crate) fn arrived(&self) -> BTreeMap<u64, usize> {
        self.state.arrived.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.state.arrived.lock().unwrap().len()
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Handler for State {
    fn handle(self: Arc<Self>, request: Request<Incoming>) -> BoxFuture<'static, Answer> {
        Box::pin(async move {
            // A sender that is killed may break off.
            let Ok(received) = receive(request.into_body()).await else {
                return serve::grpc(Err((14, "broken off".to_owned())));
            };
            let delay = self.delay.load(Ordering::Relaxed);
            if delay > 0 {
                tokio::time::sleep(Duration::from_millis(delay)).await;
            }
            if self.down.load(Ordering::Relaxed) {
                return serve::grpc(Err((14, "down".to_owned())));
            }
            let (_, message) = unframe(&received.body).unwrap();
            let mut arrived = self.arrived.lock().unwrap();
            for number in numbers(&message) {
                *arrived.entry(number).or_default() += 1;
            }
            drop(arrived);
            serve::grpc(Ok(frame(b"", false)))
        })
    }
}

fn numbers(message: &Bytes) -> Vec<u64> {
    let mut numbers = Vec::new();
    for group in view::resource_groups(message) {
        for scope_group in group.scope_groups() {
            scope_group.spans().for_each(|span| {
                numbers.push(u64::from_be_bytes(*span.trace_id.first_chunk().unwrap()));
            });
        }
    }
    numbers
}

/// A request with one span of this number, and text to make it `size` bytes larger.
pub(crate) fn request(number: u64, size: usize) -> Bytes {
    let mut trace_id = [0xff; 16];
    trace_id[..8].copy_from_slice(&number.to_be_bytes());
    let mut bytes = Vec::new();
    Writer::new(&mut bytes).message(1, |group| {
        group.message(2, |scope_group| {
            scope_group.message(2, |span| {
                span.bytes(1, &trace_id);
                span.bytes(2, &[7; 8]);
                span.bytes(5, "x".repeat(size).as_bytes());
            });
        });
    });
    bytes.into()
}

/// Clients that send span after span, each with a new number, until the server is gone.
pub(crate) struct Clients {
    next: AtomicU64,
    answered: Mutex<BTreeSet<u64>>,
    refused: AtomicUsize,
}

impl Clients {
    pub(crate) fn new() -> Arc<Self> {
        Self::numbered_from(1)
    }

    /// Clients whose first number is this.
    pub(crate) fn numbered_from(first: u64) -> Arc<Self> {
        Arc::new(Self {
            next: AtomicU64::new(first),
            answered: Mutex::default(),
            refused: AtomicUsize::new(0),
        })
    }

    /// How many requests were answered with 503.
    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    /// The numbers that the server took.
    pub(crate) fn answered(&self) -> BTreeSet<u64> {
        self.answered.lock().unwrap().clone()
    }

    /// Starts so many clients against a server that speaks OTLP/HTTP.
    pub(crate) fn send(self: &Arc<Self>, server: SocketAddr, count: usize) -> Vec<JoinHandle<()>> {
        (0..count).map(|_| tokio::spawn(Arc::clone(self).send_until_gone(server))).collect()
    }

    async fn send_until_gone(self: Arc<Self>, server: SocketAddr) {
        let Ok(mut sender) = connect_http1(server).await else { return };
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let request = Request::builder()
                .method("POST")
                .uri("/v1/traces")
                .header("host", server.to_string())
                .header("content-type", "application/x-protobuf")
                .body(Full::new(request(number, 200)))
                .unwrap();
            let Ok(answer) = sender.send_request(request).await else { return };
            // The status line alone says that it is safe.
            match answer.status().as_u16() {
                200 => drop(self.answered.lock().unwrap().insert(number)),
                503 => drop(self.refused.fetch_add(1, Ordering::Relaxed)),
                other => panic!("answered {other}"),
            }
            if receive(answer.into_body()).await.is_err() {
                return;
            }
        }
    }
}
