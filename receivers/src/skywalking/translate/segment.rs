//! Segments to spans.

use std::borrow::Cow;

use sluice_pipeline::otlp::{
    attribute::{write_int, write_text, write_true},
    wire::Fields,
    write::Writer,
};
use sluice_protocols::skywalking::{
    attributes::{ESCAPE, id, link, resource, span, span_event},
    id::{Rules, SegmentSpans},
};

use super::{
    Malformed, nanoseconds,
    output::{Output, Repairs},
    pair::{bytes, escaped, fields, is_reserved, number, pair, small_number},
    record::write_some,
};

const SEGMENT: &str = "SegmentObject";
const SPAN: &str = "SpanObject";
const REFERENCE: &str = "SegmentReference";
const LOG: &str = "Log";
/// `Span.attributes`, `Span.Event.attributes`, `Span.Link.attributes`.
const ATTRIBUTES: u32 = 9;
const EVENT_ATTRIBUTES: u32 = 3;
const LINK_ATTRIBUTES: u32 = 4;
/// `parentSpanId` of the first span of a segment.
const NO_PARENT: i32 = -1;
/// `SpanLayer.MQ`.
const MQ: i32 = 4;
/// `STATUS_CODE_ERROR`.
const ERROR: u64 = 2;
/// `SPAN_KIND_SERVER`.
const SERVER: u64 = 2;
const LAYERS: [&str; 7] = ["Unknown", "Database", "RPCFramework", "Http", "MQ", "Cache", "FAAS"];
const REF_TYPES: [&str; 2] = ["CrossProcess", "CrossThread"];

/// Writes a `SegmentCollection`.
pub(super) fn collection(message: &[u8], rules: Rules, output: &mut Output) -> Result<(), Malformed> {
    const NAME: &str = "SegmentCollection";
    fields(NAME, message, |number, value| match number {
        1 => segment(bytes(NAME, number, value)?, rules, output),
        _ => Ok(()),
    })
}

/// Writes a `SegmentObject`.
pub(super) fn segment(message: &[u8], rules: Rules, output: &mut Output) -> Result<(), Malformed> {
    let header = Header::read(message)?;
    let service = output.repairs.text(header.service);
    let instance = output.repairs.text(header.instance);
    let trace_id = output.repairs.text(header.trace_id);
    let segment_id = output.repairs.text(header.segment_id);
    let segment = Segment {
        rules,
        spans: rules.segment(&segment_id),
        otlp_trace_id: rules.trace_id(&trace_id),
        trace_id,
        segment_id,
        size_limited: header.size_limited,
    };
    let resource = |writer: &mut Writer<'_>| {
        write_some(writer, 1, resource::SERVICE_NAME, &service);
        write_some(writer, 1, resource::SERVICE_INSTANCE, &instance);
    };
    output.add(resource, |items| {
        fields(SEGMENT, message, |number, value| {
            if number != 3 {
                return Ok(());
            }
            let span = bytes(SEGMENT, number, value)?;
            items.item(1, |writer, repairs| segment.write_span(writer, span, repairs))
        })
    })
}

/// What a segment says for all its spans, which mostly stand before it.
#[derive(Default)]
struct Header<'m> {
    trace_id: &'m [u8],
    segment_id: &'m [u8],
    service: &'m [u8],
    instance: &'m [u8],
    size_limited: bool,
}

impl<'m> Header<'m> {
    fn read(message: &'m [u8]) -> Result<Self, Malformed> {
        let mut header = Self::default();
        fields(SEGMENT, message, |field, value| {
            match field {
                1 => header.trace_id = bytes(SEGMENT, field, value)?,
                2 => header.segment_id = bytes(SEGMENT, field, value)?,
                4 => header.service = bytes(SEGMENT, field, value)?,
                5 => header.instance = bytes(SEGMENT, field, value)?,
                6 => header.size_limited = number(SEGMENT, field, value)? != 0,
                _ => {}
            }
            Ok(())
        })?;
        Ok(header)
    }
}

struct Segment<'m> {
    rules: Rules,
    spans: SegmentSpans,
    otlp_trace_id: [u8; 16],
    trace_id: Cow<'m, str>,
    segment_id: Cow<'m, str>,
    size_limited: bool,
}

/// The fields of a span that occur once.
#[derive(Default)]
struct Span<'m> {
    id: i32,
    parent_id: i32,
    start: i64,
    end: i64,
    name: &'m [u8],
    peer: &'m [u8],
    span_type: i32,
    layer: i32,
    component: i32,
    failed: bool,
    skip_analysis: bool,
    references: usize,
}

