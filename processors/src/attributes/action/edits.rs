//! Does the operations to the attributes of one message after another.

use sluice_pipeline::{
    Context,
    otlp::{
        rewrite::{Attributes, value},
        view::{AnyValue, View},
    },
};

use super::{
    hash::hashed,
    operation::{Operation, SetHow},
    source::Source,
};

/// The operations with what they take from one request.
pub(crate) struct Edits<'a> {
    operations: &'a [Operation],
    /// For each operation the encoded value that the request has for it.
    from_context: Vec<Option<Vec<u8>>>,
    /// Holds a value while the attribute that it comes from is changed.
    scratch: Vec<u8>,
}

impl<'a> Edits<'a> {
    pub(crate) fn new(operations: &'a [Operation], context: &Context) -> Self {
        let from_context = operations
            .iter()
            .map(|operation| match operation {
                Operation::Set { source: Source::Context(source), .. } => source.value(context),
                _ => None,
            })
            .collect();
        Self { operations, from_context, scratch: Vec::new() }
    }

    /// Does all operations in order; each sees what those before it did.
    pub(crate) fn apply(&mut self, attributes: &mut Attributes<'_>) {
        for (operation, from_context) in self.operations.iter().zip(&self.from_context) {
            match operation {
                Operation::Set { how, key, source, default } => {
                    let value = match source {
                        Source::Value(value) => Some(value.as_slice()),
                        Source::Context(_) => from_context.as_deref(),
                        Source::Attribute(other) => attributes.get(other).map(|value| {
                            self.scratch.clear();
                            self.scratch.extend_from_slice(value);
                            self.scratch.as_slice()
                        }),
                    };
                    let Some(value) = value.or(default.as_deref()) else { continue };
                    match how {
                        SetHow::Insert => {
                            attributes.insert(key, value);
                        }
                        SetHow::Update => {
                            attributes.update(key, value);
                        }
                        SetHow::Upsert => attributes.upsert(key, value),
                    }
                }
                Operation::Delete(keys) => attributes.retain(|key, _| !keys.matches(key)),
                Operation::Hash(keys) => attributes.modify(
                    |key| keys.matches(key),
                    |value, out| {
                        out.extend_from_slice(&hashed(value));
                        true
                    },
                ),
                Operation::Convert { key, target } => attributes.modify(
                    |candidate| candidate == key.as_slice(),
                    |value, out| match target.convert(value) {
                        Some(converted) => {
                            out.extend_from_slice(&converted);
                            true
                        }
                        None => false,
                    },
                ),
                Operation::Extract { key, pattern, names } => {
                    let Some(AnyValue::String(text)) = attributes.get(key).map(AnyValue::of) else {
                        continue;
                    };
                    let Some(groups) = pattern.captures(text) else { continue };
                    // A group that took no part in the match gives empty text.
                    let found: Vec<Vec<u8>> = (1..=names.len())
                        .map(|group| value::string(groups.get(group).map_or(b"", |found| found.as_bytes())))
                        .collect();
                    for (name, value) in names.iter().zip(found) {
                        attributes.upsert(name, &value);
                    }
                }
            }
        }
    }
}
