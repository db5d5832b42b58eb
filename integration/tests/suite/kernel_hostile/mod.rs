//! What nobody should do to a kernel receiver: never a wrong join, bounded memory, and everything that is missing counted.

mod bytes;
mod deaths;
mod descriptors;
mod floods;
mod ring;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;
use serde_json::{Value, json};
use sluice_integration::process::free_address;

use crate::support::kernel::{joined, joined_requests, members, recorded, recording, records, start};
use crate::support::{PATIENCE, Setup, Sluice, eventually, get, is_root, lines, post, program, sum};

/// Everything is recorded, with its content.
const ALL: &str = "sampling: {window: 100ms, default: {status_4xx: false, status_5xx: false, ratio: 1, request: {content: true}, response: {content: true}}}";
/// Of Sluice, in a test of what it holds.
const LIMIT_MIB: u64 = 128;

/// A server that answers with the path of each request, until the test ends.
struct Server {
    address: SocketAddr,
}

impl Server {
    fn start(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                std::thread::Builder::new().stack_size(64 << 10).spawn(move || answer(stream)).unwrap();
            }
        });
        Self { address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }
}

/// Answers requests until the client leaves. `/interim` gets no final answer, `/half` a part of it.
fn answer(mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    while let Some(path) = next_path(&mut stream, &mut buffer) {
        let answer = match path.split('/').nth(1) {
            Some("interim") => "HTTP/1.1 100 Continue\r\n\r\n".to_owned(),
            Some("half") => format!("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{path}"),
            _ => format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{path}", path.len()),
        };
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn next_path(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<String> {
    let mut piece = [0; 4096];
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            buffer.drain(..end + 4);
            return head.split(' ').nth(1).map(str::to_owned);
        }
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return None,
            Ok(size) => buffer.extend_from_slice(&piece[..size]),
        }
    }
}

/// A request of this test: its number is in its path, its trace id and its span id.
#[derive(Clone, Copy, Debug)]
struct Asked {
    number: u64,
    start: u128,
    end: u128,
}

fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()
}

fn next_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

fn trace_of(number: u64) -> String {
    format!("abad1dea{number:024x}")
}

fn request(action: &str, number: u64) -> String {
    format!(
        "GET /{action}/{number} HTTP/1.1\r\nHost: a\r\ntraceparent: 00-{}-{number:016x}-01\r\n\r\n",
        trace_of(number)
    )
}

/// Waits until nothing is held of any connection.
fn wait_until_forgotten(setup: &Setup) {
    let begin = Instant::now();
    let held = || {
        ["sluice_ebpf_connections", "sluice_ebpf_connection_bytes"].map(|name| sum(setup.telemetry, name, ""))
    };
    while held() != [0, 0] {
        if begin.elapsed() > PATIENCE {
            let page = get(setup.telemetry, "/metrics").body;
            let page = String::from_utf8_lossy(&page);
            let told: Vec<_> = page.lines().filter(|line| line.starts_with("sluice_ebpf_")).collect();
            panic!("connections are remembered: {told:#?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Asks and reads the answer, which must be to this request.
fn ask(stream: &mut TcpStream) -> Asked {
    let (number, start) = (next_number(), now());
    stream.write_all(request("t", number).as_bytes()).unwrap();
    let (path, mut answer, mut piece) = (format!("/t/{number}"), Vec::new(), [0; 512]);
    while !answer.ends_with(format!("\r\n\r\n{path}").as_bytes()) {
        let size = stream.read(&mut piece).unwrap();
        assert!(size > 0, "the server left");
        answer.extend_from_slice(&piece[..size]);
    }
    Asked { number, start, end: now() }
}

/// As [`joined`], with traces to a file.
fn joined_to_file(setup: &Setup, receiver: &str) -> Sluice {
    let exporters = format!("  file: {{path: {}/traces.jsonl}}", setup.directory.path().display());
    // Spans are sent once all exchanges are made.
    let patient = joined(setup, receiver, &exporters, "file")
        .replace("trace_events: {}", "trace_events: {exchange_wait: 5m}");
    start(setup, &patient)
}

/// Sends the spans of the client of these requests, as an SDK in this process would.
fn send_spans(setup: &Setup, asked: &[Asked]) {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    for asked in asked.chunks(1_000) {
        let spans: Vec<Value> = asked
            .iter()
            .map(|asked| {
                json!({
                    "traceId": trace_of(asked.number), "spanId": format!("{:016x}", asked.number), "kind": 3,
                    "name": format!("/t/{}", asked.number),
                    "startTimeUnixNano": asked.start.to_string(), "endTimeUnixNano": asked.end.to_string(),
                })
            })
            .collect();
        let resource = json!({"attributes": [
            {"key": "host.name", "value": {"stringValue": host}},
            {"key": "process.pid", "value": {"intValue": std::process::id().to_string()}},
        ]});
        let document =
            json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}).to_string();
        let answer = post(setup.http, "/v1/traces", &[("content-type", "application/json")], document);
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

/// The records that the connector gave up.
fn unjoined(setup: &Setup) -> Vec<Value> {
    let text = fs::read_to_string(setup.path("unjoined.jsonl")).unwrap_or_default();
    lines(&text).iter().flat_map(|document| records(document).cloned().collect::<Vec<_>>()).collect()
}

/// Path, trace id, span id and content of a record are of one request, and the response is the answer to it.
fn assert_one_request(record: &Value) {
    let attributes: BTreeMap<&str, &Value> = members(record, &["attributes"])
        .map(|pair| {
            (pair["key"].as_str().unwrap(), pair["value"].as_object().unwrap().values().next().unwrap())
        })
        .collect();
    let path = attributes["url.path"].as_str().unwrap();
    let number: u64 = path.rsplit('/').next().unwrap().parse().unwrap();
    assert_eq!(record["traceId"], trace_of(number), "{record:#}");
    assert_eq!(record["spanId"], format!("{number:016x}"), "{record:#}");
    let content = attributes["sluice.request.content"].as_str().unwrap();
    assert!(
        content.starts_with(&format!("GET {path} ")) && content.contains(&trace_of(number)),
        "{record:#}"
    );
    if let Some(content) = attributes.get("sluice.response.content").and_then(|content| content.as_str())
        && let Some((_, body)) = content.split_once("\r\n\r\n")
        && !body.is_empty()
    {
        assert_eq!(body, path, "{record:#}");
    }
}

fn sluice_is_alive(setup: &Setup) -> bool {
    get(setup.telemetry, "/metrics").status == 200
}
