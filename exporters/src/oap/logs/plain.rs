//! Logs.

use std::borrow::Cow;

use sluice_pipeline::otlp::{
    view::{AnyValue, Text},
    write::Writer,
};
use sluice_protocols::skywalking::attributes::{ESCAPE, RESERVED, id, log, scope};

use super::{super::traces::segment_id, Record};
use crate::oap::{
    streams::{Method, Streams},
    wire::{hexadecimal, int, integer, milliseconds, pair, text},
};

/// A span of a segment, as logs name it.
struct TraceContext<'a> {
    trace: Cow<'a, str>,
    segment: Cow<'a, str>,
    span: i64,
}

/// Adds a log to the stream of its service: OAP takes the first service of a stream for that of all its logs.
pub(super) fn push(of: &Record<'_, '_>, scope: &str, streams: &mut Streams) {
    let is_agents = scope == scope::NAME;
    let record = &of.record;
    let entity = if is_agents { of.said } else { of.entity };
    let attribute = |name: &str| crate::oap::entity::text(record.attributes(), name);
    streams.push(Method::Logs, &entity.service, 1, |out| {
        let mut data = Writer::new(out);
        let time = match record.time_unix_nano {
            0 if !is_agents => record.observed_time_unix_nano,
            time => time,
        };
        int(&mut data, 1, milliseconds(time));
        text(&mut data, 2, &entity.service);
        text(&mut data, 3, &entity.instance);
        text(&mut data, 4, &attribute(log::ENDPOINT).unwrap_or_default());
        let (body, kind) = (record.body(), attribute(log::BODY_TYPE).unwrap_or_default());
        if body.is_some() || !kind.is_empty() {
            data.message(5, |out| {
                text(out, 1, &kind);
                if let Some(body) = body {
                    write_content(out, body, attribute(log::BODY_FORMAT).as_deref());
                }
            });
        }
        if let Some(context) = context(of) {
            data.message(6, |out| {
                text(out, 1, &context.trace);
                text(out, 2, &context.segment);
                int(out, 3, context.span);
            });
        }
        let mut tags = Vec::new();
        write_tags(&mut Writer::new(&mut tags), of, if is_agents { "" } else { scope });
        if !tags.is_empty() {
            data.bytes(7, &tags);
        }
        text(&mut data, 8, &entity.layer);
    });
}

fn write_content(out: &mut Writer<'_>, body: AnyValue<'_>, format: Option<&str>) {
    let structured = matches!(body, AnyValue::Array(_) | AnyValue::KeyValues(_));
    let number = match format {
        Some("yaml") => 4,
        Some("json") => 3,
        _ if structured => 3,
        _ => 2,
    };
    out.message(number, |content| text(content, 1, &body.text()));
}

/// The span that a log was written in: SkyWalking's where it came from there, else the one that a span with these ids
/// becomes.
fn context<'a>(of: &Record<'_, 'a>) -> Option<TraceContext<'a>> {
    let attribute = |name: &str| crate::oap::entity::text(of.record.attributes(), name);
    let (trace, segment) = (attribute(id::TRACE_ID), attribute(id::SEGMENT_ID));
    let number = of.record.attributes().find(|pair| pair.key.as_str() == id::SPAN_ID);
    let span = number.and_then(|pair| integer(pair.value)).unwrap_or_default();
    if trace.is_some() || segment.is_some() || span != 0 {
        let (trace, segment) = (trace.unwrap_or_default(), segment.unwrap_or_default());
        return Some(TraceContext { trace, segment, span });
    }
    let (trace, span) = (of.record.trace_id, of.record.span_id);
    if trace.is_empty() {
        return None;
    }
    let segment = if span.is_empty() { String::new() } else { segment_id(trace, span) };
    Some(TraceContext { trace: hexadecimal(trace).into(), segment: segment.into(), span: 0 })
}

fn write_tags(tags: &mut Writer<'_>, of: &Record<'_, '_>, scope: &str) {
    let record = &of.record;
    let mut has_level = false;
    for attribute in record.attributes() {
        let key = attribute.key.as_str();
        has_level |= key == log::LEVEL;
        match key.strip_prefix(ESCAPE) {
            Some(key) => pair(tags, 1, key, &attribute.value.text()),
            None if RESERVED.iter().any(|beginning| key.starts_with(beginning)) => {}
            None => pair(tags, 1, key, &attribute.value.text()),
        }
    }
    let level = match record.severity_text.as_str() {
        "" => level(record.severity_number),
        text => text,
    };
    let mut field = |key: &str, value: &str| {
        if !value.is_empty() {
            pair(tags, 1, key, value);
        }
    };
    if !has_level {
        field(log::LEVEL, level);
    }
    field("logger", scope);
    field("event.name", record.event_name.as_str());
}

/// The short name of a severity (OpenTelemetry, "Displaying Severity").
const fn level(number: i32) -> &'static str {
    match number {
        1..=4 => "TRACE",
        5..=8 => "DEBUG",
        9..=12 => "INFO",
        13..=16 => "WARN",
        17..=20 => "ERROR",
        21..=24 => "FATAL",
        _ => "",
    }
}
