//! Spans.

use std::fmt::Display;

use sluice_pipeline::otlp::view::{Span, SpanEvent, SpanLink, Text};

use super::{
    super::text::{Id, Time, line},
    LIST, NESTED_LIST, attributes,
};

pub(super) fn span((index, span): (usize, Span<'_>), out: &mut String) {
    line(out, format_args!("Span #{index}"));
    property("Trace ID", Id(span.trace_id), out);
    property("Parent ID", Id(span.parent_span_id), out);
    property("ID", Id(span.span_id), out);
    property("Name", span.name.as_str(), out);
    property("Kind", kind(span.kind), out);
    if !span.trace_state.is_empty() {
        property("TraceState", span.trace_state.as_str(), out);
    }
    property("Start time", Time(span.start_time_unix_nano), out);
    property("End time", Time(span.end_time_unix_nano), out);
    let status = span.status();
    property("Status code", status_code(status.code), out);
    property("Status message", status.message.as_str(), out);
    property("DroppedAttributesCount", span.dropped_attributes_count, out);
    property("DroppedEventsCount", span.dropped_events_count, out);
    property("DroppedLinksCount", span.dropped_links_count, out);
    attributes("Attributes:", LIST, span.attributes(), out);
    for (index, each) in span.events().enumerate() {
        event(index, each, out);
    }
    for (index, each) in span.links().enumerate() {
        link(index, each, out);
    }
}

/// A name and a value, names padded to the same width.
pub(super) fn property(name: &str, value: impl Display, out: &mut String) {
    line(out, format_args!("    {name:<15}: {value}"));
}

fn event(index: usize, event: SpanEvent<'_>, out: &mut String) {
    if index == 0 {
        out.push_str("Events:\n");
    }
    line(out, format_args!("SpanEvent #{index}"));
    line(out, format_args!("{LIST}Name: {}", event.name.as_str()));
    line(out, format_args!("{LIST}Timestamp: {}", Time(event.time_unix_nano)));
    line(out, format_args!("{LIST}DroppedAttributesCount: {}", event.dropped_attributes_count));
    attributes("     -> Attributes::", NESTED_LIST, event.attributes(), out);
}

fn link(index: usize, link: SpanLink<'_>, out: &mut String) {
    if index == 0 {
        out.push_str("Links:\n");
    }
    line(out, format_args!("SpanLink #{index}"));
    line(out, format_args!("{LIST}Trace ID: {}", Id(link.trace_id)));
    line(out, format_args!("{LIST}ID: {}", Id(link.span_id)));
    line(out, format_args!("{LIST}TraceState: {}", link.trace_state.as_str()));
    line(out, format_args!("{LIST}DroppedAttributesCount: {}", link.dropped_attributes_count));
    attributes("     -> Attributes::", NESTED_LIST, link.attributes(), out);
}

fn kind(kind: i32) -> &'static str {
    match kind {
        0 => "Unspecified",
        1 => "Internal",
        2 => "Server",
        3 => "Client",
        4 => "Producer",
        5 => "Consumer",
        _ => "",
    }
}

fn status_code(code: i32) -> &'static str {
    match code {
        0 => "Unset",
        1 => "Ok",
        2 => "Error",
        _ => "",
    }
}
