//! The attributes of one message, with edits that are not yet written.

use crate::otlp::{
    wire::{Fields, Value},
    write::Writer,
};

/// The attributes of a [`Part`](super::Part) in their order, as the edits so far left them.
///
/// Keys are bytes of UTF-8, values encoded `AnyValue`s ([`super::value`] makes them, the views read them). A message
/// may hold a key more than once: reading takes the first, update and delete act on all.
#[derive(Debug, Default)]
pub struct Attributes<'a> {
    entries: Vec<Entry<'a>>,
    /// Keys and values that edits brought in.
    arena: Vec<u8>,
    /// What a callback of [`Attributes::modify`] writes.
    spare: Vec<u8>,
    changed: bool,
}

#[derive(Debug)]
struct Entry<'a> {
    /// Where the attribute stands in the message, with its tag.
    place: Option<(usize, usize)>,
    key: Piece<'a>,
    value: Piece<'a>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Untouched,
    Changed,
    Deleted,
}

#[derive(Clone, Copy, Debug)]
enum Piece<'a> {
    Message(&'a [u8]),
    Arena(usize, usize),
}

impl<'a> Piece<'a> {
    #[inline]
    fn bytes<'s>(self, arena: &'s [u8]) -> &'s [u8]
    where
        'a: 's,
    {
        match self {
            Self::Message(bytes) => bytes,
            Self::Arena(start, end) => arena.get(start..end).unwrap_or_default(),
        }
    }
}

