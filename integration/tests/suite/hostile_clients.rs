//! Clients that misuse connections: they open too many, send too slowly, take back what they asked for, or announce
//! more than they may. Each is bounded in time and memory, and another client is served meanwhile.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use sluice_integration::payload::{Compression, compress};
use sluice_integration::transport::frame;
use tokio::task::block_in_place;

use crate::hostile_input::{Victim, gzip, spans};
use crate::support::{eventually, sum};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
/// What a well-behaved client waits for an answer at most.
const PROMPT: Duration = Duration::from_secs(5);
/// The memory limit of the victim, in MiB; it allows 1,024 connections.
const LIMIT: u64 = 64;

/// A client that comes in the midst of it all is served by both protocols, and promptly.
fn assert_others_are_served(victim: &Victim) {
    let begin = Instant::now();
    let good = spans(1);
    let http = victim.http(&[PROTOBUF], good.clone());
    assert_eq!(http.status, 200, "{http:?}");
    let grpc = victim.grpc(&[], frame(&good, false));
    assert_eq!(grpc.grpc_status, Some(0), "{grpc:?}");
    assert!(begin.elapsed() < PROMPT, "another client waited for {:?}", begin.elapsed());
}

/// The end of a test: others are served while the attack still stands, memory stayed within its limit, and it ends well.
fn assert_withstood<Attack>(victim: Victim, attack: Attack) {
    assert_others_are_served(&victim);
    victim.sluice.assert_within(LIMIT);
    drop(attack);
    let taken = victim.sink.counts().items;
    victim.assert_unharmed(taken);
}

fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Three times as many clients as there may be connections, each with headers that never end.
#[tokio::test(flavor = "multi_thread")]
async fn slow_headers_keep_nobody_out() {
    let victim = Victim::start().await;
    block_in_place(|| {
        let mut clients: Vec<TcpStream> = Vec::new();
        for round in 0..3 {
            for _ in 0..1000 {
                let mut client = connect(victim.setup.http);
                let _ = client.write_all(b"POST /v1/traces HTTP/1.1\r\nhost: x\r\nx-slow: ");
                clients.push(client);
            }
            // A byte more, to those that are still there.
            clients.iter_mut().for_each(|client| drop(client.write_all(b"a")));
            assert_others_are_served(&victim);
            assert_eq!(
                victim.counter("sluice_receiver_closed_connections") > 0.0,
                round > 0,
                "round {round}"
            );
        }
        assert_withstood(victim, clients);
    });
}

