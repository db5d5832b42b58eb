//! One destination: an address with its connection, its weight and its health.

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use hyper::{body::Incoming, client::conn::http2::SendRequest};
use tokio::time::timeout;

use super::{
    super::{
        RESPONSE_LIMIT,
        body::Outgoing,
        connection::{Dialler, Peer},
        endpoint::Endpoint,
        framed, request, response,
        slot::{Slot, Unsent, pass},
    },
    affinity::hash,
};
use crate::{
    grpc::Status,
    otlp::wire::{Field, Fields},
    reply::Code,
};

/// Source: gRPC, "GRPC Health Checking Protocol".
const HEALTH: &str = "/grpc.health.v1.Health/Check";
const SERVING: u64 = 1;
/// The longest that a check may take, or making a connection.
const CHECK_LIMIT: Duration = Duration::from_secs(5);

/// How to connect to the addresses of one configured destination.
pub(super) struct Origin {
    pub(super) endpoint: Endpoint,
    pub(super) dialler: Dialler,
    pub(super) weight: u32,
}

/// One destination.
pub(super) struct Member {
    pub(super) origin: Arc<Origin>,
    slot: Slot,
    /// What it is to hashes, the same in every process.
    pub(super) name: u64,
    /// Whether it answered when it was last asked.
    ready: AtomicBool,
    /// What it is owed of the calls so far, by its weight.
    pub(super) credit: AtomicI64,
}

impl Member {
    pub(super) fn new(origin: &Arc<Origin>, peer: Peer) -> Self {
        let name = hash(text(&peer).as_bytes());
        Self {
            origin: Arc::clone(origin),
            slot: Slot::new(peer),
            name,
            ready: AtomicBool::new(false),
            credit: AtomicI64::new(0),
        }
    }

    pub(super) fn peer(&self) -> &Peer {
        &self.slot.peer
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.origin.endpoint
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// Sends a call, over a new connection if there is none.
    pub(super) async fn send(&self, call: Request<Outgoing>) -> Result<Response<Incoming>, Unsent> {
        let sender = match self.connect().await {
            Ok(sender) => sender,
            Err(error) => return Err(self.cannot_connect(&error, call)),
        };
        let answer = self.slot.send(sender, call).await;
        self.learn(&answer);
        answer
    }

    /// As [`Self::send`], for a call that its caller may leave at any time.
    pub(super) async fn relay(&self, call: Request<Outgoing>) -> Result<Response<Incoming>, Unsent> {
        let sender = match self.connect().await {
            Ok(sender) => sender,
            Err(error) => return Err(self.cannot_connect(&error, call)),
        };
        let answer = pass(sender, call).await;
        self.learn(&answer);
        answer
    }

    /// Not for as long as a channel to one destination would wait: others can take the call.
    async fn connect(&self) -> io::Result<SendRequest<Outgoing>> {
        let connecting = timeout(CHECK_LIMIT, self.slot.connect(&self.origin.dialler));
        connecting.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    fn cannot_connect(&self, error: &io::Error, call: Request<Outgoing>) -> Unsent {
        self.ready.store(false, Ordering::Relaxed);
        let status = Status::new(Code::Unavailable, format!("cannot connect: {error}"));
        Unsent { status, retry: true, request: Some(Box::new(call)) }
    }

    fn learn(&self, answer: &Result<Response<Incoming>, Unsent>) {
        if answer.is_err() {
            self.ready.store(false, Ordering::Relaxed);
        }
    }

    /// Asks it whether it serves; one that does not know the question but answers does.
    pub(super) async fn check(&self, limit: Duration, headers: &HeaderMap) {
        let asked = timeout(limit.min(CHECK_LIMIT), self.ask(headers)).await;
        self.ready.store(asked.unwrap_or(false), Ordering::Relaxed);
    }

    async fn ask(&self, headers: &HeaderMap) -> bool {
        let Ok(question) = framed(false, vec![Bytes::new()]) else { return false };
        let body = Outgoing::whole(question);
        let deadline = Instant::now() + CHECK_LIMIT;
        let Ok(call) = request(self.endpoint(), HEALTH, headers, body, deadline) else { return false };
        let Ok(answer) = self.send(call).await else { return false };
        match response::read(answer, RESPONSE_LIMIT).await {
            Ok(answer) => Fields::of(&answer)
                .flatten()
                .any(|Field { number, value, .. }| number == 1 && value.number() == SERVING),
            Err(status) => status.code == Code::Unimplemented,
        }
    }
}

fn text(peer: &Peer) -> String {
    match peer {
        Peer::Tcp(address) => address.to_string(),
        Peer::Unix(path) => path.display().to_string(),
    }
}

impl fmt::Display for Member {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, address) = (self.endpoint().name(), text(self.peer()));
        match name.ends_with(&address) {
            true => formatter.write_str(name),
            false => write!(formatter, "{name} ({address})"),
        }
    }
}
