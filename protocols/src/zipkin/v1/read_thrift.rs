//! Reads a thrift list of v1 spans, in the binary protocol.

use std::{
    borrow::Cow,
    net::{Ipv4Addr, Ipv6Addr},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    Typed,
    span::{BinaryAnnotation, Scalar, SourceAnnotation, SourceSpan, Value},
    split::split,
};
use crate::{
    thrift::{Reader, Type},
    zipkin::span::{Endpoint, MAX_TIME, Malformed, Read, Span, SpanFault},
};

/// Reads a thrift list of v1 spans and calls `each` with one span of v2 after the other.
///
/// Unknown fields, and known ones of another type, are skipped. Invalid UTF-8 is repaired and counted; a time before
/// 1970 is an absent one.
///
/// # Errors
/// [`Malformed`] at the first span that is none; `each` has then seen the spans before it.
pub fn read_thrift(body: &[u8], mut each: impl FnMut(&Span<'_>, &[Typed<'_>])) -> Result<Read, Malformed> {
    let mut reader = SpanReader { thrift: Reader::new(body), repaired: 0 };
    let mut spans = 0;
    let at = |span| move |fault: SpanFault| Malformed { span, fault };
    let count = reader.thrift.list(Type::Struct).map_err(|error| at(0)(error.into()))?;
    for place in 0..count {
        let sides = reader.span().and_then(split).map_err(at(place))?;
        spans += sides.hand_over(&mut each);
    }
    reader.thrift.end().map_err(|error| at(count)(error.into()))?;
    Ok(Read { spans, repaired: reader.repaired })
}

struct SpanReader<'a> {
    thrift: Reader<'a>,
    repaired: usize,
}

impl<'a> SpanReader<'a> {
    fn span(&mut self) -> Result<SourceSpan<'a>, SpanFault> {
        let mut span = SourceSpan::default();
        while let Some(field) = self.thrift.field()? {
            match field {
                (1, Type::I64) => span.trace_id[8..].copy_from_slice(&self.id()?),
                (12, Type::I64) => span.trace_id[..8].copy_from_slice(&self.id()?),
                (3, Type::String) => span.name = self.text()?,
                (4, Type::I64) => span.id = self.id()?,
                (5, Type::I64) => span.parent_id = Some(self.id()?).filter(|id| *id != [0; 8]),
                (6, Type::List) => {
                    for _ in 0..self.thrift.list(Type::Struct)? {
                        span.annotate(self.annotation()?)?;
                    }
                }
                (8, Type::List) => {
                    for _ in 0..self.thrift.list(Type::Struct)? {
                        span.tag(self.binary_annotation()?)?;
                    }
                }
                (9, Type::Bool) => span.debug = self.thrift.boolean()?,
                (10, Type::I64) => span.timestamp = self.time("timestamp")?,
                (11, Type::I64) => span.duration = self.time("duration")?,
                (_, other) => self.thrift.skip(other)?,
            }
        }
        span.check()?;
        Ok(span)
    }

    fn annotation(&mut self) -> Result<SourceAnnotation<'a>, SpanFault> {
        let mut annotation = SourceAnnotation::default();
        while let Some(field) = self.thrift.field()? {
            match field {
                (1, Type::I64) => annotation.timestamp = self.time("the timestamp of an annotation")?,
                (2, Type::String) => annotation.value = self.text()?,
                (3, Type::Struct) => annotation.endpoint = self.endpoint()?,
                (_, other) => self.thrift.skip(other)?,
            }
        }
        Ok(annotation)
    }

    fn binary_annotation(&mut self) -> Result<BinaryAnnotation<'a>, SpanFault> {
        let (mut key, mut bytes, mut kind, mut endpoint) = (Cow::Borrowed(""), &[][..], None, None);
        while let Some(field) = self.thrift.field()? {
            match field {
                (1, Type::String) => key = self.text()?,
                (2, Type::String) => bytes = self.thrift.bytes()?,
                (3, Type::I32) => kind = Some(self.thrift.i32()?),
                (4, Type::Struct) => endpoint = self.endpoint()?,
                (_, other) => self.thrift.skip(other)?,
            }
        }
        let value = match kind {
            Some(TEXT) => Value::Text(self.repair(bytes)),
            _ => {
                scalar(kind, bytes).map_or_else(|| Value::Text(STANDARD.encode(bytes).into()), Value::Scalar)
            }
        };
        Ok(BinaryAnnotation { key, value, endpoint })
    }

    fn endpoint(&mut self) -> Result<Option<Endpoint<'a>>, SpanFault> {
        let mut endpoint = Endpoint::default();
        while let Some(field) = self.thrift.field()? {
            match field {
                (1, Type::I32) => {
                    let address = Ipv4Addr::from(self.thrift.i32()?.to_be_bytes());
                    endpoint.ipv4 = Some(address).filter(|address| !address.is_unspecified());
                }
                (2, Type::I16) => endpoint.port = self.thrift.i16()?.cast_unsigned(),
                (3, Type::String) => endpoint.service_name = self.text()?,
                (4, Type::String) => endpoint.ipv6 = ipv6(self.thrift.bytes()?)?,
                (_, other) => self.thrift.skip(other)?,
            }
        }
        Ok((!endpoint.is_absent()).then_some(endpoint))
    }

    fn id(&mut self) -> Result<[u8; 8], SpanFault> {
        Ok(self.thrift.i64()?.to_be_bytes())
    }

    fn time(&mut self, field: &'static str) -> Result<u64, SpanFault> {
        let time = u64::try_from(self.thrift.i64()?).unwrap_or(0);
        if time > MAX_TIME { Err(SpanFault::Time(field)) } else { Ok(time) }
    }

    fn text(&mut self) -> Result<Cow<'a, str>, SpanFault> {
        let bytes = self.thrift.bytes()?;
        Ok(self.repair(bytes))
    }

    fn repair(&mut self, bytes: &'a [u8]) -> Cow<'a, str> {
        let text = String::from_utf8_lossy(bytes);
        self.repaired += usize::from(matches!(text, Cow::Owned(_)));
        text
    }
}

/// The `AnnotationType` of text.
const TEXT: i32 = 6;

/// The value of a number or truth value; `None` for bytes, for what is no `AnnotationType`, and if the length is wrong.
fn scalar(kind: Option<i32>, bytes: &[u8]) -> Option<Scalar> {
    Some(match kind? {
        0 => Scalar::Boolean(<[u8; 1]>::try_from(bytes).ok()? == [1]),
        2 => Scalar::Integer(i16::from_be_bytes(bytes.try_into().ok()?).into()),
        3 => Scalar::Integer(i32::from_be_bytes(bytes.try_into().ok()?).into()),
        4 => Scalar::Integer(i64::from_be_bytes(bytes.try_into().ok()?)),
        5 => Scalar::Double(f64::from_be_bytes(bytes.try_into().ok()?)),
        _ => return None,
    })
}

fn ipv6(bytes: &[u8]) -> Result<Option<Ipv6Addr>, SpanFault> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let octets = <[u8; 16]>::try_from(bytes).map_err(|_| SpanFault::Address("ipv6"))?;
    Ok(Some(octets.into()))
}
