//! Exchanges as the kernel sees them, to OAP as Rover tells it of them: Kubernetes services with their topology, and events
//! on the spans that the headers name, in both of OAP's views.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::{Oap, Setup, Sluice, eventually, post, tag};

const SECOND: u64 = 1_000_000_000;

fn start(setup: &Setup, oap: &Oap) -> Sluice {
    let rest = format!(
        "exporters:
  oap: {{}}
  zipkin:
    endpoint: {}
extensions:
  oap:
    endpoints: ['{}']",
        oap.zipkin_spans(),
        oap.grpc
    );
    let pipelines = "    traces: {receivers: [otlp], exporters: [oap]}
    traces/zipkin: {receivers: [zipkin], exporters: [zipkin]}
    logs: {receivers: [otlp], exporters: [oap]}";
    let config = setup.config(&rest, pipelines).replace("service:\n", "service:\n  extensions: [oap]\n");
    setup.start(&config, setup.http)
}

fn send(setup: &Setup, path: &str, body: &Value) {
    let answer = post(setup.http, path, &[("content-type", "application/json")], body.to_string());
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
}

fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

fn attributes(pairs: &[(&str, Value)]) -> Value {
    let one = |(key, value): &(&str, Value)| match value {
        Value::Number(number) => json!({"key": key, "value": {"intValue": number.to_string()}}),
        text => json!({"key": key, "value": {"stringValue": text}}),
    };
    pairs.iter().map(one).collect()
}

/// The logs of a process with these exchanges.
fn of_pod(service: &str, exchanges: Vec<Value>) -> Value {
    let resource = [
        ("k8s.service.name", json!(service)),
        ("k8s.namespace.name", json!("shop")),
        ("k8s.pod.name", json!(format!("{service}-1"))),
        ("host.name", json!("node")),
    ];
    json!({"resource": {"attributes": attributes(&resource)}, "scopeLogs": [{"logRecords": exchanges}]})
}

/// A request for `/order` of 300 ms that failed, as one end saw it.
fn exchange(start: u64, role: &str, (local, peer): (u16, u16), more: &[(&str, Value)]) -> Value {
    let time = |after: u64| json!(start + after * SECOND / 10);
    let known = [
        ("sluice.event.role", json!(role)),
        ("sluice.request.end_unix_nano", time(1)),
        ("sluice.response.start_unix_nano", time(2)),
        ("sluice.response.end_unix_nano", time(3)),
        ("http.request.method", json!("GET")),
        ("url.path", json!("/order")),
        ("http.response.status_code", json!(503)),
        ("network.local.address", json!("10.9.0.1")),
        ("network.local.port", json!(local)),
        ("network.peer.address", json!("10.9.0.1")),
        ("network.peer.port", json!(peer)),
        ("sluice.sampling.reason", json!("status_5xx")),
        ("sluice.request.content", json!("GET /order HTTP/1.1")),
    ];
    json!({
        "timeUnixNano": start.to_string(),
        "eventName": "sluice.http.exchange",
        "attributes": attributes(&[&known[..], more].concat()),
    })
}

#[test]
fn exchanges_are_kubernetes_services_with_their_topology() {
    let Some(oap) = Oap::shared() else { return };
    let setup = Setup::new();
    let sluice = start(&setup, oap);
    let start = now() - SECOND;
    let logs = json!({"resourceLogs": [
        of_pod("web", vec![exchange(start, "client", (4000, 80), &[])]),
        of_pod("stock", vec![exchange(start, "server", (80, 4000), &[])]),
    ]});
    send(&setup, "/v1/logs", &logs);
    oap.knows("K8S_SERVICE", &["web.shop", "stock.shop"]);
    eventually("the instance is known", || !oap.instances("stock.shop").is_empty());
    assert_eq!(oap.instances("stock.shop"), ["stock-1"]);
    eventually("the endpoint is known", || oap.endpoints("stock.shop") == ["GET:/order"]);
    eventually("OAP has counted the calls", || {
        oap.metric("kubernetes_service_http_call_cpm", "stock.shop", None) == [1.0]
    });
    let mut listed = Vec::new();
    eventually("the log is stored", || {
        listed = oap.logs("stock.shop");
        !listed.is_empty()
    });
    let log = &listed[0];
    assert_eq!(tag(log, "LOG_KIND").as_deref(), Some("NET_PROFILING_SAMPLED_TRACE"), "{log:#}");
    sluice.stop();
}

