//! Zipkin's own client and server on either side of Sluice.

use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use sluice_integration::payload::zipkin_v1;

use crate::support::{Setup, ZipkinServer, eventually, get, lines, post, python};

/// Spans of py_zipkin, through OTLP and back, are in Zipkin what they would have been without Sluice.
fn spans_reach_zipkin_as_they_were_sent(format: &str, exported_as: &str, trace: &str) {
    let Some(server) = ZipkinServer::shared() else { return };
    let setup = Setup::new();
    let config = setup.config(
        &format!(
            "exporters:\n  zipkin:\n    endpoint: http://{}/api/v2/spans\n    format: {exported_as}",
            server.address
        ),
        "    traces: {receivers: [zipkin], exporters: [zipkin]}",
    );
    let sluice = setup.start(&config, setup.zipkin);
    let version = if format == "v1-json" { "v1" } else { "v2" };
    let url = format!("http://{}/api/{version}/spans", setup.zipkin);
    let Some(printed) = python("zipkin.py", &["--url", &url, "--format", format, "--trace", trace]) else {
        return;
    };
    sluice.stop();

    let sent: Value = serde_json::from_str(&printed).unwrap();
    let expected = in_order(sent.as_array().unwrap().iter().map(as_zipkin_stores_it).collect());
    let mut stored = stored_spans(server, trace, expected.len());
    for (stored, expected) in stored.iter_mut().zip(&expected) {
        forgive_rounding(stored, expected);
        assert_eq!(&*stored, expected, "got {stored:#}\nfor {expected:#}");
    }
}

/// The client's two encoders round its times, which are floating-point seconds, differently.
fn forgive_rounding(stored: &mut Value, expected: &Value) {
    for name in ["timestamp", "duration"] {
        if let (Some(one), Some(other)) = (stored[name].as_u64(), expected[name].as_u64())
            && one.abs_diff(other) == 1
        {
            stored[name] = json!(other);
        }
    }
}

#[test]
fn json_in_and_json_out() {
    spans_reach_zipkin_as_they_were_sent("json", "json", "463ac35c9f6413ad48485a3953bb6124");
}

#[test]
fn protobuf_in_and_protobuf_out() {
    spans_reach_zipkin_as_they_were_sent("protobuf", "proto", "463ac35c9f6413ad48485a3953bb6125");
}

#[test]
fn version_1_in_and_json_out() {
    spans_reach_zipkin_as_they_were_sent("v1-json", "json", "463ac35c9f6413ad48485a3953bb6126");
}

/// Version 1 is what Zipkin itself makes of it: the same random spans, to Zipkin at once and through Sluice, in both
/// encodings.
#[test]
fn version_1_is_understood_as_zipkin_does() {
    const SPANS: usize = 300;
    let Some(server) = ZipkinServer::shared() else { return };
    let setup = Setup::new();
    let config = setup.config(
        &format!("exporters:\n  zipkin:\n    endpoint: http://{}/api/v2/spans", server.address),
        "    traces: {receivers: [zipkin], exporters: [zipkin]}",
    );
    let sluice = setup.start(&config, setup.zipkin);
    let seed = fastrand::u64(..);
    let stored = |address, trace: u64, as_thrift: bool| {
        let list = zipkin_v1::spans(&mut Rng::with_seed(seed), trace, SPANS);
        let (content_type, body) = if as_thrift {
            ("application/x-thrift", zipkin_v1::thrift(&list))
        } else {
            ("application/json", list.to_string().into_bytes())
        };
        let answer = post(address, "/api/v1/spans", &[("content-type", content_type)], body);
        assert_eq!(answer.status, 202, "{answer:?}");
        (list, traces_of(server, trace, SPANS))
    };
    let (list, expected) = stored(server.address, 0x5eed_0001, false);
    assert_eq!(
        stored(server.address, 0x5eed_0002, true).1,
        expected,
        "the two encodings differ, of seed {seed}"
    );
    for (trace, as_thrift) in [(0x5eed_0003, false), (0x5eed_0004, true)] {
        let (_, mut stored) = stored(setup.zipkin, trace, as_thrift);
        for (place, (stored, expected)) in stored.iter_mut().zip(&expected).enumerate() {
            let expected: Vec<_> = expected.iter().map(as_sluice_has_it).collect();
            for (stored, expected) in stored.iter_mut().zip(&expected) {
                forgive_kept(stored, expected);
            }
            let sent = &list[place];
            assert_eq!(
                *stored, expected,
                "of seed {seed}, in thrift: {as_thrift}, for {sent:#}\ngot {stored:#?}\nnot {expected:#?}"
            );
        }
    }
    sluice.stop();
}

