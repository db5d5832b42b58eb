//! A balanced channel against servers that come and go.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use futures_util::{future::join_all, stream};
use http_body::Frame;
use http_body_util::StreamBody;
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};

use super::{super::connection::Peer, *};
use crate::{budget::Budget, tls::ClientTlsConfig};

const METHOD: &str = "/test.Service/Collect";
const HEALTH: &str = "/grpc.health.v1.Health/Check";

type AnyBody = http_body_util::combinators::UnsyncBoxBody<Bytes, std::convert::Infallible>;

/// What one server has seen.
#[derive(Default)]
struct Seen {
    calls: AtomicUsize,
    sick: AtomicBool,
    bodies: Mutex<Vec<Vec<u8>>>,
    headers: Mutex<HeaderMap>,
}

struct Server {
    address: SocketAddr,
    seen: Arc<Seen>,
    tasks: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn start() -> Self {
        Self::at("127.0.0.1:0".parse().unwrap()).await
    }

    async fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let (address, seen) = (listener.local_addr().unwrap(), Arc::new(Seen::default()));
        let served = Arc::clone(&seen);
        let tasks = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let seen = Arc::clone(&served);
                let service = service_fn(move |request| {
                    let seen = Arc::clone(&seen);
                    async move { Ok::<_, std::convert::Infallible>(answer(&seen, request).await) }
                });
                connections.spawn(
                    http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { address, seen, tasks }
    }

    /// Ends it with all its connections.
    async fn kill(self) -> SocketAddr {
        self.tasks.abort();
        let _ = self.tasks.await;
        self.address
    }

    fn calls(&self) -> usize {
        self.seen.calls.swap(0, Ordering::Relaxed)
    }
}

async fn answer(seen: &Seen, request: Request<Incoming>) -> Response<AnyBody> {
    let (head, mut body) = request.into_parts();
    if head.uri.path() == HEALTH {
        let status = if seen.sick.load(Ordering::Relaxed) { 2 } else { 1 };
        return crate::grpc::server::reply(&[8, status]);
    }
    if head.uri.path() == "/test.Service/Echo" {
        return echo(head.headers, body);
    }
    let mut bytes = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        bytes.extend_from_slice(&frame.into_data().unwrap());
    }
    *seen.headers.lock().unwrap() = head.headers;
    seen.bodies.lock().unwrap().push(bytes);
    seen.calls.fetch_add(1, Ordering::Relaxed);
    crate::grpc::server::reply(b"taken")
}

/// Sends back what arrives as it arrives, and a trailer at the end.
fn echo(headers: HeaderMap, mut body: Incoming) -> Response<AnyBody> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Some(Ok(frame)) = body.frame().await {
            if sender.send(Ok(frame)).await.is_err() {
                return;
            }
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        trailers.insert("x-told", headers["x-told"].clone());
        let _ = sender.send(Ok(Frame::trailers(trailers))).await;
    });
    Response::new(StreamBody::new(received(receiver)).boxed_unsync())
}

fn received<T: Send + 'static>(receiver: mpsc::Receiver<T>) -> impl stream::Stream<Item = T> + Send {
    stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) })
}

fn settings(destinations: &[(String, u32)]) -> BalancedSettings {
    let destination =
        |(endpoint, weight): &(String, u32)| Destination { endpoint: endpoint.clone(), weight: *weight };
    BalancedSettings {
        key: "endpoints",
        destinations: destinations.iter().map(destination).collect(),
        found: Vec::new(),
        client: GrpcClientConfig {
            tls: ClientTlsConfig { insecure: true, ..ClientTlsConfig::default() },
            ..GrpcClientConfig::default()
        },
        authentication: Some(HeaderValue::from_static("token")),
        check_period: Duration::from_millis(20),
        affinity: Affinity { capacity: 100, lifetime: Duration::from_secs(3600) },
    }
}

