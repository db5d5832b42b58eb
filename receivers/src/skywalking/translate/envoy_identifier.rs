//! Who an Envoy is: the `Identifier` that it sends once on a stream.

use sluice_pipeline::otlp::{
    attribute::{write_attribute, write_text},
    wire::{Fields, Value},
    write::Writer,
};
use sluice_protocols::skywalking::attributes::resource;

use super::{
    Malformed,
    pair::{bytes, fields},
};

const IDENTIFIER: &str = "Identifier";
const NODE: &str = "Node";
/// `Node.extensions`: all that an Envoy was built with, some 60 KB, which says nothing about what it does.
const EXTENSIONS: u32 = 9;

/// Replaces `identifier` by that of a message of this name, if it has one.
pub(super) fn read(name: &'static str, message: &[u8], identifier: &mut Vec<u8>) -> Result<(), Malformed> {
    fields(name, message, |number, value| {
        let found = if number == 1 { bytes(name, number, value)? } else { &[] };
        if !found.is_empty() {
            *identifier = without_extensions(found)?;
        }
        Ok(())
    })
}

fn without_extensions(identifier: &[u8]) -> Result<Vec<u8>, Malformed> {
    let broken = |message| move |reason| Malformed::Wire { message, reason };
    let mut kept = Vec::new();
    let mut writer = Writer::new(&mut kept);
    for field in Fields::of(identifier) {
        let field = field.map_err(broken(IDENTIFIER))?;
        let (1, Value::Bytes(node)) = (field.number, field.value) else {
            writer.raw(field.raw);
            continue;
        };
        writer.message(1, |writer| {
            for field in Fields::of(node) {
                let field = field.map_err(broken(NODE))?;
                if field.number != EXTENSIONS {
                    writer.raw(field.raw);
                }
            }
            Ok::<_, Malformed>(())
        })?;
    }
    Ok(kept)
}

/// Writes the attributes of an Envoy's resource.
pub(super) fn write_resource(writer: &mut Writer<'_>, identifier: &[u8], id: &str, cluster: &str) {
    write_attribute(writer, 1, resource::ENVOY_IDENTIFIER, |writer| writer.bytes(7, identifier));
    for (key, value) in [(resource::ENVOY_NODE_ID, id), (resource::ENVOY_NODE_CLUSTER, cluster)] {
        if !value.is_empty() {
            write_text(writer, 1, key, value);
        }
    }
}

/// The node of an `Identifier`.
#[derive(Default)]
pub(super) struct Node<'m> {
    pub(super) id: &'m [u8],
    pub(super) cluster: &'m [u8],
}

impl<'m> Node<'m> {
    pub(super) fn read(identifier: &'m [u8]) -> Result<Self, Malformed> {
        let mut node = Self::default();
        fields(IDENTIFIER, identifier, |number, value| {
            if number != 1 {
                return Ok(());
            }
            fields(NODE, bytes(IDENTIFIER, number, value)?, |number, value| {
                match number {
                    1 => node.id = bytes(NODE, number, value)?,
                    2 => node.cluster = bytes(NODE, number, value)?,
                    _ => {}
                }
                Ok(())
            })
        })?;
        Ok(node)
    }
}
