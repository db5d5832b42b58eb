//! Events that are attached to spans after these.

use prost::Message;
use sluice_pipeline::otlp::{
    attribute::{write_int, write_text},
    write::Writer,
};
use sluice_protocols::skywalking::{
    attributes::{attached_event, event_name, id},
    id::{Rules, hexadecimal_span_id, hexadecimal_trace_id},
    v3::{
        Instant, SpanAttachedEvent,
        span_attached_event::{SpanReference, SpanReferenceType},
    },
};

use super::{
    Malformed,
    output::Output,
    record::{ATTRIBUTES, Source, record_at, write_numbers, write_pairs, write_some},
};

/// Writes a `SpanAttachedEvent`.
pub(super) fn attached_event(message: &[u8], rules: Rules, output: &mut Output) -> Result<(), Malformed> {
    let event = SpanAttachedEvent::decode(message)?;
    let time = event.start_time.map_or(0, nanoseconds);
    record_at(output, Source::default(), event_name::SPAN_ATTACHED_EVENT, time, |writer| {
        write_pairs(writer, &event.tags);
        write_some(writer, ATTRIBUTES, attached_event::NAME, &event.event);
        if let Some(end) = event.end_time {
            write_int(writer, ATTRIBUTES, attached_event::END, nanoseconds(end).cast_signed());
        }
        write_numbers(writer, attached_event::SUMMARY, &event.summary);
        if let Some(context) = &event.trace_context {
            write_context(writer, context, rules);
        }
    })
}

fn write_context(writer: &mut Writer<'_>, context: &SpanReference, rules: Rules) {
    let kind = SpanReferenceType::try_from(context.r#type);
    let (trace_id, span_id) = match kind {
        Ok(SpanReferenceType::Zipkin) => {
            (hexadecimal_trace_id(&context.trace_id), hexadecimal_span_id(&context.span_id))
        }
        _ => {
            let span = context.span_id.parse().ok().filter(|_| !context.trace_segment_id.is_empty());
            let trace_id = (!context.trace_id.is_empty()).then(|| rules.trace_id(&context.trace_id));
            (trace_id, span.map(|span| rules.span_id(&context.trace_segment_id, span)))
        }
    };
    if let Some(id) = trace_id {
        writer.bytes(9, &id);
    }
    if let Some(id) = span_id {
        writer.bytes(10, &id);
    }
    match kind {
        Ok(kind) => write_text(writer, ATTRIBUTES, attached_event::CONTEXT_TYPE, kind.as_str_name()),
        Err(_) => write_int(writer, ATTRIBUTES, attached_event::CONTEXT_TYPE, context.r#type.into()),
    }
    write_some(writer, ATTRIBUTES, id::TRACE_ID, &context.trace_id);
    write_some(writer, ATTRIBUTES, id::SEGMENT_ID, &context.trace_segment_id);
    write_some(writer, ATTRIBUTES, id::SPAN_ID, &context.span_id);
}

/// Since 1970, at the nearest end of what OTLP's signed numbers of nanoseconds hold.
fn nanoseconds(instant: Instant) -> u64 {
    let nanoseconds = i128::from(instant.seconds) * 1_000_000_000 + i128::from(instant.nanos);
    u64::try_from(nanoseconds.clamp(0, i128::from(i64::MAX))).unwrap_or(0)
}
