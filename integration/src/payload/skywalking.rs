//! What SkyWalking's agents and Envoy send on a stream: messages, each framed for gRPC.

use fastrand::Rng;
use prost::Message as _;
use sluice_pipeline::otlp::write::Writer;
use sluice_protocols::skywalking::v3::{KeyStringValuePair, SegmentObject, SegmentReference, SpanObject};

use super::attributes::{AGENTS, EPOCH_NANOS, HOSTS, METHODS, SERVICES, STATUSES, pick};
use crate::transport::frame;

/// Spans in a segment.
const SPANS: usize = 5;
/// Entries in a message of Envoy's, which fills a buffer of 16 KiB first.
const ENTRIES: usize = 16;

/// Segments with this many spans in all, each of five tags, as a Java agent sends them.
pub(super) fn segments(random: &mut Rng, spans: usize) -> Vec<u8> {
    let counts = (0..spans).step_by(SPANS).map(|start| SPANS.min(spans - start));
    counts.flat_map(|spans| frame(&segment(random, spans).encode_to_vec(), false)).collect()
}

fn segment(random: &mut Rng, spans: usize) -> SegmentObject {
    let service = pick(random, &SERVICES);
    let trace_id = id(random);
    let reference = SegmentReference {
        trace_id: trace_id.clone(),
        parent_trace_segment_id: id(random),
        parent_span_id: 1,
        parent_service: pick(random, &SERVICES).to_owned(),
        parent_service_instance: format!("{:032x}@10.0.{}.{}", random.u128(..), random.u8(..), random.u8(..)),
        parent_endpoint: "GET:/checkout".to_owned(),
        network_address_used_at_peer: format!("{service}:8080"),
        ..Default::default()
    };
    // They end before the one that called them.
    let spans = (0..spans).rev().map(|place| span(random, place, &reference)).collect();
    SegmentObject {
        trace_id,
        trace_segment_id: id(random),
        spans,
        service: service.to_owned(),
        service_instance: format!("{:08x}@10.1.0.1", random.u32(..40)),
        is_size_limited: false,
    }
}

/// As Java's are: process, thread, time and number.
fn id(random: &mut Rng) -> String {
    format!("{:032x}.{}.17951328{:09}", random.u128(..), random.u8(1..80), random.u32(..1_000_000_000))
}

fn span(random: &mut Rng, place: usize, reference: &SegmentReference) -> SpanObject {
    let pair = |key: &str, value: String| KeyStringValuePair { key: key.to_owned(), value };
    let is_entry = place == 0;
    let number = i32::try_from(place).unwrap_or_default();
    let start = i64::try_from(EPOCH_NANOS / 1_000_000).unwrap_or_default() + random.i64(..60_000);
    SpanObject {
        span_id: number,
        parent_span_id: number - 1,
        start_time: start,
        end_time: start + random.i64(1..80),
        refs: if is_entry { vec![reference.clone()] } else { Vec::new() },
        operation_name: "GET:/api/v1/orders/{id}".to_owned(),
        peer: if is_entry { String::new() } else { format!("{}:3306", pick(random, &HOSTS)) },
        span_type: i32::from(!is_entry),
        span_layer: 3,
        component_id: 14,
        tags: vec![
            pair("url", format!("http://{}/api/v1/orders/{}", pick(random, &HOSTS), random.u32(..))),
            pair("http.method", pick(random, &METHODS).to_owned()),
            pair("http.status_code", pick(random, &STATUSES).to_string()),
            pair("db.statement", "SELECT * FROM orders WHERE id = ?".to_owned()),
            pair("thread", format!("http-nio-8080-exec-{}", random.u8(..200))),
        ],
        ..Default::default()
    }
}

/// Access log entries of about 1 KB, as a sidecar of a mesh sends them.
pub(super) fn envoy_logs(random: &mut Rng, entries: usize) -> Vec<u8> {
    let counts = (0..entries).step_by(ENTRIES).map(|start| (start == 0, ENTRIES.min(entries - start)));
    let messages = counts.flat_map(|(is_first, entries)| {
        let mut bytes = Vec::with_capacity(entries * 1100);
        let mut message = Writer::new(&mut bytes);
        if is_first {
            message.message(1, |identifier| write_identifier(identifier, random));
        }
        message.message(2, |list| {
            (0..entries).for_each(|_| list.message(1, |entry| write_entry(entry, random)))
        });
        frame(&bytes, false)
    });
    messages.collect()
}

