//! Events with an end, as SkyWalking's `SpanAttachedEvent`: what the kernel saw of a span.

use sluice_pipeline::{
    exchange::{REQUEST_EVENT, RESPONSE_EVENT, SYSCALL_EVENT_PREFIX, event, span},
    otlp::{
        view::{Attributes, Span, SpanEvent, Text},
        write::Writer,
    },
};

use super::index::{present, segment_id};
use crate::oap::{
    entity::Entity,
    streams::{Method, Streams},
    wire::{hexadecimal, instant, int, integer, pair, text},
};

/// `SpanReferenceType`.
const SKYWALKING: i64 = 0;
const ZIPKIN: i64 = 1;

/// The span that an event is attached to.
pub(in crate::oap) struct Context {
    kind: i64,
    trace: String,
    segment: String,
    span: String,
}

/// An event with the span that it is attached to, and who saw it.
pub(in crate::oap) struct Attached<'b, 'a> {
    pub(in crate::oap) event: &'b SpanEvent<'a>,
    pub(in crate::oap) context: &'b Context,
    pub(in crate::oap) entity: &'b Entity,
}

impl Context {
    /// A span of a segment.
    pub(in crate::oap) fn skywalking(trace: &str, segment: &str, span: &str) -> Self {
        Self { kind: SKYWALKING, trace: trace.to_owned(), segment: segment.to_owned(), span: span.to_owned() }
    }

    /// A span of Zipkin's, by its ids.
    pub(in crate::oap) fn zipkin(trace: &[u8], span: &[u8]) -> Self {
        Self { kind: ZIPKIN, trace: hexadecimal(trace), segment: String::new(), span: hexadecimal(span) }
    }

    pub(in crate::oap) fn trace(&self) -> &str {
        &self.trace
    }

    /// As sampled exchanges name the kind of trace.
    pub(in crate::oap) const fn provider(&self) -> &'static str {
        if self.kind == ZIPKIN { "zipkin" } else { "skywalking" }
    }

    /// As `SpanReference`.
    fn write(&self, writer: &mut Writer<'_>, number: u32) {
        self.write_with(writer, number, self.kind);
    }

    /// As `AccessLogTraceInfo`, whose kinds have each other's numbers.
    pub(in crate::oap) fn write_as_access_log(&self, writer: &mut Writer<'_>, number: u32) {
        self.write_with(writer, number, ZIPKIN - self.kind);
    }

    fn write_with(&self, writer: &mut Writer<'_>, number: u32, kind: i64) {
        writer.message(number, |context| {
            int(context, 1, kind);
            text(context, 2, &self.trace);
            text(context, 3, &self.segment);
            text(context, 4, &self.span);
        });
    }
}

/// When the event ends, in nanoseconds; `None` if it has no end.
pub(super) fn end(event: &SpanEvent<'_>) -> Option<u64> {
    let end = event.attributes().find(|pair| pair.key == event::END.as_bytes())?;
    u64::try_from(integer(end.value)?).ok()
}

/// Whether a span has nothing but events, since the span itself goes another way.
pub(super) fn is_partial(span: &Span<'_>) -> bool {
    span.attributes().any(|pair| pair.key == span::PARTIAL.as_bytes())
}

/// Adds the events of a span that is not sent itself.
pub(super) fn push_all(span: &Span<'_>, entity: &Entity, streams: &mut Streams, items: usize) {
    let ids = present::<16>(span.trace_id).zip(present::<8>(span.span_id));
    let Some((trace, id)) = ids else {
        return streams.drop(items, "events of spans without ids");
    };
    let context = Context::skywalking(&hexadecimal(&trace), &segment_id(&trace, &id), "0");
    let mut items = items;
    for event in span.events().filter(|event| end(event).is_some()) {
        Attached { event: &event, context: &context, entity }.push(streams, std::mem::take(&mut items));
    }
    streams.drop(items, "spans without events that stand for spans sent before");
}

impl Attached<'_, '_> {
    /// Adds it.
    pub(in crate::oap) fn push(&self, streams: &mut Streams, items: usize) {
        streams.push(Method::AttachedEvents, "", items, |out| {
            let mut message = Writer::new(out);
            instant(&mut message, 1, self.event.time_unix_nano);
            text(&mut message, 2, self.event.name.as_str());
            if let Some(end) = end(self.event) {
                instant(&mut message, 3, end);
            }
            self.write_tags(&mut message);
            self.context.write(&mut message, 6);
        });
    }

    /// The tags that Rover writes, by which OAP finds the side of the exchange.
    fn write_tags(&self, message: &mut Writer<'_>) {
        let name = self.event.name.as_str();
        let is_syscall = name.starts_with(SYSCALL_EVENT_PREFIX);
        for attribute in self.event.attributes() {
            let value = attribute.value.text();
            let key = match attribute.key.as_str() {
                event::END | event::SEQUENCE => continue,
                event::SIZE if is_syscall => "package_size",
                event::SIZE => "data_size",
                event::CONTENT => "data_content",
                event::DIRECTION => "data_direction",
                event::ROLE => "connection_role",
                event::COUNT => "package_count",
                event::RTT => "avg_rtt_time",
                event::DURATION => "duration",
                event::RETRANSMITS => "retransmits",
                other => other,
            };
            match (attribute.key.as_str(), size(self.event.attributes(), attribute.key)) {
                (event::SIZE, Some(size)) => pair(message, 4, key, &size),
                (event::RTT, _) => pair(message, 4, key, &format!("{value}us")),
                (event::DURATION, _) => pair(message, 4, key, &format!("{value}ns")),
                _ => pair(message, 4, key, &value),
            }
        }
        match name {
            REQUEST_EVENT => pair(message, 4, "data_type", "request"),
            RESPONSE_EVENT => pair(message, 4, "data_type", "response"),
            _ => {}
        }
        pair(message, 4, "service_name", &self.entity.service);
        pair(message, 4, "service_instance_name", &self.entity.instance);
    }
}

/// Bytes as people read them.
fn size(attributes: Attributes<'_>, key: &[u8]) -> Option<String> {
    let bytes = attributes.filter(|pair| pair.key == key).find_map(|pair| integer(pair.value))?;
    human_size(u64::try_from(bytes).ok()?).into()
}

/// `512B`, `1.5KiB`: four digits.
fn human_size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    let digits = match size {
        size if size >= 1000.0 => 0,
        size if size >= 100.0 => 1,
        size if size >= 10.0 => 2,
        _ => 3,
    };
    let text = format!("{size:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{}", UNITS.get(unit).unwrap_or(&""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_rovers() {
        for (bytes, expected) in
            [(0, "0B"), (512, "512B"), (1536, "1.5KiB"), (1023, "1023B"), (10 << 20, "10MiB")]
        {
            assert_eq!(human_size(bytes), expected);
        }
    }
}
