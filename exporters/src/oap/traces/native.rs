//! Spans that came from SkyWalking's agents, as the agents said them (`docs/skywalking-mapping.md`).

use sluice_pipeline::otlp::{
    view::{AnyValue, Span, SpanEvent, SpanLink, Text},
    write::Writer,
};
use sluice_protocols::skywalking::attributes::{ESCAPE, RESERVED, id, link, span as names, span_event};

use super::{
    attached::{self, Attached, Context},
    reference::{Caller, Reference},
    semantics::{is_entry, is_exit, layer_number},
};
use crate::oap::{
    entity::{Entity, text as attribute},
    streams::{Method, Streams},
    wire::{flag, int, integer, milliseconds, pair, text},
};

const STATUS_ERROR: i32 = 2;

/// The segment of which spans are read.
#[derive(Default)]
pub(super) struct Segments {
    trace: String,
    segment: String,
    spans: Vec<u8>,
    count: usize,
    is_size_limited: bool,
}

/// What a span says of itself in SkyWalking's terms.
#[derive(Default)]
struct Said<'a> {
    trace: Option<&'a str>,
    segment: Option<&'a str>,
    number: i64,
    parent: Option<i64>,
    layer: i64,
    kind: Option<i64>,
    component: i64,
    skips_analysis: bool,
    is_size_limited: bool,
    address: &'a str,
    port: Option<i64>,
}

impl Segments {
    /// Adds a span to the segment that it is of; false if it is not SkyWalking's.
    pub(super) fn push(&mut self, span: &Span<'_>, said: &Entity, streams: &mut Streams) -> bool {
        let own = Said::of(span);
        let Some(segment) = own.segment else { return false };
        let trace = own.trace.unwrap_or_default();
        if self.trace != trace || self.segment != segment {
            self.finish(said, streams);
            (self.trace, self.segment) = (trace.to_owned(), segment.to_owned());
        }
        self.is_size_limited |= own.is_size_limited;
        self.count += 1;
        Writer::new(&mut self.spans).message(3, |object| own.write(object, span));
        for event in span.events().filter(|event| attached::end(event).is_some()) {
            let context = Context::skywalking(trace, segment, &own.number.to_string());
            Attached { event: &event, context: &context, entity: said }.push(streams, 0);
        }
        true
    }

    /// Ends the segment.
    pub(super) fn finish(&mut self, said: &Entity, streams: &mut Streams) {
        let done = std::mem::take(self);
        if done.count == 0 {
            return;
        }
        streams.push(Method::Segments, "", done.count, |out| {
            let mut segment = Writer::new(out);
            text(&mut segment, 1, &done.trace);
            text(&mut segment, 2, &done.segment);
            segment.raw(&done.spans);
            text(&mut segment, 4, &said.service);
            text(&mut segment, 5, &said.instance);
            flag(&mut segment, 6, done.is_size_limited);
        });
    }
}

impl<'a> Said<'a> {
    fn of(span: &Span<'a>) -> Self {
        let mut said = Self::default();
        let is_server = span.kind == 2;
        for attribute in span.attributes() {
            let number = integer(attribute.value);
            match attribute.key.as_str() {
                id::TRACE_ID => said.trace = string(attribute.value),
                id::SEGMENT_ID => said.segment = string(attribute.value),
                id::SPAN_ID => said.number = number.unwrap_or_default(),
                id::PARENT_SPAN_ID => said.parent = number,
                names::LAYER => said.layer = layer_number(attribute.value),
                names::TYPE => said.kind = number,
                names::COMPONENT_ID => said.component = number.unwrap_or_default(),
                names::SKIP_ANALYSIS => said.skips_analysis = true,
                names::SIZE_LIMITED => said.is_size_limited = true,
                names::CLIENT_ADDRESS if is_server => {
                    said.address = string(attribute.value).unwrap_or_default()
                }
                names::SERVER_ADDRESS if !is_server => {
                    said.address = string(attribute.value).unwrap_or_default()
                }
                names::CLIENT_PORT if is_server => said.port = number,
                names::SERVER_PORT if !is_server => said.port = number,
                _ => {}
            }
        }
        said
    }

