//! What no client should send: refused in the protocol's own way, counted, and never forwarded.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};

use bytes::Bytes;
use sluice_integration::payload::{Compression, Kind, compress, generate};
use sluice_integration::sink::Sink;
use sluice_integration::transport::frame;
use tokio::task::block_in_place;

use crate::lifecycle::sink;
use crate::support::{Answer, Setup, Sluice, eventually, get, grpc, post, raw};

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const THRIFT: (&str, &str) = ("content-type", "application/x-thrift");
const JSON: (&str, &str) = ("content-type", "application/json");

/// Sluice with small limits before a sink that counts what is malformed.
pub(crate) struct Victim {
    pub(crate) setup: Setup,
    pub(crate) sluice: Sluice,
    pub(crate) sink: Sink,
}

impl Victim {
    pub(crate) async fn start() -> Self {
        let sink = sink(std::time::Duration::ZERO).await;
        let setup = Setup::new();
        let config = setup
            .config(
                &format!(
                    "processors:
  memory_limiter:
    check_interval: 1s
    limit_mib: 64
exporters:
  otlp:
    endpoint: {}
    compression: none
    tls:
      insecure: true
    sending_queue:
      enabled: false",
                    sink.grpc
                ),
                "    traces: {receivers: [otlp, zipkin], processors: [memory_limiter], exporters: [otlp]}",
            )
            .replace("      http:\n", "      http:\n        max_request_body_size: 1048576\n")
            .replace("      grpc:\n", "      grpc:\n        max_recv_msg_size_mib: 1\n");
        // Listeners are bound one after another; Zipkin's is the last.
        let sluice = block_in_place(|| setup.start(&config, setup.zipkin));
        Self { setup, sluice, sink }
    }

    pub(crate) fn http(&self, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        post(self.setup.http, "/v1/traces", headers, body)
    }

    fn zipkin(&self, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        post(self.setup.zipkin, "/api/v2/spans", headers, body)
    }

    fn zipkin_v1(&self, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        post(self.setup.zipkin, "/api/v1/spans", headers, body)
    }

    pub(crate) fn grpc(&self, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        grpc(self.setup.grpc, TRACES, headers, body)
    }

    /// Valid requests still pass, each of them, and nothing else ever did.
    pub(crate) fn assert_unharmed(self, taken_before: u64) {
        let good = spans(3);
        assert_eq!(self.http(&[PROTOBUF], good.clone()).status, 200);
        assert_eq!(self.grpc(&[], frame(&good, false)).grpc_status, Some(0));
        let zipkin = generate(Kind::Zipkin, 3, Compression::None, 1).remove(0).body;
        assert_eq!(self.zipkin(&[JSON], zipkin).status, 202);
        eventually("the good requests arrive", || self.sink.counts().items >= taken_before + 9);
        assert_eq!(self.sink.counts().items, taken_before + 9);
        assert_eq!(self.sink.counts().malformed, 0, "something malformed was forwarded");
        self.sluice.stop();
    }

    /// The sum of a counter over all its labels.
    pub(crate) fn counter(&self, name: &str) -> f64 {
        let exposition = get(self.setup.telemetry, "/metrics").body;
        let exposition = String::from_utf8(exposition.to_vec()).unwrap();
        let values = exposition.lines().filter(|line| line.starts_with(name));
        values.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    }
}

pub(crate) fn spans(count: usize) -> Bytes {
    generate(Kind::Traces, count, Compression::None, 1).remove(0).body
}

pub(crate) fn gzip(bytes: Vec<u8>) -> Bytes {
    compress(bytes, Compression::Gzip)
}

/// An attribute value of arrays within arrays.
fn nested(depth: usize) -> Vec<u8> {
    let mut value = Vec::new();
    let wrap = |number, inner: &[u8]| {
        let mut outer = Vec::new();
        sluice_pipeline::otlp::write::Writer::new(&mut outer).bytes(number, inner);
        outer
    };
    for _ in 0..depth {
        value = wrap(5, &wrap(1, &value));
    }
    let attribute = [wrap(1, b"k"), wrap(2, &value)].concat();
    wrap(1, &wrap(2, &wrap(2, &wrap(9, &attribute))))
}

