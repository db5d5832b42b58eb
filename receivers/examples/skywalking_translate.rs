//! What the translation of SkyWalking's segments and of Envoy's access log entries costs:
//! `cargo run --profile ci -p sluice-receivers --example skywalking_translate`.
//!
//! Segments of 5 spans with 5 tags each, one of them with a reference; entries of about 1 KB, 100 a message.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a tool for the terminal")]

use std::hint::black_box;

use prost::Message;
use sluice_protocols::{
    envoy::{
        data::v3::{
            AccessLogCommon, HttpAccessLogEntry, HttpRequestProperties, HttpResponseProperties, Node,
            Timestamp, UInt32Value,
        },
        service::accesslog::v3::{
            StreamAccessLogsMessage,
            stream_access_logs_message::{HttpAccessLogEntries, Identifier, LogEntries},
        },
    },
    skywalking::{
        id::Rules,
        v3::{KeyStringValuePair, SegmentObject, SegmentReference, SpanObject},
    },
};
use sluice_receivers::skywalking::{Kind, Translator};

const SEGMENTS: u32 = 100;
const SPANS: u32 = 5;
const ENTRIES: u32 = 100;
const ROUNDS: u32 = 400;

fn main() {
    let segments: Vec<Vec<u8>> = (0..SEGMENTS).map(|number| segment(number).encode_to_vec()).collect();
    measure("span", Kind::Segment, &segments, SEGMENTS * SPANS);
    measure("entry", Kind::EnvoyLogs, &[entries().encode_to_vec()], ENTRIES);
}

fn measure(item: &str, kind: Kind, messages: &[Vec<u8>], items: u32) {
    let translate = || {
        let mut translator = Translator::new(kind, Rules::Distinct);
        for message in messages {
            translator.push(black_box(message)).expect("the message is valid");
        }
        translator.take().expect("the messages hold items").0
    };
    let size: usize = messages.iter().map(Vec::len).sum();
    let translated = translate();
    println!(
        "{} bytes a {item} become {} bytes of OTLP",
        size / items as usize,
        translated.bytes.len() / translated.items
    );
    for _ in 0..5 {
        let start = cpu_nanoseconds();
        for _ in 0..ROUNDS {
            drop(black_box(translate()));
        }
        println!("{} ns of CPU a {item}", (cpu_nanoseconds() - start) / u64::from(items * ROUNDS));
    }
}

/// CPU time of this thread, which other processes do not count into as they do into the time of day.
fn cpu_nanoseconds() -> u64 {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux counts CPU time");
    statistics.split(' ').next().and_then(|time| time.parse().ok()).expect("the first number is CPU time")
}

fn segment(number: u32) -> SegmentObject {
    let pair = |key: &str, value: &str| KeyStringValuePair { key: key.to_owned(), value: value.to_owned() };
    let id = |part: u32| format!("56a5e1c519ae4c76a2b8b11d92cead7f.{part}.165634742964{number:05}");
    let reference = SegmentReference {
        trace_id: id(12),
        parent_trace_segment_id: id(13),
        parent_span_id: 1,
        parent_service: "frontend".to_owned(),
        parent_service_instance: "frontend-7d4b9c-x2x9z".to_owned(),
        parent_endpoint: "/checkout".to_owned(),
        network_address_used_at_peer: "orders:8080".to_owned(),
        ..Default::default()
    };
    let span = |place: u32| SpanObject {
        span_id: i32::try_from(place).unwrap_or_default(),
        parent_span_id: i32::try_from(place).unwrap_or_default() - 1,
        start_time: 1_656_347_429_643,
        end_time: 1_656_347_429_655,
        refs: if place == 0 { vec![reference.clone()] } else { Vec::new() },
        operation_name: "GET:/api/v1/orders/{id}".to_owned(),
        peer: if place == 0 { String::new() } else { "mysql.example.com:3306".to_owned() },
        span_type: i32::from(place > 0),
        span_layer: 3,
        component_id: 14,
        tags: vec![
            pair("url", "http://orders.example.com/api/v1/orders/42"),
            pair("http.method", "GET"),
            pair("http.status_code", "200"),
            pair("db.statement", "SELECT * FROM orders WHERE id = ?"),
            pair("thread", "http-nio-8080-exec-7"),
        ],
        ..Default::default()
    };
    SegmentObject {
        trace_id: id(12),
        trace_segment_id: id(14),
        spans: (0..SPANS).rev().map(span).collect(),
        service: "order-service".to_owned(),
        service_instance: "order-service-5c6f8d-abcde".to_owned(),
        is_size_limited: false,
    }
}

fn entries() -> StreamAccessLogsMessage {
    let entry = HttpAccessLogEntry {
        common_properties: Some(AccessLogCommon {
            start_time: Some(Timestamp { seconds: 1_656_347_429, nanos: 5 }),
            upstream_cluster: "outbound|8080||orders.shop.svc.cluster.local".to_owned(),
            ..Default::default()
        }),
        request: Some(HttpRequestProperties {
            request_method: 1,
            path: "/api/v1/orders/42?expand=items".to_owned(),
            authority: "orders.example.com".to_owned(),
            // In place of what else an entry holds.
            user_agent: "x".repeat(800),
            ..Default::default()
        }),
        response: Some(HttpResponseProperties { response_code: Some(UInt32Value { value: 200 }) }),
    };
    StreamAccessLogsMessage {
        identifier: Some(Identifier {
            node: Some(Node {
                id: "sidecar~10.0.0.1~orders-1.shop~shop.svc.cluster.local".to_owned(),
                cluster: "orders.shop".to_owned(),
                metadata: vec![0; 1000],
            }),
            log_name: "http_envoy_accesslog".to_owned(),
        }),
        log_entries: Some(LogEntries::HttpLogs(HttpAccessLogEntries {
            log_entry: vec![entry; ENTRIES as usize],
        })),
    }
}
