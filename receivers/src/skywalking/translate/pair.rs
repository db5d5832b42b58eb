//! Fields of messages, and the keys that agents choose.

use std::borrow::Cow;

use sluice_pipeline::otlp::{
    attribute::write_text,
    wire::{Fields, Value},
    write::Writer,
};
use sluice_protocols::skywalking::attributes::{ESCAPE, RESERVED};

use super::{Malformed, output::Repairs};

/// Calls `take` with number and value of each field of a message of this name.
#[inline]
pub(super) fn fields<'m>(
    name: &'static str,
    message: &'m [u8],
    mut take: impl FnMut(u32, Value<'m>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    for field in Fields::of(message) {
        let field = field.map_err(|reason| Malformed::Wire { message: name, reason })?;
        take(field.number, field.value)?;
    }
    Ok(())
}

/// The bytes of field `number` of a message of this name.
#[inline]
pub(super) fn bytes<'m>(message: &'static str, number: u32, value: Value<'m>) -> Result<&'m [u8], Malformed> {
    match value {
        Value::Bytes(bytes) => Ok(bytes),
        _ => Err(Malformed::WireType { message, number }),
    }
}

/// The same of a number.
#[inline]
pub(super) fn number(message: &'static str, number: u32, value: Value<'_>) -> Result<i64, Malformed> {
    match value {
        Value::Varint(value) => Ok(value.cast_signed()),
        _ => Err(Malformed::WireType { message, number }),
    }
}

/// The same of an `int32`: as all decoders do, the low half counts.
#[inline]
pub(super) fn small_number(message: &'static str, field: u32, value: Value<'_>) -> Result<i32, Malformed> {
    #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
    number(message, field, value).map(|value| value as i32)
}

/// The message that has a key and a value.
pub(super) const PAIR: &str = "KeyStringValuePair";

/// Key and value of a `KeyStringValuePair`.
#[inline]
pub(super) fn pair(message: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
    fields(PAIR, message, |number, field| {
        match number {
            1 => key = bytes(PAIR, number, field)?,
            2 => value = bytes(PAIR, number, field)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((key, value))
}

/// Whether a key that an agent chose would be taken for one of the mapping's.
#[inline]
pub(super) fn is_reserved(key: &str) -> bool {
    key.starts_with('s') && RESERVED.iter().any(|reserved| key.starts_with(reserved))
}

/// The key under which one that an agent chose stands, where no other names are taken.
pub(super) fn escaped(key: &str) -> Cow<'_, str> {
    if is_reserved(key) { Cow::Owned(format!("{ESCAPE}{key}")) } else { Cow::Borrowed(key) }
}

/// Writes a pair as attribute `number`, the key escaped where it has to be.
pub(super) fn write_pair(
    writer: &mut Writer<'_>,
    number: u32,
    message: &[u8],
    repairs: &mut Repairs,
) -> Result<(), Malformed> {
    let (key, value) = pair(message)?;
    write_text(writer, number, &escaped(&repairs.text(key)), &repairs.text(value));
    Ok(())
}