impl<'m> Span<'m> {
    fn read(message: &'m [u8]) -> Result<Self, Malformed> {
        let mut span = Self::default();
        fields(SPAN, message, |field, value| {
            match field {
                1 => span.id = small_number(SPAN, field, value)?,
                2 => span.parent_id = small_number(SPAN, field, value)?,
                3 => span.start = number(SPAN, field, value)?,
                4 => span.end = number(SPAN, field, value)?,
                5 => span.references += 1,
                6 => span.name = bytes(SPAN, field, value)?,
                7 => span.peer = bytes(SPAN, field, value)?,
                8 => span.span_type = small_number(SPAN, field, value)?,
                9 => span.layer = small_number(SPAN, field, value)?,
                10 => span.component = small_number(SPAN, field, value)?,
                11 => span.failed = number(SPAN, field, value)? != 0,
                14 => span.skip_analysis = number(SPAN, field, value)? != 0,
                _ => {}
            }
            Ok(())
        })?;
        Ok(span)
    }

    /// `SpanKind`.
    const fn kind(&self) -> u64 {
        match (self.span_type, self.layer) {
            (0, MQ) => 5,
            (1, MQ) => 4,
            (0, _) => SERVER,
            (1, _) => 3,
            (2, _) => 1,
            _ => 0,
        }
    }
}

impl Segment<'_> {
    fn write_span(
        &self,
        writer: &mut Writer<'_>,
        message: &[u8],
        repairs: &mut Repairs,
    ) -> Result<(), Malformed> {
        let span = Span::read(message)?;
        writer.bytes(1, &self.otlp_trace_id);
        writer.bytes(2, &self.spans.span_id(span.id));
        if let Some(parent) = self.parent(&span, message, repairs)? {
            writer.bytes(4, &parent);
        }
        if !span.name.is_empty() {
            writer.bytes(5, repairs.text(span.name).as_bytes());
        }
        let kind = span.kind();
        if kind != 0 {
            writer.varint(6, kind);
        }
        writer.fixed64(7, nanoseconds(span.start));
        writer.fixed64(8, nanoseconds(span.end));
        fields(SPAN, message, |field, value| match field {
            5 => self.write_link(writer, bytes(SPAN, field, value)?, repairs),
            12 => write_tag(writer, bytes(SPAN, field, value)?, repairs),
            13 => write_event(writer, bytes(SPAN, field, value)?, repairs),
            _ => Ok(()),
        })?;
        self.write_own(writer, &span, kind, repairs);
        if span.failed {
            writer.message(15, |writer| writer.varint(3, ERROR));
        }
        Ok(())
    }

    /// What OTLP has no field for.
    fn write_own(&self, writer: &mut Writer<'_>, span: &Span<'_>, kind: u64, repairs: &mut Repairs) {
        write_some(writer, ATTRIBUTES, id::TRACE_ID, &self.trace_id);
        write_text(writer, ATTRIBUTES, id::SEGMENT_ID, &self.segment_id);
        write_int(writer, ATTRIBUTES, id::SPAN_ID, span.id.into());
        if span.parent_id != NO_PARENT {
            write_int(writer, ATTRIBUTES, id::PARENT_SPAN_ID, span.parent_id.into());
        }
        if kind == 0 {
            write_int(writer, ATTRIBUTES, span::TYPE, span.span_type.into());
        }
        if span.layer != 0 {
            write_name(writer, ATTRIBUTES, span::LAYER, span.layer, &LAYERS);
        }
        if span.component != 0 {
            write_int(writer, ATTRIBUTES, span::COMPONENT_ID, span.component.into());
        }
        if !span.peer.is_empty() {
            write_peer(writer, kind, &repairs.text(span.peer));
        }
        for (flag, key) in
            [(span.skip_analysis, span::SKIP_ANALYSIS), (self.size_limited, span::SIZE_LIMITED)]
        {
            if flag {
                write_true(writer, ATTRIBUTES, key);
            }
        }
    }

    /// The span's parent in its segment, else the first that a reference names. A span is never its own parent.
    fn parent(
        &self,
        span: &Span<'_>,
        message: &[u8],
        repairs: &mut Repairs,
    ) -> Result<Option<[u8; 8]>, Malformed> {
        if span.parent_id != NO_PARENT {
            return Ok((span.parent_id != span.id).then(|| self.spans.span_id(span.parent_id)));
        }
        if span.references == 0 || (self.rules == Rules::Contrib && span.references > 1) {
            return Ok(None);
        }
        for field in Fields::of(message).flatten().filter(|field| field.number == 5) {
            let reference = Reference::read(bytes(SPAN, 5, field.value)?, repairs)?;
            let in_trace = self.rules == Rules::Contrib || reference.trace_id == self.trace_id;
            let itself = reference.segment_id == self.segment_id && reference.span_id == span.id;
            if in_trace && !itself && !reference.segment_id.is_empty() {
                return Ok(Some(self.rules.span_id(&reference.segment_id, reference.span_id)));
            }
        }
        Ok(None)
    }

    fn write_link(
        &self,
        writer: &mut Writer<'_>,
        message: &[u8],
        repairs: &mut Repairs,
    ) -> Result<(), Malformed> {
        let reference = Reference::read(message, repairs)?;
        writer.message(13, |writer| {
            let trace_id = if reference.trace_id == self.trace_id {
                self.otlp_trace_id
            } else {
                self.rules.trace_id(&reference.trace_id)
            };
            writer.bytes(1, &trace_id);
            writer.bytes(2, &self.rules.span_id(&reference.segment_id, reference.span_id));
            write_name(writer, LINK_ATTRIBUTES, link::REF_TYPE, reference.ref_type, &REF_TYPES);
            write_some(writer, LINK_ATTRIBUTES, id::TRACE_ID, &reference.trace_id);
            write_text(writer, LINK_ATTRIBUTES, id::PARENT_SEGMENT_ID, &reference.segment_id);
            write_int(writer, LINK_ATTRIBUTES, id::PARENT_SPAN_ID, reference.span_id.into());
            write_some(writer, LINK_ATTRIBUTES, link::PARENT_SERVICE, &reference.service);
            write_some(writer, LINK_ATTRIBUTES, link::PARENT_INSTANCE, &reference.instance);
            write_some(writer, LINK_ATTRIBUTES, link::PARENT_ENDPOINT, &reference.endpoint);
            write_some(writer, LINK_ATTRIBUTES, link::ADDRESS_USED_AT_PEER, &reference.address);
        });
        Ok(())
    }
}

