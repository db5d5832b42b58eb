//! Accepts connections and ends them in order.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use metrics::{Counter, Gauge};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    sync::Semaphore,
    time::{sleep, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::warn;

use super::{
    AcceptLimits, Http2Settings, RawHandler,
    connection::{self, Lifetime},
    crowd::{Crowd, Place},
    limits::AcceptGate,
};
use crate::{
    budget::Budget,
    component::{ComponentContext, Kind, Listener},
    telemetry::names,
    tls::{ServerStream, ServerTls},
};

/// What a connection costs in buffers, roughly; with the budget it bounds how many there may be.
const CONNECTION_COST: u64 = 64 << 10;
const FEWEST_CONNECTIONS: u64 = 256;
const MOST_CONNECTIONS: u64 = 10_000;
/// How long to wait when the system has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How a server treats its connections.
#[derive(Clone)]
pub struct Options {
    /// Encrypts them.
    pub tls: Option<ServerTls>,
    /// What is spoken.
    pub protocols: Protocols,
    /// HTTP/2 settings.
    pub http2: Http2Settings,
    /// How long a client may take for its request headers.
    pub header_timeout: Duration,
    /// Whether a connection serves several requests.
    pub keep_alive: bool,
    /// When new connections are refused.
    pub accept: AcceptLimits,
    /// When connections end.
    pub lifetime: Lifetime,
}

/// What a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocols {
    /// HTTP/1.1, or HTTP/2 if the client begins with it.
    Any,
    /// HTTP/2 only.
    Http2,
}

/// A running server.
pub struct Server {
    state: Arc<State>,
}

pub(super) struct State {
    pub(super) options: Options,
    pub(super) handler: Arc<dyn RawHandler>,
    /// No new connections and no new requests on old ones.
    pub(super) stopping: CancellationToken,
    /// The end, whatever is under way.
    pub(super) ended: CancellationToken,
    connections: Arc<Semaphore>,
    pub(super) crowd: Arc<Crowd>,
    /// Room for the headers of requests that have many, in bytes.
    pub(super) header_room: Semaphore,
    pub(super) refused_headers: Counter,
    tasks: TaskTracker,
    refused_handshakes: Counter,
    open: Gauge,
}

/// Counts a connection for as long as it is open.
struct Open(Gauge);

impl State {
    /// A client that did not get as far as a request.
    fn refuse_handshake(&self, peer: Option<SocketAddr>, error: &io::Error) {
        let peer = peer.map_or_else(|| "a unix socket".to_owned(), |peer| peer.to_string());
        warn!(peer, %error, "A client's TLS handshake failed");
        self.refused_handshakes.increment(1);
    }
}