impl<'a> Attributes<'a> {
    /// Keys with values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries
            .iter()
            .filter(|entry| entry.state != State::Deleted)
            .map(|entry| (entry.key.bytes(&self.arena), entry.value.bytes(&self.arena)))
    }

    /// The value of the first attribute with this key.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.find(key).map(|entry| entry.value.bytes(&self.arena))
    }

    /// Whether there is an attribute with this key.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        self.find(key).is_some()
    }

    /// Adds an attribute, unless there is one with this key; says whether it did.
    pub fn insert(&mut self, key: &[u8], value: &[u8]) -> bool {
        let absent = !self.contains(key);
        if absent {
            self.add(key, value);
        }
        absent
    }

    /// Gives every attribute with this key the value; says whether there was one.
    pub fn update(&mut self, key: &[u8], value: &[u8]) -> bool {
        let mut found = false;
        let mut stored = None;
        let Self { entries, arena, changed, .. } = self;
        for entry in entries.iter_mut().filter(|entry| entry.state != State::Deleted) {
            if entry.key.bytes(arena) != key {
                continue;
            }
            found = true;
            if entry.value.bytes(arena) != value {
                entry.value = *stored.get_or_insert_with(|| store(arena, value));
                entry.state = State::Changed;
                *changed = true;
            }
        }
        found
    }

    /// Updates the attributes with this key, or adds one if there is none.
    pub fn upsert(&mut self, key: &[u8], value: &[u8]) {
        if !self.update(key, value) {
            self.add(key, value);
        }
    }

    /// Deletes every attribute with this key; says whether there was one.
    pub fn delete(&mut self, key: &[u8]) -> bool {
        let mut found = false;
        self.retain(|candidate, _| {
            found |= candidate == key;
            candidate != key
        });
        found
    }

    /// Deletes the attributes for whose key and value `keep` says false.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8], &[u8]) -> bool) {
        let Self { entries, arena, changed, .. } = self;
        for entry in entries.iter_mut().filter(|entry| entry.state != State::Deleted) {
            if !keep(entry.key.bytes(arena), entry.value.bytes(arena)) {
                entry.state = State::Deleted;
                *changed = true;
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
        let Self { entries, arena, spare, changed } = self;
        for entry in entries.iter_mut().filter(|entry| entry.state != State::Deleted) {
            spare.clear();
            if matches(entry.key.bytes(arena))
                && change(entry.value.bytes(arena), spare)
                && entry.value.bytes(arena) != spare.as_slice()
            {
                entry.value = store(arena, spare);
                entry.state = State::Changed;
                *changed = true;
            }
        }
    }

    #[inline]
    fn find(&self, key: &[u8]) -> Option<&Entry<'a>> {
        self.entries.iter().find(|entry| entry.state != State::Deleted && entry.key.bytes(&self.arena) == key)
    }

    fn add(&mut self, key: &[u8], value: &[u8]) {
        let key = store(&mut self.arena, key);
        let value = store(&mut self.arena, value);
        self.entries.push(Entry { place: None, key, value, state: State::Changed });
        self.changed = true;
    }

    /// Forgets all and reads the attributes of a message, which are its fields with this number.
    pub(super) fn read(&mut self, message: &'a [u8], number: u32) {
        self.clear();
        let mut fields = Fields::of(message);
        let mut start = 0;
        while let Some(Ok(field)) = fields.next() {
            let end = message.len() - fields.rest().len();
            if let (true, Value::Bytes(attribute)) = (field.number == number, field.value) {
                let (key, value) = key_and_value(attribute);
                self.entries.push(Entry {
                    place: Some((start, end)),
                    key: Piece::Message(key),
                    value: Piece::Message(value),
                    state: State::Untouched,
                });
            }
            start = end;
        }
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.arena.clear();
        self.changed = false;
    }

    /// Calls `replace` in the order of the message with the place of each attribute to replace and what `write`
    /// writes there. Attributes are fields of this number.
    pub(super) fn changes(
        &self,
        message: &[u8],
        number: u32,
        mut replace: impl FnMut(usize, usize, &mut dyn FnMut(&mut Writer<'_>)),
    ) {
        if !self.changed {
            return;
        }
        let mut after_last = None;
        for entry in &self.entries {
            let Some((start, end)) = entry.place else { continue };
            after_last = Some(end);
            match entry.state {
                State::Untouched => {}
                State::Deleted => replace(start, end, &mut |_| ()),
                State::Changed => {
                    let original = message.get(start..end).unwrap_or_default();
                    let value = entry.value.bytes(&self.arena);
                    replace(start, end, &mut |writer| with_value(writer, number, original, value));
                }
            }
        }
        let end = after_last.unwrap_or(message.len());
        let added =
            || self.entries.iter().filter(|entry| entry.place.is_none() && entry.state != State::Deleted);
        if added().next().is_some() {
            replace(end, end, &mut |writer| {
                for entry in added() {
                    writer.message(number, |attribute| {
                        attribute.bytes(1, entry.key.bytes(&self.arena));
                        attribute.bytes(2, entry.value.bytes(&self.arena));
                    });
                }
            });
        }
    }
}

fn store<'a>(arena: &mut Vec<u8>, bytes: &[u8]) -> Piece<'a> {
    let start = arena.len();
    arena.extend_from_slice(bytes);
    Piece::Arena(start, arena.len())
}

/// Writes an attribute with another value; whatever else it holds stays.
fn with_value(writer: &mut Writer<'_>, number: u32, original: &[u8], value: &[u8]) {
    let attribute = Fields::of(original).flatten().next().map_or(&[][..], |field| field.value.bytes());
    writer.message(number, |writer| {
        for field in Fields::of(attribute).flatten().filter(|field| field.number != 2) {
            writer.raw(field.raw);
        }
        writer.bytes(2, value);
    });
}

#[inline]
fn key_and_value(attribute: &[u8]) -> (&[u8], &[u8]) {
    // What nearly all are: a short key, a short value, nothing else.
    if let [0x0a, key_length @ 0..0x80, rest @ ..] = attribute
        && let Some((key, [0x12, value_length @ 0..0x80, value @ ..])) =
            rest.split_at_checked(usize::from(*key_length))
        && value.len() == usize::from(*value_length)
    {
        return (key, value);
    }
    let (mut key, mut value) = (&[][..], &[][..]);
    for field in Fields::of(attribute).flatten() {
        match field.number {
            1 => key = field.value.bytes(),
            2 => value = field.value.bytes(),
            _ => {}
        }
    }
    (key, value)
}
