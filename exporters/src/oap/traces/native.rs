//! Spans that came from SkyWalking's agents, as the agents said them (`docs/skywalking-mapping.md`).

use std::{borrow::Cow, io::Write as _};

use sluice_pipeline::otlp::{
    view::{AnyValue, Span, SpanEvent, SpanLink},
    write::Writer,
};
use sluice_protocols::skywalking::attributes::{ESCAPE, RESERVED, id, link, span as names, span_event};

use super::{
    attached::{self, Attached, Context},
    semantics::{is_entry, is_exit, layer_number},
};
use crate::oap::{
    entity::Entity,
    streams::{Method, Streams},
    wire::{flag, int, integer, milliseconds, text},
};

const STATUS_ERROR: i32 = 2;

/// Keys as they are compared: text was checked at the door, and is not here again.
mod key {
    use super::{id, link, names};

    pub(super) const TRACE_ID: &[u8] = id::TRACE_ID.as_bytes();
    pub(super) const SEGMENT_ID: &[u8] = id::SEGMENT_ID.as_bytes();
    pub(super) const SPAN_ID: &[u8] = id::SPAN_ID.as_bytes();
    pub(super) const PARENT_SPAN_ID: &[u8] = id::PARENT_SPAN_ID.as_bytes();
    pub(super) const PARENT_SEGMENT_ID: &[u8] = id::PARENT_SEGMENT_ID.as_bytes();
    pub(super) const LAYER: &[u8] = names::LAYER.as_bytes();
    pub(super) const TYPE: &[u8] = names::TYPE.as_bytes();
    pub(super) const COMPONENT_ID: &[u8] = names::COMPONENT_ID.as_bytes();
    pub(super) const SKIP_ANALYSIS: &[u8] = names::SKIP_ANALYSIS.as_bytes();
    pub(super) const SIZE_LIMITED: &[u8] = names::SIZE_LIMITED.as_bytes();
    pub(super) const CLIENT_ADDRESS: &[u8] = names::CLIENT_ADDRESS.as_bytes();
    pub(super) const CLIENT_PORT: &[u8] = names::CLIENT_PORT.as_bytes();
    pub(super) const SERVER_ADDRESS: &[u8] = names::SERVER_ADDRESS.as_bytes();
    pub(super) const SERVER_PORT: &[u8] = names::SERVER_PORT.as_bytes();
    pub(super) const REF_TYPE: &[u8] = link::REF_TYPE.as_bytes();
    pub(super) const PARENT_SERVICE: &[u8] = link::PARENT_SERVICE.as_bytes();
    pub(super) const PARENT_INSTANCE: &[u8] = link::PARENT_INSTANCE.as_bytes();
    pub(super) const PARENT_ENDPOINT: &[u8] = link::PARENT_ENDPOINT.as_bytes();
    pub(super) const ADDRESS_USED_AT_PEER: &[u8] = link::ADDRESS_USED_AT_PEER.as_bytes();
}

/// The segment of which spans are read.
#[derive(Default)]
pub(super) struct Segments {
    trace: Vec<u8>,
    segment: Vec<u8>,
    spans: Vec<u8>,
    count: usize,
    is_size_limited: bool,
}

/// What a span says of itself in SkyWalking's terms.
#[derive(Default)]
struct Said<'a> {
    trace: &'a [u8],
    segment: Option<&'a [u8]>,
    number: i64,
    parent: Option<i64>,
    layer: i64,
    kind: Option<i64>,
    component: i64,
    skips_analysis: bool,
    is_size_limited: bool,
    address: &'a [u8],
    port: Option<i64>,
}

