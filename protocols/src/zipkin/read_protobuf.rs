//! Reads a protobuf `ListOfSpans`.

use std::{
    borrow::Cow,
    net::{Ipv4Addr, Ipv6Addr},
};

use super::{
    id::{IdError, SpanId, TraceId, non_zero},
    span::{Annotation, Endpoint, Kind, MAX_TIME, Malformed, Read, Span, SpanFault},
};
use crate::protobuf::{Fields, Value};

/// Reads a protobuf list of spans and calls `each` with one after the other.
///
/// Unknown fields, and known ones of another wire type, are skipped. Invalid UTF-8 is repaired and counted.
///
/// # Errors
/// [`Malformed`] at the first span that is none; `each` has then seen the spans before it.
pub fn read_protobuf(body: &[u8], mut each: impl FnMut(&Span<'_>)) -> Result<Read, Malformed> {
    let mut reader = SpanReader { repaired: 0 };
    let mut span = Span::default();
    let mut spans = 0;
    for field in Fields::of(body) {
        let at = |fault| Malformed { span: spans, fault };
        let (number, value) = field.map_err(|error| at(error.into()))?;
        if let (1, Value::Bytes(message)) = (number, value) {
            span.clear();
            reader.span(message, &mut span).map_err(at)?;
            each(&span);
            spans += 1;
        }
    }
    Ok(Read { spans, repaired: reader.repaired })
}

struct SpanReader {
    repaired: usize,
}

impl SpanReader {
    fn span<'a>(&mut self, message: &'a [u8], span: &mut Span<'a>) -> Result<(), SpanFault> {
        for field in Fields::of(message) {
            match field? {
                (1, Value::Bytes(id)) => span.trace_id = trace_id(id)?,
                (2, Value::Bytes(id)) => span.parent_id = parent_id(id)?,
                (3, Value::Bytes(id)) => span.id = span_id(id)?,
                (4, Value::Varint(kind)) => span.kind = kind_of(kind)?,
                (5, Value::Bytes(name)) => span.name = self.text(name),
                (6, Value::Fixed64(timestamp)) => span.timestamp = time(timestamp, "timestamp")?,
                (7, Value::Varint(duration)) => span.duration = time(duration, "duration")?,
                (8, Value::Bytes(endpoint)) => self.endpoint(endpoint, &mut span.local_endpoint)?,
                (9, Value::Bytes(endpoint)) => self.endpoint(endpoint, &mut span.remote_endpoint)?,
                (10, Value::Bytes(annotation)) => span.annotations.push(self.annotation(annotation)?),
                (11, Value::Bytes(entry)) => span.tags.push(self.tag(entry)?),
                (12, Value::Varint(debug)) => span.debug = debug != 0,
                (13, Value::Varint(shared)) => span.shared = shared != 0,
                _ => {}
            }
        }
        span.check()
    }

    /// Reads into an endpoint that may hold something already: protobuf merges a message that comes twice.
    fn endpoint<'a>(&mut self, message: &'a [u8], endpoint: &mut Endpoint<'a>) -> Result<(), SpanFault> {
        for field in Fields::of(message) {
            match field? {
                (1, Value::Bytes(name)) => endpoint.service_name = self.text(name),
                (2, Value::Bytes(address)) if !address.is_empty() => {
                    let octets = <[u8; 4]>::try_from(address).map_err(|_| SpanFault::Address("ipv4"))?;
                    endpoint.ipv4 = Some(Ipv4Addr::from(octets));
                }
                (3, Value::Bytes(address)) if !address.is_empty() => {
                    let octets = <[u8; 16]>::try_from(address).map_err(|_| SpanFault::Address("ipv6"))?;
                    endpoint.ipv6 = Some(Ipv6Addr::from(octets));
                }
                (4, Value::Varint(port)) => {
                    endpoint.port = u16::try_from(port).map_err(|_| SpanFault::Port)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn annotation<'a>(&mut self, message: &'a [u8]) -> Result<Annotation<'a>, SpanFault> {
        let mut annotation = Annotation::default();
        for field in Fields::of(message) {
            match field? {
                (1, Value::Fixed64(timestamp)) => {
                    annotation.timestamp = time(timestamp, "the timestamp of an annotation")?;
                }
                (2, Value::Bytes(value)) => annotation.value = self.text(value),
                _ => {}
            }
        }
        Ok(annotation)
    }

    fn tag<'a>(&mut self, message: &'a [u8]) -> Result<(Cow<'a, str>, Cow<'a, str>), SpanFault> {
        let (mut key, mut value) = Default::default();
        for field in Fields::of(message) {
            match field? {
                (1, Value::Bytes(text)) => key = self.text(text),
                (2, Value::Bytes(text)) => value = self.text(text),
                _ => {}
            }
        }
        Ok((key, value))
    }

    fn text<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, str> {
        let text = String::from_utf8_lossy(bytes);
        self.repaired += usize::from(matches!(text, Cow::Owned(_)));
        text
    }
}

fn trace_id(bytes: &[u8]) -> Result<TraceId, SpanFault> {
    let mut id = TraceId::default();
    match bytes.len() {
        16 => id.copy_from_slice(bytes),
        8 => id[8..].copy_from_slice(bytes),
        _ => return Err(fault("traceId", IdError::Bytes { expected: "8 or 16" })),
    }
    non_zero(id).map_err(|error| fault("traceId", error))
}

fn span_id(bytes: &[u8]) -> Result<SpanId, SpanFault> {
    let id = bytes.try_into().map_err(|_| fault("id", IdError::Bytes { expected: "8" }))?;
    non_zero(id).map_err(|error| fault("id", error))
}

fn parent_id(bytes: &[u8]) -> Result<Option<SpanId>, SpanFault> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let id: SpanId = bytes.try_into().map_err(|_| fault("parentId", IdError::Bytes { expected: "8" }))?;
    Ok((id != SpanId::default()).then_some(id))
}

fn kind_of(number: u64) -> Result<Option<Kind>, SpanFault> {
    Ok(match number {
        0 => None,
        1 => Some(Kind::Client),
        2 => Some(Kind::Server),
        3 => Some(Kind::Producer),
        4 => Some(Kind::Consumer),
        _ => return Err(SpanFault::Kind),
    })
}

fn time(value: u64, field: &'static str) -> Result<u64, SpanFault> {
    if value > MAX_TIME { Err(SpanFault::Time(field)) } else { Ok(value) }
}

const fn fault(field: &'static str, error: IdError) -> SpanFault {
    SpanFault::Id { field, error }
}
