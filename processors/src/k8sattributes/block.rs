//! Attributes that are encoded once and then added to many resources.

use std::ops::Range;

use sluice_pipeline::otlp::{wire::Fields, write::Writer};

/// The number of the attributes in a resource.
const ATTRIBUTES: u32 = 1;

/// Attributes in the encoded form in which they stand in a resource.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'a> {
    pub(super) bytes: &'a [u8],
    keys: Keys,
}

/// Where a block stands among others that were encoded one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: usize,
    end: usize,
    keys: Keys,
}

/// A bit for each key, see [`bit`]: most other keys are told apart by it.
type Keys = u128;

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

    /// Encodes them after what is there.
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) -> Span {
        let start = bytes.len();
        let mut keys = 0;
        let writer = &mut Writer::new(bytes);
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
        Span { start, end: bytes.len(), keys }
    }
}

impl Span {
    /// This and what stands after it.
    pub(super) fn with(self, next: Self) -> Self {
        Self { start: self.start, end: next.end, keys: self.keys | next.keys }
    }

    /// The block; `bytes` is what it was encoded into.
    #[inline]
    pub(super) fn of(self, bytes: &[u8]) -> Block<'_> {
        Block { bytes: bytes.get(self.start..self.end).unwrap_or_default(), keys: self.keys }
    }
}

impl Block<'_> {
    /// Where the attribute with this key stands, with its tag.
    #[inline]
    pub(super) fn find(&self, key: &[u8]) -> Option<Range<usize>> {
        if self.keys & bit(key) == 0 { None } else { self.search(key) }
    }

    fn search(&self, key: &[u8]) -> Option<Range<usize>> {
        let mut fields = Fields::of(self.bytes);
        loop {
            let start = self.bytes.len() - fields.rest().len();
            let pair = fields.next()?.ok()?.value.bytes();
            let has_key = match pair {
                [_, length @ 0..0x80, rest @ ..] => {
                    usize::from(*length) == key.len() && rest.get(..key.len()) == Some(key)
                }
                _ => key_of(pair) == key,
            };
            if has_key {
                return Some(start..self.bytes.len() - fields.rest().len());
            }
        }
    }
}

/// The fields of a resource that a block is, one by one, with their keys.
pub(super) fn fields(block: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    Fields::of(block).flatten().map(|field| (field.raw, key_of(field.value.bytes())))
}

fn key_of(pair: &[u8]) -> &[u8] {
    Fields::of(pair).flatten().next().map_or(&[], |key| key.value.bytes())
}

/// The bit of a key: by its length and its last and middle letter, in which names of attributes differ most.
#[inline]
fn bit(key: &[u8]) -> Keys {
    let letter = |place: usize| key.get(place).copied().map_or(0, usize::from);
    let (last, middle) = (letter(key.len().wrapping_sub(1)), letter(key.len() / 2));
    1 << ((key.len() * 11 + last * 7 + middle) % 128)
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

        let mut bytes = b"before".to_vec();
        let span = pairs.encode(&mut bytes);
        let block = span.of(&bytes);
        let read: Vec<String> = Repeated::<KeyValue<'_>>::all(block.bytes, ATTRIBUTES)
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
        assert_eq!(fields(block.bytes).map(|(_, key)| key).collect::<Vec<_>>(), [b"a", b"c", b"d"]);
        for (field, key) in fields(block.bytes) {
            assert_eq!(&block.bytes[block.find(key).unwrap()], field);
        }
        assert_eq!(block.find(b"b"), None);

        let mut others = Pairs::default();
        others.set(&"long".repeat(50), "6");
        let mut longer = bytes.clone();
        let both = span.with(others.encode(&mut longer));
        let both = both.of(&longer);
        assert_eq!(both.find("long".repeat(50).as_bytes()).unwrap(), block.bytes.len()..both.bytes.len());
        assert_eq!(both.find(b"a"), block.find(b"a"));
    }
}
