//! The tree that configuration is before it is typed.

use std::{fmt, sync::Arc};

use super::Location;

/// A value with the place that it came from.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it stands.
    pub location: Location,
    /// What it is, by the Collector's YAML rules.
    pub value: Value,
    /// Whether it was written as a quoted or block scalar.
    pub quoted: bool,
    /// The text of a scalar that is no string, and of every expanded value, as it was written.
    pub original: Option<Arc<str>>,
    /// The reference, such as `${env:PORT}`, that stood here before expansion.
    pub reference: Option<Arc<str>>,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A whole number above the largest [`Value::Integer`].
    Unsigned(u64),
    /// Any other number.
    Float(f64),
    /// Text.
    String(Arc<str>),
    /// A list.
    Sequence(Vec<Node>),
    /// A map, in the order of the text.
    Mapping(Mapping),
}

/// Keys with values, in the order of the text, each key once.
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    entries: Vec<Entry>,
}

/// A key with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: Arc<str>,
    /// Where the key stands.
    pub location: Location,
    /// The value.
    pub value: Node,
}

impl Node {
    /// A value at a place.
    #[must_use]
    pub fn new(location: Location, value: Value) -> Self {
        Self { location, value, quoted: false, original: None, reference: None }
    }

    /// An empty map at a place.
    #[must_use]
    pub fn empty_map(location: Location) -> Self {
        Self::new(location, Value::Mapping(Mapping::default()))
    }

    /// Whether it is null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The map that it is.
    #[must_use]
    pub fn as_mapping(&self) -> Option<&Mapping> {
        match &self.value {
            Value::Mapping(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// The list that it is.
    #[must_use]
    pub fn as_sequence(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// What a string target takes: the text of a string, or the original text of an expanded value.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match (&self.value, &self.original) {
            (_, Some(original)) if self.reference.is_some() => Some(original),
            (Value::String(text), _) => Some(text),
            _ => None,
        }
    }

    /// The value of `key`, if it is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_mapping()?.get(key)
    }

    /// The node below `path` (levels joined by `.`, list items by number), or the deepest one on the way to it.
    #[must_use]
    pub fn nearest(&self, path: &str) -> &Node {
        self.nearest_place(path).0
    }

    /// As [`Node::nearest`], with the place to show for it: its key, where the value only begins on a later line.
    #[must_use]
    pub fn nearest_place(&self, path: &str) -> (&Node, &Location) {
        let mut node = self;
        let mut place = &self.location;
        for level in path.split('.').filter(|level| !level.is_empty()) {
            match &node.value {
                Value::Mapping(mapping) => {
                    let Some(entry) = mapping.entry(level) else { break };
                    node = &entry.value;
                    let below = entry.location.line != node.location.line
                        && Arc::ptr_eq(&entry.location.source, &node.location.source);
                    place = if below { &entry.location } else { &node.location };
                }
                Value::Sequence(items) => {
                    let Some(item) = level.parse::<usize>().ok().and_then(|index| items.get(index)) else {
                        break;
                    };
                    node = item;
                    place = &item.location;
                }
                _ => break,
            }
        }
        (node, place)
    }

    /// What it is, for messages: `the number 12`, `a list`.
    #[must_use]
    pub fn describe(&self) -> Description<'_> {
        Description { node: self, concealed: false }
    }
}

impl Mapping {
    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The entry of `key`.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| &*entry.key == key)
    }

    /// Whether it has `key`.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// All entries in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Entry> {
        self.entries.iter()
    }

    /// All entries, to change their values in place.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, Entry> {
        self.entries.iter_mut()
    }

    /// How many keys it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sets a key, in its old place if it has it.
    pub fn set(&mut self, entry: Entry) {
        match self.entries.iter_mut().find(|present| present.key == entry.key) {
            Some(present) => *present = entry,
            None => self.entries.push(entry),
        }
    }

    /// The entry at a place in the order.
    pub(super) fn at_mut(&mut self, place: usize) -> Option<&mut Entry> {
        self.entries.get_mut(place)
    }

    /// Adds a key that it is known not to have.
    pub(super) fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }
}

impl<'a> IntoIterator for &'a Mapping {
    type Item = &'a Entry;
    type IntoIter = std::slice::Iter<'a, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter()
    }
}

/// A node in words; made by [`Node::describe`].
pub struct Description<'a> {
    node: &'a Node,
    concealed: bool,
}

impl Description<'_> {
    /// Says what kind of value it is, but not which: it may be a secret.
    #[must_use]
    pub fn concealed(self) -> Self {
        Self { concealed: true, ..self }
    }
}

impl fmt::Display for Description<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Longer values are cut in messages.
        const SHOWN: usize = 60;
        let shorten = |text: &str| match text.char_indices().nth(SHOWN) {
            Some((at, _)) => format!("{}…", text.get(..at).unwrap_or("")),
            None => text.to_owned(),
        };
        let original = self.node.original.as_deref().map(shorten);
        match &self.node.value {
            Value::Null => formatter.write_str("nothing (null)"),
            Value::Sequence(_) => formatter.write_str("a list"),
            Value::Mapping(_) => formatter.write_str("a map"),
            Value::Bool(_) if self.concealed => formatter.write_str("a boolean"),
            Value::String(_) if self.concealed => formatter.write_str("a string"),
            _ if self.concealed => formatter.write_str("a number"),
            Value::Bool(truth) => write!(formatter, "{truth}"),
            Value::String(text) => write!(formatter, "the string {:?}", shorten(text)),
            Value::Integer(number) => write_number(formatter, original, number),
            Value::Unsigned(number) => write_number(formatter, original, number),
            Value::Float(number) => write_number(formatter, original, number),
        }
    }
}

fn write_number(
    formatter: &mut fmt::Formatter<'_>,
    original: Option<String>,
    number: impl fmt::Display,
) -> fmt::Result {
    match original {
        Some(original) => write!(formatter, "the number {original}"),
        None => write!(formatter, "the number {number}"),
    }
}
