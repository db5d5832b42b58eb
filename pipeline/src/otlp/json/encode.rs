//! Encoded OTLP to OTLP/JSON, straight into a buffer.

use super::text;
use crate::{
    otlp::{
        check::DEPTH,
        schema::{self, Field, Message, Type},
        wire::{self, Fields, Value},
    },
    signal::Signal,
};

/// Appends one JSON object: the root message of the signal (`{"resourceSpans":[…]}`) over all chunks.
///
/// The chunks are in canonical form ([`Chunk`](crate::Chunk)). Unknown fields are left out, and so are scalars at
/// their default unless their presence means something. Bytes that are no protobuf end the message that they are
/// in, and a message nested deeper than the check allows becomes `{}`; the output is JSON all the same. Profiles, whose dictionary is per message, come as one chunk.
pub fn encode(signal: Signal, chunks: &[&[u8]], out: &mut Vec<u8>) {
    out.reserve(chunks.iter().map(|chunk| chunk.len()).sum::<usize>() * 2);
    out.push(b'{');
    for field in schema::root(signal).fields {
        let mut values = chunks
            .iter()
            .flat_map(|chunk| Fields::of(chunk).flatten())
            .filter(|found| found.number == field.number)
            .map(|found| found.value);
        if field.repeated {
            array(field, out, |out, start| {
                values.for_each(|value| element(field.kind, value, start, DEPTH - 1, out))
            });
        } else if let Some(value) = values.next() {
            member(field, value, DEPTH - 1, out);
        }
    }
    out.push(b'}');
}

fn object(message: &Message, bytes: &[u8], depth: usize, out: &mut Vec<u8>) {
    out.push(b'{');
    let mut seen = 0u32;
    let mut fields = Fields::of(bytes);
    while let (Some(depth), Some(Ok(found))) = (depth.checked_sub(1), fields.next()) {
        let Some(place) = message.place(found.number) else { continue };
        let Some(field) = message.fields.get(place) else { continue };
        if seen & 1 << place != 0 {
            continue;
        }
        seen |= 1 << place;
        if field.repeated {
            array(field, out, |out, start| {
                element(field.kind, found.value, start, depth, out);
                while let Some(value) = next_of(&mut fields, field.number) {
                    element(field.kind, value, start, depth, out);
                }
                // Other fields may stand between two values, but the key must not occur twice.
                for value in fields.flatten().filter(|later| later.number == field.number) {
                    element(field.kind, value.value, start, depth, out);
                }
            });
        } else {
            member(field, found.value, depth, out);
        }
    }
    out.push(b'}');
}

/// The value of the next field if it has this number.
#[inline]
fn next_of<'a>(fields: &mut Fields<'a>, number: u32) -> Option<Value<'a>> {
    let mut ahead = *fields;
    match ahead.next() {
        Some(Ok(field)) if field.number == number => {
            *fields = ahead;
            Some(field.value)
        }
        _ => None,
    }
}

fn member(field: &Field, value: Value<'_>, depth: usize, out: &mut Vec<u8>) {
    let default = value.number() == 0 && value.bytes().is_empty();
    let message = matches!(field.kind, Type::Message(_));
    if has_wire_type(field.kind, value) && (!default || field.explicit || message) {
        key(field, out);
        write(field.kind, value, depth, out);
    }
}

/// An array of what `fill` writes; nothing at all if that is nothing. `fill` is told where the elements begin.
#[inline]
fn array(field: &Field, out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>, usize)) {
    let before = out.len();
    key(field, out);
    out.push(b'[');
    let start = out.len();
    fill(out, start);
    if out.len() == start {
        out.truncate(before);
    } else {
        out.push(b']');
    }
}

/// An element of the array that begins at `start`, or several if numbers come packed.
#[inline]
fn element(kind: Type, value: Value<'_>, start: usize, depth: usize, out: &mut Vec<u8>) {
    if has_wire_type(kind, value) {
        if out.len() > start {
            out.push(b',');
        }
        write(kind, value, depth, out);
    } else if let Value::Bytes(mut packed) = value {
        while let Some(value) = next_packed(kind, &mut packed) {
            element(kind, value, start, depth, out);
        }
    }
}

fn next_packed<'a>(kind: Type, packed: &mut &'a [u8]) -> Option<Value<'a>> {
    if packed.is_empty() {
        return None;
    }
    match kind {
        Type::Fixed64 | Type::Sfixed64 | Type::Double => {
            let (bytes, rest) = packed.split_first_chunk()?;
            *packed = rest;
            Some(Value::Fixed64(u64::from_le_bytes(*bytes)))
        }
        Type::Fixed32 => {
            let (bytes, rest) = packed.split_first_chunk()?;
            *packed = rest;
            Some(Value::Fixed32(u32::from_le_bytes(*bytes)))
        }
        _ => wire::read_varint(packed).ok().map(Value::Varint),
    }
}

#[inline]
fn key(field: &Field, out: &mut Vec<u8>) {
    // Just after the opening brace comes the first member; no other member ends in one.
    out.extend_from_slice(if out.last() == Some(&b'{') { b"\"" } else { b",\"" });
    out.extend_from_slice(field.json.as_bytes());
    out.extend_from_slice(b"\":");
}

const fn has_wire_type(kind: Type, value: Value<'_>) -> bool {
    match kind {
        Type::String | Type::Bytes | Type::Id(_) | Type::Message(_) => matches!(value, Value::Bytes(_)),
        Type::Fixed64 | Type::Sfixed64 | Type::Double => matches!(value, Value::Fixed64(_)),
        Type::Fixed32 => matches!(value, Value::Fixed32(_)),
        Type::Bool | Type::Uint32 | Type::Uint64 | Type::Int32 | Type::Int64 | Type::Sint32 | Type::Enum => {
            matches!(value, Value::Varint(_))
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "protobuf keeps the low 32 bits of a 32-bit field")]
fn write(kind: Type, value: Value<'_>, depth: usize, out: &mut Vec<u8>) {
    match kind {
        Type::Message(message) => object(message, value.bytes(), depth, out),
        Type::String => text::write_string(out, value.bytes()),
        Type::Id(_) => text::write_hex(out, value.bytes()),
        Type::Bytes => text::write_base64(out, value.bytes()),
        Type::Bool => out.extend_from_slice(if value.number() == 0 { b"false" } else { b"true" }),
        Type::Uint32 | Type::Fixed32 => text::write_unsigned(out, u64::from(value.number() as u32)),
        Type::Int32 | Type::Enum => text::write_signed(out, i64::from(value.signed() as i32)),
        Type::Sint32 => text::write_signed(out, i64::from(value.zigzag() as i32)),
        Type::Double => text::write_double(out, value.double()),
        Type::Uint64 | Type::Fixed64 => {
            out.push(b'"');
            text::write_unsigned(out, value.number());
            out.push(b'"');
        }
        Type::Int64 | Type::Sfixed64 => {
            out.push(b'"');
            text::write_signed(out, value.signed());
            out.push(b'"');
        }
    }
}

#[cfg(test)]
mod tests;
