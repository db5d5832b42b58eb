//! Reads a JSON list of spans.

use std::{borrow::Cow, net::IpAddr};

use super::{
    id::{IdError, parse_parent_id, parse_span_id, parse_trace_id},
    span::{Annotation, Endpoint, Kind, MAX_TIME, Malformed, Read, Span, SpanFault},
};
use crate::json::{JsonFault, Reader};

pub(super) type Fault<T> = Result<T, SpanFault>;

/// Reads a JSON list of spans and calls `each` with one after the other.
///
/// `null` stands for an absent field and unknown fields are skipped. Invalid UTF-8 is repaired and counted.
///
/// # Errors
/// [`Malformed`] at the first span that is none; `each` has then seen the spans before it.
pub fn read_json(body: &[u8], each: impl FnMut(&Span<'_>)) -> Result<Read, Malformed> {
    with_text(body, |text| read_text(text, each))
}

/// Reads a body as text, in which invalid UTF-8 is repaired and counted.
pub(super) fn with_text(
    body: &[u8],
    read: impl FnOnce(&str) -> Result<usize, Malformed>,
) -> Result<Read, Malformed> {
    match std::str::from_utf8(body) {
        Ok(text) => read(text).map(|spans| Read { spans, repaired: 0 }),
        Err(_) => {
            let repaired = body.utf8_chunks().filter(|chunk| !chunk.invalid().is_empty()).count();
            read(&String::from_utf8_lossy(body)).map(|spans| Read { spans, repaired })
        }
    }
}

fn read_text(text: &str, mut each: impl FnMut(&Span<'_>)) -> Result<usize, Malformed> {
    let mut reader = Reader::new(text);
    let mut span = Span::default();
    let mut count = 0;
    reader
        .array(|reader| {
            span.clear();
            read_span(reader, &mut span)?;
            each(&span);
            count += 1;
            Ok(())
        })
        .and_then(|()| Ok(reader.end()?))
        .map_err(|fault| Malformed { span: count, fault })?;
    Ok(count)
}

fn read_span<'a>(reader: &mut Reader<'a>, span: &mut Span<'a>) -> Fault<()> {
    reader.object::<SpanFault>(|reader, key| {
        if reader.null()? {
            return Ok(());
        }
        match key.as_ref() {
            "traceId" => span.trace_id = parse_trace_id(&reader.string()?).map_err(at("traceId"))?,
            "id" => span.id = parse_span_id(&reader.string()?).map_err(at("id"))?,
            "parentId" => span.parent_id = parse_parent_id(&reader.string()?).map_err(at("parentId"))?,
            "kind" => span.kind = Some(Kind::from_name(&reader.string()?).ok_or(SpanFault::Kind)?),
            "name" => span.name = reader.string()?,
            "timestamp" => span.timestamp = reader.unsigned(MAX_TIME)?,
            "duration" => span.duration = reader.unsigned(MAX_TIME)?,
            "localEndpoint" => read_endpoint(reader, &mut span.local_endpoint)?,
            "remoteEndpoint" => read_endpoint(reader, &mut span.remote_endpoint)?,
            "annotations" => reader.array::<SpanFault>(|reader| {
                span.annotations.push(read_annotation(reader)?);
                Ok(())
            })?,
            "tags" => reader.object::<SpanFault>(|reader, key| {
                span.tags.push((key, text(reader)?));
                Ok(())
            })?,
            "debug" => span.debug = reader.boolean()?,
            "shared" => span.shared = reader.boolean()?,
            // Skipped, the tags of such a span would be lost.
            "binaryAnnotations" => {
                return Err(SpanFault::OtherVersion { field: "binaryAnnotations", version: 1 });
            }
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    span.check()
}

pub(super) fn read_endpoint<'a>(reader: &mut Reader<'a>, endpoint: &mut Endpoint<'a>) -> Fault<()> {
    reader.object::<SpanFault>(|reader, key| {
        if reader.null()? {
            return Ok(());
        }
        match key.as_ref() {
            "serviceName" => endpoint.service_name = reader.string()?,
            "ipv4" => set_address(endpoint, &reader.string()?, "ipv4")?,
            "ipv6" => set_address(endpoint, &reader.string()?, "ipv6")?,
            "port" => {
                let port = reader.unsigned(u64::from(u16::MAX))?;
                endpoint.port = u16::try_from(port).unwrap_or(0);
            }
            _ => reader.skip()?,
        }
        Ok(())
    })
}

/// Some clients write an address under the other family's key.
fn set_address(endpoint: &mut Endpoint<'_>, text: &str, field: &'static str) -> Fault<()> {
    if text.is_empty() {
        return Ok(());
    }
    match text.parse().map_err(|_| SpanFault::Address(field))? {
        IpAddr::V4(address) => endpoint.ipv4 = Some(address),
        IpAddr::V6(address) => endpoint.ipv6 = Some(address),
    }
    Ok(())
}

fn read_annotation<'a>(reader: &mut Reader<'a>) -> Fault<Annotation<'a>> {
    let mut timestamp = None;
    let mut value = None;
    reader.object::<SpanFault>(|reader, key| {
        if reader.null()? {
            return Ok(());
        }
        match key.as_ref() {
            "timestamp" => timestamp = Some(reader.unsigned(MAX_TIME)?),
            "value" => value = Some(text(reader)?),
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(Annotation {
        timestamp: timestamp.ok_or(SpanFault::Missing("the timestamp of an annotation"))?,
        value: value.ok_or(SpanFault::Missing("the value of an annotation"))?,
    })
}

pub(super) fn text<'a>(reader: &mut Reader<'a>) -> Fault<Cow<'a, str>> {
    match reader.peek() {
        Some(b'"') | None => Ok(reader.string()?),
        Some(_) => Err(SpanFault::NotText(reader.fault(JsonFault::Expected("a string")))),
    }
}

pub(super) fn at(field: &'static str) -> impl Fn(IdError) -> SpanFault {
    move |error| SpanFault::Id { field, error }
}
