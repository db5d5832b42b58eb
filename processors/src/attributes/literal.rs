//! Attribute values written in the configuration, with the type that YAML gives them.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use sluice_pipeline::otlp::rewrite::value;

/// An attribute value written in the configuration.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// Text.
    String(String),
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction or an exponent.
    Double(f64),
    /// A list.
    Array(Vec<Literal>),
    /// A map, in the order in which it is written.
    Map(Vec<(String, Literal)>),
    /// Nothing, within a list or map.
    Empty,
}

impl Literal {
    /// The encoded `AnyValue`.
    #[must_use]
    pub fn encoded(&self) -> Vec<u8> {
        match self {
            Self::String(text) => value::string(text.as_bytes()),
            Self::Bool(truth) => value::bool(*truth),
            Self::Int(number) => value::int(*number),
            Self::Double(number) => value::double(*number),
            Self::Array(values) => value::array(values.iter().map(Self::encoded)),
            Self::Map(entries) => value::map(entries.iter().map(|(key, value)| (key, value.encoded()))),
            Self::Empty => Vec::new(),
        }
    }
}

impl<'de> Deserialize<'de> for Literal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LiteralVisitor)
    }
}

struct LiteralVisitor;

impl<'de> Visitor<'de> for LiteralVisitor {
    type Value = Literal;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an attribute value: text, a number, true or false, a list or a map")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Literal, E> {
        Ok(Literal::String(text.to_owned()))
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Literal, E> {
        Ok(Literal::Bool(truth))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Literal, E> {
        Ok(Literal::Int(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Literal, E> {
        i64::try_from(number).map(Literal::Int).map_err(|_| {
            E::custom(format!("{number} is too large: attribute values have 64 bits with a sign"))
        })
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Literal, E> {
        Ok(Literal::Double(number))
    }

    fn visit_unit<E: Error>(self) -> Result<Literal, E> {
        Ok(Literal::Empty)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Literal, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element()? {
            values.push(value);
        }
        Ok(Literal::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Literal, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Literal::Map(map))
    }
}

impl JsonSchema for Literal {
    fn schema_name() -> Cow<'static, str> {
        "AttributeValue".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean", "array", "object"] })
    }
}