/// The spans of traces that are named after a number and their places, without their names. They come all at once.
fn traces_of(server: &ZipkinServer, trace: u64, count: usize) -> Vec<Vec<Value>> {
    let names: Vec<String> = (1..=count).map(|place| format!("{trace:016x}{place:016x}")).collect();
    stored_spans(server, &names[count - 1], 1);
    let mut traces = vec![Vec::new(); count];
    for names in names.chunks(50) {
        let answer = get(server.address, &format!("/api/v2/traceMany?traceIds={}", names.join(",")));
        let answer: Vec<Vec<Value>> = serde_json::from_slice(&answer.body).unwrap();
        for mut span in answer.into_iter().flatten() {
            let name = span.as_object_mut().unwrap().remove("traceId").unwrap();
            let place = usize::from_str_radix(&name.as_str().unwrap()[16..], 16).unwrap();
            traces[place - 1].push(span);
        }
    }
    for spans in &mut traces {
        spans.sort_by_key(|span| {
            ["localEndpoint", "shared", "kind"].map(|key| span[key].to_string().to_lowercase())
        });
    }
    traces
}

/// Zipkin loses the end of a message at its wire that says nothing about its times.
fn forgive_kept(stored: &mut Value, expected: &Value) {
    let Some(annotations) = stored.get_mut("annotations").and_then(Value::as_array_mut) else { return };
    let of_zipkin = expected["annotations"].as_array().map_or(&[][..], Vec::as_slice);
    annotations.retain(|kept| kept["value"] != "ws" && kept["value"] != "wr" || of_zipkin.contains(kept));
    if annotations.is_empty() {
        stored.as_object_mut().unwrap().remove("annotations");
    }
}

/// OTLP needs a service, and has a name of its own for the local component.
fn as_sluice_has_it(span: &Value) -> Value {
    let mut span = span.clone();
    if span["localEndpoint"].get("serviceName").is_none() {
        span["localEndpoint"]["serviceName"] = json!("otlpresourcenoservicename");
    }
    if let Some(component) = span.get_mut("tags").and_then(|tags| tags.as_object_mut()?.remove("lc")) {
        span["tags"]["component"] = component;
    }
    span
}

/// Spans of the OpenTelemetry SDK become what the specification's mapping says.
#[test]
fn spans_of_the_python_sdk_reach_zipkin() {
    let Some(server) = ZipkinServer::shared() else { return };
    let setup = Setup::new();
    let config = setup.config(
        &format!("exporters:\n  zipkin:\n    endpoint: http://{}/api/v2/spans", server.address),
        "    traces: {receivers: [otlp], exporters: [zipkin]}",
    );
    let sluice = setup.start(&config, setup.grpc);
    let endpoint = format!("http://{}", setup.grpc);
    let arguments = ["--signal", "traces", "--protocol", "grpc", "--endpoint", &endpoint];
    let Some(printed) = python("otlp.py", &arguments) else { return };
    sluice.stop();

    let mut seen = 0;
    for span in lines(&printed).iter().flat_map(spans) {
        let trace = span["traceId"].as_str().unwrap();
        let stored = stored_spans(server, trace, 1);
        let found = stored.iter().find(|stored| stored["id"] == span["spanId"]);
        let found = found.unwrap_or_else(|| panic!("{span:#} is not in Zipkin"));
        assert_mapped(span, found);
        seen += 1;
    }
    assert!(seen > 10, "only {seen} spans were sent");
}

