//! The client against servers on loopback.

use std::{
    net::SocketAddr,
    sync::Mutex,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use http::{Response, StatusCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::{
    budget::Budget,
    component::{Kind, Listener},
    http::{
        ResponseBody,
        server::{Handler, HttpServer, HttpServerConfig, IncomingRequest, Server},
        text,
    },
    reply::Retry,
};

/// Answers with what the path asks for, and keeps the heads and contents of requests.
#[derive(Default)]
struct Recorder {
    requests: Mutex<Vec<(HeaderMap, Bytes)>>,
}

impl Handler for Recorder {
    fn handle(&self, mut request: IncomingRequest) -> BoxFuture<'_, Response<ResponseBody>> {
        Box::pin(async move {
            let content = request.content().await.expect("is taken");
            self.requests.lock().unwrap().push((request.head.headers.clone(), content.bytes));
            match request.path() {
                "/ok" => text(StatusCode::OK, "fine"),
                "/busy" => {
                    let mut response = text(StatusCode::SERVICE_UNAVAILABLE, "come again");
                    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("3"));
                    response
                }
                "/large" => text(StatusCode::OK, "x".repeat(100_000)),
                "/never" => std::future::pending().await,
                _ => text(StatusCode::BAD_REQUEST, "what is this?"),
            }
        })
    }
}

async fn serve() -> (SocketAddr, Arc<Recorder>, Server) {
    let context = ComponentContext::detached("test", Budget::new(1 << 30));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let recorder = Arc::new(Recorder::default());
    let server = HttpServer::new(&HttpServerConfig::default(), "", &context).unwrap();
    let running =
        server.start(Listener::Tcp(listener), Kind::Receiver, Arc::clone(&recorder) as Arc<dyn Handler>);
    (address, recorder, running)
}

fn client(config: HttpClientConfig) -> HttpClient {
    HttpClient::new(&config, &ComponentContext::detached("test", Budget::new(1 << 30))).unwrap()
}

fn post<'a>(uri: &'a Uri, chunks: &[&'static str]) -> Post<'a> {
    Post {
        uri,
        content_type: "text/plain",
        chunks: chunks.iter().map(|chunk| Bytes::from_static(chunk.as_bytes())).collect(),
        compressed: None,
        deadline: Some(Instant::now() + Duration::from_secs(20)),
        context: None,
    }
}

fn at(address: SocketAddr, path: &str) -> Uri {
    format!("http://{address}{path}").parse().unwrap()
}

#[tokio::test]
async fn chunks_arrive_as_one_content_in_every_encoding() {
    let (address, recorder, _server) = serve().await;
    let uri = at(address, "/ok");
    for compression in ["", "none", "gzip", "zstd", "deflate", "snappy", "x-snappy-framed"] {
        let client = client(HttpClientConfig {
            compression: compression.to_owned(),
            headers: [("x-team", "blue")].into_iter().collect(),
            ..Default::default()
        });
        let response = client.post(post(&uri, &["one ", "two"])).await.unwrap();
        assert_eq!((response.status, &response.body[..]), (StatusCode::OK, &b"fine"[..]), "{compression}");
        assert!(response.failure().is_none());
        let (headers, content) = recorder.requests.lock().unwrap().pop().unwrap();
        assert_eq!(content, "one two", "{compression}");
        assert_eq!(headers["x-team"], "blue");
        assert_eq!(headers[header::USER_AGENT], USER_AGENT);
    }
}

#[tokio::test]
async fn content_in_the_same_encoding_goes_out_as_it_came() {
    let (address, recorder, _server) = serve().await;
    let uri = at(address, "/ok");
    let kept = Compressed {
        encoding: Encoding::Zstd,
        bytes: compress(Encoding::Zstd, None, &[Bytes::from_static(b"as it came")]).unwrap().into(),
    };
    for (compression, arrives) in [("zstd", "as it came"), ("gzip", "made again")] {
        let client = client(HttpClientConfig { compression: compression.to_owned(), ..Default::default() });
        client.post(Post { compressed: Some(&kept), ..post(&uri, &["made again"]) }).await.unwrap();
        assert_eq!(recorder.requests.lock().unwrap().pop().unwrap().1, arrives);
    }
}

#[tokio::test]
async fn failures_follow_the_rules_of_otlp() {
    let (address, _, _server) = serve().await;
    let client = client(HttpClientConfig::default());
    let busy = client.post(post(&at(address, "/busy"), &["x"])).await.unwrap().failure().unwrap();
    assert_eq!(busy.retry, Retry::After(Duration::from_secs(3)));
    assert!(busy.message.contains("503") && busy.message.contains("come again"), "{busy}");
    let bad = client.post(post(&at(address, "/bad"), &["x"])).await.unwrap().failure().unwrap();
    assert!(bad.is_permanent() && bad.code == Some(Code::InvalidArgument), "{bad:?}");
    let large = client.post(post(&at(address, "/large"), &["x"])).await.unwrap();
    assert!(large.body.is_empty() && large.failure().is_none(), "a long answer is not kept");
}

#[tokio::test]
async fn no_answer_in_time_is_retryable() {
    let (address, _, _server) = serve().await;
    let uri = at(address, "/never?token=hunter2");
    let deadline = Some(Instant::now() + Duration::from_millis(100));
    let failure =
        client(HttpClientConfig::default()).post(Post { deadline, ..post(&uri, &["x"]) }).await.unwrap_err();
    assert!(!failure.is_permanent() && failure.code == Some(Code::DeadlineExceeded));
    assert!(failure.message.contains("/never") && !failure.message.contains("hunter2"), "{failure}");
}

#[tokio::test]
async fn a_destination_that_is_not_there_is_named() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let failure =
        client(HttpClientConfig::default()).post(post(&at(address, "/ok"), &["x"])).await.unwrap_err();
    assert!(!failure.is_permanent());
    assert!(failure.message.contains(&format!("cannot connect to {address}")), "{failure}");
}

