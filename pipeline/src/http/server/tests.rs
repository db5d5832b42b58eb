//! The server over loopback, with raw bytes where clients would not send them.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use futures_util::future::{BoxFuture, join_all};
use http::{Response, StatusCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, oneshot},
};

use super::*;
use crate::{
    budget::Budget,
    component::{AuthRefusal, Capabilities, ComponentContext, ComponentId, Kind, Listener, ServerAuth},
    compression::{Encoding, compress},
    http::{ResponseBody, body::Pace, text},
};
use std::{collections::HashMap, sync::Arc};

/// Answers with the size of the content, or with the status and reason of the refusal.
struct Sizes;

impl Handler for Sizes {
    fn handle(&self, mut request: IncomingRequest) -> BoxFuture<'_, Response<ResponseBody>> {
        Box::pin(async move {
            match request.content().await {
                Ok(content) => {
                    text(StatusCode::OK, format!("{} {}", content.bytes.len(), content.compressed.is_some()))
                }
                Err(refusal) => text(refusal.status(), refusal.reason()),
            }
        })
    }
}

struct Running {
    address: SocketAddr,
    server: Server,
    budget: Budget,
}

async fn start(config: HttpServerConfig, handler: Arc<dyn Handler>, budget: Budget) -> Running {
    start_with(config, handler, ComponentContext::detached("test", budget), Pace::default()).await
}

async fn start_with(
    config: HttpServerConfig,
    handler: Arc<dyn Handler>,
    context: ComponentContext,
    pace: Pace,
) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = HttpServer::new(&config, "", &context).unwrap().with_pace(pace);
    let server = server.start(Listener::Tcp(listener), Kind::Receiver, handler);
    Running { address, server, budget: context.budget }
}

impl Running {
    /// Sends these bytes and reads to the end of the connection.
    async fn send(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn post(&self, headers: &str, body: &[u8]) -> String {
        let head = format!(
            "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
            body.len()
        );
        self.send(&[head.as_bytes(), body].concat()).await
    }
}

fn assert_answer(answer: &str, status: u16, ending: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.ends_with(ending), "{answer}");
}

#[tokio::test]
async fn content_is_read_in_every_encoding() {
    let running = start(HttpServerConfig::default(), Arc::new(Sizes), Budget::new(1 << 30)).await;
    let content = bytes::Bytes::from(vec![7; 10_000]);
    assert_answer(&running.post("", &content).await, 200, "\r\n10000 false");
    for (name, encoding, kept) in [
        ("gzip", Encoding::Gzip, true),
        ("zstd", Encoding::Zstd, true),
        ("deflate", Encoding::Deflate, false),
        ("zlib", Encoding::Deflate, false),
        ("snappy", Encoding::Snappy, false),
        ("snappy", Encoding::SnappyFramed, false),
    ] {
        let body = compress(encoding, None, std::slice::from_ref(&content)).unwrap();
        let answer = running.post(&format!("content-encoding: {name}\r\n"), &body).await;
        assert_answer(&answer, 200, &format!("\r\n10000 {kept}"));
    }
    let chunked = "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    assert_answer(&running.send(chunked.as_bytes()).await, 200, "\r\n5 false");
}

#[tokio::test]
async fn each_refusal_has_its_status() {
    let config = HttpServerConfig {
        max_request_body_size: 1000,
        compression_algorithms: vec!["gzip".into()],
        ..Default::default()
    };
    let running = start(config, Arc::new(Sizes), Budget::new(1 << 30)).await;
    assert_answer(&running.post("", &[1; 1001]).await, 400, "too_large");
    let bomb = compress(Encoding::Gzip, None, &[vec![0; 100_000].into()]).unwrap();
    assert_answer(&running.post("content-encoding: gzip\r\n", &bomb).await, 400, "too_large");
    assert_answer(&running.post("content-encoding: gzip\r\n", b"no gzip").await, 400, "malformed");
    assert_answer(&running.post("content-encoding: gzip\r\n", &bomb[..50]).await, 400, "malformed");
    assert_answer(&running.post("content-encoding: zstd\r\n", b"x").await, 415, "unsupported_encoding");
    assert_answer(&running.post("content-encoding: br\r\n", b"x").await, 415, "unsupported_encoding");
    let twice = "content-encoding: gzip\r\ncontent-encoding: gzip\r\n";
    assert_answer(&running.post(twice, &bomb).await, 415, "unsupported_encoding");
}

#[tokio::test]
async fn a_large_refused_body_is_read_so_that_the_client_sees_the_answer() {
    let config = HttpServerConfig { max_request_body_size: 1 << 20, ..Default::default() };
    let running = start(config, Arc::new(Sizes), Budget::new(1 << 30)).await;
    assert_answer(&running.post("", &vec![1; 21 << 20]).await, 400, "too_large");
}

