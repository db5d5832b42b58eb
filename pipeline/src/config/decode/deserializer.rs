//! A serde deserializer over nodes with the Collector's strictness.

use std::cell::RefCell;

use serde::de::{Deserializer, Visitor, value::StrDeserializer};

use super::{
    super::{merge, node::Value, types::Duration},
    Context, DEFAULTS, DURATION, DecodeError, NULL_MARK, Node, Problems, SECRET, SQUASH, SourceText,
    access::{Entries, Items, Parts, Texts, Variant},
    error, yaml,
};

/// The Collector takes a comma-separated string for a list.
const LIST_SEPARATOR: char = ',';

pub(super) struct NodeDeserializer<'a> {
    pub(super) node: &'a Node,
    pub(super) context: &'a Context,
    /// Whether messages must not show the value.
    pub(super) concealed: bool,
    /// Where a part of a squashed struct notes the keys that it knows.
    pub(super) shared: Option<&'a RefCell<Vec<&'static str>>>,
}

impl<'a> NodeDeserializer<'a> {
    pub(super) fn root(node: &'a Node, context: &'a Context) -> Self {
        Self { node, context, concealed: false, shared: None }
    }

    fn mismatch(&self, expected: &str) -> DecodeError {
        let found = self.node.describe();
        let found = if self.concealed { found.concealed() } else { found };
        self.place(DecodeError::mismatch(expected, found))
    }

    /// Gives an error of this value its place.
    fn place(&self, error: DecodeError) -> DecodeError {
        error.at(self.node, &self.context.path.borrow(), self.concealed)
    }

    fn placed<T>(&self, result: Result<T, DecodeError>) -> Result<T, DecodeError> {
        result.map_err(|error| self.place(error))
    }

    /// The Collector takes a number without a unit for nanoseconds, which hardly anybody means.
    fn warn_of_nanoseconds(&self) {
        let number = match self.node.value {
            Value::Integer(number) => u64::try_from(number).unwrap_or(0),
            Value::Unsigned(number) => number,
            _ => 0,
        };
        if number > 0 {
            let duration = Duration::from(std::time::Duration::from_nanos(number));
            let message = format!(
                "a duration without a unit counts nanoseconds, as in the Collector: this is {duration}; write \
                 {number}s if seconds are meant, {duration} if not"
            );
            self.context.warnings.borrow_mut().push((self.node.location.clone(), message));
        }
    }

    fn quoting_hint(&self, error: DecodeError) -> DecodeError {
        match &self.node.value {
            Value::String(text)
                if self.node.quoted && !matches!(super::super::scalar::resolve(text), Value::String(_)) =>
            {
                error.note("remove the quotes")
            }
            _ => error,
        }
    }

    fn integer(&self, least: i128, most: i128, expected: &str) -> Result<i128, DecodeError> {
        let number = match self.node.value {
            Value::Integer(number) => i128::from(number),
            Value::Unsigned(number) => i128::from(number),
            // The Collector takes 1e3 for a whole number.
            Value::Float(number) if number.fract() == 0.0 && number.abs() < 1e18 => number as i128,
            Value::Null => 0,
            _ => return Err(self.quoting_hint(self.mismatch(expected))),
        };
        if number < least || number > most {
            return Err(self.mismatch(expected));
        }
        Ok(number)
    }

    fn mapping<'de, V: Visitor<'de>>(
        self,
        known: Option<&'static [&'static str]>,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let empty = super::super::Mapping::default();
        let mapping = match &self.node.value {
            Value::Mapping(mapping) => mapping,
            Value::Null => &empty,
            _ => return Err(self.mismatch("a map")),
        };
        if let Some(known) = known {
            let keys = || known.iter().copied().filter(|key| !key.ends_with(NULL_MARK));
            match self.shared {
                Some(shared) => shared.borrow_mut().extend(keys()),
                None => report_unknown(self.node, self.context, &keys().collect::<Vec<_>>()),
            }
        }
        let skipped = |key: &str| self.context.is_skipped(key);
        visitor
            .visit_map(Entries::new(mapping, known, self.context, self.concealed))
            .map_err(|error| error.in_map(self.node, skipped))
    }
}

/// Reports the keys of a map that are not among the known ones.
fn report_unknown(node: &Node, context: &Context, known: &[&'static str]) {
    for entry in node.as_mapping().into_iter().flatten() {
        if !known.contains(&&*entry.key) {
            context.report_unknown(&entry.key, &entry.location, known);
        }
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ident $expected:literal;)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            let number = self.integer(i128::from($type::MIN), i128::from($type::MAX), $expected)?;
            self.placed(visitor.$visit(number as $type))
        }
    )+};
}

