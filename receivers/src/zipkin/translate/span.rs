//! Writes one span.

use sluice_pipeline::{
    budget::{Charge, Exhausted},
    otlp::{
        attribute::{write_int, write_text, write_true},
        group::Groups,
        write::Writer,
    },
};
use sluice_protocols::zipkin::{
    Annotation, Endpoint, Kind, Malformed, Read, Span, read_json, read_protobuf, tag,
    v1::{self, Scalar, Typed},
};

use super::{
    Format,
    address::Ipv4Text,
    attribute::{write_scalar, write_typed},
    encoded::{Event, Link},
    meter::Meter,
    role::{Field, Role, SpanKind, StatusCode},
};

/// The field number of `Resource.attributes`.
const RESOURCE_ATTRIBUTES: u32 = 1;
/// The field number of `Span.attributes`.
const SPAN_ATTRIBUTES: u32 = 9;
/// The attribute of the resource that names the service.
const SERVICE_NAME: &str = "service.name";

/// Writes spans into their groups, one after the other.
pub(super) struct Translator<'c> {
    parse_string_tags: bool,
    meter: Meter<'c>,
    groups: Groups,
    // Reused from span to span.
    resource: Vec<u8>,
    scope: Vec<u8>,
    span: Vec<u8>,
    written: usize,
}

/// What the tags of a span say about fields of OTLP.
#[derive(Default)]
struct Fields<'s> {
    service_name_source: Option<&'s str>,
    scope_name: &'s str,
    scope_version: &'s str,
    library_name: &'s str,
    library_version: &'s str,
    status_code: Option<StatusCode>,
    status_description: Option<&'s str>,
    failed: bool,
    kind: Option<SpanKind>,
    trace_state: &'s str,
    links: Vec<(u32, Link<'s>)>,
    dropped_attributes: u32,
    dropped_events: u32,
    dropped_links: u32,
}

impl<'c> Translator<'c> {
    pub(super) fn new(parse_string_tags: bool, charge: Option<&'c mut Charge>) -> Self {
        Self {
            parse_string_tags,
            meter: Meter::new(charge),
            groups: Groups::default(),
            resource: Vec::new(),
            scope: Vec::new(),
            span: Vec::new(),
            written: 0,
        }
    }

    /// Adds the spans of a request.
    pub(super) fn read(&mut self, format: Format, body: &[u8]) -> Result<Read, Malformed> {
        match format {
            Format::Json => read_json(body, |span| self.push(span, &[])),
            Format::Protobuf => read_protobuf(body, |span| self.push(span, &[])),
            Format::V1Json => v1::read_json(body, |span, typed| self.push(span, typed)),
            Format::V1Thrift => v1::read_thrift(body, |span, typed| self.push(span, typed)),
        }
    }