#[tokio::test]
async fn a_body_that_the_budget_has_no_room_for_is_refused() {
    let budget = Budget::new(1 << 20);
    let running = start(HttpServerConfig::default(), Arc::new(Sizes), budget.clone()).await;
    let held = budget.charge(900_000).unwrap();
    assert_answer(&running.post("", &vec![1; 500_000]).await, 503, "budget");
    drop(held);
    assert_answer(&running.post("", &vec![1; 500_000]).await, 200, "500000 false");
    assert_eq!(budget.used(), 0);
}

#[tokio::test]
async fn a_body_that_ends_early_is_refused() {
    let running = start(HttpServerConfig::default(), Arc::new(Sizes), Budget::new(1 << 30)).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(!String::from_utf8_lossy(&answer).contains(" 200 "));
    assert_eq!(running.budget.used(), 0);
}

#[tokio::test]
async fn five_hundred_clients_that_send_half_a_body_are_cut_and_others_served() {
    let pace = Pace { period: Duration::from_millis(300), bytes: 10_000 };
    let context = ComponentContext::detached("test", Budget::new(64 << 20));
    let running = start_with(HttpServerConfig::default(), Arc::new(Sizes), context, pace).await;
    // In one write: nothing is then unread when the server closes, which would cost the client its answer.
    let half = [&b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 20000\r\n\r\n"[..], &[1; 5000]].concat();
    let stalled = join_all((0..500).map(|_| async {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(&half).await.unwrap();
        stream
    }))
    .await;
    assert_answer(&running.post("", &[1; 5000]).await, 200, "5000 false");
    let answers = join_all(stalled.into_iter().map(|mut stream| async move {
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.map(|_| String::from_utf8_lossy(&answer).into_owned())
    }))
    .await;
    assert_eq!(answers.iter().flatten().filter(|answer| *answer == "HTTP/1.1 408").count(), 500);
    assert_eq!(running.budget.used(), 0);
}

#[tokio::test]
async fn broken_requests_leave_the_server_alive() {
    let running = start(HttpServerConfig::default(), Arc::new(Sizes), Budget::new(1 << 30)).await;
    for broken in [
        &b"\x00\x01\x02\x03 nonsense\r\n\r\n"[..],
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: nine\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\nzz\r\n",
    ] {
        assert!(!running.send(broken).await.contains(" 200 "));
    }
    let mut many = b"POST / HTTP/1.1\r\nhost: x\r\n".to_vec();
    many.extend(b"a: ".iter().chain(&[b'x'; 400_000]));
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    // The server may close before all of it is written.
    let _ = stream.write_all(&many).await;
    drop(stream);
    assert_answer(&running.post("", b"abc").await, 200, "3 false");
}

#[tokio::test]
async fn preflight_and_response_headers() {
    let config = HttpServerConfig {
        cors: Some(CorsConfig { allowed_origins: vec!["https://app.test".into()], ..Default::default() }),
        response_headers: [("x-served-by", "sluice")].into_iter().collect(),
        ..Default::default()
    };
    let running = start(config, Arc::new(Sizes), Budget::new(1 << 30)).await;
    let preflight = running
        .send(b"OPTIONS / HTTP/1.1\r\nhost: x\r\nconnection: close\r\norigin: https://app.test\r\naccess-control-request-method: POST\r\naccess-control-request-headers: content-type\r\n\r\n")
        .await;
    assert!(preflight.starts_with("HTTP/1.1 204"), "{preflight}");
    assert!(preflight.contains("access-control-allow-origin: https://app.test\r\n"), "{preflight}");
    let answer = running.post("origin: https://app.test\r\n", b"x").await;
    assert!(answer.contains("access-control-allow-origin: https://app.test\r\n"), "{answer}");
    assert!(answer.contains("x-served-by: sluice\r\n"), "{answer}");
    let stranger = running.post("origin: https://evil.test\r\n", b"x").await;
    assert!(!stranger.contains("allow-origin"), "{stranger}");
}

struct Token;

impl ServerAuth for Token {
    fn authenticate<'a>(
        &'a self,
        headers: &'a http::HeaderMap,
    ) -> BoxFuture<'a, Result<Vec<(String, String)>, AuthRefusal>> {
        Box::pin(async move {
            match headers.get("authorization") {
                Some(value) if value == "Bearer right" => Ok(vec![("subject".into(), "agent".into())]),
                _ => Err(AuthRefusal::Wrong {
                    message: "credentials are missing or wrong",
                    challenge: "Bearer",
                }),
            }
        })
    }
}