#[tokio::test]
async fn a_connection_serves_several_requests_unless_disabled() {
    for (disable_keep_alives, expected) in [(false, 1), (true, 3)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = at(listener.local_addr().unwrap(), "/");
        let (count, mut counted) = tokio::sync::mpsc::channel(10);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                count.send(()).await.unwrap();
                tokio::spawn(async move {
                    let mut buffer = [0; 4096];
                    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                    }
                });
            }
        });
        let client = client(HttpClientConfig { disable_keep_alives, ..Default::default() });
        for _ in 0..3 {
            assert!(client.post(post(&uri, &["x"])).await.unwrap().status.is_success());
            // A connection goes back to the pool in a task of its own.
            tokio::task::yield_now().await;
        }
        let mut connections = 0;
        while counted.try_recv().is_ok() {
            connections += 1;
        }
        assert_eq!(connections, expected, "disable_keep_alives: {disable_keep_alives}");
    }
}

#[test]
fn problems_name_their_keys() {
    let config = HttpClientConfig {
        endpoint: "ftp://somewhere".to_owned(),
        compression: "lz4".to_owned(),
        proxy_url: serde_json::from_str("\"http://proxy:3128\"").unwrap(),
        ..Default::default()
    };
    let keys: Vec<_> = config.problems().into_iter().map(|problem| problem.key).collect();
    assert_eq!(keys, ["proxy_url", "endpoint", "compression"]);
    assert!(uri_problem("endpoint", "localhost:4318").is_some(), "a scheme is needed");
    assert!(uri_problem("endpoint", "https://host/path").is_none());
}

#[tokio::test]
async fn connections_are_replaced_after_their_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = at(listener.local_addr().unwrap(), "/ok");
    let accepted = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&accepted);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            tokio::spawn(async move {
                let mut part = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut part).await {
                    if part[..count].ends_with(b"x") {
                        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                    }
                }
            });
        }
    });
    for (longest_use, expected) in [(Duration::from_secs(300), 1), (Duration::ZERO, 5)] {
        let client = client(HttpClientConfig::default()).with_longest_use(longest_use);
        for _ in 0..5 {
            assert_eq!(client.post(post(&uri, &["x"])).await.unwrap().status, StatusCode::OK);
        }
        assert_eq!(accepted.swap(0, std::sync::atomic::Ordering::Relaxed), expected, "{longest_use:?}");
    }
}