#[test]
fn events_show_on_the_span_that_the_header_names_in_both_views() {
    let Some(oap) = Oap::shared() else { return };
    let setup = Setup::new();
    let sluice = start(&setup, oap);
    let start = now() - SECOND;
    // A segment of SkyWalking's, as the receiver would have made it of an agent's.
    let ids = [
        ("sw8.trace_id", json!("trace-of-agent")),
        ("sw8.segment_id", json!("segment-1")),
        ("sw8.span_id", json!(0)),
    ];
    let span = json!({
        "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331", "name": "/order", "kind": 3,
        "startTimeUnixNano": start.to_string(), "endTimeUnixNano": (start + SECOND).to_string(),
        "attributes": attributes(&ids),
    });
    let resource = json!({"attributes": attributes(&[("service.name", json!("agent"))])});
    send(
        &setup,
        "/v1/traces",
        &json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}),
    );
    let trace = format!("{:032x}", u128::from(start));
    let zipkin = json!([{
        "traceId": trace, "id": "00f067aa0ba902b7", "name": "get", "kind": "CLIENT", "timestamp": start / 1000,
        "duration": 1_000_000, "localEndpoint": {"serviceName": "zipkins"},
    }]);
    let answer =
        post(setup.zipkin, "/api/v2/spans", &[("content-type", "application/json")], zipkin.to_string());
    assert_eq!(answer.status, 202);

    let sw8 = [
        ("sluice.trace.format", json!("sw8")),
        ("sluice.sw8.trace_id", json!("trace-of-agent")),
        ("sluice.sw8.segment_id", json!("segment-1")),
        ("sluice.sw8.span_id", json!(0)),
    ];
    let mut b3 = exchange(start, "client", (4002, 80), &[("sluice.trace.format", json!("b3"))]);
    (b3["traceId"], b3["spanId"]) = (json!(trace), json!("00f067aa0ba902b7"));
    let seen = of_pod("seen", vec![exchange(start, "client", (4001, 80), &sw8), b3]);
    // OAP asks Kubernetes for an end without a name, and this one is in none.
    let called = of_pod("called", vec![exchange(start, "server", (80, 4001), &[])]);
    send(&setup, "/v1/logs", &json!({"resourceLogs": [seen, called]}));

    let mut events = Vec::new();
    eventually("the events are on SkyWalking's span", || {
        let spans = oap.trace("trace-of-agent");
        events =
            spans.first().and_then(|span| span["attachedEvents"].as_array().cloned()).unwrap_or_default();
        events.len() == 2
    });
    let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["HTTP Request Sampling", "HTTP Response Sampling"]);
    assert_eq!(tag(&events[0], "data_content").as_deref(), Some("GET /order HTTP/1.1"));
    assert_eq!(events[0]["startTime"]["seconds"], start / SECOND);
    let mut annotations = Vec::new();
    eventually("the events are on Zipkin's span", || {
        let spans = oap.zipkin_trace(&trace);
        annotations =
            spans.first().and_then(|span| span["annotations"].as_array().cloned()).unwrap_or_default();
        annotations.len() == 4
    });
    let values: Vec<_> = annotations.iter().map(|annotation| annotation["value"].as_str().unwrap()).collect();
    assert!(values.contains(&"Start HTTP Request Sampling"), "{values:?}");
    sluice.stop();
}
