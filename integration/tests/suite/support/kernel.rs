//! Sluice with its kernel side, the nginx that it watches, and what became of exchanges.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::Value;
use sluice_integration::process::{Process, free_address, tied};

use super::{PATIENCE, Setup, Sluice, ZipkinServer, eventually, get, lines, program};

/// An nginx that is stopped with the test.
pub(crate) struct Nginx {
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
}

impl Nginx {
    /// One worker, whose locations are given.
    pub(crate) fn start(setup: &Setup, locations: &str) -> Option<Self> {
        let nginx = program("nginx").or_else(|| program("/usr/sbin/nginx"))?;
        let address = free_address().unwrap();
        let folder = setup.directory.path().display();
        let config = format!(
            "worker_processes 1; daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.err;
             events {{}}
             http {{
               access_log off; keepalive_requests 100000;
               client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
               uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
               server {{ listen {address}; {locations} }}
             }}"
        );
        let path = setup.write("nginx.conf", &config);
        let mut command = tied(&nginx);
        command.arg("-c").arg(path);
        let mut process = Process::start(&mut command, &setup.path("nginx.log")).unwrap();
        process.wait_until_listening(address, PATIENCE).unwrap();
        Some(Self { address, process })
    }
}

/// The receiver, the join and the pipelines around them, with traces to `exporter`.
pub(crate) fn joined(setup: &Setup, receiver: &str, exporters: &str, exporter: &str) -> String {
    let Setup { grpc, http, zipkin, telemetry, .. } = setup;
    let folder = setup.directory.path().display();
    format!(
        "receivers:
  otlp: {{protocols: {{grpc: {{endpoint: '{grpc}'}}, http: {{endpoint: '{http}'}}}}}}
  zipkin: {{endpoint: '{zipkin}'}}
  ebpf_network:
{receiver}
connectors:
  trace_events: {{}}
exporters:
  file/unjoined: {{path: {folder}/unjoined.jsonl}}
{exporters}
extensions:
  health_check: {{endpoint: '{}'}}
service:
  extensions: [health_check]
  telemetry: {{metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: {}, port: {}}}}}}}}}]}}}}
  pipelines:
    logs/kernel: {{receivers: [ebpf_network], exporters: [trace_events]}}
    logs/unjoined: {{receivers: [trace_events], exporters: [file/unjoined]}}
    traces/in: {{receivers: [otlp, zipkin], exporters: [trace_events]}}
    traces: {{receivers: [trace_events], exporters: [{exporter}]}}
",
        free_health(setup),
        telemetry.ip(),
        telemetry.port()
    )
}

/// The address of `health_check`, which answers once the kernel side is attached.
pub(crate) fn free_health(setup: &Setup) -> SocketAddr {
    let path = setup.path("health");
    if let Ok(text) = fs::read_to_string(&path) {
        return text.parse().unwrap();
    }
    let address = free_address().unwrap();
    fs::write(path, address.to_string()).unwrap();
    address
}

/// Starts Sluice and waits until it is healthy, which it is once the programs are attached.
pub(crate) fn start(setup: &Setup, config: &str) -> Sluice {
    let address = free_health(setup);
    let sluice = setup.start(config, address);
    eventually("the kernel side is attached", || get(address, "/").status == 200);
    sluice
}

/// The tag of an event as the contract has it.
pub(crate) fn event_tag(span: &Value, event: &str) -> Value {
    let text = span["tags"][format!("http.{event}.sampling-1.tags")].as_str();
    text.map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
}

pub(crate) fn annotations(span: &Value) -> Vec<&str> {
    let annotations = span["annotations"].as_array();
    annotations.into_iter().flatten().filter_map(|annotation| annotation["value"].as_str()).collect()
}

