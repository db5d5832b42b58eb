//! Zipkin v1 spans of every shape: requests and messages whole and in parts, in JSON and in thrift.

use std::net::{Ipv4Addr, Ipv6Addr};

use fastrand::Rng;
use serde_json::{Map, Value, json};

use super::attributes::pick;

/// When they begin, in microseconds since 1970.
const START: u64 = 1_700_000_000_000_000;

/// A JSON list of spans. Each is a trace of its own, named after `trace` and its place from 1.
#[must_use]
pub fn spans(random: &mut Rng, trace: u64, items: usize) -> Value {
    (1..=items).map(|place| span(random, &format!("{trace:016x}{place:016x}"))).collect()
}

fn span(random: &mut Rng, trace: &str) -> Value {
    let mut span = json!({"traceId": trace, "id": format!("{:016x}", random.u64(1..))});
    let mut set = |key: &str, value: Value| {
        if let Some(span) = span.as_object_mut() {
            span.insert(key.to_owned(), value);
        }
    };
    if random.bool() {
        set("parentId", json!(format!("{:016x}", random.u64(1..))));
    }
    set("name", json!(pick(random, &["get", "POST /orders", "żółw", ""])));
    if random.bool() {
        set("timestamp", json!(START + random.u64(0..8)));
        if random.bool() {
            set("duration", json!(random.u64(1..8)));
        }
    }
    set("annotations", (0..random.usize(0..7)).map(|_| annotation(random)).collect());
    set("binaryAnnotations", (0..random.usize(0..6)).map(|_| binary_annotation(random)).collect());
    if random.u8(..) < 50 {
        set("debug", json!(true));
    }
    span
}

fn annotation(random: &mut Rng) -> Value {
    let value = pick(random, &["cs", "cr", "sr", "ss", "ms", "mr", "ws", "wr", "retry", "x"]);
    let timestamp = START + random.u64(0..12);
    with_endpoint(random, json!({"timestamp": timestamp, "value": value}))
}

fn binary_annotation(random: &mut Rng) -> Value {
    let key = pick(random, &["sa", "ca", "ma", "lc", "http.path", "http.method", "sql"]);
    let value = match key {
        "sa" | "ca" | "ma" => return json!({"key": key, "value": true, "endpoint": endpoint(random)}),
        "lc" => pick(random, &["", "job"]),
        _ => pick(random, &["/", "GET", "ünï", ""]),
    };
    with_endpoint(random, json!({"key": key, "value": value}))
}

fn with_endpoint(random: &mut Rng, mut annotation: Value) -> Value {
    if random.u8(..) < 230 {
        annotation["endpoint"] = endpoint(random);
    }
    annotation
}

fn endpoint(random: &mut Rng) -> Value {
    let mut endpoint = Map::new();
    endpoint.insert("serviceName".to_owned(), json!(pick(random, &["web", "Web", "db", "mail"])));
    if random.bool() {
        endpoint.insert("ipv4".to_owned(), json!(format!("10.0.0.{}", random.u8(1..3))));
    }
    if random.u8(..) < 50 {
        endpoint.insert("ipv6".to_owned(), json!("2001:db8::1"));
    }
    if random.bool() {
        endpoint.insert("port".to_owned(), json!(random.u16(65_533..)));
    }
    Value::Object(endpoint)
}

/// The same list in thrift's binary protocol. Values are those that [`spans`] gives.
#[must_use]
pub fn thrift(list: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write_list(&mut out, list, write_span);
    out
}

fn write_span(out: &mut Vec<u8>, span: &Value) {
    let trace = text(&span["traceId"]);
    let (high, low) = trace.split_at_checked(16).unwrap_or(("0", trace));
    write_long(out, 1, identity(low));
    write_long(out, 12, identity(high));
    write_string(out, 3, text(&span["name"]).as_bytes());
    write_long(out, 4, identity(text(&span["id"])));
    if let Some(parent) = span["parentId"].as_str() {
        write_long(out, 5, identity(parent));
    }
    out.extend([15, 0, 6]);
    write_list(out, &span["annotations"], |out, annotation| {
        write_long(out, 1, annotation["timestamp"].as_u64().unwrap_or(0));
        write_string(out, 2, text(&annotation["value"]).as_bytes());
        write_endpoint(out, 3, &annotation["endpoint"]);
    });
    out.extend([15, 0, 8]);
    write_list(out, &span["binaryAnnotations"], |out, annotation| {
        write_string(out, 1, text(&annotation["key"]).as_bytes());
        let (kind, value) = match annotation["value"].as_str() {
            Some(text) => (6, text.as_bytes()),
            None => (0, &[1][..]),
        };
        write_string(out, 2, value);
        out.extend([8, 0, 3, 0, 0, 0, kind]);
        write_endpoint(out, 4, &annotation["endpoint"]);
    });
    out.extend([2, 0, 9, u8::from(span["debug"] == true)]);
    for (field, key) in [(10, "timestamp"), (11, "duration")] {
        if let Some(time) = span[key].as_u64() {
            write_long(out, field, time);
        }
    }
}

fn write_endpoint(out: &mut Vec<u8>, field: u8, endpoint: &Value) {
    if !endpoint.is_object() {
        return;
    }
    out.extend([12, 0, field, 8, 0, 1]);
    out.extend(
        endpoint["ipv4"]
            .as_str()
            .and_then(|address| address.parse().ok())
            .unwrap_or(Ipv4Addr::UNSPECIFIED)
            .octets(),
    );
    out.extend([6, 0, 2]);
    out.extend(
        endpoint["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(0).to_be_bytes(),
    );
    write_string(out, 3, text(&endpoint["serviceName"]).as_bytes());
    if let Some(address) = endpoint["ipv6"].as_str().and_then(|address| address.parse::<Ipv6Addr>().ok()) {
        write_string(out, 4, &address.octets());
    }
    out.push(0);
}

/// A list of structs, which `write` fills.
fn write_list(out: &mut Vec<u8>, list: &Value, write: impl Fn(&mut Vec<u8>, &Value)) {
    let elements = list.as_array().map_or(&[][..], Vec::as_slice);
    out.push(12);
    write_length(out, elements.len());
    for element in elements {
        write(out, element);
        out.push(0);
    }
}

fn write_long(out: &mut Vec<u8>, field: u8, value: u64) {
    out.extend([10, 0, field]);
    out.extend(value.to_be_bytes());
}

fn write_string(out: &mut Vec<u8>, field: u8, value: &[u8]) {
    out.extend([11, 0, field]);
    write_length(out, value.len());
    out.extend(value);
}

fn write_length(out: &mut Vec<u8>, length: usize) {
    out.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn identity(hexadecimal: &str) -> u64 {
    u64::from_str_radix(hexadecimal, 16).unwrap_or(0)
}
