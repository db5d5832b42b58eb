//! Attributes that are encoded once and then added to many resources.

use sluice_pipeline::otlp::{wire::Fields, write::Writer};

/// The number of the attributes in a resource.
const ATTRIBUTES: u32 = 1;

/// Attributes in the encoded form in which they stand in a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Block {
    bytes: Box<[u8]>,
    /// A bit for each key, see [`bit`]: most other keys are told apart by it.
    keys: u64,
}

/// A value to be encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    List(Vec<String>),
}

/// Attributes before they are encoded, each key once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pairs(Vec<(String, Value)>);

impl Pairs {
    /// Sets a text, whatever it was. Empty ones are left out.
    pub(super) fn set(&mut self, key: &str, text: &str) {
        self.0.retain(|(known, _)| known != key);
        self.add(key, text);
    }

    /// Adds a text unless there is one.
    pub(super) fn add(&mut self, key: &str, text: &str) {
        if !text.is_empty() && !key.is_empty() && !self.contains(key) {
            self.0.push((key.to_owned(), Value::Text(text.to_owned())));
        }
    }

    pub(super) fn add_list(&mut self, key: &str, texts: Vec<String>) {
        if !texts.is_empty() && !self.contains(key) {
            self.0.push((key.to_owned(), Value::List(texts)));
        }
    }

    /// Adds those of `others` that are not there.
    pub(super) fn add_all(&mut self, others: &Self) {
        for (key, value) in &others.0 {
            if !self.contains(key) {
                self.0.push((key.clone(), value.clone()));
            }
        }
    }

    /// Removes those that `others` has.
    pub(super) fn without(mut self, others: &Self) -> Self {
        self.0.retain(|(key, _)| !others.contains(key));
        self
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        self.0.iter().any(|(known, _)| known == key)
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.0.iter().find_map(|(known, value)| match value {
            Value::Text(text) if known == key => Some(text.as_str()),
            _ => None,
        })
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn encoded(&self) -> Block {
        let mut bytes = Vec::new();
        let mut keys = 0;
        let writer = &mut Writer::new(&mut bytes);
        for (key, value) in &self.0 {
            keys |= bit(key.as_bytes());
            writer.message(ATTRIBUTES, |writer| {
                writer.bytes(1, key.as_bytes());
                writer.message(2, |writer| match value {
                    Value::Text(text) => writer.bytes(1, text.as_bytes()),
                    Value::List(texts) => writer.message(5, |writer| {
                        for text in texts {
                            writer.message(1, |writer| writer.bytes(1, text.as_bytes()));
                        }
                    }),
                });
            });
        }
        Block { bytes: bytes.into(), keys }
    }
}

impl Block {
    /// The fields of the resource.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The fields of the resource one by one, with their keys.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let first = |pair| Fields::of(pair).flatten().next().map_or(&[][..], |key| key.value.bytes());
        Fields::of(&self.bytes).flatten().map(move |field| (field.raw, first(field.value.bytes())))
    }

    /// The bits of the keys that the block may have in common with these; 0 if it has none.
    #[inline]
    pub(super) fn shares<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) -> u64 {
        keys.fold(0, |bits, key| bits | bit(key)) & self.keys
    }
}

/// The bit of a key: by its length and its last and middle letter, in which names of attributes differ most.
#[inline]
pub(super) fn bit(key: &[u8]) -> u64 {
    let letter = |place: usize| key.get(place).copied().map_or(0, usize::from);
    let (last, middle) = (letter(key.len().wrapping_sub(1)), letter(key.len() / 2));
    1 << ((key.len() * 11 + last * 7 + middle) % 64)
}

#[cfg(test)]
mod tests {
    use sluice_pipeline::otlp::view::{AnyValue, KeyValue, Repeated};

    use super::*;

    #[test]
    fn pairs_keep_the_last_text_and_the_first_addition() {
        let mut pairs = Pairs::default();
        pairs.set("a", "1");
        pairs.set("a", "2");
        pairs.add("a", "3");
        pairs.add("b", "");
        pairs.add_list("c", vec!["x".to_owned(), "y".to_owned()]);
        let mut others = Pairs::default();
        others.set("a", "4");
        others.set("d", "5");
        pairs.add_all(&others);
        assert_eq!((pairs.text("a"), pairs.text("b"), pairs.text("d")), (Some("2"), None, Some("5")));
        assert!(others.without(&pairs).is_empty());

        let block = pairs.encoded();
        let read: Vec<String> = Repeated::<KeyValue<'_>>::all(block.bytes(), ATTRIBUTES)
            .map(|pair| {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                let value = match pair.value {
                    AnyValue::String(value) => text(value),
                    AnyValue::Array(values) => values
                        .map(|value| match value {
                            AnyValue::String(value) => text(value),
                            other => panic!("{other:?}"),
                        })
                        .collect::<Vec<_>>()
                        .join("|"),
                    other => panic!("{other:?}"),
                };
                format!("{}={value}", text(pair.key))
            })
            .collect();
        assert_eq!(read, ["a=2", "c=x|y", "d=5"]);
        assert_eq!(block.fields().map(|(_, key)| key).collect::<Vec<_>>(), [b"a", b"c", b"d"]);
        assert_eq!(block.fields().map(|(field, _)| field.len()).sum::<usize>(), block.bytes().len());
        assert!(block.shares([&b"a"[..], b"other"].into_iter()) != 0);
    }
}