/// Waits for the trace to be whole in Zipkin: so many spans, each with the events of its exchange.
pub(crate) fn trace_in_zipkin(server: &ZipkinServer, trace: &str, spans: usize) -> Vec<Value> {
    let mut found = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        let answer = get(server.address, &format!("/api/v2/trace/{trace}"));
        if answer.status == 200 {
            found = merged(serde_json::from_slice(&answer.body).unwrap());
            let whole = |span: &Value| annotations(span).contains(&"Finished HTTP Response Sampling-1");
            if found.len() >= spans && found.iter().all(whole) {
                return found;
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("trace {trace} is not whole in Zipkin: {found:#?}")
}

/// As Zipkin's page shows them: what has the same id and kind is one span. Its API answers with what was sent.
pub(crate) fn merged(spans: Vec<Value>) -> Vec<Value> {
    let mut merged: Vec<Value> = Vec::new();
    for span in spans {
        let Some(known) =
            merged.iter_mut().find(|known| known["id"] == span["id"] && known["kind"] == span["kind"])
        else {
            merged.push(span);
            continue;
        };
        let mut all = known["annotations"].as_array().cloned().unwrap_or_default();
        all.extend(span["annotations"].as_array().cloned().unwrap_or_default());
        known["annotations"] = Value::Array(all);
        for (key, value) in span["tags"].as_object().into_iter().flatten() {
            known["tags"][key] = value.clone();
        }
    }
    merged
}

/// The content of each request event, with the id of its span.
pub(crate) fn joined_requests(setup: &Setup) -> Vec<(String, String)> {
    let text = fs::read_to_string(setup.path("traces.jsonl")).unwrap_or_default();
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut found = Vec::new();
    for document in lines(complete) {
        for span in members(&document, &["resourceSpans", "scopeSpans", "spans"]) {
            for event in members(span, &["events"]).filter(|event| event["name"] == "HTTP Request Sampling") {
                let content = members(event, &["attributes"])
                    .find(|attribute| attribute["key"] == "sluice.event.content")
                    .map(|attribute| attribute["value"]["stringValue"].as_str().unwrap().to_owned());
                found.push((span["spanId"].as_str().unwrap().to_owned(), content.unwrap_or_default()));
            }
        }
    }
    found
}

pub(crate) fn records(document: &Value) -> impl Iterator<Item = &Value> {
    members(document, &["resourceLogs", "scopeLogs", "logRecords"])
}

pub(crate) fn members<'v>(value: &'v Value, path: &[&str]) -> Box<dyn Iterator<Item = &'v Value> + 'v> {
    match path {
        [] => Box::new(std::iter::once(value)),
        [first, rest @ ..] => {
            let rest: Vec<String> = rest.iter().map(|name| (*name).to_owned()).collect();
            let list = value[*first].as_array().into_iter().flatten();
            Box::new(list.flat_map(move |member| {
                let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
                members(member, &rest).collect::<Vec<_>>()
            }))
        }
    }
}

/// The receiver alone, with everything recorded to a file.
pub(crate) fn recording(setup: &Setup, receiver: &str) -> String {
    let folder = setup.directory.path().display();
    format!(
        "receivers:
  ebpf_network:
{receiver}
exporters:
  file: {{path: {folder}/records.jsonl}}
  file/metrics: {{path: {folder}/metrics.jsonl}}
  debug: {{verbosity: detailed}}
extensions:
  health_check: {{endpoint: '{}'}}
service:
  extensions: [health_check]
  telemetry: {{logs: {{level: debug}}, metrics: {{level: none}}}}
  pipelines:
    logs: {{receivers: [ebpf_network], exporters: [file, debug]}}
    metrics: {{receivers: [ebpf_network], exporters: [file/metrics]}}
",
        free_health(setup)
    )
}

/// The records of one side, as maps of their attributes.
pub(crate) fn recorded(setup: &Setup, role: &str) -> Vec<BTreeMap<String, Value>> {
    let text = fs::read_to_string(setup.path("records.jsonl")).unwrap_or_default();
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    let documents = lines(complete);
    let attributes = |record: &Value| -> BTreeMap<String, Value> {
        members(record, &["attributes"])
            .map(|pair| {
                let value = pair["value"].as_object().unwrap().values().next().unwrap().clone();
                (pair["key"].as_str().unwrap().to_owned(), value)
            })
            .collect()
    };
    let all = documents.iter().flat_map(|document| records(document).map(attributes).collect::<Vec<_>>());
    all.filter(|record| record["sluice.event.role"] == role).collect()
}