    fn push(&mut self, span: &Span<'_>, typed: &[Typed<'_>]) {
        if self.meter.exhausted().is_some() {
            return;
        }
        self.resource.clear();
        self.scope.clear();
        self.span.clear();
        let fields = self.write_attributes(span, typed);
        write_scope(&mut Writer::new(&mut self.scope), &fields);
        write_fields(&mut Writer::new(&mut self.span), span, fields);
        let spans = self.groups.items(&self.resource, &self.scope);
        Writer::new(spans).bytes(2, &self.span);
        self.written += self.span.len();
        self.meter.note(self.written + self.groups.overhead());
    }

    /// Fails if there was no memory for all spans; those after the first without are missing then.
    pub(super) fn exhausted(&self) -> Result<(), Exhausted> {
        self.meter.exhausted().map_or(Ok(()), Err)
    }

    /// All spans as an encoded `TracesData`.
    pub(super) fn finish(self) -> Vec<u8> {
        self.groups.finish()
    }

    /// Writes the attributes of resource and span, and returns what the other tags say.
    fn write_attributes<'s>(&mut self, span: &'s Span<'_>, typed: &[Typed<'_>]) -> Fields<'s> {
        let service_name = match span.local_endpoint.service_name.as_ref() {
            tag::NO_SERVICE_NAME => "",
            name => name,
        };
        let resource = &mut Writer::new(&mut self.resource);
        let attributes = &mut Writer::new(&mut self.span);
        let write_tag = if self.parse_string_tags { write_typed } else { write_text };
        let mut fields = Fields::default();
        for (key, value) in &span.tags {
            let (key, value) = (key.as_ref(), value.as_ref());
            match Role::of(key, value) {
                Role::Field(Field::Kind(_)) if span.kind.is_some() => {
                    write_tag(attributes, SPAN_ATTRIBUTES, key, value);
                }
                Role::Field(field) => fields.set(field, value),
                Role::Resource if key != SERVICE_NAME || service_name.is_empty() => {
                    write_text(resource, RESOURCE_ATTRIBUTES, key, value);
                }
                Role::Resource if value == service_name => {}
                Role::Attribute if key == tag::ERROR => {
                    fields.failed = true;
                    if value != "true" {
                        write_tag(attributes, SPAN_ATTRIBUTES, key, value);
                    }
                }
                Role::Attribute if key == tag::ABSENT_TIMESTAMP && span.timestamp == 0 => {}
                Role::Resource | Role::Attribute => write_tag(attributes, SPAN_ATTRIBUTES, key, value),
            }
        }
        for (key, value) in typed {
            if key == tag::ERROR && *value == Scalar::Boolean(true) {
                fields.failed = true;
            } else {
                write_scalar(attributes, SPAN_ATTRIBUTES, key, *value);
            }
        }
        if !service_name.is_empty() {
            let key = fields.service_name_source.unwrap_or(SERVICE_NAME);
            write_text(resource, RESOURCE_ATTRIBUTES, key, service_name);
        }
        write_own_attributes(attributes, span);
        fields.settle(attributes, span.kind);
        fields
    }
}

impl<'s> Fields<'s> {
    fn set(&mut self, field: Field<'s>, value: &'s str) {
        match field {
            Field::ServiceNameSource => self.service_name_source = Some(value),
            Field::ScopeName => self.scope_name = value,
            Field::ScopeVersion => self.scope_version = value,
            Field::LibraryName => self.library_name = value,
            Field::LibraryVersion => self.library_version = value,
            Field::StatusCode(code) => self.status_code = Some(code),
            Field::StatusDescription => self.status_description = Some(value),
            Field::Kind(kind) => self.kind = Some(kind),
            Field::TraceState => self.trace_state = value,
            Field::Link(place, link) => self.links.push((place, link)),
            Field::DroppedAttributes(count) => self.dropped_attributes = count,
            Field::DroppedEvents(count) => self.dropped_events = count,
            Field::DroppedLinks(count) => self.dropped_links = count,
        }
    }

    /// Decides what depends on more than one tag; what turns out to mean nothing stays an attribute.
    fn settle(&mut self, attributes: &mut Writer<'_>, kind: Option<Kind>) {
        if self.status_code.is_none()
            && let Some(description) = self.status_description.take()
        {
            write_text(attributes, SPAN_ATTRIBUTES, tag::STATUS_DESCRIPTION, description);
        }
        if self.failed {
            self.status_code = Some(StatusCode::Error);
        }
        let kind = kind.map(|kind| match kind {
            Kind::Client => SpanKind::Client,
            Kind::Server => SpanKind::Server,
            Kind::Producer => SpanKind::Producer,
            Kind::Consumer => SpanKind::Consumer,
        });
        self.kind = kind.or(self.kind);
        self.links.sort_by_key(|(place, _)| *place);
    }
}

/// Writes what Zipkin has as fields and OTLP only as attributes.
fn write_own_attributes(writer: &mut Writer<'_>, span: &Span<'_>) {
    write_endpoint(writer, &span.local_endpoint, &tag::LOCAL);
    if !span.remote_endpoint.service_name.is_empty() {
        write_text(writer, SPAN_ATTRIBUTES, tag::PEER_SERVICE, &span.remote_endpoint.service_name);
    }
    write_endpoint(writer, &span.remote_endpoint, &tag::REMOTE);
    for (flag, key) in
        [(span.shared, tag::SHARED), (span.debug, tag::DEBUG), (span.timestamp == 0, tag::ABSENT_TIMESTAMP)]
    {
        if flag {
            write_true(writer, SPAN_ATTRIBUTES, key);
        }
    }
}