/// A span in another segment.
#[derive(Default)]
struct Reference<'m> {
    ref_type: i32,
    trace_id: Cow<'m, str>,
    segment_id: Cow<'m, str>,
    span_id: i32,
    service: Cow<'m, str>,
    instance: Cow<'m, str>,
    endpoint: Cow<'m, str>,
    address: Cow<'m, str>,
}

impl<'m> Reference<'m> {
    fn read(message: &'m [u8], repairs: &mut Repairs) -> Result<Self, Malformed> {
        let mut reference = Self::default();
        fields(REFERENCE, message, |field, value| {
            let place = match field {
                1 => {
                    reference.ref_type = small_number(REFERENCE, field, value)?;
                    return Ok(());
                }
                4 => {
                    reference.span_id = small_number(REFERENCE, field, value)?;
                    return Ok(());
                }
                2 => &mut reference.trace_id,
                3 => &mut reference.segment_id,
                5 => &mut reference.service,
                6 => &mut reference.instance,
                7 => &mut reference.endpoint,
                8 => &mut reference.address,
                _ => return Ok(()),
            };
            *place = repairs.text(bytes(REFERENCE, field, value)?);
            Ok(())
        })?;
        Ok(reference)
    }
}

/// Writes a tag of a span, under its name in the semantic conventions if it has one.
fn write_tag(writer: &mut Writer<'_>, message: &[u8], repairs: &mut Repairs) -> Result<(), Malformed> {
    let (key, value) = pair(message)?;
    let (key, value) = (repairs.text(key), repairs.text(value));
    match key.as_ref() {
        span::HTTP_STATUS_CODE => match printed_integer(&value) {
            Some(code) => write_int(writer, ATTRIBUTES, span::HTTP_RESPONSE_STATUS_CODE, code),
            None => write_text(writer, ATTRIBUTES, &key, &value),
        },
        key => write_text(writer, ATTRIBUTES, &attribute_of(key), &value),
    }
    Ok(())
}

fn attribute_of(tag: &str) -> Cow<'_, str> {
    match tag {
        "url" => Cow::Borrowed("url.full"),
        "http.method" => Cow::Borrowed("http.request.method"),
        "db.type" => Cow::Borrowed("db.system.name"),
        "db.instance" => Cow::Borrowed("db.namespace"),
        "db.statement" => Cow::Borrowed("db.query.text"),
        "url.full"
        | "http.request.method"
        | span::HTTP_RESPONSE_STATUS_CODE
        | "db.system.name"
        | "db.namespace"
        | "db.query.text"
        | span::CLIENT_ADDRESS
        | span::CLIENT_PORT
        | span::SERVER_ADDRESS
        | span::SERVER_PORT => Cow::Owned(format!("{ESCAPE}{tag}")),
        _ if is_reserved(tag) => Cow::Owned(format!("{ESCAPE}{tag}")),
        _ => Cow::Borrowed(tag),
    }
}

