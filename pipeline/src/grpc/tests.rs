//! Client and server against each other over loopback.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::net::TcpListener;

use super::{
    GrpcClientConfig, GrpcServerConfig, Status,
    client::Channel,
    server::{Call, GrpcServer, UnaryHandler},
};
use crate::{
    budget::Budget,
    component::{ComponentContext, Kind, Listener},
    http::server::Server,
    reply::{Code, Failure, Retry},
};

const ECHO: &str = "/test.Test/Echo";
const BUSY: &str = "/test.Test/Busy";
const NEVER: &str = "/test.Test/Never";

#[derive(Default)]
struct Handler {
    compressed: AtomicUsize,
    late: AtomicUsize,
}

impl UnaryHandler for Handler {
    fn has(&self, path: &str) -> bool {
        [ECHO, BUSY, NEVER].contains(&path)
    }

    fn call<'a>(&'a self, path: &'a str, call: Call) -> BoxFuture<'a, Result<Bytes, Status>> {
        Box::pin(async move {
            self.compressed.fetch_add(usize::from(call.compressed.is_some()), Ordering::Relaxed);
            match path {
                ECHO => Ok(call.message),
                BUSY => Err(Status {
                    code: Code::ResourceExhausted,
                    message: "voll – später".to_owned(),
                    retry_after: Some(Duration::from_millis(1_250)),
                }),
                _ => std::future::pending().await,
            }
        })
    }

    fn refused(&self, _reason: &'static str) {}

    fn late(&self) {
        self.late.fetch_add(1, Ordering::Relaxed);
    }
}

struct Fixture {
    server: Server,
    handler: Arc<Handler>,
    address: String,
    budget: Budget,
}

async fn serve_at(address: &str, budget: Budget) -> Fixture {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let context = ComponentContext::detached("otlp", budget.clone());
    let handler = Arc::new(Handler::default());
    let server = GrpcServer::new(&GrpcServerConfig::default(), "protocols.grpc", &context).unwrap().start(
        Listener::Tcp(listener),
        Kind::Receiver,
        handler.clone(),
    );
    Fixture { server, handler, address, budget }
}

async fn serve() -> Fixture {
    serve_at("127.0.0.1:0", Budget::new(1 << 30)).await
}

impl Fixture {
    fn channel(&self, compression: &str) -> Channel {
        let config = GrpcClientConfig {
            endpoint: format!("http://{}", self.address),
            compression: compression.to_owned(),
            ..GrpcClientConfig::default()
        };
        Channel::new(&config, &ComponentContext::detached("otlp", Budget::new(1 << 30))).unwrap()
    }

    async fn call(&self, path: &'static str, message: Vec<u8>) -> Result<Bytes, Failure> {
        self.channel("none").unary(path, vec![message.into()], None, None, None).await
    }
}

#[tokio::test]
async fn a_message_goes_and_comes_in_every_encoding() {
    let fixture = serve().await;
    let message: Vec<u8> = (0..200_000u32).flat_map(|number| (number / 50).to_le_bytes()).collect();
    for compression in ["none", "gzip", "zstd", "snappy"] {
        let channel = fixture.channel(compression);
        let chunks = vec![Bytes::copy_from_slice(&message[..1000]), Bytes::copy_from_slice(&message[1000..])];
        let answer = channel.unary(ECHO, chunks, None, None, None).await.unwrap();
        assert_eq!(answer, message, "{compression}");
    }
    assert_eq!(
        fixture.handler.compressed.load(Ordering::Relaxed),
        2,
        "gzip and zstd may be passed on as they came"
    );
    assert_eq!(
        fixture.channel("gzip").unary(ECHO, Vec::new(), None, None, None).await.unwrap(),
        Bytes::new()
    );
}

#[tokio::test]
async fn nothing_stays_charged() {
    let fixture = serve().await;
    fixture.call(ECHO, vec![7; 1 << 20]).await.unwrap();
    assert_eq!(fixture.budget.used(), 0);
}

#[tokio::test]
async fn refusals_have_their_codes() {
    let fixture = serve().await;
    let refused = fixture.call("/test.Test/Missing", vec![1]).await.unwrap_err();
    assert_eq!((refused.code, refused.retry), (Some(Code::Unimplemented), Retry::Permanent));

    let refused = fixture.call(ECHO, vec![0; (4 << 20) + 1]).await.unwrap_err();
    assert_eq!((refused.code, refused.retry), (Some(Code::ResourceExhausted), Retry::Permanent));
    assert!(refused.message.contains("max_recv_msg_size_mib"), "{refused}");

    let refused = fixture.call(BUSY, vec![1]).await.unwrap_err();
    assert_eq!(refused.retry, Retry::After(Duration::from_millis(1_250)));
    assert!(refused.message.contains("voll – später"), "{refused}");
}

#[tokio::test]
async fn an_exhausted_budget_asks_to_come_again() {
    let fixture = serve_at("127.0.0.1:0", Budget::new(100_000)).await;
    let refused = fixture.call(ECHO, vec![1; 200_000]).await.unwrap_err();
    assert_eq!(refused.code, Some(Code::Unavailable));
    assert_eq!(refused.retry, Retry::After(Duration::from_secs(1)));
    assert_eq!(fixture.budget.used(), 0);
    fixture.call(ECHO, vec![1; 10_000]).await.unwrap();
}

#[tokio::test]
async fn a_deadline_ends_the_call_on_both_sides() {
    let fixture = serve().await;
    let channel = fixture.channel("none");
    let deadline = Some(Instant::now() + Duration::from_millis(200));
    let refused =
        channel.unary(NEVER, vec![Bytes::from_static(b"x")], None, deadline, None).await.unwrap_err();
    assert_eq!(refused.code, Some(Code::DeadlineExceeded));
    assert!(!refused.is_permanent());
    channel
        .unary(ECHO, vec![Bytes::from_static(b"x")], None, None, None)
        .await
        .expect("the connection still works");
}

#[tokio::test]
async fn a_destination_that_is_down_is_named_and_found_again() {
    let fixture = serve().await;
    let (address, channel) = (fixture.address.clone(), fixture.channel("none"));
    let echo = || channel.unary(ECHO, vec![Bytes::from_static(b"x")], None, None, None);
    echo().await.unwrap();
    fixture.server.stop(Instant::now() + Duration::from_secs(5)).await;
    let down = echo().await.unwrap_err();
    assert!(!down.is_permanent());
    assert!(down.message.contains(&format!("cannot connect to http://{address}")), "{down}");
    let _again = serve_at(&address, Budget::new(1 << 30)).await;
    echo().await.expect("the channel connects again");
}

#[tokio::test]
async fn plaintext_where_tls_is_expected_says_so() {
    let fixture = serve().await;
    let config = GrpcClientConfig { endpoint: fixture.address.clone(), ..GrpcClientConfig::default() };
    let channel = Channel::new(&config, &ComponentContext::detached("otlp", Budget::new(1 << 20))).unwrap();
    let refused = channel.unary(ECHO, Vec::new(), None, None, None).await.unwrap_err();
    assert!(refused.message.contains("insecure"), "{refused}");
}
