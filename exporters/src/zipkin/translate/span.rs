//! One span.

use std::borrow::Cow;

use sluice_pipeline::{
    exchange::span::PARTIAL,
    otlp::view::{self, AnyValue, Attributes, Scope, Span, SpanEvent, SpanLink, Text},
};
use sluice_protocols::zipkin::{self, Annotation, Kind, push_hexadecimal, tag};

use super::{
    endpoint::{local_endpoint, remote_endpoint},
    interval::{self, Intervals},
    tags::{Tag, Tags},
};

/// The attributes of a resource that may name the service, the best first.
const SERVICE_NAMES: [&str; 4] =
    ["service.name", "faas.name", "k8s.deployment.name", "process.executable.name"];

/// What the spans of a resource have in common.
#[derive(Debug, Default)]
pub(super) struct Resource<'a> {
    service_name: Cow<'a, str>,
    /// Whether the resource does not name the service.
    is_nameless: bool,
    tags: Vec<Tag<'a>>,
}

impl<'a> Resource<'a> {
    /// Takes the service name out of the attributes; the others are tags of every span.
    pub(super) fn of(resource: &view::Resource<'a>, default_service_name: &'a str) -> Self {
        let mut tags: Vec<_> =
            resource.attributes().map(|pair| (Cow::Borrowed(pair.key.as_str()), pair.value.text())).collect();
        for source in SERVICE_NAMES {
            let Some(place) = tags.iter().position(|(key, value)| key == source && !value.is_empty()) else {
                continue;
            };
            let (_, service_name) = tags.remove(place);
            if source != SERVICE_NAMES[0] {
                tags.push((tag::SERVICE_NAME_SOURCE.into(), source.into()));
            }
            return Self { service_name, is_nameless: false, tags };
        }
        let default =
            if default_service_name.is_empty() { tag::NO_SERVICE_NAME } else { default_service_name };
        Self { service_name: default.into(), is_nameless: true, tags }
    }
}

/// What some attributes mean to Zipkin.
#[derive(Default)]
struct Flags {
    debug: bool,
    shared: bool,
    /// Of a partial span: how many intervals the span got before.
    partial: Option<u64>,
}

/// The span as Zipkin has it; `None` if it has no trace id or no span id.
pub(super) fn zipkin_span<'r>(
    resource: &'r Resource<'_>,
    scope: &Scope<'r>,
    span: &Span<'r>,
) -> Option<zipkin::Span<'r>> {
    let trace_id = present(span.trace_id)?;
    let id = present(span.span_id)?;
    let mut flags = Flags::default();
    let mut tags = Vec::new();
    push_field_tags(&mut tags, scope, span);
    push_attributes(&mut tags, &mut flags, span);
    let annotations = push_events(&mut tags, &flags, span);
    tags.extend(resource.tags.iter().map(|(key, value)| (borrow(key), borrow(value))));
    let mut tags = Tags::new(tags);
    if span.status().code != STATUS_ERROR {
        // Zipkin takes any `error` for a failure.
        let _ = tags.take(tag::ERROR, |_| Some(()));
    }
    let kind = match span.kind {
        2 => Some(Kind::Server),
        3 => Some(Kind::Client),
        4 => Some(Kind::Producer),
        5 => Some(Kind::Consumer),
        _ => None,
    };
    let requests = matches!(kind, Some(Kind::Client | Kind::Producer));
    // Zipkin merges a partial span with the span unless they name different services.
    let is_anonymous = resource.is_nameless && flags.partial.is_some();
    let service_name = if is_anonymous { "" } else { &resource.service_name };
    Some(zipkin::Span {
        trace_id,
        id,
        parent_id: present(span.parent_span_id),
        kind,
        name: span.name.as_str().into(),
        timestamp: microseconds(span.start_time_unix_nano),
        duration: duration(span),
        local_endpoint: local_endpoint(borrow(service_name), &mut tags),
        remote_endpoint: remote_endpoint(requests, &mut tags),
        annotations,
        tags: tags.into_list(),
        debug: flags.debug,
        shared: flags.shared,
    })
}

const KIND_INTERNAL: i32 = 1;
const STATUS_OK: i32 = 1;
const STATUS_ERROR: i32 = 2;

