//! SkyWalking's agents for Python and Node.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use sluice_protocols::skywalking::id::Rules;

use super::{attribute, hexadecimal, items, span, start};
use crate::support::{Setup, ZipkinServer, eventually, get, node_server, python_server, require, sum};

/// An agent that goes on until it is dropped.
pub(super) struct Agent {
    child: Child,
    pub(super) printed: String,
}

impl Agent {
    /// Waits for its first line.
    pub(super) fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut printed = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut printed).unwrap();
        assert!(!printed.is_empty(), "{command:?} printed nothing");
        Self { child, printed }
    }

    fn python(backend: SocketAddr, protocol: &str) -> Option<Self> {
        let (python, script) = python_server("skywalking_agent.py")?;
        let backend = backend.to_string();
        Some(Self::start(Command::new(python).arg(script).args([
            "--backend",
            &backend,
            "--protocol",
            protocol,
        ])))
    }

    fn node(backend: SocketAddr) -> Option<Self> {
        let (mut command, script) = node_server("skywalking.cjs")?;
        Some(Self::start(command.arg(script).args(["--backend", &backend.to_string()])))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn spans_and_logs_of_the_python_agent_arrive(protocol: &str) {
    let setup = Setup::new();
    let sluice = start(&setup, "");
    let backend = if protocol == "grpc" { setup.grpc } else { setup.http };
    let Some(agent) = Agent::python(backend, protocol) else { return };
    let sent: Value = serde_json::from_str(&agent.printed).unwrap();
    let (trace, segment) = (sent["trace"].as_str().unwrap(), sent["segment"].as_str().unwrap());
    let number = i32::try_from(sent["span"].as_i64().unwrap()).unwrap();

    let (resource, entry) = span(&setup, 2, "/buy");
    assert_eq!(attribute(&resource, "service.name"), "python-shop");
    assert_eq!(attribute(&resource, "service.instance.id"), "python-shop-1");
    assert_eq!(entry["traceId"], hexadecimal(&Rules::Distinct.trace_id(trace)));
    assert_eq!(attribute(&entry, "sw8.segment_id"), segment);
    assert_eq!(attribute(&entry, "http.request.method"), "GET");
    assert_eq!(attribute(&entry, "http.response.status_code"), "200");
    assert_eq!(attribute(&entry, "skywalking.component_id"), "7001");
    let (_, exit) = span(&setup, 3, "/stock");
    assert_eq!(exit["parentSpanId"], entry["spanId"]);
    assert_eq!(exit["spanId"], hexadecimal(&Rules::Distinct.span_id(segment, number)));
    assert_eq!(attribute(&exit, "server.address"), "stock.example");
    assert_eq!(attribute(&exit, "server.port"), "8080");
    let (_, child) = span(&setup, 2, "/stock");
    assert_eq!((&child["parentSpanId"], &child["traceId"]), (&exit["spanId"], &entry["traceId"]));
    let link = &child["links"][0];
    assert_eq!(link["spanId"], exit["spanId"]);
    // This agent names its own exit span there.
    assert_eq!(attribute(link, "parent.endpoint"), "/stock");
    assert_eq!(attribute(link, "network.AddressUsedAtPeer"), "stock.example:8080");
    let (_, local) = span(&setup, 1, "count");
    assert_eq!(local["status"]["code"], 2);
    assert_eq!(attribute(&local, "db.system.name"), "sql");
    assert!(local["events"][0]["attributes"].as_array().is_some_and(|data| !data.is_empty()), "{local:#}");

    let mut log = Value::Null;
    eventually("the log arrives", || {
        let found = items(&setup, "logs").into_iter().find(|(_, record)| {
            record["body"]["stringValue"].as_str().is_some_and(|body| body.contains("only 3 left"))
        });
        found.map(|(_, record)| log = record).is_some()
    });
    assert_eq!(log["traceId"], entry["traceId"]);
    assert_eq!(log["spanId"], entry["spanId"]);
    assert_eq!((&log["severityText"], &log["severityNumber"]), (&"WARNING".into(), &13.into()), "{log:#}");

    for name in ["skywalking.instance_properties", "skywalking.instance_ping"] {
        eventually(&format!("{name} arrives"), || {
            items(&setup, "logs").iter().any(|(_, record)| record["eventName"] == name)
        });
    }
    // The agent has no meters over HTTP.
    if protocol == "grpc" {
        eventually("meters arrive of two periods", || {
            let metrics = items(&setup, "metrics");
            let mut times: Vec<_> = metrics
                .iter()
                .map(|(_, metric)| metric["gauge"]["dataPoints"][0]["timeUnixNano"].to_string())
                .collect();
            times.sort();
            times.dedup();
            times.len() > 1
                && metrics.iter().all(|(of, _)| attribute(of, "service.instance.id") == "python-shop-1")
        });
    }
    assert_eq!(sum(setup.telemetry, "sluice_receiver_refused_requests", "skywalking"), 0);
    drop(agent);
    sluice.stop();
}

#[test]
fn spans_logs_and_meters_of_the_python_agent_arrive_over_grpc() {
    spans_and_logs_of_the_python_agent_arrive("grpc");
}

#[test]
fn spans_and_logs_of_the_python_agent_arrive_over_http() {
    spans_and_logs_of_the_python_agent_arrive("http");
}

#[test]
fn spans_of_the_node_agent_are_one_trace() {
    let setup = Setup::new();
    let sluice = start(&setup, "    id_compatibility: contrib");
    let Some(agent) = Agent::node(setup.grpc) else { return };
    let (resource, stock) = span(&setup, 2, "GET:/stock");
    assert_eq!(attribute(&resource, "service.name"), "node-shop");
    let (_, exit) = span(&setup, 3, "/stock");
    let (_, entry) = span(&setup, 2, "GET:/buy");
    assert_eq!(stock["parentSpanId"], exit["spanId"]);
    assert_eq!(exit["parentSpanId"], entry["spanId"]);
    assert_eq!(stock["traceId"], entry["traceId"]);
    // Its ids are UUIDs, so that the Collector's rules give their digits.
    assert_eq!(attribute(&entry, "sw8.trace_id"), entry["traceId"]);
    assert_eq!(attribute(&entry, "skywalking.component_id"), "49");
    drop(agent);
    sluice.stop();
}

#[test]
fn spans_logs_and_meters_of_the_rust_agent_arrive() {
    let setup = Setup::new();
    let sluice = start(&setup, "");
    let Some(program) = require("rust/debug/skywalking-agent") else { return };
    let agent = Agent::start(Command::new(program).arg(setup.grpc.to_string()));
    let sent: Value = serde_json::from_str(&agent.printed).unwrap();
    let (trace, segment) = (sent["trace"].as_str().unwrap(), sent["segment"].as_str().unwrap());
    let number = i32::try_from(sent["span"].as_i64().unwrap()).unwrap();

    let (resource, entry) = span(&setup, 2, "/buy");
    assert_eq!(attribute(&resource, "service.name"), "rust-shop");
    assert_eq!(attribute(&resource, "service.instance.id"), "rust-shop-1");
    // Its ids are UUIDs as decimal numbers, of which the Collector's receiver makes zeros.
    assert!(trace.bytes().all(|byte| byte.is_ascii_digit()), "{trace}");
    assert_eq!(entry["traceId"], hexadecimal(&trace.parse::<u128>().unwrap().to_be_bytes()));
    assert_eq!(attribute(&entry, "sw8.segment_id"), segment);
    assert_eq!(attribute(&entry, "http.request.method"), "GET");
    let (_, exit) = span(&setup, 3, "/stock");
    assert_eq!(exit["spanId"], hexadecimal(&Rules::Distinct.span_id(segment, number)));
    assert_eq!(exit["parentSpanId"], entry["spanId"]);
    assert_eq!(attribute(&exit, "server.address"), "stock.example");
    let (_, child) = span(&setup, 2, "/stock");
    assert_eq!((&child["parentSpanId"], &child["traceId"]), (&exit["spanId"], &entry["traceId"]));
    assert_eq!(attribute(&child["events"][0], "event"), "counted", "{child:#}");

    let arrives = |signal: &str, what: &str, wanted: &dyn Fn(&Value) -> bool| {
        let mut found = Value::Null;
        eventually(&format!("{what} arrives"), || {
            let item = items(&setup, signal).into_iter().find(|(_, item)| wanted(item));
            item.map(|(_, item)| found = item).is_some()
        });
        found
    };
    let log = arrives("logs", "the log", &|record| record["body"]["stringValue"] == "only 3 left");
    assert_eq!((&log["traceId"], &log["spanId"]), (&entry["traceId"], &entry["spanId"]));
    for name in ["skywalking.instance_properties", "skywalking.instance_ping"] {
        arrives("logs", name, &|record| record["eventName"] == name);
    }
    let orders = arrives("metrics", "the meter", &|metric| metric["name"] == "orders");
    assert_eq!(orders["gauge"]["dataPoints"][0]["asDouble"], 3.0, "{orders:#}");
    assert_eq!(sum(setup.telemetry, "sluice_receiver_refused_requests", "skywalking"), 0);
    drop(agent);
    sluice.stop();
}

/// The ready-made configuration, but for its addresses.
#[test]
fn skywalking_agents_show_in_zipkin() {
    let Some(server) = ZipkinServer::shared() else { return };
    let setup = Setup::new();
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/skywalking-to-zipkin.yaml");
    let sets = [
        format!("receivers.skywalking.protocols.grpc.endpoint={}", setup.grpc),
        format!("receivers.skywalking.protocols.http.endpoint={}", setup.http),
        format!("exporters.zipkin.endpoint=http://{}/api/v2/spans", server.address),
        format!("extensions.health_check.endpoint={}", setup.zipkin),
        "service.telemetry.metrics.level=none".to_owned(),
    ];
    let arguments: Vec<&str> = sets.iter().flat_map(|set| ["--set", set.as_str()]).collect();
    let mut sluice = setup.spawn_with(&file, &arguments);
    sluice.process.wait_until_listening(setup.grpc, crate::support::PATIENCE).unwrap();
    let Some(agent) = Agent::python(setup.grpc, "grpc") else { return };
    let sent: Value = serde_json::from_str(&agent.printed).unwrap();
    let trace = hexadecimal(&Rules::Distinct.trace_id(sent["trace"].as_str().unwrap()));
    let mut spans = Vec::new();
    eventually("Zipkin holds the four spans", || {
        spans = serde_json::from_slice::<Vec<Value>>(
            &get(server.address, &format!("/api/v2/trace/{trace}")).body,
        )
        .unwrap_or_default();
        spans.len() == 4
    });
    let exit = spans.iter().find(|span| span["kind"] == "CLIENT").unwrap();
    let child = spans.iter().find(|span| span["kind"] == "SERVER" && span["name"] == "/stock").unwrap();
    assert_eq!(child["parentId"], exit["id"]);
    assert_eq!(child["localEndpoint"]["serviceName"], "python-shop");
    drop(agent);
    sluice.stop();
}
