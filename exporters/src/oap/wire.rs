//! Small messages that others are made of, and fields that are left out at their default.

use sluice_pipeline::otlp::{view::AnyValue, write::Writer};

/// A text, unless it is empty.
pub(super) fn text(writer: &mut Writer<'_>, number: u32, text: &str) {
    if !text.is_empty() {
        writer.bytes(number, text.as_bytes());
    }
}

/// An integer, unless it is 0.
pub(super) fn int(writer: &mut Writer<'_>, number: u32, value: i64) {
    if value != 0 {
        writer.int(number, value);
    }
}

/// A boolean, if it is true.
pub(super) fn flag(writer: &mut Writer<'_>, number: u32, value: bool) {
    if value {
        writer.varint(number, 1);
    }
}

/// A `KeyStringValuePair`.
pub(super) fn pair(writer: &mut Writer<'_>, number: u32, key: &str, value: &str) {
    writer.message(number, |pair| {
        text(pair, 1, key);
        text(pair, 2, value);
    });
}

/// An `Instant`.
pub(super) fn instant(writer: &mut Writer<'_>, number: u32, nanoseconds: u64) {
    writer.message(number, |instant| {
        int(instant, 1, i64::try_from(nanoseconds / 1_000_000_000).unwrap_or_default());
        int(instant, 2, i64::try_from(nanoseconds % 1_000_000_000).unwrap_or_default());
    });
}

/// SkyWalking's milliseconds.
pub(super) fn milliseconds(nanoseconds: u64) -> i64 {
    i64::try_from(nanoseconds / 1_000_000).unwrap_or_default()
}

/// The integer that a value is.
pub(super) fn integer(value: AnyValue<'_>) -> Option<i64> {
    match value {
        AnyValue::Int(number) => Some(number),
        _ => None,
    }
}

/// Two lower-case hexadecimal digits for each byte.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}