    fn write(&self, object: &mut Writer<'_>, span: &Span<'a>) {
        int(object, 1, self.number);
        int(object, 2, self.parent.unwrap_or(-1));
        int(object, 3, milliseconds(span.start_time_unix_nano));
        int(object, 4, milliseconds(span.end_time_unix_nano));
        span.links().for_each(|link| write_reference(object, &link));
        text(object, 6, span.name.as_str());
        text(object, 7, &self.peer());
        int(object, 8, self.kind.unwrap_or_else(|| kind(span.kind)));
        int(object, 9, self.layer);
        int(object, 10, self.component);
        flag(object, 11, span.status().code == STATUS_ERROR);
        self.write_tags(object, span);
        let logs = span.events().filter(|event| attached::end(event).is_none());
        logs.for_each(|event| write_log(object, &event));
        flag(object, 14, self.skips_analysis);
    }

    fn peer(&self) -> String {
        match self.port {
            Some(port) if self.address.contains(':') => format!("[{}]:{port}", self.address),
            Some(port) => format!("{}:{port}", self.address),
            None => self.address.to_owned(),
        }
    }

    fn write_tags(&self, object: &mut Writer<'_>, span: &Span<'a>) {
        for attribute in span.attributes() {
            let key = attribute.key.as_str();
            if let Some(key) = key.strip_prefix(ESCAPE) {
                pair(object, 12, key, &attribute.value.text());
            } else if let Some((tag, _)) = names::TAGS.iter().find(|(_, name)| *name == key) {
                pair(object, 12, tag, &attribute.value.text());
            } else if !is_own(key) && !is_place(key) {
                pair(object, 12, key, &attribute.value.text());
            }
        }
    }
}

/// Whether a key belongs to the contract, and so is no tag.
fn is_own(key: &str) -> bool {
    RESERVED.iter().any(|beginning| key.starts_with(beginning))
}

/// Whether it is part of the peer.
fn is_place(key: &str) -> bool {
    matches!(key, names::CLIENT_ADDRESS | names::CLIENT_PORT | names::SERVER_ADDRESS | names::SERVER_PORT)
}

const fn kind(kind: i32) -> i64 {
    if is_entry(kind) {
        0
    } else if is_exit(kind) {
        1
    } else {
        2
    }
}

fn write_reference(object: &mut Writer<'_>, referred: &SpanLink<'_>) {
    let value = |name: &str| attribute(referred.attributes(), name);
    let Some(segment) = value(id::PARENT_SEGMENT_ID) else { return };
    let number =
        |name: &str| referred.attributes().find(|pair| pair.key.as_str() == name).map(|pair| pair.value);
    let kind = match number(link::REF_TYPE) {
        Some(AnyValue::Int(kind)) => kind,
        Some(AnyValue::String(b"CrossThread")) => 1,
        _ => 0,
    };
    let said = |name: &str| value(name).unwrap_or_default();
    let (service, instance, endpoint) =
        (said(link::PARENT_SERVICE), said(link::PARENT_INSTANCE), said(link::PARENT_ENDPOINT));
    let reference = Reference {
        kind,
        trace: &said(id::TRACE_ID),
        segment: &segment,
        span: number(id::PARENT_SPAN_ID).and_then(integer).unwrap_or_default(),
        caller: Caller { service: &service, instance: &instance, endpoint: &endpoint },
        address: &said(link::ADDRESS_USED_AT_PEER),
    };
    reference.write(object, 5);
}

fn write_log(object: &mut Writer<'_>, log: &SpanEvent<'_>) {
    object.message(13, |out| {
        int(out, 1, milliseconds(log.time_unix_nano));
        let name = log.name.as_str();
        if !matches!(name, span_event::EXCEPTION | span_event::LOGS) {
            pair(out, 2, "event", name);
        }
        for attribute in log.attributes() {
            let key = attribute.key.as_str();
            let value = attribute.value.text();
            let own = span_event::DATA.iter().find(|(_, theirs)| *theirs == key);
            match own.filter(|_| name == span_event::EXCEPTION) {
                Some((ours, _)) => pair(out, 2, ours, &value),
                None => pair(out, 2, key.strip_prefix(ESCAPE).unwrap_or(key), &value),
            }
        }
    });
}

fn string(value: AnyValue<'_>) -> Option<&str> {
    match value {
        AnyValue::String(text) => Some(text.as_str()),
        _ => None,
    }
}