/// Pushes tags for the fields that Zipkin does not have.
fn push_field_tags<'r>(tags: &mut Vec<Tag<'r>>, scope: &Scope<'r>, span: &Span<'r>) {
    let mut push = |key: &'static str, value: Cow<'r, str>| {
        if !value.is_empty() {
            tags.push((key.into(), value));
        }
    };
    for key in [tag::SCOPE_NAME, tag::LIBRARY_NAME] {
        push(key, scope.name.as_str().into());
    }
    for key in [tag::SCOPE_VERSION, tag::LIBRARY_VERSION] {
        push(key, scope.version.as_str().into());
    }
    push(tag::TRACE_STATE, span.trace_state.as_str().into());
    if span.kind == KIND_INTERNAL {
        push(tag::SPAN_KIND, "internal".into());
    }
    let status = span.status();
    match status.code {
        STATUS_OK => push(tag::STATUS_CODE, "Ok".into()),
        STATUS_ERROR => push(tag::STATUS_CODE, "Error".into()),
        _ => {}
    }
    if matches!(status.code, STATUS_OK | STATUS_ERROR) {
        push(tag::STATUS_DESCRIPTION, status.message.as_str().into());
    }
    for (key, count) in [
        (tag::DROPPED_ATTRIBUTES, span.dropped_attributes_count),
        (tag::DROPPED_EVENTS, span.dropped_events_count),
        (tag::DROPPED_LINKS, span.dropped_links_count),
    ] {
        if count > 0 {
            push(key, count.to_string().into());
        }
    }
    for (place, link) in span.links().enumerate() {
        tags.push((format!("{}{place}", tag::LINK_PREFIX).into(), link_text(&link).into()));
    }
}

/// Pushes the attributes of the span, but for those that are fields in Zipkin.
fn push_attributes<'r>(tags: &mut Vec<Tag<'r>>, flags: &mut Flags, span: &Span<'r>) {
    for pair in span.attributes() {
        match (pair.key.as_str(), pair.value) {
            (tag::DEBUG, AnyValue::Bool(true)) => flags.debug = true,
            (tag::SHARED, AnyValue::Bool(true)) => flags.shared = true,
            (PARTIAL, AnyValue::Int(before)) => flags.partial = u64::try_from(before).ok(),
            (tag::ABSENT_TIMESTAMP, AnyValue::Bool(true)) if span.start_time_unix_nano == 0 => {}
            (key, value) => tags.push((key.into(), value.text())),
        }
    }
    if span.status().code == STATUS_ERROR {
        // Only where no attribute of the span says more.
        tags.push((tag::ERROR.into(), "true".into()));
    }
}

/// Pushes the tags of events that are intervals, and returns the annotations of all.
fn push_events<'r>(tags: &mut Vec<Tag<'r>>, flags: &Flags, span: &Span<'r>) -> Vec<Annotation<'r>> {
    let mut annotations = Vec::new();
    let mut intervals = Intervals::new(flags.partial.unwrap_or(0));
    for event in span.events() {
        match interval::end(&event) {
            Some(end) => intervals.push(span, &event, end, &mut annotations, tags),
            None => annotations.push(annotation(&event)),
        }
    }
    annotations
}

fn annotation<'r>(event: &SpanEvent<'r>) -> Annotation<'r> {
    let name = event.name.as_str();
    let value = if event.attributes().is_empty() && event.dropped_attributes_count == 0 {
        name.into()
    } else {
        format!("{name}|{}|{}", json(event.attributes()), event.dropped_attributes_count).into()
    };
    Annotation { timestamp: microseconds(event.time_unix_nano), value }
}

fn link_text(link: &SpanLink<'_>) -> String {
    format!(
        "{}|{}|{}|{}|{}",
        hexadecimal(link.trace_id),
        hexadecimal(link.span_id),
        link.trace_state.as_str(),
        json(link.attributes()),
        link.dropped_attributes_count
    )
}

fn json(attributes: Attributes<'_>) -> String {
    AnyValue::KeyValues(attributes).text().into_owned()
}

fn hexadecimal(id: &[u8]) -> String {
    let mut digits = Vec::with_capacity(32);
    push_hexadecimal(&mut digits, id);
    digits.into_iter().map(char::from).collect()
}

/// An id that is there: of the right length and not all zeros.
fn present<const BYTES: usize>(id: &[u8]) -> Option<[u8; BYTES]> {
    <[u8; BYTES]>::try_from(id).ok().filter(|id| *id != [0; BYTES])
}

const fn microseconds(nanoseconds: u64) -> u64 {
    nanoseconds / 1_000
}

/// At least a microsecond for a span that took time at all, since Zipkin takes 0 for unknown.
fn duration(span: &Span<'_>) -> u64 {
    match span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano) {
        0 => 0,
        nanoseconds => microseconds(nanoseconds).max(1),
    }
}

fn borrow(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text)
}
