//! Partial spans: the ids of a span that has left, or that never passed, with events only.
//!
//! Zipkin merges what has the same ids, shared flag and service. A partial span has no times and no name, so that the
//! merged one has those of the span.

use sluice_pipeline::{exchange::span::PARTIAL, otlp::write::Writer};

use super::{
    exchange::{Role, TraceContext},
    span::{SERVER, SHARED, SpanFacts},
};

/// An encoded span with the ids and kind of one that has left.
pub(super) fn of_span(span: &SpanFacts, events: &[u8]) -> Vec<u8> {
    encode(&span.trace_id, span.id, span.parent, span.kind, span.shared, span.events, events)
}

/// An encoded span with the id of a header. The kind of the client's is left open: it is the server's where an
/// application only copies headers.
pub(super) fn of_context(context: &TraceContext, role: Role, events: &[u8]) -> Vec<u8> {
    match role {
        Role::Client => encode(&context.trace_id, context.id, 0, 0, false, 0, events),
        Role::Server => encode(&context.trace_id, context.id, 0, SERVER, true, 0, events),
    }
}

fn encode(
    trace_id: &[u8; 16],
    id: u64,
    parent: u64,
    kind: i32,
    shared: bool,
    before: u32,
    events: &[u8],
) -> Vec<u8> {
    let mut span = Vec::with_capacity(96 + events.len());
    let mut writer = Writer::new(&mut span);
    writer.bytes(1, trace_id);
    writer.bytes(2, &id.to_be_bytes());
    if parent != 0 {
        writer.bytes(4, &parent.to_be_bytes());
    }
    if kind != 0 {
        writer.int(6, i64::from(kind));
    }
    write_attribute(&mut writer, PARTIAL, |writer| writer.int(3, i64::from(before)));
    if shared {
        write_attribute(&mut writer, SHARED, |writer| writer.varint(2, 1));
    }
    writer.raw(events);
    span
}

fn write_attribute(writer: &mut Writer<'_>, key: &str, value: impl FnOnce(&mut Writer<'_>)) {
    writer.message(9, |writer| {
        writer.bytes(1, key.as_bytes());
        writer.message(2, value);
    });
}
