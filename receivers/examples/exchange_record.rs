//! What sampling and writing an exchange costs: `cargo run --profile ci -p sluice-receivers --example exchange_record`.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a tool for the terminal")]

use std::{hint::black_box, sync::Arc};

use bytes::Bytes;
use sluice_pipeline::otlp::write::Writer;
use sluice_receivers::ebpf_network::{
    exchange::{Ending, Exchange, Message, Request, Response},
    record::{Clock, Process, Recorder},
    redaction::{RedactionConfig, Redactor},
    sampling::{Rules, SamplingConfig},
    socket::{Ends, Role},
    trace_context::{Context, Contexts, Format},
};

const EXCHANGES: u64 = 100_000;
const BATCH: u64 = 1_000;

const REQUEST: &[u8] = b"POST /api/v1/orders/42?expand=items&page=2 HTTP/1.1\r\nHost: orders.shop.svc:8080\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\nAccept: application/json\r\n\
Accept-Encoding: gzip, deflate\r\nAuthorization: Bearer 9d8f7a6b5c4d3e2f1a0b\r\nCookie: session=a1b2c3d4; theme=dark\r\n\
Content-Type: application/json\r\nContent-Length: 420\r\nX-Request-Id: 7f3c1a\r\n\
traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nServer: nginx/1.26\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n\
Content-Type: application/json; charset=utf-8\r\nContent-Length: 1600\r\nSet-Cookie: session=a1b2c3d4\r\n\r\n";

fn main() {
    let rule = r#"{"uri":"^/health"},{"uri":"^/api/v1/"}"#;
    let content = r#""request":{"content":true},"response":{"content":true}"#;
    for (name, config) in [
        ("not sampled, no rules", r#"{"default":{"status_5xx":false}}"#.to_owned()),
        (
            "not sampled, two rules",
            format!(r#"{{"rules":[{}]}}"#, rule.replace("\"}", "\",\"status_5xx\":false}")),
        ),
        ("not in the top 10", "{}".to_owned()),
        ("record", r#"{"default":{"status_5xx":false,"ratio":1}}"#.to_owned()),
        (
            "record with 2 KiB of content",
            format!(r#"{{"default":{{"status_5xx":false,"ratio":1,{content}}}}}"#),
        ),
    ] {
        let config: SamplingConfig = serde_json::from_str(&config).expect("the configuration is valid");
        let redaction = RedactionConfig { patterns: Vec::new(), ..RedactionConfig::default() };
        let runs: Vec<_> = (0..5).map(|_| run(&config, &redaction)).collect();
        let best = runs.iter().map(|(cost, _)| *cost).min().unwrap_or(0);
        println!("{name}: {best} ns of CPU an exchange, {} bytes", runs[0].1);
    }
}

/// Nanoseconds of CPU and bytes of OTLP an exchange.
fn run(config: &SamplingConfig, redaction: &RedactionConfig) -> (u64, u64) {
    let rules = Rules::new(config).expect("the rules compile");
    let redactor = Redactor::new(redaction).expect("the names compile");
    let mut recorder = Recorder::new(config, Arc::new(rules), Arc::new(redactor));
    let mut resource = Vec::new();
    Writer::new(&mut resource).message(1, |pair| {
        pair.bytes(1, b"process.executable.name");
        pair.message(2, |value| value.bytes(1, b"orders"));
    });
    let resource = Bytes::from(resource);
    let item = r#"{"sku":"A-1001","name":"Espresso beans, 1 kg","quantity":2,"price":17.9,"tags":["coffee","beans"]}"#;
    let (request_body, response_body) =
        (format!("[{}]", [item; 4].join(",")), format!("{{\"items\":[{}]}}", [item; 15].join(",")));
    let context = Context {
        format: Format::W3c,
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
        span_id: "00f067aa0ba902b7",
        segment_id: "",
        sampled: Some(true),
    };
    let contexts: Contexts<'_> = std::iter::once(context).collect();
    let message = |head: &'static [u8], body, start| message(head, body, start);
    let exchange = Exchange {
        role: Role::Server,
        request: Request {
            method: "POST",
            target: "/api/v1/orders/42?expand=items&page=2",
            minor_version: 1,
            contexts: &contexts,
            host: "orders.shop.svc:8080",
            user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
            message: message(REQUEST, request_body.as_bytes(), 1_000_000),
        },
        response: Some(Response {
            status: 503,
            minor_version: 1,
            message: message(RESPONSE, response_body.as_bytes(), 2_000_000),
        }),
        ending: Ending::Complete,
        truncated: false,
        calls: &[],
    };
    let ends = Ends {
        local: "10.1.2.3:8080".parse().expect("an address"),
        peer: "10.20.130.4:40000".parse().expect("an address"),
    };
    let process = Process { id: 1, resource: &resource };
    let clock = Clock { offset: 1_700_000_000_000_000_000 };
    let mut bytes = 0;
    let start = cpu_nanoseconds();
    for number in 0..EXCHANGES {
        black_box(recorder.push(black_box(&exchange), &ends, process, clock, 3_000_000 + number));
        if number % BATCH == BATCH - 1 {
            bytes += recorder.finish().map_or(0, |finished| finished.logs.len() as u64);
        }
    }
    ((cpu_nanoseconds() - start) / EXCHANGES, bytes / EXCHANGES)
}

fn message<'a>(head: &'a [u8], body: &'a [u8], start: u64) -> Message<'a> {
    let (head_size, body_size) = (head.len() as u64, body.len() as u64);
    Message {
        head,
        body,
        head_size,
        body_size,
        wire_size: head_size + body_size,
        start,
        end: start + 500_000,
    }
}

/// CPU time of this thread, which other processes do not count into as they do into the time of day.
fn cpu_nanoseconds() -> u64 {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux counts CPU time");
    statistics.split(' ').next().and_then(|time| time.parse().ok()).expect("the first number is CPU time")
}
