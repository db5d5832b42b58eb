//! Exchanges of applications that py_zipkin and SkyWalking's agent trace, against what the applications received.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::kernel::{annotations, event_tag, joined, recorded, recording, start, trace_in_zipkin};
use crate::support::{Setup, ZipkinServer, eventually, is_root, lines, python};

const REQUESTS: usize = 9;

#[test]
fn exchanges_come_onto_the_shared_spans_of_py_zipkin() {
    py_zipkin("multi", "shared");
}

#[test]
fn exchanges_come_onto_the_own_spans_of_py_zipkin() {
    py_zipkin("single", "own");
}

/// Nothing but ids, times and addresses of the loopback interface tells whose spans they are.
fn py_zipkin(headers: &str, spans: &str) {
    let (true, Some(server)) = (is_root(), ZipkinServer::shared()) else { return };
    for tier in ["a", "b"] {
        let setup = Setup::new();
        let receiver = format!(
            "    tier: {tier}
    processes: {{include: [{{command_line: 'traced_zipkin.py.*{port}'}}]}}
    sampling:
      window: 100ms
      default: {{ratio: 1, request: {{content: true}}, response: {{content: true}}}}",
            port = setup.zipkin.port()
        );
        let exporters = format!("  zipkin: {{endpoint: 'http://{}/api/v2/spans'}}", server.address);
        let sluice = start(&setup, &joined(&setup, &receiver, &exporters, "zipkin"));
        let (port, count) = (setup.zipkin.port().to_string(), REQUESTS.to_string());
        let arguments =
            ["--collector-port", &port, "--headers", headers, "--spans", spans, "--requests", &count];
        let Some(printed) = python("traced_zipkin.py", &arguments) else { return };
        let key = |span: &Value| (text(&span["id"]).to_owned(), text(&span["kind"]).to_owned());
        let told: BTreeMap<_, Value> = lines(&printed)
            .into_iter()
            .map(|line| ((text(&line["span"]).to_owned(), text(&line["kind"]).to_owned()), line))
            .collect();
        assert_eq!(told.len(), 2 * REQUESTS, "each request is a span of the client and one of the server");
        let mut carried = BTreeMap::new();
        for line in told.values() {
            let previous = carried.insert(text(&line["path"]).to_owned(), line["headers"].clone());
            assert!(previous.is_none_or(|previous| previous == line["headers"]), "{line} arrived otherwise");
        }
        for trace in told.values().filter(|line| line["kind"] == "CLIENT").map(|line| &line["trace"]) {
            let found = trace_in_zipkin(server, text(trace), 2);
            assert_eq!(found.len(), 2, "{found:#?}");
            for span in found {
                assert_eq!(span["shared"] == true, spans == "shared" && span["kind"] == "SERVER", "{span:#}");
                assert_told(&span, &told[&key(&span)]);
            }
        }
        let log = sluice.stop();
        assert!(!log.contains("zipkin-secret"), "{log}");
    }
}

/// A span in Zipkin has the annotations and tags of its own exchange, and of no other.
fn assert_told(span: &Value, told: &Value) {
    let is_client = told["kind"] == "CLIENT";
    let mut expected: Vec<String> = ["Request", "Response"]
        .iter()
        .flat_map(|name| ["Start", "Finished"].map(|edge| format!("{edge} HTTP {name} Sampling-1")))
        .collect();
    let mut found = annotations(span);
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected, "{span:#}");
    let (request, response) = (event_tag(span, "request"), event_tag(span, "response"));
    for (event, direction) in [(&request, is_client), (&response, !is_client)] {
        assert_eq!(
            event["sluice.event.direction"],
            if direction { "outbound" } else { "inbound" },
            "{span:#}"
        );
        assert_eq!(event["sluice.event.role"], if is_client { "client" } else { "server" }, "{span:#}");
    }
    let content = text(&request["sluice.event.content"]);
    assert!(content.starts_with(&format!("GET {} HTTP/1.1\r\n", text(&told["path"]))), "{content}");
    let lines: Vec<(String, &str)> = content
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value))
        .collect();
    let headers = told["headers"].as_object().unwrap();
    assert!(!headers.is_empty(), "{told}");
    for (name, value) in headers {
        let carried = lines.iter().find(|(known, _)| known == name);
        assert_eq!(carried.map(|(_, value)| *value), value.as_str(), "{name} in {content}");
    }
    assert!(lines.contains(&("authorization".to_owned(), "REDACTED")), "{content}");
    assert_eq!(response["http.response.status_code"].to_string(), told["status"].to_string(), "{span:#}");
    let content = text(&response["sluice.event.content"]);
    assert!(content.contains(&format!("\"path\": {}", told["path"])), "{content}");
}

/// Spans of SkyWalking do not come in here; what its headers say is on the records.
#[test]
fn records_carry_the_context_of_the_skywalking_agent() {
    if !is_root() {
        return;
    }
    for tier in ["a", "b"] {
        let setup = Setup::new();
        let mark = setup.grpc.port();
        let receiver = format!(
            "    tier: {tier}
    processes: {{include: [{{command_line: 'traced_skywalking.py.*{mark}'}}]}}
    sampling:
      window: 100ms
      default: {{status_4xx: false, status_5xx: false, ratio: 1}}"
        );
        let sluice = start(&setup, &recording(&setup, &receiver));
        let arguments = ["--requests", "12", "--mark", &mark.to_string()];
        let Some(printed) = python("traced_skywalking.py", &arguments) else { return };
        let received = lines(&printed);
        assert_eq!(received.len(), 15, "three of the twelve are passed on");
        assert!(received.iter().any(|line| line["span"] != 0), "a server's span is a parent too");
        for role in ["client", "server"] {
            eventually("all are recorded", || recorded(&setup, role).len() >= received.len());
            let records = recorded(&setup, role);
            assert_eq!(records.len(), received.len(), "{records:#?}");
            for line in &received {
                let record = records.iter().find(|record| record["url.path"] == line["path"]).unwrap();
                assert_eq!(record["sluice.trace.format"], "sw8", "{record:#?}");
                assert_eq!(record["sluice.trace.sampled"], true, "{record:#?}");
                assert_eq!(record["sluice.sw8.trace_id"], line["trace"], "{record:#?}");
                assert_eq!(record["sluice.sw8.segment_id"], line["segment"], "{record:#?}");
                assert_eq!(text(&record["sluice.sw8.span_id"]), line["span"].to_string(), "{record:#?}");
            }
        }
        sluice.stop();
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
