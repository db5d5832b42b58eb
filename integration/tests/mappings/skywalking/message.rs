//! Messages of any definition, as trees, so that no field of any can be forgotten.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::LazyLock,
};

use prost::Message as _;
use prost_types::{
    DescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};
use sluice_pipeline::otlp::{
    wire::{self, Fields},
    write::Writer,
};

/// What a message may hold.
pub(super) struct Definition {
    /// With its package.
    pub(super) name: String,
    pub(super) fields: Vec<Field>,
    pub(super) is_map_entry: bool,
}

pub(super) struct Field {
    pub(super) name: String,
    pub(super) number: u32,
    pub(super) repeated: bool,
    pub(super) kind: Kind,
    /// The fields with the same number here exclude each other.
    pub(super) oneof: Option<i32>,
}

#[derive(Clone)]
pub(super) enum Kind {
    Text,
    Bytes,
    Double,
    Bool,
    Int32,
    Int64,
    Unsigned32,
    Unsigned64,
    Enum(Vec<i32>),
    /// By its name.
    Message(String),
}

/// A message: its values by the numbers of their fields.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Message {
    pub(super) name: &'static str,
    fields: BTreeMap<u32, Vec<Value>>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    /// As it is on the wire, numbers with a sign extended.
    Number(u64),
    /// Its bits.
    Double(u64),
    Text(String),
    Bytes(Vec<u8>),
    Message(Message),
}

/// The definition of this name.
pub(super) fn definition(name: &str) -> &'static Definition {
    static ALL: LazyLock<HashMap<String, Definition>> = LazyLock::new(|| {
        let files = FileDescriptorSet::decode(sluice_protocols::DEFINITIONS).unwrap();
        let mut enums = HashMap::new();
        let mut messages = Vec::new();
        for file in &files.file {
            for of in &file.enum_type {
                let numbers = of.value.iter().map(|value| value.number()).collect();
                enums.insert(format!(".{}.{}", file.package(), of.name()), numbers);
            }
            file.message_type.iter().for_each(|of| collect(file.package(), of, &mut messages, &mut enums));
        }
        let read = |(name, of): &(String, &DescriptorProto)| (name.clone(), read(name, of, &enums));
        messages.iter().map(read).collect()
    });
    ALL.get(name).unwrap_or_else(|| panic!("there is no {name}"))
}

fn collect<'d>(
    scope: &str,
    message: &'d DescriptorProto,
    messages: &mut Vec<(String, &'d DescriptorProto)>,
    enums: &mut HashMap<String, Vec<i32>>,
) {
    let name = format!("{scope}.{}", message.name());
    for of in &message.enum_type {
        let numbers = of.value.iter().map(|value| value.number()).collect();
        enums.insert(format!(".{name}.{}", of.name()), numbers);
    }
    message.nested_type.iter().for_each(|of| collect(&name, of, messages, enums));
    messages.push((name, message));
}

fn read(name: &str, message: &DescriptorProto, enums: &HashMap<String, Vec<i32>>) -> Definition {
    let fields = message.field.iter().map(|field| Field {
        name: field.name().to_owned(),
        number: field.number().try_into().unwrap(),
        repeated: field.label() == Label::Repeated,
        oneof: field.oneof_index,
        kind: match field.r#type() {
            Type::String => Kind::Text,
            Type::Bytes => Kind::Bytes,
            Type::Double => Kind::Double,
            Type::Bool => Kind::Bool,
            Type::Int32 => Kind::Int32,
            Type::Int64 => Kind::Int64,
            Type::Uint32 => Kind::Unsigned32,
            Type::Uint64 => Kind::Unsigned64,
            Type::Enum => Kind::Enum(enums[field.type_name()].clone()),
            Type::Message => Kind::Message(field.type_name().trim_start_matches('.').to_owned()),
            other => panic!("{name}: a field of {other:?}"),
        },
    });
    let is_map_entry = message.options.as_ref().is_some_and(|options| options.map_entry());
    Definition { name: name.to_owned(), fields: fields.collect(), is_map_entry }
}

impl Definition {
    fn field(&self, name: &str) -> &Field {
        let found = self.fields.iter().find(|field| field.name == name);
        found.unwrap_or_else(|| panic!("{} has no {name}", self.name))
    }
}

impl Message {
    pub(super) fn new(name: &str) -> Self {
        Self { name: &definition(name).name, fields: BTreeMap::new() }
    }

