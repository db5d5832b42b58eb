//! Writes attributes.

use super::write::Writer;

/// Writes a `KeyValue` as field `number`; `value` writes the fields of its `AnyValue`.
#[inline]
pub fn write_attribute<T>(
    writer: &mut Writer<'_>,
    number: u32,
    key: &str,
    value: impl FnOnce(&mut Writer<'_>) -> T,
) -> T {
    writer.message(number, |writer| {
        writer.bytes(1, key.as_bytes());
        writer.message(2, value)
    })
}

/// Writes a `KeyValue` with text, as field `number`.
#[inline]
pub fn write_text(writer: &mut Writer<'_>, number: u32, key: &str, value: &str) {
    write_attribute(writer, number, key, |writer| writer.bytes(1, value.as_bytes()));
}

/// Writes a `KeyValue` with an integer, as field `number`.
#[inline]
pub fn write_int(writer: &mut Writer<'_>, number: u32, key: &str, value: i64) {
    write_attribute(writer, number, key, |writer| writer.int(3, value));
}

/// Writes a `KeyValue` with a decimal, as field `number`.
pub fn write_double(writer: &mut Writer<'_>, number: u32, key: &str, value: f64) {
    write_attribute(writer, number, key, |writer| writer.double(4, value));
}

/// Writes a `KeyValue` that is true, as field `number`.
pub fn write_true(writer: &mut Writer<'_>, number: u32, key: &str) {
    write_attribute(writer, number, key, |writer| writer.varint(2, 1));
}
