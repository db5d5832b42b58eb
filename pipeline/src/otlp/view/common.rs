//! Attributes and their values (`opentelemetry/proto/common/v1`).

use super::{Repeated, View, walk};

/// Attributes in order, duplicates included.
pub type Attributes<'a> = Repeated<'a, KeyValue<'a>>;

/// A key with its value.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyValue<'a> {
    /// The encoded message.
    pub message: &'a [u8],
    /// The key, as text.
    pub key: &'a [u8],
    /// The value.
    pub value: AnyValue<'a>,
    /// The key as an index into the string table of a profile's [`super::Dictionary`]; 0 if `key` has it.
    pub key_strindex: i32,
}

impl<'a> View<'a> for KeyValue<'a> {
    #[inline]
    fn of(message: &'a [u8]) -> Self {
        let mut pair = Self { message, ..Self::default() };
        walk(message, |field, _| match field.number {
            1 => pair.key = field.value.bytes(),
            2 => pair.value = AnyValue::of(field.value.bytes()),
            3 => pair.key_strindex = field.value.signed() as i32,
            _ => {}
        });
        pair
    }
}

/// A value of any type.
#[derive(Clone, Copy, Debug, Default)]
pub enum AnyValue<'a> {
    /// No value.
    #[default]
    Empty,
    /// Text.
    String(&'a [u8]),
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// Values in order.
    Array(Repeated<'a, AnyValue<'a>>),
    /// Keys with values, in order.
    KeyValues(Attributes<'a>),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Text as an index into the string table of a profile's [`super::Dictionary`].
    StringIndex(i32),
}

impl<'a> View<'a> for AnyValue<'a> {
    #[inline]
    fn of(message: &'a [u8]) -> Self {
        let mut value = Self::Empty;
        walk(message, |field, _| match field.number {
            1 => value = Self::String(field.value.bytes()),
            2 => value = Self::Bool(field.value.number() != 0),
            3 => value = Self::Int(field.value.signed()),
            4 => value = Self::Double(field.value.double()),
            5 => value = Self::Array(Repeated::all(field.value.bytes(), 1)),
            6 => value = Self::KeyValues(Repeated::all(field.value.bytes(), 1)),
            7 => value = Self::Bytes(field.value.bytes()),
            8 => value = Self::StringIndex(field.value.signed() as i32),
            _ => {}
        });
        value
    }
}
