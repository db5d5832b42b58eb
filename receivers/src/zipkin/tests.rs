use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use sluice_pipeline::{
    Batch, Consumer, Demand, Failure, Outlet, Permit, Reply, Signal,
    budget::Budget,
    component::{
        ComponentConfig, ComponentContext, Listener, Listeners, Outlets, Receiver, ReceiverContext,
        ReceiverFactory, Transport,
    },
    compression::{Encoding, compress},
    otlp::check::check,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

const SPAN: &str = r#"[{"traceId":"1","id":"2","name":"get","localEndpoint":{"serviceName":"shop"}}]"#;

/// A receiver that serves, and what arrives behind it.
struct Running {
    receiver: Box<dyn Receiver>,
    address: String,
    sink: Arc<Sink>,
    budget: Budget,
}

/// Answers every batch the same way, and keeps it.
struct Sink {
    reply: Reply,
    batches: Mutex<Vec<Batch>>,
}

impl Consumer for Sink {
    fn reserve<'a>(&'a self, _demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>> {
        Box::pin(async { Ok(Permit::none()) })
    }

    fn consume(&self, batch: Batch, _permit: Permit) -> BoxFuture<'_, Reply> {
        self.batches.lock().unwrap().push(batch);
        Box::pin(async { self.reply.clone() })
    }

    fn drain(&self, _deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

impl Running {
    async fn start(config: ZipkinConfig, reply: Reply) -> Self {
        let budget = Budget::new(64 << 20);
        let sink = Arc::new(Sink { reply, batches: Mutex::new(Vec::new()) });
        let consumer: Arc<dyn Consumer> = Arc::clone(&sink) as _;
        let context = ReceiverContext {
            component: ComponentContext::detached("zipkin", budget.clone()),
            outlets: Outlets::new([(Signal::Traces, Outlet::new(consumer))]),
        };
        let mut receiver = Zipkin::build(config, context).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        receiver.start(Listeners::from([("http", Listener::Tcp(listener))])).await.unwrap();
        Self { receiver, address, sink, budget }
    }

    /// Sends a request and returns status line and headers in lower case, and the body.
    async fn request(&self, head: &str, body: &[u8]) -> (String, String) {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let head =
            format!("{head}\r\nHost: test\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_ascii_lowercase(), body.to_owned())
    }

    /// The status and body of the answer to a POST to the path of version 2.
    async fn post(&self, headers: &str, body: &[u8]) -> (u16, String) {
        self.post_to("/api/v2/spans", headers, body).await
    }

    async fn post_to(&self, path: &str, headers: &str, body: &[u8]) -> (u16, String) {
        let (head, body) = self.request(&format!("POST {path} HTTP/1.1{headers}"), body).await;
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
    }

    fn spans(&self) -> usize {
        self.sink.batches.lock().unwrap().iter().map(Batch::items).sum()
    }
}

async fn running() -> Running {
    Running::start(ZipkinConfig::default(), Reply::Delivered).await
}

#[test]
fn defaults_are_the_collectors() {
    let config = ZipkinConfig::default();
    assert!(config.problems().is_empty());
    assert!(!config.own.parse_string_tags);
    assert_eq!(Zipkin::endpoints(&config)[0].transport, Transport::Tcp("localhost:9411".to_owned()));
}

#[tokio::test]
async fn spans_are_taken_in_every_encoding() {
    let receiver = running().await;
    let mut protobuf = Vec::new();
    sluice_protocols::zipkin::read_json(SPAN.as_bytes(), |span| {
        sluice_protocols::zipkin::write_span_protobuf(&mut protobuf, span);
    })
    .unwrap();
    let mut sent = 0;
    for (content_type, body) in [("application/json", SPAN.as_bytes()), ("application/x-protobuf", &protobuf)]
    {
        let content_type = format!("\r\nContent-Type: {content_type}");
        assert_eq!(receiver.post(&content_type, body).await, (202, String::new()));
        sent += 1;
        for (name, encoding) in [
            ("gzip", Encoding::Gzip),
            ("zstd", Encoding::Zstd),
            ("deflate", Encoding::Deflate),
            ("zlib", Encoding::Deflate),
            ("snappy", Encoding::Snappy),
        ] {
            let compressed = compress(encoding, None, &[body.to_vec().into()]).unwrap();
            let headers = format!("{content_type}\r\nContent-Encoding: {name}");
            assert_eq!(receiver.post(&headers, &compressed).await, (202, String::new()), "{name}");
            sent += 1;
        }
    }
    assert_eq!(receiver.spans(), sent);
    let batches = receiver.sink.batches.lock().unwrap();
    for batch in batches.iter() {
        let checked = check(Signal::Traces, batch.contiguous()).unwrap();
        assert!(!checked.canonicalised && checked.items == 1);
        assert_eq!(batch.contiguous(), batches[0].contiguous());
    }
}

#[tokio::test]
async fn any_path_is_taken() {
    let receiver = running().await;
    for path in ["/", "/api/v2/spans", "/api/v2/spans/", "/zipkin/spans?a=b"] {
        let (head, _) = receiver.request(&format!("POST {path} HTTP/1.1"), SPAN.as_bytes()).await;
        assert!(head.starts_with("http/1.1 202"), "{path}: {head}");
    }
    let (head, _) = receiver.request("GET /api/v2/spans HTTP/1.1", b"").await;
    assert!(head.starts_with("http/1.1 405") && head.contains("allow: post"), "{head}");
    assert_eq!(receiver.spans(), 4);
}

#[tokio::test]
async fn spans_of_version_1_are_what_they_are_in_version_2() {
    const SPAN_1: &str = r#"[{"traceId":"1","id":"2","name":"get",
        "binaryAnnotations":[{"key":"lc","value":"","endpoint":{"serviceName":"shop"}}]}]"#;
    let receiver = running().await;
    receiver.post("", SPAN.as_bytes()).await;
    assert_eq!(receiver.post_to("/api/v1/spans", "", SPAN_1.as_bytes()).await, (202, String::new()));
    let compressed = compress(Encoding::Gzip, None, &[thrift_span().into()]).unwrap();
    for (encoding, body) in [("", thrift_span()), ("\r\nContent-Encoding: gzip", compressed.to_vec())] {
        let headers = format!("\r\nContent-Type: application/x-thrift{encoding}");
        assert_eq!(receiver.post_to("/a/api/v1/spans?b", &headers, &body).await, (202, String::new()));
    }
    let batches = receiver.sink.batches.lock().unwrap();
    assert_eq!(batches.len(), 4);
    assert!(batches.iter().all(|batch| batch.contiguous() == batches[0].contiguous()));
}

/// The span of the tests in a list in thrift's binary protocol.
fn thrift_span() -> Vec<u8> {
    let long = |field: u8, value: u8| [10, 0, field, 0, 0, 0, 0, 0, 0, 0, value];
    let text = |field: u8, text: &[u8]| [&[11, 0, field, 0, 0, 0, text.len() as u8], text].concat();
    let host = [&[12, 0, 4], &text(3, b"shop")[..], &[0]].concat();
    let tag = [&text(1, b"lc")[..], &text(2, b""), &[8, 0, 3, 0, 0, 0, 6], &host, &[0]].concat();
    let list =
        [&[12, 0, 0, 0, 1], &long(1, 1)[..], &long(4, 2), &text(3, b"get"), &[15, 0, 8, 12, 0, 0, 0, 1]];
    [&list.concat()[..], &tag, &[0]].concat()
}

#[tokio::test]
async fn what_is_no_list_of_version_1_is_refused_whole() {
    let receiver = running().await;
    let refused = async |content_type: &str, body: &[u8], why: &str| {
        let headers = format!("\r\nContent-Type: {content_type}");
        let (status, said) = receiver.post_to("/api/v1/spans", &headers, body).await;
        assert!(status == 400 && said.contains(why), "{status}: {said}");
    };
    let good = thrift_span();
    refused("application/json", SPAN.as_bytes(), "send such spans to /api/v2/spans").await;
    refused("application/json", &good, "expected an array").await;
    refused("application/x-thrift", &good[..good.len() - 1], "the message ends inside a value").await;
    refused("application/x-thrift", &[12, 0x7f, 0xff, 0xff, 0xff], "the message ends inside a value").await;
    refused("application/x-thrift", &[12, 0x80, 0, 0, 0], "negative").await;
    assert_eq!((receiver.spans(), receiver.budget.used()), (0, 0));
}

#[tokio::test]
async fn nothing_to_take_is_a_success() {
    let receiver = running().await;
    assert_eq!(receiver.post("", b"[]").await.0, 202);
    assert_eq!(receiver.post("", b"").await.0, 202);
    assert!(receiver.sink.batches.lock().unwrap().is_empty());
    assert_eq!(receiver.budget.used(), 0);
}

#[tokio::test]
async fn what_is_no_list_of_spans_is_refused_whole() {
    let receiver = running().await;
    let second_bad = br#"[{"traceId":"1","id":"2"},{"traceId":"1","id":"x"}]"#;
    let (status, body) = receiver.post("", second_bad).await;
    assert_eq!(status, 400);
    assert!(body.contains("span 1 of the list: id holds a character"), "{body}");
    assert_eq!(receiver.post("\r\nContent-Type: application/x-protobuf", b"\x0a\x05\x01").await.0, 400);
    assert_eq!(receiver.post("", b"{}").await.0, 400);
    assert_eq!(receiver.post("\r\nContent-Encoding: gzip", b"no gzip").await.0, 400);
    assert_eq!(receiver.post("\r\nContent-Encoding: br", SPAN.as_bytes()).await.0, 415);
    assert_eq!((receiver.spans(), receiver.budget.used()), (0, 0));
    assert_eq!(receiver.post("", SPAN.as_bytes()).await.0, 202, "it still serves");
}

#[tokio::test]
async fn a_batch_holds_its_place_in_the_budget() {
    let receiver = running().await;
    receiver.post("", SPAN.as_bytes()).await;
    let held: usize = receiver.sink.batches.lock().unwrap().iter().map(Batch::bytes).sum();
    // The buffer may be a little longer than what it holds.
    assert!((held as u64..held as u64 + 100).contains(&receiver.budget.used()), "{}", receiver.budget.used());
    receiver.sink.batches.lock().unwrap().clear();
    assert_eq!(receiver.budget.used(), 0);
}

#[tokio::test]
async fn failures_say_whether_to_try_again() {
    let answer = async |failure: Failure| {
        let receiver = Running::start(ZipkinConfig::default(), failure.into()).await;
        receiver.request("POST / HTTP/1.1", SPAN.as_bytes()).await
    };
    let (head, body) = answer(Failure::permanent("it is bad")).await;
    assert!(head.starts_with("http/1.1 400") && !head.contains("retry-after"), "{head}");
    assert_eq!(body, "it is bad");
    let (head, _) = answer(Failure::retryable("busy")).await;
    assert!(head.starts_with("http/1.1 503") && head.contains("retry-after: 1"), "{head}");
    let (head, _) = answer(Failure::retryable("busy").retry_after(Duration::from_millis(2_500))).await;
    assert!(head.contains("retry-after: 3"), "{head}");
}

#[tokio::test]
async fn a_partial_rejection_is_a_success() {
    let reply = Reply::Rejected { items: 1, message: "no".to_owned() };
    let receiver = Running::start(ZipkinConfig::default(), reply).await;
    assert_eq!(receiver.post("", SPAN.as_bytes()).await.0, 202);
}

#[tokio::test]
async fn it_stops_taking_when_stopped() {
    let mut receiver = running().await;
    receiver.post("", SPAN.as_bytes()).await;
    receiver.receiver.stop(Instant::now() + Duration::from_secs(5)).await;
    assert!(TcpStream::connect(&receiver.address).await.is_err());
}
