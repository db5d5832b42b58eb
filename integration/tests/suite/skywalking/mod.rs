//! SkyWalking's own agents, Envoy and pages in front of Sluice, and what none of them should send.

mod agents;
mod envoy;
mod hostile;
mod page;

use serde_json::Value;

use crate::support::{Setup, Sluice, eventually, lines};

/// A receiver with both protocols into a file for each signal.
pub(super) fn start(setup: &Setup, keys: &str) -> Sluice {
    let directory = setup.directory.path().display();
    let config = format!(
        "receivers:
  skywalking:
    protocols: {{grpc: {{endpoint: '{}'}}, http: {{endpoint: '{}'}}}}
{keys}
exporters:
  file/traces: {{path: {directory}/traces.jsonl, flush_interval: 100ms}}
  file/metrics: {{path: {directory}/metrics.jsonl, flush_interval: 100ms}}
  file/logs: {{path: {directory}/logs.jsonl, flush_interval: 100ms}}
service:
  telemetry: {{metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: {}, port: {}}}}}}}}}]}}}}
  pipelines:
    traces: {{receivers: [skywalking], exporters: [file/traces]}}
    metrics: {{receivers: [skywalking], exporters: [file/metrics]}}
    logs: {{receivers: [skywalking], exporters: [file/logs]}}
",
        setup.grpc,
        setup.http,
        setup.telemetry.ip(),
        setup.telemetry.port()
    );
    // The last that is bound.
    setup.start(&config, setup.http)
}

/// All items of a signal that have arrived, each beside its resource.
pub(super) fn items(setup: &Setup, signal: &str) -> Vec<(Value, Value)> {
    let [groups, scopes, items] = match signal {
        "traces" => ["resourceSpans", "scopeSpans", "spans"],
        "metrics" => ["resourceMetrics", "scopeMetrics", "metrics"],
        _ => ["resourceLogs", "scopeLogs", "logRecords"],
    };
    let text = std::fs::read_to_string(setup.path(&format!("{signal}.jsonl"))).unwrap_or_default();
    // The last line may be half written.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut found = Vec::new();
    for group in lines(whole).iter().flat_map(|line| list(&line[groups])) {
        for item in list(&group[scopes]).iter().flat_map(|scope| list(&scope[items])) {
            found.push((group["resource"].clone(), item));
        }
    }
    found
}

pub(super) fn attribute(owner: &Value, key: &str) -> Value {
    let attributes = owner["attributes"].as_array().cloned().unwrap_or_default();
    let found = attributes.iter().find(|attribute| attribute["key"] == key);
    let value = found.map(|found| found["value"].clone()).unwrap_or_default();
    value["stringValue"].as_str().or(value["intValue"].as_str()).map_or(Value::Null, Into::into)
}

pub(super) fn span(setup: &Setup, kind: u64, name: &str) -> (Value, Value) {
    let mut found = None;
    eventually(&format!("a span {name} of kind {kind} arrives"), || {
        found =
            items(setup, "traces").into_iter().find(|(_, span)| span["name"] == name && span["kind"] == kind);
        found.is_some()
    });
    found.unwrap()
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