impl Open {
    fn new(gauge: &Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl Server {
    /// Serves a bound endpoint of this component until [`Server::stop`].
    #[must_use]
    pub fn start(
        listener: Listener,
        options: Options,
        handler: Arc<dyn RawHandler>,
        kind: Kind,
        context: &ComponentContext,
    ) -> Self {
        let most_connections = most_connections(&context.budget);
        let transport = if options.protocols == Protocols::Http2 { "grpc" } else { "http" };
        let allowed = options.accept.connections;
        let state = Arc::new(State {
            options,
            handler,
            stopping: CancellationToken::new(),
            ended: CancellationToken::new(),
            connections: Arc::new(Semaphore::new(most_connections)),
            // Of so few that it refuses others, idle ones are told to go sooner.
            crowd: Crowd::new(
                most_connections.min(allowed.unwrap_or(usize::MAX)),
                metrics::counter!(
                    names::RECEIVER_CLOSED_CONNECTIONS,
                    kind.name() => context.id.to_string(), "reason" => "crowded"
                ),
            ),
            header_room: Semaphore::new(header_room(&context.budget)),
            refused_headers: metrics::counter!(
                names::RECEIVER_REFUSED_REQUESTS,
                kind.name() => context.id.to_string(), "transport" => "http", "reason" => "headers"
            ),
            tasks: TaskTracker::new(),
            refused_handshakes: metrics::counter!(
                names::RECEIVER_REFUSED_REQUESTS,
                kind.name() => context.id.to_string(), "transport" => "tls", "reason" => "handshake"
            ),
            open: metrics::gauge!(
                names::RECEIVER_CONNECTIONS,
                kind.name() => context.id.to_string(), "transport" => transport
            ),
        });
        let gate = AcceptGate::new(state.options.accept, |reason| {
            metrics::counter!(
                names::RECEIVER_CLOSED_CONNECTIONS,
                kind.name() => context.id.to_string(), "reason" => reason
            )
        });
        let accepting = state.tasks.track_future(accept(listener, Arc::clone(&state), gate));
        // Supervised: a panic turns health red. The task ends with the server.
        drop(context.status.supervise(kind, &context.id, "accepts connections", accepting));
        Self { state }
    }

    /// Accepts nothing new, finishes the requests under way, and returns then or at the deadline.
    pub async fn stop(&self, deadline: Instant) {
        self.state.stopping.cancel();
        self.state.tasks.close();
        if timeout_at(deadline.into(), self.state.tasks.wait()).await.is_err() {
            self.state.ended.cancel();
            self.state.tasks.wait().await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.stopping.cancel();
        self.state.ended.cancel();
    }
}

fn most_connections(budget: &Budget) -> usize {
    let most = (budget.limit() / CONNECTION_COST).clamp(FEWEST_CONNECTIONS, MOST_CONNECTIONS);
    usize::try_from(most).unwrap_or(10_000)
}

/// A share of the budget that is set aside for large headers, which are held before anything is charged.
fn header_room(budget: &Budget) -> usize {
    const LEAST: u64 = 1 << 20;
    const MOST: u64 = 64 << 20;
    usize::try_from((budget.limit() / 32).clamp(LEAST, MOST)).unwrap_or(1 << 20)
}

enum Stream {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

async fn accept(listener: Listener, state: Arc<State>, mut gate: AcceptGate) {
    loop {
        // Beyond the limit new clients wait in the system's backlog until a connection ends, which idle ones do for them.
        if state.connections.available_permits() == 0 {
            state.crowd.make_room();
        }
        let permit = tokio::select! {
            () = state.stopping.cancelled() => return,
            permit = Arc::clone(&state.connections).acquire_owned() => permit,
        };
        let accepted = tokio::select! {
            () = state.stopping.cancelled() => return,
            accepted = next(&listener) => accepted,
        };
        match accepted {
            // Dropped at once, so that its client goes to another server.
            Ok(_) if !gate.opens(|| state.crowd.size()) => {}
            Ok(stream) => {
                let place = state.crowd.join();
                let open = Open::new(&state.open);
                let connection = serve(stream, place, Arc::clone(&state));
                state.tasks.spawn(async move {
                    connection.await;
                    drop((permit, open));
                });
            }
            Err(error) => {
                warn!(%error, "Cannot accept a connection; trying again");
                // Most likely for want of file descriptors.
                state.crowd.make_room();
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn next(listener: &Listener) -> io::Result<Stream> {
    match listener {
        Listener::Tcp(listener) => {
            let (stream, peer) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok(Stream::Tcp(stream, peer))
        }
        Listener::Unix(listener) => Ok(Stream::Unix(listener.accept().await?.0)),
    }
}

async fn serve(stream: Stream, place: Place, state: Arc<State>) {
    match (stream, state.options.tls.clone()) {
        (Stream::Tcp(stream, peer), None) => connection::serve(stream, Some(peer), &place, state).await,
        (Stream::Unix(stream), None) => connection::serve(stream, None, &place, state).await,
        // Boxed, or each connection without TLS would take the memory of one with it.
        (Stream::Tcp(stream, peer), Some(tls)) => {
            Box::pin(serve_tls(stream, Some(peer), tls, place, state)).await;
        }
        (Stream::Unix(stream), Some(tls)) => Box::pin(serve_tls(stream, None, tls, place, state)).await,
    }
}

async fn serve_tls<S>(stream: S, peer: Option<SocketAddr>, tls: ServerTls, place: Place, state: Arc<State>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if let Some(stream) = shake_hands(&tls, stream, peer, &place, &state).await {
        connection::serve(stream, peer, &place, state).await;
    }
}

async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin>(
    tls: &ServerTls,
    stream: S,
    peer: Option<SocketAddr>,
    place: &Place,
    state: &State,
) -> Option<ServerStream<S>> {
    let shaken = tokio::select! {
        shaken = tls.accept(stream) => shaken,
        () = place.member.makes_room.cancelled() => return None,
    };
    shaken.map_err(|error| state.refuse_handshake(peer, &error)).ok()
}