fn spans(export: &Value) -> Vec<&Value> {
    let groups = export["resourceSpans"].as_array().unwrap().iter();
    let scopes = groups.flat_map(|group| group["scopeSpans"].as_array().unwrap());
    scopes.flat_map(|scope| scope["spans"].as_array().unwrap()).collect()
}

fn assert_mapped(span: &Value, stored: &Value) {
    let start: u64 = span["startTimeUnixNano"].as_str().unwrap().parse().unwrap();
    let end: u64 = span["endTimeUnixNano"].as_str().unwrap().parse().unwrap();
    let tags = &stored["tags"];
    assert_eq!(stored["parentId"], span["parentSpanId"], "{stored:#}");
    assert_eq!(stored["name"], span["name"].as_str().unwrap().to_lowercase(), "{stored:#}");
    assert_eq!(stored["timestamp"], start / 1000, "{stored:#}");
    assert_eq!(stored["duration"], ((end - start) / 1000).max(1), "{stored:#}");
    assert_eq!(stored["localEndpoint"]["serviceName"], "python-shop", "{stored:#}");
    let kind = match span["kind"].as_u64() {
        Some(2) => json!("SERVER"),
        Some(3) => json!("CLIENT"),
        Some(4) => json!("PRODUCER"),
        Some(5) => json!("CONSUMER"),
        _ => Value::Null,
    };
    assert_eq!(stored["kind"], kind, "{stored:#}");
    if let Some(2) = span["status"]["code"].as_u64() {
        // The Collector's tags: the specification has ERROR, and the description in `error`.
        assert_eq!(tags["otel.status_code"], "Error", "{stored:#}");
        assert_eq!(tags["error"], "true", "{stored:#}");
        assert_eq!(tags["otel.status_description"], span["status"]["message"], "{stored:#}");
    }
    for attribute in span["attributes"].as_array().into_iter().flatten() {
        let (key, value) = (attribute["key"].as_str().unwrap(), &attribute["value"]);
        let text =
            ["stringValue", "intValue", "boolValue", "doubleValue"].iter().find_map(|kind| value.get(*kind));
        if let Some(text) = text {
            let text = text.as_str().map_or_else(|| text.to_string(), str::to_owned);
            assert_eq!(tags[key], text, "{key} of {stored:#}");
        } else {
            assert!(tags[key].is_string(), "{key} of {stored:#}");
        }
    }
    let events = span["events"].as_array().map_or(0, Vec::len);
    assert_eq!(stored["annotations"].as_array().map_or(0, Vec::len), events, "{stored:#}");
}

/// What Zipkin's API gives for a trace, once it holds this many spans.
fn stored_spans(server: &ZipkinServer, trace: &str, count: usize) -> Vec<Value> {
    let mut spans = Vec::new();
    eventually(&format!("Zipkin holds {count} spans of {trace}"), || {
        let answer = get(server.address, &format!("/api/v2/trace/{trace}"));
        spans = serde_json::from_slice(&answer.body).unwrap_or_default();
        std::thread::sleep(Duration::from_millis(50));
        spans.len() >= count
    });
    in_order(spans)
}

fn in_order(mut spans: Vec<Value>) -> Vec<Value> {
    spans.sort_by_key(|span| (span["id"].to_string(), span["shared"].to_string()));
    spans
}

/// Zipkin lowers the case of names, and OTLP needs a service: the Collector invents one for a span without.
fn as_zipkin_stores_it(span: &Value) -> Value {
    let mut span = span.clone();
    if span.get("localEndpoint").is_none() {
        span["localEndpoint"] = json!({"serviceName": "OTLPResourceNoServiceName"});
    }
    // `error` is the span's status in OTLP, which comes out under its own name as well.
    if span["tags"].get("error").is_some() {
        span["tags"]["otel.status_code"] = json!("Error");
    }
    lower(&mut span["name"]);
    for endpoint in ["localEndpoint", "remoteEndpoint"] {
        if let Some(endpoint) = span.get_mut(endpoint) {
            lower(&mut endpoint["serviceName"]);
        }
    }
    span
}

fn lower(name: &mut Value) {
    if let Some(text) = name.as_str() {
        *name = json!(text.to_lowercase());
    }
}
