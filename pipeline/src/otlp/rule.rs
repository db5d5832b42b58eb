//! What the check at the door demands of each field, derived from the schema and laid out for a tight loop.

use super::schema::{Field, Message, Type};

/// What is demanded of the field with a number. Numbers that a message does not know have [`Class::Unknown`].
#[derive(Clone, Copy)]
pub(super) struct Rule {
    /// The messages below, of [`Class::Message`].
    pub(super) nested: Option<&'static Message>,
    /// Marks of which none may be set yet, else the message is not in canonical form.
    pub(super) excludes: u32,
    /// Marks that the field sets.
    pub(super) marks: u32,
    /// How the value is read.
    pub(super) class: Class,
    /// The wire type of the value, if not packed.
    pub(super) wire_type: u8,
    /// The length of an id.
    pub(super) length: u8,
    /// Whether it may be packed.
    pub(super) packable: bool,
}

/// How a value is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Unknown,
    Varint,
    Fixed64,
    Fixed32,
    Text,
    Bytes,
    Id,
    Message,
}

/// The mark of the members of a `oneof`: no field has number 0, and no message has two `oneof`s.
const ONE_OF: u32 = 1;

const UNKNOWN: Rule = Rule {
    nested: None,
    excludes: 0,
    marks: 0,
    class: Class::Unknown,
    wire_type: u8::MAX,
    length: 0,
    packable: false,
};

/// The rules of these fields, by number.
pub(super) const fn of(fields: &[Field]) -> [Rule; 32] {
    let first_messages = first_messages(fields);
    let mut rules = [UNKNOWN; 32];
    let mut place = 0;
    while place < fields.len() {
        rules[fields[place].number as usize] = rule(&fields[place], first_messages);
        place += 1;
    }
    rules
}

const fn rule(field: &Field, first_messages: u32) -> Rule {
    let (class, wire_type, length) = match field.kind {
        Type::Bool | Type::Uint32 | Type::Uint64 | Type::Int32 | Type::Int64 | Type::Sint32 | Type::Enum => {
            (Class::Varint, 0, 0)
        }
        Type::Fixed64 | Type::Sfixed64 | Type::Double => (Class::Fixed64, 1, 0),
        Type::Fixed32 => (Class::Fixed32, 5, 0),
        Type::String => (Class::Text, 2, 0),
        Type::Bytes => (Class::Bytes, 2, 0),
        Type::Id(length) => (Class::Id, 2, length as u8),
        Type::Message(_) => (Class::Message, 2, 0),
    };
    let (excludes, marks) = match (field.repeated, field.one_of, field.rank) {
        // Once an item was seen, resource or scope come too late: as if they had been there already.
        (true, _, 1) => (0, first_messages),
        (true, ..) => (0, 0),
        (false, 0, _) => (1 << field.number, 1 << field.number),
        (false, ..) => (ONE_OF, ONE_OF),
    };
    Rule {
        nested: match field.kind {
            Type::Message(nested) => Some(nested),
            _ => None,
        },
        excludes,
        marks,
        class,
        wire_type,
        length,
        packable: field.repeated && wire_type != 2,
    }
}

/// The marks of the singular messages of rank 0.
const fn first_messages(fields: &[Field]) -> u32 {
    let mut marks = 0;
    let mut place = 0;
    while place < fields.len() {
        let field = &fields[place];
        if matches!(field.kind, Type::Message(_)) && !field.repeated && field.one_of == 0 {
            marks |= 1 << field.number;
        }
        place += 1;
    }
    marks
}

/// Whether messages of this name are what batches are counted in.
pub(super) const fn is_item(name: &str) -> bool {
    matches!(
        name.as_bytes(),
        b"Span"
            | b"NumberDataPoint"
            | b"HistogramDataPoint"
            | b"ExponentialHistogramDataPoint"
            | b"SummaryDataPoint"
            | b"LogRecord"
            | b"Sample"
    )
}
