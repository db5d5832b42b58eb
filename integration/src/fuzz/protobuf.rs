//! Changes protobuf field by field, so that lengths stay right and the change reaches the inside.

use fastrand::Rng;
use sluice_pipeline::otlp::wire::{Fields, Value};
use sluice_pipeline::otlp::write::Writer;

/// A changed copy of a message; the bytes as they are if they are none.
pub(super) fn mutate(message: &[u8], random: &mut Rng) -> Vec<u8> {
    let Ok(fields) = Fields::of(message).collect::<Result<Vec<_>, _>>() else { return message.to_owned() };
    if fields.is_empty() {
        return message.to_owned();
    }
    let chosen = random.usize(..fields.len());
    let mut changed = Vec::with_capacity(message.len() + 64);
    for (index, field) in fields.iter().enumerate() {
        let mut writer = Writer::new(&mut changed);
        if index != chosen {
            writer.raw(field.raw);
            continue;
        }
        match field.value {
            Value::Bytes(inner) if random.u8(..5) > 0 && is_message(inner) => {
                writer.bytes(field.number, &mutate(inner, random));
            }
            value => change(&mut writer, field.number, value, field.raw, &fields, random),
        }
    }
    changed
}

fn is_message(bytes: &[u8]) -> bool {
    !bytes.is_empty() && Fields::of(bytes).all(|field| field.is_ok())
}

fn change(
    writer: &mut Writer<'_>,
    number: u32,
    value: Value<'_>,
    raw: &[u8],
    siblings: &[sluice_pipeline::otlp::wire::Field<'_>],
    random: &mut Rng,
) {
    match random.u8(..8) {
        0 => {}
        1 => (0..random.usize(2..20)).for_each(|_| writer.raw(raw)),
        2 => writer.raw(random.choice(siblings).map_or(raw, |sibling| sibling.raw)),
        3 => {
            writer.raw(raw);
            writer.raw(random.choice(siblings).map_or(raw, |sibling| sibling.raw));
        }
        4 => rewrite(writer, random.u32(1..20), value, random),
        5 => writer.varint(number, random.u64(..) >> random.u32(..64)),
        6 => {
            // The message inside itself: depth.
            let mut nested = raw.to_owned();
            for _ in 0..random.usize(1..80) {
                let mut outer = Vec::new();
                Writer::new(&mut outer).bytes(number, &nested);
                nested = outer;
            }
            writer.raw(&nested);
        }
        _ => rewrite(writer, number, value, random),
    }
}

/// The value with a byte changed, or another number.
fn rewrite(writer: &mut Writer<'_>, number: u32, value: Value<'_>, random: &mut Rng) {
    match value {
        Value::Varint(_) => writer.varint(number, random.u64(..) >> random.u32(..64)),
        Value::Fixed64(_) => writer.fixed64(number, random.u64(..)),
        Value::Fixed32(_) => writer.fixed32(number, random.u32(..)),
        Value::Group(inner) => writer.bytes(number, inner),
        Value::Bytes(inner) => {
            let mut bytes = inner.to_owned();
            match random.choice(0..bytes.len()) {
                Some(place) if random.bool() => bytes[place] = random.u8(..),
                Some(place) => bytes.truncate(place),
                None => bytes.push(random.u8(..)),
            }
            writer.bytes(number, &bytes);
        }
    }
}
