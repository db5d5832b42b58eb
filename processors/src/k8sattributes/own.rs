//! The attributes that a resource has of its own.

use sluice_pipeline::otlp::{
    view::{AnyValue, Text, View},
    wire::{Fields, Value},
};

/// The number of the attributes in a resource.
const ATTRIBUTES: u32 = 1;

/// Keys with encoded values, in order.
pub(super) type Pairs<'a> = Vec<(&'a [u8], &'a [u8])>;

/// Lists the attributes of a resource.
pub(super) fn list<'a>(resource: &'a [u8], pairs: &mut Pairs<'a>) {
    let mut rest = resource;
    loop {
        // As nearly all are.
        if let [0x0a, length @ 0..0x80, tail @ ..] = rest
            && let Some((pair, after)) = tail.split_at_checked(usize::from(*length))
        {
            pairs.push(split(pair));
            rest = after;
            continue;
        }
        let mut fields = Fields::of(rest);
        let Some(Ok(field)) = fields.next() else { return };
        if let (ATTRIBUTES, Value::Bytes(pair)) = (field.number, field.value) {
            pairs.push(split(pair));
        }
        rest = fields.rest();
    }
}

/// The list without what is in it, for another resource; keeps its place in memory.
pub(super) fn emptied<'a>(mut pairs: Pairs<'_>) -> Pairs<'a> {
    pairs.clear();
    pairs.into_iter().map(|_| (&[][..], &[][..])).collect()
}

/// Key and value.
#[inline]
fn split(pair: &[u8]) -> (&[u8], &[u8]) {
    if let [0x0a, length @ 0..0x80, rest @ ..] = pair
        && let Some((key, [0x12, length @ 0..0x80, value @ ..])) = rest.split_at_checked(usize::from(*length))
        && value.len() == usize::from(*length)
    {
        return (key, value);
    }
    let mut parts = (&[][..], &[][..]);
    for field in Fields::of(pair).flatten() {
        match field.number {
            1 => parts.0 = field.value.bytes(),
            2 => parts.1 = field.value.bytes(),
            _ => {}
        }
    }
    parts
}

/// The value of the first attribute with this key.
#[inline]
pub(super) fn value<'a>(pairs: &Pairs<'a>, key: &[u8]) -> Option<&'a [u8]> {
    pairs.iter().find(|(known, _)| *known == key).map(|(_, value)| *value)
}

/// The text of an attribute; empty if there is none.
pub(super) fn text<'a>(pairs: &Pairs<'a>, key: &[u8]) -> &'a [u8] {
    match value(pairs, key).map(AnyValue::of) {
        Some(AnyValue::String(text)) => text,
        _ => &[],
    }
}

/// The integer that a value is, or is the text of.
pub(super) fn number(value: &[u8]) -> Option<i64> {
    match AnyValue::of(value) {
        AnyValue::Int(number) => Some(number),
        AnyValue::String(text) => text.as_str().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sluice_pipeline::otlp::{view::Repeated, write::Writer};

    use super::*;

    proptest! {
        #[test]
        fn every_attribute_is_listed(
            attributes in prop::collection::vec(("[a-z.]{0,200}", "[a-z]{0,200}", any::<bool>()), 0..6),
        ) {
            let mut resource = Vec::new();
            let mut writer = Writer::new(&mut resource);
            for (key, value, is_odd) in &attributes {
                writer.message(1, |pair| {
                    pair.bytes(1, key.as_bytes());
                    pair.message(2, |any| any.bytes(1, value.as_bytes()));
                    if *is_odd {
                        pair.varint(3, 1);
                    }
                });
                if *is_odd {
                    // What is no attribute: a count of those that were dropped, and a field that nobody knows.
                    writer.varint(2, 300);
                    writer.bytes(9, value.as_bytes());
                }
            }
            let mut pairs = emptied(vec![(&b"x"[..], &b"y"[..])]);
            list(&resource, &mut pairs);
            let read: Vec<_> = pairs.iter().map(|(key, value)| (*key, match AnyValue::of(value) {
                AnyValue::String(text) => text,
                other => panic!("{other:?}"),
            })).collect();
            let expected: Vec<_> =
                attributes.iter().map(|(key, value, _)| (key.as_bytes(), value.as_bytes())).collect();
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn any_bytes_are_listed_as_the_views_see_them(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut pairs = Pairs::new();
            list(&bytes, &mut pairs);
            prop_assert_eq!(pairs.len(), Repeated::<&[u8]>::all(&bytes, ATTRIBUTES).count());
        }
    }
}