#[tokio::test]
async fn credentials_are_checked_first() {
    let id: ComponentId = "bearertokenauth".parse().unwrap();
    let capabilities = Capabilities { server_auth: Some(Arc::new(Token)), ..Default::default() };
    let mut context = ComponentContext::detached("test", Budget::new(1 << 30));
    context.extensions = Arc::new(HashMap::from([(id.clone(), capabilities)]));
    let auth = AuthConfig { authenticator: id.clone(), request_params: Default::default() };
    let config = HttpServerConfig { auth: Some(auth), ..Default::default() };
    let running = start_with(config.clone(), Arc::new(Sizes), context, Pace::default()).await;
    let refused = running.post("", b"abc").await;
    assert_answer(&refused, 401, "missing or wrong");
    assert!(refused.contains("www-authenticate: Bearer\r\n"), "{refused}");
    let unasked = "POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 20000000\r\n\r\n";
    assert!(running.send(unasked.as_bytes()).await.starts_with("HTTP/1.1 401"), "without a 100 before it");
    let large = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 20000000\r\n\r\n";
    assert!(running.send(large.as_bytes()).await.starts_with("HTTP/1.1 401"), "without waiting for the body");
    assert_answer(&running.post("authorization: Bearer right\r\n", b"abc").await, 200, "3 false");

    let without = ComponentContext::detached("test", Budget::new(1 << 30));
    let error = HttpServer::new(&config, "protocols.http", &without).err().unwrap().to_string();
    assert!(error.starts_with("protocols.http.auth.authenticator:"), "{error}");
}

/// Says when a request has begun, and answers when told to.
struct Gate {
    begun: Mutex<Option<oneshot::Sender<()>>>,
    open: Arc<Notify>,
}

impl Handler for Gate {
    fn handle(&self, _request: IncomingRequest) -> BoxFuture<'_, Response<ResponseBody>> {
        Box::pin(async move {
            if let Some(begun) = self.begun.lock().unwrap().take() {
                begun.send(()).unwrap();
            }
            self.open.notified().await;
            text(StatusCode::OK, "done")
        })
    }
}

#[tokio::test]
async fn stopping_finishes_what_is_under_way_until_the_deadline() {
    for finishes in [true, false] {
        let (begun, has_begun) = oneshot::channel();
        let open = Arc::new(Notify::new());
        let gate = Gate { begun: Mutex::new(Some(begun)), open: Arc::clone(&open) };
        let running = start(HttpServerConfig::default(), Arc::new(gate), Budget::new(1 << 30)).await;
        let address = running.address;
        let client = tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
            let mut answer = Vec::new();
            // Cut off at the deadline, the connection may end with a reset.
            let _ = stream.read_to_end(&mut answer).await;
            String::from_utf8_lossy(&answer).into_owned()
        });
        has_begun.await.unwrap();
        let wait = if finishes { Duration::from_secs(60) } else { Duration::from_millis(50) };
        let stop = running.server.stop(Instant::now() + wait);
        if finishes {
            open.notify_one();
        }
        stop.await;
        let answer = client.await.unwrap();
        assert_eq!(answer.ends_with("done"), finishes, "{answer}");
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    }
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    let gate = Gate { begun: Mutex::new(None), open: Arc::new(Notify::new()) };
    let config = HttpServerConfig { write_timeout: Duration::from_millis(50).into(), ..Default::default() };
    let running = start(config, Arc::new(gate), Budget::new(1 << 30)).await;
    assert_answer(&running.post("", b"x").await, 503, "write_timeout allows");
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let config = HttpServerConfig { idle_timeout: Duration::from_millis(50).into(), ..Default::default() };
    let running = start(config, Arc::new(Sizes), Budget::new(1 << 30)).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(String::from_utf8_lossy(&answer).ends_with("0 false"), "answered, then closed");
}

#[test]
fn problems_name_their_keys() {
    let config = HttpServerConfig {
        endpoint: "localhost".into(),
        transport: "npipe".into(),
        compression_algorithms: vec!["lz4".into(), "gzip".into()],
        middlewares: serde_json::from_str("[{\"id\": \"x\"}]").unwrap(),
        ..Default::default()
    };
    let keys: Vec<_> = config.problems("protocols.http").into_iter().map(|problem| problem.key).collect();
    assert_eq!(
        keys,
        ["protocols.http.transport", "protocols.http.middlewares", "protocols.http.compression_algorithms"]
    );
    let config = HttpServerConfig { endpoint: "localhost".into(), ..Default::default() };
    assert_eq!(config.problems("")[0].key, "endpoint");
}
