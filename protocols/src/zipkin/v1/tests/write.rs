//! Writes lists of spans in both encodings.

use std::net::Ipv4Addr;

use serde_json::json;

use super::super::span::{Scalar, SourceSpan, Value};
use crate::zipkin::Endpoint;

/// A list in thrift's binary protocol.
pub(super) fn list(spans: &[SourceSpan<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    write_list(&mut out, spans, |out, span| {
        write_number(out, 1, i64::from_be_bytes(span.trace_id[8..].try_into().unwrap()));
        write_number(out, 12, i64::from_be_bytes(span.trace_id[..8].try_into().unwrap()));
        write_text(out, 3, span.name.as_bytes());
        write_number(out, 4, i64::from_be_bytes(span.id));
        if let Some(parent_id) = span.parent_id {
            write_number(out, 5, i64::from_be_bytes(parent_id));
        }
        out.extend([15, 0, 6]);
        write_list(out, &span.annotations, |out, annotation| {
            write_number(out, 1, annotation.timestamp.cast_signed());
            write_text(out, 2, annotation.value.as_bytes());
            write_endpoint(out, 3, annotation.endpoint.as_ref());
        });
        out.extend([15, 0, 8]);
        write_list(out, &span.binary_annotations, |out, annotation| {
            write_text(out, 1, annotation.key.as_bytes());
            let (kind, bytes): (i32, Vec<u8>) = match &annotation.value {
                Value::Text(text) => (6, text.as_bytes().to_vec()),
                Value::Scalar(Scalar::Boolean(value)) => (0, vec![u8::from(*value)]),
                Value::Scalar(Scalar::Integer(value)) => (4, value.to_be_bytes().to_vec()),
                Value::Scalar(Scalar::Double(value)) => (5, value.to_be_bytes().to_vec()),
            };
            write_text(out, 2, &bytes);
            out.extend([8, 0, 3]);
            out.extend(kind.to_be_bytes());
            write_endpoint(out, 4, annotation.endpoint.as_ref());
        });
        out.extend([2, 0, 9, u8::from(span.debug)]);
        write_number(out, 10, span.timestamp.cast_signed());
        write_number(out, 11, span.duration.cast_signed());
    });
    out
}

fn write_list<T>(out: &mut Vec<u8>, elements: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    out.push(12);
    out.extend(u32::try_from(elements.len()).unwrap().to_be_bytes());
    for element in elements {
        write(out, element);
        out.push(0);
    }
}

fn write_number(out: &mut Vec<u8>, field: u8, number: i64) {
    out.extend([10, 0, field]);
    out.extend(number.to_be_bytes());
}

fn write_text(out: &mut Vec<u8>, field: u8, text: &[u8]) {
    out.extend([11, 0, field]);
    out.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
    out.extend(text);
}

fn write_endpoint(out: &mut Vec<u8>, field: u8, endpoint: Option<&Endpoint<'_>>) {
    let Some(endpoint) = endpoint else { return };
    out.extend([12, 0, field, 8, 0, 1]);
    out.extend(endpoint.ipv4.unwrap_or(Ipv4Addr::UNSPECIFIED).octets());
    out.extend([6, 0, 2]);
    out.extend(endpoint.port.to_be_bytes());
    write_text(out, 3, endpoint.service_name.as_bytes());
    if let Some(address) = endpoint.ipv6 {
        write_text(out, 4, &address.octets());
    }
    out.push(0);
}

/// The same list in JSON.
pub(super) fn json_list(spans: &[SourceSpan<'_>]) -> String {
    let hexadecimal = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let host = |endpoint: &Option<Endpoint<'_>>| {
        endpoint.as_ref().map(|endpoint| {
            json!({
                "serviceName": endpoint.service_name, "ipv4": endpoint.ipv4, "ipv6": endpoint.ipv6, "port": endpoint.port,
            })
        })
    };
    let value = |value: &Value<'_>| match value {
        Value::Text(text) => json!(text),
        Value::Scalar(Scalar::Boolean(value)) => json!(value),
        Value::Scalar(Scalar::Integer(value)) => json!(value),
        Value::Scalar(Scalar::Double(value)) => json!(value),
    };
    let spans: Vec<_> = spans
        .iter()
        .map(|span| {
            let annotations: Vec<_> = span
                .annotations
                .iter()
                .map(|annotation| {
                    json!({
                        "timestamp": annotation.timestamp, "value": annotation.value,
                        "endpoint": host(&annotation.endpoint),
                    })
                })
                .collect();
            let binary: Vec<_> = span
                .binary_annotations
                .iter()
                .map(|annotation| {
                    json!({
                        "key": annotation.key, "value": value(&annotation.value), "endpoint": host(&annotation.endpoint),
                    })
                })
                .collect();
            json!({
                "traceId": hexadecimal(&span.trace_id), "id": hexadecimal(&span.id),
                "parentId": span.parent_id.map(|id| hexadecimal(&id)), "name": span.name,
                "timestamp": span.timestamp, "duration": span.duration, "debug": span.debug,
                "annotations": annotations, "binaryAnnotations": binary,
            })
        })
        .collect();
    serde_json::Value::from(spans).to_string()
}
