//! Log records.

use sluice_pipeline::otlp::view::{LogRecord, Text};

use super::{
    super::text::{Id, Time, Typed, line},
    LIST, attributes,
};

pub(super) fn log_record((index, record): (usize, LogRecord<'_>), out: &mut String) {
    line(out, format_args!("LogRecord #{index}"));
    line(out, format_args!("ObservedTimestamp: {}", Time(record.observed_time_unix_nano)));
    line(out, format_args!("Timestamp: {}", Time(record.time_unix_nano)));
    line(out, format_args!("SeverityText: {}", record.severity_text.as_str()));
    let number = record.severity_number;
    line(out, format_args!("SeverityNumber: {}({number})", severity(number)));
    if !record.event_name.is_empty() {
        line(out, format_args!("EventName: {}", record.event_name.as_str()));
    }
    line(out, format_args!("Body: {}", Typed(record.body().unwrap_or_default())));
    attributes("Attributes:", LIST, record.attributes(), out);
    if record.dropped_attributes_count > 0 {
        line(out, format_args!("DroppedAttributesCount: {}", record.dropped_attributes_count));
    }
    line(out, format_args!("Trace ID: {}", Id(record.trace_id)));
    line(out, format_args!("Span ID: {}", Id(record.span_id)));
    line(out, format_args!("Flags: {}", record.flags));
}

/// Six severities of four grades each: `Trace`, `Trace2`, … `Fatal4`.
fn severity(number: i32) -> String {
    let names = ["Trace", "Debug", "Info", "Warn", "Error", "Fatal"];
    let Some(place) = usize::try_from(number).ok().and_then(|number| number.checked_sub(1)) else {
        return "Unspecified".to_owned();
    };
    match (names.get(place / 4), place % 4 + 1) {
        (Some(name), 1) => (*name).to_owned(),
        (Some(name), grade) => format!("{name}{grade}"),
        (None, _) => String::new(),
    }
}
