//! The attributes of one message, with edits that are not yet written.

use super::patches::Patches;
use crate::otlp::{
    wire::{Fields, Value},
    write::Writer,
};

/// The number of the key in a `KeyValue`.
const KEY: u32 = 1;
/// The number of the value in a `KeyValue`.
const VALUE: u32 = 2;

/// The attributes of a [`Part`](super::Part) in their order, as the edits so far left them.
///
/// Keys are bytes of UTF-8, values encoded `AnyValue`s ([`super::value`] makes them, the views read them). A message
/// may hold a key more than once: reading takes the first, update and delete act on all. In profiles keys and texts
/// that are indices into the dictionary are seen as the text.
#[derive(Debug, Default)]
pub struct Attributes<'a> {
    entries: Vec<Entry<'a>>,
    /// What edits brought in.
    arena: Vec<u8>,
    /// What a callback of [`Attributes::modify`] writes.
    spare: Vec<u8>,
    /// Where the last attribute of the message ends.
    end: Option<usize>,
    /// Whether an attribute of the message is changed or deleted.
    is_edited: bool,
    /// Whether there are attributes that the message does not have.
    is_extended: bool,
}

#[derive(Debug)]
struct Entry<'a> {
    /// Where the attribute stands in the message, with its tag; nowhere (0 to 0) if an edit added it.
    start: usize,
    end: usize,
    /// The encoded `KeyValue` in the message.
    content: &'a [u8],
    state: State,
}

/// With ranges of the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Untouched,
    Deleted,
    /// Has another encoded value.
    Changed(usize, usize),
    /// Is not in the message: an encoded `KeyValue`.
    Added(usize, usize),
}

impl Entry<'_> {
    #[inline]
    fn is_there(&self) -> bool {
        self.state != State::Deleted
    }

    #[inline]
    fn key<'s>(&'s self, arena: &'s [u8]) -> &'s [u8] {
        match self.state {
            State::Added(start, end) => key_of(arena.get(start..end).unwrap_or_default()),
            _ => key_of(self.content),
        }
    }

    #[inline]
    fn value<'s>(&'s self, arena: &'s [u8]) -> &'s [u8] {
        match self.state {
            State::Added(start, end) => value_of(arena.get(start..end).unwrap_or_default()),
            State::Changed(start, end) => arena.get(start..end).unwrap_or_default(),
            _ => value_of(self.content),
        }
    }

    fn set(&mut self, arena: &mut Vec<u8>, value: &[u8]) {
        if let State::Added(..) = self.state {
            let key = self.key(arena).to_vec();
            self.state = added(arena, &key, value);
        } else {
            let start = arena.len();
            arena.extend_from_slice(value);
            self.state = State::Changed(start, arena.len());
        }
    }
}