fn context() -> ComponentContext {
    ComponentContext::detached("oap", Budget::new(1 << 30))
}

fn channel(destinations: &[(&Server, u32)]) -> BalancedChannel {
    let named: Vec<_> =
        destinations.iter().map(|(server, weight)| (server.address.to_string(), *weight)).collect();
    BalancedChannel::new(&settings(&named), &context()).unwrap()
}

async fn send(channel: &BalancedChannel, key: Option<&[u8]>) -> Result<Bytes, Failure> {
    let mut messages = Messages::default();
    messages.push(|out| out.extend_from_slice(b"one"));
    messages.push(|out| out.extend_from_slice(b"two"));
    channel.stream(Stream { path: METHOD, messages, key, deadline: None }).await
}

/// Waits until this holds, while the destinations are followed.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap_or_else(|_| panic!("not so: {what}"));
}

#[tokio::test]
async fn all_messages_go_out_before_the_answer_is_read() {
    let server = Server::start().await;
    let channel = channel(&[(&server, 1)]);
    assert_eq!(send(&channel, None).await.unwrap(), "taken");
    assert_eq!(server.seen.bodies.lock().unwrap()[0], b"\0\0\0\0\x03one\0\0\0\0\x03two");
    let headers = server.seen.headers.lock().unwrap();
    assert_eq!(headers["authentication"], "token");
    assert_eq!(headers["content-type"], "application/grpc");
    assert!(headers.contains_key("grpc-timeout"), "the life of a stream is bounded");
}

#[tokio::test]
async fn calls_are_spread_by_weight() {
    let (one, other) = (Server::start().await, Server::start().await);
    let channel = channel(&[(&one, 3), (&other, 1)]);
    for _ in 0..40 {
        send(&channel, None).await.unwrap();
    }
    assert_eq!((one.calls(), other.calls()), (30, 10));
}

#[tokio::test]
async fn calls_with_a_key_stay_together() {
    let servers = [Server::start().await, Server::start().await, Server::start().await];
    let channel = channel(&[(&servers[0], 1), (&servers[1], 1), (&servers[2], 1)]);
    let mut places = HashMap::new();
    for round in 0..3 {
        for key in 0..30u8 {
            send(&channel, Some(&[key])).await.unwrap();
            let place = servers.iter().position(|server| server.calls() > 0).unwrap();
            assert_eq!(*places.entry(key).or_insert(place), place, "round {round}");
        }
    }
    let used: std::collections::HashSet<_> = places.values().collect();
    assert_eq!(used.len(), 3, "30 keys are more than one destination's");
}

#[tokio::test]
async fn nothing_fails_when_a_destination_is_killed_and_it_is_used_again_when_it_is_back() {
    let (one, other) = (Server::start().await, Server::start().await);
    let channel = Arc::new(channel(&[(&one, 1), (&other, 1)]));
    let followed = tokio::spawn(Arc::clone(&channel).follow());
    until("both answer", || channel.ready() == (2, 2)).await;
    let address = other.kill().await;
    for key in 0..40u8 {
        send(&channel, if key % 2 == 0 { None } else { Some(std::slice::from_ref(&key)) }).await.unwrap();
    }
    assert_eq!(one.calls(), 40);
    until("one is known to be gone", || channel.ready() == (1, 2)).await;
    let other = Server::at(address).await;
    until("it is back", || channel.ready() == (2, 2)).await;
    for _ in 0..20 {
        send(&channel, None).await.unwrap();
    }
    assert_eq!((one.calls(), other.calls()), (10, 10));
    followed.abort();
}

#[tokio::test]
async fn a_destination_that_says_that_it_does_not_serve_gets_nothing() {
    let (one, other) = (Server::start().await, Server::start().await);
    let channel = Arc::new(channel(&[(&one, 1), (&other, 1)]));
    other.seen.sick.store(true, Ordering::Relaxed);
    let followed = tokio::spawn(Arc::clone(&channel).follow());
    until("one answers", || channel.ready() == (1, 2)).await;
    for _ in 0..10 {
        send(&channel, None).await.unwrap();
    }
    assert_eq!((one.calls(), other.calls()), (10, 0));
    followed.abort();
}

