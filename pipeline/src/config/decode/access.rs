//! The entries of maps, the items of lists, the parts of squashed structs, one by one.

use std::cell::RefCell;

use serde::de::{
    DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor, value::StrDeserializer,
};

use super::{
    super::{Mapping, node::Entry, sensitive},
    Context, DecodeError, NULL_MARK, Node,
    deserializer::NodeDeserializer,
};

/// The entries of a map.
pub(super) struct Entries<'a> {
    entries: std::slice::Iter<'a, Entry>,
    /// The keys of the struct that is decoded; none for a map with free keys.
    known: Option<&'static [&'static str]>,
    context: &'a Context,
    concealed: bool,
    current: Option<&'a Entry>,
}

impl<'a> Entries<'a> {
    pub(super) fn new(
        mapping: &'a Mapping,
        known: Option<&'static [&'static str]>,
        context: &'a Context,
        concealed: bool,
    ) -> Self {
        Self { entries: mapping.iter(), known, context, concealed, current: None }
    }

    /// Whether an entry is to be decoded: known, not null (which keeps the default), not found wrong before.
    fn counts(&self, entry: &Entry) -> bool {
        let Some(known) = self.known else { return !self.context.is_skipped(&entry.key) };
        let null_counts = || {
            known.iter().any(|key| key.strip_suffix(NULL_MARK).is_some_and(|marked| marked == &*entry.key))
        };
        known.contains(&&*entry.key)
            && (!entry.value.is_null() || null_counts())
            && !self.context.is_skipped(&entry.key)
    }
}

impl<'de, 'a> MapAccess<'de> for Entries<'a> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DecodeError> {
        while let Some(entry) = self.entries.next() {
            if self.counts(entry) {
                self.current = Some(entry);
                let key = Node {
                    quoted: true,
                    ..Node::new(entry.location.clone(), super::super::Value::String(entry.key.clone()))
                };
                return seed.deserialize(NodeDeserializer::root(&key, self.context)).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DecodeError> {
        let Some(entry) = self.current.take() else {
            return Err(DecodeError::new("a value was asked for before its key"));
        };
        let concealed = self.concealed || sensitive::is_secret_key(&entry.key);
        if entry.value.is_null() && self.known.is_some() {
            let present = Node::empty_map(entry.value.location.clone());
            return below(&present, self.context, concealed, entry.key.to_string(), seed);
        }
        below(&entry.value, self.context, concealed, entry.key.to_string(), seed)
    }
}

/// The items of a list.
pub(super) struct Items<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
    context: &'a Context,
    concealed: bool,
}

/// The items of a comma-separated string.
pub(super) type Texts<'a> = Items<'a>;

impl<'a> Items<'a> {
    pub(super) fn new(items: &'a [Node], context: &'a Context, concealed: bool) -> Self {
        Self { items: items.iter().enumerate(), context, concealed }
    }
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        for (index, item) in self.items.by_ref() {
            let segment = index.to_string();
            if !self.context.is_skipped(&segment) {
                return below(item, self.context, self.concealed, segment, seed).map(Some);
            }
        }
        Ok(None)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The parts of a squashed struct: each is decoded from the same map.
pub(super) struct Parts<'a> {
    pub(super) node: &'a Node,
    pub(super) context: &'a Context,
    pub(super) concealed: bool,
    pub(super) shared: &'a RefCell<Vec<&'static str>>,
}

impl<'de> SeqAccess<'de> for Parts<'_> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        let deserializer = NodeDeserializer {
            node: self.node,
            context: self.context,
            concealed: self.concealed,
            shared: Some(self.shared),
        };
        seed.deserialize(deserializer).map(Some)
    }
}

/// A variant with content, written as a map of one key.
pub(super) struct Variant<'a> {
    pub(super) entry: &'a Entry,
    pub(super) context: &'a Context,
    pub(super) concealed: bool,
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), DecodeError> {
        let name = seed.deserialize(StrDeserializer::<DecodeError>::new(&self.entry.key))?;
        Ok((name, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        if self.entry.value.is_null() {
            return Ok(());
        }
        Err(DecodeError::mismatch("nothing below this name", self.entry.value.describe()))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, DecodeError> {
        below(&self.entry.value, self.context, self.concealed, self.entry.key.to_string(), seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, DecodeError> {
        let deserializer = NodeDeserializer::root(&self.entry.value, self.context);
        serde::Deserializer::deserialize_seq(deserializer, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let deserializer = NodeDeserializer::root(&self.entry.value, self.context);
        serde::Deserializer::deserialize_struct(deserializer, "", fields, visitor)
    }
}

/// Decodes a value one level further down.
fn below<'de, T: DeserializeSeed<'de>>(
    node: &Node,
    context: &Context,
    concealed: bool,
    segment: String,
    seed: T,
) -> Result<T::Value, DecodeError> {
    context.path.borrow_mut().push(segment);
    let value = seed
        .deserialize(NodeDeserializer { node, context, concealed, shared: None })
        .map_err(|error| error.at(node, &context.path.borrow(), concealed));
    context.path.borrow_mut().pop();
    value
}
