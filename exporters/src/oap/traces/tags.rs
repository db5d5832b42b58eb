//! Attributes as tags, by the names that OAP looks for.

use sluice_pipeline::otlp::{
    view::{Attributes, Scope, Span, SpanEvent, SpanLink, Text},
    write::Writer,
};
use sluice_protocols::skywalking::attributes::{span, span_event};

use super::{attached, semantics::layer};
use crate::oap::wire::{hexadecimal, int, milliseconds, pair};

/// Names of semantic conventions, old and new, that OAP knows by others.
const NAMES: [(&str, &str); 7] = [
    ("http.url", "url"),
    ("db.system", "db.type"),
    ("db.name", "db.instance"),
    ("messaging.destination.name", "mq.topic"),
    ("messaging.destination", "mq.topic"),
    ("rpc.grpc.status_code", "rpc.status_code"),
    ("rpc.response.status_code", "rpc.status_code"),
];
/// The same for spans of caches, of which OAP reads other tags.
const CACHE_NAMES: [(&str, &str); 5] = [
    ("db.system.name", "cache.type"),
    ("db.system", "cache.type"),
    ("db.operation.name", "cache.cmd"),
    ("db.operation", "cache.cmd"),
    ("db.query.text", "cache.statement"),
];

/// Writes the tags of a span: its attributes, and what of its fields SkyWalking has none for.
pub(super) fn write(object: &mut Writer<'_>, span: &Span<'_>, scope: &Scope<'_>, layer: i64) {
    for attribute in span.attributes() {
        pair(object, 12, name(attribute.key.as_str(), layer), &attribute.value.text());
    }
    let mut field = |key: &str, value: &str| {
        if !value.is_empty() {
            pair(object, 12, key, value);
        }
    };
    field("otel.scope.name", scope.name.as_str());
    field("otel.scope.version", scope.version.as_str());
    field("w3c.tracestate", span.trace_state.as_str());
    let status = span.status();
    match status.code {
        1 => field("otel.status_code", "OK"),
        2 => field("otel.status_code", "ERROR"),
        _ => {}
    }
    field("otel.status_description", status.message.as_str());
    for (index, link) in span.links().enumerate() {
        field(&format!("otlp.link.{index}"), &link_text(&link));
    }
}

fn name(key: &str, layer: i64) -> &str {
    let of_cache = CACHE_NAMES.iter().filter(|_| layer == layer::CACHE);
    let renamed = of_cache.chain(&NAMES).find(|(name, _)| *name == key).map(|(_, tag)| *tag);
    renamed.or_else(|| span::TAGS.iter().find(|(_, name)| *name == key).map(|(tag, _)| *tag)).unwrap_or(key)
}

fn link_text(link: &SpanLink<'_>) -> String {
    format!("{}|{}", hexadecimal(link.trace_id), hexadecimal(link.span_id))
}

/// Writes the events of a span that have no end, as logs.
pub(super) fn write_logs(object: &mut Writer<'_>, span: &Span<'_>) {
    for event in span.events().filter(|event| attached::end(event).is_none()) {
        object.message(13, |log| write_log(log, &event));
    }
}

fn write_log(log: &mut Writer<'_>, event: &SpanEvent<'_>) {
    int(log, 1, milliseconds(event.time_unix_nano));
    let is_exception = event.name.as_str() == span_event::EXCEPTION;
    // The name that agents give to exceptions.
    pair(log, 2, "event", if is_exception { "error" } else { event.name.as_str() });
    write_data(log, event.attributes());
}

fn write_data(log: &mut Writer<'_>, attributes: Attributes<'_>) {
    for attribute in attributes {
        let key = attribute.key.as_str();
        let agents = span_event::DATA.iter().find(|(_, name)| *name == key).map_or(key, |(agents, _)| agents);
        pair(log, 2, agents, &attribute.value.text());
    }
}
