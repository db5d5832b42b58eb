//! Writes a JSON list of spans.

use std::io::Write as _;

use super::{
    id::push_hexadecimal,
    span::{Endpoint, Span},
};
use crate::json::write_string;

/// Writes a JSON list, span by span. Absent fields are left out.
#[derive(Debug)]
pub struct SpanListJson<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> SpanListJson<'o> {
    /// Starts a list.
    pub fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'[');
        Self { out, empty: true }
    }

    /// Adds a span.
    pub fn push(&mut self, span: &Span<'_>) {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        write_span(self.out, span);
    }

    /// How long the list is by now, in bytes.
    #[must_use]
    pub fn length(&self) -> usize {
        self.out.len()
    }

    /// Ends the list.
    pub fn end(self) {
        self.out.push(b']');
    }
}

fn write_span(out: &mut Vec<u8>, span: &Span<'_>) {
    write_id(out, "{\"traceId\":\"", &span.trace_id);
    write_id(out, ",\"id\":\"", &span.id);
    if let Some(parent_id) = &span.parent_id {
        write_id(out, ",\"parentId\":\"", parent_id);
    }
    if let Some(kind) = span.kind {
        write_member(out, ",\"kind\":", kind.name());
    }
    if !span.name.is_empty() {
        write_member(out, ",\"name\":", &span.name);
    }
    write_number(out, ",\"timestamp\":", span.timestamp);
    write_number(out, ",\"duration\":", span.duration);
    write_endpoint(out, ",\"localEndpoint\":{", &span.local_endpoint);
    write_endpoint(out, ",\"remoteEndpoint\":{", &span.remote_endpoint);
    write_annotations(out, span);
    write_tags(out, span);
    if span.debug {
        out.extend_from_slice(b",\"debug\":true");
    }
    if span.shared {
        out.extend_from_slice(b",\"shared\":true");
    }
    out.push(b'}');
}

fn write_annotations(out: &mut Vec<u8>, span: &Span<'_>) {
    let mut opening = ",\"annotations\":[";
    for annotation in &span.annotations {
        out.extend_from_slice(opening.as_bytes());
        drop(write!(out, "{{\"timestamp\":{}", annotation.timestamp));
        write_member(out, ",\"value\":", &annotation.value);
        out.push(b'}');
        opening = ",";
    }
    if !span.annotations.is_empty() {
        out.push(b']');
    }
}

fn write_tags(out: &mut Vec<u8>, span: &Span<'_>) {
    let mut opening = ",\"tags\":{";
    for (key, value) in &span.tags {
        out.extend_from_slice(opening.as_bytes());
        write_string(out, key);
        write_member(out, ":", value);
        opening = ",";
    }
    if !span.tags.is_empty() {
        out.push(b'}');
    }
}

fn write_endpoint(out: &mut Vec<u8>, opening: &str, endpoint: &Endpoint<'_>) {
    if endpoint.is_absent() {
        return;
    }
    out.extend_from_slice(opening.as_bytes());
    let start = out.len();
    if !endpoint.service_name.is_empty() {
        write_member(out, ",\"serviceName\":", &endpoint.service_name);
    }
    if let Some(address) = endpoint.ipv4 {
        drop(write!(out, ",\"ipv4\":\"{address}\""));
    }
    if let Some(address) = endpoint.ipv6 {
        drop(write!(out, ",\"ipv6\":\"{address}\""));
    }
    write_number(out, ",\"port\":", u64::from(endpoint.port));
    // The first member has no comma before it.
    out.remove(start);
    out.push(b'}');
}

fn write_id(out: &mut Vec<u8>, opening: &str, id: &[u8]) {
    out.extend_from_slice(opening.as_bytes());
    push_hexadecimal(out, id);
    out.push(b'"');
}

fn write_member(out: &mut Vec<u8>, opening: &str, value: &str) {
    out.extend_from_slice(opening.as_bytes());
    write_string(out, value);
}

fn write_number(out: &mut Vec<u8>, opening: &str, value: u64) {
    if value != 0 {
        // Writing into a vector cannot fail.
        drop(write!(out, "{opening}{value}"));
    }
}
