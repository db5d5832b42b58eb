//! Encoded attribute values: what [`Attributes`](super::Attributes) are given.

use crate::otlp::write::Writer;

/// The encoded `AnyValue` of a text.
#[must_use]
pub fn string(text: &[u8]) -> Vec<u8> {
    encoded(|writer| writer.bytes(1, text))
}

/// The encoded `AnyValue` of a truth value.
#[must_use]
pub fn bool(value: bool) -> Vec<u8> {
    encoded(|writer| writer.varint(2, u64::from(value)))
}

/// The encoded `AnyValue` of an integer.
#[must_use]
pub fn int(value: i64) -> Vec<u8> {
    encoded(|writer| writer.int(3, value))
}

/// The encoded `AnyValue` of a double.
#[must_use]
pub fn double(value: f64) -> Vec<u8> {
    encoded(|writer| writer.double(4, value))
}

/// The encoded `AnyValue` of these encoded values in order.
#[must_use]
pub fn array<V: AsRef<[u8]>>(values: impl IntoIterator<Item = V>) -> Vec<u8> {
    encoded(|writer| {
        writer.message(5, |array| values.into_iter().for_each(|value| array.bytes(1, value.as_ref())));
    })
}

/// The encoded `AnyValue` of a map: keys with encoded values, in order.
#[must_use]
pub fn map<K: AsRef<[u8]>, V: AsRef<[u8]>>(entries: impl IntoIterator<Item = (K, V)>) -> Vec<u8> {
    encoded(|writer| {
        writer.message(6, |map| {
            for (key, value) in entries {
                map.message(1, |entry| {
                    entry.bytes(1, key.as_ref());
                    entry.bytes(2, value.as_ref());
                });
            }
        });
    })
}

/// The encoded `AnyValue` of bytes.
#[must_use]
pub fn bytes(value: &[u8]) -> Vec<u8> {
    encoded(|writer| writer.bytes(7, value))
}

fn encoded(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut buffer = Vec::new();
    write(&mut Writer::new(&mut buffer));
    buffer
}