fn write_endpoint(writer: &mut Writer<'_>, endpoint: &Endpoint<'_>, names: &tag::EndpointNames) {
    if let Some(address) = endpoint.ipv4 {
        write_text(writer, SPAN_ATTRIBUTES, names.address, Ipv4Text::of(address).as_str());
    }
    if let Some(address) = endpoint.ipv6 {
        let key = if endpoint.ipv4.is_none() { names.address } else { names.second_address };
        write_text(writer, SPAN_ATTRIBUTES, key, &address.to_string());
    }
    if endpoint.port != 0 {
        write_int(writer, SPAN_ATTRIBUTES, names.port, i64::from(endpoint.port));
    }
}

/// Writes the fields of an `InstrumentationScope`.
fn write_scope(writer: &mut Writer<'_>, fields: &Fields<'_>) {
    for (number, name, older) in
        [(1, fields.scope_name, fields.library_name), (2, fields.scope_version, fields.library_version)]
    {
        let text = if name.is_empty() { older } else { name };
        if !text.is_empty() {
            writer.bytes(number, text.as_bytes());
        }
    }
}

/// Writes the fields of a `Span` other than its attributes.
fn write_fields(writer: &mut Writer<'_>, span: &Span<'_>, fields: Fields<'_>) {
    writer.bytes(1, &span.trace_id);
    writer.bytes(2, &span.id);
    write_string(writer, 3, fields.trace_state);
    // A span that is its own parent is a root: older tracers write it so.
    if let Some(parent_id) = span.parent_id.filter(|parent_id| *parent_id != span.id) {
        writer.bytes(4, &parent_id);
    }
    write_string(writer, 5, &span.name);
    writer.varint(6, fields.kind.unwrap_or(SpanKind::Unspecified) as u64);
    let start = nanoseconds(span.timestamp);
    writer.fixed64(7, start);
    writer.fixed64(8, start.saturating_add(nanoseconds(span.duration)));
    write_count(writer, 10, fields.dropped_attributes);
    for annotation in &span.annotations {
        writer.message(11, |writer| write_event(writer, annotation));
    }
    write_count(writer, 12, fields.dropped_events);
    for (_, link) in &fields.links {
        writer.message(13, |writer| write_link(writer, link));
    }
    write_count(writer, 14, fields.dropped_links);
    if let Some(code) = fields.status_code {
        writer.message(15, |writer| {
            write_string(writer, 2, fields.status_description.unwrap_or_default());
            writer.varint(3, code as u64);
        });
    }
}

fn write_event(writer: &mut Writer<'_>, annotation: &Annotation<'_>) {
    writer.fixed64(1, nanoseconds(annotation.timestamp));
    match Event::decode(&annotation.value) {
        Some(event) => {
            write_string(writer, 2, event.name);
            event.attributes.write(writer, 3);
            write_count(writer, 4, event.attributes.dropped);
        }
        None => write_string(writer, 2, &annotation.value),
    }
}

fn write_link(writer: &mut Writer<'_>, link: &Link<'_>) {
    writer.bytes(1, &link.trace_id);
    writer.bytes(2, &link.span_id);
    write_string(writer, 3, link.trace_state);
    link.attributes.write(writer, 4);
    write_count(writer, 5, link.attributes.dropped);
}

fn write_string(writer: &mut Writer<'_>, number: u32, text: &str) {
    if !text.is_empty() {
        writer.bytes(number, text.as_bytes());
    }
}

fn write_count(writer: &mut Writer<'_>, number: u32, count: u32) {
    if count != 0 {
        writer.varint(number, u64::from(count));
    }
}

/// The readers let no time through that does not fit.
const fn nanoseconds(microseconds: u64) -> u64 {
    microseconds.saturating_mul(1_000)
}