impl<'de> Deserializer<'de> for NodeDeserializer<'_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.node.value {
            Value::Null => self.placed(visitor.visit_unit()),
            Value::Bool(truth) => self.placed(visitor.visit_bool(*truth)),
            Value::Integer(number) => self.placed(visitor.visit_i64(*number)),
            Value::Unsigned(number) => self.placed(visitor.visit_u64(*number)),
            Value::Float(number) => self.placed(visitor.visit_f64(*number)),
            Value::String(text) => self.placed(visitor.visit_str(text)),
            Value::Sequence(items) => {
                let items = Items::new(items, self.context, self.concealed);
                self.placed(visitor.visit_seq(items))
            }
            Value::Mapping(_) => self.mapping(None, visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.node.value {
            Value::Bool(truth) => self.placed(visitor.visit_bool(truth)),
            Value::Null => self.placed(visitor.visit_bool(false)),
            _ => Err(self.quoting_hint(self.mismatch("true or false"))),
        }
    }

    integers! {
        deserialize_i8 visit_i8 i8 "a whole number from -128 to 127";
        deserialize_i16 visit_i16 i16 "a whole number from -32768 to 32767";
        deserialize_i32 visit_i32 i32 "a whole number of at most 32 bits";
        deserialize_i64 visit_i64 i64 "a whole number";
        deserialize_u8 visit_u8 u8 "a whole number from 0 to 255";
        deserialize_u16 visit_u16 u16 "a whole number from 0 to 65535";
        deserialize_u32 visit_u32 u32 "a whole number from 0 to 4294967295";
        deserialize_u64 visit_u64 u64 "a whole number, not negative";
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let number = match self.node.value {
            Value::Float(number) => number,
            Value::Integer(number) => number as f64,
            Value::Unsigned(number) => number as f64,
            Value::Null => 0.0,
            _ => return Err(self.quoting_hint(self.mismatch("a number"))),
        };
        self.placed(visitor.visit_f64(number))
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match (self.node.as_text(), &self.node.value) {
            (Some(text), _) => self.placed(visitor.visit_str(text)),
            (None, Value::Null) => self.placed(visitor.visit_str("")),
            (None, Value::Sequence(_) | Value::Mapping(_)) => Err(self.mismatch("a string")),
            (None, _) => Err(self.mismatch("a string")).map_err(|error| error.note("put it in quotes")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.node.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.node.is_null() { visitor.visit_unit() } else { Err(self.mismatch("nothing")) }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        if name == SECRET {
            return visitor.visit_newtype_struct(Self { concealed: true, ..self });
        }
        if name == DURATION {
            self.warn_of_nanoseconds();
        }
        let Some(defaults) = name.strip_prefix(DEFAULTS) else {
            return visitor.visit_newtype_struct(self);
        };
        let source = SourceText::new("default", defaults);
        let mut node = yaml::parse(&source, &mut Problems::default())
            .ok_or_else(|| DecodeError::new("the defaults of this component are no YAML"))?;
        node.location = self.node.location.clone();
        merge::lay_over(&mut node, self.node);
        visitor.visit_newtype_struct(NodeDeserializer { node: &node, ..self })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.node.value {
            Value::Sequence(items) => {
                let items = Items::new(items, self.context, self.concealed);
                self.placed(visitor.visit_seq(items))
            }
            Value::String(text) => {
                let texts = text.split(LIST_SEPARATOR).filter(|_| !text.is_empty());
                let nodes = texts.map(|text| {
                    let mut node = self.node.clone();
                    node.value = Value::String(text.trim().into());
                    node.original = None;
                    node
                });
                let nodes: Vec<Node> = nodes.collect();
                self.placed(visitor.visit_seq(Texts::new(&nodes, self.context, self.concealed)))
            }
            Value::Null => self.placed(visitor.visit_seq(Items::new(&[], self.context, self.concealed))),
            _ => Err(self.mismatch("a list")),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        if name != SQUASH {
            return self.deserialize_seq(visitor);
        }
        let own = RefCell::new(Vec::new());
        let shared = self.shared.unwrap_or(&own);
        let parts = Parts { node: self.node, context: self.context, concealed: self.concealed, shared };
        let value = visitor.visit_seq(parts);
        // After an error the later parts have not said which keys they know.
        if value.is_ok() && self.shared.is_none() {
            report_unknown(self.node, self.context, &own.borrow());
        }
        value
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.mapping(None, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.mapping(Some(fields), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        if let Some(text) = self.node.as_text() {
            let variant = StrDeserializer::<DecodeError>::new(text);
            return self.placed(visitor.visit_enum(variant));
        }
        match &self.node.value {
            Value::Mapping(mapping) if mapping.len() == 1 => {
                let Some(entry) = mapping.iter().next() else { return Err(self.mismatch("one key")) };
                let variant = Variant { entry, context: self.context, concealed: self.concealed };
                self.placed(visitor.visit_enum(variant))
            }
            Value::Null if variants.contains(&"") => {
                let variant = StrDeserializer::<DecodeError>::new("");
                self.placed(visitor.visit_enum(variant))
            }
            _ => Err(self.mismatch(&error::one_of(variants))),
        }
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }
}
