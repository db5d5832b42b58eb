//! What nobody should do to a kernel receiver: never a wrong join, bounded memory, and everything that is missing counted.

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

use crate::kernel::{joined, joined_requests, members, recorded, recording, records, start};
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
    start(setup, &joined(setup, receiver, &exporters, "file"))
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

/// Descriptors of one process that are connections, files and pipes in turn, and the same number for many traces.
#[test]
fn descriptors_used_again_never_mix_traces() {
    const THREADS: usize = 4;
    let turns = if std::env::var("CI").is_ok() { 2_000 } else { 500 };
    if !is_root() {
        return;
    }
    for tier in ["a", "b"] {
        let setup = Setup::new();
        let server = Server::start(free_address().unwrap());
        let receiver = format!("    tier: {tier}\n    ports: [{}]\n    {ALL}", server.address.port());
        let sluice = joined_to_file(&setup, &receiver);
        let asked: Vec<Asked> = std::thread::scope(|scope| {
            let running: Vec<_> =
                (0..THREADS).map(|_| scope.spawn(|| reuse_descriptors(&server, turns))).collect();
            running.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        send_spans(&setup, &asked);
        eventually("the exchanges are joined", || joined_requests(&setup).len() >= asked.len() * 99 / 100);
        sluice.stop();

        let mut homes = BTreeMap::new();
        for (span, content) in joined_requests(&setup) {
            let number = u64::from_str_radix(&span, 16).unwrap();
            assert!(
                content.starts_with(&format!("GET /t/{number} ")) && content.contains(&trace_of(number)),
                "{content} is on the span of {number}"
            );
            assert_eq!(homes.insert(number, content), None, "{number} has it twice");
        }
        // The server's side has no spans; what is on its records came from one request too.
        for record in unjoined(&setup) {
            assert_one_request(&record);
        }
        println!("tier {tier}: {} of {} spans have their exchange", homes.len(), asked.len());
    }
}

fn reuse_descriptors(server: &Server, turns: usize) -> Vec<Asked> {
    let mut asked = Vec::new();
    let mut kept: OwnedFd = server.connect().into();
    for turn in 0..turns {
        match turn % 5 {
            // The kernel gives the lowest number that is free: this one again and again.
            0 => asked.push(ask(&mut server.connect())),
            // Without a close in between.
            1 => {
                rustix::io::dup2(server.connect(), &mut kept).unwrap();
                let mut stream = TcpStream::from(kept);
                asked.push(ask(&mut stream));
                kept = stream.into();
            }
            // The number of a connection becomes that of a file and of a socket that is no TCP.
            2 => {
                let mut stream = server.connect();
                asked.push(ask(&mut stream));
                drop(stream);
                let mut file = fs::File::options().write(true).open("/dev/null").unwrap();
                file.write_all(request("wrong", next_number()).as_bytes()).unwrap();
                drop(file);
                let (mut one, mut other) = UnixStream::pair().unwrap();
                one.write_all(request("wrong", next_number()).as_bytes()).unwrap();
                assert!(other.read(&mut [0; 512]).unwrap() > 0);
            }
            // A head of another trace that never ends, and the number again.
            3 => {
                let cut = request("cut", next_number());
                server.connect().write_all(&cut.as_bytes()[..cut.len() - 4]).unwrap();
                asked.push(ask(&mut server.connect()));
            }
            // Three requests over a connection, whose end is half closed at last.
            _ => {
                let mut stream = server.connect();
                asked.extend((0..3).map(|_| ask(&mut stream)));
                stream.shutdown(Shutdown::Write).unwrap();
                assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0);
            }
        }
    }
    asked
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

/// Clients and servers that are killed between request and answer.
#[test]
fn processes_that_die_in_an_exchange_leave_a_record_and_nothing_else() {
    const EACH: usize = 10;
    let (true, Some(bash), Some(python)) = (is_root(), program("bash"), program("python3")) else { return };
    for tier in ["a", "b"] {
        let setup = Setup::new();
        let server = Server::start(free_address().unwrap());
        let dying: Vec<SocketAddr> = (0..EACH).map(|_| free_address().unwrap()).collect();
        let mut ports: Vec<u16> = dying.iter().map(SocketAddr::port).collect();
        ports.push(server.address.port());
        let receiver = format!("    tier: {tier}\n    ports: {ports:?}\n    {ALL}");
        let config = recording(&setup, &receiver).replace(
            "metrics: {level: none}",
            &format!(
                "metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: {}, port: {}}}}}}}}}]}}",
                setup.telemetry.ip(),
                setup.telemetry.port()
            ),
        );
        let sluice = start(&setup, &config);
        // A client dies once it has seen the begin of an answer, or none but an interim one, or before it has asked.
        let mut numbers = Vec::new();
        for turn in 0..3 * EACH {
            let number = next_number();
            let (text, waits) = match turn % 3 {
                0 => (request("half", number), "read -r <&3;"),
                1 => (request("interim", number), "read -r <&3;"),
                _ => (request("cut", number).trim_end().to_owned(), ""),
            };
            if turn % 3 < 2 {
                numbers.push(number);
            }
            let (address, port) = (server.address.ip(), server.address.port());
            let script =
                format!("exec 3<>/dev/tcp/{address}/{port}; printf '%s' \"$1\" >&3; {waits} kill -9 $$");
            let status = Command::new(&bash).args(["-c", &script, "-", &text]).status().unwrap();
            assert!(!status.success(), "it was killed");
        }
        let mut of_dead_servers = Vec::new();
        for address in &dying {
            let script = format!(
                "import os, socket\nserver = socket.create_server(('127.0.0.1', {}))\nprint('ready', flush=True)\n\
                 client, _ = server.accept()\nclient.recv(65536)\n\
                 client.sendall(b'HTTP/1.1 200 OK\\r\\ncontent-length: 1000\\r\\n\\r\\nhalf')\nos.kill(os.getpid(), 9)",
                address.port()
            );
            let mut child = Command::new(&python)
                .args(["-c", &script])
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let mut ready = [0; 6];
            child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
            let (mut stream, number) = (TcpStream::connect(address).unwrap(), next_number());
            stream.write_all(request("dies", number).as_bytes()).unwrap();
            // A reset, if it has not read all; else the end.
            let _ = stream.read_to_end(&mut Vec::new());
            child.wait().unwrap();
            of_dead_servers.push(number);
        }
        numbers.extend(of_dead_servers);
        for role in ["client", "server"] {
            eventually("all are recorded", || recorded(&setup, role).len() >= numbers.len());
            let records = recorded(&setup, role);
            assert_eq!(records.len(), numbers.len(), "heads that never ended are no requests: {records:#?}");
            for (record, number) in
                records.iter().map(|record| (record, record["url.path"].as_str().unwrap()))
            {
                let number: u64 = number.rsplit('/').next().unwrap().parse().unwrap();
                assert!(numbers.contains(&number), "{record:#?}");
                assert_eq!(record["error.type"], "connection_closed", "tier {tier}: {record:#?}");
            }
        }
        eventually("no connection is remembered", || {
            sum(setup.telemetry, "sluice_ebpf_connections", "") == 0
        });
        eventually("nothing of them is held", || {
            sum(setup.telemetry, "sluice_ebpf_connection_bytes", "") == 0
        });
        sluice.stop();
    }
}

/// A reader that stands still while far more happens than its ring holds: losses are counted, what is told is right.
#[test]
fn a_full_ring_costs_exchanges_and_mixes_none() {
    const CONNECTIONS: usize = 8;
    const REQUESTS: usize = 400;
    if !is_root() {
        return;
    }
    for tier in ["a", "b"] {
        let setup = Setup::new();
        let server = Server::start(free_address().unwrap());
        let receiver = format!(
            "    tier: {tier}\n    ports: [{}]\n    ring_buffer_size: 256KiB\n    {ALL}",
            server.address.port()
        );
        let sluice = joined_to_file(&setup, &receiver);
        let mut streams: Vec<TcpStream> = (0..CONNECTIONS).map(|_| server.connect()).collect();
        let mut asked: Vec<Asked> = streams.iter_mut().map(ask).collect();
        for _ in 0..2 {
            sluice.process.signal(Signal::STOP).unwrap();
            // Two transfers at each end, each of some hundred bytes.
            for _ in 0..REQUESTS {
                asked.extend(streams.iter_mut().map(ask));
            }
            sluice.process.signal(Signal::CONT).unwrap();
            eventually("losses are counted", || {
                sum(setup.telemetry, "sluice_ebpf_lost_events", "reason=\"ring_full_data\"") > 0
            });
            // Slower than it reads.
            for _ in 0..20 {
                asked.extend(streams.iter_mut().map(ask));
                let seen = sum(setup.telemetry, "sluice_ebpf_events", "");
                eventually("it reads", || sum(setup.telemetry, "sluice_ebpf_events", "") >= seen);
            }
        }
        drop(streams);
        wait_until_forgotten(&setup);
        send_spans(&setup, &asked);
        let seen = sum(setup.telemetry, "sluice_ebpf_exchanges", "");
        let recorded =
            || sum(setup.telemetry, "otelcol_receiver_accepted_log_records", "receiver=\"ebpf_network\"");
        eventually("what was seen is recorded", || recorded() == seen);
        let lost = sum(setup.telemetry, "sluice_ebpf_lost_events", "");
        sluice.assert_within(LIMIT_MIB);
        sluice.stop();

        let joined = joined_requests(&setup);
        for (span, content) in &joined {
            let number = u64::from_str_radix(span, 16).unwrap();
            assert!(
                content.starts_with(&format!("GET /t/{number} ")) && content.contains(&trace_of(number)),
                "{content} is on the span of {number}"
            );
        }
        let unjoined = unjoined(&setup);
        unjoined.iter().for_each(assert_one_request);
        println!(
            "tier {tier}: {} requests, {lost} events lost, {} exchanges on spans, {} not",
            asked.len(),
            joined.len(),
            unjoined.len()
        );
        assert!(joined.len() < asked.len() && joined.len() > CONNECTIONS * 40, "{} joined", joined.len());
    }
}

/// Bytes that are no HTTP, or lie: neither an exchange nor a fall, and the next connection is seen as ever.
#[test]
fn what_is_no_http_makes_no_exchange_and_does_no_harm() {
    if !is_root() {
        return;
    }
    let mut binary = vec![0_u8; 100_000];
    let mut random = fastrand::Rng::with_seed(7);
    random.fill(&mut binary);
    let large = format!("GET /large HTTP/1.1\r\nHost: a\r\nx-large: {}\r\n\r\n", "y".repeat(1 << 20));
    let many = format!("GET /many HTTP/1.1\r\nHost: a\r\n{}\r\n", "x-a: b\r\n".repeat(100_000));
    let lying = "POST /lying HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\nshort";
    let twice = "POST /twice HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!";
    let chunks =
        "POST /chunks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx\r\n";
    let response = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
    let inputs: Vec<(&str, Vec<u8>)> = vec![
        ("binary", binary.clone()),
        ("binary after a method", [b"GET ".as_slice(), &binary].concat()),
        ("a megabyte of a header", large.clone().into_bytes()),
        ("a hundred thousand headers", many.into_bytes()),
        ("a length that lies", lying.into()),
        ("two lengths", twice.into()),
        ("a chunk of no end", chunks.into()),
        ("a response as request", response.into()),
        ("a head without end", large.as_bytes()[..2_000].to_vec()),
        ("nothing but line ends", b"\r\n".repeat(10_000)),
        ("zeros", vec![0; 100_000]),
    ];
    for tier in ["a", "b"] {
        let setup = Setup::new();
        let server = Server::start(free_address().unwrap());
        // This one says what it likes, whatever it is asked.
        let rude = TcpListener::bind(free_address().unwrap()).unwrap();
        let rude_address = rude.local_addr().unwrap();
        let receiver = format!(
            "    tier: {tier}\n    ports: [{}, {}]\n    {}",
            server.address.port(),
            rude_address.port(),
            ALL.replace("window", "untraced: true, window")
        );
        let sluice = joined_to_file(&setup, &receiver);
        let mut expected = Vec::new();
        for (what, input) in &inputs {
            for answers in [false, true] {
                let mut client = TcpStream::connect(rude_address).unwrap();
                let (mut other, _) = rude.accept().unwrap();
                std::thread::scope(|scope| {
                    scope.spawn(|| {
                        // Either may be closed while it writes.
                        let _ = client.write_all(if answers {
                            b"GET /asked HTTP/1.1\r\nHost: a\r\n\r\n"
                        } else {
                            input
                        });
                        let _ = client.shutdown(Shutdown::Write);
                        let _ = client.read_to_end(&mut Vec::new());
                    });
                    let _ = other.write_all(if answers { input } else { response.as_bytes() });
                    let _ = other.shutdown(Shutdown::Write);
                    let _ = other.read_to_end(&mut Vec::new());
                });
            }
            let asked = ask(&mut server.connect());
            expected.push(asked);
            let count = expected.len();
            eventually(&format!("a request after {what} is seen"), || {
                sluice_is_alive(&setup)
                    && sum(setup.telemetry, "sluice_ebpf_connections", "") == 0
                    && sum(setup.telemetry, "sluice_ebpf_exchanges", "") >= 2 * count
            });
        }
        send_spans(&setup, &expected);
        eventually("each of them is joined", || joined_requests(&setup).len() >= expected.len());
        let lost = sum(setup.telemetry, "sluice_ebpf_lost_messages", "");
        assert!(lost > 0, "what was not understood is counted");
        sluice.assert_within(LIMIT_MIB);
        sluice.stop();
        let mut paths: Vec<String> = unjoined(&setup)
            .iter()
            .filter_map(|record| {
                let path = members(record, &["attributes"]).find(|pair| pair["key"] == "url.path")?;
                path["value"]["stringValue"].as_str().map(str::to_owned)
            })
            .filter(|path| !path.starts_with("/t/"))
            .collect();
        paths.sort_unstable();
        paths.dedup();
        println!("tier {tier}: {lost} messages lost, records of {paths:?}");
    }
}

fn sluice_is_alive(setup: &Setup) -> bool {
    get(setup.telemetry, "/metrics").status == 200
}

/// As many connections as a test may take, each with one exchange.
#[test]
fn short_connections_are_seen_and_forgotten() {
    const THREADS: u8 = 4;
    let each = if std::env::var("CI").is_ok() { 20_000 } else { 3_000 };
    if !is_root() {
        return;
    }
    let setup = Setup::alone();
    let address = free_address().unwrap();
    // Each address has ports of its own for those that wait for their end.
    let servers: Vec<Server> = (0..THREADS)
        .map(|number| Server::start(SocketAddr::from(([127, 0, 0, 2 + number], address.port()))))
        .collect();
    let receiver = format!(
        "    ports: [{}]\n    max_connections: 64\n    ring_buffer_size: 16MiB\n    \
         sampling: {{window: 100ms, default: {{ratio: 0}}}}",
        address.port()
    );
    // One that was there before, and is never used, and one that is.
    let (unused, mut used) = (servers[0].connect(), servers[0].connect());
    let sluice = joined_to_file(&setup, &receiver);
    ask(&mut used);
    drop(used);
    std::thread::scope(|scope| {
        for server in &servers {
            scope.spawn(|| (0..each).for_each(|_| _ = ask(&mut server.connect())));
        }
    });
    let count = usize::from(THREADS) * each;
    wait_until_forgotten(&setup);
    drop(unused);
    let seen = sum(setup.telemetry, "sluice_ebpf_exchanges", "");
    let lost = sum(setup.telemetry, "sluice_ebpf_lost_events", "");
    let unfollowed = sum(setup.telemetry, "sluice_ebpf_unfollowed_connections", "");
    println!(
        "{count} connections: {seen} exchanges, {lost} events lost, {unfollowed} connections not followed"
    );
    assert!(seen + lost + unfollowed >= 2 * count, "what is missing is counted");
    assert!(seen >= count, "most are seen");
    sluice.assert_within(LIMIT_MIB);
    sluice.stop();
}

/// More exchanges and more spans than the connector may hold.
#[test]
fn floods_of_exchanges_and_spans_stay_within_their_bounds() {
    const SPANS: u64 = 50_000;
    const KIBIBYTES: usize = 256;
    if !is_root() {
        return;
    }
    let setup = Setup::new();
    let server = Server::start(free_address().unwrap());
    let receiver = format!("    ports: [{}]\n    {ALL}", server.address.port());
    let exporters = format!("  file: {{path: {}/traces.jsonl}}", setup.directory.path().display());
    let bound = KIBIBYTES << 10;
    let config = joined(&setup, &receiver, &exporters, "file").replace(
        "trace_events: {}",
        &format!(
            "trace_events: {{max_exchange_bytes: {bound}, max_held_span_bytes: {bound}, max_remembered_span_bytes: {bound}}}"
        ),
    );
    let sluice = start(&setup, &config);
    let held = |what: &str| sum(setup.telemetry, "sluice_connector_held_bytes", &format!("what=\"{what}\""));
    let most = |known: usize| {
        let now = ["exchanges", "held_spans", "remembered_spans"].map(held).into_iter().max().unwrap();
        known.max(now)
    };
    // Exchanges whose spans do not come: the oldest leave unjoined.
    let mut stream = server.connect();
    let mut peak = 0;
    let asked: Vec<Asked> = (0..4_000)
        .map(|turn| {
            if turn % 100 == 0 {
                peak = most(peak);
            }
            ask(&mut stream)
        })
        .collect();
    let unjoined = || sum(setup.telemetry, "sluice_connector_unjoined_exchanges", "reason=\"memory\"");
    eventually("the oldest leave", || unjoined() > asked.len());
    // Spans whose exchanges do not come: further ones pass at once. All must come out.
    for chunk in 0..SPANS / 1_000 {
        let spans: Vec<Asked> =
            (0..1_000).map(|_| Asked { number: next_number(), start: now() - 1_000, end: now() }).collect();
        send_spans(&setup, &spans);
        if chunk % 5 == 0 {
            peak = most(peak);
        }
    }
    let not_held = sum(setup.telemetry, "sluice_connector_not_held_spans", "reason=\"memory\"");
    assert!(not_held > 0, "spans beyond the bound are counted");
    // The last exchanges are still there, and find their spans.
    let last = &asked[asked.len() - 20..];
    send_spans(&setup, last);
    eventually("the last exchanges are joined", || joined_requests(&setup).len() >= last.len());
    peak = most(peak);
    assert!(peak <= bound, "{peak} bytes were held");
    eventually("all spans come out", || {
        let sent = sum(setup.telemetry, "otelcol_exporter_sent_spans", "exporter=\"file\"");
        u64::try_from(sent).unwrap() >= SPANS + 20
    });
    println!(
        "{not_held} of {SPANS} spans did not wait, {} exchanges left, at most {peak} bytes held",
        unjoined()
    );
    sluice.assert_within(LIMIT_MIB);
    sluice.stop();
    for (span, content) in joined_requests(&setup) {
        let number = u64::from_str_radix(&span, 16).unwrap();
        assert!(content.starts_with(&format!("GET /t/{number} ")), "{content} is on the span of {number}");
    }
}