/// The integer, if this is how it is written.
fn printed_integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical = text == "0" || (digits.starts_with(|digit: char| ('1'..='9').contains(&digit)));
    canonical.then(|| text.parse().ok()).flatten()
}

/// Writes a log of a span.
fn write_event(writer: &mut Writer<'_>, message: &[u8], repairs: &mut Repairs) -> Result<(), Malformed> {
    let mut time = 0;
    let mut exception = false;
    fields(LOG, message, |field, value| {
        match field {
            1 => time = number(LOG, field, value)?,
            2 => {
                let (key, _) = pair(bytes(LOG, field, value)?)?;
                exception |= key == span_event::ERROR_KIND.as_bytes() || key == span_event::STACK.as_bytes();
            }
            _ => {}
        }
        Ok(())
    })?;
    writer.message(11, |writer| {
        writer.fixed64(1, nanoseconds(time));
        let name = if exception { span_event::EXCEPTION } else { span_event::LOGS };
        writer.bytes(2, name.as_bytes());
        fields(LOG, message, |field, value| {
            if field == 2 {
                let (key, value) = pair(bytes(LOG, field, value)?)?;
                let key = repairs.text(key);
                let key = if exception { exception_key(&key) } else { escaped(&key) };
                write_text(writer, EVENT_ATTRIBUTES, &key, &repairs.text(value));
            }
            Ok(())
        })
    })
}

fn exception_key(key: &str) -> Cow<'_, str> {
    if let Some((_, name)) = span_event::DATA.iter().find(|(data, _)| *data == key) {
        return Cow::Borrowed(name);
    }
    let taken = span_event::DATA.iter().any(|(_, name)| *name == key);
    if taken { Cow::Owned(format!("{ESCAPE}{key}")) } else { escaped(key) }
}

fn write_peer(writer: &mut Writer<'_>, kind: u64, peer: &str) {
    let (address_key, port_key) = match kind {
        SERVER => (span::CLIENT_ADDRESS, span::CLIENT_PORT),
        _ => (span::SERVER_ADDRESS, span::SERVER_PORT),
    };
    let (address, port) = split_peer(peer);
    write_text(writer, ATTRIBUTES, address_key, address);
    if let Some(port) = port {
        write_int(writer, ATTRIBUTES, port_key, port.into());
    }
}

/// Address and port, where they can be put together again.
fn split_peer(peer: &str) -> (&str, Option<u16>) {
    let split = || {
        let (host, digits) = peer.rsplit_once(':')?;
        let plain = digits.bytes().all(|digit| digit.is_ascii_digit()) && !digits.starts_with('0');
        let port: u16 = plain.then(|| digits.parse().ok()).flatten()?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        match bracketed.filter(|host| host.contains(':') && !host.contains(['[', ']'])) {
            Some(host) => Some((host, port)),
            None if host.is_empty() || host.contains([':', ',', ';', '/']) => None,
            None => Some((host, port)),
        }
    };
    split().map_or((peer, None), |(host, port)| (host, Some(port)))
}

/// Writes the name of a value of an enum, or its number if it has none.
fn write_name(writer: &mut Writer<'_>, number: u32, key: &str, value: i32, names: &[&str]) {
    match usize::try_from(value).ok().and_then(|place| names.get(place)) {
        Some(name) => write_text(writer, number, key, name),
        None => write_int(writer, number, key, value.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_split_where_they_can_be_joined() {
        assert_eq!(split_peer("10.0.0.1:80"), ("10.0.0.1", Some(80)));
        assert_eq!(split_peer("[::1]:9200"), ("::1", Some(9200)));
        for whole in [
            "",
            "db",
            ":80",
            "::1",
            "a:1,b:2",
            "host:0",
            "host:080",
            "host:65536",
            "http://h:80",
            "[x]",
            "h:",
        ] {
            assert_eq!(split_peer(whole), (whole, None));
        }
    }

    #[test]
    fn only_printed_integers_are_integers() {
        assert_eq!(
            (printed_integer("200"), printed_integer("0"), printed_integer("-1")),
            (Some(200), Some(0), Some(-1))
        );
        for text in ["", "+200", "0200", "-0", "200 ", "2e2", "99999999999999999999"] {
            assert_eq!(printed_integer(text), None, "{text}");
        }
    }
}
