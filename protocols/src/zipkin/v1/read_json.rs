//! Reads a JSON list of v1 spans.

use std::borrow::Cow;

use super::{
    Typed,
    span::{BinaryAnnotation, Scalar, SourceAnnotation, SourceSpan, Value},
    split::split,
};
use crate::{
    json::{JsonFault, Reader},
    zipkin::{
        id::{parse_parent_id, parse_span_id, parse_trace_id},
        read_json::{Fault, at, read_endpoint, text, with_text},
        span::{Endpoint, MAX_TIME, Malformed, Read, Span, SpanFault},
    },
};

/// Fields of v2 which are lost if they are skipped.
const VERSION_2: [&str; 4] = ["kind", "localEndpoint", "remoteEndpoint", "tags"];

/// Reads a JSON list of v1 spans and calls `each` with one span of v2 after the other.
///
/// `null` stands for an absent field and unknown fields are skipped. Invalid UTF-8 is repaired and counted.
///
/// # Errors
/// [`Malformed`] at the first span that is none; `each` has then seen the spans before it.
pub fn read_json(body: &[u8], each: impl FnMut(&Span<'_>, &[Typed<'_>])) -> Result<Read, Malformed> {
    with_text(body, |text| read_text(text, each))
}

fn read_text(text: &str, mut each: impl FnMut(&Span<'_>, &[Typed<'_>])) -> Result<usize, Malformed> {
    let mut reader = Reader::new(text);
    let (mut place, mut spans) = (0, 0);
    reader
        .array::<SpanFault>(|reader| {
            spans += split(read_span(reader)?)?.hand_over(&mut each);
            place += 1;
            Ok(())
        })
        .and_then(|()| Ok(reader.end()?))
        .map_err(|fault| Malformed { span: place, fault })?;
    Ok(spans)
}

fn read_span<'a>(reader: &mut Reader<'a>) -> Fault<SourceSpan<'a>> {
    let mut span = SourceSpan::default();
    reader.object::<SpanFault>(|reader, key| {
        if reader.null()? {
            return Ok(());
        }
        match key.as_ref() {
            "traceId" => span.trace_id = parse_trace_id(&reader.string()?).map_err(at("traceId"))?,
            "id" => span.id = parse_span_id(&reader.string()?).map_err(at("id"))?,
            "parentId" => span.parent_id = parse_parent_id(&reader.string()?).map_err(at("parentId"))?,
            "name" => span.name = reader.string()?,
            "timestamp" => span.timestamp = reader.unsigned(MAX_TIME)?,
            "duration" => span.duration = reader.unsigned(MAX_TIME)?,
            "annotations" => reader.array::<SpanFault>(|reader| span.annotate(read_annotation(reader)?))?,
            "binaryAnnotations" => {
                reader.array::<SpanFault>(|reader| span.tag(read_binary_annotation(reader)?))?
            }
            "debug" => span.debug = reader.boolean()?,
            other => match VERSION_2.into_iter().find(|field| *field == other) {
                Some(field) => return Err(SpanFault::OtherVersion { field, version: 2 }),
                None => reader.skip()?,
            },
        }
        Ok(())
    })?;
    span.check()?;
    Ok(span)
}

fn read_annotation<'a>(reader: &mut Reader<'a>) -> Fault<SourceAnnotation<'a>> {
    let (mut timestamp, mut value, mut endpoint) = (None, None, None);
    reader.object::<SpanFault>(|reader, key| {
        if reader.null()? {
            return Ok(());
        }
        match key.as_ref() {
            "timestamp" => timestamp = Some(reader.unsigned(MAX_TIME)?),
            "value" => value = Some(text(reader)?),
            "endpoint" => endpoint = read_host(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(SourceAnnotation {
        timestamp: timestamp.ok_or(SpanFault::Missing("the timestamp of an annotation"))?,
        value: value.ok_or(SpanFault::Missing("the value of an annotation"))?,
        endpoint,
    })
}

fn read_binary_annotation<'a>(reader: &mut Reader<'a>) -> Fault<BinaryAnnotation<'a>> {
    let (mut key, mut value, mut endpoint) = (None, Value::Text(Cow::Borrowed("")), None);
    reader.object::<SpanFault>(|reader, name| {
        if reader.null()? {
            return Ok(());
        }
        match name.as_ref() {
            "key" => key = Some(reader.string()?),
            "value" => value = read_value(reader)?,
            "endpoint" => endpoint = read_host(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    let key = key.ok_or(SpanFault::Missing("the key of a binary annotation"))?;
    Ok(BinaryAnnotation { key, value, endpoint })
}

fn read_value<'a>(reader: &mut Reader<'a>) -> Fault<Value<'a>> {
    Ok(match reader.peek() {
        Some(b't' | b'f') => Value::Scalar(Scalar::Boolean(reader.boolean()?)),
        Some(b'-' | b'0'..=b'9') => {
            let number = reader.number()?;
            Value::Scalar(match number.parse() {
                Ok(integer) => Scalar::Integer(integer),
                Err(_) => Scalar::Double(number.parse().map_err(|_| reader.fault(JsonFault::Number))?),
            })
        }
        _ => Value::Text(text(reader)?),
    })
}

fn read_host<'a>(reader: &mut Reader<'a>) -> Fault<Option<Endpoint<'a>>> {
    let mut endpoint = Endpoint::default();
    read_endpoint(reader, &mut endpoint)?;
    Ok((!endpoint.is_absent()).then_some(endpoint))
}
