//! Writes OTLP attributes whose types are read from text or JSON.

use sluice_pipeline::otlp::{attribute::write_attribute, write::Writer};
use sluice_protocols::{
    json::{JsonError, JsonFault, Reader},
    zipkin::v1::Scalar,
};

/// How deep arrays and objects of an encoded event or link may nest; the check of OTLP at other doors is no laxer.
const MAX_NESTING: usize = 16;

/// Writes a `KeyValue` as field `number`, typed by what its text looks like: `-?\d+`, `-?\d+\.\d+`, `true`, `false`.
pub(super) fn write_typed(writer: &mut Writer<'_>, number: u32, key: &str, value: &str) {
    write_attribute(writer, number, key, |writer| {
        if let Some(value) = boolean(value) {
            writer.varint(2, u64::from(value));
        } else if let Some(value) = integer(value) {
            writer.int(3, value);
        } else if let Some(value) = decimal(value) {
            writer.double(4, value);
        } else {
            writer.bytes(1, value.as_bytes());
        }
    });
}

/// Writes a `KeyValue` with a value that is no text, as field `number`.
pub(super) fn write_scalar(writer: &mut Writer<'_>, number: u32, key: &str, value: Scalar) {
    write_attribute(writer, number, key, |writer| match value {
        Scalar::Boolean(value) => writer.varint(2, u64::from(value)),
        Scalar::Integer(value) => writer.int(3, value),
        Scalar::Double(value) => writer.double(4, value),
    });
}

/// Writes the members of the JSON object that comes next as `KeyValue`s, each as field `number`.
pub(super) fn write_json_object(
    writer: &mut Writer<'_>,
    number: u32,
    json: &mut Reader<'_>,
) -> Result<(), JsonError> {
    write_members(writer, number, json, MAX_NESTING)
}

fn write_members(
    writer: &mut Writer<'_>,
    number: u32,
    json: &mut Reader<'_>,
    nesting: usize,
) -> Result<(), JsonError> {
    let inner = nesting.checked_sub(1).ok_or_else(|| json.fault(JsonFault::Depth))?;
    json.object(|json, key| write_attribute(writer, number, &key, |writer| write_value(writer, json, inner)))
}

/// Writes the fields of an `AnyValue`.
fn write_value(writer: &mut Writer<'_>, json: &mut Reader<'_>, nesting: usize) -> Result<(), JsonError> {
    match json.peek() {
        Some(b'"') => writer.bytes(1, json.string()?.as_bytes()),
        Some(b't' | b'f') => writer.varint(2, u64::from(json.boolean()?)),
        Some(b'{') => return writer.message(6, |writer| write_members(writer, 1, json, nesting)),
        Some(b'[') => return writer.message(5, |writer| write_elements(writer, json, nesting)),
        Some(b'n') => drop(json.null()?),
        _ => {
            let text = json.number()?;
            match text.parse() {
                Ok(value) => writer.int(3, value),
                Err(_) => writer.double(4, text.parse().map_err(|_| json.fault(JsonFault::Number))?),
            }
        }
    }
    Ok(())
}

fn write_elements(writer: &mut Writer<'_>, json: &mut Reader<'_>, nesting: usize) -> Result<(), JsonError> {
    let inner = nesting.checked_sub(1).ok_or_else(|| json.fault(JsonFault::Depth))?;
    json.array(|json| writer.message(1, |writer| write_value(writer, json, inner)))
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn integer(text: &str) -> Option<i64> {
    is_digits(text.strip_prefix('-').unwrap_or(text)).then(|| text.parse().ok()).flatten()
}

fn decimal(text: &str) -> Option<f64> {
    let (whole, fraction) = text.strip_prefix('-').unwrap_or(text).split_once('.')?;
    (is_digits(whole) && is_digits(fraction)).then(|| text.parse().ok()).flatten()
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_numbers_and_booleans_are_typed() {
        assert_eq!(integer("-17"), Some(-17));
        assert_eq!(integer("99999999999999999999"), None);
        assert_eq!((integer("+1"), integer("-"), integer("1e3"), integer("")), (None, None, None, None));
        assert_eq!(decimal("-1.50"), Some(-1.5));
        assert_eq!(
            (decimal("1."), decimal(".5"), decimal("1.2.3"), decimal("NaN")),
            (None, None, None, None)
        );
        assert_eq!((boolean("true"), boolean("TRUE")), (Some(true), None));
    }
}
