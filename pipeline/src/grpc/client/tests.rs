//! A channel to a name with several addresses, which come and go.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::future::{BoxFuture, join_all};
use tokio::net::TcpListener;

use super::{connection::Peer, *};
use crate::{
    budget::Budget,
    component::{Kind, Listener},
    grpc::{
        GrpcServerConfig,
        server::{Call, GrpcServer, Handler, UnaryHandler},
    },
    http::server::Server,
};

const METHOD: &str = "/test.Service/Method";

#[derive(Default)]
struct Counter(AtomicUsize);

impl UnaryHandler for Counter {
    fn has(&self, path: &str) -> bool {
        path == METHOD
    }

    fn call<'a>(&'a self, _path: &'a str, call: Call) -> BoxFuture<'a, Result<Bytes, Status>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move { Ok(call.message) })
    }

    fn refused(&self, _reason: &'static str) {}

    fn late(&self) {}
}

struct Destination {
    peer: Peer,
    calls: Arc<Counter>,
    _server: Server,
}

impl Destination {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = Peer::Tcp(listener.local_addr().unwrap());
        let calls = Arc::new(Counter::default());
        let context = ComponentContext::detached("otlp", Budget::new(1 << 30));
        let server = GrpcServer::new(&GrpcServerConfig::default(), "", &context).unwrap().start(
            Listener::Tcp(listener),
            Kind::Receiver,
            Arc::clone(&calls) as Arc<dyn Handler>,
        );
        Self { peer, calls, _server: server }
    }

    fn calls(&self) -> usize {
        self.calls.0.swap(0, Ordering::Relaxed)
    }
}

/// Counts calls anew.
fn forget(destinations: &[&Destination]) {
    for destination in destinations {
        destination.calls();
    }
}

/// An address where nobody listens.
async fn nobody() -> Peer {
    Peer::Tcp(TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap())
}

type Name = Arc<Mutex<Vec<Peer>>>;

fn channel(name: &Name, balancer: &str) -> Channel {
    let config = GrpcClientConfig {
        endpoint: "http://backend.test:4317".to_owned(),
        compression: "none".to_owned(),
        balancer_name: balancer.to_owned(),
        ..GrpcClientConfig::default()
    };
    let mut channel =
        Channel::new(&config, &ComponentContext::detached("otlp", Budget::new(1 << 30))).unwrap();
    let name = Arc::clone(name);
    let resolver: resolver::Resolver = Arc::new(move || {
        let addresses = name.lock().unwrap().clone();
        Box::pin(async move { Ok(addresses) })
    });
    channel.connections = channel.connections.with_resolver(resolver, Duration::ZERO);
    channel
}

async fn call(channel: &Channel) {
    channel.unary(METHOD, vec![Bytes::from_static(b"x")], None, None, None).await.unwrap();
}

/// Calls until this holds. No call may fail meanwhile.
async fn call_until(channel: &Channel, what: &str, holds: impl Fn() -> bool) {
    let calls = async {
        loop {
            call(channel).await;
            if holds() {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), calls).await.unwrap_or_else(|_| panic!("not so: {what}"));
}

#[tokio::test]
async fn calls_go_to_all_addresses_in_turn_and_follow_them() {
    let (one, two, three) =
        (Destination::start().await, Destination::start().await, Destination::start().await);
    let name: Name = Arc::new(Mutex::new(vec![one.peer.clone(), two.peer.clone()]));
    let channel = channel(&name, "round_robin");
    let count = |of: &Destination| of.calls.0.load(Ordering::Relaxed);
    call_until(&channel, "both are called", || count(&one) > 0 && count(&two) > 0).await;
    forget(&[&one, &two]);
    join_all((0..100).map(|_| call(&channel))).await;
    let (first, second) = (one.calls(), two.calls());
    assert_eq!(first + second, 100);
    assert!(first.abs_diff(second) <= 2, "{first} and {second}");

    *name.lock().unwrap() = vec![two.peer.clone(), three.peer.clone()];
    call_until(&channel, "the new one is called", || count(&three) > 0).await;
    forget(&[&one, &two, &three]);
    join_all((0..100).map(|_| call(&channel))).await;
    assert_eq!(one.calls(), 0, "it has left the name");
    assert_eq!(two.calls() + three.calls(), 100);

    name.lock().unwrap().clear();
    call(&channel).await;
    join_all((0..10).map(|_| call(&channel))).await;
    assert_eq!(two.calls() + three.calls(), 11, "old addresses are better than none");
}

#[tokio::test]
async fn an_address_where_nobody_answers_costs_no_call() {
    let one = Destination::start().await;
    let name: Name = Arc::new(Mutex::new(vec![nobody().await, one.peer.clone(), nobody().await]));
    for balancer in ["round_robin", "pick_first"] {
        let channel = channel(&name, balancer);
        join_all((0..50).map(|_| call(&channel))).await;
        assert_eq!(one.calls(), 50, "{balancer}");
    }
    *name.lock().unwrap() = vec![nobody().await, nobody().await];
    let channel = channel(&name, "round_robin");
    let failure = channel.unary(METHOD, Vec::new(), None, None, None).await.unwrap_err();
    assert!(!failure.is_permanent() && failure.message.contains("cannot connect"), "{failure}");
}

#[tokio::test]
async fn the_first_address_is_all_that_pick_first_uses() {
    let (one, two) = (Destination::start().await, Destination::start().await);
    let name: Name = Arc::new(Mutex::new(vec![one.peer.clone(), two.peer.clone()]));
    let channel = channel(&name, "pick_first");
    join_all((0..50).map(|_| call(&channel))).await;
    assert_eq!((one.calls(), two.calls()), (50, 0));
    name.lock().unwrap().remove(0);
    call_until(&channel, "the other is called", || two.calls.0.load(Ordering::Relaxed) > 0).await;
}

/// A destination whose packets are lost: connected, and silent.
#[tokio::test]
async fn a_connection_that_never_answers_is_replaced() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let name: Name = Arc::new(Mutex::new(vec![Peer::Tcp(listener.local_addr().unwrap())]));
    let channel = channel(&name, "round_robin");
    let accepted = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&accepted);
    tokio::spawn(async move {
        let mut silent = Vec::new();
        loop {
            silent.push(listener.accept().await.unwrap());
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    for call in 1..=4 {
        let soon = Some(Instant::now() + Duration::from_millis(50));
        let failure = channel.unary(METHOD, Vec::new(), None, soon, None).await.unwrap_err();
        assert!(!failure.is_permanent(), "{failure}");
        let expected = if call <= 3 { 1 } else { 2 };
        assert_eq!(accepted.load(Ordering::Relaxed), expected, "after call {call}");
    }
}