#[tokio::test]
async fn an_address_that_joins_a_name_gets_its_share_at_once() {
    let (one, other) = (Server::start().await, Server::start().await);
    let name = Arc::new(Mutex::new(vec![Peer::Tcp(one.address)]));
    let looked_up = Arc::clone(&name);
    let mut channel = channel(&[(&one, 1)]);
    channel.members = channel.members.with_resolver(Arc::new(move || {
        let peers = looked_up.lock().unwrap().clone();
        Box::pin(async move { Ok(peers) })
    }));
    let channel = Arc::new(channel);
    let followed = tokio::spawn(Arc::clone(&channel).follow());
    until("one answers", || channel.ready() == (1, 1)).await;
    name.lock().unwrap().push(Peer::Tcp(other.address));
    until("both answer", || channel.ready() == (2, 2)).await;
    for _ in 0..10 {
        send(&channel, None).await.unwrap();
    }
    assert_eq!((one.calls(), other.calls()), (5, 5));
    name.lock().unwrap().clear();
    channel.members.look_up().await;
    assert_eq!(channel.ready(), (2, 2), "old addresses are better than none");
    followed.abort();
}

/// Finds what it is told to.
struct Told {
    addresses: Arc<Mutex<io::Result<Vec<SocketAddr>>>>,
    changes: watch::Sender<u64>,
    /// How often it was asked.
    asked: AtomicUsize,
}

impl Told {
    fn tell(&self, addresses: io::Result<Vec<SocketAddr>>) {
        *self.addresses.lock().unwrap() = addresses;
        self.changes.send_modify(|changes| *changes += 1);
    }
}

impl Finder for Told {
    fn find(&self) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let found = match &*self.addresses.lock().unwrap() {
            Ok(addresses) => Ok(addresses.clone()),
            Err(error) => Err(io::Error::other(error.to_string())),
        };
        Box::pin(async move { found })
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

#[tokio::test]
async fn what_a_finder_tells_counts_at_once() {
    let servers = [Server::start().await, Server::start().await, Server::start().await];
    let finder = Arc::new(Told {
        addresses: Arc::new(Mutex::new(Err(io::Error::other("not yet")))),
        changes: watch::Sender::new(0),
        asked: AtomicUsize::new(0),
    });
    let settings = BalancedSettings {
        found: vec![Found {
            endpoint: "pods.default:11800".to_owned(),
            weight: 1,
            finder: Arc::clone(&finder) as Arc<dyn Finder>,
        }],
        // Not by looking from time to time.
        check_period: Duration::from_secs(3600),
        ..settings(&[(servers[0].address.to_string(), 1)])
    };
    let channel = Arc::new(BalancedChannel::new(&settings, &context()).unwrap());
    let followed = tokio::spawn(Arc::clone(&channel).follow());
    until("the named one answers", || channel.ready() == (1, 1)).await;
    finder.tell(Ok(vec![servers[1].address, servers[2].address]));
    until("those that were found answer", || channel.ready() == (3, 3)).await;
    for _ in 0..9 {
        send(&channel, None).await.unwrap();
    }
    assert_eq!(servers.each_ref().map(Server::calls), [3, 3, 3]);
    finder.tell(Ok(vec![servers[2].address]));
    until("one is gone", || channel.ready() == (2, 2)).await;
    // It is asked a second time only when what it told the first time has been acted upon.
    for _ in 0..2 {
        let before = finder.asked.load(Ordering::Relaxed);
        finder.tell(Err(io::Error::other("the finder is ill")));
        until("it is asked", || finder.asked.load(Ordering::Relaxed) > before).await;
    }
    assert_eq!(channel.ready(), (2, 2), "the old ones stay");
    send(&channel, None).await.unwrap();
    finder.tell(Ok(Vec::new()));
    until("those that were found are gone", || channel.ready() == (1, 1)).await;
    followed.abort();
}

#[tokio::test]
async fn calls_that_wait_for_a_look_up_share_its_outcome() {
    let server = Server::start().await;
    let looked_up = Arc::new(AtomicUsize::new(0));
    let (release, released) = watch::channel(false);
    let mut channel = channel(&[(&server, 1)]);
    let counted = Arc::clone(&looked_up);
    channel.members = channel.members.with_resolver(Arc::new(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        let mut released = released.clone();
        Box::pin(async move {
            let _ = released.changed().await;
            Err(io::Error::other("no such name"))
        })
    }));
    let calls = join_all((0..5).map(|_| send(&channel, None)));
    let answer = async {
        until("one of them looks up", || looked_up.load(Ordering::Relaxed) == 1).await;
        release.send(true).unwrap();
    };
    let (outcomes, ()) = tokio::join!(calls, answer);
    assert!(outcomes.iter().all(|outcome| outcome.is_err()), "{outcomes:?}");
    assert_eq!(looked_up.load(Ordering::Relaxed), 1, "the others have waited for it");
    send(&channel, None).await.unwrap_err();
    assert_eq!(looked_up.load(Ordering::Relaxed), 2, "a later call tries again");
}

