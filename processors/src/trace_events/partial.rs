//! Partial spans: the ids of a span that has left, or that never passed, with events only.
//!
//! Zipkin merges what has the same ids, shared flag and service. A partial span has no times and no name, so that the
//! merged one has those of the span.

use sluice_pipeline::{exchange::span::PARTIAL, otlp::write::Writer};

use super::{
    exchange::{Role, TraceContext},
    identity::End,
    span::{SERVER, SHARED, SpanFacts},
};

/// As the `zipkin` receiver and exporter name the local endpoint.
const LOCAL_ADDRESS: &str = "net.host.ip";
const LOCAL_PORT: &str = "net.host.port";

/// An encoded span with the ids, kind and address of one that has left. The address tells spans that share an id apart.
pub(super) fn of_span(span: &SpanFacts, events: &[u8]) -> Vec<u8> {
    let partial = Partial {
        kind: span.kind,
        parent: span.parent,
        shared: span.shared,
        local: span.local,
        before: span.events,
    };
    partial.encode(&span.trace_id, span.id, events)
}

/// An encoded span with the id of a header. The kind of the client's is left open: it is the server's where an
/// application only copies headers.
pub(super) fn of_context(context: &TraceContext, role: Role, events: &[u8]) -> Vec<u8> {
    let partial = match role {
        Role::Client => Partial::default(),
        Role::Server => Partial { kind: SERVER, shared: true, ..Partial::default() },
    };
    partial.encode(&context.trace_id, context.id, events)
}

/// What a partial span may tell beside its ids and events.
#[derive(Default)]
struct Partial {
    kind: i32,
    parent: u64,
    shared: bool,
    local: End,
    /// How many events the span has got before.
    before: u32,
}

impl Partial {
    fn encode(&self, trace_id: &[u8; 16], id: u64, events: &[u8]) -> Vec<u8> {
        let mut span = Vec::with_capacity(192 + events.len());
        let mut writer = Writer::new(&mut span);
        writer.bytes(1, trace_id);
        writer.bytes(2, &id.to_be_bytes());
        if self.parent != 0 {
            writer.bytes(4, &self.parent.to_be_bytes());
        }
        if self.kind != 0 {
            writer.int(6, i64::from(self.kind));
        }
        write_attribute(&mut writer, PARTIAL, |writer| writer.int(3, i64::from(self.before)));
        if self.shared {
            write_attribute(&mut writer, SHARED, |writer| writer.varint(2, 1));
        }
        if let Some(address) = self.local.address {
            write_attribute(&mut writer, LOCAL_ADDRESS, |writer| {
                writer.bytes(1, address.to_string().as_bytes())
            });
        }
        if self.local.port != 0 {
            write_attribute(&mut writer, LOCAL_PORT, |writer| writer.int(3, i64::from(self.local.port)));
        }
        writer.raw(events);
        span
    }
}

fn write_attribute(writer: &mut Writer<'_>, key: &str, value: impl FnOnce(&mut Writer<'_>)) {
    writer.message(9, |writer| {
        writer.bytes(1, key.as_bytes());
        writer.message(2, value);
    });
}