/// As [`slow_headers_keep_nobody_out`], by HTTP/2: the headers of a stream begin and are never ended.
#[tokio::test(flavor = "multi_thread")]
async fn unfinished_headers_of_http2_keep_nobody_out() {
    let victim = Victim::start().await;
    block_in_place(|| {
        let mut begun = http2_start();
        begun.extend(http2_frame(HEADERS, 0, 1, &request_headers()));
        let clients: Vec<TcpStream> = (0..2000)
            .map(|_| {
                let mut client = connect(victim.setup.grpc);
                let _ = client.write_all(&begun);
                client
            })
            .collect();
        assert_withstood(victim, clients);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_connections_keep_nobody_out() {
    let victim = Victim::start().await;
    block_in_place(|| {
        let mut clients = Vec::new();
        for number in 0..10_000 {
            let server = if number % 2 == 0 { victim.setup.http } else { victim.setup.grpc };
            // The system itself may be at the end of what it has.
            match TcpStream::connect_timeout(&server, PROMPT) {
                Ok(client) => clients.push(client),
                Err(error) => panic!("connection {number}: {error}"),
            }
            if number % 2000 == 0 {
                assert_others_are_served(&victim);
            }
        }
        assert_withstood(victim, clients);
    });
}

/// Far more streams than the server can look at, each taken back at once (CVE-2023-44487).
#[tokio::test(flavor = "multi_thread")]
async fn a_rapid_reset_ends_the_connection() {
    let victim = Victim::start().await;
    block_in_place(|| {
        let mut client = connect(victim.setup.grpc);
        let mut flood = http2_start();
        for stream in (1..100_000).step_by(2) {
            flood.extend(http2_frame(HEADERS, END_HEADERS, stream, &request_headers()));
            flood.extend(http2_frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()));
        }
        let begin = Instant::now();
        let sent = pour(&mut client, &flood);
        assert!(sent < flood.len(), "all of it was taken");
        assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
        assert_withstood(victim, client);
    });
}

/// One set of headers in frames without end.
#[tokio::test(flavor = "multi_thread")]
async fn endless_continuations_end_the_connection() {
    let victim = Victim::start().await;
    block_in_place(|| {
        for size in [0, 1, 1000] {
            let mut client = connect(victim.setup.grpc);
            let mut flood = http2_start();
            flood.extend(http2_frame(HEADERS, 0, 1, &request_headers()));
            let part = if size == 0 { Vec::new() } else { literal("x", &"y".repeat(size)) };
            let one = http2_frame(CONTINUATION, 0, 1, &part);
            flood.extend(std::iter::repeat_n(one, 20_000_000 / (size + 20)).flatten());
            let sent = pour(&mut client, &flood);
            assert!(sent < flood.len(), "{size}: all of it was taken");
        }
        assert_withstood(victim, ());
    });
}

/// A few bytes for each stream that the server unpacks to 60 KiB of headers.
#[tokio::test(flavor = "multi_thread")]
async fn header_bombs_stay_within_the_memory_limit() {
    let victim = Victim::start().await;
    block_in_place(|| {
        let mut clients = Vec::new();
        for _ in 0..8 {
            let mut client = connect(victim.setup.grpc);
            let mut bomb = http2_start();
            let mut first = request_headers();
            // Into the table of the connection, of 4,096 bytes at most; entry 62 from then on.
            first.push(0x40);
            first.extend(text("x-bomb"));
            first.extend(text(&"y".repeat(3900)));
            bomb.extend(http2_frame(HEADERS, END_HEADERS, 1, &first));
            for stream in (3..1900).step_by(2) {
                let block = [request_headers(), vec![0x80 | 62; 14]].concat();
                bomb.extend(http2_frame(HEADERS, END_HEADERS, stream, &block));
            }
            let _ = client.write_all(&bomb);
            clients.push(client);
        }
        assert_others_are_served(&victim);
        eventually("headers are refused", || {
            sum(victim.setup.telemetry, "sluice_receiver_refused_requests", "reason=\"headers\"") > 0
        });
        assert_withstood(victim, clients);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_announced_is_not_believed() {
    let victim = Victim::start().await;
    block_in_place(|| {
        for length in ["1048577", "999999999999999999", "18446744073709551615"] {
            let mut client = connect(victim.setup.http);
            let head = format!(
                "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: {length}\r\n\r\n"
            );
            client.write_all(head.as_bytes()).unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            let _ = client.read_to_end(&mut answer);
            assert!(answer.starts_with(b"HTTP/1.1 4"), "{length}: {}", String::from_utf8_lossy(&answer));
        }
        let answer = victim.grpc(&[], vec![0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]);
        assert_eq!(answer.grpc_status, Some(8), "{answer:?}");
        victim.assert_unharmed(0);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_end_is_cut() {
    let victim = Victim::start().await;
    block_in_place(|| {
        let mut client = connect(victim.setup.http);
        let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ntransfer-encoding: chunked\r\n\r\n";
        client.write_all(head.as_bytes()).unwrap();
        let chunk = [b"10000\r\n".as_slice(), &vec![0x0a; 0x10000], b"\r\n"].concat();
        let begin = Instant::now();
        let mut sent = 0u64;
        while client.write_all(&chunk).is_ok() {
            sent += 1;
            assert!(begin.elapsed() < Duration::from_secs(20), "{sent} chunks of 64 KiB were taken");
        }
        assert_withstood(victim, client);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn compression_within_compression_is_not_followed() {
    let victim = Victim::start().await;
    block_in_place(|| {
        let bomb = gzip(gzip(vec![0; 256 << 20]).to_vec());
        let twice = victim.http(&[PROTOBUF, ("content-encoding", "gzip, gzip")], bomb.clone());
        assert_eq!(twice.status, 415, "{twice:?}");
        let once = victim.http(&[PROTOBUF, ("content-encoding", "gzip")], bomb.clone());
        assert_eq!(once.status, 400, "{once:?}");
        let zstd = compress(vec![0; 256 << 20], Compression::Zstd);
        for (encoding, bomb) in [("gzip", &bomb), ("zstd", &zstd)] {
            let answer = victim.grpc(&[("grpc-encoding", encoding)], frame(bomb, true));
            assert!(matches!(answer.grpc_status, Some(3 | 8 | 13)), "{answer:?}");
        }
        victim.sluice.assert_within(LIMIT);
        victim.assert_unharmed(0);
    });
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// The preface of HTTP/2 with empty settings (RFC 9113, 3.4).
fn http2_start() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), http2_frame(SETTINGS, 0, 0, &[])].concat()
}

fn http2_frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The head of an export in HPACK, without compression.
fn request_headers() -> Vec<u8> {
    [
        // `:method: POST` and `:scheme: http`, of the static table.
        vec![0x83, 0x86],
        literal(":path", "/opentelemetry.proto.collector.trace.v1.TraceService/Export"),
        literal(":authority", "localhost"),
        literal("content-type", "application/grpc"),
        literal("te", "trailers"),
    ]
    .concat()
}

/// A header that enters no table (RFC 7541, 6.2.2).
fn literal(name: &str, value: &str) -> Vec<u8> {
    [vec![0], text(name), text(value)].concat()
}

/// A text with its length as an integer with a prefix of seven bits (RFC 7541, 5.1).
fn text(text: &str) -> Vec<u8> {
    let mut length = text.len();
    let mut bytes = Vec::new();
    if length < 127 {
        bytes.push(u8::try_from(length).unwrap());
    } else {
        bytes.push(127);
        length -= 127;
        while length >= 128 {
            bytes.push(u8::try_from(length % 128).unwrap() | 128);
            length /= 128;
        }
        bytes.push(u8::try_from(length).unwrap());
    }
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// Writes as much as the server takes, throwing away what it says; gives how many bytes that was.
fn pour(client: &mut TcpStream, bytes: &[u8]) -> usize {
    client.set_nonblocking(true).unwrap();
    let begin = Instant::now();
    let mut sent = 0;
    let mut answer = [0; 64 << 10];
    while sent < bytes.len() && begin.elapsed() < Duration::from_secs(30) {
        match client.read(&mut answer) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
        match client.write(&bytes[sent..bytes.len().min(sent + 65_536)]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
            Err(_) => break,
        }
    }
    sent
}