fn write_identifier(identifier: &mut Writer<'_>, random: &mut Rng) {
    let (service, pod) = (pick(random, &SERVICES), random.u32(..));
    identifier.message(1, |node| {
        node.bytes(1, format!("sidecar~10.0.0.1~{service}-{pod:08x}.shop~shop.svc.cluster.local").as_bytes());
        node.bytes(2, format!("{service}.shop").as_bytes());
        // A `google.protobuf.Struct`, which nobody on the way reads.
        node.bytes(3, &[0x0a; 600]);
    });
    identifier.bytes(2, b"http_envoy_accesslog");
}

/// `envoy.data.accesslog.v3.HTTPAccessLogEntry`.
fn write_entry(entry: &mut Writer<'_>, random: &mut Rng) {
    let host = pick(random, &HOSTS);
    entry.message(1, |common| {
        write_address(common, 2, random);
        write_address(common, 3, random);
        common.message(5, |time| {
            time.varint(1, EPOCH_NANOS / 1_000_000_000 + random.u64(..60));
            time.varint(2, random.u64(..1_000_000_000));
        });
        // How long each part took.
        for number in 6..=12 {
            common.message(number, |duration| duration.varint(2, random.u64(..80_000_000)));
        }
        write_address(common, 13, random);
        write_address(common, 14, random);
        common.bytes(15, format!("outbound|8080||{host}.cluster.local").as_bytes());
        common.bytes(19, b"default");
        write_address(common, 20, random);
    });
    entry.varint(2, 2);
    entry.message(3, |request| {
        request.varint(1, 1 + random.u64(..3));
        request.bytes(2, b"http");
        request.bytes(3, format!("{host}:8080").as_bytes());
        request.message(4, |port| port.varint(1, 8080));
        request.bytes(5, format!("/api/v1/orders/{:07}?expand=items", random.u32(..10_000_000)).as_bytes());
        request.bytes(6, pick(random, &AGENTS).as_bytes());
        request.bytes(9, uuid(random).as_bytes());
        request.varint(11, random.u64(400..900));
        request.varint(12, random.u64(..4000));
        for (name, value) in [
            ("x-b3-traceid", format!("{:032x}", random.u128(..))),
            ("x-b3-spanid", format!("{:016x}", random.u64(..))),
            ("x-b3-parentspanid", format!("{:016x}", random.u64(..))),
            ("x-b3-sampled", "1".to_owned()),
            ("x-envoy-attempt-count", "1".to_owned()),
            ("x-envoy-decorator-operation", format!("{host}.cluster.local:8080/*")),
            (
                "x-forwarded-client-cert",
                format!(
                    "By=spiffe://cluster.local/ns/shop/sa/default;Hash={:032x}{:032x};Subject=\"\";\
                     URI=spiffe://cluster.local/ns/shop/sa/checkout",
                    random.u128(..),
                    random.u128(..)
                ),
            ),
            ("x-forwarded-proto", "http".to_owned()),
            ("x-envoy-expected-rq-timeout-ms", "15000".to_owned()),
            ("x-request-id", uuid(random)),
        ] {
            write_header(request, 13, name, &value);
        }
    });
    entry.message(4, |response| {
        response.message(1, |code| code.varint(1, pick(random, &STATUSES)));
        response.varint(2, random.u64(100..300));
        response.varint(3, random.u64(..9000));
        write_header(response, 4, "x-envoy-upstream-service-time", &random.u8(..).to_string());
    });
}

fn write_address(writer: &mut Writer<'_>, number: u32, random: &mut Rng) {
    writer.message(number, |address| {
        address.message(1, |socket| {
            socket.bytes(2, format!("10.{}.{}.{}", random.u8(..), random.u8(..), random.u8(..)).as_bytes());
            socket.varint(3, random.u64(1024..65_536));
        });
    });
}

fn write_header(writer: &mut Writer<'_>, number: u32, name: &str, value: &str) {
    writer.message(number, |header| {
        header.bytes(1, name.as_bytes());
        header.bytes(2, value.as_bytes());
    });
}

fn uuid(random: &mut Rng) -> String {
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        random.u32(..),
        random.u16(..),
        random.u16(..4096),
        random.u16(..4096),
        random.u64(..1 << 48)
    )
}