#[tokio::test]
async fn a_back_end_that_is_not_there_is_tried_again_later() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let channel = BalancedChannel::new(&settings(&[(gone.to_string(), 1)]), &context()).unwrap();
    let failure = send(&channel, None).await.unwrap_err();
    assert!(!failure.is_permanent() && failure.message.contains(&gone.to_string()), "{failure}");
    assert!(!failure.message.contains("token"), "{failure}");
    let wrong = BalancedChannel::new(&settings(&[("nowhere".to_owned(), 1)]), &context());
    assert!(wrong.err().unwrap().to_string().starts_with("endpoints: "));
}

#[tokio::test]
async fn bytes_are_relayed_both_ways_as_they_come() {
    let server = Server::start().await;
    let channel = channel(&[(&server, 1)]);
    let (sender, receiver) = mpsc::channel(1);
    let body = StreamBody::new(received(receiver)).boxed_unsync();
    let call =
        Request::post("http://client.test/test.Service/Echo").header("x-told", "yes").body(body).unwrap();
    sender.send(Ok(Frame::data(Bytes::from_static(b"first")))).await.unwrap();
    let answer = channel.relay(call).await.unwrap();
    let mut body = answer.into_body();
    let mut next = async || body.frame().await.unwrap().unwrap();
    assert_eq!(next().await.into_data().unwrap(), "first", "before the second is sent");
    sender.send(Ok(Frame::data(Bytes::from_static(b"second")))).await.unwrap();
    assert_eq!(next().await.into_data().unwrap(), "second");
    drop(sender);
    let trailers = next().await.into_trailers().unwrap();
    assert_eq!(
        (&trailers["grpc-status"], &trailers["x-told"]),
        (&HeaderValue::from(0), &HeaderValue::from_static("yes"))
    );
}

#[tokio::test]
async fn a_relayed_call_goes_to_another_destination_while_nothing_of_it_was_sent() {
    let (one, other) = (Server::start().await, Server::start().await);
    let channel = channel(&[(&one, 1), (&other, 1)]);
    let address = one.kill().await;
    for _ in 0..4 {
        let body = StreamBody::new(stream::iter([Ok(Frame::data(Bytes::from_static(b"x")))]));
        let call = Request::post("http://client.test/test.Service/Echo").header("x-told", "yes");
        let answer = channel.relay(call.body(body.boxed_unsync()).unwrap()).await;
        assert!(answer.is_ok(), "{address} is gone, {} is not", other.address);
    }
}
