//! What processors change of agents' segments arrives at OAP; what they leave alone arrives as the agent said it.

use std::time::Duration;

use prost::Message as _;
use serde_json::Value;
use sluice_integration::process::free_address;
use sluice_integration::sink::count::SEGMENTS;
use sluice_integration::transport::frame;
use sluice_protocols::skywalking::v3::{KeyStringValuePair, SegmentObject, SpanObject};

use crate::support::{Oap, Setup, eventually_every, grpc, tag};

/// A segment whose second span is to go, if a filter looks for it.
fn segment(name: &str) -> SegmentObject {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let time = i64::try_from(now.as_millis()).unwrap();
    let span = |span_id: i32, operation_name: &str| SpanObject {
        span_id,
        parent_span_id: span_id - 1,
        start_time: time,
        end_time: time + 5,
        operation_name: operation_name.to_owned(),
        span_type: if span_id == 0 { 0 } else { 2 },
        span_layer: 3,
        tags: vec![KeyStringValuePair { key: "http.method".to_owned(), value: "GET".to_owned() }],
        ..Default::default()
    };
    SegmentObject {
        trace_id: format!("{name}.1"),
        trace_segment_id: format!("{name}.2"),
        spans: vec![span(0, "/order"), span(1, "secret")],
        service: name.to_owned(),
        service_instance: format!("{name}-1"),
        is_size_limited: false,
    }
}

/// What OAP has of the spans of such a segment, sent through these processors into this exporter.
fn sent(oap: &Oap, name: &str, processors: &str, exporter: &str) -> Vec<Value> {
    let setup = Setup::new();
    let listen = free_address().unwrap();
    let rest = format!(
        "  skywalking: {{protocols: {{grpc: {{endpoint: '{listen}'}}}}}}
processors:
  attributes: {{actions: [{{key: tier, value: gold, action: insert}}]}}
  filter: {{spans: {{exclude: {{match_type: strict, span_names: [secret]}}}}}}
  batch: {{timeout: 100ms}}
exporters:
  oap: {{}}
  oap/durable: {{sending_queue: {{storage: file_storage}}}}
extensions:
  oap: {{endpoints: ['{}'], check_period: 1s}}
  file_storage: {{directory: '{}', create_directory: true}}",
        oap.grpc,
        setup.path("queue").display(),
    );
    let pipelines = format!(
        "    traces: {{receivers: [skywalking], processors: [{processors}], exporters: [{exporter}]}}\n"
    );
    let config = setup
        .config(&rest, &pipelines)
        .replace("service:\n", "service:\n  extensions: [oap, file_storage]\n");
    let sluice = setup.start(&config, listen);
    let answer = grpc(listen, SEGMENTS, &[], frame(&segment(name).encode_to_vec(), false));
    assert_eq!(answer.grpc_status, Some(0));
    let mut spans = Vec::new();
    eventually_every(Duration::from_millis(100), "the segment is stored", || {
        spans = oap.trace(&format!("{name}.1"));
        !spans.is_empty()
    });
    sluice.stop();
    spans
}

fn names(spans: &[Value]) -> Vec<&str> {
    spans.iter().map(|span| span["endpointName"].as_str().unwrap()).collect()
}

/// The same of several ways at once, each under its name.
fn all_sent(ways: [[&'static str; 3]; 3]) -> Vec<(&'static str, Vec<Value>)> {
    let Some(oap) = Oap::shared() else { return Vec::new() };
    let threads = ways.map(|[name, processors, exporter]| {
        std::thread::spawn(move || sent(oap, name, processors, exporter))
    });
    ways.iter().zip(threads).map(|(way, thread)| (way[0], thread.join().unwrap())).collect()
}

#[test]
fn a_processors_changes_arrive_at_oap() {
    let ways = [
        ["changed", "attributes, filter", "oap"],
        ["changed-batched", "filter, batch, attributes", "oap"],
        ["changed-durable", "attributes, filter", "oap/durable"],
    ];
    for (name, spans) in all_sent(ways) {
        assert_eq!(names(&spans), ["/order"], "{name}");
        assert_eq!(tag(&spans[0], "tier").as_deref(), Some("gold"), "{name}");
        assert_eq!(tag(&spans[0], "http.method").as_deref(), Some("GET"), "{name}");
    }
}

#[test]
fn what_no_processor_changes_arrives_as_it_was() {
    let ways = [["kept", "", "oap"], ["kept-batched", "batch", "oap"], ["kept-durable", "", "oap/durable"]];
    for (name, spans) in all_sent(ways) {
        assert_eq!(names(&spans), ["/order", "secret"], "{name}");
        assert!(spans.iter().all(|span| span["tags"].as_array().unwrap().len() == 1), "{name}: {spans:?}");
    }
}