    fn definition(&self) -> &'static Definition {
        definition(self.name)
    }

    /// The values of a field, none if it is absent.
    pub(super) fn all(&self, field: &str) -> &[Value] {
        self.fields.get(&self.definition().field(field).number).map_or(&[], Vec::as_slice)
    }

    /// The messages of a field.
    pub(super) fn messages(&self, field: &str) -> impl Iterator<Item = &Self> {
        self.all(field).iter().map(move |value| match value {
            Value::Message(message) => message,
            other => panic!("{field} is {other:?}"),
        })
    }

    pub(super) fn set(&mut self, field: &str, values: Vec<Value>) {
        self.put(self.definition().field(field).number, values);
    }

    pub(super) fn put(&mut self, number: u32, values: Vec<Value>) {
        self.fields.remove(&number);
        if !values.is_empty() {
            self.fields.insert(number, values);
        }
    }

    pub(super) fn with(mut self, field: &str, values: Vec<Value>) -> Self {
        self.set(field, values);
        self
    }

    /// Without these fields.
    pub(super) fn without(mut self, fields: &[&str]) -> Self {
        fields.iter().for_each(|field| self.set(field, Vec::new()));
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// As everybody understands it: what is at its default, and a message with nothing in it, is absent.
    pub(super) fn canonical(self) -> Self {
        let definition = self.definition();
        let mut fields = BTreeMap::new();
        for (number, values) in self.fields {
            let field = definition.fields.iter().find(|field| field.number == number).unwrap();
            let mut values: Vec<_> = values.into_iter().map(Value::canonical).collect();
            if matches!(&field.kind, Kind::Message(name) if self::definition(name).is_map_entry) {
                values.sort();
            }
            if field.repeated || !values[0].is_default() {
                fields.insert(number, values);
            }
        }
        Self { name: self.name, fields }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes);
        for (number, values) in &self.fields {
            for value in values {
                match value {
                    Value::Number(value) => writer.varint(*number, *value),
                    Value::Double(bits) => writer.double(*number, f64::from_bits(*bits)),
                    Value::Text(text) => writer.bytes(*number, text.as_bytes()),
                    Value::Bytes(value) => writer.bytes(*number, value),
                    Value::Message(message) => writer.bytes(*number, &message.encode()),
                }
            }
        }
        bytes
    }

    /// Every field must be known.
    pub(super) fn decode(name: &str, bytes: &[u8]) -> Self {
        let mut message = Self::new(name);
        let mut parts: BTreeMap<u32, Vec<Vec<u8>>> = BTreeMap::new();
        for found in Fields::of(bytes) {
            let found = found.unwrap();
            let field = definition(name).fields.iter().find(|field| field.number == found.number);
            let field = field.unwrap_or_else(|| panic!("{name} has no field {}", found.number));
            let value = match (&field.kind, found.value) {
                (Kind::Message(_), wire::Value::Bytes(part)) => {
                    let parts = parts.entry(field.number).or_default();
                    // A message that comes twice is one, its parts merged.
                    match parts.last_mut().filter(|_| !field.repeated) {
                        Some(whole) => whole.extend_from_slice(part),
                        None => parts.push(part.to_vec()),
                    }
                    continue;
                }
                (kind, value) => Value::read(kind, value).unwrap_or_else(|| panic!("{name}.{}", field.name)),
            };
            let values = message.fields.entry(field.number).or_default();
            if !field.repeated {
                values.clear();
            }
            values.push(value);
        }
        for field in &definition(name).fields {
            if let (Kind::Message(of), Some(parts)) = (&field.kind, parts.remove(&field.number)) {
                let decoded = parts.iter().map(|part| Value::Message(Self::decode(of, part))).collect();
                message.put(field.number, decoded);
            }
        }
        message
    }
}

impl Value {
    fn read(kind: &Kind, value: wire::Value<'_>) -> Option<Self> {
        #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
        let small = |value: u64| i64::from(value as i32).cast_unsigned();
        Some(match (kind, value) {
            (Kind::Text, wire::Value::Bytes(text)) => Self::Text(String::from_utf8(text.to_vec()).ok()?),
            (Kind::Bytes, wire::Value::Bytes(bytes)) => Self::Bytes(bytes.to_vec()),
            (Kind::Double, wire::Value::Fixed64(bits)) => Self::Double(bits),
            (Kind::Int32 | Kind::Enum(_), wire::Value::Varint(value)) => Self::Number(small(value)),
            (Kind::Bool, wire::Value::Varint(value)) => Self::Number(u64::from(value != 0)),
            (Kind::Int64 | Kind::Unsigned32 | Kind::Unsigned64, wire::Value::Varint(value)) => {
                Self::Number(value)
            }
            _ => return None,
        })
    }

    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    fn canonical(self) -> Self {
        match self {
            Self::Message(message) => Self::Message(message.canonical()),
            other => other,
        }
    }

    fn is_default(&self) -> bool {
        match self {
            Self::Number(value) | Self::Double(value) => *value == 0,
            Self::Text(text) => text.is_empty(),
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::Message(message) => message.is_empty(),
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = formatter.debug_map();
        for field in self.definition().fields.iter().filter(|field| self.fields.contains_key(&field.number)) {
            let values = &self.fields[&field.number];
            match field.repeated {
                true => map.entry(&field.name, values),
                false => map.entry(&field.name, &values[0]),
            };
        }
        map.finish()
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(value) => value.cast_signed().fmt(formatter),
            Self::Double(bits) => f64::from_bits(*bits).fmt(formatter),
            Self::Text(text) => text.fmt(formatter),
            Self::Bytes(bytes) => bytes.fmt(formatter),
            Self::Message(message) => message.fmt(formatter),
        }
    }
}