impl<'a> Attributes<'a> {
    /// Keys with values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let there = self.entries.iter().filter(|entry| entry.is_there());
        there.map(|entry| (entry.key(&self.arena), entry.value(&self.arena)))
    }

    /// The value of the first attribute with this key.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.find(key).map(|entry| entry.value(&self.arena))
    }

    /// Whether there is an attribute with this key.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        self.find(key).is_some()
    }

    /// Adds an attribute, unless there is one with this key; says whether it did.
    pub fn insert(&mut self, key: &[u8], value: &[u8]) -> bool {
        let is_absent = !self.contains(key);
        if is_absent {
            self.add(key, value);
        }
        is_absent
    }

    /// Gives every attribute with this key the value; says whether there was one.
    pub fn update(&mut self, key: &[u8], value: &[u8]) -> bool {
        let Self { entries, arena, is_edited, .. } = self;
        let mut is_found = false;
        for entry in entries.iter_mut().filter(|entry| entry.is_there()) {
            if entry.key(arena) != key {
                continue;
            }
            is_found = true;
            if entry.value(arena) != value {
                entry.set(arena, value);
                *is_edited = true;
            }
        }
        is_found
    }

    /// Updates the attributes with this key, or adds one if there is none.
    pub fn upsert(&mut self, key: &[u8], value: &[u8]) {
        if !self.update(key, value) {
            self.add(key, value);
        }
    }

    /// Deletes every attribute with this key; says whether there was one.
    pub fn delete(&mut self, key: &[u8]) -> bool {
        let Self { entries, arena, is_edited, .. } = self;
        let mut is_found = false;
        for entry in entries.iter_mut().filter(|entry| entry.is_there()) {
            if entry.key(arena) == key {
                entry.state = State::Deleted;
                is_found = true;
            }
        }
        *is_edited |= is_found;
        is_found
    }

    /// Deletes the attributes for whose key and value `keep` says false.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8], &[u8]) -> bool) {
        let Self { entries, arena, is_edited, .. } = self;
        for entry in entries.iter_mut().filter(|entry| entry.is_there()) {
            if !keep(entry.key(arena), entry.value(arena)) {
                entry.state = State::Deleted;
                *is_edited = true;
            }
        }
    }

    /// Shows the value of every attribute whose key `matches` to `change`, which writes another (an encoded
    /// `AnyValue`) to the buffer and says true, or says false to keep it. For hashing and converting.
    pub fn modify(
        &mut self,
        mut matches: impl FnMut(&[u8]) -> bool,
        mut change: impl FnMut(&[u8], &mut Vec<u8>) -> bool,
    ) {
        let Self { entries, arena, spare, is_edited, .. } = self;
        for entry in entries.iter_mut().filter(|entry| entry.is_there()) {
            spare.clear();
            if matches(entry.key(arena))
                && change(entry.value(arena), spare)
                && entry.value(arena) != spare.as_slice()
            {
                entry.set(arena, spare);
                *is_edited = true;
            }
        }
    }

    #[inline]
    fn find(&self, key: &[u8]) -> Option<&Entry<'a>> {
        self.entries.iter().find(|entry| entry.is_there() && entry.key(&self.arena) == key)
    }

    fn add(&mut self, key: &[u8], value: &[u8]) {
        let state = added(&mut self.arena, key, value);
        self.entries.push(Entry { start: 0, end: 0, content: &[], state });
        self.is_extended = true;
    }

    /// Forgets all and reads the attributes of a message, which are its fields with this number.
    pub(super) fn read(&mut self, message: &'a [u8], number: u32) {
        self.entries.clear();
        self.arena.clear();
        (self.is_edited, self.is_extended, self.end) = (false, false, None);
        let tag = u8::try_from(number << 3 | 2).ok().filter(|tag| *tag < 0x80);
        let mut rest = message;
        while !rest.is_empty() {
            let start = message.len() - rest.len();
            let content = match *rest {
                // A short attribute, as nearly all are.
                [first, length @ 0..0x80, ref tail @ ..]
                    if Some(first) == tag && tail.len() >= usize::from(length) =>
                {
                    let (content, tail) = tail.split_at(usize::from(length));
                    rest = tail;
                    content
                }
                _ => {
                    let mut fields = Fields::of(rest);
                    let Some(Ok(field)) = fields.next() else { return };
                    rest = fields.rest();
                    match field.value {
                        Value::Bytes(content) if field.number == number => content,
                        _ => continue,
                    }
                }
            };
            let end = message.len() - rest.len();
            self.entries.push(Entry { start, end, content, state: State::Untouched });
            self.end = Some(end);
        }
    }

    /// Records the edits for a message of this length whose attributes are fields of this number.
    pub(super) fn record(&self, length: usize, number: u32, patches: &mut Patches) {
        if self.is_edited {
            for entry in &self.entries {
                match entry.state {
                    State::Deleted if entry.end > 0 => patches.replace(entry.start, entry.end, |_| ()),
                    State::Changed(from, to) => patches.replace(entry.start, entry.end, |writer| {
                        let value = self.arena.get(from..to).unwrap_or_default();
                        writer.message(number, |writer| with_value(writer, entry.content, value));
                    }),
                    State::Deleted | State::Untouched | State::Added(..) => {}
                }
            }
        }
        if self.is_extended {
            let end = self.end.unwrap_or(length);
            patches.replace(end, end, |writer| {
                for entry in &self.entries {
                    if let State::Added(start, end) = entry.state {
                        writer.bytes(number, self.arena.get(start..end).unwrap_or_default());
                    }
                }
            });
        }
    }
}

fn added(arena: &mut Vec<u8>, key: &[u8], value: &[u8]) -> State {
    let start = arena.len();
    let mut writer = Writer::new(arena);
    writer.bytes(KEY, key);
    writer.bytes(VALUE, value);
    State::Added(start, arena.len())
}

/// Writes the content of an attribute with another value; whatever else it holds stays.
fn with_value(writer: &mut Writer<'_>, attribute: &[u8], value: &[u8]) {
    if let Some((key, _)) = plain(attribute) {
        writer.bytes(KEY, key);
    } else {
        for field in Fields::of(attribute).flatten().filter(|field| field.number != VALUE) {
            writer.raw(field.raw);
        }
    }
    writer.bytes(VALUE, value);
}

#[inline]
fn key_of(attribute: &[u8]) -> &[u8] {
    match attribute {
        [0x0a, length @ 0..0x80, rest @ ..] if rest.len() >= usize::from(*length) => {
            rest.split_at(usize::from(*length)).0
        }
        _ => member(attribute, KEY),
    }
}

#[inline]
fn value_of(attribute: &[u8]) -> &[u8] {
    plain(attribute).map_or_else(|| member(attribute, VALUE), |(_, value)| value)
}

/// Key and value of what nearly all are: a short key, a short value, nothing else.
#[inline]
fn plain(attribute: &[u8]) -> Option<(&[u8], &[u8])> {
    let [0x0a, key_length @ 0..0x80, rest @ ..] = attribute else { return None };
    let (key, [0x12, value_length @ 0..0x80, value @ ..]) =
        rest.split_at_checked(usize::from(*key_length))?
    else {
        return None;
    };
    (value.len() == usize::from(*value_length)).then_some((key, value))
}

#[cold]
fn member(attribute: &[u8], number: u32) -> &[u8] {
    let found = Fields::of(attribute).flatten().find(|field| field.number == number);
    found.map_or(&[], |field| field.value.bytes())
}
