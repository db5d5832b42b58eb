//! Text in place of indices: the attributes of a profile's resources and scopes as other signals have them.
//!
//! In profiles a key, and a text within a value, may be an index into the string table that the whole message shares.
//! An editor is shown the text itself, so that it finds keys whichever way they are given; what it changes goes out
//! with text, which is as valid. The dictionary stays as it is.

use super::{
    output::Output,
    place::{Place, places},
};
use crate::otlp::{
    schema::{self, Message},
    view::Dictionary,
    wire::{Fields, Value},
    write::Writer,
};

/// The resource in a resource group, the scope in a scope group.
const HEAD: u32 = 1;
/// The scope groups in a resource group.
const MEMBERS: u32 = 2;
/// In a `KeyValue`.
const KEY: u32 = 1;
const VALUE: u32 = 2;
const KEY_INDEX: u32 = 3;
/// In an `AnyValue`.
const STRING: u32 = 1;
const ARRAY: u32 = 5;
const MAP: u32 = 6;
const STRING_INDEX: u32 = 8;
/// The members of an `ArrayValue` and of a `KeyValueList`.
const ELEMENTS: u32 = 1;

/// An encoded `ProfilesData` in canonical form with text in place of indices; `None` if it has no such index.
pub(super) fn inlined(source: &[u8]) -> Option<Vec<u8>> {
    let mut inliner = Inliner { dictionary: None, source, output: Output::new(source), buffer: Vec::new() };
    for group in places(source, 0).filter(|place| place.number == 1) {
        inliner.output.enter(group);
        inliner.head(&schema::RESOURCE, group);
        for scope in places(group.content, group.content_start()).filter(|place| place.number == MEMBERS) {
            inliner.output.enter(scope);
            inliner.head(&schema::SCOPE, scope);
            inliner.output.leave();
        }
        inliner.output.leave();
    }
    inliner.output.finish()
}

struct Inliner<'a> {
    /// Read when an index first turns up.
    dictionary: Option<Dictionary<'a>>,
    source: &'a [u8],
    output: Output<'a>,
    buffer: Vec<u8>,
}

impl<'a> Inliner<'a> {
    /// The attributes of the resource or scope of a group.
    fn head(&mut self, message: &'static Message, group: Place<'a>) {
        let Some(attributes) = message.field_named("attributes").map(|field| field.number) else { return };
        let Some(head) = places(group.content, group.content_start()).find(|place| place.number == HEAD)
        else {
            return;
        };
        self.output.enter(head);
        for attribute in places(head.content, head.content_start()).filter(|place| place.number == attributes)
        {
            if pair_has_index(attribute.content) {
                let source = self.source;
                let dictionary = self.dictionary.get_or_insert_with(|| Dictionary::of_profiles_data(source));
                self.buffer.clear();
                let mut writer = Writer::new(&mut self.buffer);
                writer.message(attributes, |pair| write_pair(dictionary, attribute.content, pair));
                self.output.replace(attribute.start, attribute.end, &self.buffer);
            }
        }
        self.output.leave();
    }
}

fn pair_has_index(pair: &[u8]) -> bool {
    Fields::of(pair).flatten().any(|field| match field.number {
        KEY_INDEX => true,
        VALUE => value_has_index(field.value.bytes()),
        _ => false,
    })
}

/// The depth is what the check at the door lets in.
fn value_has_index(value: &[u8]) -> bool {
    Fields::of(value).flatten().any(|field| match field.number {
        STRING_INDEX => true,
        ARRAY => elements(field.value.bytes()).any(value_has_index),
        MAP => elements(field.value.bytes()).any(pair_has_index),
        _ => false,
    })
}

fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    Fields::of(list).flatten().filter(|field| field.number == ELEMENTS).map(|field| field.value.bytes())
}

/// A pair with its key as text; an index out of range stays what it is.
fn write_pair(dictionary: &Dictionary<'_>, pair: &[u8], writer: &mut Writer<'_>) {
    let key = Fields::of(pair)
        .flatten()
        .find(|field| field.number == KEY_INDEX)
        .and_then(|field| text(dictionary, field.value))
        .filter(|key| !key.is_empty());
    if let Some(key) = key {
        writer.bytes(KEY, key);
    }
    for field in Fields::of(pair).flatten() {
        match field.number {
            KEY | KEY_INDEX if key.is_some() => {}
            VALUE => writer.message(VALUE, |value| write_value(dictionary, field.value.bytes(), value)),
            _ => writer.raw(field.raw),
        }
    }
}

fn write_value(dictionary: &Dictionary<'_>, value: &[u8], writer: &mut Writer<'_>) {
    for field in Fields::of(value).flatten() {
        match (field.number, text(dictionary, field.value)) {
            (STRING_INDEX, Some(text)) => writer.bytes(STRING, text),
            (ARRAY, _) => writer.message(ARRAY, |list| {
                write_elements(field.value.bytes(), list, |element, writer| {
                    write_value(dictionary, element, writer);
                });
            }),
            (MAP, _) => writer.message(MAP, |list| {
                write_elements(field.value.bytes(), list, |element, writer| {
                    write_pair(dictionary, element, writer);
                });
            }),
            _ => writer.raw(field.raw),
        }
    }
}

fn write_elements(list: &[u8], writer: &mut Writer<'_>, mut write: impl FnMut(&[u8], &mut Writer<'_>)) {
    for field in Fields::of(list).flatten() {
        if field.number == ELEMENTS {
            writer.message(ELEMENTS, |writer| write(field.value.bytes(), writer));
        } else {
            writer.raw(field.raw);
        }
    }
}

/// What an index stands for; `None` if it is none or out of range.
fn text<'a>(dictionary: &Dictionary<'a>, index: Value<'_>) -> Option<&'a [u8]> {
    match index {
        Value::Varint(_) => dictionary.string(i32::try_from(index.signed()).ok()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