#[tokio::test(flavor = "multi_thread")]
async fn http_refuses_each_in_its_own_way() {
    let victim = Victim::start().await;
    block_in_place(|| {
        let good = spans(2);
        let refused = |what: &str, expected: u16, answer: Answer| {
            assert_eq!(answer.status, expected, "{what}: {answer:?}");
            answer
        };
        let answer = refused("truncated", 400, victim.http(&[PROTOBUF], good.slice(..good.len() - 1)));
        assert_eq!(answer.header("content-type"), "application/x-protobuf", "{answer:?}");
        let answer = refused("no JSON", 400, victim.http(&[JSON], "{\"resourceSpans\": ["));
        assert!(answer.header("content-type").starts_with("application/json"), "{answer:?}");
        assert!(serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap()["message"].is_string());
        refused("JSON of a wrong type", 400, victim.http(&[JSON], "{\"resourceSpans\": 1}"));
        refused("protobuf said to be JSON", 400, victim.http(&[JSON], good.clone()));
        refused("too deep", 400, victim.http(&[PROTOBUF], nested(1000)));
        refused("oversize", 400, victim.http(&[PROTOBUF], vec![0; (1 << 20) + 1]));
        refused("text", 415, victim.http(&[("content-type", "text/plain")], good.clone()));
        refused("GET", 405, get(victim.setup.http, "/v1/traces"));
        refused("no such path", 404, post(victim.setup.http, "/v1/nothing", &[PROTOBUF], good.clone()));
        refused("no gzip", 400, victim.http(&[PROTOBUF, ("content-encoding", "gzip")], good.clone()));
        let cut = gzip(good.to_vec());
        refused(
            "cut gzip",
            400,
            victim.http(&[PROTOBUF, ("content-encoding", "gzip")], cut.slice(..cut.len() - 9)),
        );
        let bomb = gzip(vec![0; 512 << 20]);
        refused("a gzip bomb", 400, victim.http(&[PROTOBUF, ("content-encoding", "gzip")], bomb));
        let bomb = compress(vec![0; 512 << 20], Compression::Zstd);
        refused("a zstd bomb", 400, victim.http(&[PROTOBUF, ("content-encoding", "zstd")], bomb));
        assert!(victim.counter("sluice_receiver_refused_requests") >= 11.0);
        assert_eq!(victim.sink.counts().items, 0);
        victim.assert_unharmed(0);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_refuses_each_in_its_own_way() {
    let victim = Victim::start().await;
    block_in_place(|| {
        let good = spans(2);
        let refused = |what: &str, expected: &[u16], answer: Answer| {
            assert!(
                answer.grpc_status.is_some_and(|status| expected.contains(&status)),
                "{what}: {answer:?}"
            );
        };
        // 3 INVALID_ARGUMENT, 8 RESOURCE_EXHAUSTED, 12 UNIMPLEMENTED, 13 INTERNAL
        refused("truncated", &[3, 13], victim.grpc(&[], frame(&good[..good.len() - 1], false)));
        refused("too deep", &[3, 13], victim.grpc(&[], frame(&nested(1000), false)));
        refused("oversize", &[8], victim.grpc(&[], frame(&vec![0; (1 << 20) + 1], false)));
        refused("a length that lies", &[3, 13], victim.grpc(&[], vec![0, 0, 0, 1, 0, 1, 2]));
        refused("no whole frame", &[3, 13], victim.grpc(&[], vec![0, 0, 0]));
        refused(
            "two messages",
            &[3, 12, 13],
            victim.grpc(&[], [frame(&good, false), frame(&good, false)].concat()),
        );
        refused(
            "compressed without saying how",
            &[3, 12, 13],
            victim.grpc(&[], frame(&gzip(good.to_vec()), true)),
        );
        refused("an unknown encoding", &[12], victim.grpc(&[("grpc-encoding", "br")], frame(&good, true)));
        refused("no gzip", &[3, 13], victim.grpc(&[("grpc-encoding", "gzip")], frame(&good, true)));
        let bomb = gzip(vec![0; 512 << 20]);
        refused("a bomb", &[8], victim.grpc(&[("grpc-encoding", "gzip")], frame(&bomb, true)));
        refused(
            "no such method",
            &[12],
            grpc(victim.setup.grpc, "/no.Such/Method", &[], frame(&good, false)),
        );
        assert!(victim.counter("sluice_receiver_refused_requests") >= 9.0);
        assert_eq!(victim.sink.counts().items, 0);
        victim.assert_unharmed(0);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn zipkin_refuses_each_in_its_own_way() {
    let victim = Victim::start().await;
    block_in_place(|| {
        let good = generate(Kind::Zipkin, 2, Compression::None, 1).remove(0).body;
        for (what, answer) in [
            ("truncated", victim.zipkin(&[JSON], good.slice(..good.len() - 1))),
            ("no list", victim.zipkin(&[JSON], "{}")),
            ("a wrong type", victim.zipkin(&[JSON], "[{\"traceId\":1,\"id\":\"2\"}]")),
            ("no id", victim.zipkin(&[JSON], "[{\"traceId\":\"1\"}]")),
            ("a long id", victim.zipkin(&[JSON], "[{\"traceId\":\"1\",\"id\":\"00000000000000001\"}]")),
            ("no protobuf", victim.zipkin(&[PROTOBUF], vec![0x0a, 0xff])),
            ("no v1 spans", victim.zipkin_v1(&[JSON], good.clone())),
            ("no thrift", victim.zipkin_v1(&[THRIFT], "[")),
            ("a list as long as memory", victim.zipkin_v1(&[THRIFT], vec![12, 0x7f, 0xff, 0xff, 0xff])),
            ("a negative length", victim.zipkin_v1(&[THRIFT], vec![12, 0, 0, 0, 1, 11, 0, 3, 0xff, 0, 0, 0])),
            (
                "nested structs",
                victim.zipkin_v1(&[THRIFT], [&[12, 0, 0, 0, 1][..], &[12, 0, 1].repeat(300_000)].concat()),
            ),
            ("no gzip", victim.zipkin(&[JSON, ("content-encoding", "gzip")], good.clone())),
            ("a bomb", victim.zipkin(&[JSON, ("content-encoding", "gzip")], gzip(vec![b' '; 512 << 20]))),
        ] {
            assert_eq!(answer.status, 400, "{what}: {answer:?}");
        }
        assert!(victim.counter("sluice_receiver_refused_requests") >= 13.0);
        victim.assert_unharmed(0);
    });
}

/// Every prefix and many flipped bits of a good request, on every receiver: never a crash, never anything
/// malformed behind it.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_requests_do_no_harm() {
    let victim = Victim::start().await;
    block_in_place(|| {
        let mut random = fastrand::Rng::with_seed(7);
        let good = spans(2);
        let json = generate(Kind::Zipkin, 2, Compression::None, 1).remove(0).body;
        for _ in 0..300 {
            let damage = |bytes: &Bytes, random: &mut fastrand::Rng| {
                let mut bytes = bytes.to_vec();
                for _ in 0..random.usize(1..4) {
                    let place = random.usize(..bytes.len());
                    bytes[place] ^= 1 << random.u8(..8);
                }
                bytes.truncate(random.usize(1..=bytes.len() * 2));
                bytes
            };
            let answer = victim.http(&[PROTOBUF], damage(&good, &mut random));
            assert!(matches!(answer.status, 200 | 400), "{answer:?}");
            let answer = victim.grpc(&[], frame(&damage(&good, &mut random), false));
            assert!(matches!(answer.grpc_status, Some(0 | 3 | 13)), "{answer:?}");
            let answer = victim.zipkin(&[JSON], damage(&json, &mut random));
            assert!(matches!(answer.status, 202 | 400), "{answer:?}");
        }
        let taken = victim.sink.counts().items;
        victim.assert_unharmed(taken);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn several_gzip_members_are_one_content() {
    let victim = Victim::start().await;
    block_in_place(|| {
        let (one, other) = (spans(1), spans(2));
        let members = [gzip(one.to_vec()), gzip(other.to_vec())].concat();
        let answer = victim.http(&[PROTOBUF, ("content-encoding", "gzip")], members);
        // Taking both is right, and so is refusing; taking one is not.
        let taken = if answer.status == 200 { 3 } else { 0 };
        assert!(matches!(answer.status, 200 | 400), "{answer:?}");
        victim.assert_unharmed(taken);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_http_is_closed() {
    let victim = Victim::start().await;
    block_in_place(|| {
        for address in [victim.setup.grpc, victim.setup.http, victim.setup.zipkin] {
            raw(address, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello, or so\r\n\r\n");
        }
        let many: String = (0..10_000).map(|number| format!("x-{number}: y\r\n")).collect();
        let answer =
            raw(victim.setup.http, format!("POST /v1/traces HTTP/1.1\r\nhost: x\r\n{many}\r\n").as_bytes());
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
        victim.assert_unharmed(0);
    });
}

/// Each of 500 clients announces a large body, sends half of it and waits: far more than the memory limit in all.
#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_half_bodies_stay_within_the_memory_limit() {
    let victim = Victim::start().await;
    block_in_place(|| {
        let half = vec![0x0a; 500_000];
        let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 1000000\r\n\r\n";
        let clients: Vec<TcpStream> = (0..500).map(|_| send_half(victim.setup.http, head, &half)).collect();
        victim.sluice.assert_within(64);
        // What they sent is given up with them. Some of it may still be on its way to Sluice.
        drop(clients);
        let mut free = 0;
        eventually("all memory is given back", || {
            free = if victim.counter("sluice_budget_used_bytes") == 0.0 { free + 1 } else { 0 };
            free > 100
        });
        victim.assert_unharmed(0);
    });
}

fn send_half(server: SocketAddr, head: &str, half: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_write_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    // A server without room stops reading, or answers and closes.
    let _ = stream.write_all(half);
    stream
}

/// A client that leaves in the middle of its call takes nothing back.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_cancels_nothing() {
    let sink = sink(std::time::Duration::from_secs(6)).await;
    let setup = Setup::new();
    let config = setup.config(
        &format!(
            "exporters:\n  otlp:\n    endpoint: {}\n    tls:\n      insecure: true\n    sending_queue:\n      enabled: false",
            sink.grpc
        ),
        "    traces: {receivers: [otlp], exporters: [otlp]}",
    );
    block_in_place(|| {
        let sluice = setup.start(&config, setup.http);
        let body = spans(5);
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = TcpStream::connect(setup.http).unwrap();
        stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
        // Gone while the sink keeps its answer back; the sink must see the spans nevertheless.
        eventually("the spans are on their way", || {
            let metrics = get(setup.telemetry, "/metrics").body;
            String::from_utf8_lossy(&metrics)
                .lines()
                .any(|line| line.starts_with("otelcol_exporter_in_flight_requests") && line.ends_with(" 1"))
        });
        drop(stream);
        let late = "sluice_receiver_answered_late_requests{receiver=\"otlp\",transport=\"http\",reason=\"disconnected\"} 1";
        eventually("the client is counted as gone", || {
            let metrics = get(setup.telemetry, "/metrics").body;
            String::from_utf8_lossy(&metrics).lines().any(|line| line == late)
        });
        eventually("the spans arrive", || sink.counts().items == 5);
        sluice.stop();
    });
}

/// A deadline that is shorter than the destination's delay.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_a_short_deadline_is_answered_by_then() {
    let sink = sink(std::time::Duration::from_secs(20)).await;
    let setup = Setup::new();
    let config = setup.config(
        &format!(
            "exporters:\n  otlp:\n    endpoint: {}\n    tls:\n      insecure: true\n    sending_queue:\n      enabled: false",
            sink.grpc
        ),
        "    traces: {receivers: [otlp], exporters: [otlp]}",
    );
    block_in_place(|| {
        let sluice = setup.start(&config, setup.grpc);
        let begin = std::time::Instant::now();
        let answer = grpc(setup.grpc, TRACES, &[("grpc-timeout", "1S")], frame(&spans(1), false));
        assert!(matches!(answer.grpc_status, Some(4 | 14)), "{answer:?}");
        assert!(begin.elapsed() < std::time::Duration::from_secs(10), "{:?}", begin.elapsed());
        drop(sluice);
    });
}
