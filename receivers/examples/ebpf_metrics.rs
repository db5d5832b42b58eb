//! What an observation costs, a series holds and a collection takes:
//! `cargo run --profile ci -p sluice-receivers --example ebpf_metrics`.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a tool for the terminal")]

use std::{hint::black_box, net::Ipv4Addr};

use sluice_receivers::ebpf_network::{
    metrics::{
        Aggregator, HttpObservation, HttpVersion, Identity, MetricsConfig, Pair, Sizes, TcpObservation,
        Templates,
    },
    socket::{Direction, Ends, Role},
};

const OBSERVATIONS: u32 = 2_000_000;
const ROUNDS: usize = 15;
const SERIES: u32 = 10_000;
const TARGETS: [&str; 4] =
    ["/users/17842/orders/99321?expand=items", "/health", "/api/v1/items/42", "/static/js/app.3fc1.js"];

fn main() {
    for (pairs, what) in [(8, "8 pairs"), (1_024, "1,024 pairs"), (8_192, "8,192 pairs")] {
        http(pairs, &[], &format!("http, {what}, no path templates"));
        http(pairs, &templates(), &format!("http, {what}, 20 path templates"));
        tcp(pairs, &format!("tcp, {what}"));
    }
    matching();
    collection();
}

/// How many pairs there are is a power of two, so that choosing one costs nothing.
fn http(pairs: u32, paths: &[String], what: &str) {
    let (mut aggregator, pairs) = prepared(pairs, paths, 10 * SERIES);
    let observe = |aggregator: &mut Aggregator, number: u32| {
        let pair = &pairs[number as usize & (pairs.len() - 1)];
        aggregator.http(black_box(pair), black_box(&exchange(number)));
    };
    measure(what, || {
        for number in 0..OBSERVATIONS {
            observe(&mut aggregator, number);
        }
    });
}

fn tcp(pairs: u32, what: &str) {
    let (mut aggregator, pairs) = prepared(pairs, &[], 10 * SERIES);
    measure(what, || {
        for number in 0..OBSERVATIONS {
            let pair = &pairs[number as usize & (pairs.len() - 1)];
            aggregator.tcp(black_box(pair), black_box(call(number)));
        }
    });
}

fn matching() {
    let templates = Templates::new(&templates()).expect("the templates are valid");
    measure("the path template alone", || {
        for number in 0..OBSERVATIONS {
            let target = TARGETS[number as usize % TARGETS.len()];
            black_box(templates.find(black_box(target.as_bytes())));
        }
    });
}

/// 10,000 series of one kind, in 50 processes.
fn collection() {
    for (what, is_http) in [("http", true), ("tcp", false)] {
        let (mut aggregator, pairs) = prepared(SERIES, &[], SERIES);
        let before = aggregator.memory();
        for (pair, number) in pairs.iter().zip(0..) {
            if is_http {
                aggregator.http(pair, &HttpObservation { method: "GET", target: "/", ..exchange(number) });
            } else {
                aggregator.tcp(pair, call(0));
                aggregator.tcp(pair, call(1));
            }
        }
        let memory = (aggregator.memory() - before) / SERIES as usize;
        println!("{what}: {memory} bytes a series");
        for round in 0..ROUNDS as u64 {
            let start = cpu_nanoseconds();
            let chunks = aggregator.collect(1 + round);
            let spent = cpu_nanoseconds() - start;
            let bytes: usize = chunks.iter().map(|chunk| chunk.bytes.len()).sum();
            let points: usize = chunks.iter().map(|chunk| chunk.data_points).sum();
            if round + 1 == ROUNDS as u64 {
                println!(
                    "{what}: collecting {} series takes {:.1} ms, {points} data points, {} chunks, {:.1} MiB",
                    aggregator.series(),
                    spent as f64 / 1e6,
                    chunks.len(),
                    bytes as f64 / f64::from(1 << 20)
                );
            }
        }
    }
}

/// An aggregator with so many pairs, which are of 50 processes.
fn prepared(count: u32, paths: &[String], max_series: u32) -> (Aggregator, Vec<Pair>) {
    let config = MetricsConfig { max_series, paths: paths.to_vec(), ..MetricsConfig::default() };
    let mut aggregator = Aggregator::new(&config, "ebpf_network", "host", 0);
    let container = "8f3a".repeat(16);
    let pair = |number: u32| {
        let identity = Identity {
            host_name: "host",
            pid: 1_000 + number % 50,
            executable_name: "nginx",
            executable_path: "/usr/sbin/nginx",
            container_id: &container,
            ..Identity::default()
        };
        let process = aggregator.process(&identity);
        let peer = Ipv4Addr::from_bits(0x0a00_0000 | number);
        let ends = Ends { local: (Ipv4Addr::LOCALHOST, 8080).into(), peer: (peer, 50_000).into() };
        aggregator.pair(process, Role::Server, &ends, Some(process))
    };
    let pairs = (0..count).map(pair).collect();
    (aggregator, pairs)
}

fn exchange(number: u32) -> HttpObservation<'static> {
    let spread = u64::from(number.wrapping_mul(2_654_435_761) >> 8);
    HttpObservation {
        method: if number.is_multiple_of(8) { "POST" } else { "GET" },
        target: TARGETS[number as usize % TARGETS.len()],
        version: HttpVersion::Http11,
        status: Some(200),
        connection_closed: false,
        duration: Some(spread * 3),
        time_to_first_byte: Some(spread * 2),
        request: Some(Sizes { body: 0, wire: 300 }),
        response: Some(Sizes { body: spread >> 6, wire: (spread >> 6) + 200 }),
    }
}

fn call(number: u32) -> TcpObservation {
    let spread = u64::from(number.wrapping_mul(2_654_435_761) >> 16);
    let direction = if number.is_multiple_of(2) { Direction::Inbound } else { Direction::Outbound };
    TcpObservation::Io { direction, bytes: spread, duration: 3_000 + spread, round_trip: 100, retransmits: 0 }
}

fn templates() -> Vec<String> {
    let mut list: Vec<String> =
        (0..16).map(|number| format!("/service{number}/things/{{id}}/parts/{{part}}")).collect();
    let used = ["/users/{id}/orders/{order}", "/health", "/api/v1/items/{id}", "/static/{path...}"];
    list.extend(used.map(str::to_owned));
    list
}

fn measure(what: &str, mut run: impl FnMut()) {
    let mut best = u64::MAX;
    for _ in 0..ROUNDS {
        let start = cpu_nanoseconds();
        run();
        best = best.min(cpu_nanoseconds() - start);
    }
    println!("{what}: {:.1} ns", best as f64 / f64::from(OBSERVATIONS));
}

/// CPU time of this thread, which other processes do not count into as they do into the time of day.
fn cpu_nanoseconds() -> u64 {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux counts CPU time");
    statistics.split(' ').next().and_then(|time| time.parse().ok()).expect("the first number is CPU time")
}