impl Segments {
    /// Adds a span to the segment that it is of; false if it is not SkyWalking's.
    pub(super) fn push(&mut self, span: &Span<'_>, said: &Entity, streams: &mut Streams) -> bool {
        let own = Said::of(span);
        let Some(segment) = own.segment else { return false };
        let trace = own.trace;
        if self.trace != trace || self.segment != segment {
            self.finish(said, streams);
            (self.trace, self.segment) = (trace.to_vec(), segment.to_vec());
        }
        self.is_size_limited |= own.is_size_limited;
        self.count += 1;
        Writer::new(&mut self.spans).message(3, |object| own.write(object, span));
        for event in span.events().filter(|event| attached::end(event).is_some()) {
            let [trace, segment] = [trace, segment].map(String::from_utf8_lossy);
            let context = Context::skywalking(&trace, &segment, &own.number.to_string());
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
            out.reserve(done.spans.len() + done.trace.len() + done.segment.len() + 64);
            let mut segment = Writer::new(out);
            some(&mut segment, 1, &done.trace);
            some(&mut segment, 2, &done.segment);
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
            let value = attribute.value;
            match attribute.key {
                key::TRACE_ID => said.trace = string(value).unwrap_or_default(),
                key::SEGMENT_ID => said.segment = string(value),
                key::SPAN_ID => said.number = integer(value).unwrap_or_default(),
                key::PARENT_SPAN_ID => said.parent = integer(value),
                key::LAYER => said.layer = layer_number(value),
                key::TYPE => said.kind = integer(value),
                key::COMPONENT_ID => said.component = integer(value).unwrap_or_default(),
                key::SKIP_ANALYSIS => said.skips_analysis = true,
                key::SIZE_LIMITED => said.is_size_limited = true,
                key::CLIENT_ADDRESS if is_server => said.address = string(value).unwrap_or_default(),
                key::SERVER_ADDRESS if !is_server => said.address = string(value).unwrap_or_default(),
                key::CLIENT_PORT if is_server => said.port = integer(value),
                key::SERVER_PORT if !is_server => said.port = integer(value),
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
        some(object, 6, span.name);
        some(object, 7, &self.peer());
        int(object, 8, self.kind.unwrap_or_else(|| kind(span.kind)));
        int(object, 9, self.layer);
        int(object, 10, self.component);
        flag(object, 11, span.status().code == STATUS_ERROR);
        write_tags(object, span);
        let logs = span.events().filter(|event| attached::end(event).is_none());
        logs.for_each(|event| write_log(object, &event));
        flag(object, 14, self.skips_analysis);
    }

    fn peer(&self) -> Cow<'a, [u8]> {
        let Some(port) = self.port else { return Cow::Borrowed(self.address) };
        let mut peer = Vec::with_capacity(self.address.len() + 8);
        let is_bracketed = self.address.contains(&b':');
        peer.extend(is_bracketed.then_some(b'['));
        peer.extend_from_slice(self.address);
        peer.extend(is_bracketed.then_some(b']'));
        // Writing to a Vec does not fail.
        let _ = write!(peer, ":{port}");
        Cow::Owned(peer)
    }
}

fn write_tags(object: &mut Writer<'_>, span: &Span<'_>) {
    for attribute in span.attributes() {
        let key = attribute.key;
        let known = || names::TAGS.iter().find(|(_, name)| name.as_bytes() == key);
        if let Some(tag) = key.strip_prefix(ESCAPE.as_bytes()) {
            write_pair(object, 12, tag, attribute.value);
        } else if let Some((tag, _)) = known() {
            write_pair(object, 12, tag.as_bytes(), attribute.value);
        } else if !is_own(key) && !is_place(key) {
            write_pair(object, 12, key, attribute.value);
        }
    }
}

/// Whether a key belongs to the contract, and so is no tag.
fn is_own(key: &[u8]) -> bool {
    key.first() == Some(&b's') && RESERVED.iter().any(|beginning| key.starts_with(beginning.as_bytes()))
}

/// Whether it is part of the peer.
fn is_place(key: &[u8]) -> bool {
    matches!(key, key::CLIENT_ADDRESS | key::CLIENT_PORT | key::SERVER_ADDRESS | key::SERVER_PORT)
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

/// What a link says of the span that a reference is to.
#[derive(Default)]
struct Referred<'a> {
    kind: i64,
    trace: &'a [u8],
    segment: Option<&'a [u8]>,
    span: i64,
    service: &'a [u8],
    instance: &'a [u8],
    endpoint: &'a [u8],
    address: &'a [u8],
}

impl<'a> Referred<'a> {
    fn of(link: &SpanLink<'a>) -> Self {
        let mut referred = Self::default();
        for attribute in link.attributes() {
            let value = attribute.value;
            let text = string(value).unwrap_or_default();
            match attribute.key {
                key::REF_TYPE => {
                    referred.kind = match value {
                        AnyValue::Int(kind) => kind,
                        _ => i64::from(text == b"CrossThread"),
                    }
                }
                key::TRACE_ID => referred.trace = text,
                key::PARENT_SEGMENT_ID => referred.segment = Some(text),
                key::PARENT_SPAN_ID => referred.span = integer(value).unwrap_or_default(),
                key::PARENT_SERVICE => referred.service = text,
                key::PARENT_INSTANCE => referred.instance = text,
                key::PARENT_ENDPOINT => referred.endpoint = text,
                key::ADDRESS_USED_AT_PEER => referred.address = text,
                _ => {}
            }
        }
        referred
    }
}

fn write_reference(object: &mut Writer<'_>, link: &SpanLink<'_>) {
    let referred = Referred::of(link);
    let Some(segment) = referred.segment else { return };
    object.message(5, |reference| {
        int(reference, 1, referred.kind);
        some(reference, 2, referred.trace);
        some(reference, 3, segment);
        int(reference, 4, referred.span);
        some(reference, 5, referred.service);
        some(reference, 6, referred.instance);
        some(reference, 7, referred.endpoint);
        some(reference, 8, referred.address);
    });
}

fn write_log(object: &mut Writer<'_>, log: &SpanEvent<'_>) {
    object.message(13, |out| {
        int(out, 1, milliseconds(log.time_unix_nano));
        let is_exception = log.name == span_event::EXCEPTION.as_bytes();
        if !is_exception && log.name != span_event::LOGS.as_bytes() {
            write_pair(out, 2, b"event", AnyValue::String(log.name));
        }
        for attribute in log.attributes() {
            let key = attribute.key;
            let own = || span_event::DATA.iter().find(|(_, theirs)| theirs.as_bytes() == key);
            let key = match own().filter(|_| is_exception) {
                Some((ours, _)) => ours.as_bytes(),
                None => key.strip_prefix(ESCAPE.as_bytes()).unwrap_or(key),
            };
            write_pair(out, 2, key, attribute.value);
        }
    });
}

/// A `KeyStringValuePair`.
fn write_pair(out: &mut Writer<'_>, number: u32, key: &[u8], value: AnyValue<'_>) {
    out.message(number, |pair| {
        some(pair, 1, key);
        match value {
            AnyValue::String(value) => some(pair, 2, value),
            other => text(pair, 2, &other.text()),
        }
    });
}

/// Text, unless it is empty.
fn some(out: &mut Writer<'_>, number: u32, text: &[u8]) {
    if !text.is_empty() {
        out.bytes(number, text);
    }
}

fn string(value: AnyValue<'_>) -> Option<&[u8]> {
    match value {
        AnyValue::String(text) => Some(text),
        _ => None,
    }
}
