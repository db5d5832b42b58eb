//! Writes spans of a protobuf `ListOfSpans`.

use super::span::{Endpoint, Span};
use crate::protobuf::{write_bytes, write_fixed64, write_message, write_varint};

/// Appends a span as the next of a list. Absent fields are left out.
pub fn write_span_protobuf(out: &mut Vec<u8>, span: &Span<'_>) {
    write_message(out, 1, |out| {
        write_bytes(out, 1, &span.trace_id);
        if let Some(parent_id) = &span.parent_id {
            write_bytes(out, 2, parent_id);
        }
        write_bytes(out, 3, &span.id);
        if let Some(kind) = span.kind {
            write_varint(out, 4, kind as u64);
        }
        write_text(out, 5, &span.name);
        if span.timestamp != 0 {
            write_fixed64(out, 6, span.timestamp);
        }
        write_number(out, 7, span.duration);
        write_endpoint(out, 8, &span.local_endpoint);
        write_endpoint(out, 9, &span.remote_endpoint);
        for annotation in &span.annotations {
            write_message(out, 10, |out| {
                write_fixed64(out, 1, annotation.timestamp);
                write_text(out, 2, &annotation.value);
            });
        }
        for (key, value) in &span.tags {
            write_message(out, 11, |out| {
                write_text(out, 1, key);
                write_text(out, 2, value);
            });
        }
        write_number(out, 12, u64::from(span.debug));
        write_number(out, 13, u64::from(span.shared));
    });
}

fn write_endpoint(out: &mut Vec<u8>, number: u32, endpoint: &Endpoint<'_>) {
    if endpoint.is_absent() {
        return;
    }
    write_message(out, number, |out| {
        write_text(out, 1, &endpoint.service_name);
        if let Some(address) = endpoint.ipv4 {
            write_bytes(out, 2, &address.octets());
        }
        if let Some(address) = endpoint.ipv6 {
            write_bytes(out, 3, &address.octets());
        }
        write_number(out, 4, u64::from(endpoint.port));
    });
}

fn write_text(out: &mut Vec<u8>, number: u32, text: &str) {
    if !text.is_empty() {
        write_bytes(out, number, text.as_bytes());
    }
}

fn write_number(out: &mut Vec<u8>, number: u32, value: u64) {
    if value != 0 {
        write_varint(out, number, value);
    }
}
