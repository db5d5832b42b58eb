//! What an HTTP exchange costs to parse: `cargo run --profile ci -p sluice-receivers --features ebpf_network --example http_parse`.
//!
//! One request of about 200 bytes with 6 headers, one response with a body, each in one segment, over many connections.
//! At last with all that the receiver does for metrics behind the lookup of the connection: events as the kernel side
//! writes them are read, parsed and added to series.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a tool for the terminal")]

use std::hint::black_box;

use sluice_ebpf::Event;
use sluice_receivers::ebpf_network::{
    exchange::{Exchange, Request},
    http::{Connection, Loss, Observer, Wants},
    metrics::{Aggregator, HttpObservation, Identity, MetricsConfig, Pair, Recent, TcpObservation},
    socket::{Direction, Ends, Operation, Role, Segment},
};

const CONNECTIONS: usize = 64;
const ROUNDS: u64 = 20_000;

const REQUEST: &[u8] =
    b"GET /api/v1/orders/42?expand=items HTTP/1.1\r\nHost: orders.example.com\r\nUser-Agent: curl/8.5.0\r\n\
    Accept: */*\r\nAccept-Encoding: gzip\r\nX-Request-Id: 7f3a1c\r\n\
    traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n\
    Content-Type: application/json\r\nContent-Length: 102\r\nConnection: keep-alive\r\n\
    ETag: \"65935c80-64\"\r\nAccept-Ranges: bytes\r\n\r\n\
    {\"id\":42,\"items\":[{\"sku\":\"A-100\",\"count\":2},{\"sku\":\"B-200\",\"count\":1}],\"total\":\"129.90\",\"state\":\"new\"}";

/// As metrics see exchanges, or records.
struct Counter {
    /// `None` if there are no records.
    wants: Option<Wants>,
    exchanges: u64,
    traced: u64,
}

impl Observer for Counter {
    fn wants_details(&self) -> bool {
        self.wants.is_some()
    }

    fn request(&mut self, _request: &Request<'_>) -> Wants {
        self.wants.unwrap_or_default()
    }

    fn exchange(&mut self, exchange: &Exchange<'_>) {
        self.exchanges += 1;
        self.traced += u64::from(exchange.request.contexts.first().is_some());
        black_box(exchange);
    }

    fn lost(&mut self, loss: Loss) {
        println!("lost: {}", loss.reason());
    }
}

fn main() {
    println!("request {} bytes, response {} bytes", REQUEST.len(), RESPONSE.len());
    let everything = Wants { request_body: 1024, response_body: 1024, calls: true };
    for (name, wants) in [
        ("for metrics", None),
        ("for records", Some(Wants::default())),
        ("for records with bodies and calls", Some(everything)),
    ] {
        for _ in 0..5 {
            println!("{name}: {} ns of CPU an exchange", run(wants));
        }
    }
    for _ in 0..5 {
        println!("from events to metrics: {} ns of CPU an exchange", run_to_metrics());
    }
}

fn run(wants: Option<Wants>) -> u64 {
    let mut connections: Vec<_> = (0..CONNECTIONS).map(|_| Connection::new(Role::Server)).collect();
    let mut counter = Counter { wants, exchanges: 0, traced: 0 };
    let start = cpu_nanoseconds();
    for round in 0..ROUNDS {
        for connection in &mut connections {
            connection.segment(&segment(Direction::Inbound, round, black_box(REQUEST)), &mut counter);
            connection.segment(&segment(Direction::Outbound, round, black_box(RESPONSE)), &mut counter);
        }
    }
    let spent = cpu_nanoseconds() - start;
    let traced = if wants.is_some() { counter.exchanges } else { 0 };
    assert_eq!((counter.exchanges, counter.traced), (ROUNDS * CONNECTIONS as u64, traced));
    spent / counter.exchanges
}

/// Adds what it sees of a connection to series.
struct Measured {
    aggregator: Aggregator,
    pair: Pair,
    recent: Recent,
    exchanges: u64,
}

impl Observer for Measured {
    fn wants_details(&self) -> bool {
        false
    }

    fn request(&mut self, _request: &Request<'_>) -> Wants {
        Wants::default()
    }

    fn exchange(&mut self, exchange: &Exchange<'_>) {
        self.exchanges += 1;
        self.aggregator.http_on(&self.pair, &mut self.recent, &HttpObservation::of(exchange));
    }

    fn lost(&mut self, loss: Loss) {
        println!("lost: {}", loss.reason());
    }
}

fn run_to_metrics() -> u64 {
    let mut connections: Vec<_> = (0..CONNECTIONS).map(|_| Connection::new(Role::Server)).collect();
    let mut aggregator = Aggregator::new(&MetricsConfig::default(), "ebpf_network", "host", 0);
    let process = aggregator.process(&Identity { host_name: "host", pid: 7, ..Identity::default() });
    let ends = Ends { local: ([127, 0, 0, 1], 80).into(), peer: ([127, 0, 0, 1], 50_000).into() };
    let pair = aggregator.pair(process, Role::Server, &ends, None);
    let mut measured = Measured { aggregator, pair, recent: Recent::default(), exchanges: 0 };
    let start = cpu_nanoseconds();
    let (mut request, mut response) = (event(false, REQUEST), event(true, RESPONSE));
    for round in 0..ROUNDS {
        for connection in &mut connections {
            for (event, length) in [(&mut request, REQUEST.len()), (&mut response, RESPONSE.len())] {
                event[16..24].copy_from_slice(&(round * length as u64).to_le_bytes());
                event[32..40].copy_from_slice(&(round + 1).to_le_bytes());
                let Some(Event::Data(data)) = Event::read(black_box(event)) else { continue };
                let segment = Segment {
                    direction: if data.is_outbound { Direction::Outbound } else { Direction::Inbound },
                    operation: Operation::Read,
                    offset: data.offset,
                    length: data.length,
                    bytes: data.bytes,
                    start: data.start,
                    end: data.end,
                    round_trip: data.round_trip,
                    retransmits: data.retransmits,
                };
                let Measured { aggregator, pair, recent, .. } = &mut measured;
                aggregator.tcp_on(pair, recent, TcpObservation::of(&segment, 0));
                connection.segment(&segment, &mut measured);
            }
        }
    }
    let spent = cpu_nanoseconds() - start;
    assert_eq!(measured.exchanges, ROUNDS * CONNECTIONS as u64);
    spent / measured.exchanges
}

/// A transfer as `ebpf/bpf/events.h` lays it out.
fn event(is_outbound: bool, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("a short message").to_le_bytes();
    let mut event = vec![0; 64];
    event[0] = 2;
    event[1] = u8::from(is_outbound);
    event[40..44].copy_from_slice(&length);
    event[44..48].copy_from_slice(&length);
    event[48..52].copy_from_slice(&100u32.to_le_bytes());
    event.extend_from_slice(bytes);
    event
}

fn segment(direction: Direction, round: u64, bytes: &[u8]) -> Segment<'_> {
    Segment {
        direction,
        operation: Operation::Read,
        offset: round * bytes.len() as u64,
        length: u32::try_from(bytes.len()).expect("a short message"),
        bytes,
        start: round,
        end: round + 1,
        round_trip: 100,
        retransmits: 0,
    }
}

/// CPU time of this thread, which other processes do not count into as they do into the time of day.
fn cpu_nanoseconds() -> u64 {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux counts CPU time");
    statistics.split(' ').next().and_then(|time| time.parse().ok()).expect("the first number is CPU time")
}
